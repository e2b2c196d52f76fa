/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Presence: who has a connection in which room, on any worker.
 *
 * A table in shared memory counts the connections of a participant in a room
 * for each worker slot.  When the sum comes from 0 or goes to 0, others are
 * told, but not at once: changes wait some milliseconds, so that one who
 * comes back at once (a reload, a new network) has never been away.  What a
 * dead worker counted is swept by whoever hears of its death, and by the next
 * owner of its slot.
 *
 *     announced   what the others were told last
 *     total       what is true
 *
 * Every access is under the zone's slab mutex, the one kind of lock that the
 * master opens again when its holder is killed.  A full zone costs presence,
 * never messages.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <sodium.h>

#include "json_write.h"
#include "ngx_mesh_room_presence.h"


#define NGX_MESH_ROOM_PRESENCE_MAGIC    0x70726573
#define NGX_MESH_ROOM_PRESENCE_VERSION  1
#define NGX_MESH_ROOM_PRESENCE_DELAY    50      /* ms that a change waits */
#define NGX_MESH_ROOM_PRESENCE_BATCH    512     /* changes told at once */
#define NGX_MESH_ROOM_PRESENCE_ROOM     256     /* connections of a room on
                                                   this worker; larger ones
                                                   get no diffs */
#define NGX_MESH_ROOM_PRESENCE_KEY      (2 * ID_LEN)


/* In shared memory. */
typedef struct {
    ngx_uint_t           magic;
    ngx_uint_t           version;
    ngx_rbtree_t         tree;
    ngx_rbtree_node_t    sentinel;
    ngx_uint_t           full;         /* 1: said so in the log */
    u_char               cursor_key[CURSOR_KEY_LEN];
} ngx_mesh_room_presence_table_t;


/* In shared memory. */
typedef struct {
    ngx_str_node_t       sn;           /* str: key below */
    u_char               key[NGX_MESH_ROOM_PRESENCE_KEY];
    uint64_t             slots;        /* bit i: counts[i] is not 0 */
    uint32_t             total;
    uint32_t             announced;    /* 1: others think it is here */
    uint16_t             counts[NGX_MESH_ZONE_SLOTS];
} ngx_mesh_room_presence_node_t;


/* Of one worker. */
typedef struct {
    ngx_event_t          timer;
    ngx_queue_t          changes;
} ngx_mesh_room_presence_t;


typedef struct {
    ngx_queue_t          queue;
    u_char               key[NGX_MESH_ROOM_PRESENCE_KEY];
} ngx_mesh_room_presence_change_t;


static ngx_slab_pool_t *ngx_mesh_room_presence_pool(
    ngx_http_mesh_room_main_conf_t *mcf);
static void ngx_mesh_room_presence_set_key(u_char *key, bytes_t room,
    bytes_t participant);
static ngx_mesh_room_presence_node_t *ngx_mesh_room_presence_find_locked(
    ngx_mesh_room_presence_table_t *table, u_char *key);
static ngx_mesh_room_presence_node_t *ngx_mesh_room_presence_get_locked(
    ngx_slab_pool_t *pool, u_char *key);
static void ngx_mesh_room_presence_change(ngx_mesh_room_hub_t *hub,
    u_char *key);
static void ngx_mesh_room_presence_timer_handler(ngx_event_t *ev);
static void ngx_mesh_room_presence_announce(ngx_mesh_room_hub_t *hub,
    u_char *key);
static void ngx_mesh_room_presence_clear(ngx_mesh_room_hub_t *hub,
    uint64_t own);


ngx_int_t
ngx_mesh_room_presence_zone_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t                 *pool;
    ngx_mesh_room_presence_table_t  *table;

    pool = (ngx_slab_pool_t *) zone->shm.addr;

    if (data != NULL) {
        zone->data = data;
        table = data;

        if (table->magic != NGX_MESH_ROOM_PRESENCE_MAGIC
            || table->version != NGX_MESH_ROOM_PRESENCE_VERSION)
        {
            ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                          "room: zone \"%V\" has another layout: give it "
                          "another name or restart", &zone->shm.name);
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    table = ngx_slab_calloc(pool, sizeof(ngx_mesh_room_presence_table_t));
    if (table == NULL) {
        return NGX_ERROR;
    }

    table->magic = NGX_MESH_ROOM_PRESENCE_MAGIC;
    table->version = NGX_MESH_ROOM_PRESENCE_VERSION;

    randombytes_buf(table->cursor_key, sizeof(table->cursor_key));

    ngx_rbtree_init(&table->tree, &table->sentinel,
                    ngx_str_rbtree_insert_value);

    pool->log_nomem = 0;
    pool->data = table;
    zone->data = table;

    return NGX_OK;
}


void
ngx_mesh_room_presence_cursor_key(ngx_http_mesh_room_main_conf_t *mcf,
    u_char *key)
{
    ngx_mesh_room_presence_table_t  *table;

    table = mcf->zone->data;

    ngx_memcpy(key, table->cursor_key, CURSOR_KEY_LEN);
}


ngx_int_t
ngx_mesh_room_presence_init(ngx_mesh_room_hub_t *hub)
{
    ngx_int_t                  slot;
    ngx_mesh_room_presence_t  *presence;

    presence = ngx_pcalloc(ngx_cycle->pool, sizeof(ngx_mesh_room_presence_t));
    if (presence == NULL) {
        return NGX_ERROR;
    }

    presence->timer.handler = ngx_mesh_room_presence_timer_handler;
    presence->timer.data = hub;
    presence->timer.log = hub->log;
    presence->timer.cancelable = 1;

    ngx_queue_init(&presence->changes);

    hub->presence = presence;

    /* what the former owner of this slot left behind */

    slot = hub->mcf->store->wake->slot;

    ngx_mesh_room_presence_clear(hub, slot >= 0 ? (uint64_t) 1 << slot : 0);

    return NGX_OK;
}


void
ngx_mesh_room_presence_flush(ngx_mesh_room_hub_t *hub)
{
    ngx_mesh_room_presence_t  *presence;

    presence = hub->presence;

    while (!ngx_queue_empty(&presence->changes)) {
        ngx_mesh_room_presence_timer_handler(&presence->timer);
    }
}


/* The slab pool of the table, or NULL when presence is not kept. */
static ngx_slab_pool_t *
ngx_mesh_room_presence_pool(ngx_http_mesh_room_main_conf_t *mcf)
{
    if (mcf->zone == NULL || mcf->store->wake->slot < 0) {
        return NULL;
    }

    return (ngx_slab_pool_t *) mcf->zone->shm.addr;
}


void
ngx_mesh_room_presence_add(ngx_mesh_room_hub_t *hub, bytes_t room,
    bytes_t participant)
{
    u_char                           key[NGX_MESH_ROOM_PRESENCE_KEY];
    ngx_int_t                        slot;
    ngx_uint_t                       changed, full;
    ngx_slab_pool_t                 *pool;
    ngx_mesh_room_presence_node_t   *node;
    ngx_mesh_room_presence_table_t  *table;

    pool = ngx_mesh_room_presence_pool(hub->mcf);

    if (pool == NULL) {
        return;
    }

    table = pool->data;
    slot = hub->mcf->store->wake->slot;
    changed = 0;
    full = 0;

    ngx_mesh_room_presence_set_key(key, room, participant);

    ngx_shmtx_lock(&pool->mutex);

    node = ngx_mesh_room_presence_get_locked(pool, key);

    if (node == NULL) {
        full = !table->full;
        table->full = 1;

    } else if (node->counts[slot] != (uint16_t) -1) {
        node->counts[slot]++;
        node->total++;
        node->slots |= (uint64_t) 1 << slot;
        changed = (node->announced == 0);
    }

    ngx_shmtx_unlock(&pool->mutex);

    if (full) {
        ngx_log_error(NGX_LOG_WARN, hub->log, 0,
                      "room: zone \"%V\" is full: presence is incomplete",
                      &hub->mcf->zone->shm.name);
    }

    if (changed) {
        ngx_mesh_room_presence_change(hub, key);
    }
}


void
ngx_mesh_room_presence_remove(ngx_mesh_room_hub_t *hub, bytes_t room,
    bytes_t participant)
{
    u_char                          key[NGX_MESH_ROOM_PRESENCE_KEY];
    ngx_int_t                       slot;
    ngx_uint_t                      changed;
    ngx_slab_pool_t                *pool;
    ngx_mesh_room_presence_node_t  *node;

    pool = ngx_mesh_room_presence_pool(hub->mcf);

    if (pool == NULL) {
        return;
    }

    slot = hub->mcf->store->wake->slot;
    changed = 0;

    ngx_mesh_room_presence_set_key(key, room, participant);

    ngx_shmtx_lock(&pool->mutex);

    node = ngx_mesh_room_presence_find_locked(pool->data, key);

    if (node != NULL && node->counts[slot] != 0) {

        node->total--;

        if (--node->counts[slot] == 0) {
            node->slots &= ~((uint64_t) 1 << slot);
        }

        changed = (node->total == 0);
    }

    ngx_shmtx_unlock(&pool->mutex);

    if (changed) {
        ngx_mesh_room_presence_change(hub, key);
    }
}


ngx_uint_t
ngx_mesh_room_presence_online(ngx_http_mesh_room_main_conf_t *mcf,
    bytes_t room, bytes_t participant)
{
    u_char                          key[NGX_MESH_ROOM_PRESENCE_KEY];
    ngx_uint_t                      online;
    ngx_slab_pool_t                *pool;
    ngx_mesh_room_presence_node_t  *node;

    pool = ngx_mesh_room_presence_pool(mcf);

    if (pool == NULL || room.len != ID_LEN || participant.len != ID_LEN) {
        return 0;
    }

    ngx_mesh_room_presence_set_key(key, room, participant);

    ngx_shmtx_lock(&pool->mutex);

    node = ngx_mesh_room_presence_find_locked(pool->data, key);
    online = (node != NULL && node->total != 0);

    ngx_shmtx_unlock(&pool->mutex);

    return online;
}


static void
ngx_mesh_room_presence_set_key(u_char *key, bytes_t room,
    bytes_t participant)
{
    ngx_memcpy(key, room.data, ID_LEN);
    ngx_memcpy(key + ID_LEN, participant.data, ID_LEN);
}


static ngx_mesh_room_presence_node_t *
ngx_mesh_room_presence_find_locked(ngx_mesh_room_presence_table_t *table,
    u_char *key)
{
    ngx_str_t  name;

    name.data = key;
    name.len = NGX_MESH_ROOM_PRESENCE_KEY;

    return (ngx_mesh_room_presence_node_t *)
               ngx_str_rbtree_lookup(&table->tree, &name,
                                     ngx_crc32_short(key, name.len));
}


static ngx_mesh_room_presence_node_t *
ngx_mesh_room_presence_get_locked(ngx_slab_pool_t *pool, u_char *key)
{
    ngx_mesh_room_presence_node_t   *node;
    ngx_mesh_room_presence_table_t  *table;

    table = pool->data;

    node = ngx_mesh_room_presence_find_locked(table, key);

    if (node != NULL) {
        return node;
    }

    node = ngx_slab_calloc_locked(pool,
                                  sizeof(ngx_mesh_room_presence_node_t));
    if (node == NULL) {
        return NULL;
    }

    ngx_memcpy(node->key, key, NGX_MESH_ROOM_PRESENCE_KEY);

    node->sn.str.data = node->key;
    node->sn.str.len = NGX_MESH_ROOM_PRESENCE_KEY;
    node->sn.node.key = ngx_crc32_short(key, NGX_MESH_ROOM_PRESENCE_KEY);

    ngx_rbtree_insert(&table->tree, &node->sn.node);

    return node;
}


/* Telling. */

static void
ngx_mesh_room_presence_change(ngx_mesh_room_hub_t *hub, u_char *key)
{
    ngx_mesh_room_presence_t         *presence;
    ngx_mesh_room_presence_change_t  *change;

    presence = hub->presence;

    change = ngx_alloc(sizeof(ngx_mesh_room_presence_change_t), hub->log);
    if (change == NULL) {
        return;
    }

    ngx_memcpy(change->key, key, NGX_MESH_ROOM_PRESENCE_KEY);
    ngx_queue_insert_tail(&presence->changes, &change->queue);

    if (!presence->timer.timer_set) {
        ngx_add_timer(&presence->timer, NGX_MESH_ROOM_PRESENCE_DELAY);
    }
}


static void
ngx_mesh_room_presence_timer_handler(ngx_event_t *ev)
{
    ngx_uint_t                        i;
    ngx_queue_t                      *q;
    ngx_mesh_room_hub_t              *hub = ev->data;
    ngx_mesh_room_presence_t         *presence;
    ngx_mesh_room_presence_change_t  *change;

    presence = hub->presence;

    for (i = 0; i < NGX_MESH_ROOM_PRESENCE_BATCH; i++) {

        if (ngx_queue_empty(&presence->changes)) {
            return;
        }

        q = ngx_queue_head(&presence->changes);
        change = ngx_queue_data(q, ngx_mesh_room_presence_change_t, queue);

        ngx_mesh_room_presence_announce(hub, change->key);

        ngx_queue_remove(q);
        ngx_free(change);
    }

    if (!ev->timer_set) {
        ngx_add_timer(ev, NGX_MESH_ROOM_PRESENCE_DELAY);
    }
}


static void
ngx_mesh_room_presence_announce(ngx_mesh_room_hub_t *hub, u_char *key)
{
    u_char                           text[1 + ID_LEN];
    ngx_uint_t                       here, tell;
    ngx_slab_pool_t                 *pool;
    ngx_mesh_wake_t                 *wake;
    ngx_mesh_wake_notice_t           notice;
    ngx_mesh_room_presence_node_t   *node;
    ngx_mesh_room_presence_table_t  *table;

    pool = ngx_mesh_room_presence_pool(hub->mcf);

    if (pool == NULL) {
        return;
    }

    table = pool->data;
    here = 0;
    tell = 0;

    ngx_shmtx_lock(&pool->mutex);

    node = ngx_mesh_room_presence_find_locked(table, key);

    if (node != NULL) {
        here = (node->total != 0);
        tell = (node->announced != here);
        node->announced = (uint32_t) here;

        if (!here) {
            ngx_rbtree_delete(&table->tree, &node->sn.node);
            ngx_slab_free_locked(pool, node);
            table->full = 0;
        }
    }

    ngx_shmtx_unlock(&pool->mutex);

    if (!tell) {
        return;
    }

    text[0] = here ? '+' : '-';
    ngx_memcpy(text + 1, key + ID_LEN, ID_LEN);

    ngx_memzero(&notice, sizeof(ngx_mesh_wake_notice_t));

    notice.kind = NGX_MESH_WAKE_PRESENCE;
    notice.topic.data = key;
    notice.topic.len = ID_LEN;
    notice.payload.data = text;
    notice.payload.len = sizeof(text);

    wake = hub->mcf->store->wake;

    (void) wake->publish(wake, &notice);
}


void
ngx_mesh_room_presence_tell(ngx_mesh_room_hub_room_t *room, bytes_t payload)
{
    uint8_t         buf[256];
    bytes_t         id;
    json_write_t    j;
    bytes_writer_t  w;

    if (room->count > NGX_MESH_ROOM_PRESENCE_ROOM
        || payload.len != 1 + ID_LEN)
    {
        return;
    }

    id = bytes_make(payload.data + 1, ID_LEN);

    bytes_writer_open(&w, buf, sizeof(buf));

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member_text(&j, "type", "presence");
    json_write_member(&j, "roomId", bytes_make(room->id, ID_LEN));
    json_write_member(&j, "participantId", id);
    json_write_member_text(&j, "state",
                           payload.data[0] == '+' ? "online" : "offline");
    json_write_object_end(&j);

    ngx_mesh_room_hub_tell(room, bytes_writer_view(&w), id);
}


/* Sweeping. */

void
ngx_mesh_room_presence_sweep(ngx_mesh_room_hub_t *hub)
{
    ngx_mesh_room_presence_clear(hub, 0);
}


/* Takes away what slots without a worker counted, and the slots of "own". */
static void
ngx_mesh_room_presence_clear(ngx_mesh_room_hub_t *hub, uint64_t own)
{
    uint64_t                         dead, slots;
    ngx_uint_t                       i;
    ngx_slab_pool_t                 *pool;
    ngx_mesh_wake_t                 *wake;
    ngx_rbtree_node_t               *rn;
    ngx_mesh_room_presence_node_t   *node;
    ngx_mesh_room_presence_table_t  *table;

    pool = ngx_mesh_room_presence_pool(hub->mcf);

    if (pool == NULL) {
        return;
    }

    table = pool->data;
    wake = hub->mcf->store->wake;

    ngx_shmtx_lock(&pool->mutex);

    dead = ~wake->slots(wake) | own;

    for (rn = (table->tree.root == &table->sentinel)
              ? NULL : ngx_rbtree_min(table->tree.root, &table->sentinel);
         rn != NULL;
         rn = ngx_rbtree_next(&table->tree, rn))
    {
        node = (ngx_mesh_room_presence_node_t *) rn;
        slots = node->slots & dead;

        for (i = 0; slots != 0; i++, slots >>= 1) {

            if (slots & 1) {
                node->total -= node->counts[i];
                node->counts[i] = 0;
                node->slots &= ~((uint64_t) 1 << i);
            }
        }

        /* also what its worker did not live to tell */

        if (node->announced != (node->total != 0)) {
            ngx_mesh_room_presence_change(hub, node->key);
        }
    }

    ngx_shmtx_unlock(&pool->mutex);
}
