/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Containers: a DAG-CBOR map { "ctn-v1": [ bytes, ... ] } behind one letter.
 *
 *     '@'  as it is               'M'  gzip
 *     'B'  base64, padded         'O'  base64, padded, of gzip
 *     'C'  base64url, bare        'P'  base64url, bare, of gzip
 *
 * The gzip (RFC 1952) is one member: its length, as its trailer has it, is
 * what gets allocated, so a bomb costs what it admits and is refused before
 * when that is too much.
 *
 * The only file that includes zlib, which takes its working memory from the
 * heap and returns it before the call ends.
 */


#include <zlib.h>

#include "base64.h"
#include "cbor.h"
#include "ucan_container.h"


#define UCAN_CONTAINER_KEY        "ctn-v1"
#define UCAN_CONTAINER_GZIP_MIN   18       /* bytes: header and trailer */
#define UCAN_CONTAINER_GZIP_BITS  (MAX_WBITS + 16)


static ucan_verdict_t decode_text(base64_form_t form, bytes_t text,
    bytes_t *out, ucan_memory_t *memory);
static ucan_verdict_t inflate_member(bytes_t gzip, bytes_t *out,
    const ucan_limits_t *limits, ucan_memory_t *memory);
static ucan_verdict_t read_list(bytes_t cbor, bytes_t **list, size_t *count,
    const ucan_limits_t *limits, ucan_memory_t *memory);
static int add_distinct(bytes_t *list, size_t count, bytes_t item);
static int deflate_member(bytes_t plain, bytes_writer_t *w);
static void sort_list(bytes_t *list, size_t count);
static int compare_bytes(bytes_t a, bytes_t b);


ucan_verdict_t
ucan_container_decode(bytes_t text, bytes_t **list, size_t *count,
    const ucan_limits_t *limits, ucan_memory_t *memory)
{
    uint8_t         form;
    bytes_t         body;
    ucan_verdict_t  rc;

    *list = NULL;
    *count = 0;

    if (text.len == 0) {
        return UCAN_MALFORMED;
    }

    if (text.len > limits->bytes_max) {
        return UCAN_TOO_LARGE;
    }

    form = text.data[0];
    body = bytes_make(text.data + 1, text.len - 1);
    rc = UCAN_OK;

    switch (form) {

    case '@':
    case 'M':
        break;

    case 'B':
    case 'O':
        rc = decode_text(BASE64_STD, body, &body, memory);
        break;

    case 'C':
    case 'P':
        rc = decode_text(BASE64_URL, body, &body, memory);
        break;

    default:
        rc = UCAN_MALFORMED;
    }

    if (rc != UCAN_OK) {
        return rc;
    }

    if (form == 'M' || form == 'O' || form == 'P') {
        rc = inflate_member(body, &body, limits, memory);
        if (rc != UCAN_OK) {
            return rc;
        }
    }

    return read_list(body, list, count, limits, memory);
}


int
ucan_container_encode(char form, const bytes_t *list, size_t count,
    bytes_writer_t *w, ucan_memory_t *memory)
{
    void            *buf;
    size_t           i, size;
    bytes_t         *sorted, plain;
    bytes_writer_t   cbor, gzip;

    if (memchr("BCOP", form, 4) == NULL || count == 0) {
        return -1;
    }

    size = 32;

    for (i = 0; i < count; i++) {
        size += list[i].len + 16;
    }

    sorted = memory->alloc(memory->data, count * sizeof(bytes_t));
    buf = memory->alloc(memory->data, size);

    if (sorted == NULL || buf == NULL) {
        return -1;
    }

    memcpy(sorted, list, count * sizeof(bytes_t));
    sort_list(sorted, count);

    bytes_writer_open(&cbor, buf, size);
    cbor_write_map(&cbor, 1);
    cbor_write_text(&cbor, bytes_of(UCAN_CONTAINER_KEY));
    cbor_write_list(&cbor, count);

    for (i = 0; i < count; i++) {
        cbor_write_bytes(&cbor, sorted[i]);
    }

    if (cbor.failed) {
        return -1;
    }

    plain = bytes_writer_view(&cbor);

    if (form == 'O' || form == 'P') {

        size = compressBound(plain.len) + UCAN_CONTAINER_GZIP_MIN;

        buf = memory->alloc(memory->data, size);
        if (buf == NULL) {
            return -1;
        }

        bytes_writer_open(&gzip, buf, size);

        if (deflate_member(plain, &gzip) != 0) {
            return -1;
        }

        plain = bytes_writer_view(&gzip);
    }

    bytes_writer_byte(w, (uint8_t) form);

    return base64_encode((form == 'B' || form == 'O') ? BASE64_STD
                                                      : BASE64_URL,
                         plain, w);
}


static ucan_verdict_t
decode_text(base64_form_t form, bytes_t text, bytes_t *out,
    ucan_memory_t *memory)
{
    void            *buf;
    size_t           size;
    bytes_writer_t   w;

    size = base64_decoded_max(text.len);

    buf = memory->alloc(memory->data, size);
    if (buf == NULL) {
        return UCAN_NO_MEMORY;
    }

    bytes_writer_open(&w, buf, size);

    if (base64_decode(form, text, &w) != 0) {
        return UCAN_MALFORMED;
    }

    *out = bytes_writer_view(&w);

    return UCAN_OK;
}


static ucan_verdict_t
inflate_member(bytes_t gzip, bytes_t *out, const ucan_limits_t *limits,
    ucan_memory_t *memory)
{
    int             rc;
    void           *buf;
    size_t          size;
    z_stream        z;
    const uint8_t  *tail;

    if (gzip.len < UCAN_CONTAINER_GZIP_MIN) {
        return UCAN_MALFORMED;
    }

    /* RFC 1952, 2.3.1: ISIZE, four bytes, little endian */

    tail = gzip.data + gzip.len - 4;
    size = (size_t) tail[0] | (size_t) tail[1] << 8 | (size_t) tail[2] << 16
           | (size_t) tail[3] << 24;

    if (size > limits->inflated_max) {
        return UCAN_TOO_LARGE;
    }

    if (size == 0) {
        return UCAN_MALFORMED;
    }

    buf = memory->alloc(memory->data, size);
    if (buf == NULL) {
        return UCAN_NO_MEMORY;
    }

    memset(&z, 0, sizeof(z));

    if (inflateInit2(&z, UCAN_CONTAINER_GZIP_BITS) != Z_OK) {
        return UCAN_NO_MEMORY;
    }

    z.next_in = (Bytef *) gzip.data;
    z.avail_in = (uInt) gzip.len;
    z.next_out = buf;
    z.avail_out = (uInt) size;

    rc = inflate(&z, Z_FINISH);

    inflateEnd(&z);

    if (rc == Z_MEM_ERROR) {
        return UCAN_NO_MEMORY;
    }

    if (rc != Z_STREAM_END || z.avail_in != 0 || z.avail_out != 0) {
        return UCAN_MALFORMED;
    }

    *out = bytes_make(buf, size);

    return UCAN_OK;
}


static ucan_verdict_t
read_list(bytes_t cbor, bytes_t **list, size_t *count,
    const ucan_limits_t *limits, ucan_memory_t *memory)
{
    cbor_item_t     map, key, tokens, item;
    bytes_reader_t  r;

    if (cbor_validate(cbor) != 0
        || cbor_read(cbor, &map) != 0
        || map.type != CBOR_MAP
        || map.count != 1)
    {
        return UCAN_MALFORMED;
    }

    bytes_reader_open(&r, map.body);

    if (cbor_next(&r, &key) != 0
        || !bytes_equal_text(key.bytes, UCAN_CONTAINER_KEY)
        || cbor_next(&r, &tokens) != 0
        || tokens.type != CBOR_LIST
        || tokens.count == 0)
    {
        return UCAN_MALFORMED;
    }

    if (tokens.count > limits->count_max) {
        return UCAN_TOO_LARGE;
    }

    *list = memory->alloc(memory->data, tokens.count * sizeof(bytes_t));
    if (*list == NULL) {
        return UCAN_NO_MEMORY;
    }

    bytes_reader_open(&r, tokens.body);

    while (bytes_reader_left(&r) != 0) {

        if (cbor_next(&r, &item) != 0 || item.type != CBOR_BYTES) {
            *count = 0;
            return UCAN_MALFORMED;
        }

        *count += (size_t) add_distinct(*list, *count, item.bytes);
    }

    return UCAN_OK;
}


/* Appends item when it is not there yet; 1 when it did. */
static int
add_distinct(bytes_t *list, size_t count, bytes_t item)
{
    size_t  i;

    for (i = 0; i < count; i++) {
        if (bytes_equal(list[i], item)) {
            return 0;
        }
    }

    list[count] = item;

    return 1;
}


static int
deflate_member(bytes_t plain, bytes_writer_t *w)
{
    int       rc;
    z_stream  z;

    memset(&z, 0, sizeof(z));

    if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED,
                     UCAN_CONTAINER_GZIP_BITS, MAX_MEM_LEVEL,
                     Z_DEFAULT_STRATEGY)
        != Z_OK)
    {
        return -1;
    }

    z.next_in = (Bytef *) plain.data;
    z.avail_in = (uInt) plain.len;
    z.next_out = w->pos;
    z.avail_out = (uInt) bytes_writer_left(w);

    rc = deflate(&z, Z_FINISH);

    w->pos += z.total_out;

    deflateEnd(&z);

    return (rc == Z_STREAM_END) ? 0 : -1;
}


/* Insertion sort: a container has at most UCAN_TOKEN_COUNT_MAX tokens. */
static void
sort_list(bytes_t *list, size_t count)
{
    size_t   i, j;
    bytes_t  item;

    for (i = 1; i < count; i++) {
        item = list[i];

        for (j = i; j > 0 && compare_bytes(list[j - 1], item) > 0; j--) {
            list[j] = list[j - 1];
        }

        list[j] = item;
    }
}


static int
compare_bytes(bytes_t a, bytes_t b)
{
    int     rc;
    size_t  len;

    len = (a.len < b.len) ? a.len : b.len;

    rc = (len == 0) ? 0 : memcmp(a.data, b.data, len);

    if (rc != 0) {
        return rc;
    }

    return (a.len > b.len) - (a.len < b.len);
}
