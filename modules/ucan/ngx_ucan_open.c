/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Opening, step by step:
 *
 *     start --> cache --hit--------------------------------> done
 *                 | miss
 *               parse
 *                 |
 *               look --proofs missing--> (store) --> found --> look
 *                 | none, or asked often enough
 *               check --little to verify--> walk ----------> done
 *                 | much
 *               submit --> (thread: walk) --> job_done ----> done
 *
 * Little or much is weighed before anything is checked: what the shared zone
 * does not know.  A job has a reference to the session and is the only one
 * that touches it until it is done; it knows nothing of the request.  When
 * the asker leaves meanwhile the job ends all the same, and its session is
 * kept for who comes next.
 */


#include "ngx_ucan_metric.h"
#include "ngx_ucan_open.h"
#include "ngx_ucan_proofs.h"


#define NGX_UCAN_OPEN_POOL    1024    /* bytes of a job's pool */
#define NGX_UCAN_OPEN_ROUNDS  4       /* questions to the store */


/* In a job's pool. */
typedef struct {
    ngx_ucan_session_t         *session;     /* a reference */
    const ngx_ucan_loc_conf_t  *lcf;         /* borrowed: configuration */
    ucan_verdict_t              verdict;
} ngx_ucan_open_job_t;


static ngx_int_t ngx_ucan_open_parse(ngx_ucan_open_t *open);
static ngx_int_t ngx_ucan_open_look(ngx_ucan_open_t *open);
static void ngx_ucan_open_found(void *data, bytes_t *found, ngx_uint_t n);
static ngx_int_t ngx_ucan_open_check(ngx_ucan_open_t *open);
static ngx_uint_t ngx_ucan_open_count(ngx_ucan_session_t *s,
    const ngx_ucan_loc_conf_t *lcf);
static ngx_int_t ngx_ucan_open_submit(ngx_ucan_open_t *open,
    ngx_thread_pool_t *pool);
static void ngx_ucan_open_walk_thread(ngx_mesh_job_t *job);
static void ngx_ucan_open_job_done(ngx_mesh_job_t *job);
static void ngx_ucan_open_settle(ngx_ucan_open_t *open);
static void ngx_ucan_open_keep(ngx_ucan_session_t *s,
    const ngx_ucan_loc_conf_t *lcf, ucan_verdict_t verdict);
static ngx_ucan_main_conf_t *ngx_ucan_open_conf(
    const ngx_ucan_loc_conf_t *lcf);


ngx_int_t
ngx_ucan_open_start(ngx_ucan_open_t *open)
{
    const ucan_limits_t   *limits;
    ngx_ucan_main_conf_t  *mcf;

    limits = &open->lcf->trust->limits;

    /* nothing is copied of what is too long anyway */

    if (open->text[0].len > limits->bytes_max
        || open->text[1].len > limits->bytes_max - open->text[0].len)
    {
        open->verdict = UCAN_TOO_LARGE;
        return NGX_OK;
    }

    mcf = ngx_ucan_open_conf(open->lcf);

    if (open->lcf->cache && mcf->cache) {
        open->session = ngx_ucan_cache_find(mcf->cache, open->lcf->trust,
                                            open->text);

        if (open->session) {
            ngx_ucan_metric_add(NGX_UCAN_METRIC_WORKER_HIT, 1);
            open->verdict = UCAN_OK;
            return NGX_OK;
        }

        ngx_ucan_metric_add(NGX_UCAN_METRIC_WORKER_MISS, 1);
    }

    return ngx_ucan_open_parse(open);
}


static ngx_int_t
ngx_ucan_open_parse(ngx_ucan_open_t *open)
{
    ngx_int_t            rc;
    ucan_http_t          http;
    ngx_ucan_session_t  *s;

    open->verdict = UCAN_NO_MEMORY;

    s = ngx_ucan_session_create(open->lcf->trust, open->text);

    if (s == NULL) {
        return NGX_OK;
    }

    open->session = s;
    open->verdict = ngx_ucan_session_parse(s);

    if (open->verdict != UCAN_OK) {
        return NGX_OK;
    }

    if (open->facts && ngx_ucan_session_single(s)) {

        rc = open->facts(open, &http);

        if (rc == NGX_OK) {
            rc = ngx_ucan_session_facts(s, &http);
        }

        if (rc == NGX_ERROR) {
            open->verdict = UCAN_NO_MEMORY;
            return NGX_OK;
        }
    }

    return ngx_ucan_open_look(open);
}


static ngx_int_t
ngx_ucan_open_look(ngx_ucan_open_t *open)
{
    cid_t      list[UCAN_TOKEN_COUNT_MAX];
    size_t     count;
    ngx_int_t  rc;

    if (!open->lcf->proofs || open->rounds == NGX_UCAN_OPEN_ROUNDS) {
        return ngx_ucan_open_check(open);
    }

    count = ucan_chain_missing(&open->session->bundle, list,
                               UCAN_TOKEN_COUNT_MAX);

    if (count == 0) {
        return ngx_ucan_open_check(open);
    }

    if (open->handler == NULL) {
        open->partial = 1;
        return ngx_ucan_open_check(open);
    }

    open->rounds++;

    rc = ngx_ucan_proofs_get((ngx_cycle_t *) ngx_cycle, list, count,
                             ngx_ucan_open_found, open);

    if (rc == NGX_AGAIN) {
        open->looking = 1;
        open->waiting = 1;
        return NGX_AGAIN;
    }

    /* it may do without; if not, nobody knows whether they are there */

    open->unsure = (rc != NGX_DECLINED);

    return ngx_ucan_open_check(open);
}


static void
ngx_ucan_open_found(void *data, bytes_t *found, ngx_uint_t n)
{
    ngx_ucan_open_t *open = data;

    ngx_uint_t      i;
    ucan_verdict_t  rc;

    open->looking = 0;
    open->waiting = 0;

    open->unsure = (found == NULL);

    if (n == 0) {
        open->rounds = NGX_UCAN_OPEN_ROUNDS;
    }

    for (i = 0; i < n; i++) {
        rc = ngx_ucan_session_add(open->session, found[i]);

        if (rc == UCAN_TOO_LARGE || rc == UCAN_NO_MEMORY) {

            /* the walk decides with what fits */

            open->rounds = NGX_UCAN_OPEN_ROUNDS;
            break;
        }
    }

    if (ngx_ucan_open_look(open) == NGX_OK) {
        open->handler(open);
    }
}


static ngx_int_t
ngx_ucan_open_check(ngx_ucan_open_t *open)
{
    ngx_uint_t           n;
    ngx_thread_pool_t   *pool;
    ngx_ucan_session_t  *s;

    s = open->session;
    n = ngx_ucan_open_count(s, open->lcf);

    ngx_ucan_session_begin(s);

    if (open->handler && n > (ngx_uint_t) open->lcf->inline_max) {
        pool = ngx_ucan_conf_thread_pool(ngx_ucan_open_conf(open->lcf),
                                         open->lcf);

        if (pool) {
            return ngx_ucan_open_submit(open, pool);
        }
    }

    open->verdict = ngx_ucan_session_walk(s, 0);

    ngx_ucan_open_keep(s, open->lcf, open->verdict);
    ngx_ucan_open_settle(open);

    return NGX_OK;
}


/* What the signatures weigh that may have to be checked. */

static ngx_uint_t
ngx_ucan_open_count(ngx_ucan_session_t *s, const ngx_ucan_loc_conf_t *lcf)
{
    ngx_uint_t             n;
    ngx_ucan_main_conf_t  *mcf;

    mcf = ngx_ucan_open_conf(lcf);

    if (!lcf->cache) {
        return ngx_ucan_session_unchecked(s, NULL);
    }

    n = ngx_ucan_session_unchecked(s, mcf->seal_zone);

    ngx_ucan_metric_add(NGX_UCAN_METRIC_ZONE_HIT, s->known);
    ngx_ucan_metric_add(NGX_UCAN_METRIC_ZONE_MISS,
                        ngx_ucan_session_count(s, UCAN_TOKEN_UNCHECKED));

    return n;
}


static ngx_int_t
ngx_ucan_open_submit(ngx_ucan_open_t *open, ngx_thread_pool_t *pool)
{
    ngx_mesh_job_t       *job;
    ngx_ucan_open_job_t  *context;

    open->verdict = UCAN_NO_MEMORY;

    job = ngx_mesh_job_create(NGX_UCAN_OPEN_POOL, sizeof(ngx_ucan_open_job_t),
                              ngx_cycle->log);
    if (job == NULL) {
        return NGX_OK;
    }

    context = job->context;
    context->lcf = open->lcf;

    job->data = open;
    job->run = ngx_ucan_open_walk_thread;
    job->done = ngx_ucan_open_job_done;

    /* the reference goes over to the job, which may run at once */

    context->session = open->session;
    open->session = NULL;

    if (ngx_mesh_job_submit(pool, job) != NGX_OK) {
        ngx_ucan_session_release(context->session);
        ngx_mesh_job_destroy(job);

        open->busy = 1;
        return NGX_OK;
    }

    ngx_ucan_metric_add(NGX_UCAN_METRIC_THREAD_JOB, 1);

    open->job = job;
    open->waiting = 1;

    return NGX_AGAIN;
}


/* In a thread: the session is this job's alone. */

static void
ngx_ucan_open_walk_thread(ngx_mesh_job_t *job)
{
    ngx_ucan_open_job_t  *context;

    context = job->context;
    context->verdict = ngx_ucan_session_walk(context->session, 1);
}


static void
ngx_ucan_open_job_done(ngx_mesh_job_t *job)
{
    ngx_ucan_open_t      *open;
    ngx_ucan_open_job_t  *context;

    open = job->data;
    context = job->context;

    ngx_ucan_open_keep(context->session, context->lcf, context->verdict);

    if (open == NULL) {
        ngx_ucan_session_release(context->session);
        ngx_mesh_job_destroy(job);
        return;
    }

    open->job = NULL;
    open->waiting = 0;
    open->session = context->session;
    open->verdict = context->verdict;

    ngx_mesh_job_destroy(job);

    ngx_ucan_open_settle(open);
    open->handler(open);
}


/* A refusal says less than it seems to when proofs were not to be had. */

static void
ngx_ucan_open_settle(ngx_ucan_open_t *open)
{
    if (open->verdict == UCAN_OK) {
        open->partial = 0;

    } else if (open->unsure && open->verdict == UCAN_NO_PROOF) {
        open->busy = 1;
    }
}


/* After a walk: what was opened is found again, by this worker and by
   others. */

static void
ngx_ucan_open_keep(ngx_ucan_session_t *s, const ngx_ucan_loc_conf_t *lcf,
    ucan_verdict_t verdict)
{
    ngx_uint_t             good, bad;
    ngx_ucan_main_conf_t  *mcf;

    mcf = ngx_ucan_open_conf(lcf);

    good = ngx_ucan_session_count(s, UCAN_TOKEN_SIGNED) - s->known;
    bad = ngx_ucan_session_count(s, UCAN_TOKEN_FORGED);

    ngx_ucan_metric_add(NGX_UCAN_METRIC_SIGNATURE_GOOD, good);
    ngx_ucan_metric_add(NGX_UCAN_METRIC_SIGNATURE_BAD, bad);

    if (verdict != UCAN_OK) {
        return;
    }

    ngx_ucan_session_seal(s, lcf->cache ? mcf->seal_zone : NULL);

    if (lcf->cache && mcf->cache) {
        ngx_ucan_cache_add(mcf->cache, s);
    }
}


void
ngx_ucan_open_cancel(ngx_ucan_open_t *open)
{
    if (open->job) {
        open->job->data = NULL;
        open->job = NULL;
    }

    if (open->looking) {
        ngx_ucan_proofs_cancel(open);
        open->looking = 0;
    }

    if (open->session) {
        ngx_ucan_session_release(open->session);
        open->session = NULL;
    }

    open->waiting = 0;
}


static ngx_ucan_main_conf_t *
ngx_ucan_open_conf(const ngx_ucan_loc_conf_t *lcf)
{
    return lcf->trust->data;
}
