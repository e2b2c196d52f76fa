/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The identity module: directives, the routes of its API, and what a worker
 * sets up.  Everything behind a route is in a file of its own.
 *
 * The key of the mesh is read while the configuration is, checked, and never
 * made; it is wiped with the configuration that read it.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <sodium.h>

#include "ngx_mesh_identity.h"


#define NGX_HTTP_MESH_IDENTITY_HASH_MAX     2
#define NGX_HTTP_MESH_IDENTITY_HASH_QUEUE   64
#define NGX_HTTP_MESH_IDENTITY_SESSION      (12 * 60 * 60)   /* seconds */
#define NGX_HTTP_MESH_IDENTITY_SESSION_MAX  (24 * 60 * 60)
#define NGX_HTTP_MESH_IDENTITY_KEY_SIZE     256              /* bytes */


static ngx_int_t ngx_http_mesh_identity_handler(ngx_http_request_t *r);
static void *ngx_http_mesh_identity_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_mesh_identity_init_main_conf(ngx_conf_t *cf,
    void *conf);
static void *ngx_http_mesh_identity_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_mesh_identity_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);
static char *ngx_http_mesh_identity(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_mesh_identity_key(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_mesh_identity_key_read(ngx_conf_t *cf,
    ngx_str_t *path, u_char *text, size_t *len);
static void ngx_http_mesh_identity_key_cleanup(void *data);
static char *ngx_http_mesh_identity_pool(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_mesh_identity_url(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_mesh_identity_bounds(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_mesh_identity_session(ngx_conf_t *cf, void *post,
    void *data);
static ngx_int_t ngx_http_mesh_identity_init(ngx_conf_t *cf);
static ngx_uint_t ngx_http_mesh_identity_revokes(ngx_conf_t *cf);
static ngx_int_t ngx_http_mesh_identity_init_process(ngx_cycle_t *cycle);


static ngx_conf_post_t  ngx_http_mesh_identity_bounds_post = {
    ngx_http_mesh_identity_bounds
};

static ngx_conf_post_t  ngx_http_mesh_identity_session_post = {
    ngx_http_mesh_identity_session
};


static ngx_conf_enum_t  ngx_http_mesh_identity_registrations[] = {
    { ngx_string("open"), NGX_MESH_IDENTITY_OPEN },
    { ngx_string("invite"), NGX_MESH_IDENTITY_INVITE },
    { ngx_string("closed"), NGX_MESH_IDENTITY_CLOSED },
    { ngx_null_string, 0 }
};

static ngx_conf_enum_t  ngx_http_mesh_identity_visibilities[] = {
    { ngx_string("public"), NGX_MESH_IDENTITY_PUBLIC },
    { ngx_string("private"), NGX_MESH_IDENTITY_PRIVATE },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_http_mesh_identity_commands[] = {

    { ngx_string("mesh_identity"),
      NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_mesh_identity,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_identity_loc_conf_t, enabled),
      NULL },

    { ngx_string("mesh_identity_key"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_mesh_identity_key,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mesh_identity_thread_pool"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_mesh_identity_pool,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mesh_identity_hash_max"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_mesh_identity_main_conf_t, hash_max),
      &ngx_http_mesh_identity_bounds_post },

    { ngx_string("mesh_identity_hash_queue"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_mesh_identity_main_conf_t, hash_queue),
      NULL },

    { ngx_string("mesh_identity_registration"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_mesh_identity_main_conf_t, registration),
      &ngx_http_mesh_identity_registrations },

    { ngx_string("mesh_identity_visibility"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_mesh_identity_main_conf_t, visibility),
      &ngx_http_mesh_identity_visibilities },

    { ngx_string("mesh_identity_session_time"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_sec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_mesh_identity_main_conf_t, session_time),
      &ngx_http_mesh_identity_session_post },

    { ngx_string("mesh_identity_url"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_mesh_identity_url,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("mesh_identity_host"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF
                        |NGX_CONF_1MORE,
      ngx_mesh_origin_host_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_identity_loc_conf_t, origin),
      NULL },

    { ngx_string("mesh_identity_origin"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF
                        |NGX_CONF_1MORE,
      ngx_mesh_origin_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_mesh_identity_loc_conf_t, origin),
      NULL },

      ngx_null_command
};


static ngx_mesh_route_t  ngx_http_mesh_identity_routes[] = {
    { NGX_HTTP_GET, "/api/setup/status", ngx_mesh_identity_setup_status },
    { NGX_HTTP_POST, "/api/setup/init", ngx_mesh_identity_account_setup },

    { NGX_HTTP_POST, "/api/auth/register", ngx_mesh_identity_account_create },
    { NGX_HTTP_POST, "/api/auth/login", ngx_mesh_identity_login_open },
    { NGX_HTTP_POST, "/api/auth/guest", ngx_mesh_identity_account_guest },
    { NGX_HTTP_GET, "/api/auth/me", ngx_mesh_identity_login_me },
    { NGX_HTTP_POST, "/api/auth/logout", ngx_mesh_identity_removal_logout },

    { NGX_HTTP_POST, "/api/invites", ngx_mesh_identity_invite_create },

    { NGX_HTTP_GET, "/api/participants/:", ngx_mesh_identity_login_find },
    { NGX_HTTP_PATCH, "/api/participants/:", ngx_mesh_identity_assign_role },
    { NGX_HTTP_DELETE, "/api/participants/:",
      ngx_mesh_identity_removal_delete },

    { NGX_HTTP_GET, "/api/roles", ngx_mesh_identity_role_list },
    { NGX_HTTP_POST, "/api/roles", ngx_mesh_identity_role_create },
    { NGX_HTTP_PATCH, "/api/roles/:", ngx_mesh_identity_role_update },
    { NGX_HTTP_DELETE, "/api/roles/:", ngx_mesh_identity_role_delete },

    { NGX_HTTP_GET, "/api/ucan/revocations",
      ngx_mesh_identity_revocation_list },
    { NGX_HTTP_POST, "/api/ucan/revocations",
      ngx_mesh_identity_revoke_create },

    { NGX_HTTP_GET, "/api/ucan/delegations",
      ngx_mesh_identity_delegation_list },
    { NGX_HTTP_POST, "/api/ucan/delegations",
      ngx_mesh_identity_deposit_create },
    { NGX_HTTP_GET, "/api/ucan/delegations/:",
      ngx_mesh_identity_delegation_find },
    { NGX_HTTP_DELETE, "/api/ucan/delegations/:",
      ngx_mesh_identity_delegation_delete },

    { NGX_HTTP_POST, "/api/agents/bootstrap",
      ngx_mesh_identity_agent_bootstrap },

    { 0, NULL, NULL }
};


static ngx_http_module_t  ngx_http_mesh_identity_module_ctx = {
    NULL,                                      /* preconfiguration */
    ngx_http_mesh_identity_init,               /* postconfiguration */

    ngx_http_mesh_identity_create_main_conf,   /* create main conf */
    ngx_http_mesh_identity_init_main_conf,     /* init main conf */

    NULL,                                      /* create server conf */
    NULL,                                      /* merge server conf */

    ngx_http_mesh_identity_create_loc_conf,    /* create location conf */
    ngx_http_mesh_identity_merge_loc_conf      /* merge location conf */
};


ngx_module_t  ngx_http_mesh_identity_module = {
    NGX_MODULE_V1,
    &ngx_http_mesh_identity_module_ctx,        /* module context */
    ngx_http_mesh_identity_commands,           /* module directives */
    NGX_HTTP_MODULE,                           /* module type */
    NULL,                                      /* init master */
    NULL,                                      /* init module */
    ngx_http_mesh_identity_init_process,       /* init process */
    NULL,                                      /* init thread */
    NULL,                                      /* exit thread */
    NULL,                                      /* exit process */
    NULL,                                      /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_mesh_identity_handler(ngx_http_request_t *r)
{
    problem_t                            problem;
    ngx_http_mesh_identity_loc_conf_t   *lcf;
    ngx_http_mesh_identity_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_mesh_identity_module);

    if (mcf->worker == NULL || !mcf->worker->ready) {
        return ngx_mesh_reply_problem(r, PROBLEM_STORE_DOWN,
                   "the store of this node cannot be read yet, try again");
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD|NGX_HTTP_OPTIONS))) {

        lcf = ngx_http_get_module_loc_conf(r, ngx_http_mesh_identity_module);

        if (ngx_mesh_origin_check(r, &lcf->origin, &problem) != NGX_OK) {
            return ngx_mesh_reply_problem(r, problem,
                       "writes are taken for this node's own names only, see "
                       "mesh_identity_host and mesh_identity_origin");
        }
    }

    return ngx_mesh_route(r, ngx_http_mesh_identity_routes);
}


static void *
ngx_http_mesh_identity_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_mesh_identity_main_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_mesh_identity_main_conf_t));

    if (mcf == NULL) {
        return NULL;
    }

    /* set by ngx_pcalloc():
     *
     *     mcf->key = NULL;
     *     mcf->did = { 0, NULL };
     *     mcf->pool = NULL;
     *     mcf->url = { 0, NULL };
     *     mcf->used = 0;
     *     mcf->worker = NULL;
     */

    mcf->hash_max = NGX_CONF_UNSET_UINT;
    mcf->hash_queue = NGX_CONF_UNSET_UINT;
    mcf->registration = NGX_CONF_UNSET_UINT;
    mcf->visibility = NGX_CONF_UNSET_UINT;
    mcf->session_time = NGX_CONF_UNSET;

    return mcf;
}


static char *
ngx_http_mesh_identity_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_mesh_identity_main_conf_t *mcf = conf;

    ngx_conf_init_uint_value(mcf->hash_max, NGX_HTTP_MESH_IDENTITY_HASH_MAX);
    ngx_conf_init_uint_value(mcf->hash_queue,
                             NGX_HTTP_MESH_IDENTITY_HASH_QUEUE);
    ngx_conf_init_value(mcf->session_time, NGX_HTTP_MESH_IDENTITY_SESSION);

    /* "registration" and "visibility" stay unset: then the choice of the
       first run holds */

    if (mcf->used && mcf->pool == NULL) {
        mcf->pool = ngx_thread_pool_add(cf, NULL);

        if (mcf->pool == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static void *
ngx_http_mesh_identity_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_mesh_identity_loc_conf_t  *lcf;

    lcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_mesh_identity_loc_conf_t));

    if (lcf == NULL) {
        return NULL;
    }

    lcf->enabled = NGX_CONF_UNSET;
    ngx_mesh_origin_init(&lcf->origin);

    return lcf;
}


static char *
ngx_http_mesh_identity_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_mesh_identity_loc_conf_t *prev = parent;
    ngx_http_mesh_identity_loc_conf_t *conf = child;

    ngx_conf_merge_value(conf->enabled, prev->enabled, 0);

    return ngx_mesh_origin_merge(cf, &prev->origin, &conf->origin);
}


static char *
ngx_http_mesh_identity(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                                *rv;
    ngx_http_core_loc_conf_t            *clcf;
    ngx_http_mesh_identity_loc_conf_t   *lcf = conf;
    ngx_http_mesh_identity_main_conf_t  *mcf;

    rv = ngx_conf_set_flag_slot(cf, cmd, conf);

    if (rv != NGX_CONF_OK || !lcf->enabled) {
        return rv;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_mesh_identity_handler;

    mcf = ngx_http_conf_get_module_main_conf(cf,
                                             ngx_http_mesh_identity_module);
    mcf->used = 1;

    return NGX_CONF_OK;
}


static char *
ngx_http_mesh_identity_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    int                                  rc;
    size_t                               len;
    u_char                               text[NGX_HTTP_MESH_IDENTITY_KEY_SIZE];
    u_char                               seed[SIGNATURE_SEED_LEN];
    ngx_str_t                            path, *value;
    ngx_pool_cleanup_t                  *cln;
    ngx_http_mesh_identity_main_conf_t  *mcf = conf;

    if (mcf->key) {
        return "is duplicate";
    }

    if (sodium_init() < 0) {
        return "needs libsodium, which could not be initialized";
    }

    value = cf->args->elts;
    path = value[1];

    if (ngx_conf_full_name(cf->cycle, &path, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(signature_key_t));

    if (cln == NULL
        || ngx_http_mesh_identity_key_read(cf, &path, text, &len) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    rc = signature_seed_parse(bytes_make(text, len), "ed25519", seed);
    sodium_memzero(text, sizeof(text));

    if (rc != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"mesh_identity_key\": \"%V\" is not a key file; "
                           "\"mesh init\" makes one", &path);
        return NGX_CONF_ERROR;
    }

    mcf->key = cln->data;
    ngx_memzero(mcf->key, sizeof(signature_key_t));
    cln->handler = ngx_http_mesh_identity_key_cleanup;

    signature_key_open(mcf->key, seed);
    sodium_memzero(seed, sizeof(seed));

    mcf->did.data = (u_char *) mcf->key->did;
    mcf->did.len = sizeof(mcf->key->did);

    return NGX_CONF_OK;
}


/* The file's bytes: it is small, or it is no key. */

static ngx_int_t
ngx_http_mesh_identity_key_read(ngx_conf_t *cf, ngx_str_t *path,
    u_char *text, size_t *len)
{
    ssize_t          n;
    ngx_fd_t         fd;
    ngx_file_info_t  fi;

    fd = ngx_open_file(path->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "\"mesh_identity_key\": cannot open \"%V\"; "
                           "\"mesh init\" makes one", path);
        return NGX_ERROR;
    }

    if (ngx_fd_info(fd, &fi) != NGX_FILE_ERROR && (fi.st_mode & 077) != 0) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"mesh_identity_key\": \"%V\" can be read by "
                           "others; make its mode 0600", path);
    }

    n = read(fd, text, NGX_HTTP_MESH_IDENTITY_KEY_SIZE);

    if (n == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "\"mesh_identity_key\": cannot read \"%V\"", path);
    }

    (void) ngx_close_file(fd);

    *len = (n == -1) ? 0 : (size_t) n;

    return (n == -1) ? NGX_ERROR : NGX_OK;
}


static void
ngx_http_mesh_identity_key_cleanup(void *data)
{
    sodium_memzero(data, sizeof(signature_key_t));
}


static char *
ngx_http_mesh_identity_pool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                           *value;
    ngx_http_mesh_identity_main_conf_t  *mcf = conf;

    if (mcf->pool) {
        return "is duplicate";
    }

    value = cf->args->elts;

    /* an unknown pool is nginx's own error, at -t */

    mcf->pool = ngx_thread_pool_add(cf, &value[1]);

    return mcf->pool ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_http_mesh_identity_url(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char                              *p;
    size_t                               skip;
    ngx_str_t                           *value, url;
    ngx_http_mesh_identity_main_conf_t  *mcf = conf;

    if (mcf->url.data) {
        return "is duplicate";
    }

    value = cf->args->elts;
    url = value[1];

    if (ngx_strncmp(url.data, "http://", sizeof("http://") - 1) == 0) {
        skip = sizeof("http://") - 1;

    } else if (ngx_strncmp(url.data, "https://", sizeof("https://") - 1)
               == 0)
    {
        skip = sizeof("https://") - 1;

    } else {
        return "must be an origin such as \"https://mesh.example.org\"";
    }

    for (p = url.data + skip; p < url.data + url.len; p++) {

        if (*p <= ' ' || *p == '/' || *p == '?' || *p == '#' || *p == '"') {
            return "must be an origin without a path, such as "
                   "\"https://mesh.example.org\"";
        }
    }

    if (url.len == skip) {
        return "must be an origin such as \"https://mesh.example.org\"";
    }

    mcf->url = url;

    return NGX_CONF_OK;
}


static char *
ngx_http_mesh_identity_bounds(ngx_conf_t *cf, void *post, void *data)
{
    ngx_int_t *n = data;

    if (*n < 1 || *n > 64) {
        return "must be from 1 to 64";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_mesh_identity_session(ngx_conf_t *cf, void *post, void *data)
{
    time_t *seconds = data;

    if (*seconds < 1 || *seconds > NGX_HTTP_MESH_IDENTITY_SESSION_MAX) {
        return "must be from 1s to 24h";
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_mesh_identity_init(ngx_conf_t *cf)
{
    ngx_http_mesh_identity_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf,
                                             ngx_http_mesh_identity_module);
    if (!mcf->used) {
        return NGX_OK;
    }

    if (mcf->key == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"mesh_identity\" needs \"mesh_identity_key "
                           "PATH\" in http; \"mesh init\" makes the key");
        return NGX_ERROR;
    }

    if (ngx_mesh_store_require(cf, "mesh_identity", NGX_MESH_PRINCIPAL_MODULE)
        != NGX_OK
        || ngx_mesh_store_require(cf, "mesh_identity", NGX_MESH_STORE_MODULE)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* without it nobody could be logged out or removed */

    if (!ngx_http_mesh_identity_revokes(cf)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"mesh_identity\" needs \"ucan_revocation_zone "
                           "NAME:SIZE\" in http, such as \"revocations:4m\"");
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* 1 when the ucan module has a zone: the only one it ever makes. */

static ngx_uint_t
ngx_http_mesh_identity_revokes(ngx_conf_t *cf)
{
    ngx_uint_t        i;
    ngx_module_t     *module;
    ngx_shm_zone_t   *zone;
    ngx_list_part_t  *part;

    module = NULL;

    for (i = 0; cf->cycle->modules[i]; i++) {
        if (ngx_strcmp(cf->cycle->modules[i]->name, NGX_MESH_PRINCIPAL_MODULE)
            == 0)
        {
            module = cf->cycle->modules[i];
        }
    }

    for (part = &cf->cycle->shared_memory.part; part; part = part->next) {

        zone = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (module && zone[i].tag == module) {
                return 1;
            }
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_mesh_identity_init_process(ngx_cycle_t *cycle)
{
    ngx_mesh_identity_worker_t          *worker;
    ngx_http_mesh_identity_main_conf_t  *mcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    mcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_mesh_identity_module);
    if (mcf == NULL || !mcf->used) {
        return NGX_OK;
    }

    worker = ngx_pcalloc(cycle->pool, sizeof(ngx_mesh_identity_worker_t));

    if (worker == NULL) {
        return NGX_ERROR;
    }

    worker->mcf = mcf;
    worker->log = cycle->log;
    worker->principal = ngx_mesh_principal_api(cycle);
    worker->store = ngx_mesh_store(cycle);

    if (worker->principal == NULL || worker->store == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "identity: the ucan and storage modules that are loaded "
                      "are of another version");
        return NGX_ERROR;
    }

    ngx_queue_init(&worker->queue);

    if (ngx_mesh_identity_throttle_init(cycle, worker) != NGX_OK) {
        return NGX_ERROR;
    }

    mcf->worker = worker;

    ngx_mesh_identity_revocation_init(worker);

    return NGX_OK;
}
