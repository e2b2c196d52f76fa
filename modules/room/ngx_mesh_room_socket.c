/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The upgrade of a request to a room's WebSocket: the handshake itself is
 * shared (ngx_mesh_handshake.c).  Without a token in its headers the first
 * frame has to bring one.
 *
 * Runs as the content handler; what the connection does after the 101 is in
 * ngx_mesh_room_connection.c.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_handshake.h"
#include "ngx_mesh_reply.h"
#include "ngx_mesh_room_connection.h"


static ngx_int_t ngx_mesh_room_socket_answer(ngx_http_request_t *r,
    ngx_mesh_handshake_t *handshake);


ngx_int_t
ngx_mesh_room_socket_handler(ngx_http_request_t *r)
{
    problem_t                        problem;
    ngx_int_t                        rc;
    ngx_str_t                        allow = ngx_string("GET");
    ngx_mesh_handshake_t             handshake;
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

    if (ngx_mesh_handshake_parse(r, &handshake, &rc) != NGX_OK) {
        return rc;
    }

    return ngx_mesh_room_socket_answer(r, &handshake);
}


static ngx_int_t
ngx_mesh_room_socket_answer(ngx_http_request_t *r,
    ngx_mesh_handshake_t *handshake)
{
    ngx_str_t                       *token;
    ngx_http_mesh_room_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_mesh_room_module);

    if (ngx_mesh_handshake_prepare(r, handshake) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    token = (mcf->principal->get(r) != NULL) ? &handshake->authorization
                                             : &handshake->bearer;

    if (ngx_mesh_room_connection_open(r, token, &handshake->proofs)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_mesh_handshake_send(r) != NGX_OK) {
        return NGX_ERROR;
    }

    /* until the connection is taken over, at the end of this turn */

    r->main->count++;

    return NGX_DONE;
}
