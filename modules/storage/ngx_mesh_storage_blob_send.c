/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * GET and HEAD of a blob: a file goes out as nginx sends static files, with
 * ranges and sendfile(), few bytes from the value of the item.
 *
 * Event loop; nginx opens the file there, as it does with its own.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "base64.h"
#include "ngx_mesh_compat.h"
#include "ngx_mesh_storage_blob.h"


static ngx_int_t ngx_mesh_storage_blob_send_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_buf_t *ngx_mesh_storage_blob_send_buf(ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_storage_blob_t *blob, bytes_t value);
static ngx_int_t ngx_mesh_storage_blob_send_file(ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_storage_blob_t *blob, ngx_buf_t *b);
static ngx_int_t ngx_mesh_storage_blob_send_headers(
    ngx_mesh_storage_rest_t *rest, const ngx_mesh_storage_blob_t *blob,
    const store_row_t *row);
static ngx_int_t ngx_mesh_storage_blob_send_safe(ngx_mesh_storage_rest_t *rest,
    bytes_t disposition);
static ngx_int_t ngx_mesh_storage_blob_send_out(ngx_mesh_storage_rest_t *rest,
    ngx_buf_t *b);


/* GET, HEAD. */

ngx_int_t
ngx_mesh_storage_blob_send(ngx_mesh_storage_rest_t *rest)
{
    return ngx_mesh_storage_rest_hot(rest, "b/", rest->path,
                                     ngx_mesh_storage_blob_send_done);
}


static ngx_int_t
ngx_mesh_storage_blob_send_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_buf_t                *b;
    const store_row_t        *row;
    ngx_http_request_t       *r;
    ngx_mesh_storage_blob_t   blob;

    r = rest->r;

    if (job->rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    if (job->rows[0].rc != STORE_OK || job->rows[0].count == 0) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_NOT_FOUND, NULL);
    }

    row = &job->rows[0].rows[0];

    if (ngx_mesh_storage_blob_file_parse(&blob, row->meta) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "storage: the item of a blob is damaged");
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_INTERNAL, NULL);
    }

    if (r->headers_in.if_match
        && !ngx_mesh_storage_blob_send_matches(&r->headers_in.if_match->value,
                                           blob.hash))
    {
        return ngx_mesh_storage_blob_send_condition(rest, row);
    }

    b = ngx_mesh_storage_blob_send_buf(rest, &blob, row->value);

    if (b == NULL) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_INTERNAL, NULL);
    }

    if (ngx_mesh_storage_blob_send_headers(rest, &blob, row) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_blob_send_out(rest, b);
}


/* Where the bytes are; NULL: they cannot be had. */
static ngx_buf_t *
ngx_mesh_storage_blob_send_buf(ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_storage_blob_t *blob, bytes_t value)
{
    ngx_buf_t  *b;

    b = ngx_calloc_buf(rest->r->pool);

    if (b == NULL) {
        return NULL;
    }

    if (blob->file) {
        return ngx_mesh_storage_blob_send_file(rest, blob, b) == NGX_OK ? b
                                                                    : NULL;
    }

    if (value.len != blob->size) {
        ngx_log_error(NGX_LOG_ERR, rest->r->connection->log, 0,
                      "storage: the item of a blob has not all of its bytes");
        return NULL;
    }

    if (value.len != 0) {
        b->start = ngx_pnalloc(rest->r->pool, value.len);

        if (b->start == NULL) {
            return NULL;
        }

        b->pos = b->start;
        b->last = ngx_cpymem(b->start, value.data, value.len);
        b->end = b->last;
        b->temporary = 1;
    }

    return b;
}


/* As ngx_http_static_module opens its files. */
static ngx_int_t
ngx_mesh_storage_blob_send_file(ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_storage_blob_t *blob, ngx_buf_t *b)
{
    char                       text[NGX_MESH_STORAGE_BLOB_PATH];
    ngx_str_t                  path;
    ngx_http_request_t        *r;
    ngx_open_file_info_t       of;
    ngx_http_core_loc_conf_t  *clcf;

    r = rest->r;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (ngx_mesh_storage_blob_file_path((char *) rest->mcf->blobs.data,
                                        blob->hash, text)
        != 0)
    {
        return NGX_ERROR;
    }

    path.len = ngx_strlen(text);
    path.data = ngx_pnalloc(r->pool, path.len + 1);

    if (path.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(path.data, text, path.len + 1);

    ngx_memzero(&of, sizeof(ngx_open_file_info_t));

    of.read_ahead = clcf->read_ahead;
    of.directio = clcf->directio;
    of.valid = clcf->open_file_cache_valid;
    of.min_uses = clcf->open_file_cache_min_uses;
    of.errors = clcf->open_file_cache_errors;
    of.events = clcf->open_file_cache_events;

    if (ngx_open_cached_file(clcf->open_file_cache, &path, &of, r->pool)
        != NGX_OK
        || !of.is_file || of.size != (off_t) blob->size)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, of.err,
                      "storage: the file of a blob, \"%V\", cannot be read, "
                      "or is of another size", &path);
        return NGX_ERROR;
    }

    b->file = ngx_pcalloc(r->pool, sizeof(ngx_file_t));

    if (b->file == NULL) {
        return NGX_ERROR;
    }

    b->file_last = of.size;
    b->in_file = b->file_last ? 1 : 0;

    b->file->fd = of.fd;
    b->file->name = path;
    b->file->log = r->connection->log;
    b->file->directio = of.is_directio;

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_blob_send_headers(ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_storage_blob_t *blob, const store_row_t *row)
{
    bytes_t              type;
    ngx_http_request_t  *r;
    static ngx_str_t     octets = ngx_string("application/octet-stream");

    r = rest->r;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = (off_t) blob->size;
    r->headers_out.content_type = octets;

    if (blob->type.len != 0) {
        type = ngx_mesh_storage_rest_key(r->pool, "", blob->type,
                                         bytes_make(NULL, 0));
        if (type.len == 0) {
            return NGX_ERROR;
        }

        r->headers_out.content_type.data = (u_char *) type.data;
        r->headers_out.content_type.len = type.len;
    }

    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    if (ngx_mesh_storage_blob_send_etag(rest, blob->hash) != NGX_OK
        || ngx_mesh_storage_blob_send_digest(rest, blob->hash) != NGX_OK
        || ngx_mesh_storage_blob_send_safe(rest, blob->disposition) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_mesh_storage_rest_expires(rest, row->expires_ms);
}


/* What somebody stored never runs as a page of our origin. */
static ngx_int_t
ngx_mesh_storage_blob_send_safe(ngx_mesh_storage_rest_t *rest,
    bytes_t disposition)
{
    bytes_t           text;
    ngx_int_t         rc;
    ngx_str_t         value;
    static ngx_str_t  nosniff = ngx_string("nosniff");
    static ngx_str_t  sandbox = ngx_string("sandbox");
    static ngx_str_t  private = ngx_string("private, no-cache");
    static ngx_str_t  attachment = ngx_string("attachment");

    if (ngx_mesh_reply_header(rest->r, "X-Content-Type-Options", &nosniff)
        != NGX_OK
        || ngx_mesh_reply_header(rest->r, "Content-Security-Policy", &sandbox)
           != NGX_OK
        || ngx_mesh_reply_header(rest->r, "Cache-Control", &private)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (disposition.len != 0) {
        text = ngx_mesh_storage_rest_key(rest->r->pool, "", disposition,
                                         bytes_make(NULL, 0));
        value.data = (u_char *) text.data;
        value.len = text.len;

        return text.len ? ngx_mesh_reply_header(rest->r,
                                                "Content-Disposition", &value)
                        : NGX_ERROR;
    }

    if (ngx_mesh_storage_rest_query(rest, "download", 16, &text, &rc)
        == NGX_OK
        && bytes_equal_text(text, "1"))
    {
        return ngx_mesh_reply_header(rest->r, "Content-Disposition",
                                     &attachment);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_blob_send_out(ngx_mesh_storage_rest_t *rest, ngx_buf_t *b)
{
    ngx_int_t            rc;
    ngx_chain_t          out;
    ngx_http_request_t  *r;

    r = rest->r;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    /* nginx compares If-None-Match and If-Range with the ETag; there is no
       time of modification to compare */

    r->disable_not_modified = 0;
    r->headers_in.if_match = NULL;
    r->headers_in.if_unmodified_since = NULL;
    r->allow_ranges = 1;

#if (NGX_HTTP_GZIP)
    /* the digest is that of these bytes */
    r->gzip_tested = 1;
    r->gzip_ok = 0;
#endif

    if (r->headers_out.content_length_n == 0) {
        r->header_only = 1;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_HTTP_RANGE_NOT_SATISFIABLE) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_RANGE, NULL);
    }

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


/* RFC 9530, 3 */
ngx_int_t
ngx_mesh_storage_blob_send_digest(ngx_mesh_storage_rest_t *rest,
    const u_char *hash)
{
    ngx_str_t       value;
    bytes_writer_t  w;

    if (ngx_mesh_storage_rest_writer(rest, &w, sizeof("sha-256=::")
                                     + base64_encoded_max(DIGEST_SHA256_LEN))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    bytes_writer_text(&w, "sha-256=:");
    (void) base64_encode(BASE64_STD, bytes_make(hash, DIGEST_SHA256_LEN),
                         &w);
    bytes_writer_byte(&w, ':');

    value.data = w.start;
    value.len = w.pos - w.start;

    return w.failed ? NGX_ERROR
                    : ngx_mesh_reply_header(rest->r, "Repr-Digest", &value);
}


ngx_int_t
ngx_mesh_storage_blob_send_etag(ngx_mesh_storage_rest_t *rest,
    const u_char *hash)
{
    u_char           *p;
    ngx_table_elt_t  *h;

    h = ngx_list_push(&rest->r->headers_out.headers);

    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 0;

    p = ngx_pnalloc(rest->r->pool, NGX_MESH_STORAGE_BLOB_HEX + 2);

    if (p == NULL) {
        return NGX_ERROR;
    }

    h->value.data = p;
    h->value.len = NGX_MESH_STORAGE_BLOB_HEX + 2;

    *p++ = '"';
    p = ngx_hex_dump(p, (u_char *) hash, DIGEST_SHA256_LEN);
    *p = '"';

    h->hash = 1;
    ngx_str_set(&h->key, "ETag");
    h->lowcase_key = NULL;
    ngx_mesh_compat_header(h);

    rest->r->headers_out.etag = h;

    return NGX_OK;
}


/* Strong comparison: the hash in quotes, not behind "W/"; or "*". */
ngx_uint_t
ngx_mesh_storage_blob_send_matches(ngx_str_t *list, const u_char *hash)
{
    u_char  *p, *last;
    u_char   tag[NGX_MESH_STORAGE_BLOB_HEX + 2];

    if (list->len == 1 && list->data[0] == '*') {
        return 1;
    }

    tag[0] = '"';
    p = ngx_hex_dump(tag + 1, (u_char *) hash, DIGEST_SHA256_LEN);
    *p = '"';

    last = list->data + list->len;

    for (p = list->data; (size_t) (last - p) >= sizeof(tag); p++) {

        if (*p == '"' && ngx_memcmp(p, tag, sizeof(tag)) == 0
            && (p == list->data || p[-1] != '/'))
        {
            return 1;
        }
    }

    return 0;
}


/* 412; who may not read is not told what is there. */
ngx_int_t
ngx_mesh_storage_blob_send_condition(ngx_mesh_storage_rest_t *rest,
    const store_row_t *row)
{
    u_char                   *p, tag[NGX_MESH_STORAGE_BLOB_HEX + 2];
    problem_facts_t           facts;
    problem_member_t          member;
    ngx_mesh_storage_blob_t   blob;

    ngx_memzero(&facts, sizeof(problem_facts_t));

    if (row && ngx_mesh_storage_blob_file_parse(&blob, row->meta) == NGX_OK
        && ngx_mesh_storage_rest_may(rest, "/storage/read", "blobs",
                                     rest->path)
           == UCAN_OK)
    {
        tag[0] = '"';
        p = ngx_hex_dump(tag + 1, blob.hash, DIGEST_SHA256_LEN);
        *p = '"';

        ngx_memzero(&member, sizeof(problem_member_t));
        member.name = "currentEtag";
        member.text = bytes_make(tag, sizeof(tag));

        facts.members = &member;
        facts.member_count = 1;
    }

    return ngx_mesh_reply_problem_facts(rest->r, PROBLEM_PRECONDITION_FAILED,
                                        &facts);
}
