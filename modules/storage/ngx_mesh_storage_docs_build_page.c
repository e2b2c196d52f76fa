/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Builds one index, a page of documents at a time; see docs_build.c for who
 * does it when.  Event loop only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_docs_build.h"


static void ngx_mesh_storage_docs_build_page_begin_done(
    ngx_mesh_storage_docs_build_t *b, ngx_mesh_store_job_t *job);
static void ngx_mesh_storage_docs_build_page_read(
    ngx_mesh_storage_docs_build_t *b);
static void ngx_mesh_storage_docs_build_page_read_done(
    ngx_mesh_storage_docs_build_t *b, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_docs_build_page_rows(
    ngx_mesh_storage_docs_build_t *b, const store_rows_t *rows);
static void ngx_mesh_storage_docs_build_page_check(
    ngx_mesh_storage_docs_build_t *b);
static void ngx_mesh_storage_docs_build_page_check_done(
    ngx_mesh_storage_docs_build_t *b, ngx_mesh_store_job_t *job);
static void ngx_mesh_storage_docs_build_page_holders(
    ngx_mesh_storage_docs_build_t *b);
static void ngx_mesh_storage_docs_build_page_holders_done(
    ngx_mesh_storage_docs_build_t *b, ngx_mesh_store_job_t *job);
static void ngx_mesh_storage_docs_build_page_write(
    ngx_mesh_storage_docs_build_t *b);
static void ngx_mesh_storage_docs_build_page_write_done(
    ngx_mesh_storage_docs_build_t *b, ngx_mesh_store_job_t *job);
static void ngx_mesh_storage_docs_build_page_settle(
    ngx_mesh_storage_docs_build_t *b, ngx_uint_t ready);
static void ngx_mesh_storage_docs_build_page_settled(
    ngx_mesh_storage_docs_build_t *b, ngx_mesh_store_job_t *job);


/* An index: where was it left? */

void
ngx_mesh_storage_docs_build_page_begin(ngx_mesh_storage_docs_build_t *b)
{
    bytes_t                none = bytes_make(NULL, 0);
    store_read_t          *read;
    ngx_mesh_store_job_t  *job;

    b->limit = NGX_MESH_STORAGE_DOCS_BUILD_PAGE;
    b->tries = 0;

    read = ngx_mesh_storage_docs_build_reads(1, &job);

    if (read) {
        read->kind = STORE_GET;
        read->ns = ngx_mesh_storage_docs_build_ns(b, job, "x/");
        read->key = ngx_mesh_storage_rest_key(job->pool, "p/",
                                              bytes_make(b->uid,
                                                         sizeof(b->uid)),
                                              none);
    }

    ngx_mesh_storage_docs_build_submit(b, job,
                                  ngx_mesh_storage_docs_build_page_begin_done);
}


static void
ngx_mesh_storage_docs_build_page_begin_done(ngx_mesh_storage_docs_build_t *b,
    ngx_mesh_store_job_t *job)
{
    const store_row_t  *row;

    if (job->rc != STORE_OK) {
        ngx_mesh_storage_docs_build_end(b);
        return;
    }

    b->progress = 0;
    b->after_len = 0;

    if (job->rows[0].count != 0) {
        row = &job->rows[0].rows[0];
        b->progress = row->seq;
        b->after_len = ngx_min(row->value.len, sizeof(b->after));
        ngx_memcpy(b->after, row->value.data, b->after_len);
    }

    ngx_mesh_storage_docs_build_page_read(b);
}


static void
ngx_mesh_storage_docs_build_page_read(ngx_mesh_storage_docs_build_t *b)
{
    bytes_t                none = bytes_make(NULL, 0), id;
    store_read_t          *reads;
    ngx_mesh_store_job_t  *job;

    if (b->page) {
        ngx_destroy_pool(b->page);
        b->page = NULL;
    }

    if (b->pages++ == NGX_MESH_STORAGE_DOCS_BUILD_PAGES) {
        ngx_mesh_storage_docs_build_tell(b, NGX_MESH_STORAGE_DOCS_BUILDING);
    }

    reads = ngx_mesh_storage_docs_build_reads(2, &job);
    id = bytes_make(b->after, b->after_len);

    if (reads) {
        reads[0].kind = STORE_GET;
        reads[0].ns = ngx_mesh_storage_docs_build_ns(b, job, "x/");
        reads[0].key = ngx_mesh_storage_rest_key(job->pool, "i/",
                                                 b->collection, none);
        reads[1].kind = STORE_RANGE;
        reads[1].ns = ngx_mesh_storage_docs_build_ns(b, job, "s/");
        reads[1].key = ngx_mesh_storage_docs_build_document(b, job, none);
        reads[1].limit = b->limit;

        if (id.len != 0) {
            reads[1].after_key = ngx_mesh_storage_docs_build_document(b, job,
                                                                      id);
        }
    }

    ngx_mesh_storage_docs_build_submit(b, job,
                                   ngx_mesh_storage_docs_build_page_read_done);
}


static void
ngx_mesh_storage_docs_build_page_read_done(ngx_mesh_storage_docs_build_t *b,
    ngx_mesh_store_job_t *job)
{
    size_t   i;
    bytes_t  uid;

    b->page = ngx_create_pool(NGX_MESH_STORAGE_DOCS_BUILD_POOL,
                              ngx_cycle->log);
    b->indexes = (job->rc == STORE_OK && b->page)
                 ? ngx_mesh_storage_docs_index_read(b->page, &job->rows[0])
                 : NULL;

    if (b->indexes == NULL) {
        ngx_mesh_storage_docs_build_end(b);
        return;
    }

    uid = bytes_make(b->uid, sizeof(b->uid));

    for (i = 0; i < b->indexes->count; i++) {

        if (bytes_equal(b->indexes->indexes[i].uid, uid)) {
            break;
        }
    }

    /* dropped, or another builder was quicker */

    if (i == b->indexes->count || b->indexes->indexes[i].ready) {
        ngx_mesh_storage_docs_build_look(b);
        return;
    }

    b->index = i;
    b->more = job->rows[1].more;

    if (ngx_mesh_storage_docs_build_page_rows(b, &job->rows[1]) != NGX_OK) {
        ngx_mesh_storage_docs_build_end(b);

    } else if (b->count == 0) {
        ngx_mesh_storage_docs_build_page_settle(b, 1);

    } else if (b->indexes->indexes[i].unique) {
        ngx_mesh_storage_docs_build_page_check(b);

    } else {
        ngx_mesh_storage_docs_build_page_write(b);
    }
}


/* A page ends before a second document with the same unique entry: on the
   next one the first has it. */
static ngx_int_t
ngx_mesh_storage_docs_build_page_rows(ngx_mesh_storage_docs_build_t *b,
    const store_rows_t *rows)
{
    size_t                              i, k, skip;
    bytes_t                             none = bytes_make(NULL, 0), id;
    ngx_mesh_storage_docs_entry_t       entries[
                                           NGX_MESH_STORAGE_DOCS_INDEXES_MAX];
    ngx_mesh_storage_docs_build_row_t  *row;

    b->count = 0;
    skip = sizeof("d//") - 1 + b->collection.len;

    for (i = 0; i < ngx_min(rows->count, b->limit); i++) {
        row = &b->rows[b->count];

        id = bytes_make(rows->rows[i].key.data + skip,
                        rows->rows[i].key.len - skip);

        ngx_memzero(row, sizeof(ngx_mesh_storage_docs_build_row_t));

        row->id = ngx_mesh_storage_rest_key(b->page, "", id, none);
        row->seq = rows->rows[i].seq;
        row->expires_ms = rows->rows[i].expires_ms;

        if (row->id.len == 0
            || ngx_mesh_storage_docs_index_entries(b->page, b->indexes,
                                                   rows->rows[i].value,
                                                   row->id, entries)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        row->key = entries[b->index].key;
        row->sole = entries[b->index].sole;

        for (k = 0; row->sole && k < b->count; k++) {

            if (bytes_equal(b->rows[k].key, row->key)) {
                b->more = 1;
                return NGX_OK;
            }
        }

        b->count++;
    }

    return NGX_OK;
}


/* Of a unique index: which entries are there already, and whose? */

static void
ngx_mesh_storage_docs_build_page_check(ngx_mesh_storage_docs_build_t *b)
{
    size_t                 i;
    bytes_t                none = bytes_make(NULL, 0);
    store_read_t          *reads;
    ngx_mesh_store_job_t  *job;

    reads = ngx_mesh_storage_docs_build_reads(b->count, &job);

    for (i = 0; reads && i < b->count; i++) {
        reads[i].kind = STORE_GET;
        reads[i].ns = ngx_mesh_storage_docs_build_ns(b, job, "x/");
        reads[i].key = ngx_mesh_storage_rest_key(job->pool, "",
                                                 b->rows[i].key, none);
    }

    ngx_mesh_storage_docs_build_submit(b, job,
                                  ngx_mesh_storage_docs_build_page_check_done);
}


static void
ngx_mesh_storage_docs_build_page_check_done(ngx_mesh_storage_docs_build_t *b,
    ngx_mesh_store_job_t *job)
{
    size_t              i, others;
    bytes_t             none = bytes_make(NULL, 0);
    const store_row_t  *row;

    if (job->rc != STORE_OK) {
        ngx_mesh_storage_docs_build_end(b);
        return;
    }

    others = 0;

    for (i = 0; i < b->count; i++) {

        if (job->rows[i].count == 0) {
            continue;
        }

        row = &job->rows[i].rows[0];
        b->rows[i].held = row->seq;

        if (!bytes_equal(row->value, b->rows[i].id)) {
            b->rows[i].holder = ngx_mesh_storage_rest_key(b->page, "",
                                                          row->value, none);
            others++;

            if (b->rows[i].holder.len == 0) {
                ngx_mesh_storage_docs_build_end(b);
                return;
            }
        }
    }

    if (others != 0) {
        ngx_mesh_storage_docs_build_page_holders(b);

    } else {
        ngx_mesh_storage_docs_build_page_write(b);
    }
}


/* Does whoever has it still want it? */

static void
ngx_mesh_storage_docs_build_page_holders(ngx_mesh_storage_docs_build_t *b)
{
    size_t                 i;
    store_read_t          *reads;
    ngx_mesh_store_job_t  *job;

    reads = ngx_mesh_storage_docs_build_reads(b->count, &job);

    for (i = 0; reads && i < b->count; i++) {
        reads[i].kind = STORE_GET;
        reads[i].ns = ngx_mesh_storage_docs_build_ns(b, job, "s/");
        reads[i].key = ngx_mesh_storage_docs_build_document(b, job,
                           b->rows[i].holder.len ? b->rows[i].holder
                                                 : b->rows[i].id);
        reads[i].keys_only = (b->rows[i].holder.len == 0);
    }

    ngx_mesh_storage_docs_build_submit(b, job,
                                ngx_mesh_storage_docs_build_page_holders_done);
}


static void
ngx_mesh_storage_docs_build_page_holders_done(ngx_mesh_storage_docs_build_t *b,
    ngx_mesh_store_job_t *job)
{
    size_t                              i;
    const store_row_t                  *other;
    ngx_mesh_storage_docs_entry_t       entries[
                                           NGX_MESH_STORAGE_DOCS_INDEXES_MAX];
    ngx_mesh_storage_docs_build_row_t  *row;

    if (job->rc != STORE_OK) {
        ngx_mesh_storage_docs_build_end(b);
        return;
    }

    for (i = 0; i < b->count; i++) {
        row = &b->rows[i];

        if (row->holder.len == 0 || job->rows[i].count == 0) {
            continue;
        }

        other = &job->rows[i].rows[0];
        row->met = other->seq;

        if (ngx_mesh_storage_docs_index_entries(b->page, b->indexes,
                                                other->value, row->holder,
                                                entries)
            != NGX_OK)
        {
            ngx_mesh_storage_docs_build_end(b);
            return;
        }

        if (bytes_equal(entries[b->index].key, row->key)) {
            ngx_mesh_storage_docs_build_page_settle(b, 0);
            return;
        }
    }

    ngx_mesh_storage_docs_build_page_write(b);
}


static void
ngx_mesh_storage_docs_build_page_write(ngx_mesh_storage_docs_build_t *b)
{
    size_t                              i;
    bytes_t                             none = bytes_make(NULL, 0);
    bytes_t                             derived, documents;
    store_op_t                         *op;
    ngx_mesh_store_job_t               *job;
    ngx_mesh_storage_docs_build_row_t  *row;

    op = ngx_mesh_storage_docs_build_ops(2 + 3 * b->count, &job);

    if (op == NULL) {
        ngx_mesh_storage_docs_build_end(b);
        return;
    }

    derived = ngx_mesh_storage_docs_build_ns(b, job, "x/");
    documents = ngx_mesh_storage_docs_build_ns(b, job, "s/");
    row = &b->rows[b->count - 1];

    op->kind = STORE_PUT;
    op->ns = derived;
    op->key = ngx_mesh_storage_rest_key(job->pool, "p/",
                                        bytes_make(b->uid, sizeof(b->uid)),
                                        none);
    op->value = ngx_mesh_storage_rest_key(job->pool, "", row->id, none);
    op->condition = b->progress ? STORE_IF_SEQ : STORE_IF_ABSENT;
    op->if_seq = b->progress;
    op++;

    op->kind = STORE_CHECK;
    op->ns = derived;
    op->key = ngx_mesh_storage_rest_key(job->pool, "i/", b->collection, none);
    op->condition = STORE_IF_SEQ;
    op->if_seq = b->indexes->seq;
    op++;

    for (i = 0; i < b->count; i++) {
        row = &b->rows[i];

        op->kind = STORE_CHECK;
        op->ns = documents;
        op->key = ngx_mesh_storage_docs_build_document(b, job, row->id);
        op->condition = STORE_IF_SEQ;
        op->if_seq = row->seq;
        op++;

        op->kind = STORE_PUT;
        op->ns = derived;
        op->key = ngx_mesh_storage_rest_key(job->pool, "", row->key, none);
        op->value = ngx_mesh_storage_rest_key(job->pool, "", row->id, none);
        op->expires_ms = row->expires_ms;

        if (row->sole) {
            op->condition = row->held ? STORE_IF_SEQ : STORE_IF_ABSENT;
            op->if_seq = row->held;
        }

        op++;

        if (row->holder.len != 0) {
            op->kind = STORE_CHECK;
            op->ns = documents;
            op->key = ngx_mesh_storage_docs_build_document(b, job,
                                                           row->holder);
            op->condition = row->met ? STORE_IF_SEQ : STORE_IF_ABSENT;
            op->if_seq = row->met;
            op++;
        }
    }

    job->write.count = op - job->write.ops;

    ngx_mesh_storage_docs_build_submit(b, job,
                                  ngx_mesh_storage_docs_build_page_write_done);
}


static void
ngx_mesh_storage_docs_build_page_write_done(ngx_mesh_storage_docs_build_t *b,
    ngx_mesh_store_job_t *job)
{
    bytes_t  id;

    if (job->write.rc == STORE_OK) {
        id = b->rows[b->count - 1].id;

        b->progress = job->write.results[0].seq;
        b->after_len = ngx_min(id.len, sizeof(b->after));
        ngx_memcpy(b->after, id.data, b->after_len);
        b->tries = 0;

        if (b->more) {
            ngx_mesh_storage_docs_build_page_read(b);

        } else {
            ngx_mesh_storage_docs_build_page_settle(b, 1);
        }

        return;
    }

    /* another builder has come further; or writers are in the way: the page is
       read again, a smaller one */

    if (job->write.rc != STORE_CONDITION || job->write.failed == 0
        || b->tries++ == NGX_MESH_STORAGE_DOCS_BUILD_TRIES)
    {
        ngx_mesh_storage_docs_build_end(b);
        return;
    }

    b->limit = ngx_max(b->limit / 2, 1);
    ngx_mesh_storage_docs_build_page_read(b);
}


/* It is ready; or no unique index can be made of what is there, and it is
   taken back as if it had been dropped. */
static void
ngx_mesh_storage_docs_build_page_settle(ngx_mesh_storage_docs_build_t *b,
    ngx_uint_t ready)
{
    bytes_t                         none = bytes_make(NULL, 0), uid;
    store_op_t                     *op;
    ngx_mesh_store_job_t           *job;
    ngx_mesh_storage_docs_index_t  *index, *last;

    index = &b->indexes->indexes[b->index];

    if (ready) {
        index->ready = 1;

    } else {
        last = &b->indexes->indexes[--b->indexes->count];
        ngx_memmove(index, index + 1, (u_char *) last - (u_char *) index);
    }

    b->count = ready;
    uid = bytes_make(b->uid, sizeof(b->uid));

    op = ngx_mesh_storage_docs_build_ops(2, &job);

    if (op) {
        op[0].kind = STORE_PUT;
        op[0].ns = ngx_mesh_storage_docs_build_ns(b, job, "x/");
        op[0].key = ngx_mesh_storage_rest_key(job->pool, "i/", b->collection,
                                              none);
        op[0].value = ngx_mesh_storage_docs_index_write(job->pool,
                                                        b->indexes);
        op[0].condition = STORE_IF_SEQ;
        op[0].if_seq = b->indexes->seq;

        op[1].kind = ready ? STORE_DELETE : STORE_PUT;
        op[1].ns = op[0].ns;
        op[1].key = ngx_mesh_storage_rest_key(job->pool, ready ? "p/" : "g/",
                                              uid, none);
        job->write.count = 2;
    }

    ngx_mesh_storage_docs_build_submit(b, job,
                                     ngx_mesh_storage_docs_build_page_settled);
}


static void
ngx_mesh_storage_docs_build_page_settled(ngx_mesh_storage_docs_build_t *b,
    ngx_mesh_store_job_t *job)
{
    if (job->write.rc == STORE_CONDITION
        && b->tries++ != NGX_MESH_STORAGE_DOCS_BUILD_TRIES)
    {
        ngx_mesh_storage_docs_build_page_read(b);
        return;
    }

    if (job->write.rc != STORE_OK) {
        ngx_mesh_storage_docs_build_end(b);
        return;
    }

    if (ngx_memcmp(b->wait, b->uid, sizeof(b->uid)) == 0) {
        ngx_mesh_storage_docs_build_tell(b, b->count
                                            ? NGX_MESH_STORAGE_DOCS_READY
                                            : NGX_MESH_STORAGE_DOCS_DUPLICATE);
    }

    ngx_mesh_storage_docs_build_look(b);
}
