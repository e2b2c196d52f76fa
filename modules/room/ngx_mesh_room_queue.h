/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What a connection still has to get: references to frames that are encoded
 * once for all.
 */


#ifndef _NGX_MESH_ROOM_QUEUE_H_INCLUDED_
#define _NGX_MESH_ROOM_QUEUE_H_INCLUDED_


#include "ngx_mesh_room.h"
#include "ws_frame.h"


/* One whole WebSocket frame, encoded once and shared (counted). */
typedef struct {
    ngx_uint_t                       refs;
    size_t                           head_len;   /* bytes before payload */
    size_t                           len;        /* bytes in all */
    u_char                           data[];
} ngx_mesh_room_frame_t;


typedef struct ngx_mesh_room_queue_entry_s  ngx_mesh_room_queue_entry_t;

struct ngx_mesh_room_queue_entry_s {
    ngx_mesh_room_queue_entry_t     *next;
    ngx_mesh_room_frame_t           *frame;      /* shared: one reference */
};


/* What a connection still has to get, oldest first. */
typedef struct {
    ngx_mesh_room_queue_entry_t     *first;
    ngx_mesh_room_queue_entry_t     *last;
    size_t                           sent;       /* bytes of the first */
    size_t                           bytes;      /* still to be sent */
} ngx_mesh_room_queue_t;


/* A frame around a payload, with one reference; NULL: no memory. */
ngx_mesh_room_frame_t *ngx_mesh_room_queue_frame(ngx_log_t *log,
    ws_frame_opcode_t opcode, bytes_t payload);
ngx_mesh_room_frame_t *ngx_mesh_room_queue_close_frame(ngx_log_t *log,
    uint16_t code, bytes_t reason);

/* Gives one reference back. */
void ngx_mesh_room_queue_release(ngx_mesh_room_frame_t *frame);

/* Adds one reference.  NGX_OK, NGX_ERROR: no memory. */
ngx_int_t ngx_mesh_room_queue_add(ngx_mesh_room_hub_t *hub,
    ngx_mesh_room_queue_t *queue, ngx_mesh_room_frame_t *frame);

/* Drops what has not begun to be sent. */
void ngx_mesh_room_queue_cut(ngx_mesh_room_hub_t *hub,
    ngx_mesh_room_queue_t *queue);

/* Drops everything. */
void ngx_mesh_room_queue_clear(ngx_mesh_room_hub_t *hub,
    ngx_mesh_room_queue_t *queue);

/* Writes as much as the socket takes.  NGX_OK: all; NGX_AGAIN: the write
   event will tell; NGX_ERROR: the connection is broken. */
ngx_int_t ngx_mesh_room_queue_flush(ngx_mesh_room_hub_t *hub,
    ngx_mesh_room_queue_t *queue, ngx_connection_t *c);


#endif /* _NGX_MESH_ROOM_QUEUE_H_INCLUDED_ */
