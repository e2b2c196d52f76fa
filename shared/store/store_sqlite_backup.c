/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Backups and restores: finished files only.
 *
 * A backup is read in one snapshot, by a connection of its own, while writes
 * go on.  A restore works on a copy of the backup beside the database: that
 * is checked, migrated and given a new epoch, and then all of it takes the
 * place of what is there, in one transaction of the writer's connection:
 *
 *     any thread        copy_file, verify ----.            .---- remove
 *                                             v            |
 *     writer's thread                  lock, copy_source, unlock
 *
 * The live database is opened here by SQLite only (rule 3 of
 * store_sqlite.h); files that are read and synced by hand are copies.
 */


#include "store_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>


#define STORE_SQLITE_COPY_BYTES  65536


static int make_part(store_t *store, const char *part, char *error,
    size_t error_size);
static int copy_pages(store_t *store, store_sqlite_db_t *db, char *error,
    size_t error_size);
static int finish_part(store_sqlite_db_t *db, const char *path, char *error,
    size_t error_size);
static int find_fault(store_sqlite_db_t *db, const char *sql, char *error,
    size_t error_size);
static int make_file(const char *path, char *error, size_t error_size);
static int sync_file(const char *path, int flags);
static int sync_folder(const char *path);
static int check_source(store_t *store, const char *path, char *error,
    size_t error_size);
static int stage(store_t *store, store_sqlite_db_t *db, const char *from,
    const char *to);
static int copy_file(const char *from, const char *to);
static int copy_bytes(int in, int out);
static void remove_files(const char *path);
static int copy_source(store_t *store, sqlite3 *source);


int
store_sqlite_backup_make(store_t *store, const char *path, char *error,
    size_t error_size)
{
    int    rc;
    char  *part;

    if (asprintf(&part, "%s.part", path) == -1) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }

    if (access(path, F_OK) == 0) {
        snprintf(error, error_size, "\"%s\" is there already", path);
        free(part);
        return -1;
    }

    if (make_file(part, error, error_size) != 0) {
        free(part);
        return -1;
    }

    rc = make_part(store, part, error, error_size);

    /* a name that was taken meanwhile is not replaced */

    if (rc == 0 && renameat2(AT_FDCWD, part, AT_FDCWD, path,
                             RENAME_NOREPLACE) == -1)
    {
        snprintf(error, error_size, "\"%s\" cannot be made: %s", path,
                 strerror(errno));
        rc = -1;
    }

    if (rc != 0) {
        remove_files(part);

    } else if (sync_folder(path) != 0) {
        snprintf(error, error_size, "the folder of \"%s\" cannot be synced: "
                 "%s", path, strerror(errno));
        (void) unlink(path);
        rc = -1;
    }

    free(part);

    return rc;
}


static int
make_part(store_t *store, const char *part, char *error, size_t error_size)
{
    int                rc;
    store_sqlite_db_t  db;

    rc = store_sqlite_db_open_copy(store, &db, part);

    if (rc != SQLITE_OK) {
        snprintf(error, error_size, "\"%s\" cannot be written: %s", part,
                 sqlite3_errstr(rc));
        rc = -1;

    } else {
        rc = copy_pages(store, &db, error, error_size);
    }

    if (rc == 0) {
        rc = finish_part(&db, part, error, error_size);
    }

    store_sqlite_db_close(&db);

    if (rc == 0 && sync_file(part, O_RDWR) != 0) {
        snprintf(error, error_size, "\"%s\" cannot be synced: %s", part,
                 strerror(errno));
        rc = -1;
    }

    return rc;
}


/* All pages of one snapshot, by one call: a second one would begin anew when
   something was written between them. */
static int
copy_pages(store_t *store, store_sqlite_db_t *db, char *error,
    size_t error_size)
{
    int                 rc, end;
    sqlite3_backup     *backup;
    store_sqlite_db_t   source;

    rc = store_sqlite_db_open_copy(store, &source, store->path);

    if (rc != SQLITE_OK) {
        snprintf(error, error_size, "\"%s\" cannot be read: %s",
                 store->path, sqlite3_errstr(rc));
        store_sqlite_db_close(&source);
        return -1;
    }

    /* a journal would be for a file that nobody sees before it is whole */

    rc = sqlite3_exec(db->handle, "PRAGMA journal_mode = OFF;"
                      "PRAGMA synchronous = OFF;", NULL, NULL, NULL);
    backup = NULL;

    if (rc == SQLITE_OK) {
        backup = sqlite3_backup_init(db->handle, "main", source.handle,
                                     "main");
        rc = sqlite3_errcode(db->handle);
    }

    if (backup != NULL) {
        rc = sqlite3_backup_step(backup, -1);
        end = sqlite3_backup_finish(backup);

        if (rc == SQLITE_DONE) {
            rc = end;
        }
    }

    store_sqlite_db_close(&source);

    if (rc != SQLITE_OK) {
        snprintf(error, error_size, "the copy failed: %s",
                 sqlite3_errstr(rc));
        return -1;
    }

    return 0;
}


/* A file that is whole without a log, and has no fault. */
static int
finish_part(store_sqlite_db_t *db, const char *path, char *error,
    size_t error_size)
{
    int  rc;

    rc = sqlite3_exec(db->handle, "PRAGMA journal_mode = DELETE", NULL, NULL,
                      NULL);

    if (rc != SQLITE_OK) {
        snprintf(error, error_size, "\"%s\" cannot be finished: %s", path,
                 sqlite3_errmsg(db->handle));
        return -1;
    }

    return find_fault(db, "PRAGMA quick_check(1)", error, error_size);
}


static int
find_fault(store_sqlite_db_t *db, const char *sql, char *error,
    size_t error_size)
{
    int            rc;
    const char    *text;
    sqlite3_stmt  *statement;

    rc = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL);

    if (rc == SQLITE_OK) {
        rc = sqlite3_step(statement);
    }

    text = (rc == SQLITE_ROW)
           ? (const char *) sqlite3_column_text(statement, 0) : NULL;

    rc = (text != NULL && strcmp(text, "ok") == 0) ? 0 : -1;

    if (rc != 0) {
        snprintf(error, error_size, "the copy is damaged: %.*s",
                 text ? (int) strcspn(text, "\n") : 100,
                 text ? text : sqlite3_errmsg(db->handle));
    }

    sqlite3_finalize(statement);

    return rc;
}


static int
make_file(const char *path, char *error, size_t error_size)
{
    int  fd;

    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd == -1) {
        snprintf(error, error_size, "\"%s\" cannot be made: %s", path,
                 strerror(errno));
        return -1;
    }

    close(fd);

    return 0;
}


/* Of a file that SQLite has not open. */
static int
sync_file(const char *path, int flags)
{
    int  fd, rc, error;

    fd = open(path, flags | O_CLOEXEC);

    if (fd == -1) {
        return -1;
    }

    rc = fsync(fd);
    error = errno;
    close(fd);
    errno = error;

    return rc;
}


static int
sync_folder(const char *path)
{
    int    rc;
    char  *folder, *slash;

    folder = strdup(path);
    if (folder == NULL) {
        return -1;
    }

    slash = strrchr(folder, '/');

    if (slash == NULL) {
        rc = sync_file(".", O_RDONLY | O_DIRECTORY);

    } else {
        slash[slash == folder] = '\0';
        rc = sync_file(folder, O_RDONLY | O_DIRECTORY);
    }

    free(folder);

    return rc;
}


/* Restores. */

int
store_sqlite_backup_restore(store_t *store, const char *path, char *error,
    size_t error_size)
{
    int                rc;
    char              *copy;
    store_sqlite_db_t  db;

    if (check_source(store, path, error, error_size) != 0) {
        return -1;
    }

    if (asprintf(&copy, "%s.restore", store->path) == -1) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }

    memset(&db, 0, sizeof(store_sqlite_db_t));
    remove_files(copy);

    rc = stage(store, &db, path, copy);

    if (rc != 0) {
        snprintf(error, error_size, "\"%s\" cannot be copied: %s", path,
                 strerror(errno));

    } else {
        rc = store_sqlite_schema_verify(store, &db, error, error_size);
    }

    if (rc == 0 && store_sqlite_schema_epoch(db.handle, 1) != SQLITE_OK) {
        snprintf(error, error_size, "a new epoch cannot be written: %s",
                 sqlite3_errmsg(db.handle));
        rc = -1;
    }

    if (rc == 0) {
        rc = store_sqlite_writer_restore(store, db.handle);

        if (rc != 0) {
            snprintf(error, error_size, "the store was not replaced: %s",
                     (rc == -1) ? "it is locked or closing"
                                : sqlite3_errstr(rc));
            rc = -1;
        }
    }

    store_sqlite_db_close(&db);
    remove_files(copy);
    free(copy);

    return rc;
}


/* The live database must not be opened by hand, and a log beside the file
   means that it was not finished. */
static int
check_source(store_t *store, const char *path, char *error,
    size_t error_size)
{
    char         *log;
    struct stat   st, live;

    if (stat(path, &st) == -1) {
        snprintf(error, error_size, "\"%s\" cannot be read: %s", path,
                 strerror(errno));
        return -1;
    }

    if (!S_ISREG(st.st_mode)
        || (stat(store->path, &live) == 0 && st.st_dev == live.st_dev
            && st.st_ino == live.st_ino))
    {
        snprintf(error, error_size, "\"%s\" is not a backup", path);
        return -1;
    }

    if (asprintf(&log, "%s-wal", path) == -1) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }

    if (stat(log, &st) == 0 && st.st_size != 0) {
        snprintf(error, error_size, "\"%s\" has a log beside it: it is a "
                 "database in use, not a backup", path);
        free(log);
        return -1;
    }

    free(log);

    return 0;
}


/* 0, or -1 and errno. */
static int
stage(store_t *store, store_sqlite_db_t *db, const char *from, const char *to)
{
    if (copy_file(from, to) != 0) {
        return -1;
    }

    /* it dies with this process, so it need not be on disk */

    if (store_sqlite_db_open_copy(store, db, to) != SQLITE_OK
        || sqlite3_exec(db->handle, "PRAGMA synchronous = OFF", NULL, NULL,
                        NULL)
           != SQLITE_OK)
    {
        errno = EINVAL;
        return -1;
    }

    return 0;
}


static int
copy_file(const char *from, const char *to)
{
    int  in, out, rc, error;

    in = open(from, O_RDONLY | O_CLOEXEC);

    if (in == -1) {
        return -1;
    }

    out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    rc = (out == -1) ? -1 : copy_bytes(in, out);
    error = errno;

    close(in);

    if (out != -1) {
        close(out);
    }

    errno = error;

    return rc;
}


static int
copy_bytes(int in, int out)
{
    int       rc;
    char     *buf;
    ssize_t   n, done, wrote;

    buf = malloc(STORE_SQLITE_COPY_BYTES);
    if (buf == NULL) {
        return -1;
    }

    rc = 0;

    while (rc == 0 && (n = read(in, buf, STORE_SQLITE_COPY_BYTES)) != 0) {

        for (done = 0; n > 0 && done < n; done += wrote) {
            wrote = write(out, buf + done, (size_t) (n - done));

            if (wrote == -1) {
                n = -1;
            }
        }

        if (n == -1) {
            rc = -1;
        }
    }

    free(buf);

    return rc;
}


/* A copy of ours and what SQLite may have left beside it. */
static void
remove_files(const char *path)
{
    char    *name;
    size_t   i;

    static const char *const  suffixes[] = { "", "-journal", "-wal", "-shm" };

    for (i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {

        if (asprintf(&name, "%s%s", path, suffixes[i]) != -1) {
            (void) unlink(name);
            free(name);
        }
    }
}


/* In the writer's thread. */

void
store_sqlite_backup_run(store_t *store)
{
    int                      rc;
    store_sqlite_writer_t   *writer;
    store_sqlite_restore_t  *wanted;

    writer = &store->writer;

    pthread_mutex_lock(&writer->mutex);
    wanted = writer->restore;
    pthread_mutex_unlock(&writer->mutex);

    if (wanted == NULL) {
        return;
    }

    rc = -1;

    if (store_sqlite_lock_take(store->lock, STORE_SQLITE_RESTORE_MS) == 0) {

        if (writer->db.handle == NULL) {
            store_sqlite_writer_reopen(store);
        }

        if (writer->db.handle != NULL) {
            rc = copy_source(store, wanted->source);
        }

        store_sqlite_lock_release(store->lock);
    }

    pthread_mutex_lock(&writer->mutex);

    writer->restore = NULL;
    wanted->rc = rc;
    wanted->done = 1;
    pthread_cond_broadcast(&writer->restored);

    pthread_mutex_unlock(&writer->mutex);
}


/*
 * Under the host lock.  The pages of the source take the place of all there
 * were in one transaction of the log: a reader sees the old or the new, and
 * so does the next start after a crash.
 */

static int
copy_source(store_t *store, sqlite3 *source)
{
    int              rc, end;
    sqlite3_backup  *backup;

    errno = 0;
    backup = sqlite3_backup_init(store->writer.db.handle, "main", source,
                                 "main");

    if (backup == NULL) {
        return sqlite3_errcode(store->writer.db.handle);
    }

    rc = sqlite3_backup_step(backup, -1);
    store->writer.db.error = errno;
    end = sqlite3_backup_finish(backup);

    if (rc == SQLITE_DONE) {
        rc = end;
    }

    if (rc != SQLITE_OK) {
        store_sqlite_report_failure(store, "a restore", rc, 0);

        if (store_sqlite_writer_end(store, rc) != 0) {
            store_sqlite_writer_reopen(store);
        }

        return rc;
    }

    /* all of it is in the log now */

    if (store_sqlite_writer_checkpoint(store, SQLITE_CHECKPOINT_TRUNCATE)
        != SQLITE_OK)
    {
        store->writer.wal_due = 0;
    }

    return SQLITE_OK;
}
