/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Small items that were read lately, in the memory of this worker: a read of
 * one takes neither a thread nor the engine.  Never older than the store, see
 * ngx_mesh_storage_mark.h.
 */


#ifndef _NGX_MESH_STORAGE_HOT_H_INCLUDED_
#define _NGX_MESH_STORAGE_HOT_H_INCLUDED_


#include "ngx_mesh_storage_mark.h"


#define NGX_MESH_STORAGE_HOT_ITEM_MAX   8192               /* bytes */
#define NGX_MESH_STORAGE_HOT_BYTES_MAX  (8 * 1024 * 1024)  /* of a worker */


typedef struct ngx_mesh_storage_hot_item_s  ngx_mesh_storage_hot_item_t;

/* Event loop only. */
typedef struct {
    ngx_mesh_storage_marks_t       *marks;     /* of the service */
    ngx_mesh_storage_hot_item_t   **table;     /* [MARK_COUNT]; NULL: off */
    ngx_queue_t                     queue;     /* latest use first */
    size_t                          bytes;
} ngx_mesh_storage_hot_t;


/* NGX_OK, NGX_ERROR: no memory, then it is off. */
ngx_int_t ngx_mesh_storage_hot_open(ngx_mesh_storage_hot_t *hot,
    ngx_mesh_storage_marks_t *marks, ngx_log_t *log);
void ngx_mesh_storage_hot_close(ngx_mesh_storage_hot_t *hot);

/* NGX_OK: *row is what the store has, borrowed until the next call of this
   file.  NGX_DECLINED: it has to be read, and place is for what was found.
   NGX_ERROR: the same, and it is not to be kept. */
ngx_int_t ngx_mesh_storage_hot_find(ngx_mesh_storage_hot_t *hot, bytes_t ns,
    bytes_t key, ngx_mesh_storage_mark_place_t *place, store_row_t *row);

/* Keeps what was read after place was given, unless it is too large or
   something was written since. */
void ngx_mesh_storage_hot_add(ngx_mesh_storage_hot_t *hot, bytes_t ns,
    const ngx_mesh_storage_mark_place_t *place, const store_row_t *row);


#endif /* _NGX_MESH_STORAGE_HOT_H_INCLUDED_ */
