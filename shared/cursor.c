/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Opaque, authenticated cursors.
 *
 *      base64url( payload | tag )     tag = BLAKE2b-128( key,
 *                                           scope | 0x00 | payload )
 *
 * The 0x00 ends the scope, so a scope never holds one.  Any thread; the key
 * is borrowed and what was derived from it is wiped.
 */


#include <sodium.h>

#include "base64.h"
#include "cursor.h"


#define CURSOR_BODY_MAX  (CURSOR_PAYLOAD_MAX + CURSOR_TAG_LEN)


_Static_assert(CURSOR_BODY_MAX * 4 <= CURSOR_TEXT_MAX * 3,
               "the longest cursor fits its text");


static int write_tag(const uint8_t *key, bytes_t scope, bytes_t payload,
    uint8_t *tag);


int
cursor_encode(const uint8_t *key, bytes_t scope, bytes_t payload,
    bytes_writer_t *w)
{
    uint8_t         body[CURSOR_BODY_MAX], tag[CURSOR_TAG_LEN];
    bytes_writer_t  b;

    if (payload.len > CURSOR_PAYLOAD_MAX
        || write_tag(key, scope, payload, tag) != 0)
    {
        return -1;
    }

    bytes_writer_open(&b, body, sizeof(body));
    bytes_writer_bytes(&b, payload);
    bytes_writer_put(&b, tag, sizeof(tag));

    return base64_encode(BASE64_URL, bytes_writer_view(&b), w);
}


int
cursor_decode(const uint8_t *key, bytes_t scope, bytes_t text,
    bytes_writer_t *w)
{
    int             rc;
    uint8_t         body[CURSOR_BODY_MAX], tag[CURSOR_TAG_LEN];
    bytes_t         payload;
    bytes_writer_t  b;

    bytes_writer_open(&b, body, sizeof(body));

    if (text.len > CURSOR_TEXT_MAX
        || base64_decode(BASE64_URL, text, &b) != 0
        || bytes_writer_view(&b).len < CURSOR_TAG_LEN)
    {
        return -1;
    }

    payload = bytes_writer_view(&b);
    payload.len -= CURSOR_TAG_LEN;

    if (write_tag(key, scope, payload, tag) != 0) {
        return -1;
    }

    /* the right tag of a forged cursor is as good as the cursor */

    rc = sodium_memcmp(tag, payload.data + payload.len, CURSOR_TAG_LEN);
    sodium_memzero(tag, sizeof(tag));

    if (rc != 0) {
        return -1;
    }

    bytes_writer_bytes(w, payload);

    return w->failed ? -1 : 0;
}


static int
write_tag(const uint8_t *key, bytes_t scope, bytes_t payload, uint8_t *tag)
{
    int                       rc;
    crypto_generichash_state  state;

    static const uint8_t  zero = 0;

    if (scope.len != 0 && memchr(scope.data, 0, scope.len) != NULL) {
        return -1;
    }

    rc = crypto_generichash_init(&state, key, CURSOR_KEY_LEN, CURSOR_TAG_LEN);
    rc |= crypto_generichash_update(&state, scope.data, scope.len);
    rc |= crypto_generichash_update(&state, &zero, 1);
    rc |= crypto_generichash_update(&state, payload.data, payload.len);
    rc |= crypto_generichash_final(&state, tag, CURSOR_TAG_LEN);

    sodium_memzero(&state, sizeof(state));

    return (rc == 0) ? 0 : -1;
}
