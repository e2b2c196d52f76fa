/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The byte logic of the ring drawn in ring.h.  Knows memory and offsets; no
 * lock, no clock, no idea of what the records say.
 */


#include "ring.h"


#define RING_RECORD_HEAD  8       /* bytes before the payload */


typedef struct {
    uint32_t  length;             /* bytes of payload, without padding */
    uint32_t  check;              /* of length and place */
} ring_record_t;


_Static_assert(sizeof(ring_record_t) == RING_RECORD_HEAD, "record head");
_Static_assert(RING_SIZE_MIN % 8 == 0, "ring alignment");


static uint32_t
make_check(uint32_t length, uint64_t place)
{
    uint64_t  v;

    v = (place + length) * UINT64_C(0x9e3779b97f4a7c15);

    return (uint32_t) (v >> 32);
}


/* Bytes that a record takes in the ring. */
static uint64_t
count_bytes(uint64_t length)
{
    return (RING_RECORD_HEAD + length + 7) & ~(uint64_t) 7;
}


static void
copy_in(ring_t *ring, uint64_t place, const void *data, size_t len)
{
    size_t          first;
    uint64_t        offset;
    const uint8_t  *p;

    if (len == 0) {
        return;
    }

    p = data;
    offset = place % ring->size;
    first = (len < ring->size - offset) ? len : (size_t) (ring->size - offset);

    memcpy(ring->data + offset, p, first);
    memcpy(ring->data, p + first, len - first);
}


static void
copy_out(const ring_t *ring, uint64_t place, void *data, size_t len)
{
    size_t    first;
    uint8_t  *p;
    uint64_t  offset;

    p = data;
    offset = place % ring->size;
    first = (len < ring->size - offset) ? len : (size_t) (ring->size - offset);

    memcpy(p, ring->data + offset, first);
    memcpy(p + first, ring->data, len - first);
}


/* The tail that leaves room for need bytes; the head when a record on the
   way is not one. */
static uint64_t
find_tail(const ring_t *ring, uint64_t head, uint64_t need)
{
    uint64_t       tail, size;
    ring_record_t  record;

    tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

    while (head + need - tail > ring->size) {
        copy_out(ring, tail, &record, sizeof(record));
        size = count_bytes(record.length);

        if (record.check != make_check(record.length, tail)
            || size > head - tail)
        {
            return head;
        }

        tail += size;
    }

    return tail;
}


ring_t *
ring_open(void *memory, size_t size)
{
    ring_t  *ring;

    if (memory == NULL || size < RING_SIZE_MIN) {
        return NULL;
    }

    ring = memory;
    ring->size = (size - sizeof(ring_t)) & ~(uint64_t) 7;
    atomic_init(&ring->tail, 0);
    atomic_init(&ring->head, 0);

    return ring;
}


uint64_t
ring_head(const ring_t *ring)
{
    return atomic_load_explicit(&ring->head, memory_order_acquire);
}


ring_rc_t
ring_append(ring_t *ring, const bytes_t *parts, size_t count)
{
    size_t         i;
    uint64_t       head, place, length, need;
    ring_record_t  record;

    length = 0;

    for (i = 0; i < count; i++) {

        if (parts[i].len > RING_RECORD_MAX - length) {
            return RING_LARGE;
        }

        length += parts[i].len;
    }

    need = count_bytes(length);

    if (need > ring->size / 2) {
        return RING_LARGE;
    }

    head = ring_head(ring);

    record.length = (uint32_t) length;
    record.check = make_check(record.length, head);

    /* no byte may be written before the records that it destroys are gone */

    atomic_store_explicit(&ring->tail, find_tail(ring, head, need),
                          memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);

    copy_in(ring, head, &record, sizeof(record));
    place = head + sizeof(record);

    for (i = 0; i < count; i++) {
        copy_in(ring, place, parts[i].data, parts[i].len);
        place += parts[i].len;
    }

    copy_in(ring, place, "\0\0\0\0\0\0\0", (size_t) (head + need - place));

    atomic_store_explicit(&ring->head, head + need, memory_order_release);

    return RING_OK;
}


ring_rc_t
ring_take(const ring_t *ring, uint64_t *cursor, ring_batch_t *batch)
{
    uint64_t  head, tail, left;

    batch->len = 0;
    batch->pos = 0;
    batch->want = 0;

    head = ring_head(ring);
    tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

    if (*cursor == head) {
        return RING_EMPTY;
    }

    if (*cursor < tail || *cursor > head) {
        *cursor = head;
        return RING_OVERRUN;
    }

    left = head - *cursor;
    batch->len = (left < batch->size) ? (size_t) left : batch->size;

    copy_out(ring, *cursor, batch->buf, batch->len);

    return RING_OK;
}


ring_rc_t
ring_batch_next(ring_batch_t *batch, uint64_t *cursor, bytes_t *record)
{
    uint64_t       size;
    ring_record_t  head;

    *record = bytes_make(NULL, 0);

    if (batch->len - batch->pos < sizeof(head)) {
        return RING_EMPTY;
    }

    memcpy(&head, batch->buf + batch->pos, sizeof(head));

    if (head.length > RING_RECORD_MAX
        || head.check != make_check(head.length, *cursor))
    {
        return RING_OVERRUN;
    }

    size = count_bytes(head.length);

    if (size > batch->len - batch->pos) {

        if (size > batch->size) {
            batch->want = (size_t) size;
        }

        return RING_EMPTY;
    }

    *record = bytes_make(batch->buf + batch->pos + sizeof(head), head.length);

    batch->pos += (size_t) size;
    *cursor += size;

    return RING_OK;
}
