/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * UCAN JWTs of 0.8, 0.9 and 0.10, by every type of key: what our encoder
 * writes reads back; whatever is not exactly of the form does not, wherever it
 * is cut and whichever allocation fails.
 */


#include "base64.h"
#include "tap.h"
#include "ucan_make.h"


#define HEADER   "{\"alg\":\"EdDSA\",\"typ\":\"JWT\"}"
#define DID_A    "did:key:z6MkuBLrjSGt1PPADAvuv6rmvj4FfSAfffJotC6K8ZEorYmv"
#define HEADER8  "{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"ucv\":\"0.8.1\"}"
#define HEADER9  "{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"ucv\":\"0.9.1\"}"
#define PARTIES  "\"iss\":\"" DID_A "\",\"aud\":\"" DID_A "\","
#define PAYLOAD  "\"ucv\":\"0.10.0\",\"iss\":\"" DID_A "\",\"aud\":\"" DID_A  \
                 "\","


/* A JWT of these two texts, with a signature of nothing. */
static bytes_t
join(const char *header, const char *payload)
{
    uint8_t         sig[64], buf[16384];
    bytes_writer_t  w;

    memset(sig, 0, sizeof(sig));

    bytes_writer_open(&w, buf, sizeof(buf));
    (void) base64_encode(BASE64_URL, bytes_of(header), &w);
    bytes_writer_byte(&w, '.');
    (void) base64_encode(BASE64_URL, bytes_of(payload), &w);
    bytes_writer_byte(&w, '.');
    (void) base64_encode(BASE64_URL, bytes_make(sig, sizeof(sig)), &w);

    return make_copy(&w);
}


static ucan_verdict_t
decode(const char *header, const char *payload)
{
    ucan_token_t  token;

    return ucan_jwt_decode(&token, join(header, payload), NULL, &make_memory);
}


/* A payload and its signature under another header. */
static bytes_t
reheaded(unsigned version, did_algorithm_t algorithm, const char *rest)
{
    char            header[128];
    uint8_t         buf[8192];
    bytes_writer_t  w;

    snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"typ\":\"JWT\"%s}",
             signature_jwt_name(algorithm),
             version == UCAN_TOKEN_VERSION_08 ? ",\"ucv\":\"0.8.1\""
             : version == UCAN_TOKEN_VERSION_09 ? ",\"ucv\":\"0.9.1\"" : "");

    bytes_writer_open(&w, buf, sizeof(buf));
    (void) base64_encode(BASE64_URL, bytes_of(header), &w);
    bytes_writer_byte(&w, '.');
    bytes_writer_text(&w, rest);

    return make_copy(&w);
}


static void
test_round_trip(void)
{
    cid_t              proof;
    uint8_t            buf[4096];
    ucan_token_t       token;
    bytes_writer_t     w;
    ucan_jwt_draft_t   draft;

    cid_of(&proof, CID_RAW, bytes_of("proof"));

    memset(&draft, 0, sizeof(draft));
    draft.aud = make_did("bob");
    draft.caps = bytes_of("{\"mesh://x/\":{\"room/read\":[{},{\"a\":1}]},"
                          "\"b\\u003ac\":{\"*\":[{}]}}");
    draft.nonce = bytes_of("n\"1");
    draft.proofs = &proof;
    draft.proof_count = 1;
    draft.exp = MAKE_NOW;
    draft.nbf = 7;

    bytes_writer_open(&w, buf, sizeof(buf));

    tap_ok(ucan_jwt_encode(&draft, make_key("alice"), &w) == 0,
           "a token is made");
    tap_ok(ucan_jwt_decode(&token, bytes_writer_view(&w), NULL, &make_memory)
           == UCAN_OK, "and reads back");
    tap_ok(bytes_equal(token.iss, make_did("alice"))
           && bytes_equal(token.aud, make_did("bob"))
           && bytes_equal_text(token.nonce, "n\"1")
           && token.has_exp && token.exp == MAKE_NOW
           && token.has_nbf && token.nbf == 7
           && token.proof_count == 1 && cid_equal(&token.proofs[0], &proof)
           && !token.foreign, "with all it holds");
    tap_ok(token.capability_count == 3
           && bytes_equal_text(token.capabilities[1].with, "mesh://x/")
           && bytes_equal_text(token.capabilities[1].can, "room/read")
           && bytes_equal_text(token.capabilities[1].caveat, "{\"a\":1}")
           && bytes_equal_text(token.capabilities[2].with, "b:c"),
           "one capability for each caveat, unescaped");
    tap_ok(ucan_token_verify(&token) == UCAN_OK, "and is signed");

    draft.exp = -1;
    draft.nbf = -1;
    draft.proof_count = 0;
    draft.caps = bytes_of("{}");
    bytes_writer_open(&w, buf, sizeof(buf));
    tap_ok(ucan_jwt_encode(&draft, make_key("alice"), &w) == 0
           && ucan_jwt_decode(&token, bytes_writer_view(&w), NULL,
                              &make_memory)
              == UCAN_OK
           && !token.has_exp && !token.has_nbf && token.proof_count == 0
           && token.capability_count == 0, "so does one with the least");

    bytes_writer_open(&w, buf, 100);
    tap_ok(ucan_jwt_encode(&draft, make_key("alice"), &w) == -1,
           "without room there is none");
}


static void
test_cut(void)
{
    size_t        i;
    bytes_t       text;
    unsigned      accepted;
    ucan_token_t  token;

    text = make_jwt("alice", "bob", "{\"a:b\":{\"c/d\":[{}]}}", 5, NULL);
    accepted = 0;

    for (i = 0; i < text.len; i++) {
        accepted += ucan_jwt_decode(&token, bytes_make(text.data, i), NULL,
                                    &make_memory)
                    == UCAN_OK
                    && ucan_token_verify(&token) == UCAN_OK;
    }

    tap_ok(accepted == 0, "no beginning of a token is one");
}


static void
test_no_memory(void)
{
    size_t          i, count;
    bytes_t         text, proofs[2];
    unsigned        wrong;
    ucan_token_t    token;
    ucan_verdict_t  rc;

    proofs[0] = make_jwt("alice", "bob", "{}", 5, NULL);
    proofs[1] = bytes_make(NULL, 0);
    text = make_jwt("bob", "carol", "{\"a:\\u0062\":{\"c\\/d\":[{}]}}", 5,
                    proofs);

    make_arena.count = 0;
    tap_ok(ucan_jwt_decode(&token, text, NULL, &make_memory) == UCAN_OK,
           "with memory it decodes");
    count = make_arena.count;
    wrong = 0;

    for (i = 1; i < count; i++) {
        make_arena.count = 0;
        make_arena.fail_after = i;
        rc = ucan_jwt_decode(&token, text, NULL, &make_memory);
        wrong += rc != UCAN_NO_MEMORY;
    }

    make_arena.fail_after = 0;

    tap_ok(wrong == 0, "without it says so, whichever allocation fails");
}


static void
test_form(void)
{
    size_t  i;

    static const struct {
        const char      *name;
        const char      *header;
        const char      *payload;
        ucan_verdict_t   verdict;
    } cases[] = {
        { "the least", HEADER, "{" PAYLOAD "\"exp\":null,\"cap\":{}}",
          UCAN_OK },
        { "facts", HEADER, "{" PAYLOAD "\"exp\":1,\"cap\":{},\"fct\":{}}",
          UCAN_OK },
        { "an unknown member", HEADER,
          "{" PAYLOAD "\"exp\":1,\"cap\":{},\"x\":1}", UCAN_OK },
        { "a later patch version", HEADER,
          "{\"ucv\":\"0.10.7\",\"iss\":\"" DID_A "\",\"aud\":\"" DID_A
          "\",\"exp\":1,\"cap\":{}}", UCAN_OK },
        { "another version", HEADER,
          "{\"ucv\":\"0.11.0\",\"iss\":\"" DID_A "\",\"aud\":\"" DID_A
          "\",\"exp\":1,\"cap\":{}}", UCAN_UNSUPPORTED },
        { "half a version", HEADER,
          "{\"ucv\":\"0.10.\",\"iss\":\"" DID_A "\",\"aud\":\"" DID_A
          "\",\"exp\":1,\"cap\":{}}", UCAN_UNSUPPORTED },
        { "no version", HEADER,
          "{\"iss\":\"" DID_A "\",\"aud\":\"" DID_A
          "\",\"exp\":1,\"cap\":{}}", UCAN_UNSUPPORTED },
        { "a version in the header",
          "{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"ucv\":\"0.10.0\"}",
          "{" PAYLOAD "\"exp\":1,\"cap\":{}}", UCAN_UNSUPPORTED },
        { "no algorithm", "{\"typ\":\"JWT\"}",
          "{" PAYLOAD "\"exp\":1,\"cap\":{}}", UCAN_MALFORMED },
        { "algorithm none", "{\"alg\":\"none\",\"typ\":\"JWT\"}",
          "{" PAYLOAD "\"exp\":1,\"cap\":{}}", UCAN_UNSUPPORTED },
        { "an extension that must be understood",
          "{\"alg\":\"EdDSA\",\"crit\":[\"x\"],\"typ\":\"JWT\",\"x\":1}",
          "{" PAYLOAD "\"exp\":1,\"cap\":{}}", UCAN_UNSUPPORTED },
        { "no type", "{\"alg\":\"EdDSA\"}",
          "{" PAYLOAD "\"exp\":1,\"cap\":{}}", UCAN_MALFORMED },
        { "a header that is a list", "[]",
          "{" PAYLOAD "\"exp\":1,\"cap\":{}}", UCAN_MALFORMED },
        { "no expiry", HEADER, "{" PAYLOAD "\"cap\":{}}", UCAN_MALFORMED },
        { "an expiry with a fraction", HEADER,
          "{" PAYLOAD "\"exp\":1.0,\"cap\":{}}", UCAN_MALFORMED },
        { "an expiry with an exponent", HEADER,
          "{" PAYLOAD "\"exp\":1e3,\"cap\":{}}", UCAN_MALFORMED },
        { "an expiry beyond 53 bits", HEADER,
          "{" PAYLOAD "\"exp\":9007199254740992,\"cap\":{}}",
          UCAN_MALFORMED },
        { "a null beginning", HEADER,
          "{" PAYLOAD "\"exp\":1,\"nbf\":null,\"cap\":{}}", UCAN_MALFORMED },
        { "no capabilities", HEADER, "{" PAYLOAD "\"exp\":1}",
          UCAN_MALFORMED },
        { "capabilities in a list", HEADER,
          "{" PAYLOAD "\"exp\":1,\"cap\":[]}", UCAN_MALFORMED },
        { "abilities in a list", HEADER,
          "{" PAYLOAD "\"exp\":1,\"cap\":{\"a:b\":[]}}", UCAN_MALFORMED },
        { "a caveat without its list", HEADER,
          "{" PAYLOAD "\"exp\":1,\"cap\":{\"a:b\":{\"c\":{}}}}",
          UCAN_MALFORMED },
        { "no caveat in the list", HEADER,
          "{" PAYLOAD "\"exp\":1,\"cap\":{\"a:b\":{\"c\":[]}}}",
          UCAN_MALFORMED },
        { "a caveat that is no object", HEADER,
          "{" PAYLOAD "\"exp\":1,\"cap\":{\"a:b\":{\"c\":[1]}}}",
          UCAN_MALFORMED },
        { "a proof that is no text", HEADER,
          "{" PAYLOAD "\"exp\":1,\"cap\":{},\"prf\":[1]}", UCAN_MALFORMED },
        { "proofs in no list", HEADER,
          "{" PAYLOAD "\"exp\":1,\"cap\":{},\"prf\":\"x\"}",
          UCAN_MALFORMED },
        { "facts in a list", HEADER,
          "{" PAYLOAD "\"exp\":1,\"cap\":{},\"fct\":[]}", UCAN_MALFORMED },
        { "a nonce that is no text", HEADER,
          "{" PAYLOAD "\"exp\":1,\"cap\":{},\"nnc\":1}", UCAN_MALFORMED },
        { "a member twice", HEADER,
          "{" PAYLOAD "\"exp\":1,\"exp\":2,\"cap\":{}}", UCAN_MALFORMED },
        { "a member twice, once escaped", HEADER,
          "{" PAYLOAD "\"exp\":1,\"\\u0065xp\":2,\"cap\":{}}",
          UCAN_MALFORMED },
        { "something behind", HEADER,
          "{" PAYLOAD "\"exp\":1,\"cap\":{}}{}", UCAN_MALFORMED },
        { "an audience that is no DID", HEADER,
          "{\"ucv\":\"0.10.0\",\"iss\":\"" DID_A "\",\"aud\":\"bob\","
          "\"exp\":1,\"cap\":{}}", UCAN_MALFORMED },
        { "an issuer with a fragment", HEADER,
          "{\"ucv\":\"0.10.0\",\"iss\":\"" DID_A "#x\",\"aud\":\"" DID_A
          "\",\"exp\":1,\"cap\":{}}", UCAN_MALFORMED },
        { "an issuer of another method", HEADER,
          "{\"ucv\":\"0.10.0\",\"iss\":\"did:web:x\",\"aud\":\"" DID_A
          "\",\"exp\":1,\"cap\":{}}", UCAN_UNSUPPORTED }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tap_ok(decode(cases[i].header, cases[i].payload)
               == cases[i].verdict, "%s: %s", cases[i].name,
               ucan_verdict_slug(cases[i].verdict));
    }
}


/* What differs before 0.10. */
static const struct {
    const char      *name;
    const char      *header;
    const char      *payload;
    ucan_verdict_t   verdict;
} old_forms[] = {
    { "the least of 0.8", HEADER8,
      "{" PARTIES "\"exp\":1,\"att\":[],\"prf\":[]}", UCAN_OK },
    { "the least of 0.9", HEADER9, "{" PARTIES "\"exp\":1,\"att\":[]}",
      UCAN_OK },
    { "0.8 without proofs", HEADER8, "{" PARTIES "\"exp\":1,\"att\":[]}",
      UCAN_MALFORMED },
    { "0.8 without an end", HEADER8,
      "{" PARTIES "\"exp\":null,\"att\":[],\"prf\":[]}",
      UCAN_MALFORMED },
    { "0.9 without an end", HEADER9,
      "{" PARTIES "\"exp\":null,\"att\":[]}", UCAN_OK },
    { "0.9 that says nothing of its end", HEADER9,
      "{" PARTIES "\"att\":[]}", UCAN_MALFORMED },
    { "0.8 with a list of facts", HEADER8,
      "{" PARTIES "\"exp\":1,\"att\":[],\"prf\":[],\"fct\":[{},{}]}",
      UCAN_OK },
    { "0.8 with a fact that is no object", HEADER8,
      "{" PARTIES "\"exp\":1,\"att\":[],\"prf\":[],\"fct\":[1]}",
      UCAN_MALFORMED },
    { "0.9 with facts as 0.10 has them", HEADER9,
      "{" PARTIES "\"exp\":1,\"att\":[],\"fct\":{}}", UCAN_MALFORMED },
    { "0.9 with \"cap\" for \"att\"", HEADER9,
      "{" PARTIES "\"exp\":1,\"cap\":{}}", UCAN_MALFORMED },
    { "0.10 with \"att\" for \"cap\"", HEADER,
      "{" PAYLOAD "\"exp\":1,\"att\":[]}", UCAN_MALFORMED },
    { "both versions", HEADER8,
      "{" PAYLOAD "\"exp\":1,\"att\":[],\"prf\":[],\"cap\":{}}",
      UCAN_UNSUPPORTED },
    { "0.8 in the payload", HEADER,
      "{\"ucv\":\"0.8.1\"," PARTIES "\"exp\":1,\"att\":[],\"prf\":[]}",
      UCAN_UNSUPPORTED },
    { "0.10 in the header",
      "{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"ucv\":\"0.10.0\"}",
      "{" PARTIES "\"exp\":1,\"cap\":{}}", UCAN_UNSUPPORTED },
    { "0.7",
      "{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"ucv\":\"0.7.0\"}",
      "{" PARTIES "\"exp\":1,\"att\":[],\"prf\":[]}",
      UCAN_UNSUPPORTED },
    { "0.8 without a patch",
      "{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"ucv\":\"0.8\"}",
      "{" PARTIES "\"exp\":1,\"att\":[],\"prf\":[]}",
      UCAN_UNSUPPORTED },
    { "0.8.01",
      "{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"ucv\":\"0.8.01\"}",
      "{" PARTIES "\"exp\":1,\"att\":[],\"prf\":[]}",
      UCAN_UNSUPPORTED },
    { "0.81.1",
      "{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"ucv\":\"0.81.1\"}",
      "{" PARTIES "\"exp\":1,\"att\":[],\"prf\":[]}",
      UCAN_UNSUPPORTED },
    { "a version that is a number",
      "{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"ucv\":0.8}",
      "{" PARTIES "\"exp\":1,\"att\":[],\"prf\":[]}", UCAN_MALFORMED },
    { "\"uav\" in the header",
      "{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"ucv\":\"0.8.1\","
      "\"uav\":\"1.0.0\"}",
      "{" PARTIES "\"exp\":1,\"att\":[],\"prf\":[]}",
      UCAN_UNSUPPORTED },
    { "\"uav\" in the payload", HEADER8,
      "{" PARTIES "\"exp\":1,\"att\":[],\"prf\":[],\"uav\":1}",
      UCAN_UNSUPPORTED },
    { "capabilities in no list", HEADER8,
      "{" PARTIES "\"exp\":1,\"att\":{},\"prf\":[]}", UCAN_MALFORMED },
    { "a capability that is no object", HEADER8,
      "{" PARTIES "\"exp\":1,\"att\":[[]],\"prf\":[]}",
      UCAN_MALFORMED },
    { "a capability without an ability", HEADER8,
      "{" PARTIES "\"exp\":1,\"att\":[{\"with\":\"a:b\"}],\"prf\":[]}",
      UCAN_MALFORMED },
    { "a capability without a resource", HEADER8,
      "{" PARTIES "\"exp\":1,\"att\":[{\"can\":\"a/b\"}],\"prf\":[]}",
      UCAN_MALFORMED },
    { "an ability that is no text", HEADER8,
      "{" PARTIES "\"exp\":1,\"att\":[{\"with\":\"a:b\",\"can\":1}],"
      "\"prf\":[]}", UCAN_MALFORMED },
    { "a resource that is no URI", HEADER8,
      "{" PARTIES "\"exp\":1,\"att\":[{\"with\":\"a/b:c\","
      "\"can\":\"a/b\"}],\"prf\":[]}", UCAN_MALFORMED },
    { "a resource without a scheme", HEADER8,
      "{" PARTIES "\"exp\":1,\"att\":[{\"with\":\":b\","
      "\"can\":\"a/b\"}],\"prf\":[]}", UCAN_MALFORMED },
    { "an ability without a name space", HEADER8,
      "{" PARTIES "\"exp\":1,\"att\":[{\"with\":\"a:b\",\"can\":\"a\"}],"
      "\"prf\":[]}", UCAN_MALFORMED },
    { "a capability", HEADER8,
      "{" PARTIES "\"exp\":1,\"att\":[{\"with\":\"a+1.2-x:b\","
      "\"can\":\"a/b\"}],\"prf\":[]}", UCAN_OK },
    { "the whole of a resource", HEADER8,
      "{" PARTIES "\"exp\":1,\"att\":[{\"with\":\"a:b\",\"can\":\"*\"}],"
      "\"prf\":[]}", UCAN_OK },
    { "the capabilities of a proof that is there", HEADER8,
      "{" PARTIES "\"exp\":1,\"att\":[{\"with\":\"prf:0\","
      "\"can\":\"ucan/DELEGATE\"}],\"prf\":[\"x\"]}", UCAN_OK },
    { "of all proofs", HEADER8,
      "{" PARTIES "\"exp\":1,\"att\":[{\"with\":\"prf:*\","
      "\"can\":\"ucan/DELEGATE\"}],\"prf\":[\"x\"]}", UCAN_OK },
    { "of one that is not", HEADER8,
      "{" PARTIES "\"exp\":1,\"att\":[{\"with\":\"prf:1\","
      "\"can\":\"ucan/DELEGATE\"}],\"prf\":[\"x\"]}", UCAN_MALFORMED },
    { "of one with no number", HEADER8,
      "{" PARTIES "\"exp\":1,\"att\":[{\"with\":\"prf:\","
      "\"can\":\"ucan/DELEGATE\"}],\"prf\":[\"x\"]}", UCAN_MALFORMED },
    { "a proof that is no text", HEADER8,
      "{" PARTIES "\"exp\":1,\"att\":[],\"prf\":[1]}", UCAN_MALFORMED },
    { "another algorithm than that of the key",
      "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"ucv\":\"0.8.1\"}",
      "{" PARTIES "\"exp\":1,\"att\":[],\"prf\":[]}",
      UCAN_UNSUPPORTED },
    { "an algorithm in lower case",
      "{\"alg\":\"eddsa\",\"typ\":\"JWT\",\"ucv\":\"0.8.1\"}",
      "{" PARTIES "\"exp\":1,\"att\":[],\"prf\":[]}",
      UCAN_UNSUPPORTED },
    { "a key in the header",
      "{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"ucv\":\"0.8.1\","
      "\"jwk\":{}}", "{" PARTIES "\"exp\":1,\"att\":[],\"prf\":[]}",
      UCAN_OK }
};


static void
test_old_form(void)
{
    size_t  i;

    for (i = 0; i < sizeof(old_forms) / sizeof(old_forms[0]); i++) {
        tap_ok(decode(old_forms[i].header, old_forms[i].payload)
               == old_forms[i].verdict, "%s: %s", old_forms[i].name,
               ucan_verdict_slug(old_forms[i].verdict));
    }
}


/* A caveat of 0.8 is all that stands beside resource and ability, as it is
   written. */
static void
test_old_caveats(void)
{
    size_t        i;
    ucan_token_t  token;

    static const struct {
        const char  *more;
        const char  *caveat;
    } cases[] = {
        { "", "{}" },
        { ",\"nb\":{\"a\":[1, 2]}", "{\"nb\":{\"a\":[1, 2]}}" },
        { ",\"a\":1 , \"\\u0062\" : null", "{\"a\":1,\"\\u0062\":null}" },
        { ",\"w\\u0069th \":1", "{\"w\\u0069th \":1}" }
    };
    char  text[1024];

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text),
                 "{" PARTIES "\"exp\":1,\"att\":[{"
                 "\"w\\u0069th\":\"a:\\u0062\",\"can\":\"C/*\"%s}],"
                 "\"prf\":[]}", cases[i].more);

        tap_ok(ucan_jwt_decode(&token, join(HEADER8, text), NULL,
                               &make_memory) == UCAN_OK
               && token.version == UCAN_TOKEN_VERSION_08
               && token.capability_count == 1
               && bytes_equal_text(token.capabilities[0].with, "a:b")
               && bytes_equal_text(token.capabilities[0].can, "C/*")
               && !token.capabilities[0].wild
               && bytes_equal_text(token.capabilities[0].caveat,
                                   cases[i].caveat),
               "the caveat of 0.8 is %s", cases[i].caveat);

        tap_ok(ucan_jwt_decode(&token, join(HEADER9, text), NULL,
                               &make_memory) == UCAN_OK
               && token.version == UCAN_TOKEN_VERSION_09
               && token.capabilities[0].wild,
               "and in 0.9 a star covers a name space");
    }
}


/* What is left out of the capabilities, and when there is nothing left. */
static void
test_void(void)
{
    size_t        i;
    char          text[1024];
    ucan_token_t  token;

    static const struct {
        const char      *cap;
        ucan_verdict_t   verdict;
        size_t           count;
    } cases[] = {
        { "{}", UCAN_OK, 0 },
        { "{\"a:b\":{}}", UCAN_OK, 0 },
        { "{\"a:b\":{\"c/d\":[]}}", UCAN_MALFORMED, 0 },
        { "{\"a:b\":{\"c/d\":[]},\"e:f\":{\"c/d\":[]}}", UCAN_MALFORMED, 0 },
        { "{\"a:b\":{\"c/d\":[]},\"e:f\":{\"c/d\":[{}]}}", UCAN_OK, 1 },
        { "{\"a:b\":{\"c/d\":[{}],\"c/e\":[]}}", UCAN_OK, 1 },
        { "{\"a:b\":{\"c/d\":[{\"x\":1},{\"y\":1}]}}", UCAN_OK, 2 },
        { "{\"my:*\":{\"*\":[{}]}}", UCAN_OK, 0 },
        { "{\"MY:*\":{\"*\":[{}]},\"e:f\":{\"c/d\":[{}]}}", UCAN_OK, 1 },
        { "{\"as:did:key:z:*\":{\"*\":[{}]}}", UCAN_OK, 0 },
        { "{\"prf:0\":{\"*\":[{}]}}", UCAN_OK, 0 },
        { "{\"ucan:./*\":{\"ucan/*\":[{}]}}", UCAN_OK, 0 },
        { "{\"\\u0075can:*\":{\"ucan/*\":[{}]}}", UCAN_OK, 0 },
        { "{\"ucan\":{\"ucan/*\":[{}]},\"myx:*\":{\"*\":[{}]}}", UCAN_OK, 2 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text), "{" PAYLOAD "\"exp\":1,\"cap\":%s}",
                 cases[i].cap);

        tap_ok(ucan_jwt_decode(&token, join(HEADER, text), NULL,
                               &make_memory) == cases[i].verdict
               && (cases[i].verdict != UCAN_OK
                   || token.capability_count == cases[i].count),
               "%s leaves %zu", cases[i].cap, cases[i].count);
    }
}


static void
test_embedded(void)
{
    size_t                i, count;
    cid_t                 cid;
    bytes_t               proofs[4], text;
    unsigned              wrong;
    ucan_token_t          token;
    ucan_verdict_t        rc;
    ucan_jwt_draft_t      draft;
    ucan_jwt_embedded_t   embedded;

    proofs[0] = make_jwt_08("mesh", "alice",
                            "[{\"with\":\"a:b\",\"can\":\"c/d\"}]", 5, NULL);
    proofs[1] = bytes_of("not.a.token");

    cid_of(&cid, CID_RAW, bytes_of("elsewhere"));

    memset(&draft, 0, sizeof(draft));
    draft.version = UCAN_TOKEN_VERSION_08;
    draft.aud = make_did("mesh");
    draft.caps = bytes_of("[{\"with\":\"a:b\",\"can\":\"c/d\",\"x\":1}]");
    draft.exp = 5;
    draft.nbf = -1;
    draft.embedded = proofs;
    draft.embedded_count = 2;
    draft.proofs = &cid;
    draft.proof_count = 1;

    text = make_jwt_of("alice", &draft);

    tap_ok(ucan_jwt_decode(&token, text, &embedded, &make_memory) == UCAN_OK
           && token.proof_count == 3
           && cid_equal(&token.proofs[2], &cid)
           && !token.foreign,
           "0.8 carries proofs in itself and names others");
    tap_ok(embedded.count == 2
           && bytes_equal(embedded.list[0], proofs[0])
           && bytes_equal(embedded.list[1], proofs[1])
           && embedded.proof[0] == 0 && embedded.proof[1] == 1,
           "those in it come out");

    cid_of(&cid, CID_RAW, proofs[0]);
    tap_ok(cid_equal(&cid, &token.proofs[0]), "each by its own CID");

    make_arena.count = 0;
    (void) ucan_jwt_decode(&token, text, &embedded, &make_memory);
    count = make_arena.count;
    wrong = 0;

    for (i = 1; i < count; i++) {
        make_arena.count = 0;
        make_arena.fail_after = i;
        rc = ucan_jwt_decode(&token, text, &embedded, &make_memory);
        wrong += rc != UCAN_NO_MEMORY;
    }

    make_arena.fail_after = 0;
    tap_ok(wrong == 0, "without memory it says so");

    tap_ok(ucan_jwt_decode(&token, join(HEADER9,
               "{" PARTIES "\"exp\":1,\"att\":[],\"prf\":[\"e30.e30.AA\"]}"),
               &embedded, &make_memory) == UCAN_OK
           && embedded.count == 0 && token.proof_count == 0
           && token.foreign, "from 0.9 on no token stands in another");
}


/* By version and type of key: made, read back, verified, and not when it
   names another algorithm. */
static void
test_keys(void)
{
    size_t               i, v;
    bytes_t              dot;
    uint8_t              buf[8192];
    ucan_token_t         token;
    bytes_writer_t       w;
    ucan_jwt_draft_t     draft;
    signature_signer_t   signer;

    static const unsigned  versions[] = {
        UCAN_TOKEN_VERSION_08, UCAN_TOKEN_VERSION_09, UCAN_TOKEN_VERSION_10
    };
    static const char *const  names[] = { "0.8", "0.9", "0.10" };

    for (i = 0; i < DID_ALGORITHM_COUNT; i++) {

        if (!tap_ok(signature_signer_create(&signer, (did_algorithm_t) i, 2048)
                    == 0, "a key for %s",
                    signature_jwt_name((did_algorithm_t) i)))
        {
            continue;
        }

        for (v = 0; v < 3; v++) {
            memset(&draft, 0, sizeof(draft));
            draft.version = versions[v];
            draft.aud = make_did("mesh");
            draft.caps = bytes_of(v == 2 ? "{\"a:b\":{\"c/d\":[{}]}}"
                                  : "[{\"with\":\"a:b\",\"can\":\"c/d\"}]");
            draft.exp = 5;
            draft.nbf = 1;
            draft.nonce = bytes_of("n");

            bytes_writer_open(&w, buf, sizeof(buf));

            tap_ok(ucan_jwt_encode_by(&draft, &signer, &w) == 0
                   && ucan_jwt_decode(&token, bytes_writer_view(&w), NULL,
                                      &make_memory) == UCAN_OK
                   && token.version == versions[v]
                   && bytes_equal(token.iss, signature_signer_did(&signer))
                   && token.exp == 5 && token.nbf == 1
                   && token.capability_count == 1
                   && ucan_token_verify(&token) == UCAN_OK,
                   "%s by %s reads back and is signed", names[v],
                   signature_jwt_name((did_algorithm_t) i));

            /* the same payload under the header of another key */

            dot = bytes_writer_view(&w);
            dot.len = (size_t) ((const uint8_t *) memchr(buf, '.', dot.len)
                                - buf);
            memmove(buf, buf + dot.len + 1,
                    bytes_writer_view(&w).len - dot.len - 1);
            w.pos -= dot.len + 1;
            *w.pos = '\0';

            tap_ok(ucan_jwt_decode(&token,
                       reheaded(v == 2 ? 0 : versions[v],
                                (did_algorithm_t) ((i + 1)
                                                   % DID_ALGORITHM_COUNT),
                                (const char *) buf), NULL, &make_memory)
                   == UCAN_UNSUPPORTED,
                   "and is refused when it names another algorithm");
        }

        signature_signer_destroy(&signer);
    }
}


/* Drafts that no version has. */
static void
test_drafts(void)
{
    uint8_t           buf[4096];
    bytes_t           proof;
    bytes_writer_t    w;
    ucan_jwt_draft_t  draft;

    memset(&draft, 0, sizeof(draft));
    draft.version = UCAN_TOKEN_VERSION_08;
    draft.aud = make_did("mesh");
    draft.caps = bytes_of("[]");
    draft.exp = -1;
    draft.nbf = -1;

    bytes_writer_open(&w, buf, sizeof(buf));
    tap_ok(ucan_jwt_encode(&draft, make_key("alice"), &w) == -1,
           "0.8 is not made without an expiry");

    draft.version = UCAN_TOKEN_VERSION_09;
    bytes_writer_open(&w, buf, sizeof(buf));
    tap_ok(ucan_jwt_encode(&draft, make_key("alice"), &w) == 0,
           "0.9 is");

    proof = bytes_writer_view(&w);
    draft.embedded = &proof;
    draft.embedded_count = 1;
    bytes_writer_open(&w, buf, sizeof(buf));
    tap_ok(ucan_jwt_encode(&draft, make_key("alice"), &w) == -1,
           "and takes no token into itself");

    draft.embedded_count = 0;
    draft.version = 7;
    bytes_writer_open(&w, buf, sizeof(buf));
    tap_ok(ucan_jwt_encode(&draft, make_key("alice"), &w) == -1,
           "there is no version 7");
}


static void
test_segments(void)
{
    size_t        i;
    char          text[1024];
    ucan_token_t  token;

    static const char *const  bad[] = {
        "", ".", "..", "...", "e30.e30.", ".e30.AA", "e30..AA", "e30.e30",
        "e30.e30.AA.AA", "e30=.e30.AA", "e30.e3 0.AA", "e3.e30.AA"
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(text, sizeof(text), "%s", bad[i]);
        tap_ok(ucan_jwt_decode(&token, bytes_of(text), NULL, &make_memory)
               == UCAN_MALFORMED, "\"%s\" is no token", bad[i]);
    }
}


static void
test_limits(void)
{
    size_t        i, n;
    char         *text;
    bytes_t       jwt;
    ucan_token_t  token;

    text = malloc(65536 * 2);

    memset(text, 'e', 65537);
    tap_ok(ucan_jwt_decode(&token, bytes_make(text, 65537), NULL, &make_memory)
           == UCAN_TOO_LARGE, "a token has a largest size");

    n = (size_t) snprintf(text, 65536, "{" PAYLOAD
                          "\"exp\":1,\"cap\":{},\"prf\":[\"x\"");

    for (i = 0; i < UCAN_TOKEN_PROOFS_MAX; i++) {
        n += (size_t) snprintf(text + n, 16, ",\"x\"");
    }

    snprintf(text + n, 16, "]}");
    tap_ok(decode(HEADER, text) == UCAN_TOO_LARGE,
           "and a largest number of proofs");

    n = (size_t) snprintf(text, 65536, "{" PAYLOAD
                          "\"exp\":1,\"cap\":{\"a:b\":{\"c\":[{}");

    for (i = 0; i < UCAN_TOKEN_CAPS_MAX; i++) {
        n += (size_t) snprintf(text + n, 16, ",{}");
    }

    snprintf(text + n, 16, "]}}}");
    jwt = join(HEADER, text);
    tap_ok(ucan_jwt_decode(&token, jwt, NULL, &make_memory) == UCAN_TOO_LARGE,
           "and of capabilities");

    free(text);
}


int
main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }

    test_round_trip();
    test_cut();
    test_no_memory();
    test_form();
    test_old_form();
    test_old_caveats();
    test_void();
    test_embedded();
    test_keys();
    test_drafts();
    test_segments();
    test_limits();

    return tap_done();
}
