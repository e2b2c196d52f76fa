/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What a location demands: "ucan_require COMMAND [name=value ...]".
 */


#ifndef _NGX_UCAN_REQUIRE_H_INCLUDED_
#define _NGX_UCAN_REQUIRE_H_INCLUDED_


#include "ngx_mesh_principal.h"


/* NGX_CONF_1MORE into an ngx_array_t (NGX_CONF_UNSET_PTR before); several
   lines of one level must all hold; "off" alone drops inherited ones and
   leaves NULL. */
char *ngx_ucan_require_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* "ucan_resource URI [prefix] [ability=NAME]": NGX_CONF_1MORE into a pointer
   (NGX_CONF_UNSET_PTR before); "off" leaves NULL. */
char *ngx_ucan_require_resource_slot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* 1 when what that left covers what lies below it. */
ngx_uint_t ngx_ucan_require_prefix(const void *resource);

/* Asks for each requirement, in order; all must hold, or any where the
   location says so; and before them what "ucan_bind" asks.  UCAN_OK, or the
   first verdict that is not, and *command is the one it is about (conf
   memory; left alone for "ucan_bind"). */
ucan_verdict_t ngx_ucan_require_match(ngx_http_request_t *r,
    const ngx_array_t *requirements, ngx_mesh_principal_t *p,
    bytes_t *command);

/* Their commands, parted by commas, in pool.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_ucan_require_write(ngx_pool_t *pool,
    const ngx_array_t *requirements, ngx_str_t *text);


#endif /* _NGX_UCAN_REQUIRE_H_INCLUDED_ */
