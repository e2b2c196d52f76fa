/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The keys of all objects that are open while JSON is checked: one stack for
 * all depths, without a heap.  When an object closes, its keys lie on top and
 * are searched for duplicates by their unescaped bytes.
 */


#ifndef _JSON_NAMES_H_INCLUDED_
#define _JSON_NAMES_H_INCLUDED_


#include "bytes.h"


#define JSON_NAMES_MAX  4096      /* keys of all open objects */


typedef struct {
    uint32_t        hash;         /* of the unescaped bytes */
    uint32_t        at;           /* offset in the text, behind the quote */
} json_names_key_t;


typedef struct {
    const uint8_t    *text;       /* borrowed */
    const uint8_t    *end;
    size_t            count;      /* keys on the stack */
    json_names_key_t  keys[JSON_NAMES_MAX];
} json_names_t;


/* Begins with no keys; the text is below 4 GB. */
void json_names_open(json_names_t *n, bytes_t text);

/* Puts the key at this offset (behind its opening quote; its closing quote
   is in the text) on the stack.  0, or -1 when the stack is full. */
int json_names_add(json_names_t *n, size_t at);

/* Takes away the keys from number "first" on, which make one object.  0, or
   -1 when two of them are the same; then *at is the offset of the second. */
int json_names_close(json_names_t *n, size_t first, size_t *at);


#endif /* _JSON_NAMES_H_INCLUDED_ */
