/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Signature checks by libcrypto: every type of key but Ed25519.  For
 * signature.c and signature_signer.c alone.
 */


#ifndef _SIGNATURE_CONTEXT_H_INCLUDED_
#define _SIGNATURE_CONTEXT_H_INCLUDED_


#include "did.h"


#define SIGNATURE_CONTEXT_DIGEST_MAX  64    /* bytes, SHA-512 */


/* 1 when sig, as tokens have it, verifies, else 0. */
int signature_context_verify(const did_key_t *key, bytes_t message,
    bytes_t sig);

/* 1 when libcrypto takes the key, so that a point is on its curve. */
int signature_context_valid(const did_key_t *key);

/* The digest that a type of key signs, in out; its length, or 0. */
size_t signature_context_digest(did_algorithm_t algorithm, bytes_t message,
    uint8_t out[SIGNATURE_CONTEXT_DIGEST_MAX]);


#endif /* _SIGNATURE_CONTEXT_H_INCLUDED_ */
