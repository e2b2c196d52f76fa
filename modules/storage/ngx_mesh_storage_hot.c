/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The cache of small items of one worker: a table of chains by the hash of
 * the marks, the item that was used longest ago goes first.  An item is good
 * as long as its mark has not moved and its own time has not passed.
 */


#include "ngx_mesh_storage_hot.h"


/* Texts behind the struct: namespace, key, meta, value. */
struct ngx_mesh_storage_hot_item_s {
    ngx_mesh_storage_hot_item_t    *next;      /* in its chain */
    ngx_queue_t                     queue;
    ngx_mesh_storage_mark_place_t   place;
    bytes_t                         ns;
    store_row_t                     row;
    size_t                          size;      /* bytes of the whole */
};


static ngx_mesh_storage_hot_item_t **ngx_mesh_storage_hot_chain(
    ngx_mesh_storage_hot_t *hot, ngx_uint_t hash, bytes_t ns, bytes_t key);
static void ngx_mesh_storage_hot_remove(ngx_mesh_storage_hot_t *hot,
    ngx_mesh_storage_hot_item_t **item);
static void ngx_mesh_storage_hot_evict(ngx_mesh_storage_hot_t *hot);
static u_char *ngx_mesh_storage_hot_put(bytes_t *to, bytes_t from,
    u_char *p);


ngx_int_t
ngx_mesh_storage_hot_open(ngx_mesh_storage_hot_t *hot,
    ngx_mesh_storage_marks_t *marks, ngx_log_t *log)
{
    ngx_queue_init(&hot->queue);

    hot->marks = marks;
    hot->bytes = 0;
    hot->table = ngx_calloc(NGX_MESH_STORAGE_MARK_COUNT
                            * sizeof(ngx_mesh_storage_hot_item_t *), log);

    return hot->table ? NGX_OK : NGX_ERROR;
}


void
ngx_mesh_storage_hot_close(ngx_mesh_storage_hot_t *hot)
{
    if (hot->table == NULL) {
        return;
    }

    while (!ngx_queue_empty(&hot->queue)) {
        ngx_mesh_storage_hot_evict(hot);
    }

    ngx_free(hot->table);
    hot->table = NULL;
}


ngx_int_t
ngx_mesh_storage_hot_find(ngx_mesh_storage_hot_t *hot, bytes_t ns,
    bytes_t key, ngx_mesh_storage_mark_place_t *place, store_row_t *row)
{
    ngx_time_t                    *tp;
    ngx_mesh_storage_hot_item_t   *item, **link;

    if (hot->table == NULL) {
        return NGX_ERROR;
    }

    place->hash = ngx_mesh_storage_mark_hash(ns, key);
    link = ngx_mesh_storage_hot_chain(hot, place->hash, ns, key);
    item = *link;

    if (item) {
        tp = ngx_timeofday();

        if (ngx_mesh_storage_mark_match(hot->marks, &item->place)
            && (item->row.expires_ms == 0
                || item->row.expires_ms
                   > (int64_t) (tp->sec * 1000 + tp->msec)))
        {
            ngx_queue_remove(&item->queue);
            ngx_queue_insert_head(&hot->queue, &item->queue);

            *row = item->row;

            return NGX_OK;
        }

        ngx_mesh_storage_hot_remove(hot, link);
    }

    return ngx_mesh_storage_mark_get(hot->marks, place) == NGX_OK
           ? NGX_DECLINED : NGX_ERROR;
}


void
ngx_mesh_storage_hot_add(ngx_mesh_storage_hot_t *hot, bytes_t ns,
    const ngx_mesh_storage_mark_place_t *place, const store_row_t *row)
{
    size_t                         size;
    u_char                        *p;
    ngx_mesh_storage_hot_item_t   *item, **link;

    size = sizeof(ngx_mesh_storage_hot_item_t) + ns.len + row->key.len
           + row->meta.len + row->value.len;

    if (hot->table == NULL || size > NGX_MESH_STORAGE_HOT_ITEM_MAX
        || row->value.len != row->size
        || !ngx_mesh_storage_mark_match(hot->marks, place))
    {
        return;
    }

    /* two reads of one item may have been under way */

    link = ngx_mesh_storage_hot_chain(hot, place->hash, ns, row->key);

    if (*link) {
        ngx_mesh_storage_hot_remove(hot, link);
    }

    while (hot->bytes + size > NGX_MESH_STORAGE_HOT_BYTES_MAX) {
        ngx_mesh_storage_hot_evict(hot);
    }

    item = ngx_alloc(size, ngx_cycle->log);

    if (item == NULL) {
        return;
    }

    item->place = *place;
    item->size = size;
    item->row = *row;

    p = (u_char *) item + sizeof(ngx_mesh_storage_hot_item_t);
    p = ngx_mesh_storage_hot_put(&item->ns, ns, p);
    p = ngx_mesh_storage_hot_put(&item->row.key, row->key, p);
    p = ngx_mesh_storage_hot_put(&item->row.meta, row->meta, p);
    (void) ngx_mesh_storage_hot_put(&item->row.value, row->value, p);

    link = &hot->table[place->hash & (NGX_MESH_STORAGE_MARK_COUNT - 1)];

    item->next = *link;
    *link = item;

    ngx_queue_insert_head(&hot->queue, &item->queue);
    hot->bytes += size;
}


/* Where the pointer to the item is, or would be: NULL there. */
static ngx_mesh_storage_hot_item_t **
ngx_mesh_storage_hot_chain(ngx_mesh_storage_hot_t *hot, ngx_uint_t hash,
    bytes_t ns, bytes_t key)
{
    ngx_mesh_storage_hot_item_t  **link;

    link = &hot->table[hash & (NGX_MESH_STORAGE_MARK_COUNT - 1)];

    while (*link
           && ((*link)->place.hash != hash
               || !bytes_equal((*link)->row.key, key)
               || !bytes_equal((*link)->ns, ns)))
    {
        link = &(*link)->next;
    }

    return link;
}


static void
ngx_mesh_storage_hot_remove(ngx_mesh_storage_hot_t *hot,
    ngx_mesh_storage_hot_item_t **link)
{
    ngx_mesh_storage_hot_item_t  *item;

    item = *link;
    *link = item->next;

    ngx_queue_remove(&item->queue);
    hot->bytes -= item->size;

    ngx_free(item);
}


/* The one that was used longest ago; there is one. */
static void
ngx_mesh_storage_hot_evict(ngx_mesh_storage_hot_t *hot)
{
    ngx_queue_t                  *q;
    ngx_mesh_storage_hot_item_t  *item;

    q = ngx_queue_last(&hot->queue);
    item = ngx_queue_data(q, ngx_mesh_storage_hot_item_t, queue);

    ngx_mesh_storage_hot_remove(hot,
        ngx_mesh_storage_hot_chain(hot, item->place.hash, item->ns,
                                   item->row.key));
}


static u_char *
ngx_mesh_storage_hot_put(bytes_t *to, bytes_t from, u_char *p)
{
    *to = bytes_make(p, from.len);

    return from.len ? ngx_cpymem(p, from.data, from.len) : p;
}
