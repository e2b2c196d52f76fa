/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Answers: JSON, problem+json, plain text; the headers that each has.
 */


#ifndef _NGX_MESH_REPLY_H_INCLUDED_
#define _NGX_MESH_REPLY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "bytes.h"
#include "problem.h"
#include "ucan_token.h"


/* All return what a content handler returns (and what is given to
   ngx_http_finalize_request() from a callback).  body is copied only when
   copy is set; else it must live in r->pool. */
ngx_int_t ngx_mesh_reply_json(ngx_http_request_t *r, ngx_uint_t status,
    bytes_t body);
ngx_int_t ngx_mesh_reply_text(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, bytes_t body);
ngx_int_t ngx_mesh_reply_empty(ngx_http_request_t *r, ngx_uint_t status);

/* A problem; detail is a static or pool text for people.  401 gets
   WWW-Authenticate, 503 and 429 get Retry-After: 1, 405 wants Allow from the
   caller. */
ngx_int_t ngx_mesh_reply_problem(ngx_http_request_t *r, problem_t problem,
    const char *detail);

/* 401, 403 (naming command) or 400 for a verdict of the ucan module. */
ngx_int_t ngx_mesh_reply_verdict(ngx_http_request_t *r,
    ucan_verdict_t verdict, bytes_t command);

/* Adds a response header; name and value must live as long as r.  NGX_OK,
   NGX_ERROR. */
ngx_int_t ngx_mesh_reply_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value);


#endif /* _NGX_MESH_REPLY_H_INCLUDED_ */
