/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What a connection missed: pages of history, one after the other, each read
 * when the queue has room for it.  A client that reads slowly is backfilled
 * slowly, not cut off.  When a page brings a subscription up to what the
 * others of the room have got, it goes live: nothing doubled, nothing
 * missing.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_room_backfill.h"


#define NGX_MESH_ROOM_BACKFILL_POOL  512   /* bytes beside a message */


static ngx_int_t ngx_mesh_room_backfill_page(
    ngx_mesh_room_subscription_t *sub);
static void ngx_mesh_room_backfill_page_done(void *data, store_rc_t rc,
    store_rows_t *rows);
static ngx_uint_t ngx_mesh_room_backfill_page_send(
    ngx_mesh_room_subscription_t *sub, store_row_t *row);


void
ngx_mesh_room_backfill(ngx_mesh_room_connection_t *mc)
{
    ngx_queue_t                   *q;
    ngx_mesh_room_subscription_t  *sub;

    if (!mc->resuming) {
        return;
    }

    mc->resuming = 0;

    for (q = ngx_queue_head(&mc->subscriptions);
         q != ngx_queue_sentinel(&mc->subscriptions);
         q = ngx_queue_next(q))
    {
        sub = ngx_queue_data(q, ngx_mesh_room_subscription_t, queue);

        if (sub->live) {
            continue;
        }

        mc->resuming = 1;

        if (!sub->joined || sub->job != NULL) {
            continue;
        }

        if (mc->queue.bytes > mc->lcf->queue_size / 4) {
            return;
        }

        if (ngx_mesh_room_hub_live(sub) == NGX_AGAIN
            && ngx_mesh_room_backfill_page(sub) != NGX_OK)
        {
            ngx_mesh_room_connection_fail(mc, WS_CLOSE_TRY_LATER,
                                          "history cannot be read now");
            return;
        }
    }
}


static ngx_int_t
ngx_mesh_room_backfill_page(ngx_mesh_room_subscription_t *sub)
{
    ngx_mesh_store_job_t   *job;
    ngx_mesh_room_query_t   query;

    ngx_memzero(&query, sizeof(ngx_mesh_room_query_t));

    query.room = sub->room->sn.str;
    query.after = sub->delivered;
    query.limit = NGX_MESH_ROOM_HUB_PAGE;

    if (ngx_mesh_room_history_read(sub->connection->mcf, &query,
                                   ngx_mesh_room_backfill_page_done, sub, &job)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    sub->job = job;

    return NGX_OK;
}


static void
ngx_mesh_room_backfill_page_done(void *data, store_rc_t rc, store_rows_t *rows)
{
    size_t                         i;
    ngx_mesh_room_connection_t    *mc;
    ngx_mesh_room_subscription_t  *sub = data;

    mc = sub->connection;
    sub->job = NULL;

    if (rc != STORE_OK) {
        ngx_mesh_room_connection_fail(mc, WS_CLOSE_TRY_LATER,
                                      "history cannot be read now");
        return;
    }

    for (i = 0; i < rows->count; i++) {

        if (!ngx_mesh_room_backfill_page_send(sub, &rows->rows[i])) {
            return;
        }
    }

    if (rows->count == 0 && sub->delivered < sub->room->delivered) {

        /* what others got is not in the store any more: a room that was
           dropped, of which the check will tell */

        sub->delivered = sub->room->delivered;
    }

    (void) ngx_mesh_room_hub_live(sub);

    ngx_mesh_room_backfill(mc);
}


/* 1: sent; 0: the queue has no room for it now. */
static ngx_uint_t
ngx_mesh_room_backfill_page_send(ngx_mesh_room_subscription_t *sub,
    store_row_t *row)
{
    bytes_t                      text;
    ngx_pool_t                  *pool;
    ngx_mesh_room_connection_t  *mc;

    mc = sub->connection;

    if (row->seq <= sub->delivered) {
        return 1;
    }

    if (mc->queue.first != NULL
        && mc->queue.bytes + row->value.len > mc->lcf->queue_size / 2)
    {
        return 0;
    }

    pool = ngx_create_pool(row->value.len + NGX_MESH_ROOM_BACKFILL_POOL,
                           mc->hub->log);
    if (pool == NULL) {
        return 0;
    }

    text = ngx_mesh_room_message_encode(pool, row->seq, row->value);

    if (text.data != NULL) {
        ngx_mesh_room_connection_send(mc, text);
        sub->delivered = row->seq;
    }

    ngx_destroy_pool(pool);

    return text.data != NULL;
}
