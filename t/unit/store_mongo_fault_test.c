/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The MongoDB adapter on a server that fails: slow, half answers, resets
 * before and after a command was run, conflicts, commits of which nobody knows
 * the outcome, no primary.  Nothing that was answered as written is lost or
 * written twice, nobody waits for long, and it heals by itself.
 */


#include "store_mongo_fixture.h"


#ifdef STORE_HAVE_MONGO

#define BIG  (1024 * 1024)


typedef struct {
    const char  *name;
    const char  *rule;
    store_rc_t   rc;              /* of an increment that meets it */
    int          counted;         /* by how much the number may be more */
} test_case_t;


#define TRANSIENT  "\"labels\":[\"TransientTransactionError\"]"
#define UNSURE     "\"labels\":[\"UnknownTransactionCommitResult\"]"


static const test_case_t  test_writes[] = {
    { "a slow answer",
      "{\"fault\":\"slow\",\"command\":\"update\",\"ms\":300}",
      STORE_OK, 1 },
    { "a reset before a read",
      "{\"fault\":\"reset-before\",\"command\":\"find\"}", STORE_OK, 1 },
    { "a reset before a write",
      "{\"fault\":\"reset-before\",\"command\":\"update\"}", STORE_OK, 1 },
    { "a reset after a write",
      "{\"fault\":\"reset-after\",\"command\":\"update\"}", STORE_OK, 1 },
    { "half an answer to a write",
      "{\"fault\":\"half\",\"command\":\"update\"}", STORE_OK, 1 },
    { "an answer of 2 GB",
      "{\"fault\":\"oversized\",\"command\":\"update\"}", STORE_OK, 1 },
    { "an answer to another command",
      "{\"fault\":\"stray\",\"command\":\"find\"}", STORE_OK, 1 },
    { "three conflicts",
      "{\"fault\":\"error\",\"command\":\"update\",\"code\":112,"
      "\"times\":3," TRANSIENT "}", STORE_OK, 1 },
    { "a primary that steps down",
      "{\"fault\":\"error\",\"command\":\"update\",\"code\":10107,"
      TRANSIENT "}", STORE_OK, 1 },
    { "a duplicate key of a racing writer",
      "{\"fault\":\"error\",\"command\":\"update\",\"code\":11000}",
      STORE_OK, 1 },
    { "a reset before the commit",
      "{\"fault\":\"reset-before\",\"command\":\"commitTransaction\"}",
      STORE_OK, 1 },
    { "a reset after the commit",
      "{\"fault\":\"reset-after\",\"command\":\"commitTransaction\"}",
      STORE_OK, 1 },
    { "half an answer to the commit",
      "{\"fault\":\"half\",\"command\":\"commitTransaction\"}",
      STORE_OK, 1 },
    { "a commit that the server undid",
      "{\"fault\":\"error\",\"command\":\"commitTransaction\",\"code\":251,"
      TRANSIENT "}", STORE_OK, 1 },
    { "a majority that is late",
      "{\"fault\":\"concern\",\"command\":\"commitTransaction\"}",
      STORE_OK, 1 },
    { "a full disk",
      "{\"fault\":\"error\",\"command\":\"update\",\"code\":14031}",
      STORE_FULL, 0 },
    { "an error that nobody knows",
      "{\"fault\":\"error\",\"command\":\"update\",\"code\":8000}",
      STORE_FAILED, 0 },
    { "a commit that was carried out, which nobody says",
      "{\"fault\":\"error-after\",\"command\":\"commitTransaction\","
      "\"code\":91,\"times\":20," UNSURE "}", STORE_UNKNOWN, 1 },
    { "a commit that was not carried out, which nobody says",
      "{\"fault\":\"error\",\"command\":\"commitTransaction\","
      "\"code\":91,\"times\":20," UNSURE "}", STORE_UNKNOWN, 0 },
    { "a majority that is not to be had",
      "{\"fault\":\"concern\",\"command\":\"commitTransaction\","
      "\"times\":20}", STORE_UNKNOWN, 1 }
};


static fixture_t  test;


/* Adds 1 to a counter; the number then, or -1. */
static int64_t
increment(store_rc_t *rc)
{
    fixture_write_t  w;

    w.request.count = 0;
    fixture_op(&w, STORE_INCR, "count", "n")->number = 1;

    *rc = fixture_write(&test, &w);

    return (*rc == STORE_OK) ? w.results[0].number : -1;
}


/* What the counter says, once the server answers again; -1. */
static int64_t
read_counter(void)
{
    int           i;
    int64_t       number;
    store_rc_t    rc;
    store_read_t  read;
    store_rows_t  rows;

    memset(&read, 0, sizeof(store_read_t));
    read.kind = STORE_GET;
    read.ns = bytes_of("count");
    read.key = bytes_of("n");

    rc = STORE_BUSY;

    for (i = 0; i < 100 && rc != STORE_OK; i++) {
        rc = store_mongo.read(test.store, &read, &rows, 1);

        if (rc != STORE_OK) {
            usleep(100000);
        }
    }

    if (rc != STORE_OK || rows.count != 1
        || store_number_parse(rows.rows[0].value, &number) != 0)
    {
        number = -1;
    }

    if (rc == STORE_OK) {
        store_rows_release(&rows, 1);
    }

    return number;
}


static void
test_writes_that_meet_faults(void)
{
    size_t      i;
    int64_t     before, number, after, start_us, ms;
    store_rc_t  rc;

    (void) increment(&rc);

    for (i = 0; i < sizeof(test_writes) / sizeof(test_writes[0]); i++) {
        before = read_counter();

        if (!fixture_fault(test_writes[i].rule)) {
            tap_ok(0, "the stand-in takes the fault: %s",
                   test_writes[i].name);
            continue;
        }

        start_us = store_mongo_now_us();
        number = increment(&rc);
        ms = (store_mongo_now_us() - start_us) / 1000;

        (void) fixture_fault("{\"clear\":1}");
        after = read_counter();

        tap_ok(rc == test_writes[i].rc
               && (rc != STORE_OK || number == before + 1)
               && after == before + test_writes[i].counted && ms < 9000,
               "%s: rc %d, %lld then %lld, %lld ms", test_writes[i].name,
               (int) rc, (long long) before, (long long) after,
               (long long) ms);
    }
}


static void
test_reads_that_meet_faults(void)
{
    size_t      i, n;
    store_rc_t  rc;

    static const char *const  rules[] = {
        "{\"fault\":\"reset-before\",\"command\":\"find\"}",
        "{\"fault\":\"reset-after\",\"command\":\"find\"}",
        "{\"fault\":\"half\",\"command\":\"find\"}",
        "{\"fault\":\"stray\",\"command\":\"find\"}",
        "{\"fault\":\"oversized\",\"command\":\"find\"}",
        "{\"fault\":\"error\",\"command\":\"find\",\"code\":11602}",
        "{\"fault\":\"error\",\"command\":\"find\",\"code\":50}"
    };

    for (rc = STORE_BUSY, i = 0; i < 50 && rc != STORE_OK; i++) {
        rc = fixture_put(&test, "reads", "a", "1");
        usleep(rc == STORE_OK ? 0 : 100000);
    }

    n = 0;

    for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        (void) fixture_fault(rules[i]);
        n += fixture_has(&test, "reads", "a", "1")
             || fixture_has(&test, "reads", "a", "1");
        (void) fixture_fault("{\"clear\":1}");
    }

    tap_ok(n == i, "a read that meets a fault is right or busy, and then "
           "right: %zu of %zu", n, i);
}


/* 20 MB come in two answers of the server; the second may not come. */
static void
test_lost_cursor(void)
{
    char            *value;
    size_t           i, full;
    store_rc_t       rc;
    store_read_t     reads[20];
    store_rows_t     rows[20];
    fixture_write_t  w;

    static char      keys[20][8];

    value = calloc(1, BIG);
    memset(reads, 0, sizeof(reads));

    for (i = 0; i < 20; i++) {
        (void) snprintf(keys[i], sizeof(keys[i]), "k%02zu", i);

        w.request.count = 0;
        fixture_op(&w, STORE_PUT, "big", keys[i])->value
            = bytes_make(value, BIG);
        (void) fixture_write(&test, &w);

        reads[i].kind = STORE_GET;
        reads[i].ns = bytes_of("big");
        reads[i].key = bytes_of(keys[i]);
    }

    (void) fixture_fault("{\"fault\":\"cursor-lost\","
                         "\"command\":\"getMore\"}");

    rc = store_mongo.read(test.store, reads, rows, 20);

    for (full = 0; rc == STORE_OK && full < 20 && rows[full].count == 1;
         full++)
    {
        /* counted */
    }

    tap_ok(rc != STORE_OK || full == 20,
           "a cursor that is lost is no shorter answer: %d", (int) rc);

    if (rc == STORE_OK) {
        store_rows_release(rows, 20);
    }

    (void) fixture_fault("{\"clear\":1}");

    for (full = 0, i = 0; i < 30 && full == 0; i++) {
        if (store_mongo.read(test.store, reads, rows, 20) == STORE_OK) {
            for (full = 0; full < 20 && rows[full].count == 1
                 && rows[full].rows[0].value.len == BIG; full++)
            {
                /* counted */
            }

            store_rows_release(rows, 20);

        } else {
            usleep(100000);
        }
    }

    tap_ok(full == 20, "and 20 MB are read in several answers");

    free(value);
}


static void
test_no_primary(void)
{
    int         i;
    int64_t     start_us, first_ms, next_ms;
    store_rc_t  rc, next;

    (void) fixture_fault("{\"primary\":false}");

    start_us = store_mongo_now_us();
    (void) increment(&rc);
    first_ms = (store_mongo_now_us() - start_us) / 1000;

    start_us = store_mongo_now_us();
    (void) increment(&next);
    next_ms = (store_mongo_now_us() - start_us) / 1000;

    tap_ok((rc == STORE_BUSY || rc == STORE_UNKNOWN) && first_ms < 8000,
           "without a primary a write is refused: %d after %lld ms",
           (int) rc, (long long) first_ms);
    tap_ok(next == STORE_BUSY && next_ms < 100
           && !fixture_has(&test, "reads", "a", "1"),
           "and the next at once: %lld ms", (long long) next_ms);

    (void) fixture_fault("{\"primary\":true}");

    for (rc = STORE_BUSY, i = 0; i < 100 && rc != STORE_OK; i++) {
        (void) increment(&rc);
        usleep(100000);
    }

    tap_ok(rc == STORE_OK && fixture_has(&test, "reads", "a", "1"),
           "when there is one again, it heals by itself");
}


static void
test_stalled_server(void)
{
    int64_t     start_us, ms;
    store_rc_t  rc;

    (void) fixture_fault("{\"fault\":\"stall\",\"command\":\"find\"}");

    start_us = store_mongo_now_us();
    (void) increment(&rc);
    ms = (store_mongo_now_us() - start_us) / 1000;

    (void) fixture_fault("{\"clear\":1}");

    tap_ok(ms < 12000 && (rc == STORE_OK || rc == STORE_BUSY),
           "a server that does not answer is waited for so long: %lld ms",
           (long long) ms);
    tap_ok(read_counter() > 0, "and is used again");
}


/* Every command of a write fails in turn. */
static void
test_each_command(void)
{
    int         n, wrong, finished;
    char        rule[128];
    int64_t     before, after;
    store_rc_t  rc;

    wrong = finished = 0;

    for (n = 0; n < 8; n++) {
        before = read_counter();

        (void) snprintf(rule, sizeof(rule), "{\"fault\":\"reset-after\","
                        "\"skip\":%d}", n);
        (void) fixture_fault(rule);
        (void) increment(&rc);
        (void) fixture_fault("{\"clear\":1}");

        after = read_counter();

        finished += (rc == STORE_OK);
        wrong += (rc == STORE_OK && after != before + 1)
                 || (rc == STORE_BUSY && after != before)
                 || (rc != STORE_OK && rc != STORE_BUSY
                     && rc != STORE_UNKNOWN);
    }

    tap_ok(wrong == 0 && finished > 0, "a reset after each command of a write "
           "in turn: done once or not at all, %d of 8 done", finished);
}


static void
test_close_without_server(void)
{
    int              i;
    int64_t          start_us, ms;
    store_rc_t       rc;
    fixture_write_t  w;

    (void) fixture_fault("{\"fault\":\"stall\",\"times\":0}");

    w.request.count = 0;
    fixture_op(&w, STORE_PUT, "close", "a");

    for (rc = STORE_BUSY, i = 0; i < 50 && rc != STORE_OK; i++) {
        rc = store_mongo.submit(test.store, &w.request);
        usleep(rc == STORE_OK ? 0 : 100000);
    }

    start_us = store_mongo_now_us();
    fixture_store_close(&test);
    ms = (store_mongo_now_us() - start_us) / 1000;

    (void) fixture_fault("{\"clear\":1}");

    tap_ok(rc == STORE_OK && w.request.rc != STORE_OK && ms < 20000,
           "close() gives up on a server that does not answer: rc %d after "
           "%lld ms", (int) w.request.rc, (long long) ms);
}


static void
test_open_without_server(void)
{
    int         i;
    store_rc_t  rc;

    (void) fixture_fault("{\"primary\":false}");

    tap_ok(fixture_store_open(&test)
           && fixture_put(&test, "later", "a", "1") == STORE_BUSY,
           "a store opens without a server, and is busy");

    (void) fixture_fault("{\"primary\":true}");

    for (rc = STORE_BUSY, i = 0; i < 100 && rc != STORE_OK; i++) {
        rc = fixture_put(&test, "later", "a", "1");
        usleep(100000);
    }

    tap_ok(rc == STORE_OK, "and writes when there is one");
}


int
main(void)
{
    if (fixture_skip("faults of a MongoDB server")) {
        return tap_done();
    }

    if (getenv("MESH_TEST_MONGO_CONTROL") == NULL) {
        tap_skip("a real server does not fail by script",
                 "faults of a MongoDB server");
        return tap_done();
    }

    fixture_open(&test, "fault");

    if (!tap_ok(fixture_store_open(&test), "a store opens: %s", test.error)) {
        return tap_done();
    }

    test_writes_that_meet_faults();
    test_reads_that_meet_faults();
    test_lost_cursor();
    test_each_command();
    test_no_primary();
    test_stalled_server();
    test_close_without_server();
    test_open_without_server();

    tap_ok(strstr(test.text, "127.0.0.1") == NULL, "no address in the log");

    fixture_close(&test);

    return tap_done();
}

#else


int
main(void)
{
    tap_skip("libmongoc is not there", "faults of a MongoDB server");

    return tap_done();
}

#endif
