/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * SHA-256.  libcrypto uses the instructions that processors have for it,
 * which makes it four times as fast as libsodium over the bytes of a token;
 * the latter answers when the former cannot (it may run out of memory).
 *
 * The implementation is fetched once: to look it up each time costs as much
 * as the digest.  Any thread.
 */


#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <sodium.h>

#include "digest.h"


_Static_assert(DIGEST_SHA256_LEN == crypto_hash_sha256_BYTES, "SHA-256");
_Static_assert(sizeof(((digest_t *) 0)->state)
               >= sizeof(crypto_hash_sha256_state), "state of SHA-256");


static void fetch(void);
static void release(void);


static CRYPTO_ONCE  digest_once = CRYPTO_ONCE_STATIC_INIT;
static EVP_MD      *digest_method;       /* owned; NULL: there is none */


void
digest_sha256(bytes_t b, uint8_t out[DIGEST_SHA256_LEN])
{
    if (CRYPTO_THREAD_run_once(&digest_once, fetch)
        && digest_method != NULL)
    {
        if (EVP_Digest(b.data, b.len, out, NULL, digest_method, NULL) == 1) {
            return;
        }

        ERR_clear_error();
    }

    (void) crypto_hash_sha256(out, b.data, b.len);
}


void
digest_open(digest_t *d)
{
    EVP_MD_CTX  *context;

    memset(d, 0, sizeof(digest_t));

    if (CRYPTO_THREAD_run_once(&digest_once, fetch)
        && digest_method != NULL)
    {
        context = EVP_MD_CTX_new();

        if (context != NULL
            && EVP_DigestInit_ex(context, digest_method, NULL) == 1)
        {
            d->context = context;
            return;
        }

        EVP_MD_CTX_free(context);
        ERR_clear_error();
    }

    (void) crypto_hash_sha256_init((crypto_hash_sha256_state *)
                                   (void *) d->state);
}


void
digest_feed(digest_t *d, bytes_t b)
{
    if (d->context == NULL) {
        (void) crypto_hash_sha256_update((crypto_hash_sha256_state *)
                                         (void *) d->state, b.data, b.len);
        return;
    }

    if (EVP_DigestUpdate(d->context, b.data, b.len) != 1) {
        ERR_clear_error();
        d->failed = 1;
    }
}


int
digest_write(digest_t *d, uint8_t out[DIGEST_SHA256_LEN])
{
    int  failed;

    memset(out, 0, DIGEST_SHA256_LEN);

    if (d->context == NULL) {
        (void) crypto_hash_sha256_final((crypto_hash_sha256_state *)
                                        (void *) d->state, out);

    } else if (EVP_DigestFinal_ex(d->context, out, NULL) != 1) {
        ERR_clear_error();
        d->failed = 1;
    }

    failed = d->failed;

    digest_close(d);

    return failed ? -1 : 0;
}


void
digest_close(digest_t *d)
{
    EVP_MD_CTX_free(d->context);
    d->context = NULL;
}


/* libcrypto registers its own end first, so that ours comes before it; in a
   module that is unloaded it comes then. */
static void
fetch(void)
{
    (void) ERR_set_mark();

    if (OPENSSL_init_crypto(0, NULL) == 1) {
        digest_method = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    }

    (void) ERR_pop_to_mark();

    if (digest_method != NULL) {
        (void) atexit(release);
    }
}


static void
release(void)
{
    EVP_MD_free(digest_method);
    digest_method = NULL;
}
