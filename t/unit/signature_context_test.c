/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The table of keys that stay: more keys than slots, threads that want the
 * same one, and what libcrypto has to say, which must not stay.
 */


#include <pthread.h>
#include <stdatomic.h>

#include <openssl/err.h>

#include "signature_context.h"
#include "signature_make.h"
#include "signature_signer.h"


#define KEYS     150
#define THREADS  4
#define TURNS    300


static struct {
    did_key_t  key;
    uint8_t    sig[64];
} made[KEYS];

static atomic_uint  failures;


static int
verify(size_t i, const char *message)
{
    return signature_context_verify(&made[i].key, bytes_of(message),
                                    bytes_make(made[i].sig, 64));
}


static void
test_many_keys(void)
{
    size_t              i, failed;
    bytes_writer_t      w;
    signature_signer_t  signer;

    failed = 0;

    for (i = 0; i < KEYS; i++) {
        bytes_writer_open(&w, made[i].sig, sizeof(made[i].sig));

        failed += signature_signer_create(&signer, DID_P256, 0) != 0
                  || signature_signer_sign(&signer, bytes_of("m"), &w) != 0;
        made[i].key = signer.key;
        signature_signer_destroy(&signer);
    }

    for (i = 0; i < 3 * KEYS; i++) {
        failed += !verify(i % KEYS, "m") || verify(i % KEYS, "n");
    }

    tap_ok(failed == 0, "%d keys verify their own, in turn", KEYS);

    /* the same slot, another key */

    for (i = 0; i + 1 < KEYS; i++) {
        failed += signature_context_verify(&made[i].key, bytes_of("m"),
                                           bytes_make(made[i + 1].sig, 64));
    }

    tap_ok(failed == 0, "and no key that of another");
}


static void *
run_thread(void *data)
{
    size_t  i, n;

    n = (size_t) (uintptr_t) data;

    for (i = 0; i < TURNS; i++) {

        /* all at one key, and each at its own */

        if (!verify(i % 3, "m") || verify(i % 3, "n")
            || !verify((n * 37 + i) % KEYS, "m"))
        {
            atomic_fetch_add(&failures, 1);
        }

        if (ERR_peek_error() != 0) {
            atomic_fetch_add(&failures, 1);
        }
    }

    return NULL;
}


static void
test_threads(void)
{
    size_t     i, started;
    pthread_t  threads[THREADS];

    started = 0;

    for (i = 0; i < THREADS; i++) {
        started += pthread_create(&threads[i], NULL, run_thread,
                                  (void *) (uintptr_t) i) == 0;
    }

    for (i = 0; i < started; i++) {
        (void) pthread_join(threads[i], NULL);
    }

    tap_ok(started == THREADS && atomic_load(&failures) == 0,
           "%d threads have no signature in common", THREADS);
}


static void
test_errors(void)
{
    did_key_t  key;

    ERR_clear_error();

    key = made[0].key;
    memset(key.key + 1, 0xff, key.len - 1);

    tap_ok(!signature_context_valid(&key) && !verify(0, "n"),
           "a key and a signature are bad");
    tap_ok(ERR_peek_error() == 0, "and libcrypto's errors are gone");

    ERR_raise(ERR_LIB_USER, 1);
    (void) signature_context_valid(&key);
    (void) verify(0, "n");
    tap_ok(ERR_GET_LIB(ERR_get_error()) == ERR_LIB_USER
           && ERR_peek_error() == 0, "while those of others stay");
}


static void
test_digests(void)
{
    uint8_t  out[SIGNATURE_CONTEXT_DIGEST_MAX], expected[64];

    tap_ok(signature_context_digest(DID_P256, bytes_of("abc"), out) == 32
           && signature_context_digest(DID_SECP256K1, bytes_of("abc"), out)
              == 32
           && signature_context_digest(DID_RSA, bytes_of("abc"), out) == 32
           && crypto_hash_sha256(expected, (const uint8_t *) "abc", 3) == 0
           && memcmp(out, expected, 32) == 0,
           "three types sign a SHA-256");
    tap_ok(signature_context_digest(DID_P384, bytes_of("abc"), out) == 48,
           "P-384 a SHA-384");
    tap_ok(signature_context_digest(DID_P521, bytes_of("abc"), out) == 64
           && crypto_hash_sha512(expected, (const uint8_t *) "abc", 3) == 0
           && memcmp(out, expected, 64) == 0, "P-521 a SHA-512");
    tap_ok(signature_context_digest(DID_ED25519, bytes_of("abc"), out) == 0,
           "and Ed25519 the message itself");
}


int
main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }

    test_many_keys();
    test_threads();
    test_errors();
    test_digests();

    return tap_done();
}
