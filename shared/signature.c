/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Signatures: the type of the key picks the algorithm, one for each type.
 *
 * Ed25519 is libsodium's, which refuses small-order and non-canonical points
 * and S >= L by itself.  Any thread; the caller wipes the keys it opened.
 */


#include <sodium.h>

#include "base64.h"
#include "signature.h"


_Static_assert(SIGNATURE_SEED_LEN == crypto_sign_SEEDBYTES, "seed");
_Static_assert(SIGNATURE_ED25519_LEN == crypto_sign_BYTES, "signature");


int
signature_verify(const did_key_t *key, bytes_t message, bytes_t sig)
{
    if (key->algorithm != DID_ED25519
        || key->len != crypto_sign_PUBLICKEYBYTES
        || sig.len != SIGNATURE_ED25519_LEN)
    {
        return 0;
    }

    return crypto_sign_verify_detached(sig.data, message.data, message.len,
                                       key->key)
           == 0;
}


int
signature_key_valid(const did_key_t *key)
{
    return key->algorithm == DID_ED25519
           && key->len == crypto_sign_PUBLICKEYBYTES
           && crypto_core_ed25519_is_valid_point(key->key) == 1;
}


void
signature_key_open(signature_key_t *key, const uint8_t *seed)
{
    bytes_writer_t  w;

    crypto_sign_seed_keypair(key->public_key, key->secret, seed);

    bytes_writer_open(&w, key->did, sizeof(key->did));
    (void) did_write_ed25519(key->public_key, &w);
}


void
signature_key_create(signature_key_t *key)
{
    uint8_t  seed[SIGNATURE_SEED_LEN];

    randombytes_buf(seed, sizeof(seed));
    signature_key_open(key, seed);
    sodium_memzero(seed, sizeof(seed));
}


void
signature_sign(const signature_key_t *key, bytes_t message, uint8_t *sig)
{
    crypto_sign_detached(sig, NULL, message.data, message.len, key->secret);
}


void
signature_key_destroy(signature_key_t *key)
{
    sodium_memzero(key->secret, sizeof(key->secret));
}


int
signature_seed_parse(bytes_t text, const char *prefix, uint8_t *seed)
{
    int             rc;
    uint8_t         buf[SIGNATURE_SEED_LEN];
    bytes_t         head;
    bytes_writer_t  w;

    head = bytes_of(prefix);

    if (text.len != 0 && text.data[text.len - 1] == '\n') {
        text.len--;
    }

    if (!bytes_start_with(text, head)
        || text.len == head.len
        || text.data[head.len] != ':')
    {
        return -1;
    }

    text.data += head.len + 1;
    text.len -= head.len + 1;

    bytes_writer_open(&w, buf, sizeof(buf));

    rc = base64_decode(BASE64_URL, text, &w);

    if (rc == 0 && bytes_writer_left(&w) != 0) {
        rc = -1;
    }

    if (rc == 0) {
        memcpy(seed, buf, sizeof(buf));
    }

    sodium_memzero(buf, sizeof(buf));

    return rc;
}


void
signature_seed_write(bytes_writer_t *w, const char *prefix,
    const uint8_t *seed)
{
    bytes_writer_text(w, prefix);
    bytes_writer_byte(w, ':');

    if (base64_encode(BASE64_URL, bytes_make(seed, SIGNATURE_SEED_LEN), w)
        != 0)
    {
        w->failed = 1;
    }

    bytes_writer_byte(w, '\n');
}
