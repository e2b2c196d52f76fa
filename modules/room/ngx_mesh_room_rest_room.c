/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * REST: rooms themselves.  List, create, get, remove.
 */


#include "ngx_mesh_room_rest.h"


/* Items that one store request can drop beside the room's own. */
#define NGX_MESH_ROOM_REST_REMOVE_MAX  61

/* Operations that make a room; one more takes the name of a public one. */
#define NGX_MESH_ROOM_REST_CREATE_OPS  3

#define NGX_MESH_ROOM_REST_LIST_SIZE   256     /* bytes beside the records */


typedef struct {
    bytes_t                     after;         /* key the page before ended */
    uint64_t                    limit;
} ngx_mesh_room_rest_page_t;


static ngx_int_t ngx_mesh_room_rest_room_list_step(
    ngx_mesh_room_rest_t *rest);
static ngx_int_t ngx_mesh_room_rest_room_list_done(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job);
static ngx_uint_t ngx_mesh_room_rest_room_mine(const store_rows_t *of,
    bytes_t id);
static ngx_int_t ngx_mesh_room_rest_room_create_step(
    ngx_mesh_room_rest_t *rest);
static ngx_int_t ngx_mesh_room_rest_room_draft(ngx_mesh_room_rest_t *rest,
    ngx_mesh_room_record_t *room, bytes_t *folded, ngx_int_t *rc);
static ngx_int_t ngx_mesh_room_rest_room_may_create(
    ngx_mesh_room_rest_t *rest, const char *visibility, ngx_int_t *rc);
static ngx_int_t ngx_mesh_room_rest_room_create_ops(
    ngx_mesh_room_rest_t *rest, ngx_mesh_store_job_t *job,
    const ngx_mesh_room_record_t *room, bytes_t folded);
static ngx_int_t ngx_mesh_room_rest_room_create_done(
    ngx_mesh_room_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_room_rest_room_get_step(ngx_mesh_room_rest_t *rest);
static ngx_int_t ngx_mesh_room_rest_room_get_next(ngx_mesh_room_rest_t *rest);
static ngx_int_t ngx_mesh_room_rest_room_remove_step(
    ngx_mesh_room_rest_t *rest);
static ngx_int_t ngx_mesh_room_rest_room_remove_next(
    ngx_mesh_room_rest_t *rest);
static ngx_int_t ngx_mesh_room_rest_room_members_done(
    ngx_mesh_room_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_room_rest_room_remove_ops(
    ngx_mesh_room_rest_t *rest, ngx_mesh_store_job_t *job,
    const store_rows_t *members);
static ngx_int_t ngx_mesh_room_rest_room_remove_done(
    ngx_mesh_room_rest_t *rest, ngx_mesh_store_job_t *job);


/* GET /api/rooms */

ngx_int_t
ngx_mesh_room_rest_room_list(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_room_rest_open(r, args, NGX_MESH_ROOM_REST_NO_BODY,
                                   ngx_mesh_room_rest_room_list_step);
}


static ngx_int_t
ngx_mesh_room_rest_room_list_step(ngx_mesh_room_rest_t *rest)
{
    ngx_int_t                   rc;
    store_read_t               *reads;
    ngx_mesh_store_job_t       *job;
    ngx_mesh_room_rest_page_t  *page;

    page = ngx_pcalloc(rest->r->pool, sizeof(ngx_mesh_room_rest_page_t));

    if (page == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rest->data = page;
    page->limit = NGX_MESH_ROOM_REST_LIMIT_MAX;

    if (ngx_mesh_room_rest_query(rest, "limit", &page->limit, &rc)
        == NGX_ERROR
        || ngx_mesh_room_rest_cursor(rest, "rooms", &page->after, &rc)
           == NGX_ERROR)
    {
        return rc;
    }

    page->limit = ngx_max(page->limit, 1);
    page->limit = ngx_min(page->limit, NGX_MESH_ROOM_REST_LIMIT_MAX);

    job = ngx_mesh_store_job_create(2048, rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    reads = ngx_mesh_store_job_reads(job, 2);

    if (reads == NULL) {
        ngx_mesh_store_job_destroy(rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    reads[0].kind = STORE_RANGE;
    reads[0].ns = bytes_of(RECORD_NS_ROOMS);
    reads[0].key = bytes_of("room/");
    reads[0].after_key = ngx_mesh_room_record_copy(job->pool, page->after);
    reads[0].limit = page->limit;

    reads[1].kind = STORE_RANGE;
    reads[1].ns = bytes_of(RECORD_NS_ROOMS);
    reads[1].key = ngx_mesh_room_rest_mine(rest, job->pool, "of");
    reads[1].limit = STORE_LIMIT_MAX;

    return ngx_mesh_room_rest_read(rest, job,
                                   ngx_mesh_room_rest_room_list_done);
}


static ngx_int_t
ngx_mesh_room_rest_room_list_done(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    size_t          i, size;
    ngx_int_t       rc;
    ngx_uint_t      shown;
    json_write_t    j;
    bytes_writer_t  w;

    if (job->rc != STORE_OK) {
        return ngx_mesh_room_rest_store_problem(rest, job->rc);
    }

    size = NGX_MESH_ROOM_REST_LIST_SIZE + CURSOR_TEXT_MAX;

    for (i = 0; i < job->rows[0].count; i++) {
        size += job->rows[0].rows[i].value.len + 1;
    }

    if (ngx_mesh_room_rest_writer(rest, &w, size) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_key(&j, "rooms");
    json_write_array(&j);

    shown = 0;

    if (ngx_mesh_room_rest_room_list_write(rest, job, &j, &shown) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_array_end(&j);

    /* a session that may list no room at all hears so; one that may list
       some has no empty id to ask for */

    if (shown == 0
        && ngx_mesh_room_rest_allow(rest, "/room/list", bytes_make(NULL, 0),
                                    &rc)
           != NGX_OK
        && job->rows[0].count != 0)
    {
        return rc;
    }

    if (job->rows[0].more
        && ngx_mesh_room_rest_next(rest, "rooms",
                                   job->rows[0].rows[i - 1].key, &j)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_object_end(&j);

    return ngx_mesh_room_rest_reply(rest, NGX_HTTP_OK, &w);
}


ngx_int_t
ngx_mesh_room_rest_room_list_write(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job, json_write_t *j, ngx_uint_t *shown)
{
    size_t                    i;
    bytes_t                   json;
    bytes_writer_t            scratch;
    ngx_mesh_room_record_t    room;
    ngx_mesh_room_refusal_t   refusal;

    if (ngx_mesh_room_rest_writer(rest, &scratch, NGX_MESH_ROOM_RECORD_MAX)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < job->rows[0].count; i++) {
        json = job->rows[0].rows[i].value;
        scratch.pos = scratch.start;

        if (ngx_mesh_room_record_read(&room, json, &scratch) != NGX_OK) {
            continue;
        }

        if (room.direct
            || (room.visibility == NGX_MESH_ROOM_PRIVATE
                && !ngx_mesh_room_rest_room_mine(&job->rows[1], room.id))
            || ngx_mesh_room_access_allow(rest->mcf, rest->principal,
                                          "/room/list", room.id, &refusal)
               != NGX_OK)
        {
            continue;
        }

        json_write_raw(j, json);
        (*shown)++;
    }

    return NGX_OK;
}


/* of: the sorted keys "of/<me>/<room>". */

static ngx_uint_t
ngx_mesh_room_rest_room_mine(const store_rows_t *of, bytes_t id)
{
    int      order;
    size_t   low, high, middle;
    bytes_t  key;

    low = 0;
    high = of->count;

    while (low < high) {
        middle = (low + high) / 2;
        key = of->rows[middle].key;

        if (key.len < ID_LEN) {
            return 0;
        }

        order = memcmp(key.data + key.len - ID_LEN, id.data,
                       ngx_min(id.len, ID_LEN));

        if (order == 0) {
            return id.len == ID_LEN;
        }

        if (order < 0) {
            low = middle + 1;

        } else {
            high = middle;
        }
    }

    return 0;
}


/* POST /api/rooms */

ngx_int_t
ngx_mesh_room_rest_room_create(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_room_rest_open(r, args, NGX_MESH_ROOM_REST_BODY,
                                   ngx_mesh_room_rest_room_create_step);
}


static ngx_int_t
ngx_mesh_room_rest_room_create_step(ngx_mesh_room_rest_t *rest)
{
    bytes_t                 folded;
    ngx_int_t               rc;
    ngx_mesh_store_job_t   *job;
    ngx_mesh_room_record_t  room;

    if (ngx_mesh_room_rest_room_draft(rest, &room, &folded, &rc) != NGX_OK) {
        return rc;
    }

    if (ngx_mesh_room_rest_room_may_create(rest,
                                room.visibility == NGX_MESH_ROOM_PRIVATE
                                ? "private" : "public", &rc)
        != NGX_OK)
    {
        return rc;
    }

    job = ngx_mesh_store_job_create(4096, rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_mesh_room_rest_room_create_ops(rest, job, &room, folded)
        != NGX_OK)
    {
        ngx_mesh_store_job_destroy(rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_room_rest_write(rest, job,
                                    ngx_mesh_room_rest_room_create_done);
}


static ngx_int_t
ngx_mesh_room_rest_room_draft(ngx_mesh_room_rest_t *rest,
    ngx_mesh_room_record_t *room, bytes_t *folded, ngx_int_t *rc)
{
    u_char          *id;
    ngx_int_t        found;
    ngx_str_t        name, topic, visibility;
    ngx_time_t      *tp;
    bytes_writer_t   w;

    ngx_memzero(room, sizeof(ngx_mesh_room_record_t));

    if (ngx_mesh_room_rest_text(rest, "name", RECORD_NAME_MAX * 4, &name, rc)
        == NGX_ERROR
        || ngx_mesh_room_rest_text(rest, "topic", NGX_MESH_ROOM_TOPIC_MAX,
                                   &topic, rc)
           == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    found = ngx_mesh_room_rest_text(rest, "visibility", 16, &visibility, rc);

    if (found == NGX_ERROR) {
        return NGX_ERROR;
    }

    id = ngx_pnalloc(rest->r->pool, ID_LEN);

    if (id == NULL
        || ngx_mesh_room_rest_writer(rest, &w, name.len) != NGX_OK)
    {
        *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return NGX_ERROR;
    }

    if (record_name_fold(&w, ngx_mesh_room_rest_bytes(&name)) != 0) {
        *rc = ngx_mesh_reply_problem(rest->r, PROBLEM_BAD_REQUEST,
                                     "\"name\" must be 1 to 64 characters, "
                                     "without controls and without blanks "
                                     "at its ends");
        return NGX_ERROR;
    }

    if (found == NGX_OK
        && !bytes_equal_text(ngx_mesh_room_rest_bytes(&visibility), "public")
        && !bytes_equal_text(ngx_mesh_room_rest_bytes(&visibility),
                             "private"))
    {
        *rc = ngx_mesh_reply_problem(rest->r, PROBLEM_BAD_REQUEST,
                                     "\"visibility\" must be \"public\" or "
                                     "\"private\"");
        return NGX_ERROR;
    }

    tp = ngx_timeofday();

    room->created_ms = (int64_t) tp->sec * 1000 + tp->msec;
    id_create((char *) id, 'r', room->created_ms);

    room->id = bytes_make(id, ID_LEN);
    room->name = ngx_mesh_room_rest_bytes(&name);
    room->topic = ngx_mesh_room_rest_bytes(&topic);
    room->created_by = ngx_mesh_room_rest_bytes(&rest->me->id);
    room->visibility = (visibility.len == sizeof("private") - 1)
                       ? NGX_MESH_ROOM_PRIVATE : NGX_MESH_ROOM_PUBLIC;
    *folded = bytes_writer_view(&w);

    return NGX_OK;
}


/* The one command that is asked with an argument beside the room. */

static ngx_int_t
ngx_mesh_room_rest_room_may_create(ngx_mesh_room_rest_t *rest,
    const char *visibility, ngx_int_t *rc)
{
    ucan_request_t  request;
    ucan_verdict_t  verdict;

    ngx_memzero(&request, sizeof(ucan_request_t));

    request.command = bytes_of("/room/create");
    request.args[0].name = bytes_of("visibility");
    request.args[0].value = bytes_of(visibility);
    request.arg_count = 1;

    verdict = rest->mcf->principal->allow(rest->principal, &request);

    if (verdict == UCAN_OK) {
        return NGX_OK;
    }

    *rc = ngx_mesh_reply_verdict(rest->r, verdict, request.command);

    return NGX_ERROR;
}


static ngx_int_t
ngx_mesh_room_rest_room_create_ops(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job, const ngx_mesh_room_record_t *room,
    bytes_t folded)
{
    u_char                  *p;
    bytes_t                  id, none;
    ngx_uint_t               named;
    store_op_t              *ops;
    bytes_writer_t           w, m;
    ngx_mesh_room_member_t   member;

    none = bytes_make(NULL, 0);
    named = room->visibility == NGX_MESH_ROOM_PUBLIC;
    ops = ngx_mesh_store_job_ops(job, NGX_MESH_ROOM_REST_CREATE_OPS + named);
    id = ngx_mesh_room_record_copy(job->pool, room->id);
    p = ngx_pnalloc(job->pool, 2 * NGX_MESH_ROOM_RECORD_MAX);

    if (ops == NULL || id.data == NULL || p == NULL) {
        return NGX_ERROR;
    }

    bytes_writer_open(&w, p, NGX_MESH_ROOM_RECORD_MAX);
    bytes_writer_open(&m, p + NGX_MESH_ROOM_RECORD_MAX,
                      NGX_MESH_ROOM_RECORD_MAX);

    ngx_memzero(&member, sizeof(ngx_mesh_room_member_t));

    member.id = ngx_mesh_room_rest_bytes(&rest->me->id);
    member.name = ngx_mesh_room_rest_bytes(&rest->me->name);
    member.owner = 1;
    member.joined_ms = room->created_ms;

    ngx_mesh_room_record_write(&w, room);
    ngx_mesh_room_record_member_write(&m, &member);

    if (w.failed || m.failed) {
        return NGX_ERROR;
    }

    ops[0].kind = STORE_PUT;
    ops[0].condition = STORE_IF_ABSENT;
    ops[0].ns = bytes_of(RECORD_NS_ROOMS);
    ops[0].key = ngx_mesh_room_record_key(job->pool, "room", id, none);
    ops[0].value = bytes_writer_view(&w);

    ops[1].kind = STORE_PUT;
    ops[1].ns = bytes_of(RECORD_NS_ROOMS);
    ops[1].key = ngx_mesh_room_record_key(job->pool, "of", member.id, id);

    ops[2].kind = STORE_PUT;
    ops[2].ns = id;
    ops[2].key = ngx_mesh_room_record_key(job->pool, "member", member.id,
                                          none);
    ops[2].value = bytes_writer_view(&m);

    if (!named) {
        return NGX_OK;
    }

    /* the name of a private room is not taken: whoever tried it would learn
       that the room is there */

    ops[3].kind = STORE_PUT;
    ops[3].condition = STORE_IF_ABSENT;
    ops[3].ns = bytes_of(RECORD_NS_ROOMS);
    ops[3].key = ngx_mesh_room_record_key(job->pool, "name", folded, none);
    ops[3].value = id;

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_room_rest_room_create_done(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    bytes_t         json;
    ngx_str_t       location, id;
    bytes_writer_t  w;

    if (job->write.rc == STORE_CONDITION
        && job->write.failed == NGX_MESH_ROOM_REST_CREATE_OPS)
    {
        return ngx_mesh_reply_problem(rest->r, PROBLEM_NAME_TAKEN,
                                      "a room of that name exists");
    }

    if (job->write.rc != STORE_OK) {
        return ngx_mesh_room_rest_store_problem(rest, job->write.rc);
    }

    json = job->write.ops[0].value;
    id = ngx_mesh_room_rest_str(job->write.ops[2].ns);

    ngx_mesh_room_hub_tell_member(rest->mcf, &id, &rest->me->id);

    location.len = sizeof("/api/rooms/") - 1 + id.len;
    location.data = ngx_pnalloc(rest->r->pool, location.len);

    if (location.data == NULL
        || ngx_mesh_room_rest_writer(rest, &w, json.len) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    (void) ngx_sprintf(location.data, "/api/rooms/%V", &id);

    if (ngx_mesh_reply_header(rest->r, "Location", &location) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    bytes_writer_bytes(&w, json);

    return ngx_mesh_room_rest_reply(rest, NGX_HTTP_CREATED, &w);
}


/* GET /api/rooms/:id */

ngx_int_t
ngx_mesh_room_rest_room_get(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_room_rest_open(r, args, NGX_MESH_ROOM_REST_NO_BODY,
                                   ngx_mesh_room_rest_room_get_step);
}


static ngx_int_t
ngx_mesh_room_rest_room_get_step(ngx_mesh_room_rest_t *rest)
{
    return ngx_mesh_room_rest_room(rest, ngx_mesh_room_rest_room_get_next);
}


static ngx_int_t
ngx_mesh_room_rest_room_get_next(ngx_mesh_room_rest_t *rest)
{
    bytes_writer_t  w;

    if (ngx_mesh_room_rest_writer(rest, &w, NGX_MESH_ROOM_RECORD_MAX)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_mesh_room_record_write(&w, &rest->record);

    return ngx_mesh_room_rest_reply(rest, NGX_HTTP_OK, &w);
}


/* DELETE /api/rooms/:id */

ngx_int_t
ngx_mesh_room_rest_room_remove(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_room_rest_open(r, args, NGX_MESH_ROOM_REST_NO_BODY,
                                   ngx_mesh_room_rest_room_remove_step);
}


static ngx_int_t
ngx_mesh_room_rest_room_remove_step(ngx_mesh_room_rest_t *rest)
{
    return ngx_mesh_room_rest_room(rest, ngx_mesh_room_rest_room_remove_next);
}


static ngx_int_t
ngx_mesh_room_rest_room_remove_next(ngx_mesh_room_rest_t *rest)
{
    ngx_int_t              rc;
    store_read_t          *reads;
    ngx_mesh_store_job_t  *job;

    if (rest->record.direct) {
        return ngx_mesh_reply_problem(rest->r, PROBLEM_CONFLICT,
                                      "a direct room cannot be removed");
    }

    if (ngx_mesh_room_rest_manage(rest, NULL, &rc) != NGX_OK) {
        return rc;
    }

    job = ngx_mesh_store_job_create(1024, rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    reads = ngx_mesh_store_job_reads(job, 1);

    if (reads == NULL) {
        ngx_mesh_store_job_destroy(rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    reads[0].kind = STORE_RANGE;
    reads[0].ns = ngx_mesh_room_record_copy(job->pool, rest->room_id);
    reads[0].key = bytes_of("member/");
    reads[0].limit = NGX_MESH_ROOM_REST_REMOVE_MAX;

    return ngx_mesh_room_rest_read(rest, job,
                                   ngx_mesh_room_rest_room_members_done);
}


static ngx_int_t
ngx_mesh_room_rest_room_members_done(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_mesh_store_job_t  *removal;

    if (job->rc != STORE_OK) {
        return ngx_mesh_room_rest_store_problem(rest, job->rc);
    }

    removal = ngx_mesh_store_job_create(8192, rest->r->connection->log);

    if (removal == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_mesh_room_rest_room_remove_ops(rest, removal, &job->rows[0])
        != NGX_OK)
    {
        ngx_mesh_store_job_destroy(rest->mcf->store, removal);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_room_rest_write(rest, removal,
                                    ngx_mesh_room_rest_room_remove_done);
}


/* What is left of a very large room, "of" keys that lead nowhere, is passed
   over by whoever reads them. */

static ngx_int_t
ngx_mesh_room_rest_room_remove_ops(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job, const store_rows_t *members)
{
    size_t           i;
    bytes_t          id, none, key;
    ngx_uint_t       named;
    store_op_t      *ops;
    bytes_writer_t   w;

    none = bytes_make(NULL, 0);
    named = rest->record.visibility == NGX_MESH_ROOM_PUBLIC;
    ops = ngx_mesh_store_job_ops(job, 2 + named + members->count);
    id = ngx_mesh_room_record_copy(job->pool, rest->room_id);

    if (ops == NULL || id.data == NULL
        || ngx_mesh_room_rest_writer(rest, &w, rest->record.name.len)
           != NGX_OK
        || record_name_fold(&w, rest->record.name) != 0)
    {
        return NGX_ERROR;
    }

    ops[0].kind = STORE_DELETE;
    ops[0].condition = STORE_IF_PRESENT;
    ops[0].ns = bytes_of(RECORD_NS_ROOMS);
    ops[0].key = ngx_mesh_room_record_key(job->pool, "room", id, none);

    ops[1].kind = STORE_DROP;
    ops[1].ns = id;

    ops += 2;

    if (named) {
        ops->kind = STORE_DELETE;
        ops->ns = bytes_of(RECORD_NS_ROOMS);
        ops->key = ngx_mesh_room_record_key(job->pool, "name",
                                            bytes_writer_view(&w), none);
        ops++;
    }

    for (i = 0; i < members->count; i++) {
        key = members->rows[i].key;
        key.data += sizeof("member/") - 1;
        key.len -= sizeof("member/") - 1;

        ops[i].kind = STORE_DELETE;
        ops[i].ns = bytes_of(RECORD_NS_ROOMS);
        ops[i].key = ngx_mesh_room_record_key(job->pool, "of", key, id);

        if (ops[i].key.data == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_room_rest_room_remove_done(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_str_t  id;

    if (job->write.rc == STORE_CONDITION) {
        return ngx_mesh_reply_problem(rest->r, PROBLEM_NOT_FOUND,
                                      "there is no such room");
    }

    if (job->write.rc != STORE_OK) {
        return ngx_mesh_room_rest_store_problem(rest, job->write.rc);
    }

    id = ngx_mesh_room_rest_str(rest->room_id);
    ngx_mesh_room_hub_tell_room(rest->mcf, &id);

    return ngx_mesh_reply_empty(rest->r, NGX_HTTP_NO_CONTENT);
}
