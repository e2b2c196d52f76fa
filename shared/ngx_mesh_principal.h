/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Who a request acts for, and what they may do: published by the ucan
 * module, used by every other one.
 *
 * The table of functions is the first member of the ucan module's main
 * configuration.  It is found by the module's name in cycle->modules, since
 * no .so links against another, and checked by magic and version.
 */


#ifndef _NGX_MESH_PRINCIPAL_H_INCLUDED_
#define _NGX_MESH_PRINCIPAL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ucan_chain.h"


#define NGX_MESH_PRINCIPAL_MAGIC    0x6d657368   /* "mesh" */
#define NGX_MESH_PRINCIPAL_VERSION  2
#define NGX_MESH_PRINCIPAL_MODULE   "ngx_http_ucan_module"


/* Lives in the pool it was opened with; destroyed with that pool, and so are
   the texts and the chain.  The chain is shared with others who present the
   same token: it is only read, on the event loop. */
typedef struct {
    ngx_str_t      did;           /* the holder */
    ngx_str_t      root;          /* the trust anchor its chain starts at */
    ngx_str_t      cid;           /* of the top token, text */
    time_t         expires;       /* seconds; never later than the chain */
    ngx_uint_t     depth;         /* tokens on the path, top included */
    unsigned       invocation:1;  /* one command only; else a session */
    ucan_chain_t  *chain;         /* shared; bundle and tokens may be read */
    const ucan_http_t  *http;     /* private to the ucan module: facts of the
                                     request it is of, or NULL */
} ngx_mesh_principal_t;


typedef struct ngx_mesh_principal_open_s  ngx_mesh_principal_open_t;

/* A token that is opened; in the pool that it is opened with. */
struct ngx_mesh_principal_open_s {
    ngx_str_t              token;       /* borrowed for the call */
    ngx_str_t              proofs;      /* the same; may be empty */

    /* called once, on the event loop, with the answer in here; may destroy
       the pool */
    void                 (*handler)(ngx_mesh_principal_open_t *open);
    void                  *data;        /* of the caller */

    /* the answer */
    ucan_verdict_t         verdict;
    ngx_mesh_principal_t  *principal;   /* NULL unless verdict is UCAN_OK */
    unsigned               busy:1;      /* no verdict: ask again later */
};


typedef struct {
    ngx_uint_t   magic;
    ngx_uint_t   version;

    /* The principal of the request, or NULL when the location asks for none
       or nobody was authenticated.  Survives internal redirects. */
    ngx_mesh_principal_t *(*get)(ngx_http_request_t *r);

    /* Authenticates token (and proofs, may be empty) outside a request, with
       the trust of the server that scf belongs to: r gives configuration only
       and may be a request that was upgraded.  UCAN_OK and *p, from pool;
       token is copied.  Logs a refusal by CID and reason. */
    ucan_verdict_t (*open)(ngx_http_request_t *r, ngx_pool_t *pool,
        ngx_str_t *token, ngx_str_t *proofs, ngx_mesh_principal_t **p);

    /* The same without keeping the event loop waiting: many signatures are
       checked in a thread.  NGX_OK: the answer is there, handler is not
       called; NGX_AGAIN: handler will be called, unless pool is destroyed
       before.  r is only looked at during the call, but for the log of its
       connection, which must outlive pool. */
    ngx_int_t    (*open_later)(ngx_http_request_t *r, ngx_pool_t *pool,
        ngx_mesh_principal_open_t *open);

    /* May p do this now?  UCAN_OK or why not.  Never blocks; checks at most
       one signature for each token that was not needed before. */
    ucan_verdict_t (*allow)(ngx_mesh_principal_t *p,
        const ucan_request_t *request);

    /* UCAN_OK while the session is neither expired nor revoked.  Cheap. */
    ucan_verdict_t (*alive)(ngx_mesh_principal_t *p);

    /* Adds a CID to the shared set; until is seconds, 0: for ever.  Effective
       in every worker at once.  NGX_OK, or NGX_ERROR: the zone is full
       (logged), and the caller must refuse. */
    ngx_int_t    (*revoke)(ngx_cycle_t *cycle, const cid_t *cid,
        time_t until);

    /* Facts of a server: its own DID (the audience). NULL: none. */
    ngx_str_t   *(*audience)(ngx_http_request_t *r);

    /* Logs the one line that a refusal by allow() or alive() gets: reason,
       the token that failed, holder and command (may be empty).  Called
       right after it; ngx_mesh_reply_verdict() does so by itself. */
    void         (*refuse)(ngx_mesh_principal_t *p, ngx_log_t *log,
        ucan_verdict_t verdict, bytes_t command);

    /* As revoke, but by the holder of that DID (borrowed): it counts against a
       token that this DID issued, or that stands below one it issued. */
    ngx_int_t    (*revoke_by)(ngx_cycle_t *cycle, const cid_t *cid,
        bytes_t did, time_t until);
} ngx_mesh_principal_api_t;


/* A module that publishes something puts a pointer to it first in its main
   configuration.  Returns that main configuration's first pointer, or NULL
   when the module is not loaded.  At request time conf is
   (cycle->conf_ctx of ngx_http_module). */
static ngx_inline void *
ngx_mesh_published(ngx_cycle_t *cycle, const char *name)
{
    void                **main_conf;
    ngx_uint_t            i;
    ngx_http_conf_ctx_t  *ctx;

    if (cycle->conf_ctx == NULL
        || cycle->conf_ctx[ngx_http_module.index] == NULL)
    {
        return NULL;
    }

    ctx = (ngx_http_conf_ctx_t *) cycle->conf_ctx[ngx_http_module.index];

    for (i = 0; cycle->modules[i]; i++) {

        if (cycle->modules[i]->type != NGX_HTTP_MODULE
            || ngx_strcmp(cycle->modules[i]->name, name) != 0)
        {
            continue;
        }

        main_conf = ctx->main_conf[cycle->modules[i]->ctx_index];

        return main_conf ? *main_conf : NULL;
    }

    return NULL;
}


static ngx_inline ngx_mesh_principal_api_t *
ngx_mesh_principal_api(ngx_cycle_t *cycle)
{
    ngx_mesh_principal_api_t  *api;

    api = ngx_mesh_published(cycle, NGX_MESH_PRINCIPAL_MODULE);

    if (api == NULL
        || api->magic != NGX_MESH_PRINCIPAL_MAGIC
        || api->version != NGX_MESH_PRINCIPAL_VERSION)
    {
        return NULL;
    }

    return api;
}


#endif /* _NGX_MESH_PRINCIPAL_H_INCLUDED_ */
