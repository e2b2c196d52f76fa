/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Reads a request body into one buffer of the request's pool, piece by
 * piece (HTTP/1.1 with a length or chunked, HTTP/2), on the event loop.
 *
 * nginx is asked for unbuffered reading, whatever client_body_buffer_size
 * says: so the limit holds while bytes arrive, and nothing goes to a file.
 * Afterwards the body stands in r->request_body as one buffer, for whoever
 * handles the request after an internal redirect.
 */


#include "ngx_mesh_body.h"
#include "ngx_mesh_job.h"
#include "ngx_mesh_reply.h"


#define NGX_MESH_BODY_FIRST_SIZE  4096    /* bytes, when no length is told */


typedef struct {
    ngx_mesh_body_pt   then;
    size_t             max;       /* bytes */
    size_t             size;      /* bytes allocated */
    size_t             len;       /* bytes received */
    u_char            *data;      /* in r->pool */
} ngx_mesh_body_t;


static ngx_mesh_body_t *ngx_mesh_body_get(ngx_http_request_t *r);
static void ngx_mesh_body_cleanup(void *data);
static void ngx_mesh_body_handler(ngx_http_request_t *r);
static ngx_int_t ngx_mesh_body_collect(ngx_http_request_t *r,
    ngx_mesh_body_t *body);
static ngx_int_t ngx_mesh_body_append(ngx_http_request_t *r,
    ngx_mesh_body_t *body, ngx_buf_t *b);
static ngx_int_t ngx_mesh_body_grow(ngx_http_request_t *r,
    ngx_mesh_body_t *body, size_t len);
static void ngx_mesh_body_done(ngx_http_request_t *r, ngx_mesh_body_t *body);
static ngx_int_t ngx_mesh_body_keep(ngx_http_request_t *r,
    ngx_mesh_body_t *body);
static ngx_int_t ngx_mesh_body_refuse(ngx_http_request_t *r);
static ngx_uint_t ngx_mesh_body_is_json(ngx_str_t *type);
static const char *ngx_mesh_body_fault(json_scan_rc_t rc);


ngx_int_t
ngx_mesh_body_read(ngx_http_request_t *r, size_t body_max,
    ngx_mesh_body_pt then)
{
    ngx_int_t         rc;
    ngx_uint_t        waited;
    ngx_mesh_body_t  *body;

    if (r->headers_in.content_length_n > (off_t) body_max) {

        /* a client that waits for "100 Continue" must not be told to go on */
        r->expect_tested = 1;

        return ngx_mesh_body_refuse(r);
    }

    body = ngx_mesh_body_get(r);

    if (body == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memzero(body, sizeof(ngx_mesh_body_t));

    body->then = then;
    body->max = body_max;

    r->request_body_no_buffering = 1;

    waited = ngx_mesh_job_release(r);

    rc = ngx_http_read_client_request_body(r, ngx_mesh_body_handler);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    if (waited) {
        ngx_mesh_job_leave(r);
    }

    return NGX_DONE;
}


static ngx_mesh_body_t *
ngx_mesh_body_get(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_mesh_body_cleanup) {
            return cln->data;
        }
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_mesh_body_t));

    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_mesh_body_cleanup;

    return cln->data;
}


/* Marks the entry by which ngx_mesh_body_get() finds its state again, since
   r->ctx belongs to modules. */

static void
ngx_mesh_body_cleanup(void *data)
{
    (void) data;
}


/* Runs for the first piece, and then for each read event. */

static void
ngx_mesh_body_handler(ngx_http_request_t *r)
{
    ngx_int_t         rc;
    ngx_mesh_body_t  *body;

    body = ngx_mesh_body_get(r);

    if (body == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    r->read_event_handler = ngx_mesh_body_handler;
    r->write_event_handler = ngx_http_request_empty_handler;

    for ( ;; ) {

        rc = ngx_mesh_body_collect(r, body);

        if (rc != NGX_OK) {
            break;
        }

        if (!r->reading_body) {
            ngx_mesh_body_done(r, body);
            return;
        }

        rc = ngx_http_read_unbuffered_request_body(r);

        if (rc == NGX_AGAIN && r->request_body->bufs == NULL) {
            return;
        }

        if (rc == NGX_ERROR || rc >= NGX_HTTP_SPECIAL_RESPONSE) {
            break;
        }
    }

    r->read_event_handler = ngx_http_block_reading;

    if (rc == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) {
        rc = ngx_mesh_body_refuse(r);
    }

    ngx_http_finalize_request(r, rc);
}


/* Moves what was read so far into the one buffer.  Pieces of unbuffered
   reading are consumed, so that nginx can use their memory again; a body
   that somebody read before us is only looked at. */

static ngx_int_t
ngx_mesh_body_collect(ngx_http_request_t *r, ngx_mesh_body_t *body)
{
    ngx_int_t     rc;
    ngx_chain_t  *cl;

    if (r->request_body == NULL) {
        return NGX_OK;
    }

    for (cl = r->request_body->bufs; cl; cl = cl->next) {

        rc = ngx_mesh_body_append(r, body, cl->buf);

        if (rc != NGX_OK) {
            return rc;
        }

        if (r->request_body_no_buffering) {
            cl->buf->pos = cl->buf->last;
        }
    }

    if (r->request_body_no_buffering) {
        r->request_body->bufs = NULL;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_body_append(ngx_http_request_t *r, ngx_mesh_body_t *body,
    ngx_buf_t *b)
{
    size_t  len;

    if (!ngx_buf_in_memory(b)) {

        /* read by another module, into a file: that is not read here */
        return ngx_buf_size(b) == 0 ? NGX_OK
                                    : NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }

    len = b->last - b->pos;

    if (len > body->max - body->len) {
        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }

    if (len > body->size - body->len
        && ngx_mesh_body_grow(r, body, body->len + len) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (len != 0) {
        ngx_memcpy(body->data + body->len, b->pos, len);
        body->len += len;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_body_grow(ngx_http_request_t *r, ngx_mesh_body_t *body, size_t len)
{
    size_t   size;
    u_char  *data;

    if (r->headers_in.content_length_n >= (off_t) len
        && r->headers_in.content_length_n <= (off_t) body->max)
    {
        size = (size_t) r->headers_in.content_length_n;

    } else {
        size = ngx_max(2 * body->size, NGX_MESH_BODY_FIRST_SIZE);
        size = ngx_max(size, len);
        size = ngx_min(size, body->max);
    }

    data = ngx_pnalloc(r->pool, size);

    if (data == NULL) {
        return NGX_ERROR;
    }

    if (body->data) {
        ngx_memcpy(data, body->data, body->len);
        (void) ngx_pfree(r->pool, body->data);
    }

    body->data = data;
    body->size = size;

    return NGX_OK;
}


static void
ngx_mesh_body_done(ngx_http_request_t *r, ngx_mesh_body_t *body)
{
    bytes_t     view;
    ngx_uint_t  parked;

    parked = 0;
    r->read_event_handler = ngx_http_block_reading;

    if (ngx_mesh_body_keep(r, body) != NGX_OK
        || ngx_mesh_job_watch(r, &parked) != NGX_OK)
    {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    view = bytes_make(body->data, body->len);

    body->then(r, view);

    /* r may be gone, unless a job holds it; that took a count of its own, so
       the one of body reading is given back */

    if (parked) {
        (void) ngx_mesh_job_watch(r, NULL);
        r->main->count--;
    }
}


static ngx_int_t
ngx_mesh_body_keep(ngx_http_request_t *r, ngx_mesh_body_t *body)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (r->request_body == NULL
        || r->request_body->bufs != NULL
        || body->len == 0)
    {
        return NGX_OK;
    }

    cl = ngx_alloc_chain_link(r->pool);
    b = ngx_calloc_buf(r->pool);

    if (cl == NULL || b == NULL) {
        return NGX_ERROR;
    }

    b->start = body->data;
    b->pos = body->data;
    b->last = body->data + body->len;
    b->end = body->data + body->size;
    b->temporary = 1;

    cl->buf = b;
    cl->next = NULL;

    r->request_body->bufs = cl;

    return NGX_OK;
}


/* The rest of the body is unread: the connection lingers and is closed. */

static ngx_int_t
ngx_mesh_body_refuse(ngx_http_request_t *r)
{
    r->keepalive = 0;

    return ngx_mesh_reply_problem(r, PROBLEM_TOO_LARGE,
                                  "the request body is too large");
}


ngx_int_t
ngx_mesh_body_object(ngx_http_request_t *r, bytes_t body,
    json_scan_t *object)
{
    const char       *fault;
    json_scan_rc_t    rc;
    ngx_table_elt_t  *type;

    type = r->headers_in.content_type;

    if (type && !ngx_mesh_body_is_json(&type->value)) {
        ngx_http_finalize_request(r,
            ngx_mesh_reply_problem(r, PROBLEM_UNSUPPORTED_MEDIA,
                                   "send JSON, as application/json"));
        return NGX_ERROR;
    }

    fault = NULL;
    rc = json_scan_validate(body, NULL);

    if (rc != JSON_SCAN_OK) {
        fault = ngx_mesh_body_fault(rc);

    } else if (json_scan_open(body, object) != 0
               || object->type != JSON_SCAN_OBJECT)
    {
        fault = "the request body must be a JSON object";
    }

    if (fault) {
        ngx_http_finalize_request(r,
            ngx_mesh_reply_problem(r, PROBLEM_INVALID_JSON, fault));
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* "application/json", "application/<anything>+json", parameters allowed */

static ngx_uint_t
ngx_mesh_body_is_json(ngx_str_t *type)
{
    size_t  len;

    for (len = 0; len < type->len; len++) {
        if (type->data[len] == ';' || type->data[len] == ' ') {
            break;
        }
    }

    if (len == sizeof("application/json") - 1) {
        return ngx_strncasecmp(type->data, (u_char *) "application/json",
                               len) == 0;
    }

    return len > sizeof("application/+json") - 1
           && ngx_strncasecmp(type->data, (u_char *) "application/",
                              sizeof("application/") - 1) == 0
           && ngx_strncasecmp(type->data + len - 5, (u_char *) "+json", 5)
              == 0;
}


static const char *
ngx_mesh_body_fault(json_scan_rc_t rc)
{
    switch (rc) {

    case JSON_SCAN_DEPTH:
        return "the JSON of the request body is nested too deeply";

    case JSON_SCAN_DUPLICATE:
        return "the JSON of the request body has a key twice";

    case JSON_SCAN_UTF8:
        return "the request body is not valid UTF-8";

    case JSON_SCAN_LIMIT:
        return "the JSON of the request body has too many members";

    default:
        return "the request body is not valid JSON";
    }
}
