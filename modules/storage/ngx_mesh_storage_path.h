/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Paths of the API, as the client sent them: what names a key must reach the
 * store byte for byte, so a path that nginx reads in another way is refused.
 */


#ifndef _NGX_MESH_STORAGE_PATH_H_INCLUDED_
#define _NGX_MESH_STORAGE_PATH_H_INCLUDED_


#include "ngx_mesh_storage.h"


#define NGX_MESH_STORAGE_PATH_BASE  "/api/storage"


/* What stands behind the base and its slash, decoded, a view of r->uri: UTF-8
   without U+0000.  NULL; or why it is refused, a static text. */
const char *ngx_mesh_storage_path_parse(ngx_http_request_t *r,
    bytes_t *path);

/* Takes the first segment and its slash off path. */
bytes_t ngx_mesh_storage_path_take(bytes_t *path);

/* 1: labels of letters, digits, "_" and "-", joined by single dots. */
ngx_uint_t ngx_mesh_storage_path_ns_valid(bytes_t ns);


#endif /* _NGX_MESH_STORAGE_PATH_H_INCLUDED_ */
