/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * ucan_container.c: whatever form decodes, its tokens come out of all forms
 * again, distinct and sorted; and a bundle may be made of them.
 */


#include "fuzz_memory.h"
#include "ucan_container.h"


#define FUZZ_SIZE_MAX  8192                    /* bytes */
#define FUZZ_OUT_MAX   (512 * 1024)


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_form(char form, const bytes_t *list, size_t count);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t          count;
    bytes_t        *list;
    ucan_limits_t   limits;
    ucan_bundle_t   bundle;
    const char     *form;

    if (size > FUZZ_SIZE_MAX) {
        return 0;
    }

    ucan_limits_init(&limits);

    if (ucan_container_decode(bytes_make(data, size), &list, &count, &limits,
                              &fuzz_memory) == UCAN_OK)
    {
        if (count == 0 || count > limits.count_max) {
            abort();
        }

        for (form = "BCOP"; *form != '\0'; form++) {
            check_form(*form, list, count);
        }

        (void) ucan_bundle_parse_envelopes(&bundle, list, count, &limits,
                                           &fuzz_memory);

    } else if (count != 0) {
        abort();
    }

    fuzz_memory_free();

    return 0;
}


static void
check_form(char form, const bytes_t *list, size_t count)
{
    size_t          i, j, again_count;
    bytes_t        *again;
    ucan_limits_t   limits;
    bytes_writer_t  w;

    static uint8_t  out[FUZZ_OUT_MAX];

    ucan_limits_init(&limits);
    limits.bytes_max = FUZZ_OUT_MAX;
    limits.inflated_max = FUZZ_OUT_MAX;

    bytes_writer_open(&w, out, sizeof(out));

    if (ucan_container_encode(form, list, count, &w, &fuzz_memory) != 0
        || ucan_container_decode(bytes_writer_view(&w), &again, &again_count,
                                 &limits, &fuzz_memory) != UCAN_OK
        || again_count != count)
    {
        abort();
    }

    for (i = 0; i < count; i++) {

        for (j = 0; j < count; j++) {
            if (bytes_equal(again[i], list[j])) {
                break;
            }
        }

        if (j == count) {
            abort();
        }
    }
}
