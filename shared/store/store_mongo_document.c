/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Keys and documents.
 *
 * The server compares binary data by length first, so that keys are kept as
 * strings, which it compares by their UTF-8, and so by code point:
 *
 *     byte         code points
 *     0x00         U+0001 U+0001
 *     0x01         U+0001 U+0002
 *     0x02..0xff   U+0002..U+00FF
 *
 * No string has a zero byte, the order is that of the bytes, and ordinary
 * keys can be read by an operator.  Values, metas and notes are binary.
 *
 * Any thread; touches nothing but its arguments.
 */


#include "store_mongo.h"


#ifdef STORE_HAVE_MONGO

#include <stdlib.h>


static void add_number(bson_t *document, const char *name, uint64_t number);
static bytes_t set_block(store_row_t *row, bytes_t key, bytes_t value,
    bytes_t meta);


size_t
store_mongo_document_place(const char *id, bytes_t key, char *out)
{
    char     *p;
    size_t    i;
    uint8_t   byte;

    memcpy(out, id, STORE_MONGO_ID_LEN);
    p = out + STORE_MONGO_ID_LEN;

    for (i = 0; i < key.len; i++) {
        byte = key.data[i];

        if (byte < 2) {
            *p++ = 1;
            *p++ = (char) (1 + byte);

        } else if (byte < 0x80) {
            *p++ = (char) byte;

        } else {
            *p++ = (char) (0xc0 | byte >> 6);
            *p++ = (char) (0x80 | (byte & 0x3f));
        }
    }

    *p = '\0';

    return (size_t) (p - out);
}


size_t
store_mongo_document_number(const char *id, uint64_t number, char *out)
{
    memcpy(out, id, STORE_MONGO_ID_LEN);

    (void) snprintf(out + STORE_MONGO_ID_LEN, STORE_MONGO_ID_LEN + 1,
                    "%016llx", (unsigned long long) number);

    return 2 * STORE_MONGO_ID_LEN;
}


ssize_t
store_mongo_document_key(const char *text, size_t len, uint8_t *out)
{
    size_t    i;
    uint8_t  *p, byte, next;

    p = out;

    for (i = STORE_MONGO_ID_LEN; i < len; i++) {
        byte = (uint8_t) text[i];

        if (byte >= 2 && byte < 0x80) {
            *p++ = byte;
            continue;
        }

        if (++i == len) {
            return -1;
        }

        next = (uint8_t) text[i];

        if (byte == 1 && (next == 1 || next == 2)) {
            *p++ = (uint8_t) (next - 1);

        } else if ((byte & 0xfe) == 0xc2 && (next & 0xc0) == 0x80) {
            *p++ = (uint8_t) (byte << 6 | (next & 0x3f));

        } else {
            return -1;
        }
    }

    return (p - out);
}


/* Fields. */

bytes_t
store_mongo_document_text(const bson_t *document, const char *name)
{
    uint32_t      len;
    const char   *text;
    bson_iter_t   iter;

    if (!bson_iter_init_find(&iter, document, name)
        || !BSON_ITER_HOLDS_UTF8(&iter))
    {
        return bytes_make(NULL, 0);
    }

    text = bson_iter_utf8(&iter, &len);

    return bytes_make(text, len);
}


bytes_t
store_mongo_document_bytes(const bson_t *document, const char *name)
{
    uint32_t         len;
    bson_iter_t      iter;
    const uint8_t   *data;
    bson_subtype_t   subtype;

    if (!bson_iter_init_find(&iter, document, name)
        || !BSON_ITER_HOLDS_BINARY(&iter))
    {
        return bytes_make(NULL, 0);
    }

    bson_iter_binary(&iter, &subtype, &len, &data);

    return bytes_make(data, len);
}


int64_t
store_mongo_document_int(const bson_t *document, const char *name)
{
    bson_iter_t  iter;

    return bson_iter_init_find(&iter, document, name)
           ? bson_iter_as_int64(&iter) : 0;
}


void
store_mongo_document_add_bytes(bson_t *document, const char *name, bytes_t b)
{
    bson_append_binary(document, name, -1, BSON_SUBTYPE_BINARY,
                       b.len ? b.data : (const uint8_t *) "",
                       (uint32_t) b.len);
}


void
store_mongo_document_add_text(bson_t *document, const char *name,
    const char *text, size_t len)
{
    bson_append_utf8(document, name, -1, text, (int) len);
}


/* A number that is absent for 0: most are. */
static void
add_number(bson_t *document, const char *name, uint64_t number)
{
    if (number != 0) {
        bson_append_int64(document, name, -1, (int64_t) number);
    }
}


/* Documents. */

void
store_mongo_document_space(const bson_t *document,
    store_mongo_space_t *space)
{
    bytes_t       id;
    bson_iter_t   iter;
    const char   *name;
    uint64_t      number;

    memset(space, 0, sizeof(store_mongo_space_t));

    id = store_mongo_document_text(document, "id");

    if (id.len == STORE_MONGO_ID_LEN) {
        memcpy(space->id, id.data, id.len);
    }

    if (!bson_iter_init(&iter, document)) {
        return;
    }

    while (bson_iter_next(&iter)) {

        if (!BSON_ITER_HOLDS_INT64(&iter)) {
            continue;
        }

        name = bson_iter_key(&iter);
        number = (uint64_t) bson_iter_int64(&iter);

        if (strcmp(name, "items") == 0) {
            space->items = number;

        } else if (strcmp(name, "bytes") == 0) {
            space->bytes = number;

        } else if (strcmp(name, "ownItems") == 0) {
            space->own_items = number;

        } else if (strcmp(name, "ownBytes") == 0) {
            space->own_bytes = number;

        } else if (strcmp(name, "itemSeq") == 0) {
            space->item_seq = number;

        } else if (strcmp(name, "entrySeq") == 0) {
            space->entry_seq = number;

        } else if (strcmp(name, "oldest") == 0) {
            space->oldest = number;

        } else if (strcmp(name, "limitItems") == 0) {
            space->limits.items = number;

        } else if (strcmp(name, "limitBytes") == 0) {
            space->limits.bytes = number;
        }
    }
}


void
store_mongo_document_add_space(bson_t *document,
    const store_mongo_space_t *space)
{
    /* what was only looked at gets no id, and is no namespace */

    if (space->id[0] != '\0') {
        store_mongo_document_add_text(document, "id", space->id,
                                      STORE_MONGO_ID_LEN);
    }

    add_number(document, "itemSeq", space->item_seq);
    add_number(document, "entrySeq", space->entry_seq);
    add_number(document, "oldest", space->oldest);
    add_number(document, "items", space->items);
    add_number(document, "bytes", space->bytes);
    add_number(document, "ownItems", space->own_items);
    add_number(document, "ownBytes", space->own_bytes);
    add_number(document, "limitItems", space->limits.items);
    add_number(document, "limitBytes", space->limits.bytes);
}


void
store_mongo_document_item(const bson_t *document, store_mongo_item_t *item)
{
    memset(item, 0, sizeof(store_mongo_item_t));

    item->seq = (uint64_t) store_mongo_document_int(document, "s");
    item->at_ms = store_mongo_document_int(document, "a");
    item->expires_ms = store_mongo_document_int(document, "x");
    item->size = (uint64_t) store_mongo_document_int(document, "n");
    item->weight = (uint64_t) store_mongo_document_int(document, "w");
    item->logged = (int) store_mongo_document_int(document, "l");
    item->meta = store_mongo_document_bytes(document, "m");
    item->value = store_mongo_document_bytes(document, "v");
}


void
store_mongo_document_add_item(bson_t *document,
    const store_mongo_item_t *item)
{
    add_number(document, "s", item->seq);
    add_number(document, "a", (uint64_t) item->at_ms);
    add_number(document, "x", (uint64_t) item->expires_ms);
    add_number(document, "n", item->size);
    add_number(document, "w", item->weight);
    add_number(document, "l", (uint64_t) item->logged);

    if (item->meta.len != 0) {
        store_mongo_document_add_bytes(document, "m", item->meta);
    }

    store_mongo_document_add_bytes(document, "v", item->value);
}


void
store_mongo_document_add_entry(bson_t *document,
    const store_mongo_entry_t *entry)
{
    char    place[STORE_MONGO_PLACE_MAX];
    size_t  len;

    len = store_mongo_document_place(entry->id, entry->key, place);
    store_mongo_document_add_text(document, "i", place, len);

    if (entry->dedupe.len != 0) {
        len = store_mongo_document_place(entry->id, entry->dedupe, place);
        store_mongo_document_add_text(document, "d", place, len);
    }

    add_number(document, "a", (uint64_t) entry->at_ms);
    store_mongo_document_add_bytes(document, "v", entry->value);
}


void
store_mongo_document_add_change(bson_t *document,
    const store_mongo_change_t *change)
{
    store_mongo_document_add_bytes(document, "k", change->key);
    bson_append_int32(document, "o", -1, (int32_t) change->change);
    add_number(document, "a", (uint64_t) change->at_ms);

    if (change->note.len != 0) {
        store_mongo_document_add_bytes(document, "n", change->note);
    }
}


/* Rows. */

int
store_mongo_document_row(const bson_t *document, store_read_kind_t kind,
    store_row_t *row)
{
    char                 text[STORE_MONGO_ID_LEN + 1];
    uint8_t              key[STORE_MONGO_PLACE_MAX];
    ssize_t              len;
    bytes_t              id, name, value, meta;
    store_mongo_item_t   item;
    store_mongo_space_t  space;

    id = store_mongo_document_text(document, "_id");
    name = id;
    value = meta = bytes_make(NULL, 0);

    if (id.len < STORE_MONGO_ID_LEN) {
        return -1;
    }

    switch (kind) {

    case STORE_NAMES:
        store_mongo_document_space(document, &space);
        row->seq = space.item_seq;
        row->entries = space.entry_seq;
        break;

    case STORE_FEED:
    case STORE_CHANGES:
        memcpy(text, id.data + id.len - STORE_MONGO_ID_LEN,
               STORE_MONGO_ID_LEN);
        text[STORE_MONGO_ID_LEN] = '\0';
        row->seq = strtoull(text, NULL, 16);
        row->at_ms = store_mongo_document_int(document, "a");

        if (kind == STORE_CHANGES) {
            row->change = (store_change_t)
                          store_mongo_document_int(document, "o");
            name = store_mongo_document_bytes(document, "k");
            meta = store_mongo_document_bytes(document, "n");
            return set_block(row, name, value, meta).data ? 0 : -1;
        }

        name = store_mongo_document_text(document, "i");
        value = store_mongo_document_bytes(document, "v");
        break;

    default:
        store_mongo_document_item(document, &item);
        row->seq = item.seq;
        row->size = item.size;
        row->weight = item.weight;
        row->at_ms = item.at_ms;
        row->expires_ms = item.expires_ms;
        value = item.value;
        meta = item.meta;
    }

    len = store_mongo_document_key((const char *) name.data, name.len, key);

    if (len < 0) {
        return -1;
    }

    return set_block(row, bytes_make(key, (size_t) len), value, meta).data
           ? 0 : -1;
}


/* All bytes of a row in one block, which begins with the key. */
static bytes_t
set_block(store_row_t *row, bytes_t key, bytes_t value, bytes_t meta)
{
    uint8_t         *block;
    bytes_writer_t   writer;

    block = malloc(key.len + value.len + meta.len + 1);

    if (block != NULL) {
        bytes_writer_open(&writer, block, key.len + value.len + meta.len);
        bytes_writer_bytes(&writer, key);
        bytes_writer_bytes(&writer, value);
        bytes_writer_bytes(&writer, meta);

        row->key = bytes_make(block, key.len);
        row->value = bytes_make(block + key.len, value.len);
        row->meta = bytes_make(block + key.len + value.len, meta.len);
    }

    return bytes_make(block, key.len);
}


#endif /* STORE_HAVE_MONGO */
