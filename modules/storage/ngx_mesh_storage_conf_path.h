/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Directives of the storage module that name files, folders, a server.
 */


#ifndef _NGX_MESH_STORAGE_CONF_PATH_H_INCLUDED_
#define _NGX_MESH_STORAGE_CONF_PATH_H_INCLUDED_


#include "ngx_mesh_storage_conf.h"


#define NGX_MESH_STORAGE_CONF_PATH_TIME_MAX  (10 * 365 * 24 * 3600)


/* "mesh_storage PATH" */
char *ngx_mesh_storage_conf_path_store(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* "mesh_storage_mongo URI|file:PATH|off" */
char *ngx_mesh_storage_conf_path_mongo(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* "mesh_storage_blobs PATH" */
char *ngx_mesh_storage_conf_path_blobs(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* "mesh_storage_search PATH|off" */
char *ngx_mesh_storage_conf_path_search(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* "mesh_storage_backups PATH [every=TIME] [keep=N]" */
char *ngx_mesh_storage_conf_path_backups(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* "mesh_storage_cursor_key PATH" */
char *ngx_mesh_storage_conf_path_cursor_key(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);

/* "<folder><name>" in cf->pool, NUL terminated.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_mesh_storage_conf_path_join(ngx_conf_t *cf, ngx_str_t *to,
    ngx_str_t *folder, const char *name);


#endif /* _NGX_MESH_STORAGE_CONF_PATH_H_INCLUDED_ */
