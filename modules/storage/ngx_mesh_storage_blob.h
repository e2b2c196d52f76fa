/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Blobs: bytes with a name, in a file that is named by their SHA-256 and never
 * changes, or in the value of their item when they are few.
 *
 *     <blobs>/ab/<sha256>      whole, on disk before any item tells of it
 *     <blobs>/tmp/<random>     on its way in
 *     <blobs>/tmp/up-<id>      what an upload has so far
 *     <blobs>/tmp/end-<id>     all of it: nothing is added any more
 *     <blobs>/.lock            byte n is locked for files whose name begins
 *                              so: shared by who puts one there, alone by who
 *                              takes it away
 *     <blobs>/.sweep           locked by the worker that sweeps
 *
 * Item "b/<name>" of "s/<ns>" is the truth.  Of one with a file there is also
 * a row in namespace "blob", written with it, by which the sweep finds items
 * of a file; nobody takes it back but the sweep, when it finds that the item
 * has gone or is of other bytes:
 *
 *     ref/<sha256>/<sha256 of "<ns>/<name>">   "<ns>/<name>"
 *
 * Order: the bytes are on disk, then the name of the file, then item and row
 * in one transaction.  A file without an item is an hour old at least when
 * the sweep first looks, and is kept for another hour after that.
 */


#ifndef _NGX_MESH_STORAGE_BLOB_H_INCLUDED_
#define _NGX_MESH_STORAGE_BLOB_H_INCLUDED_


#include "digest.h"
#include "ngx_mesh_storage_sink.h"


#define NGX_MESH_STORAGE_BLOB_INLINE     65536   /* bytes, without a file */
#define NGX_MESH_STORAGE_BLOB_GRACE      3600    /* s */
#define NGX_MESH_STORAGE_BLOB_HEX        (2 * DIGEST_SHA256_LEN)
#define NGX_MESH_STORAGE_BLOB_PATH       4096    /* bytes, of a file's name */
#define NGX_MESH_STORAGE_BLOB_JSON       512     /* bytes beside texts */
#define NGX_MESH_STORAGE_BLOB_DISPOSITION_MAX  255   /* bytes */


/* What the meta of an item says; texts are borrowed. */
typedef struct {
    u_char      hash[DIGEST_SHA256_LEN];
    uint64_t    size;             /* bytes */
    bytes_t     type;             /* Content-Type; may be empty */
    bytes_t     disposition;      /* Content-Disposition; may be empty */
    unsigned    file:1;           /* the bytes are not in the value */
} ngx_mesh_storage_blob_t;


/* A file on its way in: the data of a sink. */
typedef struct {
    const char                 *folder;     /* ends with "/"; of the cycle */
    u_char                      want[DIGEST_SHA256_LEN];
    unsigned                    wanted:1;   /* want is what it must be */

    /* found out */
    u_char                      hash[DIGEST_SHA256_LEN];
    bytes_t                     value;      /* the bytes when there is no
                                               file; the sink's */
    unsigned                    file:1;

    /* private */
    digest_t                    digest;
    int                         fd;
    char                        temp[48];   /* "tmp/<random>"; empty: none */
} ngx_mesh_storage_blob_file_t;


extern const ngx_mesh_storage_sink_target_t  ngx_mesh_storage_blob_file_target;


/* The meta of an item.  Parse: NGX_OK, NGX_ERROR: it is damaged. */
bytes_t ngx_mesh_storage_blob_file_meta(const ngx_mesh_storage_blob_t *blob,
    u_char buf[STORE_META_MAX]);
ngx_int_t ngx_mesh_storage_blob_file_parse(ngx_mesh_storage_blob_t *blob,
    bytes_t meta);

/* "<folder>ab/<sha256>", NUL terminated; 0, or -1: too long. */
int ngx_mesh_storage_blob_file_path(const char *folder, const u_char *hash,
    char path[NGX_MESH_STORAGE_BLOB_PATH]);

/* The same of "<folder><name>". */
int ngx_mesh_storage_blob_file_join(const char *folder, const char *name,
    char path[NGX_MESH_STORAGE_BLOB_PATH]);

/* Fills in the operation that writes the row of a file, in pool.  NGX_OK,
   NGX_ERROR: no memory. */
ngx_int_t ngx_mesh_storage_blob_file_ref(store_op_t *op, ngx_pool_t *pool,
    const u_char *hash, bytes_t ns, bytes_t name);

/* In a pool thread: opens a new file "tmp/<random>", folders are made; the
   descriptor, or -1 and errno. */
int ngx_mesh_storage_blob_file_temp_thread(const char *folder,
    char temp[48]);

/* In a pool thread: the bytes of "<folder><temp>" are on disk; now their file
   has its name, which is on disk too.  keep: temp stays as a second name,
   else it is gone.  0, or -1 and errno, and *what. */
int ngx_mesh_storage_blob_file_place_thread(const char *folder,
    const char *temp, const u_char *hash, int keep, const char **what);

/* In a pool thread: the lock of files that begin like hash; type F_RDLCK or
   F_WRLCK; wait: until it is had.  A descriptor to close, or -1 and errno. */
int ngx_mesh_storage_blob_file_lock_thread(const char *folder,
    const u_char *hash, int type, int wait);

/* Writes all of b at offset.  0, or -1 and errno. */
int ngx_mesh_storage_blob_file_write_thread(int fd, bytes_t b, off_t offset);

/* Opens the one sweep of a worker; mcf outlives it. */
void ngx_mesh_storage_blob_sweep_open(ngx_http_mesh_storage_main_conf_t *mcf);

/* The operations of a blob that is written: the PUT that
   ngx_mesh_storage_rest_put() prepared, with room for one more at least, and
   the row when there is a file; the count, 0: no memory. */
size_t ngx_mesh_storage_blob_file_ops(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job, const ngx_mesh_storage_blob_t *blob,
    bytes_t value, bytes_t name);

/* GET and HEAD of rest->path, which may be read. */
ngx_int_t ngx_mesh_storage_blob_send(ngx_mesh_storage_rest_t *rest);

/* ETag, Repr-Digest of an answer.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_mesh_storage_blob_send_etag(ngx_mesh_storage_rest_t *rest,
    const u_char *hash);
ngx_int_t ngx_mesh_storage_blob_send_digest(ngx_mesh_storage_rest_t *rest,
    const u_char *hash);

/* 1 when a list of ETags has that hash, by strong comparison, or is "*". */
ngx_uint_t ngx_mesh_storage_blob_send_matches(ngx_str_t *list,
    const u_char *hash);

/* 412; who may read is told the ETag of row, NULL: there is none. */
ngx_int_t ngx_mesh_storage_blob_send_condition(ngx_mesh_storage_rest_t *rest,
    const store_row_t *row);

/* GET of a namespace. */
ngx_int_t ngx_mesh_storage_blob_list(ngx_mesh_storage_rest_t *rest);

/* One blob as JSON; of row: seq, at_ms and expires_ms, 0: not told. */
void ngx_mesh_storage_blob_list_write(json_write_t *j, bytes_t name,
    const ngx_mesh_storage_blob_t *blob, const store_row_t *row);


#endif /* _NGX_MESH_STORAGE_BLOB_H_INCLUDED_ */
