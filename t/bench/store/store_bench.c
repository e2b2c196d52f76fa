/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Durable message append: the store with many requests outstanding, as an
 * event loop has them, against plain SQLite with one insert per transaction,
 * into the same tables, both with synchronous=FULL; and the disk's floor, one
 * fdatasync() after another.
 *
 *     store_bench FOLDER [rounds [seconds [outstanding]]]
 *
 * Rounds are interleaved, figures are medians; CPU time is of the whole
 * process, all threads, user and system.
 */


#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "store_sqlite.h"


#define ROUNDS_MAX       31
#define OUTSTANDING_MAX  1024
#define MESSAGE_SIZE     200      /* bytes of a message */
#define ROOMS            20
#define LATENCY_US_MAX   100000


enum {
    KIND_FLOOR = 0,
    KIND_PLAIN,
    KIND_STORE,
    KINDS
};


typedef struct {
    double  ops;                  /* a second */
    double  cpu_us;               /* an operation */
    double  p50_us;
    double  p99_us;
} bench_figure_t;


typedef struct {
    store_request_t  request;
    store_op_t       op;
    store_result_t   result;
    char             ns[16];
    char             id[32];
    int64_t          start_us;
} bench_write_t;


typedef struct {
    char             folder[512];
    char             path[600];
    double           seconds;
    size_t           outstanding;
    uint64_t         next;        /* number of the next message */
    store_t         *store;
    pthread_mutex_t  mutex;
    pthread_cond_t   changed;
    unsigned         notified;
    uint8_t          message[MESSAGE_SIZE];
    uint32_t         latency[LATENCY_US_MAX + 1];   /* counts, by us */
} bench_t;


static void run_round(bench_t *b, int kind, bench_figure_t *figure);
static uint64_t run_floor(bench_t *b, int64_t until_us);
static uint64_t run_plain(bench_t *b, int64_t until_us);
static int run_insert(sqlite3 *handle, sqlite3_stmt **statements,
    bench_t *b, int64_t id);
static uint64_t run_store(bench_t *b, int64_t until_us);
static void submit_next(bench_t *b, bench_write_t *w);
static void notify(void *data);
static void add_latency(bench_t *b, int64_t start_us);
static double find_latency(const bench_t *b, double part);
static int64_t cpu_us(void);
static void remove_database(bench_t *b);
static double median(bench_figure_t *figures, int rounds, size_t member);
static int compare(const void *a, const void *b);
static void fail(const char *what);


static const char *const  names[KINDS] = {
    [KIND_FLOOR] = "fdatasync() alone",
    [KIND_PLAIN] = "one insert per transaction",
    [KIND_STORE] = "store"
};


int
main(int argc, char **argv)
{
    int             i, kind, rounds;
    double          ops[KINDS], cpu[KINDS];

    static bench_t         b;
    static bench_figure_t  figures[KINDS][ROUNDS_MAX];

    if (argc < 2) {
        fprintf(stderr, "usage: store_bench FOLDER [rounds [seconds "
                "[outstanding]]]\n");
        return 2;
    }

    snprintf(b.folder, sizeof(b.folder), "%s", argv[1]);
    snprintf(b.path, sizeof(b.path), "%s/bench.db", b.folder);

    rounds = (argc > 2) ? (int) strtol(argv[2], NULL, 10) : 5;
    b.seconds = (argc > 3) ? strtod(argv[3], NULL) : 2;
    b.outstanding = (argc > 4) ? strtoul(argv[4], NULL, 10) : 64;

    if (rounds < 1 || rounds > ROUNDS_MAX || b.outstanding < 1
        || b.outstanding > OUTSTANDING_MAX || b.seconds <= 0)
    {
        fail("arguments out of range");
    }

    memset(b.message, 'm', sizeof(b.message));
    pthread_mutex_init(&b.mutex, NULL);
    store_sqlite_cond_open(&b.changed);

    for (i = 0; i < rounds; i++) {
        for (kind = 0; kind < KINDS; kind++) {
            run_round(&b, kind, &figures[kind][i]);
        }
    }

    printf("durable append of %d-byte messages to %d rooms, %zu outstanding, "
           "synchronous=FULL,\nmedian of %d rounds of %g s, SQLite %s\n\n",
           MESSAGE_SIZE, ROOMS, b.outstanding, rounds, b.seconds,
           sqlite3_libversion());
    printf("%-28s %10s %12s %10s %10s\n", "", "ops/s", "CPU us/op", "p50 us",
           "p99 us");

    for (kind = 0; kind < KINDS; kind++) {
        ops[kind] = median(figures[kind], rounds, 0);
        cpu[kind] = median(figures[kind], rounds, 1);

        printf("%-28s %10.0f %12.1f %10.0f %10.0f\n", names[kind], ops[kind],
               cpu[kind], median(figures[kind], rounds, 2),
               median(figures[kind], rounds, 3));
    }

    printf("\nstore / one insert per transaction: %.1f x the operations, "
           "%.2f x the CPU time\n", ops[KIND_STORE] / ops[KIND_PLAIN],
           cpu[KIND_STORE] / cpu[KIND_PLAIN]);

    return 0;
}


static void
run_round(bench_t *b, int kind, bench_figure_t *figure)
{
    int64_t   start_us, end_us, start_cpu_us;
    uint64_t  n;

    memset(b->latency, 0, sizeof(b->latency));
    remove_database(b);

    start_us = store_sqlite_now_us();
    start_cpu_us = cpu_us();
    end_us = start_us + (int64_t) (b->seconds * 1000000);

    switch (kind) {

    case KIND_FLOOR:
        n = run_floor(b, end_us);
        break;

    case KIND_PLAIN:
        n = run_plain(b, end_us);
        break;

    default:
        n = run_store(b, end_us);
    }

    if (n == 0) {
        fail("nothing was written");
    }

    figure->ops = (double) n * 1000000
                  / (double) (store_sqlite_now_us() - start_us);
    figure->cpu_us = (double) (cpu_us() - start_cpu_us) / (double) n;
    figure->p50_us = find_latency(b, 0.5);
    figure->p99_us = find_latency(b, 0.99);

    remove_database(b);
}


static uint64_t
run_floor(bench_t *b, int64_t until_us)
{
    int       fd;
    int64_t   start_us;
    uint64_t  n;
    uint8_t   page[4096];

    memset(page, 0, sizeof(page));

    fd = open(b->path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd == -1) {
        fail(b->path);
    }

    for (n = 0; (start_us = store_sqlite_now_us()) < until_us; n++) {
        if (pwrite(fd, page, sizeof(page), (off_t) (n * sizeof(page)))
            != sizeof(page) || fdatasync(fd) == -1)
        {
            fail("pwrite");
        }

        add_latency(b, start_us);
    }

    close(fd);

    return n;
}


/* The tables are the store's, made by it; the loop is plain SQLite. */
static uint64_t
run_plain(bench_t *b, int64_t until_us)
{
    int             i;
    int64_t         id, start_us;
    sqlite3        *handle;
    uint64_t        n;
    sqlite3_stmt   *statements[4];
    store_config_t  config;

    static const char *const  sql[] = {
        "BEGIN IMMEDIATE",
        ("INSERT INTO entry (place, ns, at_ms, id, dedupe, value)"
         " VALUES (?1, ?2, ?3, ?4, ?4, ?5)"),
        "UPDATE namespace SET entry_seq = entry_seq + 1 WHERE id = ?1",
        "COMMIT"
    };

    memset(&config, 0, sizeof(store_config_t));
    config.path = b->path;
    config.durable = 1;
    config.migrate = 1;

    b->store = store_sqlite.open(&config, b->path, sizeof(b->path));
    if (b->store == NULL) {
        fail(b->path);
    }

    store_sqlite.close(b->store);

    if (sqlite3_open(b->path, &handle) != SQLITE_OK
        || sqlite3_exec(handle, "PRAGMA synchronous = FULL;"
                        "PRAGMA cache_size = -16384", NULL, NULL, NULL)
           != SQLITE_OK)
    {
        fail("sqlite3_open");
    }

    for (id = 1; id <= ROOMS; id++) {
        if (sqlite3_exec(handle, "INSERT INTO namespace (name)"
                         " VALUES (randomblob(8))", NULL, NULL, NULL)
            != SQLITE_OK)
        {
            fail("INSERT");
        }
    }

    for (i = 0; i < 4; i++) {
        if (sqlite3_prepare_v2(handle, sql[i], -1, &statements[i], NULL)
            != SQLITE_OK)
        {
            fail(sqlite3_errmsg(handle));
        }
    }

    for (n = 0; (start_us = store_sqlite_now_us()) < until_us; n++) {
        if (run_insert(handle, statements, b, (int64_t) (n % ROOMS) + 1)
            != SQLITE_DONE)
        {
            fail(sqlite3_errmsg(handle));
        }

        add_latency(b, start_us);
    }

    for (i = 0; i < 4; i++) {
        sqlite3_finalize(statements[i]);
    }

    sqlite3_close(handle);

    return n;
}


static int
run_insert(sqlite3 *handle, sqlite3_stmt **statements, bench_t *b, int64_t id)
{
    int   i, rc;
    char  text[32];

    snprintf(text, sizeof(text), "m_%020llu", (unsigned long long) b->next);

    sqlite3_bind_int64(statements[1], 1,
                       id << STORE_SQLITE_SEQ_BITS | (int64_t) b->next);
    sqlite3_bind_int64(statements[1], 2, id);
    sqlite3_bind_int64(statements[1], 3, store_sqlite_now_ms());
    sqlite3_bind_blob(statements[1], 4, text, (int) strlen(text),
                      SQLITE_STATIC);
    sqlite3_bind_blob(statements[1], 5, b->message, MESSAGE_SIZE,
                      SQLITE_STATIC);
    sqlite3_bind_int64(statements[2], 1, id);

    b->next++;
    rc = SQLITE_DONE;

    for (i = 0; i < 4 && rc == SQLITE_DONE; i++) {
        rc = sqlite3_step(statements[i]);
        (void) sqlite3_reset(statements[i]);
    }

    return rc;
}


static uint64_t
run_store(bench_t *b, int64_t until_us)
{
    size_t            i, flying;
    uint64_t          n;
    bench_write_t    *w;
    store_config_t    config;
    store_request_t  *list;

    static bench_write_t  writes[OUTSTANDING_MAX];

    memset(&config, 0, sizeof(store_config_t));
    config.path = b->path;
    config.queue_max = OUTSTANDING_MAX;
    config.durable = 1;
    config.migrate = 1;
    config.notify = notify;
    config.data = b;

    b->store = store_sqlite.open(&config, b->path, sizeof(b->path));
    if (b->store == NULL) {
        fail(b->path);
    }

    for (i = 0; i < b->outstanding; i++) {
        submit_next(b, &writes[i]);
    }

    n = 0;
    flying = b->outstanding;

    while (flying != 0) {
        pthread_mutex_lock(&b->mutex);

        while (b->notified == 0) {
            pthread_cond_wait(&b->changed, &b->mutex);
        }

        b->notified = 0;
        pthread_mutex_unlock(&b->mutex);

        list = store_sqlite.take(b->store);

        while (list != NULL) {
            w = list->data;
            list = list->next;

            if (w->request.rc != STORE_OK) {
                fail("a write failed");
            }

            add_latency(b, w->start_us);
            n++;

            if (store_sqlite_now_us() < until_us) {
                submit_next(b, w);

            } else {
                flying--;
            }
        }
    }

    store_sqlite.close(b->store);

    return n;
}


static void
submit_next(bench_t *b, bench_write_t *w)
{
    memset(w, 0, sizeof(bench_write_t));

    snprintf(w->ns, sizeof(w->ns), "r_%llu",
             (unsigned long long) b->next % ROOMS);
    snprintf(w->id, sizeof(w->id), "m_%020llu",
             (unsigned long long) b->next);

    b->next++;

    w->start_us = store_sqlite_now_us();
    w->op.kind = STORE_APPEND;
    w->op.ns = bytes_of(w->ns);
    w->op.key = bytes_of(w->id);
    w->op.dedupe = w->op.key;
    w->op.value = bytes_make(b->message, MESSAGE_SIZE);
    w->request.ops = &w->op;
    w->request.results = &w->result;
    w->request.count = 1;
    w->request.data = w;

    if (store_sqlite.submit(b->store, &w->request) != STORE_OK) {
        fail("submit");
    }
}


static void
notify(void *data)
{
    bench_t *b = data;

    pthread_mutex_lock(&b->mutex);
    b->notified = 1;
    pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->mutex);
}


static void
add_latency(bench_t *b, int64_t start_us)
{
    int64_t  us;

    us = store_sqlite_now_us() - start_us;
    b->latency[(us < LATENCY_US_MAX) ? us : LATENCY_US_MAX]++;
}


static double
find_latency(const bench_t *b, double part)
{
    size_t    i;
    uint64_t  n, total;

    total = 0;

    for (i = 0; i <= LATENCY_US_MAX; i++) {
        total += b->latency[i];
    }

    n = 0;

    for (i = 0; i < LATENCY_US_MAX; i++) {
        n += b->latency[i];

        if ((double) n >= part * (double) total) {
            break;
        }
    }

    return (double) i;
}


static int64_t
cpu_us(void)
{
    struct rusage  usage;

    getrusage(RUSAGE_SELF, &usage);

    return ((int64_t) usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000
           + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}


static void
remove_database(bench_t *b)
{
    size_t  i;
    char    name[620];

    static const char *const  suffixes[] = { "", "-wal", "-shm", ".lock" };

    for (i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        snprintf(name, sizeof(name), "%s%s", b->path, suffixes[i]);
        (void) unlink(name);
    }
}


/* Of the n-th member of the figures. */
static double
median(bench_figure_t *figures, int rounds, size_t member)
{
    int     i;
    double  values[ROUNDS_MAX];

    for (i = 0; i < rounds; i++) {
        memcpy(&values[i], (uint8_t *) &figures[i] + member * sizeof(double),
               sizeof(double));
    }

    qsort(values, (size_t) rounds, sizeof(double), compare);

    return values[rounds / 2];
}


static int
compare(const void *a, const void *b)
{
    double  x, y;

    memcpy(&x, a, sizeof(double));
    memcpy(&y, b, sizeof(double));

    return (x > y) - (x < y);
}


static void
fail(const char *what)
{
    fprintf(stderr, "store_bench: %s\n", what);
    exit(1);
}
