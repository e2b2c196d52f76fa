/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * json_write.c: commas and nesting, escapes, and that what comes out is JSON
 * that json_scan.c accepts, whatever bytes went in.
 */


#include "json_scan.h"
#include "json_write.h"
#include "tap.h"
#include "utf8.h"


#define TEST_ROOM  8192           /* bytes */


static void
test_commas(void)
{
    uint8_t         buf[TEST_ROOM];
    json_write_t    j;
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));
    json_write_open(&j, &w);

    json_write_object(&j);
    json_write_member_text(&j, "name", "ada");
    json_write_member_integer(&j, "seq", -5);
    json_write_key(&j, "rooms");
    json_write_array(&j);
    json_write_string(&j, bytes_of("r_1"));
    json_write_object(&j);
    json_write_object_end(&j);
    json_write_array(&j);
    json_write_array_end(&j);
    json_write_null(&j);
    json_write_array_end(&j);
    json_write_key(&j, "in");
    json_write_object(&j);
    json_write_member_bool(&j, "yes", 2);
    json_write_member_bool(&j, "no", 0);
    json_write_object_end(&j);
    json_write_member_raw(&j, "raw", bytes_of("[1,2]"));
    json_write_object_end(&j);

    tap_ok(!w.failed
           && bytes_equal_text(bytes_writer_view(&w),
                               "{\"name\":\"ada\",\"seq\":-5,\"rooms\":"
                               "[\"r_1\",{},[],null],\"in\":{\"yes\":true,"
                               "\"no\":false},\"raw\":[1,2]}"),
           "values are separated by one comma, keys by a colon");
}


static void
test_integers(void)
{
    uint8_t         buf[TEST_ROOM];
    json_write_t    j;
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));
    json_write_open(&j, &w);

    json_write_array(&j);
    json_write_integer(&j, 0);
    json_write_integer(&j, INT64_MAX);
    json_write_integer(&j, INT64_MIN);
    json_write_array_end(&j);

    tap_ok(bytes_equal_text(bytes_writer_view(&w),
                            "[0,9223372036854775807,-9223372036854775808]"),
           "integers of 64 bits are written whole");
}


static void
test_strings(void)
{
    size_t          i;
    uint8_t         buf[TEST_ROOM];
    json_write_t    j;
    bytes_writer_t  w;

    static const struct {
        const char  *name;
        bytes_t      in;
        const char  *out;
    } cases[] = {
        { "nothing", bytes_literal(""), "\"\"" },
        { "text", bytes_literal("a/b"), "\"a/b\"" },
        { "quotes", bytes_literal("\"a\\"), "\"\\\"a\\\\\"" },
        { "controls with a letter", bytes_literal("\b\f\n\r\t"),
          "\"\\b\\f\\n\\r\\t\"" },
        { "controls without", bytes_literal("\x01\x1f\x7f"),
          "\"\\u0001\\u001f\x7f\"" },
        { "a NUL", bytes_literal("a\0b"), "\"a\\u0000b\"" },
        { "UTF-8", bytes_literal("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
          "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"" },
        { "a bad byte", bytes_literal("a\xff" "b"),
          "\"a\xef\xbf\xbd" "b\"" },
        { "two bad bytes", bytes_literal("\xff\x80"),
          "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "a code point cut by text", bytes_literal("\xe2\x82" "a"),
          "\"\xef\xbf\xbd" "a\"" },
        { "a code point cut by the end", bytes_literal("a\xf0\x9f\x98"),
          "\"a\xef\xbf\xbd\"" },
        { "a code point cut by another", bytes_literal("\xe2\x82\xc3\xa9"),
          "\"\xef\xbf\xbd\xc3\xa9\"" },
        { "a surrogate", bytes_literal("\xed\xa0\x80"),
          "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bytes_writer_open(&w, buf, sizeof(buf));
        json_write_open(&j, &w);
        json_write_string(&j, cases[i].in);

        tap_ok(!w.failed
               && bytes_equal_text(bytes_writer_view(&w), cases[i].out),
               "%s is escaped", cases[i].name);
    }
}


static void
test_any_two_bytes(void)
{
    size_t          wrong;
    uint8_t         buf[32], in[2];
    unsigned        i;
    json_write_t    j;
    bytes_writer_t  w;

    /* u0000 is our own escape of a NUL, which the scanner refuses */

    wrong = 0;

    for (i = 0; i < 0x10000; i++) {
        in[0] = (uint8_t) (i >> 8);
        in[1] = (uint8_t) i;

        bytes_writer_open(&w, buf, json_write_string_max(2));
        json_write_open(&j, &w);
        json_write_string(&j, bytes_make(in, 2));

        wrong += w.failed
                 || !utf8_valid(bytes_writer_view(&w))
                 || (in[0] != 0 && in[1] != 0
                     && json_scan_validate(bytes_writer_view(&w), NULL)
                        != JSON_SCAN_OK);
    }

    tap_ok(wrong == 0,
           "any two bytes become valid JSON within the promised bound");
}


static void
test_depth(void)
{
    unsigned        i;
    uint8_t         buf[TEST_ROOM];
    json_write_t    j;
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));
    json_write_open(&j, &w);

    for (i = 0; i < JSON_WRITE_DEPTH_MAX; i++) {
        json_write_array(&j);
    }

    json_write_integer(&j, 1);
    json_write_integer(&j, 2);

    for (i = 0; i < JSON_WRITE_DEPTH_MAX; i++) {
        json_write_array_end(&j);
    }

    tap_ok(!w.failed
           && json_scan_validate(bytes_writer_view(&w), NULL)
              == JSON_SCAN_OK, "32 levels are written");

    json_write_array_end(&j);
    tap_ok(w.failed, "what was not opened cannot be closed");

    bytes_writer_open(&w, buf, sizeof(buf));
    json_write_open(&j, &w);

    for (i = 0; i < JSON_WRITE_DEPTH_MAX + 1; i++) {
        json_write_array(&j);
    }

    tap_ok(w.failed, "33 levels are not");
}


static void
test_failures(void)
{
    uint8_t         buf[8];
    json_write_t    j;
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));
    json_write_open(&j, &w);
    json_write_string(&j, bytes_of("1234567"));
    tap_ok(w.failed, "no room is remembered");

    bytes_writer_open(&w, buf, sizeof(buf));
    json_write_open(&j, &w);
    json_write_raw(&j, bytes_make(NULL, 0));
    tap_ok(w.failed, "no bytes are no value");
}


int
main(void)
{
    test_commas();
    test_integers();
    test_strings();
    test_any_two_bytes();
    test_depth();
    test_failures();

    return tap_done();
}
