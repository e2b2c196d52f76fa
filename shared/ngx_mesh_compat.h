/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * nginx 1.22 to mainline: every difference of versions, and nothing else.
 */


#ifndef _NGX_MESH_COMPAT_H_INCLUDED_
#define _NGX_MESH_COMPAT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* 1.23.0: ngx_table_elt_t became a linked list; ngx_list_push() does not
   zero what it gives. */
static ngx_inline void
ngx_mesh_compat_header(ngx_table_elt_t *h)
{
#if (nginx_version >= 1023000)
    h->next = NULL;
#else
    (void) h;
#endif
}


/* 1.23.0: cookies are a linked list, an array of pointers before.  Puts
   another header (in r->pool) in the place of one of them, NULL: nothing. */
static ngx_inline void
ngx_mesh_compat_cookie(ngx_http_request_t *r, ngx_table_elt_t *old,
    ngx_table_elt_t *h)
{
#if (nginx_version >= 1023000)
    ngx_table_elt_t  **p;

    for (p = &r->headers_in.cookie; *p; p = &(*p)->next) {

        if (*p == old) {

            if (h) {
                h->next = old->next;
            }

            *p = h ? h : old->next;
            break;
        }
    }
#else
    ngx_uint_t         i, n;
    ngx_table_elt_t  **cookies;

    cookies = r->headers_in.cookies.elts;

    for (i = 0, n = 0; i < r->headers_in.cookies.nelts; i++) {

        if (cookies[i] != old) {
            cookies[n++] = cookies[i];

        } else if (h) {
            cookies[n++] = h;
        }
    }

    r->headers_in.cookies.nelts = n;
#endif
}


/* 1.25.4: a request may be marked terminated while work is pending. */
static ngx_inline ngx_uint_t
ngx_mesh_compat_terminated(ngx_http_request_t *r)
{
#if (nginx_version >= 1025004)
    return r->main->terminated;
#else
    (void) r;
    return 0;
#endif
}


#endif /* _NGX_MESH_COMPAT_H_INCLUDED_ */
