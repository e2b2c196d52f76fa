/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * did:key: "did:key:z" and base58btc( varint(multicodec) || public key ).
 * Two DIDs are the same when their texts are the same bytes.
 */


#ifndef _DID_H_INCLUDED_
#define _DID_H_INCLUDED_


#include "bytes.h"


#define DID_TEXT_MAX      1024    /* characters */
#define DID_KEY_MAX       768     /* bytes of public key */
#define DID_ED25519_LEN   56      /* characters of an Ed25519 did:key */


typedef enum {
    DID_ED25519 = 0,
    DID_P256,
    DID_SECP256K1,
    DID_RSA,
    DID_P384,
    DID_P521
} did_algorithm_t;

#define DID_ALGORITHM_COUNT  6


typedef struct {
    did_algorithm_t  algorithm;
    size_t           len;                 /* bytes of key */
    uint8_t          key[DID_KEY_MAX];    /* public key as multicodec has
                                             it: raw, compressed point, or
                                             PKCS#1 RSAPublicKey */
} did_key_t;


/* Parses a did:key strictly: no fragment, no path, minimal varint, exact
   key length, of points the compressed form only, of RSA what did_rsa.h
   takes.  0, or -1 when malformed or of a type that cannot sign; then
   key->len is 0.  Form only: that a key is a point of its curve, for Ed25519
   canonical and not of small order, is found by signature_key_valid() and by
   the signature check. */
int did_parse(bytes_t text, did_key_t *key);

/* Appends the text of any key that did_parse() could give.  0, or -1: no
   room, or no such key (an RSA modulus beyond 5800 bits has no text of
   DID_TEXT_MAX). */
int did_write(const did_key_t *key, bytes_writer_t *w);

/* Appends the text of an Ed25519 public key of 32 bytes.  0, or -1. */
int did_write_ed25519(const uint8_t *key, bytes_writer_t *w);


#endif /* _DID_H_INCLUDED_ */
