/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What this node's storage is: "/api/storage" for whoever writes against the
 * API, "/api/storage/health" for whoever runs it.  Figures of the engine are
 * for those with "/storage/admin" or "/mesh/metrics"; others see whether it
 * works.  Event loop only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_caller.h"
#include "timestamp.h"
#include "version.h"


#define NGX_MESH_STORAGE_INFO_SIZE  2048    /* bytes of an answer */


static ngx_int_t ngx_mesh_storage_info_read(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_info_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job);
static void ngx_mesh_storage_info_limits(ngx_mesh_storage_rest_t *rest,
    json_write_t *j);
static void ngx_mesh_storage_info_capabilities(ngx_mesh_storage_rest_t *rest,
    json_write_t *j);
static void ngx_mesh_storage_info_figures(json_write_t *j,
    const store_health_t *health);
static ngx_uint_t ngx_mesh_storage_info_reads(ngx_mesh_storage_rest_t *rest);


ngx_int_t
ngx_mesh_storage_info(ngx_mesh_storage_rest_t *rest)
{
    if (rest->r->method != NGX_HTTP_GET && rest->r->method != NGX_HTTP_HEAD) {
        return ngx_mesh_storage_rest_method(rest, "GET, HEAD");
    }

    return ngx_mesh_storage_caller_find(rest, ngx_mesh_storage_info_read);
}


static ngx_int_t
ngx_mesh_storage_info_read(ngx_mesh_storage_rest_t *rest)
{
    ngx_mesh_store_job_t  *job;

    rest->store_ns = bytes_of(STORE_NS_STORE);

    job = ngx_mesh_storage_rest_get(rest, "", bytes_of(STORE_KEY_EPOCH));

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_rest_read(rest, job, ngx_mesh_storage_info_done);
}


static ngx_int_t
ngx_mesh_storage_info_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    json_write_t    j;
    store_health_t  health;
    bytes_writer_t  w;

    if (job->rc != STORE_OK
        || rest->mcf->store.health(&health) != NGX_OK)
    {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    if (ngx_mesh_storage_rest_writer(rest, &w, NGX_MESH_STORAGE_INFO_SIZE)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member_text(&j, "version", MESH_VERSION);
    json_write_member_text(&j, "adapter", health.adapter);
    json_write_member_text(&j, "engine", health.version);

    if (job->rows[0].count != 0) {
        json_write_member(&j, "epoch", job->rows[0].rows[0].value);
    }

    if (rest->caller.len != 0) {
        json_write_member(&j, "namespace", rest->caller);
    }

    ngx_mesh_storage_info_capabilities(rest, &j);
    ngx_mesh_storage_info_limits(rest, &j);
    json_write_object_end(&j);

    return ngx_mesh_storage_rest_reply(rest, NGX_HTTP_OK, &w);
}


static void
ngx_mesh_storage_info_capabilities(ngx_mesh_storage_rest_t *rest,
    json_write_t *j)
{
    ngx_http_mesh_storage_main_conf_t  *mcf;

    mcf = rest->mcf;

    json_write_key(j, "capabilities");
    json_write_object(j);
    json_write_member_bool(j, "atomicBatch", 1);
    json_write_member_bool(j, "fts", mcf->search.len != 0);
    json_write_member_bool(j, "vector", 0);
    json_write_member_bool(j, "blobResume", 1);
    json_write_member_bool(j, "backup", mcf->backups.len != 0);
    json_write_member_text(j, "durability",
                           mcf->mongo.len != 0 ? "majority"
                           : mcf->durability ? "full" : "normal");
    json_write_object_end(j);
}


static void
ngx_mesh_storage_info_limits(ngx_mesh_storage_rest_t *rest, json_write_t *j)
{
    ngx_http_mesh_storage_loc_conf_t  *lcf;

    lcf = rest->lcf;

    json_write_key(j, "limits");
    json_write_object(j);
    json_write_member_integer(j, "namespaceBytes", NGX_MESH_STORAGE_NS_MAX);
    json_write_member_integer(j, "keyBytes", NGX_MESH_STORAGE_KEY_MAX);
    json_write_member_integer(j, "valueBytes", lcf->value_size);
    json_write_member_integer(j, "bodyBytes", lcf->body_size);
    json_write_member_integer(j, "blobBytes", lcf->blob_size);
    json_write_member_integer(j, "pageItems",
                              NGX_MESH_STORAGE_REST_LIMIT_MAX);
    json_write_member_integer(j, "uploadSeconds", lcf->upload_time);
    json_write_member_integer(j, "onceSeconds", lcf->once_time);
    json_write_member_integer(j, "changesSeconds", rest->mcf->changes_time);
    json_write_object_end(j);
}


ngx_int_t
ngx_mesh_storage_info_health(ngx_mesh_storage_rest_t *rest)
{
    ngx_uint_t        ok, open;
    json_write_t      j;
    store_health_t    health;
    bytes_writer_t    w;
    static ngx_str_t  one = ngx_string("1");

    if (rest->path.len != 0) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_NOT_FOUND, NULL);
    }

    if (rest->r->method != NGX_HTTP_GET && rest->r->method != NGX_HTTP_HEAD) {
        return ngx_mesh_storage_rest_method(rest, "GET, HEAD");
    }

    if (ngx_mesh_storage_rest_writer(rest, &w, NGX_MESH_STORAGE_INFO_SIZE)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    open = rest->mcf->store.health(&health) == NGX_OK;
    ok = open && !health.failed;

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member_bool(&j, "ok", (int) ok);

    if (open) {
        json_write_member_text(&j, "adapter", health.adapter);

        if (ngx_mesh_storage_info_reads(rest)) {
            ngx_mesh_storage_info_figures(&j, &health);
        }
    }

    json_write_object_end(&j);

    if (!ok && ngx_mesh_reply_header(rest->r, "Retry-After", &one) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_rest_reply(rest, ok ? NGX_HTTP_OK
                                            : NGX_HTTP_SERVICE_UNAVAILABLE,
                                       &w);
}


static void
ngx_mesh_storage_info_figures(json_write_t *j, const store_health_t *health)
{
    u_char          buf[TIMESTAMP_LEN];
    bytes_writer_t  w;

    json_write_member_text(j, "engine", health->version);
    json_write_member_integer(j, "queue", (int64_t) health->queue);
    json_write_member_integer(j, "walBytes", (int64_t) health->wal_bytes);
    json_write_member_integer(j, "commits", (int64_t) health->commits);
    json_write_member_integer(j, "writes", (int64_t) health->writes);

    if (health->checkpoint_ms == 0) {
        return;
    }

    bytes_writer_open(&w, buf, sizeof(buf));
    timestamp_write(&w, health->checkpoint_ms);

    json_write_member(j, "lastCheckpoint", bytes_writer_view(&w));
}


/* May the caller see figures of the whole node? */
static ngx_uint_t
ngx_mesh_storage_info_reads(ngx_mesh_storage_rest_t *rest)
{
    bytes_t  none = bytes_make(NULL, 0);

    return ngx_mesh_storage_rest_may(rest, "/storage/admin", "", none)
           == UCAN_OK
           || ngx_mesh_storage_rest_may(rest, "/mesh/metrics", "", none)
              == UCAN_OK;
}
