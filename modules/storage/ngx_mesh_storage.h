/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The storage module: its configuration, and the names by which the REST
 * half keeps things in the store.
 *
 * A REST namespace N is namespace "s/N" of the store; what is in it:
 *
 *     k/<key>              kv: the bytes; meta: Content-Type
 *     d/<collection>/<id>  docs: JSON text
 *     b/<name>             blobs: meta and value say where the bytes are
 *
 * Beside it, not charged and without changes, namespace "x/N" holds what is
 * derived or declared: index definitions and entries of docs, settings.
 *
 *     store   the store's own: its epoch
 *     once    answers of requests that came with an Idempotency-Key
 *     usage   ledger of model usage
 *     blob    references to files of blobs, uploads that are not finished
 */


#ifndef _NGX_MESH_STORAGE_H_INCLUDED_
#define _NGX_MESH_STORAGE_H_INCLUDED_


#include "cursor.h"
#include "ngx_mesh_origin.h"
#include "ngx_mesh_storage_service.h"


#define NGX_MESH_STORAGE_NS_MAX          180   /* bytes, of a REST namespace */
#define NGX_MESH_STORAGE_KEY_MAX         512   /* bytes */
#define NGX_MESH_STORAGE_COLLECTION_MAX  64    /* bytes */
#define NGX_MESH_STORAGE_ID_MAX          128   /* bytes, of a document */
#define NGX_MESH_STORAGE_TYPE_MAX        127   /* bytes, a Content-Type */

#define NGX_MESH_STORAGE_NS_ONCE   "once"
#define NGX_MESH_STORAGE_NS_USAGE  "usage"
#define NGX_MESH_STORAGE_NS_BLOB   "blob"


typedef struct ngx_mesh_storage_callers_s  ngx_mesh_storage_callers_t;


typedef struct {
    ngx_mesh_store_t            *published;    /* first: found by others */

    ngx_mesh_store_t             store;
    ngx_mesh_storage_service_t   service;
    ngx_mesh_principal_api_t    *principal;    /* when "used" */
    ngx_mesh_storage_callers_t  *callers;      /* the same; of this worker */

    ngx_str_t                    path;         /* full, NUL terminated */
    ngx_str_t                    folder;       /* of path, ends with "/" */
    ngx_thread_pool_t           *thread_pool;  /* of reads */
    ngx_int_t                    readers;
    ngx_int_t                    queue;        /* requests */
    ngx_int_t                    cache_size;   /* bytes, a connection */
    ngx_int_t                    wake_size;    /* bytes */
    ngx_uint_t                   durability;   /* 1: full */
    ngx_int_t                    changes_time; /* seconds changes are kept */

    ngx_str_t                    mongo;        /* URI; empty: SQLite.  Secret:
                                                  never logged */
    ngx_int_t                    mongo_threads;

    ngx_str_t                    blobs;        /* folder, ends with "/" */
    ngx_str_t                    search;       /* file of the text index;
                                                  empty: off */
    ngx_str_t                    backups;      /* folder, ends with "/";
                                                  empty: none */
    ngx_int_t                    backup_every; /* seconds; 0: by hand only */
    ngx_int_t                    backup_keep;  /* files; older ones go */

    u_char                       cursor_key[CURSOR_KEY_LEN];
    ngx_str_t                    cursor_key_path;
    unsigned                     used:1;       /* some location serves REST */
} ngx_http_mesh_storage_main_conf_t;


typedef struct {
    ngx_flag_t                   api;          /* mesh_storage_api on */
    ngx_int_t                    value_size;   /* bytes of a value of kv */
    ngx_int_t                    body_size;    /* bytes of a JSON body */
    off_t                        blob_size;    /* bytes of a blob */
    ngx_int_t                    upload_time;  /* seconds, unfinished */
    ngx_int_t                    once_time;    /* seconds answers are kept */
    ngx_int_t                    feeds;        /* open at once, a holder and
                                                  worker */
    store_limits_t               quota;        /* of accounts at the top */
    ngx_mesh_origin_t            origin;
} ngx_http_mesh_storage_loc_conf_t;


extern ngx_module_t  ngx_http_mesh_storage_module;


typedef struct ngx_mesh_storage_rest_s  ngx_mesh_storage_rest_t;

/* What this node is and can, and how it is: "/api/storage" and
   "/api/storage/health" (ngx_mesh_storage_info.c). */
ngx_int_t ngx_mesh_storage_info(ngx_mesh_storage_rest_t *rest);
ngx_int_t ngx_mesh_storage_info_health(ngx_mesh_storage_rest_t *rest);

/* Resources, by the first segment of the path; each is called with all of it
   parsed and returns as a step does (ngx_mesh_storage_rest.h). */

/* Keys: any bytes with their Content-Type. */
ngx_int_t ngx_mesh_storage_kv(ngx_mesh_storage_rest_t *rest);

/* JSON documents in collections, declared indexes, queries. */
ngx_int_t ngx_mesh_storage_docs(ngx_mesh_storage_rest_t *rest);

/* Large bytes, in files. */
ngx_int_t ngx_mesh_storage_blobs(ngx_mesh_storage_rest_t *rest);

/* Resumable uploads (tus 1.0), that end as blobs. */
ngx_int_t ngx_mesh_storage_uploads(ngx_mesh_storage_rest_t *rest);

/* Full text. */
ngx_int_t ngx_mesh_storage_search(ngx_mesh_storage_rest_t *rest);

/* The change feed: long poll, SSE, WebSocket. */
ngx_int_t ngx_mesh_storage_changes(ngx_mesh_storage_rest_t *rest);

/* Many operations, all or nothing. */
ngx_int_t ngx_mesh_storage_batch(ngx_mesh_storage_rest_t *rest);

/* What a namespace holds and may hold. */
ngx_int_t ngx_mesh_storage_quota(ngx_mesh_storage_rest_t *rest);

/* Makes op the check that the namespace ns wants no conditions, of a batch:
   settings are there only when it does.  NGX_OK, NGX_ERROR: out of memory.
   Then 1 when it was that which failed: 428. */
ngx_int_t ngx_mesh_storage_quota_require(ngx_pool_t *pool, bytes_t ns,
    store_op_t *op);
ngx_uint_t ngx_mesh_storage_quota_required(const store_request_t *write);

/* The ledger of model usage. */
ngx_int_t ngx_mesh_storage_usage(ngx_mesh_storage_rest_t *rest);

/* Backups, restore, export, import: each a resource of its own below. */
ngx_int_t ngx_mesh_storage_admin(ngx_mesh_storage_rest_t *rest);

/* Of admin: the folder of backups; rest->path is the name of one. */
ngx_int_t ngx_mesh_storage_backup(ngx_mesh_storage_rest_t *rest);

/* Of admin: the node becomes what a backup holds. */
ngx_int_t ngx_mesh_storage_restore(ngx_mesh_storage_rest_t *rest);

/* Of admin: what is stored as lines of JSON, out and in. */
ngx_int_t ngx_mesh_storage_export(ngx_mesh_storage_rest_t *rest);

/* Of admin: the other way. */
ngx_int_t ngx_mesh_storage_import(ngx_mesh_storage_rest_t *rest);


#endif /* _NGX_MESH_STORAGE_H_INCLUDED_ */
