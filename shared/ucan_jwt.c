/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The compact form of UCAN 0.8, 0.9 and 0.10 JWTs (RFC 7515, 7.1): three
 * base64url segments, and the header, which says the version or leaves that
 * to the payload.
 *
 *     header . payload . signature
 *     |              |
 *     +--------------+-- what the signature is over, as received
 *
 *     header   {"alg":text,"typ":"JWT"} and before 0.10 "ucv":"0.8.x" or
 *              "0.9.x"; ucan_jwt_payload.c has the payload
 *
 * Turns bytes into a token and back; checks form, decides nothing.  The key
 * is that of the issuer: none is ever taken from the header, and the algorithm
 * that it names has to be the one of that key.
 */


#include "base64.h"
#include "ucan_jwt_part.h"


#define UCAN_JWT_ED25519_PREFIX  "did:key:z6Mk"


/* Where a version stands, and how its text begins. */
typedef struct {
    const char  *head;
    unsigned     version;
    int          in_header;
} ucan_jwt_version_t;


static int split_segments(bytes_t text, bytes_t *segments);
static ucan_verdict_t decode_segment(bytes_t segment, bytes_t *out,
    ucan_memory_t *memory);
static ucan_verdict_t decode_object(bytes_t segment, json_scan_t *object,
    ucan_memory_t *memory);
static ucan_verdict_t check_header(const json_scan_t *header,
    json_scan_t *algorithm);
static ucan_verdict_t read_version(ucan_token_t *token,
    const json_scan_t *header, const ucan_jwt_members_t *members);
static int match_patch(bytes_t text);
static ucan_verdict_t check_algorithm(const json_scan_t *algorithm,
    bytes_t iss);
static int add_signature(bytes_t sig, bytes_writer_t *w);


static const ucan_jwt_version_t  ucan_jwt_versions[] = {
    { "0.8.",  UCAN_TOKEN_VERSION_08, 1 },
    { "0.9.",  UCAN_TOKEN_VERSION_09, 1 },
    { "0.10.", UCAN_TOKEN_VERSION_10, 0 }
};

#define ucan_jwt_version_count                                                \
    (sizeof(ucan_jwt_versions) / sizeof(ucan_jwt_versions[0]))


ucan_verdict_t
ucan_jwt_decode(ucan_token_t *token, bytes_t text,
    ucan_jwt_embedded_t *embedded, ucan_memory_t *memory)
{
    cid_t  cid;

    if (text.len > UCAN_TOKEN_BYTES_MAX) {
        memset(token, 0, sizeof(ucan_token_t));
        return UCAN_TOO_LARGE;
    }

    cid_of(&cid, CID_RAW, text);

    return ucan_jwt_decode_known(token, text, &cid, embedded, memory);
}


ucan_verdict_t
ucan_jwt_decode_known(ucan_token_t *token, bytes_t text, const cid_t *cid,
    ucan_jwt_embedded_t *embedded, ucan_memory_t *memory)
{
    bytes_t             segments[3];
    json_scan_t         header, payload, algorithm;
    ucan_verdict_t      rc;
    ucan_jwt_members_t  members;

    memset(token, 0, sizeof(ucan_token_t));

    token->kind = UCAN_TOKEN_JWT;
    token->cid = *cid;
    token->raw = text;

    if (embedded != NULL) {
        embedded->count = 0;
    }

    if (text.len > UCAN_TOKEN_BYTES_MAX) {
        return UCAN_TOO_LARGE;
    }

    if (split_segments(text, segments) != 0) {
        return UCAN_MALFORMED;
    }

    rc = decode_object(segments[0], &header, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    rc = check_header(&header, &algorithm);
    if (rc != UCAN_OK) {
        return rc;
    }

    rc = decode_segment(segments[2], &token->signature, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    rc = decode_object(segments[1], &payload, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    token->signed_part = bytes_make(text.data, segments[0].len + 1
                                               + segments[1].len);

    ucan_jwt_payload_open(&members, &payload);

    rc = read_version(token, &header, &members);
    if (rc != UCAN_OK) {
        return rc;
    }

    rc = ucan_jwt_payload_read(token, &members, embedded, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    return check_algorithm(&algorithm, token->iss);
}


int
ucan_jwt_encode(const ucan_jwt_draft_t *draft, const signature_key_t *key,
    bytes_writer_t *w)
{
    uint8_t  sig[SIGNATURE_ED25519_LEN], *start;

    start = w->pos;

    if (ucan_jwt_make_text(draft, bytes_make(key->did, DID_ED25519_LEN),
                           DID_ED25519, w)
        != 0)
    {
        return -1;
    }

    signature_sign(key, bytes_make(start, (size_t) (w->pos - start)), sig);

    return add_signature(bytes_make(sig, sizeof(sig)), w);
}


int
ucan_jwt_encode_by(const ucan_jwt_draft_t *draft,
    const signature_signer_t *signer, bytes_writer_t *w)
{
    uint8_t         buf[SIGNATURE_SIGNER_SIG_MAX], *start;
    bytes_writer_t  sig;

    start = w->pos;

    if (ucan_jwt_make_text(draft, signature_signer_did(signer),
                           signer->key.algorithm, w)
        != 0)
    {
        return -1;
    }

    bytes_writer_open(&sig, buf, sizeof(buf));

    if (signature_signer_sign(signer,
                              bytes_make(start, (size_t) (w->pos - start)),
                              &sig)
        != 0)
    {
        return -1;
    }

    return add_signature(bytes_writer_view(&sig), w);
}


static int
split_segments(bytes_t text, bytes_t *segments)
{
    size_t          i, len;
    const uint8_t  *dot;

    for (i = 0; i < 3; i++) {

        dot = (text.len == 0) ? NULL : memchr(text.data, '.', text.len);

        /* a dot behind each but the last */

        if ((dot != NULL) != (i < 2)) {
            return -1;
        }

        len = (dot != NULL) ? (size_t) (dot - text.data) : text.len;

        if (len == 0) {
            return -1;
        }

        segments[i] = bytes_make(text.data, len);

        if (dot != NULL) {
            text = bytes_make(dot + 1, text.len - len - 1);
        }
    }

    return 0;
}


static ucan_verdict_t
decode_segment(bytes_t segment, bytes_t *out, ucan_memory_t *memory)
{
    void            *buf;
    size_t           size;
    bytes_writer_t   w;

    size = base64_decoded_max(segment.len);

    buf = memory->alloc(memory->data, size);
    if (buf == NULL) {
        return UCAN_NO_MEMORY;
    }

    bytes_writer_open(&w, buf, size);

    if (base64_decode(BASE64_URL, segment, &w) != 0) {
        return UCAN_MALFORMED;
    }

    *out = bytes_writer_view(&w);

    return UCAN_OK;
}


static ucan_verdict_t
decode_object(bytes_t segment, json_scan_t *object, ucan_memory_t *memory)
{
    bytes_t         text;
    ucan_verdict_t  rc;

    rc = decode_segment(segment, &text, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    if (json_scan_validate(text, NULL) != JSON_SCAN_OK
        || json_scan_open(text, object) != 0
        || object->type != JSON_SCAN_OBJECT)
    {
        return UCAN_MALFORMED;
    }

    return UCAN_OK;
}


static ucan_verdict_t
check_header(const json_scan_t *header, json_scan_t *algorithm)
{
    json_scan_t  value;

    if (json_scan_find(header, "typ", &value) != 0
        || !json_scan_equal(&value, "JWT"))
    {
        return UCAN_MALFORMED;
    }

    if (json_scan_find(header, "alg", algorithm) != 0
        || algorithm->type != JSON_SCAN_STRING)
    {
        return UCAN_MALFORMED;
    }

    /* what must be understood is not (RFC 7515, 4.1.11) */

    if (json_scan_find(header, "crit", &value) == 0) {
        return UCAN_UNSUPPORTED;
    }

    return UCAN_OK;
}


/* In one of two places and not in the other; "uav" is how 0.3 said it. */
static ucan_verdict_t
read_version(ucan_token_t *token, const json_scan_t *header,
    const ucan_jwt_members_t *members)
{
    int                        in_header, in_payload;
    size_t                     i;
    bytes_t                    text, head;
    json_scan_t                value, old;
    const ucan_jwt_version_t  *v;

    in_header = json_scan_find(header, "ucv", &value) == 0;
    in_payload = members->of[UCAN_JWT_UCV].raw.len != 0;

    if (in_header == in_payload
        || members->of[UCAN_JWT_UAV].raw.len != 0
        || json_scan_find(header, "uav", &old) == 0)
    {
        return UCAN_UNSUPPORTED;
    }

    if (in_payload) {
        value = members->of[UCAN_JWT_UCV];
    }

    if (json_scan_plain(&value, &text) != 0) {
        return UCAN_MALFORMED;
    }

    for (i = 0; i < ucan_jwt_version_count; i++) {

        v = &ucan_jwt_versions[i];
        head = bytes_of(v->head);

        if (v->in_header == in_header
            && bytes_start_with(text, head)
            && match_patch(bytes_make(text.data + head.len,
                                      text.len - head.len)))
        {
            token->version = v->version;
            return UCAN_OK;
        }
    }

    return UCAN_UNSUPPORTED;
}


/* A number without zeros in front. */
static int
match_patch(bytes_t text)
{
    size_t  i;

    if (text.len == 0 || (text.data[0] == '0' && text.len != 1)) {
        return 0;
    }

    for (i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return 0;
        }
    }

    return 1;
}


/* The most frequent type is told by its text: its key is decoded once, when
   the signature is checked. */
static ucan_verdict_t
check_algorithm(const json_scan_t *algorithm, bytes_t iss)
{
    did_key_t  key;

    if (iss.len == DID_ED25519_LEN
        && bytes_start_with(iss, bytes_of(UCAN_JWT_ED25519_PREFIX)))
    {
        key.algorithm = DID_ED25519;

    } else if (did_parse(iss, &key) != 0) {
        return UCAN_UNSUPPORTED;
    }

    return json_scan_equal(algorithm, signature_jwt_name(key.algorithm))
           ? UCAN_OK : UCAN_UNSUPPORTED;
}


static int
add_signature(bytes_t sig, bytes_writer_t *w)
{
    bytes_writer_byte(w, '.');

    return base64_encode(BASE64_URL, sig, w);
}
