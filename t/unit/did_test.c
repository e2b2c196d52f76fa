/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * did.c: did:keys of every type both ways; what is no did:key, and the types
 * that cannot sign.
 */


#include <sodium.h>

#include "base58.h"
#include "did.h"
#include "tap.h"


#define TEST_ROOT  "did:key:z6Mki7TcZQHUZ7SZfxPDePUmFUmi6QtnjosAEcwSGUF34ia9"


static void
test_known_keys(void)
{
    char            hex[65];
    size_t          i;
    uint8_t         text[DID_ED25519_LEN];
    did_key_t       key;
    bytes_writer_t  w;

    static const struct {
        const char  *did;
        const char  *hex;
    } cases[] = {
        { TEST_ROOT, "365c3643ff1c24bd27383bc5afafbfeb"
                     "b02e8d11248ca08cefd8c6ad7f8198de" },
        { "did:key:z6Mkk3wxR4YBLDdDYmH8SNTW4Q3gZSuZ4rYLdKRrEcqbEvNE",
          "532d4f33f90b6064898bc4990360619e9362417fbcd0ad3c3c40005ad66417ab" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tap_ok(did_parse(bytes_of(cases[i].did), &key) == 0
               && key.algorithm == DID_ED25519 && key.len == 32
               && strcmp(sodium_bin2hex(hex, sizeof(hex), key.key, 32),
                         cases[i].hex) == 0,
               "%s is read", cases[i].did);

        bytes_writer_open(&w, text, sizeof(text));
        tap_ok(did_write_ed25519(key.key, &w) == 0
               && bytes_equal_text(bytes_writer_view(&w), cases[i].did),
               "and written");
    }
}


static void
test_every_key_has_one_length(void)
{
    unsigned        i, wrong;
    uint8_t         bytes[32], text[DID_TEXT_MAX];
    did_key_t       key;
    bytes_writer_t  w;

    wrong = 0;

    for (i = 0; i < 2000; i++) {
        randombytes_buf(bytes, sizeof(bytes));

        if (i < 2) {
            memset(bytes, i ? 0xff : 0, sizeof(bytes));
        }

        bytes_writer_open(&w, text, sizeof(text));

        wrong += did_write_ed25519(bytes, &w) != 0
                 || bytes_writer_view(&w).len != DID_ED25519_LEN
                 || did_parse(bytes_writer_view(&w), &key) != 0
                 || memcmp(key.key, bytes, sizeof(bytes)) != 0;
    }

    tap_ok(wrong == 0, "an Ed25519 did:key has 56 characters and comes back");

    bytes_writer_open(&w, text, DID_ED25519_LEN - 1);
    tap_ok(did_write_ed25519(bytes, &w) != 0
           && bytes_writer_view(&w).len == 0, "no room leaves no output");
}


/* The examples of the did:key method. */
static void
test_other_types(void)
{
    char            hex[17];
    size_t          i;
    uint8_t         text[DID_TEXT_MAX];
    did_key_t       key;
    bytes_writer_t  w;

    static const struct {
        const char       *name;
        did_algorithm_t   algorithm;
        size_t            len;
        const char       *head;         /* the first 8 bytes */
        const char       *did;
    } cases[] = {
        { "P-256", DID_P256, 33, "037f235830dd3def",
          "did:key:zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169" },
        { "secp256k1", DID_SECP256K1, 33, "03874c15c7fda20e",
          "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme" },
        { "P-384", DID_P384, 49, "03080fa23681c383",
          "did:key:z82LkvCwHNreneWpsgPEbV3gu1C6NFJEBg4srfJ5gdxEsMGRJUz2sG9FE4"
          "2shbn2xkZJh54" },
        { "P-521", DID_P521, 67, "020125073ccca272",
          "did:key:z2J9gaYxrKVpdoG9A4gRnmpnRCcxU6agDtFVVBVdn1JedouoZN7SzcyREX"
          "XzWgt3gGiwpoHq7K68X4m32D8HgzG8wv3sY5j7" },
        { "RSA", DID_RSA, 270, "3082010a02820101",
          "did:key:z4MXj1wBzi9jUstyPMS4jQqB6KdJaiatPkAtVtGc6bQEQEEsKTic4G7Rou"
          "3iBf9vPmT5dbkm9qsZsuVNjq8HCuW1w24nhBFGkRE4cd2Uf2tfrB3N7h4mnyPp1BF3"
          "ZttHTYv3DLUPi1zMdkULiow3M1GfXkoC6DoxDUm1jmN6GBj22SjVsr6dxezRVQc7aj"
          "9TxE7JLbMH1wh5X3kA58H3DFW8rnYMakFGbca5CB2Jf6CnGQZmL7o5uJAdTwXfy2ii"
          "iyPxXEGerMhHwhjTA1mKYobyk2CpeEcmvynADfNZ5MBvcCS7m3XkFCMNUYBS9NQ3fz"
          "e6vMSUPsNa6GVYmKx2x6JrdEjCk3qRMMmyjnjCMfR4pXbRMZa3i" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tap_ok(did_parse(bytes_of(cases[i].did), &key) == 0
               && key.algorithm == cases[i].algorithm
               && key.len == cases[i].len
               && strcmp(sodium_bin2hex(hex, sizeof(hex), key.key, 8),
                         cases[i].head) == 0,
               "a key of %s is read", cases[i].name);

        bytes_writer_open(&w, text, sizeof(text));
        tap_ok(did_write(&key, &w) == 0
               && bytes_equal_text(bytes_writer_view(&w), cases[i].did),
               "and written");

        bytes_writer_open(&w, text, strlen(cases[i].did) - 1);
        tap_ok(did_write(&key, &w) == -1 && bytes_writer_view(&w).len == 0,
               "no room leaves no output");

        key.len--;
        bytes_writer_open(&w, text, sizeof(text));
        tap_ok(did_write(&key, &w) == -1, "nor does a byte too few");

        key.len += 2;
        key.key[key.len - 1] = 0;
        tap_ok(did_write(&key, &w) == -1, "or too many");
    }
}


/* Texts of anything behind a multicodec; the form is checked both ways. */
static void
test_forms(void)
{
    int             written;
    size_t          i, n;
    uint8_t         binary[760], text[DID_TEXT_MAX];
    did_key_t       key;
    bytes_writer_t  w;

    static const struct {
        const char       *name;
        const char       *head;          /* multicodec and first bytes */
        size_t            head_len;
        size_t            len;           /* bytes behind the multicodec */
        did_algorithm_t   algorithm;
        int               good;
    } cases[] = {
        { "P-256, 02", "\x80\x24\x02", 3, 33, DID_P256, 1 },
        { "P-256, 03", "\x80\x24\x03", 3, 33, DID_P256, 1 },
        { "P-256, 00", "\x80\x24\x00", 3, 33, DID_P256, 0 },
        { "P-256, 04", "\x80\x24\x04", 3, 33, DID_P256, 0 },
        { "P-256, uncompressed", "\x80\x24\x04", 3, 65, DID_P256, 0 },
        { "P-256, hybrid", "\x80\x24\x06", 3, 65, DID_P256, 0 },
        { "P-256, at infinity", "\x80\x24\x00", 3, 1, DID_P256, 0 },
        { "P-256, x alone", "\x80\x24\x02", 3, 32, DID_P256, 0 },
        { "P-256, a byte too many", "\x80\x24\x02", 3, 34, DID_P256, 0 },
        { "P-256, no bytes", "\x80\x24", 2, 0, DID_P256, 0 },
        { "P-256, a longer number", "\x80\xa4\x00\x02", 4, 33, DID_P256, 0 },
        { "secp256k1, 02", "\xe7\x01\x02", 3, 33, DID_SECP256K1, 1 },
        { "secp256k1, 05", "\xe7\x01\x05", 3, 33, DID_SECP256K1, 0 },
        { "secp256k1, 32 bytes", "\xe7\x01\x02", 3, 32, DID_SECP256K1, 0 },
        { "P-384, 02", "\x81\x24\x02", 3, 49, DID_P384, 1 },
        { "P-384, 33 bytes", "\x81\x24\x02", 3, 33, DID_P384, 0 },
        { "P-521, 03", "\x82\x24\x03", 3, 67, DID_P521, 1 },
        { "P-521, 66 bytes", "\x82\x24\x03", 3, 66, DID_P521, 0 },
        { "RSA, no DER", "\x85\x24\x30\x82", 4, 270, DID_RSA, 0 },
        { "RSA, no bytes", "\x85\x24", 2, 0, DID_RSA, 0 },
        { "RSA, the prefix that was", "\x00\xf5\x02\x30", 4, 270, DID_RSA,
          0 },
        { "X25519", "\xec\x01\x02", 3, 32, DID_ED25519, 0 },
        { "BLS12-381 G1", "\xea\x01\x02", 3, 48, DID_ED25519, 0 },
        { "BLS12-381 G2", "\xeb\x01\x02", 3, 96, DID_ED25519, 0 },
        { "Ed25519, 33 bytes", "\xed\x01\x02", 3, 33, DID_ED25519, 0 },
        { "Ed25519, 31 bytes", "\xed\x01\x02", 3, 31, DID_ED25519, 0 },
        { "Ed25519, no bytes", "\xed\x01", 2, 0, DID_ED25519, 0 },
        { "P-224, which is none of ours", "\xff\x23\x02", 3, 29, DID_P256, 0 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(binary, 0x5a, sizeof(binary));
        memcpy(binary, cases[i].head, cases[i].head_len);
        n = 2 + cases[i].len;

        bytes_writer_open(&w, text, sizeof(text));
        bytes_writer_text(&w, "did:key:z");
        written = base58_encode(bytes_make(binary, n), &w) == 0;

        tap_ok(written
               && (did_parse(bytes_writer_view(&w), &key) == 0)
                  == cases[i].good
               && (!cases[i].good || (key.algorithm == cases[i].algorithm
                                      && key.len == cases[i].len)),
               "%s is %s", cases[i].name,
               cases[i].good ? "taken" : "refused");
    }
}


/* A modulus of 5800 bits is about the largest that has a text. */
static void
test_largest(void)
{
    size_t          bytes, n, texts, wrong;
    uint8_t         text[DID_TEXT_MAX];
    did_key_t       key, again;
    bytes_writer_t  w;

    wrong = 0;
    texts = 0;

    for (bytes = 256; bytes <= 800; bytes++) {
        n = bytes + 1;

        memset(&key, 0, sizeof(key));

        if (n + 11 > sizeof(key.key)) {
            break;
        }

        memset(key.key, 0xff, n + 11);
        memcpy(key.key, "\x30\x82", 2);
        key.key[2] = (uint8_t) ((n + 7) >> 8);
        key.key[3] = (uint8_t) (n + 7);
        memcpy(key.key + 4, "\x02\x82", 2);
        key.key[6] = (uint8_t) (n >> 8);
        key.key[7] = (uint8_t) n;
        key.key[8] = 0;
        memcpy(key.key + 8 + n, "\x02\x01\x03", 3);
        key.len = n + 11;
        key.algorithm = DID_RSA;

        bytes_writer_open(&w, text, sizeof(text));

        if (did_write(&key, &w) == 0) {
            texts = bytes;
            wrong += did_parse(bytes_writer_view(&w), &again) != 0
                     || again.len != key.len
                     || memcmp(again.key, key.key, key.len) != 0;
        }
    }

    tap_ok(wrong == 0 && texts * 8 >= 5800 && bytes > texts,
           "RSA of every size up to %zu bits has a text", texts * 8);
}


static void
test_refused(void)
{
    size_t     i;
    did_key_t  key;

    static const struct {
        const char  *name;
        const char  *did;
    } cases[] = {
        { "nothing", "" },
        { "a prefix", "did:key:" },
        { "a prefix with its multibase", "did:key:z" },
        { "no multibase",
          "did:key:6Mki7TcZQHUZ7SZfxPDePUmFUmi6QtnjosAEcwSGUF34ia9" },
        { "another method", "did:plc:ewvi7nxzyoun6zhxrhs64oiz" },
        { "an upper case method",
          "did:KEY:z6Mki7TcZQHUZ7SZfxPDePUmFUmi6QtnjosAEcwSGUF34ia9" },
        { "a path", TEST_ROOT "/x" },
        { "a query", TEST_ROOT "?x=1" },
        { "a fragment", TEST_ROOT "#z6Mki7TcZQHUZ7SZfxPDePUm" },
        { "a line feed", TEST_ROOT "\n" },
        { "a blank in front", " " TEST_ROOT },
        { "the character 0",
          "did:key:z6Mki7TcZQHU07SZfxPDePUmFUmi6QtnjosAEcwSGUF34ia9" },
        { "the character I",
          "did:key:z6Mki7TcZQHUI7SZfxPDePUmFUmi6QtnjosAEcwSGUF34ia9" },
        { "a zero byte in front",
          "did:key:z16Mki7TcZQHUZ7SZfxPDePUmFUmi6QtnjosAEcwSGUF34ia9" },
        { "a key of 33 bytes",
          "did:key:zQebvTWTx1micjRqCwT4p2DYJuaLNtTaswrPm7dGXHEx7QVGL" },
        { "a multicodec that is no varint",
          "did:key:z2DU5GQc7CDNkiDk18WoQbBFhKKVt8XtFMDAg6aRWUvYF89" },
        { "an X25519 key",
          "did:key:z6LSfLNjVTquK2fqeqvHVU2siySC7zA42XnxRakBvevYrsZX" },
        { "a BLS key", "did:key:z3tEAAJihVxix7aimK2Maqb6TtGB9xUtaesG9pZVmcaAg"
          "RHVVkWMDGKxDVDWPyTiKb9xeA" },
        { "an RSA key of the prefix that was used before",
          "did:key:z13V3Sog2YaUKhdGCmgx9UZuW1o1ShFJYc6DvGYe7NTt689NoL2k" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tap_ok(did_parse(bytes_of(cases[i].did), &key) != 0 && key.len == 0,
               "%s is refused", cases[i].name);
    }
}


static void
test_long_text(void)
{
    char       text[20009];
    did_key_t  key;

    memset(text, 'z', sizeof(text));
    memcpy(text, "did:key:", 8);

    tap_ok(did_parse(bytes_make(text, sizeof(text)), &key) != 0,
           "a text of 20,009 characters is refused unread");
    tap_ok(did_parse(bytes_make(text, DID_TEXT_MAX), &key) != 0,
           "the longest text is read and refused");
}


static void
test_bad_points(void)
{
    size_t     i;
    uint8_t    signature[crypto_sign_BYTES];
    did_key_t  key;

    static const char  *cases[] = {
        "did:key:z6MkeTG3bFFSLYVU7VqhgZxqr6YzpaGrQtFMh1uvqGy1vDnP",
        "did:key:z6MkvYDV6cfbwNp6jpaZGAcYpZgdfuK59wb3FKdA8t7sBVka"
    };

    /* R is the neutral element and S is 0: what a point of small order would
       let pass without the check that the library makes */

    memset(signature, 0, sizeof(signature));
    signature[0] = 1;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tap_ok(did_parse(bytes_of(cases[i]), &key) == 0
               && crypto_core_ed25519_is_valid_point(key.key) == 0
               && crypto_sign_verify_detached(signature,
                                              (const uint8_t *) "x", 1,
                                              key.key) != 0,
               "bad point %zu has the form of a key but verifies nothing",
               i + 1);
    }
}


int
main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }

    test_known_keys();
    test_every_key_has_one_length();
    test_other_types();
    test_forms();
    test_largest();
    test_refused();
    test_long_text();
    test_bad_points();

    return tap_done();
}
