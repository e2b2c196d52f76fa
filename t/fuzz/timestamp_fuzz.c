/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * timestamp.c: what is read is written as the same instant, and every number
 * in range comes back.  Inputs up to 40 bytes make sense.
 */


#include <stdlib.h>

#include "timestamp.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t         ms, again;
    uint8_t         out[TIMESTAMP_LEN];
    bytes_writer_t  w;

    bytes_writer_open(&w, out, sizeof(out));

    if (timestamp_parse(bytes_make(data, size), &ms) == 0) {
        timestamp_write(&w, ms);

        /* the text has the same seconds, and as many of its digits */

        if (w.failed
            || memcmp(out, data, 19) != 0
            || timestamp_parse(bytes_writer_view(&w), &again) != 0
            || again != ms
            || (size == TIMESTAMP_LEN && memcmp(out, data, size) != 0))
        {
            abort();
        }
    }

    if (size < sizeof(ms)) {
        return 0;
    }

    memcpy(&ms, data, sizeof(ms));
    bytes_writer_open(&w, out, sizeof(out));
    timestamp_write(&w, ms);

    if (!w.failed
        && (timestamp_parse(bytes_writer_view(&w), &again) != 0
            || again != ms))
    {
        abort();
    }

    return 0;
}
