/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The one place that writes answers of the mesh: status, headers, one
 * buffer.  Runs on the event loop; bodies live in r->pool.
 */


#include "json_write.h"
#include "ngx_mesh_compat.h"
#include "ngx_mesh_principal.h"
#include "ngx_mesh_reply.h"


#define NGX_MESH_REPLY_PROBLEM_SIZE  512    /* bytes beside texts */


static ngx_int_t ngx_mesh_reply_send(ngx_http_request_t *r,
    ngx_uint_t status, const char *type, bytes_t body);
static ngx_int_t ngx_mesh_reply_private(ngx_http_request_t *r);
static ngx_int_t ngx_mesh_reply_authenticate(ngx_http_request_t *r,
    ngx_str_t *value);
static ngx_uint_t ngx_mesh_reply_has_header(ngx_http_request_t *r,
    const char *name);


ngx_int_t
ngx_mesh_reply_json(ngx_http_request_t *r, ngx_uint_t status, bytes_t body)
{
    if (ngx_mesh_reply_private(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_reply_send(r, status, "application/json", body);
}


ngx_int_t
ngx_mesh_reply_text(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, bytes_t body)
{
    return ngx_mesh_reply_send(r, status, type, body);
}


ngx_int_t
ngx_mesh_reply_empty(ngx_http_request_t *r, ngx_uint_t status)
{
    if (ngx_mesh_reply_private(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_reply_send(r, status, NULL, bytes_make(NULL, 0));
}


static ngx_int_t
ngx_mesh_reply_send(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, bytes_t body)
{
    ngx_int_t         rc;
    ngx_buf_t        *b;
    ngx_chain_t       out;
    static ngx_str_t  nosniff = ngx_string("nosniff");

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    r->headers_out.status = status;
    r->headers_out.content_length_n = body.len;

    if (type) {
        r->headers_out.content_type.data = (u_char *) type;
        r->headers_out.content_type.len = ngx_strlen(type);
        r->headers_out.content_type_len = r->headers_out.content_type.len;
        r->headers_out.content_type_lowcase = NULL;

        if (ngx_mesh_reply_header(r, "X-Content-Type-Options", &nosniff)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (body.len == 0) {
        r->header_only = 1;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b = ngx_calloc_buf(r->pool);

    if (b == NULL) {
        return NGX_ERROR;
    }

    b->pos = (u_char *) body.data;
    b->last = (u_char *) body.data + body.len;
    b->memory = 1;
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


/* What the API answers is for the caller alone. */

static ngx_int_t
ngx_mesh_reply_private(ngx_http_request_t *r)
{
    static ngx_str_t  no_store = ngx_string("no-store");

    return ngx_mesh_reply_header(r, "Cache-Control", &no_store);
}


ngx_int_t
ngx_mesh_reply_problem(ngx_http_request_t *r, problem_t problem,
    const char *detail)
{
    problem_facts_t  facts;

    if (problem_status(problem) == NGX_HTTP_UNAUTHORIZED
        && ngx_mesh_reply_challenge(r, UCAN_OK) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memzero(&facts, sizeof(problem_facts_t));

    if (detail) {
        facts.detail = bytes_of(detail);
    }

    return ngx_mesh_reply_problem_facts(r, problem, &facts);
}


ngx_int_t
ngx_mesh_reply_problem_facts(ngx_http_request_t *r, problem_t problem,
    const problem_facts_t *facts)
{
    size_t            i, size;
    u_char           *data;
    unsigned          status;
    bytes_writer_t    w;
    static ngx_str_t  one = ngx_string("1");

    status = problem_status(problem);

    if ((status == NGX_HTTP_SERVICE_UNAVAILABLE
         || status == NGX_HTTP_TOO_MANY_REQUESTS)
        && !ngx_mesh_reply_has_header(r, "Retry-After"))
    {
        if (ngx_mesh_reply_header(r, "Retry-After", &one) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (ngx_mesh_reply_private(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* an escaped byte takes at most 6 */
    size = NGX_MESH_REPLY_PROBLEM_SIZE
           + 6 * (facts->detail.len + facts->command.len);

    for (i = 0; i < facts->proof_count; i++) {
        size += json_write_string_max(facts->proofs[i].len) + 1;
    }

    for (i = 0; i < facts->member_count; i++) {
        size += ngx_strlen(facts->members[i].name) + NGX_INT64_LEN
                + json_write_string_max(facts->members[i].text.len) + 4;
    }

    data = ngx_pnalloc(r->pool, size);

    if (data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    bytes_writer_open(&w, data, size);
    problem_write_facts(&w, problem, facts);

    if (w.failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_reply_send(r, status, "application/problem+json",
                               bytes_writer_view(&w));
}


ngx_int_t
ngx_mesh_reply_verdict(ngx_http_request_t *r, ucan_verdict_t verdict,
    bytes_t command)
{
    ngx_mesh_principal_t      *principal;
    ngx_mesh_principal_api_t  *api;

    api = ngx_mesh_principal_api((ngx_cycle_t *) ngx_cycle);

    if (api && command.len != 0) {
        principal = api->get(r);

        if (principal) {
            api->refuse(principal, r->connection->log, verdict, command);
        }
    }

    return ngx_mesh_reply_refusal(r, verdict, command);
}


ngx_int_t
ngx_mesh_reply_refusal(ngx_http_request_t *r, ucan_verdict_t verdict,
    bytes_t command)
{
    problem_t        problem;
    problem_facts_t  facts;

    ngx_memzero(&facts, sizeof(problem_facts_t));

    problem = ngx_mesh_reply_verdict_problem(verdict, command.len != 0);
    facts.detail = bytes_of(ucan_verdict_text(verdict));

    if (problem_status(problem) == NGX_HTTP_UNAUTHORIZED
        && ngx_mesh_reply_challenge(r, verdict) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (problem == PROBLEM_FORBIDDEN) {
        facts.command = command;

        if (ngx_mesh_reply_scope(r, command) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    return ngx_mesh_reply_problem_facts(r, problem, &facts);
}


ngx_int_t
ngx_mesh_reply_missing(ngx_http_request_t *r, const cid_t *list, size_t count)
{
    size_t            i;
    u_char           *p;
    bytes_t          *texts;
    ngx_str_t         now;
    bytes_writer_t    w;
    problem_facts_t   facts;

    texts = ngx_palloc(r->pool, count * sizeof(bytes_t));
    p = ngx_pnalloc(r->pool, count * CID_TEXT_LEN + NGX_INT64_LEN);

    if (texts == NULL || p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    for (i = 0; i < count; i++) {
        bytes_writer_open(&w, p, CID_TEXT_LEN);
        cid_write(&list[i], &w);
        texts[i] = bytes_writer_view(&w);
        p += CID_TEXT_LEN;
    }

    ngx_memzero(&facts, sizeof(problem_facts_t));

    facts.detail = bytes_of(ucan_verdict_text(UCAN_NO_PROOF));
    facts.proofs = texts;
    facts.proof_count = count;

    /* none of what was sent is kept: it has to be sent again */

    now.data = p;
    now.len = ngx_sprintf(p, "%T", ngx_time()) - p;

    if (ngx_mesh_reply_header(r, "ucan-cache-expiry", &now) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_str_set(&r->headers_out.status_line, "510 Not Extended");

    return ngx_mesh_reply_problem_facts(r, PROBLEM_PROOF_MISSING, &facts);
}


problem_t
ngx_mesh_reply_verdict_problem(ucan_verdict_t verdict, ngx_uint_t asked)
{
    switch (verdict) {

    case UCAN_MALFORMED:
    case UCAN_TOO_LARGE:
        return PROBLEM_INVALID_TOKEN;

    case UCAN_NO_MEMORY:
        return PROBLEM_INTERNAL;

    case UCAN_REPLAY_FULL:
        return PROBLEM_BUSY;

    /* the token is void here, whatever it allows */

    case UCAN_REPLAYED:
    case UCAN_WRONG_REQUEST:
        return PROBLEM_UNAUTHENTICATED;

    default:
        return asked ? PROBLEM_FORBIDDEN : PROBLEM_UNAUTHENTICATED;
    }
}


ngx_int_t
ngx_mesh_reply_challenge(ngx_http_request_t *r, ucan_verdict_t verdict)
{
    u_char            *p;
    size_t             size;
    ngx_str_t          value;
    const char        *text;
    static const char  realm[] = "Bearer realm=\"mesh\"";
    static const char  error[] = "Bearer realm=\"mesh\", "
                                 "error=\"invalid_token\", "
                                 "error_description=\"%s\"";

    ngx_str_set(&value, realm);

    if (verdict != UCAN_OK) {
        text = ucan_verdict_text(verdict);
        size = sizeof(error) + ngx_strlen(text);

        p = ngx_pnalloc(r->pool, size);

        if (p == NULL) {
            return NGX_ERROR;
        }

        value.data = p;
        value.len = ngx_snprintf(p, size, error, text) - p;
    }

    return ngx_mesh_reply_authenticate(r, &value);
}


ngx_int_t
ngx_mesh_reply_scope(ngx_http_request_t *r, bytes_t command)
{
    u_char             *p, c;
    size_t              i;
    ngx_str_t           value;
    static const char   scope[] = "Bearer realm=\"mesh\", "
                                  "error=\"insufficient_scope\", scope=\"";

    p = ngx_pnalloc(r->pool, sizeof(scope) + 3 * command.len + 1);

    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    p = ngx_cpymem(p, scope, sizeof(scope) - 1);

    /* what a scope may hold (RFC 6749, 3.3), the rest with escapes */

    for (i = 0; i < command.len; i++) {
        c = command.data[i];

        if (c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '%') {
            *p++ = c;

        } else {
            p = ngx_sprintf(p, "%%%02Xd", (int) c);
        }
    }

    *p++ = '"';
    value.len = p - value.data;

    return ngx_mesh_reply_authenticate(r, &value);
}


static ngx_int_t
ngx_mesh_reply_authenticate(ngx_http_request_t *r, ngx_str_t *value)
{
    ngx_table_elt_t    *h;
    static const char   realm[] = "Bearer realm=\"mesh\"";

    h = r->headers_out.www_authenticate;

    /* a request that was refused, redirected and refused again */

    if (h && h->value.len >= sizeof(realm) - 1
        && ngx_strncmp(h->value.data, realm, sizeof(realm) - 1) == 0)
    {
        h->value = *value;
        h->hash = 1;
        return NGX_OK;
    }

    return ngx_mesh_reply_header(r, "WWW-Authenticate", value);
}


ngx_int_t
ngx_mesh_reply_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);

    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value = *value;
    h->lowcase_key = NULL;
    ngx_mesh_compat_header(h);

    /* satisfy any: nginx takes the challenge back when another access
       module opens the location */

    if (ngx_strcmp(name, "WWW-Authenticate") == 0) {
        r->headers_out.www_authenticate = h;
    }

    return NGX_OK;
}


/* Will a header of that name be sent? */

static ngx_uint_t
ngx_mesh_reply_has_header(ngx_http_request_t *r, const char *name)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    len = ngx_strlen(name);

    for (part = &r->headers_out.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].hash != 0 && h[i].key.len == len
                && ngx_strncasecmp(h[i].key.data, (u_char *) name, len) == 0)
            {
                return 1;
            }
        }
    }

    return 0;
}
