/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Which namespace belongs to whoever asks.
 */


#ifndef _NGX_MESH_STORAGE_CALLER_H_INCLUDED_
#define _NGX_MESH_STORAGE_CALLER_H_INCLUDED_


#include "ngx_mesh_storage_rest.h"


/* The cache of a worker, in pool.  NULL: out of memory. */
ngx_mesh_storage_callers_t *ngx_mesh_storage_caller_init(ngx_pool_t *pool);

/* Finds the namespace of the principal, rest->caller: empty when it is no
   participant of this mesh.  Then step. */
ngx_int_t ngx_mesh_storage_caller_find(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_step_pt step);


#endif /* _NGX_MESH_STORAGE_CALLER_H_INCLUDED_ */
