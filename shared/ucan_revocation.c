/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Revocations of UCAN 0.x and 1.0 (reference 7): form and signature, and
 * whether tokens that came along show that the signer may revoke at all.
 *
 *     0.x   {"iss": DID, "revoke": CID, "challenge": base64}
 *           signed: "REVOKE:" and the CID as it stands there
 *     1.0   an invocation, "cmd": "/ucan/revoke", "args": {"revoke": link}
 *
 * A revocation is for ever: no time in it is looked at.
 *
 * Any thread; no heap but the caller's.
 */


#include <sodium.h>

#include "base64.h"
#include "cbor.h"
#include "json_scan.h"
#include "signature.h"
#include "ucan_chain.h"
#include "ucan_container.h"
#include "ucan_envelope.h"
#include "ucan_revocation.h"


#define UCAN_REVOCATION_SIGNED   "REVOKE:"
#define UCAN_REVOCATION_CID_MAX  128      /* characters */
#define UCAN_REVOCATION_SIG_MAX  1024     /* bytes */


/* Upwards from one token: what is known to stand above it. */
typedef struct {
    ucan_bundle_t  *bundle;
    bytes_t         by;
    bytes_t         subject;                          /* 1.0 */
    size_t          head;
    size_t          tail;
    uint8_t         queue[2 * UCAN_TOKEN_COUNT_MAX];  /* token * 2 + found */
    uint8_t         seen[2 * UCAN_TOKEN_COUNT_MAX];
} ucan_revocation_climb_t;


static ucan_verdict_t read_string(const json_scan_t *object,
    const char *name, size_t max, bytes_t *text, ucan_memory_t *memory);
static ucan_verdict_t check_record(const ucan_revocation_t *revocation,
    bytes_t cid, bytes_t challenge);
static int decode_challenge(bytes_t text, bytes_writer_t *w);
static ucan_verdict_t take_invocation(ucan_revocation_t *revocation,
    ucan_token_t *token);
static ucan_verdict_t parse_container(ucan_revocation_t *revocation,
    bytes_t text, ucan_bundle_t *witness, ucan_memory_t *memory);
static ucan_verdict_t decode_envelope(bytes_t *envelope, bytes_t text,
    ucan_memory_t *memory);
static bytes_t trim(bytes_t text);

static int climb_v1(ucan_revocation_climb_t *c, const ucan_token_t *token);
static int climb_jwt(ucan_revocation_climb_t *c, const ucan_token_t *token);
static int match_above(const ucan_revocation_climb_t *c,
    const ucan_token_t *token, const ucan_token_t *below);
static void add_step(ucan_revocation_climb_t *c, size_t token, int found);


ucan_verdict_t
ucan_revocation_parse_record(ucan_revocation_t *revocation, bytes_t json,
    ucan_memory_t *memory)
{
    bytes_t         cid, challenge;
    json_scan_t     object;
    ucan_verdict_t  rc;

    memset(revocation, 0, sizeof(ucan_revocation_t));

    if (json.len > UCAN_REVOCATION_MAX
        || json_scan_validate(json, NULL) != JSON_SCAN_OK
        || json_scan_open(json, &object) != 0
        || object.type != JSON_SCAN_OBJECT)
    {
        return UCAN_MALFORMED;
    }

    revocation->raw = json;
    cid_of(&revocation->self, CID_RAW, json);

    rc = read_string(&object, "iss", DID_TEXT_MAX, &revocation->by, memory);

    if (rc == UCAN_OK) {
        rc = read_string(&object, "revoke", UCAN_REVOCATION_CID_MAX, &cid,
                         memory);
    }

    if (rc == UCAN_OK) {
        rc = read_string(&object, "challenge",
                         base64_encoded_max(UCAN_REVOCATION_SIG_MAX),
                         &challenge, memory);
    }

    if (rc != UCAN_OK) {
        return rc;
    }

    if (cid_parse(&revocation->cid, cid) != 0
        || !ucan_token_did_valid(revocation->by))
    {
        return UCAN_MALFORMED;
    }

    return check_record(revocation, cid, challenge);
}


ucan_verdict_t
ucan_revocation_parse_invocation(ucan_revocation_t *revocation,
    bytes_t envelope, ucan_memory_t *memory)
{
    ucan_token_t    token;
    ucan_verdict_t  rc;

    memset(revocation, 0, sizeof(ucan_revocation_t));

    if (envelope.len > UCAN_REVOCATION_MAX) {
        return UCAN_MALFORMED;
    }

    rc = ucan_envelope_decode(&token, envelope, memory);

    return (rc == UCAN_OK) ? take_invocation(revocation, &token) : rc;
}


ucan_verdict_t
ucan_revocation_parse(ucan_revocation_t *revocation, bytes_t text,
    ucan_bundle_t *witness, ucan_memory_t *memory)
{
    bytes_t         envelope;
    ucan_verdict_t  rc;

    memset(revocation, 0, sizeof(ucan_revocation_t));
    memset(witness, 0, sizeof(ucan_bundle_t));

    text = trim(text);

    if (text.len == 0) {
        return UCAN_MALFORMED;
    }

    switch (text.data[0]) {

    case '{':
        return ucan_revocation_parse_record(revocation, text, memory);

    case 'B':
    case 'C':
    case 'O':
    case 'P':
        return parse_container(revocation, text, witness, memory);

    case 0x82:
        return ucan_revocation_parse_invocation(revocation, text, memory);

    default:
        rc = decode_envelope(&envelope, text, memory);

        return (rc == UCAN_OK)
               ? ucan_revocation_parse_invocation(revocation, envelope,
                                                  memory)
               : rc;
    }
}


int
ucan_revocation_witnessed(ucan_bundle_t *bundle, const cid_t *cid,
    bytes_t by)
{
    size_t                    i;
    ucan_token_t             *token, *root;
    ucan_revocation_climb_t   c;

    token = ucan_bundle_find(bundle, cid);

    if (token == NULL || ucan_token_verify(token) != UCAN_OK) {
        return 0;
    }

    if (bytes_equal(token->iss, by)) {
        return 1;
    }

    c.bundle = bundle;
    c.by = by;

    if (token->kind == UCAN_TOKEN_JWT) {
        return climb_jwt(&c, token);
    }

    if (token->kind != UCAN_TOKEN_DELEGATION) {
        return 0;
    }

    /* a powerline may be about the subject of any root */

    for (i = 0; i < bundle->count; i++) {
        root = &bundle->tokens[i];

        if (root->kind != UCAN_TOKEN_DELEGATION
            || !bytes_equal(root->iss, root->sub)
            || (token->sub.len != 0 && !bytes_equal(token->sub, root->sub)))
        {
            continue;
        }

        c.subject = root->sub;

        if (climb_v1(&c, token)) {
            return 1;
        }
    }

    return 0;
}


void
ucan_revocation_key(uint8_t *key, const cid_t *cid, bytes_t by)
{
    crypto_generichash_state  state;

    if (by.len == 0) {
        memcpy(key, cid->digest, UCAN_REVOCATION_KEY_LEN);
        return;
    }

    crypto_generichash_init(&state, NULL, 0, UCAN_REVOCATION_KEY_LEN);
    crypto_generichash_update(&state, cid->digest, CID_DIGEST_LEN);
    crypto_generichash_update(&state, by.data, by.len);
    crypto_generichash_final(&state, key, UCAN_REVOCATION_KEY_LEN);
}


/* A member that must be there and a string; unescaped into memory. */
static ucan_verdict_t
read_string(const json_scan_t *object, const char *name, size_t max,
    bytes_t *text, ucan_memory_t *memory)
{
    void            *buf;
    json_scan_t      value;
    bytes_writer_t   w;

    if (json_scan_find(object, name, &value) != 0
        || value.type != JSON_SCAN_STRING
        || value.text.len > max)
    {
        return UCAN_MALFORMED;
    }

    if (json_scan_plain(&value, text) == 0) {
        return UCAN_OK;
    }

    buf = memory->alloc(memory->data, value.text.len);
    if (buf == NULL) {
        return UCAN_NO_MEMORY;
    }

    bytes_writer_open(&w, buf, value.text.len);

    if (json_scan_string(&value, &w) != 0) {
        return UCAN_MALFORMED;
    }

    *text = bytes_writer_view(&w);

    return UCAN_OK;
}


static ucan_verdict_t
check_record(const ucan_revocation_t *revocation, bytes_t cid,
    bytes_t challenge)
{
    uint8_t         sig[base64_decoded_max(
                            base64_encoded_max(UCAN_REVOCATION_SIG_MAX))];
    uint8_t         message[sizeof(UCAN_REVOCATION_SIGNED)
                            + UCAN_REVOCATION_CID_MAX];
    did_key_t       key;
    bytes_writer_t  s, m;

    bytes_writer_open(&s, sig, sizeof(sig));

    if (decode_challenge(challenge, &s) != 0) {
        return UCAN_MALFORMED;
    }

    if (did_parse(revocation->by, &key) != 0) {
        return UCAN_UNSUPPORTED;
    }

    bytes_writer_open(&m, message, sizeof(message));
    bytes_writer_text(&m, UCAN_REVOCATION_SIGNED);
    bytes_writer_bytes(&m, cid);

    return (!m.failed
            && signature_verify(&key, bytes_writer_view(&m),
                                bytes_writer_view(&s)))
           ? UCAN_OK : UCAN_BAD_SIGNATURE;
}


/* The alphabet is nowhere specified, so both, padded or not. */
static int
decode_challenge(bytes_t text, bytes_writer_t *w)
{
    while (text.len != 0 && text.data[text.len - 1] == '=') {
        text.len--;
    }

    if (base64_decode(BASE64_URL, text, w) == 0) {
        return 0;
    }

    bytes_writer_open(w, w->start, (size_t) (w->end - w->start));

    return base64_decode(BASE64_STD_RAW, text, w);
}


static ucan_verdict_t
take_invocation(ucan_revocation_t *revocation, ucan_token_t *token)
{
    cbor_item_t  args, link;

    if (token->kind != UCAN_TOKEN_INVOCATION
        || !bytes_equal_text(token->cmd, UCAN_REVOCATION_COMMAND)
        || cbor_read(token->args, &args) != 0
        || args.type != CBOR_MAP
        || (cbor_map_find(&args, bytes_of("revoke"), &link) != 0
            && cbor_map_find(&args, bytes_of("ucan"), &link) != 0)
        || link.type != CBOR_LINK
        || cid_parse_binary(&revocation->cid, link.bytes) != 0)
    {
        return UCAN_MALFORMED;
    }

    revocation->by = token->iss;
    revocation->raw = token->raw;
    revocation->self = token->cid;

    return ucan_token_verify(token);
}


static ucan_verdict_t
parse_container(ucan_revocation_t *revocation, bytes_t text,
    ucan_bundle_t *witness, ucan_memory_t *memory)
{
    ucan_token_t    *top;
    ucan_limits_t    limits;
    ucan_verdict_t   rc;

    ucan_limits_init(&limits);

    rc = ucan_bundle_parse(witness, text, bytes_make(NULL, 0), &limits,
                           memory);

    if (rc == UCAN_OK) {
        top = witness->top;
        witness->top = NULL;

        rc = (top != NULL) ? take_invocation(revocation, top)
                           : UCAN_MALFORMED;
    }

    /* the revocation itself witnesses nothing */

    if (rc != UCAN_OK || witness->count == 1) {
        memset(witness, 0, sizeof(ucan_bundle_t));
    }

    return rc;
}


/* An envelope in base64, either alphabet, padded or not. */
static ucan_verdict_t
decode_envelope(bytes_t *envelope, bytes_t text, ucan_memory_t *memory)
{
    void            *buf;
    size_t           size;
    bytes_writer_t   w;

    if (text.len > base64_encoded_max(UCAN_REVOCATION_MAX)) {
        return UCAN_MALFORMED;
    }

    size = base64_decoded_max(text.len);

    buf = memory->alloc(memory->data, size);
    if (buf == NULL) {
        return UCAN_NO_MEMORY;
    }

    bytes_writer_open(&w, buf, size);

    if (decode_challenge(text, &w) != 0) {
        return UCAN_MALFORMED;
    }

    *envelope = bytes_writer_view(&w);

    return UCAN_OK;
}


static bytes_t
trim(bytes_t text)
{
    while (text.len != 0 && strchr(" \t\r\n", text.data[0]) != NULL
           && text.data[0] != '\0')
    {
        text.data++;
        text.len--;
    }

    while (text.len != 0 && text.data[0] != 0x82
           && text.data[text.len - 1] != '\0'
           && strchr(" \t\r\n", text.data[text.len - 1]) != NULL)
    {
        text.len--;
    }

    return text;
}


/*
 * 1.0: delegations name no proofs, so who stands above is found by audience,
 * subject and command; what counts is a way to the root that passes the one
 * who revokes, else anybody could put a delegation of his own on top.
 */

static int
climb_v1(ucan_revocation_climb_t *c, const ucan_token_t *token)
{
    int            found;
    size_t         i;
    uint8_t        step;
    ucan_token_t  *above;

    c->head = 0;
    c->tail = 0;
    memset(c->seen, 0, sizeof(c->seen));

    add_step(c, (size_t) (token - c->bundle->tokens), 0);

    while (c->head != c->tail) {

        step = c->queue[c->head++];
        token = &c->bundle->tokens[step / 2];
        found = step & 1;

        if (found
            && bytes_equal(token->iss, c->subject)
            && bytes_equal(token->sub, c->subject))
        {
            return 1;
        }

        for (i = 0; i < c->bundle->count; i++) {
            above = &c->bundle->tokens[i];

            if (match_above(c, above, token)
                && ucan_token_verify(above) == UCAN_OK)
            {
                add_step(c, i, found || bytes_equal(above->iss, c->by));
            }
        }
    }

    return 0;
}


/* 0.x: a token names its proofs by hash, so all of them are its issuer's. */
static int
climb_jwt(ucan_revocation_climb_t *c, const ucan_token_t *token)
{
    size_t         i;
    ucan_token_t  *above;

    c->head = 0;
    c->tail = 0;
    memset(c->seen, 0, sizeof(c->seen));

    add_step(c, (size_t) (token - c->bundle->tokens), 0);

    while (c->head != c->tail) {

        token = &c->bundle->tokens[c->queue[c->head++] / 2];

        for (i = 0; i < token->proof_count; i++) {
            above = ucan_bundle_find(c->bundle, &token->proofs[i]);

            if (above == NULL
                || !bytes_equal(above->aud, token->iss)
                || ucan_token_verify(above) != UCAN_OK)
            {
                continue;
            }

            if (bytes_equal(above->iss, c->by)) {
                return 1;
            }

            add_step(c, (size_t) (above - c->bundle->tokens), 0);
        }
    }

    return 0;
}


static int
match_above(const ucan_revocation_climb_t *c, const ucan_token_t *token,
    const ucan_token_t *below)
{
    return token->kind == UCAN_TOKEN_DELEGATION
           && bytes_equal(token->aud, below->iss)
           && (token->sub.len == 0 || bytes_equal(token->sub, c->subject))
           && ucan_chain_covers(token->cmd, below->cmd);
}


static void
add_step(ucan_revocation_climb_t *c, size_t token, int found)
{
    size_t  step;

    step = token * 2 + (size_t) (found != 0);

    if (!c->seen[step]) {
        c->seen[step] = 1;
        c->queue[c->tail++] = (uint8_t) step;
    }
}
