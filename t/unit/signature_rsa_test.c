/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * RSA signatures: PKCS#1 v1.5 over SHA-256, and what is close to it.  The key
 * and the signatures were made by the openssl command.
 */


#include "signature_make.h"
#include "signature_rsa.h"


static const char  rsa_key[] =
    "3082010a0282010100aa6fa025490042203752bd603f8b3b725af0a898300f3a96dcaf56"
    "804f8f99d1c2b530a7f2804a2bca6fb9a0f7e9ee74efc1af48f0ae47f69e0ef5296f96ac"
    "b319cbab55ae86232a21e76a9a4d8df4e15b7c1f09b4f1a288bb90b7d001f1d96b748735"
    "4bf440087e40bf23651017eedf781be61be26844ccf619307f06fbe66ae3c9a87378d0d1"
    "31753c2bdf4aa64d285ea3387c5eb687ee1dcc9e1258d49504eeff677f2a9bc41110a930"
    "cd14e5fea99b5c8c6f1f4e39469fa067138bd04566c6e3dc8e891c0c5eb5ec1390b3936f"
    "54b3c039e0f670d24c1f429811275254328ecb3ffe3a9c3f4bce08a0a898b2e00caaf2b1"
    "01fb9b80266124459c77e3c7450203010001";


static void
test_signatures(void)
{
    size_t     i;
    uint8_t    buf[512];
    bytes_t    sig;
    did_key_t  key;

    static const struct {
        const char  *name;
        int          good;
        const char  *sig;
    } cases[] = {
        { "PKCS#1 v1.5 with SHA-256", 1,
          "166b87370f24f9e692c630c79b7921d99ba145b9b809d2cdd6f693d36aaa4ccbda"
          "c347cf6f98aa85075e90e5d3dbb698959501721d1851ffb09b3f4d79c0071da992"
          "7054f565f854c7bb8604ded0a24498e95de482127cb2a13be36cf1cc86d7fd07be"
          "e23f1ff848102ce6c4300c6a2b6cff6a9909d279c8b9eeef3f98b9c9664f170b0c"
          "f2731a1a4380c47de4cfc2376432878c5d96f8644b2c7e64d49262603893ae872a"
          "bad2c2bf06d5e77c102f852f62eac4c3423288e966608a09671c6fb20318ac8514"
          "5b533f46ba25a96e7bd82f0940542d9a6356e3df9f5469126f95c0f71c59f19e44"
          "3f6a4705bc5e8cc749eac91ef11ddb8f3691a5175639d2c23f" },
        { "PSS", 0,
          "788e368e9372d1fe1cd87fbffa70271283ae1eae05f2f9f92ebfd0a477864227da"
          "ef336d73a516cd78696731360ab650d122a724cfbcc26355e0439e161a6abca65c"
          "e9bee374077c82ced03f2335cbfc21f5ae73c33d307314f10a05cc73c9c37f6986"
          "60dff7389a920bfe628e5ff45b5da1e14ed8912f2728d950e7388052f1bd02353f"
          "2b47d208ef48b2676a3c4bfa7b064115bda0cc0d2ae9f871143502f68f02b9a826"
          "6d2f99fbecfbbebc6fb1813297f0566885ec3a1881c4a8abcb5f1cefdc9577fa2a"
          "31822c3cd7d5943357e676d6b3d99d34d7f7b1b34a08d1feb695a20d0ec7f2c405"
          "16fffaa37ffb7725e06e9336ef9c4f289c477522cf8da5cd0b" },
        { "SHA-512", 0,
          "884a2675e0a35076513024d30f63f502689b611e3a39bd06a0c8294b76e4f10f30"
          "4f737e41fb62b9bb3853bdf71ad51746f32bb35c33b9904517b08150c8b87620c5"
          "6681f375a1db280ab17435b2f3cabd6eaa37db52f2a7426f2eeafc026ea29b4462"
          "8698e176543617a26c2b43248bb34eb4ffba61dd60aba5cc078fdcaf6008c98ba3"
          "7fde970fde9578b92dfda2d0c49f19dcab2a251f7f601c7537817bee3cee085c24"
          "ba591ed72a266f54290472cc994747f324ac4b74b245078eb0d3bfd5c25f7d0c12"
          "b8e0b9070409f6290d6f7cc2fcec9b79e77cc0093c53b3c056c2c027a43f323c1b"
          "826a0dd76509cebae2da69aa006c64fe01dd9d2f7a51ec582b" },
        { "SHA-256 without the NULL of its parameters", 0,
          "4f0a89a68f37c8c7a74bba24a538276229181560f536735f9ac263e7551a781fc5"
          "73ebee5e29149219ff3fba696ee570a3d405e9bb399319bf7c462ff35a4008bd65"
          "f300c019a91e57b76f69962883879fe6f60896daa817cd7f968c47b58f6b0a03d2"
          "34c2e5cb9ba11644da01919a52f988ef5333223e2fb61ad22d5f4e3dc063d7084f"
          "6f51d9b209f8c20c966ddb24a7fe2c9489222dca61351adafba2c5194c165f973e"
          "8bfe5cfe7d13cd86dd0fc560d0d39d563fcafedc16b2678a83d346c3dfa997cfd1"
          "f8e0fd299b1e9a98de4970f40f3834d9f7e2b348153fe537b471a7631ac3109f1e"
          "6491589c086b921994edfd73b971963f5d4a493fc8c1c57283" }
    };

    make_public(&key, DID_RSA, rsa_key);
    tap_ok(signature_key_valid(&key) && signature_len(&key) == 256,
           "the key is one");

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sig = make_bytes(cases[i].sig, buf, sizeof(buf));

        tap_ok(signature_verify(&key, bytes_of("message"), sig)
               == cases[i].good, "%s is %s", cases[i].name,
               cases[i].good ? "taken" : "refused");
    }
}


/* Numbers that are powers of themselves, and such beyond the modulus. */
static void
test_numbers(void)
{
    size_t     i;
    uint8_t    sig[257];
    did_key_t  key;

    make_public(&key, DID_RSA, rsa_key);

    memset(sig, 0, sizeof(sig));
    tap_ok(!signature_verify(&key, bytes_of(""), bytes_make(sig, 256)),
           "0 signs nothing");
    sig[255] = 1;
    tap_ok(!signature_verify(&key, bytes_of(""), bytes_make(sig, 256)),
           "nor does 1");

    /* the modulus stands behind 30 82 .. .. 02 82 .. .. 00 */

    memcpy(sig, key.key + 9, 256);
    tap_ok(!signature_verify(&key, bytes_of(""), bytes_make(sig, 256)),
           "nor the modulus");
    sig[255]--;
    tap_ok(!signature_verify(&key, bytes_of(""), bytes_make(sig, 256)),
           "nor one less");

    memset(sig, 0xff, sizeof(sig));

    for (i = 255; i <= 257; i++) {
        tap_ok(!signature_verify(&key, bytes_of(""), bytes_make(sig, i)),
               "nor %zu bytes of ff", i);
    }
}


static void
test_keys(void)
{
    did_key_t  key;

    make_public(&key, DID_RSA, rsa_key);
    key.key[key.len - 1] = 0x00;
    tap_ok(!signature_key_valid(&key) && signature_len(&key) == 0,
           "an even exponent is none");

    make_public(&key, DID_RSA, rsa_key);
    key.algorithm = DID_P256;
    tap_ok(!signature_key_valid(&key), "nor is it a point");

    tap_ok(signature_rsa_create(1024) == NULL
           && signature_rsa_create(2049) == NULL
           && signature_rsa_create(0) == NULL
           && signature_rsa_create(16384) == NULL,
           "no key is made of another size");
}


int
main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }

    test_signatures();
    test_numbers();
    test_keys();

    return tap_done();
}
