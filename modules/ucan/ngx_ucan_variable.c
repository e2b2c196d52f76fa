/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The get handlers of $ucan_...: what the access phase found, or what it would
 * find when a variable is needed before it.
 */


#include "cbor.h"
#include "did.h"
#include "ngx_ucan_conf.h"
#include "ngx_ucan_request.h"
#include "ngx_ucan_require.h"
#include "ngx_ucan_variable.h"


#define NGX_UCAN_VARIABLE_ARG  "ucan_arg_"


typedef enum {
    NGX_UCAN_VARIABLE_KIND = 0,
    NGX_UCAN_VARIABLE_VERSION,
    NGX_UCAN_VARIABLE_KEY_TYPE,
    NGX_UCAN_VARIABLE_AUDIENCE,
    NGX_UCAN_VARIABLE_COMMAND,
    NGX_UCAN_VARIABLE_PATH
} ngx_ucan_variable_fact_t;


static ngx_int_t ngx_ucan_variable_text(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_ucan_variable_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_ucan_variable_error(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_ucan_variable_fact(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static bytes_t ngx_ucan_variable_version(const ucan_token_t *token);
static bytes_t ngx_ucan_variable_key_type(bytes_t issuer);
static ngx_int_t ngx_ucan_variable_path(ngx_pool_t *pool,
    const ucan_chain_t *chain, bytes_t *text);
static ngx_int_t ngx_ucan_variable_required(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_ucan_variable_arg(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_uint_t ngx_ucan_variable_arg_find(bytes_t args, bytes_t name,
    cbor_item_t *value);
static void ngx_ucan_variable_set(ngx_http_variable_value_t *v, bytes_t text);
static ngx_ucan_request_t *ngx_ucan_variable_find(
    ngx_http_request_t *r);


static ngx_http_variable_t  ngx_ucan_variables[] = {

    { ngx_string("ucan_issuer"), NULL, ngx_ucan_variable_text,
      offsetof(ngx_mesh_principal_t, did),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ucan_root"), NULL, ngx_ucan_variable_text,
      offsetof(ngx_mesh_principal_t, root),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ucan_cid"), NULL, ngx_ucan_variable_text,
      offsetof(ngx_mesh_principal_t, cid),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ucan_expires"), NULL, ngx_ucan_variable_number,
      offsetof(ngx_mesh_principal_t, expires),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ucan_depth"), NULL, ngx_ucan_variable_number,
      offsetof(ngx_mesh_principal_t, depth),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ucan_path"), NULL, ngx_ucan_variable_fact,
      NGX_UCAN_VARIABLE_PATH,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ucan_kind"), NULL, ngx_ucan_variable_fact,
      NGX_UCAN_VARIABLE_KIND,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ucan_version"), NULL, ngx_ucan_variable_fact,
      NGX_UCAN_VARIABLE_VERSION,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ucan_key_type"), NULL, ngx_ucan_variable_fact,
      NGX_UCAN_VARIABLE_KEY_TYPE,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ucan_audience"), NULL, ngx_ucan_variable_fact,
      NGX_UCAN_VARIABLE_AUDIENCE,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ucan_command"), NULL, ngx_ucan_variable_fact,
      NGX_UCAN_VARIABLE_COMMAND,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string(NGX_UCAN_VARIABLE_ARG), NULL, ngx_ucan_variable_arg, 0,
      NGX_HTTP_VAR_NOCACHEABLE|NGX_HTTP_VAR_PREFIX, 0 },

    { ngx_string("ucan_required"), NULL, ngx_ucan_variable_required, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ucan_error"), NULL, ngx_ucan_variable_error, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


static ngx_int_t
ngx_ucan_variable_text(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t            *s;
    ngx_ucan_request_t  *ctx;

    ctx = ngx_ucan_variable_find(r);

    if (ctx == NULL || ctx->principal == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    s = (ngx_str_t *) ((u_char *) ctx->principal + data);

    v->len = s->len;
    v->data = s->data;
    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_ucan_variable_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_int_t            *n;
    ngx_ucan_request_t  *ctx;

    ctx = ngx_ucan_variable_find(r);

    if (ctx == NULL || ctx->principal == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = ngx_pnalloc(r->pool, NGX_INT_T_LEN);

    if (v->data == NULL) {
        return NGX_ERROR;
    }

    /* time_t and ngx_uint_t are as wide as ngx_int_t wherever nginx runs */
    n = (ngx_int_t *) ((u_char *) ctx->principal + data);

    v->len = ngx_sprintf(v->data, "%i", *n) - v->data;
    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_ucan_variable_error(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_ucan_request_t  *ctx;

    ctx = ngx_ucan_variable_find(r);

    if (ctx == NULL || ctx->error == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = (u_char *) ctx->error;
    v->len = ngx_strlen(ctx->error);
    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_ucan_variable_fact(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    bytes_t               text;
    ucan_chain_t         *chain;
    ngx_ucan_request_t   *ctx;

    ctx = ngx_ucan_variable_find(r);

    if (ctx == NULL || ctx->principal == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    chain = ctx->principal->chain;
    text = bytes_make(NULL, 0);

    switch ((ngx_ucan_variable_fact_t) data) {

    case NGX_UCAN_VARIABLE_KIND:
        text = bytes_of(ctx->principal->invocation ? "invocation"
                                                   : "session");
        break;

    case NGX_UCAN_VARIABLE_VERSION:
        text = ngx_ucan_variable_version(chain->bundle->top);
        break;

    case NGX_UCAN_VARIABLE_KEY_TYPE:
        text = ngx_ucan_variable_key_type(chain->issuer);
        break;

    case NGX_UCAN_VARIABLE_AUDIENCE:
        text = chain->bundle->top->aud;
        break;

    case NGX_UCAN_VARIABLE_COMMAND:
        if (ctx->principal->invocation) {
            text = chain->bundle->top->cmd;
        }

        break;

    case NGX_UCAN_VARIABLE_PATH:
        if (ngx_ucan_variable_path(r->pool, chain, &text) != NGX_OK) {
            return NGX_ERROR;
        }

        break;
    }

    ngx_ucan_variable_set(v, text);

    return NGX_OK;
}


static bytes_t
ngx_ucan_variable_version(const ucan_token_t *token)
{
    switch (token->version) {

    case UCAN_TOKEN_VERSION_08:
        return bytes_of("0.8");

    case UCAN_TOKEN_VERSION_09:
        return bytes_of("0.9");

    case UCAN_TOKEN_VERSION_10:
        return bytes_of("0.10");

    default:
        return bytes_of("1.0");
    }
}


static bytes_t
ngx_ucan_variable_key_type(bytes_t issuer)
{
    did_key_t           key;
    static const char  *names[DID_ALGORITHM_COUNT] = {
        [DID_ED25519] = "ed25519",
        [DID_P256] = "p-256",
        [DID_SECP256K1] = "secp256k1",
        [DID_RSA] = "rsa",
        [DID_P384] = "p-384",
        [DID_P521] = "p-521"
    };

    if (did_parse(issuer, &key) != 0) {
        return bytes_make(NULL, 0);
    }

    return bytes_of(names[key.algorithm]);
}


/* CIDs from the root to the top. */

static ngx_int_t
ngx_ucan_variable_path(ngx_pool_t *pool, const ucan_chain_t *chain,
    bytes_t *text)
{
    size_t           i, size;
    u_char          *p;
    bytes_writer_t   w;

    size = (chain->path_count + 1) * (CID_TEXT_LEN + 1);
    p = ngx_pnalloc(pool, size);

    if (p == NULL) {
        return NGX_ERROR;
    }

    bytes_writer_open(&w, p, size);

    for (i = 0; i < chain->path_count; i++) {
        cid_write(&chain->path[i]->cid, &w);
        bytes_writer_byte(&w, ',');
    }

    cid_write(&chain->cid, &w);

    *text = bytes_writer_view(&w);

    return NGX_OK;
}


/* What the location demands, whoever asks. */

static ngx_int_t
ngx_ucan_variable_required(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t             text;
    ngx_ucan_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_ucan_module);

    if (lcf->enable == NGX_UCAN_CONF_OFF || lcf->requirements == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    if (ngx_ucan_require_write(r->pool, lcf->requirements, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_ucan_variable_set(v, bytes_make(text.data, text.len));

    return NGX_OK;
}


static ngx_int_t
ngx_ucan_variable_arg(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    u_char              *p;
    bytes_t              name;
    ngx_str_t           *variable;
    cbor_item_t          value;
    ngx_ucan_request_t  *ctx;

    variable = (ngx_str_t *) data;

    name = bytes_make(variable->data + sizeof(NGX_UCAN_VARIABLE_ARG) - 1,
                      variable->len - (sizeof(NGX_UCAN_VARIABLE_ARG) - 1));

    ctx = ngx_ucan_variable_find(r);

    if (ctx == NULL || ctx->principal == NULL || !ctx->principal->invocation
        || !ngx_ucan_variable_arg_find(
                ctx->principal->chain->bundle->top->args, name, &value))
    {
        v->not_found = 1;
        return NGX_OK;
    }

    switch (value.type) {

    case CBOR_TEXT:
        ngx_ucan_variable_set(v, value.bytes);
        return NGX_OK;

    case CBOR_BOOL:
        ngx_ucan_variable_set(v, bytes_of(value.integer ? "true" : "false"));
        return NGX_OK;

    case CBOR_INTEGER:
        p = ngx_pnalloc(r->pool, NGX_INT64_LEN);

        if (p == NULL) {
            return NGX_ERROR;
        }

        ngx_ucan_variable_set(v, bytes_make(p, ngx_sprintf(p, "%L",
                                                           value.integer)
                                               - p));
        return NGX_OK;

    default:
        v->not_found = 1;
        return NGX_OK;
    }
}


/* nginx knows the names of its variables in lower case only; what two names
   could stand for is nothing. */

static ngx_uint_t
ngx_ucan_variable_arg_find(bytes_t args, bytes_t name, cbor_item_t *value)
{
    size_t          i;
    ngx_uint_t      found;
    cbor_item_t     map, key, item;
    bytes_reader_t  reader;

    if (name.len == 0 || cbor_read(args, &map) != 0 || map.type != CBOR_MAP) {
        return 0;
    }

    found = 0;
    bytes_reader_open(&reader, map.body);

    for (i = 0; i < map.count; i++) {

        if (cbor_next(&reader, &key) != 0 || cbor_next(&reader, &item) != 0) {
            return 0;
        }

        if (key.bytes.len == name.len
            && ngx_strncasecmp((u_char *) key.bytes.data,
                               (u_char *) name.data, name.len)
               == 0)
        {
            *value = item;
            found++;
        }
    }

    return found == 1;
}


/* Texts of a token go into headers: one that could end a line is none. */

static void
ngx_ucan_variable_set(ngx_http_variable_value_t *v, bytes_t text)
{
    size_t  i;

    for (i = 0; i < text.len; i++) {
        if (text.data[i] < ' ' || text.data[i] == 0x7f) {
            v->not_found = 1;
            return;
        }
    }

    if (text.data == NULL) {
        v->not_found = 1;
        return;
    }

    v->data = (u_char *) text.data;
    v->len = text.len;
    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;
}


/* limit_req and map ask before the access phase: then it is found out now.
   Not once the response has begun: what was never checked is not checked for
   the log. */

static ngx_ucan_request_t *
ngx_ucan_variable_find(ngx_http_request_t *r)
{
    ngx_ucan_request_t       *ctx;
    ngx_ucan_loc_conf_t  *lcf;

    ctx = ngx_ucan_request_find(r);

    if (ctx || r != r->main || r->header_sent) {
        return ctx;
    }

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_ucan_module);

    if (lcf->enable == NGX_UCAN_CONF_OFF) {
        return NULL;
    }

    return ngx_ucan_request_authenticate(r);
}


ngx_int_t
ngx_ucan_variable_add(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_ucan_variables; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);

        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}
