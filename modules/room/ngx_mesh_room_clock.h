/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The worker's clock.
 */


#ifndef _NGX_MESH_ROOM_CLOCK_H_INCLUDED_
#define _NGX_MESH_ROOM_CLOCK_H_INCLUDED_


#include "ngx_mesh_room_connection.h"


/* In init_process. */
void ngx_mesh_room_clock_init(ngx_mesh_room_hub_t *hub);

/* Keeps the clock going: there is a connection or a waiter. */
void ngx_mesh_room_clock_watch(ngx_mesh_room_hub_t *hub);


#endif /* _NGX_MESH_ROOM_CLOCK_H_INCLUDED_ */
