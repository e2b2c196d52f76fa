/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The rules of a chain, each with a test and a sentence, in the order in
 * which a reader would check them.  They tell which link and which values are
 * behind a verdict; the verdict is made in ucan_chain.c, and a rule that
 * disagrees with it is a fault here.
 */


#include "cbor.h"
#include "mesh_rule.h"
#include "mesh_show.h"
#include "mesh_why.h"
#include "mesh_why_ask.h"


typedef struct {
    ucan_verdict_t  verdict;
    int           (*breaks)(const mesh_chain_t *chain, size_t i);
    void          (*say)(mesh_rule_t *rule, const mesh_chain_t *chain,
                        size_t i);
} mesh_rule_entry_t;


static int breaks_session(const mesh_chain_t *chain, size_t i);
static int breaks_audience(const mesh_chain_t *chain, size_t i);
static int breaks_lifetime(const mesh_chain_t *chain, size_t i);
static int breaks_signature(const mesh_chain_t *chain, size_t i);
static int breaks_version(const mesh_chain_t *chain, size_t i);
static int breaks_expiry(const mesh_chain_t *chain, size_t i);
static int breaks_beginning(const mesh_chain_t *chain, size_t i);
static int breaks_revocation(const mesh_chain_t *chain, size_t i);
static int breaks_request(const mesh_chain_t *chain, size_t i);
static int breaks_proof(const mesh_chain_t *chain, size_t i);
static int breaks_root(const mesh_chain_t *chain, size_t i);
static int breaks_subject(const mesh_chain_t *chain, size_t i);
static int breaks_link(const mesh_chain_t *chain, size_t i);
static int breaks_depth(const mesh_chain_t *chain, size_t i);
static int breaks_width(const mesh_chain_t *chain, size_t i);
static int breaks_life(const mesh_chain_t *chain, size_t i);
static int breaks_command(const mesh_chain_t *chain, size_t i);
static int breaks_policy(const mesh_chain_t *chain, size_t i);
static int match_list(const bytes_t *list, size_t count, bytes_t did);
static int count_live(const mesh_link_t *link);


static const mesh_rule_entry_t  mesh_rules[] = {
    { UCAN_NO_SESSION,       breaks_session,    mesh_why_session },
    { UCAN_WRONG_AUDIENCE,   breaks_audience,   mesh_why_audience },
    { UCAN_SESSION_TOO_LONG, breaks_lifetime,   mesh_why_lifetime },
    { UCAN_BAD_SIGNATURE,    breaks_signature,  mesh_why_signature },
    { UCAN_UNSUPPORTED,      breaks_version,    mesh_why_version },
    { UCAN_EXPIRED,          breaks_expiry,     mesh_why_expiry },
    { UCAN_NOT_YET,          breaks_beginning,  mesh_why_beginning },
    { UCAN_REVOKED,          breaks_revocation, mesh_why_revocation },
    { UCAN_WRONG_REQUEST,    breaks_request,    mesh_why_ask_request },
    { UCAN_NO_PROOF,         breaks_proof,      mesh_why_proof },
    { UCAN_UNTRUSTED_ROOT,   breaks_root,       mesh_why_root },
    { UCAN_WRONG_SUBJECT,    breaks_subject,    mesh_why_subject },
    { UCAN_BROKEN_CHAIN,     breaks_link,       mesh_why_link },
    { UCAN_TOO_DEEP,         breaks_depth,      mesh_why_depth },
    { UCAN_WIDENED,          breaks_width,      mesh_why_ask_width },
    { UCAN_OUTLIVES,         breaks_life,       mesh_why_life },
    { UCAN_NOT_COVERED,      breaks_command,    mesh_why_ask_command },
    { UCAN_POLICY,           breaks_policy,     mesh_why_ask_policy }
};

#define mesh_rule_total  (sizeof(mesh_rules) / sizeof(mesh_rules[0]))


size_t
mesh_rule_count(const mesh_chain_t *chain)
{
    size_t  i, k, n;

    n = 0;

    for (i = 0; i < chain->count; i++) {
        for (k = 0; k < mesh_rule_total; k++) {
            n += (size_t) mesh_rules[k].breaks(chain, i);
        }
    }

    return n;
}


void
mesh_rule_explain(mesh_rule_t *rule, const mesh_chain_t *chain)
{
    size_t                    i, k;
    const ucan_chain_t       *walked;
    const mesh_rule_entry_t  *entry;

    rule->verdict = chain->ask->verdict;
    rule->link = chain->count;
    rule->reason = ucan_verdict_text(rule->verdict);
    rule->cure = "make it anew with \"mesh delegate\" and \"mesh token\"";

    entry = NULL;
    walked = chain->ask->chain;

    for (k = 0; k < mesh_rule_total; k++) {
        if (mesh_rules[k].verdict == rule->verdict) {
            entry = &mesh_rules[k];
        }
    }

    if (entry == NULL) {
        return;
    }

    for (i = 0; i < chain->count; i++) {

        if (!entry->breaks(chain, i)) {
            continue;
        }

        if (rule->link == chain->count
            || (walked->has_failed
                && cid_equal(&chain->links[i].cid, &walked->failed)))
        {
            rule->link = i;
        }
    }

    if (rule->link != chain->count) {
        entry->say(rule, chain, rule->link);
    }
}


ucan_verdict_t
mesh_rule_link(const mesh_chain_t *chain, size_t link)
{
    size_t  k;

    for (k = 0; k < mesh_rule_total; k++) {

        switch (mesh_rules[k].verdict) {

        case UCAN_BAD_SIGNATURE:
        case UCAN_EXPIRED:
        case UCAN_NOT_YET:
        case UCAN_REVOKED:

            if (mesh_rules[k].breaks(chain, link)) {
                return mesh_rules[k].verdict;
            }

            break;

        default:
            break;
        }
    }

    return UCAN_OK;
}


static int
breaks_session(const mesh_chain_t *chain, size_t i)
{
    const ucan_token_t  *top;

    if (i + 1 != chain->count) {
        return 0;
    }

    top = chain->ask->bundle->top;

    if (top == NULL) {
        return 1;
    }

    return chain->ask->chain->kind == UCAN_CHAIN_SESSION
           && top->kind == UCAN_TOKEN_INVOCATION
           && (!bytes_equal(top->iss, top->sub)
               || top->proof_count != 0
               || top->foreign
               || top->nonce.len == 0);
}


static int
breaks_audience(const mesh_chain_t *chain, size_t i)
{
    const ucan_token_t  *token;

    token = chain->links[i].token;

    return token != NULL
           && token == chain->ask->bundle->top
           && !match_list(chain->ask->trust->audiences,
                          chain->ask->trust->audience_count, token->aud);
}


static int
breaks_lifetime(const mesh_chain_t *chain, size_t i)
{
    const ucan_token_t  *token;

    token = chain->links[i].token;

    return token != NULL
           && token == chain->ask->bundle->top
           && chain->ask->chain->kind == UCAN_CHAIN_SESSION
           && chain->ask->trust->session_max >= 0
           && (!token->has_exp
               || token->exp > chain->ask->now
                               + chain->ask->trust->session_max);
}


static int
breaks_signature(const mesh_chain_t *chain, size_t i)
{
    return chain->links[i].token != NULL
           && ucan_token_verify(chain->links[i].token) == UCAN_BAD_SIGNATURE;
}


/* A key of a type that signs nothing here, or in 0.x a proof that is newer
   than what stands on it. */
static int
breaks_version(const mesh_chain_t *chain, size_t i)
{
    const mesh_link_t  *link;

    link = &chain->links[i];

    if (link->token == NULL) {
        return 0;
    }

    if (ucan_token_verify(link->token) == UCAN_UNSUPPORTED) {
        return 1;
    }

    return i + 1 < chain->count
           && link[1].token != NULL
           && link->token->kind == UCAN_TOKEN_JWT
           && link->token->version > link[1].token->version;
}


static int
breaks_expiry(const mesh_chain_t *chain, size_t i)
{
    const ucan_token_t  *token;

    token = chain->links[i].token;

    return token != NULL
           && token->has_exp
           && chain->ask->now - chain->ask->trust->leeway > token->exp;
}


static int
breaks_beginning(const mesh_chain_t *chain, size_t i)
{
    const ucan_token_t  *token;

    token = chain->links[i].token;

    return token != NULL
           && token->has_nbf
           && chain->ask->now + chain->ask->trust->leeway < token->nbf;
}


/* By its issuer, or by the issuer of a link above it. */
static int
breaks_revocation(const mesh_chain_t *chain, size_t i)
{
    size_t               k;
    ucan_revoked_t       revoked;
    const ucan_trust_t  *trust;

    trust = chain->ask->trust;

    if (trust->revoked == NULL) {
        return 0;
    }

    revoked = trust->revoked(trust->data, &chain->links[i].cid);

    if (revoked != UCAN_REVOKED_BY || trust->revoked_by == NULL) {
        return revoked == UCAN_REVOKED_ALL;
    }

    for (k = 0; k <= i; k++) {
        if (chain->links[k].token != NULL
            && trust->revoked_by(trust->data, &chain->links[i].cid,
                                 chain->links[k].token->iss))
        {
            return 1;
        }
    }

    return 0;
}


static int
breaks_request(const mesh_chain_t *chain, size_t i)
{
    const ucan_token_t  *token;

    token = chain->links[i].token;

    return token != NULL
           && token == chain->ask->bundle->top
           && mesh_why_http(chain->ask, token) != NULL;
}


static int
breaks_proof(const mesh_chain_t *chain, size_t i)
{
    const ucan_token_t  *token;

    token = chain->links[i].token;

    if (token == NULL) {
        return 1;
    }

    return token->foreign
           || (token->kind == UCAN_TOKEN_INVOCATION
               && chain->ask->chain->kind == UCAN_CHAIN_INVOCATION
               && token->proof_count == 0
               && !bytes_equal(token->iss, token->sub));
}


static int
breaks_root(const mesh_chain_t *chain, size_t i)
{
    const ucan_token_t  *token, *top;

    token = chain->links[i].token;
    top = chain->ask->bundle->top;

    if (i != 0 || token == NULL) {
        return 0;
    }

    if (top != NULL && chain->ask->chain->kind == UCAN_CHAIN_INVOCATION) {
        return !bytes_equal(token->iss, top->sub);
    }

    if (!match_list(chain->ask->trust->anchors,
                    chain->ask->trust->anchor_count, token->iss))
    {
        return 1;
    }

    return token->kind == UCAN_TOKEN_DELEGATION
           && !bytes_equal(token->iss, token->sub);
}


static int
breaks_subject(const mesh_chain_t *chain, size_t i)
{
    const ucan_token_t  *token, *top;

    token = chain->links[i].token;
    top = chain->ask->bundle->top;

    if (token == NULL || token->kind == UCAN_TOKEN_JWT) {
        return 0;
    }

    if (top != NULL && chain->ask->chain->kind == UCAN_CHAIN_INVOCATION) {

        if (token == top) {
            return !match_list(chain->ask->trust->anchors,
                               chain->ask->trust->anchor_count, top->sub);
        }

        return (i == 0 || token->sub.len != 0)
               && !bytes_equal(token->sub, top->sub);
    }

    return token != top
           && token->sub.len != 0
           && !match_list(chain->ask->trust->anchors,
                          chain->ask->trust->anchor_count, token->sub);
}


static int
breaks_link(const mesh_chain_t *chain, size_t i)
{
    return i + 1 < chain->count
           && chain->links[i].token != NULL
           && chain->links[i + 1].token != NULL
           && !bytes_equal(chain->links[i].token->aud,
                           chain->links[i + 1].token->iss);
}


static int
breaks_depth(const mesh_chain_t *chain, size_t i)
{
    return i == 0 && chain->count > chain->ask->trust->limits.depth_max;
}


static int
breaks_width(const mesh_chain_t *chain, size_t i)
{
    const ucan_token_t  *token, *proof;

    token = chain->links[i].token;

    if (i == 0 || token == NULL || chain->links[i - 1].token == NULL) {
        return 0;
    }

    proof = chain->links[i - 1].token;

    if (token->kind == UCAN_TOKEN_JWT) {
        return count_live(&chain->links[i])
               && !count_live(&chain->links[i - 1]);
    }

    /* a session claims nothing: its holder is asked for each command */

    if (token == chain->ask->bundle->top
        && chain->ask->chain->kind == UCAN_CHAIN_SESSION)
    {
        return 0;
    }

    return !ucan_chain_covers(proof->cmd, token->cmd);
}


static int
breaks_life(const mesh_chain_t *chain, size_t i)
{
    return i + 1 < chain->count
           && chain->links[i].token != NULL
           && chain->links[i + 1].token != NULL
           && chain->links[i].token->kind == UCAN_TOKEN_JWT
           && ucan_walk_jwt_link(chain->links[i + 1].token,
                                 chain->links[i].token) == UCAN_OUTLIVES;
}


static int
breaks_command(const mesh_chain_t *chain, size_t i)
{
    const mesh_ask_t    *ask;
    const ucan_token_t  *token;

    ask = chain->ask;
    token = chain->links[i].token;

    if (token == NULL) {
        return 0;
    }

    if (token->kind == UCAN_TOKEN_JWT) {
        return token == ask->bundle->top
               && (token->capability_count == 0
                   || (ask->opened && !count_live(&chain->links[i])));
    }

    if (!ask->opened) {
        return 0;
    }

    if (ask->request == NULL) {
        return ask->resource != NULL && token == ask->bundle->top;
    }

    if (token == ask->bundle->top) {
        return ask->chain->kind == UCAN_CHAIN_INVOCATION
               && !bytes_equal(token->cmd, ask->request->command);
    }

    return ask->chain->kind == UCAN_CHAIN_SESSION
           && !ucan_chain_covers(token->cmd, ask->request->command);
}


static int
breaks_policy(const mesh_chain_t *chain, size_t i)
{
    return chain->links[i].token != NULL
           && mesh_why_ask_arguments(chain, i) != NULL;
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
count_live(const mesh_link_t *link)
{
    size_t  i;

    for (i = 0; link->live != NULL && i < link->token->capability_count; i++)
    {
        if (link->live[i]) {
            return 1;
        }
    }

    return 0;
}
