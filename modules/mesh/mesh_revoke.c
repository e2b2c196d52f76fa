/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * mesh revoke: takes back a token that the key issued, or one that stands
 * below such a token.  Whoever is told has to find that out: for 1.0 the
 * delegations that show it come along.
 */


#include <string.h>

#include "base64.h"
#include "cbor.h"
#include "mesh_json.h"
#include "mesh_mint.h"
#include "mesh_request.h"
#include "mesh_show.h"
#include "ucan_revocation.h"


#define MESH_REVOKE_SIGNED  "REVOKE:"


typedef struct {
    mesh_mint_t     mint;
    cid_t           cid;              /* of what is void */
    mesh_source_t   proofs;           /* the witnesses */
    ucan_bundle_t   bundle;           /* of them */
    cid_t           self;             /* of the revocation */
} mesh_revoke_t;


static int run(mesh_line_t *line);
static int read_options(mesh_revoke_t *v, const mesh_line_t *line);
static int check_proofs(mesh_revoke_t *v);
static int make_record(mesh_revoke_t *v, bytes_t *text);
static int sign_challenge(const mesh_revoke_t *v, bytes_t cid,
    bytes_t *challenge);
static int make_invocation(mesh_revoke_t *v, const mesh_line_t *line,
    bytes_t *text);
static int check_result(bytes_t text);
static void print_result(const mesh_revoke_t *v, const mesh_line_t *line,
    bytes_t text);


static const mesh_option_t  mesh_revoke_options[] = {
    { "key",    1, 0 },
    { "proof",  1, 1 },
    { "format", 1, 0 },
    { "tag",    1, 0 },
    { "form",   1, 0 },
    { "body",   0, 0 },
    { NULL,     0, 0 }
};


const mesh_command_t  mesh_revoke_command = {
    "revoke",
    "take back a token that you issued",

    "usage: mesh revoke CID --key FILE [--proof TOKENS]...\n"
    "                   [--format 1.0|0.10] [--tag 1.0.0] [--form B|C|O|P]\n"
    "                   [--body]\n"
    "\n"
    "Signs that the token with that CID is void from now on, with everything\n"
    "that stands on it, for ever.  It counts when the key issued the token,\n"
    "or a token above it in the chain; that of a stranger is ignored.  What\n"
    "comes out is one line: send it to a mesh, or add it to the file that\n"
    "nginx reads (ucan_revocation_file).\n"
    "\n"
    "  CID             of the token (mesh inspect tells it)\n"
    "  --key FILE      the key that issued it, or a token above it\n"
    "  --proof TOKENS  the token itself and those above it: they show that\n"
    "                  the key may revoke it, and travel along in 1.0\n"
    "  --format        1.0: an invocation of /ucan/revoke in a container;\n"
    "                  0.10: a JSON record, for 0.9 and 0.8 as well; when\n"
    "                  absent, that of the token\n"
    "  --tag, --form   as in \"mesh invoke\"; form C when absent\n"
    "  --body          the JSON body of POST /api/ucan/revocations instead\n"
    "\n"
    "    mesh revoke bafyrei... --key ada.key --proof bot.delegations \\\n"
    "        > bot.revocation\n"
    "    mesh verify \"$TOKEN\" --audience data/mesh.did \\\n"
    "        --revocations bot.revocation\n"
    "    mesh revoke bafyrei... --key ada.key --proof bot.delegations \\\n"
    "        --body | curl -H \"Content-Type: application/json\" \\\n"
    "        --data-binary @- http://localhost:4000/api/ucan/revocations\n",

    mesh_revoke_options,
    run
};


static int
run(mesh_line_t *line)
{
    int             rc;
    bytes_t         text;
    mesh_revoke_t  *v;

    if (line->word_count != 1) {
        return mesh_refuse_usage("the CID of one token was expected");
    }

    v = mesh_alloc(sizeof(mesh_revoke_t));
    text = bytes_make(NULL, 0);

    rc = read_options(v, line);

    if (rc == MESH_OK) {
        rc = check_proofs(v);
    }

    if (rc == MESH_OK) {
        rc = (v->mint.version == UCAN_TOKEN_VERSION_V1)
             ? make_invocation(v, line, &text) : make_record(v, &text);
    }

    mesh_mint_close(&v->mint);

    if (rc == MESH_OK) {
        rc = check_result(text);
    }

    if (rc == MESH_OK) {
        print_result(v, line, text);
    }

    return rc;
}


static int
read_options(mesh_revoke_t *v, const mesh_line_t *line)
{
    int  rc;

    rc = mesh_request_cid(line->words[0], &v->cid);

    if (rc == MESH_OK) {
        rc = mesh_mint_format(&v->mint, line);
    }

    if (rc == MESH_OK
        && mesh_option_get(line, "format") == NULL
        && v->cid.codec == CID_RAW)
    {
        v->mint.version = UCAN_TOKEN_VERSION_10;
    }

    if (rc == MESH_OK
        && v->mint.version != UCAN_TOKEN_VERSION_V1
        && mesh_option_get(line, "form") != NULL)
    {
        rc = mesh_refuse_usage("\"--form\" is of 1.0; a record of 0.x is "
                               "JSON");
    }

    if (rc == MESH_OK) {
        rc = mesh_source_add_option(&v->proofs, line, "proof");
    }

    if (rc == MESH_OK) {
        rc = mesh_mint_open(&v->mint, line);
    }

    return rc;
}


/* A revocation that nobody would honour is better not made, as far as the
   proofs tell. */
static int
check_proofs(mesh_revoke_t *v)
{
    int  rc;

    if (v->proofs.envelope_count == 0 && v->proofs.jwt_count == 0) {
        return MESH_OK;
    }

    rc = mesh_source_open(&v->proofs, &v->bundle);
    if (rc != MESH_OK) {
        return rc;
    }

    if (ucan_bundle_find(&v->bundle, &v->cid) == NULL) {
        mesh_remark("note: the token itself is not in \"--proof\", so "
                    "nothing shows that this key may revoke it");
        return MESH_OK;
    }

    if (!ucan_revocation_witnessed(&v->bundle, &v->cid, v->mint.did)) {
        return mesh_fail("this key, %s, issued neither that token nor, as "
                         "far as \"--proof\" shows, one above it; its "
                         "revocation would be ignored",
                         mesh_text(v->mint.did));
    }

    return MESH_OK;
}


/* {"iss": DID, "revoke": CID, "challenge": signature} */
static int
make_record(mesh_revoke_t *v, bytes_t *text)
{
    int             rc;
    size_t          size;
    bytes_t         cid, challenge;
    json_write_t    j;
    bytes_writer_t  w;

    cid = bytes_of(mesh_show_cid(&v->cid));

    rc = sign_challenge(v, cid, &challenge);
    if (rc != MESH_OK) {
        return rc;
    }

    size = v->mint.did.len + cid.len + challenge.len + 64;

    bytes_writer_open(&w, mesh_alloc(size), size);
    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member(&j, "iss", v->mint.did);
    json_write_member(&j, "revoke", cid);
    json_write_member(&j, "challenge", challenge);
    json_write_object_end(&j);

    *text = bytes_writer_view(&w);
    cid_of(&v->self, CID_RAW, *text);

    return w.failed ? mesh_fail("the record is too long") : MESH_OK;
}


static int
sign_challenge(const mesh_revoke_t *v, bytes_t cid, bytes_t *challenge)
{
    uint8_t         message[sizeof(MESH_REVOKE_SIGNED) + CID_TEXT_LEN];
    uint8_t         signature[SIGNATURE_SIGNER_SIG_MAX];
    size_t          size;
    bytes_writer_t  w, sig, out;

    bytes_writer_open(&w, message, sizeof(message));
    bytes_writer_text(&w, MESH_REVOKE_SIGNED);
    bytes_writer_bytes(&w, cid);

    bytes_writer_open(&sig, signature, sizeof(signature));

    if (w.failed
        || signature_signer_sign(&v->mint.signer, bytes_writer_view(&w),
                                 &sig)
           != 0)
    {
        return mesh_fail("the key does not sign");
    }

    size = base64_encoded_max(sizeof(signature));

    bytes_writer_open(&out, mesh_alloc(size), size);

    if (base64_encode(BASE64_URL, bytes_writer_view(&sig), &out) != 0) {
        return mesh_fail("the record is too long");
    }

    *challenge = bytes_writer_view(&out);

    return MESH_OK;
}


/* An invocation by the key about itself, without end and without a nonce: the
   same revocation made twice is the same. */
static int
make_invocation(mesh_revoke_t *v, const mesh_line_t *line, bytes_t *text)
{
    int                     rc;
    bytes_t                 raw;
    uint8_t                 binary[CID_BINARY_LEN], args[128];
    bytes_writer_t          w, link;
    ucan_envelope_draft_t   draft;

    if (v->proofs.jwt_count != 0) {
        return mesh_refuse_usage("\"--proof\" holds JWTs; a record of "
                                 "\"--format 0.10\" takes them back");
    }

    bytes_writer_open(&link, binary, sizeof(binary));
    cid_write_binary(&v->cid, &link);

    bytes_writer_open(&w, args, sizeof(args));
    cbor_write_map(&w, 1);
    cbor_write_text(&w, bytes_of("revoke"));
    cbor_write_link(&w, bytes_writer_view(&link));

    memset(&draft, 0, sizeof(draft));

    draft.invocation = 1;
    draft.sub = v->mint.did;
    draft.cmd = bytes_of(UCAN_REVOCATION_COMMAND);
    draft.args = bytes_writer_view(&w);
    draft.exp = MESH_OPTION_NEVER;
    draft.nbf = MESH_OPTION_NEVER;

    rc = w.failed ? mesh_fail("the CID is too long")
                  : mesh_source_drop_invocations(&v->proofs);

    if (rc == MESH_OK) {
        rc = mesh_mint_envelope(&v->mint, &draft, &raw, &v->self);
    }

    if (rc == MESH_OK) {
        rc = mesh_source_add_envelope(&v->proofs, raw);
    }

    return (rc == MESH_OK)
           ? mesh_mint_container(line, &v->proofs, 'C', text) : rc;
}


/* As its readers will see it. */
static int
check_result(bytes_t text)
{
    ucan_bundle_t       witness;
    ucan_verdict_t      rc;
    ucan_revocation_t   revocation;

    rc = ucan_revocation_parse(&revocation, text, &witness, &mesh_memory);

    return (rc == UCAN_OK)
           ? MESH_OK
           : mesh_fail("the revocation would be refused: %s (%s); give fewer "
                       "proofs", ucan_verdict_text(rc),
                       ucan_verdict_slug(rc));
}


static void
print_result(const mesh_revoke_t *v, const mesh_line_t *line, bytes_t text)
{
    size_t          size;
    json_write_t    j;
    bytes_writer_t  w;

    size = json_write_string_max(text.len) + 1024;

    bytes_writer_open(&w, mesh_alloc(size), size);
    json_write_open(&j, &w);

    if (mesh_option_find(line, "body")) {
        json_write_object(&j);

        if (v->mint.version == UCAN_TOKEN_VERSION_V1) {
            json_write_member(&j, "token", text);

        } else {
            json_write_member_raw(&j, "revocation", text);
        }

        json_write_object_end(&j);
        mesh_print(bytes_writer_view(&w));

        return;
    }

    if (!mesh_option_find(line, "json")) {
        mesh_print(text);
        return;
    }

    json_write_object(&j);
    json_write_member(&j, "revocation", text);
    mesh_json_write_cid(&j, "revokes", &v->cid);
    mesh_json_write_cid(&j, "cid", &v->self);
    json_write_member_text(&j, "format",
                           v->mint.version == UCAN_TOKEN_VERSION_V1 ? "1.0"
                                                                    : "0.10");
    json_write_object_end(&j);

    mesh_print(bytes_writer_view(&w));
}
