/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What an upload is: from the headers of tus, and to and from its item.
 *
 * Event loop only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "base64.h"
#include "ngx_mesh_storage_upload.h"
#include "utf8.h"


#define NGX_MESH_STORAGE_UPLOAD_ITEM_METADATA_MAX  2048    /* bytes */
#define NGX_MESH_STORAGE_UPLOAD_ITEM_TEXTS         5
#define NGX_MESH_STORAGE_UPLOAD_ITEM_VERSION       1     /* first byte */
#define NGX_MESH_STORAGE_UPLOAD_ITEM_POOL          8192  /* bytes, of a job */


static const char *ngx_mesh_storage_upload_item_pair(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_upload_t *upload,
    u_char *p, u_char *last);
static ngx_uint_t ngx_mesh_storage_upload_item_name_valid(bytes_t name);
static bytes_t ngx_mesh_storage_upload_item_encode(ngx_pool_t *pool,
    const ngx_mesh_storage_upload_t *upload);


/* The first header of that name, in lower case; NULL: absent. */
ngx_str_t *
ngx_mesh_storage_upload_item_header(ngx_mesh_storage_rest_t *rest,
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
ngx_int_t
ngx_mesh_storage_upload_item_number(ngx_mesh_storage_rest_t *rest,
    const char *name, off_t *n)
{
    ngx_str_t  *value;

    value = ngx_mesh_storage_upload_item_header(rest, name);

    if (value == NULL) {
        return NGX_DECLINED;
    }

    *n = ngx_atoof(value->data, value->len);

    return *n == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


/* "key base64, key base64": what there is of it is kept, two of them name the
   blob and its type. */
const char *
ngx_mesh_storage_upload_item_metadata(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_upload_t *upload)
{
    u_char      *p, *last, *end;
    ngx_str_t   *value;
    const char  *fault;

    value = ngx_mesh_storage_upload_item_header(rest, "upload-metadata");

    if (value == NULL) {
        return "Upload-Metadata must have a \"filename\", the name of the "
               "blob";
    }

    if (value->len > NGX_MESH_STORAGE_UPLOAD_ITEM_METADATA_MAX) {
        return "Upload-Metadata has at most 2048 bytes";
    }

    upload->metadata = bytes_make(value->data, value->len);

    p = value->data;
    last = value->data + value->len;

    while (p < last) {
        end = ngx_strlchr(p, last, ',');
        end = end ? end : last;

        fault = ngx_mesh_storage_upload_item_pair(rest, upload, p, end);

        if (fault) {
            return fault;
        }

        p = end + 1;
    }

    if (!ngx_mesh_storage_upload_item_name_valid(upload->name)) {
        return "\"filename\" of Upload-Metadata must be a name as it stands "
               "in a path: 1 to 512 bytes of UTF-8, no empty part, no \".\" "
               "or \"..\"";
    }

    return NULL;
}


static const char *
ngx_mesh_storage_upload_item_pair(ngx_mesh_storage_rest_t *rest,
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
ngx_mesh_storage_upload_item_name_valid(bytes_t name)
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
const char *
ngx_mesh_storage_upload_item_checksum(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_upload_t *upload)
{
    size_t           size;
    u_char          *p, *last;
    ngx_str_t       *value;
    bytes_writer_t   w;

    value = ngx_mesh_storage_upload_item_header(rest, "upload-checksum");

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
ngx_int_t
ngx_mesh_storage_upload_item_write(ngx_mesh_storage_rest_t *rest,
    store_op_kind_t kind, ngx_mesh_storage_done_pt done)
{
    ngx_mesh_store_job_t  *job;

    job = ngx_mesh_store_job_create(NGX_MESH_STORAGE_UPLOAD_ITEM_POOL,
                                    rest->r->connection->log);
    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_mesh_store_job_ops(job, 2) == NULL
        || ngx_mesh_storage_upload_item_ops(rest, job, job->write.ops, kind)
           != NGX_OK)
    {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    job->write.count = 2;

    return ngx_mesh_storage_rest_write(rest, job, done);
}


ngx_int_t
ngx_mesh_storage_upload_item_ops(ngx_mesh_storage_rest_t *rest,
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
    op[0].value = ngx_mesh_storage_upload_item_encode(job->pool, upload);

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
ngx_mesh_storage_upload_item_encode(ngx_pool_t *pool,
    const ngx_mesh_storage_upload_t *upload)
{
    size_t           i, n, size;
    u_char          *p;
    bytes_writer_t   w;

    const uint64_t  numbers[] = {
        upload->flags, upload->length, upload->expires_ms, upload->blob_ms
    };

    const bytes_t  texts[NGX_MESH_STORAGE_UPLOAD_ITEM_TEXTS] = {
        upload->ns, upload->name, upload->type, upload->did, upload->metadata
    };

    size = 1 + sizeof(numbers) + DIGEST_SHA256_LEN;

    for (i = 0; i < NGX_MESH_STORAGE_UPLOAD_ITEM_TEXTS; i++) {
        size += 2 + texts[i].len;
    }

    p = ngx_pnalloc(pool, size);

    if (p == NULL) {
        return bytes_make(NULL, 0);
    }

    bytes_writer_open(&w, p, size);
    bytes_writer_byte(&w, NGX_MESH_STORAGE_UPLOAD_ITEM_VERSION);

    for (i = 0; i < 4; i++) {
        for (n = 0; n < 8; n++) {
            bytes_writer_byte(&w, (uint8_t) (numbers[i] >> (56 - 8 * n)));
        }
    }

    bytes_writer_put(&w, upload->hash, DIGEST_SHA256_LEN);

    for (i = 0; i < NGX_MESH_STORAGE_UPLOAD_ITEM_TEXTS; i++) {
        bytes_writer_byte(&w, (uint8_t) (texts[i].len >> 8));
        bytes_writer_byte(&w, (uint8_t) texts[i].len);
        bytes_writer_bytes(&w, texts[i]);
    }

    return bytes_writer_view(&w);
}


/* Texts are copied: the row dies. */
ngx_int_t
ngx_mesh_storage_upload_item_decode(ngx_pool_t *pool,
    ngx_mesh_storage_upload_t *upload, bytes_t b)
{
    size_t          i, n;
    u_char         *copy;
    const uint8_t  *p;
    bytes_reader_t  r;

    uint64_t  *numbers[] = {
        &upload->flags, &upload->length, &upload->expires_ms, &upload->blob_ms
    };

    bytes_t  *texts[NGX_MESH_STORAGE_UPLOAD_ITEM_TEXTS] = {
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

    if (p == NULL || *p++ != NGX_MESH_STORAGE_UPLOAD_ITEM_VERSION) {
        return NGX_ERROR;
    }

    for (i = 0; i < 4; i++) {
        for (n = 0, *numbers[i] = 0; n < 8; n++) {
            *numbers[i] = (*numbers[i] << 8) | *p++;
        }
    }

    ngx_memcpy(upload->hash, p, DIGEST_SHA256_LEN);

    for (i = 0; i < NGX_MESH_STORAGE_UPLOAD_ITEM_TEXTS; i++) {
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


ngx_uint_t
ngx_mesh_storage_upload_item_is_done(bytes_t b)
{
    return b.len >= 9 && (b.data[8] & NGX_MESH_STORAGE_UPLOAD_DONE);
}
