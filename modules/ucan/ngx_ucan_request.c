/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Authentication of a request, remembered in its pool, so that internal
 * redirects, subrequests and the log phase find it again.
 *
 * While a thread checks signatures the request is parked in its access phase
 * and may go away at any time: the cleanup of the request cuts it loose.
 */


#include "ngx_ucan_facts.h"
#include "ngx_ucan_request.h"
#include "ngx_ucan_source.h"


static ngx_ucan_request_t *ngx_ucan_request_begin(ngx_http_request_t *r,
    ngx_ucan_open_pt handler);
static ngx_ucan_request_t *ngx_ucan_request_create(ngx_http_request_t *r);
static ngx_int_t ngx_ucan_request_start(ngx_ucan_request_t *ctx,
    ngx_ucan_open_pt handler);
static ngx_int_t ngx_ucan_request_facts(ngx_ucan_open_t *open,
    ucan_http_t *http);
static void ngx_ucan_request_finish(ngx_ucan_request_t *ctx);
static ngx_int_t ngx_ucan_request_publish(ngx_ucan_request_t *ctx);
static ngx_int_t ngx_ucan_request_park(ngx_ucan_request_t *ctx);
static void ngx_ucan_request_resume(ngx_ucan_open_t *open);
static void ngx_ucan_request_leave_cleanup(void *data);
static void ngx_ucan_request_cleanup(void *data);


ngx_ucan_request_t *
ngx_ucan_request_authenticate(ngx_http_request_t *r)
{
    return ngx_ucan_request_begin(r, NULL);
}


ngx_ucan_request_t *
ngx_ucan_request_open(ngx_http_request_t *r)
{
    return ngx_ucan_request_begin(r, ngx_ucan_request_resume);
}


static ngx_ucan_request_t *
ngx_ucan_request_begin(ngx_http_request_t *r, ngx_ucan_open_pt handler)
{
    ngx_int_t             rc;
    ngx_ucan_request_t   *ctx;
    ngx_ucan_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_ucan_module);
    ctx = ngx_ucan_request_find(r);

    if (ctx) {

        if (ctx->waiting) {
            return ctx;
        }

        /* after an internal redirect the first look may be long ago; and what
           a variable could not wait for, the access phase can */

        if (ctx->trust == lcf->trust
            && ctx->sources == lcf->edge.sources
            && !(handler && ctx->open.partial)
            && (ctx->principal == NULL
                || ngx_ucan_verify_alive(ctx->principal) == UCAN_OK))
        {
            return ctx;
        }
    }

    ctx = ngx_ucan_request_create(r);

    if (ctx == NULL) {
        return NULL;
    }

    ctx->trust = lcf->trust;
    ctx->sources = lcf->edge.sources;
    ctx->request = r;
    ctx->open.lcf = lcf;

    rc = ngx_ucan_request_start(ctx, handler);

    if (rc == NGX_OK) {
        ngx_ucan_request_finish(ctx);

    } else if (rc == NGX_AGAIN && ngx_ucan_request_park(ctx) != NGX_OK) {
        return NULL;
    }

    return ctx;
}


static ngx_ucan_request_t *
ngx_ucan_request_create(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_ucan_request_t));

    if (cln == NULL) {
        return NULL;
    }

    ngx_memzero(cln->data, sizeof(ngx_ucan_request_t));
    cln->handler = ngx_ucan_request_cleanup;

    return cln->data;
}


/* NGX_OK: the answer is in ctx->open; NGX_AGAIN: it will be; NGX_DECLINED:
   there is none. */

static ngx_int_t
ngx_ucan_request_start(ngx_ucan_request_t *ctx, ngx_ucan_open_pt handler)
{
    ngx_int_t           rc;
    ngx_ucan_source_t   source;

    rc = ngx_ucan_source_find(ctx->request, &source);

    if (rc == NGX_DECLINED) {
        ctx->error = "token-absent";
        return NGX_DECLINED;
    }

    ctx->presented = 1;

    if (rc == NGX_ERROR || rc == NGX_ABORT) {
        ctx->foreign = (rc == NGX_ABORT);
        ctx->open.verdict = UCAN_MALFORMED;
        return NGX_OK;
    }

    ctx->open.text[0] = source.token;
    ctx->open.text[1] = source.proofs;
    ctx->open.facts = ngx_ucan_request_facts;
    ctx->open.handler = handler;
    ctx->open.data = ctx;

    return ngx_ucan_open_start(&ctx->open);
}


static ngx_int_t
ngx_ucan_request_facts(ngx_ucan_open_t *open, ucan_http_t *http)
{
    ngx_ucan_request_t  *ctx;

    ctx = open->data;

    return ngx_ucan_facts_get(ctx->request, http);
}


/* Takes over what was found out. */

static void
ngx_ucan_request_finish(ngx_ucan_request_t *ctx)
{
    ngx_int_t  rc;

    ctx->busy = ctx->open.busy;
    ctx->refusal.verdict = ctx->open.verdict;

    if (ctx->busy) {
        ctx->error = "busy";
        return;
    }

    if (ctx->foreign) {
        ctx->error = "wrong-origin";
        return;
    }

    if (ctx->refusal.verdict == UCAN_OK) {
        rc = ngx_ucan_request_publish(ctx);

        if (rc != NGX_OK) {
            ctx->refusal.verdict = (rc == NGX_DECLINED) ? UCAN_WRONG_REQUEST
                                                        : UCAN_NO_MEMORY;
        }
    }

    if (ctx->refusal.verdict != UCAN_OK) {
        ctx->error = ucan_verdict_slug(ctx->refusal.verdict);

        if (ctx->open.session) {
            ngx_ucan_session_describe(ctx->open.session, &ctx->refusal);
        }
    }
}


static ngx_int_t
ngx_ucan_request_publish(ngx_ucan_request_t *ctx)
{
    ngx_int_t  rc;

    ngx_ucan_session_publish(ctx->open.session, &ctx->holder);

    if (ctx->holder.http == NULL
        && ngx_ucan_session_asks(ctx->open.session))
    {
        rc = ngx_ucan_facts_get(ctx->request, &ctx->http);

        /* a policy that says "not" would hold on what is not known */

        if (rc != NGX_OK) {
            return rc;
        }

        ctx->holder.http = &ctx->http;
    }

    ctx->principal = &ctx->holder;

    return NGX_OK;
}


static ngx_int_t
ngx_ucan_request_park(ngx_ucan_request_t *ctx)
{
    ngx_http_cleanup_t  *cln;
    ngx_http_request_t  *r;

    r = ctx->request;
    cln = ngx_http_cleanup_add(r, 0);

    if (cln == NULL) {
        ngx_ucan_open_cancel(&ctx->open);
        return NGX_ERROR;
    }

    cln->handler = ngx_ucan_request_leave_cleanup;
    cln->data = ctx;

    ctx->waiting = 1;
    ngx_ucan_request_wait(r);

    return NGX_OK;
}


static void
ngx_ucan_request_resume(ngx_ucan_open_t *open)
{
    ngx_ucan_request_t  *ctx;

    ctx = open->data;

    ctx->waiting = 0;
    ngx_ucan_request_finish(ctx);
    ngx_ucan_request_continue(ctx->request);
}


void
ngx_ucan_request_wait(ngx_http_request_t *r)
{
    if (!r->discard_body && !r->reading_body) {
        r->read_event_handler = ngx_http_test_reading;
    }
}


void
ngx_ucan_request_continue(ngx_http_request_t *r)
{
    ngx_connection_t  *c;

    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    if (!r->discard_body && !r->reading_body) {
        r->read_event_handler = ngx_http_block_reading;
    }

    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
    ngx_http_run_posted_requests(c);
}


/* Before the log phase: the request ends while it waits. */

static void
ngx_ucan_request_leave_cleanup(void *data)
{
    ngx_ucan_request_t  *ctx = data;

    if (ctx->waiting) {
        ctx->waiting = 0;
        ngx_ucan_open_cancel(&ctx->open);
    }
}


/* Not in r->ctx, which internal redirects clear. */

ngx_ucan_request_t *
ngx_ucan_request_find(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->main->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_ucan_request_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


/* After the log phase; also marks what ngx_ucan_request_find() looks for. */

static void
ngx_ucan_request_cleanup(void *data)
{
    ngx_ucan_request_t  *ctx = data;

    ngx_ucan_open_cancel(&ctx->open);
}
