/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Values of directives, checked when nginx reads its configuration: in the
 * master at start and reload, and under "nginx -t".  No side effects.
 */


#include "bytes.h"
#include "did.h"
#include "ngx_mesh_conf.h"


#define NGX_MESH_CONF_DID_FILE_MAX  2048    /* bytes */


static ngx_int_t ngx_mesh_conf_did_read(ngx_conf_t *cf, ngx_str_t *directive,
    ngx_str_t *path, bytes_t *did);


char *
ngx_mesh_conf_number_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_int_t               n, *field;
    ngx_str_t              *value;
    ngx_mesh_conf_number_t *number;

    field = (ngx_int_t *) ((u_char *) conf + cmd->offset);
    number = cmd->post;
    value = cf->args->elts;

    if (*field != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    switch (number->unit) {

    case NGX_MESH_CONF_SIZE:
        n = ngx_parse_size(&value[1]);
        break;

    case NGX_MESH_CONF_SECONDS:
        n = ngx_parse_time(&value[1], 1);
        break;

    default:
        n = ngx_atoi(value[1].data, value[1].len);
        break;
    }

    if (n == NGX_ERROR || n < number->low || n > number->high) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" needs %s, not \"%V\"",
                           &value[0], number->takes, &value[1]);
        return NGX_CONF_ERROR;
    }

    *field = n;

    return NGX_CONF_OK;
}


char *
ngx_mesh_conf_did_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    bytes_t       did, *item;
    did_key_t     key;
    ngx_str_t    *value, path;
    ngx_uint_t    i;
    ngx_array_t **list;

    list = (ngx_array_t **) ((u_char *) conf + cmd->offset);
    value = cf->args->elts;

    if (*list == NGX_CONF_UNSET_PTR) {
        *list = ngx_array_create(cf->pool, cf->args->nelts, sizeof(bytes_t));

        if (*list == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    for (i = 1; i < cf->args->nelts; i++) {

        did = bytes_make(value[i].data, value[i].len);

        if (value[i].len > 5 && ngx_strncmp(value[i].data, "file:", 5) == 0) {
            path.data = value[i].data + 5;
            path.len = value[i].len - 5;

            if (ngx_mesh_conf_did_read(cf, &value[0], &path, &did)
                != NGX_OK)
            {
                return NGX_CONF_ERROR;
            }
        }

        if (did_parse(did, &key) != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" needs a did:key, as "
                               "\"did:key:z6Mk...\" or as \"file:PATH\" of "
                               "a file that holds one, not \"%V\"",
                               &value[0], &value[i]);
            return NGX_CONF_ERROR;
        }

        item = ngx_array_push(*list);

        if (item == NULL) {
            return NGX_CONF_ERROR;
        }

        *item = did;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_mesh_conf_did_read(ngx_conf_t *cf, ngx_str_t *directive, ngx_str_t *path,
    bytes_t *did)
{
    u_char    *data;
    ssize_t    n;
    ngx_fd_t   fd;
    ngx_err_t  err;

    if (ngx_conf_full_name(cf->cycle, path, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    data = ngx_pnalloc(cf->pool, NGX_MESH_CONF_DID_FILE_MAX);

    if (data == NULL) {
        return NGX_ERROR;
    }

    n = NGX_ERROR;
    fd = ngx_open_file(path->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);
    err = ngx_errno;

    if (fd != NGX_INVALID_FILE) {
        n = ngx_read_fd(fd, data, NGX_MESH_CONF_DID_FILE_MAX);
        err = ngx_errno;

        if (ngx_close_file(fd) == NGX_FILE_ERROR) {
            ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                               ngx_close_file_n " \"%V\" failed", path);
        }
    }

    if (n < 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, err,
                           "\"%V\" cannot read \"%V\", which must hold a "
                           "DID; \"mesh init\" makes such a file",
                           directive, path);
        return NGX_ERROR;
    }

    while (n > 0 && data[n - 1] <= ' ') {
        n--;
    }

    *did = bytes_make(data, n);

    return NGX_OK;
}
