/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The writer: group commit, the bounded queue, processes that write at once,
 * a lock that is not to be had, a full disk, and a log that stays small.
 *
 * A test holds the host lock by a lock of its own where it wants requests to
 * gather.
 */


#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store_fixture.h"


#define PROCESSES      4
#define PROCESS_WRITES 200


static void test_processes(void);
static void write_process(const char *path, int number, int fd);
static void test_group(void);
static void test_batch_bound(void);
static void test_failure_stays_alone(void);
static void test_queue_full(void);
static void test_close_drains(void);
static void test_close_without_lock(void);
static void test_full_disk(void);
static void test_full_inside_batch(void);
static size_t fill_disk(fixture_t *f, store_rc_t *rc);
static void test_wal_bound(void);
static void test_readers(void);
static void *read_thread(void *data);
static store_sqlite_lock_t *hold_lock(fixture_t *f);
static void open_writes(fixture_write_t *w, size_t count);
static void submit(fixture_t *f, fixture_write_t *w, size_t count);
static void name_write(fixture_write_t *w, store_op_kind_t kind,
    const char *ns, size_t n);


static char  names[2000][16];     /* keys of named writes */


int
main(void)
{
    (void) signal(SIGXFSZ, SIG_IGN);

    test_processes();
    test_group();
    test_batch_bound();
    test_failure_stays_alone();
    test_queue_full();
    test_close_drains();
    test_close_without_lock();
    test_full_disk();
    test_full_inside_batch();
    test_wal_bound();
    test_readers();

    return tap_done();
}


/* Forks, so it comes before any thread. */
static void
test_processes(void)
{
    int        i, n, status, good, pipes[2];
    pid_t      pids[PROCESSES];
    uint8_t    seen[PROCESSES * PROCESS_WRITES + 1];
    uint64_t   seq;
    fixture_t  f;

    fixture_open(&f);

    if (pipe(pipes) == -1) {
        tap_ok(0, "a pipe");
        return;
    }

    for (i = 0; i < PROCESSES; i++) {
        pids[i] = fork();

        if (pids[i] == 0) {
            write_process(f.path, i, pipes[1]);
        }
    }

    close(pipes[1]);
    memset(seen, 0, sizeof(seen));
    good = 0;

    for (n = 0; read(pipes[0], &seq, sizeof(seq)) == sizeof(seq); n++) {
        if (seq >= 1 && seq < sizeof(seen) && !seen[seq]) {
            seen[seq] = 1;
            good++;
        }
    }

    close(pipes[0]);

    for (i = 0; i < PROCESSES; i++) {
        status = -1;
        waitpid(pids[i], &status, 0);
        tap_ok(status == 0, "process %d opened, wrote and closed", i);
    }

    tap_ok(n == PROCESSES * PROCESS_WRITES && good == n,
           "%d processes at once: %d entries have the seqs 1 to %d, each "
           "once", PROCESSES, n, n);

    fixture_store_open(&f);
    tap_ok(fixture_head(&f, "shared") == (uint64_t) n
           && fixture_sql(&f, "SELECT count(*) FROM entry") == n
           && fixture_sql(&f, "PRAGMA user_version") == 2,
           "all are there, and the first process alone migrated");
    tap_ok(fixture_intact(&f), "the file is intact");

    fixture_close(&f);
}


static void
write_process(const char *path, int number, int fd)
{
    int              i, bad;
    char             id[32];
    fixture_t        f;
    fixture_write_t  w;

    fixture_open(&f);
    f.config.path = path;
    bad = 0;

    if (!fixture_store_open(&f)) {
        fprintf(stderr, "# %s\n", f.error);
        _exit(1);
    }

    for (i = 0; i < PROCESS_WRITES; i++) {
        snprintf(id, sizeof(id), "m_%d_%d", number, i);

        w.request.count = 0;
        fixture_op(&w, STORE_APPEND, "shared", id)->dedupe = bytes_of(id);

        bad += fixture_write(&f, &w) != STORE_OK;
        bad += write(fd, &w.results[0].seq, sizeof(uint64_t))
               != sizeof(uint64_t);
    }

    fixture_close(&f);
    _exit(bad != 0);
}


static void
test_group(void)
{
    size_t                i, bad;
    fixture_t             f;
    store_health_t        health;
    fixture_write_t       w[100];
    store_sqlite_lock_t  *lock;

    fixture_open(&f);
    fixture_store_open(&f);
    open_writes(w, 100);

    for (i = 0; i < 100; i++) {
        name_write(&w[i], STORE_APPEND, "group", i);
    }

    /* the first one makes the writer wait for the lock, the others gather */

    lock = hold_lock(&f);
    submit(&f, w, 100);
    store_sqlite.health(f.store, &health);
    tap_ok(health.queue == 100 && health.commits == 0
           && store_sqlite.take(f.store) == NULL,
           "while another process has the lock, 100 requests wait");

    store_sqlite_lock_release(lock);
    tap_ok(fixture_take(&f, 100) == 100, "then they are done");

    store_sqlite.health(f.store, &health);
    tap_ok(health.commits < 50 && health.writes == 100 && health.queue == 0,
           "in far fewer commits: %llu", (unsigned long long) health.commits);

    bad = 0;

    for (i = 0; i < 100; i++) {
        bad += w[i].request.rc != STORE_OK || w[i].results[0].seq != i + 1;
    }

    tap_ok(bad == 0, "in the order in which they came");

    store_sqlite_lock_close(lock);
    fixture_close(&f);
}


static void
test_batch_bound(void)
{
    size_t                i;
    fixture_t             f;
    store_health_t        health;
    store_sqlite_lock_t  *lock;

    static fixture_write_t  w[600];

    fixture_open(&f);
    fixture_store_open(&f);
    open_writes(w, 600);

    for (i = 0; i < 600; i++) {
        name_write(&w[i], STORE_PUT, "bound", i);
    }

    lock = hold_lock(&f);
    submit(&f, w, 600);
    store_sqlite_lock_release(lock);

    tap_ok(fixture_take(&f, 600) == 600, "600 requests are done");
    store_sqlite.health(f.store, &health);
    tap_ok(health.commits >= 3 && health.commits < 300,
           "in %llu commits: a batch has at most %d operations",
           (unsigned long long) health.commits, STORE_SQLITE_BATCH_OPS);

    store_sqlite_lock_close(lock);
    fixture_close(&f);
}


static void
test_failure_stays_alone(void)
{
    fixture_t             f;
    fixture_write_t       w[4];
    store_sqlite_lock_t  *lock;

    fixture_open(&f);
    fixture_store_open(&f);
    open_writes(w, 4);

    fixture_op(&w[0], STORE_APPEND, "alone", "m_1")->dedupe = bytes_of("d");
    fixture_op(&w[1], STORE_APPEND, "alone", "m_2");
    fixture_op(&w[1], STORE_CHECK, "alone", "none")->condition
        = STORE_IF_PRESENT;
    fixture_op(&w[2], STORE_APPEND, "alone", "m_3");
    fixture_op(&w[3], STORE_APPEND, "alone", "m_4")->dedupe = bytes_of("d");

    lock = hold_lock(&f);
    submit(&f, w, 4);
    store_sqlite_lock_release(lock);
    fixture_take(&f, 4);

    tap_ok(w[0].request.rc == STORE_OK && w[0].results[0].seq == 1
           && w[2].request.rc == STORE_OK && w[2].results[0].seq == 2,
           "requests beside one that fails are committed, without a hole");
    tap_ok(w[1].request.rc == STORE_CONDITION && w[1].request.failed == 1,
           "that one alone has failed");
    tap_ok(w[3].request.rc == STORE_OK && w[3].results[0].rc == STORE_EXISTS
           && w[3].results[0].seq == 1,
           "a repeat in the same batch finds the first");
    store_request_release(&w[3].request);

    store_sqlite_lock_close(lock);
    fixture_close(&f);
}


static void
test_queue_full(void)
{
    size_t                i;
    fixture_t             f;
    fixture_write_t       w[5];
    store_sqlite_lock_t  *lock;

    fixture_open(&f);
    f.config.queue_max = 4;
    fixture_store_open(&f);
    open_writes(w, 5);

    for (i = 0; i < 5; i++) {
        name_write(&w[i], STORE_PUT, "queue", i);
    }

    lock = hold_lock(&f);
    submit(&f, w, 4);
    tap_ok(store_sqlite.submit(f.store, &w[4].request) == STORE_BUSY,
           "one more than the queue holds is refused at once");

    store_sqlite_lock_release(lock);
    tap_ok(fixture_take(&f, 4) == 4, "the others are done");
    tap_ok(fixture_write(&f, &w[4]) == STORE_OK, "then there is room again");

    store_sqlite_lock_close(lock);
    fixture_close(&f);
}


static void
test_close_drains(void)
{
    size_t           i, bad;
    fixture_t        f;
    fixture_write_t  w[200];

    fixture_open(&f);
    fixture_store_open(&f);
    open_writes(w, 200);

    for (i = 0; i < 200; i++) {
        name_write(&w[i], STORE_PUT, "drain", i);
    }

    submit(&f, w, 200);
    fixture_store_close(&f);

    bad = 0;

    for (i = 0; i < 200; i++) {
        bad += w[i].request.rc != STORE_OK || w[i].results[0].seq != i + 1;
    }

    fixture_store_open(&f);
    tap_ok(bad == 0 && fixture_has(&f, "drain", names[199], ""),
           "closing writes what was queued");

    fixture_close(&f);
}


static void
test_close_without_lock(void)
{
    int64_t               start;
    fixture_t             f;
    fixture_write_t       w[2];
    store_sqlite_lock_t  *lock;

    fixture_open(&f);
    fixture_store_open(&f);
    open_writes(w, 2);
    name_write(&w[0], STORE_PUT, "locked", 0);
    name_write(&w[1], STORE_PUT, "locked", 1);

    lock = hold_lock(&f);
    submit(&f, w, 2);

    start = store_sqlite_now_us();
    fixture_store_close(&f);

    tap_ok(store_sqlite_now_us() - start
           < (STORE_SQLITE_LOCK_MS + 10000) * 1000LL,
           "closing ends although another process keeps the lock");
    tap_ok(w[0].request.rc == STORE_BUSY && w[1].request.rc == STORE_BUSY,
           "what could not be written says so");
    tap_ok(strstr(f.text, "was not had within") != NULL,
           "and the operator is told: %s", f.text);

    store_sqlite_lock_release(lock);
    store_sqlite_lock_close(lock);

    fixture_store_open(&f);
    tap_ok(fixture_has(&f, "locked", names[0], NULL),
           "it was not written later");

    fixture_close(&f);
}


/*
 * A limit on the size of files stands for the full disk; SQLite sees the
 * same: a write that does not fit.
 */

static void
test_full_disk(void)
{
    size_t         acked;
    fixture_t      f;
    store_rc_t     rc;
    struct rlimit  old, limit;

    fixture_open(&f);
    fixture_store_open(&f);

    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = 512 * 1024;
    setrlimit(RLIMIT_FSIZE, &limit);

    acked = fill_disk(&f, &rc);

    tap_ok(rc == STORE_FULL && acked > 10,
           "after %zu writes the disk is full", acked);
    tap_ok(strstr(f.text, "requests failed") != NULL,
           "the operator is told: %s", f.text);
    tap_ok(fixture_head(&f, "full") == acked
           && fixture_sql(&f, "SELECT count(*) FROM entry")
              == (int64_t) acked,
           "what was acknowledged is there, what failed is not");

    setrlimit(RLIMIT_FSIZE, &old);

    tap_ok(fixture_append(&f, "full", "m_after", "") == acked + 1,
           "with room again it writes on, without being reopened");
    tap_ok(strstr(f.text, "again") != NULL, "and says so: %s", f.text);
    tap_ok(fixture_intact(&f), "the file is intact");

    fixture_close(&f);
}


/*
 * A request too large for the cache meets the full disk in the middle of its
 * batch.  Whatever becomes of the others, each is there or has failed.
 */

static void
test_full_inside_batch(void)
{
    size_t                i, good, full;
    fixture_t             f;
    struct rlimit         old, limit;
    fixture_write_t       w[5];
    static uint8_t        value[400000];
    store_sqlite_lock_t  *lock;

    fixture_open(&f);
    f.config.cache_bytes = 65536;
    fixture_store_open(&f);
    open_writes(w, 5);

    for (i = 0; i < 5; i++) {
        name_write(&w[i], STORE_PUT, "inside", i);
    }

    for (i = 0; i < 5; i++) {
        fixture_op(&w[2], STORE_PUT, "inside-large", names[i])->value
            = bytes_make(value, sizeof(value));
    }

    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = 512 * 1024;

    lock = hold_lock(&f);
    submit(&f, w, 5);
    setrlimit(RLIMIT_FSIZE, &limit);
    store_sqlite_lock_release(lock);
    fixture_take(&f, 5);
    setrlimit(RLIMIT_FSIZE, &old);

    tap_ok(w[2].request.rc == STORE_FULL, "a request that does not fit has "
           "failed: %s", f.text);

    good = 0;
    full = 0;

    for (i = 0; i < 5; i++) {
        if (w[i].request.rc == STORE_OK) {
            good += fixture_has(&f, "inside", names[i], "");

        } else if (w[i].request.rc == STORE_FULL) {
            full += fixture_has(&f, "inside", names[i], NULL);
        }
    }

    tap_ok(good + full == 5, "of its batch %zu are there and %zu have failed",
           good, full);
    tap_ok(fixture_has(&f, "inside-large", names[0], NULL),
           "nothing of it is there");

    w[2].request.count = 5;
    tap_ok(fixture_write(&f, &w[2]) == STORE_OK && fixture_intact(&f),
           "with room again it is written, and the file is intact");

    store_sqlite_lock_close(lock);
    fixture_close(&f);
}


/* Writes until a write fails, at most 4 MiB; the number acknowledged. */
static size_t
fill_disk(fixture_t *f, store_rc_t *rc)
{
    char             id[32];
    size_t           n;
    fixture_write_t  w;
    static uint8_t   value[4000];

    for (n = 0; n < 1000; n++) {
        snprintf(id, sizeof(id), "m_%zu", n);
        w.request.count = 0;
        fixture_op(&w, STORE_APPEND, "full", id)->value
            = bytes_make(value, sizeof(value));

        *rc = fixture_write(f, &w);

        if (*rc != STORE_OK) {
            break;
        }
    }

    return n;
}


static void
test_wal_bound(void)
{
    int              i, bad;
    char             key[32], path[320];
    fixture_t        f;
    struct stat      st;
    store_health_t   health;
    fixture_write_t  w;
    static uint8_t   value[200000];

    fixture_open(&f);
    fixture_store_open(&f);
    bad = 0;

    for (i = 0; i < 200; i++) {
        snprintf(key, sizeof(key), "%d", i);
        w.request.count = 0;
        fixture_op(&w, STORE_PUT, "wal", key)->value
            = bytes_make(value, sizeof(value));
        bad += fixture_write(&f, &w) != STORE_OK;
    }

    store_sqlite.health(f.store, &health);
    snprintf(path, sizeof(path), "%s-wal", f.path);
    stat(path, &st);

    tap_ok(bad == 0 && st.st_size > STORE_SQLITE_WAL_PASSIVE / 2
           && st.st_size < STORE_SQLITE_WAL_PASSIVE * 3
           && health.wal_bytes < STORE_SQLITE_WAL_PASSIVE * 3,
           "after 40 MB the log has %lld bytes", (long long) st.st_size);

    fixture_store_close(&f);
    stat(path, &st);
    tap_ok(st.st_size == 0, "a closed store leaves an empty log");

    fixture_close(&f);
}


/* More threads than readers, beside a writer. */
static void
test_readers(void)
{
    int        i, bad;
    char       id[32];
    void      *result;
    pthread_t  threads[8];
    fixture_t  f;

    fixture_open(&f);
    fixture_store_open(&f);
    fixture_append(&f, "readers", "m_0", "");
    bad = 0;

    for (i = 0; i < 8; i++) {
        bad += pthread_create(&threads[i], NULL, read_thread, &f) != 0;
    }

    for (i = 1; i < 200; i++) {
        snprintf(id, sizeof(id), "m_%d", i);
        fixture_append(&f, "readers", id, "");
    }

    for (i = 0; i < 8; i++) {
        pthread_join(threads[i], &result);
        bad += result != NULL;
    }

    tap_ok(bad == 0, "8 threads share 2 readers, and each sees a feed that "
           "ends at its head, beside a writer");

    fixture_close(&f);
}


static void *
read_thread(void *data)
{
    fixture_t *f = data;

    int           i;
    store_read_t  read;
    store_rows_t  rows;

    memset(&read, 0, sizeof(store_read_t));
    read.kind = STORE_FEED;
    read.ns = bytes_of("readers");
    read.limit = 3;
    read.reverse = 1;

    for (i = 0; i < 200; i++) {
        if (store_sqlite.read(f->store, &read, &rows, 1) != STORE_OK
            || rows.count == 0 || rows.rows[0].seq != rows.head)
        {
            return f;
        }

        store_rows_release(&rows, 1);
    }

    return NULL;
}


/* Helpers. */

static store_sqlite_lock_t *
hold_lock(fixture_t *f)
{
    char                  path[320];
    store_sqlite_lock_t  *lock;

    snprintf(path, sizeof(path), "%s.lock", f->path);

    lock = store_sqlite_lock_open(path);

    if (lock == NULL || store_sqlite_lock_take(lock, FIXTURE_WAIT_MS) != 0) {
        printf("Bail out! no lock\n");
        exit(1);
    }

    return lock;
}


static void
open_writes(fixture_write_t *w, size_t count)
{
    memset(w, 0, count * sizeof(fixture_write_t));
}


static void
submit(fixture_t *f, fixture_write_t *w, size_t count)
{
    size_t  i;

    for (i = 0; i < count; i++) {
        if (store_sqlite.submit(f->store, &w[i].request) != STORE_OK) {
            tap_ok(0, "request %zu is accepted", i);
        }
    }
}


static void
name_write(fixture_write_t *w, store_op_kind_t kind, const char *ns, size_t n)
{
    snprintf(names[n], sizeof(names[n]), "m_%zu", n);
    fixture_op(w, kind, ns, names[n]);
}
