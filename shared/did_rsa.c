/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * RSA public keys in DER: one encoding for each key, so that two texts are
 * never the same key.
 *
 * Any thread; decides on form alone, the arithmetic is signature_rsa.c.
 */


#include "did_rsa.h"


#define DID_RSA_SEQUENCE  0x30    /* DER tags */
#define DID_RSA_INTEGER   0x02


static bytes_t read_item(bytes_reader_t *r, uint8_t tag);
static bytes_t read_integer(bytes_reader_t *r);
static int check_modulus(bytes_t n);
static int check_exponent(bytes_t e);


int
did_rsa_parse(bytes_t der, did_rsa_t *rsa)
{
    bytes_t         body;
    bytes_reader_t  r;

    bytes_reader_open(&r, der);
    body = read_item(&r, DID_RSA_SEQUENCE);

    if (r.failed || bytes_reader_left(&r) != 0) {
        return -1;
    }

    bytes_reader_open(&r, body);
    rsa->modulus = read_integer(&r);
    rsa->exponent = read_integer(&r);

    if (r.failed || bytes_reader_left(&r) != 0) {
        return -1;
    }

    if (!check_modulus(rsa->modulus) || !check_exponent(rsa->exponent)) {
        return -1;
    }

    return 0;
}


/* The content of the next item; r->failed when it is another one, or when
   its length is not in the shortest form. */
static bytes_t
read_item(bytes_reader_t *r, uint8_t tag)
{
    size_t   len, least;
    uint8_t  byte;

    if (bytes_reader_byte(r) != tag) {
        r->failed = 1;
    }

    byte = bytes_reader_byte(r);

    switch (byte) {

    case 0x81:
        len = bytes_reader_byte(r);
        least = 0x80;
        break;

    case 0x82:
        len = (size_t) bytes_reader_byte(r) << 8;
        len |= bytes_reader_byte(r);
        least = 0x100;
        break;

    default:
        len = byte;
        least = 0;

        /* 80 is the indefinite form, and no key needs three bytes */

        if (byte >= 0x80) {
            r->failed = 1;
        }

        break;
    }

    if (r->failed || len < least) {
        r->failed = 1;
        return bytes_make(NULL, 0);
    }

    return bytes_reader_take(r, len);
}


/* A positive number, without the zero byte that keeps it positive. */
static bytes_t
read_integer(bytes_reader_t *r)
{
    bytes_t  b;

    b = read_item(r, DID_RSA_INTEGER);

    if (b.len == 0 || (b.data[0] & 0x80)) {
        r->failed = 1;
        return b;
    }

    if (b.data[0] == 0) {

        if (b.len == 1 || !(b.data[1] & 0x80)) {
            r->failed = 1;
        }

        b.data++;
        b.len--;
    }

    return b;
}


static int
check_modulus(bytes_t n)
{
    size_t   bits;
    uint8_t  top;

    if (n.len == 0 || n.len > DID_RSA_BITS_MAX / 8) {
        return 0;
    }

    bits = (n.len - 1) * 8;

    for (top = n.data[0]; top != 0; top >>= 1) {
        bits++;
    }

    return bits >= DID_RSA_BITS_MIN && (n.data[n.len - 1] & 1);
}


static int
check_exponent(bytes_t e)
{
    if (e.len == 0 || e.len > DID_RSA_EXPONENT_MAX) {
        return 0;
    }

    return (e.data[e.len - 1] & 1) && !(e.len == 1 && e.data[0] == 1);
}
