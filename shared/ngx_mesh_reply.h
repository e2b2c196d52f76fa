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
   ngx_http_finalize_request() from a callback).  body is borrowed: it must
   live in r->pool or be static.  type is static text. */
ngx_int_t ngx_mesh_reply_json(ngx_http_request_t *r, ngx_uint_t status,
    bytes_t body);
ngx_int_t ngx_mesh_reply_text(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, bytes_t body);
ngx_int_t ngx_mesh_reply_empty(ngx_http_request_t *r, ngx_uint_t status);

/* A problem; detail is a static or pool text for people, NULL: the title says
   it all.  401 gets
   WWW-Authenticate; 503 and 429 get Retry-After: 1 unless the caller added
   another; 405 wants Allow from the caller. */
ngx_int_t ngx_mesh_reply_problem(ngx_http_request_t *r, problem_t problem,
    const char *detail);

/* The same with all that a problem can say. */
ngx_int_t ngx_mesh_reply_problem_facts(ngx_http_request_t *r,
    problem_t problem, const problem_facts_t *facts);

/* The answer of a handler that asked allow(): 403 naming command, and the
   log line of the refusal.  command empty: as ngx_mesh_reply_refusal(). */
ngx_int_t ngx_mesh_reply_verdict(ngx_http_request_t *r,
    ucan_verdict_t verdict, bytes_t command);

/* The answer to a verdict that was logged already.  command empty: who asks
   is not accepted, 401, or 400 for bytes that are no token. */
ngx_int_t ngx_mesh_reply_refusal(ngx_http_request_t *r,
    ucan_verdict_t verdict, bytes_t command);

/* The answer to a token that names proofs which were not presented (UCAN as
   bearer token 0.3): 510 with their CIDs, at least one. */
ngx_int_t ngx_mesh_reply_missing(ngx_http_request_t *r, const cid_t *list,
    size_t count);

/* The problem that they answer with; asked: a command was. */
problem_t ngx_mesh_reply_verdict_problem(ucan_verdict_t verdict,
    ngx_uint_t asked);

/* Adds WWW-Authenticate (RFC 6750, 3) of a refused token; UCAN_OK: there
   was none.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_mesh_reply_challenge(ngx_http_request_t *r,
    ucan_verdict_t verdict);

/* Adds WWW-Authenticate of a token that does not allow the command.  NGX_OK,
   NGX_ERROR. */
ngx_int_t ngx_mesh_reply_scope(ngx_http_request_t *r, bytes_t command);

/* Adds a response header; name and value must live as long as r.  NGX_OK,
   NGX_ERROR. */
ngx_int_t ngx_mesh_reply_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value);


#endif /* _NGX_MESH_REPLY_H_INCLUDED_ */
