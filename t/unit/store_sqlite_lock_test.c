/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The host lock: one holder, waits with a limit, nothing left behind by a
 * wait that was given up.  Two locks of one process exclude each other as
 * those of two processes do, since each has a file description of its own.
 */


#include <signal.h>
#include <sys/wait.h>

#include "store_fixture.h"


static void test_excludes(store_sqlite_lock_t *a, store_sqlite_lock_t *b);
static void test_hands_over(store_sqlite_lock_t *a, store_sqlite_lock_t *b);
static void *release_later(void *data);
static void test_given_up(store_sqlite_lock_t *a, store_sqlite_lock_t *b);
static void test_first(const char *path);
static void test_holder_dies(const char *path);
static void test_close_while_waiting(store_sqlite_lock_t *a,
    store_sqlite_lock_t *b);
static int take_until(store_sqlite_lock_t *lock, int ms);


int
main(void)
{
    char                  path[320];
    fixture_t             f;
    store_sqlite_lock_t  *a, *b;

    fixture_open(&f);
    snprintf(path, sizeof(path), "%s.lock", f.path);

    test_holder_dies(path);

    a = store_sqlite_lock_open(path);
    b = store_sqlite_lock_open(path);

    if (!tap_ok(a != NULL && b != NULL, "the lock opens twice")) {
        return tap_done();
    }

    test_excludes(a, b);
    test_hands_over(a, b);
    test_given_up(a, b);
    test_first(path);
    test_close_while_waiting(a, b);

    tap_ok(store_sqlite_lock_open("/nonexistent/folder/x.lock") == NULL
           && errno == ENOENT, "a lock without a folder does not open");

    fixture_close(&f);

    return tap_done();
}


static void
test_excludes(store_sqlite_lock_t *a, store_sqlite_lock_t *b)
{
    int64_t  start;

    tap_ok(store_sqlite_lock_take(a, 0) == 0, "a free lock is taken at once");

    start = store_sqlite_now_us();
    tap_ok(store_sqlite_lock_take(b, 50) == EBUSY
           && store_sqlite_now_us() - start >= 50000,
           "one that is held is not had within the time");
    tap_ok(store_sqlite_lock_take(b, 0) == EBUSY, "nor by asking again");

    store_sqlite_lock_release(a);
    tap_ok(take_until(b, FIXTURE_WAIT_MS), "but when it is released");
    store_sqlite_lock_release(b);
}


static void
test_hands_over(store_sqlite_lock_t *a, store_sqlite_lock_t *b)
{
    int        i, had;
    pthread_t  thread;

    had = 0;

    for (i = 0; i < 200; i++) {
        if (store_sqlite_lock_take(a, FIXTURE_WAIT_MS) != 0
            || pthread_create(&thread, NULL, release_later, a) != 0)
        {
            break;
        }

        had += store_sqlite_lock_take(b, FIXTURE_WAIT_MS) == 0;
        pthread_join(thread, NULL);
        store_sqlite_lock_release(b);
    }

    tap_ok(had == 200, "a lock that is released during the wait is had, "
           "%d of 200 times", had);
}


static void *
release_later(void *data)
{
    usleep(100);
    store_sqlite_lock_release(data);

    return NULL;
}


/* The thread that waits must not keep a lock that nobody wants any more. */
static void
test_given_up(store_sqlite_lock_t *a, store_sqlite_lock_t *b)
{
    int  i, had;

    had = 0;

    for (i = 0; i < 100; i++) {
        (void) store_sqlite_lock_take(a, FIXTURE_WAIT_MS);
        (void) store_sqlite_lock_take(b, 0);
        store_sqlite_lock_release(a);

        had += take_until(a, FIXTURE_WAIT_MS);
        store_sqlite_lock_release(a);
    }

    tap_ok(had == 100, "a wait that was given up leaves the lock free, "
           "%d of 100 times", had);
}


static void
test_first(const char *path)
{
    store_sqlite_lock_t  *a, *b;

    a = store_sqlite_lock_open(path);
    b = store_sqlite_lock_open(path);

    tap_ok(store_sqlite_lock_first(a) == 1, "the first alive is the first");
    tap_ok(store_sqlite_lock_first(b) == 0, "the second is not");

    store_sqlite_lock_close(a);
    a = store_sqlite_lock_open(path);
    tap_ok(store_sqlite_lock_first(a) == 0, "nor one that comes back while "
           "another is there");

    store_sqlite_lock_close(a);
    store_sqlite_lock_close(b);
    a = store_sqlite_lock_open(path);
    tap_ok(store_sqlite_lock_first(a) == 1, "when all are gone, the next is "
           "first again");
    store_sqlite_lock_close(a);
}


/* In a process without threads, so that fork() is safe. */
static void
test_holder_dies(const char *path)
{
    int                   pipes[2], status;
    char                  byte;
    pid_t                 pid;
    store_sqlite_lock_t  *lock;

    if (pipe(pipes) == -1 || (pid = fork()) == -1) {
        tap_ok(0, "a process");
        return;
    }

    if (pid == 0) {
        lock = store_sqlite_lock_open(path);
        byte = (store_sqlite_lock_take(lock, 0) == 0);
        (void) !write(pipes[1], &byte, 1);
        pause();
        _exit(0);
    }

    byte = 0;
    (void) !read(pipes[0], &byte, 1);
    lock = store_sqlite_lock_open(path);

    tap_ok(byte == 1 && store_sqlite_lock_take(lock, 20) == EBUSY,
           "a lock held by another process is not had");

    kill(pid, SIGKILL);
    tap_ok(take_until(lock, FIXTURE_WAIT_MS),
           "it is had when that process is killed");
    waitpid(pid, &status, 0);

    store_sqlite_lock_release(lock);
    store_sqlite_lock_close(lock);
    close(pipes[0]);
    close(pipes[1]);
}


static void
test_close_while_waiting(store_sqlite_lock_t *a, store_sqlite_lock_t *b)
{
    int64_t  start;

    (void) store_sqlite_lock_take(a, FIXTURE_WAIT_MS);
    (void) store_sqlite_lock_take(b, 10);

    start = store_sqlite_now_us();
    store_sqlite_lock_close(b);

    tap_ok(store_sqlite_now_us() - start < 1000000,
           "closing does not wait for a lock that is held");

    store_sqlite_lock_release(a);
    tap_ok(take_until(a, FIXTURE_WAIT_MS),
           "and its wait does not keep the lock afterwards");

    store_sqlite_lock_release(a);
    store_sqlite_lock_close(a);
}


/* Takes the lock in short waits, so that a wait that was given up by another
   lock has the time to pass it on. */
static int
take_until(store_sqlite_lock_t *lock, int ms)
{
    int64_t  until;

    until = store_sqlite_now_us() + (int64_t) ms * 1000;

    while (store_sqlite_now_us() < until) {
        if (store_sqlite_lock_take(lock, 10) == 0) {
            return 1;
        }
    }

    return 0;
}
