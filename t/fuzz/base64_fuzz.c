/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * base64.c: in each form what decodes encodes to the same text, and all bytes
 * encode and decode to themselves.  Inputs up to 1024 bytes make sense.
 */


#include <stdlib.h>

#include "base64.h"


#define FUZZ_SIZE_MAX  4096       /* bytes */


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes_t         in;
    bytes_writer_t  a, b;
    base64_form_t   form;

    static uint8_t  first[base64_encoded_max(FUZZ_SIZE_MAX)];
    static uint8_t  second[base64_encoded_max(FUZZ_SIZE_MAX)];

    if (size > FUZZ_SIZE_MAX) {
        return 0;
    }

    in = bytes_make(data, size);

    for (form = BASE64_URL; form <= BASE64_STD_RAW; form++) {
        bytes_writer_open(&a, first, base64_decoded_max(size));
        bytes_writer_open(&b, second, sizeof(second));

        if (base64_decode(form, in, &a) == 0
            && (base64_encode(form, bytes_writer_view(&a), &b) != 0
                || !bytes_equal(bytes_writer_view(&b), in)))
        {
            abort();
        }

        bytes_writer_open(&a, first, base64_encoded_max(size));
        bytes_writer_open(&b, second, sizeof(second));

        if (base64_encode(form, in, &a) != 0
            || base64_decode(form, bytes_writer_view(&a), &b) != 0
            || !bytes_equal(bytes_writer_view(&b), in))
        {
            abort();
        }
    }

    return 0;
}
