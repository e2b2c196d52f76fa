/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * A table of buckets and a queue, last used first, on the event loop of one
 * worker; a worker of a new configuration begins with an empty one.
 *
 * The key is SipHash of both texts under secrets of this worker, so that
 * nobody can send many texts into one bucket (BLAKE2b does the same at thrice
 * the price, which is half of what a request with a known token costs); a
 * session is only found when the trust is the same and the texts are, byte by
 * byte.
 */


#include <sodium.h>

#include "ngx_ucan_cache.h"


#define NGX_UCAN_CACHE_LOOK  2      /* entries looked at for each new one */


struct ngx_ucan_cache_s {
    ngx_ucan_session_t  **buckets;    /* [mask + 1] */
    ngx_uint_t            mask;
    ngx_queue_t           queue;      /* last used first */
    ngx_uint_t            entries;
    size_t                bytes;
    ngx_uint_t            entries_max;
    size_t                bytes_max;
    u_char                secret[2][crypto_shorthash_KEYBYTES];
};


_Static_assert(2 * crypto_shorthash_BYTES == NGX_UCAN_SESSION_KEY_LEN,
               "one hash for each of two texts");


static void ngx_ucan_cache_cleanup(void *data);
static void ngx_ucan_cache_key(ngx_ucan_cache_t *cache, u_char *key,
    const bytes_t text[2]);
static ngx_ucan_session_t *ngx_ucan_cache_search(ngx_ucan_cache_t *cache,
    const u_char *key, const ucan_trust_t *trust, const bytes_t text[2]);
static ngx_ucan_session_t **ngx_ucan_cache_bucket(ngx_ucan_cache_t *cache,
    const u_char *key);
static void ngx_ucan_cache_remove(ngx_ucan_cache_t *cache,
    ngx_ucan_session_t *s);
static void ngx_ucan_cache_expire(ngx_ucan_cache_t *cache);


ngx_ucan_cache_t *
ngx_ucan_cache_create(ngx_pool_t *pool, ngx_uint_t entries, size_t bytes)
{
    ngx_uint_t           n;
    ngx_ucan_cache_t    *cache;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_ucan_cache_t));

    if (cln == NULL) {
        return NULL;
    }

    cache = cln->data;
    ngx_memzero(cache, sizeof(ngx_ucan_cache_t));

    for (n = 1; n < entries; n *= 2) { /* void */ }

    cache->buckets = ngx_pcalloc(pool, n * sizeof(ngx_ucan_session_t *));

    if (cache->buckets == NULL) {
        return NULL;
    }

    cache->mask = n - 1;
    cache->entries_max = entries;
    cache->bytes_max = bytes;

    ngx_queue_init(&cache->queue);
    randombytes_buf(cache->secret, sizeof(cache->secret));

    cln->handler = ngx_ucan_cache_cleanup;

    return cache;
}


static void
ngx_ucan_cache_cleanup(void *data)
{
    ngx_ucan_cache_t *cache = data;

    ngx_queue_t  *q;

    while (!ngx_queue_empty(&cache->queue)) {
        q = ngx_queue_head(&cache->queue);
        ngx_ucan_cache_remove(cache,
                              ngx_queue_data(q, ngx_ucan_session_t, queue));
    }
}


ngx_ucan_session_t *
ngx_ucan_cache_find(ngx_ucan_cache_t *cache, const ucan_trust_t *trust,
    const bytes_t text[2])
{
    u_char               key[NGX_UCAN_SESSION_KEY_LEN];
    ngx_ucan_session_t  *s;

    if (cache->entries == 0) {
        return NULL;
    }

    ngx_ucan_cache_key(cache, key, text);

    s = ngx_ucan_cache_search(cache, key, trust, text);

    if (s == NULL) {
        return NULL;
    }

    if (ngx_ucan_session_alive(s) != UCAN_OK) {

        /* why it is refused is found out by opening it again */

        ngx_ucan_cache_remove(cache, s);
        return NULL;
    }

    ngx_queue_remove(&s->queue);
    ngx_queue_insert_head(&cache->queue, &s->queue);

    return ngx_ucan_session_take(s);
}


void
ngx_ucan_cache_add(ngx_ucan_cache_t *cache, ngx_ucan_session_t *s)
{
    ngx_ucan_session_t  *old, **bucket;

    if (s->cached || s->bytes > cache->bytes_max
        || ngx_ucan_session_single(s))
    {
        return;
    }

    ngx_ucan_cache_key(cache, s->key, s->text);

    /* two requests may have opened the same text at once */

    old = ngx_ucan_cache_search(cache, s->key, s->trust, s->text);

    if (old) {
        ngx_ucan_cache_remove(cache, old);
    }

    ngx_ucan_cache_expire(cache);

    while (cache->entries >= cache->entries_max
           || cache->bytes > cache->bytes_max - s->bytes)
    {
        ngx_ucan_cache_remove(cache,
                              ngx_queue_data(ngx_queue_last(&cache->queue),
                                             ngx_ucan_session_t, queue));
    }

    bucket = ngx_ucan_cache_bucket(cache, s->key);

    s->next = *bucket;
    *bucket = s;

    ngx_queue_insert_head(&cache->queue, &s->queue);

    cache->entries++;
    cache->bytes += s->bytes;

    s->cached = 1;
    (void) ngx_ucan_session_take(s);
}


static void
ngx_ucan_cache_key(ngx_ucan_cache_t *cache, u_char *key,
    const bytes_t text[2])
{
    ngx_uint_t  i;

    for (i = 0; i < 2; i++) {
        (void) crypto_shorthash(key + i * crypto_shorthash_BYTES,
                                text[i].data, text[i].len, cache->secret[i]);
    }
}


static ngx_ucan_session_t *
ngx_ucan_cache_search(ngx_ucan_cache_t *cache, const u_char *key,
    const ucan_trust_t *trust, const bytes_t text[2])
{
    ngx_ucan_session_t  *s;

    for (s = *ngx_ucan_cache_bucket(cache, key); s; s = s->next) {

        if (s->trust == trust
            && ngx_memcmp(s->key, key, NGX_UCAN_SESSION_KEY_LEN) == 0
            && bytes_equal(s->text[0], text[0])
            && bytes_equal(s->text[1], text[1]))
        {
            return s;
        }
    }

    return NULL;
}


static ngx_ucan_session_t **
ngx_ucan_cache_bucket(ngx_ucan_cache_t *cache, const u_char *key)
{
    uint64_t  hash[2];

    ngx_memcpy(hash, key, sizeof(hash));

    return &cache->buckets[(hash[0] ^ hash[1]) & cache->mask];
}


/* Others may still hold it. */

static void
ngx_ucan_cache_remove(ngx_ucan_cache_t *cache, ngx_ucan_session_t *s)
{
    ngx_ucan_session_t  **p;

    for (p = ngx_ucan_cache_bucket(cache, s->key); *p != s; p = &(*p)->next) {
        /* void */
    }

    *p = s->next;

    ngx_queue_remove(&s->queue);

    cache->entries--;
    cache->bytes -= s->bytes;

    s->cached = 0;
    ngx_ucan_session_release(s);
}


/* Of what was not used for longest, what has ended by now. */

static void
ngx_ucan_cache_expire(ngx_ucan_cache_t *cache)
{
    ngx_uint_t           n;
    ngx_queue_t         *q;
    ngx_ucan_session_t  *s;

    for (n = 0; n < NGX_UCAN_CACHE_LOOK; n++) {

        if (ngx_queue_empty(&cache->queue)) {
            return;
        }

        q = ngx_queue_last(&cache->queue);
        s = ngx_queue_data(q, ngx_ucan_session_t, queue);

        if (ngx_time() <= s->chain.expires + s->trust->leeway) {
            return;
        }

        ngx_ucan_cache_remove(cache, s);
    }
}
