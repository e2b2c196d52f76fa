/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Private keys of every type: made, read from a line of text, written to
 * one, and signing.  Ed25519 is libsodium's, as everywhere; the others are
 * libcrypto's, which keeps their secrets and wipes them when they are freed.
 *
 * For programs and tests; the node signs with Ed25519 alone.  One thread a
 * signer.
 */


#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <sodium.h>

#include "base64.h"
#include "signature_context.h"
#include "signature_curve.h"
#include "signature_rsa.h"
#include "signature_signer.h"


static int open_private(signature_signer_t *signer, bytes_t secret);
static int open_public(signature_signer_t *signer);
static int check_pair(const signature_signer_t *signer);
static int write_secret(const signature_signer_t *signer, bytes_writer_t *w);
static int sign(const signature_signer_t *signer, bytes_t message,
    bytes_writer_t *w);


static const char *const  signature_signer_prefixes[DID_ALGORITHM_COUNT] = {
    [DID_ED25519] =   "ed25519",
    [DID_P256] =      "p256",
    [DID_SECP256K1] = "secp256k1",
    [DID_RSA] =       "rsa",
    [DID_P384] =      "p384",
    [DID_P521] =      "p521"
};


int
signature_signer_create(signature_signer_t *signer, did_algorithm_t algorithm,
    unsigned bits)
{
    int              rc;
    signature_key_t  key;

    memset(signer, 0, sizeof(signature_signer_t));

    if (algorithm == DID_ED25519) {
        signature_key_create(&key);
        signature_signer_wrap(signer, &key);
        signature_key_destroy(&key);
        return 0;
    }

    (void) ERR_set_mark();

    signer->key.algorithm = algorithm;
    signer->private_key = (algorithm == DID_RSA)
                          ? signature_rsa_create(bits)
                          : signature_curve_create(algorithm);

    rc = open_public(signer);

    (void) ERR_pop_to_mark();

    return rc;
}


void
signature_signer_wrap(signature_signer_t *signer, const signature_key_t *key)
{
    memset(signer, 0, sizeof(signature_signer_t));

    signer->ed25519 = *key;

    signer->key.algorithm = DID_ED25519;
    signer->key.len = sizeof(key->public_key);
    memcpy(signer->key.key, key->public_key, sizeof(key->public_key));

    signer->did_len = sizeof(key->did);
    memcpy(signer->did, key->did, sizeof(key->did));
}


int
signature_signer_parse(signature_signer_t *signer, bytes_t text)
{
    int              rc;
    size_t           i, len;
    uint8_t          buf[SIGNATURE_SIGNER_TEXT_MAX];
    bytes_t          prefix;
    bytes_writer_t   w;

    memset(signer, 0, sizeof(signature_signer_t));

    if (text.len != 0 && text.data[text.len - 1] == '\n') {
        text.len--;
    }

    if (text.len > sizeof(buf)) {
        return -1;
    }

    rc = -1;
    bytes_writer_open(&w, buf, sizeof(buf));
    (void) ERR_set_mark();

    for (i = 0; i < DID_ALGORITHM_COUNT; i++) {
        prefix = bytes_of(signature_signer_prefixes[i]);
        len = prefix.len + 1;

        if (text.len > len
            && bytes_start_with(text, prefix)
            && text.data[prefix.len] == ':')
        {
            signer->key.algorithm = (did_algorithm_t) i;

            text = bytes_make(text.data + len, text.len - len);
            rc = base64_decode(BASE64_URL, text, &w);
            break;
        }
    }

    if (rc == 0) {
        rc = open_private(signer, bytes_writer_view(&w));
    }

    (void) ERR_pop_to_mark();
    sodium_memzero(buf, sizeof(buf));

    return rc;
}


int
signature_signer_write(const signature_signer_t *signer, bytes_writer_t *w)
{
    int             rc;
    uint8_t         buf[SIGNATURE_SIGNER_TEXT_MAX], *start;
    bytes_writer_t  secret;

    bytes_writer_open(&secret, buf, sizeof(buf));
    (void) ERR_set_mark();

    start = w->pos;
    rc = write_secret(signer, &secret);

    if (rc == 0) {
        bytes_writer_text(w,
                          signature_signer_prefixes[signer->key.algorithm]);
        bytes_writer_byte(w, ':');

        if (base64_encode(BASE64_URL, bytes_writer_view(&secret), w) != 0) {
            w->failed = 1;
        }

        bytes_writer_byte(w, '\n');
    }

    (void) ERR_pop_to_mark();
    sodium_memzero(buf, sizeof(buf));

    if (rc != 0 || w->failed) {
        sodium_memzero(start, (size_t) (w->pos - start));
        w->pos = start;
        return -1;
    }

    return 0;
}


int
signature_signer_sign(const signature_signer_t *signer, bytes_t message,
    bytes_writer_t *w)
{
    int      rc;
    uint8_t  sig[SIGNATURE_ED25519_LEN];

    if (signer->key.algorithm == DID_ED25519) {
        signature_sign(&signer->ed25519, message, sig);
        bytes_writer_put(w, sig, sizeof(sig));
        return w->failed ? -1 : 0;
    }

    (void) ERR_set_mark();
    rc = sign(signer, message, w);
    (void) ERR_pop_to_mark();

    return rc;
}


bytes_t
signature_signer_did(const signature_signer_t *signer)
{
    return bytes_make(signer->did, signer->did_len);
}


void
signature_signer_destroy(signature_signer_t *signer)
{
    EVP_PKEY_free(signer->private_key);
    sodium_memzero(signer, sizeof(signature_signer_t));
}


/* The secret is of the type that stands in signer->key; what was opened is
   closed again on failure. */
static int
open_private(signature_signer_t *signer, bytes_t secret)
{
    signature_key_t  key;

    switch (signer->key.algorithm) {

    case DID_ED25519:
        if (secret.len != SIGNATURE_SEED_LEN) {
            return -1;
        }

        signature_key_open(&key, secret.data);
        signature_signer_wrap(signer, &key);
        signature_key_destroy(&key);

        return 0;

    case DID_RSA:
        signer->private_key = signature_rsa_open_private(secret);
        break;

    default:
        signer->private_key =
            signature_curve_open_scalar(signer->key.algorithm, secret);
        break;
    }

    if (open_public(signer) != 0) {
        return -1;
    }

    if (check_pair(signer) != 0) {
        signature_signer_destroy(signer);
        return -1;
    }

    return 0;
}


static int
open_public(signature_signer_t *signer)
{
    int              rc;
    bytes_writer_t   w;
    did_algorithm_t  algorithm;

    algorithm = signer->key.algorithm;
    bytes_writer_open(&w, signer->did, sizeof(signer->did));

    rc = -1;

    if (signer->private_key != NULL) {
        rc = (algorithm == DID_RSA)
             ? signature_rsa_public(signer->private_key, &signer->key)
             : signature_curve_public(signer->private_key, algorithm,
                                      &signer->key);
    }

    if (rc != 0 || did_write(&signer->key, &w) != 0) {
        signature_signer_destroy(signer);
        return -1;
    }

    signer->did_len = bytes_writer_view(&w).len;

    return 0;
}


/* The public half of an RSA key stands in its file beside the private one:
   the two may be of different keys. */
static int
check_pair(const signature_signer_t *signer)
{
    bytes_t         message;
    uint8_t         sig[SIGNATURE_SIGNER_SIG_MAX];
    bytes_writer_t  w;

    message = bytes_of("is this one key?");
    bytes_writer_open(&w, sig, sizeof(sig));

    if (sign(signer, message, &w) != 0
        || !signature_verify(&signer->key, message, bytes_writer_view(&w)))
    {
        return -1;
    }

    return 0;
}


static int
write_secret(const signature_signer_t *signer, bytes_writer_t *w)
{
    int      rc;
    size_t   len;
    uint8_t  scalar[SIGNATURE_CURVE_COORDINATE_MAX];

    switch (signer->key.algorithm) {

    case DID_ED25519:
        bytes_writer_put(w, signer->ed25519.secret, SIGNATURE_SEED_LEN);
        return 0;

    case DID_RSA:
        return signature_rsa_write(signer->private_key, w);

    default:
        len = signature_curve_len(signer->key.algorithm);
        rc = signature_curve_scalar(signer->private_key,
                                    signer->key.algorithm, scalar);
        if (rc == 0) {
            bytes_writer_put(w, scalar, len);
        }

        sodium_memzero(scalar, sizeof(scalar));

        return rc;
    }
}


static int
sign(const signature_signer_t *signer, bytes_t message, bytes_writer_t *w)
{
    int            rc;
    size_t         len, coordinate;
    uint8_t        digest[SIGNATURE_CONTEXT_DIGEST_MAX];
    uint8_t        sig[SIGNATURE_SIGNER_SIG_MAX];
    bytes_t        out;
    EVP_PKEY_CTX  *ctx;

    len = signature_context_digest(signer->key.algorithm, message, digest);

    if (len == 0 || signer->private_key == NULL) {
        return -1;
    }

    rc = -1;
    out = bytes_make(sig, sizeof(sig));
    coordinate = signature_curve_len(signer->key.algorithm);
    ctx = EVP_PKEY_CTX_new_from_pkey(NULL, signer->private_key, NULL);

    if (ctx != NULL
        && EVP_PKEY_sign_init(ctx) == 1
        && (coordinate != 0 || signature_rsa_init(ctx) == 0)
        && EVP_PKEY_sign(ctx, sig, &out.len, digest, len) == 1)
    {
        if (coordinate != 0) {
            rc = signature_curve_decode(out, coordinate, w);

        } else {
            bytes_writer_bytes(w, out);
            rc = w->failed ? -1 : 0;
        }
    }

    EVP_PKEY_CTX_free(ctx);

    return rc;
}
