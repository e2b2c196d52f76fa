/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Header and payload of UCAN JWTs that are made here, of 0.8.1, 0.9.1 and
 * 0.10.0; ucan_jwt.c signs them.  For the mesh command and tests; a node
 * itself issues tokens of 1.0.
 */


#include "base64.h"
#include "json_write.h"
#include "ucan_jwt_part.h"


#define UCAN_JWT_PAYLOAD_MAX  (UCAN_TOKEN_BYTES_MAX / 4 * 3)   /* bytes */
#define UCAN_JWT_HEADER_MAX   128                              /* bytes */


static unsigned version_of(const ucan_jwt_draft_t *draft);
static int check_draft(const ucan_jwt_draft_t *draft);
static void write_header(const ucan_jwt_draft_t *draft,
    did_algorithm_t algorithm, bytes_writer_t *w);
static void write_payload(const ucan_jwt_draft_t *draft, bytes_t iss,
    bytes_writer_t *w);
static void write_proofs(const ucan_jwt_draft_t *draft, json_write_t *j);


int
ucan_jwt_make_text(const ucan_jwt_draft_t *draft, bytes_t iss,
    did_algorithm_t algorithm, bytes_writer_t *w)
{
    uint8_t         header_buf[UCAN_JWT_HEADER_MAX];
    uint8_t         payload_buf[UCAN_JWT_PAYLOAD_MAX];
    bytes_writer_t  header, payload;

    if (check_draft(draft) != 0) {
        return -1;
    }

    bytes_writer_open(&header, header_buf, sizeof(header_buf));
    bytes_writer_open(&payload, payload_buf, sizeof(payload_buf));

    write_header(draft, algorithm, &header);
    write_payload(draft, iss, &payload);

    if (header.failed
        || payload.failed
        || base64_encode(BASE64_URL, bytes_writer_view(&header), w) != 0)
    {
        return -1;
    }

    bytes_writer_byte(w, '.');

    return base64_encode(BASE64_URL, bytes_writer_view(&payload), w);
}


static unsigned
version_of(const ucan_jwt_draft_t *draft)
{
    return (draft->version != 0) ? draft->version : UCAN_TOKEN_VERSION_10;
}


static int
check_draft(const ucan_jwt_draft_t *draft)
{
    switch (version_of(draft)) {

    case UCAN_TOKEN_VERSION_08:
        return (draft->exp < 0) ? -1 : 0;

    case UCAN_TOKEN_VERSION_09:
    case UCAN_TOKEN_VERSION_10:
        return (draft->embedded_count != 0) ? -1 : 0;

    default:
        return -1;
    }
}


static void
write_header(const ucan_jwt_draft_t *draft, did_algorithm_t algorithm,
    bytes_writer_t *w)
{
    json_write_t  j;

    json_write_open(&j, w);
    json_write_object(&j);
    json_write_member_text(&j, "alg", signature_jwt_name(algorithm));
    json_write_member_text(&j, "typ", "JWT");

    if (version_of(draft) == UCAN_TOKEN_VERSION_08) {
        json_write_member_text(&j, "ucv", "0.8.1");

    } else if (version_of(draft) == UCAN_TOKEN_VERSION_09) {
        json_write_member_text(&j, "ucv", "0.9.1");
    }

    json_write_object_end(&j);
}


static void
write_payload(const ucan_jwt_draft_t *draft, bytes_t iss, bytes_writer_t *w)
{
    int           old;
    json_write_t  j;

    old = version_of(draft) < UCAN_TOKEN_VERSION_10;

    json_write_open(&j, w);
    json_write_object(&j);

    if (!old) {
        json_write_member_text(&j, "ucv", "0.10.0");
    }

    json_write_member(&j, "iss", iss);
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

    json_write_member_raw(&j, old ? "att" : "cap", draft->caps);

    write_proofs(draft, &j);

    json_write_object_end(&j);
}


static void
write_proofs(const ucan_jwt_draft_t *draft, json_write_t *j)
{
    size_t          i;
    uint8_t         buf[CID_TEXT_LEN];
    bytes_writer_t  text;

    if (draft->proof_count == 0
        && draft->embedded_count == 0
        && version_of(draft) != UCAN_TOKEN_VERSION_08)
    {
        return;
    }

    json_write_key(j, "prf");
    json_write_array(j);

    for (i = 0; i < draft->embedded_count; i++) {
        json_write_string(j, draft->embedded[i]);
    }

    for (i = 0; i < draft->proof_count; i++) {
        bytes_writer_open(&text, buf, sizeof(buf));
        cid_write(&draft->proofs[i], &text);
        json_write_string(j, bytes_writer_view(&text));
    }

    json_write_array_end(j);
}
