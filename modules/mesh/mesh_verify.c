/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * mesh verify: what a mesh would say to a token, by the same code.  Knows no
 * revocations: they are with the mesh.
 */


#include <string.h>

#include "mesh_json.h"
#include "mesh_request.h"
#include "mesh_source.h"


#define MESH_VERIFY_TRUST_MAX    16
#define MESH_VERIFY_SESSION_MAX  "24h"
#define MESH_VERIFY_TEXT_MAX     16384     /* bytes of the answer */


typedef struct {
    bytes_t          audience;
    bytes_t          anchors[MESH_VERIFY_TRUST_MAX];
    ucan_trust_t     trust;
    mesh_source_t    source;
    mesh_args_t      args;
    int64_t          now;
    ucan_chain_t     chain;
} mesh_verify_t;


static int run(mesh_line_t *line);
static int read_options(mesh_verify_t *v, const mesh_line_t *line);
static int read_trust(mesh_verify_t *v, const mesh_line_t *line);
static int read_tokens(mesh_verify_t *v, const mesh_line_t *line);
static int verify_token(mesh_verify_t *v, const mesh_line_t *line,
    ucan_verdict_t *verdict);
static void print_json(const mesh_verify_t *v, ucan_verdict_t verdict);
static void print_text(const mesh_verify_t *v, ucan_verdict_t verdict);
static const char *text_of_cid(const cid_t *cid);


static const mesh_option_t  mesh_verify_options[] = {
    { "audience",    1, 0 },
    { "trust",       1, 1 },
    { "command",     1, 0 },
    { "arg",         1, 1 },
    { "proofs",      1, 1 },
    { "at",          1, 0 },
    { "session-max", 1, 0 },
    { NULL,          0, 0 }
};


const mesh_command_t  mesh_verify_command = {
    "verify",
    "ask what a mesh would say to a token",

    "usage: mesh verify TOKEN --audience DID [--trust DID]...\n"
    "                   [--command COMMAND [--arg NAME=VALUE]...]\n"
    "                   [--proofs TOKENS]... [--at TIME]\n"
    "                   [--session-max TIME]\n"
    "\n"
    "Checks a bearer token as nginx does: form, holder, time, audience, and\n"
    "a chain of narrowing delegations from a trusted root; with --command\n"
    "also whether it allows that.  Prints the verdict, and when it is no the\n"
    "first rule that failed and the CID of the token that broke it.  Exit\n"
    "code 0: accepted; 1: refused.  Revocations are known to the mesh alone.\n"
    "\n"
    "  TOKEN             text, file, @file, or - for stdin\n"
    "  --audience DID    the mesh that is asked; a file does as well\n"
    "  --trust DID       who may be the root; the audience when absent\n"
    "  --command, --arg  /room/send, room=r_...\n"
    "  --proofs TOKENS   for 0.10: what the header \"ucans\" would hold\n"
    "  --at TIME         as if it were then\n"
    "  --session-max T   how long a session may last; 24h when absent\n"
    "\n"
    "    mesh verify \"$TOKEN\" --audience data/mesh.did \\\n"
    "        --command /room/read --arg room=r_06f...\n",

    mesh_verify_options,
    run
};


static int
run(mesh_line_t *line)
{
    int             rc;
    mesh_verify_t  *v;
    ucan_verdict_t  verdict;

    if (line->word_count == 0) {
        return mesh_refuse_usage("which token? (- is stdin)");
    }

    v = mesh_alloc(sizeof(mesh_verify_t));

    rc = read_options(v, line);
    if (rc != MESH_OK) {
        return rc;
    }

    rc = verify_token(v, line, &verdict);
    if (rc != MESH_OK) {
        return rc;
    }

    if (mesh_option_find(line, "json")) {
        print_json(v, verdict);

    } else {
        print_text(v, verdict);
    }

    return (verdict == UCAN_OK) ? MESH_OK : MESH_REFUSED;
}


static int
read_options(mesh_verify_t *v, const mesh_line_t *line)
{
    int          rc;
    const char  *at, *span;

    v->now = (int64_t) time(NULL);

    at = mesh_option_get(line, "at");

    if (at != NULL
        && (mesh_option_time(at, v->now, &v->now) != 0 || v->now < 0))
    {
        return mesh_refuse_usage("\"--at %s\" is no time", at);
    }

    span = mesh_option_get(line, "session-max");

    if (mesh_option_span(span != NULL ? span : MESH_VERIFY_SESSION_MAX,
                         &v->trust.session_max) != 0)
    {
        return mesh_refuse_usage("\"--session-max %s\" is no span", span);
    }

    rc = mesh_request_args(line, &v->args);

    if (rc == MESH_OK && v->args.arg_count != 0
        && mesh_option_get(line, "command") == NULL)
    {
        return mesh_refuse_usage("\"--arg\" goes with \"--command\"");
    }

    if (rc == MESH_OK) {
        rc = read_trust(v, line);
    }

    return (rc == MESH_OK) ? read_tokens(v, line) : rc;
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
verify_token(mesh_verify_t *v, const mesh_line_t *line,
    ucan_verdict_t *verdict)
{
    int              rc;
    const char      *command;
    ucan_bundle_t   *bundle;
    ucan_request_t   request;

    bundle = mesh_alloc(sizeof(ucan_bundle_t));
    command = mesh_option_get(line, "command");

    if (command != NULL) {
        rc = mesh_request_open(&request, command, &v->args);
        if (rc != MESH_OK) {
            return rc;
        }
    }

    rc = mesh_source_open(&v->source, bundle);
    if (rc != MESH_OK) {
        return rc;
    }

    *verdict = ucan_chain_open(&v->chain, bundle, &v->trust, v->now);

    if (*verdict == UCAN_OK && command != NULL) {
        *verdict = ucan_chain_allow(&v->chain, &request, v->now);
    }

    return MESH_OK;
}


static void
print_json(const mesh_verify_t *v, ucan_verdict_t verdict)
{
    json_write_t         j;
    bytes_writer_t       w;
    const ucan_chain_t  *chain;

    chain = &v->chain;

    bytes_writer_open(&w, mesh_alloc(MESH_VERIFY_TEXT_MAX),
                      MESH_VERIFY_TEXT_MAX);
    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member_bool(&j, "accepted", verdict == UCAN_OK);
    json_write_member_text(&j, "verdict", ucan_verdict_slug(verdict));
    json_write_member_text(&j, "detail", ucan_verdict_text(verdict));

    if (verdict != UCAN_OK && chain->has_failed) {
        mesh_json_write_cid(&j, "failed", &chain->failed);
    }

    if (chain->root.len != 0) {
        json_write_member_text(&j, "kind",
                               chain->kind == UCAN_CHAIN_SESSION
                               ? "session" : "invocation");
        json_write_member(&j, "issuer", chain->issuer);
        json_write_member(&j, "root", chain->root);
        mesh_json_write_cid(&j, "cid", &chain->cid);
        json_write_member_integer(&j, "depth", (int64_t) chain->depth);
        mesh_json_write_time(&j, "expires",
                             chain->expires == INT64_MAX
                             ? MESH_OPTION_NEVER : chain->expires);
    }

    json_write_object_end(&j);

    mesh_print(bytes_writer_view(&w));
}


static void
print_text(const mesh_verify_t *v, ucan_verdict_t verdict)
{
    const ucan_chain_t  *chain;

    chain = &v->chain;

    if (verdict != UCAN_OK) {
        printf("refused: %s (%s)\n", ucan_verdict_text(verdict),
               ucan_verdict_slug(verdict));

        if (chain->has_failed) {
            printf("   by %s\n", text_of_cid(&chain->failed));
        }

        return;
    }

    printf("accepted: %s\n", chain->kind == UCAN_CHAIN_SESSION
                             ? "a session" : "an invocation");
    printf("   holder  %.*s\n", (int) chain->issuer.len,
           (const char *) chain->issuer.data);
    printf("   root    %.*s\n", (int) chain->root.len,
           (const char *) chain->root.data);
    printf("   cid     %s\n", text_of_cid(&chain->cid));
    printf("   depth   %zu\n", chain->depth);

    if (chain->expires != INT64_MAX) {
        printf("   ends    in %lld seconds\n",
               (long long) (chain->expires - v->now));
    }
}


static const char *
text_of_cid(const cid_t *cid)
{
    uint8_t         buf[CID_TEXT_LEN];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));
    cid_write(cid, &w);

    return mesh_text(bytes_writer_view(&w));
}
