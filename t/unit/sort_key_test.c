/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * sort_key.c: keys compare as the values do, each pair of a list that is in
 * order; fields end by themselves; long strings are cut and say so.
 */


#include <stdio.h>
#include <stdlib.h>

#include "sort_key.h"
#include "tap.h"


/* in order, all different; NULL: absent */
static const char *const  values[] = {
    NULL, "null", "false", "true",
    "-1.7976931348623157e308", "-1e10", "-2", "-1.5", "-1e-300",
    "-4.9e-324", "0", "4.9e-324", "1e-300", "0.1", "1", "1.5", "2", "10",
    "9007199254740991", "1e300",
    "\"\"", "\" \"", "\"0\"", "\"A\"", "\"a\"", "\"a\\u0001\"", "\"a\\n\"",
    "\"aa\"", "\"ab\"", "\"b\"", "\"\\u00e9\"", "\"\\uffff\"",
    "\"\\ud83d\\ude00\"",
    "[]"
};

#define TEST_VALUES  (sizeof(values) / sizeof(values[0]))


static bytes_t
make_key(const char *text, uint8_t *buf, int *cut, int turned)
{
    json_scan_t     value;
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, SORT_KEY_FIELD_MAX);

    if (text == NULL) {
        *cut = sort_key_write(&w, NULL);

    } else {
        (void) json_scan_open(bytes_of(text), &value);
        *cut = sort_key_write(&w, &value);
    }

    if (turned) {
        sort_key_turn(&w, w.start);
    }

    return w.failed ? bytes_make(NULL, 0) : bytes_writer_view(&w);
}


static int
compare(bytes_t a, bytes_t b)
{
    int  rc;

    rc = memcmp(a.data, b.data, (a.len < b.len) ? a.len : b.len);

    return (rc != 0) ? rc : (a.len > b.len) - (a.len < b.len);
}


static void
test_order(void)
{
    int      cut, c;
    size_t   i, k, wrong, ends;
    uint8_t  a[SORT_KEY_FIELD_MAX], b[SORT_KEY_FIELD_MAX];
    bytes_t  x, y;

    wrong = 0;
    ends = 0;

    for (i = 0; i < TEST_VALUES; i++) {

        for (k = 0; k < TEST_VALUES; k++) {
            x = make_key(values[i], a, &cut, 0);
            y = make_key(values[k], b, &cut, 0);
            c = compare(x, y);
            wrong += (i < k) ? c >= 0 : (i > k) ? c <= 0 : c != 0;

            x = make_key(values[i], a, &cut, 1);
            y = make_key(values[k], b, &cut, 1);
            c = compare(x, y);
            wrong += (i < k) ? c <= 0 : (i > k) ? c >= 0 : c != 0;
        }

        x = make_key(values[i], a, &cut, 0);
        ends += sort_key_field(x) != x.len || cut != 0;
    }

    tap_ok(wrong == 0, "%zu values sort as they should, both ways",
           TEST_VALUES);
    tap_ok(ends == 0, "and each key tells where it ends");
}


static void
test_equal(void)
{
    int      cut;
    size_t   i;
    uint8_t  a[SORT_KEY_FIELD_MAX], b[SORT_KEY_FIELD_MAX];

    static const char *const  same[][2] = {
        { "0", "-0" }, { "-0.0e5", "0" }, { "1", "1.0" }, { "100", "1e2" },
        { "\"a\"", "\"\\u0061\"" }, { "[]", "{\"a\":1}" }, { "[]", "1e999" },
        { "9007199254740993", "9007199254740992" }
    };

    for (i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        tap_ok(bytes_equal(make_key(same[i][0], a, &cut, 0),
                           make_key(same[i][1], b, &cut, 0)),
               "%s and %s are one key", same[i][0], same[i][1]);
    }
}


static void
test_cut(void)
{
    int             cut;
    char            text[SORT_KEY_STRING_MAX + 8];
    uint8_t         a[SORT_KEY_FIELD_MAX], b[SORT_KEY_FIELD_MAX];
    uint8_t         c[SORT_KEY_FIELD_MAX];
    bytes_t         x, y, z;
    json_scan_t     value;
    bytes_writer_t  w;

    memset(text, 'a', sizeof(text));
    text[0] = '"';
    text[SORT_KEY_STRING_MAX + 1] = '"';
    text[SORT_KEY_STRING_MAX + 2] = '\0';

    x = make_key(text, a, &cut, 0);
    tap_ok(x.len == SORT_KEY_FIELD_MAX && cut == 0,
           "a string of %d bytes is whole", SORT_KEY_STRING_MAX);

    text[SORT_KEY_STRING_MAX + 1] = 'a';
    text[SORT_KEY_STRING_MAX + 2] = '"';
    text[SORT_KEY_STRING_MAX + 3] = '\0';

    y = make_key(text, b, &cut, 0);
    tap_ok(y.len == SORT_KEY_FIELD_MAX && cut == 1, "one more is cut");
    tap_ok(compare(x, y) < 0, "and sorts behind it");

    text[SORT_KEY_STRING_MAX] = 'b';
    z = make_key(text, c, &cut, 0);
    tap_ok(compare(y, z) < 0, "what differs before the cut still sorts");

    (void) json_scan_open(bytes_of(text), &value);
    bytes_writer_open(&w, c, sizeof(c));
    tap_ok(sort_key_write_prefix(&w, &value) == 1
           && bytes_writer_view(&w).len == 1 + SORT_KEY_STRING_MAX,
           "a prefix that long is cut as well");

    (void) json_scan_open(bytes_of("\"aaa\""), &value);
    bytes_writer_open(&w, c, sizeof(c));
    tap_ok(sort_key_write_prefix(&w, &value) == 0
           && bytes_start_with(x, bytes_writer_view(&w)),
           "a prefix begins the keys of what begins with it");

    tap_ok(sort_key_field(bytes_make("\x40" "ab\0", 4)) == 0
           && sort_key_field(bytes_make("\x30" "1234567", 8)) == 0
           && sort_key_field(bytes_make("\x77", 1)) == 0
           && sort_key_field(bytes_make(NULL, 0)) == 0,
           "what is no key has no field");
}


int
main(void)
{
    test_order();
    test_equal();
    test_cut();

    return tap_done();
}
