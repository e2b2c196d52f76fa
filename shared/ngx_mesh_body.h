/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The request body as one bounded view.
 */


#ifndef _NGX_MESH_BODY_H_INCLUDED_
#define _NGX_MESH_BODY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "bytes.h"
#include "json_scan.h"


typedef void (*ngx_mesh_body_pt)(ngx_http_request_t *r, bytes_t body);


/* Reads the body and calls then(r, body) once, on this stack or later; then()
   must finalize the request or park it (ngx_mesh_job_attach).  Bodies beyond
   body_max bytes get 413, also chunked ones.  The body is in memory
   contiguous, in r->pool; never in a file.  Returns what the content handler
   returns. */
ngx_int_t ngx_mesh_body_read(ngx_http_request_t *r, size_t body_max,
    ngx_mesh_body_pt then);

/* Checks that a body is one JSON object (and Content-Type, when given, is
   JSON): NGX_OK and *object, or NGX_ERROR after a problem was sent and the
   request finalized. */
ngx_int_t ngx_mesh_body_object(ngx_http_request_t *r, bytes_t body,
    json_scan_t *object);


#endif /* _NGX_MESH_BODY_H_INCLUDED_ */
