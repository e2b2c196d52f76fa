/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * GET /api/storage/admin/export: what is stored, as lines of JSON
 * (export_line.h), of one namespace or of the node.
 *
 * Pages are read in short transactions, one after the other has left for the
 * client: an export is no snapshot, and a slow client holds neither the store
 * nor memory.
 *
 * Event loop.  The request waits (ngx_mesh_storage_rest_park()) from the
 * first read to the last line.
 */


#include "export_line.h"
#include "ngx_mesh_storage_rest.h"


#define NGX_MESH_STORAGE_EXPORT_ROWS  100     /* of a page */
#define NGX_MESH_STORAGE_EXPORT_POOL  1024    /* bytes */


typedef enum {
    NGX_MESH_STORAGE_EXPORT_NAMES = 0,
    NGX_MESH_STORAGE_EXPORT_ITEMS,
    NGX_MESH_STORAGE_EXPORT_ENTRIES,
    NGX_MESH_STORAGE_EXPORT_END,
    NGX_MESH_STORAGE_EXPORT_SENT
} ngx_mesh_storage_export_phase_t;


typedef struct {
    ngx_mesh_storage_export_phase_t  phase;
    bytes_t          only;                    /* REST namespace; empty: all */
    ngx_uint_t       extra;                   /* of "only": x/ is at work */

    u_char           name[STORE_NS_MAX];      /* namespace at work */
    size_t           name_len;
    u_char           key[STORE_KEY_MAX];      /* last one written */
    size_t           key_len;
    uint64_t         seq;                     /* last entry written */
    uint64_t         entries;                 /* of the namespace; 0: none */

    ngx_pool_t      *page;                    /* of what is being sent */
    uint64_t         lines;
    unsigned         open:1;                  /* headers were sent */
} ngx_mesh_storage_export_t;


static void ngx_mesh_storage_export_cleanup(void *data);
static ngx_int_t ngx_mesh_storage_export_read(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_export_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_export_name(ngx_mesh_storage_rest_t *rest,
    store_rows_t *rows);
static void ngx_mesh_storage_export_next(ngx_mesh_storage_export_t *export,
    store_rows_t *rows);
static ngx_int_t ngx_mesh_storage_export_page(ngx_mesh_storage_rest_t *rest,
    store_rows_t *rows);
static void ngx_mesh_storage_export_line(ngx_mesh_storage_export_t *export,
    const store_row_t *row, export_line_t *line);
static ngx_int_t ngx_mesh_storage_export_send(ngx_mesh_storage_rest_t *rest,
    bytes_writer_t *w);
static ngx_int_t ngx_mesh_storage_export_flushed(
    ngx_mesh_storage_rest_t *rest);
static void ngx_mesh_storage_export_writer(ngx_http_request_t *r);
static ngx_uint_t ngx_mesh_storage_export_skips(bytes_t ns);


ngx_int_t
ngx_mesh_storage_export(ngx_mesh_storage_rest_t *rest)
{
    ngx_int_t                   rc;
    bytes_t                     only;
    ngx_pool_cleanup_t         *cln;
    ngx_mesh_storage_export_t  *export;

    if (rest->r->method != NGX_HTTP_GET) {
        return ngx_mesh_storage_rest_method(rest, "GET");
    }

    only = bytes_make(NULL, 0);

    if (ngx_mesh_storage_rest_query(rest, "ns", NGX_MESH_STORAGE_NS_MAX,
                                    &only, &rc)
        == NGX_ERROR)
    {
        return rc;
    }

    /* the whole node holds what identity keeps */

    rest->ns = only;

    if (ngx_mesh_storage_rest_allow(rest, only.len ? "/storage/admin"
                                                   : "/mesh/admin",
                                    "", bytes_make(NULL, 0), &rc)
        != NGX_OK)
    {
        return rc;
    }

    cln = ngx_pool_cleanup_add(rest->r->pool,
                               sizeof(ngx_mesh_storage_export_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    export = cln->data;
    ngx_memzero(export, sizeof(ngx_mesh_storage_export_t));

    cln->handler = ngx_mesh_storage_export_cleanup;
    export->only = only;
    rest->data = export;

    if (only.len != 0) {
        export->phase = NGX_MESH_STORAGE_EXPORT_ITEMS;
        export->name_len = ngx_sprintf(export->name, "s/%*s", only.len,
                                       only.data)
                           - export->name;
    }

    return ngx_mesh_storage_export_read(rest);
}


static void
ngx_mesh_storage_export_cleanup(void *data)
{
    ngx_mesh_storage_export_t  *export = data;

    if (export->page) {
        ngx_destroy_pool(export->page);
    }
}


static ngx_int_t
ngx_mesh_storage_export_read(ngx_mesh_storage_rest_t *rest)
{
    store_read_t               *read;
    ngx_mesh_store_job_t       *job;
    ngx_mesh_storage_export_t  *export;

    export = rest->data;

    if (export->phase == NGX_MESH_STORAGE_EXPORT_END) {
        return ngx_mesh_storage_export_page(rest, NULL);
    }

    job = ngx_mesh_store_job_create(NGX_MESH_STORAGE_EXPORT_POOL,
                                    rest->r->connection->log);
    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    read = ngx_mesh_store_job_reads(job, 1);

    if (read == NULL) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    read->ns = bytes_make(export->name, export->name_len);
    read->limit = NGX_MESH_STORAGE_EXPORT_ROWS;

    switch (export->phase) {

    case NGX_MESH_STORAGE_EXPORT_NAMES:
        read->kind = STORE_NAMES;
        read->after_key = read->ns;
        read->limit = 1;
        break;

    case NGX_MESH_STORAGE_EXPORT_ITEMS:
        read->kind = STORE_RANGE;
        read->after_key = bytes_make(export->key, export->key_len);
        break;

    default:
        read->kind = STORE_FEED;
        read->after = export->seq;
    }

    /* the job may outlive the request */

    read->ns = ngx_mesh_storage_rest_key(job->pool, "", read->ns,
                                         bytes_make(NULL, 0));
    read->after_key = ngx_mesh_storage_rest_key(job->pool, "",
                                                read->after_key,
                                                bytes_make(NULL, 0));

    return ngx_mesh_storage_rest_read(rest, job,
                                      ngx_mesh_storage_export_done);
}


static ngx_int_t
ngx_mesh_storage_export_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_mesh_storage_export_t  *export;

    export = rest->data;

    if (job->rc != STORE_OK) {

        /* half of an answer cannot become a problem: it has no last line */

        return export->open ? NGX_ERROR
                            : ngx_mesh_storage_rest_store_problem(rest, job);
    }

    if (export->phase == NGX_MESH_STORAGE_EXPORT_NAMES) {
        return ngx_mesh_storage_export_name(rest, &job->rows[0]);
    }

    return ngx_mesh_storage_export_page(rest, &job->rows[0]);
}


static ngx_int_t
ngx_mesh_storage_export_name(ngx_mesh_storage_rest_t *rest,
    store_rows_t *rows)
{
    store_row_t                *row;
    ngx_mesh_storage_export_t  *export;

    export = rest->data;

    if (rows->count == 0) {
        export->phase = NGX_MESH_STORAGE_EXPORT_END;
        return ngx_mesh_storage_export_read(rest);
    }

    row = &rows->rows[0];

    ngx_memcpy(export->name, row->key.data, row->key.len);
    export->name_len = row->key.len;

    if (!ngx_mesh_storage_export_skips(row->key)) {
        export->phase = NGX_MESH_STORAGE_EXPORT_ITEMS;
        export->key_len = 0;
        export->entries = row->entries;
        export->seq = 0;
    }

    return ngx_mesh_storage_export_read(rest);
}


/* Where the next page begins. */
static void
ngx_mesh_storage_export_next(ngx_mesh_storage_export_t *export,
    store_rows_t *rows)
{
    store_row_t  *last;

    if (rows->count != 0) {
        last = &rows->rows[rows->count - 1];

        if (export->phase == NGX_MESH_STORAGE_EXPORT_ITEMS) {
            ngx_memcpy(export->key, last->key.data, last->key.len);
            export->key_len = last->key.len;

        } else {
            export->seq = last->seq;
        }

        if (rows->more) {
            return;
        }
    }

    if (export->phase == NGX_MESH_STORAGE_EXPORT_ITEMS
        && export->entries != 0)
    {
        export->phase = NGX_MESH_STORAGE_EXPORT_ENTRIES;
        return;
    }

    if (export->only.len == 0) {
        export->phase = NGX_MESH_STORAGE_EXPORT_NAMES;
        return;
    }

    if (export->extra) {
        export->phase = NGX_MESH_STORAGE_EXPORT_END;
        return;
    }

    export->extra = 1;
    export->name[0] = 'x';
    export->key_len = 0;
}


/* Renders rows, the first line before the first and the last line when there
   are none left, and sends them. */

static ngx_int_t
ngx_mesh_storage_export_page(ngx_mesh_storage_rest_t *rest,
    store_rows_t *rows)
{
    size_t                      i, size;
    u_char                     *data;
    export_line_t               head, line;
    bytes_writer_t              w;
    ngx_mesh_storage_export_t  *export;

    export = rest->data;

    ngx_memzero(&head, sizeof(export_line_t));
    head.kind = rows ? EXPORT_LINE_HEAD : EXPORT_LINE_END;
    head.ns = export->only;
    head.seq = export->lines;
    head.at_ms = (int64_t) ngx_time() * 1000;

    size = export_line_size(&head);

    for (i = 0; rows && i < rows->count; i++) {
        ngx_mesh_storage_export_line(export, &rows->rows[i], &line);
        size += export_line_size(&line);
    }

    export->page = ngx_create_pool(NGX_MESH_STORAGE_EXPORT_POOL,
                                   ngx_cycle->log);
    if (export->page == NULL) {
        return NGX_ERROR;
    }

    data = ngx_palloc(export->page, size);
    if (data == NULL) {
        return NGX_ERROR;
    }

    bytes_writer_open(&w, data, size);

    if (rows == NULL || !export->open) {
        export_line_write(&w, &head);
    }

    for (i = 0; rows && i < rows->count; i++) {
        ngx_mesh_storage_export_line(export, &rows->rows[i], &line);
        export_line_write(&w, &line);
        export->lines++;
    }

    if (rows) {
        ngx_mesh_storage_export_next(export, rows);

    } else {
        export->phase = NGX_MESH_STORAGE_EXPORT_SENT;
    }

    if (w.failed) {
        ngx_log_error(NGX_LOG_ALERT, rest->r->connection->log, 0,
                      "storage: a page of an export did not fit");
        return NGX_ERROR;
    }

    return ngx_mesh_storage_export_send(rest, &w);
}


static void
ngx_mesh_storage_export_line(ngx_mesh_storage_export_t *export,
    const store_row_t *row, export_line_t *line)
{
    ngx_memzero(line, sizeof(export_line_t));

    line->kind = (export->phase == NGX_MESH_STORAGE_EXPORT_ENTRIES)
                 ? EXPORT_LINE_ENTRY : EXPORT_LINE_ITEM;
    line->ns = bytes_make(export->name, export->name_len);
    line->key = row->key;
    line->meta = row->meta;
    line->value = row->value;
    line->seq = row->seq;
    line->weight = row->weight;
    line->at_ms = row->at_ms;
    line->expires_ms = row->expires_ms;
}


static ngx_int_t
ngx_mesh_storage_export_send(ngx_mesh_storage_rest_t *rest,
    bytes_writer_t *w)
{
    bytes_t                     text;
    ngx_int_t                   rc;
    ngx_buf_t                  *b;
    ngx_chain_t                *out;
    ngx_http_request_t         *r;
    ngx_mesh_storage_export_t  *export;

    r = rest->r;
    export = rest->data;
    text = bytes_writer_view(w);

    if (!export->open) {
        export->open = 1;

        r->headers_out.status = NGX_HTTP_OK;
        ngx_http_clear_content_length(r);
        ngx_str_set(&r->headers_out.content_type, "application/x-ndjson");
        r->headers_out.content_type_len = r->headers_out.content_type.len;

        rc = ngx_http_send_header(r);

        if (rc == NGX_ERROR || rc > NGX_OK) {
            return rc;
        }
    }

    b = ngx_calloc_buf(export->page);
    out = ngx_alloc_chain_link(export->page);

    if (b == NULL || out == NULL) {
        return NGX_ERROR;
    }

    b->pos = (u_char *) text.data;
    b->last = b->pos + text.len;
    b->memory = (text.len != 0);
    b->flush = 1;
    b->last_buf = (export->phase == NGX_MESH_STORAGE_EXPORT_SENT);
    b->last_in_chain = 1;

    out->buf = b;
    out->next = NULL;

    if (ngx_http_output_filter(r, out) == NGX_ERROR) {
        return NGX_ERROR;
    }

    return ngx_mesh_storage_export_flushed(rest);
}


/* Goes on when all was taken by the client's socket; else waits for it. */
static ngx_int_t
ngx_mesh_storage_export_flushed(ngx_mesh_storage_rest_t *rest)
{
    ngx_connection_t           *c;
    ngx_http_request_t         *r;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_mesh_storage_export_t  *export;

    r = rest->r;
    c = r->connection;
    export = rest->data;

    if (r->buffered || r->postponed || c->buffered) {
        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

        r->write_event_handler = ngx_mesh_storage_export_writer;

        if (!c->write->delayed) {
            ngx_add_timer(c->write, clcf->send_timeout);
        }

        if (ngx_handle_write_event(c->write, clcf->send_lowat) != NGX_OK) {
            return NGX_ERROR;
        }

        return NGX_DONE;
    }

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    if (export->page) {
        ngx_destroy_pool(export->page);
        export->page = NULL;
    }

    if (export->phase == NGX_MESH_STORAGE_EXPORT_SENT) {
        return NGX_OK;
    }

    return ngx_mesh_storage_export_read(rest);
}


static void
ngx_mesh_storage_export_writer(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_mesh_storage_rest_t  *rest;

    rest = ngx_http_get_module_ctx(r, ngx_http_mesh_storage_module);

    if (r->connection->write->timedout) {
        r->connection->timedout = 1;
        ngx_mesh_storage_rest_resume(rest, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    rc = ngx_http_output_filter(r, NULL);

    if (rc != NGX_ERROR) {
        rc = ngx_mesh_storage_export_flushed(rest);
    }

    if (rc != NGX_DONE) {
        ngx_mesh_storage_rest_resume(rest, rc);
    }
}


/* The store's own, and answers to requests that were made here. */
static ngx_uint_t
ngx_mesh_storage_export_skips(bytes_t ns)
{
    return bytes_equal_text(ns, STORE_NS_STORE)
           || bytes_equal_text(ns, NGX_MESH_STORAGE_NS_ONCE);
}
