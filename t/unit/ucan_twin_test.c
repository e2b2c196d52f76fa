/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * A token whose ECDSA signature was bent has another CID and is as good: who
 * revoked the one must be rid of both.
 */


#include "base64.h"
#include "tap.h"
#include "ucan_make.h"


/* data is the CID that was revoked, its digest in use or empty. */
static ucan_revoked_t
match_revoked(void *data, const cid_t *cid)
{
    return cid_equal(data, cid) ? UCAN_REVOKED_ALL : UCAN_REVOKED_NOT;
}


static ucan_verdict_t
open_top(bytes_t raw, bytes_t anchor, cid_t *revoked)
{
    bytes_t         node;
    ucan_chain_t    chain;
    ucan_trust_t    trust;
    ucan_bundle_t   bundle;
    ucan_verdict_t  rc;

    node = make_did("node");
    memset(&trust, 0, sizeof(trust));

    trust.audiences = &node;
    trust.audience_count = 1;
    trust.anchors = &anchor;
    trust.anchor_count = 1;
    trust.session_max = 3600;
    trust.revoked = match_revoked;
    trust.data = revoked;
    ucan_limits_init(&trust.limits);

    rc = (raw.data[0] == 'e')
         ? ucan_bundle_parse(&bundle, raw, bytes_make(NULL, 0),
                             &trust.limits, &make_memory)
         : ucan_bundle_parse_envelopes(&bundle, &raw, 1, &trust.limits,
                                       &make_memory);

    return (rc == UCAN_OK) ? ucan_chain_open(&chain, &bundle, &trust,
                                             MAKE_NOW)
                           : rc;
}


/* The same token with the other signature; empty: there is none. */
static bytes_t
bend(bytes_t raw, did_algorithm_t algorithm)
{
    uint8_t         buf[4096], sig[SIGNATURE_TWIN_MAX];
    ucan_token_t    token;
    bytes_writer_t  w, twin;

    bytes_writer_open(&w, buf, sizeof(buf));
    bytes_writer_open(&twin, sig, sizeof(sig));

    if (raw.data[0] == 'e') {
        (void) ucan_jwt_decode(&token, raw, NULL, &make_memory);

    } else {
        (void) ucan_envelope_decode(&token, raw, &make_memory);
    }

    if (signature_twin(algorithm, token.signature, &twin) != 0) {
        return bytes_make(NULL, 0);
    }

    if (raw.data[0] == 'e') {
        bytes_writer_bytes(&w, token.signed_part);
        bytes_writer_byte(&w, '.');
        (void) base64_encode(BASE64_URL, bytes_writer_view(&twin), &w);

    } else {
        bytes_writer_bytes(&w, raw);
        memcpy(buf + (token.signature.data - raw.data), sig,
               token.signature.len);
    }

    return make_copy(&w);
}


static bytes_t
make_top(const signature_signer_t *signer, int jwt)
{
    uint8_t                buf[4096];
    bytes_writer_t         w;
    ucan_jwt_draft_t       bearer;
    ucan_envelope_draft_t  invocation;

    bytes_writer_open(&w, buf, sizeof(buf));

    if (jwt) {
        memset(&bearer, 0, sizeof(bearer));
        bearer.aud = make_did("node");
        bearer.caps = bytes_of("{\"x:y\":{\"*\":[{}]}}");
        bearer.exp = MAKE_NOW + 60;
        bearer.nbf = -1;
        (void) ucan_jwt_encode_by(&bearer, signer, &w);

    } else {
        memset(&invocation, 0, sizeof(invocation));
        invocation.invocation = 1;
        invocation.aud = make_did("node");
        invocation.sub = signature_signer_did(signer);
        invocation.cmd = bytes_of("/room/send");
        invocation.nonce = bytes_of("once");
        invocation.exp = MAKE_NOW + 60;
        invocation.nbf = -1;
        (void) ucan_envelope_encode_by(&invocation, signer, &w);
    }

    return make_copy(&w);
}


static void
test_type(const char *name, did_algorithm_t algorithm, int jwt)
{
    cid_t               revoked;
    bytes_t             raw, bent, anchor;
    signature_signer_t  signer;

    make_reset();

    if (signature_signer_create(&signer, algorithm, 2048) != 0) {
        tap_ok(0, "%s: a key is made", name);
        return;
    }

    anchor = signature_signer_did(&signer);
    raw = make_top(&signer, jwt);
    bent = bend(raw, algorithm);

    memset(&revoked, 0, sizeof(revoked));

    if (algorithm == DID_ED25519 || algorithm == DID_RSA) {
        tap_ok(bent.len == 0, "%s has one signature", name);

    } else {
        tap_ok(bent.len == raw.len && !bytes_equal(raw, bent)
               && open_top(bent, anchor, &revoked) == UCAN_OK,
               "%s%s: a bent one is as good", name, jwt ? " JWT" : "");

        cid_of(&revoked, jwt ? CID_RAW : CID_DAG_CBOR, raw);
        tap_ok(open_top(bent, anchor, &revoked) == UCAN_REVOKED,
               "%s%s: and revoked with the first", name, jwt ? " JWT" : "");
    }

    cid_of(&revoked, jwt ? CID_RAW : CID_DAG_CBOR, raw);
    tap_ok(open_top(raw, anchor, &revoked) == UCAN_REVOKED,
           "%s%s: the first is revoked", name, jwt ? " JWT" : "");

    signature_signer_destroy(&signer);
}


int
main(void)
{
    size_t  i;

    static const struct {
        const char       *name;
        did_algorithm_t   algorithm;
    } types[] = {
        { "Ed25519", DID_ED25519 },
        { "P-256", DID_P256 },
        { "secp256k1", DID_SECP256K1 },
        { "P-384", DID_P384 },
        { "P-521", DID_P521 },
        { "RSA", DID_RSA }
    };

    if (sodium_init() < 0) {
        return 1;
    }

    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        test_type(types[i].name, types[i].algorithm, 0);
        test_type(types[i].name, types[i].algorithm, 1);
    }

    return tap_done();
}
