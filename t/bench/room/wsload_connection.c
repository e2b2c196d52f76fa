/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Connections: non-blocking sockets on one epoll.  A member or a publisher
 * over WebSocket shakes hands (RFC 6455, section 4.1) with the key of the
 * RFC's example, says its hello and is ready at once or when the frame comes
 * that says so.  Frames of a server are whole and not masked here; one that
 * is in pieces counts as broken.
 */


#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wsload.h"


#define KEY         "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT      "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

#define EVENTS      512
#define INPUT_SIZE  262144
#define READS       4             /* recv() of one event */
#define HEAD_MAX    8192          /* bytes of a response's head */
#define FRAME_MAX   (1 << 30)


typedef struct {
    uint8_t         first;
    int             opcode;
    const uint8_t  *data;
    size_t          len;
} frame_t;


static void serve(wsload_t *w, wsload_connection_t *c, uint32_t events);
static void serve_connected(wsload_t *w, wsload_connection_t *c,
    uint32_t events);
static void send_handshake(wsload_t *w, wsload_connection_t *c);
static void read_input(wsload_t *w, wsload_connection_t *c);
static long consume(wsload_t *w, wsload_connection_t *c, const uint8_t *data,
    size_t len);
static long read_handshake(wsload_t *w, wsload_connection_t *c,
    const uint8_t *data, size_t len);
static long read_frames(wsload_t *w, wsload_connection_t *c,
    const uint8_t *data, size_t len);
static int read_frame(wsload_connection_t *c, frame_t *frame,
    const uint8_t *data, size_t len);
static int take_frame(wsload_t *w, wsload_connection_t *c,
    const frame_t *frame);
static void take_text(wsload_t *w, wsload_connection_t *c,
    const uint8_t *data, size_t len);
static long read_replies(wsload_t *w, wsload_connection_t *c,
    const uint8_t *data, size_t len);
static long body_len(const char *head, const uint8_t *body, size_t len);
static void keep(wsload_connection_t *c, const uint8_t *rest, size_t len);
static void end(wsload_t *w, wsload_connection_t *c);
static void make_ready(wsload_t *w, wsload_connection_t *c);
static void watch(wsload_t *w, wsload_connection_t *c, int operation,
    uint32_t events);
static void flush(wsload_t *w, wsload_connection_t *c);


void
wsload_connection_open(wsload_t *w, wsload_connection_t *c)
{
    int  one;

    one = 1;

    c->fd = socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);

    if (c->fd < 0) {
        wsload_fail("socket: %s (is \"ulimit -n\" too low?)",
                    strerror(errno));
    }

    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

    c->state = WSLOAD_CONNECTING;
    c->started = wsload_now();
    w->pending++;

    watch(w, c, EPOLL_CTL_ADD, EPOLLIN|EPOLLOUT);

    if (connect(c->fd, (const struct sockaddr *) &c->target->address,
                sizeof(struct sockaddr_in))
        != 0
        && errno != EINPROGRESS)
    {
        wsload_connection_close(w, c);
    }
}


void
wsload_connection_close(wsload_t *w, wsload_connection_t *c)
{
    if (c->state == WSLOAD_CLOSED) {
        return;
    }

    if (c->state == WSLOAD_OPEN) {
        w->counts.ended++;

    } else {
        w->counts.failed++;
        w->pending--;
    }

    end(w, c);
}


/* Without a count: a publisher whose server ends a connection in order. */
static void
end(wsload_t *w, wsload_connection_t *c)
{
    c->state = WSLOAD_CLOSED;
    close(c->fd);

    free(c->in.data);
    free(c->out.data);

    memset(&c->in, 0, sizeof(wsload_buffer_t));
    memset(&c->out, 0, sizeof(wsload_buffer_t));

    if (c->kind == WSLOAD_HTTP && w->running) {

        if (c->busy) {
            c->busy = 0;
            w->counts.refused++;
        }

        wsload_connection_open(w, c);
    }
}


void
wsload_connection_poll(wsload_t *w, int ms)
{
    int                 i, n;
    struct epoll_event  events[EVENTS];

    n = epoll_wait(w->epoll, events, EVENTS, ms);

    for (i = 0; i < n; i++) {
        serve(w, events[i].data.ptr, events[i].events);
    }
}


static void
serve(wsload_t *w, wsload_connection_t *c, uint32_t events)
{
    if (c->state == WSLOAD_CLOSED) {
        return;
    }

    if (c->state == WSLOAD_CONNECTING) {
        serve_connected(w, c, events);
        return;
    }

    if ((events & EPOLLOUT) && c->out.len != 0) {
        flush(w, c);
    }

    if (c->state != WSLOAD_CLOSED
        && (events & (EPOLLIN|EPOLLHUP|EPOLLERR)))
    {
        read_input(w, c);
    }
}


static void
serve_connected(wsload_t *w, wsload_connection_t *c, uint32_t events)
{
    int        error;
    socklen_t  len;

    len = sizeof(error);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0
        || error != 0 || (events & (EPOLLERR|EPOLLHUP)))
    {
        wsload_connection_close(w, c);
        return;
    }

    if (!(events & EPOLLOUT)) {
        return;
    }

    watch(w, c, EPOLL_CTL_MOD, EPOLLIN);

    if (c->kind == WSLOAD_HTTP) {
        c->state = WSLOAD_OPEN;
        w->pending--;
        make_ready(w, c);
        return;
    }

    send_handshake(w, c);
}


static void
send_handshake(wsload_t *w, wsload_connection_t *c)
{
    int                    i;
    size_t                 n;
    static char            request[WSLOAD_REQUEST_MAX], path[1024];
    wsload_place_t         place;
    const wsload_target_t *target;

    target = c->target;

    memset(&place, 0, sizeof(wsload_place_t));
    place.room = c->room;
    place.connection = c->id;

    wsload_expand(w, path, sizeof(path), target->path, &place);

    n = (size_t) snprintf(request, sizeof(request),
                          "GET %s HTTP/1.1\r\nHost: %s\r\n"
                          "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: " KEY "\r\n", path,
                          target->host);

    for (i = 0; i < target->headers.count; i++) {
        n += wsload_expand(w, request + n, sizeof(request) - n,
                           target->headers.text[i], &place);
        n += wsload_expand(w, request + n, sizeof(request) - n, "\r\n",
                           &place);
    }

    n += wsload_expand(w, request + n, sizeof(request) - n, "\r\n", &place);

    c->state = WSLOAD_HANDSHAKE;
    wsload_connection_send(w, c, request, n);
}


/* In. */

static void
read_input(wsload_t *w, wsload_connection_t *c)
{
    int       i;
    long      used;
    size_t    have, size;
    ssize_t   n;
    uint8_t  *data;

    if (w->input == NULL) {
        w->input = wsload_alloc(1, INPUT_SIZE);
    }

    for (i = 0; i < READS; i++) {

        have = c->in.len;
        data = w->input;
        size = INPUT_SIZE;

        if (have != 0) {
            wsload_reserve(&c->in, c->need > have + 4096 ? c->need - have
                                                         : 16384);
            data = c->in.data;
            size = c->in.size;
        }

        n = recv(c->fd, data + have, size - have, 0);

        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }

        if (n <= 0) {
            wsload_connection_close(w, c);
            return;
        }

        used = consume(w, c, data, have + (size_t) n);

        if (used < 0) {
            wsload_connection_close(w, c);
            return;
        }

        /* a publisher that was told to, has closed and opened again */

        if (c->state == WSLOAD_CONNECTING || c->state == WSLOAD_CLOSED) {
            return;
        }

        keep(c, data + used, have + (size_t) n - (size_t) used);

        if ((size_t) n < size - have) {
            return;
        }
    }
}


/* The bytes that were used up, or -1: the connection is of no use. */
static long
consume(wsload_t *w, wsload_connection_t *c, const uint8_t *data, size_t len)
{
    long  head, rest;

    head = 0;

    if (c->state == WSLOAD_HANDSHAKE) {

        head = read_handshake(w, c, data, len);

        if (head <= 0) {
            return head;
        }
    }

    rest = (c->kind == WSLOAD_HTTP)
           ? read_replies(w, c, data + head, len - (size_t) head)
           : read_frames(w, c, data + head, len - (size_t) head);

    return (rest < 0) ? -1 : head + rest;
}


static long
read_handshake(wsload_t *w, wsload_connection_t *c, const uint8_t *data,
    size_t len)
{
    int              i;
    char             head[HEAD_MAX];
    size_t           n;
    const uint8_t   *p;
    static char      hello[WSLOAD_REQUEST_MAX];
    static int       shown;
    wsload_place_t   place;

    p = memmem(data, len, "\r\n\r\n", 4);

    if (p == NULL) {
        return (len < HEAD_MAX) ? 0 : -1;
    }

    n = (size_t) (p - data) + 4;

    if (n >= sizeof(head)) {
        return -1;
    }

    memcpy(head, data, n);
    head[n] = '\0';

    if (strncmp(head, "HTTP/1.1 101", 12) != 0
        || strstr(head, ACCEPT) == NULL)
    {
        if (shown++ < 3) {
            fprintf(stderr, "wsload: no handshake: %.300s\n", head);
        }

        return -1;
    }

    c->state = WSLOAD_OPEN;
    w->pending--;
    w->counts.opened++;
    wsload_histogram_add(&w->opening, wsload_now() - c->started);

    memset(&place, 0, sizeof(wsload_place_t));
    place.room = c->room;
    place.connection = c->id;

    for (i = 0; i < c->target->hello.count; i++) {
        wsload_connection_send_frame(w, c, 1, hello,
                                     wsload_expand(w, hello, sizeof(hello),
                                                   c->target->hello.text[i],
                                                   &place));
    }

    if (c->target->ready == NULL) {
        make_ready(w, c);
    }

    return (long) n;
}


static long
read_frames(wsload_t *w, wsload_connection_t *c, const uint8_t *data,
    size_t len)
{
    int      n;
    size_t   used;
    frame_t  frame;

    used = 0;
    c->need = 0;

    for ( ;; ) {

        n = read_frame(c, &frame, data + used, len - used);

        if (n == 0) {
            return (long) used;
        }

        if (n < 0) {
            w->counts.broken++;
            return -1;
        }

        if (take_frame(w, c, &frame) != 0) {
            return -1;
        }

        used += (size_t) n + frame.len;
    }
}


/* Bytes of the head; 0: the frame is not whole; -1: no frame can be so. */
static int
read_frame(wsload_connection_t *c, frame_t *frame, const uint8_t *data,
    size_t len)
{
    int       i, head;
    uint64_t  n;

    if (len < 2) {
        return 0;
    }

    n = data[1] & 0x7f;
    head = (n == 127) ? 10 : (n == 126) ? 4 : 2;

    if (len < (size_t) head) {
        return 0;
    }

    if (head != 2) {
        for (i = 2, n = 0; i < head; i++) {
            n = n << 8 | data[i];
        }
    }

    /* a server must not mask (section 5.1) */

    if ((data[1] & 0x80) || n > FRAME_MAX) {
        return -1;
    }

    if (len < (size_t) head + n) {
        c->need = (size_t) head + n;
        return 0;
    }

    frame->first = data[0];
    frame->opcode = data[0] & 0x0f;
    frame->data = data + head;
    frame->len = n;

    return head;
}


static int
take_frame(wsload_t *w, wsload_connection_t *c, const frame_t *frame)
{
    if ((frame->first & 0xf0) != 0x80) {
        w->counts.broken++;
        return -1;
    }

    switch (frame->opcode) {

    case 1:
    case 2:
        take_text(w, c, frame->data, frame->len);
        return 0;

    case 8:
        if (w->running) {
            fprintf(stderr, "wsload: closed by the server: %.*s\n",
                    frame->len > 2 ? (int) frame->len - 2 : 0,
                    (const char *) frame->data + 2);
        }

        return -1;

    case 9:
        wsload_connection_send_frame(w, c, 10, frame->data, frame->len);
        return 0;

    case 10:
        return 0;

    default:
        w->counts.broken++;
        return -1;
    }
}


static void
take_text(wsload_t *w, wsload_connection_t *c, const uint8_t *data,
    size_t len)
{
    const char  *ready;
    static int   shown;

    ready = c->target->ready;

    if (w->error != NULL
        && memmem(data, len, w->error, strlen(w->error)) != NULL)
    {
        w->counts.refused++;

        if (shown++ < 3) {
            fprintf(stderr, "wsload: refused: %.*s\n", (int) len,
                    (const char *) data);
        }

        return;
    }

    if (!c->ready) {

        if (memmem(data, len, ready, strlen(ready)) != NULL) {
            make_ready(w, c);
        }

        return;
    }

    if (c->kind == WSLOAD_MEMBER) {
        wsload_count_frame(w, c, data, len);

    } else {
        w->counts.acks++;
    }
}


static long
read_replies(wsload_t *w, wsload_connection_t *c, const uint8_t *data,
    size_t len)
{
    char            head[HEAD_MAX];
    long            body, status;
    size_t          n, used;
    const uint8_t  *p;
    static int      shown;

    used = 0;

    while (used < len) {

        p = memmem(data + used, len - used, "\r\n\r\n", 4);

        if (p == NULL) {
            break;
        }

        n = (size_t) (p - data) + 4 - used;

        if (n >= sizeof(head)) {
            return -1;
        }

        memcpy(head, data + used, n);
        head[n] = '\0';

        body = body_len(head, data + used + n, len - used - n);

        if (body < 0) {
            break;
        }

        used += n + (size_t) body;
        status = strtol(head + strlen("HTTP/1.1 "), NULL, 10);

        c->busy = 0;
        w->counts.acks++;

        if (status < 200 || status > 299) {
            w->counts.refused++;

            if (shown++ < 3) {
                fprintf(stderr, "wsload: refused: %.*s\n",
                        (int) (n + (size_t) body),
                        (const char *) data + used - n - (size_t) body);
            }
        }

        if (strcasestr(head, "\r\nconnection: close") != NULL) {
            end(w, c);
            break;
        }
    }

    return (long) used;
}


/* Bytes of a body that is here as a whole; -1: it is not. */
static long
body_len(const char *head, const uint8_t *body, size_t len)
{
    long            n;
    const char     *p;
    const uint8_t  *last;

    if (strcasestr(head, "\r\ntransfer-encoding: chunked") != NULL) {

        if (len >= 5 && memcmp(body, "0\r\n\r\n", 5) == 0) {
            return 5;
        }

        last = memmem(body, len, "\r\n0\r\n\r\n", 7);

        return (last != NULL) ? (long) (last - body) + 7 : -1;
    }

    p = strcasestr(head, "\r\ncontent-length:");
    n = (p != NULL) ? strtol(p + strlen("\r\ncontent-length:"), NULL, 10) : 0;

    return ((size_t) n <= len) ? n : -1;
}


/* What is not whole moves to the front of a buffer of its own. */
static void
keep(wsload_connection_t *c, const uint8_t *rest, size_t len)
{
    if (len == 0) {
        free(c->in.data);
        memset(&c->in, 0, sizeof(wsload_buffer_t));
        return;
    }

    if (c->in.data == NULL) {
        wsload_reserve(&c->in, len);
    }

    memmove(c->in.data, rest, len);
    c->in.len = len;
}


static void
make_ready(wsload_t *w, wsload_connection_t *c)
{
    if (!c->ready) {
        c->ready = 1;
        w->counts.ready++;
    }
}


/* Out. */

void
wsload_connection_send(wsload_t *w, wsload_connection_t *c, const void *data,
    size_t len)
{
    ssize_t  n;

    if (c->out.len == 0) {

        n = send(c->fd, data, len, MSG_NOSIGNAL);

        /* a broken connection shows when it is read */

        if (n == (ssize_t) len
            || (n < 0 && errno != EAGAIN && errno != EINTR))
        {
            return;
        }

        if (n > 0) {
            data = (const char *) data + n;
            len -= (size_t) n;
        }

        watch(w, c, EPOLL_CTL_MOD, EPOLLIN|EPOLLOUT);
    }

    wsload_reserve(&c->out, len);
    memcpy(c->out.data + c->out.len, data, len);
    c->out.len += len;
}


void
wsload_connection_send_frame(wsload_t *w, wsload_connection_t *c, int opcode,
    const void *data, size_t len)
{
    size_t                  i, head;
    uint8_t                *p, mask[4];
    static uint32_t         random = 0x9e3779b9;
    static wsload_buffer_t  frame;
    const uint8_t          *in = data;

    frame.len = 0;
    wsload_reserve(&frame, len + 14);

    p = frame.data;
    p[0] = (uint8_t) (0x80 | opcode);
    head = 2;

    if (len < 126) {
        p[1] = (uint8_t) (0x80 | len);

    } else {
        head = (len < 65536) ? 4 : 10;
        p[1] = (len < 65536) ? 0x80 | 126 : 0x80 | 127;

        for (i = 2; i < head; i++) {
            p[i] = (uint8_t) ((uint64_t) len >> (8 * (head - 1 - i)));
        }
    }

    random = random * 1664525u + 1013904223u;

    for (i = 0; i < 4; i++) {
        mask[i] = (uint8_t) (random >> (8 * i));
        p[head + i] = mask[i];
    }

    head += 4;

    for (i = 0; i < len; i++) {
        p[head + i] = in[i] ^ mask[i & 3];
    }

    wsload_connection_send(w, c, p, head + len);
}


static void
flush(wsload_t *w, wsload_connection_t *c)
{
    ssize_t  n;

    n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        wsload_connection_close(w, c);
        return;
    }

    if (n > 0) {
        c->out.len -= (size_t) n;
        memmove(c->out.data, c->out.data + n, c->out.len);
    }

    if (c->out.len == 0) {
        watch(w, c, EPOLL_CTL_MOD, EPOLLIN);
    }
}


static void
watch(wsload_t *w, wsload_connection_t *c, int operation, uint32_t events)
{
    struct epoll_event  event;

    memset(&event, 0, sizeof(struct epoll_event));

    event.events = events;
    event.data.ptr = c;

    if (epoll_ctl(w->epoll, operation, c->fd, &event) != 0) {
        wsload_fail("epoll_ctl: %s", strerror(errno));
    }
}
