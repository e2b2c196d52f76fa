/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Finds the token of a request.  A header that stands twice is refused:
 * somebody before us may have looked at the other one.
 */


#include "ngx_ucan_source.h"


#define NGX_UCAN_SOURCE_SCHEME      "Bearer"
#define NGX_UCAN_SOURCE_SCHEME_LEN  (sizeof(NGX_UCAN_SOURCE_SCHEME) - 1)


static ngx_uint_t ngx_ucan_source_match(ngx_table_elt_t *h, const char *name,
    size_t len);
static bytes_t ngx_ucan_source_trim(ngx_str_t *value);


ngx_int_t
ngx_ucan_source_find(ngx_http_request_t *r, ngx_ucan_source_t *source)
{
    bytes_t           value;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *authorization, *proofs;

    ngx_memzero(source, sizeof(ngx_ucan_source_t));

    authorization = NULL;
    proofs = NULL;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (ngx_ucan_source_match(&h[i], "authorization", 13)) {

                if (authorization) {
                    return NGX_ERROR;
                }

                authorization = &h[i];

            } else if (ngx_ucan_source_match(&h[i], "ucans", 5)) {

                if (proofs) {
                    return NGX_ERROR;
                }

                proofs = &h[i];
            }
        }
    }

    if (authorization == NULL) {
        return NGX_DECLINED;
    }

    value = ngx_ucan_source_trim(&authorization->value);

    if (value.len < NGX_UCAN_SOURCE_SCHEME_LEN
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

    source->token = value;

    if (proofs) {
        source->proofs = ngx_ucan_source_trim(&proofs->value);
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_ucan_source_match(ngx_table_elt_t *h, const char *name, size_t len)
{
    return h->key.len == len
           && ngx_strncasecmp(h->key.data, (u_char *) name, len) == 0;
}


/* Blanks at both ends are no part of a field (RFC 9110, 5.5). */

static bytes_t
ngx_ucan_source_trim(ngx_str_t *value)
{
    bytes_t  b;

    b = bytes_make(value->data, value->len);

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
