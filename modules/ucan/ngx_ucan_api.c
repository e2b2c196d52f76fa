/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The principal interface for other modules: thin, on the event loop of a
 * worker.
 */


#include "ngx_ucan_api.h"
#include "ngx_ucan_facts.h"
#include "ngx_ucan_once.h"
#include "ngx_ucan_request.h"
#include "ngx_ucan_revocation.h"


/* A token that another module has opened; in that module's pool. */
typedef struct {
    ngx_mesh_principal_open_t  *asked;       /* borrowed, as the pool */
    ngx_http_request_t         *request;     /* for the call; then NULL */
    ngx_connection_t           *connection;  /* borrowed: its log */
    ngx_ucan_open_t             open;        /* with the session */
    ngx_mesh_principal_t        principal;
} ngx_ucan_api_open_t;


static ngx_mesh_principal_t *ngx_ucan_api_get(ngx_http_request_t *r);
static ucan_verdict_t ngx_ucan_api_open(ngx_http_request_t *r,
    ngx_pool_t *pool, ngx_str_t *token, ngx_str_t *proofs,
    ngx_mesh_principal_t **p);
static ngx_int_t ngx_ucan_api_open_later(ngx_http_request_t *r,
    ngx_pool_t *pool, ngx_mesh_principal_open_t *asked);
static ngx_int_t ngx_ucan_api_open_facts(ngx_ucan_open_t *open,
    ucan_http_t *http);
static void ngx_ucan_api_open_done(ngx_ucan_open_t *open);
static void ngx_ucan_api_open_finish(ngx_ucan_api_open_t *o);
static void ngx_ucan_api_open_cleanup(void *data);
static ngx_int_t ngx_ucan_api_revoke(ngx_cycle_t *cycle, const cid_t *cid,
    time_t until);
static ngx_int_t ngx_ucan_api_revoke_by(ngx_cycle_t *cycle, const cid_t *cid,
    bytes_t did, time_t until);
static ngx_str_t *ngx_ucan_api_audience(ngx_http_request_t *r);


ngx_mesh_principal_api_t  ngx_ucan_api = {
    NGX_MESH_PRINCIPAL_MAGIC,
    NGX_MESH_PRINCIPAL_VERSION,
    ngx_ucan_api_get,
    ngx_ucan_api_open,
    ngx_ucan_api_open_later,
    ngx_ucan_verify_allow,
    ngx_ucan_verify_alive,
    ngx_ucan_api_revoke,
    ngx_ucan_api_audience,
    ngx_ucan_verify_refuse,
    ngx_ucan_api_revoke_by
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
    ngx_mesh_principal_open_t  asked;

    ngx_memzero(&asked, sizeof(ngx_mesh_principal_open_t));

    asked.token = *token;
    asked.proofs = *proofs;

    /* without a handler it never has to wait */
    (void) ngx_ucan_api_open_later(r, pool, &asked);

    *p = asked.principal;

    return asked.verdict;
}


static ngx_int_t
ngx_ucan_api_open_later(ngx_http_request_t *r, ngx_pool_t *pool,
    ngx_mesh_principal_open_t *asked)
{
    ngx_ucan_api_open_t  *o;
    ngx_pool_cleanup_t   *cln;
    ngx_ucan_loc_conf_t  *lcf;

    asked->principal = NULL;
    asked->busy = 0;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_ucan_module);

    if (lcf->trust == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "ucan: refused: no \"ucan_audience\" is set here");
        asked->verdict = UCAN_WRONG_AUDIENCE;
        return NGX_OK;
    }

    asked->verdict = UCAN_NO_MEMORY;
    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_ucan_api_open_t));

    if (cln == NULL) {
        return NGX_OK;
    }

    o = cln->data;
    ngx_memzero(o, sizeof(ngx_ucan_api_open_t));
    cln->handler = ngx_ucan_api_open_cleanup;

    o->asked = asked;
    o->request = r;
    o->connection = r->connection;
    o->open.lcf = lcf;
    o->open.text[0] = bytes_make(asked->token.data, asked->token.len);
    o->open.text[1] = bytes_make(asked->proofs.data, asked->proofs.len);
    o->open.facts = ngx_ucan_api_open_facts;
    o->open.handler = asked->handler ? ngx_ucan_api_open_done : NULL;
    o->open.data = o;

    if (ngx_ucan_open_start(&o->open) == NGX_AGAIN) {
        o->request = NULL;
        return NGX_AGAIN;
    }

    ngx_ucan_api_open_finish(o);

    return NGX_OK;
}


static ngx_int_t
ngx_ucan_api_open_facts(ngx_ucan_open_t *open, ucan_http_t *http)
{
    ngx_ucan_api_open_t  *o;

    o = open->data;

    return ngx_ucan_facts_get(o->request, http);
}


static void
ngx_ucan_api_open_done(ngx_ucan_open_t *open)
{
    ngx_ucan_api_open_t  *o;

    o = open->data;

    ngx_ucan_api_open_finish(o);

    o->asked->handler(o->asked);
}


static void
ngx_ucan_api_open_finish(ngx_ucan_api_open_t *o)
{
    bytes_t              none;
    ngx_ucan_refusal_t   refusal;

    if (o->open.busy) {
        o->asked->busy = 1;
        return;
    }

    if (o->open.verdict == UCAN_OK
        && o->open.session->chain.kind == UCAN_CHAIN_INVOCATION)
    {
        o->open.verdict = ngx_ucan_once_open(o->open.lcf,
                                             o->open.session->bundle.top);
    }

    o->asked->verdict = o->open.verdict;

    if (o->open.verdict == UCAN_OK) {
        ngx_ucan_session_publish(o->open.session, &o->principal);
        o->asked->principal = &o->principal;
        return;
    }

    ngx_memzero(&refusal, sizeof(ngx_ucan_refusal_t));
    refusal.verdict = o->open.verdict;
    none = bytes_make(NULL, 0);

    if (o->open.session) {
        ngx_ucan_session_describe(o->open.session, &refusal);
    }

    ngx_ucan_verify_log(&refusal, o->connection->log, none);
}


/* The principal goes with its pool. */

static void
ngx_ucan_api_open_cleanup(void *data)
{
    ngx_ucan_api_open_t  *o = data;

    ngx_ucan_open_cancel(&o->open);
}


static ngx_int_t
ngx_ucan_api_revoke(ngx_cycle_t *cycle, const cid_t *cid, time_t until)
{
    return ngx_ucan_api_revoke_by(cycle, cid, bytes_make(NULL, 0), until);
}


static ngx_int_t
ngx_ucan_api_revoke_by(ngx_cycle_t *cycle, const cid_t *cid, bytes_t did,
    time_t until)
{
    ngx_ucan_main_conf_t        *mcf;
    ngx_ucan_revocation_item_t   item;

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_ucan_module);

    if (mcf == NULL || mcf->revocation_zone == NULL) {
        ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                      "ucan: revocation refused, there is no "
                      "\"ucan_revocation_zone\"");
        return NGX_ERROR;
    }

    item.cid = *cid;
    item.by = did;
    item.until = until;
    item.round = 0;

    return ngx_ucan_revocation_add(mcf->revocation_zone, &item);
}


static ngx_str_t *
ngx_ucan_api_audience(ngx_http_request_t *r)
{
    ngx_ucan_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_ucan_module);

    return lcf->trust ? &lcf->audience : NULL;
}
