/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What a connection says.
 */


#ifndef _NGX_MESH_ROOM_INPUT_H_INCLUDED_
#define _NGX_MESH_ROOM_INPUT_H_INCLUDED_


#include "ngx_mesh_room_connection.h"


/* Reads what the socket has; handler of its read event. */
void ngx_mesh_room_input_read_handler(ngx_event_t *rev);

/* Keeps bytes that came before their turn.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_mesh_room_input_hold(ngx_mesh_room_connection_t *mc,
    bytes_t in);

/* What kept frames from being read may be over. */
void ngx_mesh_room_input_resume(ngx_mesh_room_connection_t *mc);


#endif /* _NGX_MESH_ROOM_INPUT_H_INCLUDED_ */
