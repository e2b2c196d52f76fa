/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * DAG-CBOR: the canonical subset of CBOR (RFC 8949, 4.2) that UCAN 1.0 and
 * its containers use.  In place: items are views into the input.
 *
 *   major 0/1 integers (minimal heads, within plus/minus 2^53-1)
 *   major 2 bytes, major 3 text (valid UTF-8), major 4 lists,
 *   major 5 maps (text keys, sorted by length then bytes, no repeats),
 *   major 6 tag 42 only (a CID: bytes with a leading 0x00),
 *   major 7 false true null and 64-bit floats (finite only)
 *
 * Everything else is refused: indefinite lengths, other tags, undefined,
 * 16- and 32-bit floats, trailing bytes.
 */


#ifndef _CBOR_H_INCLUDED_
#define _CBOR_H_INCLUDED_


#include "bytes.h"


#define CBOR_DEPTH_MAX    64
#define CBOR_INTEGER_MAX  9007199254740991LL    /* 2^53 - 1 */


typedef enum {
    CBOR_INTEGER = 0,
    CBOR_BYTES,
    CBOR_TEXT,
    CBOR_LIST,
    CBOR_MAP,
    CBOR_LINK,                    /* tag 42: "bytes" is the binary CID */
    CBOR_BOOL,
    CBOR_NULL,
    CBOR_FLOAT
} cbor_type_t;


typedef struct {
    cbor_type_t  type;
    int64_t      integer;         /* CBOR_INTEGER; CBOR_BOOL: 0 or 1 */
    double       number;          /* CBOR_FLOAT */
    bytes_t      bytes;           /* CBOR_BYTES, CBOR_TEXT, CBOR_LINK */
    size_t       count;           /* CBOR_LIST items, CBOR_MAP pairs */
    bytes_t      raw;             /* the whole item, head and content */
    bytes_t      body;            /* list or map: encoded content */
} cbor_item_t;


/* Checks one whole item, canonical to the last byte, nothing after it,
   depth at most CBOR_DEPTH_MAX.  0, or -1.  After it the readers below
   cannot meet an error inside these bytes. */
int cbor_validate(bytes_t b);

/* Reads one item at the reader and moves behind it, nested content
   included (so raw and body are complete).  0, or -1 when malformed. */
int cbor_next(bytes_reader_t *r, cbor_item_t *item);

/* Reads only the head of a list or a map, whose "count" items or pairs are
   what the reader comes to next; any other item as a whole.  Raw and body are
   empty.  0, or -1 when malformed. */
int cbor_enter(bytes_reader_t *r, cbor_item_t *item);

/* Reads b as exactly one item.  0, or -1. */
int cbor_read(bytes_t b, cbor_item_t *item);

/* Finds the value of a text key in a map item.  0, or -1 when absent. */
int cbor_map_find(const cbor_item_t *map, bytes_t key, cbor_item_t *value);

/* Item i of a list.  0, or -1 when there is none.  Walks from the first:
   read list->body with cbor_next() to see them all. */
int cbor_list_get(const cbor_item_t *list, size_t i, cbor_item_t *item);

/* Writers set w->failed for what the readers refuse: integers out of range,
   text that is not UTF-8, a float that is not finite, an empty link. */
void cbor_write_integer(bytes_writer_t *w, int64_t value);
void cbor_write_bytes(bytes_writer_t *w, bytes_t b);
void cbor_write_text(bytes_writer_t *w, bytes_t text);
void cbor_write_list(bytes_writer_t *w, size_t count);
void cbor_write_map(bytes_writer_t *w, size_t count);  /* caller sorts */
void cbor_write_link(bytes_writer_t *w, bytes_t cid);  /* binary CID */
void cbor_write_bool(bytes_writer_t *w, int value);
void cbor_write_null(bytes_writer_t *w);
void cbor_write_float(bytes_writer_t *w, double value);

/* Order of map keys: shorter first, then bytewise; <0, 0, >0. */
int cbor_key_compare(bytes_t a, bytes_t b);


#endif /* _CBOR_H_INCLUDED_ */
