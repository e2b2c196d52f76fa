/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The sweep: items whose time has come, changes that were kept for long
 * enough, what dropped namespaces and replaced generations left.
 *
 * Runs in the keeper.  One store of all that use a database sweeps at a time,
 * by a lease; that two do is harmless, since items and changes go by requests
 * like any other, and what belongs to nobody is deleted by its name.
 */


#include "store_mongo.h"


#ifdef STORE_HAVE_MONGO


/* Requests of the sweep, one for each item or namespace. */
typedef struct {
    store_mongo_overlay_t   memory;
    store_request_t        *list;
    store_request_t       **tail;
    size_t                  count;
} store_mongo_sweep_t;


static store_mongo_rc_t take_lease(store_mongo_link_t *link, int *had);
static store_mongo_rc_t find_expired(store_mongo_link_t *link,
    store_mongo_sweep_t *sweep);
static store_mongo_rc_t find_aged(store_mongo_link_t *link,
    store_mongo_sweep_t *sweep);
static mongoc_cursor_t *find_oldest(store_mongo_link_t *link,
    const char *collection, const char *field, int64_t below);
static store_mongo_rc_t name_requests(store_mongo_link_t *link,
    store_mongo_sweep_t *sweep);
static store_request_t *add_request(store_mongo_sweep_t *sweep,
    store_op_kind_t kind, bytes_t id, bytes_t key);
static int run_requests(store_t *store, store_mongo_sweep_t *sweep);
static store_mongo_rc_t sweep_dropped(store_mongo_link_t *link, int *more);
static store_mongo_rc_t delete_some(store_mongo_link_t *link,
    const char *collection, const char *id, int *more);
static store_mongo_rc_t delete_ids(store_mongo_link_t *link,
    const char *collection, const bson_t *ids);
static store_mongo_rc_t sweep_generations(store_mongo_link_t *link,
    int *more);
static store_mongo_rc_t drop_space(store_mongo_link_t *link, bytes_t place,
    bytes_t id);


int
store_mongo_sweep_step(store_t *store, int *left)
{
    int                  had, more;
    store_mongo_rc_t     rc;
    store_mongo_link_t   link;
    store_mongo_sweep_t  sweep;

    had = more = 0;

    memset(&sweep, 0, sizeof(store_mongo_sweep_t));
    store_mongo_overlay_open(&sweep.memory);
    sweep.tail = &sweep.list;

    rc = store_mongo_pool_take(store, &link);

    if (rc == STORE_MONGO_DONE) {
        rc = store_mongo_pool_generation(&link);
    }

    if (rc == STORE_MONGO_DONE) {
        rc = take_lease(&link, &had);
    }

    if (rc == STORE_MONGO_DONE && had) {
        rc = find_expired(&link, &sweep);
    }

    if (rc == STORE_MONGO_DONE && had) {
        rc = find_aged(&link, &sweep);
    }

    if (rc == STORE_MONGO_DONE && had) {
        rc = name_requests(&link, &sweep);
    }

    if (rc == STORE_MONGO_DONE && had) {
        rc = sweep_dropped(&link, &more);
    }

    if (rc == STORE_MONGO_DONE && had) {
        rc = sweep_generations(&link, &more);
    }

    store_mongo_pool_release(&link);

    if (rc == STORE_MONGO_DONE || rc == STORE_MONGO_AGAIN) {
        *left = run_requests(store, &sweep);
        more |= (sweep.count >= STORE_MONGO_SWEEP_ROWS);

    } else {
        store_mongo_breaker_report(store, &link, rc);
        more = 0;
    }

    store_mongo_overlay_close(&sweep.memory);

    return more && rc == STORE_MONGO_DONE;
}


/* Takes or prolongs the lease; another holder's is left alone until it
   ends. */
static store_mongo_rc_t
take_lease(store_mongo_link_t *link, int *had)
{
    int                   done;
    bson_t               *selector, *update, *opts, reply;
    int64_t               now_ms;
    store_mongo_rc_t      rc;
    mongoc_collection_t  *leases;

    now_ms = store_mongo_now_ms();

    selector = BCON_NEW("_id", "sweep", "$or", "[",
                        "{", "holder", BCON_UTF8(link->store->holder), "}",
                        "{", "until", "{", "$lt", BCON_INT64(now_ms), "}",
                        "}", "]");
    update = BCON_NEW("$set", "{",
                      "holder", BCON_UTF8(link->store->holder),
                      "until", BCON_INT64(now_ms + STORE_MONGO_LEASE_MS),
                      "}");
    opts = BCON_NEW("upsert", BCON_BOOL(true));
    leases = mongoc_client_get_collection(link->client,
                                          link->store->database,
                                          STORE_MONGO_LEASE);

    done = mongoc_collection_update_one(leases, selector, update, opts,
                                        &reply, &link->error);
    rc = STORE_MONGO_DONE;
    *had = done;

    /* no match, and the document is there: it is another's */

    if (!done && link->error.code != 11000) {
        rc = store_mongo_pool_rc(link, NULL, "the lease of the sweep");
    }

    mongoc_collection_destroy(leases);
    bson_destroy(selector);
    bson_destroy(update);
    bson_destroy(opts);
    bson_destroy(&reply);

    return rc;
}


/* Requests. */

static store_mongo_rc_t
find_expired(store_mongo_link_t *link, store_mongo_sweep_t *sweep)
{
    bytes_t           place;
    ssize_t           len;
    uint8_t           key[STORE_MONGO_PLACE_MAX];
    const bson_t     *document;
    mongoc_cursor_t  *cursor;
    store_mongo_rc_t  rc;

    cursor = find_oldest(link, STORE_MONGO_ITEM, "x", store_mongo_now_ms());

    while (mongoc_cursor_next(cursor, &document)) {
        place = store_mongo_document_text(document, "_id");
        len = store_mongo_document_key((const char *) place.data, place.len,
                                       key);

        if (len > 0) {
            (void) add_request(sweep, STORE_MONGO_EXPIRE,
                               bytes_make(place.data, STORE_MONGO_ID_LEN),
                               bytes_make(key, (size_t) len));
        }
    }

    rc = store_mongo_pool_found(link, cursor, "the search for expired items");

    mongoc_cursor_destroy(cursor);

    return rc;
}


/* Of each namespace among the oldest changes: up to the last of them. */
static store_mongo_rc_t
find_aged(store_mongo_link_t *link, store_mongo_sweep_t *sweep)
{
    char              text[STORE_MONGO_ID_LEN + 1];
    bytes_t           place, id;
    uint64_t          seq;
    const bson_t     *document;
    mongoc_cursor_t  *cursor;
    store_request_t  *request;
    store_mongo_rc_t  rc;

    if (link->store->config.changes_ms == 0) {
        return STORE_MONGO_DONE;
    }

    cursor = find_oldest(link, STORE_MONGO_CHANGE, "a", store_mongo_now_ms()
                         - link->store->config.changes_ms);

    while (mongoc_cursor_next(cursor, &document)) {
        place = store_mongo_document_text(document, "_id");

        if (place.len != 2 * STORE_MONGO_ID_LEN) {
            continue;
        }

        id = bytes_make(place.data, STORE_MONGO_ID_LEN);

        memcpy(text, place.data + STORE_MONGO_ID_LEN, STORE_MONGO_ID_LEN);
        text[STORE_MONGO_ID_LEN] = '\0';
        seq = strtoull(text, NULL, 16);

        for (request = sweep->list; request; request = request->next) {
            if (request->ops->kind == STORE_MONGO_TRIM
                && bytes_equal(request->ops->dedupe, id))
            {
                break;
            }
        }

        if (request == NULL) {
            request = add_request(sweep, STORE_MONGO_TRIM, id,
                                  bytes_make(NULL, 0));
        }

        if (request != NULL && request->ops->if_seq < seq) {
            request->ops->if_seq = seq;
        }
    }

    rc = store_mongo_pool_found(link, cursor, "the search for aged changes");

    mongoc_cursor_destroy(cursor);

    return rc;
}


static mongoc_cursor_t *
find_oldest(store_mongo_link_t *link, const char *collection,
    const char *field, int64_t below)
{
    bson_t           *filter, *opts;
    mongoc_cursor_t  *cursor;

    filter = BCON_NEW(field, "{", "$gt", BCON_INT64(0),
                      "$lte", BCON_INT64(below), "}");
    opts = BCON_NEW("sort", "{", field, BCON_INT32(1), "}",
                    "limit", BCON_INT64(STORE_MONGO_SWEEP_ROWS),
                    "projection", "{", "_id", BCON_INT32(1), "}");

    cursor = store_mongo_pool_find(link, collection, filter, opts);

    bson_destroy(filter);
    bson_destroy(opts);

    return cursor;
}


/* The id of the namespace waits in "dedupe" until its name is known. */
static store_request_t *
add_request(store_mongo_sweep_t *sweep, store_op_kind_t kind, bytes_t id,
    bytes_t key)
{
    store_op_t             *op;
    store_result_t         *result;
    store_request_t        *request;
    store_mongo_overlay_t  *memory;

    memory = &sweep->memory;

    request = store_mongo_overlay_alloc(memory, sizeof(store_request_t));
    op = store_mongo_overlay_alloc(memory, sizeof(store_op_t));
    result = store_mongo_overlay_alloc(memory, sizeof(store_result_t));

    if (memory->failed) {
        return NULL;
    }

    op->kind = kind;
    op->dedupe = store_mongo_overlay_copy(memory, id);
    op->key = store_mongo_overlay_copy(memory, key);

    request->ops = op;
    request->results = result;
    request->count = 1;

    *sweep->tail = request;
    sweep->tail = &request->next;
    sweep->count++;

    return memory->failed ? NULL : request;
}


/* Gives the requests the names of their namespaces; what has none is left to
   the rest of the sweep. */
static store_mongo_rc_t
name_requests(store_mongo_link_t *link, store_mongo_sweep_t *sweep)
{
    char               buffer[16];
    bson_t             filter, in, ids, opts;
    ssize_t            len;
    bytes_t            place, id, name;
    uint8_t            key[STORE_MONGO_PLACE_MAX];
    uint32_t           n;
    const char        *number;
    const bson_t      *document;
    mongoc_cursor_t   *cursor;
    store_request_t   *request, **next;
    store_mongo_rc_t   rc;

    if (sweep->list == NULL) {
        return STORE_MONGO_DONE;
    }

    n = 0;
    bson_init(&ids);

    for (request = sweep->list; request; request = request->next) {
        (void) bson_uint32_to_string(n++, &number, buffer, sizeof(buffer));
        bson_append_utf8(&ids, number, -1,
                         (const char *) request->ops->dedupe.data,
                         STORE_MONGO_ID_LEN);
    }

    bson_init(&filter);
    bson_append_document_begin(&filter, "id", -1, &in);
    bson_append_array(&in, "$in", -1, &ids);
    bson_append_document_end(&filter, &in);
    bson_init(&opts);

    cursor = store_mongo_pool_find(link, STORE_MONGO_NAMESPACE, &filter,
                                   &opts);

    while (mongoc_cursor_next(cursor, &document)) {
        place = store_mongo_document_text(document, "_id");
        id = store_mongo_document_text(document, "id");
        len = store_mongo_document_key((const char *) place.data, place.len,
                                       key);

        if (len <= 0 || memcmp(place.data, link->generation,
                               STORE_MONGO_ID_LEN) != 0)
        {
            continue;
        }

        name = store_mongo_overlay_copy(&sweep->memory,
                                        bytes_make(key, (size_t) len));

        for (request = sweep->list; request; request = request->next) {
            if (bytes_equal(request->ops->dedupe, id)) {
                request->ops->ns = name;
            }
        }
    }

    rc = store_mongo_pool_found(link, cursor, "a read of namespaces");

    mongoc_cursor_destroy(cursor);
    bson_destroy(&ids);
    bson_destroy(&filter);
    bson_destroy(&opts);

    for (next = &sweep->list; *next != NULL; /* void */ ) {
        request = *next;
        request->ops->dedupe = bytes_make(NULL, 0);

        if (request->ops->ns.len == 0) {
            *next = request->next;
            sweep->count--;

        } else {
            next = &request->next;
        }
    }

    return rc;
}


/* 1 when changes were left. */
static int
run_requests(store_t *store, store_mongo_sweep_t *sweep)
{
    int               left;
    store_request_t  *request;

    left = 0;

    if (sweep->list == NULL || sweep->memory.failed) {
        return 0;
    }

    (void) store_mongo_batch_run(store, sweep->list, store_mongo_now_us()
                                 + (int64_t) STORE_MONGO_BATCH_MS * 1000);

    for (request = sweep->list; request; request = request->next) {
        left |= (request->rc == STORE_OK
                 && request->ops->kind == STORE_MONGO_EXPIRE
                 && request->results->seq != 0);
    }

    return left;
}


/* What belongs to nobody. */

static store_mongo_rc_t
sweep_dropped(store_mongo_link_t *link, int *more)
{
    int               some;
    char              id[STORE_MONGO_ID_LEN + 1];
    bson_t           *document;
    bytes_t           text;
    const bson_t     *found;
    mongoc_cursor_t  *cursor;
    store_mongo_rc_t  rc;

    id[0] = '\0';

    cursor = find_oldest(link, STORE_MONGO_DROPPED, "a", store_mongo_now_ms()
                         - STORE_MONGO_GRACE_MS);

    if (mongoc_cursor_next(cursor, &found)) {
        text = store_mongo_document_text(found, "_id");

        if (text.len == STORE_MONGO_ID_LEN) {
            memcpy(id, text.data, text.len);
            id[text.len] = '\0';
        }
    }

    rc = store_mongo_pool_found(link, cursor, "the search for what was "
                                "dropped");
    mongoc_cursor_destroy(cursor);

    if (rc != STORE_MONGO_DONE || id[0] == '\0') {
        return rc;
    }

    some = 0;

    rc = delete_some(link, STORE_MONGO_ITEM, id, &some);

    if (rc == STORE_MONGO_DONE) {
        rc = delete_some(link, STORE_MONGO_ENTRY, id, &some);
    }

    if (rc == STORE_MONGO_DONE) {
        rc = delete_some(link, STORE_MONGO_CHANGE, id, &some);
    }

    if (rc == STORE_MONGO_DONE && !some) {
        document = BCON_NEW("0", BCON_UTF8(id));
        rc = delete_ids(link, STORE_MONGO_DROPPED, document);
        bson_destroy(document);
    }

    *more = 1;

    return rc;
}


static store_mongo_rc_t
delete_some(store_mongo_link_t *link, const char *collection, const char *id,
    int *more)
{
    char              last[STORE_MONGO_ID_LEN + 8], buffer[16];
    bson_t           *filter, *opts, ids;
    bytes_t           place;
    uint32_t          n;
    const char       *number;
    const bson_t     *document;
    mongoc_cursor_t  *cursor;
    store_mongo_rc_t  rc;

    (void) snprintf(last, sizeof(last), "%s\xc4\x80", id);

    filter = BCON_NEW("_id", "{", "$gte", BCON_UTF8(id),
                      "$lt", BCON_UTF8(last), "}");
    opts = BCON_NEW("limit", BCON_INT64(STORE_MONGO_SWEEP_ROWS),
                    "projection", "{", "_id", BCON_INT32(1), "}");

    n = 0;
    bson_init(&ids);

    cursor = store_mongo_pool_find(link, collection, filter, opts);

    while (mongoc_cursor_next(cursor, &document)) {
        place = store_mongo_document_text(document, "_id");
        (void) bson_uint32_to_string(n++, &number, buffer, sizeof(buffer));
        bson_append_utf8(&ids, number, -1, (const char *) place.data,
                         (int) place.len);
    }

    rc = store_mongo_pool_found(link, cursor, "what was dropped");

    if (rc == STORE_MONGO_DONE && n != 0) {
        rc = delete_ids(link, collection, &ids);
        *more = 1;
    }

    mongoc_cursor_destroy(cursor);
    bson_destroy(filter);
    bson_destroy(opts);
    bson_destroy(&ids);

    return rc;
}


static store_mongo_rc_t
delete_ids(store_mongo_link_t *link, const char *collection,
    const bson_t *ids)
{
    int                       added;
    bson_t                    filter, in;
    mongoc_bulk_operation_t  *bulk;

    bson_init(&filter);
    bson_append_document_begin(&filter, "_id", -1, &in);
    bson_append_array(&in, "$in", -1, ids);
    bson_append_document_end(&filter, &in);

    bulk = store_mongo_pool_bulk(link, collection);
    added = mongoc_bulk_operation_remove_many_with_opts(bulk, &filter, NULL,
                                                        &link->error);
    bson_destroy(&filter);

    if (added) {
        return store_mongo_pool_execute(link, bulk, "a deletion");
    }

    mongoc_bulk_operation_destroy(bulk);

    return STORE_MONGO_BROKEN;
}


/* Namespaces of generations before the present one, once nobody can be at
   work on them, and of a restore that did not come to its end. */
static store_mongo_rc_t
sweep_generations(store_mongo_link_t *link, int *more)
{
    char              first[STORE_MONGO_ID_LEN + 8], last[32];
    int64_t           now_ms;
    store_mongo_rc_t  rc;

    now_ms = store_mongo_now_ms();

    if (strtoull(link->generation, NULL, 16) >> 16
        > (uint64_t) (now_ms - STORE_MONGO_GRACE_MS))
    {
        return STORE_MONGO_DONE;
    }

    rc = store_mongo_sweep_spaces(link, "0", link->generation, more);

    if (rc != STORE_MONGO_DONE) {
        return rc;
    }

    (void) snprintf(first, sizeof(first), "%s\xc4\x80", link->generation);
    (void) snprintf(last, sizeof(last), "%012llx",
                    (unsigned long long) (now_ms - STORE_MONGO_STAGING_MS));

    return store_mongo_sweep_spaces(link, first, last, more);
}


store_mongo_rc_t
store_mongo_sweep_spaces(store_mongo_link_t *link, const char *first,
    const char *last, int *more)
{
    size_t            n;
    bson_t           *filter, *opts;
    bytes_t           place, id;
    const bson_t     *document;
    mongoc_cursor_t  *cursor;
    store_mongo_rc_t  rc;

    filter = BCON_NEW("_id", "{", "$gte", BCON_UTF8(first),
                      "$lt", BCON_UTF8(last), "}");
    opts = BCON_NEW("limit", BCON_INT64(STORE_MONGO_SWEEP_ROWS));

    rc = STORE_MONGO_DONE;
    n = 0;
    cursor = store_mongo_pool_find(link, STORE_MONGO_NAMESPACE, filter, opts);

    while (rc == STORE_MONGO_DONE && mongoc_cursor_next(cursor, &document)) {
        place = store_mongo_document_text(document, "_id");
        id = store_mongo_document_text(document, "id");

        rc = drop_space(link, place, id);
        n++;
    }

    if (rc == STORE_MONGO_DONE) {
        rc = store_mongo_pool_found(link, cursor, "old generations");
    }

    mongoc_cursor_destroy(cursor);
    bson_destroy(filter);
    bson_destroy(opts);

    *more |= (n != 0);

    return rc;
}


/* First that it is dropped, then that it is gone: a fault between the two is
   repeated. */
static store_mongo_rc_t
drop_space(store_mongo_link_t *link, bytes_t place, bytes_t id)
{
    int                       added;
    bson_t                    ids, selector, *document, *opts;
    store_mongo_rc_t          rc;
    mongoc_bulk_operation_t  *bulk;

    rc = STORE_MONGO_DONE;

    if (id.len == STORE_MONGO_ID_LEN) {
        bson_init(&selector);
        store_mongo_document_add_text(&selector, "_id",
                                      (const char *) id.data, id.len);
        document = BCON_NEW("a", BCON_INT64(store_mongo_now_ms()));
        opts = BCON_NEW("upsert", BCON_BOOL(true));

        bulk = store_mongo_pool_bulk(link, STORE_MONGO_DROPPED);
        added = mongoc_bulk_operation_replace_one_with_opts(bulk, &selector,
                                                            document, opts,
                                                            &link->error);
        bson_destroy(&selector);
        bson_destroy(document);
        bson_destroy(opts);

        if (!added) {
            mongoc_bulk_operation_destroy(bulk);
            return STORE_MONGO_BROKEN;
        }

        rc = store_mongo_pool_execute(link, bulk, "a drop");
    }

    if (rc == STORE_MONGO_DONE) {
        bson_init(&ids);
        store_mongo_document_add_text(&ids, "0", (const char *) place.data,
                                      place.len);
        rc = delete_ids(link, STORE_MONGO_NAMESPACE, &ids);
        bson_destroy(&ids);
    }

    return rc;
}


#endif /* STORE_HAVE_MONGO */
