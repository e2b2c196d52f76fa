/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Log lines of the writer thread and of pool threads, written by the event
 * loop.  A few lines in fixed memory, under one mutex; when more come than
 * fit between two turns of the loop, the rest is counted.
 */


#include "ngx_mesh_storage_log.h"


static void ngx_mesh_storage_log_write(ngx_log_t *log, int error,
    const char *text);


ngx_int_t
ngx_mesh_storage_log_open(ngx_mesh_storage_log_t *lines, ngx_log_t *log)
{
    lines->loop = pthread_self();
    lines->log = log;
    lines->count = 0;
    lines->dropped = 0;

    return ngx_thread_mutex_create(&lines->mutex, log);
}


ngx_uint_t
ngx_mesh_storage_log_add(ngx_mesh_storage_log_t *lines, int error,
    const char *text)
{
    if (pthread_equal(lines->loop, pthread_self())) {
        ngx_mesh_storage_log_write(lines->log, error, text);
        return 0;
    }

    (void) ngx_thread_mutex_lock(&lines->mutex, lines->log);

    if (lines->count < NGX_MESH_STORAGE_LOG_LINES) {
        lines->lines[lines->count].error = error;
        (void) ngx_cpystrn(lines->lines[lines->count].text, (u_char *) text,
                           NGX_MESH_STORAGE_LOG_LINE_MAX);
        lines->count++;

    } else {
        lines->dropped++;
    }

    (void) ngx_thread_mutex_unlock(&lines->mutex, lines->log);

    return 1;
}


void
ngx_mesh_storage_log_flush(ngx_mesh_storage_log_t *lines)
{
    ngx_uint_t  i;

    (void) ngx_thread_mutex_lock(&lines->mutex, lines->log);

    for (i = 0; i < lines->count; i++) {
        ngx_mesh_storage_log_write(lines->log, lines->lines[i].error,
                                   (char *) lines->lines[i].text);
    }

    if (lines->dropped) {
        ngx_log_error(NGX_LOG_WARN, lines->log, 0,
                      "storage: %ui more lines of the store were dropped",
                      lines->dropped);
    }

    lines->count = 0;
    lines->dropped = 0;

    (void) ngx_thread_mutex_unlock(&lines->mutex, lines->log);
}


void
ngx_mesh_storage_log_close(ngx_mesh_storage_log_t *lines)
{
    ngx_mesh_storage_log_flush(lines);

    (void) ngx_thread_mutex_destroy(&lines->mutex, lines->log);
}


static void
ngx_mesh_storage_log_write(ngx_log_t *log, int error, const char *text)
{
    ngx_uint_t  level;

    level = (error == 0) ? NGX_LOG_WARN : NGX_LOG_ERR;

    ngx_log_error(level, log, (ngx_err_t) error, "%s", text);
}
