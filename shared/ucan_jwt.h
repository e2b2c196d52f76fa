/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * UCAN 0.8, 0.9 and 0.10 JWTs: bytes to token and back.  Decides nothing.
 */


#ifndef _UCAN_JWT_H_INCLUDED_
#define _UCAN_JWT_H_INCLUDED_


#include "signature_signer.h"
#include "ucan_token.h"


/* Proofs that a 0.8 token carries in itself; views into memory. */
typedef struct {
    bytes_t  list[UCAN_TOKEN_PROOFS_MAX];
    size_t   proof[UCAN_TOKEN_PROOFS_MAX];    /* of each, the index of its
                                                 CID in token->proofs */
    size_t   count;
} ucan_jwt_embedded_t;


/* Decodes one compact JWT (RFC 7515, 7.1) strictly; *embedded is what the
   bundle has to decode next, and may be NULL for who only looks at this one.
   UCAN_OK, UCAN_MALFORMED, UCAN_UNSUPPORTED, UCAN_TOO_LARGE,
   UCAN_NO_MEMORY. */
ucan_verdict_t ucan_jwt_decode(ucan_token_t *token, bytes_t text,
    ucan_jwt_embedded_t *embedded, ucan_memory_t *memory);

/* The same for a text whose CID the caller has computed. */
ucan_verdict_t ucan_jwt_decode_known(ucan_token_t *token, bytes_t text,
    const cid_t *cid, ucan_jwt_embedded_t *embedded, ucan_memory_t *memory);


typedef struct {
    unsigned        version;      /* UCAN_TOKEN_VERSION_08, _09, _10; 0 is
                                     0.10 */
    bytes_t         aud;
    bytes_t         caps;         /* JSON, already valid: the object "cap",
                                     before 0.10 the list "att" */
    const bytes_t  *embedded;     /* 0.8: the JWTs themselves */
    size_t          embedded_count;
    bytes_t         nonce;        /* text; empty: none */
    const cid_t    *proofs;
    size_t          proof_count;
    int64_t         exp;          /* seconds; negative: null */
    int64_t         nbf;          /* seconds; negative: absent */
} ucan_jwt_draft_t;


/* Signs a draft with key and appends the JWT to w.  0, or -1: no room, or
   the version has no such token (0.8 without an expiry, a proof embedded in
   another version). */
int ucan_jwt_encode(const ucan_jwt_draft_t *draft,
    const signature_key_t *key, bytes_writer_t *w);

/* The same with a key of any type. */
int ucan_jwt_encode_by(const ucan_jwt_draft_t *draft,
    const signature_signer_t *signer, bytes_writer_t *w);


#endif /* _UCAN_JWT_H_INCLUDED_ */
