/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Messages between two.
 */


#ifndef _NGX_MESH_ROOM_DIRECT_H_INCLUDED_
#define _NGX_MESH_ROOM_DIRECT_H_INCLUDED_


#include "ngx_mesh_room_history.h"


/* Sets the first job of append to find the other party and the room; the rest
   follows from its completion.  NGX_OK, NGX_ERROR: no memory. */
ngx_int_t ngx_mesh_room_direct_reads(ngx_mesh_room_history_append_t *append);


#endif /* _NGX_MESH_ROOM_DIRECT_H_INCLUDED_ */
