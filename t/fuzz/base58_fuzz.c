/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * base58.c: what decodes encodes to the same text, what encodes decodes to
 * the same bytes.  Inputs up to 1100 bytes make sense.
 */


#include <stdlib.h>

#include "base58.h"


#define FUZZ_ROOM  2048           /* bytes */


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t         first[FUZZ_ROOM], second[FUZZ_ROOM];
    bytes_t         in;
    bytes_writer_t  a, b;

    in = bytes_make(data, size);

    bytes_writer_open(&a, first, sizeof(first));
    bytes_writer_open(&b, second, sizeof(second));

    if (base58_decode(in, &a) == 0
        && (base58_encode(bytes_writer_view(&a), &b) != 0
            || !bytes_equal(bytes_writer_view(&b), in)))
    {
        abort();
    }

    bytes_writer_open(&a, first, sizeof(first));
    bytes_writer_open(&b, second, sizeof(second));

    if (base58_encode(in, &a) == 0
        && (base58_decode(bytes_writer_view(&a), &b) != 0
            || !bytes_equal(bytes_writer_view(&b), in)))
    {
        abort();
    }

    return 0;
}
