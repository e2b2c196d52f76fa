/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Health: whether the worker that answers can do its work, for people, load
 * balancers and start scripts.  Open to everybody, so it says nothing that
 * only an operator should know.  200, or 503 when this worker's store is not
 * open or its last commit failed.  A node without a store is healthy as long
 * as it answers.
 */


#include "json_write.h"
#include "ngx_mesh_reply.h"
#include "ngx_mesh_status.h"
#include "ngx_mesh_store.h"
#include "version.h"


#define NGX_MESH_STATUS_HEALTH_SIZE  512    /* bytes of the answer */


static ngx_uint_t ngx_mesh_status_health_store(json_write_t *j);


/* When this nginx started; a reload does not change it.  Written in the
   master, inherited by the workers. */
static time_t  ngx_mesh_status_health_started;


void
ngx_mesh_status_health_init(void)
{
    if (ngx_mesh_status_health_started == 0) {
        ngx_mesh_status_health_started = ngx_time();
    }
}


ngx_int_t
ngx_mesh_status_health_handler(ngx_http_request_t *r)
{
    u_char           *buf;
    time_t            uptime;
    ngx_int_t         rc;
    ngx_uint_t        status, ok;
    json_write_t      j, k;
    bytes_writer_t    w, store;
    u_char            text[NGX_MESH_STATUS_HEALTH_SIZE / 2];
    static ngx_str_t  one = ngx_string("1");

    rc = ngx_http_mesh_status_method(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    buf = ngx_pnalloc(r->pool, NGX_MESH_STATUS_HEALTH_SIZE);

    if (buf == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    bytes_writer_open(&store, text, sizeof(text));
    json_write_open(&k, &store);
    ok = ngx_mesh_status_health_store(&k);

    uptime = ngx_time() - ngx_mesh_status_health_started;

    bytes_writer_open(&w, buf, NGX_MESH_STATUS_HEALTH_SIZE);
    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member_bool(&j, "ok", (int) ok);
    json_write_member_text(&j, "status", ok ? "ok" : "degraded");
    json_write_member_text(&j, "version", MESH_VERSION);
    json_write_member_integer(&j, "uptime", (int64_t) ngx_max(uptime, 0));
    json_write_member_raw(&j, "storage", bytes_writer_view(&store));
    json_write_object_end(&j);

    if (w.failed || store.failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    status = ok ? NGX_HTTP_OK : NGX_HTTP_SERVICE_UNAVAILABLE;

    if (!ok && ngx_mesh_reply_header(r, "Retry-After", &one) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_reply_json(r, status, bytes_writer_view(&w));
}


/* Writes the value of "storage"; 1 when nothing is wrong with it. */
static ngx_uint_t
ngx_mesh_status_health_store(json_write_t *j)
{
    ngx_uint_t         ok;
    store_health_t     health;
    ngx_mesh_store_t  *store;

    store = ngx_mesh_store((ngx_cycle_t *) ngx_cycle);

    if (store == NULL || !store->configured) {
        json_write_null(j);
        return 1;
    }

    json_write_object(j);

    if (store->health(&health) != NGX_OK) {
        json_write_member_bool(j, "ok", 0);
        json_write_member_text(j, "error", "the store is not open, see the "
                               "error log");
        json_write_object_end(j);
        return 0;
    }

    ok = (health.failed == 0);

    json_write_member_bool(j, "ok", (int) ok);
    json_write_member_text(j, "adapter", health.adapter);
    json_write_member_text(j, "version", health.version);
    json_write_member_integer(j, "queue", (int64_t) health.queue);
    json_write_member_integer(j, "walBytes", (int64_t) health.wal_bytes);

    if (!ok) {
        json_write_member_text(j, "error", "the last commit failed, see the "
                               "error log");
    }

    json_write_object_end(j);

    return ok;
}
