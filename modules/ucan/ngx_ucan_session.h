/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * An opened token: its text, what was taken apart from it, and the chain that
 * was found, in a pool of their own.
 *
 * Shared by counting: requests, jobs and the cache of the worker each hold a
 * reference.  It belongs to the event loop, but for the time of a job (see
 * ngx_ucan_open.c), when nobody else has a reference.
 */


#ifndef _NGX_UCAN_SESSION_H_INCLUDED_
#define _NGX_UCAN_SESSION_H_INCLUDED_


#include "ngx_mesh_principal.h"


#define NGX_UCAN_SESSION_KEY_LEN  16      /* bytes */


typedef struct ngx_ucan_session_s  ngx_ucan_session_t;

struct ngx_ucan_session_s {
    ngx_pool_t           *pool;           /* owned; the session lies in it */
    ngx_uint_t            references;
    size_t                bytes;          /* that it takes, about */
    const ucan_trust_t   *trust;          /* borrowed: configuration */
    bytes_t               text[2];        /* token and proofs, copied */
    ucan_bundle_t         bundle;
    ucan_chain_t          chain;
    ucan_http_t          *http;           /* facts an invocation was opened
                                             with, copied; or NULL */
    ngx_uint_t            generation;     /* of revocations at the last walk */
    time_t                checked;        /* when that was, seconds */
    ngx_uint_t            known;          /* signatures that were known as
                                             good before that */
    u_char                cid[CID_TEXT_LEN];       /* of the top */

    /* of ngx_ucan_cache, which holds a reference while cached is set */
    ngx_queue_t           queue;
    ngx_ucan_session_t   *next;           /* in the same bucket */
    u_char                key[NGX_UCAN_SESSION_KEY_LEN];
    unsigned              cached:1;
};


/* Why nobody was authenticated; issuer borrows from the session. */
typedef struct {
    ucan_verdict_t  verdict;
    cid_t           cid;          /* of the token that failed */
    bytes_t         issuer;       /* of the top token; may be empty */
    unsigned        has_cid:1;
} ngx_ucan_refusal_t;


/* One with a reference for the caller; copies text (token and proofs, within
   the limits of trust).  NULL: out of memory. */
ngx_ucan_session_t *ngx_ucan_session_create(const ucan_trust_t *trust,
    const bytes_t text[2]);

/* Takes the text apart. */
ucan_verdict_t ngx_ucan_session_parse(ngx_ucan_session_t *s);

/* Adds a token that was found elsewhere; copies raw. */
ucan_verdict_t ngx_ucan_session_add(ngx_ucan_session_t *s, bytes_t raw);

/* Copies the facts of the request that an invocation is for.  NGX_OK,
   NGX_ERROR: out of memory. */
ngx_int_t ngx_ucan_session_facts(ngx_ucan_session_t *s,
    const ucan_http_t *http);

/* 1 when the top is an invocation for one request, which is neither sealed
   nor kept. */
ngx_uint_t ngx_ucan_session_single(const ngx_ucan_session_t *s);

/* 1 when some policy may look at the facts of a request. */
ngx_uint_t ngx_ucan_session_asks(const ngx_ucan_session_t *s);

/* What the signatures weigh (ucan_token_weight()) that may have to be checked
   yet; those that zone (NULL: none)
   knows as good are taken as checked from here on. */
ngx_uint_t ngx_ucan_session_unchecked(ngx_ucan_session_t *s,
    ngx_shm_zone_t *zone);

/* Tokens whose signature was found to be so. */
ngx_uint_t ngx_ucan_session_count(const ngx_ucan_session_t *s,
    ucan_token_seal_t seal);

/* What ngx_ucan_session_walk() is to note: the time of now (seconds) and the
   generation of revocations, both read before it. */
void ngx_ucan_session_begin(ngx_ucan_session_t *s);

/* Opens the chain.  Touches the session and, through trust, the shared set of
   revocations: may run in a thread of a pool.  With all, every signature of
   a session that was opened is checked, so that none is left for later. */
ucan_verdict_t ngx_ucan_session_walk(ngx_ucan_session_t *s, ngx_uint_t all);

/* After a walk that opened it: writes the CID, and tells zone (NULL: none)
   of the signatures that are good. */
void ngx_ucan_session_seal(ngx_ucan_session_t *s, ngx_shm_zone_t *zone);

/* After a walk that did not. */
void ngx_ucan_session_describe(const ngx_ucan_session_t *s,
    ngx_ucan_refusal_t *refusal);

/* UCAN_OK while it is neither expired nor revoked: walks again only when the
   time or a revocation gives a reason to. */
ucan_verdict_t ngx_ucan_session_alive(ngx_ucan_session_t *s);

/* Fills what is published of it; the texts borrow from the session. */
void ngx_ucan_session_publish(ngx_ucan_session_t *s,
    ngx_mesh_principal_t *p);

/* The session that a chain is part of. */
ngx_ucan_session_t *ngx_ucan_session_of(ucan_chain_t *chain);

/* One reference more; one less, the last of which frees it. */
ngx_ucan_session_t *ngx_ucan_session_take(ngx_ucan_session_t *s);
void ngx_ucan_session_release(ngx_ucan_session_t *s);


#endif /* _NGX_UCAN_SESSION_H_INCLUDED_ */
