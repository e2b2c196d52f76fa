/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * cbor.c: what passes the check is read and written back byte by byte the
 * same; what does not must not hurt the readers.  Inputs up to 4096 bytes
 * make sense.
 */


#include <stdlib.h>

#include "cbor.h"


#define FUZZ_SIZE_MAX  4096       /* bytes */


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_item(bytes_writer_t *w, const cbor_item_t *item,
    unsigned depth);
static void write_content(bytes_writer_t *w, const cbor_item_t *item,
    unsigned depth);
static void read_anyway(bytes_t b);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes_t         in;
    cbor_item_t     item;
    bytes_writer_t  w;

    static uint8_t  out[FUZZ_SIZE_MAX];

    if (size > FUZZ_SIZE_MAX) {
        return 0;
    }

    in = bytes_make(data, size);

    if (cbor_validate(in) != 0) {
        read_anyway(in);
        return 0;
    }

    if (cbor_read(in, &item) != 0 || !bytes_equal(item.raw, in)) {
        abort();
    }

    bytes_writer_open(&w, out, sizeof(out));
    write_item(&w, &item, 0);

    if (w.failed || !bytes_equal(bytes_writer_view(&w), in)) {
        abort();
    }

    return 0;
}


static void
write_item(bytes_writer_t *w, const cbor_item_t *item, unsigned depth)
{
    switch (item->type) {

    case CBOR_INTEGER:
        cbor_write_integer(w, item->integer);
        break;

    case CBOR_BYTES:
        cbor_write_bytes(w, item->bytes);
        break;

    case CBOR_TEXT:
        cbor_write_text(w, item->bytes);
        break;

    case CBOR_LINK:
        cbor_write_link(w, item->bytes);
        break;

    case CBOR_BOOL:
        cbor_write_bool(w, (int) item->integer);
        break;

    case CBOR_NULL:
        cbor_write_null(w);
        break;

    case CBOR_FLOAT:
        cbor_write_float(w, item->number);
        break;

    case CBOR_LIST:
        cbor_write_list(w, item->count);
        write_content(w, item, depth + 1);
        break;

    case CBOR_MAP:
        cbor_write_map(w, item->count);
        write_content(w, item, depth + 1);
        break;
    }
}


/* Recursion is as deep as the check allows. */
static void
write_content(bytes_writer_t *w, const cbor_item_t *item, unsigned depth)
{
    size_t          i, n;
    bytes_t         key;
    cbor_item_t     child, found;
    bytes_reader_t  r;

    if (depth > CBOR_DEPTH_MAX) {
        abort();
    }

    n = (item->type == CBOR_MAP) ? item->count * 2 : item->count;
    key = bytes_make(NULL, 0);
    bytes_reader_open(&r, item->body);

    for (i = 0; i < n; i++) {

        if (cbor_next(&r, &child) != 0) {
            abort();
        }

        write_item(w, &child, depth);

        if (item->type == CBOR_MAP && i % 2 == 0) {
            key = child.bytes;
            continue;
        }

        if (item->type == CBOR_MAP
            && (cbor_map_find(item, key, &found) != 0
                || found.raw.data != child.raw.data))
        {
            abort();
        }
    }

    if (bytes_reader_left(&r) != 0) {
        abort();
    }
}


static void
read_anyway(bytes_t b)
{
    size_t          i;
    cbor_item_t     item, child;
    bytes_reader_t  r;

    bytes_reader_open(&r, b);

    while (cbor_next(&r, &item) == 0) {
        (void) cbor_map_find(&item, bytes_of("a"), &child);

        for (i = 0; cbor_list_get(&item, i, &child) == 0 && i < 16; i++) {
            /* void */
        }
    }
}
