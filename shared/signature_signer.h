/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * A private key of any type that did.h knows: for whoever makes tokens with
 * other keys than Ed25519, the mesh command and tests.  The node itself signs
 * with Ed25519 alone (signature_key_t).
 */


#ifndef _SIGNATURE_SIGNER_H_INCLUDED_
#define _SIGNATURE_SIGNER_H_INCLUDED_


#include "signature.h"


#define SIGNATURE_SIGNER_TEXT_MAX  8192     /* bytes of a key file */
#define SIGNATURE_SIGNER_SIG_MAX   1024     /* bytes of a signature */


/* Owned by the holder, who destroys it. */
typedef struct {
    did_key_t        key;                   /* the public half */
    char             did[DID_TEXT_MAX];     /* not NUL terminated */
    size_t           did_len;
    signature_key_t  ed25519;               /* when it is one */
    void            *private_key;           /* libcrypto's, when not */
} signature_signer_t;


/* A fresh key; bits is the size of an RSA modulus (2048, 3072, 4096), else
   unused.  0, or -1: no such size, or libcrypto failed. */
int signature_signer_create(signature_signer_t *signer,
    did_algorithm_t algorithm, unsigned bits);

/* Ed25519 around a key that the caller keeps (borrowed, copied by value). */
void signature_signer_wrap(signature_signer_t *signer,
    const signature_key_t *key);

/* A key file of one line: "ed25519:", "p256:", "secp256k1:", "p384:" or
   "p521:" and base64url of the seed or scalar, "rsa:" and base64url of the
   PKCS#1 RSAPrivateKey.  0, or -1. */
int signature_signer_parse(signature_signer_t *signer, bytes_t text);

/* Appends that line.  0, or -1: no room. */
int signature_signer_write(const signature_signer_t *signer,
    bytes_writer_t *w);

/* Appends the signature as JWT and UCAN 1.0 have it: ECDSA as R || S, RSA as
   PKCS#1 v1.5 over SHA-256.  0, or -1. */
int signature_signer_sign(const signature_signer_t *signer, bytes_t message,
    bytes_writer_t *w);

/* The DID, a view into signer. */
bytes_t signature_signer_did(const signature_signer_t *signer);

/* Frees and wipes. */
void signature_signer_destroy(signature_signer_t *signer);


#endif /* _SIGNATURE_SIGNER_H_INCLUDED_ */
