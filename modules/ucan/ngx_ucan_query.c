/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Cuts tokens out of the query of a request, first of all handlers after
 * the request was read, and for requests that never get there (400, 414)
 * first of all handlers that log.
 *
 * What is cut is the same in $args, $request_uri, $request and the Referer:
 * every "name=value" behind one of the separators below, with the name
 * spelled in whatever escapes and case.  Only what nginx takes for an
 * argument, parted by "&", is kept as a token.  New strings are made in the
 * request's pool; what the client sent stays in the buffers that nginx read
 * it into, which nobody logs.
 */


#include "ngx_ucan_conf.h"
#include "ngx_ucan_query.h"


typedef struct {
    ngx_str_t     name;           /* borrowed from the configuration */
    bytes_t       value;          /* in the request's pool */
    ngx_uint_t    count;
} ngx_ucan_query_found_t;


/* Text that is cut, and what comes of it. */
typedef struct {
    u_char       *src;
    u_char       *last;
    u_char       *dst;            /* room for last - src bytes */
    ngx_uint_t    cut;            /* items left out */
} ngx_ucan_query_cut_t;


static ngx_int_t ngx_ucan_query_handler(ngx_http_request_t *r);
static ngx_int_t ngx_ucan_query_failed_handler(ngx_http_request_t *r);
static ngx_int_t ngx_ucan_query_log_handler(ngx_http_request_t *r);
static ngx_int_t ngx_ucan_query_cut_request(ngx_http_request_t *r,
    const ngx_array_t *names);
static ngx_int_t ngx_ucan_query_keep(ngx_http_request_t *r,
    const ngx_array_t *names);
static ngx_int_t ngx_ucan_query_keep_item(ngx_http_request_t *r,
    ngx_array_t *kept, const ngx_array_t *names, u_char *item, u_char *last);
static ngx_int_t ngx_ucan_query_cut_text(ngx_pool_t *pool,
    const ngx_array_t *names, ngx_str_t *text);
static ngx_int_t ngx_ucan_query_cut_referer(ngx_http_request_t *r,
    const ngx_array_t *names);
static void ngx_ucan_query_cut_args(const ngx_array_t *names,
    ngx_ucan_query_cut_t *cut);
static ngx_str_t *ngx_ucan_query_name(const ngx_array_t *names,
    const u_char *text, size_t len);
static ngx_uint_t ngx_ucan_query_is_separator(u_char c);
static ngx_array_t *ngx_ucan_query_kept(ngx_http_request_t *r);
static void ngx_ucan_query_cleanup(void *data);
static ngx_int_t ngx_ucan_query_push(ngx_conf_t *cf, ngx_array_t **names,
    ngx_str_t *name);


void *
ngx_ucan_query_create_srv(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_ucan_query_srv_conf_t));
}


/* Names of the http level count for every server. */

char *
ngx_ucan_query_merge_srv(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_ucan_query_srv_conf_t *prev = parent;
    ngx_ucan_query_srv_conf_t *conf = child;

    ngx_str_t   *name;
    ngx_uint_t   i;

    if (prev->names == NULL) {
        return NGX_CONF_OK;
    }

    name = prev->names->elts;

    for (i = 0; i < prev->names->nelts; i++) {
        if (ngx_ucan_query_push(cf, &conf->names, &name[i]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_ucan_query_add(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_ucan_main_conf_t       *mcf;
    ngx_ucan_query_srv_conf_t  *scf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ucan_module);
    scf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_ucan_module);

    if (ngx_ucan_query_push(cf, &mcf->query.names, name) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_ucan_query_push(cf, &scf->names, name);
}


static ngx_int_t
ngx_ucan_query_push(ngx_conf_t *cf, ngx_array_t **names, ngx_str_t *name)
{
    ngx_str_t  *s;

    if (*names == NULL) {
        *names = ngx_array_create(cf->pool, 2, sizeof(ngx_str_t));

        if (*names == NULL) {
            return NGX_ERROR;
        }
    }

    if (ngx_ucan_query_name(*names, name->data, name->len)) {
        return NGX_OK;
    }

    s = ngx_array_push(*names);

    if (s == NULL) {
        return NGX_ERROR;
    }

    *s = *name;

    return NGX_OK;
}


/* nginx runs the handlers of a phase from the last that was added to the
   first, but those that log in the order in which they were added. */

ngx_int_t
ngx_ucan_query_init(ngx_conf_t *cf)
{
    ngx_array_t                *handlers;
    ngx_http_handler_pt        *h;
    ngx_ucan_main_conf_t       *mcf;
    ngx_http_core_main_conf_t  *cmcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ucan_module);

    if (mcf->query.names == NULL) {
        return NGX_OK;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_POST_READ_PHASE].handlers);

    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_ucan_query_handler;

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_REWRITE_PHASE].handlers);

    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_ucan_query_failed_handler;

    handlers = &cmcf->phases[NGX_HTTP_LOG_PHASE].handlers;

    if (ngx_array_push(handlers) == NULL) {
        return NGX_ERROR;
    }

    h = handlers->elts;

    ngx_memmove(h + 1, h,
                (handlers->nelts - 1) * sizeof(ngx_http_handler_pt));

    h[0] = ngx_ucan_query_log_handler;

    return NGX_OK;
}


static ngx_int_t
ngx_ucan_query_handler(ngx_http_request_t *r)
{
    ngx_ucan_query_srv_conf_t  *scf;

    scf = ngx_http_get_module_srv_conf(r, ngx_http_ucan_module);

    if (ngx_ucan_query_keep(r, scf->names) != NGX_OK
        || (scf->names
            && ngx_ucan_query_cut_request(r, scf->names) != NGX_OK))
    {
        /* what could not be cut must not be shown either */

        ngx_str_null(&r->args);
        ngx_str_null(&r->unparsed_uri);
        ngx_str_null(&r->request_line);

        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DECLINED;
}


/* A request that failed before its phases: no server of it is known for
   sure, so the names of all servers count.  An error_page leads it into
   phases yet, behind the one above. */

static ngx_int_t
ngx_ucan_query_failed_handler(ngx_http_request_t *r)
{
    ngx_ucan_main_conf_t  *mcf;

    if (r != r->main || ngx_ucan_query_kept(r)) {
        return NGX_DECLINED;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ucan_module);

    if (ngx_ucan_query_keep(r, NULL) != NGX_OK
        || ngx_ucan_query_cut_request(r, mcf->query.names) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_ucan_query_log_handler(ngx_http_request_t *r)
{
    u_char                *p;
    ngx_ucan_main_conf_t  *mcf;

    if (r != r->main || ngx_ucan_query_kept(r)) {
        return NGX_OK;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ucan_module);

    /* nginx shows a line that it could not parse, up to its end */

    if (r->request_line.data == NULL && r->request_start && r->header_in) {

        for (p = r->request_start; p < r->header_in->last; p++) {
            if (*p == CR || *p == LF) {
                break;
            }
        }

        r->request_line.data = r->request_start;
        r->request_line.len = p - r->request_start;
    }

    if (ngx_ucan_query_cut_request(r, mcf->query.names) != NGX_OK) {
        r->args.len = 0;
        r->unparsed_uri.len = 0;
        r->request_line.len = 0;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_ucan_query_cut_request(ngx_http_request_t *r, const ngx_array_t *names)
{
    u_char                *data;
    ngx_ucan_query_cut_t   cut;

    if (ngx_ucan_query_cut_text(r->pool, names, &r->request_line) != NGX_OK
        || ngx_ucan_query_cut_text(r->pool, names, &r->unparsed_uri)
           != NGX_OK
        || ngx_ucan_query_cut_referer(r, names) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (r->args.len == 0) {
        return NGX_OK;
    }

    data = ngx_pnalloc(r->pool, r->args.len);

    if (data == NULL) {
        return NGX_ERROR;
    }

    cut.src = r->args.data;
    cut.last = r->args.data + r->args.len;
    cut.dst = data;

    ngx_ucan_query_cut_args(names, &cut);

    if (cut.cut) {
        r->args.data = data;
        r->args.len = cut.dst - data;
    }

    return NGX_OK;
}


/* Text with a query: a target, a request line, a URL.  The query ends with
   the text or at a blank. */

static ngx_int_t
ngx_ucan_query_cut_text(ngx_pool_t *pool, const ngx_array_t *names,
    ngx_str_t *text)
{
    u_char                *p, *last, *end, *data;
    size_t                 len;
    ngx_ucan_query_cut_t   cut;

    last = text->data + text->len;
    p = text->len ? ngx_strlchr(text->data, last, '?') : NULL;

    if (p == NULL) {
        return NGX_OK;
    }

    end = ngx_strlchr(p, last, ' ');

    if (end == NULL) {
        end = last;
    }

    data = ngx_pnalloc(pool, text->len + 1);

    if (data == NULL) {
        return NGX_ERROR;
    }

    len = p + 1 - text->data;
    ngx_memcpy(data, text->data, len);

    cut.src = p + 1;
    cut.last = end;
    cut.dst = data + len;

    ngx_ucan_query_cut_args(names, &cut);

    if (cut.cut == 0) {
        return NGX_OK;
    }

    if (cut.dst == data + len) {
        cut.dst--;
    }

    cut.dst = ngx_cpymem(cut.dst, end, last - end);
    *cut.dst = '\0';

    text->data = data;
    text->len = cut.dst - data;

    return NGX_OK;
}


/* The page that a token opened names itself in the requests that it makes. */

static ngx_int_t
ngx_ucan_query_cut_referer(ngx_http_request_t *r, const ngx_array_t *names)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len == sizeof("Referer") - 1
                && ngx_strncasecmp(h[i].key.data, (u_char *) "Referer",
                                   sizeof("Referer") - 1) == 0
                && ngx_ucan_query_cut_text(r->pool, names, &h[i].value)
                   != NGX_OK)
            {
                h[i].value.len = 0;
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/* Copies the items that stay, with the separators before them. */

static void
ngx_ucan_query_cut_args(const ngx_array_t *names, ngx_ucan_query_cut_t *cut)
{
    u_char      *p, *item, *equal, *start, separator;

    cut->cut = 0;
    start = cut->dst;
    separator = '\0';

    for (p = cut->src; p <= cut->last; p++) {

        item = p;
        equal = NULL;

        for ( /* void */ ; p < cut->last; p++) {

            if (ngx_ucan_query_is_separator(*p)) {
                break;
            }

            if (*p == '=' && equal == NULL) {
                equal = p;
            }
        }

        if (ngx_ucan_query_match(names, item, (equal ? equal : p) - item)) {
            cut->cut++;

        } else {

            if (separator != '\0'
                && (cut->dst != start
                    || (separator != '&' && separator != ';')))
            {
                *cut->dst++ = separator;
            }

            cut->dst = ngx_cpymem(cut->dst, item, p - item);
        }

        separator = (p < cut->last) ? *p : '\0';
    }
}


static ngx_uint_t
ngx_ucan_query_is_separator(u_char c)
{
    return c == '&' || c == ';' || c == '#' || c == '?';
}


/* Remembers what is going to be cut out of r->args: names, or nothing
   (NULL).  Marks the request as one that was seen. */

static ngx_int_t
ngx_ucan_query_keep(ngx_http_request_t *r, const ngx_array_t *names)
{
    u_char              *p, *last, *item;
    ngx_array_t         *kept;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_array_t));

    if (cln == NULL) {
        return NGX_ERROR;
    }

    kept = cln->data;
    cln->handler = ngx_ucan_query_cleanup;

    if (ngx_array_init(kept, r->pool, 1, sizeof(ngx_ucan_query_found_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (names == NULL || r->args.len == 0) {
        return NGX_OK;
    }

    last = r->args.data + r->args.len;

    for (p = r->args.data; p <= last; p++) {
        item = p;
        p = ngx_strlchr(p, last, '&');

        if (p == NULL) {
            p = last;
        }

        if (ngx_ucan_query_keep_item(r, kept, names, item, p) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_ucan_query_keep_item(ngx_http_request_t *r, ngx_array_t *kept,
    const ngx_array_t *names, u_char *item, u_char *last)
{
    u_char                  *p, *dst, *src;
    ngx_str_t               *name;
    ngx_uint_t               i;
    ngx_ucan_query_found_t  *found;

    p = ngx_strlchr(item, last, '=');

    if (p == NULL) {
        p = last;
    }

    name = ngx_ucan_query_name(names, item, p - item);

    if (name == NULL) {
        return NGX_OK;
    }

    found = kept->elts;

    for (i = 0; i < kept->nelts; i++) {
        if (found[i].name.data == name->data) {
            found[i].count++;
            return NGX_OK;
        }
    }

    found = ngx_array_push(kept);

    if (found == NULL) {
        return NGX_ERROR;
    }

    found->name = *name;
    found->count = 1;
    found->value = bytes_make(NULL, 0);

    if (p == last) {
        return NGX_OK;
    }

    src = p + 1;
    dst = ngx_pnalloc(r->pool, last - src + 1);

    if (dst == NULL) {
        return NGX_ERROR;
    }

    p = dst;
    ngx_unescape_uri(&dst, &src, last - src, 0);

    found->value = bytes_make(p, dst - p);

    return NGX_OK;
}


ngx_int_t
ngx_ucan_query_find(ngx_http_request_t *r, const ngx_str_t *name,
    bytes_t *value)
{
    ngx_uint_t               i;
    ngx_array_t             *kept;
    ngx_ucan_query_found_t  *found;

    kept = ngx_ucan_query_kept(r);

    if (kept == NULL) {
        return NGX_DECLINED;
    }

    found = kept->elts;

    for (i = 0; i < kept->nelts; i++) {

        if (found[i].name.len == name->len
            && ngx_strncasecmp(found[i].name.data, name->data, name->len)
               == 0)
        {
            *value = found[i].value;

            return (found[i].count == 1) ? NGX_OK : NGX_ERROR;
        }
    }

    return NGX_DECLINED;
}


ngx_uint_t
ngx_ucan_query_match(const ngx_array_t *names, const u_char *text, size_t len)
{
    return ngx_ucan_query_name(names, text, len) != NULL;
}


static ngx_str_t *
ngx_ucan_query_name(const ngx_array_t *names, const u_char *text, size_t len)
{
    u_char       plain[NGX_UCAN_QUERY_NAME_MAX * 3], *src, *dst;
    size_t       n;
    ngx_str_t   *name;
    ngx_uint_t   i;

    if (len == 0 || len > sizeof(plain)) {
        return NULL;
    }

    src = (u_char *) text;
    dst = plain;
    ngx_unescape_uri(&dst, &src, len, 0);
    n = dst - plain;

    name = names->elts;

    for (i = 0; i < names->nelts; i++) {
        if (name[i].len == n
            && ngx_strncasecmp(name[i].data, plain, n) == 0)
        {
            return &name[i];
        }
    }

    return NULL;
}


static ngx_array_t *
ngx_ucan_query_kept(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->main->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_ucan_query_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


static void
ngx_ucan_query_cleanup(void *data)
{
    /* only marks the entry that ngx_ucan_query_kept() looks for */
    (void) data;
}
