/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * A follower as a WebSocket: text frames of JSON.
 *
 *     {"type":"change","position":"8f3c01d2e4b5a697.7","seq":7,...}
 *     {"type":"gap","error":"feed-gap","oldest":...}     then 1000
 *     {"type":"position","position":"..."}               now and then
 *
 * The client says nothing but {"type":"ping"}, answered by "pong", and
 * control frames.  The request is kept: nginx calls its event handlers, and
 * what is read and written goes past its filters.  Close codes are those of
 * rooms: 1008 the session is over, 1012 the worker leaves, 1002, 1003, 1007
 * and 1009 for frames that break the rules.
 *
 * Nothing is queued while the socket does not take what there is, so the
 * buffer is bounded and a client that is slow only comes later.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_handshake.h"
#include "ngx_mesh_storage_feed.h"
#include "ws_frame.h"


#define NGX_MESH_STORAGE_FEED_SOCKET_IN      4096    /* bytes of a recv() */
#define NGX_MESH_STORAGE_FEED_SOCKET_READS   4       /* of a turn */
#define NGX_MESH_STORAGE_FEED_SOCKET_TEXT    1024    /* bytes of a client's
                                                        message */
#define NGX_MESH_STORAGE_FEED_SOCKET_PING    30000   /* ms without a byte, and
                                                        for the answer */
#define NGX_MESH_STORAGE_FEED_SOCKET_LINGER  2000    /* ms for a peer to
                                                        close */
#define NGX_MESH_STORAGE_FEED_SOCKET_SLOW    60000   /* ms that the client may
                                                        take nothing */
#define NGX_MESH_STORAGE_FEED_SOCKET_OWED    16384   /* bytes of answers to a
                                                        client that reads
                                                        none */
#define NGX_MESH_STORAGE_FEED_SOCKET_HEAD    96      /* before a change */


typedef struct {
    ngx_mesh_storage_follower_t  *f;
    void                         *parked;    /* rest, while it is open */
    u_char                       *out;       /* owned; what is to be sent */
    size_t                        size;      /* bytes of out */
    size_t                        len;       /* in it */
    size_t                        sent;      /* of them */
    uint64_t                      told;      /* the last position */
    ngx_msec_t                    wrote;     /* the client took something */
    ngx_msec_t                    heard;     /* last byte from it */
    ngx_msec_t                    pinged;
    ngx_msec_t                    deadline;  /* when closing */
    ws_frame_parser_t             parser;
    unsigned                      asked:1;   /* a ping is unanswered */
    unsigned                      closing:1; /* our close frame is out */
    unsigned                      closed:1;  /* the peer's came */
    unsigned                      failed:1;  /* no memory, or broken */
} ngx_mesh_storage_feed_socket_t;


static ngx_int_t ngx_mesh_storage_feed_socket_start(
    ngx_mesh_storage_follower_t *f, const ngx_mesh_handshake_t *handshake);
static ngx_int_t ngx_mesh_storage_feed_socket_change(
    ngx_mesh_storage_follower_t *f, bytes_t json);
static ngx_int_t ngx_mesh_storage_feed_socket_paged(
    ngx_mesh_storage_follower_t *f, ngx_uint_t more);
static void ngx_mesh_storage_feed_socket_gap(ngx_mesh_storage_follower_t *f,
    const ngx_mesh_storage_page_t *page);
static ngx_int_t ngx_mesh_storage_feed_socket_down(
    ngx_mesh_storage_follower_t *f, store_rc_t rc);
static void ngx_mesh_storage_feed_socket_look(
    ngx_mesh_storage_follower_t *f);
static void ngx_mesh_storage_feed_socket_end(ngx_mesh_storage_follower_t *f,
    ngx_mesh_storage_feed_end_t why, ucan_verdict_t verdict);
static void ngx_mesh_storage_feed_socket_position(
    ngx_mesh_storage_feed_socket_t *socket);
static void ngx_mesh_storage_feed_socket_ping(
    ngx_mesh_storage_feed_socket_t *socket);
static void ngx_mesh_storage_feed_socket_read_handler(ngx_http_request_t *r);
static void ngx_mesh_storage_feed_socket_parse(
    ngx_mesh_storage_feed_socket_t *socket, bytes_t in);
static void ngx_mesh_storage_feed_socket_message(
    ngx_mesh_storage_feed_socket_t *socket);
static ngx_uint_t ngx_mesh_storage_feed_socket_owes(
    const ngx_mesh_storage_feed_socket_t *socket);
static void ngx_mesh_storage_feed_socket_control(
    ngx_mesh_storage_feed_socket_t *socket);
static void ngx_mesh_storage_feed_socket_write_handler(
    ngx_http_request_t *r);
static void ngx_mesh_storage_feed_socket_frame(
    ngx_mesh_storage_feed_socket_t *socket, ws_frame_opcode_t opcode,
    bytes_t head, bytes_t payload);
static void ngx_mesh_storage_feed_socket_fail(
    ngx_mesh_storage_feed_socket_t *socket, uint16_t code,
    const char *reason);
static ngx_int_t ngx_mesh_storage_feed_socket_room(
    ngx_mesh_storage_feed_socket_t *socket, size_t len);
static ngx_int_t ngx_mesh_storage_feed_socket_flush(
    ngx_mesh_storage_feed_socket_t *socket);
static ngx_int_t ngx_mesh_storage_feed_socket_send(
    ngx_mesh_storage_feed_socket_t *socket);
static void ngx_mesh_storage_feed_socket_finish(
    ngx_mesh_storage_feed_socket_t *socket);
static void ngx_mesh_storage_feed_socket_cleanup(void *data);


static const ngx_mesh_storage_follower_way_t
    ngx_mesh_storage_feed_socket_way =
{
    ngx_mesh_storage_feed_socket_change,
    ngx_mesh_storage_feed_socket_paged,
    ngx_mesh_storage_feed_socket_gap,
    ngx_mesh_storage_feed_socket_down,
    ngx_mesh_storage_feed_socket_look,
    ngx_mesh_storage_feed_socket_end
};


ngx_int_t
ngx_mesh_storage_feed_socket(ngx_mesh_storage_follower_t *f)
{
    ngx_int_t             rc;
    problem_t             problem;
    ngx_http_request_t   *r;
    ngx_mesh_handshake_t  handshake;

    r = f->rest->r;

    if (ngx_mesh_origin_check(r, &f->rest->lcf->origin, &problem) != NGX_OK) {
        return ngx_mesh_storage_rest_problem(f->rest, problem, NULL);
    }

    if (ngx_mesh_handshake_parse(r, &handshake, &rc) != NGX_OK) {
        return rc;
    }

    return ngx_mesh_storage_feed_socket_start(f, &handshake);
}


static ngx_int_t
ngx_mesh_storage_feed_socket_start(ngx_mesh_storage_follower_t *f,
    const ngx_mesh_handshake_t *handshake)
{
    ngx_int_t                        rc;
    ngx_http_request_t              *r;
    ngx_pool_cleanup_t              *cln;
    ngx_mesh_storage_feed_socket_t  *socket;

    r = f->rest->r;
    socket = ngx_pcalloc(r->pool, sizeof(ngx_mesh_storage_feed_socket_t));
    cln = ngx_pool_cleanup_add(r->pool, 0);

    if (socket == NULL || cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    socket->f = f;
    socket->parked = f->rest;
    socket->wrote = ngx_current_msec;
    socket->heard = ngx_current_msec;
    ws_frame_open(&socket->parser, NGX_MESH_STORAGE_FEED_SOCKET_TEXT);

    cln->handler = ngx_mesh_storage_feed_socket_cleanup;
    cln->data = socket;

    f->way = &ngx_mesh_storage_feed_socket_way;
    f->data = socket;
    f->counted = 1;
    f->rest->data = f;

    rc = ngx_mesh_storage_feed_begin(f);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_mesh_handshake_prepare(r, handshake) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_mesh_handshake_send(r) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_mesh_storage_rest_park(f->rest, &socket->parked);

    if (rc != NGX_DONE) {
        return NGX_ERROR;
    }

    r->read_event_handler = ngx_mesh_storage_feed_socket_read_handler;
    r->write_event_handler = ngx_mesh_storage_feed_socket_write_handler;

    /* frames may have come behind the handshake, in the same packet */

    ngx_post_event(r->connection->read, &ngx_posted_events);

    return NGX_DONE;
}


/* What follows. */

static ngx_int_t
ngx_mesh_storage_feed_socket_change(ngx_mesh_storage_follower_t *f,
    bytes_t json)
{
    u_char                           head[NGX_MESH_STORAGE_FEED_SOCKET_HEAD];
    u_char                           id[NGX_MESH_STORAGE_FEED_POSITION];
    bytes_writer_t                   w;
    ngx_mesh_storage_feed_socket_t  *socket;

    socket = f->data;

    bytes_writer_open(&w, head, sizeof(head));
    bytes_writer_text(&w, "{\"type\":\"change\",\"position\":\"");
    bytes_writer_bytes(&w, ngx_mesh_storage_feed_position(f, id));
    bytes_writer_text(&w, "\",");

    /* in the place of the object's own brace */

    ngx_mesh_storage_feed_socket_frame(socket, WS_FRAME_TEXT,
                                       bytes_writer_view(&w),
                                       bytes_make(json.data + 1,
                                                  json.len - 1));
    socket->told = f->seq;

    return (socket->len - socket->sent < NGX_MESH_STORAGE_FEED_BYTES)
           ? NGX_OK : NGX_AGAIN;
}


static ngx_int_t
ngx_mesh_storage_feed_socket_paged(ngx_mesh_storage_follower_t *f,
    ngx_uint_t more)
{
    return ngx_mesh_storage_feed_socket_flush(f->data);
}


static void
ngx_mesh_storage_feed_socket_gap(ngx_mesh_storage_follower_t *f,
    const ngx_mesh_storage_page_t *page)
{
    uint8_t                          buf[512];
    json_write_t                     j;
    bytes_writer_t                   w;
    ngx_mesh_storage_feed_socket_t  *socket;

    socket = f->data;

    bytes_writer_open(&w, buf, sizeof(buf));
    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member_text(&j, "type", "gap");
    ngx_mesh_storage_feed_page_gap(page, &j);
    json_write_object_end(&j);

    ngx_mesh_storage_feed_socket_frame(socket, WS_FRAME_TEXT,
                                       bytes_make(NULL, 0),
                                       bytes_writer_view(&w));
    ngx_mesh_storage_feed_socket_fail(socket, WS_CLOSE_NORMAL,
                                      problem_slug(PROBLEM_FEED_GAP));
    (void) ngx_mesh_storage_feed_socket_flush(socket);
}


static ngx_int_t
ngx_mesh_storage_feed_socket_down(ngx_mesh_storage_follower_t *f,
    store_rc_t rc)
{
    return NGX_OK;
}


static void
ngx_mesh_storage_feed_socket_look(ngx_mesh_storage_follower_t *f)
{
    ngx_msec_t                       now;
    ngx_mesh_storage_feed_socket_t  *socket;

    now = ngx_current_msec;
    socket = f->data;

    if (socket->closing) {

        if ((ngx_msec_int_t) (now - socket->deadline) >= 0) {
            ngx_mesh_storage_feed_socket_finish(socket);
        }

        return;
    }

    if (socket->len != 0) {

        if (now - socket->wrote >= NGX_MESH_STORAGE_FEED_SOCKET_SLOW) {
            ngx_log_error(NGX_LOG_INFO, f->rest->r->connection->log, 0,
                          "storage: a follower reads too slowly");
            ngx_mesh_storage_feed_socket_finish(socket);
        }

        return;
    }

    if (f->known && socket->told != f->seq
        && now - socket->wrote >= NGX_MESH_STORAGE_FEED_TELL)
    {
        ngx_mesh_storage_feed_socket_position(socket);
    }

    ngx_mesh_storage_feed_socket_ping(socket);
}


static void
ngx_mesh_storage_feed_socket_position(ngx_mesh_storage_feed_socket_t *socket)
{
    u_char           id[NGX_MESH_STORAGE_FEED_POSITION];
    uint8_t          buf[NGX_MESH_STORAGE_FEED_SOCKET_HEAD];
    json_write_t     j;
    bytes_writer_t   w;

    bytes_writer_open(&w, buf, sizeof(buf));
    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member_text(&j, "type", "position");
    json_write_member(&j, "position",
                      ngx_mesh_storage_feed_position(socket->f, id));
    json_write_object_end(&j);

    socket->told = socket->f->seq;

    ngx_mesh_storage_feed_socket_frame(socket, WS_FRAME_TEXT,
                                       bytes_make(NULL, 0),
                                       bytes_writer_view(&w));
}


/* Asks whether the peer is there, when nothing came for a while. */
static void
ngx_mesh_storage_feed_socket_ping(ngx_mesh_storage_feed_socket_t *socket)
{
    ngx_msec_t  now;

    now = ngx_current_msec;

    if (socket->asked && (ngx_msec_int_t) (socket->heard - socket->pinged)
                         >= 0)
    {
        socket->asked = 0;
    }

    if (socket->asked) {

        if (now - socket->pinged >= NGX_MESH_STORAGE_FEED_SOCKET_PING) {
            ngx_log_error(NGX_LOG_INFO, socket->f->rest->r->connection->log,
                          0, "storage: a follower does not answer pings");
            ngx_mesh_storage_feed_socket_finish(socket);
            return;
        }

    } else if (now - socket->heard >= NGX_MESH_STORAGE_FEED_SOCKET_PING) {
        socket->asked = 1;
        socket->pinged = now;

        ngx_mesh_storage_feed_socket_frame(socket, WS_FRAME_PING,
                                           bytes_make(NULL, 0),
                                           bytes_make(NULL, 0));
    }

    (void) ngx_mesh_storage_feed_socket_flush(socket);
}


static void
ngx_mesh_storage_feed_socket_end(ngx_mesh_storage_follower_t *f,
    ngx_mesh_storage_feed_end_t why, ucan_verdict_t verdict)
{
    ngx_mesh_storage_feed_socket_t  *socket;

    socket = f->data;

    if (why == NGX_MESH_STORAGE_FEED_RESTART) {
        ngx_mesh_storage_feed_socket_fail(socket, WS_CLOSE_RESTART,
                                          "restart");

    } else {
        ngx_mesh_storage_feed_socket_fail(socket, WS_CLOSE_POLICY,
                                          ucan_verdict_slug(verdict));
    }

    (void) ngx_mesh_storage_feed_socket_flush(socket);
}


/* In. */

static void
ngx_mesh_storage_feed_socket_read_handler(ngx_http_request_t *r)
{
    ssize_t                          n;
    u_char                           buf[NGX_MESH_STORAGE_FEED_SOCKET_IN];
    ngx_buf_t                       *b;
    ngx_uint_t                       i;
    ngx_connection_t                *c;
    ngx_mesh_storage_rest_t         *rest;
    ngx_mesh_storage_follower_t     *f;
    ngx_mesh_storage_feed_socket_t  *socket;

    c = r->connection;
    rest = ngx_http_get_module_ctx(r, ngx_http_mesh_storage_module);
    f = rest->data;
    socket = f->data;

    b = r->header_in;

    if (b->pos < b->last) {
        n = b->last - b->pos;
        ngx_mesh_storage_feed_socket_parse(socket, bytes_make(b->pos, n));
        b->pos = b->last;
    }

    for (i = 0; !socket->failed && c->read->ready; i++) {

        if (i == NGX_MESH_STORAGE_FEED_SOCKET_READS) {
            ngx_post_event(c->read, &ngx_posted_next_events);
            break;
        }

        n = c->recv(c, buf, sizeof(buf));

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == 0 || n == NGX_ERROR) {
            ngx_mesh_storage_feed_socket_finish(socket);
            return;
        }

        socket->heard = ngx_current_msec;
        ngx_mesh_storage_feed_socket_parse(socket, bytes_make(buf, n));
    }

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        socket->failed = 1;
    }

    (void) ngx_mesh_storage_feed_socket_flush(socket);
}


static void
ngx_mesh_storage_feed_socket_parse(ngx_mesh_storage_feed_socket_t *socket,
    bytes_t in)
{
    u_char             *buf;
    ws_frame_rc_t       rc;
    ws_frame_parser_t  *p;

    p = &socket->parser;

    while (in.len != 0 && !socket->failed) {

        rc = ws_frame_parse(p, &in);

        if (rc == WS_FRAME_MESSAGE) {
            ngx_mesh_storage_feed_socket_message(socket);
            ws_frame_taken(p);

        } else if (rc == WS_FRAME_CONTROL) {
            ngx_mesh_storage_feed_socket_control(socket);

        } else if (rc == WS_FRAME_FAILED) {
            ngx_mesh_storage_feed_socket_fail(socket, p->close_code,
                                         "the frame breaks the protocol");
            return;

        } else if (p->need != 0) {

            /* once: as much as any message may have */

            buf = ngx_palloc(socket->f->rest->r->pool,
                             NGX_MESH_STORAGE_FEED_SOCKET_TEXT);

            if (buf == NULL || p->need > NGX_MESH_STORAGE_FEED_SOCKET_TEXT) {
                socket->failed = 1;
                return;
            }

            ws_frame_buffer_set(p, buf, NGX_MESH_STORAGE_FEED_SOCKET_TEXT);
        }
    }
}


static void
ngx_mesh_storage_feed_socket_message(ngx_mesh_storage_feed_socket_t *socket)
{
    bytes_t            text;
    json_scan_t        object, type;
    ws_frame_parser_t *p;

    p = &socket->parser;
    text = p->message;

    if (p->type != WS_FRAME_TEXT) {
        ngx_mesh_storage_feed_socket_fail(socket, WS_CLOSE_UNSUPPORTED,
                                          "text frames only");
        return;
    }

    if (json_scan_validate(text, NULL) != JSON_SCAN_OK
        || json_scan_open(text, &object) != 0
        || object.type != JSON_SCAN_OBJECT
        || json_scan_find(&object, "type", &type) != 0
        || !json_scan_equal(&type, "ping"))
    {
        ngx_mesh_storage_feed_socket_fail(socket, WS_CLOSE_POLICY,
                                          "a feed takes nothing but a ping");
        return;
    }

    if (!ngx_mesh_storage_feed_socket_owes(socket)) {
        ngx_mesh_storage_feed_socket_frame(socket, WS_FRAME_TEXT,
                                           bytes_make(NULL, 0),
                                       bytes_of("{\"type\":\"pong\"}"));
    }
}


/* 1: the client asks, and does not read the answers. */
static ngx_uint_t
ngx_mesh_storage_feed_socket_owes(
    const ngx_mesh_storage_feed_socket_t *socket)
{
    return socket->len - socket->sent
           > NGX_MESH_STORAGE_FEED_BYTES + NGX_MESH_STORAGE_FEED_SOCKET_OWED;
}


static void
ngx_mesh_storage_feed_socket_control(ngx_mesh_storage_feed_socket_t *socket)
{
    ws_frame_parser_t  *p;

    p = &socket->parser;

    if (p->type == WS_FRAME_CLOSE) {
        socket->closed = 1;

        /* section 5.5.1: the answer has the same code */

        ngx_mesh_storage_feed_socket_fail(socket, p->close_code, "");

    } else if (p->type == WS_FRAME_PING
               && !ngx_mesh_storage_feed_socket_owes(socket))
    {
        ngx_mesh_storage_feed_socket_frame(socket, WS_FRAME_PONG,
                                           bytes_make(NULL, 0), p->message);
    }
}


/* Out. */

static void
ngx_mesh_storage_feed_socket_write_handler(ngx_http_request_t *r)
{
    ngx_mesh_storage_rest_t      *rest;
    ngx_mesh_storage_follower_t  *f;

    rest = ngx_http_get_module_ctx(r, ngx_http_mesh_storage_module);
    f = rest->data;

    if (ngx_mesh_storage_feed_socket_flush(f->data) == NGX_OK) {
        ngx_mesh_storage_feed_resume(f);
    }
}


/* Queues a frame of both parts. */
static void
ngx_mesh_storage_feed_socket_frame(ngx_mesh_storage_feed_socket_t *socket,
    ws_frame_opcode_t opcode, bytes_t head, bytes_t payload)
{
    size_t          len;
    bytes_writer_t  w;

    if (socket->closing || socket->failed) {
        return;
    }

    len = head.len + payload.len;

    if (ngx_mesh_storage_feed_socket_room(socket, ws_frame_head_len(len)
                                                  + len)
        != NGX_OK)
    {
        socket->failed = 1;
        return;
    }

    bytes_writer_open(&w, socket->out + socket->len,
                      socket->size - socket->len);
    ws_frame_head_write(&w, opcode, len);
    bytes_writer_bytes(&w, head);
    bytes_writer_bytes(&w, payload);

    socket->len += bytes_writer_view(&w).len;
}


/* Closes behind what is queued; section 7.1.1. */
static void
ngx_mesh_storage_feed_socket_fail(ngx_mesh_storage_feed_socket_t *socket,
    uint16_t code, const char *reason)
{
    bytes_writer_t  w;

    if (socket->closing || socket->failed) {
        return;
    }

    socket->closing = 1;
    socket->deadline = ngx_current_msec + NGX_MESH_STORAGE_FEED_SOCKET_LINGER;

    ngx_mesh_storage_feed_stop(socket->f);

    if (ngx_mesh_storage_feed_socket_room(socket, WS_FRAME_CONTROL_MAX
                                                  + WS_FRAME_HEAD_MAX)
        != NGX_OK)
    {
        socket->failed = 1;
        return;
    }

    bytes_writer_open(&w, socket->out + socket->len,
                      socket->size - socket->len);
    ws_frame_close_write(&w, code, bytes_of(reason));

    socket->len += bytes_writer_view(&w).len;
}


/* Room for len more bytes. */
static ngx_int_t
ngx_mesh_storage_feed_socket_room(ngx_mesh_storage_feed_socket_t *socket,
    size_t len)
{
    size_t   size;
    u_char  *out;

    if (socket->size - socket->len >= len) {
        return NGX_OK;
    }

    size = ngx_max(socket->len - socket->sent + len,
                   NGX_MESH_STORAGE_FEED_SOCKET_IN);
    size = ngx_max(size, ngx_min(2 * socket->size,
                                 2 * NGX_MESH_STORAGE_FEED_BYTES));

    out = ngx_alloc(size, socket->f->rest->r->connection->log);

    if (out == NULL) {
        return NGX_ERROR;
    }

    if (socket->out != NULL) {
        ngx_memcpy(out, socket->out + socket->sent,
                   socket->len - socket->sent);
        ngx_free(socket->out);
    }

    socket->out = out;
    socket->size = size;
    socket->len -= socket->sent;
    socket->sent = 0;

    return NGX_OK;
}


/* NGX_OK: all is out; NGX_AGAIN; NGX_DONE: it is over, the socket has gone. */
static ngx_int_t
ngx_mesh_storage_feed_socket_flush(ngx_mesh_storage_feed_socket_t *socket)
{
    ngx_int_t  rc;

    rc = socket->failed ? NGX_ERROR
                        : ngx_mesh_storage_feed_socket_send(socket);

    if (rc == NGX_ERROR
        || (rc == NGX_OK && socket->closing && socket->closed))
    {
        ngx_mesh_storage_feed_socket_finish(socket);
        return NGX_DONE;
    }

    return rc;
}


static ngx_int_t
ngx_mesh_storage_feed_socket_send(ngx_mesh_storage_feed_socket_t *socket)
{
    ngx_buf_t            b;
    ngx_chain_t          link, *rest;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = socket->f->rest->r;
    c = r->connection;

    /* the 101 is nginx's to send */

    if (r->out != NULL) {

        if (ngx_http_output_filter(r, NULL) == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (r->out != NULL) {
            return ngx_handle_write_event(c->write, 0) == NGX_OK ? NGX_AGAIN
                                                                 : NGX_ERROR;
        }
    }

    while ((socket->sent != socket->len || c->buffered) && c->write->ready) {

        ngx_memzero(&b, sizeof(ngx_buf_t));
        b.memory = 1;
        b.flush = 1;
        b.pos = socket->out + socket->sent;
        b.last = socket->out + socket->len;

        link.buf = &b;
        link.next = NULL;

        rest = c->send_chain(c, socket->sent != socket->len ? &link : NULL,
                             0);

        if (rest == NGX_CHAIN_ERROR) {
            return NGX_ERROR;
        }

        if (b.pos != socket->out + socket->sent) {
            socket->sent = b.pos - socket->out;
            socket->wrote = ngx_current_msec;
        }

        if (rest != NULL) {
            break;
        }
    }

    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    if (socket->sent != socket->len || c->buffered) {
        return NGX_AGAIN;
    }

    if (socket->out != NULL) {
        ngx_free(socket->out);
        socket->out = NULL;
        socket->size = 0;
        socket->len = 0;
        socket->sent = 0;
    }

    return NGX_OK;
}


static void
ngx_mesh_storage_feed_socket_finish(ngx_mesh_storage_feed_socket_t *socket)
{
    socket->failed = 1;
    ngx_mesh_storage_feed_stop(socket->f);

    ngx_mesh_storage_rest_resume(socket->f->rest, NGX_ERROR);
}


/* With the pool: nothing of nginx looks at it any more. */
static void
ngx_mesh_storage_feed_socket_cleanup(void *data)
{
    ngx_mesh_storage_feed_socket_t  *socket = data;

    if (socket->out != NULL) {
        ngx_free(socket->out);
    }
}
