/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Signatures by algorithm.  The key decides the algorithm, never a header.
 */


#ifndef _SIGNATURE_H_INCLUDED_
#define _SIGNATURE_H_INCLUDED_


#include "did.h"


#define SIGNATURE_SEED_LEN     32    /* bytes, Ed25519 seed */
#define SIGNATURE_ED25519_LEN  64    /* bytes */


/* A private key.  Owned by the holder, who wipes it. */
typedef struct {
    uint8_t  secret[64];             /* libsodium's form: seed || public */
    uint8_t  public_key[32];
    char     did[DID_ED25519_LEN];   /* not NUL terminated */
} signature_key_t;


/* 1 when sig over message verifies under key, else 0.  Ed25519 refuses
   small-order and non-canonical points and S >= L; ECDSA is R || S of fixed
   length and takes a high S, so that a signature names nothing: two of them
   may be good over the same message. */
int signature_verify(const did_key_t *key, bytes_t message, bytes_t sig);

/* Bytes of every signature by such a key; 0 when it is none. */
size_t signature_len(const did_key_t *key);

/* Of an ECDSA signature the other one that is as good over the same message,
   which anybody can make of it: R and the order less S, appended to w.  0, or
   -1: no room, or there is none. */
int signature_twin(did_algorithm_t algorithm, bytes_t sig, bytes_writer_t *w);

#define SIGNATURE_TWIN_MAX     132   /* bytes of an ECDSA signature */

#define SIGNATURE_VARSIG_MAX   16    /* bytes of a varsig header */

/* The one JWT "alg" of a type of key: "EdDSA", "ES256", "ES256K", "RS256",
   "ES384", "ES512". */
const char *signature_jwt_name(did_algorithm_t algorithm);

/* Appends the one varsig 1.0 header that a key signs DAG-CBOR with (reference
   2 and 5.1), the payload codec included.  0, or -1: no room. */
int signature_varsig(const did_key_t *key, bytes_writer_t *w);

/* 1 when the key is one that signature_verify() could accept at all: a
   canonical point of the main subgroup, a point of its curve, an RSA key that
   did_rsa.h takes. */
int signature_key_valid(const did_key_t *key);

/* Makes a key pair from a seed of SIGNATURE_SEED_LEN bytes. */
void signature_key_open(signature_key_t *key, const uint8_t *seed);

/* A fresh key. */
void signature_key_create(signature_key_t *key);

/* Writes SIGNATURE_ED25519_LEN bytes. */
void signature_sign(const signature_key_t *key, bytes_t message,
    uint8_t *sig);

/* Wipes the secret. */
void signature_key_destroy(signature_key_t *key);

/* Key file text, one line: "ed25519:<base64url of the seed>\n" (also
   "secret:<...>" for 32 bytes that are no signing key).  0, or -1. */
int signature_seed_parse(bytes_t text, const char *prefix, uint8_t *seed);

/* Appends such a line. */
void signature_seed_write(bytes_writer_t *w, const char *prefix,
    const uint8_t *seed);


#endif /* _SIGNATURE_H_INCLUDED_ */
