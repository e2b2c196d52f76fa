/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Changes the headers that proxies send on: removes every "Ucan-..." that a
 * client sent (however its backend would spell it), adds ours, and takes the
 * credentials away where the location says so.
 *
 * Runs after all access modules and before content, in subrequests too, whose
 * headers are the main request's.  The list of headers gets new parts over
 * the same elements: nginx's pointers to headers stay good, and the list that
 * another request shares stays as it is.  A part is never empty, since
 * nginx's loops over a list read the first element of each unasked.
 */


#include "ngx_mesh_compat.h"
#include "ngx_ucan_conf.h"
#include "ngx_ucan_forward.h"
#include "ngx_ucan_request.h"
#include "ngx_ucan_source.h"


#define NGX_UCAN_FORWARD_PREFIX  "ucan-"
#define NGX_UCAN_FORWARD_ROOM    16         /* elements of a new part */


typedef enum {
    NGX_UCAN_FORWARD_KEEP = 0,
    NGX_UCAN_FORWARD_DROP,
    NGX_UCAN_FORWARD_CHANGE
} ngx_ucan_forward_fate_t;


/* The list as it will be; in the request's pool. */
typedef struct {
    ngx_http_request_t  *request;
    ngx_list_part_t     *first;       /* NULL: none yet */
    ngx_list_part_t     *last;
    ngx_array_t          added;       /* of ngx_table_elt_t */
    ngx_uint_t           dropped;
    unsigned             forward:1;
    unsigned             strip:1;
} ngx_ucan_forward_list_t;


static ngx_int_t ngx_ucan_forward_handler(ngx_http_request_t *r);
static ngx_int_t ngx_ucan_forward_filter(ngx_ucan_forward_list_t *list);
static ngx_int_t ngx_ucan_forward_part(ngx_ucan_forward_list_t *list,
    ngx_table_elt_t *elts, ngx_uint_t n);
static ngx_int_t ngx_ucan_forward_finish(ngx_ucan_forward_list_t *list);
static ngx_ucan_forward_fate_t ngx_ucan_forward_fate(
    const ngx_ucan_forward_list_t *list, const ngx_table_elt_t *h);
static ngx_uint_t ngx_ucan_forward_is_ours(const ngx_table_elt_t *h);
static ngx_uint_t ngx_ucan_forward_named(const ngx_table_elt_t *h,
    const char *name, size_t len);
static ngx_int_t ngx_ucan_forward_change(ngx_ucan_forward_list_t *list,
    ngx_table_elt_t *h);
static ngx_uint_t ngx_ucan_forward_is_token(ngx_http_request_t *r,
    const ngx_table_elt_t *h, u_char *item, size_t len);
static ngx_int_t ngx_ucan_forward_facts(ngx_ucan_forward_list_t *list,
    ngx_mesh_principal_t *p);
static ngx_int_t ngx_ucan_forward_add(ngx_ucan_forward_list_t *list,
    const char *name, const char *lowcase, bytes_t value);


static ngx_int_t
ngx_ucan_forward_handler(ngx_http_request_t *r)
{
    ngx_ucan_request_t       *ctx;
    ngx_ucan_loc_conf_t      *lcf;
    ngx_ucan_forward_list_t   list;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_ucan_module);

    ngx_memzero(&list, sizeof(ngx_ucan_forward_list_t));

    list.request = r;
    list.forward = (lcf->edge.forward != 0);
    list.strip = (lcf->edge.tokens == NGX_UCAN_EDGE_STRIP);

    if (!list.forward && !list.strip) {
        return NGX_DECLINED;
    }

    if (list.strip && r == r->main && ngx_ucan_source_keep(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_array_init(&list.added, r->pool, NGX_UCAN_FORWARD_ROOM,
                       sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_ucan_forward_filter(&list) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx = ngx_ucan_request_find(r);

    if (list.forward && ctx && ctx->principal
        && ngx_ucan_forward_facts(&list, ctx->principal) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_ucan_forward_finish(&list) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_ucan_forward_filter(ngx_ucan_forward_list_t *list)
{
    ngx_uint_t                i, start;
    ngx_list_part_t          *part;
    ngx_table_elt_t          *h;
    ngx_ucan_forward_fate_t   fate;

    for (part = &list->request->headers_in.headers.part;
         part;
         part = part->next)
    {
        h = part->elts;
        start = 0;

        for (i = 0; i < part->nelts; i++) {

            fate = ngx_ucan_forward_fate(list, &h[i]);

            if (fate == NGX_UCAN_FORWARD_CHANGE) {
                switch (ngx_ucan_forward_change(list, &h[i])) {

                case NGX_DECLINED:
                    continue;

                case NGX_ERROR:
                    return NGX_ERROR;
                }

            } else if (fate == NGX_UCAN_FORWARD_KEEP) {
                continue;

            } else if (list->request->headers_in.authorization == &h[i]) {
                list->request->headers_in.authorization = NULL;
            }

            list->dropped++;

            if (ngx_ucan_forward_part(list, &h[start], i - start) != NGX_OK) {
                return NGX_ERROR;
            }

            start = i + 1;
        }

        if (ngx_ucan_forward_part(list, &h[start], part->nelts - start)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_ucan_forward_part(ngx_ucan_forward_list_t *list, ngx_table_elt_t *elts,
    ngx_uint_t n)
{
    ngx_list_part_t  *part;

    if (n == 0) {
        return NGX_OK;
    }

    part = ngx_palloc(list->request->pool, sizeof(ngx_list_part_t));

    if (part == NULL) {
        return NGX_ERROR;
    }

    part->elts = elts;
    part->nelts = n;
    part->next = NULL;

    if (list->last) {
        list->last->next = part;

    } else {
        list->first = part;
    }

    list->last = part;

    return NGX_OK;
}


/* Whoever adds a header later finds the last part full, or with the room
   that nalloc says. */

static ngx_int_t
ngx_ucan_forward_finish(ngx_ucan_forward_list_t *list)
{
    ngx_list_t  *headers;

    if (list->dropped == 0 && list->added.nelts == 0) {
        return NGX_OK;
    }

    if (list->added.nelts
        && ngx_ucan_forward_part(list, list->added.elts, list->added.nelts)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    headers = &list->request->headers_in.headers;

    if (list->first == NULL) {
        return ngx_list_init(headers, list->request->pool,
                             NGX_UCAN_FORWARD_ROOM, sizeof(ngx_table_elt_t));
    }

    headers->part = *list->first;
    headers->last = (list->last == list->first) ? &headers->part : list->last;
    headers->nalloc = list->last->nelts;

    return NGX_OK;
}


static ngx_ucan_forward_fate_t
ngx_ucan_forward_fate(const ngx_ucan_forward_list_t *list,
    const ngx_table_elt_t *h)
{
    bytes_t                         value;
    ngx_uint_t                      i, count;
    const ngx_ucan_source_place_t  *places;

    if (list->forward && ngx_ucan_forward_is_ours(h)) {
        return NGX_UCAN_FORWARD_DROP;
    }

    if (!list->strip) {
        return NGX_UCAN_FORWARD_KEEP;
    }

    if (ngx_ucan_forward_named(h, "ucans", 5)) {
        return NGX_UCAN_FORWARD_DROP;
    }

    places = ngx_ucan_source_places(list->request, &count);
    value = ngx_ucan_source_trim(h->value.data, h->value.len);

    for (i = 0; i < count; i++) {

        switch (places[i].kind) {

        case NGX_UCAN_SOURCE_AUTHORIZATION:

            /* credentials of another scheme are somebody else's */

            if (ngx_ucan_forward_named(h, "authorization", 13)
                && value.len >= 6
                && ngx_strncasecmp((u_char *) value.data,
                                   (u_char *) "Bearer", 6)
                   == 0)
            {
                return NGX_UCAN_FORWARD_DROP;
            }

            break;

        case NGX_UCAN_SOURCE_HEADER:

            if (ngx_ucan_forward_named(h, (char *) places[i].name.data,
                                       places[i].name.len))
            {
                return NGX_UCAN_FORWARD_DROP;
            }

            break;

        case NGX_UCAN_SOURCE_COOKIE:

            if (ngx_ucan_forward_named(h, "cookie", 6)) {
                return NGX_UCAN_FORWARD_CHANGE;
            }

            break;

        case NGX_UCAN_SOURCE_SUBPROTOCOL:

            if (ngx_ucan_forward_named(h, "sec-websocket-protocol", 22)) {
                return NGX_UCAN_FORWARD_CHANGE;
            }

            break;

        case NGX_UCAN_SOURCE_QUERY:
            break;
        }
    }

    return NGX_UCAN_FORWARD_KEEP;
}


/* CGI makes "_" of "-", and some backends of everything else that is no
   letter and no digit. */

static ngx_uint_t
ngx_ucan_forward_is_ours(const ngx_table_elt_t *h)
{
    u_char  c;
    size_t  i;

    if (h->key.len < sizeof(NGX_UCAN_FORWARD_PREFIX) - 1) {
        return 0;
    }

    for (i = 0; i < sizeof(NGX_UCAN_FORWARD_PREFIX) - 1; i++) {
        c = ngx_tolower(h->key.data[i]);

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))) {
            c = '-';
        }

        if (c != NGX_UCAN_FORWARD_PREFIX[i]) {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
ngx_ucan_forward_named(const ngx_table_elt_t *h, const char *name, size_t len)
{
    return h->key.len == len
           && ngx_strncasecmp(h->key.data, (u_char *) name, len) == 0;
}


/* Takes our items out of a list of cookies or subprotocols.  NGX_OK: the
   header goes, another may have been added in its place; NGX_DECLINED: it
   stays as it is. */

static ngx_int_t
ngx_ucan_forward_change(ngx_ucan_forward_list_t *list, ngx_table_elt_t *h)
{
    u_char               delimiter, *p, *item, *last, *value, *dst;
    ngx_uint_t           dropped;
    ngx_table_elt_t     *changed, *cookie;
    ngx_http_request_t  *r;

    r = list->request;
    delimiter = ngx_ucan_forward_named(h, "cookie", 6) ? ';' : ',';
    last = h->value.data + h->value.len;
    dropped = 0;

    value = ngx_pnalloc(r->pool, 2 * h->value.len + 1);

    if (value == NULL) {
        return NGX_ERROR;
    }

    dst = value;

    for (item = h->value.data; item < last; item = p + 1) {

        while (item < last && (*item == ' ' || *item == '\t')) {
            item++;
        }

        p = (item < last) ? ngx_strlchr(item, last, delimiter) : NULL;

        if (p == NULL) {
            p = last;
        }

        if (ngx_ucan_forward_is_token(r, h, item, p - item)) {
            dropped++;
            continue;
        }

        if (dst != value) {
            *dst++ = delimiter;
            *dst++ = ' ';
        }

        dst = ngx_cpymem(dst, item, p - item);
    }

    if (dropped == 0) {
        return NGX_DECLINED;
    }

    cookie = NULL;

    if (dst != value) {
        changed = ngx_array_push(&list->added);
        cookie = ngx_palloc(r->pool, sizeof(ngx_table_elt_t));

        if (changed == NULL || cookie == NULL) {
            return NGX_ERROR;
        }

        *dst = '\0';

        *changed = *h;
        changed->value.data = value;
        changed->value.len = dst - value;
        ngx_mesh_compat_header(changed);

        *cookie = *changed;
    }

    /* a subrequest shares what these pointers are in */

    if (delimiter == ';' && r == r->main) {
        ngx_mesh_compat_cookie(r, h, cookie);
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_ucan_forward_is_token(ngx_http_request_t *r,
    const ngx_table_elt_t *h, u_char *item, size_t len)
{
    ngx_uint_t                      i, count, cookie;
    const ngx_str_t                *name;
    const ngx_ucan_source_place_t  *places;

    cookie = ngx_ucan_forward_named(h, "cookie", 6);
    places = ngx_ucan_source_places(r, &count);

    for (i = 0; i < count; i++) {
        name = &places[i].name;

        if (cookie && places[i].kind == NGX_UCAN_SOURCE_COOKIE
            && len > name->len && item[name->len] == '='
            && ngx_strncmp(item, name->data, name->len) == 0)
        {
            return 1;
        }

        if (!cookie && places[i].kind == NGX_UCAN_SOURCE_SUBPROTOCOL
            && len >= sizeof(NGX_UCAN_SOURCE_BEARER) - 1
            && ngx_strncmp(item, NGX_UCAN_SOURCE_BEARER,
                           sizeof(NGX_UCAN_SOURCE_BEARER) - 1)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_ucan_forward_facts(ngx_ucan_forward_list_t *list, ngx_mesh_principal_t *p)
{
    u_char   expires[NGX_INT64_LEN];
    bytes_t  text, command;

    text = bytes_make(expires, ngx_sprintf(expires, "%T", p->expires)
                               - expires);

    command = p->invocation ? p->chain->bundle->top->cmd
                            : bytes_make(NULL, 0);

    if (ngx_ucan_forward_add(list, "Ucan-Issuer", "ucan-issuer",
                             bytes_make(p->did.data, p->did.len))
        != NGX_OK
        || ngx_ucan_forward_add(list, "Ucan-Root", "ucan-root",
                                bytes_make(p->root.data, p->root.len))
           != NGX_OK
        || ngx_ucan_forward_add(list, "Ucan-Cid", "ucan-cid",
                                bytes_make(p->cid.data, p->cid.len))
           != NGX_OK
        || ngx_ucan_forward_add(list, "Ucan-Kind", "ucan-kind",
                                bytes_of(p->invocation ? "invocation"
                                                       : "session"))
           != NGX_OK
        || ngx_ucan_forward_add(list, "Ucan-Expires", "ucan-expires", text)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (command.len == 0) {
        return NGX_OK;
    }

    return ngx_ucan_forward_add(list, "Ucan-Command", "ucan-command",
                                command);
}


/* What is not plain ASCII is escaped: no value can begin another header. */

static ngx_int_t
ngx_ucan_forward_add(ngx_ucan_forward_list_t *list, const char *name,
    const char *lowcase, bytes_t value)
{
    u_char           *p;
    size_t            i;
    ngx_table_elt_t  *h;

    p = ngx_pnalloc(list->request->pool, 3 * value.len + 1);
    h = ngx_array_push(&list->added);

    if (p == NULL || h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->lowcase_key = (u_char *) lowcase;
    h->hash = ngx_hash_key(h->lowcase_key, h->key.len);
    h->value.data = p;

    for (i = 0; i < value.len; i++) {

        if (value.data[i] > ' ' && value.data[i] < 0x7f
            && value.data[i] != '%')
        {
            *p++ = value.data[i];

        } else {
            p = ngx_sprintf(p, "%%%02Xd", (int) value.data[i]);
        }
    }

    *p = '\0';
    h->value.len = p - h->value.data;

    return NGX_OK;
}


ngx_int_t
ngx_ucan_forward_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);

    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_ucan_forward_handler;

    return NGX_OK;
}
