/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * sha1.c: the vectors of RFC 3174, section 7.3, and of FIPS 180, whole, byte
 * by byte, and at every length around the ends of blocks.
 */


#include "sha1.h"
#include "tap.h"


typedef struct {
    const char  *name;
    const char  *text;
    unsigned     times;           /* repeated */
    const char  *digest;          /* hexadecimal */
} sha1_case_t;


static void test_vector(const sha1_case_t *c, size_t step);
static void test_lengths(void);
static void write_hex(char *hex, bytes_t b);


static const sha1_case_t  cases[] = {
    { "nothing", "", 1, "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
    { "abc", "abc", 1, "a9993e364706816aba3e25717850c26c9cd0d89d" },
    { "56 bytes",
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
      "84983e441c3bd26ebaae4aa1f95129e5e54670f1" },
    { "640 digits",
      "0123456701234567012345670123456701234567012345670123456701234567",
      10, "dea356a2cddd90c7a7ecedc5ebb563934f460452" },
    { "a million of a", "aaaaaaaaaa", 100000,
      "34aa973cd4c4daa4f61eeb2bdbad27316534016f" }
};


int
main(void)
{
    size_t  i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        test_vector(&cases[i], SIZE_MAX);
        test_vector(&cases[i], 1);
    }

    test_lengths();

    return tap_done();
}


static void
test_vector(const sha1_case_t *c, size_t step)
{
    char            hex[SHA1_SIZE * 2 + 1];
    size_t          n, i, len;
    sha1_t          sha1;
    uint8_t         digest[SHA1_SIZE];
    bytes_writer_t  w;

    sha1_open(&sha1);

    for (n = 0; n < c->times; n++) {
        len = strlen(c->text);

        for (i = 0; i < len; i += step) {
            sha1_feed(&sha1, bytes_make(c->text + i,
                                        (step < len) ? step : len));
            if (step >= len) {
                break;
            }
        }
    }

    bytes_writer_open(&w, digest, sizeof(digest));
    sha1_write(&sha1, &w);
    write_hex(hex, bytes_writer_view(&w));

    tap_ok(!w.failed && strcmp(hex, c->digest) == 0, "%s%s: %s", c->name,
           (step == 1) ? ", byte by byte" : "", hex);
}


/*
 * The digest of the digests of 0 to 299 zero bytes, so that each way to pad
 * is walked; the value was computed with sha1sum.
 */

static void
test_lengths(void)
{
    char            hex[SHA1_SIZE * 2 + 1];
    size_t          n;
    sha1_t          all, one;
    uint8_t         digest[SHA1_SIZE], zeroes[300];
    bytes_writer_t  w;

    memset(zeroes, 0, sizeof(zeroes));
    sha1_open(&all);

    for (n = 0; n < sizeof(zeroes); n++) {
        bytes_writer_open(&w, digest, sizeof(digest));

        sha1_open(&one);
        sha1_feed(&one, bytes_make(zeroes, n));
        sha1_write(&one, &w);

        sha1_feed(&all, bytes_writer_view(&w));
    }

    bytes_writer_open(&w, digest, sizeof(digest));
    sha1_write(&all, &w);
    write_hex(hex, bytes_writer_view(&w));

    tap_ok(strcmp(hex, "4a82ba31ee735297e8b8abafe03fc7d040938eef") == 0,
           "all lengths up to 299: %s", hex);

    bytes_writer_open(&w, digest, SHA1_SIZE - 1);
    sha1_open(&one);
    sha1_write(&one, &w);
    tap_ok(w.failed, "a digest that does not fit is refused");
}


static void
write_hex(char *hex, bytes_t b)
{
    size_t  i;

    for (i = 0; i < b.len; i++) {
        snprintf(hex + i * 2, 3, "%02x", b.data[i]);
    }
}
