/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The life of a WebSocket connection on its worker.
 *
 *     fresh --> open --> closing --> gone
 *                |                    ^
 *                +------ failed ------+
 *
 *     fresh    the 101 is sent, nginx's stack still unwinds      _open
 *     open     frames are read and run                           _take
 *     closing  a close frame is queued; input is only drained    _fail
 *     failed   broken, or time is up                             _break
 *     gone     out of every room, freed                          _close
 *
 * Marks are made anywhere; the flush, posted once a turn, is the one place
 * that takes over, writes and closes, so nothing is freed under a caller.
 *
 * The request of the upgrade stays until the connection is authenticated,
 * since its configuration is what a token is checked by; then it is released
 * with its header buffers, and the connection lives from this struct.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "json_write.h"
#include "ngx_mesh_room_backfill.h"
#include "ngx_mesh_room_clock.h"
#include "ngx_mesh_room_input.h"
#include "ngx_mesh_room_join.h"
#include "ngx_mesh_room_login.h"


#define NGX_MESH_ROOM_CONNECTION_LINGER       2000    /* ms for the peer's
                                                         close frame */
#define NGX_MESH_ROOM_CONNECTION_LAG          10000   /* the same, of one that
                                                         reads slowly */
#define NGX_MESH_ROOM_CONNECTION_FLUSHES      512     /* of a turn */
#define NGX_MESH_ROOM_CONNECTION_SIZE         64      /* of the array, first */
#define NGX_MESH_ROOM_CONNECTION_ERROR_MAX    2048    /* bytes of an error */


/* What the request's cleanup and the first turn need; in r->pool. */
typedef struct {
    ngx_mesh_room_connection_t  *mc;
    ngx_str_t                    token;
    ngx_str_t                    proofs;
} ngx_mesh_room_connection_link_t;


static ngx_int_t ngx_mesh_room_connection_enlist(
    ngx_mesh_room_connection_t *mc);
static void ngx_mesh_room_connection_cleanup(void *data);
static void ngx_mesh_room_connection_take(ngx_mesh_room_connection_t *mc);
static void ngx_mesh_room_connection_waiting_handler(ngx_http_request_t *r);
static void ngx_mesh_room_connection_free(ngx_mesh_room_connection_t *mc);
static void ngx_mesh_room_connection_close(ngx_mesh_room_connection_t *mc);
static void ngx_mesh_room_connection_write_handler(ngx_event_t *wev);
static ngx_uint_t ngx_mesh_room_connection_over(
    ngx_mesh_room_connection_t *mc, size_t len);
static void ngx_mesh_room_connection_push(ngx_mesh_room_connection_t *mc,
    ngx_mesh_room_frame_t *frame);
static void ngx_mesh_room_connection_flush_handler(ngx_event_t *ev);
static void ngx_mesh_room_connection_flush(ngx_mesh_room_connection_t *mc);


void
ngx_mesh_room_connection_init(ngx_mesh_room_hub_t *hub)
{
    hub->flush.handler = ngx_mesh_room_connection_flush_handler;
    hub->flush.data = hub;
    hub->flush.log = hub->log;
}


/* Beginning. */

ngx_int_t
ngx_mesh_room_connection_open(ngx_http_request_t *r, ngx_str_t *token,
    ngx_str_t *proofs)
{
    ngx_http_cleanup_t               *cln;
    ngx_mesh_room_connection_t       *mc;
    ngx_http_mesh_room_main_conf_t   *mcf;
    ngx_mesh_room_connection_link_t  *link;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_mesh_room_module);

    link = ngx_palloc(r->pool, sizeof(ngx_mesh_room_connection_link_t));
    cln = ngx_http_cleanup_add(r, 0);

    if (link == NULL || cln == NULL) {
        return NGX_ERROR;
    }

    mc = ngx_calloc(sizeof(ngx_mesh_room_connection_t), r->connection->log);
    if (mc == NULL) {
        return NGX_ERROR;
    }

    mc->connection = r->connection;
    mc->request = r;
    mc->cleanup = cln;
    mc->mcf = mcf;
    mc->lcf = ngx_http_get_module_loc_conf(r, ngx_http_mesh_room_module);
    mc->hub = mcf->hub;
    mc->opened = ngx_current_msec;
    mc->heard = ngx_current_msec;
    mc->rate_time = ngx_current_msec;
    mc->rate_left = mc->lcf->rate;
    mc->fresh = 1;

    ngx_queue_init(&mc->subscriptions);
    ngx_queue_init(&mc->sends);

    ws_frame_open(&mc->parser, mc->lcf->frame_size);

    if (ngx_mesh_room_connection_enlist(mc) != NGX_OK) {
        ngx_free(mc);
        return NGX_ERROR;
    }

    link->mc = mc;
    link->token = *token;
    link->proofs = *proofs;

    cln->handler = ngx_mesh_room_connection_cleanup;
    cln->data = link;

    ngx_mesh_room_connection_post(mc);
    ngx_mesh_room_clock_watch(mc->hub);

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_room_connection_enlist(ngx_mesh_room_connection_t *mc)
{
    ngx_uint_t                    size;
    ngx_mesh_room_hub_t          *hub;
    ngx_mesh_room_connection_t  **connections;

    hub = mc->hub;

    if (hub->count == hub->size) {

        size = (hub->size == 0) ? NGX_MESH_ROOM_CONNECTION_SIZE
                                : hub->size * 2;

        connections = ngx_alloc(size * sizeof(ngx_mesh_room_connection_t *),
                                hub->log);
        if (connections == NULL) {
            return NGX_ERROR;
        }

        if (hub->connections != NULL) {
            ngx_memcpy(connections, hub->connections,
                       hub->count * sizeof(ngx_mesh_room_connection_t *));
            ngx_free(hub->connections);
        }

        hub->connections = connections;
        hub->size = size;
    }

    mc->index = hub->count;
    hub->connections[hub->count++] = mc;

    return NGX_OK;
}


/* nginx ends the request itself, before the first turn. */
static void
ngx_mesh_room_connection_cleanup(void *data)
{
    ngx_mesh_room_connection_link_t  *link = data;

    link->mc->request = NULL;
    ngx_mesh_room_connection_free(link->mc);
}


/* nginx's stack is gone: its handlers are put aside, and what came behind
   the handshake in the same packet is read. */
static void
ngx_mesh_room_connection_take(ngx_mesh_room_connection_t *mc)
{
    ngx_buf_t                        *b;
    ngx_str_t                         token, proofs;
    ngx_connection_t                 *c;
    ngx_http_request_t               *r;
    ngx_mesh_room_connection_link_t  *link;

    c = mc->connection;
    r = mc->request;
    link = mc->cleanup->data;

    if (r->out != NULL || c->buffered) {

        if (ngx_http_output_filter(r, NULL) == NGX_ERROR) {
            ngx_mesh_room_connection_close(mc);
            return;
        }

        if (r->out != NULL || c->buffered) {
            r->write_event_handler = ngx_mesh_room_connection_waiting_handler;

            if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
                ngx_mesh_room_connection_close(mc);
            }

            return;
        }
    }

    mc->fresh = 0;

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    c->data = mc;
    c->read->handler = ngx_mesh_room_input_read_handler;
    c->write->handler = ngx_mesh_room_connection_write_handler;

    b = r->header_in;

    if (b->pos < b->last
        && ngx_mesh_room_input_hold(mc, bytes_make(b->pos,
                                                        b->last - b->pos))
           != NGX_OK)
    {
        ngx_mesh_room_connection_close(mc);
        return;
    }

    token = link->token;
    proofs = link->proofs;

    if (token.len != 0) {
        ngx_mesh_room_login(mc, &token, &proofs);
    }

    ngx_mesh_room_input_resume(mc);
}


static void
ngx_mesh_room_connection_waiting_handler(ngx_http_request_t *r)
{
    ngx_http_cleanup_t               *cln;
    ngx_mesh_room_connection_link_t  *link;

    for (cln = r->cleanup; cln != NULL; cln = cln->next) {

        if (cln->handler == ngx_mesh_room_connection_cleanup) {
            link = cln->data;
            ngx_mesh_room_connection_post(link->mc);
            return;
        }
    }
}


void
ngx_mesh_room_connection_settle(ngx_mesh_room_connection_t *mc)
{
    ngx_buf_t              *b;
    ngx_chain_t            *cl, *ln;
    ngx_connection_t       *c;
    ngx_http_request_t     *r;
    ngx_http_connection_t  *hc;

    c = mc->connection;
    r = mc->request;

    if (r == NULL) {
        return;
    }

    mc->request = NULL;
    mc->cleanup->handler = NULL;
    mc->cleanup = NULL;

    hc = r->http_connection;

    /* as nginx does between two requests of a connection */

    ngx_http_free_request(r, 0);

    c->destroyed = 0;
    c->log->action = "in a room";

    b = c->buffer;

    if (ngx_pfree(c->pool, b->start) == NGX_OK) {
        b->start = NULL;
    }

    b->pos = b->start;
    b->last = b->start;

    for (cl = hc->free; cl != NULL; /* void */ ) {
        ln = cl;
        cl = cl->next;
        (void) ngx_pfree(c->pool, ln->buf->start);
        ngx_free_chain(c->pool, ln);
    }

    for (cl = hc->busy; cl != NULL; /* void */ ) {
        ln = cl;
        cl = cl->next;
        (void) ngx_pfree(c->pool, ln->buf->start);
        ngx_free_chain(c->pool, ln);
    }

    hc->free = NULL;
    hc->busy = NULL;
    hc->nbusy = 0;
}


/* End. */

void
ngx_mesh_room_connection_break(ngx_mesh_room_connection_t *mc)
{
    mc->failed = 1;
    ngx_mesh_room_connection_post(mc);
}


void
ngx_mesh_room_connection_fail(ngx_mesh_room_connection_t *mc, uint16_t code,
    const char *reason)
{
    ngx_str_t               nobody = ngx_string("nobody");
    ngx_mesh_room_frame_t  *frame;

    if (mc->closing || mc->failed) {
        return;
    }

    if (!mc->closed) {
        ngx_log_error(NGX_LOG_INFO, mc->connection->log, 0,
                      "room: connection of \"%V\" is closed with %ui: %s",
                      mc->participant != NULL ? &mc->participant->id : &nobody,
                      (ngx_uint_t) code, reason);
    }

    mc->closing = 1;
    mc->deadline = ngx_current_msec + NGX_MESH_ROOM_CONNECTION_LINGER;

    if (code == WS_CLOSE_TRY_LATER) {
        mc->deadline = ngx_current_msec + NGX_MESH_ROOM_CONNECTION_LAG;
        ngx_mesh_room_queue_cut(mc->hub, &mc->queue);
    }

    frame = ngx_mesh_room_queue_close_frame(mc->hub->log, code,
                                            bytes_of(reason));
    if (frame == NULL) {
        ngx_mesh_room_connection_break(mc);
        return;
    }

    ngx_mesh_room_connection_push(mc, frame);
    ngx_mesh_room_queue_release(frame);
}


static void
ngx_mesh_room_connection_close(ngx_mesh_room_connection_t *mc)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    c = mc->connection;
    r = mc->request;

    if (r != NULL) {
        mc->cleanup->handler = NULL;
    }

    ngx_mesh_room_connection_free(mc);

    if (r != NULL) {
        ngx_http_free_request(r, 0);
    }

    ngx_http_close_connection(c);
}


/* Out of everything; the connection itself stays. */
static void
ngx_mesh_room_connection_free(ngx_mesh_room_connection_t *mc)
{
    ngx_queue_t                   *q;
    ngx_mesh_room_hub_t           *hub;
    ngx_mesh_room_call_t          *call;
    ngx_mesh_room_connection_t    *last;
    ngx_mesh_room_subscription_t  *sub;

    hub = mc->hub;

    while (!ngx_queue_empty(&mc->subscriptions)) {
        q = ngx_queue_head(&mc->subscriptions);
        sub = ngx_queue_data(q, ngx_mesh_room_subscription_t, queue);

        ngx_mesh_room_join_drop(sub);
    }

    while (!ngx_queue_empty(&mc->sends)) {
        q = ngx_queue_head(&mc->sends);
        call = ngx_queue_data(q, ngx_mesh_room_call_t, queue);

        ngx_queue_remove(q);
        call->job->data = NULL;
    }

    if (mc->job != NULL) {
        mc->job->data = NULL;
    }

    ngx_mesh_room_queue_clear(hub, &mc->queue);

    if (mc->dirtied) {
        ngx_queue_remove(&mc->dirty);
    }

    last = hub->connections[--hub->count];

    hub->connections[mc->index] = last;
    last->index = mc->index;

    if (mc->assembly != NULL) {
        ngx_free(mc->assembly);
    }

    if (mc->held != NULL) {
        ngx_free(mc->held);
    }

    if (mc->pool != NULL) {
        ngx_destroy_pool(mc->pool);
    }

    ngx_free(mc);
}


/* Out. */

void
ngx_mesh_room_connection_send(ngx_mesh_room_connection_t *mc,
    bytes_t payload)
{
    ngx_mesh_room_frame_t  *frame;

    frame = ngx_mesh_room_queue_frame(mc->hub->log, WS_FRAME_TEXT, payload);

    if (frame == NULL) {
        ngx_mesh_room_connection_break(mc);
        return;
    }

    ngx_mesh_room_connection_send_frame(mc, frame);
    ngx_mesh_room_queue_release(frame);
}


void
ngx_mesh_room_connection_send_frame(ngx_mesh_room_connection_t *mc,
    ngx_mesh_room_frame_t *frame)
{
    if (mc->closing || mc->failed) {
        return;
    }

    if (ngx_mesh_room_connection_over(mc, frame->len)) {

        /* much may come in one turn; slow is who does not take it */

        if (ngx_mesh_room_queue_flush(mc->hub, &mc->queue, mc->connection)
            == NGX_ERROR)
        {
            ngx_mesh_room_connection_break(mc);
            return;
        }

        if (ngx_mesh_room_connection_over(mc, frame->len)) {
            ngx_mesh_room_connection_fail(mc, WS_CLOSE_TRY_LATER,
                                          "lag: reads too slowly");
            return;
        }
    }

    ngx_mesh_room_connection_push(mc, frame);
}


/* One frame may be larger than the queue may be long. */
static ngx_uint_t
ngx_mesh_room_connection_over(ngx_mesh_room_connection_t *mc, size_t len)
{
    return mc->queue.first != NULL
           && mc->queue.bytes + len > mc->lcf->queue_size;
}


static void
ngx_mesh_room_connection_push(ngx_mesh_room_connection_t *mc,
    ngx_mesh_room_frame_t *frame)
{
    if (ngx_mesh_room_queue_add(mc->hub, &mc->queue, frame) != NGX_OK) {
        mc->failed = 1;
    }

    ngx_mesh_room_connection_post(mc);
}


void
ngx_mesh_room_connection_error(ngx_mesh_room_connection_t *mc,
    problem_t problem, const char *detail, bytes_t ref, const char *command)
{
    uint8_t         buf[NGX_MESH_ROOM_CONNECTION_ERROR_MAX];
    json_write_t    j;
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member_text(&j, "type", "error");
    json_write_member_text(&j, "error", problem_slug(problem));
    json_write_member_text(&j, "detail",
                           detail != NULL ? detail : problem_title(problem));

    if (ref.len != 0 && ref.len <= NGX_MESH_ROOM_CLIENT_ID_MAX) {
        json_write_member(&j, "ref", ref);
    }

    if (command != NULL) {
        json_write_member_text(&j, "command", command);
    }

    json_write_object_end(&j);

    if (!w.failed) {
        ngx_mesh_room_connection_send(mc, bytes_writer_view(&w));
    }
}


void
ngx_mesh_room_connection_refuse(ngx_mesh_room_connection_t *mc,
    ngx_mesh_room_refusal_t *refusal, bytes_t ref)
{
    bytes_t  command;

    if (refusal->verdict == UCAN_OK) {
        ngx_mesh_room_connection_error(mc, refusal->problem, NULL, ref, NULL);
        return;
    }

    command = (refusal->command != NULL) ? bytes_of(refusal->command)
                                         : bytes_make(NULL, 0);

    mc->mcf->principal->refuse(mc->principal, mc->connection->log,
                               refusal->verdict, command);

    ngx_mesh_room_connection_error(mc, refusal->problem,
                                   ucan_verdict_text(refusal->verdict), ref,
                                   refusal->command);
}


static void
ngx_mesh_room_connection_write_handler(ngx_event_t *wev)
{
    ngx_connection_t  *c;

    c = wev->data;

    ngx_mesh_room_connection_post(c->data);
}


void
ngx_mesh_room_connection_post(ngx_mesh_room_connection_t *mc)
{
    ngx_mesh_room_hub_t  *hub;

    hub = mc->hub;

    if (!mc->dirtied) {
        mc->dirtied = 1;
        ngx_queue_insert_tail(&hub->dirty, &mc->dirty);
    }

    if (!hub->flush.posted) {
        ngx_post_event(&hub->flush, &ngx_posted_events);
    }
}


static void
ngx_mesh_room_connection_flush_handler(ngx_event_t *ev)
{
    ngx_uint_t                   n;
    ngx_queue_t                 *q;
    ngx_mesh_room_hub_t         *hub = ev->data;
    ngx_mesh_room_connection_t  *mc;

    for (n = 0; !ngx_queue_empty(&hub->dirty); n++) {

        /* a large room must not hold up what else the loop has to do */

        if (n == NGX_MESH_ROOM_CONNECTION_FLUSHES) {

            if (!ev->posted) {
                ngx_post_event(ev, &ngx_posted_next_events);
            }

            return;
        }

        q = ngx_queue_head(&hub->dirty);
        mc = ngx_queue_data(q, ngx_mesh_room_connection_t, dirty);

        ngx_queue_remove(q);
        mc->dirtied = 0;

        if (mc->failed) {
            ngx_mesh_room_connection_close(mc);

        } else if (mc->fresh) {
            ngx_mesh_room_connection_take(mc);

        } else {
            ngx_mesh_room_connection_flush(mc);
        }
    }
}


static void
ngx_mesh_room_connection_flush(ngx_mesh_room_connection_t *mc)
{
    ngx_int_t  rc;

    rc = ngx_mesh_room_queue_flush(mc->hub, &mc->queue, mc->connection);

    if (rc == NGX_ERROR) {
        ngx_mesh_room_connection_close(mc);
        return;
    }

    if (mc->closing) {

        /* section 7.1.1: the server closes first, when both frames are
           through */

        if (mc->closed && rc == NGX_OK) {
            ngx_mesh_room_connection_close(mc);
        }

        return;
    }

    ngx_mesh_room_backfill(mc);
}
