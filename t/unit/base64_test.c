/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * base64.c: the vectors of RFC 4648, section 10, in all three forms, and one
 * text for each value.
 */


#include "base64.h"
#include "tap.h"


#define TEST_ROOM  1024           /* bytes */


static const char  *form_names[] = {
    [BASE64_URL] = "url", [BASE64_STD] = "std", [BASE64_STD_RAW] = "raw"
};


static void
test_known_texts(void)
{
    size_t          i;
    uint8_t         buf[TEST_ROOM];
    bytes_writer_t  w;

    static const struct {
        base64_form_t  form;
        bytes_t        bytes;
        const char    *text;
    } cases[] = {
        { BASE64_STD, bytes_literal(""), "" },
        { BASE64_STD, bytes_literal("f"), "Zg==" },
        { BASE64_STD, bytes_literal("fo"), "Zm8=" },
        { BASE64_STD, bytes_literal("foo"), "Zm9v" },
        { BASE64_STD, bytes_literal("foob"), "Zm9vYg==" },
        { BASE64_STD, bytes_literal("fooba"), "Zm9vYmE=" },
        { BASE64_STD, bytes_literal("foobar"), "Zm9vYmFy" },
        { BASE64_STD, bytes_literal("\xfb\xff\xbf"), "+/+/" },
        { BASE64_STD_RAW, bytes_literal("f"), "Zg" },
        { BASE64_STD_RAW, bytes_literal("\xfb\xff\xbf"), "+/+/" },
        { BASE64_URL, bytes_literal("fo"), "Zm8" },
        { BASE64_URL, bytes_literal("\xfb\xff\xbf"), "-_-_" },
        { BASE64_URL, bytes_literal("\x00\x00\x00"), "AAAA" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bytes_writer_open(&w, buf, sizeof(buf));

        tap_ok(base64_encode(cases[i].form, cases[i].bytes, &w) == 0
               && bytes_equal_text(bytes_writer_view(&w), cases[i].text),
               "%s writes \"%s\"", form_names[cases[i].form], cases[i].text);

        bytes_writer_open(&w, buf, sizeof(buf));

        tap_ok(base64_decode(cases[i].form, bytes_of(cases[i].text), &w) == 0
               && bytes_equal(bytes_writer_view(&w), cases[i].bytes),
               "%s reads \"%s\"", form_names[cases[i].form], cases[i].text);
    }
}


static void
test_refused_texts(void)
{
    size_t          i;
    uint8_t         buf[TEST_ROOM];
    bytes_writer_t  w;

    static const struct {
        const char    *name;
        base64_form_t  form;
        const char    *text;
    } cases[] = {
        { "padding", BASE64_URL, "Zg==" },
        { "the other alphabet", BASE64_URL, "+/+/" },
        { "the other alphabet", BASE64_STD, "-_-_" },
        { "a digit too many", BASE64_URL, "Zm9vY" },
        { "a lone digit", BASE64_URL, "Z" },
        { "a lone zero", BASE64_URL, "A" },
        { "a zero too many", BASE64_URL, "Zm9vA" },
        { "unused bits, one byte", BASE64_URL, "Zh" },
        { "unused bits, two bytes", BASE64_URL, "Zm9" },
        { "unused bits under padding", BASE64_STD, "Zm9=" },
        { "missing padding", BASE64_STD, "Zg" },
        { "half the padding", BASE64_STD, "Zg=" },
        { "too much padding", BASE64_STD, "Z===" },
        { "padding alone", BASE64_STD, "====" },
        { "padding after whole groups", BASE64_STD, "Zm9v====" },
        { "padding inside", BASE64_STD, "Zg==Zm9v" },
        { "padding", BASE64_STD_RAW, "Zg==" },
        { "a blank", BASE64_URL, "Zm 9v" },
        { "a line feed at the end", BASE64_URL, "Zm9v\n" },
        { "a dot", BASE64_URL, "Zm9v.m9v" },
        { "a byte over 0x7f", BASE64_URL, "Zm9\xc3" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bytes_writer_open(&w, buf, sizeof(buf));

        tap_ok(base64_decode(cases[i].form, bytes_of(cases[i].text), &w) != 0
               && bytes_writer_view(&w).len == 0,
               "%s: %s is refused", form_names[cases[i].form],
               cases[i].name);
    }
}


static void
test_one_text_for_a_value(void)
{
    unsigned        i, n;
    uint8_t         buf[TEST_ROOM], text[2];
    bytes_writer_t  w;

    /* of all texts of two characters 256 are a byte, each another one */

    n = 0;

    for (i = 0; i < 0x10000; i++) {
        text[0] = (uint8_t) (i >> 8);
        text[1] = (uint8_t) i;
        bytes_writer_open(&w, buf, sizeof(buf));

        n += base64_decode(BASE64_URL, bytes_make(text, 2), &w) == 0;
    }

    tap_ok(n == 256, "256 texts of two characters are one byte");
}


static void
test_room(void)
{
    uint8_t         buf[TEST_ROOM];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, 5);
    tap_ok(base64_decode(BASE64_URL, bytes_of("Zm9vYmFy"), &w) != 0
           && bytes_writer_view(&w).len == 0, "no room leaves no bytes");

    bytes_writer_open(&w, buf, 7);
    tap_ok(base64_encode(BASE64_URL, bytes_of("foobar"), &w) != 0
           && bytes_writer_view(&w).len == 0, "no room leaves no text");

    memcpy(buf, "Zm9vYmFy", 8);
    bytes_writer_open(&w, buf, 8);
    tap_ok(base64_decode(BASE64_URL, bytes_make(buf, 8), &w) == 0
           && bytes_equal_text(bytes_writer_view(&w), "foobar"),
           "bytes may be written over their text");
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
