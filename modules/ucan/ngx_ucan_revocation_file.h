/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * A list of revocations that an operator ships as a file.  What it says now
 * holds: a line that is gone holds no more, unless the same revocation also
 * came another way.
 */


#ifndef _NGX_UCAN_REVOCATION_FILE_H_INCLUDED_
#define _NGX_UCAN_REVOCATION_FILE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_UCAN_REVOCATION_FILE_MAX    (4 * 1024 * 1024)    /* bytes */
#define NGX_UCAN_REVOCATION_LINE_MAX    32768                /* bytes */
#define NGX_UCAN_REVOCATION_FILE_LOOK   500                  /* ms */


typedef struct ngx_ucan_revocation_file_s  ngx_ucan_revocation_file_t;


/* "ucan_revocation_file PATH", http.  Reads and judges the file: a bad line
   is an error that names it. */
char *ngx_ucan_revocation_file_slot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* In the master, when the zone stands: what the file says is in it before a
   worker starts; without a file (NULL) what one said is dropped.  NGX_OK,
   NGX_ERROR: it does not fit (logged). */
ngx_int_t ngx_ucan_revocation_file_load(ngx_shm_zone_t *zone,
    ngx_ucan_revocation_file_t *file);

/* In a worker: the first one looks for changes from now on. */
void ngx_ucan_revocation_file_watch(ngx_cycle_t *cycle, ngx_shm_zone_t *zone,
    ngx_ucan_revocation_file_t *file);


#endif /* _NGX_UCAN_REVOCATION_FILE_H_INCLUDED_ */
