/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The steps from a text to a session: cache, parse, proofs that are kept
 * elsewhere, signatures, chain.
 *
 * Begins and ends on the event loop.  Whoever waits may leave at any time
 * (ngx_ucan_open_cancel()): what is under way then ends by itself.
 */


#ifndef _NGX_UCAN_OPEN_H_INCLUDED_
#define _NGX_UCAN_OPEN_H_INCLUDED_


#include "ngx_mesh_job.h"
#include "ngx_ucan_conf.h"


typedef struct ngx_ucan_open_s  ngx_ucan_open_t;

/* The verdict is there; may free what open lies in. */
typedef void (*ngx_ucan_open_pt)(ngx_ucan_open_t *open);

/* Fills the facts of the request that is asked for; called on the stack of
   ngx_ucan_open_start(), if at all.  NGX_OK, NGX_DECLINED: there are none,
   NGX_ERROR: out of memory. */
typedef ngx_int_t (*ngx_ucan_open_facts_pt)(ngx_ucan_open_t *open,
    ucan_http_t *http);


/* In the pool of whoever asks; zeroed before it is filled. */
struct ngx_ucan_open_s {
    const ngx_ucan_loc_conf_t  *lcf;      /* with a trust */
    bytes_t                     text[2];  /* token and proofs; borrowed until
                                             ngx_ucan_open_start() returned */
    ngx_ucan_open_facts_pt      facts;    /* NULL: there are none */
    ngx_ucan_open_pt            handler;  /* NULL: all is done at once, on the
                                             event loop, and nothing is looked
                                             up in the store */
    void                       *data;     /* of who asks */

    /* the answer */
    ucan_verdict_t              verdict;
    ngx_ucan_session_t         *session;  /* a reference that is the asker's,
                                             to be released or taken over; of
                                             a refused one too, for
                                             ngx_ucan_session_describe(); or
                                             NULL */
    unsigned                    busy:1;   /* no verdict: too much to do */
    unsigned                    partial:1;    /* refused for want of proofs
                                             that the store may have */

    unsigned                    waiting:1;    /* for what this says */
    unsigned                    looking:1;    /* private: for the store */
    unsigned                    unsure:1;     /* private: it did not answer */
    ngx_mesh_job_t             *job;      /* private: for a thread */
    ngx_uint_t                  rounds;   /* private: questions to the store */
};


/* NGX_OK: the answer is there.  NGX_AGAIN: handler will be called with it,
   later, unless it is cancelled before. */
ngx_int_t ngx_ucan_open_start(ngx_ucan_open_t *open);

/* Cuts open loose from what it waits for, and gives back its session; may be
   called more than once. */
void ngx_ucan_open_cancel(ngx_ucan_open_t *open);


#endif /* _NGX_UCAN_OPEN_H_INCLUDED_ */
