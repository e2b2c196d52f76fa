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
 *
 * Beside the tables stands what the writer says to them.
 */


#include "store_sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>


#define STORE_SQLITE_SCHEMA_ID  0x6d657368     /* "mesh": application_id */
#define STORE_SQLITE_PAGE       4096

#define EPOCH_BYTES                                                          \
    (int) (sizeof(STORE_KEY_EPOCH) - 1 + STORE_EPOCH_LEN)


static int check_identity(store_t *store, store_sqlite_db_t *db,
    int64_t *version, char *error, size_t error_size);
static int check_pages(store_t *store, store_sqlite_db_t *db, char *error,
    size_t error_size);
static void join_lines(char *text);
static int stop_check(void *data);
static int migrate(store_t *store, store_sqlite_db_t *db, char *error,
    size_t error_size);
static int migrate_steps(store_sqlite_db_t *db, int64_t *version);
static int migrate_step(store_sqlite_db_t *db, int64_t version);
static int run_epoch(sqlite3 *handle, int known);
static int find_number(sqlite3 *handle, const char *sql, int64_t *number);


/*
 * 1. namespace  one row a namespace, kept when the namespace is dropped, so
 *               that its counters go on; a drop gives it a new id
 *    item       ns is namespace.id; key and value are bytes
 *    entry      place is namespace.id << 36 | seq: rowid, so that a page of
 *               history is one walk over neighbours
 *    dropped    ids whose rows wait for the sweep
 *
 *
 * 2. namespace  counts its items and their bytes: own_, and with those of the
 *               namespaces below it; max_ are its limits, 0: none; oldest:
 *               changes at and below that seq may be gone
 *    item       weight: bytes kept elsewhere; log: leaves changes; the value
 *               is last, so that a read of the rest never walks through it
 *    change     place is namespace.id << 36 | seq; kind as store_change_t
 *
 * Values may be large, hence rowid tables with an index on (ns, key).  A name
 * is cut at its dots as text: those of schema 1 are ASCII.
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
    ") STRICT;",

    "ALTER TABLE namespace ADD COLUMN oldest INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE namespace ADD COLUMN items INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE namespace ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE namespace ADD COLUMN own_items INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE namespace ADD COLUMN own_bytes INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE namespace ADD COLUMN max_items INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE namespace ADD COLUMN max_bytes INTEGER NOT NULL DEFAULT 0;"

    "DROP INDEX item_expires;"
    "ALTER TABLE item RENAME TO item_1;"

    "CREATE TABLE item ("
    "    ns          INTEGER NOT NULL,"
    "    key         BLOB NOT NULL,"
    "    seq         INTEGER NOT NULL,"
    "    at_ms       INTEGER NOT NULL,"
    "    expires_ms  INTEGER NOT NULL DEFAULT 0,"
    "    weight      INTEGER NOT NULL DEFAULT 0,"
    "    log         INTEGER NOT NULL DEFAULT 0,"
    "    meta        BLOB NOT NULL DEFAULT x'',"
    "    value       BLOB NOT NULL,"
    "    UNIQUE (ns, key)"
    ") STRICT;"

    "INSERT INTO item (rowid, ns, key, seq, at_ms, expires_ms, value)"
    "    SELECT rowid, ns, key, seq, at_ms, expires_ms, value FROM item_1"
    "    ORDER BY rowid;"

    "DROP TABLE item_1;"
    "CREATE INDEX item_expires ON item (expires_ms) WHERE expires_ms > 0;"

    "CREATE TABLE change ("
    "    place       INTEGER PRIMARY KEY,"
    "    at_ms       INTEGER NOT NULL,"
    "    kind        INTEGER NOT NULL,"
    "    key         BLOB NOT NULL,"
    "    note        BLOB NOT NULL"
    ") STRICT;"

    "INSERT OR IGNORE INTO namespace (name)"
    "    WITH RECURSIVE above (name) AS ("
    "        SELECT CAST (name AS TEXT) FROM namespace"
    "        UNION"
    "        SELECT substr(name, 1, length(rtrim(name,"
    "            replace(name, '.', ''))) - 1) FROM above"
    "        WHERE length(rtrim(name, replace(name, '.', ''))) > 1"
    "    )"
    "    SELECT CAST (name AS BLOB) FROM above WHERE name != '';"

    "UPDATE namespace SET (own_items, own_bytes) = ("
    "    SELECT count(*), coalesce(sum(length(key) + length(value)), 0)"
    "    FROM item WHERE ns = namespace.id);"

    "UPDATE namespace SET (items, bytes) = ("
    "    SELECT sum(below.own_items), sum(below.own_bytes)"
    "    FROM namespace AS below WHERE below.id = namespace.id"
    "    OR (below.name > CAST (namespace.name || '.' AS BLOB)"
    "        AND below.name < CAST (namespace.name || '/' AS BLOB)));"
};


const char *const  store_sqlite_writer_sql[STORE_SQLITE_STATEMENTS] = {

    [STORE_SQL_BEGIN] = "BEGIN IMMEDIATE",
    [STORE_SQL_COMMIT] = "COMMIT",
    [STORE_SQL_ROLLBACK] = "ROLLBACK",
    [STORE_SQL_SAVEPOINT] = "SAVEPOINT request",
    [STORE_SQL_RELEASE] = "RELEASE request",
    [STORE_SQL_UNDO] = "ROLLBACK TO request",

    [STORE_SQL_NS_GET] = "SELECT id, item_seq, entry_seq, oldest, items,"
                         " bytes, own_items, own_bytes, max_items, max_bytes"
                         " FROM namespace WHERE name = ?1",
    [STORE_SQL_NS_NAME] = "SELECT name FROM namespace WHERE id = ?1",
    [STORE_SQL_NS_ADD] = "INSERT INTO namespace (name) VALUES (?1)",
    [STORE_SQL_NS_SET] = "UPDATE namespace SET item_seq = ?2,"
                         " entry_seq = ?3, oldest = ?4, items = ?5,"
                         " bytes = ?6, own_items = ?7, own_bytes = ?8,"
                         " max_items = ?9, max_bytes = ?10 WHERE id = ?1",
    [STORE_SQL_NS_REMOVE] = "DELETE FROM namespace WHERE id = ?1",

    [STORE_SQL_ITEM_GET] = "SELECT rowid, seq, expires_ms, weight,"
                           " length(value) FROM item"
                           " WHERE ns = ?1 AND key = ?2",
    [STORE_SQL_ITEM_VALUE] = "SELECT value FROM item WHERE rowid = ?1",
    [STORE_SQL_ITEM_ADD] = "INSERT INTO item (ns, key, seq, at_ms,"
                           " expires_ms, weight, log, meta, value)"
                           " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [STORE_SQL_ITEM_SET] = "UPDATE item SET seq = ?3, at_ms = ?4,"
                           " expires_ms = ?5, weight = ?6, log = ?7,"
                           " meta = ?8, value = ?9 WHERE rowid = ?1",
    [STORE_SQL_ITEM_INCR] = "UPDATE item SET seq = ?2, at_ms = ?3, log = ?4,"
                            " value = ?5 WHERE rowid = ?1",
    [STORE_SQL_ITEM_REMOVE] = "DELETE FROM item WHERE rowid = ?1",

    [STORE_SQL_ENTRY_GET] = "SELECT place & 0xfffffffff, id, value FROM entry"
                            " WHERE ns = ?1 AND dedupe = ?2",
    [STORE_SQL_ENTRY_ADD] = "INSERT INTO entry (place, ns, at_ms, id, dedupe,"
                            " value) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",

    [STORE_SQL_CHANGE_ADD] = "INSERT INTO change (place, at_ms, kind, key,"
                             " note) VALUES (?1, ?2, ?3, ?4, ?5)",
    [STORE_SQL_CHANGE_NEXT] = "SELECT place, at_ms FROM change"
                              " WHERE place >= ?1 ORDER BY place LIMIT 1",
    [STORE_SQL_CHANGE_REMOVE] = "DELETE FROM change WHERE place = ?1",

    [STORE_SQL_DROPPED_ADD] = "INSERT INTO dropped (ns) VALUES (?1)",

    [STORE_SQL_SWEEP_DUE] = "SELECT 1 FROM dropped UNION ALL SELECT 1"
                            " FROM item WHERE expires_ms > 0"
                            " AND expires_ms <= ?1 LIMIT 1",
    [STORE_SQL_SWEEP_NEXT] = "SELECT rowid, ns, key, weight, log,"
                             " length(value) FROM item WHERE expires_ms > 0"
                             " AND expires_ms <= ?1 ORDER BY expires_ms"
                             " LIMIT 1",
    [STORE_SQL_SWEEP_DROPPED_ITEMS] = "DELETE FROM item WHERE rowid IN"
                                      " (SELECT rowid FROM item WHERE ns ="
                                      " (SELECT ns FROM dropped"
                                      " ORDER BY ns LIMIT 1) LIMIT ?1)",
    [STORE_SQL_SWEEP_DROPPED_ENTRIES] = "DELETE FROM entry WHERE place IN"
                                        " (SELECT place FROM entry"
                                        " WHERE place BETWEEN"
                                        " (SELECT ns << 36 FROM dropped"
                                        " ORDER BY ns LIMIT 1) AND"
                                        " (SELECT (ns + 1 << 36) - 1"
                                        " FROM dropped"
                                        " ORDER BY ns LIMIT 1) LIMIT ?1)",
    [STORE_SQL_SWEEP_DROPPED_CHANGES] = "DELETE FROM change WHERE place IN"
                                        " (SELECT place FROM change"
                                        " WHERE place BETWEEN"
                                        " (SELECT ns << 36 FROM dropped"
                                        " ORDER BY ns LIMIT 1) AND"
                                        " (SELECT (ns + 1 << 36) - 1"
                                        " FROM dropped"
                                        " ORDER BY ns LIMIT 1) LIMIT ?1)",
    [STORE_SQL_SWEEP_DROPPED] = "DELETE FROM dropped WHERE ns ="
                                " (SELECT ns FROM dropped"
                                " ORDER BY ns LIMIT 1)"
};


_Static_assert(STORE_SQL_MAX <= STORE_SQLITE_STATEMENTS, "statement cache");
_Static_assert(STORE_SQLITE_SEQ_BITS == 36, "numbers in the texts above");


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

    if (migrate(store, db, error, error_size) != 0) {
        return -1;
    }

    if (store_sqlite_schema_epoch(db->handle, 0) != SQLITE_OK) {
        snprintf(error, error_size, "\"%s\" cannot be written: %s",
                 store->path, sqlite3_errmsg(db->handle));
        return -1;
    }

    return 0;
}


int
store_sqlite_schema_verify(store_t *store, store_sqlite_db_t *db,
    char *error, size_t error_size)
{
    int      rc;
    int64_t  version, size, whole;

    if (check_identity(store, db, &version, error, error_size) != 0) {
        return -1;
    }

    if (version == 0
        || find_number(db->handle, "PRAGMA page_size", &size) != SQLITE_OK
        || size != STORE_SQLITE_PAGE)
    {
        snprintf(error, error_size, "it holds no store");
        return -1;
    }

    rc = find_number(db->handle, "SELECT integrity_check = 'ok'"
                     "    FROM pragma_integrity_check(1)", &whole);

    if (rc != SQLITE_OK || !whole) {
        snprintf(error, error_size, "it is damaged: %s",
                 (rc == SQLITE_OK) ? "the check of its pages fails"
                                   : sqlite3_errmsg(db->handle));
        return -1;
    }

    rc = migrate_steps(db, &version);

    if (rc != SQLITE_OK) {
        snprintf(error, error_size, "it cannot be migrated: %s",
                 sqlite3_errmsg(db->handle));
        return -1;
    }

    return 0;
}


/*
 * The epoch is an item like others, so that all that reads items reads it.
 * Written as SQL: there is no writer yet, and in a copy there never is.
 */

int
store_sqlite_schema_epoch(sqlite3 *handle, int anew)
{
    int      rc;
    int64_t  known;

    rc = find_number(handle, "SELECT count(*) FROM item WHERE key ="
                     "    CAST ('" STORE_KEY_EPOCH "' AS BLOB) AND ns ="
                     "    (SELECT id FROM namespace WHERE name ="
                     "     CAST ('" STORE_NS_STORE "' AS BLOB))", &known);

    if (rc != SQLITE_OK || (known && !anew)) {
        return rc;
    }

    rc = run_epoch(handle, known != 0);

    if (rc != SQLITE_OK && !sqlite3_get_autocommit(handle)) {
        (void) sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
    }

    return rc;
}


static int
run_epoch(sqlite3 *handle, int known)
{
    int       rc;
    char     *sql;
    uint64_t  epoch;

    if (getrandom(&epoch, sizeof(epoch), 0) != sizeof(epoch)) {
        return SQLITE_IOERR;
    }

    sql = sqlite3_mprintf("BEGIN IMMEDIATE;"
                          "INSERT OR IGNORE INTO namespace (name)"
                          "    VALUES (CAST ('%s' AS BLOB));"
                          "UPDATE namespace SET item_seq = item_seq + 1,"
                          "    items = items + %d, bytes = bytes + %d,"
                          "    own_items = own_items + %d,"
                          "    own_bytes = own_bytes + %d"
                          "    WHERE name = CAST ('%s' AS BLOB);"
                          "INSERT OR REPLACE INTO item"
                          "    (ns, key, seq, at_ms, value)"
                          "    SELECT id, CAST ('%s' AS BLOB), item_seq,"
                          "    %lld, CAST ('%016llx' AS BLOB)"
                          "    FROM namespace"
                          "    WHERE name = CAST ('%s' AS BLOB); COMMIT;",
                          STORE_NS_STORE, !known, known ? 0 : EPOCH_BYTES,
                          !known, known ? 0 : EPOCH_BYTES, STORE_NS_STORE,
                          STORE_KEY_EPOCH, (long long) store_sqlite_now_ms(),
                          (unsigned long long) epoch, STORE_NS_STORE);

    if (sql == NULL) {
        return SQLITE_NOMEM;
    }

    rc = sqlite3_exec(handle, sql, NULL, NULL, NULL);
    sqlite3_free(sql);

    return rc;
}


static int
check_identity(store_t *store, store_sqlite_db_t *db, int64_t *version,
    char *error, size_t error_size)
{
    int64_t  id, tables;

    if (find_number(db->handle, "PRAGMA user_version", version) != SQLITE_OK
        || find_number(db->handle, "PRAGMA application_id", &id) != SQLITE_OK
        || find_number(db->handle, "SELECT count(*) FROM sqlite_schema",
                       &tables)
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
    int64_t  old, version, wal;

    /* the page size counts in a file that is still empty only */

    rc = sqlite3_exec(db->handle, "PRAGMA page_size = 4096;"
                      "PRAGMA journal_mode = WAL;", NULL, NULL, NULL);

    if (rc == SQLITE_OK) {
        rc = find_number(db->handle, "SELECT journal_mode = 'wal'"
                         "    FROM pragma_journal_mode", &wal);
    }

    if (rc == SQLITE_OK && !wal) {
        snprintf(error, error_size, "\"%s\" cannot have a write-ahead log; "
                 "its file system has no shared memory", store->path);
        return -1;
    }

    if (rc == SQLITE_OK) {
        rc = find_number(db->handle, "PRAGMA user_version", &old);
    }

    if (rc == SQLITE_OK) {
        rc = migrate_steps(db, &version);
    }

    if (rc != SQLITE_OK) {
        snprintf(error, error_size, "\"%s\" cannot be migrated: %s",
                 store->path, sqlite3_errmsg(db->handle));

        if (!sqlite3_get_autocommit(db->handle)) {
            (void) sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
        }

        return -1;
    }

    if (version != old) {
        store_sqlite_log(store, 0, "store: \"%s\" migrated from schema "
                         "%lld to %lld", store->path, (long long) old,
                         (long long) version);
    }

    return 0;
}


/* To the schema of this release, from what the file has: each step is whole,
   and the next start goes on from there.  One that fails leaves its
   transaction to the caller, and the error. */
static int
migrate_steps(store_sqlite_db_t *db, int64_t *version)
{
    int  rc;

    for ( ;; ) {
        rc = find_number(db->handle, "PRAGMA user_version", version);

        if (rc != SQLITE_OK || *version == STORE_SQLITE_SCHEMA_VERSION) {
            return rc;
        }

        rc = migrate_step(db, *version);

        if (rc != SQLITE_OK) {
            return rc;
        }
    }
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
find_number(sqlite3 *handle, const char *sql, int64_t *number)
{
    int            rc;
    sqlite3_stmt  *statement;

    *number = 0;

    rc = sqlite3_prepare_v2(handle, sql, -1, &statement, NULL);

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
