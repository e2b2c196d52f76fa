/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * mesh inspect: what tokens, revocations and DIDs say, one by one.  Decides
 * nothing: that is mesh verify.  A signature is checked when that is asked
 * for, and else said to be unchecked.
 */


#include <sodium.h>

#include "json_scan.h"
#include "mesh_file.h"
#include "mesh_json.h"
#include "mesh_show.h"
#include "mesh_source.h"
#include "ucan_envelope.h"
#include "ucan_jwt.h"
#include "ucan_revocation.h"


#define MESH_INSPECT_TEXT_MAX   (512 * 1024)     /* bytes for one item */
#define MESH_INSPECT_ITEMS_MAX  512


/* One thing to say something about. */
typedef struct {
    const char         *kind;
    bytes_t             text;         /* a DID, or what is none of ours */
    cid_t               cid;
    ucan_verdict_t      verdict;      /* of the decoders */
    ucan_token_t        token;        /* when it is one */
    ucan_revocation_t   revocation;
    size_t              carrier;      /* number of the token of 0.8 that
                                         carries it, or 0 */
} mesh_inspect_item_t;


typedef struct {
    mesh_inspect_item_t  *list[MESH_INSPECT_ITEMS_MAX];
    size_t                count;
    int                   verify;     /* signatures too */
    int                   bad;        /* something was none, or forged */
    int64_t               now;
} mesh_inspect_t;


static int run(mesh_line_t *line);
static int read_word(mesh_inspect_t *inspect, const char *word);
static int read_line(mesh_inspect_t *inspect, const char *word,
    bytes_t line);
static int read_tokens(mesh_inspect_t *inspect, const char *word,
    bytes_t text);
static int add_envelope(mesh_inspect_t *inspect, bytes_t raw);
static int add_jwt(mesh_inspect_t *inspect, bytes_t raw, size_t carrier);
static int add_record(mesh_inspect_t *inspect, bytes_t json);
static int add_did(mesh_inspect_t *inspect, bytes_t did);
static mesh_inspect_item_t *new_item(mesh_inspect_t *inspect,
    const char *kind);
static int print_items(mesh_inspect_t *inspect, int json);
static void write_item(mesh_inspect_t *inspect, json_write_t *j, size_t i);
static void write_token(mesh_inspect_t *inspect, json_write_t *j,
    ucan_token_t *token);
static void write_revocation(mesh_inspect_t *inspect, json_write_t *j,
    const mesh_inspect_item_t *item);
static void write_did(json_write_t *j, const char *key, bytes_t did);
static void write_key(json_write_t *j, const char *key, bytes_t did);
static void write_cbor(json_write_t *j, const char *key, bytes_t cbor);
static void write_nonce(json_write_t *j, const ucan_token_t *token);
static void write_proofs(json_write_t *j, const ucan_token_t *token);
static void print_item(mesh_inspect_t *inspect, size_t i);
static void print_member(const json_scan_t *key, const json_scan_t *value);
static const char *state_of(const ucan_token_t *token, int64_t now);
static const char *seal_of(mesh_inspect_t *inspect, ucan_token_t *token);


static const mesh_option_t  mesh_inspect_options[] = {
    { "verify", 0, 0 },
    { NULL,     0, 0 }
};


/* in the order of ucan_token_kind_t */

static const char *const  mesh_inspect_kinds[] = {
    "token", "delegation", "invocation"
};


const mesh_command_t  mesh_inspect_command = {
    "inspect",
    "read tokens aloud",

    "usage: mesh inspect [--verify] [--json] TOKENS...\n"
    "\n"
    "Prints what each token says: its version, who issued it with what kind\n"
    "of key, for whom, about which mesh, which command under which policy or\n"
    "which abilities with which things, and until when; of a revocation, who\n"
    "takes back what; of a DID, the kind of its key.  TOKENS are containers,\n"
    "envelopes, JWTs (those inside one of 0.8 follow it), revocations and\n"
    "DIDs, as many as there are, one a line or parted by commas: text, a\n"
    "file, @file, or - for stdin.  It needs no key and asks nobody.\n"
    "\n"
    "  --verify    checks the signatures as well; else it says that they are\n"
    "              not checked.  A good signature does not mean that a mesh\n"
    "              accepts a token: that is what \"mesh verify\" tells\n"
    "\n"
    "Exit code 1: something is no token, or a signature is bad.\n"
    "\n"
    "    mesh inspect bot.delegations\n"
    "    mesh token --key bot.key --audience data/mesh.did \\\n"
    "        --proof bot.delegations | mesh inspect --verify -\n",

    mesh_inspect_options,
    run
};


static int
run(mesh_line_t *line)
{
    int              rc;
    size_t           i;
    mesh_inspect_t  *inspect;

    if (line->word_count == 0) {
        return mesh_refuse_usage("which token? (- is stdin)");
    }

    inspect = mesh_alloc(sizeof(mesh_inspect_t));

    inspect->verify = mesh_option_find(line, "verify");
    inspect->now = (int64_t) time(NULL);

    for (i = 0; i < line->word_count; i++) {
        rc = read_word(inspect, line->words[i]);
        if (rc != MESH_OK) {
            return rc;
        }
    }

    rc = print_items(inspect, mesh_option_find(line, "json"));

    return (rc == MESH_OK && inspect->bad) ? MESH_REFUSED : rc;
}


/* Bytes are one envelope or container, text is looked at line by line. */
static int
read_word(mesh_inspect_t *inspect, const char *word)
{
    int             rc;
    bytes_t         content, line;
    bytes_reader_t  r;

    rc = mesh_file_input(word, &content);
    if (rc != MESH_OK) {
        return rc;
    }

    if (strchr("@M\x82", content.data[0]) != NULL) {
        return read_tokens(inspect, word, content);
    }

    bytes_reader_open(&r, content);

    while (bytes_reader_left(&r) != 0) {

        line = mesh_source_line(&r);

        if (line.len == 0 || line.data[0] == '#') {
            continue;
        }

        rc = read_line(inspect, word, line);
        if (rc != MESH_OK) {
            return rc;
        }
    }

    return MESH_OK;
}


static int
read_line(mesh_inspect_t *inspect, const char *word, bytes_t line)
{
    if (line.data[0] == '{') {
        return add_record(inspect, line);
    }

    if (bytes_start_with(line, bytes_of("did:"))) {
        return add_did(inspect, line);
    }

    return read_tokens(inspect, word, line);
}


static int
read_tokens(mesh_inspect_t *inspect, const char *word, bytes_t text)
{
    int             rc;
    size_t          i;
    mesh_source_t  *source;

    source = mesh_alloc(sizeof(mesh_source_t));

    rc = mesh_source_add_text(source, word, text);

    for (i = 0; rc == MESH_OK && i < source->envelope_count; i++) {
        rc = add_envelope(inspect, source->envelopes[i]);
    }

    for (i = 0; rc == MESH_OK && i < source->jwt_count; i++) {
        rc = add_jwt(inspect, source->jwts[i], 0);
    }

    return rc;
}


static int
add_envelope(mesh_inspect_t *inspect, bytes_t raw)
{
    mesh_inspect_item_t  *item;

    item = new_item(inspect, "envelope");

    if (item == NULL) {
        return MESH_REFUSED;
    }

    cid_of(&item->cid, CID_DAG_CBOR, raw);
    item->verdict = ucan_envelope_decode(&item->token, raw, &mesh_memory);

    if (item->verdict == UCAN_OK) {
        item->kind = mesh_inspect_kinds[item->token.kind];
    }

    return MESH_OK;
}


/* What a token of 0.8 carries in itself follows it. */
static int
add_jwt(mesh_inspect_t *inspect, bytes_t raw, size_t carrier)
{
    int                   rc;
    size_t                i, number;
    mesh_inspect_item_t  *item;
    ucan_jwt_embedded_t  *embedded;

    item = new_item(inspect, "JWT");

    if (item == NULL) {
        return MESH_REFUSED;
    }

    number = inspect->count;
    embedded = mesh_alloc(sizeof(ucan_jwt_embedded_t));

    item->carrier = carrier;
    cid_of(&item->cid, CID_RAW, raw);
    item->verdict = ucan_jwt_decode(&item->token, raw, embedded,
                                    &mesh_memory);

    if (item->verdict != UCAN_OK) {
        return MESH_OK;
    }

    item->kind = mesh_inspect_kinds[UCAN_TOKEN_JWT];

    /* a level more takes a third more bytes: the input bounds the depth */

    rc = MESH_OK;

    for (i = 0; rc == MESH_OK && i < embedded->count; i++) {
        rc = add_jwt(inspect, embedded->list[i], number);
    }

    return rc;
}


static int
add_record(mesh_inspect_t *inspect, bytes_t json)
{
    mesh_inspect_item_t  *item;

    item = new_item(inspect, "revocation");

    if (item == NULL) {
        return MESH_REFUSED;
    }

    item->verdict = ucan_revocation_parse_record(&item->revocation, json,
                                                 &mesh_memory);
    cid_of(&item->cid, CID_RAW, json);

    return MESH_OK;
}


static int
add_did(mesh_inspect_t *inspect, bytes_t did)
{
    mesh_inspect_item_t  *item;

    item = new_item(inspect, "did");

    if (item == NULL) {
        return MESH_REFUSED;
    }

    item->text = did;
    item->verdict = ucan_token_did_valid(did) ? UCAN_OK : UCAN_MALFORMED;

    return MESH_OK;
}


static mesh_inspect_item_t *
new_item(mesh_inspect_t *inspect, const char *kind)
{
    mesh_inspect_item_t  *item;

    if (inspect->count == MESH_INSPECT_ITEMS_MAX) {
        (void) mesh_fail("more than %d tokens; give them in parts",
                         MESH_INSPECT_ITEMS_MAX);
        return NULL;
    }

    item = mesh_alloc(sizeof(mesh_inspect_item_t));
    item->kind = kind;

    inspect->list[inspect->count++] = item;

    return item;
}


static int
print_items(mesh_inspect_t *inspect, int json)
{
    size_t          i;
    json_write_t    j;
    bytes_writer_t  w;

    if (!json) {

        for (i = 0; i < inspect->count; i++) {
            print_item(inspect, i);
        }

        return MESH_OK;
    }

    bytes_writer_open(&w, mesh_alloc(inspect->count * MESH_INSPECT_TEXT_MAX),
                      inspect->count * MESH_INSPECT_TEXT_MAX);
    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_key(&j, "tokens");
    json_write_array(&j);

    for (i = 0; i < inspect->count; i++) {
        write_item(inspect, &j, i);
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
write_item(mesh_inspect_t *inspect, json_write_t *j, size_t i)
{
    mesh_inspect_item_t  *item;

    item = inspect->list[i];

    json_write_object(j);
    json_write_member_text(j, "kind", item->kind);

    if (item->carrier != 0) {
        json_write_member_integer(j, "insideOf", (int64_t) item->carrier);
    }

    if (item->text.len != 0) {
        json_write_member(j, "did", item->text);
        json_write_member_text(j, "key", mesh_show_key(item->text));

    } else {
        mesh_json_write_cid(j, "cid", &item->cid);
    }

    if (item->verdict != UCAN_OK && item->verdict != UCAN_BAD_SIGNATURE) {
        inspect->bad = 1;
        json_write_member_text(j, "refused", ucan_verdict_text(item->verdict));

    } else if (item->revocation.by.len != 0) {
        write_revocation(inspect, j, item);

    } else if (item->text.len == 0) {
        write_token(inspect, j, &item->token);
    }

    json_write_object_end(j);
}


static void
write_token(mesh_inspect_t *inspect, json_write_t *j, ucan_token_t *token)
{
    json_write_member_text(j, "version", mesh_show_version(token));

    write_key(j, "issuer", token->iss);
    write_key(j, "audience", token->aud);

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
    json_write_member_text(j, "time", state_of(token, inspect->now));
    json_write_member_text(j, "signature", seal_of(inspect, token));
}


/* Its decoder checks the signature as it goes; what was not asked for is not
   said all the same. */
static void
write_revocation(mesh_inspect_t *inspect, json_write_t *j,
    const mesh_inspect_item_t *item)
{
    int  good;

    good = (item->verdict == UCAN_OK);

    write_key(j, "issuer", item->revocation.by);
    mesh_json_write_cid(j, "revokes", &item->revocation.cid);
    json_write_member_text(j, "signature", !inspect->verify ? "not checked"
                                           : good ? "good" : "bad");

    if (inspect->verify && !good) {
        inspect->bad = 1;
    }
}


static void
write_key(json_write_t *j, const char *key, bytes_t did)
{
    json_write_member(j, key, did);
    json_write_member_text(j, mesh_format("%sKey", key), mesh_show_key(did));
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
print_item(mesh_inspect_t *inspect, size_t i)
{
    size_t          pos;
    json_scan_t     object, key, value;
    json_write_t    j;
    bytes_writer_t  w;

    bytes_writer_open(&w, mesh_alloc(MESH_INSPECT_TEXT_MAX),
                      MESH_INSPECT_TEXT_MAX);
    json_write_open(&j, &w);
    write_item(inspect, &j, i);

    printf("%s%zu. %s\n", i > 0 ? "\n" : "", i + 1, inspect->list[i]->kind);

    if (w.failed
        || json_scan_open(bytes_writer_view(&w), &object) != 0)
    {
        printf("   too large to print; --json may do\n");
        return;
    }

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

    printf("   %-12.*s  %s\n", (int) key->text.len,
           (const char *) key->text.data, mesh_show_json(text));
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


static const char *
seal_of(mesh_inspect_t *inspect, ucan_token_t *token)
{
    if (!inspect->verify) {
        return "not checked";
    }

    switch (ucan_token_verify(token)) {

    case UCAN_OK:
        return "good";

    case UCAN_UNSUPPORTED:
        inspect->bad = 1;
        return "of a key that is not supported";

    default:
        inspect->bad = 1;
        return "bad";
    }
}
