/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * UCAN 0.10 JWTs (RFC 7515, 7.1, compact): three base64url segments.
 *
 *     header . payload . signature
 *     |              |
 *     +--------------+-- what the signature is over, as received
 *
 *     header   {"alg":"EdDSA","typ":"JWT"}
 *     payload  {"ucv":"0.10.x","iss":did,"aud":did,"exp":seconds or null,
 *               "nbf"?:seconds,"nnc"?:text,"fct"?:object,"prf"?:[cid],
 *               "cap":{resource:{ability:[caveat object]}}}
 *
 * Turns bytes into a token and back; checks form, decides nothing.  The key
 * is that of the issuer: no key, and no algorithm but the one of that key, is
 * ever taken from the header.
 */


#include "base64.h"
#include "json_scan.h"
#include "json_write.h"
#include "ucan_jwt.h"


#define UCAN_JWT_PAYLOAD_MAX  16384     /* bytes of one made by us */


static int split_segments(bytes_t text, bytes_t *segments);
static ucan_verdict_t decode_segment(bytes_t segment, bytes_t *out,
    ucan_memory_t *memory);
static ucan_verdict_t decode_object(bytes_t segment, json_scan_t *object,
    ucan_memory_t *memory);
static ucan_verdict_t check_header(const json_scan_t *header);
static ucan_verdict_t check_version(const json_scan_t *payload);
static ucan_verdict_t read_payload(ucan_token_t *token,
    const json_scan_t *payload, ucan_memory_t *memory);
static ucan_verdict_t read_did(const json_scan_t *payload, const char *key,
    bytes_t *did, ucan_memory_t *memory);
static ucan_verdict_t read_window(ucan_token_t *token,
    const json_scan_t *payload);
static ucan_verdict_t read_proofs(ucan_token_t *token,
    const json_scan_t *payload, ucan_memory_t *memory);
static ucan_verdict_t read_caps(ucan_token_t *token,
    const json_scan_t *payload, ucan_memory_t *memory);
static ucan_verdict_t count_caps(const json_scan_t *cap, size_t *count);
static ucan_verdict_t fill_caps(ucan_token_t *token, const json_scan_t *cap,
    ucan_memory_t *memory);
static ucan_verdict_t copy_string(const json_scan_t *value, bytes_t *text,
    ucan_memory_t *memory);
static size_t count_values(const json_scan_t *parent);
static void write_payload(const ucan_jwt_draft_t *draft,
    const signature_key_t *key, bytes_writer_t *w);


static const char  ucan_jwt_header[] = "{\"alg\":\"EdDSA\",\"typ\":\"JWT\"}";


ucan_verdict_t
ucan_jwt_decode(ucan_token_t *token, bytes_t text,
    ucan_jwt_embedded_t *embedded, ucan_memory_t *memory)
{
    bytes_t         segments[3];
    json_scan_t     header, payload;
    ucan_verdict_t  rc;

    memset(token, 0, sizeof(ucan_token_t));

    token->kind = UCAN_TOKEN_JWT;
    token->version = UCAN_TOKEN_VERSION_10;

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

    rc = check_header(&header);
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

    rc = read_payload(token, &payload, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    token->raw = text;
    token->signed_part = bytes_make(text.data, segments[0].len + 1
                                               + segments[1].len);
    cid_of(&token->cid, CID_RAW, text);

    return UCAN_OK;
}


int
ucan_jwt_encode(const ucan_jwt_draft_t *draft, const signature_key_t *key,
    bytes_writer_t *w)
{
    uint8_t         sig[SIGNATURE_ED25519_LEN];
    uint8_t         buf[UCAN_JWT_PAYLOAD_MAX], *start;
    bytes_writer_t  payload;

    bytes_writer_open(&payload, buf, sizeof(buf));
    write_payload(draft, key, &payload);

    start = w->pos;

    if (payload.failed
        || base64_encode(BASE64_URL, bytes_of(ucan_jwt_header), w) != 0)
    {
        return -1;
    }

    bytes_writer_byte(w, '.');

    if (base64_encode(BASE64_URL, bytes_writer_view(&payload), w) != 0) {
        return -1;
    }

    signature_sign(key, bytes_make(start, (size_t) (w->pos - start)), sig);

    bytes_writer_byte(w, '.');

    return base64_encode(BASE64_URL, bytes_make(sig, sizeof(sig)), w);
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
check_header(const json_scan_t *header)
{
    json_scan_t  value;

    if (json_scan_find(header, "typ", &value) != 0
        || !json_scan_equal(&value, "JWT"))
    {
        return UCAN_MALFORMED;
    }

    if (json_scan_find(header, "alg", &value) != 0
        || value.type != JSON_SCAN_STRING)
    {
        return UCAN_MALFORMED;
    }

    /* 0.8 and 0.9 have their version here */

    if (!json_scan_equal(&value, "EdDSA")
        || json_scan_find(header, "ucv", &value) == 0)
    {
        return UCAN_UNSUPPORTED;
    }

    return UCAN_OK;
}


/* "0.10." and digits. */
static ucan_verdict_t
check_version(const json_scan_t *payload)
{
    size_t       i;
    bytes_t      text, head;
    json_scan_t  value;

    if (json_scan_find(payload, "ucv", &value) != 0) {
        return UCAN_UNSUPPORTED;
    }

    if (json_scan_plain(&value, &text) != 0) {
        return UCAN_MALFORMED;
    }

    head = bytes_of("0.10.");

    if (!bytes_start_with(text, head) || text.len == head.len) {
        return UCAN_UNSUPPORTED;
    }

    for (i = head.len; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return UCAN_UNSUPPORTED;
        }
    }

    return UCAN_OK;
}


static ucan_verdict_t
read_payload(ucan_token_t *token, const json_scan_t *payload,
    ucan_memory_t *memory)
{
    json_scan_t     value;
    ucan_verdict_t  rc;

    rc = check_version(payload);
    if (rc != UCAN_OK) {
        return rc;
    }

    rc = read_did(payload, "iss", &token->iss, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    rc = read_did(payload, "aud", &token->aud, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    rc = read_window(token, payload);
    if (rc != UCAN_OK) {
        return rc;
    }

    if (json_scan_find(payload, "nnc", &value) == 0) {
        rc = copy_string(&value, &token->nonce, memory);
        if (rc != UCAN_OK) {
            return rc;
        }
    }

    if (json_scan_find(payload, "fct", &value) == 0
        && value.type != JSON_SCAN_OBJECT)
    {
        return UCAN_MALFORMED;
    }

    rc = read_proofs(token, payload, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    rc = read_caps(token, payload, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    return ucan_token_did_signs(token->iss) ? UCAN_OK : UCAN_UNSUPPORTED;
}


static ucan_verdict_t
read_did(const json_scan_t *payload, const char *key, bytes_t *did,
    ucan_memory_t *memory)
{
    json_scan_t     value;
    ucan_verdict_t  rc;

    if (json_scan_find(payload, key, &value) != 0) {
        return UCAN_MALFORMED;
    }

    rc = copy_string(&value, did, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    return ucan_token_did_valid(*did) ? UCAN_OK : UCAN_MALFORMED;
}


static ucan_verdict_t
read_window(ucan_token_t *token, const json_scan_t *payload)
{
    json_scan_t  value;

    if (json_scan_find(payload, "exp", &value) != 0) {
        return UCAN_MALFORMED;
    }

    if (value.type != JSON_SCAN_NULL) {

        if (json_scan_integer(&value, &token->exp) != 0) {
            return UCAN_MALFORMED;
        }

        token->has_exp = 1;
    }

    if (json_scan_find(payload, "nbf", &value) == 0) {

        if (json_scan_integer(&value, &token->nbf) != 0) {
            return UCAN_MALFORMED;
        }

        token->has_nbf = 1;
    }

    return UCAN_OK;
}


/* A proof named by another kind of CID is one that nobody can present. */
static ucan_verdict_t
read_proofs(ucan_token_t *token, const json_scan_t *payload,
    ucan_memory_t *memory)
{
    cid_t        *cid;
    size_t        pos, count;
    bytes_t       text;
    json_scan_t   list, value;

    if (json_scan_find(payload, "prf", &list) != 0) {
        return UCAN_OK;
    }

    if (list.type != JSON_SCAN_ARRAY) {
        return UCAN_MALFORMED;
    }

    count = count_values(&list);

    if (count == 0) {
        return UCAN_OK;
    }

    if (count > UCAN_TOKEN_PROOFS_MAX) {
        return UCAN_TOO_LARGE;
    }

    token->proofs = memory->alloc(memory->data, count * sizeof(cid_t));
    if (token->proofs == NULL) {
        return UCAN_NO_MEMORY;
    }

    pos = 0;

    while (json_scan_next(&list, &pos, NULL, &value) == 0) {

        if (value.type != JSON_SCAN_STRING) {
            return UCAN_MALFORMED;
        }

        cid = &token->proofs[token->proof_count];

        if (json_scan_plain(&value, &text) == 0
            && cid_parse(cid, text) == 0
            && cid->codec == CID_RAW)
        {
            token->proof_count++;

        } else {
            token->foreign = 1;
        }
    }

    return UCAN_OK;
}


static ucan_verdict_t
read_caps(ucan_token_t *token, const json_scan_t *payload,
    ucan_memory_t *memory)
{
    size_t          count;
    json_scan_t     cap;
    ucan_verdict_t  rc;

    if (json_scan_find(payload, "cap", &cap) != 0
        || cap.type != JSON_SCAN_OBJECT)
    {
        return UCAN_MALFORMED;
    }

    token->caps = cap.raw;

    rc = count_caps(&cap, &count);
    if (rc != UCAN_OK) {
        return rc;
    }

    if (count == 0) {
        return UCAN_OK;
    }

    token->capabilities = memory->alloc(memory->data,
                                        count * sizeof(ucan_token_cap_t));
    if (token->capabilities == NULL) {
        return UCAN_NO_MEMORY;
    }

    return fill_caps(token, &cap, memory);
}


/* Checks the form of all and counts the entries.  An empty list of caveats
   would mean "never": nobody has a use for it, so it is refused. */
static ucan_verdict_t
count_caps(const json_scan_t *cap, size_t *count)
{
    size_t       pos, inner, entry, n;
    json_scan_t  key, abilities, list, caveat;

    *count = 0;
    pos = 0;

    while (json_scan_next(cap, &pos, &key, &abilities) == 0) {

        if (abilities.type != JSON_SCAN_OBJECT) {
            return UCAN_MALFORMED;
        }

        inner = 0;

        while (json_scan_next(&abilities, &inner, &key, &list) == 0) {

            if (list.type != JSON_SCAN_ARRAY) {
                return UCAN_MALFORMED;
            }

            entry = 0;

            for (n = 0;
                 json_scan_next(&list, &entry, NULL, &caveat) == 0;
                 n++)
            {
                if (caveat.type != JSON_SCAN_OBJECT) {
                    return UCAN_MALFORMED;
                }
            }

            if (n == 0) {
                return UCAN_MALFORMED;
            }

            *count += n;
        }
    }

    return (*count > UCAN_TOKEN_CAPS_MAX) ? UCAN_TOO_LARGE : UCAN_OK;
}


static ucan_verdict_t
fill_caps(ucan_token_t *token, const json_scan_t *cap, ucan_memory_t *memory)
{
    size_t             pos, inner, entry;
    bytes_t            with, can;
    json_scan_t        key, abilities, list, caveat;
    ucan_verdict_t     rc;
    ucan_token_cap_t  *next;

    pos = 0;

    while (json_scan_next(cap, &pos, &key, &abilities) == 0) {

        rc = copy_string(&key, &with, memory);
        if (rc != UCAN_OK) {
            return rc;
        }

        inner = 0;

        while (json_scan_next(&abilities, &inner, &key, &list) == 0) {

            rc = copy_string(&key, &can, memory);
            if (rc != UCAN_OK) {
                return rc;
            }

            entry = 0;

            while (json_scan_next(&list, &entry, NULL, &caveat) == 0) {
                next = &token->capabilities[token->capability_count++];
                next->with = with;
                next->can = can;
                next->caveat = caveat.raw;
            }
        }
    }

    return UCAN_OK;
}


/* The text of a string; in place when nothing in it is escaped. */
static ucan_verdict_t
copy_string(const json_scan_t *value, bytes_t *text, ucan_memory_t *memory)
{
    void            *buf;
    bytes_writer_t   w;

    if (value->type != JSON_SCAN_STRING) {
        return UCAN_MALFORMED;
    }

    if (json_scan_plain(value, text) == 0) {
        return UCAN_OK;
    }

    buf = memory->alloc(memory->data, value->text.len);
    if (buf == NULL) {
        return UCAN_NO_MEMORY;
    }

    bytes_writer_open(&w, buf, value->text.len);

    if (json_scan_string(value, &w) != 0) {
        return UCAN_MALFORMED;
    }

    *text = bytes_writer_view(&w);

    return UCAN_OK;
}


static size_t
count_values(const json_scan_t *parent)
{
    size_t       n, pos;
    json_scan_t  value;

    n = 0;
    pos = 0;

    while (json_scan_next(parent, &pos, NULL, &value) == 0) {
        n++;
    }

    return n;
}


static void
write_payload(const ucan_jwt_draft_t *draft, const signature_key_t *key,
    bytes_writer_t *w)
{
    size_t          i;
    uint8_t         buf[CID_TEXT_LEN];
    json_write_t    j;
    bytes_writer_t  text;

    json_write_open(&j, w);
    json_write_object(&j);
    json_write_member_text(&j, "ucv", "0.10.0");
    json_write_member(&j, "iss", bytes_make(key->did, DID_ED25519_LEN));
    json_write_member(&j, "aud", draft->aud);

    if (draft->exp < 0) {
        json_write_key(&j, "exp");
        json_write_null(&j);

    } else {
        json_write_member_integer(&j, "exp", draft->exp);
    }

    if (draft->nbf >= 0) {
        json_write_member_integer(&j, "nbf", draft->nbf);
    }

    if (draft->nonce.len != 0) {
        json_write_member(&j, "nnc", draft->nonce);
    }

    json_write_member_raw(&j, "cap", draft->caps);

    if (draft->proof_count != 0) {
        json_write_key(&j, "prf");
        json_write_array(&j);

        for (i = 0; i < draft->proof_count; i++) {
            bytes_writer_open(&text, buf, sizeof(buf));
            cid_write(&draft->proofs[i], &text);
            json_write_string(&j, bytes_writer_view(&text));
        }

        json_write_array_end(&j);
    }

    json_write_object_end(&j);
}
