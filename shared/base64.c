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


static int find_digit(base64_form_t form, uint8_t c);
static int strip_padding(bytes_t *text);
static int decode_group(base64_form_t form, const uint8_t *p, size_t n,
    uint8_t *out);


static const char  base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";


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


static int
find_digit(base64_form_t form, uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }

    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }

    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }

    if (c == ((form == BASE64_URL) ? '-' : '+')) {
        return 62;
    }

    if (c == ((form == BASE64_URL) ? '_' : '/')) {
        return 63;
    }

    return -1;
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
    int       digit;
    size_t    i;
    uint32_t  bits;

    if (n < 2) {
        return -1;
    }

    bits = 0;

    for (i = 0; i < n; i++) {
        digit = find_digit(form, p[i]);

        if (digit < 0) {
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
