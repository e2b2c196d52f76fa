/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * A request body on its way into something that blocks, a file as a rule: read
 * unbuffered, handed on in pieces that a pool thread takes one at a time.
 *
 * What a sink has lives in its own pool and outlives the request: a thread may
 * be at work when the client leaves.
 */


#ifndef _NGX_MESH_STORAGE_SINK_H_INCLUDED_
#define _NGX_MESH_STORAGE_SINK_H_INCLUDED_


#include "ngx_mesh_storage_rest.h"


#define NGX_MESH_STORAGE_SINK_PIECE  (256 * 1024)   /* bytes; a sink has two */


typedef enum {
    NGX_MESH_STORAGE_SINK_OK = 0,
    NGX_MESH_STORAGE_SINK_TOO_LARGE,      /* more than "max" */
    NGX_MESH_STORAGE_SINK_FULL,           /* no room on the disk */
    NGX_MESH_STORAGE_SINK_MISMATCH,       /* not the digest that was told */
    NGX_MESH_STORAGE_SINK_CONFLICT,       /* another one was first */
    NGX_MESH_STORAGE_SINK_BUSY,           /* no thread takes it */
    NGX_MESH_STORAGE_SINK_FAILED          /* is logged */
} ngx_mesh_storage_sink_rc_t;


typedef struct ngx_mesh_storage_sink_s  ngx_mesh_storage_sink_t;


/* Where the pieces go.  All run in a pool thread, one at a time, and may use
   sink->data, but no pool.  After "end" succeeded nothing more is called; in
   all other cases "abandon" is, once, with what was read and not written. */
typedef struct {
    ngx_mesh_storage_sink_rc_t  (*write)(ngx_mesh_storage_sink_t *sink,
        bytes_t piece);
    ngx_mesh_storage_sink_rc_t  (*end)(ngx_mesh_storage_sink_t *sink,
        bytes_t piece);
    void                        (*abandon)(ngx_mesh_storage_sink_t *sink,
        bytes_t piece);
} ngx_mesh_storage_sink_target_t;


typedef ngx_int_t (*ngx_mesh_storage_sink_done_pt)(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_sink_t *sink);


struct ngx_mesh_storage_sink_s {
    ngx_pool_t                            *pool;      /* owned by the sink */
    const ngx_mesh_storage_sink_target_t  *target;
    void                                  *data;      /* the target's */
    off_t                                  max;       /* bytes; set before
                                                         reading */
    off_t                                  received;
    ngx_mesh_storage_sink_rc_t             rc;
    ngx_mesh_storage_sink_rc_t             result;    /* the thread's */
    ngx_err_t                              err;       /* FULL, FAILED */
    const char                            *what;      /* failed; static */

    /* private */
    ngx_mesh_storage_rest_t               *rest;      /* NULL: it has gone */
    ngx_mesh_storage_sink_done_pt          done;
    ngx_thread_pool_t                     *threads;
    u_char                                *buffer[2];
    size_t                                 size;      /* bytes of a buffer */
    size_t                                 len;       /* in the one filled */
    ngx_uint_t                             fill;      /* which one */
    bytes_t                                piece;     /* with the thread */
    unsigned                               working:1; /* a thread is */
    unsigned                               paused:1;  /* both are full */
    unsigned                               complete:1;  /* all was read */
    unsigned                               last:1;    /* "end" is at work */
    unsigned                               ended:1;   /* and succeeded */
    unsigned                               over:1;    /* done was called */
};


/* A sink for the body of the request, with data_size zeroed bytes at
   sink->data.  It is destroyed with the request.  NULL: no memory. */
ngx_mesh_storage_sink_t *ngx_mesh_storage_sink_create(
    ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_storage_sink_target_t *target, size_t data_size);

/* Reads the body; then done, once, with sink->rc: what it returns finalizes
   the request.  A client that leaves before is told nothing.  Returns what a
   step does. */
ngx_int_t ngx_mesh_storage_sink_read(ngx_mesh_storage_sink_t *sink,
    ngx_mesh_storage_sink_done_pt done);

/* The answer to what went wrong. */
ngx_int_t ngx_mesh_storage_sink_problem(ngx_mesh_storage_sink_t *sink);

/* 413 with the limit; the body is not read, and a client that waits for "100
   Continue" is not told to go on. */
ngx_int_t ngx_mesh_storage_sink_too_large(ngx_mesh_storage_rest_t *rest,
    off_t limit);

/* Any answer instead of reading the body: call it before. */
void ngx_mesh_storage_sink_refuse(ngx_mesh_storage_rest_t *rest);

/* For targets: keeps what failed, from errno; FULL or FAILED. */
ngx_mesh_storage_sink_rc_t ngx_mesh_storage_sink_fail(
    ngx_mesh_storage_sink_t *sink, const char *what);


#endif /* _NGX_MESH_STORAGE_SINK_H_INCLUDED_ */
