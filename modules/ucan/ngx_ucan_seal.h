/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Tokens whose signature was found good, in a shared zone: no worker checks
 * again what any of them has checked, and a reload forgets nothing.
 *
 * Holds that a token is well formed and signed by its issuer, which is true
 * for ever, and nothing else: time, audience, revocation and authority are
 * asked anew each time.
 */


#ifndef _NGX_UCAN_SEAL_H_INCLUDED_
#define _NGX_UCAN_SEAL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "cid.h"


#define NGX_UCAN_SEAL_SIZE_MIN      (8 * ngx_pagesize)    /* bytes */
#define NGX_UCAN_SEAL_SIZE_DEFAULT  (4 * 1024 * 1024)     /* 16 a token */


/* The init handler of the zone. */
ngx_int_t ngx_ucan_seal_init(ngx_shm_zone_t *zone, void *data);

/* 1 when the token with that CID, which was computed over its very bytes, is
   known to be signed.  Takes no lock. */
ngx_uint_t ngx_ucan_seal_find(ngx_shm_zone_t *zone, const cid_t *cid);

/* Remembers one, in the place of another when it must.  Takes no lock. */
void ngx_ucan_seal_add(ngx_shm_zone_t *zone, const cid_t *cid);

/* How many are remembered, about; data is the zone. */
ngx_uint_t ngx_ucan_seal_count(void *data);


#endif /* _NGX_UCAN_SEAL_H_INCLUDED_ */
