/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The tables, their numbered migrations, and the check at start.
 *
 * Runs in open(), under the host lock, on the writer's connection.  The first
 * process on the host checks the file; whichever comes first with work to do
 * migrates, the others find it done.  Migrations are additive: the release
 * before must be able to read what the next one made of its data.
 */


#include "store_sqlite.h"

#include <errno.h>
#include <stdio.h>


#define STORE_SQLITE_SCHEMA_ID  0x6d657368     /* "mesh": application_id */


static int check_identity(store_t *store, store_sqlite_db_t *db,
    int64_t *version, char *error, size_t error_size);
static int check_pages(store_t *store, store_sqlite_db_t *db, char *error,
    size_t error_size);
static void join_lines(char *text);
static int stop_check(void *data);
static int migrate(store_t *store, store_sqlite_db_t *db, char *error,
    size_t error_size);
static int migrate_step(store_sqlite_db_t *db, int64_t version);
static int find_number(store_sqlite_db_t *db, const char *sql,
    int64_t *number);


/*
 * 1. namespace  one row a namespace, kept when the namespace is dropped, so
 *               that its counters go on; a drop gives it a new id
 *    item       ns is namespace.id; key and value are bytes
 *    entry      place is namespace.id << 36 | seq: rowid, so that a page of
 *               history is one walk over neighbours
 *    dropped    ids whose rows wait for the sweep
 *
 * Values may be large, hence rowid tables with an index on (ns, key).
 */

static const char *const  store_sqlite_schema_steps[] = {

    "CREATE TABLE namespace ("
    "    id          INTEGER PRIMARY KEY AUTOINCREMENT,"
    "    name        BLOB NOT NULL UNIQUE,"
    "    item_seq    INTEGER NOT NULL DEFAULT 0,"
    "    entry_seq   INTEGER NOT NULL DEFAULT 0"
    ") STRICT;"

    "CREATE TABLE item ("
    "    ns          INTEGER NOT NULL,"
    "    key         BLOB NOT NULL,"
    "    seq         INTEGER NOT NULL,"
    "    at_ms       INTEGER NOT NULL,"
    "    expires_ms  INTEGER NOT NULL DEFAULT 0,"
    "    value       BLOB NOT NULL,"
    "    UNIQUE (ns, key)"
    ") STRICT;"

    "CREATE INDEX item_expires ON item (expires_ms) WHERE expires_ms > 0;"

    "CREATE TABLE entry ("
    "    place       INTEGER PRIMARY KEY,"
    "    ns          INTEGER NOT NULL,"
    "    at_ms       INTEGER NOT NULL,"
    "    id          BLOB NOT NULL,"
    "    dedupe      BLOB,"
    "    value       BLOB NOT NULL"
    ") STRICT;"

    "CREATE UNIQUE INDEX entry_id ON entry (ns, id);"
    "CREATE UNIQUE INDEX entry_dedupe ON entry (ns, dedupe)"
    "    WHERE dedupe IS NOT NULL;"

    "CREATE TABLE dropped ("
    "    ns          INTEGER PRIMARY KEY"
    ") STRICT;"
};


#define STORE_SQLITE_SCHEMA_VERSION                                          \
    (int64_t) (sizeof(store_sqlite_schema_steps)                             \
               / sizeof(store_sqlite_schema_steps[0]))


int
store_sqlite_schema_open(store_t *store, store_sqlite_db_t *db, char *error,
    size_t error_size)
{
    int      first;
    int64_t  version;

    first = store_sqlite_lock_first(store->lock);

    if (first == -1) {
        snprintf(error, error_size, "the lock of \"%s\" fails: %s",
                 store->path, strerror(errno));
        return -1;
    }

    if (check_identity(store, db, &version, error, error_size) != 0) {
        return -1;
    }

    if (!store->config.migrate) {
        if (version == STORE_SQLITE_SCHEMA_VERSION) {
            return 0;
        }

        snprintf(error, error_size, "\"%s\" was made by an older release "
                 "(schema %lld of %lld); the server has to be started first",
                 store->path, (long long) version,
                 (long long) STORE_SQLITE_SCHEMA_VERSION);
        return -1;
    }

    if (first && version != 0
        && check_pages(store, db, error, error_size) != 0)
    {
        return -1;
    }

    return migrate(store, db, error, error_size);
}


static int
check_identity(store_t *store, store_sqlite_db_t *db, int64_t *version,
    char *error, size_t error_size)
{
    int64_t  id, tables;

    if (find_number(db, "PRAGMA user_version", version) != SQLITE_OK
        || find_number(db, "PRAGMA application_id", &id) != SQLITE_OK
        || find_number(db, "SELECT count(*) FROM sqlite_schema", &tables)
           != SQLITE_OK)
    {
        snprintf(error, error_size, "\"%s\" cannot be read: %s", store->path,
                 sqlite3_errmsg(db->handle));
        return -1;
    }

    if (id != STORE_SQLITE_SCHEMA_ID && (id != 0 || tables != 0)) {
        snprintf(error, error_size, "\"%s\" is the database of another "
                 "program (application_id %lld)", store->path,
                 (long long) id);
        return -1;
    }

    if (*version > STORE_SQLITE_SCHEMA_VERSION) {
        snprintf(error, error_size, "\"%s\" was made by a newer release "
                 "(schema %lld, this one knows %lld); it is left untouched",
                 store->path, (long long) *version,
                 (long long) STORE_SQLITE_SCHEMA_VERSION);
        return -1;
    }

    return 0;
}


/*
 * Refuses a damaged file.  A very large one is not read to its end: the
 * start of a server must not take minutes.
 */

static int
check_pages(store_t *store, store_sqlite_db_t *db, char *error,
    size_t error_size)
{
    int            rc;
    const char    *text;
    sqlite3_stmt  *statement;

    db->deadline_us = store_sqlite_now_us()
                      + (int64_t) STORE_SQLITE_CHECK_MS * 1000;
    sqlite3_progress_handler(db->handle, 10000, stop_check, db);

    rc = sqlite3_prepare_v2(db->handle, "PRAGMA quick_check(1)", -1,
                            &statement, NULL);

    if (rc == SQLITE_OK) {
        rc = sqlite3_step(statement);
    }

    text = (rc == SQLITE_ROW)
           ? (const char *) sqlite3_column_text(statement, 0) : NULL;

    if (rc == SQLITE_INTERRUPT) {
        store_sqlite_log(store, 0, "store: the check of \"%s\" was stopped "
                         "after %d s, without a fault so far", store->path,
                         STORE_SQLITE_CHECK_MS / 1000);
        rc = 0;

    } else if (text != NULL && strcmp(text, "ok") == 0) {
        rc = 0;

    } else {
        snprintf(error, error_size, "\"%s\" is damaged: %s; restore a backup",
                 store->path, text ? text : sqlite3_errmsg(db->handle));
        join_lines(error);
        rc = -1;
    }

    sqlite3_finalize(statement);
    sqlite3_progress_handler(db->handle, 0, NULL, NULL);
    db->deadline_us = 0;

    return rc;
}


/* What SQLite finds it tells in several lines. */
static void
join_lines(char *text)
{
    for ( /* void */ ; *text != '\0'; text++) {
        if (*text == '\n') {
            *text = ' ';
        }
    }
}


static int
stop_check(void *data)
{
    store_sqlite_db_t *db = data;

    return store_sqlite_now_us() > db->deadline_us;
}


static int
migrate(store_t *store, store_sqlite_db_t *db, char *error,
    size_t error_size)
{
    int      rc;
    int64_t  version, wal;

    /* the page size counts in a file that is still empty only */

    rc = sqlite3_exec(db->handle, "PRAGMA page_size = 4096;"
                      "PRAGMA journal_mode = WAL;", NULL, NULL, NULL);

    if (rc == SQLITE_OK) {
        rc = find_number(db, "SELECT journal_mode = 'wal'"
                         "    FROM pragma_journal_mode", &wal);
    }

    if (rc == SQLITE_OK && !wal) {
        snprintf(error, error_size, "\"%s\" cannot have a write-ahead log; "
                 "its file system has no shared memory", store->path);
        return -1;
    }

    while (rc == SQLITE_OK) {
        rc = find_number(db, "PRAGMA user_version", &version);

        if (rc != SQLITE_OK || version == STORE_SQLITE_SCHEMA_VERSION) {
            break;
        }

        rc = migrate_step(db, version);

        if (rc == SQLITE_OK) {
            store_sqlite_log(store, 0, "store: \"%s\" migrated from schema "
                             "%lld to %lld", store->path,
                             (long long) version, (long long) version + 1);
        }
    }

    if (rc != SQLITE_OK) {
        snprintf(error, error_size, "\"%s\" cannot be migrated: %s",
                 store->path, sqlite3_errmsg(db->handle));

        if (!sqlite3_get_autocommit(db->handle)) {
            (void) sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
        }

        return -1;
    }

    return 0;
}


static int
migrate_step(store_sqlite_db_t *db, int64_t version)
{
    int    rc;
    char  *sql;

    sql = sqlite3_mprintf("BEGIN IMMEDIATE; %s PRAGMA application_id = %d;"
                          "PRAGMA user_version = %lld; COMMIT;",
                          store_sqlite_schema_steps[version],
                          STORE_SQLITE_SCHEMA_ID, (long long) version + 1);

    if (sql == NULL) {
        return SQLITE_NOMEM;
    }

    rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    sqlite3_free(sql);

    return rc;
}


/* The first column of the first row. */
static int
find_number(store_sqlite_db_t *db, const char *sql, int64_t *number)
{
    int            rc;
    sqlite3_stmt  *statement;

    *number = 0;

    rc = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL);

    if (rc != SQLITE_OK) {
        return rc;
    }

    rc = sqlite3_step(statement);

    if (rc == SQLITE_ROW) {
        *number = sqlite3_column_int64(statement, 0);
        rc = SQLITE_OK;
    }

    sqlite3_finalize(statement);

    return (rc == SQLITE_DONE) ? SQLITE_ERROR : rc;
}
