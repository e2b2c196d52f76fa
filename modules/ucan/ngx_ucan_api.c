/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The principal interface for other modules: thin, on the event loop of a
 * worker.
 */


#include "ngx_ucan_api.h"
#include "ngx_ucan_conf.h"
#include "ngx_ucan_request.h"
#include "ngx_ucan_revocation.h"
#include "ngx_ucan_verify.h"


static ngx_mesh_principal_t *ngx_ucan_api_get(ngx_http_request_t *r);
static ucan_verdict_t ngx_ucan_api_open(ngx_http_request_t *r,
    ngx_pool_t *pool, ngx_str_t *token, ngx_str_t *proofs,
    ngx_mesh_principal_t **p);
static ngx_int_t ngx_ucan_api_copy(ngx_pool_t *pool, ngx_str_t *s,
    bytes_t *copy);
static ngx_int_t ngx_ucan_api_revoke(ngx_cycle_t *cycle, const cid_t *cid,
    time_t until);
static ngx_str_t *ngx_ucan_api_audience(ngx_http_request_t *r);


ngx_mesh_principal_api_t  ngx_ucan_api = {
    NGX_MESH_PRINCIPAL_MAGIC,
    NGX_MESH_PRINCIPAL_VERSION,
    ngx_ucan_api_get,
    ngx_ucan_api_open,
    ngx_ucan_verify_allow,
    ngx_ucan_verify_alive,
    ngx_ucan_api_revoke,
    ngx_ucan_api_audience,
    ngx_ucan_verify_refuse
};


static ngx_mesh_principal_t *
ngx_ucan_api_get(ngx_http_request_t *r)
{
    ngx_ucan_request_t  *ctx;

    ctx = ngx_ucan_request_find(r);

    return ctx ? ctx->principal : NULL;
}


static ucan_verdict_t
ngx_ucan_api_open(ngx_http_request_t *r, ngx_pool_t *pool, ngx_str_t *token,
    ngx_str_t *proofs, ngx_mesh_principal_t **p)
{
    bytes_t                    none, text[2];
    ucan_verdict_t             rc;
    ngx_ucan_refusal_t         refusal;
    ngx_ucan_loc_conf_t  *lcf;

    *p = NULL;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_ucan_module);

    if (lcf->trust == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "ucan: refused: no \"ucan_audience\" is set here");
        return UCAN_WRONG_AUDIENCE;
    }

    if (token->len > lcf->trust->limits.bytes_max
        || proofs->len > lcf->trust->limits.bytes_max)
    {
        /* refused below by its length, which needs no copy */
        text[0] = bytes_make(token->data, token->len);
        text[1] = bytes_make(proofs->data, proofs->len);

    } else if (ngx_ucan_api_copy(pool, token, &text[0]) != NGX_OK
               || ngx_ucan_api_copy(pool, proofs, &text[1]) != NGX_OK)
    {
        return UCAN_NO_MEMORY;
    }

    rc = ngx_ucan_verify_open(p, pool, lcf->trust, text, &refusal);

    if (rc != UCAN_OK) {
        none = bytes_make(NULL, 0);
        ngx_ucan_verify_log(&refusal, r->connection->log, none);
    }

    return rc;
}


static ngx_int_t
ngx_ucan_api_copy(ngx_pool_t *pool, ngx_str_t *s, bytes_t *copy)
{
    u_char  *data;

    data = ngx_pnalloc(pool, s->len + 1);

    if (data == NULL) {
        return NGX_ERROR;
    }

    if (s->len != 0) {
        ngx_memcpy(data, s->data, s->len);
    }

    *copy = bytes_make(data, s->len);

    return NGX_OK;
}


static ngx_int_t
ngx_ucan_api_revoke(ngx_cycle_t *cycle, const cid_t *cid, time_t until)
{
    ngx_ucan_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_ucan_module);

    if (mcf == NULL || mcf->revocation_zone == NULL) {
        ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                      "ucan: revocation refused, there is no "
                      "\"ucan_revocation_zone\"");
        return NGX_ERROR;
    }

    return ngx_ucan_revocation_add(mcf->revocation_zone, cid, until);
}


static ngx_str_t *
ngx_ucan_api_audience(ngx_http_request_t *r)
{
    ngx_ucan_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_ucan_module);

    return lcf->trust ? &lcf->audience : NULL;
}
