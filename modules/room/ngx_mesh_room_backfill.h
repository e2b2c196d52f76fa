/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What a connection missed.
 */


#ifndef _NGX_MESH_ROOM_BACKFILL_H_INCLUDED_
#define _NGX_MESH_ROOM_BACKFILL_H_INCLUDED_


#include "ngx_mesh_room_connection.h"


/* Reads on for the subscriptions that are not live, as the queue drains. */
void ngx_mesh_room_backfill(ngx_mesh_room_connection_t *mc);


#endif /* _NGX_MESH_ROOM_BACKFILL_H_INCLUDED_ */
