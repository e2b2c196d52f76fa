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


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_thread_pool.h>

#include "ngx_mesh_principal.h"
#include "ngx_ucan_cache.h"
#include "ngx_ucan_edge.h"
#include "ngx_ucan_metric.h"
#include "ngx_ucan_revocation_file.h"
#include "ngx_ucan_query.h"


#define NGX_UCAN_CONF_OFF       0
#define NGX_UCAN_CONF_ON        1
#define NGX_UCAN_CONF_OPTIONAL  2


typedef struct {
    ngx_mesh_principal_api_t  *api;         /* first: ngx_mesh_published() */
    ngx_shm_zone_t            *revocation_zone;    /* NULL: none */
    ngx_ucan_revocation_file_t  *revocation_file;  /* the same */
    ngx_uint_t                 proofs_used;        /* a location wants them */
    ngx_ucan_metric_conf_t     metric;
    ngx_ucan_query_main_conf_t query;

    ngx_shm_zone_t            *seal_zone;   /* good signatures; NULL: none */
    ngx_shm_zone_t            *replay_zone; /* used invocations; the same */
    ngx_uint_t                 store_used;  /* 1: a directive needs it */
    ngx_ucan_cache_t          *cache;       /* of this worker; or NULL */
    ngx_uint_t                 cache_entries;
    size_t                     cache_bytes;
    ngx_thread_pool_t         *thread_pool; /* "default"; NULL: none */
    ngx_uint_t                 used;        /* 1: "ucan" is on somewhere */
    ngx_int_t                  leeway_max;  /* seconds, of all locations */
} ngx_ucan_main_conf_t;


typedef struct {
    ngx_uint_t       enable;
    ngx_array_t     *audiences;             /* of bytes_t; NULL: none */
    ngx_array_t     *anchors;               /* the same; NULL: audiences */
    ngx_array_t     *requirements;          /* ngx_ucan_require; NULL: none */
    ngx_ucan_edge_conf_t  edge;
    ngx_int_t        leeway;                /* seconds */
    ngx_int_t        session_max;           /* seconds */
    ngx_int_t        token_size;            /* bytes */
    ngx_int_t        token_count;
    ngx_int_t        depth;
    ngx_int_t        inflated_size;         /* bytes */

    ngx_uint_t       replay;                /* NGX_UCAN_ONCE_... */
    ngx_flag_t       cache;
    ngx_int_t        inline_max;            /* signatures on the event loop */
    ngx_flag_t       proofs;                /* missing ones are looked up */
    ngx_thread_pool_t  *thread_pool;        /* NULL: "default" if there is */
    ngx_uint_t       thread_off;            /* 1: none at all */

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

/* After all was merged: the zones that no directive named. */
ngx_int_t ngx_ucan_conf_init(ngx_conf_t *cf);

/* What a worker has of its own.  NGX_OK, NGX_ERROR: out of memory. */
ngx_int_t ngx_ucan_conf_init_process(ngx_cycle_t *cycle);

/* The pool for signatures of a location, or NULL. */
ngx_thread_pool_t *ngx_ucan_conf_thread_pool(
    const ngx_ucan_main_conf_t *mcf, const ngx_ucan_loc_conf_t *lcf);

/* "ucan on | optional | off". */
char *ngx_ucan_conf_enable_slot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* "ucan_revocation_zone NAME:SIZE". */
char *ngx_ucan_conf_revocation_slot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* "ucan_replay_zone NAME:SIZE". */
char *ngx_ucan_conf_replay_zone_slot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* "ucan_cache_zone NAME:SIZE [entries=N] [memory=SIZE]". */
char *ngx_ucan_conf_cache_zone_slot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* "ucan_thread_pool NAME | off". */
char *ngx_ucan_conf_thread_pool_slot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* Parses "NAME:SIZE" of value[1]; size_min and size in bytes.  NGX_OK,
   NGX_ERROR: it is none, or too small. */
ngx_int_t ngx_ucan_conf_zone_parse(ngx_str_t *text, size_t size_min,
    ngx_str_t *name, ssize_t *size);

/* A zone of this module; NULL: refused, which is logged. */
ngx_shm_zone_t *ngx_ucan_conf_zone_add(ngx_conf_t *cf, ngx_str_t *name,
    size_t size, ngx_shm_zone_init_pt init);


#endif /* _NGX_UCAN_CONF_H_INCLUDED_ */
