/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The room module: directives, and the life of the hub in the workers.
 *
 * "mesh_room on" serves the REST half (ngx_mesh_room_rest.c), and
 * "mesh_room_socket on" the WebSocket (ngx_mesh_room_socket.c).  Both need
 * the ucan module for who asks and the storage module for what is kept and
 * told; nginx -t says which one is missing.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <sodium.h>

#include "ngx_mesh_conf.h"
#include "ngx_mesh_room_presence.h"
#include "signature.h"


#define NGX_HTTP_MESH_ROOM_ZONE_MIN      (64 * 1024)
#define NGX_HTTP_MESH_ROOM_ZONE_SIZE     (4 * 1024 * 1024)
#define NGX_HTTP_MESH_ROOM_KEY_FILE_MAX  256           /* bytes */
#define NGX_HTTP_MESH_ROOM_TIME_MIN      100           /* ms */
#define NGX_HTTP_MESH_ROOM_TIME_MAX      (24 * 3600 * 1000)


static char *ngx_http_mesh_room_handler(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_mesh_room_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_mesh_room_cursor_key(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_mesh_room_check_time(ngx_conf_t *cf, void *post,
    void *data);
static void *ngx_http_mesh_room_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_mesh_room_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_mesh_room_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_http_mesh_room_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_mesh_room_add_zone(ngx_conf_t *cf,
    ngx_str_t *name, size_t size);
static ngx_int_t ngx_http_mesh_room_init_process(ngx_cycle_t *cycle);


static ngx_conf_post_t  ngx_http_mesh_room_time = {
    ngx_http_mesh_room_check_time
};


static ngx_mesh_conf_number_t  ngx_http_mesh_room_message_size = {
    NGX_MESH_CONF_SIZE, 1, 128 * 1024, "a size from 1 to 128k"
};


static ngx_mesh_conf_number_t  ngx_http_mesh_room_frame_size = {
    NGX_MESH_CONF_SIZE, 1024, 1024 * 1024, "a size from 1k to 1m"
};


static ngx_mesh_conf_number_t  ngx_http_mesh_room_queue_size = {
    NGX_MESH_CONF_SIZE, 4096, 64 * 1024 * 1024, "a size from 4k to 64m"
};


static ngx_mesh_conf_number_t  ngx_http_mesh_room_rate = {
    NGX_MESH_CONF_COUNT, 0, 100000, "a number from 0 (no limit) to 100000"
};


static ngx_mesh_conf_number_t  ngx_http_mesh_room_join_max = {
    NGX_MESH_CONF_COUNT, 1, 1024, "a number from 1 to 1024"
};


static ngx_mesh_conf_number_t  ngx_http_mesh_room_connections = {
    NGX_MESH_CONF_COUNT, 1, 1000000, "a number from 1 to 1000000"
};


static ngx_command_t  ngx_http_mesh_room_commands[] = {

    { ngx_string("mesh_room"),
      NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_mesh_room_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_room_loc_conf_t, rest),
      NULL },

    { ngx_string("mesh_room_socket"),
      NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_mesh_room_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_room_loc_conf_t, socket),
      NULL },

    { ngx_string("mesh_room_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_mesh_room_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mesh_room_cursor_key"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_mesh_room_cursor_key,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mesh_room_message_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_room_loc_conf_t, message_size),
      &ngx_http_mesh_room_message_size },

    { ngx_string("mesh_room_frame_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_room_loc_conf_t, frame_size),
      &ngx_http_mesh_room_frame_size },

    { ngx_string("mesh_room_queue_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_room_loc_conf_t, queue_size),
      &ngx_http_mesh_room_queue_size },

    { ngx_string("mesh_room_auth_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_room_loc_conf_t, auth_timeout),
      &ngx_http_mesh_room_time },

    { ngx_string("mesh_room_ping_interval"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_room_loc_conf_t, ping_interval),
      &ngx_http_mesh_room_time },

    { ngx_string("mesh_room_rate"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_room_loc_conf_t, rate),
      &ngx_http_mesh_room_rate },

    { ngx_string("mesh_room_join_max"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_room_loc_conf_t, join_max),
      &ngx_http_mesh_room_join_max },

    { ngx_string("mesh_room_connections"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_mesh_conf_number_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_room_loc_conf_t, connections),
      &ngx_http_mesh_room_connections },

    { ngx_string("mesh_room_host"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_mesh_origin_host_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_room_loc_conf_t, origin),
      NULL },

    { ngx_string("mesh_room_origin"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_mesh_origin_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_room_loc_conf_t, origin),
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_mesh_room_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_mesh_room_init,               /* postconfiguration */

    ngx_http_mesh_room_create_main_conf,   /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_mesh_room_create_loc_conf,    /* create location configuration */
    ngx_http_mesh_room_merge_loc_conf      /* merge location configuration */
};


ngx_module_t  ngx_http_mesh_room_module = {
    NGX_MODULE_V1,
    &ngx_http_mesh_room_module_ctx,        /* module context */
    ngx_http_mesh_room_commands,           /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_mesh_room_init_process,       /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* "mesh_room on|off" and "mesh_room_socket on|off". */
static char *
ngx_http_mesh_room_handler(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                            *rv;
    ngx_http_core_loc_conf_t        *clcf;
    ngx_http_mesh_room_loc_conf_t   *lcf = conf;
    ngx_http_mesh_room_main_conf_t  *mcf;

    rv = ngx_conf_set_flag_slot(cf, cmd, conf);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (lcf->rest == 1 && lcf->socket == 1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"mesh_room\" and \"mesh_room_socket\" cannot be "
                           "in one location: give the socket one of its own, "
                           "for example \"location = /ws\"");
        return NGX_CONF_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_mesh_room_module);

    if (lcf->rest == 1) {
        clcf->handler = ngx_mesh_room_rest_handler;
        mcf->used = 1;
    }

    if (lcf->socket == 1) {
        clcf->handler = ngx_mesh_room_socket_handler;
        mcf->used = 1;
    }

    return NGX_CONF_OK;
}


/* "mesh_room_zone name:size" */
static char *
ngx_http_mesh_room_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char                          *p;
    ssize_t                          size;
    ngx_str_t                       *value, name, text;
    ngx_http_mesh_room_main_conf_t  *mcf = conf;

    if (mcf->zone != NULL) {
        return "is duplicate";
    }

    value = cf->args->elts;

    p = ngx_strlchr(value[1].data, value[1].data + value[1].len, ':');

    if (p == NULL || p == value[1].data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"mesh_room_zone\" takes a name and a size, for "
                           "example \"presence:4m\", not \"%V\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    name.data = value[1].data;
    name.len = p - name.data;

    text.data = p + 1;
    text.len = value[1].data + value[1].len - text.data;

    size = ngx_parse_size(&text);

    if (size == NGX_ERROR || size < NGX_HTTP_MESH_ROOM_ZONE_MIN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"mesh_room_zone\" takes a size of 64k or more, "
                           "not \"%V\"", &text);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_mesh_room_add_zone(cf, &name, size) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* "mesh_room_cursor_key PATH": one line, as "mesh init" writes it */
static char *
ngx_http_mesh_room_cursor_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    int                              rc;
    u_char                           buf[NGX_HTTP_MESH_ROOM_KEY_FILE_MAX];
    ssize_t                          n;
    ngx_fd_t                         fd;
    ngx_str_t                       *value;
    ngx_http_mesh_room_main_conf_t  *mcf = conf;

    if (mcf->cursor_key_path.len != 0) {
        return "is duplicate";
    }

    value = cf->args->elts;
    mcf->cursor_key_path = value[1];

    if (ngx_conf_full_name(cf->cycle, &mcf->cursor_key_path, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    fd = ngx_open_file(mcf->cursor_key_path.data, NGX_FILE_RDONLY,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "\"mesh_room_cursor_key\" cannot read \"%V\": "
                           "\"mesh init\" makes the file",
                           &mcf->cursor_key_path);
        return NGX_CONF_ERROR;
    }

    n = ngx_read_fd(fd, buf, sizeof(buf));

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed",
                           &mcf->cursor_key_path);
    }

    rc = -1;

    if (n > 0) {
        rc = signature_seed_parse(bytes_make(buf, n), "secret",
                                  mcf->cursor_key);
    }

    sodium_memzero(buf, sizeof(buf));

    if (rc != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"mesh_room_cursor_key\": \"%V\" is no key file, "
                           "one line \"secret:...\": \"mesh init\" makes it",
                           &mcf->cursor_key_path);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_mesh_room_check_time(ngx_conf_t *cf, void *post, void *data)
{
    ngx_str_t   *value;
    ngx_msec_t  *ms = data;

    if (*ms >= NGX_HTTP_MESH_ROOM_TIME_MIN
        && *ms <= NGX_HTTP_MESH_ROOM_TIME_MAX)
    {
        return NGX_CONF_OK;
    }

    value = cf->args->elts;

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"%V\" takes a time from 100ms to 24h, not \"%V\"",
                       &value[0], &value[1]);

    return NGX_CONF_ERROR;
}


static void *
ngx_http_mesh_room_create_main_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_mesh_room_main_conf_t));
}


static void *
ngx_http_mesh_room_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_mesh_room_loc_conf_t  *lcf;

    lcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_mesh_room_loc_conf_t));
    if (lcf == NULL) {
        return NULL;
    }

    lcf->rest = NGX_CONF_UNSET;
    lcf->socket = NGX_CONF_UNSET;
    lcf->message_size = NGX_CONF_UNSET_SIZE;
    lcf->frame_size = NGX_CONF_UNSET_SIZE;
    lcf->queue_size = NGX_CONF_UNSET_SIZE;
    lcf->auth_timeout = NGX_CONF_UNSET_MSEC;
    lcf->ping_interval = NGX_CONF_UNSET_MSEC;
    lcf->rate = NGX_CONF_UNSET_UINT;
    lcf->join_max = NGX_CONF_UNSET_UINT;
    lcf->connections = NGX_CONF_UNSET_UINT;

    ngx_mesh_origin_init(&lcf->origin);

    return lcf;
}


static char *
ngx_http_mesh_room_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_mesh_room_loc_conf_t   *prev = parent;
    ngx_http_mesh_room_loc_conf_t   *conf = child;
    ngx_http_mesh_room_main_conf_t  *mcf;

    ngx_conf_merge_value(conf->rest, prev->rest, 0);
    ngx_conf_merge_value(conf->socket, prev->socket, 0);
    ngx_conf_merge_size_value(conf->message_size, prev->message_size,
                              32 * 1024);
    ngx_conf_merge_size_value(conf->frame_size, prev->frame_size, 64 * 1024);
    ngx_conf_merge_size_value(conf->queue_size, prev->queue_size, 256 * 1024);
    ngx_conf_merge_msec_value(conf->auth_timeout, prev->auth_timeout, 10000);
    ngx_conf_merge_msec_value(conf->ping_interval, prev->ping_interval,
                              30000);
    ngx_conf_merge_uint_value(conf->rate, prev->rate, 100);
    ngx_conf_merge_uint_value(conf->join_max, prev->join_max, 64);
    ngx_conf_merge_uint_value(conf->connections, prev->connections, 64);

    if (ngx_mesh_origin_merge(cf, &prev->origin, &conf->origin)
        != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (conf->message_size > conf->frame_size) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"mesh_room_message_size\" is larger than "
                           "\"mesh_room_frame_size\": raise the latter");
        return NGX_CONF_ERROR;
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_mesh_room_module);

    if (conf->frame_size > mcf->frame_size) {
        mcf->frame_size = conf->frame_size;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_mesh_room_init(ngx_conf_t *cf)
{
    ngx_str_t                        name = ngx_string("mesh_room_presence");
    ngx_http_mesh_room_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_mesh_room_module);

    if (!mcf->used) {
        return NGX_OK;
    }

    if (sodium_init() < 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "libsodium cannot be initialised");
        return NGX_ERROR;
    }

    if (ngx_mesh_store_require(cf, "mesh_room", NGX_MESH_PRINCIPAL_MODULE)
        != NGX_OK
        || ngx_mesh_store_require(cf, "mesh_room", NGX_MESH_STORE_MODULE)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (mcf->zone == NULL) {
        return ngx_http_mesh_room_add_zone(cf, &name,
                                           NGX_HTTP_MESH_ROOM_ZONE_SIZE);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_mesh_room_add_zone(ngx_conf_t *cf, ngx_str_t *name, size_t size)
{
    ngx_http_mesh_room_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_mesh_room_module);

    mcf->zone = ngx_shared_memory_add(cf, name, size,
                                      &ngx_http_mesh_room_module);
    if (mcf->zone == NULL) {
        return NGX_ERROR;
    }

    mcf->zone->init = ngx_mesh_room_presence_zone_init;

    return NGX_OK;
}


static ngx_int_t
ngx_http_mesh_room_init_process(ngx_cycle_t *cycle)
{
    ngx_http_mesh_room_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_mesh_room_module);

    if (mcf == NULL || !mcf->used
        || (ngx_process != NGX_PROCESS_WORKER
            && ngx_process != NGX_PROCESS_SINGLE))
    {
        return NGX_OK;
    }

    mcf->log = cycle->log;
    mcf->principal = ngx_mesh_principal_api(cycle);
    mcf->store = ngx_mesh_store(cycle);
    mcf->participants = ngx_mesh_room_participant_init(cycle->pool);

    if (mcf->principal == NULL || mcf->store == NULL
        || mcf->store->wake == NULL || mcf->participants == NULL
        || ngx_mesh_room_hub_init(cycle, mcf) != NGX_OK)
    {
        /* a worker that ended here would be started again, for ever: it
           answers 503 instead */

        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "room: this worker cannot serve rooms");
        mcf->store = NULL;
        mcf->hub = NULL;
        return NGX_OK;
    }

    /* without a key of its own, cursors last as long as the zone */

    if (mcf->cursor_key_path.len == 0) {
        ngx_mesh_room_presence_cursor_key(mcf, mcf->cursor_key);
    }

    return NGX_OK;
}
