/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What the tests of the MongoDB adapter share: stores on a database of their
 * own, which is dropped in the end, requests that are waited for, and faults.
 *
 * MESH_TEST_MONGO_URI says which server; without it a program says that it
 * tests nothing.  MESH_TEST_MONGO_CONTROL is the control port of the stand-in
 * (t/mongo-wire); without it there are no faults.
 */


#ifndef _STORE_MONGO_FIXTURE_H_INCLUDED_
#define _STORE_MONGO_FIXTURE_H_INCLUDED_


#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "store_mongo.h"
#include "tap.h"


#define FIXTURE_OPS      300
#define FIXTURE_WAIT_MS  30000
#define FIXTURE_URI_MAX  512


typedef struct {
    store_t          *store;
    char              uri[FIXTURE_URI_MAX];
    char              error[512];     /* of the last open */
    char              text[512];      /* last line logged */
    unsigned          lines;
    unsigned          notified;
    unsigned          swept;
    pthread_mutex_t   mutex;          /* guards text to swept */
    pthread_cond_t    changed;
    store_config_t    config;
} fixture_t;


typedef struct {
    store_request_t   request;
    store_op_t        ops[FIXTURE_OPS];
    store_result_t    results[FIXTURE_OPS];
} fixture_write_t;


static inline void
fixture_log(void *data, int error, const char *text)
{
    fixture_t *f = data;

    pthread_mutex_lock(&f->mutex);
    (void) snprintf(f->text, sizeof(f->text), "%s", text);
    f->lines++;
    pthread_mutex_unlock(&f->mutex);

    printf("# log: %s\n", text);
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
fixture_swept(void *data)
{
    fixture_t *f = data;

    pthread_mutex_lock(&f->mutex);
    f->swept++;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->mutex);
}


/* The server's URI with a database of this program in it. */
static inline void
fixture_uri(char *out, size_t size, const char *database)
{
    size_t       head;
    const char  *uri, *options;

    uri = getenv("MESH_TEST_MONGO_URI");
    uri = uri ? uri : "";
    head = strcspn(strstr(uri, "://") ? strstr(uri, "://") + 3 : uri, "/?");
    head += (size_t) ((strstr(uri, "://") ? strstr(uri, "://") + 3 : uri)
                      - uri);
    options = strchr(uri, '?');

    (void) snprintf(out, size, "%.*s/mesh_test_%d_%s%s", (int) head, uri,
                    (int) getpid(), database, options ? options : "");
}


/* 0 when there is a server to test with; else the program has said so. */
static inline int
fixture_skip(const char *what)
{
    if (getenv("MESH_TEST_MONGO_URI") != NULL) {
        return 0;
    }

    tap_skip("t/28-storage-mongo-store.t runs it with a server", what);

    return 1;
}


static inline void
fixture_open(fixture_t *f, const char *database)
{
    memset(f, 0, sizeof(fixture_t));

    pthread_mutex_init(&f->mutex, NULL);
    pthread_cond_init(&f->changed, NULL);
    fixture_uri(f->uri, sizeof(f->uri), database);

    f->config.uri = f->uri;
    f->config.readers_max = 4;
    f->config.queue_max = 1000;
    f->config.threads = 4;
    f->config.durable = 1;
    f->config.migrate = 1;
    f->config.log = fixture_log;
    f->config.notify = fixture_notify;
    f->config.swept = fixture_swept;
    f->config.data = f;
}


static inline int
fixture_store_open(fixture_t *f)
{
    f->store = store_mongo.open(&f->config, f->error, sizeof(f->error));

    return f->store != NULL;
}


static inline void
fixture_store_close(fixture_t *f)
{
    if (f->store != NULL) {
        store_mongo.close(f->store);
        f->store = NULL;
    }
}


static inline mongoc_client_t *
fixture_client(fixture_t *f)
{
    return mongoc_client_new(f->uri);
}


/* Closes the store and drops its database. */
static inline void
fixture_close(fixture_t *f)
{
    bson_error_t         error;
    mongoc_uri_t        *uri;
    mongoc_client_t     *client;
    mongoc_database_t   *database;

    fixture_store_close(f);

    client = fixture_client(f);
    uri = mongoc_uri_new(f->uri);

    if (client != NULL && uri != NULL) {
        database = mongoc_client_get_database(client,
                                              mongoc_uri_get_database(uri));
        (void) mongoc_database_drop(database, &error);
        mongoc_database_destroy(database);
    }

    mongoc_uri_destroy(uri);
    mongoc_client_destroy(client);

    pthread_mutex_destroy(&f->mutex);
    pthread_cond_destroy(&f->changed);
}


static inline int64_t
fixture_count(fixture_t *f, const char *name)
{
    int64_t               n;
    bson_t                all = BSON_INITIALIZER;
    const bson_t         *document;
    mongoc_uri_t         *uri;
    mongoc_client_t      *client;
    mongoc_cursor_t      *cursor;
    mongoc_collection_t  *collection;

    client = fixture_client(f);
    uri = mongoc_uri_new(f->uri);
    collection = mongoc_client_get_collection(client,
                                              mongoc_uri_get_database(uri),
                                              name);
    cursor = mongoc_collection_find_with_opts(collection, &all, NULL, NULL);

    for (n = 0; mongoc_cursor_next(cursor, &document); n++) {
        /* counted */
    }

    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
    mongoc_uri_destroy(uri);
    mongoc_client_destroy(client);

    return n;
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
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += FIXTURE_WAIT_MS / 1000;

    while (n < count && rc == 0) {

        for (list = store_mongo.take(f->store); list; list = list->next) {
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


/* Adds an operation to a write; the first one when "count" is 0. */
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

    rc = store_mongo.submit(f->store, &w->request);

    if (rc != STORE_OK) {
        return rc;
    }

    if (fixture_take(f, 1) != 1) {
        printf("Bail out! a write was not finished in time\n");
        exit(1);
    }

    return w->request.rc;
}


static inline store_rc_t
fixture_put(fixture_t *f, const char *ns, const char *key, const char *value)
{
    fixture_write_t  w;

    w.request.count = 0;
    fixture_op(&w, STORE_PUT, ns, key)->value = bytes_of(value);
    w.ops[0].log = 1;

    return fixture_write(f, &w);
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
    read.ns = bytes_of(ns);
    read.key = bytes_of(key);

    if (store_mongo.read(f->store, &read, &rows, 1) != STORE_OK) {
        return 0;
    }

    has = (value == NULL)
          ? rows.rc == STORE_ABSENT && rows.count == 0
          : rows.rc == STORE_OK && rows.count == 1
            && bytes_equal_text(rows.rows[0].value, value);

    store_rows_release(&rows, 1);

    return has;
}


/* One line to the control port of the stand-in; 1 when it was taken. */
static inline int
fixture_fault(const char *line)
{
    int                 fd;
    char                answer[4096];
    ssize_t             n;
    const char         *port;
    struct sockaddr_in  to;

    port = getenv("MESH_TEST_MONGO_CONTROL");
    fd = socket(AF_INET, SOCK_STREAM, 0);

    memset(&to, 0, sizeof(to));
    to.sin_family = AF_INET;
    to.sin_port = htons((uint16_t) strtol(port ? port : "0", NULL, 10));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    n = -1;

    if (fd != -1 && connect(fd, (struct sockaddr *) &to, sizeof(to)) == 0
        && dprintf(fd, "%s\n", line) > 0)
    {
        n = read(fd, answer, sizeof(answer) - 1);
    }

    if (fd != -1) {
        close(fd);
    }

    answer[n > 0 ? n : 0] = '\0';

    return strstr(answer, "\"ok\"") != NULL;
}


#endif /* _STORE_MONGO_FIXTURE_H_INCLUDED_ */
