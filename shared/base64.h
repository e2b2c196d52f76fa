/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Base64 (RFC 4648), strict: one text for each value.  The padding rule is
 * the caller's and exact; unused trailing bits must be zero; no white space.
 */


#ifndef _BASE64_H_INCLUDED_
#define _BASE64_H_INCLUDED_


#include "bytes.h"


typedef enum {
    BASE64_URL = 0,               /* section 5 alphabet, no padding */
    BASE64_STD,                   /* section 4 alphabet, padded */
    BASE64_STD_RAW                /* section 4 alphabet, no padding */
} base64_form_t;


/* Upper bounds in bytes, for sizing buffers. */
#define base64_decoded_max(len)  ((len) / 4 * 3 + 3)
#define base64_encoded_max(len)  (((len) + 2) / 3 * 4)


/* Decodes text into w; 0, or -1 on any byte out of form or no room. */
int base64_decode(base64_form_t form, bytes_t text, bytes_writer_t *w);

/* Appends the text of b to w; 0, or -1 when there is no room. */
int base64_encode(base64_form_t form, bytes_t b, bytes_writer_t *w);


#endif /* _BASE64_H_INCLUDED_ */
