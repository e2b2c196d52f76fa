/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * kill -9 of processes that write: every write that was acknowledged is
 * there, with its seq, exactly once; seqs have no hole; the file is intact.
 *
 *     store_crash_test [rounds]      default 20
 *
 * Each round starts two processes that append to one namespace, with many
 * requests outstanding, and kills them at random moments, one after the
 * other.  What a process was told it writes to a pipe, which outlives it.
 * Then this process opens the store, as the next worker would, and compares.
 */


#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "store_fixture.h"


#define ROUNDS       20
#define FRESH_ROUNDS 10          /* then a new database */
#define WRITERS      2
#define OUTSTANDING  64
#define ACKS_MAX     100000      /* of one round */
#define CRASH_MS     120         /* a process lives that long at most */
#define FIRST_ACK_MS  20000


typedef struct {
    uint64_t  seq;
    uint32_t  writer;             /* its number, over all rounds */
    uint32_t  n;                  /* of its messages */
} crash_ack_t;


typedef struct {
    store_request_t  request;
    store_op_t       op;
    store_result_t   result;
    char             id[32];
    uint32_t         n;
} crash_write_t;


static pid_t start_writer(const char *path, unsigned number, int fd);
static void run_writer(const char *path, unsigned number, int fd);
static int submit_next(fixture_t *f, crash_write_t *w, unsigned number,
    uint32_t n);
static void wait_ack(int fd);
static void kill_later(pid_t pid, int fd);
static void read_acks(int fd);
static int check_acks(fixture_t *f, unsigned *missing);
static int check_ack(fixture_t *f, const crash_ack_t *ack);


static crash_ack_t  acks[ACKS_MAX];
static size_t       acked;        /* of acks */


int
main(int argc, char **argv)
{
    int        i, rounds, good, fds[2];
    pid_t      pids[WRITERS];
    unsigned   number, missing, faults, holes, failed;
    uint64_t   total;
    fixture_t  f;

    rounds = (argc > 1) ? (int) strtol(argv[1], NULL, 10) : ROUNDS;
    srandom((unsigned) (getpid() ^ time(NULL)));

    fixture_open(&f);

    number = 0;
    missing = 0;
    faults = 0;
    holes = 0;
    failed = 0;
    total = 0;

    for (good = 0; good < rounds; good++) {

        /* the check of a large file at start would take up all of a life */

        if (good != 0 && good % FRESH_ROUNDS == 0) {
            fixture_close(&f);
            fixture_open(&f);
        }

        if (pipe(fds) == -1) {
            break;
        }

        for (i = 0; i < WRITERS; i++) {
            pids[i] = start_writer(f.path, number++, fds[1]);
        }

        close(fds[1]);

        /* on a busy machine a life may end before its first commit: every
           other round lives to see one */

        if (good % 2 == 1) {
            wait_ack(fds[0]);
        }

        for (i = 0; i < WRITERS; i++) {
            kill_later(pids[i], fds[0]);
        }

        read_acks(fds[0]);
        close(fds[0]);

        if (!fixture_store_open(&f)) {
            printf("# %s\n", f.error);
            failed++;
            break;
        }

        holes += check_acks(&f, &missing);
        total += acked;
        acked = 0;
        faults += !fixture_intact(&f);
        fixture_store_close(&f);
    }

    tap_ok(good == rounds && failed == 0,
           "%d rounds of kill -9, and the store opened after each", good);
    tap_ok(total >= (uint64_t) rounds / 2, "%llu writes were acknowledged",
           (unsigned long long) total);
    tap_ok(missing == 0, "%u of them were lost or changed", missing);
    tap_ok(holes == 0, "seqs had a hole after %u rounds", holes);
    tap_ok(faults == 0, "the file was damaged after %u rounds", faults);

    fixture_close(&f);

    return tap_done();
}


static pid_t
start_writer(const char *path, unsigned number, int fd)
{
    pid_t  pid;

    fflush(stdout);
    pid = fork();

    if (pid == 0) {
        run_writer(path, number, fd);
        _exit(1);
    }

    return pid;
}


static void
run_writer(const char *path, unsigned number, int fd)
{
    uint32_t          next;
    fixture_t         f;
    crash_ack_t       ack;
    crash_write_t    *w;
    store_request_t  *list;

    static crash_write_t  writes[OUTSTANDING];

    /* an own fixture would leave its folder behind */

    memset(&f, 0, sizeof(fixture_t));
    pthread_mutex_init(&f.mutex, NULL);
    store_sqlite_cond_open(&f.changed);

    f.config.path = path;
    f.config.queue_max = OUTSTANDING;
    f.config.durable = 1;
    f.config.migrate = 1;
    f.config.notify = fixture_notify;
    f.config.data = &f;

    if (!fixture_store_open(&f)) {
        fprintf(stderr, "# %s\n", f.error);
        return;
    }

    for (next = 0; next < OUTSTANDING; next++) {
        if (submit_next(&f, &writes[next], number, next) != 0) {
            return;
        }
    }

    for ( ;; ) {
        pthread_mutex_lock(&f.mutex);

        while (f.notified == 0) {
            pthread_cond_wait(&f.changed, &f.mutex);
        }

        f.notified = 0;
        pthread_mutex_unlock(&f.mutex);

        list = store_sqlite.take(f.store);

        while (list != NULL) {
            w = list->data;
            list = list->next;

            memset(&ack, 0, sizeof(crash_ack_t));
            ack.seq = w->result.seq;
            ack.writer = number;
            ack.n = w->n;

            if (w->request.rc != STORE_OK
                || write(fd, &ack, sizeof(crash_ack_t))
                   != sizeof(crash_ack_t)
                || submit_next(&f, w, number, next++) != 0)
            {
                return;
            }
        }
    }
}


static int
submit_next(fixture_t *f, crash_write_t *w, unsigned number, uint32_t n)
{
    memset(w, 0, sizeof(crash_write_t));

    snprintf(w->id, sizeof(w->id), "m_%u_%u", number, n);

    w->n = n;
    w->op.kind = STORE_APPEND;
    w->op.ns = bytes_of("crash");
    w->op.key = bytes_of(w->id);
    w->op.value = w->op.key;
    w->op.dedupe = w->op.key;
    w->request.ops = &w->op;
    w->request.results = &w->result;
    w->request.count = 1;
    w->request.data = w;

    return (store_sqlite.submit(f->store, &w->request) == STORE_OK) ? 0 : -1;
}


/* The first ack of a round; without one the round goes on as it is. */
static void
wait_ack(int fd)
{
    struct pollfd  pfd;

    pfd.fd = fd;
    pfd.events = POLLIN;

    if (poll(&pfd, 1, FIRST_ACK_MS) == 1
        && acked < ACKS_MAX
        && read(fd, &acks[acked], sizeof(crash_ack_t))
           == sizeof(crash_ack_t))
    {
        acked++;
    }
}


/* Takes acks in, so that the pipe does not fill, until the moment comes. */
static void
kill_later(pid_t pid, int fd)
{
    int64_t        until, left;
    struct pollfd  pfd;

    until = store_sqlite_now_us() + random() % (CRASH_MS * 1000);

    for ( ;; ) {
        left = until - store_sqlite_now_us();

        if (left <= 0) {
            break;
        }

        pfd.fd = fd;
        pfd.events = POLLIN;

        if (poll(&pfd, 1, (int) (left / 1000) + 1) == 1
            && acked < ACKS_MAX
            && read(fd, &acks[acked], sizeof(crash_ack_t))
               == sizeof(crash_ack_t))
        {
            acked++;
        }
    }

    (void) kill(pid, SIGKILL);
    (void) waitpid(pid, NULL, 0);
}


static void
read_acks(int fd)
{
    while (acked < ACKS_MAX
           && read(fd, &acks[acked], sizeof(crash_ack_t))
              == sizeof(crash_ack_t))
    {
        acked++;
    }
}


/* Adds to "missing"; 1 when seqs, of all rounds, have a hole. */
static int
check_acks(fixture_t *f, unsigned *missing)
{
    size_t  i;

    for (i = 0; i < acked; i++) {
        *missing += !check_ack(f, &acks[i]);
    }

    return fixture_sql(f, "SELECT count(*) FROM entry")
           != (int64_t) fixture_head(f, "crash")
           || fixture_sql(f, "SELECT max(place & 0xfffffffff) FROM entry")
              != (int64_t) fixture_head(f, "crash");
}


static int
check_ack(fixture_t *f, const crash_ack_t *ack)
{
    int           good;
    char          id[32];
    store_read_t  read;
    store_rows_t  rows;

    snprintf(id, sizeof(id), "m_%u_%u", ack->writer, ack->n);

    memset(&read, 0, sizeof(store_read_t));
    read.kind = STORE_FEED;
    read.key = bytes_of(id);

    if (fixture_read(f, &read, "crash", &rows) != STORE_OK) {
        return 0;
    }

    good = rows.count == 1 && rows.rows[0].seq == ack->seq
           && bytes_equal_text(rows.rows[0].value, id);

    store_rows_release(&rows, 1);

    return good;
}
