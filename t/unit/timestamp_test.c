/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * timestamp.c: known instants both ways, every day of 400 years against its
 * neighbour, and what is not the one form.
 */


#include "tap.h"
#include "timestamp.h"


#define TEST_MIN  -62167219200000LL          /* 0000-01-01T00:00:00.000Z */
#define TEST_MAX  253402300799999LL          /* 9999-12-31T23:59:59.999Z */


static void
test_known_instants(void)
{
    size_t          i;
    int64_t         ms;
    uint8_t         buf[TIMESTAMP_LEN];
    bytes_writer_t  w;

    static const struct {
        const char  *text;
        int64_t      ms;
    } cases[] = {
        { "1970-01-01T00:00:00.000Z", 0 },
        { "1970-01-01T00:00:00.001Z", 1 },
        { "1969-12-31T23:59:59.999Z", -1 },
        { "2000-02-29T12:00:00.000Z", 951825600000LL },
        { "2001-09-09T01:46:40.000Z", 1000000000000LL },
        { "2026-11-24T13:05:09.042Z", 1795525509042LL },
        { "2038-01-19T03:14:08.000Z", 2147483648000LL },
        { "1900-03-01T00:00:00.000Z", -2203891200000LL },
        { "0000-01-01T00:00:00.000Z", TEST_MIN },
        { "0000-02-29T00:00:00.000Z", TEST_MIN + 59 * 86400000LL },
        { "9999-12-31T23:59:59.999Z", TEST_MAX }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bytes_writer_open(&w, buf, sizeof(buf));
        timestamp_write(&w, cases[i].ms);

        tap_ok(!w.failed
               && bytes_equal_text(bytes_writer_view(&w), cases[i].text),
               "%s is written", cases[i].text);

        tap_ok(timestamp_parse(bytes_of(cases[i].text), &ms) == 0
               && ms == cases[i].ms, "%s is read", cases[i].text);
    }
}


static void
test_every_day(void)
{
    int             wrong;
    int64_t         day, ms;
    uint8_t         buf[TIMESTAMP_LEN], last[TIMESTAMP_LEN];
    bytes_writer_t  w;

    wrong = 0;
    memset(last, '0', sizeof(last));

    for (day = -200 * 366; day < 220 * 366; day++) {
        bytes_writer_open(&w, buf, sizeof(buf));
        timestamp_write(&w, day * 86400000 + 3723004);

        wrong += timestamp_parse(bytes_writer_view(&w), &ms) != 0
                 || ms != day * 86400000 + 3723004
                 || memcmp(last, buf, sizeof(buf)) >= 0
                 || memcmp(buf + 10, "T01:02:03.004Z", 14) != 0;

        memcpy(last, buf, sizeof(buf));
    }

    tap_ok(wrong == 0, "the days of 400 years are told apart, in order");
}


static void
test_out_of_range(void)
{
    size_t          i;
    uint8_t         buf[TIMESTAMP_LEN];
    bytes_writer_t  w;

    static const int64_t  cases[] = {
        TEST_MIN - 1, TEST_MAX + 1, INT64_MIN, INT64_MAX
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bytes_writer_open(&w, buf, sizeof(buf));
        timestamp_write(&w, cases[i]);

        tap_ok(w.failed && bytes_writer_view(&w).len == 0,
               "%lld ms is out of range", (long long) cases[i]);
    }

    bytes_writer_open(&w, buf, TIMESTAMP_LEN - 1);
    timestamp_write(&w, 0);
    tap_ok(w.failed, "no room is remembered");
}


static void
test_fractions(void)
{
    size_t   i;
    int64_t  ms;

    static const struct {
        const char  *text;
        int64_t      ms;
    } cases[] = {
        { "1970-01-01T00:00:01Z", 1000 },
        { "1970-01-01T00:00:01.5Z", 1500 },
        { "1970-01-01T00:00:01.25Z", 1250 },
        { "1970-01-01T00:00:01.999999999Z", 1999 },
        { "1969-12-31T23:59:59.9999Z", -1 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tap_ok(timestamp_parse(bytes_of(cases[i].text), &ms) == 0
               && ms == cases[i].ms, "%s is read, cut to milliseconds",
               cases[i].text);
    }
}


static void
test_refused(void)
{
    size_t   i;
    int64_t  ms;

    static const char  *cases[] = {
        "", "Z", "1970-01-01", "1970-01-01T00:00Z", "1970-01-01T00:00:00",
        "1970-01-01T00:00:00.Z", "1970-01-01T00:00:00.0000000000Z",
        "1970-01-01T00:00:00.0", "1970-01-01T00:00:00,0Z",
        "1970-01-01T00:00:00.0xZ", "1970-01-01T00:00:00+00:00",
        "1970-01-01T00:00:00z", "1970-01-01t00:00:00Z",
        "1970-01-01 00:00:00Z", " 1970-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z ", "1970-00-01T00:00:00Z",
        "1970-13-01T00:00:00Z", "1970-01-00T00:00:00Z",
        "1970-01-32T00:00:00Z", "1970-04-31T00:00:00Z",
        "1970-02-29T00:00:00Z", "1900-02-29T00:00:00Z",
        "1970-01-01T24:00:00Z", "1970-01-01T00:60:00Z",
        "1970-01-01T00:00:60Z", "-970-01-01T00:00:00Z",
        "1970-1-01T000:00:00Z", "19700-01-01T00:00:00Z"
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tap_ok(timestamp_parse(bytes_of(cases[i]), &ms) != 0,
               "\"%s\" is refused", cases[i]);
    }
}


int
main(void)
{
    test_known_instants();
    test_every_day();
    test_out_of_range();
    test_fractions();
    test_refused();

    return tap_done();
}
