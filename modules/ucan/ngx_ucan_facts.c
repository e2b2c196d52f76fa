/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Reads the facts of a request off its request line and headers.
 *
 * The path is what the client signed, so it is taken as it was sent; nginx
 * chooses a location by the path that it decodes and cleans up.  Where these
 * two could differ ("/public/../admin", "//", "%61dmin", "%2F"), a policy
 * about the one would guard the other: such requests have no facts.
 */


#include "cbor.h"
#include "ngx_ucan_facts.h"
#include "utf8.h"


typedef struct {
    ngx_str_t   name;
    bytes_t    *value;
    ngx_uint_t  count;
} ngx_ucan_facts_header_t;


static void ngx_ucan_facts_target(ngx_http_request_t *r, ucan_http_t *http);
static ngx_int_t ngx_ucan_facts_host(ngx_http_request_t *r, bytes_t *host);
static ngx_int_t ngx_ucan_facts_headers(ngx_http_request_t *r,
    ucan_http_t *http);
static ngx_uint_t ngx_ucan_facts_path_plain(bytes_t path);
static ngx_uint_t ngx_ucan_facts_escape_plain(const uint8_t *p, size_t left);
static ngx_uint_t ngx_ucan_facts_segment_plain(const uint8_t *p, size_t len);
static ngx_int_t ngx_ucan_facts_hex(uint8_t c);


ngx_int_t
ngx_ucan_facts_get(ngx_http_request_t *r, ucan_http_t *http)
{
    ngx_int_t  rc;

    r = r->main;

    ngx_memzero(http, sizeof(ucan_http_t));

    http->scheme = bytes_of("http");

#if (NGX_HTTP_SSL)
    if (r->connection->ssl) {
        http->scheme = bytes_of("https");
    }
#endif

    ngx_ucan_facts_target(r, http);

    rc = ngx_ucan_facts_host(r, &http->host);

    if (rc != NGX_OK) {
        return rc;
    }

    if (http->method.len == 0
        || !ngx_ucan_facts_path_plain(http->path)
        || !utf8_valid(http->query))
    {
        return NGX_DECLINED;
    }

    return ngx_ucan_facts_headers(r, http);
}


/* r->method_name becomes GET in an error_page; the request line stays. */

static void
ngx_ucan_facts_target(ngx_http_request_t *r, ucan_http_t *http)
{
    u_char  *p, *last;

    p = r->request_line.data;
    last = p + r->request_line.len;

    if (r->request_line.len != 0) {
        while (p < last && *p != ' ') {
            p++;
        }

        http->method = bytes_make(r->request_line.data,
                                  p - r->request_line.data);
    }

    p = r->unparsed_uri.data;
    last = p + r->unparsed_uri.len;

    while (p < last && *p != '?') {
        p++;
    }

    /* "GET http://host?query" has no path */

    http->path = (p == r->unparsed_uri.data)
                 ? bytes_of("/")
                 : bytes_make(r->unparsed_uri.data,
                              p - r->unparsed_uri.data);

    if (p < last) {
        http->query = bytes_make(p + 1, last - p - 1);
    }
}


/* In the absolute form the host of the target counts, as it does for nginx
   (RFC 9112, 3.2.2). */

static ngx_int_t
ngx_ucan_facts_host(ngx_http_request_t *r, bytes_t *host)
{
    u_char     *p, *last, *lower;
    ngx_str_t   text;

    if (r->host_start && r->host_end) {

        /* the port ends before "/", "?" or the blank behind the target */

        for (p = r->host_end; *p == ':' || (*p >= '0' && *p <= '9'); p++) {
            /* void */
        }

        text.data = r->host_start;
        text.len = p - r->host_start;

    } else if (r->headers_in.host) {
        text = r->headers_in.host->value;

    } else {
        return NGX_DECLINED;
    }

    if (!utf8_valid(bytes_make(text.data, text.len))) {
        return NGX_DECLINED;
    }

    for (p = text.data, last = p + text.len; p < last; p++) {
        if (*p >= 'A' && *p <= 'Z') {
            break;
        }
    }

    if (p < last) {
        lower = ngx_pnalloc(r->pool, text.len);

        if (lower == NULL) {
            return NGX_ERROR;
        }

        ngx_strlow(lower, text.data, text.len);
        text.data = lower;
    }

    *host = bytes_make(text.data, text.len);

    return NGX_OK;
}


static ngx_int_t
ngx_ucan_facts_headers(ngx_http_request_t *r, ucan_http_t *http)
{
    ngx_uint_t                i, n;
    ngx_list_part_t          *part;
    ngx_table_elt_t          *h;
    ngx_ucan_facts_header_t   wanted[2] = {
        { ngx_string("origin"), &http->origin, 0 },
        { ngx_string("user-agent"), &http->agent, 0 }
    };

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            for (n = 0; n < 2; n++) {

                if (h[i].key.len != wanted[n].name.len
                    || ngx_strncasecmp(h[i].key.data, wanted[n].name.data,
                                       h[i].key.len)
                       != 0)
                {
                    continue;
                }

                *wanted[n].value = bytes_make(h[i].value.data,
                                              h[i].value.len);

                if (++wanted[n].count > 1
                    || !utf8_valid(*wanted[n].value))
                {
                    return NGX_DECLINED;
                }
            }
        }
    }

    return NGX_OK;
}


/* 1 when decoding and cleaning up would change nothing that matters. */

static ngx_uint_t
ngx_ucan_facts_path_plain(bytes_t path)
{
    size_t  i, start;

    if (path.len == 0 || path.data[0] != '/') {
        return 0;
    }

    for (i = 1, start = 1; i <= path.len; i++) {

        if (i == path.len || path.data[i] == '/') {

            /* an empty segment is one at the end only */

            if (i != path.len && i == start) {
                return 0;
            }

            if (!ngx_ucan_facts_segment_plain(path.data + start, i - start)) {
                return 0;
            }

            start = i + 1;
        }
    }

    return 1;
}


static ngx_uint_t
ngx_ucan_facts_segment_plain(const uint8_t *p, size_t len)
{
    size_t  i;

    if ((len == 1 && p[0] == '.')
        || (len == 2 && p[0] == '.' && p[1] == '.'))
    {
        return 0;
    }

    for (i = 0; i < len; i++) {

        if (p[i] <= ' ' || p[i] >= 0x7f || p[i] == '#' || p[i] == '\\') {
            return 0;
        }

        if (p[i] == '%') {
            if (!ngx_ucan_facts_escape_plain(&p[i], len - i)) {
                return 0;
            }

            i += 2;
        }
    }

    return 1;
}


/* What needs no escape (RFC 3986, 2.3) must have none, and no escape may hide
   a separator. */

static ngx_uint_t
ngx_ucan_facts_escape_plain(const uint8_t *p, size_t left)
{
    u_char     c;
    ngx_int_t  high, low;

    if (left < 3) {
        return 0;
    }

    high = ngx_ucan_facts_hex(p[1]);
    low = ngx_ucan_facts_hex(p[2]);

    if (high < 0 || low < 0) {
        return 0;
    }

    c = (u_char) (high * 16 + low);

    return !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
             || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_'
             || c == '~' || c == '/' || c == '\\' || c == '\0');
}


static ngx_int_t
ngx_ucan_facts_hex(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return (c >= 'a' && c <= 'f') ? c - 'a' + 10 : -1;
}


ucan_verdict_t
ngx_ucan_facts_bound(const ucan_chain_t *chain)
{
    cbor_item_t  args, http;

    if (chain->kind != UCAN_CHAIN_INVOCATION) {
        return UCAN_OK;
    }

    if (cbor_read(chain->bundle->top->args, &args) == 0
        && cbor_map_find(&args, bytes_of("http"), &http) == 0)
    {
        return UCAN_OK;
    }

    return UCAN_WRONG_REQUEST;
}
