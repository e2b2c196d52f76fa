/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * mesh inspect: what tokens say, token by token.  Checks signatures and the
 * clock, and decides nothing: that is mesh verify.
 */


#include <sodium.h>

#include "json_scan.h"
#include "mesh_json.h"
#include "mesh_source.h"


#define MESH_INSPECT_TEXT_MAX  (512 * 1024)     /* bytes for one token */


static int run(mesh_line_t *line);
static void write_token(json_write_t *j, ucan_token_t *token);
static void write_did(json_write_t *j, const char *key, bytes_t did);
static void write_cbor(json_write_t *j, const char *key, bytes_t cbor);
static void write_nonce(json_write_t *j, const ucan_token_t *token);
static void write_proofs(json_write_t *j, const ucan_token_t *token);
static void print_token(ucan_token_t *token, size_t n);
static void print_member(const json_scan_t *key, const json_scan_t *value);
static const char *state_of(const ucan_token_t *token, int64_t now);


static const mesh_option_t  mesh_inspect_options[] = {
    { NULL, 0, 0 }
};


/* in the order of ucan_token_kind_t */

static const char *const  mesh_inspect_kinds[] = {
    "token (0.10)", "delegation", "invocation"
};


const mesh_command_t  mesh_inspect_command = {
    "inspect",
    "read tokens aloud",

    "usage: mesh inspect [--json] TOKENS...\n"
    "\n"
    "Prints what each token says: who issued it, for whom, about which mesh,\n"
    "which command under which policy, and until when; whether the signature\n"
    "is good and the time is right.  TOKENS are containers, envelopes or\n"
    "JWTs: text, a file, @file, or - for stdin.  It needs no key and asks\n"
    "nobody.  A good signature does not mean that a mesh accepts it: that is\n"
    "what \"mesh verify\" tells.\n"
    "\n"
    "    mesh inspect bot.delegations\n"
    "    mesh token --key bot.key --audience data/mesh.did \\\n"
    "        --proof bot.delegations | mesh inspect -\n",

    mesh_inspect_options,
    run
};


static int
run(mesh_line_t *line)
{
    int             rc;
    size_t          i;
    json_write_t    j;
    ucan_bundle_t   bundle;
    mesh_source_t  *source;
    bytes_writer_t  w;

    if (line->word_count == 0) {
        return mesh_refuse_usage("which token? (- is stdin)");
    }

    source = mesh_alloc(sizeof(mesh_source_t));

    for (i = 0; i < line->word_count; i++) {
        rc = mesh_source_add(source, line->words[i]);
        if (rc != MESH_OK) {
            return rc;
        }
    }

    rc = mesh_source_open(source, &bundle);
    if (rc != MESH_OK) {
        return rc;
    }

    if (!mesh_option_find(line, "json")) {

        for (i = 0; i < bundle.count; i++) {
            print_token(&bundle.tokens[i], i + 1);
        }

        return MESH_OK;
    }

    bytes_writer_open(&w, mesh_alloc(bundle.count * MESH_INSPECT_TEXT_MAX),
                      bundle.count * MESH_INSPECT_TEXT_MAX);
    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_key(&j, "tokens");
    json_write_array(&j);

    for (i = 0; i < bundle.count; i++) {
        write_token(&j, &bundle.tokens[i]);
    }

    json_write_array_end(&j);
    json_write_object_end(&j);

    if (w.failed) {
        return mesh_fail("the tokens are too large to print");
    }

    mesh_print(bytes_writer_view(&w));

    return MESH_OK;
}


static void
write_token(json_write_t *j, ucan_token_t *token)
{
    json_write_object(j);
    json_write_member_text(j, "kind", mesh_inspect_kinds[token->kind]);
    mesh_json_write_cid(j, "cid", &token->cid);
    json_write_member(j, "issuer", token->iss);
    json_write_member(j, "audience", token->aud);

    if (token->kind != UCAN_TOKEN_JWT) {
        write_did(j, "subject", token->sub);
        json_write_member(j, "command", token->cmd);
    }

    if (token->kind == UCAN_TOKEN_DELEGATION) {
        write_cbor(j, "policy", token->policy);
    }

    if (token->kind == UCAN_TOKEN_INVOCATION) {
        write_cbor(j, "args", token->args);
    }

    if (token->kind == UCAN_TOKEN_JWT) {
        json_write_member_raw(j, "capabilities", token->caps);
    }

    write_proofs(j, token);
    write_nonce(j, token);

    if (token->has_nbf) {
        mesh_json_write_time(j, "notBefore", token->nbf);
    }

    mesh_json_write_time(j, "expires", token->has_exp ? token->exp
                                                      : MESH_OPTION_NEVER);
    json_write_member_text(j, "time", state_of(token,
                                               (int64_t) time(NULL)));
    json_write_member_text(j, "signature",
                           ucan_token_verify(token) == UCAN_OK ? "good"
                                                               : "bad");
    json_write_object_end(j);
}


static void
write_did(json_write_t *j, const char *key, bytes_t did)
{
    json_write_key(j, key);

    if (did.len != 0) {
        json_write_string(j, did);

    } else {
        json_write_null(j);
    }
}


static void
write_cbor(json_write_t *j, const char *key, bytes_t cbor)
{
    cbor_item_t  item;

    json_write_key(j, key);

    if (cbor_read(cbor, &item) == 0) {
        mesh_json_write(j, &item);

    } else {
        json_write_null(j);
    }
}


static void
write_nonce(json_write_t *j, const ucan_token_t *token)
{
    char    *hex;
    size_t   size;

    if (token->nonce.len == 0) {
        return;
    }

    if (token->kind == UCAN_TOKEN_JWT) {
        json_write_member(j, "nonce", token->nonce);
        return;
    }

    size = token->nonce.len * 2 + 1;
    hex = mesh_alloc(size);

    sodium_bin2hex(hex, size, token->nonce.data, token->nonce.len);
    json_write_member_text(j, "nonce", hex);
}


static void
write_proofs(json_write_t *j, const ucan_token_t *token)
{
    size_t  i;

    if (token->kind == UCAN_TOKEN_DELEGATION) {
        return;
    }

    json_write_key(j, "proofs");
    json_write_array(j);

    for (i = 0; i < token->proof_count; i++) {
        mesh_json_write_cid(j, NULL, &token->proofs[i]);
    }

    json_write_array_end(j);
}


/* The same members as the JSON, one a line. */
static void
print_token(ucan_token_t *token, size_t n)
{
    size_t          pos;
    json_scan_t     object, key, value;
    json_write_t    j;
    bytes_writer_t  w;

    bytes_writer_open(&w, mesh_alloc(MESH_INSPECT_TEXT_MAX),
                      MESH_INSPECT_TEXT_MAX);
    json_write_open(&j, &w);
    write_token(&j, token);

    if (w.failed
        || json_scan_open(bytes_writer_view(&w), &object) != 0)
    {
        printf("%zu. too large to print\n", n);
        return;
    }

    printf("%s%zu. %s\n", n > 1 ? "\n" : "", n,
           mesh_inspect_kinds[token->kind]);

    pos = 0;

    while (json_scan_next(&object, &pos, &key, &value) == 0) {
        if (!json_scan_equal(&key, "kind")) {
            print_member(&key, &value);
        }
    }
}


static void
print_member(const json_scan_t *key, const json_scan_t *value)
{
    bytes_t  text;

    /* an escaped string stays escaped: a token may hold anything */

    text = (value->type == JSON_SCAN_STRING && !value->escaped)
           ? value->text : value->raw;

    if (bytes_equal_text(text, "null")) {
        text = bytes_of(json_scan_equal(key, "expires") ? "never" : "any");
    }

    printf("   %-12.*s  %.*s\n", (int) key->text.len,
           (const char *) key->text.data, (int) text.len,
           (const char *) text.data);
}


static const char *
state_of(const ucan_token_t *token, int64_t now)
{
    if (token->has_exp && now > token->exp) {
        return "expired";
    }

    if (token->has_nbf && now < token->nbf) {
        return "not yet valid";
    }

    return "valid now";
}
