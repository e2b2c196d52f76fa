/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Policies: tables of statements over arguments, both as JSON so that a case
 * is one line.  The vectors (t/10-ucan-vectors.t) test the same from outside;
 * here are the corners that are ours, and the bounds.
 */


#include <jansson.h>

#include "tap.h"
#include "ucan_make.h"
#include "ucan_policy.h"


#define WORK  (1024 * 1024)


static void write_value(bytes_writer_t *w, json_t *value);


static int
compare_keys(const void *a, const void *b)
{
    return cbor_key_compare(bytes_of(*(const char *const *) a),
                            bytes_of(*(const char *const *) b));
}


static void
write_map(bytes_writer_t *w, json_t *object)
{
    size_t       i, n;
    json_t      *value;
    const char  *keys[64], *key;

    n = 0;

    json_object_foreach(object, key, value) {
        keys[n++] = key;
    }

    qsort(keys, n, sizeof(keys[0]), compare_keys);
    cbor_write_map(w, n);

    for (i = 0; i < n; i++) {
        cbor_write_text(w, bytes_of(keys[i]));
        write_value(w, json_object_get(object, keys[i]));
    }
}


static void
write_value(bytes_writer_t *w, json_t *value)
{
    size_t   i;
    json_t  *item;

    switch (json_typeof(value)) {

    case JSON_OBJECT:
        write_map(w, value);
        break;

    case JSON_ARRAY:
        cbor_write_list(w, json_array_size(value));

        json_array_foreach(value, i, item) {
            write_value(w, item);
        }

        break;

    case JSON_STRING:
        cbor_write_text(w, bytes_of(json_string_value(value)));
        break;

    case JSON_INTEGER:
        cbor_write_integer(w, json_integer_value(value));
        break;

    case JSON_REAL:
        cbor_write_float(w, json_real_value(value));
        break;

    case JSON_NULL:
        cbor_write_null(w);
        break;

    default:
        cbor_write_bool(w, json_is_true(value));
    }
}


static bytes_t
encode(const char *text)
{
    json_t          *value;
    static uint8_t   buf[256 * 1024];
    bytes_writer_t   w;

    value = json_loads(text, JSON_DECODE_ANY, NULL);

    if (value == NULL) {
        tap_ok(0, "%s is JSON", text);
        return bytes_make(NULL, 0);
    }

    bytes_writer_open(&w, buf, sizeof(buf));
    write_value(&w, value);
    json_decref(value);

    return make_copy(&w);
}


static const char *
result(bytes_t policy, bytes_t args)
{
    size_t  work;

    work = WORK;

    if (ucan_policy_validate(policy) != 0) {
        return "invalid";
    }

    return ucan_policy_match(policy, args, &work) ? "true" : "false";
}


static void
test_statements(void)
{
    size_t  i;

    static const struct {
        const char  *policy;
        const char  *args;
        const char  *result;
    } cases[] = {
        { "[]", "{}", "true" },
        { "[[\"==\",\".a\",1]]", "{\"a\":1}", "true" },
        { "[[\"==\",\".a\",1]]", "{\"a\":1.0}", "true" },
        { "[[\"==\",\".a\",[1.0,{\"b\":2}]]]", "{\"a\":[1,{\"b\":2.0}]}",
          "true" },
        { "[[\"==\",\".a\",\"1\"]]", "{\"a\":1}", "false" },
        { "[[\"==\",\".a\",null]]", "{}", "true" },
        { "[[\"==\",\".a.b\",null]]", "{}", "false" },
        { "[[\"!=\",\".a\",1]]", "{}", "true" },
        { "[[\"!=\",\".a.b\",1]]", "{}", "false" },
        { "[[\"not\",[\"==\",\".a.b\",1]]]", "{}", "true" },
        { "[[\"==\",\".a[1:]\",[2,3]]]", "{\"a\":[1,2,3]}", "true" },
        { "[[\"==\",\".a[1:]\",[2]]]", "{\"a\":[1,2,3]}", "false" },
        { "[[\"==\",\".a[]\",[1,2]]]", "{\"a\":{\"x\":1,\"y\":2}}", "true" },
        { "[[\"==\",\".a\",true]]", "{\"a\":1}", "false" },
        { "[[\"<\",\".a\",2]]", "{\"a\":1.5}", "true" },
        { "[[\"<=\",\".a\",2]]", "{\"a\":2.0}", "true" },
        { "[[\">\",\".a\",2]]", "{\"a\":\"3\"}", "false" },
        { "[[\">=\",\".a\",-1]]", "{\"a\":-1}", "true" },
        { "[[\">\",\".a\",0]]", "{}", "false" },
        { "[[\"like\",\".a\",\"*\"]]", "{\"a\":\"\"}", "true" },
        { "[[\"like\",\".a\",\"a*c\"]]", "{\"a\":\"abbc\"}", "true" },
        { "[[\"like\",\".a\",\"a*c\"]]", "{\"a\":\"abcd\"}", "false" },
        { "[[\"like\",\".a\",\"a*\"]]", "{\"a\":\"a\\nb\"}", "true" },
        { "[[\"like\",\".a\",\"a\\\\*\"]]", "{\"a\":\"a*\"}", "true" },
        { "[[\"like\",\".a\",\"a\\\\*\"]]", "{\"a\":\"ab\"}", "false" },
        { "[[\"like\",\".a\",\"a\\\\b\"]]", "{\"a\":\"a\\\\b\"}", "true" },
        { "[[\"like\",\".a\",\"\\\\**\"]]", "{\"a\":\"*x\"}", "true" },
        { "[[\"like\",\".a\",\"**a**\"]]", "{\"a\":\"bab\"}", "true" },
        { "[[\"like\",\".a\",\"*ab*ab*\"]]", "{\"a\":\"xaby\"}", "false" },
        { "[[\"like\",\".a\",\"\"]]", "{\"a\":\"\"}", "true" },
        { "[[\"like\",\".a\",\"a\"]]", "{\"a\":7}", "false" },
        { "[[\"and\",[]]]", "{}", "true" },
        { "[[\"or\",[]]]", "{}", "true" },
        { "[[\"or\",[[\"==\",\".a\",1],[\"==\",\".a\",2]]]]", "{\"a\":2}",
          "true" },
        { "[[\"or\",[[\"==\",\".a\",1],[\"==\",\".a\",2]]]]", "{\"a\":3}",
          "false" },
        { "[[\"all\",\".a\",[\">\",\".\",0]]]", "{\"a\":[1,2]}", "true" },
        { "[[\"all\",\".a\",[\">\",\".\",1]]]", "{\"a\":[1,2]}", "false" },
        { "[[\"all\",\".a\",[\">\",\".\",1]]]", "{\"a\":[]}", "true" },
        { "[[\"all\",\".a\",[\">\",\".\",1]]]", "{\"a\":\"x\"}", "false" },
        { "[[\"any\",\".a\",[\">\",\".\",1]]]", "{\"a\":[1,2]}", "true" },
        { "[[\"any\",\".a\",[\">\",\".\",1]]]", "{\"a\":[]}", "false" },
        { "[[\"any\",\".a\",[\"==\",\".\",2]]]", "{\"a\":{\"x\":2}}",
          "true" },
        { "[[\"any\",\".a[1:]\",[\"==\",\".\",1]]]", "{\"a\":[1,2]}",
          "false" },
        { "[[\"any\",\".a\",[\"any\",\".\",[\"==\",\".\",3]]]]",
          "{\"a\":[[1],[2,3]]}", "true" },
        { "{}", "{}", "invalid" },
        { "[1]", "{}", "invalid" },
        { "[[]]", "{}", "invalid" },
        { "[[\"is\",\".a\",1]]", "{}", "invalid" },
        { "[[\"==\",\".a\"]]", "{}", "invalid" },
        { "[[\"==\",\".a\",1,2]]", "{}", "invalid" },
        { "[[\"==\",\"a\",1]]", "{}", "invalid" },
        { "[[\"==\",1,1]]", "{}", "invalid" },
        { "[[\"<\",\".a\",\"1\"]]", "{}", "invalid" },
        { "[[\"like\",\".a\",1]]", "{}", "invalid" },
        { "[[\"and\",[\"==\",\".a\",1]]]", "{}", "invalid" },
        { "[[\"not\",[[\"==\",\".a\",1]]]]", "{}", "invalid" },
        { "[[\"not\"]]", "{}", "invalid" },
        { "[[\"all\",\".a\",[]]]", "{}", "invalid" },
        { "[[\"or\",[[\"and\",[]],[\"is\",\".a\",1]]]]", "{}", "invalid" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        make_reset();

        tap_ok(strcmp(result(encode(cases[i].policy), encode(cases[i].args)),
                      cases[i].result) == 0, "%s of %s is %s",
               cases[i].policy, cases[i].args, cases[i].result);
    }
}


static void
test_bytes(void)
{
    uint8_t         buf[128], args[64];
    bytes_writer_t  w, a;

    bytes_writer_open(&a, args, sizeof(args));
    cbor_write_map(&a, 1);
    cbor_write_text(&a, bytes_of("y"));
    cbor_write_bytes(&a, bytes_make("\x01\x02\x03", 3));

    bytes_writer_open(&w, buf, sizeof(buf));
    cbor_write_list(&w, 1);
    cbor_write_list(&w, 3);
    cbor_write_text(&w, bytes_of("=="));
    cbor_write_text(&w, bytes_of(".y[1:]"));
    cbor_write_bytes(&w, bytes_make("\x02\x03", 2));

    tap_ok(strcmp(result(bytes_writer_view(&w), bytes_writer_view(&a)),
                  "true") == 0, "a slice of bytes equals bytes");

    bytes_writer_open(&w, buf, sizeof(buf));
    cbor_write_list(&w, 1);
    cbor_write_list(&w, 3);
    cbor_write_text(&w, bytes_of("=="));
    cbor_write_text(&w, bytes_of(".y"));
    cbor_write_text(&w, bytes_make("\x01\x02\x03", 3));

    tap_ok(strcmp(result(bytes_writer_view(&w), bytes_writer_view(&a)),
                  "false") == 0, "bytes never equal a text");
}


/* n times "not" around a true statement. */
static bytes_t
nest(unsigned n)
{
    unsigned        i;
    uint8_t         buf[4096];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));
    cbor_write_list(&w, 1);

    for (i = 0; i < n; i++) {
        cbor_write_list(&w, 2);
        cbor_write_text(&w, bytes_of("not"));
    }

    cbor_write_list(&w, 2);
    cbor_write_text(&w, bytes_of("and"));
    cbor_write_list(&w, 0);

    return make_copy(&w);
}


static void
test_bounds(void)
{
    size_t          i;
    bytes_t         args;
    uint8_t        *buf;
    bytes_writer_t  w;

    make_reset();
    args = encode("{}");

    tap_ok(strcmp(result(nest(60), args), "true") == 0,
           "sixty statements may nest");
    tap_ok(strcmp(result(nest(64), args), "invalid") == 0,
           "sixty-five may not");

    buf = make_alloc(NULL, 64 * 1024);

    bytes_writer_open(&w, buf, 64 * 1024);
    cbor_write_list(&w, UCAN_POLICY_STATEMENTS_MAX + 1);

    for (i = 0; i < UCAN_POLICY_STATEMENTS_MAX + 1; i++) {
        cbor_write_list(&w, 2);
        cbor_write_text(&w, bytes_of("and"));
        cbor_write_list(&w, 0);
    }

    tap_ok(strcmp(result(bytes_writer_view(&w), args), "invalid") == 0,
           "statements are counted");

    memset(buf + 32 * 1024, '*', UCAN_POLICY_GLOB_MAX + 1);
    bytes_writer_open(&w, buf, 32 * 1024);
    cbor_write_list(&w, 1);
    cbor_write_list(&w, 3);
    cbor_write_text(&w, bytes_of("like"));
    cbor_write_text(&w, bytes_of(".a"));
    cbor_write_text(&w, bytes_make(buf + 32 * 1024,
                                   UCAN_POLICY_GLOB_MAX + 1));

    tap_ok(strcmp(result(bytes_writer_view(&w), args), "invalid") == 0,
           "a glob has a largest length");
}


/* A match that runs out of work says no, also where it stands under a not. */
static void
test_work(void)
{
    size_t          work;
    bytes_t         policy, args;
    uint8_t        *buf;
    bytes_writer_t  w;

    make_reset();

    buf = make_alloc(NULL, 128 * 1024);
    memset(buf, 'a', 60 * 1024);

    bytes_writer_open(&w, buf + 60 * 1024, 68 * 1024);
    cbor_write_map(&w, 1);
    cbor_write_text(&w, bytes_of("a"));
    cbor_write_text(&w, bytes_make(buf, 60 * 1024));
    args = make_copy(&w);

    bytes_writer_open(&w, buf + 60 * 1024, 68 * 1024);
    cbor_write_list(&w, 1);
    cbor_write_list(&w, 2);
    cbor_write_text(&w, bytes_of("not"));
    cbor_write_list(&w, 3);
    cbor_write_text(&w, bytes_of("like"));
    cbor_write_text(&w, bytes_of(".a"));
    buf[0] = '*';
    buf[4000] = 'b';
    cbor_write_text(&w, bytes_make(buf, 4001));
    policy = make_copy(&w);

    work = WORK;

    tap_ok(ucan_policy_validate(policy) == 0
           && !ucan_policy_match(policy, args, &work) && work == 0,
           "work is bounded, and its end refuses");

    policy = encode("[[\"==\",\".a\",1]]");
    args = encode("{\"a\":1}");
    work = 1000;

    tap_ok(ucan_policy_match(policy, args, &work) && work > 900,
           "a small match costs little");
}


/* A list of integers, one byte each, in "depth" more lists. */
static void
write_nested(bytes_writer_t *w, size_t depth, size_t count)
{
    size_t  i;

    for (i = 0; i < depth; i++) {
        cbor_write_list(w, 1);
    }

    cbor_write_list(w, count);

    for (i = 0; i < count; i++) {
        cbor_write_integer(w, 0);
    }
}


/*
 * What is walked, whether it is compared or not: at some ns for each byte none
 * of these may go on and on.  Each is "[quantifier?, selector, operand]" over
 * {"x": args}.
 */

static void
test_walks(void)
{
    size_t           i, j, work;
    bytes_t          policy, args;
    uint8_t         *buf;
    bytes_writer_t   w;

    static const struct {
        const char  *name;
        const char  *selector;
        int          each;
        size_t       statements;
        size_t       args_copies;     /* 0: "x" is one value */
        size_t       args_depth;
        size_t       args_count;
        size_t       operand_depth;
        size_t       operand_count;
    } cases[] = {
        { "a long operand for each of many items",
          ".x", 1, 1, 0, 0, 20000, 0, 20000 },
        { "a long operand deep in lists for each of many items",
          ".x", 1, 1, 200, 40, 1, 40, 20000 },
        { "an item deep in lists for each of many statements",
          ".x[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]", 0,
          200, 0, 15, 20000, 0, 1 },
        { "the last item for each of many statements",
          ".x[-1]", 0, 1000, 0, 0, 20000, 0, 1 },
        { "a value behind long ones for each of many statements",
          ".y", 0, 1000, 0, 0, 20000, 0, 1 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        make_reset();

        buf = make_alloc(NULL, 128 * 1024);
        bytes_writer_open(&w, buf, 128 * 1024);
        cbor_write_map(&w, 1);
        cbor_write_text(&w, bytes_of("x"));

        if (cases[i].args_copies != 0) {
            cbor_write_list(&w, cases[i].args_copies);
        }

        j = 0;

        do {
            write_nested(&w, cases[i].args_depth, cases[i].args_count);
        } while (++j < cases[i].args_copies);

        args = make_copy(&w);

        bytes_writer_open(&w, buf, 128 * 1024);
        cbor_write_list(&w, cases[i].statements);

        for (j = 0; j < cases[i].statements; j++) {

            if (cases[i].each) {
                cbor_write_list(&w, 3);
                cbor_write_text(&w, bytes_of("all"));
                cbor_write_text(&w, bytes_of(cases[i].selector));
            }

            cbor_write_list(&w, 3);
            cbor_write_text(&w, bytes_of("!="));
            cbor_write_text(&w, bytes_of(cases[i].each ? "."
                                                       : cases[i].selector));
            write_nested(&w, cases[i].operand_depth, cases[i].operand_count);
        }

        policy = make_copy(&w);
        work = WORK;

        tap_ok(ucan_policy_validate(policy) == 0
               && !ucan_policy_match(policy, args, &work) && work == 0,
               "%s is work", cases[i].name);
    }
}


static void
test_asks(void)
{
    size_t  i;

    static const struct {
        const char  *policy;
        int          asks;
    } cases[] = {
        { "[]", 0 },
        { "[[\"==\",\".a\",1]]", 0 },
        { "[[\"==\",\".b\",1],[\"==\",\".http\",1]]", 1 },
        { "[[\"==\",\".http.a\",1]]", 1 },
        { "[[\"==\",\".https\",1]]", 0 },
        { "[[\"==\",\".a.http\",1]]", 0 },
        { "[[\"==\",\".\",1]]", 0 },
        { "[[\"not\",[\"or\",[[\"and\",[[\"<\",\".http\",1]]]]]]]", 1 },
        { "[[\"all\",\".http\",[\"==\",\".a\",1]]]", 1 },
        { "[[\"any\",\".a\",[\"==\",\".http\",1]]]", 0 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tap_ok(ucan_policy_asks(encode(cases[i].policy), "http")
               == cases[i].asks, "%s %s for http", cases[i].policy,
               cases[i].asks ? "asks" : "does not ask");
    }
}


int
main(void)
{
    test_statements();
    test_bytes();
    test_bounds();
    test_work();
    test_walks();
    test_asks();

    return tap_done();
}
