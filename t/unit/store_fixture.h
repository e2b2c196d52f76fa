/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What the tests of the store share: a folder of their own, a store in it,
 * a request that is waited for, and what was logged.  One store a fixture;
 * a test program may have several.
 */


#ifndef _STORE_FIXTURE_H_INCLUDED_
#define _STORE_FIXTURE_H_INCLUDED_


#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "store_sqlite.h"
#include "tap.h"


#define FIXTURE_WAIT_MS  30000
#define FIXTURE_OPS      8


typedef struct {
    char             folder[256];
    char             path[300];
    char             error[512];  /* of the last open */
    char             text[512];   /* last line logged */
    unsigned         lines;       /* logged */
    unsigned         notified;
    pthread_mutex_t  mutex;       /* guards text to notified */
    pthread_cond_t   changed;
    store_config_t   config;
    store_t         *store;
} fixture_t;


typedef struct {
    store_request_t  request;
    store_op_t       ops[FIXTURE_OPS];
    store_result_t   results[FIXTURE_OPS];
} fixture_write_t;


static inline void
fixture_log(void *data, int error, const char *text)
{
    fixture_t *f = data;

    (void) error;

    pthread_mutex_lock(&f->mutex);
    snprintf(f->text, sizeof(f->text), "%s", text);
    f->lines++;
    pthread_mutex_unlock(&f->mutex);
}


static inline void
fixture_notify(void *data)
{
    fixture_t *f = data;

    pthread_mutex_lock(&f->mutex);
    f->notified++;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->mutex);
}


static inline void
fixture_open(fixture_t *f)
{
    const char  *tmp;

    memset(f, 0, sizeof(fixture_t));

    tmp = getenv("TMPDIR");
    snprintf(f->folder, sizeof(f->folder), "%s/store-XXXXXX",
             tmp ? tmp : "/tmp");

    if (mkdtemp(f->folder) == NULL) {
        perror(f->folder);
        exit(1);
    }

    snprintf(f->path, sizeof(f->path), "%s/mesh.db", f->folder);

    pthread_mutex_init(&f->mutex, NULL);
    store_sqlite_cond_open(&f->changed);

    f->config.path = f->path;
    f->config.readers_max = 2;
    f->config.queue_max = 1000;
    f->config.cache_bytes = 1048576;
    f->config.durable = 1;
    f->config.migrate = 1;
    f->config.log = fixture_log;
    f->config.notify = fixture_notify;
    f->config.data = f;
}


static inline int
fixture_store_open(fixture_t *f)
{
    f->store = store_sqlite.open(&f->config, f->error, sizeof(f->error));

    return f->store != NULL;
}


static inline void
fixture_store_close(fixture_t *f)
{
    if (f->store != NULL) {
        store_sqlite.close(f->store);
        f->store = NULL;
    }
}


/* Closes the store and removes the folder. */
static inline void
fixture_close(fixture_t *f)
{
    DIR            *dir;
    char            name[600];
    struct dirent  *entry;

    fixture_store_close(f);

    dir = opendir(f->folder);

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        snprintf(name, sizeof(name), "%s/%s", f->folder, entry->d_name);
        (void) unlink(name);
    }

    if (dir != NULL) {
        closedir(dir);
    }

    (void) rmdir(f->folder);
    pthread_mutex_destroy(&f->mutex);
    pthread_cond_destroy(&f->changed);
}


/* Takes finished requests until the count is reached; the number taken. */
static inline size_t
fixture_take(fixture_t *f, size_t count)
{
    int               rc;
    size_t            n;
    struct timespec   until;
    store_request_t  *list;

    n = 0;
    rc = 0;
    store_sqlite_time_after(&until, FIXTURE_WAIT_MS);

    while (n < count && rc == 0) {

        for (list = store_sqlite.take(f->store); list; list = list->next) {
            n++;
        }

        pthread_mutex_lock(&f->mutex);

        while (n < count && f->notified == 0 && rc == 0) {
            rc = pthread_cond_timedwait(&f->changed, &f->mutex, &until);
        }

        f->notified = 0;
        pthread_mutex_unlock(&f->mutex);
    }

    return n;
}


/* Adds an operation to a write. */
static inline store_op_t *
fixture_op(fixture_write_t *w, store_op_kind_t kind, const char *ns,
    const char *key)
{
    store_op_t  *op;

    if (w->request.count == 0) {
        memset(&w->request, 0, sizeof(store_request_t));
    }

    op = &w->ops[w->request.count++];

    memset(op, 0, sizeof(store_op_t));
    op->kind = kind;
    op->ns = bytes_of(ns);
    op->key = bytes_of(key);

    w->request.ops = w->ops;
    w->request.results = w->results;

    return op;
}


/* Submits and waits; the rc of the request. */
static inline store_rc_t
fixture_write(fixture_t *f, fixture_write_t *w)
{
    store_rc_t  rc;

    rc = store_sqlite.submit(f->store, &w->request);

    if (rc != STORE_OK) {
        return rc;
    }

    if (fixture_take(f, 1) != 1) {
        printf("Bail out! a write was not finished in time\n");
        exit(1);
    }

    return w->request.rc;
}


/* One PUT; its seq, or 0. */
static inline uint64_t
fixture_put(fixture_t *f, const char *ns, const char *key, const char *value)
{
    fixture_write_t  w;

    w.request.count = 0;
    fixture_op(&w, STORE_PUT, ns, key)->value = bytes_of(value);

    return (fixture_write(f, &w) == STORE_OK) ? w.results[0].seq : 0;
}


/* One APPEND; its seq, or 0. */
static inline uint64_t
fixture_append(fixture_t *f, const char *ns, const char *id,
    const char *value)
{
    fixture_write_t  w;

    w.request.count = 0;
    fixture_op(&w, STORE_APPEND, ns, id)->value = bytes_of(value);

    return (fixture_write(f, &w) == STORE_OK) ? w.results[0].seq : 0;
}


/* One read; rows are to be released when it gives STORE_OK. */
static inline store_rc_t
fixture_read(fixture_t *f, store_read_t *read, const char *ns,
    store_rows_t *rows)
{
    read->ns = bytes_of(ns);

    return store_sqlite.read(f->store, read, rows, 1);
}


/* 1 when the item is there with that value; NULL: when it is absent. */
static inline int
fixture_has(fixture_t *f, const char *ns, const char *key, const char *value)
{
    int           has;
    store_read_t  read;
    store_rows_t  rows;

    memset(&read, 0, sizeof(store_read_t));
    read.kind = STORE_GET;
    read.key = bytes_of(key);

    if (fixture_read(f, &read, ns, &rows) != STORE_OK) {
        return 0;
    }

    has = (value == NULL)
          ? rows.rc == STORE_ABSENT && rows.count == 0
          : rows.rc == STORE_OK && rows.count == 1
            && bytes_equal_text(rows.rows[0].value, value);

    store_rows_release(&rows, 1);

    return has;
}


/* Keys of a RANGE or ids of a FEED as one line, "a b c", with " +" when there
   are more; the line. */
static inline const char *
fixture_list(fixture_t *f, store_read_t *read, const char *ns)
{
    size_t        i, len;
    store_rows_t  rows;

    static char   line[4096];

    if (fixture_read(f, read, ns, &rows) != STORE_OK) {
        return "failed";
    }

    line[0] = '\0';

    for (i = 0; i < rows.count; i++) {
        len = strlen(line);
        snprintf(line + len, sizeof(line) - len, "%s%.*s", i ? " " : "",
                 (int) rows.rows[i].key.len,
                 (const char *) rows.rows[i].key.data);
    }

    if (rows.more) {
        len = strlen(line);
        snprintf(line + len, sizeof(line) - len, " +");
    }

    store_rows_release(&rows, 1);

    return line;
}


/* The last seq of a namespace. */
static inline uint64_t
fixture_head(fixture_t *f, const char *ns)
{
    store_read_t  read;
    store_rows_t  rows;

    memset(&read, 0, sizeof(store_read_t));
    read.kind = STORE_HEAD;

    if (fixture_read(f, &read, ns, &rows) != STORE_OK) {
        return UINT64_MAX;
    }

    store_rows_release(&rows, 1);

    return rows.head;
}


/* A number out of the file by a connection of SQLite beside the store, as an
   operator's tool would have it; -1 on an error. */
static inline int64_t
fixture_sql(fixture_t *f, const char *sql)
{
    int64_t        number;
    sqlite3       *handle;
    sqlite3_stmt  *statement;

    number = -1;
    statement = NULL;

    if (sqlite3_open_v2(f->path, &handle, SQLITE_OPEN_READWRITE, NULL)
        == SQLITE_OK)
    {
        sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        sqlite3_wal_autocheckpoint(handle, 0);
        sqlite3_busy_timeout(handle, 5000);

        if (sqlite3_prepare_v2(handle, sql, -1, &statement, NULL)
            == SQLITE_OK)
        {
            number = (sqlite3_step(statement) == SQLITE_ROW)
                     ? sqlite3_column_int64(statement, 0) : 0;
        }
    }

    sqlite3_finalize(statement);
    sqlite3_close(handle);

    return number;
}


/* 1 when SQLite finds no fault in any page or index. */
static inline int
fixture_intact(fixture_t *f)
{
    return fixture_sql(f, "SELECT integrity_check = 'ok'"
                       "    FROM pragma_integrity_check(1)") == 1;
}


#endif /* _STORE_FIXTURE_H_INCLUDED_ */
