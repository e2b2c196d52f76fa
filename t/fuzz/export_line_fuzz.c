/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * export_line.c: a line that is read stays in its arena, and written again
 * and read again it is the same.  Inputs of one line make sense.
 */


#include <stdlib.h>

#include "export_line.h"


#define FUZZ_TEXT_MAX  65536      /* bytes of an input */


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int is_same(const export_line_t *a, const export_line_t *b);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t           need;
    uint8_t         *arena, *text, *again;
    export_line_t    line, copy;
    bytes_writer_t   w, a;

    if (size > FUZZ_TEXT_MAX) {
        return 0;
    }

    arena = malloc(size + 8);
    if (arena == NULL) {
        return 0;
    }

    bytes_writer_open(&a, arena, size + 8);

    if (export_line_read(bytes_make(data, size), &line, &a) != NULL) {
        free(arena);
        return 0;
    }

    need = export_line_size(&line);
    text = malloc(need);
    again = malloc(need + 8);

    if (text != NULL && again != NULL) {
        bytes_writer_open(&w, text, need);
        export_line_write(&w, &line);

        if (w.failed) {
            abort();
        }

        bytes_writer_open(&a, again, need + 8);

        if (export_line_read(bytes_writer_view(&w), &copy, &a) != NULL
            || !is_same(&line, &copy))
        {
            abort();
        }
    }

    free(arena);
    free(text);
    free(again);

    return 0;
}


static int
is_same(const export_line_t *a, const export_line_t *b)
{
    return a->kind == b->kind
           && bytes_equal(a->ns, b->ns)
           && bytes_equal(a->key, b->key)
           && bytes_equal(a->value, b->value)
           && (a->kind != EXPORT_LINE_ITEM
               || (bytes_equal(a->meta, b->meta)
                   && a->seq == b->seq
                   && a->weight == b->weight
                   && a->expires_ms == b->expires_ms));
}
