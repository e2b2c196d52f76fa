/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Prefixed, time-ordered ids.
 *
 *      p _ 0 1 j d x ... 26 digits: 2 zero bits, 48 of time, 80 random
 *
 * Any thread; libsodium must have been initialised for id_create().
 */


#include <sodium.h>

#include "id.h"


#define ID_BODY_LEN  16           /* bytes: 6 of time, ID_RANDOM_LEN */


static const char  id_digits[] = "0123456789abcdefghjkmnpqrstvwxyz";


_Static_assert(6 + ID_RANDOM_LEN == ID_BODY_LEN, "time and randomness");
_Static_assert((ID_BODY_LEN * 8 + 4) / 5 + 2 == ID_LEN, "kind and digits");


void
id_write(char *out, char kind, int64_t ms, const uint8_t *random)
{
    size_t    i;
    uint8_t   body[ID_BODY_LEN];
    uint32_t  bits;
    unsigned  n;

    for (i = 0; i < 6; i++) {
        body[i] = (uint8_t) ((uint64_t) ms >> (40 - i * 8));
    }

    memcpy(body + 6, random, ID_RANDOM_LEN);

    *out++ = kind;
    *out++ = '_';

    /* two zero bits in front make 128 bits 26 whole digits */

    bits = 0;
    n = 2;

    for (i = 0; i < ID_BODY_LEN; i++) {
        bits = (bits << 8 | body[i]) & 0xfff;
        n += 8;

        while (n >= 5) {
            n -= 5;
            *out++ = id_digits[bits >> n & 0x1f];
        }
    }
}


void
id_create(char *out, char kind, int64_t ms)
{
    uint8_t  random[ID_RANDOM_LEN];

    randombytes_buf(random, sizeof(random));
    id_write(out, kind, ms, random);
}


int
id_valid(bytes_t text, char kind)
{
    size_t  i;

    if (text.len != ID_LEN
        || text.data[0] != (uint8_t) kind
        || text.data[1] != '_'
        || text.data[2] > '7')
    {
        return 0;
    }

    for (i = 2; i < ID_LEN; i++) {

        if (memchr(id_digits, text.data[i], sizeof(id_digits) - 1) == NULL) {
            return 0;
        }
    }

    return 1;
}
