/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Places in lists: opaque, authenticated, bound to who asks and for what.
 * Event loop only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_rest.h"


static ngx_int_t ngx_mesh_storage_rest_cursor_scope(
    ngx_mesh_storage_rest_t *rest, bytes_t scope, bytes_writer_t *w);


/* Who asks which list: a cursor is worth nothing elsewhere. */
static ngx_int_t
ngx_mesh_storage_rest_cursor_scope(ngx_mesh_storage_rest_t *rest,
    bytes_t scope, bytes_writer_t *w)
{
    ngx_str_t  *did;

    did = &rest->principal->did;

    if (ngx_mesh_storage_rest_writer(rest, w, did->len + rest->resource.len
                                              + rest->ns.len + scope.len + 3)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    bytes_writer_put(w, did->data, did->len);
    bytes_writer_byte(w, '\n');
    bytes_writer_bytes(w, rest->resource);
    bytes_writer_byte(w, '\n');
    bytes_writer_bytes(w, rest->ns);
    bytes_writer_byte(w, '\n');
    bytes_writer_bytes(w, scope);

    return w->failed ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_mesh_storage_rest_cursor(ngx_mesh_storage_rest_t *rest, bytes_t scope,
    bytes_t *text, ngx_int_t *rc)
{
    bytes_t         cursor;
    ngx_int_t       found;
    bytes_writer_t  w, whole;

    *text = bytes_make(NULL, 0);
    found = ngx_mesh_storage_rest_query(rest, "cursor", CURSOR_TEXT_MAX,
                                        &cursor, rc);
    if (found != NGX_OK) {
        return found;
    }

    if (ngx_mesh_storage_rest_cursor_scope(rest, scope, &whole) != NGX_OK
        || ngx_mesh_storage_rest_writer(rest, &w, CURSOR_PAYLOAD_MAX)
           != NGX_OK)
    {
        *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return NGX_ERROR;
    }

    if (cursor_decode(rest->mcf->cursor_key, bytes_writer_view(&whole),
                      cursor, &w)
        != 0)
    {
        *rc = ngx_mesh_storage_rest_problem(rest, PROBLEM_INVALID_CURSOR,
                  "take \"cursor\" from the \"next\" of the page before, and "
                  "change nothing else");
        return NGX_ERROR;
    }

    *text = bytes_writer_view(&w);

    return NGX_OK;
}


ngx_int_t
ngx_mesh_storage_rest_cursor_next(ngx_mesh_storage_rest_t *rest,
    bytes_t scope, bytes_t place, bytes_t *cursor)
{
    bytes_writer_t  w, whole;

    if (ngx_mesh_storage_rest_cursor_scope(rest, scope, &whole) != NGX_OK
        || ngx_mesh_storage_rest_writer(rest, &w, CURSOR_TEXT_MAX) != NGX_OK
        || cursor_encode(rest->mcf->cursor_key, bytes_writer_view(&whole),
                         place, &w)
           != 0)
    {
        return NGX_ERROR;
    }

    *cursor = bytes_writer_view(&w);

    return ngx_mesh_storage_rest_cursor_link(rest, *cursor);
}


/* Link: the same request with another cursor (RFC 8288). */
ngx_int_t
ngx_mesh_storage_rest_cursor_link(ngx_mesh_storage_rest_t *rest,
    bytes_t cursor)
{
    size_t          len;
    u_char         *p, *last, *end;
    ngx_str_t       value, path;
    bytes_writer_t  w;

    path = rest->r->unparsed_uri;
    p = ngx_strlchr(path.data, path.data + path.len, '?');

    if (p) {
        path.len = p - path.data;
    }

    if (ngx_mesh_storage_rest_writer(rest, &w, path.len + rest->r->args.len
                                               + cursor.len + 32)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    bytes_writer_byte(&w, '<');
    bytes_writer_put(&w, path.data, path.len);
    bytes_writer_byte(&w, '?');

    p = rest->r->args.data;
    last = p + rest->r->args.len;

    for ( /* void */ ; p < last; p = end + 1) {
        end = ngx_strlchr(p, last, '&');
        end = end ? end : last;
        len = end - p;

        if (len == 0 || (len >= 7 && ngx_strncmp(p, "cursor=", 7) == 0)
            || ngx_strlchr(p, end, '>'))
        {
            continue;
        }

        bytes_writer_put(&w, p, len);
        bytes_writer_byte(&w, '&');
    }

    bytes_writer_text(&w, "cursor=");
    bytes_writer_bytes(&w, cursor);
    bytes_writer_text(&w, ">; rel=\"next\"");

    value.data = w.start;
    value.len = w.pos - w.start;

    return w.failed ? NGX_ERROR
                    : ngx_mesh_reply_header(rest->r, "Link", &value);
}
