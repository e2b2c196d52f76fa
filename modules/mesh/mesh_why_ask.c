/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Sentences about what is asked for: commands, resources, policies, caveats,
 * arguments and the HTTP request.
 */


#include "mesh_show.h"
#include "mesh_why_ask.h"
#include "ucan_caveat.h"
#include "ucan_policy.h"
#include "ucan_selector.h"


#define MESH_WHY_WORK       (4 * 1024 * 1024)   /* steps of one policy */
#define MESH_WHY_CAPS_MAX   4                   /* capabilities in a
                                                   sentence */
#define MESH_WHY_SELECTORS  16                  /* of one statement */


typedef struct {
    bytes_t  list[MESH_WHY_SELECTORS];
    size_t   count;
} mesh_why_selectors_t;


static const char *asked_for(const mesh_ask_t *ask);
static const char *refuse_policy(const mesh_ask_t *ask, bytes_t policy);
static int match_statement(const mesh_ask_t *ask,
    const cbor_item_t *statement);
static const char *show_values(const mesh_ask_t *ask,
    const cbor_item_t *statement);
static void collect(mesh_why_selectors_t *s, const cbor_item_t *statement);
static void add_selector(mesh_why_selectors_t *s, bytes_t selector);
static const char *show_selected(bytes_t selector, const cbor_item_t *root);
static const char *refuse_args(const mesh_ask_t *ask,
    const ucan_token_t *top);
static const char *refuse_caveats(const mesh_chain_t *chain,
    const mesh_link_t *top);
static const char *show_facts(const mesh_ask_t *ask);


void
mesh_why_ask_width(mesh_rule_t *rule, const mesh_chain_t *chain, size_t i)
{
    const ucan_token_t  *token;

    token = chain->links[i].token;

    rule->reason = mesh_format("#%zu claims %s, its proof #%zu gives %s",
                               i + 1, mesh_why_ask_given(&chain->links[i]), i,
                               mesh_why_ask_given(&chain->links[i - 1]));

    rule->cure = (token == chain->ask->bundle->top)
                 ? mesh_format("claim what is given and no more, or ask %s "
                               "for more",
                               mesh_show_did(chain->links[i - 1].token->iss))
                 : mesh_format("%s has to issue #%zu anew, as narrow as "
                               "what it has",
                               mesh_show_did(token->iss), i + 1);
}


void
mesh_why_ask_command(mesh_rule_t *rule, const mesh_chain_t *chain, size_t i)
{
    const mesh_ask_t    *ask;
    const ucan_token_t  *token;

    ask = chain->ask;
    token = chain->links[i].token;

    rule->cure = mesh_format("ask %s for a delegation of it",
                             mesh_show_did(chain->links[0].token->iss));

    if (token->kind == UCAN_TOKEN_JWT && token->capability_count == 0) {
        rule->reason = mesh_format("#%zu claims nothing: it has no "
                                   "capabilities, or only those of my:, as:, "
                                   "prf: and ucan:, which are not followed "
                                   "here", i + 1);
        rule->cure = "make it again with the resources and abilities "
                     "themselves (mesh token)";
        return;
    }

    if (token->kind != UCAN_TOKEN_JWT && ask->request == NULL) {
        rule->reason = mesh_format("#%zu is of 1.0, which has commands and "
                                   "no resources", i + 1);
        rule->cure = "ask with --command";
        return;
    }

    if (token->kind == UCAN_TOKEN_INVOCATION) {
        rule->reason = mesh_format("#%zu is an invocation of %s and allows "
                                   "nothing else; %s is asked", i + 1,
                                   mesh_show_text(token->cmd),
                                   asked_for(ask));
        rule->cure = mesh_format("make an invocation of %s (mesh invoke)",
                                 asked_for(ask));
        return;
    }

    rule->reason = mesh_format("#%zu gives %s, which does not cover %s",
                               i + 1, mesh_why_ask_given(&chain->links[i]),
                               asked_for(ask));
}


void
mesh_why_ask_policy(mesh_rule_t *rule, const mesh_chain_t *chain, size_t i)
{
    const ucan_token_t  *token, *giver;

    token = chain->links[i].token;

    rule->reason = mesh_why_ask_arguments(chain, i);

    if (token->kind == UCAN_TOKEN_INVOCATION) {
        rule->cure = "make an invocation with the arguments that are asked "
                     "for (mesh invoke --arg)";
        return;
    }

    /* the holder of a 0.x token can but claim what it was given */

    giver = (token->kind == UCAN_TOKEN_JWT && i != 0
             && chain->links[i - 1].token != NULL)
            ? chain->links[i - 1].token : token;

    rule->cure = mesh_format("ask for what #%zu allows, or %s for a "
                             "delegation that allows this", i + 1,
                             mesh_show_did(giver->iss));
}


void
mesh_why_ask_request(mesh_rule_t *rule, const mesh_chain_t *chain, size_t i)
{
    rule->reason = mesh_why_http(chain->ask, chain->links[i].token);
    rule->cure = (chain->ask->http == NULL)
                 ? "say which request it is for (--http \"METHOD URL\")"
                 : "make an invocation for this very request (mesh invoke "
                   "--http \"METHOD URL\")";
}


const char *
mesh_why_ask_arguments(const mesh_chain_t *chain, size_t i)
{
    const char          *refused;
    const mesh_ask_t    *ask;
    const ucan_token_t  *token;

    ask = chain->ask;
    token = chain->links[i].token;

    switch (token->kind) {

    case UCAN_TOKEN_DELEGATION:

        if (ask->args.len == 0
            || (!ask->opened && ask->chain->kind == UCAN_CHAIN_SESSION))
        {
            return NULL;
        }

        refused = refuse_policy(ask, token->policy);

        return (refused == NULL) ? NULL
                                 : mesh_format("the policy of #%zu wants %s",
                                               i + 1, refused);

    case UCAN_TOKEN_INVOCATION:

        if (ask->request == NULL
            || !ask->opened
            || ask->chain->kind == UCAN_CHAIN_SESSION)
        {
            return NULL;
        }

        refused = refuse_args(ask, token);

        return (refused == NULL) ? NULL
                                 : mesh_format("#%zu is signed %s", i + 1,
                                               refused);

    default:

        if (token != ask->bundle->top || !ask->opened) {
            return NULL;
        }

        refused = refuse_caveats(chain, &chain->links[i]);

        return (refused == NULL) ? NULL
                                 : mesh_format("#%zu gives this only if %s",
                                               i + 1, refused);
    }
}


const char *
mesh_why_ask_given(const mesh_link_t *link)
{
    size_t               i, n, live;
    const char          *text, *one;
    const ucan_token_t  *token;

    token = link->token;

    if (token->kind != UCAN_TOKEN_JWT) {
        return mesh_show_text(token->cmd);
    }

    live = 0;

    for (i = 0; link->live != NULL && i < token->capability_count; i++) {
        live += link->live[i];
    }

    n = 0;
    text = "nothing";

    for (i = 0; i < token->capability_count; i++) {

        if (live != 0 && !link->live[i]) {
            continue;
        }

        if (n == MESH_WHY_CAPS_MAX) {
            return mesh_format("%s, ...", text);
        }

        one = mesh_show_capability(&token->capabilities[i]);
        text = (n++ == 0) ? one : mesh_format("%s, %s", text, one);
    }

    return text;
}


static const char *
asked_for(const mesh_ask_t *ask)
{
    ucan_token_cap_t  want;

    if (ask->bundle->top != NULL
        && ask->bundle->top->kind == UCAN_TOKEN_JWT
        && mesh_chain_want(ask, 0, &want))
    {
        want.caveat = bytes_make(NULL, 0);
        return mesh_show_capability(&want);
    }

    return (ask->request != NULL) ? mesh_show_text(ask->request->command)
                                  : "anything";
}


/* The first statement that is false, and the values it is about. */
static const char *
refuse_policy(const mesh_ask_t *ask, bytes_t policy)
{
    size_t          work;
    cbor_item_t     list, statement;
    bytes_reader_t  r;

    work = MESH_WHY_WORK;

    if (ucan_policy_match(policy, ask->args, &work)
        || cbor_read(policy, &list) != 0)
    {
        return NULL;
    }

    bytes_reader_open(&r, list.body);

    while (bytes_reader_left(&r) != 0 && cbor_next(&r, &statement) == 0) {

        if (!match_statement(ask, &statement)) {
            return mesh_format("%s, but %s", mesh_show_statement(&statement),
                               show_values(ask, &statement));
        }
    }

    return "more steps than are taken";
}


static int
match_statement(const mesh_ask_t *ask, const cbor_item_t *statement)
{
    size_t          size, work;
    bytes_writer_t  w;

    size = statement->raw.len + 16;
    work = MESH_WHY_WORK;

    bytes_writer_open(&w, mesh_alloc(size), size);
    cbor_write_list(&w, 1);
    bytes_writer_bytes(&w, statement->raw);

    return ucan_policy_match(bytes_writer_view(&w), ask->args, &work);
}


static const char *
show_values(const mesh_ask_t *ask, const cbor_item_t *statement)
{
    size_t                i;
    const char           *text, *one;
    cbor_item_t           root;
    mesh_why_selectors_t  s;

    s.count = 0;
    collect(&s, statement);

    if (s.count == 0 || cbor_read(ask->args, &root) != 0) {
        return "that is never so";
    }

    text = "";

    for (i = 0; i < s.count; i++) {
        one = show_selected(s.list[i], &root);
        text = (i == 0) ? one : mesh_format("%s and %s", text, one);
    }

    return text;
}


/* The selectors that are resolved over the arguments themselves: not those
   inside "all" and "any". */
static void
collect(mesh_why_selectors_t *s, const cbor_item_t *statement)
{
    cbor_item_t     op, item, inner;
    bytes_reader_t  r, list;

    bytes_reader_open(&r, statement->body);

    if (statement->type != CBOR_LIST
        || cbor_next(&r, &op) != 0
        || cbor_next(&r, &item) != 0)
    {
        return;
    }

    if (item.type == CBOR_TEXT) {
        add_selector(s, item.bytes);

    } else if (bytes_equal_text(op.bytes, "not")) {
        collect(s, &item);

    } else {
        bytes_reader_open(&list, item.body);

        while (bytes_reader_left(&list) != 0
               && cbor_next(&list, &inner) == 0)
        {
            collect(s, &inner);
        }
    }
}


static void
add_selector(mesh_why_selectors_t *s, bytes_t selector)
{
    size_t  i;

    for (i = 0; i < s->count; i++) {
        if (bytes_equal(s->list[i], selector)) {
            return;
        }
    }

    if (s->count < MESH_WHY_SELECTORS) {
        s->list[s->count++] = selector;
    }
}


static const char *
show_selected(bytes_t selector, const cbor_item_t *root)
{
    const char             *name;
    ucan_selector_value_t   value;

    name = mesh_show_text(selector);

    switch (ucan_selector_resolve(selector, root, &value)) {

    case UCAN_SELECTOR_FOUND:
        return value.sliced ? mesh_format("%s is another", name)
                            : mesh_format("%s is %s", name,
                                          mesh_show_value(&value.item));

    case UCAN_SELECTOR_NULL:
        return mesh_format("%s is absent", name);

    default:
        return mesh_format("%s cannot be found", name);
    }
}


/* What is asked must be in what was signed. */
static const char *
refuse_args(const mesh_ask_t *ask, const ucan_token_t *top)
{
    size_t             i;
    cbor_item_t        map, value;
    const ucan_arg_t  *arg;

    if (cbor_read(top->args, &map) != 0) {
        return NULL;
    }

    for (i = 0; i < ask->request->arg_count; i++) {

        arg = &ask->request->args[i];

        if (cbor_map_find(&map, arg->name, &value) != 0) {
            return mesh_format("without the argument %s, and %s=%s is asked",
                               mesh_show_text(arg->name),
                               mesh_show_text(arg->name),
                               mesh_show_text(arg->value));
        }

        if (value.type != CBOR_TEXT || !bytes_equal(value.bytes, arg->value))
        {
            return mesh_format("for %s=%s, and %s=%s is asked",
                               mesh_show_text(arg->name),
                               value.type == CBOR_TEXT
                               ? mesh_show_text(value.bytes)
                               : mesh_show_value(&value),
                               mesh_show_text(arg->name),
                               mesh_show_text(arg->value));
        }
    }

    return NULL;
}


/* Of a 0.x top: the caveats of those capabilities that are about what is
   asked, when none of them is met. */
static const char *
refuse_caveats(const mesh_chain_t *chain, const mesh_link_t *top)
{
    size_t                i, work;
    const char           *text, *caveat;
    const mesh_ask_t     *ask;
    ucan_caveat_facts_t   facts;

    ask = chain->ask;

    if (ask->request == NULL && ask->resource == NULL) {
        return NULL;
    }

    memset(&facts, 0, sizeof(facts));

    if (ask->request != NULL) {
        facts.args = ask->request->args;
        facts.arg_count = ask->request->arg_count;

    } else {
        facts.json = ask->facts;
    }

    text = NULL;

    for (i = 0; i < top->token->capability_count; i++) {

        if (top->live == NULL || !top->live[i]) {
            continue;
        }

        work = MESH_WHY_WORK;

        if (ucan_caveat_match(top->token->capabilities[i].caveat, &facts,
                              &work))
        {
            return NULL;
        }

        caveat = mesh_show_json(top->token->capabilities[i].caveat);
        text = (text == NULL) ? caveat
                              : mesh_format("%s or %s", text, caveat);
    }

    return (text == NULL) ? NULL : mesh_format("%s, but %s", text,
                                               show_facts(ask));
}


static const char *
show_facts(const mesh_ask_t *ask)
{
    size_t             i;
    const char        *text;
    const ucan_arg_t  *arg;

    if (ask->request == NULL) {
        return (ask->facts.len == 0)
               ? "nothing is stated"
               : mesh_format("%s is stated", mesh_show_json(ask->facts));
    }

    text = "";

    for (i = 0; i < ask->request->arg_count; i++) {
        arg = &ask->request->args[i];
        text = mesh_format("%s%s%s=%s", text, i == 0 ? "" : " ",
                           mesh_show_text(arg->name),
                           mesh_show_text(arg->value));
    }

    return (*text == '\0') ? "there are no arguments"
                           : mesh_format("%s is asked", text);
}
