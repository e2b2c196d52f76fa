/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The store as this worker has it: opened after the fork, closed before the
 * exit, and in between the other side of ngx_mesh_store.h.
 */


#ifndef _NGX_MESH_STORAGE_SERVICE_H_INCLUDED_
#define _NGX_MESH_STORAGE_SERVICE_H_INCLUDED_


#include <ngx_thread_pool.h>

#include "ngx_mesh_storage_gate.h"
#include "ngx_mesh_storage_hot.h"
#include "ngx_mesh_storage_log.h"


typedef struct {
    const store_adapter_t   *adapter;
    store_config_t           config;       /* path in the cycle's pool */
    ngx_thread_pool_t       *thread_pool;  /* for reads */
    ngx_fd_t                 fd;           /* eventfd of this worker */

    store_t                 *store;        /* NULL: not open */
    ngx_connection_t        *connection;   /* of fd */
    ngx_log_t               *log;
    ngx_queue_t              writes;       /* accepted, not done */
    ngx_queue_t              held;         /* of them, not with the adapter:
                                              until the turn of the loop ends,
                                              so that they commit together */
    ngx_event_t              flush;        /* posted while held is not
                                              empty */
    ngx_event_t              guard;        /* set while writes is not empty:
                                              an exiting worker waits */
    ngx_mesh_storage_log_t   lines;

    ngx_mesh_store_t        *api;          /* as published; has the ring */
    ngx_mesh_storage_gate_t  gate;         /* what a restore closes */
    ngx_mesh_storage_marks_t marks;        /* of SQLite alone */
    ngx_mesh_storage_hot_t   hot;          /* the same */
    ngx_atomic_t             swept;        /* by the writer thread: the sweep
                                              has left changes */
    unsigned                 tried:1;      /* to open it, in this process */
} ngx_mesh_storage_service_t;


/* Fills in the functions of the published table, over this service. */
void ngx_mesh_storage_service_publish(ngx_mesh_storage_service_t *service,
    ngx_mesh_store_t *api);

/* In a worker: opens the store of this process, once.  NGX_OK; NGX_ERROR
   after one line in the log, and jobs are then refused. */
ngx_int_t ngx_mesh_storage_service_open(ngx_mesh_storage_service_t *service,
    ngx_cycle_t *cycle);

/* In exit_process: commits what was accepted and frees all jobs, without
   calling done. */
void ngx_mesh_storage_service_close(ngx_mesh_storage_service_t *service);


#endif /* _NGX_MESH_STORAGE_SERVICE_H_INCLUDED_ */
