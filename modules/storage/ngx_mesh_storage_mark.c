/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Marks of writes in a file that all workers of the host map.
 *
 * Lock-free: counters alone.  Order is what makes it right.  Who begins adds
 * to "writes" before "moved", who ends to "moved" before taking from "writes",
 * and who looks reads "writes" before "moved": a look that finds no write and
 * the number of the last time knows that at that moment nothing had begun.
 *
 * A worker that is killed leaves "writes" standing: items of that mark are
 * not cached until NGX_MESH_STORAGE_MARK_DEAD has passed, or all workers have
 * gone and the first that comes, seen by a lock on the file, clears them.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/mman.h>

#include "ngx_mesh_storage_mark.h"


#define NGX_MESH_STORAGE_MARK_SIZE                                            \
    ((NGX_MESH_STORAGE_MARK_COUNT + 1) * sizeof(ngx_mesh_storage_mark_t))


static ngx_int_t ngx_mesh_storage_mark_map(ngx_mesh_storage_marks_t *marks,
    ngx_log_t *log);
static ngx_int_t ngx_mesh_storage_mark_lock(ngx_fd_t fd, int type, int wait);
static void ngx_mesh_storage_mark_clear(ngx_mesh_storage_marks_t *marks);
static ngx_mesh_storage_mark_t *ngx_mesh_storage_mark_of(
    ngx_mesh_storage_marks_t *marks, const store_op_t *op);
static ngx_uint_t ngx_mesh_storage_mark_still(ngx_mesh_storage_mark_t *mark);
static uint32_t ngx_mesh_storage_mark_now(void);


ngx_int_t
ngx_mesh_storage_mark_open(ngx_mesh_storage_marks_t *marks, const char *path,
    ngx_log_t *log)
{
    u_char     name[NGX_MAX_PATH];
    ngx_int_t  rc;

    if (ngx_snprintf(name, sizeof(name), "%s.marks%Z", path)
        == name + sizeof(name))
    {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "storage: the name \"%s.marks\" is too long", path);
        return NGX_ERROR;
    }

    marks->fd = open((char *) name, O_RDWR|O_CREAT|O_CLOEXEC, 0600);

    if (marks->fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_ERR, log, ngx_errno,
                      "storage: " ngx_open_file_n " \"%s\" failed", name);
        return NGX_ERROR;
    }

    if (ngx_mesh_storage_mark_map(marks, log) != NGX_OK) {
        (void) ngx_close_file(marks->fd);
        return NGX_ERROR;
    }

    /* nobody else has the file: who left marks behind was killed */

    if (ngx_mesh_storage_mark_lock(marks->fd, F_WRLCK, 0) == NGX_OK) {
        ngx_mesh_storage_mark_clear(marks);
    }

    rc = ngx_mesh_storage_mark_lock(marks->fd, F_RDLCK, 1);

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, log, ngx_errno,
                      "storage: the lock on \"%s\" failed", name);
        ngx_mesh_storage_mark_close(marks);
    }

    return rc;
}


/* Blocks are taken from the disk here: a full one must not be found out by a
   write to the mapping, which would kill the worker. */
static ngx_int_t
ngx_mesh_storage_mark_map(ngx_mesh_storage_marks_t *marks, ngx_log_t *log)
{
    int   rc;
    void *p;

    rc = posix_fallocate(marks->fd, 0, NGX_MESH_STORAGE_MARK_SIZE);

    if (rc != 0) {
        ngx_log_error(NGX_LOG_ERR, log, rc,
                      "storage: no room for the file of marks");
        return NGX_ERROR;
    }

    p = mmap(NULL, NGX_MESH_STORAGE_MARK_SIZE, PROT_READ|PROT_WRITE,
             MAP_SHARED, marks->fd, 0);

    if (p == MAP_FAILED) {
        ngx_log_error(NGX_LOG_ERR, log, ngx_errno,
                      "storage: mmap() of the file of marks failed");
        return NGX_ERROR;
    }

    marks->marks = p;

    return NGX_OK;
}


/* Of the open file, not of the process: nobody else's close() ends it. */
static ngx_int_t
ngx_mesh_storage_mark_lock(ngx_fd_t fd, int type, int wait)
{
    int           rc;
    struct flock  lock;

    ngx_memzero(&lock, sizeof(struct flock));

    lock.l_type = (short) type;
    lock.l_whence = SEEK_SET;

    do {
        rc = fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
    } while (rc == -1 && ngx_errno == NGX_EINTR);

    return rc == -1 ? NGX_ERROR : NGX_OK;
}


static void
ngx_mesh_storage_mark_clear(ngx_mesh_storage_marks_t *marks)
{
    ngx_uint_t  i;

    for (i = 0; i <= NGX_MESH_STORAGE_MARK_COUNT; i++) {
        marks->marks[i].moved++;
        marks->marks[i].writes = 0;
    }
}


void
ngx_mesh_storage_mark_close(ngx_mesh_storage_marks_t *marks)
{
    if (marks->marks == NULL) {
        return;
    }

    (void) munmap(marks->marks, NGX_MESH_STORAGE_MARK_SIZE);
    (void) ngx_close_file(marks->fd);

    marks->marks = NULL;
}


void
ngx_mesh_storage_mark_begin(ngx_mesh_storage_marks_t *marks,
    const store_request_t *request)
{
    size_t                    i;
    ngx_mesh_storage_mark_t  *mark;

    if (marks->marks == NULL) {
        return;
    }

    for (i = 0; i < request->count; i++) {
        mark = ngx_mesh_storage_mark_of(marks, &request->ops[i]);

        if (mark) {
            __atomic_store_n(&mark->began, ngx_mesh_storage_mark_now(),
                             __ATOMIC_SEQ_CST);
            __atomic_add_fetch(&mark->writes, 1, __ATOMIC_SEQ_CST);
            __atomic_add_fetch(&mark->moved, 1, __ATOMIC_SEQ_CST);
        }
    }
}


void
ngx_mesh_storage_mark_end(ngx_mesh_storage_marks_t *marks,
    const store_request_t *request)
{
    size_t                    i;
    uint32_t                  writes;
    ngx_mesh_storage_mark_t  *mark;

    if (marks->marks == NULL) {
        return;
    }

    for (i = 0; i < request->count; i++) {
        mark = ngx_mesh_storage_mark_of(marks, &request->ops[i]);

        if (mark == NULL) {
            continue;
        }

        __atomic_add_fetch(&mark->moved, 1, __ATOMIC_SEQ_CST);

        /* taken for dead and cleared meanwhile: not below zero */

        writes = __atomic_load_n(&mark->writes, __ATOMIC_SEQ_CST);

        while (writes != 0
               && !__atomic_compare_exchange_n(&mark->writes, &writes,
                                               writes - 1, 0,
                                               __ATOMIC_SEQ_CST,
                                               __ATOMIC_SEQ_CST))
        {
            /* void */
        }
    }
}


/* NULL: the operation changes no item of a REST namespace. */
static ngx_mesh_storage_mark_t *
ngx_mesh_storage_mark_of(ngx_mesh_storage_marks_t *marks,
    const store_op_t *op)
{
    ngx_uint_t  hash;

    if (op->ns.len < 2 || op->ns.data[0] != 's' || op->ns.data[1] != '/') {
        return NULL;
    }

    switch (op->kind) {

    case STORE_PUT:
    case STORE_DELETE:
    case STORE_INCR:
        hash = ngx_mesh_storage_mark_hash(op->ns, op->key);
        return &marks->marks[hash & (NGX_MESH_STORAGE_MARK_COUNT - 1)];

    case STORE_DROP:
        return &marks->marks[NGX_MESH_STORAGE_MARK_COUNT];

    default:
        return NULL;
    }
}


ngx_uint_t
ngx_mesh_storage_mark_hash(bytes_t ns, bytes_t key)
{
    size_t    i;
    uint64_t  hash;

    /* FNV-1a: the same in every worker, of whatever release */

    hash = 0xcbf29ce484222325u;

    for (i = 0; i < ns.len; i++) {
        hash = (hash ^ ns.data[i]) * 0x100000001b3u;
    }

    for (i = 0; i < key.len; i++) {
        hash = (hash ^ key.data[i]) * 0x100000001b3u;
    }

    return (ngx_uint_t) (hash ^ hash >> 32);
}


ngx_int_t
ngx_mesh_storage_mark_get(ngx_mesh_storage_marks_t *marks,
    ngx_mesh_storage_mark_place_t *place)
{
    ngx_mesh_storage_mark_t  *mark, *all;

    if (marks->marks == NULL) {
        return NGX_DECLINED;
    }

    mark = &marks->marks[place->hash & (NGX_MESH_STORAGE_MARK_COUNT - 1)];
    all = &marks->marks[NGX_MESH_STORAGE_MARK_COUNT];

    if (!ngx_mesh_storage_mark_still(mark)
        || !ngx_mesh_storage_mark_still(all))
    {
        return NGX_DECLINED;
    }

    place->item = __atomic_load_n(&mark->moved, __ATOMIC_SEQ_CST);
    place->all = __atomic_load_n(&all->moved, __ATOMIC_SEQ_CST);

    /* what began between the two looks at it is not taken for older */

    if (__atomic_load_n(&mark->writes, __ATOMIC_SEQ_CST) != 0
        || __atomic_load_n(&all->writes, __ATOMIC_SEQ_CST) != 0)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_mesh_storage_mark_match(ngx_mesh_storage_marks_t *marks,
    const ngx_mesh_storage_mark_place_t *place)
{
    ngx_mesh_storage_mark_t  *mark, *all;

    if (marks->marks == NULL) {
        return 0;
    }

    mark = &marks->marks[place->hash & (NGX_MESH_STORAGE_MARK_COUNT - 1)];
    all = &marks->marks[NGX_MESH_STORAGE_MARK_COUNT];

    return __atomic_load_n(&mark->writes, __ATOMIC_SEQ_CST) == 0
           && __atomic_load_n(&all->writes, __ATOMIC_SEQ_CST) == 0
           && __atomic_load_n(&mark->moved, __ATOMIC_SEQ_CST) == place->item
           && __atomic_load_n(&all->moved, __ATOMIC_SEQ_CST) == place->all;
}


/* 1: nobody writes; who began too long ago does not any more. */
static ngx_uint_t
ngx_mesh_storage_mark_still(ngx_mesh_storage_mark_t *mark)
{
    uint32_t  writes, began;

    writes = __atomic_load_n(&mark->writes, __ATOMIC_SEQ_CST);

    if (writes == 0) {
        return 1;
    }

    began = __atomic_load_n(&mark->began, __ATOMIC_SEQ_CST);

    if ((int32_t) (ngx_mesh_storage_mark_now() - began)
        < NGX_MESH_STORAGE_MARK_DEAD)
    {
        return 0;
    }

    __atomic_add_fetch(&mark->moved, 1, __ATOMIC_SEQ_CST);

    return __atomic_compare_exchange_n(&mark->writes, &writes, 0, 0,
                                       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}


static uint32_t
ngx_mesh_storage_mark_now(void)
{
    struct timespec  ts;

    /* of the host, as all processes have it; a call without the kernel */

    if (clock_gettime(CLOCK_MONOTONIC_COARSE, &ts) == -1) {
        return 0;
    }

    return (uint32_t) ts.tv_sec;
}
