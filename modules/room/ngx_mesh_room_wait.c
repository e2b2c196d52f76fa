/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Waiting: who wants to know that something happened to a topic, once.
 *
 * A topic is the id of a room or of a participant.  It is here as long as
 * somebody waits for it.  A waiter is out of all its topics before it is
 * woken, so waking may end it, start it anew, or end others.  One event loop,
 * no locks.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_room_clock.h"
#include "ngx_mesh_room_wait.h"


typedef struct {
    ngx_str_node_t                sn;          /* str: id below */
    u_char                        id[ID_LEN];
    ngx_queue_t                   entries;
} ngx_mesh_room_wait_topic_t;


typedef struct {
    ngx_queue_t                   queue;       /* in the topic's */
    ngx_mesh_room_wait_topic_t   *topic;
    ngx_mesh_room_waiter_t       *waiter;
    ngx_mesh_room_hub_t          *hub;
} ngx_mesh_room_wait_entry_t;


static ngx_mesh_room_wait_topic_t *ngx_mesh_room_wait_topic_find(
    ngx_mesh_room_hub_t *hub, ngx_str_t *name);
static ngx_mesh_room_wait_topic_t *ngx_mesh_room_wait_topic_get(
    ngx_mesh_room_hub_t *hub, ngx_str_t *name);
static void ngx_mesh_room_wait_take(ngx_mesh_room_waiter_t *waiter);


void
ngx_mesh_room_wait_init(ngx_mesh_room_hub_t *hub)
{
    ngx_rbtree_init(&hub->waits, &hub->waits_sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&hub->waiters);
}


ngx_int_t
ngx_mesh_room_wait_add(ngx_http_mesh_room_main_conf_t *mcf,
    ngx_mesh_room_waiter_t *waiter, ngx_pool_t *pool, ngx_str_t *topics,
    ngx_uint_t count)
{
    ngx_uint_t                   i;
    ngx_mesh_room_wait_topic_t  *topic;
    ngx_mesh_room_wait_entry_t  *entries;

    if (count > NGX_MESH_ROOM_WAIT_MAX) {
        return NGX_ERROR;
    }

    entries = ngx_palloc(pool, (count + 1)
                               * sizeof(ngx_mesh_room_wait_entry_t));
    if (entries == NULL) {
        return NGX_ERROR;
    }

    waiter->entries = entries;
    waiter->count = 0;
    waiter->waiting = 1;

    ngx_queue_insert_tail(&mcf->hub->waiters, &waiter->queue);

    for (i = 0; i < count; i++) {

        if (topics[i].len != ID_LEN) {
            continue;
        }

        topic = ngx_mesh_room_wait_topic_get(mcf->hub, &topics[i]);
        if (topic == NULL) {
            ngx_mesh_room_wait_remove(waiter);
            return NGX_ERROR;
        }

        entries[waiter->count].topic = topic;
        entries[waiter->count].waiter = waiter;
        entries[waiter->count].hub = mcf->hub;

        ngx_queue_insert_tail(&topic->entries,
                              &entries[waiter->count].queue);
        waiter->count++;
    }

    /* the tick tells waiters when the worker is told to quit */

    ngx_mesh_room_clock_watch(mcf->hub);

    return NGX_OK;
}


void
ngx_mesh_room_wait_remove(ngx_mesh_room_waiter_t *waiter)
{
    if (!waiter->waiting) {
        return;
    }

    ngx_mesh_room_wait_take(waiter);

    waiter->waiting = 0;
    ngx_queue_remove(&waiter->queue);
}


/* Out of its topics. */
static void
ngx_mesh_room_wait_take(ngx_mesh_room_waiter_t *waiter)
{
    ngx_uint_t                   i;
    ngx_mesh_room_wait_topic_t  *topic;
    ngx_mesh_room_wait_entry_t  *entries;

    entries = waiter->entries;

    for (i = 0; i < waiter->count; i++) {

        topic = entries[i].topic;
        ngx_queue_remove(&entries[i].queue);

        if (ngx_queue_empty(&topic->entries)) {
            ngx_rbtree_delete(&entries[i].hub->waits, &topic->sn.node);
            ngx_free(topic);
        }
    }

    waiter->count = 0;
}


void
ngx_mesh_room_wait_wake(ngx_mesh_room_hub_t *hub, bytes_t topic)
{
    ngx_str_t                    name;
    ngx_queue_t                 *q, woken;
    ngx_mesh_room_waiter_t      *waiter;
    ngx_mesh_room_wait_topic_t  *found;
    ngx_mesh_room_wait_entry_t  *entry;

    name.data = (u_char *) topic.data;
    name.len = topic.len;

    ngx_queue_init(&woken);

    while (!ngx_queue_empty(&hub->waiters)) {

        if (topic.len == 0) {
            q = ngx_queue_head(&hub->waiters);
            waiter = ngx_queue_data(q, ngx_mesh_room_waiter_t, queue);

        } else {
            found = ngx_mesh_room_wait_topic_find(hub, &name);
            if (found == NULL) {
                break;
            }

            q = ngx_queue_head(&found->entries);
            entry = ngx_queue_data(q, ngx_mesh_room_wait_entry_t, queue);
            waiter = entry->waiter;
        }

        ngx_mesh_room_wait_take(waiter);

        ngx_queue_remove(&waiter->queue);
        ngx_queue_insert_tail(&woken, &waiter->queue);
    }

    while (!ngx_queue_empty(&woken)) {

        q = ngx_queue_head(&woken);
        waiter = ngx_queue_data(q, ngx_mesh_room_waiter_t, queue);

        ngx_queue_remove(q);
        waiter->waiting = 0;

        waiter->wake(waiter->data);
    }
}


static ngx_mesh_room_wait_topic_t *
ngx_mesh_room_wait_topic_find(ngx_mesh_room_hub_t *hub, ngx_str_t *name)
{
    return (ngx_mesh_room_wait_topic_t *)
               ngx_str_rbtree_lookup(&hub->waits, name,
                                     ngx_crc32_short(name->data, name->len));
}


static ngx_mesh_room_wait_topic_t *
ngx_mesh_room_wait_topic_get(ngx_mesh_room_hub_t *hub, ngx_str_t *name)
{
    ngx_mesh_room_wait_topic_t  *topic;

    topic = ngx_mesh_room_wait_topic_find(hub, name);

    if (topic != NULL) {
        return topic;
    }

    topic = ngx_alloc(sizeof(ngx_mesh_room_wait_topic_t), hub->log);
    if (topic == NULL) {
        return NULL;
    }

    ngx_memcpy(topic->id, name->data, ID_LEN);

    topic->sn.str.data = topic->id;
    topic->sn.str.len = ID_LEN;
    topic->sn.node.key = ngx_crc32_short(topic->id, ID_LEN);

    ngx_queue_init(&topic->entries);
    ngx_rbtree_insert(&hub->waits, &topic->sn.node);

    return topic;
}
