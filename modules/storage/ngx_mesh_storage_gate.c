/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The gate of a node's data, on the event loops of its workers.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_gate.h"
#include "ngx_mesh_wake.h"


#define NGX_MESH_STORAGE_GATE_WATCH  1000    /* ms */
#define NGX_MESH_STORAGE_GATE_LEAVE  500     /* ms to answer what restored */
#define NGX_MESH_STORAGE_GATE_PAGES  8       /* of the zone */


static ngx_int_t ngx_mesh_storage_gate_zone_init(ngx_shm_zone_t *zone,
    void *data);
static void ngx_mesh_storage_gate_bind(ngx_mesh_storage_gate_t *gate);
static void ngx_mesh_storage_gate_resync(void *data,
    ngx_mesh_wake_notice_t *notice);
static void ngx_mesh_storage_gate_watch_handler(ngx_event_t *ev);
static void ngx_mesh_storage_gate_look(ngx_mesh_storage_gate_t *gate);


ngx_int_t
ngx_mesh_storage_gate_create(ngx_conf_t *cf, ngx_mesh_storage_gate_t *gate,
    void *tag)
{
    ngx_str_t        name = ngx_string("mesh_storage_gate");
    ngx_shm_zone_t  *zone;

    zone = ngx_shared_memory_add(cf, &name,
                                 NGX_MESH_STORAGE_GATE_PAGES * ngx_pagesize,
                                 tag);

    if (zone == NULL) {
        return NGX_ERROR;
    }

    zone->init = ngx_mesh_storage_gate_zone_init;
    gate->zone = zone;

    return NGX_OK;
}


/* In the master; data: what the cycle before had, when its zone is kept. */
static ngx_int_t
ngx_mesh_storage_gate_zone_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t                 *shpool;
    ngx_mesh_storage_gate_shared_t  *shared;

    shared = data;

    if (shared == NULL) {
        shpool = (ngx_slab_pool_t *) zone->shm.addr;
        shared = ngx_slab_calloc(shpool,
                                 sizeof(ngx_mesh_storage_gate_shared_t));

        if (shared == NULL) {
            return NGX_ERROR;
        }

        shared->generation = 1;
    }

    zone->data = shared;

    return NGX_OK;
}


void
ngx_mesh_storage_gate_enter(ngx_mesh_storage_gate_t *gate,
    ngx_mesh_wake_t *wake, ngx_log_t *log)
{
    if (gate->zone == NULL || gate->zone->data == NULL || wake == NULL) {
        return;
    }

    gate->shared = gate->zone->data;
    gate->generation = gate->shared->generation;
    gate->writes = NULL;
    gate->wake = wake;
    gate->log = log;

    gate->watch.handler = ngx_mesh_storage_gate_watch_handler;
    gate->watch.data = gate;
    gate->watch.log = log;
    gate->watch.cancelable = 1;

    ngx_add_timer(&gate->watch, NGX_MESH_STORAGE_GATE_WATCH);

    if (wake->listen(wake, NGX_MESH_WAKE_RESYNC, ngx_mesh_storage_gate_resync,
                     gate)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "storage: this worker looks only once a second whether "
                      "the data was restored");
    }
}


void
ngx_mesh_storage_gate_leave(ngx_mesh_storage_gate_t *gate)
{
    if (gate->shared == NULL) {
        return;
    }

    if (gate->watch.timer_set) {
        ngx_del_timer(&gate->watch);
    }

    /* what was accepted is on disk, or lost with this worker */

    if (gate->writes != NULL
        && gate->writes != &gate->shared->writes[NGX_MESH_ZONE_SLOTS])
    {
        *gate->writes = 0;
    }

    gate->shared = NULL;
}


ngx_uint_t
ngx_mesh_storage_gate_shut(const ngx_mesh_storage_gate_t *gate)
{
    const ngx_mesh_storage_gate_shared_t  *shared;

    shared = gate->shared;

    return shared != NULL
           && (shared->holder != 0 || shared->generation != gate->generation);
}


/* Counted first, then looked at the gate; who closes it does the one after
   the other as well, so none slips through. */
ngx_int_t
ngx_mesh_storage_gate_take(ngx_mesh_storage_gate_t *gate)
{
    if (gate->shared == NULL) {
        return NGX_OK;
    }

    if (gate->writes == NULL) {
        ngx_mesh_storage_gate_bind(gate);
    }

    (void) ngx_atomic_fetch_add(gate->writes, 1);

    if (ngx_mesh_storage_gate_shut(gate)) {
        ngx_mesh_storage_gate_release(gate);
        return NGX_BUSY;
    }

    return NGX_OK;
}


void
ngx_mesh_storage_gate_release(ngx_mesh_storage_gate_t *gate)
{
    if (gate->shared != NULL) {
        (void) ngx_atomic_fetch_add(gate->writes, -1);
    }
}


ngx_int_t
ngx_mesh_storage_gate_close(ngx_mesh_storage_gate_t *gate)
{
    if (gate->shared == NULL) {
        return NGX_ERROR;
    }

    if (gate->shared->generation != gate->generation
        || !ngx_atomic_cmp_set(&gate->shared->holder, 0,
                               (ngx_atomic_uint_t) ngx_pid))
    {
        return NGX_BUSY;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_mesh_storage_gate_idle(const ngx_mesh_storage_gate_t *gate)
{
    uint64_t    slots;
    ngx_uint_t  i;

    slots = gate->wake->slots(gate->wake);

    for (i = 0; i < NGX_MESH_ZONE_SLOTS; i++) {

        /* without a worker: what a killed one has left */

        if ((slots & (uint64_t) 1 << i) && gate->shared->writes[i] != 0) {
            return 0;
        }
    }

    return gate->shared->writes[NGX_MESH_ZONE_SLOTS] == 0;
}


void
ngx_mesh_storage_gate_open(ngx_mesh_storage_gate_t *gate,
    ngx_uint_t restored)
{
    ngx_mesh_wake_notice_t  notice;

    if (!restored) {
        gate->shared->holder = 0;
        return;
    }

    gate->leaving = 1;
    (void) ngx_atomic_fetch_add(&gate->shared->generation, 1);
    gate->shared->holder = 0;

    /* not cancelable: it has to leave, quitting or not */

    gate->watch.cancelable = 0;
    ngx_add_timer(&gate->watch, NGX_MESH_STORAGE_GATE_LEAVE);

    ngx_memzero(&notice, sizeof(ngx_mesh_wake_notice_t));
    notice.kind = NGX_MESH_WAKE_RESYNC;

    (void) gate->wake->publish(gate->wake, &notice);
}


/* Not before the ring is open in this worker, which may be later than the
   store. */
static void
ngx_mesh_storage_gate_bind(ngx_mesh_storage_gate_t *gate)
{
    ngx_int_t  slot;

    slot = gate->wake->slot;

    if (slot < 0) {
        gate->writes = &gate->shared->writes[NGX_MESH_ZONE_SLOTS];
        return;
    }

    /* a worker of this slot may have been killed with some under way */

    gate->writes = &gate->shared->writes[slot];
    *gate->writes = 0;
}


static void
ngx_mesh_storage_gate_resync(void *data, ngx_mesh_wake_notice_t *notice)
{
    ngx_mesh_storage_gate_t  *gate = data;

    if (gate->shared != NULL && !gate->leaving) {
        ngx_mesh_storage_gate_look(gate);
    }
}


static void
ngx_mesh_storage_gate_watch_handler(ngx_event_t *ev)
{
    ngx_mesh_storage_gate_t  *gate = ev->data;

    if (gate->writes == NULL) {
        ngx_mesh_storage_gate_bind(gate);
    }

    ngx_mesh_storage_gate_look(gate);

    if (!ngx_terminate) {
        ngx_add_timer(ev, NGX_MESH_STORAGE_GATE_WATCH);
    }
}


static void
ngx_mesh_storage_gate_look(ngx_mesh_storage_gate_t *gate)
{
    ngx_atomic_uint_t                holder;
    ngx_mesh_storage_gate_shared_t  *shared;

    shared = gate->shared;
    holder = shared->holder;

    /* killed while it restored: perhaps it has, so all start again */

    if (holder != 0
        && kill((ngx_pid_t) holder, 0) == -1 && ngx_errno == ESRCH
        && ngx_atomic_cmp_set(&shared->holder, holder,
                              (ngx_atomic_uint_t) ngx_pid))
    {
        ngx_log_error(NGX_LOG_WARN, gate->log, 0,
                      "storage: the worker that restored the data died");

        (void) ngx_atomic_fetch_add(&shared->generation, 1);
        shared->holder = 0;
    }

    if (shared->generation == gate->generation) {
        return;
    }

    if (ngx_process == NGX_PROCESS_SINGLE) {
        gate->generation = shared->generation;
        gate->leaving = 0;
        return;
    }

    if (!ngx_terminate) {
        ngx_log_error(NGX_LOG_NOTICE, gate->log, 0,
                      "storage: the data was restored, this worker starts "
                      "again");
        ngx_terminate = 1;
    }
}
