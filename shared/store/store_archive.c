/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The folder of backups: its lock, its manifests, and the order of steps by
 * which a backup is whole or not there.
 *
 * Runs in pool threads.  What a backup must have is on disk before its
 * manifest is; a backup that is removed loses its manifest first.  The copies
 * of blobs are in store_archive_blob.c.
 */


#ifndef _GNU_SOURCE
#define _GNU_SOURCE                            /* F_OFD_SETLK */
#endif

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "json_scan.h"
#include "json_write.h"
#include "store_archive_blob.h"
#include "timestamp.h"


#define STORE_ARCHIVE_MANIFEST_MAX  1024       /* bytes */


static int open_locked(store_archive_t *archive, store_archive_place_t *place);
static void close_place(store_archive_place_t *place);
static void set_id(store_archive_fact_t *fact);
static int make_files(store_archive_t *archive, store_archive_place_t *place,
    store_archive_fact_t *fact);
static int write_manifest(store_archive_place_t *place,
    const store_archive_fact_t *fact);
static int read_manifest(store_archive_place_t *place, const char *id,
    store_archive_fact_t *fact);
static int parse_manifest(bytes_t text, store_archive_fact_t *fact);
static int list_facts(store_archive_place_t *place,
    store_archive_fact_t **list, size_t *count);
static int compare_facts(const void *a, const void *b);
static int remove_files(store_archive_place_t *place, const char *id);
static int remove_oldest(store_archive_t *archive,
    store_archive_place_t *place);
static int fail_errno(store_archive_t *archive, const char *what);


int
store_archive_valid(const char *text, size_t len)
{
    size_t       i;
    const char  *form;

    form = "mesh-00000000T000000000Z";

    if (len != STORE_ARCHIVE_ID_LEN) {
        return 0;
    }

    for (i = 0; i < len; i++) {
        if (form[i] == '0' ? text[i] < '0' || text[i] > '9'
                           : text[i] != form[i])
        {
            return 0;
        }
    }

    return 1;
}


int
store_archive_make(store_archive_t *archive, store_archive_fact_t *fact)
{
    int                    rc;
    store_archive_place_t  place;

    if (open_locked(archive, &place) != 0) {
        return -1;
    }

    memset(fact, 0, sizeof(store_archive_fact_t));
    set_id(fact);
    (void) snprintf(fact->adapter, sizeof(fact->adapter), "%s",
                    archive->adapter->name);

    rc = make_files(archive, &place, fact);

    if (rc != 0) {
        (void) remove_files(&place, fact->id);

    } else if (archive->keep != 0) {
        rc = remove_oldest(archive, &place);
    }

    close_place(&place);

    return rc;
}


int
store_archive_list(store_archive_t *archive, store_archive_fact_t **list,
    size_t *count)
{
    int                    rc;
    store_archive_place_t  place;

    *list = NULL;
    *count = 0;

    memset(&place, 0, sizeof(store_archive_place_t));
    place.archive = archive;
    place.lock = -1;
    place.folder = open(archive->folder, O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    if (place.folder == -1) {
        return (errno == ENOENT) ? 0
                                 : fail_errno(archive, "opening the folder");
    }

    rc = list_facts(&place, list, count);

    if (rc != 0) {
        (void) fail_errno(archive, "reading the folder");
    }

    close_place(&place);

    return rc;
}


void
store_archive_release(store_archive_fact_t *list)
{
    free(list);
}


int
store_archive_remove(store_archive_t *archive, const char *id)
{
    int                    rc;
    store_archive_fact_t   fact;
    store_archive_place_t  place;

    if (open_locked(archive, &place) != 0) {
        return -1;
    }

    if (read_manifest(&place, id, &fact) != 0) {
        archive->absent = 1;
        (void) snprintf(archive->error, sizeof(archive->error),
                        "there is no such backup");
        close_place(&place);
        return -1;
    }

    rc = remove_files(&place, id);

    if (rc == 0) {
        rc = store_archive_blob_sweep(&place);
    }

    if (rc != 0) {
        (void) fail_errno(archive, "removing a backup");
    }

    close_place(&place);

    return rc;
}


int
store_archive_restore(store_archive_t *archive, const char *id)
{
    int                    rc;
    char                   path[STORE_ARCHIVE_PATH_MAX];
    store_archive_fact_t   fact;
    store_archive_place_t  place;

    if (open_locked(archive, &place) != 0) {
        return -1;
    }

    rc = -1;

    if (read_manifest(&place, id, &fact) != 0) {
        archive->absent = 1;
        (void) snprintf(archive->error, sizeof(archive->error),
                        "there is no such backup");

    } else if (strcmp(fact.adapter, archive->adapter->name) != 0) {
        (void) snprintf(archive->error, sizeof(archive->error),
                        "the backup is of the adapter \"%s\", the node has "
                        "\"%s\": move data by export and import",
                        fact.adapter, archive->adapter->name);

    } else if (store_archive_blob_restore(&place, id) == 0) {
        (void) snprintf(path, sizeof(path), "%s%s.data", archive->folder, id);

        rc = archive->adapter->restore(archive->store, path, archive->error,
                                       sizeof(archive->error));
    }

    close_place(&place);

    return rc;
}


/* The folder, made when it is not there, and its lock. */
static int
open_locked(store_archive_t *archive, store_archive_place_t *place)
{
    struct flock  lock;

    memset(place, 0, sizeof(store_archive_place_t));
    place->archive = archive;
    place->lock = -1;

    if (mkdir(archive->folder, 0700) == -1 && errno != EEXIST) {
        return fail_errno(archive, "making the folder");
    }

    place->folder = open(archive->folder, O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    if (place->folder == -1) {
        return fail_errno(archive, "opening the folder");
    }

    place->lock = openat(place->folder, ".lock", O_RDWR|O_CREAT|O_CLOEXEC,
                         0600);

    if (place->lock == -1) {
        (void) fail_errno(archive, "opening the lock file");
        close_place(place);
        return -1;
    }

    memset(&lock, 0, sizeof(lock));
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;

    if (fcntl(place->lock, F_OFD_SETLK, &lock) == 0) {
        return 0;
    }

    if (errno == EAGAIN || errno == EACCES) {
        archive->busy = 1;
        (void) snprintf(archive->error, sizeof(archive->error),
                        "another backup or restore is at work");

    } else {
        (void) fail_errno(archive, "locking the folder");
    }

    close_place(place);

    return -1;
}


static void
close_place(store_archive_place_t *place)
{
    if (place->folder != -1) {
        (void) close(place->folder);
    }

    if (place->lock != -1) {
        (void) close(place->lock);
    }
}


/* mesh-20261124T190102123Z: the time without its marks. */
static void
set_id(store_archive_fact_t *fact)
{
    size_t           i, n;
    uint8_t          at[TIMESTAMP_LEN];
    bytes_writer_t   w;
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    fact->made_ms = (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;

    bytes_writer_open(&w, at, sizeof(at));
    timestamp_write(&w, fact->made_ms);

    memcpy(fact->id, "mesh-", 5);
    n = 5;

    for (i = 0; i < TIMESTAMP_LEN && n < STORE_ARCHIVE_ID_LEN; i++) {
        if (at[i] != '-' && at[i] != ':' && at[i] != '.') {
            fact->id[n++] = (char) at[i];
        }
    }
}


/*
 * Blobs are linked before and after the data is written: what the data names
 * was there at the first pass or has come since, and what is removed
 * meanwhile was linked before.
 */

static int
make_files(store_archive_t *archive, store_archive_place_t *place,
    store_archive_fact_t *fact)
{
    char         path[STORE_ARCHIVE_PATH_MAX];
    struct stat  st;

    if (snprintf(path, sizeof(path), "%s%s.data", archive->folder, fact->id)
        >= (int) sizeof(path))
    {
        (void) snprintf(archive->error, sizeof(archive->error),
                        "the name of the folder is too long");
        return -1;
    }

    if (faccessat(place->folder, path + strlen(archive->folder), F_OK, 0)
        == 0)
    {
        (void) snprintf(archive->error, sizeof(archive->error),
                        "there is a backup of this moment");
        archive->busy = 1;
        return -1;
    }

    if (store_archive_blob_save(place, fact) != 0) {
        return -1;
    }

    if (archive->adapter->backup(archive->store, path, archive->error,
                                 sizeof(archive->error))
        != 0)
    {
        return -1;
    }

    if (stat(path, &st) == -1) {
        return fail_errno(archive, "the data of the backup");
    }

    fact->bytes = (uint64_t) st.st_size;

    if (store_archive_blob_save(place, fact) != 0) {
        return -1;
    }

    if (write_manifest(place, fact) != 0) {
        return fail_errno(archive, "writing the manifest");
    }

    return 0;
}


static int
write_manifest(store_archive_place_t *place, const store_archive_fact_t *fact)
{
    char            name[STORE_ARCHIVE_NAME_MAX];
    uint8_t         buf[STORE_ARCHIVE_MANIFEST_MAX];
    uint8_t         at[TIMESTAMP_LEN];
    json_write_t    j;
    bytes_writer_t  w, time;

    bytes_writer_open(&time, at, sizeof(at));
    timestamp_write(&time, fact->made_ms);

    bytes_writer_open(&w, buf, sizeof(buf));
    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member_text(&j, "id", fact->id);
    json_write_member(&j, "createdAt", bytes_writer_view(&time));
    json_write_member_text(&j, "adapter", fact->adapter);
    json_write_member_integer(&j, "bytes", (int64_t) fact->bytes);
    json_write_member_integer(&j, "blobs", (int64_t) fact->blobs);
    json_write_object_end(&j);
    bytes_writer_text(&w, "\n");

    if (w.failed) {
        errno = ENOBUFS;
        return -1;
    }

    (void) snprintf(name, sizeof(name), "%s.json", fact->id);

    return store_archive_blob_write(place->folder, name,
                                    bytes_writer_view(&w));
}


static int
read_manifest(store_archive_place_t *place, const char *id,
    store_archive_fact_t *fact)
{
    int      fd;
    char     name[STORE_ARCHIVE_NAME_MAX];
    uint8_t  buf[STORE_ARCHIVE_MANIFEST_MAX];
    ssize_t  n;

    memset(fact, 0, sizeof(store_archive_fact_t));

    (void) snprintf(name, sizeof(name), "%s.json", id);
    (void) snprintf(fact->id, sizeof(fact->id), "%s", id);

    fd = openat(place->folder, name, O_RDONLY|O_CLOEXEC);

    if (fd == -1) {
        return -1;
    }

    n = read(fd, buf, sizeof(buf));
    (void) close(fd);

    if (n <= 0) {
        return -1;
    }

    return parse_manifest(bytes_make(buf, (size_t) n), fact);
}


static int
parse_manifest(bytes_t text, store_archive_fact_t *fact)
{
    int64_t      bytes, blobs;
    bytes_t      at, adapter;
    json_scan_t  object, value;

    if (json_scan_validate(text, NULL) != JSON_SCAN_OK
        || json_scan_open(text, &object) != 0
        || object.type != JSON_SCAN_OBJECT
        || json_scan_find(&object, "createdAt", &value) != 0
        || json_scan_plain(&value, &at) != 0
        || timestamp_parse(at, &fact->made_ms) != 0
        || json_scan_find(&object, "adapter", &value) != 0
        || json_scan_plain(&value, &adapter) != 0
        || adapter.len >= sizeof(fact->adapter)
        || json_scan_find(&object, "bytes", &value) != 0
        || json_scan_integer(&value, &bytes) != 0
        || json_scan_find(&object, "blobs", &value) != 0
        || json_scan_integer(&value, &blobs) != 0)
    {
        return -1;
    }

    memcpy(fact->adapter, adapter.data, adapter.len);
    fact->adapter[adapter.len] = '\0';
    fact->bytes = (uint64_t) bytes;
    fact->blobs = (uint64_t) blobs;

    return 0;
}


/* Oldest first; what is no backup is passed over. */
static int
list_facts(store_archive_place_t *place, store_archive_fact_t **list,
    size_t *count)
{
    int                    fd;
    DIR                   *dir;
    char                  *dot;
    size_t                 n;
    struct dirent         *entry;
    store_archive_fact_t  *facts;

    facts = calloc(STORE_ARCHIVE_LIST_MAX, sizeof(store_archive_fact_t));
    if (facts == NULL) {
        return -1;
    }

    fd = dup(place->folder);
    dir = (fd == -1) ? NULL : fdopendir(fd);

    if (dir == NULL) {
        if (fd != -1) {
            (void) close(fd);
        }

        free(facts);
        return -1;
    }

    rewinddir(dir);
    n = 0;

    while (n < STORE_ARCHIVE_LIST_MAX) {
        entry = readdir(dir);

        if (entry == NULL) {
            break;
        }

        dot = strchr(entry->d_name, '.');

        if (dot == NULL || strcmp(dot, ".json") != 0
            || !store_archive_valid(entry->d_name,
                                    (size_t) (dot - entry->d_name)))
        {
            continue;
        }

        *dot = '\0';

        if (read_manifest(place, entry->d_name, &facts[n]) == 0) {
            n++;
        }
    }

    (void) closedir(dir);

    qsort(facts, n, sizeof(store_archive_fact_t), compare_facts);

    *list = facts;
    *count = n;

    return 0;
}


static int
compare_facts(const void *a, const void *b)
{
    const store_archive_fact_t *left = a;
    const store_archive_fact_t *right = b;

    return strcmp(left->id, right->id);
}


/* The manifest goes first: what is left is then no backup. */
static int
remove_files(store_archive_place_t *place, const char *id)
{
    int     rc;
    char    name[STORE_ARCHIVE_NAME_MAX];
    size_t  i;

    static const char *const  ends[] = { "json", "data", "blobs" };

    rc = 0;

    for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        (void) snprintf(name, sizeof(name), "%s.%s", id, ends[i]);

        if (unlinkat(place->folder, name, 0) == -1 && errno != ENOENT) {
            rc = -1;
        }
    }

    return rc;
}


static int
remove_oldest(store_archive_t *archive, store_archive_place_t *place)
{
    int                    rc;
    size_t                 i, count;
    store_archive_fact_t  *list;

    if (list_facts(place, &list, &count) != 0) {
        return fail_errno(archive, "reading the folder");
    }

    rc = 0;

    for (i = 0; i + archive->keep < count && rc == 0; i++) {
        rc = remove_files(place, list[i].id);
    }

    free(list);

    if (rc == 0 && i != 0) {
        rc = store_archive_blob_sweep(place);
    }

    return (rc == 0) ? 0 : fail_errno(archive, "removing an old backup");
}


/* Keeps what was said before. */
static int
fail_errno(store_archive_t *archive, const char *what)
{
    if (archive->error[0] == '\0') {
        (void) snprintf(archive->error, sizeof(archive->error),
                        "%s failed: %s (\"%s\")", what, strerror(errno),
                        archive->folder);
    }

    return -1;
}
