/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Directives of the storage module, checked when nginx reads its
 * configuration: in the master at start and reload, and under "nginx -t".
 * Opens no store.  Those that name files are in ngx_mesh_storage_conf_path.c.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <sodium.h>

#include "ngx_mesh_conf.h"
#include "ngx_mesh_storage_conf_path.h"
#include "ngx_mesh_storage_rest.h"
#include "ngx_mesh_wake.h"


#define NGX_MESH_STORAGE_CONF_SIZE_MAX   (1024 * 1024 * 1024)
#define NGX_MESH_STORAGE_CONF_BYTES_MAX  ((off_t) 1 << 50)
#define NGX_MESH_STORAGE_CONF_UNSET      ((uint64_t) -1)


static char *ngx_mesh_storage_conf_thread_pool(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_mesh_storage_conf_api(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_mesh_storage_conf_blob_size(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_mesh_storage_conf_quota(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_mesh_storage_conf_init_adapter(ngx_conf_t *cf,
    ngx_http_mesh_storage_main_conf_t *mcf);
static ngx_int_t ngx_mesh_storage_conf_init_paths(ngx_conf_t *cf,
    ngx_http_mesh_storage_main_conf_t *mcf);


static ngx_conf_enum_t  ngx_mesh_storage_conf_durabilities[] = {
    { ngx_string("normal"), 0 },
    { ngx_string("full"), 1 },
    { ngx_null_string, 0 }
};


static ngx_mesh_conf_number_t  ngx_mesh_storage_conf_readers = {
    NGX_MESH_CONF_COUNT, 1, 64, "a number from 1 to 64"
};


static ngx_mesh_conf_number_t  ngx_mesh_storage_conf_queue = {
    NGX_MESH_CONF_COUNT, 1, 65536, "a number from 1 to 65536"
};


static ngx_mesh_conf_number_t  ngx_mesh_storage_conf_cache_size = {
    NGX_MESH_CONF_SIZE, 256 * 1024, NGX_MESH_STORAGE_CONF_SIZE_MAX,
    "a size from 256k to 1g"
};


static ngx_mesh_conf_number_t  ngx_mesh_storage_conf_wake_size = {
    NGX_MESH_CONF_SIZE, NGX_MESH_WAKE_SIZE_MIN,
    NGX_MESH_STORAGE_CONF_SIZE_MAX, "a size from 4m to 1g"
};


static ngx_mesh_conf_number_t  ngx_mesh_storage_conf_changes_time = {
    NGX_MESH_CONF_SECONDS, 0, NGX_MESH_STORAGE_CONF_PATH_TIME_MAX,
    "a time from 0 (for ever) to 3650d"
};


static ngx_mesh_conf_number_t  ngx_mesh_storage_conf_mongo_threads = {
    NGX_MESH_CONF_COUNT, 1, 64, "a number from 1 to 64"
};


static ngx_mesh_conf_number_t  ngx_mesh_storage_conf_value_size = {
    NGX_MESH_CONF_SIZE, 1, 1024 * 1024, "a size from 1 to 1m"
};


static ngx_mesh_conf_number_t  ngx_mesh_storage_conf_body_size = {
    NGX_MESH_CONF_SIZE, 1024, 64 * 1024 * 1024, "a size from 1k to 64m"
};


static ngx_mesh_conf_number_t  ngx_mesh_storage_conf_time = {
    NGX_MESH_CONF_SECONDS, 1, 30 * 24 * 3600, "a time from 1s to 30d"
};


static ngx_mesh_conf_number_t  ngx_mesh_storage_conf_feeds = {
    NGX_MESH_CONF_COUNT, 1, 1024, "a number from 1 to 1024"
};


ngx_command_t  ngx_mesh_storage_conf_commands[] = {

    { ngx_string("mesh_storage"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_mesh_storage_conf_path_store,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mesh_storage_thread_pool"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_mesh_storage_conf_thread_pool,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mesh_storage_readers"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_mesh_storage_main_conf_t, readers),
      &ngx_mesh_storage_conf_readers },

    { ngx_string("mesh_storage_queue"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_mesh_storage_main_conf_t, queue),
      &ngx_mesh_storage_conf_queue },

    { ngx_string("mesh_storage_cache_size"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_mesh_storage_main_conf_t, cache_size),
      &ngx_mesh_storage_conf_cache_size },

    { ngx_string("mesh_storage_durability"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_mesh_storage_main_conf_t, durability),
      &ngx_mesh_storage_conf_durabilities },

    { ngx_string("mesh_storage_wake_size"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_mesh_storage_main_conf_t, wake_size),
      &ngx_mesh_storage_conf_wake_size },

    { ngx_string("mesh_storage_changes_time"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_mesh_storage_main_conf_t, changes_time),
      &ngx_mesh_storage_conf_changes_time },

    { ngx_string("mesh_storage_mongo"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_mesh_storage_conf_path_mongo,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mesh_storage_mongo_threads"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_mesh_storage_main_conf_t, mongo_threads),
      &ngx_mesh_storage_conf_mongo_threads },

    { ngx_string("mesh_storage_blobs"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_mesh_storage_conf_path_blobs,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mesh_storage_search"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_mesh_storage_conf_path_search,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mesh_storage_backups"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE123,
      ngx_mesh_storage_conf_path_backups,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mesh_storage_cursor_key"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_mesh_storage_conf_path_cursor_key,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mesh_storage_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_mesh_storage_conf_api,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_storage_loc_conf_t, api),
      NULL },

    { ngx_string("mesh_storage_value_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_storage_loc_conf_t, value_size),
      &ngx_mesh_storage_conf_value_size },

    { ngx_string("mesh_storage_body_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_storage_loc_conf_t, body_size),
      &ngx_mesh_storage_conf_body_size },

    { ngx_string("mesh_storage_blob_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_mesh_storage_conf_blob_size,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mesh_storage_upload_time"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_storage_loc_conf_t, upload_time),
      &ngx_mesh_storage_conf_time },

    { ngx_string("mesh_storage_once_time"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_storage_loc_conf_t, once_time),
      &ngx_mesh_storage_conf_time },

    { ngx_string("mesh_storage_feeds"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_storage_loc_conf_t, feeds),
      &ngx_mesh_storage_conf_feeds },

    { ngx_string("mesh_storage_quota"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_mesh_storage_conf_quota,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mesh_storage_host"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_mesh_origin_host_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_storage_loc_conf_t, origin),
      NULL },

    { ngx_string("mesh_storage_origin"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_mesh_origin_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_storage_loc_conf_t, origin),
      NULL },

      ngx_null_command
};


static char *
ngx_mesh_storage_conf_thread_pool(ngx_conf_t *cf, ngx_command_t *cmd,
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


/* "mesh_storage_api on|off" */
static char *
ngx_mesh_storage_conf_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                               *rv;
    ngx_http_core_loc_conf_t           *clcf;
    ngx_http_mesh_storage_loc_conf_t   *lcf = conf;
    ngx_http_mesh_storage_main_conf_t  *mcf;

    rv = ngx_conf_set_flag_slot(cf, cmd, conf);

    if (rv != NGX_CONF_OK || lcf->api == 0) {
        return rv;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    mcf = ngx_http_conf_get_module_main_conf(cf,
                                             ngx_http_mesh_storage_module);

    clcf->handler = ngx_mesh_storage_rest_handler;
    mcf->used = 1;

    return NGX_CONF_OK;
}


static char *
ngx_mesh_storage_conf_blob_size(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    off_t                              size;
    ngx_str_t                         *value;
    ngx_http_mesh_storage_loc_conf_t  *lcf = conf;

    if (lcf->blob_size != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;
    size = ngx_parse_offset(&value[1]);

    if (size < 1 || size > NGX_MESH_STORAGE_CONF_BYTES_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"mesh_storage_blob_size\" needs a size from 1 "
                           "to 1048576g, not \"%V\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    lcf->blob_size = size;

    return NGX_CONF_OK;
}


/* "mesh_storage_quota [items=N] [bytes=SIZE]"; 0: no limit */
static char *
ngx_mesh_storage_conf_quota(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    off_t                              n;
    uint64_t                          *field;
    ngx_str_t                         *value, text;
    ngx_uint_t                         i;
    ngx_http_mesh_storage_loc_conf_t  *lcf = conf;

    if (lcf->quota.items != NGX_MESH_STORAGE_CONF_UNSET
        || lcf->quota.bytes != NGX_MESH_STORAGE_CONF_UNSET)
    {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        field = NULL;
        n = NGX_ERROR;

        if (ngx_strncmp(value[i].data, "items=", 6) == 0) {
            field = &lcf->quota.items;
            n = ngx_atoof(value[i].data + 6, value[i].len - 6);

        } else if (ngx_strncmp(value[i].data, "bytes=", 6) == 0) {
            text.data = value[i].data + 6;
            text.len = value[i].len - 6;
            field = &lcf->quota.bytes;
            n = ngx_parse_offset(&text);
        }

        if (field == NULL || n < 0 || n > NGX_MESH_STORAGE_CONF_BYTES_MAX
            || *field != NGX_MESH_STORAGE_CONF_UNSET)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"mesh_storage_quota\" needs \"items=N\", "
                               "\"bytes=SIZE\" or both, each once and 0 for "
                               "no limit, not \"%V\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        *field = (uint64_t) n;
    }

    return NGX_CONF_OK;
}


void *
ngx_mesh_storage_conf_create_main(ngx_conf_t *cf)
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
    mcf->changes_time = NGX_CONF_UNSET;
    mcf->mongo_threads = NGX_CONF_UNSET;

    ngx_mesh_storage_service_publish(&mcf->service, &mcf->store);
    mcf->published = &mcf->store;

    return mcf;
}


char *
ngx_mesh_storage_conf_init_main(ngx_conf_t *cf, void *conf)
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
    ngx_conf_init_value(mcf->changes_time, 7 * 24 * 3600);
    ngx_conf_init_value(mcf->mongo_threads, 8);

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

    if (mcf->store.wake == NULL
        || ngx_mesh_storage_gate_create(cf, &mcf->service.gate,
                                        &ngx_http_mesh_storage_module)
           != NGX_OK
        || ngx_mesh_storage_conf_init_paths(cf, mcf) != NGX_OK
        || ngx_mesh_storage_conf_init_adapter(cf, mcf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    service = &mcf->service;
    service->thread_pool = mcf->thread_pool;
    service->fd = -1;

    service->config.path = (char *) mcf->path.data;
    service->config.readers_max = (size_t) mcf->readers;
    service->config.queue_max = (size_t) mcf->queue;
    service->config.cache_bytes = (size_t) mcf->cache_size;
    service->config.durable = (int) mcf->durability;
    service->config.migrate = 1;
    service->config.changes_ms = (int64_t) mcf->changes_time * 1000;

    return NGX_CONF_OK;
}


/* SQLite, unless a server is named by the directive or, without one, by
   MONGODB_URI. */
static ngx_int_t
ngx_mesh_storage_conf_init_adapter(ngx_conf_t *cf,
    ngx_http_mesh_storage_main_conf_t *mcf)
{
    char                        *env;
    ngx_str_t                   *name;
    const char                  *from;
    ngx_core_conf_t             *core;
    ngx_mesh_storage_service_t  *service;

    from = "mesh_storage_mongo";

    if (mcf->mongo.data == NULL) {
        env = getenv("MONGODB_URI");

        if (env && *env) {
            from = "MONGODB_URI";
            mcf->mongo.data = (u_char *) env;
            mcf->mongo.len = ngx_strlen(env);

            /* a new binary without it would begin with an empty file */

            core = (ngx_core_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                                    ngx_core_module);
            name = ngx_array_push(&core->env);

            if (name == NULL) {
                return NGX_ERROR;
            }

            ngx_str_set(name, "MONGODB_URI");
        }
    }

    service = &mcf->service;
    service->adapter = &store_sqlite;

    if (mcf->mongo.len == 0) {
        return NGX_OK;
    }

    if (ngx_strncmp(mcf->mongo.data, "mongodb://", 10) != 0
        && ngx_strncmp(mcf->mongo.data, "mongodb+srv://", 14) != 0)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"%s\" needs the URI of a server, "
                      "\"mongodb://HOST/DATABASE\", or \"file:PATH\" of a "
                      "file that holds it, or \"off\"", from);
        return NGX_ERROR;
    }

#ifdef STORE_HAVE_MONGO

    service->adapter = &store_mongo;
    service->config.uri = (char *) mcf->mongo.data;
    service->config.threads = (size_t) mcf->mongo_threads;

    return NGX_OK;

#else

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"%s\" names a MongoDB server, but these modules were "
                  "built without libmongoc: install libmongoc-dev and build "
                  "again, or use \"mesh_storage_mongo off;\"", from);
    return NGX_ERROR;

#endif
}


static ngx_int_t
ngx_mesh_storage_conf_init_paths(ngx_conf_t *cf,
    ngx_http_mesh_storage_main_conf_t *mcf)
{
    if (mcf->blobs.len == 0
        && ngx_mesh_storage_conf_path_join(cf, &mcf->blobs, &mcf->folder,
                                           "blobs/")
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (mcf->search.data == NULL
        && ngx_mesh_storage_conf_path_join(cf, &mcf->search, &mcf->folder,
                                           "search.db")
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (mcf->search.len == mcf->path.len
        && ngx_strcmp(mcf->search.data, mcf->path.data) == 0)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"mesh_storage_search\" names the file of "
                      "\"mesh_storage\": the text index needs one of its "
                      "own");
        return NGX_ERROR;
    }

    if (mcf->backups.len == mcf->blobs.len
        && ngx_strcmp(mcf->backups.data, mcf->blobs.data) == 0)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"mesh_storage_backups\" names the folder of "
                      "\"mesh_storage_blobs\": each needs one of its own");
        return NGX_ERROR;
    }

    return NGX_OK;
}


void *
ngx_mesh_storage_conf_create_loc(ngx_conf_t *cf)
{
    ngx_http_mesh_storage_loc_conf_t  *lcf;

    lcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_mesh_storage_loc_conf_t));

    if (lcf == NULL) {
        return NULL;
    }

    lcf->api = NGX_CONF_UNSET;
    lcf->value_size = NGX_CONF_UNSET;
    lcf->body_size = NGX_CONF_UNSET;
    lcf->blob_size = NGX_CONF_UNSET;
    lcf->upload_time = NGX_CONF_UNSET;
    lcf->once_time = NGX_CONF_UNSET;
    lcf->feeds = NGX_CONF_UNSET;
    lcf->quota.items = NGX_MESH_STORAGE_CONF_UNSET;
    lcf->quota.bytes = NGX_MESH_STORAGE_CONF_UNSET;

    ngx_mesh_origin_init(&lcf->origin);

    return lcf;
}


char *
ngx_mesh_storage_conf_merge_loc(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_mesh_storage_loc_conf_t  *prev = parent;
    ngx_http_mesh_storage_loc_conf_t  *conf = child;

    ngx_conf_merge_value(conf->api, prev->api, 0);
    ngx_conf_merge_value(conf->value_size, prev->value_size, 1024 * 1024);
    ngx_conf_merge_value(conf->body_size, prev->body_size, 4 * 1024 * 1024);
    ngx_conf_merge_off_value(conf->blob_size, prev->blob_size,
                             1024 * 1024 * 1024);
    ngx_conf_merge_value(conf->upload_time, prev->upload_time, 24 * 3600);
    ngx_conf_merge_value(conf->once_time, prev->once_time, 24 * 3600);
    ngx_conf_merge_value(conf->feeds, prev->feeds, 16);

    if (conf->quota.items == NGX_MESH_STORAGE_CONF_UNSET
        && conf->quota.bytes == NGX_MESH_STORAGE_CONF_UNSET)
    {
        conf->quota = prev->quota;
    }

    if (conf->quota.items == NGX_MESH_STORAGE_CONF_UNSET) {
        conf->quota.items = 1000000;
    }

    if (conf->quota.bytes == NGX_MESH_STORAGE_CONF_UNSET) {
        conf->quota.bytes = (uint64_t) 10 * 1024 * 1024 * 1024;
    }

    return ngx_mesh_origin_merge(cf, &prev->origin, &conf->origin);
}


ngx_int_t
ngx_mesh_storage_conf_require(ngx_conf_t *cf)
{
    ngx_http_mesh_storage_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf,
                                             ngx_http_mesh_storage_module);

    if (!mcf->used) {
        return NGX_OK;
    }

    if (sodium_init() < 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "libsodium cannot be initialised");
        return NGX_ERROR;
    }

    if (ngx_mesh_store_require(cf, "mesh_storage_api",
                               NGX_MESH_PRINCIPAL_MODULE)
        != NGX_OK
        || ngx_mesh_store_require(cf, "mesh_storage_api",
                                  NGX_MESH_STORE_MODULE)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (mcf->cursor_key_path.len == 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"mesh_storage_api\" needs a key for its cursors: add "
                      "\"mesh_storage_cursor_key PATH;\" to the http block, "
                      "with the file cursor.key that \"mesh init\" makes");
        return NGX_ERROR;
    }

    return NGX_OK;
}
