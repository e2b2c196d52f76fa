/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The Host and Origin rules: their directives and their check.  The
 * configuration is only read at request time.
 */


#include "ngx_mesh_origin.h"


static ngx_str_t *ngx_mesh_origin_add(ngx_conf_t *cf, ngx_array_t **list,
    ngx_str_t *value);
static ngx_array_t *ngx_mesh_origin_names(ngx_conf_t *cf);
static ngx_uint_t ngx_mesh_origin_host_match(ngx_http_request_t *r,
    const ngx_mesh_origin_t *conf);
static ngx_uint_t ngx_mesh_origin_match(ngx_http_request_t *r,
    const ngx_mesh_origin_t *conf, ngx_str_t *origin);
static ngx_uint_t ngx_mesh_origin_is_own(ngx_http_request_t *r,
    ngx_str_t *origin);
static ngx_uint_t ngx_mesh_origin_find(ngx_array_t *list, ngx_str_t *value);
static ngx_uint_t ngx_mesh_origin_is_address(ngx_str_t *host);
static ngx_table_elt_t *ngx_mesh_origin_header(ngx_http_request_t *r,
    ngx_uint_t *count);


char *
ngx_mesh_origin_host_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char             ch;
    size_t             n;
    ngx_str_t         *value;
    ngx_uint_t         i;
    ngx_mesh_origin_t *origin;

    origin = (ngx_mesh_origin_t *) ((u_char *) conf + cmd->offset);
    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        for (n = 0; n < value[i].len; n++) {
            ch = value[i].data[n];

            if (!((ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z')
                  || (ch >= 'A' && ch <= 'Z') || ch == '-' || ch == '.'
                  || ch == '_'))
            {
                break;
            }
        }

        if (n == 0 || n != value[i].len) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" needs plain host names without port, "
                               "such as \"mesh.example.org\", not \"%V\"",
                               &value[0], &value[i]);
            return NGX_CONF_ERROR;
        }

        if (ngx_mesh_origin_add(cf, &origin->hosts, &value[i]) == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_mesh_origin_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char             *p, *last;
    ngx_str_t          *value;
    ngx_uint_t          i;
    ngx_mesh_origin_t  *origin;

    origin = (ngx_mesh_origin_t *) ((u_char *) conf + cmd->offset);
    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        p = value[i].data;
        last = p + value[i].len;

        if (value[i].len > 7
            && ngx_strncasecmp(p, (u_char *) "http://", 7) == 0)
        {
            p += 7;

        } else if (value[i].len > 8
                   && ngx_strncasecmp(p, (u_char *) "https://", 8) == 0)
        {
            p += 8;

        } else {
            p = last;
        }

        if (p == last || ngx_strlchr(p, last, '/') != NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" needs origins as browsers send them, "
                               "such as \"https://mesh.example.org\", "
                               "not \"%V\"", &value[0], &value[i]);
            return NGX_CONF_ERROR;
        }

        if (ngx_mesh_origin_add(cf, &origin->origins, &value[i]) == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_str_t *
ngx_mesh_origin_add(ngx_conf_t *cf, ngx_array_t **list, ngx_str_t *value)
{
    ngx_str_t  *s;

    if (*list == NGX_CONF_UNSET_PTR) {
        *list = ngx_array_create(cf->pool, 2, sizeof(ngx_str_t));

        if (*list == NULL) {
            *list = NGX_CONF_UNSET_PTR;
            return NULL;
        }
    }

    s = ngx_array_push(*list);

    if (s == NULL) {
        return NULL;
    }

    s->len = value->len;
    s->data = ngx_pnalloc(cf->pool, value->len);

    if (s->data == NULL) {
        return NULL;
    }

    ngx_strlow(s->data, value->data, value->len);

    return s;
}


void
ngx_mesh_origin_init(ngx_mesh_origin_t *conf)
{
    conf->hosts = NGX_CONF_UNSET_PTR;
    conf->origins = NGX_CONF_UNSET_PTR;
    conf->names = NULL;
}


char *
ngx_mesh_origin_merge(ngx_conf_t *cf, ngx_mesh_origin_t *prev,
    ngx_mesh_origin_t *conf)
{
    ngx_conf_merge_ptr_value(conf->hosts, prev->hosts, NULL);
    ngx_conf_merge_ptr_value(conf->origins, prev->origins, NULL);

    conf->names = prev->names ? prev->names : ngx_mesh_origin_names(cf);

    return conf->names ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* A pattern would match what a rebound name sends. */
static ngx_array_t *
ngx_mesh_origin_names(ngx_conf_t *cf)
{
    ngx_str_t                 *s;
    ngx_uint_t                 i;
    ngx_array_t               *names;
    ngx_http_server_name_t    *name;
    ngx_http_core_srv_conf_t  *cscf;

    cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);
    names = ngx_array_create(cf->pool, 2, sizeof(ngx_str_t));

    if (names == NULL) {
        return NULL;
    }

    name = cscf->server_names.elts;

    for (i = 0; i < cscf->server_names.nelts; i++) {

#if (NGX_PCRE)
        if (name[i].regex) {
            continue;
        }
#endif

        if (name[i].name.len == 0
            || name[i].name.data[0] == '.'
            || ngx_strlchr(name[i].name.data,
                           name[i].name.data + name[i].name.len, '*') != NULL)
        {
            continue;
        }

        s = ngx_array_push(names);

        if (s == NULL) {
            return NULL;
        }

        *s = name[i].name;
    }

    return names;
}


ngx_int_t
ngx_mesh_origin_check(ngx_http_request_t *r, const ngx_mesh_origin_t *conf,
    problem_t *problem)
{
    ngx_uint_t        count;
    ngx_table_elt_t  *h;

    if (!ngx_mesh_origin_host_match(r, conf)) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "origin: refused host \"%V\", which is no server_name "
                      "and not listed", &r->headers_in.server);

        *problem = PROBLEM_WRONG_HOST;
        return NGX_DECLINED;
    }

    h = ngx_mesh_origin_header(r, &count);

    if (count == 0) {
        return NGX_OK;
    }

    if (count > 1 || !ngx_mesh_origin_match(r, conf, &h->value)) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "origin: refused origin \"%V\", which is not this "
                      "server's and not listed", &h->value);

        *problem = PROBLEM_WRONG_ORIGIN;
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_mesh_origin_host_match(ngx_http_request_t *r,
    const ngx_mesh_origin_t *conf)
{
    ngx_str_t  *host;

    host = &r->headers_in.server;

    if (host->len == 0) {
        return 0;
    }

    return ngx_mesh_origin_is_address(host)
           || (host->len == sizeof("localhost") - 1
               && ngx_strncmp(host->data, "localhost", host->len) == 0)
           || ngx_mesh_origin_find(conf->hosts, host)
           || ngx_mesh_origin_find(conf->names, host);
}


static ngx_uint_t
ngx_mesh_origin_match(ngx_http_request_t *r, const ngx_mesh_origin_t *conf,
    ngx_str_t *origin)
{
    return ngx_mesh_origin_is_own(r, origin)
           || ngx_mesh_origin_find(conf->origins, origin);
}


static ngx_uint_t
ngx_mesh_origin_is_own(ngx_http_request_t *r, ngx_str_t *origin)
{
    ngx_str_t  *host, scheme;

    if (r->headers_in.host == NULL) {
        return 0;
    }

    host = &r->headers_in.host->value;
    ngx_str_set(&scheme, "http://");

#if (NGX_HTTP_SSL)
    if (r->connection->ssl) {
        ngx_str_set(&scheme, "https://");
    }
#endif

    return origin->len == scheme.len + host->len
           && ngx_strncasecmp(origin->data, scheme.data, scheme.len) == 0
           && ngx_strncasecmp(origin->data + scheme.len, host->data,
                              host->len) == 0;
}


static ngx_uint_t
ngx_mesh_origin_find(ngx_array_t *list, ngx_str_t *value)
{
    ngx_str_t   *s;
    ngx_uint_t   i;

    if (list == NULL) {
        return 0;
    }

    s = list->elts;

    for (i = 0; i < list->nelts; i++) {
        if (s[i].len == value->len
            && ngx_strncasecmp(s[i].data, value->data, value->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_mesh_origin_is_address(ngx_str_t *host)
{
#if (NGX_HAVE_INET6)
    u_char  address[16];

    if (host->len > 2
        && host->data[0] == '[' && host->data[host->len - 1] == ']')
    {
        return ngx_inet6_addr(host->data + 1, host->len - 2, address)
               == NGX_OK;
    }
#endif

    return ngx_inet_addr(host->data, host->len) != INADDR_NONE;
}


static ngx_table_elt_t *
ngx_mesh_origin_header(ngx_http_request_t *r, ngx_uint_t *count)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *found;

    *count = 0;
    found = NULL;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len == sizeof("Origin") - 1
                && ngx_strncasecmp(h[i].key.data, (u_char *) "Origin",
                                   sizeof("Origin") - 1) == 0)
            {
                found = &h[i];
                (*count)++;
            }
        }
    }

    return found;
}
