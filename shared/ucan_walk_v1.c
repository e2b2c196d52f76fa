/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The walk over delegations of UCAN 1.0 (reference 5.5).
 *
 *     root --d1--> a --d2--> b --d3--> holder
 *
 *     d1.iss = d1.sub = the anchor       d(i).aud = d(i+1).iss
 *     d(i).sub = the anchor or null, which then is the subject before it
 *     d(i).cmd covers d(i+1).cmd covers the command that is asked for
 *     every policy holds for the arguments
 *
 * For a session the chain is searched for among all delegations presented;
 * for an invocation it is the list of its proofs, root first or the exact
 * reverse, and nothing else.
 */


#include "ucan_policy.h"
#include "ucan_walk.h"


#define UCAN_WALK_V1_HOLDER  0xff     /* "below" of those that end at it */


_Static_assert(UCAN_TOKEN_COUNT_MAX < UCAN_WALK_V1_HOLDER, "index");


/* One search, for one anchor.  Indexes are those of the bundle's tokens. */
typedef struct {
    ucan_walk_t  *walk;
    bytes_t       subject;                       /* the anchor */
    bytes_t       command;                       /* empty: any */
    bytes_t       args;
    size_t        head;                          /* next to look at */
    size_t        tail;
    uint8_t       queue[UCAN_TOKEN_COUNT_MAX];
    uint8_t       below[UCAN_TOKEN_COUNT_MAX];   /* next towards holder */
    uint8_t       depth[UCAN_TOKEN_COUNT_MAX];   /* 0: not seen yet */
} ucan_walk_v1_t;


static ucan_verdict_t search(ucan_walk_v1_t *s, bytes_t holder);
static void expand(ucan_walk_v1_t *s, bytes_t audience,
    const ucan_token_t *below, size_t depth);
static ucan_verdict_t check_candidate(ucan_walk_v1_t *s,
    const ucan_token_t *token, const ucan_token_t *below);
static void take_path(ucan_walk_v1_t *s, size_t i);

static ucan_verdict_t resolve_proofs(ucan_walk_t *walk,
    const ucan_token_t *invocation, ucan_token_t **list);
static int match_root(const ucan_token_t *token, bytes_t subject);
static void reverse(ucan_token_t **list, size_t count);
static ucan_verdict_t check_links(ucan_walk_t *walk,
    const ucan_token_t *invocation, ucan_token_t **list);
static ucan_verdict_t check_link(const ucan_token_t *token,
    const ucan_token_t *next, const ucan_token_t *invocation, int root);


ucan_verdict_t
ucan_walk_v1_find(ucan_walk_t *walk, bytes_t holder, bytes_t command,
    bytes_t args)
{
    size_t          i;
    ucan_walk_v1_t  s;

    for (i = 0; i < walk->trust->anchor_count; i++) {

        memset(&s, 0, sizeof(s));

        s.walk = walk;
        s.subject = walk->trust->anchors[i];
        s.command = command;
        s.args = args;

        if (search(&s, holder) == UCAN_OK) {
            return UCAN_OK;
        }
    }

    return ucan_walk_refusal(walk, UCAN_UNTRUSTED_ROOT);
}


ucan_verdict_t
ucan_walk_v1_follow(ucan_walk_t *walk, const ucan_token_t *invocation)
{
    size_t          i, count;
    ucan_token_t   *list[UCAN_TOKEN_PROOFS_MAX];
    ucan_verdict_t  rc;

    walk->root = invocation->sub;
    walk->depth = 1;
    ucan_walk_lessen(walk, invocation);

    /* about oneself no proof is needed, and none is looked at */

    if (bytes_equal(invocation->iss, invocation->sub)) {
        return UCAN_OK;
    }

    rc = resolve_proofs(walk, invocation, list);
    if (rc != UCAN_OK) {
        return rc;
    }

    count = invocation->proof_count;

    if (!match_root(list[0], invocation->sub)
        && match_root(list[count - 1], invocation->sub))
    {
        reverse(list, count);
    }

    rc = check_links(walk, invocation, list);
    if (rc != UCAN_OK) {
        return rc;
    }

    for (i = 0; i < count; i++) {

        rc = ucan_walk_admit(walk, list[i]);
        if (rc != UCAN_OK) {
            return rc;
        }

        ucan_walk_lessen(walk, list[i]);
    }

    walk->depth = count + 1;

    return UCAN_OK;
}


static ucan_verdict_t
search(ucan_walk_v1_t *s, bytes_t holder)
{
    size_t         i;
    ucan_token_t  *token;

    if (bytes_equal(holder, s->subject)) {
        s->walk->root = s->subject;
        s->walk->depth = 1;
        return UCAN_OK;
    }

    expand(s, holder, NULL, 2);

    while (s->head != s->tail) {

        i = s->queue[s->head++];
        token = &s->walk->bundle->tokens[i];

        /* the signature last, and only of what lies on a way up */

        if (ucan_walk_admit(s->walk, token) != UCAN_OK) {
            continue;
        }

        if (match_root(token, s->subject)) {
            take_path(s, i);
            return UCAN_OK;
        }

        expand(s, token->iss, token, s->depth[i] + 1U);
    }

    return UCAN_UNTRUSTED_ROOT;
}


/* Queues all delegations to audience that may stand above "below" (NULL: the
   holder) and were not queued before: breadth first, so at their least
   depth. */
static void
expand(ucan_walk_v1_t *s, bytes_t audience, const ucan_token_t *below,
    size_t depth)
{
    int             found;
    size_t          i;
    ucan_token_t   *token;
    ucan_walk_t    *walk;
    ucan_verdict_t  rc;

    walk = s->walk;
    found = 0;

    for (i = 0; i < walk->bundle->count; i++) {

        token = &walk->bundle->tokens[i];

        if (token->kind != UCAN_TOKEN_DELEGATION
            || !bytes_equal(token->aud, audience))
        {
            continue;
        }

        found = 1;

        if (s->depth[i] != 0) {
            continue;
        }

        rc = check_candidate(s, token, below);

        if (rc == UCAN_OK && depth > walk->trust->limits.depth_max) {
            rc = UCAN_TOO_DEEP;
        }

        if (rc != UCAN_OK) {
            ucan_walk_note(walk, rc, rc == UCAN_WIDENED ? below : token);
            continue;
        }

        s->depth[i] = (uint8_t) depth;
        s->below[i] = (below == NULL)
                      ? UCAN_WALK_V1_HOLDER
                      : (uint8_t) (below - walk->bundle->tokens);
        s->queue[s->tail++] = (uint8_t) i;
    }

    if (!found) {
        ucan_walk_note(walk, UCAN_UNTRUSTED_ROOT, below);
    }
}


static ucan_verdict_t
check_candidate(ucan_walk_v1_t *s, const ucan_token_t *token,
    const ucan_token_t *below)
{
    if (token->sub.len != 0 && !bytes_equal(token->sub, s->subject)) {
        return UCAN_WRONG_SUBJECT;
    }

    if (below != NULL && !ucan_chain_covers(token->cmd, below->cmd)) {
        return UCAN_WIDENED;
    }

    if (s->command.len == 0) {
        return UCAN_OK;
    }

    if (!ucan_chain_covers(token->cmd, s->command)) {
        return UCAN_NOT_COVERED;
    }

    return ucan_policy_match(token->policy, s->args, &s->walk->work)
           ? UCAN_OK : UCAN_POLICY;
}


static void
take_path(ucan_walk_v1_t *s, size_t i)
{
    const ucan_token_t  *token;

    for ( ;; ) {
        token = &s->walk->bundle->tokens[i];

        s->walk->path[s->walk->path_count++] = token;
        ucan_walk_lessen(s->walk, token);

        if (s->below[i] == UCAN_WALK_V1_HOLDER) {
            break;
        }

        i = s->below[i];
    }

    s->walk->root = s->subject;
    s->walk->depth = s->walk->path_count + 1;
}


static ucan_verdict_t
resolve_proofs(ucan_walk_t *walk, const ucan_token_t *invocation,
    ucan_token_t **list)
{
    size_t  i;

    if (invocation->foreign || invocation->proof_count == 0) {
        ucan_walk_note(walk, UCAN_NO_PROOF, invocation);
        return UCAN_NO_PROOF;
    }

    if (invocation->proof_count + 1 > walk->trust->limits.depth_max) {
        ucan_walk_note(walk, UCAN_TOO_DEEP, invocation);
        return UCAN_TOO_DEEP;
    }

    for (i = 0; i < invocation->proof_count; i++) {

        list[i] = ucan_bundle_find(walk->bundle, &invocation->proofs[i]);

        if (list[i] == NULL || list[i]->kind != UCAN_TOKEN_DELEGATION) {
            ucan_walk_note(walk, UCAN_NO_PROOF, invocation);
            return UCAN_NO_PROOF;
        }
    }

    return UCAN_OK;
}


static int
match_root(const ucan_token_t *token, bytes_t subject)
{
    return bytes_equal(token->iss, subject)
           && bytes_equal(token->sub, subject);
}


static void
reverse(ucan_token_t **list, size_t count)
{
    size_t         i;
    ucan_token_t  *token;

    for (i = 0; i < count / 2; i++) {
        token = list[i];
        list[i] = list[count - 1 - i];
        list[count - 1 - i] = token;
    }
}


static ucan_verdict_t
check_links(ucan_walk_t *walk, const ucan_token_t *invocation,
    ucan_token_t **list)
{
    size_t               i;
    ucan_verdict_t       rc;
    const ucan_token_t  *next;

    for (i = 0; i < invocation->proof_count; i++) {

        next = (i + 1 < invocation->proof_count) ? list[i + 1] : invocation;

        rc = check_link(list[i], next, invocation, i == 0);

        if (rc == UCAN_OK
            && !ucan_policy_match(list[i]->policy, invocation->args,
                                  &walk->work))
        {
            rc = UCAN_POLICY;
        }

        if (rc != UCAN_OK) {
            ucan_walk_note(walk, rc, rc == UCAN_WIDENED ? next : list[i]);
            return rc;
        }
    }

    return UCAN_OK;
}


static ucan_verdict_t
check_link(const ucan_token_t *token, const ucan_token_t *next,
    const ucan_token_t *invocation, int root)
{
    if (root && !bytes_equal(token->iss, invocation->sub)) {
        return UCAN_UNTRUSTED_ROOT;
    }

    if ((root || token->sub.len != 0)
        && !bytes_equal(token->sub, invocation->sub))
    {
        return UCAN_WRONG_SUBJECT;
    }

    if (!bytes_equal(token->aud, next->iss)) {
        return UCAN_BROKEN_CHAIN;
    }

    return ucan_chain_covers(token->cmd, next->cmd) ? UCAN_OK : UCAN_WIDENED;
}
