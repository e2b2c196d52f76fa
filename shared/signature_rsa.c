/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * RSA with PKCS#1 v1.5 and SHA-256 ("RS256"), by libcrypto.
 *
 * Which moduli and exponents are taken is did_rsa.c's business; everything
 * that becomes a key here went through it.  Any thread.
 */


#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

#include "did_rsa.h"
#include "signature_rsa.h"


static void reverse(bytes_t number, uint8_t *out);


EVP_PKEY *
signature_rsa_open(const did_key_t *key)
{
    uint8_t        n[DID_KEY_MAX], e[DID_RSA_EXPONENT_MAX];
    EVP_PKEY      *out;
    did_rsa_t      rsa;
    OSSL_PARAM     params[3];
    EVP_PKEY_CTX  *ctx;

    if (key->algorithm != DID_RSA
        || did_rsa_parse(bytes_make(key->key, key->len), &rsa) != 0)
    {
        return NULL;
    }

    reverse(rsa.modulus, n);
    reverse(rsa.exponent, e);

    params[0] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, n,
                                        rsa.modulus.len);
    params[1] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, e,
                                        rsa.exponent.len);
    params[2] = OSSL_PARAM_construct_end();

    out = NULL;
    ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);

    if (ctx != NULL
        && (EVP_PKEY_fromdata_init(ctx) != 1
            || EVP_PKEY_fromdata(ctx, &out, EVP_PKEY_PUBLIC_KEY, params)
               != 1))
    {
        EVP_PKEY_free(out);
        out = NULL;
    }

    EVP_PKEY_CTX_free(ctx);

    return out;
}


EVP_PKEY *
signature_rsa_open_private(bytes_t der)
{
    int             len;
    uint8_t        *again;
    EVP_PKEY       *key;
    const uint8_t  *p;

    p = der.data;
    key = d2i_PrivateKey(EVP_PKEY_RSA, NULL, &p, (long) der.len);

    /* libcrypto reads other forms too: ours is the one that it writes */

    again = NULL;
    len = (key != NULL) ? i2d_PrivateKey(key, &again) : 0;

    if (len <= 0 || !bytes_equal(bytes_make(again, (size_t) len), der)) {
        EVP_PKEY_free(key);
        key = NULL;
    }

    if (len > 0) {
        OPENSSL_clear_free(again, (size_t) len);
    }

    return key;
}


EVP_PKEY *
signature_rsa_create(unsigned bits)
{
    if (bits != 2048 && bits != 3072 && bits != 4096) {
        return NULL;
    }

    return EVP_RSA_gen(bits);
}


int
signature_rsa_public(EVP_PKEY *private_key, did_key_t *key)
{
    int        len;
    uint8_t   *p;
    did_rsa_t  rsa;

    len = i2d_PublicKey(private_key, NULL);

    if (len <= 0 || (size_t) len > sizeof(key->key)) {
        return -1;
    }

    p = key->key;

    if (i2d_PublicKey(private_key, &p) != len
        || did_rsa_parse(bytes_make(key->key, (size_t) len), &rsa) != 0)
    {
        return -1;
    }

    key->algorithm = DID_RSA;
    key->len = (size_t) len;

    return 0;
}


int
signature_rsa_write(EVP_PKEY *private_key, bytes_writer_t *w)
{
    int       len;
    uint8_t  *der;

    der = NULL;
    len = i2d_PrivateKey(private_key, &der);

    if (len <= 0) {
        return -1;
    }

    bytes_writer_put(w, der, (size_t) len);
    OPENSSL_clear_free(der, (size_t) len);

    return w->failed ? -1 : 0;
}


int
signature_rsa_init(EVP_PKEY_CTX *ctx)
{
    return (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1
            && EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1)
           ? 0 : -1;
}


/* Numbers go to libcrypto in the order of the machine. */
static void
reverse(bytes_t number, uint8_t *out)
{
    size_t  i;

#if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

    for (i = 0; i < number.len; i++) {
        out[i] = number.data[number.len - 1 - i];
    }

#else

    for (i = 0; i < number.len; i++) {
        out[i] = number.data[i];
    }

#endif
}
