/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Sets, inherits and checks the edges of a location.  In the master, under
 * nginx -t and at reloads too; no side effects.
 */


#include "ngx_ucan_edge.h"
#include "ngx_ucan_redact.h"


static char *ngx_ucan_edge_choose(ngx_conf_t *cf, ngx_uint_t *field,
    const char *first, const char *second);


void
ngx_ucan_edge_init(ngx_ucan_edge_conf_t *conf)
{
    conf->sources = NGX_CONF_UNSET_PTR;
    conf->mode = NGX_CONF_UNSET_UINT;
    conf->resource = NGX_CONF_UNSET_PTR;
    conf->bind = NGX_CONF_UNSET;
    conf->forward = NGX_CONF_UNSET;
    conf->tokens = NGX_CONF_UNSET_UINT;
}


char *
ngx_ucan_edge_merge(ngx_conf_t *cf, ngx_ucan_edge_conf_t *prev,
    ngx_ucan_edge_conf_t *conf)
{
    ngx_conf_merge_ptr_value(conf->sources, prev->sources, NULL);
    ngx_conf_merge_uint_value(conf->mode, prev->mode, NGX_UCAN_EDGE_ALL);
    ngx_conf_merge_ptr_value(conf->resource, prev->resource, NULL);
    ngx_conf_merge_value(conf->bind, prev->bind, 0);
    ngx_conf_merge_value(conf->forward, prev->forward, 0);
    ngx_conf_merge_uint_value(conf->tokens, prev->tokens,
                              NGX_UCAN_EDGE_PASS);

    return (ngx_ucan_redact_log(cf) == NGX_OK) ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
ngx_ucan_edge_mode_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_uint_t  *field;

    field = (ngx_uint_t *) ((u_char *) conf + cmd->offset);

    return ngx_ucan_edge_choose(cf, field, "all", "any");
}


char *
ngx_ucan_edge_tokens_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_uint_t  *field;

    field = (ngx_uint_t *) ((u_char *) conf + cmd->offset);

    return ngx_ucan_edge_choose(cf, field, "pass", "strip");
}


static char *
ngx_ucan_edge_choose(ngx_conf_t *cf, ngx_uint_t *field, const char *first,
    const char *second)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (*field != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    if (ngx_strcmp(value[1].data, first) == 0) {
        *field = 0;

    } else if (ngx_strcmp(value[1].data, second) == 0) {
        *field = 1;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" needs \"%s\" or \"%s\", not \"%V\"",
                           &value[0], first, second, &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
