/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * DAG-CBOR, in place: the strict check, the readers, the writers.
 *
 * A head is one byte, major type (3 bits) and info (5 bits), and 0, 1, 2, 4
 * or 8 bytes of argument (RFC 8949, 3):
 *
 *     0 1 2 3 4 5 6 7
 *    +-----+---------+----------------+
 *    |major|  info   | argument ...   |    info < 24: the argument itself
 *    +-----+---------+----------------+    24, 25, 26, 27: 1, 2, 4, 8 bytes
 *
 * Pure: any thread, no heap, no recursion.  A declared count is believed only
 * as far as bytes are left: every item is at least one byte.
 */


#include <math.h>

#include "cbor.h"
#include "utf8.h"


#define CBOR_MAJOR_UNSIGNED  0
#define CBOR_MAJOR_NEGATIVE  1
#define CBOR_MAJOR_BYTES     2
#define CBOR_MAJOR_TEXT      3
#define CBOR_MAJOR_LIST      4
#define CBOR_MAJOR_MAP       5
#define CBOR_MAJOR_TAG       6
#define CBOR_MAJOR_SIMPLE    7

#define CBOR_TAG_LINK        42

#define CBOR_INFO_FALSE      20
#define CBOR_INFO_TRUE       21
#define CBOR_INFO_NULL       22
#define CBOR_INFO_DOUBLE     27

#define CBOR_HEAD_MAX        9    /* bytes */


typedef struct {
    unsigned  major;
    unsigned  info;
    uint64_t  argument;           /* value, length, count or tag */
} cbor_head_t;


/* One open list or map of cbor_validate(). */
typedef struct {
    uint64_t  left;               /* items still to come, keys included */
    unsigned  map;                /* boolean */
    bytes_t   key;                /* the last key; data is NULL before it */
} cbor_level_t;


static int read_head(bytes_reader_t *r, cbor_head_t *head);
static int read_flat(bytes_reader_t *r, cbor_item_t *item);
static int read_integer(const cbor_head_t *head, cbor_item_t *item);
static uint64_t integer_max(const cbor_head_t *head);
static int read_string(bytes_reader_t *r, const cbor_head_t *head,
    cbor_item_t *item);
static int read_count(bytes_reader_t *r, const cbor_head_t *head,
    cbor_item_t *item);
static int read_link(bytes_reader_t *r, const cbor_head_t *head,
    cbor_item_t *item);
static int read_simple(const cbor_head_t *head, cbor_item_t *item);
static int skip_content(bytes_reader_t *r, const cbor_item_t *item);
static int skip_flat(bytes_reader_t *r, uint64_t *inside);
static int check_key(cbor_level_t *level, const cbor_item_t *item);
static uint64_t count_children(const cbor_item_t *item);
static void write_head(bytes_writer_t *w, unsigned major, uint64_t argument);


int
cbor_validate(bytes_t b)
{
    unsigned        depth;
    cbor_item_t     item;
    cbor_level_t    level[CBOR_DEPTH_MAX], *top;
    bytes_reader_t  r;

    bytes_reader_open(&r, b);
    depth = 0;

    do {
        if (read_flat(&r, &item) != 0) {
            return -1;
        }

        if (item.type == CBOR_TEXT && !utf8_valid(item.bytes)) {
            return -1;
        }

        if (depth != 0) {
            top = &level[depth - 1];

            /* an even number of items left: a key is due */

            if (top->map && top->left % 2 == 0
                && check_key(top, &item) != 0)
            {
                return -1;
            }

            top->left--;
        }

        if (item.type == CBOR_LIST || item.type == CBOR_MAP) {

            if (depth == CBOR_DEPTH_MAX) {
                return -1;
            }

            top = &level[depth++];
            top->left = count_children(&item);
            top->map = (item.type == CBOR_MAP);
            top->key = bytes_make(NULL, 0);
        }

        while (depth != 0 && level[depth - 1].left == 0) {
            depth--;
        }

    } while (depth != 0);

    return bytes_reader_left(&r) == 0 ? 0 : -1;
}


int
cbor_next(bytes_reader_t *r, cbor_item_t *item)
{
    const uint8_t  *start, *body;

    start = r->pos;

    if (read_flat(r, item) != 0) {
        return -1;
    }

    body = r->pos;

    if (skip_content(r, item) != 0) {
        return -1;
    }

    item->raw = bytes_make(start, (size_t) (r->pos - start));
    item->body = bytes_make(body, (size_t) (r->pos - body));

    return 0;
}


int
cbor_enter(bytes_reader_t *r, cbor_item_t *item)
{
    return read_flat(r, item);
}


int
cbor_read(bytes_t b, cbor_item_t *item)
{
    bytes_reader_t  r;

    bytes_reader_open(&r, b);

    if (cbor_next(&r, item) != 0 || bytes_reader_left(&r) != 0) {
        return -1;
    }

    return 0;
}


int
cbor_map_find(const cbor_item_t *map, bytes_t key, cbor_item_t *value)
{
    size_t          i;
    cbor_item_t     name;
    bytes_reader_t  r;

    if (map->type != CBOR_MAP) {
        return -1;
    }

    bytes_reader_open(&r, map->body);

    for (i = 0; i < map->count; i++) {

        if (cbor_next(&r, &name) != 0 || cbor_next(&r, value) != 0) {
            return -1;
        }

        if (name.type == CBOR_TEXT && bytes_equal(name.bytes, key)) {
            return 0;
        }
    }

    return -1;
}


int
cbor_list_get(const cbor_item_t *list, size_t i, cbor_item_t *item)
{
    bytes_reader_t  r;

    if (list->type != CBOR_LIST || i >= list->count) {
        return -1;
    }

    bytes_reader_open(&r, list->body);

    do {
        if (cbor_next(&r, item) != 0) {
            return -1;
        }

    } while (i-- != 0);

    return 0;
}


void
cbor_write_integer(bytes_writer_t *w, int64_t value)
{
    if (value > CBOR_INTEGER_MAX || value < -CBOR_INTEGER_MAX) {
        w->failed = 1;
        return;
    }

    if (value >= 0) {
        write_head(w, CBOR_MAJOR_UNSIGNED, (uint64_t) value);

    } else {
        write_head(w, CBOR_MAJOR_NEGATIVE, (uint64_t) (-1 - value));
    }
}


void
cbor_write_bytes(bytes_writer_t *w, bytes_t b)
{
    write_head(w, CBOR_MAJOR_BYTES, b.len);
    bytes_writer_bytes(w, b);
}


void
cbor_write_text(bytes_writer_t *w, bytes_t text)
{
    if (!utf8_valid(text)) {
        w->failed = 1;
        return;
    }

    write_head(w, CBOR_MAJOR_TEXT, text.len);
    bytes_writer_bytes(w, text);
}


void
cbor_write_list(bytes_writer_t *w, size_t count)
{
    write_head(w, CBOR_MAJOR_LIST, count);
}


void
cbor_write_map(bytes_writer_t *w, size_t count)
{
    write_head(w, CBOR_MAJOR_MAP, count);
}


void
cbor_write_link(bytes_writer_t *w, bytes_t cid)
{
    if (cid.len == 0) {
        w->failed = 1;
        return;
    }

    write_head(w, CBOR_MAJOR_TAG, CBOR_TAG_LINK);
    write_head(w, CBOR_MAJOR_BYTES, (uint64_t) cid.len + 1);
    bytes_writer_byte(w, 0);
    bytes_writer_bytes(w, cid);
}


void
cbor_write_bool(bytes_writer_t *w, int value)
{
    write_head(w, CBOR_MAJOR_SIMPLE,
               value ? CBOR_INFO_TRUE : CBOR_INFO_FALSE);
}


void
cbor_write_null(bytes_writer_t *w)
{
    write_head(w, CBOR_MAJOR_SIMPLE, CBOR_INFO_NULL);
}


void
cbor_write_float(bytes_writer_t *w, double value)
{
    uint8_t   out[CBOR_HEAD_MAX];
    uint64_t  bits;
    unsigned  i;

    if (!isfinite(value)) {
        w->failed = 1;
        return;
    }

    memcpy(&bits, &value, sizeof(bits));
    out[0] = CBOR_MAJOR_SIMPLE << 5 | CBOR_INFO_DOUBLE;

    for (i = 0; i < 8; i++) {
        out[1 + i] = (uint8_t) (bits >> (56 - i * 8));
    }

    bytes_writer_put(w, out, sizeof(out));
}


int
cbor_key_compare(bytes_t a, bytes_t b)
{
    if (a.len != b.len) {
        return (a.len < b.len) ? -1 : 1;
    }

    return (a.len == 0) ? 0 : memcmp(a.data, b.data, a.len);
}


/* Reads a head in its shortest form.  The argument of a simple value is not
   shortened: there it is the value (a float). */
static int
read_head(bytes_reader_t *r, cbor_head_t *head)
{
    size_t   i, n;
    uint8_t  byte;
    bytes_t  tail;

    static const uint64_t  least[] = {
        24, 0x100, 0x10000, 0x100000000ULL
    };

    byte = bytes_reader_byte(r);

    if (r->failed) {
        return -1;
    }

    head->major = byte >> 5;
    head->info = byte & 0x1f;
    head->argument = head->info;

    if (head->info < 24) {
        return 0;
    }

    if (head->info > 27) {
        return -1;
    }

    /* one byte is what most strings have */

    if (head->info == 24 && r->pos != r->end) {
        head->argument = *r->pos++;

        return (head->major != CBOR_MAJOR_SIMPLE && head->argument < 24)
               ? -1 : 0;
    }

    n = (size_t) 1 << (head->info - 24);
    tail = bytes_reader_take(r, n);

    if (r->failed) {
        return -1;
    }

    head->argument = 0;

    for (i = 0; i < n; i++) {
        head->argument = head->argument << 8 | tail.data[i];
    }

    if (head->major != CBOR_MAJOR_SIMPLE
        && head->argument < least[head->info - 24])
    {
        return -1;
    }

    return 0;
}


/* Reads one item; of a list or a map only the head. */
static int
read_flat(bytes_reader_t *r, cbor_item_t *item)
{
    cbor_head_t  head;

    memset(item, 0, sizeof(cbor_item_t));
    item->type = CBOR_NULL;

    if (read_head(r, &head) != 0) {
        return -1;
    }

    switch (head.major) {

    case CBOR_MAJOR_UNSIGNED:
    case CBOR_MAJOR_NEGATIVE:
        return read_integer(&head, item);

    case CBOR_MAJOR_BYTES:
    case CBOR_MAJOR_TEXT:
        return read_string(r, &head, item);

    case CBOR_MAJOR_LIST:
    case CBOR_MAJOR_MAP:
        return read_count(r, &head, item);

    case CBOR_MAJOR_TAG:
        return read_link(r, &head, item);

    default:
        return read_simple(&head, item);
    }
}


static int
read_integer(const cbor_head_t *head, cbor_item_t *item)
{
    if (head->argument > integer_max(head)) {
        return -1;
    }

    item->type = CBOR_INTEGER;
    item->integer = (int64_t) head->argument;

    if (head->major == CBOR_MAJOR_NEGATIVE) {
        item->integer = -1 - item->integer;
    }

    return 0;
}


/* The negative of argument n is -1 - n. */
static uint64_t
integer_max(const cbor_head_t *head)
{
    return CBOR_INTEGER_MAX - (head->major == CBOR_MAJOR_NEGATIVE);
}


static int
read_string(bytes_reader_t *r, const cbor_head_t *head, cbor_item_t *item)
{
    if (head->argument > bytes_reader_left(r)) {
        return -1;
    }

    item->type = (head->major == CBOR_MAJOR_TEXT) ? CBOR_TEXT : CBOR_BYTES;
    item->bytes = bytes_reader_take(r, (size_t) head->argument);

    return 0;
}


static int
read_count(bytes_reader_t *r, const cbor_head_t *head, cbor_item_t *item)
{
    size_t  max;

    max = bytes_reader_left(r);

    if (head->major == CBOR_MAJOR_MAP) {
        max /= 2;
    }

    if (head->argument > max) {
        return -1;
    }

    item->type = (head->major == CBOR_MAJOR_MAP) ? CBOR_MAP : CBOR_LIST;
    item->count = (size_t) head->argument;

    return 0;
}


/* Tag 42 over a byte string that starts with the identity multibase, 00. */
static int
read_link(bytes_reader_t *r, const cbor_head_t *head, cbor_item_t *item)
{
    cbor_head_t  string;

    if (head->argument != CBOR_TAG_LINK
        || read_head(r, &string) != 0
        || string.major != CBOR_MAJOR_BYTES
        || read_string(r, &string, item) != 0
        || item->bytes.len < 2
        || item->bytes.data[0] != 0)
    {
        return -1;
    }

    item->type = CBOR_LINK;
    item->bytes = bytes_make(item->bytes.data + 1, item->bytes.len - 1);

    return 0;
}


static int
read_simple(const cbor_head_t *head, cbor_item_t *item)
{
    switch (head->info) {

    case CBOR_INFO_FALSE:
    case CBOR_INFO_TRUE:
        item->type = CBOR_BOOL;
        item->integer = (head->info == CBOR_INFO_TRUE);
        return 0;

    case CBOR_INFO_NULL:
        item->type = CBOR_NULL;
        return 0;

    case CBOR_INFO_DOUBLE:
        item->type = CBOR_FLOAT;
        memcpy(&item->number, &head->argument, sizeof(double));
        return isfinite(item->number) ? 0 : -1;

    default:
        return -1;
    }
}


/* Moves behind the content of an item whose head was just read.  A counter
   stands for the stack: only the number of items to come matters. */
static int
skip_content(bytes_reader_t *r, const cbor_item_t *item)
{
    uint64_t  left, inside;

    left = count_children(item);

    while (left != 0) {

        /* counts that no remaining byte could fill end here, so the sum
           stays far from its range */

        if (left > bytes_reader_left(r) || skip_flat(r, &inside) != 0) {
            return -1;
        }

        left = left - 1 + inside;
    }

    return 0;
}


/* As read_flat(), for who only wants to know how many items come inside. */
static int
skip_flat(bytes_reader_t *r, uint64_t *inside)
{
    cbor_head_t     head;
    cbor_item_t     item;
    const uint8_t  *start;

    start = r->pos;

    if (read_head(r, &head) != 0) {
        return -1;
    }

    *inside = 0;

    switch (head.major) {

    case CBOR_MAJOR_BYTES:
    case CBOR_MAJOR_TEXT:

        if (head.argument > bytes_reader_left(r)) {
            return -1;
        }

        r->pos += head.argument;

        return 0;

    case CBOR_MAJOR_UNSIGNED:
    case CBOR_MAJOR_NEGATIVE:
        return (head.argument > integer_max(&head)) ? -1 : 0;

    default:
        break;
    }

    r->pos = start;

    if (read_flat(r, &item) != 0) {
        return -1;
    }

    *inside = count_children(&item);

    return 0;
}


/* Keys are text in ascending order, hence without repeats. */
static int
check_key(cbor_level_t *level, const cbor_item_t *item)
{
    if (item->type != CBOR_TEXT) {
        return -1;
    }

    if (level->key.data != NULL
        && cbor_key_compare(level->key, item->bytes) >= 0)
    {
        return -1;
    }

    level->key = item->bytes;

    return 0;
}


/* Items inside a list or map, keys included; 0 for all others. */
static uint64_t
count_children(const cbor_item_t *item)
{
    return (item->type == CBOR_MAP) ? (uint64_t) item->count * 2
                                    : item->count;
}


static void
write_head(bytes_writer_t *w, unsigned major, uint64_t argument)
{
    size_t    i, n;
    uint8_t   out[CBOR_HEAD_MAX];
    unsigned  info;

    if (argument < 24) {
        bytes_writer_byte(w, (uint8_t) (major << 5 | argument));
        return;
    }

    info = 24;

    for (n = 1; n < 8 && argument >> n * 8 != 0; n *= 2) {
        info++;
    }

    out[0] = (uint8_t) (major << 5 | info);

    for (i = 0; i < n; i++) {
        out[1 + i] = (uint8_t) (argument >> (n - 1 - i) * 8);
    }

    bytes_writer_put(w, out, 1 + n);
}
