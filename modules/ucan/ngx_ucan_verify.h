/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * From the bytes of a token to a principal, and what that principal may do.
 */


#ifndef _NGX_UCAN_VERIFY_H_INCLUDED_
#define _NGX_UCAN_VERIFY_H_INCLUDED_


#include "ngx_mesh_principal.h"


/* Why nobody was authenticated; issuer borrows from the token. */
typedef struct {
    ucan_verdict_t  verdict;
    cid_t           cid;          /* of the token that failed */
    bytes_t         issuer;       /* of the top token; may be empty */
    unsigned        has_cid:1;
} ngx_ucan_refusal_t;


/* Authenticates now.  UCAN_OK and *p, in pool; else *refusal is filled.
   trust is borrowed for as long as *p lives, token and proofs too. */
ucan_verdict_t ngx_ucan_verify_open(ngx_mesh_principal_t **p,
    ngx_pool_t *pool, const ucan_trust_t *trust, const bytes_t text[2],
    ngx_ucan_refusal_t *refusal);

/* Members of ngx_mesh_principal_api_t. */
ucan_verdict_t ngx_ucan_verify_allow(ngx_mesh_principal_t *p,
    const ucan_request_t *request);
ucan_verdict_t ngx_ucan_verify_alive(ngx_mesh_principal_t *p);
void ngx_ucan_verify_refuse(ngx_mesh_principal_t *p, ngx_log_t *log,
    ucan_verdict_t verdict, bytes_t command);

/* As allow, for what a location demands (ucan_chain_require()). */
ucan_verdict_t ngx_ucan_verify_require(ngx_mesh_principal_t *p,
    const ucan_request_t *request);

/* The one log line of a refused token; no byte of the token is in it. */
void ngx_ucan_verify_log(const ngx_ucan_refusal_t *refusal, ngx_log_t *log,
    bytes_t command);


#endif /* _NGX_UCAN_VERIFY_H_INCLUDED_ */
