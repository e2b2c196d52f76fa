/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The live side: connections of this worker, the rooms they are in, and what
 * they still have to get.
 *
 *     connection --< subscription >-- room of the hub
 *         |
 *         queue of frames (shared, counted)
 *
 * One event loop owns all of it.  Invariants:
 *
 * 1. A subscription that is live has delivered >= the room's delivered, and
 *    gets each later seq once, in order.
 * 2. A room that is ready has handed every seq up to "delivered" to the live
 *    subscriptions; what came early waits in "early", by seq.
 * 3. A connection is taken apart in one place, at the end of the turn, never
 *    while a room's subscriptions are walked or its frames are read: whoever
 *    finds it unfit there marks it by ngx_mesh_room_connection_fail().
 * 4. A job that may outlive its subscription or connection has its data set
 *    to NULL by them.
 */


#ifndef _NGX_MESH_ROOM_HUB_H_INCLUDED_
#define _NGX_MESH_ROOM_HUB_H_INCLUDED_


#include "ngx_mesh_room_queue.h"


#define NGX_MESH_ROOM_HUB_EARLY_MAX    1024   /* messages before their turn */
#define NGX_MESH_ROOM_HUB_PAGE         100    /* messages of one read */
#define NGX_MESH_ROOM_HUB_INBOX_PAGE   16
#define NGX_MESH_ROOM_HUB_READS_MAX    16     /* rooms that read at once */
#define NGX_MESH_ROOM_BACKFILL_MAX     10000  /* messages of one "since" */
#define NGX_MESH_ROOM_MEMBERS_SHOWN    200    /* in one room_joined */
#define NGX_MESH_ROOM_SENDS_MAX        64     /* of a connection under way */
#define NGX_MESH_ROOM_INPUT_SIZE       32768  /* bytes of one recv() */


/* The members of a frame unescaped, and once more what an error refers to. */
#define NGX_MESH_ROOM_SCRATCH_SIZE(mcf)                                      \
    ((mcf)->frame_size + NGX_MESH_ROOM_CLIENT_ID_MAX)


typedef struct ngx_mesh_room_hub_room_s      ngx_mesh_room_hub_room_t;
typedef struct ngx_mesh_room_subscription_s  ngx_mesh_room_subscription_t;


/* One connection in one room.  Owned by the connection. */
struct ngx_mesh_room_subscription_s {
    ngx_mesh_room_connection_t      *connection;
    ngx_mesh_room_hub_room_t        *room;
    uint64_t                         delivered;  /* last seq it got */
    ngx_uint_t                       index;      /* in the room's array */
    ngx_queue_t                      queue;      /* in the connection's */
    ngx_mesh_store_job_t            *job;        /* under way; its data is
                                                    this */
    uint64_t                         since;      /* what the client asked */
    u_char                           other[ID_LEN];  /* of a direct room */

    unsigned                         live:1;     /* gets what is delivered */
    unsigned                         joined:1;   /* room_joined was sent */
    unsigned                         resume:1;   /* since is set */
    unsigned                         member:1;   /* else reads only */
    unsigned                         present:1;  /* counted in presence */
    unsigned                         direct:1;   /* room of two */
    unsigned                         check:1;    /* membership to be read */
};


/* A topic with subscriptions on this worker: a room, or the inbox of a
   participant.  Owned by the hub, gone with its last subscription. */
struct ngx_mesh_room_hub_room_s {
    ngx_str_node_t                   sn;         /* str: id below */
    u_char                           id[ID_LEN];
    ngx_mesh_room_hub_t             *hub;
    uint64_t                         delivered;
    ngx_mesh_room_subscription_t   **subscriptions;   /* dense */
    ngx_uint_t                       count;
    ngx_uint_t                       size;
    ngx_queue_t                      early;      /* by seq */
    ngx_uint_t                       early_count;
    ngx_queue_t                      queue;      /* in hub->behind */
    ngx_mesh_store_job_t            *job;        /* reads what is missing */
    ngx_uint_t                       tries;      /* reads that brought none */

    unsigned                         ready:1;    /* delivered is known */
    unsigned                         inbox:1;
    unsigned                         behind:1;   /* in hub->behind */
    unsigned                         resync:1;   /* read, hole or not */
    unsigned                         lost:1;     /* early ones were dropped */
};


struct ngx_mesh_room_hub_s {
    ngx_http_mesh_room_main_conf_t  *mcf;
    ngx_log_t                       *log;

    ngx_rbtree_t                     rooms;
    ngx_rbtree_node_t                rooms_sentinel;
    ngx_queue_t                      behind;     /* rooms that must read */
    ngx_uint_t                       reads;      /* of them under way */
    ngx_event_t                      hole;       /* timer: read now */

    ngx_rbtree_t                     waits;      /* topics of waiters */
    ngx_rbtree_node_t                waits_sentinel;
    ngx_queue_t                      waiters;

    ngx_mesh_room_connection_t     **connections;    /* dense */
    ngx_uint_t                       count;
    ngx_uint_t                       size;
    ngx_uint_t                       turn;       /* next one to be looked at */
    ngx_uint_t                       leaving;    /* to be closed a tick */
    ngx_event_t                      tick;

    ngx_queue_t                      dirty;      /* connections to flush */
    ngx_event_t                      flush;

    ngx_mesh_room_queue_entry_t     *entries;    /* free ones */
    ngx_uint_t                       entry_count;
    u_char                          *input;      /* what recv() reads into */
    u_char                          *message;    /* what frames yield */
    u_char                          *scratch;    /* unescaped members */
    void                            *presence;   /* ngx_mesh_room_presence.c */
};


/* In init_process: the hub of this worker, listening on the ring. */
ngx_int_t ngx_mesh_room_hub_init(ngx_cycle_t *cycle,
    ngx_http_mesh_room_main_conf_t *mcf);

/* Makes room for a subscription of the connection to a topic of ID_LEN
   characters; it gets nothing before ngx_mesh_room_hub_start().  NULL: no
   memory. */
ngx_mesh_room_subscription_t *ngx_mesh_room_hub_add(ngx_mesh_room_hub_t *hub,
    ngx_mesh_room_connection_t *mc, bytes_t topic);

/* The connection's subscription to a topic, or NULL. */
ngx_mesh_room_subscription_t *ngx_mesh_room_hub_find(
    ngx_mesh_room_connection_t *mc, bytes_t topic);

/* The room of a topic on this worker, or NULL. */
ngx_mesh_room_hub_room_t *ngx_mesh_room_hub_room(ngx_mesh_room_hub_t *hub,
    bytes_t topic);

/* The store said that head was the room's last seq, after the subscription
   was added; deliveries to it begin behind "after". */
void ngx_mesh_room_hub_start(ngx_mesh_room_subscription_t *sub,
    uint64_t head, uint64_t after);

/* Takes a subscription out and frees it, with the room if it was the last. */
void ngx_mesh_room_hub_remove(ngx_mesh_room_subscription_t *sub);

/* Goes live when nothing is missing: NGX_OK; NGX_AGAIN: messages behind
   sub->delivered must be read first. */
ngx_int_t ngx_mesh_room_hub_live(ngx_mesh_room_subscription_t *sub);

/* Sends a text frame to all connections in a room, but those of a
   participant (may be empty). */
void ngx_mesh_room_hub_tell(ngx_mesh_room_hub_room_t *room, bytes_t payload,
    bytes_t except);

/* Hands a message to the live subscriptions of a room, next in its order. */
void ngx_mesh_room_hub_deliver(ngx_mesh_room_hub_room_t *room, uint64_t seq,
    ngx_mesh_room_frame_t *frame);

/* Delivers what waited for its turn. */
void ngx_mesh_room_hub_drain(ngx_mesh_room_hub_room_t *room);

/* seq of the first message that waits; 0: none. */
uint64_t ngx_mesh_room_hub_early(ngx_mesh_room_hub_room_t *room);


#endif /* _NGX_MESH_ROOM_HUB_H_INCLUDED_ */
