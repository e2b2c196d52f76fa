/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Keys that sort as bytes the way JSON scalars sort as values: type first,
 * absent < null < false < true < numbers < strings < arrays and objects.
 *
 *     05           absent
 *     10           null
 *     20 21        false, true
 *     30 8 bytes   a number: double, big endian, sign turned
 *     40 ... 00 t  a string: UTF-8, U+0000 as 00 ff; t is 01 at its end, 02
 *                  where it was cut
 *     50           an array, an object, a number that no double holds
 *
 * A field ends by itself, so that fields may follow one another; one that
 * sorts the other way has all its bits turned.  Strings are cut after
 * SORT_KEY_STRING_MAX bytes: those that differ behind are equal here.
 */


#ifndef _SORT_KEY_H_INCLUDED_
#define _SORT_KEY_H_INCLUDED_


#include "bytes.h"
#include "json_scan.h"


#define SORT_KEY_STRING_MAX  112  /* bytes of a string, as written */
#define SORT_KEY_FIELD_MAX   (1 + SORT_KEY_STRING_MAX + 2)


/* Appends a value of checked JSON; NULL: absent.  1 when it was cut: values
   with the same key must be compared again; else 0. */
int sort_key_write(bytes_writer_t *w, const json_scan_t *value);

/* Appends what the keys of all strings with this prefix begin with.  1 when
   it was cut: some others' keys begin so too. */
int sort_key_write_prefix(bytes_writer_t *w, const json_scan_t *prefix);

/* Turns the order of what stands in w from there on. */
void sort_key_turn(bytes_writer_t *w, uint8_t *from);

/* Bytes of the first field of a key that was not turned; 0: there is none. */
size_t sort_key_field(bytes_t key);


#endif /* _SORT_KEY_H_INCLUDED_ */
