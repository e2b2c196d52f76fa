/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Files of blobs, from the first byte to the name that is their digest, and
 * what an item says of them.
 *
 * Functions with _thread in their names, and the target, run in pool threads.
 * A process that dies at any point leaves a file that no item tells of, or
 * one below tmp: both go by the sweep.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <sodium.h>

#include "ngx_mesh_storage_blob.h"


#define NGX_MESH_STORAGE_BLOB_FILE_INLINE  1     /* first byte of the meta */
#define NGX_MESH_STORAGE_BLOB_FILE_NAMED   2
#define NGX_MESH_STORAGE_BLOB_FILE_HEAD    (1 + DIGEST_SHA256_LEN + 8 + 1)


_Static_assert(NGX_MESH_STORAGE_BLOB_FILE_HEAD + NGX_MESH_STORAGE_TYPE_MAX
               + NGX_MESH_STORAGE_BLOB_DISPOSITION_MAX <= STORE_META_MAX,
               "the meta of a blob");


static ngx_mesh_storage_sink_rc_t ngx_mesh_storage_blob_file_write(
    ngx_mesh_storage_sink_t *sink, bytes_t piece);
static ngx_mesh_storage_sink_rc_t ngx_mesh_storage_blob_file_end(
    ngx_mesh_storage_sink_t *sink, bytes_t piece);
static void ngx_mesh_storage_blob_file_abandon(ngx_mesh_storage_sink_t *sink,
    bytes_t piece);
static int ngx_mesh_storage_blob_file_link_thread(const char *from,
    const char *to, int keep);
static int ngx_mesh_storage_blob_file_sync_thread(const char *folder,
    const char *name);


const ngx_mesh_storage_sink_target_t  ngx_mesh_storage_blob_file_target = {
    ngx_mesh_storage_blob_file_write,
    ngx_mesh_storage_blob_file_end,
    ngx_mesh_storage_blob_file_abandon
};


/*
 * The meta, all of it bytes:
 *
 *     kind 1 | sha256 32 | size 8, big endian | n 1 | type n | disposition
 */

bytes_t
ngx_mesh_storage_blob_file_meta(const ngx_mesh_storage_blob_t *blob,
    u_char buf[STORE_META_MAX])
{
    ngx_uint_t      i;
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, STORE_META_MAX);

    bytes_writer_byte(&w, blob->file ? NGX_MESH_STORAGE_BLOB_FILE_NAMED
                                     : NGX_MESH_STORAGE_BLOB_FILE_INLINE);
    bytes_writer_put(&w, blob->hash, DIGEST_SHA256_LEN);

    for (i = 0; i < 8; i++) {
        bytes_writer_byte(&w, (uint8_t) (blob->size >> (56 - 8 * i)));
    }

    bytes_writer_byte(&w, (uint8_t) blob->type.len);
    bytes_writer_bytes(&w, blob->type);
    bytes_writer_bytes(&w, blob->disposition);

    return bytes_writer_view(&w);
}


ngx_int_t
ngx_mesh_storage_blob_file_parse(ngx_mesh_storage_blob_t *blob, bytes_t meta)
{
    size_t         len;
    ngx_uint_t     i;
    const u_char  *p;

    ngx_memzero(blob, sizeof(ngx_mesh_storage_blob_t));

    p = meta.data;

    if (meta.len < NGX_MESH_STORAGE_BLOB_FILE_HEAD
        || (p[0] != NGX_MESH_STORAGE_BLOB_FILE_INLINE
            && p[0] != NGX_MESH_STORAGE_BLOB_FILE_NAMED))
    {
        return NGX_ERROR;
    }

    blob->file = (p[0] == NGX_MESH_STORAGE_BLOB_FILE_NAMED);

    ngx_memcpy(blob->hash, p + 1, DIGEST_SHA256_LEN);
    p += 1 + DIGEST_SHA256_LEN;

    for (i = 0; i < 8; i++) {
        blob->size = (blob->size << 8) | *p++;
    }

    len = *p++;

    if (len > meta.len - NGX_MESH_STORAGE_BLOB_FILE_HEAD) {
        return NGX_ERROR;
    }

    blob->type = bytes_make(p, len);
    blob->disposition = bytes_make(p + len,
                                   meta.len - NGX_MESH_STORAGE_BLOB_FILE_HEAD
                                   - len);
    return NGX_OK;
}


int
ngx_mesh_storage_blob_file_path(const char *folder, const u_char *hash,
    char path[NGX_MESH_STORAGE_BLOB_PATH])
{
    u_char  *last;
    u_char   name[3 + NGX_MESH_STORAGE_BLOB_HEX + 1];

    (void) ngx_hex_dump(name, (u_char *) hash, 1);
    name[2] = '/';

    last = ngx_hex_dump(name + 3, (u_char *) hash, DIGEST_SHA256_LEN);
    *last = '\0';

    return ngx_mesh_storage_blob_file_join(folder, (char *) name, path);
}


int
ngx_mesh_storage_blob_file_join(const char *folder, const char *name,
    char path[NGX_MESH_STORAGE_BLOB_PATH])
{
    int  n;

    n = snprintf(path, NGX_MESH_STORAGE_BLOB_PATH, "%s%s", folder, name);

    if (n < 0 || n >= NGX_MESH_STORAGE_BLOB_PATH) {
        errno = ENAMETOOLONG;
        return -1;
    }

    return 0;
}


ngx_int_t
ngx_mesh_storage_blob_file_ref(store_op_t *op, ngx_pool_t *pool,
    const u_char *hash, bytes_t ns, bytes_t name)
{
    u_char          *key, *p;
    bytes_t          both;
    uint8_t          digest[DIGEST_SHA256_LEN];
    bytes_writer_t   w;

    p = ngx_pnalloc(pool, ns.len + 1 + name.len);
    key = ngx_pnalloc(pool, sizeof("ref//") + 2 * NGX_MESH_STORAGE_BLOB_HEX);

    if (p == NULL || key == NULL) {
        return NGX_ERROR;
    }

    bytes_writer_open(&w, p, ns.len + 1 + name.len);
    bytes_writer_bytes(&w, ns);
    bytes_writer_byte(&w, '/');
    bytes_writer_bytes(&w, name);

    both = bytes_writer_view(&w);
    digest_sha256(both, digest);

    p = ngx_cpymem(key, "ref/", 4);
    p = ngx_hex_dump(p, (u_char *) hash, DIGEST_SHA256_LEN);
    *p++ = '/';
    p = ngx_hex_dump(p, digest, DIGEST_SHA256_LEN);

    ngx_memzero(op, sizeof(store_op_t));

    op->kind = STORE_PUT;
    op->condition = STORE_ANY;
    op->ns = bytes_of(NGX_MESH_STORAGE_NS_BLOB);
    op->key = bytes_make(key, p - key);
    op->value = both;

    return NGX_OK;
}


size_t
ngx_mesh_storage_blob_file_ops(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job, const ngx_mesh_storage_blob_t *blob,
    bytes_t value, bytes_t name)
{
    u_char      *meta;
    store_op_t  *op;

    op = job->write.ops;
    meta = ngx_pnalloc(job->pool, STORE_META_MAX);

    if (meta == NULL) {
        return 0;
    }

    op[0].meta = ngx_mesh_storage_blob_file_meta(blob, meta);

    if (blob->file) {
        op[0].weight = blob->size;

        if (ngx_mesh_storage_blob_file_ref(&op[1], job->pool, blob->hash,
                                           rest->ns, name)
            != NGX_OK)
        {
            return 0;
        }

        op[1].expires_ms = op[0].expires_ms;

        return 2;
    }

    /* the job may outlive the request */

    if (value.len != 0) {
        op[0].value = ngx_mesh_storage_rest_key(job->pool, "", value,
                                                bytes_make(NULL, 0));
        if (op[0].value.len == 0) {
            return 0;
        }
    }

    return 1;
}


/* The target of a sink. */

static ngx_mesh_storage_sink_rc_t
ngx_mesh_storage_blob_file_write(ngx_mesh_storage_sink_t *sink, bytes_t piece)
{
    ngx_mesh_storage_blob_file_t  *file;

    file = sink->data;

    if (!file->file) {
        file->file = 1;
        digest_open(&file->digest);

        file->fd = ngx_mesh_storage_blob_file_temp_thread(file->folder,
                                                          file->temp);
        if (file->fd == -1) {
            return ngx_mesh_storage_sink_fail(sink, "making a file for a "
                                                    "blob");
        }
    }

    digest_feed(&file->digest, piece);

    if (ngx_mesh_storage_blob_file_write_thread(file->fd, piece, -1) != 0) {
        return ngx_mesh_storage_sink_fail(sink, "writing a blob");
    }

    return NGX_MESH_STORAGE_SINK_OK;
}


static ngx_mesh_storage_sink_rc_t
ngx_mesh_storage_blob_file_end(ngx_mesh_storage_sink_t *sink, bytes_t piece)
{
    const char                    *what;
    ngx_mesh_storage_sink_rc_t     rc;
    ngx_mesh_storage_blob_file_t  *file;

    file = sink->data;

    if (!file->file && piece.len <= NGX_MESH_STORAGE_BLOB_INLINE) {
        file->value = piece;
        digest_sha256(piece, file->hash);

    } else {
        rc = ngx_mesh_storage_blob_file_write(sink, piece);

        if (rc != NGX_MESH_STORAGE_SINK_OK) {
            return rc;
        }

        if (digest_write(&file->digest, file->hash) != 0) {
            errno = ENOMEM;
            return ngx_mesh_storage_sink_fail(sink, "SHA-256 of a blob");
        }
    }

    if (file->wanted
        && ngx_memcmp(file->want, file->hash, DIGEST_SHA256_LEN) != 0)
    {
        return NGX_MESH_STORAGE_SINK_MISMATCH;
    }

    if (!file->file) {
        return NGX_MESH_STORAGE_SINK_OK;
    }

    if (fsync(file->fd) != 0) {
        return ngx_mesh_storage_sink_fail(sink, "fsync() of a blob");
    }

    if (ngx_mesh_storage_blob_file_place_thread(file->folder, file->temp,
                                                file->hash, 0, &what)
        != 0)
    {
        return ngx_mesh_storage_sink_fail(sink, what);
    }

    (void) close(file->fd);
    file->temp[0] = '\0';

    return NGX_MESH_STORAGE_SINK_OK;
}


static void
ngx_mesh_storage_blob_file_abandon(ngx_mesh_storage_sink_t *sink,
    bytes_t piece)
{
    char                           path[NGX_MESH_STORAGE_BLOB_PATH];
    ngx_mesh_storage_blob_file_t  *file;

    file = sink->data;

    digest_close(&file->digest);

    if (!file->file || file->fd == -1) {
        return;
    }

    (void) close(file->fd);

    if (file->temp[0] != '\0'
        && ngx_mesh_storage_blob_file_join(file->folder, file->temp, path)
           == 0)
    {
        (void) unlink(path);
    }
}


/* Files. */

int
ngx_mesh_storage_blob_file_temp_thread(const char *folder, char temp[48])
{
    int      fd, tries;
    char     path[NGX_MESH_STORAGE_BLOB_PATH];
    u_char  *p, random[16];

    randombytes_buf(random, sizeof(random));

    p = ngx_cpymem(temp, "tmp/", 4);
    p = ngx_hex_dump(p, random, sizeof(random));
    *p = '\0';

    if (ngx_mesh_storage_blob_file_join(folder, temp, path) != 0) {
        return -1;
    }

    for (tries = 0; /* void */ ; tries++) {

        fd = open(path, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600);

        if (fd != -1 || errno != ENOENT || tries == 2) {
            break;
        }

        /* the first blob of a node: its folder, and tmp in it */

        if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
            break;
        }

        if (ngx_mesh_storage_blob_file_join(folder, "tmp", path) != 0) {
            break;
        }

        if (mkdir(path, 0700) != 0 && errno != EEXIST) {
            break;
        }

        if (ngx_mesh_storage_blob_file_join(folder, temp, path) != 0) {
            break;
        }
    }

    if (fd == -1) {
        temp[0] = '\0';
    }

    return fd;
}


int
ngx_mesh_storage_blob_file_lock_thread(const char *folder,
    const u_char *hash, int type, int wait)
{
    int           fd, rc, err;
    char          path[NGX_MESH_STORAGE_BLOB_PATH];
    struct flock  lock;

    if (ngx_mesh_storage_blob_file_join(folder, ".lock", path) != 0) {
        return -1;
    }

    fd = open(path, O_RDWR|O_CREAT|O_CLOEXEC, 0600);

    if (fd == -1) {
        return -1;
    }

    ngx_memzero(&lock, sizeof(struct flock));

    lock.l_type = (short) type;
    lock.l_whence = SEEK_SET;
    lock.l_start = hash[0] << 8 | hash[1];
    lock.l_len = 1;

    do {
        rc = fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
    } while (rc == -1 && errno == EINTR);

    if (rc == -1) {
        err = errno;
        (void) close(fd);
        errno = err;
        return -1;
    }

    return fd;
}


/*
 * Under the shared lock: a file that is there already is taken as it is, but
 * its time is now, and the mark of a sweep that found it unused goes; so the
 * sweep leaves it alone for as long as any commit may take.
 */

int
ngx_mesh_storage_blob_file_place_thread(const char *folder, const char *temp,
    const u_char *hash, int keep, const char **what)
{
    int   lock, rc, err;
    char  from[NGX_MESH_STORAGE_BLOB_PATH], to[NGX_MESH_STORAGE_BLOB_PATH];
    char  name[3];

    *what = "putting a blob in its place";

    if (ngx_mesh_storage_blob_file_join(folder, temp, from) != 0
        || ngx_mesh_storage_blob_file_path(folder, hash, to) != 0)
    {
        return -1;
    }

    (void) ngx_hex_dump((u_char *) name, (u_char *) hash, 1);
    name[2] = '\0';

    lock = ngx_mesh_storage_blob_file_lock_thread(folder, hash, F_RDLCK, 1);

    if (lock == -1) {
        *what = "locking the folder of blobs";
        return -1;
    }

    rc = ngx_mesh_storage_blob_file_link_thread(from, to, keep);

    if (rc == -1 && errno == ENOENT) {
        char  *slash = strrchr(to, '/');

        *slash = '\0';
        rc = mkdir(to, 0700);
        *slash = '/';

        if (rc == 0 || errno == EEXIST) {
            rc = ngx_mesh_storage_blob_file_sync_thread(folder, "");
        }

        if (rc == 0) {
            rc = ngx_mesh_storage_blob_file_link_thread(from, to, keep);
        }
    }

    if (rc == 0) {
        rc = ngx_mesh_storage_blob_file_sync_thread(folder, name);
    }

    err = errno;
    (void) close(lock);
    errno = err;

    return rc;
}


static int
ngx_mesh_storage_blob_file_link_thread(const char *from, const char *to,
    int keep)
{
    struct stat  here, there;

    if (stat(from, &here) != 0) {
        return -1;
    }

    if (stat(to, &there) == 0 && there.st_size == here.st_size) {

        if (utimensat(AT_FDCWD, to, NULL, 0) != 0
            || ((there.st_mode & S_IWUSR) == 0 && chmod(to, 0600) != 0))
        {
            return -1;
        }

        return keep ? 0 : unlink(from);
    }

    /* its time is that of the name: the last byte may have come long ago */

    if (utimensat(AT_FDCWD, from, NULL, 0) != 0) {
        return -1;
    }

    if (!keep) {
        return rename(from, to);
    }

    if (link(from, to) == 0) {
        return 0;
    }

    if (errno != EEXIST) {
        return -1;
    }

    /* of another size: no file of ours is, so it was damaged */

    return unlink(to) == 0 ? link(from, to) : -1;
}


/* The names in a folder are on disk then. */
static int
ngx_mesh_storage_blob_file_sync_thread(const char *folder, const char *name)
{
    int   fd, rc, err;
    char  path[NGX_MESH_STORAGE_BLOB_PATH];

    if (ngx_mesh_storage_blob_file_join(folder, name, path) != 0) {
        return -1;
    }

    fd = open(path, O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    if (fd == -1) {
        return -1;
    }

    rc = fsync(fd);

    err = errno;
    (void) close(fd);
    errno = err;

    return rc;
}


int
ngx_mesh_storage_blob_file_write_thread(int fd, bytes_t b, off_t offset)
{
    size_t   done;
    ssize_t  n;

    for (done = 0; done < b.len; done += (size_t) n) {

        if (offset == -1) {
            n = write(fd, b.data + done, b.len - done);

        } else {
            n = pwrite(fd, b.data + done, b.len - done,
                       offset + (off_t) done);
        }

        if (n == -1) {
            if (errno != EINTR) {
                return -1;
            }

            n = 0;
        }
    }

    return 0;
}
