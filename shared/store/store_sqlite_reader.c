/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Reads: connections that cannot write, a free list of them, and one short
 * read transaction a request.
 *
 * Runs in pool threads, any number at once; a connection is used by one
 * thread at a time.  A reader never keeps a transaction past the call (a
 * long one would pin the WAL), and is stopped after STORE_SQLITE_READ_MS.
 */


#include "store_sqlite.h"

#include <errno.h>
#include <stdlib.h>


#define STORE_SQLITE_ROWS_STEP  16           /* first size of a row array */


enum {
    SQL_BEGIN = 0,
    SQL_END,
    SQL_NS_GET,
    SQL_GET,
    SQL_RANGE,
    SQL_RANGE_REVERSE,
    SQL_ENTRY,
    SQL_FEED,
    SQL_FEED_REVERSE,
    SQL_CHANGES,
    SQL_NAMES,
    SQL_MAX
};


typedef struct {
    size_t             bytes;     /* in rows of this request so far */
    int64_t            now_ms;
    int64_t            ns;        /* of the read in hand; 0: none */
    store_read_kind_t  kind;      /* of it */
} store_sqlite_read_t;


/* Columns of a row. */
enum {
    COLUMN_KEY = 0,
    COLUMN_VALUE,
    COLUMN_SEQ,
    COLUMN_AT,                    /* NAMES: entries */
    COLUMN_META,                  /* CHANGES: note */
    COLUMN_EXPIRES,               /* CHANGES: kind */
    COLUMN_SIZE,
    COLUMN_WEIGHT
};


static store_sqlite_db_t *take_db(store_t *store);
static store_sqlite_db_t *open_db(store_t *store);
static void release_db(store_t *store, store_sqlite_db_t *db, int rc);
static int run_reads(store_sqlite_db_t *db, const store_read_t *reads,
    store_rows_t *rows, size_t count);
static int run_plain(store_sqlite_db_t *db, unsigned n);
static int read_one(store_sqlite_db_t *db, store_sqlite_read_t *state,
    const store_read_t *read, store_rows_t *rows);
static int find_ns(store_sqlite_db_t *db, store_sqlite_read_t *state,
    bytes_t name, store_sqlite_ns_t *ns);
static int read_get(store_sqlite_db_t *db, store_sqlite_read_t *state,
    const store_read_t *read, store_rows_t *rows);
static int read_range(store_sqlite_db_t *db, store_sqlite_read_t *state,
    const store_read_t *read, store_rows_t *rows);
static int compare_keys(bytes_t a, bytes_t b);
static void set_bounds(const store_read_t *read, bytes_writer_t *low,
    bytes_writer_t *high);
static void raise_low(bytes_writer_t *low, bytes_t key, int past);
static void lower_high(bytes_writer_t *high, bytes_t key);
static int read_names(store_sqlite_db_t *db, store_sqlite_read_t *state,
    const store_read_t *read, store_rows_t *rows);
static int read_entry(store_sqlite_db_t *db, store_sqlite_read_t *state,
    const store_read_t *read, store_rows_t *rows);
static int read_feed(store_sqlite_db_t *db, store_sqlite_read_t *state,
    const store_read_t *read, store_rows_t *rows);
static int take_rows(store_sqlite_db_t *db, sqlite3_stmt *statement,
    store_sqlite_read_t *state, size_t limit, store_rows_t *rows);
static int add_row(sqlite3_stmt *statement, store_sqlite_read_t *state,
    store_rows_t *rows);
static void set_facts(sqlite3_stmt *statement, store_read_kind_t kind,
    store_row_t *row);


_Static_assert(SQL_MAX <= STORE_SQLITE_STATEMENTS, "statement cache");
_Static_assert(STORE_SQLITE_SEQ_MAX == 0xfffffffff, "mask in the texts below");


/* The columns that all rows have, in the order of the next enum. */
static const char *const  store_sqlite_reader_sql[STORE_SQLITE_STATEMENTS] = {

    [SQL_BEGIN] = "BEGIN",
    [SQL_END] = "COMMIT",

    [SQL_NS_GET] = "SELECT id, item_seq, entry_seq, oldest, items, bytes,"
                   " max_items, max_bytes FROM namespace WHERE name = ?1",

    [SQL_GET] = "SELECT key, CASE WHEN ?4 THEN NULL ELSE value END, seq,"
                " at_ms, meta, expires_ms, length(value), weight FROM item"
                " WHERE ns = ?1 AND key = ?2"
                " AND (expires_ms = 0 OR expires_ms > ?3)",
    [SQL_RANGE] = "SELECT key, CASE WHEN ?6 THEN NULL ELSE value END, seq,"
                  " at_ms, meta, expires_ms, length(value), weight FROM item"
                  " WHERE ns = ?1 AND key >= ?2 AND key < ?3"
                  " AND (expires_ms = 0 OR expires_ms > ?4)"
                  " ORDER BY key LIMIT ?5",
    [SQL_RANGE_REVERSE] = "SELECT key, CASE WHEN ?6 THEN NULL ELSE value END,"
                          " seq, at_ms, meta, expires_ms, length(value),"
                          " weight FROM item"
                          " WHERE ns = ?1 AND key >= ?2 AND key < ?3"
                          " AND (expires_ms = 0 OR expires_ms > ?4)"
                          " ORDER BY key DESC LIMIT ?5",

    [SQL_ENTRY] = "SELECT id, value, place & 0xfffffffff, at_ms FROM entry"
                  " WHERE ns = ?1 AND id = ?2",
    [SQL_FEED] = "SELECT id, value, place & 0xfffffffff, at_ms FROM entry"
                 " WHERE place BETWEEN ?1 AND ?2"
                 " ORDER BY place LIMIT ?3",
    [SQL_FEED_REVERSE] = "SELECT id, value, place & 0xfffffffff, at_ms"
                         " FROM entry WHERE place BETWEEN ?1 AND ?2"
                         " ORDER BY place DESC LIMIT ?3",

    [SQL_CHANGES] = "SELECT key, NULL, place & 0xfffffffff, at_ms, note, kind"
                    " FROM change WHERE place BETWEEN ?1 AND ?2"
                    " ORDER BY place LIMIT ?3",
    [SQL_NAMES] = "SELECT name, NULL, item_seq, entry_seq FROM namespace"
                  " WHERE name >= ?1 AND name < ?2 ORDER BY name LIMIT ?3"
};


int
store_sqlite_reader_open(store_t *store)
{
    int                     rc;
    store_sqlite_reader_t  *reader;

    reader = &store->reader;

    rc = store_sqlite_cond_open(&reader->released);

    if (rc == 0) {
        rc = pthread_mutex_init(&reader->mutex, NULL);
    }

    return rc;
}


void
store_sqlite_reader_close(store_t *store)
{
    store_sqlite_db_t      *db;
    store_sqlite_reader_t  *reader;

    reader = &store->reader;

    while (reader->free != NULL) {
        db = reader->free;
        reader->free = db->next;

        store_sqlite_db_close(db);
        free(db);
    }

    pthread_cond_destroy(&reader->released);
    pthread_mutex_destroy(&reader->mutex);
}


store_rc_t
store_sqlite_reader_read(store_t *store, const store_read_t *reads,
    store_rows_t *rows, size_t count)
{
    int                 rc;
    store_rc_t          result;
    store_sqlite_db_t  *db;

    if (store_reads_check(reads, count) != STORE_OK) {
        return STORE_INVALID;
    }

    memset(rows, 0, count * sizeof(store_rows_t));

    db = take_db(store);
    if (db == NULL) {
        return STORE_BUSY;
    }

    db->deadline_us = store_sqlite_now_us()
                      + (int64_t) STORE_SQLITE_READ_MS * 1000;

    rc = run_reads(db, reads, rows, count);
    result = store_sqlite_rc(db, rc);

    if (result != STORE_OK) {
        store_sqlite_log(store, db->error,
                         "store: a read of \"%s\" failed: %s (%d)",
                         store->path, sqlite3_errstr(rc), rc);
        store_rows_release(rows, count);
    }

    release_db(store, db, rc);

    return result;
}


/* Connections. */

static store_sqlite_db_t *
take_db(store_t *store)
{
    int                     rc;
    struct timespec         until;
    store_sqlite_db_t      *db;
    store_sqlite_reader_t  *reader;

    reader = &store->reader;
    rc = 0;

    store_sqlite_time_after(&until, STORE_SQLITE_READ_MS);

    pthread_mutex_lock(&reader->mutex);

    while (reader->free == NULL
           && reader->count >= store->config.readers_max
           && rc != ETIMEDOUT)
    {
        rc = pthread_cond_timedwait(&reader->released, &reader->mutex,
                                    &until);
    }

    db = reader->free;

    if (db != NULL) {
        reader->free = db->next;
        pthread_mutex_unlock(&reader->mutex);
        return db;
    }

    if (reader->count >= store->config.readers_max) {
        pthread_mutex_unlock(&reader->mutex);
        return NULL;
    }

    reader->count++;

    pthread_mutex_unlock(&reader->mutex);

    db = open_db(store);

    if (db == NULL) {
        pthread_mutex_lock(&reader->mutex);
        reader->count--;
        pthread_cond_signal(&reader->released);
        pthread_mutex_unlock(&reader->mutex);
    }

    return db;
}


static store_sqlite_db_t *
open_db(store_t *store)
{
    int                 rc;
    store_sqlite_db_t  *db;

    db = calloc(1, sizeof(store_sqlite_db_t));
    if (db == NULL) {
        return NULL;
    }

    rc = store_sqlite_db_open(store, db, store_sqlite_reader_sql, 1);

    if (rc != SQLITE_OK) {
        store_sqlite_log(store,
                         db->handle ? sqlite3_system_errno(db->handle) : 0,
                         "store: \"%s\" cannot be opened for reading: %s "
                         "(%d)", store->path, sqlite3_errstr(rc), rc);
        store_sqlite_db_close(db);
        free(db);
        return NULL;
    }

    store_sqlite_db_seal(db, 1);

    return db;
}


/* A connection that met an error of the engine is not used again. */
static void
release_db(store_t *store, store_sqlite_db_t *db, int rc)
{
    int                     keep;
    store_sqlite_reader_t  *reader;

    reader = &store->reader;
    keep = (rc == SQLITE_OK || rc == SQLITE_INTERRUPT);

    if (!keep) {
        store_sqlite_db_close(db);
        free(db);
    }

    pthread_mutex_lock(&reader->mutex);

    if (keep) {
        db->next = reader->free;
        reader->free = db;

    } else {
        reader->count--;
    }

    pthread_cond_signal(&reader->released);
    pthread_mutex_unlock(&reader->mutex);
}


/* Reads. */

static int
run_reads(store_sqlite_db_t *db, const store_read_t *reads,
    store_rows_t *rows, size_t count)
{
    int                  rc;
    size_t               i;
    store_sqlite_read_t  state;

    state.bytes = 0;
    state.now_ms = store_sqlite_now_ms();

    rc = run_plain(db, SQL_BEGIN);

    for (i = 0; i < count && rc == SQLITE_OK; i++) {
        rc = read_one(db, &state, &reads[i], &rows[i]);
    }

    if (!sqlite3_get_autocommit(db->handle)) {

        /* the deadline does not hold for the end */

        db->deadline_us = 0;

        if (run_plain(db, SQL_END) != SQLITE_OK && rc == SQLITE_OK) {
            rc = sqlite3_errcode(db->handle);
        }
    }

    return rc;
}


static int
run_plain(store_sqlite_db_t *db, unsigned n)
{
    int            rc;
    sqlite3_stmt  *statement;

    statement = store_sqlite_statement(db, n);
    if (statement == NULL) {
        return sqlite3_errcode(db->handle);
    }

    rc = store_sqlite_step(db, statement);
    (void) sqlite3_reset(statement);

    return (rc == SQLITE_DONE) ? SQLITE_OK : rc;
}


static int
read_one(store_sqlite_db_t *db, store_sqlite_read_t *state,
    const store_read_t *read, store_rows_t *rows)
{
    int                rc;
    store_sqlite_ns_t  ns;

    state->kind = read->kind;
    rows->rc = (read->kind == STORE_GET) ? STORE_ABSENT : STORE_OK;

    if (read->kind == STORE_NAMES) {
        return read_names(db, state, read, rows);
    }

    rc = find_ns(db, state, read->ns, &ns);

    if (rc != SQLITE_OK || state->ns == 0) {
        return rc;
    }

    switch (read->kind) {

    case STORE_GET:
        return read_get(db, state, read, rows);

    case STORE_RANGE:
        return read_range(db, state, read, rows);

    case STORE_FEED:
        rows->head = ns.entry_seq;
        return (read->key.len != 0) ? read_entry(db, state, read, rows)
                                    : read_feed(db, state, read, rows);

    case STORE_HEAD:
        rows->head = ns.entry_seq;
        return SQLITE_OK;

    case STORE_CHANGES:
        rows->head = ns.item_seq;
        rows->oldest = ns.oldest;
        return read_feed(db, state, read, rows);

    case STORE_USAGE:
        rows->head = ns.item_seq;
        rows->usage.items = ns.items;
        rows->usage.bytes = ns.bytes;
        rows->usage.limits = ns.limits;
        return SQLITE_OK;

    default:
        break;
    }

    return SQLITE_MISUSE;
}


static int
find_ns(store_sqlite_db_t *db, store_sqlite_read_t *state, bytes_t name,
    store_sqlite_ns_t *ns)
{
    int            rc, found;
    sqlite3_stmt  *statement;

    memset(ns, 0, sizeof(store_sqlite_ns_t));
    state->ns = 0;

    statement = store_sqlite_statement(db, SQL_NS_GET);
    if (statement == NULL) {
        return sqlite3_errcode(db->handle);
    }

    store_sqlite_bind(statement, 1, name);
    rc = store_sqlite_run_row(db, statement, &found);

    if (found) {
        state->ns = sqlite3_column_int64(statement, 0);
        ns->item_seq = (uint64_t) sqlite3_column_int64(statement, 1);
        ns->entry_seq = (uint64_t) sqlite3_column_int64(statement, 2);
        ns->oldest = (uint64_t) sqlite3_column_int64(statement, 3);
        ns->items = (uint64_t) sqlite3_column_int64(statement, 4);
        ns->bytes = (uint64_t) sqlite3_column_int64(statement, 5);
        ns->limits.items = (uint64_t) sqlite3_column_int64(statement, 6);
        ns->limits.bytes = (uint64_t) sqlite3_column_int64(statement, 7);
    }

    (void) sqlite3_reset(statement);

    return rc;
}


static int
read_get(store_sqlite_db_t *db, store_sqlite_read_t *state,
    const store_read_t *read, store_rows_t *rows)
{
    int            rc;
    sqlite3_stmt  *statement;

    statement = store_sqlite_statement(db, SQL_GET);
    if (statement == NULL) {
        return sqlite3_errcode(db->handle);
    }

    sqlite3_bind_int64(statement, 1, state->ns);
    store_sqlite_bind(statement, 2, read->key);
    sqlite3_bind_int64(statement, 3, state->now_ms);
    sqlite3_bind_int(statement, 4, read->keys_only != 0);

    rc = take_rows(db, statement, state, 1, rows);
    rows->rc = (rows->count != 0) ? STORE_OK : STORE_ABSENT;

    return rc;
}


static int
read_range(store_sqlite_db_t *db, store_sqlite_read_t *state,
    const store_read_t *read, store_rows_t *rows)
{
    uint8_t          low_key[STORE_KEY_MAX + 1];
    uint8_t          high_key[STORE_KEY_MAX + 1];
    sqlite3_stmt    *statement;
    bytes_writer_t   low, high;

    statement = store_sqlite_statement(db, read->reverse ? SQL_RANGE_REVERSE
                                                         : SQL_RANGE);
    if (statement == NULL) {
        return sqlite3_errcode(db->handle);
    }

    bytes_writer_open(&low, low_key, sizeof(low_key));
    bytes_writer_open(&high, high_key, sizeof(high_key));
    set_bounds(read, &low, &high);

    sqlite3_bind_int64(statement, 1, state->ns);
    store_sqlite_bind(statement, 2, bytes_writer_view(&low));
    store_sqlite_bind(statement, 3, bytes_writer_view(&high));
    sqlite3_bind_int64(statement, 4, state->now_ms);
    sqlite3_bind_int64(statement, 5, (int64_t) read->limit + 1);
    sqlite3_bind_int(statement, 6, read->keys_only != 0);

    return take_rows(db, statement, state, read->limit, rows);
}


/* The order of SQLite's blobs. */
static int
compare_keys(bytes_t a, bytes_t b)
{
    int     rc;
    size_t  len;

    len = (a.len < b.len) ? a.len : b.len;
    rc = (len != 0) ? memcmp(a.data, b.data, len) : 0;

    return (rc != 0) ? rc : (a.len > b.len) - (a.len < b.len);
}


/*
 * Keys of the range: low <= key < high.  The first key past one is that key
 * and a zero byte; the first that no longer has a prefix is the prefix with
 * its last byte increased, after bytes of 0xff are cut.  Without such a key
 * the end is a key longer than any.
 */

static void
set_bounds(const store_read_t *read, bytes_writer_t *low,
    bytes_writer_t *high)
{
    int     reverse;
    size_t  len;

    reverse = (read->reverse && read->kind == STORE_RANGE);
    len = read->key.len;

    while (len != 0 && read->key.data[len - 1] == 0xff) {
        len--;
    }

    if (len != 0) {
        bytes_writer_put(high, read->key.data, len - 1);
        bytes_writer_byte(high, (uint8_t) (read->key.data[len - 1] + 1));

    } else {
        memset(high->start, 0xff, STORE_KEY_MAX + 1);
        high->pos = high->end;
    }

    bytes_writer_bytes(low, read->key);

    if (read->kind == STORE_RANGE) {
        raise_low(low, read->from_key, 0);

        if (read->to_key.len != 0) {
            lower_high(high, read->to_key);
        }
    }

    if (read->after_key.len == 0) {
        return;
    }

    if (reverse) {
        lower_high(high, read->after_key);

    } else {
        raise_low(low, read->after_key, 1);
    }
}


static void
raise_low(bytes_writer_t *low, bytes_t key, int past)
{
    if (compare_keys(key, bytes_writer_view(low)) < 0) {
        return;
    }

    low->pos = low->start;
    bytes_writer_bytes(low, key);

    if (past) {
        bytes_writer_byte(low, 0);
    }
}


static void
lower_high(bytes_writer_t *high, bytes_t key)
{
    if (compare_keys(key, bytes_writer_view(high)) < 0) {
        high->pos = high->start;
        bytes_writer_bytes(high, key);
    }
}


static int
read_names(store_sqlite_db_t *db, store_sqlite_read_t *state,
    const store_read_t *read, store_rows_t *rows)
{
    uint8_t          low_key[STORE_KEY_MAX + 1];
    uint8_t          high_key[STORE_KEY_MAX + 1];
    sqlite3_stmt    *statement;
    bytes_writer_t   low, high;

    statement = store_sqlite_statement(db, SQL_NAMES);
    if (statement == NULL) {
        return sqlite3_errcode(db->handle);
    }

    bytes_writer_open(&low, low_key, sizeof(low_key));
    bytes_writer_open(&high, high_key, sizeof(high_key));
    set_bounds(read, &low, &high);

    store_sqlite_bind(statement, 1, bytes_writer_view(&low));
    store_sqlite_bind(statement, 2, bytes_writer_view(&high));
    sqlite3_bind_int64(statement, 3, (int64_t) read->limit + 1);

    return take_rows(db, statement, state, read->limit, rows);
}


static int
read_entry(store_sqlite_db_t *db, store_sqlite_read_t *state,
    const store_read_t *read, store_rows_t *rows)
{
    sqlite3_stmt  *statement;

    statement = store_sqlite_statement(db, SQL_ENTRY);
    if (statement == NULL) {
        return sqlite3_errcode(db->handle);
    }

    sqlite3_bind_int64(statement, 1, state->ns);
    store_sqlite_bind(statement, 2, read->key);

    return take_rows(db, statement, state, 1, rows);
}


/* Entries, or changes: both lie by place. */
static int
read_feed(store_sqlite_db_t *db, store_sqlite_read_t *state,
    const store_read_t *read, store_rows_t *rows)
{
    unsigned       n;
    uint64_t       first, last;
    sqlite3_stmt  *statement;

    last = (read->before != 0 && read->kind == STORE_FEED)
           ? read->before - 1 : STORE_SQLITE_SEQ_MAX;

    if (last > STORE_SQLITE_SEQ_MAX) {
        last = STORE_SQLITE_SEQ_MAX;
    }

    if (read->after >= last) {
        return SQLITE_OK;
    }

    first = read->after + 1;

    if (read->kind == STORE_CHANGES) {
        n = SQL_CHANGES;

    } else {
        n = read->reverse ? SQL_FEED_REVERSE : SQL_FEED;
    }

    statement = store_sqlite_statement(db, n);
    if (statement == NULL) {
        return sqlite3_errcode(db->handle);
    }

    sqlite3_bind_int64(statement, 1, state->ns << STORE_SQLITE_SEQ_BITS
                                     | (int64_t) first);
    sqlite3_bind_int64(statement, 2, state->ns << STORE_SQLITE_SEQ_BITS
                                     | (int64_t) last);
    sqlite3_bind_int64(statement, 3, (int64_t) read->limit + 1);

    return take_rows(db, statement, state, read->limit, rows);
}


/*
 * Copies rows until there are "limit", or the request holds too many bytes;
 * each read gives at least one row, whatever its size.
 */

static int
take_rows(store_sqlite_db_t *db, sqlite3_stmt *statement,
    store_sqlite_read_t *state, size_t limit, store_rows_t *rows)
{
    int  rc;

    for ( ;; ) {
        rc = store_sqlite_step(db, statement);

        if (rc != SQLITE_ROW) {
            break;
        }

        if (rows->count == limit
            || (rows->count != 0 && state->bytes >= STORE_ROWS_BYTES_MAX))
        {
            rows->more = 1;
            rc = SQLITE_DONE;
            break;
        }

        rc = add_row(statement, state, rows);

        if (rc != SQLITE_OK) {
            break;
        }
    }

    (void) sqlite3_reset(statement);

    return (rc == SQLITE_DONE) ? SQLITE_OK : rc;
}


static int
add_row(sqlite3_stmt *statement, store_sqlite_read_t *state,
    store_rows_t *rows)
{
    void            *grown;
    size_t           size;
    bytes_t          key, value, meta;
    store_row_t     *row;
    bytes_writer_t   w;

    /* the array grows when its length is a power of two */

    if (rows->count == 0 || (rows->count >= STORE_SQLITE_ROWS_STEP
                             && (rows->count & (rows->count - 1)) == 0))
    {
        size = rows->count ? rows->count * 2 : STORE_SQLITE_ROWS_STEP;

        grown = realloc(rows->rows, size * sizeof(store_row_t));
        if (grown == NULL) {
            return SQLITE_NOMEM;
        }

        rows->rows = grown;
    }

    key = store_sqlite_column(statement, COLUMN_KEY);
    value = store_sqlite_column(statement, COLUMN_VALUE);
    meta = bytes_make(NULL, 0);

    if (sqlite3_column_count(statement) > COLUMN_META) {
        meta = store_sqlite_column(statement, COLUMN_META);
    }

    bytes_writer_open(&w, malloc(key.len + value.len + meta.len + 1),
                      key.len + value.len + meta.len + 1);
    if (w.start == NULL) {
        return SQLITE_NOMEM;
    }

    bytes_writer_bytes(&w, key);
    bytes_writer_bytes(&w, value);
    bytes_writer_bytes(&w, meta);

    row = &rows->rows[rows->count++];
    memset(row, 0, sizeof(store_row_t));

    row->key = bytes_make(w.start, key.len);
    row->value = bytes_make(w.start + key.len, value.len);
    row->meta = bytes_make(w.start + key.len + value.len, meta.len);

    set_facts(statement, state->kind, row);

    state->bytes += key.len + value.len + meta.len;

    return SQLITE_OK;
}


static void
set_facts(sqlite3_stmt *statement, store_read_kind_t kind, store_row_t *row)
{
    row->seq = (uint64_t) sqlite3_column_int64(statement, COLUMN_SEQ);
    row->at_ms = sqlite3_column_int64(statement, COLUMN_AT);

    switch (kind) {

    case STORE_GET:
    case STORE_RANGE:
        row->expires_ms = sqlite3_column_int64(statement, COLUMN_EXPIRES);
        row->size = (uint64_t) sqlite3_column_int64(statement, COLUMN_SIZE);
        row->weight = (uint64_t) sqlite3_column_int64(statement,
                                                      COLUMN_WEIGHT);
        break;

    case STORE_CHANGES:
        row->change = (store_change_t) sqlite3_column_int(statement,
                                                          COLUMN_EXPIRES);
        break;

    case STORE_NAMES:
        row->entries = (uint64_t) row->at_ms;
        row->at_ms = 0;
        break;

    default:
        break;
    }
}
