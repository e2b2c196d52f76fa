/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The set of revoked CIDs: a tree over their digests and a queue of the same
 * entries, in shared memory, under the slab mutex of the zone (the one that
 * the master opens again when a worker is killed while holding it).
 *
 * An entry leaves when its "until" has passed, since the token it is about
 * has expired by then.  Each addition looks at a few entries, and at all of
 * them before the zone is called full.
 *
 * A zone that an older generation of workers uses is used on: nginx hands it
 * over at a reload as long as its size stays.
 */


#include "ngx_ucan_conf.h"
#include "ngx_ucan_revocation.h"


#define NGX_UCAN_REVOCATION_VERSION  1
#define NGX_UCAN_REVOCATION_LOOK     4      /* entries, at each addition */


typedef struct {
    ngx_rbtree_node_t   node;         /* key: the first bytes of digest */
    ngx_queue_t         queue;
    time_t              until;        /* seconds; 0: for ever */
    u_char              digest[CID_DIGEST_LEN];
} ngx_ucan_revocation_entry_t;


/* In shared memory; changed under the zone's mutex. */
typedef struct {
    ngx_uint_t          version;
    ngx_rbtree_t        tree;
    ngx_rbtree_node_t   sentinel;
    ngx_queue_t         queue;        /* longest unseen last */
    ngx_atomic_t        count;        /* read without the mutex, as is */
    ngx_atomic_t        generation;   /* this */
} ngx_ucan_revocation_set_t;


static void ngx_ucan_revocation_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static ngx_uint_t ngx_ucan_revocation_key(const u_char *digest);
static ngx_int_t ngx_ucan_revocation_add_locked(
    ngx_ucan_revocation_set_t *set, ngx_slab_pool_t *pool, const cid_t *cid,
    time_t until);
static ngx_ucan_revocation_entry_t *ngx_ucan_revocation_find_locked(
    ngx_ucan_revocation_set_t *set, const u_char *digest);
static void ngx_ucan_revocation_expire_locked(ngx_ucan_revocation_set_t *set,
    ngx_slab_pool_t *pool, ngx_uint_t n);


ngx_int_t
ngx_ucan_revocation_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t            *pool;
    ngx_ucan_revocation_set_t  *set;

    if (data) {
        zone->data = data;
        return NGX_OK;
    }

    pool = (ngx_slab_pool_t *) zone->shm.addr;

    if (zone->shm.exists) {
        set = pool->data;

        if (set->version != NGX_UCAN_REVOCATION_VERSION) {
            ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                          "ucan: zone \"%V\" is of another version",
                          &zone->shm.name);
            return NGX_ERROR;
        }

        zone->data = set;
        return NGX_OK;
    }

    set = ngx_slab_calloc(pool, sizeof(ngx_ucan_revocation_set_t));

    if (set == NULL) {
        return NGX_ERROR;
    }

    set->version = NGX_UCAN_REVOCATION_VERSION;

    ngx_rbtree_init(&set->tree, &set->sentinel, ngx_ucan_revocation_insert);
    ngx_queue_init(&set->queue);

    /* a full zone is reported here, with a cure */
    pool->log_nomem = 0;
    pool->data = set;
    zone->data = set;

    return NGX_OK;
}


ngx_int_t
ngx_ucan_revocation_add(ngx_shm_zone_t *zone, const cid_t *cid, time_t until)
{
    ngx_int_t                   rc;
    ngx_slab_pool_t            *pool;
    ngx_ucan_revocation_set_t  *set;

    set = zone->data;
    pool = (ngx_slab_pool_t *) zone->shm.addr;

    ngx_shmtx_lock(&pool->mutex);

    rc = ngx_ucan_revocation_add_locked(set, pool, cid, until);

    ngx_shmtx_unlock(&pool->mutex);

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "ucan: revocation refused, zone \"%V\" is full; make "
                      "it larger in \"ucan_revocation_zone\"",
                      &zone->shm.name);
    }

    return rc;
}


static ngx_int_t
ngx_ucan_revocation_add_locked(ngx_ucan_revocation_set_t *set,
    ngx_slab_pool_t *pool, const cid_t *cid, time_t until)
{
    ngx_ucan_revocation_entry_t  *entry;

    entry = ngx_ucan_revocation_find_locked(set, cid->digest);

    if (entry) {
        if (until == 0 || (entry->until != 0 && entry->until < until)) {
            entry->until = until;
        }

        return NGX_OK;
    }

    ngx_ucan_revocation_expire_locked(set, pool, NGX_UCAN_REVOCATION_LOOK);

    entry = ngx_slab_alloc_locked(pool, sizeof(ngx_ucan_revocation_entry_t));

    if (entry == NULL) {
        ngx_ucan_revocation_expire_locked(set, pool, set->count);

        entry = ngx_slab_alloc_locked(pool,
                                      sizeof(ngx_ucan_revocation_entry_t));
        if (entry == NULL) {
            return NGX_ERROR;
        }
    }

    entry->node.key = ngx_ucan_revocation_key(cid->digest);
    entry->until = until;
    ngx_memcpy(entry->digest, cid->digest, CID_DIGEST_LEN);

    ngx_rbtree_insert(&set->tree, &entry->node);
    ngx_queue_insert_head(&set->queue, &entry->queue);

    (void) ngx_atomic_fetch_add(&set->count, 1);
    (void) ngx_atomic_fetch_add(&set->generation, 1);

    return NGX_OK;
}


ucan_revoked_t
ngx_ucan_revocation_find(void *data, const cid_t *cid)
{
    ngx_ucan_main_conf_t *mcf = data;

    ngx_shm_zone_t               *zone;
    ucan_revoked_t                revoked;
    ngx_slab_pool_t              *pool;
    ngx_ucan_revocation_set_t    *set;
    ngx_ucan_revocation_entry_t  *entry;

    zone = mcf->revocation_zone;
    set = zone->data;

    if (set->count == 0) {
        return UCAN_REVOKED_NOT;
    }

    pool = (ngx_slab_pool_t *) zone->shm.addr;

    ngx_shmtx_lock(&pool->mutex);

    entry = ngx_ucan_revocation_find_locked(set, cid->digest);
    revoked = entry ? UCAN_REVOKED_ALL : UCAN_REVOKED_NOT;

    ngx_shmtx_unlock(&pool->mutex);

    return revoked;
}


ngx_uint_t
ngx_ucan_revocation_generation(ngx_shm_zone_t *zone)
{
    ngx_ucan_revocation_set_t  *set;

    set = zone->data;

    return set->generation;
}


static ngx_ucan_revocation_entry_t *
ngx_ucan_revocation_find_locked(ngx_ucan_revocation_set_t *set,
    const u_char *digest)
{
    int                           rc;
    ngx_uint_t                    key;
    ngx_rbtree_node_t            *node;
    ngx_ucan_revocation_entry_t  *entry;

    key = ngx_ucan_revocation_key(digest);
    node = set->tree.root;

    while (node != &set->sentinel) {

        if (key != node->key) {
            node = (key < node->key) ? node->left : node->right;
            continue;
        }

        entry = ngx_rbtree_data(node, ngx_ucan_revocation_entry_t, node);
        rc = ngx_memcmp(digest, entry->digest, CID_DIGEST_LEN);

        if (rc == 0) {
            return entry;
        }

        node = (rc < 0) ? node->left : node->right;
    }

    return NULL;
}


static void
ngx_ucan_revocation_insert(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *sentinel)
{
    ngx_rbtree_node_t            **p;
    ngx_ucan_revocation_entry_t   *a, *b;

    for ( ;; ) {

        if (node->key != temp->key) {
            p = (node->key < temp->key) ? &temp->left : &temp->right;

        } else {
            a = ngx_rbtree_data(node, ngx_ucan_revocation_entry_t, node);
            b = ngx_rbtree_data(temp, ngx_ucan_revocation_entry_t, node);

            p = (ngx_memcmp(a->digest, b->digest, CID_DIGEST_LEN) < 0)
                ? &temp->left : &temp->right;
        }

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
    ngx_rbt_red(node);
}


/* Digests are spread evenly by themselves. */

static ngx_uint_t
ngx_ucan_revocation_key(const u_char *digest)
{
    ngx_uint_t  key;

    ngx_memcpy(&key, digest, sizeof(ngx_uint_t));

    return key;
}


/* Looks at the n entries that were not looked at for longest. */

static void
ngx_ucan_revocation_expire_locked(ngx_ucan_revocation_set_t *set,
    ngx_slab_pool_t *pool, ngx_uint_t n)
{
    time_t                        now;
    ngx_queue_t                  *q;
    ngx_ucan_revocation_entry_t  *entry;

    now = ngx_time() - NGX_UCAN_REVOCATION_GRACE;

    while (n-- && !ngx_queue_empty(&set->queue)) {

        q = ngx_queue_last(&set->queue);
        entry = ngx_queue_data(q, ngx_ucan_revocation_entry_t, queue);

        ngx_queue_remove(q);

        if (entry->until == 0 || entry->until >= now) {
            ngx_queue_insert_head(&set->queue, q);
            continue;
        }

        ngx_rbtree_delete(&set->tree, &entry->node);
        ngx_slab_free_locked(pool, entry);

        (void) ngx_atomic_fetch_add(&set->count, -1);
    }
}
