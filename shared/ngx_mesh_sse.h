/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Server-sent events (HTML standard, 9.2): the writer of one stream.
 *
 *     ngx_mesh_sse_open(&sse, r, 1000);      headers, "retry:"
 *     ngx_mesh_sse_event(&sse, &event);      any number, copied
 *     ngx_mesh_sse_flush(&sse);              NGX_AGAIN: write no more
 *     ...
 *     ngx_mesh_sse_close(&sse);              the end; then finalize r
 *
 * Output goes through nginx's filters, so it works over HTTP/1.0, 1.1, 2 and
 * TLS.  What the client has not taken stays in blocks of r->pool that are
 * freed when it has; sse->bytes says how many, and the caller stops writing
 * above a limit of its own.  A client that takes nothing for send_timeout
 * ends the stream.  Event loop only.
 */


#ifndef _NGX_MESH_SSE_H_INCLUDED_
#define _NGX_MESH_SSE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "bytes.h"


typedef struct {
    ngx_http_request_t  *r;       /* borrowed */
    ngx_chain_t         *out;     /* written, not given to nginx */
    ngx_chain_t         *last;    /* of out, when there is any */
    ngx_chain_t         *busy;    /* nginx has it */
    ngx_chain_t         *free;    /* links with a buf, without a block */
    size_t               bytes;   /* in out and busy */
    ngx_msec_t           wrote;   /* when something was written last */
    unsigned             failed:1;   /* no memory; sticky, flush tells */
} ngx_mesh_sse_t;


/* All borrowed; empty: no such line. */
typedef struct {
    bytes_t              id;      /* without line ends or U+0000 */
    bytes_t              name;    /* the same */
    bytes_t              data;    /* a line for each of its lines */
} ngx_mesh_sse_event_t;


/* 1: "Accept" names text/event-stream. */
ngx_uint_t ngx_mesh_sse_asked(ngx_http_request_t *r);

/* The value of "Last-Event-ID"; empty: none was sent. */
bytes_t ngx_mesh_sse_last_id(ngx_http_request_t *r);

/* Of a GET: sends the headers and how long to wait before coming back (ms, 0:
   nothing said).  NGX_OK; else what finalizes r. */
ngx_int_t ngx_mesh_sse_open(ngx_mesh_sse_t *sse, ngx_http_request_t *r,
    ngx_msec_t retry);

/* Written into sse->out; nothing is sent before the next flush.  An event
   without data is not dispatched by clients, but its id is remembered. */
void ngx_mesh_sse_event(ngx_mesh_sse_t *sse,
    const ngx_mesh_sse_event_t *event);
void ngx_mesh_sse_comment(ngx_mesh_sse_t *sse, bytes_t text);

/* Sends what there is; also from r->write_event_handler.  NGX_OK: all is
   out; NGX_AGAIN: the write event will tell; NGX_ERROR: broken, or too slow:
   r is to be finalized with NGX_ERROR. */
ngx_int_t ngx_mesh_sse_flush(ngx_mesh_sse_t *sse);

/* Ends the stream behind what was written.  What finalizes r. */
ngx_int_t ngx_mesh_sse_close(ngx_mesh_sse_t *sse);


#endif /* _NGX_MESH_SSE_H_INCLUDED_ */
