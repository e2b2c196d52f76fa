/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * cursor.c: a cursor comes back, and only under its key, in its scope, and
 * unchanged to the last bit.
 */


#include <sodium.h>

#include "cursor.h"
#include "tap.h"


static uint8_t  key[CURSOR_KEY_LEN];


/* Decodes into a buffer of its own; the payload is compared with "want". */
static int
decode(bytes_t scope, bytes_t text, bytes_t want)
{
    uint8_t         buf[CURSOR_PAYLOAD_MAX];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));

    if (cursor_decode(key, scope, text, &w) != 0) {
        return (bytes_writer_view(&w).len == 0) ? -1 : -2;
    }

    return bytes_equal(bytes_writer_view(&w), want) ? 0 : -3;
}


static void
test_every_length(void)
{
    size_t          n, wrong;
    uint8_t         payload[CURSOR_PAYLOAD_MAX + 1], text[CURSOR_TEXT_MAX];
    bytes_t         scope;
    bytes_writer_t  w;

    scope = bytes_of("p_1/rooms");
    memset(payload, 'k', sizeof(payload));
    wrong = 0;

    for (n = 0; n <= CURSOR_PAYLOAD_MAX; n++) {
        bytes_writer_open(&w, text, sizeof(text));

        wrong += cursor_encode(key, scope, bytes_make(payload, n), &w) != 0
                 || decode(scope, bytes_writer_view(&w),
                           bytes_make(payload, n)) != 0;
    }

    tap_ok(wrong == 0, "payloads of every length come back");

    bytes_writer_open(&w, text, sizeof(text));
    tap_ok(cursor_encode(key, scope, bytes_make(payload, sizeof(payload)),
                         &w) != 0, "one too long is not encoded");

    bytes_writer_open(&w, text, 30);
    tap_ok(cursor_encode(key, scope, bytes_make(payload, 16), &w) != 0
           && bytes_writer_view(&w).len == 0, "nor one without room");
}


static void
test_refused(void)
{
    size_t          i, taken;
    uint8_t         text[CURSOR_TEXT_MAX + 1], c;
    bytes_t         scope, payload, cursor;
    unsigned        bit;
    bytes_writer_t  w;

    scope = bytes_of("p_1/rooms");
    payload = bytes_of("name/after");
    bytes_writer_open(&w, text, sizeof(text));
    (void) cursor_encode(key, scope, payload, &w);
    cursor = bytes_writer_view(&w);

    tap_ok(decode(scope, cursor, payload) == 0, "a cursor of ours is taken");
    tap_ok(decode(bytes_of("p_2/rooms"), cursor, payload) == -1,
           "not by somebody else");
    tap_ok(decode(bytes_of(""), cursor, payload) == -1,
           "not without a scope");
    tap_ok(decode(bytes_of("p_1/roomsname"), cursor, payload) == -1,
           "not with a scope that reaches into the payload");

    taken = 0;

    for (i = 0; i < cursor.len; i++) {
        taken += decode(scope, bytes_make(cursor.data, i), payload) != -1;

        for (bit = 0; bit < 8; bit++) {
            c = text[i];
            text[i] ^= (uint8_t) (1 << bit);
            taken += decode(scope, cursor, payload) != -1;
            text[i] = c;
        }
    }

    tap_ok(taken == 0, "not with a bit changed, not cut short");

    tap_ok(decode(scope, bytes_of(""), payload) == -1
           && decode(scope, bytes_of("AAAA"), payload) == -1
           && decode(scope, bytes_of("????"), payload) == -1,
           "junk is refused");

    memset(text, 'A', sizeof(text));
    tap_ok(decode(scope, bytes_make(text, CURSOR_TEXT_MAX), payload) == -1
           && decode(scope, bytes_make(text, sizeof(text)), payload) == -1,
           "long junk is refused");
}


static void
test_key_and_scope(void)
{
    uint8_t         text[CURSOR_TEXT_MAX];
    bytes_t         cursor;
    bytes_writer_t  w;

    bytes_writer_open(&w, text, sizeof(text));
    tap_ok(cursor_encode(key, bytes_make("a\0b", 3), bytes_of("c"), &w) != 0
           && cursor_decode(key, bytes_make("a\0b", 3), bytes_of(""), &w)
              != 0, "a scope holds no NUL, which would end it");

    bytes_writer_open(&w, text, sizeof(text));
    (void) cursor_encode(key, bytes_of("a"), bytes_of("b"), &w);
    cursor = bytes_writer_view(&w);

    key[0] ^= 1;
    tap_ok(decode(bytes_of("a"), cursor, bytes_of("b")) == -1,
           "another key takes no cursor of this one");
    key[0] ^= 1;
}


int
main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }

    randombytes_buf(key, sizeof(key));

    test_every_length();
    test_refused();
    test_key_and_scope();

    return tap_done();
}
