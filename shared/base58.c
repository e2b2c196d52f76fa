/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Base58 with the Bitcoin alphabet.  The text is one big number in base 58,
 * so every digit touches all of it: limbs of 32 bits and groups of five
 * digits keep the longest input near 20,000 multiplications.
 *
 * Pure: any thread.  No heap, both buffers are on the stack and bounded.
 */


#include "base58.h"


#define BASE58_GROUP       5      /* digits, 58^5 fits 32 bits */
#define BASE58_GROUP_BASE  656356768U
#define BASE58_LIMBS       ((BASE58_BYTES_MAX + 3) / 4)


_Static_assert(BASE58_TEXT_MAX * 733 / 1000 < BASE58_LIMBS * 4,
               "the value of the longest text fits the limbs");


static const char  base58_alphabet[] =
    "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";


static int find_digit(uint8_t c);
static size_t multiply_add(uint32_t *limb, size_t n, uint32_t factor,
    uint32_t carry);
static uint32_t divide(uint32_t *limb, size_t n);
static size_t count_leading(bytes_t b, uint8_t c);


int
base58_decode(bytes_t text, bytes_writer_t *w)
{
    int       digit;
    size_t    i, n, zeros, used;
    uint8_t   byte, *start;
    uint32_t  limb[BASE58_LIMBS], factor, group;

    if (text.len > BASE58_TEXT_MAX) {
        return -1;
    }

    zeros = count_leading(text, '1');
    used = 0;
    factor = 1;
    group = 0;

    for (i = zeros; i < text.len; i++) {
        digit = find_digit(text.data[i]);

        if (digit < 0) {
            return -1;
        }

        group = group * 58 + (uint32_t) digit;
        factor *= 58;

        if (factor == BASE58_GROUP_BASE || i == text.len - 1) {
            used = multiply_add(limb, used, factor, group);
            factor = 1;
            group = 0;
        }
    }

    /* bytes of the value: all limbs but the leading zero bytes of the last */

    n = used * 4;

    while (n != 0 && (limb[(n - 1) / 4] >> ((n - 1) % 4 * 8) & 0xff) == 0) {
        n--;
    }

    if (zeros + n > BASE58_BYTES_MAX) {
        return -1;
    }

    start = w->pos;

    for (i = 0; i < zeros; i++) {
        bytes_writer_byte(w, 0);
    }

    while (n != 0) {
        n--;
        byte = (uint8_t) (limb[n / 4] >> (n % 4 * 8));
        bytes_writer_byte(w, byte);
    }

    if (w->failed) {
        w->pos = start;
        return -1;
    }

    return 0;
}


int
base58_encode(bytes_t b, bytes_writer_t *w)
{
    char      text[BASE58_LIMBS * 6 + BASE58_GROUP], *p;
    size_t    i, n, len, zeros, used;
    uint32_t  limb[BASE58_LIMBS], group;

    if (b.len > BASE58_BYTES_MAX) {
        return -1;
    }

    zeros = count_leading(b, 0);
    len = b.len - zeros;
    used = (len + 3) / 4;

    memset(limb, 0, sizeof(limb));

    for (i = 0; i < len; i++) {
        limb[i / 4] |= (uint32_t) b.data[b.len - 1 - i] << (i % 4 * 8);
    }

    p = text + sizeof(text);

    while (used != 0) {
        group = divide(limb, used);

        while (used != 0 && limb[used - 1] == 0) {
            used--;
        }

        for (i = 0; i < BASE58_GROUP && (group != 0 || used != 0); i++) {
            *--p = base58_alphabet[group % 58];
            group /= 58;
        }
    }

    n = (size_t) (text + sizeof(text) - p);

    if (zeros + n > BASE58_TEXT_MAX || w->failed
        || bytes_writer_left(w) < zeros + n)
    {
        w->failed = 1;
        return -1;
    }

    for (i = 0; i < zeros; i++) {
        bytes_writer_byte(w, '1');
    }

    bytes_writer_put(w, p, n);

    return 0;
}


/* The value of a digit, or -1. */
static int
find_digit(uint8_t c)
{
    /* 1 + value, in runs of the alphabet; 0 is "not a digit" */

    static const uint8_t  digit[128] = {
        ['1'] = 1, 2, 3, 4, 5, 6, 7, 8, 9,
        ['A'] = 10, 11, 12, 13, 14, 15, 16, 17,
        ['J'] = 18, 19, 20, 21, 22,
        ['P'] = 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33,
        ['a'] = 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44,
        ['m'] = 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58
    };

    return c < sizeof(digit) ? digit[c] - 1 : -1;
}


/* limb = limb * factor + carry, the lowest limb first; the new length.  The
   caller's text limit keeps it below BASE58_LIMBS. */
static size_t
multiply_add(uint32_t *limb, size_t n, uint32_t factor, uint32_t carry)
{
    size_t    i;
    uint64_t  t;

    for (i = 0; i < n; i++) {
        t = (uint64_t) limb[i] * factor + carry;
        limb[i] = (uint32_t) t;
        carry = (uint32_t) (t >> 32);
    }

    if (carry != 0 && n < BASE58_LIMBS) {
        limb[n++] = carry;
    }

    return n;
}


/* Divides by 58^5 in place and gives the remainder. */
static uint32_t
divide(uint32_t *limb, size_t n)
{
    uint64_t  t;

    t = 0;

    while (n != 0) {
        n--;
        t = t << 32 | limb[n];
        limb[n] = (uint32_t) (t / BASE58_GROUP_BASE);
        t %= BASE58_GROUP_BASE;
    }

    return (uint32_t) t;
}


static size_t
count_leading(bytes_t b, uint8_t c)
{
    size_t  n;

    for (n = 0; n < b.len && b.data[n] == c; n++) { /* void */ }

    return n;
}
