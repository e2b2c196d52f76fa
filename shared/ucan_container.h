/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * UCAN containers ("ctn-v1"): a bundle of envelopes in one text or byte
 * string.  Forms: '@' raw, 'B' base64 padded, 'C' base64url, 'M' gzip raw,
 * 'O' base64 padded of gzip, 'P' base64url of gzip.
 */


#ifndef _UCAN_CONTAINER_H_INCLUDED_
#define _UCAN_CONTAINER_H_INCLUDED_


#include "ucan_token.h"


/* Decodes any form into a list of envelope bytes (views into memory from
   "memory", [*count], duplicates by bytes dropped).  Strict: one gzip member,
   CRC checked, nothing behind it, output at most limits->inflated_max. */
ucan_verdict_t ucan_container_decode(bytes_t text, bytes_t **list,
    size_t *count, const ucan_limits_t *limits, ucan_memory_t *memory);

/* Appends the container of these envelopes in that form ('B', 'C', 'O' or
   'P'), sorted bytewise.  "scratch" comes from memory.  0, or -1. */
int ucan_container_encode(char form, const bytes_t *list, size_t count,
    bytes_writer_t *w, ucan_memory_t *memory);


#endif /* _UCAN_CONTAINER_H_INCLUDED_ */
