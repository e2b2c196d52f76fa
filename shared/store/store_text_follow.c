/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Follows a store: what changed since the position that the index has of a
 * namespace is read and taken in, step by step.
 *
 *     "s/..."  changes -> the items as they are now -> documents
 *     "r_..."  entries -> contents of messages
 *
 * An item that changed again meanwhile is taken as it is; its later change
 * then finds it there.  When changes are no longer all kept, or the namespace
 * was dropped, it is listed anew under another number, from the position that
 * its counter had before the listing; the old documents go with the sweep.
 *
 * The leader's thread only.  Reads of the store are short and stop for a
 * moment while its writers wait.
 */


#include "store_text.h"

#include "json_scan.h"

#include <time.h>


#define STORE_TEXT_ROOMS      "rooms"        /* namespace of their records */
#define STORE_TEXT_ROOM       "room/"        /* and prefix of their keys */


/* What a step of following a namespace knows. */
typedef struct {
    bytes_t    name;
    int64_t    ns;
    uint64_t   seq;               /* position */
    int        more;              /* there is more behind it */
} store_text_place_t;


static int follow_items(store_text_t *text, store_text_place_t *place);
static int take_changes(store_text_t *text, store_text_place_t *place,
    const store_rows_t *changes);
static int is_last(const store_rows_t *changes, size_t i);
static int is_kept(bytes_t key);
static int take_items(store_text_t *text, const store_text_place_t *place,
    const store_row_t **changes, size_t count);
static int take_item(store_text_t *text, int64_t ns, const store_row_t *row);
static int list_items(store_text_t *text, store_text_place_t *place);
static int list_kind(store_text_t *text, const store_text_place_t *place,
    const char *prefix);
static int follow_entries(store_text_t *text, store_text_place_t *place);
static int take_entry(store_text_t *text, int64_t ns, const store_row_t *row);
static int follow_page(store_text_t *text, const store_rows_t *names,
    int rooms);
static int follow_prefix(store_text_t *text, const char *prefix, int rooms);
static int match_epoch(store_text_t *text);
static int drop_rooms(store_text_t *text);
static int read_store(store_text_t *text, const store_read_t *reads,
    store_rows_t *rows, size_t count);
static void pause_for_writers(store_text_t *text);


int
store_text_follow(store_text_t *text, bytes_t ns)
{
    int                 rc;
    store_text_place_t  place;

    memset(&place, 0, sizeof(store_text_place_t));
    place.name = ns;

    do {
        if (store_text_write_ns(text, ns, &place.ns, &place.seq) != 0) {
            return -1;
        }

        if (bytes_start_with(ns, bytes_of("s/"))) {
            rc = follow_items(text, &place);

        } else {
            rc = follow_entries(text, &place);
        }

        if (rc != 0 || store_text_write_flush(text, 0) != 0) {
            return -1;
        }

    } while (place.more && !*text->stop);

    return 0;
}


int
store_text_follow_all(store_text_t *text)
{
    if (match_epoch(text) != 0
        || follow_prefix(text, "s/", 0) != 0
        || follow_prefix(text, "r_", 1) != 0
        || drop_rooms(text) != 0)
    {
        return -1;
    }

    return store_text_write_flush(text, 1);
}


int
store_text_follow_room(store_text_t *text, bytes_t ns)
{
    int             rc;
    uint8_t         key[STORE_KEY_MAX];
    store_read_t    read;
    store_rows_t    rows;
    bytes_writer_t  w;

    bytes_writer_open(&w, key, sizeof(key));
    bytes_writer_text(&w, STORE_TEXT_ROOM);
    bytes_writer_bytes(&w, ns);

    if (w.failed) {
        return 0;
    }

    memset(&read, 0, sizeof(store_read_t));

    read.kind = STORE_GET;
    read.ns = bytes_of(STORE_TEXT_ROOMS);
    read.key = bytes_writer_view(&w);
    read.keys_only = 1;

    if (read_store(text, &read, &rows, 1) != 0) {
        return -1;
    }

    rc = (rows.rc == STORE_ABSENT) ? store_text_write_drop(text, ns) : 1;

    store_rows_release(&rows, 1);

    return rc;
}


/* Items. */

static int
follow_items(store_text_t *text, store_text_place_t *place)
{
    int           rc;
    store_read_t  read;
    store_rows_t  rows;

    memset(&read, 0, sizeof(store_read_t));

    read.kind = STORE_CHANGES;
    read.ns = place->name;
    read.after = place->seq;
    read.limit = STORE_TEXT_FETCH;

    if (read_store(text, &read, &rows, 1) != 0) {
        return -1;
    }

    if (place->seq < rows.oldest || place->seq > rows.head) {
        place->more = 1;
        rc = list_items(text, place);

    } else {
        place->more = rows.more;
        rc = take_changes(text, place, &rows);
    }

    store_rows_release(&rows, 1);

    return rc;
}


/* Of the changes of a key only the last one counts. */

static int
take_changes(store_text_t *text, store_text_place_t *place,
    const store_rows_t *changes)
{
    size_t              i, n;
    uint64_t            seq;
    store_text_doc_t    doc;
    const store_row_t  *row, *items[STORE_TEXT_FETCH_GETS];

    n = 0;
    seq = place->seq;

    for (i = 0; i < changes->count; i++) {
        row = &changes->rows[i];
        seq = row->seq;

        if (!is_kept(row->key) || !is_last(changes, i)) {
            continue;
        }

        if (row->change != STORE_CHANGE_PUT) {
            memset(&doc, 0, sizeof(store_text_doc_t));

            doc.key = row->key;
            doc.seq = row->seq;
            doc.item = 1;

            if (store_text_write_doc(text, place->ns, &doc) != 0) {
                return -1;
            }

            continue;
        }

        items[n++] = row;

        if (n == STORE_TEXT_FETCH_GETS) {
            if (take_items(text, place, items, n) != 0) {
                return -1;
            }

            n = 0;
        }
    }

    if (n != 0 && take_items(text, place, items, n) != 0) {
        return -1;
    }

    /* what has no changes behind it has none up to the counter */

    if (!place->more) {
        seq = changes->head;
    }

    return (seq == place->seq) ? 0
           : store_text_write_position(text, place->ns, seq);
}


static int
is_last(const store_rows_t *changes, size_t i)
{
    size_t  k;

    for (k = i + 1; k < changes->count; k++) {
        if (bytes_equal(changes->rows[k].key, changes->rows[i].key)) {
            return 0;
        }
    }

    return 1;
}


/* Keys and documents have words; what blobs have lies elsewhere. */
static int
is_kept(bytes_t key)
{
    return key.len > 2 && key.data[1] == '/'
           && (key.data[0] == 'k' || key.data[0] == 'd');
}


static int
take_items(store_text_t *text, const store_text_place_t *place,
    const store_row_t **changes, size_t count)
{
    int               rc;
    size_t            i;
    store_read_t      reads[STORE_TEXT_FETCH_GETS];
    store_rows_t      rows[STORE_TEXT_FETCH_GETS];
    store_text_doc_t  doc;

    memset(reads, 0, sizeof(reads));

    for (i = 0; i < count; i++) {
        reads[i].kind = STORE_GET;
        reads[i].ns = place->name;
        reads[i].key = changes[i]->key;
    }

    if (read_store(text, reads, rows, count) != 0) {
        return -1;
    }

    rc = 0;

    for (i = 0; i < count && rc == 0; i++) {

        if (rows[i].rc == STORE_OK) {
            rc = take_item(text, place->ns, &rows[i].rows[0]);
            continue;
        }

        memset(&doc, 0, sizeof(store_text_doc_t));

        doc.key = changes[i]->key;
        doc.seq = changes[i]->seq;
        doc.item = 1;

        rc = store_text_write_doc(text, place->ns, &doc);
    }

    store_rows_release(rows, count);

    return rc;
}


static int
take_item(store_text_t *text, int64_t ns, const store_row_t *row)
{
    bytes_writer_t    w;
    store_text_doc_t  doc;

    bytes_writer_open(&w, text->scratch, 2 * STORE_VALUE_MAX);

    if (row->key.data[0] == 'd') {
        store_text_plain(bytes_of("application/json"), row->value, &w);

    } else {
        store_text_plain(row->meta, row->value, &w);
    }

    memset(&doc, 0, sizeof(store_text_doc_t));

    doc.key = row->key;
    doc.seq = row->seq;
    doc.at_ms = row->at_ms;
    doc.item = 1;

    if (!w.failed) {
        doc.text = bytes_writer_view(&w);
    }

    return store_text_write_doc(text, ns, &doc);
}


/* All of a namespace, from the beginning. */
static int
list_items(store_text_t *text, store_text_place_t *place)
{
    uint64_t      head;
    store_read_t  read;
    store_rows_t  rows;

    memset(&read, 0, sizeof(store_read_t));

    read.kind = STORE_USAGE;
    read.ns = place->name;

    if (read_store(text, &read, &rows, 1) != 0) {
        return -1;
    }

    head = rows.head;
    store_rows_release(&rows, 1);

    if (store_text_write_drop(text, place->name) != 0
        || store_text_write_ns(text, place->name, &place->ns, &place->seq)
           != 0
        || list_kind(text, place, "k/") != 0
        || list_kind(text, place, "d/") != 0)
    {
        return -1;
    }

    if (*text->stop) {
        return 0;
    }

    return store_text_write_position(text, place->ns, head);
}


static int
list_kind(store_text_t *text, const store_text_place_t *place,
    const char *prefix)
{
    int             rc;
    size_t          i;
    uint8_t         key[STORE_KEY_MAX];
    store_read_t    read;
    store_rows_t    rows;
    bytes_writer_t  last;

    memset(&read, 0, sizeof(store_read_t));

    read.kind = STORE_RANGE;
    read.ns = place->name;
    read.key = bytes_of(prefix);
    read.limit = STORE_TEXT_FETCH;

    do {
        if (read_store(text, &read, &rows, 1) != 0) {
            return -1;
        }

        rc = 0;

        for (i = 0; i < rows.count && rc == 0; i++) {
            rc = is_kept(rows.rows[i].key)
                 ? take_item(text, place->ns, &rows.rows[i]) : 0;
        }

        if (rc == 0 && rows.count != 0) {
            bytes_writer_open(&last, key, sizeof(key));
            bytes_writer_bytes(&last, rows.rows[rows.count - 1].key);
            read.after_key = bytes_writer_view(&last);
        }

        i = (size_t) rows.more;
        store_rows_release(&rows, 1);

        if (rc != 0 || store_text_write_flush(text, 0) != 0) {
            return -1;
        }

    } while (i != 0 && !*text->stop);

    return 0;
}


/* Entries. */

static int
follow_entries(store_text_t *text, store_text_place_t *place)
{
    int           rc;
    size_t        i;
    uint64_t      seq;
    store_read_t  read;
    store_rows_t  rows;

    memset(&read, 0, sizeof(store_read_t));

    read.kind = STORE_FEED;
    read.ns = place->name;
    read.after = place->seq;
    read.limit = STORE_TEXT_FETCH;

    if (read_store(text, &read, &rows, 1) != 0) {
        return -1;
    }

    rc = 0;
    seq = place->seq;
    place->more = rows.more;

    for (i = 0; i < rows.count && rc == 0; i++) {
        seq = rows.rows[i].seq;
        rc = take_entry(text, place->ns, &rows.rows[i]);
    }

    if (!rows.more && rows.head > seq) {
        seq = rows.head;
    }

    store_rows_release(&rows, 1);

    if (rc == 0 && seq != place->seq) {
        rc = store_text_write_position(text, place->ns, seq);
    }

    return rc;
}


static int
take_entry(store_text_t *text, int64_t ns, const store_row_t *row)
{
    json_scan_t       object, content;
    bytes_writer_t    w;
    store_text_doc_t  doc;

    memset(&doc, 0, sizeof(store_text_doc_t));
    bytes_writer_open(&w, text->scratch, 2 * STORE_VALUE_MAX);

    doc.key = row->key;
    doc.seq = row->seq;
    doc.at_ms = row->at_ms;

    if (json_scan_validate(row->value, NULL) == JSON_SCAN_OK
        && json_scan_open(row->value, &object) == 0
        && object.type == JSON_SCAN_OBJECT
        && json_scan_find(&object, "content", &content) == 0
        && json_scan_string(&content, &w) == 0)
    {
        doc.text = bytes_writer_view(&w);
    }

    return store_text_write_doc(text, ns, &doc);
}


/* All namespaces. */

static int
follow_prefix(store_text_t *text, const char *prefix, int rooms)
{
    int             rc, more;
    uint8_t         name[STORE_NS_MAX];
    store_read_t    read;
    store_rows_t    rows;
    bytes_writer_t  last;

    memset(&read, 0, sizeof(store_read_t));

    read.kind = STORE_NAMES;
    read.key = bytes_of(prefix);
    read.limit = STORE_LIMIT_MAX;

    do {
        if (read_store(text, &read, &rows, 1) != 0) {
            return -1;
        }

        rc = follow_page(text, &rows, rooms);
        more = rows.more;

        if (rows.count != 0) {
            bytes_writer_open(&last, name, sizeof(name));
            bytes_writer_bytes(&last, rows.rows[rows.count - 1].key);
            read.after_key = bytes_writer_view(&last);
        }

        store_rows_release(&rows, 1);

        if (rc != 0) {
            return -1;
        }

    } while (more && !*text->stop);

    return 0;
}


static int
follow_page(store_text_t *text, const store_rows_t *names, int rooms)
{
    int                 rc;
    size_t              i;
    int64_t             ns;
    uint64_t            seq, head;
    const store_row_t  *row;

    for (i = 0; i < names->count && !*text->stop; i++) {
        row = &names->rows[i];
        head = rooms ? row->entries : row->seq;

        rc = store_text_write_find_ns(text, row->key, &ns, &seq);

        /* the name of a dropped room stays, with its counter */

        if (rc == 0 && rooms && head != 0) {
            rc = store_text_follow_room(text, row->key);

            if (rc == 0) {
                continue;
            }
        }

        if (rc == -1) {
            return -1;
        }

        if (seq != head && store_text_follow(text, row->key) != 0) {
            return -1;
        }
    }

    return store_text_write_flush(text, 0);
}


/* Seqs of another epoch do not compare. */
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

    bytes_writer_open(&epoch, buf, sizeof(buf));

    if (store_text_write_epoch(text, &epoch) != 0
        || read_store(text, &read, &rows, 1) != 0)
    {
        return -1;
    }

    rc = (rows.rc == STORE_OK
          && bytes_equal(rows.rows[0].value, bytes_writer_view(&epoch)))
         ? 0 : -1;

    store_rows_release(&rows, 1);

    return rc;
}


/* Rooms that the index has and the store no longer. */
static int
drop_rooms(store_text_t *text)
{
    int             found;
    uint8_t         names[2][STORE_NS_MAX];
    unsigned        turn;
    bytes_t         after;
    bytes_writer_t  w;

    after = bytes_make(NULL, 0);

    for (turn = 0; !*text->stop; turn = !turn) {
        bytes_writer_open(&w, names[turn], sizeof(names[turn]));

        found = store_text_write_next_ns(text, bytes_of("r_"), after, &w);

        if (found != 1) {
            return found;
        }

        after = bytes_writer_view(&w);

        if (store_text_follow_room(text, after) == -1) {
            return -1;
        }
    }

    return 0;
}


/* The store. */

static int
read_store(store_text_t *text, const store_read_t *reads, store_rows_t *rows,
    size_t count)
{
    pause_for_writers(text);

    return (text->adapter->read(text->store, reads, rows, count) == STORE_OK)
           ? 0 : -1;
}


/* A reader takes the processor and the disk from whoever answers people. */
static void
pause_for_writers(store_text_t *text)
{
    int              i;
    store_health_t   health;
    struct timespec  ts;

    for (i = 0; i < 5 && !*text->stop; i++) {
        text->adapter->health(text->store, &health);

        if (health.queue == 0) {
            return;
        }

        ts.tv_sec = 0;
        ts.tv_nsec = STORE_TEXT_PAUSE_MS * 1000000L;
        (void) nanosleep(&ts, NULL);
    }
}
