/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * mesh verify: what a mesh would say to a token, by the same code, and with
 * --explain why.  Of revocations it knows those it is given.
 */


#include <string.h>

#include "json_scan.h"
#include "mesh_explain.h"
#include "mesh_http.h"
#include "mesh_json.h"
#include "mesh_request.h"
#include "mesh_revoked.h"
#include "mesh_show.h"
#include "mesh_source.h"


#define MESH_VERIFY_TRUST_MAX    16
#define MESH_VERIFY_SESSION_MAX  "24h"
#define MESH_VERIFY_TEXT_MAX     (2 * 1024 * 1024)    /* of the answer */


typedef struct {
    bytes_t             audience;
    bytes_t             anchors[MESH_VERIFY_TRUST_MAX];
    ucan_trust_t        trust;
    mesh_source_t       source;
    mesh_args_t         args;
    int64_t             now;
    ucan_bundle_t       bundle;
    ucan_chain_t        chain;
    ucan_request_t      request;
    ucan_resource_t     resource;
    ucan_http_t         http;
    mesh_revoked_set_t  revoked;
    mesh_ask_t          ask;
    const char         *culprit;      /* of what cannot even be read */
    mesh_explain_t      explain;
} mesh_verify_t;


static int run(mesh_line_t *line);
static int read_options(mesh_verify_t *v, const mesh_line_t *line);
static int read_limits(mesh_verify_t *v, const mesh_line_t *line);
static int read_trust(mesh_verify_t *v, const mesh_line_t *line);
static int read_question(mesh_verify_t *v, const mesh_line_t *line);
static int read_resource(mesh_verify_t *v, const mesh_line_t *line);
static int read_tokens(mesh_verify_t *v, const mesh_line_t *line);
static int verify_token(mesh_verify_t *v, const mesh_line_t *line);
static ucan_verdict_t ask_chain(mesh_verify_t *v);
static int make_args(mesh_verify_t *v, const mesh_line_t *line);
static void print_json(const mesh_verify_t *v, int explained);
static void write_chain(const mesh_verify_t *v, json_write_t *j);
static void print_text(const mesh_verify_t *v);


static const mesh_option_t  mesh_verify_options[] = {
    { "audience",    1, 0 },
    { "trust",       1, 1 },
    { "command",     1, 0 },
    { "arg",         1, 1 },
    { "resource",    1, 0 },
    { "ability",     1, 0 },
    { "prefix",      0, 0 },
    { "facts",       1, 0 },
    { "http",        1, 0 },
    { "origin",      1, 0 },
    { "agent",       1, 0 },
    { "proofs",      1, 1 },
    { "revocations", 1, 1 },
    { "at",          1, 0 },
    { "leeway",      1, 0 },
    { "session-max", 1, 0 },
    { "explain",     0, 0 },
    { NULL,          0, 0 }
};


const mesh_command_t  mesh_verify_command = {
    "verify",
    "ask what a mesh would say to a token, and why",

    "usage: mesh verify TOKEN --audience DID [--trust DID]... [--explain]\n"
    "                   [--command COMMAND [--arg NAME=VALUE]...]\n"
    "                   [--resource URI [--ability ABILITY] [--prefix]\n"
    "                    [--facts JSON]]\n"
    "                   [--http \"METHOD URL\" [--origin O] [--agent A]]\n"
    "                   [--proofs TOKENS]... [--revocations FILE]...\n"
    "                   [--at TIME] [--leeway TIME] [--session-max TIME]\n"
    "\n"
    "Checks a bearer token as nginx does: form, holder, time, audience, and\n"
    "a chain of narrowing delegations from a trusted root; with --command or\n"
    "--resource also whether it allows that.  Prints the verdict, and when\n"
    "it is no the first rule that failed and the CID of the token that broke\n"
    "it.  Exit code 0: accepted; 1: refused.\n"
    "\n"
    "  TOKEN             text, file, @file, or - for stdin\n"
    "  --audience DID    the mesh that is asked; a file does as well\n"
    "  --trust DID       who may be the root; the audience when absent\n"
    "  --explain         the chain link by link, which values broke which\n"
    "                    rule, what would cure it, and what was presented\n"
    "                    for nothing\n"
    "  --command, --arg  /room/send, room=r_...\n"
    "  --resource URI    for 0.x: may the holder do --ability with this\n"
    "  --ability A       thing?  Without one, the command without its\n"
    "                    slash.  --prefix: resources cover what lies below\n"
    "                    them.  Caveats have to agree with --arg, or, when\n"
    "                    there is no --command, with the JSON object of\n"
    "                    --facts\n"
    "  --http            \"GET http://localhost:4000/api/rooms\": the\n"
    "                    request that policies on .http and invocations\n"
    "                    made with --http are about; --origin and --agent\n"
    "                    are its headers\n"
    "  --proofs TOKENS   for 0.x: what the header \"ucans\" would hold\n"
    "  --revocations F   a file of revocations, one a line: CIDs, records,\n"
    "                    containers (mesh revoke)\n"
    "  --at TIME         as if it were then\n"
    "  --leeway TIME     how wrong clocks may be; 0s when absent\n"
    "  --session-max T   how long a session may last; 24h when absent,\n"
    "                    \"never\": for ever\n"
    "\n"
    "    mesh verify \"$TOKEN\" --audience data/mesh.did \\\n"
    "        --command /room/read --arg room=r_06f... --explain\n",

    mesh_verify_options,
    run
};


static int
run(mesh_line_t *line)
{
    int             rc, explained;
    mesh_verify_t  *v;

    if (line->word_count == 0) {
        return mesh_refuse_usage("which token? (- is stdin)");
    }

    v = mesh_alloc(sizeof(mesh_verify_t));

    rc = read_options(v, line);
    if (rc != MESH_OK) {
        return rc;
    }

    rc = verify_token(v, line);
    if (rc != MESH_OK) {
        return rc;
    }

    explained = mesh_option_find(line, "explain") && v->culprit == NULL;

    if (explained) {
        mesh_explain_open(&v->explain, &v->ask, &v->source);
    }

    if (mesh_option_find(line, "json")) {
        print_json(v, explained);

    } else if (explained) {
        mesh_explain_print(&v->explain);

    } else {
        print_text(v);
    }

    return (v->ask.verdict == UCAN_OK) ? MESH_OK : MESH_REFUSED;
}


static int
read_options(mesh_verify_t *v, const mesh_line_t *line)
{
    int          rc, given;
    const char  *at;

    v->now = (int64_t) time(NULL);

    at = mesh_option_get(line, "at");

    if (at != NULL
        && (mesh_option_time(at, v->now, &v->now) != 0 || v->now < 0))
    {
        return mesh_refuse_usage("\"--at %s\" is no time", at);
    }

    rc = read_limits(v, line);

    if (rc == MESH_OK) {
        rc = read_trust(v, line);
    }

    if (rc == MESH_OK) {
        rc = read_question(v, line);
    }

    if (rc == MESH_OK) {
        rc = mesh_http_read(line, &v->http, &given);
        v->ask.http = given ? &v->http : NULL;
    }

    if (rc == MESH_OK) {
        rc = mesh_revoked_read(&v->revoked, line, &v->trust);
    }

    return (rc == MESH_OK) ? read_tokens(v, line) : rc;
}


static int
read_limits(mesh_verify_t *v, const mesh_line_t *line)
{
    const char  *span;

    span = mesh_option_get(line, "session-max");

    if (span != NULL && strcmp(span, "never") == 0) {
        v->trust.session_max = MESH_OPTION_NEVER;

    } else if (mesh_option_span(span != NULL ? span : MESH_VERIFY_SESSION_MAX,
                                &v->trust.session_max) != 0)
    {
        return mesh_refuse_usage("\"--session-max %s\" is no span; 12h or "
                                 "never was expected", span);
    }

    span = mesh_option_get(line, "leeway");

    if (span != NULL && mesh_option_span(span, &v->trust.leeway) != 0) {
        return mesh_refuse_usage("\"--leeway %s\" is no span; 30s was "
                                 "expected", span);
    }

    return MESH_OK;
}


static int
read_trust(mesh_verify_t *v, const mesh_line_t *line)
{
    int           rc;
    size_t        i;
    bytes_t       did;
    const char   *value;
    mesh_line_t  *one;

    rc = mesh_request_did(line, "audience", 1, &v->audience);
    if (rc != MESH_OK) {
        return rc;
    }

    v->trust.audiences = &v->audience;
    v->trust.audience_count = 1;
    v->trust.anchors = v->anchors;

    ucan_limits_init(&v->trust.limits);

    one = mesh_alloc(sizeof(mesh_line_t));
    one->given_count = 1;
    one->given[0].name = "trust";
    i = 0;

    while ((value = mesh_option_next(line, "trust", &i)) != NULL) {

        one->given[0].value = value;

        rc = mesh_request_did(one, "trust", 1, &did);
        if (rc != MESH_OK) {
            return rc;
        }

        if (v->trust.anchor_count == MESH_VERIFY_TRUST_MAX) {
            return mesh_refuse_usage("too many \"--trust\"");
        }

        v->anchors[v->trust.anchor_count++] = did;
    }

    if (v->trust.anchor_count == 0) {
        v->anchors[v->trust.anchor_count++] = v->audience;
    }

    return MESH_OK;
}


static int
read_question(mesh_verify_t *v, const mesh_line_t *line)
{
    int          rc;
    const char  *command;

    command = mesh_option_get(line, "command");

    rc = mesh_request_args(line, &v->args);

    if (rc == MESH_OK && v->args.arg_count != 0 && command == NULL) {
        return mesh_refuse_usage("\"--arg\" goes with \"--command\"");
    }

    if (rc == MESH_OK && command != NULL) {
        rc = mesh_request_open(&v->request, command, &v->args);
        v->ask.request = &v->request;
    }

    return (rc == MESH_OK) ? read_resource(v, line) : rc;
}


static int
read_resource(mesh_verify_t *v, const mesh_line_t *line)
{
    json_scan_t  object;
    const char  *with, *can, *facts;

    with = mesh_option_get(line, "resource");
    can = mesh_option_get(line, "ability");
    facts = mesh_option_get(line, "facts");

    if (with == NULL && can == NULL && facts == NULL) {
        return MESH_OK;
    }

    if (with == NULL || *with == '\0' || (can != NULL && *can == '\0')) {
        return mesh_refuse_usage("\"--ability\" and \"--facts\" go with "
                                 "\"--resource\"");
    }

    if (can == NULL && v->ask.request == NULL) {
        return mesh_refuse_usage("\"--resource\" goes with \"--ability\" or "
                                 "\"--command\"");
    }

    if (facts != NULL && v->ask.request != NULL) {
        return mesh_refuse_usage("\"--facts\" or \"--command\" with "
                                 "\"--arg\", not both");
    }

    v->resource.with = bytes_of(with);
    v->resource.can = bytes_of(can != NULL ? can : "");
    v->resource.prefix = mesh_option_find(line, "prefix") ? 1 : 0;
    v->trust.prefix = v->resource.prefix;
    v->ask.resource = &v->resource;

    if (facts == NULL) {
        return MESH_OK;
    }

    v->ask.facts = bytes_of(facts);

    if (json_scan_validate(v->ask.facts, NULL) != JSON_SCAN_OK
        || json_scan_open(v->ask.facts, &object) != 0
        || object.type != JSON_SCAN_OBJECT)
    {
        return mesh_refuse_usage("\"--facts\": a JSON object was expected, "
                                 "as {\"host\":\"example.org\"}");
    }

    return MESH_OK;
}


static int
read_tokens(mesh_verify_t *v, const mesh_line_t *line)
{
    int     rc;
    size_t  i;

    for (i = 0; i < line->word_count; i++) {
        rc = mesh_source_add(&v->source, line->words[i]);
        if (rc != MESH_OK) {
            return rc;
        }
    }

    return mesh_source_add_option(&v->source, line, "proofs");
}


static int
verify_token(mesh_verify_t *v, const mesh_line_t *line)
{
    int          rc;
    mesh_ask_t  *ask;

    ask = &v->ask;

    ask->bundle = &v->bundle;
    ask->trust = &v->trust;
    ask->chain = &v->chain;
    ask->now = v->now;

    rc = mesh_source_parse(&v->source, &v->bundle, &ask->verdict,
                           &v->culprit);
    if (rc != MESH_OK) {
        return rc;
    }

    if (ask->verdict != UCAN_OK) {

        if (v->culprit == NULL) {
            v->culprit = "the tokens together";
        }

        return MESH_OK;
    }

    rc = make_args(v, line);
    if (rc != MESH_OK) {
        return rc;
    }

    ask->verdict = ask_chain(v);

    return MESH_OK;
}


static ucan_verdict_t
ask_chain(mesh_verify_t *v)
{
    ucan_verdict_t  rc;

    rc = ucan_chain_open_http(&v->chain, &v->bundle, &v->trust, v->ask.http,
                              v->now);

    v->ask.opened = (rc == UCAN_OK);

    if (rc != UCAN_OK || (v->ask.request == NULL && v->ask.resource == NULL))
    {
        return rc;
    }

    if (v->ask.resource == NULL) {
        return ucan_chain_allow(&v->chain, v->ask.request, v->now);
    }

    if (v->ask.request != NULL) {
        return ucan_chain_require(&v->chain, v->ask.request, v->ask.resource,
                                  v->now);
    }

    return ucan_chain_allow_resource(&v->chain, v->resource.with,
                                     v->resource.can, v->ask.facts, v->now);
}


/* What policies are about: of an invocation its own arguments, of a session
   those that are asked about; the request as .http in both. */
static int
make_args(mesh_verify_t *v, const mesh_line_t *line)
{
    int                  rc;
    uint8_t             *buf;
    bytes_writer_t       w;
    const ucan_token_t  *top;

    top = v->bundle.top;

    if (top != NULL
        && top->kind == UCAN_TOKEN_INVOCATION
        && !bytes_equal_text(top->cmd, UCAN_CHAIN_SESSION_OPEN))
    {
        v->ask.args = top->args;

    } else if (v->ask.request != NULL) {

        rc = mesh_request_cbor(line, &v->args, &v->ask.args);
        if (rc != MESH_OK) {
            return rc;
        }
    }

    if (v->ask.http == NULL || v->ask.args.len == 0) {
        return MESH_OK;
    }

    buf = mesh_alloc(UCAN_HTTP_CBOR_MAX);

    bytes_writer_open(&w, buf, UCAN_HTTP_CBOR_MAX);
    ucan_http_write(v->ask.http, &w);

    if (w.failed) {
        return mesh_fail("the request of \"--http\" is too long");
    }

    v->ask.args = mesh_http_join(v->ask.args, bytes_writer_view(&w));

    return MESH_OK;
}


static void
print_json(const mesh_verify_t *v, int explained)
{
    json_write_t    j;
    bytes_writer_t  w;
    ucan_verdict_t  verdict;

    verdict = v->ask.verdict;

    bytes_writer_open(&w, mesh_alloc(MESH_VERIFY_TEXT_MAX),
                      MESH_VERIFY_TEXT_MAX);
    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member_bool(&j, "accepted", verdict == UCAN_OK);
    json_write_member_text(&j, "verdict", ucan_verdict_slug(verdict));
    json_write_member_text(&j, "detail", ucan_verdict_text(verdict));

    if (v->culprit != NULL) {
        json_write_member_text(&j, "reason", v->culprit);

    } else {
        write_chain(v, &j);
    }

    if (explained) {
        mesh_explain_write(&v->explain, &j);
    }

    json_write_object_end(&j);

    mesh_print(bytes_writer_view(&w));
}


static void
write_chain(const mesh_verify_t *v, json_write_t *j)
{
    const ucan_chain_t  *chain;

    chain = &v->chain;

    if (v->ask.verdict != UCAN_OK && chain->has_failed) {
        mesh_json_write_cid(j, "failed", &chain->failed);
    }

    if (chain->root.len == 0) {
        return;
    }

    json_write_member_text(j, "kind", chain->kind == UCAN_CHAIN_SESSION
                                      ? "session" : "invocation");
    json_write_member(j, "issuer", chain->issuer);
    json_write_member(j, "root", chain->root);
    mesh_json_write_cid(j, "cid", &chain->cid);
    json_write_member_integer(j, "depth", (int64_t) chain->depth);
    mesh_json_write_time(j, "expires", chain->expires == INT64_MAX
                                       ? MESH_OPTION_NEVER : chain->expires);
}


static void
print_text(const mesh_verify_t *v)
{
    const ucan_chain_t  *chain;

    chain = &v->chain;

    if (v->ask.verdict != UCAN_OK) {
        printf("refused: %s (%s)\n", ucan_verdict_text(v->ask.verdict),
               ucan_verdict_slug(v->ask.verdict));

        if (v->culprit != NULL) {
            printf("   by %s\n", v->culprit);

        } else if (chain->has_failed) {
            printf("   by %s\n", mesh_show_cid(&chain->failed));
        }

        if (v->culprit == NULL) {
            printf("   --explain tells why\n");
        }

        return;
    }

    printf("accepted: %s\n", chain->kind == UCAN_CHAIN_SESSION
                             ? "a session" : "an invocation");
    printf("   holder  %s\n", mesh_show_text(chain->issuer));
    printf("   root    %s\n", mesh_show_text(chain->root));
    printf("   cid     %s\n", mesh_show_cid(&chain->cid));
    printf("   depth   %zu\n", chain->depth);

    if (chain->expires != INT64_MAX) {
        printf("   ends    %s, %s\n", mesh_show_time(chain->expires),
               mesh_show_when(chain->expires, v->now));
    }
}
