/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Pumps a request body into a target.
 *
 * Event loop, but for ngx_mesh_storage_sink_thread().  While the thread has
 * one buffer, the other one is filled; when that is full too, nothing more is
 * read, so the client is held back by TCP or by the window of its stream:
 *
 *     reading  -> [feed]  a buffer is full, the thread is free: written
 *     reading  -> [feed]  both are full: paused, no timer runs
 *     paused   -> [job_done]  reading
 *     reading  -> [feed]  the body ends: the last piece goes with "end"
 *     any      -> [stop]  failed, or too large: "abandon", and the answer
 *     any      -> [cleanup]  the request is gone: "abandon", no answer
 *
 * The count of the main request that reading a body took is kept until done
 * has answered; a completion that calls done works as a content handler.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_sink.h"


#define NGX_MESH_STORAGE_SINK_POOL  4096      /* bytes, beside the buffers */
#define NGX_MESH_STORAGE_SINK_JOB   512       /* bytes */


static void ngx_mesh_storage_sink_cleanup(void *data);
static void ngx_mesh_storage_sink_destroy(ngx_mesh_storage_sink_t *sink);
static void ngx_mesh_storage_sink_handler(ngx_http_request_t *r);
static void ngx_mesh_storage_sink_pump(ngx_mesh_storage_sink_t *sink);
static ngx_int_t ngx_mesh_storage_sink_feed(ngx_mesh_storage_sink_t *sink);
static ngx_int_t ngx_mesh_storage_sink_copy(ngx_mesh_storage_sink_t *sink,
    ngx_buf_t *b);
static ngx_int_t ngx_mesh_storage_sink_space(ngx_mesh_storage_sink_t *sink);
static void ngx_mesh_storage_sink_finish(ngx_mesh_storage_sink_t *sink);
static void ngx_mesh_storage_sink_stop(ngx_mesh_storage_sink_t *sink,
    ngx_mesh_storage_sink_rc_t rc);
static void ngx_mesh_storage_sink_hold(ngx_http_request_t *r);
static ngx_int_t ngx_mesh_storage_sink_submit(ngx_mesh_storage_sink_t *sink);
static void ngx_mesh_storage_sink_thread(ngx_mesh_job_t *job);
static void ngx_mesh_storage_sink_job_done(ngx_mesh_job_t *job);
static void ngx_mesh_storage_sink_abandon(ngx_mesh_storage_sink_t *sink);
static void ngx_mesh_storage_sink_abandon_thread(ngx_mesh_job_t *job);
static void ngx_mesh_storage_sink_abandon_done(ngx_mesh_job_t *job);
static void ngx_mesh_storage_sink_answer(ngx_mesh_storage_sink_t *sink);


ngx_mesh_storage_sink_t *
ngx_mesh_storage_sink_create(ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_storage_sink_target_t *target, size_t data_size)
{
    ngx_pool_t               *pool;
    ngx_pool_cleanup_t       *cln;
    ngx_mesh_storage_sink_t  *sink;

    cln = ngx_pool_cleanup_add(rest->r->pool, 0);

    if (cln == NULL) {
        return NULL;
    }

    /* a connection's log would be gone when a thread ends */

    pool = ngx_create_pool(NGX_MESH_STORAGE_SINK_POOL, ngx_cycle->log);

    if (pool == NULL) {
        return NULL;
    }

    sink = ngx_pcalloc(pool, sizeof(ngx_mesh_storage_sink_t));

    if (sink) {
        sink->data = ngx_pcalloc(pool, data_size);
    }

    if (sink == NULL || sink->data == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    sink->pool = pool;
    sink->rest = rest;
    sink->target = target;
    sink->threads = rest->mcf->thread_pool;

    cln->handler = ngx_mesh_storage_sink_cleanup;
    cln->data = sink;

    return sink;
}


static void
ngx_mesh_storage_sink_cleanup(void *data)
{
    ngx_mesh_storage_sink_t  *sink = data;

    sink->rest = NULL;

    if (!sink->working) {
        ngx_mesh_storage_sink_destroy(sink);
    }
}


/* Of a request that is gone, when no thread is at work. */
static void
ngx_mesh_storage_sink_destroy(ngx_mesh_storage_sink_t *sink)
{
    if (!sink->ended) {
        sink->ended = 1;
        ngx_mesh_storage_sink_abandon(sink);

        if (sink->working) {
            return;
        }
    }

    ngx_destroy_pool(sink->pool);
}


ngx_int_t
ngx_mesh_storage_sink_read(ngx_mesh_storage_sink_t *sink,
    ngx_mesh_storage_sink_done_pt done)
{
    off_t                length;
    ngx_int_t            rc;
    ngx_uint_t           waited;
    ngx_http_request_t  *r;

    r = sink->rest->r;
    length = r->headers_in.content_length_n;

    sink->done = done;
    sink->size = NGX_MESH_STORAGE_SINK_PIECE;

    if (length >= 0 && length < (off_t) sink->size) {
        sink->size = (size_t) length;
    }

    r->request_body_no_buffering = 1;

    waited = ngx_mesh_job_release(r);

    rc = ngx_http_read_client_request_body(r, ngx_mesh_storage_sink_handler);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    if (waited) {
        ngx_mesh_job_leave(r);
    }

    return NGX_DONE;
}


/* Runs for the first piece, and then for each read event. */
static void
ngx_mesh_storage_sink_handler(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t       *cln;
    ngx_mesh_storage_sink_t  *sink;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_mesh_storage_sink_cleanup) {
            break;
        }
    }

    if (cln == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    sink = cln->data;

    r->read_event_handler = ngx_mesh_storage_sink_handler;
    r->write_event_handler = ngx_http_request_empty_handler;

    ngx_mesh_storage_sink_pump(sink);
}


static void
ngx_mesh_storage_sink_pump(ngx_mesh_storage_sink_t *sink)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = sink->rest->r;

    for ( ;; ) {

        rc = ngx_mesh_storage_sink_feed(sink);

        if (rc == NGX_AGAIN) {
            sink->paused = 1;
            ngx_mesh_storage_sink_hold(r);
            return;
        }

        if (rc != NGX_OK) {
            return;
        }

        if (!r->reading_body) {
            sink->complete = 1;
            ngx_mesh_storage_sink_finish(sink);
            return;
        }

        rc = ngx_http_read_unbuffered_request_body(r);

        if (rc == NGX_AGAIN && r->request_body->bufs == NULL) {
            return;
        }

        if (rc == NGX_ERROR || rc >= NGX_HTTP_SPECIAL_RESPONSE) {
            break;
        }
    }

    /* what came with the end of a connection is left in the chain */

    if (ngx_mesh_storage_sink_feed(sink) == NGX_ERROR) {
        return;
    }

    ngx_mesh_storage_sink_hold(r);
    ngx_http_finalize_request(r, rc);
}


/* Moves what was read so far into buffers.  NGX_OK: all of it; NGX_AGAIN: no
   buffer is free; NGX_ERROR: it was stopped, the request may be gone. */
static ngx_int_t
ngx_mesh_storage_sink_feed(ngx_mesh_storage_sink_t *sink)
{
    ngx_int_t            rc;
    ngx_buf_t           *b;
    ngx_chain_t         *cl;
    ngx_http_request_t  *r;

    r = sink->rest->r;

    if (r->request_body == NULL) {
        return NGX_OK;
    }

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        b = cl->buf;

        if (!ngx_buf_in_memory(b) && ngx_buf_size(b) != 0) {

            /* read by another module, into a file: that is not read here */

            ngx_mesh_storage_sink_stop(sink, NGX_MESH_STORAGE_SINK_TOO_LARGE);
            return NGX_ERROR;
        }

        while (b->pos < b->last) {
            rc = ngx_mesh_storage_sink_copy(sink, b);

            if (rc != NGX_OK) {
                return rc;
            }
        }
    }

    if (r->request_body_no_buffering) {
        r->request_body->bufs = NULL;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_sink_copy(ngx_mesh_storage_sink_t *sink, ngx_buf_t *b)
{
    size_t     n;
    ngx_int_t  rc;

    if (b->last - b->pos > sink->max - sink->received) {
        ngx_mesh_storage_sink_stop(sink, NGX_MESH_STORAGE_SINK_TOO_LARGE);
        return NGX_ERROR;
    }

    rc = ngx_mesh_storage_sink_space(sink);

    if (rc != NGX_OK) {
        return rc;
    }

    n = ngx_min((size_t) (b->last - b->pos), sink->size - sink->len);

    ngx_memcpy(sink->buffer[sink->fill] + sink->len, b->pos, n);

    b->pos += n;
    sink->len += n;
    sink->received += n;

    return NGX_OK;
}


/* Makes room for a byte at least; as feed. */
static ngx_int_t
ngx_mesh_storage_sink_space(ngx_mesh_storage_sink_t *sink)
{
    if (sink->len == sink->size && sink->buffer[sink->fill]) {

        if (sink->working) {
            return NGX_AGAIN;
        }

        sink->piece = bytes_make(sink->buffer[sink->fill], sink->len);
        sink->fill ^= 1;
        sink->len = 0;

        if (ngx_mesh_storage_sink_submit(sink) != NGX_OK) {
            ngx_mesh_storage_sink_stop(sink, NGX_MESH_STORAGE_SINK_BUSY);
            return NGX_ERROR;
        }
    }

    if (sink->buffer[sink->fill] == NULL) {
        sink->buffer[sink->fill] = ngx_palloc(sink->pool, sink->size);

        if (sink->buffer[sink->fill] == NULL) {
            ngx_mesh_storage_sink_stop(sink, NGX_MESH_STORAGE_SINK_FAILED);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* All was read: the last piece goes when the thread is free. */
static void
ngx_mesh_storage_sink_finish(ngx_mesh_storage_sink_t *sink)
{
    ngx_http_request_t  *r;

    r = sink->rest->r;

    /* a client that leaves is noticed */

    r->read_event_handler = ngx_http_test_reading;

    if (sink->working) {
        return;
    }

    sink->piece = bytes_make(sink->buffer[sink->fill], sink->len);
    sink->last = 1;

    if (ngx_mesh_storage_sink_submit(sink) != NGX_OK) {
        ngx_mesh_storage_sink_stop(sink, NGX_MESH_STORAGE_SINK_BUSY);
    }
}


/* Nothing more is read; the answer goes when the thread is free. */
static void
ngx_mesh_storage_sink_stop(ngx_mesh_storage_sink_t *sink,
    ngx_mesh_storage_sink_rc_t rc)
{
    sink->rc = rc;

    ngx_mesh_storage_sink_hold(sink->rest->r);

    if (!sink->working) {
        ngx_mesh_storage_sink_answer(sink);
    }
}


/* No event of the connection leads here any more, and it has time. */
static void
ngx_mesh_storage_sink_hold(ngx_http_request_t *r)
{
    ngx_event_t  *rev;

    rev = r->connection->read;

    if (rev->timer_set) {
        ngx_del_timer(rev);
    }

    r->read_event_handler = ngx_http_block_reading;
}


static ngx_int_t
ngx_mesh_storage_sink_submit(ngx_mesh_storage_sink_t *sink)
{
    ngx_mesh_job_t  *job;

    job = ngx_mesh_job_create(NGX_MESH_STORAGE_SINK_JOB, 0, ngx_cycle->log);

    if (job == NULL) {
        return NGX_ERROR;
    }

    job->data = sink;
    job->run = ngx_mesh_storage_sink_thread;
    job->done = ngx_mesh_storage_sink_job_done;

    if (ngx_mesh_job_submit(sink->threads, job) != NGX_OK) {
        ngx_mesh_job_destroy(job);
        return NGX_ERROR;
    }

    sink->working = 1;

    return NGX_OK;
}


/* The loop may fill the other buffer meanwhile, and set "rc". */
static void
ngx_mesh_storage_sink_thread(ngx_mesh_job_t *job)
{
    ngx_mesh_storage_sink_t  *sink;

    sink = job->data;

    sink->result = sink->last ? sink->target->end(sink, sink->piece)
                              : sink->target->write(sink, sink->piece);
}


static void
ngx_mesh_storage_sink_job_done(ngx_mesh_job_t *job)
{
    ngx_connection_t            *c;
    ngx_mesh_storage_sink_t     *sink;
    ngx_mesh_storage_sink_rc_t   rc;

    sink = job->data;
    rc = sink->result;

    ngx_mesh_job_destroy(job);

    sink->working = 0;
    sink->piece = bytes_make(NULL, 0);

    if (sink->last && rc == NGX_MESH_STORAGE_SINK_OK) {
        sink->ended = 1;
    }

    if (sink->rest == NULL) {
        ngx_mesh_storage_sink_destroy(sink);
        return;
    }

    c = sink->rest->r->connection;
    ngx_http_set_log_request(c->log, sink->rest->r);

    if (sink->rc == NGX_MESH_STORAGE_SINK_OK) {
        sink->rc = rc;
    }

    if (sink->rc != NGX_MESH_STORAGE_SINK_OK || sink->ended) {
        ngx_mesh_storage_sink_hold(sink->rest->r);
        ngx_mesh_storage_sink_answer(sink);

    } else if (sink->complete) {
        ngx_mesh_storage_sink_finish(sink);

    } else if (sink->paused) {
        sink->paused = 0;
        sink->rest->r->read_event_handler = ngx_mesh_storage_sink_handler;
        ngx_mesh_storage_sink_pump(sink);
    }

    ngx_http_run_posted_requests(c);
}


/* In a thread when there is one: the pool of its threads is the only thing
   that may be full. */
static void
ngx_mesh_storage_sink_abandon(ngx_mesh_storage_sink_t *sink)
{
    ngx_mesh_job_t  *job;

    sink->piece = bytes_make(sink->buffer[sink->fill], sink->len);

    job = ngx_mesh_job_create(NGX_MESH_STORAGE_SINK_JOB, 0, ngx_cycle->log);

    if (job) {
        job->data = sink;
        job->run = ngx_mesh_storage_sink_abandon_thread;
        job->done = ngx_mesh_storage_sink_abandon_done;

        if (ngx_mesh_job_submit(sink->threads, job) == NGX_OK) {
            sink->working = 1;
            return;
        }

        ngx_mesh_job_destroy(job);
    }

    sink->target->abandon(sink, sink->piece);
}


static void
ngx_mesh_storage_sink_abandon_thread(ngx_mesh_job_t *job)
{
    ngx_mesh_storage_sink_t  *sink;

    sink = job->data;

    sink->target->abandon(sink, sink->piece);
}


static void
ngx_mesh_storage_sink_abandon_done(ngx_mesh_job_t *job)
{
    ngx_mesh_storage_sink_t  *sink;

    sink = job->data;
    sink->working = 0;

    ngx_mesh_job_destroy(job);

    if (sink->rest == NULL) {
        ngx_mesh_storage_sink_destroy(sink);
    }
}


static void
ngx_mesh_storage_sink_answer(ngx_mesh_storage_sink_t *sink)
{
    ngx_int_t                 rc;
    ngx_http_request_t       *r;
    ngx_mesh_storage_rest_t  *rest;

    if (sink->over) {
        return;
    }

    sink->over = 1;

    rest = sink->rest;
    r = rest->r;

    if (sink->rc == NGX_MESH_STORAGE_SINK_FAILED
        || sink->rc == NGX_MESH_STORAGE_SINK_FULL)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, sink->err,
                      "storage: %s failed",
                      sink->what ? sink->what : "taking a body");
    }

    rc = sink->done(rest, sink);

    /* the count of body reading is given back; a step that waits for a job
       has taken its own */

    ngx_http_finalize_request(r, rc);
}


ngx_int_t
ngx_mesh_storage_sink_problem(ngx_mesh_storage_sink_t *sink)
{
    ngx_mesh_storage_rest_t  *rest;

    rest = sink->rest;

    switch (sink->rc) {

    case NGX_MESH_STORAGE_SINK_TOO_LARGE:
        return ngx_mesh_storage_sink_too_large(rest, sink->max);

    case NGX_MESH_STORAGE_SINK_FULL:
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_STORAGE_FULL,
                                             NULL);

    case NGX_MESH_STORAGE_SINK_MISMATCH:
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_DIGEST_MISMATCH,
                   "these are not the bytes that Repr-Digest tells of");

    case NGX_MESH_STORAGE_SINK_CONFLICT:
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_CONFLICT, NULL);

    case NGX_MESH_STORAGE_SINK_BUSY:
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BUSY, NULL);

    default:
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_INTERNAL, NULL);
    }
}


ngx_int_t
ngx_mesh_storage_sink_too_large(ngx_mesh_storage_rest_t *rest, off_t limit)
{
    problem_facts_t   facts;
    problem_member_t  member;

    ngx_mesh_storage_sink_refuse(rest);

    ngx_memzero(&facts, sizeof(problem_facts_t));
    ngx_memzero(&member, sizeof(problem_member_t));

    member.name = "limit";
    member.number = limit;
    facts.members = &member;
    facts.member_count = 1;

    return ngx_mesh_reply_problem_facts(rest->r, PROBLEM_TOO_LARGE, &facts);
}


/* The rest of the body is unread: the connection lingers and is closed. */
void
ngx_mesh_storage_sink_refuse(ngx_mesh_storage_rest_t *rest)
{
    rest->r->expect_tested = 1;

    if (rest->r->headers_in.content_length_n > 0
        || rest->r->headers_in.chunked)
    {
        rest->r->keepalive = 0;
    }
}


ngx_mesh_storage_sink_rc_t
ngx_mesh_storage_sink_fail(ngx_mesh_storage_sink_t *sink, const char *what)
{
    sink->err = ngx_errno;
    sink->what = what;

    switch (sink->err) {

    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return NGX_MESH_STORAGE_SINK_FULL;

    default:
        return NGX_MESH_STORAGE_SINK_FAILED;
    }
}
