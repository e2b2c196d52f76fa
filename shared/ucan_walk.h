/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What the two walks, over 0.x and over 1.0 proofs, have in common.  For
 * ucan_chain.c, the walks, and whoever makes tokens and needs the path itself.
 *
 * A walk goes from the holder towards a root, breadth first, and looks at
 * each state (a token, in 0.x a token and one of its capabilities) once: the
 * shortest chain is found, and no graph of proofs, however tangled, costs
 * more than its number of pairs.
 *
 * A token that somebody else than its issuer revoked is tainted: it is void
 * on those paths on which that somebody stands above it.  So a walk carries
 * the taints below a state along, and looks at a state again when it comes
 * there with taints that none of its earlier visits was free of.  Paths that
 * avoid pairs of tokens are a hard problem in general; the visits of one walk
 * are bounded by the entries of its queue and the questions by the work, and
 * beyond either the answer is no.  Without a taint nothing of it costs
 * anything.
 */


#ifndef _UCAN_WALK_H_INCLUDED_
#define _UCAN_WALK_H_INCLUDED_


#include "cbor.h"
#include "ucan_caveat.h"
#include "ucan_chain.h"


#define UCAN_WALK_WORK_MAX  (1024 * 1024)     /* bytes compared in one walk */
#define UCAN_WALK_FOREVER   INT64_MAX


#define UCAN_WALK_NONE  0xffff    /* no entry of a queue */


typedef enum {
    UCAN_WALK_UNKNOWN = 0,
    UCAN_WALK_ADMITTED,
    UCAN_WALK_REFUSED
} ucan_walk_state_t;


/* Tokens of a bundle by index. */
typedef uint64_t  ucan_walk_set_t;

_Static_assert(UCAN_TOKEN_COUNT_MAX <= 8 * sizeof(ucan_walk_set_t), "bits");


typedef struct {
    ucan_bundle_t       *bundle;      /* borrowed, as trust */
    const ucan_trust_t  *trust;
    int64_t              now;
    size_t               work;        /* bytes that may still be compared */

    /* writes the args (DAG-CBOR) that policies look at, when the first of
       them asks; NULL: they were given, or are the invocation's own */
    ucan_verdict_t     (*write_args)(void *data, bytes_t *args);
    void                *data;
    int                  args_read;
    cbor_item_t          args;        /* once one has asked */
    int                  facts;       /* the HTTP request is among them */

    /* the closest refusal so far */
    ucan_verdict_t       verdict;     /* UCAN_OK: none */
    const ucan_token_t  *failed;      /* or NULL */

    /* the path, once found */
    bytes_t              root;
    int64_t              expires;     /* seconds, least of its tokens */
    size_t               depth;       /* tokens, top included */
    const ucan_token_t  *path[UCAN_TOKEN_COUNT_MAX];    /* root first, top
                                         left out */
    size_t               path_count;

    /* memo of ucan_walk_admit() by index of the token: a state */
    uint8_t              states[UCAN_TOKEN_COUNT_MAX];
    ucan_walk_set_t      tainted;     /* of those admitted */
} ucan_walk_t;


/* What a 0.x chain must cover; with.len 0: anything at all. */
typedef struct {
    bytes_t              with;
    bytes_t              can;
    ucan_caveat_facts_t  facts;
    unsigned             prefix:1;    /* as ucan_resource_t */
} ucan_walk_want_t;


/* Begins one walk; bundle and trust stay the caller's and must outlive it. */
void ucan_walk_open(ucan_walk_t *walk, ucan_bundle_t *bundle,
    const ucan_trust_t *trust, int64_t now);

/* Remembers a refusal when it is closer to success than the last one; token
   may be NULL. */
void ucan_walk_note(ucan_walk_t *walk, ucan_verdict_t verdict,
    const ucan_token_t *token);

/* The refusal remembered; when there is none, "fallback". */
ucan_verdict_t ucan_walk_refusal(const ucan_walk_t *walk,
    ucan_verdict_t fallback);

/* Time, revocation and signature of one token, in this order: UCAN_OK, or
   the first that failed, which is noted.  A signature that trust->sealed()
   knows is not checked, a good one is told to trust->seal(). */
ucan_verdict_t ucan_walk_admit(ucan_walk_t *walk, ucan_token_t *token);

/* The token as a set when it was admitted and is tainted, else the empty
   one.  Token may be NULL. */
ucan_walk_set_t ucan_walk_taint(const ucan_walk_t *walk,
    const ucan_token_t *token);

/* 1 when the issuer of a token revoked one of the tainted tokens below it,
   which is noted. */
int ucan_walk_severed(ucan_walk_t *walk, ucan_walk_set_t taints,
    const ucan_token_t *above);

/* 1 when the token is an invocation that is used once: its signature is
   remembered by nobody. */
int ucan_walk_once(const ucan_token_t *token);

/* Takes steps (about one for each byte compared) from the work that is left;
   0 when that is none. */
int ucan_walk_spend(ucan_walk_t *walk, size_t steps);

/* 1 when did is a trust anchor. */
int ucan_walk_anchored(const ucan_walk_t *walk, bytes_t did);

/* Takes the expiry of a token of the path into account. */
void ucan_walk_lessen(ucan_walk_t *walk, const ucan_token_t *token);


/* 1.0: a chain of delegations from an anchor to holder.  "command" empty:
   any; else all policies must hold for args (DAG-CBOR), which
   walk->write_args() writes when it is set. */
ucan_verdict_t ucan_walk_v1_find(ucan_walk_t *walk, bytes_t holder,
    bytes_t command, bytes_t args);

/* 1.0: the proofs that an invocation lists. */
ucan_verdict_t ucan_walk_v1_follow(ucan_walk_t *walk,
    const ucan_token_t *invocation);

/* 0.x: a chain of proofs from an anchor to the top of the bundle. */
ucan_verdict_t ucan_walk_jwt_find(ucan_walk_t *walk,
    const ucan_walk_want_t *want);

/* 0.x: may proof stand behind token (audience, window)?  UCAN_OK or why
   not. */
ucan_verdict_t ucan_walk_jwt_link(const ucan_token_t *token,
    const ucan_token_t *proof);


#endif /* _UCAN_WALK_H_INCLUDED_ */
