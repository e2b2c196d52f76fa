/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Runs a folder of UCAN test vectors (the format is in its README) through
 * the code that nginx runs, and prints TAP: one line for each case, named by
 * its file and id.  Files are told apart by their "family", fixtures of
 * others by their name.
 *
 *     ucan_vectors FOLDER
 *
 * An optional case that is answered the other way is skipped as a choice.
 */


#include <jansson.h>

#include "base64.h"
#include "tap.h"
#include "ucan_make.h"
#include "ucan_policy.h"


#define VECTORS_PATH_MAX    4096
#define VECTORS_SIGNATURES  UCAN_TOKEN_COUNT_MAX


/* The case that runs, for the revocation callback. */
static struct {
    json_t         *object;
    ucan_bundle_t  *bundle;
} vectors_case;


static bytes_t
text_of(json_t *object, const char *key)
{
    json_t  *value;

    value = json_object_get(object, key);

    return json_is_string(value)
           ? bytes_make(json_string_value(value), json_string_length(value))
           : bytes_make(NULL, 0);
}


static int64_t
number_of(json_t *object, const char *key, int64_t fallback)
{
    json_t  *value;

    value = json_object_get(object, key);

    return json_is_integer(value) ? json_integer_value(value) : fallback;
}


/* Decodes into the arena; an empty view when it is not of that form. */
static bytes_t
decode_base64(base64_form_t form, bytes_t text)
{
    void            *buf;
    bytes_writer_t   w;

    buf = make_alloc(NULL, base64_decoded_max(text.len));

    if (buf == NULL) {
        return bytes_make(NULL, 0);
    }

    bytes_writer_open(&w, buf, base64_decoded_max(text.len));

    return (base64_decode(form, text, &w) == 0) ? bytes_writer_view(&w)
                                                : bytes_make(NULL, 0);
}


static bytes_t
decode_hex(bytes_t text)
{
    size_t    len;
    uint8_t  *buf;

    buf = make_alloc(NULL, text.len / 2 + 1);

    if (buf == NULL
        || sodium_hex2bin(buf, text.len / 2, (const char *) text.data,
                          text.len, NULL, &len, NULL)
           != 0)
    {
        return bytes_make(NULL, 0);
    }

    return bytes_make(buf, len);
}


static json_t *
load_json(const char *folder, const char *name)
{
    char          path[VECTORS_PATH_MAX];
    json_t       *root;
    json_error_t  error;

    snprintf(path, sizeof(path), "%s/%s", folder, name);

    root = json_load_file(path, 0, &error);

    if (root == NULL) {
        tap_ok(0, "%s is readable (%s)", name, error.text);
    }

    return root;
}


/* States what came out against what the case expects. */
static void
report(const char *file, json_t *object, int accepted, const char *why)
{
    int          expected;
    char         name[256];
    const char  *id;

    id = json_string_value(json_object_get(object, "id"));
    snprintf(name, sizeof(name), "%s: %s", file, id != NULL ? id : "?");

    expected = bytes_equal_text(text_of(object, "expect"), "accept");

    if (expected != accepted
        && json_is_true(json_object_get(object, "optional")))
    {
        tap_skip("a choice", name);
        return;
    }

    if (!tap_ok(expected == accepted, "%s is %s", name,
                expected ? "accepted" : "refused"))
    {
        printf("#   it was %s: %s\n", accepted ? "accepted" : "refused",
               why);
    }
}


static ucan_limits_t
limits_of(json_t *object)
{
    json_t         *limits;
    ucan_limits_t   out;

    limits = json_object_get(object, "limits");

    ucan_limits_init(&out);

    /* the vectors bound each token, a request bounds the sum */

    out.bytes_max = (1 + json_array_size(json_object_get(object, "proofs")))
                    * (size_t) number_of(limits, "max_token_bytes",
                                         4 * UCAN_TOKEN_INFLATED_MAX);
    out.count_max = (size_t) number_of(limits, "max_tokens",
                                       UCAN_TOKEN_COUNT_MAX);
    out.depth_max = (size_t) number_of(limits, "max_depth",
                                       UCAN_TOKEN_DEPTH_MAX);
    out.inflated_max = (size_t) number_of(limits, "max_inflated_bytes",
                                          UCAN_TOKEN_INFLATED_MAX);

    return out;
}


/* Is "did" the issuer of the token, or of one that its proofs lead to? */
static int
issued_above(const ucan_token_t *token, bytes_t did, unsigned depth)
{
    size_t               i;
    const ucan_token_t  *proof;

    if (bytes_equal(token->iss, did)) {
        return 1;
    }

    for (i = 0; depth < UCAN_TOKEN_DEPTH_MAX && i < token->proof_count; i++) {
        proof = ucan_bundle_find(vectors_case.bundle, &token->proofs[i]);

        if (proof != NULL && issued_above(proof, did, depth + 1)) {
            return 1;
        }
    }

    return 0;
}


/* A record of 0.10 (reference 7): a signature over "REVOKE:" and the CID. */
static int
revoked_by_record(json_t *record, const cid_t *cid)
{
    char           message[128];
    bytes_t        text, sig;
    cid_t          gone;
    did_key_t      key;
    ucan_token_t  *token;

    text = text_of(record, "revoke");
    sig = decode_base64(BASE64_URL, text_of(record, "challenge"));
    token = ucan_bundle_find(vectors_case.bundle, cid);

    if (token == NULL
        || cid_parse(&gone, text) != 0
        || !cid_equal(&gone, cid)
        || did_parse(text_of(record, "iss"), &key) != 0)
    {
        return 0;
    }

    snprintf(message, sizeof(message), "REVOKE:%.*s", (int) text.len,
             (const char *) text.data);

    return signature_verify(&key, bytes_of(message), sig)
           && issued_above(token, text_of(record, "iss"), 0);
}


/* An invocation of "/ucan/revoke" by a delegator of the chain. */
static int
revoked_by_invocation(bytes_t raw, const cid_t *cid)
{
    size_t         i;
    cid_t          gone;
    cbor_item_t    map, link;
    ucan_token_t   revocation, *token;

    if (ucan_envelope_decode(&revocation, raw, &make_memory) != UCAN_OK
        || !bytes_equal_text(revocation.cmd, "/ucan/revoke")
        || cbor_read(revocation.args, &map) != 0
        || (cbor_map_find(&map, bytes_of("revoke"), &link) != 0
            && cbor_map_find(&map, bytes_of("ucan"), &link) != 0)
        || link.type != CBOR_LINK
        || cid_parse_binary(&gone, link.bytes) != 0
        || !cid_equal(&gone, cid)
        || ucan_token_verify(&revocation) != UCAN_OK)
    {
        return 0;
    }

    for (i = 0; i < vectors_case.bundle->count; i++) {
        token = &vectors_case.bundle->tokens[i];

        if (token->kind == UCAN_TOKEN_DELEGATION
            && bytes_equal(token->iss, revocation.iss))
        {
            return 1;
        }
    }

    return 0;
}


static ucan_revoked_t
match_revoked(void *data, const cid_t *cid)
{
    size_t   i;
    cid_t    seen;
    json_t  *item;

    (void) data;

    json_array_foreach(json_object_get(vectors_case.object, "revocations"),
                       i, item)
    {
        if (json_is_object(item)
            ? revoked_by_record(item, cid)
            : revoked_by_invocation(
                  decode_base64(BASE64_STD,
                                bytes_of(json_string_value(item))), cid))
        {
            return UCAN_REVOKED_ALL;
        }
    }

    json_array_foreach(json_object_get(vectors_case.object, "seen"), i, item)
    {
        if (cid_parse(&seen, bytes_of(json_string_value(item))) == 0
            && cid_equal(&seen, cid))
        {
            return UCAN_REVOKED_ALL;
        }
    }

    return UCAN_REVOKED_NOT;
}


static unsigned
count_checked(const ucan_bundle_t *bundle)
{
    size_t    i;
    unsigned  n;

    n = 0;

    for (i = 0; i < bundle->count; i++) {
        n += bundle->tokens[i].seal != UCAN_TOKEN_UNCHECKED;
    }

    return n;
}


static void
run_jwt(const char *file, json_t *object)
{
    char            *facts;
    size_t           i;
    json_t          *proof, *required;
    bytes_t         *list, audience, root, header, token;
    ucan_trust_t     trust;
    ucan_chain_t     chain;
    ucan_bundle_t    bundle;
    ucan_verdict_t   rc;

    make_reset();

    token = text_of(object, "token");

    list = make_alloc(NULL, (json_array_size(json_object_get(object,
                                                             "proofs"))
                             + 1) * sizeof(bytes_t));
    if (list == NULL) {
        abort();
    }

    json_array_foreach(json_object_get(object, "proofs"), i, proof) {
        list[i] = bytes_of(json_string_value(proof));
    }

    list[i] = bytes_make(NULL, 0);
    header = make_header(list);

    audience = text_of(object, "audience");
    root = text_of(object, "root");

    memset(&trust, 0, sizeof(trust));
    trust.audiences = &audience;
    trust.audience_count = 1;
    trust.anchors = &root;
    trust.anchor_count = 1;
    trust.limits = limits_of(object);
    trust.leeway = number_of(object, "leeway", 0);
    trust.session_max = -1;
    trust.revoked = match_revoked;

    vectors_case.object = object;
    vectors_case.bundle = &bundle;

    required = json_object_get(object, "required");
    facts = json_dumps(json_object_get(required, "nb"), 0);

    rc = ucan_bundle_parse(&bundle, token, header, &trust.limits,
                           &make_memory);

    if (rc == UCAN_OK) {
        rc = ucan_chain_open(&chain, &bundle, &trust,
                             number_of(object, "now", 0));
    }

    if (rc == UCAN_OK) {
        rc = ucan_chain_allow_resource(&chain, text_of(required, "with"),
                                       text_of(required, "can"),
                                       bytes_of(facts != NULL ? facts : ""),
                                       number_of(object, "now", 0));
    }

    free(facts);

    if (count_checked(&bundle)
        > number_of(json_object_get(object, "limits"),
                    "max_signature_checks", VECTORS_SIGNATURES))
    {
        rc = UCAN_NO_MEMORY;
    }

    report(file, object, rc == UCAN_OK, ucan_verdict_slug(rc));
}


static void
run_v1(const char *file, json_t *object)
{
    size_t           i;
    json_t          *item, *required;
    bytes_t          audience, subjects[16], none;
    ucan_trust_t     trust;
    ucan_chain_t     chain;
    ucan_bundle_t    bundle;
    ucan_request_t   request;
    ucan_verdict_t   rc;

    make_reset();

    memset(&trust, 0, sizeof(trust));

    json_array_foreach(json_object_get(object, "subjects"), i, item) {
        subjects[i] = bytes_of(json_string_value(item));
        trust.anchor_count++;
    }

    audience = text_of(object, "audience");

    trust.audiences = &audience;
    trust.audience_count = 1;
    trust.anchors = subjects;
    trust.limits = limits_of(object);
    trust.leeway = number_of(object, "leeway", 0);
    trust.session_max = 86400;
    trust.revoked = match_revoked;

    vectors_case.object = object;
    vectors_case.bundle = &bundle;

    required = json_object_get(object, "required");

    memset(&request, 0, sizeof(request));
    request.command = text_of(required, "cmd");

    none = bytes_make(NULL, 0);

    rc = ucan_bundle_parse(&bundle, text_of(object, "container"), none,
                           &trust.limits, &make_memory);

    if (rc == UCAN_OK) {
        rc = ucan_chain_open(&chain, &bundle, &trust,
                             number_of(object, "now", 0));
    }

    if (rc == UCAN_OK) {
        rc = ucan_chain_require(&chain, &request, NULL,
                                number_of(object, "now", 0));
    }

    if (rc == UCAN_OK
        && !bytes_equal(chain.root, text_of(required, "sub")))
    {
        rc = UCAN_WRONG_SUBJECT;
    }

    report(file, object, rc == UCAN_OK, ucan_verdict_slug(rc));
}


static void
run_did(const char *file, json_t *object)
{
    int             accepted;
    bytes_t         key, alg;
    uint8_t         buf[DID_TEXT_MAX];
    did_key_t       did;
    bytes_writer_t  w;

    make_reset();

    accepted = did_parse(text_of(object, "did"), &did) == 0
               && signature_key_valid(&did);

    key = decode_hex(text_of(object, "public_key_hex"));

    if (accepted && key.len != 0) {
        accepted = bytes_equal(key, bytes_make(did.key, did.len));
    }

    alg = text_of(object, "jwt_alg");

    if (accepted && alg.len != 0) {
        accepted = bytes_equal_text(alg, signature_jwt_name(did.algorithm));
    }

    if (accepted) {
        bytes_writer_open(&w, buf, sizeof(buf));
        accepted = did_write(&did, &w) == 0
                   && bytes_equal(bytes_writer_view(&w),
                                  text_of(object, "did"));
    }

    report(file, object, accepted, "the key");
}


static void
run_container(const char *file, json_t *object)
{
    size_t          count;
    bytes_t        *list;
    ucan_limits_t   limits;
    ucan_verdict_t  rc;

    make_reset();

    limits = limits_of(object);

    rc = ucan_container_decode(text_of(object, "header"), &list, &count,
                               &limits, &make_memory);

    if (rc == UCAN_OK
        && (int64_t) count != number_of(object, "tokens", (int64_t) count))
    {
        rc = UCAN_MALFORMED;
    }

    report(file, object, rc == UCAN_OK, ucan_verdict_slug(rc));
}


static void
run_policy(const char *file, json_t *object)
{
    int          holds;
    char         name[256];
    size_t       work;
    json_t      *expect;
    bytes_t      policy, args;
    const char  *result, *wanted;

    make_reset();

    policy = decode_hex(text_of(object, "policy_cbor_hex"));
    args = decode_hex(text_of(object, "args_cbor_hex"));
    expect = json_object_get(object, "expect");

    wanted = json_is_string(expect) ? json_string_value(expect)
                                    : json_is_true(expect) ? "true" : "false";

    work = 1024 * 1024;
    holds = 0;
    result = "invalid";

    if (ucan_policy_validate(policy) == 0) {
        holds = ucan_policy_match(policy, args, &work);
        result = holds ? "true" : "false";
    }

    snprintf(name, sizeof(name), "%s: %s", file,
             json_string_value(json_object_get(object, "id")));

    if (strcmp(result, wanted) != 0
        && json_is_true(json_object_get(object, "optional")))
    {
        tap_skip("a choice", name);
        return;
    }

    if (!tap_ok(strcmp(result, wanted) == 0, "%s is %s", name, wanted)) {
        printf("#   it was %s\n", result);
    }
}


#include "ucan_official.h"


static const struct {
    const char  *family;
    void       (*run)(const char *file, json_t *object);
} vectors_families[] = {
    { "jwt",       run_jwt },
    { "v1",        run_v1 },
    { "did",       run_did },
    { "container", run_container },
    { "policy",    run_policy }
};


static void
run_file(const char *folder, const char *name)
{
    size_t   i, n;
    json_t  *root, *item;

    root = load_json(folder, name);

    for (i = 0; i < sizeof(vectors_families) / sizeof(vectors_families[0]);
         i++)
    {
        if (!bytes_equal_text(text_of(root, "family"),
                              vectors_families[i].family))
        {
            continue;
        }

        json_array_foreach(json_object_get(root, "cases"), n, item) {
            vectors_families[i].run(name, item);
        }

        json_decref(root);

        return;
    }

    if (root != NULL) {
        tap_ok(0, "%s: there is a runner for its family", name);
    }

    json_decref(root);
}


static void
run_folder(const char *folder, void (*run)(const char *, const char *))
{
    int              i, n;
    struct dirent  **list;

    n = scandir(folder, &list, NULL, alphasort);

    if (n < 0) {
        tap_ok(0, "%s is readable", folder);
        return;
    }

    for (i = 0; i < n; i++) {
        if (ends_with(list[i]->d_name, ".json")) {
            run(folder, list[i]->d_name);
        }

        free(list[i]);
    }

    free(list);
}


int
main(int argc, char **argv)
{
    char  official[VECTORS_PATH_MAX / 2];

    if (argc != 2 || sodium_init() < 0) {
        fprintf(stderr, "usage: ucan_vectors FOLDER\n");
        return 2;
    }

    run_folder(argv[1], run_file);

    snprintf(official, sizeof(official), "%s/official", argv[1]);

    if (access(official, F_OK) == 0) {
        run_folder(official, run_official);

        snprintf(official, sizeof(official), "%s/official/container",
                 argv[1]);
        run_forms(official);
    }

    return tap_done();
}
