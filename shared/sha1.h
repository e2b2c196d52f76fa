/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * SHA-1 (RFC 3174), for the opening handshake of RFC 6455 and nothing else:
 * it is no longer good for anything that must be secure.
 */


#ifndef _SHA1_H_INCLUDED_
#define _SHA1_H_INCLUDED_


#include "bytes.h"


#define SHA1_SIZE   20            /* bytes of a digest */
#define SHA1_BLOCK  64            /* bytes */


typedef struct {
    uint32_t  h[5];
    uint8_t   block[SHA1_BLOCK];
    uint64_t  len;                /* bytes fed */
} sha1_t;


/* Opens a digest of nothing. */
void sha1_open(sha1_t *s);

/* Adds bytes, in any portions. */
void sha1_feed(sha1_t *s, bytes_t b);

/* Appends the SHA1_SIZE bytes of the digest; s must be opened again. */
void sha1_write(sha1_t *s, bytes_writer_t *w);


#endif /* _SHA1_H_INCLUDED_ */
