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


#ifndef _NGX_MESH_ROOM_LIVE_H_INCLUDED_
#define _NGX_MESH_ROOM_LIVE_H_INCLUDED_


#include "ngx_mesh_room.h"
#include "json_scan.h"
#include "ws_frame.h"


#define NGX_MESH_ROOM_HUB_EARLY_MAX    1024   /* messages before their turn */
#define NGX_MESH_ROOM_HUB_PAGE         100    /* messages of one read */
#define NGX_MESH_ROOM_HUB_INBOX_PAGE   STORE_READS_MAX
#define NGX_MESH_ROOM_HUB_READS_MAX    16     /* rooms that read at once */
#define NGX_MESH_ROOM_BACKFILL_MAX     10000  /* messages of one "since" */
#define NGX_MESH_ROOM_MEMBERS_SHOWN    200    /* in one room_joined */
#define NGX_MESH_ROOM_SENDS_MAX        64     /* of a connection under way */
#define NGX_MESH_ROOM_INPUT_SIZE       32768  /* bytes of one recv() */


/* The members of a frame unescaped, and once more what an error refers to. */
#define NGX_MESH_ROOM_SCRATCH_SIZE(mcf)                                      \
    ((mcf)->frame_size + NGX_MESH_ROOM_CLIENT_ID_MAX)


/* Queue (ngx_mesh_room_queue.c) ------------------------------------------ */

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


/* Hub -------------------------------------------------------------------- */

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
    unsigned                         resync:1;   /* read though no hole shows */
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


/* Resync (ngx_mesh_room_resync.c) ---------------------------------------- */

/* The room misses messages: they are read from the store, soon. */
void ngx_mesh_room_resync_add(ngx_mesh_room_hub_room_t *room);

/* The room goes. */
void ngx_mesh_room_resync_remove(ngx_mesh_room_hub_room_t *room);

/* Timer of the hub: starts the reads that are due. */
void ngx_mesh_room_resync_handler(ngx_event_t *ev);


/* Waiting (ngx_mesh_room_wait.c) ----------------------------------------- */

void ngx_mesh_room_wait_init(ngx_mesh_room_hub_t *hub);

/* Wakes the waiters of a topic, or all of them for an empty one. */
void ngx_mesh_room_wait_wake(ngx_mesh_room_hub_t *hub, bytes_t topic);


/* Connection (ngx_mesh_room_connection.c) -------------------------------- */

struct ngx_mesh_room_connection_s {
    ngx_connection_t                *connection;
    ngx_http_request_t              *request;    /* until authenticated */
    ngx_http_cleanup_t              *cleanup;    /* of that request */
    ngx_http_mesh_room_main_conf_t  *mcf;
    ngx_http_mesh_room_loc_conf_t   *lcf;
    ngx_mesh_room_hub_t             *hub;
    ngx_pool_t                      *pool;       /* owned: who it is */
    ngx_mesh_principal_t            *principal;
    ngx_mesh_room_participant_t     *participant;
    ngx_mesh_room_subscription_t    *inbox;

    ngx_mesh_room_queue_t            queue;
    ngx_queue_t                      dirty;      /* in hub->dirty */
    ngx_uint_t                       index;      /* in hub->connections */

    ngx_queue_t                      subscriptions;
    ngx_uint_t                       rooms;      /* of them, inbox aside */
    ngx_queue_t                      sends;      /* under way */
    ngx_uint_t                       send_count;
    ngx_mesh_store_job_t            *job;        /* of authentication */

    ws_frame_parser_t                parser;
    u_char                          *assembly;   /* owned; part of a message */
    u_char                          *held;       /* owned; bytes to be read */
    size_t                           held_len;

    ngx_msec_t                       opened;
    ngx_msec_t                       heard;      /* last byte from it */
    ngx_msec_t                       pinged;
    ngx_msec_t                       deadline;   /* when closing */
    ngx_msec_t                       rate_time;
    ngx_uint_t                       rate_left;

    unsigned                         fresh:1;    /* nginx still has it */
    unsigned                         dirtied:1;  /* in hub->dirty */
    unsigned                         failed:1;   /* to be closed at once */
    unsigned                         closing:1;  /* our close frame is queued */
    unsigned                         closed:1;   /* the peer's came */
    unsigned                         asked:1;    /* a ping is unanswered */
    unsigned                         opening:1;  /* a token is being checked */
    unsigned                         open:1;     /* authenticated */
};


/* A verb whose message is being stored.  In the job's pool. */
typedef struct {
    ngx_queue_t                      queue;      /* in the connection's sends */
    ngx_mesh_room_connection_t      *connection;
    ngx_mesh_store_job_t            *job;        /* its data: this */
    ngx_str_t                        ref;        /* clientId, or what else an
                                                    error refers to */
    ngx_uint_t                       client;     /* 1: it is the clientId */
} ngx_mesh_room_call_t;


/* In init_process. */
void ngx_mesh_room_connection_init(ngx_mesh_room_hub_t *hub);

/* Keeps the worker's clock for connections and waiters going. */
void ngx_mesh_room_connection_watch(ngx_mesh_room_hub_t *hub);

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

/* What kept frames from being read may be over. */
void ngx_mesh_room_connection_resume(ngx_mesh_room_connection_t *mc);


/* Verbs (ngx_mesh_room_verb.c) ------------------------------------------- */

/* Does what one text frame asks for. */
void ngx_mesh_room_verb_run(ngx_mesh_room_connection_t *mc, bytes_t text);


/* Authentication (ngx_mesh_room_login.c) --------------------------------- */

/* Authenticates by a token and proofs (may be empty): says auth_ok, or an
   error and closes. */
void ngx_mesh_room_login(ngx_mesh_room_connection_t *mc, ngx_str_t *token,
    ngx_str_t *proofs);


/* Joining (ngx_mesh_room_join.c) ----------------------------------------- */

/* Joins a room and tells the client; resume: from behind since. */
void ngx_mesh_room_join(ngx_mesh_room_connection_t *mc, bytes_t room,
    ngx_uint_t resume, uint64_t since);

/* Ends a subscription and says so; reason may be NULL. */
void ngx_mesh_room_join_leave(ngx_mesh_room_subscription_t *sub,
    const char *reason);

/* The same in silence, when the connection goes. */
void ngx_mesh_room_join_drop(ngx_mesh_room_subscription_t *sub);

/* Reads on for the subscriptions that are not live, as the queue drains. */
void ngx_mesh_room_join_backfill(ngx_mesh_room_connection_t *mc);

/* Asks the store about the memberships that may have changed. */
void ngx_mesh_room_join_check(ngx_mesh_room_connection_t *mc);

/* Asks the capabilities of all subscriptions again, once a second. */
void ngx_mesh_room_join_allow(ngx_mesh_room_connection_t *mc);


/* Presence (ngx_mesh_room_presence.c) ------------------------------------ */

ngx_int_t ngx_mesh_room_presence_zone_init(ngx_shm_zone_t *zone, void *data);
ngx_int_t ngx_mesh_room_presence_init(ngx_mesh_room_hub_t *hub);

/* A random key of CURSOR_KEY_LEN bytes that lives in the zone. */
void ngx_mesh_room_presence_cursor_key(ngx_http_mesh_room_main_conf_t *mcf,
    u_char *key);

/* Tells the changes that wait, when the worker ends. */
void ngx_mesh_room_presence_flush(ngx_mesh_room_hub_t *hub);

/* A connection of a participant came to a room, or left it; what changes for
   others is told, in batches. */
void ngx_mesh_room_presence_add(ngx_mesh_room_hub_t *hub, bytes_t room,
    bytes_t participant);
void ngx_mesh_room_presence_remove(ngx_mesh_room_hub_t *hub, bytes_t room,
    bytes_t participant);

/* A notice of presence: its frame to the connections of the room. */
void ngx_mesh_room_presence_tell(ngx_mesh_room_hub_room_t *room,
    bytes_t payload);

/* Frees what dead workers left behind. */
void ngx_mesh_room_presence_sweep(ngx_mesh_room_hub_t *hub);


#endif /* _NGX_MESH_ROOM_LIVE_H_INCLUDED_ */
