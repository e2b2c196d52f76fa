/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Method and path to handler.  Tables are short and static; each request
 * walks them once, on the event loop.
 */


#include "ngx_mesh_reply.h"
#include "ngx_mesh_route.h"


static ngx_uint_t ngx_mesh_route_match(const char *path, ngx_str_t *uri,
    ngx_mesh_route_args_t *args);
static ngx_int_t ngx_mesh_route_allow(ngx_http_request_t *r,
    ngx_uint_t methods);
static ngx_int_t ngx_mesh_route_unescape(ngx_http_request_t *r,
    ngx_str_t *value);


static const struct {
    ngx_uint_t   method;
    const char  *name;
} ngx_mesh_route_methods[] = {
    { NGX_HTTP_GET, "GET" },
    { NGX_HTTP_HEAD, "HEAD" },
    { NGX_HTTP_POST, "POST" },
    { NGX_HTTP_PUT, "PUT" },
    { NGX_HTTP_PATCH, "PATCH" },
    { NGX_HTTP_DELETE, "DELETE" },
    { NGX_HTTP_OPTIONS, "OPTIONS" }
};


ngx_int_t
ngx_mesh_route(ngx_http_request_t *r, const ngx_mesh_route_t *table)
{
    ngx_uint_t               method, methods;
    const ngx_mesh_route_t  *route;
    ngx_mesh_route_args_t    args;

    method = (r->method == NGX_HTTP_HEAD) ? NGX_HTTP_GET : r->method;
    methods = 0;

    for (route = table; route->path; route++) {

        if (!ngx_mesh_route_match(route->path, &r->uri, &args)) {
            continue;
        }

        if (route->method == method) {
            return route->handler(r, &args);
        }

        methods |= route->method;
    }

    if (methods == 0) {
        return ngx_mesh_reply_problem(r, PROBLEM_NOT_FOUND,
                                      "there is nothing at this path");
    }

    if (ngx_mesh_route_allow(r, methods | NGX_HTTP_OPTIONS) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->method == NGX_HTTP_OPTIONS) {
        return ngx_mesh_reply_empty(r, NGX_HTTP_NO_CONTENT);
    }

    return ngx_mesh_reply_problem(r, PROBLEM_METHOD_NOT_ALLOWED,
                                  "see Allow for what this path takes");
}


static ngx_uint_t
ngx_mesh_route_match(const char *path, ngx_str_t *uri,
    ngx_mesh_route_args_t *args)
{
    u_char  *p, *last, *segment;

    args->count = 0;

    p = uri->data;
    last = uri->data + uri->len;

    while (*path) {

        if (*path != ':') {
            if (p == last || *p != (u_char) *path) {
                return 0;
            }

            path++;
            p++;
            continue;
        }

        for (segment = p; p < last && *p != '/'; p++) { /* void */ }

        if (p == segment || args->count == NGX_MESH_ROUTE_ARGS_MAX) {
            return 0;
        }

        args->value[args->count].data = segment;
        args->value[args->count].len = p - segment;
        args->count++;
        path++;
    }

    return p == last;
}


static ngx_int_t
ngx_mesh_route_allow(ngx_http_request_t *r, ngx_uint_t methods)
{
    u_char      *p, *last;
    ngx_str_t    value;
    ngx_uint_t   i, n;

    if (methods & NGX_HTTP_GET) {
        methods |= NGX_HTTP_HEAD;
    }

    n = sizeof(ngx_mesh_route_methods) / sizeof(ngx_mesh_route_methods[0]);

    /* no name is longer than "OPTIONS, " */
    p = ngx_pnalloc(r->pool, n * (sizeof("OPTIONS, ") - 1));

    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    last = p + n * (sizeof("OPTIONS, ") - 1);

    for (i = 0; i < n; i++) {

        if (methods & ngx_mesh_route_methods[i].method) {
            p = ngx_slprintf(p, last, "%s%s", p == value.data ? "" : ", ",
                             ngx_mesh_route_methods[i].name);
        }
    }

    value.len = p - value.data;

    return ngx_mesh_reply_header(r, "Allow", &value);
}


ngx_int_t
ngx_mesh_route_query(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    if (ngx_http_arg(r, (u_char *) name, ngx_strlen(name), value) != NGX_OK) {
        return NGX_DECLINED;
    }

    return ngx_mesh_route_unescape(r, value);
}


/* Strict: "%" and two hexadecimal digits, no U+0000; "+" is a blank. */

static ngx_int_t
ngx_mesh_route_unescape(ngx_http_request_t *r, ngx_str_t *value)
{
    u_char     *p, *to, *last;
    ngx_int_t   n;

    to = ngx_pnalloc(r->pool, value->len + 1);

    if (to == NULL) {
        return NGX_ERROR;
    }

    p = value->data;
    last = value->data + value->len;
    value->data = to;

    while (p < last) {

        if (*p != '%') {
            *to++ = (*p == '+') ? ' ' : *p;
            p++;
            continue;
        }

        n = (last - p < 3) ? NGX_ERROR : ngx_hextoi(p + 1, 2);

        if (n == NGX_ERROR || n == 0) {
            return NGX_ERROR;
        }

        *to++ = (u_char) n;
        p += 3;
    }

    value->len = to - value->data;

    return NGX_OK;
}
