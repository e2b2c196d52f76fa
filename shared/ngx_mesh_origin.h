/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Which Host and which Origin a socket or a write may come with.
 *
 * A page of another site can make a browser on the operator's own network
 * send requests here (DNS rebinding, cross-site WebSocket hijacking).  So
 * Host must be an IP address, "localhost", a server_name of this server, or
 * listed; and Origin, which only browsers send, must be absent, be this very
 * origin, or be listed.
 */


#ifndef _NGX_MESH_ORIGIN_H_INCLUDED_
#define _NGX_MESH_ORIGIN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "problem.h"


/* Part of a module's location configuration. */
typedef struct {
    ngx_array_t  *hosts;          /* of ngx_str_t, lower case */
    ngx_array_t  *origins;        /* of ngx_str_t, lower case */
    ngx_array_t  *names;          /* of ngx_str_t: this server's own */
} ngx_mesh_origin_t;


/* Directive handlers for "mesh_<m>_host NAME ..." and "mesh_<m>_origin
   SCHEME://HOST[:PORT] ...": NGX_CONF_1MORE, offset of the
   ngx_mesh_origin_t. */
char *ngx_mesh_origin_host_slot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_mesh_origin_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* For create_loc_conf. */
void ngx_mesh_origin_init(ngx_mesh_origin_t *conf);

/* For merge_loc_conf.  Also takes the names of the server that is merged:
   nginx itself forgets them when the configuration was read.  NGX_CONF_OK,
   NGX_CONF_ERROR. */
char *ngx_mesh_origin_merge(ngx_conf_t *cf, ngx_mesh_origin_t *prev,
    ngx_mesh_origin_t *conf);

/* NGX_OK; or NGX_DECLINED with *problem (wrong-host, wrong-origin) and one
   log line. */
ngx_int_t ngx_mesh_origin_check(ngx_http_request_t *r,
    const ngx_mesh_origin_t *conf, problem_t *problem);


#endif /* _NGX_MESH_ORIGIN_H_INCLUDED_ */
