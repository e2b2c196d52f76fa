/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * A query at work; see the header.  Each step reads a page and returns to the
 * event loop, so that nobody waits for a long query.
 *
 *     begin -> documents -+-----------------------------> end -> send
 *           -> entries -> fetch -> (entries, next range)   |
 *                           ^------------- sorted ---------+
 *
 * Event loop only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_docs_scan.h"


#define NGX_MESH_STORAGE_DOCS_SCAN_POOL   4096    /* bytes, of a job */
#define NGX_MESH_STORAGE_DOCS_SCAN_FIRST  16384   /* bytes, of an answer */


static ngx_int_t ngx_mesh_storage_docs_scan_cursor(
    ngx_mesh_storage_rest_t *rest, bytes_t *place);
static ngx_int_t ngx_mesh_storage_docs_scan_plan(
    ngx_mesh_storage_docs_scan_t *scan, bytes_t place);
static ngx_int_t ngx_mesh_storage_docs_scan_resume(
    ngx_mesh_storage_docs_scan_t *scan, bytes_t place);
static ngx_int_t ngx_mesh_storage_docs_scan_read(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_docs_scan_range(
    ngx_mesh_storage_rest_t *rest, bytes_t ns, bytes_t prefix,
    ngx_mesh_storage_done_pt done);
static ngx_int_t ngx_mesh_storage_docs_scan_documents_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_docs_scan_entries_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_docs_scan_entries_end(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_docs_scan_fetch_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_docs_scan_entry(
    ngx_mesh_storage_rest_t *rest, ngx_pool_t *pool,
    const ngx_mesh_storage_docs_row_t *entry, const store_row_t *row);


ngx_int_t
ngx_mesh_storage_docs_scan_begin(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    size_t                         i;
    bytes_t                        place;
    ngx_mesh_storage_docs_scan_t  *scan;

    scan = rest->data;

    if (job->rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    scan->indexes = ngx_mesh_storage_docs_index_read(rest->r->pool,
                                                     &job->rows[0]);
    if (scan->indexes == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    for (i = 0; i < scan->indexes->count; i++) {

        if (!scan->indexes->indexes[i].ready) {
            (void) ngx_mesh_storage_docs_build(rest->mcf, rest->ns,
                                               scan->query.collection);
            break;
        }
    }

    if (ngx_mesh_storage_docs_scan_cursor(rest, &place) != NGX_OK
        || ngx_mesh_storage_docs_scan_plan(scan, place) != NGX_OK)
    {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_INVALID_CURSOR,
                   "take \"cursor\" from the \"next\" of the page before, "
                   "and ask for the same; or the index has gone since: begin "
                   "anew");
    }

    if (ngx_mesh_storage_rest_writer(rest, &scan->w,
                                     NGX_MESH_STORAGE_DOCS_SCAN_FIRST)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&scan->j, &scan->w);
    json_write_object(&scan->j);
    json_write_key(&scan->j, "items");
    json_write_array(&scan->j);

    return ngx_mesh_storage_docs_scan_read(rest);
}


/* Places. */

/* Who asks what, where. */
ngx_int_t
ngx_mesh_storage_docs_scan_scope(ngx_mesh_storage_rest_t *rest,
    bytes_t *scope)
{
    ngx_str_t                     *did;
    bytes_writer_t                 w;
    ngx_mesh_storage_docs_scan_t  *scan;

    scan = rest->data;
    did = &rest->principal->did;

    if (ngx_mesh_storage_rest_writer(rest, &w, did->len + rest->ns.len + 64)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    bytes_writer_put(&w, did->data, did->len);
    bytes_writer_text(&w, "\ndocs query\n");
    bytes_writer_bytes(&w, rest->ns);
    bytes_writer_byte(&w, '\n');
    bytes_writer_put(&w, scan->scope, sizeof(scan->scope));

    *scope = bytes_writer_view(&w);

    return w.failed ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_docs_scan_cursor(ngx_mesh_storage_rest_t *rest,
    bytes_t *place)
{
    bytes_t                        scope;
    bytes_writer_t                 w;
    ngx_mesh_storage_docs_scan_t  *scan;

    scan = rest->data;
    *place = bytes_make(NULL, 0);

    if (scan->query.cursor.len == 0) {
        return NGX_OK;
    }

    if (ngx_mesh_storage_docs_scan_scope(rest, &scope) != NGX_OK
        || ngx_mesh_storage_rest_writer(rest, &w, CURSOR_PAYLOAD_MAX)
           != NGX_OK
        || cursor_decode(rest->mcf->cursor_key, scope, scan->query.cursor,
                         &w)
           != 0
        || w.pos == w.start)
    {
        return NGX_ERROR;
    }

    *place = bytes_writer_view(&w);

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_docs_scan_plan(ngx_mesh_storage_docs_scan_t *scan,
    bytes_t place)
{
    u_char  kind;

    kind = place.len ? place.data[0] : '\0';

    if (place.len) {
        place.data++;
        place.len--;
    }

    switch (kind) {

    case 'd':
        ngx_mesh_storage_docs_plan_with(&scan->plan, &scan->query,
                                        scan->indexes, NULL);
        ngx_mesh_storage_docs_scan_stay(&scan->after, scan->after_data,
                                        place);
        break;

    case 'e':
        if (ngx_mesh_storage_docs_scan_resume(scan, place) != NGX_OK) {
            return NGX_ERROR;
        }

        break;

    case 's':
        scan->start = place;

        /* fall through */

    default:
        ngx_mesh_storage_docs_plan(&scan->plan, &scan->query, scan->indexes);
        scan->sorted = (kind == 's' || !scan->plan.ordered);
        break;
    }

    if (!scan->sorted && !scan->plan.ordered) {
        return NGX_ERROR;
    }

    if (kind == '\0' && scan->plan.reverse && scan->plan.count != 0) {
        scan->range = scan->plan.count - 1;
    }

    return NGX_OK;
}


/* On in the index where the page before ended. */
static ngx_int_t
ngx_mesh_storage_docs_scan_resume(ngx_mesh_storage_docs_scan_t *scan,
    bytes_t place)
{
    size_t                          i;
    bytes_t                         uid;
    ngx_mesh_storage_docs_index_t  *index;
    ngx_mesh_storage_docs_range_t  *range;

    if (place.len <= NGX_MESH_STORAGE_DOCS_UID_LEN) {
        return NGX_ERROR;
    }

    uid = bytes_make(place.data, NGX_MESH_STORAGE_DOCS_UID_LEN);
    place.data += uid.len;
    place.len -= uid.len;

    for (i = 0; i < scan->indexes->count; i++) {
        index = &scan->indexes->indexes[i];

        if (index->ready && bytes_equal(index->uid, uid)) {
            break;
        }
    }

    if (i == scan->indexes->count) {
        return NGX_ERROR;
    }

    ngx_mesh_storage_docs_plan_with(&scan->plan, &scan->query, scan->indexes,
                                    &scan->indexes->indexes[i]);

    ngx_mesh_storage_docs_scan_stay(&scan->after, scan->after_data, place);

    /* the range that it is in; ranges do not overlap */

    for (i = scan->plan.count; i != 0; i--) {
        range = &scan->plan.ranges[i - 1];

        if (ngx_mesh_storage_docs_scan_compare(
                bytes_make(range->low, range->low_len), place) <= 0)
        {
            scan->range = i - 1;
            return NGX_OK;
        }
    }

    return NGX_ERROR;
}


/* Pages. */

static ngx_int_t
ngx_mesh_storage_docs_scan_read(ngx_mesh_storage_rest_t *rest)
{
    bytes_t                        none = bytes_make(NULL, 0), prefix, ns;
    ngx_mesh_storage_docs_scan_t  *scan;

    scan = rest->data;

    if (scan->plan.count == 0) {
        return ngx_mesh_storage_docs_answer_sort(rest);
    }

    if (scan->seen >= NGX_MESH_STORAGE_DOCS_SCAN_MAX
        || scan->bytes >= NGX_MESH_STORAGE_DOCS_SCAN_BYTES)
    {
        return ngx_mesh_storage_docs_answer_bound(rest);
    }

    if (scan->plan.index == NULL) {
        prefix = ngx_mesh_storage_rest_key(rest->r->pool, "d/", scan->prefix,
                                           none);

        return ngx_mesh_storage_docs_scan_range(rest, rest->store_ns, prefix,
                                  ngx_mesh_storage_docs_scan_documents_done);
    }

    ns = ngx_mesh_storage_rest_key(rest->r->pool, "x/", rest->ns, none);
    prefix = ngx_mesh_storage_docs_index_prefix(rest->r->pool,
                                                scan->plan.index->uid);

    return ngx_mesh_storage_docs_scan_range(rest, ns, prefix,
                                    ngx_mesh_storage_docs_scan_entries_done);
}


/* The next page of ns below prefix. */
static ngx_int_t
ngx_mesh_storage_docs_scan_range(ngx_mesh_storage_rest_t *rest, bytes_t ns,
    bytes_t prefix, ngx_mesh_storage_done_pt done)
{
    bytes_t                               none = bytes_make(NULL, 0);
    store_read_t                         *read;
    ngx_mesh_store_job_t                 *job;
    ngx_mesh_storage_docs_scan_t         *scan;
    const ngx_mesh_storage_docs_range_t  *range;

    scan = rest->data;
    range = &scan->plan.ranges[scan->range];

    job = ngx_mesh_store_job_create(NGX_MESH_STORAGE_DOCS_SCAN_POOL,
                                    rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    read = ngx_mesh_store_job_reads(job, 1);

    if (read == NULL || ns.len == 0 || prefix.len == 0) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    read->kind = STORE_RANGE;
    read->reverse = scan->plan.reverse;
    read->limit = ngx_min(NGX_MESH_STORAGE_DOCS_PAGE,
                          NGX_MESH_STORAGE_DOCS_SCAN_MAX - scan->seen);
    read->ns = ngx_mesh_storage_rest_key(job->pool, "", ns, none);
    read->key = ngx_mesh_storage_rest_key(job->pool, "", prefix, none);

    if (scan->query.filter.terms == 0 && !scan->sorted && !scan->full) {
        read->limit = ngx_min(read->limit,
                              scan->query.limit - scan->items + 1);
    }

    if (scan->after.len != 0) {
        read->after_key = ngx_mesh_storage_rest_key(job->pool, "", prefix,
                                                    scan->after);
    }

    if (scan->plan.index && range->low_len != 0) {
        read->from_key = ngx_mesh_storage_rest_key(job->pool, "", prefix,
                                  bytes_make(range->low, range->low_len));
    }

    if (scan->plan.index && range->high_len != 0) {
        read->to_key = ngx_mesh_storage_rest_key(job->pool, "", prefix,
                                  bytes_make(range->high, range->high_len));
    }

    return ngx_mesh_storage_rest_read(rest, job, done);
}


static ngx_int_t
ngx_mesh_storage_docs_scan_documents_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    size_t                         i, skip;
    bytes_t                        id;
    ngx_int_t                      rc;
    const store_rows_t            *rows;
    ngx_mesh_storage_docs_scan_t  *scan;

    scan = rest->data;

    if (job->rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    rows = &job->rows[0];
    skip = 2 + scan->prefix.len;

    for (i = 0; i < rows->count; i++) {
        id = bytes_make(rows->rows[i].key.data + skip,
                        rows->rows[i].key.len - skip);

        scan->seen++;
        rc = NGX_OK;

        if (ngx_mesh_storage_rest_may(rest, "/storage/read", "docs",
                                      bytes_make(id.data - scan->prefix.len,
                                                 id.len + scan->prefix.len))
            == UCAN_OK)
        {
            rc = ngx_mesh_storage_docs_answer_row(rest, id, &rows->rows[i]);
        }

        if (rc == NGX_DONE) {
            return ngx_mesh_storage_docs_answer_send(rest);
        }

        if (rc != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ngx_mesh_storage_docs_scan_stay(&scan->after, scan->after_data, id);
    }

    return rows->more ? ngx_mesh_storage_docs_scan_read(rest)
                      : ngx_mesh_storage_docs_answer_sort(rest);
}


/* Entries are kept, then their documents are read. */
static ngx_int_t
ngx_mesh_storage_docs_scan_entries_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    size_t                         i, skip;
    bytes_t                        none = bytes_make(NULL, 0), key;
    ngx_pool_t                    *pool;
    const store_rows_t            *rows;
    ngx_mesh_storage_docs_row_t   *entry;
    ngx_mesh_storage_docs_scan_t  *scan;

    scan = rest->data;
    pool = rest->r->pool;

    if (job->rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    rows = &job->rows[0];
    skip = sizeof("e//") - 1 + NGX_MESH_STORAGE_DOCS_UID_LEN;

    entry = ngx_pcalloc(pool, (rows->count + 1)
                              * sizeof(ngx_mesh_storage_docs_row_t));
    if (entry == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    scan->rows = entry;
    scan->count = rows->count;
    scan->at = 0;
    scan->rows_more = rows->more;

    for (i = 0; i < rows->count; i++, entry++) {
        key = rows->rows[i].key;
        key.data += skip;
        key.len -= skip;

        entry->seq = rows->rows[i].seq;
        entry->key = ngx_mesh_storage_rest_key(pool, "", key, none);
        entry->id = ngx_mesh_storage_rest_key(pool, "", rows->rows[i].value,
                                              none);

        if (entry->key.len == 0) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    return ngx_mesh_storage_docs_scan_fetch(rest);
}


/* All documents of this page of entries are through. */
static ngx_int_t
ngx_mesh_storage_docs_scan_entries_end(ngx_mesh_storage_rest_t *rest)
{
    ngx_mesh_storage_docs_scan_t  *scan;

    scan = rest->data;

    if (scan->rows_more) {
        return ngx_mesh_storage_docs_scan_read(rest);
    }

    if (scan->plan.reverse ? scan->range == 0
                           : scan->range + 1 == scan->plan.count)
    {
        return ngx_mesh_storage_docs_answer_sort(rest);
    }

    /* "after" stays: it is outside of the next range, and the place when the
       page ends before that gives anything */

    scan->range += scan->plan.reverse ? -1 : 1;

    return ngx_mesh_storage_docs_scan_read(rest);
}


/* Documents of the next rows: few at a time while they are large. */
ngx_int_t
ngx_mesh_storage_docs_scan_fetch(ngx_mesh_storage_rest_t *rest)
{
    size_t                         i, n, size;
    bytes_t                        none = bytes_make(NULL, 0), key;
    store_read_t                  *reads;
    ngx_mesh_store_job_t          *job;
    ngx_mesh_storage_docs_row_t   *row;
    ngx_mesh_storage_docs_scan_t  *scan;

    scan = rest->data;

    size = scan->seen ? scan->bytes / scan->seen + 1
                      : NGX_MESH_STORAGE_DOCS_FETCH_BYTES / 16;
    n = NGX_MESH_STORAGE_DOCS_FETCH_BYTES / size;
    n = ngx_max(n, NGX_MESH_STORAGE_DOCS_FETCH_MIN);
    n = ngx_min(n, NGX_MESH_STORAGE_DOCS_PAGE);
    n = ngx_min(n, scan->count - scan->at);

    if (scan->rows == scan->sort) {
        n = ngx_min(n, scan->query.limit - scan->items + 1);
    }

    if (n == 0) {
        return (scan->rows == scan->sort)
               ? ngx_mesh_storage_docs_answer_send(rest)
               : ngx_mesh_storage_docs_scan_entries_end(rest);
    }

    job = ngx_mesh_store_job_create(NGX_MESH_STORAGE_DOCS_SCAN_POOL,
                                    rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    reads = ngx_mesh_store_job_reads(job, n);

    for (i = 0; reads && i < n; i++) {
        row = &scan->rows[scan->at + i];
        key = ngx_mesh_storage_rest_key(job->pool, "d/", scan->prefix,
                                        row->id);

        reads[i].kind = STORE_GET;
        reads[i].key = key;
        reads[i].ns = ngx_mesh_storage_rest_key(job->pool, "",
                                                rest->store_ns, none);

        if (key.len == 0 || reads[i].ns.len == 0) {
            reads = NULL;
            break;
        }

        /* what may not be read is not looked at */

        if (ngx_mesh_storage_rest_may(rest, "/storage/read", "docs",
                                      bytes_make(key.data + 2, key.len - 2))
            != UCAN_OK)
        {
            row->id.len = 0;
            reads[i].keys_only = 1;
        }
    }

    if (reads == NULL) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    scan->batch = n;

    return ngx_mesh_storage_rest_read(rest, job,
                                      ngx_mesh_storage_docs_scan_fetch_done);
}


static ngx_int_t
ngx_mesh_storage_docs_scan_fetch_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    size_t                              i;
    ngx_int_t                           rc;
    const store_row_t                  *row;
    ngx_mesh_storage_docs_scan_t       *scan;
    const ngx_mesh_storage_docs_row_t  *entry;

    scan = rest->data;

    if (job->rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    for (i = 0; i < scan->batch; i++) {
        entry = &scan->rows[scan->at++];
        row = job->rows[i].count ? &job->rows[i].rows[0] : NULL;

        rc = (scan->rows == scan->sort)
             ? ngx_mesh_storage_docs_answer_sorted(rest, entry, row)
             : ngx_mesh_storage_docs_scan_entry(rest, job->pool, entry, row);

        if (rc == NGX_DONE) {
            return ngx_mesh_storage_docs_answer_send(rest);
        }

        if (rc != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    return ngx_mesh_storage_docs_scan_fetch(rest);
}


/* An entry and its document; one that is not the document's any more is left
   over: the document has gone, or changes while we look. */
static ngx_int_t
ngx_mesh_storage_docs_scan_entry(ngx_mesh_storage_rest_t *rest,
    ngx_pool_t *pool, const ngx_mesh_storage_docs_row_t *entry,
    const store_row_t *row)
{
    size_t                          i, skip;
    bytes_t                         key;
    ngx_int_t                       rc;
    ngx_mesh_storage_docs_scan_t   *scan;
    ngx_mesh_storage_docs_entry_t   entries[
                                        NGX_MESH_STORAGE_DOCS_INDEXES_MAX];

    scan = rest->data;
    rc = NGX_OK;
    scan->seen++;

    if (row == NULL && entry->id.len != 0) {
        ngx_mesh_storage_docs_build_stale(rest, scan->plan.index->uid,
                                          scan->prefix, entry);
    }

    if (row && entry->id.len != 0) {

        if (ngx_mesh_storage_docs_index_entries(pool, scan->indexes,
                                                row->value, entry->id,
                                                entries)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        i = scan->plan.index - scan->indexes->indexes;
        skip = sizeof("e//") - 1 + NGX_MESH_STORAGE_DOCS_UID_LEN;
        key = entries[i].key;

        if (bytes_equal(bytes_make(key.data + skip, key.len - skip),
                        entry->key))
        {
            rc = ngx_mesh_storage_docs_answer_row(rest, entry->id, row);
        }
    }

    if (rc == NGX_OK) {
        ngx_mesh_storage_docs_scan_stay(&scan->after, scan->after_data,
                                        entry->key);
    }

    return rc;
}


void
ngx_mesh_storage_docs_scan_stay(bytes_t *place, u_char *data, bytes_t key)
{
    place->len = ngx_min(key.len, (size_t) STORE_KEY_MAX);
    place->data = data;
    ngx_memcpy(data, key.data, place->len);
}


int
ngx_mesh_storage_docs_scan_compare(bytes_t a, bytes_t b)
{
    int  rc;

    rc = ngx_memcmp(a.data, b.data, ngx_min(a.len, b.len));

    return (rc != 0) ? rc : (a.len > b.len) - (a.len < b.len);
}
