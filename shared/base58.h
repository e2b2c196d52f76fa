/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Base58 with the Bitcoin alphabet, as multibase "z" and did:key use it.
 * Quadratic in its input, so both directions refuse long inputs.
 */


#ifndef _BASE58_H_INCLUDED_
#define _BASE58_H_INCLUDED_


#include "bytes.h"


#define BASE58_TEXT_MAX   1024    /* characters */
#define BASE58_BYTES_MAX  768     /* bytes */


/* Decodes text into w; 0, or -1 on a foreign character, over length or no
   room.  Leading '1' characters are leading zero bytes. */
int base58_decode(bytes_t text, bytes_writer_t *w);

/* Appends the text of b to w; 0, or -1 when too long or no room. */
int base58_encode(bytes_t b, bytes_writer_t *w);


#endif /* _BASE58_H_INCLUDED_ */
