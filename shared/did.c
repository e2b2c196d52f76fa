/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * did:key: text to public key and back.  One row of the table for each key
 * type: the multicodec that names it and the length that it must have.
 *
 * Any thread; decides on form alone, cryptography is signature.c.
 */


#include "base58.h"
#include "did.h"
#include "varint.h"


#define DID_ED25519_CODE     0xed    /* multicodec ed25519-pub */
#define DID_ED25519_KEY_LEN  32      /* bytes */


typedef struct {
    uint64_t         code;        /* multicodec */
    size_t           len;         /* bytes of the key behind it */
    did_algorithm_t  algorithm;
} did_type_t;


static const did_type_t *find_type(uint64_t code);


static const bytes_t  did_prefix = bytes_literal("did:key:z");


static const did_type_t  did_types[] = {
    { DID_ED25519_CODE, DID_ED25519_KEY_LEN, DID_ED25519 }
};


int
did_parse(bytes_t text, did_key_t *key)
{
    uint8_t            buf[BASE58_BYTES_MAX];
    bytes_t            rest;
    bytes_reader_t     r;
    bytes_writer_t     w;
    const did_type_t  *type;

    key->len = 0;

    if (text.len > DID_TEXT_MAX || !bytes_start_with(text, did_prefix)) {
        return -1;
    }

    rest = bytes_make(text.data + did_prefix.len,
                      text.len - did_prefix.len);

    bytes_writer_open(&w, buf, sizeof(buf));

    if (base58_decode(rest, &w) != 0) {
        return -1;
    }

    bytes_reader_open(&r, bytes_writer_view(&w));
    type = find_type(varint_read(&r));

    if (r.failed || type == NULL || bytes_reader_left(&r) != type->len) {
        return -1;
    }

    key->algorithm = type->algorithm;
    key->len = type->len;
    memcpy(key->key, r.pos, type->len);

    return 0;
}


int
did_write_ed25519(const uint8_t *key, bytes_writer_t *w)
{
    uint8_t         buf[DID_ED25519_KEY_LEN + 2], *start;
    bytes_writer_t  b;

    bytes_writer_open(&b, buf, sizeof(buf));
    varint_write(&b, DID_ED25519_CODE);
    bytes_writer_put(&b, key, DID_ED25519_KEY_LEN);

    start = w->pos;
    bytes_writer_bytes(w, did_prefix);

    if (base58_encode(bytes_writer_view(&b), w) != 0) {
        w->pos = start;
        return -1;
    }

    return 0;
}


static const did_type_t *
find_type(uint64_t code)
{
    size_t  i;

    for (i = 0; i < sizeof(did_types) / sizeof(did_types[0]); i++) {

        if (did_types[i].code == code) {
            return &did_types[i];
        }
    }

    return NULL;
}
