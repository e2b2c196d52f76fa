/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What a principal may do, on the event loop of a worker.
 *
 * The chain is shared by all who present the same token; so the facts of the
 * request are put into it for one question and taken out again.
 */


#include "ngx_ucan_verify.h"


#define NGX_UCAN_VERIFY_ISSUER_MAX  128    /* characters in a log line */


static u_char *ngx_ucan_verify_printable(u_char *p, bytes_t text);


ucan_verdict_t
ngx_ucan_verify_allow(ngx_mesh_principal_t *p, const ucan_request_t *request)
{
    ucan_verdict_t  rc;

    p->chain->http = p->http;

    rc = ucan_chain_allow(p->chain, request, ngx_time());

    p->chain->http = NULL;

    return rc;
}


ucan_verdict_t
ngx_ucan_verify_require(ngx_mesh_principal_t *p,
    const ucan_request_t *request, const ucan_resource_t *resource)
{
    ucan_verdict_t  rc;

    p->chain->http = p->http;

    rc = ucan_chain_require(p->chain, request, resource, ngx_time());

    p->chain->http = NULL;

    return rc;
}


ucan_verdict_t
ngx_ucan_verify_alive(ngx_mesh_principal_t *p)
{
    return ngx_ucan_session_alive(ngx_ucan_session_of(p->chain));
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
