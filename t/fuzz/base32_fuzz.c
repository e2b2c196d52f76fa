/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * base32.c: what decodes encodes to the same text, and all bytes encode and
 * decode to themselves.  Inputs up to 1024 bytes make sense.
 */


#include <stdlib.h>

#include "base32.h"


#define FUZZ_SIZE_MAX  4096       /* bytes */


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes_t         in;
    bytes_writer_t  a, b;

    static uint8_t  first[FUZZ_SIZE_MAX * 2], second[FUZZ_SIZE_MAX * 2];

    if (size > FUZZ_SIZE_MAX) {
        return 0;
    }

    in = bytes_make(data, size);

    bytes_writer_open(&a, first, sizeof(first));
    bytes_writer_open(&b, second, sizeof(second));

    if (base32_decode(in, &a) == 0
        && (base32_encode(bytes_writer_view(&a), &b) != 0
            || !bytes_equal(bytes_writer_view(&b), in)))
    {
        abort();
    }

    bytes_writer_open(&a, first, sizeof(first));
    bytes_writer_open(&b, second, sizeof(second));

    if (base32_encode(in, &a) != 0
        || base32_decode(bytes_writer_view(&a), &b) != 0
        || !bytes_equal(bytes_writer_view(&b), in))
    {
        abort();
    }

    return 0;
}
