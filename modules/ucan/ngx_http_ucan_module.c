/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * UCAN in nginx's access phase: directives, the handler, variables, and the
 * principal interface for other modules.
 *
 * Runs on the event loop of a worker; configuration is only read there.  A
 * request is authenticated once, when its access phase or one of our
 * variables first needs it; what was found is kept in the request's pool, so
 * that internal redirects and the log phase find it again.  Knows no rooms
 * and no storage.
 *
 * nginx runs no access phase for subrequests, nor for "return" and "rewrite",
 * which end a request before it: nothing is checked there.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_conf.h"
#include "ngx_mesh_principal.h"
#include "ngx_ucan_answer.h"
#include "ngx_ucan_request.h"
#include "ngx_ucan_require.h"
#include "ngx_ucan_revocation.h"
#include "ngx_ucan_verify.h"

#include <sodium.h>


#define NGX_HTTP_UCAN_OFF       0
#define NGX_HTTP_UCAN_ON        1
#define NGX_HTTP_UCAN_OPTIONAL  2


typedef struct {
    ngx_mesh_principal_api_t  *api;         /* first: ngx_mesh_published() */
    ngx_shm_zone_t            *revocation_zone;    /* NULL: none */
} ngx_http_ucan_main_conf_t;


typedef struct {
    ngx_uint_t       enable;
    ngx_array_t     *audiences;             /* of bytes_t; NULL: none */
    ngx_array_t     *anchors;               /* the same; NULL: audiences */
    ngx_array_t     *requirements;          /* ngx_ucan_require; NULL: none */
    ngx_int_t        leeway;                /* seconds */
    ngx_int_t        session_max;           /* seconds */
    ngx_int_t        token_size;            /* bytes */
    ngx_int_t        token_count;
    ngx_int_t        depth;
    ngx_int_t        inflated_size;         /* bytes */

    /* compiled; the parent's when nothing it is made of differs; NULL: no
       audience was named */
    ucan_trust_t    *trust;

    ngx_str_t        audience;              /* the first one, for others */
} ngx_http_ucan_loc_conf_t;


static ngx_int_t ngx_http_ucan_handler(ngx_http_request_t *r);

static ngx_mesh_principal_t *ngx_http_ucan_get(ngx_http_request_t *r);
static ucan_verdict_t ngx_http_ucan_open(ngx_http_request_t *r,
    ngx_pool_t *pool, ngx_str_t *token, ngx_str_t *proofs,
    ngx_mesh_principal_t **p);
static ngx_int_t ngx_http_ucan_copy(ngx_pool_t *pool, ngx_str_t *s,
    bytes_t *copy);
static ngx_int_t ngx_http_ucan_revoke(ngx_cycle_t *cycle, const cid_t *cid,
    time_t until);
static ngx_str_t *ngx_http_ucan_audience(ngx_http_request_t *r);

static ngx_int_t ngx_http_ucan_text_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ucan_number_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ucan_error_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_ucan_request_t *ngx_http_ucan_variable_ctx(
    ngx_http_request_t *r);

static void *ngx_http_ucan_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_ucan_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_ucan_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_uint_t ngx_http_ucan_differs(ngx_http_ucan_loc_conf_t *conf);
static ucan_trust_t *ngx_http_ucan_trust(ngx_conf_t *cf,
    ngx_http_ucan_loc_conf_t *conf);
static char *ngx_http_ucan_enable(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_ucan_revocation_zone(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static ngx_int_t ngx_http_ucan_add_variables(ngx_conf_t *cf);
static ngx_int_t ngx_http_ucan_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_ucan_init_process(ngx_cycle_t *cycle);


static ngx_mesh_principal_api_t  ngx_http_ucan_api = {
    NGX_MESH_PRINCIPAL_MAGIC,
    NGX_MESH_PRINCIPAL_VERSION,
    ngx_http_ucan_get,
    ngx_http_ucan_open,
    ngx_ucan_verify_allow,
    ngx_ucan_verify_alive,
    ngx_http_ucan_revoke,
    ngx_http_ucan_audience,
    ngx_ucan_verify_refuse
};


static ngx_mesh_conf_number_t  ngx_http_ucan_leeway = {
    NGX_MESH_CONF_SECONDS, 0, NGX_UCAN_REVOCATION_GRACE,
    "a time from 0 to 1h"
};

static ngx_mesh_conf_number_t  ngx_http_ucan_session_max = {
    NGX_MESH_CONF_SECONDS, 1, 366 * 24 * 3600, "a time from 1s to 366d"
};

static ngx_mesh_conf_number_t  ngx_http_ucan_token_size = {
    NGX_MESH_CONF_SIZE, 256, UCAN_TOKEN_BYTES_MAX, "a size from 256 to 64k"
};

static ngx_mesh_conf_number_t  ngx_http_ucan_token_count = {
    NGX_MESH_CONF_COUNT, 1, UCAN_TOKEN_COUNT_MAX, "a number from 1 to 64"
};

static ngx_mesh_conf_number_t  ngx_http_ucan_depth = {
    NGX_MESH_CONF_COUNT, 1, UCAN_TOKEN_DEPTH_MAX, "a number from 1 to 16"
};

static ngx_mesh_conf_number_t  ngx_http_ucan_inflated_size = {
    NGX_MESH_CONF_SIZE, 1024, UCAN_TOKEN_INFLATED_MAX,
    "a size from 1k to 256k"
};


static ngx_command_t  ngx_http_ucan_commands[] = {

    { ngx_string("ucan"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF
                        |NGX_HTTP_LMT_CONF|NGX_CONF_TAKE1,
      ngx_http_ucan_enable,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ucan_loc_conf_t, enable),
      NULL },

    { ngx_string("ucan_audience"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF
                        |NGX_CONF_1MORE,
      ngx_mesh_conf_did_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ucan_loc_conf_t, audiences),
      NULL },

    { ngx_string("ucan_trust"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF
                        |NGX_CONF_1MORE,
      ngx_mesh_conf_did_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ucan_loc_conf_t, anchors),
      NULL },

    { ngx_string("ucan_require"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF
                        |NGX_HTTP_LMT_CONF|NGX_CONF_1MORE,
      ngx_ucan_require_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ucan_loc_conf_t, requirements),
      NULL },

    { ngx_string("ucan_leeway"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ucan_loc_conf_t, leeway),
      &ngx_http_ucan_leeway },

    { ngx_string("ucan_session_max"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ucan_loc_conf_t, session_max),
      &ngx_http_ucan_session_max },

    { ngx_string("ucan_token_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ucan_loc_conf_t, token_size),
      &ngx_http_ucan_token_size },

    { ngx_string("ucan_token_count"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ucan_loc_conf_t, token_count),
      &ngx_http_ucan_token_count },

    { ngx_string("ucan_depth"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ucan_loc_conf_t, depth),
      &ngx_http_ucan_depth },

    { ngx_string("ucan_inflated_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ucan_loc_conf_t, inflated_size),
      &ngx_http_ucan_inflated_size },

    { ngx_string("ucan_revocation_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_ucan_revocation_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_variable_t  ngx_http_ucan_variables[] = {

    { ngx_string("ucan_issuer"), NULL, ngx_http_ucan_text_variable,
      offsetof(ngx_mesh_principal_t, did),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ucan_root"), NULL, ngx_http_ucan_text_variable,
      offsetof(ngx_mesh_principal_t, root),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ucan_cid"), NULL, ngx_http_ucan_text_variable,
      offsetof(ngx_mesh_principal_t, cid),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ucan_expires"), NULL, ngx_http_ucan_number_variable,
      offsetof(ngx_mesh_principal_t, expires),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ucan_depth"), NULL, ngx_http_ucan_number_variable,
      offsetof(ngx_mesh_principal_t, depth),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ucan_error"), NULL, ngx_http_ucan_error_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


static ngx_http_module_t  ngx_http_ucan_module_ctx = {
    ngx_http_ucan_add_variables,           /* preconfiguration */
    ngx_http_ucan_init,                    /* postconfiguration */

    ngx_http_ucan_create_main_conf,        /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_ucan_create_loc_conf,         /* create location configuration */
    ngx_http_ucan_merge_loc_conf           /* merge location configuration */
};


ngx_module_t  ngx_http_ucan_module = {
    NGX_MODULE_V1,
    &ngx_http_ucan_module_ctx,             /* module context */
    ngx_http_ucan_commands,                /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_ucan_init_process,            /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* NGX_OK opens the location under "satisfy any", so whoever needs no token
   is declined, not passed. */

static ngx_int_t
ngx_http_ucan_handler(ngx_http_request_t *r)
{
    bytes_t                    command;
    ucan_verdict_t             rc;
    ngx_ucan_request_t       *ctx;
    ngx_http_ucan_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_ucan_module);

    if (lcf->enable == NGX_HTTP_UCAN_OFF) {
        return NGX_DECLINED;
    }

    ctx = ngx_ucan_request_authenticate(r, lcf->trust);

    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->answered) {
        return NGX_DONE;
    }

    command = bytes_make(NULL, 0);

    if (!ctx->presented) {

        if (lcf->enable == NGX_HTTP_UCAN_OPTIONAL) {
            return NGX_DECLINED;
        }

        return ngx_ucan_answer_challenge(r, ctx);
    }

    if (ctx->principal == NULL) {
        return ngx_ucan_answer_refusal(r, ctx, ctx->refusal.verdict, command);
    }

    rc = ngx_ucan_require_match(r, lcf->requirements, ctx->principal,
                                &command);

    if (rc == UCAN_OK) {
        return NGX_OK;
    }

    ngx_ucan_verify_refuse(ctx->principal, r->connection->log, rc, command);
    ctx->logged = 1;

    return ngx_ucan_answer_refusal(r, ctx, rc, command);
}


static ngx_mesh_principal_t *
ngx_http_ucan_get(ngx_http_request_t *r)
{
    ngx_ucan_request_t  *ctx;

    ctx = ngx_ucan_request_find(r);

    return ctx ? ctx->principal : NULL;
}


static ucan_verdict_t
ngx_http_ucan_open(ngx_http_request_t *r, ngx_pool_t *pool, ngx_str_t *token,
    ngx_str_t *proofs, ngx_mesh_principal_t **p)
{
    bytes_t                    none, text[2];
    ucan_verdict_t             rc;
    ngx_ucan_refusal_t         refusal;
    ngx_http_ucan_loc_conf_t  *lcf;

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

    } else if (ngx_http_ucan_copy(pool, token, &text[0]) != NGX_OK
               || ngx_http_ucan_copy(pool, proofs, &text[1]) != NGX_OK)
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
ngx_http_ucan_copy(ngx_pool_t *pool, ngx_str_t *s, bytes_t *copy)
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
ngx_http_ucan_revoke(ngx_cycle_t *cycle, const cid_t *cid, time_t until)
{
    ngx_http_ucan_main_conf_t  *mcf;

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
ngx_http_ucan_audience(ngx_http_request_t *r)
{
    ngx_http_ucan_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_ucan_module);

    return lcf->trust ? &lcf->audience : NULL;
}


static ngx_int_t
ngx_http_ucan_text_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t            *s;
    ngx_ucan_request_t  *ctx;

    ctx = ngx_http_ucan_variable_ctx(r);

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
ngx_http_ucan_number_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_int_t            *n;
    ngx_ucan_request_t  *ctx;

    ctx = ngx_http_ucan_variable_ctx(r);

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
ngx_http_ucan_error_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_ucan_request_t  *ctx;

    ctx = ngx_http_ucan_variable_ctx(r);

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
ngx_http_ucan_variable_ctx(ngx_http_request_t *r)
{
    ngx_ucan_request_t       *ctx;
    ngx_http_ucan_loc_conf_t  *lcf;

    ctx = ngx_ucan_request_find(r);

    if (ctx || r != r->main || r->header_sent) {
        return ctx;
    }

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_ucan_module);

    if (lcf->enable == NGX_HTTP_UCAN_OFF) {
        return NULL;
    }

    return ngx_ucan_request_authenticate(r, lcf->trust);
}


static void *
ngx_http_ucan_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_ucan_main_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_ucan_main_conf_t));

    if (mcf == NULL) {
        return NULL;
    }

    mcf->api = &ngx_http_ucan_api;

    return mcf;
}


static void *
ngx_http_ucan_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_ucan_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_ucan_loc_conf_t));

    if (conf == NULL) {
        return NULL;
    }

    /* set by ngx_pcalloc(): trust = NULL, audience = { 0, NULL } */

    conf->enable = NGX_CONF_UNSET_UINT;
    conf->audiences = NGX_CONF_UNSET_PTR;
    conf->anchors = NGX_CONF_UNSET_PTR;
    conf->requirements = NGX_CONF_UNSET_PTR;
    conf->leeway = NGX_CONF_UNSET;
    conf->session_max = NGX_CONF_UNSET;
    conf->token_size = NGX_CONF_UNSET;
    conf->token_count = NGX_CONF_UNSET;
    conf->depth = NGX_CONF_UNSET;
    conf->inflated_size = NGX_CONF_UNSET;

    return conf;
}


static char *
ngx_http_ucan_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_ucan_loc_conf_t *prev = parent;
    ngx_http_ucan_loc_conf_t *conf = child;

    ngx_uint_t  differs;

    differs = ngx_http_ucan_differs(conf);

    ngx_conf_merge_uint_value(conf->enable, prev->enable, NGX_HTTP_UCAN_OFF);
    ngx_conf_merge_ptr_value(conf->audiences, prev->audiences, NULL);
    ngx_conf_merge_ptr_value(conf->anchors, prev->anchors, NULL);
    ngx_conf_merge_ptr_value(conf->requirements, prev->requirements, NULL);
    ngx_conf_merge_value(conf->leeway, prev->leeway, 0);
    ngx_conf_merge_value(conf->session_max, prev->session_max, 24 * 3600);
    ngx_conf_merge_value(conf->token_size, prev->token_size,
                         UCAN_TOKEN_BYTES_MAX);
    ngx_conf_merge_value(conf->token_count, prev->token_count,
                         UCAN_TOKEN_COUNT_MAX);
    ngx_conf_merge_value(conf->depth, prev->depth, UCAN_TOKEN_DEPTH_MAX);
    ngx_conf_merge_value(conf->inflated_size, prev->inflated_size,
                         UCAN_TOKEN_INFLATED_MAX);

    if (conf->audiences) {

        conf->trust = differs ? NULL : prev->trust;

        if (conf->trust == NULL) {
            conf->trust = ngx_http_ucan_trust(cf, conf);

            if (conf->trust == NULL) {
                return NGX_CONF_ERROR;
            }
        }

        conf->audience.data = (u_char *) conf->trust->audiences[0].data;
        conf->audience.len = conf->trust->audiences[0].len;
    }

    if (conf->enable != NGX_HTTP_UCAN_OFF && conf->trust == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"ucan\" needs \"ucan_audience\" with the DID "
                           "that tokens must be addressed to, for example "
                           "\"ucan_audience file:mesh.did;\"");
        return NGX_CONF_ERROR;
    }

    if (conf->enable == NGX_HTTP_UCAN_OPTIONAL && conf->requirements) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"ucan_require\" needs \"ucan on\": with "
                           "\"ucan optional\" a request without a token "
                           "would pass; \"ucan_require off\" drops what is "
                           "inherited");
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_uint_t
ngx_http_ucan_differs(ngx_http_ucan_loc_conf_t *conf)
{
    return conf->audiences != NGX_CONF_UNSET_PTR
           || conf->anchors != NGX_CONF_UNSET_PTR
           || conf->leeway != NGX_CONF_UNSET
           || conf->session_max != NGX_CONF_UNSET
           || conf->token_size != NGX_CONF_UNSET
           || conf->token_count != NGX_CONF_UNSET
           || conf->depth != NGX_CONF_UNSET
           || conf->inflated_size != NGX_CONF_UNSET;
}


static ucan_trust_t *
ngx_http_ucan_trust(ngx_conf_t *cf, ngx_http_ucan_loc_conf_t *conf)
{
    ngx_array_t                *anchors;
    ucan_trust_t               *trust;
    ngx_http_ucan_main_conf_t  *mcf;

    trust = ngx_pcalloc(cf->pool, sizeof(ucan_trust_t));

    if (trust == NULL) {
        return NULL;
    }

    anchors = conf->anchors ? conf->anchors : conf->audiences;

    trust->audiences = conf->audiences->elts;
    trust->audience_count = conf->audiences->nelts;
    trust->anchors = anchors->elts;
    trust->anchor_count = anchors->nelts;
    trust->limits.bytes_max = conf->token_size;
    trust->limits.count_max = conf->token_count;
    trust->limits.depth_max = conf->depth;
    trust->limits.inflated_max = conf->inflated_size;
    trust->leeway = conf->leeway;
    trust->session_max = conf->session_max;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ucan_module);

    if (mcf->revocation_zone) {
        trust->revoked = ngx_ucan_revocation_find;
        trust->data = mcf->revocation_zone;
    }

    return trust;
}


static char *
ngx_http_ucan_enable(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ucan_loc_conf_t *lcf = conf;

    ngx_str_t  *value;

    value = cf->args->elts;

    if (lcf->enable != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    if (ngx_strcmp(value[1].data, "on") == 0) {
        lcf->enable = NGX_HTTP_UCAN_ON;

    } else if (ngx_strcmp(value[1].data, "off") == 0) {
        lcf->enable = NGX_HTTP_UCAN_OFF;

    } else if (ngx_strcmp(value[1].data, "optional") == 0) {
        lcf->enable = NGX_HTTP_UCAN_OPTIONAL;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"ucan\" needs \"on\", \"optional\" or \"off\", "
                           "not \"%V\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_ucan_revocation_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ucan_main_conf_t *mcf = conf;

    u_char     *p, *last;
    ssize_t     size;
    ngx_str_t  *value, name, s;

    value = cf->args->elts;

    if (mcf->revocation_zone) {
        return "is duplicate";
    }

    last = value[1].data + value[1].len;
    p = ngx_strlchr(value[1].data, last, ':');

    size = NGX_ERROR;

    if (p && p != value[1].data) {
        name.data = value[1].data;
        name.len = p - name.data;

        s.data = p + 1;
        s.len = last - s.data;

        size = ngx_parse_size(&s);
    }

    if (size == NGX_ERROR
        || size < (ssize_t) NGX_UCAN_REVOCATION_SIZE_MIN)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" needs NAME:SIZE with a size from %uzk, "
                           "such as \"revocations:1m\", not \"%V\"",
                           &value[0],
                           (size_t) NGX_UCAN_REVOCATION_SIZE_MIN / 1024,
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    mcf->revocation_zone = ngx_shared_memory_add(cf, &name, size,
                                                 &ngx_http_ucan_module);

    if (mcf->revocation_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    mcf->revocation_zone->init = ngx_ucan_revocation_init;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_ucan_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_ucan_variables; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);

        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ucan_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_ACCESS_PHASE].handlers);

    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_ucan_handler;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ucan_init_process(ngx_cycle_t *cycle)
{
    if (sodium_init() < 0) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "ucan: libsodium cannot be initialized");
        return NGX_ERROR;
    }

    return NGX_OK;
}
