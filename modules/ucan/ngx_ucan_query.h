/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Query arguments that hold tokens: cut out of a request before any module
 * could log it or pass it on, and kept for the location that accepts them.
 */


#ifndef _NGX_UCAN_QUERY_H_INCLUDED_
#define _NGX_UCAN_QUERY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "bytes.h"


#define NGX_UCAN_QUERY_NAME_MAX  64      /* bytes */


/* The server configuration of the ucan module. */
typedef struct {
    ngx_array_t  *names;          /* of ngx_str_t; NULL: none */
} ngx_ucan_query_srv_conf_t;


/* Member of ngx_ucan_main_conf_t ("query"); zeroed at first. */
typedef struct {
    ngx_array_t  *names;          /* of all servers, ngx_str_t; or NULL */
    ngx_array_t  *logs;           /* ngx_ucan_redact.h; or NULL */
} ngx_ucan_query_main_conf_t;


/* As nginx's module context wants them. */
void *ngx_ucan_query_create_srv(ngx_conf_t *cf);
char *ngx_ucan_query_merge_srv(ngx_conf_t *cf, void *parent, void *child);

/* While a server's configuration is read: an argument of that name is cut
   out of all of its requests.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_ucan_query_add(ngx_conf_t *cf, ngx_str_t *name);

/* Postconfiguration: its phases, when there is anything to cut. */
ngx_int_t ngx_ucan_query_init(ngx_conf_t *cf);

/* What was cut out, without its escapes.  NGX_OK; NGX_DECLINED: there was no
   such argument; NGX_ERROR: more than one. */
ngx_int_t ngx_ucan_query_find(ngx_http_request_t *r, const ngx_str_t *name,
    bytes_t *value);

/* 1 when text, which may have escapes, is one of names. */
ngx_uint_t ngx_ucan_query_match(const ngx_array_t *names, const u_char *text,
    size_t len);


#endif /* _NGX_UCAN_QUERY_H_INCLUDED_ */
