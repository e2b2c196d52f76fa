/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Keys of the MongoDB adapter: text whose order is that of the bytes, and
 * back.  Needs no server; without libmongoc there is nothing to test.
 */


#include <stdlib.h>

#include "store_mongo.h"
#include "tap.h"


#ifdef STORE_HAVE_MONGO

#define KEYS    400
#define ROUNDS  40000


static const char  test_id[] = "0123456789abcdef";


static int
compare_bytes(bytes_t a, bytes_t b)
{
    int     rc;
    size_t  len;

    len = (a.len < b.len) ? a.len : b.len;
    rc = len ? memcmp(a.data, b.data, len) : 0;

    return rc ? rc : (a.len > b.len) - (a.len < b.len);
}


static int
sign(int n)
{
    return (n > 0) - (n < 0);
}


/* Bytes that sit close to each other, so that orders differ late. */
static bytes_t
make_key(uint8_t *buffer)
{
    static const uint8_t  edges[] = {
        0, 1, 2, 3, 'a', 'b', 0x7e, 0x7f, 0x80, 0x81, 0xbf, 0xc0, 0xfe, 0xff
    };

    size_t  i, len;

    len = (size_t) rand() % 5;

    for (i = 0; i < len; i++) {
        buffer[i] = edges[(size_t) rand() % sizeof(edges)];
    }

    return bytes_make(buffer, len);
}


static void
test_order_of_places(void)
{
    char      x[STORE_MONGO_PLACE_MAX], y[STORE_MONGO_PLACE_MAX];
    size_t    i, wrong;
    uint8_t   a[8], b[8];
    bytes_t   left, right;

    wrong = 0;

    for (i = 0; i < ROUNDS; i++) {
        left = make_key(a);
        right = make_key(b);

        (void) store_mongo_document_place(test_id, left, x);
        (void) store_mongo_document_place(test_id, right, y);

        wrong += sign(strcmp(x, y)) != sign(compare_bytes(left, right));
    }

    tap_ok(wrong == 0, "the order of places is that of the keys");
}


static void
test_way_back(void)
{
    char      text[STORE_MONGO_PLACE_MAX];
    size_t    i, len, wrong;
    uint8_t   key[STORE_KEY_MAX], back[STORE_MONGO_PLACE_MAX];
    ssize_t   n;

    wrong = 0;

    for (i = 0; i < KEYS; i++) {
        for (len = 0; len < i; len++) {
            key[len] = (uint8_t) (len * 7 + i);
        }

        len = store_mongo_document_place(test_id, bytes_make(key, i), text);
        n = store_mongo_document_key(text, len, back);

        wrong += n != (ssize_t) i || memcmp(key, back, i) != 0
                 || strlen(text) != len
                 || !bson_utf8_validate(text, len, false);
    }

    tap_ok(wrong == 0, "places are UTF-8 without zero bytes and say the key");

    for (i = 0; i < 256; i++) {
        key[i] = (uint8_t) i;
    }

    len = store_mongo_document_place(test_id, bytes_make(key, 256), text);

    tap_ok(len < STORE_MONGO_PLACE_MAX
           && store_mongo_document_key(text, len, back) == 256
           && memcmp(key, back, 256) == 0, "every byte can be in a key");
}


static void
test_longest(void)
{
    char      text[STORE_MONGO_PLACE_MAX];
    size_t    len;
    uint8_t   key[STORE_KEY_MAX + 1];

    memset(key, 0, sizeof(key));
    len = store_mongo_document_place(test_id, bytes_make(key, sizeof(key)),
                                     text);

    tap_ok(len == sizeof(text) - 1, "the longest key fits to the byte");
}


static void
test_damaged(void)
{
    size_t    i, wrong;
    uint8_t   back[64];

    static const char *const  texts[] = {
        "0123456789abcdef\x01", "0123456789abcdef\x01\x03",
        "0123456789abcdef\xc4\x80", "0123456789abcdef\xc3",
        "0123456789abcdef\xe2\x82\xac", "0123456789abcdef\x80"
    };

    wrong = 0;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        wrong += store_mongo_document_key(texts[i], strlen(texts[i]), back)
                 != -1;
    }

    tap_ok(wrong == 0, "what is no place is refused");
}


static void
test_numbers(void)
{
    char  a[2 * STORE_MONGO_ID_LEN + 1], b[2 * STORE_MONGO_ID_LEN + 1];

    (void) store_mongo_document_number(test_id, 9, a);
    (void) store_mongo_document_number(test_id, 10, b);

    tap_ok(strcmp(a, b) < 0, "9 is before 10");

    (void) store_mongo_document_number(test_id, UINT64_MAX, b);

    tap_ok(strcmp(a, b) < 0 && strlen(b) == 2 * STORE_MONGO_ID_LEN,
           "the greatest number fits");
}


static void
test_item_and_back(void)
{
    bson_t              document;
    store_mongo_item_t  item, back;

    memset(&item, 0, sizeof(store_mongo_item_t));
    item.seq = 7;
    item.at_ms = 1700000000000;
    item.expires_ms = 1700000000001;
    item.size = 3;
    item.weight = 1ULL << 40;
    item.logged = 1;
    item.meta = bytes_of("text/plain");
    item.value = bytes_make("a\0b", 3);

    bson_init(&document);
    store_mongo_document_add_item(&document, &item);
    store_mongo_document_item(&document, &back);

    tap_ok(back.seq == 7 && back.at_ms == item.at_ms
           && back.expires_ms == item.expires_ms && back.size == 3
           && back.weight == item.weight && back.logged == 1
           && bytes_equal(back.meta, item.meta)
           && bytes_equal(back.value, item.value),
           "an item comes back from its document");

    bson_destroy(&document);
}


int
main(void)
{
    srand(11);

    test_order_of_places();
    test_way_back();
    test_longest();
    test_damaged();
    test_numbers();
    test_item_and_back();

    return tap_done();
}

#else


int
main(void)
{
    tap_skip("libmongoc is not there", "keys of the MongoDB adapter");

    return tap_done();
}

#endif
