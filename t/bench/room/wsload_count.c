/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Accounts for deliveries.  A payload says who published it, into which
 * room, as which of its messages, and when:
 *
 *     WSL1,publisher,room,seq,ns,xxxx...
 *
 * Each member keeps, for each publisher it hears, the seq that is to come and
 * which of the 64 before it have come.  All members of a room keep a hash of
 * everything in its order, by which they are compared.
 */


#include <string.h>

#include "wsload.h"


#define ORDER_SEED  1469598103934665603u
#define ORDER_STEP  1099511628211u
#define SPREAD      0x9e3779b97f4a7c15u
#define SEEN_MAX    64


typedef struct {
    uint64_t  publisher;
    uint64_t  room;
    uint64_t  seq;
    uint64_t  time;
} mark_t;


static const uint8_t *read_mark(mark_t *mark, const uint8_t *p,
    const uint8_t *end);
static void count_delivery(wsload_t *w, wsload_connection_t *c,
    const mark_t *mark, uint64_t now);
static int track(wsload_t *w, wsload_track_t *track, uint64_t seq);
static unsigned find_bucket(uint64_t ns);
static uint64_t bucket_end(unsigned i);


void
wsload_count_frame(wsload_t *w, wsload_connection_t *c, const uint8_t *data,
    size_t len)
{
    mark_t          mark;
    uint64_t        now;
    const uint8_t  *p, *end;

    p = memmem(data, len, WSLOAD_MARK, WSLOAD_MARK_LEN);

    if (p == NULL) {
        w->counts.others++;
        return;
    }

    w->counts.bytes += len;
    now = wsload_now();
    end = data + len;

    while (p != NULL) {
        p = read_mark(&mark, p + WSLOAD_MARK_LEN, end);
        count_delivery(w, c, &mark, now);
        p = memmem(p, (size_t) (end - p), WSLOAD_MARK, WSLOAD_MARK_LEN);
    }
}


static const uint8_t *
read_mark(mark_t *mark, const uint8_t *p, const uint8_t *end)
{
    int        i;
    uint64_t  *value[] = { &mark->publisher, &mark->room, &mark->seq,
                           &mark->time };

    for (i = 0; i < 4; i++) {

        *value[i] = 0;

        while (p < end && *p >= '0' && *p <= '9') {
            *value[i] = *value[i] * 10 + (*p++ - '0');
        }

        if (p < end) {
            p++;
        }
    }

    return p;
}


static void
count_delivery(wsload_t *w, wsload_connection_t *c, const mark_t *mark,
    uint64_t now)
{
    uint64_t  slot;

    slot = w->roaming ? mark->publisher
                      : mark->publisher / (uint64_t) w->rooms;

    if (mark->room != (uint64_t) c->room || slot >= (uint64_t) w->slots) {
        w->counts.misplaced++;
        return;
    }

    if (!track(w, &c->tracks[slot], mark->seq)) {
        w->counts.duplicates++;
        return;
    }

    if (c->order == 0) {
        c->order = ORDER_SEED;
    }

    c->order = (c->order ^ (mark->publisher * SPREAD + mark->seq))
               * ORDER_STEP;

    w->counts.received++;
    w->counts.last = now;

    wsload_histogram_add(&w->latency, now > mark->time ? now - mark->time
                                                       : 0);
}


/* 0: it has come before. */
static int
track(wsload_t *w, wsload_track_t *track, uint64_t seq)
{
    uint64_t  step;

    if (seq >= track->next) {
        step = seq - track->next + 1;

        track->seen = (step >= SEEN_MAX) ? 1 : (track->seen << step) | 1;
        track->next = seq + 1;

        return 1;
    }

    step = track->next - 1 - seq;

    if (step < SEEN_MAX) {

        if ((track->seen >> step) & 1) {
            return 0;
        }

        track->seen |= (uint64_t) 1 << step;
    }

    w->counts.reordered++;

    return 1;
}


uint64_t
wsload_count_divergent(const wsload_t *w)
{
    long                        i;
    uint64_t                    n;
    const wsload_connection_t  *c;

    n = 0;

    for (i = w->rooms; i < w->connections; i++) {
        c = &w->members[i];

        if (c->state == WSLOAD_OPEN && c->order != w->members[c->room].order)
        {
            n++;
        }
    }

    return n;
}


void
wsload_histogram_add(wsload_histogram_t *h, uint64_t ns)
{
    h->bucket[find_bucket(ns)]++;
    h->count++;

    if (ns > h->max) {
        h->max = ns;
    }
}


uint64_t
wsload_histogram_find(const wsload_histogram_t *h, double part)
{
    unsigned  i;
    uint64_t  below, n;

    below = (uint64_t) (part * (double) h->count);

    for (i = 0, n = 0; i < WSLOAD_HISTOGRAM; i++) {

        n += h->bucket[i];

        if (n > below) {
            return bucket_end(i) < h->max ? bucket_end(i) : h->max;
        }
    }

    return h->max;
}


/* 64 buckets to each power of two: 1.6 % wide. */
static unsigned
find_bucket(uint64_t ns)
{
    int  power;

    if (ns < 64) {
        return (unsigned) ns;
    }

    power = 63 - __builtin_clzll(ns);

    return (unsigned) (power - 5) * 64
           + (unsigned) ((ns >> (power - 6)) & 63);
}


static uint64_t
bucket_end(unsigned i)
{
    unsigned  power;

    if (i < 64) {
        return i;
    }

    power = i / 64 + 5;

    return ((uint64_t) (64 + i % 64 + 1) << (power - 6)) - 1;
}
