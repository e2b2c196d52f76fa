/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * A follower as a stream of server-sent events:
 *
 *     id: 8f3c01d2e4b5a697.7
 *     event: change
 *     data: {"seq":7,"op":"put",...}
 *
 * "gap" ends a stream whose client has missed something; its id is where
 * things stand now, so that a client that comes back by itself goes on from
 * there, when it has listed afresh.  "end" says that the session is over.
 * What is not for this follower moves its id on with the next comment.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_sse.h"
#include "ngx_mesh_storage_feed.h"


#define NGX_MESH_STORAGE_FEED_SSE_RETRY  1000    /* ms */
#define NGX_MESH_STORAGE_FEED_SSE_TEXT   512     /* bytes of gap and end */


typedef struct {
    ngx_mesh_sse_t   sse;
    void            *parked;      /* rest, while it streams */
    uint64_t         told;        /* the last id */
} ngx_mesh_storage_feed_stream_t;


static ngx_int_t ngx_mesh_storage_feed_sse_change(
    ngx_mesh_storage_follower_t *f, bytes_t json);
static ngx_int_t ngx_mesh_storage_feed_sse_paged(
    ngx_mesh_storage_follower_t *f, ngx_uint_t more);
static void ngx_mesh_storage_feed_sse_gap(ngx_mesh_storage_follower_t *f,
    const ngx_mesh_storage_page_t *page);
static ngx_int_t ngx_mesh_storage_feed_sse_down(
    ngx_mesh_storage_follower_t *f, store_rc_t rc);
static void ngx_mesh_storage_feed_sse_look(ngx_mesh_storage_follower_t *f);
static void ngx_mesh_storage_feed_sse_end(ngx_mesh_storage_follower_t *f,
    ngx_mesh_storage_feed_end_t why, ucan_verdict_t verdict);
static void ngx_mesh_storage_feed_sse_write_handler(ngx_http_request_t *r);
static ngx_int_t ngx_mesh_storage_feed_sse_flush(
    ngx_mesh_storage_follower_t *f);
static void ngx_mesh_storage_feed_sse_close(ngx_mesh_storage_follower_t *f);


static const ngx_mesh_storage_follower_way_t  ngx_mesh_storage_feed_sse_way = {
    ngx_mesh_storage_feed_sse_change,
    ngx_mesh_storage_feed_sse_paged,
    ngx_mesh_storage_feed_sse_gap,
    ngx_mesh_storage_feed_sse_down,
    ngx_mesh_storage_feed_sse_look,
    ngx_mesh_storage_feed_sse_end
};


ngx_int_t
ngx_mesh_storage_feed_sse(ngx_mesh_storage_follower_t *f)
{
    ngx_int_t                        rc;
    ngx_http_request_t              *r;
    ngx_mesh_storage_feed_stream_t  *stream;

    r = f->rest->r;
    stream = ngx_pcalloc(r->pool, sizeof(ngx_mesh_storage_feed_stream_t));

    if (stream == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    f->way = &ngx_mesh_storage_feed_sse_way;
    f->data = stream;
    f->counted = 1;
    f->rest->data = f;
    stream->parked = f->rest;

    rc = ngx_mesh_storage_feed_begin(f);

    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_mesh_sse_open(&stream->sse, r, NGX_MESH_STORAGE_FEED_SSE_RETRY);

    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_mesh_storage_rest_park(f->rest, &stream->parked);

    if (rc != NGX_DONE) {
        return rc;
    }

    r->write_event_handler = ngx_mesh_storage_feed_sse_write_handler;

    /* the headers go out now; a connection that is broken already shows when
       the first page is told */

    (void) ngx_mesh_sse_flush(&stream->sse);

    return NGX_DONE;
}


static ngx_int_t
ngx_mesh_storage_feed_sse_change(ngx_mesh_storage_follower_t *f,
    bytes_t json)
{
    u_char                           id[NGX_MESH_STORAGE_FEED_POSITION];
    ngx_mesh_sse_event_t             event;
    ngx_mesh_storage_feed_stream_t  *stream;

    stream = f->data;

    event.id = ngx_mesh_storage_feed_position(f, id);
    event.name = bytes_of("change");
    event.data = json;

    ngx_mesh_sse_event(&stream->sse, &event);
    stream->told = f->seq;

    return (stream->sse.bytes < NGX_MESH_STORAGE_FEED_BYTES) ? NGX_OK
                                                             : NGX_AGAIN;
}


static ngx_int_t
ngx_mesh_storage_feed_sse_paged(ngx_mesh_storage_follower_t *f,
    ngx_uint_t more)
{
    return ngx_mesh_storage_feed_sse_flush(f);
}


static void
ngx_mesh_storage_feed_sse_gap(ngx_mesh_storage_follower_t *f,
    const ngx_mesh_storage_page_t *page)
{
    u_char                           id[NGX_MESH_STORAGE_FEED_POSITION];
    uint8_t                          buf[NGX_MESH_STORAGE_FEED_SSE_TEXT];
    json_write_t                     j;
    bytes_writer_t                   w;
    ngx_mesh_sse_event_t             event;
    ngx_mesh_storage_feed_stream_t  *stream;

    stream = f->data;

    bytes_writer_open(&w, buf, sizeof(buf));
    json_write_open(&j, &w);
    json_write_object(&j);
    ngx_mesh_storage_feed_page_gap(page, &j);
    json_write_object_end(&j);

    event.id = ngx_mesh_storage_feed_page_place(page->epoch, page->rows->head,
                                                id);
    event.name = bytes_of("gap");
    event.data = bytes_writer_view(&w);

    ngx_mesh_sse_event(&stream->sse, &event);
    ngx_mesh_storage_feed_sse_close(f);
}


/* The stream waits for the store. */
static ngx_int_t
ngx_mesh_storage_feed_sse_down(ngx_mesh_storage_follower_t *f, store_rc_t rc)
{
    return NGX_OK;
}


static void
ngx_mesh_storage_feed_sse_look(ngx_mesh_storage_follower_t *f)
{
    u_char                           id[NGX_MESH_STORAGE_FEED_POSITION];
    ngx_mesh_sse_event_t             event;
    ngx_mesh_storage_feed_stream_t  *stream;

    stream = f->data;

    if (f->ended || stream->sse.busy != NULL
        || ngx_current_msec - stream->sse.wrote < NGX_MESH_STORAGE_FEED_TELL)
    {
        return;
    }

    if (f->known && stream->told != f->seq) {
        ngx_memzero(&event, sizeof(ngx_mesh_sse_event_t));
        event.id = ngx_mesh_storage_feed_position(f, id);

        ngx_mesh_sse_event(&stream->sse, &event);
        stream->told = f->seq;
    }

    ngx_mesh_sse_comment(&stream->sse, bytes_of("still here"));

    (void) ngx_mesh_storage_feed_sse_flush(f);
}


static void
ngx_mesh_storage_feed_sse_end(ngx_mesh_storage_follower_t *f,
    ngx_mesh_storage_feed_end_t why, ucan_verdict_t verdict)
{
    uint8_t                          buf[NGX_MESH_STORAGE_FEED_SSE_TEXT];
    json_write_t                     j;
    bytes_writer_t                   w;
    ngx_mesh_sse_event_t             event;
    ngx_mesh_storage_feed_stream_t  *stream;

    stream = f->data;

    if (why == NGX_MESH_STORAGE_FEED_RESTART) {
        ngx_mesh_sse_comment(&stream->sse, bytes_of("restart"));
        ngx_mesh_storage_feed_sse_close(f);
        return;
    }

    bytes_writer_open(&w, buf, sizeof(buf));
    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member_text(&j, "error", ucan_verdict_slug(verdict));
    json_write_object_end(&j);

    ngx_memzero(&event, sizeof(ngx_mesh_sse_event_t));
    event.name = bytes_of("end");
    event.data = bytes_writer_view(&w);

    ngx_mesh_sse_event(&stream->sse, &event);
    ngx_mesh_storage_feed_sse_close(f);
}


static void
ngx_mesh_storage_feed_sse_write_handler(ngx_http_request_t *r)
{
    ngx_mesh_storage_rest_t      *rest;
    ngx_mesh_storage_follower_t  *f;

    rest = ngx_http_get_module_ctx(r, ngx_http_mesh_storage_module);
    f = rest->data;

    if (ngx_mesh_storage_feed_sse_flush(f) == NGX_OK) {
        ngx_mesh_storage_feed_resume(f);
    }
}


/* NGX_OK, NGX_AGAIN; NGX_DONE: the client has gone, and f with it. */
static ngx_int_t
ngx_mesh_storage_feed_sse_flush(ngx_mesh_storage_follower_t *f)
{
    ngx_int_t                        rc;
    ngx_mesh_storage_feed_stream_t  *stream;

    stream = f->data;
    rc = ngx_mesh_sse_flush(&stream->sse);

    if (rc == NGX_ERROR) {
        ngx_mesh_storage_feed_stop(f);
        ngx_mesh_storage_rest_resume(f->rest, NGX_ERROR);
        return NGX_DONE;
    }

    return rc;
}


static void
ngx_mesh_storage_feed_sse_close(ngx_mesh_storage_follower_t *f)
{
    ngx_int_t                        rc;
    ngx_mesh_storage_feed_stream_t  *stream;

    stream = f->data;

    ngx_mesh_storage_feed_stop(f);
    rc = ngx_mesh_sse_close(&stream->sse);

    ngx_mesh_storage_rest_resume(f->rest, rc);
}
