/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Requirements: compiled when the configuration is read, evaluated for each
 * request with nginx's variables.  At request time they are only read.
 */


#include "ngx_ucan_conf.h"
#include "ngx_ucan_facts.h"
#include "ngx_ucan_require.h"
#include "ngx_ucan_verify.h"


typedef struct {
    bytes_t                    name;
    ngx_http_complex_value_t   value;
} ngx_ucan_require_arg_t;


typedef struct {
    bytes_t                    command;
    ngx_uint_t                 count;
    ngx_ucan_require_arg_t     args[UCAN_CHAIN_ARGS_MAX];
} ngx_ucan_require_t;


typedef struct {
    ngx_http_complex_value_t   with;
    ngx_http_complex_value_t   can;           /* when has_can */
    unsigned                   has_can:1;
    unsigned                   prefix:1;
} ngx_ucan_require_resource_t;


static char *ngx_ucan_require_arg(ngx_conf_t *cf, ngx_ucan_require_t *require,
    ngx_str_t *text);
static ngx_uint_t ngx_ucan_require_name_valid(bytes_t name);
static ucan_verdict_t ngx_ucan_require_evaluate(ngx_http_request_t *r,
    const ngx_ucan_require_t *require, ucan_request_t *request);
static ucan_verdict_t ngx_ucan_require_resource(ngx_http_request_t *r,
    ngx_ucan_require_resource_t *conf, ucan_resource_t *resource);
static char *ngx_ucan_require_compile(ngx_conf_t *cf, ngx_str_t *source,
    ngx_http_complex_value_t *value);
static ngx_uint_t ngx_ucan_require_uri_valid(ngx_str_t *uri);


char *
ngx_ucan_require_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                *rc;
    ngx_str_t           *value;
    ngx_uint_t           i;
    ngx_array_t        **list;
    ngx_ucan_require_t  *require;

    list = (ngx_array_t **) ((u_char *) conf + cmd->offset);
    value = cf->args->elts;

    if (*list == NULL
        || (value[1].len == 3 && ngx_strncmp(value[1].data, "off", 3) == 0))
    {
        if (*list != NGX_CONF_UNSET_PTR || cf->args->nelts != 2) {
            return "takes \"off\" alone, without other requirements";
        }

        *list = NULL;
        return NGX_CONF_OK;
    }

    if (!ucan_chain_command_valid(bytes_make(value[1].data, value[1].len))) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" needs a command such as \"/room/read\" "
                           "(lower case, no slash at the end), not \"%V\"",
                           &value[0], &value[1]);
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts - 2 > UCAN_CHAIN_ARGS_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" takes at most %d arguments",
                           &value[0], UCAN_CHAIN_ARGS_MAX);
        return NGX_CONF_ERROR;
    }

    if (*list == NGX_CONF_UNSET_PTR) {
        *list = ngx_array_create(cf->pool, 1, sizeof(ngx_ucan_require_t));

        if (*list == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    require = ngx_array_push(*list);

    if (require == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(require, sizeof(ngx_ucan_require_t));
    require->command = bytes_make(value[1].data, value[1].len);

    for (i = 2; i < cf->args->nelts; i++) {
        rc = ngx_ucan_require_arg(cf, require, &value[i]);

        if (rc != NGX_CONF_OK) {
            return rc;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_ucan_require_arg(ngx_conf_t *cf, ngx_ucan_require_t *require,
    ngx_str_t *text)
{
    u_char                  *p, *last;
    bytes_t                  name;
    ngx_str_t                source;
    ngx_uint_t               i;
    ngx_ucan_require_arg_t  *arg;

    last = text->data + text->len;
    p = ngx_strlchr(text->data, last, '=');

    name = bytes_make(text->data, p ? (size_t) (p - text->data) : 0);

    if (p == NULL || !ngx_ucan_require_name_valid(name)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"ucan_require\" needs arguments as name=value, "
                           "such as \"room=$arg_room\", not \"%V\"", text);
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < require->count; i++) {
        if (bytes_equal(require->args[i].name, name)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"ucan_require\" has an argument twice: "
                               "\"%V\"", text);
            return NGX_CONF_ERROR;
        }
    }

    arg = &require->args[require->count++];
    arg->name = name;

    source.data = p + 1;
    source.len = last - source.data;

    return ngx_ucan_require_compile(cf, &source, &arg->value);
}


static char *
ngx_ucan_require_compile(ngx_conf_t *cf, ngx_str_t *source,
    ngx_http_complex_value_t *value)
{
    ngx_http_compile_complex_value_t  ccv;

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = source;
    ccv.complex_value = value;

    return (ngx_http_compile_complex_value(&ccv) == NGX_OK) ? NGX_CONF_OK
                                                            : NGX_CONF_ERROR;
}


static ngx_uint_t
ngx_ucan_require_name_valid(bytes_t name)
{
    size_t   i;
    uint8_t  c;

    for (i = 0; i < name.len; i++) {
        c = name.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'
              || (c >= '0' && c <= '9')))
        {
            return 0;
        }
    }

    return name.len != 0 && name.len <= UCAN_CHAIN_NAME_BYTES_MAX;
}


char *
ngx_ucan_require_resource_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    void                         **field;
    ngx_str_t                     *value, ability;
    ngx_uint_t                     i;
    ngx_ucan_require_resource_t   *resource;

    field = (void **) ((u_char *) conf + cmd->offset);
    value = cf->args->elts;

    if (*field != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        *field = NULL;
        return NGX_CONF_OK;
    }

    if (!ngx_ucan_require_uri_valid(&value[1])) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" needs a URI such as "
                           "\"https://example.org/files/$arg_file\", "
                           "not \"%V\"", &value[0], &value[1]);
        return NGX_CONF_ERROR;
    }

    resource = ngx_pcalloc(cf->pool, sizeof(ngx_ucan_require_resource_t));

    if (resource == NULL
        || ngx_ucan_require_compile(cf, &value[1], &resource->with)
           != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "prefix") == 0 && !resource->prefix) {
            resource->prefix = 1;
            continue;
        }

        if (value[i].len > 8 && !resource->has_can
            && ngx_strncmp(value[i].data, "ability=", 8) == 0)
        {
            ability.data = value[i].data + 8;
            ability.len = value[i].len - 8;
            resource->has_can = 1;

            if (ngx_ucan_require_compile(cf, &ability, &resource->can)
                != NGX_CONF_OK)
            {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" takes \"prefix\" and \"ability=NAME\" "
                           "behind its URI, once each, not \"%V\"",
                           &value[0], &value[i]);
        return NGX_CONF_ERROR;
    }

    *field = resource;

    return NGX_CONF_OK;
}


ngx_uint_t
ngx_ucan_require_prefix(const void *resource)
{
    const ngx_ucan_require_resource_t  *conf = resource;

    return conf && conf->prefix;
}


/* Begins with a scheme, or with a variable that may. */

static ngx_uint_t
ngx_ucan_require_uri_valid(ngx_str_t *uri)
{
    u_char  c;
    size_t  i;

    for (i = 0; i < uri->len; i++) {
        c = uri->data[i];

        if (c == '$') {
            return 1;
        }

        if (c == ':') {
            return i != 0;
        }

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
              || (i != 0 && ((c >= '0' && c <= '9') || c == '+' || c == '.'
                             || c == '-'))))
        {
            return 0;
        }
    }

    return 0;
}


ucan_verdict_t
ngx_ucan_require_match(ngx_http_request_t *r,
    const ngx_array_t *requirements, ngx_mesh_principal_t *p,
    bytes_t *command)
{
    ngx_uint_t                 i;
    ucan_verdict_t             rc, first;
    ucan_request_t             request;
    ucan_resource_t            resource;
    ngx_ucan_loc_conf_t       *lcf;
    const ngx_ucan_require_t  *require;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_ucan_module);
    first = UCAN_OK;

    if (lcf->edge.bind) {
        rc = ngx_ucan_facts_bound(p->chain);

        if (rc != UCAN_OK) {
            return rc;
        }
    }

    if (requirements == NULL) {
        return UCAN_OK;
    }

    require = requirements->elts;

    for (i = 0; i < requirements->nelts; i++) {

        rc = ngx_ucan_require_evaluate(r, &require[i], &request);

        if (rc == UCAN_OK && lcf->edge.resource) {
            rc = ngx_ucan_require_resource(r, lcf->edge.resource, &resource);
        }

        if (rc == UCAN_OK) {
            rc = ngx_ucan_verify_require(p, &request,
                                         lcf->edge.resource ? &resource
                                                            : NULL);
        }

        if (rc == UCAN_OK && lcf->edge.mode == NGX_UCAN_EDGE_ANY) {
            return UCAN_OK;
        }

        if (rc != UCAN_OK && first == UCAN_OK) {
            *command = require[i].command;
            first = rc;
        }

        if (rc == UCAN_NO_MEMORY
            || (rc != UCAN_OK && lcf->edge.mode == NGX_UCAN_EDGE_ALL))
        {
            return rc;
        }
    }

    return first;
}


ngx_int_t
ngx_ucan_require_write(ngx_pool_t *pool, const ngx_array_t *requirements,
    ngx_str_t *text)
{
    u_char                    *p;
    size_t                     len;
    ngx_uint_t                 i;
    const ngx_ucan_require_t  *require;

    require = requirements->elts;
    len = 0;

    for (i = 0; i < requirements->nelts; i++) {
        len += require[i].command.len + 1;
    }

    p = ngx_pnalloc(pool, len);

    if (p == NULL) {
        return NGX_ERROR;
    }

    text->data = p;

    for (i = 0; i < requirements->nelts; i++) {

        if (i != 0) {
            *p++ = ',';
        }

        p = ngx_cpymem(p, require[i].command.data, require[i].command.len);
    }

    text->len = p - text->data;

    return NGX_OK;
}


static ucan_verdict_t
ngx_ucan_require_evaluate(ngx_http_request_t *r,
    const ngx_ucan_require_t *require, ucan_request_t *request)
{
    ngx_str_t                  value;
    ngx_uint_t                 i;
    ngx_http_complex_value_t  *complex;

    request->command = require->command;
    request->arg_count = require->count;

    for (i = 0; i < require->count; i++) {

        complex = (ngx_http_complex_value_t *) &require->args[i].value;

        if (ngx_http_complex_value(r, complex, &value) != NGX_OK) {
            return UCAN_NO_MEMORY;
        }

        /* a value that no policy could have been written for */

        if (value.len > UCAN_CHAIN_ARG_BYTES_MAX) {
            return UCAN_NOT_COVERED;
        }

        request->args[i].name = require->args[i].name;
        request->args[i].value = bytes_make(value.data, value.len);
    }

    return UCAN_OK;
}


static ucan_verdict_t
ngx_ucan_require_resource(ngx_http_request_t *r,
    ngx_ucan_require_resource_t *conf, ucan_resource_t *resource)
{
    ngx_str_t  with, can;

    ngx_str_null(&can);

    if (ngx_http_complex_value(r, &conf->with, &with) != NGX_OK
        || (conf->has_can
            && ngx_http_complex_value(r, &conf->can, &can) != NGX_OK))
    {
        return UCAN_NO_MEMORY;
    }

    /* a variable without a value must not widen what is asked for */

    if (with.len == 0 || with.len > UCAN_CHAIN_ARG_BYTES_MAX
        || can.len > UCAN_CHAIN_ARG_BYTES_MAX
        || (conf->has_can && can.len == 0))
    {
        return UCAN_NOT_COVERED;
    }

    resource->with = bytes_make(with.data, with.len);
    resource->can = bytes_make(can.data, can.len);
    resource->prefix = conf->prefix;

    return UCAN_OK;
}
