/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The gate: what a restore closes, so that no worker mixes what was before
 * with what is after it.
 *
 * The data has a generation, the same for all workers of the node.  A worker
 * that was opened with another does no work on it, and starts again:
 *
 *     gate_close()             nobody begins a job any more: NGX_BUSY
 *     gate_idle()              until 1: what was accepted is on disk
 *     adapter->restore()       in a pool thread
 *     gate_open(restored: 1)   the next generation: every worker leaves at
 *                              once, this one when its answer is out
 *
 * Shared memory: a zone of the storage module, kept over reloads.  Lock-free;
 * a worker that is killed while it has the gate is noticed within a second,
 * and counts as one that has restored.
 */


#ifndef _NGX_MESH_STORAGE_GATE_H_INCLUDED_
#define _NGX_MESH_STORAGE_GATE_H_INCLUDED_


#include "ngx_mesh_store.h"
#include "ngx_mesh_zone.h"


/* In shared memory. */
typedef struct {
    ngx_atomic_t                    generation;   /* of the data; from 1 on */
    ngx_atomic_t                    holder;       /* pid of who restores; 0:
                                                     the gate is open */
    ngx_atomic_t                    writes[NGX_MESH_ZONE_SLOTS + 1];   /* not
                                                     done, by slot of the
                                                     ring; the last: workers
                                                     without a slot */
} ngx_mesh_storage_gate_shared_t;


/* Of a worker. */
typedef struct {
    ngx_shm_zone_t                  *zone;
    ngx_mesh_storage_gate_shared_t  *shared;      /* NULL: not entered */
    ngx_atomic_t                    *writes;      /* of this worker */
    ngx_atomic_uint_t                generation;  /* it was opened in */
    ngx_mesh_wake_t                 *wake;
    ngx_log_t                       *log;
    ngx_event_t                      watch;       /* looks once a second */
    unsigned                         leaving:1;   /* it restored: answers,
                                                     then starts again */
} ngx_mesh_storage_gate_t;


/* At configuration time: declares the zone.  NGX_OK, NGX_ERROR after a line
   in the log. */
ngx_int_t ngx_mesh_storage_gate_create(ngx_conf_t *cf,
    ngx_mesh_storage_gate_t *gate, void *tag);

/* In a worker, before it opens the data; and when it has closed it. */
void ngx_mesh_storage_gate_enter(ngx_mesh_storage_gate_t *gate,
    ngx_mesh_wake_t *wake, ngx_log_t *log);
void ngx_mesh_storage_gate_leave(ngx_mesh_storage_gate_t *gate);

/* 1: the data is being replaced, or was. */
ngx_uint_t ngx_mesh_storage_gate_shut(const ngx_mesh_storage_gate_t *gate);

/* Counts a write.  NGX_OK: to be released when it is done; NGX_BUSY. */
ngx_int_t ngx_mesh_storage_gate_take(ngx_mesh_storage_gate_t *gate);
void ngx_mesh_storage_gate_release(ngx_mesh_storage_gate_t *gate);

/* On the event loop: from now on no worker begins a job.  NGX_OK: who called
   has to open it again; NGX_BUSY: somebody else restores, or has; NGX_ERROR:
   there is no store in this worker. */
ngx_int_t ngx_mesh_storage_gate_close(ngx_mesh_storage_gate_t *gate);

/* 1: no write of any worker is under way.  To be asked again and again after
   closing, from a timer, with a time limit. */
ngx_uint_t ngx_mesh_storage_gate_idle(const ngx_mesh_storage_gate_t *gate);

/* By who closed.  restored 0: nothing has changed, work goes on; 1: all
   workers of the node start again, this one half a second later. */
void ngx_mesh_storage_gate_open(ngx_mesh_storage_gate_t *gate,
    ngx_uint_t restored);


#endif /* _NGX_MESH_STORAGE_GATE_H_INCLUDED_ */
