/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What a connection still has to get: references to frames, each encoded
 * once for all connections of the worker, and the flush, which gives the
 * socket everything that waits in as few writes as it takes.
 *
 * Writes by c->send_chain, so it works over TLS; not through the output
 * filters, which would allocate for each frame in a pool that lives as long
 * as the connection.  One event loop, no locks; frames are freed with their
 * last reference.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_room_hub.h"
#include "ngx_mesh_room_queue.h"


#define NGX_MESH_ROOM_QUEUE_BUFS      64      /* frames of one write */
#define NGX_MESH_ROOM_QUEUE_FREE_MAX  65536   /* entries kept for reuse */
#define NGX_MESH_ROOM_QUEUE_HEAD_MAX  10      /* bytes of a frame's head */


static void ngx_mesh_room_queue_entry_free(ngx_mesh_room_hub_t *hub,
    ngx_mesh_room_queue_entry_t *entry);
static ngx_uint_t ngx_mesh_room_queue_single(
    const ngx_mesh_room_queue_t *queue, const ngx_connection_t *c);
static ngx_int_t ngx_mesh_room_queue_send(ngx_mesh_room_hub_t *hub,
    ngx_mesh_room_queue_t *queue, ngx_connection_t *c);
static ngx_int_t ngx_mesh_room_queue_send_chain(ngx_mesh_room_hub_t *hub,
    ngx_mesh_room_queue_t *queue, ngx_connection_t *c);
static ngx_chain_t *ngx_mesh_room_queue_chain(ngx_mesh_room_queue_t *queue,
    ngx_buf_t *bufs, ngx_chain_t *links);
static void ngx_mesh_room_queue_advance(ngx_mesh_room_hub_t *hub,
    ngx_mesh_room_queue_t *queue, ngx_buf_t *bufs);


ngx_mesh_room_frame_t *
ngx_mesh_room_queue_frame(ngx_log_t *log, ws_frame_opcode_t opcode,
    bytes_t payload)
{
    size_t                  head_len;
    bytes_writer_t          w;
    ngx_mesh_room_frame_t  *frame;

    head_len = ws_frame_head_len(payload.len);

    frame = ngx_alloc(sizeof(ngx_mesh_room_frame_t) + head_len + payload.len,
                      log);
    if (frame == NULL) {
        return NULL;
    }

    frame->refs = 1;
    frame->head_len = head_len;
    frame->len = head_len + payload.len;

    bytes_writer_open(&w, frame->data, frame->len);
    ws_frame_head_write(&w, opcode, payload.len);
    bytes_writer_bytes(&w, payload);

    return frame;
}


ngx_mesh_room_frame_t *
ngx_mesh_room_queue_close_frame(ngx_log_t *log, uint16_t code,
    bytes_t reason)
{
    size_t                  size;
    bytes_writer_t          w;
    ngx_mesh_room_frame_t  *frame;

    size = NGX_MESH_ROOM_QUEUE_HEAD_MAX + WS_FRAME_CONTROL_MAX;

    frame = ngx_alloc(sizeof(ngx_mesh_room_frame_t) + size, log);
    if (frame == NULL) {
        return NULL;
    }

    bytes_writer_open(&w, frame->data, size);
    ws_frame_close_write(&w, code, reason);

    frame->refs = 1;
    frame->head_len = 0;
    frame->len = bytes_writer_view(&w).len;

    return frame;
}


void
ngx_mesh_room_queue_release(ngx_mesh_room_frame_t *frame)
{
    if (--frame->refs == 0) {
        ngx_free(frame);
    }
}


ngx_int_t
ngx_mesh_room_queue_add(ngx_mesh_room_hub_t *hub,
    ngx_mesh_room_queue_t *queue, ngx_mesh_room_frame_t *frame)
{
    ngx_mesh_room_queue_entry_t  *entry;

    entry = hub->entries;

    if (entry != NULL) {
        hub->entries = entry->next;
        hub->entry_count--;

    } else {
        entry = ngx_alloc(sizeof(ngx_mesh_room_queue_entry_t), hub->log);
        if (entry == NULL) {
            return NGX_ERROR;
        }
    }

    frame->refs++;

    entry->next = NULL;
    entry->frame = frame;

    if (queue->last != NULL) {
        queue->last->next = entry;

    } else {
        queue->first = entry;
    }

    queue->last = entry;
    queue->bytes += frame->len;

    return NGX_OK;
}


void
ngx_mesh_room_queue_cut(ngx_mesh_room_hub_t *hub,
    ngx_mesh_room_queue_t *queue)
{
    size_t                        sent;
    ngx_mesh_room_queue_entry_t  *first;

    first = queue->first;
    sent = queue->sent;

    if (first == NULL || sent == 0) {
        ngx_mesh_room_queue_clear(hub, queue);
        return;
    }

    /* a frame that was begun must be ended, or what follows is no frame */

    queue->first = first->next;
    ngx_mesh_room_queue_clear(hub, queue);

    first->next = NULL;

    queue->first = first;
    queue->last = first;
    queue->sent = sent;
    queue->bytes = first->frame->len - sent;
}


void
ngx_mesh_room_queue_clear(ngx_mesh_room_hub_t *hub,
    ngx_mesh_room_queue_t *queue)
{
    ngx_mesh_room_queue_entry_t  *entry, *next;

    for (entry = queue->first; entry != NULL; entry = next) {
        next = entry->next;
        ngx_mesh_room_queue_entry_free(hub, entry);
    }

    ngx_memzero(queue, sizeof(ngx_mesh_room_queue_t));
}


static void
ngx_mesh_room_queue_entry_free(ngx_mesh_room_hub_t *hub,
    ngx_mesh_room_queue_entry_t *entry)
{
    ngx_mesh_room_queue_release(entry->frame);

    if (hub->entry_count == NGX_MESH_ROOM_QUEUE_FREE_MAX) {
        ngx_free(entry);
        return;
    }

    entry->next = hub->entries;
    hub->entries = entry;
    hub->entry_count++;
}


ngx_int_t
ngx_mesh_room_queue_flush(ngx_mesh_room_hub_t *hub,
    ngx_mesh_room_queue_t *queue, ngx_connection_t *c)
{
    ngx_int_t  rc;

    while (queue->first != NULL || c->buffered) {

        if (!c->write->ready) {
            break;
        }

        rc = ngx_mesh_room_queue_single(queue, c)
             ? ngx_mesh_room_queue_send(hub, queue, c)
             : ngx_mesh_room_queue_send_chain(hub, queue, c);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_AGAIN) {
            break;
        }
    }

    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    return (queue->first == NULL && !c->buffered) ? NGX_OK : NGX_AGAIN;
}


/* send() costs the kernel less than writev() of one piece.  But TLS wants what
   it did not take again as it was, and more may be queued by then: there the
   buffer of nginx's chain writer stands between. */
static ngx_uint_t
ngx_mesh_room_queue_single(const ngx_mesh_room_queue_t *queue,
    const ngx_connection_t *c)
{
#if (NGX_SSL)
    if (c->ssl) {
        return 0;
    }
#endif

    return queue->first != NULL && queue->first == queue->last
           && !c->buffered;
}


/* The only frame.  NGX_OK, NGX_AGAIN, NGX_ERROR. */
static ngx_int_t
ngx_mesh_room_queue_send(ngx_mesh_room_hub_t *hub,
    ngx_mesh_room_queue_t *queue, ngx_connection_t *c)
{
    ssize_t                 n;
    ngx_mesh_room_frame_t  *frame;

    frame = queue->first->frame;

    n = c->send(c, frame->data + queue->sent, frame->len - queue->sent);

    if (n == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (n == NGX_ERROR || n == 0) {
        return NGX_ERROR;
    }

    queue->sent += n;
    queue->bytes -= n;

    if (queue->sent != frame->len) {
        return NGX_AGAIN;
    }

    ngx_mesh_room_queue_entry_free(hub, queue->first);
    ngx_memzero(queue, sizeof(ngx_mesh_room_queue_t));

    return NGX_OK;
}


/* As many as one write takes. */
static ngx_int_t
ngx_mesh_room_queue_send_chain(ngx_mesh_room_hub_t *hub,
    ngx_mesh_room_queue_t *queue, ngx_connection_t *c)
{
    ngx_buf_t     bufs[NGX_MESH_ROOM_QUEUE_BUFS];
    ngx_chain_t   links[NGX_MESH_ROOM_QUEUE_BUFS];
    ngx_chain_t  *rest;

    rest = c->send_chain(c, ngx_mesh_room_queue_chain(queue, bufs, links),
                         0);

    if (rest == NGX_CHAIN_ERROR) {
        return NGX_ERROR;
    }

    ngx_mesh_room_queue_advance(hub, queue, bufs);

    return (rest != NULL || c->buffered) ? NGX_AGAIN : NGX_OK;
}


/* The first frames as a chain; NULL when there are none. */
static ngx_chain_t *
ngx_mesh_room_queue_chain(ngx_mesh_room_queue_t *queue, ngx_buf_t *bufs,
    ngx_chain_t *links)
{
    ngx_uint_t                    i;
    ngx_mesh_room_queue_entry_t  *entry;

    entry = queue->first;

    for (i = 0; i < NGX_MESH_ROOM_QUEUE_BUFS && entry != NULL; i++) {

        ngx_memzero(&bufs[i], sizeof(ngx_buf_t));

        bufs[i].memory = 1;
        bufs[i].pos = entry->frame->data + (i == 0 ? queue->sent : 0);
        bufs[i].last = entry->frame->data + entry->frame->len;
        bufs[i].start = bufs[i].pos;
        bufs[i].end = bufs[i].last;

        links[i].buf = &bufs[i];
        links[i].next = &links[i + 1];

        entry = entry->next;
    }

    if (i == 0) {
        return NULL;
    }

    links[i - 1].next = NULL;
    bufs[i - 1].flush = 1;

    return links;
}


static void
ngx_mesh_room_queue_advance(ngx_mesh_room_hub_t *hub,
    ngx_mesh_room_queue_t *queue, ngx_buf_t *bufs)
{
    ngx_uint_t                    i;
    ngx_mesh_room_queue_entry_t  *entry;

    for (i = 0; i < NGX_MESH_ROOM_QUEUE_BUFS; i++) {

        entry = queue->first;

        if (entry == NULL) {
            return;
        }

        queue->bytes -= bufs[i].pos - bufs[i].start;

        if (bufs[i].pos != bufs[i].last) {
            queue->sent = bufs[i].pos - entry->frame->data;
            return;
        }

        queue->first = entry->next;
        queue->sent = 0;

        if (queue->first == NULL) {
            queue->last = NULL;
        }

        ngx_mesh_room_queue_entry_free(hub, entry);
    }
}
