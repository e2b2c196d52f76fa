/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Direct messages: an entry of the room of the two parties, made on first
 * use, and a line in the inbox of each: the entries of a participant's own
 * namespace, which have a seq of their own and say where the message is.  So
 * what a participant gets on all its connections is one gapless sequence, as
 * a room is, and what a dead worker did not tell is found in the same way.
 *
 * One event loop; every job but the first belongs to this file.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_room_direct.h"


#define NGX_MESH_ROOM_DIRECT_POOL      4096    /* bytes of a job */
#define NGX_MESH_ROOM_DIRECT_NEW_OPS   5       /* that make the room */
#define NGX_MESH_ROOM_DIRECT_SEND_OPS  3       /* of a message */
#define NGX_MESH_ROOM_DIRECT_TRIES     2


static void ngx_mesh_room_direct_done(ngx_mesh_store_job_t *job);
static problem_t ngx_mesh_room_direct_party(
    ngx_mesh_room_history_append_t *append);
static ngx_int_t ngx_mesh_room_direct_submit(
    ngx_mesh_room_history_append_t *append, ngx_uint_t create);
static ngx_int_t ngx_mesh_room_direct_create(
    ngx_mesh_room_history_append_t *append, ngx_mesh_store_job_t *job,
    store_op_t *ops);
static ngx_int_t ngx_mesh_room_direct_append(
    ngx_mesh_room_history_append_t *append, ngx_mesh_store_job_t *job,
    store_op_t *ops);
static bytes_t ngx_mesh_room_direct_dedupe(
    ngx_mesh_room_history_append_t *append, ngx_pool_t *pool);
static void ngx_mesh_room_direct_append_done(
    ngx_mesh_store_job_t *job);


ngx_int_t
ngx_mesh_room_direct_reads(ngx_mesh_room_history_append_t *append)
{
    bytes_t                none = bytes_make(NULL, 0);
    store_read_t          *reads;
    ngx_mesh_store_job_t  *job;

    job = append->first;

    reads = ngx_mesh_store_job_reads(job, 2);
    if (reads == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(reads, 2 * sizeof(store_read_t));

    reads[0].kind = STORE_GET;
    reads[0].ns = bytes_of(RECORD_NS_IDENTITY);
    reads[0].key = ngx_mesh_room_record_key(job->pool, "participant",
                                            append->to, none);
    reads[1].kind = STORE_GET;
    reads[1].ns = bytes_of(RECORD_NS_ROOMS);
    reads[1].key = ngx_mesh_room_record_key(job->pool, "room", append->room,
                                            none);

    job->done = ngx_mesh_room_direct_done;

    return (reads[0].key.len == 0 || reads[1].key.len == 0) ? NGX_ERROR
                                                             : NGX_OK;
}


static void
ngx_mesh_room_direct_done(ngx_mesh_store_job_t *job)
{
    ngx_int_t                        rc;
    problem_t                        problem;
    ngx_mesh_room_history_append_t  *append;

    append = job->context;

    problem = ngx_mesh_room_direct_party(append);

    if (problem != PROBLEM_COUNT) {
        ngx_mesh_room_history_refuse(append, problem);
        return;
    }

    rc = ngx_mesh_room_direct_submit(append,
                                     job->rows[1].rc == STORE_ABSENT);

    if (rc != NGX_OK) {
        ngx_mesh_room_history_refuse(append, rc == NGX_BUSY
                                             ? PROBLEM_BUSY
                                             : PROBLEM_STORE_DOWN);
    }
}


/* Who the message is for, from the first job's rows. */
static problem_t
ngx_mesh_room_direct_party(ngx_mesh_room_history_append_t *append)
{
    u_char                *p;
    bytes_t                value;
    store_rc_t             rc;
    bytes_writer_t         scratch;
    record_participant_t   party;
    ngx_mesh_store_job_t  *job;

    job = append->first;
    rc = (job->rc != STORE_OK) ? job->rc : job->rows[0].rc;

    if (rc == STORE_ABSENT) {
        return PROBLEM_NOT_FOUND;
    }

    if (rc != STORE_OK) {
        return ngx_mesh_room_history_problem(rc);
    }

    if (job->rows[1].rc != STORE_OK && job->rows[1].rc != STORE_ABSENT) {
        return ngx_mesh_room_history_problem(job->rows[1].rc);
    }

    value = job->rows[0].rows[0].value;

    p = ngx_pnalloc(job->pool, value.len + 1);
    if (p == NULL) {
        return PROBLEM_INTERNAL;
    }

    bytes_writer_open(&scratch, p, value.len);

    if (record_participant_read(&party, value, &scratch) != 0
        || party.removed_ms != 0)
    {
        return PROBLEM_NOT_FOUND;
    }

    append->to_name = party.name;

    return PROBLEM_COUNT;
}


static ngx_int_t
ngx_mesh_room_direct_submit(ngx_mesh_room_history_append_t *append,
    ngx_uint_t create)
{
    size_t                 count;
    ngx_int_t              rc;
    store_op_t            *ops;
    ngx_mesh_store_job_t  *job;

    job = ngx_mesh_store_job_create(NGX_MESH_ROOM_DIRECT_POOL,
                                    append->mcf->log);
    if (job == NULL) {
        return NGX_ERROR;
    }

    append->tries++;
    count = NGX_MESH_ROOM_DIRECT_SEND_OPS
            + (create ? NGX_MESH_ROOM_DIRECT_NEW_OPS : 0);
    rc = NGX_ERROR;

    ops = ngx_mesh_store_job_ops(job, count);
    if (ops == NULL) {
        goto failed;
    }

    ngx_memzero(ops, count * sizeof(store_op_t));

    if (ngx_mesh_room_direct_append(append, job, ops) != NGX_OK) {
        goto failed;
    }

    ops += NGX_MESH_ROOM_DIRECT_SEND_OPS;

    if (create
        && ngx_mesh_room_direct_create(append, job, ops) != NGX_OK)
    {
        goto failed;
    }

    job->context = append;
    job->done = ngx_mesh_room_direct_append_done;

    rc = append->mcf->store->write(job);

    if (rc == NGX_OK) {
        return NGX_OK;
    }

failed:

    ngx_mesh_store_job_destroy(append->mcf->store, job);

    return rc;
}


static ngx_int_t
ngx_mesh_room_direct_create(ngx_mesh_room_history_append_t *append,
    ngx_mesh_store_job_t *job, store_op_t *ops)
{
    u_char                  *p;
    bytes_t                  none = bytes_make(NULL, 0);
    ngx_uint_t               i;
    bytes_writer_t           w;
    ngx_mesh_room_member_t   member;
    ngx_mesh_room_record_t   room;

    p = ngx_pnalloc(job->pool, 3 * NGX_MESH_ROOM_RECORD_MAX);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&room, sizeof(ngx_mesh_room_record_t));

    room.id = append->room;
    room.direct = 1;
    room.visibility = NGX_MESH_ROOM_PRIVATE;
    room.created_by = append->sender;
    room.created_ms = append->ms;

    bytes_writer_open(&w, p, NGX_MESH_ROOM_RECORD_MAX);
    ngx_mesh_room_record_write(&w, &room);

    if (w.failed) {
        return NGX_ERROR;
    }

    ops[0].kind = STORE_PUT;
    ops[0].condition = STORE_IF_ABSENT;
    ops[0].ns = bytes_of(RECORD_NS_ROOMS);
    ops[0].key = ngx_mesh_room_record_key(job->pool, "room", append->room,
                                          none);
    ops[0].value = bytes_writer_view(&w);

    for (i = 0; i < 2; i++) {

        member.id = (i == 0) ? append->sender : append->to;
        member.name = (i == 0) ? append->sender_name : append->to_name;
        member.owner = 0;
        member.joined_ms = append->ms;

        p += NGX_MESH_ROOM_RECORD_MAX;

        bytes_writer_open(&w, p, NGX_MESH_ROOM_RECORD_MAX);
        ngx_mesh_room_record_member_write(&w, &member);

        if (w.failed) {
            return NGX_ERROR;
        }

        ops[1 + i].kind = STORE_PUT;
        ops[1 + i].ns = append->room;
        ops[1 + i].key = ngx_mesh_room_record_key(job->pool, "member",
                                                  member.id, none);
        ops[1 + i].value = bytes_writer_view(&w);

        ops[3 + i].kind = STORE_PUT;
        ops[3 + i].ns = bytes_of(RECORD_NS_ROOMS);
        ops[3 + i].key = ngx_mesh_room_record_key(job->pool, "of",
                                                  member.id, append->room);
    }

    for (i = 0; i < NGX_MESH_ROOM_DIRECT_NEW_OPS; i++) {

        if (ops[i].key.len == 0) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_room_direct_append(ngx_mesh_room_history_append_t *append,
    ngx_mesh_store_job_t *job, store_op_t *ops)
{
    u_char   *p;
    bytes_t   place, dedupe;

    p = ngx_pnalloc(job->pool, 2 * ID_LEN + 1);
    dedupe = ngx_mesh_room_direct_dedupe(append, job->pool);

    if (p == NULL || dedupe.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, append->room.data, ID_LEN);
    p[ID_LEN] = '/';
    ngx_memcpy(p + ID_LEN + 1, append->id.data, ID_LEN);

    place = bytes_make(p, 2 * ID_LEN + 1);

    ngx_mesh_room_history_append_entry(append, &ops[0], append->room,
                                       append->stored);
    ngx_mesh_room_history_append_entry(append, &ops[1], append->sender,
                                       place);
    ngx_mesh_room_history_append_entry(append, &ops[2], append->to, place);

    ops[1].dedupe = dedupe;
    ops[2].dedupe = dedupe;

    return NGX_OK;
}


/* An inbox holds what was said in many rooms, and a clientId is one of one
   room: "<room>/<sender>/<clientId>", empty without a clientId; data is NULL
   when out of memory. */
static bytes_t
ngx_mesh_room_direct_dedupe(ngx_mesh_room_history_append_t *append,
    ngx_pool_t *pool)
{
    u_char          *p;
    size_t           size;
    bytes_writer_t   w;

    size = append->room.len + 1 + append->dedupe.len;

    p = ngx_pnalloc(pool, size);
    if (p == NULL) {
        return bytes_make(NULL, 0);
    }

    bytes_writer_open(&w, p, size);

    if (append->dedupe.len != 0) {
        bytes_writer_bytes(&w, append->room);
        bytes_writer_byte(&w, '/');
        bytes_writer_bytes(&w, append->dedupe);
    }

    return bytes_writer_view(&w);
}


static void
ngx_mesh_room_direct_append_done(ngx_mesh_store_job_t *job)
{
    ngx_int_t                        rc;
    store_rc_t                       write_rc;
    ngx_mesh_store_t                *store;
    ngx_mesh_room_history_append_t  *append;

    append = job->context;
    store = append->mcf->store;
    write_rc = job->write.rc;

    if (write_rc == STORE_OK) {

        /* append is gone after this */

        ngx_mesh_room_history_stored(append, &job->write.results[0],
                                     &job->write.results[1]);
        ngx_mesh_store_job_destroy(store, job);
        return;
    }

    ngx_mesh_store_job_destroy(store, job);

    /* the other party made the room in between */

    if (write_rc == STORE_CONDITION
        && append->tries < NGX_MESH_ROOM_DIRECT_TRIES)
    {
        rc = ngx_mesh_room_direct_submit(append, 0);

        if (rc == NGX_OK) {
            return;
        }

        write_rc = (rc == NGX_BUSY) ? STORE_BUSY : STORE_FAILED;
    }

    ngx_mesh_room_history_refuse(append,
                                 ngx_mesh_room_history_problem(write_rc));
}
