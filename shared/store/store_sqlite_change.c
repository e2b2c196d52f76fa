/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Changes: what happened to the items of a namespace, at the seqs that it
 * took, and how those that are old leave.
 *
 * Runs in the writer thread, on its connection; what writes does so inside a
 * transaction, under the host lock.
 *
 * Changes have no index by time.  In a namespace they lie in the order of
 * their seqs, so that the first is the oldest; the trimmer looks at the first
 * of each namespace, a few namespaces each time.
 */


#include "store_sqlite.h"


static int find_first(store_sqlite_db_t *db, int64_t place, int64_t *found,
    int64_t *at_ms);


int
store_sqlite_change_add(store_sqlite_writer_t *writer,
    const store_sqlite_account_t *account,
    const store_sqlite_change_t *change)
{
    sqlite3_stmt       *statement;
    store_sqlite_db_t  *db;

    db = &writer->db;

    statement = store_sqlite_statement(db, STORE_SQL_CHANGE_ADD);
    if (statement == NULL) {
        return sqlite3_errcode(db->handle);
    }

    sqlite3_bind_int64(statement, 1,
                       account->now.id << STORE_SQLITE_SEQ_BITS
                       | (int64_t) account->now.item_seq);
    sqlite3_bind_int64(statement, 2, change->now_ms);
    sqlite3_bind_int64(statement, 3, change->change);
    store_sqlite_bind(statement, 4, change->key);
    store_sqlite_bind(statement, 5, change->note);

    return store_sqlite_run_done(db, statement);
}


int
store_sqlite_change_due(store_sqlite_writer_t *writer, int64_t before_ms)
{
    int      i;
    int64_t  place, at_ms;

    for (i = 0; i < STORE_SQLITE_TRIM_LOOKS; i++) {

        if (find_first(&writer->db,
                       writer->trim_ns << STORE_SQLITE_SEQ_BITS,
                       &place, &at_ms)
            != SQLITE_OK)
        {
            return -1;
        }

        if (place == 0) {
            writer->trim_ns = 0;
            return 0;
        }

        writer->trim_ns = place >> STORE_SQLITE_SEQ_BITS;

        if (at_ms < before_ms) {
            return 1;
        }

        writer->trim_ns++;
    }

    return 0;
}


int
store_sqlite_change_trim(store_sqlite_writer_t *writer, int64_t before_ms,
    int *more)
{
    int                      rc, n;
    int64_t                  place, at_ms, low;
    store_sqlite_account_t  *account;

    *more = 0;

    rc = store_sqlite_account_of(writer, writer->trim_ns, &account);

    if (rc != SQLITE_OK) {
        return rc;
    }

    low = writer->trim_ns << STORE_SQLITE_SEQ_BITS;

    for (n = 0; n < STORE_SQLITE_SWEEP_ROWS; n++) {
        rc = find_first(&writer->db, low, &place, &at_ms);

        if (rc != SQLITE_OK) {
            return rc;
        }

        /* of a dropped namespace they go with the rest of it */

        if (place >> STORE_SQLITE_SEQ_BITS != writer->trim_ns
            || at_ms >= before_ms || account == NULL)
        {
            writer->trim_ns++;
            *more = (place != 0);
            return SQLITE_OK;
        }

        rc = store_sqlite_run_numbers(&writer->db, STORE_SQL_CHANGE_REMOVE,
                                      place, 0);

        if (rc != SQLITE_OK) {
            return rc;
        }

        store_sqlite_account_touch(writer, account);
        account->now.oldest = (uint64_t) place & STORE_SQLITE_SEQ_MAX;
    }

    *more = 1;

    return SQLITE_OK;
}


/* The first change from that place on; 0: none. */
static int
find_first(store_sqlite_db_t *db, int64_t place, int64_t *found,
    int64_t *at_ms)
{
    int            rc, there;
    sqlite3_stmt  *statement;

    *found = 0;
    *at_ms = 0;

    statement = store_sqlite_statement(db, STORE_SQL_CHANGE_NEXT);
    if (statement == NULL) {
        return sqlite3_errcode(db->handle);
    }

    sqlite3_bind_int64(statement, 1, place);
    rc = store_sqlite_run_row(db, statement, &there);

    if (there) {
        *found = sqlite3_column_int64(statement, 0);
        *at_ms = sqlite3_column_int64(statement, 1);
    }

    (void) sqlite3_reset(statement);

    return rc;
}
