/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The SQLite adapter out of memory: each allocation of SQLite in turn fails
 * while a store is opened, written and read.  A request is then whole or
 * has failed, and the store works on afterwards.
 */


#include <stdatomic.h>

#include "store_fixture.h"


#define FAULTS_MAX  20000        /* of one test; more is a loop without end */


static void *fault_malloc(int size);
static void *fault_realloc(void *p, int size);
static int fault_due(void);
static void test_open(void);
static void test_write(fixture_t *f);
static int check_write(fixture_t *f, const fixture_write_t *w, int n);
static void test_read(fixture_t *f);


static sqlite3_mem_methods  memory;
static atomic_int           countdown;   /* 0: no fault */
static atomic_int           faults;


int
main(void)
{
    fixture_t            f;
    sqlite3_mem_methods  methods;

    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory) != SQLITE_OK) {
        tap_ok(0, "SQLite tells its allocator");
        return tap_done();
    }

    methods = memory;
    methods.xMalloc = fault_malloc;
    methods.xRealloc = fault_realloc;
    (void) sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);

    test_open();

    fixture_open(&f);

    if (tap_ok(fixture_store_open(&f), "a store opens")) {
        test_write(&f);
        test_read(&f);
    }

    tap_ok(fixture_intact(&f), "the file is intact");

    fixture_close(&f);

    return tap_done();
}


static void *
fault_malloc(int size)
{
    return fault_due() ? NULL : memory.xMalloc(size);
}


static void *
fault_realloc(void *p, int size)
{
    return fault_due() ? NULL : memory.xRealloc(p, size);
}


static int
fault_due(void)
{
    if (atomic_load(&countdown) <= 0
        || atomic_fetch_sub(&countdown, 1) != 1)
    {
        return 0;
    }

    atomic_fetch_add(&faults, 1);

    return 1;
}


/* Until it opens without meeting the fault. */
static void
test_open(void)
{
    int        n, tried, refused, bad;
    fixture_t  f;

    tried = 0;
    refused = 0;
    bad = 0;

    /* each makes a database on disk: not all, but the early ones densely */

    for (n = 1; n < FAULTS_MAX; n += 1 + n / 16) {
        tried++;
        fixture_open(&f);

        atomic_store(&faults, 0);
        atomic_store(&countdown, n);

        if (!fixture_store_open(&f)) {
            refused++;
            bad += f.error[0] == '\0';
        }

        atomic_store(&countdown, 0);

        if (f.store == NULL && !fixture_store_open(&f)) {
            bad++;
        }

        bad += fixture_put(&f, "ns", "k", "v") != 1;
        fixture_close(&f);

        if (atomic_load(&faults) == 0) {
            break;
        }
    }

    tap_ok(refused > 50 && n < FAULTS_MAX && bad == 0,
           "a store that cannot open for want of memory says so, and opens "
           "the next time: %d of %d tried, up to allocation %d", refused,
           tried, n);
}


static void
test_write(fixture_t *f)
{
    int              n, failed, bad;
    char             key[32];
    store_rc_t       rc;
    fixture_write_t  w;

    failed = 0;
    bad = 0;

    for (n = 1; n < FAULTS_MAX; n++) {
        snprintf(key, sizeof(key), "m_%d", n);

        w.request.count = 0;
        fixture_op(&w, STORE_APPEND, "fault", key)->dedupe = bytes_of(key);
        fixture_op(&w, STORE_PUT, key, "k")->value = bytes_of(key);

        atomic_store(&faults, 0);
        atomic_store(&countdown, n);
        rc = fixture_write(f, &w);
        atomic_store(&countdown, 0);

        failed += rc != STORE_OK;
        bad += check_write(f, &w, n) != 0;

        w.request.count = 0;
        fixture_op(&w, STORE_PUT, "after", "k")->value = bytes_of(key);
        bad += fixture_write(f, &w) != STORE_OK;

        if (atomic_load(&faults) == 0) {
            break;
        }
    }

    tap_ok(failed > 10 && n < FAULTS_MAX && bad == 0,
           "a write without memory is whole or has failed, and the next is "
           "written: %d of %d allocations failed one, %d bad", failed, n - 1,
           bad);
}


/* 0 when both operations are there, or neither. */
static int
check_write(fixture_t *f, const fixture_write_t *w, int n)
{
    char          key[32];
    size_t        count;
    store_read_t  read;
    store_rows_t  rows;

    snprintf(key, sizeof(key), "m_%d", n);

    memset(&read, 0, sizeof(store_read_t));
    read.kind = STORE_FEED;
    read.key = bytes_of(key);

    if (fixture_read(f, &read, "fault", &rows) != STORE_OK) {
        return -1;
    }

    count = rows.count;
    store_rows_release(&rows, 1);

    if (w->request.rc == STORE_OK) {
        return (count == 1 && fixture_has(f, key, "k", key)) ? 0 : -1;
    }

    return (w->request.rc == STORE_FAILED && count == 0
            && fixture_has(f, key, "k", NULL)) ? 0 : -1;
}


static void
test_read(fixture_t *f)
{
    int           n, tried, failed, bad;
    store_rc_t    rc;
    store_read_t  read;
    store_rows_t  rows;

    tried = 0;
    failed = 0;
    bad = 0;

    for (n = 0; n < 3; n++) {
        fixture_append(f, "read", (n == 0) ? "a" : (n == 1) ? "b" : "c", "");
    }

    memset(&read, 0, sizeof(store_read_t));
    read.kind = STORE_FEED;
    read.limit = 3;

    for (n = 1; n < FAULTS_MAX; n += 1 + n / 64) {

        /* a new connection each time: it allocates most */

        tried++;

        fixture_store_close(f);
        fixture_store_open(f);

        atomic_store(&faults, 0);
        atomic_store(&countdown, n);
        rc = fixture_read(f, &read, "read", &rows);
        atomic_store(&countdown, 0);

        if (rc == STORE_OK) {
            bad += rows.count != 3;
            store_rows_release(&rows, 1);

        } else {
            failed++;
            bad += rc != STORE_FAILED && rc != STORE_BUSY;
        }

        bad += fixture_has(f, "after", "k", NULL);

        if (atomic_load(&faults) == 0) {
            break;
        }
    }

    tap_ok(failed > 10 && n < FAULTS_MAX && bad == 0,
           "a read without memory gives all or has failed, and the next is "
           "served: %d of %d tried failed one, up to allocation %d, %d bad",
           failed, tried, n, bad);
}
