/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * ucan_selector.c: one byte of length, a selector, a value.  What is no
 * selector finds nothing; what is one finds a value whose elements are as
 * many as it says.
 */


#include <stdlib.h>

#include "ucan_selector.h"


#define FUZZ_SIZE_MAX  4096       /* bytes */


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_value(const ucan_selector_value_t *value);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t                 len;
    bytes_t                text, raw;
    cbor_item_t            root;
    ucan_selector_rc_t     rc;
    ucan_selector_value_t  value;

    if (size < 1 || size > FUZZ_SIZE_MAX || data[0] > size - 1) {
        return 0;
    }

    len = data[0];
    text = bytes_make(data + 1, len);
    raw = bytes_make(data + 1 + len, size - 1 - len);

    if (cbor_validate(raw) != 0 || cbor_read(raw, &root) != 0) {
        (void) ucan_selector_validate(text);
        return 0;
    }

    if (ucan_selector_validate(text) != 0) {
        return 0;
    }

    rc = ucan_selector_resolve(text, &root, &value);

    if (rc != UCAN_SELECTOR_FOUND
        && (value.item.type != CBOR_NULL || value.sliced))
    {
        abort();
    }

    if (rc == UCAN_SELECTOR_FOUND) {
        check_value(&value);
    }

    return 0;
}


static void
check_value(const ucan_selector_value_t *value)
{
    size_t          i, count;
    cbor_item_t     element;
    bytes_reader_t  r;

    if (ucan_selector_count(value, &count) != 0) {

        if (value->sliced || count != 0) {
            abort();
        }

        return;
    }

    ucan_selector_walk(value, &r);

    for (i = 0; i < count; i++) {
        if (ucan_selector_next(value, &r, &element) != 0) {
            abort();
        }
    }
}
