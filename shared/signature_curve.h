/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Keys and signatures of ECDSA for signature_context.c and signature_signer.c
 * alone: P-256, secp256k1, P-384, P-521.
 */


#ifndef _SIGNATURE_CURVE_H_INCLUDED_
#define _SIGNATURE_CURVE_H_INCLUDED_


#include "did.h"


#define SIGNATURE_CURVE_COORDINATE_MAX  66      /* bytes, P-521 */
#define SIGNATURE_CURVE_DER_MAX         144     /* bytes of a signature */


struct evp_pkey_st;                             /* EVP_PKEY */


/* Bytes of a coordinate and of a scalar; 0 when it is no curve. */
size_t signature_curve_len(did_algorithm_t algorithm);

/* The functions that give a key give NULL on failure, and leave libcrypto's
   errors to the caller, who owns what he gets (EVP_PKEY_free). */

/* A public key; NULL also when the point is not on the curve. */
struct evp_pkey_st *signature_curve_open(const did_key_t *key);

/* A private key from its scalar, big endian, of the full length. */
struct evp_pkey_st *signature_curve_open_scalar(did_algorithm_t algorithm,
    bytes_t scalar);

/* A fresh key. */
struct evp_pkey_st *signature_curve_create(did_algorithm_t algorithm);

/* Writes the public half of a private key.  0, or -1. */
int signature_curve_public(struct evp_pkey_st *private_key,
    did_algorithm_t algorithm, did_key_t *key);

/* Writes the scalar, signature_curve_len() bytes.  0, or -1. */
int signature_curve_scalar(struct evp_pkey_st *private_key,
    did_algorithm_t algorithm, uint8_t *scalar);

/* R || S, two numbers of the same length, to DER and back.  0, or -1. */
int signature_curve_encode(bytes_t sig, bytes_writer_t *w);
int signature_curve_decode(bytes_t der, size_t len, bytes_writer_t *w);

/* signature_twin() of signature.h. */
int signature_curve_twin(did_algorithm_t algorithm, bytes_t sig,
    bytes_writer_t *w);


#endif /* _SIGNATURE_CURVE_H_INCLUDED_ */
