/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * utf8.c: whole and byte by byte come to the same state, and valid text,
 * decoded here by hand, is written back by utf8_write() as it was.
 */


#include <stdlib.h>

#include "utf8.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/* One code point of valid text; its length in bytes. */
static size_t
decode(const uint8_t *p, uint32_t *code)
{
    size_t  i, n;

    if (p[0] < 0x80) {
        *code = p[0];
        return 1;
    }

    n = (p[0] < 0xe0) ? 2 : (p[0] < 0xf0) ? 3 : 4;
    *code = p[0] & (0x7fU >> n);

    for (i = 1; i < n; i++) {
        *code = *code << 6 | (p[i] & 0x3f);
    }

    return n;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t          i, n, count;
    uint8_t         out[4];
    uint32_t        state, code;
    bytes_writer_t  w;

    state = UTF8_START;

    for (i = 0; i < size; i++) {
        state = utf8_feed(state, bytes_make(data + i, 1));
    }

    if (state != utf8_feed(UTF8_START, bytes_make(data, size))
        || utf8_valid(bytes_make(data, size)) != (state == UTF8_START))
    {
        abort();
    }

    if (state != UTF8_START) {
        return 0;
    }

    count = 0;

    for (i = 0; i < size; i += n) {
        n = decode(data + i, &code);

        bytes_writer_open(&w, out, sizeof(out));
        utf8_write(&w, code);

        if (w.failed
            || !bytes_equal(bytes_writer_view(&w), bytes_make(data + i, n)))
        {
            abort();
        }

        count++;
    }

    if (count != utf8_length(bytes_make(data, size))) {
        abort();
    }

    return 0;
}
