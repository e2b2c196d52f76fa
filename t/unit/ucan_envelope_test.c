/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * UCAN 1.0 envelopes: what our encoder writes reads back, and of other bytes
 * only those of the one legal form; each cut, each failing allocation.
 */


#include "tap.h"
#include "ucan_make.h"


/* An envelope around a payload, with the parts that a case may replace. */
typedef struct {
    const char  *tag;
    const char  *varsig;          /* 8 bytes */
    unsigned     members;
    void       (*payload)(bytes_writer_t *w);
} shape_t;


static const char  varsig[] = "\x34\x01\xed\x01\xed\x01\x13\x71";


static bytes_t
shape(const shape_t *s)
{
    uint8_t         sig[64], buf[4096];
    bytes_writer_t  w;

    memset(sig, 1, sizeof(sig));

    bytes_writer_open(&w, buf, sizeof(buf));
    cbor_write_list(&w, 2);
    cbor_write_bytes(&w, bytes_make(sig, sizeof(sig)));
    cbor_write_map(&w, 2);
    cbor_write_text(&w, bytes_of("h"));
    cbor_write_bytes(&w, bytes_make(s->varsig, 8));
    cbor_write_text(&w, bytes_of(s->tag));
    cbor_write_map(&w, s->members);
    s->payload(&w);

    return make_copy(&w);
}


static void
write_text(bytes_writer_t *w, const char *key, bytes_t value)
{
    cbor_write_text(w, bytes_of(key));
    cbor_write_text(w, value);
}


/* aud cmd exp iss */
static void
write_head(bytes_writer_t *w)
{
    write_text(w, "aud", make_did("bob"));
    write_text(w, "cmd", bytes_of("/room"));
    cbor_write_text(w, bytes_of("exp"));
    cbor_write_null(w);
    write_text(w, "iss", make_did("alice"));
}


static void
write_tail(bytes_writer_t *w)
{
    write_text(w, "sub", make_did("mesh"));
    cbor_write_text(w, bytes_of("nonce"));
    cbor_write_bytes(w, bytes_of("n"));
}


static void
write_delegation(bytes_writer_t *w)
{
    write_head(w);
    cbor_write_text(w, bytes_of("pol"));
    cbor_write_list(w, 0);
    write_tail(w);
}


static void
write_unknown(bytes_writer_t *w)
{
    write_delegation(w);
    cbor_write_text(w, bytes_of("unless"));
    cbor_write_null(w);
}


static void
write_meta(bytes_writer_t *w)
{
    write_head(w);
    cbor_write_text(w, bytes_of("pol"));
    cbor_write_list(w, 0);
    write_text(w, "sub", make_did("mesh"));
    cbor_write_text(w, bytes_of("meta"));
    cbor_write_map(w, 0);
    cbor_write_text(w, bytes_of("nonce"));
    cbor_write_bytes(w, bytes_of("n"));
}


static void
write_bad_policy(bytes_writer_t *w)
{
    write_head(w);
    cbor_write_text(w, bytes_of("pol"));
    cbor_write_list(w, 1);
    cbor_write_list(w, 1);
    cbor_write_text(w, bytes_of("=="));
    write_tail(w);
}


static void
write_no_policy(bytes_writer_t *w)
{
    write_head(w);
    write_tail(w);
}


static void
write_powerline(bytes_writer_t *w)
{
    write_head(w);
    cbor_write_text(w, bytes_of("pol"));
    cbor_write_list(w, 0);
    cbor_write_text(w, bytes_of("sub"));
    cbor_write_null(w);
    cbor_write_text(w, bytes_of("nonce"));
    cbor_write_bytes(w, bytes_of("n"));
}


static void
write_invocation(bytes_writer_t *w)
{
    write_head(w);
    cbor_write_text(w, bytes_of("prf"));
    cbor_write_list(w, 0);
    write_text(w, "sub", make_did("mesh"));
    cbor_write_text(w, bytes_of("args"));
    cbor_write_map(w, 0);
    cbor_write_text(w, bytes_of("nonce"));
    cbor_write_bytes(w, bytes_of("n"));
}


static void
write_float_expiry(bytes_writer_t *w)
{
    write_text(w, "aud", make_did("bob"));
    write_text(w, "cmd", bytes_of("/room"));
    cbor_write_text(w, bytes_of("exp"));
    cbor_write_float(w, 1.0);
    write_text(w, "iss", make_did("alice"));
    cbor_write_text(w, bytes_of("pol"));
    cbor_write_list(w, 0);
    write_tail(w);
}


static void
write_foreign_key(bytes_writer_t *w)
{
    write_text(w, "aud", make_did("bob"));
    write_text(w, "cmd", bytes_of("/room"));
    cbor_write_text(w, bytes_of("exp"));
    cbor_write_null(w);
    write_text(w, "iss", bytes_of("did:key:zDnaeuF1ay4FUXnA9wSK3sJKGfdxJxDJU"
                                  "g3YRTseypYaY9kBX"));
    cbor_write_text(w, bytes_of("pol"));
    cbor_write_list(w, 0);
    write_tail(w);
}


static void
test_shapes(void)
{
    size_t          i;
    ucan_token_t    token;
    ucan_verdict_t  rc;

    static const struct {
        const char      *name;
        shape_t          shape;
        ucan_verdict_t   verdict;
    } cases[] = {
        { "a delegation",
          { "ucan/dlg@1.0.0", varsig, 7, write_delegation }, UCAN_OK },
        { "a delegation of the candidate",
          { "ucan/dlg@1.0.0-rc.1", varsig, 7, write_delegation }, UCAN_OK },
        { "an invocation",
          { "ucan/inv@1.0.0", varsig, 8, write_invocation }, UCAN_OK },
        { "a powerline",
          { "ucan/dlg@1.0.0", varsig, 7, write_powerline }, UCAN_OK },
        { "meta", { "ucan/dlg@1.0.0", varsig, 8, write_meta }, UCAN_OK },
        { "another version",
          { "ucan/dlg@1.0.1", varsig, 7, write_delegation },
          UCAN_UNSUPPORTED },
        { "no version",
          { "ucan/dlg@", varsig, 7, write_delegation }, UCAN_UNSUPPORTED },
        { "another kind",
          { "ucan/rvk@1.0.0", varsig, 7, write_delegation },
          UCAN_MALFORMED },
        { "a delegation that says it is an invocation",
          { "ucan/inv@1.0.0", varsig, 7, write_delegation },
          UCAN_MALFORMED },
        { "an invocation that says it is a delegation",
          { "ucan/dlg@1.0.0", varsig, 8, write_invocation },
          UCAN_MALFORMED },
        { "no policy",
          { "ucan/dlg@1.0.0", varsig, 6, write_no_policy },
          UCAN_MALFORMED },
        { "a policy that is none",
          { "ucan/dlg@1.0.0", varsig, 7, write_bad_policy },
          UCAN_MALFORMED },
        { "a member that we do not know",
          { "ucan/dlg@1.0.0", varsig, 8, write_unknown }, UCAN_MALFORMED },
        { "an expiry with a fraction",
          { "ucan/dlg@1.0.0", varsig, 7, write_float_expiry },
          UCAN_MALFORMED },
        { "the header of Ed25519 with a key of P-256",
          { "ucan/dlg@1.0.0", varsig, 7, write_foreign_key },
          UCAN_UNSUPPORTED },
        { "its own header",
          { "ucan/dlg@1.0.0", "\x34\x01\xec\x01\x80\x24\x12\x71", 7,
            write_foreign_key }, UCAN_OK },
        { "the header of P-256 with a key of Ed25519",
          { "ucan/dlg@1.0.0", "\x34\x01\xec\x01\x80\x24\x12\x71", 7,
            write_delegation }, UCAN_UNSUPPORTED },
        { "the header of secp256k1 with a key of P-256",
          { "ucan/dlg@1.0.0", "\x34\x01\xec\x01\xe7\x01\x12\x71", 7,
            write_foreign_key }, UCAN_UNSUPPORTED },
        { "a header of the drafts",
          { "ucan/dlg@1.0.0", "\x34\xed\x01\x71\x00\x00\x00\x00", 7,
            write_delegation }, UCAN_UNSUPPORTED },
        { "SHA-256 in the header",
          { "ucan/dlg@1.0.0", "\x34\x01\xed\x01\xed\x01\x12\x71", 7,
            write_delegation }, UCAN_UNSUPPORTED },
        { "DAG-JSON in the header",
          { "ucan/dlg@1.0.0", "\x34\x01\xed\x01\xed\x01\x13\x29", 7,
            write_delegation }, UCAN_UNSUPPORTED }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rc = ucan_envelope_decode(&token, shape(&cases[i].shape),
                                  &make_memory);

        if (!tap_ok(rc == cases[i].verdict, "%s: %s", cases[i].name,
                    ucan_verdict_slug(cases[i].verdict)))
        {
            printf("#   got: %s\n", ucan_verdict_slug(rc));
        }
    }
}


static void
test_round_trip(void)
{
    cid_t                   proofs[2];
    uint8_t                 small[64];
    bytes_t                 raw;
    ucan_token_t            token;
    bytes_writer_t          w;
    ucan_envelope_draft_t   draft;

    draft = make_draft("bob", "/room/send");
    draft.policy = make_policy(".room", "r_1");
    draft.exp = MAKE_NOW;
    draft.nbf = 3;
    raw = make_envelope("alice", &draft);

    tap_ok(ucan_envelope_decode(&token, raw, &make_memory) == UCAN_OK,
           "a delegation reads back");
    tap_ok(token.kind == UCAN_TOKEN_DELEGATION
           && bytes_equal(token.iss, make_did("alice"))
           && bytes_equal(token.aud, make_did("bob"))
           && bytes_equal(token.sub, make_did("mesh"))
           && bytes_equal_text(token.cmd, "/room/send")
           && bytes_equal_text(token.nonce, "nonce")
           && bytes_equal(token.policy, draft.policy)
           && token.exp == MAKE_NOW && token.nbf == 3, "with all it holds");
    tap_ok(ucan_token_verify(&token) == UCAN_OK, "and is signed");

    cid_of(&proofs[0], CID_DAG_CBOR, raw);
    cid_of(&proofs[1], CID_RAW, raw);

    draft = make_opening("alice");
    draft.aud = bytes_make(NULL, 0);
    draft.proofs = proofs;
    draft.proof_count = 2;
    raw = make_envelope("alice", &draft);

    tap_ok(ucan_envelope_decode(&token, raw, &make_memory) == UCAN_OK
           && token.kind == UCAN_TOKEN_INVOCATION, "so does an invocation");
    tap_ok(bytes_equal(token.aud, token.sub),
           "without an audience it is for its subject");
    tap_ok(token.proof_count == 1 && token.foreign
           && cid_equal(&token.proofs[0], &proofs[0]),
           "a proof by another kind of CID is noted");

    bytes_writer_open(&w, small, sizeof(small));
    tap_ok(ucan_envelope_encode(&draft, make_key("alice"), &w) == -1,
           "without room there is none");
}


/* Every type of key signs, in both tag versions, and nothing else passes. */
static void
test_other_keys(void)
{
    int                     good;
    size_t                  i, n;
    uint8_t                 buf[UCAN_ENVELOPE_DRAFT_MAX], small[700];
    bytes_t                 raw;
    ucan_token_t            token;
    bytes_writer_t          w;
    signature_signer_t      signer;
    ucan_envelope_draft_t   draft;

    static const struct {
        const char       *name;
        did_algorithm_t   algorithm;
    } cases[] = {
        { "Ed25519", DID_ED25519 },
        { "P-256", DID_P256 },
        { "secp256k1", DID_SECP256K1 },
        { "RSA", DID_RSA },
        { "P-384", DID_P384 },
        { "P-521", DID_P521 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {

        if (signature_signer_create(&signer, cases[i].algorithm, 2048) != 0) {
            tap_ok(0, "a key of %s is made", cases[i].name);
            continue;
        }

        draft = make_draft("bob", "/room");
        draft.final = i % 2;

        bytes_writer_open(&w, buf, sizeof(buf));
        good = ucan_envelope_encode_by(&draft, &signer, &w) == 0;
        raw = bytes_writer_view(&w);

        tap_ok(good
               && ucan_envelope_decode(&token, raw, &make_memory) == UCAN_OK
               && bytes_equal(token.iss, signature_signer_did(&signer))
               && ucan_token_verify(&token) == UCAN_OK,
               "a delegation by a key of %s reads back and is signed",
               cases[i].name);
        tap_ok((memmem(raw.data, raw.len, "ucan/dlg@1.0.0-rc.1", 19) == NULL)
               == (i % 2), "under the tag version asked for");

        good = 0;

        for (n = 0; n < raw.len; n += 7) {
            buf[n] ^= 0x10;
            good += ucan_envelope_decode(&token, raw, &make_memory)
                    == UCAN_OK && ucan_token_verify(&token) == UCAN_OK;
            buf[n] ^= 0x10;
        }

        tap_ok(good == 0, "and not with a bit turned");

        for (n = 0; n < raw.len && n < sizeof(small); n += 13) {
            bytes_writer_open(&w, small, n);
            good += ucan_envelope_encode_by(&draft, &signer, &w) == 0;
        }

        tap_ok(good == 0, "nor made without room");

        signature_signer_destroy(&signer);
    }
}


static void
test_cut(void)
{
    size_t          i;
    bytes_t         raw;
    uint8_t        *longer;
    unsigned        accepted;
    ucan_token_t    token;
    ucan_memory_t  *memory;

    memory = &make_memory;
    raw = make_delegation("alice", "bob", "/room");
    accepted = 0;

    for (i = 0; i < raw.len; i++) {
        accepted += ucan_envelope_decode(&token, bytes_make(raw.data, i),
                                         memory) == UCAN_OK;
    }

    tap_ok(accepted == 0, "no beginning of an envelope is one");

    longer = make_alloc(NULL, raw.len + 1);
    memcpy(longer, raw.data, raw.len);
    longer[raw.len] = 0xf6;

    tap_ok(ucan_envelope_decode(&token, bytes_make(longer, raw.len + 1),
                                memory) == UCAN_MALFORMED,
           "nor is a longer one");

    accepted = 0;

    for (i = 0; i < raw.len; i++) {
        longer[i] ^= 0x01;
        accepted += ucan_envelope_decode(&token, bytes_make(longer, raw.len),
                                         memory) == UCAN_OK
                    && ucan_token_verify(&token) == UCAN_OK;
        longer[i] ^= 0x01;
    }

    tap_ok(accepted == 0, "nor one with a bit turned anywhere");
}


static void
test_no_memory(void)
{
    cid_t                   proof;
    bytes_t                 raw;
    ucan_token_t            token;
    ucan_envelope_draft_t   draft;

    cid_of(&proof, CID_DAG_CBOR, bytes_of("x"));

    draft = make_opening("alice");
    draft.proofs = &proof;
    draft.proof_count = 1;
    raw = make_envelope("alice", &draft);

    make_arena.fail_after = make_arena.count;
    tap_ok(ucan_envelope_decode(&token, raw, &make_memory)
           == UCAN_NO_MEMORY, "without memory it says so");
    make_arena.fail_after = 0;
}


static void
test_limits(void)
{
    size_t                  i;
    cid_t                   proofs[UCAN_TOKEN_PROOFS_MAX + 1];
    bytes_t                 raw;
    ucan_token_t            token;
    ucan_envelope_draft_t   draft;

    static uint8_t  large[UCAN_TOKEN_BYTES_MAX + 1];

    tap_ok(ucan_envelope_decode(&token, bytes_make(large, sizeof(large)),
                                &make_memory) == UCAN_TOO_LARGE,
           "an envelope has a largest size");

    for (i = 0; i < UCAN_TOKEN_PROOFS_MAX + 1; i++) {
        cid_of(&proofs[i], CID_DAG_CBOR, bytes_make(&i, sizeof(i)));
    }

    draft = make_opening("alice");
    draft.proofs = proofs;
    draft.proof_count = UCAN_TOKEN_PROOFS_MAX;
    raw = make_envelope("alice", &draft);
    tap_ok(ucan_envelope_decode(&token, raw, &make_memory) == UCAN_OK,
           "as many proofs as the limit");

    draft.proof_count++;
    raw = make_envelope("alice", &draft);
    tap_ok(ucan_envelope_decode(&token, raw, &make_memory)
           == UCAN_TOO_LARGE, "and not one more");
}


int
main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }

    test_shapes();
    test_round_trip();
    test_other_keys();
    test_cut();
    test_no_memory();
    test_limits();

    return tap_done();
}
