/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * json_letters.c: every escape to its bytes, every bad one refused, and no
 * step past the end, wherever that is.
 */


#include <stdlib.h>

#include "json_letters.h"
#include "tap.h"


#define TEST_ROOM  64             /* bytes */


static void
test_strings(void)
{
    int             c;
    size_t          i;
    uint8_t         out[TEST_ROOM];
    bytes_t         in;
    bytes_writer_t  w;
    json_letters_t  l;

    static const struct {
        const char  *in;
        const char  *out;
    } cases[] = {
        { "", "" },
        { "plain", "plain" },
        { "to the quote\"not beyond", "to the quote" },
        { "\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t" },
        { "\\u0041\\u00e9\\u20AC", "A\xc3\xa9\xe2\x82\xac" },
        { "\\ud83d\\ude00", "\xf0\x9f\x98\x80" },
        { "\\uDBFF\\uDFFF", "\xf4\x8f\xbf\xbf" },
        { "\\uD800\\uDC00", "\xf0\x90\x80\x80" },
        { "\xc3\xa9\\u0301", "\xc3\xa9\xcc\x81" },
        { "up to\\x a bad one", "up to" },
        { "up to\\u0000 a NUL", "up to" },
        { "up to half \\ud83d", "up to half " }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        in = bytes_of(cases[i].in);
        bytes_writer_open(&w, out, sizeof(out));
        json_letters_open(&l, in.data, in.data + in.len);

        while ((c = json_letters_next(&l)) >= 0) {
            bytes_writer_byte(&w, (uint8_t) c);
        }

        tap_ok(bytes_equal_text(bytes_writer_view(&w), cases[i].out)
               && json_letters_next(&l) < 0, "\"%s\" is unescaped",
               cases[i].in);
    }
}


static void
test_escapes_refused(void)
{
    size_t             i;
    bytes_t            in;
    uint32_t           code;
    const uint8_t     *pos;
    json_letters_rc_t  rc;

    static const struct {
        const char        *in;
        json_letters_rc_t  rc;
    } cases[] = {
        { "\\", JSON_LETTERS_SYNTAX },
        { "\\a", JSON_LETTERS_SYNTAX },
        { "\\U0041", JSON_LETTERS_SYNTAX },
        { "\\'", JSON_LETTERS_SYNTAX },
        { "\\u", JSON_LETTERS_SYNTAX },
        { "\\u004", JSON_LETTERS_SYNTAX },
        { "\\u004g", JSON_LETTERS_SYNTAX },
        { "\\u00@1", JSON_LETTERS_SYNTAX },
        { "\\u 041", JSON_LETTERS_SYNTAX },
        { "\\u0000", JSON_LETTERS_SYNTAX },
        { "\\ud83d", JSON_LETTERS_SURROGATE },
        { "\\ud83d\\n", JSON_LETTERS_SURROGATE },
        { "\\ud83d\\ude0", JSON_LETTERS_SURROGATE },
        { "\\ud83d\\u0041", JSON_LETTERS_SURROGATE },
        { "\\ud83d\\ud83d", JSON_LETTERS_SURROGATE },
        { "\\ud83d\\ue000", JSON_LETTERS_SURROGATE },
        { "\\ude00\\ude00", JSON_LETTERS_SURROGATE },
        { "\\ude00", JSON_LETTERS_SURROGATE }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        in = bytes_of(cases[i].in);
        pos = in.data;
        rc = json_letters_escape(&pos, in.data + in.len, &code);

        tap_ok(rc == cases[i].rc && pos == in.data,
               "%s is refused, and nothing is skipped", cases[i].in);
    }
}


static void
test_cut_anywhere(void)
{
    size_t          n, whole;
    uint8_t        *copy;
    uint32_t        code;
    unsigned        taken;
    const uint8_t  *pos;

    static const char  pair[] = "\\ud83d\\ude00";

    whole = sizeof(pair) - 1;
    taken = 0;

    /* exactly as much memory as there is text: a checker sees the rest */

    for (n = 1; n <= whole; n++) {
        copy = malloc(n);

        if (copy == NULL) {
            abort();
        }

        pos = memcpy(copy, pair, n);

        taken += json_letters_escape(&pos, copy + n, &code)
                 == JSON_LETTERS_OK && (n != whole || code != 0x1f600);
        free(copy);
    }

    tap_ok(taken == 0, "a pair is one escape, and none when cut");
}


int
main(void)
{
    test_strings();
    test_escapes_refused();
    test_cut_anywhere();

    return tap_done();
}
