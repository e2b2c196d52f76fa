/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * POST /api/poll.
 */


#ifndef _NGX_MESH_ROOM_POLL_H_INCLUDED_
#define _NGX_MESH_ROOM_POLL_H_INCLUDED_


#include "ngx_mesh_room_rest.h"


/* The route; returns what a content handler returns. */
ngx_int_t ngx_mesh_room_poll_open(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);


#endif /* _NGX_MESH_ROOM_POLL_H_INCLUDED_ */
