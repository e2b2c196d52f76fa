/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Ed25519 keys and signatures: RFC 8032 as the source of truth, and the
 * signatures and points that must not pass.
 */


#include <sodium.h>

#include "signature.h"
#include "tap.h"


static void
read_hex(const char *hex, uint8_t *out, size_t size)
{
    if (sodium_hex2bin(out, size, hex, strlen(hex), NULL, NULL, NULL) != 0) {
        tap_ok(0, "the test's own hex is hex");
    }
}


static void
open_did(const signature_key_t *key, did_key_t *did)
{
    tap_ok(did_parse(bytes_make(key->did, sizeof(key->did)), did) == 0,
           "a key's DID is one");
}


/* RFC 8032, 7.1, test 2. */
static void
test_known_answer(void)
{
    uint8_t          seed[32], public_key[32], expected[64], sig[64];
    bytes_t          message;
    did_key_t        did;
    signature_key_t  key;

    read_hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6"
             "fb", seed, sizeof(seed));
    read_hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af466"
             "0c", public_key, sizeof(public_key));
    read_hex("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69"
             "da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb"
             "0c00", expected, sizeof(expected));

    message = bytes_make("\x72", 1);

    signature_key_open(&key, seed);
    signature_sign(&key, message, sig);
    open_did(&key, &did);

    tap_ok(memcmp(key.public_key, public_key, 32) == 0,
           "the public key is that of RFC 8032");
    tap_ok(memcmp(sig, expected, 64) == 0, "so is the signature");
    tap_ok(memcmp(did.key, public_key, 32) == 0, "the DID holds the key");
    tap_ok(signature_verify(&did, message, bytes_make(sig, 64)),
           "which verifies");
}


static void
test_refusals(void)
{
    int              i;
    uint8_t          sig[65];
    bytes_t          message;
    unsigned         carry;
    did_key_t        did, other;
    signature_key_t  key;

    /* the order of the group, little endian */

    static const uint8_t  order[32] = {
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
        0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10
    };

    message = bytes_of("message");

    signature_key_create(&key);
    open_did(&key, &did);
    signature_key_create(&key);
    open_did(&key, &other);

    sig[64] = 0;
    signature_sign(&key, message, sig);

    tap_ok(signature_verify(&other, message, bytes_make(sig, 64)),
           "a good signature passes");
    tap_ok(!signature_verify(&did, message, bytes_make(sig, 64)),
           "not under another key");
    tap_ok(!signature_verify(&other, bytes_of("massage"),
                             bytes_make(sig, 64)),
           "not over another message");
    tap_ok(!signature_verify(&other, message, bytes_make(sig, 63)),
           "not a byte short");
    tap_ok(!signature_verify(&other, message, bytes_make(sig, 65)),
           "not a byte long");
    tap_ok(!signature_verify(&other, message, bytes_make(NULL, 0)),
           "not when there is none");

    sig[10] ^= 4;
    tap_ok(!signature_verify(&other, message, bytes_make(sig, 64)),
           "not with a bit turned");
    sig[10] ^= 4;

    for (carry = 0, i = 0; i < 32; i++) {
        carry += (unsigned) sig[32 + i] + order[i];
        sig[32 + i] = (uint8_t) carry;
        carry >>= 8;
    }

    tap_ok(!signature_verify(&other, message, bytes_make(sig, 64)),
           "not with S + L in place of S");
}


static void
test_small_order(void)
{
    uint8_t    sig[64];
    did_key_t  did;

    memset(&did, 0, sizeof(did));
    memset(sig, 0, sizeof(sig));

    did.algorithm = DID_ED25519;
    did.len = 32;
    did.key[0] = 1;
    sig[0] = 1;

    tap_ok(!signature_verify(&did, bytes_of("any"), bytes_make(sig, 64)),
           "a key of small order signs nothing");
    tap_ok(!signature_key_valid(&did), "and is no key");
}


static void
test_key_file(void)
{
    size_t           i;
    uint8_t          buf[80], seed[32], back[32];
    bytes_t          line;
    bytes_writer_t   w;
    signature_key_t  key;

    static const char *const  bad[] = {
        "", "\n", "ed25519", "ed25519:", "ed25519:\n",
        "ed25519:AAAA\n",
        "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
        "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB\n",
        "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n\n",
        "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n",
        " ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
        "secret:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
    };

    randombytes_buf(seed, sizeof(seed));
    bytes_writer_open(&w, buf, sizeof(buf));
    signature_seed_write(&w, "ed25519", seed);
    line = bytes_writer_view(&w);

    tap_ok(!w.failed && line.data[line.len - 1] == '\n',
           "a key file is a line");
    tap_ok(signature_seed_parse(line, "ed25519", back) == 0
           && memcmp(seed, back, 32) == 0, "which reads back");
    tap_ok(signature_seed_parse(bytes_make(line.data, line.len - 1),
                                "ed25519", back) == 0,
           "also without its line feed");
    tap_ok(signature_seed_parse(line, "secret", back) != 0,
           "as what it is only");

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memset(back, 7, sizeof(back));
        tap_ok(signature_seed_parse(bytes_of(bad[i]), "ed25519", back) != 0
               && back[0] == 7, "bad key file %zu is refused", i);
    }

    signature_key_open(&key, seed);
    signature_key_destroy(&key);
    tap_ok(sodium_is_zero(key.secret, sizeof(key.secret)),
           "a destroyed key is gone");
}


int
main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }

    test_known_answer();
    test_refusals();
    test_small_order();
    test_key_file();

    return tap_done();
}
