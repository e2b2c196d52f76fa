/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Notices between workers: a ring in shared memory and an eventfd a slot.
 *
 * The zone is laid out once, in the master:
 *
 *     ngx_mesh_zone_t   slots, layout version
 *     ring_t            records, each a notice:
 *
 *         kind (1)  sender's slot + 1 (1)  topic bytes (1)  zero (5)
 *         seq (8)   topic   payload
 *
 * Appending, reading and all slot fields are under the slab mutex of the
 * zone.  A reader copies a batch out under the lock and calls handlers
 * without it.  "waiting" of a slot is set by the first publisher that finds
 * it clear, who then writes the eventfd, and cleared by the reader before it
 * reads: one system call a batch.  A publisher that dies between the two
 * costs its readers up to a second, until their timer looks by itself.
 *
 * A reload with another size makes a new zone: workers of the old generation
 * stay with the old one until they exit, and the two do not hear each other.
 * Slots of neighbouring zones start half a turn apart, so that they do not
 * share eventfds.
 */


#include "ngx_mesh_wake.h"
#include "ring.h"

#include <sys/eventfd.h>


#define NGX_MESH_WAKE_BATCH_SIZE  65536    /* bytes copied under a lock */
#define NGX_MESH_WAKE_BATCH_MAX   8        /* batches a turn of the loop */
#define NGX_MESH_WAKE_CHECK_MS    1000


/* In the ring, before topic and payload. */
typedef struct {
    uint8_t    kind;
    uint8_t    sender;            /* slot + 1; 0: none */
    uint8_t    topic;             /* bytes */
    uint8_t    zero[5];
    uint64_t   seq;
} ngx_mesh_wake_head_t;


typedef struct {
    ngx_mesh_wake_kind_t       kind;
    ngx_mesh_wake_handler_pt   handler;
    void                      *data;       /* borrowed */
    unsigned                   first:1;    /* of this handler and data: it
                                              is the one told of RESYNC */
} ngx_mesh_wake_listener_t;


/* What wake->private points to, in the cycle's pool. */
typedef struct {
    ngx_slab_pool_t           *shpool;     /* shared */
    ngx_mesh_zone_t           *zone;       /* shared */
    ring_t                    *ring;       /* shared */

    ngx_mesh_wake_t           *wake;
    const ngx_fd_t            *fds;        /* borrowed from the owner */
    ngx_log_t                 *log;
    ngx_connection_t          *connection; /* of this worker's eventfd */
    ngx_event_t                turn;       /* posted: there may be more */
    ngx_event_t                check;      /* timer */
    ngx_uint_t                 checks;
    uint64_t                   cursor;
    u_char                    *buf;        /* NGX_MESH_WAKE_BATCH_SIZE */
    unsigned                   open:1;

    ngx_uint_t                 count;
    ngx_mesh_wake_listener_t   listeners[NGX_MESH_WAKE_LISTENERS_MAX];
} ngx_mesh_wake_own_t;


static ngx_int_t ngx_mesh_wake_zone_init(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_int_t ngx_mesh_wake_publish(ngx_mesh_wake_t *wake,
    ngx_mesh_wake_notice_t *notice);
static ngx_int_t ngx_mesh_wake_listen(ngx_mesh_wake_t *wake,
    ngx_mesh_wake_kind_t kind, ngx_mesh_wake_handler_pt handler, void *data);
static uint64_t ngx_mesh_wake_slots(ngx_mesh_wake_t *wake);
static uint64_t ngx_mesh_wake_sleepers_locked(ngx_mesh_wake_own_t *own);
static void ngx_mesh_wake_flush(ngx_mesh_wake_own_t *own, uint64_t sleepers);
static ngx_int_t ngx_mesh_wake_connect(ngx_mesh_wake_own_t *own);
static void ngx_mesh_wake_read_handler(ngx_event_t *rev);
static void ngx_mesh_wake_turn_handler(ngx_event_t *ev);
static void ngx_mesh_wake_check_handler(ngx_event_t *ev);
static void ngx_mesh_wake_drain(ngx_mesh_wake_own_t *own);
static ring_rc_t ngx_mesh_wake_take(ngx_mesh_wake_own_t *own,
    ring_batch_t *batch);
static void ngx_mesh_wake_take_large(ngx_mesh_wake_own_t *own, size_t size);
static void ngx_mesh_wake_batch(ngx_mesh_wake_own_t *own,
    ring_batch_t *batch);
static void ngx_mesh_wake_record(ngx_mesh_wake_own_t *own, bytes_t record);
static void ngx_mesh_wake_tell(ngx_mesh_wake_own_t *own,
    ngx_mesh_wake_notice_t *notice);
static void ngx_mesh_wake_missed(ngx_mesh_wake_own_t *own, const char *why);
static void ngx_mesh_wake_died(ngx_mesh_wake_own_t *own, uint64_t died);


/* Zones that this master laid out; decides where their slots start. */
static ngx_uint_t  ngx_mesh_wake_zones;


ngx_mesh_wake_t *
ngx_mesh_wake_create(ngx_conf_t *cf, ngx_str_t *name, size_t size, void *tag,
    ngx_fd_t *fds)
{
    ngx_shm_zone_t       *shm_zone;
    ngx_mesh_wake_t      *wake;
    ngx_mesh_wake_own_t  *own;

    wake = ngx_pcalloc(cf->pool, sizeof(ngx_mesh_wake_t));
    own = ngx_pcalloc(cf->pool, sizeof(ngx_mesh_wake_own_t));

    if (wake == NULL || own == NULL) {
        return NULL;
    }

    shm_zone = ngx_shared_memory_add(cf, name, size, tag);

    if (shm_zone == NULL) {
        return NULL;
    }

    shm_zone->init = ngx_mesh_wake_zone_init;
    shm_zone->data = own;

    own->wake = wake;
    own->fds = fds;

    wake->publish = ngx_mesh_wake_publish;
    wake->listen = ngx_mesh_wake_listen;
    wake->slots = ngx_mesh_wake_slots;
    wake->slot = -1;
    wake->private = own;

    return wake;
}


/* In the master.  data: own of the cycle before, when its zone is kept. */
static ngx_int_t
ngx_mesh_wake_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    size_t                size;
    u_char               *p;
    ngx_mesh_wake_own_t  *own, *old;

    own = shm_zone->data;
    old = data;

    own->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (old) {
        own->zone = old->zone;
        own->ring = old->ring;

        if (ngx_mesh_zone_check(own->zone) != NGX_OK) {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "wake: zone \"%V\" has the layout of another "
                          "version: restart nginx", &shm_zone->shm.name);
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    /* all pages that are left, in one piece */

    size = own->shpool->pfree * ngx_pagesize;
    p = ngx_slab_alloc(own->shpool, size);

    if (p == NULL) {
        return NGX_ERROR;
    }

    own->zone = (ngx_mesh_zone_t *) p;
    ngx_mesh_zone_open(own->zone,
                       ngx_mesh_wake_zones++ * (NGX_MESH_ZONE_SLOTS / 2));

    p = ngx_align_ptr(p + sizeof(ngx_mesh_zone_t), 64);
    size -= p - (u_char *) own->zone;
    own->ring = ring_open(p, size);

    return own->ring ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_mesh_wake_init(ngx_fd_t *fds, ngx_log_t *log)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_MESH_ZONE_SLOTS; i++) {

        if (fds[i] != NGX_INVALID_FILE) {
            continue;
        }

        fds[i] = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);

        if (fds[i] == NGX_INVALID_FILE) {
            ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                          "wake: eventfd() failed");
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_mesh_wake_open(ngx_mesh_wake_t *wake, ngx_cycle_t *cycle)
{
    uint64_t              died;
    ngx_mesh_wake_own_t  *own;

    own = wake->private;

    if (own->ring == NULL) {
        return NGX_ERROR;
    }

    own->log = cycle->log;
    own->buf = ngx_palloc(cycle->pool, NGX_MESH_WAKE_BATCH_SIZE);

    if (own->buf == NULL) {
        return NGX_ERROR;
    }

    wake->slot = ngx_mesh_zone_claim(own->zone, &own->shpool->mutex, &died);

    ngx_shmtx_lock(&own->shpool->mutex);
    own->cursor = ring_head(own->ring);
    ngx_shmtx_unlock(&own->shpool->mutex);

    own->open = 1;

    own->turn.handler = ngx_mesh_wake_turn_handler;
    own->turn.data = own;
    own->turn.log = own->log;

    own->check.handler = ngx_mesh_wake_check_handler;
    own->check.data = own;
    own->check.log = own->log;
    own->check.cancelable = 1;

    if (wake->slot == NGX_ERROR) {
        wake->slot = -1;
        ngx_log_error(NGX_LOG_ERR, own->log, 0,
                      "wake: all %d worker slots are taken, this worker hears "
                      "the others once a second", NGX_MESH_ZONE_SLOTS);

    } else if (ngx_mesh_wake_connect(own) != NGX_OK) {
        ngx_mesh_wake_close(wake);
        return NGX_ERROR;
    }

    ngx_add_timer(&own->check, NGX_MESH_WAKE_CHECK_MS);

    if (died) {
        ngx_mesh_wake_died(own, died);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_wake_connect(ngx_mesh_wake_own_t *own)
{
    ngx_event_t       *rev;
    ngx_connection_t  *c;

    c = ngx_get_connection(own->fds[own->wake->slot], own->log);

    if (c == NULL) {
        return NGX_ERROR;
    }

    c->data = own;

    rev = c->read;
    rev->handler = ngx_mesh_wake_read_handler;
    rev->log = own->log;

    /* as nginx's own channel: not an open socket that was forgotten */

    rev->channel = 1;
    c->write->channel = 1;

    if (ngx_add_event(rev, NGX_READ_EVENT, 0) != NGX_OK) {
        ngx_free_connection(c);
        c->fd = (ngx_socket_t) -1;
        return NGX_ERROR;
    }

    own->connection = c;

    return NGX_OK;
}


void
ngx_mesh_wake_close(ngx_mesh_wake_t *wake)
{
    ngx_connection_t     *c;
    ngx_mesh_wake_own_t  *own;

    own = wake->private;

    if (!own->open) {
        return;
    }

    own->open = 0;

    if (own->check.timer_set) {
        ngx_del_timer(&own->check);
    }

    if (own->turn.posted) {
        ngx_delete_posted_event(&own->turn);
    }

    c = own->connection;

    if (c) {
        own->connection = NULL;
        (void) ngx_del_event(c->read, NGX_READ_EVENT, 0);
        ngx_free_connection(c);
        c->fd = (ngx_socket_t) -1;
    }

    ngx_mesh_zone_release(own->zone, &own->shpool->mutex, wake->slot);
    wake->slot = -1;
}


static ngx_int_t
ngx_mesh_wake_publish(ngx_mesh_wake_t *wake, ngx_mesh_wake_notice_t *notice)
{
    bytes_t                parts[3];
    uint64_t               sleepers;
    ring_rc_t              rc;
    ngx_mesh_wake_own_t   *own;
    ngx_mesh_wake_head_t   head;

    own = wake->private;

    if (!own->open) {
        return NGX_ERROR;
    }

    if (notice->topic.len > NGX_MESH_WAKE_TOPIC_MAX
        || notice->payload.len > NGX_MESH_WAKE_NOTICE_MAX
        || (ngx_uint_t) notice->kind >= NGX_MESH_WAKE_KINDS)
    {
        ngx_log_error(NGX_LOG_ERR, own->log, 0,
                      "wake: notice of %uz bytes is beyond the limit",
                      notice->payload.len);
        return NGX_ERROR;
    }

    notice->slot = wake->slot;

    ngx_memzero(&head, sizeof(head));
    head.kind = (uint8_t) notice->kind;
    head.sender = (uint8_t) (wake->slot + 1);
    head.topic = (uint8_t) notice->topic.len;
    head.seq = notice->seq;

    parts[0] = bytes_make(&head, sizeof(head));
    parts[1] = bytes_make(notice->topic.data, notice->topic.len);
    parts[2] = bytes_make(notice->payload.data, notice->payload.len);

    ngx_shmtx_lock(&own->shpool->mutex);

    rc = ring_append(own->ring, parts, 3);
    sleepers = ngx_mesh_wake_sleepers_locked(own);

    ngx_shmtx_unlock(&own->shpool->mutex);

    ngx_mesh_wake_flush(own, sleepers);

    return (rc == RING_OK) ? NGX_OK : NGX_ERROR;
}


/* Bit i: slot i has to be woken, and this worker is the one to do it. */
static uint64_t
ngx_mesh_wake_sleepers_locked(ngx_mesh_wake_own_t *own)
{
    uint64_t               sleepers;
    ngx_uint_t             i;
    ngx_mesh_zone_slot_t  *slot;

    sleepers = 0;

    for (i = 0; i < NGX_MESH_ZONE_SLOTS; i++) {
        slot = &own->zone->slots[i];

        if (slot->pid != 0 && !slot->waiting) {
            slot->waiting = 1;
            sleepers |= (uint64_t) 1 << i;
        }
    }

    return sleepers;
}


/* Wakes the others by their eventfds and this worker by a posted event. */
static void
ngx_mesh_wake_flush(ngx_mesh_wake_own_t *own, uint64_t sleepers)
{
    uint64_t    one;
    ngx_uint_t  i;

    one = 1;

    for (i = 0; sleepers != 0; i++, sleepers >>= 1) {

        if ((sleepers & 1) == 0) {
            continue;
        }

        if ((ngx_int_t) i == own->wake->slot) {
            ngx_post_event(&own->turn, &ngx_posted_events);
            continue;
        }

        if (write(own->fds[i], &one, sizeof(one)) == -1
            && ngx_errno != NGX_EAGAIN)
        {
            ngx_log_error(NGX_LOG_ERR, own->log, ngx_errno,
                          "wake: write() to the eventfd of slot %ui failed",
                          i);
        }
    }

    if (own->wake->slot < 0) {
        ngx_post_event(&own->turn, &ngx_posted_events);
    }
}


static ngx_int_t
ngx_mesh_wake_listen(ngx_mesh_wake_t *wake, ngx_mesh_wake_kind_t kind,
    ngx_mesh_wake_handler_pt handler, void *data)
{
    ngx_uint_t                 i;
    ngx_mesh_wake_own_t       *own;
    ngx_mesh_wake_listener_t  *listener;

    own = wake->private;

    if (own->count == NGX_MESH_WAKE_LISTENERS_MAX) {
        return NGX_ERROR;
    }

    listener = &own->listeners[own->count];

    listener->kind = kind;
    listener->handler = handler;
    listener->data = data;
    listener->first = 1;

    for (i = 0; i < own->count; i++) {
        if (own->listeners[i].handler == handler
            && own->listeners[i].data == data)
        {
            listener->first = 0;
        }
    }

    own->count++;

    return NGX_OK;
}


static uint64_t
ngx_mesh_wake_slots(ngx_mesh_wake_t *wake)
{
    ngx_mesh_wake_own_t  *own;

    own = wake->private;

    if (own->zone == NULL) {
        return 0;
    }

    return ngx_mesh_zone_used(own->zone, &own->shpool->mutex);
}


static void
ngx_mesh_wake_read_handler(ngx_event_t *rev)
{
    ssize_t               n;
    uint64_t              count;
    ngx_connection_t     *c;
    ngx_mesh_wake_own_t  *own;

    c = rev->data;
    own = c->data;

    /* level-triggered; one read() empties an eventfd */

    n = read(c->fd, &count, sizeof(count));

    if (n == -1 && ngx_errno != NGX_EAGAIN && ngx_errno != NGX_EINTR) {
        ngx_log_error(NGX_LOG_ERR, own->log, ngx_errno,
                      "wake: read() of an eventfd failed");
    }

    ngx_mesh_wake_drain(own);
}


static void
ngx_mesh_wake_turn_handler(ngx_event_t *ev)
{
    ngx_mesh_wake_drain(ev->data);
}


/* An exiting worker goes on with this: cancelable timers do not keep it. */
static void
ngx_mesh_wake_check_handler(ngx_event_t *ev)
{
    uint64_t              died;
    ngx_mesh_wake_own_t  *own;

    own = ev->data;

    died = ngx_mesh_zone_sweep(own->zone, &own->shpool->mutex, own->checks++);

    if (died) {
        ngx_mesh_wake_died(own, died);
    }

    ngx_mesh_wake_drain(own);

    ngx_add_timer(ev, NGX_MESH_WAKE_CHECK_MS);
}


static void
ngx_mesh_wake_died(ngx_mesh_wake_own_t *own, uint64_t died)
{
    ngx_uint_t              i;
    ngx_mesh_wake_notice_t  notice;

    for (i = 0; i < NGX_MESH_ZONE_SLOTS; i++) {
        if (died & (uint64_t) 1 << i) {
            ngx_log_error(NGX_LOG_NOTICE, own->log, 0,
                          "wake: the worker of slot %ui died, all workers "
                          "read the store again", i);
        }
    }

    ngx_memzero(&notice, sizeof(notice));
    notice.kind = NGX_MESH_WAKE_RESYNC;
    notice.seq = died;

    (void) ngx_mesh_wake_publish(own->wake, &notice);
}


/* Reads until there is nothing left, but not for ever: what others publish
   meanwhile waits for the next turn of the loop. */
static void
ngx_mesh_wake_drain(ngx_mesh_wake_own_t *own)
{
    ring_rc_t     rc;
    ngx_uint_t    n;
    ring_batch_t  batch;

    for (n = 0; n < NGX_MESH_WAKE_BATCH_MAX && own->open; n++) {
        batch.buf = own->buf;
        batch.size = NGX_MESH_WAKE_BATCH_SIZE;

        rc = ngx_mesh_wake_take(own, &batch);

        if (rc == RING_EMPTY) {
            return;
        }

        if (rc == RING_OVERRUN) {
            ngx_mesh_wake_missed(own, "was overrun");
            continue;
        }

        ngx_mesh_wake_batch(own, &batch);

        if (batch.want != 0) {
            ngx_mesh_wake_take_large(own, batch.want);
        }
    }

    if (own->open) {
        ngx_post_event(&own->turn, &ngx_posted_next_events);
    }
}


static ring_rc_t
ngx_mesh_wake_take(ngx_mesh_wake_own_t *own, ring_batch_t *batch)
{
    ring_rc_t  rc;

    ngx_shmtx_lock(&own->shpool->mutex);

    if (own->wake->slot >= 0) {
        own->zone->slots[own->wake->slot].waiting = 0;
    }

    rc = ring_take(own->ring, &own->cursor, batch);

    ngx_shmtx_unlock(&own->shpool->mutex);

    return rc;
}


/* One notice that the usual buffer cannot hold. */
static void
ngx_mesh_wake_take_large(ngx_mesh_wake_own_t *own, size_t size)
{
    ring_rc_t      rc;
    ngx_pool_t    *pool;
    ring_batch_t   batch;

    pool = ngx_create_pool(NGX_MIN_POOL_SIZE, own->log);
    batch.buf = pool ? ngx_palloc(pool, size) : NULL;

    if (batch.buf == NULL) {
        own->cursor += size;
        ngx_mesh_wake_missed(own, "has no memory for a notice");

    } else {
        batch.size = size;
        rc = ngx_mesh_wake_take(own, &batch);

        if (rc == RING_OK) {
            ngx_mesh_wake_batch(own, &batch);

        } else {
            ngx_mesh_wake_missed(own, "was overrun");
        }
    }

    if (pool) {
        ngx_destroy_pool(pool);
    }
}


static void
ngx_mesh_wake_batch(ngx_mesh_wake_own_t *own, ring_batch_t *batch)
{
    bytes_t    record;
    ring_rc_t  rc;

    for ( ;; ) {
        rc = ring_batch_next(batch, &own->cursor, &record);

        if (rc != RING_OK) {
            break;
        }

        ngx_mesh_wake_record(own, record);

        if (!own->open) {
            return;
        }
    }

    if (rc == RING_OVERRUN) {
        own->cursor = ring_head(own->ring);
        ngx_mesh_wake_missed(own, "found bytes that are no notice");
    }
}


static void
ngx_mesh_wake_record(ngx_mesh_wake_own_t *own, bytes_t record)
{
    ngx_mesh_wake_head_t    head;
    ngx_mesh_wake_notice_t  notice;

    if (record.len < sizeof(head)) {
        return;
    }

    ngx_memcpy(&head, record.data, sizeof(head));

    if (head.topic > record.len - sizeof(head)) {
        return;
    }

    notice.kind = (ngx_mesh_wake_kind_t) head.kind;
    notice.slot = (ngx_int_t) head.sender - 1;
    notice.seq = head.seq;
    notice.topic.data = (u_char *) record.data + sizeof(head);
    notice.topic.len = head.topic;
    notice.payload.data = notice.topic.data + head.topic;
    notice.payload.len = record.len - sizeof(head) - head.topic;

    ngx_mesh_wake_tell(own, &notice);
}


static void
ngx_mesh_wake_tell(ngx_mesh_wake_own_t *own, ngx_mesh_wake_notice_t *notice)
{
    ngx_uint_t                 i;
    ngx_mesh_wake_listener_t  *listener;

    for (i = 0; i < own->count; i++) {
        listener = &own->listeners[i];

        if ((notice->kind == NGX_MESH_WAKE_RESYNC)
            ? listener->first : listener->kind == notice->kind)
        {
            listener->handler(listener->data, notice);
        }
    }
}


static void
ngx_mesh_wake_missed(ngx_mesh_wake_own_t *own, const char *why)
{
    ngx_mesh_wake_notice_t  notice;

    ngx_log_error(NGX_LOG_WARN, own->log, 0,
                  "wake: this worker %s, it reads the store again", why);

    ngx_memzero(&notice, sizeof(notice));
    notice.kind = NGX_MESH_WAKE_RESYNC;
    notice.slot = -1;

    ngx_mesh_wake_tell(own, &notice);
}
