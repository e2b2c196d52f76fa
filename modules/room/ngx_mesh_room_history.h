/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * A message on its way to disk, and what becomes of it: between the road of
 * common rooms and that of direct messages.
 */


#ifndef _NGX_MESH_ROOM_HISTORY_H_INCLUDED_
#define _NGX_MESH_ROOM_HISTORY_H_INCLUDED_


#include "ngx_mesh_room.h"


/* In the pool of the first job. */
typedef struct {
    ngx_http_mesh_room_main_conf_t  *mcf;
    ngx_mesh_room_sent_pt            then;
    ngx_mesh_store_job_t            *first;     /* its data: the requester */
    bytes_t                          room;
    bytes_t                          sender;
    bytes_t                          sender_name;
    bytes_t                          to;        /* empty: a common room */
    bytes_t                          to_name;
    bytes_t                          id;
    bytes_t                          stored;
    bytes_t                          dedupe;
    int64_t                          ms;
    ngx_uint_t                       tries;
} ngx_mesh_room_history_append_t;


/* Fills an operation that appends value to ns under the message's id. */
void ngx_mesh_room_history_append_entry(
    ngx_mesh_room_history_append_t *append, store_op_t *op, bytes_t ns,
    bytes_t value);

/* The message is on disk: tells all workers and whoever asked.  inboxes:
   results of sender and recipient, or NULL.  Ends append. */
void ngx_mesh_room_history_stored(ngx_mesh_room_history_append_t *append,
    store_result_t *result, store_result_t *inboxes);

/* It is not: tells whoever asked.  Ends append. */
void ngx_mesh_room_history_refuse(ngx_mesh_room_history_append_t *append,
    problem_t problem);


#endif /* _NGX_MESH_ROOM_HISTORY_H_INCLUDED_ */
