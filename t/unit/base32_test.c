/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * base32.c: the vectors of RFC 4648, section 10, in our form (lower case, no
 * padding), and one text for each value.
 */


#include "base32.h"
#include "tap.h"


#define TEST_ROOM  256            /* bytes */


static void
test_known_texts(void)
{
    size_t          i;
    uint8_t         buf[TEST_ROOM];
    bytes_writer_t  w;

    static const struct {
        bytes_t      bytes;
        const char  *text;
    } cases[] = {
        { bytes_literal(""), "" },
        { bytes_literal("f"), "my" },
        { bytes_literal("fo"), "mzxq" },
        { bytes_literal("foo"), "mzxw6" },
        { bytes_literal("foob"), "mzxw6yq" },
        { bytes_literal("fooba"), "mzxw6ytb" },
        { bytes_literal("foobar"), "mzxw6ytboi" },
        { bytes_literal("\xff\xff\xff\xff\xff"), "77777777" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bytes_writer_open(&w, buf, sizeof(buf));

        tap_ok(base32_encode(cases[i].bytes, &w) == 0
               && bytes_equal_text(bytes_writer_view(&w), cases[i].text),
               "\"%s\" is written", cases[i].text);

        bytes_writer_open(&w, buf, sizeof(buf));

        tap_ok(base32_decode(bytes_of(cases[i].text), &w) == 0
               && bytes_equal(bytes_writer_view(&w), cases[i].bytes),
               "\"%s\" is read", cases[i].text);
    }
}


static void
test_refused_texts(void)
{
    size_t          i;
    uint8_t         buf[TEST_ROOM];
    bytes_writer_t  w;

    static const struct {
        const char  *name;
        const char  *text;
    } cases[] = {
        { "upper case", "MY" },
        { "padding", "my======" },
        { "one digit", "m" },
        { "three digits", "mzx" },
        { "six digits", "mzxw6a" },
        { "unused bits, two digits", "mz" },
        { "unused bits, four digits", "mzxr" },
        { "unused bits, five digits", "mzxw7" },
        { "unused bits, seven digits", "mzxw6yr" },
        { "the digit 1", "m1" },
        { "the digit 8", "m8" },
        { "a blank", "my " },
        { "a byte over 0x7f", "m\xff" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bytes_writer_open(&w, buf, sizeof(buf));

        tap_ok(base32_decode(bytes_of(cases[i].text), &w) != 0
               && bytes_writer_view(&w).len == 0,
               "%s: refused", cases[i].name);
    }
}


static void
test_one_text_for_a_value(void)
{
    unsigned        i, n;
    uint8_t         buf[TEST_ROOM], text[2];
    bytes_writer_t  w;

    n = 0;

    for (i = 0; i < 0x10000; i++) {
        text[0] = (uint8_t) (i >> 8);
        text[1] = (uint8_t) i;
        bytes_writer_open(&w, buf, sizeof(buf));

        n += base32_decode(bytes_make(text, 2), &w) == 0;
    }

    tap_ok(n == 256, "256 texts of two characters are one byte");
}


static void
test_room(void)
{
    uint8_t         buf[TEST_ROOM];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, 5);
    tap_ok(base32_decode(bytes_of("mzxw6ytboi"), &w) != 0
           && bytes_writer_view(&w).len == 0, "no room leaves no bytes");

    bytes_writer_open(&w, buf, 9);
    tap_ok(base32_encode(bytes_of("foobar"), &w) != 0
           && bytes_writer_view(&w).len == 0, "no room leaves no text");
}


int
main(void)
{
    test_known_texts();
    test_refused_texts();
    test_one_text_for_a_value();
    test_room();

    return tap_done();
}
