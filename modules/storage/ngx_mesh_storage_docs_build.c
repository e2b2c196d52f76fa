/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The builder of indexes: one for each collection that has something to do,
 * of this worker.
 *
 *     look -> an index was dropped: remove -> ... -> look
 *          -> one is not ready: read -> [check -> holders] -> write -> read
 *          -> nothing: end
 *
 * A page writes the entries of some documents with the checks that none of
 * them has changed, and how far it came, in one request: so it may die at any
 * point, and whoever takes it up goes on there.  A second builder, of another
 * worker, fails at its first write and ends.  Event loop only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_docs_build.h"


#define NGX_MESH_STORAGE_DOCS_BUILD_REMOVE  500    /* entries */


static ngx_mesh_storage_docs_build_t *ngx_mesh_storage_docs_build_open(
    ngx_http_mesh_storage_main_conf_t *mcf, bytes_t ns, bytes_t collection);
static void ngx_mesh_storage_docs_build_look_done(
    ngx_mesh_storage_docs_build_t *b, ngx_mesh_store_job_t *job);
static void ngx_mesh_storage_docs_build_remove(
    ngx_mesh_storage_docs_build_t *b);
static void ngx_mesh_storage_docs_build_remove_read(
    ngx_mesh_storage_docs_build_t *b, ngx_mesh_store_job_t *job);
static void ngx_mesh_storage_docs_build_remove_done(
    ngx_mesh_storage_docs_build_t *b, ngx_mesh_store_job_t *job);
static ngx_mesh_storage_docs_build_t *ngx_mesh_storage_docs_build_find(
    bytes_t ns, bytes_t collection);
static void ngx_mesh_storage_docs_build_done(ngx_mesh_store_job_t *job);
static void ngx_mesh_storage_docs_build_stale_done(ngx_mesh_store_job_t *job);


/* Those at work in this worker. */
static ngx_queue_t  ngx_mesh_storage_docs_builds;


ngx_int_t
ngx_mesh_storage_docs_build(ngx_http_mesh_storage_main_conf_t *mcf,
    bytes_t ns, bytes_t collection)
{
    return ngx_mesh_storage_docs_build_open(mcf, ns, collection)
           ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_mesh_storage_docs_build_wait(ngx_mesh_storage_rest_t *rest,
    bytes_t collection, bytes_t uid, ngx_mesh_storage_docs_built_pt step)
{
    ngx_mesh_storage_docs_build_t  *b;

    b = ngx_mesh_storage_docs_build_open(rest->mcf, rest->ns, collection);

    if (b == NULL || b->rest) {
        return step(rest, NGX_MESH_STORAGE_DOCS_BUILDING);
    }

    b->rest = rest;
    b->built = step;
    b->pages = 0;
    ngx_memcpy(b->wait, uid.data, sizeof(b->wait));

    return ngx_mesh_storage_rest_park(rest, &b->rest);
}


/* The builder of that collection, which is at work; NULL: it cannot be. */
static ngx_mesh_storage_docs_build_t *
ngx_mesh_storage_docs_build_open(ngx_http_mesh_storage_main_conf_t *mcf,
    bytes_t ns, bytes_t collection)
{
    bytes_t                         none = bytes_make(NULL, 0);
    ngx_pool_t                     *pool;
    ngx_mesh_storage_docs_build_t  *b;

    b = ngx_mesh_storage_docs_build_find(ns, collection);

    if (b) {
        b->again = 1;
        return b;
    }

    pool = ngx_create_pool(NGX_MESH_STORAGE_DOCS_BUILD_POOL, ngx_cycle->log);

    if (pool == NULL) {
        return NULL;
    }

    b = ngx_pcalloc(pool, sizeof(ngx_mesh_storage_docs_build_t));

    if (b) {
        b->pool = pool;
        b->store = &mcf->store;
        b->ns = ngx_mesh_storage_rest_key(pool, "", ns, none);
        b->collection = ngx_mesh_storage_rest_key(pool, "", collection, none);
    }

    if (b == NULL || b->ns.len == 0 || b->collection.len == 0) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    ngx_queue_insert_tail(&ngx_mesh_storage_docs_builds, &b->queue);

    /* which may fail, and end it */

    ngx_mesh_storage_docs_build_look(b);

    return ngx_mesh_storage_docs_build_find(ns, collection);
}


static ngx_mesh_storage_docs_build_t *
ngx_mesh_storage_docs_build_find(bytes_t ns, bytes_t collection)
{
    ngx_queue_t                    *q;
    ngx_mesh_storage_docs_build_t  *b;

    if (ngx_mesh_storage_docs_builds.next == NULL) {
        ngx_queue_init(&ngx_mesh_storage_docs_builds);
    }

    for (q = ngx_queue_head(&ngx_mesh_storage_docs_builds);
         q != ngx_queue_sentinel(&ngx_mesh_storage_docs_builds);
         q = ngx_queue_next(q))
    {
        b = ngx_queue_data(q, ngx_mesh_storage_docs_build_t, queue);

        if (bytes_equal(b->ns, ns) && bytes_equal(b->collection, collection))
        {
            return b;
        }
    }

    return NULL;
}


void
ngx_mesh_storage_docs_build_end(ngx_mesh_storage_docs_build_t *b)
{
    ngx_mesh_storage_docs_build_tell(b, NGX_MESH_STORAGE_DOCS_BUILDING);

    ngx_queue_remove(&b->queue);

    if (b->page) {
        ngx_destroy_pool(b->page);
    }

    ngx_destroy_pool(b->pool);
}


void
ngx_mesh_storage_docs_build_tell(ngx_mesh_storage_docs_build_t *b,
    ngx_mesh_storage_docs_built_t built)
{
    ngx_mesh_storage_rest_t  *rest;

    rest = b->rest;

    if (rest) {
        b->rest = NULL;
        ngx_mesh_storage_rest_resume(rest, b->built(rest, built));
    }
}


/* What is to be done? */
void
ngx_mesh_storage_docs_build_look(ngx_mesh_storage_docs_build_t *b)
{
    bytes_t                none = bytes_make(NULL, 0);
    store_read_t          *reads;
    ngx_mesh_store_job_t  *job;

    b->again = 0;
    reads = ngx_mesh_storage_docs_build_reads(2, &job);

    if (reads) {
        reads[0].kind = STORE_GET;
        reads[0].ns = ngx_mesh_storage_docs_build_ns(b, job, "x/");
        reads[0].key = ngx_mesh_storage_rest_key(job->pool, "i/",
                                                 b->collection, none);
        reads[1].kind = STORE_RANGE;
        reads[1].ns = reads[0].ns;
        reads[1].key = bytes_of("g/");
        reads[1].limit = 1;
    }

    ngx_mesh_storage_docs_build_submit(b, job,
                                       ngx_mesh_storage_docs_build_look_done);
}


static void
ngx_mesh_storage_docs_build_look_done(ngx_mesh_storage_docs_build_t *b,
    ngx_mesh_store_job_t *job)
{
    size_t                            i;
    bytes_t                           key;
    ngx_mesh_storage_docs_indexes_t  *indexes;

    indexes = (job->rc == STORE_OK)
              ? ngx_mesh_storage_docs_index_read(job->pool, &job->rows[0])
              : NULL;

    if (indexes == NULL) {
        ngx_mesh_storage_docs_build_end(b);
        return;
    }

    /* who waits is told before others' entries are removed */

    for (i = 0; i < indexes->count; i++) {

        if (!indexes->indexes[i].ready) {
            ngx_memcpy(b->uid, indexes->indexes[i].uid.data,
                       sizeof(b->uid));
            ngx_mesh_storage_docs_build_page_begin(b);
            return;
        }
    }

    if (job->rows[1].count == 0 && b->again) {
        ngx_mesh_storage_docs_build_look(b);
        return;
    }

    if (job->rows[1].count == 0) {
        ngx_mesh_storage_docs_build_end(b);
        return;
    }

    key = job->rows[1].rows[0].key;

    if (key.len != 2 + sizeof(b->uid)) {
        ngx_mesh_storage_docs_build_end(b);
        return;
    }

    ngx_memcpy(b->uid, key.data + 2, sizeof(b->uid));
    ngx_mesh_storage_docs_build_remove(b);
}


/* Entries of an index that was dropped. */

static void
ngx_mesh_storage_docs_build_remove(ngx_mesh_storage_docs_build_t *b)
{
    store_read_t          *read;
    ngx_mesh_store_job_t  *job;

    read = ngx_mesh_storage_docs_build_reads(1, &job);

    if (read) {
        read->kind = STORE_RANGE;
        read->ns = ngx_mesh_storage_docs_build_ns(b, job, "x/");
        read->key = ngx_mesh_storage_docs_index_prefix(job->pool,
                                      bytes_make(b->uid, sizeof(b->uid)));
        read->limit = NGX_MESH_STORAGE_DOCS_BUILD_REMOVE;
        read->keys_only = 1;
    }

    ngx_mesh_storage_docs_build_submit(b, job,
                                     ngx_mesh_storage_docs_build_remove_read);
}


static void
ngx_mesh_storage_docs_build_remove_read(ngx_mesh_storage_docs_build_t *b,
    ngx_mesh_store_job_t *job)
{
    size_t                 i, n;
    bytes_t                none = bytes_make(NULL, 0), uid, ns;
    store_op_t            *ops;
    const store_rows_t    *rows;
    ngx_mesh_store_job_t  *write;

    if (job->rc != STORE_OK) {
        ngx_mesh_storage_docs_build_end(b);
        return;
    }

    rows = &job->rows[0];
    uid = bytes_make(b->uid, sizeof(b->uid));

    ops = ngx_mesh_storage_docs_build_ops(rows->count + 2, &write);
    n = 0;

    if (ops) {
        ns = ngx_mesh_storage_docs_build_ns(b, write, "x/");

        for (i = 0; i < rows->count; i++) {
            ops[n++].key = ngx_mesh_storage_rest_key(write->pool, "",
                                                     rows->rows[i].key, none);
        }

        if (!rows->more) {
            ops[n++].key = ngx_mesh_storage_rest_key(write->pool, "p/", uid,
                                                     none);
            ops[n++].key = ngx_mesh_storage_rest_key(write->pool, "g/", uid,
                                                     none);
        }

        for (i = 0; i < n; i++) {
            ops[i].kind = STORE_DELETE;
            ops[i].ns = ns;
        }

        write->write.count = n;
    }

    b->more = rows->more;

    ngx_mesh_storage_docs_build_submit(b, write,
                                     ngx_mesh_storage_docs_build_remove_done);
}


static void
ngx_mesh_storage_docs_build_remove_done(ngx_mesh_storage_docs_build_t *b,
    ngx_mesh_store_job_t *job)
{
    if (job->write.rc != STORE_OK) {
        ngx_mesh_storage_docs_build_end(b);

    } else if (b->more) {
        ngx_mesh_storage_docs_build_remove(b);

    } else {
        ngx_mesh_storage_docs_build_look(b);
    }
}


/* Jobs. */

store_read_t *
ngx_mesh_storage_docs_build_reads(size_t count, ngx_mesh_store_job_t **job)
{
    store_read_t  *reads;

    *job = ngx_mesh_store_job_create(NGX_MESH_STORAGE_DOCS_BUILD_POOL,
                                     ngx_cycle->log);
    if (*job == NULL) {
        return NULL;
    }

    reads = ngx_mesh_store_job_reads(*job, count);

    if (reads == NULL) {
        ngx_mesh_store_job_destroy(ngx_mesh_store((ngx_cycle_t *) ngx_cycle),
                                   *job);
        *job = NULL;
    }

    return reads;
}


store_op_t *
ngx_mesh_storage_docs_build_ops(size_t count, ngx_mesh_store_job_t **job)
{
    store_op_t  *ops;

    *job = ngx_mesh_store_job_create(NGX_MESH_STORAGE_DOCS_BUILD_POOL,
                                     ngx_cycle->log);
    if (*job == NULL) {
        return NULL;
    }

    ops = ngx_mesh_store_job_ops(*job, count);

    if (ops == NULL) {
        ngx_mesh_store_job_destroy(ngx_mesh_store((ngx_cycle_t *) ngx_cycle),
                                   *job);
        *job = NULL;
    }

    return ops;
}


void
ngx_mesh_storage_docs_build_submit(ngx_mesh_storage_docs_build_t *b,
    ngx_mesh_store_job_t *job, ngx_mesh_storage_docs_build_pt done)
{
    ngx_int_t                        rc;
    ngx_mesh_storage_docs_build_pt  *context;

    context = job ? ngx_palloc(job->pool, sizeof(*context)) : NULL;

    if (context == NULL || ngx_exiting || ngx_terminate) {

        if (job) {
            ngx_mesh_store_job_destroy(b->store, job);
        }

        ngx_mesh_storage_docs_build_end(b);
        return;
    }

    *context = done;
    job->context = context;
    job->data = b;
    job->done = ngx_mesh_storage_docs_build_done;

    rc = job->reads ? b->store->read(job) : b->store->write(job);

    if (rc != NGX_OK) {
        ngx_mesh_store_job_destroy(b->store, job);
        ngx_mesh_storage_docs_build_end(b);
    }
}


static void
ngx_mesh_storage_docs_build_done(ngx_mesh_store_job_t *job)
{
    ngx_mesh_store_t                *store;
    ngx_mesh_storage_docs_build_t   *b;
    ngx_mesh_storage_docs_build_pt  *done;

    b = job->data;
    store = b->store;
    done = job->context;

    (*done)(b, job);

    ngx_mesh_store_job_destroy(store, job);
}


bytes_t
ngx_mesh_storage_docs_build_ns(ngx_mesh_storage_docs_build_t *b,
    ngx_mesh_store_job_t *job, const char *prefix)
{
    return ngx_mesh_storage_rest_key(job->pool, prefix, b->ns,
                                     bytes_make(NULL, 0));
}


bytes_t
ngx_mesh_storage_docs_build_document(ngx_mesh_storage_docs_build_t *b,
    ngx_mesh_store_job_t *job, bytes_t id)
{
    bytes_t  prefix;

    prefix = ngx_mesh_storage_rest_key(job->pool, "d/", b->collection,
                                       bytes_of("/"));

    return ngx_mesh_storage_rest_key(job->pool, "", prefix, id);
}


/* What a query met. */

void
ngx_mesh_storage_docs_build_stale(ngx_mesh_storage_rest_t *rest,
    bytes_t uid, bytes_t prefix, const ngx_mesh_storage_docs_row_t *entry)
{
    bytes_t                none = bytes_make(NULL, 0), e;
    store_op_t            *op;
    ngx_mesh_store_job_t  *job;

    job = ngx_mesh_store_job_create(NGX_MESH_STORAGE_DOCS_BUILD_POOL,
                                    rest->r->connection->log);

    if (job == NULL) {
        return;
    }

    op = ngx_mesh_store_job_ops(job, 2);

    if (op) {
        e = ngx_mesh_storage_docs_index_prefix(job->pool, uid);

        op[0].kind = STORE_CHECK;
        op[0].condition = STORE_IF_ABSENT;
        op[0].ns = ngx_mesh_storage_rest_key(job->pool, "", rest->store_ns,
                                             none);
        op[0].key = ngx_mesh_storage_rest_key(job->pool, "d/", prefix,
                                              entry->id);
        op[1].kind = STORE_DELETE;
        op[1].condition = STORE_IF_SEQ;
        op[1].if_seq = entry->seq;
        op[1].ns = ngx_mesh_storage_rest_key(job->pool, "x/", rest->ns, none);
        op[1].key = ngx_mesh_storage_rest_key(job->pool, "", e, entry->key);

        job->write.count = 2;
        job->done = ngx_mesh_storage_docs_build_stale_done;
    }

    if (op == NULL || rest->mcf->store.write(job) != NGX_OK) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
    }
}


static void
ngx_mesh_storage_docs_build_stale_done(ngx_mesh_store_job_t *job)
{
    ngx_mesh_store_job_destroy(ngx_mesh_store((ngx_cycle_t *) ngx_cycle),
                               job);
}
