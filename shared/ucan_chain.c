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
#include "ucan_chain_args.h"
#include "ucan_walk.h"


#define UCAN_CHAIN_RESOURCE_MAX  4096    /* bytes: DID, kind and id */


static ucan_verdict_t check_kind(const ucan_chain_t *chain,
    const ucan_token_t *top, int64_t now);
static ucan_verdict_t check_top(const ucan_chain_t *chain,
    ucan_walk_t *walk);
static ucan_verdict_t check_request(const ucan_token_t *top,
    const ucan_http_t *http);
static ucan_verdict_t check_session(const ucan_token_t *top);
static ucan_verdict_t check_lifetime(const ucan_token_t *top,
    const ucan_trust_t *trust, int64_t now);
static ucan_verdict_t ask(ucan_chain_t *chain, const ucan_request_t *request,
    const ucan_resource_t *resource, int64_t now);
static ucan_verdict_t find_any(ucan_chain_t *chain, ucan_walk_t *walk);
static ucan_verdict_t find_request(ucan_chain_t *chain, ucan_walk_t *walk,
    const ucan_request_t *request, const ucan_resource_t *resource);
static ucan_verdict_t find_session_v1(ucan_chain_t *chain, ucan_walk_t *walk,
    const ucan_request_t *request);
static ucan_verdict_t find_invocation(ucan_chain_t *chain,
    ucan_walk_t *walk);
static ucan_verdict_t find_resource(ucan_walk_t *walk,
    const ucan_request_t *request, const ucan_resource_t *resource);
static ucan_verdict_t find_session_jwt(ucan_walk_t *walk,
    const ucan_request_t *request);
static ucan_verdict_t match_args(const ucan_token_t *invocation,
    const ucan_request_t *request);
static size_t order_tokens(const ucan_bundle_t *bundle, uint8_t *order);
static bytes_t ability_of(const ucan_request_t *request);
static ucan_verdict_t refuse_command(ucan_chain_t *chain, int64_t now);
static int match_list(const bytes_t *list, size_t count, bytes_t did);
static int opens_session(const ucan_token_t *top);
static void finish(ucan_chain_t *chain, const ucan_walk_t *walk,
    ucan_verdict_t verdict);


ucan_verdict_t
ucan_chain_open(ucan_chain_t *chain, ucan_bundle_t *bundle,
    const ucan_trust_t *trust, int64_t now)
{
    return ucan_chain_open_http(chain, bundle, trust, NULL, now);
}


ucan_verdict_t
ucan_chain_open_http(ucan_chain_t *chain, ucan_bundle_t *bundle,
    const ucan_trust_t *trust, const ucan_http_t *http, int64_t now)
{
    ucan_walk_t     walk;
    ucan_token_t   *top;
    ucan_verdict_t  rc;

    memset(chain, 0, sizeof(ucan_chain_t));

    chain->bundle = bundle;
    chain->trust = trust;
    chain->http = http;

    top = bundle->top;

    if (top == NULL) {
        return UCAN_NO_SESSION;
    }

    chain->kind = opens_session(top) ? UCAN_CHAIN_SESSION
                                     : UCAN_CHAIN_INVOCATION;
    chain->issuer = top->iss;
    chain->cid = top->cid;

    ucan_walk_open(&walk, bundle, trust, now);

    rc = check_kind(chain, top, now);

    if (rc != UCAN_OK) {
        ucan_walk_note(&walk, rc, top);

    } else {
        rc = check_top(chain, &walk);
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
        chain->path_count = walk.path_count;
        memcpy(chain->path, walk.path,
               walk.path_count * sizeof(walk.path[0]));
    }

    return rc;
}


ucan_verdict_t
ucan_chain_allow(ucan_chain_t *chain, const ucan_request_t *request,
    int64_t now)
{
    const ucan_token_t  *top;

    top = chain->bundle->top;

    if (chain->kind == UCAN_CHAIN_INVOCATION
        && !bytes_equal(top->cmd, request->command))
    {
        return refuse_command(chain, now);
    }

    return ask(chain, request, NULL, now);
}


ucan_verdict_t
ucan_chain_require(ucan_chain_t *chain, const ucan_request_t *request,
    const ucan_resource_t *resource, int64_t now)
{
    const ucan_token_t  *top;

    top = chain->bundle->top;

    if (chain->kind == UCAN_CHAIN_INVOCATION
        && !ucan_chain_covers(request->command, top->cmd))
    {
        return refuse_command(chain, now);
    }

    return ask(chain, request, resource, now);
}


size_t
ucan_chain_missing(const ucan_bundle_t *bundle, cid_t *list, size_t max)
{
    size_t               i, j, k, n, count;
    uint8_t              order[UCAN_TOKEN_COUNT_MAX];
    const cid_t         *cid;
    const ucan_token_t  *token;

    n = 0;
    count = order_tokens(bundle, order);

    for (i = 0; i < count; i++) {
        token = &bundle->tokens[order[i]];

        for (j = 0; j < token->proof_count; j++) {
            cid = &token->proofs[j];

            if (ucan_bundle_find(bundle, cid) != NULL) {
                continue;
            }

            for (k = 0; k < n && !cid_equal(&list[k], cid); k++) { /* void */ }

            if (k < n) {
                continue;
            }

            if (n == max) {
                return n;
            }

            list[n++] = *cid;
        }
    }

    return n;
}


size_t
ucan_chain_unchecked(const ucan_bundle_t *bundle, const ucan_trust_t *trust)
{
    size_t               i, n;
    const ucan_token_t  *token;

    n = 0;

    for (i = 0; i < bundle->count; i++) {
        token = &bundle->tokens[i];

        if (token->seal == UCAN_TOKEN_UNCHECKED
            && (trust->sealed == NULL
                || ucan_walk_once(token)
                || !trust->sealed(trust->data, &token->cid)))
        {
            n += ucan_token_weight(token);
        }
    }

    return n;
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
    want.prefix = chain->trust->prefix;
    want.facts.json = facts;

    ucan_walk_open(&walk, chain->bundle, chain->trust, now);

    rc = check_top(chain, &walk);

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

    rc = check_top(chain, &walk);

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

    rc = check_request(top, NULL);
    if (rc != UCAN_OK) {
        return rc;
    }

    ucan_walk_open(&walk, bundle, trust, now);

    rc = ucan_walk_admit(&walk, top);
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


/* What is decided once, from the top alone. */
static ucan_verdict_t
check_kind(const ucan_chain_t *chain, const ucan_token_t *top, int64_t now)
{
    ucan_verdict_t       rc;
    const ucan_trust_t  *trust;

    trust = chain->trust;

    if (!match_list(trust->audiences, trust->audience_count, top->aud)) {
        return UCAN_WRONG_AUDIENCE;
    }

    if (chain->kind == UCAN_CHAIN_INVOCATION) {
        return match_list(trust->anchors, trust->anchor_count, top->sub)
               ? UCAN_OK : UCAN_WRONG_SUBJECT;
    }

    rc = check_session(top);

    return (rc == UCAN_OK) ? check_lifetime(top, trust, now) : rc;
}


/* Time, revocation and signature of the top itself, and what it says about
   the HTTP request. */
static ucan_verdict_t
check_top(const ucan_chain_t *chain, ucan_walk_t *walk)
{
    ucan_token_t    *top;
    ucan_verdict_t   rc;

    top = walk->bundle->top;

    rc = ucan_walk_admit(walk, top);
    if (rc != UCAN_OK) {
        return rc;
    }

    rc = check_request(top, chain->http);
    if (rc != UCAN_OK) {
        ucan_walk_note(walk, rc, top);
    }

    return rc;
}


/* Without facts no "http" is about this request. */
static ucan_verdict_t
check_request(const ucan_token_t *top, const ucan_http_t *http)
{
    ucan_verdict_t  rc;

    if (top->kind != UCAN_TOKEN_INVOCATION || top->args.len <= 1) {
        return UCAN_OK;
    }

    rc = ucan_http_match(top->args, http);

    return (rc == UCAN_NO_PROOF) ? UCAN_OK : rc;
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


static ucan_verdict_t
ask(ucan_chain_t *chain, const ucan_request_t *request,
    const ucan_resource_t *resource, int64_t now)
{
    ucan_walk_t     walk;
    ucan_verdict_t  rc;

    ucan_walk_open(&walk, chain->bundle, chain->trust, now);

    rc = check_top(chain, &walk);

    if (rc == UCAN_OK) {
        rc = find_request(chain, &walk, request, resource);
    }

    finish(chain, &walk, rc);

    return rc;
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
        want.prefix = walk->trust->prefix;

        return ucan_walk_jwt_find(walk, &want);
    }

    if (chain->kind == UCAN_CHAIN_INVOCATION) {
        return find_invocation(chain, walk);
    }

    none = bytes_make(NULL, 0);

    return ucan_walk_v1_find(walk, top->iss, none, none);
}


static ucan_verdict_t
find_request(ucan_chain_t *chain, ucan_walk_t *walk,
    const ucan_request_t *request, const ucan_resource_t *resource)
{
    ucan_verdict_t  rc;

    if (request->arg_count > UCAN_CHAIN_ARGS_MAX
        || !ucan_chain_command_valid(request->command))
    {
        return UCAN_NOT_COVERED;
    }

    if (chain->bundle->top->kind == UCAN_TOKEN_JWT) {
        return (resource != NULL) ? find_resource(walk, request, resource)
                                  : find_session_jwt(walk, request);
    }

    if (chain->kind == UCAN_CHAIN_SESSION) {
        return find_session_v1(chain, walk, request);
    }

    rc = match_args(chain->bundle->top, request);
    if (rc != UCAN_OK) {
        ucan_walk_note(walk, rc, chain->bundle->top);
        return rc;
    }

    return find_invocation(chain, walk);
}


static ucan_verdict_t
find_session_v1(ucan_chain_t *chain, ucan_walk_t *walk,
    const ucan_request_t *request)
{
    ucan_chain_args_t  args;

    ucan_chain_args_open(&args, request, NULL, chain->http);

    walk->write_args = ucan_chain_args_write;
    walk->data = &args;

    return ucan_walk_v1_find(walk, walk->bundle->top->iss, request->command,
                             bytes_make(NULL, 0));
}


/* With the facts of the request known, they stand in the args that policies
   see, whatever the invocation has in their place. */
static ucan_verdict_t
find_invocation(ucan_chain_t *chain, ucan_walk_t *walk)
{
    ucan_chain_args_t  args;

    if (chain->http != NULL) {
        ucan_chain_args_open(&args, NULL, walk->bundle->top, chain->http);

        walk->write_args = ucan_chain_args_write;
        walk->data = &args;
    }

    return ucan_walk_v1_follow(walk, walk->bundle->top);
}


/* What a location asks for that is no mesh's: its anchors own it. */
static ucan_verdict_t
find_resource(ucan_walk_t *walk, const ucan_request_t *request,
    const ucan_resource_t *resource)
{
    ucan_walk_want_t  want;

    if (resource->with.len == 0) {
        return UCAN_NOT_COVERED;
    }

    memset(&want, 0, sizeof(want));

    want.with = resource->with;
    want.prefix = resource->prefix;
    want.facts.args = request->args;
    want.facts.arg_count = request->arg_count;
    want.can = (resource->can.len != 0) ? resource->can
                                        : ability_of(request);

    return ucan_walk_jwt_find(walk, &want);
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
    want.can = ability_of(request);

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


/* Indexes of all tokens: the top, what it leads to breadth first, then the
   others. */
static size_t
order_tokens(const ucan_bundle_t *bundle, uint8_t *order)
{
    size_t               i, head, n;
    uint8_t              seen[UCAN_TOKEN_COUNT_MAX];
    const ucan_token_t  *token, *proof;

    memset(seen, 0, sizeof(seen));

    n = 0;

    if (bundle->top != NULL) {
        order[n] = (uint8_t) (bundle->top - bundle->tokens);
        seen[order[n++]] = 1;
    }

    for (head = 0; head < n; head++) {
        token = &bundle->tokens[order[head]];

        for (i = 0; i < token->proof_count; i++) {
            proof = ucan_bundle_find(bundle, &token->proofs[i]);

            if (proof != NULL && !seen[proof - bundle->tokens]) {
                order[n] = (uint8_t) (proof - bundle->tokens);
                seen[order[n++]] = 1;
            }
        }
    }

    for (i = 0; i < bundle->count; i++) {
        if (!seen[i]) {
            order[n++] = (uint8_t) i;
        }
    }

    return n;
}


static bytes_t
ability_of(const ucan_request_t *request)
{
    return (request->command.len > 1)
           ? bytes_make(request->command.data + 1, request->command.len - 1)
           : bytes_of("*");
}


static ucan_verdict_t
refuse_command(ucan_chain_t *chain, int64_t now)
{
    ucan_walk_t     walk;
    ucan_verdict_t  rc;

    ucan_walk_open(&walk, chain->bundle, chain->trust, now);

    rc = check_top(chain, &walk);

    if (rc == UCAN_OK) {
        rc = UCAN_NOT_COVERED;
        ucan_walk_note(&walk, rc, chain->bundle->top);
    }

    finish(chain, &walk, rc);

    return rc;
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
