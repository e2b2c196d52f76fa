/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Directives that name files and folders, and the file that names a server:
 * checked in the master and under "nginx -t".  Makes nothing; folders that
 * workers make later are only looked at.
 *
 * The URI of a MongoDB server may hold a password: no line shows it.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <sodium.h>

#include "ngx_mesh_storage_conf_path.h"
#include "signature.h"


#define NGX_MESH_STORAGE_CONF_READ_MAX  4096      /* bytes of a file */


static ngx_int_t ngx_mesh_storage_conf_path_file(ngx_conf_t *cf,
    ngx_str_t *directive, ngx_str_t *path);
static ngx_int_t ngx_mesh_storage_conf_path_folder(ngx_conf_t *cf,
    ngx_str_t *directive, ngx_str_t *path);
static ngx_int_t ngx_mesh_storage_conf_path_above(ngx_conf_t *cf,
    ngx_str_t *directive, ngx_str_t *path);
static ssize_t ngx_mesh_storage_conf_path_read(ngx_conf_t *cf,
    ngx_str_t *directive, ngx_str_t *path, u_char *buf);


/* "mesh_storage PATH": whether a worker may write to the folder is seen when
   it opens the store, as its own user. */
char *
ngx_mesh_storage_conf_path_store(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    u_char                             *p;
    ngx_str_t                          *value;
    ngx_http_mesh_storage_main_conf_t  *mcf = conf;

    if (mcf->path.len) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_mesh_storage_conf_path_file(cf, &value[0], &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    mcf->path = value[1];

    for (p = mcf->path.data + mcf->path.len; p[-1] != '/'; p--) { /* void */ }

    mcf->folder.data = mcf->path.data;
    mcf->folder.len = p - mcf->path.data;
    mcf->store.configured = 1;

    return NGX_CONF_OK;
}


/* "mesh_storage_mongo URI|file:PATH|off" */
char *
ngx_mesh_storage_conf_path_mongo(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    u_char                             *buf;
    ssize_t                             n;
    ngx_str_t                          *value, path;
    ngx_http_mesh_storage_main_conf_t  *mcf = conf;

    if (mcf->mongo.data) {
        return "is duplicate";
    }

    value = cf->args->elts;
    mcf->mongo = value[1];

    if (ngx_strcmp(value[1].data, "off") == 0) {
        mcf->mongo.len = 0;
        return NGX_CONF_OK;
    }

    if (value[1].len > 5 && ngx_strncmp(value[1].data, "file:", 5) == 0) {
        path.data = value[1].data + 5;
        path.len = value[1].len - 5;

        buf = ngx_pnalloc(cf->pool, NGX_MESH_STORAGE_CONF_READ_MAX);

        if (buf == NULL) {
            return NGX_CONF_ERROR;
        }

        n = ngx_mesh_storage_conf_path_read(cf, &value[0], &path, buf);

        if (n < 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"mesh_storage_mongo\" needs a file with one "
                               "line, the URI of a server");
            return NGX_CONF_ERROR;
        }

        while (n > 0 && buf[n - 1] <= ' ') {
            n--;
        }

        buf[n] = '\0';
        mcf->mongo.data = buf;
        mcf->mongo.len = n;
    }

    return NGX_CONF_OK;
}


char *
ngx_mesh_storage_conf_path_blobs(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_str_t                          *value;
    ngx_http_mesh_storage_main_conf_t  *mcf = conf;

    if (mcf->blobs.len) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_mesh_storage_conf_path_folder(cf, &value[0], &value[1])
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    mcf->blobs = value[1];

    return NGX_CONF_OK;
}


/* "mesh_storage_search PATH|off" */
char *
ngx_mesh_storage_conf_path_search(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_str_t                          *value;
    ngx_http_mesh_storage_main_conf_t  *mcf = conf;

    if (mcf->search.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        mcf->search.data = value[1].data;
        return NGX_CONF_OK;
    }

    if (ngx_mesh_storage_conf_path_file(cf, &value[0], &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    mcf->search = value[1];

    return NGX_CONF_OK;
}


/* "mesh_storage_backups PATH [every=TIME] [keep=N]" */
char *
ngx_mesh_storage_conf_path_backups(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_int_t                           n;
    ngx_str_t                          *value, text;
    ngx_uint_t                          i;
    ngx_http_mesh_storage_main_conf_t  *mcf = conf;

    if (mcf->backups.len) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_mesh_storage_conf_path_folder(cf, &value[0], &value[1])
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    mcf->backups = value[1];

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "every=", 6) == 0) {
            text.data = value[i].data + 6;
            text.len = value[i].len - 6;
            n = ngx_parse_time(&text, 1);

            if (n != NGX_ERROR && n >= 1
                && n <= NGX_MESH_STORAGE_CONF_PATH_TIME_MAX)
            {
                mcf->backup_every = n;
                continue;
            }

        } else if (ngx_strncmp(value[i].data, "keep=", 5) == 0) {
            n = ngx_atoi(value[i].data + 5, value[i].len - 5);

            if (n != NGX_ERROR && n >= 1 && n <= 10000) {
                mcf->backup_keep = n;
                continue;
            }
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"mesh_storage_backups\" takes \"every=TIME\" "
                           "from 1s to 3650d and \"keep=N\" from 1 to 10000 "
                           "behind the folder, not \"%V\"", &value[i]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* "mesh_storage_cursor_key PATH": one line, as "mesh init" writes it */
char *
ngx_mesh_storage_conf_path_cursor_key(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    int                                 rc;
    u_char                              buf[NGX_MESH_STORAGE_CONF_READ_MAX];
    ssize_t                             n;
    ngx_str_t                          *value;
    ngx_http_mesh_storage_main_conf_t  *mcf = conf;

    if (mcf->cursor_key_path.len != 0) {
        return "is duplicate";
    }

    value = cf->args->elts;

    n = ngx_mesh_storage_conf_path_read(cf, &value[0], &value[1], buf);
    rc = -1;

    if (n > 0) {
        rc = signature_seed_parse(bytes_make(buf, n), "secret",
                                  mcf->cursor_key);
    }

    sodium_memzero(buf, sizeof(buf));

    if (rc != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"mesh_storage_cursor_key\": \"%V\" is no key "
                           "file, one line \"secret:...\": \"mesh init\" "
                           "makes it", &value[1]);
        return NGX_CONF_ERROR;
    }

    mcf->cursor_key_path = value[1];

    return NGX_CONF_OK;
}


/* The full name of a file that is there, or may be made, in a folder that is
   there. */
static ngx_int_t
ngx_mesh_storage_conf_path_file(ngx_conf_t *cf, ngx_str_t *directive,
    ngx_str_t *path)
{
    ngx_file_info_t  fi;

    if (path->len == 0 || path->data[path->len - 1] == '/') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must name a file, not \"%V\": write for "
                           "example \"data/mesh.db\"", directive, path);
        return NGX_ERROR;
    }

    if (ngx_mesh_storage_conf_path_above(cf, directive, path) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_file_info(path->data, &fi) != NGX_FILE_ERROR
        && !ngx_is_file(&fi))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must name a file, \"%V\" is not one",
                           directive, path);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* The same of a folder; path ends with "/" then. */
static ngx_int_t
ngx_mesh_storage_conf_path_folder(ngx_conf_t *cf, ngx_str_t *directive,
    ngx_str_t *path)
{
    ngx_str_t        name;
    ngx_file_info_t  fi;

    name = *path;

    while (name.len > 1 && name.data[name.len - 1] == '/') {
        name.data[--name.len] = '\0';
    }

    if (name.len == 0 || name.data[0] == '\0') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must name a folder", directive);
        return NGX_ERROR;
    }

    if (ngx_mesh_storage_conf_path_above(cf, directive, &name) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_file_info(name.data, &fi) != NGX_FILE_ERROR && !ngx_is_dir(&fi)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must name a folder, \"%V\" is not one",
                           directive, &name);
        return NGX_ERROR;
    }

    return ngx_mesh_storage_conf_path_join(cf, path, &name, "/");
}


static ngx_int_t
ngx_mesh_storage_conf_path_above(ngx_conf_t *cf, ngx_str_t *directive,
    ngx_str_t *path)
{
    u_char           *p;
    ngx_str_t         folder;
    ngx_file_info_t   fi;

    if (ngx_conf_full_name(cf->cycle, path, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    for (p = path->data + path->len; p[-1] != '/'; p--) { /* void */ }

    folder.len = p - path->data;
    folder.data = ngx_pnalloc(cf->temp_pool, folder.len + 1);

    if (folder.data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn(folder.data, path->data, folder.len + 1);

    if (ngx_file_info(folder.data, &fi) == NGX_FILE_ERROR
        || !ngx_is_dir(&fi))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" names a file in \"%V\", which is "
                           "no folder: make it, writable by the workers",
                           directive, &folder);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* Reads a small file into buf, of NGX_MESH_STORAGE_CONF_READ_MAX bytes; path
   becomes the full name.  Bytes, fewer than that, or NGX_ERROR after a
   line. */
static ssize_t
ngx_mesh_storage_conf_path_read(ngx_conf_t *cf, ngx_str_t *directive,
    ngx_str_t *path, u_char *buf)
{
    ssize_t    n;
    ngx_fd_t   fd;
    ngx_err_t  err;

    if (ngx_conf_full_name(cf->cycle, path, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    n = NGX_ERROR;
    fd = ngx_open_file(path->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);
    err = ngx_errno;

    if (fd != NGX_INVALID_FILE) {
        n = ngx_read_fd(fd, buf, NGX_MESH_STORAGE_CONF_READ_MAX);
        err = ngx_errno;

        if (ngx_close_file(fd) == NGX_FILE_ERROR) {
            ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                               ngx_close_file_n " \"%V\" failed", path);
        }
    }

    if (n < 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, err,
                           "\"%V\" cannot read \"%V\"", directive, path);
        return NGX_ERROR;
    }

    return n == NGX_MESH_STORAGE_CONF_READ_MAX ? NGX_ERROR : n;
}


ngx_int_t
ngx_mesh_storage_conf_path_join(ngx_conf_t *cf, ngx_str_t *to,
    ngx_str_t *folder,
    const char *name)
{
    u_char  *p;
    size_t   len;

    len = folder->len + ngx_strlen(name);
    p = ngx_pnalloc(cf->pool, len + 1);

    if (p == NULL) {
        return NGX_ERROR;
    }

    to->data = p;
    to->len = len;

    p = ngx_cpymem(p, folder->data, folder->len);
    (void) ngx_cpystrn(p, (u_char *) name, ngx_strlen(name) + 1);

    return NGX_OK;
}
