/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The raw bound of the UCAN bench: CPU time of one Ed25519 verification and
 * one SHA-256 of a token of usual size, in libsodium, nothing around it.
 * Prints microseconds.
 */


#include <stdio.h>
#include <time.h>

#include <sodium.h>


#define RAW_ROUNDS  20000
#define RAW_BYTES   300           /* of a signed part */


static double
cpu_seconds(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);

    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}


int
main(void)
{
    int      i, bad;
    double   start;
    uint8_t  public_key[crypto_sign_PUBLICKEYBYTES],
             secret_key[crypto_sign_SECRETKEYBYTES],
             signature[crypto_sign_BYTES],
             digest[crypto_hash_sha256_BYTES],
             message[RAW_BYTES];

    if (sodium_init() < 0) {
        return 1;
    }

    randombytes_buf(message, sizeof(message));
    crypto_sign_keypair(public_key, secret_key);
    crypto_sign_detached(signature, NULL, message, sizeof(message),
                         secret_key);

    bad = 0;
    start = cpu_seconds();

    for (i = 0; i < RAW_ROUNDS; i++) {
        bad |= crypto_sign_verify_detached(signature, message,
                                           sizeof(message), public_key);
        bad |= crypto_hash_sha256(digest, message, sizeof(message));
    }

    printf("%.2f\n", (cpu_seconds() - start) * 1e6 / RAW_ROUNDS);

    return bad ? 1 : 0;
}
