/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The requester's side of the store: finding it when the configuration is
 * read, and jobs that own what they point to.
 *
 * Event loop only.  Calls nothing of the store but through its table: each
 * .so has a copy of this file, the storage module alone has the store.
 */


#include "ngx_mesh_store.h"


ngx_int_t
ngx_mesh_store_require(ngx_conf_t *cf, const char *who, const char *module)
{
    ngx_uint_t         i;
    ngx_mesh_store_t  *store;

    for (i = 0; cf->cycle->modules[i]; i++) {
        if (ngx_strcmp(cf->cycle->modules[i]->name, module) == 0) {
            break;
        }
    }

    if (cf->cycle->modules[i] == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"%s\" needs \"%s\": add \"load_module "
                      "modules/%s.so;\" at the top of the configuration",
                      who, module, module);
        return NGX_ERROR;
    }

    if (ngx_strcmp(module, NGX_MESH_STORE_MODULE) != 0) {
        return NGX_OK;
    }

    store = ngx_mesh_store(cf->cycle);

    if (store == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"%s\" and \"%s\" are of different versions: build "
                      "all modules of the mesh together", who, module);
        return NGX_ERROR;
    }

    if (!store->configured) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"%s\" needs a store: add \"mesh_storage PATH;\" to "
                      "the http block", who);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_mesh_store_job_t *
ngx_mesh_store_job_create(size_t pool_size, ngx_log_t *log)
{
    ngx_pool_t            *pool;
    ngx_mesh_store_job_t  *job;

    /* a connection's log would be gone when the job ends */
    pool = ngx_create_pool(pool_size, ngx_cycle->log);

    if (pool == NULL) {
        ngx_log_error(NGX_LOG_ERR, log, 0, "store: no memory for a job");
        return NULL;
    }

    job = ngx_pcalloc(pool, sizeof(ngx_mesh_store_job_t));

    if (job == NULL) {
        ngx_log_error(NGX_LOG_ERR, log, 0, "store: no memory for a job");
        ngx_destroy_pool(pool);
        return NULL;
    }

    job->pool = pool;

    return job;
}


store_op_t *
ngx_mesh_store_job_ops(ngx_mesh_store_job_t *job, size_t count)
{
    store_op_t  *ops;

    if (count == 0 || count > STORE_OPS_MAX) {
        return NULL;
    }

    ops = ngx_pcalloc(job->pool, count * sizeof(store_op_t));
    job->write.results = ngx_pcalloc(job->pool,
                                     count * sizeof(store_result_t));

    if (ops == NULL || job->write.results == NULL) {
        job->write.results = NULL;
        return NULL;
    }

    job->write.ops = ops;
    job->write.count = count;

    return ops;
}


store_read_t *
ngx_mesh_store_job_reads(ngx_mesh_store_job_t *job, size_t count)
{
    store_read_t  *reads;

    if (count == 0 || count > STORE_READS_MAX) {
        return NULL;
    }

    reads = ngx_pcalloc(job->pool, count * sizeof(store_read_t));
    job->rows = ngx_pcalloc(job->pool, count * sizeof(store_rows_t));

    if (reads == NULL || job->rows == NULL) {
        job->rows = NULL;
        return NULL;
    }

    job->reads = reads;
    job->read_count = count;

    return reads;
}


void
ngx_mesh_store_job_destroy(ngx_mesh_store_t *store, ngx_mesh_store_job_t *job)
{
    if (job->write.results) {
        store->write_release(&job->write);
    }

    if (job->rows) {
        store->rows_release(job->rows, job->read_count);
    }

    ngx_destroy_pool(job->pool);
}
