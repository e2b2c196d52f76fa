/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Sessions that this worker opened, found again by their very text: what was
 * taken apart and checked once is not taken apart and checked again.
 *
 * Holds sessions that were opened, never a refusal and never an invocation
 * that is used once.  A hit says nothing about time, revocation or what the
 * session allows: who asks, asks that again.
 */


#ifndef _NGX_UCAN_CACHE_H_INCLUDED_
#define _NGX_UCAN_CACHE_H_INCLUDED_


#include "ngx_ucan_session.h"


#define NGX_UCAN_CACHE_ENTRIES  1024                  /* by default */
#define NGX_UCAN_CACHE_BYTES    (8 * 1024 * 1024)


typedef struct ngx_ucan_cache_s  ngx_ucan_cache_t;


/* An empty one, freed with pool; entries is at least 1, bytes bounds what the
   sessions take.  NULL: out of memory. */
ngx_ucan_cache_t *ngx_ucan_cache_create(ngx_pool_t *pool, ngx_uint_t entries,
    size_t bytes);

/* The living session of that text, token and proofs, which was opened by that
   trust, with a reference for the caller; or NULL. */
ngx_ucan_session_t *ngx_ucan_cache_find(ngx_ucan_cache_t *cache,
    const ucan_trust_t *trust, const bytes_t text[2]);

/* Keeps an opened one, in the place of those that were not used for longest
   and of one with the same text. */
void ngx_ucan_cache_add(ngx_ucan_cache_t *cache, ngx_ucan_session_t *s);


#endif /* _NGX_UCAN_CACHE_H_INCLUDED_ */
