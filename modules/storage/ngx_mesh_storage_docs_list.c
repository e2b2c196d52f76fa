/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The collections of a namespace: those that have documents.  Found by
 * leaping from one to the next, a read each, so that large ones cost nothing.
 * Event loop only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_docs_query.h"


#define NGX_MESH_STORAGE_DOCS_LIST_READS  1000    /* of a request */
#define NGX_MESH_STORAGE_DOCS_LIST_NAME                                       \
    (json_write_string_max((size_t) NGX_MESH_STORAGE_COLLECTION_MAX) + 16)


typedef struct {
    uint64_t        limit;
    size_t          count;
    size_t          reads;
    bytes_t         last;         /* the collection met last; empty: none */
    u_char          name[NGX_MESH_STORAGE_COLLECTION_MAX];
    json_write_t    j;
    bytes_writer_t  w;
} ngx_mesh_storage_docs_list_t;


static ngx_int_t ngx_mesh_storage_docs_list_read(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_docs_list_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_docs_list_add(
    ngx_mesh_storage_rest_t *rest, const store_row_t *row);
static ngx_int_t ngx_mesh_storage_docs_list_send(
    ngx_mesh_storage_rest_t *rest, ngx_uint_t more);


static const ngx_mesh_storage_rest_number_t
    ngx_mesh_storage_docs_list_limit =
{
    "limit", 1, NGX_MESH_STORAGE_REST_LIMIT_MAX
};


ngx_int_t
ngx_mesh_storage_docs_list(ngx_mesh_storage_rest_t *rest)
{
    bytes_t                        none = bytes_make(NULL, 0), cursor;
    ngx_int_t                      rc;
    ngx_mesh_storage_docs_list_t  *list;

    if (rest->r->method != NGX_HTTP_GET && rest->r->method != NGX_HTTP_HEAD) {
        return ngx_mesh_storage_rest_method(rest, "GET, HEAD");
    }

    if (ngx_mesh_storage_rest_allow(rest, "/storage/read", "docs", none, &rc)
        != NGX_OK)
    {
        return rc;
    }

    list = ngx_pcalloc(rest->r->pool, sizeof(ngx_mesh_storage_docs_list_t));

    if (list == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    list->limit = NGX_MESH_STORAGE_REST_LIMIT;

    if (ngx_mesh_storage_rest_number(rest, &ngx_mesh_storage_docs_list_limit,
                                     &list->limit, &rc)
        == NGX_ERROR
        || ngx_mesh_storage_rest_cursor(rest, bytes_of("collections"),
                                        &cursor, &rc)
           == NGX_ERROR)
    {
        return rc;
    }

    list->last = bytes_make(list->name, ngx_min(cursor.len,
                                                sizeof(list->name)));
    ngx_memcpy(list->name, cursor.data, list->last.len);

    if (ngx_mesh_storage_rest_writer(rest, &list->w,
                          1024 + list->limit
                                 * NGX_MESH_STORAGE_DOCS_LIST_NAME)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&list->j, &list->w);
    json_write_object(&list->j);
    json_write_key(&list->j, "items");
    json_write_array(&list->j);

    rest->data = list;

    return ngx_mesh_storage_docs_list_read(rest);
}


/* The first document behind all of the last collection: "/" is followed by
   "0". */
static ngx_int_t
ngx_mesh_storage_docs_list_read(ngx_mesh_storage_rest_t *rest)
{
    store_read_t                  *read;
    ngx_mesh_store_job_t          *job;
    ngx_mesh_storage_docs_list_t  *list;

    list = rest->data;
    job = ngx_mesh_storage_rest_get(rest, "d/", bytes_make(NULL, 0));

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    list->reads++;

    read = (store_read_t *) job->reads;
    read->kind = STORE_RANGE;
    read->limit = 1;
    read->keys_only = 1;

    if (list->last.len != 0) {
        read->from_key = ngx_mesh_storage_rest_key(job->pool, "d/",
                                                   list->last, bytes_of("0"));

        if (read->from_key.len == 0) {
            ngx_mesh_store_job_destroy(&rest->mcf->store, job);
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    return ngx_mesh_storage_rest_read(rest, job,
                                      ngx_mesh_storage_docs_list_done);
}


static ngx_int_t
ngx_mesh_storage_docs_list_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_mesh_storage_docs_list_t  *list;

    list = rest->data;

    if (job->rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    if (job->rows[0].count == 0) {
        return ngx_mesh_storage_docs_list_send(rest, 0);
    }

    if (list->count == list->limit
        || list->reads == NGX_MESH_STORAGE_DOCS_LIST_READS)
    {
        return ngx_mesh_storage_docs_list_send(rest, 1);
    }

    if (ngx_mesh_storage_docs_list_add(rest, &job->rows[0].rows[0])
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_docs_list_read(rest);
}


static ngx_int_t
ngx_mesh_storage_docs_list_add(ngx_mesh_storage_rest_t *rest,
    const store_row_t *row)
{
    u_char                        *end;
    bytes_t                        name;
    ngx_mesh_storage_docs_list_t  *list;

    list = rest->data;

    name = bytes_make(row->key.data + 2, row->key.len - 2);
    end = ngx_strlchr((u_char *) name.data, (u_char *) name.data + name.len,
                      '/');

    if (end == NULL || end - name.data > NGX_MESH_STORAGE_COLLECTION_MAX) {
        return NGX_ERROR;
    }

    name.len = end - name.data;

    if (ngx_mesh_storage_rest_may(rest, "/storage/read", "docs",
                                  bytes_make(name.data, name.len + 1))
        == UCAN_OK)
    {
        json_write_object(&list->j);
        json_write_member(&list->j, "name", name);
        json_write_object_end(&list->j);
        list->count++;
    }

    ngx_memcpy(list->name, name.data, name.len);
    list->last = bytes_make(list->name, name.len);

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_docs_list_send(ngx_mesh_storage_rest_t *rest,
    ngx_uint_t more)
{
    ngx_mesh_storage_docs_list_t  *list;

    list = rest->data;
    json_write_array_end(&list->j);

    if (more && ngx_mesh_storage_rest_next(rest, bytes_of("collections"),
                                           list->last, &list->j)
                != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_object_end(&list->j);

    return ngx_mesh_storage_rest_reply(rest, NGX_HTTP_OK, &list->w);
}
