/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Revocations in a shared zone: every worker sees one at once, and the zone
 * outlives reloads.
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


typedef struct {
    cid_t       cid;              /* of the token that is void */
    bytes_t     by;               /* DID of who says so; empty: it is void
                                     whoever issued it */
    time_t      until;            /* seconds; 0: for ever */
    ngx_uint_t  round;            /* 0: for good; else the reading of a file
                                     that has it */
} ngx_ucan_revocation_item_t;


/* The init handler of the zone; zone->data is the ngx_ucan_revocation_file_t
   that it takes what the file says from, or NULL. */
ngx_int_t ngx_ucan_revocation_init(ngx_shm_zone_t *zone, void *data);

/* What is known already keeps the later end.  by is borrowed.  NGX_OK;
   NGX_ERROR: the zone is full of revocations that still count (logged). */
ngx_int_t ngx_ucan_revocation_add(ngx_shm_zone_t *zone,
    const ngx_ucan_revocation_item_t *item);

/* A number for the next reading of a file, greater than those before. */
ngx_uint_t ngx_ucan_revocation_round(ngx_shm_zone_t *zone);

/* Drops what only earlier readings of a file have. */
void ngx_ucan_revocation_sweep(ngx_shm_zone_t *zone, ngx_uint_t round);

/* As ucan_trust_t asks; data is the ngx_ucan_main_conf_t, which may have no
   zone.  From any thread of a worker. */
ucan_revoked_t ngx_ucan_revocation_find(void *data, const cid_t *cid);
int ngx_ucan_revocation_find_by(void *data, const cid_t *cid, bytes_t did);

/* Grows whenever an answer of the two above may have changed. */
ngx_uint_t ngx_ucan_revocation_generation(ngx_shm_zone_t *zone);

/* How many entries there are; some revocations take two. */
ngx_uint_t ngx_ucan_revocation_count(ngx_shm_zone_t *zone);


#endif /* _NGX_UCAN_REVOCATION_H_INCLUDED_ */
