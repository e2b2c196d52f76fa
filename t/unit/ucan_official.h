/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The published fixtures of others, each file with a form of its own: the
 * second half of ucan_vectors.c, which alone includes this.
 */


#ifndef _UCAN_OFFICIAL_H_INCLUDED_
#define _UCAN_OFFICIAL_H_INCLUDED_


#include <dirent.h>
#include <sys/stat.h>

#include "ucan_walk.h"


#define OFFICIAL_NOW       1800000000


static int
ends_with(const char *name, const char *tail)
{
    size_t  n, m;

    n = strlen(name);
    m = strlen(tail);

    return n >= m && strcmp(name + n - m, tail) == 0;
}


static void
run_policies(const char *file, json_t *list, int expected)
{
    int       holds;
    size_t    i, j, work;
    json_t   *item, *one;
    bytes_t   policy, args;

    json_array_foreach(list, i, item) {
        json_array_foreach(json_object_get(item, "policies"), j, one) {
            make_reset();

            policy = encode_value(one);
            args = encode_value(json_object_get(item, "args"));
            work = 1024 * 1024;

            holds = ucan_policy_validate(policy) == 0
                    && ucan_policy_match(policy, args, &work);

            tap_ok(holds == expected, "%s: %s %zu.%zu", file,
                   expected ? "valid" : "invalid", i, j);
        }
    }
}


static bytes_t
bytes_member(json_t *object)
{
    return decode_base64(BASE64_STD_RAW,
                         text_of(json_object_get(object, "/"), "bytes"));
}


static void
run_invocations(const char *file, json_t *list, int expected)
{
    size_t           i, n;
    json_t          *item, *proof;
    bytes_t          tokens[64];
    ucan_trust_t     trust;
    ucan_chain_t     chain;
    ucan_bundle_t    bundle;
    ucan_verdict_t   rc;

    json_array_foreach(list, i, item) {
        make_reset();

        tokens[0] = bytes_member(json_object_get(item, "invocation"));

        json_array_foreach(json_object_get(item, "proofs"), n, proof) {
            tokens[n + 1] = bytes_member(proof);
        }

        memset(&trust, 0, sizeof(trust));
        ucan_limits_init(&trust.limits);
        trust.session_max = 86400;

        rc = ucan_bundle_parse_envelopes(&bundle, tokens, n + 1,
                                         &trust.limits, &make_memory);

        if (rc == UCAN_OK && bundle.top != NULL) {
            trust.audiences = &bundle.top->aud;
            trust.audience_count = 1;
            trust.anchors = &bundle.top->sub;
            trust.anchor_count = 1;
        }

        if (rc == UCAN_OK) {
            rc = ucan_chain_open(&chain, &bundle, &trust,
                                 number_of(item, "time", 0));
        }

        if (!tap_ok((rc == UCAN_OK) == expected, "%s: %s is %s", file,
                    json_string_value(json_object_get(item, "name")),
                    expected ? "accepted" : "refused"))
        {
            printf("#   verdict: %s\n", ucan_verdict_slug(rc));
        }
    }
}


/* The seed behind varint(0x1300), in base64. */
static int
open_principal(json_t *principals, const char *name, signature_key_t *key)
{
    bytes_t  b;

    b = decode_base64(BASE64_STD, text_of(principals, name));

    if (b.len != 2 + SIGNATURE_SEED_LEN) {
        return -1;
    }

    signature_key_open(key, b.data + 2);

    return 0;
}


/* Decodes as published; and where the tag is ours, the same content signed
   by the same key is the same bytes. */
static void
run_delegations(const char *file, json_t *root)
{
    size_t                  i;
    json_t                 *item, *payload;
    uint8_t                 buf[4096];
    bytes_t                 raw;
    cid_t                   cid;
    ucan_token_t            token;
    bytes_writer_t          w;
    signature_key_t         key;
    ucan_envelope_draft_t   draft;

    json_array_foreach(json_object_get(root, "valid"), i, item) {
        make_reset();

        raw = decode_base64(BASE64_STD, text_of(item, "token"));
        payload = json_object_get(json_object_get(item, "envelope"),
                                  "payload");

        tap_ok(ucan_envelope_decode(&token, raw, &make_memory) == UCAN_OK
               && ucan_token_verify(&token) == UCAN_OK,
               "%s: %zu decodes and is signed", file, i);
        tap_ok(cid_parse(&cid, text_of(item, "cid")) == 0
               && cid_equal(&cid, &token.cid), "%s: %zu has its CID", file,
               i);
        tap_ok(bytes_equal(token.iss, text_of(payload, "iss"))
               && bytes_equal(token.aud, text_of(payload, "aud"))
               && bytes_equal(token.sub, text_of(payload, "sub"))
               && bytes_equal(token.cmd, text_of(payload, "cmd"))
               && token.exp == number_of(payload, "exp", -1),
               "%s: %zu says what it should", file, i);

        memset(&draft, 0, sizeof(draft));
        draft.aud = token.aud;
        draft.sub = token.sub;
        draft.cmd = token.cmd;
        draft.nonce = token.nonce;
        draft.exp = token.exp;
        draft.nbf = -1;

        bytes_writer_open(&w, buf, sizeof(buf));

        if (bytes_equal_text(text_of(root, "version"), "1.0.0-rc.1")) {
            tap_ok(open_principal(json_object_get(root, "principals"), "bob",
                                  &key) == 0
                   && ucan_envelope_encode(&draft, &key, &w) == 0
                   && bytes_equal(bytes_writer_view(&w), raw),
                   "%s: %zu comes out of our encoder", file, i);
        }
    }
}


/* All proofs that the token names are there, fit and are good themselves. */
static ucan_verdict_t
check_proofs(ucan_bundle_t *bundle, ucan_token_t *token, int64_t now)
{
    size_t           i;
    ucan_walk_t      walk;
    ucan_trust_t     trust;
    ucan_token_t    *proof;
    ucan_verdict_t   rc;

    memset(&trust, 0, sizeof(trust));

    ucan_walk_open(&walk, bundle, &trust, now);

    rc = ucan_walk_admit(&walk, token);

    if (rc == UCAN_OK && token->foreign) {
        rc = UCAN_NO_PROOF;
    }

    for (i = 0; rc == UCAN_OK && i < token->proof_count; i++) {

        proof = ucan_bundle_find(bundle, &token->proofs[i]);
        rc = (proof != NULL) ? ucan_walk_jwt_link(token, proof)
                             : UCAN_NO_PROOF;

        if (rc == UCAN_OK) {
            rc = check_proofs(bundle, proof, now);
        }
    }

    return rc;
}


/* Every capability of the top is proven, from those that issue without
   proofs. */
static ucan_verdict_t
check_capabilities(ucan_bundle_t *bundle, int64_t now)
{
    size_t             i;
    bytes_t            anchors[UCAN_TOKEN_COUNT_MAX];
    ucan_trust_t       trust;
    ucan_chain_t       chain;
    ucan_verdict_t     rc;
    ucan_token_cap_t  *cap;

    if (bundle->top->capability_count == 0) {
        return UCAN_OK;
    }

    memset(&trust, 0, sizeof(trust));
    ucan_limits_init(&trust.limits);

    trust.audiences = &bundle->top->aud;
    trust.audience_count = 1;
    trust.anchors = anchors;
    trust.session_max = -1;

    for (i = 0; i < bundle->count; i++) {
        if (bundle->tokens[i].proof_count == 0) {
            anchors[trust.anchor_count++] = bundle->tokens[i].iss;
        }
    }

    rc = ucan_chain_open(&chain, bundle, &trust, now);

    for (i = 0; rc == UCAN_OK && i < bundle->top->capability_count; i++) {
        cap = &bundle->top->capabilities[i];
        rc = ucan_chain_allow_resource(&chain, cap->with, cap->can,
                                       cap->caveat, now);
    }

    return rc;
}


/* One fixture narrows the list inside a caveat, as its author's resource
   understands it; here the value of a field is one thing (reference 4). */
static int
chosen(json_t *item)
{
    return bytes_equal_text(text_of(item, "name"),
                            "UCAN capability attenuates existing caveats");
}


static void
run_conformance(const char *file, json_t *root, int expected)
{
    size_t           i, n;
    json_t          *item, *proof;
    bytes_t          list[64];
    const char      *key;
    ucan_limits_t    limits;
    ucan_bundle_t    bundle;
    ucan_verdict_t   rc;

    ucan_limits_init(&limits);

    json_array_foreach(root, i, item) {
        make_reset();

        n = 0;

        json_object_foreach(json_object_get(json_object_get(item, "inputs"),
                                            "proofs"), key, proof)
        {
            list[n++] = bytes_of(json_string_value(proof));
        }

        list[n] = bytes_make(NULL, 0);

        rc = ucan_bundle_parse(&bundle,
                               text_of(json_object_get(item, "inputs"),
                                       "token"),
                               make_header(list), &limits, &make_memory);

        if (rc == UCAN_OK) {
            rc = check_proofs(&bundle, bundle.top, OFFICIAL_NOW);
        }

        if (rc == UCAN_OK) {
            rc = check_capabilities(&bundle, OFFICIAL_NOW);
        }

        if (chosen(item) && rc == UCAN_WIDENED) {
            tap_skip("a choice",
                     json_string_value(json_object_get(item, "name")));
            continue;
        }

        if (!tap_ok((rc == UCAN_OK) == expected, "%s: %s", file,
                    json_string_value(json_object_get(item, "name"))))
        {
            printf("#   verdict: %s\n", ucan_verdict_slug(rc));
        }
    }
}


/* What others built verifies and says what it was built from. */
static void
run_builds(const char *file, json_t *root)
{
    size_t           i;
    json_t          *item, *inputs;
    bytes_t          key;
    ucan_token_t     token;
    ucan_verdict_t   rc;
    signature_key_t  issuer;

    json_array_foreach(root, i, item) {
        make_reset();

        inputs = json_object_get(item, "inputs");
        key = decode_base64(BASE64_STD, text_of(inputs,
                                                "issuer_base64_key"));
        rc = ucan_jwt_decode(&token, text_of(json_object_get(item, "outputs"),
                                             "token"), NULL, &make_memory);

        tap_ok(rc == UCAN_OK && ucan_token_verify(&token) == UCAN_OK,
               "%s: %s: verifies", file,
               json_string_value(json_object_get(item, "name")));

        if (rc != UCAN_OK || key.len < SIGNATURE_SEED_LEN) {
            continue;
        }

        signature_key_open(&issuer, key.data);

        tap_ok(bytes_equal(token.iss, bytes_make(issuer.did,
                                                 sizeof(issuer.did)))
               && bytes_equal(token.aud, text_of(inputs, "audience"))
               && token.has_exp == json_is_integer(
                                       json_object_get(inputs, "expiration"))
               && token.exp == number_of(inputs, "expiration", 0)
               && token.nbf == number_of(inputs, "not_before", 0)
               && (token.capability_count != 0)
                  == (json_object_size(json_object_get(inputs,
                                                       "capabilities"))
                      != 0),
               "%s: %s: says what it should", file,
               json_string_value(json_object_get(item, "name")));
    }
}


static void
run_cids(const char *file, json_t *root)
{
    size_t          i;
    json_t         *item;
    cid_t           cid;
    uint8_t         buf[CID_TEXT_LEN];
    bytes_writer_t  w;

    json_array_foreach(root, i, item) {

        if (!bytes_equal_text(text_of(json_object_get(item, "inputs"),
                                      "hasher"), "SHA2-256"))
        {
            tap_skip("sha2-256 is the one hash of ours",
                     json_string_value(json_object_get(item, "name")));
            continue;
        }

        cid_of(&cid, CID_RAW, text_of(json_object_get(item, "inputs"),
                                      "token"));
        bytes_writer_open(&w, buf, sizeof(buf));
        cid_write(&cid, &w);

        tap_ok(bytes_equal(bytes_writer_view(&w),
                           text_of(json_object_get(item, "outputs"), "cid")),
               "%s: %s", file,
               json_string_value(json_object_get(item, "name")));
    }
}


/* Within the windows of all tokens of the bundle, if that can be. */
static int64_t
time_for(const ucan_bundle_t *bundle)
{
    size_t   i;
    int64_t  now;

    now = OFFICIAL_NOW;

    for (i = 0; i < bundle->count; i++) {
        if (bundle->tokens[i].has_nbf && bundle->tokens[i].nbf > now) {
            now = bundle->tokens[i].nbf;
        }
    }

    return now;
}


/*
 * Tokens of 0.8.1 by themselves: form, signatures, times, proofs that fit and
 * the capabilities.  The clock of those that are good is theirs: some begin
 * in a hundred years.
 */

static void
run_old(const char *file, json_t *root, int expected)
{
    size_t           i;
    json_t          *item;
    int64_t          now;
    ucan_limits_t    limits;
    ucan_bundle_t    bundle;
    ucan_verdict_t   rc;

    ucan_limits_init(&limits);

    json_array_foreach(root, i, item) {
        make_reset();

        rc = ucan_bundle_parse(&bundle, text_of(item, "token"),
                               bytes_make(NULL, 0), &limits, &make_memory);

        now = expected ? time_for(&bundle) : OFFICIAL_NOW;

        if (rc == UCAN_OK) {
            rc = check_proofs(&bundle, bundle.top, now);
        }

        if (rc == UCAN_OK) {
            rc = check_capabilities(&bundle, now);
        }

        if (!tap_ok((rc == UCAN_OK) == expected, "%s: %s is %s", file,
                    json_string_value(json_object_get(item, "comment")),
                    expected ? "accepted" : "refused"))
        {
            printf("#   verdict: %s\n", ucan_verdict_slug(rc));
        }
    }
}


typedef enum {
    OFFICIAL_UNKNOWN = 0,
    OFFICIAL_VERIFY,
    OFFICIAL_REFUTE,
    OFFICIAL_BUILD,
    OFFICIAL_CID,
    OFFICIAL_OLD_VALID,
    OFFICIAL_OLD_INVALID,
    OFFICIAL_DELEGATION,
    OFFICIAL_INVOCATION,
    OFFICIAL_POLICY
} official_type_t;


static const struct {
    const char       *tail;
    official_type_t   type;
} official_types[] = {
    { "-0.10.0-verify.json", OFFICIAL_VERIFY },
    { "-0.10.0-refute.json", OFFICIAL_REFUTE },
    { "-0.10.0-build.json",  OFFICIAL_BUILD },
    { "-0.10.0-cid.json",    OFFICIAL_CID },
    { "-0.8.1-valid.json",   OFFICIAL_OLD_VALID },
    { "-0.8.1-invalid.json", OFFICIAL_OLD_INVALID },
    { "delegation.json",     OFFICIAL_DELEGATION },
    { "invocation.json",     OFFICIAL_INVOCATION },
    { "policy.json",         OFFICIAL_POLICY }
};


/* A fixture is told by how its name ends; OFFICIAL_UNKNOWN: by no such. */
static official_type_t
known_official(const char *name)
{
    size_t  i;

    for (i = 0; i < sizeof(official_types) / sizeof(official_types[0]); i++) {
        if (ends_with(name, official_types[i].tail)) {
            return official_types[i].type;
        }
    }

    return OFFICIAL_UNKNOWN;
}


static int
is_folder(const char *path)
{
    struct stat  st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}


static void
run_official(const char *folder, const char *name)
{
    json_t  *root;

    root = load_json(folder, name);

    if (root == NULL) {
        return;
    }

    switch (known_official(name)) {

    case OFFICIAL_VERIFY:
        run_conformance(name, root, 1);
        break;

    case OFFICIAL_REFUTE:
        run_conformance(name, root, 0);
        break;

    case OFFICIAL_BUILD:
        run_builds(name, root);
        break;

    case OFFICIAL_CID:
        run_cids(name, root);
        break;

    case OFFICIAL_OLD_VALID:
        run_old(name, root, 1);
        break;

    case OFFICIAL_OLD_INVALID:
        run_old(name, root, 0);
        break;

    case OFFICIAL_DELEGATION:
        run_delegations(name, root);
        break;

    case OFFICIAL_INVOCATION:
        run_invocations(name, json_object_get(root, "valid"), 1);
        run_invocations(name, json_object_get(root, "invalid"), 0);
        break;

    default:
        run_policies(name, json_object_get(root, "valid"), 1);
        run_policies(name, json_object_get(root, "invalid"), 0);
        break;
    }

    json_decref(root);
}


/* Six forms, each of ten delegations; their signatures are of an older
   varsig, so it ends with the form of the envelopes. */
static void
run_forms(const char *folder)
{
    char            path[VECTORS_PATH_MAX];
    FILE           *file;
    size_t          i, j, count, len;
    uint8_t        *buf;
    bytes_t        *list;
    cbor_item_t     item;
    ucan_limits_t   limits;
    ucan_verdict_t  rc;

    static const char *const  names[] = {
        "Bytes", "BytesGzipped", "Base64StdPadding",
        "Base64StdPaddingGzipped", "Base64URL", "Base64URLGzipped"
    };

    make_reset();
    ucan_limits_init(&limits);

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {

        snprintf(path, sizeof(path), "%.2000s/%s", folder, names[i]);

        buf = make_alloc(NULL, UCAN_TOKEN_BYTES_MAX);
        file = fopen(path, "rb");
        len = (file != NULL) ? fread(buf, 1, UCAN_TOKEN_BYTES_MAX, file) : 0;

        if (file != NULL) {
            fclose(file);
        }

        rc = ucan_container_decode(bytes_make(buf, len), &list, &count,
                                   &limits, &make_memory);

        for (j = 0; rc == UCAN_OK && j < count; j++) {
            if (cbor_read(list[j], &item) != 0 || item.count != 2) {
                break;
            }
        }

        tap_ok(rc == UCAN_OK && count == 10 && j == count,
               "container/%s holds ten envelopes", names[i]);
    }
}


#endif /* _UCAN_OFFICIAL_H_INCLUDED_ */
