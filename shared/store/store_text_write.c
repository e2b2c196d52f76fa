/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Into the text index: documents, positions, and what follows from them.
 *
 * The leader's thread only.  A transaction is opened by the first call that
 * writes and holds documents of any number of namespaces, each with the
 * position that it brought; it is committed when it is large, old, or all is
 * to be.  When something fails all of it is undone, positions too, and is
 * read from the store again.
 */


#include "store_text.h"

#include <stdlib.h>


#define STORE_TEXT_SWEEP_DOCS  200           /* in one step */


enum {
    SQL_BEGIN = 0,
    SQL_COMMIT,
    SQL_NS_GET,
    SQL_NS_ADD,
    SQL_NS_SEQ,
    SQL_NS_DELETE,
    SQL_NS_NEXT,
    SQL_EPOCH_GET,
    SQL_EPOCH_SET,
    SQL_DOC_FIND,
    SQL_DOC_GET,
    SQL_DOC_ADD,
    SQL_DOC_DELETE,
    SQL_WORDS_ADD,
    SQL_WORDS_DELETE,
    SQL_WORDS_MERGE,
    SQL_DROPPED_ADD,
    SQL_DROPPED_GET,
    SQL_DROPPED_DOCS,
    SQL_DROPPED_DELETE,
    SQL_COUNT
};


_Static_assert(SQL_COUNT <= STORE_SQLITE_STATEMENTS, "statements are cached");


static int begin(store_text_t *text);
static sqlite3_stmt *statement(store_text_t *text, unsigned n);
static int run(store_text_t *text, sqlite3_stmt *st);
static int fail(store_text_t *text, int rc);
static int add_ns(store_text_t *text, bytes_t name, int64_t *ns);
static int remove_doc(store_text_t *text, int64_t id);
static int find_doc(store_text_t *text, int64_t ns, bytes_t key,
    int64_t *id);
static int add_words(store_text_t *text, unsigned sql, int64_t id,
    bytes_t words);
static size_t cut_lead(bytes_t words);
static int sweep(store_text_t *text);
static int sweep_ns(store_text_t *text, int64_t ns);
static int merge(store_text_t *text);
static void checkpoint(store_text_t *text);


const char *const  store_text_write_sql[STORE_SQLITE_STATEMENTS] = {

    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",

    [SQL_NS_GET] = "SELECT id, seq FROM ns WHERE name = ?1",
    [SQL_NS_ADD] = "INSERT INTO ns (name) VALUES (?1) RETURNING id",
    [SQL_NS_SEQ] = "UPDATE ns SET seq = ?2 WHERE id = ?1",
    [SQL_NS_DELETE] = "DELETE FROM ns WHERE id = ?1",
    [SQL_NS_NEXT] = "SELECT name FROM ns WHERE name > ?1"
                    " ORDER BY name LIMIT 1",

    [SQL_EPOCH_GET] = "SELECT epoch FROM meta WHERE id = 0",
    [SQL_EPOCH_SET] = "INSERT OR REPLACE INTO meta (id, epoch)"
                      " VALUES (0, ?1)",

    [SQL_DOC_FIND] = "SELECT id FROM doc"
                     " WHERE ns = ?1 AND key = ?2 AND item = 1",
    [SQL_DOC_GET] = "SELECT lead, rest FROM doc WHERE id = ?1",
    [SQL_DOC_ADD] = "INSERT INTO doc (id, ns, item, at_ms, key, lead, rest)"
                    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [SQL_DOC_DELETE] = "DELETE FROM doc WHERE id = ?1",

    [SQL_WORDS_ADD] = "INSERT INTO words (rowid, text) VALUES (?1, ?2)",
    [SQL_WORDS_DELETE] = "INSERT INTO words (words, rowid, text)"
                         " VALUES ('delete', ?1, ?2)",
    [SQL_WORDS_MERGE] = "INSERT INTO words (words, rank)"
                        " VALUES ('merge', ?1)",

    [SQL_DROPPED_ADD] = "INSERT OR IGNORE INTO dropped (ns) VALUES (?1)",
    [SQL_DROPPED_GET] = "SELECT ns FROM dropped LIMIT 1",
    [SQL_DROPPED_DOCS] = "SELECT id FROM doc WHERE id BETWEEN ?1 AND ?2"
                         " LIMIT 1",
    [SQL_DROPPED_DELETE] = "DELETE FROM dropped WHERE ns = ?1"
};


/* Transactions. */

static int
begin(store_text_t *text)
{
    if (text->open) {
        return 0;
    }

    if (run(text, statement(text, SQL_BEGIN)) != SQLITE_DONE) {
        return fail(text, sqlite3_extended_errcode(text->db.handle));
    }

    text->open = 1;
    text->docs = 0;
    text->begin_us = store_sqlite_now_us();

    return 0;
}


int
store_text_write_flush(store_text_t *text, int all)
{
    if (!text->open) {
        return 0;
    }

    if (!all && text->docs < STORE_TEXT_BATCH_DOCS
        && store_sqlite_now_us() - text->begin_us < STORE_TEXT_BATCH_US)
    {
        return 0;
    }

    if (run(text, statement(text, SQL_COMMIT)) != SQLITE_DONE) {
        return fail(text, sqlite3_extended_errcode(text->db.handle));
    }

    text->open = 0;
    checkpoint(text);

    return 0;
}


/* NULL is found by run(). */
static sqlite3_stmt *
statement(store_text_t *text, unsigned n)
{
    return store_sqlite_statement(&text->db, n);
}


/* For statements whose first row is all that is wanted: it is to be reset by
   the caller then, after SQLITE_DONE it is. */
static int
run(store_text_t *text, sqlite3_stmt *st)
{
    int  rc;

    if (st == NULL) {
        return sqlite3_extended_errcode(text->db.handle);
    }

    rc = store_sqlite_step(&text->db, st);

    if (rc != SQLITE_ROW) {
        (void) sqlite3_reset(st);
    }

    return rc;
}


/* All of the transaction is undone.  Logged now and then. */
static int
fail(store_text_t *text, int rc)
{
    int64_t  now_us;

    now_us = store_sqlite_now_us();

    if (text->reported_us == 0
        || now_us - text->reported_us
           > (int64_t) STORE_SQLITE_REPORT_MS * 1000)
    {
        store_sqlite_log(&text->base, text->db.error, "search: writing to "
                         "\"%s\" failed: %s (%d)", text->path,
                         sqlite3_errstr(rc), rc);
        text->reported_us = now_us;
    }

    if (!sqlite3_get_autocommit(text->db.handle)) {
        (void) sqlite3_exec(text->db.handle, "ROLLBACK", NULL, NULL, NULL);
    }

    text->open = 0;

    if (store_text_damage(rc)) {
        store_text_mark(text);
    }

    return -1;
}


/* Namespaces. */

int
store_text_write_find_ns(store_text_t *text, bytes_t name, int64_t *ns,
    uint64_t *seq)
{
    int            rc;
    sqlite3_stmt  *st;

    *ns = 0;
    *seq = 0;

    st = statement(text, SQL_NS_GET);

    if (st != NULL) {
        store_sqlite_bind(st, 1, name);
    }

    rc = run(text, st);

    if (rc == SQLITE_ROW) {
        *ns = sqlite3_column_int64(st, 0);
        *seq = (uint64_t) sqlite3_column_int64(st, 1);
        (void) sqlite3_reset(st);

        return 1;
    }

    return (rc == SQLITE_DONE) ? 0 : fail(text, rc);
}


int
store_text_write_ns(store_text_t *text, bytes_t name, int64_t *ns,
    uint64_t *seq)
{
    int  found;

    if (begin(text) != 0) {
        return -1;
    }

    found = store_text_write_find_ns(text, name, ns, seq);

    if (found == 0) {
        return add_ns(text, name, ns);
    }

    return (found == 1) ? 0 : -1;
}


static int
add_ns(store_text_t *text, bytes_t name, int64_t *ns)
{
    int            rc;
    sqlite3_stmt  *st;

    st = statement(text, SQL_NS_ADD);

    if (st != NULL) {
        store_sqlite_bind(st, 1, name);
    }

    rc = run(text, st);

    if (rc != SQLITE_ROW) {
        return fail(text, rc);
    }

    *ns = sqlite3_column_int64(st, 0);
    (void) sqlite3_reset(st);

    /* numbers are not used again; when they are all used, from the start */

    return (*ns < (int64_t) STORE_SQLITE_NS_MAX) ? 0
                                                 : fail(text, SQLITE_CORRUPT);
}


int
store_text_write_position(store_text_t *text, int64_t ns, uint64_t seq)
{
    int            rc;
    sqlite3_stmt  *st;

    if (begin(text) != 0) {
        return -1;
    }

    st = statement(text, SQL_NS_SEQ);

    if (st != NULL) {
        sqlite3_bind_int64(st, 1, ns);
        sqlite3_bind_int64(st, 2, (int64_t) seq);
    }

    rc = run(text, st);

    return (rc == SQLITE_DONE) ? 0 : fail(text, rc);
}


int
store_text_write_drop(store_text_t *text, bytes_t name)
{
    int            rc;
    int64_t        ns;
    uint64_t       seq;
    sqlite3_stmt  *st;

    if (begin(text) != 0) {
        return -1;
    }

    rc = store_text_write_find_ns(text, name, &ns, &seq);

    if (rc != 1) {
        return rc;
    }

    st = statement(text, SQL_DROPPED_ADD);

    if (st != NULL) {
        sqlite3_bind_int64(st, 1, ns);
    }

    rc = run(text, st);

    if (rc == SQLITE_DONE) {
        st = statement(text, SQL_NS_DELETE);

        if (st != NULL) {
            sqlite3_bind_int64(st, 1, ns);
        }

        rc = run(text, st);
    }

    return (rc == SQLITE_DONE) ? 0 : fail(text, rc);
}


int
store_text_write_next_ns(store_text_t *text, bytes_t prefix, bytes_t after,
    bytes_writer_t *name)
{
    int            rc, found;
    bytes_t        next;
    sqlite3_stmt  *st;

    st = statement(text, SQL_NS_NEXT);

    if (st != NULL) {
        store_sqlite_bind(st, 1, after.len ? after : prefix);
    }

    rc = run(text, st);

    if (rc != SQLITE_ROW) {
        return (rc == SQLITE_DONE) ? 0 : fail(text, rc);
    }

    next = store_sqlite_column(st, 0);
    found = bytes_start_with(next, prefix);

    if (found) {
        bytes_writer_bytes(name, next);
    }

    (void) sqlite3_reset(st);

    return found && !name->failed;
}


int
store_text_write_epoch(store_text_t *text, bytes_writer_t *epoch)
{
    int            rc;
    sqlite3_stmt  *st;

    st = statement(text, SQL_EPOCH_GET);
    rc = run(text, st);

    if (rc == SQLITE_ROW) {
        bytes_writer_bytes(epoch, store_sqlite_column(st, 0));
        (void) sqlite3_reset(st);

        return epoch->failed ? -1 : 0;
    }

    return (rc == SQLITE_DONE) ? 0 : fail(text, rc);
}


int
store_text_write_set_epoch(store_text_t *text, bytes_t epoch)
{
    int            rc;
    sqlite3_stmt  *st;

    st = statement(text, SQL_EPOCH_SET);

    if (st != NULL) {
        store_sqlite_bind(st, 1, epoch);
    }

    rc = run(text, st);

    return (rc == SQLITE_DONE) ? 0 : fail(text, rc);
}


/* Documents. */

int
store_text_write_doc(store_text_t *text, int64_t ns,
    const store_text_doc_t *doc)
{
    int            rc;
    size_t         lead;
    int64_t        id, old;
    sqlite3_stmt  *st;

    if (begin(text) != 0) {
        return -1;
    }

    id = ns << STORE_SQLITE_SEQ_BITS | (int64_t) doc->seq;
    old = 0;

    rc = doc->item ? find_doc(text, ns, doc->key, &old) : SQLITE_DONE;

    if (rc == SQLITE_ROW) {

        /* what came out of order is older than what is there */

        if (old >= id) {
            return 0;
        }

        rc = remove_doc(text, old);
    }

    if (rc != SQLITE_DONE) {
        return fail(text, rc);
    }

    text->docs++;

    if (doc->text.len == 0) {
        return 0;
    }

    lead = cut_lead(doc->text);
    st = statement(text, SQL_DOC_ADD);

    if (st != NULL) {
        sqlite3_bind_int64(st, 1, id);
        sqlite3_bind_int64(st, 2, ns);
        sqlite3_bind_int(st, 3, doc->item);
        sqlite3_bind_int64(st, 4, doc->at_ms);
        store_sqlite_bind(st, 5, doc->key);
        store_sqlite_bind(st, 6, bytes_make(doc->text.data, lead));
        store_sqlite_bind(st, 7, bytes_make(doc->text.data + lead,
                                            doc->text.len - lead));
    }

    rc = run(text, st);

    if ((rc & 0xff) == SQLITE_CONSTRAINT) {

        /* a message that is there already */

        return 0;
    }

    if (rc == SQLITE_DONE) {
        rc = add_words(text, SQL_WORDS_ADD, id, doc->text);
    }

    if (rc != SQLITE_DONE) {
        return fail(text, rc);
    }

    text->indexed++;
    text->untidy = 1;

    return 0;
}


/* SQLITE_ROW and its id, SQLITE_DONE, or what failed. */
static int
find_doc(store_text_t *text, int64_t ns, bytes_t key, int64_t *id)
{
    int            rc;
    sqlite3_stmt  *st;

    st = statement(text, SQL_DOC_FIND);

    if (st != NULL) {
        sqlite3_bind_int64(st, 1, ns);
        store_sqlite_bind(st, 2, key);
    }

    rc = run(text, st);

    if (rc == SQLITE_ROW) {
        *id = sqlite3_column_int64(st, 0);
        (void) sqlite3_reset(st);
    }

    return rc;
}


/* FTS5 without texts must be told what it was told before.  SQLITE_DONE, or
   what failed. */
static int
remove_doc(store_text_t *text, int64_t id)
{
    int            rc;
    bytes_t        part;
    uint8_t       *whole;
    sqlite3_stmt  *st;
    bytes_writer_t w;

    st = statement(text, SQL_DOC_GET);

    if (st != NULL) {
        sqlite3_bind_int64(st, 1, id);
    }

    rc = run(text, st);

    if (rc != SQLITE_ROW) {
        return (rc == SQLITE_DONE) ? SQLITE_CORRUPT : rc;
    }

    part = store_sqlite_column(st, 0);
    bytes_writer_open(&w, NULL, 0);

    whole = malloc(part.len + (size_t) sqlite3_column_bytes(st, 1) + 1);

    if (whole != NULL) {
        bytes_writer_open(&w, whole, part.len
                          + (size_t) sqlite3_column_bytes(st, 1));
        bytes_writer_bytes(&w, part);
        bytes_writer_bytes(&w, store_sqlite_column(st, 1));
    }

    (void) sqlite3_reset(st);

    if (whole == NULL || w.failed) {
        free(whole);
        return SQLITE_NOMEM;
    }

    rc = add_words(text, SQL_WORDS_DELETE, id, bytes_writer_view(&w));
    free(whole);

    if (rc != SQLITE_DONE) {
        return rc;
    }

    st = statement(text, SQL_DOC_DELETE);

    if (st != NULL) {
        sqlite3_bind_int64(st, 1, id);
    }

    return run(text, st);
}


static int
add_words(store_text_t *text, unsigned sql, int64_t id, bytes_t words)
{
    int            rc;
    sqlite3_stmt  *st;

    st = statement(text, sql);

    if (st == NULL) {
        return sqlite3_extended_errcode(text->db.handle);
    }

    sqlite3_bind_int64(st, 1, id);
    sqlite3_bind_text(st, 2, (const char *) words.data, (int) words.len,
                      SQLITE_STATIC);

    rc = run(text, st);
    (void) sqlite3_clear_bindings(st);

    return rc;
}


/* The most of it that ends with a whole character. */
static size_t
cut_lead(bytes_t words)
{
    size_t  n;

    if (words.len <= STORE_TEXT_LEAD_MAX) {
        return words.len;
    }

    n = STORE_TEXT_LEAD_MAX;

    while (n != 0 && (words.data[n] & 0xc0) == 0x80) {
        n--;
    }

    return n;
}


/* Idle times. */

int
store_text_write_tidy(store_text_t *text)
{
    int  rc;

    rc = sweep(text);

    if (rc == 0) {
        rc = merge(text);
    }

    if (store_text_write_flush(text, 1) != 0) {
        return -1;
    }

    return rc;
}


/* 1: there was something, 0, -1. */
static int
sweep(store_text_t *text)
{
    int            rc;
    int64_t        ns;
    sqlite3_stmt  *st;

    st = statement(text, SQL_DROPPED_GET);
    rc = run(text, st);

    if (rc != SQLITE_ROW) {
        return (rc == SQLITE_DONE) ? 0 : fail(text, rc);
    }

    ns = sqlite3_column_int64(st, 0);
    (void) sqlite3_reset(st);

    return (begin(text) == 0 && sweep_ns(text, ns) == 0) ? 1 : -1;
}


static int
sweep_ns(store_text_t *text, int64_t ns)
{
    int            rc, i;
    int64_t        id;
    sqlite3_stmt  *st;

    for (i = 0; i < STORE_TEXT_SWEEP_DOCS; i++) {
        st = statement(text, SQL_DROPPED_DOCS);

        if (st != NULL) {
            sqlite3_bind_int64(st, 1, ns << STORE_SQLITE_SEQ_BITS);
            sqlite3_bind_int64(st, 2, ns << STORE_SQLITE_SEQ_BITS
                                      | (int64_t) STORE_SQLITE_SEQ_MAX);
        }

        rc = run(text, st);

        if (rc == SQLITE_DONE) {
            st = statement(text, SQL_DROPPED_DELETE);

            if (st != NULL) {
                sqlite3_bind_int64(st, 1, ns);
            }

            rc = run(text, st);

            return (rc == SQLITE_DONE) ? 0 : fail(text, rc);
        }

        if (rc != SQLITE_ROW) {
            return fail(text, rc);
        }

        id = sqlite3_column_int64(st, 0);
        (void) sqlite3_reset(st);

        rc = remove_doc(text, id);

        if (rc != SQLITE_DONE) {
            return fail(text, rc);
        }
    }

    return 0;
}


/* Fewer segments make searches faster.  As FTS5 says: less than two changes
   mean that there was nothing to merge.  A negative number of pages begins
   a merge, a positive one goes on. */
static int
merge(store_text_t *text)
{
    int            rc;
    int64_t        before;
    sqlite3_stmt  *st;

    if (!text->untidy) {
        return 0;
    }

    if (begin(text) != 0) {
        return -1;
    }

    before = sqlite3_total_changes64(text->db.handle);
    st = statement(text, SQL_WORDS_MERGE);

    if (st != NULL) {
        sqlite3_bind_int(st, 1, STORE_TEXT_MERGE_PAGES);
    }

    rc = run(text, st);

    if (rc != SQLITE_DONE) {
        return fail(text, rc);
    }

    if (sqlite3_total_changes64(text->db.handle) - before < 2) {
        text->untidy = 0;
        return 0;
    }

    return 1;
}


/* The leader alone checkpoints, and it is not writing now. */
static void
checkpoint(store_text_t *text)
{
    int  mode, copied;

    if ((int64_t) text->wal_pages * STORE_SQLITE_WAL_FRAME
        < STORE_SQLITE_WAL_PASSIVE)
    {
        return;
    }

    mode = SQLITE_CHECKPOINT_PASSIVE;

    if ((int64_t) text->wal_pages * STORE_SQLITE_WAL_FRAME
        > STORE_SQLITE_WAL_TRUNCATE)
    {
        mode = SQLITE_CHECKPOINT_TRUNCATE;
    }

    (void) sqlite3_wal_checkpoint_v2(text->db.handle, NULL, mode, NULL,
                                     &copied);
    text->wal_pages = 0;
}
