/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The walks (reference 5.5), rule by rule, over real, signed tokens: order of
 * proofs, powerlines, narrowing, windows, and what goes with a path: its
 * tokens, who revoked one of them, which signatures were known before.
 * Sessions as a whole are in ucan_chain_test.c, the HTTP request is in
 * ucan_chain_args_test.c.
 */


#include "ucan_fixture.h"


/* An invocation of "/room/send" about the mesh by issuer, with these
   proofs. */
static bytes_t
invoke(const char *issuer, const bytes_t *proofs, size_t count)
{
    size_t                 i;
    cid_t                  cids[UCAN_TOKEN_PROOFS_MAX];
    ucan_envelope_draft_t  draft;

    draft = make_draft("mesh", "/room/send");
    draft.invocation = 1;
    draft.proofs = cids;
    draft.proof_count = count;
    draft.exp = MAKE_NOW + 60;

    for (i = 0; i < count; i++) {
        cid_of(&cids[i], CID_DAG_CBOR, proofs[i]);
    }

    return make_envelope(issuer, &draft);
}


static void
test_order_of_proofs(void)
{
    size_t        i;
    bytes_t       all[5], list[4];
    ucan_chain_t  chain;

    static const struct {
        const char      *name;
        size_t           order[3];
        ucan_verdict_t   rc;
    } cases[] = {
        { "root first", { 0, 1, 2 }, UCAN_OK },
        { "holder first", { 2, 1, 0 }, UCAN_OK },
        { "root first, the others turned", { 0, 2, 1 }, UCAN_BROKEN_CHAIN },
        { "root last, the others turned", { 1, 2, 0 }, UCAN_BROKEN_CHAIN },
        { "root in the middle", { 1, 0, 2 }, UCAN_UNTRUSTED_ROOT }
    };

    reset();

    all[0] = make_delegation("mesh", "alice", "/");
    all[1] = make_delegation("alice", "bob", "/room");
    all[2] = make_delegation("bob", "carol", "/room/send");

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        list[0] = all[cases[i].order[0]];
        list[1] = all[cases[i].order[1]];
        list[2] = all[cases[i].order[2]];
        all[4] = invoke("carol", list, 3);
        list[3] = all[4];

        ok_verdict(open_list(&chain, list, 4), cases[i].rc, cases[i].name);

        if (cases[i].rc == UCAN_OK) {
            tap_ok(chain.path_count == 3 && chain.depth == 4
                   && bytes_equal(chain.path[0]->raw, all[0])
                   && bytes_equal(chain.path[1]->raw, all[1])
                   && bytes_equal(chain.path[2]->raw, all[2]),
                   "%s: the path is root first", cases[i].name);
        }
    }
}


static void
test_proofs_of_an_invocation(void)
{
    cid_t                  gone;
    bytes_t                list[3];
    ucan_chain_t           chain;
    ucan_envelope_draft_t  draft;

    reset();

    list[0] = invoke("alice", NULL, 0);
    ok_verdict(open_list(&chain, list, 1), UCAN_NO_PROOF,
               "no proofs: only the subject needs none");

    list[0] = invoke("mesh", NULL, 0);
    ok_verdict(open_list(&chain, list, 1), UCAN_OK,
               "issuer and subject are one: no proofs");
    tap_ok(chain.path_count == 0 && chain.depth == 1, "and no path");

    cid_of(&gone, CID_DAG_CBOR, bytes_of("nobody has it"));
    draft = make_draft("mesh", "/room/send");
    draft.invocation = 1;
    draft.exp = MAKE_NOW + 60;
    draft.proofs = &gone;
    draft.proof_count = 1;
    list[0] = make_envelope("mesh", &draft);
    ok_verdict(open_list(&chain, list, 1), UCAN_OK,
               "one is and proofs are named: they are not looked at");

    list[0] = make_envelope("alice", &draft);
    ok_verdict(open_list(&chain, list, 1), UCAN_NO_PROOF,
               "another's are");

    draft = make_draft("mesh", "/room/send");
    draft.invocation = 1;
    draft.exp = MAKE_NOW + 60;
    draft.aud = bytes_make(NULL, 0);
    list[0] = make_envelope("mesh", &draft);
    ok_verdict(open_list(&chain, list, 1), UCAN_OK,
               "no audience: it is the subject, here the mesh");

    draft.aud = make_did("other");
    list[0] = make_envelope("mesh", &draft);
    ok_verdict(open_list(&chain, list, 1), UCAN_WRONG_AUDIENCE,
               "an audience elsewhere is not mended by the subject");

    list[0] = make_delegation("mesh", "alice", "/");
    list[1] = make_delegation("mesh", "bob", "/");
    list[2] = invoke("alice", list, 2);
    ok_verdict(open_list(&chain, list, 3), UCAN_BROKEN_CHAIN,
               "a proof too many is no chain");
}


static void
test_powerlines(void)
{
    bytes_t                list[4];
    ucan_chain_t           chain;
    ucan_envelope_draft_t  null;

    reset();

    null = make_draft("bob", "/room");
    null.sub = bytes_make(NULL, 0);

    list[0] = make_delegation("mesh", "alice", "/room");
    list[1] = make_envelope("alice", &null);
    list[2] = make_delegation("bob", "carol", "/room/send");
    list[3] = invoke("carol", list, 3);
    ok_verdict(open_list(&chain, list, 4), UCAN_OK,
               "null in the middle takes the subject before it");

    null = make_draft("alice", "/room");
    null.sub = bytes_make(NULL, 0);
    list[0] = make_envelope("mesh", &null);
    list[1] = make_delegation("alice", "bob", "/room");
    list[3] = invoke("carol", list, 3);
    ok_verdict(open_list(&chain, list, 4), UCAN_WRONG_SUBJECT,
               "null at the root is refused");

    list[1] = invoke("alice", list, 1);
    ok_verdict(open_list(&chain, list, 2), UCAN_WRONG_SUBJECT,
               "also when it is all there is");

    null = make_draft("bob", "/room");
    null.sub = make_did("other");
    list[0] = make_delegation("mesh", "alice", "/room");
    list[1] = make_envelope("alice", &null);
    list[3] = invoke("carol", list, 3);
    ok_verdict(open_list(&chain, list, 4), UCAN_WRONG_SUBJECT,
               "another subject in the middle is refused");
}


static void
test_narrowing(void)
{
    size_t        i;
    bytes_t       list[4];
    ucan_chain_t  chain;

    static const struct {
        const char      *root;
        const char      *middle;
        const char      *last;
        ucan_verdict_t   rc;
    } cases[] = {
        { "/", "/room", "/room/send", UCAN_OK },
        { "/room/send", "/room/send", "/room/send", UCAN_OK },
        { "/room/send", "/room", "/room/send", UCAN_WIDENED },
        { "/room", "/room/send", "/room", UCAN_WIDENED },
        { "/room/send", "/", "/room/send", UCAN_WIDENED },
        { "/room/sen", "/room/send", "/room/send", UCAN_WIDENED },
        { "/room/read", "/room/read", "/room/read", UCAN_WIDENED },
        { "/room/send/all", "/room/send/all", "/room/send/all",
          UCAN_WIDENED }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        reset();

        list[0] = make_delegation("mesh", "alice", cases[i].root);
        list[1] = make_delegation("alice", "bob", cases[i].middle);
        list[2] = make_delegation("bob", "carol", cases[i].last);
        list[3] = invoke("carol", list, 3);

        tap_ok(open_list(&chain, list, 4) == cases[i].rc,
               "%s, %s, %s: %s", cases[i].root, cases[i].middle,
               cases[i].last,
               cases[i].rc == UCAN_OK ? "narrows" : "is refused");
    }
}


/* Both ends are inside, and the leeway is given at both. */
static void
test_windows(void)
{
    size_t                 i;
    int                    link;
    bytes_t                list[2];
    ucan_chain_t           chain;
    ucan_trust_t          *trust;
    ucan_envelope_draft_t  draft;

    static const struct {
        int64_t          nbf, exp, leeway;      /* from now */
        ucan_verdict_t   rc;
    } cases[] = {
        { 0, 0, 0, UCAN_OK },
        { 1, 0, 0, UCAN_NOT_YET },
        { 0, -1, 0, UCAN_EXPIRED },
        { 60, 0, 60, UCAN_OK },
        { 61, 0, 60, UCAN_NOT_YET },
        { 0, -60, 60, UCAN_OK },
        { 0, -61, 60, UCAN_EXPIRED }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (link = 0; link < 2; link++) {
            reset();

            trust = trust_mesh();
            trust->leeway = cases[i].leeway;

            draft = link ? make_draft("alice", "/") : make_opening("alice");
            draft.nbf = MAKE_NOW + cases[i].nbf;
            draft.exp = MAKE_NOW + cases[i].exp;

            list[0] = link ? make_envelope("mesh", &draft)
                           : make_delegation("mesh", "alice", "/");
            list[1] = link ? make_session("alice")
                           : make_envelope("alice", &draft);

            tap_ok(open_at(&chain, list, 2, trust, MAKE_NOW) == cases[i].rc,
                   "%s: begins in %d, ends in %d, leeway %d: %s",
                   link ? "link" : "top", (int) cases[i].nbf,
                   (int) cases[i].exp, (int) cases[i].leeway,
                   ucan_verdict_slug(cases[i].rc));
        }
    }
}


static void
test_path(void)
{
    bytes_t       list[5], proofs[3], top;
    ucan_chain_t  chain;

    reset();

    list[0] = make_delegation("alice", "bob", "/room");
    list[1] = make_session("bob");
    list[2] = make_delegation("mesh", "alice", "/");
    list[3] = make_delegation("mesh", "dave", "/");

    ok_verdict(open_list(&chain, list, 4), UCAN_OK, "a session of two links");
    tap_ok(chain.path_count == 2
           && bytes_equal(chain.path[0]->raw, list[2])
           && bytes_equal(chain.path[1]->raw, list[0]),
           "has a path of them, root first, without the top");

    list[0] = make_session("mesh");
    ok_verdict(open_list(&chain, list, 1), UCAN_OK, "the mesh's own session");
    tap_ok(chain.path_count == 0, "has no path");

    proofs[0] = jwt_all("mesh", "alice", NULL);
    proofs[1] = bytes_make(NULL, 0);
    proofs[1] = jwt_all("alice", "bob", proofs);
    proofs[2] = bytes_make(NULL, 0);
    top = jwt_all("bob", "mesh", proofs + 1);

    ok_verdict(open_jwt(&chain, top, proofs), UCAN_OK, "0.x, two proofs");
    tap_ok(chain.path_count == 2 && chain.depth == 3
           && bytes_equal(chain.path[0]->raw, proofs[0])
           && bytes_equal(chain.path[1]->raw, proofs[1]),
           "has the same kind of path");
}


static void
test_missing(void)
{
    cid_t           list[4], cid;
    bytes_t         proofs[4], top, stray, none[1];
    ucan_bundle_t   bundle;
    ucan_verdict_t  rc;

    reset();

    none[0] = bytes_make(NULL, 0);

    proofs[0] = jwt_all("mesh", "alice", NULL);
    proofs[1] = none[0];
    proofs[2] = jwt_all("mesh", "stray", NULL);
    proofs[3] = none[0];
    stray = jwt_all("stray", "nobody", proofs + 2);
    proofs[1] = jwt_all("alice", "bob", proofs);
    proofs[2] = none[0];
    top = jwt_all("bob", "mesh", proofs + 1);

    proofs[0] = stray;
    proofs[2] = none[0];

    rc = ucan_bundle_parse(&bundle, top, make_header(proofs),
                           &trust_mesh()->limits, &make_memory);
    ok_verdict(rc, UCAN_OK, "a token with a proof and a stray one");

    tap_ok(ucan_chain_missing(&bundle, list, 4) == 2,
           "two proofs are named and not there");

    cid_of(&cid, CID_RAW, jwt_all("mesh", "alice", NULL));
    tap_ok(cid_equal(&list[0], &cid), "first the one the top leads to");
    cid_of(&cid, CID_RAW, jwt_all("mesh", "stray", NULL));
    tap_ok(cid_equal(&list[1], &cid), "then the other");

    tap_ok(ucan_chain_missing(&bundle, list, 1) == 1, "at most as many");
    tap_ok(ucan_chain_missing(&bundle, list, 0) == 0, "or none");
}


static void
test_seals(void)
{
    bytes_t        list[4];
    ucan_trust_t  *trust;
    ucan_chain_t   chain;

    reset();
    trust = trust_mesh();

    list[0] = make_delegation("mesh", "alice", "/");
    list[1] = make_delegation("alice", "bob", "/room");
    list[2] = make_session("bob");

    ok_verdict(open_list(&chain, list, 3), UCAN_OK, "a session opens");
    tap_ok(memo.seals == 3, "all three signatures are told (%u)", memo.seals);
    tap_ok(ucan_chain_unchecked(chain.bundle, trust) == 0,
           "and none is left to check");

    memo.seals = 0;
    memo.know = 1;

    list[1] = bytes_make(list[1].data, list[1].len);
    ok_verdict(open_list(&chain, list, 3), UCAN_OK,
               "with all of them known it opens");
    tap_ok(memo.seals == 0, "and none is told again");

    list[2] = invoke("bob", list, 2);
    ok_verdict(open_list(&chain, list, 3), UCAN_OK, "an invocation opens");
    tap_ok(memo.seals == 0 && chain.bundle->top->seal == UCAN_TOKEN_SIGNED,
           "its own signature was checked and is told to nobody");

    chain.bundle->top->seal = UCAN_TOKEN_UNCHECKED;
    tap_ok(ucan_chain_unchecked(chain.bundle, trust) == 1,
           "so it is what a walk may cost");

    trust->sealed = NULL;
    chain.bundle->tokens[0].seal = UCAN_TOKEN_UNCHECKED;
    tap_ok(ucan_chain_unchecked(chain.bundle, trust) == 2,
           "without a memo all of them are");
}


static void
test_revoked_by(void)
{
    bytes_t       list[5], proofs[3];
    ucan_chain_t  chain;

    reset();

    list[0] = make_delegation("mesh", "alice", "/");
    list[1] = make_delegation("alice", "bob", "/room");
    list[2] = make_session("bob");

    revoke("mallory", list[1]);
    ok_verdict(open_list(&chain, list, 3), UCAN_OK,
               "a stranger's revocation is ignored");

    revoke("bob", list[0]);
    ok_verdict(open_list(&chain, list, 3), UCAN_OK,
               "so is one by who stands below");

    revoke("bob", list[1]);
    ok_verdict(open_list(&chain, list, 3), UCAN_OK,
               "and one by the audience");

    revoke("mesh", list[1]);
    ok_verdict(open_list(&chain, list, 3), UCAN_REVOKED,
               "that of a delegator above is honoured");
    tap_ok(chain.has_failed, "the refusal names a token");

    memo.count = 0;
    revoke("alice", list[1]);
    ok_verdict(open_list(&chain, list, 3), UCAN_REVOKED,
               "that of the issuer is");

    memo.count = 0;
    revoke("mesh", list[2]);
    ok_verdict(open_list(&chain, list, 3), UCAN_REVOKED,
               "a delegator ends a session below it");

    memo.count = 0;
    revoke("mesh", list[1]);
    list[3] = invoke("bob", list, 2);
    list[2] = list[3];
    ok_verdict(open_list(&chain, list, 3), UCAN_REVOKED,
               "an invocation dies with its proof");

    memo.count = 0;
    revoke("mallory", list[1]);
    ok_verdict(open_list(&chain, list, 3), UCAN_OK,
               "and lives with a stranger's word");

    memo.count = 0;
    proofs[0] = jwt_all("mesh", "alice", NULL);
    proofs[1] = bytes_make(NULL, 0);
    list[0] = jwt_all("alice", "mesh", proofs);

    revoke("mallory", list[0]);
    ok_verdict(open_jwt(&chain, list[0], proofs), UCAN_OK,
               "0.x: a stranger's is ignored");

    revoke("mesh", list[0]);
    ok_verdict(open_jwt(&chain, list[0], proofs), UCAN_REVOKED,
               "0.x: that of the issuer of the proof is honoured");
}


/* Who cannot be asked by whom, is believed. */
static void
test_revoked_without_names(void)
{
    bytes_t        list[2];
    ucan_trust_t  *trust;
    ucan_chain_t   chain;

    reset();

    list[0] = make_delegation("mesh", "alice", "/");
    list[1] = make_session("alice");
    revoke("mallory", list[0]);

    trust = trust_mesh();
    trust->revoked_by = NULL;

    ok_verdict(open_at(&chain, list, 2, trust, MAKE_NOW), UCAN_REVOKED,
               "a revocation by nobody knows whom counts");
}


/*
 *     mesh -> alice -> carol    (first, revoked by mesh)
 *     mesh -> bob   -> carol
 */

static void
test_revoked_sibling(void)
{
    bytes_t       list[6], proofs[5], top;
    ucan_chain_t  chain;

    reset();

    list[0] = make_delegation("mesh", "alice", "/");
    list[1] = make_delegation("alice", "carol", "/");
    list[2] = make_delegation("mesh", "bob", "/");
    list[3] = make_delegation("bob", "carol", "/");
    list[4] = make_session("carol");

    revoke("mesh", list[1]);
    ok_verdict(open_list(&chain, list, 5), UCAN_OK,
               "the other path stands");
    tap_ok(chain.path_count == 2
           && bytes_equal(chain.path[1]->raw, list[3]), "and is taken");

    revoke("mesh", list[3]);
    ok_verdict(open_list(&chain, list, 5), UCAN_REVOKED,
               "with both revoked none does");

    memo.count = 0;
    revoke("alice", list[3]);
    revoke("bob", list[1]);
    ok_verdict(open_list(&chain, list, 5), UCAN_OK,
               "those beside a path are strangers to it");

    memo.count = 0;
    proofs[0] = jwt_all("mesh", "alice", NULL);
    proofs[1] = bytes_make(NULL, 0);
    list[0] = jwt_all("alice", "carol", proofs);
    list[1] = proofs[0];
    proofs[0] = jwt_all("mesh", "bob", NULL);
    list[2] = jwt_all("bob", "carol", proofs);
    list[3] = proofs[0];
    proofs[0] = list[0];
    proofs[1] = list[2];
    proofs[2] = bytes_make(NULL, 0);
    top = jwt_all("carol", "mesh", proofs);
    list[4] = bytes_make(NULL, 0);

    revoke("mesh", list[0]);
    ok_verdict(open_jwt(&chain, top, list), UCAN_OK,
               "0.x: the other path stands");
    tap_ok(chain.path_count == 2
           && bytes_equal(chain.path[1]->raw, list[2]),
           "0.x: and is taken");
}


/*
 * The token above the one revoked is reached twice: by the tainted path,
 * which comes first, and by a clean and longer one.
 *
 *     mesh -> alice -> bob -> carol             ("direct" revoked by alice)
 *                      bob -> dave -> carol
 */

static void
test_revoked_diamond(void)
{
    bytes_t       list[6];
    ucan_chain_t  chain;

    reset();

    list[0] = make_delegation("mesh", "alice", "/");
    list[1] = make_delegation("alice", "bob", "/");
    list[2] = make_delegation("bob", "carol", "/");
    list[3] = make_delegation("bob", "dave", "/");
    list[4] = make_delegation("dave", "carol", "/");
    list[5] = make_session("carol");

    revoke("alice", list[2]);
    ok_verdict(open_list(&chain, list, 6), UCAN_OK,
               "a token that was seen on a dead path is seen again");
    tap_ok(chain.depth == 5, "on the longer one (%zu)", chain.depth);

    revoke("mesh", list[4]);
    ok_verdict(open_list(&chain, list, 6), UCAN_REVOKED,
               "until that is dead too");
}


/*
 * Two tokens from each of many levels to the next, all of them revoked by
 * somebody who is not there: without a bound there would be 2^15 sets of
 * taints to carry up.
 */

static void
test_revoked_tangle(void)
{
    int                    level, i;
    char                   from[16], to[16];
    size_t                 n;
    bytes_t                list[40];
    ucan_chain_t           chain;
    ucan_trust_t          *trust;
    ucan_envelope_draft_t  draft;

    reset();

    memcpy(from, "mallory", 8);
    n = 0;

    for (level = 0; level < 14; level++) {

        snprintf(to, sizeof(to), "t%d", level);

        for (i = 0; i < 2; i++) {
            draft = make_draft(to, "/");
            draft.nonce = i ? bytes_of("one") : bytes_of("other");
            list[n] = make_envelope(from, &draft);

            revoke("nobody", list[n++]);
        }

        memcpy(from, to, sizeof(from));
    }

    list[n++] = make_session(from);
    trust = trust_mesh();

    tap_ok(open_at(&chain, list, n, trust, MAKE_NOW) != UCAN_OK,
           "a tangle of revoked tokens without a root is refused");
    tap_ok(memo.questions < 20000, "after few questions (%u)",
           memo.questions);
}


/* A small graph of delegations of everything, and who revoked which. */
typedef struct {
    unsigned  issuer[10];
    unsigned  audience[10];
    unsigned  used[10];
    unsigned  path[10];            /* tokens, the holder's first */
    unsigned  revoked[10][4];      /* by each */
} walk_graph_t;


/* The same question in the plainest way: all paths, each token once. */
static int
match_graph(walk_graph_t *g, unsigned holder, unsigned depth)
{
    int       found;
    unsigned  i, j, dead;

    for (i = 0; i < 10; i++) {

        if (g->used[i] || g->audience[i] != holder) {
            continue;
        }

        g->path[depth] = i;
        dead = 0;

        for (j = 0; j <= depth; j++) {
            dead |= g->revoked[g->path[j]][g->issuer[i]];
        }

        if (dead) {
            continue;
        }

        g->used[i] = 1;
        found = g->issuer[i] == 0
                || match_graph(g, g->issuer[i], depth + 1);
        g->used[i] = 0;

        if (found) {
            return 1;
        }
    }

    return 0;
}


static void
test_revoked_at_random(void)
{
    int             expected;
    char            nonce[16];
    unsigned        i, n, round, wrong, found;
    bytes_t         list[11];
    uint32_t        seed;
    ucan_chain_t    chain;
    walk_graph_t    g;

    ucan_envelope_draft_t     draft;
    static const char *const  names[] = { "mesh", "alice", "bob", "carol" };

    seed = 1;
    wrong = 0;
    found = 0;

    for (round = 0; round < 400; round++) {
        reset();
        memset(&g, 0, sizeof(g));

        for (i = 0; i < 10; i++) {
            seed = seed * 1103515245 + 12345;
            g.issuer[i] = seed >> 16 & 3;
            g.audience[i] = (g.issuer[i] + 1 + (seed >> 20) % 3) % 4;

            draft = make_draft(names[g.audience[i]], "/");
            snprintf(nonce, sizeof(nonce), "%u", i);
            draft.nonce = bytes_of(nonce);
            list[i] = make_envelope(names[g.issuer[i]], &draft);

            for (n = 0; n < 2; n++) {
                seed = seed * 1103515245 + 12345;

                if (!g.revoked[i][seed >> 16 & 3] && (seed >> 24 & 3) != 0) {
                    g.revoked[i][seed >> 16 & 3] = 1;
                    revoke(names[seed >> 16 & 3], list[i]);
                }
            }
        }

        list[10] = make_session("carol");
        expected = match_graph(&g, 3, 0);
        found += (expected != 0);

        wrong += (open_list(&chain, list, 11) == UCAN_OK) != expected;
    }

    tap_ok(wrong == 0, "400 graphs, 0 answers unlike those of a search of all"
           " paths (%u)", wrong);
    tap_ok(found > 40 && found < 360, "some with a way and some without (%u)",
           found);
}


int
main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }

    test_order_of_proofs();
    test_proofs_of_an_invocation();
    test_powerlines();
    test_narrowing();
    test_windows();
    test_path();
    test_missing();
    test_seals();
    test_revoked_by();
    test_revoked_without_names();
    test_revoked_sibling();
    test_revoked_diamond();
    test_revoked_tangle();
    test_revoked_at_random();

    return tap_done();
}
