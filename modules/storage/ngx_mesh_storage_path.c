/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Takes the path of a request apart.
 *
 * nginx merges slashes, resolves "." and "..", and decodes escapes before it
 * chooses the location.  Here the path as it was sent is decoded once more
 * and must come out the same: then no two requests can mean one key to nginx
 * and to an "access" rule, and another one to the store.  Nothing is copied.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_path.h"
#include "utf8.h"


static ngx_uint_t ngx_mesh_storage_path_same(ngx_str_t *sent,
    ngx_str_t *uri);


const char *
ngx_mesh_storage_path_parse(ngx_http_request_t *r, bytes_t *path)
{
    size_t     len;
    u_char    *p;
    ngx_str_t  sent;

    sent = r->unparsed_uri;
    p = ngx_strlchr(sent.data, sent.data + sent.len, '?');

    if (p) {
        sent.len = p - sent.data;
    }

    if (!ngx_mesh_storage_path_same(&sent, &r->uri)) {
        return "the path must be sent in its plain form: no empty segment, "
               "no \".\" or \"..\", no fragment";
    }

    if (!utf8_valid(bytes_make(r->uri.data, r->uri.len))) {
        return "the path is not valid UTF-8";
    }

    len = sizeof(NGX_MESH_STORAGE_PATH_BASE) - 1;

    if (r->uri.len < len
        || ngx_memcmp(r->uri.data, NGX_MESH_STORAGE_PATH_BASE, len) != 0)
    {
        return "the path must begin with \"" NGX_MESH_STORAGE_PATH_BASE "\"";
    }

    *path = bytes_make(r->uri.data + len, r->uri.len - len);

    if (path->len != 0) {

        if (path->data[0] != '/') {
            return "the path must begin with \"" NGX_MESH_STORAGE_PATH_BASE
                   "/\"";
        }

        path->data++;
        path->len--;
    }

    return NULL;
}


/* Is uri what sent decodes to, and nothing more was changed? */
static ngx_uint_t
ngx_mesh_storage_path_same(ngx_str_t *sent, ngx_str_t *uri)
{
    u_char     *p, *last, *q, *end;
    ngx_int_t   ch;

    p = sent->data;
    last = sent->data + sent->len;
    q = uri->data;
    end = uri->data + uri->len;

    while (p < last) {
        ch = *p++;

        if (ch == '%') {

            if (last - p < 2) {
                return 0;
            }

            ch = ngx_hextoi(p, 2);
            p += 2;

            if (ch <= 0) {
                return 0;
            }
        }

        if (q == end || *q++ != (u_char) ch) {
            return 0;
        }
    }

    return q == end;
}


bytes_t
ngx_mesh_storage_path_take(bytes_t *path)
{
    size_t         len;
    bytes_t        segment;
    const uint8_t *p;

    if (path->len == 0) {
        return *path;
    }

    p = memchr(path->data, '/', path->len);
    len = p ? (size_t) (p - path->data) : path->len;

    segment = bytes_make(path->data, len);

    if (p) {
        len++;
    }

    path->data += len;
    path->len -= len;

    return segment;
}


ngx_uint_t
ngx_mesh_storage_path_ns_valid(bytes_t ns)
{
    u_char  ch, last;
    size_t  i;

    if (ns.len == 0 || ns.len > NGX_MESH_STORAGE_NS_MAX) {
        return 0;
    }

    last = '.';

    for (i = 0; i < ns.len; i++) {
        ch = ns.data[i];

        if (ch == '.') {

            if (last == '.') {
                return 0;
            }

        } else if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
                     || (ch >= '0' && ch <= '9') || ch == '_' || ch == '-'))
        {
            return 0;
        }

        last = ch;
    }

    return last != '.';
}
