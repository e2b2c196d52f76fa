/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * A page of changes: one read of the store for all followers that stand at
 * its beginning, and what a change looks like.
 *
 *     {"seq":7,"op":"put","kind":"kv","key":"a","etag":"\"7\"",
 *      "at":"2026-11-24T13:05:09.042Z","actor":"did:key:z6Mk..."}
 *
 * With values a second read follows.  What is found then has been changed
 * since, or it has the seq of the change; the value belongs to the change in
 * that case only.  Event loop; the reads run in pool threads.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "base64.h"
#include "ngx_mesh_storage_feed.h"
#include "timestamp.h"
#include "utf8.h"


#define NGX_MESH_STORAGE_FEED_PAGE_POOL  4096    /* bytes */
#define NGX_MESH_STORAGE_FEED_PAGE_JSON  320     /* bytes beside texts */


typedef struct {
    bytes_t      mark;
    const char  *kind;
} ngx_mesh_storage_feed_mark_t;


static ngx_mesh_store_job_t *ngx_mesh_storage_feed_page_job(
    ngx_mesh_storage_topic_t *topic, uint64_t after, ngx_uint_t values);
static void ngx_mesh_storage_feed_page_done(ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_feed_page_parse(
    ngx_mesh_storage_page_t *page);
static ngx_int_t ngx_mesh_storage_feed_page_values(
    ngx_mesh_storage_page_t *page);
static void ngx_mesh_storage_feed_page_values_done(
    ngx_mesh_store_job_t *job);
static void ngx_mesh_storage_feed_page_value(json_write_t *j,
    const ngx_mesh_storage_change_t *change, ngx_pool_t *pool);


/* The first two bytes of a key in the store. */
static const ngx_mesh_storage_feed_mark_t  ngx_mesh_storage_feed_marks[] = {
    { bytes_literal("k/"), "kv" },
    { bytes_literal("d/"), "docs" },
    { bytes_literal("b/"), "blobs" }
};


ngx_mesh_storage_page_t *
ngx_mesh_storage_feed_page_open(ngx_mesh_storage_topic_t *topic,
    uint64_t after, ngx_uint_t values)
{
    ngx_mesh_store_t         *store;
    ngx_mesh_store_job_t     *job;
    ngx_mesh_storage_page_t  *page;

    store = ngx_mesh_store((ngx_cycle_t *) ngx_cycle);
    job = ngx_mesh_storage_feed_page_job(topic, after, values);

    if (job == NULL) {
        return NULL;
    }

    page = ngx_pcalloc(job->pool, sizeof(ngx_mesh_storage_page_t));

    if (page == NULL) {
        ngx_mesh_store_job_destroy(store, job);
        return NULL;
    }

    page->topic = topic;
    page->after = after;
    page->values = values;
    page->version = topic->version;
    page->job = job;
    ngx_queue_init(&page->followers);

    job->data = page;
    job->done = ngx_mesh_storage_feed_page_done;

    if (store->read(job) != NGX_OK) {
        ngx_mesh_store_job_destroy(store, job);
        return NULL;
    }

    ngx_queue_insert_tail(&topic->pages, &page->queue);
    topic->read_ms = ngx_current_msec;

    return page;
}


/* The epoch, and the changes as they are in the same moment. */
static ngx_mesh_store_job_t *
ngx_mesh_storage_feed_page_job(ngx_mesh_storage_topic_t *topic,
    uint64_t after, ngx_uint_t values)
{
    u_char                *ns;
    store_read_t          *reads;
    ngx_mesh_store_job_t  *job;

    job = ngx_mesh_store_job_create(NGX_MESH_STORAGE_FEED_PAGE_POOL,
                                    ngx_cycle->log);

    if (job == NULL) {
        return NULL;
    }

    reads = ngx_mesh_store_job_reads(job, 2);
    ns = ngx_pnalloc(job->pool, topic->sn.str.len);

    if (reads == NULL || ns == NULL) {
        ngx_mesh_store_job_destroy(ngx_mesh_store((ngx_cycle_t *) ngx_cycle),
                                   job);
        return NULL;
    }

    ngx_memcpy(ns, topic->sn.str.data, topic->sn.str.len);

    reads[0].kind = STORE_GET;
    reads[0].ns = bytes_of(STORE_NS_STORE);
    reads[0].key = bytes_of(STORE_KEY_EPOCH);

    reads[1].kind = STORE_CHANGES;
    reads[1].ns = bytes_make(ns, topic->sn.str.len);
    reads[1].after = after;
    reads[1].limit = values ? NGX_MESH_STORAGE_FEED_VALUES
                            : NGX_MESH_STORAGE_FEED_ROWS;

    return job;
}


static void
ngx_mesh_storage_feed_page_done(ngx_mesh_store_job_t *job)
{
    ngx_int_t                 rc;
    ngx_mesh_storage_page_t  *page;

    page = job->data;
    page->rc = job->rc;

    if (page->rc == STORE_OK
        && ngx_mesh_storage_feed_page_parse(page) != NGX_OK)
    {
        page->rc = STORE_FAILED;
    }

    if (page->rc == STORE_OK && page->values) {
        rc = ngx_mesh_storage_feed_page_values(page);

        if (rc == NGX_AGAIN) {
            return;
        }

        if (rc != NGX_OK) {
            page->rc = STORE_BUSY;
        }
    }

    ngx_mesh_storage_feed_tell(page);
}


static ngx_int_t
ngx_mesh_storage_feed_page_parse(ngx_mesh_storage_page_t *page)
{
    size_t                      i, n;
    const store_row_t          *row;
    const store_rows_t         *rows;
    ngx_mesh_storage_change_t  *change;

    rows = page->job->rows;

    if (rows[0].rc != STORE_OK || rows[0].count != 1
        || rows[0].rows[0].value.len != STORE_EPOCH_LEN)
    {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "storage: the store has no epoch, its changes cannot "
                      "be followed");
        return NGX_ERROR;
    }

    page->epoch = rows[0].rows[0].value;
    page->rows = &rows[1];

    page->changes = ngx_pcalloc(page->job->pool, (page->rows->count + 1)
                                * sizeof(ngx_mesh_storage_change_t));

    if (page->changes == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < page->rows->count; i++) {
        row = &page->rows->rows[i];
        change = &page->changes[i];

        change->seq = row->seq;
        change->row = row;

        for (n = 0; n < 3; n++) {

            if (bytes_start_with(row->key,
                                 ngx_mesh_storage_feed_marks[n].mark))
            {
                change->kind = ngx_mesh_storage_feed_marks[n].kind;
                change->key = bytes_make(row->key.data + 2,
                                         row->key.len - 2);
            }
        }
    }

    return NGX_OK;
}


/* NGX_AGAIN: a read is under way; NGX_OK: there are none; NGX_ERROR: it cannot
   be read now. */
static ngx_int_t
ngx_mesh_storage_feed_page_values(ngx_mesh_storage_page_t *page)
{
    size_t                 i, n;
    store_read_t          *reads;
    ngx_mesh_store_t      *store;
    ngx_mesh_store_job_t  *job;

    store = ngx_mesh_store((ngx_cycle_t *) ngx_cycle);
    n = 0;

    job = ngx_mesh_store_job_create(NGX_MESH_STORAGE_FEED_PAGE_POOL,
                                    ngx_cycle->log);
    if (job == NULL) {
        return NGX_ERROR;
    }

    reads = ngx_mesh_store_job_reads(job, page->rows->count + 1);

    for (i = 0; reads != NULL && i < page->rows->count; i++) {

        if (page->changes[i].row->change != STORE_CHANGE_PUT
            || page->changes[i].kind == NULL
            || *page->changes[i].kind == 'b')
        {
            continue;
        }

        /* the page, whose memory these are, waits for this job */

        reads[n].kind = STORE_GET;
        reads[n].ns = page->job->reads[1].ns;
        reads[n].key = page->changes[i].row->key;
        n++;
    }

    job->read_count = n;
    job->data = page;
    job->done = ngx_mesh_storage_feed_page_values_done;

    if (reads == NULL || n == 0 || store->read(job) != NGX_OK) {
        ngx_mesh_store_job_destroy(store, job);
        return (reads != NULL && n == 0) ? NGX_OK : NGX_ERROR;
    }

    page->values_job = job;

    return NGX_AGAIN;
}


static void
ngx_mesh_storage_feed_page_values_done(ngx_mesh_store_job_t *job)
{
    size_t                      i, n;
    ngx_mesh_storage_page_t    *page;
    ngx_mesh_storage_change_t  *change;

    page = job->data;
    page->rc = job->rc;
    n = 0;

    for (i = 0; job->rc == STORE_OK && n < job->read_count; i++) {
        change = &page->changes[i];

        if (!bytes_equal(change->row->key, job->reads[n].key)
            || change->row->change != STORE_CHANGE_PUT)
        {
            continue;
        }

        if (job->rows[n].rc == STORE_OK && job->rows[n].count == 1
            && job->rows[n].rows[0].seq == change->seq)
        {
            change->value = &job->rows[n];
        }

        n++;
    }

    ngx_mesh_storage_feed_tell(page);
}


void
ngx_mesh_storage_feed_page_close(ngx_mesh_storage_page_t *page)
{
    ngx_mesh_store_t  *store;

    store = ngx_mesh_store((ngx_cycle_t *) ngx_cycle);

    ngx_queue_remove(&page->queue);

    if (page->turn.posted) {
        ngx_delete_posted_event(&page->turn);
    }

    if (page->values_job != NULL) {
        ngx_mesh_store_job_destroy(store, page->values_job);
    }

    ngx_mesh_store_job_destroy(store, page->job);
}


bytes_t
ngx_mesh_storage_feed_page_json(ngx_mesh_storage_page_t *page,
    ngx_mesh_storage_change_t *change)
{
    size_t              size;
    u_char             *p, etag[NGX_INT64_LEN + 2], at[TIMESTAMP_LEN];
    json_write_t        j;
    bytes_writer_t      w, time;
    const store_row_t  *row;

    if (change->json.len != 0) {
        return change->json;
    }

    row = change->row;

    size = NGX_MESH_STORAGE_FEED_PAGE_JSON
           + json_write_string_max(change->key.len)
           + json_write_string_max(row->meta.len);

    if (change->value != NULL) {
        size += json_write_string_max(change->value->rows[0].value.len);
    }

    p = ngx_pnalloc(page->job->pool, size);

    if (p == NULL) {
        return bytes_make(NULL, 0);
    }

    bytes_writer_open(&w, p, size);
    bytes_writer_open(&time, at, sizeof(at));
    timestamp_write(&time, row->at_ms);

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member_integer(&j, "seq", (int64_t) row->seq);
    json_write_member_text(&j, "op", row->change == STORE_CHANGE_PUT
                                     ? "put" : "delete");
    json_write_member_text(&j, "kind", change->kind);
    json_write_member(&j, "key", change->key);

    /* the ETag of a blob is the hash of its bytes, which is not here */

    if (row->change == STORE_CHANGE_PUT && *change->kind != 'b') {
        size = ngx_sprintf(etag, "\"%uL\"", row->seq) - etag;
        json_write_member(&j, "etag", bytes_make(etag, size));
    }

    json_write_member(&j, "at", bytes_writer_view(&time));

    if (row->meta.len != 0) {
        json_write_member(&j, "actor", row->meta);
    }

    if (row->change == STORE_CHANGE_EXPIRE) {
        json_write_member_text(&j, "reason", "ttl");
    }

    if (page->values) {
        ngx_mesh_storage_feed_page_value(&j, change, page->job->pool);
    }

    json_write_object_end(&j);

    if (!w.failed) {
        change->json = bytes_writer_view(&w);
    }

    return change->json;
}


static void
ngx_mesh_storage_feed_page_value(json_write_t *j,
    const ngx_mesh_storage_change_t *change, ngx_pool_t *pool)
{
    size_t          size;
    u_char         *p;
    bytes_t         value;
    bytes_writer_t  w;

    if (change->row->change != STORE_CHANGE_PUT || *change->kind == 'b') {
        return;
    }

    if (change->value == NULL) {
        json_write_member_bool(j, "superseded", 1);
        return;
    }

    value = change->value->rows[0].value;

    if (*change->kind == 'd') {
        json_write_member_raw(j, "value", value);
        return;
    }

    if (change->value->rows[0].meta.len != 0) {
        json_write_member(j, "contentType", change->value->rows[0].meta);
    }

    if (utf8_valid(value)) {
        json_write_member(j, "value", value);
        return;
    }

    size = base64_encoded_max(value.len);
    p = ngx_pnalloc(pool, size);

    if (p == NULL) {
        j->out->failed = 1;
        return;
    }

    bytes_writer_open(&w, p, size);

    if (base64_encode(BASE64_STD, value, &w) != 0) {
        j->out->failed = 1;
        return;
    }

    json_write_member(j, "base64", bytes_writer_view(&w));
}


bytes_t
ngx_mesh_storage_feed_page_place(bytes_t epoch, uint64_t seq, u_char *buf)
{
    u_char  *p;

    p = ngx_cpymem(buf, epoch.data, STORE_EPOCH_LEN);
    p = ngx_sprintf(p, ".%uL", seq);

    return bytes_make(buf, p - buf);
}


void
ngx_mesh_storage_feed_page_gap(const ngx_mesh_storage_page_t *page,
    json_write_t *j)
{
    u_char  position[NGX_MESH_STORAGE_FEED_POSITION];

    json_write_member_text(j, "error", problem_slug(PROBLEM_FEED_GAP));
    json_write_member_integer(j, "oldest", (int64_t) page->rows->oldest);
    json_write_member(j, "epoch", page->epoch);
    json_write_member(j, "position",
                      ngx_mesh_storage_feed_page_place(page->epoch,
                                                       page->rows->head,
                                                       position));
}
