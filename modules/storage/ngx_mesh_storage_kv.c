/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Keys: bytes with their Content-Type, and counters.
 *
 * What is stored may be anything, a page with a script included: it is sent
 * so that no browser runs it in our origin.  Event loop only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_kv.h"
#include "ngx_mesh_storage_once.h"


#define NGX_MESH_STORAGE_KV_ALLOW   "GET, HEAD, PUT, DELETE, POST"
#define NGX_MESH_STORAGE_KV_ANSWER  512      /* bytes, beside the key */


static ngx_int_t ngx_mesh_storage_kv_get(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_kv_get_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_kv_send(ngx_mesh_storage_rest_t *rest,
    const store_row_t *row);
static ngx_int_t ngx_mesh_storage_kv_headers(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_kv_bare(ngx_mesh_storage_rest_t *rest,
    ngx_uint_t status);
static ngx_int_t ngx_mesh_storage_kv_put(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_kv_put_body(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_kv_put_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_kv_put_json(ngx_mesh_storage_rest_t *rest,
    ngx_uint_t status, uint64_t seq);
static ngx_int_t ngx_mesh_storage_kv_delete(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_kv_delete_write(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_kv_delete_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_kv_post(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_kv_by(ngx_mesh_storage_rest_t *rest,
    int64_t *by, ngx_int_t *rc);
static ngx_int_t ngx_mesh_storage_kv_incr_body(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_kv_incr(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_kv_incr_answer(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_answer_t *answer);
static ngx_int_t ngx_mesh_storage_kv_incr_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job);


ngx_int_t
ngx_mesh_storage_kv(ngx_mesh_storage_rest_t *rest)
{
    if (rest->path.len == 0) {
        return ngx_mesh_storage_kv_list(rest);
    }

    if (rest->path.len > NGX_MESH_STORAGE_KEY_MAX) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                                             "a key has at most 512 bytes");
    }

    switch (rest->r->method) {

    case NGX_HTTP_GET:
    case NGX_HTTP_HEAD:
        return ngx_mesh_storage_kv_get(rest);

    case NGX_HTTP_PUT:
        return ngx_mesh_storage_kv_put(rest);

    case NGX_HTTP_DELETE:
        return ngx_mesh_storage_kv_delete(rest);

    case NGX_HTTP_POST:
        return ngx_mesh_storage_kv_post(rest);

    default:
        return ngx_mesh_storage_rest_method(rest, NGX_MESH_STORAGE_KV_ALLOW);
    }
}


/* GET */

static ngx_int_t
ngx_mesh_storage_kv_get(ngx_mesh_storage_rest_t *rest)
{
    ngx_int_t  rc;

    if (ngx_mesh_storage_rest_allow(rest, "/storage/read", "kv", rest->path,
                                    &rc)
        != NGX_OK)
    {
        return rc;
    }

    return ngx_mesh_storage_rest_hot(rest, NGX_MESH_STORAGE_KV_PREFIX,
                                     rest->path,
                                     ngx_mesh_storage_kv_get_done);
}


static ngx_int_t
ngx_mesh_storage_kv_get_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    if (job->rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    if (job->rows[0].count == 0) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_NOT_FOUND, NULL);
    }

    return ngx_mesh_storage_kv_send(rest, &job->rows[0].rows[0]);
}


/* The row dies after this: what goes out is a copy. */
static ngx_int_t
ngx_mesh_storage_kv_send(ngx_mesh_storage_rest_t *rest,
    const store_row_t *row)
{
    u_char              *type;
    ngx_int_t            rc;
    ngx_buf_t           *b;
    ngx_chain_t          out;
    ngx_http_request_t  *r;

    r = rest->r;

    if (ngx_mesh_storage_rest_etag(rest, row->seq) != NGX_OK
        || ngx_mesh_storage_rest_expires(rest, row->expires_ms) != NGX_OK
        || ngx_mesh_storage_kv_headers(rest) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_mesh_storage_rest_not_modified(rest, row->seq)) {
        return ngx_mesh_storage_kv_bare(rest, NGX_HTTP_NOT_MODIFIED);
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    type = ngx_pnalloc(r->pool, row->meta.len);
    b = ngx_create_temp_buf(r->pool, row->value.len);

    if (type == NULL || b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memcpy(type, row->meta.data, row->meta.len);

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = row->size;
    r->headers_out.content_type.data = type;
    r->headers_out.content_type.len = row->meta.len;
    r->headers_out.content_type_len = row->meta.len;
    r->headers_out.content_type_lowcase = NULL;

    if (row->size == 0) {
        r->header_only = 1;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->last = ngx_cpymem(b->pos, row->value.data, row->value.len);
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


/* No sniffing, no script, no shared cache. */
static ngx_int_t
ngx_mesh_storage_kv_headers(ngx_mesh_storage_rest_t *rest)
{
    static ngx_str_t  nosniff = ngx_string("nosniff");
    static ngx_str_t  sandbox = ngx_string("sandbox");
    static ngx_str_t  private = ngx_string("private, no-cache");

    if (ngx_mesh_reply_header(rest->r, "X-Content-Type-Options", &nosniff)
        != NGX_OK
        || ngx_mesh_reply_header(rest->r, "Content-Security-Policy",
                                 &sandbox)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_mesh_reply_header(rest->r, "Cache-Control", &private);
}


/* Headers alone. */
static ngx_int_t
ngx_mesh_storage_kv_bare(ngx_mesh_storage_rest_t *rest, ngx_uint_t status)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = rest->r;
    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    r->headers_out.status = status;
    r->headers_out.content_length_n = (status == NGX_HTTP_CREATED) ? 0 : -1;
    r->header_only = 1;

    return ngx_http_send_header(r);
}


/* PUT */

static ngx_int_t
ngx_mesh_storage_kv_put(ngx_mesh_storage_rest_t *rest)
{
    ngx_int_t         rc;
    ngx_table_elt_t  *type;

    if (ngx_mesh_storage_rest_allow(rest, "/storage/write", "kv", rest->path,
                                    &rc)
        != NGX_OK)
    {
        return rc;
    }

    type = rest->r->headers_in.content_type;

    if (type && type->value.len > NGX_MESH_STORAGE_TYPE_MAX) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                   "Content-Type has at most 127 bytes");
    }

    return ngx_mesh_storage_rest_body(rest, rest->lcf->value_size, NULL,
                                      ngx_mesh_storage_kv_put_body);
}


static ngx_int_t
ngx_mesh_storage_kv_put_body(ngx_mesh_storage_rest_t *rest)
{
    bytes_t                none = bytes_make(NULL, 0), type;
    store_op_t            *op;
    ngx_table_elt_t       *h;
    ngx_mesh_store_job_t  *job;

    h = rest->r->headers_in.content_type;
    type = h ? bytes_make(h->value.data, h->value.len)
             : bytes_of("application/octet-stream");

    job = ngx_mesh_storage_rest_put(rest, STORE_PUT,
                                    NGX_MESH_STORAGE_KV_PREFIX, rest->path,
                                    1);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    op = job->write.ops;
    op->value = ngx_mesh_storage_rest_key(job->pool, "", rest->body, none);
    op->meta = ngx_mesh_storage_rest_key(job->pool, "", type, none);

    if (op->value.data == NULL || op->meta.data == NULL) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_rest_change(rest, job,
                                        ngx_mesh_storage_kv_put_done,
                                        ngx_mesh_storage_kv_put_body);
}


static ngx_int_t
ngx_mesh_storage_kv_put_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    uint64_t         seq;
    ngx_uint_t       created;
    store_result_t  *result;

    if (job->write.rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    result = job->write.results;
    seq = result->seq;
    created = (result->number == 1);

    if (ngx_mesh_storage_rest_etag(rest, seq) != NGX_OK
        || ngx_mesh_storage_rest_expires(rest, rest->expires_ms) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (created && ngx_mesh_storage_rest_location(rest) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rest->representation) {
        return ngx_mesh_storage_kv_put_json(rest,
                                            created ? NGX_HTTP_CREATED
                                                    : NGX_HTTP_OK, seq);
    }

    return ngx_mesh_storage_kv_bare(rest, created && !rest->minimal
                                          ? NGX_HTTP_CREATED
                                          : NGX_HTTP_NO_CONTENT);
}


/* Not the bytes, which the client has: what the store made of them. */
static ngx_int_t
ngx_mesh_storage_kv_put_json(ngx_mesh_storage_rest_t *rest,
    ngx_uint_t status, uint64_t seq)
{
    json_write_t    j;
    bytes_writer_t  w;

    if (ngx_mesh_storage_rest_writer(rest, &w, NGX_MESH_STORAGE_KV_ANSWER
                                     + json_write_string_max(rest->path.len))
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member(&j, "key", rest->path);
    ngx_mesh_storage_rest_json_etag(&j, seq);
    json_write_member_integer(&j, "size", (int64_t) rest->body.len);
    ngx_mesh_storage_rest_json_time(&j, "expiresAt", rest->expires_ms);
    json_write_object_end(&j);

    return ngx_mesh_storage_rest_reply(rest, status, &w);
}


/* DELETE */

static ngx_int_t
ngx_mesh_storage_kv_delete(ngx_mesh_storage_rest_t *rest)
{
    ngx_int_t  rc;

    if (ngx_mesh_storage_rest_allow(rest, "/storage/write", "kv", rest->path,
                                    &rc)
        != NGX_OK)
    {
        return rc;
    }

    return ngx_mesh_storage_kv_delete_write(rest);
}


static ngx_int_t
ngx_mesh_storage_kv_delete_write(ngx_mesh_storage_rest_t *rest)
{
    ngx_mesh_store_job_t  *job;

    job = ngx_mesh_storage_rest_put(rest, STORE_DELETE,
                                    NGX_MESH_STORAGE_KV_PREFIX, rest->path,
                                    1);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_rest_change(rest, job,
                                        ngx_mesh_storage_kv_delete_done,
                                        ngx_mesh_storage_kv_delete_write);
}


static ngx_int_t
ngx_mesh_storage_kv_delete_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    if (job->write.rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    if (job->write.results[0].seq == 0) {

        /* who may not read sees no difference */

        return ngx_mesh_storage_rest_may(rest, "/storage/read", "kv",
                                         rest->path)
               == UCAN_OK
               ? ngx_mesh_storage_rest_problem(rest, PROBLEM_NOT_FOUND, NULL)
               : ngx_mesh_storage_kv_bare(rest, NGX_HTTP_NO_CONTENT);
    }

    return ngx_mesh_storage_kv_bare(rest, NGX_HTTP_NO_CONTENT);
}


/* POST ?op=incr&by= */

static ngx_int_t
ngx_mesh_storage_kv_post(ngx_mesh_storage_rest_t *rest)
{
    bytes_t    op;
    int64_t   *by;
    ngx_int_t  rc, found;

    if (ngx_mesh_storage_rest_allow(rest, "/storage/write", "kv", rest->path,
                                    &rc)
        != NGX_OK)
    {
        return rc;
    }

    found = ngx_mesh_storage_rest_query(rest, "op", 16, &op, &rc);

    if (found == NGX_ERROR) {
        return rc;
    }

    if (!bytes_equal_text(op, "incr")) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                                             "\"op\" must be \"incr\"");
    }

    by = ngx_palloc(rest->r->pool, sizeof(int64_t));

    if (by == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_mesh_storage_kv_by(rest, by, &rc) != NGX_OK) {
        return rc;
    }

    rest->data = by;

    return ngx_mesh_storage_rest_body(rest, rest->lcf->value_size, NULL,
                                      ngx_mesh_storage_kv_incr_body);
}


/* "by", 1 when absent.  NGX_OK; NGX_ERROR: *rc is the 400. */
static ngx_int_t
ngx_mesh_storage_kv_by(ngx_mesh_storage_rest_t *rest, int64_t *by,
    ngx_int_t *rc)
{
    off_t      n;
    bytes_t    text;
    ngx_int_t  found;

    *by = 1;
    found = ngx_mesh_storage_rest_query(rest, "by", NGX_INT64_LEN, &text, rc);

    if (found != NGX_OK) {
        return found == NGX_DECLINED ? NGX_OK : NGX_ERROR;
    }

    if (text.len > 1 && text.data[0] == '-') {
        n = ngx_atoof((u_char *) text.data + 1, text.len - 1);
        *by = -n;

    } else {
        n = ngx_atoof((u_char *) text.data, text.len);
        *by = n;
    }

    if (n != NGX_ERROR) {
        return NGX_OK;
    }

    *rc = ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                                        "\"by\" must be an integer of at "
                                        "most 64 bits");
    return NGX_ERROR;
}


static ngx_int_t
ngx_mesh_storage_kv_incr_body(ngx_mesh_storage_rest_t *rest)
{
    return ngx_mesh_storage_once_find(rest, ngx_mesh_storage_kv_incr);
}


static ngx_int_t
ngx_mesh_storage_kv_incr(ngx_mesh_storage_rest_t *rest)
{
    int64_t                    *by;
    store_op_t                 *op;
    ngx_mesh_store_job_t       *job;
    ngx_mesh_storage_answer_t  *answer;

    by = rest->data;
    answer = ngx_pcalloc(rest->r->pool, sizeof(ngx_mesh_storage_answer_t));

    if (answer == NULL
        || ngx_mesh_storage_kv_incr_answer(rest, answer) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    job = ngx_mesh_storage_rest_put(rest, STORE_INCR,
                                    NGX_MESH_STORAGE_KV_PREFIX, rest->path,
                                    1);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    op = job->write.ops;
    op->number = *by;
    op->meta = bytes_of("text/plain");

    if (ngx_mesh_storage_once_add(rest, job, answer) != NGX_OK) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rest->data = answer;

    return ngx_mesh_storage_rest_write(rest, job,
                                       ngx_mesh_storage_kv_incr_done);
}


static ngx_int_t
ngx_mesh_storage_kv_incr_answer(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_answer_t *answer)
{
    json_write_t    j;
    bytes_writer_t  w;

    if (ngx_mesh_storage_rest_writer(rest, &w, NGX_MESH_STORAGE_KV_ANSWER
                                     + json_write_string_max(rest->path.len))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member(&j, "key", rest->path);
    json_write_key(&j, "value");
    ngx_mesh_storage_once_number(&j, 0);
    json_write_key(&j, "etag");
    ngx_mesh_storage_once_etag(&j, 0);
    json_write_key(&j, "seq");
    ngx_mesh_storage_once_seq(&j, 0);
    json_write_object_end(&j);

    if (w.failed) {
        return NGX_ERROR;
    }

    answer->etag = 0;
    answer->status = NGX_HTTP_OK;
    answer->body = bytes_writer_view(&w);

    /* who may only write is not told what is there */

    if (rest->minimal
        || ngx_mesh_storage_rest_may(rest, "/storage/read", "kv", rest->path)
           != UCAN_OK)
    {
        answer->status = NGX_HTTP_NO_CONTENT;
        answer->body = bytes_make(NULL, 0);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_kv_incr_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_int_t  rc;

    if (job->write.rc == STORE_OK) {
        return ngx_mesh_storage_once_send(rest, job, rest->data);
    }

    rc = ngx_mesh_storage_once_failed(rest, job);

    return rc == NGX_DECLINED ? ngx_mesh_storage_rest_store_problem(rest, job)
                              : rc;
}
