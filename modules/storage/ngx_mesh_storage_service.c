/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Jobs of this worker to the store and back.
 *
 * A write goes to the adapter's writer thread, which wakes the loop by an
 * eventfd when requests are on disk; a read runs in a pool thread.  Both
 * come back as job->done on the event loop, where all of this file runs but
 * for the functions with _thread in their names.
 *
 * Jobs own their memory and are borrowed by the store while it has them; the
 * list of accepted writes is kept so that a worker that exits can free them
 * after the store has committed them.
 *
 * What was committed with changes is told on the ring, one notice for each
 * namespace of what is taken at once, before the requesters hear of it.
 */


#include <sys/eventfd.h>

#include "ngx_mesh_job.h"
#include "ngx_mesh_storage_indexer.h"
#include "ngx_mesh_storage_service.h"
#include "ngx_mesh_wake.h"


#define NGX_MESH_STORAGE_GUARD_MS   60000
#define NGX_MESH_STORAGE_TOPICS     16      /* told in one go */
#define NGX_MESH_STORAGE_ERROR_MAX  512     /* bytes */
#define NGX_MESH_STORAGE_READ_POOL  512     /* bytes; of the task alone */


/* A namespace with changes; ns is borrowed from a request. */
typedef struct {
    bytes_t                 ns;
    uint64_t                seq;
} ngx_mesh_storage_changed_t;


/* What job->private of a write points to, in the job's pool. */
typedef struct {
    ngx_queue_t             queue;     /* in writes */
    ngx_queue_t             held;
    ngx_mesh_store_job_t   *job;
} ngx_mesh_storage_write_t;


typedef struct {
    ngx_mesh_store_job_t   *job;       /* owned until done */
    const store_adapter_t  *adapter;
    store_t                *store;     /* outlives all pool threads */
} ngx_mesh_storage_read_t;


static void ngx_mesh_storage_service_log_thread(void *data, int error,
    const char *text);
static void ngx_mesh_storage_service_notify_thread(void *data);
static void ngx_mesh_storage_service_swept_thread(void *data);
static ngx_int_t ngx_mesh_storage_service_connect(
    ngx_mesh_storage_service_t *service);
static void ngx_mesh_storage_service_disconnect(
    ngx_mesh_storage_service_t *service);
static ngx_int_t ngx_mesh_storage_service_write(ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_service_accept(
    ngx_mesh_storage_service_t *service, ngx_mesh_store_job_t *job);
static void ngx_mesh_storage_service_flush_handler(ngx_event_t *ev);
static void ngx_mesh_storage_service_flush(
    ngx_mesh_storage_service_t *service);
static void ngx_mesh_storage_service_write_handler(ngx_event_t *rev);
static void ngx_mesh_storage_service_tell(
    ngx_mesh_storage_service_t *service, const store_request_t *request);
static ngx_uint_t ngx_mesh_storage_service_changed(const store_op_t *op,
    const store_result_t *result, ngx_mesh_storage_changed_t *topic);
static ngx_uint_t ngx_mesh_storage_service_collect(
    ngx_mesh_storage_changed_t *topics, ngx_uint_t n,
    const ngx_mesh_storage_changed_t *topic);
static void ngx_mesh_storage_service_announce(
    ngx_mesh_storage_service_t *service,
    const ngx_mesh_storage_changed_t *topics, ngx_uint_t n);
static void ngx_mesh_storage_service_write_done(
    ngx_mesh_storage_service_t *service, store_request_t *request);
static void ngx_mesh_storage_service_guard_handler(ngx_event_t *ev);
static ngx_int_t ngx_mesh_storage_service_read(ngx_mesh_store_job_t *job);
static void ngx_mesh_storage_service_read_thread(ngx_mesh_job_t *task);
static void ngx_mesh_storage_service_read_done(ngx_mesh_job_t *task);
static store_rc_t ngx_mesh_storage_service_read_now(const store_read_t *reads,
    store_rows_t *rows, size_t count);
static ngx_int_t ngx_mesh_storage_service_health(store_health_t *health);


/* The one of this process; set when a worker starts. */
static ngx_mesh_storage_service_t  *ngx_mesh_storage_service;


void
ngx_mesh_storage_service_publish(ngx_mesh_storage_service_t *service,
    ngx_mesh_store_t *api)
{
    service->api = api;

    api->private = service;
    api->magic = NGX_MESH_STORE_MAGIC;
    api->version = NGX_MESH_STORE_VERSION;
    api->write = ngx_mesh_storage_service_write;
    api->read = ngx_mesh_storage_service_read;
    api->read_now = ngx_mesh_storage_service_read_now;
    api->rows_release = store_rows_release;
    api->write_release = store_request_release;
    api->health = ngx_mesh_storage_service_health;
}


ngx_int_t
ngx_mesh_storage_service_open(ngx_mesh_storage_service_t *service,
    ngx_cycle_t *cycle)
{
    char  error[NGX_MESH_STORAGE_ERROR_MAX];

    if (service->tried) {
        return service->store ? NGX_OK : NGX_ERROR;
    }

    service->tried = 1;
    service->log = cycle->log;
    ngx_queue_init(&service->writes);
    ngx_queue_init(&service->held);

    service->flush.handler = ngx_mesh_storage_service_flush_handler;
    service->flush.data = service;
    service->flush.log = service->log;

    service->guard.handler = ngx_mesh_storage_service_guard_handler;
    service->guard.data = service;
    service->guard.log = service->log;

    if (ngx_mesh_storage_log_open(&service->lines, service->log) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_mesh_storage_service_connect(service) != NGX_OK) {
        ngx_mesh_storage_log_close(&service->lines);
        return NGX_ERROR;
    }

    service->config.log = ngx_mesh_storage_service_log_thread;
    service->config.notify = ngx_mesh_storage_service_notify_thread;
    service->config.swept = ngx_mesh_storage_service_swept_thread;
    service->config.data = service;

    /* before the data is seen: what is restored after this is another */

    ngx_mesh_storage_gate_enter(&service->gate, service->api->wake,
                                service->log);

    error[0] = '\0';

    if (service->adapter != &store_sqlite
        || ngx_mesh_storage_mark_open(&service->marks, service->config.path,
                                      service->log)
           == NGX_OK)
    {
        service->store = service->adapter->open(&service->config, error,
                                                sizeof(error));
    }

    if (service->store == NULL) {
        ngx_log_error(NGX_LOG_ERR, service->log, 0,
                      "storage: this worker has no store and answers 503: %s",
                      error);

        ngx_mesh_storage_mark_close(&service->marks);
        ngx_mesh_storage_service_disconnect(service);
        ngx_mesh_storage_log_close(&service->lines);

        return NGX_ERROR;
    }

    if (service->marks.marks) {
        (void) ngx_mesh_storage_hot_open(&service->hot, &service->marks,
                                         service->log);
    }

    ngx_mesh_storage_service = service;

    return NGX_OK;
}


void
ngx_mesh_storage_service_close(ngx_mesh_storage_service_t *service)
{
    ngx_queue_t               *q;
    ngx_mesh_store_job_t      *job;
    ngx_mesh_storage_write_t  *write;

    if (service->store == NULL) {
        return;
    }

    ngx_mesh_storage_service = NULL;

    while (!ngx_queue_empty(&service->held)) {
        q = ngx_queue_head(&service->held);
        write = ngx_queue_data(q, ngx_mesh_storage_write_t, held);

        ngx_queue_remove(q);
        (void) service->adapter->submit(service->store, &write->job->write);
    }

    if (service->flush.posted) {
        ngx_delete_posted_event(&service->flush);
    }

    /* nginx has ended the pool threads before: no read is running */

    service->adapter->close(service->store);
    service->store = NULL;

    while (!ngx_queue_empty(&service->writes)) {
        q = ngx_queue_head(&service->writes);
        write = ngx_queue_data(q, ngx_mesh_storage_write_t, queue);
        job = write->job;

        ngx_queue_remove(q);
        ngx_mesh_storage_mark_end(&service->marks, &job->write);
        store_request_release(&job->write);
        ngx_destroy_pool(job->pool);
    }

    ngx_mesh_storage_hot_close(&service->hot);
    ngx_mesh_storage_mark_close(&service->marks);

    ngx_mesh_storage_gate_leave(&service->gate);

    if (service->guard.timer_set) {
        ngx_del_timer(&service->guard);
    }

    ngx_mesh_storage_service_disconnect(service);
    ngx_mesh_storage_log_close(&service->lines);
}


static ngx_int_t
ngx_mesh_storage_service_connect(ngx_mesh_storage_service_t *service)
{
    ngx_event_t       *rev;
    ngx_connection_t  *c;

    service->fd = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);

    if (service->fd == -1) {
        ngx_log_error(NGX_LOG_ERR, service->log, ngx_errno,
                      "storage: eventfd() failed");
        return NGX_ERROR;
    }

    c = ngx_get_connection(service->fd, service->log);

    if (c == NULL) {
        (void) ngx_close_file(service->fd);
        return NGX_ERROR;
    }

    service->connection = c;
    c->data = service;

    rev = c->read;
    rev->handler = ngx_mesh_storage_service_write_handler;
    rev->log = service->log;

    /* as nginx's own channel: not an open socket that was forgotten */

    rev->channel = 1;
    c->write->channel = 1;

    if (ngx_add_event(rev, NGX_READ_EVENT, 0) != NGX_OK) {
        ngx_mesh_storage_service_disconnect(service);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_mesh_storage_service_disconnect(ngx_mesh_storage_service_t *service)
{
    ngx_connection_t  *c;

    c = service->connection;
    service->connection = NULL;

    if (c->read->active) {
        (void) ngx_del_event(c->read, NGX_READ_EVENT, 0);
    }

    ngx_free_connection(c);
    c->fd = (ngx_socket_t) -1;

    (void) ngx_close_file(service->fd);
    service->fd = -1;
}


static void
ngx_mesh_storage_service_log_thread(void *data, int error, const char *text)
{
    ngx_mesh_storage_service_t  *service = data;

    if (ngx_mesh_storage_log_add(&service->lines, error, text)) {
        ngx_mesh_storage_service_notify_thread(service);
    }
}


/* Cannot fail in a way that matters: an eventfd that is full is readable. */
static void
ngx_mesh_storage_service_notify_thread(void *data)
{
    uint64_t                     one;
    ngx_mesh_storage_service_t  *service = data;

    one = 1;

    while (write(service->fd, &one, sizeof(one)) == -1
           && ngx_errno == NGX_EINTR)
    {
        /* void */
    }
}


static void
ngx_mesh_storage_service_swept_thread(void *data)
{
    ngx_mesh_storage_service_t  *service = data;

    service->swept = 1;
    ngx_mesh_storage_service_notify_thread(service);
}


static ngx_int_t
ngx_mesh_storage_service_write(ngx_mesh_store_job_t *job)
{
    ngx_int_t                    rc;
    ngx_mesh_storage_service_t  *service;

    service = ngx_mesh_storage_service;

    if (service == NULL) {
        return NGX_ERROR;
    }

    if (ngx_mesh_storage_gate_take(&service->gate) != NGX_OK) {
        return NGX_BUSY;
    }

    rc = ngx_mesh_storage_service_accept(service, job);

    if (rc != NGX_OK) {
        ngx_mesh_storage_gate_release(&service->gate);
    }

    return rc;
}


static ngx_int_t
ngx_mesh_storage_service_accept(ngx_mesh_storage_service_t *service,
    ngx_mesh_store_job_t *job)
{
    ngx_mesh_storage_write_t  *write;

    if (store_request_check(&job->write) != STORE_OK) {
        ngx_log_error(NGX_LOG_ERR, service->log, 0,
                      "storage: a write of %uz operations was refused: it is "
                      "beyond a limit of the store", job->write.count);
        return NGX_ERROR;
    }

    write = ngx_palloc(job->pool, sizeof(ngx_mesh_storage_write_t));

    if (write == NULL) {
        return NGX_ERROR;
    }

    write->job = job;
    job->private = write;
    job->write.data = job;

    ngx_mesh_storage_mark_begin(&service->marks, &job->write);

    ngx_queue_insert_tail(&service->writes, &write->queue);
    ngx_queue_insert_tail(&service->held, &write->held);
    ngx_post_event(&service->flush, &ngx_posted_events);

    if (!service->guard.timer_set) {
        ngx_add_timer(&service->guard, NGX_MESH_STORAGE_GUARD_MS);
    }

    return NGX_OK;
}


static void
ngx_mesh_storage_service_flush_handler(ngx_event_t *ev)
{
    ngx_mesh_storage_service_flush(ev->data);
}


/* Hands what was accepted to the adapter; what it does not take is done. */
static void
ngx_mesh_storage_service_flush(ngx_mesh_storage_service_t *service)
{
    store_rc_t                 rc;
    ngx_queue_t               *q;
    store_request_t           *request;
    ngx_mesh_storage_write_t  *write;

    while (!ngx_queue_empty(&service->held)) {
        q = ngx_queue_head(&service->held);
        ngx_queue_remove(q);

        write = ngx_queue_data(q, ngx_mesh_storage_write_t, held);
        request = &write->job->write;

        rc = service->adapter->submit(service->store, request);

        if (rc != STORE_OK) {
            ngx_memzero(request->results,
                        request->count * sizeof(store_result_t));
            request->rc = rc;
            request->failed = 0;

            ngx_mesh_storage_service_write_done(service, request);
        }
    }
}


static void
ngx_mesh_storage_service_write_handler(ngx_event_t *rev)
{
    ssize_t                      n;
    uint64_t                     count;
    store_request_t             *request, *next;
    ngx_connection_t            *c;
    ngx_mesh_storage_service_t  *service;

    c = rev->data;
    service = c->data;

    /* before taking: what is done from here on wakes again */

    n = read(c->fd, &count, sizeof(count));

    if (n == -1 && ngx_errno != NGX_EAGAIN && ngx_errno != NGX_EINTR) {
        ngx_log_error(NGX_LOG_ERR, service->log, ngx_errno,
                      "storage: read() of the eventfd failed");
    }

    ngx_mesh_storage_log_flush(&service->lines);

    if (service->store == NULL) {
        return;
    }

    request = service->adapter->take(service->store);

    ngx_mesh_storage_service_tell(service, request);

    while (request) {
        next = request->next;
        ngx_mesh_storage_service_write_done(service, request);
        request = next;
    }
}


/* Tells of a list of finished requests, while their memory is there. */
static void
ngx_mesh_storage_service_tell(ngx_mesh_storage_service_t *service,
    const store_request_t *request)
{
    size_t                    i;
    ngx_uint_t                n;
    ngx_mesh_storage_changed_t  topic, topics[NGX_MESH_STORAGE_TOPICS];

    n = 0;

    if (service->swept) {
        service->swept = 0;

        ngx_memzero(&topic, sizeof(ngx_mesh_storage_changed_t));
        ngx_mesh_storage_service_announce(service, &topic, 1);
    }

    for ( /* void */ ; request != NULL; request = request->next) {

        if (request->rc != STORE_OK && request->rc != STORE_UNKNOWN) {
            continue;
        }

        for (i = 0; i < request->count; i++) {

            if (!ngx_mesh_storage_service_changed(&request->ops[i],
                                                  &request->results[i],
                                                  &topic))
            {
                continue;
            }

            if (n == NGX_MESH_STORAGE_TOPICS) {
                ngx_mesh_storage_service_announce(service, topics, n);
                n = 0;
            }

            n = ngx_mesh_storage_service_collect(topics, n, &topic);
        }
    }

    ngx_mesh_storage_service_announce(service, topics, n);
}


/* 1: it has left a change, or ended what followers have seen, or perhaps. */
static ngx_uint_t
ngx_mesh_storage_service_changed(const store_op_t *op,
    const store_result_t *result, ngx_mesh_storage_changed_t *topic)
{
    topic->ns = op->ns;
    topic->seq = NGX_MESH_WAKE_SEQ_ANY;

    if (op->kind == STORE_DROP) {
        return 1;
    }

    if (!op->log) {
        return 0;
    }

    if (result->rc == STORE_UNKNOWN) {
        return 1;
    }

    topic->seq = result->seq;

    return result->rc == STORE_OK && result->seq != 0;
}


/* Most requests of a batch are of few namespaces, often of one. */
static ngx_uint_t
ngx_mesh_storage_service_collect(ngx_mesh_storage_changed_t *topics,
    ngx_uint_t n, const ngx_mesh_storage_changed_t *topic)
{
    ngx_uint_t  i;

    for (i = n; i != 0; i--) {

        if (bytes_equal(topics[i - 1].ns, topic->ns)) {

            if (topics[i - 1].seq < topic->seq) {
                topics[i - 1].seq = topic->seq;
            }

            return n;
        }
    }

    topics[n] = *topic;

    return n + 1;
}


static void
ngx_mesh_storage_service_announce(ngx_mesh_storage_service_t *service,
    const ngx_mesh_storage_changed_t *topics, ngx_uint_t n)
{
    ngx_uint_t              i;
    ngx_mesh_wake_t        *wake;
    ngx_mesh_wake_notice_t  notice;

    wake = service->api->wake;

    if (wake == NULL) {
        return;
    }

    for (i = 0; i < n; i++) {

        ngx_memzero(&notice, sizeof(ngx_mesh_wake_notice_t));

        notice.kind = NGX_MESH_WAKE_CHANGE;
        notice.topic.data = (u_char *) topics[i].ns.data;
        notice.topic.len = topics[i].ns.len;
        notice.seq = topics[i].seq;

        (void) wake->publish(wake, &notice);
    }
}


static void
ngx_mesh_storage_service_write_done(ngx_mesh_storage_service_t *service,
    store_request_t *request)
{
    ngx_mesh_store_job_t      *job;
    ngx_mesh_storage_write_t  *write;

    job = request->data;
    write = job->private;

    ngx_queue_remove(&write->queue);

    ngx_mesh_storage_mark_end(&service->marks, request);
    ngx_mesh_storage_gate_release(&service->gate);

    if (ngx_queue_empty(&service->writes) && service->guard.timer_set) {
        ngx_del_timer(&service->guard);
    }

    job->done(job);
}


static void
ngx_mesh_storage_service_guard_handler(ngx_event_t *ev)
{
    ngx_add_timer(ev, NGX_MESH_STORAGE_GUARD_MS);
}


static ngx_int_t
ngx_mesh_storage_service_read(ngx_mesh_store_job_t *job)
{
    ngx_int_t                    rc;
    ngx_mesh_job_t              *task;
    ngx_mesh_storage_read_t     *read;
    ngx_mesh_storage_service_t  *service;

    service = ngx_mesh_storage_service;

    if (service == NULL) {
        return NGX_ERROR;
    }

    if (ngx_mesh_storage_gate_shut(&service->gate)) {
        return NGX_BUSY;
    }

    task = ngx_mesh_job_create(NGX_MESH_STORAGE_READ_POOL,
                               sizeof(ngx_mesh_storage_read_t), service->log);

    if (task == NULL) {
        return NGX_ERROR;
    }

    read = task->context;
    read->job = job;
    read->adapter = service->adapter;
    read->store = service->store;

    task->run = ngx_mesh_storage_service_read_thread;
    task->done = ngx_mesh_storage_service_read_done;

    rc = ngx_mesh_job_submit(service->thread_pool, task);

    if (rc != NGX_OK) {
        ngx_mesh_job_destroy(task);
    }

    return rc;
}


static void
ngx_mesh_storage_service_read_thread(ngx_mesh_job_t *task)
{
    ngx_mesh_store_job_t     *job;
    ngx_mesh_storage_read_t  *read;

    read = task->context;
    job = read->job;

    if (job->read_count != 0 && job->reads[0].kind == STORE_SEARCH) {
        job->rc = ngx_mesh_storage_indexer_read(job->reads, job->rows,
                                                job->read_count);
        return;
    }

    job->rc = read->adapter->read(read->store, job->reads, job->rows,
                                  job->read_count);
}


static void
ngx_mesh_storage_service_read_done(ngx_mesh_job_t *task)
{
    ngx_mesh_store_job_t     *job;
    ngx_mesh_storage_read_t  *read;

    read = task->context;
    job = read->job;

    ngx_mesh_job_destroy(task);

    job->done(job);
}


static store_rc_t
ngx_mesh_storage_service_read_now(const store_read_t *reads,
    store_rows_t *rows, size_t count)
{
    ngx_mesh_store_t            *api;
    ngx_mesh_storage_service_t  *service;

    api = ngx_mesh_store((ngx_cycle_t *) ngx_cycle);

    if (api == NULL || !api->configured) {
        return STORE_FAILED;
    }

    service = api->private;

    if (ngx_mesh_storage_service_open(service, (ngx_cycle_t *) ngx_cycle)
        != NGX_OK)
    {
        return STORE_FAILED;
    }

    return service->adapter->read(service->store, reads, rows, count);
}


static ngx_int_t
ngx_mesh_storage_service_health(store_health_t *health)
{
    ngx_mesh_storage_service_t  *service;

    service = ngx_mesh_storage_service;

    if (service == NULL) {
        return NGX_ERROR;
    }

    service->adapter->health(service->store, health);

    return NGX_OK;
}
