/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Worker slots in a shared zone: which worker of which generation owns
 * which index, claimed by pid at init_process and swept by the others when
 * its owner died.
 *
 * A pid alone may be in use again, by another process, when its worker is
 * long dead; so a slot also holds the time at which the kernel started its
 * owner.  (A heartbeat would call a worker dead that is merely stopped or
 * stuck, and its slot would be given away beneath it.)
 */


#ifndef _NGX_MESH_ZONE_H_INCLUDED_
#define _NGX_MESH_ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_MESH_ZONE_SLOTS    64        /* workers of all generations */
#define NGX_MESH_ZONE_MAGIC    0x6d7a6f6e
#define NGX_MESH_ZONE_VERSION  2


/* In shared memory; every field is changed under the zone's mutex. */
typedef struct {
    ngx_pid_t      pid;           /* 0: free */
    uint64_t       started;       /* clock ticks since boot; 0: unknown */
    ngx_uint_t     generation;    /* which life of this slot */
    ngx_uint_t     waiting;       /* 1: a wake is on its way */
} ngx_mesh_zone_slot_t;


typedef struct {
    ngx_uint_t             magic;
    ngx_uint_t             version;
    ngx_uint_t             first;    /* slot that is claimed first */
    ngx_mesh_zone_slot_t   slots[NGX_MESH_ZONE_SLOTS];
} ngx_mesh_zone_t;


/* Prepares slots in fresh memory; first is taken modulo the slots. */
void ngx_mesh_zone_open(ngx_mesh_zone_t *zone, ngx_uint_t first);

/* NGX_OK when old memory holds slots of this layout, else NGX_ERROR. */
ngx_int_t ngx_mesh_zone_check(const ngx_mesh_zone_t *zone);

/* Claims a slot for this process and frees those of the dead first; bit i of
   *died: slot i was freed.  The index, or NGX_ERROR: none is free. */
ngx_int_t ngx_mesh_zone_claim(ngx_mesh_zone_t *zone, ngx_shmtx_t *mutex,
    uint64_t *died);

/* Frees the slots of dead pids; bit i of the result: slot i was freed.  A pid
   that is in use again is noticed for slot number turn (modulo the slots)
   only, since that takes a file to be read. */
uint64_t ngx_mesh_zone_sweep(ngx_mesh_zone_t *zone, ngx_shmtx_t *mutex,
    ngx_uint_t turn);

/* Bit i: slot i is in use. */
uint64_t ngx_mesh_zone_used(ngx_mesh_zone_t *zone, ngx_shmtx_t *mutex);

/* Gives up this process's slot (exit_process). */
void ngx_mesh_zone_release(ngx_mesh_zone_t *zone, ngx_shmtx_t *mutex,
    ngx_int_t slot);


#endif /* _NGX_MESH_ZONE_H_INCLUDED_ */
