/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * REST: the messages of a room that hold these words, newest first, as the
 * history gives them.
 *
 *     GET /api/rooms/:id/search?q=&limit=&cursor=
 *
 * Whoever may read the room may search it.  The search itself is a read of
 * the store (STORE_SEARCH), which the storage module answers.
 */


#include "ngx_mesh_room_rest.h"


#define NGX_MESH_ROOM_REST_SEARCH_LIMIT      20     /* messages of a page */
#define NGX_MESH_ROOM_REST_SEARCH_LIMIT_MAX  100
#define NGX_MESH_ROOM_REST_SEARCH_QUERY_MAX  256    /* bytes */
#define NGX_MESH_ROOM_REST_SEARCH_POOL       1024   /* bytes, of the job */
#define NGX_MESH_ROOM_REST_SEARCH_PLACE_MAX  20     /* digits of a cursor */


static ngx_int_t ngx_mesh_room_rest_search_step(ngx_mesh_room_rest_t *rest);
static ngx_int_t ngx_mesh_room_rest_search_next(ngx_mesh_room_rest_t *rest);
static ngx_int_t ngx_mesh_room_rest_search_args(ngx_mesh_room_rest_t *rest,
    store_read_t *read, ngx_int_t *rc);
static ngx_int_t ngx_mesh_room_rest_search_done(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_room_rest_search_page(ngx_mesh_room_rest_t *rest,
    const store_rows_t *rows);
static ngx_int_t ngx_mesh_room_rest_search_end(ngx_mesh_room_rest_t *rest,
    const store_rows_t *rows, json_write_t *j);
static ngx_int_t ngx_mesh_room_rest_search_off(ngx_mesh_room_rest_t *rest);


ngx_int_t
ngx_mesh_room_rest_search_list(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_room_rest_open(r, args, NGX_MESH_ROOM_REST_NO_BODY,
                                   ngx_mesh_room_rest_search_step);
}


static ngx_int_t
ngx_mesh_room_rest_search_step(ngx_mesh_room_rest_t *rest)
{
    return ngx_mesh_room_rest_room(rest, ngx_mesh_room_rest_search_next);
}


static ngx_int_t
ngx_mesh_room_rest_search_next(ngx_mesh_room_rest_t *rest)
{
    ngx_int_t              rc;
    store_read_t           args, *read;
    ngx_mesh_store_job_t  *job;

    ngx_memzero(&args, sizeof(store_read_t));

    if (ngx_mesh_room_rest_search_args(rest, &args, &rc) != NGX_OK) {
        return rc;
    }

    job = ngx_mesh_store_job_create(NGX_MESH_ROOM_REST_SEARCH_POOL,
                                    rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    read = ngx_mesh_store_job_reads(job, 1);

    if (read) {
        *read = args;
        read->kind = STORE_SEARCH;
        read->ns = ngx_mesh_room_record_copy(job->pool, rest->room_id);
        read->key = ngx_mesh_room_record_copy(job->pool, args.key);
    }

    if (read == NULL || read->ns.data == NULL || read->key.data == NULL) {
        ngx_mesh_store_job_destroy(rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_room_rest_read(rest, job, ngx_mesh_room_rest_search_done);
}


/* NGX_OK, or *rc is the answer that was sent. */
static ngx_int_t
ngx_mesh_room_rest_search_args(ngx_mesh_room_rest_t *rest,
    store_read_t *read, ngx_int_t *rc)
{
    off_t      before;
    bytes_t    place;
    uint64_t   limit;
    ngx_int_t  found;
    ngx_str_t  q;

    limit = NGX_MESH_ROOM_REST_SEARCH_LIMIT;

    found = ngx_mesh_route_query(rest->r, "q", &q);

    if (found != NGX_OK || q.len == 0
        || q.len > NGX_MESH_ROOM_REST_SEARCH_QUERY_MAX)
    {
        *rc = ngx_mesh_reply_problem(rest->r, PROBLEM_BAD_REQUEST,
                                     "\"q\" must be what to look for, at "
                                     "most 256 bytes");
        return NGX_ERROR;
    }

    if (ngx_mesh_room_rest_query(rest, "limit", &limit, rc) == NGX_ERROR
        || ngx_mesh_room_rest_cursor(rest, "search", &place, rc) == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    before = place.len ? ngx_atoof((u_char *) place.data, place.len) : 0;

    if (before == NGX_ERROR) {
        *rc = ngx_mesh_reply_problem(rest->r, PROBLEM_INVALID_CURSOR, NULL);
        return NGX_ERROR;
    }

    limit = ngx_max(limit, 1);

    read->key = ngx_mesh_room_rest_bytes(&q);
    read->before = (uint64_t) before;
    read->limit = ngx_min(limit, NGX_MESH_ROOM_REST_SEARCH_LIMIT_MAX);

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_room_rest_search_done(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    switch (job->rc) {

    case STORE_OK:
        return ngx_mesh_room_rest_search_page(rest, &job->rows[0]);

    case STORE_INVALID:
        return ngx_mesh_reply_problem(rest->r, PROBLEM_BAD_REQUEST,
                                      "\"q\" is at most 16 of: word, "
                                      "\"phrase\", prefix*, and -word beside "
                                      "them");

    case STORE_BUSY:
        return ngx_mesh_reply_problem(rest->r, PROBLEM_BUSY,
                                      "the search took too long, or the text "
                                      "index is being made: ask for rarer "
                                      "words, or again");

    case STORE_TYPE:
        return ngx_mesh_room_rest_search_off(rest);

    default:
        return ngx_mesh_room_rest_store_problem(rest, job->rc);
    }
}


/* {roomId, messages: [...], next?, seq}: seq is what the index has reached */
static ngx_int_t
ngx_mesh_room_rest_search_page(ngx_mesh_room_rest_t *rest,
    const store_rows_t *rows)
{
    size_t          i, size;
    bytes_t         message;
    json_write_t    j;
    bytes_writer_t  w;

    size = 256 + CURSOR_TEXT_MAX;

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
        message = ngx_mesh_room_message_encode(rest->r->pool,
                                               rows->rows[i].seq,
                                               rows->rows[i].value);
        if (message.data == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        json_write_raw(&j, message);
    }

    json_write_array_end(&j);

    if (ngx_mesh_room_rest_search_end(rest, rows, &j) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_object_end(&j);

    return ngx_mesh_room_rest_reply(rest, NGX_HTTP_OK, &w);
}


static ngx_int_t
ngx_mesh_room_rest_search_end(ngx_mesh_room_rest_t *rest,
    const store_rows_t *rows, json_write_t *j)
{
    u_char     place[NGX_MESH_ROOM_REST_SEARCH_PLACE_MAX];
    u_char    *last;

    json_write_member_integer(j, "seq", (int64_t) rows->head);

    if (!rows->more) {
        return NGX_OK;
    }

    last = ngx_snprintf(place, sizeof(place), "%uL",
                        (uint64_t) rows->usage.items);

    return ngx_mesh_room_rest_next(rest, "search",
                                   bytes_make(place, last - place), j);
}


static ngx_int_t
ngx_mesh_room_rest_search_off(ngx_mesh_room_rest_t *rest)
{
    problem_facts_t   facts;
    problem_member_t  capability;

    ngx_memzero(&facts, sizeof(problem_facts_t));
    ngx_memzero(&capability, sizeof(problem_member_t));

    capability.name = "capability";
    capability.text = bytes_of("fts");

    facts.members = &capability;
    facts.member_count = 1;
    facts.detail = bytes_of("this node has no text index");

    return ngx_mesh_reply_problem_facts(rest->r, PROBLEM_UNSUPPORTED, &facts);
}
