/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The payload of a UCAN JWT, by version (reference 4):
 *
 *            0.8                    0.9                  0.10
 *     ucv    in the header          in the header        "0.10.x"
 *     iss, aud                      DIDs
 *     exp    seconds                seconds or null      seconds or null
 *     nbf?   seconds                seconds              seconds
 *     nnc?   text                   text                 text
 *     fct?   [object]               [object]             object
 *     prf    [JWT or CID]           [CID], may lack      [CID], may lack
 *     att    [{with, can, ...}]     the same             cap, an object
 *
 * Numbers are integers within plus/minus 2^53-1.  Unknown members mean
 * nothing.  Checks form, decides nothing.
 */


#include "ucan_jwt_part.h"


static ucan_verdict_t read_did(const json_scan_t *value, bytes_t *did,
    ucan_memory_t *memory);
static ucan_verdict_t read_window(ucan_token_t *token,
    const ucan_jwt_members_t *members);
static ucan_verdict_t check_facts(const ucan_token_t *token,
    const json_scan_t *facts);
static ucan_verdict_t read_proofs(ucan_token_t *token,
    ucan_jwt_members_t *members, ucan_jwt_embedded_t *embedded,
    ucan_memory_t *memory);
static ucan_verdict_t read_proof(ucan_token_t *token,
    const json_scan_t *value, ucan_jwt_embedded_t *embedded,
    ucan_memory_t *memory);
static size_t count_values(const json_scan_t *parent);


static const char *const  ucan_jwt_names[UCAN_JWT_MEMBER_COUNT] = {
    [UCAN_JWT_UCV] = "ucv",
    [UCAN_JWT_UAV] = "uav",
    [UCAN_JWT_ISS] = "iss",
    [UCAN_JWT_AUD] = "aud",
    [UCAN_JWT_EXP] = "exp",
    [UCAN_JWT_NBF] = "nbf",
    [UCAN_JWT_NNC] = "nnc",
    [UCAN_JWT_FCT] = "fct",
    [UCAN_JWT_PRF] = "prf",
    [UCAN_JWT_ATT] = "att",
    [UCAN_JWT_CAP] = "cap"
};


void
ucan_jwt_payload_open(ucan_jwt_members_t *members, const json_scan_t *payload)
{
    size_t       i, pos;
    json_scan_t  key, value;

    memset(members, 0, sizeof(ucan_jwt_members_t));

    pos = 0;

    while (json_scan_next(payload, &pos, &key, &value) == 0) {

        for (i = 0; i < UCAN_JWT_MEMBER_COUNT; i++) {
            if (json_scan_equal(&key, ucan_jwt_names[i])) {
                members->of[i] = value;
                break;
            }
        }
    }
}


ucan_verdict_t
ucan_jwt_payload_read(ucan_token_t *token, ucan_jwt_members_t *members,
    ucan_jwt_embedded_t *embedded, ucan_memory_t *memory)
{
    ucan_verdict_t      rc;
    const json_scan_t  *nonce;

    rc = read_did(&members->of[UCAN_JWT_ISS], &token->iss, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    rc = read_did(&members->of[UCAN_JWT_AUD], &token->aud, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    rc = read_window(token, members);
    if (rc != UCAN_OK) {
        return rc;
    }

    nonce = &members->of[UCAN_JWT_NNC];

    if (nonce->raw.len != 0) {
        rc = ucan_jwt_payload_copy(nonce, &token->nonce, memory);
        if (rc != UCAN_OK) {
            return rc;
        }
    }

    rc = check_facts(token, &members->of[UCAN_JWT_FCT]);
    if (rc != UCAN_OK) {
        return rc;
    }

    rc = read_proofs(token, members, embedded, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    return ucan_jwt_caps_read(token, members, memory);
}


ucan_verdict_t
ucan_jwt_payload_copy(const json_scan_t *value, bytes_t *text,
    ucan_memory_t *memory)
{
    void            *buf;
    bytes_writer_t   w;

    if (value->raw.len == 0 || value->type != JSON_SCAN_STRING) {
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


static ucan_verdict_t
read_did(const json_scan_t *value, bytes_t *did, ucan_memory_t *memory)
{
    ucan_verdict_t  rc;

    rc = ucan_jwt_payload_copy(value, did, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    return ucan_token_did_valid(*did) ? UCAN_OK : UCAN_MALFORMED;
}


static ucan_verdict_t
read_window(ucan_token_t *token, const ucan_jwt_members_t *members)
{
    const json_scan_t  *exp, *nbf;

    exp = &members->of[UCAN_JWT_EXP];
    nbf = &members->of[UCAN_JWT_NBF];

    if (exp->raw.len == 0) {
        return UCAN_MALFORMED;
    }

    if (exp->type != JSON_SCAN_NULL
        || token->version < UCAN_TOKEN_VERSION_09)
    {
        if (json_scan_integer(exp, &token->exp) != 0) {
            return UCAN_MALFORMED;
        }

        token->has_exp = 1;
    }

    if (nbf->raw.len != 0) {

        if (json_scan_integer(nbf, &token->nbf) != 0) {
            return UCAN_MALFORMED;
        }

        token->has_nbf = 1;
    }

    return UCAN_OK;
}


static ucan_verdict_t
check_facts(const ucan_token_t *token, const json_scan_t *facts)
{
    size_t       pos;
    json_scan_t  item;

    if (facts->raw.len == 0) {
        return UCAN_OK;
    }

    if (token->version >= UCAN_TOKEN_VERSION_10) {
        return (facts->type == JSON_SCAN_OBJECT) ? UCAN_OK : UCAN_MALFORMED;
    }

    if (facts->type != JSON_SCAN_ARRAY) {
        return UCAN_MALFORMED;
    }

    pos = 0;

    while (json_scan_next(facts, &pos, NULL, &item) == 0) {
        if (item.type != JSON_SCAN_OBJECT) {
            return UCAN_MALFORMED;
        }
    }

    return UCAN_OK;
}


static ucan_verdict_t
read_proofs(ucan_token_t *token, ucan_jwt_members_t *members,
    ucan_jwt_embedded_t *embedded, ucan_memory_t *memory)
{
    size_t              pos, count;
    json_scan_t         value;
    ucan_verdict_t      rc;
    const json_scan_t  *list;

    list = &members->of[UCAN_JWT_PRF];

    if (list->raw.len == 0) {
        return (token->version >= UCAN_TOKEN_VERSION_09) ? UCAN_OK
                                                         : UCAN_MALFORMED;
    }

    if (list->type != JSON_SCAN_ARRAY) {
        return UCAN_MALFORMED;
    }

    count = count_values(list);
    members->proofs = count;

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

    while (json_scan_next(list, &pos, NULL, &value) == 0) {
        rc = read_proof(token, &value, embedded, memory);
        if (rc != UCAN_OK) {
            return rc;
        }
    }

    return UCAN_OK;
}


/* A proof named by another kind of CID is one that nobody can present; no
   CID has a dot. */
static ucan_verdict_t
read_proof(ucan_token_t *token, const json_scan_t *value,
    ucan_jwt_embedded_t *embedded, ucan_memory_t *memory)
{
    cid_t           *cid;
    bytes_t          text;
    ucan_verdict_t   rc;

    rc = ucan_jwt_payload_copy(value, &text, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    cid = &token->proofs[token->proof_count];

    if (token->version < UCAN_TOKEN_VERSION_09
        && text.len != 0
        && memchr(text.data, '.', text.len) != NULL)
    {
        cid_of(cid, CID_RAW, text);

        if (embedded != NULL) {
            embedded->list[embedded->count] = text;
            embedded->proof[embedded->count++] = token->proof_count;
        }

        token->proof_count++;

        return UCAN_OK;
    }

    if (cid_parse(cid, text) == 0 && cid->codec == CID_RAW) {
        token->proof_count++;

    } else {
        token->foreign = 1;
    }

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
