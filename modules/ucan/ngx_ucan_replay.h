/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Invocations that were used, in a shared zone: each counts once, in every
 * worker, until its end has passed.
 */


#ifndef _NGX_UCAN_REPLAY_H_INCLUDED_
#define _NGX_UCAN_REPLAY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ucan_token.h"


#define NGX_UCAN_REPLAY_SIZE_MIN      (8 * ngx_pagesize)    /* bytes */
#define NGX_UCAN_REPLAY_SIZE_DEFAULT  (8 * 1024 * 1024)
#define NGX_UCAN_REPLAY_DIGEST_LEN    CID_DIGEST_LEN        /* bytes */


/* The init handler of the zone. */
ngx_int_t ngx_ucan_replay_init(ngx_shm_zone_t *zone, void *data);

/* What an invocation is remembered by: SHA-256 of what was signed, not of the
   envelope, since ECDSA signatures can be changed into others that verify.
   Writes NGX_UCAN_REPLAY_DIGEST_LEN bytes. */
void ngx_ucan_replay_digest(u_char *digest, const ucan_token_t *invocation);

/* Remembers it until then (seconds).  NGX_OK: it was not known; NGX_DECLINED:
   it was used before; NGX_BUSY: the zone is full of others that still count
   (logged), and the caller must refuse. */
ngx_int_t ngx_ucan_replay_use(ngx_shm_zone_t *zone, const u_char *digest,
    time_t until);

/* How many are remembered now. */
ngx_uint_t ngx_ucan_replay_count(ngx_shm_zone_t *zone);


#endif /* _NGX_UCAN_REPLAY_H_INCLUDED_ */
