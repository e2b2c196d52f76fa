/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * UCAN 1.0 envelopes (delegation and invocation): bytes to token and back.
 *
 *   [ signature, { "h": varsig header, "ucan/dlg@V" | "ucan/inv@V": map } ]
 */


#ifndef _UCAN_ENVELOPE_H_INCLUDED_
#define _UCAN_ENVELOPE_H_INCLUDED_


#include "signature_signer.h"
#include "ucan_token.h"


#define UCAN_ENVELOPE_DRAFT_MAX  16384      /* bytes of one made by us */


/* Decodes one envelope strictly, both tag versions ("1.0.0" and
   "1.0.0-rc.1"); validates the policy of a delegation.  UCAN_OK,
   UCAN_MALFORMED, UCAN_UNSUPPORTED, UCAN_TOO_LARGE, UCAN_NO_MEMORY. */
ucan_verdict_t ucan_envelope_decode(ucan_token_t *token, bytes_t raw,
    ucan_memory_t *memory);


typedef struct {
    int           invocation;     /* 0: delegation */
    bytes_t       aud;            /* may be empty for an invocation */
    bytes_t       sub;            /* empty: null (delegation only) */
    bytes_t       cmd;
    bytes_t       policy;         /* DAG-CBOR list; empty: [] */
    bytes_t       args;           /* DAG-CBOR map; empty: {} */
    bytes_t       nonce;
    const cid_t  *proofs;         /* invocation, root first */
    size_t        proof_count;
    int64_t       exp;            /* seconds; negative: null */
    int64_t       nbf;            /* seconds; negative: absent */
    int           final;          /* tag version 1.0.0, not 1.0.0-rc.1 */
} ucan_envelope_draft_t;


/* Signs a draft with key (the issuer) and appends the envelope to w; the tag
   version 1.0.0-rc.1 is the one that every verifier in use accepts.  0, or
   -1. */
int ucan_envelope_encode(const ucan_envelope_draft_t *draft,
    const signature_key_t *key, bytes_writer_t *w);

/* The same with a key of any type. */
int ucan_envelope_encode_by(const ucan_envelope_draft_t *draft,
    const signature_signer_t *signer, bytes_writer_t *w);


#endif /* _UCAN_ENVELOPE_H_INCLUDED_ */
