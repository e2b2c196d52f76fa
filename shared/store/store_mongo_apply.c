/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Operations on the overlay: conditions, counters, numbers, dedupe, accounts,
 * changes.  What they mean is in store.h; nothing here talks to a server.
 *
 * Used by the thread that runs a batch.  A request names what it needs first,
 * the batch loads that, then the request is applied; what was not named is
 * absent.
 */


#include "store_mongo.h"


#ifdef STORE_HAVE_MONGO

#include <stdlib.h>


#define STORE_MONGO_ENTRY_SEQ_MAX  ((1ULL << 36) - 1)   /* as SQLite's */


typedef struct {
    store_mongo_overlay_t  *overlay;
    store_request_t        *request;
    const store_op_t       *op;
    store_result_t         *result;
    size_t                  index;       /* of op */
    int64_t                 now_ms;
    int                     wrote;       /* something is to be written */
    store_mongo_node_t     *space;       /* of op; NULL: out of memory */
    store_mongo_node_t     *item;        /* of op; NULL: no namespace */
    uint64_t                met;         /* seq of the item; 0: absent */
} store_mongo_apply_t;


static void name_text(store_mongo_overlay_t *overlay,
    store_mongo_node_kind_t kind, const char *id, bytes_t key);
static store_rc_t apply_operation(store_mongo_apply_t *a);
static store_rc_t apply_put(store_mongo_apply_t *a);
static store_rc_t apply_delete(store_mongo_apply_t *a);
static store_rc_t apply_incr(store_mongo_apply_t *a);
static store_rc_t apply_append(store_mongo_apply_t *a);
static store_rc_t apply_drop(store_mongo_apply_t *a);
static store_rc_t apply_limits(store_mongo_apply_t *a);
static store_rc_t apply_expire(store_mongo_apply_t *a);
static store_rc_t apply_trim(store_mongo_apply_t *a);
static store_rc_t match_condition(store_mongo_apply_t *a);
static void find_item(store_mongo_apply_t *a);
static void set_item(store_mongo_apply_t *a, const store_mongo_item_t *item);
static void remove_item(store_mongo_apply_t *a);
static bytes_t stamp_value(store_mongo_apply_t *a);
static store_rc_t find_dedupe(store_mongo_apply_t *a,
    store_mongo_node_t *node);
static void add_space(store_mongo_apply_t *a);
static void touch_space(store_mongo_apply_t *a, store_mongo_node_t *node);
static void charge(store_mongo_apply_t *a, int64_t items, int64_t bytes);
static store_mongo_space_t *change_space(store_mongo_apply_t *a);
static uint64_t next_seq(store_mongo_apply_t *a);
static void add_change(store_mongo_apply_t *a, store_change_t change);
static void add_cut(store_mongo_apply_t *a, const char *id, uint64_t seq);
static store_rc_t check_quota(store_mongo_apply_t *a);
static int beyond(uint64_t now, uint64_t before, uint64_t limit);


void
store_mongo_apply_name_spaces(store_mongo_overlay_t *overlay,
    const store_request_t *request)
{
    size_t  i;

    for (i = 0; i < request->count; i++) {
        (void) store_mongo_overlay_get(overlay, STORE_MONGO_NODE_SPACE,
                                       request->ops[i].ns);
    }
}


void
store_mongo_apply_name_rest(store_mongo_overlay_t *overlay,
    const store_request_t *request)
{
    char                  place[STORE_MONGO_PLACE_MAX];
    size_t                i, len;
    const store_op_t     *op;
    store_mongo_node_t   *space, *node;

    for (i = 0; i < request->count; i++) {
        op = &request->ops[i];
        space = store_mongo_overlay_find(overlay, STORE_MONGO_NODE_SPACE,
                                         op->ns);

        if (space == NULL || space->space.id[0] == '\0') {
            continue;
        }

        if (op->kind == STORE_APPEND) {
            name_text(overlay, STORE_MONGO_NODE_ENTRY, space->space.id,
                      op->key);

            if (op->dedupe.len != 0) {
                name_text(overlay, STORE_MONGO_NODE_DEDUPE, space->space.id,
                          op->dedupe);
            }

        } else if (op->key.len != 0) {
            len = store_mongo_document_place(space->space.id, op->key, place);
            node = store_mongo_overlay_get(overlay, STORE_MONGO_NODE_ITEM,
                                           bytes_make(place, len));

            if (node != NULL && op->kind == STORE_INCR) {
                node->whole = 1;
            }
        }
    }
}


static void
name_text(store_mongo_overlay_t *overlay, store_mongo_node_kind_t kind,
    const char *id, bytes_t key)
{
    char    place[STORE_MONGO_PLACE_MAX];
    size_t  len;

    len = store_mongo_document_place(id, key, place);
    (void) store_mongo_overlay_get(overlay, kind, bytes_make(place, len));
}


int
store_mongo_apply_request(store_mongo_overlay_t *overlay,
    store_request_t *request, int64_t now_ms)
{
    size_t               i;
    store_rc_t           rc;
    store_mongo_apply_t  a;

    memset(&a, 0, sizeof(store_mongo_apply_t));

    a.overlay = overlay;
    a.request = request;
    a.now_ms = now_ms;

    request->rc = STORE_OK;
    request->failed = 0;
    rc = STORE_OK;

    store_mongo_overlay_begin(overlay);

    for (i = 0; i < request->count; i++) {
        a.index = i;
        a.op = &request->ops[i];
        a.result = &request->results[i];

        rc = apply_operation(&a);
        a.result->rc = rc;

        if (rc != STORE_OK && rc != STORE_EXISTS) {
            request->failed = i;
            break;
        }

        rc = STORE_OK;
    }

    if (rc == STORE_OK) {
        rc = check_quota(&a);
    }

    if (overlay->failed) {
        rc = STORE_FAILED;
    }

    if (rc != STORE_OK) {
        store_mongo_fail(request, rc);
    }

    /* who writes nothing leaves no mark on what it has looked at */

    if (rc != STORE_OK || !a.wrote) {
        store_mongo_overlay_undo(overlay);
        return 0;
    }

    return 1;
}


static store_rc_t
apply_operation(store_mongo_apply_t *a)
{
    a->space = store_mongo_overlay_get(a->overlay, STORE_MONGO_NODE_SPACE,
                                       a->op->ns);
    if (a->space == NULL) {
        return STORE_FAILED;
    }

    if (!a->space->space.touched) {
        store_mongo_overlay_save(a->overlay, &a->space->space,
                                 sizeof(store_mongo_space_t));
        a->space->space.touched = 1;
    }

    find_item(a);

    /* the sweep's own are no constants of the enum */

    if (a->op->kind == STORE_MONGO_EXPIRE) {
        return apply_expire(a);
    }

    if (a->op->kind == STORE_MONGO_TRIM) {
        return apply_trim(a);
    }

    switch (a->op->kind) {

    case STORE_PUT:
        return apply_put(a);

    case STORE_DELETE:
        return apply_delete(a);

    case STORE_CHECK:
        return match_condition(a);

    case STORE_APPEND:
        return apply_append(a);

    case STORE_DROP:
        return apply_drop(a);

    case STORE_INCR:
        return apply_incr(a);

    case STORE_LIMITS:
        return apply_limits(a);
    }

    return STORE_INVALID;
}


static store_rc_t
apply_put(store_mongo_apply_t *a)
{
    store_rc_t          rc;
    store_mongo_item_t  item;

    rc = match_condition(a);

    if (rc != STORE_OK) {
        return rc;
    }

    a->result->number = (a->met == 0);

    memset(&item, 0, sizeof(store_mongo_item_t));

    item.expires_ms = a->op->expires_ms;
    item.weight = a->op->weight;
    item.meta = a->op->meta;
    item.value = a->op->stamp ? stamp_value(a) : a->op->value;

    a->result->number = (a->met == 0);

    set_item(a, &item);

    return STORE_OK;
}


/* A delete of what is not there changes nothing and has seq 0. */
static store_rc_t
apply_delete(store_mongo_apply_t *a)
{
    store_rc_t  rc;

    rc = match_condition(a);

    if (rc != STORE_OK || a->met == 0) {
        return rc;
    }

    remove_item(a);
    a->result->seq = next_seq(a);

    if (a->op->log) {
        add_change(a, STORE_CHANGE_DELETE);
    }

    return STORE_OK;
}


static store_rc_t
apply_incr(store_mongo_apply_t *a)
{
    size_t              len;
    uint8_t             text[STORE_NUMBER_MAX];
    int64_t             number;
    store_rc_t          rc;
    store_mongo_item_t  item;

    rc = match_condition(a);

    if (rc != STORE_OK) {
        return rc;
    }

    memset(&item, 0, sizeof(store_mongo_item_t));
    number = 0;

    if (a->met == 0) {
        item.meta = a->op->meta;
        item.expires_ms = a->op->expires_ms;
        item.weight = a->op->weight;

    } else {
        item = a->item->item;

        if (store_number_parse(item.value, &number) != 0) {
            return STORE_TYPE;
        }
    }

    if (__builtin_add_overflow(number, a->op->number, &number)) {
        return STORE_TYPE;
    }

    len = store_number_write(number, text);
    item.value = store_mongo_overlay_copy(a->overlay, bytes_make(text, len));

    set_item(a, &item);
    a->result->number = number;

    return STORE_OK;
}


static store_rc_t
apply_append(store_mongo_apply_t *a)
{
    char                   place[STORE_MONGO_PLACE_MAX];
    size_t                 len;
    const char            *id;
    store_mongo_node_t    *node, *dedupe;
    store_mongo_entry_t   *entry;

    id = a->space->space.id;
    dedupe = NULL;

    if (a->op->dedupe.len != 0 && id[0] != '\0') {
        len = store_mongo_document_place(id, a->op->dedupe, place);
        dedupe = store_mongo_overlay_get(a->overlay, STORE_MONGO_NODE_DEDUPE,
                                         bytes_make(place, len));

        if (dedupe != NULL && dedupe->entry != NULL) {
            return find_dedupe(a, dedupe);
        }
    }

    add_space(a);

    if (a->space->space.entry_seq >= STORE_MONGO_ENTRY_SEQ_MAX) {
        return STORE_INVALID;
    }

    len = store_mongo_document_place(id, a->op->key, place);
    node = store_mongo_overlay_get(a->overlay, STORE_MONGO_NODE_ENTRY,
                                   bytes_make(place, len));
    entry = store_mongo_overlay_alloc(a->overlay,
                                      sizeof(store_mongo_entry_t));

    if (node == NULL || entry == NULL) {
        return STORE_FAILED;
    }

    if (node->entry != NULL) {
        return STORE_CONDITION;
    }

    a->result->seq = ++change_space(a)->entry_seq;

    memcpy(entry->id, id, sizeof(entry->id));
    entry->seq = a->result->seq;
    entry->at_ms = a->now_ms;
    entry->key = a->op->key;
    entry->dedupe = a->op->dedupe;
    entry->value = a->op->value;

    *a->overlay->entries_tail = entry;
    a->overlay->entries_tail = &entry->next;

    store_mongo_overlay_save(a->overlay, &entry->live, sizeof(int));
    entry->live = 1;

    store_mongo_overlay_save(a->overlay, &node->entry, sizeof(void *));
    node->entry = entry;

    if (a->op->dedupe.len == 0) {
        return STORE_OK;
    }

    len = store_mongo_document_place(id, a->op->dedupe, place);
    dedupe = store_mongo_overlay_get(a->overlay, STORE_MONGO_NODE_DEDUPE,
                                     bytes_make(place, len));

    if (dedupe == NULL) {
        return STORE_FAILED;
    }

    store_mongo_overlay_save(a->overlay, &dedupe->entry, sizeof(void *));
    dedupe->entry = entry;

    return STORE_OK;
}


/* The stored entry goes into the result, which owns it. */
static store_rc_t
find_dedupe(store_mongo_apply_t *a, store_mongo_node_t *node)
{
    uint8_t              *block;
    store_mongo_entry_t  *entry;

    entry = node->entry;

    block = malloc(entry->value.len + entry->key.len + 1);
    if (block == NULL) {
        return STORE_FAILED;
    }

    if (entry->value.len != 0) {
        memcpy(block, entry->value.data, entry->value.len);
    }

    memcpy(block + entry->value.len, entry->key.data, entry->key.len);

    a->result->seq = entry->seq;
    a->result->value = bytes_make(block, entry->value.len);
    a->result->key = bytes_make(block + entry->value.len, entry->key.len);

    return STORE_EXISTS;
}


/*
 * However much a namespace holds, a drop is one short step: the name goes on
 * with its counters under a new id, and the sweep deletes what belonged to
 * the old one.
 */

static store_rc_t
apply_drop(store_mongo_apply_t *a)
{
    store_mongo_space_t  *space;

    space = &a->space->space;

    if (space->id[0] == '\0') {
        return STORE_OK;
    }

    charge(a, -(int64_t) space->own_items, -(int64_t) space->own_bytes);

    add_cut(a, space->id, 0);

    a->result->seq = next_seq(a);
    space->oldest = a->result->seq;
    store_mongo_random(space->id);

    return STORE_OK;
}


static store_rc_t
apply_limits(store_mongo_apply_t *a)
{
    add_space(a);

    change_space(a)->limits = a->op->limits;

    return STORE_OK;
}


/* Of the sweep: an item whose time has come, if it is still so. */
static store_rc_t
apply_expire(store_mongo_apply_t *a)
{
    int  logged;

    if (a->item == NULL || a->item->item.seq == 0 || a->met != 0) {
        return STORE_OK;
    }

    logged = a->item->item.logged;
    remove_item(a);

    if (logged) {
        a->result->seq = next_seq(a);
        add_change(a, STORE_CHANGE_EXPIRE);
    }

    return STORE_OK;
}


/* Of the sweep: changes up to if_seq have been kept for long enough. */
static store_rc_t
apply_trim(store_mongo_apply_t *a)
{
    store_mongo_space_t  *space;

    if (a->space->space.id[0] == '\0' || a->op->if_seq == 0) {
        return STORE_OK;
    }

    space = change_space(a);

    add_cut(a, space->id, a->op->if_seq);

    if (a->op->if_seq > space->oldest) {
        space->oldest = a->op->if_seq;
    }

    return STORE_OK;
}


/* Items. */

static void
find_item(store_mongo_apply_t *a)
{
    char                 place[STORE_MONGO_PLACE_MAX];
    size_t               len;
    store_mongo_item_t  *item;

    a->item = NULL;
    a->met = 0;

    if (a->space->space.id[0] == '\0' || a->op->key.len == 0
        || a->op->kind == STORE_APPEND)
    {
        return;
    }

    len = store_mongo_document_place(a->space->space.id, a->op->key, place);
    a->item = store_mongo_overlay_get(a->overlay, STORE_MONGO_NODE_ITEM,
                                      bytes_make(place, len));
    if (a->item == NULL) {
        return;
    }

    item = &a->item->item;

    if (item->seq != 0
        && (item->expires_ms == 0 || item->expires_ms > a->now_ms))
    {
        a->met = item->seq;
    }
}


static store_rc_t
match_condition(store_mongo_apply_t *a)
{
    int  holds;

    a->result->seq = a->met;

    switch (a->op->condition) {

    case STORE_IF_ABSENT:
        holds = (a->met == 0);
        break;

    case STORE_IF_PRESENT:
        holds = (a->met != 0);
        break;

    case STORE_IF_SEQ:
        holds = (a->met == a->op->if_seq);
        break;

    default:
        holds = 1;
    }

    return holds ? STORE_OK : STORE_CONDITION;
}


/* Writes the item of the operation: times, size, seq and change are set
   here. */
static void
set_item(store_mongo_apply_t *a, const store_mongo_item_t *item)
{
    int64_t              items, bytes;
    store_mongo_item_t  *old;

    add_space(a);

    if (a->item == NULL) {
        find_item(a);
    }

    if (a->item == NULL) {
        return;
    }

    old = &a->item->item;
    items = 1;
    bytes = (int64_t) (a->op->key.len + item->value.len + item->weight);

    /* what has expired is still counted */

    if (old->seq != 0) {
        items = 0;
        bytes -= (int64_t) (a->op->key.len + old->size + old->weight);
    }

    charge(a, items, bytes);

    a->result->seq = next_seq(a);

    store_mongo_overlay_save(a->overlay, old, sizeof(store_mongo_item_t));

    *old = *item;
    old->size = item->value.len;
    old->seq = a->result->seq;
    old->at_ms = a->now_ms;
    old->logged = a->op->log;
    old->dirty = 1;

    if (a->op->log) {
        add_change(a, STORE_CHANGE_PUT);
    }
}


static void
remove_item(store_mongo_apply_t *a)
{
    store_mongo_item_t  *item;

    item = &a->item->item;

    charge(a, -1, -(int64_t) (a->op->key.len + item->size + item->weight));

    store_mongo_overlay_save(a->overlay, item, sizeof(store_mongo_item_t));

    memset(item, 0, sizeof(store_mongo_item_t));
    item->dirty = 1;
}


/* The value with the results so far at its start. */
static bytes_t
stamp_value(store_mongo_apply_t *a)
{
    size_t     i, k;
    bytes_t    value;
    uint8_t   *p;
    uint64_t   numbers[2];

    value = store_mongo_overlay_copy(a->overlay, a->op->value);

    if (value.data == NULL) {
        return value;
    }

    p = (uint8_t *) value.data;

    for (i = 0; i < a->index; i++) {
        numbers[0] = a->request->results[i].seq;
        numbers[1] = (uint64_t) a->request->results[i].number;

        for (k = 0; k < STORE_STAMP_LEN; k++) {
            *p++ = (uint8_t) (numbers[k / 8] >> (56 - k % 8 * 8));
        }
    }

    return value;
}


/* Namespaces and accounts. */

/* Makes the namespace of the operation, and the accounts above it. */
static void
add_space(store_mongo_apply_t *a)
{
    store_mongo_node_t  *node;

    for (node = a->space; node != NULL; node = node->above) {

        if (node->space.id[0] != '\0') {
            continue;
        }

        touch_space(a, node);
        store_mongo_random(node->space.id);
    }
}


/* Before a change to a namespace: it can be undone, is written, and is in the
   list of those that this request has changed. */
static void
touch_space(store_mongo_apply_t *a, store_mongo_node_t *node)
{
    store_mongo_overlay_t  *overlay;

    overlay = a->overlay;

    store_mongo_overlay_save(overlay, &node->space,
                             sizeof(store_mongo_space_t));

    if (node->round != overlay->round) {
        node->round = overlay->round;
        node->before = node->space;
        node->changed = NULL;

        *overlay->changed_tail = node;
        overlay->changed_tail = &node->changed;
    }

    node->space.dirty = 1;
    a->wrote = 1;
}


static void
charge(store_mongo_apply_t *a, int64_t items, int64_t bytes)
{
    store_mongo_node_t  *node;

    for (node = a->space; node != NULL; node = node->above) {

        touch_space(a, node);
        node->space.items += (uint64_t) items;
        node->space.bytes += (uint64_t) bytes;
    }

    a->space->space.own_items += (uint64_t) items;
    a->space->space.own_bytes += (uint64_t) bytes;
}


/* The namespace of the operation, to be changed by the caller. */
static store_mongo_space_t *
change_space(store_mongo_apply_t *a)
{
    touch_space(a, a->space);

    return &a->space->space;
}


static uint64_t
next_seq(store_mongo_apply_t *a)
{
    return ++change_space(a)->item_seq;
}


static void
add_change(store_mongo_apply_t *a, store_change_t what)
{
    store_mongo_change_t  *change;

    change = store_mongo_overlay_alloc(a->overlay,
                                       sizeof(store_mongo_change_t));
    if (change == NULL) {
        return;
    }

    memcpy(change->id, a->space->space.id, sizeof(change->id));
    change->seq = a->result->seq;
    change->at_ms = a->now_ms;
    change->key = a->op->key;
    change->note = a->op->note;
    change->change = what;

    *a->overlay->changes_tail = change;
    a->overlay->changes_tail = &change->next;

    store_mongo_overlay_save(a->overlay, &change->live, sizeof(int));
    change->live = 1;
}


static void
add_cut(store_mongo_apply_t *a, const char *id, uint64_t seq)
{
    store_mongo_cut_t  *cut;

    cut = store_mongo_overlay_alloc(a->overlay, sizeof(store_mongo_cut_t));

    if (cut == NULL) {
        return;
    }

    memcpy(cut->id, id, sizeof(cut->id));
    cut->seq = seq;
    cut->next = a->overlay->cuts;
    a->overlay->cuts = cut;

    store_mongo_overlay_save(a->overlay, &cut->live, sizeof(int));
    cut->live = 1;
}


/* The first account, in the order of changes, which is that of operations and
   from the namespace upwards, that has grown beyond a limit. */
static store_rc_t
check_quota(store_mongo_apply_t *a)
{
    store_limits_t       limits;
    store_request_t     *request;
    store_mongo_node_t  *node;

    request = a->request;

    for (node = a->overlay->changed; node != NULL; node = node->changed) {
        limits = node->space.limits;

        if (node->above == NULL && limits.items == 0 && limits.bytes == 0
            && bytes_start_with(node->name, request->limited))
        {
            limits = request->limits;
        }

        if (beyond(node->space.items, node->before.items, limits.items)
            || beyond(node->space.bytes, node->before.bytes, limits.bytes))
        {
            request->usage.items = node->before.items;
            request->usage.bytes = node->before.bytes;
            request->usage.limits = limits;
            return STORE_QUOTA;
        }
    }

    return STORE_OK;
}


static int
beyond(uint64_t now, uint64_t before, uint64_t limit)
{
    return limit != 0 && now > before && now > limit;
}


#endif /* STORE_HAVE_MONGO */
