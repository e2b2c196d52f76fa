/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * cbor.c: what DAG-CBOR allows and refuses, case by case, every prefix and
 * every flipped byte, the readers, the writers and the bounds.
 */


#include <math.h>
#include <stdlib.h>

#include "cbor.h"
#include "tap.h"


#define TEST_ROOM  4096           /* bytes */


typedef struct {
    const char  *name;
    const char  *hex;
} cbor_case_t;


static const cbor_case_t  accepted[] = {
    { "0", "00" },
    { "23", "17" },
    { "24", "1818" },
    { "256", "190100" },
    { "65536", "1a00010000" },
    { "2^32", "1b0000000100000000" },
    { "2^53-1", "1b001fffffffffffff" },
    { "-1", "20" },
    { "-(2^53-1)", "3b001ffffffffffffe" },
    { "empty bytes", "40" },
    { "bytes", "43010203" },
    { "empty text", "60" },
    { "text", "6568c3a96c6c" },
    { "empty list", "80" },
    { "list", "83010203" },
    { "nested lists", "818181818100" },
    { "empty map", "a0" },
    { "map", "a2616101616202" },
    { "shorter key first", "a2617a0162616102" },
    { "the empty key", "a26000616101" },
    { "maps side by side", "82a1616101a1616101" },
    { "map in a map", "a16161a1616101" },
    { "link", "d82a450001551220" },
    { "false", "f4" },
    { "true", "f5" },
    { "null", "f6" },
    { "1.1", "fb3ff199999999999a" },
    { "-0.0", "fb8000000000000000" },
    { "the largest float", "fb7fefffffffffffff" }
};


static const cbor_case_t  refused[] = {
    { "nothing", "" },
    { "0 in two bytes", "1800" },
    { "23 in two bytes", "1817" },
    { "255 in three bytes", "1900ff" },
    { "65535 in five bytes", "1a0000ffff" },
    { "2^32-1 in nine bytes", "1b00000000ffffffff" },
    { "2^53", "1b0020000000000000" },
    { "2^64-1", "1bffffffffffffffff" },
    { "-2^53", "3b001fffffffffffff" },
    { "reserved info 28", "1c" },
    { "reserved info 30", "1e" },
    { "truncated head", "1901" },
    { "truncated bytes", "430102" },
    { "long length of bytes", "580101" },
    { "bytes longer than memory", "5bffffffffffffffff00" },
    { "indefinite bytes", "5f4101ff" },
    { "indefinite text", "7f6161ff" },
    { "text that is not UTF-8", "61ff" },
    { "surrogate in text", "63eda080" },
    { "indefinite list", "9f01ff" },
    { "long count of a list", "980101" },
    { "list with one too few", "8201" },
    { "list longer than memory", "9bffffffffffffffff" },
    { "list longer than the rest", "9a0001000000" },
    { "indefinite map", "bf616101ff" },
    { "map with a key alone", "a16161" },
    { "map longer than memory", "bb800000000000000100" },
    { "keys out of order", "a2616202616101" },
    { "longer key first", "a262616101617a02" },
    { "repeated key", "a2616101616102" },
    { "repeated empty key", "a260016002" },
    { "integer key", "a10102" },
    { "bytes key", "a1416102" },
    { "key that is not UTF-8", "a161ff02" },
    { "repeated key, deep", "81a16161a2616101616102" },
    { "tag 0", "c06161" },
    { "tag 24", "d8184100" },
    { "tag 42 in a long head", "d9002a450001551220" },
    { "link over text", "d82a6100" },
    { "link without 00", "d82a450155122000" },
    { "link that is only 00", "d82a4100" },
    { "empty link", "d82a40" },
    { "tag 42 alone", "d82a" },
    { "link in a link", "d82ad82a450001551220" },
    { "undefined", "f7" },
    { "simple 0", "e0" },
    { "simple 32", "f820" },
    { "false in two bytes", "f814" },
    { "half float", "f93c00" },
    { "single float", "fa3f800000" },
    { "NaN", "fb7ff8000000000000" },
    { "infinity", "fb7ff0000000000000" },
    { "-infinity", "fbfff0000000000000" },
    { "break", "ff" },
    { "two items", "0000" },
    { "a byte behind a list", "810000" }
};


/* Decodes hex into a heap block of exactly that size (owned by the caller),
   so that a sanitizer sees one byte too far. */
static bytes_t
parse_hex(const char *hex)
{
    char      pair[3];
    size_t    i, len;
    uint8_t  *data;

    len = strlen(hex) / 2;
    data = malloc(len ? len : 1);

    if (data == NULL) {
        abort();
    }

    pair[2] = '\0';

    for (i = 0; i < len; i++) {
        pair[0] = hex[i * 2];
        pair[1] = hex[i * 2 + 1];
        data[i] = (uint8_t) strtoul(pair, NULL, 16);
    }

    return bytes_make(data, len);
}


static void
write_item(bytes_writer_t *w, const cbor_item_t *item)
{
    cbor_item_t     child;
    bytes_reader_t  r;

    switch (item->type) {

    case CBOR_INTEGER:
        cbor_write_integer(w, item->integer);
        return;

    case CBOR_BYTES:
        cbor_write_bytes(w, item->bytes);
        return;

    case CBOR_TEXT:
        cbor_write_text(w, item->bytes);
        return;

    case CBOR_LINK:
        cbor_write_link(w, item->bytes);
        return;

    case CBOR_BOOL:
        cbor_write_bool(w, (int) item->integer);
        return;

    case CBOR_NULL:
        cbor_write_null(w);
        return;

    case CBOR_FLOAT:
        cbor_write_float(w, item->number);
        return;

    case CBOR_LIST:
        cbor_write_list(w, item->count);
        break;

    case CBOR_MAP:
        cbor_write_map(w, item->count);
        break;
    }

    bytes_reader_open(&r, item->body);

    while (bytes_reader_left(&r) != 0 && cbor_next(&r, &child) == 0) {
        write_item(w, &child);
    }
}


static int
survive(bytes_t b)
{
    uint8_t         out[TEST_ROOM];
    cbor_item_t     item;
    bytes_writer_t  w;

    if (cbor_read(b, &item) != 0 || !bytes_equal(item.raw, b)) {
        return 0;
    }

    bytes_writer_open(&w, out, sizeof(out));
    write_item(&w, &item);

    return !w.failed && bytes_equal(bytes_writer_view(&w), b);
}


static void
test_accepted(void)
{
    size_t   i, n, cut;
    bytes_t  b;

    for (i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
        b = parse_hex(accepted[i].hex);

        tap_ok(cbor_validate(b) == 0, "%s is canonical", accepted[i].name);
        tap_ok(survive(b), "%s reads and writes back", accepted[i].name);

        cut = 0;

        for (n = 0; n < b.len; n++) {
            cut += cbor_validate(bytes_make(b.data, n)) == 0;
        }

        tap_ok(cut == 0, "%s cut short is refused", accepted[i].name);

        free((void *) (uintptr_t) b.data);
    }
}


static void
test_refused(void)
{
    size_t   i;
    bytes_t  b;

    for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        b = parse_hex(refused[i].hex);

        tap_ok(cbor_validate(b) != 0, "%s is refused", refused[i].name);

        free((void *) (uintptr_t) b.data);
    }
}


static void
test_any_byte_flipped(void)
{
    int             value;
    size_t          i, lost;
    uint8_t         copy[64];
    bytes_t         b, text;
    cbor_item_t     item;
    bytes_reader_t  r;

    /* whatever passes the check is read and written back unchanged; what
       does not pass must not hurt the readers */

    text = parse_hex("a3616101616282d82a450001551220fb3ff199999999999a616383"
                     "f54361626380");
    b = bytes_make(memcpy(copy, text.data, text.len), text.len);
    lost = !survive(b);

    for (i = 0; i < b.len; i++) {

        for (value = 0; value < 256; value++) {
            copy[i] ^= (uint8_t) value;

            if (cbor_validate(b) == 0) {
                lost += !survive(b);

            } else {
                bytes_reader_open(&r, b);
                while (cbor_next(&r, &item) == 0) { /* void */ }
            }

            copy[i] ^= (uint8_t) value;
        }
    }

    free((void *) (uintptr_t) text.data);

    tap_ok(lost == 0, "with any byte changed, what is valid has one form");
}


static void
test_depth(void)
{
    uint8_t      deep[CBOR_DEPTH_MAX + 2];
    cbor_item_t  item;

    memset(deep, 0x81, sizeof(deep));

    deep[CBOR_DEPTH_MAX] = 0x00;
    tap_ok(cbor_validate(bytes_make(deep, CBOR_DEPTH_MAX + 1)) == 0,
           "64 lists deep is allowed");

    deep[CBOR_DEPTH_MAX] = 0x81;
    deep[CBOR_DEPTH_MAX + 1] = 0x00;
    tap_ok(cbor_validate(bytes_make(deep, CBOR_DEPTH_MAX + 2)) != 0,
           "65 is not");
    tap_ok(cbor_read(bytes_make(deep, CBOR_DEPTH_MAX + 2), &item) == 0,
           "a reader passes over any depth");
}


static void
test_map_and_list(void)
{
    bytes_t         b;
    cbor_item_t     map, key, item;
    bytes_reader_t  r;

    /* { "a": [1, "x"], "b": h'00', "aa": true } */

    b = parse_hex("a361618201617861624100626161f5");

    tap_ok(cbor_validate(b) == 0 && cbor_read(b, &map) == 0
           && map.type == CBOR_MAP && map.count == 3, "a map is read");

    tap_ok(cbor_map_find(&map, bytes_of("aa"), &item) == 0
           && item.type == CBOR_BOOL && item.integer == 1,
           "the last member is found");
    tap_ok(cbor_map_find(&map, bytes_of("x"), &item) != 0,
           "text inside a value is not taken for a key");
    tap_ok(cbor_map_find(&map, bytes_of("ab"), &item) != 0,
           "an absent key is not found");

    tap_ok(cbor_map_find(&map, bytes_of("a"), &item) == 0
           && item.type == CBOR_LIST && item.count == 2
           && item.raw.len == 4 && item.body.len == 3,
           "a list has its raw bytes and its body");

    bytes_reader_open(&r, b);

    tap_ok(cbor_enter(&r, &map) == 0 && map.type == CBOR_MAP
           && map.count == 3
           && cbor_next(&r, &key) == 0 && bytes_equal_text(key.bytes, "a")
           && cbor_enter(&r, &key) == 0 && key.type == CBOR_LIST
           && cbor_next(&r, &key) == 0 && key.integer == 1,
           "a map and a list in it are entered");

    tap_ok(cbor_list_get(&item, 2, &map) != 0, "a list ends");
    tap_ok(cbor_list_get(&item, 1, &map) == 0 && map.type == CBOR_TEXT
           && bytes_equal_text(map.bytes, "x"), "its items are had by number");
    tap_ok(cbor_map_find(&map, bytes_of("a"), &item) != 0
           && cbor_list_get(&map, 0, &item) != 0,
           "text is neither a map nor a list");

    free((void *) (uintptr_t) b.data);
}


static void
test_writers_refuse(void)
{
    size_t          i;
    uint8_t         out[TEST_ROOM];
    bytes_writer_t  w[6];

    for (i = 0; i < 6; i++) {
        bytes_writer_open(&w[i], out, sizeof(out));
    }

    cbor_write_integer(&w[0], CBOR_INTEGER_MAX + 1);
    cbor_write_integer(&w[1], -CBOR_INTEGER_MAX - 1);
    cbor_write_float(&w[2], NAN);
    cbor_write_float(&w[3], -INFINITY);
    cbor_write_text(&w[4], bytes_of("\xff"));
    cbor_write_link(&w[5], bytes_of(""));

    for (i = 0; i < 6; i++) {
        tap_ok(w[i].failed, "writer %zu refuses what readers refuse", i + 1);
    }

    bytes_writer_open(&w[0], out, 2);
    cbor_write_text(&w[0], bytes_of("abc"));
    tap_ok(w[0].failed, "no room is remembered");
}


static void
test_key_order(void)
{
    tap_ok(cbor_key_compare(bytes_of("z"), bytes_of("aa")) < 0,
           "a shorter key comes first");
    tap_ok(cbor_key_compare(bytes_of("ab"), bytes_of("aa")) > 0,
           "then bytes decide");
    tap_ok(cbor_key_compare(bytes_of("\xc3\xa9"), bytes_of("zz")) > 0,
           "as unsigned numbers");
    tap_ok(cbor_key_compare(bytes_of(""), bytes_make(NULL, 0)) == 0,
           "equal keys are equal");
}


int
main(void)
{
    test_accepted();
    test_refused();
    test_any_byte_flipped();
    test_depth();
    test_map_and_list();
    test_writers_refuse();
    test_key_order();

    return tap_done();
}
