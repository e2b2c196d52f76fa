/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The nginx side of the chain walk: memory from a pool, the time of the
 * event loop, revocations from the zone, and one log line for each refusal.
 *
 * Runs inline on the event loop.  What one request can cost is bounded by
 * the limits of ucan_trust_t: a signature check for each token at most.
 */


#include "ngx_ucan_conf.h"
#include "ngx_ucan_revocation.h"
#include "ngx_ucan_verify.h"


#define NGX_UCAN_VERIFY_ISSUER_MAX  128    /* characters in a log line */


/* What stands behind a principal; in the same pool, freed with it. */
typedef struct {
    ngx_mesh_principal_t   principal;     /* first: cast back from it */
    ucan_bundle_t          bundle;
    ucan_chain_t           chain;
    ngx_uint_t             generation;    /* of revocations at the last walk */
} ngx_ucan_verify_t;


static ucan_verdict_t ngx_ucan_verify_walk(ngx_ucan_verify_t *v,
    ngx_pool_t *pool, const ucan_trust_t *trust, const bytes_t text[2]);
static ngx_int_t ngx_ucan_verify_publish(ngx_ucan_verify_t *v,
    ngx_pool_t *pool);
static ngx_uint_t ngx_ucan_verify_generation(const ucan_trust_t *trust);
static void *ngx_ucan_verify_alloc(void *data, size_t size);
static ngx_str_t ngx_ucan_verify_str(bytes_t b);
static u_char *ngx_ucan_verify_printable(u_char *p, bytes_t text);


ucan_verdict_t
ngx_ucan_verify_open(ngx_mesh_principal_t **p, ngx_pool_t *pool,
    const ucan_trust_t *trust, const bytes_t text[2],
    ngx_ucan_refusal_t *refusal)
{
    ucan_verdict_t      rc;
    ngx_ucan_verify_t  *v;

    *p = NULL;

    ngx_memzero(refusal, sizeof(ngx_ucan_refusal_t));
    refusal->verdict = UCAN_NO_MEMORY;

    v = ngx_pcalloc(pool, sizeof(ngx_ucan_verify_t));

    if (v == NULL) {
        return UCAN_NO_MEMORY;
    }

    rc = ngx_ucan_verify_walk(v, pool, trust, text);

    if (rc == UCAN_OK && ngx_ucan_verify_publish(v, pool) != NGX_OK) {
        rc = UCAN_NO_MEMORY;
    }

    refusal->verdict = rc;

    if (rc == UCAN_OK) {
        *p = &v->principal;
        return UCAN_OK;
    }

    if (v->bundle.top) {
        refusal->issuer = v->bundle.top->iss;
        refusal->cid = v->bundle.top->cid;
        refusal->has_cid = 1;
    }

    if (v->chain.has_failed) {
        refusal->cid = v->chain.failed;
        refusal->has_cid = 1;
    }

    return rc;
}


static ucan_verdict_t
ngx_ucan_verify_walk(ngx_ucan_verify_t *v, ngx_pool_t *pool,
    const ucan_trust_t *trust, const bytes_t text[2])
{
    ucan_memory_t   memory;
    ucan_verdict_t  rc;

    memory.alloc = ngx_ucan_verify_alloc;
    memory.data = pool;

    rc = ucan_bundle_parse(&v->bundle, text[0], text[1], &trust->limits,
                           &memory);

    if (rc != UCAN_OK) {
        return rc;
    }

    /* read first: what is revoked during the walk shows at the next one */
    v->generation = ngx_ucan_verify_generation(trust);

    return ucan_chain_open(&v->chain, &v->bundle, trust, ngx_time());
}


static ngx_int_t
ngx_ucan_verify_publish(ngx_ucan_verify_t *v, ngx_pool_t *pool)
{
    bytes_writer_t         w;
    ngx_mesh_principal_t  *p;

    p = &v->principal;

    p->cid.data = ngx_pnalloc(pool, CID_TEXT_LEN);

    if (p->cid.data == NULL) {
        return NGX_ERROR;
    }

    bytes_writer_open(&w, p->cid.data, CID_TEXT_LEN);
    cid_write(&v->chain.cid, &w);
    p->cid.len = bytes_writer_view(&w).len;

    p->did = ngx_ucan_verify_str(v->chain.issuer);
    p->root = ngx_ucan_verify_str(v->chain.root);
    p->expires = (time_t) v->chain.expires;
    p->depth = v->chain.depth;
    p->invocation = (v->chain.kind == UCAN_CHAIN_INVOCATION);
    p->chain = &v->chain;

    return NGX_OK;
}


ucan_verdict_t
ngx_ucan_verify_allow(ngx_mesh_principal_t *p, const ucan_request_t *request)
{
    return ucan_chain_allow(p->chain, request, ngx_time());
}


ucan_verdict_t
ngx_ucan_verify_require(ngx_mesh_principal_t *p,
    const ucan_request_t *request)
{
    return ucan_chain_require(p->chain, request, NULL, ngx_time());
}


ucan_verdict_t
ngx_ucan_verify_alive(ngx_mesh_principal_t *p)
{
    ngx_uint_t          generation;
    ucan_verdict_t      rc;
    ngx_ucan_verify_t  *v;

    v = (ngx_ucan_verify_t *) p;
    generation = ngx_ucan_verify_generation(v->chain.trust);

    if (ngx_time() <= p->expires && generation == v->generation) {
        return UCAN_OK;
    }

    rc = ucan_chain_alive(&v->chain, ngx_time());

    if (rc == UCAN_OK) {
        v->generation = generation;
    }

    return rc;
}


void
ngx_ucan_verify_refuse(ngx_mesh_principal_t *p, ngx_log_t *log,
    ucan_verdict_t verdict, bytes_t command)
{
    ngx_ucan_refusal_t  refusal;

    refusal.verdict = verdict;
    refusal.issuer = p->chain->issuer;
    refusal.cid = p->chain->has_failed ? p->chain->failed : p->chain->cid;
    refusal.has_cid = 1;

    ngx_ucan_verify_log(&refusal, log, command);
}


void
ngx_ucan_verify_log(const ngx_ucan_refusal_t *refusal, ngx_log_t *log,
    bytes_t command)
{
    u_char          cid[CID_TEXT_LEN], issuer[NGX_UCAN_VERIFY_ISSUER_MAX],
                    asked[NGX_UCAN_VERIFY_ISSUER_MAX];
    size_t          cid_len, issuer_len, asked_len;
    bytes_writer_t  w;

    cid_len = 0;

    if (refusal->has_cid) {
        bytes_writer_open(&w, cid, CID_TEXT_LEN);
        cid_write(&refusal->cid, &w);
        cid_len = bytes_writer_view(&w).len;
    }

    issuer_len = ngx_ucan_verify_printable(issuer, refusal->issuer) - issuer;
    asked_len = ngx_ucan_verify_printable(asked, command) - asked;

    ngx_log_error(NGX_LOG_ERR, log, 0,
                  "ucan: refused%s%*s%s: %s (%s), token \"%*s\", "
                  "issuer \"%*s\"",
                  asked_len ? " \"" : "", asked_len, asked,
                  asked_len ? "\"" : "",
                  ucan_verdict_slug(refusal->verdict),
                  ucan_verdict_text(refusal->verdict),
                  cid_len, cid, issuer_len, issuer);
}


/* Texts from outside: no byte of them may start a new line in the log. */

static u_char *
ngx_ucan_verify_printable(u_char *p, bytes_t text)
{
    size_t  i, n;

    n = ngx_min(text.len, NGX_UCAN_VERIFY_ISSUER_MAX);

    for (i = 0; i < n; i++) {
        *p++ = (text.data[i] > ' ' && text.data[i] < 0x7f) ? text.data[i]
                                                           : '?';
    }

    return p;
}


static ngx_uint_t
ngx_ucan_verify_generation(const ucan_trust_t *trust)
{
    ngx_ucan_main_conf_t  *mcf;

    mcf = trust->data;

    return mcf->revocation_zone
           ? ngx_ucan_revocation_generation(mcf->revocation_zone) : 0;
}


static void *
ngx_ucan_verify_alloc(void *data, size_t size)
{
    return ngx_palloc(data, size);
}


static ngx_str_t
ngx_ucan_verify_str(bytes_t b)
{
    ngx_str_t  s;

    s.data = (u_char *) b.data;
    s.len = b.len;

    return s;
}
