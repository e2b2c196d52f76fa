/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Who a DID is: identity's record, read from the store and remembered for
 * some seconds, so that a talkative participant costs one read now and then.
 *
 * The cache says names, never what somebody may do: a participant who was
 * removed has no chain left, and that is asked each time.  Lives on the
 * event loop of one worker; at most NGX_MESH_ROOM_PARTICIPANT_MAX entries,
 * the one that was used longest ago goes first.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_room.h"


#define NGX_MESH_ROOM_PARTICIPANT_MAX     1024
#define NGX_MESH_ROOM_PARTICIPANT_FRESH   5000     /* ms */
#define NGX_MESH_ROOM_PARTICIPANT_POOL    2048     /* bytes of a job */


typedef struct {
    ngx_str_node_t               sn;           /* str: the DID */
    ngx_queue_t                  queue;        /* latest use first */
    ngx_msec_t                   read_ms;
    ngx_mesh_room_participant_t  participant;  /* texts behind the struct */
} ngx_mesh_room_participant_node_t;


struct ngx_mesh_room_participants_s {
    ngx_rbtree_t                 tree;
    ngx_rbtree_node_t            sentinel;
    ngx_queue_t                  queue;
    ngx_uint_t                   count;
};


typedef struct {
    ngx_http_mesh_room_main_conf_t  *mcf;
    ngx_mesh_room_participant_pt     then;
} ngx_mesh_room_participant_lookup_t;


static ngx_mesh_room_participant_node_t *ngx_mesh_room_participant_find(
    ngx_mesh_room_participants_t *cache, ngx_str_t *did);
static void ngx_mesh_room_participant_done(ngx_mesh_store_job_t *job);
static problem_t ngx_mesh_room_participant_parse(ngx_mesh_store_job_t *job,
    ngx_mesh_room_participant_t *participant);
static void ngx_mesh_room_participant_add(
    ngx_mesh_room_participants_t *cache,
    const ngx_mesh_room_participant_t *participant);
static void ngx_mesh_room_participant_remove(
    ngx_mesh_room_participants_t *cache,
    ngx_mesh_room_participant_node_t *node);
static u_char *ngx_mesh_room_participant_put(ngx_str_t *to,
    const ngx_str_t *from, u_char *p);


ngx_mesh_room_participants_t *
ngx_mesh_room_participant_init(ngx_pool_t *pool)
{
    ngx_mesh_room_participants_t  *cache;

    cache = ngx_pcalloc(pool, sizeof(ngx_mesh_room_participants_t));
    if (cache == NULL) {
        return NULL;
    }

    ngx_rbtree_init(&cache->tree, &cache->sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&cache->queue);

    return cache;
}


ngx_int_t
ngx_mesh_room_participant_get(ngx_http_mesh_room_main_conf_t *mcf,
    ngx_str_t *did, ngx_mesh_room_participant_pt then, void *data,
    ngx_mesh_store_job_t **job)
{
    bytes_t                              none = bytes_make(NULL, 0);
    ngx_int_t                            rc;
    store_read_t                        *read;
    ngx_mesh_store_job_t                *j;
    ngx_mesh_room_participant_node_t    *node;
    ngx_mesh_room_participant_lookup_t  *lookup;

    node = ngx_mesh_room_participant_find(mcf->participants, did);

    if (node != NULL) {
        then(data, &node->participant, PROBLEM_COUNT);
        return NGX_OK;
    }

    j = ngx_mesh_store_job_create(NGX_MESH_ROOM_PARTICIPANT_POOL, mcf->log);
    if (j == NULL) {
        return NGX_ERROR;
    }

    lookup = ngx_palloc(j->pool, sizeof(ngx_mesh_room_participant_lookup_t));
    read = ngx_mesh_store_job_reads(j, 1);

    if (lookup == NULL || read == NULL) {
        goto failed;
    }

    lookup->mcf = mcf;
    lookup->then = then;

    read->kind = STORE_GET;
    read->ns = bytes_of(RECORD_NS_IDENTITY);
    read->key = ngx_mesh_room_record_key(j->pool, "did",
                                         bytes_make(did->data, did->len),
                                         none);
    if (read->key.len == 0) {
        goto failed;
    }

    if (read->key.len > RECORD_KEY_MAX) {
        ngx_mesh_store_job_destroy(mcf->store, j);
        then(data, NULL, PROBLEM_NOT_A_PARTICIPANT);
        return NGX_OK;
    }

    j->context = lookup;
    j->data = data;
    j->done = ngx_mesh_room_participant_done;

    rc = mcf->store->read(j);

    if (rc != NGX_OK) {
        ngx_mesh_store_job_destroy(mcf->store, j);
        return rc;
    }

    *job = j;

    return NGX_AGAIN;

failed:

    ngx_mesh_store_job_destroy(mcf->store, j);

    return NGX_ERROR;
}


static ngx_mesh_room_participant_node_t *
ngx_mesh_room_participant_find(ngx_mesh_room_participants_t *cache,
    ngx_str_t *did)
{
    ngx_mesh_room_participant_node_t  *node;

    node = (ngx_mesh_room_participant_node_t *)
               ngx_str_rbtree_lookup(&cache->tree, did,
                                     ngx_crc32_long(did->data, did->len));

    if (node == NULL) {
        return NULL;
    }

    if (ngx_current_msec - node->read_ms > NGX_MESH_ROOM_PARTICIPANT_FRESH) {
        ngx_mesh_room_participant_remove(cache, node);
        return NULL;
    }

    ngx_queue_remove(&node->queue);
    ngx_queue_insert_head(&cache->queue, &node->queue);

    return node;
}


static void
ngx_mesh_room_participant_done(ngx_mesh_store_job_t *job)
{
    problem_t                            problem;
    ngx_mesh_room_participant_t          participant;
    ngx_http_mesh_room_main_conf_t      *mcf;
    ngx_mesh_room_participant_lookup_t  *lookup;

    lookup = job->context;
    mcf = lookup->mcf;

    problem = ngx_mesh_room_participant_parse(job, &participant);

    if (problem == PROBLEM_COUNT) {
        ngx_mesh_room_participant_add(mcf->participants, &participant);
    }

    if (job->data != NULL) {
        lookup->then(job->data,
                     problem == PROBLEM_COUNT ? &participant : NULL, problem);
    }

    ngx_mesh_store_job_destroy(mcf->store, job);
}


/* PROBLEM_COUNT and the participant, in the job's pool; or why there is
   none. */
static problem_t
ngx_mesh_room_participant_parse(ngx_mesh_store_job_t *job,
    ngx_mesh_room_participant_t *participant)
{
    bytes_t               value;
    u_char               *p;
    store_rc_t            rc;
    bytes_writer_t        scratch;
    record_participant_t  record;

    rc = (job->rc != STORE_OK) ? job->rc : job->rows[0].rc;

    if (rc == STORE_ABSENT) {
        return PROBLEM_NOT_A_PARTICIPANT;
    }

    if (rc != STORE_OK) {
        return ngx_mesh_room_history_problem(rc);
    }

    value = job->rows[0].rows[0].value;

    p = ngx_pnalloc(job->pool, value.len + 1);
    if (p == NULL) {
        return PROBLEM_INTERNAL;
    }

    bytes_writer_open(&scratch, p, value.len);

    if (record_participant_read(&record, value, &scratch) != 0) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "room: the record of a participant is damaged");
        return PROBLEM_INTERNAL;
    }

    if (record.removed_ms != 0) {
        return PROBLEM_NOT_A_PARTICIPANT;
    }

    participant->id.data = (u_char *) record.id.data;
    participant->id.len = record.id.len;
    participant->did.data = (u_char *) record.did.data;
    participant->did.len = record.did.len;
    participant->name.data = (u_char *) record.name.data;
    participant->name.len = record.name.len;
    participant->role.data = (u_char *) record.role.data;
    participant->role.len = record.role.len;

    return PROBLEM_COUNT;
}


static void
ngx_mesh_room_participant_add(ngx_mesh_room_participants_t *cache,
    const ngx_mesh_room_participant_t *participant)
{
    size_t                             size;
    u_char                            *p;
    ngx_queue_t                       *q;
    ngx_str_t                          did;
    ngx_mesh_room_participant_node_t  *node;

    did = participant->did;

    /* two lookups of one DID may have been under way */

    node = ngx_mesh_room_participant_find(cache, &did);

    if (node != NULL) {
        ngx_mesh_room_participant_remove(cache, node);
    }

    if (cache->count == NGX_MESH_ROOM_PARTICIPANT_MAX) {
        q = ngx_queue_last(&cache->queue);
        node = ngx_queue_data(q, ngx_mesh_room_participant_node_t, queue);
        ngx_mesh_room_participant_remove(cache, node);
    }

    size = sizeof(ngx_mesh_room_participant_node_t) + participant->id.len
           + participant->did.len + participant->name.len
           + participant->role.len;

    node = ngx_alloc(size, ngx_cycle->log);
    if (node == NULL) {
        return;
    }

    p = (u_char *) node + sizeof(ngx_mesh_room_participant_node_t);

    p = ngx_mesh_room_participant_put(&node->participant.id,
                                      &participant->id, p);
    p = ngx_mesh_room_participant_put(&node->participant.did,
                                      &participant->did, p);
    p = ngx_mesh_room_participant_put(&node->participant.name,
                                      &participant->name, p);
    (void) ngx_mesh_room_participant_put(&node->participant.role,
                                         &participant->role, p);

    node->read_ms = ngx_current_msec;
    node->sn.str = node->participant.did;
    node->sn.node.key = ngx_crc32_long(node->sn.str.data, node->sn.str.len);

    ngx_rbtree_insert(&cache->tree, &node->sn.node);
    ngx_queue_insert_head(&cache->queue, &node->queue);
    cache->count++;
}


static void
ngx_mesh_room_participant_remove(ngx_mesh_room_participants_t *cache,
    ngx_mesh_room_participant_node_t *node)
{
    ngx_rbtree_delete(&cache->tree, &node->sn.node);
    ngx_queue_remove(&node->queue);
    cache->count--;

    ngx_free(node);
}


ngx_mesh_room_participant_t *
ngx_mesh_room_participant_copy(ngx_pool_t *pool,
    const ngx_mesh_room_participant_t *participant)
{
    u_char                       *p;
    ngx_mesh_room_participant_t  *copy;

    copy = ngx_palloc(pool, sizeof(ngx_mesh_room_participant_t)
                            + participant->id.len + participant->did.len
                            + participant->name.len + participant->role.len);
    if (copy == NULL) {
        return NULL;
    }

    p = (u_char *) copy + sizeof(ngx_mesh_room_participant_t);

    p = ngx_mesh_room_participant_put(&copy->id, &participant->id, p);
    p = ngx_mesh_room_participant_put(&copy->did, &participant->did, p);
    p = ngx_mesh_room_participant_put(&copy->name, &participant->name, p);
    (void) ngx_mesh_room_participant_put(&copy->role, &participant->role, p);

    return copy;
}


static u_char *
ngx_mesh_room_participant_put(ngx_str_t *to, const ngx_str_t *from,
    u_char *p)
{
    to->data = p;
    to->len = from->len;

    return ngx_cpymem(p, from->data, from->len);
}
