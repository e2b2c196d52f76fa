/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * GET /api/status: what is new for the caller, in numbers.
 * GET /api/state: the world as the caller may see it, in one answer.
 */


#include "ngx_mesh_room_digest.h"


#define NGX_MESH_ROOM_DIGEST_ROWS    100      /* looked at in a room */
#define NGX_MESH_ROOM_DIGEST_SIZE    512      /* bytes of a room, its name
                                                 apart, or of a person */

typedef struct {
    bytes_t                 room;
    bytes_t                 name;
    ngx_uint_t              direct;
    uint64_t                unread;
    uint64_t                mentions;
    uint64_t                read;
    uint64_t                head;
} ngx_mesh_room_digest_item_t;


typedef struct {
    ngx_mesh_room_walk_t          walk;       /* first: see place.c */
    ngx_mesh_room_digest_item_t  *items;      /* [walk.count] */
    ngx_uint_t                    count;
    size_t                        names;      /* bytes of all names */
} ngx_mesh_room_digest_t;


static ngx_int_t ngx_mesh_room_digest_status_step(ngx_mesh_room_rest_t *rest);
static ngx_int_t ngx_mesh_room_digest_loaded(ngx_mesh_room_rest_t *rest);
static ngx_int_t ngx_mesh_room_digest_room(ngx_mesh_room_rest_t *rest,
    ngx_mesh_room_place_t *place, const ngx_mesh_room_record_t *record,
    store_rows_t *rows);
static bytes_t ngx_mesh_room_digest_other(ngx_mesh_room_rest_t *rest,
    store_rows_t *rows);
static void ngx_mesh_room_digest_count(ngx_mesh_room_rest_t *rest,
    ngx_mesh_room_digest_item_t *item, store_rows_t *rows);
static ngx_int_t ngx_mesh_room_digest_answer(ngx_mesh_room_rest_t *rest);
static void ngx_mesh_room_digest_me(ngx_mesh_room_rest_t *rest,
    json_write_t *j);
static ngx_int_t ngx_mesh_room_digest_state_step(ngx_mesh_room_rest_t *rest);
static ngx_int_t ngx_mesh_room_digest_state_done(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_room_digest_people(ngx_mesh_room_rest_t *rest,
    store_rows_t *rows, json_write_t *j);


/* GET /api/status */

ngx_int_t
ngx_mesh_room_digest_status(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_room_rest_open(r, args, NGX_MESH_ROOM_REST_NO_BODY,
                                   ngx_mesh_room_digest_status_step);
}


static ngx_int_t
ngx_mesh_room_digest_status_step(ngx_mesh_room_rest_t *rest)
{
    ngx_mesh_room_digest_t  *digest;

    digest = ngx_pcalloc(rest->r->pool, sizeof(ngx_mesh_room_digest_t));

    if (digest == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    digest->walk.limit = NGX_MESH_ROOM_DIGEST_ROWS;
    digest->walk.room = ngx_mesh_room_digest_room;
    digest->walk.end = ngx_mesh_room_digest_answer;

    rest->data = digest;

    return ngx_mesh_room_place_load(rest, ngx_mesh_room_digest_loaded);
}


static ngx_int_t
ngx_mesh_room_digest_loaded(ngx_mesh_room_rest_t *rest)
{
    ngx_mesh_room_digest_t  *digest;

    digest = rest->data;
    digest->items = ngx_pcalloc(rest->r->pool, (digest->walk.count + 1)
                                      * sizeof(ngx_mesh_room_digest_item_t));

    if (digest->items == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_room_place_walk(rest);
}


static ngx_int_t
ngx_mesh_room_digest_room(ngx_mesh_room_rest_t *rest,
    ngx_mesh_room_place_t *place, const ngx_mesh_room_record_t *record,
    store_rows_t *rows)
{
    ngx_mesh_room_digest_t       *digest;
    ngx_mesh_room_refusal_t       refusal;
    ngx_mesh_room_digest_item_t  *item;

    digest = rest->data;

    if (ngx_mesh_room_access_allow(rest->mcf, rest->principal,
                                   record->direct ? "/dm/send" : "/room/read",
                                   record->direct
                                   ? ngx_mesh_room_digest_other(rest, rows)
                                   : record->id,
                                   &refusal)
        != NGX_OK)
    {
        return NGX_OK;
    }

    item = &digest->items[digest->count++];

    item->room = place->room;
    item->name = ngx_mesh_room_record_copy(rest->r->pool, record->name);
    item->direct = record->direct;
    item->read = place->read;
    item->head = rows->head;

    if (item->name.data == NULL) {
        return NGX_ERROR;
    }

    digest->names += item->name.len;
    ngx_mesh_room_digest_count(rest, item, rows);

    return NGX_OK;
}


/* Who writes to the caller in a direct room; empty when nothing new tells. */

static bytes_t
ngx_mesh_room_digest_other(ngx_mesh_room_rest_t *rest, store_rows_t *rows)
{
    size_t   i;
    bytes_t  me, sender;

    me = ngx_mesh_room_rest_bytes(&rest->me->id);

    for (i = 0; i < rows->count; i++) {
        sender = ngx_mesh_room_place_sender(rows->rows[i].value);

        if (!bytes_equal(sender, me)) {
            return sender;
        }
    }

    return bytes_make(NULL, 0);
}


/* What lies beyond the rows that were looked at counts as unread. */

static void
ngx_mesh_room_digest_count(ngx_mesh_room_rest_t *rest,
    ngx_mesh_room_digest_item_t *item, store_rows_t *rows)
{
    size_t          i, size;
    bytes_t         me, name, sender;
    bytes_writer_t  scratch;

    size = 0;

    for (i = 0; i < rows->count; i++) {
        size = ngx_max(size, rows->rows[i].value.len);
    }

    if (ngx_mesh_room_rest_writer(rest, &scratch, size) != NGX_OK) {
        return;
    }

    me = ngx_mesh_room_rest_bytes(&rest->me->id);
    name = ngx_mesh_room_rest_bytes(&rest->me->name);

    for (i = 0; i < rows->count; i++) {
        sender = ngx_mesh_room_place_sender(rows->rows[i].value);

        if (bytes_equal(sender, me)) {
            continue;
        }

        item->unread++;

        if (item->direct
            || ngx_mesh_room_message_mention(rows->rows[i].value, name, me,
                                             &scratch))
        {
            item->mentions++;
        }
    }

    if (rows->more && rows->head > rows->rows[i - 1].seq) {
        item->unread += rows->head - rows->rows[i - 1].seq;
    }
}


static ngx_int_t
ngx_mesh_room_digest_answer(ngx_mesh_room_rest_t *rest)
{
    uint64_t                      unread, mentions;
    ngx_uint_t                    i;
    json_write_t                  j;
    bytes_writer_t                w;
    ngx_mesh_room_digest_t       *digest;
    ngx_mesh_room_digest_item_t  *item;

    digest = rest->data;

    if (ngx_mesh_room_rest_writer(rest, &w,
                                  json_write_string_max(digest->names)
                                  + json_write_string_max(rest->me->name.len)
                                  + (digest->count + 2)
                                    * NGX_MESH_ROOM_DIGEST_SIZE)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&j, &w);
    json_write_object(&j);
    ngx_mesh_room_digest_me(rest, &j);
    json_write_key(&j, "rooms");
    json_write_array(&j);

    unread = 0;
    mentions = 0;

    for (i = 0; i < digest->count; i++) {
        item = &digest->items[i];
        unread += item->unread;
        mentions += item->mentions;

        json_write_object(&j);
        json_write_member(&j, "id", item->room);
        json_write_member(&j, "name", item->name);
        json_write_member_text(&j, "kind", item->direct ? "dm" : "room");
        json_write_member_integer(&j, "unread", (int64_t) item->unread);
        json_write_member_integer(&j, "mentions", (int64_t) item->mentions);
        json_write_member_integer(&j, "readSeq", (int64_t) item->read);
        json_write_member_integer(&j, "lastSeq", (int64_t) item->head);
        json_write_object_end(&j);
    }

    json_write_array_end(&j);
    json_write_member_integer(&j, "unread", (int64_t) unread);
    json_write_member_integer(&j, "mentions", (int64_t) mentions);
    json_write_member_bool(&j, "more", digest->walk.more);
    json_write_object_end(&j);

    return ngx_mesh_room_rest_reply(rest, NGX_HTTP_OK, &w);
}


static void
ngx_mesh_room_digest_me(ngx_mesh_room_rest_t *rest, json_write_t *j)
{
    json_write_key(j, "participant");
    json_write_object(j);
    json_write_member(j, "id", ngx_mesh_room_rest_bytes(&rest->me->id));
    json_write_member(j, "name", ngx_mesh_room_rest_bytes(&rest->me->name));
    json_write_member(j, "role", ngx_mesh_room_rest_bytes(&rest->me->role));
    json_write_object_end(j);
}


/* GET /api/state */

ngx_int_t
ngx_mesh_room_digest_state(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_room_rest_open(r, args, NGX_MESH_ROOM_REST_NO_BODY,
                                   ngx_mesh_room_digest_state_step);
}


static ngx_int_t
ngx_mesh_room_digest_state_step(ngx_mesh_room_rest_t *rest)
{
    store_read_t          *reads;
    ngx_mesh_store_job_t  *job;

    job = ngx_mesh_store_job_create(2048, rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    reads = ngx_mesh_store_job_reads(job, 3);

    if (reads == NULL) {
        ngx_mesh_store_job_destroy(rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    reads[0].kind = STORE_RANGE;
    reads[0].ns = bytes_of(RECORD_NS_ROOMS);
    reads[0].key = bytes_of("room/");
    reads[0].limit = STORE_LIMIT_MAX;

    reads[1].kind = STORE_RANGE;
    reads[1].ns = bytes_of(RECORD_NS_ROOMS);
    reads[1].key = ngx_mesh_room_rest_mine(rest, job->pool, "of");
    reads[1].limit = STORE_LIMIT_MAX;

    reads[2].kind = STORE_RANGE;
    reads[2].ns = bytes_of(RECORD_NS_IDENTITY);
    reads[2].key = bytes_of("participant/");
    reads[2].limit = STORE_LIMIT_MAX;

    return ngx_mesh_room_rest_read(rest, job,
                                   ngx_mesh_room_digest_state_done);
}


/* Only who may list rooms without a bound sees everybody. */

static ngx_int_t
ngx_mesh_room_digest_state_done(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    size_t                    i, size;
    ngx_uint_t                shown;
    json_write_t              j;
    bytes_writer_t            w;
    ngx_mesh_room_refusal_t   refusal;

    if (job->rc != STORE_OK) {
        return ngx_mesh_room_rest_store_problem(rest, job->rc);
    }

    size = NGX_MESH_ROOM_DIGEST_SIZE
           + json_write_string_max(rest->me->name.len);

    for (i = 0; i < job->rows[0].count; i++) {
        size += job->rows[0].rows[i].value.len + 1;
    }

    for (i = 0; i < job->rows[2].count; i++) {
        size += job->rows[2].rows[i].value.len + 1;
    }

    if (ngx_mesh_room_rest_writer(rest, &w, size) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    shown = 0;

    json_write_open(&j, &w);
    json_write_object(&j);
    ngx_mesh_room_digest_me(rest, &j);
    json_write_key(&j, "rooms");
    json_write_array(&j);

    if (ngx_mesh_room_rest_room_list_write(rest, job, &j, &shown) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_array_end(&j);
    json_write_key(&j, "participants");
    json_write_array(&j);

    if (ngx_mesh_room_access_allow(rest->mcf, rest->principal, "/room/list",
                                   bytes_make(NULL, 0), &refusal)
        == NGX_OK
        && ngx_mesh_room_digest_people(rest, &job->rows[2], &j) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_array_end(&j);
    json_write_key(&j, "positions");
    json_write_object(&j);
    json_write_object_end(&j);
    json_write_member_bool(&j, "more", job->rows[0].more
                                       || job->rows[2].more);
    json_write_object_end(&j);

    return ngx_mesh_room_rest_reply(rest, NGX_HTTP_OK, &w);
}


static ngx_int_t
ngx_mesh_room_digest_people(ngx_mesh_room_rest_t *rest, store_rows_t *rows,
    json_write_t *j)
{
    size_t                i;
    bytes_t               json;
    bytes_writer_t        scratch;
    record_participant_t  person;

    if (ngx_mesh_room_rest_writer(rest, &scratch, NGX_MESH_ROOM_RECORD_MAX)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < rows->count; i++) {
        json = rows->rows[i].value;
        scratch.pos = scratch.start;

        if (record_participant_read(&person, json, &scratch) != 0
            || person.removed_ms != 0)
        {
            continue;
        }

        json_write_object(j);
        json_write_member(j, "id", person.id);
        json_write_member(j, "name", person.name);
        json_write_member(j, "role", person.role);
        json_write_member(j, "kind", person.kind);
        json_write_object_end(j);
    }

    return NGX_OK;
}
