/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Unsigned varint of multiformats: LEB128, at most 9 bytes, minimal only.
 */


#ifndef _VARINT_H_INCLUDED_
#define _VARINT_H_INCLUDED_


#include "bytes.h"


/* Reads one number; sets r->failed on a truncated, overlong or non-minimal
   form and gives 0. */
static inline uint64_t
varint_read(bytes_reader_t *r)
{
    uint8_t   byte;
    uint64_t  value;
    unsigned  shift;

    value = 0;

    for (shift = 0; shift < 63; shift += 7) {
        byte = bytes_reader_byte(r);

        if (r->failed) {
            return 0;
        }

        value |= (uint64_t) (byte & 0x7f) << shift;

        if (!(byte & 0x80)) {

            if (byte == 0 && shift != 0) {
                break;
            }

            return value;
        }
    }

    r->failed = 1;

    return 0;
}


static inline void
varint_write(bytes_writer_t *w, uint64_t value)
{
    while (value >= 0x80) {
        bytes_writer_byte(w, (uint8_t) (value | 0x80));
        value >>= 7;
    }

    bytes_writer_byte(w, (uint8_t) value);
}


#endif /* _VARINT_H_INCLUDED_ */
