/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Operations inside a write transaction: conditions, counters, dedupe, and
 * the sweep of what has expired or was dropped.
 *
 * Runs in the writer thread, on its connection, under the host lock; called
 * by store_sqlite_writer.c only.  Decides nothing about batches.
 *
 * Functions give an SQLite code: SQLITE_OK also when a condition does not
 * hold, which is then in the result.
 */


#include "store_sqlite.h"

#include <stdlib.h>


enum {
    SQL_BEGIN = 0,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_SAVEPOINT,
    SQL_RELEASE,
    SQL_UNDO,
    SQL_NS_GET,
    SQL_NS_ADD,
    SQL_NS_ADD_AGAIN,
    SQL_NS_REMOVE,
    SQL_NS_ITEM_SEQ,
    SQL_NS_ENTRY_SEQ,
    SQL_ITEM_GET,
    SQL_ITEM_ADD,
    SQL_ITEM_SET,
    SQL_ITEM_REMOVE,
    SQL_ENTRY_GET,
    SQL_ENTRY_ADD,
    SQL_DROPPED_ADD,
    SQL_SWEEP_DUE,
    SQL_SWEEP_ITEMS,
    SQL_SWEEP_DROPPED_ITEMS,
    SQL_SWEEP_DROPPED_ENTRIES,
    SQL_SWEEP_DROPPED,
    SQL_MAX
};


typedef struct {
    int64_t   id;                 /* 0: no such namespace yet */
    uint64_t  item_seq;
    uint64_t  entry_seq;
} store_sqlite_ns_t;


typedef struct {
    int64_t   rowid;              /* 0: no row, not even an expired one */
    uint64_t  seq;                /* 0: absent */
} store_sqlite_item_t;


static int apply_operation(store_sqlite_db_t *db, const store_op_t *op,
    store_result_t *result, int64_t now_ms);
static int apply_put(store_sqlite_db_t *db, const store_op_t *op,
    store_result_t *result, int64_t now_ms);
static int apply_delete(store_sqlite_db_t *db, const store_op_t *op,
    store_result_t *result, int64_t now_ms);
static int apply_check(store_sqlite_db_t *db, const store_op_t *op,
    store_result_t *result, int64_t now_ms);
static int apply_append(store_sqlite_db_t *db, const store_op_t *op,
    store_result_t *result, int64_t now_ms);
static int apply_drop(store_sqlite_db_t *db, const store_op_t *op);
static int find_ns(store_sqlite_db_t *db, bytes_t name,
    store_sqlite_ns_t *ns);
static int add_ns(store_sqlite_db_t *db, bytes_t name,
    store_sqlite_ns_t *ns);
static int find_item(store_sqlite_db_t *db, const store_sqlite_ns_t *ns,
    bytes_t key, store_sqlite_item_t *item, int64_t now_ms);
static int find_entry(store_sqlite_db_t *db, const store_sqlite_ns_t *ns,
    bytes_t dedupe, store_result_t *result);
static int add_entry(store_sqlite_db_t *db, const store_op_t *op,
    const store_sqlite_ns_t *ns, int64_t now_ms);
static store_rc_t match_condition(const store_op_t *op, uint64_t seq);
static int run_plain(store_sqlite_db_t *db, unsigned n);
static int run_numbers(store_sqlite_db_t *db, unsigned n, int64_t a,
    int64_t b);
static int run_done(store_sqlite_db_t *db, sqlite3_stmt *statement);
static int get_row(store_sqlite_db_t *db, sqlite3_stmt *statement,
    int *found);


const char *const  store_sqlite_apply_sql[STORE_SQLITE_STATEMENTS] = {

    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_SAVEPOINT] = "SAVEPOINT request",
    [SQL_RELEASE] = "RELEASE request",
    [SQL_UNDO] = "ROLLBACK TO request",

    [SQL_NS_GET] = "SELECT id, item_seq, entry_seq FROM namespace"
                   " WHERE name = ?1",
    [SQL_NS_ADD] = "INSERT INTO namespace (name) VALUES (?1)",
    [SQL_NS_ADD_AGAIN] = "INSERT INTO namespace (name, item_seq, entry_seq)"
                         " VALUES (?1, ?2, ?3)",
    [SQL_NS_REMOVE] = "DELETE FROM namespace WHERE id = ?1",
    [SQL_NS_ITEM_SEQ] = "UPDATE namespace SET item_seq = ?2 WHERE id = ?1",
    [SQL_NS_ENTRY_SEQ] = "UPDATE namespace SET entry_seq = ?2 WHERE id = ?1",

    [SQL_ITEM_GET] = "SELECT rowid, seq, expires_ms FROM item"
                     " WHERE ns = ?1 AND key = ?2",
    [SQL_ITEM_ADD] = "INSERT INTO item (ns, key, seq, at_ms, expires_ms,"
                     " value) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [SQL_ITEM_SET] = "UPDATE item SET seq = ?3, at_ms = ?4, expires_ms = ?5,"
                     " value = ?6 WHERE rowid = ?1",
    [SQL_ITEM_REMOVE] = "DELETE FROM item WHERE rowid = ?1",

    [SQL_ENTRY_GET] = "SELECT place & 0xfffffffff, id, value FROM entry"
                      " WHERE ns = ?1 AND dedupe = ?2",
    [SQL_ENTRY_ADD] = "INSERT INTO entry (place, ns, at_ms, id, dedupe,"
                      " value) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",

    [SQL_DROPPED_ADD] = "INSERT INTO dropped (ns) VALUES (?1)",

    [SQL_SWEEP_DUE] = "SELECT 1 FROM dropped UNION ALL SELECT 1 FROM item"
                      " WHERE expires_ms > 0 AND expires_ms <= ?1 LIMIT 1",
    [SQL_SWEEP_ITEMS] = "DELETE FROM item WHERE rowid IN (SELECT rowid"
                        " FROM item WHERE expires_ms > 0"
                        " AND expires_ms <= ?1 LIMIT ?2)",
    [SQL_SWEEP_DROPPED_ITEMS] = "DELETE FROM item WHERE rowid IN"
                                " (SELECT rowid FROM item WHERE ns ="
                                " (SELECT ns FROM dropped"
                                " ORDER BY ns LIMIT 1) LIMIT ?1)",
    [SQL_SWEEP_DROPPED_ENTRIES] = "DELETE FROM entry WHERE place IN"
                                  " (SELECT place FROM entry WHERE place"
                                  " BETWEEN (SELECT ns << 36 FROM dropped"
                                  " ORDER BY ns LIMIT 1) AND"
                                  " (SELECT (ns + 1 << 36) - 1 FROM dropped"
                                  " ORDER BY ns LIMIT 1) LIMIT ?1)",
    [SQL_SWEEP_DROPPED] = "DELETE FROM dropped WHERE ns ="
                          " (SELECT ns FROM dropped ORDER BY ns LIMIT 1)"
};


_Static_assert(SQL_MAX <= STORE_SQLITE_STATEMENTS, "statement cache");
_Static_assert(STORE_SQLITE_SEQ_BITS == 36, "numbers in the texts above");


int
store_sqlite_apply_begin(store_sqlite_db_t *db)
{
    return run_plain(db, SQL_BEGIN);
}


int
store_sqlite_apply_commit(store_sqlite_db_t *db)
{
    return run_plain(db, SQL_COMMIT);
}


int
store_sqlite_apply_rollback(store_sqlite_db_t *db)
{
    return run_plain(db, SQL_ROLLBACK);
}


int
store_sqlite_apply_request(store_sqlite_db_t *db, store_request_t *request,
    int64_t now_ms)
{
    int              rc, alone;
    size_t           i;
    store_rc_t       failed;
    store_result_t  *result;

    memset(request->results, 0, request->count * sizeof(store_result_t));

    request->rc = STORE_OK;
    request->failed = 0;
    failed = STORE_OK;

    /* one operation writes when all its conditions hold, so that there is
       nothing to undo but after an engine error, which fails the batch; a
       savepoint would be a quarter of its cost */

    alone = (request->count == 1);

    rc = alone ? SQLITE_OK : run_plain(db, SQL_SAVEPOINT);

    if (rc != SQLITE_OK) {
        store_sqlite_apply_fail(request, store_sqlite_rc(db, rc));
        return rc;
    }

    for (i = 0; i < request->count; i++) {
        result = &request->results[i];

        rc = apply_operation(db, &request->ops[i], result, now_ms);

        if (rc != SQLITE_OK) {

            /* the code is taken before the undo may change it */

            failed = store_sqlite_rc(db, rc);
            break;
        }

        failed = result->rc;

        if (failed != STORE_OK && failed != STORE_EXISTS) {
            break;
        }
    }

    if (i == request->count) {
        return alone ? SQLITE_OK : run_plain(db, SQL_RELEASE);
    }

    request->failed = i;
    store_sqlite_apply_fail(request, failed);

    if (!alone && !sqlite3_get_autocommit(db->handle)) {
        if (run_plain(db, SQL_UNDO) != SQLITE_OK
            || run_plain(db, SQL_RELEASE) != SQLITE_OK)
        {
            (void) run_plain(db, SQL_ROLLBACK);
        }
    }

    return rc;
}


void
store_sqlite_apply_fail(store_request_t *request, store_rc_t rc)
{
    size_t    i;
    uint64_t  seq;

    store_request_release(request);

    request->rc = rc;

    for (i = 0; i < request->count; i++) {

        /* the seq that a condition met stays, for the caller's next try */

        seq = (rc == STORE_CONDITION && i == request->failed)
              ? request->results[i].seq : 0;

        request->results[i].rc = rc;
        request->results[i].seq = seq;
    }
}


static int
apply_operation(store_sqlite_db_t *db, const store_op_t *op,
    store_result_t *result, int64_t now_ms)
{
    switch (op->kind) {

    case STORE_PUT:
        return apply_put(db, op, result, now_ms);

    case STORE_DELETE:
        return apply_delete(db, op, result, now_ms);

    case STORE_CHECK:
        return apply_check(db, op, result, now_ms);

    case STORE_APPEND:
        return apply_append(db, op, result, now_ms);

    case STORE_DROP:
        return apply_drop(db, op);

    case STORE_INCR:
    case STORE_LIMITS:
        break;
    }

    return SQLITE_MISUSE;
}


static int
apply_put(store_sqlite_db_t *db, const store_op_t *op, store_result_t *result,
    int64_t now_ms)
{
    int                   rc;
    sqlite3_stmt         *statement;
    store_sqlite_ns_t     ns;
    store_sqlite_item_t   item;

    rc = find_ns(db, op->ns, &ns);

    if (rc != SQLITE_OK) {
        return rc;
    }

    rc = find_item(db, &ns, op->key, &item, now_ms);

    if (rc != SQLITE_OK) {
        return rc;
    }

    result->rc = match_condition(op, item.seq);
    result->seq = item.seq;

    if (result->rc != STORE_OK) {
        return SQLITE_OK;
    }

    rc = add_ns(db, op->ns, &ns);

    if (rc != SQLITE_OK) {
        return rc;
    }

    result->seq = ns.item_seq + 1;

    rc = run_numbers(db, SQL_NS_ITEM_SEQ, ns.id, (int64_t) result->seq);

    if (rc != SQLITE_OK) {
        return rc;
    }

    statement = store_sqlite_statement(db, item.rowid ? SQL_ITEM_SET
                                                      : SQL_ITEM_ADD);
    if (statement == NULL) {
        return sqlite3_errcode(db->handle);
    }

    if (item.rowid) {
        sqlite3_bind_int64(statement, 1, item.rowid);

    } else {
        sqlite3_bind_int64(statement, 1, ns.id);
        store_sqlite_bind(statement, 2, op->key);
    }

    sqlite3_bind_int64(statement, 3, (int64_t) result->seq);
    sqlite3_bind_int64(statement, 4, now_ms);
    sqlite3_bind_int64(statement, 5, op->expires_ms);
    store_sqlite_bind(statement, 6, op->value);

    return run_done(db, statement);
}


/* A delete of what is not there changes nothing and has seq 0. */
static int
apply_delete(store_sqlite_db_t *db, const store_op_t *op,
    store_result_t *result, int64_t now_ms)
{
    int                  rc;
    store_sqlite_ns_t    ns;
    store_sqlite_item_t  item;

    rc = find_ns(db, op->ns, &ns);

    if (rc != SQLITE_OK) {
        return rc;
    }

    rc = find_item(db, &ns, op->key, &item, now_ms);

    if (rc != SQLITE_OK) {
        return rc;
    }

    result->rc = match_condition(op, item.seq);
    result->seq = item.seq;

    if (result->rc != STORE_OK || item.seq == 0) {
        return SQLITE_OK;
    }

    result->seq = ns.item_seq + 1;

    rc = run_numbers(db, SQL_NS_ITEM_SEQ, ns.id, (int64_t) result->seq);

    if (rc != SQLITE_OK) {
        return rc;
    }

    return run_numbers(db, SQL_ITEM_REMOVE, item.rowid, 0);
}


static int
apply_check(store_sqlite_db_t *db, const store_op_t *op,
    store_result_t *result, int64_t now_ms)
{
    int                  rc;
    store_sqlite_ns_t    ns;
    store_sqlite_item_t  item;

    rc = find_ns(db, op->ns, &ns);

    if (rc != SQLITE_OK) {
        return rc;
    }

    rc = find_item(db, &ns, op->key, &item, now_ms);

    if (rc == SQLITE_OK) {
        result->rc = match_condition(op, item.seq);
        result->seq = item.seq;
    }

    return rc;
}


static int
apply_append(store_sqlite_db_t *db, const store_op_t *op,
    store_result_t *result, int64_t now_ms)
{
    int                rc;
    store_sqlite_ns_t  ns;

    rc = find_ns(db, op->ns, &ns);

    if (rc != SQLITE_OK) {
        return rc;
    }

    if (op->dedupe.len != 0 && ns.id != 0) {
        rc = find_entry(db, &ns, op->dedupe, result);

        if (rc != SQLITE_OK || result->rc == STORE_EXISTS) {
            return rc;
        }
    }

    rc = add_ns(db, op->ns, &ns);

    if (rc != SQLITE_OK) {
        return rc;
    }

    if (ns.entry_seq >= STORE_SQLITE_SEQ_MAX
        || ns.id > (int64_t) STORE_SQLITE_NS_MAX)
    {
        result->rc = STORE_INVALID;
        return SQLITE_OK;
    }

    ns.entry_seq++;

    rc = add_entry(db, op, &ns, now_ms);

    if ((rc & 0xff) == SQLITE_CONSTRAINT) {
        result->rc = STORE_CONDITION;
        return SQLITE_OK;
    }

    if (rc != SQLITE_OK) {
        return rc;
    }

    result->seq = ns.entry_seq;

    return run_numbers(db, SQL_NS_ENTRY_SEQ, ns.id, (int64_t) ns.entry_seq);
}


/*
 * However much a namespace holds, a drop is one short step: the name goes on
 * with its counters under a new id, and the sweep deletes what belonged to
 * the old one.
 */

static int
apply_drop(store_sqlite_db_t *db, const store_op_t *op)
{
    int                 rc;
    sqlite3_stmt       *statement;
    store_sqlite_ns_t   ns;

    rc = find_ns(db, op->ns, &ns);

    if (rc != SQLITE_OK || ns.id == 0) {
        return rc;
    }

    rc = run_numbers(db, SQL_DROPPED_ADD, ns.id, 0);

    if (rc != SQLITE_OK) {
        return rc;
    }

    rc = run_numbers(db, SQL_NS_REMOVE, ns.id, 0);

    if (rc != SQLITE_OK) {
        return rc;
    }

    statement = store_sqlite_statement(db, SQL_NS_ADD_AGAIN);
    if (statement == NULL) {
        return sqlite3_errcode(db->handle);
    }

    store_sqlite_bind(statement, 1, op->ns);
    sqlite3_bind_int64(statement, 2, (int64_t) ns.item_seq);
    sqlite3_bind_int64(statement, 3, (int64_t) ns.entry_seq);

    return run_done(db, statement);
}


/* Namespaces, items, entries. */

static int
find_ns(store_sqlite_db_t *db, bytes_t name, store_sqlite_ns_t *ns)
{
    int            rc, found;
    sqlite3_stmt  *statement;

    memset(ns, 0, sizeof(store_sqlite_ns_t));

    statement = store_sqlite_statement(db, SQL_NS_GET);
    if (statement == NULL) {
        return sqlite3_errcode(db->handle);
    }

    store_sqlite_bind(statement, 1, name);
    rc = get_row(db, statement, &found);

    if (found) {
        ns->id = sqlite3_column_int64(statement, 0);
        ns->item_seq = (uint64_t) sqlite3_column_int64(statement, 1);
        ns->entry_seq = (uint64_t) sqlite3_column_int64(statement, 2);
    }

    (void) sqlite3_reset(statement);

    return rc;
}


/* Makes it when it was not found. */
static int
add_ns(store_sqlite_db_t *db, bytes_t name, store_sqlite_ns_t *ns)
{
    int            rc;
    sqlite3_stmt  *statement;

    if (ns->id != 0) {
        return SQLITE_OK;
    }

    statement = store_sqlite_statement(db, SQL_NS_ADD);
    if (statement == NULL) {
        return sqlite3_errcode(db->handle);
    }

    store_sqlite_bind(statement, 1, name);
    rc = run_done(db, statement);

    ns->id = sqlite3_last_insert_rowid(db->handle);

    return rc;
}


static int
find_item(store_sqlite_db_t *db, const store_sqlite_ns_t *ns, bytes_t key,
    store_sqlite_item_t *item, int64_t now_ms)
{
    int            rc, found;
    int64_t        expires_ms;
    sqlite3_stmt  *statement;

    memset(item, 0, sizeof(store_sqlite_item_t));

    if (ns->id == 0) {
        return SQLITE_OK;
    }

    statement = store_sqlite_statement(db, SQL_ITEM_GET);
    if (statement == NULL) {
        return sqlite3_errcode(db->handle);
    }

    sqlite3_bind_int64(statement, 1, ns->id);
    store_sqlite_bind(statement, 2, key);
    rc = get_row(db, statement, &found);

    if (found) {
        item->rowid = sqlite3_column_int64(statement, 0);
        expires_ms = sqlite3_column_int64(statement, 2);

        if (expires_ms == 0 || expires_ms > now_ms) {
            item->seq = (uint64_t) sqlite3_column_int64(statement, 1);
        }
    }

    (void) sqlite3_reset(statement);

    return rc;
}


/* An entry with that dedupe key goes into the result, as STORE_EXISTS. */
static int
find_entry(store_sqlite_db_t *db, const store_sqlite_ns_t *ns,
    bytes_t dedupe, store_result_t *result)
{
    int            rc, found;
    bytes_t        id, value;
    uint8_t       *block;
    sqlite3_stmt  *statement;

    statement = store_sqlite_statement(db, SQL_ENTRY_GET);
    if (statement == NULL) {
        return sqlite3_errcode(db->handle);
    }

    sqlite3_bind_int64(statement, 1, ns->id);
    store_sqlite_bind(statement, 2, dedupe);
    rc = get_row(db, statement, &found);

    if (found) {
        id = store_sqlite_column(statement, 1);
        value = store_sqlite_column(statement, 2);

        block = malloc(value.len + id.len + 1);

        if (block == NULL) {
            (void) sqlite3_reset(statement);
            return SQLITE_NOMEM;
        }

        if (value.len != 0) {
            memcpy(block, value.data, value.len);
        }

        if (id.len != 0) {
            memcpy(block + value.len, id.data, id.len);
        }

        result->rc = STORE_EXISTS;
        result->seq = (uint64_t) sqlite3_column_int64(statement, 0);
        result->value = bytes_make(block, value.len);
        result->key = bytes_make(block + value.len, id.len);
    }

    (void) sqlite3_reset(statement);

    return rc;
}


static int
add_entry(store_sqlite_db_t *db, const store_op_t *op,
    const store_sqlite_ns_t *ns, int64_t now_ms)
{
    sqlite3_stmt  *statement;

    statement = store_sqlite_statement(db, SQL_ENTRY_ADD);
    if (statement == NULL) {
        return sqlite3_errcode(db->handle);
    }

    sqlite3_bind_int64(statement, 1, ns->id << STORE_SQLITE_SEQ_BITS
                                     | (int64_t) ns->entry_seq);
    sqlite3_bind_int64(statement, 2, ns->id);
    sqlite3_bind_int64(statement, 3, now_ms);
    store_sqlite_bind(statement, 4, op->key);
    store_sqlite_bind(statement, 6, op->value);

    if (op->dedupe.len != 0) {
        store_sqlite_bind(statement, 5, op->dedupe);

    } else {
        sqlite3_bind_null(statement, 5);
    }

    return run_done(db, statement);
}


static store_rc_t
match_condition(const store_op_t *op, uint64_t seq)
{
    int  holds;

    switch (op->condition) {

    case STORE_IF_ABSENT:
        holds = (seq == 0);
        break;

    case STORE_IF_PRESENT:
        holds = (seq != 0);
        break;

    case STORE_IF_SEQ:
        holds = (seq == op->if_seq);
        break;

    default:
        holds = 1;
    }

    return holds ? STORE_OK : STORE_CONDITION;
}


/* The sweep. */

int
store_sqlite_apply_sweep_due(store_sqlite_db_t *db, int64_t now_ms)
{
    int            rc, found;
    sqlite3_stmt  *statement;

    statement = store_sqlite_statement(db, SQL_SWEEP_DUE);
    if (statement == NULL) {
        return -1;
    }

    sqlite3_bind_int64(statement, 1, now_ms);
    rc = get_row(db, statement, &found);
    (void) sqlite3_reset(statement);

    return (rc == SQLITE_OK) ? found : -1;
}


int
store_sqlite_apply_sweep(store_sqlite_db_t *db, int64_t now_ms)
{
    int  rc, n;

    rc = run_numbers(db, SQL_SWEEP_ITEMS, now_ms, STORE_SQLITE_SWEEP_ROWS);

    if (rc != SQLITE_OK) {
        return rc;
    }

    rc = run_numbers(db, SQL_SWEEP_DROPPED_ITEMS, STORE_SQLITE_SWEEP_ROWS, 0);
    n = sqlite3_changes(db->handle);

    if (rc != SQLITE_OK) {
        return rc;
    }

    rc = run_numbers(db, SQL_SWEEP_DROPPED_ENTRIES, STORE_SQLITE_SWEEP_ROWS,
                     0);
    n += sqlite3_changes(db->handle);

    if (rc != SQLITE_OK || n != 0) {
        return rc;
    }

    return run_plain(db, SQL_SWEEP_DROPPED);
}


/* Statements. */

static int
run_plain(store_sqlite_db_t *db, unsigned n)
{
    sqlite3_stmt  *statement;

    statement = store_sqlite_statement(db, n);

    return (statement == NULL) ? sqlite3_errcode(db->handle)
                               : run_done(db, statement);
}


/* Binds ?1 and, when the text has one, ?2. */
static int
run_numbers(store_sqlite_db_t *db, unsigned n, int64_t a, int64_t b)
{
    sqlite3_stmt  *statement;

    statement = store_sqlite_statement(db, n);
    if (statement == NULL) {
        return sqlite3_errcode(db->handle);
    }

    sqlite3_bind_int64(statement, 1, a);

    if (sqlite3_bind_parameter_count(statement) > 1) {
        sqlite3_bind_int64(statement, 2, b);
    }

    return run_done(db, statement);
}


static int
run_done(store_sqlite_db_t *db, sqlite3_stmt *statement)
{
    int  rc;

    rc = store_sqlite_step(db, statement);
    (void) sqlite3_reset(statement);

    return (rc == SQLITE_DONE) ? SQLITE_OK : rc;
}


/* Steps once; the caller resets, found or not. */
static int
get_row(store_sqlite_db_t *db, sqlite3_stmt *statement, int *found)
{
    int  rc;

    rc = store_sqlite_step(db, statement);
    *found = (rc == SQLITE_ROW);

    return (rc == SQLITE_ROW || rc == SQLITE_DONE) ? SQLITE_OK : rc;
}
