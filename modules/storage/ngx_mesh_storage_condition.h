/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Header lines that say under which condition, and how to answer.
 */


#ifndef _NGX_MESH_STORAGE_CONDITION_H_INCLUDED_
#define _NGX_MESH_STORAGE_CONDITION_H_INCLUDED_


#include "ngx_mesh_storage_rest.h"


#define NGX_MESH_STORAGE_CONDITION_NEVER  INT64_MAX    /* no item's seq */
#define NGX_MESH_STORAGE_CONDITION_TIME_MAX  315360000  /* s, Expires-After */


/* Of a write: If-Match, If-None-Match, Prefer and Expires-After into rest.
   NULL; or why they are refused, a static text.  An ETag that is none of a
   key or document never matches; blobs look at theirs themselves. */
const char *ngx_mesh_storage_condition_parse(ngx_mesh_storage_rest_t *rest);

/* The seq of an ETag, quotes included; NEVER: it is none of ours. */
uint64_t ngx_mesh_storage_condition_seq(u_char *p, size_t len);

/* Of a read: 1 when the list of If-None-Match has "<seq>" or is "*". */
ngx_uint_t ngx_mesh_storage_condition_has(ngx_str_t *list, uint64_t seq);


#endif /* _NGX_MESH_STORAGE_CONDITION_H_INCLUDED_ */
