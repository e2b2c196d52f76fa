/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What the store says of a room and of one who is in it or would be: the
 * reads and what they brought, for joining and for checking again.
 */


#ifndef _NGX_MESH_ROOM_FACTS_H_INCLUDED_
#define _NGX_MESH_ROOM_FACTS_H_INCLUDED_


#include "ngx_mesh_room_connection.h"


/* The reads of a join, and of a check, which needs the first two. */
#define NGX_MESH_ROOM_FACTS_ROOM     0
#define NGX_MESH_ROOM_FACTS_SELF     1
#define NGX_MESH_ROOM_FACTS_MEMBERS  2
#define NGX_MESH_ROOM_FACTS_HEAD     3
#define NGX_MESH_ROOM_FACTS_READS    4
#define NGX_MESH_ROOM_FACTS_CHECKS   2


/* What the store said of a room and of the one who joins; in the job. */
typedef struct {
    ngx_mesh_room_record_t      room;
    ngx_mesh_room_member_t      self;
    ngx_uint_t                  member;      /* self is set */
    bytes_t                     other;       /* of a direct room */
    uint64_t                    head;
} ngx_mesh_room_facts_t;


typedef struct {
    ngx_http_mesh_room_main_conf_t  *mcf;
    ngx_uint_t                       again;  /* membership was written */
    uint64_t                         head;
} ngx_mesh_room_facts_context_t;


/* A job of the subscription with a context; NULL: no memory. */
ngx_mesh_store_job_t *ngx_mesh_room_facts_job(
    ngx_mesh_room_subscription_t *sub, ngx_mesh_store_done_pt done);

/* Sets the reads of a job: NGX_MESH_ROOM_FACTS_READS, or the first
   NGX_MESH_ROOM_FACTS_CHECKS of them.  NGX_OK, NGX_ERROR: no memory. */
ngx_int_t ngx_mesh_room_facts_set_reads(ngx_mesh_store_job_t *job,
    ngx_mesh_room_subscription_t *sub, ngx_uint_t count);

/* What they brought, borrowed from the job: PROBLEM_COUNT, or why not. */
problem_t ngx_mesh_room_facts_parse(ngx_mesh_store_job_t *job,
    ngx_mesh_room_subscription_t *sub, ngx_mesh_room_facts_t *facts);


#endif /* _NGX_MESH_ROOM_FACTS_H_INCLUDED_ */
