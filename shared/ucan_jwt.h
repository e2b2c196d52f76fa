/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * UCAN 0.10 JWTs: bytes to token and back.  Decides nothing.
 */


#ifndef _UCAN_JWT_H_INCLUDED_
#define _UCAN_JWT_H_INCLUDED_


#include "signature.h"
#include "ucan_token.h"


/* Decodes one compact JWT (RFC 7515, 7.1) strictly.  UCAN_OK,
   UCAN_MALFORMED, UCAN_UNSUPPORTED, UCAN_TOO_LARGE, UCAN_NO_MEMORY. */
ucan_verdict_t ucan_jwt_decode(ucan_token_t *token, bytes_t text,
    ucan_memory_t *memory);


typedef struct {
    bytes_t       aud;
    bytes_t       caps;           /* JSON object, already valid */
    bytes_t       nonce;          /* text; empty: none */
    const cid_t  *proofs;
    size_t        proof_count;
    int64_t       exp;            /* seconds; negative: null */
    int64_t       nbf;            /* seconds; negative: absent */
} ucan_jwt_draft_t;


/* Signs a draft with key and appends the JWT to w.  0, or -1: no room. */
int ucan_jwt_encode(const ucan_jwt_draft_t *draft,
    const signature_key_t *key, bytes_writer_t *w);


#endif /* _UCAN_JWT_H_INCLUDED_ */
