/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Joining and leaving a room.
 */


#ifndef _NGX_MESH_ROOM_JOIN_H_INCLUDED_
#define _NGX_MESH_ROOM_JOIN_H_INCLUDED_


#include "ngx_mesh_room_connection.h"


/* Joins a room and tells the client; resume: from behind since. */
void ngx_mesh_room_join(ngx_mesh_room_connection_t *mc, bytes_t room,
    ngx_uint_t resume, uint64_t since);

/* Ends a subscription and says so; reason may be NULL. */
void ngx_mesh_room_join_leave(ngx_mesh_room_subscription_t *sub,
    const char *reason);

/* The same in silence, when the connection goes. */
void ngx_mesh_room_join_drop(ngx_mesh_room_subscription_t *sub);

/* Membership and presence are as the store says: member or not. */
void ngx_mesh_room_join_present(ngx_mesh_room_subscription_t *sub,
    ngx_uint_t member);


#endif /* _NGX_MESH_ROOM_JOIN_H_INCLUDED_ */
