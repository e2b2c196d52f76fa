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


ngx_int_t
ngx_mesh_storage_rest_hot(ngx_mesh_storage_rest_t *rest, const char *prefix,
    bytes_t key, store_row_t *row)
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


void
ngx_mesh_storage_rest_hot_add(ngx_mesh_storage_rest_t *rest,
    const store_row_t *row)
{
    if (rest->placed) {
        ngx_mesh_storage_hot_add(&rest->mcf->service.hot, rest->store_ns,
                                 &rest->place, row);
    }
}
