/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The builder of indexes, between its two files.
 */


#ifndef _NGX_MESH_STORAGE_DOCS_BUILD_H_INCLUDED_
#define _NGX_MESH_STORAGE_DOCS_BUILD_H_INCLUDED_


#include "ngx_mesh_storage_docs_scan.h"


#define NGX_MESH_STORAGE_DOCS_BUILD_POOL    4096   /* bytes, of a job */
#define NGX_MESH_STORAGE_DOCS_BUILD_PAGE    64     /* documents */
#define NGX_MESH_STORAGE_DOCS_BUILD_PAGES   16     /* a request waits for */
#define NGX_MESH_STORAGE_DOCS_BUILD_TRIES   100    /* of a page */


/* A document of the page, in its pool. */
typedef struct {
    bytes_t                           id;
    uint64_t                          seq;
    int64_t                           expires_ms;
    bytes_t                           key;      /* of its entry */
    ngx_uint_t                        sole;
    bytes_t                           holder;   /* who has that entry */
    uint64_t                          held;     /* seq of it; 0: free */
    uint64_t                          met;      /* seq of the holder */
} ngx_mesh_storage_docs_build_row_t;


typedef struct {
    ngx_queue_t                        queue;
    ngx_pool_t                        *pool;
    ngx_mesh_store_t                  *store;
    bytes_t                            ns;        /* REST */
    bytes_t                            collection;
    ngx_uint_t                         again;     /* somebody asked since it
                                                     looked */

    /* the index that is built */
    u_char                             uid[NGX_MESH_STORAGE_DOCS_UID_LEN];
    u_char                             after[NGX_MESH_STORAGE_ID_MAX];
    size_t                             after_len;
    uint64_t                           progress;  /* seq of it; 0: none */
    ngx_uint_t                         tries;
    size_t                             limit;     /* documents a page */

    /* a page */
    ngx_pool_t                        *page;
    ngx_mesh_storage_docs_indexes_t   *indexes;
    size_t                             index;
    size_t                             count;
    ngx_uint_t                         more;
    ngx_mesh_storage_docs_build_row_t  rows[
                                           NGX_MESH_STORAGE_DOCS_BUILD_PAGE];

    /* who waits */
    void                              *rest;      /* NULL: nobody */
    u_char                             wait[NGX_MESH_STORAGE_DOCS_UID_LEN];
    ngx_mesh_storage_docs_built_pt     built;
    ngx_uint_t                         pages;
} ngx_mesh_storage_docs_build_t;


typedef void (*ngx_mesh_storage_docs_build_pt)(
    ngx_mesh_storage_docs_build_t *b, ngx_mesh_store_job_t *job);


/* Looks what is to be done, and does it. */
void ngx_mesh_storage_docs_build_look(ngx_mesh_storage_docs_build_t *b);

/* Goes on with the index b->uid. */
void ngx_mesh_storage_docs_build_page_begin(
    ngx_mesh_storage_docs_build_t *b);

/* b is gone after this; who waits is told that it goes on. */
void ngx_mesh_storage_docs_build_end(ngx_mesh_storage_docs_build_t *b);

/* Answers who waits. */
void ngx_mesh_storage_docs_build_tell(ngx_mesh_storage_docs_build_t *b,
    ngx_mesh_storage_docs_built_t built);

/* A job with reads or operations; NULL, and *job is NULL: out of memory. */
store_read_t *ngx_mesh_storage_docs_build_reads(size_t count,
    ngx_mesh_store_job_t **job);
store_op_t *ngx_mesh_storage_docs_build_ops(size_t count,
    ngx_mesh_store_job_t **job);

/* Submits it; done, on the event loop, ends with another submit() or with
   end().  NULL: there was no memory for it, which ends b.  A key that is empty
   for want of memory is refused by the store. */
void ngx_mesh_storage_docs_build_submit(ngx_mesh_storage_docs_build_t *b,
    ngx_mesh_store_job_t *job, ngx_mesh_storage_docs_build_pt done);

/* The namespace of the store, "x/" or "s/" in front, and the key of a
   document (empty id: of all), in the job's pool. */
bytes_t ngx_mesh_storage_docs_build_ns(ngx_mesh_storage_docs_build_t *b,
    ngx_mesh_store_job_t *job, const char *prefix);
bytes_t ngx_mesh_storage_docs_build_document(
    ngx_mesh_storage_docs_build_t *b, ngx_mesh_store_job_t *job, bytes_t id);


#endif /* _NGX_MESH_STORAGE_DOCS_BUILD_H_INCLUDED_ */
