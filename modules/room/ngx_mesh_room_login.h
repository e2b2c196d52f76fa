/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Authentication of a connection.
 */


#ifndef _NGX_MESH_ROOM_LOGIN_H_INCLUDED_
#define _NGX_MESH_ROOM_LOGIN_H_INCLUDED_


#include "ngx_mesh_room_connection.h"


/* Authenticates by a token and proofs (may be empty): says auth_ok, or an
   error and closes. */
void ngx_mesh_room_login(ngx_mesh_room_connection_t *mc, ngx_str_t *token,
    ngx_str_t *proofs);


#endif /* _NGX_MESH_ROOM_LOGIN_H_INCLUDED_ */
