/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Variables: the facts of a token for map, logs, limits and upstreams.
 */


#ifndef _NGX_UCAN_VARIABLE_H_INCLUDED_
#define _NGX_UCAN_VARIABLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* The preconfiguration handler that adds them. */
ngx_int_t ngx_ucan_variable_add(ngx_conf_t *cf);


#endif /* _NGX_UCAN_VARIABLE_H_INCLUDED_ */
