/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Detached work in an nginx thread pool: the job owns its pool and copies
 * its inputs; the requester is only borrowed and cut loose by its cleanup.
 * A job outlives an aborted request and its completion then only frees it.
 *
 *     job->data = r;
 *
 *     if (ngx_mesh_job_submit(pool, job) != NGX_OK) {
 *         ngx_mesh_job_destroy(job);
 *         return ngx_mesh_reply_problem(r, PROBLEM_BUSY, "...");
 *     }
 *
 *     if (ngx_mesh_job_attach(r, &job->data) != NGX_OK) {
 *         return NGX_HTTP_INTERNAL_SERVER_ERROR;
 *     }
 *
 *     return NGX_DONE;
 */


#ifndef _NGX_MESH_JOB_H_INCLUDED_
#define _NGX_MESH_JOB_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_thread_pool.h>


typedef struct ngx_mesh_job_s  ngx_mesh_job_t;

struct ngx_mesh_job_s {
    ngx_pool_t     *pool;         /* owned by the job */
    void           *data;         /* requester; NULL: it has gone */
    void           *context;      /* inputs and outputs, in pool */

    /* in a pool thread: libc, sodium, sqlite and context only */
    void          (*run)(ngx_mesh_job_t *job);

    /* on the event loop; must end in ngx_mesh_job_destroy() */
    void          (*done)(ngx_mesh_job_t *job);

    ngx_thread_task_t  *task;     /* private */
    ngx_event_t         guard;    /* private: keeps an exiting worker alive */
};


/* context_size zeroed bytes at job->context.  log is used for errors of
   this call only; the pool logs to the cycle.  NULL: out of memory. */
ngx_mesh_job_t *ngx_mesh_job_create(size_t pool_size, size_t context_size,
    ngx_log_t *log);

/* NGX_OK: done will run.  NGX_BUSY: the pool's queue is full; the job is
   still the caller's. */
ngx_int_t ngx_mesh_job_submit(ngx_thread_pool_t *pool, ngx_mesh_job_t *job);

/* Frees the job and what is in its pool: after done, or when it was not
   submitted. */
void ngx_mesh_job_destroy(ngx_mesh_job_t *job);

/* Ties a detached job to a request, after it was submitted: *data becomes
   NULL in the request's cleanup, and the request waits (r->main->count) until
   ngx_mesh_job_resume(), which the completion calls when *data was not NULL.
   A completion that submits the next job for the same request attaches that
   one instead of resuming; the request waits on.  At most one job a request
   at a time.  NGX_OK; NGX_ERROR: out of memory, *data is NULL already, the
   caller finalizes the request. */
ngx_int_t ngx_mesh_job_attach(ngx_http_request_t *r, void **data);

/* From a completion, for a request that was attached and is still there:
   finalizes with rc and runs posted requests of its connection.  r may be
   gone after it. */
void ngx_mesh_job_resume(ngx_http_request_t *r, ngx_int_t rc);

/* For what reads a body, before it begins: when a completion runs that got
   here, the request stops waiting for jobs, as if a content handler ran.  1:
   that was so, and once reading has begun ngx_mesh_job_leave() is due, which
   does what nginx does behind a content handler; r may be gone after it. */
ngx_uint_t ngx_mesh_job_release(ngx_http_request_t *r);
void ngx_mesh_job_leave(ngx_http_request_t *r);

/* For what reads a body alone: *parked becomes 1 when the request is attached
   before ngx_mesh_job_watch(r, NULL); parked is borrowed.  NGX_OK,
   NGX_ERROR. */
ngx_int_t ngx_mesh_job_watch(ngx_http_request_t *r, ngx_uint_t *parked);


#endif /* _NGX_MESH_JOB_H_INCLUDED_ */
