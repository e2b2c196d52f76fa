/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * UCAN 1.0 envelopes in DAG-CBOR:
 *
 *     82                            list of 2
 *        58 40 <64 bytes>           signature over the next item
 *        a2                         map of 2, "what is signed"
 *           61 "h"    48 <8 bytes>  varsig: 34 01 ed 01 ed 01 13 71
 *           73 "ucan/dlg@1.0.0-rc.1" (or 6e "...@1.0.0", or "ucan/inv@...")
 *              <map>                the payload
 *
 * (lengths and varsig of Ed25519; each type of key has its own)
 *
 *     delegation  iss aud sub cmd pol nonce exp [nbf] [meta]
 *     invocation  iss [aud] sub cmd args prf nonce exp [nbf] [iat] [cause]
 *                 [meta]
 *
 * The whole is checked to be canonical first, so that nobody can read the
 * signed bytes in another way; the CID and the signature are over the bytes
 * as received.  A payload with a member that we do not know is refused: it
 * may be a condition.
 *
 * Turns bytes into a token and back; decides nothing.
 */


#include "cbor.h"
#include "ucan_chain.h"
#include "ucan_envelope.h"
#include "ucan_policy.h"


#define UCAN_ENVELOPE_HAS_ISS    0x0001
#define UCAN_ENVELOPE_HAS_AUD    0x0002
#define UCAN_ENVELOPE_HAS_SUB    0x0004
#define UCAN_ENVELOPE_HAS_CMD    0x0008
#define UCAN_ENVELOPE_HAS_POL    0x0010
#define UCAN_ENVELOPE_HAS_NONCE  0x0020
#define UCAN_ENVELOPE_HAS_EXP    0x0040
#define UCAN_ENVELOPE_HAS_NBF    0x0080
#define UCAN_ENVELOPE_HAS_META   0x0100
#define UCAN_ENVELOPE_HAS_ARGS   0x0200
#define UCAN_ENVELOPE_HAS_PRF    0x0400
#define UCAN_ENVELOPE_HAS_IAT    0x0800
#define UCAN_ENVELOPE_HAS_CAUSE  0x1000

#define UCAN_ENVELOPE_COMMON                                                  \
    (UCAN_ENVELOPE_HAS_ISS|UCAN_ENVELOPE_HAS_SUB|UCAN_ENVELOPE_HAS_CMD        \
     |UCAN_ENVELOPE_HAS_NONCE|UCAN_ENVELOPE_HAS_EXP)

#define UCAN_ENVELOPE_DELEGATION_MUST                                         \
    (UCAN_ENVELOPE_COMMON|UCAN_ENVELOPE_HAS_AUD|UCAN_ENVELOPE_HAS_POL)

#define UCAN_ENVELOPE_DELEGATION_MAY                                          \
    (UCAN_ENVELOPE_HAS_NBF|UCAN_ENVELOPE_HAS_META)

#define UCAN_ENVELOPE_INVOCATION_MUST                                         \
    (UCAN_ENVELOPE_COMMON|UCAN_ENVELOPE_HAS_ARGS|UCAN_ENVELOPE_HAS_PRF)

#define UCAN_ENVELOPE_INVOCATION_MAY                                          \
    (UCAN_ENVELOPE_HAS_AUD|UCAN_ENVELOPE_HAS_NBF|UCAN_ENVELOPE_HAS_META       \
     |UCAN_ENVELOPE_HAS_IAT|UCAN_ENVELOPE_HAS_CAUSE)


/* One member of a payload: its bit and the function that reads it. */
typedef struct {
    const char      *key;
    unsigned         bit;
    ucan_verdict_t (*read)(ucan_token_t *token, const cbor_item_t *value,
        ucan_memory_t *memory);
} ucan_envelope_member_t;


static ucan_verdict_t read_signed(ucan_token_t *token, cbor_item_t *payload,
    bytes_t *varsig, const cbor_item_t *map);
static ucan_verdict_t check_varsig(bytes_t iss, bytes_t varsig);
static ucan_verdict_t read_tag(ucan_token_t *token, bytes_t tag);
static ucan_verdict_t read_payload(ucan_token_t *token,
    const cbor_item_t *payload, ucan_memory_t *memory);
static const ucan_envelope_member_t *find_member(bytes_t key);

static ucan_verdict_t read_iss(ucan_token_t *token, const cbor_item_t *value,
    ucan_memory_t *memory);
static ucan_verdict_t read_aud(ucan_token_t *token, const cbor_item_t *value,
    ucan_memory_t *memory);
static ucan_verdict_t read_sub(ucan_token_t *token, const cbor_item_t *value,
    ucan_memory_t *memory);
static ucan_verdict_t read_cmd(ucan_token_t *token, const cbor_item_t *value,
    ucan_memory_t *memory);
static ucan_verdict_t read_pol(ucan_token_t *token, const cbor_item_t *value,
    ucan_memory_t *memory);
static ucan_verdict_t read_nonce(ucan_token_t *token,
    const cbor_item_t *value, ucan_memory_t *memory);
static ucan_verdict_t read_exp(ucan_token_t *token, const cbor_item_t *value,
    ucan_memory_t *memory);
static ucan_verdict_t read_nbf(ucan_token_t *token, const cbor_item_t *value,
    ucan_memory_t *memory);
static ucan_verdict_t read_meta(ucan_token_t *token,
    const cbor_item_t *value, ucan_memory_t *memory);
static ucan_verdict_t read_args(ucan_token_t *token,
    const cbor_item_t *value, ucan_memory_t *memory);
static ucan_verdict_t read_prf(ucan_token_t *token, const cbor_item_t *value,
    ucan_memory_t *memory);
static ucan_verdict_t read_iat(ucan_token_t *token, const cbor_item_t *value,
    ucan_memory_t *memory);
static ucan_verdict_t read_cause(ucan_token_t *token,
    const cbor_item_t *value, ucan_memory_t *memory);

static bytes_t find_tag(const ucan_envelope_draft_t *draft);
static void write_payload(const ucan_envelope_draft_t *draft, bytes_t iss,
    bytes_writer_t *w);
static void write_proofs(const ucan_envelope_draft_t *draft,
    bytes_writer_t *w);


/* How each varsig begins; drafts of it did not have the version. */
static const bytes_t  ucan_envelope_varsig = bytes_literal("\x34\x01");


static const ucan_envelope_member_t  ucan_envelope_members[] = {
    { "iss",   UCAN_ENVELOPE_HAS_ISS,   read_iss },
    { "aud",   UCAN_ENVELOPE_HAS_AUD,   read_aud },
    { "sub",   UCAN_ENVELOPE_HAS_SUB,   read_sub },
    { "cmd",   UCAN_ENVELOPE_HAS_CMD,   read_cmd },
    { "pol",   UCAN_ENVELOPE_HAS_POL,   read_pol },
    { "nonce", UCAN_ENVELOPE_HAS_NONCE, read_nonce },
    { "exp",   UCAN_ENVELOPE_HAS_EXP,   read_exp },
    { "nbf",   UCAN_ENVELOPE_HAS_NBF,   read_nbf },
    { "meta",  UCAN_ENVELOPE_HAS_META,  read_meta },
    { "args",  UCAN_ENVELOPE_HAS_ARGS,  read_args },
    { "prf",   UCAN_ENVELOPE_HAS_PRF,   read_prf },
    { "iat",   UCAN_ENVELOPE_HAS_IAT,   read_iat },
    { "cause", UCAN_ENVELOPE_HAS_CAUSE, read_cause },
    { NULL,    0,                       NULL }
};


ucan_verdict_t
ucan_envelope_decode(ucan_token_t *token, bytes_t raw, ucan_memory_t *memory)
{
    bytes_t         varsig;
    cbor_item_t     list, signature, map, payload;
    ucan_verdict_t  rc;

    memset(token, 0, sizeof(ucan_token_t));

    /* until the tag says otherwise: the kind that spoils the most */

    token->kind = UCAN_TOKEN_INVOCATION;
    token->version = UCAN_TOKEN_VERSION_V1;

    if (raw.len > UCAN_TOKEN_BYTES_MAX) {
        return UCAN_TOO_LARGE;
    }

    if (cbor_validate(raw) != 0
        || cbor_read(raw, &list) != 0
        || list.type != CBOR_LIST
        || list.count != 2
        || cbor_list_get(&list, 0, &signature) != 0
        || signature.type != CBOR_BYTES
        || cbor_list_get(&list, 1, &map) != 0
        || map.type != CBOR_MAP
        || map.count != 2)
    {
        return UCAN_MALFORMED;
    }

    token->raw = raw;
    token->signature = signature.bytes;
    token->signed_part = map.raw;
    cid_of(&token->cid, CID_DAG_CBOR, raw);

    rc = read_signed(token, &payload, &varsig, &map);
    if (rc != UCAN_OK) {
        return rc;
    }

    rc = read_payload(token, &payload, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    if (token->aud.len == 0) {
        token->aud = token->sub;
    }

    return check_varsig(token->iss, varsig);
}


int
ucan_envelope_encode(const ucan_envelope_draft_t *draft,
    const signature_key_t *key, bytes_writer_t *w)
{
    int                 rc;
    signature_signer_t  signer;

    signature_signer_wrap(&signer, key);
    rc = ucan_envelope_encode_by(draft, &signer, w);
    signature_signer_destroy(&signer);

    return rc;
}


int
ucan_envelope_encode_by(const ucan_envelope_draft_t *draft,
    const signature_signer_t *signer, bytes_writer_t *w)
{
    size_t          len;
    uint8_t         buf[SIGNATURE_VARSIG_MAX], *signed_part;
    uint8_t         sig[SIGNATURE_SIGNER_SIG_MAX];
    bytes_writer_t  varsig, place;

    len = signature_len(&signer->key);
    bytes_writer_open(&varsig, buf, sizeof(buf));

    if (len == 0
        || len > sizeof(sig)
        || signature_varsig(&signer->key, &varsig) != 0)
    {
        return -1;
    }

    /* the signature gets its room first, and itself last */

    memset(sig, 0, len);

    cbor_write_list(w, 2);
    cbor_write_bytes(w, bytes_make(sig, len));

    signed_part = w->pos;

    cbor_write_map(w, 2);
    cbor_write_text(w, bytes_of("h"));
    cbor_write_bytes(w, bytes_writer_view(&varsig));
    cbor_write_text(w, find_tag(draft));
    write_payload(draft, signature_signer_did(signer), w);

    if (w->failed) {
        return -1;
    }

    bytes_writer_open(&place, signed_part - len, len);

    return signature_signer_sign(signer,
                                 bytes_make(signed_part,
                                            (size_t) (w->pos - signed_part)),
                                 &place);
}


/* The map that is signed: the canonical order puts "h" first. */
static ucan_verdict_t
read_signed(ucan_token_t *token, cbor_item_t *payload, bytes_t *varsig,
    const cbor_item_t *map)
{
    cbor_item_t     key, header, tag;
    bytes_reader_t  r;
    ucan_verdict_t  rc;

    bytes_reader_open(&r, map->body);

    if (cbor_next(&r, &key) != 0
        || !bytes_equal_text(key.bytes, "h")
        || cbor_next(&r, &header) != 0
        || header.type != CBOR_BYTES
        || cbor_next(&r, &tag) != 0
        || cbor_next(&r, payload) != 0
        || payload->type != CBOR_MAP)
    {
        return UCAN_MALFORMED;
    }

    rc = read_tag(token, tag.bytes);
    if (rc != UCAN_OK) {
        return rc;
    }

    *varsig = header.bytes;

    return bytes_start_with(*varsig, ucan_envelope_varsig)
           ? UCAN_OK : UCAN_UNSUPPORTED;
}


/* One legal header for the type of key: nothing is left to negotiate. */
static ucan_verdict_t
check_varsig(bytes_t iss, bytes_t varsig)
{
    uint8_t         buf[SIGNATURE_VARSIG_MAX];
    did_key_t       key;
    bytes_writer_t  w;

    if (!ucan_token_did_signs(iss)) {
        return UCAN_UNSUPPORTED;
    }

    /* that of Ed25519 is known without the key */

    if (iss.len == DID_ED25519_LEN) {
        key.algorithm = DID_ED25519;

    } else if (did_parse(iss, &key) != 0) {
        return UCAN_UNSUPPORTED;
    }

    bytes_writer_open(&w, buf, sizeof(buf));

    if (signature_varsig(&key, &w) != 0) {
        return UCAN_UNSUPPORTED;
    }

    return bytes_equal(varsig, bytes_writer_view(&w)) ? UCAN_OK
                                                      : UCAN_UNSUPPORTED;
}


static ucan_verdict_t
read_tag(ucan_token_t *token, bytes_t tag)
{
    bytes_t  version;

    if (bytes_start_with(tag, bytes_of("ucan/dlg@"))) {
        token->kind = UCAN_TOKEN_DELEGATION;

    } else if (bytes_start_with(tag, bytes_of("ucan/inv@"))) {
        token->kind = UCAN_TOKEN_INVOCATION;

    } else {
        return UCAN_MALFORMED;
    }

    version = bytes_make(tag.data + sizeof("ucan/dlg@") - 1,
                         tag.len - (sizeof("ucan/dlg@") - 1));

    if (!bytes_equal_text(version, "1.0.0")
        && !bytes_equal_text(version, "1.0.0-rc.1"))
    {
        return UCAN_UNSUPPORTED;
    }

    return UCAN_OK;
}


static ucan_verdict_t
read_payload(ucan_token_t *token, const cbor_item_t *payload,
    ucan_memory_t *memory)
{
    unsigned                       seen, must, may;
    cbor_item_t                    key, value;
    bytes_reader_t                 r;
    ucan_verdict_t                 rc;
    const ucan_envelope_member_t  *member;

    if (token->kind == UCAN_TOKEN_DELEGATION) {
        must = UCAN_ENVELOPE_DELEGATION_MUST;
        may = UCAN_ENVELOPE_DELEGATION_MAY;

    } else {
        must = UCAN_ENVELOPE_INVOCATION_MUST;
        may = UCAN_ENVELOPE_INVOCATION_MAY;
    }

    seen = 0;

    bytes_reader_open(&r, payload->body);

    while (bytes_reader_left(&r) != 0) {

        if (cbor_next(&r, &key) != 0 || cbor_next(&r, &value) != 0) {
            return UCAN_MALFORMED;
        }

        member = find_member(key.bytes);

        if (member == NULL || !(member->bit & (must|may))) {
            return UCAN_MALFORMED;
        }

        rc = member->read(token, &value, memory);
        if (rc != UCAN_OK) {
            return rc;
        }

        seen |= member->bit;
    }

    return ((seen & must) == must) ? UCAN_OK : UCAN_MALFORMED;
}


static const ucan_envelope_member_t *
find_member(bytes_t key)
{
    const ucan_envelope_member_t  *member;

    for (member = ucan_envelope_members; member->key != NULL; member++) {
        if (bytes_equal_text(key, member->key)) {
            return member;
        }
    }

    return NULL;
}


static ucan_verdict_t
read_iss(ucan_token_t *token, const cbor_item_t *value,
    ucan_memory_t *memory)
{
    (void) memory;

    if (value->type != CBOR_TEXT || !ucan_token_did_valid(value->bytes)) {
        return UCAN_MALFORMED;
    }

    token->iss = value->bytes;

    return UCAN_OK;
}


static ucan_verdict_t
read_aud(ucan_token_t *token, const cbor_item_t *value,
    ucan_memory_t *memory)
{
    (void) memory;

    if (value->type != CBOR_TEXT || !ucan_token_did_valid(value->bytes)) {
        return UCAN_MALFORMED;
    }

    token->aud = value->bytes;

    return UCAN_OK;
}


/* Null (a powerline) is for delegations only. */
static ucan_verdict_t
read_sub(ucan_token_t *token, const cbor_item_t *value,
    ucan_memory_t *memory)
{
    (void) memory;

    if (value->type == CBOR_NULL && token->kind == UCAN_TOKEN_DELEGATION) {
        return UCAN_OK;
    }

    if (value->type != CBOR_TEXT || !ucan_token_did_valid(value->bytes)) {
        return UCAN_MALFORMED;
    }

    token->sub = value->bytes;

    return UCAN_OK;
}


static ucan_verdict_t
read_cmd(ucan_token_t *token, const cbor_item_t *value,
    ucan_memory_t *memory)
{
    (void) memory;

    if (value->type != CBOR_TEXT || !ucan_chain_command_valid(value->bytes)) {
        return UCAN_MALFORMED;
    }

    token->cmd = value->bytes;

    return UCAN_OK;
}


static ucan_verdict_t
read_pol(ucan_token_t *token, const cbor_item_t *value,
    ucan_memory_t *memory)
{
    (void) memory;

    if (value->type != CBOR_LIST || ucan_policy_validate(value->raw) != 0) {
        return UCAN_MALFORMED;
    }

    token->policy = value->raw;

    return UCAN_OK;
}


static ucan_verdict_t
read_nonce(ucan_token_t *token, const cbor_item_t *value,
    ucan_memory_t *memory)
{
    (void) memory;

    if (value->type != CBOR_BYTES) {
        return UCAN_MALFORMED;
    }

    token->nonce = value->bytes;

    return UCAN_OK;
}


static ucan_verdict_t
read_exp(ucan_token_t *token, const cbor_item_t *value,
    ucan_memory_t *memory)
{
    (void) memory;

    if (value->type == CBOR_NULL) {
        return UCAN_OK;
    }

    if (value->type != CBOR_INTEGER) {
        return UCAN_MALFORMED;
    }

    token->exp = value->integer;
    token->has_exp = 1;

    return UCAN_OK;
}


static ucan_verdict_t
read_nbf(ucan_token_t *token, const cbor_item_t *value,
    ucan_memory_t *memory)
{
    (void) memory;

    if (value->type != CBOR_INTEGER) {
        return UCAN_MALFORMED;
    }

    token->nbf = value->integer;
    token->has_nbf = 1;

    return UCAN_OK;
}


static ucan_verdict_t
read_meta(ucan_token_t *token, const cbor_item_t *value,
    ucan_memory_t *memory)
{
    (void) token;
    (void) memory;

    return (value->type == CBOR_MAP) ? UCAN_OK : UCAN_MALFORMED;
}


static ucan_verdict_t
read_args(ucan_token_t *token, const cbor_item_t *value,
    ucan_memory_t *memory)
{
    (void) memory;

    if (value->type != CBOR_MAP) {
        return UCAN_MALFORMED;
    }

    token->args = value->raw;

    return UCAN_OK;
}


static ucan_verdict_t
read_prf(ucan_token_t *token, const cbor_item_t *value,
    ucan_memory_t *memory)
{
    cid_t           *cid;
    cbor_item_t      link;
    bytes_reader_t   r;

    if (value->type != CBOR_LIST) {
        return UCAN_MALFORMED;
    }

    if (value->count > UCAN_TOKEN_PROOFS_MAX) {
        return UCAN_TOO_LARGE;
    }

    if (value->count == 0) {
        return UCAN_OK;
    }

    token->proofs = memory->alloc(memory->data,
                                  value->count * sizeof(cid_t));
    if (token->proofs == NULL) {
        return UCAN_NO_MEMORY;
    }

    bytes_reader_open(&r, value->body);

    while (bytes_reader_left(&r) != 0) {

        if (cbor_next(&r, &link) != 0 || link.type != CBOR_LINK) {
            return UCAN_MALFORMED;
        }

        cid = &token->proofs[token->proof_count];

        if (cid_parse_binary(cid, link.bytes) == 0
            && cid->codec == CID_DAG_CBOR)
        {
            token->proof_count++;

        } else {
            token->foreign = 1;
        }
    }

    return UCAN_OK;
}


static ucan_verdict_t
read_iat(ucan_token_t *token, const cbor_item_t *value,
    ucan_memory_t *memory)
{
    (void) token;
    (void) memory;

    return (value->type == CBOR_INTEGER) ? UCAN_OK : UCAN_MALFORMED;
}


static ucan_verdict_t
read_cause(ucan_token_t *token, const cbor_item_t *value,
    ucan_memory_t *memory)
{
    (void) token;
    (void) memory;

    return (value->type == CBOR_LINK) ? UCAN_OK : UCAN_MALFORMED;
}


static bytes_t
find_tag(const ucan_envelope_draft_t *draft)
{
    if (draft->invocation) {
        return bytes_of(draft->final ? "ucan/inv@1.0.0"
                                     : "ucan/inv@1.0.0-rc.1");
    }

    return bytes_of(draft->final ? "ucan/dlg@1.0.0" : "ucan/dlg@1.0.0-rc.1");
}


/* Members in canonical order: by length of the key, then bytewise. */
static void
write_payload(const ucan_envelope_draft_t *draft, bytes_t iss,
    bytes_writer_t *w)
{
    int  has_aud, has_nbf;

    has_aud = draft->aud.len != 0;
    has_nbf = draft->nbf >= 0;

    cbor_write_map(w, 6 + has_aud + has_nbf + (draft->invocation != 0));

    if (has_aud) {
        cbor_write_text(w, bytes_of("aud"));
        cbor_write_text(w, draft->aud);
    }

    cbor_write_text(w, bytes_of("cmd"));
    cbor_write_text(w, draft->cmd);
    cbor_write_text(w, bytes_of("exp"));

    if (draft->exp < 0) {
        cbor_write_null(w);

    } else {
        cbor_write_integer(w, draft->exp);
    }

    cbor_write_text(w, bytes_of("iss"));
    cbor_write_text(w, iss);

    if (has_nbf) {
        cbor_write_text(w, bytes_of("nbf"));
        cbor_write_integer(w, draft->nbf);
    }

    if (draft->invocation) {
        cbor_write_text(w, bytes_of("prf"));
        write_proofs(draft, w);

    } else {
        cbor_write_text(w, bytes_of("pol"));

        if (draft->policy.len != 0) {
            bytes_writer_bytes(w, draft->policy);

        } else {
            cbor_write_list(w, 0);
        }
    }

    cbor_write_text(w, bytes_of("sub"));

    if (draft->sub.len != 0) {
        cbor_write_text(w, draft->sub);

    } else {
        cbor_write_null(w);
    }

    if (draft->invocation) {
        cbor_write_text(w, bytes_of("args"));

        if (draft->args.len != 0) {
            bytes_writer_bytes(w, draft->args);

        } else {
            cbor_write_map(w, 0);
        }
    }

    cbor_write_text(w, bytes_of("nonce"));
    cbor_write_bytes(w, draft->nonce);
}


static void
write_proofs(const ucan_envelope_draft_t *draft, bytes_writer_t *w)
{
    size_t          i;
    uint8_t         buf[CID_BINARY_LEN];
    bytes_writer_t  binary;

    cbor_write_list(w, draft->proof_count);

    for (i = 0; i < draft->proof_count; i++) {
        bytes_writer_open(&binary, buf, sizeof(buf));
        cid_write_binary(&draft->proofs[i], &binary);
        cbor_write_link(w, bytes_writer_view(&binary));
    }
}
