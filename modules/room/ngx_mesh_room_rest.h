/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What the files of the REST half share: one request from the route to its
 * answer, over any number of jobs.
 *
 * A step returns what finalizes the request, or NGX_DONE when it left the
 * request waiting for a job whose completion is the next step.  Everything is
 * in r->pool; rows of a job die after the step that was given them.
 */


#ifndef _NGX_MESH_ROOM_REST_H_INCLUDED_
#define _NGX_MESH_ROOM_REST_H_INCLUDED_


#include "ngx_mesh_body.h"
#include "ngx_mesh_job.h"
#include "ngx_mesh_reply.h"
#include "ngx_mesh_room.h"
#include "ngx_mesh_route.h"
#include "json_write.h"


#define NGX_MESH_ROOM_REST_LIMIT      50      /* items of a page */
#define NGX_MESH_ROOM_REST_LIMIT_MAX  200
#define NGX_MESH_ROOM_REST_BODY_MAX   8192    /* bytes beside a content */


typedef struct ngx_mesh_room_rest_s  ngx_mesh_room_rest_t;

typedef ngx_int_t (*ngx_mesh_room_rest_step_pt)(ngx_mesh_room_rest_t *rest);

/* job's results die when this returns. */
typedef ngx_int_t (*ngx_mesh_room_rest_done_pt)(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job);


struct ngx_mesh_room_rest_s {
    ngx_http_request_t              *r;
    ngx_http_mesh_room_main_conf_t  *mcf;
    ngx_http_mesh_room_loc_conf_t   *lcf;
    ngx_mesh_principal_t            *principal;
    ngx_mesh_room_participant_t     *me;

    bytes_t                          room_id;     /* from the path */
    bytes_t                          member_id;   /* from the path */
    json_scan_t                      body;        /* object, when read */
    ngx_uint_t                       has_body;

    ngx_mesh_room_rest_step_pt       step;        /* once "me" is known */
    ngx_mesh_room_rest_step_pt       next;        /* once the room is */
    ngx_mesh_room_rest_done_pt       done;        /* of the job at work */

    ngx_int_t                        rc;          /* of a step run at once */
    ngx_uint_t                       inside;      /* a call is on the stack */

    /* after ngx_mesh_room_rest_room() */
    ngx_mesh_room_record_t           record;
    ngx_mesh_room_member_t          *member;      /* me; NULL: none */
    bytes_t                          other;       /* of a direct room */
    uint64_t                         head;        /* last seq */

    void                            *data;        /* of the steps */
};


typedef enum {
    NGX_MESH_ROOM_REST_NO_BODY = 0,
    NGX_MESH_ROOM_REST_BODY,                      /* one JSON object */
    NGX_MESH_ROOM_REST_MAY_BODY                   /* or nothing at all */
} ngx_mesh_room_rest_body_t;


/* Begins: origin of writes, principal, body, participant; then step.
   Returns what a content handler returns. */
ngx_int_t ngx_mesh_room_rest_open(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args, ngx_mesh_room_rest_body_t body,
    ngx_mesh_room_rest_step_pt step);

/* Submits a job of which reads or operations are set; its completion calls
   done.  Takes the job, also on failure. */
ngx_int_t ngx_mesh_room_rest_read(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job, ngx_mesh_room_rest_done_pt done);
ngx_int_t ngx_mesh_room_rest_write(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job, ngx_mesh_room_rest_done_pt done);

/* Leaves the request waiting for something of whoever calls
   ngx_mesh_room_rest_resume(); *data becomes NULL when it is gone. */
ngx_int_t ngx_mesh_room_rest_park(ngx_mesh_room_rest_t *rest, void **data);
void ngx_mesh_room_rest_resume(ngx_mesh_room_rest_t *rest, ngx_int_t rc);

/* Loads the room of the path and asks whether it may be read; then next. */
ngx_int_t ngx_mesh_room_rest_room(ngx_mesh_room_rest_t *rest,
    ngx_mesh_room_rest_step_pt next);

/* NGX_OK when the principal may use command on id; else NGX_DECLINED, and
   *rc is the answer that was sent. */
ngx_int_t ngx_mesh_room_rest_allow(ngx_mesh_room_rest_t *rest,
    const char *command, bytes_t id, ngx_int_t *rc);

/* NGX_OK for the owner of the room of the path, as far as the session may
   create rooms there, and for whoever holds command or "/room/manage". */
ngx_int_t ngx_mesh_room_rest_manage(ngx_mesh_room_rest_t *rest,
    const char *command, ngx_int_t *rc);

/* Reads content, clientId and replyTo of the body; NGX_ERROR: *rc is the 400
   that was sent.  Then stores what was said and answers. */
ngx_int_t ngx_mesh_room_rest_message_draft(ngx_mesh_room_rest_t *rest,
    ngx_mesh_room_draft_t *draft, ngx_int_t *rc);
ngx_int_t ngx_mesh_room_rest_message_append(ngx_mesh_room_rest_t *rest,
    ngx_mesh_room_draft_t *draft);

/* Answers. */
ngx_int_t ngx_mesh_room_rest_refuse(ngx_mesh_room_rest_t *rest,
    const ngx_mesh_room_refusal_t *refusal);
ngx_int_t ngx_mesh_room_rest_store_problem(ngx_mesh_room_rest_t *rest,
    store_rc_t rc);
ngx_int_t ngx_mesh_room_rest_reply(ngx_mesh_room_rest_t *rest,
    ngx_uint_t status, bytes_writer_t *w);

/* A writer over size bytes of r->pool.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_mesh_room_rest_writer(ngx_mesh_room_rest_t *rest,
    bytes_writer_t *w, size_t size);

/* A string member of the body, unescaped: NGX_OK; NGX_DECLINED: absent or
   null; NGX_ERROR: of another type or longer than max bytes (0: any), and
   *rc is the 400 that was sent. */
ngx_int_t ngx_mesh_room_rest_text(ngx_mesh_room_rest_t *rest,
    const char *name, size_t max, ngx_str_t *text, ngx_int_t *rc);

/* A number of the query.  As above; *n is left alone when absent. */
ngx_int_t ngx_mesh_room_rest_query(ngx_mesh_room_rest_t *rest,
    const char *name, uint64_t *n, ngx_int_t *rc);

/* Place in a list: the "cursor" of the query decoded into text (empty when
   absent), and "next" written for the key that a page ended at.  list names
   the list. */
ngx_int_t ngx_mesh_room_rest_cursor(ngx_mesh_room_rest_t *rest,
    const char *list, bytes_t *key, ngx_int_t *rc);
ngx_int_t ngx_mesh_room_rest_next(ngx_mesh_room_rest_t *rest,
    const char *list, bytes_t key, json_write_t *j);

/* Writes the rooms of job->rows[0] (records) that the caller may see, given
   job->rows[1] (its "of" keys); counts them.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_mesh_room_rest_room_list_write(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job, json_write_t *j, ngx_uint_t *shown);

/* "<kind>/<me>/" in pool: the prefix of what the caller has of a kind. */
bytes_t ngx_mesh_room_rest_mine(ngx_mesh_room_rest_t *rest, ngx_pool_t *pool,
    const char *kind);


/* Places (ngx_mesh_room_place.c): how far the caller has read, room by room.
   In r->pool. */
#define NGX_MESH_ROOM_PLACE_MAX  (NGX_MESH_ROOM_WAIT_MAX - 1)

typedef struct {
    bytes_t                          room;
    uint64_t                         read;        /* as the store has it */
    uint64_t                         seen;        /* as of this request */
    ngx_uint_t                       told;        /* messages answered */
} ngx_mesh_room_place_t;


typedef struct ngx_mesh_room_walk_s  ngx_mesh_room_walk_t;

/* One room of a walk: its record, and what came after "seen".  record lives
   as long as rows.  NGX_OK; NGX_DECLINED ends the walk; NGX_ERROR. */
typedef ngx_int_t (*ngx_mesh_room_walk_pt)(ngx_mesh_room_rest_t *rest,
    ngx_mesh_room_place_t *place, const ngx_mesh_room_record_t *record,
    store_rows_t *rows);


/* The first member of rest->data of whoever walks. */
struct ngx_mesh_room_walk_s {
    ngx_mesh_room_place_t           *places;
    ngx_uint_t                       count;
    ngx_uint_t                       index;       /* next one to be read */
    ngx_uint_t                       limit;       /* rows of a room */
    ngx_uint_t                       more;        /* places beyond the max */
    ngx_mesh_room_walk_pt            room;
    ngx_mesh_room_rest_step_pt       end;
};


/* Fills walk->places of rest->data; then next. */
ngx_int_t ngx_mesh_room_place_load(ngx_mesh_room_rest_t *rest,
    ngx_mesh_room_rest_step_pt next);

/* Calls walk->room for the rooms from walk->index on, then walk->end. */
ngx_int_t ngx_mesh_room_place_walk(ngx_mesh_room_rest_t *rest);

/* The place of a room, or NULL. */
ngx_mesh_room_place_t *ngx_mesh_room_place_find(ngx_mesh_room_walk_t *walk,
    bytes_t room);

/* The operation that stores place->read.  Texts in pool. */
ngx_int_t ngx_mesh_room_place_op(ngx_mesh_room_rest_t *rest,
    ngx_pool_t *pool, const ngx_mesh_room_place_t *place, store_op_t *op);

/* senderId of a stored message; empty when it has none. */
bytes_t ngx_mesh_room_place_sender(bytes_t stored);


static inline bytes_t
ngx_mesh_room_rest_bytes(const ngx_str_t *s)
{
    return bytes_make(s->data, s->len);
}


static inline ngx_str_t
ngx_mesh_room_rest_str(bytes_t b)
{
    ngx_str_t  s;

    s.data = (u_char *) b.data;
    s.len = b.len;

    return s;
}


/* Routes; each returns what a content handler returns. */
ngx_int_t ngx_mesh_room_rest_room_list(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);
ngx_int_t ngx_mesh_room_rest_room_create(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);
ngx_int_t ngx_mesh_room_rest_room_get(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);
ngx_int_t ngx_mesh_room_rest_room_remove(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);
ngx_int_t ngx_mesh_room_rest_member_join(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);
ngx_int_t ngx_mesh_room_rest_member_leave(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);
ngx_int_t ngx_mesh_room_rest_member_list(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);
ngx_int_t ngx_mesh_room_rest_member_add(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);
ngx_int_t ngx_mesh_room_rest_member_remove(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);
ngx_int_t ngx_mesh_room_rest_message_list(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);
ngx_int_t ngx_mesh_room_rest_message_send(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);

/* Route (ngx_mesh_room_rest_search.c) */
ngx_int_t ngx_mesh_room_rest_search_list(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);

/* Routes (ngx_mesh_room_rest_direct.c) */
ngx_int_t ngx_mesh_room_rest_direct_send(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);
ngx_int_t ngx_mesh_room_rest_direct_list(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args);


#endif /* _NGX_MESH_ROOM_REST_H_INCLUDED_ */
