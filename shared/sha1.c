/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * SHA-1 as RFC 3174, section 6.1, tells it.
 *
 * Pure: any thread.  Written for size, it hashes 60 bytes a handshake.
 */


#include "sha1.h"


static void feed_block(sha1_t *s, const uint8_t *p);
static uint32_t rotate(uint32_t x, unsigned n);


void
sha1_open(sha1_t *s)
{
    memset(s, 0, sizeof(sha1_t));

    s->h[0] = 0x67452301;
    s->h[1] = 0xefcdab89;
    s->h[2] = 0x98badcfe;
    s->h[3] = 0x10325476;
    s->h[4] = 0xc3d2e1f0;
}


void
sha1_feed(sha1_t *s, bytes_t b)
{
    size_t  n, used;

    while (b.len != 0) {
        used = (size_t) (s->len % SHA1_BLOCK);
        n = SHA1_BLOCK - used;
        n = (n < b.len) ? n : b.len;

        memcpy(s->block + used, b.data, n);

        s->len += n;
        b.data += n;
        b.len -= n;

        if (used + n == SHA1_BLOCK) {
            feed_block(s, s->block);
        }
    }
}


void
sha1_write(sha1_t *s, bytes_writer_t *w)
{
    size_t    i;
    uint8_t   tail[SHA1_BLOCK + 8], digest[SHA1_SIZE];
    uint64_t  bits;

    /* a one bit, zeroes up to 8 bytes before the end of a block, the length */

    bits = s->len * 8;
    i = SHA1_BLOCK - (size_t) ((s->len + 8) % SHA1_BLOCK);

    memset(tail, 0, sizeof(tail));
    tail[0] = 0x80;
    sha1_feed(s, bytes_make(tail, i));

    for (i = 0; i < 8; i++) {
        tail[i] = (uint8_t) (bits >> (56 - i * 8));
    }

    sha1_feed(s, bytes_make(tail, 8));

    for (i = 0; i < SHA1_SIZE; i++) {
        digest[i] = (uint8_t) (s->h[i / 4] >> (24 - i % 4 * 8));
    }

    bytes_writer_put(w, digest, SHA1_SIZE);
}


static void
feed_block(sha1_t *s, const uint8_t *p)
{
    unsigned  i;
    uint32_t  v[5], w[80], f, k, next;

    for (i = 0; i < 16; i++) {
        w[i] = (uint32_t) p[i * 4] << 24 | (uint32_t) p[i * 4 + 1] << 16
               | (uint32_t) p[i * 4 + 2] << 8 | p[i * 4 + 3];
    }

    for ( /* void */ ; i < 80; i++) {
        w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    }

    memcpy(v, s->h, sizeof(v));

    for (i = 0; i < 80; i++) {

        if (i < 20) {
            f = (v[1] & v[2]) | (~v[1] & v[3]);
            k = 0x5a827999;

        } else if (i < 40) {
            f = v[1] ^ v[2] ^ v[3];
            k = 0x6ed9eba1;

        } else if (i < 60) {
            f = (v[1] & v[2]) | (v[1] & v[3]) | (v[2] & v[3]);
            k = 0x8f1bbcdc;

        } else {
            f = v[1] ^ v[2] ^ v[3];
            k = 0xca62c1d6;
        }

        next = rotate(v[0], 5) + f + v[4] + w[i] + k;

        v[4] = v[3];
        v[3] = v[2];
        v[2] = rotate(v[1], 30);
        v[1] = v[0];
        v[0] = next;
    }

    for (i = 0; i < 5; i++) {
        s->h[i] += v[i];
    }
}


static uint32_t
rotate(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}
