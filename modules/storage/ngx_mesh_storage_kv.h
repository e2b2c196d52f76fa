/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What the two files of keys share.
 */


#ifndef _NGX_MESH_STORAGE_KV_H_INCLUDED_
#define _NGX_MESH_STORAGE_KV_H_INCLUDED_


#include "ngx_mesh_storage_rest.h"


#define NGX_MESH_STORAGE_KV_PREFIX    "k/"
#define NGX_MESH_STORAGE_KV_DROP_MAX  500     /* keys of one DELETE ?prefix= */


/* "/api/storage/kv/<ns>": the listing, and the removal of a prefix. */
ngx_int_t ngx_mesh_storage_kv_list(ngx_mesh_storage_rest_t *rest);


#endif /* _NGX_MESH_STORAGE_KV_H_INCLUDED_ */
