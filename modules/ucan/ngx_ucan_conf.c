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
#include "ngx_ucan_conf.h"
#include "ngx_ucan_revocation.h"


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

    /* set by ngx_pcalloc(): trust = NULL, audience = { 0, NULL } */

    conf->enable = NGX_CONF_UNSET_UINT;
    conf->audiences = NGX_CONF_UNSET_PTR;
    conf->anchors = NGX_CONF_UNSET_PTR;
    conf->requirements = NGX_CONF_UNSET_PTR;
    conf->leeway = NGX_CONF_UNSET;
    conf->session_max = NGX_CONF_UNSET;
    conf->token_size = NGX_CONF_UNSET;
    conf->token_count = NGX_CONF_UNSET;
    conf->depth = NGX_CONF_UNSET;
    conf->inflated_size = NGX_CONF_UNSET;

    return conf;
}


char *
ngx_ucan_conf_merge_loc(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_ucan_loc_conf_t *prev = parent;
    ngx_ucan_loc_conf_t *conf = child;

    ngx_uint_t  differs;

    differs = ngx_ucan_conf_differs(conf);

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

    if (conf->audiences) {

        conf->trust = differs ? NULL : prev->trust;

        if (conf->trust == NULL) {
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

    return NGX_CONF_OK;
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
           || conf->inflated_size != NGX_CONF_UNSET;
}


static ucan_trust_t *
ngx_ucan_conf_trust(ngx_conf_t *cf, ngx_ucan_loc_conf_t *conf)
{
    ngx_array_t                *anchors;
    ucan_trust_t               *trust;
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

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ucan_module);

    if (mcf->revocation_zone) {
        trust->revoked = ngx_ucan_revocation_find;
    }

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

    u_char     *p, *last;
    ssize_t     size;
    ngx_str_t  *value, name, s;

    value = cf->args->elts;

    if (mcf->revocation_zone) {
        return "is duplicate";
    }

    last = value[1].data + value[1].len;
    p = ngx_strlchr(value[1].data, last, ':');

    size = NGX_ERROR;

    if (p && p != value[1].data) {
        name.data = value[1].data;
        name.len = p - name.data;

        s.data = p + 1;
        s.len = last - s.data;

        size = ngx_parse_size(&s);
    }

    if (size == NGX_ERROR
        || size < (ssize_t) NGX_UCAN_REVOCATION_SIZE_MIN)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" needs NAME:SIZE with a size from %uzk, "
                           "such as \"revocations:1m\", not \"%V\"",
                           &value[0],
                           (size_t) NGX_UCAN_REVOCATION_SIZE_MIN / 1024,
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    mcf->revocation_zone = ngx_shared_memory_add(cf, &name, size,
                                                 &ngx_http_ucan_module);

    if (mcf->revocation_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    mcf->revocation_zone->init = ngx_ucan_revocation_init;

    return NGX_CONF_OK;
}
