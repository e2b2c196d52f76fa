/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Incremental UTF-8 validation (RFC 3629): a DFA that may stop at any byte.
 * Refuses overlong forms, surrogates and code points over U+10FFFF.
 */


#ifndef _UTF8_H_INCLUDED_
#define _UTF8_H_INCLUDED_


#include "bytes.h"


#define UTF8_START   0            /* between code points: valid to end here */
#define UTF8_REJECT  1            /* sticky */


/* Feeds b; "state" starts as UTF8_START and is carried over.  The new
   state: UTF8_START, UTF8_REJECT, or any other: inside a code point. */
uint32_t utf8_feed(uint32_t state, bytes_t b);

/* 1 when b is whole valid UTF-8, else 0. */
int utf8_valid(bytes_t b);

/* Number of code points of valid UTF-8. */
size_t utf8_length(bytes_t b);

/* Appends one code point; sets w->failed for surrogates and over range. */
void utf8_write(bytes_writer_t *w, uint32_t code);


#endif /* _UTF8_H_INCLUDED_ */
