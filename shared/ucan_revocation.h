/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Revocations: signed statements that a token is void, in the form of 0.x (a
 * JSON record) and of 1.0 (an invocation of "/ucan/revoke").  Parses and
 * verifies; who keeps them is not its business.
 *
 * A revocation counts when who signed it issued the token, or a token above
 * it in the chain under test; a stranger's is void.  The first is known from
 * the token, the second only once a chain was found.
 */


#ifndef _UCAN_REVOCATION_H_INCLUDED_
#define _UCAN_REVOCATION_H_INCLUDED_


#include "ucan_token.h"


#define UCAN_REVOCATION_COMMAND  "/ucan/revoke"
#define UCAN_REVOCATION_KEY_LEN  32      /* bytes */
#define UCAN_REVOCATION_MAX      16384   /* bytes of one */


/* Views borrow from the text and from memory. */
typedef struct {
    cid_t    cid;                 /* of the token that is void */
    bytes_t  by;                  /* DID of who says so */
    bytes_t  raw;                 /* the record or envelope as received */
    cid_t    self;                /* CID of raw */
} ucan_revocation_t;


/* {"iss":did,"revoke":cid,"challenge":signature of "REVOKE:" and the CID}, the
   signature in base64 or base64url, padded or not.  UCAN_OK, UCAN_MALFORMED,
   UCAN_UNSUPPORTED, UCAN_BAD_SIGNATURE, UCAN_NO_MEMORY. */
ucan_verdict_t ucan_revocation_parse_record(ucan_revocation_t *revocation,
    bytes_t json, ucan_memory_t *memory);

/* An envelope: an invocation of "/ucan/revoke" with args {revoke: link} (or
   {ucan: link}).  The same verdicts. */
ucan_verdict_t ucan_revocation_parse_invocation(
    ucan_revocation_t *revocation, bytes_t envelope, ucan_memory_t *memory);

/* Any of both (an envelope as bytes or as base64), or a container that holds
   one such invocation: what a file or a body has; blanks around it are
   dropped.  With a container, the delegations beside it are the witness:
   *witness becomes the bundle of them (count 0: none; top is NULL). */
ucan_verdict_t ucan_revocation_parse(ucan_revocation_t *revocation,
    bytes_t text, ucan_bundle_t *witness, ucan_memory_t *memory);

/* 1 when the tokens of the bundle show that "by" issued the token with that
   CID or one above it, signatures included: in 1.0 on a way to a root, the
   subject's own delegation; in 0.x among the proofs that it names. */
int ucan_revocation_witnessed(ucan_bundle_t *bundle, const cid_t *cid,
    bytes_t by);

/* The key under which a revocation by that DID is looked up; an empty DID:
   one that holds whoever issued the token, and the key is the digest of the
   CID as it is.  Writes UCAN_REVOCATION_KEY_LEN
   bytes. */
void ucan_revocation_key(uint8_t *key, const cid_t *cid, bytes_t by);


#endif /* _UCAN_REVOCATION_H_INCLUDED_ */
