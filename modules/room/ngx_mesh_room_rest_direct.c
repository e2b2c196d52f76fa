/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * REST: direct messages.  Sending to a participant, and with whom the caller
 * has talked; history is that of the direct room.
 */


#include "ngx_mesh_room_rest.h"


#define NGX_MESH_ROOM_REST_DIRECT_PAGE  16


static ngx_int_t ngx_mesh_room_rest_direct_send_step(
    ngx_mesh_room_rest_t *rest);
static ngx_int_t ngx_mesh_room_rest_direct_list_step(
    ngx_mesh_room_rest_t *rest);
static ngx_int_t ngx_mesh_room_rest_direct_rooms_done(
    ngx_mesh_room_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_room_rest_direct_members_done(
    ngx_mesh_room_rest_t *rest, ngx_mesh_store_job_t *job);
static void ngx_mesh_room_rest_direct_write(ngx_mesh_room_rest_t *rest,
    bytes_t room, store_rows_t *members, json_write_t *j);


/* POST /api/dms */

ngx_int_t
ngx_mesh_room_rest_direct_send(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_room_rest_open(r, args, NGX_MESH_ROOM_REST_BODY,
                                   ngx_mesh_room_rest_direct_send_step);
}


static ngx_int_t
ngx_mesh_room_rest_direct_send_step(ngx_mesh_room_rest_t *rest)
{
    bytes_t                to;
    ngx_int_t              rc;
    ngx_str_t              text;
    ngx_mesh_room_draft_t  draft;

    if (ngx_mesh_room_rest_text(rest, "to", ID_LEN, &text, &rc)
        == NGX_ERROR)
    {
        return rc;
    }

    to = ngx_mesh_room_rest_bytes(&text);

    if (!id_valid(to, 'p')
        || bytes_equal(to, ngx_mesh_room_rest_bytes(&rest->me->id)))
    {
        return ngx_mesh_reply_problem(rest->r, PROBLEM_BAD_REQUEST,
                                      "\"to\" must be the id of another "
                                      "participant");
    }

    if (ngx_mesh_room_rest_allow(rest, "/dm/send", to, &rc) != NGX_OK
        || ngx_mesh_room_rest_message_draft(rest, &draft, &rc) != NGX_OK)
    {
        return rc;
    }

    draft.to = text;

    return ngx_mesh_room_rest_message_append(rest, &draft);
}


/* GET /api/dms */

ngx_int_t
ngx_mesh_room_rest_direct_list(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_room_rest_open(r, args, NGX_MESH_ROOM_REST_NO_BODY,
                                   ngx_mesh_room_rest_direct_list_step);
}


/* Direct rooms sort last among the caller's: read from the end. */

static ngx_int_t
ngx_mesh_room_rest_direct_list_step(ngx_mesh_room_rest_t *rest)
{
    bytes_t                after;
    ngx_int_t              rc;
    store_read_t          *reads;
    ngx_mesh_store_job_t  *job;

    if (ngx_mesh_room_rest_cursor(rest, "dms", &after, &rc) == NGX_ERROR) {
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

    reads[0].kind = STORE_RANGE;
    reads[0].ns = bytes_of(RECORD_NS_ROOMS);
    reads[0].key = ngx_mesh_room_rest_mine(rest, job->pool, "of");
    reads[0].after_key = ngx_mesh_room_record_copy(job->pool, after);
    reads[0].limit = NGX_MESH_ROOM_REST_DIRECT_PAGE;
    reads[0].reverse = 1;

    return ngx_mesh_room_rest_read(rest, job,
                                   ngx_mesh_room_rest_direct_rooms_done);
}


static ngx_int_t
ngx_mesh_room_rest_direct_rooms_done(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    size_t                 i, n;
    bytes_t                key, *last;
    store_read_t          *reads;
    bytes_writer_t         w;
    ngx_mesh_store_job_t  *members;

    if (job->rc != STORE_OK) {
        return ngx_mesh_room_rest_store_problem(rest, job->rc);
    }

    for (n = 0; n < job->rows[0].count; n++) {
        key = job->rows[0].rows[n].key;

        if (key.len < ID_LEN
            || !ngx_mesh_room_record_direct(
                                bytes_make(key.data + key.len - ID_LEN,
                                           ID_LEN)))
        {
            break;
        }
    }

    if (n == 0) {
        if (ngx_mesh_room_rest_writer(rest, &w, 16) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        bytes_writer_text(&w, "{\"dms\":[]}");

        return ngx_mesh_room_rest_reply(rest, NGX_HTTP_OK, &w);
    }

    /* the place of the next page, when there may be one */

    last = NULL;

    if (n == job->rows[0].count && job->rows[0].more) {
        last = ngx_palloc(rest->r->pool, sizeof(bytes_t));

        if (last == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        *last = ngx_mesh_room_record_copy(rest->r->pool,
                                          job->rows[0].rows[n - 1].key);
    }

    rest->data = last;
    members = ngx_mesh_store_job_create(4096, rest->r->connection->log);

    if (members == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    reads = ngx_mesh_store_job_reads(members, n);

    if (reads == NULL) {
        ngx_mesh_store_job_destroy(rest->mcf->store, members);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    for (i = 0; i < n; i++) {
        key = job->rows[0].rows[i].key;

        reads[i].kind = STORE_RANGE;
        reads[i].ns = ngx_mesh_room_record_copy(members->pool,
                                bytes_make(key.data + key.len - ID_LEN,
                                           ID_LEN));
        reads[i].key = bytes_of("member/");
        reads[i].limit = 2;
    }

    return ngx_mesh_room_rest_read(rest, members,
                                   ngx_mesh_room_rest_direct_members_done);
}


static ngx_int_t
ngx_mesh_room_rest_direct_members_done(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    size_t           i, k, size;
    bytes_t         *last;
    json_write_t     j;
    bytes_writer_t   w;

    if (job->rc != STORE_OK) {
        return ngx_mesh_room_rest_store_problem(rest, job->rc);
    }

    size = 256 + CURSOR_TEXT_MAX;

    for (i = 0; i < job->read_count; i++) {
        size += 128;

        for (k = 0; k < job->rows[i].count; k++) {
            size += job->rows[i].rows[k].value.len;
        }
    }

    if (ngx_mesh_room_rest_writer(rest, &w, size) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_key(&j, "dms");
    json_write_array(&j);

    for (i = 0; i < job->read_count; i++) {
        ngx_mesh_room_rest_direct_write(rest, job->reads[i].ns,
                                        &job->rows[i], &j);
    }

    json_write_array_end(&j);

    last = rest->data;

    if (last && ngx_mesh_room_rest_next(rest, "dms", *last, &j) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_object_end(&j);

    return ngx_mesh_room_rest_reply(rest, NGX_HTTP_OK, &w);
}


static void
ngx_mesh_room_rest_direct_write(ngx_mesh_room_rest_t *rest, bytes_t room,
    store_rows_t *members, json_write_t *j)
{
    size_t                   i;
    bytes_writer_t           scratch;
    ngx_mesh_room_member_t   member;
    ngx_mesh_room_refusal_t  refusal;

    for (i = 0; i < members->count; i++) {

        if (ngx_mesh_room_rest_writer(rest, &scratch,
                                      members->rows[i].value.len)
            != NGX_OK
            || ngx_mesh_room_record_member_read(&member,
                                                members->rows[i].value,
                                                &scratch)
               != NGX_OK
            || bytes_equal(member.id,
                           ngx_mesh_room_rest_bytes(&rest->me->id))
            || ngx_mesh_room_access_allow(rest->mcf, rest->principal,
                                          "/dm/send", member.id, &refusal)
               != NGX_OK)
        {
            continue;
        }

        json_write_object(j);
        json_write_member(j, "roomId", room);
        json_write_key(j, "with");
        json_write_object(j);
        json_write_member(j, "id", member.id);
        json_write_member(j, "name", member.name);
        json_write_object_end(j);
        json_write_object_end(j);
    }
}
