/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Operations inside a write transaction: conditions, counters, dedupe, and
 * what they leave behind.
 *
 * Runs in the writer thread, on its connection, under the host lock; called
 * by store_sqlite_writer.c only.  Decides nothing about batches.
 *
 * Functions give an SQLite code: SQLITE_OK also when a condition does not
 * hold, which is then in the result.
 */


#include "store_sqlite.h"

#include <stdlib.h>


/* A request in hand. */
typedef struct {
    store_sqlite_writer_t  *writer;
    store_sqlite_db_t      *db;
    store_request_t        *request;
    size_t                  i;           /* operation in hand */
    const store_op_t       *op;          /* the same */
    store_result_t         *result;
    int64_t                 now_ms;
    int                     savepoint;   /* there is something to go back to */
} store_sqlite_apply_t;


typedef struct {
    int64_t   rowid;              /* 0: no row, not even an expired one */
    uint64_t  seq;                /* 0: absent */
    uint64_t  bytes;              /* of key, value and weight; 0: no row */
    uint64_t  weight;
} store_sqlite_item_t;


static int end_request(store_sqlite_apply_t *a, int rc, store_rc_t failed);
static int apply_operation(store_sqlite_apply_t *a);
static int apply_put(store_sqlite_apply_t *a);
static int put_item(store_sqlite_apply_t *a, store_sqlite_account_t *ns,
    const store_sqlite_item_t *item, bytes_t value);
static int stamp_value(store_sqlite_apply_t *a, uint8_t **stamped);
static int apply_delete(store_sqlite_apply_t *a);
static int apply_check(store_sqlite_apply_t *a);
static int apply_incr(store_sqlite_apply_t *a);
static int incr_item(store_sqlite_apply_t *a, store_sqlite_account_t *ns,
    const store_sqlite_item_t *item, bytes_t value);
static int apply_append(store_sqlite_apply_t *a);
static int apply_drop(store_sqlite_apply_t *a);
static int apply_limits(store_sqlite_apply_t *a);
static int find_match(store_sqlite_apply_t *a, store_sqlite_account_t **ns,
    store_sqlite_item_t *item);
static int find_item(store_sqlite_apply_t *a, int64_t ns,
    store_sqlite_item_t *item);
static int find_number(store_sqlite_apply_t *a,
    const store_sqlite_item_t *item);
static int make_ns(store_sqlite_apply_t *a, store_sqlite_account_t *ns);
static int take_seq(store_sqlite_apply_t *a, store_sqlite_account_t *ns,
    int64_t items, int64_t bytes);
static int leave_change(store_sqlite_apply_t *a,
    const store_sqlite_account_t *ns, store_change_t change);
static int find_entry(store_sqlite_db_t *db, int64_t ns, bytes_t dedupe,
    store_result_t *result);
static int add_entry(store_sqlite_db_t *db, const store_op_t *op,
    const store_sqlite_ns_t *ns, int64_t now_ms);
static store_rc_t match_condition(const store_op_t *op, uint64_t seq);


int
store_sqlite_apply_begin(store_sqlite_writer_t *writer)
{
    store_sqlite_account_clear(writer);

    return store_sqlite_run(&writer->db, STORE_SQL_BEGIN);
}


int
store_sqlite_apply_commit(store_sqlite_writer_t *writer)
{
    int  rc;

    rc = store_sqlite_account_flush(writer);

    return (rc == SQLITE_OK) ? store_sqlite_run(&writer->db, STORE_SQL_COMMIT)
                             : rc;
}


int
store_sqlite_apply_rollback(store_sqlite_writer_t *writer)
{
    return store_sqlite_run(&writer->db, STORE_SQL_ROLLBACK);
}


int
store_sqlite_apply_request(store_sqlite_writer_t *writer,
    store_request_t *request, int64_t now_ms)
{
    int                   rc;
    store_rc_t            failed;
    store_sqlite_apply_t  a;

    memset(request->results, 0, request->count * sizeof(store_result_t));

    request->rc = STORE_OK;
    request->failed = 0;
    failed = STORE_OK;

    memset(&a, 0, sizeof(store_sqlite_apply_t));
    a.writer = writer;
    a.db = &writer->db;
    a.request = request;
    a.now_ms = now_ms;

    /* one operation writes when all its conditions hold, so that there is
       nothing to undo but after an engine error, which fails the batch; a
       savepoint would be a quarter of its cost */

    if (request->count != 1) {
        rc = store_sqlite_run(a.db, STORE_SQL_SAVEPOINT);

        if (rc != SQLITE_OK) {
            store_sqlite_apply_fail(request, store_sqlite_rc(a.db, rc));
            return rc;
        }

        a.savepoint = 1;
    }

    for (rc = SQLITE_OK; a.i < request->count; a.i++) {
        a.op = &request->ops[a.i];
        a.result = &request->results[a.i];

        rc = apply_operation(&a);

        if (rc != SQLITE_OK) {

            /* the code is taken before the undo may change it */

            failed = store_sqlite_rc(a.db, rc);
            break;
        }

        failed = a.result->rc;

        if (failed != STORE_OK && failed != STORE_EXISTS) {
            break;
        }
    }

    if (a.i == request->count) {
        failed = store_sqlite_account_check(writer, request);
    }

    return end_request(&a, rc, failed);
}


static int
end_request(store_sqlite_apply_t *a, int rc, store_rc_t failed)
{
    if (failed == STORE_OK || failed == STORE_EXISTS) {
        store_sqlite_account_keep(a->writer);
        return a->savepoint ? store_sqlite_run(a->db, STORE_SQL_RELEASE)
                            : SQLITE_OK;
    }

    store_sqlite_account_undo(a->writer);

    a->request->failed = (failed == STORE_QUOTA) ? 0 : a->i;
    store_sqlite_apply_fail(a->request, failed);

    if (a->savepoint && !sqlite3_get_autocommit(a->db->handle)) {
        if (store_sqlite_run(a->db, STORE_SQL_UNDO) != SQLITE_OK
            || store_sqlite_run(a->db, STORE_SQL_RELEASE) != SQLITE_OK)
        {
            (void) store_sqlite_run(a->db, STORE_SQL_ROLLBACK);
        }
    }

    return rc;
}


void
store_sqlite_apply_fail(store_request_t *request, store_rc_t rc)
{
    int       met;
    size_t    i;
    uint64_t  seq;

    store_request_release(request);

    request->rc = rc;

    for (i = 0; i < request->count; i++) {

        /* the seq that a condition met stays, for the caller's next try */

        met = (rc == STORE_CONDITION || rc == STORE_TYPE)
              && i == request->failed
              && request->ops[i].kind != STORE_APPEND;
        seq = met ? request->results[i].seq : 0;

        memset(&request->results[i], 0, sizeof(store_result_t));

        request->results[i].rc = rc;
        request->results[i].seq = seq;
    }
}


static int
apply_operation(store_sqlite_apply_t *a)
{
    switch (a->op->kind) {

    case STORE_PUT:
        return apply_put(a);

    case STORE_DELETE:
        return apply_delete(a);

    case STORE_CHECK:
        return apply_check(a);

    case STORE_APPEND:
        return apply_append(a);

    case STORE_DROP:
        return apply_drop(a);

    case STORE_INCR:
        return apply_incr(a);

    case STORE_LIMITS:
        return apply_limits(a);
    }

    return SQLITE_MISUSE;
}


static int
apply_put(store_sqlite_apply_t *a)
{
    int                      rc;
    bytes_t                  value;
    uint8_t                 *stamped;
    store_sqlite_item_t      item;
    store_sqlite_account_t  *ns;

    rc = find_match(a, &ns, &item);

    if (rc != SQLITE_OK || a->result->rc != STORE_OK) {
        return rc;
    }

    a->result->number = (item.seq == 0);

    value = a->op->value;
    stamped = NULL;

    if (a->op->stamp && a->i != 0) {
        rc = stamp_value(a, &stamped);

        if (rc != SQLITE_OK) {
            return rc;
        }

        value.data = stamped;
    }

    rc = put_item(a, ns, &item, value);
    free(stamped);

    return rc;
}


static int
put_item(store_sqlite_apply_t *a, store_sqlite_account_t *ns,
    const store_sqlite_item_t *item, bytes_t value)
{
    int                rc;
    int64_t            bytes;
    sqlite3_stmt      *statement;
    const store_op_t  *op;

    op = a->op;
    bytes = (int64_t) (op->key.len + value.len + op->weight);

    rc = take_seq(a, ns, item->rowid ? 0 : 1, bytes - (int64_t) item->bytes);

    if (rc != SQLITE_OK || a->result->rc != STORE_OK) {
        return rc;
    }

    statement = store_sqlite_statement(a->db, item->rowid
                                              ? STORE_SQL_ITEM_SET
                                              : STORE_SQL_ITEM_ADD);
    if (statement == NULL) {
        return sqlite3_errcode(a->db->handle);
    }

    if (item->rowid) {
        sqlite3_bind_int64(statement, 1, item->rowid);

    } else {
        sqlite3_bind_int64(statement, 1, ns->now.id);
        store_sqlite_bind(statement, 2, op->key);
    }

    sqlite3_bind_int64(statement, 3, (int64_t) a->result->seq);
    sqlite3_bind_int64(statement, 4, a->now_ms);
    sqlite3_bind_int64(statement, 5, op->expires_ms);
    sqlite3_bind_int64(statement, 6, (int64_t) op->weight);
    sqlite3_bind_int64(statement, 7, op->log);
    store_sqlite_bind(statement, 8, op->meta);
    store_sqlite_bind(statement, 9, value);

    rc = store_sqlite_run_done(a->db, statement);

    return (rc == SQLITE_OK) ? leave_change(a, ns, STORE_CHANGE_PUT) : rc;
}


/* A copy of the value with the seqs and numbers of the operations before. */
static int
stamp_value(store_sqlite_apply_t *a, uint8_t **stamped)
{
    int       n;
    size_t    i;
    uint8_t  *p;
    uint64_t  number;

    *stamped = malloc(a->op->value.len);
    if (*stamped == NULL) {
        return SQLITE_NOMEM;
    }

    memcpy(*stamped, a->op->value.data, a->op->value.len);
    p = *stamped;

    for (i = 0; i < a->i; i++) {
        number = (uint64_t) a->request->results[i].number;

        for (n = 56; n >= 0; n -= 8) {
            p[7 - n / 8] = (uint8_t) (a->request->results[i].seq >> n);
            p[15 - n / 8] = (uint8_t) (number >> n);
        }

        p += STORE_STAMP_LEN;
    }

    return SQLITE_OK;
}


/* A delete of what is not there changes nothing and has seq 0. */
static int
apply_delete(store_sqlite_apply_t *a)
{
    int                      rc;
    store_sqlite_item_t      item;
    store_sqlite_account_t  *ns;

    rc = find_match(a, &ns, &item);

    if (rc != SQLITE_OK || a->result->rc != STORE_OK || item.seq == 0) {
        return rc;
    }

    rc = take_seq(a, ns, -1, - (int64_t) item.bytes);

    if (rc != SQLITE_OK || a->result->rc != STORE_OK) {
        return rc;
    }

    rc = store_sqlite_run_numbers(a->db, STORE_SQL_ITEM_REMOVE, item.rowid,
                                  0);

    return (rc == SQLITE_OK) ? leave_change(a, ns, STORE_CHANGE_DELETE) : rc;
}


static int
apply_check(store_sqlite_apply_t *a)
{
    store_sqlite_item_t      item;
    store_sqlite_account_t  *ns;

    return find_match(a, &ns, &item);
}


static int
apply_incr(store_sqlite_apply_t *a)
{
    int                      rc;
    uint8_t                  text[STORE_NUMBER_MAX];
    bytes_t                  value;
    store_sqlite_item_t      item;
    store_sqlite_account_t  *ns;

    rc = find_match(a, &ns, &item);

    if (rc != SQLITE_OK || a->result->rc != STORE_OK) {
        return rc;
    }

    rc = find_number(a, &item);

    if (rc != SQLITE_OK || a->result->rc != STORE_OK) {
        return rc;
    }

    value = bytes_make(text, store_number_write(a->result->number, text));

    return (item.seq == 0) ? put_item(a, ns, &item, value)
                           : incr_item(a, ns, &item, value);
}


/* The number as it is now into the result; STORE_TYPE. */
static int
find_number(store_sqlite_apply_t *a, const store_sqlite_item_t *item)
{
    int            rc, found;
    int64_t        number;
    sqlite3_stmt  *statement;

    number = 0;

    if (item->seq != 0) {
        statement = store_sqlite_statement(a->db, STORE_SQL_ITEM_VALUE);
        if (statement == NULL) {
            return sqlite3_errcode(a->db->handle);
        }

        sqlite3_bind_int64(statement, 1, item->rowid);
        rc = store_sqlite_run_row(a->db, statement, &found);

        if (!found
            || store_number_parse(store_sqlite_column(statement, 0), &number)
               != 0)
        {
            a->result->rc = STORE_TYPE;
        }

        (void) sqlite3_reset(statement);

        if (rc != SQLITE_OK || a->result->rc != STORE_OK) {
            return rc;
        }
    }

    if (__builtin_add_overflow(number, a->op->number, &a->result->number)) {
        a->result->rc = STORE_TYPE;
        a->result->number = 0;
    }

    return SQLITE_OK;
}


/* What is there keeps its meta, weight and time. */
static int
incr_item(store_sqlite_apply_t *a, store_sqlite_account_t *ns,
    const store_sqlite_item_t *item, bytes_t value)
{
    int            rc;
    int64_t        bytes;
    sqlite3_stmt  *statement;

    bytes = (int64_t) (a->op->key.len + value.len + item->weight);

    rc = take_seq(a, ns, 0, bytes - (int64_t) item->bytes);

    if (rc != SQLITE_OK || a->result->rc != STORE_OK) {
        return rc;
    }

    statement = store_sqlite_statement(a->db, STORE_SQL_ITEM_INCR);
    if (statement == NULL) {
        return sqlite3_errcode(a->db->handle);
    }

    sqlite3_bind_int64(statement, 1, item->rowid);
    sqlite3_bind_int64(statement, 2, (int64_t) a->result->seq);
    sqlite3_bind_int64(statement, 3, a->now_ms);
    sqlite3_bind_int64(statement, 4, a->op->log);
    store_sqlite_bind(statement, 5, value);

    rc = store_sqlite_run_done(a->db, statement);

    return (rc == SQLITE_OK) ? leave_change(a, ns, STORE_CHANGE_PUT) : rc;
}


static int
apply_append(store_sqlite_apply_t *a)
{
    int                      rc;
    store_sqlite_ns_t        next;
    store_sqlite_account_t  *ns;

    rc = store_sqlite_account_find(a->writer, a->op->ns, &ns);

    if (rc != SQLITE_OK) {
        return rc;
    }

    if (a->op->dedupe.len != 0 && ns->now.id != 0) {
        rc = find_entry(a->db, ns->now.id, a->op->dedupe, a->result);

        if (rc != SQLITE_OK || a->result->rc == STORE_EXISTS) {
            return rc;
        }
    }

    rc = make_ns(a, ns);

    if (rc != SQLITE_OK) {
        return rc;
    }

    if (ns->now.entry_seq >= STORE_SQLITE_SEQ_MAX
        || ns->now.id > (int64_t) STORE_SQLITE_NS_MAX)
    {
        a->result->rc = STORE_INVALID;
        return SQLITE_OK;
    }

    next = ns->now;
    next.entry_seq++;

    rc = add_entry(a->db, a->op, &next, a->now_ms);

    if ((rc & 0xff) == SQLITE_CONSTRAINT) {
        a->result->rc = STORE_CONDITION;
        return SQLITE_OK;
    }

    if (rc != SQLITE_OK) {
        return rc;
    }

    store_sqlite_account_touch(a->writer, ns);
    ns->now.entry_seq = next.entry_seq;
    a->result->seq = next.entry_seq;

    return SQLITE_OK;
}


/*
 * However much a namespace holds, a drop is one short step: the name goes on
 * with its counters under a new id, and the sweep deletes what belonged to
 * the old one.
 */

static int
apply_drop(store_sqlite_apply_t *a)
{
    int                      rc;
    int64_t                  old;
    store_sqlite_account_t  *ns;

    rc = store_sqlite_account_find(a->writer, a->op->ns, &ns);

    if (rc != SQLITE_OK || ns->now.id == 0) {
        return rc;
    }

    rc = take_seq(a, ns, - (int64_t) ns->now.own_items,
                  - (int64_t) ns->now.own_bytes);

    if (rc != SQLITE_OK || a->result->rc != STORE_OK) {
        return rc;
    }

    old = ns->now.id;

    rc = store_sqlite_run_numbers(a->db, STORE_SQL_DROPPED_ADD, old, 0);

    if (rc == SQLITE_OK) {
        rc = store_sqlite_run_numbers(a->db, STORE_SQL_NS_REMOVE, old, 0);
    }

    /* the row is made anew, its numbers are written with the commit */

    ns->now.id = 0;

    if (rc == SQLITE_OK) {
        rc = store_sqlite_account_make(a->writer, ns);
    }

    ns->now.oldest = ns->now.item_seq;

    return rc;
}


static int
apply_limits(store_sqlite_apply_t *a)
{
    int                      rc;
    store_sqlite_account_t  *ns;

    rc = store_sqlite_account_find(a->writer, a->op->ns, &ns);

    if (rc == SQLITE_OK) {
        rc = make_ns(a, ns);
    }

    if (rc == SQLITE_OK) {
        store_sqlite_account_touch(a->writer, ns);
        ns->now.limits = a->op->limits;
    }

    return rc;
}


/* Namespaces, items, entries. */

/* The item of the operation, and whether its condition holds. */
static int
find_match(store_sqlite_apply_t *a, store_sqlite_account_t **ns,
    store_sqlite_item_t *item)
{
    int  rc;

    rc = store_sqlite_account_find(a->writer, a->op->ns, ns);

    if (rc == SQLITE_OK) {
        rc = find_item(a, (*ns)->now.id, item);
    }

    if (rc == SQLITE_OK) {
        a->result->rc = match_condition(a->op, item->seq);
        a->result->seq = item->seq;
    }

    return rc;
}


static int
find_item(store_sqlite_apply_t *a, int64_t ns, store_sqlite_item_t *item)
{
    int            rc, found;
    int64_t        expires_ms;
    sqlite3_stmt  *statement;

    memset(item, 0, sizeof(store_sqlite_item_t));

    if (ns == 0) {
        return SQLITE_OK;
    }

    statement = store_sqlite_statement(a->db, STORE_SQL_ITEM_GET);
    if (statement == NULL) {
        return sqlite3_errcode(a->db->handle);
    }

    sqlite3_bind_int64(statement, 1, ns);
    store_sqlite_bind(statement, 2, a->op->key);
    rc = store_sqlite_run_row(a->db, statement, &found);

    if (found) {
        item->rowid = sqlite3_column_int64(statement, 0);
        item->weight = (uint64_t) sqlite3_column_int64(statement, 3);
        item->bytes = a->op->key.len + item->weight
                      + (uint64_t) sqlite3_column_int64(statement, 4);

        expires_ms = sqlite3_column_int64(statement, 2);

        if (expires_ms == 0 || expires_ms > a->now_ms) {
            item->seq = (uint64_t) sqlite3_column_int64(statement, 1);
        }
    }

    (void) sqlite3_reset(statement);

    return rc;
}


/* A request of one operation, too, has to be undone when the namespace was
   made for it and it fails then. */
static int
make_ns(store_sqlite_apply_t *a, store_sqlite_account_t *ns)
{
    int  rc;

    if (ns->now.id != 0) {
        return SQLITE_OK;
    }

    if (!a->savepoint) {
        rc = store_sqlite_run(a->db, STORE_SQL_SAVEPOINT);

        if (rc != SQLITE_OK) {
            return rc;
        }

        a->savepoint = 1;
    }

    return store_sqlite_account_make(a->writer, ns);
}


/*
 * The next seq of the items, into the result, and the accounts charged.  What
 * a request of one operation may not do for its quota it does not begin.
 */

static int
take_seq(store_sqlite_apply_t *a, store_sqlite_account_t *ns, int64_t items,
    int64_t bytes)
{
    int       rc;
    uint64_t  met;

    rc = make_ns(a, ns);

    if (rc != SQLITE_OK) {
        return rc;
    }

    if (ns->now.item_seq >= STORE_SQLITE_SEQ_MAX
        || ns->now.id > (int64_t) STORE_SQLITE_NS_MAX)
    {
        a->result->rc = STORE_INVALID;
        return SQLITE_OK;
    }

    rc = store_sqlite_account_add(a->writer, ns, items, bytes);

    if (rc != SQLITE_OK) {
        return rc;
    }

    met = a->result->seq;
    a->result->seq = ++ns->now.item_seq;

    if (a->request->count == 1) {
        a->result->rc = store_sqlite_account_check(a->writer, a->request);

        if (a->result->rc != STORE_OK) {
            a->result->seq = met;
        }
    }

    return SQLITE_OK;
}


static int
leave_change(store_sqlite_apply_t *a, const store_sqlite_account_t *ns,
    store_change_t change)
{
    store_sqlite_change_t  left;

    if (!a->op->log) {
        return SQLITE_OK;
    }

    left.change = change;
    left.key = a->op->key;
    left.note = a->op->note;
    left.now_ms = a->now_ms;

    return store_sqlite_change_add(a->writer, ns, &left);
}


/* An entry with that dedupe key goes into the result, as STORE_EXISTS. */
static int
find_entry(store_sqlite_db_t *db, int64_t ns,
    bytes_t dedupe, store_result_t *result)
{
    int            rc, found;
    bytes_t        id, value;
    uint8_t       *block;
    sqlite3_stmt  *statement;

    statement = store_sqlite_statement(db, STORE_SQL_ENTRY_GET);
    if (statement == NULL) {
        return sqlite3_errcode(db->handle);
    }

    sqlite3_bind_int64(statement, 1, ns);
    store_sqlite_bind(statement, 2, dedupe);
    rc = store_sqlite_run_row(db, statement, &found);

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

    statement = store_sqlite_statement(db, STORE_SQL_ENTRY_ADD);
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

    return store_sqlite_run_done(db, statement);
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
