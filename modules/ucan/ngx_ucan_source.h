/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Where a token stands in a request: "ucan_source", by default in
 * "Authorization: Bearer"; and for 0.x its proofs in "ucans" (UCAN as bearer
 * token 0.3).
 */


#ifndef _NGX_UCAN_SOURCE_H_INCLUDED_
#define _NGX_UCAN_SOURCE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "bytes.h"


#define NGX_UCAN_SOURCE_MAX     8           /* places of one location */
#define NGX_UCAN_SOURCE_BEARER  "bearer."   /* of a subprotocol */


typedef enum {
    NGX_UCAN_SOURCE_AUTHORIZATION = 0,
    NGX_UCAN_SOURCE_SUBPROTOCOL,
    NGX_UCAN_SOURCE_HEADER,
    NGX_UCAN_SOURCE_COOKIE,
    NGX_UCAN_SOURCE_QUERY
} ngx_ucan_source_kind_t;


typedef struct {
    ngx_ucan_source_kind_t  kind;
    ngx_str_t               name;     /* of a header, cookie, argument */
} ngx_ucan_source_place_t;


typedef struct {
    bytes_t  token;               /* borrowed from the request */
    bytes_t  proofs;              /* the same; may be empty */
} ngx_ucan_source_t;


/* "ucan_source PLACE ...": NGX_CONF_1MORE into an ngx_array_t of places
   (NGX_CONF_UNSET_PTR before); several lines of one level add up. */
char *ngx_ucan_source_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* The places where a location looks (conf memory), never NULL. */
const ngx_ucan_source_place_t *ngx_ucan_source_places(ngx_http_request_t *r,
    ngx_uint_t *count);

/* NGX_OK; NGX_DECLINED: no token is presented (none at all, or credentials
   of another scheme); NGX_ERROR: what is presented is ambiguous or empty;
   NGX_ABORT: it came in a cookie, sent by the page of another site.  After a
   redirect too, whatever was taken from the headers meanwhile. */
ngx_int_t ngx_ucan_source_find(ngx_http_request_t *r,
    ngx_ucan_source_t *source);

/* Without the blanks at both ends, which are no part of a field (RFC 9110,
   5.5); borrows. */
bytes_t ngx_ucan_source_trim(const u_char *data, size_t len);

/* To be called before headers are taken from r->headers_in: what they were
   stays known to ngx_ucan_source_find().  NGX_OK, NGX_ERROR: no memory. */
ngx_int_t ngx_ucan_source_keep(ngx_http_request_t *r);


#endif /* _NGX_UCAN_SOURCE_H_INCLUDED_ */
