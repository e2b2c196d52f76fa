/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * RSA keys for signature_context.c and signature_signer.c alone.
 */


#ifndef _SIGNATURE_RSA_H_INCLUDED_
#define _SIGNATURE_RSA_H_INCLUDED_


#include "did.h"


struct evp_pkey_st;                   /* EVP_PKEY */
struct evp_pkey_ctx_st;               /* EVP_PKEY_CTX */


/* The functions that give a key give NULL on failure, and leave libcrypto's
   errors to the caller, who owns what he gets (EVP_PKEY_free). */

/* A public key. */
struct evp_pkey_st *signature_rsa_open(const did_key_t *key);

/* A private key from its PKCS#1 RSAPrivateKey in DER, nothing behind it. */
struct evp_pkey_st *signature_rsa_open_private(bytes_t der);

/* A fresh key with a modulus of 2048, 3072 or 4096 bits. */
struct evp_pkey_st *signature_rsa_create(unsigned bits);

/* Writes the public half of a private key.  0, or -1: it is one that did.h
   does not take. */
int signature_rsa_public(struct evp_pkey_st *private_key, did_key_t *key);

/* Appends the PKCS#1 RSAPrivateKey.  0, or -1. */
int signature_rsa_write(struct evp_pkey_st *private_key, bytes_writer_t *w);

/* Tells a context that is ready to verify or sign that it is PKCS#1 v1.5 over
   SHA-256.  0, or -1. */
int signature_rsa_init(struct evp_pkey_ctx_st *ctx);


#endif /* _SIGNATURE_RSA_H_INCLUDED_ */
