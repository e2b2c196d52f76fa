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


#define UCAN_WALK_V1_ENTRIES_MAX  512        /* visits of one search */
#define UCAN_WALK_V1_NO_POLICY    "\x80"     /* [] */


_Static_assert(UCAN_TOKEN_COUNT_MAX <= UINT8_MAX, "index");
_Static_assert(UCAN_WALK_V1_ENTRIES_MAX < UCAN_WALK_NONE, "entry");


/* One visit of a delegation. */
typedef struct {
    ucan_walk_set_t  taints;         /* of those below it */
    uint16_t         below;          /* entry next towards the holder */
    uint16_t         same;           /* earlier entry of the same token */
    uint8_t          token;          /* index in the bundle */
    uint8_t          depth;
} ucan_walk_v1_entry_t;


/* One search, for one anchor.  Entries are written before they are read. */
typedef struct {
    ucan_walk_t           *walk;
    bytes_t                subject;                      /* the anchor */
    bytes_t                command;                      /* empty: any */
    bytes_t                args;
    size_t                 head;                         /* next to look at */
    size_t                 tail;
    uint16_t               last[UCAN_TOKEN_COUNT_MAX];   /* entry of each */
    ucan_walk_v1_entry_t   entries[UCAN_WALK_V1_ENTRIES_MAX];
} ucan_walk_v1_t;


static ucan_verdict_t search(ucan_walk_v1_t *s, bytes_t holder);
static void expand(ucan_walk_v1_t *s, bytes_t audience,
    const ucan_walk_v1_entry_t *below, ucan_walk_set_t taints);
static ucan_verdict_t check_candidate(ucan_walk_v1_t *s,
    const ucan_token_t *token, const ucan_token_t *below);
static int match_visit(const ucan_walk_v1_t *s, size_t i,
    ucan_walk_set_t taints);
static ucan_verdict_t add_entry(ucan_walk_v1_t *s, size_t i,
    const ucan_walk_v1_entry_t *below, ucan_walk_set_t taints);
static void take_path(ucan_walk_v1_t *s, const ucan_walk_v1_entry_t *entry);

static ucan_verdict_t check_policy(ucan_walk_t *walk,
    const ucan_token_t *token, bytes_t args);
static ucan_verdict_t read_args(ucan_walk_t *walk, bytes_t args);

static ucan_verdict_t resolve_proofs(ucan_walk_t *walk,
    const ucan_token_t *invocation, ucan_token_t **list);
static int match_root(const ucan_token_t *token, bytes_t subject);
static void reverse(ucan_token_t **list, size_t count);
static ucan_verdict_t check_links(ucan_walk_t *walk,
    const ucan_token_t *invocation, ucan_token_t **list);
static ucan_verdict_t check_link(const ucan_token_t *token,
    const ucan_token_t *next, const ucan_token_t *invocation, int root);
static ucan_verdict_t admit_list(ucan_walk_t *walk,
    const ucan_token_t *invocation, ucan_token_t **list);


ucan_verdict_t
ucan_walk_v1_find(ucan_walk_t *walk, bytes_t holder, bytes_t command,
    bytes_t args)
{
    size_t          i;
    ucan_walk_v1_t  s;

    s.walk = walk;
    s.command = command;
    s.args = args;

    for (i = 0; i < walk->trust->anchor_count; i++) {

        s.subject = walk->trust->anchors[i];

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
    walk->path_count = 0;
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

    rc = admit_list(walk, invocation, list);
    if (rc != UCAN_OK) {
        return rc;
    }

    for (i = 0; i < count; i++) {
        ucan_walk_lessen(walk, list[i]);
        walk->path[i] = list[i];
    }

    walk->path_count = count;
    walk->depth = count + 1;

    return UCAN_OK;
}


static ucan_verdict_t
search(ucan_walk_v1_t *s, bytes_t holder)
{
    ucan_walk_t           *walk;
    ucan_token_t          *token;
    ucan_walk_v1_entry_t  *entry;

    walk = s->walk;

    if (bytes_equal(holder, s->subject)) {
        walk->root = s->subject;
        walk->depth = 1;
        walk->path_count = 0;
        return UCAN_OK;
    }

    s->head = 0;
    s->tail = 0;
    memset(s->last, 0xff, walk->bundle->count * sizeof(s->last[0]));

    expand(s, holder, NULL, ucan_walk_taint(walk, walk->bundle->top));

    while (s->head != s->tail) {

        entry = &s->entries[s->head++];
        token = &walk->bundle->tokens[entry->token];

        /* the signature last, and only of what lies on a way up */

        if (ucan_walk_admit(walk, token) != UCAN_OK
            || ucan_walk_severed(walk, entry->taints, token))
        {
            continue;
        }

        if (match_root(token, s->subject)) {
            take_path(s, entry);
            return UCAN_OK;
        }

        expand(s, token->iss, entry,
               entry->taints | ucan_walk_taint(walk, token));
    }

    return UCAN_UNTRUSTED_ROOT;
}


/* Queues all delegations to audience that may stand above "below" (NULL: the
   holder) and were not visited with as few taints before: breadth first, so
   at their least depth. */
static void
expand(ucan_walk_v1_t *s, bytes_t audience, const ucan_walk_v1_entry_t *below,
    ucan_walk_set_t taints)
{
    int             found;
    size_t          i;
    ucan_walk_t    *walk;
    ucan_token_t   *token, *next;
    ucan_verdict_t  rc;

    walk = s->walk;
    next = (below != NULL) ? &walk->bundle->tokens[below->token] : NULL;
    found = 0;

    for (i = 0; i < walk->bundle->count; i++) {

        token = &walk->bundle->tokens[i];

        if (token->kind != UCAN_TOKEN_DELEGATION
            || !bytes_equal(token->aud, audience))
        {
            continue;
        }

        found = 1;

        if (match_visit(s, i, taints)) {
            continue;
        }

        rc = check_candidate(s, token, next);

        if (rc == UCAN_OK) {
            rc = add_entry(s, i, below, taints);
        }

        if (rc != UCAN_OK) {
            ucan_walk_note(walk, rc, rc == UCAN_WIDENED ? next : token);
        }
    }

    if (!found) {
        ucan_walk_note(walk, UCAN_UNTRUSTED_ROOT, next);
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

    return check_policy(s->walk, token, s->args);
}


/* 1 when the token was visited with no other taints than these. */
static int
match_visit(const ucan_walk_v1_t *s, size_t i, ucan_walk_set_t taints)
{
    size_t  n;

    for (n = s->last[i]; n != UCAN_WALK_NONE; n = s->entries[n].same) {
        if ((s->entries[n].taints & ~taints) == 0) {
            return 1;
        }
    }

    return 0;
}


static ucan_verdict_t
add_entry(ucan_walk_v1_t *s, size_t i, const ucan_walk_v1_entry_t *below,
    ucan_walk_set_t taints)
{
    size_t                 depth;
    ucan_walk_v1_entry_t  *entry;

    depth = (below != NULL) ? below->depth + 1U : 2;

    if (depth > s->walk->trust->limits.depth_max) {
        return UCAN_TOO_DEEP;
    }

    if (s->tail == UCAN_WALK_V1_ENTRIES_MAX) {
        return UCAN_TOO_LARGE;
    }

    entry = &s->entries[s->tail];

    entry->taints = taints;
    entry->below = (below != NULL) ? (uint16_t) (below - s->entries)
                                   : UCAN_WALK_NONE;
    entry->same = s->last[i];
    entry->token = (uint8_t) i;
    entry->depth = (uint8_t) depth;

    s->last[i] = (uint16_t) s->tail++;

    return UCAN_OK;
}


static void
take_path(ucan_walk_v1_t *s, const ucan_walk_v1_entry_t *entry)
{
    ucan_walk_t         *walk;
    const ucan_token_t  *token;

    walk = s->walk;

    walk->root = s->subject;
    walk->path_count = 0;

    for ( ;; ) {
        token = &walk->bundle->tokens[entry->token];

        walk->path[walk->path_count++] = token;
        ucan_walk_lessen(walk, token);

        if (entry->below == UCAN_WALK_NONE) {
            break;
        }

        entry = &s->entries[entry->below];
    }

    walk->depth = walk->path_count + 1;
}


/* Most have no policy, and then nobody needs the args. */
static ucan_verdict_t
check_policy(ucan_walk_t *walk, const ucan_token_t *token, bytes_t args)
{
    ucan_verdict_t  rc;

    if (bytes_equal_text(token->policy, UCAN_WALK_V1_NO_POLICY)) {
        return UCAN_OK;
    }

    rc = read_args(walk, args);
    if (rc != UCAN_OK) {
        return rc;
    }

    if (!ucan_walk_spend(walk, token->policy.len)) {
        return UCAN_POLICY;
    }

    if (!walk->facts && ucan_policy_asks(token->policy, UCAN_HTTP_ARG)) {
        return UCAN_POLICY;
    }

    return ucan_policy_match_item(token->policy, &walk->args, &walk->work)
           ? UCAN_OK : UCAN_POLICY;
}


static ucan_verdict_t
read_args(ucan_walk_t *walk, bytes_t args)
{
    cbor_item_t     http;
    ucan_verdict_t  rc;

    if (walk->args_read) {
        return UCAN_OK;
    }

    if (walk->write_args != NULL) {

        rc = walk->write_args(walk->data, &args);
        if (rc != UCAN_OK) {
            return rc;
        }
    }

    if (cbor_read(args, &walk->args) != 0) {
        return UCAN_POLICY;
    }

    walk->facts = (cbor_map_find(&walk->args, bytes_of(UCAN_HTTP_ARG), &http)
                   == 0
                   && http.type == CBOR_MAP);
    walk->args_read = 1;

    return UCAN_OK;
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

        if (rc == UCAN_OK) {
            rc = check_policy(walk, list[i], invocation->args);
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


/* From the invocation up, so that the taints below each are known. */
static ucan_verdict_t
admit_list(ucan_walk_t *walk, const ucan_token_t *invocation,
    ucan_token_t **list)
{
    size_t           i;
    ucan_verdict_t   rc;
    ucan_walk_set_t  taints;

    taints = ucan_walk_taint(walk, invocation);

    for (i = invocation->proof_count; i != 0; i--) {

        rc = ucan_walk_admit(walk, list[i - 1]);
        if (rc != UCAN_OK) {
            return rc;
        }

        if (ucan_walk_severed(walk, taints, list[i - 1])) {
            return ucan_walk_refusal(walk, UCAN_REVOKED);
        }

        taints |= ucan_walk_taint(walk, list[i - 1]);
    }

    return UCAN_OK;
}
