/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * ISO-8601 in UTC with milliseconds, "2026-11-24T13:05:09.042Z", both ways.
 * Times are int64 milliseconds since 1970; years 0000 to 9999.
 */


#ifndef _TIMESTAMP_H_INCLUDED_
#define _TIMESTAMP_H_INCLUDED_


#include "bytes.h"


#define TIMESTAMP_LEN  24         /* characters */


/* Writes TIMESTAMP_LEN characters; sets w->failed when ms is out of range. */
void timestamp_write(bytes_writer_t *w, int64_t ms);

/* Reads the exact form above ("Z" only; the fraction may be absent or have
   1 to 9 digits, cut to milliseconds).  0, or -1. */
int timestamp_parse(bytes_t text, int64_t *ms);


#endif /* _TIMESTAMP_H_INCLUDED_ */
