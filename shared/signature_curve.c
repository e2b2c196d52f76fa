/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * ECDSA over four curves, by libcrypto.
 *
 * A public key is a compressed point, so that reading it is a square root:
 * what comes out is on the curve, and the cofactor of all four is 1, so that
 * every point but the one at infinity, which this form cannot write, is a
 * key.  Signatures are R || S outside and a DER sequence inside of libcrypto.
 *
 * The parameters of each curve are set up once and copied.  Any thread.
 */


#include <stdlib.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/params.h>

#include "signature_curve.h"


typedef struct {
    const char  *name;            /* as libcrypto has it; NULL: no curve */
    int          nid;
    size_t       len;             /* bytes of a coordinate */
    const char  *order;           /* len bytes */
} signature_curve_t;


static const signature_curve_t *find_curve(did_algorithm_t algorithm);
static void open_parameters(void);
static void close_parameters(void);
static EVP_PKEY *create_key(const char *name, int selection,
    const OSSL_PARAM *more);
static int multiply(const signature_curve_t *curve, const BIGNUM *scalar,
    uint8_t *point, size_t size);
static void write_integer(bytes_t number, bytes_writer_t *w);
static bytes_t read_integer(bytes_reader_t *r);
static void write_padded(bytes_t number, size_t len, bytes_writer_t *w);


static const signature_curve_t  signature_curves[DID_ALGORITHM_COUNT] = {
    [DID_P256] =      { "P-256",     NID_X9_62_prime256v1, 32,
        "\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"
        "\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51" },
    [DID_SECP256K1] = { "secp256k1", NID_secp256k1,        32,
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe"
        "\xba\xae\xdc\xe6\xaf\x48\xa0\x3b\xbf\xd2\x5e\x8c\xd0\x36\x41\x41" },
    [DID_P384] =      { "P-384",     NID_secp384r1,        48,
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
        "\xff\xff\xff\xff\xff\xff\xff\xff\xc7\x63\x4d\x81\xf4\x37\x2d\xdf"
        "\x58\x1a\x0d\xb2\x48\xb0\xa7\x7a\xec\xec\x19\x6a\xcc\xc5\x29\x73" },
    [DID_P521] =      { "P-521",     NID_secp521r1,        66,
        "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
        "\xff\xfa\x51\x86\x87\x83\xbf\x2f\x96\x6b\x7f\xcc\x01\x48\xf7\x09"
        "\xa5\xd0\x3b\xb5\xc9\xb8\x89\x9c\x47\xae\xbb\x6f\xb7\x1e\x91\x38"
        "\x64\x09" }
};


static CRYPTO_ONCE  signature_curve_once = CRYPTO_ONCE_STATIC_INIT;

/* Keys without a point; owned; NULL where libcrypto lacks the curve. */
static EVP_PKEY    *signature_curve_parameters[DID_ALGORITHM_COUNT];


size_t
signature_curve_len(did_algorithm_t algorithm)
{
    const signature_curve_t  *curve;

    curve = find_curve(algorithm);

    return (curve != NULL) ? curve->len : 0;
}


EVP_PKEY *
signature_curve_open(const did_key_t *key)
{
    EVP_PKEY                 *out;
    const signature_curve_t  *curve;

    curve = find_curve(key->algorithm);

    if (curve == NULL
        || key->len != curve->len + 1
        || (key->key[0] != 0x02 && key->key[0] != 0x03)
        || !CRYPTO_THREAD_run_once(&signature_curve_once, open_parameters)
        || signature_curve_parameters[key->algorithm] == NULL)
    {
        return NULL;
    }

    out = EVP_PKEY_dup(signature_curve_parameters[key->algorithm]);

    if (out != NULL
        && EVP_PKEY_set1_encoded_public_key(out, key->key, key->len) != 1)
    {
        EVP_PKEY_free(out);
        out = NULL;
    }

    return out;
}


EVP_PKEY *
signature_curve_open_scalar(did_algorithm_t algorithm, bytes_t scalar)
{
    int                       len;
    BIGNUM                   *number;
    uint8_t                   native[SIGNATURE_CURVE_COORDINATE_MAX];
    uint8_t                   point[SIGNATURE_CURVE_COORDINATE_MAX + 1];
    EVP_PKEY                 *key;
    OSSL_PARAM                more[3];
    const signature_curve_t  *curve;

    curve = find_curve(algorithm);

    if (curve == NULL || scalar.len != curve->len) {
        return NULL;
    }

    key = NULL;
    len = (int) curve->len;
    number = BN_bin2bn(scalar.data, len, NULL);

    if (number != NULL
        && BN_bn2nativepad(number, native, len) == len
        && multiply(curve, number, point, curve->len + 1) == 0)
    {
        more[0] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, native,
                                          curve->len);
        more[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
                                                    point, curve->len + 1);
        more[2] = OSSL_PARAM_construct_end();

        key = create_key(curve->name, EVP_PKEY_KEYPAIR, more);
    }

    BN_clear_free(number);
    OPENSSL_cleanse(native, sizeof(native));

    return key;
}


EVP_PKEY *
signature_curve_create(did_algorithm_t algorithm)
{
    const signature_curve_t  *curve;

    curve = find_curve(algorithm);

    return (curve != NULL) ? EVP_EC_gen(curve->name) : NULL;
}


int
signature_curve_public(EVP_PKEY *private_key, did_algorithm_t algorithm,
    did_key_t *key)
{
    size_t       len;
    const char  *format;

    len = 0;
    format = OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT;

    if (EVP_PKEY_set_utf8_string_param(private_key, format, "compressed")
           != 1
        || EVP_PKEY_get_octet_string_param(private_key,
                                           OSSL_PKEY_PARAM_PUB_KEY, key->key,
                                           sizeof(key->key), &len)
           != 1
        || len != signature_curve_len(algorithm) + 1)
    {
        return -1;
    }

    key->algorithm = algorithm;
    key->len = len;

    return 0;
}


int
signature_curve_scalar(EVP_PKEY *private_key, did_algorithm_t algorithm,
    uint8_t *scalar)
{
    int      rc, len;
    BIGNUM  *number;

    number = NULL;
    len = (int) signature_curve_len(algorithm);

    rc = (EVP_PKEY_get_bn_param(private_key, OSSL_PKEY_PARAM_PRIV_KEY,
                                &number) == 1
          && BN_bn2binpad(number, scalar, len) == len)
         ? 0 : -1;

    BN_clear_free(number);

    return rc;
}


/* 30 len  02 len R  02 len S */
int
signature_curve_encode(bytes_t sig, bytes_writer_t *w)
{
    size_t          half;
    uint8_t         buf[SIGNATURE_CURVE_DER_MAX];
    bytes_t         body;
    bytes_writer_t  b;

    half = sig.len / 2;

    if (sig.len != half * 2 || half > SIGNATURE_CURVE_COORDINATE_MAX) {
        return -1;
    }

    bytes_writer_open(&b, buf, sizeof(buf));
    write_integer(bytes_make(sig.data, half), &b);
    write_integer(bytes_make(sig.data + half, half), &b);

    body = bytes_writer_view(&b);

    bytes_writer_byte(w, 0x30);

    if (body.len >= 0x80) {
        bytes_writer_byte(w, 0x81);
    }

    bytes_writer_byte(w, (uint8_t) body.len);
    bytes_writer_bytes(w, body);

    return (b.failed || w->failed) ? -1 : 0;
}


/* DER that libcrypto made itself. */
int
signature_curve_decode(bytes_t der, size_t len, bytes_writer_t *w)
{
    bytes_reader_t  r;

    bytes_reader_open(&r, der);
    (void) bytes_reader_byte(&r);

    if (bytes_reader_byte(&r) == 0x81) {
        (void) bytes_reader_byte(&r);
    }

    write_padded(read_integer(&r), len, w);
    write_padded(read_integer(&r), len, w);

    return (r.failed || w->failed) ? -1 : 0;
}


int
signature_curve_twin(did_algorithm_t algorithm, bytes_t sig,
    bytes_writer_t *w)
{
    int                       borrow, digit;
    size_t                    i;
    uint8_t                   s[SIGNATURE_CURVE_COORDINATE_MAX];
    const uint8_t            *order;
    const signature_curve_t  *curve;

    curve = find_curve(algorithm);

    if (curve == NULL || sig.len != curve->len * 2) {
        return -1;
    }

    order = (const uint8_t *) curve->order;
    borrow = 0;

    for (i = curve->len; i != 0; i--) {
        digit = order[i - 1] - sig.data[curve->len + i - 1] - borrow;
        borrow = (digit < 0);
        s[i - 1] = (uint8_t) digit;
    }

    if (borrow) {
        return -1;
    }

    bytes_writer_put(w, sig.data, curve->len);
    bytes_writer_put(w, s, curve->len);

    return w->failed ? -1 : 0;
}


static const signature_curve_t *
find_curve(did_algorithm_t algorithm)
{
    if ((size_t) algorithm >= DID_ALGORITHM_COUNT
        || signature_curves[algorithm].name == NULL)
    {
        return NULL;
    }

    return &signature_curves[algorithm];
}


/* libcrypto registers its own end first, so that ours comes before it; in a
   module that is unloaded it comes then. */
static void
open_parameters(void)
{
    size_t  i;

    if (OPENSSL_init_crypto(0, NULL) != 1 || atexit(close_parameters) != 0) {
        return;
    }

    for (i = 0; i < DID_ALGORITHM_COUNT; i++) {

        if (signature_curves[i].name != NULL) {
            signature_curve_parameters[i] =
                                    create_key(signature_curves[i].name,
                                               EVP_PKEY_KEY_PARAMETERS, NULL);
        }
    }
}


static void
close_parameters(void)
{
    size_t  i;

    for (i = 0; i < DID_ALGORITHM_COUNT; i++) {
        EVP_PKEY_free(signature_curve_parameters[i]);
        signature_curve_parameters[i] = NULL;
    }
}


/* "more" are two parameters and their end, or NULL. */
static EVP_PKEY *
create_key(const char *name, int selection, const OSSL_PARAM *more)
{
    EVP_PKEY      *key;
    OSSL_PARAM     params[4];
    EVP_PKEY_CTX  *ctx;

    /* libcrypto takes the name without const and leaves it alone */

    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
                                                 (char *) name, 0);
    params[1] = OSSL_PARAM_construct_end();

    if (more != NULL) {
        memcpy(&params[1], more, 3 * sizeof(OSSL_PARAM));
    }

    key = NULL;
    ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);

    if (ctx != NULL
        && (EVP_PKEY_fromdata_init(ctx) != 1
            || EVP_PKEY_fromdata(ctx, &key, selection, params) != 1))
    {
        EVP_PKEY_free(key);
        key = NULL;
    }

    EVP_PKEY_CTX_free(ctx);

    return key;
}


/* The point of a scalar, which must be one of 1 to order - 1. */
static int
multiply(const signature_curve_t *curve, const BIGNUM *scalar, uint8_t *point,
    size_t size)
{
    int        rc;
    EC_GROUP  *group;
    EC_POINT  *product;

    rc = -1;
    product = NULL;
    group = EC_GROUP_new_by_curve_name(curve->nid);

    if (group != NULL) {
        product = EC_POINT_new(group);
    }

    if (product != NULL
        && !BN_is_zero(scalar)
        && BN_cmp(scalar, EC_GROUP_get0_order(group)) < 0
        && EC_POINT_mul(group, product, scalar, NULL, NULL, NULL) == 1
        && EC_POINT_point2oct(group, product, POINT_CONVERSION_COMPRESSED,
                              point, size, NULL)
           == size)
    {
        rc = 0;
    }

    EC_POINT_free(product);
    EC_GROUP_free(group);

    return rc;
}


/* A number of fixed length as a DER integer: shortest, and positive. */
static void
write_integer(bytes_t number, bytes_writer_t *w)
{
    size_t  sign;

    while (number.len > 1 && number.data[0] == 0) {
        number.data++;
        number.len--;
    }

    sign = number.len != 0 && (number.data[0] & 0x80);

    bytes_writer_byte(w, 0x02);
    bytes_writer_byte(w, (uint8_t) (number.len + sign));

    if (sign) {
        bytes_writer_byte(w, 0);
    }

    bytes_writer_bytes(w, number);
}


static bytes_t
read_integer(bytes_reader_t *r)
{
    bytes_t  number;

    if (bytes_reader_byte(r) != 0x02) {
        r->failed = 1;
    }

    number = bytes_reader_take(r, bytes_reader_byte(r));

    while (number.len != 0 && number.data[0] == 0) {
        number.data++;
        number.len--;
    }

    return number;
}


static void
write_padded(bytes_t number, size_t len, bytes_writer_t *w)
{
    size_t  i;

    if (number.len > len) {
        w->failed = 1;
        return;
    }

    for (i = number.len; i < len; i++) {
        bytes_writer_byte(w, 0);
    }

    bytes_writer_bytes(w, number);
}
