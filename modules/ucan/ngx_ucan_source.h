/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Where a token stands in a request: "Authorization: Bearer", and for 0.x
 * its proofs in "ucans" (UCAN as bearer token 0.3).
 */


#ifndef _NGX_UCAN_SOURCE_H_INCLUDED_
#define _NGX_UCAN_SOURCE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "bytes.h"


typedef struct {
    bytes_t  token;               /* borrowed from the request's headers */
    bytes_t  proofs;              /* the same; may be empty */
} ngx_ucan_source_t;


/* NGX_OK; NGX_DECLINED: no token is presented (none at all, or credentials
   of another scheme); NGX_ERROR: what is presented is ambiguous or empty. */
ngx_int_t ngx_ucan_source_find(ngx_http_request_t *r,
    ngx_ucan_source_t *source);


#endif /* _NGX_UCAN_SOURCE_H_INCLUDED_ */
