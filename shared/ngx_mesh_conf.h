/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Directive handlers that several modules share.  Each refuses a bad value
 * with one line that names the directive, what it takes, and the value.
 */


#ifndef _NGX_MESH_CONF_H_INCLUDED_
#define _NGX_MESH_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef enum {
    NGX_MESH_CONF_COUNT = 0,
    NGX_MESH_CONF_SIZE,           /* bytes: "64k" */
    NGX_MESH_CONF_SECONDS         /* "24h" */
} ngx_mesh_conf_unit_t;


/* The "post" of a command with ngx_mesh_conf_number_slot(). */
typedef struct {
    ngx_mesh_conf_unit_t   unit;
    ngx_int_t              low;
    ngx_int_t              high;
    const char            *takes;    /* "a size from 1k to 64k" */
} ngx_mesh_conf_number_t;


/* NGX_CONF_TAKE1 into an ngx_int_t (NGX_CONF_UNSET before). */
char *ngx_mesh_conf_number_slot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* NGX_CONF_1MORE: "DID" or "file:PATH" (one line, relative to nginx's
   prefix) into an ngx_array_t of bytes_t, in cf->pool (NGX_CONF_UNSET_PTR
   before).  Several lines of one level add up. */
char *ngx_mesh_conf_did_slot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#endif /* _NGX_MESH_CONF_H_INCLUDED_ */
