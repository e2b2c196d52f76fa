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

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <sodium.h>

#include "digest.h"


_Static_assert(DIGEST_SHA256_LEN == crypto_hash_sha256_BYTES, "SHA-256");


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
