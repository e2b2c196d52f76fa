/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Directives of the storage module: the table, defaults, and what nginx -t
 * says of values that cannot be meant.
 */


#ifndef _NGX_MESH_STORAGE_CONF_H_INCLUDED_
#define _NGX_MESH_STORAGE_CONF_H_INCLUDED_


#include "ngx_mesh_storage.h"


extern ngx_command_t  ngx_mesh_storage_conf_commands[];

/* The eventfds of the ring, in the module file. */
extern ngx_fd_t       ngx_http_mesh_storage_fds[];


/* The steps of nginx's module context. */
void *ngx_mesh_storage_conf_create_main(ngx_conf_t *cf);
char *ngx_mesh_storage_conf_init_main(ngx_conf_t *cf, void *conf);
void *ngx_mesh_storage_conf_create_loc(ngx_conf_t *cf);
char *ngx_mesh_storage_conf_merge_loc(ngx_conf_t *cf, void *parent,
    void *child);

/* Postconfiguration: what a location with the API needs beside it. */
ngx_int_t ngx_mesh_storage_conf_require(ngx_conf_t *cf);


#endif /* _NGX_MESH_STORAGE_CONF_H_INCLUDED_ */
