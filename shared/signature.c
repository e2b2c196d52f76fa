/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Signatures: the type of the key picks the algorithm, one for each type.
 *
 *     Ed25519     EdDSA, 64 bytes
 *     P-256       ECDSA with SHA-256, R || S of 64 bytes, secp256k1 too
 *     P-384       ECDSA with SHA-384, R || S of 96 bytes
 *     P-521       ECDSA with SHA-512, R || S of 132 bytes
 *     RSA         PKCS#1 v1.5 with SHA-256, as long as the modulus
 *
 * Ed25519 is libsodium's, which refuses small-order and non-canonical points
 * and S >= L by itself; the others are libcrypto's (signature_context.c).
 * Any thread; the caller wipes the keys it opened.
 */


#include <sodium.h>

#include "base64.h"
#include "did_rsa.h"
#include "signature.h"
#include "signature_context.h"
#include "signature_curve.h"
#include "varint.h"


/* numbers of varsig 1.0 and of multicodec */

#define SIGNATURE_VARSIG       0x34
#define SIGNATURE_VARSIG_1     0x01
#define SIGNATURE_EDDSA        0xed
#define SIGNATURE_ECDSA        0xec
#define SIGNATURE_RSA          0x1205
#define SIGNATURE_SHA2_256     0x12
#define SIGNATURE_SHA2_384     0x20
#define SIGNATURE_SHA2_512     0x13
#define SIGNATURE_DAG_CBOR     0x71


typedef struct {
    const char  *jwt;             /* "alg" of a JWT */
    uint64_t     family;          /* of varsig */
    uint64_t     curve;           /* of varsig; 0: RSA has none */
    uint64_t     hash;            /* multihash */
} signature_algorithm_t;


static const signature_algorithm_t
    signature_algorithms[DID_ALGORITHM_COUNT] =
{
    [DID_ED25519] =
        { "EdDSA",  SIGNATURE_EDDSA, 0xed,   SIGNATURE_SHA2_512 },
    [DID_P256] =
        { "ES256",  SIGNATURE_ECDSA, 0x1200, SIGNATURE_SHA2_256 },
    [DID_SECP256K1] =
        { "ES256K", SIGNATURE_ECDSA, 0xe7,   SIGNATURE_SHA2_256 },
    [DID_RSA] =
        { "RS256",  SIGNATURE_RSA,   0,      SIGNATURE_SHA2_256 },
    [DID_P384] =
        { "ES384",  SIGNATURE_ECDSA, 0x1201, SIGNATURE_SHA2_384 },
    [DID_P521] =
        { "ES512",  SIGNATURE_ECDSA, 0x1202, SIGNATURE_SHA2_512 }
};


_Static_assert(SIGNATURE_SEED_LEN == crypto_sign_SEEDBYTES, "seed");
_Static_assert(SIGNATURE_ED25519_LEN == crypto_sign_BYTES, "signature");


int
signature_verify(const did_key_t *key, bytes_t message, bytes_t sig)
{
    size_t  len;

    len = signature_len(key);

    if (len == 0 || sig.len != len) {
        return 0;
    }

    if (key->algorithm != DID_ED25519) {
        return signature_context_verify(key, message, sig);
    }

    return crypto_sign_verify_detached(sig.data, message.data, message.len,
                                       key->key)
           == 0;
}


size_t
signature_len(const did_key_t *key)
{
    size_t     len;
    did_rsa_t  rsa;

    switch (key->algorithm) {

    case DID_ED25519:
        return (key->len == crypto_sign_PUBLICKEYBYTES)
               ? SIGNATURE_ED25519_LEN : 0;

    case DID_RSA:
        return (did_rsa_parse(bytes_make(key->key, key->len), &rsa) == 0)
               ? rsa.modulus.len : 0;

    default:
        len = signature_curve_len(key->algorithm);
        return (key->len == len + 1) ? 2 * len : 0;
    }
}


int
signature_twin(did_algorithm_t algorithm, bytes_t sig, bytes_writer_t *w)
{
    return signature_curve_twin(algorithm, sig, w);
}


const char *
signature_jwt_name(did_algorithm_t algorithm)
{
    return signature_algorithms[algorithm].jwt;
}


int
signature_varsig(const did_key_t *key, bytes_writer_t *w)
{
    const signature_algorithm_t  *a;

    a = &signature_algorithms[key->algorithm];

    varint_write(w, SIGNATURE_VARSIG);
    varint_write(w, SIGNATURE_VARSIG_1);
    varint_write(w, a->family);

    if (key->algorithm == DID_RSA) {
        varint_write(w, a->hash);
        varint_write(w, signature_len(key));

    } else {
        varint_write(w, a->curve);
        varint_write(w, a->hash);
    }

    varint_write(w, SIGNATURE_DAG_CBOR);

    return w->failed ? -1 : 0;
}


int
signature_key_valid(const did_key_t *key)
{
    if (signature_len(key) == 0) {
        return 0;
    }

    if (key->algorithm != DID_ED25519) {
        return signature_context_valid(key);
    }

    return crypto_core_ed25519_is_valid_point(key->key) == 1;
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
