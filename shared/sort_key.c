/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Order-preserving keys of JSON scalars; see the drawing in the header.
 *
 * Pure: any thread, no heap.
 */


#include "json_letters.h"
#include "sort_key.h"


#define SORT_KEY_ABSENT  0x05
#define SORT_KEY_NULL    0x10
#define SORT_KEY_FALSE   0x20
#define SORT_KEY_TRUE    0x21
#define SORT_KEY_NUMBER  0x30
#define SORT_KEY_STRING  0x40
#define SORT_KEY_OTHER   0x50

#define SORT_KEY_ESCAPE  0xff     /* behind a zero: it is of the string */
#define SORT_KEY_END     0x01     /* behind a zero: the string ends */
#define SORT_KEY_CUT     0x02     /* behind a zero: it went on */


static void write_number(bytes_writer_t *w, double n);
static int write_letters(bytes_writer_t *w, const json_scan_t *string);


int
sort_key_write(bytes_writer_t *w, const json_scan_t *value)
{
    int     cut;
    double  n;

    if (value == NULL) {
        bytes_writer_byte(w, SORT_KEY_ABSENT);
        return 0;
    }

    switch (value->type) {

    case JSON_SCAN_NULL:
        bytes_writer_byte(w, SORT_KEY_NULL);
        return 0;

    case JSON_SCAN_BOOL:
        bytes_writer_byte(w, value->truth ? SORT_KEY_TRUE : SORT_KEY_FALSE);
        return 0;

    case JSON_SCAN_NUMBER:
        if (json_scan_number(value, &n) != 0) {
            break;
        }

        bytes_writer_byte(w, SORT_KEY_NUMBER);
        write_number(w, n);
        return 0;

    case JSON_SCAN_STRING:
        bytes_writer_byte(w, SORT_KEY_STRING);
        cut = write_letters(w, value);
        bytes_writer_byte(w, 0);
        bytes_writer_byte(w, cut ? SORT_KEY_CUT : SORT_KEY_END);
        return cut;

    default:
        break;
    }

    bytes_writer_byte(w, SORT_KEY_OTHER);

    return 0;
}


int
sort_key_write_prefix(bytes_writer_t *w, const json_scan_t *prefix)
{
    bytes_writer_byte(w, SORT_KEY_STRING);

    return write_letters(w, prefix);
}


void
sort_key_turn(bytes_writer_t *w, uint8_t *from)
{
    for (/* void */; from < w->pos; from++) {
        *from = (uint8_t) ~*from;
    }
}


size_t
sort_key_field(bytes_t key)
{
    size_t  i;

    if (key.len == 0) {
        return 0;
    }

    switch (key.data[0]) {

    case SORT_KEY_ABSENT:
    case SORT_KEY_NULL:
    case SORT_KEY_FALSE:
    case SORT_KEY_TRUE:
    case SORT_KEY_OTHER:
        return 1;

    case SORT_KEY_NUMBER:
        return (key.len >= 9) ? 9 : 0;

    case SORT_KEY_STRING:
        break;

    default:
        return 0;
    }

    for (i = 1; i + 1 < key.len; i++) {

        if (key.data[i] != 0) {
            continue;
        }

        if (key.data[i + 1] != SORT_KEY_ESCAPE) {
            return i + 2;
        }

        i++;
    }

    return 0;
}


/* IEEE 754 doubles of one sign compare as their bits do. */
static void
write_number(bytes_writer_t *w, double n)
{
    int       i;
    uint64_t  bits;

    if (n == 0) {
        n = 0;                    /* no "-0" */
    }

    memcpy(&bits, &n, sizeof(bits));

    bits = (bits >> 63) ? ~bits : bits | (1ULL << 63);

    for (i = 56; i >= 0; i -= 8) {
        bytes_writer_byte(w, (uint8_t) (bits >> i));
    }
}


/* 1: there was more. */
static int
write_letters(bytes_writer_t *w, const json_scan_t *string)
{
    int             c;
    size_t          left, need;
    json_letters_t  l;

    left = SORT_KEY_STRING_MAX;
    json_letters_open(&l, string->text.data,
                      string->text.data + string->text.len);

    while ((c = json_letters_next(&l)) >= 0) {
        need = (c == 0) ? 2 : 1;

        if (need > left) {
            return 1;
        }

        left -= need;
        bytes_writer_byte(w, (uint8_t) c);

        if (c == 0) {
            bytes_writer_byte(w, SORT_KEY_ESCAPE);
        }
    }

    return 0;
}
