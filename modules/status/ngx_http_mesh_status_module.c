/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The status module: directives that make a location answer with the node's
 * health or with the page that teaches a bot.  Works alone; what other
 * modules would add is simply absent.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_reply.h"
#include "ngx_mesh_status.h"


static void *ngx_http_mesh_status_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_mesh_status_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);
static char *ngx_http_mesh_status_health(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_mesh_status_skill(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_mesh_status_skill_url(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_mesh_status_handler(ngx_conf_t *cf,
    ngx_http_handler_pt handler);
static ngx_int_t ngx_http_mesh_status_init_module(ngx_cycle_t *cycle);


static ngx_command_t  ngx_http_mesh_status_commands[] = {

    { ngx_string("mesh_health"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_mesh_status_health,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mesh_skill"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_mesh_status_skill,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mesh_skill_url"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_mesh_status_skill_url,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mesh_skill_host"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_mesh_origin_host_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_status_loc_conf_t, origin),
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_mesh_status_module_ctx = {
    NULL,                                    /* preconfiguration */
    NULL,                                    /* postconfiguration */

    NULL,                                    /* create main configuration */
    NULL,                                    /* init main configuration */

    NULL,                                    /* create server configuration */
    NULL,                                    /* merge server configuration */

    ngx_http_mesh_status_create_loc_conf,    /* create location conf. */
    ngx_http_mesh_status_merge_loc_conf      /* merge location conf. */
};


ngx_module_t  ngx_http_mesh_status_module = {
    NGX_MODULE_V1,
    &ngx_http_mesh_status_module_ctx,          /* module context */
    ngx_http_mesh_status_commands,             /* module directives */
    NGX_HTTP_MODULE,                           /* module type */
    NULL,                                    /* init master */
    ngx_http_mesh_status_init_module,        /* init module */
    NULL,                                    /* init process */
    NULL,                                    /* init thread */
    NULL,                                      /* exit thread */
    NULL,                                      /* exit process */
    NULL,                                      /* exit master */
    NGX_MODULE_V1_PADDING
};


ngx_int_t
ngx_http_mesh_status_method(ngx_http_request_t *r)
{
    static ngx_str_t  allow = ngx_string("GET, HEAD, OPTIONS");

    if (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)) {
        return NGX_DECLINED;
    }

    if (ngx_mesh_reply_header(r, "Allow", &allow) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->method == NGX_HTTP_OPTIONS) {
        return ngx_mesh_reply_empty(r, NGX_HTTP_NO_CONTENT);
    }

    return ngx_mesh_reply_problem(r, PROBLEM_METHOD_NOT_ALLOWED,
                                  "see Allow for what this path takes");
}


static void *
ngx_http_mesh_status_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_mesh_status_loc_conf_t  *lcf;

    lcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_mesh_status_loc_conf_t));

    if (lcf == NULL) {
        return NULL;
    }

    lcf->skill = NGX_CONF_UNSET_PTR;
    ngx_mesh_origin_init(&lcf->origin);

    return lcf;
}


static char *
ngx_http_mesh_status_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_mesh_status_loc_conf_t  *prev = parent;
    ngx_http_mesh_status_loc_conf_t  *conf = child;

    ngx_conf_merge_ptr_value(conf->skill, prev->skill, NULL);
    ngx_conf_merge_str_value(conf->skill_url, prev->skill_url, "");

    return ngx_mesh_origin_merge(cf, &prev->origin, &conf->origin);
}


static char *
ngx_http_mesh_status_health(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[1].data, "on") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"mesh_health\" is \"on\" or \"off\", not \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    return ngx_http_mesh_status_handler(cf, ngx_mesh_status_health_handler);
}


static char *
ngx_http_mesh_status_skill(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                        *value, path;
    ngx_http_mesh_status_loc_conf_t  *lcf = conf;

    if (lcf->skill != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;
    path = value[1];

    if (ngx_strcmp(path.data, "off") == 0) {
        lcf->skill = NULL;
        return NGX_CONF_OK;
    }

    if (path.len == 0 || ngx_strcmp(path.data, "on") == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"mesh_skill\" needs the path of a template, such "
                           "as \"modules/status/skill.md\", or \"off\"");
        return NGX_CONF_ERROR;
    }

    lcf->skill = ngx_mesh_status_skill_open(cf, &path);

    if (lcf->skill == NULL) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_mesh_status_handler(cf, ngx_mesh_status_skill_handler);
}


static char *
ngx_http_mesh_status_skill_url(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    size_t                            n, start;
    ngx_str_t                        *value, *url;
    ngx_http_mesh_status_loc_conf_t  *lcf = conf;

    if (lcf->skill_url.data) {
        return "is duplicate";
    }

    value = cf->args->elts;
    url = &value[1];

    if (ngx_strncmp(url->data, "http://", 7) == 0) {
        start = 7;

    } else if (ngx_strncmp(url->data, "https://", 8) == 0) {
        start = 8;

    } else {
        start = url->len;
    }

    /* the address of an origin: it is pasted into shell commands */

    for (n = start; n < url->len; n++) {
        if (!((url->data[n] >= '0' && url->data[n] <= '9')
              || (url->data[n] >= 'a' && url->data[n] <= 'z')
              || (url->data[n] >= 'A' && url->data[n] <= 'Z')
              || ngx_strchr(".-_:[]", url->data[n]) != NULL))
        {
            break;
        }
    }

    if (start == url->len || n != url->len
        || url->len > NGX_MESH_STATUS_URL_MAX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"mesh_skill_url\" needs an origin such as "
                           "\"https://mesh.example.org\", not \"%V\"", url);
        return NGX_CONF_ERROR;
    }

    lcf->skill_url = *url;

    return NGX_CONF_OK;
}


static char *
ngx_http_mesh_status_handler(ngx_conf_t *cf, ngx_http_handler_pt handler)
{
    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler && clcf->handler != handler) {
        value = cf->args->elts;
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" needs a location of its own, this one is "
                           "answered by another directive", &value[0]);
        return NGX_CONF_ERROR;
    }

    clcf->handler = handler;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_mesh_status_init_module(ngx_cycle_t *cycle)
{
    if (!ngx_test_config) {
        ngx_mesh_status_health_init();
    }

    return NGX_OK;
}
