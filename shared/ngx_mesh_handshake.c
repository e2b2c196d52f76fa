/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The WebSocket handshake, for every module that opens one.  Runs in content
 * handlers; what the connection does after the 101 is the module's.
 */


#include "base64.h"
#include "ngx_mesh_handshake.h"
#include "ngx_mesh_reply.h"
#include "ws_frame.h"


#define NGX_MESH_HANDSHAKE_KEY       16      /* bytes, 4.1 */
#define NGX_MESH_HANDSHAKE_ACCEPT    28      /* characters */
#define NGX_MESH_HANDSHAKE_PROTOCOL  "mesh.v1"
#define NGX_MESH_HANDSHAKE_BEARER    "bearer."


static void ngx_mesh_handshake_read(ngx_http_request_t *r,
    ngx_mesh_handshake_t *handshake);
static void ngx_mesh_handshake_read_protocols(
    ngx_mesh_handshake_t *handshake, ngx_str_t *value);
static void ngx_mesh_handshake_read_token(ngx_mesh_handshake_t *handshake,
    ngx_str_t *value);
static void ngx_mesh_handshake_once(ngx_mesh_handshake_t *handshake,
    ngx_str_t *field, ngx_str_t *value);
static ngx_uint_t ngx_mesh_handshake_next(ngx_str_t *list,
    ngx_str_t *token);
static ngx_uint_t ngx_mesh_handshake_has(ngx_str_t *list,
    const char *token);
static ngx_uint_t ngx_mesh_handshake_named(ngx_table_elt_t *h,
    const char *name);
static ngx_uint_t ngx_mesh_handshake_key_valid(ngx_str_t *key);
static ngx_int_t ngx_mesh_handshake_require(ngx_http_request_t *r,
    ngx_uint_t upgrade);


ngx_uint_t
ngx_mesh_handshake_asked(ngx_http_request_t *r)
{
    return r->headers_in.upgrade != NULL
           && ngx_mesh_handshake_has(&r->headers_in.upgrade->value,
                                     "websocket");
}


ngx_int_t
ngx_mesh_handshake_parse(ngx_http_request_t *r,
    ngx_mesh_handshake_t *handshake, ngx_int_t *rc)
{
    ngx_mesh_handshake_read(r, handshake);

    if (r->http_version != NGX_HTTP_VERSION_11
        || !handshake->upgrade || !handshake->connection)
    {
        *rc = ngx_mesh_handshake_require(r, 1);
        return NGX_DECLINED;
    }

    if (handshake->version.len != 2
        || ngx_strncmp(handshake->version.data, "13", 2) != 0)
    {
        *rc = ngx_mesh_handshake_require(r, 0);
        return NGX_DECLINED;
    }

    if (handshake->twice || !ngx_mesh_handshake_key_valid(&handshake->key)) {
        *rc = ngx_mesh_reply_problem(r, PROBLEM_BAD_REQUEST,
                         "Sec-WebSocket-Key must be 16 bytes in base64");
        return NGX_DECLINED;
    }

    if (r->headers_in.content_length_n > 0 || r->headers_in.chunked) {
        *rc = ngx_mesh_reply_problem(r, PROBLEM_BAD_REQUEST,
                                     "a handshake has no body");
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static void
ngx_mesh_handshake_read(ngx_http_request_t *r,
    ngx_mesh_handshake_t *handshake)
{
    ngx_uint_t        i;
    ngx_str_t        *value;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    ngx_memzero(handshake, sizeof(ngx_mesh_handshake_t));

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            value = &h[i].value;

            if (ngx_mesh_handshake_named(&h[i], "upgrade")) {
                handshake->upgrade |= ngx_mesh_handshake_has(value,
                                                            "websocket");

            } else if (ngx_mesh_handshake_named(&h[i], "connection")) {
                handshake->connection |= ngx_mesh_handshake_has(value,
                                                               "upgrade");

            } else if (ngx_mesh_handshake_named(&h[i],
                                                  "sec-websocket-version"))
            {
                ngx_mesh_handshake_once(handshake, &handshake->version, value);

            } else if (ngx_mesh_handshake_named(&h[i],
                                                  "sec-websocket-key"))
            {
                ngx_mesh_handshake_once(handshake, &handshake->key, value);

            } else if (ngx_mesh_handshake_named(&h[i],
                                                  "sec-websocket-protocol"))
            {
                ngx_mesh_handshake_read_protocols(handshake, value);

            } else if (ngx_mesh_handshake_named(&h[i], "authorization")) {
                ngx_mesh_handshake_read_token(handshake, value);

            } else if (ngx_mesh_handshake_named(&h[i], "ucans")) {
                handshake->proofs = *value;
            }
        }
    }
}


static void
ngx_mesh_handshake_read_protocols(ngx_mesh_handshake_t *handshake,
    ngx_str_t *value)
{
    size_t     len;
    ngx_str_t  list, token;

    list = *value;
    len = sizeof(NGX_MESH_HANDSHAKE_BEARER) - 1;

    while (ngx_mesh_handshake_next(&list, &token)) {

        if (token.len == sizeof(NGX_MESH_HANDSHAKE_PROTOCOL) - 1
            && ngx_strncmp(token.data, NGX_MESH_HANDSHAKE_PROTOCOL,
                           token.len)
               == 0)
        {
            handshake->protocol = 1;

        } else if (token.len > len
                   && ngx_strncmp(token.data, NGX_MESH_HANDSHAKE_BEARER,
                                  len)
                      == 0)
        {
            handshake->bearer.data = token.data + len;
            handshake->bearer.len = token.len - len;
        }
    }
}


/* The access phase has checked it; this only finds the text again. */
static void
ngx_mesh_handshake_read_token(ngx_mesh_handshake_t *handshake,
    ngx_str_t *value)
{
    u_char  *p, *end;

    p = value->data;
    end = p + value->len;

    if (value->len < sizeof("Bearer ")
        || ngx_strncasecmp(p, (u_char *) "Bearer ", sizeof("Bearer ") - 1)
           != 0)
    {
        return;
    }

    p += sizeof("Bearer ") - 1;

    while (p < end && *p == ' ') {
        p++;
    }

    while (end > p && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }

    handshake->authorization.data = p;
    handshake->authorization.len = end - p;
}


static void
ngx_mesh_handshake_once(ngx_mesh_handshake_t *handshake, ngx_str_t *field,
    ngx_str_t *value)
{
    if (field->data != NULL) {
        handshake->twice = 1;
    }

    *field = *value;
}


/* The next token of a list with commas; list is what follows. */
static ngx_uint_t
ngx_mesh_handshake_next(ngx_str_t *list, ngx_str_t *token)
{
    u_char  *p, *end;

    p = list->data;
    end = p + list->len;

    while (p < end && (*p == ' ' || *p == '\t' || *p == ',')) {
        p++;
    }

    token->data = p;

    while (p < end && *p != ',') {
        p++;
    }

    list->data = p;
    list->len = end - p;

    while (p > token->data && (p[-1] == ' ' || p[-1] == '\t')) {
        p--;
    }

    token->len = p - token->data;

    return token->len != 0;
}


static ngx_uint_t
ngx_mesh_handshake_has(ngx_str_t *list, const char *token)
{
    size_t     len;
    ngx_str_t  rest, found;

    rest = *list;
    len = ngx_strlen(token);

    while (ngx_mesh_handshake_next(&rest, &found)) {

        if (found.len == len
            && ngx_strncasecmp(found.data, (u_char *) token, len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_mesh_handshake_named(ngx_table_elt_t *h, const char *name)
{
    size_t  len;

    len = ngx_strlen(name);

    return h->key.len == len
           && ngx_strncasecmp(h->key.data, (u_char *) name, len) == 0;
}


static ngx_uint_t
ngx_mesh_handshake_key_valid(ngx_str_t *key)
{
    uint8_t         buf[NGX_MESH_HANDSHAKE_KEY + 4];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));

    return base64_decode(BASE64_STD, bytes_make(key->data, key->len), &w) == 0
           && bytes_writer_view(&w).len == NGX_MESH_HANDSHAKE_KEY;
}


/* 426: what is asked for here is a WebSocket of version 13 (4.4). */
static ngx_int_t
ngx_mesh_handshake_require(ngx_http_request_t *r, ngx_uint_t upgrade)
{
    ngx_str_t  websocket = ngx_string("websocket");
    ngx_str_t  version = ngx_string("13");

    /* HTTP/2 knows no Upgrade header */

    if ((r->http_version <= NGX_HTTP_VERSION_11
         && ngx_mesh_reply_header(r, "Upgrade", &websocket) != NGX_OK)
        || ngx_mesh_reply_header(r, "Sec-WebSocket-Version", &version)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_reply_problem(r, PROBLEM_UPGRADE_REQUIRED,
                     upgrade ? "this is a WebSocket: upgrade over HTTP/1.1"
                             : "WebSocket version 13 is spoken here");
}


ngx_int_t
ngx_mesh_handshake_prepare(ngx_http_request_t *r,
    const ngx_mesh_handshake_t *handshake)
{
    u_char          *p;
    ngx_str_t        accept;
    ngx_str_t        websocket = ngx_string("websocket");
    ngx_str_t        protocol = ngx_string(NGX_MESH_HANDSHAKE_PROTOCOL);
    bytes_writer_t   w;

    p = ngx_pnalloc(r->pool, NGX_MESH_HANDSHAKE_ACCEPT);
    if (p == NULL) {
        return NGX_ERROR;
    }

    bytes_writer_open(&w, p, NGX_MESH_HANDSHAKE_ACCEPT);
    ws_frame_accept(&w, bytes_make(handshake->key.data, handshake->key.len));

    accept.data = p;
    accept.len = NGX_MESH_HANDSHAKE_ACCEPT;

    if (w.failed
        || ngx_mesh_reply_header(r, "Upgrade", &websocket) != NGX_OK
        || ngx_mesh_reply_header(r, "Sec-WebSocket-Accept", &accept)
           != NGX_OK
        || (handshake->protocol
            && ngx_mesh_reply_header(r, "Sec-WebSocket-Protocol", &protocol)
               != NGX_OK))
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_mesh_handshake_send(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    r->keepalive = 0;
    r->headers_out.status = NGX_HTTP_SWITCHING_PROTOCOLS;
    ngx_str_set(&r->headers_out.status_line, "101 Switching Protocols");

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_send_special(r, NGX_HTTP_FLUSH) == NGX_ERROR) {
        return NGX_ERROR;
    }

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    return NGX_OK;
}
