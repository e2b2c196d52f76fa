/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The set of revocations: a table of chains over fixed entries, in shared
 * memory.  Changes and walks of a chain hold the slab mutex of the zone (the
 * one that the master opens again when a worker is killed while holding it).
 * A chain that is empty, which is what nearly every look-up meets, is seen so
 * without it.
 *
 * A worker may be killed between any two instructions: an entry is linked and
 * unlinked by the store of one pointer, so that chains are whole at any time;
 * what may be lost is one entry's room, and "count" is a hint.
 *
 * An entry leaves when its "until" has passed, since the token it is about
 * has expired by then, or with the line of the file that it came from.
 *
 * A zone that an older generation of workers uses is used on: nginx hands it
 * over at a reload as long as its size stays.
 */


#include "ngx_ucan_conf.h"
#include "ngx_ucan_revocation.h"
#include "ngx_ucan_revocation_file.h"
#include "ucan_revocation.h"

#include <sodium.h>


#define NGX_UCAN_REVOCATION_VERSION  2
#define NGX_UCAN_REVOCATION_LOOK     4      /* entries, at each addition */
#define NGX_UCAN_REVOCATION_BATCH    1024   /* entries under the mutex */


typedef enum {
    NGX_UCAN_REVOCATION_FREE = 0,
    NGX_UCAN_REVOCATION_ALL,      /* key: the digest */
    NGX_UCAN_REVOCATION_MARK,     /* the same: there are some of the next */
    NGX_UCAN_REVOCATION_BY        /* key: ucan_revocation_key() */
} ngx_ucan_revocation_kind_t;


typedef struct ngx_ucan_revocation_entry_s  ngx_ucan_revocation_entry_t;

struct ngx_ucan_revocation_entry_s {
    ngx_ucan_revocation_entry_t  *next;      /* of its chain, or free */
    int64_t                       until;     /* seconds; 0: for ever */
    uint32_t                      round;     /* of a file; 0: for good */
    uint32_t                      kind;
    u_char                        key[UCAN_REVOCATION_KEY_LEN];
};


/* In shared memory; changed under the zone's mutex. */
typedef struct {
    ngx_uint_t                     version;
    ngx_uint_t                     mask;        /* of chains */
    ngx_uint_t                     capacity;    /* entries */
    ngx_uint_t                     fresh;       /* first that never was used */
    ngx_uint_t                     hand;        /* next to be looked at */
    uint32_t                       round;       /* last one given out */
    ngx_atomic_t                   count;       /* read without the mutex, */
    ngx_atomic_t                   generation;  /* as are this and chains */
    ngx_ucan_revocation_entry_t   *entries;
    ngx_ucan_revocation_entry_t   *free;
    ngx_ucan_revocation_entry_t  **chains;
    u_char                         secret[crypto_shorthash_KEYBYTES];
} ngx_ucan_revocation_set_t;


/* What is looked for, or to be added. */
typedef struct {
    u_char                         key[UCAN_REVOCATION_KEY_LEN];
    uint32_t                       kind;
    uint32_t                       round;
    int64_t                        until;
    ngx_ucan_revocation_entry_t  **chain;
} ngx_ucan_revocation_probe_t;


static ngx_int_t ngx_ucan_revocation_create(ngx_shm_zone_t *zone,
    ngx_slab_pool_t *pool);
static void ngx_ucan_revocation_probe(ngx_ucan_revocation_set_t *set,
    ngx_ucan_revocation_probe_t *probe, ngx_uint_t kind, const cid_t *cid,
    bytes_t by);
static ngx_int_t ngx_ucan_revocation_add_locked(
    ngx_ucan_revocation_set_t *set, const ngx_ucan_revocation_probe_t *probe);
static ngx_ucan_revocation_entry_t *ngx_ucan_revocation_take_locked(
    ngx_ucan_revocation_set_t *set);
static ngx_uint_t ngx_ucan_revocation_prolong_locked(
    ngx_ucan_revocation_set_t *set, const ngx_ucan_revocation_probe_t *probe);
static void ngx_ucan_revocation_expire_locked(ngx_ucan_revocation_set_t *set,
    ngx_uint_t n);
static void ngx_ucan_revocation_free_locked(ngx_ucan_revocation_set_t *set,
    ngx_ucan_revocation_entry_t *entry);


/* The file is taken here, where a new configuration can still be refused. */

ngx_int_t
ngx_ucan_revocation_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t             *pool;
    ngx_ucan_revocation_set_t   *set;
    ngx_ucan_revocation_file_t  *file;

    file = zone->data;
    pool = (ngx_slab_pool_t *) zone->shm.addr;

    if (data == NULL && !zone->shm.exists) {

        if (ngx_ucan_revocation_create(zone, pool) != NGX_OK) {
            return NGX_ERROR;
        }

    } else {
        set = data ? data : pool->data;

        if (set->version != NGX_UCAN_REVOCATION_VERSION) {
            ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                          "ucan: zone \"%V\" is of another version",
                          &zone->shm.name);
            return NGX_ERROR;
        }

        zone->data = set;
    }

    return ngx_ucan_revocation_file_load(zone, file);
}


/* About two chains for each entry.  Entries are zeroed by the kernel and are
   not touched before they are used. */

static ngx_int_t
ngx_ucan_revocation_create(ngx_shm_zone_t *zone, ngx_slab_pool_t *pool)
{
    size_t                      size;
    ngx_uint_t                  chains;
    ngx_ucan_revocation_set_t  *set;

    pool->log_nomem = 0;

    chains = 256;

    while (chains * 2 * sizeof(void *) <= zone->shm.size / 6) {
        chains *= 2;
    }

    set = ngx_slab_calloc(pool, sizeof(ngx_ucan_revocation_set_t));

    if (set == NULL) {
        return NGX_ERROR;
    }

    set->chains = ngx_slab_calloc(pool, chains * sizeof(void *));

    if (set->chains == NULL) {
        return NGX_ERROR;
    }

    /* all that is left in one piece */

    for (size = zone->shm.size; size >= ngx_pagesize; size -= ngx_pagesize) {

        set->entries = ngx_slab_alloc(pool, size);

        if (set->entries) {
            break;
        }
    }

    if (set->entries == NULL) {
        return NGX_ERROR;
    }

    set->version = NGX_UCAN_REVOCATION_VERSION;
    set->mask = chains - 1;
    set->capacity = size / sizeof(ngx_ucan_revocation_entry_t);

    /* digests can be made up: who could tell the chain would fill one */
    randombytes_buf(set->secret, sizeof(set->secret));

    pool->data = set;
    zone->data = set;

    return NGX_OK;
}


static void
ngx_ucan_revocation_probe(ngx_ucan_revocation_set_t *set,
    ngx_ucan_revocation_probe_t *probe, ngx_uint_t kind, const cid_t *cid,
    bytes_t by)
{
    uint64_t  hash;

    if (kind == NGX_UCAN_REVOCATION_BY) {
        ucan_revocation_key(probe->key, cid, by);

    } else {
        ngx_memcpy(probe->key, cid->digest, CID_DIGEST_LEN);
    }

    crypto_shorthash((u_char *) &hash, probe->key, sizeof(probe->key),
                     set->secret);

    probe->kind = kind;
    probe->chain = &set->chains[hash & set->mask];
}


ngx_int_t
ngx_ucan_revocation_add(ngx_shm_zone_t *zone,
    const ngx_ucan_revocation_item_t *item)
{
    ngx_int_t                    rc;
    ngx_uint_t                   i, n;
    ngx_slab_pool_t             *pool;
    ngx_ucan_revocation_set_t   *set;
    ngx_ucan_revocation_probe_t  probes[2];

    set = zone->data;
    pool = (ngx_slab_pool_t *) zone->shm.addr;

    if (item->by.len == 0) {
        n = 1;
        ngx_ucan_revocation_probe(set, &probes[0], NGX_UCAN_REVOCATION_ALL,
                                  &item->cid, item->by);

    } else {
        n = 2;
        ngx_ucan_revocation_probe(set, &probes[0], NGX_UCAN_REVOCATION_BY,
                                  &item->cid, item->by);
        ngx_ucan_revocation_probe(set, &probes[1], NGX_UCAN_REVOCATION_MARK,
                                  &item->cid, item->by);
    }

    rc = NGX_OK;

    ngx_shmtx_lock(&pool->mutex);

    for (i = 0; i < n && rc == NGX_OK; i++) {
        probes[i].until = item->until;
        probes[i].round = (uint32_t) item->round;

        rc = ngx_ucan_revocation_add_locked(set, &probes[i]);
    }

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
    const ngx_ucan_revocation_probe_t *probe)
{
    ngx_ucan_revocation_entry_t  *entry;

    if (ngx_ucan_revocation_prolong_locked(set, probe)) {
        return NGX_OK;
    }

    ngx_ucan_revocation_expire_locked(set, NGX_UCAN_REVOCATION_LOOK);

    entry = ngx_ucan_revocation_take_locked(set);

    if (entry == NULL) {
        ngx_ucan_revocation_expire_locked(set, set->capacity);
        entry = ngx_ucan_revocation_take_locked(set);
    }

    if (entry == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(entry->key, probe->key, sizeof(entry->key));
    entry->until = probe->until;
    entry->round = probe->round;
    entry->kind = probe->kind;
    entry->next = *probe->chain;

    ngx_memory_barrier();

    *probe->chain = entry;

    (void) ngx_atomic_fetch_add(&set->count, 1);
    (void) ngx_atomic_fetch_add(&set->generation, 1);

    return NGX_OK;
}


/* One of a file and one for good stand beside each other: the first may go
   again. */

static ngx_uint_t
ngx_ucan_revocation_prolong_locked(ngx_ucan_revocation_set_t *set,
    const ngx_ucan_revocation_probe_t *probe)
{
    ngx_ucan_revocation_entry_t  *entry;

    for (entry = *probe->chain; entry; entry = entry->next) {

        if (entry->kind != probe->kind
            || (entry->round != 0) != (probe->round != 0)
            || ngx_memcmp(entry->key, probe->key, sizeof(entry->key)) != 0)
        {
            continue;
        }

        /* a later reading of the file says how long; lines of one reading
           add up */

        if (entry->round < probe->round) {
            entry->round = probe->round;
            entry->until = probe->until;

        } else if (probe->until == 0
                   || (entry->until != 0 && entry->until < probe->until))
        {
            entry->until = probe->until;
        }

        /* whoever linked it may have been killed before it said so */
        (void) ngx_atomic_fetch_add(&set->generation, 1);

        return 1;
    }

    return 0;
}


static ngx_ucan_revocation_entry_t *
ngx_ucan_revocation_take_locked(ngx_ucan_revocation_set_t *set)
{
    ngx_ucan_revocation_entry_t  *entry;

    entry = set->free;

    if (entry) {
        set->free = entry->next;
        return entry;
    }

    if (set->fresh == set->capacity) {
        return NULL;
    }

    return &set->entries[set->fresh++];
}


/* Looks at the n entries that were not looked at for longest. */

static void
ngx_ucan_revocation_expire_locked(ngx_ucan_revocation_set_t *set,
    ngx_uint_t n)
{
    int64_t                       now;
    ngx_ucan_revocation_entry_t  *entry;

    now = ngx_time() - NGX_UCAN_REVOCATION_GRACE;

    for (n = ngx_min(n, set->fresh); n; n--) {

        if (set->hand >= set->fresh) {
            set->hand = 0;
        }

        entry = &set->entries[set->hand++];

        if (entry->kind != NGX_UCAN_REVOCATION_FREE
            && entry->until != 0
            && entry->until < now)
        {
            ngx_ucan_revocation_free_locked(set, entry);
        }
    }
}


static void
ngx_ucan_revocation_free_locked(ngx_ucan_revocation_set_t *set,
    ngx_ucan_revocation_entry_t *entry)
{
    uint64_t                       hash;
    ngx_ucan_revocation_entry_t  **p;

    crypto_shorthash((u_char *) &hash, entry->key, sizeof(entry->key),
                     set->secret);

    for (p = &set->chains[hash & set->mask]; *p; p = &(*p)->next) {

        if (*p == entry) {
            *p = entry->next;
            break;
        }
    }

    entry->kind = NGX_UCAN_REVOCATION_FREE;
    entry->next = set->free;

    ngx_memory_barrier();

    set->free = entry;

    (void) ngx_atomic_fetch_add(&set->count, -1);
}


ngx_uint_t
ngx_ucan_revocation_round(ngx_shm_zone_t *zone)
{
    ngx_uint_t                  round;
    ngx_slab_pool_t            *pool;
    ngx_ucan_revocation_set_t  *set;

    set = zone->data;
    pool = (ngx_slab_pool_t *) zone->shm.addr;

    ngx_shmtx_lock(&pool->mutex);

    round = ++set->round;

    ngx_shmtx_unlock(&pool->mutex);

    return round;
}


void
ngx_ucan_revocation_sweep(ngx_shm_zone_t *zone, ngx_uint_t round)
{
    ngx_uint_t                    i, last, dropped;
    ngx_slab_pool_t              *pool;
    ngx_ucan_revocation_set_t    *set;
    ngx_ucan_revocation_entry_t  *entry;

    set = zone->data;
    pool = (ngx_slab_pool_t *) zone->shm.addr;
    dropped = 0;

    for (i = 0; i < set->capacity; i = last) {

        last = ngx_min(i + NGX_UCAN_REVOCATION_BATCH, set->capacity);

        ngx_shmtx_lock(&pool->mutex);

        last = ngx_min(last, set->fresh);

        for ( /* void */ ; i < last; i++) {

            entry = &set->entries[i];

            if (entry->kind != NGX_UCAN_REVOCATION_FREE
                && entry->round != 0
                && entry->round < round)
            {
                ngx_ucan_revocation_free_locked(set, entry);
                dropped = 1;
            }
        }

        last = (last == set->fresh) ? set->capacity : last;

        ngx_shmtx_unlock(&pool->mutex);
    }

    if (dropped) {
        (void) ngx_atomic_fetch_add(&set->generation, 1);
    }
}


ucan_revoked_t
ngx_ucan_revocation_find(void *data, const cid_t *cid)
{
    ngx_ucan_main_conf_t *mcf = data;

    bytes_t                       none;
    ucan_revoked_t                revoked;
    ngx_slab_pool_t              *pool;
    ngx_ucan_revocation_set_t    *set;
    ngx_ucan_revocation_probe_t   probe;
    ngx_ucan_revocation_entry_t  *entry;

    if (mcf->revocation_zone == NULL) {
        return UCAN_REVOKED_NOT;
    }

    set = mcf->revocation_zone->data;
    none = bytes_make(NULL, 0);
    ngx_ucan_revocation_probe(set, &probe, NGX_UCAN_REVOCATION_ALL, cid,
                              none);

    if (*(ngx_ucan_revocation_entry_t *volatile *) probe.chain == NULL) {
        return UCAN_REVOKED_NOT;
    }

    revoked = UCAN_REVOKED_NOT;
    pool = (ngx_slab_pool_t *) mcf->revocation_zone->shm.addr;

    ngx_shmtx_lock(&pool->mutex);

    for (entry = *probe.chain; entry; entry = entry->next) {

        if (entry->kind == NGX_UCAN_REVOCATION_BY
            || ngx_memcmp(entry->key, probe.key, sizeof(entry->key)) != 0)
        {
            continue;
        }

        if (entry->kind == NGX_UCAN_REVOCATION_ALL) {
            revoked = UCAN_REVOKED_ALL;
            break;
        }

        revoked = UCAN_REVOKED_BY;
    }

    ngx_shmtx_unlock(&pool->mutex);

    return revoked;
}


int
ngx_ucan_revocation_find_by(void *data, const cid_t *cid, bytes_t did)
{
    ngx_ucan_main_conf_t *mcf = data;

    ngx_slab_pool_t              *pool;
    ngx_ucan_revocation_set_t    *set;
    ngx_ucan_revocation_probe_t   probe;
    ngx_ucan_revocation_entry_t  *entry;

    if (mcf->revocation_zone == NULL) {
        return 0;
    }

    set = mcf->revocation_zone->data;
    ngx_ucan_revocation_probe(set, &probe, NGX_UCAN_REVOCATION_BY, cid, did);

    pool = (ngx_slab_pool_t *) mcf->revocation_zone->shm.addr;

    ngx_shmtx_lock(&pool->mutex);

    for (entry = *probe.chain; entry; entry = entry->next) {

        if (entry->kind == NGX_UCAN_REVOCATION_BY
            && ngx_memcmp(entry->key, probe.key, sizeof(entry->key)) == 0)
        {
            break;
        }
    }

    ngx_shmtx_unlock(&pool->mutex);

    return entry != NULL;
}


ngx_uint_t
ngx_ucan_revocation_generation(ngx_shm_zone_t *zone)
{
    ngx_ucan_revocation_set_t  *set;

    set = zone->data;

    return set->generation;
}


ngx_uint_t
ngx_ucan_revocation_count(ngx_shm_zone_t *zone)
{
    ngx_ucan_revocation_set_t  *set;

    set = zone->data;

    return set->count;
}
