/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * nginx writes the request line into the error log while it still reads the
 * request, before any module sees it ("client sent too long URI").  So where
 * a query may hold a token, each error log of the http block gets a writer
 * before it, which leaves out the value of such an argument wherever it
 * stands in a line.
 *
 * Any process that logs; changes nothing but the line that it is given.
 */


#include "ngx_ucan_conf.h"
#include "ngx_ucan_redact.h"


/* In the configuration's pool. */
typedef struct {
    ngx_log_t           log;          /* what nginx takes in its place */
    ngx_log_t          *original;     /* borrowed from the configuration */
    const ngx_array_t  *names;        /* the same */
} ngx_ucan_redact_log_t;


static void ngx_ucan_redact_writer(ngx_log_t *log, ngx_uint_t level,
    u_char *buf, size_t len);
static size_t ngx_ucan_redact_line(const ngx_array_t *names, u_char *buf,
    size_t len);
static ngx_uint_t ngx_ucan_redact_is_end(u_char c);


ngx_int_t
ngx_ucan_redact_log(ngx_conf_t *cf)
{
    ngx_uint_t                  i;
    ngx_ucan_main_conf_t       *mcf;
    ngx_ucan_redact_log_t      *redact, **item;
    ngx_http_core_loc_conf_t   *clcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ucan_module);
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (mcf->query.names == NULL || clcf->error_log == NULL
        || clcf->error_log->writer == ngx_ucan_redact_writer)
    {
        return NGX_OK;
    }

    if (mcf->query.logs == NULL) {
        mcf->query.logs = ngx_array_create(cf->pool, 2,
                                           sizeof(ngx_ucan_redact_log_t *));
        if (mcf->query.logs == NULL) {
            return NGX_ERROR;
        }
    }

    item = mcf->query.logs->elts;

    for (i = 0; i < mcf->query.logs->nelts; i++) {
        if (item[i]->original == clcf->error_log) {
            clcf->error_log = &item[i]->log;
            return NGX_OK;
        }
    }

    redact = ngx_pcalloc(cf->pool, sizeof(ngx_ucan_redact_log_t));
    item = ngx_array_push(mcf->query.logs);

    if (redact == NULL || item == NULL) {
        return NGX_ERROR;
    }

    redact->original = clcf->error_log;
    redact->names = mcf->query.names;
    redact->log = *clcf->error_log;
    redact->log.writer = ngx_ucan_redact_writer;
    redact->log.wdata = redact;
    redact->log.next = NULL;

    *item = redact;
    clcf->error_log = &redact->log;

    return NGX_OK;
}


void
ngx_ucan_redact_open(ngx_cycle_t *cycle)
{
    ngx_uint_t               i;
    ngx_ucan_main_conf_t    *mcf;
    ngx_ucan_redact_log_t  **item;

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_ucan_module);

    if (mcf == NULL || mcf->query.logs == NULL) {
        return;
    }

    item = mcf->query.logs->elts;

    for (i = 0; i < mcf->query.logs->nelts; i++) {
        item[i]->log.log_level = item[i]->original->log_level;
        item[i]->log.file = item[i]->original->file;
    }
}


/* As ngx_log_error_core() goes on, over the logs behind. */

static void
ngx_ucan_redact_writer(ngx_log_t *log, ngx_uint_t level, u_char *buf,
    size_t len)
{
    ngx_log_t              *next;
    ngx_ucan_redact_log_t  *redact;

    redact = log->wdata;

    len = ngx_ucan_redact_line(redact->names, buf, len);

    for (next = redact->original; next; next = next->next) {

        if (next->log_level < level
            && !(log->log_level & NGX_LOG_DEBUG_CONNECTION))
        {
            break;
        }

        if (next->writer) {
            next->writer(next, level, buf, len);

        } else {
            (void) ngx_write_fd(next->file->fd, buf, len);
        }
    }
}


/* Leaves "name=" and takes out what follows, in place; the new length.  name
   is where an argument begins in what was written already. */

static size_t
ngx_ucan_redact_line(const ngx_array_t *names, u_char *buf, size_t len)
{
    u_char  *p, *last, *dst, *name;

    last = buf + len;
    dst = buf;
    name = NULL;

    for (p = buf; p < last; p++) {

        if (*p == '?' || *p == '&' || *p == ';' || *p == '#') {
            name = dst + 1;

        } else if (ngx_ucan_redact_is_end(*p)) {
            name = NULL;

        } else if (*p == '=' && name) {

            if (ngx_ucan_query_match(names, name, dst - name)) {
                *dst++ = *p++;

                while (p < last && !ngx_ucan_redact_is_end(*p)) {
                    p++;
                }

                if (p == last) {
                    break;
                }

                /* what ended the value may begin a name */

                name = (*p == '&' || *p == ';' || *p == '#') ? dst + 1 : NULL;

            } else {
                name = NULL;
            }
        }

        *dst++ = *p;
    }

    return dst - buf;
}


static ngx_uint_t
ngx_ucan_redact_is_end(u_char c)
{
    return c <= ' ' || c == '"' || c == '&' || c == ';' || c == '#';
}
