/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Worker slots in a shared zone: which worker of which generation owns
 * which index, claimed by pid at init_process and swept by the next owner.
 */


#ifndef _NGX_MESH_ZONE_H_INCLUDED_
#define _NGX_MESH_ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_MESH_ZONE_SLOTS    64        /* workers of all generations */
#define NGX_MESH_ZONE_MAGIC    0x6d7a6f6e
#define NGX_MESH_ZONE_VERSION  1


/* In shared memory; every field is changed under the zone's mutex. */
typedef struct {
    ngx_pid_t      pid;           /* 0: free */
    ngx_uint_t     generation;    /* which life of this slot */
    ngx_atomic_t   waiting;       /* a wake is on its way */
} ngx_mesh_zone_slot_t;


typedef struct {
    ngx_uint_t             magic;
    ngx_uint_t             version;
    ngx_mesh_zone_slot_t   slots[NGX_MESH_ZONE_SLOTS];
} ngx_mesh_zone_t;


/* Prepares slots in fresh memory. */
void ngx_mesh_zone_open(ngx_mesh_zone_t *zone);

/* Claims a slot for this process.  Slots of dead pids are freed first and
   reported by *died (count).  The index, or NGX_ERROR: none free. */
ngx_int_t ngx_mesh_zone_claim(ngx_mesh_zone_t *zone, ngx_shmtx_t *mutex,
    ngx_uint_t *died);

/* Frees the slots of dead pids; bit i of the result: slot i was freed. */
uint64_t ngx_mesh_zone_sweep(ngx_mesh_zone_t *zone, ngx_shmtx_t *mutex);

/* Gives up this process's slot (exit_process). */
void ngx_mesh_zone_release(ngx_mesh_zone_t *zone, ngx_shmtx_t *mutex,
    ngx_int_t slot);


#endif /* _NGX_MESH_ZONE_H_INCLUDED_ */
