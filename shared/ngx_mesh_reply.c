/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The one place that writes answers of the mesh: status, headers, one
 * buffer.  Runs on the event loop; bodies live in r->pool.
 */


#include "ngx_mesh_compat.h"
#include "ngx_mesh_principal.h"
#include "ngx_mesh_reply.h"


#define NGX_MESH_REPLY_PROBLEM_SIZE  512    /* bytes beside detail, command */


static ngx_int_t ngx_mesh_reply_send(ngx_http_request_t *r,
    ngx_uint_t status, const char *type, bytes_t body);
static ngx_int_t ngx_mesh_reply_private(ngx_http_request_t *r);
static ngx_int_t ngx_mesh_reply_problem_body(ngx_http_request_t *r,
    problem_t problem, bytes_t detail, bytes_t command);
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
    if (problem_status(problem) == NGX_HTTP_UNAUTHORIZED
        && ngx_mesh_reply_challenge(r, UCAN_OK) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_reply_problem_body(r, problem,
                                       detail ? bytes_of(detail)
                                              : bytes_make(NULL, 0),
                                       bytes_make(NULL, 0));
}


static ngx_int_t
ngx_mesh_reply_problem_body(ngx_http_request_t *r, problem_t problem,
    bytes_t detail, bytes_t command)
{
    size_t            size;
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
    size = NGX_MESH_REPLY_PROBLEM_SIZE + 6 * (detail.len + command.len);

    data = ngx_pnalloc(r->pool, size);

    if (data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    bytes_writer_open(&w, data, size);
    problem_write(&w, problem, detail, command);

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
    bytes_t    detail;
    problem_t  problem;

    detail = bytes_of(ucan_verdict_text(verdict));
    problem = ngx_mesh_reply_verdict_problem(verdict, command.len != 0);

    if (problem_status(problem) == NGX_HTTP_UNAUTHORIZED
        && ngx_mesh_reply_challenge(r, verdict) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_reply_problem_body(r, problem, detail, command);
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
    ngx_table_elt_t   *h;
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

    h = r->headers_out.www_authenticate;

    /* a request that was refused, redirected and refused again */

    if (h && h->value.len >= sizeof(realm) - 1
        && ngx_strncmp(h->value.data, realm, sizeof(realm) - 1) == 0)
    {
        h->value = value;
        return NGX_OK;
    }

    return ngx_mesh_reply_header(r, "WWW-Authenticate", &value);
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
