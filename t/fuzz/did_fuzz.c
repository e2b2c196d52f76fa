/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * did.c: a did:key that is read is written as the same text.  Inputs up to
 * 1100 bytes make sense.
 */


#include <stdlib.h>

#include "did.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t         text[DID_ED25519_LEN];
    did_key_t       key, again;
    bytes_writer_t  w;

    if (did_parse(bytes_make(data, size), &key) == 0) {
        bytes_writer_open(&w, text, sizeof(text));

        if (key.algorithm != DID_ED25519
            || did_write_ed25519(key.key, &w) != 0
            || !bytes_equal(bytes_writer_view(&w), bytes_make(data, size)))
        {
            abort();
        }
    }

    if (size < 32) {
        return 0;
    }

    bytes_writer_open(&w, text, sizeof(text));

    if (did_write_ed25519(data, &w) != 0
        || did_parse(bytes_writer_view(&w), &again) != 0
        || memcmp(again.key, data, 32) != 0)
    {
        abort();
    }

    return 0;
}
