/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * mesh invoke: a token for one command with exactly these arguments, and for
 * one HTTP request alone when that is named.  The proofs that it lists are
 * found among those given; the others stay behind.
 */


#include <string.h>

#include "mesh_http.h"
#include "mesh_invoke.h"
#include "mesh_json.h"
#include "mesh_mint.h"
#include "ucan_walk.h"


#define MESH_INVOKE_EXPIRES  "60s"


typedef struct {
    mesh_mint_t             mint;
    mesh_source_t           proofs;
    mesh_args_t             args;
    cid_t                   cids[UCAN_TOKEN_PROOFS_MAX];
    cid_t                   cid;
    ucan_http_t             http;
    int                     bound;        /* to that request */
    ucan_envelope_draft_t   draft;
} mesh_invoke_t;


static int run(mesh_line_t *line);
static int read_options(mesh_invoke_t *v, const mesh_line_t *line,
    const char *command, const char *expires);
static int read_args(mesh_invoke_t *v, const mesh_line_t *line);
static int read_subject(mesh_invoke_t *v, const mesh_line_t *line);
static int find_subject(mesh_invoke_t *v);
static int find_proofs(mesh_invoke_t *v);
static int sign(mesh_invoke_t *v, const mesh_line_t *line);
static void print_result(const mesh_invoke_t *v, const mesh_line_t *line,
    bytes_t text);


static const mesh_option_t  mesh_invoke_options[] = {
    { "key",      1, 0 },
    { "audience", 1, 0 },
    { "command",  1, 0 },
    { "arg",      1, 1 },
    { "args",     1, 0 },
    { "http",     1, 0 },
    { "hash",     0, 0 },
    { "origin",   1, 0 },
    { "agent",    1, 0 },
    { "proof",    1, 1 },
    { "subject",  1, 0 },
    { "expires",  1, 0 },
    { "format",   1, 0 },
    { "tag",      1, 0 },
    { "form",     1, 0 },
    { NULL,       0, 0 }
};


const mesh_command_t  mesh_invoke_command = {
    "invoke",
    "make a token for one command, or for one request",

    "usage: mesh invoke --key FILE --audience DID --command COMMAND\n"
    "                   [--arg NAME=VALUE]... [--args JSON]\n"
    "                   [--http \"METHOD URL\" [--hash] [--origin O]\n"
    "                    [--agent A]] [--proof TOKENS]... [--subject DID]\n"
    "                   [--expires TIME] [--tag 1.0.0] [--form B|C|O|P]\n"
    "\n"
    "An invocation of 1.0 allows one command with exactly these arguments,\n"
    "once, and is safe to hand to somebody who is to do just that.  With\n"
    "--http it is good for that request alone: another method, host, path or\n"
    "query is refused.\n"
    "\n"
    "  --key FILE        your key\n"
    "  --audience DID    the mesh it is for; a file with a DID does as well\n"
    "  --command C       /room/send\n"
    "  --arg, --args     its arguments, as name=value or as one JSON object\n"
    "  --http            \"POST http://localhost:4000/api/rooms\"; https\n"
    "                    when nginx itself talks TLS\n"
    "  --hash            sign the hash of the request, not the request: it\n"
    "                    is shorter, and binds --origin and --agent, the\n"
    "                    headers Origin and User-Agent, as well\n"
    "  --proof TOKENS    what was delegated to you (mesh delegate)\n"
    "  --subject DID     whose thing it is; found out from --proof\n"
    "  --expires TIME    60s when absent\n"
    "  --tag             1.0.0-rc.1, which all take, or 1.0.0\n"
    "  --form            letter of the container; P when absent\n"
    "\n"
    "    mesh invoke --key bot.key --audience data/mesh.did \\\n"
    "        --proof bot.delegations --command /room/read \\\n"
    "        --arg room=r_06f... \\\n"
    "        --http \"GET http://localhost:4000/api/rooms/r_06f...\"\n",

    mesh_invoke_options,
    run
};


int
mesh_invoke_make(const mesh_line_t *line, const char *command,
    const char *expires)
{
    int             rc;
    mesh_invoke_t  *v;

    v = mesh_alloc(sizeof(mesh_invoke_t));

    rc = mesh_mint_format(&v->mint, line);

    if (rc == MESH_OK && v->mint.version != UCAN_TOKEN_VERSION_V1) {
        rc = mesh_refuse_usage("0.x has no invocations; \"mesh token "
                               "--command\" makes a token for one command");
    }

    if (rc == MESH_OK) {
        rc = read_options(v, line, command, expires);
    }

    if (rc == MESH_OK) {
        rc = find_proofs(v);
    }

    if (rc == MESH_OK) {
        rc = sign(v, line);
    }

    mesh_mint_close(&v->mint);

    return rc;
}


static int
run(mesh_line_t *line)
{
    const char  *command;

    if (line->word_count != 0) {
        return mesh_refuse_usage("\"%s\" is not understood", line->words[0]);
    }

    command = mesh_option_get(line, "command");

    return (command != NULL)
           ? mesh_invoke_make(line, command, MESH_INVOKE_EXPIRES)
           : mesh_refuse_usage("\"--command\" is missing");
}


static int
read_options(mesh_invoke_t *v, const mesh_line_t *line, const char *command,
    const char *expires)
{
    int                     rc;
    ucan_envelope_draft_t  *draft;

    draft = &v->draft;

    draft->invocation = 1;
    draft->nbf = MESH_OPTION_NEVER;
    draft->nonce = mesh_request_nonce();

    rc = mesh_request_did(line, "audience", 1, &draft->aud);

    if (rc == MESH_OK) {
        rc = mesh_request_time(line, "expires", expires, &draft->exp);
    }

    if (rc == MESH_OK) {
        rc = mesh_request_command(command, &draft->cmd);
    }

    if (rc == MESH_OK
        && bytes_equal_text(draft->cmd, UCAN_CHAIN_SESSION_OPEN))
    {
        rc = mesh_refuse_usage("a session is made by \"mesh token\"");
    }

    if (rc == MESH_OK) {
        rc = read_args(v, line);
    }

    if (rc == MESH_OK) {
        rc = mesh_mint_open(&v->mint, line);
    }

    if (rc == MESH_OK) {
        rc = mesh_source_add_option(&v->proofs, line, "proof");
    }

    if (rc == MESH_OK) {
        rc = mesh_source_drop_invocations(&v->proofs);
    }

    if (rc == MESH_OK && v->proofs.jwt_count != 0) {
        rc = mesh_refuse_usage("\"--proof\" holds JWTs; an invocation is of "
                               "1.0, as its proofs are");
    }

    return (rc == MESH_OK) ? read_subject(v, line) : rc;
}


/* The arguments, and the request that they bind it to. */
static int
read_args(mesh_invoke_t *v, const mesh_line_t *line)
{
    int             rc, hash;
    cbor_item_t     map, value;
    bytes_writer_t  w;

    rc = mesh_request_args(line, &v->args);

    if (rc == MESH_OK) {
        rc = mesh_request_cbor(line, &v->args, &v->draft.args);
    }

    if (rc == MESH_OK) {
        rc = mesh_http_read(line, &v->http, &v->bound);
    }

    if (rc != MESH_OK) {
        return rc;
    }

    hash = mesh_option_find(line, "hash");

    if (!hash
        && (mesh_option_get(line, "origin") != NULL
            || mesh_option_get(line, "agent") != NULL))
    {
        return mesh_refuse_usage("\"--origin\" and \"--agent\" go with "
                                 "\"--hash\"");
    }

    if (!v->bound) {
        return hash ? mesh_refuse_usage("\"--hash\" goes with \"--http\"")
                    : MESH_OK;
    }

    if (cbor_read(v->draft.args, &map) != 0
        || cbor_map_find(&map, bytes_of("http"), &value) == 0)
    {
        return mesh_refuse_usage("the argument \"http\" is that of "
                                 "\"--http\"");
    }

    bytes_writer_open(&w, mesh_alloc(UCAN_HTTP_CBOR_MAX),
                      UCAN_HTTP_CBOR_MAX);

    rc = mesh_http_write(&v->http, hash, &w);

    if (rc == MESH_OK) {
        v->draft.args = mesh_http_join(v->draft.args, bytes_writer_view(&w));
    }

    return rc;
}


/* "--subject", or what the proofs are about, or oneself. */
static int
read_subject(mesh_invoke_t *v, const mesh_line_t *line)
{
    int  rc;

    rc = mesh_request_did(line, "subject", 0, &v->draft.sub);

    if (rc != MESH_OK || v->draft.sub.len != 0) {
        return rc;
    }

    v->draft.sub = v->mint.did;

    return (v->proofs.envelope_count != 0) ? find_subject(v) : MESH_OK;
}


static int
find_subject(mesh_invoke_t *v)
{
    int            rc;
    size_t         i;
    bytes_t        sub;
    ucan_bundle_t  bundle;

    rc = mesh_source_open(&v->proofs, &bundle);
    if (rc != MESH_OK) {
        return rc;
    }

    for (i = 0; i < bundle.count; i++) {

        sub = bundle.tokens[i].sub;

        if (sub.len == 0 || bytes_equal(sub, v->draft.sub)) {
            continue;
        }

        if (!bytes_equal(v->draft.sub, v->mint.did)) {
            return mesh_refuse_usage("\"--proof\" is about several subjects; "
                                     "name one with \"--subject\"");
        }

        v->draft.sub = sub;
    }

    return MESH_OK;
}


/* The chain that gives the holder the command, root first; of the proofs only
   these stay.  Policies on a request are asked about the one that the
   invocation is bound to. */
static int
find_proofs(mesh_invoke_t *v)
{
    int              rc;
    size_t           i;
    bytes_t          args;
    ucan_walk_t     *walk;
    ucan_trust_t     trust;
    ucan_bundle_t    bundle;
    bytes_writer_t   w;
    ucan_verdict_t   verdict;

    if (bytes_equal(v->draft.sub, v->mint.did)) {
        v->proofs.envelope_count = 0;
        return MESH_OK;
    }

    rc = mesh_source_open(&v->proofs, &bundle);
    if (rc != MESH_OK) {
        return rc;
    }

    memset(&trust, 0, sizeof(trust));
    ucan_limits_init(&trust.limits);

    trust.anchors = &v->draft.sub;
    trust.anchor_count = 1;

    args = v->draft.args;

    if (v->bound) {
        bytes_writer_open(&w, mesh_alloc(UCAN_HTTP_CBOR_MAX),
                          UCAN_HTTP_CBOR_MAX);
        ucan_http_write(&v->http, &w);
        args = mesh_http_join(args, bytes_writer_view(&w));
    }

    walk = mesh_alloc(sizeof(ucan_walk_t));
    ucan_walk_open(walk, &bundle, &trust, (int64_t) time(NULL));

    verdict = ucan_walk_v1_find(walk, v->mint.did, v->draft.cmd, args);

    if (verdict != UCAN_OK) {
        return mesh_fail("\"--proof\" does not give you this: %s (%s)",
                         ucan_verdict_text(verdict),
                         ucan_verdict_slug(verdict));
    }

    v->proofs.envelope_count = 0;

    for (i = 0; i < walk->path_count; i++) {
        v->cids[i] = walk->path[i]->cid;

        rc = mesh_source_add_envelope(&v->proofs, walk->path[i]->raw);
        if (rc != MESH_OK) {
            return rc;
        }
    }

    v->draft.proofs = v->cids;
    v->draft.proof_count = walk->path_count;

    return MESH_OK;
}


static int
sign(mesh_invoke_t *v, const mesh_line_t *line)
{
    int      rc;
    bytes_t  raw, text;

    rc = mesh_mint_envelope(&v->mint, &v->draft, &raw, &v->cid);

    if (rc == MESH_OK) {
        rc = mesh_source_add_envelope(&v->proofs, raw);
    }

    if (rc == MESH_OK) {
        rc = mesh_mint_container(line, &v->proofs, 'P', &text);
    }

    if (rc == MESH_OK) {
        print_result(v, line, text);
    }

    return rc;
}


static void
print_result(const mesh_invoke_t *v, const mesh_line_t *line, bytes_t text)
{
    size_t          size;
    cbor_item_t     args;
    json_write_t    j;
    bytes_writer_t  w;

    if (!mesh_option_find(line, "json")) {
        mesh_print(text);
        return;
    }

    size = text.len + v->draft.args.len * 8 + 8192;

    bytes_writer_open(&w, mesh_alloc(size), size);
    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member(&j, "token", text);
    mesh_json_write_cid(&j, "cid", &v->cid);
    json_write_member(&j, "holder", v->mint.did);
    json_write_member(&j, "audience", v->draft.aud);
    json_write_member(&j, "subject", v->draft.sub);
    json_write_member(&j, "command", v->draft.cmd);

    if (cbor_read(v->draft.args, &args) == 0) {
        json_write_key(&j, "args");
        mesh_json_write(&j, &args);
    }

    mesh_json_write_time(&j, "expires", v->draft.exp);
    json_write_object_end(&j);

    mesh_print(bytes_writer_view(&w));
}
