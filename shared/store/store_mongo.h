/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The MongoDB adapter, inside: what its files share.
 *
 *     store_mongo.c           open, threads that write, health, close
 *     store_mongo_pool.c      connections, transactions, what failures mean
 *     store_mongo_document.c  keys and documents
 *     store_mongo_overlay.c   what one transaction has read and will write
 *     store_mongo_apply.c     what operations do to it
 *     store_mongo_batch.c     load, apply, write, commit; tries again
 *     store_mongo_reader.c    reads
 *     store_mongo_sweep.c     what has expired, aged or was dropped
 *     store_mongo_breaker.c   answers at once while the server is away
 *     store_mongo_backup.c    a file of one moment, and back
 *
 * Collections of the database; <id> is 16 hex digits, <seq> too:
 *
 *     namespace  "<generation><name>"  id, counters, account; a namespace
 *                                      that was only counted in has no id
 *                "store"               which generation is the present one
 *     item       "<id><key>"           s seq, a at, x expires, n size,
 *                                      w weight, l logged, m meta, v value
 *     entry      "<id><seq>"           i "<id><entry id>", d "<id><dedupe>"
 *     change     "<id><seq>"           k key, o what, a at, n note
 *     dropped    "<id>"                belongs to nobody since a
 *     lease      "sweep"               who sweeps, until when
 *
 * Rules that keep data whole, and where they are held:
 *
 * 1. What a request saw and what it writes is one transaction (snapshot, then
 *    majority and journal), and the document of each namespace that it looked
 *    at is written too: two that meet cannot both commit.
 *    store_mongo_batch.c.
 * 2. Ids of namespaces are random and never used again: a dropped namespace
 *    and a replaced generation are gone with one document, and swept later,
 *    STORE_MONGO_GRACE_MS after the last reader can have known the id.
 * 3. A request is answered as written after the commit was, by a majority;
 *    STORE_UNKNOWN when that is not known, anything else: not written.
 * 4. Nothing here crosses a fork(); the address of the server is a secret.
 */


#ifndef _STORE_MONGO_H_INCLUDED_
#define _STORE_MONGO_H_INCLUDED_


#ifdef STORE_HAVE_MONGO

#ifndef _GNU_SOURCE
#define _GNU_SOURCE                            /* asprintf() */
#endif

#include <mongoc/mongoc.h>
#include <pthread.h>

#include "store.h"


#define STORE_MONGO_BATCH_OPS     256          /* operations in a commit */
#define STORE_MONGO_BATCH_BYTES   (4 * 1024 * 1024)
#define STORE_MONGO_BATCH_MS      5000         /* tries of one batch */
#define STORE_MONGO_BACKOFF_MS    40           /* longest, between tries */

#define STORE_MONGO_SELECT_MS     2000         /* to find a primary */
#define STORE_MONGO_SOCKET_MS     5000         /* one answer */
#define STORE_MONGO_COMMIT_MS     4000         /* a majority */
#define STORE_MONGO_READ_MS       2000         /* one read request */
#define STORE_MONGO_CLOSE_MS      4000         /* to drain the queue */

#define STORE_MONGO_FAILURES_MAX  3            /* in a row: breaker opens */
#define STORE_MONGO_PROBE_MS      500          /* between two probes */
#define STORE_MONGO_REPORT_MS     10000        /* same failure, logged */

#define STORE_MONGO_SWEEP_MS      5000
#define STORE_MONGO_SWEEP_MIN_MS  50
#define STORE_MONGO_SWEEP_ROWS    200
#define STORE_MONGO_LEASE_MS      30000
#define STORE_MONGO_GRACE_MS      60000
#define STORE_MONGO_STAGING_MS    86400000     /* a restore that was left */

#define STORE_MONGO_THREADS       8            /* when config says 0 */
#define STORE_MONGO_THREADS_MAX   64
#define STORE_MONGO_READERS_MAX   64
#define STORE_MONGO_QUEUE_MAX     1024         /* when config says 0 */
#define STORE_MONGO_WIRE_MIN      8            /* 4.2 */
#define STORE_MONGO_WIRE_SNAPSHOT 13           /* 5.0: for backups */
#define STORE_MONGO_TEXT_MAX      640          /* bytes of a log line */
#define STORE_MONGO_NAME_MAX      64           /* of a database */

#define STORE_MONGO_ID_LEN        16
#define STORE_MONGO_PLACE_MAX     (STORE_MONGO_ID_LEN                        \
                                   + 2 * (STORE_KEY_MAX + 1) + 1)

#define STORE_MONGO_NAMESPACE     "namespace"
#define STORE_MONGO_ITEM          "item"
#define STORE_MONGO_ENTRY         "entry"
#define STORE_MONGO_CHANGE        "change"
#define STORE_MONGO_DROPPED       "dropped"
#define STORE_MONGO_LEASE         "lease"
#define STORE_MONGO_ROOT          "store"      /* _id of the generation */
#define STORE_MONGO_VERSION       1            /* of the layout */


/* Operations that the sweep adds to those of store.h: kinds of its own. */
#define STORE_MONGO_EXPIRE        ((store_op_kind_t) 100)   /* an item */
#define STORE_MONGO_TRIM          ((store_op_kind_t) 101)   /* changes up to
                                                               if_seq */


/* What the server's answer means. */
typedef enum {
    STORE_MONGO_DONE = 0,
    STORE_MONGO_AGAIN,            /* nothing written; may work at once */
    STORE_MONGO_DOWN,             /* nothing written; no server */
    STORE_MONGO_UNSURE,           /* a commit: perhaps written */
    STORE_MONGO_FULL,             /* its disk */
    STORE_MONGO_BROKEN            /* anything else; nothing written */
} store_mongo_rc_t;


typedef struct {
    pthread_mutex_t         mutex;       /* guards all below */
    pthread_cond_t          wanted;      /* for the keeper: opened, closing */
    unsigned                failures;    /* in a row */
    int                     open;
    int                     closing;
    int64_t                 reported_us;
    int                     reported;
    uint64_t                unreported;
} store_mongo_breaker_t;


/* Memory of one transaction; freed as a whole. */
typedef struct store_mongo_chunk_s  store_mongo_chunk_t;

typedef struct {
    store_mongo_chunk_t    *chunks;
    size_t                  left;        /* bytes of the first */
} store_mongo_arena_t;


/* A namespace and its account. */
typedef struct {
    char                    id[STORE_MONGO_ID_LEN + 1];   /* "": none */
    uint64_t                item_seq;
    uint64_t                entry_seq;
    uint64_t                oldest;      /* changes below are not all kept */
    uint64_t                items;       /* all below included */
    uint64_t                bytes;
    uint64_t                own_items;
    uint64_t                own_bytes;
    store_limits_t          limits;
    int                     dirty;       /* to be written */
    int                     touched;     /* looked at, by who writes */
} store_mongo_space_t;


typedef struct {
    uint64_t                seq;         /* 0: no document */
    int64_t                 at_ms;
    int64_t                 expires_ms;
    uint64_t                size;        /* of the value */
    uint64_t                weight;
    int                     logged;
    int                     dirty;
    bytes_t                 meta;
    bytes_t                 value;       /* only of what INCR asks for, and
                                            what is to be written */
} store_mongo_item_t;


typedef struct store_mongo_entry_s  store_mongo_entry_t;

struct store_mongo_entry_s {
    store_mongo_entry_t    *next;        /* of those to be written */
    char                    id[STORE_MONGO_ID_LEN + 1];   /* namespace */
    uint64_t                seq;
    int64_t                 at_ms;
    bytes_t                 key;
    bytes_t                 dedupe;
    bytes_t                 value;
    int                     live;        /* 0: undone */
};


typedef struct store_mongo_change_s  store_mongo_change_t;

struct store_mongo_change_s {
    store_mongo_change_t   *next;
    char                    id[STORE_MONGO_ID_LEN + 1];
    uint64_t                seq;
    int64_t                 at_ms;
    bytes_t                 key;
    bytes_t                 note;
    store_change_t          change;
    int                     live;
};


/* Changes of a namespace that go, or all of what it held. */
typedef struct store_mongo_cut_s  store_mongo_cut_t;

struct store_mongo_cut_s {
    store_mongo_cut_t      *next;
    char                    id[STORE_MONGO_ID_LEN + 1];
    uint64_t                seq;         /* up to here; 0: dropped */
    int                     live;
};


/* What a transaction knows of, by kind and name. */
typedef enum {
    STORE_MONGO_NODE_SPACE = 0,          /* name of a namespace */
    STORE_MONGO_NODE_ITEM,               /* _id of an item */
    STORE_MONGO_NODE_ENTRY,              /* "i" of an entry */
    STORE_MONGO_NODE_DEDUPE,             /* "d" of an entry */
    STORE_MONGO_NODE_KINDS
} store_mongo_node_kind_t;


typedef struct store_mongo_node_s  store_mongo_node_t;

struct store_mongo_node_s {
    store_mongo_node_t     *chain;       /* of its hash */
    store_mongo_node_t     *next;        /* of its kind */
    store_mongo_node_t     *above;       /* SPACE: account above, or NULL */
    uint32_t                hash;
    store_mongo_node_kind_t kind;
    bytes_t                 name;
    store_mongo_space_t     space;
    store_mongo_space_t     before;      /* SPACE: before this request */
    uint64_t                round;       /* SPACE: of which "before" is */
    store_mongo_node_t     *changed;     /* SPACE: next of this request */
    store_mongo_item_t      item;
    int                     whole;       /* ITEM: value is wanted */
    store_mongo_entry_t    *entry;       /* NULL: none */
};


typedef struct store_mongo_undo_s  store_mongo_undo_t;

struct store_mongo_undo_s {
    store_mongo_undo_t     *next;
    void                   *place;
    size_t                  size;        /* bytes that follow */
};


typedef struct {
    store_mongo_arena_t     arena;
    store_mongo_node_t    **table;       /* [1 << bits] */
    unsigned                bits;
    size_t                  count;
    store_mongo_node_t     *nodes[STORE_MONGO_NODE_KINDS];
    store_mongo_entry_t    *entries;
    store_mongo_entry_t   **entries_tail;
    store_mongo_change_t   *changes;
    store_mongo_change_t  **changes_tail;
    store_mongo_cut_t      *cuts;
    store_mongo_undo_t     *undo;        /* of the request in hand */
    store_mongo_node_t     *changed;     /* namespaces, in that order */
    store_mongo_node_t    **changed_tail;
    uint64_t                round;       /* which request */
    int                     failed;      /* out of memory */
} store_mongo_overlay_t;


/* A connection while one thread has it, and what was said last. */
typedef struct {
    store_t                 *store;
    mongoc_client_t         *client;
    mongoc_client_session_t *session;    /* NULL: none */
    bson_error_t             error;
    const char              *what;       /* that failed */
    char                     generation[STORE_MONGO_ID_LEN + 1];
    int                      inside;     /* a transaction is open */
    int                      moment;     /* all is read as of the first */
} store_mongo_link_t;


typedef struct {
    store_t                *store;
    pthread_t               thread;
    pthread_cond_t          wanted;      /* something queued, or closing */
    store_request_t        *queue;
    store_request_t       **queue_tail;
} store_mongo_writer_t;


struct store_s {
    store_config_t          config;
    char                    database[STORE_MONGO_NAME_MAX];
    char                    holder[STORE_MONGO_ID_LEN + 1];  /* of a lease */
    mongoc_client_pool_t   *pool;
    store_mongo_breaker_t   breaker;
    pthread_t               keeper;
    int                     keeps;       /* it runs */

    pthread_mutex_t         mutex;       /* guards all below */
    pthread_cond_t          released;    /* a reader has ended */
    int                     ready;       /* server checked, layout there */
    int                     wire;        /* version that it speaks */
    char                    generation[STORE_MONGO_ID_LEN + 1];
    size_t                  readers;     /* reading now */
    store_request_t        *done;
    store_request_t       **done_tail;
    size_t                  waiting;     /* submitted, not done */
    int                     closing;
    int64_t                 closing_us;  /* until when it may drain */
    uint64_t                commits;
    uint64_t                writes;
    int                     failed;

    size_t                  threads;
    store_mongo_writer_t    writers[STORE_MONGO_THREADS_MAX];
};


/* store_mongo.c */

/* Microseconds of the monotonic clock. */
int64_t store_mongo_now_us(void);

/* Milliseconds of the real one. */
int64_t store_mongo_now_ms(void);

/* The absolute monotonic time "ms" from now, for pthread_cond_timedwait(). */
void store_mongo_time_after(struct timespec *ts, int64_t ms);

/* One line for the operator. */
void store_mongo_log(store_t *store, int error, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* 16 random hex digits and a zero byte. */
void store_mongo_random(char *text);

/* Turns a request into a failed one. */
void store_mongo_fail(store_request_t *request, store_rc_t rc);


/* store_mongo_pool.c */

/* After the fork: the pool, from config.uri.  0; -1 and a sentence that does
   not hold the URI. */
int store_mongo_pool_open(store_t *store, char *error, size_t error_size);

/* Harmless when it never opened; all connections were given back. */
void store_mongo_pool_close(store_t *store);

/* Takes a connection; DOWN when there is none.  Released in any case. */
store_mongo_rc_t store_mongo_pool_take(store_t *store,
    store_mongo_link_t *link);

/* Ends a transaction that is open, and gives the connection back. */
void store_mongo_pool_release(store_mongo_link_t *link);

/* Asks the server what it is and makes the layout when it is not there; then
   store->ready.  DOWN: to be tried again; BROKEN: it cannot serve, a sentence
   is in link->error.message. */
store_mongo_rc_t store_mongo_pool_prepare(store_mongo_link_t *link);

/* Begins a transaction that sees one moment; what it writes is, after
   store_mongo_pool_commit(), with a majority and in its journals. */
store_mongo_rc_t store_mongo_pool_begin(store_mongo_link_t *link);
store_mongo_rc_t store_mongo_pool_commit(store_mongo_link_t *link,
    int64_t until_us);
void store_mongo_pool_abort(store_mongo_link_t *link);

/* From here on every find sees the moment of the first one, without the time
   limit of a transaction; nothing is to be written. */
store_mongo_rc_t store_mongo_pool_hold(store_mongo_link_t *link);

/* Documents that match, in the transaction when one is open; "filter" and
   "opts" are borrowed and opts gets the session.  To be destroyed. */
mongoc_cursor_t *store_mongo_pool_find(store_mongo_link_t *link,
    const char *collection, const bson_t *filter, bson_t *opts);

/* After the last document: DONE, or what has failed. */
store_mongo_rc_t store_mongo_pool_found(store_mongo_link_t *link,
    mongoc_cursor_t *cursor, const char *what);

/* An unordered bulk of writes; then it is executed and destroyed. */
mongoc_bulk_operation_t *store_mongo_pool_bulk(store_mongo_link_t *link,
    const char *collection);
store_mongo_rc_t store_mongo_pool_execute(store_mongo_link_t *link,
    mongoc_bulk_operation_t *bulk, const char *what);

/* Reads which generation is the present one, into link->generation. */
store_mongo_rc_t store_mongo_pool_generation(store_mongo_link_t *link);

/* What an error means; "reply" may be NULL. */
store_mongo_rc_t store_mongo_pool_rc(store_mongo_link_t *link,
    const bson_t *reply, const char *what);

/* What it means to the caller of the store. */
store_rc_t store_mongo_pool_result(store_mongo_rc_t rc);


/* store_mongo_document.c */

/* Writes id and key as text whose order is that of the bytes: a string of
   code points 1 to 255, and a zero byte behind it.  "out" has
   STORE_MONGO_PLACE_MAX bytes.  The length. */
size_t store_mongo_document_place(const char *id, bytes_t key, char *out);

/* The same for a number. */
size_t store_mongo_document_number(const char *id, uint64_t number,
    char *out);

/* The bytes of such a text behind its id, into "out", which has at least as
   many bytes as the text; the length, or -1. */
ssize_t store_mongo_document_key(const char *text, size_t len, uint8_t *out);

/* The string "name" of a document as a view; empty when it is none. */
bytes_t store_mongo_document_text(const bson_t *document, const char *name);

/* Bytes, a number; empty and 0 when they are not there. */
bytes_t store_mongo_document_bytes(const bson_t *document, const char *name);
int64_t store_mongo_document_int(const bson_t *document, const char *name);

/* Adds bytes, which are copied. */
void store_mongo_document_add_bytes(bson_t *document, const char *name,
    bytes_t b);

/* Adds text, which is copied. */
void store_mongo_document_add_text(bson_t *document, const char *name,
    const char *text, size_t len);

/* Out of a document; bytes stay views into it. */
void store_mongo_document_space(const bson_t *document,
    store_mongo_space_t *space);
void store_mongo_document_item(const bson_t *document,
    store_mongo_item_t *item);

/* What a read of that kind makes of a document: its bytes are in a block of
   their own, which begins at key.data.  0; -1: it is none, or no memory. */
int store_mongo_document_row(const bson_t *document, store_read_kind_t kind,
    store_row_t *row);

/* Into an empty document, all but _id. */
void store_mongo_document_add_space(bson_t *document,
    const store_mongo_space_t *space);
void store_mongo_document_add_item(bson_t *document,
    const store_mongo_item_t *item);
void store_mongo_document_add_entry(bson_t *document,
    const store_mongo_entry_t *entry);
void store_mongo_document_add_change(bson_t *document,
    const store_mongo_change_t *change);


/* store_mongo_overlay.c */

/* Begins with nothing. */
void store_mongo_overlay_open(store_mongo_overlay_t *overlay);

/* Frees all that came of it; it may be used again. */
void store_mongo_overlay_close(store_mongo_overlay_t *overlay);

/* Zeroed memory that lives as long as the overlay; NULL, then "failed". */
void *store_mongo_overlay_alloc(store_mongo_overlay_t *overlay, size_t size);

/* A copy in it. */
bytes_t store_mongo_overlay_copy(store_mongo_overlay_t *overlay, bytes_t b);

/* The node; NULL when there is none. */
store_mongo_node_t *store_mongo_overlay_find(store_mongo_overlay_t *overlay,
    store_mongo_node_kind_t kind, bytes_t name);

/* The node, made when there is none; NULL: out of memory.  Of a namespace:
   those above it as well. */
store_mongo_node_t *store_mongo_overlay_get(store_mongo_overlay_t *overlay,
    store_mongo_node_kind_t kind, bytes_t name);

/* Before a change to "size" bytes: so that they can be put back. */
void store_mongo_overlay_save(store_mongo_overlay_t *overlay, void *place,
    size_t size);

/* A request begins; its changes are kept, or undone. */
void store_mongo_overlay_begin(store_mongo_overlay_t *overlay);
void store_mongo_overlay_undo(store_mongo_overlay_t *overlay);


/* store_mongo_apply.c */

/* Names what a request needs to know into the overlay: namespaces first;
   after those were loaded, items and entries. */
void store_mongo_apply_name_spaces(store_mongo_overlay_t *overlay,
    const store_request_t *request);
void store_mongo_apply_name_rest(store_mongo_overlay_t *overlay,
    const store_request_t *request);

/* Applies it, all or nothing, and sets its results.  1 when there is
   something to write. */
int store_mongo_apply_request(store_mongo_overlay_t *overlay,
    store_request_t *request, int64_t now_ms);


/* store_mongo_batch.c */

/* Carries out a list of requests, and sets their results; blocks, until
   "until_us" at most when the server does not do it.  The number of requests
   that were committed. */
size_t store_mongo_batch_run(store_t *store, store_request_t *list,
    int64_t until_us);


/* store_mongo_reader.c */

/* The adapter's read, from any thread; see store.h. */
store_rc_t store_mongo_reader_read(store_t *store, const store_read_t *reads,
    store_rows_t *rows, size_t count);


/* store_mongo_sweep.c */

/* One step, when this store has the lease: 1 when there may be more to do,
   *left is set when it has left changes. */
int store_mongo_sweep_step(store_t *store, int *left);

/* Drops namespaces by their _id, first <= _id < last, some at a time; *more
   is set when there were any. */
store_mongo_rc_t store_mongo_sweep_spaces(store_mongo_link_t *link,
    const char *first, const char *last, int *more);


/* store_mongo_breaker.c */

/* 0, or an errno. */
int store_mongo_breaker_open(store_t *store);

/* Nobody waits any more. */
void store_mongo_breaker_close(store_t *store);

/* 1 when the server is not to be asked now. */
int store_mongo_breaker_tripped(store_t *store);

/* What became of an attempt, for the count and the log. */
void store_mongo_breaker_report(store_t *store, store_mongo_link_t *link,
    store_mongo_rc_t rc);

/* For the keeper: waits up to "ms", or until there is a reason to probe or
   to end.  0 when the store closes. */
int store_mongo_breaker_wait(store_t *store, int64_t ms);


/* store_mongo_backup.c */

/* The adapter's backup and restore; see store.h. */
int store_mongo_backup_make(store_t *store, const char *path, char *error,
    size_t error_size);
int store_mongo_backup_restore(store_t *store, const char *path, char *error,
    size_t error_size);


#endif /* STORE_HAVE_MONGO */


#endif /* _STORE_MONGO_H_INCLUDED_ */
