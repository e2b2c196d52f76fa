/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The ring of notices: how a worker tells all workers, of old and new
 * generations, itself included.
 *
 * One byte ring in a shared zone; each worker reads it with a cursor of its
 * own.  Appended to under the zone's mutex (the only kind of lock that the
 * master opens again when its holder is killed); a notice becomes visible
 * when the head moves, last.  A reader that was overrun, or that is told of
 * a dead worker, gets NGX_MESH_WAKE_RESYNC and must read the store.  One
 * eventfd a slot, made in the master before the fork and kept over reloads.
 *
 * Knows sizes and kinds, not contents.  The storage module owns it; others
 * reach it through ngx_mesh_store(cycle)->wake.
 */


#ifndef _NGX_MESH_WAKE_H_INCLUDED_
#define _NGX_MESH_WAKE_H_INCLUDED_


#include "ngx_mesh_store.h"
#include "ngx_mesh_zone.h"


#define NGX_MESH_WAKE_NOTICE_MAX     (1024 * 1024)    /* bytes of a notice */
#define NGX_MESH_WAKE_TOPIC_MAX      192              /* bytes */
#define NGX_MESH_WAKE_LISTENERS_MAX  16               /* in a worker */
#define NGX_MESH_WAKE_SEQ_ANY        UINT64_MAX
#define NGX_MESH_WAKE_SIZE_MIN       (4 * 1024 * 1024)   /* of the zone */


typedef enum {
    NGX_MESH_WAKE_RESYNC = 0,     /* something was missed: read the store;
                                     bit i of seq: the worker of slot i died */
    NGX_MESH_WAKE_MESSAGE,        /* topic: room; seq; payload: JSON text */
    NGX_MESH_WAKE_PRESENCE,       /* topic: room; payload: JSON text */
    NGX_MESH_WAKE_ROOM,           /* topic: room; it changed or was deleted */
    NGX_MESH_WAKE_MEMBER,         /* topic: room; membership changed */
    NGX_MESH_WAKE_CHANGE,         /* topic: namespace of the store that has
                                     changes up to seq (SEQ_ANY: it was
                                     dropped, or seq is not known); empty:
                                     any may have */
    NGX_MESH_WAKE_KINDS
} ngx_mesh_wake_kind_t;


/* payload and topic borrow from a buffer that dies after the handler. */
typedef struct {
    ngx_mesh_wake_kind_t  kind;
    ngx_int_t             slot;   /* of the sender, set by publish; -1: of a
                                     reader that was overrun, or no slot */
    uint64_t              seq;
    ngx_str_t             topic;
    ngx_str_t             payload;
} ngx_mesh_wake_notice_t;


typedef void (*ngx_mesh_wake_handler_pt)(void *data,
    ngx_mesh_wake_notice_t *notice);


struct ngx_mesh_wake_s {
    /* Tells every worker.  Never calls a handler itself: those run later,
       this worker's too, so publishing is safe in a handler.  NGX_OK;
       NGX_ERROR: too large or not open. */
    ngx_int_t   (*publish)(ngx_mesh_wake_t *wake,
        ngx_mesh_wake_notice_t *notice);

    /* Called in init_process: every notice of this worker from now on.
       RESYNC goes to all handlers whatever kinds they asked for, once to each
       pair of handler and data.  NGX_OK, NGX_ERROR. */
    ngx_int_t   (*listen)(ngx_mesh_wake_t *wake, ngx_mesh_wake_kind_t kind,
        ngx_mesh_wake_handler_pt handler, void *data);

    /* Bit i: slot i belongs to a worker now.  To be asked under the caller's
       own lock before it throws away what a dead worker left: a new worker
       claims its slot first and cleans up after its predecessor itself. */
    uint64_t    (*slots)(ngx_mesh_wake_t *wake);

    ngx_int_t     slot;           /* of this worker, from init_process on;
                                     -1: more workers than slots, it is not
                                     woken but looks once a second */
    void         *private;
};


/* The rest is for the module that owns the ring. */

/* Declares the zone of that name and size; tag and fds as below.  NULL after
   a line in the log.  fds: NGX_MESH_ZONE_SLOTS descriptors in a static of the
   owner, -1 before the first ngx_mesh_wake_init(). */
ngx_mesh_wake_t *ngx_mesh_wake_create(ngx_conf_t *cf, ngx_str_t *name,
    size_t size, void *tag, ngx_fd_t *fds);

/* In the master, init_module: makes the descriptors that are not there yet.
   They are never closed: workers of later generations must inherit the same
   ones.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_mesh_wake_init(ngx_fd_t *fds, ngx_log_t *log);

/* In a worker, init_process and exit_process.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_mesh_wake_open(ngx_mesh_wake_t *wake, ngx_cycle_t *cycle);
void ngx_mesh_wake_close(ngx_mesh_wake_t *wake);


#endif /* _NGX_MESH_WAKE_H_INCLUDED_ */
