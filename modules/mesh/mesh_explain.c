/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Prints an explanation.  What to say is decided in mesh_chain.c, which picks
 * the chain, and mesh_rule.c, which finds the rule.
 */


#include "mesh_explain.h"
#include "mesh_json.h"
#include "mesh_show.h"
#include "mesh_why_ask.h"
#include "ucan_envelope.h"
#include "ucan_jwt.h"


static void print_link(const mesh_explain_t *explain, size_t i);
static void print_given(const mesh_explain_t *explain,
    const ucan_token_t *token);
static void print_args(const ucan_token_t *token);
static void print_window(const mesh_explain_t *explain,
    const ucan_token_t *token);
static void print_state(const mesh_explain_t *explain, size_t i);
static void print_question(const mesh_ask_t *ask);
static void print_verdict(const mesh_explain_t *explain);
static void print_unused(const mesh_explain_t *explain);
static void write_link(const mesh_explain_t *explain, size_t i,
    json_write_t *j);
static void write_given(const ucan_token_t *token, json_write_t *j);
static void write_cbor(json_write_t *j, const char *key, bytes_t cbor);
static void write_unused(const mesh_explain_t *explain, json_write_t *j);
static const char *state_of(const mesh_explain_t *explain, size_t i);
static const char *why_unused(const mesh_explain_t *explain,
    const ucan_token_t *token);
static const char *why_junk(const mesh_explain_t *explain, uint8_t codec,
    bytes_t raw, cid_t *cid);
static bytes_t next_junk(const mesh_explain_t *explain, size_t *i,
    cid_t *cid, const char **why);


void
mesh_explain_open(mesh_explain_t *explain, const mesh_ask_t *ask,
    const mesh_source_t *source)
{
    memset(explain, 0, sizeof(mesh_explain_t));

    explain->ask = ask;
    explain->source = source;

    mesh_chain_find(&explain->chain, ask);

    if (ask->verdict != UCAN_OK) {
        mesh_rule_explain(&explain->rule, &explain->chain);
    }
}


void
mesh_explain_print(const mesh_explain_t *explain)
{
    size_t  i;

    printf("chain\n");

    for (i = 0; i < explain->chain.count; i++) {
        print_link(explain, i);
    }

    if (explain->chain.reversed) {
        printf("   (the invocation names these proofs the other way "
               "round)\n");
    }

    print_question(explain->ask);
    print_verdict(explain);
    print_unused(explain);
}


void
mesh_explain_write(const mesh_explain_t *explain, json_write_t *j)
{
    size_t  i;

    json_write_key(j, "chain");
    json_write_array(j);

    for (i = 0; i < explain->chain.count; i++) {
        write_link(explain, i, j);
    }

    json_write_array_end(j);

    if (explain->ask->verdict != UCAN_OK) {

        if (explain->rule.link < explain->chain.count) {
            json_write_member_integer(j, "link",
                                      (int64_t) explain->rule.link + 1);
        }

        json_write_member_text(j, "reason", explain->rule.reason);
        json_write_member_text(j, "cure", explain->rule.cure);
    }

    write_unused(explain, j);
}


static void
print_link(const mesh_explain_t *explain, size_t i)
{
    const mesh_link_t   *link;
    const ucan_token_t  *token;

    link = &explain->chain.links[i];
    token = link->token;

    if (token == NULL) {
        printf("   #%-2zu proof  %s\n       not given\n", i + 1,
               mesh_show_cid(&link->cid));
        return;
    }

    printf("   #%-2zu %s %s  %s\n", i + 1, mesh_show_kind(token),
           mesh_show_version(token), mesh_show_cid(&token->cid));
    printf("       from       %s\n", mesh_show_did(token->iss));
    printf("       to         %s\n", mesh_show_did(token->aud));

    print_given(explain, token);
    print_window(explain, token);
    print_state(explain, i);
}


static void
print_given(const mesh_explain_t *explain, const ucan_token_t *token)
{
    size_t  i;

    if (token->kind == UCAN_TOKEN_JWT) {

        if (token->capability_count == 0) {
            printf("       gives      nothing\n");
        }

        for (i = 0; i < token->capability_count; i++) {
            printf("       gives      %s\n",
                   mesh_show_capability(&token->capabilities[i]));
        }

        return;
    }

    if (token == explain->ask->bundle->top
        && explain->ask->chain->kind == UCAN_CHAIN_SESSION)
    {
        printf("       gives      what its chain gives\n");
        return;
    }

    printf("       about      %s\n", token->sub.len != 0
                                     ? mesh_show_did(token->sub)
                                     : "whatever the link above is about "
                                       "(a powerline)");

    if (token->kind == UCAN_TOKEN_INVOCATION) {
        printf("       invokes    %s\n", mesh_show_text(token->cmd));
        print_args(token);
        return;
    }

    printf("       gives      %s\n", mesh_show_text(token->cmd));
    printf("       policy     %s\n", mesh_show_policy(token->policy));
}


static void
print_args(const ucan_token_t *token)
{
    cbor_item_t     args, key, value;
    bytes_reader_t  r;

    if (cbor_read(token->args, &args) != 0 || args.type != CBOR_MAP) {
        return;
    }

    bytes_reader_open(&r, args.body);

    while (bytes_reader_left(&r) != 0
           && cbor_next(&r, &key) == 0
           && cbor_next(&r, &value) == 0)
    {
        printf("       args.%-5s %s\n", mesh_show_text(key.bytes),
               mesh_show_value(&value));
    }
}


static void
print_window(const mesh_explain_t *explain, const ucan_token_t *token)
{
    int64_t  now;

    now = explain->ask->now;

    if (token->has_nbf) {
        printf("       begins     %s, %s\n", mesh_show_time(token->nbf),
               mesh_show_when(token->nbf, now));
    }

    if (token->has_exp) {
        printf("       ends       %s, %s\n", mesh_show_time(token->exp),
               mesh_show_when(token->exp, now));

    } else {
        printf("       ends       never\n");
    }
}


static void
print_state(const mesh_explain_t *explain, size_t i)
{
    const char    *state;
    ucan_token_t  *token;

    token = explain->chain.links[i].token;
    state = state_of(explain, i);

    printf("       signature  %s\n", ucan_token_verify(token) == UCAN_OK
                                     ? "ok" : "BAD");

    if (strcmp(state, "valid") != 0) {
        printf("       state      %s\n", state);
    }
}


static void
print_question(const mesh_ask_t *ask)
{
    size_t             i;
    const ucan_http_t  *http;

    printf("asked\n");
    printf("   audience  %s\n",
           mesh_show_did(ask->trust->audiences[0]));

    for (i = 0; i < ask->trust->anchor_count; i++) {
        printf("   root      %s\n", mesh_show_did(ask->trust->anchors[i]));
    }

    if (ask->request != NULL) {
        printf("   command   %s\n", mesh_show_text(ask->request->command));

        for (i = 0; i < ask->request->arg_count; i++) {
            printf("   argument  %s=%s\n",
                   mesh_show_text(ask->request->args[i].name),
                   mesh_show_text(ask->request->args[i].value));
        }
    }

    if (ask->resource != NULL) {
        printf("   resource  %s\n", mesh_show_resource(ask->resource->with));

        if (ask->resource->can.len != 0) {
            printf("   ability   %s\n", mesh_show_text(ask->resource->can));
        }
    }

    http = ask->http;

    if (http != NULL) {
        printf("   request   %s %s://%s%s%s%s\n",
               mesh_show_text(http->method), mesh_show_text(http->scheme),
               mesh_show_text(http->host), mesh_show_text(http->path),
               http->query.len != 0 ? "?" : "", mesh_show_text(http->query));
    }

    printf("   time      %s\n", mesh_show_time(ask->now));
}


static void
print_verdict(const mesh_explain_t *explain)
{
    const mesh_ask_t  *ask;

    ask = explain->ask;

    if (ask->verdict == UCAN_OK) {
        printf("verdict\n   accepted: %s\n",
               ask->chain->kind == UCAN_CHAIN_SESSION ? "a session"
                                                      : "an invocation");
        return;
    }

    printf("verdict\n   refused: %s (%s)\n", ucan_verdict_text(ask->verdict),
           ucan_verdict_slug(ask->verdict));
    printf("   reason:  %s.\n", explain->rule.reason);
    printf("   cure:    %s.\n", explain->rule.cure);
}


static void
print_unused(const mesh_explain_t *explain)
{
    int                   first;
    cid_t                 cid;
    size_t                i;
    const char           *why;
    const ucan_token_t   *token;
    const ucan_bundle_t  *bundle;

    first = 1;
    bundle = explain->ask->bundle;

    for (i = 0; i < bundle->count; i++) {

        token = &bundle->tokens[i];

        if (mesh_chain_holds(&explain->chain, token)) {
            continue;
        }

        printf("%s   %s\n       %s from %s to %s: %s\n",
               first ? "unused\n" : "", mesh_show_cid(&token->cid),
               mesh_show_kind(token), mesh_show_did(token->iss),
               mesh_show_did(token->aud), why_unused(explain, token));
        first = 0;
    }

    i = 0;

    while (next_junk(explain, &i, &cid, &why).len != 0) {
        printf("%s   %s\n       %s\n", first ? "unused\n" : "",
               mesh_show_cid(&cid), why);
        first = 0;
    }
}


static void
write_link(const mesh_explain_t *explain, size_t i, json_write_t *j)
{
    const mesh_link_t  *link;
    ucan_token_t       *token;

    link = &explain->chain.links[i];
    token = link->token;

    json_write_object(j);
    json_write_member_integer(j, "number", (int64_t) i + 1);
    mesh_json_write_cid(j, "cid", &link->cid);
    json_write_member_bool(j, "given", token != NULL);

    if (token != NULL) {
        json_write_member_text(j, "kind", mesh_show_kind(token));
        json_write_member_text(j, "version", mesh_show_version(token));
        json_write_member(j, "issuer", token->iss);
        json_write_member_text(j, "issuerKey", mesh_show_key(token->iss));
        json_write_member(j, "audience", token->aud);
        json_write_member_text(j, "audienceKey", mesh_show_key(token->aud));

        write_given(token, j);

        if (token->has_nbf) {
            mesh_json_write_time(j, "notBefore", token->nbf);
        }

        mesh_json_write_time(j, "expires", token->has_exp
                                           ? token->exp
                                           : MESH_OPTION_NEVER);
        json_write_member_text(j, "state", state_of(explain, i));
        json_write_member_text(j, "signature",
                               ucan_token_verify(token) == UCAN_OK ? "good"
                                                                   : "bad");
    }

    json_write_object_end(j);
}


static void
write_given(const ucan_token_t *token, json_write_t *j)
{
    if (token->kind == UCAN_TOKEN_JWT) {
        json_write_member_raw(j, "capabilities", token->caps);
        return;
    }

    json_write_key(j, "subject");

    if (token->sub.len != 0) {
        json_write_string(j, token->sub);

    } else {
        json_write_null(j);
    }

    json_write_member(j, "command", token->cmd);

    if (token->kind == UCAN_TOKEN_INVOCATION) {
        write_cbor(j, "args", token->args);

    } else {
        write_cbor(j, "policy", token->policy);
    }
}


static void
write_cbor(json_write_t *j, const char *key, bytes_t cbor)
{
    cbor_item_t  item;

    json_write_key(j, key);

    if (cbor_read(cbor, &item) == 0) {
        mesh_json_write(j, &item);

    } else {
        json_write_null(j);
    }
}


static void
write_unused(const mesh_explain_t *explain, json_write_t *j)
{
    cid_t                 cid;
    size_t                i;
    const char           *why;
    const ucan_token_t   *token;
    const ucan_bundle_t  *bundle;

    bundle = explain->ask->bundle;

    json_write_key(j, "unused");
    json_write_array(j);

    for (i = 0; i < bundle->count; i++) {

        token = &bundle->tokens[i];

        if (mesh_chain_holds(&explain->chain, token)) {
            continue;
        }

        json_write_object(j);
        mesh_json_write_cid(j, "cid", &token->cid);
        json_write_member_text(j, "kind", mesh_show_kind(token));
        json_write_member(j, "issuer", token->iss);
        json_write_member(j, "audience", token->aud);
        json_write_member_text(j, "reason", why_unused(explain, token));
        json_write_object_end(j);
    }

    i = 0;

    while (next_junk(explain, &i, &cid, &why).len != 0) {
        json_write_object(j);
        mesh_json_write_cid(j, "cid", &cid);
        json_write_member_text(j, "reason", why);
        json_write_object_end(j);
    }

    json_write_array_end(j);
}


static const char *
state_of(const mesh_explain_t *explain, size_t i)
{
    switch (mesh_rule_link(&explain->chain, i)) {

    case UCAN_OK:
        return "valid";

    case UCAN_BAD_SIGNATURE:
        return "forged";

    case UCAN_EXPIRED:
        return "expired";

    case UCAN_NOT_YET:
        return "not yet valid";

    default:
        return "revoked";
    }
}


/* Why a token that was presented is no link of the chain shown. */
static const char *
why_unused(const mesh_explain_t *explain, const ucan_token_t *token)
{
    size_t               i;
    bytes_t              asked;
    const mesh_ask_t    *ask;
    const mesh_chain_t  *chain;
    const ucan_token_t  *link;

    ask = explain->ask;
    chain = &explain->chain;

    if (token->has_exp && ask->now - ask->trust->leeway > token->exp) {
        return mesh_format("expired %s", mesh_show_when(token->exp,
                                                        ask->now));
    }

    if (token->kind == UCAN_TOKEN_INVOCATION) {
        return "a proof is never an invocation";
    }

    if (ask->bundle->top != NULL
        && token->kind == UCAN_TOKEN_DELEGATION
        && ask->chain->kind == UCAN_CHAIN_INVOCATION)
    {
        return "the invocation does not name it";
    }

    for (i = 0; i < chain->count; i++) {

        link = chain->links[i].token;

        if (link == NULL || !bytes_equal(link->iss, token->aud)) {
            continue;
        }

        if (token->kind == UCAN_TOKEN_JWT) {
            return mesh_format("#%zu stands on another, or does not name it",
                               i + 1);
        }

        asked = (ask->request != NULL) ? ask->request->command
                : (link->kind == UCAN_TOKEN_DELEGATION) ? link->cmd
                : token->cmd;

        return ucan_chain_covers(token->cmd, asked)
               ? mesh_format("#%zu has another one that serves as well",
                             i + 1)
               : mesh_format("it gives %s, which does not cover %s",
                             mesh_show_text(token->cmd),
                             mesh_show_text(asked));
    }

    return "nobody in the chain is its audience";
}


/* Of what is no token of the bundle, what it is; NULL for one that is. */
static const char *
why_junk(const mesh_explain_t *explain, uint8_t codec, bytes_t raw,
    cid_t *cid)
{
    ucan_token_t    token;
    ucan_verdict_t  rc;

    cid_of(cid, codec, raw);

    if (ucan_bundle_find(explain->ask->bundle, cid) != NULL) {
        return NULL;
    }

    memset(&token, 0, sizeof(token));

    rc = (codec == CID_RAW)
         ? ucan_jwt_decode(&token, raw, NULL, &mesh_memory)
         : ucan_envelope_decode(&token, raw, &mesh_memory);

    return (rc != UCAN_OK) ? ucan_verdict_text(rc) : "it was passed over";
}


/* Walks what was presented and is no token of the bundle: *i starts as 0;
   empty at the end. */
static bytes_t
next_junk(const mesh_explain_t *explain, size_t *i, cid_t *cid,
    const char **why)
{
    size_t                n;
    bytes_t               raw;
    uint8_t               codec;
    const mesh_source_t  *source;

    source = explain->source;

    while (*i < source->envelope_count + source->jwt_count) {

        n = (*i)++;

        if (n < source->envelope_count) {
            raw = source->envelopes[n];
            codec = CID_DAG_CBOR;

        } else {
            raw = source->jwts[n - source->envelope_count];
            codec = CID_RAW;
        }

        *why = why_junk(explain, codec, raw, cid);

        if (*why != NULL) {
            return raw;
        }
    }

    return bytes_make(NULL, 0);
}
