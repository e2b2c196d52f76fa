/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * An import while it is at work: what its two halves share, the event loop
 * (ngx_mesh_storage_import.c) and the pool thread that reads the lines
 * (ngx_mesh_storage_import_read.c).
 */


#ifndef _NGX_MESH_STORAGE_IMPORT_H_INCLUDED_
#define _NGX_MESH_STORAGE_IMPORT_H_INCLUDED_


#include "ngx_mesh_job.h"
#include "ngx_mesh_storage.h"


#define NGX_MESH_STORAGE_IMPORT_CHUNK  (8 * 1024 * 1024)   /* a line fits */
#define NGX_MESH_STORAGE_IMPORT_BYTES  (2 * 1024 * 1024)   /* of a request */
#define NGX_MESH_STORAGE_IMPORT_OPS    256


typedef enum {
    NGX_MESH_STORAGE_IMPORT_CHECK = 0,    /* reading all, writing nothing */
    NGX_MESH_STORAGE_IMPORT_WRITE
} ngx_mesh_storage_import_phase_t;


/* The context of the one job, which is submitted again and again. */
typedef struct {
    ngx_http_mesh_storage_main_conf_t  *mcf;
    ngx_mesh_job_t                     *job;
    ngx_mesh_storage_import_phase_t     phase;
    int                                 fd;
    off_t                               offset;    /* of the next line */
    uint64_t                            line;      /* its number, from 1 */
    uint64_t                            items;     /* lines of the body */
    uint64_t                            skipped;   /* blobs without bytes */
    store_limits_t                      limits;

    bytes_t                             ns;        /* of the API, where it
                                                      goes; empty: a node */
    bytes_t                             who;
    u_char                              from[NGX_MESH_STORAGE_NS_MAX];
    size_t                              from_len;  /* of the export */

    u_char                             *chunk;
    u_char                             *arena;
    store_op_t                          ops[NGX_MESH_STORAGE_IMPORT_OPS];
    size_t                              count;
    unsigned                            replace:1; /* drop before the first */
    unsigned                            head:1;    /* the first line was */
    unsigned                            end:1;     /* the last line was */
    const char                         *fault;     /* of line; static */
    ngx_err_t                           err;
} ngx_mesh_storage_import_t;


/* In a pool thread, as job->run.  CHECK: reads the file to its end, sets
   items, skipped, end or fault.  WRITE: makes the next operations, at most
   NGX_MESH_STORAGE_IMPORT_OPS; none: nothing is left. */
void ngx_mesh_storage_import_read_job(ngx_mesh_job_t *job);


#endif /* _NGX_MESH_STORAGE_IMPORT_H_INCLUDED_ */
