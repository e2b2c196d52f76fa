/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * One batch of requests as one transaction: load what they name, apply them
 * to the overlay, write what has changed, commit.  What meets another writer
 * is done again from the start; what the server does not do in time fails.
 *
 * Runs in the threads that write and in the keeper; blocks.  Decides nothing
 * about single operations.
 */


#include "store_mongo.h"


#ifdef STORE_HAVE_MONGO

#include <sodium.h>


static store_mongo_rc_t run_once(store_mongo_link_t *link,
    store_mongo_overlay_t *overlay, store_request_t *list, int64_t until_us);
static void reset_results(store_request_t *list, int again);
static size_t count_written(const store_request_t *list);
static void wait_again(unsigned tries);
static store_mongo_rc_t load_all(store_mongo_link_t *link,
    store_mongo_overlay_t *overlay, store_request_t *list);
static store_mongo_rc_t load_spaces(store_mongo_link_t *link,
    store_mongo_overlay_t *overlay);
static store_mongo_rc_t load_items(store_mongo_link_t *link,
    store_mongo_overlay_t *overlay, int whole);
static store_mongo_rc_t load_entries(store_mongo_link_t *link,
    store_mongo_overlay_t *overlay, store_mongo_node_kind_t kind);
static void take_item(store_mongo_overlay_t *overlay, bytes_t name,
    const bson_t *document);
static void take_entry(store_mongo_overlay_t *overlay,
    store_mongo_node_t *node, const bson_t *document);
static mongoc_cursor_t *find_in(store_mongo_link_t *link,
    const char *collection, const char *field, bson_t *names,
    const char *without);
static void add_name(bson_t *names, uint32_t *n, bytes_t name);
static store_mongo_rc_t write_all(store_mongo_link_t *link,
    store_mongo_overlay_t *overlay, int64_t now_ms);
static store_mongo_rc_t write_spaces(store_mongo_link_t *link,
    store_mongo_overlay_t *overlay);
static int write_space(store_mongo_link_t *link,
    mongoc_bulk_operation_t *bulk, store_mongo_node_t *node);
static store_mongo_rc_t write_items(store_mongo_link_t *link,
    store_mongo_overlay_t *overlay);
static store_mongo_rc_t write_entries(store_mongo_link_t *link,
    store_mongo_overlay_t *overlay);
static store_mongo_rc_t write_changes(store_mongo_link_t *link,
    store_mongo_overlay_t *overlay);
static store_mongo_rc_t write_cuts(store_mongo_link_t *link,
    store_mongo_overlay_t *overlay, int64_t now_ms);
static int add_cut(store_mongo_link_t *link, mongoc_bulk_operation_t *bulk,
    const store_mongo_cut_t *cut, int64_t now_ms);
static int add_replace(store_mongo_link_t *link,
    mongoc_bulk_operation_t *bulk, bytes_t id, const bson_t *document);
static int add_insert(store_mongo_link_t *link,
    mongoc_bulk_operation_t *bulk, const bson_t *document);
static store_mongo_rc_t finish_bulk(store_mongo_link_t *link,
    mongoc_bulk_operation_t *bulk, int n, const char *what);


size_t
store_mongo_batch_run(store_t *store, store_request_t *list,
    int64_t until_us)
{
    unsigned                tries;
    store_request_t        *request;
    store_mongo_rc_t        rc;
    store_mongo_link_t      link;
    store_mongo_overlay_t   overlay;

    for (tries = 0; ; tries++) {
        reset_results(list, tries != 0);

        rc = store_mongo_pool_take(store, &link);

        if (rc == STORE_MONGO_DONE) {
            store_mongo_overlay_open(&overlay);
            rc = run_once(&link, &overlay, list, until_us);
            store_mongo_overlay_close(&overlay);
        }

        store_mongo_pool_release(&link);

        if ((rc != STORE_MONGO_AGAIN && rc != STORE_MONGO_DOWN)
            || link.error.domain == MONGOC_ERROR_SERVER_SELECTION
            || store_mongo_now_us() >= until_us
            || store_mongo_breaker_tripped(store))
        {
            break;
        }

        wait_again(tries);
    }

    store_mongo_breaker_report(store, &link, rc);

    if (rc == STORE_MONGO_DONE) {
        return count_written(list);
    }

    for (request = list; request; request = request->next) {
        request->failed = 0;
        store_mongo_fail(request, store_mongo_pool_result(rc));
    }

    return 0;
}


static store_mongo_rc_t
run_once(store_mongo_link_t *link, store_mongo_overlay_t *overlay,
    store_request_t *list, int64_t until_us)
{
    int               writes;
    int64_t           now_ms;
    store_request_t  *request;
    store_mongo_rc_t  rc;

    rc = store_mongo_pool_begin(link);

    if (rc == STORE_MONGO_DONE) {
        rc = load_all(link, overlay, list);
    }

    if (rc != STORE_MONGO_DONE) {
        return rc;
    }

    writes = 0;
    now_ms = store_mongo_now_ms();

    for (request = list; request; request = request->next) {
        writes += store_mongo_apply_request(overlay, request, now_ms);
    }

    if (overlay->failed) {
        link->what = "a batch";
        snprintf(link->error.message, sizeof(link->error.message),
                 "out of memory");
        return STORE_MONGO_BROKEN;
    }

    if (writes == 0) {
        store_mongo_pool_abort(link);
        return STORE_MONGO_DONE;
    }

    rc = write_all(link, overlay, now_ms);

    if (rc != STORE_MONGO_DONE) {
        return rc;
    }

    return store_mongo_pool_commit(link, until_us);
}


static void
reset_results(store_request_t *list, int again)
{
    store_request_t  *request;

    for (request = list; request; request = request->next) {

        if (again) {
            store_request_release(request);
        }

        memset(request->results, 0, request->count * sizeof(store_result_t));
    }
}


static size_t
count_written(const store_request_t *list)
{
    size_t  n;

    for (n = 0; list != NULL; list = list->next) {
        n += (list->rc == STORE_OK);
    }

    return n;
}


/* Longer each time, and never the same for two that have met. */
static void
wait_again(unsigned tries)
{
    uint32_t         ms;
    struct timespec  ts;

    ms = (tries < 5) ? 2U << tries : STORE_MONGO_BACKOFF_MS;

    ts.tv_sec = 0;
    ts.tv_nsec = (long) randombytes_uniform(ms * 1000) * 1000 + 1000;

    (void) nanosleep(&ts, NULL);
}


/* Load. */

static store_mongo_rc_t
load_all(store_mongo_link_t *link, store_mongo_overlay_t *overlay,
    store_request_t *list)
{
    store_request_t  *request;
    store_mongo_rc_t  rc;

    for (request = list; request; request = request->next) {
        store_mongo_apply_name_spaces(overlay, request);
    }

    rc = load_spaces(link, overlay);

    if (rc != STORE_MONGO_DONE) {
        return rc;
    }

    for (request = list; request; request = request->next) {
        store_mongo_apply_name_rest(overlay, request);
    }

    rc = load_items(link, overlay, 0);

    if (rc == STORE_MONGO_DONE) {
        rc = load_items(link, overlay, 1);
    }

    if (rc == STORE_MONGO_DONE) {
        rc = load_entries(link, overlay, STORE_MONGO_NODE_ENTRY);
    }

    if (rc == STORE_MONGO_DONE) {
        rc = load_entries(link, overlay, STORE_MONGO_NODE_DEDUPE);
    }

    return rc;
}


/* With them comes the root: when another generation took over, all is done
   again with that one. */
static store_mongo_rc_t
load_spaces(store_mongo_link_t *link, store_mongo_overlay_t *overlay)
{
    char                  place[STORE_MONGO_PLACE_MAX];
    uint8_t               key[STORE_MONGO_PLACE_MAX];
    size_t                length;
    ssize_t               len;
    bson_t                names;
    bytes_t               id, root;
    uint32_t              n;
    const bson_t         *document;
    mongoc_cursor_t      *cursor;
    store_mongo_rc_t      rc;
    store_mongo_node_t   *node;

    n = 0;
    root = bytes_make(NULL, 0);

    bson_init(&names);
    add_name(&names, &n, bytes_of(STORE_MONGO_ROOT));

    for (node = overlay->nodes[STORE_MONGO_NODE_SPACE]; node;
         node = node->next)
    {
        length = store_mongo_document_place(link->generation, node->name,
                                            place);
        add_name(&names, &n, bytes_make(place, length));
    }

    cursor = find_in(link, STORE_MONGO_NAMESPACE, "_id", &names, NULL);

    while (mongoc_cursor_next(cursor, &document)) {
        id = store_mongo_document_text(document, "_id");

        if (bytes_equal_text(id, STORE_MONGO_ROOT)) {
            root = store_mongo_overlay_copy(overlay,
                       store_mongo_document_text(document, "generation"));
            continue;
        }

        len = store_mongo_document_key((const char *) id.data, id.len, key);
        node = (len < 0) ? NULL
               : store_mongo_overlay_find(overlay, STORE_MONGO_NODE_SPACE,
                                          bytes_make(key, (size_t) len));
        if (node != NULL) {
            store_mongo_document_space(document, &node->space);
        }
    }

    rc = store_mongo_pool_found(link, cursor, "a read of namespaces");
    mongoc_cursor_destroy(cursor);

    if (rc == STORE_MONGO_DONE && !bytes_equal_text(root, link->generation)) {
        store_mongo_pool_abort(link);
        rc = store_mongo_pool_generation(link);
        return (rc == STORE_MONGO_DONE) ? STORE_MONGO_AGAIN : rc;
    }

    return rc;
}


/* Of most items it is enough to know what they count. */
static store_mongo_rc_t
load_items(store_mongo_link_t *link, store_mongo_overlay_t *overlay,
    int whole)
{
    bson_t                names;
    uint32_t              n;
    const bson_t         *document;
    mongoc_cursor_t      *cursor;
    store_mongo_rc_t      rc;
    store_mongo_node_t   *node;

    n = 0;
    bson_init(&names);

    for (node = overlay->nodes[STORE_MONGO_NODE_ITEM]; node;
         node = node->next)
    {
        if (node->whole == whole) {
            add_name(&names, &n, node->name);
        }
    }

    if (n == 0) {
        bson_destroy(&names);
        return STORE_MONGO_DONE;
    }

    cursor = find_in(link, STORE_MONGO_ITEM, "_id", &names,
                     whole ? NULL : "v");

    while (mongoc_cursor_next(cursor, &document)) {
        take_item(overlay, store_mongo_document_text(document, "_id"),
                  document);
    }

    rc = store_mongo_pool_found(link, cursor, "a read of items");
    mongoc_cursor_destroy(cursor);

    return rc;
}


static void
take_item(store_mongo_overlay_t *overlay, bytes_t name,
    const bson_t *document)
{
    store_mongo_node_t  *node;

    node = store_mongo_overlay_find(overlay, STORE_MONGO_NODE_ITEM, name);

    if (node == NULL) {
        return;
    }

    /* views into a document that goes with the next one */

    store_mongo_document_item(document, &node->item);

    node->item.value = store_mongo_overlay_copy(overlay, node->item.value);
    node->item.meta = store_mongo_overlay_copy(overlay, node->item.meta);
}


static store_mongo_rc_t
load_entries(store_mongo_link_t *link, store_mongo_overlay_t *overlay,
    store_mongo_node_kind_t kind)
{
    int                   by_id;
    bson_t                names;
    bytes_t               name;
    uint32_t              n;
    const bson_t         *document;
    mongoc_cursor_t      *cursor;
    store_mongo_rc_t      rc;
    store_mongo_node_t   *node;

    n = 0;
    by_id = (kind == STORE_MONGO_NODE_ENTRY);

    bson_init(&names);

    for (node = overlay->nodes[kind]; node; node = node->next) {
        add_name(&names, &n, node->name);
    }

    if (n == 0) {
        bson_destroy(&names);
        return STORE_MONGO_DONE;
    }

    cursor = find_in(link, STORE_MONGO_ENTRY, by_id ? "i" : "d", &names,
                     by_id ? "v" : NULL);

    while (mongoc_cursor_next(cursor, &document)) {
        name = store_mongo_document_text(document, by_id ? "i" : "d");
        node = store_mongo_overlay_find(overlay, kind, name);

        if (node != NULL) {
            take_entry(overlay, node, document);
        }
    }

    rc = store_mongo_pool_found(link, cursor, "a read of entries");
    mongoc_cursor_destroy(cursor);

    return rc;
}


static void
take_entry(store_mongo_overlay_t *overlay, store_mongo_node_t *node,
    const bson_t *document)
{
    char                  text[STORE_MONGO_ID_LEN + 1];
    uint8_t               key[STORE_MONGO_PLACE_MAX];
    ssize_t               len;
    bytes_t               id, place;
    store_mongo_entry_t  *entry;

    id = store_mongo_document_text(document, "i");
    place = store_mongo_document_text(document, "_id");

    len = store_mongo_document_key((const char *) id.data, id.len, key);
    entry = store_mongo_overlay_alloc(overlay, sizeof(store_mongo_entry_t));

    if (entry == NULL || len < 0 || place.len != 2 * STORE_MONGO_ID_LEN) {
        return;
    }

    memcpy(text, place.data + STORE_MONGO_ID_LEN, STORE_MONGO_ID_LEN);
    text[STORE_MONGO_ID_LEN] = '\0';

    entry->seq = strtoull(text, NULL, 16);
    entry->key = store_mongo_overlay_copy(overlay,
                                          bytes_make(key, (size_t) len));
    entry->value = store_mongo_overlay_copy(overlay,
                       store_mongo_document_bytes(document, "v"));
    node->entry = entry;
}


/* Documents whose field is one of the names, which are used up; "without":
   a field that is left out, or NULL. */
static mongoc_cursor_t *
find_in(store_mongo_link_t *link, const char *collection, const char *field,
    bson_t *names, const char *without)
{
    bson_t            filter, opts, part;
    mongoc_cursor_t  *cursor;

    bson_init(&filter);
    bson_append_document_begin(&filter, field, -1, &part);
    bson_append_array(&part, "$in", -1, names);
    bson_append_document_end(&filter, &part);

    bson_init(&opts);
    bson_append_int32(&opts, "batchSize", -1,
                      (int32_t) bson_count_keys(names) + 1);

    if (without != NULL) {
        bson_append_document_begin(&opts, "projection", -1, &part);
        bson_append_int32(&part, without, -1, 0);
        bson_append_document_end(&opts, &part);
    }

    cursor = store_mongo_pool_find(link, collection, &filter, &opts);

    bson_destroy(&filter);
    bson_destroy(&opts);
    bson_destroy(names);

    return cursor;
}


static void
add_name(bson_t *names, uint32_t *n, bytes_t name)
{
    char         buffer[16];
    size_t       len;
    const char  *key;

    len = bson_uint32_to_string((*n)++, &key, buffer, sizeof(buffer));

    bson_append_utf8(names, key, (int) len, (const char *) name.data,
                     (int) name.len);
}


/* Write. */

static store_mongo_rc_t
write_all(store_mongo_link_t *link, store_mongo_overlay_t *overlay,
    int64_t now_ms)
{
    store_mongo_rc_t  rc;

    /* namespaces first: there two writers meet, if they do */

    rc = write_spaces(link, overlay);

    if (rc == STORE_MONGO_DONE) {
        rc = write_items(link, overlay);
    }

    if (rc == STORE_MONGO_DONE) {
        rc = write_entries(link, overlay);
    }

    if (rc == STORE_MONGO_DONE) {
        rc = write_changes(link, overlay);
    }

    if (rc == STORE_MONGO_DONE) {
        rc = write_cuts(link, overlay, now_ms);
    }

    return rc;
}


static store_mongo_rc_t
write_spaces(store_mongo_link_t *link, store_mongo_overlay_t *overlay)
{
    int                       n;
    store_mongo_node_t       *node;
    mongoc_bulk_operation_t  *bulk;

    n = 0;
    bulk = store_mongo_pool_bulk(link, STORE_MONGO_NAMESPACE);

    for (node = overlay->nodes[STORE_MONGO_NODE_SPACE]; node && n >= 0;
         node = node->next)
    {
        if (node->space.dirty || node->space.touched) {
            n = write_space(link, bulk, node) ? n + 1 : -1;
        }
    }

    return finish_bulk(link, bulk, n, "a write of namespaces");
}


/*
 * A write that changes nothing would not meet another one: a number that is
 * another one each time makes it a change.
 */

static int
write_space(store_mongo_link_t *link, mongoc_bulk_operation_t *bulk,
    store_mongo_node_t *node)
{
    int      done;
    char     place[STORE_MONGO_PLACE_MAX];
    bson_t  *selector, *update, *opts, document;
    size_t   len;
    int32_t  touched;

    len = store_mongo_document_place(link->generation, node->name, place);
    touched = (int32_t) randombytes_random();

    if (node->space.dirty) {
        bson_init(&document);
        store_mongo_document_add_space(&document, &node->space);
        bson_append_int32(&document, "touched", -1, touched);

        done = add_replace(link, bulk, bytes_make(place, len), &document);
        bson_destroy(&document);

        return done;
    }

    selector = BCON_NEW("_id", BCON_UTF8(place));
    update = BCON_NEW("$set", "{", "touched", BCON_INT32(touched), "}");
    opts = BCON_NEW("upsert", BCON_BOOL(true));

    done = mongoc_bulk_operation_update_one_with_opts(bulk, selector, update,
                                                      opts, &link->error);
    bson_destroy(selector);
    bson_destroy(update);
    bson_destroy(opts);

    return done;
}


static store_mongo_rc_t
write_items(store_mongo_link_t *link, store_mongo_overlay_t *overlay)
{
    int                       n, gone;
    bson_t                    document;
    store_mongo_node_t       *node;
    mongoc_bulk_operation_t  *bulk;

    n = 0;
    bulk = store_mongo_pool_bulk(link, STORE_MONGO_ITEM);

    /* all of a kind in a row: the driver makes one command of them */

    for (gone = 0; gone < 2; gone++) {
        for (node = overlay->nodes[STORE_MONGO_NODE_ITEM]; node && n >= 0;
             node = node->next)
        {
            if (!node->item.dirty || (node->item.seq == 0) != gone) {
                continue;
            }

            bson_init(&document);

            if (gone) {
                store_mongo_document_add_text(&document, "_id",
                                              (const char *) node->name.data,
                                              node->name.len);
                n = mongoc_bulk_operation_remove_one_with_opts(bulk,
                        &document, NULL, &link->error) ? n + 1 : -1;

            } else {
                store_mongo_document_add_item(&document, &node->item);
                n = add_replace(link, bulk, node->name, &document) ? n + 1
                                                                   : -1;
            }

            bson_destroy(&document);
        }
    }

    return finish_bulk(link, bulk, n, "a write of items");
}


static store_mongo_rc_t
write_entries(store_mongo_link_t *link, store_mongo_overlay_t *overlay)
{
    int                       n;
    char                      place[STORE_MONGO_PLACE_MAX];
    bson_t                    document;
    size_t                    len;
    store_mongo_entry_t      *entry;
    mongoc_bulk_operation_t  *bulk;

    if (overlay->entries == NULL) {
        return STORE_MONGO_DONE;
    }

    n = 0;
    bulk = store_mongo_pool_bulk(link, STORE_MONGO_ENTRY);

    for (entry = overlay->entries; entry && n >= 0; entry = entry->next) {

        if (!entry->live) {
            continue;
        }

        bson_init(&document);

        len = store_mongo_document_number(entry->id, entry->seq, place);
        store_mongo_document_add_text(&document, "_id", place, len);
        store_mongo_document_add_entry(&document, entry);

        n = add_insert(link, bulk, &document) ? n + 1 : -1;

        bson_destroy(&document);
    }

    return finish_bulk(link, bulk, n, "a write of entries");
}


static store_mongo_rc_t
write_changes(store_mongo_link_t *link, store_mongo_overlay_t *overlay)
{
    int                       n;
    char                      place[STORE_MONGO_PLACE_MAX];
    bson_t                    document;
    size_t                    len;
    store_mongo_change_t     *change;
    mongoc_bulk_operation_t  *bulk;

    if (overlay->changes == NULL) {
        return STORE_MONGO_DONE;
    }

    n = 0;
    bulk = store_mongo_pool_bulk(link, STORE_MONGO_CHANGE);

    for (change = overlay->changes; change && n >= 0; change = change->next) {

        if (!change->live) {
            continue;
        }

        bson_init(&document);

        len = store_mongo_document_number(change->id, change->seq, place);
        store_mongo_document_add_text(&document, "_id", place, len);
        store_mongo_document_add_change(&document, change);

        n = add_insert(link, bulk, &document) ? n + 1 : -1;

        bson_destroy(&document);
    }

    return finish_bulk(link, bulk, n, "a write of changes");
}


static store_mongo_rc_t
write_cuts(store_mongo_link_t *link, store_mongo_overlay_t *overlay,
    int64_t now_ms)
{
    int                       n, m;
    store_mongo_rc_t          rc;
    store_mongo_cut_t        *cut;
    mongoc_bulk_operation_t  *trims, *drops;

    if (overlay->cuts == NULL) {
        return STORE_MONGO_DONE;
    }

    n = m = 0;
    trims = store_mongo_pool_bulk(link, STORE_MONGO_CHANGE);
    drops = store_mongo_pool_bulk(link, STORE_MONGO_DROPPED);

    for (cut = overlay->cuts; cut && n >= 0 && m >= 0; cut = cut->next) {

        if (!cut->live) {
            continue;
        }

        if (cut->seq != 0) {
            n = add_cut(link, trims, cut, now_ms) ? n + 1 : -1;

        } else {
            m = add_cut(link, drops, cut, now_ms) ? m + 1 : -1;
        }
    }

    rc = finish_bulk(link, trims, n, "a trim of changes");

    if (rc != STORE_MONGO_DONE) {
        mongoc_bulk_operation_destroy(drops);
        return rc;
    }

    return finish_bulk(link, drops, m, "a drop");
}


static int
add_cut(store_mongo_link_t *link, mongoc_bulk_operation_t *bulk,
    const store_mongo_cut_t *cut, int64_t now_ms)
{
    int      done;
    char     first[STORE_MONGO_PLACE_MAX], last[STORE_MONGO_PLACE_MAX];
    bson_t  *document;

    if (cut->seq == 0) {
        document = BCON_NEW("a", BCON_INT64(now_ms));
        done = add_replace(link, bulk, bytes_of(cut->id), document);

    } else {
        (void) store_mongo_document_number(cut->id, 0, first);
        (void) store_mongo_document_number(cut->id, cut->seq, last);

        document = BCON_NEW("_id", "{", "$gte", BCON_UTF8(first),
                            "$lte", BCON_UTF8(last), "}");
        done = mongoc_bulk_operation_remove_many_with_opts(bulk, document,
                                                           NULL,
                                                           &link->error);
    }

    bson_destroy(document);

    return done;
}


/* The document of that _id is replaced, or made. */
static int
add_replace(store_mongo_link_t *link, mongoc_bulk_operation_t *bulk,
    bytes_t id, const bson_t *document)
{
    int     done;
    bson_t  selector, opts;

    bson_init(&selector);
    store_mongo_document_add_text(&selector, "_id", (const char *) id.data,
                                  id.len);

    bson_init(&opts);
    bson_append_bool(&opts, "upsert", -1, true);
    bson_append_bool(&opts, "validate", -1, false);

    done = mongoc_bulk_operation_replace_one_with_opts(bulk, &selector,
                                                       document, &opts,
                                                       &link->error);
    bson_destroy(&selector);
    bson_destroy(&opts);

    return done;
}


static int
add_insert(store_mongo_link_t *link, mongoc_bulk_operation_t *bulk,
    const bson_t *document)
{
    int     done;
    bson_t  opts;

    bson_init(&opts);
    bson_append_bool(&opts, "validate", -1, false);

    done = mongoc_bulk_operation_insert_with_opts(bulk, document, &opts,
                                                  &link->error);
    bson_destroy(&opts);

    return done;
}


/* Executes a bulk of n writes; -1: one of them was refused by the driver. */
static store_mongo_rc_t
finish_bulk(store_mongo_link_t *link, mongoc_bulk_operation_t *bulk, int n,
    const char *what)
{
    if (n > 0) {
        return store_mongo_pool_execute(link, bulk, what);
    }

    mongoc_bulk_operation_destroy(bulk);

    if (n == 0) {
        return STORE_MONGO_DONE;
    }

    link->what = what;

    return STORE_MONGO_BROKEN;
}


#endif /* STORE_HAVE_MONGO */
