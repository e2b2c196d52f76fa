/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * did.c: a did:key that is read is written as the same text, and a key that
 * is written is read as the same key.  Inputs up to 1100 bytes make sense:
 * the text, and the same bytes as a key of the type that the first one names.
 */


#include <stdlib.h>

#include "signature.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(bytes_t text);
static void check_key(const uint8_t *data, size_t size);
static void check_ed25519(const uint8_t *data);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_text(bytes_make(data, size));

    if (size > 1 && size - 1 <= DID_KEY_MAX) {
        check_key(data, size);
    }

    if (size >= 32) {
        check_ed25519(data);
    }

    return 0;
}


static void
check_text(bytes_t text)
{
    uint8_t         buf[DID_TEXT_MAX], varsig[SIGNATURE_VARSIG_MAX];
    did_key_t       key;
    bytes_writer_t  w;

    if (did_parse(text, &key) != 0) {

        if (key.len != 0) {
            abort();
        }

        return;
    }

    bytes_writer_open(&w, buf, sizeof(buf));

    if (did_write(&key, &w) != 0
        || !bytes_equal(bytes_writer_view(&w), text))
    {
        abort();
    }

    /* what has the form of a key has all that goes with one */

    bytes_writer_open(&w, varsig, sizeof(varsig));

    if (signature_len(&key) < 64
        || signature_varsig(&key, &w) != 0
        || signature_jwt_name(key.algorithm) == NULL)
    {
        abort();
    }
}


static void
check_key(const uint8_t *data, size_t size)
{
    uint8_t         text[DID_TEXT_MAX];
    did_key_t       key, again;
    bytes_writer_t  w;

    memset(&key, 0, sizeof(key));

    key.algorithm = (did_algorithm_t) (data[0] % (DID_ALGORITHM_COUNT + 1));
    key.len = size - 1;
    memcpy(key.key, data + 1, key.len);

    bytes_writer_open(&w, text, sizeof(text));

    if (did_write(&key, &w) != 0) {

        if (bytes_writer_view(&w).len != 0) {
            abort();
        }

        return;
    }

    if (did_parse(bytes_writer_view(&w), &again) != 0
        || again.algorithm != key.algorithm
        || again.len != key.len
        || memcmp(again.key, key.key, key.len) != 0)
    {
        abort();
    }
}


static void
check_ed25519(const uint8_t *data)
{
    uint8_t         text[DID_ED25519_LEN];
    did_key_t       key;
    bytes_writer_t  w;

    bytes_writer_open(&w, text, sizeof(text));

    if (did_write_ed25519(data, &w) != 0
        || did_parse(bytes_writer_view(&w), &key) != 0
        || key.algorithm != DID_ED25519
        || memcmp(key.key, data, 32) != 0)
    {
        abort();
    }
}
