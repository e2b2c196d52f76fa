/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Opaque, authenticated cursors: base64url( payload || tag ) where the tag
 * is keyed BLAKE2b-128 over scope, 0x00 and payload.  The scope (who asks
 * which list) is not in the cursor, so a cursor is worth nothing elsewhere.
 */


#ifndef _CURSOR_H_INCLUDED_
#define _CURSOR_H_INCLUDED_


#include "bytes.h"


#define CURSOR_KEY_LEN      32    /* bytes */
#define CURSOR_TAG_LEN      16    /* bytes */
#define CURSOR_PAYLOAD_MAX  512   /* bytes */
#define CURSOR_TEXT_MAX     704   /* characters */


/* Appends the text of the cursor; 0, or -1 when too long, no room, or when
   the scope holds a 0x00.  The key is secret, CURSOR_KEY_LEN bytes. */
int cursor_encode(const uint8_t *key, bytes_t scope, bytes_t payload,
    bytes_writer_t *w);

/* Decodes into w; 0, or -1 when malformed or not ours.  Constant time in
   the tag. */
int cursor_decode(const uint8_t *key, bytes_t scope, bytes_t text,
    bytes_writer_t *w);


#endif /* _CURSOR_H_INCLUDED_ */
