/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Copies of blobs for backups.  Blobs are immutable and named by their
 * content, so one copy serves all backups and a hard link is a copy.
 *
 * Runs in pool threads, under the lock of the folder.  Both trees look alike:
 * <first two digits>/<64 digits>; whatever is named otherwise is left alone.
 */


#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_archive_blob.h"


#define STORE_ARCHIVE_BLOB_LEN   64       /* digits of a name */
#define STORE_ARCHIVE_BLOB_LINE  (STORE_ARCHIVE_BLOB_LEN + 1)
#define STORE_ARCHIVE_BLOB_STEP  1024     /* lines, at first */


/* Names, each with a newline, in one block. */
typedef struct {
    char    *lines;
    size_t   count;
    size_t   size;                        /* lines allocated */
} blob_set_t;


/* Called for each blob; 0, or -1 and errno, which ends the walk. */
typedef int (*blob_visit_pt)(void *data, int tree, const char *name);


typedef struct {
    int          to;                      /* the other tree */
    int          made;                    /* links, in the folder at work */
    blob_set_t  *set;
} blob_copy_t;


static int copy_all(store_archive_place_t *place, blob_set_t *set);
static int copy_folders(int from, blob_copy_t *copy);
static int walk_tree(int tree, blob_visit_pt visit, void *data);
static void set_folder(char *folder, size_t i);
static int walk_folder(int tree, const char *folder, blob_visit_pt visit,
    void *data);
static int is_digits(const char *text, size_t len);
static int save_one(void *data, int tree, const char *name);
static int restore_one(int from, int to, char *line);
static int sweep_one(void *data, int tree, const char *name);
static int copy_blob(int from, int to, const char *name);
static int copy_bytes(int from, int to, const char *name,
    const char *folder);
static int sync_folder(int tree, const char *name);
static int open_tree(int folder, const char *name, int make);
static int add_line(blob_set_t *set, const char *name);
static int add_list(blob_set_t *set, int folder, const char *name);
static int compare_lines(const void *a, const void *b);
static int fail_errno(store_archive_place_t *place, const char *what);


int
store_archive_blob_save(store_archive_place_t *place,
    store_archive_fact_t *fact)
{
    int         rc;
    char        name[STORE_ARCHIVE_NAME_MAX];
    blob_set_t  set;

    memset(&set, 0, sizeof(blob_set_t));

    rc = copy_all(place, &set);

    if (rc == 0) {
        if (set.count != 0) {
            qsort(set.lines, set.count, STORE_ARCHIVE_BLOB_LINE,
                  compare_lines);
        }

        (void) snprintf(name, sizeof(name), "%s.blobs", fact->id);
        fact->blobs = set.count;

        rc = store_archive_blob_write(place->folder, name,
                                      bytes_make((uint8_t *) set.lines,
                                                 set.count
                                                 * STORE_ARCHIVE_BLOB_LINE));
    }

    if (rc != 0) {
        (void) fail_errno(place, "copying blobs");
    }

    free(set.lines);

    return rc;
}


int
store_archive_blob_restore(store_archive_place_t *place, const char *id)
{
    int         rc, from, to;
    char        name[STORE_ARCHIVE_NAME_MAX];
    size_t      i;
    blob_set_t  set;

    memset(&set, 0, sizeof(blob_set_t));

    (void) snprintf(name, sizeof(name), "%s.blobs", id);

    if (add_list(&set, place->folder, name) != 0) {
        free(set.lines);
        return fail_errno(place, "reading the list of blobs");
    }

    if (set.count == 0) {
        free(set.lines);
        return 0;
    }

    rc = 0;
    from = open_tree(place->folder, "blobs", 0);
    to = open_tree(AT_FDCWD, place->archive->blobs, 1);

    for (i = 0; i < set.count && rc == 0; i++) {
        rc = restore_one(from, to, set.lines + i * STORE_ARCHIVE_BLOB_LINE);
    }

    if (rc != 0) {
        (void) fail_errno(place, "bringing blobs back");
    }

    if (from != -1) {
        (void) close(from);
    }

    if (to != -1) {
        (void) close(to);
    }

    free(set.lines);

    return rc;
}


int
store_archive_blob_sweep(store_archive_place_t *place)
{
    int             rc, fd, tree;
    DIR            *dir;
    char           *dot;
    blob_set_t      set;
    struct dirent  *entry;

    tree = open_tree(place->folder, "blobs", 0);

    if (tree == -1) {
        return (errno == ENOENT) ? 0 : -1;
    }

    fd = dup(place->folder);
    dir = (fd == -1) ? NULL : fdopendir(fd);

    if (dir == NULL) {
        if (fd != -1) {
            (void) close(fd);
        }

        (void) close(tree);
        return -1;
    }

    rewinddir(dir);
    memset(&set, 0, sizeof(blob_set_t));
    rc = 0;

    while (rc == 0) {
        entry = readdir(dir);

        if (entry == NULL) {
            break;
        }

        dot = strchr(entry->d_name, '.');

        if (dot != NULL && strcmp(dot, ".blobs") == 0) {
            rc = add_list(&set, place->folder, entry->d_name);
        }
    }

    (void) closedir(dir);

    if (rc == 0) {
        if (set.count != 0) {
            qsort(set.lines, set.count, STORE_ARCHIVE_BLOB_LINE,
                  compare_lines);
        }

        rc = walk_tree(tree, sweep_one, &set);
    }

    (void) close(tree);
    free(set.lines);

    return rc;
}


int
store_archive_blob_write(int folder, const char *name, bytes_t text)
{
    int      fd, rc;
    char     temporary[STORE_ARCHIVE_NAME_MAX + 8];
    size_t   done;
    ssize_t  n;

    (void) snprintf(temporary, sizeof(temporary), "%s.new", name);

    fd = openat(folder, temporary, O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0600);

    if (fd == -1) {
        return -1;
    }

    rc = 0;

    for (done = 0; done < text.len && rc == 0; done += (size_t) n) {
        n = write(fd, text.data + done, text.len - done);

        if (n == -1) {
            if (errno != EINTR) {
                rc = -1;
            }

            n = 0;
        }
    }

    if (rc == 0) {
        rc = fsync(fd);
    }

    if (close(fd) == -1 || rc != 0
        || renameat(folder, temporary, folder, name) == -1
        || fsync(folder) == -1)
    {
        return -1;
    }

    return 0;
}


/* Every blob of the node, into the folder's tree and into the set. */
static int
copy_all(store_archive_place_t *place, blob_set_t *set)
{
    int          rc, from;
    blob_copy_t  copy;

    from = open(place->archive->blobs, O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    if (from == -1) {
        return (errno == ENOENT) ? 0 : -1;
    }

    rc = -1;
    copy.set = set;
    copy.to = open_tree(place->folder, "blobs", 1);

    if (copy.to != -1) {
        rc = copy_folders(from, &copy);
        (void) close(copy.to);
    }

    (void) close(from);

    return rc;
}


static int
copy_folders(int from, blob_copy_t *copy)
{
    int     rc;
    char    folder[3];
    size_t  i;

    rc = 0;

    for (i = 0; i < 256 && rc == 0; i++) {
        set_folder(folder, i);
        copy->made = 0;

        rc = walk_folder(from, folder, save_one, copy);

        if (rc == 0 && copy->made != 0) {
            rc = sync_folder(copy->to, folder);
        }
    }

    return rc;
}


static int
walk_tree(int tree, blob_visit_pt visit, void *data)
{
    int     rc;
    char    folder[3];
    size_t  i;

    rc = 0;

    for (i = 0; i < 256 && rc == 0; i++) {
        set_folder(folder, i);
        rc = walk_folder(tree, folder, visit, data);
    }

    return rc;
}


static void
set_folder(char *folder, size_t i)
{
    static const char  digits[] = "0123456789abcdef";

    folder[0] = digits[i >> 4];
    folder[1] = digits[i & 15];
    folder[2] = '\0';
}


static int
walk_folder(int tree, const char *folder, blob_visit_pt visit, void *data)
{
    int             rc, fd;
    DIR            *dir;
    struct dirent  *entry;

    fd = openat(tree, folder, O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    if (fd == -1) {
        return (errno == ENOENT) ? 0 : -1;
    }

    dir = fdopendir(fd);

    if (dir == NULL) {
        (void) close(fd);
        return -1;
    }

    rc = 0;

    while (rc == 0) {
        entry = readdir(dir);

        if (entry == NULL) {
            break;
        }

        if (strlen(entry->d_name) == STORE_ARCHIVE_BLOB_LEN
            && is_digits(entry->d_name, STORE_ARCHIVE_BLOB_LEN)
            && memcmp(entry->d_name, folder, 2) == 0)
        {
            rc = visit(data, tree, entry->d_name);
        }
    }

    (void) closedir(dir);

    return rc;
}


static int
is_digits(const char *text, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if ((text[i] < '0' || text[i] > '9')
            && (text[i] < 'a' || text[i] > 'f'))
        {
            return 0;
        }
    }

    return 1;
}


static int
save_one(void *data, int tree, const char *name)
{
    blob_copy_t *copy = data;

    int  rc;

    rc = copy_blob(tree, copy->to, name);

    if (rc == -1) {

        /* one that the sweep took meanwhile was wanted by nobody */

        return (errno == ENOENT) ? 0 : -1;
    }

    copy->made += rc;

    return add_line(copy->set, name);
}


/* The time is that of now, also of one that was there: nothing refers to it
   before the restore is done. */

static int
restore_one(int from, int to, char *line)
{
    int   rc;
    char  path[STORE_ARCHIVE_BLOB_LEN + 4], folder[3];

    line[STORE_ARCHIVE_BLOB_LEN] = '\0';

    (void) snprintf(folder, sizeof(folder), "%.2s", line);
    (void) snprintf(path, sizeof(path), "%.2s/%s", line, line);

    rc = copy_blob(from, to, line);

    if (rc != -1 && utimensat(to, path, NULL, 0) == -1) {
        rc = -1;
    }

    return (rc == 1) ? sync_folder(to, folder) : rc;
}


/* data: the sorted names that are still wanted. */
static int
sweep_one(void *data, int tree, const char *name)
{
    blob_set_t *set = data;

    char  path[STORE_ARCHIVE_BLOB_LEN + 4];

    if (set->count != 0
        && bsearch(name, set->lines, set->count, STORE_ARCHIVE_BLOB_LINE,
                   compare_lines)
           != NULL)
    {
        return 0;
    }

    (void) snprintf(path, sizeof(path), "%.2s/%s", name, name);

    return unlinkat(tree, path, 0);
}


/* 1 when it was made, 0 when it was there, -1. */
static int
copy_blob(int from, int to, const char *name)
{
    char  path[STORE_ARCHIVE_BLOB_LEN + 4], folder[3];

    (void) snprintf(folder, sizeof(folder), "%.2s", name);
    (void) snprintf(path, sizeof(path), "%.2s/%s", name, name);

    if (faccessat(to, path, F_OK, 0) == 0) {
        return 0;
    }

    if (from == -1) {
        errno = ENOENT;
        return -1;
    }

    if (mkdirat(to, folder, 0700) == -1 && errno != EEXIST) {
        return -1;
    }

    if (linkat(from, path, to, path, 0) == 0) {
        return 1;
    }

    switch (errno) {

    case EEXIST:
        return 0;

    case EXDEV:
    case EPERM:
    case EMLINK:
    case EOPNOTSUPP:
        return (copy_bytes(from, to, path, folder) == 0) ? 1 : -1;

    default:
        return -1;
    }
}


/* Where links are not to be had. */
static int
copy_bytes(int from, int to, const char *name, const char *folder)
{
    int      in, out, rc;
    char     temporary[STORE_ARCHIVE_NAME_MAX];
    ssize_t  n;

    in = openat(from, name, O_RDONLY|O_CLOEXEC);

    if (in == -1) {
        return -1;
    }

    (void) snprintf(temporary, sizeof(temporary), "%s/copy.new", folder);

    out = openat(to, temporary, O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0600);

    if (out == -1) {
        (void) close(in);
        return -1;
    }

    do {
        n = sendfile(out, in, NULL, 1 << 20);
    } while (n > 0 || (n == -1 && errno == EINTR));

    rc = (n == 0) ? fsync(out) : -1;

    (void) close(in);

    if (close(out) == -1 || rc != 0
        || renameat(to, temporary, to, name) == -1)
    {
        (void) unlinkat(to, temporary, 0);
        return -1;
    }

    return 0;
}


static int
sync_folder(int tree, const char *name)
{
    int  fd, rc;

    fd = openat(tree, name, O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    if (fd == -1) {
        return -1;
    }

    rc = fsync(fd);
    (void) close(fd);

    return rc;
}


static int
open_tree(int folder, const char *name, int make)
{
    if (make && mkdirat(folder, name, 0700) == -1 && errno != EEXIST) {
        return -1;
    }

    return openat(folder, name, O_RDONLY|O_DIRECTORY|O_CLOEXEC);
}


static int
add_line(blob_set_t *set, const char *name)
{
    char    *grown;
    size_t   size;

    if (set->count == set->size) {
        size = set->size ? set->size * 2 : STORE_ARCHIVE_BLOB_STEP;

        grown = realloc(set->lines, size * STORE_ARCHIVE_BLOB_LINE);
        if (grown == NULL) {
            return -1;
        }

        set->lines = grown;
        set->size = size;
    }

    grown = set->lines + set->count++ * STORE_ARCHIVE_BLOB_LINE;

    memcpy(grown, name, STORE_ARCHIVE_BLOB_LEN);
    grown[STORE_ARCHIVE_BLOB_LEN] = '\n';

    return 0;
}


/* The lines of a list; one that is no name is an error. */
static int
add_list(blob_set_t *set, int folder, const char *name)
{
    int    fd, rc;
    char   line[STORE_ARCHIVE_BLOB_LINE + 1];
    FILE  *file;

    fd = openat(folder, name, O_RDONLY|O_CLOEXEC);
    file = (fd == -1) ? NULL : fdopen(fd, "r");

    if (file == NULL) {
        if (fd != -1) {
            (void) close(fd);
        }

        return -1;
    }

    rc = 0;

    while (rc == 0 && fgets(line, sizeof(line), file) != NULL) {
        if (strlen(line) != STORE_ARCHIVE_BLOB_LINE
            || !is_digits(line, STORE_ARCHIVE_BLOB_LEN))
        {
            errno = EBADMSG;
            rc = -1;

        } else {
            rc = add_line(set, line);
        }
    }

    if (ferror(file)) {
        rc = -1;
    }

    (void) fclose(file);

    return rc;
}


static int
compare_lines(const void *a, const void *b)
{
    return memcmp(a, b, STORE_ARCHIVE_BLOB_LEN);
}


static int
fail_errno(store_archive_place_t *place, const char *what)
{
    if (place->archive->error[0] == '\0') {
        (void) snprintf(place->archive->error, sizeof(place->archive->error),
                        "%s failed: %s (\"%s\")", what, strerror(errno),
                        place->archive->blobs);
    }

    return -1;
}
