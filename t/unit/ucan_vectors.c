/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Runs a folder of UCAN test vectors (their format is in the README of
 * t/vectors/ucan, that of sessions in the one of t/vectors/session) through
 * the code that nginx runs, and prints TAP: one line for each case, named by
 * its file and id.
 *
 *     ucan_vectors FOLDER
 *
 * Folders below it are walked too.  A case is told by its "family", its
 * file's, or what it holds; fixtures of others, in a folder "official", by the
 * names of their files.  An optional case that is answered the other way is
 * skipped as a choice.
 */


#include "ucan_case.h"
#include "ucan_policy.h"


#define VECTORS_PATH_MAX  4096
#define VECTORS_NEST_MAX  4        /* folders in folders */


/* What a case is asked with. */
typedef struct {
    bytes_t         audiences[CASE_LIST_MAX];
    bytes_t         anchors[CASE_LIST_MAX];
    ucan_trust_t    trust;
    ucan_limits_t   limits;
    ucan_bundle_t   bundle;
    ucan_chain_t    chain;
    int64_t         now;
} vectors_ask_t;


static json_t *
load_json(const char *folder, const char *name)
{
    char          path[VECTORS_PATH_MAX];
    json_t       *root;
    json_error_t  error;

    snprintf(path, sizeof(path), "%s/%s", folder, name);

    root = json_load_file(path, JSON_ALLOW_NUL, &error);

    if (root == NULL) {
        tap_ok(0, "%s is readable (%s)", name, error.text);
    }

    return root;
}


/* Whom the case trusts, and for whom it answers. */
static void
open_ask(vectors_ask_t *ask, json_t *object, int64_t session_max)
{
    static const char *const  names[] = { "subjects", "root", "roots" };

    size_t  i;

    make_reset();
    memset(ask, 0, sizeof(vectors_ask_t));

    ask->now = number_of(object, "now", CASE_NOW);
    ask->limits = limits_of(object);
    ask->trust.limits = ask->limits;

    ask->trust.audiences = ask->audiences;
    ask->trust.audience_count = texts_of(object, "audience", ask->audiences,
                                         CASE_LIST_MAX);
    ask->trust.anchors = ask->anchors;

    for (i = 0;
         i < sizeof(names) / sizeof(names[0])
         && ask->trust.anchor_count == 0;
         i++)
    {
        ask->trust.anchor_count = texts_of(object, names[i], ask->anchors,
                                           CASE_LIST_MAX);
    }

    if (ask->trust.anchor_count == 0) {
        ask->trust.anchor_count = texts_of(json_object_get(object,
                                                           "required"),
                                           "sub", ask->anchors,
                                           CASE_LIST_MAX);
    }

    ask->trust.leeway = number_of(object, "leeway", 0);
    ask->trust.session_max = number_of(object, "session_max", session_max);
    ask->trust.revoked = match_revoked;
    ask->trust.revoked_by = match_revoked_by;

    load_revocations(object);
}


/* The token and its proofs, each within the bound of a token; a proof beyond
   it is one that nobody presented. */
static ucan_verdict_t
parse_jwt(vectors_ask_t *ask, json_t *object)
{
    size_t   i, n, max;
    json_t  *proof, *proofs;
    bytes_t *list, token;

    token = text_of(object, "token");
    proofs = json_object_get(object, "proofs");
    max = limit_of(object, "max_token_bytes", UCAN_TOKEN_BYTES_MAX);

    if (token.len > max) {
        return UCAN_TOO_LARGE;
    }

    if (json_is_string(proofs)) {
        return ucan_bundle_parse(&ask->bundle, token, view_of(proofs),
                                 &ask->limits, &make_memory);
    }

    list = make_alloc(NULL, (json_array_size(proofs) + 1) * sizeof(bytes_t));
    if (list == NULL) {
        return UCAN_NO_MEMORY;
    }

    n = 0;

    json_array_foreach(proofs, i, proof) {
        if (json_string_length(proof) != 0
            && json_string_length(proof) <= max)
        {
            list[n++] = view_of(proof);
        }
    }

    list[n] = bytes_make(NULL, 0);

    return ucan_bundle_parse(&ask->bundle, token, make_header(list),
                             &ask->limits, &make_memory);
}


/* The container as a request has it; where there is none, what would be in
   it. */
static ucan_verdict_t
parse_v1(vectors_ask_t *ask, json_t *object)
{
    size_t           i, n, max;
    json_t          *item;
    bytes_t          list[CASE_LIST_MAX], text;
    ucan_verdict_t   rc;

    text = text_of(object, "container");
    max = limit_of(object, "max_token_bytes", UCAN_TOKEN_BYTES_MAX);

    if (json_object_get(object, "container") != NULL) {
        rc = ucan_bundle_parse(&ask->bundle, text, bytes_make(NULL, 0),
                               &ask->limits, &make_memory);

    } else {
        n = 0;
        text = text_of(object, "invocation");

        if (text.len != 0) {
            list[n++] = decode_any(text);
        }

        json_array_foreach(json_object_get(object, "delegations"), i, item) {
            if (n < CASE_LIST_MAX) {
                list[n++] = decode_any(view_of(item));
            }
        }

        rc = ucan_bundle_parse_envelopes(&ask->bundle, list, n, &ask->limits,
                                         &make_memory);
    }

    for (i = 0; rc == UCAN_OK && i < ask->bundle.count; i++) {
        if (ask->bundle.tokens[i].raw.len > max) {
            rc = UCAN_TOO_LARGE;
        }
    }

    return rc;
}


/* What is refused outside the walk, in the module as here. */
static ucan_verdict_t
check_around(const vectors_ask_t *ask, json_t *object, ucan_verdict_t rc)
{
    if (rc == UCAN_OK && match_seen(object, &ask->bundle)) {
        return UCAN_REPLAYED;
    }

    if (count_checked(&ask->bundle)
        > limit_of(object, "max_signature_checks", SIZE_MAX / 2))
    {
        return UCAN_TOO_LARGE;
    }

    return rc;
}


/* "cmd" and the "args" that are text. */
static ucan_request_t
request_of(json_t *required)
{
    json_t          *value;
    const char      *key;
    ucan_request_t   request;

    memset(&request, 0, sizeof(request));

    request.command = text_of(required, "cmd");

    if (request.command.len == 0) {
        request.command = bytes_of("/");
    }

    json_object_foreach(json_object_get(required, "args"), key, value) {
        if (request.arg_count < UCAN_CHAIN_ARGS_MAX) {
            request.args[request.arg_count].name = bytes_of(key);
            request.args[request.arg_count++].value = view_of(value);
        }
    }

    return request;
}


/* The facts that caveats are held against, as JSON. */
static bytes_t
facts_of(json_t *required)
{
    char     *text;
    bytes_t   facts;

    text = json_dumps(json_object_get(required, "nb"), 0);
    facts = copy_text(bytes_of(text != NULL ? text : ""));
    free(text);

    return facts;
}


static void
run_jwt(const char *file, json_t *object)
{
    json_t                *required;
    ucan_verdict_t         rc;

    static vectors_ask_t   ask;

    open_ask(&ask, object, -1);

    required = json_object_get(object, "required");

    rc = parse_jwt(&ask, object);

    if (rc == UCAN_OK) {
        rc = ucan_chain_open(&ask.chain, &ask.bundle, &ask.trust, ask.now);
    }

    if (rc == UCAN_OK && required != NULL) {
        rc = ucan_chain_allow_resource(&ask.chain, text_of(required, "with"),
                                       text_of(required, "can"),
                                       facts_of(required), ask.now);
    }

    rc = check_around(&ask, object, rc);

    report(file, object, rc == UCAN_OK, ucan_verdict_slug(rc));
}


static void
run_v1(const char *file, json_t *object)
{
    bytes_t                sub;
    json_t                *required;
    ucan_request_t         request;
    ucan_verdict_t         rc;

    static vectors_ask_t   ask;

    open_ask(&ask, object, 86400);

    required = json_object_get(object, "required");
    request = request_of(required);
    sub = text_of(required, "sub");

    rc = parse_v1(&ask, object);

    if (rc == UCAN_OK) {
        rc = ucan_chain_open_http(&ask.chain, &ask.bundle, &ask.trust,
                                  http_of(object), ask.now);
    }

    if (rc == UCAN_OK) {
        rc = ucan_chain_require(&ask.chain, &request, NULL, ask.now);
    }

    if (rc == UCAN_OK && sub.len != 0 && !bytes_equal(ask.chain.root, sub)) {
        rc = UCAN_WRONG_SUBJECT;
    }

    rc = check_around(&ask, object, rc);

    report(file, object, rc == UCAN_OK, ucan_verdict_slug(rc));
}


/* Who logs in, and with "required" what that allows; "verdict" is our own
   slug of the refusal. */
static void
run_session(const char *file, json_t *object)
{
    bytes_t                verdict;
    json_t                *required;
    ucan_request_t         request;
    ucan_verdict_t         rc;

    static vectors_ask_t   ask;

    open_ask(&ask, object, 86400);

    required = json_object_get(object, "required");
    verdict = text_of(object, "verdict");

    rc = (json_object_get(object, "token") != NULL)
         ? parse_jwt(&ask, object) : parse_v1(&ask, object);

    if (rc == UCAN_OK) {
        rc = ucan_chain_open_http(&ask.chain, &ask.bundle, &ask.trust,
                                  http_of(object), ask.now);
    }

    if (rc == UCAN_OK && ask.chain.kind != UCAN_CHAIN_SESSION) {
        rc = UCAN_NO_SESSION;
    }

    if (rc == UCAN_OK && required != NULL) {
        request = request_of(required);
        rc = ucan_chain_allow(&ask.chain, &request, ask.now);
    }

    rc = check_around(&ask, object, rc);

    report(file, object, rc == UCAN_OK, ucan_verdict_slug(rc));

    if (verdict.len != 0) {
        tap_ok(bytes_equal_text(verdict, ucan_verdict_slug(rc)),
               "%s: the verdict is %s", name_of(file, object),
               json_string_value(json_object_get(object, "verdict")));
    }
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
    size_t          i, count;
    bytes_t        *list, text;
    int64_t         tokens;
    ucan_limits_t   limits;
    ucan_verdict_t  rc;

    make_reset();

    limits = limits_of(object);
    text = text_of(object, "header");

    if (text.len == 0) {
        text = text_of(object, "container");
    }

    rc = ucan_container_decode(text, &list, &count, &limits, &make_memory);

    for (i = 0; rc == UCAN_OK && i < count; i++) {
        if (list[i].len > limit_of(object, "max_token_bytes",
                                   UCAN_TOKEN_BYTES_MAX))
        {
            rc = UCAN_TOO_LARGE;
        }
    }

    tokens = number_of(object, "tokens", -1);
    tokens = number_of(object, "tokens_distinct", tokens);

    if (rc == UCAN_OK && tokens >= 0 && (int64_t) count != tokens) {
        rc = UCAN_MALFORMED;
    }

    report(file, object, rc == UCAN_OK, ucan_verdict_slug(rc));
}


/* The exact CBOR; where there is none, that of the DAG-JSON beside it. */
static bytes_t
cbor_of(json_t *object, const char *hex, const char *name)
{
    return (json_object_get(object, hex) != NULL)
           ? decode_hex(text_of(object, hex))
           : encode_value(json_object_get(object, name));
}


static void
run_policy(const char *file, json_t *object)
{
    size_t       work;
    json_t      *expect;
    bytes_t      policy, args;
    const char  *result, *wanted, *name;

    make_reset();

    policy = cbor_of(object, "policy_cbor_hex", "policy");
    args = cbor_of(object, "args_cbor_hex", "args");
    expect = json_object_get(object, "expect");
    name = name_of(file, object);

    wanted = json_is_string(expect) ? json_string_value(expect)
                                    : json_is_true(expect) ? "true" : "false";

    if (expect == NULL) {
        tap_ok(0, "%s says what it expects", name);
        return;
    }

    work = UCAN_TOKEN_INFLATED_MAX * 4;
    result = "invalid";

    if (ucan_policy_validate(policy) == 0) {
        result = ucan_policy_match(policy, args, &work) ? "true" : "false";
    }

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


/* "mark" is a member that only this family has, where none is named. */
static const struct {
    const char  *family;
    const char  *mark;
    void       (*run)(const char *file, json_t *object);
} vectors_families[] = {
    { "jwt",       "token",           run_jwt },
    { "v1",        "invocation",      run_v1 },
    { "v1",        "container",       run_v1 },
    { "did",       "did",             run_did },
    { "container", "header",          run_container },
    { "policy",    "policy",          run_policy },
    { "policy",    "policy_cbor_hex", run_policy },
    { "session",   "session_max",     run_session }
};

#define vectors_family_count                                                  \
    (sizeof(vectors_families) / sizeof(vectors_families[0]))


static void
run_case(const char *file, json_t *object, const char *family)
{
    size_t       i;
    const char  *own;

    own = json_string_value(json_object_get(object, "family"));

    if (own != NULL) {
        family = own;
    }

    for (i = 0; i < vectors_family_count; i++) {

        if (family != NULL
            ? strcmp(family, vectors_families[i].family) == 0
            : json_object_get(object, vectors_families[i].mark) != NULL)
        {
            vectors_families[i].run(file, object);
            return;
        }
    }

    tap_ok(0, "%s: there is a runner for its family", name_of(file, object));
}


/* Cases stand in a member of a file, or are the file. */
static json_t *
cases_of(json_t *root)
{
    size_t   i;
    json_t  *list;

    static const char *const  names[] = { "cases", "vectors", "tests" };

    if (json_is_array(root)) {
        return root;
    }

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        list = json_object_get(root, names[i]);

        if (json_is_array(list)) {
            return list;
        }
    }

    return NULL;
}


static void
run_file(const char *folder, const char *name)
{
    size_t   n;
    json_t  *root, *list, *item;

    root = load_json(folder, name);

    if (root == NULL) {
        return;
    }

    list = cases_of(root);

    json_array_foreach(list, n, item) {
        run_case(name, item,
                 json_string_value(json_object_get(root, "family")));
    }

    if (list == NULL && json_object_get(root, "family") == NULL) {
        tap_skip("a file without cases", name);

    } else if (json_array_size(list) == 0) {
        tap_ok(0, "%s: there are cases in it", name);
    }

    json_decref(root);
}


static void
run_folder(const char *folder, unsigned nest)
{
    int              i, n, official;
    char             path[VECTORS_PATH_MAX];
    struct dirent  **list;

    n = scandir(folder, &list, NULL, alphasort);

    if (n < 0) {
        tap_ok(0, "%s is readable", folder);
        return;
    }

    official = nest != 0 && ends_with(folder, "/official");

    for (i = 0; i < n; i++) {

        snprintf(path, sizeof(path), "%.2000s/%s", folder, list[i]->d_name);

        if (ends_with(list[i]->d_name, ".json")) {

            if (official && known_official(list[i]->d_name)) {
                run_official(folder, list[i]->d_name);

            } else {
                run_file(folder, list[i]->d_name);
            }

        } else if (list[i]->d_name[0] != '.'
                   && nest < VECTORS_NEST_MAX
                   && is_folder(path))
        {
            if (official && strcmp(list[i]->d_name, "container") == 0) {
                run_forms(path);

            } else {
                run_folder(path, nest + 1);
            }
        }

        free(list[i]);
    }

    free(list);
}


int
main(int argc, char **argv)
{
    if (argc != 2 || sodium_init() < 0) {
        fprintf(stderr, "usage: ucan_vectors FOLDER\n");
        return 2;
    }

    run_folder(argv[1], 0);

    if (tap_state.run == 0) {
        tap_ok(0, "there are vectors in %s", argv[1]);
    }

    return tap_done();
}
