/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * UTF-8 (RFC 3629, section 4) as an automaton of nine states: what may come
 * next inside a code point is one range of bytes, and the state after it.
 *
 *                 C2..DF ------------------------------> TAIL1
 *        E0 -> E0 --A0..BF----------------------------->  "
 *        ED -> ED --80..9F----------------------------->  "
 *    E1..EC EE EF -> TAIL2 --80..BF-------------------->  "    --> START
 *        F0 -> F0 --90..BF--> TAIL2
 *        F4 -> F4 --80..8F-->   "
 *        F1..F3 -> TAIL3 --80..BF--> "
 *
 * Pure: any thread; the caller carries the state.
 */


#include "utf8.h"


enum {
    UTF8_TAIL1 = UTF8_REJECT + 1,
    UTF8_TAIL2,
    UTF8_TAIL3,
    UTF8_E0,
    UTF8_ED,
    UTF8_F0,
    UTF8_F4,
    UTF8_STATES
};


typedef struct {
    uint8_t  low;                 /* first byte allowed */
    uint8_t  high;                /* last byte allowed */
    uint8_t  next;                /* state after it */
} utf8_step_t;


static uint32_t find_lead(uint8_t c);


static const utf8_step_t  utf8_steps[UTF8_STATES] = {
    [UTF8_TAIL1] = { 0x80, 0xbf, UTF8_START },
    [UTF8_TAIL2] = { 0x80, 0xbf, UTF8_TAIL1 },
    [UTF8_TAIL3] = { 0x80, 0xbf, UTF8_TAIL2 },
    [UTF8_E0]    = { 0xa0, 0xbf, UTF8_TAIL1 },
    [UTF8_ED]    = { 0x80, 0x9f, UTF8_TAIL1 },
    [UTF8_F0]    = { 0x90, 0xbf, UTF8_TAIL2 },
    [UTF8_F4]    = { 0x80, 0x8f, UTF8_TAIL2 }
};


uint32_t
utf8_feed(uint32_t state, bytes_t b)
{
    uint8_t             c;
    uint64_t            word;
    const uint8_t      *p, *end;
    const utf8_step_t  *step;

    if (b.len == 0) {
        return state;
    }

    p = b.data;
    end = p + b.len;

    while (p < end) {

        if (state == UTF8_START) {

            /* text is mostly ASCII: eight bytes at a time */

            while (end - p >= 8) {
                memcpy(&word, p, 8);

                if (word & 0x8080808080808080ULL) {
                    break;
                }

                p += 8;
            }

            if (p < end) {
                state = find_lead(*p++);
            }

            continue;
        }

        if (state >= UTF8_STATES || state == UTF8_REJECT) {
            return UTF8_REJECT;
        }

        c = *p++;
        step = &utf8_steps[state];
        state = (c >= step->low && c <= step->high) ? step->next
                                                    : UTF8_REJECT;
    }

    return state;
}


int
utf8_valid(bytes_t b)
{
    return utf8_feed(UTF8_START, b) == UTF8_START;
}


size_t
utf8_length(bytes_t b)
{
    size_t  i, n;

    n = 0;

    for (i = 0; i < b.len; i++) {
        n += (b.data[i] & 0xc0) != 0x80;
    }

    return n;
}


void
utf8_write(bytes_writer_t *w, uint32_t code)
{
    size_t   i, n;
    uint8_t  out[4];

    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
        w->failed = 1;
        return;
    }

    if (code < 0x80) {
        bytes_writer_byte(w, (uint8_t) code);
        return;
    }

    n = 2 + (code >= 0x800) + (code >= 0x10000);

    for (i = n - 1; i != 0; i--) {
        out[i] = (uint8_t) (0x80 | (code & 0x3f));
        code >>= 6;
    }

    out[0] = (uint8_t) (0xf00 >> n | code);

    bytes_writer_put(w, out, n);
}


/* The state after the first byte of a code point. */
static uint32_t
find_lead(uint8_t c)
{
    if (c < 0x80) {
        return UTF8_START;
    }

    if (c < 0xc2 || c > 0xf4) {
        return UTF8_REJECT;
    }

    if (c < 0xe0) {
        return UTF8_TAIL1;
    }

    switch (c) {

    case 0xe0:
        return UTF8_E0;

    case 0xed:
        return UTF8_ED;

    case 0xf0:
        return UTF8_F0;

    case 0xf4:
        return UTF8_F4;

    default:
        return (c < 0xf0) ? UTF8_TAIL2 : UTF8_TAIL3;
    }
}
