/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The storage module: the life of the store and of the wake ring in the
 * workers.  Publishes ngx_mesh_store_t for the other modules; locations with
 * "mesh_storage_api on" are served by ngx_mesh_storage_rest.c.
 *
 * The master and nginx -t only check the configuration, lay out the zone of
 * the ring and make its eventfds: no database is opened before the fork.  A
 * worker that cannot open the store says so once and serves without: its
 * requesters answer 503.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_blob.h"
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "ngx_mesh_storage_caller.h"
#include "ngx_mesh_storage_conf.h"
#include "ngx_mesh_storage_feed.h"
#include "ngx_mesh_storage_indexer.h"
#include "ngx_mesh_storage_keeper.h"
#include "ngx_mesh_wake.h"


#define NGX_HTTP_MESH_STORAGE_HEAP_SPARE  (16 * 1024 * 1024)  /* bytes */
#define NGX_HTTP_MESH_STORAGE_HEAP_LARGE  (2 * 1024 * 1024)   /* bytes */


static ngx_int_t ngx_http_mesh_storage_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_mesh_storage_init_process(ngx_cycle_t *cycle);
static void ngx_http_mesh_storage_heap(void);
static void ngx_http_mesh_storage_exit_process(ngx_cycle_t *cycle);
static ngx_http_mesh_storage_main_conf_t *ngx_http_mesh_storage_serving(
    ngx_cycle_t *cycle);


static ngx_http_module_t  ngx_http_mesh_storage_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_mesh_storage_conf_require,         /* postconfiguration */

    ngx_mesh_storage_conf_create_main,     /* create main configuration */
    ngx_mesh_storage_conf_init_main,       /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_mesh_storage_conf_create_loc,      /* create location configuration */
    ngx_mesh_storage_conf_merge_loc        /* merge location configuration */
};


ngx_module_t  ngx_http_mesh_storage_module = {
    NGX_MODULE_V1,
    &ngx_http_mesh_storage_module_ctx,     /* module context */
    ngx_mesh_storage_conf_commands,        /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_mesh_storage_init_module,     /* init module */
    ngx_http_mesh_storage_init_process,    /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_mesh_storage_exit_process,    /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* Kept by the master over reloads, inherited by workers of all generations;
   -1 is written before the first use. */
ngx_fd_t           ngx_http_mesh_storage_fds[NGX_MESH_ZONE_SLOTS];
static ngx_uint_t  ngx_http_mesh_storage_fds_made;


static ngx_int_t
ngx_http_mesh_storage_init_module(ngx_cycle_t *cycle)
{
    ngx_uint_t                          i;
    ngx_http_mesh_storage_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_mesh_storage_module);

    if (ngx_test_config || mcf == NULL || !mcf->store.configured) {
        return NGX_OK;
    }

    if (!ngx_http_mesh_storage_fds_made) {

        for (i = 0; i < NGX_MESH_ZONE_SLOTS; i++) {
            ngx_http_mesh_storage_fds[i] = NGX_INVALID_FILE;
        }

        ngx_http_mesh_storage_fds_made = 1;
    }

    return ngx_mesh_wake_init(ngx_http_mesh_storage_fds, cycle->log);
}


/* Never fails: a worker that exits here would be started again at once, for
   ever. */
static ngx_int_t
ngx_http_mesh_storage_init_process(ngx_cycle_t *cycle)
{
    ngx_http_mesh_storage_main_conf_t  *mcf;

    mcf = ngx_http_mesh_storage_serving(cycle);

    if (mcf == NULL) {
        return NGX_OK;
    }

    ngx_http_mesh_storage_heap();

    if (ngx_mesh_wake_open(mcf->store.wake, cycle) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                      "storage: this worker cannot tell the others what "
                      "happens in it, nor hear them");
    }

    (void) ngx_mesh_storage_service_open(&mcf->service, cycle);
    ngx_mesh_storage_indexer_open(mcf, cycle);

    ngx_mesh_storage_keeper_open(mcf);

    if (mcf->used) {
        mcf->principal = ngx_mesh_principal_api(cycle);
        mcf->callers = ngx_mesh_storage_caller_init(cycle->pool);

        if (ngx_mesh_storage_feed_open(mcf, cycle) != NGX_OK) {
            ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                          "storage: changes cannot be followed here");
        }

        ngx_mesh_storage_blob_sweep_open(mcf);
    }

    return NGX_OK;
}


/*
 * Jobs take and free pools all the time, often the last ones on the heap.
 * glibc gives memory above 128 kB back at each of them and asks for it again,
 * with a page fault a page: a seventh of a write.  Here some stays.
 */
static void
ngx_http_mesh_storage_heap(void)
{
#ifdef __GLIBC__
    (void) mallopt(M_TRIM_THRESHOLD, NGX_HTTP_MESH_STORAGE_HEAP_SPARE);
    (void) mallopt(M_MMAP_THRESHOLD, NGX_HTTP_MESH_STORAGE_HEAP_LARGE);
#endif
}


static void
ngx_http_mesh_storage_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_mesh_storage_main_conf_t  *mcf;

    mcf = ngx_http_mesh_storage_serving(cycle);

    if (mcf == NULL) {
        return;
    }

    ngx_mesh_storage_indexer_close();
    ngx_mesh_storage_service_close(&mcf->service);
    ngx_mesh_wake_close(mcf->store.wake);
}


/* NULL: no store here.  The cache processes run init_process too. */
static ngx_http_mesh_storage_main_conf_t *
ngx_http_mesh_storage_serving(ngx_cycle_t *cycle)
{
    ngx_http_mesh_storage_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_mesh_storage_module);

    if (mcf == NULL || !mcf->store.configured
        || (ngx_process != NGX_PROCESS_WORKER
            && ngx_process != NGX_PROCESS_SINGLE))
    {
        return NULL;
    }

    return mcf;
}
