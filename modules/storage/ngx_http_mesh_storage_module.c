/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The storage module: directives, and the life of the store and of the wake
 * ring in the workers.  Publishes ngx_mesh_store_t for the other modules.
 *
 * The master and nginx -t only check the configuration, lay out the zone of
 * the ring and make its eventfds: no database is opened before the fork.  A
 * worker that cannot open the store says so once and serves without: its
 * requesters answer 503.  No HTTP handler here yet.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_conf.h"
#include "ngx_mesh_storage.h"
#include "ngx_mesh_wake.h"


#define NGX_HTTP_MESH_STORAGE_READERS_MAX  64
#define NGX_HTTP_MESH_STORAGE_QUEUE_MAX    65536
#define NGX_HTTP_MESH_STORAGE_CACHE_MIN    (256 * 1024)
#define NGX_HTTP_MESH_STORAGE_SIZE_MAX     (1024 * 1024 * 1024)


static void *ngx_http_mesh_storage_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_mesh_storage_init_main_conf(ngx_conf_t *cf,
    void *conf);
static char *ngx_http_mesh_storage_path(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_mesh_storage_thread_pool(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static ngx_int_t ngx_http_mesh_storage_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_mesh_storage_init_process(ngx_cycle_t *cycle);
static void ngx_http_mesh_storage_exit_process(ngx_cycle_t *cycle);
static ngx_uint_t ngx_http_mesh_storage_serves(void);


static ngx_conf_enum_t  ngx_http_mesh_storage_durabilities[] = {
    { ngx_string("normal"), 0 },
    { ngx_string("full"), 1 },
    { ngx_null_string, 0 }
};


static ngx_mesh_conf_number_t  ngx_http_mesh_storage_readers = {
    NGX_MESH_CONF_COUNT, 1, NGX_HTTP_MESH_STORAGE_READERS_MAX,
    "a number from 1 to 64"
};


static ngx_mesh_conf_number_t  ngx_http_mesh_storage_queue = {
    NGX_MESH_CONF_COUNT, 1, NGX_HTTP_MESH_STORAGE_QUEUE_MAX,
    "a number from 1 to 65536"
};


static ngx_mesh_conf_number_t  ngx_http_mesh_storage_cache_size = {
    NGX_MESH_CONF_SIZE, NGX_HTTP_MESH_STORAGE_CACHE_MIN,
    NGX_HTTP_MESH_STORAGE_SIZE_MAX,
    "a size from 256k to 1g"
};


static ngx_mesh_conf_number_t  ngx_http_mesh_storage_wake_size = {
    NGX_MESH_CONF_SIZE, NGX_MESH_WAKE_SIZE_MIN,
    NGX_HTTP_MESH_STORAGE_SIZE_MAX,
    "a size from 4m to 1g"
};


static ngx_command_t  ngx_http_mesh_storage_commands[] = {

    { ngx_string("mesh_storage"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_mesh_storage_path,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mesh_storage_thread_pool"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_mesh_storage_thread_pool,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mesh_storage_readers"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_mesh_storage_main_conf_t, readers),
      &ngx_http_mesh_storage_readers },

    { ngx_string("mesh_storage_queue"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_mesh_storage_main_conf_t, queue),
      &ngx_http_mesh_storage_queue },

    { ngx_string("mesh_storage_cache_size"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_mesh_storage_main_conf_t, cache_size),
      &ngx_http_mesh_storage_cache_size },

    { ngx_string("mesh_storage_durability"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_mesh_storage_main_conf_t, durability),
      &ngx_http_mesh_storage_durabilities },

    { ngx_string("mesh_storage_wake_size"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_mesh_storage_main_conf_t, wake_size),
      &ngx_http_mesh_storage_wake_size },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_mesh_storage_module_ctx = {
    NULL,                                    /* preconfiguration */
    NULL,                                    /* postconfiguration */

    ngx_http_mesh_storage_create_main_conf,  /* create main configuration */
    ngx_http_mesh_storage_init_main_conf,    /* init main configuration */

    NULL,                                    /* create server configuration */
    NULL,                                    /* merge server configuration */

    NULL,                                    /* create location conf. */
    NULL                                     /* merge location conf. */
};


ngx_module_t  ngx_http_mesh_storage_module = {
    NGX_MODULE_V1,
    &ngx_http_mesh_storage_module_ctx,         /* module context */
    ngx_http_mesh_storage_commands,            /* module directives */
    NGX_HTTP_MODULE,                           /* module type */
    NULL,                                    /* init master */
    ngx_http_mesh_storage_init_module,       /* init module */
    ngx_http_mesh_storage_init_process,      /* init process */
    NULL,                                    /* init thread */
    NULL,                                      /* exit thread */
    ngx_http_mesh_storage_exit_process,        /* exit process */
    NULL,                                      /* exit master */
    NGX_MODULE_V1_PADDING
};


/* Kept by the master over reloads, inherited by workers of all generations;
   -1 is written before the first use. */
static ngx_fd_t    ngx_http_mesh_storage_fds[NGX_MESH_ZONE_SLOTS];
static ngx_uint_t  ngx_http_mesh_storage_fds_made;


static void *
ngx_http_mesh_storage_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_mesh_storage_main_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_mesh_storage_main_conf_t));

    if (mcf == NULL) {
        return NULL;
    }

    mcf->thread_pool = NGX_CONF_UNSET_PTR;
    mcf->readers = NGX_CONF_UNSET;
    mcf->queue = NGX_CONF_UNSET;
    mcf->cache_size = NGX_CONF_UNSET;
    mcf->wake_size = NGX_CONF_UNSET;
    mcf->durability = NGX_CONF_UNSET_UINT;

    ngx_mesh_storage_service_publish(&mcf->service, &mcf->store);
    mcf->published = &mcf->store;

    return mcf;
}


static char *
ngx_http_mesh_storage_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_str_t                           name;
    ngx_mesh_storage_service_t         *service;
    ngx_http_mesh_storage_main_conf_t  *mcf = conf;

    if (mcf->path.len == 0) {
        return NGX_CONF_OK;
    }

    ngx_conf_init_ptr_value(mcf->thread_pool, NULL);
    ngx_conf_init_value(mcf->readers, 4);
    ngx_conf_init_value(mcf->queue, 4096);
    ngx_conf_init_value(mcf->cache_size, 16 * 1024 * 1024);
    ngx_conf_init_value(mcf->wake_size, 8 * 1024 * 1024);
    ngx_conf_init_uint_value(mcf->durability, 1);

    if (mcf->thread_pool == NULL) {
        mcf->thread_pool = ngx_thread_pool_add(cf, NULL);

        if (mcf->thread_pool == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    ngx_str_set(&name, "mesh_storage_wake");
    mcf->store.wake = ngx_mesh_wake_create(cf, &name,
                                           (size_t) mcf->wake_size,
                                           &ngx_http_mesh_storage_module,
                                           ngx_http_mesh_storage_fds);

    if (mcf->store.wake == NULL) {
        return NGX_CONF_ERROR;
    }

    service = &mcf->service;
    service->adapter = &store_sqlite;
    service->thread_pool = mcf->thread_pool;
    service->fd = -1;

    service->config.path = (char *) mcf->path.data;
    service->config.readers_max = (size_t) mcf->readers;
    service->config.queue_max = (size_t) mcf->queue;
    service->config.cache_bytes = (size_t) mcf->cache_size;
    service->config.durable = (int) mcf->durability;
    service->config.migrate = 1;

    return NGX_CONF_OK;
}


/* The folder must be there; whether a worker may write to it is seen when it
   opens the store, as its own user. */
static char *
ngx_http_mesh_storage_path(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char                             *p;
    ngx_str_t                          *value, path, folder;
    ngx_file_info_t                     fi;
    ngx_http_mesh_storage_main_conf_t  *mcf = conf;

    if (mcf->path.len) {
        return "is duplicate";
    }

    value = cf->args->elts;
    path = value[1];

    if (path.len == 0 || path.data[path.len - 1] == '/') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"mesh_storage\" must name a file, not \"%V\": "
                           "write for example \"data/mesh.db\"", &path);
        return NGX_CONF_ERROR;
    }

    if (ngx_conf_full_name(cf->cycle, &path, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    for (p = path.data + path.len; p[-1] != '/'; p--) { /* void */ }

    folder.len = p - path.data;
    folder.data = ngx_pnalloc(cf->temp_pool, folder.len + 1);

    if (folder.data == NULL) {
        return NGX_CONF_ERROR;
    }

    (void) ngx_cpystrn(folder.data, path.data, folder.len + 1);

    if (ngx_file_info(folder.data, &fi) == NGX_FILE_ERROR
        || !ngx_is_dir(&fi))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"mesh_storage\" names a file in \"%V\", which is "
                           "no folder: make it, writable by the workers",
                           &folder);
        return NGX_CONF_ERROR;
    }

    if (ngx_file_info(path.data, &fi) != NGX_FILE_ERROR
        && !ngx_is_file(&fi))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"mesh_storage\" must name a file, \"%V\" is not "
                           "one", &path);
        return NGX_CONF_ERROR;
    }

    mcf->path = path;
    mcf->store.configured = 1;

    return NGX_CONF_OK;
}


static char *
ngx_http_mesh_storage_thread_pool(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_str_t                          *value;
    ngx_http_mesh_storage_main_conf_t  *mcf = conf;

    if (mcf->thread_pool != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    /* a name that no "thread_pool" declares is refused by nginx itself */

    mcf->thread_pool = ngx_thread_pool_add(cf, &value[1]);

    return mcf->thread_pool ? NGX_CONF_OK : NGX_CONF_ERROR;
}


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

    mcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_mesh_storage_module);

    if (mcf == NULL || !mcf->store.configured
        || !ngx_http_mesh_storage_serves())
    {
        return NGX_OK;
    }

    if (ngx_mesh_wake_open(mcf->store.wake, cycle) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                      "storage: this worker cannot tell the others what "
                      "happens in it, nor hear them");
    }

    (void) ngx_mesh_storage_service_open(&mcf->service, cycle);

    return NGX_OK;
}


static void
ngx_http_mesh_storage_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_mesh_storage_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_mesh_storage_module);

    if (mcf == NULL || !mcf->store.configured
        || !ngx_http_mesh_storage_serves())
    {
        return;
    }

    ngx_mesh_storage_service_close(&mcf->service);
    ngx_mesh_wake_close(mcf->store.wake);
}


/* The cache processes run init_process too. */
static ngx_uint_t
ngx_http_mesh_storage_serves(void)
{
    return ngx_process == NGX_PROCESS_WORKER
           || ngx_process == NGX_PROCESS_SINGLE;
}
