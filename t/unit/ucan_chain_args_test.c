/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The HTTP request as policies and invocations see it (reference 5.7):
 * args.http of sessions and invocations, in every question that a chain
 * answers.
 */


#include "tap.h"
#include "ucan_make.h"


static ucan_http_t  http_get;
static ucan_http_t  http_post;


static void
set_http(void)
{
    memset(&http_get, 0, sizeof(ucan_http_t));

    http_get.scheme = bytes_of("https");
    http_get.method = bytes_of("GET");
    http_get.host = bytes_of("mesh.example");
    http_get.path = bytes_of("/api/rooms");

    http_post = http_get;
    http_post.method = bytes_of("POST");
}


static ucan_trust_t *
trust_mesh(void)
{
    static bytes_t       did;
    static ucan_trust_t  trust;

    did = make_did("mesh");

    memset(&trust, 0, sizeof(trust));

    trust.audiences = &did;
    trust.audience_count = 1;
    trust.anchors = &did;
    trust.anchor_count = 1;
    trust.session_max = 86400;

    ucan_limits_init(&trust.limits);

    return &trust;
}


static ucan_verdict_t
open_list(ucan_chain_t *chain, const bytes_t *list, size_t count,
    const ucan_http_t *http)
{
    ucan_verdict_t         rc;
    static ucan_bundle_t   bundle;

    rc = ucan_bundle_parse_envelopes(&bundle, list, count,
                                     &trust_mesh()->limits, &make_memory);

    return (rc == UCAN_OK)
           ? ucan_chain_open_http(chain, &bundle, trust_mesh(), http,
                                  MAKE_NOW)
           : rc;
}


static ucan_verdict_t
ask(ucan_chain_t *chain, const ucan_http_t *http, const char *name,
    const char *value)
{
    ucan_request_t  request;

    memset(&request, 0, sizeof(request));

    request.command = bytes_of("/room/send");

    if (name != NULL) {
        request.args[0].name = bytes_of(name);
        request.args[0].value = bytes_of(value);
        request.arg_count = 1;
    }

    chain->http = http;

    return ucan_chain_allow(chain, &request, MAKE_NOW);
}


static void
ok_verdict(ucan_verdict_t rc, ucan_verdict_t expected, const char *promise)
{
    if (!tap_ok(rc == expected, "%s", promise)) {
        printf("#   got: %s, expected: %s\n", ucan_verdict_slug(rc),
               ucan_verdict_slug(expected));
    }
}


/* A policy that keeps a path out by "not", as somebody may well write it, and
   in other words. */
static void
test_unknown_request(void)
{
    size_t                 i;
    bytes_t                list[2];
    uint8_t                buf[128];
    ucan_chain_t           chain;
    bytes_writer_t         w;
    ucan_envelope_draft_t  draft;

    static const char *const  selectors[] = {
        ".http.path", ".http?.path?", ".[\"http\"].path", "[\"http\"]"
    };

    for (i = 0; i < sizeof(selectors) / sizeof(selectors[0]); i++) {
        make_reset();

        bytes_writer_open(&w, buf, sizeof(buf));
        cbor_write_list(&w, 1);
        cbor_write_list(&w, 2);
        cbor_write_text(&w, bytes_of("not"));
        cbor_write_list(&w, 3);
        cbor_write_text(&w, bytes_of("like"));
        cbor_write_text(&w, bytes_of(selectors[i]));
        cbor_write_text(&w, bytes_of("/admin/*"));

        draft = make_draft("alice", "/room/send");
        draft.policy = bytes_writer_view(&w);

        list[0] = make_envelope("mesh", &draft);
        list[1] = make_session("alice");

        ok_verdict(open_list(&chain, list, 2, NULL), UCAN_OK, selectors[i]);
        ok_verdict(ask(&chain, &http_get, NULL, NULL), UCAN_OK,
                   "not that path: another is allowed");
        ok_verdict(ask(&chain, NULL, NULL, NULL), UCAN_POLICY,
                   "one that nobody knows is not");
        ok_verdict(ask(&chain, NULL, "http", "x"), UCAN_POLICY,
                   "nor one that an argument pretends");
    }
}


/* An invocation of "/room/send" with one argument (or none) and what "put"
   writes as "http". */
static bytes_t
invoke(const char *name, void (*put)(bytes_writer_t *w), bytes_t proof)
{
    cid_t                  cid;
    uint8_t                buf[512];
    bytes_writer_t         w;
    ucan_envelope_draft_t  draft;

    cid_of(&cid, CID_DAG_CBOR, proof);

    bytes_writer_open(&w, buf, sizeof(buf));
    cbor_write_map(&w, (name != NULL ? 1 : 0) + (put != NULL ? 1 : 0));

    /* names are one that sorts before "http" and one that sorts behind */

    if (name != NULL && strlen(name) < 4) {
        cbor_write_text(&w, bytes_of(name));
        cbor_write_text(&w, bytes_of("r_1"));
    }

    if (put != NULL) {
        cbor_write_text(&w, bytes_of("http"));
        put(&w);
    }

    if (name != NULL && strlen(name) > 4) {
        cbor_write_text(&w, bytes_of(name));
        cbor_write_text(&w, bytes_of("r_1"));
    }

    draft = make_draft("mesh", "/room/send");
    draft.invocation = 1;
    draft.args = bytes_writer_view(&w);
    draft.proofs = &cid;
    draft.proof_count = 1;
    draft.exp = MAKE_NOW + 60;

    return make_envelope("alice", &draft);
}


static void
put_get(bytes_writer_t *w)
{
    cbor_write_map(w, 3);
    cbor_write_text(w, bytes_of("host"));
    cbor_write_text(w, bytes_of("mesh.example"));
    cbor_write_text(w, bytes_of("path"));
    cbor_write_text(w, bytes_of("/api/rooms"));
    cbor_write_text(w, bytes_of("method"));
    cbor_write_text(w, bytes_of("GET"));
}


static void
put_hash(bytes_writer_t *w)
{
    uint8_t  hash[UCAN_HTTP_HASH_LEN];

    (void) ucan_http_hash(&http_get, hash);
    cbor_write_bytes(w, bytes_make(hash, sizeof(hash)));
}


static void
put_lie(bytes_writer_t *w)
{
    cbor_write_text(w, bytes_of("mine"));
}


static bytes_t
role(const char *selector, const char *value)
{
    ucan_envelope_draft_t  draft;

    draft = make_draft("alice", "/room/send");

    if (selector != NULL) {
        draft.policy = make_policy(selector, value);
    }

    return make_envelope("mesh", &draft);
}


static void
test_session_policies(void)
{
    bytes_t       list[2];
    ucan_http_t   odd;
    ucan_chain_t  chain;

    make_reset();

    list[0] = role(".http.method", "GET");
    list[1] = make_session("alice");

    ok_verdict(open_list(&chain, list, 2, NULL), UCAN_OK,
               "a policy on the request stops no login");
    ok_verdict(ask(&chain, &http_get, NULL, NULL), UCAN_OK,
               "the request that it wants is allowed");
    ok_verdict(ask(&chain, &http_post, NULL, NULL), UCAN_POLICY,
               "another is not");
    ok_verdict(ask(&chain, NULL, NULL, NULL), UCAN_POLICY,
               "nor one that nobody knows");
    ok_verdict(ask(&chain, NULL, "http", "GET"), UCAN_POLICY,
               "an argument of that name is no request");
    ok_verdict(ask(&chain, &http_get, "http", "GET"), UCAN_MALFORMED,
               "and none beside one");
    ok_verdict(ask(&chain, &http_get, "to", "p_1"), UCAN_OK,
               "arguments before it");
    ok_verdict(ask(&chain, &http_get, "visibility", "public"), UCAN_OK,
               "and behind it stand in order");

    odd = http_get;
    odd.path = bytes_of("/\xff");
    ok_verdict(ask(&chain, &odd, NULL, NULL), UCAN_POLICY,
               "a path that is no UTF-8 meets no policy");

    odd.path = bytes_make(make_alloc(NULL, UCAN_HTTP_CBOR_MAX),
                          UCAN_HTTP_CBOR_MAX);
    memset((void *) odd.path.data, '/', odd.path.len);
    ok_verdict(ask(&chain, &odd, NULL, NULL), UCAN_TOO_LARGE,
               "nor one beyond the bound");

    list[0] = role(NULL, NULL);
    ok_verdict(open_list(&chain, list, 2, NULL), UCAN_OK, "without a policy");
    ok_verdict(ask(&chain, &odd, NULL, NULL), UCAN_OK,
               "nobody looks at the request");
}


static void
test_bound_invocation(void)
{
    size_t        i;
    bytes_t       list[2];
    ucan_chain_t  chain;

    static const struct {
        const char  *name;
        void       (*put)(bytes_writer_t *w);
    } forms[] = {
        { "members", put_get },
        { "hash", put_hash }
    };

    for (i = 0; i < 2; i++) {
        make_reset();

        list[0] = role(NULL, NULL);
        list[1] = invoke("visibility", forms[i].put, list[0]);

        printf("# by its %s\n", forms[i].name);

        ok_verdict(open_list(&chain, list, 2, &http_get), UCAN_OK,
                   "an invocation opens about its request");
        ok_verdict(ask(&chain, &http_get, NULL, NULL), UCAN_OK,
                   "and allows it");
        ok_verdict(ucan_chain_alive(&chain, MAKE_NOW), UCAN_OK,
                   "and lives with it");
        ok_verdict(ask(&chain, &http_post, NULL, NULL), UCAN_WRONG_REQUEST,
                   "not another");
        ok_verdict(ucan_chain_alive(&chain, MAKE_NOW), UCAN_WRONG_REQUEST,
                   "nor does it live with another");
        ok_verdict(ask(&chain, NULL, NULL, NULL), UCAN_WRONG_REQUEST,
                   "nor one that nobody knows");
        ok_verdict(open_list(&chain, list, 2, &http_post),
                   UCAN_WRONG_REQUEST, "it does not open about another");
        ok_verdict(open_list(&chain, list, 2, NULL), UCAN_WRONG_REQUEST,
                   "nor about none");
    }

    list[1] = invoke(NULL, put_lie, list[0]);
    ok_verdict(open_list(&chain, list, 2, &http_get), UCAN_WRONG_REQUEST,
               "http in no known form is about no request");
}


/* What policies see in its place are the facts. */
static void
test_invocation_policies(void)
{
    size_t        i;
    bytes_t       list[2];
    ucan_chain_t  chain;

    static const char *const  names[] = { NULL, "to", "visibility" };

    for (i = 0; i < 3; i++) {
        make_reset();

        list[0] = role(".http.scheme", "https");
        list[1] = invoke(names[i], put_get, list[0]);
        ok_verdict(open_list(&chain, list, 2, &http_get), UCAN_OK,
                   "a policy sees facts that the invocation does not name");

        list[1] = invoke(names[i], put_hash, list[0]);
        ok_verdict(open_list(&chain, list, 2, &http_get), UCAN_OK,
                   "also behind a hash");

        list[1] = invoke(names[i], NULL, list[0]);
        ok_verdict(open_list(&chain, list, 2, &http_get), UCAN_OK,
                   "also when it says nothing of a request");
        ok_verdict(open_list(&chain, list, 2, NULL), UCAN_POLICY,
                   "without facts there is none to see");

        list[0] = role(".http.method", "POST");
        list[1] = invoke(names[i], put_get, list[0]);
        ok_verdict(open_list(&chain, list, 2, &http_get), UCAN_POLICY,
                   "and refuses the others");
    }

    list[0] = role(".to", "r_1");
    list[1] = invoke("to", NULL, list[0]);
    ok_verdict(open_list(&chain, list, 2, &http_get), UCAN_OK,
               "its own arguments stay what they are");
}


static void
test_session_bound(void)
{
    bytes_t                list[2], holder;
    uint8_t                buf[256];
    ucan_chain_t           chain;
    ucan_bundle_t          bundle;
    bytes_writer_t         w;
    ucan_envelope_draft_t  draft;

    make_reset();

    bytes_writer_open(&w, buf, sizeof(buf));
    cbor_write_map(&w, 1);
    cbor_write_text(&w, bytes_of("http"));
    put_get(&w);

    draft = make_opening("alice");
    draft.args = bytes_writer_view(&w);

    list[0] = role(NULL, NULL);
    list[1] = make_envelope("alice", &draft);

    ok_verdict(open_list(&chain, list, 2, &http_get), UCAN_OK,
               "an opening may be about a request as well");
    ok_verdict(open_list(&chain, list, 2, &http_post), UCAN_WRONG_REQUEST,
               "and then opens no other");

    (void) ucan_bundle_parse_envelopes(&bundle, list + 1, 1,
                                       &trust_mesh()->limits, &make_memory);
    ok_verdict(ucan_chain_holder(&bundle, trust_mesh(), MAKE_NOW, &holder),
               UCAN_WRONG_REQUEST, "nor proves a key elsewhere");
}


int
main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }

    set_http();

    test_session_policies();
    test_unknown_request();
    test_bound_invocation();
    test_invocation_policies();
    test_session_bound();

    return tap_done();
}
