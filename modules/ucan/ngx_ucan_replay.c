/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * A hash over the digests and a tree over the ends of the same entries, in
 * shared memory under the slab mutex of the zone (the one that the master
 * opens again when a worker is killed while holding it).  Each addition first
 * frees a few whose end has passed, so the zone holds about what is alive; a
 * full zone is one that is full of invocations that could still be replayed.
 *
 * A hash, since digests come in no order: each step down a tree of them is a
 * line of memory that nobody has touched lately.  Ends grow with the time, so
 * their tree is met where it is warm.
 *
 * An entry is linked by its end first and enters its chain by one store: one
 * that a killed worker left in the tree only is freed like any other.
 *
 * A reload hands the zone over as long as its size stays.
 */


#include <sodium.h>

#include "ngx_ucan_replay.h"


#define NGX_UCAN_REPLAY_VERSION  2
#define NGX_UCAN_REPLAY_FREE     4      /* entries, at each addition */
#define NGX_UCAN_REPLAY_SHARE    256    /* bytes of the zone a chain */


_Static_assert(crypto_shorthash_BYTES == sizeof(uint64_t), "hash");


typedef struct ngx_ucan_replay_entry_s  ngx_ucan_replay_entry_t;

struct ngx_ucan_replay_entry_s {
    ngx_ucan_replay_entry_t   *next;     /* in the chain */
    ngx_rbtree_node_t          end;      /* key: seconds */
    u_char                     digest[NGX_UCAN_REPLAY_DIGEST_LEN];
};


/* In shared memory; changed under the zone's mutex. */
typedef struct {
    ngx_uint_t                 version;
    ngx_ucan_replay_entry_t  **chains;   /* [mask + 1] */
    ngx_uint_t                 mask;
    u_char                     key[crypto_shorthash_KEYBYTES];
    ngx_rbtree_t               ends;
    ngx_rbtree_node_t          sentinel;
    ngx_atomic_t               count;    /* read without the mutex */
} ngx_ucan_replay_set_t;


static ngx_int_t ngx_ucan_replay_create(ngx_ucan_replay_set_t *set,
    ngx_slab_pool_t *pool, size_t size);
static ngx_int_t ngx_ucan_replay_use_locked(ngx_ucan_replay_set_t *set,
    ngx_slab_pool_t *pool, const u_char *digest, time_t until);
static ngx_ucan_replay_entry_t **ngx_ucan_replay_find_locked(
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

    if (ngx_ucan_replay_create(set, pool, zone->shm.size) != NGX_OK) {
        return NGX_ERROR;
    }

    /* a full zone is reported here, with a cure */
    pool->log_nomem = 0;
    pool->data = set;
    zone->data = set;

    return NGX_OK;
}


static ngx_int_t
ngx_ucan_replay_create(ngx_ucan_replay_set_t *set, ngx_slab_pool_t *pool,
    size_t size)
{
    ngx_uint_t  n;

    for (n = 1; n * 2 <= size / NGX_UCAN_REPLAY_SHARE; n *= 2) { /* void */ }

    set->chains = ngx_slab_calloc(pool,
                                  n * sizeof(ngx_ucan_replay_entry_t *));

    if (set->chains == NULL) {
        return NGX_ERROR;
    }

    set->mask = n - 1;
    randombytes_buf(set->key, sizeof(set->key));

    set->version = NGX_UCAN_REPLAY_VERSION;

    ngx_rbtree_init(&set->ends, &set->sentinel, ngx_rbtree_insert_value);

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
    ngx_ucan_replay_entry_t  *entry, **place;

    /* before anything is freed: a clock that jumps forth frees none that is
       asked for right now */

    if (*ngx_ucan_replay_find_locked(set, digest)) {
        return NGX_DECLINED;
    }

    ngx_ucan_replay_expire_locked(set, pool);

    entry = ngx_slab_calloc_locked(pool, sizeof(ngx_ucan_replay_entry_t));

    if (entry == NULL) {
        return NGX_BUSY;
    }

    ngx_memcpy(entry->digest, digest, NGX_UCAN_REPLAY_DIGEST_LEN);

    entry->end.key = (ngx_rbtree_key_t) until;
    ngx_rbtree_insert(&set->ends, &entry->end);

    /* its end now: what was freed may have been the one before it */

    place = ngx_ucan_replay_find_locked(set, digest);
    *place = entry;

    (void) ngx_atomic_fetch_add(&set->count, 1);

    return NGX_OK;
}


/* Where the entry hangs, or where its chain ends.  By a hash that nobody
   knows: whoever signs can choose digests that begin alike. */

static ngx_ucan_replay_entry_t **
ngx_ucan_replay_find_locked(ngx_ucan_replay_set_t *set, const u_char *digest)
{
    uint64_t                   hash;
    ngx_ucan_replay_entry_t  **place;

    (void) crypto_shorthash((u_char *) &hash, digest,
                            NGX_UCAN_REPLAY_DIGEST_LEN, set->key);

    for (place = &set->chains[hash & set->mask];
         *place;
         place = &(*place)->next)
    {
        if (ngx_memcmp((*place)->digest, digest, NGX_UCAN_REPLAY_DIGEST_LEN)
            == 0)
        {
            break;
        }
    }

    return place;
}


static void
ngx_ucan_replay_expire_locked(ngx_ucan_replay_set_t *set,
    ngx_slab_pool_t *pool)
{
    ngx_uint_t                 i;
    ngx_rbtree_node_t         *node;
    ngx_ucan_replay_entry_t   *entry, **place;

    for (i = 0; i < NGX_UCAN_REPLAY_FREE; i++) {

        if (set->ends.root == &set->sentinel) {
            return;
        }

        node = ngx_rbtree_min(set->ends.root, &set->sentinel);

        if ((time_t) node->key >= ngx_time()) {
            return;
        }

        entry = ngx_rbtree_data(node, ngx_ucan_replay_entry_t, end);
        place = ngx_ucan_replay_find_locked(set, entry->digest);

        /* not there: a worker was killed before it was */

        if (*place == entry) {
            *place = entry->next;
            (void) ngx_atomic_fetch_add(&set->count, -1);
        }

        ngx_rbtree_delete(&set->ends, &entry->end);
        ngx_slab_free_locked(pool, entry);
    }
}
