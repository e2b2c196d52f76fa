/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * json_merge.c: the examples of RFC 7396, appendix A; order, escapes and
 * depth; wide objects in time; never past the room given.
 */


#include <stdlib.h>

#include "json_merge.h"
#include "json_scan.h"
#include "tap.h"


#define TEST_BIG  (1 << 20)       /* bytes of a text */


static const struct {
    const char  *target;
    const char  *patch;
    const char  *result;
} cases[] = {

    /* RFC 7396, appendix A */

    { "{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
    { "{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}" },
    { "{\"a\":\"b\"}", "{\"a\":null}", "{}" },
    { "{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}" },
    { "{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
    { "{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}" },
    { "{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}",
      "{\"a\":{\"b\":\"d\"}}" },
    { "{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}" },
    { "[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]" },
    { "{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]" },
    { "{\"a\":\"foo\"}", "null", "null" },
    { "{\"a\":\"foo\"}", "\"bar\"", "\"bar\"" },
    { "{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}" },
    { "[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}" },
    { "{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}" },

    /* section 3 */

    { "{\"title\":\"Goodbye!\",\"author\":{\"givenName\":\"John\","
      "\"familyName\":\"Doe\"},\"tags\":[\"example\",\"sample\"],"
      "\"content\":\"This will be unchanged\"}",
      "{\"title\":\"Hello!\",\"phoneNumber\":\"+01-123-456-7890\","
      "\"author\":{\"familyName\":null},\"tags\":[\"example\"]}",
      "{\"title\":\"Hello!\",\"author\":{\"givenName\":\"John\"},"
      "\"tags\":[\"example\"],\"content\":\"This will be unchanged\","
      "\"phoneNumber\":\"+01-123-456-7890\"}" },

    /* ours */

    { "", "{\"a\":{\"b\":null,\"c\":1},\"d\":null}", "{\"a\":{\"c\":1}}" },
    { "{ \"z\" : 1 , \"y\" : [ 2 ] }", " { \"x\" : 3 } ",
      "{\"z\":1,\"y\":[ 2 ],\"x\":3}" },
    { "{\"\\u0061\":1,\"b\":2}", "{\"a\":3,\"\\u0062\":null}",
      "{\"\\u0061\":3}" },
    { "{\"\":1}", "{\"\":{\"\":2}}", "{\"\":{\"\":2}}" },
    { "{\"a\":{\"b\":{\"c\":1,\"d\":2},\"e\":3},\"f\":4}",
      "{\"f\":5,\"a\":{\"g\":6,\"b\":{\"c\":null,\"h\":{\"i\":null}}}}",
      "{\"a\":{\"b\":{\"d\":2,\"h\":{}},\"e\":3,\"g\":6},\"f\":5}" },
    { "{\"a\":1}", "{\"a\":[{\"b\":null}]}", "{\"a\":[{\"b\":null}]}" },
    { "{\"a\":null}", "{}", "{\"a\":null}" },
    { "17", "{}", "{}" }
};


static void
test_cases(void)
{
    size_t          i, room;
    bytes_t         target, patch;
    uint8_t         out[1024];
    bytes_writer_t  w;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        target = bytes_of(cases[i].target);
        patch = bytes_of(cases[i].patch);

        bytes_writer_open(&w, out, json_merge_max(target.len, patch.len));

        tap_ok(json_merge_apply(target, patch, &w) == 0
               && bytes_equal_text(bytes_writer_view(&w), cases[i].result),
               "%s with %s is %s", cases[i].target, cases[i].patch,
               cases[i].result);

        for (room = strlen(cases[i].result); room != 0; room--) {
            bytes_writer_open(&w, out, room - 1);

            if (json_merge_apply(target, patch, &w) == 0) {
                break;
            }
        }

        tap_ok(room == 0, "and needs its room");
    }
}


static void
test_depth(void)
{
    size_t          i;
    uint8_t         text[64 * 8], out[64 * 16];
    bytes_t         deep;
    bytes_writer_t  w;

    bytes_writer_open(&w, text, sizeof(text));

    for (i = 0; i < JSON_SCAN_DEPTH_MAX; i++) {
        bytes_writer_text(&w, "{\"a\":");
    }

    w.pos -= 4;

    for (i = 0; i < JSON_SCAN_DEPTH_MAX; i++) {
        bytes_writer_byte(&w, '}');
    }

    deep = bytes_writer_view(&w);

    tap_ok(json_scan_validate(deep, NULL) == JSON_SCAN_OK,
           "a patch may be %d deep", JSON_SCAN_DEPTH_MAX);

    bytes_writer_open(&w, out, sizeof(out));

    tap_ok(json_merge_apply(deep, deep, &w) == 0
           && bytes_equal(bytes_writer_view(&w), deep),
           "and is merged down to its ground");
}


/* Objects of 1000 members in a megabyte, all of them met. */
static void
test_wide(void)
{
    char            name[16];
    size_t          i, k;
    uint8_t        *text, *out;
    bytes_t         wide;
    bytes_writer_t  w, v;

    text = malloc(TEST_BIG);
    out = malloc(json_merge_max(TEST_BIG, TEST_BIG));

    if (text == NULL || out == NULL) {
        tap_ok(0, "there is memory");
        free(text);
        free(out);
        return;
    }

    bytes_writer_open(&w, text, TEST_BIG);

    for (i = 0; i < 64; i++) {
        (void) snprintf(name, sizeof(name), "%c\"%zu\":",
                        (i == 0) ? '{' : ',', i);
        bytes_writer_text(&w, name);

        for (k = 0; k < 1000; k++) {
            (void) snprintf(name, sizeof(name), "%c\"%zu\":%zu",
                            (k == 0) ? '{' : ',', k, k);
            bytes_writer_text(&w, name);
        }

        bytes_writer_byte(&w, '}');
    }

    bytes_writer_byte(&w, '}');
    wide = bytes_writer_view(&w);

    tap_ok(!w.failed && json_scan_validate(wide, NULL) == JSON_SCAN_OK,
           "64 objects of 1000 members");

    bytes_writer_open(&v, out, json_merge_max(TEST_BIG, TEST_BIG));

    tap_ok(json_merge_apply(wide, wide, &v) == 0
           && bytes_equal(bytes_writer_view(&v), wide),
           "come out as they were, by themselves");

    free(text);
    free(out);
}


int
main(void)
{
    test_cases();
    test_depth();
    test_wide();

    return tap_done();
}
