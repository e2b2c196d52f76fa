/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Searches: the newest documents of a namespace that match a query.
 *
 * From any thread.  What the index finds is asked for in the store, in one
 * short read: an item that was changed or is gone, a message whose room is
 * gone, everything when the store has another epoch, is left out; so a hit is
 * never older than the store.  A message is given as the store has it.
 *
 * A search ends by itself: after STORE_TEXT_LOOKS_MAX matches with a place to
 * go on from, after STORE_TEXT_READ_MS without.  FTS5 reads its pages through
 * SQLite's machine, so that the progress handler stops it too.
 */


#include "store_text.h"

#include <stdlib.h>


#define STORE_TEXT_CHECKS  1                 /* reads before those of hits */


enum {
    SQL_BEGIN = 0,
    SQL_END,
    SQL_NS_GET,
    SQL_EPOCH_GET,
    SQL_MATCH,
    SQL_DOC_GET
};


/* A hit on its way out. */
typedef struct {
    store_row_t         row;      /* its block is owned */
    bytes_t             key;      /* in the block: the item's in the store */
    int                 item;
} store_text_hit_t;


typedef struct {
    const store_read_t  *read;
    store_text_query_t   query;
    int64_t              ns;      /* 0: the index does not know it */
    uint64_t             head;
    uint64_t             epoch;
    uint64_t             seen;    /* seq of the last match looked at */
    uint64_t             looks;
    size_t               limit;
    size_t               count;
    int                  more;
    store_text_hit_t     hits[STORE_TEXT_LIMIT_MAX];
} store_text_search_t;


static store_rc_t search(store_text_t *text, store_text_search_t *s);
static store_rc_t tell_error(store_text_t *text, int rc);
static store_text_reader_t *take_reader(store_text_t *text, int *rc);
static store_text_reader_t *open_reader(store_text_t *text, uint64_t file,
    int *rc);
static void release_reader(store_text_t *text, store_text_reader_t *reader,
    int rc);
static int check_late(void *data);
static int run_search(store_sqlite_db_t *db, store_text_search_t *s);
static int run_plain(store_sqlite_db_t *db, unsigned n);
static int find_ns(store_sqlite_db_t *db, store_text_search_t *s);
static int find_epoch(store_sqlite_db_t *db, store_text_search_t *s);
static int match_words(store_sqlite_db_t *db, store_text_search_t *s);
static int look_at(store_sqlite_db_t *db, store_text_search_t *s,
    int64_t id);
static int wants(const store_text_search_t *s, bytes_t key, int item);
static int add_hit(sqlite3_stmt *st, store_text_search_t *s, bytes_t key);
static store_rc_t check_hits(store_text_t *text, store_text_search_t *s,
    const store_read_t *reads, store_rows_t *rows, size_t count);
static void set_check(const store_text_search_t *s,
    const store_text_hit_t *hit, store_read_t *read);
static int keep_hit(store_text_hit_t *hit, store_rows_t *found);
static int same_epoch(const store_text_search_t *s,
    const store_rows_t *found);
static int give_rows(store_text_search_t *s, store_rows_t *rows);
static void free_hits(store_text_search_t *s);
static uint64_t read_epoch(bytes_t text);


static const char *const  store_text_read_sql[STORE_SQLITE_STATEMENTS] = {

    [SQL_BEGIN] = "BEGIN",
    [SQL_END] = "COMMIT",

    [SQL_NS_GET] = "SELECT id, seq FROM ns WHERE name = ?1",
    [SQL_EPOCH_GET] = "SELECT epoch FROM meta WHERE id = 0",
    [SQL_MATCH] = "SELECT rowid FROM words WHERE words MATCH ?1"
                  " AND rowid BETWEEN ?2 AND ?3 ORDER BY rowid DESC",
    [SQL_DOC_GET] = "SELECT item, at_ms, key, lead FROM doc WHERE id = ?1"
};


store_rc_t
store_text_read(store_text_t *text, const store_read_t *reads,
    store_rows_t *rows, size_t count)
{
    store_rc_t            rc;
    store_text_search_t  *s;

    memset(rows, 0, count * sizeof(store_rows_t));

    s = calloc(1, sizeof(store_text_search_t));
    if (s == NULL) {
        return STORE_FAILED;
    }

    s->read = &reads[0];

    s->limit = reads[0].limit;

    if (s->limit == 0 || s->limit > STORE_TEXT_LIMIT_MAX) {
        s->limit = STORE_TEXT_LIMIT_MAX;
    }

    if (store_text_query_parse(reads[0].key, &s->query)
        != STORE_TEXT_QUERY_OK)
    {
        rc = STORE_INVALID;

    } else {
        rc = search(text, s);
    }

    if (rc == STORE_OK) {
        rc = check_hits(text, s, reads, rows, count);
    }

    free_hits(s);
    free(s);

    return rc;
}


static store_rc_t
search(store_text_t *text, store_text_search_t *s)
{
    int                   rc;
    store_text_reader_t  *reader;

    reader = take_reader(text, &rc);
    if (reader == NULL) {
        return tell_error(text, rc);
    }

    reader->db.deadline_us = store_sqlite_now_us()
                             + (int64_t) STORE_TEXT_READ_MS * 1000;

    rc = run_search(&reader->db, s);

    release_reader(text, reader, rc);

    return (rc == SQLITE_OK) ? STORE_OK : tell_error(text, rc);
}


static store_rc_t
tell_error(store_text_t *text, int rc)
{
    if (store_text_damage(rc)) {
        store_text_mark(text);
    }

    switch (rc & 0xff) {

    case SQLITE_BUSY:
    case SQLITE_INTERRUPT:
    case SQLITE_CANTOPEN:
    case SQLITE_SCHEMA:

        /* it took too long, or is being made */

        return STORE_BUSY;

    default:
        break;
    }

    store_sqlite_log(&text->base, 0, "search: a search in \"%s\" failed: "
                     "%s (%d)", text->path, sqlite3_errstr(rc), rc);

    return store_text_damage(rc) ? STORE_BUSY : STORE_FAILED;
}


/* Connections. */

static store_text_reader_t *
take_reader(store_text_t *text, int *rc)
{
    int                   waited;
    uint64_t              file;
    struct timespec       until;
    store_text_reader_t  *reader;

    file = store_text_file(text);
    waited = 0;
    *rc = SQLITE_BUSY;

    store_sqlite_time_after(&until, STORE_TEXT_READ_MS);

    pthread_mutex_lock(&text->mutex);

    for ( ;; ) {
        reader = text->free;

        if (reader != NULL) {
            text->free = reader->next;

            if (reader->file == file) {
                pthread_mutex_unlock(&text->mutex);
                return reader;
            }

            /* of a file that is no more */

            text->count--;
            store_sqlite_db_close(&reader->db);
            free(reader);
            continue;
        }

        if (text->count < text->base.config.readers_max) {
            break;
        }

        if (waited != 0) {
            pthread_mutex_unlock(&text->mutex);
            return NULL;
        }

        waited = pthread_cond_timedwait(&text->released, &text->mutex,
                                        &until);
    }

    text->count++;

    pthread_mutex_unlock(&text->mutex);

    reader = open_reader(text, file, rc);

    if (reader == NULL) {
        pthread_mutex_lock(&text->mutex);
        text->count--;
        pthread_cond_signal(&text->released);
        pthread_mutex_unlock(&text->mutex);
    }

    return reader;
}


static store_text_reader_t *
open_reader(store_text_t *text, uint64_t file, int *rc)
{
    store_text_reader_t  *reader;

    reader = calloc(1, sizeof(store_text_reader_t));
    if (reader == NULL) {
        *rc = SQLITE_NOMEM;
        return NULL;
    }

    reader->file = file;
    *rc = file ? store_text_db_open(text, &reader->db, store_text_read_sql, 1)
               : SQLITE_CANTOPEN;

    if (*rc != SQLITE_OK) {
        store_sqlite_db_close(&reader->db);
        free(reader);
        return NULL;
    }

    sqlite3_progress_handler(reader->db.handle, STORE_TEXT_OPS, check_late,
                             &reader->db);
    store_text_db_seal(&reader->db, 1);

    /* SQLite opens the log with the first read: not that of another file */

    (void) run_plain(&reader->db, SQL_EPOCH_GET);

    if (store_text_file(text) != file) {
        *rc = SQLITE_BUSY;
        store_sqlite_db_close(&reader->db);
        free(reader);
        return NULL;
    }

    return reader;
}


/* A connection that met an error of the engine is not used again. */
static void
release_reader(store_text_t *text, store_text_reader_t *reader, int rc)
{
    int  keep;

    keep = (rc == SQLITE_OK || rc == SQLITE_INTERRUPT);

    if (!keep) {
        store_sqlite_db_close(&reader->db);
        free(reader);
    }

    pthread_mutex_lock(&text->mutex);

    if (keep) {
        reader->next = text->free;
        text->free = reader;

    } else {
        text->count--;
    }

    pthread_cond_signal(&text->released);
    pthread_mutex_unlock(&text->mutex);
}


static int
check_late(void *data)
{
    store_sqlite_db_t *db = data;

    return db->deadline_us != 0 && store_sqlite_now_us() > db->deadline_us;
}


/* The search itself: an SQLite code. */

static int
run_search(store_sqlite_db_t *db, store_text_search_t *s)
{
    int  rc;

    rc = run_plain(db, SQL_BEGIN);

    if (rc == SQLITE_OK) {
        rc = find_epoch(db, s);
    }

    if (rc == SQLITE_OK) {
        rc = find_ns(db, s);
    }

    if (rc == SQLITE_OK && s->ns != 0) {
        rc = match_words(db, s);
    }

    if (!sqlite3_get_autocommit(db->handle)) {

        /* the deadline does not hold for the end */

        db->deadline_us = 0;

        if (run_plain(db, SQL_END) != SQLITE_OK && rc == SQLITE_OK) {
            rc = sqlite3_extended_errcode(db->handle);
        }
    }

    return rc;
}


static int
run_plain(store_sqlite_db_t *db, unsigned n)
{
    int            rc;
    sqlite3_stmt  *st;

    st = store_sqlite_statement(db, n);
    if (st == NULL) {
        return sqlite3_extended_errcode(db->handle);
    }

    rc = store_sqlite_step(db, st);
    (void) sqlite3_reset(st);

    return (rc == SQLITE_DONE) ? SQLITE_OK : rc;
}


static int
find_epoch(store_sqlite_db_t *db, store_text_search_t *s)
{
    int            rc;
    sqlite3_stmt  *st;

    st = store_sqlite_statement(db, SQL_EPOCH_GET);
    if (st == NULL) {
        rc = sqlite3_extended_errcode(db->handle);

        /* a file without its tables: the leader has just begun */

        return (rc == SQLITE_ERROR) ? SQLITE_CANTOPEN : rc;
    }

    rc = store_sqlite_step(db, st);

    if (rc == SQLITE_ROW) {
        s->epoch = read_epoch(store_sqlite_column(st, 0));
    }

    (void) sqlite3_reset(st);

    return (rc == SQLITE_ROW || rc == SQLITE_DONE) ? SQLITE_OK : rc;
}


static int
find_ns(store_sqlite_db_t *db, store_text_search_t *s)
{
    int            rc;
    sqlite3_stmt  *st;

    st = store_sqlite_statement(db, SQL_NS_GET);
    if (st == NULL) {
        return sqlite3_extended_errcode(db->handle);
    }

    store_sqlite_bind(st, 1, s->read->ns);
    rc = store_sqlite_step(db, st);

    if (rc == SQLITE_ROW) {
        s->ns = sqlite3_column_int64(st, 0);
        s->head = (uint64_t) sqlite3_column_int64(st, 1);
    }

    (void) sqlite3_reset(st);

    return (rc == SQLITE_ROW || rc == SQLITE_DONE) ? SQLITE_OK : rc;
}


static int
match_words(store_sqlite_db_t *db, store_text_search_t *s)
{
    int             rc;
    uint8_t         buf[STORE_TEXT_MATCH_MAX];
    uint64_t        last;
    sqlite3_stmt   *st;
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));
    store_text_query_write(&s->query, &w);

    st = store_sqlite_statement(db, SQL_MATCH);

    if (st == NULL || w.failed) {
        return st ? SQLITE_TOOBIG : sqlite3_extended_errcode(db->handle);
    }

    last = STORE_SQLITE_SEQ_MAX;

    if (s->read->before != 0 && s->read->before <= last) {
        last = s->read->before - 1;
    }

    sqlite3_bind_text(st, 1, (const char *) buf, (int) (w.pos - w.start),
                      SQLITE_STATIC);
    sqlite3_bind_int64(st, 2, s->ns << STORE_SQLITE_SEQ_BITS);
    sqlite3_bind_int64(st, 3, s->ns << STORE_SQLITE_SEQ_BITS
                              | (int64_t) last);

    for ( ;; ) {
        rc = store_sqlite_step(db, st);

        if (rc != SQLITE_ROW) {
            break;
        }

        if (s->count == s->limit || s->looks == STORE_TEXT_LOOKS_MAX) {
            s->more = 1;
            rc = SQLITE_DONE;
            break;
        }

        rc = look_at(db, s, sqlite3_column_int64(st, 0));

        if (rc != SQLITE_OK) {
            break;
        }
    }

    (void) sqlite3_reset(st);
    (void) sqlite3_clear_bindings(st);

    return (rc == SQLITE_DONE) ? SQLITE_OK : rc;
}


static int
look_at(store_sqlite_db_t *db, store_text_search_t *s, int64_t id)
{
    int            rc;
    bytes_t        key;
    sqlite3_stmt  *st;

    st = store_sqlite_statement(db, SQL_DOC_GET);
    if (st == NULL) {
        return sqlite3_extended_errcode(db->handle);
    }

    s->looks++;
    s->seen = (uint64_t) id & STORE_SQLITE_SEQ_MAX;

    sqlite3_bind_int64(st, 1, id);
    rc = store_sqlite_step(db, st);

    if (rc == SQLITE_ROW) {
        key = store_sqlite_column(st, 2);
        rc = SQLITE_OK;

        if (wants(s, key, sqlite3_column_int(st, 0))) {
            rc = add_hit(st, s, key);
        }

    } else if (rc == SQLITE_DONE) {
        rc = SQLITE_CORRUPT;
    }

    (void) sqlite3_reset(st);

    return rc;
}


static int
wants(const store_text_search_t *s, bytes_t key, int item)
{
    bytes_t  kinds;

    if (!item) {
        return 1;
    }

    if (key.len < 2) {
        return 0;
    }

    kinds = s->read->from_key;

    if (kinds.len != 0
        && memchr(kinds.data, key.data[0], kinds.len) == NULL)
    {
        return 0;
    }

    return bytes_start_with(bytes_make(key.data + 2, key.len - 2),
                            s->read->to_key);
}


/* The block: what is shown of the key, the snippet, the whole key. */
static int
add_hit(sqlite3_stmt *st, store_text_search_t *s, bytes_t key)
{
    int                item;
    size_t             size;
    bytes_t            shown;
    uint8_t           *block;
    bytes_writer_t     w;
    store_text_hit_t  *hit;

    item = sqlite3_column_int(st, 0);
    shown = item ? bytes_make(key.data + 2, key.len - 2) : key;

    size = 2 * key.len + STORE_TEXT_SNIPPET_MAX + 1;

    block = malloc(size);
    if (block == NULL) {
        return SQLITE_NOMEM;
    }

    hit = &s->hits[s->count++];
    hit->item = item;

    bytes_writer_open(&w, block, size);

    bytes_writer_bytes(&w, shown);
    hit->row.key = bytes_make(block, shown.len);

    bytes_writer_bytes(&w, key);
    hit->key = bytes_make(block + shown.len, key.len);

    hit->row.value = bytes_make(w.pos, 0);

    if (item) {
        store_text_snippet(&s->query, store_sqlite_column(st, 3), &w);
        hit->row.value.len = (size_t) (w.pos - hit->row.value.data);
    }

    hit->row.meta = bytes_of(!item ? "messages"
                             : key.data[0] == 'k' ? "kv" : "docs");
    hit->row.at_ms = sqlite3_column_int64(st, 1);
    hit->row.seq = s->seen;

    return w.failed ? SQLITE_TOOBIG : SQLITE_OK;
}


/* What the store says of the hits, and the other reads. */

static store_rc_t
check_hits(store_text_t *text, store_text_search_t *s,
    const store_read_t *reads, store_rows_t *rows, size_t count)
{
    size_t         i, n, kept;
    store_rc_t     rc;
    store_read_t  *checks;
    store_rows_t  *found;

    n = STORE_TEXT_CHECKS + s->count + count - 1;

    checks = calloc(n, sizeof(store_read_t));
    found = calloc(n, sizeof(store_rows_t));
    rc = STORE_FAILED;

    if (checks == NULL || found == NULL) {
        goto done;
    }

    checks[0].kind = STORE_GET;
    checks[0].ns = bytes_of(STORE_NS_STORE);
    checks[0].key = bytes_of(STORE_KEY_EPOCH);

    for (i = 0; i < s->count; i++) {
        set_check(s, &s->hits[i], &checks[STORE_TEXT_CHECKS + i]);
    }

    if (count > 1) {
        memcpy(&checks[STORE_TEXT_CHECKS + s->count], &reads[1],
               (count - 1) * sizeof(store_read_t));
    }

    rc = text->adapter->read(text->store, checks, found, n);

    if (rc != STORE_OK) {
        goto done;
    }

    if (count > 1) {
        memcpy(&rows[1], &found[STORE_TEXT_CHECKS + s->count],
               (count - 1) * sizeof(store_rows_t));
    }

    kept = 0;

    for (i = 0; i < s->count; i++) {

        if (same_epoch(s, &found[0])
            && keep_hit(&s->hits[i], &found[STORE_TEXT_CHECKS + i]))
        {
            s->hits[kept++] = s->hits[i];

        } else {
            free((void *) s->hits[i].row.key.data);
        }
    }

    if (!same_epoch(s, &found[0])) {
        s->head = 0;
        s->epoch = 0;
        s->more = 0;
    }

    store_rows_release(found, STORE_TEXT_CHECKS + s->count);
    s->count = kept;

    rc = (give_rows(s, &rows[0]) == 0) ? STORE_OK : STORE_FAILED;

    if (rc != STORE_OK) {
        store_rows_release(rows, count);
    }

done:

    free(checks);
    free(found);

    return rc;
}


static void
set_check(const store_text_search_t *s, const store_text_hit_t *hit,
    store_read_t *read)
{
    read->ns = s->read->ns;

    if (hit->item) {
        read->kind = STORE_GET;
        read->key = hit->key;
        read->keys_only = 1;
        return;
    }

    read->kind = STORE_FEED;
    read->after = hit->row.seq - 1;
    read->before = hit->row.seq + 1;
    read->limit = 1;
}


/* A message takes over the row of the store. */
static int
keep_hit(store_text_hit_t *hit, store_rows_t *found)
{
    store_row_t  *row;

    if (found->rc != STORE_OK || found->count == 0) {
        return 0;
    }

    row = &found->rows[0];

    if (row->seq != hit->row.seq) {
        return 0;
    }

    if (hit->item) {
        return 1;
    }

    if (!bytes_equal(row->key, hit->row.key)) {
        return 0;
    }

    free((void *) hit->row.key.data);

    row->meta = hit->row.meta;
    hit->row = *row;
    row->key = bytes_make(NULL, 0);

    return 1;
}


static int
same_epoch(const store_text_search_t *s, const store_rows_t *found)
{
    return found->rc == STORE_OK && found->count != 0
           && read_epoch(found->rows[0].value) == s->epoch;
}


static int
give_rows(store_text_search_t *s, store_rows_t *rows)
{
    size_t  i;

    rows->rows = calloc(s->count + 1, sizeof(store_row_t));
    if (rows->rows == NULL) {
        return -1;
    }

    for (i = 0; i < s->count; i++) {
        rows->rows[i] = s->hits[i].row;
    }

    rows->rc = STORE_OK;
    rows->count = s->count;
    rows->head = s->head;
    rows->oldest = s->epoch;
    rows->more = s->more;
    rows->usage.items = s->seen;

    s->count = 0;

    return 0;
}


static void
free_hits(store_text_search_t *s)
{
    size_t  i;

    for (i = 0; i < s->count; i++) {
        free((void *) s->hits[i].row.key.data);
    }
}


/* 16 hex digits as a number; 0: they are not. */
static uint64_t
read_epoch(bytes_t text)
{
    size_t    i;
    uint8_t   c;
    uint64_t  n;

    if (text.len != STORE_EPOCH_LEN) {
        return 0;
    }

    n = 0;

    for (i = 0; i < text.len; i++) {
        c = text.data[i];

        if (c >= '0' && c <= '9') {
            n = n << 4 | (uint64_t) (c - '0');

        } else if (c >= 'a' && c <= 'f') {
            n = n << 4 | (uint64_t) (c - 'a' + 10);

        } else {
            return 0;
        }
    }

    return n;
}
