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
#include "mesh_file.h"
#include "mesh_json.h"
#include "mesh_source.h"
#include "ucan_container.h"
#include "ucan_envelope.h"
#include "ucan_jwt.h"
#include "ucan_walk.h"


#define MESH_TOKEN_TEXT_MAX   (1024 * 1024)     /* bytes of output */
#define MESH_TOKEN_SESSION    "1h"
#define MESH_TOKEN_INVOKE     "5m"
#define MESH_TOKEN_LIFE_MAX   (24 * 3600)       /* seconds, of a session */


typedef struct {
    signature_key_t   key;
    bytes_t           holder;
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
static int make_invocation(mesh_token_t *t, const mesh_line_t *line,
    const char *command);
static int find_proofs(mesh_token_t *t, ucan_envelope_draft_t *draft,
    cid_t *cids);
static int read_subject(mesh_token_t *t, const mesh_line_t *line,
    bytes_t *subject);
static int sign_envelope(mesh_token_t *t, const ucan_envelope_draft_t *draft);
static int print_container(const mesh_token_t *t, const mesh_line_t *line);
static int make_jwt(mesh_token_t *t, const mesh_line_t *line);
static int read_caps(mesh_token_t *t, const mesh_line_t *line,
    mesh_caps_t *caps, ucan_jwt_draft_t *draft);
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
    { "format",   1, 0 },
    { "form",     1, 0 },
    { NULL,       0, 0 }
};


const mesh_command_t  mesh_token_command = {
    "token",
    "make a bearer token: a session, or one invocation",

    "usage: mesh token --key FILE --audience DID [--proof TOKENS]...\n"
    "                  [--expires TIME] [--format 1.0|0.10] [--form B|C|O|P]\n"
    "       mesh token --key FILE --audience DID --invoke COMMAND\n"
    "                  [--arg NAME=VALUE]... [--args JSON]\n"
    "                  [--proof TOKENS]... [--subject DID] [--expires TIME]\n"
    "\n"
    "A session shows the mesh that you hold the key, and for a while allows\n"
    "whatever your delegations allow.  An invocation allows one command with\n"
    "exactly these arguments and is safe to hand to somebody who is to do\n"
    "just that.  Both are secrets until they end: whoever reads them can use\n"
    "them.\n"
    "\n"
    "  --key FILE        your key\n"
    "  --audience DID    the mesh it is for; a file with a DID does as well\n"
    "  --proof TOKENS    what was delegated to you (mesh delegate): file,\n"
    "                    text, or - for stdin; may be given again.  Without\n"
    "                    any, the token only proves that the key is yours,\n"
    "                    which is what registering with a DID asks for\n"
    "  --expires TIME    15m, 12h, 2026-12-31; 1h when absent (5m for an\n"
    "                    invocation); a mesh takes sessions up to 24h\n"
    "  --invoke COMMAND  an invocation instead of a session\n"
    "  --arg, --args     its arguments, as name=value or as one JSON object\n"
    "  --subject DID     the mesh whose thing it is; found out from --proof\n"
    "  --format          1.0 (a container), or 0.10: a JWT, and on a second\n"
    "                    line the proofs, for the header \"ucans\"\n"
    "  --command, --arg  0.10 only: claim this, not all that the proofs give\n"
    "  --form            letter of the container; P when absent, the short\n"
    "                    one\n"
    "\n"
    "    TOKEN=$(mesh token --key bot.key --audience data/mesh.did \\\n"
    "        --proof bot.delegations)\n"
    "    curl -H \"Authorization: Bearer $TOKEN\" \\\n"
    "        http://localhost:4000/api/rooms\n"
    "\n"
    "    mesh token --key bot.key --audience data/mesh.did \\\n"
    "        --proof bot.delegations --invoke /room/send \\\n"
    "        --arg room=r_06f...\n",

    mesh_token_options,
    run
};


static int
run(mesh_line_t *line)
{
    int            rc, jwt;
    const char    *command;
    mesh_token_t  *t;

    if (line->word_count != 0) {
        return mesh_refuse_usage("\"%s\" is not understood", line->words[0]);
    }

    t = mesh_alloc(sizeof(mesh_token_t));
    command = mesh_option_get(line, "invoke");

    rc = mesh_request_format(line, &jwt);

    if (rc == MESH_OK && jwt && command != NULL) {
        rc = mesh_refuse_usage("0.10 has no invocations");
    }

    if (rc == MESH_OK) {
        rc = read_options(t, line);
    }

    if (rc == MESH_OK && jwt) {
        rc = make_jwt(t, line);

    } else if (rc == MESH_OK && command != NULL) {
        rc = make_invocation(t, line, command);

    } else if (rc == MESH_OK) {
        rc = make_session(t, line);
    }

    signature_key_destroy(&t->key);

    return rc;
}


static int
read_options(mesh_token_t *t, const mesh_line_t *line)
{
    int          rc;
    const char  *key, *fallback;

    key = mesh_option_get(line, "key");

    if (key == NULL) {
        return mesh_refuse_usage("\"--key\" is missing");
    }

    fallback = (mesh_option_get(line, "invoke") != NULL) ? MESH_TOKEN_INVOKE
                                                         : MESH_TOKEN_SESSION;

    rc = mesh_request_did(line, "audience", 1, &t->audience);

    if (rc == MESH_OK) {
        rc = mesh_request_time(line, "expires", fallback, &t->expires);
    }

    if (rc == MESH_OK) {
        rc = mesh_request_args(line, &t->args);
    }

    if (rc == MESH_OK) {
        rc = mesh_file_key(key, &t->key);
    }

    if (rc == MESH_OK) {
        t->holder = bytes_make(t->key.did, sizeof(t->key.did));
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
    ucan_envelope_draft_t   draft;

    if (t->args.arg_count != 0
        || mesh_option_get(line, "args") != NULL
        || mesh_option_get(line, "command") != NULL
        || mesh_option_get(line, "subject") != NULL)
    {
        return mesh_refuse_usage("a session of 1.0 takes no command, "
                                 "arguments or subject; \"--invoke\" does");
    }

    if (t->proofs.jwt_count != 0) {
        return mesh_refuse_usage("\"--proof\" holds JWTs; they go with "
                                 "\"--format 0.10\"");
    }

    if (t->expires < 0) {
        return mesh_refuse_usage("a session must end");
    }

    memset(&draft, 0, sizeof(draft));

    draft.invocation = 1;
    draft.aud = t->audience;
    draft.sub = t->holder;
    draft.cmd = bytes_of(UCAN_CHAIN_SESSION_OPEN);
    draft.nonce = mesh_request_nonce();
    draft.exp = t->expires;
    draft.nbf = MESH_OPTION_NEVER;

    rc = sign_envelope(t, &draft);
    if (rc != MESH_OK) {
        return rc;
    }

    check_session(t);

    return print_container(t, line);
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
make_invocation(mesh_token_t *t, const mesh_line_t *line,
    const char *command)
{
    int                     rc;
    cid_t                   cids[UCAN_TOKEN_PROOFS_MAX];
    ucan_envelope_draft_t   draft;

    memset(&draft, 0, sizeof(draft));

    draft.invocation = 1;
    draft.aud = t->audience;
    draft.nonce = mesh_request_nonce();
    draft.exp = t->expires;
    draft.nbf = MESH_OPTION_NEVER;

    rc = mesh_request_command(command, &draft.cmd);

    if (rc == MESH_OK
        && bytes_equal_text(draft.cmd, UCAN_CHAIN_SESSION_OPEN))
    {
        rc = mesh_refuse_usage("a session is made without \"--invoke\"");
    }

    if (rc == MESH_OK) {
        rc = mesh_request_cbor(line, &t->args, &draft.args);
    }

    if (rc == MESH_OK) {
        rc = read_subject(t, line, &draft.sub);
    }

    if (rc == MESH_OK) {
        rc = find_proofs(t, &draft, cids);
    }

    if (rc == MESH_OK) {
        rc = sign_envelope(t, &draft);
    }

    return (rc == MESH_OK) ? print_container(t, line) : rc;
}


/* "--subject", or what the proofs are about, or oneself. */
static int
read_subject(mesh_token_t *t, const mesh_line_t *line, bytes_t *subject)
{
    int            rc;
    size_t         i;
    ucan_bundle_t  bundle;

    rc = mesh_request_did(line, "subject", 0, subject);

    if (rc != MESH_OK || subject->len != 0) {
        return rc;
    }

    *subject = t->holder;

    if (t->proofs.envelope_count == 0) {
        return MESH_OK;
    }

    rc = mesh_source_open(&t->proofs, &bundle);
    if (rc != MESH_OK) {
        return rc;
    }

    for (i = 0; i < bundle.count; i++) {

        if (bundle.tokens[i].sub.len == 0
            || bytes_equal(bundle.tokens[i].sub, *subject))
        {
            continue;
        }

        if (!bytes_equal(*subject, t->holder)) {
            return mesh_refuse_usage("\"--proof\" is about several subjects; "
                                     "name one with \"--subject\"");
        }

        *subject = bundle.tokens[i].sub;
    }

    return MESH_OK;
}


/* The chain that gives the holder the command, root first; of the proofs only
   these stay. */
static int
find_proofs(mesh_token_t *t, ucan_envelope_draft_t *draft, cid_t *cids)
{
    int              rc;
    size_t           i;
    ucan_walk_t     *walk;
    ucan_trust_t     trust;
    ucan_bundle_t    bundle;
    ucan_verdict_t   verdict;

    if (bytes_equal(draft->sub, t->holder)) {
        t->proofs.envelope_count = 0;
        return MESH_OK;
    }

    rc = mesh_source_open(&t->proofs, &bundle);
    if (rc != MESH_OK) {
        return rc;
    }

    memset(&trust, 0, sizeof(trust));
    ucan_limits_init(&trust.limits);

    trust.anchors = &draft->sub;
    trust.anchor_count = 1;

    walk = mesh_alloc(sizeof(ucan_walk_t));
    ucan_walk_open(walk, &bundle, &trust, (int64_t) time(NULL));

    verdict = ucan_walk_v1_find(walk, t->holder, draft->cmd, draft->args);

    if (verdict != UCAN_OK) {
        return mesh_fail("\"--proof\" does not give you this: %s (%s)",
                         ucan_verdict_text(verdict),
                         ucan_verdict_slug(verdict));
    }

    t->proofs.envelope_count = 0;

    for (i = 0; i < walk->path_count; i++) {
        cids[i] = walk->path[i]->cid;

        rc = mesh_source_add_envelope(&t->proofs, walk->path[i]->raw);
        if (rc != MESH_OK) {
            return rc;
        }
    }

    draft->proofs = cids;
    draft->proof_count = walk->path_count;

    return MESH_OK;
}


static int
sign_envelope(mesh_token_t *t, const ucan_envelope_draft_t *draft)
{
    bytes_writer_t  w;

    bytes_writer_open(&w, mesh_alloc(UCAN_TOKEN_BYTES_MAX),
                      UCAN_TOKEN_BYTES_MAX);

    if (ucan_envelope_encode(draft, &t->key, &w) != 0) {
        return mesh_fail("the token is too large");
    }

    cid_of(&t->cid, CID_DAG_CBOR, bytes_writer_view(&w));

    return mesh_source_add_envelope(&t->proofs, bytes_writer_view(&w));
}


static int
print_container(const mesh_token_t *t, const mesh_line_t *line)
{
    int             rc;
    char            form;
    bytes_writer_t  w;

    rc = mesh_request_form(line, 'P', &form);
    if (rc != MESH_OK) {
        return rc;
    }

    bytes_writer_open(&w, mesh_alloc(MESH_TOKEN_TEXT_MAX),
                      MESH_TOKEN_TEXT_MAX);

    if (ucan_container_encode(form, t->proofs.envelopes,
                              t->proofs.envelope_count, &w, &mesh_memory)
        != 0)
    {
        return mesh_fail("the container is too large");
    }

    if (mesh_option_find(line, "json")) {
        print_json(t, bytes_writer_view(&w), NULL);

    } else {
        mesh_print(bytes_writer_view(&w));
    }

    return MESH_OK;
}


static int
make_jwt(mesh_token_t *t, const mesh_line_t *line)
{
    int               rc;
    cid_t             proofs[UCAN_TOKEN_PROOFS_MAX];
    mesh_caps_t      *caps;
    bytes_writer_t    w;
    ucan_jwt_draft_t  draft;

    if (t->proofs.envelope_count != 0
        || mesh_option_get(line, "form") != NULL
        || mesh_option_get(line, "args") != NULL)
    {
        return mesh_refuse_usage("containers, \"--args\" and \"--form\" are "
                                 "of 1.0, not of 0.10");
    }

    if (t->expires < 0) {
        return mesh_refuse_usage("a session must end");
    }

    memset(&draft, 0, sizeof(draft));

    draft.proofs = proofs;
    caps = mesh_alloc(sizeof(mesh_caps_t));

    rc = read_caps(t, line, caps, &draft);
    if (rc != MESH_OK) {
        return rc;
    }

    draft.aud = t->audience;
    draft.caps = mesh_caps_write(caps);
    draft.nonce = mesh_request_nonce();
    draft.exp = t->expires;
    draft.nbf = MESH_OPTION_NEVER;

    bytes_writer_open(&w, mesh_alloc(UCAN_TOKEN_BYTES_MAX),
                      UCAN_TOKEN_BYTES_MAX);

    if (ucan_jwt_encode(&draft, &t->key, &w) != 0) {
        return mesh_fail("the token is too large");
    }

    cid_of(&t->cid, CID_RAW, bytes_writer_view(&w));

    return print_jwt(t, line, bytes_writer_view(&w));
}


/* What the options claim, or all that the proofs for this key give; and the
   proofs themselves, which nothing may outlive. */
static int
read_caps(mesh_token_t *t, const mesh_line_t *line, mesh_caps_t *caps,
    ucan_jwt_draft_t *draft)
{
    int             rc, claimed;
    cid_t          *proofs;
    size_t          i;
    bytes_t         subject;
    const char     *command;
    ucan_token_t   *token;
    ucan_bundle_t   bundle;

    proofs = (cid_t *) draft->proofs;

    rc = mesh_request_did(line, "subject", 0, &subject);
    if (rc != MESH_OK) {
        return rc;
    }

    subject = (subject.len != 0) ? subject : t->audience;
    i = 0;

    while ((command = mesh_option_next(line, "command", &i)) != NULL) {
        rc = mesh_caps_add_command(caps, subject, command, &t->args);
        if (rc != MESH_OK) {
            return rc;
        }
    }

    claimed = caps->count != 0;

    if (t->proofs.jwt_count == 0) {
        return claimed ? MESH_OK
                       : mesh_caps_add_command(caps, subject, "/", &t->args);
    }

    rc = mesh_source_open(&t->proofs, &bundle);

    for (i = 0; rc == MESH_OK && i < bundle.count; i++) {

        token = &bundle.tokens[i];

        if (!bytes_equal(token->aud, t->holder)) {
            continue;
        }

        proofs[draft->proof_count++] = token->cid;

        if (token->has_exp && token->exp < t->expires) {
            mesh_remark("note: a proof ends sooner, so the session does too");
            t->expires = token->exp;
        }

        if (!claimed) {
            rc = mesh_caps_add_token(caps, token);
        }
    }

    if (rc == MESH_OK && draft->proof_count == 0) {
        return mesh_fail("nothing in \"--proof\" is for this key");
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
