/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * RSAPublicKey of PKCS#1 (RFC 8017, A.1.1) as did:key holds it, in strict
 * DER:
 *
 *   30 len  02 len modulus  02 len exponent
 */


#ifndef _DID_RSA_H_INCLUDED_
#define _DID_RSA_H_INCLUDED_


#include "bytes.h"


#define DID_RSA_BITS_MIN      2048    /* of the modulus */
#define DID_RSA_BITS_MAX      8192
#define DID_RSA_EXPONENT_MAX  4       /* bytes; a longer one only costs */


/* Views into the DER, big endian, without a leading zero byte. */
typedef struct {
    bytes_t  modulus;
    bytes_t  exponent;
} did_rsa_t;


/* 0, or -1: not DER, not minimal, bytes left over, a modulus that is even or
   of another size, an exponent that is even, 1, or too long. */
int did_rsa_parse(bytes_t der, did_rsa_t *rsa);


#endif /* _DID_RSA_H_INCLUDED_ */
