/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Places: how far a participant has read in each of its rooms, and the walk
 * over what came after.  For poll and status, which differ only in what they
 * do with it.
 *
 * The walk reads NGX_MESH_ROOM_PLACE_BATCH rooms a job, so that nobody with
 * many rooms holds a reader for long.
 */


#include "ngx_mesh_room_rest.h"


#define NGX_MESH_ROOM_PLACE_BATCH  8


static ngx_int_t ngx_mesh_room_place_load_done(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_room_place_take(ngx_mesh_room_rest_t *rest,
    const store_rows_t *of);
static void ngx_mesh_room_place_take_read(ngx_mesh_room_walk_t *walk,
    const store_rows_t *read);
static ngx_int_t ngx_mesh_room_place_walk_reads(ngx_mesh_room_walk_t *walk,
    ngx_mesh_store_job_t *job, ngx_uint_t n);
static ngx_int_t ngx_mesh_room_place_walk_done(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job);
static bytes_t ngx_mesh_room_place_room(bytes_t key);


ngx_int_t
ngx_mesh_room_place_load(ngx_mesh_room_rest_t *rest,
    ngx_mesh_room_rest_step_pt next)
{
    store_read_t          *reads;
    ngx_mesh_store_job_t  *job;

    job = ngx_mesh_store_job_create(1024, rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    reads = ngx_mesh_store_job_reads(job, 2);

    if (reads == NULL) {
        ngx_mesh_store_job_destroy(rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* direct rooms sort last and are what somebody waits for most */

    reads[0].kind = STORE_RANGE;
    reads[0].ns = bytes_of(RECORD_NS_ROOMS);
    reads[0].key = ngx_mesh_room_rest_mine(rest, job->pool, "of");
    reads[0].limit = NGX_MESH_ROOM_PLACE_MAX;
    reads[0].reverse = 1;

    reads[1].kind = STORE_RANGE;
    reads[1].ns = bytes_of(RECORD_NS_ROOMS);
    reads[1].key = ngx_mesh_room_rest_mine(rest, job->pool, "read");
    reads[1].limit = STORE_LIMIT_MAX;
    reads[1].reverse = 1;

    if (reads[0].key.len == 0 || reads[1].key.len == 0) {
        ngx_mesh_store_job_destroy(rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rest->next = next;

    return ngx_mesh_room_rest_read(rest, job, ngx_mesh_room_place_load_done);
}


static ngx_int_t
ngx_mesh_room_place_load_done(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_mesh_room_walk_t  *walk;

    if (job->rc != STORE_OK) {
        return ngx_mesh_room_rest_store_problem(rest, job->rc);
    }

    if (ngx_mesh_room_place_take(rest, &job->rows[0]) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    walk = rest->data;
    ngx_mesh_room_place_take_read(walk, &job->rows[1]);

    return rest->next(rest);
}


static ngx_int_t
ngx_mesh_room_place_take(ngx_mesh_room_rest_t *rest, const store_rows_t *of)
{
    size_t                  i;
    bytes_t                 room;
    ngx_mesh_room_walk_t   *walk;
    ngx_mesh_room_place_t  *places;

    places = ngx_pcalloc(rest->r->pool, (of->count + 1)
                                        * sizeof(ngx_mesh_room_place_t));

    if (places == NULL) {
        return NGX_ERROR;
    }

    walk = rest->data;
    walk->places = places;
    walk->count = 0;
    walk->index = 0;
    walk->more = of->more;

    for (i = 0; i < of->count; i++) {
        room = ngx_mesh_room_place_room(of->rows[i].key);

        if (room.len == 0) {
            continue;
        }

        room = ngx_mesh_room_record_copy(rest->r->pool, room);

        if (room.data == NULL) {
            return NGX_ERROR;
        }

        places[walk->count++].room = room;
    }

    return NGX_OK;
}


static void
ngx_mesh_room_place_take_read(ngx_mesh_room_walk_t *walk,
    const store_rows_t *read)
{
    size_t                  i;
    ngx_mesh_room_place_t  *place;

    for (i = 0; i < read->count; i++) {
        place = ngx_mesh_room_place_find(walk,
                           ngx_mesh_room_place_room(read->rows[i].key));

        if (place) {
            place->read = ngx_mesh_room_record_seq_read(read->rows[i].value);
            place->seen = place->read;
        }
    }
}


/* Places are sorted, highest first. */

ngx_mesh_room_place_t *
ngx_mesh_room_place_find(ngx_mesh_room_walk_t *walk, bytes_t room)
{
    int         order;
    ngx_uint_t  low, high, middle;

    if (room.len != ID_LEN) {
        return NULL;
    }

    low = 0;
    high = walk->count;

    while (low < high) {
        middle = (low + high) / 2;
        order = memcmp(walk->places[middle].room.data, room.data, ID_LEN);

        if (order == 0) {
            return &walk->places[middle];
        }

        if (order > 0) {
            low = middle + 1;

        } else {
            high = middle;
        }
    }

    return NULL;
}


ngx_int_t
ngx_mesh_room_place_walk(ngx_mesh_room_rest_t *rest)
{
    ngx_uint_t             n;
    ngx_mesh_room_walk_t  *walk;
    ngx_mesh_store_job_t  *job;

    walk = rest->data;
    n = ngx_min(walk->count - walk->index, NGX_MESH_ROOM_PLACE_BATCH);

    if (n == 0) {
        return walk->end(rest);
    }

    job = ngx_mesh_store_job_create(4096, rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_mesh_room_place_walk_reads(walk, job, n) != NGX_OK) {
        ngx_mesh_store_job_destroy(rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_room_rest_read(rest, job, ngx_mesh_room_place_walk_done);
}


static ngx_int_t
ngx_mesh_room_place_walk_reads(ngx_mesh_room_walk_t *walk,
    ngx_mesh_store_job_t *job, ngx_uint_t n)
{
    bytes_t                 room;
    ngx_uint_t              i;
    store_read_t           *reads;
    ngx_mesh_room_place_t  *place;

    reads = ngx_mesh_store_job_reads(job, 2 * n);

    if (reads == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        place = &walk->places[walk->index + i];
        room = ngx_mesh_room_record_copy(job->pool, place->room);

        reads[2 * i].kind = STORE_GET;
        reads[2 * i].ns = bytes_of(RECORD_NS_ROOMS);
        reads[2 * i].key = ngx_mesh_room_record_key(job->pool, "room", room,
                                                    bytes_make(NULL, 0));
        reads[2 * i + 1].kind = STORE_FEED;
        reads[2 * i + 1].ns = room;
        reads[2 * i + 1].after = place->seen;
        reads[2 * i + 1].limit = walk->limit;

        if (room.data == NULL || reads[2 * i].key.len == 0) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_room_place_walk_done(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    size_t                   i;
    ngx_int_t                rc;
    store_rows_t            *rows;
    bytes_writer_t           scratch;
    ngx_mesh_room_walk_t    *walk;
    ngx_mesh_room_record_t   record;

    if (job->rc != STORE_OK) {
        return ngx_mesh_room_rest_store_problem(rest, job->rc);
    }

    walk = rest->data;

    for (i = 0; i < job->read_count; i += 2) {
        rows = &job->rows[i];
        walk->index++;

        /* a room that was removed leaves keys behind */

        if (rows->count == 0) {
            continue;
        }

        if (ngx_mesh_room_rest_writer(rest, &scratch, rows->rows[0].value.len)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (ngx_mesh_room_record_read(&record, rows->rows[0].value, &scratch)
            != NGX_OK)
        {
            continue;
        }

        rc = walk->room(rest, &walk->places[walk->index - 1], &record,
                        &job->rows[i + 1]);

        if (rc == NGX_DECLINED) {
            return walk->end(rest);
        }

        if (rc != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    return ngx_mesh_room_place_walk(rest);
}


ngx_int_t
ngx_mesh_room_place_op(ngx_mesh_room_rest_t *rest, ngx_pool_t *pool,
    const ngx_mesh_room_place_t *place, store_op_t *op)
{
    u_char          *p;
    bytes_writer_t   w;

    p = ngx_pnalloc(pool, NGX_MESH_ROOM_SEQ_LEN);

    if (p == NULL) {
        return NGX_ERROR;
    }

    bytes_writer_open(&w, p, NGX_MESH_ROOM_SEQ_LEN);
    ngx_mesh_room_record_seq_write(&w, place->read);

    ngx_memzero(op, sizeof(store_op_t));

    op->kind = STORE_PUT;
    op->ns = bytes_of(RECORD_NS_ROOMS);
    op->key = ngx_mesh_room_record_key(pool, "read",
                                   ngx_mesh_room_rest_bytes(&rest->me->id),
                                   place->room);
    op->value = bytes_writer_view(&w);

    return op->key.len ? NGX_OK : NGX_ERROR;
}


bytes_t
ngx_mesh_room_place_sender(bytes_t stored)
{
    bytes_t      sender;
    json_scan_t  object, value;

    if (json_scan_open(stored, &object) != 0
        || json_scan_find(&object, "senderId", &value) != 0
        || json_scan_plain(&value, &sender) != 0)
    {
        return bytes_make(NULL, 0);
    }

    return sender;
}


/* "<kind>/<participant>/<room>" */

static bytes_t
ngx_mesh_room_place_room(bytes_t key)
{
    if (key.len < ID_LEN) {
        return bytes_make(NULL, 0);
    }

    return bytes_make(key.data + key.len - ID_LEN, ID_LEN);
}
