/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Reads of one item out of this worker's memory.  Event loop only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_rest.h"


static ngx_int_t ngx_mesh_storage_rest_hot_find(
    ngx_mesh_storage_rest_t *rest, const char *prefix, bytes_t key,
    store_row_t *row);
static ngx_int_t ngx_mesh_storage_rest_hot_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);


ngx_int_t
ngx_mesh_storage_rest_hot(ngx_mesh_storage_rest_t *rest, const char *prefix,
    bytes_t key, ngx_mesh_storage_done_pt done)
{
    store_row_t            row;
    store_rows_t           rows;
    ngx_mesh_store_job_t   found, *job;

    if (ngx_mesh_storage_rest_hot_find(rest, prefix, key, &row) == NGX_OK) {

        ngx_memzero(&found, sizeof(ngx_mesh_store_job_t));
        ngx_memzero(&rows, sizeof(store_rows_t));

        rows.rows = &row;
        rows.count = 1;
        found.rows = &rows;
        found.read_count = 1;

        return done(rest, &found);
    }

    job = ngx_mesh_storage_rest_get(rest, prefix, key);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rest->fetched = done;

    return ngx_mesh_storage_rest_read(rest, job,
                                      ngx_mesh_storage_rest_hot_done);
}


static ngx_int_t
ngx_mesh_storage_rest_hot_find(ngx_mesh_storage_rest_t *rest,
    const char *prefix, bytes_t key, store_row_t *row)
{
    u_char                       text[STORE_KEY_MAX];
    ngx_int_t                    rc;
    bytes_writer_t               w;
    ngx_mesh_storage_service_t  *service;

    service = &rest->mcf->service;

    /* what was read before a restore is of another history */

    if (ngx_mesh_storage_gate_shut(&service->gate)) {
        return NGX_DECLINED;
    }

    bytes_writer_open(&w, text, sizeof(text));
    bytes_writer_text(&w, prefix);
    bytes_writer_bytes(&w, key);

    if (w.failed) {
        return NGX_DECLINED;
    }

    rc = ngx_mesh_storage_hot_find(&service->hot, rest->store_ns,
                                   bytes_writer_view(&w), &rest->place, row);

    rest->placed = (rc == NGX_DECLINED);

    return rc == NGX_OK ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_mesh_storage_rest_hot_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    if (rest->placed && job->rc == STORE_OK && job->rows[0].count != 0) {
        ngx_mesh_storage_hot_add(&rest->mcf->service.hot, rest->store_ns,
                                 &rest->place, &job->rows[0].rows[0]);
    }

    return rest->fetched(rest, job);
}
