/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The SQLite adapter, inside: what its files share.
 *
 *     store_sqlite.c         open, refusals, pragmas, limits, close
 *     store_sqlite_lock.c    the host-wide lock
 *     store_sqlite_schema.c  migrations and the check at start
 *     store_sqlite_writer.c  queue, group commit, checkpoints
 *     store_sqlite_apply.c   what operations do inside a commit
 *     store_sqlite_account.c namespaces and accounts inside a commit
 *     store_sqlite_change.c  changes, written and trimmed
 *     store_sqlite_sweep.c   what is due in idle times
 *     store_sqlite_report.c  what the operator hears of the writer
 *     store_sqlite_reader.c  reads, on connections that cannot write
 *     store_sqlite_backup.c  backups, and what is restored from them
 *
 * Rules that keep data whole, and where they are held:
 *
 * 1. Every write and every checkpoint of every process runs under the host
 *    lock, so that no commit can reset the WAL while another process starts
 *    a checkpoint (SQLite 3.7.0 to 3.51.2 lose pages then).  Held in
 *    store_sqlite_writer.c; nothing else writes or checkpoints, no
 *    connection checkpoints by itself or when it is closed.
 * 2. A request is answered after the commit that holds it, and the commit
 *    is on disk: synchronous=FULL.
 * 3. The database file is opened by SQLite only: a close() of another
 *    descriptor would drop all POSIX locks that SQLite holds in the process.
 * 4. Nothing here crosses a fork().
 */


#ifndef _STORE_SQLITE_H_INCLUDED_
#define _STORE_SQLITE_H_INCLUDED_


#ifndef _GNU_SOURCE
#define _GNU_SOURCE                            /* F_OFD_SETLKW */
#endif

#include <pthread.h>
#include <sqlite3.h>

#include "store.h"


#define STORE_SQLITE_BATCH_OPS      256        /* operations in a commit */
#define STORE_SQLITE_BATCH_BYTES    (4 * 1024 * 1024)
#define STORE_SQLITE_BATCH_US       2000       /* work before the commit */

#define STORE_SQLITE_WAL_PASSIVE    (4 * 1024 * 1024)
#define STORE_SQLITE_WAL_STEP       (1024 * 1024)   /* between two tries */
#define STORE_SQLITE_WAL_TRUNCATE   (64 * 1024 * 1024)
#define STORE_SQLITE_WAL_FRAME      (4096 + 24)     /* bytes of one page */

#define STORE_SQLITE_OPEN_MS        30000      /* wait for the lock to open */
#define STORE_SQLITE_LOCK_MS        5000       /* and for a commit */
#define STORE_SQLITE_CLOSE_MS       500        /* and for the last one */
#define STORE_SQLITE_BUSY_MS        1000       /* wait for SQLite's locks */
#define STORE_SQLITE_TRUNCATE_MS    50         /* readers hold a truncate */
#define STORE_SQLITE_READ_MS        2000       /* one read request */
#define STORE_SQLITE_CHECK_MS       10000      /* quick_check at start */
#define STORE_SQLITE_SWEEP_MS       5000       /* between two sweeps */
#define STORE_SQLITE_OVERDUE_MS     1000       /* sweep though not idle */
#define STORE_SQLITE_MORE_MS        20         /* the same, of a long sweep */
#define STORE_SQLITE_RESTORE_MS     10000      /* wait for the lock */
#define STORE_SQLITE_OPTIMIZE_MS    3600000
#define STORE_SQLITE_REPORT_MS      10000      /* same failure, logged */

#define STORE_SQLITE_QUEUE_MAX      1024       /* when config says 0 */
#define STORE_SQLITE_CACHE_BYTES    (16 * 1024 * 1024)
#define STORE_SQLITE_SWEEP_ROWS     200        /* deleted in one commit */
#define STORE_SQLITE_TRIM_LOOKS     64         /* namespaces, a sweep */
#define STORE_SQLITE_READERS_MAX    64
#define STORE_SQLITE_STATEMENTS     48         /* cached, a connection */
#define STORE_SQLITE_TEXT_MAX       640        /* bytes of a log line */

/* The rowid of an entry, and of a change, is its namespace and its seq, so
   that the history of a namespace lies together and a page of it is one
   walk. */
#define STORE_SQLITE_SEQ_BITS       36
#define STORE_SQLITE_SEQ_MAX        ((1ULL << STORE_SQLITE_SEQ_BITS) - 1)
#define STORE_SQLITE_NS_MAX         ((1ULL << 27) - 1)

#define STORE_SQLITE_VERSION_MIN    3037000    /* STRICT tables */


/* One connection of SQLite; used by one thread at a time. */
typedef struct store_sqlite_db_s  store_sqlite_db_t;

struct store_sqlite_db_s {
    sqlite3            *handle;
    const char *const  *sql;          /* texts of the statements, borrowed */
    sqlite3_stmt       *statements[STORE_SQLITE_STATEMENTS];
    int64_t             deadline_us;  /* of the work in hand; 0: none */
    int                 error;        /* errno of the last failed step */
    store_sqlite_db_t  *next;         /* free list */
};


/* The host lock: byte 0 of the lock file for writes, byte 1, shared, for as
   long as the store is open. */
typedef struct store_sqlite_lock_s  store_sqlite_lock_t;


/* The row of a namespace. */
typedef struct {
    int64_t         id;           /* 0: no such namespace yet */
    uint64_t        item_seq;     /* last one given */
    uint64_t        entry_seq;
    uint64_t        oldest;       /* changes below it are not all there */
    uint64_t        items;        /* what is below it included */
    uint64_t        bytes;
    uint64_t        own_items;
    uint64_t        own_bytes;
    store_limits_t  limits;
} store_sqlite_ns_t;


/* A namespace in the transaction. */
typedef struct store_sqlite_account_s  store_sqlite_account_t;

struct store_sqlite_account_s {
    store_sqlite_ns_t        now;
    store_sqlite_ns_t        base;       /* before the request in hand */
    store_sqlite_account_t  *above;      /* NULL: not looked for, or none */
    store_sqlite_account_t  *same;       /* hash */
    store_sqlite_account_t  *touched;    /* next of the request's */
    store_sqlite_account_t  *dirty;      /* next of the transaction's */
    unsigned                 in_touched:1;
    unsigned                 in_dirty:1;
    size_t                   len;
    uint8_t                  name[STORE_NS_MAX];
};


#define STORE_SQLITE_ACCOUNT_HASH   256
#define STORE_SQLITE_ACCOUNT_CHUNK  64
#define STORE_SQLITE_ACCOUNT_KEEP   8      /* chunks, over transactions */


typedef struct store_sqlite_chunk_s  store_sqlite_chunk_t;


/*
 * The namespaces that a transaction has met.  Nobody else writes while it
 * runs, so each is read once; what a request changes is kept or undone with
 * it, and is written once, before the commit.
 */

typedef struct {
    store_sqlite_account_t   *hash[STORE_SQLITE_ACCOUNT_HASH];
    store_sqlite_account_t   *touched;   /* by the request, in order */
    store_sqlite_account_t  **touched_tail;
    store_sqlite_account_t   *dirty;
    store_sqlite_chunk_t     *chunks;
    store_sqlite_chunk_t     *chunk;     /* in use, those before it are full */
    size_t                    used;      /* of it */
} store_sqlite_accounts_t;


/* A restore, from the thread that asked to the writer's and back. */
typedef struct {
    sqlite3     *source;          /* borrowed: checked, with a new epoch */
    int          done;
    int          rc;              /* an SQLite code; -1: no lock, or closing */
} store_sqlite_restore_t;


typedef struct {
    pthread_t           thread;
    pthread_mutex_t     mutex;        /* guards all down to "failed" */
    pthread_cond_t      wanted;       /* something queued, or closing */
    store_request_t    *queue;
    store_request_t   **queue_tail;
    store_request_t    *done;
    store_request_t   **done_tail;
    size_t              waiting;      /* submitted, not done */
    int                 closing;
    uint64_t            commits;
    uint64_t            writes;       /* requests committed */
    uint64_t            wal_bytes;
    int64_t             checkpoint_ms;
    int                 failed;       /* the last commit failed */
    store_sqlite_restore_t  *restore;     /* wanted; owned by who waits */
    pthread_cond_t      restored;

    /* the thread's own */

    store_sqlite_db_t   db;
    store_sqlite_accounts_t  accounts;
    store_request_t    *backlog;      /* taken, not yet in a batch */
    store_request_t   **backlog_tail;
    uint64_t            wal_due;      /* bytes: checkpoint from here on */
    uint64_t            wal_seen;     /* bytes after the last commit */
    int64_t             truncate_us;  /* not before: TRUNCATE */
    int64_t             sweep_us;     /* not before: sweep */
    int64_t             overdue_us;   /* then, though not idle */
    int64_t             trim_ns;      /* changes: the next to look at */
    int64_t             optimize_us;
    int64_t             reported_us;  /* last failure logged */
    int                 reported;     /* its code */
    uint64_t            unreported;   /* requests failed since */
} store_sqlite_writer_t;


typedef struct {
    pthread_mutex_t     mutex;        /* guards all below */
    pthread_cond_t      released;     /* a connection came back */
    store_sqlite_db_t  *free;
    size_t              count;        /* open, in use or free */
} store_sqlite_reader_t;


struct store_s {
    store_config_t         config;    /* path: owned copy */
    char                  *path;
    store_sqlite_lock_t   *lock;
    store_sqlite_writer_t  writer;
    store_sqlite_reader_t  reader;
};


/* What the writer's connection runs. */
typedef enum {
    STORE_SQL_BEGIN = 0,
    STORE_SQL_COMMIT,
    STORE_SQL_ROLLBACK,
    STORE_SQL_SAVEPOINT,
    STORE_SQL_RELEASE,
    STORE_SQL_UNDO,
    STORE_SQL_NS_GET,
    STORE_SQL_NS_NAME,
    STORE_SQL_NS_ADD,
    STORE_SQL_NS_SET,
    STORE_SQL_NS_REMOVE,
    STORE_SQL_ITEM_GET,
    STORE_SQL_ITEM_VALUE,
    STORE_SQL_ITEM_ADD,
    STORE_SQL_ITEM_SET,
    STORE_SQL_ITEM_INCR,
    STORE_SQL_ITEM_REMOVE,
    STORE_SQL_ENTRY_GET,
    STORE_SQL_ENTRY_ADD,
    STORE_SQL_CHANGE_ADD,
    STORE_SQL_CHANGE_NEXT,
    STORE_SQL_CHANGE_REMOVE,
    STORE_SQL_DROPPED_ADD,
    STORE_SQL_SWEEP_DUE,
    STORE_SQL_SWEEP_NEXT,
    STORE_SQL_SWEEP_DROPPED_ITEMS,
    STORE_SQL_SWEEP_DROPPED_ENTRIES,
    STORE_SQL_SWEEP_DROPPED_CHANGES,
    STORE_SQL_SWEEP_DROPPED,
    STORE_SQL_MAX
} store_sqlite_sql_t;


/* store_sqlite.c */

/* Microseconds of the monotonic clock; milliseconds of the real one. */
int64_t store_sqlite_now_us(void);
int64_t store_sqlite_now_ms(void);

/* The absolute monotonic time "ms" from now, for pthread_cond_timedwait(). */
void store_sqlite_time_after(struct timespec *ts, int64_t ms);

/* A condition on the monotonic clock.  0, or an errno. */
int store_sqlite_cond_open(pthread_cond_t *cond);

/* Starts a thread that takes no signals.  0, or an errno. */
int store_sqlite_thread_open(pthread_t *thread, void *(*run)(void *),
    void *data, const char *name);

/* Opens a connection, limits and pragmas set, but no authorizer yet; "sql"
   has STORE_SQLITE_STATEMENTS texts.  An SQLite code; db->handle may be there
   for its error text, close it in any case. */
int store_sqlite_db_open(store_t *store, store_sqlite_db_t *db,
    const char *const *sql, int query_only);

/* The same for another file, without statements and deadlines. */
int store_sqlite_db_open_copy(store_t *store, store_sqlite_db_t *db,
    const char *path);

/* From here on the connection runs our statements only. */
void store_sqlite_db_seal(store_sqlite_db_t *db, int query_only);

/* Harmless on one that never opened. */
void store_sqlite_db_close(store_sqlite_db_t *db);

/* The n-th statement, prepared once; NULL and an error in the handle. */
sqlite3_stmt *store_sqlite_statement(store_sqlite_db_t *db, unsigned n);

/* Binds bytes as a blob, never as NULL.  An SQLite code. */
int store_sqlite_bind(sqlite3_stmt *statement, int n, bytes_t b);

/* View of a blob column, good until the statement moves. */
bytes_t store_sqlite_column(sqlite3_stmt *statement, int n);

/* sqlite3_step() that keeps the errno of a failure: SQLite does not tell it
   when a commit fails. */
int store_sqlite_step(store_sqlite_db_t *db, sqlite3_stmt *statement);

/* Runs a statement without rows; the second binds ?1 and, when the text has
   one, ?2.  An SQLite code. */
int store_sqlite_run(store_sqlite_db_t *db, store_sqlite_sql_t n);
int store_sqlite_run_numbers(store_sqlite_db_t *db, store_sqlite_sql_t n,
    int64_t a, int64_t b);

/* Runs a statement that was bound, and resets it. */
int store_sqlite_run_done(store_sqlite_db_t *db, sqlite3_stmt *statement);

/* Steps once; the caller resets, found or not. */
int store_sqlite_run_row(store_sqlite_db_t *db, sqlite3_stmt *statement,
    int *found);

/* What the code of the last step means to the caller of the store. */
store_rc_t store_sqlite_rc(const store_sqlite_db_t *db, int rc);

/* One line for the operator. */
void store_sqlite_log(store_t *store, int error, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));


/* store_sqlite_lock.c */

/* Opens the lock file, 0600, and starts the thread that waits.  NULL and
   errno. */
store_sqlite_lock_t *store_sqlite_lock_open(const char *path);

/* Takes the host lock.  0; EBUSY: not had within "ms"; or another errno.
   One caller at a time. */
int store_sqlite_lock_take(store_sqlite_lock_t *lock, int64_t ms);

/* Gives the host lock back. */
void store_sqlite_lock_release(store_sqlite_lock_t *lock);

/* Under the host lock: 1 when no other open store of this file is alive on
   the host, 0 when one is, -1 and errno.  Marks this one as alive. */
int store_sqlite_lock_first(store_sqlite_lock_t *lock);

/* Never waits, also when the lock is not to be had. */
void store_sqlite_lock_close(store_sqlite_lock_t *lock);


/* store_sqlite_schema.c */

/* Texts of the statements of the writer's connection. */
extern const char *const  store_sqlite_writer_sql[STORE_SQLITE_STATEMENTS];

/* Under the host lock, before the connection is sealed: refuses what must
   not be used, migrates when config.migrate is set.  0, or -1 and a sentence
   in "error". */
int store_sqlite_schema_open(store_t *store, store_sqlite_db_t *db,
    char *error, size_t error_size);


/* Gives the store an epoch when it has none, or another one. */
int store_sqlite_schema_epoch(sqlite3 *handle, int anew);

/* Of a copy that nobody else has open: refuses what is not a whole database
   of this release or one before, migrates it.  0, or -1 and a sentence. */
int store_sqlite_schema_verify(store_t *store, store_sqlite_db_t *db,
    char *error, size_t error_size);


/* store_sqlite_writer.c */

/* Takes over writer.db, which is open and sealed.  0, or an errno. */
int store_sqlite_writer_open(store_t *store);

/* The adapter's submit, take and health; see store.h. */
store_rc_t store_sqlite_writer_submit(store_t *store,
    store_request_t *request);
store_request_t *store_sqlite_writer_take(store_t *store);
void store_sqlite_writer_health(store_t *store, store_health_t *health);

/* Lets the thread put all of the source in place of what is there, and waits.
   0, an SQLite code, or -1: the lock was not had or the store closes. */
int store_sqlite_writer_restore(store_t *store, sqlite3 *source);

/* Commits what is queued, or fails it with STORE_BUSY when the lock is not
   to be had; then ends the thread. */
void store_sqlite_writer_close(store_t *store);

/* In the thread, after a failure: 0 when no transaction is left. */
int store_sqlite_writer_end(store_t *store, int rc);

/* In the thread, under the host lock.  An SQLite code. */
int store_sqlite_writer_checkpoint(store_t *store, int mode);

/* In the thread, under the host lock: a new connection for the writer. */
void store_sqlite_writer_reopen(store_t *store);


/* store_sqlite_report.c */

/* Of the writer: what failed, an SQLite code, and how many requests with it.
   Then that it works again, when it had failed. */
void store_sqlite_report_failure(store_t *store, const char *what, int rc,
    size_t requests);
void store_sqlite_report_healed(store_t *store);


/* store_sqlite_apply.c */

/* Inside a write transaction.  An SQLite code; the commit writes what became
   of the namespaces first. */
int store_sqlite_apply_begin(store_sqlite_writer_t *writer);
int store_sqlite_apply_commit(store_sqlite_writer_t *writer);
int store_sqlite_apply_rollback(store_sqlite_writer_t *writer);

/* Applies one request, inside a savepoint when it has several operations,
   and sets its rc, failed and results.  SQLITE_OK also when a condition did
   not hold; another code when the engine failed, then the savepoint is undone
   if the transaction is still there (sqlite3_get_autocommit()), the request
   without a savepoint is not, and the caller logs. */
int store_sqlite_apply_request(store_sqlite_writer_t *writer,
    store_request_t *request, int64_t now_ms);

/* Turns a finished or unfinished request into a failed one. */
void store_sqlite_apply_fail(store_request_t *request, store_rc_t rc);

/* store_sqlite_account.c; SQLite codes, inside a write transaction */

/* The namespace of that name, read when the transaction has not met it. */
int store_sqlite_account_find(store_sqlite_writer_t *writer, bytes_t name,
    store_sqlite_account_t **account);

/* The namespace of that id; NULL: none has it. */
int store_sqlite_account_of(store_sqlite_writer_t *writer, int64_t id,
    store_sqlite_account_t **account);

/* Makes it, and those above it, when now.id is 0. */
int store_sqlite_account_make(store_sqlite_writer_t *writer,
    store_sqlite_account_t *account);

/* Before the first change of "now" in a request. */
void store_sqlite_account_touch(store_sqlite_writer_t *writer,
    store_sqlite_account_t *account);

/* Counts items and bytes in it, and in those above. */
int store_sqlite_account_add(store_sqlite_writer_t *writer,
    store_sqlite_account_t *account, int64_t items, int64_t bytes);

/* STORE_OK, or STORE_QUOTA and request->usage. */
store_rc_t store_sqlite_account_check(store_sqlite_writer_t *writer,
    store_request_t *request);

/* The request holds; it does not. */
void store_sqlite_account_keep(store_sqlite_writer_t *writer);
void store_sqlite_account_undo(store_sqlite_writer_t *writer);

/* Writes what was kept. */
int store_sqlite_account_flush(store_sqlite_writer_t *writer);

/* Forgets all: around each transaction. */
void store_sqlite_account_clear(store_sqlite_writer_t *writer);
void store_sqlite_account_close(store_sqlite_writer_t *writer);


/* store_sqlite_change.c; SQLite codes */

/* What has changed; borrowed. */
typedef struct {
    store_change_t  change;
    bytes_t         key;
    bytes_t         note;
    int64_t         now_ms;
} store_sqlite_change_t;

/* A change at account->now.item_seq. */
int store_sqlite_change_add(store_sqlite_writer_t *writer,
    const store_sqlite_account_t *account,
    const store_sqlite_change_t *change);

/* Read only: 1 when some namespace, of a few that are looked at in turn, has
   changes from before; 0, or -1. */
int store_sqlite_change_due(store_sqlite_writer_t *writer, int64_t before_ms);

/* Removes the oldest of that namespace; "more": there may be others. */
int store_sqlite_change_trim(store_sqlite_writer_t *writer,
    int64_t before_ms, int *more);


/* store_sqlite_sweep.c */

/* Sweeps when it is time; in the thread. */
void store_sqlite_sweep_run(store_t *store, int idle);

/* Milliseconds between two sweeps. */
int64_t store_sqlite_sweep_interval(const store_t *store);


/* store_sqlite_backup.c: the adapter's backup and restore; see store.h. */
int store_sqlite_backup_make(store_t *store, const char *path, char *error,
    size_t error_size);
int store_sqlite_backup_restore(store_t *store, const char *path,
    char *error, size_t error_size);

/* In the writer's thread, between two batches: does a restore that is
   wanted. */
void store_sqlite_backup_run(store_t *store);


/* store_sqlite_reader.c */

/* 0, or an errno.  Then the adapter's read, from any thread; see store.h. */
int store_sqlite_reader_open(store_t *store);
store_rc_t store_sqlite_reader_read(store_t *store, const store_read_t *reads,
    store_rows_t *rows, size_t count);

/* No read may be running. */
void store_sqlite_reader_close(store_t *store);


#endif /* _STORE_SQLITE_H_INCLUDED_ */
