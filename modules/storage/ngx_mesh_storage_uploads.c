/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * /api/storage/uploads/<namespace>[/<id>]: resumable uploads, tus 1.0.0 with
 * creation, creation-with-upload, creation-defer-length, checksum, expiration
 * and termination.
 *
 * What an upload is stands in item "up/<id>" of namespace "blob", how far it
 * is, in the length of its file (ngx_mesh_storage_upload_part.c).  Item
 * "u/<id>" of its own namespace is charged with the bytes that it will have.
 * Any worker may answer any request.
 *
 *     POST    [create]  -> both items  -> [part], when there is a body
 *     PATCH   [find]  -> [patch]  -> [part]  the body, through a sink
 *     HEAD    [find]  -> [head]
 *     DELETE  [find]  -> [remove]
 *     all is there    -> [end]  its digest and name, step by step
 *                     -> [end_write]  one write: the blob, the upload is done
 *
 * A worker that dies between leaves an upload with all of its bytes: the next
 * HEAD ends it.  Who asks again after the end is told that all is there, until
 * the upload expires.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <sodium.h>

#include "base64.h"
#include "ngx_mesh_storage_blob.h"
#include "ngx_mesh_storage_path.h"
#include "utf8.h"


#define NGX_MESH_STORAGE_UPLOADS_METADATA_MAX  2048    /* bytes */
#define NGX_MESH_STORAGE_UPLOADS_CHECKSUM      460     /* status, tus */
#define NGX_MESH_STORAGE_UPLOADS_TEXTS         5

#define NGX_MESH_STORAGE_UPLOADS_VERSION  1     /* first byte of the item */
#define NGX_MESH_STORAGE_UPLOADS_DONE     0x01
#define NGX_MESH_STORAGE_UPLOADS_DEFER    0x02  /* the length is not known */


typedef struct {
    bytes_t                            id;
    bytes_t                            key;         /* "up/<id>" */
    uint64_t                           seq;         /* of the item */
    uint64_t                           flags;
    uint64_t                           length;
    uint64_t                           expires_ms;  /* of the upload */
    uint64_t                           blob_ms;     /* of the blob; 0 */
    u_char                             hash[DIGEST_SHA256_LEN];   /* DONE */

    bytes_t                            ns;
    bytes_t                            name;
    bytes_t                            type;
    bytes_t                            did;         /* who began it */
    bytes_t                            metadata;    /* as it was sent */

    /* of this request */
    off_t                              offset;
    ngx_uint_t                         status;      /* of its answer */
    ngx_mesh_storage_step_pt           found;
    ngx_mesh_storage_blob_t            blob;
    bytes_t                            value;
    ngx_mesh_storage_upload_part_sum_t  algorithm;
    u_char                             sum[DIGEST_SHA256_LEN];
} ngx_mesh_storage_upload_t;


static ngx_int_t ngx_mesh_storage_uploads_open(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_uploads_route(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_uploads_options(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_uploads_refuse(
    ngx_mesh_storage_rest_t *rest, problem_t problem, const char *detail);
static ngx_str_t *ngx_mesh_storage_uploads_header(
    ngx_mesh_storage_rest_t *rest, const char *name);
static ngx_int_t ngx_mesh_storage_uploads_number(
    ngx_mesh_storage_rest_t *rest, const char *name, off_t *n);
static ngx_int_t ngx_mesh_storage_uploads_octets(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_uploads_create(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_uploads_create_write(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_uploads_create_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static const char *ngx_mesh_storage_uploads_metadata(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_upload_t *upload);
static const char *ngx_mesh_storage_uploads_pair(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_upload_t *upload,
    u_char *p, u_char *last);
static ngx_uint_t ngx_mesh_storage_uploads_name_valid(bytes_t name);
static const char *ngx_mesh_storage_uploads_checksum(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_upload_t *upload);
static ngx_int_t ngx_mesh_storage_uploads_ops(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job, store_op_t *op, store_op_kind_t kind);
static bytes_t ngx_mesh_storage_uploads_encode(ngx_pool_t *pool,
    const ngx_mesh_storage_upload_t *upload);
static ngx_int_t ngx_mesh_storage_uploads_decode(ngx_pool_t *pool,
    ngx_mesh_storage_upload_t *upload, bytes_t b);
static ngx_int_t ngx_mesh_storage_uploads_find(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_step_pt found);
static ngx_int_t ngx_mesh_storage_uploads_find_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_uploads_head(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_uploads_patch(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_uploads_length(
    ngx_mesh_storage_rest_t *rest, off_t length);
static ngx_int_t ngx_mesh_storage_uploads_length_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_uploads_part(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_uploads_part_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_sink_t *sink);
static ngx_int_t ngx_mesh_storage_uploads_wrong_sum(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_uploads_end(ngx_mesh_storage_rest_t *rest);
static void ngx_mesh_storage_uploads_end_done(ngx_mesh_job_t *job);
static ngx_int_t ngx_mesh_storage_uploads_ended(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_upload_end_t *end);
static ngx_int_t ngx_mesh_storage_uploads_end_write(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_uploads_end_written(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_uploads_remove(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_uploads_remove_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_uploads_reply(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_uploads_number_header(
    ngx_mesh_storage_rest_t *rest, const char *name, off_t n);


ngx_int_t
ngx_mesh_storage_uploads(ngx_mesh_storage_rest_t *rest)
{
    bytes_t            ns;
    ngx_str_t         *method;
    static ngx_str_t   version = ngx_string("1.0.0");

    if (ngx_mesh_reply_header(rest->r, "Tus-Resumable", &version) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    method = ngx_mesh_storage_uploads_header(rest, "x-http-method-override");

    if (method && rest->r->method == NGX_HTTP_POST) {

        if (method->len == 5 && ngx_strncmp(method->data, "PATCH", 5) == 0) {
            rest->r->method = NGX_HTTP_PATCH;

        } else if (method->len == 6
                   && ngx_strncmp(method->data, "DELETE", 6) == 0)
        {
            rest->r->method = NGX_HTTP_DELETE;
        }
    }

    if (rest->ns.len != 0) {
        return ngx_mesh_storage_uploads_open(rest);
    }

    ns = ngx_mesh_storage_path_take(&rest->path);

    return ngx_mesh_storage_rest_namespace(rest, ns,
                                           ngx_mesh_storage_uploads_open);
}


static ngx_int_t
ngx_mesh_storage_uploads_open(ngx_mesh_storage_rest_t *rest)
{
    ngx_str_t                  *version;
    ngx_mesh_storage_upload_t  *upload;
    static ngx_str_t            ours = ngx_string("1.0.0");

    upload = ngx_pcalloc(rest->r->pool, sizeof(ngx_mesh_storage_upload_t));

    if (upload == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rest->data = upload;

    /* these are not those of tus */

    rest->condition = STORE_ANY;

    if (rest->r->method == NGX_HTTP_OPTIONS) {
        return ngx_mesh_storage_uploads_options(rest);
    }

    version = ngx_mesh_storage_uploads_header(rest, "tus-resumable");

    if (version == NULL || version->len != ours.len
        || ngx_memcmp(version->data, ours.data, ours.len) != 0)
    {
        if (ngx_mesh_reply_header(rest->r, "Tus-Version", &ours) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_mesh_storage_uploads_refuse(rest,
                                               PROBLEM_PRECONDITION_FAILED,
                   "uploads are those of tus: send \"Tus-Resumable: 1.0.0\"");
    }

    return ngx_mesh_storage_uploads_route(rest);
}


static ngx_int_t
ngx_mesh_storage_uploads_route(ngx_mesh_storage_rest_t *rest)
{
    size_t                      i;
    ngx_uint_t                  method;
    ngx_mesh_storage_upload_t  *upload;

    upload = rest->data;
    method = rest->r->method;

    if (rest->path.len == 0) {
        return method == NGX_HTTP_POST
               ? ngx_mesh_storage_uploads_create(rest)
               : ngx_mesh_storage_rest_method(rest, "POST");
    }

    if (method != NGX_HTTP_HEAD && method != NGX_HTTP_PATCH
        && method != NGX_HTTP_DELETE)
    {
        return ngx_mesh_storage_rest_method(rest, "HEAD, PATCH, DELETE");
    }

    upload->id = rest->path;

    for (i = 0; i < upload->id.len; i++) {
        if (ngx_strchr("0123456789abcdef", upload->id.data[i]) == NULL) {
            break;
        }
    }

    if (i != NGX_MESH_STORAGE_UPLOAD_ID || i != upload->id.len) {
        return ngx_mesh_storage_uploads_refuse(rest, PROBLEM_NOT_FOUND, NULL);
    }

    switch (method) {

    case NGX_HTTP_HEAD:
        return ngx_mesh_storage_uploads_find(rest,
                                             ngx_mesh_storage_uploads_head);

    case NGX_HTTP_PATCH:
        return ngx_mesh_storage_uploads_find(rest,
                                             ngx_mesh_storage_uploads_patch);

    default:
        return ngx_mesh_storage_uploads_find(rest,
                                             ngx_mesh_storage_uploads_remove);
    }
}


static ngx_int_t
ngx_mesh_storage_uploads_options(ngx_mesh_storage_rest_t *rest)
{
    ngx_http_request_t  *r;
    static ngx_str_t     version = ngx_string("1.0.0");
    static ngx_str_t     algorithms = ngx_string("sha1,sha256");
    static ngx_str_t     extensions = ngx_string("creation,"
        "creation-with-upload,creation-defer-length,checksum,expiration,"
        "termination");

    r = rest->r;

    if (ngx_mesh_reply_header(r, "Tus-Version", &version) != NGX_OK
        || ngx_mesh_reply_header(r, "Tus-Extension", &extensions) != NGX_OK
        || ngx_mesh_reply_header(r, "Tus-Checksum-Algorithm", &algorithms)
           != NGX_OK
        || ngx_mesh_storage_uploads_number_header(rest, "Tus-Max-Size",
                                                  rest->lcf->blob_size)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_rest_method(rest, rest->path.len
                                              ? "HEAD, PATCH, DELETE"
                                              : "POST");
}


/* Instead of reading a body. */
static ngx_int_t
ngx_mesh_storage_uploads_refuse(ngx_mesh_storage_rest_t *rest,
    problem_t problem, const char *detail)
{
    ngx_mesh_storage_sink_refuse(rest);

    return ngx_mesh_storage_rest_problem(rest, problem, detail);
}


/* The first header of that name, in lower case; NULL: absent. */
static ngx_str_t *
ngx_mesh_storage_uploads_header(ngx_mesh_storage_rest_t *rest,
    const char *name)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    len = ngx_strlen(name);

    for (part = &rest->r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len == len
                && ngx_memcmp(h[i].lowcase_key, name, len) == 0)
            {
                return &h[i].value;
            }
        }
    }

    return NULL;
}


/* NGX_OK; NGX_DECLINED: absent; NGX_ERROR: no number. */
static ngx_int_t
ngx_mesh_storage_uploads_number(ngx_mesh_storage_rest_t *rest,
    const char *name, off_t *n)
{
    ngx_str_t  *value;

    value = ngx_mesh_storage_uploads_header(rest, name);

    if (value == NULL) {
        return NGX_DECLINED;
    }

    *n = ngx_atoof(value->data, value->len);

    return *n == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


/* Does the request come with bytes of the upload?  NGX_OK, NGX_DECLINED. */
static ngx_int_t
ngx_mesh_storage_uploads_octets(ngx_mesh_storage_rest_t *rest)
{
    ngx_table_elt_t   *type;
    static ngx_str_t   octets = ngx_string("application/offset+octet-stream");

    type = rest->r->headers_in.content_type;

    if (type && type->value.len == octets.len
        && ngx_strncasecmp(type->value.data, octets.data, octets.len) == 0)
    {
        return NGX_OK;
    }

    return NGX_DECLINED;
}


/* POST. */

static ngx_int_t
ngx_mesh_storage_uploads_create(ngx_mesh_storage_rest_t *rest)
{
    off_t                       length, defer;
    ngx_int_t                   rc, told, deferred;
    const char                 *fault;
    ngx_mesh_storage_upload_t  *upload;

    upload = rest->data;
    length = 0;
    defer = 0;

    told = ngx_mesh_storage_uploads_number(rest, "upload-length", &length);
    deferred = ngx_mesh_storage_uploads_number(rest, "upload-defer-length",
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

    fault = ngx_mesh_storage_uploads_metadata(rest, upload);

    if (fault == NULL) {
        fault = ngx_mesh_storage_uploads_checksum(rest, upload);
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
    upload->flags = (deferred == NGX_OK) ? NGX_MESH_STORAGE_UPLOADS_DEFER : 0;
    upload->blob_ms = (uint64_t) rest->expires_ms;
    upload->ns = rest->ns;
    upload->did = bytes_make(rest->principal->did.data,
                             rest->principal->did.len);

    upload->expires_ms = ((uint64_t) ngx_time()
                          + (uint64_t) rest->lcf->upload_time) * 1000;

    return ngx_mesh_storage_uploads_create_write(rest);
}


static ngx_int_t
ngx_mesh_storage_uploads_create_write(ngx_mesh_storage_rest_t *rest)
{
    u_char                     *p, random[NGX_MESH_STORAGE_UPLOAD_ID / 2];
    ngx_mesh_store_job_t       *job;
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

    job = ngx_mesh_store_job_create(8192, rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_mesh_store_job_ops(job, 2) == NULL
        || ngx_mesh_storage_uploads_ops(rest, job, job->write.ops, STORE_PUT)
           != NGX_OK)
    {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    job->write.count = 2;

    return ngx_mesh_storage_rest_write(rest, job,
                                       ngx_mesh_storage_uploads_create_done);
}


static ngx_int_t
ngx_mesh_storage_uploads_create_done(ngx_mesh_storage_rest_t *rest,
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
        && !(upload->flags & NGX_MESH_STORAGE_UPLOADS_DEFER))
    {
        return ngx_mesh_storage_uploads_end(rest);
    }

    return ngx_mesh_storage_uploads_reply(rest);
}


/* "key base64, key base64": what there is of it is kept, two of them name the
   blob and its type. */
static const char *
ngx_mesh_storage_uploads_metadata(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_upload_t *upload)
{
    u_char      *p, *last, *end;
    ngx_str_t   *value;
    const char  *fault;

    value = ngx_mesh_storage_uploads_header(rest, "upload-metadata");

    if (value == NULL) {
        return "Upload-Metadata must have a \"filename\", the name of the "
               "blob";
    }

    if (value->len > NGX_MESH_STORAGE_UPLOADS_METADATA_MAX) {
        return "Upload-Metadata has at most 2048 bytes";
    }

    upload->metadata = bytes_make(value->data, value->len);

    p = value->data;
    last = value->data + value->len;

    while (p < last) {
        end = ngx_strlchr(p, last, ',');
        end = end ? end : last;

        fault = ngx_mesh_storage_uploads_pair(rest, upload, p, end);

        if (fault) {
            return fault;
        }

        p = end + 1;
    }

    if (!ngx_mesh_storage_uploads_name_valid(upload->name)) {
        return "\"filename\" of Upload-Metadata must be a name as it stands "
               "in a path: 1 to 512 bytes of UTF-8, no empty part, no \".\" "
               "or \"..\"";
    }

    return NULL;
}


static const char *
ngx_mesh_storage_uploads_pair(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_upload_t *upload, u_char *p, u_char *last)
{
    size_t           i;
    u_char          *key;
    bytes_t          name, text;
    bytes_writer_t   w;

    while (p < last && *p == ' ') {
        p++;
    }

    while (p < last && last[-1] == ' ') {
        last--;
    }

    for (key = p; p < last && *p != ' '; p++) {
        /* void */
    }

    name = bytes_make(key, p - key);

    if (p < last) {
        p++;
    }

    if (ngx_mesh_storage_rest_writer(rest, &w,
                                     base64_decoded_max(last - p))
        != NGX_OK)
    {
        return "out of memory";
    }

    if (base64_decode(BASE64_STD, bytes_make(p, last - p), &w) != 0) {
        return "Upload-Metadata is not \"key base64, key base64\"";
    }

    text = bytes_writer_view(&w);

    if (bytes_equal_text(name, "filename")
        || (bytes_equal_text(name, "name") && upload->name.len == 0))
    {
        upload->name = text;
    }

    if (bytes_equal_text(name, "filetype")
        || (bytes_equal_text(name, "type") && upload->type.len == 0))
    {
        for (i = 0; i < text.len; i++) {
            if (text.data[i] < 0x20 || text.data[i] > 0x7e) {
                return "\"filetype\" of Upload-Metadata is no media type";
            }
        }

        if (text.len > NGX_MESH_STORAGE_TYPE_MAX) {
            return "\"filetype\" of Upload-Metadata has at most 127 bytes";
        }

        upload->type = text;
    }

    return NULL;
}


/* A name that a path can have: else nobody could fetch it. */
static ngx_uint_t
ngx_mesh_storage_uploads_name_valid(bytes_t name)
{
    size_t  i, start, len;

    if (name.len == 0 || name.len > NGX_MESH_STORAGE_KEY_MAX
        || !utf8_valid(name) || ngx_strlchr((u_char *) name.data,
                                  (u_char *) name.data + name.len, '\0'))
    {
        return 0;
    }

    for (i = 0, start = 0; i <= name.len; i++) {

        if (i < name.len && name.data[i] != '/') {
            continue;
        }

        len = i - start;

        if ((len == 0 && i < name.len)
            || (len == 1 && name.data[start] == '.')
            || (len == 2 && name.data[start] == '.'
                && name.data[start + 1] == '.'))
        {
            return 0;
        }

        start = i + 1;
    }

    return 1;
}


/* "sha1 base64" */
static const char *
ngx_mesh_storage_uploads_checksum(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_upload_t *upload)
{
    size_t           size;
    u_char          *p, *last;
    ngx_str_t       *value;
    bytes_writer_t   w;

    value = ngx_mesh_storage_uploads_header(rest, "upload-checksum");

    if (value == NULL) {
        return NULL;
    }

    p = value->data;
    last = value->data + value->len;

    if (value->len > 5 && ngx_strncmp(p, "sha1 ", 5) == 0) {
        upload->algorithm = NGX_MESH_STORAGE_UPLOAD_PART_SHA1;
        size = SHA1_SIZE;
        p += 5;

    } else if (value->len > 7 && ngx_strncmp(p, "sha256 ", 7) == 0) {
        upload->algorithm = NGX_MESH_STORAGE_UPLOAD_PART_SHA256;
        size = DIGEST_SHA256_LEN;
        p += 7;

    } else {
        return "Upload-Checksum must be one of sha1 or sha256";
    }

    bytes_writer_open(&w, upload->sum, size);

    if (base64_decode(BASE64_STD, bytes_make(p, last - p), &w) != 0
        || (size_t) (w.pos - w.start) != size)
    {
        return "Upload-Checksum is not \"sha1 <base64>\"";
    }

    return NULL;
}


/* Two operations: what the upload is, and what it is charged. */
static ngx_int_t
ngx_mesh_storage_uploads_ops(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job, store_op_t *op, store_op_kind_t kind)
{
    bytes_t                     none = bytes_make(NULL, 0);
    ngx_mesh_storage_upload_t  *upload;

    upload = rest->data;

    ngx_memzero(op, 2 * sizeof(store_op_t));

    op[0].kind = kind;
    op[0].condition = upload->seq ? STORE_IF_SEQ : STORE_IF_ABSENT;
    op[0].if_seq = upload->seq;
    op[0].ns = bytes_of(NGX_MESH_STORAGE_NS_BLOB);
    op[0].key = ngx_mesh_storage_rest_key(job->pool, "up/", upload->id, none);

    op[1].kind = kind;
    op[1].condition = STORE_ANY;
    op[1].ns = ngx_mesh_storage_rest_key(job->pool, "", rest->store_ns, none);
    op[1].key = ngx_mesh_storage_rest_key(job->pool, "u/", upload->id, none);

    if (op[0].key.len == 0 || op[1].ns.len == 0 || op[1].key.len == 0) {
        return NGX_ERROR;
    }

    if (kind == STORE_DELETE) {
        return NGX_OK;
    }

    op[0].expires_ms = (int64_t) upload->expires_ms;
    op[0].value = ngx_mesh_storage_uploads_encode(job->pool, upload);

    op[1].expires_ms = op[0].expires_ms;
    op[1].weight = upload->length;

    return op[0].value.len ? NGX_OK : NGX_ERROR;
}


/*
 * The item:
 *
 *     version 1 | flags 8 | length 8 | expires 8 | blob's expiry 8 | sha256 32
 *     | length 2, text: namespace, name, type, DID, metadata
 */

static bytes_t
ngx_mesh_storage_uploads_encode(ngx_pool_t *pool,
    const ngx_mesh_storage_upload_t *upload)
{
    size_t           i, n, size;
    u_char          *p;
    bytes_writer_t   w;

    const uint64_t  numbers[] = {
        upload->flags, upload->length, upload->expires_ms, upload->blob_ms
    };

    const bytes_t  texts[NGX_MESH_STORAGE_UPLOADS_TEXTS] = {
        upload->ns, upload->name, upload->type, upload->did, upload->metadata
    };

    size = 1 + sizeof(numbers) + DIGEST_SHA256_LEN;

    for (i = 0; i < NGX_MESH_STORAGE_UPLOADS_TEXTS; i++) {
        size += 2 + texts[i].len;
    }

    p = ngx_pnalloc(pool, size);

    if (p == NULL) {
        return bytes_make(NULL, 0);
    }

    bytes_writer_open(&w, p, size);
    bytes_writer_byte(&w, NGX_MESH_STORAGE_UPLOADS_VERSION);

    for (i = 0; i < 4; i++) {
        for (n = 0; n < 8; n++) {
            bytes_writer_byte(&w, (uint8_t) (numbers[i] >> (56 - 8 * n)));
        }
    }

    bytes_writer_put(&w, upload->hash, DIGEST_SHA256_LEN);

    for (i = 0; i < NGX_MESH_STORAGE_UPLOADS_TEXTS; i++) {
        bytes_writer_byte(&w, (uint8_t) (texts[i].len >> 8));
        bytes_writer_byte(&w, (uint8_t) texts[i].len);
        bytes_writer_bytes(&w, texts[i]);
    }

    return bytes_writer_view(&w);
}


/* Texts are copied: the row dies. */
static ngx_int_t
ngx_mesh_storage_uploads_decode(ngx_pool_t *pool,
    ngx_mesh_storage_upload_t *upload, bytes_t b)
{
    size_t          i, n;
    u_char         *copy;
    const uint8_t  *p;
    bytes_reader_t  r;

    uint64_t  *numbers[] = {
        &upload->flags, &upload->length, &upload->expires_ms, &upload->blob_ms
    };

    bytes_t  *texts[NGX_MESH_STORAGE_UPLOADS_TEXTS] = {
        &upload->ns, &upload->name, &upload->type, &upload->did,
        &upload->metadata
    };

    copy = ngx_pnalloc(pool, b.len + 1);

    if (copy == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(copy, b.data, b.len);
    bytes_reader_open(&r, bytes_make(copy, b.len));

    p = bytes_reader_take(&r, 1 + 32 + DIGEST_SHA256_LEN).data;

    if (p == NULL || *p++ != NGX_MESH_STORAGE_UPLOADS_VERSION) {
        return NGX_ERROR;
    }

    for (i = 0; i < 4; i++) {
        for (n = 0, *numbers[i] = 0; n < 8; n++) {
            *numbers[i] = (*numbers[i] << 8) | *p++;
        }
    }

    ngx_memcpy(upload->hash, p, DIGEST_SHA256_LEN);

    for (i = 0; i < NGX_MESH_STORAGE_UPLOADS_TEXTS; i++) {
        p = bytes_reader_take(&r, 2).data;

        if (p == NULL) {
            return NGX_ERROR;
        }

        n = (size_t) p[0] << 8 | p[1];
        *texts[i] = bytes_reader_take(&r, n);

        if (r.failed) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* An upload that is there, and of who asks. */

static ngx_int_t
ngx_mesh_storage_uploads_find(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_step_pt found)
{
    store_read_t               *read;
    ngx_mesh_store_job_t       *job;
    ngx_mesh_storage_upload_t  *upload;

    upload = rest->data;
    upload->found = found;

    job = ngx_mesh_storage_rest_get(rest, "up/", upload->id);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    read = (store_read_t *) job->reads;
    read->ns = bytes_of(NGX_MESH_STORAGE_NS_BLOB);

    return ngx_mesh_storage_rest_read(rest, job,
                                      ngx_mesh_storage_uploads_find_done);
}


static ngx_int_t
ngx_mesh_storage_uploads_find_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    u_char                     *p;
    bytes_t                     did;
    ngx_int_t                   rc;
    const store_row_t          *row;
    ngx_mesh_storage_upload_t  *upload;

    upload = rest->data;

    if (job->rc != STORE_OK) {
        ngx_mesh_storage_sink_refuse(rest);
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    if (job->rows[0].rc != STORE_OK || job->rows[0].count == 0) {
        return ngx_mesh_storage_uploads_refuse(rest, PROBLEM_NOT_FOUND, NULL);
    }

    row = &job->rows[0].rows[0];
    upload->seq = row->seq;

    if (ngx_mesh_storage_uploads_decode(rest->r->pool, upload, row->value)
        != NGX_OK)
    {
        return ngx_mesh_storage_uploads_refuse(rest, PROBLEM_INTERNAL, NULL);
    }

    did = bytes_make(rest->principal->did.data, rest->principal->did.len);

    if (!bytes_equal(upload->ns, rest->ns)
        || !bytes_equal(upload->did, did))
    {
        return ngx_mesh_storage_uploads_refuse(rest, PROBLEM_NOT_FOUND, NULL);
    }

    if (ngx_mesh_storage_rest_allow(rest, "/storage/write", "blobs",
                                    upload->name, &rc)
        != NGX_OK)
    {
        return rc;
    }

    /* NUL terminated, for names of files */

    p = ngx_pnalloc(rest->r->pool, NGX_MESH_STORAGE_UPLOAD_ID + 1);

    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    (void) ngx_cpymem(p, upload->id.data, NGX_MESH_STORAGE_UPLOAD_ID);
    p[NGX_MESH_STORAGE_UPLOAD_ID] = '\0';

    upload->id = bytes_make(p, NGX_MESH_STORAGE_UPLOAD_ID);

    if (upload->flags & NGX_MESH_STORAGE_UPLOADS_DONE) {
        upload->offset = (off_t) upload->length;

    } else {
        upload->offset = ngx_mesh_storage_upload_part_size(
                             (char *) rest->mcf->blobs.data, (char *) p);
    }

    return upload->found(rest);
}


/* HEAD. */

static ngx_int_t
ngx_mesh_storage_uploads_head(ngx_mesh_storage_rest_t *rest)
{
    ngx_str_t                   value;
    static ngx_str_t            one = ngx_string("1");
    ngx_mesh_storage_upload_t  *upload;

    upload = rest->data;
    upload->status = NGX_HTTP_OK;

    if (upload->metadata.len != 0) {
        value.data = (u_char *) upload->metadata.data;
        value.len = upload->metadata.len;

        if (ngx_mesh_reply_header(rest->r, "Upload-Metadata", &value)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (upload->flags & NGX_MESH_STORAGE_UPLOADS_DEFER) {

        if (ngx_mesh_reply_header(rest->r, "Upload-Defer-Length", &one)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_mesh_storage_uploads_reply(rest);
    }

    if (ngx_mesh_storage_uploads_number_header(rest, "Upload-Length",
                                               (off_t) upload->length)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* whoever got so far did not come to the end of it */

    if (upload->offset == (off_t) upload->length
        && !(upload->flags & NGX_MESH_STORAGE_UPLOADS_DONE))
    {
        return ngx_mesh_storage_uploads_end(rest);
    }

    return ngx_mesh_storage_uploads_reply(rest);
}


/* PATCH. */

static ngx_int_t
ngx_mesh_storage_uploads_patch(ngx_mesh_storage_rest_t *rest)
{
    off_t                       offset, length;
    ngx_int_t                   told;
    const char                 *fault;
    ngx_mesh_storage_upload_t  *upload;

    upload = rest->data;
    upload->status = NGX_HTTP_NO_CONTENT;

    if (ngx_mesh_storage_uploads_octets(rest) != NGX_OK) {
        return ngx_mesh_storage_uploads_refuse(rest,
                                               PROBLEM_UNSUPPORTED_MEDIA,
                                          "application/offset+octet-stream");
    }

    if (ngx_mesh_storage_uploads_number(rest, "upload-offset", &offset)
        != NGX_OK)
    {
        return ngx_mesh_storage_uploads_refuse(rest, PROBLEM_BAD_REQUEST,
                   "Upload-Offset must be a number of bytes");
    }

    fault = ngx_mesh_storage_uploads_checksum(rest, upload);

    if (fault) {
        return ngx_mesh_storage_uploads_refuse(rest, PROBLEM_BAD_REQUEST,
                                               fault);
    }

    if (offset != upload->offset) {
        return ngx_mesh_storage_uploads_refuse(rest, PROBLEM_CONFLICT,
                   "Upload-Offset is not where the upload is");
    }

    told = ngx_mesh_storage_uploads_number(rest, "upload-length", &length);

    if (told == NGX_ERROR) {
        return ngx_mesh_storage_uploads_refuse(rest, PROBLEM_BAD_REQUEST,
                   "Upload-Length must be a number of bytes");
    }

    if (told == NGX_OK
        && (upload->flags & NGX_MESH_STORAGE_UPLOADS_DEFER))
    {
        return ngx_mesh_storage_uploads_length(rest, length);
    }

    if (told == NGX_OK && length != (off_t) upload->length) {
        return ngx_mesh_storage_uploads_refuse(rest, PROBLEM_BAD_REQUEST,
                   "Upload-Length was told before, and was another");
    }

    return ngx_mesh_storage_uploads_part(rest);
}


/* The length that was put off: charged from now on. */
static ngx_int_t
ngx_mesh_storage_uploads_length(ngx_mesh_storage_rest_t *rest, off_t length)
{
    ngx_mesh_store_job_t       *job;
    ngx_mesh_storage_upload_t  *upload;

    upload = rest->data;

    if (length > rest->lcf->blob_size) {
        return ngx_mesh_storage_sink_too_large(rest, rest->lcf->blob_size);
    }

    if (length < upload->offset) {
        return ngx_mesh_storage_uploads_refuse(rest, PROBLEM_BAD_REQUEST,
                   "Upload-Length is less than what the upload has");
    }

    upload->length = (uint64_t) length;
    upload->flags &= ~(uint64_t) NGX_MESH_STORAGE_UPLOADS_DEFER;

    job = ngx_mesh_store_job_create(8192, rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_mesh_store_job_ops(job, 2) == NULL
        || ngx_mesh_storage_uploads_ops(rest, job, job->write.ops, STORE_PUT)
           != NGX_OK)
    {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    job->write.count = 2;

    return ngx_mesh_storage_rest_write(rest, job,
                                       ngx_mesh_storage_uploads_length_done);
}


static ngx_int_t
ngx_mesh_storage_uploads_length_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_mesh_storage_upload_t  *upload;

    upload = rest->data;

    if (job->write.rc == STORE_CONDITION) {
        return ngx_mesh_storage_uploads_refuse(rest, PROBLEM_CONFLICT,
                   "another request told of the length, or ended the upload");
    }

    if (job->write.rc != STORE_OK) {
        ngx_mesh_storage_sink_refuse(rest);
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    upload->seq = job->write.results[0].seq;

    return ngx_mesh_storage_uploads_part(rest);
}


/* The bytes of a POST or PATCH. */

static ngx_int_t
ngx_mesh_storage_uploads_part(ngx_mesh_storage_rest_t *rest)
{
    off_t                            max;
    ngx_mesh_storage_sink_t         *sink;
    ngx_mesh_storage_upload_t       *upload;
    ngx_mesh_storage_upload_part_t  *part;

    upload = rest->data;

    max = (upload->flags & NGX_MESH_STORAGE_UPLOADS_DEFER)
          ? rest->lcf->blob_size : (off_t) upload->length;
    max -= upload->offset;

    if (rest->r->headers_in.content_length_n > max) {
        return ngx_mesh_storage_sink_too_large(rest, max);
    }

    sink = ngx_mesh_storage_sink_create(rest,
                                      &ngx_mesh_storage_upload_part_target,
                                      sizeof(ngx_mesh_storage_upload_part_t));
    if (sink == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    sink->max = max;

    part = sink->data;
    part->folder = (char *) rest->mcf->blobs.data;
    part->offset = upload->offset;
    part->algorithm = upload->algorithm;
    ngx_memcpy(part->sum, upload->sum, DIGEST_SHA256_LEN);
    ngx_mesh_storage_upload_part_name(part->name, "up",
                                      (char *) upload->id.data);

    return ngx_mesh_storage_sink_read(sink,
                                      ngx_mesh_storage_uploads_part_done);
}


static ngx_int_t
ngx_mesh_storage_uploads_part_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_sink_t *sink)
{
    ngx_mesh_storage_upload_t       *upload;
    ngx_mesh_storage_upload_part_t  *part;

    upload = rest->data;
    part = sink->data;

    /* the end of an upload that has ended before is not a conflict */

    if (sink->rc == NGX_MESH_STORAGE_SINK_CONFLICT
        && sink->received == 0
        && upload->offset == (off_t) upload->length
        && !(upload->flags & NGX_MESH_STORAGE_UPLOADS_DEFER))
    {
        sink->rc = NGX_MESH_STORAGE_SINK_OK;
    }

    if (sink->rc == NGX_MESH_STORAGE_SINK_MISMATCH) {
        return ngx_mesh_storage_uploads_wrong_sum(rest);
    }

    if (sink->rc == NGX_MESH_STORAGE_SINK_CONFLICT) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_CONFLICT,
                   "another request has added to this upload");
    }

    if (sink->rc != NGX_MESH_STORAGE_SINK_OK) {
        return ngx_mesh_storage_sink_problem(sink);
    }

    upload->offset = part->offset;

    if (upload->offset == (off_t) upload->length
        && !(upload->flags & (NGX_MESH_STORAGE_UPLOADS_DEFER
                              |NGX_MESH_STORAGE_UPLOADS_DONE)))
    {
        return ngx_mesh_storage_uploads_end(rest);
    }

    return ngx_mesh_storage_uploads_reply(rest);
}


/* A status that only tus has. */
static ngx_int_t
ngx_mesh_storage_uploads_wrong_sum(ngx_mesh_storage_rest_t *rest)
{
    static const char  body[] =
        "{\"type\":\"/problems/digest-mismatch\",\"title\":\"Checksum "
        "mismatch\",\"status\":460,\"detail\":\"these are not the bytes that "
        "Upload-Checksum tells of; none of them was kept\",\"error\":"
        "\"digest-mismatch\"}";

    return ngx_mesh_reply_text(rest->r, NGX_MESH_STORAGE_UPLOADS_CHECKSUM,
                               "application/problem+json",
                               bytes_make(body, sizeof(body) - 1));
}


/* The end. */

static ngx_int_t
ngx_mesh_storage_uploads_end(ngx_mesh_storage_rest_t *rest)
{
    ngx_mesh_job_t                 *job;
    ngx_mesh_storage_upload_t      *upload;
    ngx_mesh_storage_upload_end_t  *end;

    upload = rest->data;

    job = ngx_mesh_job_create(1024, sizeof(ngx_mesh_storage_upload_end_t),
                              rest->r->connection->log);
    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    end = job->context;
    end->folder = (char *) rest->mcf->blobs.data;
    end->length = upload->length;
    (void) ngx_cpystrn((u_char *) end->id, (u_char *) upload->id.data,
                       sizeof(end->id));

    if (upload->length <= NGX_MESH_STORAGE_BLOB_INLINE) {
        end->value = ngx_pnalloc(job->pool,
                                 ngx_max((size_t) upload->length, 1));

        if (end->value == NULL) {
            ngx_mesh_job_destroy(job);
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    job->data = rest;
    job->run = ngx_mesh_storage_upload_part_end_thread;
    job->done = ngx_mesh_storage_uploads_end_done;

    if (ngx_mesh_job_submit(rest->mcf->thread_pool, job) != NGX_OK) {
        ngx_mesh_job_destroy(job);
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BUSY, NULL);
    }

    return ngx_mesh_storage_rest_park(rest, &job->data);
}


static void
ngx_mesh_storage_uploads_end_done(ngx_mesh_job_t *job)
{
    ngx_int_t                       rc;
    ngx_mesh_storage_rest_t        *rest;
    ngx_mesh_storage_upload_end_t  *end;

    rest = job->data;
    end = job->context;

    if (rest == NULL) {
        ngx_mesh_storage_upload_part_end_close(end);
        ngx_mesh_job_destroy(job);
        return;
    }

    if (!end->done) {

        if (ngx_mesh_job_submit(rest->mcf->thread_pool, job) == NGX_OK) {
            return;
        }

        ngx_mesh_storage_upload_part_end_close(end);
        end->rc = NGX_MESH_STORAGE_SINK_BUSY;
    }

    rc = ngx_mesh_storage_uploads_ended(rest, end);

    ngx_mesh_job_destroy(job);
    ngx_mesh_storage_rest_resume(rest, rc);
}


static ngx_int_t
ngx_mesh_storage_uploads_ended(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_upload_end_t *end)
{
    ngx_mesh_storage_upload_t  *upload;

    upload = rest->data;

    switch (end->rc) {

    case NGX_MESH_STORAGE_SINK_OK:
        break;

    case NGX_MESH_STORAGE_SINK_BUSY:
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BUSY, NULL);

    case NGX_MESH_STORAGE_SINK_CONFLICT:
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_CONFLICT,
                   "another request is at work on this upload");

    default:
        ngx_log_error(NGX_LOG_ERR, rest->r->connection->log, end->err,
                      "storage: %s failed", end->what);

        return ngx_mesh_storage_rest_problem(rest,
                   end->rc == NGX_MESH_STORAGE_SINK_FULL
                   ? PROBLEM_STORAGE_FULL : PROBLEM_INTERNAL, NULL);
    }

    upload->blob.file = (end->value == NULL);
    upload->blob.size = upload->length;
    upload->blob.type = upload->type;
    ngx_memcpy(upload->blob.hash, end->hash, DIGEST_SHA256_LEN);
    ngx_memcpy(upload->hash, end->hash, DIGEST_SHA256_LEN);

    if (end->value) {
        upload->value = bytes_make(end->value, (size_t) upload->length);
    }

    return ngx_mesh_storage_uploads_end_write(rest);
}


static ngx_int_t
ngx_mesh_storage_uploads_end_write(ngx_mesh_storage_rest_t *rest)
{
    size_t                      count;
    ngx_mesh_store_job_t       *job;
    ngx_mesh_storage_upload_t  *upload;

    upload = rest->data;
    upload->flags |= NGX_MESH_STORAGE_UPLOADS_DONE;
    rest->expires_ms = (int64_t) upload->blob_ms;

    job = ngx_mesh_storage_rest_put(rest, STORE_PUT, "b/", upload->name, 4);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    count = ngx_mesh_storage_blobs_ops(rest, job, &upload->blob,
                                       upload->value, upload->name);

    if (count == 0
        || ngx_mesh_storage_uploads_ops(rest, job, &job->write.ops[count],
                                        STORE_PUT)
           != NGX_OK)
    {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* the blob is charged from now on */

    job->write.ops[count + 1].kind = STORE_DELETE;
    job->write.ops[count + 1].weight = 0;
    job->write.ops[count + 1].expires_ms = 0;
    job->write.count = count + 2;

    return ngx_mesh_storage_rest_write(rest, job,
                                       ngx_mesh_storage_uploads_end_written);
}


/* The file has two names by now, or is not needed. */
static ngx_int_t
ngx_mesh_storage_uploads_end_written(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_mesh_storage_upload_t  *upload;

    upload = rest->data;

    if (job->write.rc == STORE_CONDITION) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_CONFLICT,
                   "another request has ended this upload");
    }

    if (job->write.rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    ngx_mesh_storage_upload_part_remove(rest->mcf, (char *) upload->id.data);

    return ngx_mesh_storage_uploads_reply(rest);
}


/* DELETE. */

static ngx_int_t
ngx_mesh_storage_uploads_remove(ngx_mesh_storage_rest_t *rest)
{
    ngx_mesh_store_job_t  *job;

    job = ngx_mesh_store_job_create(1024, rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_mesh_store_job_ops(job, 2) == NULL
        || ngx_mesh_storage_uploads_ops(rest, job, job->write.ops,
                                        STORE_DELETE)
           != NGX_OK)
    {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    job->write.count = 2;

    return ngx_mesh_storage_rest_write(rest, job,
                                       ngx_mesh_storage_uploads_remove_done);
}


static ngx_int_t
ngx_mesh_storage_uploads_remove_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_mesh_storage_upload_t  *upload;

    upload = rest->data;

    if (job->write.rc == STORE_CONDITION) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_CONFLICT,
                   "another request is at work on this upload");
    }

    if (job->write.rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    ngx_mesh_storage_upload_part_remove(rest->mcf, (char *) upload->id.data);

    return ngx_mesh_reply_empty(rest->r, NGX_HTTP_NO_CONTENT);
}


/* Answers: how far it is, and until when; of one that is done, its ETag. */

static ngx_int_t
ngx_mesh_storage_uploads_reply(ngx_mesh_storage_rest_t *rest)
{
    ngx_str_t                   value;
    ngx_mesh_storage_upload_t  *upload;

    upload = rest->data;

    value.data = ngx_pnalloc(rest->r->pool,
                             sizeof("Mon, 28 Sep 1970 06:00:00 GMT"));

    if (value.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    value.len = ngx_http_time(value.data,
                              (time_t) (upload->expires_ms / 1000))
                - value.data;

    if (ngx_mesh_reply_header(rest->r, "Upload-Expires", &value) != NGX_OK
        || ngx_mesh_storage_uploads_number_header(rest, "Upload-Offset",
                                                  upload->offset)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if ((upload->flags & NGX_MESH_STORAGE_UPLOADS_DONE)
        && ngx_mesh_storage_blobs_etag(rest, upload->hash) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_reply_empty(rest->r, upload->status);
}


static ngx_int_t
ngx_mesh_storage_uploads_number_header(ngx_mesh_storage_rest_t *rest,
    const char *name, off_t n)
{
    ngx_str_t  value;

    value.data = ngx_pnalloc(rest->r->pool, NGX_OFF_T_LEN);

    if (value.data == NULL) {
        return NGX_ERROR;
    }

    value.len = ngx_sprintf(value.data, "%O", n) - value.data;

    return ngx_mesh_reply_header(rest->r, name, &value);
}
