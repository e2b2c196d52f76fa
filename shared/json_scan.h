/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * JSON (RFC 8259) read in place: no tree, no copy.  One strict pass checks
 * the whole text (UTF-8, depth, no duplicate keys in any object even when
 * escaped differently, nothing after the value, no U+0000, no lone
 * surrogates); after it, members are found by walking.
 */


#ifndef _JSON_SCAN_H_INCLUDED_
#define _JSON_SCAN_H_INCLUDED_


#include "bytes.h"


#define JSON_SCAN_DEPTH_MAX    64
#define JSON_SCAN_MEMBERS_MAX  1024   /* members of one object */
#define JSON_SCAN_NUMBER_MAX   128    /* characters json_scan_number() reads */


typedef enum {
    JSON_SCAN_NULL = 0,
    JSON_SCAN_BOOL,
    JSON_SCAN_NUMBER,
    JSON_SCAN_STRING,
    JSON_SCAN_ARRAY,
    JSON_SCAN_OBJECT
} json_scan_type_t;


typedef enum {
    JSON_SCAN_OK = 0,
    JSON_SCAN_SYNTAX,             /* U+0000 and other controls included */
    JSON_SCAN_DEPTH,
    JSON_SCAN_DUPLICATE,
    JSON_SCAN_UTF8,               /* bad bytes or a lone surrogate */
    JSON_SCAN_LIMIT               /* more members than an object or all
                                     open ones may have (json_names.h) */
} json_scan_rc_t;


typedef struct {
    json_scan_type_t  type;
    bytes_t           raw;        /* the value's text; a string with its
                                     quotes, an array with its brackets */
    bytes_t           text;       /* string without quotes, still escaped */
    int               escaped;    /* string holds a backslash */
    int               truth;      /* JSON_SCAN_BOOL */
} json_scan_t;


/* Checks the whole text, below 4 GB, in O(n log n) whatever it holds, with
   some 33 KB of stack.  On anything but JSON_SCAN_OK *at (may be NULL) is the
   offset of the fault in bytes: of a duplicate, where it stands again. */
json_scan_rc_t json_scan_validate(bytes_t text, size_t *at);

/* All functions below take text that json_scan_validate() passed. */

/* The value that text holds, blanks around it dropped.  0, or -1. */
int json_scan_open(bytes_t text, json_scan_t *value);

/* Finds a member of an object by its unescaped key.  0, or -1. */
int json_scan_find(const json_scan_t *object, const char *key,
    json_scan_t *value);

/* Walks members or elements: *pos starts as 0; key may be NULL for arrays.
   0 and the next one, or -1 at the end. */
int json_scan_next(const json_scan_t *parent, size_t *pos, json_scan_t *key,
    json_scan_t *value);

/* Unescapes a string into w.  0, or -1 when it is no string or no room.
   Never longer than text.len; w may lie over it. */
int json_scan_string(const json_scan_t *value, bytes_writer_t *w);

/* The string when it needs no unescaping, in place; -1 otherwise. */
int json_scan_plain(const json_scan_t *value, bytes_t *text);

/* 1 when the string equals s once unescaped. */
int json_scan_equal(const json_scan_t *value, const char *s);

/* An integer without fraction or exponent within plus/minus 2^53-1.
   0, or -1. */
int json_scan_integer(const json_scan_t *value, int64_t *n);

/* Any number as double.  0, or -1 when it is no number, longer than
   JSON_SCAN_NUMBER_MAX or too large for a double. */
int json_scan_number(const json_scan_t *value, double *n);


#endif /* _JSON_SCAN_H_INCLUDED_ */
