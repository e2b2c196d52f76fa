/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Creates and merges the configuration, and compiles the trust of each
 * location from it.  In the master, under nginx -t and at reloads too; no
 * side effects.
 */


#include "ngx_mesh_conf.h"
#include "ngx_ucan_api.h"
#include "ngx_mesh_store.h"
#include "ngx_ucan_conf.h"
#include "ngx_ucan_once.h"
#include "ngx_ucan_replay.h"
#include "ngx_ucan_require.h"
#include "ngx_ucan_revocation.h"
#include "ngx_ucan_seal.h"


#define NGX_UCAN_CONF_INLINE           4        /* weight, by default */
#define NGX_UCAN_CONF_REVOCATION_SIZE  (4 * 1024 * 1024)
#define NGX_UCAN_CONF_ENTRIES_MAX      (1024 * 1024)
#define NGX_UCAN_CONF_MEMORY_MIN       (64 * 1024)


static void ngx_ucan_conf_merge_work(ngx_ucan_loc_conf_t *conf,
    ngx_ucan_loc_conf_t *prev);
static char *ngx_ucan_conf_zone_option(ngx_ucan_main_conf_t *mcf,
    ngx_str_t *text);
static ngx_uint_t ngx_ucan_conf_revocations(void *data);
static ngx_uint_t ngx_ucan_conf_replays(void *data);
static ngx_shm_zone_t *ngx_ucan_conf_zone_default(ngx_conf_t *cf,
    const char *name, size_t size, ngx_shm_zone_init_pt init);
static ngx_uint_t ngx_ucan_conf_differs(ngx_ucan_loc_conf_t *conf);
static ucan_trust_t *ngx_ucan_conf_trust(ngx_conf_t *cf,
    ngx_ucan_loc_conf_t *conf);


void *
ngx_ucan_conf_create_main(ngx_conf_t *cf)
{
    ngx_ucan_main_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(ngx_ucan_main_conf_t));

    if (mcf == NULL) {
        return NULL;
    }

    mcf->api = &ngx_ucan_api;
    mcf->cache_entries = NGX_UCAN_CACHE_ENTRIES;
    mcf->cache_bytes = NGX_UCAN_CACHE_BYTES;

    return mcf;
}


void *
ngx_ucan_conf_create_loc(ngx_conf_t *cf)
{
    ngx_ucan_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_ucan_loc_conf_t));

    if (conf == NULL) {
        return NULL;
    }

    /* set by ngx_pcalloc(): trust = NULL, audience = { 0, NULL },
       thread_pool = NULL */

    conf->enable = NGX_CONF_UNSET_UINT;
    conf->audiences = NGX_CONF_UNSET_PTR;
    conf->anchors = NGX_CONF_UNSET_PTR;
    conf->requirements = NGX_CONF_UNSET_PTR;
    ngx_ucan_edge_init(&conf->edge);
    conf->leeway = NGX_CONF_UNSET;
    conf->session_max = NGX_CONF_UNSET;
    conf->token_size = NGX_CONF_UNSET;
    conf->token_count = NGX_CONF_UNSET;
    conf->depth = NGX_CONF_UNSET;
    conf->inflated_size = NGX_CONF_UNSET;
    conf->replay = NGX_CONF_UNSET_UINT;
    conf->cache = NGX_CONF_UNSET;
    conf->inline_max = NGX_CONF_UNSET;
    conf->proofs = NGX_CONF_UNSET;
    conf->thread_off = NGX_CONF_UNSET_UINT;

    return conf;
}


char *
ngx_ucan_conf_merge_loc(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_ucan_loc_conf_t *prev = parent;
    ngx_ucan_loc_conf_t *conf = child;

    ngx_uint_t             differs;
    ngx_ucan_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ucan_module);
    differs = ngx_ucan_conf_differs(conf);

    if (ngx_ucan_edge_merge(cf, &prev->edge, &conf->edge) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    ngx_conf_merge_uint_value(conf->enable, prev->enable, NGX_UCAN_CONF_OFF);
    ngx_conf_merge_ptr_value(conf->audiences, prev->audiences, NULL);
    ngx_conf_merge_ptr_value(conf->anchors, prev->anchors, NULL);
    ngx_conf_merge_ptr_value(conf->requirements, prev->requirements, NULL);
    ngx_conf_merge_value(conf->leeway, prev->leeway, 0);
    ngx_conf_merge_value(conf->session_max, prev->session_max, 24 * 3600);
    ngx_conf_merge_value(conf->token_size, prev->token_size,
                         UCAN_TOKEN_BYTES_MAX);
    ngx_conf_merge_value(conf->token_count, prev->token_count,
                         UCAN_TOKEN_COUNT_MAX);
    ngx_conf_merge_value(conf->depth, prev->depth, UCAN_TOKEN_DEPTH_MAX);
    ngx_conf_merge_value(conf->inflated_size, prev->inflated_size,
                         UCAN_TOKEN_INFLATED_MAX);

    ngx_ucan_conf_merge_work(conf, prev);

    if (conf->audiences) {

        conf->trust = differs ? NULL : prev->trust;

        if (conf->trust == NULL
            || conf->trust->prefix
               != ngx_ucan_require_prefix(conf->edge.resource))
        {
            conf->trust = ngx_ucan_conf_trust(cf, conf);

            if (conf->trust == NULL) {
                return NGX_CONF_ERROR;
            }
        }

        conf->audience.data = (u_char *) conf->trust->audiences[0].data;
        conf->audience.len = conf->trust->audiences[0].len;
    }

    if (conf->enable != NGX_UCAN_CONF_OFF && conf->trust == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"ucan\" needs \"ucan_audience\" with the DID "
                           "that tokens must be addressed to, for example "
                           "\"ucan_audience file:mesh.did;\"");
        return NGX_CONF_ERROR;
    }

    if (conf->enable == NGX_UCAN_CONF_OPTIONAL && conf->requirements) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"ucan_require\" needs \"ucan on\": with "
                           "\"ucan optional\" a request without a token "
                           "would pass; \"ucan_require off\" drops what is "
                           "inherited");
        return NGX_CONF_ERROR;
    }

    if (conf->enable != NGX_UCAN_CONF_OFF) {
        mcf->used = 1;
    }

    mcf->leeway_max = ngx_max(mcf->leeway_max, conf->leeway);

    return NGX_CONF_OK;
}


/* How the work is done, whatever the trust. */

static void
ngx_ucan_conf_merge_work(ngx_ucan_loc_conf_t *conf, ngx_ucan_loc_conf_t *prev)
{
    ngx_conf_merge_uint_value(conf->replay, prev->replay, NGX_UCAN_ONCE_ON);
    ngx_conf_merge_value(conf->cache, prev->cache, 1);
    ngx_conf_merge_value(conf->proofs, prev->proofs, 0);
    ngx_conf_merge_value(conf->inline_max, prev->inline_max,
                         NGX_UCAN_CONF_INLINE);

    if (conf->thread_off == NGX_CONF_UNSET_UINT) {
        conf->thread_pool = prev->thread_pool;
    }

    ngx_conf_merge_uint_value(conf->thread_off, prev->thread_off, 0);
}


static ngx_uint_t
ngx_ucan_conf_differs(ngx_ucan_loc_conf_t *conf)
{
    return conf->audiences != NGX_CONF_UNSET_PTR
           || conf->anchors != NGX_CONF_UNSET_PTR
           || conf->leeway != NGX_CONF_UNSET
           || conf->session_max != NGX_CONF_UNSET
           || conf->token_size != NGX_CONF_UNSET
           || conf->token_count != NGX_CONF_UNSET
           || conf->depth != NGX_CONF_UNSET
           || conf->inflated_size != NGX_CONF_UNSET
           || conf->proofs != NGX_CONF_UNSET;
}


static ucan_trust_t *
ngx_ucan_conf_trust(ngx_conf_t *cf, ngx_ucan_loc_conf_t *conf)
{
    ngx_array_t           *anchors;
    ucan_trust_t          *trust;
    ngx_ucan_main_conf_t  *mcf;

    trust = ngx_pcalloc(cf->pool, sizeof(ucan_trust_t));

    if (trust == NULL) {
        return NULL;
    }

    anchors = conf->anchors ? conf->anchors : conf->audiences;

    trust->audiences = conf->audiences->elts;
    trust->audience_count = conf->audiences->nelts;
    trust->anchors = anchors->elts;
    trust->anchor_count = anchors->nelts;
    trust->limits.bytes_max = conf->token_size;
    trust->limits.count_max = conf->token_count;
    trust->limits.depth_max = conf->depth;
    trust->limits.inflated_max = conf->inflated_size;
    trust->leeway = conf->leeway;
    trust->session_max = conf->session_max;
    trust->prefix = ngx_ucan_require_prefix(conf->edge.resource);

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ucan_module);

    trust->revoked = ngx_ucan_revocation_find;
    trust->revoked_by = ngx_ucan_revocation_find_by;
    trust->data = mcf;

    return trust;
}


char *
ngx_ucan_conf_enable_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_ucan_loc_conf_t *lcf = conf;

    ngx_str_t  *value;

    value = cf->args->elts;

    if (lcf->enable != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    if (ngx_strcmp(value[1].data, "on") == 0) {
        lcf->enable = NGX_UCAN_CONF_ON;

    } else if (ngx_strcmp(value[1].data, "off") == 0) {
        lcf->enable = NGX_UCAN_CONF_OFF;

    } else if (ngx_strcmp(value[1].data, "optional") == 0) {
        lcf->enable = NGX_UCAN_CONF_OPTIONAL;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"ucan\" needs \"on\", \"optional\" or \"off\", "
                           "not \"%V\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_ucan_conf_revocation_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_ucan_main_conf_t *mcf = conf;

    ssize_t     size;
    ngx_str_t  *value, name;

    value = cf->args->elts;

    if (mcf->revocation_zone) {
        return "is duplicate";
    }

    if (ngx_ucan_conf_zone_parse(&value[1], NGX_UCAN_REVOCATION_SIZE_MIN,
                                 &name, &size)
        != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" needs NAME:SIZE with a size from %uzk, "
                           "such as \"revocations:1m\", not \"%V\"",
                           &value[0],
                           (size_t) NGX_UCAN_REVOCATION_SIZE_MIN / 1024,
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    mcf->revocation_zone = ngx_ucan_conf_zone_add(cf, &name, size,
                                                  ngx_ucan_revocation_init);

    return mcf->revocation_zone ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
ngx_ucan_conf_replay_zone_slot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_ucan_main_conf_t *mcf = conf;

    ssize_t     size;
    ngx_str_t  *value, name;

    value = cf->args->elts;

    if (mcf->replay_zone) {
        return "is duplicate";
    }

    if (ngx_ucan_conf_zone_parse(&value[1], NGX_UCAN_REPLAY_SIZE_MIN, &name,
                                 &size)
        != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" needs NAME:SIZE with a size from %uzk, "
                           "such as \"invocations:8m\", not \"%V\"",
                           &value[0],
                           (size_t) NGX_UCAN_REPLAY_SIZE_MIN / 1024,
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    mcf->replay_zone = ngx_ucan_conf_zone_add(cf, &name, size,
                                              ngx_ucan_replay_init);

    return mcf->replay_zone ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
ngx_ucan_conf_cache_zone_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_ucan_main_conf_t *mcf = conf;

    char        *rc;
    ssize_t      size;
    ngx_str_t   *value, name;
    ngx_uint_t   i;

    value = cf->args->elts;

    if (mcf->seal_zone) {
        return "is duplicate";
    }

    if (ngx_ucan_conf_zone_parse(&value[1], NGX_UCAN_SEAL_SIZE_MIN, &name,
                                 &size)
        != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" needs NAME:SIZE with a size from %uzk, "
                           "such as \"tokens:4m\", not \"%V\"",
                           &value[0], (size_t) NGX_UCAN_SEAL_SIZE_MIN / 1024,
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        rc = ngx_ucan_conf_zone_option(mcf, &value[i]);

        if (rc != NGX_CONF_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" takes \"entries=N\" from 1 and "
                               "\"memory=SIZE\" from 64k behind its zone, "
                               "not \"%V\"", &value[0], &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    mcf->seal_zone = ngx_ucan_conf_zone_add(cf, &name, size,
                                            ngx_ucan_seal_init);

    return mcf->seal_zone ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_ucan_conf_zone_option(ngx_ucan_main_conf_t *mcf, ngx_str_t *text)
{
    ssize_t    n;
    ngx_str_t  s;

    if (text->len > 8 && ngx_strncmp(text->data, "entries=", 8) == 0) {

        n = ngx_atoi(text->data + 8, text->len - 8);

        if (n < 1 || n > NGX_UCAN_CONF_ENTRIES_MAX) {
            return NGX_CONF_ERROR;
        }

        mcf->cache_entries = n;

        return NGX_CONF_OK;
    }

    if (text->len > 7 && ngx_strncmp(text->data, "memory=", 7) == 0) {

        s.data = text->data + 7;
        s.len = text->len - 7;

        n = ngx_parse_size(&s);

        if (n < NGX_UCAN_CONF_MEMORY_MIN) {
            return NGX_CONF_ERROR;
        }

        mcf->cache_bytes = n;

        return NGX_CONF_OK;
    }

    return NGX_CONF_ERROR;
}


ngx_int_t
ngx_ucan_conf_zone_parse(ngx_str_t *text, size_t size_min, ngx_str_t *name,
    ssize_t *size)
{
    u_char     *p, *last;
    ngx_str_t   s;

    last = text->data + text->len;
    p = ngx_strlchr(text->data, last, ':');

    if (p == NULL || p == text->data) {
        return NGX_ERROR;
    }

    name->data = text->data;
    name->len = p - text->data;

    s.data = p + 1;
    s.len = last - s.data;

    *size = ngx_parse_size(&s);

    if (*size == NGX_ERROR || *size < (ssize_t) size_min) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


char *
ngx_ucan_conf_thread_pool_slot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_ucan_loc_conf_t *lcf = conf;

    ngx_str_t  *value;

    value = cf->args->elts;

    if (lcf->thread_off != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    if (ngx_strcmp(value[1].data, "off") == 0) {
        lcf->thread_off = 1;
        return NGX_CONF_OK;
    }

    /* nginx itself refuses a name that no "thread_pool" has */

    lcf->thread_pool = ngx_thread_pool_add(cf, &value[1]);

    if (lcf->thread_pool == NULL) {
        return NGX_CONF_ERROR;
    }

    lcf->thread_off = 0;

    return NGX_CONF_OK;
}


/* Where anything of this module is in use there are all of its zones: what
   another module asks of it has a place. */

ngx_int_t
ngx_ucan_conf_init(ngx_conf_t *cf)
{
    ngx_ucan_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ucan_module);

    if (!mcf->used && !mcf->revocation_zone && !mcf->seal_zone
        && !mcf->replay_zone)
    {
        return NGX_OK;
    }

    if (mcf->revocation_zone == NULL) {
        mcf->revocation_zone = ngx_ucan_conf_zone_default(cf,
                                   "ucan_revocations",
                                   NGX_UCAN_CONF_REVOCATION_SIZE,
                                   ngx_ucan_revocation_init);

        if (mcf->revocation_zone == NULL) {
            return NGX_ERROR;
        }
    }

    if (mcf->seal_zone == NULL) {
        mcf->seal_zone = ngx_ucan_conf_zone_default(cf, "ucan_cache",
                                   NGX_UCAN_SEAL_SIZE_DEFAULT,
                                   ngx_ucan_seal_init);

        if (mcf->seal_zone == NULL) {
            return NGX_ERROR;
        }
    }

    ngx_ucan_metric_gauge(&mcf->metric, NGX_UCAN_METRIC_SEALS,
                          ngx_ucan_seal_count, mcf->seal_zone);

    if (mcf->replay_zone == NULL) {
        mcf->replay_zone = ngx_ucan_conf_zone_default(cf, "ucan_replays",
                                   NGX_UCAN_REPLAY_SIZE_DEFAULT,
                                   ngx_ucan_replay_init);

        if (mcf->replay_zone == NULL) {
            return NGX_ERROR;
        }
    }

    ngx_ucan_metric_gauge(&mcf->metric, NGX_UCAN_METRIC_REVOCATIONS,
                          ngx_ucan_conf_revocations, mcf->revocation_zone);
    ngx_ucan_metric_gauge(&mcf->metric, NGX_UCAN_METRIC_REPLAYS,
                          ngx_ucan_conf_replays, mcf->replay_zone);

    if (mcf->store_used
        && ngx_mesh_store_require(cf, "ucan_replay store",
                                  NGX_MESH_STORE_MODULE)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* As a gauge is asked for. */

static ngx_uint_t
ngx_ucan_conf_revocations(void *data)
{
    return ngx_ucan_revocation_count(data);
}


static ngx_uint_t
ngx_ucan_conf_replays(void *data)
{
    return ngx_ucan_replay_count(data);
}


static ngx_shm_zone_t *
ngx_ucan_conf_zone_default(ngx_conf_t *cf, const char *name, size_t size,
    ngx_shm_zone_init_pt init)
{
    ngx_str_t  s;

    s.data = (u_char *) name;
    s.len = ngx_strlen(name);

    return ngx_ucan_conf_zone_add(cf, &s, size, init);
}


ngx_shm_zone_t *
ngx_ucan_conf_zone_add(ngx_conf_t *cf, ngx_str_t *name, size_t size,
    ngx_shm_zone_init_pt init)
{
    ngx_shm_zone_t  *zone;

    zone = ngx_shared_memory_add(cf, name, size, &ngx_http_ucan_module);

    if (zone == NULL) {
        return NULL;
    }

    if (zone->init) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" is used for something else of the "
                           "ucan module; give each a name of its own", name);
        return NULL;
    }

    zone->init = init;

    return zone;
}


ngx_int_t
ngx_ucan_conf_init_process(ngx_cycle_t *cycle)
{
    ngx_str_t              name = ngx_string("default");
    ngx_ucan_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_ucan_module);

    if (mcf == NULL || !mcf->used) {
        return NGX_OK;
    }

    mcf->thread_pool = ngx_thread_pool_get(cycle, &name);
    mcf->cache = ngx_ucan_cache_create(cycle->pool, mcf->cache_entries,
                                       mcf->cache_bytes);

    return mcf->cache ? NGX_OK : NGX_ERROR;
}


ngx_thread_pool_t *
ngx_ucan_conf_thread_pool(const ngx_ucan_main_conf_t *mcf,
    const ngx_ucan_loc_conf_t *lcf)
{
    if (lcf->thread_off) {
        return NULL;
    }

    return lcf->thread_pool ? lcf->thread_pool : mcf->thread_pool;
}
