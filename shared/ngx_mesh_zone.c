/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Worker slots: claim, sweep, release.
 *
 * Every worker runs this on its own event loop, over shared memory.  Whether
 * a process lives is asked of the kernel with no lock held: what is freed
 * then is compared again, under the lock, by pid and generation.  A worker
 * that was killed counts as living until the master has reaped it, and before
 * that the master opens the locks that it held.
 */


#include "ngx_mesh_zone.h"


#define NGX_MESH_ZONE_STAT_MAX     1024    /* bytes of /proc/<pid>/stat */
#define NGX_MESH_ZONE_STAT_FIELDS  19      /* from the state to starttime */
#define NGX_MESH_ZONE_TURN_ALL     ((ngx_uint_t) -1)


static uint64_t ngx_mesh_zone_started(ngx_pid_t pid);
static ngx_uint_t ngx_mesh_zone_dead(const ngx_mesh_zone_slot_t *slot,
    ngx_uint_t thorough);


void
ngx_mesh_zone_open(ngx_mesh_zone_t *zone, ngx_uint_t first)
{
    ngx_memzero(zone, sizeof(ngx_mesh_zone_t));

    zone->magic = NGX_MESH_ZONE_MAGIC;
    zone->version = NGX_MESH_ZONE_VERSION;
    zone->first = first % NGX_MESH_ZONE_SLOTS;
}


ngx_int_t
ngx_mesh_zone_check(const ngx_mesh_zone_t *zone)
{
    if (zone->magic != NGX_MESH_ZONE_MAGIC
        || zone->version != NGX_MESH_ZONE_VERSION)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_mesh_zone_claim(ngx_mesh_zone_t *zone, ngx_shmtx_t *mutex, uint64_t *died)
{
    uint64_t               started;
    ngx_int_t              claimed;
    ngx_uint_t             i, n;
    ngx_mesh_zone_slot_t  *slot;

    *died = ngx_mesh_zone_sweep(zone, mutex, NGX_MESH_ZONE_TURN_ALL);
    started = ngx_mesh_zone_started(ngx_pid);
    claimed = NGX_ERROR;

    ngx_shmtx_lock(mutex);

    for (i = 0; i < NGX_MESH_ZONE_SLOTS; i++) {
        n = (zone->first + i) % NGX_MESH_ZONE_SLOTS;
        slot = &zone->slots[n];

        if (slot->pid != 0 && slot->pid != ngx_pid) {
            continue;
        }

        if (slot->pid == ngx_pid) {

            /* whoever had this pid before, it was not this process */

            *died |= (uint64_t) 1 << n;
        }

        slot->pid = ngx_pid;
        slot->started = started;
        slot->waiting = 0;
        slot->generation++;
        claimed = (ngx_int_t) n;

        break;
    }

    ngx_shmtx_unlock(mutex);

    return claimed;
}


uint64_t
ngx_mesh_zone_sweep(ngx_mesh_zone_t *zone, ngx_shmtx_t *mutex,
    ngx_uint_t turn)
{
    uint64_t               died;
    ngx_uint_t             i, thorough;
    ngx_mesh_zone_slot_t   seen[NGX_MESH_ZONE_SLOTS], *slot;

    ngx_shmtx_lock(mutex);
    ngx_memcpy(seen, zone->slots, sizeof(seen));
    ngx_shmtx_unlock(mutex);

    died = 0;

    for (i = 0; i < NGX_MESH_ZONE_SLOTS; i++) {
        thorough = (turn == NGX_MESH_ZONE_TURN_ALL
                    || turn % NGX_MESH_ZONE_SLOTS == i);

        if (seen[i].pid != 0 && ngx_mesh_zone_dead(&seen[i], thorough)) {
            died |= (uint64_t) 1 << i;
        }
    }

    if (died == 0) {
        return 0;
    }

    ngx_shmtx_lock(mutex);

    for (i = 0; i < NGX_MESH_ZONE_SLOTS; i++) {

        if ((died & (uint64_t) 1 << i) == 0) {
            continue;
        }

        slot = &zone->slots[i];

        if (slot->pid == seen[i].pid
            && slot->generation == seen[i].generation)
        {
            slot->pid = 0;
            slot->waiting = 0;

        } else {

            /* another worker was faster */

            died &= ~((uint64_t) 1 << i);
        }
    }

    ngx_shmtx_unlock(mutex);

    return died;
}


uint64_t
ngx_mesh_zone_used(ngx_mesh_zone_t *zone, ngx_shmtx_t *mutex)
{
    uint64_t    used;
    ngx_uint_t  i;

    used = 0;

    ngx_shmtx_lock(mutex);

    for (i = 0; i < NGX_MESH_ZONE_SLOTS; i++) {
        if (zone->slots[i].pid != 0) {
            used |= (uint64_t) 1 << i;
        }
    }

    ngx_shmtx_unlock(mutex);

    return used;
}


void
ngx_mesh_zone_release(ngx_mesh_zone_t *zone, ngx_shmtx_t *mutex,
    ngx_int_t slot)
{
    if (slot < 0 || slot >= NGX_MESH_ZONE_SLOTS) {
        return;
    }

    ngx_shmtx_lock(mutex);

    if (zone->slots[slot].pid == ngx_pid) {
        zone->slots[slot].pid = 0;
        zone->slots[slot].waiting = 0;
    }

    ngx_shmtx_unlock(mutex);
}


/* thorough: also when the pid belongs to a process that started at another
   time.  Without /proc only the pid counts. */
static ngx_uint_t
ngx_mesh_zone_dead(const ngx_mesh_zone_slot_t *slot, ngx_uint_t thorough)
{
    uint64_t  started;

    if (kill(slot->pid, 0) == -1 && ngx_errno == NGX_ESRCH) {
        return 1;
    }

    if (!thorough || slot->started == 0) {
        return 0;
    }

    started = ngx_mesh_zone_started(slot->pid);

    return started != 0 && started != slot->started;
}


/* Field 22 of /proc/<pid>/stat.  The name of the process, field 2, may hold
   anything; it ends with the last parenthesis. */
static uint64_t
ngx_mesh_zone_started(ngx_pid_t pid)
{
    u_char      *p, *last, buf[NGX_MESH_ZONE_STAT_MAX];
    ssize_t      n;
    ngx_fd_t     fd;
    uint64_t     started;
    ngx_uint_t   field;

    (void) ngx_snprintf(buf, sizeof(buf), "/proc/%P/stat%Z", pid);

    fd = ngx_open_file(buf, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        return 0;
    }

    n = ngx_read_fd(fd, buf, sizeof(buf));
    (void) ngx_close_file(fd);

    if (n <= 0) {
        return 0;
    }

    last = buf + n;

    for (p = last; p > buf && p[-1] != ')'; p--) { /* void */ }

    for (field = 0; p < last && field <= NGX_MESH_ZONE_STAT_FIELDS; p++) {
        field += (*p == ' ');
    }

    started = 0;

    for ( ; p < last && *p >= '0' && *p <= '9'; p++) {
        started = started * 10 + (*p - '0');
    }

    return started;
}
