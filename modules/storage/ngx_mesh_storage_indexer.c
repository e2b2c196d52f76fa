/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The indexer: who leads, and what he has to look at.
 *
 * Each worker has the thread; it tries once a second to lead, so that a worker
 * that dies is followed by another.  Who leads compares all namespaces once,
 * then those that notices tell of: the event loop puts their names into a
 * bounded list and never waits; when the list is full, or something was
 * missed, everything is compared again.
 *
 *     event loop   notices -> names, all        under mutex, for moments
 *     the thread   names -> store -> index      lead, follow, flush, tidy
 *
 * Statics: one index a process.  The thread ends before the store closes.
 */


#include <sys/resource.h>

#include "ngx_mesh_storage_indexer.h"
#include "ngx_mesh_wake.h"
#include "store/store_text.h"


#define NGX_MESH_STORAGE_INDEXER_NAMES    256     /* waiting */
#define NGX_MESH_STORAGE_INDEXER_TRY_MS   1000    /* between two tries to lead
                                                     and two looks at the
                                                     file */
#define NGX_MESH_STORAGE_INDEXER_SHUT_MS  20      /* while a restore runs */
#define NGX_MESH_STORAGE_INDEXER_FAR_MS   2000    /* compare all: a store that
                                                     other nodes write to */
#define NGX_MESH_STORAGE_INDEXER_SHARE    20      /* of the time, at most one
                                                     in so many for that */
#define NGX_MESH_STORAGE_INDEXER_NICE     10      /* of the thread */
#define NGX_MESH_STORAGE_INDEXER_CACHE    (8 * 1024 * 1024)
#define NGX_MESH_STORAGE_INDEXER_ERROR    512     /* bytes */


/* A namespace that has something new. */
typedef struct {
    size_t                           len;
    ngx_uint_t                       room;     /* it may be gone */
    u_char                           data[NGX_MESH_WAKE_TOPIC_MAX];
} ngx_mesh_storage_indexer_name_t;


typedef struct {
    store_text_t                    *text;     /* NULL: no index here */
    const ngx_mesh_storage_gate_t   *gate;
    ngx_msec_t                       far;      /* ms; 0: one node only */

    pthread_t                        thread;
    ngx_uint_t                       running;
    volatile int                     stop;

    pthread_mutex_t                  mutex;    /* guards all below */
    pthread_cond_t                   wanted;
    ngx_uint_t                       leading;
    ngx_uint_t                       all;      /* compare everything */
    ngx_uint_t                       first;    /* a ring */
    ngx_uint_t                       count;
    ngx_mesh_storage_indexer_name_t  names[NGX_MESH_STORAGE_INDEXER_NAMES];
} ngx_mesh_storage_indexer_t;


static ngx_int_t ngx_mesh_storage_indexer_listen(ngx_mesh_wake_t *wake);
static void ngx_mesh_storage_indexer_notice(void *data,
    ngx_mesh_wake_notice_t *notice);
static void ngx_mesh_storage_indexer_add_locked(ngx_str_t *name,
    ngx_uint_t room);
static void *ngx_mesh_storage_indexer_thread(void *data);
static void ngx_mesh_storage_indexer_lead(void);
static ngx_int_t ngx_mesh_storage_indexer_step(int64_t *all_us,
    ngx_uint_t *tidy);
static ngx_int_t ngx_mesh_storage_indexer_take_locked(
    ngx_mesh_storage_indexer_name_t *name);
static ngx_int_t ngx_mesh_storage_indexer_follow(
    ngx_mesh_storage_indexer_name_t *name);
static void ngx_mesh_storage_indexer_wait(ngx_msec_t ms, ngx_uint_t any);


static ngx_mesh_storage_indexer_t  ngx_mesh_storage_indexer;


void
ngx_mesh_storage_indexer_open(ngx_http_mesh_storage_main_conf_t *mcf,
    ngx_cycle_t *cycle)
{
    int                          rc;
    char                         error[NGX_MESH_STORAGE_INDEXER_ERROR];
    store_text_config_t          config;
    ngx_mesh_storage_service_t  *service;
    ngx_mesh_storage_indexer_t  *indexer;

    service = &mcf->service;
    indexer = &ngx_mesh_storage_indexer;

    if (mcf->search.len == 0 || service->store == NULL || indexer->text) {
        return;
    }

    ngx_memzero(&config, sizeof(store_text_config_t));

    config.path = (char *) mcf->search.data;
    config.readers_max = (size_t) mcf->readers;
    config.cache_bytes = NGX_MESH_STORAGE_INDEXER_CACHE;
    config.adapter = service->adapter;
    config.store = service->store;
    config.log = service->config.log;
    config.data = service->config.data;

    indexer->gate = &service->gate;
    indexer->far = mcf->mongo.len ? NGX_MESH_STORAGE_INDEXER_FAR_MS : 0;

    indexer->text = store_text_open(&config, error, sizeof(error));

    if (indexer->text == NULL) {
        ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                      "search: this worker has no text index: %s", error);
        return;
    }

    indexer->stop = 0;
    indexer->leading = 0;

    rc = store_sqlite_cond_open(&indexer->wanted);

    if (rc == 0) {
        rc = pthread_mutex_init(&indexer->mutex, NULL);
    }

    if (rc == 0 && ngx_mesh_storage_indexer_listen(mcf->store.wake)
                   == NGX_OK)
    {
        rc = store_sqlite_thread_open(&indexer->thread,
                                      ngx_mesh_storage_indexer_thread,
                                      NULL, "mesh-search");
        indexer->running = (rc == 0);
    }

    /* without the thread it searches what another worker keeps up */

    if (!indexer->running) {
        ngx_log_error(NGX_LOG_ERR, cycle->log, rc,
                      "search: this worker cannot keep up the text index");
    }
}


void
ngx_mesh_storage_indexer_close(void)
{
    ngx_mesh_storage_indexer_t  *indexer;

    indexer = &ngx_mesh_storage_indexer;

    if (indexer->text == NULL) {
        return;
    }

    if (indexer->running) {
        pthread_mutex_lock(&indexer->mutex);
        indexer->stop = 1;
        pthread_cond_broadcast(&indexer->wanted);
        pthread_mutex_unlock(&indexer->mutex);

        pthread_join(indexer->thread, NULL);
        indexer->running = 0;
    }

    store_text_close(indexer->text);
    indexer->text = NULL;
}


store_rc_t
ngx_mesh_storage_indexer_read(const store_read_t *reads, store_rows_t *rows,
    size_t count)
{
    ngx_mesh_storage_indexer_t  *indexer;

    indexer = &ngx_mesh_storage_indexer;

    if (indexer->text == NULL) {
        ngx_memzero(rows, count * sizeof(store_rows_t));
        return STORE_TYPE;
    }

    return store_text_read(indexer->text, reads, rows, count);
}


/* Notices: on the event loop. */

static ngx_int_t
ngx_mesh_storage_indexer_listen(ngx_mesh_wake_t *wake)
{
    ngx_uint_t                        i;
    static const ngx_mesh_wake_kind_t  kinds[] = {
        NGX_MESH_WAKE_CHANGE, NGX_MESH_WAKE_MESSAGE, NGX_MESH_WAKE_ROOM
    };

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (wake->listen(wake, kinds[i], ngx_mesh_storage_indexer_notice,
                         &ngx_mesh_storage_indexer)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static void
ngx_mesh_storage_indexer_notice(void *data, ngx_mesh_wake_notice_t *notice)
{
    ngx_mesh_storage_indexer_t  *indexer = data;

    if (!indexer->running) {
        return;
    }

    pthread_mutex_lock(&indexer->mutex);

    if (notice->kind == NGX_MESH_WAKE_RESYNC) {

        /* perhaps the worker that led has died */

        indexer->all = 1;

    } else if (indexer->leading) {

        if (notice->topic.len == 0
            || notice->topic.len > NGX_MESH_WAKE_TOPIC_MAX)
        {
            indexer->all = 1;

        } else {
            ngx_mesh_storage_indexer_add_locked(&notice->topic,
                                       notice->kind == NGX_MESH_WAKE_ROOM);
        }
    }

    pthread_cond_signal(&indexer->wanted);
    pthread_mutex_unlock(&indexer->mutex);
}


/* A name that waits already is not added: the thread takes a name away before
   it looks. */
static void
ngx_mesh_storage_indexer_add_locked(ngx_str_t *name, ngx_uint_t room)
{
    ngx_uint_t                        i;
    ngx_mesh_storage_indexer_t       *indexer;
    ngx_mesh_storage_indexer_name_t  *waiting;

    indexer = &ngx_mesh_storage_indexer;

    if (name->len < 2
        || (ngx_strncmp(name->data, "s/", 2) != 0
            && ngx_strncmp(name->data, "r_", 2) != 0))
    {
        return;
    }

    for (i = 0; i < indexer->count; i++) {
        waiting = &indexer->names[(indexer->first + i)
                                  % NGX_MESH_STORAGE_INDEXER_NAMES];

        if (waiting->len == name->len
            && ngx_memcmp(waiting->data, name->data, name->len) == 0)
        {
            waiting->room |= room;
            return;
        }
    }

    if (indexer->count == NGX_MESH_STORAGE_INDEXER_NAMES) {
        indexer->all = 1;
        indexer->count = 0;
        return;
    }

    waiting = &indexer->names[(indexer->first + indexer->count++)
                              % NGX_MESH_STORAGE_INDEXER_NAMES];

    waiting->len = name->len;
    waiting->room = room;
    ngx_memcpy(waiting->data, name->data, name->len);
}


/* The thread. */

static void *
ngx_mesh_storage_indexer_thread(void *data)
{
    ngx_mesh_storage_indexer_t  *indexer;

    indexer = &ngx_mesh_storage_indexer;

    /* of this thread alone, as Linux has it */

    (void) setpriority(PRIO_PROCESS, 0, NGX_MESH_STORAGE_INDEXER_NICE);

    while (!indexer->stop) {

        if (!ngx_mesh_storage_gate_shut(indexer->gate)
            && store_text_lead(indexer->text, &indexer->stop) == 1)
        {
            ngx_mesh_storage_indexer_lead();
            store_text_unlead(indexer->text);
        }

        pthread_mutex_lock(&indexer->mutex);
        indexer->leading = 0;
        indexer->count = 0;
        indexer->all = 0;
        pthread_mutex_unlock(&indexer->mutex);

        ngx_mesh_storage_indexer_wait(NGX_MESH_STORAGE_INDEXER_TRY_MS, 0);
    }

    return NULL;
}


/* Until something fails: then it is begun anew, from what is stored. */
static void
ngx_mesh_storage_indexer_lead(void)
{
    int64_t                      all_us, check_us;
    ngx_uint_t                   tidy;
    ngx_mesh_storage_indexer_t  *indexer;

    indexer = &ngx_mesh_storage_indexer;

    pthread_mutex_lock(&indexer->mutex);
    indexer->leading = 1;
    indexer->all = 1;
    indexer->count = 0;
    pthread_mutex_unlock(&indexer->mutex);

    tidy = 1;
    all_us = 0;
    check_us = store_sqlite_now_us();

    while (!indexer->stop) {

        if (ngx_mesh_storage_gate_shut(indexer->gate)) {
            ngx_mesh_storage_indexer_wait(NGX_MESH_STORAGE_INDEXER_SHUT_MS,
                                          0);
            continue;
        }

        if (ngx_mesh_storage_indexer_step(&all_us, &tidy) != NGX_OK) {
            return;
        }

        if (store_sqlite_now_us() - check_us
            > NGX_MESH_STORAGE_INDEXER_TRY_MS * 1000)
        {
            check_us = store_sqlite_now_us();

            if (store_text_check(indexer->text) != 0) {
                return;
            }
        }
    }
}


/* One namespace, or all, or some tidying, or waiting. */
static ngx_int_t
ngx_mesh_storage_indexer_step(int64_t *all_us, ngx_uint_t *tidy)
{
    int                               rc;
    int64_t                           now_us;
    ngx_int_t                         found;
    ngx_uint_t                        all;
    ngx_mesh_storage_indexer_t       *indexer;
    ngx_mesh_storage_indexer_name_t   name;

    indexer = &ngx_mesh_storage_indexer;
    now_us = store_sqlite_now_us();

    pthread_mutex_lock(&indexer->mutex);

    all = indexer->all || (indexer->far && now_us > *all_us);

    if (all) {
        indexer->all = 0;
        indexer->count = 0;
    }

    found = ngx_mesh_storage_indexer_take_locked(&name);

    pthread_mutex_unlock(&indexer->mutex);

    if (all) {
        rc = store_text_follow_all(indexer->text);

        *tidy = 1;
        *all_us = store_sqlite_now_us();
        *all_us += ngx_max((*all_us - now_us)
                           * NGX_MESH_STORAGE_INDEXER_SHARE,
                           (int64_t) indexer->far * 1000);

        return (rc == 0) ? NGX_OK : NGX_ERROR;
    }

    if (found == NGX_OK) {
        *tidy = 1;
        return ngx_mesh_storage_indexer_follow(&name);
    }

    if (store_text_write_flush(indexer->text, 1) != 0) {
        return NGX_ERROR;
    }

    if (*tidy) {
        rc = store_text_write_tidy(indexer->text);
        *tidy = (rc == 1);

        return (rc == -1) ? NGX_ERROR : NGX_OK;
    }

    ngx_mesh_storage_indexer_wait(NGX_MESH_STORAGE_INDEXER_TRY_MS, 1);

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_indexer_take_locked(ngx_mesh_storage_indexer_name_t *name)
{
    ngx_mesh_storage_indexer_t  *indexer;

    indexer = &ngx_mesh_storage_indexer;

    if (indexer->count == 0) {
        return NGX_DECLINED;
    }

    *name = indexer->names[indexer->first];

    indexer->first = (indexer->first + 1) % NGX_MESH_STORAGE_INDEXER_NAMES;
    indexer->count--;

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_indexer_follow(ngx_mesh_storage_indexer_name_t *name)
{
    int      rc;
    bytes_t  ns;

    ns = bytes_make(name->data, name->len);

    if (name->room) {
        rc = store_text_follow_room(ngx_mesh_storage_indexer.text, ns);

        if (rc != 1) {
            return (rc == 0) ? NGX_OK : NGX_ERROR;
        }
    }

    rc = store_text_follow(ngx_mesh_storage_indexer.text, ns);

    return (rc == 0) ? NGX_OK : NGX_ERROR;
}


/* At most so long; until there is work, when "any" is; until the end. */
static void
ngx_mesh_storage_indexer_wait(ngx_msec_t ms, ngx_uint_t any)
{
    int                          rc;
    struct timespec              until;
    ngx_mesh_storage_indexer_t  *indexer;

    rc = 0;
    indexer = &ngx_mesh_storage_indexer;

    store_sqlite_time_after(&until, (int64_t) ms);

    pthread_mutex_lock(&indexer->mutex);

    while (!indexer->stop && rc == 0
           && !(any && (indexer->all || indexer->count))
           && !(!any && !indexer->leading && indexer->all))
    {
        rc = pthread_cond_timedwait(&indexer->wanted, &indexer->mutex,
                                    &until);
    }

    pthread_mutex_unlock(&indexer->mutex);
}
