/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * doc_filter.c: what each comparison means, type by type; what is refused,
 * with the place; the limits to the last one.
 */


#include <stdlib.h>

#include "doc_filter.h"
#include "tap.h"


static const char  document[] =
    "{\"n\":5,\"s\":\"hello\",\"t\":true,\"z\":null,\"a\":[1],\"big\":1e999,"
    "\"o\":{\"p\":{\"q\":\"deep\"},\"n\":-1.5},\"a.b\":1,\"and\":2,"
    "\"\\u0065sc\":\"\\u0068i\",\"x\\\\y\":3}";


static const struct {
    const char  *filter;
    int          match;
} matches[] = {
    { "{}", 1 },
    { "{\"n\":5}", 1 },
    { "{\"n\":5.0}", 1 },
    { "{\"n\":\"5\"}", 0 },
    { "{\"n\":{\"eq\":5}}", 1 },
    { "{\"n\":{\"ne\":5}}", 0 },
    { "{\"n\":{\"ne\":6}}", 1 },
    { "{\"n\":{\"lt\":5}}", 0 },
    { "{\"n\":{\"lte\":5}}", 1 },
    { "{\"n\":{\"gt\":4.9,\"lt\":5.1}}", 1 },
    { "{\"n\":{\"gte\":5,\"lt\":5}}", 0 },
    { "{\"n\":{\"gt\":true}}", 1 },
    { "{\"n\":{\"gt\":null}}", 1 },
    { "{\"n\":{\"lt\":\"\"}}", 1 },
    { "{\"s\":{\"gt\":99}}", 1 },
    { "{\"s\":{\"lt\":\"hellp\"}}", 1 },
    { "{\"s\":{\"gte\":\"hello\"}}", 1 },
    { "{\"s\":{\"prefix\":\"hel\"}}", 1 },
    { "{\"s\":{\"prefix\":\"\"}}", 1 },
    { "{\"s\":{\"prefix\":\"hello!\"}}", 0 },
    { "{\"n\":{\"prefix\":\"5\"}}", 0 },
    { "{\"t\":true}", 1 },
    { "{\"t\":{\"gt\":false}}", 1 },
    { "{\"z\":null}", 1 },
    { "{\"z\":{\"lt\":false}}", 1 },
    { "{\"none\":null}", 0 },
    { "{\"none\":{\"exists\":false}}", 1 },
    { "{\"none\":{\"ne\":1}}", 1 },
    { "{\"none\":{\"lt\":1}}", 0 },
    { "{\"z\":{\"exists\":true}}", 1 },
    { "{\"a\":{\"exists\":true}}", 1 },
    { "{\"a\":{\"gt\":0}}", 0 },
    { "{\"a\":{\"ne\":0}}", 1 },
    { "{\"big\":{\"gt\":0}}", 0 },
    { "{\"n\":{\"in\":[1,\"x\",5]}}", 1 },
    { "{\"n\":{\"in\":[]}}", 0 },
    { "{\"z\":{\"in\":[null]}}", 1 },
    { "{\"o.p.q\":\"deep\"}", 1 },
    { "{\"o.n\":{\"lt\":0}}", 1 },
    { "{\"o.p.q.r\":{\"exists\":false}}", 1 },
    { "{\"o\":{\"exists\":true},\"o.p\":{\"exists\":true}}", 1 },
    { "{\"a\\\\.b\":1}", 1 },
    { "{\"a.b\":1}", 0 },
    { "{\"\\\\and\":2}", 1 },
    { "{\"x\\\\\\\\y\":3}", 1 },
    { "{\"esc\":\"hi\"}", 1 },
    { "{\"e\\u0073c\":{\"prefix\":\"\\u0068\"}}", 1 },
    { "{\"and\":[{\"n\":5},{\"t\":true}]}", 1 },
    { "{\"and\":[{\"n\":5},{\"t\":false}]}", 0 },
    { "{\"or\":[{\"n\":6},{\"t\":true}]}", 1 },
    { "{\"or\":[{\"n\":6},{\"t\":false}]}", 0 },
    { "{\"not\":{\"n\":5}}", 0 },
    { "{\"not\":{\"n\":5,\"t\":false}}", 1 },
    { "{\"not\":{\"not\":{\"not\":{\"not\":{\"n\":5}}}}}", 1 },
    { "{\"or\":[{\"n\":6},{\"and\":[{\"s\":\"hello\"},{\"not\":{\"t\":"
      "false}}]}],\"z\":null}", 1 }
};


static const struct {
    const char  *filter;
    const char  *pointer;
} refused[] = {
    { "[]", "/filter" },
    { "5", "/filter" },
    { "{\"n\":[]}", "/filter/n" },
    { "{\"n\":{}}", "/filter/n" },
    { "{\"n\":{\"eq\":{}}}", "/filter/n/eq" },
    { "{\"n\":{\"eq\":[1]}}", "/filter/n/eq" },
    { "{\"n\":{\"eq\":1e999}}", "/filter/n/eq" },
    { "{\"n\":-1e400}", "/filter/n" },
    { "{\"n\":{\"in\":5}}", "/filter/n/in" },
    { "{\"n\":{\"in\":[[]]}}", "/filter/n/in" },
    { "{\"n\":{\"exists\":1}}", "/filter/n/exists" },
    { "{\"n\":{\"prefix\":1}}", "/filter/n/prefix" },
    { "{\"n\":{\"regex\":\"x\"}}", "/filter/n/regex" },
    { "{\"n\":{\"lt\":1,\"EQ\":1}}", "/filter/n/EQ" },
    { "{\"a/b~c\":{\"like\":1}}", "/filter/a~1b~0c/like" },
    { "{\"\":1}", "/filter/" },
    { "{\"a..b\":1}", "/filter/a..b" },
    { "{\"a.\":1}", "/filter/a." },
    { "{\"a\\\\\":1}", "/filter/a\\" },
    { "{\"a.b.c.d.e.f.g.h.i\":1}", "/filter/a.b.c.d.e.f.g.h.i" },
    { "{\"and\":{}}", "/filter/and" },
    { "{\"and\":[]}", "/filter/and" },
    { "{\"or\":[{}]}", "/filter/or/0" },
    { "{\"or\":[{\"n\":1},5]}", "/filter/or/1" },
    { "{\"or\":[{\"n\":1},{\"n\":{\"x\":2}}]}", "/filter/or/1/n/x" },
    { "{\"not\":[]}", "/filter/not" },
    { "{\"not\":{}}", "/filter/not" },
    { "{\"not\":{\"not\":{\"not\":{\"not\":{\"not\":{\"n\":5}}}}}}",
      "/filter/not/not/not/not/not" }
};


static doc_filter_t  filter;


static int
parse(const char *text)
{
    json_scan_t  value;

    if (json_scan_validate(bytes_of(text), NULL) != JSON_SCAN_OK
        || json_scan_open(bytes_of(text), &value) != 0)
    {
        return -2;
    }

    return doc_filter_parse(&filter, &value, "/filter");
}


static void
test_matches(void)
{
    size_t       i;
    json_scan_t  doc;

    (void) json_scan_open(bytes_of(document), &doc);

    for (i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
        tap_ok(parse(matches[i].filter) == 0
               && doc_filter_match(&filter, &doc) == matches[i].match,
               "%s %s", matches[i].filter,
               matches[i].match ? "matches" : "does not match");
    }
}


static void
test_refused(void)
{
    size_t  i;

    for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        tap_ok(parse(refused[i].filter) == -1
               && filter.fault != NULL
               && bytes_equal_text(bytes_make(filter.pointer,
                                              filter.pointer_len),
                                   refused[i].pointer),
               "%s is refused at %s", refused[i].filter, refused[i].pointer);
    }
}


/* n terms of fields of their own, or the values of one "in". */
static int
parse_many(size_t n, int list)
{
    char    text[1024];
    size_t  i, len;

    len = (size_t) snprintf(text, sizeof(text), "{%s",
                            list ? "\"n\":{\"in\":[" : "");

    for (i = 0; i < n; i++) {
        len += (size_t) snprintf(text + len, sizeof(text) - len,
                                 list ? "%s%zu" : "%s\"f%zu\":1",
                                 (i == 0) ? "" : ",", i);
    }

    (void) snprintf(text + len, sizeof(text) - len, "%s}",
                    list ? "]}" : "");

    return parse(text);
}


static void
test_limits(void)
{
    char  text[512];

    tap_ok(parse_many(32, 0) == 0 && filter.terms == 32,
           "32 comparisons are taken");
    tap_ok(parse_many(33, 0) == -1, "the 33rd is not");
    tap_ok(parse_many(32, 1) == 0, "32 values of \"in\" are taken");
    tap_ok(parse_many(33, 1) == -1, "the 33rd is not");

    memset(text, 'x', sizeof(text));
    memcpy(text, "{\"", 2);
    memcpy(text + 2 + DOC_PATH_MAX, "\":1}", 5);
    tap_ok(parse(text) == 0, "a path of %d bytes is taken", DOC_PATH_MAX);

    text[2 + DOC_PATH_MAX] = 'x';
    memcpy(text + 3 + DOC_PATH_MAX, "\":1}", 5);
    tap_ok(parse(text) == -1, "one more is not");

    memset(text, 'x', sizeof(text));
    memcpy(text, "{\"", 2);
    memcpy(text + 480, "\":1}", 5);
    tap_ok(parse(text) == -1
           && filter.pointer_len == DOC_FILTER_POINTER_MAX,
           "and the pointer to a long one is cut");
}


static void
test_project(void)
{
    size_t          i;
    uint8_t         out[sizeof(document)];
    json_scan_t     doc;
    bytes_writer_t  w;
    doc_path_set_t  set;

    static const struct {
        const char  *paths[3];
        const char  *result;
    } cases[] = {
        { { "n", NULL, NULL }, "{\"n\":5}" },
        { { "z", "n", NULL }, "{\"n\":5,\"z\":null}" },
        { { "o.p.q", NULL, NULL }, "{\"o\":{\"p\":{\"q\":\"deep\"}}}" },
        { { "o.n", "o.p", NULL },
          "{\"o\":{\"p\":{\"q\":\"deep\"},\"n\":-1.5}}" },
        { { "o.p", "o", NULL },
          "{\"o\":{\"p\":{\"q\":\"deep\"},\"n\":-1.5}}" },
        { { "none", "n.x", NULL }, "{}" },
        { { "o.none", NULL, NULL }, "{\"o\":{}}" },
        { { "a\\.b", "esc", NULL },
          "{\"a.b\":1,\"\\u0065sc\":\"\\u0068i\"}" }
    };

    (void) json_scan_open(bytes_of(document), &doc);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {

        for (set.count = 0; cases[i].paths[set.count] != NULL; set.count++) {
            (void) doc_path_parse(&set.paths[set.count],
                                  bytes_of(cases[i].paths[set.count]));
        }

        bytes_writer_open(&w, out, sizeof(out));
        doc_path_project(&set, &doc, &w);

        tap_ok(!w.failed && bytes_equal_text(bytes_writer_view(&w),
                                             cases[i].result),
               "%s alone is %s", cases[i].paths[0], cases[i].result);
    }
}


int
main(void)
{
    test_matches();
    test_refused();
    test_limits();
    test_project();

    return tap_done();
}
