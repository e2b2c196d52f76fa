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


#define NGX_MESH_WAKE_NOTICE_MAX  (1024 * 1024)    /* bytes of one notice */
#define NGX_MESH_WAKE_TOPIC_MAX   64               /* bytes */


typedef enum {
    NGX_MESH_WAKE_RESYNC = 0,     /* something was missed: read the store */
    NGX_MESH_WAKE_MESSAGE,        /* topic: room; seq; payload: JSON text */
    NGX_MESH_WAKE_PRESENCE,       /* topic: room; payload: JSON text */
    NGX_MESH_WAKE_ROOM,           /* topic: room; it changed or was deleted */
    NGX_MESH_WAKE_MEMBER,         /* topic: room; membership changed */
    NGX_MESH_WAKE_KINDS
} ngx_mesh_wake_kind_t;


/* payload and topic borrow from a buffer that dies after the handler. */
typedef struct {
    ngx_mesh_wake_kind_t  kind;
    ngx_int_t             slot;   /* of the sender; -1: nobody */
    uint64_t              seq;
    ngx_str_t             topic;
    ngx_str_t             payload;
} ngx_mesh_wake_notice_t;


typedef void (*ngx_mesh_wake_handler_pt)(void *data,
    ngx_mesh_wake_notice_t *notice);


struct ngx_mesh_wake_s {
    /* Tells every worker.  NGX_OK; NGX_ERROR: too large or not open. */
    ngx_int_t   (*publish)(ngx_mesh_wake_t *wake,
        ngx_mesh_wake_notice_t *notice);

    /* Called in init_process: every notice of this worker from now on.
       RESYNC goes to all handlers whatever kind they asked for.  NGX_OK,
       NGX_ERROR. */
    ngx_int_t   (*listen)(ngx_mesh_wake_t *wake, ngx_mesh_wake_kind_t kind,
        ngx_mesh_wake_handler_pt handler, void *data);

    ngx_int_t     slot;           /* of this worker; set in init_process */
    void         *private;
};


#endif /* _NGX_MESH_WAKE_H_INCLUDED_ */
