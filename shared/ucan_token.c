/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The bundle: what one request presents, taken apart into tokens, and the
 * one signature check that each of them gets.
 *
 * A bundle belongs to one request or one connection and so to one thread at
 * a time; the memo of the signatures is the only thing that changes in it.
 * Whether a token means anything is decided in ucan_chain.c, not here.
 */


#include <sodium.h>

#include "base64.h"
#include "signature.h"
#include "ucan_container.h"
#include "ucan_envelope.h"
#include "ucan_jwt.h"
#include "ucan_token.h"


#define UCAN_TOKEN_DID_PREFIX  "did:key:z6Mk"   /* of Ed25519 */


typedef struct {
    const char  *slug;
    const char  *text;
} ucan_verdict_name_t;


/* A JWT that was received, or stands in another one. */
typedef struct {
    bytes_t   text;
    cid_t     cid;
    size_t    depth;              /* 1: it was received by itself */
    unsigned  broken:1;           /* it is no token */
} ucan_token_text_t;


typedef struct {
    ucan_bundle_t      *bundle;
    ucan_memory_t      *memory;
    size_t              depth_max;
    size_t              max;      /* of texts */
    size_t              count;
    size_t              broken;
    ucan_token_text_t   texts[UCAN_TOKEN_COUNT_MAX];    /* distinct */
} ucan_token_unfold_t;


static void hash_twin(ucan_token_t *token, bytes_t sig);
static ucan_verdict_t parse_jwts(ucan_bundle_t *bundle, bytes_t token,
    bytes_t proofs, const ucan_limits_t *limits, ucan_memory_t *memory);
static void open_unfold(ucan_token_unfold_t *u, ucan_bundle_t *bundle,
    const ucan_limits_t *limits, ucan_memory_t *memory);
static ucan_verdict_t add_text(ucan_token_unfold_t *u, bytes_t text,
    const cid_t *cid, size_t depth);
static ucan_verdict_t unfold(ucan_token_unfold_t *u);
static void forget_broken(ucan_token_unfold_t *u);
static int find_broken(const ucan_token_unfold_t *u, const cid_t *cid);
static ucan_verdict_t reserve_tokens(ucan_bundle_t *bundle, size_t count,
    ucan_memory_t *memory);
static ucan_verdict_t append_jwt(ucan_bundle_t *bundle, bytes_t raw,
    const ucan_limits_t *limits, ucan_memory_t *memory);
static ucan_verdict_t append_delegation(ucan_bundle_t *bundle, bytes_t raw,
    const ucan_limits_t *limits, ucan_memory_t *memory);
static ucan_verdict_t parse_container(ucan_bundle_t *bundle, bytes_t token,
    const ucan_limits_t *limits, ucan_memory_t *memory);
static ucan_verdict_t add_envelope(ucan_bundle_t *bundle, bytes_t raw,
    ucan_memory_t *memory);
static int match_did_byte(uint8_t c, int tail);
static size_t count_items(bytes_t list);
static bytes_t next_item(bytes_reader_t *r);
static size_t count_caps(const ucan_bundle_t *bundle);


static const ucan_verdict_name_t  ucan_verdicts[] = {

    [UCAN_OK] =
        { "ok", "accepted" },
    [UCAN_MALFORMED] =
        { "token-malformed", "the token is malformed" },
    [UCAN_UNSUPPORTED] =
        { "token-unsupported",
          "the version or the key type of a token is not supported" },
    [UCAN_TOO_LARGE] =
        { "token-too-large", "the token is beyond a limit" },
    [UCAN_NO_MEMORY] =
        { "out-of-memory", "no memory to read the token" },
    [UCAN_BAD_SIGNATURE] =
        { "bad-signature", "a signature does not verify" },
    [UCAN_EXPIRED] =
        { "token-expired", "a token has expired" },
    [UCAN_NOT_YET] =
        { "token-not-yet-valid", "a token is not valid yet" },
    [UCAN_WRONG_AUDIENCE] =
        { "wrong-audience", "the token is for another audience" },
    [UCAN_WRONG_SUBJECT] =
        { "wrong-subject", "the subject of the token is not served here" },
    [UCAN_NO_SESSION] =
        { "no-session",
          "no invocation opens a session: a delegation alone is no login" },
    [UCAN_SESSION_TOO_LONG] =
        { "session-too-long",
          "the session has no expiry or lasts too long" },
    [UCAN_NO_PROOF] =
        { "proof-missing", "a proof was named but not presented" },
    [UCAN_BROKEN_CHAIN] =
        { "chain-broken",
          "the issuer of a token is not the audience of its proof" },
    [UCAN_UNTRUSTED_ROOT] =
        { "untrusted-root", "no chain starts at a trusted root" },
    [UCAN_TOO_DEEP] =
        { "chain-too-deep", "the chain is too long" },
    [UCAN_WIDENED] =
        { "capability-widened", "a token claims more than its proof gives" },
    [UCAN_OUTLIVES] =
        { "proof-outlived", "a token lasts longer than its proof" },
    [UCAN_POLICY] =
        { "policy-refused", "a policy refuses these arguments" },
    [UCAN_NOT_COVERED] =
        { "not-covered", "no capability covers this command" },
    [UCAN_REVOKED] =
        { "token-revoked", "a token was revoked" },
    [UCAN_REPLAYED] =
        { "token-replayed", "the invocation was used before" },
    [UCAN_WRONG_REQUEST] =
        { "wrong-request", "the invocation is about another request" },
    [UCAN_REPLAY_FULL] =
        { "replay-full", "no room to remember the invocation" }
};

#define ucan_verdict_count                                                    \
    (sizeof(ucan_verdicts) / sizeof(ucan_verdicts[0]))


void
ucan_limits_init(ucan_limits_t *limits)
{
    limits->bytes_max = UCAN_TOKEN_BYTES_MAX;
    limits->count_max = UCAN_TOKEN_COUNT_MAX;
    limits->depth_max = UCAN_TOKEN_DEPTH_MAX;
    limits->inflated_max = UCAN_TOKEN_INFLATED_MAX;
}


ucan_verdict_t
ucan_bundle_parse(ucan_bundle_t *bundle, bytes_t token, bytes_t proofs,
    const ucan_limits_t *limits, ucan_memory_t *memory)
{
    memset(bundle, 0, sizeof(ucan_bundle_t));

    if (token.len > limits->bytes_max
        || proofs.len > limits->bytes_max - token.len)
    {
        return UCAN_TOO_LARGE;
    }

    if (token.len == 0) {
        return UCAN_MALFORMED;
    }

    /* a JWT starts with a brace in base64url; raw forms fit no header */

    switch (token.data[0]) {

    case 'e':
        return parse_jwts(bundle, token, proofs, limits, memory);

    case 'B':
    case 'C':
    case 'O':
    case 'P':
        return parse_container(bundle, token, limits, memory);

    default:
        return UCAN_MALFORMED;
    }
}


ucan_verdict_t
ucan_bundle_parse_envelopes(ucan_bundle_t *bundle, const bytes_t *list,
    size_t count, const ucan_limits_t *limits, ucan_memory_t *memory)
{
    size_t          i;
    ucan_verdict_t  rc;

    memset(bundle, 0, sizeof(ucan_bundle_t));

    if (count == 0) {
        return UCAN_MALFORMED;
    }

    if (count > limits->count_max || count > UCAN_TOKEN_COUNT_MAX) {
        return UCAN_TOO_LARGE;
    }

    rc = reserve_tokens(bundle, count, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    for (i = 0; i < count; i++) {
        rc = add_envelope(bundle, list[i], memory);
        if (rc != UCAN_OK) {
            bundle->count = 0;
            bundle->top = NULL;
            return rc;
        }
    }

    return UCAN_OK;
}


ucan_verdict_t
ucan_bundle_add(ucan_bundle_t *bundle, bytes_t raw,
    const ucan_limits_t *limits, ucan_memory_t *memory)
{
    int             jwt, jwts;
    ucan_verdict_t  rc;

    if (raw.len == 0) {
        return UCAN_MALFORMED;
    }

    /* proofs of 0.x prove nothing of 1.0, and the other way round */

    jwt = raw.data[0] == 'e';
    jwts = bundle->count != 0 && bundle->tokens[0].kind == UCAN_TOKEN_JWT;

    if (bundle->count != 0 && jwt != jwts) {
        return UCAN_OK;
    }

    rc = jwt ? append_jwt(bundle, raw, limits, memory)
             : append_delegation(bundle, raw, limits, memory);

    return (rc == UCAN_UNSUPPORTED) ? UCAN_OK : rc;
}


ucan_token_t *
ucan_bundle_find(const ucan_bundle_t *bundle, const cid_t *cid)
{
    size_t  i;

    for (i = 0; i < bundle->count; i++) {
        if (cid_equal(&bundle->tokens[i].cid, cid)) {
            return &bundle->tokens[i];
        }
    }

    return NULL;
}


ucan_verdict_t
ucan_token_verify(ucan_token_t *token)
{
    did_key_t  key;

    if (token->seal == UCAN_TOKEN_UNCHECKED) {

        if (did_parse(token->iss, &key) == 0
            && signature_verify(&key, token->signed_part, token->signature))
        {
            token->seal = UCAN_TOKEN_SIGNED;

        } else {
            token->seal = UCAN_TOKEN_FORGED;
        }
    }

    return (token->seal == UCAN_TOKEN_SIGNED) ? UCAN_OK : UCAN_BAD_SIGNATURE;
}


unsigned
ucan_token_weight(const ucan_token_t *token)
{
    did_key_t  key;

    if (token->iss.len == DID_ED25519_LEN || did_parse(token->iss, &key) != 0)
    {
        return 1;
    }

    switch (key.algorithm) {

    case DID_SECP256K1:
    case DID_P384:
    case DID_P521:
        return UCAN_TOKEN_WEIGHT_MAX;

    default:
        return 1;
    }
}


const cid_t *
ucan_token_twin(ucan_token_t *token)
{
    uint8_t         sig[SIGNATURE_TWIN_MAX];
    did_key_t       key;
    bytes_writer_t  w;

    if (!token->asked_twin) {
        token->asked_twin = 1;

        bytes_writer_open(&w, sig, sizeof(sig));

        if (token->iss.len != DID_ED25519_LEN
            && did_parse(token->iss, &key) == 0
            && signature_twin(key.algorithm, token->signature, &w) == 0)
        {
            hash_twin(token, bytes_writer_view(&w));
        }
    }

    return token->has_twin ? &token->twin : NULL;
}


int
ucan_token_did_valid(bytes_t text)
{
    size_t   i, colons;
    uint8_t  c;

    if (text.len < sizeof("did:a:b") - 1
        || text.len > DID_TEXT_MAX
        || memcmp(text.data, "did:", 4) != 0)
    {
        return 0;
    }

    colons = 0;

    for (i = 4; i < text.len; i++) {
        c = text.data[i];

        if (c == ':') {

            /* no empty method, no empty end */

            if (i == 4 || i == text.len - 1) {
                return 0;
            }

            colons++;

        } else if (!match_did_byte(c, colons != 0)) {
            return 0;
        }
    }

    return colons != 0;
}


int
ucan_token_did_signs(bytes_t text)
{
    did_key_t  key;

    /* most are Ed25519, whose form is seen without reading the number */

    if (text.len == DID_ED25519_LEN
        && bytes_start_with(text, bytes_of(UCAN_TOKEN_DID_PREFIX)))
    {
        return ucan_token_did_valid(text);
    }

    return did_parse(text, &key) == 0;
}


const char *
ucan_verdict_text(ucan_verdict_t verdict)
{
    return ((size_t) verdict < ucan_verdict_count)
           ? ucan_verdicts[verdict].text : "unknown";
}


const char *
ucan_verdict_slug(ucan_verdict_t verdict)
{
    return ((size_t) verdict < ucan_verdict_count)
           ? ucan_verdicts[verdict].slug : "unknown";
}


/* Hashes the token as it was received but for the signature, which in an
   envelope stands inside, in a JWT as the last segment. */
static void
hash_twin(ucan_token_t *token, bytes_t sig)
{
    size_t                    at;
    uint8_t                   buf[base64_encoded_max(SIGNATURE_TWIN_MAX)];
    bytes_writer_t            w;
    crypto_hash_sha256_state  state;

    if (token->kind == UCAN_TOKEN_JWT) {
        at = token->signed_part.len + 1;

        bytes_writer_open(&w, buf, sizeof(buf));

        if (base64_encode(BASE64_URL, sig, &w) != 0) {
            return;
        }

        sig = bytes_writer_view(&w);

    } else {
        at = (size_t) (token->signature.data - token->raw.data);
    }

    if (token->raw.len < at + sig.len) {
        return;
    }

    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, token->raw.data, at);
    crypto_hash_sha256_update(&state, sig.data, sig.len);
    crypto_hash_sha256_update(&state, token->raw.data + at + sig.len,
                              token->raw.len - at - sig.len);

    token->twin.codec = token->cid.codec;
    crypto_hash_sha256_final(&state, token->twin.digest);
    token->has_twin = 1;
}


/*
 * The bearer must be a good token; of the proofs, those that are none are
 * passed over (reference: an unneeded proof never spoils a token), but they
 * count: otherwise junk would be free.
 */

static ucan_verdict_t
parse_jwts(ucan_bundle_t *bundle, bytes_t token, bytes_t proofs,
    const ucan_limits_t *limits, ucan_memory_t *memory)
{
    size_t                count;
    bytes_t               item;
    bytes_reader_t        r;
    ucan_verdict_t        rc;
    ucan_token_unfold_t   u;

    count = 1 + count_items(proofs);

    open_unfold(&u, bundle, limits, memory);

    if (count > u.max) {
        return UCAN_TOO_LARGE;
    }

    rc = reserve_tokens(bundle, count, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    (void) add_text(&u, token, NULL, 1);

    bytes_reader_open(&r, proofs);

    while (bytes_reader_left(&r) != 0) {
        item = next_item(&r);

        if (item.len != 0) {
            (void) add_text(&u, item, NULL, 1);
        }
    }

    rc = unfold(&u);
    if (rc != UCAN_OK) {
        bundle->count = 0;
        return rc;
    }

    bundle->top = &bundle->tokens[0];

    return UCAN_OK;
}


/* At most as many texts as tokens may come to the bundle. */
static void
open_unfold(ucan_token_unfold_t *u, ucan_bundle_t *bundle,
    const ucan_limits_t *limits, ucan_memory_t *memory)
{
    size_t  max;

    max = (limits->count_max < UCAN_TOKEN_COUNT_MAX) ? limits->count_max
                                                     : UCAN_TOKEN_COUNT_MAX;

    u->bundle = bundle;
    u->memory = memory;
    u->depth_max = limits->depth_max;
    u->max = (bundle->count < max) ? max - bundle->count : 0;
    u->count = 0;
    u->broken = 0;
}


/* Keeps a JWT to be decoded, once; cid may be NULL. */
static ucan_verdict_t
add_text(ucan_token_unfold_t *u, bytes_t text, const cid_t *cid, size_t depth)
{
    size_t               i;
    ucan_token_text_t   *next;
    cid_t                own;

    if (cid == NULL) {
        cid_of(&own, CID_RAW, text);
        cid = &own;
    }

    for (i = 0; i < u->count; i++) {
        if (cid_equal(&u->texts[i].cid, cid)) {
            return UCAN_OK;
        }
    }

    if (ucan_bundle_find(u->bundle, cid) != NULL) {
        return UCAN_OK;
    }

    if (u->count == u->max) {
        return UCAN_TOO_LARGE;
    }

    next = &u->texts[u->count++];
    next->text = text;
    next->cid = *cid;
    next->depth = depth;
    next->broken = 0;

    return UCAN_OK;
}


/*
 * Decodes the texts, and those that 0.8 tokens among them embed, level by
 * level.  Each distinct one is decoded once, and as each level of nesting
 * makes its text longer by a third, all levels together are a few times as
 * long as what was received.  The first text has to be a token.
 */

static ucan_verdict_t
unfold(ucan_token_unfold_t *u)
{
    size_t                i, j;
    ucan_token_t         *token;
    ucan_verdict_t        rc;
    ucan_jwt_embedded_t   embedded;

    for (i = 0; i < u->count; i++) {

        rc = reserve_tokens(u->bundle, u->bundle->count + 1, u->memory);
        if (rc != UCAN_OK) {
            return rc;
        }

        token = &u->bundle->tokens[u->bundle->count];

        rc = ucan_jwt_decode_known(token, u->texts[i].text, &u->texts[i].cid,
                                   &embedded, u->memory);

        if (rc == UCAN_NO_MEMORY || (rc != UCAN_OK && i == 0)) {
            return rc;
        }

        if (rc != UCAN_OK) {
            u->texts[i].broken = 1;
            u->broken++;
            continue;
        }

        u->bundle->count++;

        /* no path leads to what is nested deeper */

        for (j = 0;
             j < embedded.count && u->texts[i].depth <= u->depth_max;
             j++)
        {
            rc = add_text(u, embedded.list[j],
                          &token->proofs[embedded.proof[j]],
                          u->texts[i].depth + 1);
            if (rc != UCAN_OK) {
                return rc;
            }
        }
    }

    forget_broken(u);

    return (count_caps(u->bundle) > UCAN_TOKEN_CAPS_MAX) ? UCAN_TOO_LARGE
                                                         : UCAN_OK;
}


/* A proof that was presented and is no token is one that nobody can present:
   it must not be asked for again. */
static void
forget_broken(ucan_token_unfold_t *u)
{
    size_t         i, j, kept;
    ucan_token_t  *token;

    if (u->broken == 0) {
        return;
    }

    for (i = 0; i < u->bundle->count; i++) {
        token = &u->bundle->tokens[i];
        kept = 0;

        for (j = 0; j < token->proof_count; j++) {
            if (!find_broken(u, &token->proofs[j])) {
                token->proofs[kept++] = token->proofs[j];
            }
        }

        if (kept != token->proof_count) {
            token->proof_count = kept;
            token->foreign = 1;
        }
    }
}


static int
find_broken(const ucan_token_unfold_t *u, const cid_t *cid)
{
    size_t  i;

    for (i = 0; i < u->count; i++) {
        if (u->texts[i].broken && cid_equal(&u->texts[i].cid, cid)) {
            return 1;
        }
    }

    return 0;
}


/* Makes room for count tokens in all; what is outgrown stays the memory's. */
static ucan_verdict_t
reserve_tokens(ucan_bundle_t *bundle, size_t count, ucan_memory_t *memory)
{
    size_t         capacity;
    ucan_token_t  *tokens;

    if (count <= bundle->capacity) {
        return UCAN_OK;
    }

    capacity = 2 * bundle->capacity;

    if (capacity > UCAN_TOKEN_COUNT_MAX) {
        capacity = UCAN_TOKEN_COUNT_MAX;
    }

    if (capacity < count) {
        capacity = count;
    }

    tokens = memory->alloc(memory->data, capacity * sizeof(ucan_token_t));
    if (tokens == NULL) {
        return UCAN_NO_MEMORY;
    }

    if (bundle->count != 0) {
        memcpy(tokens, bundle->tokens, bundle->count * sizeof(ucan_token_t));
    }

    if (bundle->top != NULL) {
        bundle->top = tokens + (bundle->top - bundle->tokens);
    }

    bundle->tokens = tokens;
    bundle->capacity = capacity;

    return UCAN_OK;
}


/* A JWT that was found elsewhere, with what it embeds. */
static ucan_verdict_t
append_jwt(ucan_bundle_t *bundle, bytes_t raw, const ucan_limits_t *limits,
    ucan_memory_t *memory)
{
    size_t                count;
    ucan_verdict_t        rc;
    ucan_token_unfold_t   u;

    count = bundle->count;

    open_unfold(&u, bundle, limits, memory);

    rc = add_text(&u, raw, NULL, 1);

    if (rc == UCAN_OK) {
        rc = unfold(&u);
    }

    if (rc != UCAN_OK) {
        bundle->count = count;
    }

    return rc;
}


static ucan_verdict_t
append_delegation(ucan_bundle_t *bundle, bytes_t raw,
    const ucan_limits_t *limits, ucan_memory_t *memory)
{
    ucan_token_t     token;
    ucan_verdict_t   rc;

    rc = ucan_envelope_decode(&token, raw, memory);

    if (rc != UCAN_OK) {
        return rc;
    }

    if (token.kind != UCAN_TOKEN_DELEGATION
        || ucan_bundle_find(bundle, &token.cid) != NULL)
    {
        return UCAN_OK;
    }

    if (bundle->count >= limits->count_max
        || bundle->count >= UCAN_TOKEN_COUNT_MAX)
    {
        return UCAN_TOO_LARGE;
    }

    rc = reserve_tokens(bundle, bundle->count + 1, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    bundle->tokens[bundle->count++] = token;

    return UCAN_OK;
}


static ucan_verdict_t
parse_container(ucan_bundle_t *bundle, bytes_t token,
    const ucan_limits_t *limits, ucan_memory_t *memory)
{
    size_t           count;
    bytes_t         *list;
    ucan_verdict_t   rc;

    rc = ucan_container_decode(token, &list, &count, limits, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    return ucan_bundle_parse_envelopes(bundle, list, count, limits, memory);
}


/*
 * A delegation of a version or key type that is not ours is left out: it
 * proves nothing here, and whoever needs it is told that the proof is
 * missing.  Only one invocation may speak for a request.
 */

static ucan_verdict_t
add_envelope(ucan_bundle_t *bundle, bytes_t raw, ucan_memory_t *memory)
{
    ucan_token_t    *next;
    ucan_verdict_t   rc;

    next = &bundle->tokens[bundle->count];

    rc = ucan_envelope_decode(next, raw, memory);

    if (rc == UCAN_UNSUPPORTED && next->kind == UCAN_TOKEN_DELEGATION) {
        return UCAN_OK;
    }

    if (rc != UCAN_OK) {
        return rc;
    }

    if (ucan_bundle_find(bundle, &next->cid) != NULL) {
        return UCAN_OK;
    }

    if (next->kind == UCAN_TOKEN_INVOCATION) {

        if (bundle->top != NULL) {
            return UCAN_MALFORMED;
        }

        bundle->top = next;
    }

    bundle->count++;

    return UCAN_OK;
}


/* The method of a DID is lower case and digits; what follows has more. */
static int
match_did_byte(uint8_t c, int tail)
{
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
        return 1;
    }

    return tail
           && ((c >= 'A' && c <= 'Z')
               || c == '.' || c == '_' || c == '-' || c == '%');
}


static size_t
count_items(bytes_t list)
{
    size_t          n;
    bytes_reader_t  r;

    n = 0;
    bytes_reader_open(&r, list);

    while (bytes_reader_left(&r) != 0) {
        n += (next_item(&r).len != 0);
    }

    return n;
}


/* The next element of a comma-separated list (RFC 9110, 5.6.1), blanks
   around it dropped; empty elements are empty views. */
static bytes_t
next_item(bytes_reader_t *r)
{
    bytes_t         item;
    const uint8_t  *comma;

    comma = memchr(r->pos, ',', bytes_reader_left(r));

    if (comma != NULL) {
        item = bytes_reader_take(r, (size_t) (comma - r->pos));
        (void) bytes_reader_byte(r);

    } else {
        item = bytes_reader_take(r, bytes_reader_left(r));
    }

    while (item.len != 0 && (item.data[0] == ' ' || item.data[0] == '\t')) {
        item.data++;
        item.len--;
    }

    while (item.len != 0
           && (item.data[item.len - 1] == ' '
               || item.data[item.len - 1] == '\t'))
    {
        item.len--;
    }

    return item;
}


static size_t
count_caps(const ucan_bundle_t *bundle)
{
    size_t  i, n;

    n = 0;

    for (i = 0; i < bundle->count; i++) {
        n += bundle->tokens[i].capability_count;
    }

    return n;
}
