/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Base64 in its three forms, strict both ways (RFC 4648, 3.2 to 3.5).
 *
 * Pure: any thread.  The decoder reads a group before it writes it, so the
 * writer may lie over the text.  Not constant time: key files are read with
 * it, but nobody else can time that.
 */


#include "base64.h"


#define BASE64_NONE  0xff


static unsigned find_digit(base64_form_t form, uint8_t c);
static int strip_padding(bytes_t *text);
static int decode_group(base64_form_t form, const uint8_t *p, size_t n,
    uint8_t *out);


static const char  base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";


/* Values of ASCII; the last two digits of base64url are two beyond those of
   base64.  A table, since the digits of a token are as good as random, and no
   processor guesses a branch on them. */

#define NO  BASE64_NONE

static const uint8_t  base64_values[128] = {
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, 62, NO, 64, NO, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, NO, NO, NO, NO, NO, NO,
    NO,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, NO, NO, NO, NO, 65,
    NO, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, NO, NO, NO, NO, NO
};

#undef NO


int
base64_decode(base64_form_t form, bytes_t text, bytes_writer_t *w)
{
    size_t    i, n, left;
    uint8_t  *start, out[3];

    if (form == BASE64_STD && strip_padding(&text) != 0) {
        return -1;
    }

    start = w->pos;

    for (i = 0; i < text.len; i += n) {
        left = text.len - i;
        n = (left < 4) ? left : 4;

        if (decode_group(form, text.data + i, n, out) != 0) {
            w->pos = start;
            return -1;
        }

        bytes_writer_put(w, out, n - 1);
    }

    if (w->failed) {
        w->pos = start;
        return -1;
    }

    return 0;
}


int
base64_encode(base64_form_t form, bytes_t b, bytes_writer_t *w)
{
    char      out[4];
    size_t    i, n, left;
    uint8_t  *start, digit;
    uint32_t  bits;
    unsigned  d;

    start = w->pos;

    for (i = 0; i < b.len; i += n) {
        left = b.len - i;
        n = (left < 3) ? left : 3;

        bits = (uint32_t) b.data[i] << 16;
        bits |= (n > 1) ? (uint32_t) b.data[i + 1] << 8 : 0;
        bits |= (n > 2) ? b.data[i + 2] : 0;

        for (d = 0; d < 4; d++) {
            digit = bits >> (18 - d * 6) & 0x3f;

            if (d > n) {
                out[d] = '=';

            } else if (digit < 62) {
                out[d] = base64_digits[digit];

            } else if (form == BASE64_URL) {
                out[d] = (digit == 62) ? '-' : '_';

            } else {
                out[d] = (digit == 62) ? '+' : '/';
            }
        }

        bytes_writer_put(w, out, (form == BASE64_STD) ? 4 : n + 1);
    }

    if (w->failed) {
        w->pos = start;
        return -1;
    }

    return 0;
}


/* 64 or more: none. */
static unsigned
find_digit(base64_form_t form, uint8_t c)
{
    unsigned  digit;

    digit = (c < 128) ? base64_values[c] : BASE64_NONE;

    if (digit < 62) {
        return digit;
    }

    if (form == BASE64_URL) {
        return (digit == 64 || digit == 65) ? digit - 2 : BASE64_NONE;
    }

    return (digit < 64) ? digit : BASE64_NONE;
}


/* Drops the one legal padding of the padded form. */
static int
strip_padding(bytes_t *text)
{
    if (text->len % 4 != 0) {
        return -1;
    }

    if (text->len != 0 && text->data[text->len - 1] == '=') {
        text->len--;

        if (text->data[text->len - 1] == '=') {
            text->len--;
        }
    }

    return 0;
}


/* Decodes n digits, 2 to 4, into n - 1 bytes.  Unused bits must be zero. */
static int
decode_group(base64_form_t form, const uint8_t *p, size_t n, uint8_t *out)
{
    size_t    i;
    uint32_t  bits;
    unsigned  digit;

    if (n < 2) {
        return -1;
    }

    bits = 0;

    for (i = 0; i < n; i++) {
        digit = find_digit(form, p[i]);

        if (digit >= 64) {
            return -1;
        }

        bits |= (uint32_t) digit << (18 - i * 6);
    }

    if (bits & (0xffffffU >> (n - 1) * 8)) {
        return -1;
    }

    out[0] = (uint8_t) (bits >> 16);
    out[1] = (uint8_t) (bits >> 8);
    out[2] = (uint8_t) bits;

    return 0;
}
