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


int
main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }

    test_kinds();
    test_jwts();
    test_envelopes();
    test_limits();
    test_no_memory();
    test_seal();
    test_dids();
    test_verdicts();

    return tap_done();
}
