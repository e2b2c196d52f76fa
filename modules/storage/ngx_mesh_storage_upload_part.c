/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The file of an upload: bytes are added at its end, and its length is how
 * many the upload has.
 *
 * Pool threads, but for the last functions.  No request holds the file: each
 * piece opens it by name, locks it, and is added only when the file ends
 * where the piece begins.  So of two requests at once, in any workers, the
 * one that is behind is told so, and one whose client has vanished blocks
 * nobody.  Bytes with a checksum wait in a file of their own until it is
 * found right.
 *
 * A file that is complete is renamed, under its lock: nothing is added to
 * what becomes a blob.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_upload.h"


#define NGX_MESH_STORAGE_UPLOAD_PART_COPY  65536             /* bytes */
#define NGX_MESH_STORAGE_UPLOAD_PART_STEP  (16 * 1024 * 1024)  /* bytes */


static ngx_mesh_storage_sink_rc_t ngx_mesh_storage_upload_part_write(
    ngx_mesh_storage_sink_t *sink, bytes_t piece);
static ngx_mesh_storage_sink_rc_t ngx_mesh_storage_upload_part_end(
    ngx_mesh_storage_sink_t *sink, bytes_t piece);
static void ngx_mesh_storage_upload_part_abandon(
    ngx_mesh_storage_sink_t *sink, bytes_t piece);
static void ngx_mesh_storage_upload_part_feed(
    ngx_mesh_storage_upload_part_t *part, bytes_t piece);
static ngx_uint_t ngx_mesh_storage_upload_part_right(
    ngx_mesh_storage_upload_part_t *part);
static ngx_mesh_storage_sink_rc_t ngx_mesh_storage_upload_part_open(
    ngx_mesh_storage_sink_t *sink, int *fd);
static ngx_mesh_storage_sink_rc_t ngx_mesh_storage_upload_part_append(
    ngx_mesh_storage_sink_t *sink, bytes_t piece, ngx_uint_t sync);
static ngx_mesh_storage_sink_rc_t ngx_mesh_storage_upload_part_copy(
    ngx_mesh_storage_sink_t *sink);
static void ngx_mesh_storage_upload_part_drop(
    ngx_mesh_storage_upload_part_t *part);
static int ngx_mesh_storage_upload_part_lock_thread(int fd);
static int ngx_mesh_storage_upload_part_claim_thread(
    ngx_mesh_storage_upload_end_t *end);
static int ngx_mesh_storage_upload_part_digest_thread(
    ngx_mesh_storage_upload_end_t *end);
static void ngx_mesh_storage_upload_part_remove_thread(ngx_mesh_job_t *job);
static void ngx_mesh_storage_upload_part_remove_done(ngx_mesh_job_t *job);


const ngx_mesh_storage_sink_target_t  ngx_mesh_storage_upload_part_target = {
    ngx_mesh_storage_upload_part_write,
    ngx_mesh_storage_upload_part_end,
    ngx_mesh_storage_upload_part_abandon
};


static ngx_mesh_storage_sink_rc_t
ngx_mesh_storage_upload_part_write(ngx_mesh_storage_sink_t *sink,
    bytes_t piece)
{
    ngx_mesh_storage_upload_part_t  *part;

    part = sink->data;

    if (part->algorithm == NGX_MESH_STORAGE_UPLOAD_PART_PLAIN) {
        return ngx_mesh_storage_upload_part_append(sink, piece, 0);
    }

    ngx_mesh_storage_upload_part_feed(part, piece);

    if (!part->open) {
        part->fd = ngx_mesh_storage_blob_file_temp_thread(part->folder,
                                                          part->temp);
        if (part->fd == -1) {
            return ngx_mesh_storage_sink_fail(sink, "making a file for an "
                                                    "upload");
        }

        part->open = 1;
    }

    if (ngx_mesh_storage_blob_file_write_thread(part->fd, piece, -1) != 0) {
        return ngx_mesh_storage_sink_fail(sink, "writing an upload");
    }

    return NGX_MESH_STORAGE_SINK_OK;
}


static ngx_mesh_storage_sink_rc_t
ngx_mesh_storage_upload_part_end(ngx_mesh_storage_sink_t *sink,
    bytes_t piece)
{
    ngx_mesh_storage_sink_rc_t       rc;
    ngx_mesh_storage_upload_part_t  *part;

    part = sink->data;

    if (part->algorithm == NGX_MESH_STORAGE_UPLOAD_PART_PLAIN) {
        return ngx_mesh_storage_upload_part_append(sink, piece, 1);
    }

    if (part->open) {
        rc = ngx_mesh_storage_upload_part_write(sink, piece);

        if (rc != NGX_MESH_STORAGE_SINK_OK) {
            return rc;
        }

    } else {
        ngx_mesh_storage_upload_part_feed(part, piece);
    }

    if (!ngx_mesh_storage_upload_part_right(part)) {
        return NGX_MESH_STORAGE_SINK_MISMATCH;
    }

    if (!part->open) {
        return ngx_mesh_storage_upload_part_append(sink, piece, 1);
    }

    rc = ngx_mesh_storage_upload_part_copy(sink);

    if (rc == NGX_MESH_STORAGE_SINK_OK) {
        ngx_mesh_storage_upload_part_drop(part);
    }

    return rc;
}


/* What came before a client left is kept, unless it had a checksum. */
static void
ngx_mesh_storage_upload_part_abandon(ngx_mesh_storage_sink_t *sink,
    bytes_t piece)
{
    ngx_mesh_storage_upload_part_t  *part;

    part = sink->data;

    if (part->algorithm == NGX_MESH_STORAGE_UPLOAD_PART_PLAIN) {

        if (sink->rc == NGX_MESH_STORAGE_SINK_OK
            && sink->result == NGX_MESH_STORAGE_SINK_OK)
        {
            (void) ngx_mesh_storage_upload_part_append(sink, piece, 0);
        }

        return;
    }

    ngx_mesh_storage_upload_part_drop(part);
}


static void
ngx_mesh_storage_upload_part_feed(ngx_mesh_storage_upload_part_t *part,
    bytes_t piece)
{
    if (!part->summed) {
        part->summed = 1;

        if (part->algorithm == NGX_MESH_STORAGE_UPLOAD_PART_SHA1) {
            sha1_open(&part->sha1);

        } else {
            digest_open(&part->sha256);
        }
    }

    if (part->algorithm == NGX_MESH_STORAGE_UPLOAD_PART_SHA1) {
        sha1_feed(&part->sha1, piece);

    } else {
        digest_feed(&part->sha256, piece);
    }
}


static ngx_uint_t
ngx_mesh_storage_upload_part_right(ngx_mesh_storage_upload_part_t *part)
{
    uint8_t         sum[DIGEST_SHA256_LEN];
    bytes_writer_t  w;

    if (part->algorithm == NGX_MESH_STORAGE_UPLOAD_PART_SHA1) {
        bytes_writer_open(&w, sum, SHA1_SIZE);
        sha1_write(&part->sha1, &w);

        return ngx_memcmp(sum, part->sum, SHA1_SIZE) == 0;
    }

    return digest_write(&part->sha256, sum) == 0
           && ngx_memcmp(sum, part->sum, DIGEST_SHA256_LEN) == 0;
}


/* The file, locked, and it ends where the part begins. */
static ngx_mesh_storage_sink_rc_t
ngx_mesh_storage_upload_part_open(ngx_mesh_storage_sink_t *sink, int *fd)
{
    int                              flags;
    char                             path[NGX_MESH_STORAGE_BLOB_PATH];
    char                             temp[48];
    struct stat                      st;
    ngx_mesh_storage_upload_part_t  *part;

    part = sink->data;

    if (ngx_mesh_storage_blob_file_join(part->folder, part->name, path) != 0)
    {
        return ngx_mesh_storage_sink_fail(sink, "naming an upload");
    }

    flags = O_RDWR|O_CLOEXEC;

    if (part->offset == 0) {
        flags |= O_CREAT;
    }

    *fd = open(path, flags, 0600);

    if (*fd == -1 && errno == ENOENT && part->offset == 0) {

        /* this makes the folders */

        *fd = ngx_mesh_storage_blob_file_temp_thread(part->folder, temp);

        if (*fd != -1) {
            (void) close(*fd);
            *fd = -1;

            if (ngx_mesh_storage_blob_file_join(part->folder, temp, path)
                == 0)
            {
                (void) unlink(path);
            }

            (void) ngx_mesh_storage_blob_file_join(part->folder, part->name,
                                                   path);
            *fd = open(path, flags, 0600);
        }
    }

    if (*fd == -1) {
        return errno == ENOENT
               ? NGX_MESH_STORAGE_SINK_CONFLICT
               : ngx_mesh_storage_sink_fail(sink, "opening an upload");
    }

    if (ngx_mesh_storage_upload_part_lock_thread(*fd) != 0
        || fstat(*fd, &st) != 0)
    {
        (void) ngx_mesh_storage_sink_fail(sink, "locking an upload");
        (void) close(*fd);
        return NGX_MESH_STORAGE_SINK_FAILED;
    }

    /* no link: it was removed, or renamed, since it was opened */

    if (st.st_size != part->offset || st.st_nlink != 1
        || stat(path, &st) != 0)
    {
        (void) close(*fd);
        return NGX_MESH_STORAGE_SINK_CONFLICT;
    }

    return NGX_MESH_STORAGE_SINK_OK;
}


static ngx_mesh_storage_sink_rc_t
ngx_mesh_storage_upload_part_append(ngx_mesh_storage_sink_t *sink,
    bytes_t piece, ngx_uint_t sync)
{
    int                              fd;
    ngx_mesh_storage_sink_rc_t       rc;
    ngx_mesh_storage_upload_part_t  *part;

    part = sink->data;

    rc = ngx_mesh_storage_upload_part_open(sink, &fd);

    if (rc != NGX_MESH_STORAGE_SINK_OK) {
        return rc;
    }

    if (ngx_mesh_storage_blob_file_write_thread(fd, piece, part->offset) != 0
        || (sync && fdatasync(fd) != 0))
    {
        rc = ngx_mesh_storage_sink_fail(sink, "writing an upload");

        if (ftruncate(fd, part->offset) != 0) {
            rc = NGX_MESH_STORAGE_SINK_FAILED;
        }

    } else {
        part->offset += (off_t) piece.len;
    }

    (void) close(fd);

    return rc;
}


/* What was found right goes to where it belongs. */
static ngx_mesh_storage_sink_rc_t
ngx_mesh_storage_upload_part_copy(ngx_mesh_storage_sink_t *sink)
{
    int                              fd, from;
    off_t                            offset;
    u_char                           buf[NGX_MESH_STORAGE_UPLOAD_PART_COPY];
    ssize_t                          n;
    char                             path[NGX_MESH_STORAGE_BLOB_PATH];
    ngx_mesh_storage_sink_rc_t       rc;
    ngx_mesh_storage_upload_part_t  *part;

    part = sink->data;

    if (ngx_mesh_storage_blob_file_join(part->folder, part->temp, path) != 0)
    {
        return ngx_mesh_storage_sink_fail(sink, "naming an upload");
    }

    from = open(path, O_RDONLY|O_CLOEXEC);

    if (from == -1) {
        return ngx_mesh_storage_sink_fail(sink, "opening an upload");
    }

    rc = ngx_mesh_storage_upload_part_open(sink, &fd);

    if (rc != NGX_MESH_STORAGE_SINK_OK) {
        (void) close(from);
        return rc;
    }

    offset = part->offset;

    do {
        n = read(from, buf, sizeof(buf));

        if (n > 0) {

            if (ngx_mesh_storage_blob_file_write_thread(fd,
                                           bytes_make(buf, (size_t) n),
                                           offset)
                != 0)
            {
                n = -1;
                break;
            }

            offset += n;
        }

    } while (n > 0);

    if (n < 0 || fdatasync(fd) != 0) {
        rc = ngx_mesh_storage_sink_fail(sink, "writing an upload");

        if (ftruncate(fd, part->offset) != 0) {
            rc = NGX_MESH_STORAGE_SINK_FAILED;
        }

    } else {
        part->offset = offset;
    }

    (void) close(from);
    (void) close(fd);

    return rc;
}


static void
ngx_mesh_storage_upload_part_drop(ngx_mesh_storage_upload_part_t *part)
{
    char  path[NGX_MESH_STORAGE_BLOB_PATH];

    digest_close(&part->sha256);

    if (!part->open) {
        return;
    }

    part->open = 0;
    (void) close(part->fd);

    if (ngx_mesh_storage_blob_file_join(part->folder, part->temp, path) == 0)
    {
        (void) unlink(path);
    }
}


static int
ngx_mesh_storage_upload_part_lock_thread(int fd)
{
    int           rc;
    struct flock  lock;

    ngx_memzero(&lock, sizeof(struct flock));

    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;

    do {
        rc = fcntl(fd, F_OFD_SETLKW, &lock);
    } while (rc == -1 && errno == EINTR);

    return rc;
}


/* The end. */

void
ngx_mesh_storage_upload_part_end_thread(ngx_mesh_job_t *job)
{
    int                             rc;
    char                            temp[NGX_MESH_STORAGE_UPLOAD_NAME];
    ngx_mesh_storage_upload_end_t  *end;

    end = job->context;
    end->what = "ending an upload";
    rc = 0;

    if (!end->open && end->length != 0) {
        rc = ngx_mesh_storage_upload_part_claim_thread(end);
    }

    if (rc == 0) {
        rc = ngx_mesh_storage_upload_part_digest_thread(end);
    }

    if (rc == 0 && end->read == end->length) {

        if (digest_write(&end->digest, end->hash) != 0) {
            errno = ENOMEM;
            rc = -1;

        } else if (end->value == NULL) {
            ngx_mesh_storage_upload_part_name(temp, "end", end->id);

            rc = fsync(end->fd);

            if (rc == 0) {
                rc = ngx_mesh_storage_blob_file_place_thread(end->folder,
                                           temp, end->hash, 1, &end->what);
            }
        }

        end->done = 1;
    }

    if (rc != 0) {
        end->done = 1;

        if (end->rc == NGX_MESH_STORAGE_SINK_OK) {
            end->err = errno;
            end->rc = (end->err == ENOSPC || end->err == EDQUOT)
                      ? NGX_MESH_STORAGE_SINK_FULL
                      : NGX_MESH_STORAGE_SINK_FAILED;
        }
    }

    if (end->done) {
        ngx_mesh_storage_upload_part_end_close(end);
    }
}


void
ngx_mesh_storage_upload_part_end_close(ngx_mesh_storage_upload_end_t *end)
{
    digest_close(&end->digest);

    if (end->open) {
        end->open = 0;
        (void) close(end->fd);
    }
}


/* The file under the name to which nobody adds; 0, or -1. */
static int
ngx_mesh_storage_upload_part_claim_thread(ngx_mesh_storage_upload_end_t *end)
{
    char         to[NGX_MESH_STORAGE_BLOB_PATH];
    char         from[NGX_MESH_STORAGE_BLOB_PATH];
    char         name[NGX_MESH_STORAGE_UPLOAD_NAME];
    ngx_uint_t   claimed;
    struct stat  st;

    ngx_mesh_storage_upload_part_name(name, "end", end->id);

    if (ngx_mesh_storage_blob_file_join(end->folder, name, to) != 0) {
        return -1;
    }

    ngx_mesh_storage_upload_part_name(name, "up", end->id);

    if (ngx_mesh_storage_blob_file_join(end->folder, name, from) != 0) {
        return -1;
    }

    claimed = 1;
    end->fd = open(to, O_RDONLY|O_CLOEXEC);

    if (end->fd == -1 && errno == ENOENT) {
        claimed = 0;
        end->fd = open(from, O_RDWR|O_CLOEXEC);
    }

    if (end->fd == -1) {
        if (errno == ENOENT) {
            end->rc = NGX_MESH_STORAGE_SINK_CONFLICT;
        }

        return -1;
    }

    end->open = 1;

    if (!claimed && ngx_mesh_storage_upload_part_lock_thread(end->fd) != 0) {
        return -1;
    }

    if (fstat(end->fd, &st) != 0) {
        return -1;
    }

    if ((uint64_t) st.st_size != end->length) {
        end->rc = NGX_MESH_STORAGE_SINK_CONFLICT;
        return -1;
    }

    if (claimed || rename(from, to) == 0) {
        return 0;
    }

    /* another request was faster: it is the same file */

    return errno == ENOENT ? 0 : -1;
}


/* One bounded step. */
static int
ngx_mesh_storage_upload_part_digest_thread(
    ngx_mesh_storage_upload_end_t *end)
{
    u_char   buf[NGX_MESH_STORAGE_UPLOAD_PART_COPY];
    ssize_t  n;
    size_t   step;

    if (end->read == 0) {
        digest_open(&end->digest);
    }

    for (step = 0;
         step < NGX_MESH_STORAGE_UPLOAD_PART_STEP && end->read < end->length;
         step += (size_t) n)
    {
        n = pread(end->fd, buf,
                  ngx_min(sizeof(buf), end->length - end->read),
                  (off_t) end->read);

        if (n == -1 && errno == EINTR) {
            n = 0;
            continue;
        }

        if (n <= 0) {
            errno = (n == 0) ? EIO : errno;
            return -1;
        }

        digest_feed(&end->digest, bytes_make(buf, (size_t) n));

        if (end->value) {
            ngx_memcpy(end->value + end->read, buf, (size_t) n);
        }

        end->read += (uint64_t) n;
    }

    return 0;
}


/* Event loop. */

void
ngx_mesh_storage_upload_part_name(char name[NGX_MESH_STORAGE_UPLOAD_NAME],
    const char *kind, const char *id)
{
    (void) snprintf(name, NGX_MESH_STORAGE_UPLOAD_NAME, "tmp/%s-%s", kind,
                    id);
}


off_t
ngx_mesh_storage_upload_part_size(const char *folder, const char *id)
{
    char         path[NGX_MESH_STORAGE_BLOB_PATH];
    char         name[NGX_MESH_STORAGE_UPLOAD_NAME];
    ngx_uint_t   i;
    struct stat  st;

    static const char  *kinds[] = { "end", "up" };

    for (i = 0; i < 2; i++) {
        ngx_mesh_storage_upload_part_name(name, kinds[i], id);

        if (ngx_mesh_storage_blob_file_join(folder, name, path) == 0
            && stat(path, &st) == 0)
        {
            return st.st_size;
        }
    }

    return 0;
}


typedef struct {
    const char  *folder;
    char         id[NGX_MESH_STORAGE_UPLOAD_ID + 1];
} ngx_mesh_storage_upload_part_remove_t;


void
ngx_mesh_storage_upload_part_remove(ngx_http_mesh_storage_main_conf_t *mcf,
    const char *id)
{
    ngx_mesh_job_t                         *job;
    ngx_mesh_storage_upload_part_remove_t  *remove;

    job = ngx_mesh_job_create(512,
                              sizeof(ngx_mesh_storage_upload_part_remove_t),
                              ngx_cycle->log);
    if (job == NULL) {
        return;
    }

    remove = job->context;
    remove->folder = (char *) mcf->blobs.data;
    (void) ngx_cpystrn((u_char *) remove->id, (u_char *) id,
                       sizeof(remove->id));

    job->run = ngx_mesh_storage_upload_part_remove_thread;
    job->done = ngx_mesh_storage_upload_part_remove_done;

    /* what is left when no thread takes it goes by the sweep */

    if (ngx_mesh_job_submit(mcf->thread_pool, job) != NGX_OK) {
        ngx_mesh_job_destroy(job);
    }
}


static void
ngx_mesh_storage_upload_part_remove_thread(ngx_mesh_job_t *job)
{
    char                                    path[NGX_MESH_STORAGE_BLOB_PATH];
    char                                    name[NGX_MESH_STORAGE_UPLOAD_NAME];
    ngx_mesh_storage_upload_part_remove_t  *remove;

    remove = job->context;

    ngx_mesh_storage_upload_part_name(name, "up", remove->id);

    if (ngx_mesh_storage_blob_file_join(remove->folder, name, path) == 0) {
        (void) unlink(path);
    }

    ngx_mesh_storage_upload_part_name(name, "end", remove->id);

    if (ngx_mesh_storage_blob_file_join(remove->folder, name, path) == 0) {
        (void) unlink(path);
    }
}


static void
ngx_mesh_storage_upload_part_remove_done(ngx_mesh_job_t *job)
{
    ngx_mesh_job_destroy(job);
}
