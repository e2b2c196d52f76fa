/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Questions to a principal, each answered from its tokens as of now, and the
 * one log line of a refusal.
 */


#ifndef _NGX_UCAN_VERIFY_H_INCLUDED_
#define _NGX_UCAN_VERIFY_H_INCLUDED_


#include "ngx_ucan_session.h"


/* Members of ngx_mesh_principal_api_t. */
ucan_verdict_t ngx_ucan_verify_allow(ngx_mesh_principal_t *p,
    const ucan_request_t *request);
ucan_verdict_t ngx_ucan_verify_alive(ngx_mesh_principal_t *p);
void ngx_ucan_verify_refuse(ngx_mesh_principal_t *p, ngx_log_t *log,
    ucan_verdict_t verdict, bytes_t command);

/* As allow, for what a location demands (ucan_chain_require()); the facts of
   the request are p->http, resource is what 0.x tokens are asked for; NULL:
   that of a mesh. */
ucan_verdict_t ngx_ucan_verify_require(ngx_mesh_principal_t *p,
    const ucan_request_t *request, const ucan_resource_t *resource);

/* The one log line of a refused token; no byte of the token is in it. */
void ngx_ucan_verify_log(const ngx_ucan_refusal_t *refusal, ngx_log_t *log,
    bytes_t command);


#endif /* _NGX_UCAN_VERIFY_H_INCLUDED_ */
