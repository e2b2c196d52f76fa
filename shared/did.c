/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * did:key: text to public key and back.  One row of the table for each key
 * type: the multicodec that names it and the form that it must have.
 *
 *     Ed25519     ed 01 | 32 bytes
 *     secp256k1   e7 01 | 02 or 03, 32 bytes
 *     P-256       80 24 | 02 or 03, 32 bytes
 *     P-384       81 24 | 02 or 03, 48 bytes
 *     P-521       82 24 | 02 or 03, 66 bytes
 *     RSA         85 24 | RSAPublicKey
 *
 * Key agreement keys (X25519), BLS and the older prefix of RSA (00 f5 02) are
 * not here: nothing that we accept is signed with them.
 *
 * Any thread; decides on form alone, cryptography is signature.c.
 */


#include "base58.h"
#include "did.h"
#include "did_rsa.h"
#include "varint.h"


#define DID_CODE_LEN         2    /* bytes of each multicodec here */
#define DID_ED25519_KEY_LEN  32   /* bytes */


typedef struct {
    uint64_t   code;              /* multicodec */
    size_t     len;               /* bytes of the key; 0: its form tells */
    int      (*check)(bytes_t key);
} did_type_t;


static const did_type_t *find_type(uint64_t code);
static int check_key(const did_type_t *type, bytes_t key);
static int check_raw(bytes_t key);
static int check_point(bytes_t key);
static int check_rsa(bytes_t key);
static int write_text(bytes_t binary, bytes_writer_t *w);


static const bytes_t  did_prefix = bytes_literal("did:key:z");


static const did_type_t  did_types[DID_ALGORITHM_COUNT] = {
    [DID_ED25519] =   { 0xed,   DID_ED25519_KEY_LEN, check_raw },
    [DID_SECP256K1] = { 0xe7,   33,                  check_point },
    [DID_P256] =      { 0x1200, 33,                  check_point },
    [DID_P384] =      { 0x1201, 49,                  check_point },
    [DID_P521] =      { 0x1202, 67,                  check_point },
    [DID_RSA] =       { 0x1205, 0,                   check_rsa }
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

    if (r.failed || type == NULL) {
        return -1;
    }

    rest = bytes_reader_take(&r, bytes_reader_left(&r));

    if (!check_key(type, rest)) {
        return -1;
    }

    key->algorithm = (did_algorithm_t) (type - did_types);
    key->len = rest.len;
    memcpy(key->key, rest.data, rest.len);

    return 0;
}


int
did_write(const did_key_t *key, bytes_writer_t *w)
{
    uint8_t            buf[DID_KEY_MAX + DID_CODE_LEN];
    bytes_writer_t     b;
    const did_type_t  *type;

    if ((size_t) key->algorithm >= DID_ALGORITHM_COUNT) {
        return -1;
    }

    type = &did_types[key->algorithm];

    if (!check_key(type, bytes_make(key->key, key->len))) {
        return -1;
    }

    bytes_writer_open(&b, buf, sizeof(buf));
    varint_write(&b, type->code);
    bytes_writer_put(&b, key->key, key->len);

    return write_text(bytes_writer_view(&b), w);
}


int
did_write_ed25519(const uint8_t *key, bytes_writer_t *w)
{
    uint8_t         buf[DID_ED25519_KEY_LEN + DID_CODE_LEN];
    bytes_writer_t  b;

    bytes_writer_open(&b, buf, sizeof(buf));
    varint_write(&b, did_types[DID_ED25519].code);
    bytes_writer_put(&b, key, DID_ED25519_KEY_LEN);

    return write_text(bytes_writer_view(&b), w);
}


static const did_type_t *
find_type(uint64_t code)
{
    size_t  i;

    for (i = 0; i < DID_ALGORITHM_COUNT; i++) {

        if (did_types[i].code == code) {
            return &did_types[i];
        }
    }

    return NULL;
}


static int
check_key(const did_type_t *type, bytes_t key)
{
    if (key.len > DID_KEY_MAX || (type->len != 0 && key.len != type->len)) {
        return 0;
    }

    return type->check(key);
}


/* Any bytes of the right length. */
static int
check_raw(bytes_t key)
{
    return key.len != 0;
}


/* SEC 1, 2.3.3, compressed; the point at infinity has another length. */
static int
check_point(bytes_t key)
{
    return key.data[0] == 0x02 || key.data[0] == 0x03;
}


static int
check_rsa(bytes_t key)
{
    did_rsa_t  rsa;

    return did_rsa_parse(key, &rsa) == 0;
}


static int
write_text(bytes_t binary, bytes_writer_t *w)
{
    uint8_t  *start;

    start = w->pos;
    bytes_writer_bytes(w, did_prefix);

    if (base58_encode(binary, w) != 0
        || (size_t) (w->pos - start) > DID_TEXT_MAX)
    {
        w->pos = start;
        return -1;
    }

    return 0;
}
