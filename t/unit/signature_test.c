/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Signatures of every type of key, RFC 8032, RFC 6979 and RFC 7515 as the
 * source of truth; what JWT and varsig call them; Ed25519 signatures and
 * points that must not pass.
 */


#include "signature_make.h"


/* published key, message and signature */

static const struct {
    const char       *name;
    did_algorithm_t   algorithm;
    const char       *key;
    const char       *message;
    const char       *sig;
} known[] = {
    { "P-256, RFC 6979 A.2.5", DID_P256,
      "0360fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
      "sample",
      "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c"
      "942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8" },
    { "P-256, RFC 7515 A.3", DID_P256,
      "037fcdce2770f6c45d4183cbee6fdb4b7b580733357be9ef13bacf6e3c7bd15445",
      "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTk"
      "zODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
      "0ed1215379636c483c2f7f155807d402a3b228033af97c7e17819ac3169ea665c50a07"
      "d38c3c70e5d8f12daf084a5480a66590c5f293509a8f3f7f8a83a354d5" },
    { "secp256k1, the key 1", DID_SECP256K1,
      "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
      "Satoshi Nakamoto",
      "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d82442ce"
      "9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5" },
    { "P-384, RFC 6979 A.2.6", DID_P384,
      "02ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64def8"
      "f0ea9055866064a254515480bc13",
      "sample",
      "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648"
      "152e44acf96e36dd1e80fabe4699ef4aeb15f178cea1fe40db2603138f130e740a1962"
      "4526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8" },
    { "P-521, RFC 6979 A.2.7", DID_P521,
      "0301894550d0785932e00eaa23b694f213f8c3121f86dc97a04e5a7167db4e5bcd3711"
      "23d46e45db6b5d5370a7f20fb633155d38ffa16d2bd761dcac474b9a2f5023a4",
      "sample",
      "00c328fafcbd79dd77850370c46325d987cb525569fb63c5d3bc53950e6d4c5f174e25"
      "a1ee9017b5d450606add152b534931d7d4e8455cc91f9b15bf05ec36e377fa00617cce"
      "7cf5064806c467f678d3b4080d6f1cc50af26ca209417308281b68af282623eaa63e5b"
      "5c0723d8b8c37ff0777b1a20f8ccb1dccc43997f1ee0e44da4a67a" },
    { "RSA, RFC 7515 A.2", DID_RSA,
      "3082010a0282010100a1f8160ae2e3c9b465ce8d2d656263362b927dbe29e1f02477fc"
      "1625cc90a136e38bd93497c5b6ea63dd7711e67c7429f956b0fb8a8f089adc4b69893c"
      "c1333f53edd019b87784252fec914fe4857769594bea4280d32c0f55bf62944f130396"
      "bc6e9bdf6ebdd2bda3678eeca0c668f701b38dbffb38c8342ce2fe6d27fade4a5a4874"
      "979dd4b9cf9adec4c75b05852c2c0f5ef8a5c1750392f944e8ed64c110c6b647609aa4"
      "783aeb9c6c9ad755313050638b83665c6f6f7a82a396702a1f641b82d3ebf239221949"
      "1fb686872c5716f50af8358d9a8b9d17c340728f7f87d89a18d8fcab67ad84590c2ecf"
      "759339363c07034d6f606f9e21e05456cae5e9a10203010001",
      "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTk"
      "zODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
      "702e218943e88fd11eb5d82dbf7845f34106ae1b81fff7731116add1717d83656d420a"
      "fd3c96eedd73a2663e5166687b000b87226e0187ed1073f945e582adfcef16d85a798e"
      "e8c66ddb3db8975b17d09402beedd5d9d97007108db28160d5f8040ca7445762b81fbe"
      "7ff9d92e0ae76f24f25b33bbe6f44ae61eb1040acb20044d3ef9128ed40130795bd4bd"
      "3b41eecad066ab651981fde48df77f372dc38b9fafdd3befb18b5da3cc3c2eb02f9e3a"
      "41d612caad15911273a05f23b9e838faaf849d698429ef5a1e88798236c3d40e604522"
      "a544c8f27a7a2db80663d16cf7caea56de405cb2215a45b2c25566b55ac1a748a070df"
      "c8a32a469543d019eefb47" }
};

#define known_count  (sizeof(known) / sizeof(known[0]))


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
test_known_answers(void)
{
    size_t           i, n, passed;
    uint8_t          buf[512], longer[513];
    bytes_t          message, sig;
    did_key_t        key;

    for (i = 0; i < known_count; i++) {
        make_public(&key, known[i].algorithm, known[i].key);
        sig = make_bytes(known[i].sig, buf, sizeof(buf));
        message = bytes_of(known[i].message);

        tap_ok(signature_key_valid(&key) && signature_len(&key) == sig.len
               && signature_verify(&key, message, sig),
               "%s: it verifies", known[i].name);
        tap_ok(signature_verify(&key, message, sig), "and again");
        tap_ok(!signature_verify(&key, bytes_of("another"), sig),
               "but nothing else");

        memcpy(longer, buf, sig.len);
        longer[sig.len] = 0;
        passed = 0;

        for (n = 0; n < sig.len; n++) {
            passed += signature_verify(&key, message, bytes_make(buf, n));
        }

        passed += signature_verify(&key, message,
                                   bytes_make(longer, sig.len + 1));

        tap_ok(passed == 0, "nor a signature that is cut or longer");

        for (n = 0; n < sig.len * 8; n += 5) {
            buf[n / 8] ^= (uint8_t) (1 << n % 8);
            passed += signature_verify(&key, message, sig);
            buf[n / 8] ^= (uint8_t) (1 << n % 8);
        }

        tap_ok(passed == 0, "nor one with a bit turned");

        key.key[key.len / 2] ^= 1;
        tap_ok(!signature_verify(&key, message, sig),
               "nor under a key with a bit turned");
        key.key[key.len / 2] ^= 1;

        tap_ok(signature_verify(&key, message, sig),
               "after all of which it still does");
    }
}


/* The bytes of one type of key are no key of another. */
static void
test_types_apart(void)
{
    size_t     i, n, passed;
    uint8_t    buf[512];
    bytes_t    sig;
    did_key_t  key;

    passed = 0;

    for (i = 0; i < known_count; i++) {
        sig = make_bytes(known[i].sig, buf, sizeof(buf));

        for (n = 0; n < DID_ALGORITHM_COUNT; n++) {
            make_public(&key, known[i].algorithm, known[i].key);
            key.algorithm = (did_algorithm_t) n;

            passed += n != known[i].algorithm
                      && signature_verify(&key, bytes_of(known[i].message),
                                          sig);
        }

        make_public(&key, known[i].algorithm, known[i].key);
        key.len--;
        passed += signature_key_valid(&key)
                  || signature_verify(&key, bytes_of(known[i].message), sig);
        key.len = 0;
        passed += signature_key_valid(&key)
                  || signature_verify(&key, bytes_of(known[i].message), sig);
    }

    tap_ok(passed == 0, "a key is read as its own type and length only");
}


static void
test_names(void)
{
    size_t          i;
    uint8_t         buf[SIGNATURE_VARSIG_MAX], expected[SIGNATURE_VARSIG_MAX];
    did_key_t       key;
    bytes_writer_t  w;

    static const struct {
        did_algorithm_t   algorithm;
        const char       *jwt;
        const char       *varsig;
    } cases[] = {
        { DID_ED25519, "EdDSA", "3401ed01ed011371" },
        { DID_P256, "ES256", "3401ec0180241271" },
        { DID_SECP256K1, "ES256K", "3401ec01e7011271" },
        { DID_P384, "ES384", "3401ec0181242071" },
        { DID_P521, "ES512", "3401ec0182241371" },
        { DID_RSA, "RS256", "3401852412800271" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(&key, 0, sizeof(key));

        if (cases[i].algorithm == DID_RSA) {
            make_public(&key, DID_RSA, known[known_count - 1].key);
        }

        key.algorithm = cases[i].algorithm;

        tap_ok(strcmp(signature_jwt_name(key.algorithm), cases[i].jwt) == 0,
               "%s is the name of a type", cases[i].jwt);

        bytes_writer_open(&w, buf, sizeof(buf));
        tap_ok(signature_varsig(&key, &w) == 0
               && bytes_equal(bytes_writer_view(&w),
                              make_bytes(cases[i].varsig, expected,
                                         sizeof(expected))),
               "and %s its varsig", cases[i].varsig);

        bytes_writer_open(&w, buf, 7);
        tap_ok(signature_varsig(&key, &w) == -1, "which needs its room");
    }
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
    test_known_answers();
    test_types_apart();
    test_names();
    test_key_file();

    return tap_done();
}
