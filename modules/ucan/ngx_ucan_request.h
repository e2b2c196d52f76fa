/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What is known of a request: who it acts for, or why that is nobody.
 */


#ifndef _NGX_UCAN_REQUEST_H_INCLUDED_
#define _NGX_UCAN_REQUEST_H_INCLUDED_


#include "ngx_ucan_verify.h"


/* In the request's pool; of a main request, never of a subrequest. */
typedef struct {
    const ucan_trust_t    *trust;           /* by which it was judged */
    ngx_mesh_principal_t  *principal;       /* NULL: nobody */
    ngx_ucan_refusal_t     refusal;
    const char            *error;           /* slug; NULL: none */
    unsigned               presented:1;     /* there was a token */
    unsigned               logged:1;
    unsigned               answered:1;
} ngx_ucan_request_t;


/* Finds out who asks, once for each trust.  Sends and logs nothing.  NULL:
   out of memory. */
ngx_ucan_request_t *ngx_ucan_request_authenticate(ngx_http_request_t *r,
    const ucan_trust_t *trust);

/* What was found out already, for subrequests of their main request; NULL:
   nothing. */
ngx_ucan_request_t *ngx_ucan_request_find(ngx_http_request_t *r);


#endif /* _NGX_UCAN_REQUEST_H_INCLUDED_ */
