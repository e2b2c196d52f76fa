/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Two trees over the same entries, by digest and by end, in shared memory
 * under the slab mutex of the zone (the one that the master opens again when
 * a worker is killed while holding it).  Each addition first frees a few
 * whose end has passed, so the zone holds about what is alive; a full zone is
 * one that is full of invocations that could still be replayed.
 *
 * An entry is linked by its end first: one that a killed worker left in that
 * tree only is freed like any other.
 *
 * A reload hands the zone over as long as its size stays.
 */


#include "ngx_ucan_replay.h"


#define NGX_UCAN_REPLAY_VERSION  1
#define NGX_UCAN_REPLAY_FREE     4      /* entries, at each addition */


typedef struct {
    ngx_rbtree_node_t   node;         /* key: the first bytes of digest */
    ngx_rbtree_node_t   end;          /* key: seconds */
    ngx_uint_t          linked;       /* in the tree of digests */
    u_char              digest[NGX_UCAN_REPLAY_DIGEST_LEN];
} ngx_ucan_replay_entry_t;


/* In shared memory; changed under the zone's mutex. */
typedef struct {
    ngx_uint_t          version;
    ngx_rbtree_t        digests;
    ngx_rbtree_node_t   digests_sentinel;
    ngx_rbtree_t        ends;
    ngx_rbtree_node_t   ends_sentinel;
    ngx_atomic_t        count;        /* read without the mutex */
} ngx_ucan_replay_set_t;


static void ngx_ucan_replay_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static ngx_uint_t ngx_ucan_replay_key(const u_char *digest);
static ngx_int_t ngx_ucan_replay_use_locked(ngx_ucan_replay_set_t *set,
    ngx_slab_pool_t *pool, const u_char *digest, time_t until);
static ngx_ucan_replay_entry_t *ngx_ucan_replay_find_locked(
    ngx_ucan_replay_set_t *set, const u_char *digest);
static void ngx_ucan_replay_expire_locked(ngx_ucan_replay_set_t *set,
    ngx_slab_pool_t *pool);


ngx_int_t
ngx_ucan_replay_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t        *pool;
    ngx_ucan_replay_set_t  *set;

    if (data) {
        zone->data = data;
        return NGX_OK;
    }

    pool = (ngx_slab_pool_t *) zone->shm.addr;

    if (zone->shm.exists) {
        set = pool->data;

        if (set->version != NGX_UCAN_REPLAY_VERSION) {
            ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                          "ucan: zone \"%V\" is of another version",
                          &zone->shm.name);
            return NGX_ERROR;
        }

        zone->data = set;
        return NGX_OK;
    }

    set = ngx_slab_calloc(pool, sizeof(ngx_ucan_replay_set_t));

    if (set == NULL) {
        return NGX_ERROR;
    }

    set->version = NGX_UCAN_REPLAY_VERSION;

    ngx_rbtree_init(&set->digests, &set->digests_sentinel,
                    ngx_ucan_replay_insert);
    ngx_rbtree_init(&set->ends, &set->ends_sentinel, ngx_rbtree_insert_value);

    /* a full zone is reported here, with a cure */
    pool->log_nomem = 0;
    pool->data = set;
    zone->data = set;

    return NGX_OK;
}


void
ngx_ucan_replay_digest(u_char *digest, const ucan_token_t *invocation)
{
    cid_t  cid;

    cid_of(&cid, CID_DAG_CBOR, invocation->signed_part);
    ngx_memcpy(digest, cid.digest, NGX_UCAN_REPLAY_DIGEST_LEN);
}


ngx_int_t
ngx_ucan_replay_use(ngx_shm_zone_t *zone, const u_char *digest, time_t until)
{
    ngx_int_t               rc;
    ngx_slab_pool_t        *pool;
    ngx_ucan_replay_set_t  *set;

    set = zone->data;
    pool = (ngx_slab_pool_t *) zone->shm.addr;

    ngx_shmtx_lock(&pool->mutex);

    rc = ngx_ucan_replay_use_locked(set, pool, digest, until);

    ngx_shmtx_unlock(&pool->mutex);

    if (rc == NGX_BUSY) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "ucan: invocation refused, zone \"%V\" is full; make "
                      "it larger in \"ucan_replay_zone\"", &zone->shm.name);
    }

    return rc;
}


ngx_uint_t
ngx_ucan_replay_count(ngx_shm_zone_t *zone)
{
    ngx_ucan_replay_set_t  *set;

    set = zone->data;

    return set->count;
}


static ngx_int_t
ngx_ucan_replay_use_locked(ngx_ucan_replay_set_t *set, ngx_slab_pool_t *pool,
    const u_char *digest, time_t until)
{
    ngx_ucan_replay_entry_t  *entry;

    /* before anything is freed: a clock that jumps forth frees none that is
       asked for right now */

    if (ngx_ucan_replay_find_locked(set, digest)) {
        return NGX_DECLINED;
    }

    ngx_ucan_replay_expire_locked(set, pool);

    entry = ngx_slab_calloc_locked(pool, sizeof(ngx_ucan_replay_entry_t));

    if (entry == NULL) {
        return NGX_BUSY;
    }

    entry->end.key = (ngx_rbtree_key_t) until;
    ngx_rbtree_insert(&set->ends, &entry->end);

    (void) ngx_atomic_fetch_add(&set->count, 1);

    entry->node.key = ngx_ucan_replay_key(digest);
    ngx_memcpy(entry->digest, digest, NGX_UCAN_REPLAY_DIGEST_LEN);
    ngx_rbtree_insert(&set->digests, &entry->node);
    entry->linked = 1;

    return NGX_OK;
}


static ngx_ucan_replay_entry_t *
ngx_ucan_replay_find_locked(ngx_ucan_replay_set_t *set, const u_char *digest)
{
    int                       rc;
    ngx_uint_t                key;
    ngx_rbtree_node_t        *node;
    ngx_ucan_replay_entry_t  *entry;

    key = ngx_ucan_replay_key(digest);
    node = set->digests.root;

    while (node != &set->digests_sentinel) {

        if (key != node->key) {
            node = (key < node->key) ? node->left : node->right;
            continue;
        }

        entry = ngx_rbtree_data(node, ngx_ucan_replay_entry_t, node);
        rc = ngx_memcmp(digest, entry->digest, NGX_UCAN_REPLAY_DIGEST_LEN);

        if (rc == 0) {
            return entry;
        }

        node = (rc < 0) ? node->left : node->right;
    }

    return NULL;
}


static void
ngx_ucan_replay_insert(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *sentinel)
{
    ngx_rbtree_node_t        **p;
    ngx_ucan_replay_entry_t   *a, *b;

    for ( ;; ) {

        if (node->key != temp->key) {
            p = (node->key < temp->key) ? &temp->left : &temp->right;

        } else {
            a = ngx_rbtree_data(node, ngx_ucan_replay_entry_t, node);
            b = ngx_rbtree_data(temp, ngx_ucan_replay_entry_t, node);

            p = (ngx_memcmp(a->digest, b->digest, NGX_UCAN_REPLAY_DIGEST_LEN)
                 < 0)
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
ngx_ucan_replay_key(const u_char *digest)
{
    ngx_uint_t  key;

    ngx_memcpy(&key, digest, sizeof(ngx_uint_t));

    return key;
}


static void
ngx_ucan_replay_expire_locked(ngx_ucan_replay_set_t *set,
    ngx_slab_pool_t *pool)
{
    ngx_uint_t                i;
    ngx_rbtree_node_t        *node;
    ngx_ucan_replay_entry_t  *entry;

    for (i = 0; i < NGX_UCAN_REPLAY_FREE; i++) {

        if (set->ends.root == &set->ends_sentinel) {
            return;
        }

        node = ngx_rbtree_min(set->ends.root, &set->ends_sentinel);

        if ((time_t) node->key >= ngx_time()) {
            return;
        }

        entry = ngx_rbtree_data(node, ngx_ucan_replay_entry_t, end);

        if (entry->linked) {
            ngx_rbtree_delete(&set->digests, &entry->node);
        }

        ngx_rbtree_delete(&set->ends, &entry->end);
        ngx_slab_free_locked(pool, entry);

        (void) ngx_atomic_fetch_add(&set->count, -1);
    }
}
