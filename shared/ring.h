/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * A ring of byte records in a block of memory that several processes share:
 * one road in, any number of readers, each with a cursor of its own.
 *
 *         tail                 head
 *          v                    v
 *     +----+---------+---+------+-----------------+
 *     |free| record  |rec| rec  |      free       |   size bytes
 *     +----+---------+---+------+-----------------+
 *
 *     record:  length (4)  check (4)  payload, padded to 8 bytes
 *
 * Places (head, tail, cursors) count the bytes ever written and never wrap;
 * a place modulo size is the offset in the block.  A record may go on at the
 * start of the block, its first 8 bytes never do.  An append that finds no
 * room forgets the oldest records: a reader behind the tail was overrun.
 *
 * Takes no lock: ring_append() and ring_take() run under one that the caller
 * holds.  An appending process may be killed at any instruction: first the
 * tail moves, then the bytes are written, then the head moves, so what lies
 * between tail and head is whole at all times.
 */


#ifndef _RING_H_INCLUDED_
#define _RING_H_INCLUDED_


#include "bytes.h"

#include <stdatomic.h>


#define RING_SIZE_MIN    4096     /* bytes of the block */
#define RING_RECORD_MAX  (16 * 1024 * 1024)   /* bytes of payload */


typedef enum {
    RING_OK = 0,
    RING_EMPTY,                   /* nothing more to read */
    RING_OVERRUN,                 /* records were lost; cursor is at head */
    RING_LARGE                    /* record beyond half of the ring */
} ring_rc_t;


/* In shared memory; written under the caller's lock only. */
typedef struct {
    uint64_t          size;       /* bytes of data; multiple of 8 */
    _Atomic uint64_t  tail;       /* place of the oldest record */
    _Atomic uint64_t  head;       /* place behind the newest record */
    uint8_t           data[];
} ring_t;


/* A copy of some bytes of the ring, in the reader's own memory. */
typedef struct {
    uint8_t  *buf;                /* borrowed */
    size_t    size;               /* bytes that buf can hold */
    size_t    len;                /* bytes that were copied */
    size_t    pos;                /* bytes that were handed out */
    size_t    want;               /* size that the next record needs when
                                     it is more than buf can hold, else 0 */
} ring_batch_t;


/* Makes an empty ring in fresh memory of that many bytes, aligned to 8.
   NULL: less than RING_SIZE_MIN. */
ring_t *ring_open(void *memory, size_t size);

/* Where a new reader starts: behind the newest record. */
uint64_t ring_head(const ring_t *ring);

/* Appends one record made of [count] parts.  RING_OK; RING_LARGE: more than
   half of the ring or RING_RECORD_MAX, nothing changed. */
ring_rc_t ring_append(ring_t *ring, const bytes_t *parts, size_t count);

/* Copies what lies at the cursor, as much as batch->buf holds.  RING_OK;
   RING_EMPTY: the reader has seen all; RING_OVERRUN: the cursor was moved to
   the head, what lay between is lost. */
ring_rc_t ring_take(const ring_t *ring, uint64_t *cursor,
    ring_batch_t *batch);

/* The next whole record of a batch, borrowed from batch->buf; moves the
   cursor behind it.  Needs no lock.  RING_OK; RING_EMPTY: take the next
   batch, with a buffer of batch->want bytes when that is not 0;
   RING_OVERRUN: the bytes are no record, the ring is not to be trusted here,
   and the caller must go on from ring_head(). */
ring_rc_t ring_batch_next(ring_batch_t *batch, uint64_t *cursor,
    bytes_t *record);


#endif /* _RING_H_INCLUDED_ */
