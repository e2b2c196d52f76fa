/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What a connection says: bytes off the socket into the worker's buffer,
 * through the frame parser, to the verbs.
 *
 * Nothing is allocated for a frame that is whole in the buffer.  One that is
 * not moves to a buffer of its own connection until it is, and bytes that
 * come while no frame may be run (a token is being checked, too many sends
 * are under way) are held, and the socket is not read: the client feels it.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_room_input.h"
#include "ngx_mesh_room_verb.h"


#define NGX_MESH_ROOM_INPUT_READS  4       /* recv() of a turn */


static ngx_uint_t ngx_mesh_room_input_full(
    ngx_mesh_room_connection_t *mc);
static void ngx_mesh_room_input_feed(ngx_mesh_room_connection_t *mc,
    bytes_t in);
static ngx_int_t ngx_mesh_room_input_grow(
    ngx_mesh_room_connection_t *mc);
static ngx_int_t ngx_mesh_room_input_keep(
    ngx_mesh_room_connection_t *mc);
static void ngx_mesh_room_input_message(ngx_mesh_room_connection_t *mc);
static void ngx_mesh_room_input_control(ngx_mesh_room_connection_t *mc);


void
ngx_mesh_room_input_read_handler(ngx_event_t *rev)
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
        ngx_mesh_room_input_resume(mc);
        return;
    }

    for (i = 0; !mc->failed && rev->ready; i++) {

        if (ngx_mesh_room_input_full(mc)) {
            return;
        }

        if (i == NGX_MESH_ROOM_INPUT_READS) {
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

        ngx_mesh_room_input_feed(mc, bytes_make(hub->input, n));
    }

    if (!mc->failed && ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_mesh_room_connection_break(mc);
    }
}


/* No more frames are taken for now. */
static ngx_uint_t
ngx_mesh_room_input_full(ngx_mesh_room_connection_t *mc)
{
    return !mc->closing
           && (mc->opening || mc->send_count >= NGX_MESH_ROOM_SENDS_MAX);
}


void
ngx_mesh_room_input_resume(ngx_mesh_room_connection_t *mc)
{
    u_char  *held;
    size_t   len;

    if (mc->failed || ngx_mesh_room_input_full(mc)) {
        return;
    }

    if (mc->held != NULL) {
        held = mc->held;
        len = mc->held_len;

        mc->held = NULL;
        mc->held_len = 0;

        ngx_mesh_room_input_feed(mc, bytes_make(held, len));
        ngx_free(held);
    }

    /* the event may have come and gone while nothing was read */

    if (!mc->failed && mc->held == NULL) {
        ngx_post_event(mc->connection->read, &ngx_posted_events);
    }
}


ngx_int_t
ngx_mesh_room_input_hold(ngx_mesh_room_connection_t *mc, bytes_t in)
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
ngx_mesh_room_input_feed(ngx_mesh_room_connection_t *mc, bytes_t in)
{
    ws_frame_rc_t         rc;
    ws_frame_parser_t    *p;
    ngx_mesh_room_hub_t  *hub;

    hub = mc->hub;
    p = &mc->parser;

    while (in.len != 0 && !mc->failed) {

        if (ngx_mesh_room_input_full(mc)) {

            if (ngx_mesh_room_input_hold(mc, in) != NGX_OK) {
                ngx_mesh_room_connection_break(mc);
            }

            break;
        }

        if (mc->assembly == NULL && p->buf == NULL) {
            ws_frame_buffer_set(p, hub->message, hub->mcf->frame_size);
        }

        rc = ws_frame_parse(p, &in);

        if (rc == WS_FRAME_MESSAGE) {
            ngx_mesh_room_input_message(mc);
            ws_frame_taken(p);

        } else if (rc == WS_FRAME_CONTROL) {
            ngx_mesh_room_input_control(mc);

        } else if (rc == WS_FRAME_FAILED) {
            ngx_mesh_room_connection_fail(mc, p->close_code,
                                          "the frame breaks the protocol");
            break;

        } else if (p->need != 0
                   && ngx_mesh_room_input_grow(mc) != NGX_OK)
        {
            ngx_mesh_room_connection_fail(mc, WS_CLOSE_INTERNAL,
                                          "out of memory");
            break;
        }
    }

    if (ngx_mesh_room_input_keep(mc) != NGX_OK) {
        ngx_mesh_room_connection_fail(mc, WS_CLOSE_INTERNAL, "out of memory");
    }
}


/* A message that came in pieces outgrows the buffer of its own. */
static ngx_int_t
ngx_mesh_room_input_grow(ngx_mesh_room_connection_t *mc)
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
ngx_mesh_room_input_keep(ngx_mesh_room_connection_t *mc)
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
ngx_mesh_room_input_message(ngx_mesh_room_connection_t *mc)
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
ngx_mesh_room_input_control(ngx_mesh_room_connection_t *mc)
{
    ws_frame_parser_t      *p;
    ngx_mesh_room_frame_t  *frame;

    p = &mc->parser;

    switch (p->type) {

    case WS_FRAME_CLOSE:
        mc->closed = 1;

        /* section 5.5.1: the answer has the same code */

        ngx_mesh_room_connection_fail(mc, p->close_code, "");
        ngx_mesh_room_connection_post(mc);
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
