/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Content identifiers, CIDv1 with sha2-256 only:
 *
 *   01 | codec (55 raw: JWT; 71 dag-cbor: UCAN 1.0) | 12 20 | 32 bytes
 *
 * Text is multibase "b" (base32, canonical for us) or "z" (base58btc).
 */


#ifndef _CID_H_INCLUDED_
#define _CID_H_INCLUDED_


#include "bytes.h"


#define CID_DIGEST_LEN   32       /* bytes */
#define CID_BINARY_LEN   36       /* bytes */
#define CID_TEXT_LEN     59       /* characters of the base32 form */

#define CID_RAW          0x55
#define CID_DAG_CBOR     0x71


typedef struct {
    uint8_t  codec;
    uint8_t  digest[CID_DIGEST_LEN];
} cid_t;


/* The CID of these very bytes. */
void cid_of(cid_t *cid, uint8_t codec, bytes_t b);

/* Parses the text form "b..." or "z...".  0, or -1: not one of ours. */
int cid_parse(cid_t *cid, bytes_t text);

/* Parses the binary form without the leading 00 of a CBOR link.  0, -1. */
int cid_parse_binary(cid_t *cid, bytes_t b);

/* Writes CID_TEXT_LEN characters, "b...". */
void cid_write(const cid_t *cid, bytes_writer_t *w);

/* Writes CID_BINARY_LEN bytes. */
void cid_write_binary(const cid_t *cid, bytes_writer_t *w);

/* 1 when codec and digest are the same, else 0. */
int cid_equal(const cid_t *a, const cid_t *b);


#endif /* _CID_H_INCLUDED_ */
