/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Base32 (RFC 4648, lower case, no padding), as multibase "b" and CIDs use
 * it.  Strict: upper case, padding and non-zero trailing bits are refused.
 */


#ifndef _BASE32_H_INCLUDED_
#define _BASE32_H_INCLUDED_


#include "bytes.h"


/* Decodes text into w; 0, or -1 on any byte out of form or no room. */
int base32_decode(bytes_t text, bytes_writer_t *w);

/* Appends the text of b to w; 0, or -1 when there is no room. */
int base32_encode(bytes_t b, bytes_writer_t *w);


#endif /* _BASE32_H_INCLUDED_ */
