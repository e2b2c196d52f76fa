/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * UCAN 0.10 JWTs: what our encoder writes reads back; whatever is not exactly
 * of the form does not, wherever it is cut and whichever allocation fails.
 */


#include "base64.h"
#include "tap.h"
#include "ucan_make.h"


#define HEADER   "{\"alg\":\"EdDSA\",\"typ\":\"JWT\"}"
#define DID_A    "did:key:z6MkuBLrjSGt1PPADAvuv6rmvj4FfSAfffJotC6K8ZEorYmv"
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
    test_segments();
    test_limits();

    return tap_done();
}
