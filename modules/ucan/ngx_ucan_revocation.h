/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Revoked CIDs in a shared zone: every worker sees a revocation at once, and
 * the zone outlives reloads.
 */


#ifndef _NGX_UCAN_REVOCATION_H_INCLUDED_
#define _NGX_UCAN_REVOCATION_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ucan_chain.h"


#define NGX_UCAN_REVOCATION_SIZE_MIN  (8 * ngx_pagesize)   /* bytes */

/* An entry stays that much longer than it is asked for: a token counts until
   its expiry and ucan_leeway, which is at most this. */
#define NGX_UCAN_REVOCATION_GRACE     3600                  /* seconds */


/* The init handler of the zone. */
ngx_int_t ngx_ucan_revocation_init(ngx_shm_zone_t *zone, void *data);

/* until: seconds, 0: for ever.  A CID that is known keeps the later of both.
   NGX_OK; NGX_ERROR: the zone is full of revocations that still count
   (logged). */
ngx_int_t ngx_ucan_revocation_add(ngx_shm_zone_t *zone, const cid_t *cid,
    time_t until);

/* As ucan_trust_t asks; data is the ngx_ucan_main_conf_t. */
ucan_revoked_t ngx_ucan_revocation_find(void *data, const cid_t *cid);

/* Grows with every revocation that is added. */
ngx_uint_t ngx_ucan_revocation_generation(ngx_shm_zone_t *zone);


#endif /* _NGX_UCAN_REVOCATION_H_INCLUDED_ */
