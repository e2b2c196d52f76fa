/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * A table of tags in shared memory, read and written by all workers at once
 * and without a lock.
 *
 *     set    +-------- often used -------+--------- newcomers --------+
 *     0      | tag | tag | tag | tag     | tag | tag | tag | tag      |
 *     1      | ...                                                    |
 *
 *     tag    128 bits: SipHash-2-4 of codec and digest, under a key that is
 *            made with the zone and is known to nobody outside
 *
 * A tag that is found among the newcomers changes places with one that is
 * often used; a new one replaces a newcomer only.  So a flood of tokens that
 * are used once takes the place of each other.
 *
 * Why no lock is needed.  There is no structure that could be half done: a
 * tag is two words, each is read and written whole, and a tag that is in the
 * table twice, or was lost by two workers writing at once, costs one more
 * check of a signature.  What matters is that nobody is found who was not
 * added.  Reader and writers may meet such that the two words come from two
 * tags, and a worker may be killed between them; but tags are the output of
 * a keyed function, so which token such a pair would stand for is known to
 * nobody, and that it is a forged one that is being presented has the chance
 * of guessing 128 bits.
 */


#include <sodium.h>

#include "ngx_ucan_seal.h"


#define NGX_UCAN_SEAL_VERSION  1
#define NGX_UCAN_SEAL_WAYS     8       /* tags of a set: two cache lines */
#define NGX_UCAN_SEAL_HALF     4       /* of them, often used */
#define NGX_UCAN_SEAL_INPUT    (1 + CID_DIGEST_LEN)


typedef struct {
    uint64_t             word[2];      /* 0, 0: free */
} ngx_ucan_seal_tag_t;


typedef struct {
    ngx_ucan_seal_tag_t  tags[NGX_UCAN_SEAL_WAYS];
} ngx_ucan_seal_set_t;


/* In shared memory; only the sets change after it was made. */
typedef struct {
    ngx_uint_t            version;
    ngx_uint_t            count;       /* of sets */
    ngx_atomic_t          used;        /* tags that are not free, about */
    u_char                key[crypto_shorthash_siphashx24_KEYBYTES];
    ngx_ucan_seal_set_t  *sets;
} ngx_ucan_seal_t;


_Static_assert(crypto_shorthash_siphashx24_BYTES
               == sizeof(ngx_ucan_seal_tag_t), "a tag is a hash");


static ngx_ucan_seal_set_t *ngx_ucan_seal_locate(const ngx_ucan_seal_t *seal,
    const cid_t *cid, ngx_ucan_seal_tag_t *tag);
static ngx_uint_t ngx_ucan_seal_search(ngx_ucan_seal_set_t *set,
    const ngx_ucan_seal_tag_t *tag);
static ngx_ucan_seal_tag_t ngx_ucan_seal_read(const ngx_ucan_seal_tag_t *at);
static void ngx_ucan_seal_write(ngx_ucan_seal_tag_t *at,
    const ngx_ucan_seal_tag_t *tag);


ngx_int_t
ngx_ucan_seal_init(ngx_shm_zone_t *zone, void *data)
{
    size_t            size;
    ngx_slab_pool_t  *pool;
    ngx_ucan_seal_t  *seal;

    if (data) {
        zone->data = data;
        return NGX_OK;
    }

    pool = (ngx_slab_pool_t *) zone->shm.addr;

    if (zone->shm.exists) {
        seal = pool->data;

        if (seal->version != NGX_UCAN_SEAL_VERSION) {
            ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                          "ucan: zone \"%V\" is of another version",
                          &zone->shm.name);
            return NGX_ERROR;
        }

        zone->data = seal;
        return NGX_OK;
    }

    pool->log_nomem = 0;

    seal = ngx_slab_calloc(pool, sizeof(ngx_ucan_seal_t));

    if (seal == NULL) {
        return NGX_ERROR;
    }

    /* as many whole pages as the slab pool gives in one piece */

    for (size = zone->shm.size; size >= ngx_pagesize; size -= ngx_pagesize) {
        seal->sets = ngx_slab_calloc(pool, size);

        if (seal->sets) {
            break;
        }
    }

    if (seal->sets == NULL) {
        return NGX_ERROR;
    }

    seal->version = NGX_UCAN_SEAL_VERSION;
    seal->count = size / sizeof(ngx_ucan_seal_set_t);
    randombytes_buf(seal->key, sizeof(seal->key));

    pool->data = seal;
    zone->data = seal;

    return NGX_OK;
}


ngx_uint_t
ngx_ucan_seal_find(ngx_shm_zone_t *zone, const cid_t *cid)
{
    ngx_uint_t            i;
    ngx_ucan_seal_t      *seal;
    ngx_ucan_seal_tag_t   tag, other;
    ngx_ucan_seal_set_t  *set;

    seal = zone->data;
    set = ngx_ucan_seal_locate(seal, cid, &tag);
    i = ngx_ucan_seal_search(set, &tag);

    if (i == NGX_UCAN_SEAL_WAYS) {
        return 0;
    }

    if (i >= NGX_UCAN_SEAL_HALF) {
        other = ngx_ucan_seal_read(&set->tags[i - NGX_UCAN_SEAL_HALF]);

        ngx_ucan_seal_write(&set->tags[i - NGX_UCAN_SEAL_HALF], &tag);
        ngx_ucan_seal_write(&set->tags[i], &other);
    }

    return 1;
}


void
ngx_ucan_seal_add(ngx_shm_zone_t *zone, const cid_t *cid)
{
    ngx_uint_t            i;
    ngx_ucan_seal_t      *seal;
    ngx_ucan_seal_tag_t   tag, none;
    ngx_ucan_seal_set_t  *set;

    seal = zone->data;
    set = ngx_ucan_seal_locate(seal, cid, &tag);

    if (ngx_ucan_seal_search(set, &tag) != NGX_UCAN_SEAL_WAYS) {
        return;
    }

    ngx_memzero(&none, sizeof(none));
    i = ngx_ucan_seal_search(set, &none);

    if (i == NGX_UCAN_SEAL_WAYS) {
        i = NGX_UCAN_SEAL_HALF
            + tag.word[1] % (NGX_UCAN_SEAL_WAYS - NGX_UCAN_SEAL_HALF);

    } else {
        (void) ngx_atomic_fetch_add(&seal->used, 1);
    }

    ngx_ucan_seal_write(&set->tags[i], &tag);
}


ngx_uint_t
ngx_ucan_seal_count(void *data)
{
    ngx_shm_zone_t *zone = data;

    ngx_ucan_seal_t  *seal;

    seal = zone->data;

    return seal->used;
}


static ngx_ucan_seal_set_t *
ngx_ucan_seal_locate(const ngx_ucan_seal_t *seal, const cid_t *cid,
    ngx_ucan_seal_tag_t *tag)
{
    u_char  input[NGX_UCAN_SEAL_INPUT];

    input[0] = cid->codec;
    ngx_memcpy(input + 1, cid->digest, CID_DIGEST_LEN);

    (void) crypto_shorthash_siphashx24((u_char *) tag, input, sizeof(input),
                                       seal->key);

    /* the upper half of a word times the count, in place of a division */

    return &seal->sets[(tag->word[0] >> 32) * seal->count >> 32];
}


/* The place of a tag in its set; NGX_UCAN_SEAL_WAYS: none. */

static ngx_uint_t
ngx_ucan_seal_search(ngx_ucan_seal_set_t *set, const ngx_ucan_seal_tag_t *tag)
{
    ngx_uint_t           i;
    ngx_ucan_seal_tag_t  found;

    for (i = 0; i < NGX_UCAN_SEAL_WAYS; i++) {
        found = ngx_ucan_seal_read(&set->tags[i]);

        if (((found.word[0] ^ tag->word[0]) | (found.word[1] ^ tag->word[1]))
            == 0)
        {
            break;
        }
    }

    return i;
}


static ngx_ucan_seal_tag_t
ngx_ucan_seal_read(const ngx_ucan_seal_tag_t *at)
{
    ngx_ucan_seal_tag_t  tag;

    tag.word[0] = __atomic_load_n(&at->word[0], __ATOMIC_RELAXED);
    tag.word[1] = __atomic_load_n(&at->word[1], __ATOMIC_RELAXED);

    return tag;
}


static void
ngx_ucan_seal_write(ngx_ucan_seal_tag_t *at, const ngx_ucan_seal_tag_t *tag)
{
    __atomic_store_n(&at->word[0], tag->word[0], __ATOMIC_RELAXED);
    __atomic_store_n(&at->word[1], tag->word[1], __ATOMIC_RELAXED);
}
