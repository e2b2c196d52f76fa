/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * mesh delegate: gives somebody else a part of what a key may do.  What comes
 * out holds the whole chain, so that it can be used and passed on as it is.
 */


#include <string.h>

#include "mesh_caps.h"
#include "mesh_json.h"
#include "mesh_mint.h"
#include "mesh_show.h"


#define MESH_DELEGATE_COMMANDS_MAX  32
#define MESH_DELEGATE_EXPIRES       "30d"


/* What the options ask for. */
typedef struct {
    mesh_mint_t       mint;
    bytes_t           issuer;         /* a view into mint */
    bytes_t           audience;
    bytes_t           subject;        /* empty: powerline */
    mesh_args_t       args;
    mesh_source_t     from;
    const char       *commands[MESH_DELEGATE_COMMANDS_MAX];
    size_t            command_count;
    int64_t           expires;        /* seconds, or MESH_OPTION_NEVER */
    int64_t           not_before;     /* the same: from always */
    cid_t             made[MESH_DELEGATE_COMMANDS_MAX];
    size_t            made_count;
} mesh_delegate_t;


static int run(mesh_line_t *line);
static int read_options(mesh_delegate_t *d, const mesh_line_t *line);
static int read_commands(mesh_delegate_t *d, const mesh_line_t *line);
static int read_subject(mesh_delegate_t *d, const mesh_line_t *line);
static int find_subject(mesh_delegate_t *d);
static bytes_t subject_of(const ucan_token_t *token);
static int delegate_v1(mesh_delegate_t *d, const mesh_line_t *line);
static int check_covered(const mesh_delegate_t *d, bytes_t command);
static int sign_v1(mesh_delegate_t *d, bytes_t command, bytes_t policy);
static int print_v1(const mesh_delegate_t *d, const mesh_line_t *line);
static int delegate_jwt(mesh_delegate_t *d, const mesh_line_t *line);
static int sign_jwt(mesh_delegate_t *d, const mesh_line_t *line);
static int claim(mesh_delegate_t *d, const mesh_line_t *line, bytes_t *json);
static void print_result(const mesh_delegate_t *d, const mesh_line_t *line,
    const char *name, bytes_t text);


static const mesh_option_t  mesh_delegate_options[] = {
    { "key",        1, 0 },
    { "to",         1, 0 },
    { "subject",    1, 0 },
    { "command",    1, 1 },
    { "arg",        1, 1 },
    { "policy",     1, 0 },
    { "expires",    1, 0 },
    { "not-before", 1, 0 },
    { "from",       1, 1 },
    { "resource",   1, 0 },
    { "ability",    1, 1 },
    { "caveat",     1, 0 },
    { "format",     1, 0 },
    { "tag",        1, 0 },
    { "form",       1, 0 },
    { NULL,         0, 0 }
};


const mesh_command_t  mesh_delegate_command = {
    "delegate",
    "give somebody a part of what a key may do",

    "usage: mesh delegate --key FILE --to DID --command COMMAND...\n"
    "                     [--arg NAME=VALUE]... [--policy JSON]\n"
    "                     [--from TOKENS]... [--subject DID|any]\n"
    "                     [--expires TIME] [--not-before TIME]\n"
    "                     [--format 1.0|0.10|0.9|0.8] [--tag 1.0.0]\n"
    "                     [--form B|C|O|P]\n"
    "       mesh delegate --key FILE --to DID --format 0.10|0.9|0.8\n"
    "                     --resource URI --ability ABILITY...\n"
    "                     [--caveat JSON] [--from TOKENS]...\n"
    "\n"
    "Signs, with the key in FILE, that DID may use COMMAND, and prints a\n"
    "container with that delegation and the chain it stands on.  A\n"
    "delegation is no secret and no login: only the key of its audience can\n"
    "make a token of it (mesh token).  It can only pass on what the issuer\n"
    "has, and only narrower: whatever a link in the chain leaves out, those\n"
    "behind it cannot bring back.\n"
    "\n"
    "  --key FILE       the issuer's key (mesh key, or a mesh's mesh.key)\n"
    "  --to DID         who gets it; a file with a DID does as well\n"
    "  --command C      /room/send; \"/room\" covers all below it, \"/\" all\n"
    "                   there is; may be given again\n"
    "  --arg N=V        only with this argument, as room=r_...; several\n"
    "                   values for one name mean any of them\n"
    "  --policy JSON    statements of the UCAN policy language, in addition\n"
    "  --from TOKENS    what the issuer was given itself: the output of an\n"
    "                   earlier \"mesh delegate\"; file, text or -\n"
    "  --subject DID    the mesh that all this is about; found out from\n"
    "                   --from, else the issuer itself; \"any\" for all\n"
    "                   that --from may ever give (a powerline)\n"
    "  --expires TIME   15m, 12h, 30d, 2026-12-31, never; 30d when absent\n"
    "  --format         1.0 (a container), or JWTs: 0.10 and 0.9 (parted by\n"
    "                   commas, the new one first), 0.8 (the proofs inside)\n"
    "  --tag            of 1.0: 1.0.0-rc.1, which all take, or 1.0.0\n"
    "  --form           letter of the container: C and B plain, P and O\n"
    "                   compressed; C when absent\n"
    "  --resource URI   0.x for others than a mesh: --ability with this\n"
    "                   thing, and --caveat as a JSON object\n"
    "\n"
    "The mesh lets Ada use all of its rooms; Ada lets her bot read one:\n"
    "\n"
    "    mesh delegate --key data/mesh.key --command /room \\\n"
    "        --to \"$(mesh key show ada.key)\" > ada.delegations\n"
    "    mesh delegate --key ada.key --from ada.delegations \\\n"
    "        --to \"$(mesh key show bot.key)\" --command /room/read \\\n"
    "        --arg room=r_06f... --expires 7d > bot.delegations\n"
    "    mesh inspect bot.delegations\n",

    mesh_delegate_options,
    run
};


static int
run(mesh_line_t *line)
{
    int               rc;
    mesh_delegate_t  *d;

    if (line->word_count != 0) {
        return mesh_refuse_usage("\"%s\" is not understood", line->words[0]);
    }

    d = mesh_alloc(sizeof(mesh_delegate_t));

    rc = mesh_mint_format(&d->mint, line);

    if (rc == MESH_OK) {
        rc = read_options(d, line);
    }

    if (rc == MESH_OK) {
        rc = (d->mint.version == UCAN_TOKEN_VERSION_V1)
             ? delegate_v1(d, line) : delegate_jwt(d, line);
    }

    mesh_mint_close(&d->mint);

    return rc;
}


static int
read_options(mesh_delegate_t *d, const mesh_line_t *line)
{
    int  rc;

    if (mesh_option_get(line, "key") == NULL) {
        return mesh_refuse_usage("\"--key\" is missing");
    }

    rc = mesh_request_did(line, "to", 1, &d->audience);

    if (rc == MESH_OK) {
        rc = read_commands(d, line);
    }

    if (rc == MESH_OK) {
        rc = mesh_request_args(line, &d->args);
    }

    if (rc == MESH_OK) {
        rc = mesh_request_time(line, "expires", MESH_DELEGATE_EXPIRES,
                               &d->expires);
    }

    if (rc == MESH_OK) {
        rc = mesh_request_time(line, "not-before", "never", &d->not_before);
    }

    if (rc == MESH_OK) {
        rc = mesh_mint_open(&d->mint, line);
    }

    if (rc == MESH_OK) {
        d->issuer = d->mint.did;
        rc = mesh_source_add_option(&d->from, line, "from");
    }

    if (rc == MESH_OK) {
        rc = mesh_source_drop_invocations(&d->from);
    }

    return (rc == MESH_OK) ? read_subject(d, line) : rc;
}


static int
read_commands(mesh_delegate_t *d, const mesh_line_t *line)
{
    int          rc;
    size_t       i;
    bytes_t      command;
    const char  *value;

    i = 0;

    while ((value = mesh_option_next(line, "command", &i)) != NULL) {

        rc = mesh_request_command(value, &command);
        if (rc != MESH_OK) {
            return rc;
        }

        if (d->command_count == MESH_DELEGATE_COMMANDS_MAX) {
            return mesh_refuse_usage("more than %d commands",
                                     MESH_DELEGATE_COMMANDS_MAX);
        }

        d->commands[d->command_count++] = value;
    }

    return (d->command_count != 0
            || mesh_option_get(line, "resource") != NULL)
           ? MESH_OK : mesh_refuse_usage("\"--command\" is missing");
}


static int
read_subject(mesh_delegate_t *d, const mesh_line_t *line)
{
    const char  *value;

    value = mesh_option_get(line, "subject");

    if (value != NULL && strcmp(value, "any") == 0) {
        return MESH_OK;
    }

    if (value != NULL) {
        return mesh_request_did(line, "subject", 1, &d->subject);
    }

    d->subject = d->issuer;

    /* what is asked for by "--resource" is about no mesh */

    if (d->from.envelope_count != 0
        || (d->from.jwt_count != 0 && d->command_count != 0
            && d->mint.version != UCAN_TOKEN_VERSION_V1))
    {
        return find_subject(d);
    }

    return MESH_OK;
}


/* The one subject that the proofs are about. */
static int
find_subject(mesh_delegate_t *d)
{
    int             rc;
    size_t          i;
    bytes_t         found, subject;
    ucan_bundle_t   bundle;

    rc = mesh_source_open(&d->from, &bundle);
    if (rc != MESH_OK) {
        return rc;
    }

    found = bytes_make(NULL, 0);

    for (i = 0; i < bundle.count; i++) {

        subject = subject_of(&bundle.tokens[i]);

        if (subject.len == 0 || bytes_equal(subject, found)) {
            continue;
        }

        if (found.len != 0) {
            return mesh_refuse_usage("\"--from\" is about several subjects; "
                                     "name one with \"--subject\"");
        }

        found = subject;
    }

    if (found.len != 0) {
        d->subject = found;
    }

    return MESH_OK;
}


/* In 0.x who issued the root owns what the chain is about. */
static bytes_t
subject_of(const ucan_token_t *token)
{
    if (token->kind != UCAN_TOKEN_JWT) {
        return token->sub;
    }

    return (token->proof_count == 0 && !token->foreign)
           ? token->iss : bytes_make(NULL, 0);
}


static int
delegate_v1(mesh_delegate_t *d, const mesh_line_t *line)
{
    int      rc;
    size_t   i;
    bytes_t  policy;

    if (d->from.jwt_count != 0) {
        return mesh_refuse_usage("\"--from\" holds JWTs; they go with "
                                 "\"--format 0.10\", 0.9 or 0.8");
    }

    if (mesh_option_get(line, "resource") != NULL) {
        return mesh_refuse_usage("\"--resource\" is of 0.x; 1.0 has "
                                 "commands");
    }

    rc = mesh_request_policy(line, &d->args, &policy);
    if (rc != MESH_OK) {
        return rc;
    }

    for (i = 0; i < d->command_count; i++) {

        rc = check_covered(d, bytes_of(d->commands[i]));

        if (rc == MESH_OK) {
            rc = sign_v1(d, bytes_of(d->commands[i]), policy);
        }

        if (rc != MESH_OK) {
            return rc;
        }
    }

    return print_v1(d, line);
}


/* Does anything in "--from" give the issuer this command?  Policies and
   windows are the verifier's matter. */
static int
check_covered(const mesh_delegate_t *d, bytes_t command)
{
    int            rc;
    size_t         i;
    ucan_bundle_t  bundle;

    if (bytes_equal(d->issuer, d->subject)) {
        return MESH_OK;
    }

    if (d->from.envelope_count == 0) {
        mesh_remark("note: the issuer is not the subject; whoever uses this "
                    "needs the chain that gives it %s as well (--from)",
                    mesh_text(command));
        return MESH_OK;
    }

    rc = mesh_source_open(&d->from, &bundle);
    if (rc != MESH_OK) {
        return rc;
    }

    for (i = 0; i < bundle.count; i++) {
        if (bytes_equal(bundle.tokens[i].aud, d->issuer)
            && ucan_chain_covers(bundle.tokens[i].cmd, command))
        {
            return MESH_OK;
        }
    }

    return mesh_fail("nothing in \"--from\" gives %s the command \"%s\"",
                     mesh_text(d->issuer), mesh_text(command));
}


static int
sign_v1(mesh_delegate_t *d, bytes_t command, bytes_t policy)
{
    int                     rc;
    bytes_t                 raw;
    ucan_envelope_draft_t   draft;

    memset(&draft, 0, sizeof(draft));

    draft.aud = d->audience;
    draft.sub = d->subject;
    draft.cmd = command;
    draft.policy = policy;
    draft.nonce = mesh_request_nonce();
    draft.exp = d->expires;
    draft.nbf = d->not_before;

    rc = mesh_mint_envelope(&d->mint, &draft, &raw,
                            &d->made[d->made_count++]);

    return (rc == MESH_OK) ? mesh_source_add_envelope(&d->from, raw) : rc;
}


static int
print_v1(const mesh_delegate_t *d, const mesh_line_t *line)
{
    int      rc;
    bytes_t  text;

    rc = mesh_mint_container(line, &d->from, 'C', &text);

    if (rc == MESH_OK) {
        print_result(d, line, "container", text);
    }

    return rc;
}


static int
delegate_jwt(mesh_delegate_t *d, const mesh_line_t *line)
{
    int  rc;

    if (d->from.envelope_count != 0
        || mesh_option_get(line, "policy") != NULL
        || mesh_option_get(line, "form") != NULL)
    {
        return mesh_refuse_usage("containers, \"--policy\" and \"--form\" "
                                 "are of 1.0, not of %s",
                                 mesh_option_get(line, "format"));
    }

    if (d->subject.len == 0) {
        return mesh_refuse_usage("0.x has no powerline");
    }

    if (d->from.jwt_count == 0
        && d->command_count != 0
        && !bytes_equal(d->subject, d->issuer))
    {
        mesh_remark("note: the issuer is not the subject; whoever uses this "
                    "needs the proofs as well (--from)");
    }

    rc = sign_jwt(d, line);

    if (rc == MESH_OK) {
        print_result(d, line, "tokens", mesh_source_join(&d->from, 0));
    }

    return rc;
}


/* d->from becomes what is printed, the new one first. */
static int
sign_jwt(mesh_delegate_t *d, const mesh_line_t *line)
{
    int                rc;
    size_t             i;
    cid_t              proofs[UCAN_TOKEN_PROOFS_MAX];
    bytes_t            raw, embedded[UCAN_TOKEN_PROOFS_MAX];
    mesh_source_t     *all, *rest;
    ucan_jwt_draft_t   draft;

    memset(&draft, 0, sizeof(draft));

    draft.aud = d->audience;
    draft.nonce = mesh_request_nonce();
    draft.proofs = proofs;
    draft.embedded = embedded;
    draft.exp = d->expires;
    draft.nbf = d->not_before;

    all = mesh_alloc(sizeof(mesh_source_t));
    rest = mesh_alloc(sizeof(mesh_source_t));

    rc = claim(d, line, &draft.caps);

    if (rc == MESH_OK) {
        rc = mesh_mint_proofs(&d->mint, &draft, &d->from,
                              mesh_option_get(line, "expires") != NULL, rest);
    }

    if (rc == MESH_OK) {
        rc = mesh_mint_jwt(&d->mint, &draft, &raw,
                           &d->made[d->made_count++]);
    }

    if (rc == MESH_OK) {
        d->expires = draft.exp;
        rc = mesh_source_add_jwt(all, raw);
    }

    for (i = 0; rc == MESH_OK && i < rest->jwt_count; i++) {
        rc = mesh_source_add_jwt(all, rest->jwts[i]);
    }

    d->from = *all;

    return rc;
}


static int
claim(mesh_delegate_t *d, const mesh_line_t *line, bytes_t *json)
{
    int           rc;
    size_t        i;
    mesh_caps_t  *caps;

    caps = mesh_alloc(sizeof(mesh_caps_t));
    caps->version = d->mint.version;

    rc = mesh_caps_add_resource(caps, line);

    for (i = 0; rc == MESH_OK && i < d->command_count; i++) {
        rc = mesh_caps_add_command(caps, d->subject, d->commands[i],
                                   &d->args);
    }

    return (rc == MESH_OK) ? mesh_caps_write(caps, json) : rc;
}


static void
print_result(const mesh_delegate_t *d, const mesh_line_t *line,
    const char *name, bytes_t text)
{
    size_t          i, size;
    json_write_t    j;
    bytes_writer_t  w;

    if (!mesh_option_find(line, "json")) {
        mesh_print(text);
        return;
    }

    size = text.len + 8192;

    bytes_writer_open(&w, mesh_alloc(size), size);
    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member(&j, name, text);
    json_write_key(&j, "cids");
    json_write_array(&j);

    for (i = 0; i < d->made_count; i++) {
        mesh_json_write_cid(&j, NULL, &d->made[i]);
    }

    json_write_array_end(&j);
    json_write_member(&j, "issuer", d->issuer);
    json_write_member(&j, "audience", d->audience);
    json_write_key(&j, "subject");

    if (d->subject.len != 0) {
        json_write_string(&j, d->subject);

    } else {
        json_write_null(&j);
    }

    mesh_json_write_time(&j, "expires", d->expires);
    json_write_object_end(&j);

    mesh_print(bytes_writer_view(&w));
}
