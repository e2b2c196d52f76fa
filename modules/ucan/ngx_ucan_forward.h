/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What upstreams are told of who asks, and which credentials they see.
 */


#ifndef _NGX_UCAN_FORWARD_H_INCLUDED_
#define _NGX_UCAN_FORWARD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* Postconfiguration: the handler that changes r->headers_in for whatever
   content handler comes.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_ucan_forward_init(ngx_conf_t *cf);


#endif /* _NGX_UCAN_FORWARD_H_INCLUDED_ */
