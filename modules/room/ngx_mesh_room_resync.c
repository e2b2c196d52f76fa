/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Reading what no notice brought: a message whose notice came out of turn, or
 * whose worker died between the commit and the notice.
 *
 *     notice out of turn ---> behind ---> read ---> deliver ---> in order
 *     RESYNC notice ------------^          |  page full, or still a hole
 *                               +----------+
 *
 * A hole waits some milliseconds first, since two workers that commit one
 * after the other may reach the ring the other way round.  At most
 * NGX_MESH_ROOM_HUB_READS_MAX rooms of a worker read at once, a page each.
 * One event loop; a job that outlives its room finds its data NULL.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "json_write.h"
#include "ngx_mesh_room_resync.h"


#define NGX_MESH_ROOM_RESYNC_HOLE   10      /* ms that a hole may last */
#define NGX_MESH_ROOM_RESYNC_RETRY  500     /* ms after a failed read */
#define NGX_MESH_ROOM_RESYNC_TRIES  5       /* reads before a gap is told */
#define NGX_MESH_ROOM_RESYNC_POOL   4096    /* bytes of a job */


typedef struct {
    ngx_mesh_room_hub_t  *hub;
    ngx_uint_t            more;             /* the page was full */
    ngx_uint_t            count;            /* of an inbox's page */
    uint64_t              seqs[NGX_MESH_ROOM_HUB_INBOX_PAGE];
} ngx_mesh_room_resync_t;


static void ngx_mesh_room_resync_wait(ngx_mesh_room_hub_t *hub,
    ngx_msec_t delay);
static ngx_int_t ngx_mesh_room_resync_read(ngx_mesh_room_hub_room_t *room);
static void ngx_mesh_room_resync_read_done(ngx_mesh_store_job_t *job);
static void ngx_mesh_room_resync_deliver(ngx_mesh_room_hub_room_t *room,
    ngx_pool_t *pool, uint64_t seq, uint64_t shown, bytes_t stored);
static ngx_int_t ngx_mesh_room_resync_inbox(ngx_mesh_room_hub_room_t *room,
    store_rows_t *page, ngx_uint_t more);
static void ngx_mesh_room_resync_inbox_done(ngx_mesh_store_job_t *job);
static void ngx_mesh_room_resync_done(ngx_mesh_room_hub_room_t *room,
    ngx_uint_t more, ngx_uint_t brought);
static void ngx_mesh_room_resync_skip(ngx_mesh_room_hub_room_t *room);
static void ngx_mesh_room_resync_failed(ngx_mesh_room_hub_room_t *room);


void
ngx_mesh_room_resync_add(ngx_mesh_room_hub_room_t *room)
{
    if (room->behind || room->job != NULL) {
        return;
    }

    room->behind = 1;
    ngx_queue_insert_tail(&room->hub->behind, &room->queue);

    ngx_mesh_room_resync_wait(room->hub, NGX_MESH_ROOM_RESYNC_HOLE);
}


void
ngx_mesh_room_resync_remove(ngx_mesh_room_hub_room_t *room)
{
    if (room->behind) {
        room->behind = 0;
        ngx_queue_remove(&room->queue);
    }

    if (room->job != NULL) {
        room->job->data = NULL;
        room->job = NULL;
    }
}


static void
ngx_mesh_room_resync_wait(ngx_mesh_room_hub_t *hub, ngx_msec_t delay)
{
    if (!hub->hole.timer_set) {
        ngx_add_timer(&hub->hole, delay);
    }
}


void
ngx_mesh_room_resync_handler(ngx_event_t *ev)
{
    ngx_queue_t               *q;
    ngx_mesh_room_hub_t       *hub = ev->data;
    ngx_mesh_room_hub_room_t  *room;

    while (!ngx_queue_empty(&hub->behind)
           && hub->reads < NGX_MESH_ROOM_HUB_READS_MAX)
    {
        q = ngx_queue_head(&hub->behind);
        room = ngx_queue_data(q, ngx_mesh_room_hub_room_t, queue);

        ngx_queue_remove(q);
        room->behind = 0;

        /* the missing one may have come; and where a room that is not ready
           begins, its first subscription will know */

        if (!room->ready
            || (!room->resync && ngx_mesh_room_hub_early(room) == 0))
        {
            continue;
        }

        if (ngx_mesh_room_resync_read(room) != NGX_OK) {
            room->behind = 1;
            ngx_queue_insert_tail(&hub->behind, q);

            ngx_mesh_room_resync_wait(hub, NGX_MESH_ROOM_RESYNC_RETRY);
            return;
        }
    }
}


static ngx_int_t
ngx_mesh_room_resync_read(ngx_mesh_room_hub_room_t *room)
{
    store_read_t            *read;
    ngx_mesh_room_hub_t     *hub;
    ngx_mesh_store_job_t    *job;
    ngx_mesh_room_resync_t  *context;

    hub = room->hub;

    job = ngx_mesh_store_job_create(NGX_MESH_ROOM_RESYNC_POOL, hub->log);
    if (job == NULL) {
        return NGX_ERROR;
    }

    context = ngx_pcalloc(job->pool, sizeof(ngx_mesh_room_resync_t));
    read = ngx_mesh_store_job_reads(job, 1);

    if (context == NULL || read == NULL) {
        goto failed;
    }

    context->hub = hub;

    ngx_memzero(read, sizeof(store_read_t));

    read->kind = STORE_FEED;
    read->ns = ngx_mesh_room_record_copy(job->pool,
                                         bytes_make(room->id, ID_LEN));
    read->after = room->delivered;
    read->limit = room->inbox ? NGX_MESH_ROOM_HUB_INBOX_PAGE
                              : NGX_MESH_ROOM_HUB_PAGE;

    if (read->ns.data == NULL) {
        goto failed;
    }

    job->context = context;
    job->data = room;
    job->done = ngx_mesh_room_resync_read_done;

    if (hub->mcf->store->read(job) != NGX_OK) {
        goto failed;
    }

    /* what comes from now on may be told by no page */

    room->resync = 0;
    room->job = job;
    hub->reads++;

    return NGX_OK;

failed:

    ngx_mesh_store_job_destroy(hub->mcf->store, job);

    return NGX_ERROR;
}


static void
ngx_mesh_room_resync_read_done(ngx_mesh_store_job_t *job)
{
    size_t                     i;
    ngx_uint_t                 more, brought;
    store_row_t               *row;
    store_rows_t              *page;
    ngx_mesh_room_hub_t       *hub;
    ngx_mesh_room_resync_t    *context;
    ngx_mesh_room_hub_room_t  *room;

    context = job->context;
    hub = context->hub;
    room = job->data;

    hub->reads--;

    if (room == NULL) {
        goto done;
    }

    room->job = NULL;

    if (job->rc != STORE_OK || job->rows[0].rc != STORE_OK) {
        goto failed;
    }

    page = &job->rows[0];
    more = page->more;

    if (room->inbox && page->count != 0) {

        if (ngx_mesh_room_resync_inbox(room, page, more) != NGX_OK) {
            goto failed;
        }

        goto done;
    }

    brought = 0;

    for (i = 0; i < page->count; i++) {

        row = &page->rows[i];

        if (row->seq > room->delivered) {
            ngx_mesh_room_resync_deliver(room, job->pool, row->seq, row->seq,
                                         row->value);
            brought = 1;
        }
    }

    ngx_mesh_room_resync_done(room, more, brought);

done:

    ngx_mesh_store_job_destroy(hub->mcf->store, job);
    ngx_mesh_room_resync_handler(&hub->hole);

    return;

failed:

    ngx_mesh_store_job_destroy(hub->mcf->store, job);
    ngx_mesh_room_resync_failed(room);
}


/* shown: the seq that clients see; in an inbox it is that of the room. */
static void
ngx_mesh_room_resync_deliver(ngx_mesh_room_hub_room_t *room,
    ngx_pool_t *pool, uint64_t seq, uint64_t shown, bytes_t stored)
{
    bytes_t                 text;
    ngx_mesh_room_frame_t  *frame;

    text = ngx_mesh_room_message_encode(pool, shown, stored);
    frame = NULL;

    if (text.data != NULL) {
        frame = ngx_mesh_room_queue_frame(room->hub->log, WS_FRAME_TEXT,
                                          text);
    }

    if (frame == NULL) {
        ngx_log_error(NGX_LOG_ERR, room->hub->log, 0,
                      "room: message %uL of \"%V\" cannot be delivered",
                      seq, &room->sn.str);
        room->delivered = seq;
        return;
    }

    ngx_mesh_room_hub_deliver(room, seq, frame);
    ngx_mesh_room_queue_release(frame);
}


/* An inbox says where its messages are: "r_.../m_..." each. */
static ngx_int_t
ngx_mesh_room_resync_inbox(ngx_mesh_room_hub_room_t *room,
    store_rows_t *page, ngx_uint_t more)
{
    size_t                   i;
    bytes_t                  place;
    store_read_t            *reads;
    ngx_mesh_room_hub_t     *hub;
    ngx_mesh_store_job_t    *job;
    ngx_mesh_room_resync_t  *context;

    hub = room->hub;

    job = ngx_mesh_store_job_create(NGX_MESH_ROOM_RESYNC_POOL, hub->log);
    if (job == NULL) {
        return NGX_ERROR;
    }

    context = ngx_pcalloc(job->pool, sizeof(ngx_mesh_room_resync_t));
    reads = ngx_mesh_store_job_reads(job, page->count);

    if (context == NULL || reads == NULL) {
        goto failed;
    }

    context->hub = hub;
    context->more = more;
    context->count = page->count;

    ngx_memzero(reads, page->count * sizeof(store_read_t));

    for (i = 0; i < page->count; i++) {

        place = ngx_mesh_room_record_copy(job->pool, page->rows[i].value);

        if (place.data == NULL || place.len != 2 * ID_LEN + 1) {
            goto failed;
        }

        context->seqs[i] = page->rows[i].seq;

        reads[i].kind = STORE_FEED;
        reads[i].ns = bytes_make(place.data, ID_LEN);
        reads[i].key = bytes_make(place.data + ID_LEN + 1, ID_LEN);
        reads[i].limit = 1;
    }

    job->context = context;
    job->data = room;
    job->done = ngx_mesh_room_resync_inbox_done;

    if (hub->mcf->store->read(job) != NGX_OK) {
        goto failed;
    }

    room->job = job;
    hub->reads++;

    return NGX_OK;

failed:

    ngx_mesh_store_job_destroy(hub->mcf->store, job);

    return NGX_ERROR;
}


static void
ngx_mesh_room_resync_inbox_done(ngx_mesh_store_job_t *job)
{
    ngx_uint_t                 i;
    store_rows_t              *rows;
    ngx_mesh_room_hub_t       *hub;
    ngx_mesh_room_resync_t    *context;
    ngx_mesh_room_hub_room_t  *room;

    context = job->context;
    hub = context->hub;
    room = job->data;

    hub->reads--;

    if (room == NULL) {
        goto done;
    }

    room->job = NULL;

    if (job->rc != STORE_OK) {
        ngx_mesh_store_job_destroy(hub->mcf->store, job);
        ngx_mesh_room_resync_failed(room);
        return;
    }

    for (i = 0; i < context->count; i++) {

        rows = &job->rows[i];

        if (context->seqs[i] <= room->delivered) {
            continue;
        }

        if (rows->rc != STORE_OK || rows->count == 0) {
            room->delivered = context->seqs[i];
            continue;
        }

        ngx_mesh_room_resync_deliver(room, job->pool, context->seqs[i],
                                     rows->rows[0].seq, rows->rows[0].value);
    }

    ngx_mesh_room_resync_done(room, context->more, 1);

done:

    ngx_mesh_store_job_destroy(hub->mcf->store, job);
    ngx_mesh_room_resync_handler(&hub->hole);
}


static void
ngx_mesh_room_resync_done(ngx_mesh_room_hub_room_t *room, ngx_uint_t more,
    ngx_uint_t brought)
{
    room->tries = brought ? 0 : room->tries + 1;

    if (more) {
        room->resync = 1;
    }

    if (room->tries >= NGX_MESH_ROOM_RESYNC_TRIES) {
        ngx_mesh_room_resync_skip(room);
    }

    ngx_mesh_room_hub_drain(room);

    if (ngx_mesh_room_hub_early(room) == 0) {
        room->tries = 0;
    }
}


/* The store does not have what is missing: tell it, and go on. */
static void
ngx_mesh_room_resync_skip(ngx_mesh_room_hub_room_t *room)
{
    uint64_t         first;
    uint8_t          buf[256];
    json_write_t     j;
    bytes_writer_t   w;

    first = ngx_mesh_room_hub_early(room);
    room->tries = 0;

    if (first <= room->delivered + 1) {
        return;
    }

    ngx_log_error(NGX_LOG_ERR, room->hub->log, 0,
                  "room: \"%V\" has no messages %uL to %uL in the store",
                  &room->sn.str, room->delivered + 1, first - 1);

    if (!room->inbox) {
        bytes_writer_open(&w, buf, sizeof(buf));
        json_write_open(&j, &w);
        json_write_object(&j);
        json_write_member_text(&j, "type", "gap");
        json_write_member(&j, "roomId", bytes_make(room->id, ID_LEN));
        json_write_member_integer(&j, "from", (int64_t) room->delivered + 1);
        json_write_member_integer(&j, "to", (int64_t) first - 1);
        json_write_object_end(&j);

        ngx_mesh_room_hub_tell(room, bytes_writer_view(&w),
                               bytes_make(NULL, 0));
    }

    room->delivered = first - 1;
}


static void
ngx_mesh_room_resync_failed(ngx_mesh_room_hub_room_t *room)
{
    room->resync = 1;

    if (!room->behind) {
        room->behind = 1;
        ngx_queue_insert_tail(&room->hub->behind, &room->queue);
    }

    ngx_mesh_room_resync_wait(room->hub, NGX_MESH_ROOM_RESYNC_RETRY);
}
