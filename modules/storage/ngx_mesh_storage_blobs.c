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


typedef struct {
    ngx_mesh_storage_blob_t   blob;
    bytes_t                   value;           /* inline bytes, borrowed */
    u_char                    want[DIGEST_SHA256_LEN];
    u_char                    match[DIGEST_SHA256_LEN];
    unsigned                  wanted:1;        /* Repr-Digest */
    unsigned                  matched:1;       /* If-Match is a hash */
} ngx_mesh_storage_blobs_put_t;


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
static ngx_int_t ngx_mesh_storage_blobs_room(ngx_mesh_storage_rest_t *rest,
    const store_rows_t *usage, size_t count, int64_t more, ngx_int_t *rc);
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
        return ngx_mesh_storage_blob_list(rest);
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
        return ngx_mesh_storage_blob_send(rest);
    }
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
               && ngx_mesh_storage_blob_send_matches(value, blob.hash);

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

    *rc = ngx_mesh_storage_blob_send_condition(rest, row);

    return NGX_DECLINED;
}


/* Are so many bytes more than the accounts have left?  usage[0] is the account
   of rest->ns, [1] the one above it, ...  NGX_OK; NGX_DECLINED: *rc is the
   507, the body will not be read. */
static ngx_int_t
ngx_mesh_storage_blobs_room(ngx_mesh_storage_rest_t *rest,
    const store_rows_t *usage, size_t count, int64_t more, ngx_int_t *rc)
{
    size_t                i;
    uint64_t              limit;
    problem_facts_t       facts;
    problem_member_t      members[3];
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
        members[2].name = "of";
        members[2].text = bytes_of("bytes");

        facts.members = members;
        facts.member_count = 3;

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

    job->write.count = ngx_mesh_storage_blob_file_ops(rest, job, &put->blob,
                                                  put->value, rest->path);
    if (job->write.count == 0) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_rest_change(rest, job,
                                        ngx_mesh_storage_blobs_put_done,
                                        ngx_mesh_storage_blobs_put_write);
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
        status = rest->minimal ? NGX_HTTP_NO_CONTENT : NGX_HTTP_CREATED;

        if (ngx_mesh_storage_rest_location(rest) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

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

    if (ngx_mesh_storage_blob_send_etag(rest, put->blob.hash) != NGX_OK
        || ngx_mesh_storage_blob_send_digest(rest, put->blob.hash) != NGX_OK
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
                               NGX_MESH_STORAGE_BLOB_JSON
                               + json_write_string_max(rest->path.len)
                               + json_write_string_max(put->blob.type.len))
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&j, &w);
    ngx_mesh_storage_blob_list_write(&j, rest->path, &put->blob, &row);

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

    return ngx_mesh_storage_rest_change(rest, job,
                                        ngx_mesh_storage_blobs_delete_done,
                                        ngx_mesh_storage_blobs_delete_write);
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

    return ngx_mesh_storage_blob_send_condition(rest, row);
}
