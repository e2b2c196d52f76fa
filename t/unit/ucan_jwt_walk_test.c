/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Chains of UCAN 0.8, 0.9 and 0.10 in all mixtures: which version may prove
 * which, what an ability covers in each, what reserved resources never do,
 * and what a tangle of embedded proofs costs.
 */


#include "tap.h"
#include "ucan_make.h"


#define NOTES     "https://api.example/notes"
#define VERSIONS  3


static const struct {
    const char  *name;
    unsigned     version;
} versions[VERSIONS] = {
    { "0.8",  UCAN_TOKEN_VERSION_08 },
    { "0.9",  UCAN_TOKEN_VERSION_09 },
    { "0.10", UCAN_TOKEN_VERSION_10 }
};


/* A token of one capability; the proof, when there is one, by its CID. */
static bytes_t
make_link(unsigned version, const char *issuer, const char *audience,
    const char *cap, bytes_t proof)
{
    cid_t             cid;
    char              text[1024], with[512], can[64], more[256];
    ucan_jwt_draft_t  draft;

    /* "resource ability caveat", the last without its braces */

    more[0] = '\0';
    (void) sscanf(cap, "%511s %63s %255s", with, can, more);

    if (version == UCAN_TOKEN_VERSION_10) {
        snprintf(text, sizeof(text), "{\"%s\":{\"%s\":[{%s}]}}", with, can,
                 more);

    } else {
        snprintf(text, sizeof(text), "[{\"with\":\"%s\",\"can\":\"%s\"%s%s}]",
                 with, can, more[0] != '\0' ? "," : "", more);
    }

    memset(&draft, 0, sizeof(draft));

    draft.version = version;
    draft.aud = make_did(audience);
    draft.caps = bytes_of(text);
    draft.exp = MAKE_NOW + 60;
    draft.nbf = -1;

    if (proof.len != 0) {
        cid_of(&cid, CID_RAW, proof);
        draft.proofs = &cid;
        draft.proof_count = 1;
    }

    return make_jwt_of(issuer, &draft);
}


/* Opens the token and asks for the ability; "root" owns everything. */
static ucan_verdict_t
ask_bundle(ucan_bundle_t *bundle, const char *resource, const char *ability)
{
    bytes_t          audience, root;
    ucan_trust_t     trust;
    ucan_chain_t     chain;
    ucan_verdict_t   rc;

    audience = make_did("mesh");
    root = make_did("root");

    memset(&trust, 0, sizeof(trust));
    ucan_limits_init(&trust.limits);

    trust.audiences = &audience;
    trust.audience_count = 1;
    trust.anchors = &root;
    trust.anchor_count = 1;
    trust.session_max = 86400;

    rc = ucan_chain_open(&chain, bundle, &trust, MAKE_NOW);

    return (rc == UCAN_OK)
           ? ucan_chain_allow_resource(&chain, bytes_of(resource),
                                       bytes_of(ability), bytes_make(NULL, 0),
                                       MAKE_NOW)
           : rc;
}


static ucan_verdict_t
ask(bytes_t top, const bytes_t *proofs, const char *resource,
    const char *ability)
{
    ucan_limits_t    limits;
    ucan_bundle_t    bundle;
    ucan_verdict_t   rc;

    ucan_limits_init(&limits);

    rc = ucan_bundle_parse(&bundle, top, make_header(proofs), &limits,
                           &make_memory);

    return (rc == UCAN_OK) ? ask_bundle(&bundle, resource, ability) : rc;
}


static void
test_versions(void)
{
    size_t    i, j;
    bytes_t   proofs[2], none, top;

    none = bytes_make(NULL, 0);
    proofs[1] = none;

    for (i = 0; i < VERSIONS; i++) {
        for (j = 0; j < VERSIONS; j++) {
            make_reset();

            proofs[0] = make_link(versions[j].version, "root", "alice",
                                  NOTES " crud/read", none);
            top = make_link(versions[i].version, "alice", "mesh",
                            NOTES " crud/read", proofs[0]);

            tap_ok(ask(top, proofs, NOTES, "crud/read")
                   == (j <= i ? UCAN_OK : UCAN_UNSUPPORTED),
                   "%s %s on a proof of %s", versions[i].name,
                   j <= i ? "stands" : "does not stand", versions[j].name);
        }
    }
}


/* An ability of a proof, in each version, and what is asked for under it. */
static void
test_abilities(void)
{
    int              expected;
    char             cap[256];
    size_t           i, j;
    bytes_t          proofs[2], none, top;
    ucan_verdict_t   rc;

    static const struct {
        const char  *proof;
        const char  *asked;
        int          covered[VERSIONS];
    } cases[] = {
        { "crud/read",   "crud/read",   { 1, 1, 1 } },
        { "CRUD/Read",   "crud/read",   { 1, 1, 1 } },
        { "*",           "crud/read",   { 1, 1, 1 } },
        { "crud/*",      "crud/read",   { 0, 1, 1 } },
        { "CRUD/*",      "crud/read",   { 0, 1, 1 } },
        { "crud/*",      "crud/a/b",    { 0, 1, 1 } },
        { "crud/a/*",    "crud/a/b",    { 0, 1, 1 } },
        { "crud/a/*",    "crud/a",      { 0, 0, 0 } },
        { "crud/*",      "crudx/read",  { 0, 0, 0 } },
        { "crud/*",      "crud",        { 0, 0, 0 } },
        { "crud/r*",     "crud/read",   { 0, 0, 0 } },
        { "crud/rea",    "crud/read",   { 0, 0, 0 } },
        { "crud/reads",  "crud/read",   { 0, 0, 0 } },
        { "crud/a",      "crud/a/b",    { 0, 0, 0 } },
        { "c/*",         "crud/read",   { 0, 0, 0 } },
        { "**",          "crud/read",   { -1, -1, 0 } },
        { "*/*",         "crud/read",   { 0, 0, 0 } },
        { "crud/read",   "*",           { 0, 0, 0 } }
    };

    none = bytes_make(NULL, 0);
    proofs[1] = none;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (j = 0; j < VERSIONS; j++) {
            make_reset();

            snprintf(cap, sizeof(cap), NOTES " %s", cases[i].proof);
            proofs[0] = make_link(versions[j].version, "root", "alice", cap,
                                  none);

            snprintf(cap, sizeof(cap), NOTES " %s",
                     strchr(cases[i].asked, '/') != NULL
                     ? cases[i].asked : "*");
            top = make_link(UCAN_TOKEN_VERSION_10, "alice", "mesh", cap,
                            proofs[0]);

            rc = ask(top, proofs, NOTES, cases[i].asked);
            expected = cases[i].covered[j] == 1;

            tap_ok((rc == UCAN_OK) == expected,
                   "%s of %s %s %s", cases[i].proof, versions[j].name,
                   expected ? "covers" : "does not cover", cases[i].asked);

            /* the same by one token alone */

            proofs[0] = none;
            snprintf(cap, sizeof(cap), NOTES " %s", cases[i].proof);
            top = make_link(versions[j].version, "root", "mesh", cap, none);

            tap_ok((ask(top, proofs, NOTES, cases[i].asked) == UCAN_OK)
                   == expected, "and so in a token of the root");
        }
    }
}


/* What 0.8 calls "crud/" and a star is one name; a later token that takes it
   over must not make it a name space. */
static void
test_star_grows(void)
{
    size_t    i;
    bytes_t   proofs[2], none, top;

    none = bytes_make(NULL, 0);
    proofs[1] = none;

    for (i = 0; i < VERSIONS; i++) {
        make_reset();

        proofs[0] = make_link(UCAN_TOKEN_VERSION_08, "root", "alice",
                              NOTES " crud/*", none);
        top = make_link(versions[i].version, "alice", "mesh",
                        NOTES " crud/*", proofs[0]);

        tap_ok(ask(top, proofs, NOTES, "crud/read") != UCAN_OK,
               "a star of 0.8 covers nothing in %s", versions[i].name);
        tap_ok((ask(top, proofs, NOTES, "crud/*") == UCAN_OK) == (i == 0),
               "but itself in 0.8, asked with %s", versions[i].name);
    }
}


/* Whoever owns everything says so in a reserved resource; nothing follows. */
static void
test_reserved(void)
{
    size_t    i, j, k;
    char      cap[256];
    bytes_t   proofs[2], none, top;

    static const char *const  resources[] = {
        "my:*", "my:https", "MY:*", "as:did:key:z6MkX:*", "prf:*", "prf:0",
        "ucan:*", "ucan:./*", "Ucan:*", "ucan://did:key:z6MkX/*"
    };
    static const char *const  abilities[] = { "*", "ucan/*",
                                              "ucan/DELEGATE" };

    none = bytes_make(NULL, 0);
    proofs[1] = none;

    for (i = 0; i < sizeof(resources) / sizeof(resources[0]); i++) {
        for (j = 0; j < VERSIONS; j++) {
            unsigned  wrong = 0;

            for (k = 0; k < 3; k++) {
                make_reset();

                snprintf(cap, sizeof(cap), "%s %s", resources[i],
                         abilities[k]);

                proofs[0] = none;
                top = make_link(versions[j].version, "root", "mesh", cap,
                                none);
                wrong += ask(top, proofs, NOTES, "crud/read") == UCAN_OK;
                wrong += ask(top, proofs, resources[i], abilities[k])
                         == UCAN_OK;

                /* in a proof, and upon a proof that has it all */

                proofs[0] = make_link(versions[j].version, "root", "alice",
                                      cap, none);
                top = make_link(versions[j].version, "alice", "mesh",
                                NOTES " crud/read", proofs[0]);
                wrong += ask(top, proofs, NOTES, "crud/read") == UCAN_OK;

                proofs[0] = make_link(versions[j].version, "root", "alice",
                                      NOTES " *", none);
                top = make_link(versions[j].version, "alice", "mesh", cap,
                                proofs[0]);
                wrong += ask(top, proofs, NOTES, "crud/read") == UCAN_OK;
            }

            tap_ok(wrong == 0, "%s in %s gives nothing", resources[i],
                   versions[j].name);
        }
    }
}


static void
test_caveats(void)
{
    size_t    i, j;
    char      cap[2][256];
    bytes_t   proofs[2], none, top;

    static const struct {
        const char  *proof;
        const char  *leaf;
        int          stands;
    } cases[] = {
        { "", "", 1 },
        { "\"nb\":{\"a\":1}", "", 0 },
        { "", "\"nb\":{\"a\":1}", 0 }
    };

    none = bytes_make(NULL, 0);
    proofs[1] = none;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (j = 0; j < VERSIONS; j++) {
            make_reset();

            snprintf(cap[0], sizeof(cap[0]), NOTES " crud/read %s",
                     cases[i].proof);
            snprintf(cap[1], sizeof(cap[1]), NOTES " crud/read %s",
                     cases[i].leaf);

            proofs[0] = make_link(versions[j].version, "root", "alice",
                                  cap[0], none);
            top = make_link(versions[j].version, "alice", "mesh", cap[1],
                            proofs[0]);

            tap_ok((ask(top, proofs, NOTES, "crud/read") == UCAN_OK)
                   == cases[i].stands,
                   "%s: {%s} under {%s}, without facts, %s",
                   versions[j].name, cases[i].leaf, cases[i].proof,
                   cases[i].stands ? "stands" : "does not stand");
        }
    }
}


/* Each link may be a good one and embedded; the last is the root's. */
static bytes_t
make_tower(size_t depth, bytes_t last)
{
    size_t   i;
    bytes_t  list[2];

    static const char  caps[] = "[{\"with\":\"" NOTES "\","
                                "\"can\":\"crud/read\"}]";

    list[0] = last;
    list[1] = bytes_make(NULL, 0);

    for (i = 1; i < depth; i++) {
        list[0] = make_jwt_08("alice", i + 1 == depth ? "mesh" : "alice",
                              caps, MAKE_NOW + 60, list);
    }

    return list[0];
}


static void
test_embedded(void)
{
    size_t    i;
    bytes_t   none, root, text;
    uint8_t  *forged;

    none = bytes_make(NULL, 0);

    for (i = 2; i <= 10; i += 4) {
        make_reset();
        root = make_link(UCAN_TOKEN_VERSION_08, "root", "alice",
                         NOTES " crud/read", none);

        tap_ok(ask(make_tower(i, root), &none, NOTES, "crud/read")
               == UCAN_OK, "%zu tokens in one another", i);
        tap_ok(ask(make_tower(i, root), &none, NOTES, "crud/update")
               == UCAN_NOT_COVERED, "give what they say and no more");

        forged = make_alloc(NULL, root.len);
        memcpy(forged, root.data, root.len);
        forged[root.len - 4] ^= 1;
        text = make_tower(i, bytes_make(forged, root.len));

        tap_ok(ask(text, &none, NOTES, "crud/read") == UCAN_BAD_SIGNATURE,
               "nothing when the innermost is forged");

        text = make_tower(i, make_link(UCAN_TOKEN_VERSION_08, "root", "bob",
                                       NOTES " crud/read", none));

        tap_ok(ask(text, &none, NOTES, "crud/read") == UCAN_BROKEN_CHAIN,
               "nothing when it is for somebody else");

        text = make_tower(i, make_link(UCAN_TOKEN_VERSION_09, "root",
                                       "alice", NOTES " crud/read", none));

        tap_ok(ask(text, &none, NOTES, "crud/read") == UCAN_UNSUPPORTED,
               "nor when it is of 0.9");
    }
}


/* Every token of a level stands in all of the next: as a tree it doubles with
   each level, as a set it is small. */
static void
test_tangle(void)
{
    size_t                i, level;
    bytes_t               list[3], next[3];
    unsigned              checked;
    ucan_limits_t         limits;
    ucan_bundle_t         bundle;

    static const char     caps[] = "[{\"with\":\"" NOTES "\","
                                   "\"can\":\"crud/read\"}]";

    make_reset();
    ucan_limits_init(&limits);

    list[0] = make_jwt_08("eve", "alice", caps, MAKE_NOW + 60, NULL);
    list[1] = make_jwt_08("eve", "alice", caps, MAKE_NOW + 61, NULL);
    list[2] = bytes_make(NULL, 0);
    next[2] = list[2];

    for (level = 1; level <= 4; level++) {
        for (i = 0; i < 2; i++) {
            next[i] = make_jwt_08("alice", level == 4 ? "mesh" : "alice",
                                  caps, MAKE_NOW + 60 - (int64_t) i, list);
        }

        memcpy(list, next, sizeof(list));
    }

    tap_ok(ucan_bundle_parse(&bundle, list[0], bytes_make(NULL, 0), &limits,
                             &make_memory) == UCAN_OK
           && bundle.count == 9, "a tangle of 31 is a bundle of 9");
    tap_ok(ask_bundle(&bundle, NOTES, "crud/read") != UCAN_OK,
           "without a root it is refused");

    checked = 0;

    for (i = 0; i < bundle.count; i++) {
        checked += bundle.tokens[i].seal != UCAN_TOKEN_UNCHECKED;
    }

    tap_ok(checked <= 9, "for at most one signature each");
}


int
main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }

    test_versions();
    test_abilities();
    test_star_grows();
    test_reserved();
    test_caveats();
    test_embedded();
    test_tangle();

    return tap_done();
}
