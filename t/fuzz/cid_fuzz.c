/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * cid.c: what is read as text or bytes is written as the same, in base 32 to
 * the letter.  Inputs up to 64 bytes make sense.
 */


#include <stdlib.h>

#include "cid.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cid_t           cid, again;
    uint8_t         text[CID_TEXT_LEN], binary[CID_BINARY_LEN];
    bytes_t         in;
    bytes_writer_t  w;

    in = bytes_make(data, size);

    if (cid_parse(&cid, in) == 0) {
        bytes_writer_open(&w, text, sizeof(text));
        cid_write(&cid, &w);

        if (w.failed
            || (data[0] == 'b' && !bytes_equal(bytes_writer_view(&w), in))
            || cid_parse(&again, bytes_writer_view(&w)) != 0
            || !cid_equal(&cid, &again))
        {
            abort();
        }
    }

    if (cid_parse_binary(&cid, in) == 0) {
        bytes_writer_open(&w, binary, sizeof(binary));
        cid_write_binary(&cid, &w);

        if (w.failed || !bytes_equal(bytes_writer_view(&w), in)) {
            abort();
        }
    }

    return 0;
}
