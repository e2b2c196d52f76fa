/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * json_merge.c: the first line is a target, the rest a patch.  What comes out
 * is JSON, within its bound; and by the same patch it stays what it is.
 * Inputs up to 4096 bytes make sense.
 */


#include <stdlib.h>

#include "json_merge.h"
#include "json_scan.h"


#define FUZZ_SIZE_MAX  4096       /* bytes */


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes_t         target, patch;
    const uint8_t  *line;
    bytes_writer_t  once, twice;

    static uint8_t  first[2 * FUZZ_SIZE_MAX], second[3 * FUZZ_SIZE_MAX];

    line = (size != 0 && size <= FUZZ_SIZE_MAX) ? memchr(data, '\n', size)
                                                : NULL;

    if (line == NULL) {
        return 0;
    }

    target = bytes_make(data, (size_t) (line - data));
    patch = bytes_make(line + 1, size - target.len - 1);

    if ((target.len != 0 && json_scan_validate(target, NULL) != JSON_SCAN_OK)
        || json_scan_validate(patch, NULL) != JSON_SCAN_OK)
    {
        return 0;
    }

    bytes_writer_open(&once, first, json_merge_max(target.len, patch.len));

    if (json_merge_apply(target, patch, &once) != 0
        || json_scan_validate(bytes_writer_view(&once), NULL)
           != JSON_SCAN_OK)
    {
        abort();
    }

    bytes_writer_open(&twice, second, sizeof(second));

    if (json_merge_apply(bytes_writer_view(&once), patch, &twice) != 0
        || !bytes_equal(bytes_writer_view(&once), bytes_writer_view(&twice)))
    {
        abort();
    }

    return 0;
}
