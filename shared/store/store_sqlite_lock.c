/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The host lock: which process may write or checkpoint now.
 *
 * An OFD lock on a file of its own: the kernel releases it when a process
 * dies, old and new workers share it across a reload, and it lies outside
 * SQLite's locks.
 *
 *     byte 0   exclusive   held around a write or a checkpoint
 *     byte 1   shared      held as long as the store is open
 *
 * A lock that is free is taken at once.  For one that is not, a thread of
 * this file waits in F_OFD_SETLKW, which has no time limit, while the caller
 * waits for the thread, with one; so a process that is stopped while it holds
 * the lock makes others answer STORE_BUSY instead of hanging.
 *
 *            take: lock not free              F_OFD_SETLKW returns
 *     IDLE ----------------------> WAITING ------------------------> HAD
 *      ^                              |  the caller gave up:          |
 *      +------------------------------+  the thread unlocks           |
 *      +--------------------------------------------------------------+
 *                                                       take returns
 */


#include "store_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>


#define STORE_SQLITE_LOCK_WRITE  0            /* byte of the file */
#define STORE_SQLITE_LOCK_LIFE   1


typedef enum {
    LOCK_IDLE = 0,
    LOCK_WAITING,                 /* the thread is to lock, or locks */
    LOCK_HAD                      /* the thread has it for the caller */
} store_sqlite_lock_state_t;


struct store_sqlite_lock_s {
    int                        fd;       /* owned; all locks hang on it */
    pthread_t                  thread;
    pthread_mutex_t            mutex;    /* guards all below */
    pthread_cond_t             changed;
    store_sqlite_lock_state_t  state;
    int                        error;    /* with HAD: errno, not had */
    int                        wanted;   /* a caller waits */
    int                        closed;   /* the thread frees all */
};


static void *wait_lock(void *data);
static int set_lock(int fd, int command, short type, off_t byte);
static void free_lock(store_sqlite_lock_t *lock);


store_sqlite_lock_t *
store_sqlite_lock_open(const char *path)
{
    int                   rc;
    store_sqlite_lock_t  *lock;

    lock = calloc(1, sizeof(store_sqlite_lock_t));
    if (lock == NULL) {
        return NULL;
    }

    lock->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock->fd == -1) {
        free(lock);
        return NULL;
    }

    rc = store_sqlite_cond_open(&lock->changed);

    if (rc != 0) {
        close(lock->fd);
        free(lock);
        errno = rc;
        return NULL;
    }

    pthread_mutex_init(&lock->mutex, NULL);

    rc = store_sqlite_thread_open(&lock->thread, wait_lock, lock,
                                  "mesh-lock");

    if (rc != 0) {
        free_lock(lock);
        errno = rc;
        return NULL;
    }

    return lock;
}


int
store_sqlite_lock_take(store_sqlite_lock_t *lock, int64_t ms)
{
    int              rc;
    struct timespec  until;

    store_sqlite_time_after(&until, ms);

    pthread_mutex_lock(&lock->mutex);

    if (lock->state == LOCK_IDLE) {
        rc = set_lock(lock->fd, F_OFD_SETLK, F_WRLCK,
                      STORE_SQLITE_LOCK_WRITE);

        if (rc == 0 || (rc != EAGAIN && rc != EACCES)) {
            pthread_mutex_unlock(&lock->mutex);
            return rc;
        }

        lock->state = LOCK_WAITING;
        pthread_cond_broadcast(&lock->changed);
    }

    lock->wanted = 1;
    rc = 0;

    while (lock->state == LOCK_WAITING && rc != ETIMEDOUT) {
        rc = pthread_cond_timedwait(&lock->changed, &lock->mutex, &until);
    }

    lock->wanted = 0;

    if (lock->state == LOCK_HAD) {
        lock->state = LOCK_IDLE;
        rc = lock->error;

    } else {
        rc = EBUSY;
    }

    pthread_mutex_unlock(&lock->mutex);

    return rc;
}


void
store_sqlite_lock_release(store_sqlite_lock_t *lock)
{
    (void) set_lock(lock->fd, F_OFD_SETLK, F_UNLCK, STORE_SQLITE_LOCK_WRITE);
}


int
store_sqlite_lock_first(store_sqlite_lock_t *lock)
{
    int  rc, first;

    rc = set_lock(lock->fd, F_OFD_SETLK, F_WRLCK, STORE_SQLITE_LOCK_LIFE);
    first = (rc == 0);

    if (rc != 0 && rc != EAGAIN && rc != EACCES) {
        errno = rc;
        return -1;
    }

    /* whoever had it exclusively had the host lock too, as we have now */

    rc = set_lock(lock->fd, F_OFD_SETLK, F_RDLCK, STORE_SQLITE_LOCK_LIFE);

    if (rc != 0) {
        errno = rc;
        return -1;
    }

    return first;
}


void
store_sqlite_lock_close(store_sqlite_lock_t *lock)
{
    int        waiting;
    pthread_t  thread;

    pthread_mutex_lock(&lock->mutex);

    thread = lock->thread;
    waiting = (lock->state == LOCK_WAITING);

    if (waiting) {
        pthread_detach(thread);
    }

    lock->closed = 1;
    pthread_cond_broadcast(&lock->changed);

    pthread_mutex_unlock(&lock->mutex);

    if (waiting) {
        return;
    }

    pthread_join(thread, NULL);
    free_lock(lock);
}


/*
 * The thread.  When it is still in F_OFD_SETLKW at close, it stays there until
 * the lock comes or the process ends, and frees the rest itself.
 */

static void *
wait_lock(void *data)
{
    store_sqlite_lock_t *lock = data;

    int  rc;

    pthread_mutex_lock(&lock->mutex);

    for ( ;; ) {

        while (lock->state != LOCK_WAITING && !lock->closed) {
            pthread_cond_wait(&lock->changed, &lock->mutex);
        }

        if (lock->state != LOCK_WAITING) {
            break;
        }

        pthread_mutex_unlock(&lock->mutex);

        do {
            rc = set_lock(lock->fd, F_OFD_SETLKW, F_WRLCK,
                          STORE_SQLITE_LOCK_WRITE);
        } while (rc == EINTR);

        pthread_mutex_lock(&lock->mutex);

        if (lock->closed) {
            pthread_mutex_unlock(&lock->mutex);
            free_lock(lock);
            return NULL;
        }

        if (lock->wanted) {
            lock->state = LOCK_HAD;
            lock->error = rc;
            pthread_cond_broadcast(&lock->changed);

        } else {
            if (rc == 0) {
                store_sqlite_lock_release(lock);
            }

            lock->state = LOCK_IDLE;
        }
    }

    pthread_mutex_unlock(&lock->mutex);

    return NULL;
}


static int
set_lock(int fd, int command, short type, off_t byte)
{
    struct flock  fl;

    memset(&fl, 0, sizeof(struct flock));

    fl.l_type = type;
    fl.l_whence = SEEK_SET;
    fl.l_start = byte;
    fl.l_len = 1;

    return (fcntl(fd, command, &fl) == -1) ? errno : 0;
}


static void
free_lock(store_sqlite_lock_t *lock)
{
    close(lock->fd);
    pthread_cond_destroy(&lock->changed);
    pthread_mutex_destroy(&lock->mutex);
    free(lock);
}
