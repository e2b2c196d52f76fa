/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The writer: a bounded queue, one thread, group commit, checkpoints.
 *
 * submit() and take() run on the event loop, the rest in the thread.  This
 * thread is the only one of the process that writes or checkpoints, and it
 * does both under the host lock only.
 *
 *     queue --> backlog --> lock, BEGIN, requests, COMMIT, unlock --> done
 *                                                                      |
 *     event loop <-- take() <-- notify(), once a batch <---------------+
 *
 * A batch ends at STORE_SQLITE_BATCH_OPS, _BYTES or _US; what is left in the
 * backlog is the next one.  Between two batches other processes get the lock.
 * Checkpoints and sweeps come after the answers of the batch before them.
 *
 * When the engine fails, the transaction may be gone as a whole (it is after
 * SQLITE_FULL, may be after IOERR, NOMEM, BUSY and INTERRUPT); then every
 * request of the batch has failed, whichever met the error.
 */


#include "store_sqlite.h"

#include <errno.h>
#include <stdlib.h>


typedef struct {
    store_request_t   *first;     /* applied, in order */
    store_request_t  **last;
    size_t             requests;
    size_t             ops;
    size_t             bytes;
    int64_t            end_us;    /* commit then, whatever is left */
} store_sqlite_batch_t;


static void *run_writer(void *data);
static int wait_queued(store_t *store);
static int take_queued(store_sqlite_writer_t *writer);
static void take_queued_locked(store_sqlite_writer_t *writer);
static void commit_batch(store_t *store);
static int begin_batch(store_t *store);
static int apply_backlog(store_t *store, store_sqlite_batch_t *batch);
static int keep_transaction(store_sqlite_db_t *db,
    const store_request_t *request, int rc);
static void move_request(store_sqlite_writer_t *writer,
    store_sqlite_batch_t *batch);
static size_t count_bytes(const store_request_t *request);
static void fail_batch(store_t *store, store_sqlite_batch_t *batch, int rc);
static void fail_backlog(store_t *store, store_rc_t rc);
static void finish_batch(store_t *store, store_sqlite_batch_t *batch,
    int committed);
static int count_frames(void *data, sqlite3 *handle, const char *name,
    int frames);
static void checkpoint(store_t *store);
static void close_writer(store_t *store);


/* The event loop's side. */

int
store_sqlite_writer_open(store_t *store)
{
    int                     rc;
    int64_t                 now_us;
    store_sqlite_writer_t  *writer;

    writer = &store->writer;

    writer->queue_tail = &writer->queue;
    writer->done_tail = &writer->done;
    writer->backlog_tail = &writer->backlog;
    writer->wal_due = STORE_SQLITE_WAL_PASSIVE;

    now_us = store_sqlite_now_us();
    writer->sweep_us = now_us + store_sqlite_sweep_interval(store) * 1000;
    writer->overdue_us = writer->sweep_us;
    writer->optimize_us = now_us + (int64_t) STORE_SQLITE_OPTIMIZE_MS * 1000;

    sqlite3_wal_hook(writer->db.handle, count_frames, writer);

    rc = store_sqlite_cond_open(&writer->wanted);

    if (rc != 0) {
        return rc;
    }

    rc = store_sqlite_cond_open(&writer->restored);

    if (rc != 0) {
        pthread_cond_destroy(&writer->wanted);
        return rc;
    }

    rc = pthread_mutex_init(&writer->mutex, NULL);

    if (rc == 0) {
        rc = store_sqlite_thread_open(&writer->thread, run_writer, store,
                                      "mesh-writer");

        if (rc == 0) {
            return 0;
        }

        pthread_mutex_destroy(&writer->mutex);
    }

    pthread_cond_destroy(&writer->wanted);
    pthread_cond_destroy(&writer->restored);

    return rc;
}


store_rc_t
store_sqlite_writer_submit(store_t *store, store_request_t *request)
{
    int                     idle;
    store_sqlite_writer_t  *writer;

    if (store_request_check(request) != STORE_OK) {
        return STORE_INVALID;
    }

    writer = &store->writer;

    request->next = NULL;
    request->rc = STORE_OK;
    request->failed = 0;
    memset(request->results, 0, request->count * sizeof(store_result_t));
    memset(&request->usage, 0, sizeof(store_usage_t));

    pthread_mutex_lock(&writer->mutex);

    if (writer->closing || writer->waiting >= store->config.queue_max) {
        pthread_mutex_unlock(&writer->mutex);
        return STORE_BUSY;
    }

    idle = (writer->queue == NULL);

    *writer->queue_tail = request;
    writer->queue_tail = &request->next;
    writer->waiting++;

    if (idle) {
        pthread_cond_signal(&writer->wanted);
    }

    pthread_mutex_unlock(&writer->mutex);

    return STORE_OK;
}


store_request_t *
store_sqlite_writer_take(store_t *store)
{
    store_request_t        *list;
    store_sqlite_writer_t  *writer;

    writer = &store->writer;

    pthread_mutex_lock(&writer->mutex);

    list = writer->done;
    writer->done = NULL;
    writer->done_tail = &writer->done;

    pthread_mutex_unlock(&writer->mutex);

    return list;
}


void
store_sqlite_writer_health(store_t *store, store_health_t *health)
{
    store_sqlite_writer_t  *writer;

    writer = &store->writer;

    health->adapter = store_sqlite.name;
    health->version = sqlite3_libversion();

    pthread_mutex_lock(&writer->mutex);

    health->wal_bytes = writer->wal_bytes;
    health->queue = writer->waiting;
    health->commits = writer->commits;
    health->writes = writer->writes;
    health->checkpoint_ms = writer->checkpoint_ms;
    health->failed = writer->failed;

    pthread_mutex_unlock(&writer->mutex);
}


int
store_sqlite_writer_restore(store_t *store, sqlite3 *source)
{
    store_sqlite_writer_t   *writer;
    store_sqlite_restore_t   wanted;

    writer = &store->writer;

    memset(&wanted, 0, sizeof(store_sqlite_restore_t));
    wanted.source = source;

    pthread_mutex_lock(&writer->mutex);

    if (writer->closing || writer->restore != NULL) {
        pthread_mutex_unlock(&writer->mutex);
        return -1;
    }

    writer->restore = &wanted;
    pthread_cond_signal(&writer->wanted);

    while (!wanted.done) {
        pthread_cond_wait(&writer->restored, &writer->mutex);
    }

    pthread_mutex_unlock(&writer->mutex);

    return wanted.rc;
}


void
store_sqlite_writer_close(store_t *store)
{
    store_sqlite_writer_t  *writer;

    writer = &store->writer;

    pthread_mutex_lock(&writer->mutex);

    writer->closing = 1;
    pthread_cond_signal(&writer->wanted);

    pthread_mutex_unlock(&writer->mutex);

    pthread_join(writer->thread, NULL);

    store_sqlite_db_close(&writer->db);
    store_sqlite_account_close(writer);
    pthread_cond_destroy(&writer->restored);
    pthread_cond_destroy(&writer->wanted);
    pthread_mutex_destroy(&writer->mutex);
}


/* The thread. */

static void *
run_writer(void *data)
{
    store_t *store = data;

    int                     idle;
    store_sqlite_writer_t  *writer;

    writer = &store->writer;

    while (wait_queued(store)) {

        idle = (writer->backlog == NULL);

        if (!idle) {
            commit_batch(store);
        }

        store_sqlite_backup_run(store);

        if (writer->wal_seen >= writer->wal_due) {
            checkpoint(store);
        }

        store_sqlite_sweep_run(store, idle);
    }

    close_writer(store);

    return NULL;
}


/*
 * Waits until there is something to write, or it is time to sweep.  0 when
 * the store closes and all is written.
 */

static int
wait_queued(store_t *store)
{
    int                     rc, more;
    int64_t                 left_us;
    struct timespec         until;
    store_sqlite_writer_t  *writer;

    writer = &store->writer;
    rc = 0;

    left_us = writer->sweep_us - store_sqlite_now_us();
    store_sqlite_time_after(&until, (left_us > 0) ? left_us / 1000 + 1 : 0);

    pthread_mutex_lock(&writer->mutex);

    while (writer->queue == NULL && writer->backlog == NULL
           && writer->restore == NULL && !writer->closing
           && rc != ETIMEDOUT)
    {
        rc = pthread_cond_timedwait(&writer->wanted, &writer->mutex, &until);
    }

    take_queued_locked(writer);

    more = (writer->backlog != NULL || writer->restore != NULL
            || !writer->closing);

    pthread_mutex_unlock(&writer->mutex);

    return more;
}


/* 1 when there is a backlog now. */
static int
take_queued(store_sqlite_writer_t *writer)
{
    pthread_mutex_lock(&writer->mutex);
    take_queued_locked(writer);
    pthread_mutex_unlock(&writer->mutex);

    return writer->backlog != NULL;
}


static void
take_queued_locked(store_sqlite_writer_t *writer)
{
    if (writer->queue == NULL) {
        return;
    }

    *writer->backlog_tail = writer->queue;
    writer->backlog_tail = writer->queue_tail;

    writer->queue = NULL;
    writer->queue_tail = &writer->queue;
}


static void
commit_batch(store_t *store)
{
    int                     rc;
    store_sqlite_batch_t    batch;
    store_sqlite_writer_t  *writer;

    writer = &store->writer;

    memset(&batch, 0, sizeof(store_sqlite_batch_t));
    batch.last = &batch.first;

    if (begin_batch(store) != 0) {
        return;
    }

    batch.end_us = store_sqlite_now_us() + STORE_SQLITE_BATCH_US;

    rc = apply_backlog(store, &batch);

    if (rc == SQLITE_OK) {
        rc = store_sqlite_apply_commit(writer);
    }

    if (rc != SQLITE_OK) {
        fail_batch(store, &batch, rc);

        if (store_sqlite_writer_end(store, rc) != 0) {
            store_sqlite_writer_reopen(store);
        }
    }

    store_sqlite_lock_release(store->lock);

    finish_batch(store, &batch, rc == SQLITE_OK);
}


/* The host lock and a transaction; or else all that waits has failed. */
static int
begin_batch(store_t *store)
{
    int                     rc;
    store_sqlite_writer_t  *writer;

    writer = &store->writer;

    rc = store_sqlite_lock_take(store->lock, STORE_SQLITE_LOCK_MS);

    if (rc != 0) {
        store_sqlite_log(store, rc, "store: the lock on \"%s.lock\" was not "
                         "had within %d s, another process holds it; what "
                         "waited is refused", store->path,
                         STORE_SQLITE_LOCK_MS / 1000);
        fail_backlog(store, (rc == EBUSY) ? STORE_BUSY : STORE_FAILED);
        return -1;
    }

    if (writer->db.handle == NULL) {
        store_sqlite_writer_reopen(store);

        if (writer->db.handle == NULL) {
            store_sqlite_lock_release(store->lock);
            fail_backlog(store, STORE_FAILED);
            return -1;
        }
    }

    rc = store_sqlite_apply_begin(writer);

    if (rc != SQLITE_OK) {
        store_sqlite_report_failure(store, "BEGIN", rc, 1);
        rc = store_sqlite_rc(&writer->db, rc);
        store_sqlite_lock_release(store->lock);
        fail_backlog(store, (store_rc_t) rc);
        return -1;
    }

    return 0;
}


/*
 * Applies from the backlog until a bound is met.  SQLITE_OK, also when some
 * requests failed for themselves; another code when all of the batch did.
 */

static int
apply_backlog(store_t *store, store_sqlite_batch_t *batch)
{
    int                     rc;
    int64_t                 now_ms;
    store_request_t        *request;
    store_sqlite_writer_t  *writer;

    writer = &store->writer;
    now_ms = store_sqlite_now_ms();

    /* what came during the wait for the lock, or since, comes along */

    while (writer->backlog != NULL || take_queued(writer)) {
        request = writer->backlog;

        if (batch->requests != 0
            && (batch->ops + request->count > STORE_SQLITE_BATCH_OPS
                || batch->bytes + count_bytes(request)
                   > STORE_SQLITE_BATCH_BYTES
                || store_sqlite_now_us() > batch->end_us))
        {
            break;
        }

        move_request(writer, batch);

        rc = store_sqlite_apply_request(writer, request, now_ms);

        if (rc == SQLITE_OK) {
            continue;
        }

        if (!keep_transaction(&writer->db, request, rc)) {
            return rc;
        }

        store_sqlite_report_failure(store, "a request", rc, 1);
    }

    return SQLITE_OK;
}


/* After a request failed in the engine: 1 when the others of the batch may
   still be committed. */
static int
keep_transaction(store_sqlite_db_t *db, const store_request_t *request,
    int rc)
{
    /* a request of one operation has no savepoint to go back to */

    if (sqlite3_get_autocommit(db->handle) || request->count == 1) {
        return 0;
    }

    switch (rc & 0xff) {

    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_NOMEM:
    case SQLITE_BUSY:
    case SQLITE_INTERRUPT:
        return 1;

    default:
        return 0;
    }
}


static void
move_request(store_sqlite_writer_t *writer, store_sqlite_batch_t *batch)
{
    store_request_t  *request;

    request = writer->backlog;
    writer->backlog = request->next;

    if (writer->backlog == NULL) {
        writer->backlog_tail = &writer->backlog;
    }

    request->next = NULL;
    *batch->last = request;
    batch->last = &request->next;

    batch->requests++;
    batch->ops += request->count;
    batch->bytes += count_bytes(request);
}


static size_t
count_bytes(const store_request_t *request)
{
    size_t  i, bytes;

    bytes = 0;

    for (i = 0; i < request->count; i++) {
        bytes += request->ops[i].key.len + request->ops[i].value.len;
    }

    return bytes;
}


static void
fail_batch(store_t *store, store_sqlite_batch_t *batch, int rc)
{
    store_rc_t        result;
    store_request_t  *request;

    result = store_sqlite_rc(&store->writer.db, rc);

    store_sqlite_report_failure(store, "a commit", rc, batch->requests);

    for (request = batch->first; request; request = request->next) {
        request->failed = 0;
        store_sqlite_apply_fail(request, result);
    }

    /* pages that go home make room in the log */

    if (result == STORE_FULL) {
        store->writer.wal_due = 0;
    }
}


static void
fail_backlog(store_t *store, store_rc_t rc)
{
    store_sqlite_batch_t    batch;
    store_sqlite_writer_t  *writer;

    writer = &store->writer;

    memset(&batch, 0, sizeof(store_sqlite_batch_t));
    batch.last = &batch.first;

    while (writer->backlog != NULL) {
        store_sqlite_apply_fail(writer->backlog, rc);
        move_request(writer, &batch);
    }

    finish_batch(store, &batch, 0);
}


/* Hands the batch over, all of it at once. */
static void
finish_batch(store_t *store, store_sqlite_batch_t *batch, int committed)
{
    store_sqlite_writer_t  *writer;

    if (batch->requests == 0) {
        return;
    }

    writer = &store->writer;

    if (committed) {
        store_sqlite_report_healed(store);
    }

    pthread_mutex_lock(&writer->mutex);

    *writer->done_tail = batch->first;
    writer->done_tail = batch->last;

    writer->waiting -= batch->requests;
    writer->wal_bytes = writer->wal_seen;
    writer->failed = !committed;

    if (committed) {
        writer->commits++;
        writer->writes += batch->requests;
    }

    pthread_mutex_unlock(&writer->mutex);

    if (store->config.notify != NULL) {
        store->config.notify(store->config.data);
    }
}


int
store_sqlite_writer_end(store_t *store, int rc)
{
    store_sqlite_db_t  *db;

    db = &store->writer.db;

    if (!sqlite3_get_autocommit(db->handle)) {
        (void) store_sqlite_apply_rollback(&store->writer);
    }

    switch (rc & 0xff) {

    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_MISUSE:
    case SQLITE_READONLY:
        return -1;

    default:
        return sqlite3_get_autocommit(db->handle) ? 0 : -1;
    }
}


void
store_sqlite_writer_reopen(store_t *store)
{
    int                 rc;
    store_sqlite_db_t  *db;

    db = &store->writer.db;

    store_sqlite_db_close(db);

    rc = store_sqlite_db_open(store, db, store_sqlite_writer_sql, 0);

    if (rc != SQLITE_OK) {
        store_sqlite_report_failure(store, "opening it again", rc, 0);
        store_sqlite_db_close(db);
        return;
    }

    store_sqlite_db_seal(db, 0);
    sqlite3_wal_hook(db->handle, count_frames, &store->writer);
}


/* Checkpoints. */

static int
count_frames(void *data, sqlite3 *handle, const char *name, int frames)
{
    store_sqlite_writer_t *writer = data;

    uint64_t  bytes;

    bytes = (uint64_t) frames * STORE_SQLITE_WAL_FRAME;

    /* the log was started over */

    if (bytes < writer->wal_seen) {
        writer->wal_due = STORE_SQLITE_WAL_PASSIVE;
    }

    writer->wal_seen = bytes;

    return SQLITE_OK;
}


/*
 * PASSIVE copies what no reader needs and waits for nobody.  When readers
 * have kept the log from starting over for too long, TRUNCATE waits for them,
 * shortly, while new ones read the database alone.
 */

static void
checkpoint(store_t *store)
{
    int                     rc;
    int64_t                 now_us;
    store_sqlite_writer_t  *writer;

    writer = &store->writer;

    if (writer->db.handle == NULL
        || store_sqlite_lock_take(store->lock, STORE_SQLITE_LOCK_MS) != 0)
    {
        return;
    }

    now_us = store_sqlite_now_us();

    if (writer->wal_seen >= STORE_SQLITE_WAL_TRUNCATE
        && now_us >= writer->truncate_us)
    {
        writer->truncate_us = now_us + 1000000;
        rc = store_sqlite_writer_checkpoint(store, SQLITE_CHECKPOINT_TRUNCATE);

    } else {
        rc = store_sqlite_writer_checkpoint(store, SQLITE_CHECKPOINT_PASSIVE);
    }

    store_sqlite_lock_release(store->lock);

    writer->wal_due = writer->wal_seen + STORE_SQLITE_WAL_STEP;

    if (writer->wal_due < STORE_SQLITE_WAL_PASSIVE) {
        writer->wal_due = STORE_SQLITE_WAL_PASSIVE;
    }

    if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY) {
        store_sqlite_report_failure(store, "a checkpoint", rc, 0);
    }
}


int
store_sqlite_writer_checkpoint(store_t *store, int mode)
{
    int       rc, frames, copied;
    sqlite3  *handle;

    handle = store->writer.db.handle;

    sqlite3_busy_timeout(handle, STORE_SQLITE_TRUNCATE_MS);
    rc = sqlite3_wal_checkpoint_v2(handle, NULL, mode, &frames, &copied);
    sqlite3_busy_timeout(handle, STORE_SQLITE_BUSY_MS);

    if (rc != SQLITE_OK) {
        return rc;
    }

    if (mode == SQLITE_CHECKPOINT_TRUNCATE) {
        store->writer.wal_seen = 0;
    }

    pthread_mutex_lock(&store->writer.mutex);

    store->writer.checkpoint_ms = store_sqlite_now_ms();
    store->writer.wal_bytes = store->writer.wal_seen;

    pthread_mutex_unlock(&store->writer.mutex);

    return SQLITE_OK;
}


/*
 * The last checkpoint leaves the database file complete, so that a copy of
 * it, made while no process runs, is a whole copy.
 */

static void
close_writer(store_t *store)
{
    if (store->writer.db.handle == NULL
        || store_sqlite_lock_take(store->lock, STORE_SQLITE_CLOSE_MS) != 0)
    {
        return;
    }

    (void) store_sqlite_writer_checkpoint(store, SQLITE_CHECKPOINT_TRUNCATE);

    store_sqlite_lock_release(store->lock);
}
