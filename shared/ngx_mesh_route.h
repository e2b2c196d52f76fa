/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * A table of method and path to a handler with path arguments.
 */


#ifndef _NGX_MESH_ROUTE_H_INCLUDED_
#define _NGX_MESH_ROUTE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


#define NGX_MESH_ROUTE_ARGS_MAX  4


typedef struct {
    ngx_uint_t  count;
    ngx_str_t   value[NGX_MESH_ROUTE_ARGS_MAX];   /* decoded, in r->uri */
} ngx_mesh_route_args_t;

typedef ngx_int_t (*ngx_mesh_route_pt)(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);


/* "/api/rooms/:/messages": ":" matches one non-empty segment. */
typedef struct {
    ngx_uint_t          method;   /* NGX_HTTP_GET, ... ; one each line */
    const char         *path;
    ngx_mesh_route_pt   handler;
} ngx_mesh_route_t;


/* Finds the line for r and calls it; table ends with { 0, NULL, NULL }.
   404, 405 with Allow, 204 with Allow for OPTIONS, HEAD as GET. */
ngx_int_t ngx_mesh_route(ngx_http_request_t *r,
    const ngx_mesh_route_t *table);

/* Query argument, percent-decoded into r->pool.  NGX_OK, NGX_DECLINED
   (absent), NGX_ERROR (malformed escape or no memory). */
ngx_int_t ngx_mesh_route_query(ngx_http_request_t *r, const char *name,
    ngx_str_t *value);


#endif /* _NGX_MESH_ROUTE_H_INCLUDED_ */
