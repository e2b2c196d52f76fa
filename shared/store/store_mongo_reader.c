/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Reads of one moment, by a majority.
 *
 * Runs in pool threads, up to readers_max at once; each uses a connection of
 * its own and is stopped by the limits of the driver.
 *
 * A read that looks at two documents of different ages would tell lies, so
 * that most run in a transaction.  Without one: a GET (the namespace, then
 * the item: whatever changed between the two is in order), and entries up to
 * the head that was read first, since they never change and those of a
 * dropped namespace are swept long after.
 */


#include "store_mongo.h"


#ifdef STORE_HAVE_MONGO

#include <errno.h>
#include <stdlib.h>


#define STORE_MONGO_ROWS_STEP  16            /* first size of a row array */
#define STORE_MONGO_KEY_END    "\xc4\x80"    /* U+0100: past any key */


/* The namespace of one read, and what a GET has found. */
typedef struct {
    store_mongo_space_t   space;
    char                  place[STORE_MONGO_PLACE_MAX];
    size_t                len;
} store_mongo_target_t;


typedef struct {
    store_mongo_link_t     link;
    const store_read_t    *reads;
    store_rows_t          *rows;
    size_t                 count;
    store_mongo_target_t  *targets;    /* [count] */
    store_rows_t          *found;      /* [count]: of the GETs */
    size_t                 bytes;      /* in rows of this request so far */
    int64_t                now_ms;
    int                    failed;     /* out of memory */
} store_mongo_read_t;


static int take_place(store_t *store);
static void release_place(store_t *store);
static store_mongo_rc_t run_reads(store_mongo_read_t *state);
static int need_moment(const store_mongo_read_t *state);
static store_mongo_rc_t load_spaces(store_mongo_read_t *state);
static void take_space(store_mongo_read_t *state, bytes_t id,
    const bson_t *document);
static store_mongo_rc_t load_items(store_mongo_read_t *state, int keys_only);
static store_mongo_rc_t read_one(store_mongo_read_t *state, size_t i);
static store_mongo_rc_t read_range(store_mongo_read_t *state, size_t i);
static void set_bounds(const store_read_t *read, bytes_writer_t *low,
    bytes_writer_t *high);
static int compare_keys(bytes_t a, bytes_t b);
static store_mongo_rc_t read_numbers(store_mongo_read_t *state, size_t i);
static store_mongo_rc_t read_entry(store_mongo_read_t *state, size_t i);
static store_mongo_rc_t read_names(store_mongo_read_t *state, size_t i);
static store_mongo_rc_t take_rows(store_mongo_read_t *state, size_t i,
    const char *collection, const bson_t *filter);
static void add_alive(bson_t *filter, int64_t now_ms);
static int add_row(store_mongo_read_t *state, const store_read_t *read,
    const bson_t *document, store_rows_t *rows);


store_rc_t
store_mongo_reader_read(store_t *store, const store_read_t *reads,
    store_rows_t *rows, size_t count)
{
    unsigned            tries;
    store_mongo_rc_t    rc;
    store_mongo_read_t  state;

    if (store_reads_check(reads, count) != STORE_OK) {
        return STORE_INVALID;
    }

    memset(rows, 0, count * sizeof(store_rows_t));

    if (store_mongo_breaker_tripped(store) || take_place(store) != 0) {
        return STORE_BUSY;
    }

    /* once more when another generation took over, or the moment is gone */

    for (tries = 0; ; tries++) {
        memset(&state, 0, sizeof(store_mongo_read_t));

        state.reads = reads;
        state.rows = rows;
        state.count = count;
        state.now_ms = store_mongo_now_ms();

        rc = store_mongo_pool_take(store, &state.link);

        if (rc == STORE_MONGO_DONE) {
            rc = run_reads(&state);
        }

        store_mongo_pool_release(&state.link);

        if (rc == STORE_MONGO_DONE) {
            break;
        }

        store_rows_release(rows, count);
        memset(rows, 0, count * sizeof(store_rows_t));

        if (rc != STORE_MONGO_AGAIN || tries == 2) {
            break;
        }
    }

    release_place(store);

    if (!state.failed) {
        store_mongo_breaker_report(store, &state.link, rc);
    }

    return (rc == STORE_MONGO_UNSURE) ? STORE_BUSY
                                      : store_mongo_pool_result(rc);
}


/* One of readers_max.  0; -1: not had in time, or the server is not ready. */
static int
take_place(store_t *store)
{
    int              rc;
    struct timespec  until;

    rc = 0;
    store_mongo_time_after(&until, STORE_MONGO_READ_MS);

    pthread_mutex_lock(&store->mutex);

    while (store->ready && store->readers >= store->config.readers_max
           && rc != ETIMEDOUT)
    {
        rc = pthread_cond_timedwait(&store->released, &store->mutex, &until);
    }

    rc = -1;

    if (store->ready && store->readers < store->config.readers_max) {
        store->readers++;
        rc = 0;
    }

    pthread_mutex_unlock(&store->mutex);

    return rc;
}


static void
release_place(store_t *store)
{
    pthread_mutex_lock(&store->mutex);
    store->readers--;
    pthread_cond_signal(&store->released);
    pthread_mutex_unlock(&store->mutex);
}


static store_mongo_rc_t
run_reads(store_mongo_read_t *state)
{
    size_t            i;
    store_mongo_rc_t  rc;

    state->targets = calloc(state->count, sizeof(store_mongo_target_t));
    state->found = calloc(state->count, sizeof(store_rows_t));

    rc = STORE_MONGO_BROKEN;
    state->link.what = "memory of a read";

    if (state->targets != NULL && state->found != NULL) {
        rc = need_moment(state) ? store_mongo_pool_begin(&state->link)
                                : STORE_MONGO_DONE;

        if (rc == STORE_MONGO_DONE) {
            rc = load_spaces(state);
        }

        if (rc == STORE_MONGO_DONE) {
            rc = load_items(state, 0);
        }

        if (rc == STORE_MONGO_DONE) {
            rc = load_items(state, 1);
        }

        for (i = 0; i < state->count && rc == STORE_MONGO_DONE; i++) {
            rc = read_one(state, i);
        }
    }

    if (state->failed) {
        rc = STORE_MONGO_BROKEN;
    }

    if (state->found != NULL) {
        store_rows_release(state->found, state->count);
    }

    free(state->found);
    free(state->targets);

    return rc;
}


static int
need_moment(const store_mongo_read_t *state)
{
    if (state->count != 1) {
        return 1;
    }

    switch (state->reads[0].kind) {

    case STORE_GET:
    case STORE_FEED:
    case STORE_HEAD:
    case STORE_USAGE:
        return 0;

    default:
        return 1;
    }
}


/* Namespaces of all reads. */
static store_mongo_rc_t
load_spaces(store_mongo_read_t *state)
{
    char               buffer[16];
    bson_t             filter, in, names, opts;
    size_t             i, len;
    bytes_t            id, root;
    const char        *key;
    const bson_t      *document;
    mongoc_cursor_t   *cursor;
    store_mongo_rc_t   rc;
    char               generation[STORE_MONGO_ID_LEN + 1];

    generation[0] = '\0';

    bson_init(&names);
    bson_append_utf8(&names, "0", 1, STORE_MONGO_ROOT, -1);

    for (i = 0; i < state->count; i++) {

        if (state->reads[i].kind == STORE_NAMES) {
            continue;
        }

        len = bson_uint32_to_string((uint32_t) i + 1, &key, buffer,
                                    sizeof(buffer));
        state->targets[i].len = store_mongo_document_place(
                                    state->link.generation,
                                    state->reads[i].ns,
                                    state->targets[i].place);
        bson_append_utf8(&names, key, (int) len, state->targets[i].place,
                         (int) state->targets[i].len);
    }

    bson_init(&filter);
    bson_append_document_begin(&filter, "_id", -1, &in);
    bson_append_array(&in, "$in", -1, &names);
    bson_append_document_end(&filter, &in);

    bson_init(&opts);
    bson_append_int32(&opts, "maxTimeMS", -1, STORE_MONGO_READ_MS);
    bson_append_int32(&opts, "batchSize", -1, (int32_t) state->count + 2);

    cursor = store_mongo_pool_find(&state->link, STORE_MONGO_NAMESPACE,
                                   &filter, &opts);

    while (mongoc_cursor_next(cursor, &document)) {
        id = store_mongo_document_text(document, "_id");
        root = store_mongo_document_text(document, "generation");

        if (!bytes_equal_text(id, STORE_MONGO_ROOT)) {
            take_space(state, id, document);

        } else if (root.len == STORE_MONGO_ID_LEN) {
            memcpy(generation, root.data, root.len);
            generation[root.len] = '\0';
        }
    }

    rc = store_mongo_pool_found(&state->link, cursor, "a read of namespaces");

    mongoc_cursor_destroy(cursor);
    bson_destroy(&names);
    bson_destroy(&filter);
    bson_destroy(&opts);

    if (rc == STORE_MONGO_DONE
        && strcmp(generation, state->link.generation) != 0)
    {
        store_mongo_pool_abort(&state->link);
        rc = store_mongo_pool_generation(&state->link);
        return (rc == STORE_MONGO_DONE) ? STORE_MONGO_AGAIN : rc;
    }

    return rc;
}


static void
take_space(store_mongo_read_t *state, bytes_t id, const bson_t *document)
{
    size_t                 i;
    store_mongo_target_t  *target;

    for (i = 0; i < state->count; i++) {
        target = &state->targets[i];

        if (target->len == id.len
            && memcmp(target->place, id.data, id.len) == 0)
        {
            store_mongo_document_space(document, &target->space);
        }
    }
}


/* What the GETs ask for: all of it, or all but the values. */
static store_mongo_rc_t
load_items(store_mongo_read_t *state, int keys_only)
{
    char                   buffer[16];
    bson_t                 filter, part, names, opts;
    size_t                 i, len;
    bytes_t                id;
    uint32_t               n;
    const char            *key;
    const bson_t          *document;
    mongoc_cursor_t       *cursor;
    store_mongo_rc_t       rc;
    const store_read_t    *read;
    store_mongo_target_t  *target;

    n = 0;
    bson_init(&names);

    for (i = 0; i < state->count; i++) {
        read = &state->reads[i];
        target = &state->targets[i];

        if (read->kind != STORE_GET || target->space.id[0] == '\0'
            || (read->keys_only != 0) != keys_only)
        {
            continue;
        }

        target->len = store_mongo_document_place(target->space.id, read->key,
                                                 target->place);
        len = bson_uint32_to_string(n++, &key, buffer, sizeof(buffer));
        bson_append_utf8(&names, key, (int) len, target->place,
                         (int) target->len);
    }

    if (n == 0) {
        bson_destroy(&names);
        return STORE_MONGO_DONE;
    }

    bson_init(&filter);
    bson_append_document_begin(&filter, "_id", -1, &part);
    bson_append_array(&part, "$in", -1, &names);
    bson_append_document_end(&filter, &part);
    add_alive(&filter, state->now_ms);

    bson_init(&opts);
    bson_append_int32(&opts, "maxTimeMS", -1, STORE_MONGO_READ_MS);
    bson_append_int32(&opts, "batchSize", -1, (int32_t) n + 1);

    if (keys_only) {
        bson_append_document_begin(&opts, "projection", -1, &part);
        bson_append_int32(&part, "v", -1, 0);
        bson_append_document_end(&opts, &part);
    }

    cursor = store_mongo_pool_find(&state->link, STORE_MONGO_ITEM, &filter,
                                   &opts);

    while (mongoc_cursor_next(cursor, &document)) {
        id = store_mongo_document_text(document, "_id");

        for (i = 0; i < state->count; i++) {
            read = &state->reads[i];
            target = &state->targets[i];

            if (read->kind == STORE_GET && target->len == id.len
                && (read->keys_only != 0) == keys_only
                && memcmp(target->place, id.data, id.len) == 0
                && add_row(state, read, document, &state->found[i]) != 0)
            {
                state->failed = 1;
            }
        }
    }

    rc = store_mongo_pool_found(&state->link, cursor, "a read of items");

    mongoc_cursor_destroy(cursor);
    bson_destroy(&names);
    bson_destroy(&filter);
    bson_destroy(&opts);

    return rc;
}


static store_mongo_rc_t
read_one(store_mongo_read_t *state, size_t i)
{
    store_rows_t         *rows;
    const store_read_t   *read;
    store_mongo_space_t  *space;

    read = &state->reads[i];
    rows = &state->rows[i];
    space = &state->targets[i].space;

    rows->rc = STORE_OK;

    switch (read->kind) {

    case STORE_GET:
        *rows = state->found[i];
        rows->rc = rows->count ? STORE_OK : STORE_ABSENT;
        state->bytes += rows->count ? rows->rows[0].key.len
                                      + rows->rows[0].value.len
                                      + rows->rows[0].meta.len : 0;
        memset(&state->found[i], 0, sizeof(store_rows_t));
        return STORE_MONGO_DONE;

    case STORE_RANGE:
        return read_range(state, i);

    case STORE_FEED:
        rows->head = space->entry_seq;
        return (read->key.len != 0) ? read_entry(state, i)
                                    : read_numbers(state, i);

    case STORE_HEAD:
        rows->head = space->entry_seq;
        return STORE_MONGO_DONE;

    case STORE_CHANGES:
        rows->head = space->item_seq;
        rows->oldest = space->oldest;
        return read_numbers(state, i);

    case STORE_USAGE:
        rows->head = space->item_seq;
        rows->usage.items = space->items;
        rows->usage.bytes = space->bytes;
        rows->usage.limits = space->limits;
        return STORE_MONGO_DONE;

    case STORE_NAMES:
        return read_names(state, i);

    default:
        break;
    }

    return STORE_MONGO_BROKEN;
}


/* Items. */

static store_mongo_rc_t
read_range(store_mongo_read_t *state, size_t i)
{
    char                 text[STORE_MONGO_PLACE_MAX];
    bson_t               filter, part;
    size_t               len;
    uint8_t              low_key[STORE_KEY_MAX + 1];
    uint8_t              high_key[STORE_KEY_MAX + 1];
    bytes_writer_t       low, high;
    store_mongo_rc_t     rc;
    store_mongo_space_t  *space;

    space = &state->targets[i].space;

    if (space->id[0] == '\0') {
        return STORE_MONGO_DONE;
    }

    bytes_writer_open(&low, low_key, sizeof(low_key));
    bytes_writer_open(&high, high_key, sizeof(high_key));
    set_bounds(&state->reads[i], &low, &high);

    bson_init(&filter);
    bson_append_document_begin(&filter, "_id", -1, &part);

    len = store_mongo_document_place(space->id, bytes_writer_view(&low),
                                     text);
    bson_append_utf8(&part, "$gte", -1, text, (int) len);

    if (high.pos == high.start) {
        memcpy(text + STORE_MONGO_ID_LEN, STORE_MONGO_KEY_END,
               sizeof(STORE_MONGO_KEY_END));
        len = STORE_MONGO_ID_LEN + sizeof(STORE_MONGO_KEY_END) - 1;

    } else {
        len = store_mongo_document_place(space->id, bytes_writer_view(&high),
                                         text);
    }

    bson_append_utf8(&part, "$lt", -1, text, (int) len);
    bson_append_document_end(&filter, &part);
    add_alive(&filter, state->now_ms);

    rc = take_rows(state, i, STORE_MONGO_ITEM, &filter);

    bson_destroy(&filter);

    return rc;
}


/*
 * Keys of the range: low <= key < high; an empty high is no bound.  The first
 * key past one is that key and a zero byte; the first that no longer has a
 * prefix is the prefix with its last byte increased, after bytes of 0xff are
 * cut.
 */

static void
set_bounds(const store_read_t *read, bytes_writer_t *low,
    bytes_writer_t *high)
{
    size_t   len;
    bytes_t  past;

    past = read->after_key;
    len = read->key.len;

    while (len != 0 && read->key.data[len - 1] == 0xff) {
        len--;
    }

    if (len != 0) {
        bytes_writer_put(high, read->key.data, len - 1);
        bytes_writer_byte(high, (uint8_t) (read->key.data[len - 1] + 1));
    }

    if (read->to_key.len != 0
        && (high->pos == high->start
            || compare_keys(read->to_key, bytes_writer_view(high)) < 0))
    {
        high->pos = high->start;
        bytes_writer_bytes(high, read->to_key);
    }

    bytes_writer_bytes(low, read->key);

    if (compare_keys(read->from_key, bytes_writer_view(low)) > 0) {
        low->pos = low->start;
        bytes_writer_bytes(low, read->from_key);
    }

    if (past.len == 0) {
        return;
    }

    if (!read->reverse) {
        if (compare_keys(past, bytes_writer_view(low)) >= 0) {
            low->pos = low->start;
            bytes_writer_bytes(low, past);
            bytes_writer_byte(low, 0);
        }

    } else if (high->pos == high->start
               || compare_keys(past, bytes_writer_view(high)) < 0)
    {
        high->pos = high->start;
        bytes_writer_bytes(high, past);
    }
}


static int
compare_keys(bytes_t a, bytes_t b)
{
    int     rc;
    size_t  len;

    len = (a.len < b.len) ? a.len : b.len;
    rc = (len != 0) ? memcmp(a.data, b.data, len) : 0;

    return (rc != 0) ? rc : (a.len > b.len) - (a.len < b.len);
}


/* Entries and changes. */

static store_mongo_rc_t
read_numbers(store_mongo_read_t *state, size_t i)
{
    char                  text[2 * STORE_MONGO_ID_LEN + 1];
    bson_t                filter, part;
    size_t                len;
    uint64_t              last;
    store_mongo_rc_t      rc;
    const store_read_t   *read;
    store_mongo_space_t  *space;

    read = &state->reads[i];
    space = &state->targets[i].space;

    last = state->rows[i].head;

    if (read->kind == STORE_FEED && read->before != 0
        && read->before - 1 < last)
    {
        last = read->before - 1;
    }

    if (space->id[0] == '\0' || read->after >= last) {
        return STORE_MONGO_DONE;
    }

    bson_init(&filter);
    bson_append_document_begin(&filter, "_id", -1, &part);

    len = store_mongo_document_number(space->id, read->after, text);
    bson_append_utf8(&part, "$gt", -1, text, (int) len);

    len = store_mongo_document_number(space->id, last, text);
    bson_append_utf8(&part, "$lte", -1, text, (int) len);

    bson_append_document_end(&filter, &part);

    rc = take_rows(state, i, (read->kind == STORE_FEED) ? STORE_MONGO_ENTRY
                                                        : STORE_MONGO_CHANGE,
                   &filter);
    bson_destroy(&filter);

    return rc;
}


/* The entry with an id. */
static store_mongo_rc_t
read_entry(store_mongo_read_t *state, size_t i)
{
    char                  text[STORE_MONGO_PLACE_MAX];
    bson_t                filter;
    size_t                len;
    store_mongo_rc_t      rc;
    store_mongo_space_t  *space;

    space = &state->targets[i].space;

    if (space->id[0] == '\0') {
        return STORE_MONGO_DONE;
    }

    len = store_mongo_document_place(space->id, state->reads[i].key, text);

    bson_init(&filter);
    bson_append_utf8(&filter, "i", -1, text, (int) len);

    rc = take_rows(state, i, STORE_MONGO_ENTRY, &filter);

    bson_destroy(&filter);

    /* one that was appended since the head was read is not there yet */

    if (rc == STORE_MONGO_DONE && state->rows[i].count != 0
        && state->rows[i].rows[0].seq > state->rows[i].head)
    {
        store_rows_release(&state->rows[i], 1);
    }

    return rc;
}


/* Names of namespaces, which all have an id. */
static store_mongo_rc_t
read_names(store_mongo_read_t *state, size_t i)
{
    char                 text[STORE_MONGO_PLACE_MAX];
    bson_t               filter, part;
    size_t               len;
    uint8_t              low_key[STORE_KEY_MAX + 1];
    uint8_t              high_key[STORE_KEY_MAX + 1];
    store_read_t         read;
    bytes_writer_t       low, high;
    store_mongo_rc_t     rc;

    memset(&read, 0, sizeof(store_read_t));
    read.key = state->reads[i].key;
    read.after_key = state->reads[i].after_key;

    bytes_writer_open(&low, low_key, sizeof(low_key));
    bytes_writer_open(&high, high_key, sizeof(high_key));
    set_bounds(&read, &low, &high);

    bson_init(&filter);
    bson_append_document_begin(&filter, "_id", -1, &part);

    len = store_mongo_document_place(state->link.generation,
                                     bytes_writer_view(&low), text);
    bson_append_utf8(&part, "$gte", -1, text, (int) len);

    if (high.pos == high.start) {
        memcpy(text + STORE_MONGO_ID_LEN, STORE_MONGO_KEY_END,
               sizeof(STORE_MONGO_KEY_END));
        len = STORE_MONGO_ID_LEN + sizeof(STORE_MONGO_KEY_END) - 1;

    } else {
        len = store_mongo_document_place(state->link.generation,
                                         bytes_writer_view(&high), text);
    }

    bson_append_utf8(&part, "$lt", -1, text, (int) len);
    bson_append_document_end(&filter, &part);

    bson_append_document_begin(&filter, "id", -1, &part);
    bson_append_utf8(&part, "$gt", -1, "", 0);
    bson_append_document_end(&filter, &part);

    rc = take_rows(state, i, STORE_MONGO_NAMESPACE, &filter);

    bson_destroy(&filter);

    return rc;
}


/* Rows. */

/*
 * Copies rows until there are "limit", or the request holds too many bytes;
 * each read gives at least one row, whatever its size.
 */

static store_mongo_rc_t
take_rows(store_mongo_read_t *state, size_t i, const char *collection,
    const bson_t *filter)
{
    size_t               limit;
    bson_t               opts, part;
    const bson_t        *document;
    store_rows_t        *rows;
    mongoc_cursor_t     *cursor;
    store_mongo_rc_t     rc;
    const store_read_t  *read;

    read = &state->reads[i];
    rows = &state->rows[i];
    limit = read->limit ? read->limit : 1;

    bson_init(&opts);

    bson_append_document_begin(&opts, "sort", -1, &part);
    bson_append_int32(&part, "_id", -1,
                      (read->reverse && (read->kind == STORE_RANGE
                                         || read->kind == STORE_FEED))
                      ? -1 : 1);
    bson_append_document_end(&opts, &part);

    bson_append_int64(&opts, "limit", -1, (int64_t) limit + 1);
    bson_append_int32(&opts, "batchSize", -1, (int32_t) limit + 2);
    bson_append_int32(&opts, "maxTimeMS", -1, STORE_MONGO_READ_MS);

    if (read->keys_only && read->kind == STORE_RANGE) {
        bson_append_document_begin(&opts, "projection", -1, &part);
        bson_append_int32(&part, "v", -1, 0);
        bson_append_document_end(&opts, &part);
    }

    cursor = store_mongo_pool_find(&state->link, collection, filter, &opts);

    while (mongoc_cursor_next(cursor, &document)) {

        if (rows->count == limit
            || (rows->count != 0 && state->bytes >= STORE_ROWS_BYTES_MAX))
        {
            rows->more = 1;
            break;
        }

        if (add_row(state, read, document, rows) != 0) {
            state->failed = 1;
            break;
        }

        state->bytes += rows->rows[rows->count - 1].key.len
                        + rows->rows[rows->count - 1].value.len
                        + rows->rows[rows->count - 1].meta.len;
    }

    rc = store_mongo_pool_found(&state->link, cursor, "a read");

    mongoc_cursor_destroy(cursor);
    bson_destroy(&opts);

    return rc;
}


/* What has not expired. */
static void
add_alive(bson_t *filter, int64_t now_ms)
{
    bson_t  list, part, bound;

    bson_append_array_begin(filter, "$or", -1, &list);

    bson_append_document_begin(&list, "0", 1, &part);
    bson_append_document_begin(&part, "x", -1, &bound);
    bson_append_bool(&bound, "$exists", -1, false);
    bson_append_document_end(&part, &bound);
    bson_append_document_end(&list, &part);

    bson_append_document_begin(&list, "1", 1, &part);
    bson_append_document_begin(&part, "x", -1, &bound);
    bson_append_int64(&bound, "$gt", -1, now_ms);
    bson_append_document_end(&part, &bound);
    bson_append_document_end(&list, &part);

    bson_append_array_end(filter, &list);
}


static int
add_row(store_mongo_read_t *state, const store_read_t *read,
    const bson_t *document, store_rows_t *rows)
{
    void    *grown;
    size_t   size;

    /* the array grows when its length is a power of two */

    if (rows->count == 0 || (rows->count >= STORE_MONGO_ROWS_STEP
                             && (rows->count & (rows->count - 1)) == 0))
    {
        size = rows->count ? rows->count * 2 : STORE_MONGO_ROWS_STEP;

        if (read->kind == STORE_GET) {
            size = 1;
        }

        grown = realloc(rows->rows, size * sizeof(store_row_t));
        if (grown == NULL) {
            return -1;
        }

        rows->rows = grown;
    }

    memset(&rows->rows[rows->count], 0, sizeof(store_row_t));

    if (store_mongo_document_row(document, read->kind,
                                 &rows->rows[rows->count]) != 0)
    {
        return -1;
    }

    rows->count++;

    return 0;
}


#endif /* STORE_HAVE_MONGO */
