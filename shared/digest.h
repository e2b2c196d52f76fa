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


/* A SHA-256 that is fed in portions; by one thread at a time. */
typedef struct {
    void      *context;           /* owned; libcrypto's, or NULL */
    uint64_t   state[16];         /* libsodium's, when there is no context */
    int        failed;
} digest_t;


/* Writes the SHA-256 of b.  Any thread; never fails. */
void digest_sha256(bytes_t b, uint8_t out[DIGEST_SHA256_LEN]);

/* Opens the digest of nothing; what was opened is closed, or written. */
void digest_open(digest_t *d);

/* Adds bytes. */
void digest_feed(digest_t *d, bytes_t b);

/* Writes the digest of all that was fed and closes d.  0; -1: libcrypto ran
   out of memory on the way. */
int digest_write(digest_t *d, uint8_t out[DIGEST_SHA256_LEN]);

/* Also of one that is closed, or all zeroes. */
void digest_close(digest_t *d);


#endif /* _DIGEST_H_INCLUDED_ */
