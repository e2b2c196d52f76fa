/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The sweep of blobs: files that no item tells of go, and so do rows of files
 * whose item has gone, and what is left of uploads.
 *
 * One worker of all that share the folder sweeps, by a lock that the kernel
 * takes from it when it dies.  A pool thread looks through one folder, "00"
 * to "ff" and "tmp", at a time, with a pause after each.  A file is spared
 * for as long as its time is young:
 *
 *     0600, old   -> [look]  no item has it: 0400, and its time is now
 *     0400, old   -> [look]  still no item has it: gone
 *     0400        -> [look]  an item has it: 0600
 *     any         -> place()  somebody puts it there: 0600, its time is now
 *
 * place() and look() exclude each other by the lock of the file's first bytes,
 * and a commit that place() comes before is done long before the time is old.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <dirent.h>

#include "ngx_mesh_storage_upload.h"


#define NGX_MESH_STORAGE_BLOB_SWEEP_FIRST_MS  2000     /* after the start */
#define NGX_MESH_STORAGE_BLOB_SWEEP_STEP_MS   20       /* between folders */
#define NGX_MESH_STORAGE_BLOB_SWEEP_REST_MS   600000   /* between rounds */
#define NGX_MESH_STORAGE_BLOB_SWEEP_TRY_MS    5000     /* for the lock */
#define NGX_MESH_STORAGE_BLOB_SWEEP_FOLDERS   257      /* the last is tmp */
#define NGX_MESH_STORAGE_BLOB_SWEEP_ROWS      64       /* a job; more wait */


typedef struct {
    u_char           key[4 + 2 * NGX_MESH_STORAGE_BLOB_HEX + 1];
    size_t           len;
    uint64_t         seq;
} ngx_mesh_storage_blob_sweep_row_t;


/* The sweep of this process. */
typedef struct {
    ngx_http_mesh_storage_main_conf_t  *mcf;
    ngx_event_t                         event;
    int                                 lock;      /* -1: another's */
    ngx_uint_t                          folder;    /* the next one */
} ngx_mesh_storage_blob_sweep_t;


/* A job: one folder. */
typedef struct {
    const char                        *base;       /* of the cycle */
    const store_adapter_t             *adapter;
    store_t                           *store;      /* outlives pool threads */
    ngx_uint_t                         folder;     /* then the one behind */
    int                                lock;
    time_t                             now;

    ngx_uint_t                         removed;    /* files */
    ngx_uint_t                         count;      /* of rows */
    ngx_mesh_storage_blob_sweep_row_t  rows[NGX_MESH_STORAGE_BLOB_SWEEP_ROWS];
} ngx_mesh_storage_blob_sweep_job_t;


static void ngx_mesh_storage_blob_sweep_timer(ngx_event_t *ev);
static void ngx_mesh_storage_blob_sweep_thread(ngx_mesh_job_t *job);
static void ngx_mesh_storage_blob_sweep_folder_thread(
    ngx_mesh_storage_blob_sweep_job_t *sweep, DIR *dir, const char *path);
static int ngx_mesh_storage_blob_sweep_lock_thread(const char *base);
static void ngx_mesh_storage_blob_sweep_file_thread(
    ngx_mesh_storage_blob_sweep_job_t *sweep, const char *path,
    const char *name);
static ngx_int_t ngx_mesh_storage_blob_sweep_used_thread(
    ngx_mesh_storage_blob_sweep_job_t *sweep, const char *name);
static ngx_int_t ngx_mesh_storage_blob_sweep_row_thread(
    ngx_mesh_storage_blob_sweep_job_t *sweep, const store_row_t *row,
    const u_char *hash);
static void ngx_mesh_storage_blob_sweep_temp_thread(
    ngx_mesh_storage_blob_sweep_job_t *sweep, const char *path,
    const char *name);
static ngx_uint_t ngx_mesh_storage_blob_sweep_upload_thread(
    ngx_mesh_storage_blob_sweep_job_t *sweep, const char *id);
static ngx_uint_t ngx_mesh_storage_blob_sweep_hash(const char *name,
    u_char hash[DIGEST_SHA256_LEN]);
static void ngx_mesh_storage_blob_sweep_done(ngx_mesh_job_t *job);
static void ngx_mesh_storage_blob_sweep_rows(
    ngx_mesh_storage_blob_sweep_job_t *sweep);
static void ngx_mesh_storage_blob_sweep_rows_done(ngx_mesh_store_job_t *job);


static ngx_mesh_storage_blob_sweep_t  ngx_mesh_storage_blob_sweep;


void
ngx_mesh_storage_blob_sweep_open(ngx_http_mesh_storage_main_conf_t *mcf)
{
    ngx_event_t  *ev;

    if (mcf->blobs.len == 0 || mcf->thread_pool == NULL) {
        return;
    }

    ngx_mesh_storage_blob_sweep.mcf = mcf;
    ngx_mesh_storage_blob_sweep.lock = -1;

    ev = &ngx_mesh_storage_blob_sweep.event;
    ngx_memzero(ev, sizeof(ngx_event_t));

    ev->handler = ngx_mesh_storage_blob_sweep_timer;
    ev->data = &ngx_mesh_storage_blob_sweep;
    ev->log = ngx_cycle->log;
    ev->cancelable = 1;

    ngx_add_timer(ev, NGX_MESH_STORAGE_BLOB_SWEEP_FIRST_MS);
}


static void
ngx_mesh_storage_blob_sweep_timer(ngx_event_t *ev)
{
    ngx_mesh_job_t                     *job;
    ngx_mesh_storage_blob_sweep_t      *state;
    ngx_http_mesh_storage_main_conf_t  *mcf;
    ngx_mesh_storage_blob_sweep_job_t  *sweep;

    state = ev->data;
    mcf = state->mcf;

    if (ngx_exiting || mcf->service.store == NULL) {
        return;
    }

    job = ngx_mesh_job_create(1024, sizeof(ngx_mesh_storage_blob_sweep_job_t),
                              ngx_cycle->log);
    if (job == NULL) {
        ngx_add_timer(ev, NGX_MESH_STORAGE_BLOB_SWEEP_TRY_MS);
        return;
    }

    sweep = job->context;
    sweep->base = (char *) mcf->blobs.data;
    sweep->adapter = mcf->service.adapter;
    sweep->store = mcf->service.store;
    sweep->folder = state->folder;
    sweep->lock = state->lock;
    sweep->now = ngx_time();

    job->data = state;
    job->run = ngx_mesh_storage_blob_sweep_thread;
    job->done = ngx_mesh_storage_blob_sweep_done;

    if (ngx_mesh_job_submit(mcf->thread_pool, job) != NGX_OK) {
        ngx_mesh_job_destroy(job);
        ngx_add_timer(ev, NGX_MESH_STORAGE_BLOB_SWEEP_TRY_MS);
    }
}


static void
ngx_mesh_storage_blob_sweep_thread(ngx_mesh_job_t *job)
{
    DIR                                *dir;
    char                                path[NGX_MESH_STORAGE_BLOB_PATH];
    char                                name[4];
    ngx_mesh_storage_blob_sweep_job_t  *sweep;

    sweep = job->context;

    if (sweep->lock == -1) {
        sweep->lock = ngx_mesh_storage_blob_sweep_lock_thread(sweep->base);

        if (sweep->lock == -1) {
            return;
        }
    }

    /* the first one that is there */

    do {
        if (sweep->folder == NGX_MESH_STORAGE_BLOB_SWEEP_FOLDERS - 1) {
            (void) snprintf(name, sizeof(name), "tmp");

        } else {
            (void) snprintf(name, sizeof(name), "%02x",
                            (unsigned) sweep->folder & 0xff);
        }

        sweep->folder++;

        if (ngx_mesh_storage_blob_file_join(sweep->base, name, path) != 0) {
            return;
        }

        dir = opendir(path);

    } while (dir == NULL
             && sweep->folder < NGX_MESH_STORAGE_BLOB_SWEEP_FOLDERS);

    if (dir != NULL) {
        ngx_mesh_storage_blob_sweep_folder_thread(sweep, dir, path);
        (void) closedir(dir);
    }
}


static void
ngx_mesh_storage_blob_sweep_folder_thread(
    ngx_mesh_storage_blob_sweep_job_t *sweep, DIR *dir, const char *path)
{
    int             n;
    char            file[NGX_MESH_STORAGE_BLOB_PATH];
    struct dirent  *entry;

    while ((entry = readdir(dir)) != NULL) {

        n = snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);

        if (n < 0 || n >= (int) sizeof(file) || entry->d_name[0] == '.') {
            continue;
        }

        if (sweep->folder == NGX_MESH_STORAGE_BLOB_SWEEP_FOLDERS) {
            ngx_mesh_storage_blob_sweep_temp_thread(sweep, file,
                                                    entry->d_name);

        } else {
            ngx_mesh_storage_blob_sweep_file_thread(sweep, file,
                                                    entry->d_name);
        }
    }
}


/* -1: another process sweeps, or there is no folder yet. */
static int
ngx_mesh_storage_blob_sweep_lock_thread(const char *base)
{
    int           fd;
    char          path[NGX_MESH_STORAGE_BLOB_PATH];
    struct flock  lock;

    if (ngx_mesh_storage_blob_file_join(base, ".sweep", path) != 0) {
        return -1;
    }

    fd = open(path, O_RDWR|O_CREAT|O_CLOEXEC, 0600);

    if (fd == -1) {
        return -1;
    }

    ngx_memzero(&lock, sizeof(struct flock));

    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;

    if (fcntl(fd, F_OFD_SETLK, &lock) == -1) {
        (void) close(fd);
        return -1;
    }

    return fd;
}


static void
ngx_mesh_storage_blob_sweep_file_thread(
    ngx_mesh_storage_blob_sweep_job_t *sweep, const char *path,
    const char *name)
{
    int          lock;
    u_char       hash[DIGEST_SHA256_LEN];
    ngx_int_t    used;
    ngx_uint_t   marked;
    struct stat  st;

    if (!ngx_mesh_storage_blob_sweep_hash(name, hash)
        || stat(path, &st) != 0)
    {
        return;
    }

    marked = (st.st_mode & S_IWUSR) == 0;

    if (!marked
        && sweep->now - st.st_mtime < NGX_MESH_STORAGE_BLOB_GRACE)
    {
        return;
    }

    lock = ngx_mesh_storage_blob_file_lock_thread(sweep->base, hash, F_WRLCK,
                                                  0);
    if (lock == -1) {
        return;
    }

    /* it may have been put there once more */

    if (stat(path, &st) != 0) {
        (void) close(lock);
        return;
    }

    marked = (st.st_mode & S_IWUSR) == 0;
    used = ngx_mesh_storage_blob_sweep_used_thread(sweep, name);

    if (used == NGX_OK) {

        if (marked) {
            (void) chmod(path, 0600);
        }

    } else if (used == NGX_DECLINED
               && sweep->now - st.st_mtime >= NGX_MESH_STORAGE_BLOB_GRACE)
    {
        if (marked) {
            sweep->removed += (unlink(path) == 0);

        } else if (chmod(path, 0400) == 0) {
            (void) utimensat(AT_FDCWD, path, NULL, 0);
        }
    }

    (void) close(lock);
}


/* NGX_OK: an item has it; NGX_DECLINED: none; NGX_ERROR: not known. */
static ngx_int_t
ngx_mesh_storage_blob_sweep_used_thread(
    ngx_mesh_storage_blob_sweep_job_t *sweep, const char *name)
{
    size_t         i;
    u_char         hash[DIGEST_SHA256_LEN];
    ngx_int_t      rc;
    char           prefix[5 + NGX_MESH_STORAGE_BLOB_HEX + 1];
    char           after[sizeof(((ngx_mesh_storage_blob_sweep_row_t *) 0)
                                ->key)];
    ngx_uint_t     more;
    store_read_t   read;
    store_rows_t   rows;

    (void) ngx_mesh_storage_blob_sweep_hash(name, hash);
    (void) snprintf(prefix, sizeof(prefix), "ref/%.*s/",
                    NGX_MESH_STORAGE_BLOB_HEX, name);

    ngx_memzero(&read, sizeof(store_read_t));

    read.kind = STORE_RANGE;
    read.ns = bytes_of(NGX_MESH_STORAGE_NS_BLOB);
    read.key = bytes_of(prefix);
    read.limit = 100;

    rc = NGX_DECLINED;

    do {
        if (sweep->adapter->read(sweep->store, &read, &rows, 1) != STORE_OK) {
            return NGX_ERROR;
        }

        for (i = 0; i < rows.count && rc == NGX_DECLINED; i++) {
            rc = ngx_mesh_storage_blob_sweep_row_thread(sweep, &rows.rows[i],
                                                        hash);
        }

        more = rows.more && rows.count != 0 && rc == NGX_DECLINED;

        if (more) {
            read.after_key.len = ngx_min(rows.rows[rows.count - 1].key.len,
                                         sizeof(after));
            ngx_memcpy(after, rows.rows[rows.count - 1].key.data,
                       read.after_key.len);
            read.after_key.data = (uint8_t *) after;
        }

        store_rows_release(&rows, 1);

    } while (more);

    return rc;
}


/* Does the item of a row have these bytes?  A row whose item has not is kept
   in mind. */
static ngx_int_t
ngx_mesh_storage_blob_sweep_row_thread(
    ngx_mesh_storage_blob_sweep_job_t *sweep, const store_row_t *row,
    const u_char *hash)
{
    int                                 n;
    char                                ns[STORE_NS_MAX + 1];
    char                                key[STORE_KEY_MAX + 1];
    u_char                             *slash;
    ngx_int_t                           rc;
    store_read_t                        read;
    store_rows_t                        rows;
    ngx_mesh_storage_blob_t             blob;
    ngx_mesh_storage_blob_sweep_row_t  *stale;

    slash = ngx_strlchr((u_char *) row->value.data,
                        (u_char *) row->value.data + row->value.len, '/');

    if (slash == NULL) {
        return NGX_ERROR;
    }

    n = (int) (row->value.data + row->value.len - slash - 1);

    ngx_memzero(&read, sizeof(store_read_t));

    read.kind = STORE_GET;
    read.keys_only = 1;
    read.ns.data = (uint8_t *) ns;
    read.ns.len = (size_t) snprintf(ns, sizeof(ns), "s/%.*s",
                                    (int) ((const uint8_t *) slash
                                           - row->value.data),
                                    (const char *) row->value.data);
    read.key.data = (uint8_t *) key;
    read.key.len = (size_t) snprintf(key, sizeof(key), "b/%.*s", n,
                                     (const char *) slash + 1);

    if (read.ns.len >= sizeof(ns) || read.key.len >= sizeof(key)
        || sweep->adapter->read(sweep->store, &read, &rows, 1) != STORE_OK)
    {
        return NGX_ERROR;
    }

    rc = (rows.rc == STORE_OK && rows.count != 0
          && ngx_mesh_storage_blob_file_parse(&blob, rows.rows[0].meta)
             == NGX_OK
          && blob.file
          && ngx_memcmp(blob.hash, hash, DIGEST_SHA256_LEN) == 0)
         ? NGX_OK : NGX_DECLINED;

    store_rows_release(&rows, 1);

    if (rc == NGX_DECLINED && row->key.len <= sizeof(stale->key)
        && sweep->count < NGX_MESH_STORAGE_BLOB_SWEEP_ROWS)
    {
        stale = &sweep->rows[sweep->count++];
        stale->len = row->key.len;
        stale->seq = row->seq;
        ngx_memcpy(stale->key, row->key.data, row->key.len);
    }

    return rc;
}


/* What no request can be at work on any more. */
static void
ngx_mesh_storage_blob_sweep_temp_thread(
    ngx_mesh_storage_blob_sweep_job_t *sweep, const char *path,
    const char *name)
{
    struct stat  st;

    if (stat(path, &st) != 0
        || sweep->now - st.st_mtime < NGX_MESH_STORAGE_BLOB_GRACE)
    {
        return;
    }

    if (ngx_strncmp(name, "up-", 3) == 0
        && ngx_mesh_storage_blob_sweep_upload_thread(sweep, name + 3))
    {
        return;
    }

    if (ngx_strncmp(name, "end-", 4) == 0
        && ngx_mesh_storage_blob_sweep_upload_thread(sweep, name + 4))
    {
        return;
    }

    sweep->removed += (unlink(path) == 0);
}


/* 1: the upload has not expired, or that is not known. */
static ngx_uint_t
ngx_mesh_storage_blob_sweep_upload_thread(
    ngx_mesh_storage_blob_sweep_job_t *sweep, const char *id)
{
    char          key[3 + NGX_MESH_STORAGE_UPLOAD_ID + 1];
    ngx_uint_t    there;
    store_read_t  read;
    store_rows_t  rows;

    if (ngx_strlen(id) != NGX_MESH_STORAGE_UPLOAD_ID) {
        return 0;
    }

    (void) snprintf(key, sizeof(key), "up/%.*s", NGX_MESH_STORAGE_UPLOAD_ID,
                    id);

    ngx_memzero(&read, sizeof(store_read_t));

    read.kind = STORE_GET;
    read.ns = bytes_of(NGX_MESH_STORAGE_NS_BLOB);
    read.key = bytes_of(key);

    if (sweep->adapter->read(sweep->store, &read, &rows, 1) != STORE_OK) {
        return 1;
    }

    /* of one that is done the file is not needed */

    there = rows.rc == STORE_OK && rows.count != 0
            && !ngx_mesh_storage_upload_item_is_done(rows.rows[0].value);

    store_rows_release(&rows, 1);

    return there;
}


static ngx_uint_t
ngx_mesh_storage_blob_sweep_hash(const char *name,
    u_char hash[DIGEST_SHA256_LEN])
{
    ngx_int_t   n;
    ngx_uint_t  i;

    if (ngx_strlen(name) != NGX_MESH_STORAGE_BLOB_HEX) {
        return 0;
    }

    for (i = 0; i < DIGEST_SHA256_LEN; i++) {
        n = ngx_hextoi((u_char *) name + 2 * i, 2);

        if (n == NGX_ERROR) {
            return 0;
        }

        hash[i] = (u_char) n;
    }

    return 1;
}


static void
ngx_mesh_storage_blob_sweep_done(ngx_mesh_job_t *job)
{
    ngx_msec_t                          pause;
    ngx_mesh_storage_blob_sweep_t      *state;
    ngx_mesh_storage_blob_sweep_job_t  *sweep;

    state = job->data;
    sweep = job->context;

    state->lock = sweep->lock;
    state->folder = sweep->folder;

    if (sweep->removed != 0) {
        ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                      "storage: the sweep removed %ui files of blobs and "
                      "uploads that nothing refers to", sweep->removed);
    }

    if (sweep->count != 0) {
        ngx_mesh_storage_blob_sweep_rows(sweep);
    }

    if (state->lock == -1) {
        pause = NGX_MESH_STORAGE_BLOB_SWEEP_TRY_MS;

    } else {
        pause = NGX_MESH_STORAGE_BLOB_SWEEP_STEP_MS;

        if (state->folder == NGX_MESH_STORAGE_BLOB_SWEEP_FOLDERS) {
            state->folder = 0;
            pause = NGX_MESH_STORAGE_BLOB_SWEEP_REST_MS;
        }
    }

    ngx_mesh_job_destroy(job);

    if (!ngx_exiting) {
        ngx_add_timer(&state->event, pause);

    } else if (state->lock != -1) {
        (void) ngx_close_file(state->lock);
        state->lock = -1;
    }
}


/* Rows are taken back if they are still those that were read: when one was
   written again meanwhile, none is, and the next round looks again. */
static void
ngx_mesh_storage_blob_sweep_rows(ngx_mesh_storage_blob_sweep_job_t *sweep)
{
    ngx_uint_t             i;
    store_op_t            *op;
    ngx_mesh_store_t      *store;
    ngx_mesh_store_job_t  *job;

    store = &ngx_mesh_storage_blob_sweep.mcf->store;
    job = ngx_mesh_store_job_create(4096, ngx_cycle->log);

    if (job == NULL) {
        return;
    }

    op = ngx_mesh_store_job_ops(job, sweep->count);

    for (i = 0; op && i < sweep->count; i++) {
        op[i].kind = STORE_DELETE;
        op[i].condition = STORE_IF_SEQ;
        op[i].if_seq = sweep->rows[i].seq;
        op[i].ns = bytes_of(NGX_MESH_STORAGE_NS_BLOB);
        op[i].key = ngx_mesh_storage_rest_key(job->pool, "",
                                              bytes_make(sweep->rows[i].key,
                                                         sweep->rows[i].len),
                                              bytes_make(NULL, 0));
        if (op[i].key.len == 0) {
            op = NULL;
        }
    }

    job->data = NULL;
    job->done = ngx_mesh_storage_blob_sweep_rows_done;

    if (op == NULL || store->write(job) != NGX_OK) {
        ngx_mesh_store_job_destroy(store, job);
    }
}


static void
ngx_mesh_storage_blob_sweep_rows_done(ngx_mesh_store_job_t *job)
{
    ngx_mesh_store_job_destroy(&ngx_mesh_storage_blob_sweep.mcf->store, job);
}
