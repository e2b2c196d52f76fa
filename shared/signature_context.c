/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Signature checks by libcrypto.
 *
 * To make a key of its bytes costs up to half of a check: a square root for a
 * point, and what libcrypto does around each object.  So the keys that were
 * used last stay, ready to verify, in a table of slots.  A thread takes one
 * out of its slot while it works, so that no two work with the same; whoever
 * finds a slot empty, or with another key, makes one of his own.
 *
 *     slot   take ->  verify  -> release: into the slot again, and
 *                                what stood there meanwhile is freed
 *
 * Only public keys are here, and a slot tells nothing that the key does not.
 * Any thread; libcrypto's errors never leave this file.
 */


#include <stdatomic.h>
#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "digest.h"
#include "signature_context.h"
#include "signature_curve.h"
#include "signature_rsa.h"


#define SIGNATURE_CONTEXT_SLOTS  64     /* keys that stay */


typedef struct {
    did_key_t      key;
    EVP_PKEY_CTX  *ctx;                 /* owned, ready to verify */
} signature_context_t;


static int verify(const did_key_t *key, bytes_t digest, bytes_t sig);
static signature_context_t *take(const did_key_t *key);
static void release(signature_context_t *c);
static signature_context_t *create(const did_key_t *key);
static void destroy(signature_context_t *c);
static size_t find_slot(const did_key_t *key);
static void open_slots(void);
static void close_slots(void);


static CRYPTO_ONCE  signature_context_once = CRYPTO_ONCE_STATIC_INIT;

static _Atomic(signature_context_t *)
    signature_context_slots[SIGNATURE_CONTEXT_SLOTS];


int
signature_context_verify(const did_key_t *key, bytes_t message, bytes_t sig)
{
    int             valid;
    uint8_t         digest[SIGNATURE_CONTEXT_DIGEST_MAX];
    uint8_t         der[SIGNATURE_CURVE_DER_MAX];
    size_t          len;
    bytes_writer_t  w;

    len = signature_curve_len(key->algorithm);

    if (len != 0) {
        bytes_writer_open(&w, der, sizeof(der));

        if (sig.len != len * 2 || signature_curve_encode(sig, &w) != 0) {
            return 0;
        }

        sig = bytes_writer_view(&w);
    }

    (void) ERR_set_mark();

    len = signature_context_digest(key->algorithm, message, digest);
    valid = len != 0 && verify(key, bytes_make(digest, len), sig);

    (void) ERR_pop_to_mark();

    return valid;
}


int
signature_context_valid(const did_key_t *key)
{
    int                   valid;
    signature_context_t  *c;

    (void) ERR_set_mark();

    c = take(key);
    valid = c != NULL;
    release(c);

    (void) ERR_pop_to_mark();

    return valid;
}


size_t
signature_context_digest(did_algorithm_t algorithm, bytes_t message,
    uint8_t out[SIGNATURE_CONTEXT_DIGEST_MAX])
{
    unsigned       len;
    const EVP_MD  *method;

    switch (algorithm) {

    case DID_P256:
    case DID_SECP256K1:
    case DID_RSA:
        digest_sha256(message, out);
        return DIGEST_SHA256_LEN;

    case DID_P384:
        method = EVP_sha384();
        break;

    case DID_P521:
        method = EVP_sha512();
        break;

    default:
        return 0;
    }

    len = 0;

    if (EVP_Digest(message.data, message.len, out, &len, method, NULL) != 1) {
        return 0;
    }

    return len;
}


static int
verify(const did_key_t *key, bytes_t digest, bytes_t sig)
{
    int                   valid;
    signature_context_t  *c;

    c = take(key);

    if (c == NULL) {
        return 0;
    }

    /* 0 is a bad signature, and less is an error: what is not 1 is none */

    valid = EVP_PKEY_verify(c->ctx, sig.data, sig.len, digest.data,
                            digest.len)
            == 1;

    release(c);

    return valid;
}


/* A context of the caller's own; NULL when it is no key. */
static signature_context_t *
take(const did_key_t *key)
{
    signature_context_t  *c;

    if (!CRYPTO_THREAD_run_once(&signature_context_once, open_slots)) {
        return NULL;
    }

    c = atomic_exchange(&signature_context_slots[find_slot(key)], NULL);

    if (c != NULL
        && c->key.algorithm == key->algorithm
        && c->key.len == key->len
        && memcmp(c->key.key, key->key, key->len) == 0)
    {
        return c;
    }

    destroy(c);

    return create(key);
}


static void
release(signature_context_t *c)
{
    if (c != NULL) {
        destroy(atomic_exchange(&signature_context_slots[find_slot(&c->key)],
                                c));
    }
}


static signature_context_t *
create(const did_key_t *key)
{
    EVP_PKEY             *public_key;
    signature_context_t  *c;

    public_key = (key->algorithm == DID_RSA) ? signature_rsa_open(key)
                                             : signature_curve_open(key);

    if (public_key == NULL) {
        return NULL;
    }

    c = OPENSSL_malloc(sizeof(signature_context_t));

    if (c != NULL) {
        c->key = *key;
        c->ctx = EVP_PKEY_CTX_new_from_pkey(NULL, public_key, NULL);

        if (c->ctx == NULL
            || EVP_PKEY_verify_init(c->ctx) != 1
            || (key->algorithm == DID_RSA && signature_rsa_init(c->ctx) != 0))
        {
            destroy(c);
            c = NULL;
        }
    }

    /* the context counts itself as an owner */

    EVP_PKEY_free(public_key);

    return c;
}


static void
destroy(signature_context_t *c)
{
    if (c != NULL) {
        EVP_PKEY_CTX_free(c->ctx);
        OPENSSL_free(c);
    }
}


/* The middle of every form of key differs from key to key. */
static size_t
find_slot(const did_key_t *key)
{
    size_t  middle;

    middle = key->len / 2;

    return (key->key[middle] ^ (size_t) key->algorithm << 4)
           % SIGNATURE_CONTEXT_SLOTS;
}


/* libcrypto registers its own end first, so that ours comes before it; in a
   module that is unloaded it comes then. */
static void
open_slots(void)
{
    if (OPENSSL_init_crypto(0, NULL) == 1) {
        (void) atexit(close_slots);
    }
}


static void
close_slots(void)
{
    size_t  i;

    for (i = 0; i < SIGNATURE_CONTEXT_SLOTS; i++) {
        destroy(atomic_exchange(&signature_context_slots[i], NULL));
    }
}
