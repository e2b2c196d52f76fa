/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What is known of a request: who it acts for, or why that is nobody.
 */


#ifndef _NGX_UCAN_REQUEST_H_INCLUDED_
#define _NGX_UCAN_REQUEST_H_INCLUDED_


#include "ngx_ucan_open.h"
#include "ngx_ucan_verify.h"


/* In the request's pool; of a main request, never of a subrequest.  Each time
   a request is authenticated it gets another one, and the last counts. */
typedef struct {
    const ucan_trust_t    *trust;           /* by which it was judged */
    const ngx_array_t     *sources;         /* where a token was looked for */
    ngx_mesh_principal_t  *principal;       /* NULL: nobody */
    ngx_ucan_refusal_t     refusal;
    const char            *error;           /* slug; NULL: none */
    unsigned               presented:1;     /* there was a token */
    unsigned               foreign:1;       /* in a cookie that the page of
                                               another site had sent */
    unsigned               waiting:1;       /* nothing is known yet */
    unsigned               busy:1;          /* nothing was found out: too much
                                               to do */
    unsigned               logged:1;
    unsigned               answered:1;

    ngx_http_request_t    *request;         /* borrowed */
    ngx_ucan_open_t        open;            /* with the session */
    ngx_mesh_principal_t   holder;          /* what principal points to */
    ucan_http_t            http;            /* what its http points to */
} ngx_ucan_request_t;


/* Finds out who asks, once for each trust, at once: for who cannot wait.
   Sends and logs nothing.  NULL: out of memory. */
ngx_ucan_request_t *ngx_ucan_request_authenticate(ngx_http_request_t *r);

/* The same for the access phase: when waiting is set, the phases of r run
   again as soon as it is known. */
ngx_ucan_request_t *ngx_ucan_request_open(ngx_http_request_t *r);

/* What was found out already, for subrequests of their main request; NULL:
   nothing. */
ngx_ucan_request_t *ngx_ucan_request_find(ngx_http_request_t *r);

/* The request waits in its access phase: a client that leaves is noticed, and
   a stray event finds the phase waiting. */
void ngx_ucan_request_wait(ngx_http_request_t *r);

/* Its phases run again, from an event of somebody else; r may be gone after
   it. */
void ngx_ucan_request_continue(ngx_http_request_t *r);


#endif /* _NGX_UCAN_REQUEST_H_INCLUDED_ */
