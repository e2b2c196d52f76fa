/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Who presents what, and what that allows (design.md section 4).
 *
 * Two kinds of authority.  A session is a top token that its holder signed
 * for this mesh: in 0.x the bearer JWT, in 1.0 an invocation of
 * "/session/open" that the holder issues about itself; it allows what a chain
 * from a trust anchor to the holder allows.  An invocation of any other
 * command allows exactly that command with its arguments.  Delegations alone
 * are never a login: whoever carries them need not be their audience.
 *
 * Every question is answered from the tokens, with the time and the
 * revocations of now; what stays from one to the next is only that a
 * signature was checked.  A chain belongs to one thread at a time.
 */


#include "cbor.h"
#include "grant.h"
#include "ucan_chain.h"
#include "ucan_walk.h"


#define UCAN_CHAIN_ARGS_CBOR_MAX                                              \
    (9 + UCAN_CHAIN_ARGS_MAX                                                  \
         * (UCAN_CHAIN_NAME_BYTES_MAX + UCAN_CHAIN_ARG_BYTES_MAX + 10))

#define UCAN_CHAIN_RESOURCE_MAX  4096    /* bytes: DID, kind and id */


static ucan_verdict_t check_top(ucan_walk_t *walk);
static ucan_verdict_t check_session(const ucan_token_t *top);
static ucan_verdict_t check_lifetime(const ucan_token_t *top,
    const ucan_trust_t *trust, int64_t now);
static ucan_verdict_t find_any(ucan_chain_t *chain, ucan_walk_t *walk);
static ucan_verdict_t find_request(ucan_chain_t *chain, ucan_walk_t *walk,
    const ucan_request_t *request);
static ucan_verdict_t find_session_v1(ucan_walk_t *walk,
    const ucan_request_t *request);
static ucan_verdict_t find_session_jwt(ucan_walk_t *walk,
    const ucan_request_t *request);
static ucan_verdict_t match_args(const ucan_token_t *invocation,
    const ucan_request_t *request);
static ucan_verdict_t write_args(bytes_writer_t *w,
    const ucan_request_t *request);
static int match_list(const bytes_t *list, size_t count, bytes_t did);
static int opens_session(const ucan_token_t *top);
static void finish(ucan_chain_t *chain, const ucan_walk_t *walk,
    ucan_verdict_t verdict);


ucan_verdict_t
ucan_chain_open(ucan_chain_t *chain, ucan_bundle_t *bundle,
    const ucan_trust_t *trust, int64_t now)
{
    ucan_walk_t     walk;
    ucan_token_t   *top;
    ucan_verdict_t  rc;

    memset(chain, 0, sizeof(ucan_chain_t));

    chain->bundle = bundle;
    chain->trust = trust;

    top = bundle->top;

    if (top == NULL) {
        return UCAN_NO_SESSION;
    }

    chain->kind = opens_session(top) ? UCAN_CHAIN_SESSION
                                     : UCAN_CHAIN_INVOCATION;
    chain->issuer = top->iss;
    chain->cid = top->cid;

    ucan_walk_open(&walk, bundle, trust, now);

    if (!match_list(trust->audiences, trust->audience_count, top->aud)) {
        ucan_walk_note(&walk, UCAN_WRONG_AUDIENCE, top);
        finish(chain, &walk, UCAN_WRONG_AUDIENCE);
        return UCAN_WRONG_AUDIENCE;
    }

    rc = UCAN_OK;

    if (chain->kind == UCAN_CHAIN_SESSION) {

        rc = check_session(top);

        if (rc == UCAN_OK) {
            rc = check_lifetime(top, trust, now);
        }

    } else if (!match_list(trust->anchors, trust->anchor_count, top->sub)) {
        rc = UCAN_WRONG_SUBJECT;
    }

    if (rc != UCAN_OK) {
        ucan_walk_note(&walk, rc, top);

    } else {
        rc = check_top(&walk);
    }

    if (rc == UCAN_OK) {
        rc = find_any(chain, &walk);
    }

    finish(chain, &walk, rc);

    if (rc == UCAN_OK) {
        ucan_walk_lessen(&walk, top);
        chain->root = walk.root;
        chain->expires = walk.expires;
        chain->depth = walk.depth;
    }

    return rc;
}


ucan_verdict_t
ucan_chain_allow(ucan_chain_t *chain, const ucan_request_t *request,
    int64_t now)
{
    ucan_walk_t     walk;
    ucan_verdict_t  rc;

    ucan_walk_open(&walk, chain->bundle, chain->trust, now);

    rc = check_top(&walk);

    if (rc == UCAN_OK
        && chain->kind == UCAN_CHAIN_INVOCATION
        && !bytes_equal(chain->bundle->top->cmd, request->command))
    {
        rc = UCAN_NOT_COVERED;
        ucan_walk_note(&walk, rc, chain->bundle->top);
    }

    if (rc == UCAN_OK) {
        rc = find_request(chain, &walk, request);
    }

    finish(chain, &walk, rc);

    return rc;
}


ucan_verdict_t
ucan_chain_require(ucan_chain_t *chain, const ucan_request_t *request,
    const ucan_resource_t *resource, int64_t now)
{
    ucan_walk_t     walk;
    ucan_verdict_t  rc;

    (void) resource;

    if (chain->kind == UCAN_CHAIN_SESSION) {
        return ucan_chain_allow(chain, request, now);
    }

    ucan_walk_open(&walk, chain->bundle, chain->trust, now);

    rc = check_top(&walk);

    if (rc == UCAN_OK
        && !ucan_chain_covers(request->command, chain->bundle->top->cmd))
    {
        rc = UCAN_NOT_COVERED;
        ucan_walk_note(&walk, rc, chain->bundle->top);
    }

    if (rc == UCAN_OK) {
        rc = find_request(chain, &walk, request);
    }

    finish(chain, &walk, rc);

    return rc;
}


ucan_verdict_t
ucan_chain_allow_resource(ucan_chain_t *chain, bytes_t resource,
    bytes_t ability, bytes_t facts, int64_t now)
{
    ucan_walk_t       walk;
    ucan_verdict_t    rc;
    ucan_walk_want_t  want;

    if (chain->bundle->top->kind != UCAN_TOKEN_JWT || resource.len == 0) {
        return UCAN_NOT_COVERED;
    }

    memset(&want, 0, sizeof(want));

    want.with = resource;
    want.can = ability;
    want.facts.json = facts;

    ucan_walk_open(&walk, chain->bundle, chain->trust, now);

    rc = check_top(&walk);

    if (rc == UCAN_OK) {
        rc = ucan_walk_jwt_find(&walk, &want);
    }

    finish(chain, &walk, rc);

    return rc;
}


ucan_verdict_t
ucan_chain_alive(ucan_chain_t *chain, int64_t now)
{
    ucan_walk_t     walk;
    ucan_verdict_t  rc;

    ucan_walk_open(&walk, chain->bundle, chain->trust, now);

    rc = check_top(&walk);

    if (rc == UCAN_OK) {
        rc = find_any(chain, &walk);
    }

    finish(chain, &walk, rc);

    return rc;
}


ucan_verdict_t
ucan_chain_holder(ucan_bundle_t *bundle, const ucan_trust_t *trust,
    int64_t now, bytes_t *holder)
{
    ucan_walk_t     walk;
    ucan_token_t   *top;
    ucan_verdict_t  rc;

    *holder = bytes_make(NULL, 0);

    top = bundle->top;

    if (top == NULL
        || top->kind != UCAN_TOKEN_INVOCATION
        || !opens_session(top))
    {
        return UCAN_NO_SESSION;
    }

    if (!match_list(trust->audiences, trust->audience_count, top->aud)) {
        return UCAN_WRONG_AUDIENCE;
    }

    rc = check_session(top);
    if (rc != UCAN_OK) {
        return rc;
    }

    rc = check_lifetime(top, trust, now);
    if (rc != UCAN_OK) {
        return rc;
    }

    ucan_walk_open(&walk, bundle, trust, now);

    rc = check_top(&walk);
    if (rc != UCAN_OK) {
        return rc;
    }

    *holder = top->iss;

    return UCAN_OK;
}


int
ucan_chain_covers(bytes_t a, bytes_t b)
{
    if (bytes_equal_text(a, "/")) {
        return 1;
    }

    return bytes_start_with(b, a)
           && (b.len == a.len || b.data[a.len] == '/');
}


/* Begins with a slash, ends without one (but "/" itself), no empty segment,
   no upper case (reference 5.4). */
int
ucan_chain_command_valid(bytes_t text)
{
    size_t   i;
    uint8_t  c;

    if (text.len == 0 || text.data[0] != '/') {
        return 0;
    }

    if (text.len == 1) {
        return 1;
    }

    for (i = 1; i < text.len; i++) {
        c = text.data[i];

        if (c < 0x20 || c == 0x7f || (c >= 'A' && c <= 'Z')) {
            return 0;
        }

        if (c == '/' && text.data[i - 1] == '/') {
            return 0;
        }
    }

    return text.data[text.len - 1] != '/';
}


void
ucan_chain_resource(bytes_writer_t *w, bytes_t subject,
    const ucan_request_t *request)
{
    size_t          i;
    bytes_t         kind, name;
    const uint8_t  *slash;

    kind = bytes_make(request->command.data + 1, request->command.len - 1);

    slash = (kind.len == 0) ? NULL : memchr(kind.data, '/', kind.len);

    if (slash != NULL) {
        kind.len = (size_t) (slash - kind.data);
    }

    bytes_writer_text(w, "mesh://");
    bytes_writer_bytes(w, subject);
    bytes_writer_byte(w, '/');

    if (kind.len == 0) {
        return;
    }

    bytes_writer_bytes(w, kind);
    bytes_writer_byte(w, '/');

    name = grant_subject_arg(request->command);

    for (i = 0; name.len != 0 && i < request->arg_count; i++) {
        if (bytes_equal(request->args[i].name, name)) {
            bytes_writer_bytes(w, request->args[i].value);
            return;
        }
    }
}


/* Time, revocation and signature of the top itself. */
static ucan_verdict_t
check_top(ucan_walk_t *walk)
{
    return ucan_walk_admit(walk, walk->bundle->top);
}


/*
 * In 1.0 the holder must have signed about itself, for this very occasion:
 * whoever merely carries a delegation cannot.  In 0.x the bearer is signed by
 * its holder as it is.
 */

static ucan_verdict_t
check_session(const ucan_token_t *top)
{
    if (top->kind == UCAN_TOKEN_JWT) {
        return UCAN_OK;
    }

    if (!bytes_equal(top->iss, top->sub)
        || top->proof_count != 0
        || top->foreign
        || top->nonce.len == 0)
    {
        return UCAN_NO_SESSION;
    }

    return UCAN_OK;
}


static ucan_verdict_t
check_lifetime(const ucan_token_t *top, const ucan_trust_t *trust,
    int64_t now)
{
    if (trust->session_max < 0) {
        return UCAN_OK;
    }

    if (!top->has_exp || top->exp > now + trust->session_max) {
        return UCAN_SESSION_TOO_LONG;
    }

    return UCAN_OK;
}


/* Any living chain from an anchor to the holder; of an invocation, the one
   that it lists. */
static ucan_verdict_t
find_any(ucan_chain_t *chain, ucan_walk_t *walk)
{
    bytes_t           none;
    ucan_token_t     *top;
    ucan_walk_want_t  want;

    top = chain->bundle->top;

    if (top->kind == UCAN_TOKEN_JWT) {
        memset(&want, 0, sizeof(want));
        return ucan_walk_jwt_find(walk, &want);
    }

    if (chain->kind == UCAN_CHAIN_INVOCATION) {
        return ucan_walk_v1_follow(walk, top);
    }

    none = bytes_make(NULL, 0);

    return ucan_walk_v1_find(walk, top->iss, none, none);
}


static ucan_verdict_t
find_request(ucan_chain_t *chain, ucan_walk_t *walk,
    const ucan_request_t *request)
{
    ucan_verdict_t  rc;

    if (request->arg_count > UCAN_CHAIN_ARGS_MAX
        || !ucan_chain_command_valid(request->command))
    {
        return UCAN_NOT_COVERED;
    }

    if (chain->bundle->top->kind == UCAN_TOKEN_JWT) {
        return find_session_jwt(walk, request);
    }

    if (chain->kind == UCAN_CHAIN_SESSION) {
        return find_session_v1(walk, request);
    }

    rc = match_args(chain->bundle->top, request);
    if (rc != UCAN_OK) {
        ucan_walk_note(walk, rc, chain->bundle->top);
        return rc;
    }

    return ucan_walk_v1_follow(walk, chain->bundle->top);
}


static ucan_verdict_t
find_session_v1(ucan_walk_t *walk, const ucan_request_t *request)
{
    uint8_t         buf[UCAN_CHAIN_ARGS_CBOR_MAX];
    bytes_writer_t  w;
    ucan_verdict_t  rc;

    bytes_writer_open(&w, buf, sizeof(buf));

    rc = write_args(&w, request);
    if (rc != UCAN_OK) {
        return rc;
    }

    return ucan_walk_v1_find(walk, walk->bundle->top->iss, request->command,
                             bytes_writer_view(&w));
}


/* Each anchor may be the mesh that the resource belongs to. */
static ucan_verdict_t
find_session_jwt(ucan_walk_t *walk, const ucan_request_t *request)
{
    size_t            i;
    uint8_t           buf[UCAN_CHAIN_RESOURCE_MAX];
    bytes_writer_t    w;
    ucan_walk_want_t  want;

    memset(&want, 0, sizeof(want));

    want.facts.args = request->args;
    want.facts.arg_count = request->arg_count;
    want.can = bytes_make(request->command.data + 1,
                          request->command.len - 1);

    if (want.can.len == 0) {
        want.can = bytes_of("*");
    }

    for (i = 0; i < walk->trust->anchor_count; i++) {

        bytes_writer_open(&w, buf, sizeof(buf));
        ucan_chain_resource(&w, walk->trust->anchors[i], request);

        if (w.failed) {
            return UCAN_TOO_LARGE;
        }

        want.with = bytes_writer_view(&w);

        if (ucan_walk_jwt_find(walk, &want) == UCAN_OK) {
            return UCAN_OK;
        }
    }

    return ucan_walk_refusal(walk, UCAN_NOT_COVERED);
}


/* What is asked about must be what was signed for. */
static ucan_verdict_t
match_args(const ucan_token_t *invocation, const ucan_request_t *request)
{
    size_t       i;
    cbor_item_t  map, value;

    if (cbor_read(invocation->args, &map) != 0) {
        return UCAN_POLICY;
    }

    for (i = 0; i < request->arg_count; i++) {
        if (cbor_map_find(&map, request->args[i].name, &value) != 0
            || value.type != CBOR_TEXT
            || !bytes_equal(value.bytes, request->args[i].value))
        {
            return UCAN_POLICY;
        }
    }

    return UCAN_OK;
}


/* A DAG-CBOR map: keys by length, then bytewise, each once. */
static ucan_verdict_t
write_args(bytes_writer_t *w, const ucan_request_t *request)
{
    size_t             i, j;
    const ucan_arg_t  *sorted[UCAN_CHAIN_ARGS_MAX], *arg;

    for (i = 0; i < request->arg_count; i++) {
        arg = &request->args[i];

        if (arg->name.len > UCAN_CHAIN_NAME_BYTES_MAX
            || arg->value.len > UCAN_CHAIN_ARG_BYTES_MAX)
        {
            return UCAN_TOO_LARGE;
        }

        for (j = i;
             j > 0 && cbor_key_compare(sorted[j - 1]->name, arg->name) > 0;
             j--)
        {
            sorted[j] = sorted[j - 1];
        }

        if (j > 0 && bytes_equal(sorted[j - 1]->name, arg->name)) {
            return UCAN_MALFORMED;
        }

        sorted[j] = arg;
    }

    cbor_write_map(w, request->arg_count);

    for (i = 0; i < request->arg_count; i++) {
        cbor_write_text(w, sorted[i]->name);
        cbor_write_text(w, sorted[i]->value);
    }

    return w->failed ? UCAN_TOO_LARGE : UCAN_OK;
}


static int
match_list(const bytes_t *list, size_t count, bytes_t did)
{
    size_t  i;

    for (i = 0; i < count; i++) {
        if (bytes_equal(list[i], did)) {
            return 1;
        }
    }

    return 0;
}


static int
opens_session(const ucan_token_t *top)
{
    return top->kind == UCAN_TOKEN_JWT
           || bytes_equal_text(top->cmd, UCAN_CHAIN_SESSION_OPEN);
}


static void
finish(ucan_chain_t *chain, const ucan_walk_t *walk, ucan_verdict_t verdict)
{
    chain->has_failed = 0;

    if (verdict != UCAN_OK
        && walk->verdict == verdict
        && walk->failed != NULL)
    {
        chain->failed = walk->failed->cid;
        chain->has_failed = 1;
    }
}
