/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Conditions of a request (RFC 9110, 13), preferences (RFC 7240) and the time
 * to live, read from the header lines once.  Event loop only; decides
 * nothing: the store compares seqs in its transaction.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_condition.h"


static const char *ngx_mesh_storage_condition_match(
    ngx_mesh_storage_rest_t *rest, ngx_str_t *value);
static void ngx_mesh_storage_condition_prefer(ngx_mesh_storage_rest_t *rest,
    ngx_str_t *value);
static const char *ngx_mesh_storage_condition_expires(
    ngx_mesh_storage_rest_t *rest, ngx_str_t *value);


const char *
ngx_mesh_storage_condition_parse(ngx_mesh_storage_rest_t *rest)
{
    ngx_uint_t           i;
    const char          *fault;
    ngx_list_part_t     *part;
    ngx_table_elt_t     *h;
    ngx_http_headers_in_t  *in;

    in = &rest->r->headers_in;
    fault = NULL;

    if (in->if_match && in->if_none_match) {
        return "If-Match and If-None-Match exclude each other";
    }

    if (in->if_match) {
        fault = ngx_mesh_storage_condition_match(rest, &in->if_match->value);

    } else if (in->if_none_match) {

        if (in->if_none_match->value.len != 1
            || in->if_none_match->value.data[0] != '*')
        {
            return "If-None-Match of a write must be \"*\"";
        }

        rest->condition = STORE_IF_ABSENT;
    }

    for (part = &in->headers.part; part && fault == NULL; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts && fault == NULL; i++) {

            if (h[i].key.len == sizeof("prefer") - 1
                && ngx_strncmp(h[i].lowcase_key, "prefer", 6) == 0)
            {
                ngx_mesh_storage_condition_prefer(rest, &h[i].value);

            } else if (h[i].key.len == sizeof("expires-after") - 1
                       && ngx_strncmp(h[i].lowcase_key, "expires-after", 13)
                          == 0)
            {
                fault = ngx_mesh_storage_condition_expires(rest,
                                                           &h[i].value);
            }
        }
    }

    return fault;
}


static const char *
ngx_mesh_storage_condition_match(ngx_mesh_storage_rest_t *rest,
    ngx_str_t *value)
{
    if (value->len == 1 && value->data[0] == '*') {
        rest->condition = STORE_IF_PRESENT;
        return NULL;
    }

    if (ngx_strlchr(value->data, value->data + value->len, ',')) {
        return "If-Match must hold one ETag or \"*\"";
    }

    /* a weak tag or another text: strong comparison, no item has it */

    rest->condition = STORE_IF_SEQ;
    rest->if_seq = ngx_mesh_storage_condition_seq(value->data, value->len);

    return NULL;
}


uint64_t
ngx_mesh_storage_condition_seq(u_char *p, size_t len)
{
    off_t  n;

    if (len < 3 || p[0] != '"' || p[len - 1] != '"' || p[1] == '0') {
        return NGX_MESH_STORAGE_CONDITION_NEVER;
    }

    n = ngx_atoof(p + 1, len - 2);

    return n < 1 ? NGX_MESH_STORAGE_CONDITION_NEVER : (uint64_t) n;
}


ngx_uint_t
ngx_mesh_storage_condition_has(ngx_str_t *list, uint64_t seq)
{
    u_char  *p, *last, *tag;

    p = list->data;
    last = list->data + list->len;

    if (list->len == 1 && *p == '*') {
        return 1;
    }

    while (p < last) {

        while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
            p++;
        }

        /* weak comparison */

        if (last - p > 2 && p[0] == 'W' && p[1] == '/') {
            p += 2;
        }

        if (p == last || *p != '"') {
            return 0;
        }

        tag = p++;

        while (p < last && *p != '"') {
            p++;
        }

        if (p == last) {
            return 0;
        }

        p++;

        if (ngx_mesh_storage_condition_seq(tag, p - tag) == seq) {
            return 1;
        }
    }

    return 0;
}


static void
ngx_mesh_storage_condition_prefer(ngx_mesh_storage_rest_t *rest,
    ngx_str_t *value)
{
    size_t   len;
    u_char  *p, *last, *start;

    p = value->data;
    last = value->data + value->len;

    while (p < last) {

        while (p < last && (*p == ' ' || *p == ',' || *p == ';')) {
            p++;
        }

        for (start = p; p < last && *p != ',' && *p != ';'; p++) {
            /* void */
        }

        for (len = p - start; len && start[len - 1] == ' '; len--) {
            /* void */
        }

        /* the first one counts (RFC 7240, 2) */

        if (rest->minimal || rest->representation) {
            return;
        }

        if (len == sizeof("return=minimal") - 1
            && ngx_strncasecmp(start, (u_char *) "return=minimal", len) == 0)
        {
            rest->minimal = 1;

        } else if (len == sizeof("return=representation") - 1
                   && ngx_strncasecmp(start,
                                      (u_char *) "return=representation",
                                      len)
                      == 0)
        {
            rest->representation = 1;
        }
    }
}


static const char *
ngx_mesh_storage_condition_expires(ngx_mesh_storage_rest_t *rest,
    ngx_str_t *value)
{
    off_t        n;
    ngx_time_t  *tp;

    n = ngx_atoof(value->data, value->len);

    if (n < 1 || n > NGX_MESH_STORAGE_CONDITION_TIME_MAX
        || rest->expires_ms != 0)
    {
        return "Expires-After must be a number of seconds from 1 to "
               "315360000, once";
    }

    tp = ngx_timeofday();

    rest->expires_ms = ((int64_t) tp->sec + n) * 1000 + tp->msec;

    return NULL;
}
