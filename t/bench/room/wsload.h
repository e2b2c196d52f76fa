/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * wsload: opens many WebSockets in many rooms of one server, publishes, and
 * accounts for every delivery.  README.md has the options.
 *
 *     wsload.c             options, phases, the report
 *     wsload_connection.c  sockets: handshakes, frames and replies
 *     wsload_publish.c     what is published, and when
 *     wsload_count.c       deliveries: lost, doubled, out of order; times
 *     wsload_cost.c     what the server's processes cost
 *
 * One thread, one epoll; a run that cannot be done ends the program.
 */


#ifndef _WSLOAD_H_INCLUDED_
#define _WSLOAD_H_INCLUDED_


#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>


#define WSLOAD_TEMPLATES_MAX  8
#define WSLOAD_PIDS_MAX       64
#define WSLOAD_REQUEST_MAX    65536      /* bytes of a request with headers */
#define WSLOAD_PAYLOAD_MIN    64         /* bytes: the mark has to fit */
#define WSLOAD_HISTOGRAM      4096       /* buckets: 64 to a power of two */

/* What opens the payload of every message that is published. */
#define WSLOAD_MARK           "WSL1,"
#define WSLOAD_MARK_LEN       5


typedef enum {
    WSLOAD_MEMBER = 0,                   /* a WebSocket that listens */
    WSLOAD_SOCKET,                       /* a WebSocket that publishes */
    WSLOAD_HTTP                          /* publishes by POST */
} wsload_kind_t;


typedef enum {
    WSLOAD_CLOSED = 0,
    WSLOAD_CONNECTING,
    WSLOAD_HANDSHAKE,
    WSLOAD_OPEN
} wsload_state_t;


typedef struct {
    const char          *text[WSLOAD_TEMPLATES_MAX];
    int                  count;
} wsload_templates_t;


/* The lines of a file; %r or %t picks one by number. */
typedef struct {
    char               **line;
    int                  count;
} wsload_lines_t;


/* Where a kind of connection goes, and what it says there first. */
typedef struct {
    struct sockaddr_in   address;
    char                 host[64];
    char                 path[512];      /* template */
    int                  is_http;
    wsload_templates_t   headers;
    wsload_templates_t   hello;
    const char          *ready;          /* in the frame that says: go on;
                                            NULL: at once */
} wsload_target_t;


typedef struct {
    uint8_t             *data;           /* owned */
    size_t               len;
    size_t               size;
} wsload_buffer_t;


/* What a member has had of one publisher. */
typedef struct {
    uint64_t             next;           /* the seq that is to come */
    uint64_t             seen;           /* bit n: next - 1 - n has come */
} wsload_track_t;


typedef struct {
    int                    fd;
    wsload_kind_t          kind;
    wsload_state_t         state;
    int                    id;           /* %c */
    int                    room;         /* %r */
    int                    ready;
    int                    busy;         /* waits for its reply */
    uint64_t               started;      /* ns */
    uint64_t               order;        /* hash of what came, in order */
    size_t                 need;         /* bytes of the frame at hand */
    wsload_buffer_t        in;           /* what is not whole yet */
    wsload_buffer_t        out;          /* what the socket did not take */
    const wsload_target_t *target;
    wsload_track_t        *tracks;       /* of a member; one a slot */
} wsload_connection_t;


typedef struct {
    uint64_t             bucket[WSLOAD_HISTOGRAM];
    uint64_t             count;
    uint64_t             max;
} wsload_histogram_t;


typedef struct {
    uint64_t             opened;
    uint64_t             failed;         /* did not open */
    uint64_t             ready;
    uint64_t             ended;          /* closed by the server */
    uint64_t             published;
    uint64_t             acks;           /* what publishers were answered */
    uint64_t             refused;        /* errors among that */
    uint64_t             expected;       /* deliveries */
    uint64_t             received;
    uint64_t             duplicates;
    uint64_t             reordered;
    uint64_t             misplaced;      /* of another room or publisher */
    uint64_t             broken;         /* frames that no server may send */
    uint64_t             others;         /* frames that are no deliveries */
    uint64_t             bytes;          /* payload of frames to members */
    uint64_t             last;           /* ns: newest delivery */
} wsload_counts_t;


/* Of all the processes that were named. */
typedef struct {
    double               cpu;            /* s, all threads */
    double               loop;           /* s, first thread of each */
    double               userland;       /* s, in ticks, all threads */
    double               kernel;
    uint64_t             switches;       /* of context, all threads */
    uint64_t             pss;            /* bytes */
    uint64_t             rss;
    uint64_t             dirty;          /* private and written to */
} wsload_cost_t;


typedef struct {

    /* options */

    wsload_target_t      url;            /* of members */
    wsload_target_t      pub;
    wsload_lines_t       rooms_named;    /* empty: by number */
    wsload_lines_t       tokens;
    const char          *message;        /* template around %p, or NULL */
    const char          *error;          /* in a frame that says no */
    const char          *name;
    long                 connections;
    long                 rooms;
    long                 publishers;
    long                 size;           /* bytes of a payload */
    long                 window;         /* messages under way */
    long                 concurrency;    /* connections being opened */
    long                 messages;
    long                 warmup;         /* messages before these */
    long                 rate;           /* messages a second; 0: window */
    long                 settle;         /* ms */
    long                 drain;          /* ms without a delivery: lost */
    long                 hold;           /* ms */
    long                 patience;       /* ms for all to open */
    long                 idle;           /* 1: publishes nothing */
    int                  pids[WSLOAD_PIDS_MAX];
    int                  pid_count;

    /* the run */

    int                  epoll;
    long                 pending;        /* connections being opened */
    int                  running;        /* publishers may reconnect */
    int                  roaming;        /* a publisher serves all rooms */
    long                 slots;          /* publishers that a member hears */
    wsload_connection_t *members;
    wsload_connection_t *speakers;       /* the publishers */
    uint64_t            *seqs;           /* next one of each stream */
    uint8_t             *input;          /* what recv() reads into */
    char                *payload;
    char                *text;           /* message around it */
    size_t               text_size;
    wsload_counts_t      counts;
    wsload_histogram_t   latency;        /* ns */
    wsload_histogram_t   opening;        /* ns */
} wsload_t;


/* What the letters of a template stand for: %r room (its name, if there are
   names), %d its number, %c connection, %t token (the first member of each
   room has the first one, and so on; publishers as members do), %n number of
   the message, %p payload. */
typedef struct {
    int                  room;
    int                  connection;
    uint64_t             message;
    const char          *payload;        /* may be NULL */
} wsload_place_t;


/* Writes a template out; ends the program when it does not fit.  Returns the
   length; dst is terminated. */
size_t wsload_expand(const wsload_t *w, char *dst, size_t size,
    const char *template, const wsload_place_t *place);

/* Says why, and ends the program with status 2. */
void wsload_fail(const char *format, ...)
    __attribute__((format(printf, 1, 2), noreturn));

/* Monotonic, ns. */
uint64_t wsload_now(void);

/* calloc() that does not return NULL. */
void *wsload_alloc(size_t count, size_t size);

/* Makes room for len more bytes behind those in the buffer. */
void wsload_reserve(wsload_buffer_t *buffer, size_t len);


/* Begins to connect; the outcome is c->state, and counts. */
void wsload_connection_open(wsload_t *w, wsload_connection_t *c);

/* Ends one; what was being opened counts as failed. */
void wsload_connection_close(wsload_t *w, wsload_connection_t *c);

/* Sends bytes, or keeps them until the socket takes them. */
void wsload_connection_send(wsload_t *w, wsload_connection_t *c,
    const void *data, size_t len);

/* The same as one masked text frame, or a pong. */
void wsload_connection_send_frame(wsload_t *w, wsload_connection_t *c,
    int opcode, const void *data, size_t len);

/* Waits for events, at most so many ms, and serves them. */
void wsload_connection_poll(wsload_t *w, int ms);


/* Opens the publishers and waits until they are ready. */
void wsload_publish_open(wsload_t *w);

/* Publishes so many messages by window or rate, and waits until all were
   delivered or nothing comes any more.  Returns ns from the first message to
   the last delivery. */
uint64_t wsload_publish_run(wsload_t *w, long messages);


/* A frame came to a member: finds the messages in it and counts them. */
void wsload_count_frame(wsload_t *w, wsload_connection_t *c,
    const uint8_t *data, size_t len);

/* Members that heard their room in another order than its first member. */
uint64_t wsload_count_divergent(const wsload_t *w);

/* Adds a time; finds the one that a part (0.5: the median) stays below. */
void wsload_histogram_add(wsload_histogram_t *h, uint64_t ns);
uint64_t wsload_histogram_find(const wsload_histogram_t *h, double part);


/* What the processes of the options have cost and hold by now. */
void wsload_cost_read(const wsload_t *w, wsload_cost_t *cost);


#endif /* _WSLOAD_H_INCLUDED_ */
