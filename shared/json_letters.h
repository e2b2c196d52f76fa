/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The inside of a JSON string, unescaped byte by byte (RFC 8259, section 7):
 * what json_scan.c compares, hashes and copies, without a buffer.
 */


#ifndef _JSON_LETTERS_H_INCLUDED_
#define _JSON_LETTERS_H_INCLUDED_


#include "bytes.h"


typedef enum {
    JSON_LETTERS_OK = 0,
    JSON_LETTERS_SYNTAX,          /* no escape of JSON, or U+0000 */
    JSON_LETTERS_SURROGATE        /* half of a pair */
} json_letters_rc_t;


typedef struct {
    const uint8_t  *pos;          /* borrowed, as is "end" */
    const uint8_t  *end;          /* the string ends here or at a quote */
    uint8_t         code[4];      /* the last escape, as UTF-8 */
    unsigned        used;         /* bytes of it given */
    unsigned        len;          /* bytes of it */
} json_letters_t;


/* Begins behind the opening quote. */
void json_letters_open(json_letters_t *l, const uint8_t *pos,
    const uint8_t *end);

/* The next byte, or -1 at the end of the string or at a bad escape. */
int json_letters_next(json_letters_t *l);

/* Decodes the escape at *pos, a backslash, and moves behind it; a surrogate
   pair is one escape.  On anything but JSON_LETTERS_OK *pos stays. */
json_letters_rc_t json_letters_escape(const uint8_t **pos,
    const uint8_t *end, uint32_t *code);


#endif /* _JSON_LETTERS_H_INCLUDED_ */
