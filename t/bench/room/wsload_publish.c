/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Publishes.  By window: a message follows when fewer than so many are not
 * yet delivered to all members.  By rate: when its time has come, from which
 * its latency then counts.
 *
 * A WebSocket that publishes belongs to one room (publisher i to room i mod
 * rooms) and may have several messages under way; over HTTP, where publishers
 * go round the rooms, each waits for its reply.
 */


#include <stdio.h>
#include <string.h>

#include "wsload.h"


#define TURN_MESSAGES  64         /* between two looks at the sockets */
#define LINGER_NS      100000000  /* for what comes twice */
#define READY_NS       10000000000ULL
#define MS             1000000ULL


typedef struct {
    long      sent;               /* messages */
    uint64_t  start;              /* ns */
    uint64_t  expected;           /* deliveries before the phase */
    uint64_t  received;
    long      turn;               /* publisher that is asked first */
} phase_t;


static int publish_turn(wsload_t *w, phase_t *phase, long messages);
static int is_due(const wsload_t *w, const phase_t *phase, uint64_t *due);
static wsload_connection_t *find_speaker(wsload_t *w, phase_t *phase);
static void publish(wsload_t *w, wsload_connection_t *c, uint64_t time);
static void post(wsload_t *w, wsload_connection_t *c,
    const wsload_place_t *place, size_t len);
static long members_of(const wsload_t *w, int room);
static void wait_for_rest(wsload_t *w, const phase_t *phase);


void
wsload_publish_open(wsload_t *w)
{
    long                  i, ready;
    uint64_t              end;
    wsload_connection_t  *c;

    w->running = 1;

    for (i = 0; i < w->publishers; i++) {
        c = &w->speakers[i];

        c->id = (int) (w->connections + i);
        c->room = (int) (i % w->rooms);
        c->kind = w->pub.is_http ? WSLOAD_HTTP : WSLOAD_SOCKET;
        c->target = &w->pub;

        wsload_connection_open(w, c);
    }

    end = wsload_now() + READY_NS;

    do {
        wsload_connection_poll(w, 5);

        for (i = 0, ready = 0; i < w->publishers; i++) {
            ready += w->speakers[i].ready;
        }

        if (wsload_now() > end) {
            wsload_fail("%ld of %ld publishers are ready", ready,
                        w->publishers);
        }

    } while (ready < w->publishers);
}


uint64_t
wsload_publish_run(wsload_t *w, long messages)
{
    int       sent, ms;
    phase_t   phase;
    uint64_t  moved, received;

    memset(&phase, 0, sizeof(phase_t));

    phase.start = wsload_now();
    phase.expected = w->counts.expected;
    phase.received = w->counts.received;

    moved = phase.start;

    while (phase.sent < messages) {

        received = w->counts.received;
        sent = publish_turn(w, &phase, messages);
        ms = sent ? 0 : (w->rate != 0) ? 1 : 20;

        wsload_connection_poll(w, ms);

        if (sent || w->counts.received != received) {
            moved = wsload_now();

        } else if (wsload_now() - moved > (uint64_t) w->drain * MS) {
            break;
        }
    }

    wait_for_rest(w, &phase);

    return (w->counts.last > phase.start) ? w->counts.last - phase.start : 0;
}


/* Publishes what may be published now; returns how many. */
static int
publish_turn(wsload_t *w, phase_t *phase, long messages)
{
    int                   n;
    uint64_t              due;
    wsload_connection_t  *c;

    for (n = 0; n < TURN_MESSAGES && phase->sent < messages; n++) {

        if (!is_due(w, phase, &due)) {
            break;
        }

        c = find_speaker(w, phase);

        if (c == NULL) {
            break;
        }

        publish(w, c, due);
        phase->sent++;
    }

    return n;
}


static int
is_due(const wsload_t *w, const phase_t *phase, uint64_t *due)
{
    double    members;
    uint64_t  missing;

    *due = wsload_now();

    if (w->rate != 0) {
        members = 1e9 * (double) phase->sent / (double) w->rate;

        if (phase->start + (uint64_t) members > *due) {
            return 0;
        }

        *due = phase->start + (uint64_t) members;

        return 1;
    }

    members = (double) w->connections / (double) w->rooms;
    missing = w->counts.expected - phase->expected
              - (w->counts.received - phase->received);

    return (double) missing <= (double) (w->window - 1) * members;
}


/* One that is open and does not wait, in turn. */
static wsload_connection_t *
find_speaker(wsload_t *w, phase_t *phase)
{
    long                  i;
    wsload_connection_t  *c;

    for (i = 0; i < w->publishers; i++) {
        c = &w->speakers[(phase->turn + i) % w->publishers];

        if (c->state == WSLOAD_OPEN && !c->busy) {
            phase->turn = (phase->turn + i + 1) % w->publishers;
            return c;
        }
    }

    return NULL;
}


static void
publish(wsload_t *w, wsload_connection_t *c, uint64_t time)
{
    int             n;
    long            pub;
    size_t          len;
    uint64_t       *seq;
    wsload_place_t  place;

    pub = c - w->speakers;

    place.message = w->counts.published;
    place.connection = c->id;
    place.payload = w->payload;
    place.room = w->roaming ? (int) (place.message % (uint64_t) w->rooms)
                            : c->room;

    seq = &w->seqs[w->roaming ? pub * w->rooms + place.room : pub];

    n = snprintf(w->payload, (size_t) w->size + 1,
                 WSLOAD_MARK "%ld,%d,%llu,%llu,", pub, place.room,
                 (unsigned long long) *seq, (unsigned long long) time);

    if (n < w->size) {
        memset(w->payload + n, 'x', (size_t) (w->size - n));
    }

    w->payload[w->size] = '\0';

    len = wsload_expand(w, w->text, w->text_size,
                        (w->message != NULL) ? w->message : "%p", &place);

    (*seq)++;
    w->counts.published++;
    w->counts.expected += (uint64_t) members_of(w, place.room);

    if (c->kind == WSLOAD_HTTP) {
        post(w, c, &place, len);

    } else {
        wsload_connection_send_frame(w, c, 1, w->text, len);
    }
}


/* The request in one piece, with the text as its body. */
static void
post(wsload_t *w, wsload_connection_t *c, const wsload_place_t *place,
    size_t len)
{
    int          i;
    size_t       n;
    static char  request[WSLOAD_REQUEST_MAX], path[1024];

    wsload_expand(w, path, sizeof(path), c->target->path, place);

    n = (size_t) snprintf(request, sizeof(request),
                          "POST %s HTTP/1.1\r\nHost: %s\r\n"
                          "Content-Length: %zu\r\n", path, c->target->host,
                          len);

    for (i = 0; i < c->target->headers.count; i++) {
        n += wsload_expand(w, request + n, sizeof(request) - n,
                           c->target->headers.text[i], place);
        n += wsload_expand(w, request + n, sizeof(request) - n, "\r\n",
                           place);
    }

    n += wsload_expand(w, request + n, sizeof(request) - n, "\r\n", place);

    if (len >= sizeof(request) - n) {
        wsload_fail("a request does not fit");
    }

    memcpy(request + n, w->text, len);

    c->busy = 1;
    wsload_connection_send(w, c, request, n + len);
}


static long
members_of(const wsload_t *w, int room)
{
    return w->connections / w->rooms + (room < w->connections % w->rooms);
}


static void
wait_for_rest(wsload_t *w, const phase_t *phase)
{
    uint64_t  moved, received, end;

    moved = wsload_now();

    while (w->counts.received - phase->received
           < w->counts.expected - phase->expected)
    {
        received = w->counts.received;

        wsload_connection_poll(w, 5);

        if (w->counts.received != received) {
            moved = wsload_now();

        } else if (wsload_now() - moved > (uint64_t) w->drain * MS) {
            break;
        }
    }

    end = wsload_now() + LINGER_NS;

    while (wsload_now() < end) {
        wsload_connection_poll(w, 5);
    }
}
