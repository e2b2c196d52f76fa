/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * SHA-256, by the fastest way that is at hand.
 */


#ifndef _DIGEST_H_INCLUDED_
#define _DIGEST_H_INCLUDED_


#include "bytes.h"


#define DIGEST_SHA256_LEN  32     /* bytes */


/* Writes the SHA-256 of b.  Any thread; never fails. */
void digest_sha256(bytes_t b, uint8_t out[DIGEST_SHA256_LEN]);


#endif /* _DIGEST_H_INCLUDED_ */
