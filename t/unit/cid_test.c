/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * cid.c: known CIDs in all three forms, and everything that is not a CIDv1
 * with one of our two codecs and sha2-256.
 */


#include "cid.h"
#include "tap.h"


static void
test_known_cids(void)
{
    cid_t           cid, other;
    size_t          i;
    uint8_t         binary[CID_BINARY_LEN], text[CID_TEXT_LEN];
    bytes_writer_t  b, w;

    static const struct {
        const char  *name;
        uint8_t      codec;
        bytes_t      bytes;
        const char  *base32;
        const char  *base58;
    } cases[] = {
        { "nothing", CID_RAW, bytes_literal(""),
          "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
          "zb2rhmy65F3REf8SZp7De11gxtECBGgUKaLdiDj7MCGCHxbDW" },
        { "text", CID_RAW, bytes_literal("hello"),
          "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq",
          "zb2rhZfjRh2FHHB2RkHVEvL2vJnCTcu7kwRqgVsf9gpkLgteo" },
        { "an empty map", CID_DAG_CBOR, bytes_literal("\xa0"),
          "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua",
          "zdpuAyTBnYSugBZhqJuLsNpzjmAjSmxDqBbtAqXMtsvxiN2v3" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cid_of(&cid, cases[i].codec, cases[i].bytes);

        bytes_writer_open(&w, text, sizeof(text));
        cid_write(&cid, &w);
        tap_ok(!w.failed
               && bytes_equal_text(bytes_writer_view(&w), cases[i].base32),
               "the CID of %s is written", cases[i].name);

        tap_ok(cid_parse(&other, bytes_of(cases[i].base32)) == 0
               && cid_equal(&cid, &other), "and read");
        tap_ok(cid_parse(&other, bytes_of(cases[i].base58)) == 0
               && cid_equal(&cid, &other), "and read in base 58");

        bytes_writer_open(&b, binary, sizeof(binary));
        cid_write_binary(&cid, &b);
        tap_ok(!b.failed
               && cid_parse_binary(&other, bytes_writer_view(&b)) == 0
               && cid_equal(&cid, &other), "and goes through its bytes");
    }
}


static void
test_refused(void)
{
    cid_t   cid;
    size_t  i;

    static const struct {
        const char  *name;
        const char  *text;
    } cases[] = {
        { "nothing", "" },
        { "a multibase letter alone", "b" },
        { "no multibase letter",
          "afkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq" },
        { "upper case base 32",
          "BAFKREIBM6JG3UX5QUMHCN2B3FLC3TYU6DMLB4XA7U5BF44YEGNRJHC4YEQ" },
        { "a cut text",
          "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4ye" },
        { "a longer text",
          "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeqa" },
        { "unused bits",
          "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yer" },
        { "a blank",
          "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq " },
        { "a CIDv0", "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG" },
        { "dag-json",
          "baguqeeraftze3os7wcrq4jxihmvmlopctynrmhs4d6tuexttaqzwfe4ltasa" },
        { "a bare multihash",
          "bciqcz4snxjp3biyoe3udwkwfxhrj4gywdzob7j2clzzqim3csofzqja" },
        { "BLAKE3",
          "bafkr4ibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq" },
        { "a shorter digest",
          "bafkrehzm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4y" },
        { "a longer digest",
          "bafkreijm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeqaa" },
        { "the identity hash",
          "bafkqaibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq" },
        { "version 2",
          "bajkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq" },
        { "dag-pb",
          "bafybeibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq" },
        { "a zero in front, base 58",
          "z1b2rhZfjRh2FHHB2RkHVEvL2vJnCTcu7kwRqgVsf9gpkLgteo" },
        { "no digit of base 58",
          "zb2rhZfjRh2FHHB2RkHVEvL2vJnCTcu7kwRqgVsf9gpkLgte0" },
        { "a longer text, base 58",
          "zb2rhZfjRh2FHHB2RkHVEvL2vJnCTcu7kwRqgVsf9gpkLgteoo" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tap_ok(cid_parse(&cid, bytes_of(cases[i].text)) != 0,
               "%s is refused", cases[i].name);
    }
}


static void
test_binary_refused(void)
{
    cid_t           cid;
    size_t          i, n, taken;
    uint8_t         binary[CID_BINARY_LEN + 2];
    bytes_writer_t  w;

    cid_of(&cid, CID_DAG_CBOR, bytes_of("x"));
    bytes_writer_open(&w, binary + 1, CID_BINARY_LEN);
    cid_write_binary(&cid, &w);
    binary[0] = 0;
    binary[CID_BINARY_LEN + 1] = 0;
    taken = 0;

    for (n = 0; n < CID_BINARY_LEN; n++) {
        taken += cid_parse_binary(&cid, bytes_make(binary + 1, n)) == 0;
    }

    for (i = 1; i <= 4; i++) {
        binary[i] ^= 0x80;
        taken += cid_parse_binary(&cid, bytes_make(binary + 1,
                                                   CID_BINARY_LEN)) == 0;
        binary[i] ^= 0x80;
    }

    taken += cid_parse_binary(&cid, bytes_make(binary, CID_BINARY_LEN + 1))
             == 0;
    taken += cid_parse_binary(&cid, bytes_make(binary + 1,
                                               CID_BINARY_LEN + 1)) == 0;

    tap_ok(taken == 0,
           "bytes are refused cut, longer, or with another head");
}


static void
test_compare_and_room(void)
{
    cid_t           a, b;
    uint8_t         text[CID_TEXT_LEN - 1];
    bytes_writer_t  w;

    cid_of(&a, CID_RAW, bytes_of("x"));
    cid_of(&b, CID_DAG_CBOR, bytes_of("x"));
    tap_ok(!cid_equal(&a, &b), "the codec makes a difference");

    cid_of(&b, CID_RAW, bytes_of("y"));
    tap_ok(!cid_equal(&a, &b), "and so does the digest");

    bytes_writer_open(&w, text, sizeof(text));
    cid_write(&a, &w);
    tap_ok(w.failed && bytes_writer_view(&w).len == 0,
           "no room leaves no output");
}


int
main(void)
{
    test_known_cids();
    test_refused();
    test_binary_refused();
    test_compare_and_room();

    return tap_done();
}
