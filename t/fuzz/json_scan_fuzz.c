/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * json_scan.c and json_write.c: what passes the check is walked and written
 * anew; that passes too, and written again it is the same.  Keys of an object
 * differ.  What does not pass must not hurt the readers.  Inputs up to 4096
 * bytes make sense.
 */


#include <stdlib.h>

#include "json_scan.h"
#include "json_write.h"


#define FUZZ_SIZE_MAX  4096       /* bytes */


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bytes_t write_again(bytes_t text, uint8_t *out, size_t size,
    int *deep);
static void write_value(json_write_t *j, const json_scan_t *value);
static void write_key(json_write_t *j, const json_scan_t *object,
    const json_scan_t *key);
static void read_anyway(bytes_t text, unsigned depth);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int             deep;
    size_t          at;
    bytes_t         in, once, twice;
    json_scan_rc_t  rc;

    static uint8_t  first[FUZZ_SIZE_MAX * 6], second[FUZZ_SIZE_MAX * 6];

    if (size > FUZZ_SIZE_MAX) {
        return 0;
    }

    in = bytes_make(data, size);
    rc = json_scan_validate(in, &at);

    if (at > size || (rc == JSON_SCAN_OK && at != size)) {
        abort();
    }

    if (rc != JSON_SCAN_OK) {
        read_anyway(in, 0);
        return 0;
    }

    once = write_again(in, first, sizeof(first), &deep);

    if (deep) {
        return 0;
    }

    if (json_scan_validate(once, NULL) != JSON_SCAN_OK) {
        abort();
    }

    twice = write_again(once, second, sizeof(second), &deep);

    if (!bytes_equal(once, twice)) {
        abort();
    }

    return 0;
}


/* "deep": nested deeper than the writer goes. */
static bytes_t
write_again(bytes_t text, uint8_t *out, size_t size, int *deep)
{
    json_scan_t     value;
    json_write_t    j;
    bytes_writer_t  w;

    if (json_scan_open(text, &value) != 0) {
        abort();
    }

    bytes_writer_open(&w, out, size);
    json_write_open(&j, &w);
    write_value(&j, &value);

    *deep = w.failed;

    return bytes_writer_view(&w);
}


static void
write_value(json_write_t *j, const json_scan_t *value)
{
    double          number;
    size_t          pos;
    int64_t         integer;
    uint8_t         text[FUZZ_SIZE_MAX];
    json_scan_t     key, child;
    bytes_writer_t  w;

    switch (value->type) {

    case JSON_SCAN_STRING:
        bytes_writer_open(&w, text, value->text.len);

        if (json_scan_string(value, &w) != 0) {
            abort();
        }

        json_write_string(j, bytes_writer_view(&w));
        return;

    case JSON_SCAN_NUMBER:
        if (json_scan_integer(value, &integer) == 0
            && (json_scan_number(value, &number) == 0)
            && (int64_t) number != integer)
        {
            abort();
        }

        json_write_raw(j, value->raw);
        return;

    case JSON_SCAN_NULL:
        json_write_null(j);
        return;

    case JSON_SCAN_BOOL:
        json_write_bool(j, value->truth);
        return;

    case JSON_SCAN_ARRAY:
        json_write_array(j);
        break;

    case JSON_SCAN_OBJECT:
        json_write_object(j);
        break;
    }

    pos = 0;

    /* what the writer cannot hold ends here, before the stack does */

    while (!j->out->failed
           && json_scan_next(value, &pos, &key, &child) == 0)
    {
        if (value->type == JSON_SCAN_OBJECT) {
            write_key(j, value, &key);
        }

        write_value(j, &child);
    }

    if (value->type == JSON_SCAN_OBJECT) {
        json_write_object_end(j);

    } else {
        json_write_array_end(j);
    }
}


static void
write_key(json_write_t *j, const json_scan_t *object, const json_scan_t *key)
{
    char            text[FUZZ_SIZE_MAX + 1];
    size_t          pos, n;
    json_scan_t     name, value;
    bytes_writer_t  w;

    bytes_writer_open(&w, text, sizeof(text) - 1);

    if (json_scan_string(key, &w) != 0) {
        abort();
    }

    bytes_writer_byte(&w, 0);

    pos = 0;
    n = 0;

    while (json_scan_next(object, &pos, &name, &value) == 0) {
        n += json_scan_equal(&name, text);
    }

    if (n != 1) {
        abort();
    }

    json_write_key(j, text);
}


static void
read_anyway(bytes_t text, unsigned depth)
{
    size_t          pos, n;
    double          number;
    int64_t         integer;
    uint8_t         out[64];
    json_scan_t     value, key, child;
    bytes_writer_t  w;

    if (depth == 8 || json_scan_open(text, &value) != 0) {
        return;
    }

    bytes_writer_open(&w, out, sizeof(out));
    (void) json_scan_string(&value, &w);
    (void) json_scan_equal(&value, "key");
    (void) json_scan_integer(&value, &integer);
    (void) json_scan_number(&value, &number);
    (void) json_scan_find(&value, "key", &child);

    pos = 0;

    for (n = 0; n < 64 && json_scan_next(&value, &pos, &key, &child) == 0;
         n++)
    {
        read_anyway(child.raw, depth + 1);
    }
}
