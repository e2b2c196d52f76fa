/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The error log without the tokens that stand in queries.
 */


#ifndef _NGX_UCAN_REDACT_H_INCLUDED_
#define _NGX_UCAN_REDACT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* For merge_loc_conf: when any server names an argument, the error log of
   the level that is merged is written through one that leaves out its value.
   NGX_OK, NGX_ERROR. */
ngx_int_t ngx_ucan_redact_log(ngx_conf_t *cf);

/* init_process: takes over the levels of the logs, which nginx knows only
   when it has read everything. */
void ngx_ucan_redact_open(ngx_cycle_t *cycle);


#endif /* _NGX_UCAN_REDACT_H_INCLUDED_ */
