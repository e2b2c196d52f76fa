/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * REST: members of a room.  Join, leave, list, add, remove.
 */


#include "ngx_mesh_room_rest.h"


#define NGX_MESH_ROOM_REST_MEMBER_SIZE  64     /* bytes beside its record */


static ngx_int_t ngx_mesh_room_rest_member_join_next(
    ngx_mesh_room_rest_t *rest);
static ngx_int_t ngx_mesh_room_rest_member_put(ngx_mesh_room_rest_t *rest,
    bytes_t id, bytes_t name);
static ngx_int_t ngx_mesh_room_rest_member_put_done(
    ngx_mesh_room_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_room_rest_member_reply(ngx_mesh_room_rest_t *rest,
    ngx_uint_t status, bytes_t member);
static ngx_int_t ngx_mesh_room_rest_member_leave_next(
    ngx_mesh_room_rest_t *rest);
static ngx_int_t ngx_mesh_room_rest_member_end(ngx_mesh_room_rest_t *rest,
    bytes_t id);
static ngx_int_t ngx_mesh_room_rest_member_end_done(
    ngx_mesh_room_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_room_rest_member_list_next(
    ngx_mesh_room_rest_t *rest);
static ngx_int_t ngx_mesh_room_rest_member_list_done(
    ngx_mesh_room_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_room_rest_member_write(ngx_mesh_room_rest_t *rest,
    bytes_t json, json_write_t *j);
static ngx_int_t ngx_mesh_room_rest_member_add_next(
    ngx_mesh_room_rest_t *rest);
static ngx_int_t ngx_mesh_room_rest_member_add_done(
    ngx_mesh_room_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_room_rest_member_remove_next(
    ngx_mesh_room_rest_t *rest);
static ngx_int_t ngx_mesh_room_rest_member_remove_done(
    ngx_mesh_room_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_mesh_store_job_t *ngx_mesh_room_rest_member_get(
    ngx_mesh_room_rest_t *rest, bytes_t ns, const char *kind, bytes_t id);


/* POST /api/rooms/:id/join */

static ngx_int_t
ngx_mesh_room_rest_member_join_step(ngx_mesh_room_rest_t *rest)
{
    return ngx_mesh_room_rest_room(rest, ngx_mesh_room_rest_member_join_next);
}


ngx_int_t
ngx_mesh_room_rest_member_join(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_room_rest_open(r, args, NGX_MESH_ROOM_REST_MAY_BODY,
                                   ngx_mesh_room_rest_member_join_step);
}


static ngx_int_t
ngx_mesh_room_rest_member_join_next(ngx_mesh_room_rest_t *rest)
{
    ngx_int_t       rc;
    bytes_writer_t  w;

    if (!rest->record.direct
        && ngx_mesh_room_rest_allow(rest, "/room/join", rest->room_id, &rc)
           != NGX_OK)
    {
        return rc;
    }

    if (rest->member == NULL) {
        return ngx_mesh_room_rest_member_put(rest,
                                   ngx_mesh_room_rest_bytes(&rest->me->id),
                                   ngx_mesh_room_rest_bytes(&rest->me->name));
    }

    if (ngx_mesh_room_rest_writer(rest, &w, NGX_MESH_ROOM_RECORD_MAX)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_mesh_room_record_member_write(&w, rest->member);

    return ngx_mesh_room_rest_member_reply(rest, NGX_HTTP_OK,
                                           bytes_writer_view(&w));
}


/* Makes somebody a member, and lets their reading begin here. */

static ngx_int_t
ngx_mesh_room_rest_member_put(ngx_mesh_room_rest_t *rest, bytes_t id,
    bytes_t name)
{
    store_op_t              *ops;
    ngx_time_t              *tp;
    ngx_mesh_store_job_t    *job;
    ngx_mesh_room_member_t   member;

    job = ngx_mesh_store_job_create(4096, rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    tp = ngx_timeofday();

    ngx_memzero(&member, sizeof(ngx_mesh_room_member_t));

    member.id = id;
    member.name = name;
    member.joined_ms = (int64_t) tp->sec * 1000 + tp->msec;

    ops = ngx_mesh_store_job_ops(job, NGX_MESH_ROOM_JOIN_OPS);

    if (ops == NULL
        || ngx_mesh_room_record_join_ops(job->pool, ops, rest->room_id,
                                         &member, rest->head)
           != NGX_OK)
    {
        ngx_mesh_store_job_destroy(rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_room_rest_write(rest, job,
                                    ngx_mesh_room_rest_member_put_done);
}


static ngx_int_t
ngx_mesh_room_rest_member_put_done(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_str_t   room, id;
    ngx_uint_t  status;
    store_op_t  *op;

    op = &job->write.ops[1];
    status = NGX_HTTP_CREATED;

    if (job->write.rc == STORE_CONDITION && job->write.failed == 1) {
        status = NGX_HTTP_OK;

    } else if (job->write.rc == STORE_CONDITION) {
        return ngx_mesh_reply_problem(rest->r, PROBLEM_NOT_FOUND,
                                      "there is no such room");

    } else if (job->write.rc != STORE_OK) {
        return ngx_mesh_room_rest_store_problem(rest, job->write.rc);
    }

    room = ngx_mesh_room_rest_str(rest->room_id);
    id = ngx_mesh_room_rest_str(op->key);
    id.data += sizeof("member/") - 1;
    id.len -= sizeof("member/") - 1;

    ngx_mesh_room_hub_tell_member(rest->mcf, &room, &id);

    return ngx_mesh_room_rest_member_reply(rest, status, op->value);
}


static ngx_int_t
ngx_mesh_room_rest_member_reply(ngx_mesh_room_rest_t *rest,
    ngx_uint_t status, bytes_t member)
{
    json_write_t    j;
    bytes_writer_t  w;

    if (ngx_mesh_room_rest_writer(rest, &w, member.len + 256) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member(&j, "roomId", rest->room_id);
    json_write_member_integer(&j, "seq", (int64_t) rest->head);
    json_write_member_raw(&j, "member", member);
    json_write_object_end(&j);

    return ngx_mesh_room_rest_reply(rest, status, &w);
}


/* POST /api/rooms/:id/leave */

static ngx_int_t
ngx_mesh_room_rest_member_leave_step(ngx_mesh_room_rest_t *rest)
{
    return ngx_mesh_room_rest_room(rest,
                                   ngx_mesh_room_rest_member_leave_next);
}


ngx_int_t
ngx_mesh_room_rest_member_leave(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_room_rest_open(r, args, NGX_MESH_ROOM_REST_MAY_BODY,
                                   ngx_mesh_room_rest_member_leave_step);
}


static ngx_int_t
ngx_mesh_room_rest_member_leave_next(ngx_mesh_room_rest_t *rest)
{
    if (rest->record.direct) {
        return ngx_mesh_reply_problem(rest->r, PROBLEM_CONFLICT,
                                      "a direct room cannot be left");
    }

    if (rest->member == NULL) {
        return ngx_mesh_reply_empty(rest->r, NGX_HTTP_NO_CONTENT);
    }

    return ngx_mesh_room_rest_member_end(rest,
                                   ngx_mesh_room_rest_bytes(&rest->me->id));
}


static ngx_int_t
ngx_mesh_room_rest_member_end(ngx_mesh_room_rest_t *rest, bytes_t id)
{
    bytes_t               *ended;
    store_op_t            *ops;
    ngx_mesh_store_job_t  *job;

    job = ngx_mesh_store_job_create(2048, rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ops = ngx_mesh_store_job_ops(job, NGX_MESH_ROOM_LEAVE_OPS);
    ended = ngx_palloc(rest->r->pool, sizeof(bytes_t));

    if (ops == NULL || ended == NULL
        || ngx_mesh_room_record_leave_ops(job->pool, ops, rest->room_id, id)
           != NGX_OK)
    {
        ngx_mesh_store_job_destroy(rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    *ended = id;
    rest->data = ended;

    return ngx_mesh_room_rest_write(rest, job,
                                    ngx_mesh_room_rest_member_end_done);
}


static ngx_int_t
ngx_mesh_room_rest_member_end_done(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    bytes_t    *ended;
    ngx_str_t   room, id;

    /* STORE_CONDITION: the membership ended meanwhile, which is as wanted */

    if (job->write.rc != STORE_OK && job->write.rc != STORE_CONDITION) {
        return ngx_mesh_room_rest_store_problem(rest, job->write.rc);
    }

    ended = rest->data;
    room = ngx_mesh_room_rest_str(rest->room_id);
    id = ngx_mesh_room_rest_str(*ended);

    ngx_mesh_room_hub_tell_member(rest->mcf, &room, &id);

    return ngx_mesh_reply_empty(rest->r, NGX_HTTP_NO_CONTENT);
}


/* GET /api/rooms/:id/members */

static ngx_int_t
ngx_mesh_room_rest_member_list_step(ngx_mesh_room_rest_t *rest)
{
    return ngx_mesh_room_rest_room(rest, ngx_mesh_room_rest_member_list_next);
}


ngx_int_t
ngx_mesh_room_rest_member_list(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_room_rest_open(r, args, NGX_MESH_ROOM_REST_NO_BODY,
                                   ngx_mesh_room_rest_member_list_step);
}


static ngx_int_t
ngx_mesh_room_rest_member_list_next(ngx_mesh_room_rest_t *rest)
{
    bytes_t                after;
    uint64_t               limit;
    ngx_int_t              rc;
    store_read_t          *reads;
    ngx_mesh_store_job_t  *job;

    limit = NGX_MESH_ROOM_REST_LIMIT_MAX;

    if (ngx_mesh_room_rest_query(rest, "limit", &limit, &rc) == NGX_ERROR
        || ngx_mesh_room_rest_cursor(rest, "members", &after, &rc)
           == NGX_ERROR)
    {
        return rc;
    }

    job = ngx_mesh_store_job_create(2048, rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    reads = ngx_mesh_store_job_reads(job, 1);

    if (reads == NULL) {
        ngx_mesh_store_job_destroy(rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    limit = ngx_max(limit, 1);

    reads[0].kind = STORE_RANGE;
    reads[0].ns = ngx_mesh_room_record_copy(job->pool, rest->room_id);
    reads[0].key = bytes_of("member/");
    reads[0].after_key = ngx_mesh_room_record_copy(job->pool, after);
    reads[0].limit = ngx_min(limit, NGX_MESH_ROOM_REST_LIMIT_MAX);

    return ngx_mesh_room_rest_read(rest, job,
                                   ngx_mesh_room_rest_member_list_done);
}


static ngx_int_t
ngx_mesh_room_rest_member_list_done(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    size_t          i, size;
    json_write_t    j;
    store_rows_t   *rows;
    bytes_writer_t  w;

    if (job->rc != STORE_OK) {
        return ngx_mesh_room_rest_store_problem(rest, job->rc);
    }

    rows = &job->rows[0];
    size = 256 + CURSOR_TEXT_MAX;

    for (i = 0; i < rows->count; i++) {
        size += rows->rows[i].value.len + NGX_MESH_ROOM_REST_MEMBER_SIZE;
    }

    if (ngx_mesh_room_rest_writer(rest, &w, size) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_key(&j, "members");
    json_write_array(&j);

    for (i = 0; i < rows->count; i++) {
        if (ngx_mesh_room_rest_member_write(rest, rows->rows[i].value, &j)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    json_write_array_end(&j);

    if (rows->more
        && ngx_mesh_room_rest_next(rest, "members", rows->rows[i - 1].key, &j)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_object_end(&j);

    return ngx_mesh_room_rest_reply(rest, NGX_HTTP_OK, &w);
}


/* The stored record, and whether the member is here now. */

static ngx_int_t
ngx_mesh_room_rest_member_write(ngx_mesh_room_rest_t *rest, bytes_t json,
    json_write_t *j)
{
    bytes_writer_t          scratch, w;
    ngx_mesh_room_member_t  member;

    if (ngx_mesh_room_rest_writer(rest, &scratch, json.len) != NGX_OK
        || ngx_mesh_room_rest_writer(rest, &w, json.len
                                     + NGX_MESH_ROOM_REST_MEMBER_SIZE)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_mesh_room_record_member_read(&member, json, &scratch) != NGX_OK) {
        return NGX_OK;
    }

    /* the record is one object: its closing brace makes place */

    bytes_writer_put(&w, json.data, json.len - 1);
    bytes_writer_text(&w, ",\"online\":");
    bytes_writer_text(&w, ngx_mesh_room_presence_online(rest->mcf,
                                                        rest->room_id,
                                                        member.id)
                          ? "true}" : "false}");

    json_write_raw(j, bytes_writer_view(&w));

    return NGX_OK;
}


/* POST /api/rooms/:id/members */

static ngx_int_t
ngx_mesh_room_rest_member_add_step(ngx_mesh_room_rest_t *rest)
{
    return ngx_mesh_room_rest_room(rest, ngx_mesh_room_rest_member_add_next);
}


ngx_int_t
ngx_mesh_room_rest_member_add(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_room_rest_open(r, args, NGX_MESH_ROOM_REST_BODY,
                                   ngx_mesh_room_rest_member_add_step);
}


static ngx_int_t
ngx_mesh_room_rest_member_add_next(ngx_mesh_room_rest_t *rest)
{
    bytes_t                id;
    ngx_int_t              rc, found;
    ngx_str_t              text;
    ngx_mesh_store_job_t  *job;

    found = ngx_mesh_room_rest_text(rest, "participantId", ID_LEN, &text,
                                    &rc);

    if (found == NGX_ERROR) {
        return rc;
    }

    id = ngx_mesh_room_rest_bytes(&text);

    if (!id_valid(id, 'p')) {
        return ngx_mesh_reply_problem(rest->r, PROBLEM_BAD_REQUEST,
                                      "\"participantId\" must be the id of "
                                      "a participant");
    }

    if (rest->record.direct) {
        return ngx_mesh_reply_problem(rest->r, PROBLEM_CONFLICT,
                                      "a direct room has two parties");
    }

    if (rest->member) {
        found = ngx_mesh_room_rest_allow(rest, "/room/invite", rest->room_id,
                                         &rc);

    } else {
        found = ngx_mesh_room_rest_manage(rest, NULL, &rc);
    }

    if (found != NGX_OK) {
        return rc;
    }

    job = ngx_mesh_room_rest_member_get(rest, bytes_of(RECORD_NS_IDENTITY),
                                        "participant", id);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_room_rest_read(rest, job,
                                   ngx_mesh_room_rest_member_add_done);
}


static ngx_int_t
ngx_mesh_room_rest_member_add_done(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    bytes_t               json;
    bytes_writer_t        scratch;
    record_participant_t  participant;

    if (job->rc != STORE_OK) {
        return ngx_mesh_room_rest_store_problem(rest, job->rc);
    }

    if (job->rows[0].count == 0) {
        goto unknown;
    }

    json = job->rows[0].rows[0].value;

    if (ngx_mesh_room_rest_writer(rest, &scratch, json.len) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (record_participant_read(&participant, json, &scratch) != 0
        || participant.removed_ms != 0)
    {
        goto unknown;
    }

    return ngx_mesh_room_rest_member_put(rest, participant.id,
                                         participant.name);

unknown:

    return ngx_mesh_reply_problem(rest->r, PROBLEM_NOT_FOUND,
                                  "there is no such participant");
}


/* DELETE /api/rooms/:id/members/:id */

static ngx_int_t
ngx_mesh_room_rest_member_remove_step(ngx_mesh_room_rest_t *rest)
{
    return ngx_mesh_room_rest_room(rest,
                                   ngx_mesh_room_rest_member_remove_next);
}


ngx_int_t
ngx_mesh_room_rest_member_remove(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_room_rest_open(r, args, NGX_MESH_ROOM_REST_NO_BODY,
                                   ngx_mesh_room_rest_member_remove_step);
}


static ngx_int_t
ngx_mesh_room_rest_member_remove_next(ngx_mesh_room_rest_t *rest)
{
    ngx_mesh_store_job_t  *job;

    if (bytes_equal(rest->member_id,
                    ngx_mesh_room_rest_bytes(&rest->me->id)))
    {
        return ngx_mesh_room_rest_member_leave_next(rest);
    }

    if (rest->record.direct || !id_valid(rest->member_id, 'p')) {
        return ngx_mesh_reply_problem(rest->r, PROBLEM_NOT_FOUND,
                                      "there is no such member");
    }

    job = ngx_mesh_room_rest_member_get(rest, rest->room_id, "member",
                                        rest->member_id);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_room_rest_read(rest, job,
                                   ngx_mesh_room_rest_member_remove_done);
}


/* A moderator removes members, but not who owns the room. */

static ngx_int_t
ngx_mesh_room_rest_member_remove_done(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    bytes_t                 json;
    ngx_int_t               rc;
    bytes_writer_t          scratch;
    ngx_mesh_room_member_t  member;

    if (job->rc != STORE_OK) {
        return ngx_mesh_room_rest_store_problem(rest, job->rc);
    }

    if (job->rows[0].count == 0) {
        return ngx_mesh_reply_problem(rest->r, PROBLEM_NOT_FOUND,
                                      "there is no such member");
    }

    json = job->rows[0].rows[0].value;

    if (ngx_mesh_room_rest_writer(rest, &scratch, json.len) != NGX_OK
        || ngx_mesh_room_record_member_read(&member, json, &scratch)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_mesh_room_rest_manage(rest, member.owner ? NULL
                                                     : "/room/moderate",
                                  &rc)
        != NGX_OK)
    {
        return rc;
    }

    return ngx_mesh_room_rest_member_end(rest, rest->member_id);
}


/* A job that gets one item. */

static ngx_mesh_store_job_t *
ngx_mesh_room_rest_member_get(ngx_mesh_room_rest_t *rest, bytes_t ns,
    const char *kind, bytes_t id)
{
    store_read_t          *reads;
    ngx_mesh_store_job_t  *job;

    job = ngx_mesh_store_job_create(1024, rest->r->connection->log);

    if (job == NULL) {
        return NULL;
    }

    reads = ngx_mesh_store_job_reads(job, 1);

    if (reads == NULL) {
        ngx_mesh_store_job_destroy(rest->mcf->store, job);
        return NULL;
    }

    reads[0].kind = STORE_GET;
    reads[0].ns = ngx_mesh_room_record_copy(job->pool, ns);
    reads[0].key = ngx_mesh_room_record_key(job->pool, kind, id,
                                            bytes_make(NULL, 0));

    return job;
}
