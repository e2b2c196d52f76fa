/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * One WebSocket connection on its worker.
 */


#ifndef _NGX_MESH_ROOM_CONNECTION_H_INCLUDED_
#define _NGX_MESH_ROOM_CONNECTION_H_INCLUDED_


#include "ngx_mesh_room_hub.h"


struct ngx_mesh_room_connection_s {
    /* what a delivery touches, in two lines of the processor's cache */

    ngx_connection_t                *connection;
    ngx_mesh_room_hub_t             *hub;
    ngx_http_mesh_room_loc_conf_t   *lcf;
    ngx_mesh_room_queue_t            queue;
    ngx_queue_t                      dirty;      /* in hub->dirty */

    unsigned                         fresh:1;    /* nginx still has it */
    unsigned                         dirtied:1;  /* in hub->dirty */
    unsigned                         failed:1;   /* to be closed at once */
    unsigned                         closing:1;  /* our close frame is out */
    unsigned                         closed:1;   /* the peer's came */
    unsigned                         asked:1;    /* a ping is unanswered */
    unsigned                         opening:1;  /* a token is being checked */
    unsigned                         open:1;     /* authenticated */
    unsigned                         resuming:1; /* some room is not live */

    ngx_queue_t                      subscriptions;
    ngx_uint_t                       rooms;      /* of them, inbox aside */
    ngx_mesh_room_subscription_t    *inbox;

    ngx_http_request_t              *request;    /* until authenticated */
    ngx_http_cleanup_t              *cleanup;    /* of that request */
    ngx_http_mesh_room_main_conf_t  *mcf;
    ngx_pool_t                      *pool;       /* owned: who it is */
    ngx_mesh_principal_t            *principal;
    ngx_mesh_room_participant_t     *participant;

    ngx_uint_t                       index;      /* in hub->connections */
    ngx_queue_t                      sends;      /* under way */
    ngx_uint_t                       send_count;
    ngx_mesh_store_job_t            *job;        /* of authentication */

    ngx_msec_t                       opened;
    ngx_msec_t                       heard;      /* last byte from it */
    ngx_msec_t                       pinged;
    ngx_msec_t                       deadline;   /* when closing */
    ngx_msec_t                       rate_time;
    ngx_uint_t                       rate_left;

    ws_frame_parser_t                parser;
    u_char                          *assembly;   /* owned; part of a message */
    u_char                          *held;       /* owned; bytes to be read */
    size_t                           held_len;
};


/* A verb whose message is being stored.  In the job's pool. */
typedef struct {
    ngx_queue_t                      queue;      /* in mc->sends */
    ngx_mesh_room_connection_t      *connection;
    ngx_mesh_store_job_t            *job;        /* its data: this */
    ngx_str_t                        ref;        /* clientId, or what else an
                                                    error refers to */
    ngx_uint_t                       client;     /* 1: it is the clientId */
} ngx_mesh_room_call_t;


/* In init_process. */
void ngx_mesh_room_connection_init(ngx_mesh_room_hub_t *hub);

/* Takes over the connection of an upgraded request, whose 101 was sent; it
   begins when the caller's stack is gone.  The request's count was taken by
   the caller.  token and proofs (may be empty) are in r->pool.  NGX_OK;
   NGX_ERROR: the caller finalizes the request. */
ngx_int_t ngx_mesh_room_connection_open(ngx_http_request_t *r,
    ngx_str_t *token, ngx_str_t *proofs);

/* Queue a text frame, or a frame (adds a reference); a connection that owes
   too much is failed with 1013. */
void ngx_mesh_room_connection_send(ngx_mesh_room_connection_t *mc,
    bytes_t payload);
void ngx_mesh_room_connection_send_frame(ngx_mesh_room_connection_t *mc,
    ngx_mesh_room_frame_t *frame);

/* Says why something was refused.  detail NULL: the problem's title; ref may
   be empty, command NULL. */
void ngx_mesh_room_connection_error(ngx_mesh_room_connection_t *mc,
    problem_t problem, const char *detail, bytes_t ref, const char *command);

/* The same for a no of ngx_mesh_room_access_*(), with its line in the log. */
void ngx_mesh_room_connection_refuse(ngx_mesh_room_connection_t *mc,
    ngx_mesh_room_refusal_t *refusal, bytes_t ref);

/* Sends a close frame behind what is queued (1013: in its place), and takes
   no more verbs.  May be called while a room is walked. */
void ngx_mesh_room_connection_fail(ngx_mesh_room_connection_t *mc,
    uint16_t code, const char *reason);

/* Authentication is through: the request has served, its memory is released
   and its log line written. */
void ngx_mesh_room_connection_settle(ngx_mesh_room_connection_t *mc);

/* It is broken, or its time is up: to be closed at the end of the turn. */
void ngx_mesh_room_connection_break(ngx_mesh_room_connection_t *mc);

/* Something is to be done for it at the end of the turn. */
void ngx_mesh_room_connection_post(ngx_mesh_room_connection_t *mc);


#endif /* _NGX_MESH_ROOM_CONNECTION_H_INCLUDED_ */
