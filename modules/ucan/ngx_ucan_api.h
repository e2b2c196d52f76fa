/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What the ucan module publishes to others (ngx_mesh_principal.h).
 */


#ifndef _NGX_UCAN_API_H_INCLUDED_
#define _NGX_UCAN_API_H_INCLUDED_


#include "ngx_mesh_principal.h"


extern ngx_mesh_principal_api_t  ngx_ucan_api;


#endif /* _NGX_UCAN_API_H_INCLUDED_ */
