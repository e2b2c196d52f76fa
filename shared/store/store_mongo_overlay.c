/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What one transaction has read and will write: namespaces, items and entries
 * by name, in memory that goes as a whole.
 *
 * A request changes it and may be undone: before a change the old bytes are
 * saved, in a list that is walked back.  Used by one thread; out of memory
 * is remembered and asked for once, after a request was applied.
 */


#include "store_mongo.h"


#ifdef STORE_HAVE_MONGO

#include <stdlib.h>


#define STORE_MONGO_CHUNK      (64 * 1024)
#define STORE_MONGO_BITS_MIN   8
#define STORE_MONGO_ALIGN      16


struct store_mongo_chunk_s {
    store_mongo_chunk_t  *next;
    size_t                size;    /* bytes that follow */
};


static void grow_table(store_mongo_overlay_t *overlay);
static uint32_t count_hash(store_mongo_node_kind_t kind, bytes_t name);


void
store_mongo_overlay_open(store_mongo_overlay_t *overlay)
{
    memset(overlay, 0, sizeof(store_mongo_overlay_t));

    overlay->entries_tail = &overlay->entries;
    overlay->changes_tail = &overlay->changes;
}


void
store_mongo_overlay_close(store_mongo_overlay_t *overlay)
{
    store_mongo_chunk_t  *chunk;

    while (overlay->arena.chunks != NULL) {
        chunk = overlay->arena.chunks;
        overlay->arena.chunks = chunk->next;
        free(chunk);
    }

    free(overlay->table);
    store_mongo_overlay_open(overlay);
}


void *
store_mongo_overlay_alloc(store_mongo_overlay_t *overlay, size_t size)
{
    size_t                room;
    uint8_t              *p;
    store_mongo_arena_t  *arena;
    store_mongo_chunk_t  *chunk;

    arena = &overlay->arena;
    size = (size + STORE_MONGO_ALIGN - 1)
           & ~(size_t) (STORE_MONGO_ALIGN - 1);

    if (arena->left < size) {
        room = (size > STORE_MONGO_CHUNK) ? size : STORE_MONGO_CHUNK;

        chunk = calloc(1, sizeof(store_mongo_chunk_t) + room);

        if (chunk == NULL) {
            overlay->failed = 1;
            return NULL;
        }

        chunk->size = room;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
        arena->left = room;
    }

    chunk = arena->chunks;
    p = (uint8_t *) (chunk + 1) + (chunk->size - arena->left);
    arena->left -= size;

    return p;
}


_Static_assert(sizeof(store_mongo_chunk_t) % STORE_MONGO_ALIGN == 0,
               "what follows a chunk is aligned");


bytes_t
store_mongo_overlay_copy(store_mongo_overlay_t *overlay, bytes_t b)
{
    uint8_t  *data;

    data = store_mongo_overlay_alloc(overlay, b.len + 1);

    if (data == NULL) {
        return bytes_make(NULL, 0);
    }

    if (b.len != 0) {
        memcpy(data, b.data, b.len);
    }

    return bytes_make(data, b.len);
}


/* Nodes. */

store_mongo_node_t *
store_mongo_overlay_find(store_mongo_overlay_t *overlay,
    store_mongo_node_kind_t kind, bytes_t name)
{
    uint32_t             hash;
    store_mongo_node_t  *node;

    if (overlay->table == NULL) {
        return NULL;
    }

    hash = count_hash(kind, name);
    node = overlay->table[hash & ((1U << overlay->bits) - 1)];

    while (node != NULL
           && (node->hash != hash || node->kind != kind
               || !bytes_equal(node->name, name)))
    {
        node = node->chain;
    }

    return node;
}


store_mongo_node_t *
store_mongo_overlay_get(store_mongo_overlay_t *overlay,
    store_mongo_node_kind_t kind, bytes_t name)
{
    bytes_t               above;
    store_mongo_node_t   *node, **place;

    node = store_mongo_overlay_find(overlay, kind, name);
    if (node != NULL) {
        return node;
    }

    if (overlay->table == NULL || overlay->count >> overlay->bits != 0) {
        grow_table(overlay);
    }

    node = store_mongo_overlay_alloc(overlay, sizeof(store_mongo_node_t));

    if (node == NULL || overlay->table == NULL) {
        return NULL;
    }

    node->kind = kind;
    node->name = store_mongo_overlay_copy(overlay, name);
    node->hash = count_hash(kind, name);

    place = &overlay->table[node->hash & ((1U << overlay->bits) - 1)];
    node->chain = *place;
    *place = node;

    node->next = overlay->nodes[kind];
    overlay->nodes[kind] = node;
    overlay->count++;

    if (kind == STORE_MONGO_NODE_SPACE) {
        above = store_account_above(name);

        if (above.len != 0) {
            node->above = store_mongo_overlay_get(overlay, kind, above);
        }
    }

    return overlay->failed ? NULL : node;
}


static void
grow_table(store_mongo_overlay_t *overlay)
{
    unsigned              bits, kind;
    store_mongo_node_t   *node, **table, **place;

    bits = overlay->table ? overlay->bits + 2 : STORE_MONGO_BITS_MIN;

    table = calloc((size_t) 1 << bits, sizeof(store_mongo_node_t *));

    /* a table that does not grow is slower, not wrong */

    if (table == NULL) {
        overlay->failed |= (overlay->table == NULL);
        return;
    }

    free(overlay->table);
    overlay->table = table;
    overlay->bits = bits;

    for (kind = 0; kind < STORE_MONGO_NODE_KINDS; kind++) {
        for (node = overlay->nodes[kind]; node; node = node->next) {
            place = &table[node->hash & ((1U << bits) - 1)];
            node->chain = *place;
            *place = node;
        }
    }
}


/* FNV-1a; names come from those who are let in, and a batch is bounded. */
static uint32_t
count_hash(store_mongo_node_kind_t kind, bytes_t name)
{
    size_t    i;
    uint32_t  hash;

    hash = 2166136261u ^ (uint32_t) kind;

    for (i = 0; i < name.len; i++) {
        hash = (hash ^ name.data[i]) * 16777619u;
    }

    return hash;
}


/* Undo. */

void
store_mongo_overlay_begin(store_mongo_overlay_t *overlay)
{
    overlay->undo = NULL;
    overlay->changed = NULL;
    overlay->changed_tail = &overlay->changed;
    overlay->round++;
}


void
store_mongo_overlay_save(store_mongo_overlay_t *overlay, void *place,
    size_t size)
{
    store_mongo_undo_t  *undo;

    undo = store_mongo_overlay_alloc(overlay,
                                     sizeof(store_mongo_undo_t) + size);
    if (undo == NULL) {
        return;
    }

    undo->place = place;
    undo->size = size;
    memcpy(undo + 1, place, size);

    undo->next = overlay->undo;
    overlay->undo = undo;
}


void
store_mongo_overlay_undo(store_mongo_overlay_t *overlay)
{
    store_mongo_undo_t  *undo;

    for (undo = overlay->undo; undo; undo = undo->next) {
        memcpy(undo->place, undo + 1, undo->size);
    }

    overlay->undo = NULL;
}


#endif /* STORE_HAVE_MONGO */
