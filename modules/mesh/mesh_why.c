/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Sentences about the chain itself: links, times, signatures, roots.  Those
 * about what is asked for are in mesh_why_ask.c.
 */


#include "mesh_show.h"
#include "mesh_why.h"


static const char *name_top(const ucan_token_t *token);
static const char *name_revoker(const mesh_chain_t *chain, size_t i);
static const char *list_dids(const bytes_t *list, size_t count);
static const char *list_audiences(const mesh_chain_t *chain);
static void say_stranger(mesh_rule_t *rule, const mesh_chain_t *chain,
    const ucan_token_t *first);


void
mesh_why_session(mesh_rule_t *rule, const mesh_chain_t *chain, size_t i)
{
    const ucan_token_t  *top, *last;

    top = chain->ask->bundle->top;
    last = chain->links[i].token;

    if (top == NULL) {
        rule->reason = "there are only delegations: they say what somebody "
                       "may do, not who is asking, and anybody can carry "
                       "them";
        rule->cure = mesh_format("make a token of them with the key of %s: "
                                 "\"mesh token --key FILE --audience DID "
                                 "--proof TOKENS\"",
                                 mesh_show_did(last->aud));
        return;
    }

    rule->cure = "make the session with \"mesh token\"";

    if (!bytes_equal(top->iss, top->sub)) {
        rule->reason = mesh_format("the session #%zu is issued by %s about "
                                   "%s; a holder opens a session about "
                                   "itself alone", i + 1,
                                   mesh_show_did(top->iss),
                                   mesh_show_did(top->sub));

    } else if (top->nonce.len == 0) {
        rule->reason = mesh_format("the session #%zu has no nonce", i + 1);

    } else {
        rule->reason = mesh_format("the session #%zu names proofs; a session "
                                   "names none, its delegations are found by "
                                   "their audience", i + 1);
    }
}


void
mesh_why_audience(mesh_rule_t *rule, const mesh_chain_t *chain, size_t i)
{
    const ucan_trust_t  *trust;

    trust = chain->ask->trust;

    rule->reason = mesh_format("#%zu is for %s, but %s is asked", i + 1,
                               mesh_show_did(chain->links[i].token->aud),
                               list_dids(trust->audiences,
                                         trust->audience_count));
    rule->cure = mesh_format("make the %s for the one that is asked "
                             "(--audience)",
                             name_top(chain->links[i].token));
}


void
mesh_why_lifetime(mesh_rule_t *rule, const mesh_chain_t *chain, size_t i)
{
    const mesh_ask_t    *ask;
    const ucan_token_t  *top;

    ask = chain->ask;
    top = chain->links[i].token;

    rule->reason = top->has_exp
                   ? mesh_format("#%zu ends %s, at %s; a session may last "
                                 "%s from now on", i + 1,
                                 mesh_show_when(top->exp, ask->now),
                                 mesh_show_time(top->exp),
                                 mesh_show_span(ask->trust->session_max))
                   : mesh_format("#%zu never ends; a session may last %s "
                                 "from now on", i + 1,
                                 mesh_show_span(ask->trust->session_max));
    rule->cure = "make the session with a sooner end (--expires)";
}


void
mesh_why_signature(mesh_rule_t *rule, const mesh_chain_t *chain, size_t i)
{
    rule->reason = mesh_format("the signature of #%zu is none of %s: either "
                               "the token was changed after it was signed, "
                               "or somebody else signed it", i + 1,
                               mesh_show_did(chain->links[i].token->iss));
    rule->cure = "get the token again, whole, from who issued it";
}


void
mesh_why_version(mesh_rule_t *rule, const mesh_chain_t *chain, size_t i)
{
    ucan_token_t  *token, *below;

    token = chain->links[i].token;

    if (ucan_token_verify(token) == UCAN_UNSUPPORTED) {
        rule->reason = mesh_format("#%zu is issued by %s, a key of a kind "
                                   "that signs nothing here", i + 1,
                                   mesh_show_did(token->iss));
        rule->cure = "its issuer needs a key of Ed25519, P-256, P-384, "
                     "P-521, secp256k1 or RSA (mesh key new --type)";
        return;
    }

    below = chain->links[i + 1].token;

    rule->reason = mesh_format("#%zu is of %s, and its proof #%zu of %s; a "
                               "proof is never newer than what stands on it",
                               i + 2, mesh_show_version(below), i + 1,
                               mesh_show_version(token));
    rule->cure = mesh_format("issue #%zu again as %s (--format)", i + 2,
                             mesh_show_version(token));
}


void
mesh_why_expiry(mesh_rule_t *rule, const mesh_chain_t *chain, size_t i)
{
    const ucan_token_t  *token;

    token = chain->links[i].token;

    rule->reason = mesh_format("#%zu expired %s, at %s", i + 1,
                               mesh_show_when(token->exp, chain->ask->now),
                               mesh_show_time(token->exp));
    rule->cure = (token == chain->ask->bundle->top)
                 ? mesh_format("make a new %s", name_top(token))
                 : mesh_format("ask %s for a new delegation",
                               mesh_show_did(token->iss));
}


void
mesh_why_beginning(mesh_rule_t *rule, const mesh_chain_t *chain, size_t i)
{
    const ucan_token_t  *token;

    token = chain->links[i].token;

    rule->reason = mesh_format("#%zu begins only %s, at %s", i + 1,
                               mesh_show_when(token->nbf, chain->ask->now),
                               mesh_show_time(token->nbf));
    rule->cure = "wait until then, or look whether a clock is wrong";
}


void
mesh_why_revocation(mesh_rule_t *rule, const mesh_chain_t *chain, size_t i)
{
    const ucan_token_t  *token;

    token = chain->links[i].token;

    rule->reason = mesh_format("#%zu, %s, was revoked by %s", i + 1,
                               mesh_show_cid(&chain->links[i].cid),
                               name_revoker(chain, i));

    rule->cure = (token != NULL && token == chain->ask->bundle->top)
                 ? mesh_format("make a new %s; a revocation is never taken "
                               "back", name_top(token))
                 : "ask its issuer for a new delegation; a revocation is "
                   "never taken back";
}


void
mesh_why_proof(mesh_rule_t *rule, const mesh_chain_t *chain, size_t i)
{
    const mesh_link_t   *link;
    const ucan_token_t  *token;

    link = &chain->links[i];
    token = link->token;

    if (token == NULL) {
        rule->reason = (i + 1 < chain->count)
                       ? mesh_format("proof %s is named by #%zu but not "
                                     "given", mesh_show_cid(&link->cid),
                                     i + 2)
                       : mesh_format("proof %s is not given",
                                     mesh_show_cid(&link->cid));
        rule->cure = "give that proof along: in the container, in the "
                     "header \"ucans\", here with --proofs";
        return;
    }

    if (token->foreign) {
        rule->reason = mesh_format("#%zu names a proof by a CID of a kind "
                                   "that no token here can have", i + 1);
        rule->cure = mesh_format("%s has to issue #%zu again with CIDs of "
                                 "sha2-256", mesh_show_did(token->iss),
                                 i + 1);
        return;
    }

    rule->reason = mesh_format("#%zu is an invocation by %s about %s, and "
                               "names no proof", i + 1,
                               mesh_show_did(token->iss),
                               mesh_show_did(token->sub));
    rule->cure = "make it with the delegations from the subject to the "
                 "issuer (--proof)";
}


void
mesh_why_root(mesh_rule_t *rule, const mesh_chain_t *chain, size_t i)
{
    size_t               k;
    const ucan_token_t  *first;
    const ucan_trust_t  *trust;

    first = chain->links[i].token;
    trust = chain->ask->trust;

    for (k = 0; k < trust->anchor_count; k++) {

        if (!bytes_equal(trust->anchors[k], first->iss)
            || first->kind != UCAN_TOKEN_DELEGATION)
        {
            continue;
        }

        rule->reason = (first->sub.len == 0)
                       ? mesh_format("#%zu is a powerline and names no "
                                     "subject; a root has to name itself",
                                     i + 1)
                       : mesh_format("#%zu is issued by %s about %s; a root "
                                     "gives only what is its own", i + 1,
                                     mesh_show_did(first->iss),
                                     mesh_show_did(first->sub));
        rule->cure = "the root has to issue it again with itself as the "
                     "subject (--subject)";
        return;
    }

    say_stranger(rule, chain, first);
}


void
mesh_why_subject(mesh_rule_t *rule, const mesh_chain_t *chain, size_t i)
{
    const ucan_token_t  *token, *top;
    const ucan_trust_t  *trust;

    token = chain->links[i].token;
    top = chain->ask->bundle->top;
    trust = chain->ask->trust;

    if (token != top && chain->ask->chain->kind == UCAN_CHAIN_INVOCATION
        && top != NULL)
    {
        rule->reason = mesh_format("#%zu is about %s, but the invocation is "
                                   "about %s", i + 1,
                                   token->sub.len != 0
                                   ? mesh_show_did(token->sub)
                                   : "any subject",
                                   mesh_show_did(top->sub));
        rule->cure = "use the delegations that are about the subject of the "
                     "invocation, or name theirs (--subject)";
        return;
    }

    rule->reason = mesh_format("#%zu is about %s, and only %s is served "
                               "here", i + 1, mesh_show_did(token->sub),
                               list_dids(trust->anchors,
                                         trust->anchor_count));
    rule->cure = mesh_format("make it about one that is served, or have the "
                             "verifier trust %s (--trust, ucan_trust)",
                             mesh_show_did(token->sub));
}


void
mesh_why_link(mesh_rule_t *rule, const mesh_chain_t *chain, size_t i)
{
    const ucan_token_t  *above, *below;

    above = chain->links[i].token;
    below = chain->links[i + 1].token;

    rule->reason = mesh_format("the audience of #%zu is %s, but #%zu is "
                               "issued by %s", i + 1,
                               mesh_show_did(above->aud), i + 2,
                               mesh_show_did(below->iss));
    rule->cure = mesh_format("a delegation from %s to %s is missing between "
                             "them, or #%zu was signed with the wrong key",
                             mesh_show_did(above->aud),
                             mesh_show_did(below->iss), i + 2);
}


void
mesh_why_depth(mesh_rule_t *rule, const mesh_chain_t *chain, size_t i)
{
    (void) i;

    rule->reason = mesh_format("the chain has %zu tokens, and at most %zu "
                               "are taken", chain->count,
                               chain->ask->trust->limits.depth_max);
    rule->cure = "get a delegation from somebody closer to the root, or "
                 "raise the limit (ucan_depth)";
}


void
mesh_why_life(mesh_rule_t *rule, const mesh_chain_t *chain, size_t i)
{
    const ucan_token_t  *proof, *token;

    proof = chain->links[i].token;
    token = chain->links[i + 1].token;

    if (proof->has_exp && (!token->has_exp || token->exp > proof->exp)) {
        rule->reason = mesh_format("#%zu ends %s%s, its proof #%zu at %s; in "
                                   "0.x nothing outlives its proof", i + 2,
                                   token->has_exp ? "at " : "",
                                   token->has_exp ? mesh_show_time(token->exp)
                                                  : "never",
                                   i + 1, mesh_show_time(proof->exp));
        rule->cure = mesh_format("issue #%zu with that end or a sooner one "
                                 "(--expires)", i + 2);
        return;
    }

    rule->reason = mesh_format("#%zu begins %s, before its proof #%zu does "
                               "at %s", i + 2,
                               token->has_nbf
                               ? mesh_show_time(token->nbf) : "at once",
                               i + 1, mesh_show_time(proof->nbf));
    rule->cure = mesh_format("issue #%zu with that beginning or a later one "
                             "(--not-before)", i + 2);
}


static const char *
name_top(const ucan_token_t *token)
{
    return (token->kind == UCAN_TOKEN_JWT
            || bytes_equal_text(token->cmd, UCAN_CHAIN_SESSION_OPEN))
           ? "session (mesh token)" : "invocation (mesh invoke)";
}


/* The issuer of the link, or of one above it; or the bare CID of a file. */
static const char *
name_revoker(const mesh_chain_t *chain, size_t i)
{
    size_t               k;
    const ucan_trust_t  *trust;
    const ucan_token_t  *token;

    trust = chain->ask->trust;

    for (k = i + 1; k-- > 0; /* void */ ) {

        token = chain->links[k].token;

        if (token != NULL
            && trust->revoked_by != NULL
            && trust->revoked_by(trust->data, &chain->links[i].cid,
                                 token->iss))
        {
            return (k == i) ? mesh_format("its issuer, %s",
                                          mesh_show_did(token->iss))
                            : mesh_format("the issuer of #%zu, %s", k + 1,
                                          mesh_show_did(token->iss));
        }
    }

    return "the operator";
}


static const char *
list_dids(const bytes_t *list, size_t count)
{
    size_t       i;
    const char  *text;

    text = "nobody";

    for (i = 0; i < count; i++) {
        text = (i == 0) ? mesh_show_did(list[0])
                        : mesh_format("%s or %s", text,
                                      mesh_show_did(list[i]));
    }

    return text;
}


/* For whom the delegations are that came along. */
static const char *
list_audiences(const mesh_chain_t *chain)
{
    size_t               i, k, n;
    bytes_t              dids[UCAN_TOKEN_COUNT_MAX];
    const ucan_token_t  *token;

    n = 0;

    for (i = 0; i < chain->ask->bundle->count; i++) {

        token = &chain->ask->bundle->tokens[i];

        if (token == chain->ask->bundle->top) {
            continue;
        }

        for (k = 0; k < n && !bytes_equal(dids[k], token->aud); k++) {
            /* void */
        }

        if (k == n) {
            dids[n++] = token->aud;
        }
    }

    return (n != 0) ? list_dids(dids, n) : NULL;
}


static void
say_stranger(mesh_rule_t *rule, const mesh_chain_t *chain,
    const ucan_token_t *first)
{
    const char          *roots, *audiences;
    const ucan_token_t  *top;

    top = chain->ask->bundle->top;

    roots = (top != NULL
             && chain->ask->chain->kind == UCAN_CHAIN_INVOCATION)
            ? mesh_show_did(top->sub)
            : list_dids(chain->ask->trust->anchors,
                        chain->ask->trust->anchor_count);

    rule->cure = mesh_format("a delegation from %s, or from somebody it "
                             "delegated to, to %s is needed (--proof); or "
                             "have the verifier trust %s (--trust, "
                             "ucan_trust)", roots,
                             mesh_show_did(first->iss),
                             mesh_show_did(first->iss));

    if (chain->count > 1) {
        rule->reason = mesh_format("the chain begins with #1, issued by %s, "
                                   "which is not the root that is trusted, "
                                   "%s", mesh_show_did(first->iss), roots);
        return;
    }

    audiences = list_audiences(chain);

    rule->reason = (audiences == NULL)
                   ? mesh_format("no delegation is given for %s, who is not "
                                 "the root that is trusted, %s",
                                 mesh_show_did(first->iss), roots)
                   : mesh_format("none of the delegations given is for the "
                                 "holder, %s; they are for %s",
                                 mesh_show_did(first->iss), audiences);
}
