/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Event streams through nginx's output filters.
 *
 * Text is gathered in blocks; each block has one buf, which nginx advances
 * while the client takes it.  A block is larger than anything a pool gives
 * from its own memory, so it can be freed when its last byte is out, and an
 * idle stream holds none.
 */


#include "ngx_mesh_compat.h"
#include "ngx_mesh_reply.h"
#include "ngx_mesh_sse.h"


#define NGX_MESH_SSE_BLOCK  4096      /* bytes; beyond NGX_MAX_ALLOC_FROM_POOL
                                         where pages have that size */
#define NGX_MESH_SSE_RETRY  32        /* bytes of its line */


static void ngx_mesh_sse_put(ngx_mesh_sse_t *sse, const void *data,
    size_t len);
static void ngx_mesh_sse_text(ngx_mesh_sse_t *sse, const char *text);
static void ngx_mesh_sse_line(ngx_mesh_sse_t *sse, const char *field,
    bytes_t value);
static void ngx_mesh_sse_lines(ngx_mesh_sse_t *sse, const char *field,
    bytes_t text);
static ngx_buf_t *ngx_mesh_sse_block(ngx_mesh_sse_t *sse, size_t size);
static ngx_chain_t *ngx_mesh_sse_link(ngx_mesh_sse_t *sse);
static ngx_int_t ngx_mesh_sse_send(ngx_mesh_sse_t *sse);
static void ngx_mesh_sse_recycle(ngx_mesh_sse_t *sse);
static ngx_int_t ngx_mesh_sse_wait(ngx_mesh_sse_t *sse);


ngx_uint_t
ngx_mesh_sse_asked(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len == sizeof("Accept") - 1
                && ngx_strncasecmp(h[i].key.data, (u_char *) "Accept",
                                   sizeof("Accept") - 1)
                   == 0
                && ngx_strlcasestrn(h[i].value.data,
                                    h[i].value.data + h[i].value.len,
                                    (u_char *) "text/event-stream",
                                    sizeof("text/event-stream") - 2)
                   != NULL)
            {
                return 1;
            }
        }
    }

    return 0;
}


bytes_t
ngx_mesh_sse_last_id(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len == sizeof("Last-Event-ID") - 1
                && ngx_strncasecmp(h[i].key.data, (u_char *) "Last-Event-ID",
                                   sizeof("Last-Event-ID") - 1)
                   == 0)
            {
                return bytes_make(h[i].value.data, h[i].value.len);
            }
        }
    }

    return bytes_make(NULL, 0);
}


ngx_int_t
ngx_mesh_sse_open(ngx_mesh_sse_t *sse, ngx_http_request_t *r,
    ngx_msec_t retry)
{
    u_char            buf[NGX_MESH_SSE_RETRY], *p;
    ngx_int_t         rc;
    static ngx_str_t  no = ngx_string("no");
    static ngx_str_t  no_store = ngx_string("no-store");
    static ngx_str_t  nosniff = ngx_string("nosniff");

    ngx_memzero(sse, sizeof(ngx_mesh_sse_t));
    sse->r = r;
    sse->wrote = ngx_current_msec;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = -1;
    ngx_str_set(&r->headers_out.content_type, "text/event-stream");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;
    ngx_http_clear_accept_ranges(r);

    if (ngx_mesh_reply_header(r, "Cache-Control", &no_store) != NGX_OK
        || ngx_mesh_reply_header(r, "X-Accel-Buffering", &no) != NGX_OK
        || ngx_mesh_reply_header(r, "X-Content-Type-Options", &nosniff)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK) {
        return rc;
    }

    if (retry != 0) {
        p = ngx_snprintf(buf, sizeof(buf), "retry: %M\n\n", retry);
        ngx_mesh_sse_put(sse, buf, p - buf);
    }

    return NGX_OK;
}


void
ngx_mesh_sse_event(ngx_mesh_sse_t *sse, const ngx_mesh_sse_event_t *event)
{
    if (event->id.len != 0) {
        ngx_mesh_sse_line(sse, "id: ", event->id);
    }

    if (event->name.len != 0) {
        ngx_mesh_sse_line(sse, "event: ", event->name);
    }

    if (event->data.len != 0) {
        ngx_mesh_sse_lines(sse, "data: ", event->data);
    }

    ngx_mesh_sse_text(sse, "\n");
}


void
ngx_mesh_sse_comment(ngx_mesh_sse_t *sse, bytes_t text)
{
    ngx_mesh_sse_lines(sse, ": ", text);
    ngx_mesh_sse_text(sse, "\n");
}


static void
ngx_mesh_sse_text(ngx_mesh_sse_t *sse, const char *text)
{
    ngx_mesh_sse_put(sse, text, ngx_strlen(text));
}


static void
ngx_mesh_sse_line(ngx_mesh_sse_t *sse, const char *field, bytes_t value)
{
    ngx_mesh_sse_text(sse, field);
    ngx_mesh_sse_put(sse, value.data, value.len);
    ngx_mesh_sse_text(sse, "\n");
}


/* CR, LF and both end a line (9.2.5): each line gets its own field. */
static void
ngx_mesh_sse_lines(ngx_mesh_sse_t *sse, const char *field, bytes_t text)
{
    size_t  i, start;

    start = 0;

    for (i = 0; i < text.len; i++) {

        if (text.data[i] != '\n' && text.data[i] != '\r') {
            continue;
        }

        ngx_mesh_sse_line(sse, field, bytes_make(text.data + start,
                                                 i - start));

        if (text.data[i] == '\r' && i + 1 < text.len
            && text.data[i + 1] == '\n')
        {
            i++;
        }

        start = i + 1;
    }

    ngx_mesh_sse_line(sse, field, bytes_make(text.data + start,
                                             text.len - start));
}


static void
ngx_mesh_sse_put(ngx_mesh_sse_t *sse, const void *data, size_t len)
{
    size_t         n;
    ngx_buf_t     *b;
    const u_char  *p;

    p = data;

    while (len != 0 && !sse->failed) {

        b = ngx_mesh_sse_block(sse, len);

        if (b == NULL) {
            sse->failed = 1;
            return;
        }

        n = ngx_min(len, (size_t) (b->end - b->last));
        b->last = ngx_cpymem(b->last, p, n);

        p += n;
        len -= n;
        sse->bytes += n;
    }
}


/* The last block when it has room, or a new one that takes size bytes. */
static ngx_buf_t *
ngx_mesh_sse_block(ngx_mesh_sse_t *sse, size_t size)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (sse->out != NULL && sse->last->buf->last < sse->last->buf->end) {
        return sse->last->buf;
    }

    cl = ngx_mesh_sse_link(sse);

    if (cl == NULL) {
        return NULL;
    }

    b = cl->buf;
    size = ngx_max(size, NGX_MESH_SSE_BLOCK);

    b->start = ngx_palloc(sse->r->pool, size);

    if (b->start == NULL) {
        cl->next = sse->free;
        sse->free = cl;
        return NULL;
    }

    b->pos = b->start;
    b->last = b->start;
    b->end = b->start + size;
    b->temporary = 1;
    b->tag = (ngx_buf_tag_t) &ngx_mesh_sse_open;

    if (sse->out != NULL) {
        sse->last->next = cl;

    } else {
        sse->out = cl;
    }

    sse->last = cl;

    return b;
}


static ngx_chain_t *
ngx_mesh_sse_link(ngx_mesh_sse_t *sse)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    cl = sse->free;

    if (cl != NULL) {
        sse->free = cl->next;
        b = cl->buf;
        ngx_memzero(b, sizeof(ngx_buf_t));

    } else {
        cl = ngx_alloc_chain_link(sse->r->pool);
        b = ngx_calloc_buf(sse->r->pool);

        if (cl == NULL || b == NULL) {
            return NULL;
        }

        cl->buf = b;
    }

    cl->next = NULL;

    return cl;
}


ngx_int_t
ngx_mesh_sse_flush(ngx_mesh_sse_t *sse)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = sse->r->connection;

    if (sse->failed || c->error) {
        return NGX_ERROR;
    }

    if (c->write->timedout) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "client of a stream timed out");
        c->timedout = 1;
        return NGX_ERROR;
    }

    if (sse->out != NULL) {
        sse->wrote = ngx_current_msec;
    }

    rc = ngx_mesh_sse_send(sse);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    return ngx_mesh_sse_wait(sse);
}


static ngx_int_t
ngx_mesh_sse_send(ngx_mesh_sse_t *sse)
{
    ngx_int_t            rc;
    ngx_chain_t         *out;
    ngx_http_request_t  *r;

    r = sse->r;
    out = sse->out;

    /* nginx does not like to be called for nothing */

    if (out == NULL && r->out == NULL && !r->buffered
        && !r->connection->buffered)
    {
        return NGX_OK;
    }

    if (out != NULL) {
        sse->last->buf->flush = 1;
    }

    rc = ngx_http_output_filter(r, out);

    sse->out = NULL;

    ngx_chain_update_chains(r->pool, &sse->free, &sse->busy, &out,
                            (ngx_buf_tag_t) &ngx_mesh_sse_open);

    ngx_mesh_sse_recycle(sse);

    return rc;
}


/* What is out gives its block back, and what is not is counted. */
static void
ngx_mesh_sse_recycle(ngx_mesh_sse_t *sse)
{
    ngx_chain_t  *cl;

    for (cl = sse->free; cl != NULL; cl = cl->next) {

        if (cl->buf->start != NULL) {
            (void) ngx_pfree(sse->r->pool, cl->buf->start);
            cl->buf->start = NULL;
        }
    }

    sse->bytes = 0;

    for (cl = sse->busy; cl != NULL; cl = cl->next) {
        sse->bytes += cl->buf->last - cl->buf->pos;
    }
}


/* NGX_OK, NGX_AGAIN, NGX_ERROR; as nginx's own writer arms its event. */
static ngx_int_t
ngx_mesh_sse_wait(ngx_mesh_sse_t *sse)
{
    ngx_event_t               *wev;
    ngx_http_core_loc_conf_t  *clcf;

    wev = sse->r->connection->write;
    clcf = ngx_http_get_module_loc_conf(sse->r, ngx_http_core_module);

    if (sse->busy == NULL && !sse->r->connection->buffered) {

        if (wev->timer_set && !wev->delayed) {
            ngx_del_timer(wev);
        }

        return NGX_OK;
    }

    if (!wev->delayed) {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
        return NGX_ERROR;
    }

    return NGX_AGAIN;
}


ngx_int_t
ngx_mesh_sse_close(ngx_mesh_sse_t *sse)
{
    if (sse->failed || sse->r->connection->error) {
        return NGX_ERROR;
    }

    if (sse->out != NULL && ngx_mesh_sse_send(sse) == NGX_ERROR) {
        return NGX_ERROR;
    }

    return ngx_http_send_special(sse->r, NGX_HTTP_LAST);
}
