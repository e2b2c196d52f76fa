/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The get handlers of $ucan_...: what the access phase found, or what it would
 * find when a variable is needed before it.
 */


#include "ngx_ucan_conf.h"
#include "ngx_ucan_request.h"
#include "ngx_ucan_variable.h"


static ngx_int_t ngx_ucan_variable_text(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_ucan_variable_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_ucan_variable_error(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_ucan_request_t *ngx_ucan_variable_find(
    ngx_http_request_t *r);


static ngx_http_variable_t  ngx_ucan_variables[] = {

    { ngx_string("ucan_issuer"), NULL, ngx_ucan_variable_text,
      offsetof(ngx_mesh_principal_t, did),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ucan_root"), NULL, ngx_ucan_variable_text,
      offsetof(ngx_mesh_principal_t, root),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ucan_cid"), NULL, ngx_ucan_variable_text,
      offsetof(ngx_mesh_principal_t, cid),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ucan_expires"), NULL, ngx_ucan_variable_number,
      offsetof(ngx_mesh_principal_t, expires),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ucan_depth"), NULL, ngx_ucan_variable_number,
      offsetof(ngx_mesh_principal_t, depth),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ucan_error"), NULL, ngx_ucan_variable_error, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


static ngx_int_t
ngx_ucan_variable_text(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t            *s;
    ngx_ucan_request_t  *ctx;

    ctx = ngx_ucan_variable_find(r);

    if (ctx == NULL || ctx->principal == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    s = (ngx_str_t *) ((u_char *) ctx->principal + data);

    v->len = s->len;
    v->data = s->data;
    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_ucan_variable_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_int_t            *n;
    ngx_ucan_request_t  *ctx;

    ctx = ngx_ucan_variable_find(r);

    if (ctx == NULL || ctx->principal == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = ngx_pnalloc(r->pool, NGX_INT_T_LEN);

    if (v->data == NULL) {
        return NGX_ERROR;
    }

    /* time_t and ngx_uint_t are as wide as ngx_int_t wherever nginx runs */
    n = (ngx_int_t *) ((u_char *) ctx->principal + data);

    v->len = ngx_sprintf(v->data, "%i", *n) - v->data;
    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_ucan_variable_error(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_ucan_request_t  *ctx;

    ctx = ngx_ucan_variable_find(r);

    if (ctx == NULL || ctx->error == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = (u_char *) ctx->error;
    v->len = ngx_strlen(ctx->error);
    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;

    return NGX_OK;
}


/* limit_req and map ask before the access phase: then it is found out now.
   Not once the response has begun: what was never checked is not checked for
   the log. */

static ngx_ucan_request_t *
ngx_ucan_variable_find(ngx_http_request_t *r)
{
    ngx_ucan_request_t       *ctx;
    ngx_ucan_loc_conf_t  *lcf;

    ctx = ngx_ucan_request_find(r);

    if (ctx || r != r->main || r->header_sent) {
        return ctx;
    }

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_ucan_module);

    if (lcf->enable == NGX_UCAN_CONF_OFF) {
        return NULL;
    }

    return ngx_ucan_request_authenticate(r, lcf->trust);
}


ngx_int_t
ngx_ucan_variable_add(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_ucan_variables; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);

        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}
