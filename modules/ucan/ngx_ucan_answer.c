/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What a client gets that may not enter: a problem of ours, unless another
 * access module or an error_page has a say.
 */


#include "ngx_mesh_reply.h"
#include "ngx_ucan_answer.h"
#include "ngx_ucan_metric.h"


static ngx_int_t ngx_ucan_answer_foreign(ngx_http_request_t *r,
    ngx_ucan_request_t *ctx);
static ngx_int_t ngx_ucan_answer_leave(ngx_http_request_t *r,
    problem_t problem, ucan_verdict_t verdict, bytes_t command);
static ngx_uint_t ngx_ucan_answer_is_nginx(ngx_http_request_t *r,
    ngx_uint_t status);
static ngx_int_t ngx_ucan_answer_finalize(ngx_http_request_t *r,
    ngx_ucan_request_t *ctx, ngx_int_t rc);


/* Nobody is there yet: not worth more than an [info] line, as in
   auth_basic. */

ngx_int_t
ngx_ucan_answer_challenge(ngx_http_request_t *r, ngx_ucan_request_t *ctx)
{
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "ucan: refused: no token was presented");

    ngx_ucan_metric_add(NGX_UCAN_METRIC_ABSENT, 1);

    if (ngx_mesh_reply_challenge(r, UCAN_OK) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_ucan_answer_is_nginx(r, NGX_HTTP_UNAUTHORIZED)) {
        return NGX_HTTP_UNAUTHORIZED;
    }

    return ngx_ucan_answer_finalize(r, ctx,
               ngx_mesh_reply_problem(r, PROBLEM_UNAUTHENTICATED,
                   "send a token: Authorization: Bearer <token>"));
}


ngx_int_t
ngx_ucan_answer_refusal(ngx_http_request_t *r, ngx_ucan_request_t *ctx,
    ucan_verdict_t verdict, bytes_t command)
{
    cid_t       missing[UCAN_TOKEN_PROOFS_MAX];
    size_t      count;
    problem_t   problem;

    if (ctx->foreign) {
        return ngx_ucan_answer_foreign(r, ctx);
    }

    ctx->error = ucan_verdict_slug(verdict);
    ngx_ucan_metric_outcome(verdict);

    if (!ctx->logged) {
        ngx_ucan_verify_log(&ctx->refusal, r->connection->log, command);
        ctx->logged = 1;
    }

    problem = ngx_mesh_reply_verdict_problem(verdict, command.len != 0);

    if (problem == PROBLEM_INTERNAL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    count = 0;

    if (verdict == UCAN_NO_PROOF && ctx->open.session) {
        count = ucan_chain_missing(&ctx->open.session->bundle, missing,
                                   UCAN_TOKEN_PROOFS_MAX);
        problem = count ? PROBLEM_PROOF_MISSING : problem;
    }

    if (ngx_ucan_answer_is_nginx(r, problem_status(problem))) {
        return ngx_ucan_answer_leave(r, problem, verdict, command);
    }

    return ngx_ucan_answer_finalize(r, ctx,
               count ? ngx_mesh_reply_missing(r, missing, count)
                     : ngx_mesh_reply_refusal(r, verdict, command));
}


/* The page of another site had the browser send our cookie. */

static ngx_int_t
ngx_ucan_answer_foreign(ngx_http_request_t *r, ngx_ucan_request_t *ctx)
{
    ngx_ucan_metric_add(NGX_UCAN_METRIC_WRONG_ORIGIN, 1);

    if (!ctx->logged) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "ucan: refused: wrong-origin (a cookie counts only "
                      "with an Origin of this host)");
        ctx->logged = 1;
    }

    if (ngx_ucan_answer_is_nginx(r, NGX_HTTP_FORBIDDEN)) {
        return NGX_HTTP_FORBIDDEN;
    }

    return ngx_ucan_answer_finalize(r, ctx,
               ngx_mesh_reply_problem(r, PROBLEM_WRONG_ORIGIN,
                   "a cookie counts only with an Origin of this host"));
}


/* The status for nginx, with the challenge that belongs to it.  Other access
   modules are only asked after 401 and 403. */

static ngx_int_t
ngx_ucan_answer_leave(ngx_http_request_t *r, problem_t problem,
    ucan_verdict_t verdict, bytes_t command)
{
    ngx_int_t                  rc;
    ngx_uint_t                 status;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    status = problem_status(problem);

    if (clcf->satisfy == NGX_HTTP_SATISFY_ANY
        && status != NGX_HTTP_FORBIDDEN
        && status != NGX_HTTP_SERVICE_UNAVAILABLE)
    {
        status = NGX_HTTP_UNAUTHORIZED;
    }

    rc = NGX_OK;

    if (status == NGX_HTTP_UNAUTHORIZED) {
        rc = ngx_mesh_reply_challenge(r, verdict);

    } else if (status == NGX_HTTP_FORBIDDEN) {
        rc = ngx_mesh_reply_scope(r, command);
    }

    return (rc == NGX_OK) ? (ngx_int_t) status
                          : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


/* Under "satisfy any" somebody else may still open the location; and an
   operator's error_page is the operator's answer. */

static ngx_uint_t
ngx_ucan_answer_is_nginx(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_uint_t                 i;
    ngx_http_err_page_t       *page;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->satisfy == NGX_HTTP_SATISFY_ANY) {
        return 1;
    }

    if (clcf->error_pages == NULL || r->error_page || r->uri_changes == 0) {
        return 0;
    }

    page = clcf->error_pages->elts;

    for (i = 0; i < clcf->error_pages->nelts; i++) {
        if (page[i].status == (ngx_int_t) status) {
            return 1;
        }
    }

    return 0;
}


/* Finalizes in the handler's place, since a code returned to the access
   phase would become nginx's own page.  r may be gone afterwards. */

static ngx_int_t
ngx_ucan_answer_finalize(ngx_http_request_t *r, ngx_ucan_request_t *ctx,
    ngx_int_t rc)
{
    ctx->answered = 1;

    ngx_http_finalize_request(r, rc);

    return NGX_DONE;
}
