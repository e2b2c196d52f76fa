/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The common ground of both walks: which tokens count at all, and which of
 * many refusals is the one to report.
 */


#include "ucan_walk.h"


#define UCAN_WALK_QUESTION  64    /* work of asking who revoked a token */


static ucan_verdict_t check_window(const ucan_walk_t *walk,
    const ucan_token_t *token);
static ucan_verdict_t check_revoked(ucan_walk_t *walk,
    ucan_token_t *token);
static int match_revoked_by(const ucan_walk_t *walk, ucan_token_t *token,
    bytes_t did);
static ucan_verdict_t check_signature(const ucan_walk_t *walk,
    ucan_token_t *token);
static ucan_walk_set_t set_of(const ucan_walk_t *walk,
    const ucan_token_t *token);
static unsigned closeness(ucan_verdict_t verdict);


/* Not wiped as a whole: most of it means nothing before it is set. */
void
ucan_walk_open(ucan_walk_t *walk, ucan_bundle_t *bundle,
    const ucan_trust_t *trust, int64_t now)
{
    walk->bundle = bundle;
    walk->trust = trust;
    walk->now = now;
    walk->work = UCAN_WALK_WORK_MAX;
    walk->write_args = NULL;
    walk->data = NULL;
    walk->args_read = 0;
    walk->verdict = UCAN_OK;
    walk->failed = NULL;
    walk->root = bytes_make(NULL, 0);
    walk->expires = UCAN_WALK_FOREVER;
    walk->depth = 0;
    walk->path_count = 0;
    walk->tainted = 0;

    memset(walk->states, UCAN_WALK_UNKNOWN, bundle->count);
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

    rc = check_window(walk, token);

    if (rc == UCAN_OK) {
        rc = check_revoked(walk, token);
    }

    if (rc == UCAN_OK) {
        rc = check_signature(walk, token);
    }

    if (rc != UCAN_OK) {
        walk->states[i] = UCAN_WALK_REFUSED;
        ucan_walk_note(walk, rc, token);
        return rc;
    }

    walk->states[i] = UCAN_WALK_ADMITTED;

    return UCAN_OK;
}


ucan_walk_set_t
ucan_walk_taint(const ucan_walk_t *walk, const ucan_token_t *token)
{
    if (walk->tainted == 0 || token == NULL) {
        return 0;
    }

    return walk->tainted & set_of(walk, token);
}


int
ucan_walk_severed(ucan_walk_t *walk, ucan_walk_set_t taints,
    const ucan_token_t *above)
{
    size_t         i;
    ucan_token_t  *token;

    for (i = 0; taints != 0; i++, taints >>= 1) {

        if ((taints & 1) == 0) {
            continue;
        }

        token = &walk->bundle->tokens[i];

        if (!ucan_walk_spend(walk, UCAN_WALK_QUESTION)) {
            ucan_walk_note(walk, UCAN_TOO_LARGE, token);
            return 1;
        }

        if (match_revoked_by(walk, token, above->iss)) {
            ucan_walk_note(walk, UCAN_REVOKED, token);
            return 1;
        }
    }

    return 0;
}


int
ucan_walk_once(const ucan_token_t *token)
{
    return token->kind == UCAN_TOKEN_INVOCATION
           && !bytes_equal_text(token->cmd, UCAN_CHAIN_SESSION_OPEN);
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
check_window(const ucan_walk_t *walk, const ucan_token_t *token)
{
    int64_t  leeway;

    leeway = walk->trust->leeway;

    if (token->has_nbf && walk->now + leeway < token->nbf) {
        return UCAN_NOT_YET;
    }

    if (token->has_exp && walk->now - leeway > token->exp) {
        return UCAN_EXPIRED;
    }

    return UCAN_OK;
}


/* Who cannot say by whom, says that all of them count.  A token that was
   revoked stays so when somebody bends its signature. */
static ucan_verdict_t
check_revoked(ucan_walk_t *walk, ucan_token_t *token)
{
    const cid_t         *twin;
    ucan_revoked_t       revoked, bent;
    const ucan_trust_t  *trust;

    trust = walk->trust;

    if (trust->revoked == NULL) {
        return UCAN_OK;
    }

    revoked = trust->revoked(trust->data, &token->cid);
    twin = ucan_token_twin(token);

    if (twin != NULL) {
        bent = trust->revoked(trust->data, twin);
        revoked = (bent > revoked) ? bent : revoked;
    }

    switch (revoked) {

    case UCAN_REVOKED_NOT:
        return UCAN_OK;

    case UCAN_REVOKED_BY:

        if (trust->revoked_by == NULL
            || match_revoked_by(walk, token, token->iss))
        {
            return UCAN_REVOKED;
        }

        walk->tainted |= set_of(walk, token);

        return UCAN_OK;

    default:
        return UCAN_REVOKED;
    }
}


static int
match_revoked_by(const ucan_walk_t *walk, ucan_token_t *token, bytes_t did)
{
    const cid_t         *twin;
    const ucan_trust_t  *trust;

    trust = walk->trust;
    twin = ucan_token_twin(token);

    return trust->revoked_by(trust->data, &token->cid, did)
           || (twin != NULL && trust->revoked_by(trust->data, twin, did));
}


static ucan_verdict_t
check_signature(const ucan_walk_t *walk, ucan_token_t *token)
{
    int                  shared;
    ucan_verdict_t       rc;
    const ucan_trust_t  *trust;

    if (token->seal != UCAN_TOKEN_UNCHECKED) {
        return ucan_token_verify(token);
    }

    trust = walk->trust;
    shared = !ucan_walk_once(token);

    if (shared
        && trust->sealed != NULL
        && trust->sealed(trust->data, &token->cid))
    {
        token->seal = UCAN_TOKEN_SIGNED;
        return UCAN_OK;
    }

    rc = ucan_token_verify(token);

    if (rc == UCAN_OK && shared && trust->seal != NULL) {
        trust->seal(trust->data, &token->cid);
    }

    return rc;
}


static ucan_walk_set_t
set_of(const ucan_walk_t *walk, const ucan_token_t *token)
{
    return (ucan_walk_set_t) 1 << (token - walk->bundle->tokens);
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
