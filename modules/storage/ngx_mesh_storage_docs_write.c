/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Requests for one document: read it, or change it and answer; and POST to a
 * collection.  A change reads, works out its operations and writes them, and
 * begins anew when something came in between.  Event loop only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "id.h"
#include "ngx_mesh_storage_docs_query.h"
#include "ngx_mesh_storage_once.h"


#define NGX_MESH_STORAGE_DOCS_ALLOW   "GET, HEAD, PUT, PATCH, DELETE"
#define NGX_MESH_STORAGE_DOCS_POOL    4096    /* bytes, of a job */
#define NGX_MESH_STORAGE_DOCS_ANSWER  512     /* bytes, beside names */
#define NGX_MESH_STORAGE_DOCS_KEY_MAX                                         \
    (NGX_MESH_STORAGE_COLLECTION_MAX + 1 + NGX_MESH_STORAGE_ID_MAX)


typedef struct {
    ngx_mesh_storage_docs_change_t   change;
    ngx_uint_t                       tries;
    ngx_mesh_storage_answer_t        answer;   /* POST */
    unsigned                         post:1;
    bytes_t                          item;     /* "<collection>/<id>" */
} ngx_mesh_storage_docs_write_t;


static ngx_int_t ngx_mesh_storage_docs_write_get(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_docs_write_get_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_docs_write_begin(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_docs_kind_t kind,
    bytes_t collection, bytes_t id);
static ngx_int_t ngx_mesh_storage_docs_write_open(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_docs_write_id(
    ngx_mesh_storage_rest_t *rest, bytes_t collection, bytes_t *id);
static ngx_int_t ngx_mesh_storage_docs_write_once(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_docs_write_create(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_docs_write_answer(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_docs_write_read(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_docs_write_read_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_docs_write_ops(
    ngx_mesh_storage_rest_t *rest, const store_rows_t *rows,
    ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_docs_write_refused(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_docs_write_refuse(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_docs_write_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_docs_write_failed(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_docs_write_send(
    ngx_mesh_storage_rest_t *rest, uint64_t seq);
static ngx_int_t ngx_mesh_storage_docs_write_json(
    ngx_mesh_storage_rest_t *rest, ngx_uint_t status, uint64_t seq);


ngx_int_t
ngx_mesh_storage_docs_write(ngx_mesh_storage_rest_t *rest,
    bytes_t collection, bytes_t id)
{
    const char  *fault;

    fault = ngx_mesh_storage_docs_name(collection, id);

    if (fault) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                                             fault);
    }

    switch (rest->r->method) {

    case NGX_HTTP_GET:
    case NGX_HTTP_HEAD:
        return ngx_mesh_storage_docs_write_get(rest);

    case NGX_HTTP_PUT:
        return ngx_mesh_storage_docs_write_begin(rest,
                                                 NGX_MESH_STORAGE_DOCS_PUT,
                                                 collection, id);

    case NGX_HTTP_PATCH:
        return ngx_mesh_storage_docs_write_begin(rest,
                                                 NGX_MESH_STORAGE_DOCS_PATCH,
                                                 collection, id);

    case NGX_HTTP_DELETE:
        return ngx_mesh_storage_docs_write_begin(rest,
                                                NGX_MESH_STORAGE_DOCS_DELETE,
                                                collection, id);

    default:
        return ngx_mesh_storage_rest_method(rest,
                                            NGX_MESH_STORAGE_DOCS_ALLOW);
    }
}


/* GET */

static ngx_int_t
ngx_mesh_storage_docs_write_get(ngx_mesh_storage_rest_t *rest)
{
    ngx_int_t  rc;

    if (ngx_mesh_storage_rest_allow(rest, "/storage/read", "docs",
                                    rest->path, &rc)
        != NGX_OK)
    {
        return rc;
    }

    return ngx_mesh_storage_rest_hot(rest, "d/", rest->path,
                                     ngx_mesh_storage_docs_write_get_done);
}


static ngx_int_t
ngx_mesh_storage_docs_write_get_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    bytes_writer_t      w;
    const store_row_t  *row;

    if (job->rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    if (job->rows[0].count == 0) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_NOT_FOUND, NULL);
    }

    row = &job->rows[0].rows[0];

    if (ngx_mesh_storage_rest_etag(rest, row->seq) != NGX_OK
        || ngx_mesh_storage_rest_expires(rest, row->expires_ms) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_mesh_storage_rest_not_modified(rest, row->seq)) {
        rest->r->headers_out.content_length_n = -1;
        return ngx_mesh_reply_empty(rest->r, NGX_HTTP_NOT_MODIFIED);
    }

    if (ngx_mesh_storage_rest_writer(rest, &w, row->value.len) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    bytes_writer_bytes(&w, row->value);

    return ngx_mesh_storage_rest_reply(rest, NGX_HTTP_OK, &w);
}


/* Changes. */

static ngx_int_t
ngx_mesh_storage_docs_write_begin(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_docs_kind_t kind, bytes_t collection, bytes_t id)
{
    ngx_int_t                       rc;
    ngx_mesh_storage_docs_write_t  *write;

    if (ngx_mesh_storage_rest_allow(rest, "/storage/write", "docs",
                                    rest->path, &rc)
        != NGX_OK)
    {
        return rc;
    }

    write = ngx_pcalloc(rest->r->pool, sizeof(ngx_mesh_storage_docs_write_t));

    if (write == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    write->change.kind = kind;
    write->change.collection = collection;
    write->change.id = id;
    write->item = rest->path;
    rest->data = write;

    switch (kind) {

    case NGX_MESH_STORAGE_DOCS_PUT:
        return ngx_mesh_storage_rest_body(rest, rest->lcf->value_size,
                                          "application/json",
                                          ngx_mesh_storage_docs_write_open);

    case NGX_MESH_STORAGE_DOCS_PATCH:
        return ngx_mesh_storage_rest_body(rest, rest->lcf->value_size,
                                          "application/merge-patch+json",
                                          ngx_mesh_storage_docs_write_open);

    default:
        return ngx_mesh_storage_docs_write_open(rest);
    }
}


static ngx_int_t
ngx_mesh_storage_docs_write_open(ngx_mesh_storage_rest_t *rest)
{
    ngx_mesh_storage_docs_write_t   *write;
    ngx_mesh_storage_docs_change_t  *change;

    write = rest->data;
    change = &write->change;

    change->ns = rest->ns;
    change->body = rest->object.raw;
    change->condition = rest->condition;
    change->if_seq = rest->if_seq;
    change->expires_ms = rest->expires_ms;
    change->value_max = rest->lcf->value_size;

    /* the DID of a long RSA key is said by its beginning */

    change->note = bytes_make(rest->principal->did.data,
                              ngx_min(rest->principal->did.len,
                                      STORE_META_MAX));

    if (write->post) {
        change->condition = STORE_IF_ABSENT;
    }

    if (ngx_mesh_storage_docs_open(change, rest->r->pool) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_docs_write_read(rest);
}


/* POST */

ngx_int_t
ngx_mesh_storage_docs_write_new(ngx_mesh_storage_rest_t *rest,
    bytes_t collection)
{
    bytes_t                         id;
    ngx_int_t                       rc;
    const char                     *fault;
    ngx_mesh_storage_docs_write_t  *write;

    fault = ngx_mesh_storage_docs_name(collection, bytes_make(NULL, 0));

    if (fault == NULL && rest->condition != STORE_ANY) {
        fault = "a new document has no state that If-Match could mean";
    }

    if (fault) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                                             fault);
    }

    write = ngx_pcalloc(rest->r->pool, sizeof(ngx_mesh_storage_docs_write_t));

    if (write == NULL
        || ngx_mesh_storage_docs_write_id(rest, collection, &id) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    write->post = 1;
    write->change.kind = NGX_MESH_STORAGE_DOCS_PUT;
    write->change.collection = collection;
    write->item = id;
    write->change.id = bytes_make(id.data + collection.len + 1,
                                  id.len - collection.len - 1);
    rest->data = write;

    if (ngx_mesh_storage_rest_allow(rest, "/storage/write", "docs", id, &rc)
        != NGX_OK)
    {
        return rc;
    }

    return ngx_mesh_storage_rest_body(rest, rest->lcf->value_size,
                                      "application/json",
                                      ngx_mesh_storage_docs_write_once);
}


/* "<collection>/<a new id>" */
static ngx_int_t
ngx_mesh_storage_docs_write_id(ngx_mesh_storage_rest_t *rest,
    bytes_t collection, bytes_t *id)
{
    char         text[ID_LEN];
    ngx_time_t  *tp;
    bytes_t      prefix;

    tp = ngx_timeofday();
    id_create(text, 'd', (int64_t) tp->sec * 1000 + tp->msec);

    prefix = ngx_mesh_storage_rest_key(rest->r->pool, "", collection,
                                       bytes_of("/"));

    *id = ngx_mesh_storage_rest_key(rest->r->pool, "", prefix,
                                    bytes_make(text + 2, ID_LEN - 2));

    return (prefix.len != 0 && id->len != 0) ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_mesh_storage_docs_write_once(ngx_mesh_storage_rest_t *rest)
{
    return ngx_mesh_storage_once_find(rest,
                                      ngx_mesh_storage_docs_write_create);
}


static ngx_int_t
ngx_mesh_storage_docs_write_create(ngx_mesh_storage_rest_t *rest)
{
    if (ngx_mesh_storage_docs_write_answer(rest) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_docs_write_open(rest);
}


static ngx_int_t
ngx_mesh_storage_docs_write_answer(ngx_mesh_storage_rest_t *rest)
{
    json_write_t                    j;
    bytes_writer_t                  w;
    ngx_mesh_storage_docs_write_t  *write;

    write = rest->data;
    write->answer.status = NGX_HTTP_CREATED;
    write->answer.etag = 0;

    /* the path may have been sent with "me", or a slash behind it */

    if (ngx_mesh_storage_rest_writer(rest, &w, 64
                                     + 3 * (rest->ns.len + write->item.len))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    bytes_writer_text(&w, "/api/storage/docs/");
    bytes_writer_bytes(&w, rest->ns);
    bytes_writer_byte(&w, '/');
    w.pos = (u_char *) ngx_escape_uri(w.pos,
                                      (u_char *) write->change.collection.data,
                                      write->change.collection.len,
                                      NGX_ESCAPE_URI_COMPONENT);
    bytes_writer_byte(&w, '/');
    bytes_writer_bytes(&w, write->change.id);

    write->answer.location = bytes_writer_view(&w);

    if (rest->minimal) {
        return w.failed ? NGX_ERROR : NGX_OK;
    }

    if (rest->representation) {
        write->answer.body = rest->object.raw;
        return w.failed ? NGX_ERROR : NGX_OK;
    }

    if (ngx_mesh_storage_rest_writer(rest, &w, NGX_MESH_STORAGE_DOCS_ANSWER
                                + 2 * json_write_string_max(write->item.len))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member(&j, "id", write->change.id);
    json_write_member(&j, "key", write->item);
    json_write_key(&j, "etag");
    ngx_mesh_storage_once_etag(&j, 0);
    json_write_key(&j, "seq");
    ngx_mesh_storage_once_seq(&j, 0);
    ngx_mesh_storage_rest_json_time(&j, "expiresAt", rest->expires_ms);
    json_write_object_end(&j);

    write->answer.body = bytes_writer_view(&w);

    return w.failed ? NGX_ERROR : NGX_OK;
}


/* Read, work out, write. */

static ngx_int_t
ngx_mesh_storage_docs_write_read(ngx_mesh_storage_rest_t *rest)
{
    size_t                          n;
    store_read_t                   *reads;
    ngx_mesh_store_job_t           *job;
    ngx_mesh_storage_docs_write_t  *write;

    write = rest->data;

    if (write->tries++ == NGX_MESH_STORAGE_DOCS_TRIES) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BUSY,
                   "others change this document, or the indexes, all the "
                   "time");
    }

    job = ngx_mesh_store_job_create(NGX_MESH_STORAGE_DOCS_POOL,
                                    rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    reads = ngx_mesh_store_job_reads(job, NGX_MESH_STORAGE_DOCS_READS_MAX);
    n = reads ? ngx_mesh_storage_docs_reads(&write->change, job->pool, reads)
              : 0;

    if (n == 0) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    job->read_count = n;

    return ngx_mesh_storage_rest_read(rest, job,
                                      ngx_mesh_storage_docs_write_read_done);
}


static ngx_int_t
ngx_mesh_storage_docs_write_read_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_int_t                       rc;
    ngx_mesh_store_job_t           *next;
    ngx_mesh_storage_docs_write_t  *write;

    write = rest->data;

    if (job->rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    next = ngx_mesh_store_job_create(NGX_MESH_STORAGE_DOCS_POOL,
                                     rest->r->connection->log);

    if (next == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_mesh_storage_docs_write_ops(rest, job->rows, next);

    if (rc == NGX_OK) {

        /* the condition is settled for a POST, which writes what is new */

        return write->post
               ? ngx_mesh_storage_rest_write(rest, next,
                                             ngx_mesh_storage_docs_write_done)
               : ngx_mesh_storage_rest_change(rest, next,
                                          ngx_mesh_storage_docs_write_done,
                                          ngx_mesh_storage_docs_write_read);
    }

    ngx_mesh_store_job_destroy(&rest->mcf->store, next);

    switch (rc) {

    case NGX_AGAIN:
        return ngx_mesh_storage_docs_write_read(rest);

    case NGX_DECLINED:
        return ngx_mesh_storage_docs_write_refused(rest);

    default:
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
}


static ngx_int_t
ngx_mesh_storage_docs_write_ops(ngx_mesh_storage_rest_t *rest,
    const store_rows_t *rows, ngx_mesh_store_job_t *job)
{
    size_t                          count;
    ngx_int_t                       rc;
    store_op_t                     *ops;
    ngx_mesh_storage_docs_write_t  *write;

    write = rest->data;

    /* and the answer's, and the check of the namespace's settings */

    ops = ngx_mesh_store_job_ops(job, NGX_MESH_STORAGE_DOCS_OPS_MAX + 2);

    if (ops == NULL) {
        return NGX_ERROR;
    }

    count = 0;
    rc = ngx_mesh_storage_docs_ops(&write->change, job->pool, rows, ops,
                                   &count);
    job->write.count = count;

    if (rc == NGX_OK && write->post) {
        rc = ngx_mesh_storage_once_add(rest, job, &write->answer);
    }

    return rc;
}


/* A POST that lost to another with its key gets that one's answer. */
static ngx_int_t
ngx_mesh_storage_docs_write_refused(ngx_mesh_storage_rest_t *rest)
{
    ngx_mesh_storage_docs_write_t  *write;

    write = rest->data;

    return write->post
           ? ngx_mesh_storage_once_find(rest,
                                        ngx_mesh_storage_docs_write_refuse)
           : ngx_mesh_storage_docs_write_refuse(rest);
}


static ngx_int_t
ngx_mesh_storage_docs_write_refuse(ngx_mesh_storage_rest_t *rest)
{
    ngx_mesh_storage_docs_write_t  *write;

    write = rest->data;

    /* who may not read is not told whether there was one to delete */

    if (write->change.problem == PROBLEM_NOT_FOUND
        && write->change.kind == NGX_MESH_STORAGE_DOCS_DELETE
        && ngx_mesh_storage_rest_may(rest, "/storage/read", "docs",
                                     write->item)
           != UCAN_OK)
    {
        return ngx_mesh_reply_empty(rest->r, NGX_HTTP_NO_CONTENT);
    }

    return ngx_mesh_storage_docs_refuse(rest, &write->change);
}


static ngx_int_t
ngx_mesh_storage_docs_write_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_mesh_storage_docs_write_t  *write;

    write = rest->data;

    if (job->write.rc != STORE_OK) {
        return ngx_mesh_storage_docs_write_failed(rest, job);
    }

    if (write->post) {
        return ngx_mesh_storage_once_send(rest, job, &write->answer);
    }

    return ngx_mesh_storage_docs_write_send(rest,
                              job->write.results[write->change.main].seq);
}


static ngx_int_t
ngx_mesh_storage_docs_write_failed(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_int_t                        rc;
    ngx_mesh_storage_docs_write_t   *write;
    ngx_mesh_storage_docs_change_t  *change;

    write = rest->data;
    change = &write->change;

    if (job->write.rc == STORE_CONDITION
        && job->write.failed < change->first + change->count)
    {
        return (ngx_mesh_storage_docs_failed(change, &job->write)
                == NGX_AGAIN) ? ngx_mesh_storage_docs_write_read(rest)
                              : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = write->post ? ngx_mesh_storage_once_failed(rest, job)
                     : NGX_DECLINED;

    return (rc == NGX_DECLINED)
           ? ngx_mesh_storage_rest_store_problem(rest, job) : rc;
}


static ngx_int_t
ngx_mesh_storage_docs_write_send(ngx_mesh_storage_rest_t *rest,
    uint64_t seq)
{
    ngx_uint_t                       status;
    bytes_writer_t                   w;
    ngx_mesh_storage_docs_write_t   *write;
    ngx_mesh_storage_docs_change_t  *change;

    write = rest->data;
    change = &write->change;

    if (change->kind == NGX_MESH_STORAGE_DOCS_DELETE) {
        return ngx_mesh_reply_empty(rest->r, NGX_HTTP_NO_CONTENT);
    }

    if (ngx_mesh_storage_rest_etag(rest, seq) != NGX_OK
        || ngx_mesh_storage_rest_expires(rest, change->until_ms) != NGX_OK
        || (change->created && ngx_mesh_storage_rest_location(rest)
                               != NGX_OK))
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rest->minimal) {
        return ngx_mesh_reply_empty(rest->r, NGX_HTTP_NO_CONTENT);
    }

    status = change->created ? NGX_HTTP_CREATED : NGX_HTTP_OK;

    if (!rest->representation
        || (change->kind == NGX_MESH_STORAGE_DOCS_PATCH
            && ngx_mesh_storage_rest_may(rest, "/storage/read", "docs",
                                         write->item)
               != UCAN_OK))
    {
        return ngx_mesh_storage_docs_write_json(rest, status, seq);
    }

    if (ngx_mesh_storage_rest_writer(rest, &w, change->document.len)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    bytes_writer_bytes(&w, change->document);

    return ngx_mesh_storage_rest_reply(rest, status, &w);
}


static ngx_int_t
ngx_mesh_storage_docs_write_json(ngx_mesh_storage_rest_t *rest,
    ngx_uint_t status, uint64_t seq)
{
    json_write_t                    j;
    bytes_writer_t                  w;
    ngx_mesh_storage_docs_write_t  *write;

    write = rest->data;

    if (ngx_mesh_storage_rest_writer(rest, &w, NGX_MESH_STORAGE_DOCS_ANSWER
                     + 2 * json_write_string_max(
                               (size_t) NGX_MESH_STORAGE_DOCS_KEY_MAX))
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member(&j, "id", write->change.id);
    json_write_member(&j, "key", write->item);
    ngx_mesh_storage_rest_json_etag(&j, seq);
    ngx_mesh_storage_rest_json_time(&j, "expiresAt", write->change.until_ms);
    json_write_object_end(&j);

    return ngx_mesh_storage_rest_reply(rest, status, &w);
}
