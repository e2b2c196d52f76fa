/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Ids: a kind, "_", and 26 characters: 48 bits of milliseconds and 80
 * random bits in Crockford's base32, lower case, so that ids of a kind sort
 * by time.  "p_" participant, "r_" room, "m_" message, "b_" bot run.
 */


#ifndef _ID_H_INCLUDED_
#define _ID_H_INCLUDED_


#include "bytes.h"


#define ID_LEN         28         /* characters, kind included */
#define ID_RANDOM_LEN  10         /* bytes */


/* Writes ID_LEN characters into out (no NUL).  Time and randomness are the
   caller's: ms since 1970, of which the lower 48 bits count, and
   ID_RANDOM_LEN bytes. */
void id_write(char *out, char kind, int64_t ms, const uint8_t *random);

/* As above, with the randomness from libsodium. */
void id_create(char *out, char kind, int64_t ms);

/* 1 when text is a well-formed id of that kind. */
int id_valid(bytes_t text, char kind);


#endif /* _ID_H_INCLUDED_ */
