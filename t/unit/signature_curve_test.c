/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * ECDSA over four curves: numbers at their bounds, the other of the two good
 * signatures, other codings, and points that are none.
 */


#include "signature_curve.h"
#include "signature_make.h"
#include "signature_signer.h"


#define CURVE_MAX  SIGNATURE_CURVE_COORDINATE_MAX


typedef struct {
    const char       *name;
    did_algorithm_t   algorithm;
    const char       *order;
    const char       *no_point;    /* x of no point, below the prime */
    const char       *prime;
} curve_t;


static const curve_t  curves[] = {
    { "P-256", DID_P256,
      "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
      "020000000000000000000000000000000000000000000000000000000000000007",
      "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff" },
    { "secp256k1", DID_SECP256K1,
      "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
      "020000000000000000000000000000000000000000000000000000000000000005",
      "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f" },
    { "P-384", DID_P384,
      "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a"
      "0db248b0a77aecec196accc52973",
      "0200000000000000000000000000000000000000000000000000000000000000000000"
      "0000000000000000000000000005",
      "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffff"
      "ffff0000000000000000ffffffff" },
    { "P-521", DID_P521,
      "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa"
      "51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
      "0200000000000000000000000000000000000000000000000000000000000000000000"
      "0000000000000000000000000000000000000000000000000000000000000005",
      "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
      "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff" }
};

#define curve_count  (sizeof(curves) / sizeof(curves[0]))


/* a = b - a, both big endian. */
static void
subtract(uint8_t *a, const uint8_t *b, size_t len)
{
    int  n, borrow;

    borrow = 0;

    while (len-- != 0) {
        n = b[len] - a[len] - borrow;
        borrow = n < 0;
        a[len] = (uint8_t) n;
    }
}


static void
test_signatures(const curve_t *curve)
{
    size_t              len;
    uint8_t             sig[2 * CURVE_MAX], other[2 * CURVE_MAX];
    uint8_t             order[CURVE_MAX], der[SIGNATURE_CURVE_DER_MAX];
    bytes_t             message, b;
    did_key_t          *key;
    bytes_writer_t      w;
    signature_signer_t  signer;

    message = bytes_of("message");
    len = signature_curve_len(curve->algorithm);
    (void) make_bytes(curve->order, order, sizeof(order));

    if (signature_signer_create(&signer, curve->algorithm, 0) != 0) {
        tap_ok(0, "%s: a key is made", curve->name);
        return;
    }

    key = &signer.key;
    bytes_writer_open(&w, sig, sizeof(sig));
    tap_ok(signature_signer_sign(&signer, message, &w) == 0
           && bytes_writer_view(&w).len == 2 * len
           && signature_verify(key, message, bytes_make(sig, 2 * len)),
           "%s: a signature is R || S of %zu bytes", curve->name, 2 * len);

    b = bytes_make(other, 2 * len);

    memcpy(other, sig, sizeof(sig));
    subtract(other + len, order, len);
    tap_ok(signature_verify(key, message, b),
           "the other S, of which one is high, is good too");

    memset(other, 0, len);
    memcpy(other + len, sig + len, len);
    tap_ok(!signature_verify(key, message, b), "R is not 0");

    memcpy(other, order, len);
    tap_ok(!signature_verify(key, message, b), "nor the order");

    memset(other, 0xff, len);
    tap_ok(!signature_verify(key, message, b), "nor more");

    memcpy(other, sig, len);
    memset(other + len, 0, len);
    tap_ok(!signature_verify(key, message, b), "S is not 0");

    memcpy(other + len, order, len);
    tap_ok(!signature_verify(key, message, b), "nor the order");

    memset(other + len, 0xff, len);
    tap_ok(!signature_verify(key, message, b), "nor more");

    memset(other, 0, 2 * len);
    tap_ok(!signature_verify(key, message, b), "zeros sign nothing");

    memcpy(other, sig + len, len);
    memcpy(other + len, sig, len);
    tap_ok(!signature_verify(key, message, b), "R and S have an order");

    bytes_writer_open(&w, der, sizeof(der));
    tap_ok(signature_curve_encode(bytes_make(sig, 2 * len), &w) == 0
           && !signature_verify(key, message, bytes_writer_view(&w)),
           "DER is refused");

    b = bytes_writer_view(&w);
    bytes_writer_open(&w, other, sizeof(other));
    tap_ok(signature_curve_decode(b, len, &w) == 0
           && bytes_equal(bytes_writer_view(&w), bytes_make(sig, 2 * len)),
           "and goes back to the same numbers");

    signature_signer_destroy(&signer);
}


static void
test_points(const curve_t *curve)
{
    size_t     len, i, points, sevens;
    did_key_t  key;

    static const uint8_t  leads[] = { 0x00, 0x01, 0x04, 0x05, 0x06, 0x07 };

    len = signature_curve_len(curve->algorithm);

    make_public(&key, curve->algorithm, curve->no_point);
    tap_ok(key.len == len + 1 && !signature_key_valid(&key),
           "%s: an x without a y is no key", curve->name);
    key.key[0] ^= 1;
    tap_ok(!signature_key_valid(&key), "whatever the sign");

    (void) make_bytes(curve->prime, key.key + 1, len);
    tap_ok(!signature_key_valid(&key), "x is not the prime of the field");
    memset(key.key + 1, 0xff, len);
    tap_ok(!signature_key_valid(&key), "nor more");

    /* of all x about half have a point */

    sevens = 0;
    points = 0;

    for (i = 0; i < 64; i++) {
        memset(key.key + 1, 0x11, len);
        key.key[1] = 0;
        key.key[len] = (uint8_t) i;

        key.key[0] = 0x02;
        points += signature_key_valid(&key);
        sevens += signature_key_valid(&key);
        key.key[0] = 0x03;
        sevens -= signature_key_valid(&key);
    }

    tap_ok(points > 12 && points < 52 && sevens == 0,
           "%zu of 64 numbers are the x of two points", points);

    for (i = 0; i < sizeof(leads); i++) {
        key.key[0] = leads[i];
        points = signature_key_valid(&key);
        tap_ok(!points, "the lead byte %02x is refused", leads[i]);
    }

    key.key[0] = 0;
    key.len = 1;
    tap_ok(!signature_key_valid(&key), "the point at infinity is no key");

    key.key[0] = 0x04;
    key.len = 2 * len + 1;
    tap_ok(!signature_key_valid(&key), "nor is an uncompressed point");
}


static void
test_codings(void)
{
    uint8_t         sig[134], der[SIGNATURE_CURVE_DER_MAX], back[132];
    bytes_t         out;
    bytes_writer_t  w;

    memset(sig, 0xff, sizeof(sig));

    bytes_writer_open(&w, der, sizeof(der));
    tap_ok(signature_curve_encode(bytes_make(sig, 132), &w) == 0,
           "the largest numbers have DER");

    out = bytes_writer_view(&w);
    tap_ok(out.len == 3 + 2 * (2 + 67) && out.data[1] == 0x81,
           "of the long form");

    bytes_writer_open(&w, back, sizeof(back));
    tap_ok(signature_curve_decode(out, 66, &w) == 0
           && memcmp(back, sig, 132) == 0, "which comes back");

    bytes_writer_open(&w, back, sizeof(back));
    tap_ok(signature_curve_decode(out, 48, &w) == -1,
           "but not as shorter numbers");
    bytes_writer_open(&w, back, sizeof(back));
    tap_ok(signature_curve_decode(bytes_make(out.data, out.len - 1), 66, &w)
           == -1, "nor cut");

    memset(sig, 0, 64);
    bytes_writer_open(&w, der, sizeof(der));
    tap_ok(signature_curve_encode(bytes_make(sig, 64), &w) == 0
           && bytes_equal(bytes_writer_view(&w),
                          bytes_make("\x30\x06\x02\x01\x00\x02\x01\x00",
                                     8)), "zeros are short");

    bytes_writer_open(&w, der, 60);
    tap_ok(signature_curve_encode(bytes_make(sig + 64, 64), &w) == -1,
           "without room there is no DER");
    bytes_writer_open(&w, der, sizeof(der));
    tap_ok(signature_curve_encode(bytes_make(sig, 63), &w) == -1
           && signature_curve_encode(bytes_make(sig, 134), &w) == -1,
           "nor for two numbers of different length, or longer ones");
}


int
main(void)
{
    size_t  i;

    if (sodium_init() < 0) {
        return 1;
    }

    for (i = 0; i < curve_count; i++) {
        test_signatures(&curves[i]);
        test_points(&curves[i]);
    }

    test_codings();

    return tap_done();
}
