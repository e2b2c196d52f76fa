/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The sweep: expired items, what dropped namespaces left, changes that were
 * kept long enough, and SQLite's own housekeeping.
 *
 * Runs in the writer thread between batches, under the host lock, in small
 * steps: others wait for the lock meanwhile.  When all is idle one step
 * follows the other; else there is room for a batch between two.
 */


#include "store_sqlite.h"


#define STORE_SQLITE_SWEEP_MIN_MS  50


typedef struct {
    int64_t  now_ms;
    int64_t  before_ms;           /* changes from before then are old */
    int      changes;             /* the sweep left some */
    int      more;                /* there is more to do */
} store_sqlite_sweep_t;


static int find_due(store_t *store, store_sqlite_sweep_t *sweep);
static int run_step(store_t *store, store_sqlite_sweep_t *sweep);
static int sweep_all(store_sqlite_writer_t *writer,
    store_sqlite_sweep_t *sweep);
static int sweep_items(store_sqlite_writer_t *writer,
    store_sqlite_sweep_t *sweep);
static int sweep_item(store_sqlite_writer_t *writer,
    store_sqlite_sweep_t *sweep, int *found);
static int remove_item(store_sqlite_writer_t *writer,
    store_sqlite_sweep_t *sweep, int64_t ns, bytes_t key, int64_t bytes);
static int sweep_dropped(store_sqlite_writer_t *writer,
    store_sqlite_sweep_t *sweep);
static void optimize(store_t *store);


void
store_sqlite_sweep_run(store_t *store, int idle)
{
    int                     due;
    int64_t                 now_us;
    store_sqlite_sweep_t    sweep;
    store_sqlite_writer_t  *writer;

    writer = &store->writer;
    now_us = store_sqlite_now_us();

    if (now_us < (idle ? writer->sweep_us : writer->overdue_us)
        || writer->db.handle == NULL)
    {
        return;
    }

    memset(&sweep, 0, sizeof(store_sqlite_sweep_t));
    sweep.now_ms = store_sqlite_now_ms();

    if (store->config.changes_ms > 0) {
        sweep.before_ms = sweep.now_ms - store->config.changes_ms;
    }

    due = find_due(store, &sweep);

    if (due == 1 && run_step(store, &sweep) != 0) {
        sweep.more = 0;
    }

    now_us = store_sqlite_now_us();

    if (due == 1 && sweep.more) {
        writer->sweep_us = now_us;
        writer->overdue_us = now_us + STORE_SQLITE_MORE_MS * 1000;
        return;
    }

    writer->sweep_us = now_us + store_sqlite_sweep_interval(store) * 1000;
    writer->overdue_us = writer->sweep_us + STORE_SQLITE_OVERDUE_MS * 1000;

    if (due == 0 && idle && now_us >= writer->optimize_us) {
        optimize(store);
    }
}


/* Changes that are kept shortly are looked for more often. */
int64_t
store_sqlite_sweep_interval(const store_t *store)
{
    int64_t  ms;

    ms = store->config.changes_ms / 4;

    if (store->config.changes_ms == 0 || ms > STORE_SQLITE_SWEEP_MS) {
        return STORE_SQLITE_SWEEP_MS;
    }

    return (ms > STORE_SQLITE_SWEEP_MIN_MS) ? ms : STORE_SQLITE_SWEEP_MIN_MS;
}


/* Read only, without the lock: 1, 0, or -1. */
static int
find_due(store_t *store, store_sqlite_sweep_t *sweep)
{
    int                     rc, found, old;
    sqlite3_stmt           *statement;
    store_sqlite_writer_t  *writer;

    writer = &store->writer;

    statement = store_sqlite_statement(&writer->db, STORE_SQL_SWEEP_DUE);
    if (statement == NULL) {
        return -1;
    }

    sqlite3_bind_int64(statement, 1, sweep->now_ms);
    rc = store_sqlite_run_row(&writer->db, statement, &found);
    (void) sqlite3_reset(statement);

    if (rc != SQLITE_OK) {
        return -1;
    }

    old = (sweep->before_ms > 0)
          ? store_sqlite_change_due(writer, sweep->before_ms) : 0;

    if (old != 1) {
        sweep->before_ms = 0;
    }

    return found ? 1 : old;
}


/* One transaction; 0 when it was committed. */
static int
run_step(store_t *store, store_sqlite_sweep_t *sweep)
{
    int                     rc;
    store_sqlite_writer_t  *writer;

    writer = &store->writer;

    if (store_sqlite_lock_take(store->lock, STORE_SQLITE_LOCK_MS) != 0) {
        return -1;
    }

    rc = store_sqlite_apply_begin(writer);

    if (rc == SQLITE_OK) {
        rc = sweep_all(writer, sweep);
    }

    if (rc == SQLITE_OK) {
        store_sqlite_account_keep(writer);
        rc = store_sqlite_apply_commit(writer);
    }

    if (rc != SQLITE_OK) {
        store_sqlite_report_failure(store, "a sweep", rc, 0);

        if (store_sqlite_writer_end(store, rc) != 0) {
            store_sqlite_writer_reopen(store);
        }
    }

    store_sqlite_lock_release(store->lock);

    if (rc != SQLITE_OK) {
        return -1;
    }

    if (sweep->changes && store->config.swept != NULL) {
        store->config.swept(store->config.data);
    }

    return 0;
}


static int
sweep_all(store_sqlite_writer_t *writer, store_sqlite_sweep_t *sweep)
{
    int  rc, more;

    rc = sweep_items(writer, sweep);

    if (rc == SQLITE_OK) {
        rc = sweep_dropped(writer, sweep);
    }

    if (rc == SQLITE_OK && sweep->before_ms > 0) {
        rc = store_sqlite_change_trim(writer, sweep->before_ms, &more);
        sweep->more |= more;
    }

    return rc;
}


static int
sweep_items(store_sqlite_writer_t *writer, store_sqlite_sweep_t *sweep)
{
    int  rc, n, found;

    for (n = 0; n < STORE_SQLITE_SWEEP_ROWS; n++) {
        rc = sweep_item(writer, sweep, &found);

        if (rc != SQLITE_OK || !found) {
            return rc;
        }
    }

    sweep->more = 1;

    return SQLITE_OK;
}


static int
sweep_item(store_sqlite_writer_t *writer, store_sqlite_sweep_t *sweep,
    int *found)
{
    int            rc, log;
    int64_t        rowid, ns, bytes;
    uint8_t        key[STORE_KEY_MAX];
    bytes_t        view;
    sqlite3_stmt  *statement;

    *found = 0;

    statement = store_sqlite_statement(&writer->db, STORE_SQL_SWEEP_NEXT);
    if (statement == NULL) {
        return sqlite3_errcode(writer->db.handle);
    }

    sqlite3_bind_int64(statement, 1, sweep->now_ms);
    rc = store_sqlite_run_row(&writer->db, statement, found);

    if (!*found) {
        (void) sqlite3_reset(statement);
        return rc;
    }

    rowid = sqlite3_column_int64(statement, 0);
    ns = sqlite3_column_int64(statement, 1);
    view = store_sqlite_column(statement, 2);
    bytes = (int64_t) view.len + sqlite3_column_int64(statement, 3)
            + sqlite3_column_int64(statement, 5);
    log = sqlite3_column_int(statement, 4);

    view.len = (view.len < sizeof(key)) ? view.len : sizeof(key);
    memcpy(key, view.data, view.len);
    view.data = log ? key : NULL;

    (void) sqlite3_reset(statement);

    rc = store_sqlite_run_numbers(&writer->db, STORE_SQL_ITEM_REMOVE, rowid,
                                  0);

    return (rc == SQLITE_OK) ? remove_item(writer, sweep, ns, view, bytes)
                             : rc;
}


/* What its namespace keeps of it; key.data: NULL when it leaves no change. */
static int
remove_item(store_sqlite_writer_t *writer, store_sqlite_sweep_t *sweep,
    int64_t ns, bytes_t key, int64_t bytes)
{
    int                      rc;
    store_sqlite_change_t    change;
    store_sqlite_account_t  *account;

    rc = store_sqlite_account_of(writer, ns, &account);

    if (rc != SQLITE_OK || account == NULL) {
        return rc;
    }

    rc = store_sqlite_account_add(writer, account, -1, -bytes);

    if (rc != SQLITE_OK || key.data == NULL) {
        return rc;
    }

    sweep->changes = 1;
    account->now.item_seq++;

    change.change = STORE_CHANGE_EXPIRE;
    change.key = key;
    change.note = bytes_make(NULL, 0);
    change.now_ms = sweep->now_ms;

    return store_sqlite_change_add(writer, account, &change);
}


static int
sweep_dropped(store_sqlite_writer_t *writer, store_sqlite_sweep_t *sweep)
{
    int     rc, n;
    size_t  i;

    static const store_sqlite_sql_t  steps[] = {
        STORE_SQL_SWEEP_DROPPED_ITEMS,
        STORE_SQL_SWEEP_DROPPED_ENTRIES,
        STORE_SQL_SWEEP_DROPPED_CHANGES
    };

    n = 0;

    for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        rc = store_sqlite_run_numbers(&writer->db, steps[i],
                                      STORE_SQLITE_SWEEP_ROWS, 0);

        if (rc != SQLITE_OK) {
            return rc;
        }

        n += sqlite3_changes(writer->db.handle);
    }

    if (n == 0) {
        rc = store_sqlite_run(&writer->db, STORE_SQL_SWEEP_DROPPED);
        n = sqlite3_changes(writer->db.handle);
    }

    sweep->more |= (n != 0);

    return rc;
}


/* Under the host lock, since it may write. */
static void
optimize(store_t *store)
{
    int                     rc;
    store_sqlite_writer_t  *writer;

    writer = &store->writer;

    writer->optimize_us = store_sqlite_now_us()
                          + (int64_t) STORE_SQLITE_OPTIMIZE_MS * 1000;

    if (store_sqlite_lock_take(store->lock, STORE_SQLITE_LOCK_MS) != 0) {
        return;
    }

    sqlite3_set_authorizer(writer->db.handle, NULL, NULL);

    rc = sqlite3_exec(writer->db.handle, "PRAGMA analysis_limit = 400;"
                      "PRAGMA optimize;", NULL, NULL, NULL);

    store_sqlite_db_seal(&writer->db, 0);

    if (rc != SQLITE_OK) {
        store_sqlite_report_failure(store, "optimize", rc, 0);
        (void) store_sqlite_writer_end(store, rc);
    }

    store_sqlite_lock_release(store->lock);
}
