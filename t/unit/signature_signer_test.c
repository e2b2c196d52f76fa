/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Private keys of every type: made, through their line of text and back,
 * signing; lines that are none.  Published keys as the source of truth, and
 * one of RSA that the openssl command made.
 */


#include <openssl/err.h>

#include "base64.h"
#include "signature_make.h"
#include "signature_signer.h"


#define TEXT_MAX  SIGNATURE_SIGNER_TEXT_MAX


static const struct {
    const char       *name;
    const char       *prefix;
    did_algorithm_t   algorithm;
    size_t            line;            /* bytes of a key file; 0: varies */
} types[] = {
    { "Ed25519",   "ed25519:",   DID_ED25519,   8 + 43 + 1 },
    { "P-256",     "p256:",      DID_P256,      5 + 43 + 1 },
    { "secp256k1", "secp256k1:", DID_SECP256K1, 10 + 43 + 1 },
    { "RSA",       "rsa:",       DID_RSA,       0 },
    { "P-384",     "p384:",      DID_P384,      5 + 64 + 1 },
    { "P-521",     "p521:",      DID_P521,      5 + 88 + 1 }
};

#define type_count  (sizeof(types) / sizeof(types[0]))


static const char  rsa_line[] =
    "rsa:MIIEpAIBAAKCAQEAqm-gJUkAQiA3Ur1gP4s7clrwqJgwDzqW3K9WgE-PmdHCtTCn8oBK"
    "K8pvuaD36e5078GvSPCuR_aeDvUpb5assxnLq1WuhiMqIedqmk2N9OFbfB8JtPGiiLuQt9AB"
    "8dlrdIc1S_RACH5AvyNlEBfu33gb5hviaETM9hkwfwb75mrjyahzeNDRMXU8K99Kpk0oXqM4"
    "fF62h-4dzJ4SWNSVBO7_Z38qm8QREKkwzRTl_qmbXIxvH045Rp-gZxOL0EVmxuPcjokcDF61"
    "7BOQs5NvVLPAOeD2cNJMH0KYESdSVDKOyz_-Opw_S84IoKiYsuAMqvKxAfubgCZhJEWcd-PH"
    "RQIDAQABAoIBAAvErWNY4qjhav1OXWj5Bvli1VJiDJKta8ezkhHfn7C-6EzbUTcDXxu3ww_0"
    "N2oMFwyL0rvPzDJ-RHR2WFtMi7XKLPzMBVyQIDnUrgQXITT5b16AqvDqUyi4NGPplVjK6tdS"
    "LRhTgy0sjb5YH7a4XSJ9CDm5Ty0xiV15m8mjN9C1dg8wAPLnwwvXpkuAIGbdkKaUi1FCHYCu"
    "HngDEh8wyT-q5TBW13r-9o7Wg-Ixfc8XtmqriShaLct5obcyRq-Ddcg_Z-dI0Zr0j-8pRvta"
    "O7xYzi8vgnfwebHLTckb3gD3Va9AMxUOiu5Ely8vhK3DQNoVIQkaBtF_wG2vbG8bbbkCgYEA"
    "7Pbvxq2Unby0YiEVBk45hprz6J6YP5krM_iyrIBdUJ6Qo5lKygtnwLvfDvqKxHqoI3DSCMYc"
    "_lbbl7PuJlS3Y7oZ6rktesmqQfp6nCQS4SiLht2vUY5px4fG2tuykMTDzcl91KnC5DWNO4Mi"
    "myy-iB-o9PTz-1SZihXXN8RcZdsCgYEAuCCPnlm75fO6x4jap-Ce9l2J3fbEVvVYW2rKFKN2"
    "inSpcBoCbEWu2ACYSQVPDAIB7RgJvwmCKk0kY1lsWDBUCAt6H8x96FPwR0pBsMBm9-3xRhnF"
    "4exELJKswRmqNdkU5z02AM7fjotW09N8w_Oc8iaF3TBoDTkBM54WYhGmYV8CgYBP_py7SWXe"
    "ShHq_pgGZOnukui8Iq3q6l43UUGgEkVuLdlOITWqN2dzHPkUKWgnI_EW5cNByv-GrPO8prVC"
    "o161f-G354N-7A1Z8KDrjRICiJlxkezZb2YuQZvTzk7dqE8hbV_ZJuXv_FQNPxuznstDUMzM"
    "xNSIh-q9PtpErTkz-QKBgQCnR02zOyrt2uRR6w9bfUJt6MUcFtiBeBxx0S8OWQOU_jABXF_f"
    "Jd-W9dNkY6JQ8nH1iOUx3d2XuMXaTJ-V7zIorOSihxHMRJYC7n-HqQTjMhUE7t1MR24YYJj6"
    "RerRSQsomf-59Dg-NHEJuRWcoHJxvHXZYeTmPmfNEU6cghR6WQKBgQC9qIjXlEmJrV-BXDEv"
    "071j6CZ5gTwBdDwCkpqruPZdlqwXGc0wSUgnLzEhtntbMH1kantPbtWncDy1AuSnxr5r-ynn"
    "GXOe6t7umGXmMUbKuXZp7NOzLOy23OVRYKLPTjGqpSDh4R5HhUKOwM-tGuH6fPFV8StZIpmp"
    "Zl2-TiAOig";


/* n and e of one key, the rest of another */

static const char  mixed_line[] =
    "rsa:MIIEpAIBAAKCAQEAtf_TVz5XoCsQx4u52psqWXjiuoQLznA9oxK4gNWXR5C7QI5JWFO_"
    "dbXJsA6GHRYnaskQORcVHTU6M06j9iVcvI3y95JONeX66KydgfJZKdy8sRfKIHIFlbMPigtA"
    "uoAzx5344ABToscBbtMP83Esv-ufzzH87d4OYOavet3z_QHwsjHs1Qbi_ILmpPMG7sldtjkI"
    "zbmTT541QYjI_4LiZBBA8OVSIHRxfvkdepfwAYj7a6UB9oUgwz0_KQlE6sTMp7stsHkBiq-F"
    "THL8XyXeycHJzXauSS9CUltf8yubq9MqplSxMvQ9-4E14ZmFIFAFgqzcWKtYWqfB1giWr0Vl"
    "TwIDAQABAoIBAAvErWNY4qjhav1OXWj5Bvli1VJiDJKta8ezkhHfn7C-6EzbUTcDXxu3ww_0"
    "N2oMFwyL0rvPzDJ-RHR2WFtMi7XKLPzMBVyQIDnUrgQXITT5b16AqvDqUyi4NGPplVjK6tdS"
    "LRhTgy0sjb5YH7a4XSJ9CDm5Ty0xiV15m8mjN9C1dg8wAPLnwwvXpkuAIGbdkKaUi1FCHYCu"
    "HngDEh8wyT-q5TBW13r-9o7Wg-Ixfc8XtmqriShaLct5obcyRq-Ddcg_Z-dI0Zr0j-8pRvta"
    "O7xYzi8vgnfwebHLTckb3gD3Va9AMxUOiu5Ely8vhK3DQNoVIQkaBtF_wG2vbG8bbbkCgYEA"
    "7Pbvxq2Unby0YiEVBk45hprz6J6YP5krM_iyrIBdUJ6Qo5lKygtnwLvfDvqKxHqoI3DSCMYc"
    "_lbbl7PuJlS3Y7oZ6rktesmqQfp6nCQS4SiLht2vUY5px4fG2tuykMTDzcl91KnC5DWNO4Mi"
    "myy-iB-o9PTz-1SZihXXN8RcZdsCgYEAuCCPnlm75fO6x4jap-Ce9l2J3fbEVvVYW2rKFKN2"
    "inSpcBoCbEWu2ACYSQVPDAIB7RgJvwmCKk0kY1lsWDBUCAt6H8x96FPwR0pBsMBm9-3xRhnF"
    "4exELJKswRmqNdkU5z02AM7fjotW09N8w_Oc8iaF3TBoDTkBM54WYhGmYV8CgYBP_py7SWXe"
    "ShHq_pgGZOnukui8Iq3q6l43UUGgEkVuLdlOITWqN2dzHPkUKWgnI_EW5cNByv-GrPO8prVC"
    "o161f-G354N-7A1Z8KDrjRICiJlxkezZb2YuQZvTzk7dqE8hbV_ZJuXv_FQNPxuznstDUMzM"
    "xNSIh-q9PtpErTkz-QKBgQCnR02zOyrt2uRR6w9bfUJt6MUcFtiBeBxx0S8OWQOU_jABXF_f"
    "Jd-W9dNkY6JQ8nH1iOUx3d2XuMXaTJ-V7zIorOSihxHMRJYC7n-HqQTjMhUE7t1MR24YYJj6"
    "RerRSQsomf-59Dg-NHEJuRWcoHJxvHXZYeTmPmfNEU6cghR6WQKBgQC9qIjXlEmJrV-BXDEv"
    "071j6CZ5gTwBdDwCkpqruPZdlqwXGc0wSUgnLzEhtntbMH1kantPbtWncDy1AuSnxr5r-ynn"
    "GXOe6t7umGXmMUbKuXZp7NOzLOy23OVRYKLPTjGqpSDh4R5HhUKOwM-tGuH6fPFV8StZIpmp"
    "Zl2-TiAOig";


static const char  small_line[] =
    "rsa:MIICWwIBAAKBgQDS5TNL2UQCpGVI6r2EKxLSzbVhRJjdF1ntrbnSvh3QDVv0KoEAO90G"
    "8xtZuajru2fNc3VomZNgb530SMK6nZJUAAyZcC-2CWOy2ZpPBAfOcAiPbz9AkclNUqW2MD4B"
    "pFtblSWlF-INclEMEFK6LAxgahrhxnV_l7vFuDQAwT1hOQIDAQABAoGAEvAL_CqlZctXYQXb"
    "QMwRY6afO_3J8EiRhbtM7XSu_qjEcheC__9gKKiZ8yOt3IU2nAdbKqpnxogfWflSqylNI14h"
    "9TakeqUOndVxbp0Y-4po4shMSx3ERIhpral1BLVTlzk-oo8EYdkIjRS_sCK73y1YTXOgVopX"
    "1RR-O-yUfVECQQDvfaKx8L0t8oboznvTz24353cKQopKw9r1L_I8hrT6ytalvkMm63J0ivXJ"
    "bNJSwIg9nJsy3lqC4pxe-AOKViL1AkEA4W7utoQrNRXIMQjlpyr-U4QYCdm4O3oaEreUDVoH"
    "ANA5NUWMPSKXGggdnY-bGICG_hnXkQh0ycAWPNu_ftXCtQJAI2nllABwSQoS7vwRjXmf575f"
    "ePHr9zBNAXKslEyrGGbEJNAkp-2rCBbAT5-63ifAPbQZswT0R2RxEQ4FoAAqvQJAPi12seiq"
    "ci3b1Yp6rSzykN5yMuVWJzF6V4dC0pvuKo9D-CmCkKoluwxZ_sdJI-zvTs6Z4mrOq4bLm2WQ"
    "387dsQJADyTGHbE-0Ec1hdmQDNNA8Z5DprxVwSzCl76_Pj6uwWmCeBth5Vq_MLZ5X03aCIZn"
    "KL2wPDaBNyQLc2T6-yLKGg";


static const char  pkcs8_line[] =
    "rsa:MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQCqb6AlSQBCIDdSvWA_"
    "iztyWvComDAPOpbcr1aAT4-Z0cK1MKfygEorym-5oPfp7nTvwa9I8K5H9p4O9SlvlqyzGcur"
    "Va6GIyoh52qaTY304Vt8Hwm08aKIu5C30AHx2Wt0hzVL9EAIfkC_I2UQF-7feBvmG-JoRMz2"
    "GTB_BvvmauPJqHN40NExdTwr30qmTSheozh8XraH7h3MnhJY1JUE7v9nfyqbxBEQqTDNFOX-"
    "qZtcjG8fTjlGn6BnE4vQRWbG49yOiRwMXrXsE5Czk29Us8A54PZw0kwfQpgRJ1JUMo7LP_46"
    "nD9LzgigqJiy4Ayq8rEB-5uAJmEkRZx348dFAgMBAAECggEAC8StY1jiqOFq_U5daPkG-WLV"
    "UmIMkq1rx7OSEd-fsL7oTNtRNwNfG7fDD_Q3agwXDIvSu8_MMn5EdHZYW0yLtcos_MwFXJAg"
    "OdSuBBchNPlvXoCq8OpTKLg0Y-mVWMrq11ItGFODLSyNvlgftrhdIn0IOblPLTGJXXmbyaM3"
    "0LV2DzAA8ufDC9emS4AgZt2QppSLUUIdgK4eeAMSHzDJP6rlMFbXev72jtaD4jF9zxe2aquJ"
    "KFoty3mhtzJGr4N1yD9n50jRmvSP7ylG-1o7vFjOLy-Cd_B5sctNyRveAPdVr0AzFQ6K7kSX"
    "Ly-ErcNA2hUhCRoG0X_Aba9sbxttuQKBgQDs9u_GrZSdvLRiIRUGTjmGmvPonpg_mSsz-LKs"
    "gF1QnpCjmUrKC2fAu98O-orEeqgjcNIIxhz-VtuXs-4mVLdjuhnquS16yapB-nqcJBLhKIuG"
    "3a9RjmnHh8ba27KQxMPNyX3UqcLkNY07gyKbLL6IH6j09PP7VJmKFdc3xFxl2wKBgQC4II-e"
    "Wbvl87rHiNqn4J72XYnd9sRW9VhbasoUo3aKdKlwGgJsRa7YAJhJBU8MAgHtGAm_CYIqTSRj"
    "WWxYMFQIC3ofzH3oU_BHSkGwwGb37fFGGcXh7EQskqzBGao12RTnPTYAzt-Oi1bT03zD85zy"
    "JoXdMGgNOQEznhZiEaZhXwKBgE_-nLtJZd5KEer-mAZk6e6S6LwirerqXjdRQaASRW4t2U4h"
    "Nao3Z3Mc-RQpaCcj8Rblw0HK_4as87ymtUKjXrV_4bfng37sDVnwoOuNEgKImXGR7NlvZi5B"
    "m9POTt2oTyFtX9km5e_8VA0_G7Oey0NQzMzE1IiH6r0-2kStOTP5AoGBAKdHTbM7Ku3a5FHr"
    "D1t9Qm3oxRwW2IF4HHHRLw5ZA5T-MAFcX98l35b102RjolDycfWI5THd3Ze4xdpMn5XvMiis"
    "5KKHEcxElgLuf4epBOMyFQTu3UxHbhhgmPpF6tFJCyiZ_7n0OD40cQm5FZygcnG8ddlh5OY-"
    "Z80RTpyCFHpZAoGBAL2oiNeUSYmtX4FcMS_TvWPoJnmBPAF0PAKSmqu49l2WrBcZzTBJSCcv"
    "MSG2e1swfWRqe09u1adwPLUC5KfGvmv7KecZc57q3u6YZeYxRsq5dmns07Ms7Lbc5VFgos9O"
    "MaqlIOHhHkeFQo7Az60a4fp88VXxK1kimalmXb5OIA6K";


static void
test_life(size_t type)
{
    int                  same;
    uint8_t              text[TEXT_MAX], sig[SIGNATURE_SIGNER_SIG_MAX];
    bytes_t              message, line;
    did_key_t            key;
    bytes_writer_t       w;
    signature_signer_t   signer, again;

    message = bytes_of("message");

    if (signature_signer_create(&signer, types[type].algorithm, 2048) != 0) {
        tap_ok(0, "%s: a key is made", types[type].name);
        return;
    }

    tap_ok(did_parse(signature_signer_did(&signer), &key) == 0
           && key.algorithm == types[type].algorithm
           && key.len == signer.key.len
           && memcmp(key.key, signer.key.key, key.len) == 0
           && signature_key_valid(&key),
           "%s: a key is made, and its DID is of it", types[type].name);

    bytes_writer_open(&w, sig, sizeof(sig));
    tap_ok(signature_signer_sign(&signer, message, &w) == 0
           && bytes_writer_view(&w).len == signature_len(&key)
           && signature_verify(&key, message, bytes_writer_view(&w)),
           "it signs");

    bytes_writer_open(&w, sig, signature_len(&key) - 1);
    tap_ok(signature_signer_sign(&signer, message, &w) == -1,
           "not without room");

    bytes_writer_open(&w, text, sizeof(text));
    tap_ok(signature_signer_write(&signer, &w) == 0, "it is written");

    line = bytes_writer_view(&w);
    tap_ok(bytes_start_with(line, bytes_of(types[type].prefix))
           && line.data[line.len - 1] == '\n'
           && (types[type].line == 0 || line.len == types[type].line),
           "as a line of %zu bytes", line.len);

    same = signature_signer_parse(&again, line) == 0
           && bytes_equal(signature_signer_did(&signer),
                          signature_signer_did(&again));
    tap_ok(same, "and read again");

    bytes_writer_open(&w, sig, sizeof(sig));
    tap_ok(same && signature_signer_sign(&again, message, &w) == 0
           && signature_verify(&key, message, bytes_writer_view(&w)),
           "what was read signs the same");
    signature_signer_destroy(&again);

    bytes_writer_open(&w, sig, 20);
    tap_ok(signature_signer_write(&signer, &w) == -1
           && bytes_writer_view(&w).len == 0,
           "without room nothing is written");

    signature_signer_destroy(&signer);
    tap_ok(sodium_is_zero((uint8_t *) &signer, sizeof(signer)),
           "and then it is gone");
    signature_signer_destroy(&signer);
}


static void
test_known_keys(void)
{
    size_t               i;
    uint8_t              raw[80], text[160], point[80];
    bytes_t              secret;
    bytes_writer_t       w;
    signature_signer_t   signer;

    static const struct {
        const char  *name;
        const char  *prefix;
        const char  *secret;
        const char  *key;
    } cases[] = {
        { "Ed25519, RFC 8032, 7.1, test 2", "ed25519:",
          "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
          "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
        },
        { "P-256, RFC 6979, A.2.5", "p256:",
          "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
          "0360fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
        },
        { "secp256k1, the key 1", "secp256k1:",
          "0000000000000000000000000000000000000000000000000000000000000001",
          "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
        },
        { "P-384, RFC 6979, A.2.6", "p384:",
          "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d8"
          "96d5724e4c70a825f872c9ea60d2edf5",
          "02ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c"
          "64def8f0ea9055866064a254515480bc13"
        },
        { "P-521, RFC 6979, A.2.7", "p521:",
          "00fad06daa62ba3b25d2fb40133da757205de67f5bb0018fee8c86e1b68c7e75"
          "caa896eb32f1f47c70855836a6d16fcc1466f6d8fbec67db89ec0c08b0e996b8"
          "3538",
          "0301894550d0785932e00eaa23b694f213f8c3121f86dc97a04e5a7167db4e5b"
          "cd371123d46e45db6b5d5370a7f20fb633155d38ffa16d2bd761dcac474b9a2f"
          "5023a4"
        }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        secret = make_bytes(cases[i].secret, raw, sizeof(raw));

        bytes_writer_open(&w, text, sizeof(text));
        bytes_writer_text(&w, cases[i].prefix);
        (void) base64_encode(BASE64_URL, secret, &w);

        tap_ok(signature_signer_parse(&signer, bytes_writer_view(&w)) == 0
               && bytes_equal(bytes_make(signer.key.key, signer.key.len),
                              make_bytes(cases[i].key, point,
                                         sizeof(point))),
               "%s: the public key is the published one", cases[i].name);
        signature_signer_destroy(&signer);
    }

    tap_ok(signature_signer_parse(&signer, bytes_of(rsa_line)) == 0
           && signer.key.algorithm == DID_RSA && signer.key.len == 270,
           "RSA: a key of openssl is read");
    signature_signer_destroy(&signer);
}


static void
test_refused(void)
{
    size_t               i, n;
    uint8_t              text[TEXT_MAX + 100], back[TEXT_MAX], secret[100];
    bytes_t              line;
    bytes_writer_t       w;
    signature_signer_t   signer;

    static const struct {
        const char  *prefix;
        const char  *hex;
    } scalars[] = {
        { "p256:", "ffffffff00000000ffffffffffffffff"
                   "bce6faada7179e84f3b9cac2fc632551" },
        { "secp256k1:", "fffffffffffffffffffffffffffffffe"
                        "baaedce6af48a03bbfd25e8cd0364141" },
        { "p384:", "ffffffffffffffffffffffffffffffffffffffffffffffff"
                   "c7634d81f4372ddf581a0db248b0a77aecec196accc52973" },
        { "p521:", "01ffffffffffffffffffffffffffffffffffffffffffffffffffff"
                   "fffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8"
                   "899c47aebb6fb71e91386409" }
    };

    static const char *const  lines[] = {
        "", "\n", ":", "p256", "p256:", "p256:\n", "P256:AAAA",
        "p256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=",
        "p256: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE",
        "p256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\r\n",
        "p256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\n\n",
        " p256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE",
        "x25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE",
        "secret:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE",
        "ed25519:AAAA",
        "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "rsa:AAAA", "rsa:MAA", mixed_line, small_line, pkcs8_line
    };

    for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        tap_ok(signature_signer_parse(&signer, bytes_of(lines[i])) == -1
               && signer.private_key == NULL,
               "line %zu is no key", i);
    }

    for (i = 0; i < sizeof(scalars) / sizeof(scalars[0]); i++) {
        line = make_bytes(scalars[i].hex, secret, sizeof(secret));

        for (n = 0; n < 4; n++) {

            /* the order; zero; one byte less; one byte more */

            if (n == 1) {
                memset(secret, 0, sizeof(secret));
            }

            secret[line.len - 1] ^= (n >= 2);

            bytes_writer_open(&w, text, sizeof(text));
            bytes_writer_text(&w, scalars[i].prefix);
            (void) base64_encode(BASE64_URL,
                                 bytes_make(secret, line.len - (n == 2)
                                                    + (n == 3)), &w);

            tap_ok(signature_signer_parse(&signer, bytes_writer_view(&w))
                   == -1, "%s scalar %zu is none", scalars[i].prefix, n);
        }
    }

    /* a byte behind the key */

    bytes_writer_open(&w, back, sizeof(back));
    (void) base64_decode(BASE64_URL, bytes_of(rsa_line + 4), &w);
    bytes_writer_byte(&w, 0);
    line = bytes_writer_view(&w);

    bytes_writer_open(&w, text, sizeof(text));
    bytes_writer_text(&w, "rsa:");
    (void) base64_encode(BASE64_URL, line, &w);
    tap_ok(signature_signer_parse(&signer, bytes_writer_view(&w)) == -1,
           "RSA with a byte behind it is none");

    memset(text, 'A', sizeof(text));
    memcpy(text, "rsa:", 4);
    tap_ok(signature_signer_parse(&signer, bytes_make(text, sizeof(text)))
           == -1, "nor is what is too long");

    tap_ok(signature_signer_create(&signer, DID_RSA, 1024) == -1
           && signature_signer_create(&signer, DID_RSA, 0) == -1
           && signature_signer_create(&signer, DID_RSA, 8192) == -1,
           "nor is RSA made of another size");

    tap_ok(ERR_peek_error() == 0, "libcrypto's errors are gone");
}


static void
test_wrap(void)
{
    uint8_t             sig[64];
    did_key_t           key;
    bytes_writer_t      w;
    signature_key_t     mine;
    signature_signer_t  signer;

    signature_key_create(&mine);
    signature_signer_wrap(&signer, &mine);

    bytes_writer_open(&w, sig, sizeof(sig));
    tap_ok(bytes_equal(signature_signer_did(&signer),
                       bytes_make(mine.did, DID_ED25519_LEN))
           && signature_signer_sign(&signer, bytes_of("m"), &w) == 0
           && did_parse(signature_signer_did(&signer), &key) == 0
           && signature_verify(&key, bytes_of("m"), bytes_writer_view(&w)),
           "a wrapped key signs");

    signature_signer_destroy(&signer);
    signature_sign(&mine, bytes_of("m"), sig);
    tap_ok(signature_verify(&key, bytes_of("m"), bytes_make(sig, 64)),
           "and stays the caller's");
    signature_key_destroy(&mine);
}


int
main(void)
{
    size_t  i;

    if (sodium_init() < 0) {
        return 1;
    }

    for (i = 0; i < type_count; i++) {
        test_life(i);
    }

    test_known_keys();
    test_refused();
    test_wrap();

    return tap_done();
}
