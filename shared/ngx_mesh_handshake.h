/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The WebSocket handshake (RFC 6455, 4.2.1): what a request must say to get
 * one, and the 101.
 *
 * A token may come in the Authorization header, checked by the access phase,
 * or among the subprotocols, as "bearer.<token>" beside "mesh.v1", which is
 * how a browser can send one; only "mesh.v1" is answered.
 */


#ifndef _NGX_MESH_HANDSHAKE_H_INCLUDED_
#define _NGX_MESH_HANDSHAKE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


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
} ngx_mesh_handshake_t;


/* 1: the request asks for a WebSocket, well or badly: "Upgrade" says so. */
ngx_uint_t ngx_mesh_handshake_asked(ngx_http_request_t *r);

/* Reads and checks the handshake of a GET.  NGX_OK; NGX_DECLINED: *rc is the
   answer that was sent (426, 400). */
ngx_int_t ngx_mesh_handshake_parse(ngx_http_request_t *r,
    ngx_mesh_handshake_t *handshake, ngx_int_t *rc);

/* Adds the headers of the 101.  NGX_OK; NGX_ERROR: out of memory. */
ngx_int_t ngx_mesh_handshake_prepare(ngx_http_request_t *r,
    const ngx_mesh_handshake_t *handshake);

/* Sends the 101; the request reads and writes nothing by itself after it, and
   is kept by whoever called.  NGX_OK; NGX_ERROR: it is to be finalized. */
ngx_int_t ngx_mesh_handshake_send(ngx_http_request_t *r);


#endif /* _NGX_MESH_HANDSHAKE_H_INCLUDED_ */
