/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * json_scan.c: the strict pass accepts and refuses case by case and says
 * where, at every cut; the limits hold; members are found and read.
 */


#include <stdlib.h>

#include "json_scan.h"
#include "tap.h"


#define TEST_BIG  (1 << 20)       /* bytes of a text */


static const bytes_t  accepted[] = {
    bytes_literal("{}"),
    bytes_literal("[]"),
    bytes_literal(" \t\r\n{ } \n"),
    bytes_literal("null"),
    bytes_literal("true"),
    bytes_literal("false"),
    bytes_literal("\"\""),
    bytes_literal("0"),
    bytes_literal("-0"),
    bytes_literal("-0.5e-7"),
    bytes_literal("1E+2"),
    bytes_literal("[1,2,[3,[]],{}]"),
    bytes_literal("{\"a\":1,\"b\":{\"a\":2,\"b\":[{\"a\":3}]}}"),
    bytes_literal("[{\"a\":1},{\"a\":1}]"),
    bytes_literal("{\"a\":1,\"A\":2,\"\":3,\"aa\":4}"),
    bytes_literal("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\""),
    bytes_literal("\"\\ud83d\\ude00\""),
    bytes_literal("\"\\uDBFF\\uDFFF \\ue000 \\uFFFF\""),
    bytes_literal("\"\xc3\xa9 \xf0\x9f\x98\x80 \x7f\""),
    bytes_literal("{\"\xc3\xa9\":1,\"e\\u0301\":2}")
};


static const struct {
    const char     *name;
    bytes_t         text;
    json_scan_rc_t  rc;
    size_t          at;
} refused[] = {
    { "nothing", bytes_literal(""), JSON_SCAN_SYNTAX, 0 },
    { "blanks", bytes_literal(" \n"), JSON_SCAN_SYNTAX, 2 },
    { "a form feed", bytes_literal("\f{}"), JSON_SCAN_SYNTAX, 0 },
    { "a byte order mark", bytes_literal("\xef\xbb\xbf{}"),
      JSON_SCAN_SYNTAX, 0 },
    { "two values", bytes_literal("{} {}"), JSON_SCAN_SYNTAX, 3 },
    { "a NUL behind", bytes_literal("{}\0"), JSON_SCAN_SYNTAX, 2 },
    { "an open object", bytes_literal("{"), JSON_SCAN_SYNTAX, 1 },
    { "an open array", bytes_literal("[1,"), JSON_SCAN_SYNTAX, 3 },
    { "brackets crossed", bytes_literal("[1}"), JSON_SCAN_SYNTAX, 2 },
    { "brackets crossed, object", bytes_literal("{\"a\":1]"),
      JSON_SCAN_SYNTAX, 6 },
    { "a closing bracket", bytes_literal("]"), JSON_SCAN_SYNTAX, 0 },
    { "a comma before the end", bytes_literal("[1,]"),
      JSON_SCAN_SYNTAX, 3 },
    { "a comma before the end of an object", bytes_literal("{\"a\":1,}"),
      JSON_SCAN_SYNTAX, 7 },
    { "a leading comma", bytes_literal("[,1]"), JSON_SCAN_SYNTAX, 1 },
    { "no comma", bytes_literal("[1 2]"), JSON_SCAN_SYNTAX, 3 },
    { "no colon", bytes_literal("{\"a\" 1}"), JSON_SCAN_SYNTAX, 5 },
    { "no value", bytes_literal("{\"a\":}"), JSON_SCAN_SYNTAX, 5 },
    { "a bare key", bytes_literal("{a:1}"), JSON_SCAN_SYNTAX, 1 },
    { "a number as key", bytes_literal("{1:1}"), JSON_SCAN_SYNTAX, 1 },
    { "single quotes", bytes_literal("'a'"), JSON_SCAN_SYNTAX, 0 },
    { "a comment", bytes_literal("/**/1"), JSON_SCAN_SYNTAX, 0 },
    { "True", bytes_literal("True"), JSON_SCAN_SYNTAX, 0 },
    { "truex", bytes_literal("truex"), JSON_SCAN_SYNTAX, 4 },
    { "NaN", bytes_literal("NaN"), JSON_SCAN_SYNTAX, 0 },
    { "a leading zero", bytes_literal("[01]"), JSON_SCAN_SYNTAX, 1 },
    { "a plus", bytes_literal("+1"), JSON_SCAN_SYNTAX, 0 },
    { "a lone minus", bytes_literal("-"), JSON_SCAN_SYNTAX, 1 },
    { "no digit before the point", bytes_literal(".5"),
      JSON_SCAN_SYNTAX, 0 },
    { "no digit behind the point", bytes_literal("1."),
      JSON_SCAN_SYNTAX, 2 },
    { "no exponent", bytes_literal("1e+"), JSON_SCAN_SYNTAX, 3 },
    { "hex", bytes_literal("0x10"), JSON_SCAN_SYNTAX, 1 },
    { "an open string", bytes_literal("\"abc"), JSON_SCAN_SYNTAX, 4 },
    { "a line feed in a string", bytes_literal("\"a\nb\""),
      JSON_SCAN_SYNTAX, 2 },
    { "a NUL in a string", bytes_literal("\"a\0\""), JSON_SCAN_SYNTAX, 2 },
    { "an escaped NUL", bytes_literal("\"a\\u0000\""),
      JSON_SCAN_SYNTAX, 2 },
    { "an unknown escape", bytes_literal("\"\\x41\""),
      JSON_SCAN_SYNTAX, 1 },
    { "an escaped NUL byte", bytes_literal("\"\\\0\""),
      JSON_SCAN_SYNTAX, 1 },
    { "a short escape", bytes_literal("\"\\u12\""), JSON_SCAN_SYNTAX, 1 },
    { "a bad hex digit", bytes_literal("\"\\u12G4\""),
      JSON_SCAN_SYNTAX, 1 },
    { "a high surrogate alone", bytes_literal("\"\\ud83d\""),
      JSON_SCAN_UTF8, 1 },
    { "a high surrogate and text", bytes_literal("\"\\ud83dabcdef\""),
      JSON_SCAN_UTF8, 1 },
    { "two high surrogates", bytes_literal("\"\\ud83d\\ud83d\""),
      JSON_SCAN_UTF8, 1 },
    { "a low surrogate alone", bytes_literal("\"\\ude00\""),
      JSON_SCAN_UTF8, 1 },
    { "two low surrogates", bytes_literal("\"\\ude00\\ude00\""),
      JSON_SCAN_UTF8, 1 },
    { "a pair with a letter", bytes_literal("\"\\ud83d\\u0041\""),
      JSON_SCAN_UTF8, 1 },
    { "a bad byte", bytes_literal("\"a\xff\""), JSON_SCAN_UTF8, 2 },
    { "an overlong form", bytes_literal("\"\xc0\xaf\""),
      JSON_SCAN_UTF8, 1 },
    { "a raw surrogate", bytes_literal("\"\xed\xa0\x80\""),
      JSON_SCAN_UTF8, 1 },
    { "a cut code point", bytes_literal("\"\xe2\x82\""),
      JSON_SCAN_UTF8, 1 },
    { "a bad byte in a key", bytes_literal("{\"\xff\":1}"),
      JSON_SCAN_UTF8, 2 },
    { "a duplicate", bytes_literal("{\"a\":1,\"a\":2}"),
      JSON_SCAN_DUPLICATE, 8 },
    { "a duplicate, escaped", bytes_literal("{\"a\":1,\"\\u0061\":2}"),
      JSON_SCAN_DUPLICATE, 8 },
    { "a duplicate, pair and raw",
      bytes_literal("{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}"),
      JSON_SCAN_DUPLICATE, 19 },
    { "a duplicate of nothing", bytes_literal("{\"\":1,\"\":2}"),
      JSON_SCAN_DUPLICATE, 7 },
    { "a duplicate behind objects",
      bytes_literal("{\"a\":{\"b\":{}},\"b\":[{}],\"a\":0}"),
      JSON_SCAN_DUPLICATE, 24 },
    { "a duplicate, deep", bytes_literal("[[{\"x\":[{\"a\":1,\"a\":2}]}]]"),
      JSON_SCAN_DUPLICATE, 16 }
};


/* A copy of exactly its size on the heap (owned by the caller). */
static uint8_t *
copy_text(bytes_t text)
{
    uint8_t  *copy;

    copy = malloc(text.len ? text.len : 1);

    if (copy == NULL) {
        abort();
    }

    return memcpy(copy, text.len ? (const void *) text.data : "", text.len);
}


static void
test_accepted(void)
{
    size_t       i, n, cut;
    uint8_t     *copy;
    json_scan_t  value;

    for (i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
        copy = copy_text(accepted[i]);

        tap_ok(json_scan_validate(bytes_make(copy, accepted[i].len), NULL)
               == JSON_SCAN_OK
               && json_scan_open(accepted[i], &value) == 0,
               "text %zu is accepted", i + 1);
        free(copy);

        /* cut anywhere it must not read on; a shorter number is whole */

        cut = 0;

        for (n = 0; n < accepted[i].len; n++) {
            copy = copy_text(bytes_make(accepted[i].data, n));
            cut += json_scan_validate(bytes_make(copy, n), NULL)
                   == JSON_SCAN_OK
                   && value.type != JSON_SCAN_NUMBER
                   && n < (size_t) (value.raw.data + value.raw.len
                                    - accepted[i].data);
            free(copy);
        }

        tap_ok(cut == 0, "text %zu cut short is refused", i + 1);
    }
}


static void
test_refused(void)
{
    size_t          i, at;
    uint8_t        *copy;
    json_scan_rc_t  rc;

    for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        copy = copy_text(refused[i].text);
        rc = json_scan_validate(bytes_make(copy, refused[i].text.len), &at);

        tap_ok(rc == refused[i].rc && at == refused[i].at,
               "%s is refused at %zu (%d, %zu)", refused[i].name,
               refused[i].at, rc, at);
        free(copy);
    }
}


static void
test_depth(void)
{
    char    text[2 * JSON_SCAN_DEPTH_MAX + 2];
    size_t  at;

    memset(text, '[', JSON_SCAN_DEPTH_MAX + 1);
    memset(text + JSON_SCAN_DEPTH_MAX + 1, ']', JSON_SCAN_DEPTH_MAX + 1);

    tap_ok(json_scan_validate(bytes_make(text + 1, 2 * JSON_SCAN_DEPTH_MAX),
                              NULL)
           == JSON_SCAN_OK, "64 levels are allowed");
    tap_ok(json_scan_validate(bytes_make(text, sizeof(text)), &at)
           == JSON_SCAN_DEPTH && at == JSON_SCAN_DEPTH_MAX,
           "the 65th is refused where it opens");
}


/* Writes an object of n members with keys "k0", "k1" ... */
static void
write_members(bytes_writer_t *w, unsigned n)
{
    char      text[32];
    unsigned  i;

    bytes_writer_text(w, "{");

    for (i = 0; i < n; i++) {
        (void) snprintf(text, sizeof(text), "%s\"k%u\":0", i ? "," : "", i);
        bytes_writer_text(w, text);
    }

    bytes_writer_text(w, "}");
}


static void
test_member_limits(void)
{
    size_t          i;
    uint8_t        *text;
    bytes_writer_t  w;

    text = malloc(TEST_BIG);

    if (text == NULL) {
        abort();
    }

    bytes_writer_open(&w, text, TEST_BIG);
    write_members(&w, JSON_SCAN_MEMBERS_MAX);
    tap_ok(json_scan_validate(bytes_writer_view(&w), NULL) == JSON_SCAN_OK,
           "1024 members are allowed");

    bytes_writer_open(&w, text, TEST_BIG);
    write_members(&w, JSON_SCAN_MEMBERS_MAX + 1);
    tap_ok(json_scan_validate(bytes_writer_view(&w), NULL)
           == JSON_SCAN_LIMIT, "1025 are not");

    /* many objects beside each other are no load: each is let go */

    bytes_writer_open(&w, text, TEST_BIG);
    bytes_writer_text(&w, "[");

    for (i = 0; i < 50; i++) {
        bytes_writer_text(&w, i ? "," : "");
        write_members(&w, JSON_SCAN_MEMBERS_MAX);
    }

    bytes_writer_text(&w, "]");
    tap_ok(!w.failed
           && json_scan_validate(bytes_writer_view(&w), NULL)
              == JSON_SCAN_OK, "as many objects as one likes may have them");

    /* objects inside each other are: five times 1000 is over the limit */

    bytes_writer_open(&w, text, TEST_BIG);

    for (i = 0; i < 5; i++) {
        write_members(&w, 1000);
        w.pos--;
        bytes_writer_text(&w, ",\"in\":");
    }

    bytes_writer_text(&w, "0}}}}}");
    tap_ok(!w.failed
           && json_scan_validate(bytes_writer_view(&w), NULL)
              == JSON_SCAN_LIMIT, "all open objects have 4096 together");

    free(text);
}


static void
test_equal_hashes(void)
{
    char         text[256];
    size_t       pos;
    unsigned     i, n, other;
    json_scan_t  value, key, object;

    /* FNV-1a of "costarring" and "liquid" is the same in 32 bits, and so is
       that of "declinate" and "macallums" */

    (void) snprintf(text, sizeof(text), "{\"costarring\":1,\"declinate\":2,"
                    "\"liquid\":3,\"macallums\":4}");

    tap_ok(json_scan_validate(bytes_of(text), NULL) == JSON_SCAN_OK,
           "keys of equal hash are not taken for duplicates");

    (void) snprintf(text, sizeof(text), "{\"costarring\":1,\"liquid\":3,"
                    "\"costarrin\\u0067\":1}");

    tap_ok(json_scan_validate(bytes_of(text), NULL) == JSON_SCAN_DUPLICATE,
           "and a duplicate among them is found");

    (void) json_scan_open(bytes_of("{\"costarring\":1,\"liquid\":3}"),
                          &object);
    pos = 0;
    n = 0;
    other = 0;

    for (i = 0; json_scan_next(&object, &pos, &key, &value) == 0; i++) {
        n += json_scan_equal(&key, "liquid");
        other += json_scan_equal(&key, "costarring");
    }

    tap_ok(i == 2 && n == 1 && other == 1, "each is found by its own name");
}


static void
test_find(void)
{
    size_t       pos;
    bytes_t      text;
    unsigned     n;
    json_scan_t  object, value, key;

    text = bytes_of(" { \"type\" : \"join_room\" , \"n\":[1,{\"x\":\"]}\"},3],"
                    "\"s\":{\"type\":\"inner\"},\"\\u00e9\":true,"
                    "\"last\":null} ");

    tap_ok(json_scan_validate(text, NULL) == JSON_SCAN_OK
           && json_scan_open(text, &object) == 0
           && object.type == JSON_SCAN_OBJECT
           && object.raw.data[0] == '{'
           && object.raw.data[object.raw.len - 1] == '}',
           "an object is opened without the blanks around it");

    tap_ok(json_scan_find(&object, "type", &value) == 0
           && json_scan_equal(&value, "join_room"),
           "a member is found, not one inside another");
    tap_ok(json_scan_find(&object, "\xc3\xa9", &value) == 0
           && value.type == JSON_SCAN_BOOL && value.truth == 1,
           "an escaped key is found by its meaning");
    tap_ok(json_scan_find(&object, "last", &value) == 0
           && value.type == JSON_SCAN_NULL
           && bytes_equal_text(value.raw, "null"), "null has its text");
    tap_ok(json_scan_find(&object, "x", &value) != 0
           && json_scan_find(&object, "typ", &value) != 0,
           "what is not there is not found");
    tap_ok(json_scan_find(&object, "n", &value) == 0
           && bytes_equal_text(value.raw, "[1,{\"x\":\"]}\"},3]"),
           "brackets in strings are text");

    pos = 0;
    n = 0;
    object = value;

    while (json_scan_next(&object, &pos, NULL, &value) == 0) {
        n++;
    }

    tap_ok(n == 3 && bytes_equal_text(value.raw, "") == 1,
           "an array is walked to its end");

    (void) json_scan_open(bytes_of("[]"), &object);
    pos = 0;
    tap_ok(json_scan_next(&object, &pos, NULL, &value) != 0,
           "an empty array has no element");

    (void) json_scan_open(bytes_of("{ }"), &object);
    pos = 0;
    tap_ok(json_scan_next(&object, &pos, &key, &value) != 0
           && json_scan_find(&object, "", &value) != 0,
           "an empty object has no member");

    (void) json_scan_open(bytes_of("7"), &object);
    pos = 0;
    tap_ok(json_scan_next(&object, &pos, &key, &value) != 0
           && json_scan_find(&object, "7", &value) != 0,
           "a number has neither");
}


static void
test_string(void)
{
    char            text[64];
    bytes_t         plain;
    json_scan_t     value;
    bytes_writer_t  w;

    (void) snprintf(text, sizeof(text), "\"a\\n\\u00e9\\ud83d\\ude00\\\"/\"");

    tap_ok(json_scan_open(bytes_of(text), &value) == 0 && value.escaped
           && json_scan_plain(&value, &plain) != 0,
           "a string with escapes is not plain");

    bytes_writer_open(&w, text + 1, value.text.len);
    tap_ok(json_scan_string(&value, &w) == 0
           && bytes_equal_text(bytes_writer_view(&w),
                               "a\n\xc3\xa9\xf0\x9f\x98\x80\"/"),
           "it is unescaped, also over itself");

    (void) json_scan_open(bytes_of("\"a\\u00e9\""), &value);
    tap_ok(json_scan_equal(&value, "a\xc3\xa9")
           && !json_scan_equal(&value, "a\xc3\xaa")
           && !json_scan_equal(&value, "a")
           && !json_scan_equal(&value, "a\xc3\xa9z"),
           "and compared unescaped");

    bytes_writer_open(&w, text, 2);
    tap_ok(json_scan_string(&value, &w) != 0
           && bytes_writer_view(&w).len == 0, "no room leaves no output");

    (void) json_scan_open(bytes_of("\"abc\""), &value);
    bytes_writer_open(&w, text, 3);
    tap_ok(json_scan_plain(&value, &plain) == 0
           && bytes_equal_text(plain, "abc")
           && json_scan_string(&value, &w) == 0
           && bytes_equal_text(bytes_writer_view(&w), "abc"),
           "a plain string is had in place and as a copy");

    (void) json_scan_open(bytes_of("12"), &value);
    tap_ok(json_scan_string(&value, &w) != 0
           && json_scan_plain(&value, &plain) != 0
           && !json_scan_equal(&value, "12"), "a number is no string");
}


static void
test_integer(void)
{
    int          rc;
    size_t       i;
    int64_t      n;
    json_scan_t  value;

    static const struct {
        const char  *text;
        int          rc;
        int64_t      n;
    } cases[] = {
        { "0", 0, 0 },
        { "-0", 0, 0 },
        { "-1", 0, -1 },
        { "9007199254740991", 0, 9007199254740991LL },
        { "-9007199254740991", 0, -9007199254740991LL },
        { "9007199254740992", -1, 0 },
        { "-9007199254740992", -1, 0 },
        { "18446744073709551617", -1, 0 },
        { "100000000000000000000000000000000000000001", -1, 0 },
        { "1.0", -1, 0 },
        { "1e2", -1, 0 },
        { "\"1\"", -1, 0 },
        { "true", -1, 0 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        n = 0;
        rc = json_scan_open(bytes_of(cases[i].text), &value);

        tap_ok(rc == 0
               && json_scan_integer(&value, &n) == cases[i].rc
               && n == cases[i].n,
               "%s is %s", cases[i].text,
               cases[i].rc == 0 ? "an integer" : "no integer of ours");
    }
}


static void
test_number(void)
{
    char         text[JSON_SCAN_NUMBER_MAX + 2];
    double       n;
    json_scan_t  value;

    (void) json_scan_open(bytes_of("-12.5e-1"), &value);
    tap_ok(json_scan_number(&value, &n) == 0 && n == -1.25,
           "a number is read as double");

    (void) json_scan_open(bytes_of("1e999"), &value);
    tap_ok(json_scan_number(&value, &n) != 0, "unless it is too large");

    memset(text, '1', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    (void) json_scan_open(bytes_of(text), &value);
    tap_ok(json_scan_number(&value, &n) != 0, "or too long");

    text[JSON_SCAN_NUMBER_MAX] = '\0';
    (void) json_scan_open(bytes_of(text), &value);
    tap_ok(json_scan_number(&value, &n) == 0 && n > 1e127 && n < 1.2e127,
           "the longest is read");
}


int
main(void)
{
    test_accepted();
    test_refused();
    test_depth();
    test_member_limits();
    test_equal_hashes();
    test_find();
    test_string();
    test_integer();
    test_number();

    return tap_done();
}
