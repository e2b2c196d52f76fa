/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * base58.c: known texts, zeros in front, the bounds, and every length both
 * ways.
 */


#include "base58.h"
#include "tap.h"


#define TEST_ROOM  2048           /* bytes */


static void
test_known_texts(void)
{
    size_t          i;
    uint8_t         buf[TEST_ROOM];
    bytes_writer_t  w;

    static const struct {
        const char  *name;
        bytes_t      bytes;
        const char  *text;
    } cases[] = {
        { "nothing", bytes_literal(""), "" },
        { "one zero", bytes_literal("\x00"), "1" },
        { "the highest digit", bytes_literal("\x39"), "z" },
        { "58", bytes_literal("\x3a"), "21" },
        { "a sentence", bytes_literal("Hello World!"), "2NEpo7TZRRrLZSi2U" },
        { "zeros in front", bytes_literal("\x00\x00\x28\x7f\xb4\xcd"),
          "11233QC4" },
        { "five digits", bytes_literal("\x27\x1f\x35\x9f"), "zzzzz" },
        { "six digits", bytes_literal("\x27\x1f\x35\xa0"), "211111" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bytes_writer_open(&w, buf, sizeof(buf));

        tap_ok(base58_encode(cases[i].bytes, &w) == 0
               && bytes_equal_text(bytes_writer_view(&w), cases[i].text),
               "%s encodes", cases[i].name);

        bytes_writer_open(&w, buf, sizeof(buf));

        tap_ok(base58_decode(bytes_of(cases[i].text), &w) == 0
               && bytes_equal(bytes_writer_view(&w), cases[i].bytes),
               "%s decodes", cases[i].name);
    }
}


static void
test_foreign_characters(void)
{
    int             c, n;
    char            text[3];
    uint8_t         buf[TEST_ROOM];
    bytes_writer_t  w;

    n = 0;

    for (c = 0; c < 256; c++) {
        text[0] = '2';
        text[1] = (char) c;
        text[2] = '2';
        bytes_writer_open(&w, buf, sizeof(buf));

        if (base58_decode(bytes_make(text, 3), &w) == 0) {
            n++;

        } else if (bytes_writer_view(&w).len != 0) {
            n = -1000;
        }
    }

    tap_ok(n == 58, "58 characters are digits, all others leave no output");

    bytes_writer_open(&w, buf, sizeof(buf));
    tap_ok(base58_decode(bytes_of("0OIl"), &w) != 0,
           "0, O, I and l are no digits");
}


static void
test_every_length(void)
{
    int             good;
    size_t          n;
    uint8_t         bytes[BASE58_BYTES_MAX], text[TEST_ROOM], back[TEST_ROOM];
    bytes_t         view;
    bytes_writer_t  w;

    memset(bytes, 0xff, sizeof(bytes));
    good = 1;

    /* 749 bytes of ones are 1023 digits, 750 are 1025 */

    for (n = 0; n <= 749; n++) {
        bytes_writer_open(&w, text, sizeof(text));
        good &= base58_encode(bytes_make(bytes, n), &w) == 0;
        view = bytes_writer_view(&w);

        bytes_writer_open(&w, back, sizeof(back));
        good &= base58_decode(view, &w) == 0
                && bytes_equal(bytes_writer_view(&w), bytes_make(bytes, n));
    }

    tap_ok(good, "every length up to 749 bytes survives both ways");

    bytes_writer_open(&w, text, sizeof(text));
    tap_ok(base58_encode(bytes_make(bytes, BASE58_BYTES_MAX), &w) != 0,
           "what would be longer than the longest text is not encoded");
}


static void
test_bounds(void)
{
    uint8_t         text[BASE58_TEXT_MAX + 1], buf[TEST_ROOM];
    bytes_writer_t  w;

    memset(text, 'z', sizeof(text));

    bytes_writer_open(&w, buf, sizeof(buf));
    tap_ok(base58_decode(bytes_make(text, BASE58_TEXT_MAX), &w) == 0,
           "the longest text is decoded");

    bytes_writer_open(&w, buf, sizeof(buf));
    tap_ok(base58_decode(bytes_make(text, BASE58_TEXT_MAX + 1), &w) != 0,
           "a longer one is not");

    memset(text, '1', sizeof(text));

    bytes_writer_open(&w, buf, sizeof(buf));
    tap_ok(base58_decode(bytes_make(text, BASE58_BYTES_MAX), &w) == 0
           && bytes_writer_view(&w).len == BASE58_BYTES_MAX,
           "768 zeros are decoded");

    bytes_writer_open(&w, buf, sizeof(buf));
    tap_ok(base58_decode(bytes_make(text, BASE58_BYTES_MAX + 1), &w) != 0,
           "769 are not");

    bytes_writer_open(&w, buf, 11);
    tap_ok(base58_decode(bytes_of("2NEpo7TZRRrLZSi2U"), &w) != 0
           && bytes_writer_view(&w).len == 0,
           "no room leaves no output when decoding");

    bytes_writer_open(&w, buf, 16);
    tap_ok(base58_encode(bytes_of("Hello World!"), &w) != 0
           && bytes_writer_view(&w).len == 0,
           "nor when encoding");
}


int
main(void)
{
    test_known_texts();
    test_foreign_characters();
    test_every_length();
    test_bounds();

    return tap_done();
}
