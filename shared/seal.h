/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * A secret under a password: Argon2id makes the key, XChaCha20-Poly1305
 * seals.  The record names its own cost, so costs can rise later.
 *
 * Slow on purpose (tens of milliseconds, SEAL_MEMORY_BYTES of memory): only
 * in a thread, never on an event loop.
 */


#ifndef _SEAL_H_INCLUDED_
#define _SEAL_H_INCLUDED_


#include "bytes.h"


#define SEAL_SECRET_LEN    32               /* bytes sealed */
#define SEAL_RECORD_LEN    105              /* bytes of the record: version 1,
                                               opslimit 8, memlimit 8,
                                               salt 16, nonce 24,
                                               ciphertext 32 + tag 16 */
#define SEAL_PASSWORD_MAX  1024             /* bytes */
#define SEAL_MEMORY_BYTES  (19 * 1024 * 1024)
#define SEAL_PASSES        2


/* Seals secret into record (SEAL_RECORD_LEN bytes).  "aad" ties the record
   to its owner (the participant id).  0, or -1: password too long or no
   memory. */
int seal_close(uint8_t *record, const uint8_t *secret, bytes_t password,
    bytes_t aad);

/* Opens it into secret (SEAL_SECRET_LEN bytes, zeroed on failure).  0; -1
   on a wrong password or record; -2 when there was no memory. */
int seal_open(uint8_t *secret, bytes_t record, bytes_t password,
    bytes_t aad);


#endif /* _SEAL_H_INCLUDED_ */
