/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Base32 as multibase "b" (RFC 4648, section 6, lower case, no padding).
 *
 * Pure: any thread, no heap.
 */


#include "base32.h"


static int find_digit(uint8_t c);


int
base32_decode(bytes_t text, bytes_writer_t *w)
{
    int       digit;
    size_t    i;
    uint8_t  *start;
    uint32_t  bits;
    unsigned  n;

    start = w->pos;
    bits = 0;
    n = 0;

    for (i = 0; i < text.len; i++) {
        digit = find_digit(text.data[i]);

        if (digit < 0) {
            w->pos = start;
            return -1;
        }

        bits = (bits << 5 | (uint32_t) digit) & 0xfff;
        n += 5;

        if (n >= 8) {
            n -= 8;
            bytes_writer_byte(w, (uint8_t) (bits >> n));
        }
    }

    /* a digit too many, or bits that the encoder would not have set */

    if (w->failed || n >= 5 || (bits & ((1U << n) - 1)) != 0) {
        w->pos = start;
        return -1;
    }

    return 0;
}


int
base32_encode(bytes_t b, bytes_writer_t *w)
{
    size_t    i;
    uint8_t  *start;
    uint32_t  bits;
    unsigned  n;

    static const char  digits[] = "abcdefghijklmnopqrstuvwxyz234567";

    start = w->pos;
    bits = 0;
    n = 0;

    for (i = 0; i < b.len; i++) {
        bits = (bits << 8 | b.data[i]) & 0xfff;
        n += 8;

        while (n >= 5) {
            n -= 5;
            bytes_writer_byte(w, (uint8_t) digits[bits >> n & 0x1f]);
        }
    }

    if (n != 0) {
        bytes_writer_byte(w, (uint8_t) digits[bits << (5 - n) & 0x1f]);
    }

    if (w->failed) {
        w->pos = start;
        return -1;
    }

    return 0;
}


static int
find_digit(uint8_t c)
{
    if (c >= 'a' && c <= 'z') {
        return c - 'a';
    }

    if (c >= '2' && c <= '7') {
        return c - '2' + 26;
    }

    return -1;
}
