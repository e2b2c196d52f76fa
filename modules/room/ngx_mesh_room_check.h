/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Whether those who are in a room may still be there.
 */


#ifndef _NGX_MESH_ROOM_CHECK_H_INCLUDED_
#define _NGX_MESH_ROOM_CHECK_H_INCLUDED_


#include "ngx_mesh_room_connection.h"


/* Asks the store about the memberships that may have changed. */
void ngx_mesh_room_check_members(ngx_mesh_room_connection_t *mc);

/* Asks the capabilities of all subscriptions again, once a second. */
void ngx_mesh_room_check_rights(ngx_mesh_room_connection_t *mc);


#endif /* _NGX_MESH_ROOM_CHECK_H_INCLUDED_ */
