/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The facts of an nginx request that policies and bound invocations are
 * about (ucan_http.h).
 */


#ifndef _NGX_UCAN_FACTS_H_INCLUDED_
#define _NGX_UCAN_FACTS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ucan_chain.h"


/* Fills *http with the request of the client, whatever it was redirected to;
   borrowed from the request and its pool.  The caller sets chain->http to it
   for one question, and to NULL when there are no facts.  NGX_OK;
   NGX_DECLINED: nginx and a policy could read this request in two ways, so
   there are no facts (policies on them fail); NGX_ERROR: out of memory. */
ngx_int_t ngx_ucan_facts_get(ngx_http_request_t *r, ucan_http_t *http);

/* "ucan_bind on": UCAN_WRONG_REQUEST for an invocation that is bound to no
   request at all; UCAN_OK for one that is (to which, the walk has checked),
   and for sessions. */
ucan_verdict_t ngx_ucan_facts_bound(const ucan_chain_t *chain);


#endif /* _NGX_UCAN_FACTS_H_INCLUDED_ */
