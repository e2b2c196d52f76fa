/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The zone answers for all workers of this nginx.  A restart begins with an
 * empty one, and a binary upgrade with a second one; where that matters the
 * store is asked as well, which takes a write to disk for each invocation.
 *
 * On the event loop.  What a request has used is noted in its pool, where it
 * outlives internal redirects.
 */


#include "ngx_mesh_store.h"
#include "ngx_ucan_once.h"
#include "ngx_ucan_replay.h"
#include "record.h"


#define NGX_UCAN_ONCE_POOL     1024                   /* bytes */
#define NGX_UCAN_ONCE_KIND     "invocation"
#define NGX_UCAN_ONCE_HEX_LEN  (2 * NGX_UCAN_REPLAY_DIGEST_LEN)


typedef enum {
    NGX_UCAN_ONCE_NEW = 0,
    NGX_UCAN_ONCE_WAITING,            /* for the store */
    NGX_UCAN_ONCE_ANSWERED,
    NGX_UCAN_ONCE_FAILED              /* the store cannot say */
} ngx_ucan_once_state_t;


/* One invocation that a request used; in the pool of the main request. */
typedef struct {
    ngx_http_request_t     *request;  /* borrowed: the one that waits */
    ngx_mesh_store_job_t   *job;      /* NULL: none is under way */
    ngx_ucan_once_state_t   state;
    ucan_verdict_t          verdict;
    u_char                  digest[NGX_UCAN_REPLAY_DIGEST_LEN];
} ngx_ucan_once_t;


static ngx_ucan_once_t *ngx_ucan_once_get(ngx_http_request_t *r,
    const ucan_token_t *top);
static ucan_verdict_t ngx_ucan_once_until(const ucan_trust_t *trust,
    const ucan_token_t *top, time_t *until);
static ucan_verdict_t ngx_ucan_once_remember(ngx_ucan_main_conf_t *mcf,
    const u_char *digest, time_t until);
static ngx_int_t ngx_ucan_once_store(ngx_ucan_once_t *once, time_t until);
static ngx_int_t ngx_ucan_once_op(ngx_mesh_store_job_t *job,
    const u_char *digest, time_t until);
static void ngx_ucan_once_stored(ngx_mesh_store_job_t *job);
static void ngx_ucan_once_leave_cleanup(void *data);
static void ngx_ucan_once_cleanup(void *data);


char *
ngx_ucan_once_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t             *value;
    ngx_uint_t            *field;
    ngx_ucan_main_conf_t  *mcf;

    field = (ngx_uint_t *) ((u_char *) conf + cmd->offset);
    value = cf->args->elts;

    if (*field != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    if (ngx_strcmp(value[1].data, "on") == 0) {
        *field = NGX_UCAN_ONCE_ON;

    } else if (ngx_strcmp(value[1].data, "off") == 0) {
        *field = NGX_UCAN_ONCE_OFF;

    } else if (ngx_strcmp(value[1].data, "store") == 0) {
        *field = NGX_UCAN_ONCE_STORE;

        mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ucan_module);
        mcf->store_used = 1;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" needs \"on\", \"off\" or \"store\", not "
                           "\"%V\"", &value[0], &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_ucan_once_use(ngx_http_request_t *r, ngx_ucan_request_t *ctx,
    ucan_verdict_t *verdict)
{
    time_t                 until;
    ngx_ucan_once_t       *once;
    const ucan_token_t    *top;
    ngx_ucan_loc_conf_t   *lcf;
    ngx_ucan_main_conf_t  *mcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_ucan_module);
    mcf = ngx_http_get_module_main_conf(r, ngx_http_ucan_module);

    *verdict = UCAN_OK;

    if (lcf->replay == NGX_UCAN_ONCE_OFF || !ctx->principal->invocation) {
        return NGX_OK;
    }

    top = ctx->principal->chain->bundle->top;
    once = ngx_ucan_once_get(r, top);

    if (once == NULL) {
        *verdict = UCAN_NO_MEMORY;
        return NGX_OK;
    }

    switch (once->state) {

    case NGX_UCAN_ONCE_WAITING:
        return NGX_AGAIN;

    case NGX_UCAN_ONCE_FAILED:
        return NGX_BUSY;

    case NGX_UCAN_ONCE_ANSWERED:
        *verdict = once->verdict;
        return NGX_OK;

    default: /* NGX_UCAN_ONCE_NEW */
        break;
    }

    once->request = r;
    once->state = NGX_UCAN_ONCE_ANSWERED;
    once->verdict = ngx_ucan_once_until(lcf->trust, top, &until);

    if (once->verdict == UCAN_OK) {
        once->verdict = ngx_ucan_once_remember(mcf, once->digest, until);

        if (once->verdict == UCAN_OK && lcf->replay == NGX_UCAN_ONCE_STORE) {
            return ngx_ucan_once_store(once, until);
        }
    }

    *verdict = once->verdict;

    return NGX_OK;
}


ucan_verdict_t
ngx_ucan_once_open(const ngx_ucan_loc_conf_t *lcf, const ucan_token_t *top)
{
    time_t                 until;
    u_char                 digest[NGX_UCAN_REPLAY_DIGEST_LEN];
    ucan_verdict_t         rc;
    ngx_ucan_main_conf_t  *mcf;

    if (lcf->replay == NGX_UCAN_ONCE_OFF) {
        return UCAN_OK;
    }

    rc = ngx_ucan_once_until(lcf->trust, top, &until);

    if (rc != UCAN_OK) {
        return rc;
    }

    mcf = lcf->trust->data;
    ngx_ucan_replay_digest(digest, top);

    return ngx_ucan_once_remember(mcf, digest, until);
}


static ucan_verdict_t
ngx_ucan_once_remember(ngx_ucan_main_conf_t *mcf, const u_char *digest,
    time_t until)
{
    switch (ngx_ucan_replay_use(mcf->replay_zone, digest, until)) {

    case NGX_OK:
        ngx_ucan_metric_add(NGX_UCAN_METRIC_REPLAY_NEW, 1);
        return UCAN_OK;

    case NGX_DECLINED:
        ngx_ucan_metric_add(NGX_UCAN_METRIC_REPLAY_SEEN, 1);
        return UCAN_REPLAYED;

    default: /* NGX_BUSY */
        ngx_ucan_metric_add(NGX_UCAN_METRIC_REPLAY_FULL, 1);
        return UCAN_REPLAY_FULL;
    }
}


/* What is noted of this very invocation, or a new note. */

static ngx_ucan_once_t *
ngx_ucan_once_get(ngx_http_request_t *r, const ucan_token_t *top)
{
    u_char               digest[NGX_UCAN_REPLAY_DIGEST_LEN];
    ngx_ucan_once_t     *once;
    ngx_pool_cleanup_t  *cln;

    ngx_ucan_replay_digest(digest, top);

    for (cln = r->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler != ngx_ucan_once_cleanup) {
            continue;
        }

        once = cln->data;

        if (ngx_memcmp(once->digest, digest, NGX_UCAN_REPLAY_DIGEST_LEN)
            == 0)
        {
            return once;
        }
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_ucan_once_t));

    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_ucan_once_cleanup;

    once = cln->data;
    ngx_memzero(once, sizeof(ngx_ucan_once_t));
    ngx_memcpy(once->digest, digest, NGX_UCAN_REPLAY_DIGEST_LEN);

    return once;
}


/* It must be remembered for as long as it would be accepted, by whichever
   location. */

static ucan_verdict_t
ngx_ucan_once_until(const ucan_trust_t *trust, const ucan_token_t *top,
    time_t *until)
{
    ngx_ucan_main_conf_t  *mcf;

    mcf = trust->data;

    if (!top->has_exp || top->exp > ngx_time() + trust->session_max) {
        return UCAN_SESSION_TOO_LONG;
    }

    *until = (time_t) top->exp + mcf->leeway_max;

    return UCAN_OK;
}


/* The request waits in its access phase, as for a thread. */

static ngx_int_t
ngx_ucan_once_store(ngx_ucan_once_t *once, time_t until)
{
    ngx_http_cleanup_t    *cln;
    ngx_http_request_t    *r;
    ngx_mesh_store_t      *store;
    ngx_mesh_store_job_t  *job;

    r = once->request;
    once->state = NGX_UCAN_ONCE_FAILED;

    store = ngx_mesh_store((ngx_cycle_t *) ngx_cycle);
    cln = ngx_http_cleanup_add(r, 0);

    if (store == NULL || cln == NULL) {
        return NGX_BUSY;
    }

    cln->handler = ngx_ucan_once_leave_cleanup;
    cln->data = once;

    job = ngx_mesh_store_job_create(NGX_UCAN_ONCE_POOL, r->connection->log);

    if (job == NULL) {
        return NGX_BUSY;
    }

    job->data = once;
    job->done = ngx_ucan_once_stored;

    if (ngx_ucan_once_op(job, once->digest, until) != NGX_OK
        || store->write(job) != NGX_OK)
    {
        ngx_mesh_store_job_destroy(store, job);
        return NGX_BUSY;
    }

    once->job = job;
    once->state = NGX_UCAN_ONCE_WAITING;

    ngx_ucan_request_wait(r);

    return NGX_AGAIN;
}


static ngx_int_t
ngx_ucan_once_op(ngx_mesh_store_job_t *job, const u_char *digest,
    time_t until)
{
    u_char          *hex, *key;
    store_op_t      *op;
    bytes_writer_t   w;

    op = ngx_mesh_store_job_ops(job, 1);
    hex = ngx_pnalloc(job->pool, NGX_UCAN_ONCE_HEX_LEN);
    key = ngx_pnalloc(job->pool, RECORD_KEY_MAX);

    if (op == NULL || hex == NULL || key == NULL) {
        return NGX_ERROR;
    }

    ngx_hex_dump(hex, (u_char *) digest, NGX_UCAN_REPLAY_DIGEST_LEN);

    bytes_writer_open(&w, key, RECORD_KEY_MAX);
    record_key(&w, NGX_UCAN_ONCE_KIND,
               bytes_make(hex, NGX_UCAN_ONCE_HEX_LEN), bytes_make(NULL, 0));

    op->kind = STORE_PUT;
    op->condition = STORE_IF_ABSENT;
    op->ns = bytes_of(RECORD_NS_IDENTITY);
    op->key = bytes_writer_view(&w);
    op->value = bytes_make(NULL, 0);
    op->expires_ms = ((int64_t) until + 1) * 1000;

    return w.failed ? NGX_ERROR : NGX_OK;
}


static void
ngx_ucan_once_stored(ngx_mesh_store_job_t *job)
{
    store_rc_t        rc;
    ngx_ucan_once_t  *once;

    once = job->data;
    rc = job->write.rc;

    ngx_mesh_store_job_destroy(ngx_mesh_store((ngx_cycle_t *) ngx_cycle),
                               job);

    if (once == NULL) {
        return;
    }

    once->job = NULL;
    once->state = NGX_UCAN_ONCE_ANSWERED;

    if (rc == STORE_CONDITION) {
        once->verdict = UCAN_REPLAYED;

    } else if (rc != STORE_OK) {
        once->state = NGX_UCAN_ONCE_FAILED;
    }

    ngx_ucan_request_continue(once->request);
}


/* Before the log phase: the request ends while it waits. */

static void
ngx_ucan_once_leave_cleanup(void *data)
{
    ngx_ucan_once_t *once = data;

    if (once->job) {
        once->job->data = NULL;
        once->job = NULL;
    }
}


static void
ngx_ucan_once_cleanup(void *data)
{
    /* only marks the note that ngx_ucan_once_get() looks for */
    (void) data;
}
