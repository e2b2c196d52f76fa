/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The two halves of the usage ledger: what is written
 * (ngx_mesh_storage_usage.c), and sums (ngx_mesh_storage_usage_sums.c).
 */


#ifndef _NGX_MESH_STORAGE_USAGE_H_INCLUDED_
#define _NGX_MESH_STORAGE_USAGE_H_INCLUDED_


#include "ngx_mesh_storage_rest.h"
#include "usage.h"


#define NGX_MESH_STORAGE_USAGE_RECORDS_MAX  100      /* in one request */
#define NGX_MESH_STORAGE_USAGE_ROWS_MAX     200000   /* sums looked at */
#define NGX_MESH_STORAGE_USAGE_GROUPS_MAX   10000    /* rows of an answer, all
                                                        pages */


/* GET, of the namespace of the request. */
ngx_int_t ngx_mesh_storage_usage_sums(ngx_mesh_storage_rest_t *rest);


#endif /* _NGX_MESH_STORAGE_USAGE_H_INCLUDED_ */
