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
 * covers what lies below, and is owned by that DID alone.  So does
 * "mesh://<did>/storage/<namespace>." that ends in a dot: namespaces lie
 * below each other by dots.  Where a location
 * says so, every resource covers what lies below it, up to a slash.
 */


#include "ucan_walk.h"


#define UCAN_WALK_JWT_SCHEME  "mesh://"
#define UCAN_WALK_JWT_STEP    16           /* work of looking at one pair */

/* Visits of one walk: each state once, and half as many again with taints. */
#define UCAN_WALK_JWT_ENTRIES_MAX                                             \
    (UCAN_TOKEN_CAPS_MAX + UCAN_TOKEN_CAPS_MAX / 2)


_Static_assert(UCAN_TOKEN_CAPS_MAX < UCAN_WALK_NONE, "state");
_Static_assert(UCAN_WALK_JWT_ENTRIES_MAX < UCAN_WALK_NONE, "entry");


/* One visit of a state. */
typedef struct {
    ucan_walk_set_t  taints;      /* of the tokens below it */
    uint16_t         state;
    uint16_t         below;       /* entry next towards the top */
    uint16_t         same;        /* earlier entry of the same state */
    uint8_t          token;       /* whose state */
    uint8_t          depth;
} ucan_walk_jwt_entry_t;


/* States are numbered through: token i has first[i] and those after it.
   Entries are written before they are read. */
typedef struct {
    ucan_walk_t             *walk;
    const ucan_walk_want_t  *want;
    size_t                   head;            /* next to look at */
    size_t                   tail;
    uint16_t                 first[UCAN_TOKEN_COUNT_MAX];
    uint16_t                 last[UCAN_TOKEN_CAPS_MAX];     /* entry */
    ucan_walk_jwt_entry_t    entries[UCAN_WALK_JWT_ENTRIES_MAX];
} ucan_walk_jwt_t;


static void number_states(ucan_walk_jwt_t *s);
static void start(ucan_walk_jwt_t *s);
static void expand(ucan_walk_jwt_t *s, const ucan_walk_jwt_entry_t *entry);
static ucan_verdict_t expand_proof(ucan_walk_jwt_t *s,
    const ucan_walk_jwt_entry_t *entry, const ucan_token_t *proof,
    ucan_walk_set_t taints);
static ucan_verdict_t add_entry(ucan_walk_jwt_t *s, size_t token, size_t cap,
    const ucan_walk_jwt_entry_t *below, ucan_walk_set_t taints);
static int match_visit(const ucan_walk_jwt_t *s, size_t state,
    ucan_walk_set_t taints);
static void take_path(ucan_walk_jwt_t *s,
    const ucan_walk_jwt_entry_t *entry);
static ucan_token_t *token_of(const ucan_walk_jwt_t *s,
    const ucan_walk_jwt_entry_t *entry);
static const ucan_token_cap_t *capability_of(const ucan_walk_jwt_t *s,
    const ucan_walk_jwt_entry_t *entry);
static ucan_verdict_t check_want(ucan_walk_t *walk,
    const ucan_token_cap_t *cap, const ucan_walk_want_t *want);
static int covers(ucan_walk_jwt_t *s, const ucan_token_cap_t *a,
    const ucan_token_cap_t *b);
static int cover_resource(const ucan_walk_want_t *want, bytes_t a,
    bytes_t b);
static int match_dot(bytes_t resource);
static int cover_ability(const ucan_token_cap_t *cap, bytes_t can, int wild);
static int equal_fold(bytes_t a, bytes_t b);
static bytes_t find_subject(bytes_t resource);
static int match_owner(const ucan_walk_t *walk, bytes_t did,
    bytes_t resource);


ucan_verdict_t
ucan_walk_jwt_find(ucan_walk_t *walk, const ucan_walk_want_t *want)
{
    ucan_token_t           *token;
    ucan_walk_jwt_t         s;
    ucan_walk_jwt_entry_t  *entry;

    s.walk = walk;
    s.want = want;
    s.head = 0;
    s.tail = 0;

    number_states(&s);
    start(&s);

    while (s.head != s.tail) {

        entry = &s.entries[s.head++];
        token = token_of(&s, entry);

        if (ucan_walk_admit(walk, token) != UCAN_OK
            || ucan_walk_severed(walk, entry->taints, token))
        {
            continue;
        }

        if (match_owner(walk, token->iss, capability_of(&s, entry)->with)) {
            take_path(&s, entry);
            return UCAN_OK;
        }

        expand(&s, entry);
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

    /* what is newer may mean more than the older one could say */

    if (proof->version > token->version) {
        return UCAN_UNSUPPORTED;
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
    size_t                i, n;
    const ucan_bundle_t  *bundle;

    bundle = s->walk->bundle;
    n = 0;

    for (i = 0; i < bundle->count; i++) {
        s->first[i] = (uint16_t) n;
        n += bundle->tokens[i].capability_count;
    }

    memset(s->last, 0xff, n * sizeof(s->last[0]));
}


static void
start(ucan_walk_jwt_t *s)
{
    size_t          i;
    ucan_token_t   *token;
    ucan_verdict_t  rc;

    token = s->walk->bundle->top;

    for (i = 0; i < token->capability_count; i++) {

        rc = check_want(s->walk, &token->capabilities[i], s->want);

        if (rc == UCAN_OK) {
            rc = add_entry(s, (size_t) (token - s->walk->bundle->tokens), i,
                           NULL, 0);
        }

        if (rc != UCAN_OK) {
            ucan_walk_note(s->walk, rc, token);
        }
    }
}


static void
expand(ucan_walk_jwt_t *s, const ucan_walk_jwt_entry_t *entry)
{
    size_t            i;
    ucan_token_t     *token, *proof;
    ucan_verdict_t    rc;
    ucan_walk_set_t   taints;

    token = token_of(s, entry);
    taints = entry->taints | ucan_walk_taint(s->walk, token);

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

        if (rc == UCAN_OK) {
            rc = expand_proof(s, entry, proof, taints);
        }

        if (rc != UCAN_OK) {
            ucan_walk_note(s->walk, rc, rc == UCAN_WIDENED ? token : proof);
        }
    }

    if (token->foreign) {
        ucan_walk_note(s->walk, UCAN_NO_PROOF, token);

    } else if (token->proof_count == 0) {
        ucan_walk_note(s->walk, UCAN_UNTRUSTED_ROOT, token);
    }
}


/* Queues the capabilities of a proof that cover the one of entry. */
static ucan_verdict_t
expand_proof(ucan_walk_jwt_t *s, const ucan_walk_jwt_entry_t *entry,
    const ucan_token_t *proof, ucan_walk_set_t taints)
{
    size_t          i, token;
    ucan_verdict_t  rc;

    if (entry->depth + 1U > s->walk->trust->limits.depth_max) {
        return UCAN_TOO_DEEP;
    }

    token = (size_t) (proof - s->walk->bundle->tokens);
    rc = UCAN_WIDENED;

    for (i = 0; i < proof->capability_count; i++) {

        if (!covers(s, &proof->capabilities[i], capability_of(s, entry))) {
            continue;
        }

        rc = add_entry(s, token, i, entry, taints);
        if (rc != UCAN_OK) {
            return rc;
        }
    }

    return rc;
}


/* A visit, unless there was one with no other taints than these. */
static ucan_verdict_t
add_entry(ucan_walk_jwt_t *s, size_t token, size_t cap,
    const ucan_walk_jwt_entry_t *below, ucan_walk_set_t taints)
{
    size_t                  state;
    ucan_walk_jwt_entry_t  *entry;

    state = s->first[token] + cap;

    if (match_visit(s, state, taints)) {
        return UCAN_OK;
    }

    if (s->tail == UCAN_WALK_JWT_ENTRIES_MAX) {
        return UCAN_TOO_LARGE;
    }

    entry = &s->entries[s->tail];

    entry->taints = taints;
    entry->state = (uint16_t) state;
    entry->below = (below != NULL) ? (uint16_t) (below - s->entries)
                                   : UCAN_WALK_NONE;
    entry->same = s->last[state];
    entry->token = (uint8_t) token;
    entry->depth = (uint8_t) ((below != NULL) ? below->depth + 1 : 1);

    s->last[state] = (uint16_t) s->tail++;

    return UCAN_OK;
}


static int
match_visit(const ucan_walk_jwt_t *s, size_t state, ucan_walk_set_t taints)
{
    size_t  n;

    for (n = s->last[state]; n != UCAN_WALK_NONE; n = s->entries[n].same) {
        if ((s->entries[n].taints & ~taints) == 0) {
            return 1;
        }
    }

    return 0;
}


static void
take_path(ucan_walk_jwt_t *s, const ucan_walk_jwt_entry_t *entry)
{
    ucan_walk_t  *walk;

    walk = s->walk;

    walk->root = token_of(s, entry)->iss;
    walk->depth = entry->depth;
    walk->path_count = 0;

    for ( ;; ) {
        ucan_walk_lessen(walk, token_of(s, entry));

        if (entry->below == UCAN_WALK_NONE) {
            return;
        }

        walk->path[walk->path_count++] = token_of(s, entry);
        entry = &s->entries[entry->below];
    }
}


static ucan_token_t *
token_of(const ucan_walk_jwt_t *s, const ucan_walk_jwt_entry_t *entry)
{
    return &s->walk->bundle->tokens[entry->token];
}


static const ucan_token_cap_t *
capability_of(const ucan_walk_jwt_t *s, const ucan_walk_jwt_entry_t *entry)
{
    return &token_of(s, entry)->capabilities[entry->state
                                             - s->first[entry->token]];
}


static ucan_verdict_t
check_want(ucan_walk_t *walk, const ucan_token_cap_t *cap,
    const ucan_walk_want_t *want)
{
    if (want->with.len == 0) {
        return UCAN_OK;
    }

    if (!cover_resource(want, cap->with, want->with)
        || !cover_ability(cap, want->can, 0))
    {
        return UCAN_NOT_COVERED;
    }

    if (!ucan_caveat_match(cap->caveat, &want->facts, &walk->work)) {
        return UCAN_POLICY;
    }

    return UCAN_OK;
}


static int
covers(ucan_walk_jwt_t *s, const ucan_token_cap_t *a,
    const ucan_token_cap_t *b)
{
    ucan_walk_t  *walk;

    walk = s->walk;

    /* comparing a resource is fast, folding an ability is not */

    if (!ucan_walk_spend(walk, UCAN_WALK_JWT_STEP + a->with.len / 16
                               + a->can.len))
    {
        return 0;
    }

    return cover_resource(s->want, a->with, b->with)
           && cover_ability(a, b->can, b->wild)
           && ucan_caveat_covers(a->caveat, b->caveat, &walk->work);
}


static int
cover_resource(const ucan_walk_want_t *want, bytes_t a, bytes_t b)
{
    if (bytes_equal(a, b)) {
        return 1;
    }

    if (want->prefix
        && a.len != 0
        && b.len > a.len
        && bytes_start_with(b, a)
        && (a.data[a.len - 1] == '/' || b.data[a.len] == '/'))
    {
        return 1;
    }

    return find_subject(a).len != 0
           && (a.data[a.len - 1] == '/' || match_dot(a))
           && bytes_start_with(b, a);
}


/* 1 when resource, a mesh's, stands for the namespaces below one. */
static int
match_dot(bytes_t resource)
{
    size_t   head;
    bytes_t  kind;

    kind = bytes_of("/storage/");
    head = strlen(UCAN_WALK_JWT_SCHEME) + find_subject(resource).len;

    return resource.data[resource.len - 1] == '.'
           && resource.len > head + kind.len + 1
           && memcmp(resource.data + head, kind.data, kind.len) == 0;
}


/* "*" covers all; from 0.9 on "ns/..." is covered by "ns/" and a star, in 0.8
   that is one name among others; no other prefix covers anything in 0.x. */
static int
cover_ability(const ucan_token_cap_t *cap, bytes_t can, int wild)
{
    bytes_t  head;

    if (bytes_equal_text(cap->can, "*")) {
        return 1;
    }

    if (!cap->wild) {
        return !wild && equal_fold(cap->can, can);
    }

    head = bytes_make(cap->can.data, cap->can.len - 1);

    return can.len >= cap->can.len
           && equal_fold(head, bytes_make(can.data, head.len));
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

    /* what is cut before the subject would, as a prefix, cover all meshes */

    return !bytes_start_with(resource, bytes_of("mesh:"))
           || bytes_equal(find_subject(resource), did);
}
