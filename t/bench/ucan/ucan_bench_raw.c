/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The raw bounds of the UCAN bench: CPU time of one verification and one
 * SHA-256 of a token of usual size, nothing around it: Ed25519 in libsodium,
 * and the other keys in libcrypto.  Prints lines of name and microseconds.
 *
 *     ucan_bench_raw [Ed25519]
 */


#include <stdio.h>
#include <time.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <sodium.h>


#define RAW_ROUNDS         5000
#define RAW_ROUNDS_OTHERS  700
#define RAW_BYTES          370       /* of a token */
#define RAW_SIGNATURE_MAX  512


static uint8_t  raw_message[RAW_BYTES];


static double
cpu_seconds(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);

    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}


static int
run_ed25519(void)
{
    int      i, bad;
    double   start;
    uint8_t  public_key[crypto_sign_PUBLICKEYBYTES],
             secret_key[crypto_sign_SECRETKEYBYTES],
             signature[crypto_sign_BYTES],
             digest[crypto_hash_sha256_BYTES];

    crypto_sign_keypair(public_key, secret_key);
    crypto_sign_detached(signature, NULL, raw_message, RAW_BYTES, secret_key);

    bad = 0;
    start = cpu_seconds();

    for (i = 0; i < RAW_ROUNDS; i++) {
        bad |= crypto_sign_verify_detached(signature, raw_message, RAW_BYTES,
                                           public_key);
        bad |= crypto_hash_sha256(digest, raw_message, RAW_BYTES);
    }

    printf("Ed25519 %.2f\n", (cpu_seconds() - start) * 1e6 / RAW_ROUNDS);

    return bad;
}


static int
verify(EVP_PKEY *key, const EVP_MD *md, const uint8_t *signature, size_t len)
{
    int          rc;
    EVP_MD_CTX  *ctx;

    ctx = EVP_MD_CTX_new();

    rc = ctx != NULL
         && EVP_DigestVerifyInit(ctx, NULL, md, NULL, key) == 1
         && EVP_DigestVerify(ctx, signature, len, raw_message, RAW_BYTES)
            == 1;

    EVP_MD_CTX_free(ctx);

    return rc ? 0 : -1;
}


static int
run_other(const char *name, EVP_PKEY *key, const EVP_MD *md)
{
    int          i, bad;
    double       start;
    size_t       len;
    uint8_t      signature[RAW_SIGNATURE_MAX],
                 digest[crypto_hash_sha256_BYTES];
    EVP_MD_CTX  *ctx;

    len = sizeof(signature);
    ctx = EVP_MD_CTX_new();

    if (ctx == NULL
        || key == NULL
        || EVP_DigestSignInit(ctx, NULL, md, NULL, key) != 1
        || EVP_DigestSign(ctx, signature, &len, raw_message, RAW_BYTES) != 1)
    {
        EVP_MD_CTX_free(ctx);
        EVP_PKEY_free(key);
        return -1;
    }

    EVP_MD_CTX_free(ctx);

    bad = 0;
    start = cpu_seconds();

    for (i = 0; i < RAW_ROUNDS_OTHERS; i++) {
        bad |= verify(key, md, signature, len);
        bad |= crypto_hash_sha256(digest, raw_message, RAW_BYTES);
    }

    printf("%s %.2f\n", name,
           (cpu_seconds() - start) * 1e6 / RAW_ROUNDS_OTHERS);

    EVP_PKEY_free(key);

    return bad;
}


int
main(int argc, char **argv)
{
    int  bad;

    (void) argv;

    if (sodium_init() < 0) {
        return 1;
    }

    randombytes_buf(raw_message, sizeof(raw_message));

    bad = run_ed25519();

    if (argc > 1) {
        return bad ? 1 : 0;
    }

    bad |= run_other("P-256", EVP_EC_gen("P-256"), EVP_sha256());
    bad |= run_other("secp256k1", EVP_EC_gen("secp256k1"), EVP_sha256());
    bad |= run_other("P-384", EVP_EC_gen("P-384"), EVP_sha384());
    bad |= run_other("P-521", EVP_EC_gen("P-521"), EVP_sha512());
    bad |= run_other("RSA", EVP_RSA_gen(2048), EVP_sha256());

    return bad ? 1 : 0;
}
