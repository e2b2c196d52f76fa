/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The status module, inside: what its files share.
 *
 *     ngx_http_mesh_status_module.c   directives
 *     ngx_mesh_status_health.c        whether this node works
 *     ngx_mesh_status_skill.c         the page that teaches a bot
 */


#ifndef _NGX_MESH_STATUS_H_INCLUDED_
#define _NGX_MESH_STATUS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_origin.h"


#define NGX_MESH_STATUS_SKILL_MAX  65536    /* bytes of a template */
#define NGX_MESH_STATUS_URL_MAX    512      /* bytes of mesh_skill_url */


typedef struct {
    ngx_array_t         *skill;       /* of ngx_mesh_status_part_t; or unset */
    ngx_str_t            skill_url;   /* no slash at the end; empty: Host */
    ngx_mesh_origin_t    origin;      /* which Host may stand in the page */
} ngx_http_mesh_status_loc_conf_t;


extern ngx_module_t  ngx_http_mesh_status_module;


/* NGX_DECLINED for GET and HEAD: nothing was answered yet.  Else OPTIONS got
   204 and others 405, with Allow, and the handler returns what this gave. */
ngx_int_t ngx_http_mesh_status_method(ngx_http_request_t *r);

/* Content handler. */
ngx_int_t ngx_mesh_status_health_handler(ngx_http_request_t *r);

/* In the master, init_module: the node's life begins with the first. */
void ngx_mesh_status_health_init(void);

/* Content handler; the location has a template. */
ngx_int_t ngx_mesh_status_skill_handler(ngx_http_request_t *r);

/* Reads and cuts up a template when the configuration is read: the parts, in
   cf->pool; NULL after a line in the log.  path is relative to the prefix. */
ngx_array_t *ngx_mesh_status_skill_open(ngx_conf_t *cf, ngx_str_t *path);


#endif /* _NGX_MESH_STATUS_H_INCLUDED_ */
