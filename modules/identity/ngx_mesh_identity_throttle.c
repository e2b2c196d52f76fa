/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Throttle: how often in a minute a name or an address may fail to log in,
 * and an address may come as a guest.
 *
 * One small table in each worker, so a node with n workers lets pass up to n
 * times as much.  A bucket of four slots takes the key; when it is full the
 * oldest entry goes.  Keys are hashed with a secret of the worker: nobody
 * can aim at the slot of somebody else.  A name fails for its own good only
 * for a minute, then its owner gets in again.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <sodium.h>

#include "ngx_mesh_identity.h"


#define NGX_MESH_IDENTITY_THROTTLE_BUCKETS  512
#define NGX_MESH_IDENTITY_THROTTLE_SLOTS    4
#define NGX_MESH_IDENTITY_THROTTLE_WINDOW   60     /* seconds */


typedef struct {
    uint64_t    hash;             /* of kind and key; 0: free */
    time_t      start;            /* seconds, of the window */
    ngx_uint_t  count;
} ngx_mesh_identity_throttle_slot_t;


typedef struct {
    u_char                             key[crypto_shorthash_KEYBYTES];
    ngx_mesh_identity_throttle_slot_t  slots[
                                           NGX_MESH_IDENTITY_THROTTLE_BUCKETS
                                           * NGX_MESH_IDENTITY_THROTTLE_SLOTS];
} ngx_mesh_identity_throttle_table_t;


static ngx_mesh_identity_throttle_slot_t *ngx_mesh_identity_throttle_get(
    ngx_mesh_identity_call_t *call, ngx_mesh_identity_throttle_t kind,
    bytes_t key, ngx_uint_t add);


static const ngx_uint_t  ngx_mesh_identity_throttle_max[] = {
    [NGX_MESH_IDENTITY_THROTTLE_NAME] = 10,
    [NGX_MESH_IDENTITY_THROTTLE_ADDRESS] = 60,
    [NGX_MESH_IDENTITY_THROTTLE_GUEST] = 60
};


ngx_int_t
ngx_mesh_identity_throttle_init(ngx_cycle_t *cycle,
    ngx_mesh_identity_worker_t *worker)
{
    ngx_mesh_identity_throttle_table_t  *table;

    table = ngx_pcalloc(cycle->pool,
                        sizeof(ngx_mesh_identity_throttle_table_t));
    if (table == NULL) {
        return NGX_ERROR;
    }

    randombytes_buf(table->key, sizeof(table->key));
    worker->throttle = table;

    return NGX_OK;
}


time_t
ngx_mesh_identity_throttle_find(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_throttle_t kind, bytes_t key)
{
    ngx_mesh_identity_throttle_slot_t  *slot;

    slot = ngx_mesh_identity_throttle_get(call, kind, key, 0);

    if (slot == NULL || slot->count < ngx_mesh_identity_throttle_max[kind]) {
        return 0;
    }

    return slot->start + NGX_MESH_IDENTITY_THROTTLE_WINDOW - ngx_time();
}


void
ngx_mesh_identity_throttle_add(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_throttle_t kind, bytes_t key)
{
    ngx_mesh_identity_throttle_slot_t  *slot;

    slot = ngx_mesh_identity_throttle_get(call, kind, key, 1);

    if (slot) {
        slot->count++;
    }
}


/* The slot of a key whose window is open, or a fresh one when add is set. */

static ngx_mesh_identity_throttle_slot_t *
ngx_mesh_identity_throttle_get(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_throttle_t kind, bytes_t key, ngx_uint_t add)
{
    time_t                               now;
    u_char                               text[NGX_MESH_IDENTITY_NAME_MAX + 1];
    u_char                               out[crypto_shorthash_BYTES];
    uint64_t                             hash;
    ngx_uint_t                           i;
    ngx_mesh_identity_throttle_slot_t   *slot, *oldest;
    ngx_mesh_identity_throttle_table_t  *table;

    /* everything that comes through a Unix socket has the same address */

    if (key.len == 0
        || key.len > NGX_MESH_IDENTITY_NAME_MAX
        || (kind != NGX_MESH_IDENTITY_THROTTLE_NAME
            && bytes_equal_text(key, "unix:")))
    {
        return NULL;
    }

    table = call->worker->throttle;
    now = ngx_time();

    text[0] = (u_char) kind;
    ngx_memcpy(text + 1, key.data, key.len);
    crypto_shorthash(out, text, key.len + 1, table->key);
    ngx_memcpy(&hash, out, sizeof(hash));
    hash |= 1;

    slot = table->slots + (hash >> 32) % NGX_MESH_IDENTITY_THROTTLE_BUCKETS
                          * NGX_MESH_IDENTITY_THROTTLE_SLOTS;
    oldest = slot;

    for (i = 0; i < NGX_MESH_IDENTITY_THROTTLE_SLOTS; i++, slot++) {

        if (slot->hash == hash
            && now - slot->start < NGX_MESH_IDENTITY_THROTTLE_WINDOW)
        {
            return slot;
        }

        if (slot->hash == hash || slot->start < oldest->start) {
            oldest = slot;
        }
    }

    if (!add) {
        return NULL;
    }

    oldest->hash = hash;
    oldest->start = now;
    oldest->count = 0;

    return oldest;
}


ngx_int_t
ngx_mesh_identity_throttle_refuse(ngx_mesh_identity_call_t *call,
    time_t seconds)
{
    u_char     *p;
    ngx_int_t   rc;
    ngx_str_t   value;

    p = ngx_pnalloc(call->request->pool, NGX_TIME_T_LEN);

    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    value.data = p;
    value.len = ngx_sprintf(p, "%T", ngx_max(seconds, 1)) - p;

    ngx_log_error(NGX_LOG_NOTICE, call->request->connection->log, 0,
                  "identity: too many failures, refused for %T s", seconds);

    rc = ngx_mesh_reply_header(call->request, "Retry-After", &value);

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_identity_call_refuse(call, PROBLEM_RATE_LIMITED,
               "too many attempts, wait as long as Retry-After says");
}
