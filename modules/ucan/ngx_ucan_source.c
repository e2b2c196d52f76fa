/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Finds the token of a request.  What stands twice is refused: somebody
 * before us may have looked at the other one.
 *
 * A cookie is sent by the browser, whoever made the page that asks; so where
 * a request can change something, or opens a socket, its Origin must be this
 * server.
 */


#include "ngx_ucan_conf.h"
#include "ngx_ucan_query.h"
#include "ngx_ucan_source.h"


#define NGX_UCAN_SOURCE_SCHEME      "Bearer"
#define NGX_UCAN_SOURCE_SCHEME_LEN  (sizeof(NGX_UCAN_SOURCE_SCHEME) - 1)


/* What is looked for in one kind of header. */
typedef struct {
    ngx_str_t    name;            /* of the header */
    bytes_t      value;           /* trimmed, of the last one */
    ngx_uint_t   count;
} ngx_ucan_source_header_t;


static char *ngx_ucan_source_parse(ngx_conf_t *cf, ngx_str_t *directive,
    ngx_str_t *text, ngx_ucan_source_place_t *place);
static ngx_uint_t ngx_ucan_source_name_valid(
    const ngx_ucan_source_place_t *place);
static ngx_int_t ngx_ucan_source_find_place(ngx_http_request_t *r,
    const ngx_list_t *headers, const ngx_ucan_source_place_t *place,
    bytes_t *token);
static ngx_int_t ngx_ucan_source_find_bearer(const ngx_list_t *headers,
    bytes_t *token);
static ngx_int_t ngx_ucan_source_find_item(const ngx_list_t *headers,
    const ngx_ucan_source_place_t *place, bytes_t *token);
static ngx_uint_t ngx_ucan_source_match_item(
    const ngx_ucan_source_place_t *place, bytes_t item, bytes_t *token);
static void ngx_ucan_source_read(const ngx_list_t *headers,
    ngx_ucan_source_header_t *header);
static ngx_uint_t ngx_ucan_source_match(const ngx_table_elt_t *h,
    const ngx_str_t *name);
static ngx_uint_t ngx_ucan_source_is_own(ngx_http_request_t *r,
    const ngx_list_t *headers);
static const ngx_list_t *ngx_ucan_source_kept(ngx_http_request_t *r);
static void ngx_ucan_source_cleanup(void *data);


static ngx_str_t  ngx_ucan_source_authorization
    = ngx_string("Authorization");
static ngx_str_t  ngx_ucan_source_proofs = ngx_string("ucans");
static ngx_str_t  ngx_ucan_source_cookie = ngx_string("Cookie");
static ngx_str_t  ngx_ucan_source_protocol
    = ngx_string("Sec-WebSocket-Protocol");


static const ngx_ucan_source_place_t  ngx_ucan_source_default = {
    NGX_UCAN_SOURCE_AUTHORIZATION, ngx_null_string
};


char *
ngx_ucan_source_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                      *rc;
    ngx_str_t                 *value;
    ngx_uint_t                 i, n;
    ngx_array_t              **list;
    ngx_ucan_source_place_t    place, *places;

    list = (ngx_array_t **) ((u_char *) conf + cmd->offset);
    value = cf->args->elts;

    if (*list == NGX_CONF_UNSET_PTR) {
        *list = ngx_array_create(cf->pool, cf->args->nelts - 1,
                                 sizeof(ngx_ucan_source_place_t));
        if (*list == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    for (i = 1; i < cf->args->nelts; i++) {

        rc = ngx_ucan_source_parse(cf, &value[0], &value[i], &place);

        if (rc != NGX_CONF_OK) {
            return rc;
        }

        places = (*list)->elts;

        for (n = 0; n < (*list)->nelts; n++) {

            if (places[n].kind == place.kind
                && places[n].name.len == place.name.len
                && ngx_strncasecmp(places[n].name.data, place.name.data,
                                   place.name.len)
                   == 0)
            {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "\"%V\" has a place twice: \"%V\"",
                                   &value[0], &value[i]);
                return NGX_CONF_ERROR;
            }
        }

        if ((*list)->nelts == NGX_UCAN_SOURCE_MAX) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" takes at most %d places",
                               &value[0], NGX_UCAN_SOURCE_MAX);
            return NGX_CONF_ERROR;
        }

        places = ngx_array_push(*list);

        if (places == NULL) {
            return NGX_CONF_ERROR;
        }

        *places = place;

        if (place.kind == NGX_UCAN_SOURCE_QUERY
            && ngx_ucan_query_add(cf, &place.name) != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_ucan_source_parse(ngx_conf_t *cf, ngx_str_t *directive, ngx_str_t *text,
    ngx_ucan_source_place_t *place)
{
    ngx_uint_t               i;
    ngx_ucan_source_kind_t   kind;
    static const struct {
        ngx_str_t               text;
        ngx_ucan_source_kind_t  kind;
    } places[] = {
        { ngx_string("authorization"), NGX_UCAN_SOURCE_AUTHORIZATION },
        { ngx_string("subprotocol"), NGX_UCAN_SOURCE_SUBPROTOCOL },
        { ngx_string("header:"), NGX_UCAN_SOURCE_HEADER },
        { ngx_string("cookie:"), NGX_UCAN_SOURCE_COOKIE },
        { ngx_string("query:"), NGX_UCAN_SOURCE_QUERY }
    };

    ngx_memzero(place, sizeof(ngx_ucan_source_place_t));

    for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {

        kind = places[i].kind;

        if (text->len < places[i].text.len
            || ngx_strncmp(text->data, places[i].text.data,
                           places[i].text.len)
               != 0)
        {
            continue;
        }

        place->kind = kind;
        place->name.data = text->data + places[i].text.len;
        place->name.len = text->len - places[i].text.len;

        if (ngx_ucan_source_name_valid(place)) {
            return NGX_CONF_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"%V\" needs \"authorization\", \"subprotocol\", "
                       "\"header:NAME\", \"cookie:NAME\" or \"query:NAME\", "
                       "not \"%V\"", directive, text);

    return NGX_CONF_ERROR;
}


/* Headers that mean something else already are no places. */

static ngx_uint_t
ngx_ucan_source_name_valid(const ngx_ucan_source_place_t *place)
{
    u_char      c;
    size_t      i;
    ngx_uint_t  n;
    ngx_str_t  *taken[] = {
        &ngx_ucan_source_authorization, &ngx_ucan_source_proofs,
        &ngx_ucan_source_cookie, &ngx_ucan_source_protocol
    };

    if (place->kind == NGX_UCAN_SOURCE_AUTHORIZATION
        || place->kind == NGX_UCAN_SOURCE_SUBPROTOCOL)
    {
        return place->name.len == 0;
    }

    for (i = 0; i < place->name.len; i++) {
        c = place->name.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9') || c == '-'
              || (c == '_' && place->kind != NGX_UCAN_SOURCE_HEADER)))
        {
            return 0;
        }
    }

    for (n = 0; n < sizeof(taken) / sizeof(taken[0]); n++) {
        if (place->kind == NGX_UCAN_SOURCE_HEADER
            && place->name.len == taken[n]->len
            && ngx_strncasecmp(place->name.data, taken[n]->data,
                               taken[n]->len)
               == 0)
        {
            return 0;
        }
    }

    return place->name.len != 0 && place->name.len <= NGX_UCAN_QUERY_NAME_MAX;
}


const ngx_ucan_source_place_t *
ngx_ucan_source_places(ngx_http_request_t *r, ngx_uint_t *count)
{
    ngx_ucan_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_ucan_module);

    if (lcf->edge.sources == NULL) {
        *count = 1;
        return &ngx_ucan_source_default;
    }

    *count = lcf->edge.sources->nelts;

    return lcf->edge.sources->elts;
}


ngx_int_t
ngx_ucan_source_find(ngx_http_request_t *r, ngx_ucan_source_t *source)
{
    bytes_t                         token;
    ngx_int_t                       rc;
    ngx_uint_t                      i, count, found, cookie;
    const ngx_list_t               *headers;
    ngx_ucan_source_header_t        proofs;
    const ngx_ucan_source_place_t  *places;

    ngx_memzero(source, sizeof(ngx_ucan_source_t));

    headers = ngx_ucan_source_kept(r);
    places = ngx_ucan_source_places(r, &count);
    found = 0;
    cookie = 0;

    for (i = 0; i < count; i++) {

        rc = ngx_ucan_source_find_place(r, headers, &places[i], &token);

        if (rc == NGX_DECLINED) {
            continue;
        }

        if (rc == NGX_ERROR || token.len == 0) {
            return NGX_ERROR;
        }

        if (found++ && !bytes_equal(source->token, token)) {
            return NGX_ERROR;
        }

        cookie += (places[i].kind == NGX_UCAN_SOURCE_COOKIE);
        source->token = token;
    }

    proofs.name = ngx_ucan_source_proofs;
    ngx_ucan_source_read(headers, &proofs);

    if (proofs.count > 1) {
        return NGX_ERROR;
    }

    source->proofs = proofs.value;

    if (found == 0) {
        return NGX_DECLINED;
    }

    if (found == cookie && !ngx_ucan_source_is_own(r, headers)) {
        ngx_memzero(source, sizeof(ngx_ucan_source_t));
        return NGX_ABORT;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_ucan_source_find_place(ngx_http_request_t *r, const ngx_list_t *headers,
    const ngx_ucan_source_place_t *place, bytes_t *token)
{
    ngx_ucan_source_header_t  header;

    switch (place->kind) {

    case NGX_UCAN_SOURCE_AUTHORIZATION:
        return ngx_ucan_source_find_bearer(headers, token);

    case NGX_UCAN_SOURCE_SUBPROTOCOL:
    case NGX_UCAN_SOURCE_COOKIE:
        return ngx_ucan_source_find_item(headers, place, token);

    case NGX_UCAN_SOURCE_QUERY:
        return ngx_ucan_query_find(r, &place->name, token);

    default:    /* NGX_UCAN_SOURCE_HEADER */
        header.name = place->name;
        ngx_ucan_source_read(headers, &header);

        *token = header.value;

        if (header.count > 1) {
            return NGX_ERROR;
        }

        return header.count ? NGX_OK : NGX_DECLINED;
    }
}


static ngx_int_t
ngx_ucan_source_find_bearer(const ngx_list_t *headers, bytes_t *token)
{
    bytes_t                   value;
    ngx_ucan_source_header_t  header;

    header.name = ngx_ucan_source_authorization;
    ngx_ucan_source_read(headers, &header);

    if (header.count > 1) {
        return NGX_ERROR;
    }

    value = header.value;

    if (header.count == 0 || value.len < NGX_UCAN_SOURCE_SCHEME_LEN
        || ngx_strncasecmp((u_char *) value.data,
                           (u_char *) NGX_UCAN_SOURCE_SCHEME,
                           NGX_UCAN_SOURCE_SCHEME_LEN)
           != 0)
    {
        return NGX_DECLINED;
    }

    value.data += NGX_UCAN_SOURCE_SCHEME_LEN;
    value.len -= NGX_UCAN_SOURCE_SCHEME_LEN;

    if (value.len == 0) {
        return NGX_ERROR;
    }

    if (value.data[0] != ' ') {
        return NGX_DECLINED;
    }

    while (value.data[0] == ' ') {
        value.data++;
        value.len--;
    }

    *token = value;

    return NGX_OK;
}


/* A cookie among cookies, a subprotocol among others: they may stand in
   several lines. */

static ngx_int_t
ngx_ucan_source_find_item(const ngx_list_t *headers,
    const ngx_ucan_source_place_t *place, bytes_t *token)
{
    u_char                  delimiter, *p, *item, *last;
    ngx_str_t              *name;
    ngx_uint_t              i, count;
    ngx_table_elt_t        *h;
    const ngx_list_part_t  *part;

    name = &ngx_ucan_source_cookie;
    delimiter = ';';

    if (place->kind == NGX_UCAN_SOURCE_SUBPROTOCOL) {
        name = &ngx_ucan_source_protocol;
        delimiter = ',';
    }

    count = 0;

    for (part = &headers->part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (!ngx_ucan_source_match(&h[i], name)) {
                continue;
            }

            last = h[i].value.data + h[i].value.len;

            for (item = h[i].value.data; item < last; item = p + 1) {
                p = ngx_strlchr(item, last, delimiter);

                if (p == NULL) {
                    p = last;
                }

                count += ngx_ucan_source_match_item(
                             place, ngx_ucan_source_trim(item, p - item),
                             token);
            }
        }
    }

    if (count > 1) {
        return NGX_ERROR;
    }

    return count ? NGX_OK : NGX_DECLINED;
}


static ngx_uint_t
ngx_ucan_source_match_item(const ngx_ucan_source_place_t *place,
    bytes_t item, bytes_t *token)
{
    bytes_t  prefix;

    if (place->kind == NGX_UCAN_SOURCE_SUBPROTOCOL) {
        prefix = bytes_of(NGX_UCAN_SOURCE_BEARER);

        if (!bytes_start_with(item, prefix)) {
            return 0;
        }

        *token = bytes_make(item.data + prefix.len, item.len - prefix.len);

        return 1;
    }

    prefix = bytes_make(place->name.data, place->name.len);

    if (!bytes_start_with(item, prefix) || item.len == prefix.len
        || item.data[prefix.len] != '=')
    {
        return 0;
    }

    item.data += prefix.len + 1;
    item.len -= prefix.len + 1;

    /* a value may stand in quotes (RFC 6265, 4.1.1) */

    if (item.len >= 2 && item.data[0] == '"'
        && item.data[item.len - 1] == '"')
    {
        item.data++;
        item.len -= 2;
    }

    *token = item;

    return 1;
}


static void
ngx_ucan_source_read(const ngx_list_t *headers,
    ngx_ucan_source_header_t *header)
{
    ngx_uint_t              i;
    ngx_table_elt_t        *h;
    const ngx_list_part_t  *part;

    header->count = 0;
    header->value = bytes_make(NULL, 0);

    for (part = &headers->part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (ngx_ucan_source_match(&h[i], &header->name)) {
                header->value = ngx_ucan_source_trim(h[i].value.data,
                                                     h[i].value.len);
                header->count++;
            }
        }
    }
}


static ngx_uint_t
ngx_ucan_source_match(const ngx_table_elt_t *h, const ngx_str_t *name)
{
    return h->key.len == name->len
           && ngx_strncasecmp(h->key.data, name->data, name->len) == 0;
}


bytes_t
ngx_ucan_source_trim(const u_char *data, size_t len)
{
    bytes_t  b;

    b = bytes_make(data, len);

    while (b.len != 0 && (b.data[b.len - 1] == ' '
                          || b.data[b.len - 1] == '\t'))
    {
        b.len--;
    }

    while (b.len != 0 && (b.data[0] == ' ' || b.data[0] == '\t')) {
        b.data++;
        b.len--;
    }

    return b;
}


/* 1 when no page of another site can be behind the request.  The scheme may
   be https where this server speaks http: TLS may end before it. */

static ngx_uint_t
ngx_ucan_source_is_own(ngx_http_request_t *r, const ngx_list_t *headers)
{
    bytes_t                   host, origin, scheme;
    ngx_ucan_source_header_t  header, upgrade;
    static ngx_str_t          name = ngx_string("Origin");
    static ngx_str_t          upgrade_name = ngx_string("Upgrade");

    r = r->main;

    upgrade.name = upgrade_name;
    ngx_ucan_source_read(headers, &upgrade);

    if (upgrade.count == 0
        && (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD|NGX_HTTP_OPTIONS)))
    {
        return 1;
    }

    header.name = name;
    ngx_ucan_source_read(headers, &header);

    if (header.count != 1 || r->headers_in.host == NULL) {
        return 0;
    }

    origin = header.value;
    scheme = bytes_of("http://");

#if (NGX_HTTP_SSL)
    if (r->connection->ssl) {
        scheme = bytes_of("https://");
    }
#endif

    if (bytes_start_with(origin, bytes_of("https://"))) {
        scheme = bytes_of("https://");
    }

    if (!bytes_start_with(origin, scheme)) {
        return 0;
    }

    host = bytes_make(r->headers_in.host->value.data,
                      r->headers_in.host->value.len);

    return origin.len - scheme.len == host.len
           && ngx_strncasecmp((u_char *) origin.data + scheme.len,
                              (u_char *) host.data, host.len)
              == 0;
}


ngx_int_t
ngx_ucan_source_keep(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    if (ngx_ucan_source_kept(r) != &r->main->headers_in.headers) {
        return NGX_OK;
    }

    cln = ngx_pool_cleanup_add(r->main->pool, sizeof(ngx_list_t));

    if (cln == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(cln->data, &r->main->headers_in.headers, sizeof(ngx_list_t));
    cln->handler = ngx_ucan_source_cleanup;

    return NGX_OK;
}


/* Not in r->ctx, which internal redirects clear. */

static const ngx_list_t *
ngx_ucan_source_kept(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->main->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_ucan_source_cleanup) {
            return cln->data;
        }
    }

    return &r->main->headers_in.headers;
}


static void
ngx_ucan_source_cleanup(void *data)
{
    /* only marks the entry that ngx_ucan_source_kept() looks for */
    (void) data;
}
