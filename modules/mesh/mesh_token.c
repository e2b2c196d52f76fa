/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * mesh token: what goes into "Authorization: Bearer".  A session (the holder
 * signs about itself, for this mesh, for a while) or an invocation (one
 * command with its arguments).
 */


#include <string.h>

#include "mesh_caps.h"
#include "mesh_invoke.h"
#include "mesh_json.h"
#include "mesh_mint.h"
#include "ucan_chain.h"


#define MESH_TOKEN_SESSION    "1h"
#define MESH_TOKEN_INVOKE     "5m"
#define MESH_TOKEN_LIFE_MAX   (24 * 3600)       /* seconds, of a session */


typedef struct {
    mesh_mint_t       mint;
    bytes_t           holder;         /* a view into mint */
    bytes_t           audience;
    mesh_source_t     proofs;
    mesh_args_t       args;
    int64_t           expires;        /* seconds, or MESH_OPTION_NEVER */
    cid_t             cid;            /* of the top */
} mesh_token_t;


static int run(mesh_line_t *line);
static int read_options(mesh_token_t *t, const mesh_line_t *line);
static int make_session(mesh_token_t *t, const mesh_line_t *line);
static void check_session(const mesh_token_t *t);
static int make_jwt(mesh_token_t *t, const mesh_line_t *line);
static int claim(mesh_token_t *t, const mesh_line_t *line, bytes_t *json);
static int claim_all(mesh_token_t *t, mesh_caps_t *caps);
static int print_jwt(const mesh_token_t *t, const mesh_line_t *line,
    bytes_t token);
static void print_json(const mesh_token_t *t, bytes_t token,
    const bytes_t *proofs);


static const mesh_option_t  mesh_token_options[] = {
    { "key",      1, 0 },
    { "audience", 1, 0 },
    { "proof",    1, 1 },
    { "expires",  1, 0 },
    { "invoke",   1, 0 },
    { "subject",  1, 0 },
    { "command",  1, 1 },
    { "arg",      1, 1 },
    { "args",     1, 0 },
    { "http",     1, 0 },
    { "hash",     0, 0 },
    { "origin",   1, 0 },
    { "agent",    1, 0 },
    { "resource", 1, 0 },
    { "ability",  1, 1 },
    { "caveat",   1, 0 },
    { "format",   1, 0 },
    { "tag",      1, 0 },
    { "form",     1, 0 },
    { NULL,       0, 0 }
};


const mesh_command_t  mesh_token_command = {
    "token",
    "make a bearer token: a session, or one invocation",

    "usage: mesh token --key FILE --audience DID [--proof TOKENS]...\n"
    "                  [--expires TIME] [--form B|C|O|P]\n"
    "                  [--format 1.0|0.10|0.9|0.8] [--tag 1.0.0]\n"
    "       mesh token --key FILE --audience DID --format 0.10|0.9|0.8\n"
    "                  [--command COMMAND... [--arg NAME=VALUE]...]\n"
    "                  [--resource URI --ability ABILITY...\n"
    "                   [--caveat JSON]] [--proof TOKENS]...\n"
    "       mesh token --key FILE --audience DID --invoke COMMAND ...\n"
    "\n"
    "A session shows the mesh that you hold the key, and for a while allows\n"
    "whatever your delegations allow.  It is a secret until it ends: whoever\n"
    "reads it can use it.  With --invoke it makes an invocation instead, as\n"
    "\"mesh invoke\" does, with 5 minutes to live.\n"
    "\n"
    "  --key FILE        your key\n"
    "  --audience DID    the mesh it is for; a file with a DID does as well\n"
    "  --proof TOKENS    what was delegated to you (mesh delegate): file,\n"
    "                    text, or - for stdin; may be given again.  Without\n"
    "                    any, the token only proves that the key is yours,\n"
    "                    which is what registering with a DID asks for\n"
    "  --expires TIME    15m, 12h, 2026-12-31; 1h when absent; a mesh takes\n"
    "                    sessions up to 24h\n"
    "  --format          1.0 (a container); 0.10 and 0.9: a JWT, and on a\n"
    "                    second line the proofs, for the header \"ucans\";\n"
    "                    0.8: a JWT with its proofs inside\n"
    "  --tag             of 1.0: 1.0.0-rc.1, which all take, or 1.0.0\n"
    "  --command, --arg  0.x only: claim this, not all that the proofs give;\n"
    "  --subject DID     of which mesh, the audience when absent\n"
    "  --resource URI    the same for others than a mesh, with --ability and\n"
    "                    --caveat\n"
    "  --form            letter of the container; P when absent, the short\n"
    "                    one\n"
    "\n"
    "    TOKEN=$(mesh token --key bot.key --audience data/mesh.did \\\n"
    "        --proof bot.delegations)\n"
    "    curl -H \"Authorization: Bearer $TOKEN\" \\\n"
    "        http://localhost:4000/api/rooms\n"
    "\n"
    "    mesh token --format 0.10 --key bot.key --audience data/mesh.did \\\n"
    "        --proof bot.jwts --command /room/read --arg room=r_06f...\n",

    mesh_token_options,
    run
};


static int
run(mesh_line_t *line)
{
    int            rc;
    mesh_token_t  *t;

    if (line->word_count != 0) {
        return mesh_refuse_usage("\"%s\" is not understood", line->words[0]);
    }

    if (mesh_option_get(line, "invoke") != NULL) {
        return mesh_invoke_make(line, mesh_option_get(line, "invoke"),
                                MESH_TOKEN_INVOKE);
    }

    if (mesh_option_get(line, "http") != NULL
        || mesh_option_find(line, "hash"))
    {
        return mesh_refuse_usage("\"--http\" goes with \"--invoke\"");
    }

    t = mesh_alloc(sizeof(mesh_token_t));

    rc = mesh_mint_format(&t->mint, line);

    if (rc == MESH_OK) {
        rc = read_options(t, line);
    }

    if (rc == MESH_OK) {
        rc = (t->mint.version == UCAN_TOKEN_VERSION_V1)
             ? make_session(t, line) : make_jwt(t, line);
    }

    mesh_mint_close(&t->mint);

    return rc;
}


static int
read_options(mesh_token_t *t, const mesh_line_t *line)
{
    int  rc;

    rc = mesh_request_did(line, "audience", 1, &t->audience);

    if (rc == MESH_OK) {
        rc = mesh_request_time(line, "expires", MESH_TOKEN_SESSION,
                               &t->expires);
    }

    if (rc == MESH_OK && t->expires < 0) {
        rc = mesh_refuse_usage("a session must end");
    }

    if (rc == MESH_OK) {
        rc = mesh_request_args(line, &t->args);
    }

    if (rc == MESH_OK) {
        rc = mesh_mint_open(&t->mint, line);
    }

    if (rc == MESH_OK) {
        t->holder = t->mint.did;
        rc = mesh_source_add_option(&t->proofs, line, "proof");
    }

    if (rc == MESH_OK) {
        rc = mesh_source_drop_invocations(&t->proofs);
    }

    return rc;
}


static int
make_session(mesh_token_t *t, const mesh_line_t *line)
{
    int                     rc;
    bytes_t                 raw, text;
    ucan_envelope_draft_t   draft;

    if (t->args.arg_count != 0
        || mesh_option_get(line, "args") != NULL
        || mesh_option_get(line, "command") != NULL
        || mesh_option_get(line, "resource") != NULL
        || mesh_option_get(line, "subject") != NULL)
    {
        return mesh_refuse_usage("a session of 1.0 takes no command, "
                                 "arguments or subject; \"mesh invoke\" "
                                 "does");
    }

    if (t->proofs.jwt_count != 0) {
        return mesh_refuse_usage("\"--proof\" holds JWTs; they go with "
                                 "\"--format 0.10\", 0.9 or 0.8");
    }

    memset(&draft, 0, sizeof(draft));

    draft.invocation = 1;
    draft.aud = t->audience;
    draft.sub = t->holder;
    draft.cmd = bytes_of(UCAN_CHAIN_SESSION_OPEN);
    draft.nonce = mesh_request_nonce();
    draft.exp = t->expires;
    draft.nbf = MESH_OPTION_NEVER;

    rc = mesh_mint_envelope(&t->mint, &draft, &raw, &t->cid);

    if (rc == MESH_OK) {
        rc = mesh_source_add_envelope(&t->proofs, raw);
    }

    if (rc == MESH_OK) {
        check_session(t);
        rc = mesh_mint_container(line, &t->proofs, 'P', &text);
    }

    if (rc != MESH_OK) {
        return rc;
    }

    if (mesh_option_find(line, "json")) {
        print_json(t, text, NULL);

    } else {
        mesh_print(text);
    }

    return MESH_OK;
}


/* Says now what the mesh would say later; the token is made all the same,
   since only the mesh knows whom it trusts. */
static void
check_session(const mesh_token_t *t)
{
    ucan_trust_t    trust;
    ucan_chain_t    chain;
    ucan_bundle_t   bundle;
    ucan_verdict_t  rc;

    if (t->proofs.envelope_count == 1
        && !bytes_equal(t->holder, t->audience))
    {
        mesh_remark("note: without --proof this only shows that the key is "
                    "yours");
        return;
    }

    if (mesh_source_open(&t->proofs, &bundle) != MESH_OK) {
        return;
    }

    memset(&trust, 0, sizeof(trust));
    ucan_limits_init(&trust.limits);

    trust.audiences = &t->audience;
    trust.audience_count = 1;
    trust.anchors = &t->audience;
    trust.anchor_count = 1;
    trust.session_max = MESH_TOKEN_LIFE_MAX;

    rc = ucan_chain_open(&chain, &bundle, &trust, (int64_t) time(NULL));

    if (rc != UCAN_OK) {
        mesh_remark("note: a mesh that trusts itself alone would refuse "
                    "this: %s (%s)", ucan_verdict_text(rc),
                    ucan_verdict_slug(rc));
    }
}


static int
make_jwt(mesh_token_t *t, const mesh_line_t *line)
{
    int                rc;
    cid_t              proofs[UCAN_TOKEN_PROOFS_MAX];
    bytes_t            raw, embedded[UCAN_TOKEN_PROOFS_MAX];
    mesh_source_t     *rest;
    ucan_jwt_draft_t   draft;

    if (t->proofs.envelope_count != 0
        || mesh_option_get(line, "form") != NULL
        || mesh_option_get(line, "args") != NULL)
    {
        return mesh_refuse_usage("containers, \"--args\" and \"--form\" are "
                                 "of 1.0, not of %s",
                                 mesh_option_get(line, "format"));
    }

    memset(&draft, 0, sizeof(draft));

    draft.aud = t->audience;
    draft.nonce = mesh_request_nonce();
    draft.proofs = proofs;
    draft.embedded = embedded;
    draft.exp = t->expires;
    draft.nbf = MESH_OPTION_NEVER;

    rest = mesh_alloc(sizeof(mesh_source_t));

    rc = claim(t, line, &draft.caps);

    if (rc == MESH_OK) {
        rc = mesh_mint_proofs(&t->mint, &draft, &t->proofs, 1, rest);
    }

    if (rc == MESH_OK) {
        rc = mesh_mint_jwt(&t->mint, &draft, &raw, &t->cid);
    }

    if (rc != MESH_OK) {
        return rc;
    }

    t->proofs = *rest;
    t->expires = draft.exp;

    return print_jwt(t, line, raw);
}


/* What the options claim, or all that the proofs for this key give; without
   proofs whatever is the subject's. */
static int
claim(mesh_token_t *t, const mesh_line_t *line, bytes_t *json)
{
    int           rc;
    size_t        i;
    bytes_t       subject;
    const char   *command;
    mesh_caps_t  *caps;

    caps = mesh_alloc(sizeof(mesh_caps_t));
    caps->version = t->mint.version;

    rc = mesh_request_did(line, "subject", 0, &subject);

    if (rc == MESH_OK) {
        rc = mesh_caps_add_resource(caps, line);
    }

    subject = (subject.len != 0) ? subject : t->audience;
    i = 0;

    while (rc == MESH_OK
           && (command = mesh_option_next(line, "command", &i)) != NULL)
    {
        rc = mesh_caps_add_command(caps, subject, command, &t->args);
    }

    if (rc == MESH_OK && caps->count == 0) {
        rc = (t->proofs.jwt_count != 0)
             ? claim_all(t, caps)
             : mesh_caps_add_command(caps, subject, "/", &t->args);
    }

    return (rc == MESH_OK) ? mesh_caps_write(caps, json) : rc;
}


static int
claim_all(mesh_token_t *t, mesh_caps_t *caps)
{
    int            rc;
    size_t         i;
    ucan_token_t   token;

    rc = MESH_OK;

    for (i = 0; rc == MESH_OK && i < t->proofs.jwt_count; i++) {

        if (ucan_jwt_decode(&token, t->proofs.jwts[i], NULL, &mesh_memory)
            == UCAN_OK
            && bytes_equal(token.aud, t->holder))
        {
            rc = mesh_caps_add_token(caps, &token);
        }
    }

    return rc;
}


static int
print_jwt(const mesh_token_t *t, const mesh_line_t *line, bytes_t token)
{
    bytes_t  proofs;

    proofs = mesh_source_join(&t->proofs, 0);

    if (mesh_option_find(line, "json")) {
        print_json(t, token, &proofs);
        return MESH_OK;
    }

    mesh_print(token);

    if (proofs.len != 0) {
        mesh_print(proofs);
        mesh_remark("the second line goes into the header \"ucans\"");
    }

    return MESH_OK;
}


static void
print_json(const mesh_token_t *t, bytes_t token, const bytes_t *proofs)
{
    size_t          size;
    json_write_t    j;
    bytes_writer_t  w;

    size = token.len + (proofs != NULL ? proofs->len : 0) + 1024;

    bytes_writer_open(&w, mesh_alloc(size), size);
    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member(&j, "token", token);

    if (proofs != NULL) {
        json_write_member(&j, "proofs", *proofs);
    }

    mesh_json_write_cid(&j, "cid", &t->cid);
    json_write_member(&j, "holder", t->holder);
    json_write_member(&j, "audience", t->audience);
    mesh_json_write_time(&j, "expires", t->expires);
    json_write_object_end(&j);

    mesh_print(bytes_writer_view(&w));
}
