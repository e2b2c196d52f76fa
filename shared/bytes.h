/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Views over bytes: the only way bytes are passed on floors 0 to 2.
 *
 * A view is borrowed: it never owns and is not NUL terminated.  A reader
 * cannot run past its end and a writer cannot overflow: both remember the
 * first failure, so a caller may test once, after a run of calls.
 */


#ifndef _BYTES_H_INCLUDED_
#define _BYTES_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>
#include <string.h>


typedef struct {
    const uint8_t  *data;         /* borrowed; may be NULL when len is 0 */
    size_t          len;          /* bytes */
} bytes_t;


typedef struct {
    const uint8_t  *pos;          /* next byte to read */
    const uint8_t  *end;          /* one past the last */
    int             failed;       /* a read went past the end */
} bytes_reader_t;


typedef struct {
    uint8_t        *start;        /* borrowed buffer of the caller */
    uint8_t        *pos;          /* next byte to write */
    uint8_t        *end;          /* one past the last usable byte */
    int             failed;       /* a write did not fit: output is invalid */
} bytes_writer_t;


#define bytes_literal(s)  { (const uint8_t *) (s), sizeof(s) - 1 }


/* View of a C string; the caller keeps the string alive. */
static inline bytes_t
bytes_of(const char *s)
{
    bytes_t  b;

    b.data = (const uint8_t *) s;
    b.len = strlen(s);

    return b;
}


static inline bytes_t
bytes_make(const void *data, size_t len)
{
    bytes_t  b;

    b.data = data;
    b.len = len;

    return b;
}


/* Byte equality; not for secrets (use sodium_memcmp). */
static inline int
bytes_equal(bytes_t a, bytes_t b)
{
    return a.len == b.len
           && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}


static inline int
bytes_equal_text(bytes_t a, const char *s)
{
    return bytes_equal(a, bytes_of(s));
}


static inline int
bytes_start_with(bytes_t a, bytes_t prefix)
{
    return a.len >= prefix.len
           && (prefix.len == 0
               || memcmp(a.data, prefix.data, prefix.len) == 0);
}


static inline void
bytes_reader_open(bytes_reader_t *r, bytes_t b)
{
    r->pos = b.data;
    r->end = (b.len == 0) ? b.data : b.data + b.len;
    r->failed = 0;
}


static inline size_t
bytes_reader_left(const bytes_reader_t *r)
{
    return (size_t) (r->end - r->pos);
}


/* The next n bytes as a view; an empty view and "failed" when too few. */
static inline bytes_t
bytes_reader_take(bytes_reader_t *r, size_t n)
{
    bytes_t  b;

    if (bytes_reader_left(r) < n) {
        r->failed = 1;
        r->pos = r->end;
        return bytes_make(NULL, 0);
    }

    b = bytes_make(r->pos, n);

    if (n != 0) {
        r->pos += n;
    }

    return b;
}


static inline uint8_t
bytes_reader_byte(bytes_reader_t *r)
{
    bytes_t  b;

    b = bytes_reader_take(r, 1);

    return b.len == 1 ? b.data[0] : 0;
}


static inline void
bytes_writer_open(bytes_writer_t *w, void *buf, size_t size)
{
    w->start = buf;
    w->pos = buf;
    w->end = (uint8_t *) buf + size;
    w->failed = 0;
}


static inline size_t
bytes_writer_left(const bytes_writer_t *w)
{
    return (size_t) (w->end - w->pos);
}


/* All or nothing: a write that does not fit leaves the position alone. */
static inline void
bytes_writer_put(bytes_writer_t *w, const void *data, size_t len)
{
    if (w->failed || bytes_writer_left(w) < len) {
        w->failed = 1;
        return;
    }

    if (len != 0) {
        memcpy(w->pos, data, len);
        w->pos += len;
    }
}


static inline void
bytes_writer_byte(bytes_writer_t *w, uint8_t byte)
{
    bytes_writer_put(w, &byte, 1);
}


static inline void
bytes_writer_bytes(bytes_writer_t *w, bytes_t b)
{
    bytes_writer_put(w, b.data, b.len);
}


static inline void
bytes_writer_text(bytes_writer_t *w, const char *s)
{
    bytes_writer_put(w, s, strlen(s));
}


/* What was written so far; meaningless when "failed" is set. */
static inline bytes_t
bytes_writer_view(const bytes_writer_t *w)
{
    return bytes_make(w->start, (size_t) (w->pos - w->start));
}


#endif /* _BYTES_H_INCLUDED_ */
