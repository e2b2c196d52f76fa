/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Waiting for a topic: the hub's side of ngx_mesh_room_wait_add().
 */


#ifndef _NGX_MESH_ROOM_WAIT_H_INCLUDED_
#define _NGX_MESH_ROOM_WAIT_H_INCLUDED_


#include "ngx_mesh_room_hub.h"


/* In init_process. */
void ngx_mesh_room_wait_init(ngx_mesh_room_hub_t *hub);

/* Wakes the waiters of a topic, or all of them for an empty one. */
void ngx_mesh_room_wait_wake(ngx_mesh_room_hub_t *hub, bytes_t topic);


#endif /* _NGX_MESH_ROOM_WAIT_H_INCLUDED_ */
