/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The conformance suite of the store: what store.h promises, whatever the
 * engine.  A program sets adapter, config and folder, opens the store, which
 * must be empty, and calls conform_run(); the parts are in the files that are
 * included at the end.  One store, one thread, but for the races.
 */


#ifndef _STORE_CONFORM_H_INCLUDED_
#define _STORE_CONFORM_H_INCLUDED_


#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "store.h"
#include "tap.h"


#define CONFORM_WAIT_MS  60000
#define CONFORM_OPS      16
#define CONFORM_TEXT     4096


typedef struct {
    const store_adapter_t  *adapter;     /* set by the program */
    store_config_t          config;      /* the same; callbacks are ours */
    const char             *folder;      /* the same; for backups, writable */
    store_t                *store;
    char                    error[512];
    char                    text[512];   /* last line logged */
    unsigned                notified;
    unsigned                swept;
    pthread_mutex_t         mutex;       /* guards text to swept */
    pthread_cond_t          changed;

    /* the write in hand */

    store_request_t         request;
    store_op_t              ops[CONFORM_OPS];
    store_result_t          results[CONFORM_OPS];

    /* the read in hand */

    store_read_t            read;
    store_rows_t            rows;
    char                    line[CONFORM_TEXT];
} conform_t;


static inline void
conform_log(void *data, int error, const char *text)
{
    conform_t *c = data;

    (void) error;

    pthread_mutex_lock(&c->mutex);
    snprintf(c->text, sizeof(c->text), "%s", text);
    pthread_mutex_unlock(&c->mutex);
}


static inline void
conform_notify(void *data)
{
    conform_t *c = data;

    pthread_mutex_lock(&c->mutex);
    c->notified++;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->mutex);
}


static inline void
conform_swept(void *data)
{
    conform_t *c = data;

    pthread_mutex_lock(&c->mutex);
    c->swept++;
    pthread_mutex_unlock(&c->mutex);
}


/* Opens a store by what the program has set; 0 and c->error. */
static inline int
conform_open(conform_t *c)
{
    pthread_mutex_init(&c->mutex, NULL);
    pthread_cond_init(&c->changed, NULL);

    c->config.log = conform_log;
    c->config.notify = conform_notify;
    c->config.swept = conform_swept;
    c->config.data = c;

    c->error[0] = '\0';
    c->store = c->adapter->open(&c->config, c->error, sizeof(c->error));

    return c->store != NULL;
}


static inline void
conform_close(conform_t *c)
{
    if (c->store != NULL) {
        c->adapter->close(c->store);
        c->store = NULL;
    }

    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->mutex);
}


static inline int64_t
conform_now_ms(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_REALTIME, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


/* Begins a write. */
static inline void
conform_begin(conform_t *c)
{
    memset(&c->request, 0, sizeof(store_request_t));
    memset(c->ops, 0, sizeof(c->ops));

    c->request.ops = c->ops;
    c->request.results = c->results;
}


/* Adds an operation to the write. */
static inline store_op_t *
conform_op(conform_t *c, store_op_kind_t kind, const char *ns,
    const char *key)
{
    store_op_t  *op;

    op = &c->ops[c->request.count++];

    op->kind = kind;
    op->ns = bytes_of(ns);
    op->key = bytes_of(key);

    return op;
}


/* Submits the write and waits for it; its rc.  Who expects an EXISTS releases
   it. */
static inline store_rc_t
conform_write(conform_t *c)
{
    store_rc_t        rc;
    struct timespec   until;
    store_request_t  *taken;

    rc = c->adapter->submit(c->store, &c->request);

    if (rc != STORE_OK) {
        return rc;
    }

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CONFORM_WAIT_MS / 1000;

    for ( ;; ) {
        pthread_mutex_lock(&c->mutex);
        c->notified = 0;
        pthread_mutex_unlock(&c->mutex);

        taken = c->adapter->take(c->store);

        if (taken != NULL) {
            break;
        }

        pthread_mutex_lock(&c->mutex);

        while (c->notified == 0) {

            if (pthread_cond_timedwait(&c->changed, &c->mutex, &until)
                == ETIMEDOUT)
            {
                printf("Bail out! a write was not finished in time\n");
                exit(1);
            }
        }

        pthread_mutex_unlock(&c->mutex);
    }

    return c->request.rc;
}


/* One operation; the seq that it took, or 0. */
static inline uint64_t
conform_write_one(conform_t *c, store_op_kind_t kind, const char *ns,
    const char *key, const char *value)
{
    conform_begin(c);
    conform_op(c, kind, ns, key)->value = bytes_of(value);

    return (conform_write(c) == STORE_OK) ? c->results[0].seq : 0;
}


static inline uint64_t
conform_put(conform_t *c, const char *ns, const char *key, const char *value)
{
    return conform_write_one(c, STORE_PUT, ns, key, value);
}


/* The same with a change, whose note is "note". */
static inline uint64_t
conform_log_put(conform_t *c, const char *ns, const char *key,
    const char *value)
{
    conform_begin(c);
    conform_op(c, STORE_PUT, ns, key)->value = bytes_of(value);
    c->ops[0].log = 1;
    c->ops[0].note = bytes_of("note");

    return (conform_write(c) == STORE_OK) ? c->results[0].seq : 0;
}


/* Begins a read. */
static inline store_read_t *
conform_read(conform_t *c, store_read_kind_t kind, const char *ns)
{
    memset(&c->read, 0, sizeof(store_read_t));

    c->read.kind = kind;
    c->read.ns = bytes_of(ns);
    c->read.limit = 100;

    return &c->read;
}


/* Runs the read in hand into c->rows, which the caller releases. */
static inline store_rc_t
conform_rows(conform_t *c)
{
    memset(&c->rows, 0, sizeof(store_rows_t));

    return c->adapter->read(c->store, &c->read, &c->rows, 1);
}


static inline void
conform_release(conform_t *c)
{
    store_rows_release(&c->rows, 1);
}


/* Keys of the read in hand as a line, "a b +": "+" when there are more. */
static inline const char *
conform_keys(conform_t *c)
{
    size_t  i, len;

    if (conform_rows(c) != STORE_OK) {
        return "failed";
    }

    c->line[0] = '\0';

    for (i = 0; i < c->rows.count; i++) {
        len = strlen(c->line);
        snprintf(c->line + len, sizeof(c->line) - len, "%s%.*s",
                 i ? " " : "", (int) c->rows.rows[i].key.len,
                 (const char *) c->rows.rows[i].key.data);
    }

    if (c->rows.more) {
        len = strlen(c->line);
        snprintf(c->line + len, sizeof(c->line) - len, " +");
    }

    conform_release(c);

    return c->line;
}


/* Changes after a seq: "1:put:a 2:delete:a +". */
static inline const char *
conform_changes(conform_t *c, const char *ns, uint64_t after, size_t limit)
{
    size_t        i, len;
    store_row_t  *row;

    static const char *const  names[] = { "?", "put", "delete", "expire" };

    conform_read(c, STORE_CHANGES, ns)->after = after;
    c->read.limit = limit;

    if (conform_rows(c) != STORE_OK) {
        return "failed";
    }

    c->line[0] = '\0';

    for (i = 0; i < c->rows.count; i++) {
        row = &c->rows.rows[i];
        len = strlen(c->line);
        snprintf(c->line + len, sizeof(c->line) - len, "%s%llu:%s:%.*s",
                 i ? " " : "", (unsigned long long) row->seq,
                 names[row->change & 3], (int) row->key.len,
                 (const char *) row->key.data);
    }

    if (c->rows.more) {
        len = strlen(c->line);
        snprintf(c->line + len, sizeof(c->line) - len, " +");
    }

    conform_release(c);

    return c->line;
}


/* "oldest" of the changes of a namespace. */
static inline uint64_t
conform_oldest(conform_t *c, const char *ns)
{
    conform_read(c, STORE_CHANGES, ns);

    if (conform_rows(c) != STORE_OK) {
        return UINT64_MAX;
    }

    conform_release(c);

    return c->rows.oldest;
}


/* The last seq of the items, or of the entries. */
static inline uint64_t
conform_head(conform_t *c, store_read_kind_t kind, const char *ns)
{
    conform_read(c, kind, ns);

    if (conform_rows(c) != STORE_OK) {
        return UINT64_MAX;
    }

    conform_release(c);

    return c->rows.head;
}


/* 1 when the item has that value; NULL: when it is absent. */
static inline int
conform_has(conform_t *c, const char *ns, const char *key, const char *value)
{
    int  has;

    conform_read(c, STORE_GET, ns)->key = bytes_of(key);

    if (conform_rows(c) != STORE_OK) {
        return 0;
    }

    has = (value == NULL)
          ? c->rows.rc == STORE_ABSENT && c->rows.count == 0
          : c->rows.rc == STORE_OK && c->rows.count == 1
            && bytes_equal_text(c->rows.rows[0].value, value);

    conform_release(c);

    return has;
}


/* 1 when the account holds just that. */
static inline int
conform_holds(conform_t *c, const char *ns, uint64_t items, uint64_t bytes)
{
    conform_read(c, STORE_USAGE, ns);

    if (conform_rows(c) != STORE_OK) {
        return 0;
    }

    conform_release(c);

    if (c->rows.usage.items != items || c->rows.usage.bytes != bytes) {
        printf("# %s holds %llu items, %llu bytes\n", ns,
               (unsigned long long) c->rows.usage.items,
               (unsigned long long) c->rows.usage.bytes);
        return 0;
    }

    return 1;
}


/* The epoch as text, in c->line. */
static inline const char *
conform_epoch(conform_t *c)
{
    conform_read(c, STORE_GET, STORE_NS_STORE)->key
        = bytes_of(STORE_KEY_EPOCH);

    c->line[0] = '\0';

    if (conform_rows(c) == STORE_OK && c->rows.count == 1) {
        snprintf(c->line, sizeof(c->line), "%.*s",
                 (int) c->rows.rows[0].value.len,
                 (const char *) c->rows.rows[0].value.data);
    }

    conform_release(c);

    return c->line;
}


static inline void conform_items(conform_t *c);
static inline void conform_reads(conform_t *c);
static inline void conform_accounts(conform_t *c);
static inline void conform_times(conform_t *c);


/* All of it, on a store that is empty and open; leaves it open. */
static inline void
conform_run(conform_t *c)
{
    conform_items(c);
    conform_reads(c);
    conform_accounts(c);
    conform_times(c);
}


#include "store_conform_items.h"
#include "store_conform_reads.h"
#include "store_conform_accounts.h"
#include "store_conform_times.h"


#endif /* _STORE_CONFORM_H_INCLUDED_ */
