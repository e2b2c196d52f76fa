/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Which chain to show.  An invocation of 1.0 lists its own; everything else
 * is searched for from the top upwards, every way there is up to a bound,
 * and the ways are compared by what they break.
 */


#include <string.h>

#include "mesh_chain.h"
#include "mesh_rule.h"
#include "ucan_caveat.h"


#define MESH_CHAIN_STEPS_MAX  512            /* links looked at */
#define MESH_CHAIN_WORK       (1024 * 1024)  /* bytes of caveats compared */

/* What counts how much when chains are compared. */
#define MESH_CHAIN_FAILED     100000         /* holds what the walk stopped
                                                at */
#define MESH_CHAIN_MISSING    10000          /* ends where a proof lacks */
#define MESH_CHAIN_ROOTED     1000           /* starts at a trust anchor */
#define MESH_CHAIN_FAULT      100            /* for each rule broken, less */


typedef struct {
    const mesh_ask_t  *ask;
    size_t             steps;
    mesh_link_t        stack[MESH_CHAIN_MAX];   /* top first */
    size_t             depth;
    mesh_chain_t       candidate;
    mesh_chain_t       best;
    int64_t            score;                   /* of best */
} mesh_chain_search_t;


static void take_path(mesh_chain_t *chain, const ucan_token_t *top);
static void follow_list(mesh_chain_t *chain, const ucan_token_t *top);
static int rooted(const mesh_chain_t *chain, size_t i);
static void climb(mesh_chain_search_t *s, ucan_token_t *token);
static size_t climb_proofs(mesh_chain_search_t *s, const ucan_token_t *token);
static size_t climb_audience(mesh_chain_search_t *s,
    const ucan_token_t *token);
static int on_stack(const mesh_chain_search_t *s, const ucan_token_t *token);
static void add_link(mesh_link_t *link, const ucan_bundle_t *bundle,
    const cid_t *cid);
static void compare(mesh_chain_search_t *s);
static int64_t score_of(const mesh_chain_t *chain);
static int anchored(const ucan_trust_t *trust, bytes_t did);
static void mark_live(mesh_chain_t *chain);
static void mark_top(const mesh_chain_t *chain, mesh_link_t *top,
    int prefix);
static void mark_above(mesh_link_t *above, const mesh_link_t *below,
    int prefix);
static int covers(const ucan_token_cap_t *a, const ucan_token_cap_t *b,
    int prefix);
static int cover_resource(bytes_t a, bytes_t b, int prefix);
static int match_dot(bytes_t resource);
static int cover_ability(const ucan_token_cap_t *a,
    const ucan_token_cap_t *b);
static int equal_fold(bytes_t a, bytes_t b);


void
mesh_chain_find(mesh_chain_t *chain, const mesh_ask_t *ask)
{
    size_t                i;
    ucan_token_t         *top;
    mesh_chain_search_t  *s;

    memset(chain, 0, sizeof(mesh_chain_t));

    chain->ask = ask;
    top = ask->bundle->top;

    if (top != NULL
        && top->kind == UCAN_TOKEN_INVOCATION
        && !bytes_equal_text(top->cmd, UCAN_CHAIN_SESSION_OPEN))
    {
        follow_list(chain, top);
        return;
    }

    if (ask->verdict == UCAN_OK
        && ask->request == NULL
        && ask->resource == NULL)
    {
        take_path(chain, top);
        return;
    }

    s = mesh_alloc(sizeof(mesh_chain_search_t));

    s->ask = ask;
    s->score = INT64_MIN;

    if (top != NULL) {
        climb(s, top);

    } else {

        /* delegations without a top: any of them may be the last */

        for (i = 0; i < ask->bundle->count; i++) {
            climb(s, &ask->bundle->tokens[i]);
        }
    }

    *chain = s->best;
    chain->ask = ask;
}


int
mesh_chain_holds(const mesh_chain_t *chain, const ucan_token_t *token)
{
    size_t  i;

    for (i = 0; i < chain->count; i++) {
        if (chain->links[i].token == token) {
            return 1;
        }
    }

    return 0;
}


int
mesh_chain_want(const mesh_ask_t *ask, size_t anchor, ucan_token_cap_t *want)
{
    size_t          size;
    bytes_t         ability;
    bytes_writer_t  w;

    memset(want, 0, sizeof(ucan_token_cap_t));
    want->caveat = ask->facts;

    if (!ask->opened) {
        return 0;
    }

    if (ask->resource != NULL) {
        want->with = ask->resource->with;
        want->can = ask->resource->can;
    }

    if (ask->request == NULL) {
        return ask->resource != NULL;
    }

    ability = bytes_make(ask->request->command.data + 1,
                         ask->request->command.len - 1);
    ability = (ability.len != 0) ? ability : bytes_of("*");

    if (ask->resource != NULL) {
        want->can = (want->can.len != 0) ? want->can : ability;
        return 1;
    }

    size = ask->trust->anchors[anchor].len + ask->request->command.len
           + UCAN_CHAIN_ARG_BYTES_MAX + 16;

    bytes_writer_open(&w, mesh_alloc(size), size);
    ucan_chain_resource(&w, ask->trust->anchors[anchor], ask->request);

    want->with = bytes_writer_view(&w);
    want->can = ability;

    return 1;
}


/* The path that the walk found. */
static void
take_path(mesh_chain_t *chain, const ucan_token_t *top)
{
    size_t               i;
    const ucan_chain_t  *walked;

    walked = chain->ask->chain;

    for (i = 0; i < walked->path_count; i++) {
        add_link(&chain->links[chain->count++], chain->ask->bundle,
                 &walked->path[i]->cid);
    }

    add_link(&chain->links[chain->count++], chain->ask->bundle, &top->cid);
}


/* The proofs that an invocation names, in the order of the chain. */
static void
follow_list(mesh_chain_t *chain, const ucan_token_t *top)
{
    size_t       i;
    mesh_link_t  swap;

    if (!bytes_equal(top->iss, top->sub)) {
        for (i = 0; i < top->proof_count; i++) {
            add_link(&chain->links[chain->count++], chain->ask->bundle,
                     &top->proofs[i]);
        }
    }

    if (chain->count > 1
        && !rooted(chain, 0)
        && rooted(chain, chain->count - 1))
    {
        chain->reversed = 1;

        for (i = 0; i < chain->count / 2; i++) {
            swap = chain->links[i];
            chain->links[i] = chain->links[chain->count - 1 - i];
            chain->links[chain->count - 1 - i] = swap;
        }
    }

    add_link(&chain->links[chain->count++], chain->ask->bundle, &top->cid);
}


static int
rooted(const mesh_chain_t *chain, size_t i)
{
    const ucan_token_t  *token;

    token = chain->links[i].token;

    return token != NULL && bytes_equal(token->iss,
                                        chain->ask->bundle->top->sub);
}


static void
climb(mesh_chain_search_t *s, ucan_token_t *token)
{
    size_t  found;

    if (s->depth == MESH_CHAIN_MAX - 1
        || s->steps++ >= MESH_CHAIN_STEPS_MAX
        || on_stack(s, token))
    {
        return;
    }

    memset(&s->stack[s->depth], 0, sizeof(mesh_link_t));
    s->stack[s->depth].token = token;
    s->stack[s->depth].cid = token->cid;
    s->depth++;

    found = (token->kind == UCAN_TOKEN_JWT) ? climb_proofs(s, token)
                                            : climb_audience(s, token);

    /* a chain may begin at an anchor whoever stands behind it */

    if (found == 0 || anchored(s->ask->trust, token->iss)) {
        compare(s);
    }

    s->depth--;
}


static size_t
climb_proofs(mesh_chain_search_t *s, const ucan_token_t *token)
{
    size_t        i;
    mesh_link_t  *link;

    for (i = 0; i < token->proof_count; i++) {

        link = &s->stack[s->depth];
        add_link(link, s->ask->bundle, &token->proofs[i]);

        if (link->token != NULL) {
            climb(s, link->token);
            continue;
        }

        if (s->steps++ < MESH_CHAIN_STEPS_MAX) {
            s->depth++;
            compare(s);
            s->depth--;
        }
    }

    return token->proof_count;
}


static size_t
climb_audience(mesh_chain_search_t *s, const ucan_token_t *token)
{
    size_t         i, n;
    ucan_token_t  *above;

    n = 0;

    for (i = 0; i < s->ask->bundle->count; i++) {

        above = &s->ask->bundle->tokens[i];

        if (above->kind == UCAN_TOKEN_DELEGATION
            && bytes_equal(above->aud, token->iss)
            && !on_stack(s, above))
        {
            climb(s, above);
            n++;
        }
    }

    return n;
}


static int
on_stack(const mesh_chain_search_t *s, const ucan_token_t *token)
{
    size_t  i;

    for (i = 0; i < s->depth; i++) {
        if (s->stack[i].token == token) {
            return 1;
        }
    }

    return 0;
}


static void
add_link(mesh_link_t *link, const ucan_bundle_t *bundle, const cid_t *cid)
{
    link->token = ucan_bundle_find(bundle, cid);
    link->cid = *cid;
    link->live = NULL;
}


/* Is the stack, turned round, better than the best so far? */
static void
compare(mesh_chain_search_t *s)
{
    size_t         i;
    int64_t        score;
    mesh_chain_t  *chain;

    chain = &s->candidate;

    memset(chain, 0, sizeof(mesh_chain_t));
    chain->ask = s->ask;
    chain->count = s->depth;

    for (i = 0; i < s->depth; i++) {
        chain->links[i] = s->stack[s->depth - 1 - i];
    }

    mark_live(chain);

    score = score_of(chain);

    if (score > s->score) {
        s->score = score;
        s->best = *chain;
    }
}


static int64_t
score_of(const mesh_chain_t *chain)
{
    size_t                i;
    int64_t               score;
    const mesh_link_t    *first;
    const ucan_chain_t   *walked;

    /* without a top the whole chain is wanted, else the shortest */

    score = (chain->ask->bundle->top == NULL) ? (int64_t) chain->count
                                              : -(int64_t) chain->count;
    walked = chain->ask->chain;
    first = &chain->links[0];

    if (first->token == NULL) {
        score += (chain->ask->verdict == UCAN_NO_PROOF) ? MESH_CHAIN_MISSING
                                                        : 0;

    } else if (anchored(chain->ask->trust, first->token->iss)) {
        score += MESH_CHAIN_ROOTED;
    }

    for (i = 0; i < chain->count; i++) {
        if (chain->ask->verdict != UCAN_OK
            && walked->has_failed
            && cid_equal(&chain->links[i].cid, &walked->failed))
        {
            score += MESH_CHAIN_FAILED;
        }
    }

    return score - MESH_CHAIN_FAULT * (int64_t) mesh_rule_count(chain);
}


static int
anchored(const ucan_trust_t *trust, bytes_t did)
{
    size_t  i;

    for (i = 0; i < trust->anchor_count; i++) {
        if (bytes_equal(trust->anchors[i], did)) {
            return 1;
        }
    }

    return 0;
}


/* From the top upwards: a capability lives when it covers one below that
   does. */
static void
mark_live(mesh_chain_t *chain)
{
    int           prefix;
    size_t        i;
    mesh_link_t  *link;

    prefix = chain->ask->trust->prefix;

    for (i = chain->count; i-- > 0; /* void */ ) {

        link = &chain->links[i];

        if (link->token == NULL || link->token->kind != UCAN_TOKEN_JWT) {
            return;
        }

        link->live = mesh_alloc(link->token->capability_count + 1);

        if (i + 1 == chain->count) {
            mark_top(chain, link, prefix);

        } else {
            mark_above(link, &chain->links[i + 1], prefix);
        }
    }
}


static void
mark_top(const mesh_chain_t *chain, mesh_link_t *top, int prefix)
{
    size_t                   i, k;
    const ucan_token_cap_t  *cap;
    ucan_token_cap_t         want;

    for (i = 0; i < top->token->capability_count; i++) {

        cap = &top->token->capabilities[i];

        for (k = 0; k < chain->ask->trust->anchor_count; k++) {

            if (!mesh_chain_want(chain->ask, k, &want)
                || (cover_resource(cap->with, want.with, prefix)
                    && cover_ability(cap, &want)))
            {
                top->live[i] = 1;
            }
        }
    }
}


static void
mark_above(mesh_link_t *above, const mesh_link_t *below, int prefix)
{
    size_t  i, k;

    for (i = 0; i < above->token->capability_count; i++) {
        for (k = 0; k < below->token->capability_count; k++) {

            if (below->live[k]
                && covers(&above->token->capabilities[i],
                          &below->token->capabilities[k], prefix))
            {
                above->live[i] = 1;
                break;
            }
        }
    }
}


/* 0.x, as reference 4. */
static int
covers(const ucan_token_cap_t *a, const ucan_token_cap_t *b, int prefix)
{
    size_t  work;

    work = MESH_CHAIN_WORK;

    return cover_resource(a->with, b->with, prefix)
           && cover_ability(a, b)
           && ucan_caveat_covers(a->caveat, b->caveat, &work);
}


static int
cover_resource(bytes_t a, bytes_t b, int prefix)
{
    if (bytes_equal(a, b)) {
        return 1;
    }

    if (a.len == 0
        || !bytes_start_with(b, a)
        || (!prefix && !bytes_start_with(a, bytes_of("mesh://"))))
    {
        return 0;
    }

    return a.data[a.len - 1] == '/'
           || (prefix && b.data[a.len] == '/')
           || match_dot(a);
}


/* 1 when resource, a mesh's, stands for the namespaces below one. */
static int
match_dot(bytes_t resource)
{
    const uint8_t  *kind;

    static const char  storage[] = "/storage/";

    if (!bytes_start_with(resource, bytes_of("mesh://"))
        || resource.data[resource.len - 1] != '.')
    {
        return 0;
    }

    kind = memchr(resource.data + 7, '/', resource.len - 7);

    return kind != NULL
           && (size_t) (resource.data + resource.len - kind)
              > sizeof(storage)
           && memcmp(kind, storage, sizeof(storage) - 1) == 0;
}


static int
cover_ability(const ucan_token_cap_t *a,
    const ucan_token_cap_t *b)
{
    bytes_t  head;

    if (bytes_equal_text(a->can, "*")) {
        return 1;
    }

    if (!a->wild) {
        return !b->wild && equal_fold(a->can, b->can);
    }

    head = bytes_make(a->can.data, a->can.len - 1);

    return b->can.len >= a->can.len
           && equal_fold(head, bytes_make(b->can.data, head.len));
}


static int
equal_fold(bytes_t a, bytes_t b)
{
    size_t   i;
    uint8_t  x, y;

    if (a.len != b.len) {
        return 0;
    }

    for (i = 0; i < a.len; i++) {
        x = a.data[i];
        y = b.data[i];

        x = (x >= 'A' && x <= 'Z') ? x | 0x20 : x;
        y = (y >= 'A' && y <= 'Z') ? y | 0x20 : y;

        if (x != y) {
            return 0;
        }
    }

    return 1;
}
