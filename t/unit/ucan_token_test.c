/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Bundles: what a request presents, taken apart; limits of the whole; the
 * memo of signatures; names of verdicts.
 */


#include "tap.h"
#include "ucan_make.h"


static ucan_verdict_t
parse(ucan_bundle_t *bundle, bytes_t token, bytes_t proofs)
{
    ucan_limits_t  limits;

    ucan_limits_init(&limits);

    return ucan_bundle_parse(bundle, token, proofs, &limits, &make_memory);
}


static void
test_kinds(void)
{
    size_t          i;
    bytes_t         none;
    ucan_bundle_t   bundle;

    static const char *const  bad[] = {
        "", "x", "Bearer", "@abc", "Mabc", "e", "eyJ", "B", "P ", "\x82"
    };

    none = bytes_make(NULL, 0);

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        tap_ok(parse(&bundle, bytes_of(bad[i]), none) == UCAN_MALFORMED
               && bundle.count == 0 && bundle.top == NULL,
               "text %zu is no token", i);
    }
}


static void
test_jwts(void)
{
    cid_t           cid;
    bytes_t         list[8], none, top;
    ucan_bundle_t   bundle;

    none = bytes_make(NULL, 0);
    top = make_jwt("alice", "mesh", "{}", 5, NULL);

    tap_ok(parse(&bundle, top, none) == UCAN_OK && bundle.count == 1
           && bundle.top == &bundle.tokens[0], "a JWT stands alone");

    list[0] = make_jwt("mesh", "alice", "{}", 5, NULL);
    list[1] = bytes_of("junk");
    list[2] = make_jwt("mesh", "bob", "{}", 5, NULL);
    list[3] = list[0];
    list[4] = top;
    list[5] = none;

    tap_ok(parse(&bundle, top, make_header(list)) == UCAN_OK
           && bundle.count == 3 && bytes_equal(bundle.top->raw, top),
           "proofs come along, each once, and junk does not");

    cid_of(&cid, CID_RAW, list[2]);
    tap_ok(ucan_bundle_find(&bundle, &cid) == &bundle.tokens[2],
           "a proof is found by its CID");
    cid.codec = CID_DAG_CBOR;
    tap_ok(ucan_bundle_find(&bundle, &cid) == NULL,
           "and not by another one");

    tap_ok(parse(&bundle, top, bytes_of(" , ,\t,")) == UCAN_OK
           && bundle.count == 1, "an empty list is one");
    tap_ok(parse(&bundle, make_header(list), none) == UCAN_MALFORMED,
           "two bearers are none");
}


static void
test_envelopes(void)
{
    uint8_t         buf[1024], *tag;
    bytes_t         list[3], none;
    ucan_bundle_t   bundle;
    ucan_limits_t   limits;
    bytes_writer_t  w;

    none = bytes_make(NULL, 0);
    ucan_limits_init(&limits);

    list[0] = make_delegation("mesh", "alice", "/");
    list[1] = make_session("alice");
    list[2] = make_session("bob");

    tap_ok(parse(&bundle, make_container('C', list, 2), none) == UCAN_OK
           && bundle.count == 2
           && bundle.top->kind == UCAN_TOKEN_INVOCATION,
           "the invocation of a container is its top");
    tap_ok(parse(&bundle, make_container('C', list, 1), none) == UCAN_OK
           && bundle.count == 1 && bundle.top == NULL,
           "delegations alone have none");
    tap_ok(parse(&bundle, make_container('C', list, 3), none)
           == UCAN_MALFORMED && bundle.count == 0 && bundle.top == NULL,
           "two invocations are refused");

    /* a delegation of a version to come: left out; an invocation: refused */

    bytes_writer_open(&w, buf, sizeof(buf));
    bytes_writer_bytes(&w, list[0]);
    list[0] = bytes_writer_view(&w);

    tag = memmem(buf, list[0].len, "rc.1", 4);
    tag[3] = '9';

    tap_ok(ucan_bundle_parse_envelopes(&bundle, list, 2, &limits,
                                       &make_memory) == UCAN_OK
           && bundle.count == 1 && bundle.top != NULL,
           "a delegation of another version is left out");

    list[1] = bytes_of("\x80");
    tap_ok(ucan_bundle_parse_envelopes(&bundle, list, 2, &limits,
                                       &make_memory) == UCAN_MALFORMED,
           "what is no envelope spoils the container");
    tap_ok(ucan_bundle_parse_envelopes(&bundle, list, 0, &limits,
                                       &make_memory) == UCAN_MALFORMED,
           "nothing is no bundle");
}


/* A chain of 0.8 tokens, each in the next; the last one is given back. */
static bytes_t
nest(size_t depth)
{
    size_t   i;
    bytes_t  list[2];

    static const char *const  names[] = { "alice", "bob" };

    list[0] = make_jwt_08("mesh", "alice", "[]", 5, NULL);
    list[1] = bytes_make(NULL, 0);

    for (i = 1; i < depth; i++) {
        list[0] = make_jwt_08(names[(i + 1) % 2], names[i % 2], "[]", 5,
                              list);
    }

    return list[0];
}


static void
test_embedded(void)
{
    cid_t                cid;
    bytes_t              list[4], none, top, twin;
    ucan_bundle_t        bundle;
    const ucan_token_t  *token;

    none = bytes_make(NULL, 0);

    tap_ok(parse(&bundle, nest(5), none) == UCAN_OK && bundle.count == 5
           && bundle.top == bundle.tokens,
           "tokens in tokens become tokens of the bundle");
    tap_ok(ucan_bundle_find(&bundle, &bundle.tokens[3].proofs[0])
           == &bundle.tokens[4], "each leads to the next");

    /* the same tree in two tokens, and by itself */

    list[0] = nest(4);
    list[1] = none;
    twin = make_jwt_08("alice", "carol", "[]", 5, list);
    list[1] = twin;
    list[2] = none;
    top = make_jwt_08("carol", "mesh", "[]", 5, list);
    list[0] = twin;
    list[1] = nest(4);
    list[2] = none;

    tap_ok(parse(&bundle, top, make_header(list)) == UCAN_OK
           && bundle.count == 6, "each only once, wherever it stands");

    /* broken ones */

    list[0] = bytes_of("a.b.c");
    list[1] = nest(1);
    list[2] = make_jwt("mesh", "alice", "{}", 5, NULL);
    list[2].len--;
    list[3] = none;
    top = make_jwt_08("alice", "mesh", "[]", 5, list);

    tap_ok(parse(&bundle, top, none) == UCAN_OK && bundle.count == 2,
           "a broken proof spoils nothing");
    token = bundle.top;
    cid_of(&cid, CID_RAW, list[1]);
    tap_ok(token->foreign && token->proof_count == 1
           && cid_equal(&token->proofs[0], &cid),
           "and is nothing that somebody could present");

    /* one that is named, presented and broken */

    top = make_jwt("alice", "mesh", "{}", 5, list);

    tap_ok(parse(&bundle, top, make_header(list)) == UCAN_OK
           && bundle.count == 2 && bundle.top->foreign
           && bundle.top->proof_count == 1, "so is one that is named");
    tap_ok(parse(&bundle, top, list[1]) == UCAN_OK && bundle.count == 2
           && !bundle.top->foreign && bundle.top->proof_count == 3,
           "but not before it is presented");
}


/* What is embedded counts as what is listed does. */
static void
test_embedded_limits(void)
{
    size_t          i, j;
    bytes_t         list[UCAN_TOKEN_PROOFS_MAX + 1], proofs[9], none, top;
    ucan_bundle_t   bundle;
    ucan_limits_t   limits;

    none = bytes_make(NULL, 0);
    ucan_limits_init(&limits);
    limits.bytes_max = 1024 * 1024;

    limits.count_max = 5;
    tap_ok(ucan_bundle_parse(&bundle, nest(5), none, &limits, &make_memory)
           == UCAN_OK, "as many tokens as the limit, one in the other");
    tap_ok(ucan_bundle_parse(&bundle, nest(6), none, &limits, &make_memory)
           == UCAN_TOO_LARGE && bundle.count == 0 && bundle.top == NULL,
           "and not one more");

    limits.count_max = UCAN_TOKEN_COUNT_MAX;
    limits.depth_max = 3;
    tap_ok(ucan_bundle_parse(&bundle, nest(9), none, &limits, &make_memory)
           == UCAN_OK && bundle.count == 4,
           "what no path may reach is not looked at");

    /* sixty-three pieces of junk, then one more in another token */

    limits.depth_max = UCAN_TOKEN_DEPTH_MAX;

    for (i = 0; i < UCAN_TOKEN_COUNT_MAX - 1; i++) {
        uint8_t         buf[16];
        bytes_writer_t  w;

        bytes_writer_open(&w, buf, sizeof(buf));
        bytes_writer_text(&w, "junk.");
        bytes_writer_byte(&w, (uint8_t) ('0' + i));
        list[i] = make_copy(&w);
    }

    list[i] = none;
    top = make_jwt_08("alice", "mesh", "[]", 5, list);
    tap_ok(ucan_bundle_parse(&bundle, top, none, &limits, &make_memory)
           == UCAN_OK && bundle.count == 1 && bundle.top->foreign,
           "junk in a token counts");

    list[i] = bytes_of("junk.more");
    list[i + 1] = none;
    top = make_jwt_08("alice", "mesh", "[]", 5, list);
    tap_ok(ucan_bundle_parse(&bundle, top, none, &limits, &make_memory)
           == UCAN_TOO_LARGE, "up to the same limit");

    /* sixty-three different tokens, seven in each of eight and a few more */

    for (i = 0; i < 8; i++) {
        for (j = 0; j < 6; j++) {
            proofs[j] = make_jwt_08("mesh", "bob", "[]",
                                    (int64_t) (i * 6 + j), NULL);
        }

        proofs[j] = none;
        list[i] = make_jwt_08("bob", "alice", "[]", (int64_t) i, proofs);
    }

    list[8] = none;
    top = make_jwt_08("alice", "mesh", "[]", 5, list);
    tap_ok(ucan_bundle_parse(&bundle, top, none, &limits, &make_memory)
           == UCAN_OK && bundle.count == 1 + 8 + 48
           && bundle.top == bundle.tokens
           && bundle.count <= bundle.capacity,
           "the bundle grows with what is in it");
}


/* Tokens from elsewhere. */
static void
test_add(void)
{
    size_t          i;
    cid_t           cid;
    bytes_t         list[3], none, top, root, middle;
    unsigned        wrong;
    ucan_limits_t   limits;
    ucan_bundle_t   bundle;

    none = bytes_make(NULL, 0);
    ucan_limits_init(&limits);

    root = make_jwt("mesh", "bob", "{}", 5, NULL);
    list[0] = root;
    list[1] = none;
    middle = make_jwt("bob", "alice", "{}", 5, list);
    list[0] = middle;
    top = make_jwt("alice", "mesh", "{}", 5, list);

    (void) parse(&bundle, top, none);

    tap_ok(ucan_bundle_add(&bundle, middle, &limits, &make_memory) == UCAN_OK
           && ucan_bundle_add(&bundle, root, &limits, &make_memory)
              == UCAN_OK && bundle.count == 3,
           "proofs are added one by one");
    cid_of(&cid, CID_RAW, top);
    tap_ok(bundle.top == ucan_bundle_find(&bundle, &cid)
           && bytes_equal(bundle.top->raw, top),
           "the top stays the top where it moves to");
    tap_ok(ucan_bundle_add(&bundle, root, &limits, &make_memory) == UCAN_OK
           && bundle.count == 3, "what is there is not added again");
    tap_ok(ucan_bundle_add(&bundle, nest(4), &limits, &make_memory)
           == UCAN_OK && bundle.count == 7,
           "with all that stands in it");

    tap_ok(ucan_bundle_add(&bundle, bytes_of("e.e.e"), &limits,
                              &make_memory) == UCAN_MALFORMED
           && ucan_bundle_add(&bundle, none, &limits, &make_memory)
              == UCAN_MALFORMED
           && bundle.count == 7, "junk is refused");
    tap_ok(ucan_bundle_add(&bundle, make_delegation("mesh", "alice", "/"),
                           &limits, &make_memory) == UCAN_OK
           && bundle.count == 7, "an envelope proves nothing of a JWT");

    limits.count_max = 8;
    tap_ok(ucan_bundle_add(&bundle, nest(6), &limits, &make_memory)
           == UCAN_TOO_LARGE && bundle.count == 7,
           "beyond the limit nothing is added, not even a part");
    limits.count_max = 7;
    tap_ok(ucan_bundle_add(&bundle, nest(1), &limits, &make_memory)
           == UCAN_OK
           && ucan_bundle_add(&bundle, make_jwt("x", "y", "{}", 5, NULL),
                              &limits, &make_memory) == UCAN_TOO_LARGE
           && bundle.count == 7, "at the limit only what is there");

    limits.count_max = UCAN_TOKEN_COUNT_MAX;
    wrong = 0;

    for (i = 0; i < UCAN_TOKEN_COUNT_MAX; i++) {
        wrong += ucan_bundle_add(&bundle,
                                 make_jwt("x", "y", "{}", (int64_t) i, NULL),
                                 &limits, &make_memory)
                 != (i < UCAN_TOKEN_COUNT_MAX - 7 ? UCAN_OK : UCAN_TOO_LARGE);
    }

    tap_ok(wrong == 0 && bundle.count == UCAN_TOKEN_COUNT_MAX
           && bytes_equal(bundle.top->raw, top),
           "it takes as many as there may be");

    make_arena.count = 0;
    make_arena.fail_after = 1;
    (void) make_alloc(NULL, 1);
    bundle.count = 1;
    bundle.capacity = 1;
    tap_ok(ucan_bundle_add(&bundle, root, &limits, &make_memory)
           == UCAN_NO_MEMORY && bundle.count == 1,
           "without memory it says so");
    make_arena.fail_after = 0;
}


static void
test_add_envelopes(void)
{
    bytes_t         list[2], none;
    ucan_limits_t   limits;
    ucan_bundle_t   bundle;

    none = bytes_make(NULL, 0);
    ucan_limits_init(&limits);

    list[0] = make_session("alice");
    list[1] = make_delegation("mesh", "alice", "/");

    (void) parse(&bundle, make_container('C', list, 1), none);

    tap_ok(ucan_bundle_add(&bundle, list[1], &limits, &make_memory)
           == UCAN_OK && bundle.count == 2
           && bytes_equal(bundle.top->raw, list[0])
           && bundle.tokens[1].kind == UCAN_TOKEN_DELEGATION,
           "a delegation is added to an invocation");
    tap_ok(ucan_bundle_add(&bundle, list[1], &limits, &make_memory)
           == UCAN_OK
           && ucan_bundle_add(&bundle, make_session("bob"), &limits,
                              &make_memory) == UCAN_OK
           && ucan_bundle_add(&bundle, bytes_of("\x82"), &limits,
                              &make_memory) == UCAN_MALFORMED
           && ucan_bundle_add(&bundle, make_jwt("mesh", "alice", "{}", 5,
                                                NULL),
                              &limits, &make_memory) == UCAN_OK
           && bundle.count == 2,
           "not twice; no other invocation, no JWT");

    limits.count_max = 2;
    tap_ok(ucan_bundle_add(&bundle, make_delegation("mesh", "bob", "/"),
                           &limits, &make_memory) == UCAN_TOO_LARGE
           && bundle.count == 2, "and not beyond the limit");

    limits.count_max = 3;
    make_arena.count = 0;
    (void) parse(&bundle, make_container('C', list + 1, 1), none);
    tap_ok(ucan_bundle_add(&bundle, make_session("alice"), &limits,
                           &make_memory) == UCAN_OK
           && bundle.count == 1 && bundle.top == NULL,
           "a bundle without a top gets none");
}


static void
test_limits(void)
{
    size_t          i;
    bytes_t         list[UCAN_TOKEN_COUNT_MAX + 2], none, top;
    ucan_bundle_t   bundle;
    ucan_limits_t   limits;

    none = bytes_make(NULL, 0);
    top = make_jwt("alice", "mesh", "{}", 5, NULL);

    ucan_limits_init(&limits);
    limits.bytes_max = top.len;
    tap_ok(ucan_bundle_parse(&bundle, top, none, &limits, &make_memory)
           == UCAN_OK, "as many bytes as the limit");
    tap_ok(ucan_bundle_parse(&bundle, top, bytes_of("x"), &limits,
                             &make_memory)
           == UCAN_TOO_LARGE, "and not one more, proofs included");

    for (i = 0; i < UCAN_TOKEN_COUNT_MAX + 1; i++) {
        list[i] = bytes_of("x");
    }

    list[UCAN_TOKEN_COUNT_MAX - 1] = none;
    tap_ok(parse(&bundle, top, make_header(list)) == UCAN_OK,
           "as many tokens as the limit");

    list[UCAN_TOKEN_COUNT_MAX - 1] = bytes_of("x");
    list[UCAN_TOKEN_COUNT_MAX] = none;
    tap_ok(parse(&bundle, top, make_header(list)) == UCAN_TOO_LARGE,
           "and not one more, junk included");

    limits.bytes_max = UCAN_TOKEN_BYTES_MAX;
    limits.count_max = 1000;
    tap_ok(ucan_bundle_parse(&bundle, top, make_header(list), &limits,
                             &make_memory)
           == UCAN_TOO_LARGE, "whatever somebody configures");
}


static void
test_no_memory(void)
{
    size_t          i, count, n;
    bytes_t         list[2], none, text[2];
    unsigned        wrong;
    ucan_bundle_t   bundle;

    none = bytes_make(NULL, 0);

    list[0] = make_delegation("mesh", "alice", "/");
    list[1] = make_session("alice");
    text[0] = make_container('P', list, 2);

    list[0] = make_jwt("mesh", "alice", "{\"a:b\":{\"c\":[{}]}}", 5, NULL);
    list[1] = none;
    text[1] = make_jwt("alice", "mesh", "{\"a:b\":{\"c\":[{}]}}", 5, list);

    for (n = 0; n < 2; n++) {
        make_arena.count = 0;
        tap_ok(parse(&bundle, text[n], n ? list[0] : none) == UCAN_OK,
               "bundle %zu parses", n);
        count = make_arena.count;
        wrong = 0;

        for (i = 1; i < count; i++) {
            make_arena.count = 0;
            make_arena.fail_after = i;
            wrong += parse(&bundle, text[n], n ? list[0] : none)
                     != UCAN_NO_MEMORY
                     || bundle.top != NULL;
        }

        make_arena.fail_after = 0;

        tap_ok(wrong == 0, "without memory it says so");
    }
}


static void
test_seal(void)
{
    bytes_t         none;
    ucan_token_t   *token;
    ucan_bundle_t   bundle;

    none = bytes_make(NULL, 0);

    (void) parse(&bundle, make_jwt("alice", "mesh", "{}", 5, NULL), none);
    token = bundle.top;

    tap_ok(token->seal == UCAN_TOKEN_UNCHECKED, "nothing is checked ahead");
    tap_ok(ucan_token_verify(token) == UCAN_OK
           && token->seal == UCAN_TOKEN_SIGNED, "a good one is remembered");

    token->signature = none;
    tap_ok(ucan_token_verify(token) == UCAN_OK, "and not checked again");

    token->seal = UCAN_TOKEN_UNCHECKED;
    tap_ok(ucan_token_verify(token) == UCAN_BAD_SIGNATURE
           && token->seal == UCAN_TOKEN_FORGED, "so is a bad one");
}


static void
test_dids(void)
{
    size_t  i;

    static const struct {
        const char  *text;
        int          valid;
    } cases[] = {
        { "did:key:z6MkuBLrjSGt1PPADAvuv6rmvj4FfSAfffJotC6K8ZEorYmv", 1 },
        { "did:web:example.org", 1 },
        { "did:web:example.org%3A8080:a", 1 },
        { "did:a:b", 1 },
        { "", 0 }, { "did", 0 }, { "did:", 0 }, { "did:a", 0 },
        { "did:a:", 0 }, { "did::a", 0 }, { "did:A:b", 0 },
        { "DID:a:b", 0 }, { "did:a:b#c", 0 }, { "did:a:b/c", 0 },
        { "did:a:b?c", 0 }, { " did:a:b", 0 }, { "did:a:b ", 0 },
        { "did:a:b\n", 0 }, { "did:a:\xc3\xa4", 0 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tap_ok(ucan_token_did_valid(bytes_of(cases[i].text))
               == cases[i].valid, "text %zu is %s DID", i,
               cases[i].valid ? "a" : "no");
    }

    tap_ok(!ucan_token_did_valid(bytes_make("did:a:b\0c", 9)),
           "no DID has a NUL in it");
    tap_ok(ucan_token_did_signs(bytes_of(cases[0].text))
           && !ucan_token_did_signs(bytes_of(cases[1].text)),
           "an Ed25519 DID can sign, another not yet");
}


static void
test_verdicts(void)
{
    int          v, w;
    unsigned     same;
    const char  *slug;

    same = 0;

    for (v = UCAN_OK; v <= UCAN_REPLAY_FULL; v++) {
        slug = ucan_verdict_slug((ucan_verdict_t) v);

        tap_ok(slug != NULL && slug[0] != '\0'
               && strspn(slug, "abcdefghijklmnopqrstuvwxyz-")
                  == strlen(slug)
               && ucan_verdict_text((ucan_verdict_t) v)[0] != '\0',
               "verdict %d is named: %s", v, slug);

        for (w = UCAN_OK; w < v; w++) {
            same += strcmp(slug, ucan_verdict_slug((ucan_verdict_t) w)) == 0;
        }
    }

    tap_ok(same == 0, "each by its own name");
}


/* So that few of the slow ones are as many as many of the others. */
static void
test_weights(void)
{
    size_t        i;
    ucan_token_t  token;

    static const struct {
        const char  *did;
        unsigned     weight;
    } cases[] = {
        { "did:key:z6MksgwxsE7u2P3NoGgfxT1xXE7nkWawxwaHhS99GgK6"
          "odEA",
          1 },
        { "did:key:zDnaeuUiGaVed3CAqz17bz63ex8zxQJz9KRcxX2KfK9f"
          "H3uaK",
          1 },
        { "did:key:zQ3shVUCKRjBywQWNYGiK9LrWpifp5MhowtSaLSj1GSG"
          "jFCc3",
          UCAN_TOKEN_WEIGHT_MAX },
        { "did:key:z82LkkaXvfeWHyDEEKyxZh1qHAhR7SRdjyVKuC9xoNsp"
          "NNndGTqnTYw3SgJ8WPva8RFQvV3",
          UCAN_TOKEN_WEIGHT_MAX },
        { "did:key:z2J9gcGLD5qVqTgoTcPeHKEyQMn4cg4JMGTHcATPxw3Q"
          "vqPCTorAmnC3c1ngAAtmhREqUkLuYyGzZFNGQaX2Cy21fqwyW6NK",
          UCAN_TOKEN_WEIGHT_MAX },
        { "did:key:z4MXj1wBzi9jUstyNuNcGFmYFYc1es6odq1U6M9G4Wgu"
          "ENRAmvcN234jDBGmQEgYzmahXmn4cugwAhm8oQDtG74YgPhdPLFY"
          "szJ3RR13gPpLPHdkcDECSyZDpQmqhrny6wPjd93dJpwHzi4y2HAD"
          "7N8qb9d9Deh2jV4dD5snTWiqAHapfJhep2HVm1KsP59TMHHybnUK"
          "q96tx9nyD5ZxEwyYDeLGvv2DzijDvHKEBuNVRyHXpWo6xJ5zVxiW"
          "MnrZ95ZjsNL1DzoaXHUAAyHbBZw9zxpssUGjR83ECTqnG3nHtrPK"
          "J7ywzrDAZNZPb6j4RxGA4km1LBMCTsvym47LuJjnpn4g4swqoWzX"
          "CaHh4Y8PN8M7EanoA",
          1 }
    };

    memset(&token, 0, sizeof(token));

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        token.iss = bytes_of(cases[i].did);

        tap_ok(ucan_token_weight(&token) == cases[i].weight,
               "a signature of %.20s... weighs %u", cases[i].did,
               cases[i].weight);
    }
}


int
main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }

    test_kinds();
    test_jwts();
    test_envelopes();
    test_embedded();
    test_embedded_limits();
    test_add();
    test_add_envelopes();
    test_limits();
    test_no_memory();
    test_seal();
    test_dids();
    test_verdicts();
    test_weights();

    return tap_done();
}
