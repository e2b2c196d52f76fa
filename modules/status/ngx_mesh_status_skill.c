/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The page that teaches a bot: a template that an operator may edit, with
 * this node's address in it.
 *
 * The template is read, checked and cut into parts with the configuration;
 * a request only joins them.  The address is mesh_skill_url, or what the
 * client called this node by: a Host that is not this node's gets 421, since
 * a bot that trusts the page sends its secrets there.
 */


#include "ngx_mesh_reply.h"
#include "ngx_mesh_status.h"
#include "utf8.h"


#define NGX_MESH_STATUS_PORT_MAX  6     /* bytes, with the colon */


typedef enum {
    NGX_MESH_STATUS_TEXT = 0,
    NGX_MESH_STATUS_URL,          /* %%URL%%     http://127.0.0.1:4000 */
    NGX_MESH_STATUS_WS_URL        /* %%WS_URL%%  ws://127.0.0.1:4000 */
} ngx_mesh_status_kind_t;


typedef struct {
    ngx_mesh_status_kind_t  kind;
    ngx_str_t               text;     /* NGX_MESH_STATUS_TEXT alone */
} ngx_mesh_status_part_t;


static ngx_int_t ngx_mesh_status_skill_read(ngx_conf_t *cf, ngx_str_t *path,
    ngx_str_t *text);
static ngx_int_t ngx_mesh_status_skill_add(ngx_conf_t *cf, ngx_array_t *parts,
    ngx_mesh_status_kind_t kind, u_char *start, u_char *end);
static ngx_int_t ngx_mesh_status_skill_kind(ngx_str_t *name,
    ngx_mesh_status_kind_t *kind);
static ngx_int_t ngx_mesh_status_skill_url(ngx_http_request_t *r,
    ngx_str_t *url);
static void ngx_mesh_status_skill_port(ngx_http_request_t *r,
    ngx_str_t *port);
static u_char *ngx_mesh_status_skill_write(u_char *p,
    ngx_mesh_status_part_t *part, ngx_str_t *url);


ngx_array_t *
ngx_mesh_status_skill_open(ngx_conf_t *cf, ngx_str_t *path)
{
    u_char                  *p, *last, *mark, *end;
    ngx_str_t                text, name;
    ngx_array_t             *parts;
    ngx_mesh_status_kind_t   kind;

    if (ngx_mesh_status_skill_read(cf, path, &text) != NGX_OK) {
        return NULL;
    }

    parts = ngx_array_create(cf->pool, 32, sizeof(ngx_mesh_status_part_t));

    if (parts == NULL) {
        return NULL;
    }

    p = text.data;
    last = text.data + text.len;

    for ( ;; ) {
        mark = ngx_strlcasestrn(p, last, (u_char *) "%%", 2 - 1);

        if (mark == NULL) {
            break;
        }

        end = ngx_strlcasestrn(mark + 2, last, (u_char *) "%%", 2 - 1);

        name.data = mark + 2;
        name.len = end ? end - name.data : 0;

        if (ngx_mesh_status_skill_kind(&name, &kind) != NGX_OK) {
            name.len = ngx_min(last - name.data, 16);
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" has \"%%%%\" before \"%V\": only "
                               "%%%%URL%%%% and %%%%WS_URL%%%% are known",
                               path, &name);
            return NULL;
        }

        if (ngx_mesh_status_skill_add(cf, parts, NGX_MESH_STATUS_TEXT, p,
                                      mark)
            != NGX_OK
            || ngx_mesh_status_skill_add(cf, parts, kind, mark, end + 2)
               != NGX_OK)
        {
            return NULL;
        }

        p = end + 2;
    }

    if (ngx_mesh_status_skill_add(cf, parts, NGX_MESH_STATUS_TEXT, p, last)
        != NGX_OK)
    {
        return NULL;
    }

    return parts;
}


static ngx_int_t
ngx_mesh_status_skill_read(ngx_conf_t *cf, ngx_str_t *path, ngx_str_t *text)
{
    ssize_t      n;
    ngx_fd_t     fd;

    if (ngx_conf_full_name(cf->cycle, path, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    text->data = ngx_pnalloc(cf->pool, NGX_MESH_STATUS_SKILL_MAX + 1);

    if (text->data == NULL) {
        return NGX_ERROR;
    }

    fd = ngx_open_file(path->data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "\"mesh_skill\" cannot open \"%V\"", path);
        return NGX_ERROR;
    }

    n = ngx_read_fd(fd, text->data, NGX_MESH_STATUS_SKILL_MAX + 1);

    if (n == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "\"mesh_skill\" cannot read \"%V\"", path);
    }

    (void) ngx_close_file(fd);

    if (n == -1) {
        return NGX_ERROR;
    }

    if (n == 0 || n > NGX_MESH_STATUS_SKILL_MAX
        || !utf8_valid(bytes_make(text->data, n)))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"mesh_skill\" needs a text of 1 to %d bytes in "
                           "UTF-8, \"%V\" is none",
                           NGX_MESH_STATUS_SKILL_MAX, path);
        return NGX_ERROR;
    }

    text->len = n;

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_status_skill_add(ngx_conf_t *cf, ngx_array_t *parts,
    ngx_mesh_status_kind_t kind, u_char *start, u_char *end)
{
    ngx_mesh_status_part_t  *part;

    if (start == end) {
        return NGX_OK;
    }

    part = ngx_array_push(parts);

    if (part == NULL) {
        return NGX_ERROR;
    }

    part->kind = kind;
    part->text.data = start;
    part->text.len = end - start;

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_status_skill_kind(ngx_str_t *name, ngx_mesh_status_kind_t *kind)
{
    if (name->len == 3 && ngx_strncmp(name->data, "URL", 3) == 0) {
        *kind = NGX_MESH_STATUS_URL;
        return NGX_OK;
    }

    if (name->len == 6 && ngx_strncmp(name->data, "WS_URL", 6) == 0) {
        *kind = NGX_MESH_STATUS_WS_URL;
        return NGX_OK;
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_mesh_status_skill_handler(ngx_http_request_t *r)
{
    u_char                           *p;
    size_t                            size;
    bytes_t                           body;
    ngx_int_t                         rc;
    ngx_str_t                         url;
    ngx_uint_t                        i;
    ngx_mesh_status_part_t           *parts;
    ngx_http_mesh_status_loc_conf_t  *lcf;
    static ngx_str_t                  no_cache = ngx_string("no-cache");

    rc = ngx_http_mesh_status_method(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    ngx_str_null(&url);
    rc = ngx_mesh_status_skill_url(r, &url);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_mesh_status_module);
    parts = lcf->skill->elts;
    size = 0;

    for (i = 0; i < lcf->skill->nelts; i++) {
        size += (parts[i].kind == NGX_MESH_STATUS_TEXT) ? parts[i].text.len
                                                        : url.len;
    }

    p = ngx_pnalloc(r->pool, size);

    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    body.data = p;

    for (i = 0; i < lcf->skill->nelts; i++) {
        p = ngx_mesh_status_skill_write(p, &parts[i], &url);
    }

    body.len = p - body.data;

    if (ngx_mesh_reply_header(r, "Cache-Control", &no_cache) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_reply_text(r, NGX_HTTP_OK, "text/markdown; charset=utf-8",
                               body);
}


static u_char *
ngx_mesh_status_skill_write(u_char *p, ngx_mesh_status_part_t *part,
    ngx_str_t *url)
{
    switch (part->kind) {

    case NGX_MESH_STATUS_URL:
        return ngx_cpymem(p, url->data, url->len);

    case NGX_MESH_STATUS_WS_URL:

        /* http://... and https://... to ws://... and wss://... */

        *p++ = 'w';
        *p++ = 's';

        return ngx_cpymem(p, url->data + 4, url->len - 4);

    default:
        return ngx_cpymem(p, part->text.data, part->text.len);
    }
}


/* NGX_DECLINED and the address without a slash at the end; or a problem was
   sent, and the handler returns what this gave. */
static ngx_int_t
ngx_mesh_status_skill_url(ngx_http_request_t *r, ngx_str_t *url)
{
    u_char                           *p;
    size_t                            size;
    ngx_str_t                         scheme, port, *host;
    problem_t                         problem;
    ngx_http_mesh_status_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_mesh_status_module);

    if (lcf->skill_url.len) {
        *url = lcf->skill_url;
        return NGX_DECLINED;
    }

    if (ngx_mesh_origin_check(r, &lcf->origin, &problem) != NGX_OK) {
        return ngx_mesh_reply_problem(r, problem,
                                      "this node does not go by that name");
    }

    ngx_str_set(&scheme, "http://");

#if (NGX_HTTP_SSL)
    if (r->connection->ssl) {
        ngx_str_set(&scheme, "https://");
    }
#endif

    host = &r->headers_in.server;
    ngx_mesh_status_skill_port(r, &port);

    size = scheme.len + host->len + port.len;
    p = ngx_pnalloc(r->pool, size);

    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    url->data = p;
    url->len = size;

    p = ngx_cpymem(p, scheme.data, scheme.len);
    p = ngx_cpymem(p, host->data, host->len);
    ngx_memcpy(p, port.data, port.len);

    return NGX_DECLINED;
}


/* ":4000" as the Host header has it.  nginx checks the name in it but lets
   anything follow the colon. */
static void
ngx_mesh_status_skill_port(ngx_http_request_t *r, ngx_str_t *port)
{
    u_char     *p, *last;
    ngx_str_t  *host;

    ngx_str_null(port);

    if (r->headers_in.host == NULL) {
        return;
    }

    host = &r->headers_in.host->value;
    last = host->data + host->len;

    for (p = last; p > host->data && p[-1] >= '0' && p[-1] <= '9'; p--) {
        /* void */
    }

    if (p == last || p == host->data || p[-1] != ':'
        || last - p >= NGX_MESH_STATUS_PORT_MAX)
    {
        return;
    }

    port->data = p - 1;
    port->len = last - port->data;
}
