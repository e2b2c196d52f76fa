/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What the tests of signatures have in common: keys and bytes out of hex.
 */


#ifndef _SIGNATURE_MAKE_H_INCLUDED_
#define _SIGNATURE_MAKE_H_INCLUDED_


#include <sodium.h>

#include "signature.h"
#include "tap.h"


/* Reads hex into a buffer of the test; the bytes of it. */
static inline bytes_t
make_bytes(const char *hex, uint8_t *buf, size_t size)
{
    size_t  len;

    if (sodium_hex2bin(buf, size, hex, strlen(hex), NULL, &len, NULL) != 0) {
        tap_ok(0, "the test's own hex is hex and fits");
        len = 0;
    }

    return bytes_make(buf, len);
}


static inline void
make_public(did_key_t *key, did_algorithm_t algorithm, const char *hex)
{
    memset(key, 0, sizeof(did_key_t));

    key->algorithm = algorithm;
    key->len = make_bytes(hex, key->key, sizeof(key->key)).len;
}


#endif /* _SIGNATURE_MAKE_H_INCLUDED_ */
