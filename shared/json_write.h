/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Writes JSON into a writer.  The only place of the project that escapes.
 * Commas are placed by the writer; nesting is at most JSON_WRITE_DEPTH_MAX.
 */


#ifndef _JSON_WRITE_H_INCLUDED_
#define _JSON_WRITE_H_INCLUDED_


#include "bytes.h"


#define JSON_WRITE_DEPTH_MAX  32


typedef struct {
    bytes_writer_t  *out;         /* borrowed; out->failed tells overflow */
    uint32_t         comma;       /* bit d - 1: a comma is due at depth d */
    unsigned         depth;
} json_write_t;


/* All functions set out->failed when the output does not fit, is nested too
   deep, or closes more than was opened. */
void json_write_open(json_write_t *j, bytes_writer_t *out);

/* Objects and arrays: each is a value, and is closed by its own end. */
void json_write_object(json_write_t *j);
void json_write_object_end(json_write_t *j);
void json_write_array(json_write_t *j);
void json_write_array_end(json_write_t *j);

/* A key; the next call writes its value. */
void json_write_key(json_write_t *j, const char *key);

/* Invalid UTF-8 becomes U+FFFD, controls are escaped. */
void json_write_string(json_write_t *j, bytes_t s);
void json_write_integer(json_write_t *j, int64_t n);
void json_write_bool(json_write_t *j, int truth);
void json_write_null(json_write_t *j);

/* Bytes that already are one JSON value, trusted as they are; none at all
   set out->failed. */
void json_write_raw(json_write_t *j, bytes_t raw);

/* Key and value in one call. */
void json_write_member(json_write_t *j, const char *key, bytes_t s);
void json_write_member_text(json_write_t *j, const char *key, const char *s);
void json_write_member_integer(json_write_t *j, const char *key, int64_t n);
void json_write_member_bool(json_write_t *j, const char *key, int truth);
void json_write_member_raw(json_write_t *j, const char *key, bytes_t raw);

/* Upper bound in bytes of a string of len bytes once escaped, with quotes. */
#define json_write_string_max(len)  ((len) * 6 + 2)


#endif /* _JSON_WRITE_H_INCLUDED_ */
