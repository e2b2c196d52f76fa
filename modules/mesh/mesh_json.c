/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * DAG-JSON and DAG-CBOR.  Both sides were checked before by the strict
 * readers, so what can still fail is what one has and the other has not.
 * Recursion is as deep as those readers allow.
 */


#include <stdio.h>
#include <stdlib.h>

#include "base64.h"
#include "json_scan.h"
#include "mesh.h"
#include "mesh_json.h"
#include "timestamp.h"


typedef struct {
    bytes_t      name;            /* unescaped */
    json_scan_t  value;
} mesh_json_member_t;


static int write_cbor(bytes_writer_t *w, const json_scan_t *value);
static int write_object(bytes_writer_t *w, const json_scan_t *object);
static int write_special(bytes_writer_t *w, const json_scan_t *object);
static int write_array(bytes_writer_t *w, const json_scan_t *array);
static int write_number(bytes_writer_t *w, const json_scan_t *value);
static bytes_t copy_string(const json_scan_t *value);
static size_t count_members(const json_scan_t *parent);
static int compare_members(const void *a, const void *b);
static void print_map(json_write_t *j, const cbor_item_t *map);
static void print_special(json_write_t *j, const cbor_item_t *item);
static void print_float(json_write_t *j, double number);


int
mesh_json_encode(bytes_t json, bytes_t *cbor)
{
    void            *buf;
    size_t           size;
    json_scan_t      value;
    bytes_writer_t   w;

    if (json_scan_validate(json, NULL) != JSON_SCAN_OK
        || json_scan_open(json, &value) != 0)
    {
        return -1;
    }

    /* a digit and its comma are two bytes, a float is nine */

    size = json.len * 9 + 16;
    buf = mesh_alloc(size);

    bytes_writer_open(&w, buf, size);

    if (write_cbor(&w, &value) != 0 || w.failed) {
        return -1;
    }

    *cbor = bytes_writer_view(&w);

    return cbor_validate(*cbor);
}


void
mesh_json_write_time(json_write_t *j, const char *key, int64_t seconds)
{
    uint8_t         buf[TIMESTAMP_LEN];
    bytes_writer_t  w;

    json_write_key(j, key);
    bytes_writer_open(&w, buf, sizeof(buf));

    if (seconds >= 0 && seconds < INT64_MAX / 1000) {
        timestamp_write(&w, seconds * 1000);
    }

    if (seconds < 0 || w.failed || w.pos == w.start) {
        json_write_null(j);
        return;
    }

    json_write_string(j, bytes_writer_view(&w));
}


void
mesh_json_write_cid(json_write_t *j, const char *key, const cid_t *cid)
{
    uint8_t         buf[CID_TEXT_LEN];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));
    cid_write(cid, &w);

    if (key != NULL) {
        json_write_key(j, key);
    }

    json_write_string(j, bytes_writer_view(&w));
}


void
mesh_json_write(json_write_t *j, const cbor_item_t *item)
{
    cbor_item_t     element;
    bytes_reader_t  r;

    switch (item->type) {

    case CBOR_INTEGER:
        json_write_integer(j, item->integer);
        break;

    case CBOR_TEXT:
        json_write_string(j, item->bytes);
        break;

    case CBOR_LIST:
        json_write_array(j);
        bytes_reader_open(&r, item->body);

        while (bytes_reader_left(&r) != 0 && cbor_next(&r, &element) == 0) {
            mesh_json_write(j, &element);
        }

        json_write_array_end(j);
        break;

    case CBOR_MAP:
        print_map(j, item);
        break;

    case CBOR_BYTES:
    case CBOR_LINK:
        print_special(j, item);
        break;

    case CBOR_BOOL:
        json_write_bool(j, (int) item->integer);
        break;

    case CBOR_FLOAT:
        print_float(j, item->number);
        break;

    default:
        json_write_null(j);
    }
}


static int
write_cbor(bytes_writer_t *w, const json_scan_t *value)
{
    switch (value->type) {

    case JSON_SCAN_NULL:
        cbor_write_null(w);
        return 0;

    case JSON_SCAN_BOOL:
        cbor_write_bool(w, value->truth);
        return 0;

    case JSON_SCAN_NUMBER:
        return write_number(w, value);

    case JSON_SCAN_STRING:
        cbor_write_text(w, copy_string(value));
        return 0;

    case JSON_SCAN_ARRAY:
        return write_array(w, value);

    default:
        return write_object(w, value);
    }
}


static int
write_object(bytes_writer_t *w, const json_scan_t *object)
{
    size_t               i, count, pos;
    json_scan_t          key, value;
    mesh_json_member_t  *members;

    if (json_scan_find(object, "/", &value) == 0) {
        return write_special(w, object);
    }

    count = count_members(object);
    members = mesh_alloc((count + 1) * sizeof(mesh_json_member_t));
    pos = 0;

    for (i = 0; json_scan_next(object, &pos, &key, &value) == 0; i++) {
        members[i].name = copy_string(&key);
        members[i].value = value;
    }

    qsort(members, count, sizeof(mesh_json_member_t), compare_members);

    cbor_write_map(w, count);

    for (i = 0; i < count; i++) {
        cbor_write_text(w, members[i].name);

        if (write_cbor(w, &members[i].value) != 0) {
            return -1;
        }
    }

    return 0;
}


static int
write_special(bytes_writer_t *w, const json_scan_t *object)
{
    void            *buf;
    cid_t            cid;
    uint8_t          binary[CID_BINARY_LEN];
    bytes_t          text;
    json_scan_t      value, inner;
    bytes_writer_t   out;

    if (json_scan_find(object, "/", &value) != 0
        || count_members(object) != 1)
    {
        return -1;
    }

    if (value.type == JSON_SCAN_STRING) {

        if (cid_parse(&cid, copy_string(&value)) != 0) {
            return -1;
        }

        bytes_writer_open(&out, binary, sizeof(binary));
        cid_write_binary(&cid, &out);
        cbor_write_link(w, bytes_writer_view(&out));

        return 0;
    }

    if (value.type != JSON_SCAN_OBJECT
        || count_members(&value) != 1
        || json_scan_find(&value, "bytes", &inner) != 0
        || json_scan_plain(&inner, &text) != 0)
    {
        return -1;
    }

    buf = mesh_alloc(base64_decoded_max(text.len));
    bytes_writer_open(&out, buf, base64_decoded_max(text.len));

    if (base64_decode(BASE64_STD_RAW, text, &out) != 0) {
        return -1;
    }

    cbor_write_bytes(w, bytes_writer_view(&out));

    return 0;
}


static int
write_array(bytes_writer_t *w, const json_scan_t *array)
{
    size_t       pos;
    json_scan_t  value;

    cbor_write_list(w, count_members(array));

    pos = 0;

    while (json_scan_next(array, &pos, NULL, &value) == 0) {
        if (write_cbor(w, &value) != 0) {
            return -1;
        }
    }

    return 0;
}


static int
write_number(bytes_writer_t *w, const json_scan_t *value)
{
    double   number;
    int64_t  n;

    if (json_scan_integer(value, &n) == 0) {
        cbor_write_integer(w, n);
        return 0;
    }

    /* an integer too large for JSON's peers must not become another one */

    if (memchr(value->raw.data, '.', value->raw.len) == NULL
        && memchr(value->raw.data, 'e', value->raw.len) == NULL
        && memchr(value->raw.data, 'E', value->raw.len) == NULL)
    {
        return -1;
    }

    if (json_scan_number(value, &number) != 0) {
        return -1;
    }

    cbor_write_float(w, number);

    return 0;
}


static bytes_t
copy_string(const json_scan_t *value)
{
    void            *buf;
    bytes_t          text;
    bytes_writer_t   w;

    if (json_scan_plain(value, &text) == 0) {
        return text;
    }

    buf = mesh_alloc(value->text.len);
    bytes_writer_open(&w, buf, value->text.len);
    (void) json_scan_string(value, &w);

    return bytes_writer_view(&w);
}


static size_t
count_members(const json_scan_t *parent)
{
    size_t       n, pos;
    json_scan_t  key, value;

    n = 0;
    pos = 0;

    while (json_scan_next(parent, &pos, &key, &value) == 0) {
        n++;
    }

    return n;
}


static int
compare_members(const void *a, const void *b)
{
    const mesh_json_member_t  *x, *y;

    x = a;
    y = b;

    return cbor_key_compare(x->name, y->name);
}


static void
print_map(json_write_t *j, const cbor_item_t *map)
{
    cbor_item_t     key, value;
    bytes_reader_t  r;

    json_write_object(j);
    bytes_reader_open(&r, map->body);

    while (bytes_reader_left(&r) != 0
           && cbor_next(&r, &key) == 0
           && cbor_next(&r, &value) == 0)
    {
        json_write_key(j, mesh_text(key.bytes));
        mesh_json_write(j, &value);
    }

    json_write_object_end(j);
}


static void
print_special(json_write_t *j, const cbor_item_t *item)
{
    void            *buf;
    cid_t            cid;
    uint8_t          text[CID_TEXT_LEN];
    bytes_writer_t   w;

    json_write_object(j);

    if (item->type == CBOR_LINK) {
        bytes_writer_open(&w, text, sizeof(text));

        if (cid_parse_binary(&cid, item->bytes) == 0) {
            cid_write(&cid, &w);
        }

        json_write_member(j, "/", bytes_writer_view(&w));

    } else {
        buf = mesh_alloc(base64_encoded_max(item->bytes.len) + 4);
        bytes_writer_open(&w, buf, base64_encoded_max(item->bytes.len) + 4);
        (void) base64_encode(BASE64_STD_RAW, item->bytes, &w);

        json_write_key(j, "/");
        json_write_object(j);
        json_write_member(j, "bytes", bytes_writer_view(&w));
        json_write_object_end(j);
    }

    json_write_object_end(j);
}


static void
print_float(json_write_t *j, double number)
{
    char  text[64];

    snprintf(text, sizeof(text), "%.17g", number);

    if (strpbrk(text, ".e") == NULL) {
        snprintf(text, sizeof(text), "%.1f", number);
    }

    json_write_raw(j, bytes_of(text));
}
