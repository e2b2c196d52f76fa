/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Requirements: compiled when the configuration is read, evaluated for each
 * request with nginx's variables.  At request time they are only read.
 */


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


static char *ngx_ucan_require_arg(ngx_conf_t *cf, ngx_ucan_require_t *require,
    ngx_str_t *text);
static ngx_uint_t ngx_ucan_require_name_valid(bytes_t name);
static ucan_verdict_t ngx_ucan_require_evaluate(ngx_http_request_t *r,
    ngx_ucan_require_t *require, ucan_request_t *request);


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
    u_char                            *p, *last;
    bytes_t                            name;
    ngx_str_t                          source;
    ngx_uint_t                         i;
    ngx_ucan_require_arg_t            *arg;
    ngx_http_compile_complex_value_t   ccv;

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

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &source;
    ccv.complex_value = &arg->value;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
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


ucan_verdict_t
ngx_ucan_require_match(ngx_http_request_t *r,
    const ngx_array_t *requirements, ngx_mesh_principal_t *p,
    bytes_t *command)
{
    ngx_uint_t           i;
    ucan_verdict_t       rc;
    ucan_request_t       request;
    ngx_ucan_require_t  *require;

    if (requirements == NULL) {
        return UCAN_OK;
    }

    require = requirements->elts;

    for (i = 0; i < requirements->nelts; i++) {

        rc = ngx_ucan_require_evaluate(r, &require[i], &request);

        if (rc == UCAN_OK) {
            rc = ngx_ucan_verify_require(p, &request);
        }

        if (rc != UCAN_OK) {
            *command = require[i].command;
            return rc;
        }
    }

    return UCAN_OK;
}


static ucan_verdict_t
ngx_ucan_require_evaluate(ngx_http_request_t *r, ngx_ucan_require_t *require,
    ucan_request_t *request)
{
    ngx_str_t   value;
    ngx_uint_t  i;

    request->command = require->command;
    request->arg_count = require->count;

    for (i = 0; i < require->count; i++) {

        if (ngx_http_complex_value(r, &require->args[i].value, &value)
            != NGX_OK)
        {
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
