/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The walk over proofs of UCAN 0.x (reference 4.1, step 8).
 *
 * A state is a token and one capability of it.  It is proven when the issuer
 * owns the resource, or by a state of a proof that names the issuer as its
 * audience, lasts at least as long, and whose capability covers this one.
 * The walk goes on with the capability of the proof, the broader one, so a
 * link in the middle that widens is caught.
 *
 * Resources are compared bytewise; "mesh://<did>/..." that ends in a slash
 * covers what lies below, and is owned by that DID alone.
 */


#include "ucan_walk.h"


#define UCAN_WALK_JWT_SCHEME  "mesh://"
#define UCAN_WALK_JWT_TOP     0xffff       /* "below" of the top's states */
#define UCAN_WALK_JWT_STEP    16           /* work of looking at one pair */


_Static_assert(UCAN_TOKEN_CAPS_MAX < UCAN_WALK_JWT_TOP, "index");


/* States are numbered through: token i has first[i] and those after it. */
typedef struct {
    ucan_walk_t  *walk;
    size_t        head;                            /* next to look at */
    size_t        tail;
    uint16_t      first[UCAN_TOKEN_COUNT_MAX];
    uint16_t      queue[UCAN_TOKEN_CAPS_MAX];
    uint16_t      below[UCAN_TOKEN_CAPS_MAX];      /* next towards the top */
    uint8_t       token[UCAN_TOKEN_CAPS_MAX];      /* whose state */
    uint8_t       depth[UCAN_TOKEN_CAPS_MAX];      /* 0: not seen yet */
} ucan_walk_jwt_t;


static void number_states(ucan_walk_jwt_t *s);
static void start(ucan_walk_jwt_t *s, const ucan_walk_want_t *want);
static void expand(ucan_walk_jwt_t *s, size_t state);
static void expand_proof(ucan_walk_jwt_t *s, size_t state, size_t proof);
static void add_state(ucan_walk_jwt_t *s, size_t state, size_t below,
    size_t depth);
static void take_path(ucan_walk_jwt_t *s, size_t state);
static ucan_token_t *token_of(const ucan_walk_jwt_t *s, size_t state);
static const ucan_token_cap_t *capability_of(const ucan_walk_jwt_t *s,
    size_t state);
static ucan_verdict_t check_want(ucan_walk_t *walk,
    const ucan_token_cap_t *cap, const ucan_walk_want_t *want);
static int covers(ucan_walk_t *walk, const ucan_token_cap_t *a,
    const ucan_token_cap_t *b);
static int cover_resource(bytes_t a, bytes_t b);
static int cover_ability(bytes_t a, bytes_t b);
static int equal_fold(bytes_t a, bytes_t b);
static bytes_t find_subject(bytes_t resource);
static int match_owner(const ucan_walk_t *walk, bytes_t did,
    bytes_t resource);


ucan_verdict_t
ucan_walk_jwt_find(ucan_walk_t *walk, const ucan_walk_want_t *want)
{
    size_t           state;
    ucan_token_t    *token;
    ucan_walk_jwt_t  s;

    memset(&s, 0, sizeof(s));

    s.walk = walk;

    number_states(&s);
    start(&s, want);

    while (s.head != s.tail) {

        state = s.queue[s.head++];
        token = token_of(&s, state);

        if (ucan_walk_admit(walk, token) != UCAN_OK) {
            continue;
        }

        if (match_owner(walk, token->iss, capability_of(&s, state)->with)) {
            take_path(&s, state);
            return UCAN_OK;
        }

        expand(&s, state);
    }

    if (walk->work == 0) {
        return UCAN_TOO_LARGE;
    }

    return ucan_walk_refusal(walk, UCAN_NOT_COVERED);
}


ucan_verdict_t
ucan_walk_jwt_link(const ucan_token_t *token, const ucan_token_t *proof)
{
    if (!bytes_equal(proof->aud, token->iss)) {
        return UCAN_BROKEN_CHAIN;
    }

    if (proof->has_exp && (!token->has_exp || token->exp > proof->exp)) {
        return UCAN_OUTLIVES;
    }

    if (proof->has_nbf && (!token->has_nbf || token->nbf < proof->nbf)) {
        return UCAN_OUTLIVES;
    }

    return UCAN_OK;
}


static void
number_states(ucan_walk_jwt_t *s)
{
    size_t                i, j, n;
    const ucan_bundle_t  *bundle;

    bundle = s->walk->bundle;
    n = 0;

    for (i = 0; i < bundle->count; i++) {
        s->first[i] = (uint16_t) n;

        for (j = 0; j < bundle->tokens[i].capability_count; j++) {
            s->token[n++] = (uint8_t) i;
        }
    }
}


static void
start(ucan_walk_jwt_t *s, const ucan_walk_want_t *want)
{
    size_t          i, top;
    ucan_token_t   *token;
    ucan_verdict_t  rc;

    token = s->walk->bundle->top;
    top = s->first[token - s->walk->bundle->tokens];

    for (i = 0; i < token->capability_count; i++) {

        rc = check_want(s->walk, &token->capabilities[i], want);

        if (rc != UCAN_OK) {
            ucan_walk_note(s->walk, rc, token);
            continue;
        }

        add_state(s, top + i, UCAN_WALK_JWT_TOP, 1);
    }
}


static void
expand(ucan_walk_jwt_t *s, size_t state)
{
    size_t               i;
    ucan_token_t        *token, *proof;
    ucan_verdict_t       rc;

    token = token_of(s, state);

    for (i = 0; i < token->proof_count; i++) {

        if (!ucan_walk_spend(s->walk, UCAN_WALK_JWT_STEP)) {
            return;
        }

        proof = ucan_bundle_find(s->walk->bundle, &token->proofs[i]);

        if (proof == NULL) {
            ucan_walk_note(s->walk, UCAN_NO_PROOF, token);
            continue;
        }

        rc = ucan_walk_jwt_link(token, proof);

        if (rc == UCAN_OK
            && s->depth[state] + 1U > s->walk->trust->limits.depth_max)
        {
            rc = UCAN_TOO_DEEP;
        }

        if (rc != UCAN_OK) {
            ucan_walk_note(s->walk, rc, proof);
            continue;
        }

        expand_proof(s, state, (size_t) (proof - s->walk->bundle->tokens));
    }

    if (token->foreign) {
        ucan_walk_note(s->walk, UCAN_NO_PROOF, token);

    } else if (token->proof_count == 0) {
        ucan_walk_note(s->walk, UCAN_UNTRUSTED_ROOT, token);
    }
}


/* Queues the capabilities of a proof that cover the one of state. */
static void
expand_proof(ucan_walk_jwt_t *s, size_t state, size_t proof)
{
    int                  found;
    size_t               i, above;
    const ucan_token_t  *token;

    token = &s->walk->bundle->tokens[proof];
    found = 0;

    for (i = 0; i < token->capability_count; i++) {

        above = s->first[proof] + i;

        if (!covers(s->walk, &token->capabilities[i],
                    capability_of(s, state)))
        {
            continue;
        }

        found = 1;

        if (s->depth[above] == 0) {
            add_state(s, above, state, s->depth[state] + 1U);
        }
    }

    if (!found) {
        ucan_walk_note(s->walk, UCAN_WIDENED, token_of(s, state));
    }
}


static void
add_state(ucan_walk_jwt_t *s, size_t state, size_t below, size_t depth)
{
    s->below[state] = (uint16_t) below;
    s->depth[state] = (uint8_t) depth;
    s->queue[s->tail++] = (uint16_t) state;
}


static void
take_path(ucan_walk_jwt_t *s, size_t state)
{
    s->walk->root = token_of(s, state)->iss;
    s->walk->depth = s->depth[state];

    for ( ;; ) {
        ucan_walk_lessen(s->walk, token_of(s, state));

        if (s->below[state] == UCAN_WALK_JWT_TOP) {
            return;
        }

        state = s->below[state];
    }
}


static ucan_token_t *
token_of(const ucan_walk_jwt_t *s, size_t state)
{
    return &s->walk->bundle->tokens[s->token[state]];
}


static const ucan_token_cap_t *
capability_of(const ucan_walk_jwt_t *s, size_t state)
{
    return &token_of(s, state)->capabilities[state
                                             - s->first[s->token[state]]];
}


static ucan_verdict_t
check_want(ucan_walk_t *walk, const ucan_token_cap_t *cap,
    const ucan_walk_want_t *want)
{
    if (want->with.len == 0) {
        return UCAN_OK;
    }

    if (!cover_resource(cap->with, want->with)
        || !cover_ability(cap->can, want->can))
    {
        return UCAN_NOT_COVERED;
    }

    if (!ucan_caveat_match(cap->caveat, &want->facts, &walk->work)) {
        return UCAN_POLICY;
    }

    return UCAN_OK;
}


static int
covers(ucan_walk_t *walk, const ucan_token_cap_t *a,
    const ucan_token_cap_t *b)
{
    /* comparing a resource is fast, folding an ability is not */

    if (!ucan_walk_spend(walk, UCAN_WALK_JWT_STEP + a->with.len / 16
                               + a->can.len))
    {
        return 0;
    }

    return cover_resource(a->with, b->with)
           && cover_ability(a->can, b->can)
           && ucan_caveat_covers(a->caveat, b->caveat, &walk->work);
}


static int
cover_resource(bytes_t a, bytes_t b)
{
    if (bytes_equal(a, b)) {
        return 1;
    }

    return find_subject(a).len != 0
           && a.data[a.len - 1] == '/'
           && bytes_start_with(b, a);
}


/* "*" covers all, "ns/..." is covered by "ns/" and a star; no other prefix
   covers anything in 0.x. */
static int
cover_ability(bytes_t a, bytes_t b)
{
    if (bytes_equal_text(a, "*") || equal_fold(a, b)) {
        return 1;
    }

    if (a.len < 3
        || a.data[a.len - 1] != '*'
        || a.data[a.len - 2] != '/'
        || b.len < a.len)
    {
        return 0;
    }

    a.len--;
    b.len = a.len;

    return equal_fold(a, b);
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


/* The DID of "mesh://<did>/..."; empty for any other resource. */
static bytes_t
find_subject(bytes_t resource)
{
    bytes_t         scheme;
    const uint8_t  *slash;

    scheme = bytes_of(UCAN_WALK_JWT_SCHEME);

    if (!bytes_start_with(resource, scheme)) {
        return bytes_make(NULL, 0);
    }

    resource.data += scheme.len;
    resource.len -= scheme.len;

    slash = memchr(resource.data, '/', resource.len);

    if (slash == NULL) {
        return bytes_make(NULL, 0);
    }

    return bytes_make(resource.data, (size_t) (slash - resource.data));
}


/* Of a resource that is none of a mesh's, every anchor is an owner: the
   location that asks for it names its anchors. */
static int
match_owner(const ucan_walk_t *walk, bytes_t did, bytes_t resource)
{
    if (!ucan_walk_anchored(walk, did)) {
        return 0;
    }

    return !bytes_start_with(resource, bytes_of(UCAN_WALK_JWT_SCHEME))
           || bytes_equal(find_subject(resource), did);
}
