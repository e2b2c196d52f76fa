/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Jobs in nginx's thread pools, detached from who asked for them.
 *
 * Everything here runs on the event loop of one worker, but for
 * ngx_mesh_job_thread().  A job is never in a request's pool: nginx frees
 * that pool whatever r->main->count says when a client goes away.
 */


#include "ngx_mesh_job.h"


#define NGX_MESH_JOB_GUARD_MS  60000


/* What a request waits for; in its pool, found by its cleanup handler. */
typedef struct {
    ngx_http_request_t   *request;    /* borrowed; a subrequest has its own */
    void                **data;       /* borrowed, in the job; or NULL */
    ngx_uint_t           *parked;     /* borrowed, on a stack; or NULL */
    unsigned              waiting:1;  /* holds a count of the main request */
} ngx_mesh_job_link_t;


static void ngx_mesh_job_thread(void *data, ngx_log_t *log);
static void ngx_mesh_job_done_handler(ngx_event_t *ev);
static void ngx_mesh_job_guard_handler(ngx_event_t *ev);
static ngx_mesh_job_link_t *ngx_mesh_job_link_find(ngx_http_request_t *r);
static ngx_mesh_job_link_t *ngx_mesh_job_link_get(ngx_http_request_t *r);
static void ngx_mesh_job_link_cleanup(void *data);


ngx_mesh_job_t *
ngx_mesh_job_create(size_t pool_size, size_t context_size, ngx_log_t *log)
{
    ngx_pool_t      *pool;
    ngx_mesh_job_t  *job;

    /* a connection's log would be gone when the job ends */
    pool = ngx_create_pool(pool_size, ngx_cycle->log);

    if (pool == NULL) {
        ngx_log_error(NGX_LOG_ERR, log, 0, "job: no memory for a pool");
        return NULL;
    }

    job = ngx_pcalloc(pool, sizeof(ngx_mesh_job_t));

    if (job == NULL) {
        goto failed;
    }

    job->pool = pool;
    job->task = ngx_thread_task_alloc(pool, 0);

    if (job->task == NULL) {
        goto failed;
    }

    if (context_size != 0) {
        job->context = ngx_pcalloc(pool, context_size);

        if (job->context == NULL) {
            goto failed;
        }
    }

    job->guard.handler = ngx_mesh_job_guard_handler;
    job->guard.data = job;
    job->guard.log = ngx_cycle->log;

    return job;

failed:

    ngx_log_error(NGX_LOG_ERR, log, 0, "job: no memory in a pool");
    ngx_destroy_pool(pool);

    return NULL;
}


ngx_int_t
ngx_mesh_job_submit(ngx_thread_pool_t *pool, ngx_mesh_job_t *job)
{
    job->task->handler = ngx_mesh_job_thread;
    job->task->ctx = job;
    job->task->event.handler = ngx_mesh_job_done_handler;
    job->task->event.data = job;
    job->task->event.log = ngx_cycle->log;

    if (ngx_thread_task_post(pool, job->task) != NGX_OK) {
        return NGX_BUSY;
    }

    /* nginx does not know of detached tasks: an exiting worker leaves as soon
       as no timer is set */
    ngx_add_timer(&job->guard, NGX_MESH_JOB_GUARD_MS);

    return NGX_OK;
}


void
ngx_mesh_job_destroy(ngx_mesh_job_t *job)
{
    if (job->guard.timer_set) {
        ngx_del_timer(&job->guard);
    }

    ngx_destroy_pool(job->pool);
}


static void
ngx_mesh_job_thread(void *data, ngx_log_t *log)
{
    ngx_mesh_job_t  *job = data;

    job->run(job);
}


static void
ngx_mesh_job_done_handler(ngx_event_t *ev)
{
    ngx_mesh_job_t  *job = ev->data;

    if (job->guard.timer_set) {
        ngx_del_timer(&job->guard);
    }

    job->done(job);
}


static void
ngx_mesh_job_guard_handler(ngx_event_t *ev)
{
    ngx_add_timer(ev, NGX_MESH_JOB_GUARD_MS);
}


ngx_int_t
ngx_mesh_job_attach(ngx_http_request_t *r, void **data)
{
    ngx_mesh_job_link_t  *link;

    link = ngx_mesh_job_link_get(r);

    if (link == NULL) {
        *data = NULL;
        return NGX_ERROR;
    }

    link->data = data;

    if (link->waiting) {
        return NGX_OK;
    }

    link->waiting = 1;
    r->main->count++;

    if (link->parked) {
        *link->parked = 1;
    }

    /* a client that leaves is noticed; a stray write event runs nothing */

    if (!r->discard_body && !r->reading_body) {
        r->read_event_handler = ngx_http_test_reading;
    }

    r->write_event_handler = ngx_http_request_empty_handler;

    return NGX_OK;
}


void
ngx_mesh_job_resume(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_connection_t     *c;
    ngx_mesh_job_link_t  *link;

    c = r->connection;
    link = ngx_mesh_job_link_find(r);

    if (link) {
        link->data = NULL;
        link->waiting = 0;
    }

    ngx_http_set_log_request(c->log, r);

    if (!r->discard_body && !r->reading_body) {
        r->read_event_handler = ngx_http_block_reading;
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


ngx_uint_t
ngx_mesh_job_release(ngx_http_request_t *r)
{
    ngx_mesh_job_link_t  *link;

    link = ngx_mesh_job_link_find(r);

    if (link == NULL || !link->waiting) {
        return 0;
    }

    link->data = NULL;
    link->waiting = 0;

    return 1;
}


void
ngx_mesh_job_leave(ngx_http_request_t *r)
{
    ngx_connection_t  *c;

    c = r->connection;

    ngx_http_finalize_request(r, NGX_DONE);

    /* one that was terminated on the way is waiting there for its end */

    ngx_http_run_posted_requests(c);
}


ngx_int_t
ngx_mesh_job_watch(ngx_http_request_t *r, ngx_uint_t *parked)
{
    ngx_mesh_job_link_t  *link;

    link = ngx_mesh_job_link_get(r);

    if (link == NULL) {
        return NGX_ERROR;
    }

    link->parked = parked;

    return NGX_OK;
}


static ngx_mesh_job_link_t *
ngx_mesh_job_link_find(ngx_http_request_t *r)
{
    ngx_http_cleanup_t   *cln;
    ngx_mesh_job_link_t  *link;

    for (cln = r->main->cleanup; cln; cln = cln->next) {

        if (cln->handler != ngx_mesh_job_link_cleanup) {
            continue;
        }

        link = cln->data;

        if (link->request == r) {
            return link;
        }
    }

    return NULL;
}


static ngx_mesh_job_link_t *
ngx_mesh_job_link_get(ngx_http_request_t *r)
{
    ngx_http_cleanup_t   *cln;
    ngx_mesh_job_link_t  *link;

    link = ngx_mesh_job_link_find(r);

    if (link) {
        return link;
    }

    cln = ngx_http_cleanup_add(r, sizeof(ngx_mesh_job_link_t));

    if (cln == NULL) {
        return NULL;
    }

    link = cln->data;
    ngx_memzero(link, sizeof(ngx_mesh_job_link_t));
    link->request = r;

    cln->handler = ngx_mesh_job_link_cleanup;

    return link;
}


static void
ngx_mesh_job_link_cleanup(void *data)
{
    ngx_mesh_job_link_t  *link = data;

    if (link->data) {
        *link->data = NULL;
        link->data = NULL;
    }
}
