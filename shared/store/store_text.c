/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The file of the text index: made, checked and rebuilt by who leads.
 *
 * A damaged file is deleted and made anew; those who have it open see by its
 * inode that theirs is gone, also when somebody else deletes it.  A database
 * of another program is left alone: the configuration named the wrong file.
 *
 * Who finds damage while searching cannot mend it, so he leaves a file
 * "<path>.damaged" that the leader looks for.
 */


#include "store_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>


#define STORE_TEXT_CHECK_MS  3000            /* quick_check, at start */


static int lock_file(store_text_t *text);
static int make_file(store_text_t *text);
static int open_file(store_text_t *text);
static int look_at_file(store_text_t *text, int64_t *version);
static int check_pages(store_text_t *text);
static int reset_file(store_text_t *text, const char *why);
static int make_schema(store_text_t *text);
static int match_epoch(store_text_t *text);
static int find_number(store_sqlite_db_t *db, const char *sql,
    int64_t *number);
static int authorize(void *data, int action, const char *a, const char *b,
    const char *c, const char *d);
static int authorize_read(void *data, int action, const char *a,
    const char *b, const char *c, const char *d);
static int stop_late(void *data);
static int keep_pages(void *data, sqlite3 *handle, const char *name,
    int pages);


/*
 *    meta     epoch of the store that this was made from
 *    ns       what is followed, and up to which seq (changes, or entries);
 *             one that is listed anew gets another id
 *    dropped  ids whose documents wait for the sweep
 *    doc      id is ns.id << 36 | seq: newest first within a namespace is one
 *             walk down; lead and rest are the text, which FTS5 must be told
 *             again when it goes
 *    words    FTS5, without the texts; rowid is doc.id
 *
 * Prefixes of up to three letters are indexed too: a* would be a walk through
 * all words otherwise.
 */

static const char  store_text_schema[] =
    "BEGIN IMMEDIATE;"

    "CREATE TABLE meta ("
    "    id     INTEGER PRIMARY KEY CHECK (id = 0),"
    "    epoch  BLOB NOT NULL"
    ") STRICT;"

    "CREATE TABLE ns ("
    "    id     INTEGER PRIMARY KEY AUTOINCREMENT,"
    "    name   BLOB NOT NULL UNIQUE,"
    "    seq    INTEGER NOT NULL DEFAULT 0"
    ") STRICT;"

    "CREATE TABLE dropped ("
    "    ns     INTEGER PRIMARY KEY"
    ") STRICT;"

    "CREATE TABLE doc ("
    "    id     INTEGER PRIMARY KEY,"
    "    ns     INTEGER NOT NULL,"
    "    item   INTEGER NOT NULL,"
    "    at_ms  INTEGER NOT NULL,"
    "    key    BLOB NOT NULL,"
    "    lead   BLOB NOT NULL,"
    "    rest   BLOB NOT NULL"
    ") STRICT;"

    "CREATE UNIQUE INDEX doc_key ON doc (ns, key) WHERE item = 1;"

    "CREATE VIRTUAL TABLE words USING fts5("
    "    text, content = '', columnsize = 0, prefix = '1 2 3',"
    "    tokenize = 'unicode61 remove_diacritics 2'"
    ");";


store_text_t *
store_text_open(const store_text_config_t *config, char *error,
    size_t error_size)
{
    store_text_t  *text;

    text = calloc(1, sizeof(store_text_t));
    if (text == NULL) {
        snprintf(error, error_size, "out of memory");
        return NULL;
    }

    text->lock = -1;
    text->adapter = config->adapter;
    text->store = config->store;
    text->path = strdup(config->path);

    if (text->path == NULL
        || asprintf(&text->lock_path, "%s.lock", config->path) == -1
        || asprintf(&text->mark_path, "%s.damaged", config->path) == -1)
    {
        snprintf(error, error_size, "out of memory");
        goto failed;
    }

    text->base.path = text->path;
    text->base.config.path = text->path;
    text->base.config.readers_max = config->readers_max;
    text->base.config.cache_bytes = config->cache_bytes;
    text->base.config.log = config->log;
    text->base.config.data = config->data;

    if (store_sqlite_cond_open(&text->released) != 0) {
        snprintf(error, error_size, "out of memory");
        goto failed;
    }

    pthread_mutex_init(&text->mutex, NULL);

    return text;

failed:

    free(text->mark_path);
    free(text->lock_path);
    free(text->path);
    free(text);

    return NULL;
}


void
store_text_close(store_text_t *text)
{
    store_text_reader_t  *reader;

    store_text_unlead(text);

    while (text->free != NULL) {
        reader = text->free;
        text->free = reader->next;

        store_sqlite_db_close(&reader->db);
        free(reader);
    }

    pthread_cond_destroy(&text->released);
    pthread_mutex_destroy(&text->mutex);

    free(text->mark_path);
    free(text->lock_path);
    free(text->path);
    free(text);
}


uint64_t
store_text_file(const store_text_t *text)
{
    struct stat  st;

    if (stat(text->path, &st) == -1) {
        return 0;
    }

    return ((uint64_t) st.st_dev << 40) ^ (uint64_t) st.st_ino;
}


void
store_text_mark(store_text_t *text)
{
    int  fd;

    fd = open(text->mark_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    if (fd != -1) {
        close(fd);
    }
}


int
store_text_damage(int rc)
{
    switch (rc & 0xff) {

    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return 1;

    default:
        return 0;
    }
}


/* Leading. */

int
store_text_lead(store_text_t *text, const volatile int *stop)
{
    int  rc;

    rc = lock_file(text);

    if (rc != 1) {
        return rc;
    }

    text->stop = stop;
    text->indexed = 0;

    if (text->scratch == NULL) {
        text->scratch = malloc(2 * STORE_VALUE_MAX);
    }

    if (text->scratch == NULL || make_file(text) != 0
        || open_file(text) != 0 || match_epoch(text) != 0)
    {
        store_text_unlead(text);
        return -1;
    }

    sqlite3_wal_hook(text->db.handle, keep_pages, text);
    store_text_db_seal(&text->db, 0);

    return 1;
}


void
store_text_unlead(store_text_t *text)
{
    if (text->open) {
        (void) sqlite3_exec(text->db.handle, "ROLLBACK", NULL, NULL, NULL);
        text->open = 0;
    }

    if (text->db.handle != NULL) {
        store_sqlite_db_close(&text->db);
    }

    if (text->lock != -1) {
        close(text->lock);
        text->lock = -1;
    }

    free(text->scratch);
    text->scratch = NULL;
}


int
store_text_check(store_text_t *text)
{
    if (access(text->mark_path, F_OK) == 0) {
        return -1;
    }

    return (store_text_file(text) == text->db_file) ? 0 : -1;
}


/* 1: had; 0: another process has it; -1. */
static int
lock_file(store_text_t *text)
{
    struct flock  fl;

    text->lock = open(text->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (text->lock == -1) {
        store_sqlite_log(&text->base, errno, "search: the lock file \"%s\" "
                         "cannot be opened", text->lock_path);
        return -1;
    }

    memset(&fl, 0, sizeof(struct flock));

    fl.l_type = F_WRLCK;
    fl.l_whence = SEEK_SET;
    fl.l_len = 1;

    if (fcntl(text->lock, F_OFD_SETLK, &fl) == 0) {
        return 1;
    }

    if (errno != EAGAIN && errno != EACCES) {
        store_sqlite_log(&text->base, errno, "search: \"%s\" cannot be "
                         "locked", text->lock_path);
    }

    close(text->lock);
    text->lock = -1;

    return 0;
}


/* A file that is not there is made, private; what is left of one that was
   deleted belongs to nobody. */
static int
make_file(store_text_t *text)
{
    int    fd;
    char  *path;

    if (access(text->path, F_OK) == 0) {
        return 0;
    }

    if (asprintf(&path, "%s-wal", text->path) != -1) {
        (void) unlink(path);
        free(path);
    }

    if (asprintf(&path, "%s-shm", text->path) != -1) {
        (void) unlink(path);
        free(path);
    }

    fd = open(text->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd == -1) {
        store_sqlite_log(&text->base, errno, "search: \"%s\" cannot be made",
                         text->path);
        return -1;
    }

    close(fd);

    return 0;
}


static int
open_file(store_text_t *text)
{
    int      rc, marked;
    int64_t  version;

    rc = store_text_db_open(text, &text->db, store_text_write_sql, 0);

    if (rc != SQLITE_OK && !store_text_damage(rc)) {
        store_sqlite_log(&text->base, 0, "search: \"%s\" cannot be opened: "
                         "%s (%d)", text->path, sqlite3_errstr(rc), rc);
        return -1;
    }

    text->db_file = store_text_file(text);
    marked = (access(text->mark_path, F_OK) == 0);

    if (rc == SQLITE_OK) {
        rc = look_at_file(text, &version);

        if (rc == SQLITE_MISUSE) {
            store_sqlite_log(&text->base, 0, "search: \"%s\" is the database "
                             "of another program and is left alone",
                             text->path);
            return -1;
        }
    }

    if (rc == SQLITE_OK && version != 0 && version != STORE_TEXT_VERSION) {
        rc = SQLITE_CORRUPT;
    }

    if (rc == SQLITE_OK && !marked && version != 0) {
        rc = check_pages(text);
    }

    if (rc != SQLITE_OK && !store_text_damage(rc)) {
        store_sqlite_log(&text->base, 0, "search: \"%s\" cannot be read: %s "
                         "(%d)", text->path, sqlite3_errstr(rc), rc);
        return -1;
    }

    if (rc != SQLITE_OK || marked) {
        rc = reset_file(text, "is damaged or of another release");

    } else if (version == 0) {
        rc = make_schema(text);
    }

    if (rc == 0) {
        (void) unlink(text->mark_path);
    }

    return rc;
}


/* version 0: an empty file.  SQLITE_MISUSE: somebody else's. */
static int
look_at_file(store_text_t *text, int64_t *version)
{
    int      rc;
    int64_t  id, tables;

    rc = find_number(&text->db, "PRAGMA user_version", version);

    if (rc == SQLITE_OK) {
        rc = find_number(&text->db, "PRAGMA application_id", &id);
    }

    if (rc == SQLITE_OK) {
        rc = find_number(&text->db, "SELECT count(*) FROM sqlite_schema",
                         &tables);
    }

    if (rc != SQLITE_OK) {
        return rc;
    }

    if (id != STORE_TEXT_ID && (id != 0 || tables != 0)) {
        return SQLITE_MISUSE;
    }

    if (id == STORE_TEXT_ID && *version == 0) {
        *version = -1;
    }

    return SQLITE_OK;
}


/* A large file is not read to its end: damage that is met later is found
   then. */
static int
check_pages(store_text_t *text)
{
    int            rc;
    const char    *found;
    sqlite3_stmt  *statement;

    text->db.deadline_us = store_sqlite_now_us()
                           + (int64_t) STORE_TEXT_CHECK_MS * 1000;
    sqlite3_progress_handler(text->db.handle, 1000, stop_late, text);

    rc = sqlite3_prepare_v2(text->db.handle, "PRAGMA quick_check(1)", -1,
                            &statement, NULL);

    if (rc == SQLITE_OK) {
        rc = sqlite3_step(statement);
    }

    if (rc == SQLITE_ROW) {
        found = (const char *) sqlite3_column_text(statement, 0);
        rc = (found != NULL && strcmp(found, "ok") == 0) ? SQLITE_OK
                                                         : SQLITE_CORRUPT;
    }

    if (rc == SQLITE_INTERRUPT || rc == SQLITE_DONE) {
        rc = SQLITE_OK;
    }

    sqlite3_finalize(statement);
    sqlite3_progress_handler(text->db.handle, 0, NULL, NULL);
    text->db.deadline_us = 0;

    return rc;
}


static int
stop_late(void *data)
{
    store_text_t *text = data;

    return *text->stop
           || store_sqlite_now_us() > text->db.deadline_us;
}


/* The name goes first: who opens it meanwhile finds nothing, not a new file
   with an old log. */
static int
reset_file(store_text_t *text, const char *why)
{
    int  rc;

    store_sqlite_log(&text->base, 0, "search: \"%s\" %s and is made again",
                     text->path, why);

    store_sqlite_db_close(&text->db);

    if (unlink(text->path) == -1) {
        store_sqlite_log(&text->base, errno, "search: \"%s\" cannot be "
                         "removed", text->path);
        return -1;
    }

    if (make_file(text) != 0) {
        return -1;
    }

    rc = store_text_db_open(text, &text->db, store_text_write_sql, 0);
    text->db_file = store_text_file(text);

    if (rc != SQLITE_OK) {
        store_sqlite_log(&text->base, 0, "search: \"%s\" cannot be opened: "
                         "%s (%d)", text->path, sqlite3_errstr(rc), rc);
        return -1;
    }

    return make_schema(text);
}


static int
make_schema(store_text_t *text)
{
    int    rc;
    char  *sql;

    sql = sqlite3_mprintf("PRAGMA page_size = 4096;"
                          "PRAGMA journal_mode = WAL;"
                          "%s"
                          "PRAGMA application_id = %d;"
                          "PRAGMA user_version = %d;"
                          "COMMIT;",
                          store_text_schema, STORE_TEXT_ID,
                          STORE_TEXT_VERSION);

    rc = (sql == NULL) ? SQLITE_NOMEM
                       : sqlite3_exec(text->db.handle, sql, NULL, NULL, NULL);
    sqlite3_free(sql);

    if (rc != SQLITE_OK) {
        store_sqlite_log(&text->base, 0, "search: the tables of \"%s\" "
                         "cannot be made: %s (%d)", text->path,
                         sqlite3_errmsg(text->db.handle), rc);
        return -1;
    }

    return 0;
}


/* What was made from another epoch is of no use. */
static int
match_epoch(store_text_t *text)
{
    int             rc;
    uint8_t         buf[STORE_EPOCH_LEN];
    store_read_t    read;
    store_rows_t    rows;
    bytes_writer_t  epoch;

    memset(&read, 0, sizeof(store_read_t));

    read.kind = STORE_GET;
    read.ns = bytes_of(STORE_NS_STORE);
    read.key = bytes_of(STORE_KEY_EPOCH);

    if (text->adapter->read(text->store, &read, &rows, 1) != STORE_OK) {
        return -1;
    }

    rc = -1;
    bytes_writer_open(&epoch, buf, sizeof(buf));

    if (rows.rc != STORE_OK || rows.rows[0].value.len != STORE_EPOCH_LEN) {
        store_sqlite_log(&text->base, 0, "search: the store has no epoch");

    } else if (store_text_write_epoch(text, &epoch) == 0) {

        if (epoch.pos == epoch.start) {
            rc = store_text_write_set_epoch(text, rows.rows[0].value);

        } else if (bytes_equal(bytes_writer_view(&epoch),
                               rows.rows[0].value))
        {
            rc = 0;

        } else if (reset_file(text, "is of another epoch") == 0) {
            rc = store_text_write_set_epoch(text, rows.rows[0].value);
        }
    }

    store_rows_release(&rows, 1);

    return rc;
}


/* Connections. */

int
store_text_db_open(store_text_t *text, store_sqlite_db_t *db,
    const char *const *sql, int query_only)
{
    return store_sqlite_db_open(&text->base, db, sql, query_only);
}


void
store_text_db_seal(store_sqlite_db_t *db, int query_only)
{
    sqlite3_set_authorizer(db->handle,
                           query_only ? authorize_read : authorize, NULL);
}


/* wide: sqlite3_set_authorizer() wants it so */
static int
authorize(void *data, int action, const char *a, const char *b,
    const char *c, const char *d)
{
    switch (action) {

    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
        return SQLITE_OK;

    default:
        return authorize_read(data, action, a, b, c, d);
    }
}


/* wide: sqlite3_set_authorizer() wants it so */
static int
authorize_read(void *data, int action, const char *a, const char *b,
    const char *c, const char *d)
{
    switch (action) {

    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
        return SQLITE_OK;

    case SQLITE_FUNCTION:

        /* the operator is a function of that name */

        return (strcmp(b, "match") == 0) ? SQLITE_OK : SQLITE_DENY;

    case SQLITE_PRAGMA:

        /* FTS5's own question, whether others have written */

        return (strcmp(a, "data_version") == 0) ? SQLITE_OK : SQLITE_DENY;

    case SQLITE_UPDATE:

        /* compiled, never run, where a module declares its columns */

        return (strcmp(a, "sqlite_master") == 0) ? SQLITE_OK : SQLITE_DENY;

    default:
        return SQLITE_DENY;
    }
}


static int
keep_pages(void *data, sqlite3 *handle, const char *name, int pages)
{
    store_text_t *text = data;

    text->wal_pages = pages;

    return SQLITE_OK;
}


/* The first column of the first row. */
static int
find_number(store_sqlite_db_t *db, const char *sql, int64_t *number)
{
    int            rc;
    sqlite3_stmt  *statement;

    *number = 0;

    rc = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL);

    if (rc == SQLITE_OK) {
        rc = sqlite3_step(statement);
    }

    if (rc == SQLITE_ROW) {
        *number = sqlite3_column_int64(statement, 0);
        rc = SQLITE_OK;
    }

    sqlite3_finalize(statement);

    return (rc == SQLITE_DONE) ? SQLITE_ERROR : rc;
}
