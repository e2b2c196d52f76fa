/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The SQLite adapter: what it refuses to start on, how every connection is
 * set up, and the adapter's table.
 *
 * open() and close() run in one thread, in a worker, never in the master:
 * connections, threads and locks do not survive a fork().  The rules that
 * keep data whole are in store_sqlite.h.
 */


#include "store_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>


typedef struct {
    long         magic;           /* statfs(2) f_type */
    const char  *name;
} store_sqlite_fs_t;


typedef struct {
    int  id;
    int  value;
} store_sqlite_limit_t;


static store_t *open_store(const store_config_t *config, char *error,
    size_t error_size);
static void set_config(store_t *store, const store_config_t *config);
static int check_folder(store_t *store, char *error, size_t error_size);
static int check_file(store_t *store, char *error, size_t error_size);
static int open_locked(store_t *store, char *error, size_t error_size);
static void close_store(store_t *store);
static void free_store(store_t *store);
static int open_db(store_t *store, store_sqlite_db_t *db, const char *path);
static int set_pragmas(store_t *store, store_sqlite_db_t *db,
    int query_only);
static int authorize_write(void *data, int action, const char *a,
    const char *b, const char *c, const char *d);
static int authorize_read(void *data, int action, const char *a,
    const char *b, const char *c, const char *d);
static int check_deadline(void *data);
static void set_heap_limit(store_t *store);


/* WAL needs one memory shared by all processes, and locks that hold. */
static const store_sqlite_fs_t  store_sqlite_network[] = {
    { 0x6969,     "NFS" },
    { 0x517b,     "SMB" },
    { 0xfe534d42, "SMB2" },
    { 0xff534d42, "CIFS" },
    { 0x01021997, "9P" },
    { 0x5346414f, "AFS" },
    { 0x6b414653, "AFS" },
    { 0x73757245, "Coda" },
    { 0x00c36400, "Ceph" },
    { 0x0bd00bd0, "Lustre" },
    { 0x7461636f, "OCFS2" },
    { 0x01161970, "GFS2" },
    { 0x19830326, "BeeGFS" },
    { 0x47504653, "GPFS" },
    { 0x564c,     "NCP" }
};


static const store_sqlite_limit_t  store_sqlite_limits[] = {
    { SQLITE_LIMIT_LENGTH,              4 * 1024 * 1024 },
    { SQLITE_LIMIT_SQL_LENGTH,          64 * 1024 },
    { SQLITE_LIMIT_COLUMN,              64 },
    { SQLITE_LIMIT_EXPR_DEPTH,          64 },
    { SQLITE_LIMIT_COMPOUND_SELECT,     4 },
    { SQLITE_LIMIT_VDBE_OP,             50000 },
    { SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 128 },
    { SQLITE_LIMIT_VARIABLE_NUMBER,     512 },
    { SQLITE_LIMIT_ATTACHED,            0 },
    { SQLITE_LIMIT_TRIGGER_DEPTH,       4 },
    { SQLITE_LIMIT_WORKER_THREADS,      0 }
};


const store_adapter_t  store_sqlite = {
    .name = "sqlite",
    .open = open_store,
    .submit = store_sqlite_writer_submit,
    .take = store_sqlite_writer_take,
    .read = store_sqlite_reader_read,
    .health = store_sqlite_writer_health,
    .backup = store_sqlite_backup_make,
    .restore = store_sqlite_backup_restore,
    .close = close_store
};


static store_t *
open_store(const store_config_t *config, char *error, size_t error_size)
{
    int       rc;
    store_t  *store;

    store = calloc(1, sizeof(store_t));
    if (store == NULL) {
        snprintf(error, error_size, "out of memory");
        return NULL;
    }

    set_config(store, config);

    if (store->path == NULL) {
        snprintf(error, error_size, "out of memory");
        goto failed;
    }

    if (sqlite3_libversion_number() < STORE_SQLITE_VERSION_MIN
        || !sqlite3_threadsafe())
    {
        snprintf(error, error_size, "SQLite %s is too old or not made for "
                 "threads, 3.37 is needed", sqlite3_libversion());
        goto failed;
    }

    if (check_folder(store, error, error_size) != 0
        || check_file(store, error, error_size) != 0
        || open_locked(store, error, error_size) != 0)
    {
        goto failed;
    }

    rc = store_sqlite_reader_open(store);

    if (rc == 0) {
        rc = store_sqlite_writer_open(store);

        if (rc != 0) {
            store_sqlite_reader_close(store);
        }
    }

    if (rc != 0) {
        snprintf(error, error_size, "the writer thread does not start: %s",
                 strerror(rc));
        goto failed;
    }

    return store;

failed:

    store_sqlite_db_close(&store->writer.db);
    free_store(store);

    return NULL;
}


static void
set_config(store_t *store, const store_config_t *config)
{
    store->config = *config;

    store->path = strdup(config->path);
    store->config.path = store->path;

    if (store->config.readers_max == 0) {
        store->config.readers_max = 1;
    }

    if (store->config.readers_max > STORE_SQLITE_READERS_MAX) {
        store->config.readers_max = STORE_SQLITE_READERS_MAX;
    }

    if (store->config.queue_max == 0) {
        store->config.queue_max = STORE_SQLITE_QUEUE_MAX;
    }

    if (store->config.cache_bytes == 0) {
        store->config.cache_bytes = STORE_SQLITE_CACHE_BYTES;
    }
}


static int
check_folder(store_t *store, char *error, size_t error_size)
{
    char           *folder, *slash;
    size_t          i, n;
    struct statfs   fs;

    folder = strdup(store->path);
    if (folder == NULL) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }

    slash = strrchr(folder, '/');

    if (slash == NULL) {
        folder[0] = '.';
        folder[1] = '\0';

    } else {
        slash[slash == folder] = '\0';
    }

    if (statfs(folder, &fs) == -1 || access(folder, W_OK | X_OK) == -1) {
        snprintf(error, error_size, "the folder \"%s\" of the database "
                 "cannot be written: %s", folder, strerror(errno));
        free(folder);
        return -1;
    }

    n = sizeof(store_sqlite_network) / sizeof(store_sqlite_network[0]);

    for (i = 0; i < n; i++) {
        if ((uint32_t) fs.f_type
            == (uint32_t) store_sqlite_network[i].magic)
        {
            snprintf(error, error_size, "\"%s\" is on a network file system "
                     "(%s), where a database is not safe; use a local disk",
                     folder, store_sqlite_network[i].name);
            free(folder);
            return -1;
        }
    }

    free(folder);

    return 0;
}


/*
 * Makes a new database file private before SQLite sees it; its companions
 * take over the mode.  An existing file is not opened here (rule 3).
 */

static int
check_file(store_t *store, char *error, size_t error_size)
{
    int  fd;

    if (store->config.migrate) {
        fd = open(store->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        if (fd != -1) {
            close(fd);
            return 0;
        }

        if (errno != EEXIST) {
            snprintf(error, error_size, "\"%s\" cannot be made: %s",
                     store->path, strerror(errno));
            return -1;
        }
    }

    if (access(store->path, R_OK | W_OK) == -1) {
        snprintf(error, error_size, "\"%s\" cannot be opened for writing: %s",
                 store->path, strerror(errno));
        return -1;
    }

    return 0;
}


static int
open_locked(store_t *store, char *error, size_t error_size)
{
    int                 rc;
    char               *path;
    store_sqlite_db_t  *db;

    if (asprintf(&path, "%s.lock", store->path) == -1) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }

    store->lock = store_sqlite_lock_open(path);

    if (store->lock == NULL) {
        snprintf(error, error_size, "the lock file \"%s\" cannot be opened: "
                 "%s", path, strerror(errno));
        free(path);
        return -1;
    }

    rc = store_sqlite_lock_take(store->lock, STORE_SQLITE_OPEN_MS);

    if (rc != 0) {
        snprintf(error, error_size, "the lock on \"%s\" was not had: %s",
                 path, strerror(rc));
        free(path);
        return -1;
    }

    free(path);

    db = &store->writer.db;
    rc = store_sqlite_db_open(store, db, store_sqlite_writer_sql, 0);

    if (rc != SQLITE_OK) {
        snprintf(error, error_size, "\"%s\" cannot be opened: %s",
                 store->path, db->handle ? sqlite3_errmsg(db->handle)
                                         : sqlite3_errstr(rc));
        rc = -1;

    } else {
        rc = store_sqlite_schema_open(store, db, error, error_size);
    }

    if (rc == 0) {
        store_sqlite_db_seal(db, 0);
        set_heap_limit(store);
    }

    store_sqlite_lock_release(store->lock);

    return rc;
}


static void
close_store(store_t *store)
{
    store_sqlite_writer_close(store);
    store_sqlite_reader_close(store);
    free_store(store);
}


static void
free_store(store_t *store)
{
    if (store->lock != NULL) {
        store_sqlite_lock_close(store->lock);
    }

    free(store->path);
    free(store);
}


/* Connections. */

int
store_sqlite_db_open(store_t *store, store_sqlite_db_t *db,
    const char *const *sql, int query_only)
{
    int  rc;

    memset(db, 0, sizeof(store_sqlite_db_t));
    db->sql = sql;

    rc = open_db(store, db, store->path);

    if (rc != SQLITE_OK) {
        return rc;
    }

    /* deadlines are for reads: an interrupted write may lose its batch */

    if (query_only) {
        sqlite3_progress_handler(db->handle, 1000, check_deadline, db);
    }

    return set_pragmas(store, db, query_only);
}


int
store_sqlite_db_open_copy(store_t *store, store_sqlite_db_t *db,
    const char *path)
{
    int  rc;

    memset(db, 0, sizeof(store_sqlite_db_t));

    rc = open_db(store, db, path);

    return (rc == SQLITE_OK) ? set_pragmas(store, db, 0) : rc;
}


static int
open_db(store_t *store, store_sqlite_db_t *db, const char *path)
{
    int     rc;
    size_t  i, n;

    rc = sqlite3_open_v2(path, &db->handle,
                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

    if (rc != SQLITE_OK) {
        return rc;
    }

    (void) sqlite3_extended_result_codes(db->handle, 1);

    n = sizeof(store_sqlite_limits) / sizeof(store_sqlite_limits[0]);

    for (i = 0; i < n; i++) {
        (void) sqlite3_limit(db->handle, store_sqlite_limits[i].id,
                             store_sqlite_limits[i].value);
    }

    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);

    /* rule 1: no connection checkpoints by itself */

    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_wal_autocheckpoint(db->handle, 0);

    sqlite3_busy_timeout(db->handle, STORE_SQLITE_BUSY_MS);

    return SQLITE_OK;
}


static int
set_pragmas(store_t *store, store_sqlite_db_t *db, int query_only)
{
    int    rc;
    char  *sql;

    sql = sqlite3_mprintf("PRAGMA synchronous = %s;"
                          "PRAGMA cache_size = -%lld;"
                          "PRAGMA temp_store = MEMORY;"
                          "PRAGMA foreign_keys = ON;"
                          "PRAGMA mmap_size = 0;"
                          "PRAGMA secure_delete = FAST;"
                          "PRAGMA journal_size_limit = %d;"
                          "PRAGMA cell_size_check = ON;"
                          "PRAGMA query_only = %d;",
                          store->config.durable ? "FULL" : "NORMAL",
                          (long long) store->config.cache_bytes / 1024,
                          STORE_SQLITE_WAL_TRUNCATE, query_only);

    if (sql == NULL) {
        return SQLITE_NOMEM;
    }

    rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    sqlite3_free(sql);

    return rc;
}


void
store_sqlite_db_seal(store_sqlite_db_t *db, int query_only)
{
    sqlite3_set_authorizer(db->handle,
                           query_only ? authorize_read : authorize_write,
                           NULL);
}


void
store_sqlite_db_close(store_sqlite_db_t *db)
{
    size_t  i;

    if (db->handle == NULL) {
        return;
    }

    for (i = 0; i < STORE_SQLITE_STATEMENTS; i++) {
        sqlite3_finalize(db->statements[i]);
        db->statements[i] = NULL;
    }

    sqlite3_close(db->handle);
    db->handle = NULL;
}


sqlite3_stmt *
store_sqlite_statement(store_sqlite_db_t *db, unsigned n)
{
    if (db->statements[n] == NULL) {
        (void) sqlite3_prepare_v3(db->handle, db->sql[n], -1,
                                  SQLITE_PREPARE_PERSISTENT,
                                  &db->statements[n], NULL);
    }

    return db->statements[n];
}


int
store_sqlite_bind(sqlite3_stmt *statement, int n, bytes_t b)
{
    return sqlite3_bind_blob(statement, n, b.len ? (void *) b.data : "",
                             (int) b.len, SQLITE_STATIC);
}


bytes_t
store_sqlite_column(sqlite3_stmt *statement, int n)
{
    const void  *data;

    data = sqlite3_column_blob(statement, n);

    return bytes_make(data, (size_t) sqlite3_column_bytes(statement, n));
}


int
store_sqlite_step(store_sqlite_db_t *db, sqlite3_stmt *statement)
{
    int  rc;

    errno = 0;
    rc = sqlite3_step(statement);

    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        db->error = errno;
    }

    return rc;
}


int
store_sqlite_run(store_sqlite_db_t *db, store_sqlite_sql_t n)
{
    sqlite3_stmt  *statement;

    statement = store_sqlite_statement(db, n);

    return (statement == NULL) ? sqlite3_errcode(db->handle)
                               : store_sqlite_run_done(db, statement);
}


int
store_sqlite_run_numbers(store_sqlite_db_t *db, store_sqlite_sql_t n,
    int64_t a, int64_t b)
{
    sqlite3_stmt  *statement;

    statement = store_sqlite_statement(db, n);
    if (statement == NULL) {
        return sqlite3_errcode(db->handle);
    }

    sqlite3_bind_int64(statement, 1, a);

    if (sqlite3_bind_parameter_count(statement) > 1) {
        sqlite3_bind_int64(statement, 2, b);
    }

    return store_sqlite_run_done(db, statement);
}


int
store_sqlite_run_done(store_sqlite_db_t *db, sqlite3_stmt *statement)
{
    int  rc;

    rc = store_sqlite_step(db, statement);
    (void) sqlite3_reset(statement);

    return (rc == SQLITE_DONE) ? SQLITE_OK : rc;
}


int
store_sqlite_run_row(store_sqlite_db_t *db, sqlite3_stmt *statement,
    int *found)
{
    int  rc;

    rc = store_sqlite_step(db, statement);
    *found = (rc == SQLITE_ROW);

    return (rc == SQLITE_ROW || rc == SQLITE_DONE) ? SQLITE_OK : rc;
}


store_rc_t
store_sqlite_rc(const store_sqlite_db_t *db, int rc)
{
    switch (rc & 0xff) {

    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return STORE_OK;

    case SQLITE_FULL:
        return STORE_FULL;

    case SQLITE_IOERR:

        /* a quota and a limit on file sizes are a full disk as well */

        switch (db->error) {

        case ENOSPC:
        case EDQUOT:
        case EFBIG:
            return STORE_FULL;

        default:
            return STORE_FAILED;
        }

    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_INTERRUPT:
        return STORE_BUSY;

    case SQLITE_CONSTRAINT:
        return STORE_CONDITION;

    case SQLITE_TOOBIG:
        return STORE_INVALID;

    default:
        return STORE_FAILED;
    }
}


/* wide: sqlite3_set_authorizer() wants it so */
static int
authorize_write(void *data, int action, const char *a, const char *b,
    const char *c, const char *d)
{
    switch (action) {

    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
        return SQLITE_OK;

    case SQLITE_FUNCTION:
        return strcmp(b, "length") == 0 ? SQLITE_OK : SQLITE_DENY;

    default:
        return SQLITE_DENY;
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
        return SQLITE_OK;

    case SQLITE_FUNCTION:
        return strcmp(b, "length") == 0 ? SQLITE_OK : SQLITE_DENY;

    default:
        return SQLITE_DENY;
    }
}


static int
check_deadline(void *data)
{
    store_sqlite_db_t *db = data;

    return db->deadline_us != 0 && store_sqlite_now_us() > db->deadline_us;
}


/* A bound for all connections of the process, far above their caches. */
static void
set_heap_limit(store_t *store)
{
    sqlite3_int64  bytes;

    bytes = (sqlite3_int64) (store->config.readers_max + 1)
            * ((sqlite3_int64) store->config.cache_bytes * 2
               + STORE_SQLITE_BATCH_BYTES);
    bytes += STORE_SQLITE_WAL_TRUNCATE;

    if (sqlite3_hard_heap_limit64(-1) < bytes) {
        (void) sqlite3_hard_heap_limit64(bytes);
    }
}


/* Log, time, threads. */

void
store_sqlite_log(store_t *store, int error, const char *fmt, ...)
{
    char     text[STORE_SQLITE_TEXT_MAX];
    va_list  args;

    if (store->config.log == NULL) {
        return;
    }

    va_start(args, fmt);
    (void) vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    store->config.log(store->config.data, error, text);
}


int64_t
store_sqlite_now_us(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


int64_t
store_sqlite_now_ms(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_REALTIME, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


void
store_sqlite_time_after(struct timespec *ts, int64_t ms)
{
    clock_gettime(CLOCK_MONOTONIC, ts);

    ts->tv_sec += ms / 1000;
    ts->tv_nsec += (long) (ms % 1000) * 1000000;

    if (ts->tv_nsec >= 1000000000) {
        ts->tv_sec++;
        ts->tv_nsec -= 1000000000;
    }
}


int
store_sqlite_cond_open(pthread_cond_t *cond)
{
    int                 rc;
    pthread_condattr_t  attr;

    rc = pthread_condattr_init(&attr);

    if (rc != 0) {
        return rc;
    }

    rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);

    if (rc == 0) {
        rc = pthread_cond_init(cond, &attr);
    }

    pthread_condattr_destroy(&attr);

    return rc;
}


int
store_sqlite_thread_open(pthread_t *thread, void *(*run)(void *), void *data,
    const char *name)
{
    int       rc;
    sigset_t  all, old;

    sigfillset(&all);

    /* faults of the thread's own stay deadly */

    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);

    rc = pthread_sigmask(SIG_BLOCK, &all, &old);

    if (rc != 0) {
        return rc;
    }

    rc = pthread_create(thread, NULL, run, data);

    if (rc == 0) {
        (void) pthread_setname_np(*thread, name);
    }

    (void) pthread_sigmask(SIG_SETMASK, &old, NULL);

    return rc;
}
