/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Caveats of 0.x: which cover which, and which a request meets.
 */


#include "json_scan.h"
#include "tap.h"
#include "ucan_caveat.h"


#define WORK  100000


static void
test_covers(void)
{
    size_t  i, work;

    static const struct {
        const char  *parent;
        const char  *child;
        int          covered;
    } cases[] = {
        { "{}", "{}", 1 },
        { "{}", "{\"a\":1}", 1 },
        { "{\"a\":1}", "{}", 0 },
        { "{\"a\":1}", "{\"a\":1}", 1 },
        { "{\"a\":1}", "{\"a\":1.0}", 1 },
        { "{\"a\":1}", "{\"a\":2}", 0 },
        { "{\"a\":1}", "{\"a\":\"1\"}", 0 },
        { "{\"a\":1}", "{\"b\":2,\"a\":1}", 1 },
        { "{\"a\":1,\"b\":2}", "{\"a\":1}", 0 },
        { "{\"a\":\"x\"}", "{\"\\u0061\":\"\\u0078\"}", 1 },
        { "{\"a\":[1,2]}", "{\"a\":[1,2]}", 1 },
        { "{\"a\":[1,2]}", "{\"a\":[2,1]}", 0 },
        { "{\"a\":[1,2]}", "{\"a\":[1]}", 0 },
        { "{\"a\":{\"x\":1,\"y\":2}}", "{\"a\":{\"y\":2,\"x\":1}}", 1 },
        { "{\"a\":{\"x\":1}}", "{\"a\":{\"x\":1,\"y\":2}}", 0 },
        { "{\"a\":{\"x\":1,\"y\":2}}", "{\"a\":{\"x\":1}}", 0 },
        { "{\"a\":null}", "{\"a\":null}", 1 },
        { "{\"a\":null}", "{}", 0 },
        { "{\"a\":true}", "{\"a\":false}", 0 },
        { "{\"a\":9007199254740993}", "{\"a\":9007199254740992}", 0 },
        { "{\"a\":9007199254740993}", "{\"a\":9007199254740993}", 1 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        work = WORK;

        tap_ok(json_scan_validate(bytes_of(cases[i].parent), NULL)
               == JSON_SCAN_OK
               && json_scan_validate(bytes_of(cases[i].child), NULL)
                  == JSON_SCAN_OK
               && ucan_caveat_covers(bytes_of(cases[i].parent),
                                     bytes_of(cases[i].child), &work)
                  == cases[i].covered, "%s %s %s", cases[i].parent,
               cases[i].covered ? "covers" : "does not cover",
               cases[i].child);
    }
}


static void
test_args(void)
{
    size_t               i, work;
    ucan_arg_t           args[2];
    ucan_caveat_facts_t  facts;

    static const struct {
        const char  *caveat;
        int          met;
    } cases[] = {
        { "{}", 1 },
        { "{\"room\":\"r_1\"}", 1 },
        { "{\"room\":\"r_1\",\"to\":\"p_1\"}", 1 },
        { "{\"r\\u006fom\":\"r_\\u0031\"}", 1 },
        { "{\"room\":\"r_2\"}", 0 },
        { "{\"room\":1}", 0 },
        { "{\"room\":[\"r_1\"]}", 0 },
        { "{\"other\":\"r_1\"}", 0 }
    };

    memset(&facts, 0, sizeof(facts));

    args[0].name = bytes_of("room");
    args[0].value = bytes_of("r_1");
    args[1].name = bytes_of("to");
    args[1].value = bytes_of("p_1");
    facts.args = args;
    facts.arg_count = 2;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        work = WORK;

        tap_ok(ucan_caveat_match(bytes_of(cases[i].caveat), &facts, &work)
               == cases[i].met, "%s is %s", cases[i].caveat,
               cases[i].met ? "met" : "not met");
    }

    memset(&facts, 0, sizeof(facts));
    facts.json = bytes_of("{\"n\":5,\"s\":\"x\"}");
    work = WORK;
    tap_ok(ucan_caveat_match(bytes_of("{\"n\":5.0}"), &facts, &work),
           "facts may be JSON");
    tap_ok(!ucan_caveat_match(bytes_of("{\"n\":6}"), &facts, &work),
           "and are compared by value");
}


/* Keys and strings are bytes with a length: what is behind a NUL counts, and
   no buffer bounds them. */
static void
test_bytes(void)
{
    size_t               i, j, work;
    char                 text[2][8192], name[4000];
    ucan_caveat_facts_t  facts;

    static const struct {
        const char  *caveat;
        const char  *facts;
        int          met;
    } cases[] = {
        { "{\"role\":\"a\"}", "{\"role\":\"a\"}", 1 },
        { "{\"role\":\"a\"}", "{\"role\\u0000\":\"a\"}", 0 },
        { "{\"role\\u0000x\":\"a\"}", "{\"role\":\"a\"}", 0 },
        { "{\"role\\u0000x\":\"a\"}", "{\"role\\u0000y\":\"a\"}", 0 },
        { "{\"role\\u0000x\":\"a\"}", "{\"role\\u0000x\":\"a\"}", 0 },
        { "{\"role\":\"a\\u0000\"}", "{\"role\":\"a\"}", 0 },
        { "{\"role\":\"a\"}", "{\"role\":\"a\\u0000b\"}", 0 },
        { "{\"\":1}", "{\"\":1}", 1 },
        { "{\"\":1}", "{\"\\u0000\":1}", 0 },
        { "{\"r\\u00f6\":1}", "{\"r\xc3\xb6\":1}", 1 },
        { "{\"r\\u00f6\":1}", "{\"\\u0072\\u00F6\":1}", 1 },
        { "{\"\\ud83d\\ude00\":1}", "{\"\xf0\x9f\x98\x80\":1}", 1 },
        { "{\"\\u0061b\":1}", "{\"\\u0061\":1}", 0 },
        { "{\"\\u0061\":1}", "{\"\\u0061b\":1}", 0 }
    };

    memset(&facts, 0, sizeof(facts));

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        facts.json = bytes_of(cases[i].facts);
        work = WORK;

        tap_ok(ucan_caveat_match(bytes_of(cases[i].caveat), &facts, &work)
               == cases[i].met, "%s is %s by %s", cases[i].caveat,
               cases[i].met ? "met" : "not met", cases[i].facts);

        work = WORK;

        tap_ok(ucan_caveat_covers(bytes_of(cases[i].caveat),
                                  bytes_of(cases[i].facts), &work)
               == cases[i].met, "and the same as a caveat");
    }

    tap_ok(json_scan_validate(bytes_of(cases[1].facts), NULL)
           == JSON_SCAN_SYNTAX, "no token has such a key");

    memset(name, 'k', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';

    for (j = 0; j < 2; j++) {
        snprintf(text[j], sizeof(text[j]), "{\"%s%s\":\"\\u0078%s\"}",
                 j ? "k" : "\\u006b", name, name);
    }

    work = WORK;
    tap_ok(ucan_caveat_covers(bytes_of(text[0]), bytes_of(text[1]), &work),
           "long names are compared to their end");

    text[1][3000] = 'j';
    work = WORK;
    tap_ok(!ucan_caveat_covers(bytes_of(text[0]), bytes_of(text[1]), &work),
           "and differ there");
}


/* Four hundred fields against four hundred, and what the bound makes of
   it. */
static void
test_work(void)
{
    size_t          i, work;
    static uint8_t  buf[16384];
    char            field[32];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));

    for (i = 0; i < 400; i++) {
        snprintf(field, sizeof(field), "%s\"field%zu\":%zu",
                 i == 0 ? "{" : ",", i, i);
        bytes_writer_text(&w, field);
    }

    bytes_writer_byte(&w, '}');

    work = 100 * 1024 * 1024;
    tap_ok(ucan_caveat_covers(bytes_writer_view(&w), bytes_writer_view(&w),
                              &work), "large caveats can be equal");

    work = WORK;
    tap_ok(!ucan_caveat_covers(bytes_writer_view(&w), bytes_writer_view(&w),
                               &work) && work == 0,
           "but not for more work than allowed");

    work = WORK;
    tap_ok(ucan_caveat_covers(bytes_of("{ }"), bytes_writer_view(&w), &work)
           && work <= WORK - bytes_writer_view(&w).len,
           "to read a large one is work, whatever it is compared with");
}


int
main(void)
{
    test_covers();
    test_args();
    test_bytes();
    test_work();

    return tap_done();
}
