/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Proofs out of the store: one row for each delegation that its issuer or its
 * audience handed in, under its CID.
 *
 * A look-up owns its pool and its jobs, and outlives who asked: a job that
 * ends finds nobody then, and frees.  Nothing here says that a token is good;
 * it is one more token that was presented, and is checked as those are.
 */


#include "ngx_mesh_store.h"
#include "ngx_ucan_conf.h"
#include "ngx_ucan_metric.h"
#include "ngx_ucan_proofs.h"
#include "record.h"


#define NGX_UCAN_PROOFS_POOL   2048   /* bytes */
#define NGX_UCAN_PROOFS_READS  16     /* in one job */


typedef struct {
    ngx_queue_t             link;     /* of those that are waited for */
    ngx_pool_t             *pool;     /* owns this */
    ngx_mesh_store_t       *store;
    ngx_ucan_proofs_pt      handler;
    void                   *data;     /* NULL: nobody waits any more */
    ngx_mesh_store_job_t  **jobs;     /* [job_count], those that are done */
    ngx_uint_t              job_count;
    ngx_uint_t              running;
    bytes_t                *found;    /* in rows of the jobs */
    ngx_uint_t              n;
    ngx_uint_t              failed;   /* questions without an answer */
} ngx_ucan_proofs_t;


static ngx_int_t ngx_ucan_proofs_submit(ngx_ucan_proofs_t *proofs,
    const cid_t *list, ngx_uint_t count);
static ngx_int_t ngx_ucan_proofs_key(ngx_pool_t *pool, store_read_t *read,
    const cid_t *cid);
static void ngx_ucan_proofs_done(ngx_mesh_store_job_t *job);
static void ngx_ucan_proofs_destroy(ngx_ucan_proofs_t *proofs);


/* Of this worker; only its event loop touches it. */
static ngx_queue_t  ngx_ucan_proofs_queue = {
    &ngx_ucan_proofs_queue, &ngx_ucan_proofs_queue
};


char *
ngx_ucan_proofs_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_ucan_loc_conf_t *lcf = conf;

    char                  *rv;
    ngx_ucan_main_conf_t  *mcf;

    rv = ngx_conf_set_flag_slot(cf, cmd, conf);

    if (rv == NGX_CONF_OK && lcf->proofs) {
        mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ucan_module);
        mcf->proofs_used = 1;
    }

    return rv;
}


ngx_int_t
ngx_ucan_proofs_init(ngx_conf_t *cf)
{
    ngx_ucan_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ucan_module);

    if (!mcf->proofs_used) {
        return NGX_OK;
    }

    return ngx_mesh_store_require(cf, "ucan_proofs", NGX_MESH_STORE_MODULE);
}


ngx_int_t
ngx_ucan_proofs_get(ngx_cycle_t *cycle, const cid_t *list, ngx_uint_t count,
    ngx_ucan_proofs_pt handler, void *data)
{
    ngx_int_t           rc;
    ngx_uint_t          i, n, done;
    ngx_pool_t         *pool;
    ngx_mesh_store_t   *store;
    ngx_ucan_proofs_t  *proofs;

    store = ngx_mesh_store(cycle);

    if (store == NULL || !store->configured || count == 0) {
        return NGX_DECLINED;
    }

    pool = ngx_create_pool(NGX_UCAN_PROOFS_POOL, ngx_cycle->log);

    if (pool == NULL) {
        return NGX_ERROR;
    }

    n = (count + NGX_UCAN_PROOFS_READS - 1) / NGX_UCAN_PROOFS_READS;

    proofs = ngx_pcalloc(pool, sizeof(ngx_ucan_proofs_t));

    if (proofs == NULL) {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    proofs->pool = pool;
    proofs->store = store;
    proofs->handler = handler;
    proofs->data = data;
    proofs->jobs = ngx_pcalloc(pool, n * sizeof(ngx_mesh_store_job_t *));
    proofs->found = ngx_pcalloc(pool, count * sizeof(bytes_t));

    ngx_queue_insert_tail(&ngx_ucan_proofs_queue, &proofs->link);

    rc = (proofs->jobs && proofs->found) ? NGX_OK : NGX_ERROR;

    for (i = 0; i < n && rc == NGX_OK; i++) {
        done = i * NGX_UCAN_PROOFS_READS;

        rc = ngx_ucan_proofs_submit(proofs, list + done,
                                    ngx_min(count - done,
                                            NGX_UCAN_PROOFS_READS));
    }

    if (rc == NGX_OK) {
        return NGX_AGAIN;
    }

    /* what was submitted before still ends, and frees */

    proofs->data = NULL;

    if (proofs->running == 0) {
        ngx_ucan_proofs_destroy(proofs);
    }

    return rc;
}


static ngx_int_t
ngx_ucan_proofs_submit(ngx_ucan_proofs_t *proofs, const cid_t *list,
    ngx_uint_t count)
{
    ngx_int_t              rc;
    ngx_uint_t             i;
    store_read_t          *reads;
    ngx_mesh_store_job_t  *job;

    job = ngx_mesh_store_job_create(NGX_UCAN_PROOFS_POOL, ngx_cycle->log);

    if (job == NULL) {
        return NGX_ERROR;
    }

    reads = ngx_mesh_store_job_reads(job, count);
    rc = reads ? NGX_OK : NGX_ERROR;

    for (i = 0; i < count && rc == NGX_OK; i++) {
        rc = ngx_ucan_proofs_key(job->pool, &reads[i], &list[i]);
    }

    if (rc == NGX_OK) {
        job->data = proofs;
        job->done = ngx_ucan_proofs_done;

        rc = proofs->store->read(job);
    }

    if (rc != NGX_OK) {
        ngx_mesh_store_job_destroy(proofs->store, job);
        return rc;
    }

    proofs->running++;

    return NGX_OK;
}


static ngx_int_t
ngx_ucan_proofs_key(ngx_pool_t *pool, store_read_t *read, const cid_t *cid)
{
    u_char          *p;
    bytes_writer_t   w;

    p = ngx_pnalloc(pool, RECORD_PROOF_LEN);

    if (p == NULL) {
        return NGX_ERROR;
    }

    bytes_writer_open(&w, p, RECORD_PROOF_LEN);
    record_proof_key(&w, cid);

    read->kind = STORE_GET;
    read->ns = bytes_of(RECORD_NS_IDENTITY);
    read->key = bytes_writer_view(&w);

    return w.failed ? NGX_ERROR : NGX_OK;
}


static void
ngx_ucan_proofs_done(ngx_mesh_store_job_t *job)
{
    size_t              i;
    ngx_uint_t          asked;
    ngx_ucan_proofs_t  *proofs;

    proofs = job->data;
    proofs->running--;
    proofs->jobs[proofs->job_count++] = job;

    asked = job->read_count;
    proofs->failed += (job->rc != STORE_OK);

    for (i = 0; job->rc == STORE_OK && i < job->read_count; i++) {

        if (job->rows[i].rc == STORE_OK && job->rows[i].count != 0) {
            proofs->found[proofs->n++] = job->rows[i].rows[0].value;
            asked--;

        } else if (job->rows[i].rc != STORE_OK
                   && job->rows[i].rc != STORE_ABSENT)
        {
            proofs->failed++;
        }
    }

    ngx_ucan_metric_add(NGX_UCAN_METRIC_PROOF_FOUND, job->read_count - asked);
    ngx_ucan_metric_add(NGX_UCAN_METRIC_PROOF_MISSING, asked);

    if (proofs->running != 0) {
        return;
    }

    ngx_queue_remove(&proofs->link);
    ngx_queue_init(&proofs->link);

    if (proofs->data && proofs->failed) {
        proofs->handler(proofs->data, NULL, 0);

    } else if (proofs->data) {
        proofs->handler(proofs->data, proofs->found, proofs->n);
    }

    ngx_ucan_proofs_destroy(proofs);
}


void
ngx_ucan_proofs_cancel(void *data)
{
    ngx_queue_t        *q;
    ngx_ucan_proofs_t  *proofs;

    for (q = ngx_queue_head(&ngx_ucan_proofs_queue);
         q != ngx_queue_sentinel(&ngx_ucan_proofs_queue);
         q = ngx_queue_next(q))
    {
        proofs = ngx_queue_data(q, ngx_ucan_proofs_t, link);

        if (proofs->data == data) {
            proofs->data = NULL;
        }
    }
}


static void
ngx_ucan_proofs_destroy(ngx_ucan_proofs_t *proofs)
{
    ngx_uint_t  i;

    ngx_queue_remove(&proofs->link);

    for (i = 0; i < proofs->job_count; i++) {
        ngx_mesh_store_job_destroy(proofs->store, proofs->jobs[i]);
    }

    ngx_destroy_pool(proofs->pool);
}
