/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Connections of the driver, transactions on them, and what the answers of a
 * server mean.
 *
 * Any thread, one a connection at a time.  The driver blocks its caller, at
 * most as long as the limits below say.  Decides nothing about requests; no
 * text that comes from here holds the address of the server.
 */


#include "store_mongo.h"


#ifdef STORE_HAVE_MONGO

#include <signal.h>


#define STORE_MONGO_COMMIT_TRIES  3


typedef struct {
    const char  *collection;
    const char  *field;
    int          unique;
} store_mongo_index_t;


static void init_driver(void);
static void drop_line(mongoc_log_level_t level, const char *domain,
    const char *message, void *data);
static mongoc_uri_t *make_uri(store_t *store, char *error,
    size_t error_size);
static int set_limits(store_t *store, mongoc_uri_t *uri);
static store_mongo_rc_t check_server(store_mongo_link_t *link);
static store_mongo_rc_t make_indexes(store_mongo_link_t *link);
static store_mongo_rc_t make_root(store_mongo_link_t *link);
static void mask_text(char *text);
static store_mongo_rc_t classify_code(uint32_t code);


/* All of them sparse: what lacks the field is not in the index. */
static const store_mongo_index_t  store_mongo_indexes[] = {
    { STORE_MONGO_NAMESPACE, "id", 0 },
    { STORE_MONGO_ITEM,      "x",  0 },
    { STORE_MONGO_ENTRY,     "i",  1 },
    { STORE_MONGO_ENTRY,     "d",  1 },
    { STORE_MONGO_CHANGE,    "a",  0 },
    { STORE_MONGO_DROPPED,   "a",  0 }
};


static pthread_once_t  store_mongo_once = PTHREAD_ONCE_INIT;


int
store_mongo_pool_open(store_t *store, char *error, size_t error_size)
{
    int            rc;
    sigset_t       all, old;
    mongoc_uri_t  *uri;

    (void) pthread_once(&store_mongo_once, init_driver);

    uri = make_uri(store, error, error_size);
    if (uri == NULL) {
        return -1;
    }

    /* threads of the driver take no signals of the process */

    sigfillset(&all);
    rc = pthread_sigmask(SIG_BLOCK, &all, &old);

    store->pool = mongoc_client_pool_new(uri);
    mongoc_uri_destroy(uri);

    if (store->pool == NULL) {
        snprintf(error, error_size, "the driver of MongoDB does not take the "
                 "URI; its library may lack TLS or DNS");

    } else {
        mongoc_client_pool_set_error_api(store->pool,
                                         MONGOC_ERROR_API_VERSION_2);
    }

    if (rc == 0) {
        (void) pthread_sigmask(SIG_SETMASK, &old, NULL);
    }

    return (store->pool != NULL) ? 0 : -1;
}


void
store_mongo_pool_close(store_t *store)
{
    if (store->pool != NULL) {
        mongoc_client_pool_destroy(store->pool);
        store->pool = NULL;
    }
}


/* Once a process and never undone: the driver cannot begin a second time. */
static void
init_driver(void)
{
    mongoc_init();
    mongoc_log_set_handler(drop_line, NULL);
}


/* What matters comes with the error of a call; lines of the driver may name
   hosts and go to standard output. */
static void
drop_line(mongoc_log_level_t level, const char *domain, const char *message,
    void *data)
{
}


static mongoc_uri_t *
make_uri(store_t *store, char *error, size_t error_size)
{
    const char    *database;
    bson_error_t   why;
    mongoc_uri_t  *uri;

    /* the sentence of the driver may hold parts of the URI */

    uri = mongoc_uri_new_with_error(store->config.uri, &why);

    if (uri == NULL) {
        snprintf(error, error_size, "the URI of MongoDB is not valid; it is "
                 "mongodb://[name:password@]host[:port][,...]/database"
                 "[?options]");
        return NULL;
    }

    database = mongoc_uri_get_database(uri);

    if (database == NULL || database[0] == '\0') {
        database = "mesh";
    }

    if (strlen(database) >= sizeof(store->database)) {
        snprintf(error, error_size, "the database in the URI of MongoDB has "
                 "a name of more than %d bytes", STORE_MONGO_NAME_MAX - 1);
        mongoc_uri_destroy(uri);
        return NULL;
    }

    memcpy(store->database, database, strlen(database) + 1);

    if (set_limits(store, uri) != 0) {
        snprintf(error, error_size, "the driver of MongoDB refuses the "
                 "limits of the adapter");
        mongoc_uri_destroy(uri);
        return NULL;
    }

    return uri;
}


static int
set_limits(store_t *store, mongoc_uri_t *uri)
{
    int32_t                  max;
    mongoc_read_prefs_t     *prefs;
    mongoc_read_concern_t   *read;
    mongoc_write_concern_t  *write;

    /* writers, readers, the keeper and a backup */

    max = (int32_t) (store->threads + store->config.readers_max + 2);

    if (!mongoc_uri_set_option_as_int32(uri,
                                        MONGOC_URI_SERVERSELECTIONTIMEOUTMS,
                                        STORE_MONGO_SELECT_MS)
        || !mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS,
                                           STORE_MONGO_SOCKET_MS)
        || !mongoc_uri_set_option_as_int32(uri, MONGOC_URI_CONNECTTIMEOUTMS,
                                           STORE_MONGO_SELECT_MS)
        || !mongoc_uri_set_option_as_int32(uri,
                                           MONGOC_URI_WAITQUEUETIMEOUTMS,
                                           STORE_MONGO_SELECT_MS)
        || !mongoc_uri_set_option_as_int32(uri, MONGOC_URI_MAXPOOLSIZE, max)
        || !mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYWRITES, true)
        || !mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYREADS, true))
    {
        return -1;
    }

    if (!mongoc_uri_has_option(uri, MONGOC_URI_DIRECTCONNECTION)
        && !mongoc_uri_set_option_as_bool(uri, MONGOC_URI_DIRECTCONNECTION,
                                          false))
    {
        return -1;
    }

    if (mongoc_uri_get_appname(uri) == NULL) {
        (void) mongoc_uri_set_appname(uri, "mesh");
    }

    prefs = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    mongoc_uri_set_read_prefs_t(uri, prefs);
    mongoc_read_prefs_destroy(prefs);

    read = mongoc_read_concern_new();
    mongoc_read_concern_set_level(read, MONGOC_READ_CONCERN_LEVEL_MAJORITY);
    mongoc_uri_set_read_concern(uri, read);
    mongoc_read_concern_destroy(read);

    write = mongoc_write_concern_new();
    mongoc_write_concern_set_wmajority(write, STORE_MONGO_COMMIT_MS);
    mongoc_write_concern_set_journal(write, true);
    mongoc_uri_set_write_concern(uri, write);
    mongoc_write_concern_destroy(write);

    return 0;
}


/* Connections. */

store_mongo_rc_t
store_mongo_pool_take(store_t *store, store_mongo_link_t *link)
{
    memset(link, 0, sizeof(store_mongo_link_t));

    link->store = store;
    link->what = "a connection";
    link->client = mongoc_client_pool_pop(store->pool);

    pthread_mutex_lock(&store->mutex);
    memcpy(link->generation, store->generation, sizeof(link->generation));
    pthread_mutex_unlock(&store->mutex);

    if (link->client == NULL) {
        snprintf(link->error.message, sizeof(link->error.message),
                 "all connections are in use");
        return STORE_MONGO_DOWN;
    }

    return STORE_MONGO_DONE;
}


void
store_mongo_pool_release(store_mongo_link_t *link)
{
    store_mongo_pool_abort(link);

    if (link->session != NULL) {
        mongoc_client_session_destroy(link->session);
        link->session = NULL;
    }

    if (link->client != NULL) {
        mongoc_client_pool_push(link->store->pool, link->client);
        link->client = NULL;
    }
}


/* The server and the layout. */

store_mongo_rc_t
store_mongo_pool_prepare(store_mongo_link_t *link)
{
    store_mongo_rc_t  rc;

    rc = check_server(link);

    if (rc == STORE_MONGO_DONE) {
        rc = make_indexes(link);
    }

    if (rc == STORE_MONGO_DONE) {
        rc = make_root(link);
    }

    return rc;
}


static store_mongo_rc_t
check_server(store_mongo_link_t *link)
{
    int                           wire;
    const char                   *type;
    const bson_t                 *hello;
    mongoc_server_description_t  *server;

    server = mongoc_client_select_server(link->client, true, NULL,
                                         &link->error);
    if (server == NULL) {
        return store_mongo_pool_rc(link, NULL, "the search for a primary");
    }

    type = mongoc_server_description_type(server);
    hello = mongoc_server_description_hello_response(server);
    wire = (int) store_mongo_document_int(hello, "maxWireVersion");

    link->what = "the server";
    link->error.message[0] = '\0';

    if (strcmp(type, "RSPrimary") != 0 && strcmp(type, "Mongos") != 0) {
        snprintf(link->error.message, sizeof(link->error.message),
                 "the MongoDB server is standalone (%s) and has no "
                 "transactions; start it with --replSet and run "
                 "rs.initiate(), a set of one is enough", type);

    } else if (wire < STORE_MONGO_WIRE_MIN) {
        snprintf(link->error.message, sizeof(link->error.message),
                 "the MongoDB server is too old (wire version %d), 4.2 is "
                 "needed", wire);
    }

    mongoc_server_description_destroy(server);

    pthread_mutex_lock(&link->store->mutex);
    link->store->wire = wire;
    pthread_mutex_unlock(&link->store->mutex);

    return (link->error.message[0] == '\0') ? STORE_MONGO_DONE
                                            : STORE_MONGO_BROKEN;
}


static store_mongo_rc_t
make_indexes(store_mongo_link_t *link)
{
    int                         done;
    bson_t                     *command, reply;
    size_t                      i, n;
    const store_mongo_index_t  *index;

    n = sizeof(store_mongo_indexes) / sizeof(store_mongo_indexes[0]);

    for (i = 0; i < n; i++) {
        index = &store_mongo_indexes[i];

        command = BCON_NEW("createIndexes", BCON_UTF8(index->collection),
                           "indexes", "[", "{",
                           "key", "{", index->field, BCON_INT32(1), "}",
                           "name", BCON_UTF8(index->field),
                           "unique", BCON_BOOL(index->unique),
                           "sparse", BCON_BOOL(true), "}", "]");

        done = mongoc_client_write_command_with_opts(link->client,
                                                     link->store->database,
                                                     command, NULL, &reply,
                                                     &link->error);
        bson_destroy(command);
        bson_destroy(&reply);

        if (!done) {
            return store_mongo_pool_rc(link, NULL, "an index");
        }
    }

    return STORE_MONGO_DONE;
}


/* The first store of a database makes its first generation; of two that try,
   one does. */
static store_mongo_rc_t
make_root(store_mongo_link_t *link)
{
    int                   done;
    char                  first[2 * STORE_MONGO_ID_LEN + 1];
    bson_t               *selector, *update, *opts, reply;
    mongoc_collection_t  *collection;

    /* generations are in the order of time, see the sweep */

    snprintf(first, sizeof(first), "%012llx",
             (unsigned long long) store_mongo_now_ms());
    store_mongo_random(first + 12);
    first[STORE_MONGO_ID_LEN] = '\0';

    selector = BCON_NEW("_id", BCON_UTF8(STORE_MONGO_ROOT));
    update = BCON_NEW("$setOnInsert", "{",
                      "generation", BCON_UTF8(first),
                      "version", BCON_INT32(STORE_MONGO_VERSION), "}");
    opts = BCON_NEW("upsert", BCON_BOOL(true));
    collection = mongoc_client_get_collection(link->client,
                                              link->store->database,
                                              STORE_MONGO_NAMESPACE);

    done = mongoc_collection_update_one(collection, selector, update, opts,
                                        &reply, &link->error);

    mongoc_collection_destroy(collection);
    bson_destroy(selector);
    bson_destroy(update);
    bson_destroy(opts);

    bson_destroy(&reply);

    if (!done && link->error.code != 11000) {
        return store_mongo_pool_rc(link, NULL, "the first document");
    }

    return store_mongo_pool_generation(link);
}


store_mongo_rc_t
store_mongo_pool_generation(store_mongo_link_t *link)
{
    int64_t           version;
    bytes_t           text;
    bson_t           *filter, opts;
    const bson_t     *document;
    mongoc_cursor_t  *cursor;
    store_mongo_rc_t  rc;

    filter = BCON_NEW("_id", BCON_UTF8(STORE_MONGO_ROOT));
    bson_init(&opts);

    cursor = store_mongo_pool_find(link, STORE_MONGO_NAMESPACE, filter,
                                   &opts);
    version = 0;

    if (mongoc_cursor_next(cursor, &document)) {
        version = store_mongo_document_int(document, "version");
        text = store_mongo_document_text(document, "generation");

        if (text.len == STORE_MONGO_ID_LEN) {
            memcpy(link->generation, text.data, text.len);
        }
    }

    rc = store_mongo_pool_found(link, cursor, "the present generation");

    mongoc_cursor_destroy(cursor);
    bson_destroy(filter);
    bson_destroy(&opts);

    if (rc != STORE_MONGO_DONE) {
        return rc;
    }

    if (version != STORE_MONGO_VERSION) {
        link->what = "the layout";
        snprintf(link->error.message, sizeof(link->error.message),
                 "the database \"%s\" was made by a newer release (layout "
                 "%lld, this one knows %d), or its first document is gone",
                 link->store->database, (long long) version,
                 STORE_MONGO_VERSION);
        return STORE_MONGO_BROKEN;
    }

    pthread_mutex_lock(&link->store->mutex);
    memcpy(link->store->generation, link->generation,
           sizeof(link->generation));
    pthread_mutex_unlock(&link->store->mutex);

    return STORE_MONGO_DONE;
}


/* Transactions. */

store_mongo_rc_t
store_mongo_pool_begin(store_mongo_link_t *link)
{
    int                        begun;
    mongoc_session_opt_t      *session;
    mongoc_read_concern_t     *read;
    mongoc_write_concern_t    *write;
    mongoc_transaction_opt_t  *opts;

    store_mongo_pool_abort(link);

    if (link->session == NULL) {
        session = mongoc_session_opts_new();
        mongoc_session_opts_set_causal_consistency(session, false);

        link->session = mongoc_client_start_session(link->client, session,
                                                    &link->error);
        mongoc_session_opts_destroy(session);

        if (link->session == NULL) {
            return store_mongo_pool_rc(link, NULL, "a session");
        }
    }

    read = mongoc_read_concern_new();
    mongoc_read_concern_set_level(read, MONGOC_READ_CONCERN_LEVEL_SNAPSHOT);

    write = mongoc_write_concern_new();
    mongoc_write_concern_set_wmajority(write, STORE_MONGO_COMMIT_MS);
    mongoc_write_concern_set_journal(write, true);

    opts = mongoc_transaction_opts_new();
    mongoc_transaction_opts_set_read_concern(opts, read);
    mongoc_transaction_opts_set_write_concern(opts, write);
    mongoc_transaction_opts_set_max_commit_time_ms(opts,
                                                   STORE_MONGO_COMMIT_MS);

    begun = mongoc_client_session_start_transaction(link->session, opts,
                                                    &link->error);

    mongoc_transaction_opts_destroy(opts);
    mongoc_write_concern_destroy(write);
    mongoc_read_concern_destroy(read);

    if (!begun) {
        return store_mongo_pool_rc(link, NULL, "a transaction");
    }

    link->inside = 1;

    return STORE_MONGO_DONE;
}


/*
 * The driver tries a commit twice; an outcome that is not known is asked for
 * again while there is time: a commit that was done answers once more.
 */

store_mongo_rc_t
store_mongo_pool_commit(store_mongo_link_t *link, int64_t until_us)
{
    int               done;
    bson_t            reply;
    unsigned          tries;
    store_mongo_rc_t  rc;

    link->inside = 0;

    for (tries = 1; ; tries++) {
        rc = STORE_MONGO_DONE;
        done = mongoc_client_session_commit_transaction(link->session,
                                                        &reply, &link->error);

        if (!done) {
            (void) store_mongo_pool_rc(link, &reply, "a commit");

            /* once a commit was sent, only this label says for sure that it
               was not carried out */

            rc = mongoc_error_has_label(&reply, "TransientTransactionError")
                 ? STORE_MONGO_AGAIN : STORE_MONGO_UNSURE;
        }

        bson_destroy(&reply);

        if (rc != STORE_MONGO_UNSURE || tries == STORE_MONGO_COMMIT_TRIES
            || store_mongo_now_us() >= until_us)
        {
            return rc;
        }
    }
}


void
store_mongo_pool_abort(store_mongo_link_t *link)
{
    if (!link->inside) {
        return;
    }

    link->inside = 0;

    /* without an answer the server forgets it by itself */

    (void) mongoc_client_session_abort_transaction(link->session, NULL);
}


store_mongo_rc_t
store_mongo_pool_hold(store_mongo_link_t *link)
{
    mongoc_session_opt_t  *opts;

    opts = mongoc_session_opts_new();
    mongoc_session_opts_set_causal_consistency(opts, false);
    mongoc_session_opts_set_snapshot(opts, true);

    link->session = mongoc_client_start_session(link->client, opts,
                                                &link->error);
    mongoc_session_opts_destroy(opts);

    if (link->session == NULL) {
        return store_mongo_pool_rc(link, NULL, "a session");
    }

    link->moment = 1;

    return STORE_MONGO_DONE;
}


/* Reads and writes. */

mongoc_cursor_t *
store_mongo_pool_find(store_mongo_link_t *link, const char *collection,
    const bson_t *filter, bson_t *opts)
{
    bson_error_t          ignored;
    mongoc_cursor_t      *cursor;
    mongoc_collection_t  *from;

    if (link->inside || link->moment) {
        (void) mongoc_client_session_append(link->session, opts, &ignored);
    }

    from = mongoc_client_get_collection(link->client, link->store->database,
                                        collection);
    cursor = mongoc_collection_find_with_opts(from, filter, opts, NULL);
    mongoc_collection_destroy(from);

    return cursor;
}


store_mongo_rc_t
store_mongo_pool_found(store_mongo_link_t *link, mongoc_cursor_t *cursor,
    const char *what)
{
    const bson_t  *reply;

    if (!mongoc_cursor_error_document(cursor, &link->error, &reply)) {
        return STORE_MONGO_DONE;
    }

    return store_mongo_pool_rc(link, reply, what);
}


mongoc_bulk_operation_t *
store_mongo_pool_bulk(store_mongo_link_t *link, const char *collection)
{
    bson_t                    opts;
    bson_error_t              ignored;
    mongoc_collection_t      *into;
    mongoc_bulk_operation_t  *bulk;

    bson_init(&opts);
    bson_append_bool(&opts, "ordered", -1, false);

    if (link->inside) {
        (void) mongoc_client_session_append(link->session, &opts, &ignored);
    }

    into = mongoc_client_get_collection(link->client, link->store->database,
                                        collection);
    bulk = mongoc_collection_create_bulk_operation_with_opts(into, &opts);

    mongoc_collection_destroy(into);
    bson_destroy(&opts);

    return bulk;
}


store_mongo_rc_t
store_mongo_pool_execute(store_mongo_link_t *link,
    mongoc_bulk_operation_t *bulk, const char *what)
{
    bson_t            reply;
    store_mongo_rc_t  rc;

    rc = STORE_MONGO_DONE;

    if (mongoc_bulk_operation_execute(bulk, &reply, &link->error) == 0) {
        rc = store_mongo_pool_rc(link, &reply, what);
    }

    bson_destroy(&reply);
    mongoc_bulk_operation_destroy(bulk);

    return rc;
}


/* Errors. */

store_mongo_rc_t
store_mongo_pool_rc(store_mongo_link_t *link, const bson_t *reply,
    const char *what)
{
    store_mongo_rc_t  rc;

    link->what = what;
    mask_text(link->error.message);

    switch (link->error.domain) {

    case MONGOC_ERROR_SERVER_SELECTION:
    case MONGOC_ERROR_STREAM:
    case MONGOC_ERROR_PROTOCOL:
    case MONGOC_ERROR_BSON:
        rc = STORE_MONGO_DOWN;
        break;

    default:
        rc = classify_code(link->error.code);
    }

    if (reply == NULL) {
        return rc;
    }

    if (mongoc_error_has_label(reply, "UnknownTransactionCommitResult")) {
        return STORE_MONGO_UNSURE;
    }

    if (mongoc_error_has_label(reply, "TransientTransactionError")
        && rc != STORE_MONGO_DOWN)
    {
        return STORE_MONGO_AGAIN;
    }

    return rc;
}


/* The driver puts addresses between quotes, or says host:port: they become
   stars. */
static void
mask_text(char *text)
{
    int     quoted;
    char   *colon;
    size_t  len;

    quoted = 0;

    for ( /* void */ ; *text != '\0'; text += len) {
        len = strcspn(text, " []()',");

        if (len == 0) {
            quoted ^= (*text == '\'');
            len = 1;
            continue;
        }

        colon = memchr(text, ':', len);

        if (quoted || (colon != NULL && colon[1] >= '0' && colon[1] <= '9'))
        {
            memset(text, '*', len);
        }
    }
}


static store_mongo_rc_t
classify_code(uint32_t code)
{
    switch (code) {

    case 24:                      /* LockTimeout */
    case 43:                      /* CursorNotFound */
    case 46:                      /* LockBusy */
    case 50:                      /* MaxTimeMSExpired */
    case 112:                     /* WriteConflict */
    case 237:                     /* CursorKilled */
    case 246:                     /* SnapshotUnavailable */
    case 251:                     /* NoSuchTransaction */
    case 262:                     /* ExceededTimeLimit */
    case 11000:                   /* DuplicateKey: another was first */
        return STORE_MONGO_AGAIN;

    case 6:                       /* HostUnreachable */
    case 7:                       /* HostNotFound */
    case 64:                      /* WriteConcernFailed */
    case 89:                      /* NetworkTimeout */
    case 91:                      /* ShutdownInProgress */
    case 189:                     /* PrimarySteppedDown */
    case 9001:                    /* SocketException */
    case 10107:                   /* NotWritablePrimary */
    case 11600:                   /* InterruptedAtShutdown */
    case 11602:                   /* InterruptedDueToReplStateChange */
    case 13435:                   /* NotPrimaryNoSecondaryOk */
    case 13436:                   /* NotPrimaryOrSecondary */
        return STORE_MONGO_DOWN;

    case 14031:                   /* OutOfDiskSpace */
        return STORE_MONGO_FULL;

    default:
        return STORE_MONGO_BROKEN;
    }
}


store_rc_t
store_mongo_pool_result(store_mongo_rc_t rc)
{
    switch (rc) {

    case STORE_MONGO_DONE:
        return STORE_OK;

    case STORE_MONGO_AGAIN:
    case STORE_MONGO_DOWN:
        return STORE_BUSY;

    case STORE_MONGO_UNSURE:
        return STORE_UNKNOWN;

    case STORE_MONGO_FULL:
        return STORE_FULL;

    default:
        return STORE_FAILED;
    }
}


#endif /* STORE_HAVE_MONGO */
