/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Log lines of threads that are not nginx's: kept until the event loop
 * writes them, since nginx's log (its clock, its writers to syslog) belongs
 * to the loop.
 */


#ifndef _NGX_MESH_STORAGE_LOG_H_INCLUDED_
#define _NGX_MESH_STORAGE_LOG_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_MESH_STORAGE_LOG_LINES     16     /* kept, further are counted */
#define NGX_MESH_STORAGE_LOG_LINE_MAX  1024   /* bytes */


typedef struct {
    ngx_thread_mutex_t   mutex;         /* guards count, dropped, lines */
    pthread_t            loop;          /* the thread that may log */
    ngx_log_t           *log;
    ngx_uint_t           count;
    ngx_uint_t           dropped;
    struct {
        int              error;         /* errno; 0: none */
        u_char           text[NGX_MESH_STORAGE_LOG_LINE_MAX];
    } lines[NGX_MESH_STORAGE_LOG_LINES];
} ngx_mesh_storage_log_t;


/* From the event loop.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_mesh_storage_log_open(ngx_mesh_storage_log_t *lines,
    ngx_log_t *log);

/* From any thread.  1: a line waits, the loop has to be woken. */
ngx_uint_t ngx_mesh_storage_log_add(ngx_mesh_storage_log_t *lines, int error,
    const char *text);

/* From the event loop: writes what waits. */
void ngx_mesh_storage_log_flush(ngx_mesh_storage_log_t *lines);

/* The lines still there are written; no thread may add any more. */
void ngx_mesh_storage_log_close(ngx_mesh_storage_log_t *lines);


#endif /* _NGX_MESH_STORAGE_LOG_H_INCLUDED_ */
