/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The common ground of both walks: which tokens count at all, and which of
 * many refusals is the one to report.
 */


#include "ucan_walk.h"


static ucan_verdict_t check_token(const ucan_walk_t *walk,
    ucan_token_t *token);
static unsigned closeness(ucan_verdict_t verdict);


void
ucan_walk_open(ucan_walk_t *walk, ucan_bundle_t *bundle,
    const ucan_trust_t *trust, int64_t now)
{
    memset(walk, 0, sizeof(ucan_walk_t));

    walk->bundle = bundle;
    walk->trust = trust;
    walk->now = now;
    walk->work = UCAN_WALK_WORK_MAX;
    walk->expires = UCAN_WALK_FOREVER;
}


void
ucan_walk_note(ucan_walk_t *walk, ucan_verdict_t verdict,
    const ucan_token_t *token)
{
    if (closeness(verdict) > closeness(walk->verdict)) {
        walk->verdict = verdict;
        walk->failed = token;
    }
}


ucan_verdict_t
ucan_walk_refusal(const ucan_walk_t *walk, ucan_verdict_t fallback)
{
    return (walk->verdict != UCAN_OK) ? walk->verdict : fallback;
}


ucan_verdict_t
ucan_walk_admit(ucan_walk_t *walk, ucan_token_t *token)
{
    size_t          i;
    ucan_verdict_t  rc;

    i = (size_t) (token - walk->bundle->tokens);

    if (walk->states[i] == UCAN_WALK_ADMITTED) {
        return UCAN_OK;
    }

    rc = check_token(walk, token);

    if (rc != UCAN_OK) {
        walk->states[i] = UCAN_WALK_REFUSED;
        ucan_walk_note(walk, rc, token);
        return rc;
    }

    walk->states[i] = UCAN_WALK_ADMITTED;

    return UCAN_OK;
}


int
ucan_walk_spend(ucan_walk_t *walk, size_t steps)
{
    if (walk->work < steps) {
        walk->work = 0;
        return 0;
    }

    walk->work -= steps;

    return 1;
}


int
ucan_walk_anchored(const ucan_walk_t *walk, bytes_t did)
{
    size_t  i;

    for (i = 0; i < walk->trust->anchor_count; i++) {
        if (bytes_equal(walk->trust->anchors[i], did)) {
            return 1;
        }
    }

    return 0;
}


void
ucan_walk_lessen(ucan_walk_t *walk, const ucan_token_t *token)
{
    if (token->has_exp && token->exp < walk->expires) {
        walk->expires = token->exp;
    }
}


/* Both ends of the window are inside it (reference 4.1, 5.5). */
static ucan_verdict_t
check_token(const ucan_walk_t *walk, ucan_token_t *token)
{
    const ucan_trust_t  *trust;

    trust = walk->trust;

    if (token->has_nbf && walk->now + trust->leeway < token->nbf) {
        return UCAN_NOT_YET;
    }

    if (token->has_exp && walk->now - trust->leeway > token->exp) {
        return UCAN_EXPIRED;
    }

    if (trust->revoked != NULL
        && trust->revoked(trust->data, &token->cid) == UCAN_REVOKED_ALL)
    {
        return UCAN_REVOKED;
    }

    return ucan_token_verify(token);
}


/* How close a refusal came to a yes. */
static unsigned
closeness(ucan_verdict_t verdict)
{
    switch (verdict) {

    case UCAN_OK:
        return 0;

    case UCAN_NOT_COVERED:
        return 1;

    case UCAN_UNTRUSTED_ROOT:
        return 2;

    case UCAN_NO_PROOF:
        return 3;

    case UCAN_BROKEN_CHAIN:
        return 4;

    case UCAN_WRONG_SUBJECT:
        return 5;

    case UCAN_WIDENED:
        return 6;

    case UCAN_OUTLIVES:
        return 7;

    case UCAN_POLICY:
        return 8;

    case UCAN_TOO_DEEP:
        return 9;

    case UCAN_NOT_YET:
        return 10;

    case UCAN_EXPIRED:
        return 11;

    case UCAN_REVOKED:
        return 12;

    case UCAN_BAD_SIGNATURE:
        return 13;

    default:
        return 14;
    }
}
