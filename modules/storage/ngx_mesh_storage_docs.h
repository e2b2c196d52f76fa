/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * A change of one document, with the entries of its collection's indexes, as
 * reads and then operations of the store; the same for a request of its own
 * and for a member of a batch:
 *
 *     open()
 *     at most NGX_MESH_STORAGE_DOCS_TRIES times:
 *         reads()    append the reads, do them
 *         ops()      append the operations; AGAIN: back to reads()
 *                    write them; it failed at one of ours:
 *         failed()   AGAIN: back to reads()
 *     PROBLEM_BUSY
 *
 * The operations hold only while document and definitions are as they were
 * read, so nothing is written from what is old.  All that reads and
 * operations point to is in the pool given for them, that of the job: it
 * stays when the request goes.  The event loop's.
 */


#ifndef _NGX_MESH_STORAGE_DOCS_H_INCLUDED_
#define _NGX_MESH_STORAGE_DOCS_H_INCLUDED_


#include "ngx_mesh_storage_rest.h"


#define NGX_MESH_STORAGE_DOCS_INDEXES_MAX   10   /* of a collection */
#define NGX_MESH_STORAGE_DOCS_SUSPECTS_MAX  4    /* unique entries met */
#define NGX_MESH_STORAGE_DOCS_READS_MAX                                       \
    (2 + 2 * NGX_MESH_STORAGE_DOCS_SUSPECTS_MAX)
#define NGX_MESH_STORAGE_DOCS_OPS_MAX                                         \
    (2 + 2 * NGX_MESH_STORAGE_DOCS_INDEXES_MAX                                \
     + NGX_MESH_STORAGE_DOCS_SUSPECTS_MAX)
#define NGX_MESH_STORAGE_DOCS_TRIES        32


typedef enum {
    NGX_MESH_STORAGE_DOCS_PUT = 0,
    NGX_MESH_STORAGE_DOCS_PATCH,       /* RFC 7396 */
    NGX_MESH_STORAGE_DOCS_DELETE
} ngx_mesh_storage_docs_kind_t;


/* An entry of a unique index that was in the way: whose is it? */
typedef struct {
    bytes_t                       key;        /* in namespace "x/<ns>" */
    bytes_t                       holder;     /* id of a document; empty: not
                                                 known yet */
} ngx_mesh_storage_docs_suspect_t;


/* What is asked is borrowed. */
typedef struct {
    /* what is asked: set before open() */
    ngx_mesh_storage_docs_kind_t  kind;
    bytes_t                       ns;         /* REST namespace */
    bytes_t                       collection;
    bytes_t                       id;
    bytes_t                       body;       /* PUT, PATCH: one JSON object,
                                                 checked by json_scan */
    store_condition_t             condition;  /* the client's */
    uint64_t                      if_seq;
    int64_t                       expires_ms; /* 0: never; PATCH: as it was */
    bytes_t                       note;       /* who, for the change feed */
    size_t                        value_max;  /* bytes of a document */

    /* after ops() was NGX_OK */
    size_t                        first;      /* our first operation */
    size_t                        count;      /* ours */
    size_t                        main;       /* that of the document: its
                                                 result has the new seq */
    bytes_t                       document;   /* as it will be; in the pool
                                                 of the operations */
    int64_t                       until_ms;   /* when it expires; 0 */
    unsigned                      created:1;

    /* after NGX_DECLINED: the answer */
    problem_t                     problem;
    const char                   *detail;     /* may be NULL */
    bytes_t                       index;      /* CONFLICT: "index" */
    uint64_t                      current;    /* PRECONDITION_FAILED: seq of
                                                 "currentEtag"; 0: absent */

    /* private */
    ngx_pool_t                   *pool;
    bytes_t                       store_ns;   /* "s/<ns>" */
    bytes_t                       derived_ns; /* "x/<ns>" */
    bytes_t                       key;        /* "d/<collection>/<id>" */
    bytes_t                       indexes;    /* "i/<collection>" */
    size_t                        suspects;
    ngx_mesh_storage_docs_suspect_t
        suspect[NGX_MESH_STORAGE_DOCS_SUSPECTS_MAX];
} ngx_mesh_storage_docs_change_t;


/* Why a collection or an id (empty: only the collection) is no name, a
   static text; NULL: it is one. */
const char *ngx_mesh_storage_docs_name(bytes_t collection, bytes_t id);

/* Begins; names and body were checked.  The pool must outlive the change.
   NGX_OK, NGX_ERROR: out of memory. */
ngx_int_t ngx_mesh_storage_docs_open(ngx_mesh_storage_docs_change_t *change,
    ngx_pool_t *pool);

/* Writes its reads, at most NGX_MESH_STORAGE_DOCS_READS_MAX.  How many; 0:
   out of memory. */
size_t ngx_mesh_storage_docs_reads(ngx_mesh_storage_docs_change_t *change,
    ngx_pool_t *pool, store_read_t *reads);

/* Given the rows of those reads, writes its operations to ops behind the
   *count that are there (of the same request, or none) and counts on; there
   is room for NGX_MESH_STORAGE_DOCS_OPS_MAX more.  Nothing points to rows
   afterwards.  NGX_OK; NGX_AGAIN: it must read more first; NGX_DECLINED: the
   change may not be, see problem; NGX_ERROR: out of memory. */
ngx_int_t ngx_mesh_storage_docs_ops(ngx_mesh_storage_docs_change_t *change,
    ngx_pool_t *pool, const store_rows_t *rows, store_op_t *ops,
    size_t *count);

/* After a write with rc STORE_CONDITION of which "failed" is one of ours.
   NGX_AGAIN, NGX_ERROR as above. */
ngx_int_t ngx_mesh_storage_docs_failed(ngx_mesh_storage_docs_change_t *change,
    const store_request_t *write);

/* The answer to NGX_DECLINED. */
ngx_int_t ngx_mesh_storage_docs_refuse(ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_storage_docs_change_t *change);


#endif /* _NGX_MESH_STORAGE_DOCS_H_INCLUDED_ */
