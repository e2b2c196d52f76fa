/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Reading what no notice brought.
 */


#ifndef _NGX_MESH_ROOM_RESYNC_H_INCLUDED_
#define _NGX_MESH_ROOM_RESYNC_H_INCLUDED_


#include "ngx_mesh_room_hub.h"


/* The room misses messages: they are read from the store, soon. */
void ngx_mesh_room_resync_add(ngx_mesh_room_hub_room_t *room);

/* The room goes. */
void ngx_mesh_room_resync_remove(ngx_mesh_room_hub_room_t *room);

/* Timer of the hub: starts the reads that are due. */
void ngx_mesh_room_resync_handler(ngx_event_t *ev);


#endif /* _NGX_MESH_ROOM_RESYNC_H_INCLUDED_ */
