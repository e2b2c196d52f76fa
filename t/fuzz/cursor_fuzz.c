/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * cursor.c: what is taken as a cursor of ours encodes to the same text, and
 * every payload comes back in its scope and in no other.  The first byte is
 * the scope.  Inputs up to 720 bytes make sense.
 */


#include <stdlib.h>
#include <sodium.h>

#include "cursor.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char            scope[2];
    uint8_t         payload[CURSOR_PAYLOAD_MAX], text[CURSOR_TEXT_MAX];
    bytes_t         in;
    bytes_writer_t  w, t;

    static const uint8_t  key[CURSOR_KEY_LEN] = { 1, 2, 3, 5, 8, 13 };

    if (size == 0 || sodium_init() < 0) {
        return 0;
    }

    scope[0] = (data[0] == 0) ? 'x' : (char) data[0];
    scope[1] = '\0';
    in = bytes_make(data + 1, size - 1);

    bytes_writer_open(&w, payload, sizeof(payload));
    bytes_writer_open(&t, text, sizeof(text));

    if (cursor_decode(key, bytes_of(scope), in, &w) == 0
        && (cursor_encode(key, bytes_of(scope), bytes_writer_view(&w), &t)
            != 0
            || !bytes_equal(bytes_writer_view(&t), in)))
    {
        abort();
    }

    bytes_writer_open(&w, payload, sizeof(payload));
    bytes_writer_open(&t, text, sizeof(text));

    if (cursor_encode(key, bytes_of(scope), in, &t) != 0) {

        if (in.len <= CURSOR_PAYLOAD_MAX) {
            abort();
        }

        return 0;
    }

    if (cursor_decode(key, bytes_of("another"), bytes_writer_view(&t), &w)
        == 0
        || cursor_decode(key, bytes_of(scope), bytes_writer_view(&t), &w)
           != 0
        || !bytes_equal(bytes_writer_view(&w), in))
    {
        abort();
    }

    return 0;
}
