/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Secrets under a password.  The record:
 *
 *   0          1            9            17       33        57          105
 *   | version  | passes     | memory     | salt   | nonce   | ciphertext |
 *   | 01       | 64 bit BE  | 64 bit BE  | 16     | 24      | 32 + tag 16|
 *
 * Argon2id (RFC 9106) over the password gives the key; the version, the cost
 * and the salt are authenticated together with the caller's aad.
 *
 * Blocks for tens of milliseconds: threads only.  libsodium allocates the
 * memory of Argon2id and gives it back before the call returns.
 */


#include <sodium.h>

#include "seal.h"


#define SEAL_VERSION        1
#define SEAL_OFFSET_SALT    17    /* bytes before the salt: the cost */
#define SEAL_OFFSET_NONCE   33
#define SEAL_OFFSET_CIPHER  57
#define SEAL_AAD_MAX        256   /* bytes the caller may tie a record to */
#define SEAL_PASSES_MAX     16    /* of a record read: bounds the time */
#define SEAL_MEMORY_MAX     (256ULL * 1024 * 1024)


_Static_assert(crypto_pwhash_SALTBYTES
               == SEAL_OFFSET_NONCE - SEAL_OFFSET_SALT, "salt");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
               == SEAL_OFFSET_CIPHER - SEAL_OFFSET_NONCE, "nonce");
_Static_assert(SEAL_OFFSET_CIPHER + SEAL_SECRET_LEN
               + crypto_aead_xchacha20poly1305_ietf_ABYTES
               == SEAL_RECORD_LEN, "record");


static int make_key(uint8_t *key, const uint8_t *record, bytes_t password);
static int join_aad(bytes_writer_t *w, const uint8_t *record, bytes_t aad);
static void write_number(uint8_t *p, uint64_t n);
static uint64_t read_number(const uint8_t *p);


int
seal_close(uint8_t *record, const uint8_t *secret, bytes_t password,
    bytes_t aad)
{
    uint8_t         key[crypto_aead_xchacha20poly1305_ietf_KEYBYTES];
    uint8_t         buf[SEAL_OFFSET_NONCE + SEAL_AAD_MAX];
    bytes_t         bound;
    bytes_writer_t  w;

    sodium_memzero(record, SEAL_RECORD_LEN);

    record[0] = SEAL_VERSION;
    write_number(record + 1, SEAL_PASSES);
    write_number(record + 9, SEAL_MEMORY_BYTES);
    randombytes_buf(record + SEAL_OFFSET_SALT,
                    SEAL_OFFSET_CIPHER - SEAL_OFFSET_SALT);

    bytes_writer_open(&w, buf, sizeof(buf));

    if (join_aad(&w, record, aad) != 0
        || make_key(key, record, password) != 0)
    {
        return -1;
    }

    bound = bytes_writer_view(&w);

    crypto_aead_xchacha20poly1305_ietf_encrypt(record + SEAL_OFFSET_CIPHER,
                                               NULL, secret, SEAL_SECRET_LEN,
                                               bound.data, bound.len, NULL,
                                               record + SEAL_OFFSET_NONCE,
                                               key);
    sodium_memzero(key, sizeof(key));

    return 0;
}


int
seal_open(uint8_t *secret, bytes_t record, bytes_t password, bytes_t aad)
{
    int             rc;
    uint8_t         key[crypto_aead_xchacha20poly1305_ietf_KEYBYTES];
    uint8_t         buf[SEAL_OFFSET_NONCE + SEAL_AAD_MAX];
    bytes_t         bound;
    bytes_writer_t  w;

    sodium_memzero(secret, SEAL_SECRET_LEN);

    if (record.len != SEAL_RECORD_LEN
        || record.data[0] != SEAL_VERSION
        || password.len > SEAL_PASSWORD_MAX
        || read_number(record.data + 1) > SEAL_PASSES_MAX
        || read_number(record.data + 9) > SEAL_MEMORY_MAX)
    {
        return -1;
    }

    bytes_writer_open(&w, buf, sizeof(buf));

    if (join_aad(&w, record.data, aad) != 0) {
        return -1;
    }

    rc = make_key(key, record.data, password);
    if (rc != 0) {
        return rc;
    }

    bound = bytes_writer_view(&w);

    rc = crypto_aead_xchacha20poly1305_ietf_decrypt(
             secret, NULL, NULL, record.data + SEAL_OFFSET_CIPHER,
             SEAL_RECORD_LEN - SEAL_OFFSET_CIPHER, bound.data, bound.len,
             record.data + SEAL_OFFSET_NONCE, key);

    sodium_memzero(key, sizeof(key));

    if (rc != 0) {
        sodium_memzero(secret, SEAL_SECRET_LEN);
        return -1;
    }

    return 0;
}


/* The key that the record's own cost makes of the password.  0; -1 when the
   password is too long or the cost out of range; -2 without memory. */
static int
make_key(uint8_t *key, const uint8_t *record, bytes_t password)
{
    uint64_t     passes, memory;
    const char  *text;

    /* libsodium takes no NULL, not even for nothing */

    text = (password.len != 0) ? (const char *) password.data : "";
    passes = read_number(record + 1);
    memory = read_number(record + 9);

    if (password.len > SEAL_PASSWORD_MAX
        || passes < crypto_pwhash_OPSLIMIT_MIN
        || memory < crypto_pwhash_MEMLIMIT_MIN)
    {
        return -1;
    }

    if (crypto_pwhash(key, crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
                      text, password.len,
                      record + SEAL_OFFSET_SALT, passes, (size_t) memory,
                      crypto_pwhash_ALG_ARGON2ID13)
        != 0)
    {
        return -2;
    }

    return 0;
}


static int
join_aad(bytes_writer_t *w, const uint8_t *record, bytes_t aad)
{
    bytes_writer_put(w, record, SEAL_OFFSET_NONCE);
    bytes_writer_bytes(w, aad);

    return w->failed ? -1 : 0;
}


static void
write_number(uint8_t *p, uint64_t n)
{
    unsigned  i;

    for (i = 0; i < 8; i++) {
        p[i] = (uint8_t) (n >> (56 - i * 8));
    }
}


static uint64_t
read_number(const uint8_t *p)
{
    unsigned  i;
    uint64_t  n;

    n = 0;

    for (i = 0; i < 8; i++) {
        n = n << 8 | p[i];
    }

    return n;
}
