/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The store: what an adapter promises, whatever the engine.
 *
 * Items live at (namespace, key).  Entries are appended to a namespace and
 * take its next seq, without holes.  A request of operations is all or
 * nothing.  A write is done when it is on disk.
 *
 * Threads: submit from one thread (the event loop of a worker); the adapter
 * writes in a thread of its own and calls "notify" from there, after which
 * the loop takes finished requests by take().  Reads block the caller:
 * they run in pool threads, any number at once up to readers_max.
 */


#ifndef _STORE_H_INCLUDED_
#define _STORE_H_INCLUDED_


#include "bytes.h"


#define STORE_NS_MAX        64        /* bytes */
#define STORE_KEY_MAX       512       /* bytes */
#define STORE_VALUE_MAX     1048576   /* bytes */
#define STORE_OPS_MAX       64        /* operations in a request */
#define STORE_READS_MAX     16        /* reads in a request */
#define STORE_LIMIT_MAX     1000      /* items a read may give */
#define STORE_ROWS_BYTES_MAX  (8 * 1024 * 1024)   /* of one read request */


typedef enum {
    STORE_OK = 0,
    STORE_EXISTS,                 /* APPEND: dedupe key known, see result */
    STORE_CONDITION,              /* a condition did not hold */
    STORE_ABSENT,                 /* GET: no such item */
    STORE_BUSY,                   /* queue full or lock not had in time */
    STORE_FULL,                   /* disk full */
    STORE_FAILED,                 /* engine error, logged by the adapter */
    STORE_INVALID                 /* beyond a limit above */
} store_rc_t;


typedef enum {
    STORE_PUT = 0,
    STORE_DELETE,
    STORE_CHECK,                  /* condition only */
    STORE_APPEND,                 /* entry; key: its id; an id that is taken
                                     in ns: STORE_CONDITION */
    STORE_DROP                    /* everything in ns; a namespace that is
                                     dropped and used again starts empty */
} store_op_kind_t;


typedef enum {
    STORE_ANY = 0,
    STORE_IF_ABSENT,
    STORE_IF_PRESENT,
    STORE_IF_SEQ                  /* item was last changed at if_seq */
} store_condition_t;


typedef struct {
    store_op_kind_t    kind;
    store_condition_t  condition;
    bytes_t            ns;
    bytes_t            key;       /* APPEND: the entry's id */
    bytes_t            value;
    bytes_t            dedupe;    /* APPEND: unique in ns; empty: none */
    uint64_t           if_seq;
    int64_t            expires_ms;   /* 0: never */
} store_op_t;


typedef struct {
    store_rc_t  rc;
    uint64_t    seq;              /* PUT, DELETE, APPEND; EXISTS: stored */
    bytes_t     key;              /* EXISTS: id of the stored entry */
    bytes_t     value;            /* EXISTS: its value; owned by request */
} store_result_t;


typedef struct store_request_s  store_request_t;

/* Of an operation that is not applied, or whose request failed, rc is that of
   the request; only the failed CHECK, PUT or DELETE gives the seq that it met
   (0: absent).  A DELETE of what is absent is STORE_OK with seq 0.  Items and
   entries of a namespace count apart; both counters go on after a DROP. */

/* One write.  Owned by the submitter until submitted, by the store until it
   comes out of take(), then by the submitter again.  What ops point to
   must stay.  results[] belongs to the submitter too; values in it are
   released by store_request_release(). */
struct store_request_s {
    store_op_t       *ops;
    store_result_t   *results;    /* [count] */
    size_t            count;
    store_rc_t        rc;         /* of the whole: STORE_OK, or the first
                                     that failed; EXISTS counts as OK */
    size_t            failed;     /* index of the operation that failed */
    void             *data;       /* the submitter's */
    store_request_t  *next;       /* the store's */
};


typedef enum {
    STORE_GET = 0,
    STORE_RANGE,                  /* items whose key starts with key */
    STORE_FEED,                   /* entries of ns */
    STORE_HEAD                    /* last seq of ns (entries) */
} store_read_kind_t;


typedef struct {
    store_read_kind_t  kind;
    bytes_t            ns;
    bytes_t            key;       /* GET: key; RANGE: prefix; FEED: when not
                                     empty, the entry with that id only */
    bytes_t            after_key; /* RANGE: only keys past this one */
    uint64_t           after;     /* FEED: seq > after */
    uint64_t           before;    /* FEED: seq < before; 0: no bound */
    size_t             limit;     /* RANGE, FEED */
    int                reverse;   /* RANGE, FEED: highest first */
} store_read_t;


typedef struct {
    bytes_t   key;                /* item key or entry id */
    bytes_t   value;
    uint64_t  seq;
    int64_t   at_ms;              /* when written */
} store_row_t;


typedef struct {
    store_rc_t    rc;
    store_row_t  *rows;           /* GET: one row */
    size_t        count;
    uint64_t      head;           /* last seq of ns (HEAD and FEED) */
    int           more;           /* limit, or STORE_ROWS_BYTES_MAX, cut it;
                                     a read gives one row at least */
} store_rows_t;


typedef struct {
    const char  *path;            /* database file */
    size_t       readers_max;
    size_t       queue_max;       /* requests waiting, then STORE_BUSY */
    size_t       cache_bytes;     /* a connection */
    int          durable;         /* 1: synchronous=FULL (the default) */
    int          migrate;         /* 1: may migrate and check (a worker) */

    /* from any thread: one line for the operator, no newline */
    void       (*log)(void *data, int error, const char *text);

    /* from the writer thread: something can be taken */
    void       (*notify)(void *data);
    void        *data;
} store_config_t;


typedef struct {
    const char  *adapter;         /* "sqlite" */
    const char  *version;         /* of the engine */
    uint64_t     wal_bytes;
    uint64_t     queue;           /* requests waiting */
    uint64_t     commits;
    uint64_t     writes;          /* requests committed */
    int          failed;          /* the last commit failed */
} store_health_t;


typedef struct store_s  store_t;


/* The adapter's table. */
typedef struct {
    const char  *name;
    store_t   *(*open)(const store_config_t *config, char *error,
                       size_t error_size);
    store_rc_t (*submit)(store_t *store, store_request_t *request);
    store_request_t *(*take)(store_t *store);   /* list by next, or NULL */

    /* STORE_OK: each rows[i].rc is STORE_OK or, of a GET, STORE_ABSENT, and
       rows are to be released; else nothing was read, nothing is held */
    store_rc_t (*read)(store_t *store, const store_read_t *reads,
                       store_rows_t *rows, size_t count);
    void       (*health)(store_t *store, store_health_t *health);

    /* drains the queue, with a time limit: then all requests are finished
       and the submitter's, also those that take() did not give */
    void       (*close)(store_t *store);
} store_adapter_t;


extern const store_adapter_t  store_sqlite;


/* Frees what results[] of a finished request hold. */
void store_request_release(store_request_t *request);

/* Frees the rows of a read, [count] results. */
void store_rows_release(store_rows_t *rows, size_t count);

/* Refuses a request beyond the limits: STORE_OK or STORE_INVALID. */
store_rc_t store_request_check(const store_request_t *request);

/* The same for [count] reads. */
store_rc_t store_reads_check(const store_read_t *reads, size_t count);


#endif /* _STORE_H_INCLUDED_ */
