/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Blobs of a namespace in the order of their names, page by page.
 *
 * The caller must be allowed to read the prefix; then each row is asked for.
 * Event loop only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_blob.h"


static ngx_int_t ngx_mesh_storage_blob_list_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);


/* The list. */

ngx_int_t
ngx_mesh_storage_blob_list(ngx_mesh_storage_rest_t *rest)
{
    bytes_t                *scope, after;
    uint64_t                limit;
    ngx_int_t               rc;
    store_read_t           *read;
    ngx_mesh_store_job_t   *job;

    static const ngx_mesh_storage_rest_number_t  number = {
        "limit", 1, NGX_MESH_STORAGE_REST_LIMIT_MAX
    };

    scope = ngx_pcalloc(rest->r->pool, 2 * sizeof(bytes_t));

    if (scope == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rest->data = scope;
    limit = NGX_MESH_STORAGE_REST_LIMIT;

    if (ngx_mesh_storage_rest_query(rest, "prefix", NGX_MESH_STORAGE_KEY_MAX,
                                    &scope[1], &rc)
        == NGX_ERROR
        || ngx_mesh_storage_rest_number(rest, &number, &limit, &rc)
           == NGX_ERROR)
    {
        return rc;
    }

    if (ngx_mesh_storage_rest_allow(rest, "/storage/read", "blobs", scope[1],
                                    &rc)
        != NGX_OK)
    {
        return rc;
    }

    /* "blobs/<ns>/<prefix>": a namespace has no slash */

    scope[0] = ngx_mesh_storage_rest_key(rest->r->pool, "blobs/", rest->ns,
                                         bytes_make("/", 1));
    scope[0] = ngx_mesh_storage_rest_key(rest->r->pool, "", scope[0],
                                         scope[1]);

    if (scope[0].len == 0) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_mesh_storage_rest_cursor(rest, scope[0], &after, &rc) == NGX_ERROR)
    {
        return rc;
    }

    job = ngx_mesh_storage_rest_get(rest, "b/", scope[1]);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    read = (store_read_t *) job->reads;
    read->kind = STORE_RANGE;
    read->keys_only = 1;
    read->limit = (size_t) limit;

    if (after.len != 0) {
        read->after_key = ngx_mesh_storage_rest_key(job->pool, "b/", after,
                                                    bytes_make(NULL, 0));
    }

    return ngx_mesh_storage_rest_read(rest, job,
                                      ngx_mesh_storage_blob_list_done);
}


static ngx_int_t
ngx_mesh_storage_blob_list_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    size_t                    i, size;
    bytes_t                   name, *scope;
    json_write_t              j;
    store_rows_t             *rows;
    bytes_writer_t            w;
    ngx_mesh_storage_blob_t   blob;

    scope = rest->data;
    rows = &job->rows[0];

    if (job->rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    size = NGX_MESH_STORAGE_BLOB_JSON + 4 * NGX_MESH_STORAGE_KEY_MAX;

    for (i = 0; i < rows->count; i++) {
        size += NGX_MESH_STORAGE_BLOB_JSON
                + json_write_string_max(rows->rows[i].key.len)
                + json_write_string_max(NGX_MESH_STORAGE_TYPE_MAX);
    }

    if (ngx_mesh_storage_rest_writer(rest, &w, size) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_key(&j, "items");
    json_write_array(&j);

    name = bytes_make(NULL, 0);

    for (i = 0; i < rows->count; i++) {
        name = bytes_make(rows->rows[i].key.data + 2,
                          rows->rows[i].key.len - 2);

        if (ngx_mesh_storage_blob_file_parse(&blob, rows->rows[i].meta)
            != NGX_OK
            || ngx_mesh_storage_rest_may(rest, "/storage/read", "blobs", name)
               != UCAN_OK)
        {
            continue;
        }

        ngx_mesh_storage_blob_list_write(&j, name, &blob, &rows->rows[i]);
    }

    json_write_array_end(&j);

    if (rows->more && name.len != 0
        && ngx_mesh_storage_rest_next(rest, scope[0], name, &j) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_object_end(&j);

    return ngx_mesh_storage_rest_reply(rest, NGX_HTTP_OK, &w);
}


/* row of an answer to PUT: seq and expiry alone. */
void
ngx_mesh_storage_blob_list_write(json_write_t *j, bytes_t name,
    const ngx_mesh_storage_blob_t *blob, const store_row_t *row)
{
    u_char  *p, tag[NGX_MESH_STORAGE_BLOB_HEX + 2];

    tag[0] = '"';
    p = ngx_hex_dump(tag + 1, (u_char *) blob->hash, DIGEST_SHA256_LEN);
    *p = '"';

    json_write_object(j);
    json_write_member(j, "key", name);
    json_write_member(j, "etag", bytes_make(tag, sizeof(tag)));
    json_write_member_integer(j, "seq", (int64_t) row->seq);
    json_write_member_integer(j, "size", (int64_t) blob->size);

    if (blob->type.len != 0) {
        json_write_member(j, "contentType", blob->type);
    }

    ngx_mesh_storage_rest_json_time(j, "updatedAt", row->at_ms);
    ngx_mesh_storage_rest_json_time(j, "expiresAt", row->expires_ms);

    json_write_object_end(j);
}
