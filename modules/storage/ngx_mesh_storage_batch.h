/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What the parts of batches promise each other: operations as they were
 * sent (ngx_mesh_storage_batch_op.c), what they must be together
 * (ngx_mesh_storage_batch_check.c), and their way into the store
 * (ngx_mesh_storage_batch.c).
 */


#ifndef _NGX_MESH_STORAGE_BATCH_H_INCLUDED_
#define _NGX_MESH_STORAGE_BATCH_H_INCLUDED_


#include "ngx_mesh_storage_docs.h"


#define NGX_MESH_STORAGE_BATCH_OPS_MAX    256
#define NGX_MESH_STORAGE_BATCH_READ_MAX   16   /* documents read at once, each
                                                  up to a megabyte */
#define NGX_MESH_STORAGE_BATCH_DOCS_MAX   (16 * 1024 * 1024)  /* bytes of all
                                                  documents as they will be */


typedef enum {
    NGX_MESH_STORAGE_BATCH_PUT = 0,
    NGX_MESH_STORAGE_BATCH_DELETE,
    NGX_MESH_STORAGE_BATCH_CHECK,
    NGX_MESH_STORAGE_BATCH_INCR,
    NGX_MESH_STORAGE_BATCH_PATCH
} ngx_mesh_storage_batch_verb_t;


/* One operation; bytes are in the pool of ngx_mesh_storage_batch_op_parse(),
   but names of verbs. */
typedef struct {
    ngx_mesh_storage_batch_verb_t    verb;
    bytes_t                          name;       /* of the capability: key, or
                                                    "<collection>/<id>" */
    bytes_t                          key;        /* of the store */
    bytes_t                          value;
    bytes_t                          type;       /* Content-Type, of kv */
    store_condition_t                condition;
    uint64_t                         if_seq;
    int64_t                          expires_ms;
    int64_t                          number;     /* INCR */
    ngx_mesh_storage_docs_change_t  *change;     /* of a document that is
                                                    written; else NULL */
    size_t                           main;       /* its operation in the job,
                                                    which has the seq */
    unsigned                         docs:1;
} ngx_mesh_storage_batch_op_t;


/* Why there is no batch, and the answer that says so. */
typedef struct {
    problem_t                        problem;
    const char                      *detail;     /* static, or NULL */
    size_t                           index;      /* of the operation */
    bytes_t                          command;    /* FORBIDDEN */
    bytes_t                          unique;     /* CONFLICT: the index */
    uint64_t                         current;    /* seq; 0: none */
    int64_t                          limit;      /* TOO_LARGE: bytes; 0 */
} ngx_mesh_storage_batch_fault_t;


/* "put", "delete" and so on. */
const char *ngx_mesh_storage_batch_op_verb_name(
    const ngx_mesh_storage_batch_op_t *op);

/* Reads one operation as it was sent; value is JSON that was checked.  Copies
   what it keeps into pool.  NGX_OK; NGX_DECLINED: see fault; NGX_ERROR: out of
   memory. */
ngx_int_t ngx_mesh_storage_batch_op_parse(ngx_mesh_storage_rest_t *rest,
    ngx_pool_t *pool, const json_scan_t *value,
    ngx_mesh_storage_batch_op_t *op, ngx_mesh_storage_batch_fault_t *fault);

/* Writes what it answers, an object with marks for what the store will
   tell. */
void ngx_mesh_storage_batch_op_result(json_write_t *j,
    const ngx_mesh_storage_batch_op_t *op);

/* The array of operations of the body, and how many.  NGX_OK, or what
   finalizes the request. */
ngx_int_t ngx_mesh_storage_batch_check_list(ngx_mesh_storage_rest_t *rest,
    json_scan_t *list, size_t *count);

/* No document is named twice, and all is permitted: NGX_OK; NGX_DECLINED: see
   fault; else what finalizes the request. */
ngx_int_t ngx_mesh_storage_batch_check_twice(
    const ngx_mesh_storage_batch_op_t *ops, size_t count,
    ngx_mesh_storage_batch_fault_t *fault);
ngx_int_t ngx_mesh_storage_batch_check_permit(ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_storage_batch_op_t *ops, size_t count,
    ngx_mesh_storage_batch_fault_t *fault);

/* The problem, with the number of the operation. */
ngx_int_t ngx_mesh_storage_batch_check_refuse(ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_storage_batch_fault_t *fault);


#endif /* _NGX_MESH_STORAGE_BATCH_H_INCLUDED_ */
