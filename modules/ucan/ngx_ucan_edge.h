/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The part of a location's configuration that is about its edges: where
 * tokens come from, what is demanded of them, and what goes on to upstreams.
 */


#ifndef _NGX_UCAN_EDGE_H_INCLUDED_
#define _NGX_UCAN_EDGE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


#define NGX_UCAN_EDGE_ALL  0
#define NGX_UCAN_EDGE_ANY  1

#define NGX_UCAN_EDGE_PASS   0
#define NGX_UCAN_EDGE_STRIP  1


/* Member of ngx_ucan_loc_conf_t ("edge"). */
typedef struct {
    ngx_array_t  *sources;        /* ngx_ucan_source.h; NULL: Authorization */
    ngx_uint_t    mode;           /* how several requirements hold */
    void         *resource;       /* ngx_ucan_require.c; NULL: a mesh's */
    ngx_flag_t    bind;
    ngx_flag_t    forward;
    ngx_uint_t    tokens;
} ngx_ucan_edge_conf_t;


/* For create_loc_conf and merge_loc_conf.  NGX_CONF_OK, NGX_CONF_ERROR. */
void ngx_ucan_edge_init(ngx_ucan_edge_conf_t *conf);
char *ngx_ucan_edge_merge(ngx_conf_t *cf, ngx_ucan_edge_conf_t *prev,
    ngx_ucan_edge_conf_t *conf);

/* "ucan_require_mode all | any", "ucan_tokens pass | strip": into an
   ngx_uint_t (NGX_CONF_UNSET_UINT before). */
char *ngx_ucan_edge_mode_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_ucan_edge_tokens_slot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#endif /* _NGX_UCAN_EDGE_H_INCLUDED_ */
