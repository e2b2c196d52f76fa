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
 * Changes: an operation that asks for it leaves a change at the seq that it
 * takes, and so does the sweep of an item that was written so.  They are kept
 * for a time; what follows the changes of a namespace misses nothing or is
 * told so (STORE_CHANGES, "oldest").
 *
 * Accounts: a namespace counts its items and their bytes, in the transaction
 * that changes them; entries do not count, and what has expired counts until
 * it is swept.  The name "a.b.c" is of the account "a.b", and that of "a":
 * what is stored below counts above as well.  The account above is the name
 * before the last ".", unless that is empty; it comes to be with the first
 * namespace below it.  Limits are those of the account, or of the request for
 * an account at the top that has none.
 *
 * Epoch: item "epoch" of namespace "store", 16 hex digits, made with the
 * store, another one after a restore: seqs of two epochs do not compare.
 *
 * Threads: submit from one thread (the event loop of a worker); the adapter
 * writes in a thread of its own and calls "notify" from there, after which
 * the loop takes finished requests by take().  Reads block the caller:
 * they run in pool threads, any number at once up to readers_max.
 */


#ifndef _STORE_H_INCLUDED_
#define _STORE_H_INCLUDED_


#include "bytes.h"


#define STORE_NS_MAX        192       /* bytes */
#define STORE_KEY_MAX       640       /* bytes */
#define STORE_VALUE_MAX     (1024 * 1024 + 65536)   /* bytes */
#define STORE_META_MAX      512       /* bytes of a meta or a note */
#define STORE_OPS_MAX       2048      /* operations in a request */
#define STORE_READS_MAX     512       /* reads in a request */
#define STORE_LIMIT_MAX     1000      /* items a read may give */
#define STORE_ROWS_BYTES_MAX  (8 * 1024 * 1024)   /* of one read request */
#define STORE_DEPTH_MAX     8         /* accounts above a namespace */
#define STORE_WEIGHT_MAX    (1ULL << 44)   /* bytes, of one item */
#define STORE_NUMBER_MAX    20        /* bytes of a number as text */

#define STORE_NS_STORE      "store"   /* the store's own namespace */
#define STORE_KEY_EPOCH     "epoch"
#define STORE_EPOCH_LEN     16


typedef enum {
    STORE_OK = 0,
    STORE_EXISTS,                 /* APPEND: dedupe key known, see result */
    STORE_CONDITION,              /* a condition did not hold */
    STORE_ABSENT,                 /* GET: no such item */
    STORE_BUSY,                   /* queue full or lock not had in time */
    STORE_FULL,                   /* disk full */
    STORE_FAILED,                 /* engine error, logged by the adapter */
    STORE_INVALID,                /* beyond a limit above */
    STORE_QUOTA,                  /* an account would pass its limit */
    STORE_TYPE,                   /* INCR: no number, or out of range */
    STORE_UNKNOWN                 /* the engine went away: perhaps written */
} store_rc_t;


typedef enum {
    STORE_PUT = 0,
    STORE_DELETE,
    STORE_CHECK,                  /* condition only */
    STORE_APPEND,                 /* entry; key: its id; an id that is taken
                                     in ns: STORE_CONDITION */
    STORE_DROP,                   /* everything in ns, not what is in those
                                     below it; takes a seq of the items
                                     (result), unless there is no ns; a
                                     namespace that is used again starts
                                     empty, its limits stay, followers meet a
                                     gap: "oldest" is that seq */
    STORE_INCR,                   /* adds "number" to the decimal integer that
                                     the value is (absent: 0), written as
                                     store_number_write() does; meta as given
                                     when absent, else kept, as are weight
                                     and time */
    STORE_LIMITS                  /* sets the limits of ns; no key, no seq */
} store_op_kind_t;


typedef enum {
    STORE_ANY = 0,
    STORE_IF_ABSENT,
    STORE_IF_PRESENT,
    STORE_IF_SEQ                  /* item was last changed at if_seq */
} store_condition_t;


/* Of an account: items, and bytes of keys, values and weights.  0: none. */
typedef struct {
    uint64_t           items;
    uint64_t           bytes;
} store_limits_t;


typedef struct {
    store_op_kind_t    kind;
    store_condition_t  condition;
    bytes_t            ns;
    bytes_t            key;       /* APPEND: the entry's id */
    bytes_t            value;
    bytes_t            meta;      /* PUT, INCR: kept beside the value */
    bytes_t            note;      /* with log: kept with the change */
    bytes_t            dedupe;    /* APPEND: unique in ns; empty: none */
    uint64_t           if_seq;
    int64_t            expires_ms;   /* 0: never; INCR: when absent */
    int64_t            number;    /* INCR: to be added */
    uint64_t           weight;    /* PUT: bytes kept elsewhere, charged too */
    store_limits_t     limits;    /* LIMITS */
    unsigned           log:1;     /* PUT, DELETE, INCR: leave a change; of
                                     PUT and INCR, the sweep does as well */
    unsigned           stamp:1;   /* PUT: value begins with STORE_STAMP_LEN
                                     bytes for each operation before it; the
                                     store writes their seqs and numbers there
                                     (results[]), in what it keeps, not in
                                     the submitter's bytes */
} store_op_t;


#define STORE_STAMP_LEN  16       /* seq and number, 8 bytes each, big
                                     endian, two's complement */


typedef struct {
    store_rc_t  rc;
    uint64_t    seq;              /* PUT, DELETE, INCR, APPEND; EXISTS:
                                     stored */
    int64_t     number;           /* INCR: as it is now; PUT: 1 when nothing
                                     was there before, else 0 */
    bytes_t     key;              /* EXISTS: id of the stored entry */
    bytes_t     value;            /* EXISTS: its value; owned by request */
} store_result_t;


/* What an account holds and may hold, all below it included. */
typedef struct {
    uint64_t        items;
    uint64_t        bytes;
    store_limits_t  limits;       /* its own */
} store_usage_t;


typedef struct store_request_s  store_request_t;

/* Of an operation that is not applied, or whose request failed, rc is that of
   the request; only the failed CHECK, PUT, DELETE or INCR gives the seq that
   it met (0: absent), also for STORE_TYPE.  A CHECK that holds gives it too.
   A DELETE of what is absent is STORE_OK with seq 0 and leaves no change;
   what has expired is absent, whether swept or not.  Items and entries of a
   namespace count apart; both counters go on after a DROP.

   STORE_QUOTA is found when all operations were applied: an account has more
   items than before the request and than its limit, or more bytes.  Of
   several it is the first in the order of operations, from the namespace
   upwards.  "usage" is what it holds without the request; "failed" is 0. */

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
    size_t            failed;     /* index of the operation that failed; 0
                                     when it was none of them */
    store_limits_t    limits;     /* of accounts at the top without any */
    bytes_t           limited;    /* the accounts that those are for: names
                                     that start so; empty: all */
    store_usage_t     usage;      /* QUOTA: the account, limits as applied */
    void             *data;       /* the submitter's */
    store_request_t  *next;       /* the store's */
};


typedef enum {
    STORE_GET = 0,
    STORE_RANGE,                  /* items whose key starts with key */
    STORE_FEED,                   /* entries of ns */
    STORE_HEAD,                   /* last seq of ns (entries) */
    STORE_CHANGES,                /* changes of ns with seq > after */
    STORE_USAGE,                  /* the account ns: rows.usage */
    STORE_NAMES,                  /* namespaces and accounts, by name, also
                                     empty ones; ns is not used */
    STORE_SEARCH                  /* no adapter's: the storage module answers
                                     it from its text index, see there */
} store_read_kind_t;


typedef struct {
    store_read_kind_t  kind;
    bytes_t            ns;
    bytes_t            key;       /* GET: key; RANGE, NAMES: prefix; FEED:
                                     when not empty, the entry with that id
                                     only; SEARCH: the query */
    bytes_t            after_key; /* RANGE, NAMES: only keys past this one, in
                                     the order of reading */
    bytes_t            from_key;  /* RANGE: only keys from this one on */
    bytes_t            to_key;    /* RANGE: only keys below; empty: no bound */
    uint64_t           after;     /* FEED, CHANGES: seq > after */
    uint64_t           before;    /* FEED: seq < before; 0: no bound */
    size_t             limit;     /* RANGE, FEED, CHANGES, NAMES, SEARCH */
    int                reverse;   /* RANGE, FEED: highest first */
    int                keys_only; /* GET, RANGE: without values */
} store_read_t;


typedef enum {
    STORE_CHANGE_PUT = 1,
    STORE_CHANGE_DELETE,
    STORE_CHANGE_EXPIRE           /* swept after its time */
} store_change_t;


/* All bytes of a row are in one block, which begins at key.data. */
typedef struct {
    bytes_t         key;          /* item key, entry id, name */
    bytes_t         value;
    bytes_t         meta;         /* GET, RANGE: of the item; CHANGES: note */
    uint64_t        seq;          /* NAMES: last of the items */
    uint64_t        entries;      /* NAMES: last of the entries */
    uint64_t        size;         /* GET, RANGE: bytes of the value */
    uint64_t        weight;       /* GET, RANGE */
    int64_t         at_ms;        /* when written */
    int64_t         expires_ms;   /* GET, RANGE; 0: never */
    store_change_t  change;       /* CHANGES */
} store_row_t;


typedef struct {
    store_rc_t     rc;
    store_row_t   *rows;          /* GET: one row */
    size_t         count;
    uint64_t       head;          /* last seq of ns: entries (HEAD, FEED),
                                     items (CHANGES, USAGE) */
    uint64_t       oldest;        /* CHANGES: what comes after a seq below
                                     this one is not all kept; 0: all is */
    store_usage_t  usage;         /* USAGE */
    int            more;          /* limit, or STORE_ROWS_BYTES_MAX, cut it;
                                     a read gives one row at least */
} store_rows_t;


typedef struct {
    const char  *path;            /* database file */
    size_t       readers_max;
    size_t       queue_max;       /* requests waiting, then STORE_BUSY */
    size_t       cache_bytes;     /* a connection */
    int          durable;         /* 1: synchronous=FULL (the default) */
    int          migrate;         /* 1: may migrate and check (a worker) */
    int64_t      changes_ms;      /* how long changes are kept, at least; 0:
                                     for ever */
    const char  *uri;             /* of a server (mongo); NULL */
    size_t       threads;         /* that write (mongo) */

    /* from any thread: one line for the operator, no newline */
    void       (*log)(void *data, int error, const char *text);

    /* from the writer thread: something can be taken */
    void       (*notify)(void *data);

    /* from the writer thread: the sweep has left changes; may be NULL */
    void       (*swept)(void *data);
    void        *data;
} store_config_t;


typedef struct {
    const char  *adapter;         /* "sqlite" */
    const char  *version;         /* of the engine */
    uint64_t     wal_bytes;
    uint64_t     queue;           /* requests waiting */
    uint64_t     commits;
    uint64_t     writes;          /* requests committed */
    int64_t      checkpoint_ms;   /* when the last one ended; 0: none yet */
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

    /* A whole copy of one moment, as a new file that is on disk and was
       checked; blocks, from any thread, while writes go on.  A file that is
       there is not touched.  0; -1 and a sentence, no file is left then.  One
       that ends with ".part" may be left by a process that died. */
    int        (*backup)(store_t *store, const char *path, char *error,
                         size_t error_size);

    /* Everything is replaced, in one commit, by what a backup of this adapter
       holds, of this release or of one before, under a new epoch; requests
       after it see the new, none sees both.  What waits in the queue is
       written before or after.  Blocks, from any thread, one at a time.  0;
       -1 and a sentence, nothing has changed then. */
    int        (*restore)(store_t *store, const char *path, char *error,
                          size_t error_size);

    /* drains the queue, with a time limit: then all requests are finished
       and the submitter's, also those that take() did not give */
    void       (*close)(store_t *store);
} store_adapter_t;


extern const store_adapter_t  store_sqlite;

#ifdef STORE_HAVE_MONGO
extern const store_adapter_t  store_mongo;
#endif


/* Frees what results[] of a finished request hold. */
void store_request_release(store_request_t *request);

/* Frees the rows of a read, [count] results. */
void store_rows_release(store_rows_t *rows, size_t count);

/* The account above "ns": its first bytes; empty: there is none. */
bytes_t store_account_above(bytes_t ns);

/* The number that a value is: 0, or -1: not what store_number_write() would
   write of an int64_t. */
int store_number_parse(bytes_t value, int64_t *number);

/* Decimal, no leading zeroes, no "+", no "-0"; the length. */
size_t store_number_write(int64_t number, uint8_t text[STORE_NUMBER_MAX]);

/* Refuses a request beyond the limits: STORE_OK or STORE_INVALID. */
store_rc_t store_request_check(const store_request_t *request);

/* The same for [count] reads. */
store_rc_t store_reads_check(const store_read_t *reads, size_t count);


#endif /* _STORE_H_INCLUDED_ */
