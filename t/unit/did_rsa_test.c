/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * RSA public keys in DER: one form, and everything that is close to it.
 */


#include "did_rsa.h"
#include "tap.h"


#define KEY_MAX  1200


/* A key to be: what stands in each place, taken apart. */
typedef struct {
    const char  *name;
    size_t       bits;            /* of the modulus */
    const char  *exponent;        /* bytes */
    size_t       exponent_len;
    uint8_t      last;            /* byte of the modulus */
} shape_t;


static size_t
write_length(uint8_t *p, size_t len)
{
    if (len < 0x80) {
        p[0] = (uint8_t) len;
        return 1;
    }

    if (len < 0x100) {
        p[0] = 0x81;
        p[1] = (uint8_t) len;
        return 2;
    }

    p[0] = 0x82;
    p[1] = (uint8_t) (len >> 8);
    p[2] = (uint8_t) len;

    return 3;
}


/* "content" is the integer as it stands, with its sign. */
static size_t
write_integer(uint8_t *p, const uint8_t *content, size_t len)
{
    size_t  n;

    p[0] = 0x02;
    n = 1 + write_length(p + 1, len);
    memcpy(p + n, content, len);

    return n + len;
}


static bytes_t
write_key(uint8_t *buf, const uint8_t *modulus, size_t modulus_len,
    const void *exponent, size_t exponent_len)
{
    size_t   n, head;
    uint8_t  body[KEY_MAX];

    n = write_integer(body, modulus, modulus_len);
    n += write_integer(body + n, exponent, exponent_len);

    buf[0] = 0x30;
    head = 1 + write_length(buf + 1, n);
    memcpy(buf + head, body, n);

    return bytes_make(buf, head + n);
}


static bytes_t
write_shape(uint8_t *buf, const shape_t *shape)
{
    size_t   len;
    uint8_t  modulus[KEY_MAX];

    len = shape->bits / 8 + 1;

    memset(modulus, 0xa5, sizeof(modulus));
    modulus[0] = (uint8_t) ((1 << shape->bits % 8) >> 1);
    modulus[len - 1] = shape->last;

    /* a whole number of bytes has its sign in one more */

    if (shape->bits % 8 == 0) {
        modulus[0] = 0;
        modulus[1] = 0x80;
    }

    return write_key(buf, modulus, len, shape->exponent,
                     shape->exponent_len);
}


static void
test_taken(void)
{
    size_t     i;
    uint8_t    buf[KEY_MAX];
    bytes_t    der;
    did_rsa_t  rsa;

    static const shape_t  cases[] = {
        { "2048 bits", 2048, "\x01\x00\x01", 3, 0x01 },
        { "2049 bits", 2049, "\x01\x00\x01", 3, 0x01 },
        { "2055 bits", 2055, "\x01\x00\x01", 3, 0xff },
        { "3072 bits", 3072, "\x03", 1, 0x01 },
        { "4096 bits", 4096, "\x11", 1, 0x01 },
        { "8192 bits", 8192, "\x01\x00\x01", 3, 0x01 },
        { "an exponent of 4 bytes", 2048, "\x7f\xff\xff\xff", 4, 0x01 },
        { "the largest exponent", 2048, "\x00\xff\xff\xff\xff", 5, 0x01 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        der = write_shape(buf, &cases[i]);

        tap_ok(did_rsa_parse(der, &rsa) == 0
               && rsa.modulus.len == (cases[i].bits + 7) / 8
               && rsa.modulus.data[0] != 0
               && rsa.exponent.len <= DID_RSA_EXPONENT_MAX
               && rsa.exponent.data[0] != 0, "%s: taken", cases[i].name);
    }
}


static void
test_refused(void)
{
    size_t     i;
    uint8_t    buf[KEY_MAX];
    did_rsa_t  rsa;

    static const shape_t  cases[] = {
        { "1024 bits", 1024, "\x01\x00\x01", 3, 0x01 },
        { "2047 bits", 2047, "\x01\x00\x01", 3, 0x01 },
        { "8193 bits", 8193, "\x01\x00\x01", 3, 0x01 },
        { "8200 bits", 8200, "\x01\x00\x01", 3, 0x01 },
        { "an even modulus", 2048, "\x01\x00\x01", 3, 0x00 },
        { "the exponent 1", 2048, "\x01", 1, 0x01 },
        { "the exponent 0", 2048, "\x00", 1, 0x01 },
        { "an exponent of no bytes", 2048, "", 0, 0x01 },
        { "an even exponent", 2048, "\x01\x00\x02", 3, 0x01 },
        { "a negative exponent", 2048, "\x81", 1, 0x01 },
        { "a zero before the exponent", 2048, "\x00\x03", 2, 0x01 },
        { "an exponent of 5 bytes", 2048, "\x01\x00\x00\x00\x01", 5, 0x01 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tap_ok(did_rsa_parse(write_shape(buf, &cases[i]), &rsa) == -1,
               "%s: refused", cases[i].name);
    }
}


static void
test_der(void)
{
    size_t     i, passed;
    uint8_t    modulus[258], buf[KEY_MAX], other[KEY_MAX];
    bytes_t    der;
    did_rsa_t  rsa;

    memset(modulus, 0xa5, sizeof(modulus));
    modulus[0] = 0;

    der = write_key(buf, modulus, 257, "\x03", 1);
    tap_ok(did_rsa_parse(der, &rsa) == 0, "a key is read");

    tap_ok(did_rsa_parse(write_key(other, modulus + 1, 256, "\x03", 1),
                         &rsa) == -1, "not with a negative modulus");

    memmove(modulus + 1, modulus, 257);
    tap_ok(did_rsa_parse(write_key(other, modulus, 258, "\x03", 1),
                         &rsa) == -1, "not with two zeros before it");

    passed = 0;

    for (i = 0; i < der.len; i++) {
        passed += did_rsa_parse(bytes_make(buf, i), &rsa) == 0;
    }

    buf[der.len] = 0;
    passed += did_rsa_parse(bytes_make(buf, der.len + 1), &rsa) == 0;
    tap_ok(passed == 0, "nor cut or with a byte behind it");

    /* 30 82 hi lo 02 82 hi lo 00 ... 02 01 03 */

    memcpy(other, buf, der.len);
    other[3]++;
    tap_ok(did_rsa_parse(bytes_make(other, der.len), &rsa) == -1
           && did_rsa_parse(bytes_make(other, der.len + 1), &rsa) == -1,
           "nor with a byte inside, behind the exponent");

    for (i = 0; i < 256; i++) {
        memcpy(other, buf, der.len);
        other[0] = (uint8_t) i;
        passed += i != 0x30
                  && did_rsa_parse(bytes_make(other, der.len), &rsa) == 0;
        memcpy(other, buf, der.len);
        other[4] = (uint8_t) i;
        passed += i != 0x02
                  && did_rsa_parse(bytes_make(other, der.len), &rsa) == 0;
        memcpy(other, buf, der.len);
        other[1] = (uint8_t) i;
        passed += i != 0x82
                  && did_rsa_parse(bytes_make(other, der.len), &rsa) == 0;
    }

    tap_ok(passed == 0, "nor with another tag, or another form of length");

    memcpy(other, buf, 4);
    other[1] = 0x83;
    other[2] = 0;
    memcpy(other + 3, buf + 2, der.len - 2);
    tap_ok(did_rsa_parse(bytes_make(other, der.len + 1), &rsa) == -1,
           "nor with a length of three bytes");

    memcpy(other, buf, der.len - 3);
    memcpy(other + der.len - 3, "\x02\x81\x01\x03", 4);
    other[3]++;
    tap_ok(did_rsa_parse(bytes_make(other, der.len + 1), &rsa) == -1,
           "nor with a short length in the long form");
}


int
main(void)
{
    test_taken();
    test_refused();
    test_der();

    return tap_done();
}
