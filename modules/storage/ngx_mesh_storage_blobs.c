/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * /api/storage/blobs/<namespace>/<name>: large bytes.
 *
 * Event loop; files are written by the target of ngx_mesh_storage_blob_file.c
 * in pool threads, and sent by nginx as it sends static files.
 *
 *     PUT     [put]  -> a look at the item, when conditions or quota ask
 *             -> [put_read]  the body, through a sink
 *             -> [put_stored]  one write to the store  -> [put_done]
 *     GET     [get]  -> the item  -> [get_done]
 *     DELETE  [delete]  -> as PUT, without a body
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "base64.h"
#include "ngx_mesh_compat.h"
#include "ngx_mesh_storage_blob.h"
#include "timestamp.h"
#include "utf8.h"


#define NGX_MESH_STORAGE_BLOBS_PLAIN  16384     /* bytes hashed at once */
#define NGX_MESH_STORAGE_BLOBS_JSON   512       /* bytes beside texts */


typedef struct {
    ngx_mesh_storage_blob_t   blob;
    bytes_t                   value;           /* inline bytes, borrowed */
    u_char                    want[DIGEST_SHA256_LEN];
    u_char                    match[DIGEST_SHA256_LEN];
    unsigned                  wanted:1;        /* Repr-Digest */
    unsigned                  matched:1;       /* If-Match is a hash */
} ngx_mesh_storage_blobs_put_t;


static ngx_int_t ngx_mesh_storage_blobs_get(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_blobs_get_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_blobs_headers(
    ngx_mesh_storage_rest_t *rest, const ngx_mesh_storage_blob_t *blob,
    const store_row_t *row);
static ngx_int_t ngx_mesh_storage_blobs_safe(ngx_mesh_storage_rest_t *rest,
    bytes_t disposition);
static ngx_int_t ngx_mesh_storage_blobs_digest(ngx_mesh_storage_rest_t *rest,
    const u_char *hash);
static ngx_buf_t *ngx_mesh_storage_blobs_buf(ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_storage_blob_t *blob, bytes_t value);
static ngx_int_t ngx_mesh_storage_blobs_file(ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_storage_blob_t *blob, ngx_buf_t *b);
static ngx_int_t ngx_mesh_storage_blobs_send(ngx_mesh_storage_rest_t *rest,
    ngx_buf_t *b);
static ngx_uint_t ngx_mesh_storage_blobs_matches(ngx_str_t *list,
    const u_char *hash);
static ngx_int_t ngx_mesh_storage_blobs_put(ngx_mesh_storage_rest_t *rest);
static const char *ngx_mesh_storage_blobs_parse(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_blobs_put_t *put);
static const char *ngx_mesh_storage_blobs_parse_digest(
    ngx_mesh_storage_blobs_put_t *put, ngx_str_t *value);
static ngx_table_elt_t *ngx_mesh_storage_blobs_header(ngx_http_request_t *r,
    const char *name);
static ngx_int_t ngx_mesh_storage_blobs_look(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_blobs_looked(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_blobs_hold(ngx_mesh_storage_rest_t *rest,
    const store_row_t *row, ngx_int_t *rc);
static ngx_int_t ngx_mesh_storage_blobs_put_read(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_blobs_put_plain(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_blobs_put_sunk(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_sink_t *sink);
static ngx_int_t ngx_mesh_storage_blobs_put_write(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_blobs_put_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_blobs_put_reply(
    ngx_mesh_storage_rest_t *rest, ngx_uint_t status, uint64_t seq);
static ngx_int_t ngx_mesh_storage_blobs_delete(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_blobs_delete_write(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_blobs_delete_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_blobs_failed(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_blobs_failed_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_blobs_condition(
    ngx_mesh_storage_rest_t *rest, const store_row_t *row);
static ngx_int_t ngx_mesh_storage_blobs_list(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_blobs_list_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static void ngx_mesh_storage_blobs_write(json_write_t *j, bytes_t name,
    const ngx_mesh_storage_blob_t *blob, const store_row_t *row);


ngx_int_t
ngx_mesh_storage_blobs(ngx_mesh_storage_rest_t *rest)
{
    ngx_int_t    rc;
    const char  *command;

    if (rest->path.len > NGX_MESH_STORAGE_KEY_MAX) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                   "the name of a blob has at most 512 bytes");
    }

    switch (rest->r->method) {

    case NGX_HTTP_GET:
    case NGX_HTTP_HEAD:
        command = "/storage/read";
        break;

    case NGX_HTTP_PUT:
    case NGX_HTTP_DELETE:

        if (rest->path.len != 0) {
            command = "/storage/write";
            break;
        }

        /* fall through */

    default:
        return ngx_mesh_storage_rest_method(rest, rest->path.len
                                                  ? "GET, HEAD, PUT, DELETE"
                                                  : "GET, HEAD");
    }

    if (rest->path.len == 0) {
        return ngx_mesh_storage_blobs_list(rest);
    }

    if (ngx_mesh_storage_rest_allow(rest, command, "blobs", rest->path, &rc)
        != NGX_OK)
    {
        return rc;
    }

    switch (rest->r->method) {

    case NGX_HTTP_PUT:
        return ngx_mesh_storage_blobs_put(rest);

    case NGX_HTTP_DELETE:
        return ngx_mesh_storage_blobs_delete(rest);

    default:
        return ngx_mesh_storage_blobs_get(rest);
    }
}


/* GET, HEAD. */

static ngx_int_t
ngx_mesh_storage_blobs_get(ngx_mesh_storage_rest_t *rest)
{
    ngx_mesh_store_job_t  *job;

    job = ngx_mesh_storage_rest_get(rest, "b/", rest->path);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_rest_read(rest, job,
                                      ngx_mesh_storage_blobs_get_done);
}


static ngx_int_t
ngx_mesh_storage_blobs_get_done(ngx_mesh_storage_rest_t *rest,
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
        && !ngx_mesh_storage_blobs_matches(&r->headers_in.if_match->value,
                                           blob.hash))
    {
        return ngx_mesh_storage_blobs_condition(rest, row);
    }

    b = ngx_mesh_storage_blobs_buf(rest, &blob, row->value);

    if (b == NULL) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_INTERNAL, NULL);
    }

    if (ngx_mesh_storage_blobs_headers(rest, &blob, row) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_blobs_send(rest, b);
}


static ngx_int_t
ngx_mesh_storage_blobs_headers(ngx_mesh_storage_rest_t *rest,
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

    if (ngx_mesh_storage_blobs_etag(rest, blob->hash) != NGX_OK
        || ngx_mesh_storage_blobs_digest(rest, blob->hash) != NGX_OK
        || ngx_mesh_storage_blobs_safe(rest, blob->disposition) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_mesh_storage_rest_expires(rest, row->expires_ms);
}


/* What somebody stored never runs as a page of our origin. */
static ngx_int_t
ngx_mesh_storage_blobs_safe(ngx_mesh_storage_rest_t *rest,
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


/* RFC 9530, 3 */
static ngx_int_t
ngx_mesh_storage_blobs_digest(ngx_mesh_storage_rest_t *rest,
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
ngx_mesh_storage_blobs_etag(ngx_mesh_storage_rest_t *rest,
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


/* Where the bytes are; NULL: they cannot be had. */
static ngx_buf_t *
ngx_mesh_storage_blobs_buf(ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_storage_blob_t *blob, bytes_t value)
{
    ngx_buf_t  *b;

    b = ngx_calloc_buf(rest->r->pool);

    if (b == NULL) {
        return NULL;
    }

    if (blob->file) {
        return ngx_mesh_storage_blobs_file(rest, blob, b) == NGX_OK ? b
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
ngx_mesh_storage_blobs_file(ngx_mesh_storage_rest_t *rest,
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
ngx_mesh_storage_blobs_send(ngx_mesh_storage_rest_t *rest, ngx_buf_t *b)
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


/* Strong comparison: the hash in quotes, not behind "W/"; or "*". */
static ngx_uint_t
ngx_mesh_storage_blobs_matches(ngx_str_t *list, const u_char *hash)
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


/* PUT. */

static ngx_int_t
ngx_mesh_storage_blobs_put(ngx_mesh_storage_rest_t *rest)
{
    off_t                          length;
    const char                    *fault;
    ngx_mesh_storage_blobs_put_t  *put;

    put = ngx_pcalloc(rest->r->pool, sizeof(ngx_mesh_storage_blobs_put_t));

    if (put == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rest->data = put;
    length = rest->r->headers_in.content_length_n;

    if (length > rest->lcf->blob_size) {
        return ngx_mesh_storage_sink_too_large(rest, rest->lcf->blob_size);
    }

    fault = ngx_mesh_storage_blobs_parse(rest, put);

    if (fault) {
        ngx_mesh_storage_sink_refuse(rest);
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                                             fault);
    }

    if (rest->condition != STORE_ANY
        || length > NGX_MESH_STORAGE_BLOB_INLINE)
    {
        return ngx_mesh_storage_blobs_look(rest);
    }

    return ngx_mesh_storage_blobs_put_read(rest);
}


static const char *
ngx_mesh_storage_blobs_parse(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_blobs_put_t *put)
{
    ngx_table_elt_t        *h;
    ngx_http_headers_in_t  *in;

    in = &rest->r->headers_in;

    if (in->content_type) {

        if (in->content_type->value.len > NGX_MESH_STORAGE_TYPE_MAX) {
            return "Content-Type has at most 127 bytes";
        }

        put->blob.type = bytes_make(in->content_type->value.data,
                                    in->content_type->value.len);

        if (!utf8_valid(put->blob.type)) {
            return "Content-Type is not UTF-8";
        }
    }

    h = ngx_mesh_storage_blobs_header(rest->r, "content-disposition");

    if (h) {

        if (h->value.len > NGX_MESH_STORAGE_BLOB_DISPOSITION_MAX) {
            return "Content-Disposition has at most 255 bytes";
        }

        put->blob.disposition = bytes_make(h->value.data, h->value.len);
    }

    if (ngx_mesh_storage_blobs_header(rest->r, "content-range")) {
        return "a blob is written as a whole: no Content-Range";
    }

    if (ngx_mesh_storage_blobs_header(rest->r, "content-encoding")) {
        return "a blob is stored as it is sent: no Content-Encoding";
    }

    h = ngx_mesh_storage_blobs_header(rest->r, "repr-digest");

    return h ? ngx_mesh_storage_blobs_parse_digest(put, &h->value) : NULL;
}


/* A dictionary (RFC 8941) of digests; those that are not ours are let be. */
static const char *
ngx_mesh_storage_blobs_parse_digest(ngx_mesh_storage_blobs_put_t *put,
    ngx_str_t *value)
{
    u_char          *p, *last, *end;
    bytes_writer_t   w;

    p = value->data;
    last = value->data + value->len;

    while (p < last) {

        while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
            p++;
        }

        end = ngx_strlchr(p, last, ',');
        end = end ? end : last;

        if (end - p < 9 || ngx_strncmp(p, "sha-256=:", 9) != 0) {
            p = end;
            continue;
        }

        p += 9;
        end = ngx_strlchr(p, end, ':');

        bytes_writer_open(&w, put->want, DIGEST_SHA256_LEN);

        if (end == NULL
            || base64_decode(BASE64_STD, bytes_make(p, end - p), &w) != 0
            || w.pos - w.start != DIGEST_SHA256_LEN)
        {
            return "Repr-Digest is not \"sha-256=:<base64>:\"";
        }

        put->wanted = 1;
        p = end + 1;
    }

    return NULL;
}


static ngx_table_elt_t *
ngx_mesh_storage_blobs_header(ngx_http_request_t *r, const char *name)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    len = ngx_strlen(name);

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len == len
                && ngx_memcmp(h[i].lowcase_key, name, len) == 0)
            {
                return &h[i];
            }
        }
    }

    return NULL;
}


/* A look at the item, and at what its accounts have left, before a body is
   read for nothing.  The store has the last word. */
static ngx_int_t
ngx_mesh_storage_blobs_look(ngx_mesh_storage_rest_t *rest)
{
    size_t                 count, i;
    bytes_t                ns;
    store_read_t          *reads;
    ngx_mesh_store_job_t  *job;

    count = 1;

    for (ns = rest->store_ns; ns.len != 0; ns = store_account_above(ns)) {
        count++;
    }

    job = ngx_mesh_store_job_create(4096, rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    reads = ngx_mesh_store_job_reads(job, count);

    if (reads) {
        reads[0].kind = STORE_GET;
        reads[0].keys_only = 1;
        reads[0].key = ngx_mesh_storage_rest_key(job->pool, "b/", rest->path,
                                                 bytes_make(NULL, 0));
        reads[0].ns = ngx_mesh_storage_rest_key(job->pool, "", rest->store_ns,
                                                bytes_make(NULL, 0));
        ns = reads[0].ns;

        for (i = 1; i < count; i++) {
            reads[i].kind = STORE_USAGE;
            reads[i].ns = ns;
            ns = store_account_above(ns);
        }
    }

    if (reads == NULL || reads[0].key.len == 0 || reads[0].ns.len == 0) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_rest_read(rest, job,
                                      ngx_mesh_storage_blobs_looked);
}


static ngx_int_t
ngx_mesh_storage_blobs_looked(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    off_t               length;
    int64_t             old;
    ngx_int_t           rc;
    const store_row_t  *row;

    if (job->rc != STORE_OK) {
        ngx_mesh_storage_sink_refuse(rest);
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    row = (job->rows[0].rc == STORE_OK && job->rows[0].count != 0)
          ? &job->rows[0].rows[0] : NULL;

    if (ngx_mesh_storage_blobs_hold(rest, row, &rc) != NGX_OK) {
        return rc;
    }

    if (rest->r->method == NGX_HTTP_DELETE) {
        return ngx_mesh_storage_blobs_delete_write(rest);
    }

    old = row ? (int64_t) (row->size + row->weight) : 0;
    length = rest->r->headers_in.content_length_n;

    if (length > 0
        && ngx_mesh_storage_blobs_room(rest, &job->rows[1],
                                       job->read_count - 1, length - old, &rc)
           != NGX_OK)
    {
        return rc;
    }

    return ngx_mesh_storage_blobs_put_read(rest);
}


/* Does the condition hold for the item as it is?  NGX_OK, and it is one that
   the store understands; NGX_DECLINED: *rc is the 412. */
static ngx_int_t
ngx_mesh_storage_blobs_hold(ngx_mesh_storage_rest_t *rest,
    const store_row_t *row, ngx_int_t *rc)
{
    ngx_uint_t                hold;
    ngx_str_t                *value;
    ngx_mesh_storage_blob_t   blob;

    switch (rest->condition) {

    case STORE_IF_ABSENT:
        hold = (row == NULL);
        break;

    case STORE_IF_PRESENT:
        hold = (row != NULL);
        break;

    case STORE_IF_SEQ:
        value = &rest->r->headers_in.if_match->value;

        hold = row && ngx_mesh_storage_blob_file_parse(&blob, row->meta)
                      == NGX_OK
               && ngx_mesh_storage_blobs_matches(value, blob.hash);

        if (hold) {
            rest->if_seq = row->seq;
        }

        break;

    default:
        hold = 1;
    }

    if (hold) {
        return NGX_OK;
    }

    ngx_mesh_storage_sink_refuse(rest);

    *rc = ngx_mesh_storage_blobs_condition(rest, row);

    return NGX_DECLINED;
}


ngx_int_t
ngx_mesh_storage_blobs_room(ngx_mesh_storage_rest_t *rest,
    const store_rows_t *usage, size_t count, int64_t more, ngx_int_t *rc)
{
    size_t                i;
    uint64_t              limit;
    problem_facts_t       facts;
    problem_member_t      members[2];
    const store_usage_t  *account;

    for (i = 0; i < count; i++) {
        account = &usage[i].usage;
        limit = account->limits.bytes;

        if (limit == 0 && account->limits.items == 0 && i == count - 1) {
            limit = rest->lcf->quota.bytes;
        }

        if (limit == 0 || more <= 0
            || account->bytes + (uint64_t) more <= limit)
        {
            continue;
        }

        ngx_memzero(&facts, sizeof(problem_facts_t));
        ngx_memzero(members, sizeof(members));

        members[0].name = "used";
        members[0].number = (int64_t) account->bytes;
        members[1].name = "limit";
        members[1].number = (int64_t) limit;

        facts.members = members;
        facts.member_count = 2;

        ngx_mesh_storage_sink_refuse(rest);

        *rc = ngx_mesh_reply_problem_facts(rest->r, PROBLEM_QUOTA_EXCEEDED,
                                           &facts);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_blobs_put_read(ngx_mesh_storage_rest_t *rest)
{
    off_t                          length;
    ngx_mesh_storage_sink_t       *sink;
    ngx_mesh_storage_blob_file_t  *file;
    ngx_mesh_storage_blobs_put_t  *put;

    put = rest->data;
    length = rest->r->headers_in.content_length_n;

    if (!rest->r->headers_in.chunked
        && length <= NGX_MESH_STORAGE_BLOBS_PLAIN
        && (length >= 0 || rest->r->http_version < NGX_HTTP_VERSION_20))
    {
        return ngx_mesh_storage_rest_body(rest, NGX_MESH_STORAGE_BLOBS_PLAIN,
                                          NULL,
                                          ngx_mesh_storage_blobs_put_plain);
    }

    sink = ngx_mesh_storage_sink_create(rest,
                                        &ngx_mesh_storage_blob_file_target,
                                        sizeof(ngx_mesh_storage_blob_file_t));
    if (sink == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    sink->max = rest->lcf->blob_size;

    file = sink->data;
    file->folder = (char *) rest->mcf->blobs.data;
    file->wanted = put->wanted;
    ngx_memcpy(file->want, put->want, DIGEST_SHA256_LEN);

    return ngx_mesh_storage_sink_read(sink, ngx_mesh_storage_blobs_put_sunk);
}


/* Few bytes: cheaper hashed at once than handed to a thread. */
static ngx_int_t
ngx_mesh_storage_blobs_put_plain(ngx_mesh_storage_rest_t *rest)
{
    ngx_mesh_storage_blobs_put_t  *put;

    put = rest->data;
    put->value = rest->body;
    put->blob.size = rest->body.len;

    digest_sha256(rest->body, put->blob.hash);

    if (put->wanted
        && ngx_memcmp(put->want, put->blob.hash, DIGEST_SHA256_LEN) != 0)
    {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_DIGEST_MISMATCH,
                   "these are not the bytes that Repr-Digest tells of");
    }

    return ngx_mesh_storage_blobs_put_write(rest);
}


static ngx_int_t
ngx_mesh_storage_blobs_put_sunk(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_sink_t *sink)
{
    ngx_mesh_storage_blob_file_t  *file;
    ngx_mesh_storage_blobs_put_t  *put;

    if (sink->rc != NGX_MESH_STORAGE_SINK_OK) {
        return ngx_mesh_storage_sink_problem(sink);
    }

    file = sink->data;
    put = rest->data;

    put->value = file->value;
    put->blob.file = file->file;
    put->blob.size = (uint64_t) sink->received;
    ngx_memcpy(put->blob.hash, file->hash, DIGEST_SHA256_LEN);

    return ngx_mesh_storage_blobs_put_write(rest);
}


static ngx_int_t
ngx_mesh_storage_blobs_put_write(ngx_mesh_storage_rest_t *rest)
{
    ngx_mesh_store_job_t          *job;
    ngx_mesh_storage_blobs_put_t  *put;

    put = rest->data;

    job = ngx_mesh_storage_rest_put(rest, STORE_PUT, "b/", rest->path, 2);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    job->write.count = ngx_mesh_storage_blobs_ops(rest, job, &put->blob,
                                                  put->value, rest->path);
    if (job->write.count == 0) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_rest_write(rest, job,
                                       ngx_mesh_storage_blobs_put_done);
}


size_t
ngx_mesh_storage_blobs_ops(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job, const ngx_mesh_storage_blob_t *blob,
    bytes_t value, bytes_t name)
{
    u_char      *meta;
    store_op_t  *op;

    op = job->write.ops;
    meta = ngx_pnalloc(job->pool, STORE_META_MAX);

    if (meta == NULL) {
        return 0;
    }

    op[0].meta = ngx_mesh_storage_blob_file_meta(blob, meta);

    if (blob->file) {
        op[0].weight = blob->size;

        if (ngx_mesh_storage_blob_file_ref(&op[1], job->pool, blob->hash,
                                           rest->ns, name)
            != NGX_OK)
        {
            return 0;
        }

        op[1].expires_ms = op[0].expires_ms;

        return 2;
    }

    /* the job may outlive the request */

    if (value.len != 0) {
        op[0].value = ngx_mesh_storage_rest_key(job->pool, "", value,
                                                bytes_make(NULL, 0));
        if (op[0].value.len == 0) {
            return 0;
        }
    }

    return 1;
}


static ngx_int_t
ngx_mesh_storage_blobs_put_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_uint_t  status;

    if (job->write.rc != STORE_OK) {
        return ngx_mesh_storage_blobs_failed(rest, job);
    }

    if (job->write.results[0].number == 1) {
        status = NGX_HTTP_CREATED;

    } else {
        status = rest->representation ? NGX_HTTP_OK : NGX_HTTP_NO_CONTENT;
    }

    return ngx_mesh_storage_blobs_put_reply(rest, status,
                                            job->write.results[0].seq);
}


static ngx_int_t
ngx_mesh_storage_blobs_put_reply(ngx_mesh_storage_rest_t *rest,
    ngx_uint_t status, uint64_t seq)
{
    store_row_t                    row;
    json_write_t                   j;
    bytes_writer_t                 w;
    ngx_mesh_storage_blobs_put_t  *put;
    static ngx_str_t  minimal = ngx_string("return=minimal");
    static ngx_str_t  representation = ngx_string("return=representation");

    put = rest->data;

    if (ngx_mesh_storage_blobs_etag(rest, put->blob.hash) != NGX_OK
        || ngx_mesh_storage_blobs_digest(rest, put->blob.hash) != NGX_OK
        || ngx_mesh_storage_rest_expires(rest, rest->expires_ms) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if ((rest->minimal || rest->representation)
        && ngx_mesh_reply_header(rest->r, "Preference-Applied",
                                 rest->minimal ? &minimal : &representation)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!rest->representation) {
        return ngx_mesh_reply_empty(rest->r, status);
    }

    ngx_memzero(&row, sizeof(store_row_t));
    row.seq = seq;
    row.expires_ms = rest->expires_ms;

    if (ngx_mesh_storage_rest_writer(rest, &w,
                               NGX_MESH_STORAGE_BLOBS_JSON
                               + json_write_string_max(rest->path.len)
                               + json_write_string_max(put->blob.type.len))
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&j, &w);
    ngx_mesh_storage_blobs_write(&j, rest->path, &put->blob, &row);

    return ngx_mesh_storage_rest_reply(rest, status, &w);
}


/* DELETE. */

static ngx_int_t
ngx_mesh_storage_blobs_delete(ngx_mesh_storage_rest_t *rest)
{
    if (rest->condition == STORE_IF_SEQ) {
        return ngx_mesh_storage_blobs_look(rest);
    }

    return ngx_mesh_storage_blobs_delete_write(rest);
}


/* The row of its file stays: the sweep takes it back. */
static ngx_int_t
ngx_mesh_storage_blobs_delete_write(ngx_mesh_storage_rest_t *rest)
{
    ngx_mesh_store_job_t  *job;

    job = ngx_mesh_storage_rest_put(rest, STORE_DELETE, "b/", rest->path, 1);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    job->write.ops[0].expires_ms = 0;

    return ngx_mesh_storage_rest_write(rest, job,
                                       ngx_mesh_storage_blobs_delete_done);
}


static ngx_int_t
ngx_mesh_storage_blobs_delete_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    if (job->write.rc != STORE_OK) {
        return ngx_mesh_storage_blobs_failed(rest, job);
    }

    if (job->write.results[0].seq == 0) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_NOT_FOUND, NULL);
    }

    return ngx_mesh_reply_empty(rest->r, NGX_HTTP_NO_CONTENT);
}


/* A condition that no longer held is told with the ETag that is there now. */
static ngx_int_t
ngx_mesh_storage_blobs_failed(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_mesh_store_job_t  *get;

    if (job->write.rc != STORE_CONDITION) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    get = ngx_mesh_storage_rest_get(rest, "b/", rest->path);

    if (get == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_rest_read(rest, get,
                                      ngx_mesh_storage_blobs_failed_done);
}


static ngx_int_t
ngx_mesh_storage_blobs_failed_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    const store_row_t  *row;

    if (job->rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    row = (job->rows[0].rc == STORE_OK && job->rows[0].count != 0)
          ? &job->rows[0].rows[0] : NULL;

    return ngx_mesh_storage_blobs_condition(rest, row);
}


/* 412; who may not read is not told what is there. */
static ngx_int_t
ngx_mesh_storage_blobs_condition(ngx_mesh_storage_rest_t *rest,
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


/* The list. */

static ngx_int_t
ngx_mesh_storage_blobs_list(ngx_mesh_storage_rest_t *rest)
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
                                      ngx_mesh_storage_blobs_list_done);
}


static ngx_int_t
ngx_mesh_storage_blobs_list_done(ngx_mesh_storage_rest_t *rest,
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

    size = NGX_MESH_STORAGE_BLOBS_JSON + 4 * NGX_MESH_STORAGE_KEY_MAX;

    for (i = 0; i < rows->count; i++) {
        size += NGX_MESH_STORAGE_BLOBS_JSON
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

        ngx_mesh_storage_blobs_write(&j, name, &blob, &rows->rows[i]);
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
static void
ngx_mesh_storage_blobs_write(json_write_t *j, bytes_t name,
    const ngx_mesh_storage_blob_t *blob, const store_row_t *row)
{
    u_char          *p, tag[NGX_MESH_STORAGE_BLOB_HEX + 2];
    uint8_t          time[TIMESTAMP_LEN];
    bytes_writer_t   w;

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

    if (row->at_ms != 0) {
        bytes_writer_open(&w, time, sizeof(time));
        timestamp_write(&w, row->at_ms);
        json_write_member(j, "at", bytes_writer_view(&w));
    }

    if (row->expires_ms != 0) {
        bytes_writer_open(&w, time, sizeof(time));
        timestamp_write(&w, row->expires_ms);
        json_write_member(j, "expiresAt", bytes_writer_view(&w));
    }

    json_write_object_end(j);
}
