/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What the parts of ucan_jwt*.c have of each other; nobody else includes it.
 */


#ifndef _UCAN_JWT_PART_H_INCLUDED_
#define _UCAN_JWT_PART_H_INCLUDED_


#include "json_scan.h"
#include "ucan_jwt.h"


/* Members of a payload that mean something in one version or another. */
typedef enum {
    UCAN_JWT_UCV = 0,
    UCAN_JWT_UAV,                 /* version 0.3 */
    UCAN_JWT_ISS,
    UCAN_JWT_AUD,
    UCAN_JWT_EXP,
    UCAN_JWT_NBF,
    UCAN_JWT_NNC,
    UCAN_JWT_FCT,
    UCAN_JWT_PRF,
    UCAN_JWT_ATT,
    UCAN_JWT_CAP,
    UCAN_JWT_MEMBER_COUNT
} ucan_jwt_member_t;


/* Each member that is there; of one that is not, raw is empty. */
typedef struct {
    json_scan_t  of[UCAN_JWT_MEMBER_COUNT];
    size_t       proofs;          /* values in "prf", once it was read */
} ucan_jwt_members_t;


/* Finds all members in one pass over the payload. */
void ucan_jwt_payload_open(ucan_jwt_members_t *members,
    const json_scan_t *payload);

/* Reads them by the rules of token->version, which is set; embedded may be
   NULL. */
ucan_verdict_t ucan_jwt_payload_read(ucan_token_t *token,
    ucan_jwt_members_t *members, ucan_jwt_embedded_t *embedded,
    ucan_memory_t *memory);

/* The text of a string; in place when nothing in it is escaped. */
ucan_verdict_t ucan_jwt_payload_copy(const json_scan_t *value, bytes_t *text,
    ucan_memory_t *memory);

/* Takes apart "cap", or before 0.10 "att". */
ucan_verdict_t ucan_jwt_caps_read(ucan_token_t *token,
    const ucan_jwt_members_t *members, ucan_memory_t *memory);

/* Appends header and payload, what a signature of iss will be over.  0, or
   -1 as ucan_jwt_encode(). */
int ucan_jwt_make_text(const ucan_jwt_draft_t *draft, bytes_t iss,
    did_algorithm_t algorithm, bytes_writer_t *w);


#endif /* _UCAN_JWT_PART_H_INCLUDED_ */
