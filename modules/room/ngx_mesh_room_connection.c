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
 * One clock a worker looks at each connection once a second: session, rights,
 * pings, deadlines, and a soft end when the worker is told to quit.
 *
 * The request of the upgrade stays until the connection is authenticated,
 * since its configuration is what a token is checked by; then it is released
 * with its header buffers, and the connection lives from this struct.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "json_write.h"
#include "ngx_mesh_room_live.h"


#define NGX_MESH_ROOM_CONNECTION_TICK         100     /* ms */
#define NGX_MESH_ROOM_CONNECTION_TICKS        10      /* looks at all */
#define NGX_MESH_ROOM_CONNECTION_LINGER       2000    /* ms for the peer's
                                                         close frame */
#define NGX_MESH_ROOM_CONNECTION_LAG          10000   /* the same, of one that
                                                         reads slowly */
#define NGX_MESH_ROOM_CONNECTION_LEAVE_TICKS  15      /* ends all */
#define NGX_MESH_ROOM_CONNECTION_FLUSHES      512     /* of a turn */
#define NGX_MESH_ROOM_CONNECTION_READS        4       /* recv() of a turn */
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
static ngx_int_t ngx_mesh_room_connection_hold(
    ngx_mesh_room_connection_t *mc, bytes_t in);
static void ngx_mesh_room_connection_dirty(ngx_mesh_room_connection_t *mc);
static void ngx_mesh_room_connection_break(ngx_mesh_room_connection_t *mc);
static void ngx_mesh_room_connection_free(ngx_mesh_room_connection_t *mc);
static void ngx_mesh_room_connection_close(ngx_mesh_room_connection_t *mc);
static void ngx_mesh_room_connection_read_handler(ngx_event_t *rev);
static void ngx_mesh_room_connection_write_handler(ngx_event_t *wev);
static ngx_uint_t ngx_mesh_room_connection_full(
    ngx_mesh_room_connection_t *mc);
static void ngx_mesh_room_connection_feed(ngx_mesh_room_connection_t *mc,
    bytes_t in);
static ngx_int_t ngx_mesh_room_connection_grow(
    ngx_mesh_room_connection_t *mc);
static ngx_int_t ngx_mesh_room_connection_keep(
    ngx_mesh_room_connection_t *mc);
static void ngx_mesh_room_connection_message(ngx_mesh_room_connection_t *mc);
static void ngx_mesh_room_connection_control(ngx_mesh_room_connection_t *mc);
static void ngx_mesh_room_connection_push(ngx_mesh_room_connection_t *mc,
    ngx_mesh_room_frame_t *frame);
static void ngx_mesh_room_connection_flush_handler(ngx_event_t *ev);
static void ngx_mesh_room_connection_flush(ngx_mesh_room_connection_t *mc);
static void ngx_mesh_room_connection_tick_handler(ngx_event_t *ev);
static void ngx_mesh_room_connection_look(ngx_mesh_room_connection_t *mc);
static void ngx_mesh_room_connection_ping(ngx_mesh_room_connection_t *mc);
static void ngx_mesh_room_connection_leave(ngx_mesh_room_hub_t *hub);


void
ngx_mesh_room_connection_init(ngx_mesh_room_hub_t *hub)
{
    hub->tick.handler = ngx_mesh_room_connection_tick_handler;
    hub->tick.data = hub;
    hub->tick.log = hub->log;

    hub->flush.handler = ngx_mesh_room_connection_flush_handler;
    hub->flush.data = hub;
    hub->flush.log = hub->log;
}


void
ngx_mesh_room_connection_watch(ngx_mesh_room_hub_t *hub)
{
    /* not cancelable: an exiting worker stays until the last one is gone */

    if (!hub->tick.timer_set) {
        ngx_add_timer(&hub->tick, NGX_MESH_ROOM_CONNECTION_TICK);
    }
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

    ngx_mesh_room_connection_dirty(mc);
    ngx_mesh_room_connection_watch(mc->hub);

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
    c->read->handler = ngx_mesh_room_connection_read_handler;
    c->write->handler = ngx_mesh_room_connection_write_handler;

    b = r->header_in;

    if (b->pos < b->last
        && ngx_mesh_room_connection_hold(mc, bytes_make(b->pos,
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

    ngx_mesh_room_connection_resume(mc);
}


static void
ngx_mesh_room_connection_waiting_handler(ngx_http_request_t *r)
{
    ngx_http_cleanup_t               *cln;
    ngx_mesh_room_connection_link_t  *link;

    for (cln = r->cleanup; cln != NULL; cln = cln->next) {

        if (cln->handler == ngx_mesh_room_connection_cleanup) {
            link = cln->data;
            ngx_mesh_room_connection_dirty(link->mc);
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

static void
ngx_mesh_room_connection_break(ngx_mesh_room_connection_t *mc)
{
    mc->failed = 1;
    ngx_mesh_room_connection_dirty(mc);
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


/* In. */

static void
ngx_mesh_room_connection_read_handler(ngx_event_t *rev)
{
    ssize_t                      n;
    ngx_uint_t                   i;
    ngx_connection_t            *c;
    ngx_mesh_room_hub_t         *hub;
    ngx_mesh_room_connection_t  *mc;

    c = rev->data;
    mc = c->data;
    hub = mc->hub;

    if (c->close) {
        ngx_mesh_room_connection_break(mc);
        return;
    }

    if (mc->held != NULL && !mc->closing) {
        ngx_mesh_room_connection_resume(mc);
        return;
    }

    for (i = 0; !mc->failed && rev->ready; i++) {

        if (ngx_mesh_room_connection_full(mc)) {
            return;
        }

        if (i == NGX_MESH_ROOM_CONNECTION_READS) {
            ngx_post_event(rev, &ngx_posted_next_events);
            return;
        }

        n = c->recv(c, hub->input, NGX_MESH_ROOM_INPUT_SIZE);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == 0 || n == NGX_ERROR) {
            ngx_mesh_room_connection_break(mc);
            return;
        }

        mc->heard = ngx_current_msec;

        ngx_mesh_room_connection_feed(mc, bytes_make(hub->input, n));
    }

    if (!mc->failed && ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_mesh_room_connection_break(mc);
    }
}


/* No more frames are taken for now. */
static ngx_uint_t
ngx_mesh_room_connection_full(ngx_mesh_room_connection_t *mc)
{
    return !mc->closing
           && (mc->opening || mc->send_count >= NGX_MESH_ROOM_SENDS_MAX);
}


void
ngx_mesh_room_connection_resume(ngx_mesh_room_connection_t *mc)
{
    u_char  *held;
    size_t   len;

    if (mc->failed || ngx_mesh_room_connection_full(mc)) {
        return;
    }

    if (mc->held != NULL) {
        held = mc->held;
        len = mc->held_len;

        mc->held = NULL;
        mc->held_len = 0;

        ngx_mesh_room_connection_feed(mc, bytes_make(held, len));
        ngx_free(held);
    }

    /* the event may have come and gone while nothing was read */

    if (!mc->failed && mc->held == NULL) {
        ngx_post_event(mc->connection->read, &ngx_posted_events);
    }
}


/* Keeps bytes that came before their turn. */
static ngx_int_t
ngx_mesh_room_connection_hold(ngx_mesh_room_connection_t *mc, bytes_t in)
{
    mc->held = ngx_alloc(in.len, mc->hub->log);

    if (mc->held == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(mc->held, in.data, in.len);
    mc->held_len = in.len;

    return NGX_OK;
}


static void
ngx_mesh_room_connection_feed(ngx_mesh_room_connection_t *mc, bytes_t in)
{
    ws_frame_rc_t         rc;
    ws_frame_parser_t    *p;
    ngx_mesh_room_hub_t  *hub;

    hub = mc->hub;
    p = &mc->parser;

    while (in.len != 0 && !mc->failed) {

        if (ngx_mesh_room_connection_full(mc)) {

            if (ngx_mesh_room_connection_hold(mc, in) != NGX_OK) {
                ngx_mesh_room_connection_break(mc);
            }

            break;
        }

        if (mc->assembly == NULL && p->buf == NULL) {
            ws_frame_buffer_set(p, hub->message, hub->mcf->frame_size);
        }

        rc = ws_frame_parse(p, &in);

        if (rc == WS_FRAME_MESSAGE) {
            ngx_mesh_room_connection_message(mc);
            ws_frame_taken(p);

        } else if (rc == WS_FRAME_CONTROL) {
            ngx_mesh_room_connection_control(mc);

        } else if (rc == WS_FRAME_FAILED) {
            ngx_mesh_room_connection_fail(mc, p->close_code,
                                          "the frame breaks the protocol");
            break;

        } else if (p->need != 0
                   && ngx_mesh_room_connection_grow(mc) != NGX_OK)
        {
            ngx_mesh_room_connection_fail(mc, WS_CLOSE_INTERNAL,
                                          "out of memory");
            break;
        }
    }

    if (ngx_mesh_room_connection_keep(mc) != NGX_OK) {
        ngx_mesh_room_connection_fail(mc, WS_CLOSE_INTERNAL, "out of memory");
    }
}


/* A message that came in pieces outgrows the buffer of its own. */
static ngx_int_t
ngx_mesh_room_connection_grow(ngx_mesh_room_connection_t *mc)
{
    u_char             *buf;
    ws_frame_parser_t  *p;

    p = &mc->parser;

    buf = ngx_alloc(p->need, mc->hub->log);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    if (p->len != 0) {
        ngx_memcpy(buf, p->buf, p->len);
    }

    if (mc->assembly != NULL) {
        ngx_free(mc->assembly);
    }

    mc->assembly = buf;
    ws_frame_buffer_set(p, buf, p->need);

    return NGX_OK;
}


/* The worker's buffer serves others next: what is not whole moves out of it,
   and a buffer of its own that is no longer needed goes. */
static ngx_int_t
ngx_mesh_room_connection_keep(ngx_mesh_room_connection_t *mc)
{
    u_char             *buf;
    ws_frame_parser_t  *p;

    p = &mc->parser;

    if (p->len == 0) {

        if (mc->assembly != NULL) {
            ngx_free(mc->assembly);
            mc->assembly = NULL;
        }

        ws_frame_buffer_set(p, NULL, 0);

        return NGX_OK;
    }

    if (mc->assembly != NULL) {
        return NGX_OK;
    }

    buf = ngx_alloc(p->len, mc->hub->log);

    if (buf == NULL) {
        p->len = 0;
        ws_frame_buffer_set(p, NULL, 0);
        return NGX_ERROR;
    }

    ngx_memcpy(buf, p->buf, p->len);

    mc->assembly = buf;
    ws_frame_buffer_set(p, buf, p->len);

    return NGX_OK;
}


static void
ngx_mesh_room_connection_message(ngx_mesh_room_connection_t *mc)
{
    if (mc->closing) {
        return;
    }

    if (mc->parser.type != WS_FRAME_TEXT) {
        ngx_mesh_room_connection_fail(mc, WS_CLOSE_UNSUPPORTED,
                                      "text frames only");
        return;
    }

    ngx_mesh_room_verb_run(mc, mc->parser.message);
}


static void
ngx_mesh_room_connection_control(ngx_mesh_room_connection_t *mc)
{
    ws_frame_parser_t      *p;
    ngx_mesh_room_frame_t  *frame;

    p = &mc->parser;

    switch (p->type) {

    case WS_FRAME_CLOSE:
        mc->closed = 1;

        /* section 5.5.1: the answer has the same code */

        ngx_mesh_room_connection_fail(mc, p->close_code, "");
        ngx_mesh_room_connection_dirty(mc);
        return;

    case WS_FRAME_PING:
        frame = ngx_mesh_room_queue_frame(mc->hub->log, WS_FRAME_PONG,
                                          p->message);
        if (frame != NULL) {
            ngx_mesh_room_connection_send_frame(mc, frame);
            ngx_mesh_room_queue_release(frame);
        }

        return;

    default:
        return;
    }
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

    /* one frame may be larger than the queue may be long */

    if (mc->queue.first != NULL
        && mc->queue.bytes + frame->len > mc->lcf->queue_size)
    {
        ngx_mesh_room_connection_fail(mc, WS_CLOSE_TRY_LATER,
                                      "lag: reads too slowly");
        return;
    }

    ngx_mesh_room_connection_push(mc, frame);
}


static void
ngx_mesh_room_connection_push(ngx_mesh_room_connection_t *mc,
    ngx_mesh_room_frame_t *frame)
{
    if (ngx_mesh_room_queue_add(mc->hub, &mc->queue, frame) != NGX_OK) {
        mc->failed = 1;
    }

    ngx_mesh_room_connection_dirty(mc);
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

    ngx_mesh_room_connection_dirty(c->data);
}


static void
ngx_mesh_room_connection_dirty(ngx_mesh_room_connection_t *mc)
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

    ngx_mesh_room_join_backfill(mc);
}


/* The clock. */

static void
ngx_mesh_room_connection_tick_handler(ngx_event_t *ev)
{
    ngx_uint_t            n;
    ngx_mesh_room_hub_t  *hub = ev->data;

    n = hub->count / NGX_MESH_ROOM_CONNECTION_TICKS + 1;

    while (n-- && hub->count != 0) {

        if (hub->turn >= hub->count) {
            hub->turn = 0;
        }

        ngx_mesh_room_connection_look(hub->connections[hub->turn++]);
    }

    if (ngx_exiting) {
        ngx_mesh_room_connection_leave(hub);
    }

    if (hub->count != 0 || !ngx_queue_empty(&hub->waiters)) {
        ngx_add_timer(ev, NGX_MESH_ROOM_CONNECTION_TICK);

    } else if (ngx_exiting) {

        /* at the exit itself the ring is closed already */

        ngx_mesh_room_presence_flush(hub);
    }
}


static void
ngx_mesh_room_connection_look(ngx_mesh_room_connection_t *mc)
{
    ngx_msec_t      now;
    ucan_verdict_t  verdict;

    now = ngx_current_msec;

    if (mc->failed || mc->fresh) {
        return;
    }

    if (mc->closing) {

        if ((ngx_msec_int_t) (now - mc->deadline) >= 0) {
            ngx_mesh_room_connection_break(mc);
        }

        return;
    }

    if (!mc->open) {

        if (now - mc->opened >= mc->lcf->auth_timeout) {
            ngx_mesh_room_connection_error(mc, PROBLEM_UNAUTHENTICATED,
                                           "no token in time",
                                           bytes_make(NULL, 0), NULL);
            ngx_mesh_room_connection_fail(mc, WS_CLOSE_POLICY,
                                          "authentication timeout");
        }

        return;
    }

    verdict = mc->mcf->principal->alive(mc->principal);

    if (verdict != UCAN_OK) {
        mc->mcf->principal->refuse(mc->principal, mc->connection->log,
                                   verdict, bytes_make(NULL, 0));
        ngx_mesh_room_connection_fail(mc, WS_CLOSE_POLICY,
                                      ucan_verdict_slug(verdict));
        return;
    }

    ngx_mesh_room_join_allow(mc);
    ngx_mesh_room_join_check(mc);
    ngx_mesh_room_connection_ping(mc);
}


static void
ngx_mesh_room_connection_ping(ngx_mesh_room_connection_t *mc)
{
    ngx_msec_t              now;
    ngx_mesh_room_frame_t  *frame;

    now = ngx_current_msec;

    if (mc->asked && mc->heard - mc->pinged < NGX_MAX_INT_T_VALUE / 2) {
        mc->asked = 0;
    }

    if (mc->asked) {

        if (now - mc->pinged >= mc->lcf->ping_interval) {
            ngx_log_error(NGX_LOG_INFO, mc->hub->log, 0,
                          "room: a connection does not answer pings");
            ngx_mesh_room_connection_break(mc);
        }

        return;
    }

    if (now - mc->heard < mc->lcf->ping_interval) {
        return;
    }

    frame = ngx_mesh_room_queue_frame(mc->hub->log, WS_FRAME_PING,
                                      bytes_make(NULL, 0));
    if (frame == NULL) {
        return;
    }

    mc->asked = 1;
    mc->pinged = now;

    ngx_mesh_room_connection_send_frame(mc, frame);
    ngx_mesh_room_queue_release(frame);

#if (NGX_SSL)

    /* 16 kilobytes that an idle connection has no use for */

    if (mc->connection->ssl && !mc->connection->buffered) {
        ngx_ssl_free_buffer(mc->connection);
    }

#endif
}


/* The worker is to quit: connections are closed over a second or two, from a
   random one on, so that their clients do not all come back at once. */
static void
ngx_mesh_room_connection_leave(ngx_mesh_room_hub_t *hub)
{
    ngx_uint_t                   i, n;
    ngx_mesh_room_connection_t  *mc;

    ngx_mesh_room_wait_wake(hub, bytes_make(NULL, 0));

    if (hub->count == 0) {
        return;
    }

    if (hub->leaving == 0) {
        hub->leaving = hub->count / NGX_MESH_ROOM_CONNECTION_LEAVE_TICKS + 1;
        hub->turn = (ngx_uint_t) ngx_random() % hub->count;
    }

    n = hub->leaving;

    for (i = 0; i < hub->count && n != 0; i++) {

        mc = hub->connections[(hub->turn + i) % hub->count];

        if (mc->fresh || mc->closing || mc->failed) {
            continue;
        }

        ngx_mesh_room_connection_fail(mc, WS_CLOSE_RESTART, "restart");
        n--;
    }
}
