/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Resumable uploads: what one is, and its file.
 */


#ifndef _NGX_MESH_STORAGE_UPLOAD_H_INCLUDED_
#define _NGX_MESH_STORAGE_UPLOAD_H_INCLUDED_


#include "ngx_mesh_storage_blob.h"
#include "sha1.h"


#define NGX_MESH_STORAGE_UPLOAD_ID    32     /* letters, of 16 random bytes */
#define NGX_MESH_STORAGE_UPLOAD_NAME  (sizeof("tmp/end-")                    \
                                       + NGX_MESH_STORAGE_UPLOAD_ID)

#define NGX_MESH_STORAGE_UPLOAD_DONE   0x01
#define NGX_MESH_STORAGE_UPLOAD_DEFER  0x02  /* the length is not known */


/* What a request adds to an upload: the data of a sink. */
typedef enum {
    NGX_MESH_STORAGE_UPLOAD_PART_PLAIN = 0,
    NGX_MESH_STORAGE_UPLOAD_PART_SHA1,
    NGX_MESH_STORAGE_UPLOAD_PART_SHA256
} ngx_mesh_storage_upload_part_sum_t;


typedef struct {
    const char                          *folder;   /* ends with "/"; of the
                                                      cycle */
    char                                 name[NGX_MESH_STORAGE_UPLOAD_NAME];
    off_t                                offset;   /* where the next byte
                                                      goes */
    ngx_mesh_storage_upload_part_sum_t   algorithm;
    u_char                               sum[DIGEST_SHA256_LEN];

    /* private */
    sha1_t                               sha1;
    digest_t                             sha256;
    int                                  fd;       /* of temp */
    char                                 temp[48];
    unsigned                             open:1;   /* temp is */
    unsigned                             summed:1; /* a digest is open */
} ngx_mesh_storage_upload_part_t;


/* An upload that has all of its bytes, on its way to a blob: the context of a
   job that is submitted until it is "done", each time for a bounded step. */
typedef struct {
    const char                  *folder;
    char                         id[NGX_MESH_STORAGE_UPLOAD_ID + 1];
    uint64_t                     length;
    u_char                      *value;    /* when it is for an inline blob:
                                              room for its bytes */
    u_char                       hash[DIGEST_SHA256_LEN];
    ngx_mesh_storage_sink_rc_t   rc;       /* CONFLICT: not all is there */
    ngx_err_t                    err;
    const char                  *what;
    unsigned                     done:1;

    /* private */
    digest_t                     digest;
    uint64_t                     read;
    int                          fd;
    unsigned                     open:1;
} ngx_mesh_storage_upload_end_t;


/* One, and this request to it: rest->data.  Texts are of the request. */
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


extern const ngx_mesh_storage_sink_target_t
    ngx_mesh_storage_upload_part_target;


/* "tmp/up-<id>", or "tmp/end-<id>". */
void ngx_mesh_storage_upload_part_name(
    char name[NGX_MESH_STORAGE_UPLOAD_NAME], const char *kind,
    const char *id);

/* How many bytes an upload has; one stat() or two, as a static file costs. */
off_t ngx_mesh_storage_upload_part_size(const char *folder, const char *id);

/* The "run" of a job whose context is an ngx_mesh_storage_upload_end_t. */
void ngx_mesh_storage_upload_part_end_thread(ngx_mesh_job_t *job);

/* Frees what the context of such a job has, when it does not go on. */
void ngx_mesh_storage_upload_part_end_close(
    ngx_mesh_storage_upload_end_t *end);

/* Removes the files of an upload, in a thread, for nobody in particular. */
void ngx_mesh_storage_upload_part_remove(
    ngx_http_mesh_storage_main_conf_t *mcf, const char *id);

/* The first header of that name, in lower case; NULL: absent. */
ngx_str_t *ngx_mesh_storage_upload_item_header(ngx_mesh_storage_rest_t *rest,
    const char *name);

/* The same as a number.  NGX_OK; NGX_DECLINED: absent; NGX_ERROR: it is
   none. */
ngx_int_t ngx_mesh_storage_upload_item_number(ngx_mesh_storage_rest_t *rest,
    const char *name, off_t *n);

/* Upload-Metadata into metadata, name, type; Upload-Checksum into algorithm
   and sum.  NULL; or why they are refused, a static text. */
const char *ngx_mesh_storage_upload_item_metadata(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_upload_t *upload);
const char *ngx_mesh_storage_upload_item_checksum(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_upload_t *upload);

/* Two operations, at op: STORE_PUT or STORE_DELETE of what the upload is,
   if it is still at upload->seq, and of what it is charged.  NGX_OK,
   NGX_ERROR: no memory. */
ngx_int_t ngx_mesh_storage_upload_item_ops(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job, store_op_t *op, store_op_kind_t kind);

/* The same as a write of its own.  Returns what a step does. */
ngx_int_t ngx_mesh_storage_upload_item_write(ngx_mesh_storage_rest_t *rest,
    store_op_kind_t kind, ngx_mesh_storage_done_pt done);

/* The item back into upload, copied to pool.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_mesh_storage_upload_item_decode(ngx_pool_t *pool,
    ngx_mesh_storage_upload_t *upload, bytes_t b);

/* Of an item as it is kept: is the upload done? */
ngx_uint_t ngx_mesh_storage_upload_item_is_done(bytes_t b);

/* Steps, over files of uploads. */

/* POST of a namespace. */
ngx_int_t ngx_mesh_storage_upload_create(ngx_mesh_storage_rest_t *rest);

/* Of an upload that has all of its bytes; answers with upload->status. */
ngx_int_t ngx_mesh_storage_upload_end(ngx_mesh_storage_rest_t *rest);

/* Takes the bytes of the request from upload->offset on, ends the upload when
   they are the last, and answers. */
ngx_int_t ngx_mesh_storage_uploads_part(ngx_mesh_storage_rest_t *rest);

/* How far it is and until when; of one that is done, its ETag. */
ngx_int_t ngx_mesh_storage_uploads_reply(ngx_mesh_storage_rest_t *rest);

/* Does the request come with bytes of an upload?  NGX_OK, NGX_DECLINED. */
ngx_int_t ngx_mesh_storage_uploads_octets(ngx_mesh_storage_rest_t *rest);

/* Any answer instead of reading a body. */
ngx_int_t ngx_mesh_storage_uploads_refuse(ngx_mesh_storage_rest_t *rest,
    problem_t problem, const char *detail);


#endif /* _NGX_MESH_STORAGE_UPLOAD_H_INCLUDED_ */
