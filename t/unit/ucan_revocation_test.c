/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Revocations of both forms: what is read, what is refused, who may revoke
 * what, and under which key it is kept.
 */


#include "base64.h"
#include "tap.h"
#include "ucan_make.h"
#include "ucan_revocation.h"


static void
ok_verdict(ucan_verdict_t rc, ucan_verdict_t expected, const char *promise)
{
    if (!tap_ok(rc == expected, "%s", promise)) {
        printf("#   got: %s, expected: %s\n", ucan_verdict_slug(rc),
               ucan_verdict_slug(expected));
    }
}


static bytes_t
encode(base64_form_t form, bytes_t b)
{
    void            *buf;
    bytes_writer_t   w;

    buf = make_alloc(NULL, base64_encoded_max(b.len) + 1);

    if (buf == NULL) {
        abort();
    }

    bytes_writer_open(&w, buf, base64_encoded_max(b.len));
    (void) base64_encode(form, b, &w);

    return bytes_writer_view(&w);
}


static cid_t
cid_jwt(bytes_t token)
{
    cid_t  cid;

    cid_of(&cid, CID_RAW, token);

    return cid;
}


static cid_t
cid_v1(bytes_t token)
{
    cid_t  cid;

    cid_of(&cid, CID_DAG_CBOR, token);

    return cid;
}


/* The record by which "by" revokes cid; "%.*s" of format: the DID, the CID
   and the signature. */
static bytes_t
record_of(const char *format, const char *by, const cid_t *cid,
    base64_form_t form)
{
    char            text[1024];
    uint8_t         message[128], name[CID_TEXT_LEN];
    uint8_t         sig[SIGNATURE_ED25519_LEN];
    bytes_t         did, challenge;
    bytes_writer_t  w, n;

    bytes_writer_open(&n, name, sizeof(name));
    cid_write(cid, &n);

    bytes_writer_open(&w, message, sizeof(message));
    bytes_writer_text(&w, "REVOKE:");
    bytes_writer_bytes(&w, bytes_writer_view(&n));
    signature_sign(make_key(by), bytes_writer_view(&w), sig);

    did = make_did(by);
    challenge = encode(form, bytes_make(sig, sizeof(sig)));

    snprintf(text, sizeof(text), format, (int) did.len,
             (const char *) did.data, CID_TEXT_LEN, (const char *) name,
             (int) challenge.len, (const char *) challenge.data);

    bytes_writer_open(&w, text, sizeof(text));
    w.pos += strlen(text);

    return make_copy(&w);
}


#define RECORD  "{\"iss\":\"%.*s\",\"revoke\":\"%.*s\",\"challenge\":\"%.*s\"}"


static bytes_t
invocation_of(const char *by, const char *command, const char *name,
    const cid_t *cid)
{
    uint8_t                args[64], binary[1 + CID_BINARY_LEN];
    bytes_writer_t         w, b;
    ucan_envelope_draft_t  draft;

    bytes_writer_open(&b, binary, sizeof(binary));
    cid_write_binary(cid, &b);

    bytes_writer_open(&w, args, sizeof(args));
    cbor_write_map(&w, 1);
    cbor_write_text(&w, bytes_of(name));
    cbor_write_link(&w, bytes_writer_view(&b));

    draft = make_draft(by, command);
    draft.invocation = 1;
    draft.aud = bytes_make(NULL, 0);
    draft.sub = make_did(by);
    draft.args = bytes_writer_view(&w);
    draft.nonce = bytes_make(NULL, 0);

    return make_envelope(by, &draft);
}


static void
test_record(void)
{
    size_t             i;
    cid_t              cid;
    bytes_t            record;
    ucan_revocation_t  r;

    static const base64_form_t  forms[] = {
        BASE64_URL, BASE64_STD, BASE64_STD_RAW
    };

    make_reset();
    cid = cid_jwt(bytes_of("a token"));

    for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        record = record_of(RECORD, "alice", &cid, forms[i]);

        ok_verdict(ucan_revocation_parse_record(&r, record, &make_memory),
                   UCAN_OK, "a record is read in every base64");
        tap_ok(cid_equal(&r.cid, &cid)
               && bytes_equal(r.by, make_did("alice"))
               && bytes_equal(r.raw, record),
               "and says what is revoked by whom");
    }

    record = record_of("{ \"more\":[1], \"iss\":\"%.*s\","
                       "\"revoke\":\"%.*s\",\"challenge\":\"%.*s\" }",
                       "alice", &cid, BASE64_URL);
    ok_verdict(ucan_revocation_parse_record(&r, record, &make_memory),
               UCAN_OK, "members that are not known do not hurt");

    record = record_of("{\"iss\":\"\\u0064%.*s\",\"revoke\":\"%.*s\","
                       "\"challenge\":\"%.*s\"}", "alice", &cid, BASE64_URL);
    ok_verdict(ucan_revocation_parse_record(&r, record, &make_memory),
               UCAN_MALFORMED, "a DID that is none");
}


static void
test_record_refused(void)
{
    size_t             i;
    cid_t              cid;
    bytes_t            record;
    ucan_revocation_t  r;

    static const struct {
        const char      *name;
        const char      *format;
        ucan_verdict_t   rc;
    } cases[] = {
        { "another CID than was signed",
          "{\"iss\":\"%.*s\",\"revoke\":\"b%.*s\",\"challenge\":\"%.*s\"}",
          UCAN_MALFORMED },
        { "a signature cut short",
          "{\"iss\":\"%.*s\",\"revoke\":\"%.*s\",\"challenge\":\"%.*sAA\"}",
          UCAN_BAD_SIGNATURE },
        { "a signature that is no base64",
          "{\"iss\":\"%.*s\",\"revoke\":\"%.*s\",\"challenge\":\"%.*s*\"}",
          UCAN_MALFORMED },
        { "two issuers",
          "{\"iss\":\"%.*s\",\"iss\":\"x\",\"revoke\":\"%.*s\","
          "\"challenge\":\"%.*s\"}", UCAN_MALFORMED },
        { "something behind it",
          "{\"iss\":\"%.*s\",\"revoke\":\"%.*s\",\"challenge\":\"%.*s\"}]",
          UCAN_MALFORMED },
        { "a list", "[\"%.*s\",\"%.*s\",\"%.*s\"]", UCAN_MALFORMED },
        { "no challenge", "{\"iss\":\"%.*s\",\"revoke\":\"%.*s\"}",
          UCAN_MALFORMED },
        { "an issuer of a key that is not known",
          "{\"iss\":\"did:web:%.*s\",\"revoke\":\"%.*s\","
          "\"challenge\":\"%.*s\"}", UCAN_UNSUPPORTED }
    };

    make_reset();
    cid = cid_jwt(bytes_of("a token"));

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        record = record_of(cases[i].format, "alice", &cid, BASE64_URL);

        ok_verdict(ucan_revocation_parse_record(&r, record, &make_memory),
                   cases[i].rc, cases[i].name);
    }

    record = record_of(RECORD, "alice", &cid, BASE64_URL);
    memcpy((uint8_t *) record.data + sizeof("{\"iss\":\"") - 1,
           make_did("bob").data, DID_ED25519_LEN);
    ok_verdict(ucan_revocation_parse_record(&r, record, &make_memory),
               UCAN_BAD_SIGNATURE, "another issuer than signed");

    make_arena.fail_after = 1;
    make_arena.count = 1;
    record = bytes_of("{\"iss\":\"\\u0064id:web:x\",\"revoke\":\"b\","
                      "\"challenge\":\"x\"}");
    ok_verdict(ucan_revocation_parse_record(&r, record, &make_memory),
               UCAN_NO_MEMORY, "without memory it says so");
}


static void
test_invocation(void)
{
    cid_t              cid;
    bytes_t            raw, list[1];
    uint8_t           *forged;
    ucan_bundle_t      witness;
    ucan_revocation_t  r;

    make_reset();
    cid = cid_v1(bytes_of("a token"));

    raw = invocation_of("alice", UCAN_REVOCATION_COMMAND, "revoke", &cid);
    ok_verdict(ucan_revocation_parse_invocation(&r, raw, &make_memory),
               UCAN_OK, "an invocation is read");
    tap_ok(cid_equal(&r.cid, &cid) && bytes_equal(r.by, make_did("alice"))
           && bytes_equal(r.raw, raw), "and says what is revoked by whom");

    ok_verdict(ucan_revocation_parse(&r, encode(BASE64_STD, raw), &witness,
                                     &make_memory),
               UCAN_OK, "also in base64");
    ok_verdict(ucan_revocation_parse(&r, raw, &witness, &make_memory),
               UCAN_OK, "also as bytes");

    list[0] = raw;
    ok_verdict(ucan_revocation_parse(&r, make_container('O', list, 1),
                                     &witness, &make_memory),
               UCAN_OK, "also in a container");
    tap_ok(cid_equal(&r.cid, &cid) && witness.count == 0,
           "which has no witness");

    raw = invocation_of("alice", UCAN_REVOCATION_COMMAND, "ucan", &cid);
    ok_verdict(ucan_revocation_parse_invocation(&r, raw, &make_memory),
               UCAN_OK, "the argument has two names");

    forged = (uint8_t *) raw.data;
    forged[20] ^= 1;
    ok_verdict(ucan_revocation_parse_invocation(&r, raw, &make_memory),
               UCAN_BAD_SIGNATURE, "the signature counts");

    raw = invocation_of("alice", "/ucan/revoked", "revoke", &cid);
    ok_verdict(ucan_revocation_parse_invocation(&r, raw, &make_memory),
               UCAN_MALFORMED, "so does the command");

    raw = invocation_of("alice", UCAN_REVOCATION_COMMAND, "path", &cid);
    ok_verdict(ucan_revocation_parse_invocation(&r, raw, &make_memory),
               UCAN_MALFORMED, "and the argument");

    raw = make_delegation("alice", "bob", UCAN_REVOCATION_COMMAND);
    ok_verdict(ucan_revocation_parse_invocation(&r, raw, &make_memory),
               UCAN_MALFORMED, "a delegation revokes nothing");
}


static void
test_parse(void)
{
    size_t             i;
    cid_t              cid;
    bytes_t            list[3];
    ucan_bundle_t      witness;
    ucan_revocation_t  r;

    static const char *const  junk[] = {
        "", " ", "\n", "{", "{}", "B", "Cxx", "x", "gg", "null", "\x82"
    };

    make_reset();

    for (i = 0; i < sizeof(junk) / sizeof(junk[0]); i++) {
        tap_ok(ucan_revocation_parse(&r, bytes_of(junk[i]), &witness,
                                     &make_memory) == UCAN_MALFORMED
               && witness.count == 0, "junk %zu is refused", i);
    }

    cid = cid_jwt(bytes_of("a token"));
    list[0] = record_of("\r\n {\"iss\":\"%.*s\",\"revoke\":\"%.*s\","
                        "\"challenge\":\"%.*s\"} \n", "alice", &cid,
                        BASE64_URL);
    ok_verdict(ucan_revocation_parse(&r, list[0], &witness, &make_memory),
               UCAN_OK, "blanks around a record are dropped");

    list[0] = make_delegation("mesh", "alice", "/");
    list[1] = make_delegation("alice", "bob", "/room");
    cid = cid_v1(list[1]);
    list[2] = invocation_of("alice", UCAN_REVOCATION_COMMAND, "revoke",
                            &cid);
    ok_verdict(ucan_revocation_parse(&r, make_container('C', list, 3),
                                     &witness, &make_memory),
               UCAN_OK, "a container with witnesses is read");
    tap_ok(witness.top == NULL
           && ucan_revocation_witnessed(&witness, &r.cid, r.by),
           "and they bear witness");

    ok_verdict(ucan_revocation_parse(&r, make_container('C', list, 2),
                                     &witness, &make_memory),
               UCAN_MALFORMED, "a container without a revocation is none");
}


static int
witnessed(const bytes_t *list, size_t count, bytes_t token, const char *by)
{
    cid_t          cid;
    ucan_limits_t  limits;
    ucan_bundle_t  bundle;

    ucan_limits_init(&limits);
    cid = cid_v1(token);

    return ucan_bundle_parse_envelopes(&bundle, list, count, &limits,
                                       &make_memory) == UCAN_OK
           && ucan_revocation_witnessed(&bundle, &cid, make_did(by));
}


static void
test_witness_v1(void)
{
    bytes_t                list[5];
    uint8_t               *forged;
    ucan_envelope_draft_t  draft;

    make_reset();

    list[0] = make_delegation("mesh", "alice", "/room");
    list[1] = make_delegation("alice", "bob", "/room");
    list[2] = make_delegation("bob", "carol", "/room/read");

    tap_ok(witnessed(list, 3, list[2], "bob"), "the issuer may revoke");
    tap_ok(witnessed(list + 2, 1, list[2], "bob"), "with nothing else there");
    tap_ok(witnessed(list, 3, list[2], "alice"), "who stands above it may");
    tap_ok(witnessed(list, 3, list[2], "mesh"), "and the root");
    tap_ok(!witnessed(list, 3, list[2], "carol"), "the audience may not");
    tap_ok(!witnessed(list, 3, list[2], "mallory"), "nor a stranger");
    tap_ok(!witnessed(list, 3, list[0], "alice"), "nor who stands below");
    tap_ok(!witnessed(list, 2, list[2], "alice"), "what is not there is not");
    tap_ok(!witnessed(list + 1, 2, list[2], "alice"),
           "without a root nobody stands above");

    list[3] = make_delegation("mallory", "bob", "/");
    tap_ok(!witnessed(list, 4, list[2], "mallory"),
           "a delegation of one's own on top is no witness");

    draft = make_draft("bob", "/");
    draft.sub = make_did("mallory");
    list[4] = make_envelope("mallory", &draft);
    tap_ok(!witnessed(list, 5, list[2], "mallory"),
           "nor one about oneself");

    list[1] = make_delegation("alice", "bob", "/room/send");
    tap_ok(!witnessed(list, 3, list[2], "alice"),
           "nor one that does not cover it");

    list[1] = make_delegation("alice", "bob", "/room");
    forged = (uint8_t *) list[1].data;
    forged[20] ^= 1;
    tap_ok(!witnessed(list, 3, list[2], "alice"), "nor a forged one");

    forged[20] ^= 1;
    draft = make_draft("carol", "/room");
    draft.sub = bytes_make(NULL, 0);
    list[2] = make_envelope("bob", &draft);
    tap_ok(witnessed(list, 3, list[2], "alice"),
           "a powerline has the subject above it");
}


static void
test_witness_jwt(void)
{
    cid_t          cid;
    bytes_t        all[4], proofs[2], top;
    ucan_limits_t  limits;
    ucan_bundle_t  bundle;

    make_reset();
    ucan_limits_init(&limits);

    proofs[1] = bytes_make(NULL, 0);
    all[0] = make_jwt("mesh", "alice", "{}", MAKE_NOW, NULL);
    proofs[0] = all[0];
    all[1] = make_jwt("alice", "bob", "{}", MAKE_NOW, proofs);
    proofs[0] = all[1];
    top = make_jwt("bob", "mesh", "{}", MAKE_NOW, proofs);
    all[2] = make_jwt("mallory", "bob", "{}", MAKE_NOW, NULL);
    all[3] = bytes_make(NULL, 0);

    (void) ucan_bundle_parse(&bundle, top, make_header(all), &limits,
                             &make_memory);
    cid = cid_jwt(top);

    tap_ok(ucan_revocation_witnessed(&bundle, &cid, make_did("bob"))
           && ucan_revocation_witnessed(&bundle, &cid, make_did("alice"))
           && ucan_revocation_witnessed(&bundle, &cid, make_did("mesh")),
           "0.x: the issuer and those of its proofs may revoke");
    tap_ok(!ucan_revocation_witnessed(&bundle, &cid, make_did("mallory")),
           "0.x: who gave a proof that is not named may not");

    cid = cid_jwt(all[1]);
    tap_ok(!ucan_revocation_witnessed(&bundle, &cid, make_did("bob")),
           "0.x: nor who stands below");
}


static void
test_key(void)
{
    cid_t    cid;
    uint8_t  a[UCAN_REVOCATION_KEY_LEN], b[UCAN_REVOCATION_KEY_LEN];

    cid = cid_v1(bytes_of("a token"));

    ucan_revocation_key(a, &cid, bytes_make(NULL, 0));
    tap_ok(memcmp(a, cid.digest, sizeof(a)) == 0,
           "whoever issued it: the key is the digest");

    ucan_revocation_key(a, &cid, make_did("alice"));
    ucan_revocation_key(b, &cid, make_did("bob"));
    tap_ok(memcmp(a, b, sizeof(a)) != 0
           && memcmp(a, cid.digest, sizeof(a)) != 0,
           "by somebody: another one for each");

    ucan_revocation_key(b, &cid, make_did("alice"));
    tap_ok(memcmp(a, b, sizeof(a)) == 0, "and always the same");
}


int
main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }

    test_record();
    test_record_refused();
    test_invocation();
    test_parse();
    test_witness_v1();
    test_witness_jwt();
    test_key();

    return tap_done();
}
