/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Authentication of a request, remembered in its pool, so that internal
 * redirects, subrequests and the log phase find it again.
 */


#include "ngx_ucan_request.h"
#include "ngx_ucan_source.h"


static ngx_ucan_request_t *ngx_ucan_request_create(ngx_http_request_t *r);
static void ngx_ucan_request_cleanup(void *data);


ngx_ucan_request_t *
ngx_ucan_request_authenticate(ngx_http_request_t *r,
    const ucan_trust_t *trust)
{
    bytes_t               text[2];
    ngx_int_t             rc;
    ngx_ucan_source_t     source;
    ngx_ucan_request_t   *ctx;

    ctx = ngx_ucan_request_find(r);

    if (ctx == NULL) {
        ctx = ngx_ucan_request_create(r);

        if (ctx == NULL) {
            return NULL;
        }
    }

    /* after an internal redirect the first look may be long ago */

    if (ctx->trust == trust
        && (ctx->principal == NULL
            || ngx_ucan_verify_alive(ctx->principal) == UCAN_OK))
    {
        return ctx;
    }

    ngx_memzero(ctx, sizeof(ngx_ucan_request_t));
    ctx->trust = trust;

    rc = ngx_ucan_source_find(r, &source);

    if (rc == NGX_DECLINED) {
        ctx->error = "token-absent";
        return ctx;
    }

    ctx->presented = 1;

    if (rc == NGX_ERROR) {
        ctx->refusal.verdict = UCAN_MALFORMED;

    } else {
        text[0] = source.token;
        text[1] = source.proofs;

        (void) ngx_ucan_verify_open(&ctx->principal, r->pool, trust, text,
                                    &ctx->refusal);
    }

    if (ctx->refusal.verdict != UCAN_OK) {
        ctx->error = ucan_verdict_slug(ctx->refusal.verdict);
    }

    return ctx;
}


static ngx_ucan_request_t *
ngx_ucan_request_create(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_ucan_request_t));

    if (cln == NULL) {
        return NULL;
    }

    ngx_memzero(cln->data, sizeof(ngx_ucan_request_t));
    cln->handler = ngx_ucan_request_cleanup;

    return cln->data;
}


/* Not in r->ctx, which internal redirects clear. */

ngx_ucan_request_t *
ngx_ucan_request_find(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->main->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_ucan_request_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


static void
ngx_ucan_request_cleanup(void *data)
{
    /* only marks the entry that ngx_ucan_request_find() looks for */
    (void) data;
}
