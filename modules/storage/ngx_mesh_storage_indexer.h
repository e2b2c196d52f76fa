/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The text index of this worker: searches, and one thread that keeps the
 * index up to date while this is the worker of the host that leads.
 *
 * A search is a read of the store (ngx_mesh_store.h) whose first read is a
 * STORE_SEARCH; what it takes and gives is in store_text.h.  Searching is
 * from pool threads, the rest from the event loop.
 */


#ifndef _NGX_MESH_STORAGE_INDEXER_H_INCLUDED_
#define _NGX_MESH_STORAGE_INDEXER_H_INCLUDED_


#include "ngx_mesh_storage.h"


/* In a worker, after its store is open: nothing without "mesh_storage_search"
   or a store.  What fails is logged; searches are then refused. */
void ngx_mesh_storage_indexer_open(ngx_http_mesh_storage_main_conf_t *mcf,
    ngx_cycle_t *cycle);

/* In exit_process, before the store is closed, when no search is running. */
void ngx_mesh_storage_indexer_close(void);

/* In a pool thread: as an adapter's read; STORE_TYPE: there is no index. */
store_rc_t ngx_mesh_storage_indexer_read(const store_read_t *reads,
    store_rows_t *rows, size_t count);


#endif /* _NGX_MESH_STORAGE_INDEXER_H_INCLUDED_ */
