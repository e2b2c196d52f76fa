/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The ring: records come out as they went in, an overrun reader is told, and
 * a writer that is killed at any moment leaves a ring that all can go on
 * with.  The last part runs several processes on shared memory.
 */


#include "ring.h"
#include "tap.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>


#define TEST_MEMORY    8192       /* bytes of the rings of one process */
#define TEST_SHARED    (256 * 1024)
#define TEST_WRITERS   3
#define TEST_READERS   2
#define TEST_ROUNDS    60         /* writers that die */
#define TEST_RECORDS   4000       /* of a writer that is let finish */
#define TEST_PAGE      4096
#define TEST_PAYLOAD   1500       /* bytes, at most */


/* What the processes of test_processes_* share. */
typedef struct {
    pthread_mutex_t  mutex;       /* robust: survives its holder */
    atomic_int       stop;
    atomic_ulong     good;        /* records read whole */
    atomic_ulong     bad;         /* records of wrong bytes or order */
    atomic_ulong     overruns;
    uint64_t         memory[TEST_SHARED / 8];
} test_shared_t;


typedef struct {
    uint32_t  writer;
    uint32_t  number;             /* of the record, from 1 */
    uint32_t  length;             /* bytes behind this head */
    uint32_t  sum;
} test_head_t;


static uint64_t  test_memory[TEST_MEMORY / 8];


static ring_rc_t
append_text(ring_t *ring, const char *text)
{
    bytes_t  part;

    part = bytes_of(text);

    return ring_append(ring, &part, 1);
}


/* Takes what is there and compares the records with a list of texts that
   ends in NULL; true when both end together. */
static int
expect_texts(const ring_t *ring, uint64_t *cursor, size_t size,
    const char *const *texts)
{
    bytes_t       record;
    uint8_t       buf[TEST_MEMORY];
    ring_batch_t  batch;

    batch.buf = buf;
    batch.size = size;

    while (ring_take(ring, cursor, &batch) == RING_OK) {

        while (ring_batch_next(&batch, cursor, &record) == RING_OK) {

            if (*texts == NULL || !bytes_equal_text(record, *texts)) {
                return 0;
            }

            texts++;
        }

        if (batch.want != 0) {
            batch.size = batch.want;
        }
    }

    return *texts == NULL;
}


static void
test_open_refuses_small_memory(void)
{
    tap_ok(ring_open(test_memory, RING_SIZE_MIN - 1) == NULL,
           "memory below the minimum is refused");
    tap_ok(ring_open(NULL, TEST_MEMORY) == NULL, "no memory is refused");
}


static void
test_records_in_order(void)
{
    bytes_t             parts[3];
    ring_t             *ring;
    uint64_t            cursor, late;
    static const char  *all[] = { "one", "", "two parts", NULL };
    static const char  *none[] = { NULL };

    ring = ring_open(test_memory, TEST_MEMORY);
    cursor = ring_head(ring);

    tap_ok(expect_texts(ring, &cursor, 64, none), "a new ring is empty");

    append_text(ring, "one");
    append_text(ring, "");

    parts[0] = bytes_of("two");
    parts[1] = bytes_make(NULL, 0);
    parts[2] = bytes_of(" parts");
    ring_append(ring, parts, 3);

    late = ring_head(ring);

    tap_ok(expect_texts(ring, &cursor, 4096, all),
           "records come out in order, empty ones and parts joined");
    tap_ok(expect_texts(ring, &cursor, 4096, none), "and only once");
    tap_ok(expect_texts(ring, &late, 4096, none),
           "a reader that starts at the head sees no older record");
}


static void
test_record_larger_than_buffer(void)
{
    ring_t             *ring;
    uint64_t            cursor;
    static const char  *all[] = {
        "short", "a record that is longer than the buffer", "end", NULL
    };

    ring = ring_open(test_memory, TEST_MEMORY);
    cursor = ring_head(ring);

    append_text(ring, all[0]);
    append_text(ring, all[1]);
    append_text(ring, all[2]);

    tap_ok(expect_texts(ring, &cursor, 16, all),
           "a record beyond the buffer tells the size that it wants");
}


static void
test_too_large(void)
{
    bytes_t         part, parts[2];
    ring_t         *ring;
    uint64_t        head;
    static uint8_t  data[TEST_MEMORY];

    ring = ring_open(test_memory, TEST_MEMORY);
    head = ring_head(ring);

    part = bytes_make(data, (size_t) ring->size / 2);
    tap_ok(ring_append(ring, &part, 1) == RING_LARGE,
           "more than half of the ring is refused");

    parts[0] = bytes_make(data, SIZE_MAX);
    parts[1] = bytes_make(data, 2);
    tap_ok(ring_append(ring, parts, 2) == RING_LARGE,
           "lengths that overflow are refused");
    tap_ok(ring_head(ring) == head, "a refusal changes nothing");

    part = bytes_make(data, ((size_t) ring->size / 2 & ~(size_t) 7) - 8);
    tap_ok(ring_append(ring, &part, 1) == RING_OK,
           "half of the ring is accepted");
}


/* Every length at every offset of the block: 9 to 16 bytes a record never
   divide the size, so records wrap at each possible place. */
static void
test_wrap_at_every_offset(void)
{
    int           failed;
    bytes_t       part, record;
    ring_t       *ring;
    uint8_t       data[64], buf[256];
    uint64_t      cursor;
    unsigned      i;
    ring_batch_t  batch;

    ring = ring_open(test_memory, TEST_MEMORY);
    cursor = ring_head(ring);
    failed = 0;

    batch.buf = buf;
    batch.size = sizeof(buf);

    for (i = 0; i < 20000; i++) {
        memset(data, (int) (i & 0xff), sizeof(data));
        part = bytes_make(data, i % 61);

        failed |= (ring_append(ring, &part, 1) != RING_OK);
        failed |= (ring_take(ring, &cursor, &batch) != RING_OK);
        failed |= (ring_batch_next(&batch, &cursor, &record) != RING_OK);
        failed |= !bytes_equal(record, part);
    }

    tap_ok(!failed, "20000 records wrap around and come out unchanged");
    tap_ok(cursor == ring_head(ring), "the reader ends at the head");
}


static void
test_overrun(void)
{
    ring_t             *ring;
    uint8_t             buf[64];
    uint64_t            slow, fast;
    unsigned            i;
    ring_batch_t        batch;
    static const char  *one[] = { "and on", NULL };

    ring = ring_open(test_memory, TEST_MEMORY);
    slow = ring_head(ring);

    batch.buf = buf;
    batch.size = sizeof(buf);

    for (i = 0; i < 1000; i++) {
        fast = ring_head(ring);
        append_text(ring, "twelve bytes");
    }

    tap_ok(ring_take(ring, &slow, &batch) == RING_OVERRUN,
           "a reader that was overrun is told");
    tap_ok(slow == ring_head(ring) && batch.len == 0,
           "and stands at the head, with nothing in its hands");

    append_text(ring, "and on");
    tap_ok(expect_texts(ring, &slow, 64, one), "from there it reads on");
    tap_ok(ring_take(ring, &fast, &batch) == RING_OK,
           "a reader that kept up was not overrun");

    fast = ring_head(ring) + 8;
    tap_ok(ring_take(ring, &fast, &batch) == RING_OVERRUN,
           "a cursor beyond the head is taken for an overrun");
}


/* The oldest record that a reader may still have is exactly at the tail. */
static void
test_tail_is_the_limit(void)
{
    ring_t        *ring;
    uint8_t        buf[64];
    uint64_t       cursor;
    unsigned       i, n;
    ring_batch_t   batch;

    ring = ring_open(test_memory, TEST_MEMORY);
    cursor = ring_head(ring);
    n = (unsigned) (ring->size / 24);

    batch.buf = buf;
    batch.size = sizeof(buf);

    for (i = 0; i < n; i++) {
        append_text(ring, "twelve bytes");
    }

    tap_ok(ring_take(ring, &cursor, &batch) == RING_OK,
           "a full ring has lost nothing");

    append_text(ring, "twelve bytes");
    cursor = 0;
    tap_ok(ring_take(ring, &cursor, &batch) == RING_OVERRUN,
           "one record more forgets the oldest");
}


static void
test_broken_bytes(void)
{
    bytes_t       record;
    ring_t       *ring;
    uint8_t       buf[256];
    uint64_t      cursor;
    unsigned      i;
    ring_batch_t  batch;

    ring = ring_open(test_memory, TEST_MEMORY);
    cursor = ring_head(ring);

    append_text(ring, "first");
    append_text(ring, "second");
    ring->data[1] ^= 0x40;

    batch.buf = buf;
    batch.size = sizeof(buf);

    ring_take(ring, &cursor, &batch);
    tap_ok(ring_batch_next(&batch, &cursor, &record) == RING_OVERRUN
           && record.len == 0,
           "bytes that are no record are not read as one");

    for (i = 0; i < 1000; i++) {
        append_text(ring, "more");
    }

    cursor = ring_head(ring);
    append_text(ring, "last");
    ring_take(ring, &cursor, &batch);

    tap_ok(ring_batch_next(&batch, &cursor, &record) == RING_OK
           && bytes_equal_text(record, "last"),
           "appending gets over them");
}


/* --- several processes --- */


static uint32_t
sum_bytes(const uint8_t *p, size_t len)
{
    size_t    i;
    uint32_t  sum;

    sum = 1;

    for (i = 0; i < len; i++) {
        sum = sum * 31 + p[i];
    }

    return sum;
}


static void
lock_shared(test_shared_t *shared)
{
    if (pthread_mutex_lock(&shared->mutex) == EOWNERDEAD) {
        pthread_mutex_consistent(&shared->mutex);
    }
}


static void
write_records(test_shared_t *shared, uint32_t writer, uint32_t first,
    uint32_t last)
{
    bytes_t      parts[2];
    ring_t      *ring;
    uint8_t      data[TEST_PAYLOAD];
    uint32_t     n, seed, i, sums[16];
    test_head_t  head;

    ring = (ring_t *) shared->memory;
    seed = writer * 7919 + 1;

    for (i = 0; i < TEST_PAYLOAD; i++) {
        seed = seed * 1103515245 + 12345;
        data[i] = (uint8_t) (seed >> 16);
    }

    for (i = 0; i < 16; i++) {
        sums[i] = sum_bytes(data, TEST_PAYLOAD - i * 93);
    }

    for (n = first; n <= last; n++) {
        head.writer = writer;
        head.number = n;
        head.length = TEST_PAYLOAD - n % 16 * 93;
        head.sum = sums[n % 16];

        parts[0] = bytes_make(&head, sizeof(head));
        parts[1] = bytes_make(data, head.length);

        lock_shared(shared);
        ring_append(ring, parts, 2);
        pthread_mutex_unlock(&shared->mutex);
    }
}


static void
check_record(test_shared_t *shared, bytes_t record, uint32_t *seen)
{
    test_head_t  head;

    if (record.len < sizeof(head)) {
        atomic_fetch_add(&shared->bad, 1);
        return;
    }

    memcpy(&head, record.data, sizeof(head));

    if (head.length != record.len - sizeof(head)
        || head.sum != sum_bytes(record.data + sizeof(head), head.length)
        || head.writer > TEST_ROUNDS
        || head.number <= seen[head.writer])
    {
        atomic_fetch_add(&shared->bad, 1);
        return;
    }

    seen[head.writer] = head.number;
    atomic_fetch_add(&shared->good, 1);
}


static void
read_records(test_shared_t *shared)
{
    int            last;
    bytes_t        record;
    ring_t        *ring;
    uint8_t        buf[16384];
    uint32_t       seen[TEST_ROUNDS + 1];
    uint64_t       cursor;
    ring_rc_t      rc;
    ring_batch_t   batch;

    ring = (ring_t *) shared->memory;
    cursor = 0;
    batch.buf = buf;
    batch.size = sizeof(buf);
    memset(seen, 0, sizeof(seen));

    for ( ;; ) {
        last = atomic_load(&shared->stop);

        lock_shared(shared);
        rc = ring_take(ring, &cursor, &batch);
        pthread_mutex_unlock(&shared->mutex);

        if (rc == RING_OVERRUN) {
            atomic_fetch_add(&shared->overruns, 1);
            continue;
        }

        if (rc == RING_EMPTY) {

            if (last) {
                return;
            }

            usleep(50);
            continue;
        }

        while ((rc = ring_batch_next(&batch, &cursor, &record)) == RING_OK) {
            check_record(shared, record, seen);
        }

        if (rc == RING_OVERRUN) {
            atomic_fetch_add(&shared->bad, 1);
            cursor = ring_head(ring);
        }
    }
}


static test_shared_t *
open_shared(void)
{
    test_shared_t        *shared;
    pthread_mutexattr_t   attr;

    shared = mmap(NULL, sizeof(test_shared_t), PROT_READ|PROT_WRITE,
                  MAP_SHARED|MAP_ANONYMOUS, -1, 0);

    if (shared == MAP_FAILED) {
        return NULL;
    }

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&shared->mutex, &attr);

    ring_open(shared->memory, sizeof(shared->memory));

    return shared;
}


static pid_t
start_process(test_shared_t *shared, int reader, uint32_t writer,
    uint32_t count)
{
    pid_t  pid;

    fflush(stdout);
    pid = fork();

    if (pid != 0) {
        return pid;
    }

    if (reader) {
        read_records(shared);

    } else {
        write_records(shared, writer, 1, count);
    }

    _exit(0);
}


static void
test_processes_share_the_ring(void)
{
    int             i, status, failed;
    pid_t           readers[TEST_READERS], writers[TEST_WRITERS];
    test_shared_t  *shared;

    shared = open_shared();
    failed = 0;

    for (i = 0; i < TEST_READERS; i++) {
        readers[i] = start_process(shared, 1, 0, 0);
    }

    for (i = 0; i < TEST_WRITERS; i++) {
        writers[i] = start_process(shared, 0, (uint32_t) i, TEST_RECORDS);
    }

    for (i = 0; i < TEST_WRITERS; i++) {
        failed |= (waitpid(writers[i], &status, 0) < 0 || status != 0);
    }

    atomic_store(&shared->stop, 1);

    for (i = 0; i < TEST_READERS; i++) {
        failed |= (waitpid(readers[i], &status, 0) < 0 || status != 0);
    }

    tap_ok(!failed, "three writers and two readers end well");
    tap_ok(atomic_load(&shared->bad) == 0,
           "each writer's records are read whole and in order");
    tap_ok(atomic_load(&shared->good) + atomic_load(&shared->overruns) > 0
           && (atomic_load(&shared->overruns) != 0
               || atomic_load(&shared->good)
                  == TEST_READERS * TEST_WRITERS * TEST_RECORDS),
           "none is missing without an overrun (%lu read, %lu overruns)",
           atomic_load(&shared->good), atomic_load(&shared->overruns));

    munmap(shared, sizeof(test_shared_t));
}


/* A writer that dies in the middle of a copy, with the lock held: a page that
   the next records must go to is taken away from this process alone. */
static void
die_writing(test_shared_t *shared, uint32_t writer)
{
    ring_t         *ring;
    uint8_t        *page;
    uint64_t        offset;
    struct rlimit   none;

    ring = (ring_t *) shared->memory;

    write_records(shared, writer, 1, 10 + writer % 7);

    offset = (ring_head(ring) + 5000) % ring->size;
    page = ring->data + offset;
    page -= (uintptr_t) page % TEST_PAGE;

    none.rlim_cur = 0;
    none.rlim_max = 0;
    setrlimit(RLIMIT_CORE, &none);
    signal(SIGSEGV, SIG_DFL);

    if (page > (uint8_t *) ring) {
        mprotect(page, TEST_PAGE, PROT_NONE);
        write_records(shared, writer, 100, 200);
    }

    _exit(0);
}


static void
test_dead_writers_leave_it_whole(void)
{
    int             i, died, status;
    pid_t           reader, pid;
    test_shared_t  *shared;

    shared = open_shared();
    reader = start_process(shared, 1, 0, 0);
    died = 0;

    for (i = 0; i < TEST_ROUNDS; i++) {
        pid = fork();

        if (pid == 0) {
            die_writing(shared, (uint32_t) i);
        }

        waitpid(pid, &status, 0);
        died += (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    }

    write_records(shared, TEST_ROUNDS, 1, 10);
    atomic_store(&shared->stop, 1);
    waitpid(reader, NULL, 0);

    tap_ok(died > TEST_ROUNDS / 2,
           "of %d writers %d died while they appended", TEST_ROUNDS, died);
    tap_ok(atomic_load(&shared->bad) == 0 && atomic_load(&shared->good) > 0,
           "what is read then is whole and in order (%lu records)",
           atomic_load(&shared->good));

    munmap(shared, sizeof(test_shared_t));
}


int
main(void)
{
    test_open_refuses_small_memory();
    test_records_in_order();
    test_record_larger_than_buffer();
    test_too_large();
    test_wrap_at_every_offset();
    test_overrun();
    test_tail_is_the_limit();
    test_broken_bytes();
    test_processes_share_the_ring();
    test_dead_writers_leave_it_whole();

    return tap_done();
}
