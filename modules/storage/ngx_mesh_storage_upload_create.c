/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * POST of an upload: its items are written, then the bytes that came with it
 * are taken as those of a PATCH.
 *
 * Event loop only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <sodium.h>

#include "ngx_mesh_storage_path.h"
#include "ngx_mesh_storage_upload.h"


static ngx_int_t ngx_mesh_storage_upload_create_write(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_upload_create_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);


/* POST. */

ngx_int_t
ngx_mesh_storage_upload_create(ngx_mesh_storage_rest_t *rest)
{
    off_t                       length, defer;
    ngx_int_t                   rc, told, deferred;
    const char                 *fault;
    ngx_mesh_storage_upload_t  *upload;

    upload = rest->data;
    length = 0;
    defer = 0;

    told = ngx_mesh_storage_upload_item_number(rest, "upload-length", &length);
    deferred = ngx_mesh_storage_upload_item_number(rest, "upload-defer-length",
                                               &defer);

    if (told == NGX_ERROR || deferred == NGX_ERROR
        || (told == NGX_OK) == (deferred == NGX_OK)
        || (deferred == NGX_OK && defer != 1))
    {
        return ngx_mesh_storage_uploads_refuse(rest, PROBLEM_BAD_REQUEST,
                   "an upload needs either Upload-Length, in bytes, or "
                   "\"Upload-Defer-Length: 1\"");
    }

    if (length > rest->lcf->blob_size) {
        return ngx_mesh_storage_sink_too_large(rest, rest->lcf->blob_size);
    }

    fault = ngx_mesh_storage_upload_item_metadata(rest, upload);

    if (fault == NULL) {
        fault = ngx_mesh_storage_upload_item_checksum(rest, upload);
    }

    if (fault) {
        return ngx_mesh_storage_uploads_refuse(rest, PROBLEM_BAD_REQUEST,
                                               fault);
    }

    if (ngx_mesh_storage_rest_allow(rest, "/storage/write", "blobs",
                                    upload->name, &rc)
        != NGX_OK)
    {
        return rc;
    }

    upload->length = (uint64_t) length;
    upload->flags = (deferred == NGX_OK) ? NGX_MESH_STORAGE_UPLOAD_DEFER : 0;
    upload->blob_ms = (uint64_t) rest->expires_ms;
    upload->ns = rest->ns;
    upload->did = bytes_make(rest->principal->did.data,
                             rest->principal->did.len);

    upload->expires_ms = ((uint64_t) ngx_time()
                          + (uint64_t) rest->lcf->upload_time) * 1000;

    return ngx_mesh_storage_upload_create_write(rest);
}


static ngx_int_t
ngx_mesh_storage_upload_create_write(ngx_mesh_storage_rest_t *rest)
{
    u_char                     *p, random[NGX_MESH_STORAGE_UPLOAD_ID / 2];
    ngx_mesh_storage_upload_t  *upload;

    upload = rest->data;
    p = ngx_pnalloc(rest->r->pool, NGX_MESH_STORAGE_UPLOAD_ID + 1);

    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    randombytes_buf(random, sizeof(random));
    (void) ngx_hex_dump(p, random, sizeof(random));
    p[NGX_MESH_STORAGE_UPLOAD_ID] = '\0';

    upload->id = bytes_make(p, NGX_MESH_STORAGE_UPLOAD_ID);

    return ngx_mesh_storage_upload_item_write(rest, STORE_PUT,
               ngx_mesh_storage_upload_create_done);
}


static ngx_int_t
ngx_mesh_storage_upload_create_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    u_char                     *p;
    ngx_str_t                   location;
    ngx_mesh_storage_upload_t  *upload;

    static const char  base[] = NGX_MESH_STORAGE_PATH_BASE "/uploads/";

    upload = rest->data;

    if (job->write.rc != STORE_OK) {
        ngx_mesh_storage_sink_refuse(rest);
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    upload->seq = job->write.results[0].seq;
    upload->status = NGX_HTTP_CREATED;

    p = ngx_pnalloc(rest->r->pool, sizeof(base) + rest->ns.len
                                   + upload->id.len);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    location.data = p;
    p = ngx_cpymem(p, base, sizeof(base) - 1);
    p = ngx_cpymem(p, rest->ns.data, rest->ns.len);
    *p++ = '/';
    p = ngx_cpymem(p, upload->id.data, upload->id.len);
    location.len = p - location.data;

    if (ngx_mesh_reply_header(rest->r, "Location", &location) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_mesh_storage_uploads_octets(rest) == NGX_OK) {
        return ngx_mesh_storage_uploads_part(rest);
    }

    if (upload->length == 0
        && !(upload->flags & NGX_MESH_STORAGE_UPLOAD_DEFER))
    {
        return ngx_mesh_storage_upload_end(rest);
    }

    return ngx_mesh_storage_uploads_reply(rest);
}
