/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * doc_filter.c, doc_path.c, sort_key.c: the first line is a filter, the rest
 * a document.  A filter and its "not" never agree; what is shown of a
 * document is a document, and not longer; each comparison agrees with the
 * order of the sort keys, where they were not cut.  Inputs up to 4096 bytes
 * make sense.
 */


#include <stdlib.h>

#include "doc_filter.h"
#include "sort_key.h"


#define FUZZ_SIZE_MAX  4096       /* bytes */


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_not(bytes_t text, const json_scan_t *document, int match);
static void check_project(const json_scan_t *document);
static void check_order(const json_scan_t *document);
static bytes_t make_key(const json_scan_t *value, uint8_t *buf, int *cut);


static doc_filter_t  filter, opposite;


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int             match;
    bytes_t         text, rest;
    const uint8_t  *line;
    json_scan_t     value, document;

    line = (size != 0 && size <= FUZZ_SIZE_MAX) ? memchr(data, '\n', size)
                                                : NULL;

    if (line == NULL) {
        return 0;
    }

    text = bytes_make(data, (size_t) (line - data));
    rest = bytes_make(line + 1, size - text.len - 1);

    if (json_scan_validate(text, NULL) != JSON_SCAN_OK
        || json_scan_validate(rest, NULL) != JSON_SCAN_OK
        || json_scan_open(text, &value) != 0
        || json_scan_open(rest, &document) != 0)
    {
        return 0;
    }

    if (doc_filter_parse(&filter, &value, "/filter") != 0) {

        if (filter.fault == NULL
            || filter.pointer_len > DOC_FILTER_POINTER_MAX
            || doc_filter_match(&filter, &document))
        {
            abort();
        }

        return 0;
    }

    match = doc_filter_match(&filter, &document);

    check_not(text, &document, match);

    if (document.type == JSON_SCAN_OBJECT) {
        check_project(&document);
    }

    check_order(&document);

    return 0;
}


static void
check_not(bytes_t text, const json_scan_t *document, int match)
{
    json_scan_t     value;
    bytes_writer_t  w;

    static uint8_t  buf[FUZZ_SIZE_MAX + 16];

    bytes_writer_open(&w, buf, sizeof(buf));
    bytes_writer_text(&w, "{\"not\":");
    bytes_writer_bytes(&w, text);
    bytes_writer_byte(&w, '}');

    if (json_scan_open(bytes_writer_view(&w), &value) != 0) {
        abort();
    }

    /* one deeper, or empty: it need not be a filter */

    if (doc_filter_parse(&opposite, &value, "") == 0
        && doc_filter_match(&opposite, document) == match)
    {
        abort();
    }
}


static void
check_project(const json_scan_t *document)
{
    size_t          at;
    bytes_writer_t  w;

    static uint8_t  buf[FUZZ_SIZE_MAX];

    bytes_writer_open(&w, buf, sizeof(buf));
    doc_path_project(&filter.paths, document, &w);

    if (w.failed || bytes_writer_view(&w).len > document->raw.len
        || json_scan_validate(bytes_writer_view(&w), &at) != JSON_SCAN_OK)
    {
        abort();
    }
}


/* Neighbours in the document, as values and as keys. */
static void
check_order(const json_scan_t *document)
{
    int          one, two, order, cut_one, cut_two;
    size_t       pos;
    uint8_t      a[SORT_KEY_FIELD_MAX], b[SORT_KEY_FIELD_MAX];
    bytes_t      x, y;
    json_scan_t  value, last;

    pos = 0;
    last = *document;

    while (json_scan_next(document, &pos, NULL, &value) == 0) {
        x = make_key(&last, a, &cut_one);
        y = make_key(&value, b, &cut_two);

        one = doc_filter_scalar(&last);
        two = doc_filter_scalar(&value);

        if (one && two) {
            order = doc_filter_compare(&last, &value);
            one = memcmp(x.data, y.data, (x.len < y.len) ? x.len : y.len);

            if ((order == 0 && one != 0)
                || (order != 0 && one != 0 && (order < 0) != (one < 0))
                || (order != 0 && one == 0 && !(cut_one && cut_two)))
            {
                abort();
            }
        }

        last = value;
    }
}


static bytes_t
make_key(const json_scan_t *value, uint8_t *buf, int *cut)
{
    bytes_t         key;
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, SORT_KEY_FIELD_MAX);
    *cut = sort_key_write(&w, value);
    key = bytes_writer_view(&w);

    if (w.failed || sort_key_field(key) != key.len) {
        abort();
    }

    return key;
}
