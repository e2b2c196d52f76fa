/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * did.c: Ed25519 did:keys both ways; what is no did:key, and the key types
 * that are not accepted yet.
 */


#include <sodium.h>

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
    test_refused();
    test_long_text();
    test_bad_points();

    return tap_done();
}
