/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * GET /api/status and GET /api/state.
 */


#ifndef _NGX_MESH_ROOM_DIGEST_H_INCLUDED_
#define _NGX_MESH_ROOM_DIGEST_H_INCLUDED_


#include "ngx_mesh_room_rest.h"


/* The routes; each returns what a content handler returns. */
ngx_int_t ngx_mesh_room_digest_status(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);
ngx_int_t ngx_mesh_room_digest_state(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);


#endif /* _NGX_MESH_ROOM_DIGEST_H_INCLUDED_ */
