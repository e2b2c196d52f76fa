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

#include "ngx_mesh_storage_path.h"
#include "ngx_mesh_storage_upload.h"


#define NGX_MESH_STORAGE_UPLOADS_CHECKSUM      460     /* status, tus */


static ngx_int_t ngx_mesh_storage_uploads_open(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_uploads_route(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_uploads_options(
    ngx_mesh_storage_rest_t *rest);
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
static ngx_int_t ngx_mesh_storage_uploads_part_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_sink_t *sink);
static ngx_int_t ngx_mesh_storage_uploads_wrong_sum(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_uploads_remove(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_uploads_remove_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
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

    method = ngx_mesh_storage_upload_item_header(rest,
                                                 "x-http-method-override");

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

    version = ngx_mesh_storage_upload_item_header(rest, "tus-resumable");

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
               ? ngx_mesh_storage_upload_create(rest)
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
ngx_int_t
ngx_mesh_storage_uploads_refuse(ngx_mesh_storage_rest_t *rest,
    problem_t problem, const char *detail)
{
    ngx_mesh_storage_sink_refuse(rest);

    return ngx_mesh_storage_rest_problem(rest, problem, detail);
}


/* Does the request come with bytes of the upload?  NGX_OK, NGX_DECLINED. */
ngx_int_t
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

    if (ngx_mesh_storage_upload_item_decode(rest->r->pool, upload, row->value)
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

    if (upload->flags & NGX_MESH_STORAGE_UPLOAD_DONE) {
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

    if (upload->flags & NGX_MESH_STORAGE_UPLOAD_DEFER) {

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
        && !(upload->flags & NGX_MESH_STORAGE_UPLOAD_DONE))
    {
        return ngx_mesh_storage_upload_end(rest);
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

    if (ngx_mesh_storage_upload_item_number(rest, "upload-offset", &offset)
        != NGX_OK)
    {
        return ngx_mesh_storage_uploads_refuse(rest, PROBLEM_BAD_REQUEST,
                   "Upload-Offset must be a number of bytes");
    }

    fault = ngx_mesh_storage_upload_item_checksum(rest, upload);

    if (fault) {
        return ngx_mesh_storage_uploads_refuse(rest, PROBLEM_BAD_REQUEST,
                                               fault);
    }

    if (offset != upload->offset) {
        return ngx_mesh_storage_uploads_refuse(rest, PROBLEM_CONFLICT,
                   "Upload-Offset is not where the upload is");
    }

    told = ngx_mesh_storage_upload_item_number(rest, "upload-length", &length);

    if (told == NGX_ERROR) {
        return ngx_mesh_storage_uploads_refuse(rest, PROBLEM_BAD_REQUEST,
                   "Upload-Length must be a number of bytes");
    }

    if (told == NGX_OK
        && (upload->flags & NGX_MESH_STORAGE_UPLOAD_DEFER))
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
    upload->flags &= ~(uint64_t) NGX_MESH_STORAGE_UPLOAD_DEFER;

    return ngx_mesh_storage_upload_item_write(rest, STORE_PUT,
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

ngx_int_t
ngx_mesh_storage_uploads_part(ngx_mesh_storage_rest_t *rest)
{
    off_t                            max;
    ngx_mesh_storage_sink_t         *sink;
    ngx_mesh_storage_upload_t       *upload;
    ngx_mesh_storage_upload_part_t  *part;

    upload = rest->data;

    max = (upload->flags & NGX_MESH_STORAGE_UPLOAD_DEFER)
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
        && !(upload->flags & NGX_MESH_STORAGE_UPLOAD_DEFER))
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
        && !(upload->flags & (NGX_MESH_STORAGE_UPLOAD_DEFER
                              |NGX_MESH_STORAGE_UPLOAD_DONE)))
    {
        return ngx_mesh_storage_upload_end(rest);
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


/* DELETE. */

static ngx_int_t
ngx_mesh_storage_uploads_remove(ngx_mesh_storage_rest_t *rest)
{
    return ngx_mesh_storage_upload_item_write(rest, STORE_DELETE,
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

ngx_int_t
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

    if ((upload->flags & NGX_MESH_STORAGE_UPLOAD_DONE)
        && ngx_mesh_storage_blob_send_etag(rest, upload->hash) != NGX_OK)
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
