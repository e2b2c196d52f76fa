/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Who is here, on any worker.
 */


#ifndef _NGX_MESH_ROOM_PRESENCE_H_INCLUDED_
#define _NGX_MESH_ROOM_PRESENCE_H_INCLUDED_


#include "ngx_mesh_room_hub.h"


/* Of the zone, in the master: a table in fresh memory, or the old one over a
   reload.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_mesh_room_presence_zone_init(ngx_shm_zone_t *zone, void *data);

/* In init_process; forgets what the former owner of this slot counted. */
ngx_int_t ngx_mesh_room_presence_init(ngx_mesh_room_hub_t *hub);

/* A random key of CURSOR_KEY_LEN bytes that lives in the zone. */
void ngx_mesh_room_presence_cursor_key(ngx_http_mesh_room_main_conf_t *mcf,
    u_char *key);

/* Tells the changes that wait, when the worker ends. */
void ngx_mesh_room_presence_flush(ngx_mesh_room_hub_t *hub);

/* A connection of a participant came to a room, or left it; what changes for
   others is told, in batches. */
void ngx_mesh_room_presence_add(ngx_mesh_room_hub_t *hub, bytes_t room,
    bytes_t participant);
void ngx_mesh_room_presence_remove(ngx_mesh_room_hub_t *hub, bytes_t room,
    bytes_t participant);

/* A notice of presence: its frame to the connections of the room. */
void ngx_mesh_room_presence_tell(ngx_mesh_room_hub_room_t *room,
    bytes_t payload);

/* Frees what dead workers left behind. */
void ngx_mesh_room_presence_sweep(ngx_mesh_room_hub_t *hub);


#endif /* _NGX_MESH_ROOM_PRESENCE_H_INCLUDED_ */
