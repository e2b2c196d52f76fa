/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * UCAN in nginx's access phase: directives and the handler.
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
#include "ngx_mesh_reply.h"
#include "ngx_ucan_answer.h"
#include "ngx_ucan_conf.h"
#include "ngx_ucan_forward.h"
#include "ngx_ucan_once.h"
#include "ngx_ucan_proofs.h"
#include "ngx_ucan_redact.h"
#include "ngx_ucan_request.h"
#include "ngx_ucan_require.h"
#include "ngx_ucan_revocation.h"
#include "ngx_ucan_source.h"
#include "ngx_ucan_variable.h"
#include "ngx_ucan_verify.h"

#include <sodium.h>


static ngx_int_t ngx_http_ucan_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_ucan_judge(ngx_http_request_t *r,
    ngx_ucan_request_t *ctx);
static ngx_int_t ngx_http_ucan_busy(ngx_http_request_t *r,
    ngx_ucan_request_t *ctx);

static ngx_int_t ngx_http_ucan_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_ucan_init_process(ngx_cycle_t *cycle);
static void ngx_http_ucan_exit_process(ngx_cycle_t *cycle);


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

static ngx_mesh_conf_number_t  ngx_http_ucan_inline = {
    NGX_MESH_CONF_COUNT, 0, 8 * UCAN_TOKEN_COUNT_MAX, "a number from 0 to 512"
};


static ngx_command_t  ngx_http_ucan_commands[] = {

    { ngx_string("ucan"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF
                        |NGX_HTTP_LMT_CONF|NGX_CONF_TAKE1,
      ngx_ucan_conf_enable_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_ucan_loc_conf_t, enable),
      NULL },

    { ngx_string("ucan_audience"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF
                        |NGX_CONF_1MORE,
      ngx_mesh_conf_did_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_ucan_loc_conf_t, audiences),
      NULL },

    { ngx_string("ucan_trust"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF
                        |NGX_CONF_1MORE,
      ngx_mesh_conf_did_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_ucan_loc_conf_t, anchors),
      NULL },

    { ngx_string("ucan_require"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF
                        |NGX_HTTP_LMT_CONF|NGX_CONF_1MORE,
      ngx_ucan_require_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_ucan_loc_conf_t, requirements),
      NULL },

    { ngx_string("ucan_require_mode"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF
                        |NGX_HTTP_LMT_CONF|NGX_CONF_TAKE1,
      ngx_ucan_edge_mode_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_ucan_loc_conf_t, edge.mode),
      NULL },

    { ngx_string("ucan_resource"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF
                        |NGX_HTTP_LMT_CONF|NGX_CONF_1MORE,
      ngx_ucan_require_resource_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_ucan_loc_conf_t, edge.resource),
      NULL },

    { ngx_string("ucan_source"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF
                        |NGX_CONF_1MORE,
      ngx_ucan_source_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_ucan_loc_conf_t, edge.sources),
      NULL },

    { ngx_string("ucan_bind"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF
                        |NGX_HTTP_LMT_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_ucan_loc_conf_t, edge.bind),
      NULL },

    { ngx_string("ucan_forward"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_ucan_loc_conf_t, edge.forward),
      NULL },

    { ngx_string("ucan_tokens"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_ucan_edge_tokens_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_ucan_loc_conf_t, edge.tokens),
      NULL },

    { ngx_string("ucan_leeway"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_ucan_loc_conf_t, leeway),
      &ngx_http_ucan_leeway },

    { ngx_string("ucan_session_max"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_ucan_loc_conf_t, session_max),
      &ngx_http_ucan_session_max },

    { ngx_string("ucan_token_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_ucan_loc_conf_t, token_size),
      &ngx_http_ucan_token_size },

    { ngx_string("ucan_token_count"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_ucan_loc_conf_t, token_count),
      &ngx_http_ucan_token_count },

    { ngx_string("ucan_depth"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_ucan_loc_conf_t, depth),
      &ngx_http_ucan_depth },

    { ngx_string("ucan_inflated_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_ucan_loc_conf_t, inflated_size),
      &ngx_http_ucan_inflated_size },

    { ngx_string("ucan_replay"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_ucan_once_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_ucan_loc_conf_t, replay),
      NULL },

    { ngx_string("ucan_replay_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_ucan_conf_replay_zone_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ucan_cache"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_ucan_loc_conf_t, cache),
      NULL },

    { ngx_string("ucan_cache_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE123,
      ngx_ucan_conf_cache_zone_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ucan_inline"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_ucan_loc_conf_t, inline_max),
      &ngx_http_ucan_inline },

    { ngx_string("ucan_thread_pool"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_ucan_conf_thread_pool_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ucan_revocation_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_ucan_conf_revocation_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ucan_proofs"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_ucan_proofs_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_ucan_loc_conf_t, proofs),
      NULL },

    { ngx_string("ucan_revocation_file"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_ucan_revocation_file_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ucan_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_ucan_metric_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_ucan_module_ctx = {
    ngx_ucan_variable_add,           /* preconfiguration */
    ngx_http_ucan_init,                    /* postconfiguration */

    ngx_ucan_conf_create_main,        /* create main configuration */
    NULL,                                  /* init main configuration */

    ngx_ucan_query_create_srv,             /* create server configuration */
    ngx_ucan_query_merge_srv,              /* merge server configuration */

    ngx_ucan_conf_create_loc,         /* create location configuration */
    ngx_ucan_conf_merge_loc           /* merge location configuration */
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
    ngx_http_ucan_exit_process,            /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* NGX_OK opens the location under "satisfy any", so whoever needs no token
   is declined, not passed. */

static ngx_int_t
ngx_http_ucan_handler(ngx_http_request_t *r)
{
    ngx_ucan_request_t   *ctx;
    ngx_ucan_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_ucan_module);

    if (lcf->enable == NGX_UCAN_CONF_OFF) {
        return NGX_DECLINED;
    }

    ctx = ngx_ucan_request_open(r);

    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* called again when it is known, or by a stray event before */

    if (ctx->waiting) {
        return NGX_AGAIN;
    }

    if (ctx->answered) {
        return NGX_DONE;
    }

    if (!ctx->presented) {

        if (lcf->enable == NGX_UCAN_CONF_OPTIONAL) {
            return NGX_DECLINED;
        }

        return ngx_ucan_answer_challenge(r, ctx);
    }

    if (ctx->busy) {
        return ngx_http_ucan_busy(r, ctx);
    }

    return ngx_http_ucan_judge(r, ctx);
}


static ngx_int_t
ngx_http_ucan_judge(ngx_http_request_t *r, ngx_ucan_request_t *ctx)
{
    bytes_t               command;
    ucan_verdict_t        rc;
    ngx_ucan_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_ucan_module);
    command = bytes_make(NULL, 0);

    if (ctx->principal == NULL) {
        return ngx_ucan_answer_refusal(r, ctx, ctx->refusal.verdict, command);
    }

    rc = ngx_ucan_require_match(r, lcf->requirements, ctx->principal,
                                &command);

    if (rc == UCAN_OK) {

        switch (ngx_ucan_once_use(r, ctx, &rc)) {

        case NGX_AGAIN:
            return NGX_AGAIN;

        case NGX_BUSY:
            return ngx_http_ucan_busy(r, ctx);

        default: /* NGX_OK */
            break;
        }
    }

    if (rc == UCAN_OK) {
        ngx_ucan_metric_outcome(UCAN_OK);
        return NGX_OK;
    }

    ngx_ucan_verify_refuse(ctx->principal, r->connection->log, rc, command);
    ctx->logged = 1;

    return ngx_ucan_answer_refusal(r, ctx, rc, command);
}


/* Neither yes nor no: the queue of the thread pool is full, or the store
   cannot say. */

static ngx_int_t
ngx_http_ucan_busy(ngx_http_request_t *r, ngx_ucan_request_t *ctx)
{
    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "ucan: busy: the queue of the thread pool is full, or the "
                  "store cannot be asked");

    ngx_ucan_metric_add(NGX_UCAN_METRIC_BUSY, 1);
    ctx->answered = 1;

    ngx_http_finalize_request(r,
        ngx_mesh_reply_problem(r, PROBLEM_BUSY,
                               "too many tokens are being checked"));

    return NGX_DONE;
}


static ngx_int_t
ngx_http_ucan_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_ucan_main_conf_t       *mcf;
    ngx_http_core_main_conf_t  *cmcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ucan_module);

    if (ngx_ucan_conf_init(cf) != NGX_OK
        || ngx_ucan_metric_init(cf, &mcf->metric) != NGX_OK
        || ngx_ucan_query_init(cf) != NGX_OK
        || ngx_ucan_forward_init(cf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_ucan_proofs_init(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (mcf->revocation_zone) {
        mcf->revocation_zone->data = mcf->revocation_file;
    }

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
    ngx_ucan_main_conf_t  *mcf;

    if (sodium_init() < 0) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "ucan: libsodium cannot be initialized");
        return NGX_ERROR;
    }

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_ucan_module);

    if (mcf) {
        ngx_ucan_metric_open(cycle, &mcf->metric);
        ngx_ucan_redact_open(cycle);
    }

    if (mcf && mcf->revocation_zone) {
        ngx_ucan_revocation_file_watch(cycle, mcf->revocation_zone,
                                       mcf->revocation_file);
    }

    return ngx_ucan_conf_init_process(cycle);
}


static void
ngx_http_ucan_exit_process(ngx_cycle_t *cycle)
{
    ngx_ucan_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_ucan_module);

    if (mcf) {
        ngx_ucan_metric_close(&mcf->metric);
    }
}
