/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Content identifiers: compute, parse, write, compare.
 *
 *      01        | 55 or 71 | 12       20 | digest
 *      version 1 | codec    | sha2-256 32 | 32 bytes
 *
 * All four numbers are varints below 80, so each is the byte itself and the
 * binary form is compared as bytes.  Any thread.
 */


#include "base32.h"
#include "base58.h"
#include "cid.h"
#include "digest.h"


#define CID_VERSION      0x01
#define CID_SHA2_256     0x12
#define CID_HEAD_LEN     4        /* bytes before the digest */

/* 36 bytes are 49.2 digits of base 58 */
#define CID_BASE58_MAX   51       /* characters, with the "z" */


_Static_assert(CID_HEAD_LEN + CID_DIGEST_LEN == CID_BINARY_LEN, "36 bytes");
_Static_assert(1 + (CID_BINARY_LEN * 8 + 4) / 5 == CID_TEXT_LEN, "\"b\" + 58");
_Static_assert(DIGEST_SHA256_LEN == CID_DIGEST_LEN, "sha2-256");


void
cid_of(cid_t *cid, uint8_t codec, bytes_t b)
{
    cid->codec = codec;
    digest_sha256(b, cid->digest);
}


int
cid_parse(cid_t *cid, bytes_t text)
{
    int             rc;
    uint8_t         binary[CID_BINARY_LEN];
    bytes_t         body;
    bytes_writer_t  w;

    if (text.len < 2 || text.len > CID_TEXT_LEN) {
        return -1;
    }

    body = bytes_make(text.data + 1, text.len - 1);
    bytes_writer_open(&w, binary, sizeof(binary));

    switch (text.data[0]) {

    case 'b':
        rc = base32_decode(body, &w);
        break;

    case 'z':
        rc = (text.len <= CID_BASE58_MAX) ? base58_decode(body, &w) : -1;
        break;

    default:
        rc = -1;
        break;
    }

    if (rc != 0) {
        return -1;
    }

    return cid_parse_binary(cid, bytes_writer_view(&w));
}


int
cid_parse_binary(cid_t *cid, bytes_t b)
{
    if (b.len != CID_BINARY_LEN
        || b.data[0] != CID_VERSION
        || (b.data[1] != CID_RAW && b.data[1] != CID_DAG_CBOR)
        || b.data[2] != CID_SHA2_256
        || b.data[3] != CID_DIGEST_LEN)
    {
        return -1;
    }

    cid->codec = b.data[1];
    memcpy(cid->digest, b.data + CID_HEAD_LEN, CID_DIGEST_LEN);

    return 0;
}


void
cid_write(const cid_t *cid, bytes_writer_t *w)
{
    uint8_t         binary[CID_BINARY_LEN];
    bytes_writer_t  b;

    if (w->failed || bytes_writer_left(w) < CID_TEXT_LEN) {
        w->failed = 1;
        return;
    }

    bytes_writer_open(&b, binary, sizeof(binary));
    cid_write_binary(cid, &b);

    bytes_writer_byte(w, 'b');
    (void) base32_encode(bytes_writer_view(&b), w);
}


void
cid_write_binary(const cid_t *cid, bytes_writer_t *w)
{
    uint8_t  binary[CID_BINARY_LEN];

    binary[0] = CID_VERSION;
    binary[1] = cid->codec;
    binary[2] = CID_SHA2_256;
    binary[3] = CID_DIGEST_LEN;
    memcpy(binary + CID_HEAD_LEN, cid->digest, CID_DIGEST_LEN);

    bytes_writer_put(w, binary, sizeof(binary));
}


int
cid_equal(const cid_t *a, const cid_t *b)
{
    return a->codec == b->codec
           && memcmp(a->digest, b->digest, CID_DIGEST_LEN) == 0;
}
