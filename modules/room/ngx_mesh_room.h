/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The room module's internal contracts: what its files promise each other.
 *
 * Everything here lives on the event loop of one worker; only the presence
 * table is shared memory, and only _presence.c knows its layout.  Calls go
 * down the list of files (socket, verb, access, history, message, hub,
 * queue); what comes back up comes by the pointer that was given away.
 */


#ifndef _NGX_MESH_ROOM_H_INCLUDED_
#define _NGX_MESH_ROOM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_origin.h"
#include "ngx_mesh_principal.h"
#include "ngx_mesh_store.h"
#include "ngx_mesh_wake.h"
#include "cursor.h"
#include "id.h"
#include "problem.h"
#include "record.h"


#define NGX_MESH_ROOM_NAME_MAX       RECORD_NAME_MAX   /* code points */
#define NGX_MESH_ROOM_TOPIC_MAX      512               /* bytes */
#define NGX_MESH_ROOM_CLIENT_ID_MAX  128               /* bytes */
#define NGX_MESH_ROOM_RECORD_MAX     8192              /* bytes, one record */
#define NGX_MESH_ROOM_MEMBERS_MAX    STORE_LIMIT_MAX   /* in one answer */
#define NGX_MESH_ROOM_WAIT_MAX       256               /* topics of a waiter */

/* Bytes that the wire adds to a stored message, and the most that a stored
   message has beside its content: type, seq, ids, names, time. */
#define NGX_MESH_ROOM_MESSAGE_EXTRA  64
#define NGX_MESH_ROOM_MESSAGE_MORE   4096


typedef struct ngx_mesh_room_hub_s         ngx_mesh_room_hub_t;
typedef struct ngx_mesh_room_connection_s  ngx_mesh_room_connection_t;
typedef struct ngx_mesh_room_participants_s
    ngx_mesh_room_participants_t;


/* Configuration ---------------------------------------------------------- */

typedef struct {
    ngx_shm_zone_t            *zone;           /* presence; NULL: not kept */
    ngx_str_t                  cursor_key_path;
    u_char                     cursor_key[CURSOR_KEY_LEN];
    size_t                     frame_size;     /* bytes, largest of all */
    ngx_uint_t                 used;           /* a location has the module */

    /* of this worker, from init_process on; NULL in the master */
    ngx_mesh_principal_api_t  *principal;
    ngx_mesh_store_t          *store;
    ngx_mesh_room_hub_t       *hub;
    ngx_mesh_room_participants_t  *participants;
    ngx_log_t                 *log;
} ngx_http_mesh_room_main_conf_t;


typedef struct {
    ngx_flag_t                 rest;           /* mesh_room */
    ngx_flag_t                 socket;         /* mesh_room_socket */
    size_t                     message_size;   /* bytes of content */
    size_t                     frame_size;     /* bytes of a client's frame */
    size_t                     queue_size;     /* bytes a connection owes */
    ngx_msec_t                 auth_timeout;
    ngx_msec_t                 ping_interval;
    ngx_uint_t                 rate;           /* frames a second; 0: any */
    ngx_uint_t                 join_max;       /* rooms of a connection */
    ngx_uint_t                 connections;    /* of a participant, worker */
    ngx_mesh_origin_t          origin;         /* checked also on writes */
} ngx_http_mesh_room_loc_conf_t;


extern ngx_module_t  ngx_http_mesh_room_module;


/* Records (ngx_mesh_room_record.c) --------------------------------------- */

typedef enum {
    NGX_MESH_ROOM_PUBLIC = 0,
    NGX_MESH_ROOM_PRIVATE
} ngx_mesh_room_visibility_t;


/* rooms: room/<id>.  Views borrow from the text that was read. */
typedef struct {
    bytes_t                     id;            /* r_... */
    bytes_t                     name;          /* empty: a direct room */
    ngx_uint_t                  direct;        /* kind "dm"; else "room" */
    ngx_mesh_room_visibility_t  visibility;
    bytes_t                     created_by;    /* p_... */
    int64_t                     created_ms;
    bytes_t                     topic;         /* may be empty */
} ngx_mesh_room_record_t;


/* <r_id>: member/<p_id> */
typedef struct {
    bytes_t                     id;            /* p_... */
    bytes_t                     name;
    ngx_uint_t                  owner;         /* role "owner"; else member */
    int64_t                     joined_ms;
} ngx_mesh_room_member_t;


/* Write the stored JSON, which is also the JSON of the API; w->failed when
   there is no room. */
void ngx_mesh_room_record_write(bytes_writer_t *w,
    const ngx_mesh_room_record_t *room);
void ngx_mesh_room_record_member_write(bytes_writer_t *w,
    const ngx_mesh_room_member_t *member);

/* Read stored JSON in place; strings that need unescaping go to scratch
   (never more than json.len bytes).  NGX_OK, NGX_ERROR: no such record. */
ngx_int_t ngx_mesh_room_record_read(ngx_mesh_room_record_t *room,
    bytes_t json, bytes_writer_t *scratch);
ngx_int_t ngx_mesh_room_record_member_read(ngx_mesh_room_member_t *member,
    bytes_t json, bytes_writer_t *scratch);

/* The id of the direct room of two participants, the same for both orders:
   ID_LEN characters.  It sorts behind every other room id. */
void ngx_mesh_room_record_direct_id(u_char *out, bytes_t a, bytes_t b);

/* 1 when id is one that ngx_mesh_room_record_direct_id() makes. */
ngx_uint_t ngx_mesh_room_record_direct(bytes_t id);

/* A key "<kind>/<a>[/<b>]" copied into pool; empty when out of memory. */
bytes_t ngx_mesh_room_record_key(ngx_pool_t *pool, const char *kind,
    bytes_t a, bytes_t b);

/* A copy of text in pool; data is NULL when out of memory. */
bytes_t ngx_mesh_room_record_copy(ngx_pool_t *pool, bytes_t text);

/* The operations that make somebody a member of an existing room:
   NGX_MESH_ROOM_JOIN_OPS of them, texts in pool.  Operation 0 checks that the
   room is there, operation 1 that it was no member yet.  head is the room's
   last seq: where what the new member has not read begins.  NGX_OK,
   NGX_ERROR: no memory. */
#define NGX_MESH_ROOM_JOIN_OPS  4

ngx_int_t ngx_mesh_room_record_join_ops(ngx_pool_t *pool, store_op_t *ops,
    bytes_t room, const ngx_mesh_room_member_t *member, uint64_t head);

/* The operations that end a membership: NGX_MESH_ROOM_LEAVE_OPS of them.
   Operation 0 checks that there is one. */
#define NGX_MESH_ROOM_LEAVE_OPS  3

ngx_int_t ngx_mesh_room_record_leave_ops(ngx_pool_t *pool, store_op_t *ops,
    bytes_t room, bytes_t participant);

/* rooms: read/<p_id>/<r_id>, a seq in decimal: up to where a participant has
   read.  Writes at most NGX_MESH_ROOM_SEQ_LEN characters; reads them, 0 when
   they are no number. */
#define NGX_MESH_ROOM_SEQ_LEN  20

void ngx_mesh_room_record_seq_write(bytes_writer_t *w, uint64_t seq);
uint64_t ngx_mesh_room_record_seq_read(bytes_t text);


/* Participants (ngx_mesh_room_participant.c) ----------------------------- */

/* Who a DID is, as identity's record says.  Owned by whoever copied it. */
typedef struct {
    ngx_str_t                   id;            /* p_... */
    ngx_str_t                   did;
    ngx_str_t                   name;
    ngx_str_t                   role;
} ngx_mesh_room_participant_t;


/* participant borrows until the call returns; NULL: problem says why
   (not-a-participant, busy, store-down). */
typedef void (*ngx_mesh_room_participant_pt)(void *data,
    const ngx_mesh_room_participant_t *participant, problem_t problem);


/* The cache of this worker (init_process); NULL: no memory. */
ngx_mesh_room_participants_t *ngx_mesh_room_participant_init(
    ngx_pool_t *pool);

/* Finds the participant behind a DID.  NGX_OK: then() was called, from the
   cache, on this stack.  NGX_AGAIN: then() will be called, unless *job->data
   is set to NULL before (ngx_mesh_job_attach(r, &job->data)).  NGX_BUSY and
   NGX_ERROR: then() will not be called. */
ngx_int_t ngx_mesh_room_participant_get(ngx_http_mesh_room_main_conf_t *mcf,
    ngx_str_t *did, ngx_mesh_room_participant_pt then, void *data,
    ngx_mesh_store_job_t **job);

/* A deep copy in pool, or NULL. */
ngx_mesh_room_participant_t *ngx_mesh_room_participant_copy(ngx_pool_t *pool,
    const ngx_mesh_room_participant_t *participant);


/* Access (ngx_mesh_room_access.c) ---------------------------------------- */

/* A no: what the client is told, and the command it lacked (static, may be
   NULL). */
typedef struct {
    problem_t                   problem;
    ucan_verdict_t              verdict;       /* UCAN_OK: not about that */
    const char                 *command;
} ngx_mesh_room_refusal_t;


/* May the principal use command on the room (or, for "/dm/send", towards the
   participant) of that id?  An empty id asks without an argument.  NGX_OK;
   NGX_DECLINED and *refusal (401 for a session that ended, else 403). */
ngx_int_t ngx_mesh_room_access_allow(ngx_http_mesh_room_main_conf_t *mcf,
    ngx_mesh_principal_t *principal, const char *command, bytes_t id,
    ngx_mesh_room_refusal_t *refusal);

/* Somebody before a room. */
typedef struct {
    const ngx_mesh_room_record_t  *room;
    const ngx_mesh_room_member_t  *member;     /* NULL: is none */
    bytes_t                        other;      /* the other party of a direct
                                                  room; else empty */
} ngx_mesh_room_sight_t;


/* The rules of reading a room: capability, and membership when it is private;
   what may not be seen is not-found.  In a direct room "/dm/send" towards
   the other party is asked for.  As above. */
ngx_int_t ngx_mesh_room_access_read(ngx_http_mesh_room_main_conf_t *mcf,
    ngx_mesh_principal_t *principal, const ngx_mesh_room_sight_t *sight,
    ngx_mesh_room_refusal_t *refusal);


/* Messages (ngx_mesh_room_message.c) ------------------------------------- */

/* What is stored: a message without type and seq. */
typedef struct {
    bytes_t                     id;            /* m_... */
    bytes_t                     room;
    bytes_t                     sender;        /* p_... */
    bytes_t                     sender_name;
    bytes_t                     content;
    bytes_t                     reply_to;      /* m_..., or empty */
    bytes_t                     to;            /* p_...: direct; or empty */
    int64_t                     ms;
} ngx_mesh_room_message_t;


/* Writes the stored form. */
void ngx_mesh_room_message_store_write(bytes_writer_t *w,
    const ngx_mesh_room_message_t *message);

/* Writes the form of the wire, {"type":"message","seq":N,...}, from the
   stored one: stored.len + NGX_MESH_ROOM_MESSAGE_EXTRA bytes at most. */
void ngx_mesh_room_message_write(bytes_writer_t *w, uint64_t seq,
    bytes_t stored);

/* The same into pool; data is NULL when out of memory. */
bytes_t ngx_mesh_room_message_encode(ngx_pool_t *pool, uint64_t seq,
    bytes_t stored);

/* 1 when the stored message mentions "@name", whatever the case of ASCII
   letters, with no letter, digit, "_" or "-" on either side.  A sender does
   not mention itself: senderId equal to id gives 0.  scratch needs room for
   stored.len bytes and is left as it was. */
ngx_uint_t ngx_mesh_room_message_mention(bytes_t stored, bytes_t name,
    bytes_t id, bytes_writer_t *scratch);


/* History (ngx_mesh_room_history.c) -------------------------------------- */

/* What somebody wants to say; borrowed for the call, copied by it. */
typedef struct {
    ngx_str_t                   room;          /* r_...; empty: direct */
    ngx_str_t                   to;            /* p_... when direct */
    ngx_str_t                   sender;        /* p_... */
    ngx_str_t                   sender_name;
    ngx_str_t                   content;
    ngx_str_t                   client_id;     /* empty: none */
    ngx_str_t                   reply_to;      /* empty: none */
} ngx_mesh_room_draft_t;


/* What became of it; borrowed until the callback returns. */
typedef struct {
    problem_t                   problem;       /* PROBLEM_COUNT: none */
    ngx_uint_t                  repeat;        /* client_id was known */
    uint64_t                    seq;
    ngx_str_t                   id;            /* m_... */
    ngx_str_t                   room;          /* r_... */
    ngx_str_t                   message;       /* JSON as on the wire */
} ngx_mesh_room_sent_t;

typedef void (*ngx_mesh_room_sent_pt)(void *data,
    ngx_mesh_room_sent_t *sent);


/* Stores a message of a member and, once it is on disk, tells all workers.
   Membership is checked in the writing transaction; the caller has asked
   "/room/send" or "/dm/send" before, and refused an id of a direct room in
   "room".  A known client_id gives the stored message and tells nobody.
   NGX_OK: then() will be called unless (*job)->data is set to NULL before;
   the message is stored and told in any case.  NGX_BUSY, NGX_ERROR: nothing
   happened.  job may be NULL. */
ngx_int_t ngx_mesh_room_history_append(ngx_http_mesh_room_main_conf_t *mcf,
    ngx_mesh_room_draft_t *draft, ngx_mesh_room_sent_pt then, void *data,
    ngx_mesh_store_job_t **job);

/* rows borrow until the callback returns; rc: STORE_OK or why not. */
typedef void (*ngx_mesh_room_rows_pt)(void *data, store_rc_t rc,
    store_rows_t *rows);

/* Reads entries of a room with seq in (after, before), at most limit, lowest
   first, or highest first when reverse; before 0: no bound.  The result as
   of ngx_mesh_room_history_append(). */
typedef struct {
    ngx_str_t                   room;
    uint64_t                    after;
    uint64_t                    before;
    ngx_uint_t                  limit;
    ngx_uint_t                  reverse;
} ngx_mesh_room_query_t;

ngx_int_t ngx_mesh_room_history_read(ngx_http_mesh_room_main_conf_t *mcf,
    ngx_mesh_room_query_t *query, ngx_mesh_room_rows_pt then, void *data,
    ngx_mesh_store_job_t **job);

/* The problem for a failure of the store. */
problem_t ngx_mesh_room_history_problem(store_rc_t rc);


/* Hub (ngx_mesh_room_hub.c) ---------------------------------------------- */

/* Tell all workers, after the commit.  participant: whose membership changed;
   empty: anyone's. */
void ngx_mesh_room_hub_tell_member(ngx_http_mesh_room_main_conf_t *mcf,
    ngx_str_t *room, ngx_str_t *participant);
void ngx_mesh_room_hub_tell_room(ngx_http_mesh_room_main_conf_t *mcf,
    ngx_str_t *room);


/* Waiting (ngx_mesh_room_wait.c) ----------------------------------------- */

/* Somebody (a long poll) who wants to know when something happens in rooms,
   or to a participant (direct messages, membership), of those topics. */
typedef struct {
    void                      (*wake)(void *data);
    void                       *data;
    ngx_queue_t                 queue;         /* private */
    void                       *entries;       /* private, in pool */
    ngx_uint_t                  count;         /* private */
    unsigned                    waiting:1;     /* private; starts as 0 */
} ngx_mesh_room_waiter_t;

/* Waits for the first notice of any topic (r_... or p_...): wake() is called
   once, later, and the waiter is out by then.  Also called when a notice may
   have been missed and when the worker is told to quit (ngx_exiting).  Wait
   first, read the store after, so that nothing falls between.  NGX_OK;
   NGX_ERROR: no memory or more than NGX_MESH_ROOM_WAIT_MAX topics. */
ngx_int_t ngx_mesh_room_wait_add(ngx_http_mesh_room_main_conf_t *mcf,
    ngx_mesh_room_waiter_t *waiter, ngx_pool_t *pool, ngx_str_t *topics,
    ngx_uint_t count);

/* Takes a waiter out; harmless when it is out already. */
void ngx_mesh_room_wait_remove(ngx_mesh_room_waiter_t *waiter);


/* Presence (ngx_mesh_room_presence.c) ------------------------------------ */

/* 1 when the participant has a connection in the room on any worker. */
ngx_uint_t ngx_mesh_room_presence_online(ngx_http_mesh_room_main_conf_t *mcf,
    bytes_t room, bytes_t participant);


/* REST (ngx_mesh_room_rest.c, ngx_mesh_room_poll.c) ---------------------- */

/* Content handlers of "mesh_room on" and "mesh_room_socket on". */
ngx_int_t ngx_mesh_room_rest_handler(ngx_http_request_t *r);
ngx_int_t ngx_mesh_room_socket_handler(ngx_http_request_t *r);


#endif /* _NGX_MESH_ROOM_H_INCLUDED_ */
