/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What clients may say.
 */


#ifndef _NGX_MESH_ROOM_VERB_H_INCLUDED_
#define _NGX_MESH_ROOM_VERB_H_INCLUDED_


#include "ngx_mesh_room_connection.h"


/* Does what one text frame asks for. */
void ngx_mesh_room_verb_run(ngx_mesh_room_connection_t *mc, bytes_t text);


#endif /* _NGX_MESH_ROOM_VERB_H_INCLUDED_ */
