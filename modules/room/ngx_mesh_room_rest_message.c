/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * REST: messages.  History of a room, and sending to it.
 */


#include "ngx_mesh_room_rest.h"


static ngx_int_t ngx_mesh_room_rest_message_list_next(
    ngx_mesh_room_rest_t *rest);
static void ngx_mesh_room_rest_message_list_done(void *data, store_rc_t rc,
    store_rows_t *rows);
static ngx_int_t ngx_mesh_room_rest_message_page(ngx_mesh_room_rest_t *rest,
    store_rows_t *rows);
static ngx_int_t ngx_mesh_room_rest_message_send_step(
    ngx_mesh_room_rest_t *rest);
static ngx_int_t ngx_mesh_room_rest_message_send_next(
    ngx_mesh_room_rest_t *rest);
static void ngx_mesh_room_rest_message_sent(void *data,
    ngx_mesh_room_sent_t *sent);


/* GET /api/rooms/:id/messages */

static ngx_int_t
ngx_mesh_room_rest_message_list_step(ngx_mesh_room_rest_t *rest)
{
    return ngx_mesh_room_rest_room(rest,
                                   ngx_mesh_room_rest_message_list_next);
}


ngx_int_t
ngx_mesh_room_rest_message_list(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_room_rest_open(r, args, NGX_MESH_ROOM_REST_NO_BODY,
                                   ngx_mesh_room_rest_message_list_step);
}


/* Without "since" the newest ones, before "before" when given. */

static ngx_int_t
ngx_mesh_room_rest_message_list_next(ngx_mesh_room_rest_t *rest)
{
    uint64_t                since, before, limit;
    ngx_int_t               rc, found;
    ngx_mesh_store_job_t   *job;
    ngx_mesh_room_query_t  *query;

    since = 0;
    before = 0;
    limit = NGX_MESH_ROOM_REST_LIMIT;

    found = ngx_mesh_room_rest_query(rest, "since", &since, &rc);

    if (found == NGX_ERROR
        || ngx_mesh_room_rest_query(rest, "before", &before, &rc) == NGX_ERROR
        || ngx_mesh_room_rest_query(rest, "limit", &limit, &rc) == NGX_ERROR)
    {
        return rc;
    }

    query = ngx_pcalloc(rest->r->pool, sizeof(ngx_mesh_room_query_t));

    if (query == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    limit = ngx_max(limit, 1);

    query->room = ngx_mesh_room_rest_str(rest->room_id);
    query->after = since;
    query->before = before;
    query->limit = ngx_min(limit, NGX_MESH_ROOM_REST_LIMIT_MAX);
    query->reverse = (found == NGX_DECLINED);

    rest->data = query;

    rc = ngx_mesh_room_history_read(rest->mcf, query,
                                    ngx_mesh_room_rest_message_list_done,
                                    rest, &job);

    if (rc != NGX_OK) {
        return ngx_mesh_room_rest_store_problem(rest, rc == NGX_BUSY
                                                      ? STORE_BUSY
                                                      : STORE_FAILED);
    }

    return ngx_mesh_room_rest_park(rest, &job->data);
}


static void
ngx_mesh_room_rest_message_list_done(void *data, store_rc_t rc,
    store_rows_t *rows)
{
    ngx_int_t              answer;
    ngx_mesh_room_rest_t  *rest = data;

    if (rc != STORE_OK) {
        answer = ngx_mesh_room_rest_store_problem(rest, rc);

    } else {
        answer = ngx_mesh_room_rest_message_page(rest, rows);
    }

    ngx_mesh_room_rest_resume(rest, answer);
}


/* Oldest first, whichever way they were read. */

static ngx_int_t
ngx_mesh_room_rest_message_page(ngx_mesh_room_rest_t *rest,
    store_rows_t *rows)
{
    size_t                  i, size;
    bytes_t                 message;
    store_row_t            *row;
    json_write_t            j;
    bytes_writer_t          w;
    ngx_mesh_room_query_t  *query;

    query = rest->data;
    size = 256;

    for (i = 0; i < rows->count; i++) {
        size += rows->rows[i].value.len + NGX_MESH_ROOM_MESSAGE_EXTRA + 1;
    }

    if (ngx_mesh_room_rest_writer(rest, &w, size) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member(&j, "roomId", rest->room_id);
    json_write_key(&j, "messages");
    json_write_array(&j);

    for (i = 0; i < rows->count; i++) {
        row = query->reverse ? &rows->rows[rows->count - 1 - i]
                             : &rows->rows[i];
        message = ngx_mesh_room_message_encode(rest->r->pool, row->seq,
                                               row->value);
        if (message.data == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        json_write_raw(&j, message);
    }

    json_write_array_end(&j);
    json_write_member_bool(&j, "more", rows->more);
    json_write_member_integer(&j, "seq", (int64_t) rows->head);
    json_write_object_end(&j);

    return ngx_mesh_room_rest_reply(rest, NGX_HTTP_OK, &w);
}


/* POST /api/rooms/:id/messages */

ngx_int_t
ngx_mesh_room_rest_message_send(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_room_rest_open(r, args, NGX_MESH_ROOM_REST_BODY,
                                   ngx_mesh_room_rest_message_send_step);
}


/* The room itself is not read first: that the sender is a member is checked
   where the message is written. */

static ngx_int_t
ngx_mesh_room_rest_message_send_step(ngx_mesh_room_rest_t *rest)
{
    ngx_int_t              rc;
    ngx_mesh_room_draft_t  draft;

    if (!id_valid(rest->room_id, 'r')
        || ngx_mesh_room_record_direct(rest->room_id))
    {
        return ngx_mesh_room_rest_room(rest,
                                       ngx_mesh_room_rest_message_send_next);
    }

    if (ngx_mesh_room_rest_allow(rest, "/room/send", rest->room_id, &rc)
        != NGX_OK
        || ngx_mesh_room_rest_message_draft(rest, &draft, &rc) != NGX_OK)
    {
        return rc;
    }

    draft.room = ngx_mesh_room_rest_str(rest->room_id);

    return ngx_mesh_room_rest_message_append(rest, &draft);
}


/* A direct room: reading it was asked for with "/dm/send" already. */

static ngx_int_t
ngx_mesh_room_rest_message_send_next(ngx_mesh_room_rest_t *rest)
{
    ngx_int_t              rc;
    ngx_mesh_room_draft_t  draft;

    if (ngx_mesh_room_rest_message_draft(rest, &draft, &rc) != NGX_OK) {
        return rc;
    }

    draft.to = ngx_mesh_room_rest_str(rest->other);

    return ngx_mesh_room_rest_message_append(rest, &draft);
}


ngx_int_t
ngx_mesh_room_rest_message_draft(ngx_mesh_room_rest_t *rest,
    ngx_mesh_room_draft_t *draft, ngx_int_t *rc)
{
    ngx_int_t  found;

    ngx_memzero(draft, sizeof(ngx_mesh_room_draft_t));

    found = ngx_mesh_room_rest_text(rest, "content", rest->lcf->message_size,
                                    &draft->content, rc);

    if (found == NGX_ERROR
        || ngx_mesh_room_rest_text(rest, "clientId",
                                   NGX_MESH_ROOM_CLIENT_ID_MAX,
                                   &draft->client_id, rc)
           == NGX_ERROR
        || ngx_mesh_room_rest_text(rest, "replyTo", ID_LEN, &draft->reply_to,
                                   rc)
           == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    if (draft->content.len == 0) {
        *rc = ngx_mesh_reply_problem(rest->r, PROBLEM_BAD_REQUEST,
                                     "\"content\" must be a string that is "
                                     "not empty");
        return NGX_ERROR;
    }

    if (draft->reply_to.len != 0
        && !id_valid(ngx_mesh_room_rest_bytes(&draft->reply_to), 'm'))
    {
        *rc = ngx_mesh_reply_problem(rest->r, PROBLEM_BAD_REQUEST,
                                     "\"replyTo\" must be the id of a "
                                     "message");
        return NGX_ERROR;
    }

    draft->sender = rest->me->id;
    draft->sender_name = rest->me->name;

    return NGX_OK;
}


ngx_int_t
ngx_mesh_room_rest_message_append(ngx_mesh_room_rest_t *rest,
    ngx_mesh_room_draft_t *draft)
{
    ngx_int_t              rc;
    ngx_mesh_store_job_t  *job;

    rc = ngx_mesh_room_history_append(rest->mcf, draft,
                                      ngx_mesh_room_rest_message_sent, rest,
                                      &job);

    if (rc != NGX_OK) {
        return ngx_mesh_room_rest_store_problem(rest, rc == NGX_BUSY
                                                      ? STORE_BUSY
                                                      : STORE_FAILED);
    }

    return ngx_mesh_room_rest_park(rest, &job->data);
}


static void
ngx_mesh_room_rest_message_sent(void *data, ngx_mesh_room_sent_t *sent)
{
    ngx_int_t              rc;
    bytes_writer_t         w;
    ngx_mesh_room_rest_t  *rest = data;

    if (sent->problem != PROBLEM_COUNT) {
        rc = ngx_mesh_reply_problem(rest->r, sent->problem,
                                    sent->problem == PROBLEM_NOT_A_MEMBER
                                    ? "join the room first: POST "
                                      "/api/rooms/:id/join"
                                    : NULL);

    } else if (ngx_mesh_room_rest_writer(rest, &w, sent->message.len)
               != NGX_OK)
    {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    } else {
        bytes_writer_put(&w, sent->message.data, sent->message.len);

        rc = ngx_mesh_room_rest_reply(rest, sent->repeat ? NGX_HTTP_OK
                                                         : NGX_HTTP_CREATED,
                                      &w);
    }

    ngx_mesh_room_rest_resume(rest, rc);
}
