/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The configuration of the ucan module: written while nginx reads its files,
 * only read at request time.
 */


#ifndef _NGX_UCAN_CONF_H_INCLUDED_
#define _NGX_UCAN_CONF_H_INCLUDED_


#include "ngx_mesh_principal.h"
#include "ngx_ucan_metric.h"


#define NGX_UCAN_CONF_OFF       0
#define NGX_UCAN_CONF_ON        1
#define NGX_UCAN_CONF_OPTIONAL  2


typedef struct {
    ngx_mesh_principal_api_t  *api;         /* first: ngx_mesh_published() */
    ngx_shm_zone_t            *revocation_zone;    /* NULL: none */
    ngx_ucan_metric_conf_t     metric;
} ngx_ucan_main_conf_t;


typedef struct {
    ngx_uint_t       enable;
    ngx_array_t     *audiences;             /* of bytes_t; NULL: none */
    ngx_array_t     *anchors;               /* the same; NULL: audiences */
    ngx_array_t     *requirements;          /* ngx_ucan_require; NULL: none */
    ngx_int_t        leeway;                /* seconds */
    ngx_int_t        session_max;           /* seconds */
    ngx_int_t        token_size;            /* bytes */
    ngx_int_t        token_count;
    ngx_int_t        depth;
    ngx_int_t        inflated_size;         /* bytes */

    /* compiled; the parent's when nothing it is made of differs; NULL: no
       audience was named */
    ucan_trust_t    *trust;

    ngx_str_t        audience;              /* the first one, for others */
} ngx_ucan_loc_conf_t;


extern ngx_module_t  ngx_http_ucan_module;


/* As nginx's module context wants them. */
void *ngx_ucan_conf_create_main(ngx_conf_t *cf);
void *ngx_ucan_conf_create_loc(ngx_conf_t *cf);
char *ngx_ucan_conf_merge_loc(ngx_conf_t *cf, void *parent, void *child);

/* "ucan on | optional | off". */
char *ngx_ucan_conf_enable_slot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* "ucan_revocation_zone NAME:SIZE". */
char *ngx_ucan_conf_revocation_slot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#endif /* _NGX_UCAN_CONF_H_INCLUDED_ */
