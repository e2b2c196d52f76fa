/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The upgrade: what a client must say to get a WebSocket (RFC 6455, 4.2.1),
 * and the answer.
 *
 * A token may come in the Authorization header, checked by the access phase,
 * or among the subprotocols, as "bearer.<token>" beside "mesh.v1", which is
 * how a browser can send one; only "mesh.v1" is answered.  Without a token
 * the first frame has to bring it.
 *
 * Runs as the content handler; what the connection does after the 101 is in
 * ngx_mesh_room_connection.c.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_compat.h"
#include "ngx_mesh_reply.h"
#include "base64.h"
#include "ngx_mesh_room_connection.h"


#define NGX_MESH_ROOM_SOCKET_KEY       16      /* bytes, 4.1 */
#define NGX_MESH_ROOM_SOCKET_ACCEPT    28      /* characters */
#define NGX_MESH_ROOM_SOCKET_PROTOCOL  "mesh.v1"
#define NGX_MESH_ROOM_SOCKET_BEARER    "bearer."


/* The headers of a handshake; views into the request. */
typedef struct {
    ngx_uint_t  upgrade;           /* "Upgrade" has websocket */
    ngx_uint_t  connection;        /* "Connection" has upgrade */
    ngx_uint_t  protocol;          /* "mesh.v1" is offered */
    ngx_uint_t  twice;             /* key or version stood twice */
    ngx_str_t   version;
    ngx_str_t   key;
    ngx_str_t   bearer;            /* token among the protocols */
    ngx_str_t   authorization;     /* token of that header */
    ngx_str_t   proofs;            /* of the "ucans" header */
} ngx_mesh_room_socket_t;


static void ngx_mesh_room_socket_read(ngx_http_request_t *r,
    ngx_mesh_room_socket_t *socket);
static void ngx_mesh_room_socket_read_protocols(
    ngx_mesh_room_socket_t *socket, ngx_str_t *value);
static void ngx_mesh_room_socket_read_token(ngx_mesh_room_socket_t *socket,
    ngx_str_t *value);
static void ngx_mesh_room_socket_once(ngx_mesh_room_socket_t *socket,
    ngx_str_t *field, ngx_str_t *value);
static ngx_uint_t ngx_mesh_room_socket_next(ngx_str_t *list,
    ngx_str_t *token);
static ngx_uint_t ngx_mesh_room_socket_has(ngx_str_t *list,
    const char *token);
static ngx_uint_t ngx_mesh_room_socket_named(ngx_table_elt_t *h,
    const char *name);
static ngx_uint_t ngx_mesh_room_socket_key_valid(ngx_str_t *key);
static ngx_int_t ngx_mesh_room_socket_require(ngx_http_request_t *r,
    ngx_uint_t upgrade);
static ngx_int_t ngx_mesh_room_socket_answer(ngx_http_request_t *r,
    ngx_mesh_room_socket_t *socket);


ngx_int_t
ngx_mesh_room_socket_handler(ngx_http_request_t *r)
{
    problem_t                        problem;
    ngx_str_t                        allow = ngx_string("GET");
    ngx_mesh_room_socket_t           socket;
    ngx_http_mesh_room_loc_conf_t   *lcf;
    ngx_http_mesh_room_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_mesh_room_module);
    lcf = ngx_http_get_module_loc_conf(r, ngx_http_mesh_room_module);

    if (r->method != NGX_HTTP_GET) {

        if (ngx_mesh_reply_header(r, "Allow", &allow) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_mesh_reply_problem(r, PROBLEM_METHOD_NOT_ALLOWED,
                                      "a WebSocket is opened by GET");
    }

    if (mcf->hub == NULL) {
        return ngx_mesh_reply_problem(r, PROBLEM_STORE_DOWN,
                                      "this node is not ready");
    }

    if (ngx_mesh_origin_check(r, &lcf->origin, &problem) != NGX_OK) {
        return ngx_mesh_reply_problem(r, problem, problem_title(problem));
    }

    ngx_mesh_room_socket_read(r, &socket);

    if (r->http_version != NGX_HTTP_VERSION_11
        || !socket.upgrade || !socket.connection)
    {
        return ngx_mesh_room_socket_require(r, 1);
    }

    if (socket.version.len != 2
        || ngx_strncmp(socket.version.data, "13", 2) != 0)
    {
        return ngx_mesh_room_socket_require(r, 0);
    }

    if (socket.twice || !ngx_mesh_room_socket_key_valid(&socket.key)) {
        return ngx_mesh_reply_problem(r, PROBLEM_BAD_REQUEST,
                         "Sec-WebSocket-Key must be 16 bytes in base64");
    }

    if (r->headers_in.content_length_n > 0 || r->headers_in.chunked) {
        return ngx_mesh_reply_problem(r, PROBLEM_BAD_REQUEST,
                                      "a handshake has no body");
    }

    return ngx_mesh_room_socket_answer(r, &socket);
}


static void
ngx_mesh_room_socket_read(ngx_http_request_t *r,
    ngx_mesh_room_socket_t *socket)
{
    ngx_uint_t        i;
    ngx_str_t        *value;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    ngx_memzero(socket, sizeof(ngx_mesh_room_socket_t));

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            value = &h[i].value;

            if (ngx_mesh_room_socket_named(&h[i], "upgrade")) {
                socket->upgrade |= ngx_mesh_room_socket_has(value,
                                                            "websocket");

            } else if (ngx_mesh_room_socket_named(&h[i], "connection")) {
                socket->connection |= ngx_mesh_room_socket_has(value,
                                                               "upgrade");

            } else if (ngx_mesh_room_socket_named(&h[i],
                                                  "sec-websocket-version"))
            {
                ngx_mesh_room_socket_once(socket, &socket->version, value);

            } else if (ngx_mesh_room_socket_named(&h[i],
                                                  "sec-websocket-key"))
            {
                ngx_mesh_room_socket_once(socket, &socket->key, value);

            } else if (ngx_mesh_room_socket_named(&h[i],
                                                  "sec-websocket-protocol"))
            {
                ngx_mesh_room_socket_read_protocols(socket, value);

            } else if (ngx_mesh_room_socket_named(&h[i], "authorization")) {
                ngx_mesh_room_socket_read_token(socket, value);

            } else if (ngx_mesh_room_socket_named(&h[i], "ucans")) {
                socket->proofs = *value;
            }
        }
    }
}


static void
ngx_mesh_room_socket_read_protocols(ngx_mesh_room_socket_t *socket,
    ngx_str_t *value)
{
    size_t     len;
    ngx_str_t  list, token;

    list = *value;
    len = sizeof(NGX_MESH_ROOM_SOCKET_BEARER) - 1;

    while (ngx_mesh_room_socket_next(&list, &token)) {

        if (token.len == sizeof(NGX_MESH_ROOM_SOCKET_PROTOCOL) - 1
            && ngx_strncmp(token.data, NGX_MESH_ROOM_SOCKET_PROTOCOL,
                           token.len)
               == 0)
        {
            socket->protocol = 1;

        } else if (token.len > len
                   && ngx_strncmp(token.data, NGX_MESH_ROOM_SOCKET_BEARER,
                                  len)
                      == 0)
        {
            socket->bearer.data = token.data + len;
            socket->bearer.len = token.len - len;
        }
    }
}


/* The access phase has checked it; this only finds the text again. */
static void
ngx_mesh_room_socket_read_token(ngx_mesh_room_socket_t *socket,
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

    socket->authorization.data = p;
    socket->authorization.len = end - p;
}


static void
ngx_mesh_room_socket_once(ngx_mesh_room_socket_t *socket, ngx_str_t *field,
    ngx_str_t *value)
{
    if (field->data != NULL) {
        socket->twice = 1;
    }

    *field = *value;
}


/* The next token of a list with commas; list is what follows. */
static ngx_uint_t
ngx_mesh_room_socket_next(ngx_str_t *list, ngx_str_t *token)
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
ngx_mesh_room_socket_has(ngx_str_t *list, const char *token)
{
    size_t     len;
    ngx_str_t  rest, found;

    rest = *list;
    len = ngx_strlen(token);

    while (ngx_mesh_room_socket_next(&rest, &found)) {

        if (found.len == len
            && ngx_strncasecmp(found.data, (u_char *) token, len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_mesh_room_socket_named(ngx_table_elt_t *h, const char *name)
{
    size_t  len;

    len = ngx_strlen(name);

    return h->key.len == len
           && ngx_strncasecmp(h->key.data, (u_char *) name, len) == 0;
}


static ngx_uint_t
ngx_mesh_room_socket_key_valid(ngx_str_t *key)
{
    uint8_t         buf[NGX_MESH_ROOM_SOCKET_KEY + 4];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));

    return base64_decode(BASE64_STD, bytes_make(key->data, key->len), &w) == 0
           && bytes_writer_view(&w).len == NGX_MESH_ROOM_SOCKET_KEY;
}


/* 426: what is asked for here is a WebSocket of version 13 (4.4). */
static ngx_int_t
ngx_mesh_room_socket_require(ngx_http_request_t *r, ngx_uint_t upgrade)
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


static ngx_int_t
ngx_mesh_room_socket_answer(ngx_http_request_t *r,
    ngx_mesh_room_socket_t *socket)
{
    u_char                          *p;
    ngx_int_t                        rc;
    ngx_str_t                        accept, *token;
    ngx_str_t                        websocket = ngx_string("websocket");
    ngx_str_t                        protocol =
                              ngx_string(NGX_MESH_ROOM_SOCKET_PROTOCOL);
    bytes_writer_t                   w;
    ngx_http_mesh_room_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_mesh_room_module);

    p = ngx_pnalloc(r->pool, NGX_MESH_ROOM_SOCKET_ACCEPT);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    bytes_writer_open(&w, p, NGX_MESH_ROOM_SOCKET_ACCEPT);
    ws_frame_accept(&w, bytes_make(socket->key.data, socket->key.len));

    accept.data = p;
    accept.len = NGX_MESH_ROOM_SOCKET_ACCEPT;

    if (w.failed
        || ngx_mesh_reply_header(r, "Upgrade", &websocket) != NGX_OK
        || ngx_mesh_reply_header(r, "Sec-WebSocket-Accept", &accept)
           != NGX_OK
        || (socket->protocol
            && ngx_mesh_reply_header(r, "Sec-WebSocket-Protocol",
                                        &protocol)
               != NGX_OK))
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    token = (mcf->principal->get(r) != NULL) ? &socket->authorization
                                             : &socket->bearer;

    if (ngx_mesh_room_connection_open(r, token, &socket->proofs) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

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

    /* until the connection is taken over, at the end of this turn */

    r->main->count++;

    return NGX_DONE;
}
