/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * "me": the namespace of a participant, from identity's record of its DID,
 * remembered for some seconds.
 *
 * It says names, never what somebody may do: that is asked of the principal
 * each time.  Event loop of one worker; the cache has at most
 * NGX_MESH_STORAGE_CALLER_MAX entries, the one that was used longest ago goes
 * first.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_caller.h"
#include "record.h"


#define NGX_MESH_STORAGE_CALLER_MAX    1024
#define NGX_MESH_STORAGE_CALLER_FRESH  5000            /* ms */
#define NGX_MESH_STORAGE_CALLER_POOL   1024            /* bytes of a job */


typedef struct {
    ngx_str_node_t              sn;        /* str: the DID, behind this */
    ngx_queue_t                 queue;     /* latest use first */
    ngx_msec_t                  read_ms;
    ngx_str_t                   ns;        /* behind the DID */
} ngx_mesh_storage_caller_node_t;


struct ngx_mesh_storage_callers_s {
    ngx_rbtree_t                tree;
    ngx_rbtree_node_t           sentinel;
    ngx_queue_t                 queue;
    ngx_uint_t                  count;
};


static ngx_mesh_storage_caller_node_t *ngx_mesh_storage_caller_lookup(
    ngx_mesh_storage_callers_t *cache, ngx_str_t *did);
static ngx_int_t ngx_mesh_storage_caller_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_caller_parse(ngx_mesh_storage_rest_t *rest,
    bytes_t json);
static void ngx_mesh_storage_caller_add(ngx_mesh_storage_callers_t *cache,
    ngx_str_t *did, bytes_t ns);
static void ngx_mesh_storage_caller_remove(ngx_mesh_storage_callers_t *cache,
    ngx_mesh_storage_caller_node_t *node);
static ngx_int_t ngx_mesh_storage_caller_set(ngx_mesh_storage_rest_t *rest,
    bytes_t ns);


ngx_mesh_storage_callers_t *
ngx_mesh_storage_caller_init(ngx_pool_t *pool)
{
    ngx_mesh_storage_callers_t  *cache;

    cache = ngx_pcalloc(pool, sizeof(ngx_mesh_storage_callers_t));

    if (cache == NULL) {
        return NULL;
    }

    ngx_rbtree_init(&cache->tree, &cache->sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&cache->queue);

    return cache;
}


ngx_int_t
ngx_mesh_storage_caller_find(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_step_pt step)
{
    bytes_t                          did;
    store_read_t                    *read;
    ngx_mesh_store_job_t            *job;
    ngx_mesh_storage_caller_node_t  *node;

    node = ngx_mesh_storage_caller_lookup(rest->mcf->callers,
                                          &rest->principal->did);

    if (node) {
        if (ngx_mesh_storage_caller_set(rest, bytes_make(node->ns.data,
                                                         node->ns.len))
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return step(rest);
    }

    did = bytes_make(rest->principal->did.data, rest->principal->did.len);

    /* identity keeps no longer one */

    if (did.len + sizeof("did/") - 1 > RECORD_KEY_MAX) {
        return step(rest);
    }

    job = ngx_mesh_store_job_create(NGX_MESH_STORAGE_CALLER_POOL,
                                    rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    read = ngx_mesh_store_job_reads(job, 1);

    if (read == NULL) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    read->kind = STORE_GET;
    read->ns = bytes_of(RECORD_NS_IDENTITY);
    read->key = ngx_mesh_storage_rest_key(job->pool, "did/", did,
                                          bytes_make(NULL, 0));

    if (read->key.len == 0) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rest->found = step;

    return ngx_mesh_storage_rest_read(rest, job,
                                      ngx_mesh_storage_caller_done);
}


static ngx_int_t
ngx_mesh_storage_caller_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    if (job->rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    if (job->rows[0].rc == STORE_OK && job->rows[0].count != 0
        && ngx_mesh_storage_caller_parse(rest, job->rows[0].rows[0].value)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return rest->found(rest);
}


static ngx_int_t
ngx_mesh_storage_caller_parse(ngx_mesh_storage_rest_t *rest, bytes_t json)
{
    bytes_writer_t        scratch;
    record_participant_t  record;

    if (ngx_mesh_storage_rest_writer(rest, &scratch, json.len) != NGX_OK) {
        return NGX_ERROR;
    }

    if (record_participant_read(&record, json, &scratch) != 0) {
        ngx_log_error(NGX_LOG_ERR, rest->r->connection->log, 0,
                      "storage: the record of a participant is damaged");
        return NGX_ERROR;
    }

    if (record.removed_ms != 0 || record.ns.len == 0) {
        return NGX_OK;
    }

    if (ngx_mesh_storage_caller_set(rest, record.ns) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_mesh_storage_caller_add(rest->mcf->callers, &rest->principal->did,
                                rest->caller);

    return NGX_OK;
}


/* What is in a row or the cache may go before the request does. */
static ngx_int_t
ngx_mesh_storage_caller_set(ngx_mesh_storage_rest_t *rest, bytes_t ns)
{
    rest->caller = ngx_mesh_storage_rest_key(rest->r->pool, "", ns,
                                             bytes_make(NULL, 0));

    return rest->caller.len ? NGX_OK : NGX_ERROR;
}


static ngx_mesh_storage_caller_node_t *
ngx_mesh_storage_caller_lookup(ngx_mesh_storage_callers_t *cache,
    ngx_str_t *did)
{
    ngx_mesh_storage_caller_node_t  *node;

    node = (ngx_mesh_storage_caller_node_t *)
               ngx_str_rbtree_lookup(&cache->tree, did,
                                     ngx_crc32_long(did->data, did->len));

    if (node == NULL) {
        return NULL;
    }

    if (ngx_current_msec - node->read_ms > NGX_MESH_STORAGE_CALLER_FRESH) {
        ngx_mesh_storage_caller_remove(cache, node);
        return NULL;
    }

    ngx_queue_remove(&node->queue);
    ngx_queue_insert_head(&cache->queue, &node->queue);

    return node;
}


/* Without memory it is only not remembered. */
static void
ngx_mesh_storage_caller_add(ngx_mesh_storage_callers_t *cache,
    ngx_str_t *did, bytes_t ns)
{
    u_char                          *p;
    ngx_queue_t                     *q;
    ngx_mesh_storage_caller_node_t  *node;

    /* two lookups of one DID may have been under way */

    node = ngx_mesh_storage_caller_lookup(cache, did);

    if (node) {
        ngx_mesh_storage_caller_remove(cache, node);
    }

    if (cache->count == NGX_MESH_STORAGE_CALLER_MAX) {
        q = ngx_queue_last(&cache->queue);
        node = ngx_queue_data(q, ngx_mesh_storage_caller_node_t, queue);
        ngx_mesh_storage_caller_remove(cache, node);
    }

    node = ngx_alloc(sizeof(ngx_mesh_storage_caller_node_t) + did->len
                     + ns.len, ngx_cycle->log);

    if (node == NULL) {
        return;
    }

    p = (u_char *) node + sizeof(ngx_mesh_storage_caller_node_t);

    node->sn.str.data = p;
    node->sn.str.len = did->len;
    node->sn.node.key = ngx_crc32_long(did->data, did->len);

    p = ngx_cpymem(p, did->data, did->len);

    node->ns.data = p;
    node->ns.len = ns.len;
    ngx_memcpy(p, ns.data, ns.len);

    node->read_ms = ngx_current_msec;

    ngx_rbtree_insert(&cache->tree, &node->sn.node);
    ngx_queue_insert_head(&cache->queue, &node->queue);
    cache->count++;
}


static void
ngx_mesh_storage_caller_remove(ngx_mesh_storage_callers_t *cache,
    ngx_mesh_storage_caller_node_t *node)
{
    ngx_rbtree_delete(&cache->tree, &node->sn.node);
    ngx_queue_remove(&node->queue);
    cache->count--;

    ngx_free(node);
}
