/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The text index: which documents and messages hold these words.
 *
 *     store_text.c          open, schema, rebuilding, who leads
 *     store_text_write.c    documents in and out, positions, checkpoints
 *     store_text_follow.c   follows the changes and entries of a store
 *     store_text_read.c     searches, on connections that cannot write
 *     store_text_query.c    what people may ask, and no more
 *     store_text_plain.c    the words of a value
 *     store_text_snippet.c  the place in a text that a hit shows
 *
 * A SQLite database (FTS5) of its own, derived from a store whatever its
 * adapter, never backed up, made again when it is missing, damaged, of
 * another release or of another epoch of the store.
 *
 * One process of a host leads: it holds an OFD lock on "<path>.lock" for as
 * long as it writes, and nobody else writes or checkpoints (SQLite 3.7.0 to
 * 3.51.2 may lose pages otherwise).  All processes search.
 *
 * Namespaces followed: "s/..." by their changes (kv and docs), "r_..." by
 * their entries (messages).  A hit is shown only when the store still has the
 * item at that seq, or that entry.
 *
 * Threads: the leading half (lead to unlead) is used by one thread; search by
 * any, up to readers_max at once.  Nothing here crosses a fork().
 */


#ifndef _STORE_TEXT_H_INCLUDED_
#define _STORE_TEXT_H_INCLUDED_


#include "store_sqlite.h"


#define STORE_TEXT_QUERY_MAX    256         /* bytes of a query */
#define STORE_TEXT_TERMS_MAX    16          /* of a query */
#define STORE_TEXT_MATCH_MAX    1024        /* bytes of FTS5's form of it */
#define STORE_TEXT_LIMIT_MAX    100         /* hits of a page */
#define STORE_TEXT_LOOKS_MAX    20000       /* matches looked at for a page */
#define STORE_TEXT_SNIPPET_MAX  240         /* bytes */
#define STORE_TEXT_LEAD_MAX     4096        /* bytes that a snippet is from */
#define STORE_TEXT_READ_MS      1000        /* a search, all of it */
#define STORE_TEXT_OPS          50          /* of SQLite, between two looks at
                                               the clock */
#define STORE_TEXT_VERSION      1           /* of the schema */
#define STORE_TEXT_ID           0x6d747874  /* "mtxt": application_id */
#define STORE_TEXT_BATCH_DOCS   512         /* in a commit */
#define STORE_TEXT_BATCH_US     200000      /* work before a commit */
#define STORE_TEXT_FETCH        64          /* changes, entries of a read */
#define STORE_TEXT_FETCH_GETS   16          /* values of a read */
#define STORE_TEXT_PAUSE_MS     2           /* while writers of the store
                                               wait */
#define STORE_TEXT_MERGE_PAGES  400         /* in one step, when idle */


/* What a search of the store's interface (STORE_SEARCH) means:
   ns        whose documents
   key       the query
   before    only hits below this seq; 0: all
   limit     at most STORE_TEXT_LIMIT_MAX
   from_key  kinds: any of the letters "k" (kv), "d" (docs); empty: both
   to_key    only items whose key, behind "k/" or "d/", begins so
   Rows: key (without "k/"), value (snippet; of a message its stored JSON),
   meta ("kv", "docs", "messages"), seq, at_ms.
   head: what the index has reached of ns; oldest: the epoch as a number, 0
   when there is none; more: usage.items is "before" of the next page.
   The read as a whole is STORE_INVALID: no query; STORE_BUSY: it took too
   long, or the index is not there yet. */


typedef enum {
    STORE_TEXT_QUERY_OK = 0,
    STORE_TEXT_QUERY_EMPTY,       /* no word in it */
    STORE_TEXT_QUERY_LONG,        /* over STORE_TEXT_QUERY_MAX */
    STORE_TEXT_QUERY_TERMS,       /* over STORE_TEXT_TERMS_MAX */
    STORE_TEXT_QUERY_CODE,        /* no UTF-8, or a control character */
    STORE_TEXT_QUERY_QUOTE,       /* a phrase without its end */
    STORE_TEXT_QUERY_NEGATIVE     /* nothing but -words */
} store_text_query_rc_t;


typedef struct {
    bytes_t   text;               /* borrowed from the query; no quotes */
    unsigned  negative:1;
    unsigned  prefix:1;           /* the last word may go on */
} store_text_term_t;


typedef struct {
    store_text_term_t  terms[STORE_TEXT_TERMS_MAX];
    size_t             count;
} store_text_query_t;


typedef struct {
    const char  *path;
    size_t       readers_max;
    size_t       cache_bytes;     /* a connection */

    const store_adapter_t  *adapter;     /* of the store that is followed */
    store_t                *store;       /* borrowed, open */

    /* from any thread: one line for the operator, no newline */
    void       (*log)(void *data, int error, const char *text);
    void        *data;
} store_text_config_t;


/* A document on its way in.  Without text there is nothing to be found: what
   was known of the key goes. */
typedef struct {
    bytes_t      key;             /* of the item, or id of the entry */
    bytes_t      text;            /* UTF-8 */
    uint64_t     seq;
    int64_t      at_ms;
    unsigned     item:1;          /* one of its key at a time */
} store_text_doc_t;


/* A connection that searches, and which file it has open. */
typedef struct store_text_reader_s  store_text_reader_t;

struct store_text_reader_s {
    store_sqlite_db_t     db;
    uint64_t              file;
    store_text_reader_t  *next;
};


typedef struct store_text_s  store_text_t;


struct store_text_s {
    store_t                  base;      /* path, config and log only, for
                                           store_sqlite_db_open() */
    char                    *path;      /* owned */
    char                    *lock_path; /* owned */
    char                    *mark_path; /* owned; is there: damaged */
    const store_adapter_t   *adapter;   /* borrowed */
    store_t                 *store;     /* borrowed */

    /* searching; under mutex */

    pthread_mutex_t          mutex;
    pthread_cond_t           released;
    store_text_reader_t     *free;
    size_t                   count;     /* connections, in use or free */

    /* leading; its thread's own */

    int                      lock;      /* descriptor; -1: not leading */
    store_sqlite_db_t        db;
    uint64_t                 db_file;
    const volatile int      *stop;      /* borrowed; not 0: end soon */
    int                      open;      /* a transaction is */
    size_t                   docs;      /* in it */
    int64_t                  begin_us;
    int                      wal_pages;
    int                      untidy;    /* there may be segments to merge */
    uint64_t                 indexed;   /* documents, since it leads */
    int64_t                  reported_us;
    uint8_t                 *scratch;   /* owned; one document's text */
};


/* store_text.c */

/* Ready to search, once a leader has made the file.  NULL and a sentence. */
store_text_t *store_text_open(const store_text_config_t *config, char *error,
    size_t error_size);

/* Ends leading.  No search may be running. */
void store_text_close(store_text_t *text);

/* Tries to lead: 1 when it does, the file is whole then and of this store's
   epoch; 0: another process leads; -1: it cannot be, after a line in the log.
   "stop" is looked at between two steps of whatever takes long. */
int store_text_lead(store_text_t *text, const volatile int *stop);

/* Ends leading; harmless when it does not. */
void store_text_unlead(store_text_t *text);

/* While leading, now and then: 0 when the file is still the one that is open
   and nobody found it damaged; else -1, unlead and lead again. */
int store_text_check(store_text_t *text);

/* Marks the file as damaged, for whoever leads. */
void store_text_mark(store_text_t *text);

/* Device and inode of the file as one number; 0: there is none. */
uint64_t store_text_file(const store_text_t *text);

/* A connection for "sql"; not sealed.  An SQLite code. */
int store_text_db_open(store_text_t *text, store_sqlite_db_t *db,
    const char *const *sql, int query_only);
void store_text_db_seal(store_sqlite_db_t *db, int query_only);

/* 1 when that code says that the file is no good. */
int store_text_damage(int rc);


/* store_text_write.c: 0, or -1 after a line in the log and a rollback; in a
   transaction that store_text_write_flush() ends, or a later call when it is
   large. */

extern const char *const  store_text_write_sql[STORE_SQLITE_STATEMENTS];

/* The number of a namespace and its position: 1; 0: it is not known. */
int store_text_write_find_ns(store_text_t *text, bytes_t name, int64_t *ns,
    uint64_t *seq);

/* The same, made when it is not known. */
int store_text_write_ns(store_text_t *text, bytes_t name, int64_t *ns,
    uint64_t *seq);
int store_text_write_doc(store_text_t *text, int64_t ns,
    const store_text_doc_t *doc);
int store_text_write_position(store_text_t *text, int64_t ns, uint64_t seq);

/* Forgets a namespace: what it had goes in the sweep. */
int store_text_write_drop(store_text_t *text, bytes_t name);

/* The names after "after" that begin with "prefix", one: 1, 0 at the end. */
int store_text_write_next_ns(store_text_t *text, bytes_t prefix,
    bytes_t after, bytes_writer_t *name);

/* The epoch the index is of (empty: none) and a new one. */
int store_text_write_epoch(store_text_t *text, bytes_writer_t *epoch);
int store_text_write_set_epoch(store_text_t *text, bytes_t epoch);

/* Commits when it is time to; when "all", whatever there is. */
int store_text_write_flush(store_text_t *text, int all);

/* Work for idle times: 1 when there is more of it, 0, -1. */
int store_text_write_tidy(store_text_t *text);


/* store_text_follow.c: leading half. */

/* Takes in what is new of one namespace of the store.  0; -1. */
int store_text_follow(store_text_t *text, bytes_t ns);

/* The same of all, dropped rooms and another epoch included.  0; -1. */
int store_text_follow_all(store_text_t *text);

/* Forgets a room that is no more.  1: it is there; 0; -1. */
int store_text_follow_room(store_text_t *text, bytes_t ns);


/* store_text_read.c */

/* A read of the store whose reads[0] is a STORE_SEARCH; the others go to the
   adapter.  rows as of an adapter's read, released in the same way.  From any
   thread; blocks. */
store_rc_t store_text_read(store_text_t *text, const store_read_t *reads,
    store_rows_t *rows, size_t count);


/* store_text_query.c: pure */

/* Reads a query: words, "phrases", prefix*, -word. */
store_text_query_rc_t store_text_query_parse(bytes_t text,
    store_text_query_t *query);

/* The same in FTS5's words, everything quoted: at most STORE_TEXT_MATCH_MAX
   bytes. */
void store_text_query_write(const store_text_query_t *query,
    bytes_writer_t *w);

/* A sentence for people. */
const char *store_text_query_error(store_text_query_rc_t rc);


/* store_text_plain.c: pure */

/* Writes the words of a value of that media type into w, at most twice its
   bytes: all of a text, the strings of JSON, each a line.  Nothing of any
   other type, and of what is not well formed.  The second: of valid JSON. */
void store_text_plain(bytes_t type, bytes_t value, bytes_writer_t *w);
void store_text_plain_json(bytes_t json, bytes_writer_t *w);


/* store_text_snippet.c: pure */

/* Writes some of text, where the first term of the query is found in it
   letter by letter, from its beginning otherwise: one line, at most
   STORE_TEXT_SNIPPET_MAX bytes of UTF-8. */
void store_text_snippet(const store_text_query_t *query, bytes_t text,
    bytes_writer_t *w);


#endif /* _STORE_TEXT_H_INCLUDED_ */
