/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What a query answers: the documents that match, as they come or sorted, up
 * to the end of the page; the count; the cursor.  Event loop only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_docs_scan.h"


static ngx_int_t ngx_mesh_storage_docs_answer_keep(
    ngx_mesh_storage_rest_t *rest, bytes_t id, const json_scan_t *document);
static ngx_int_t ngx_mesh_storage_docs_answer_emit(
    ngx_mesh_storage_rest_t *rest, bytes_t id, const store_row_t *row,
    const json_scan_t *document);
static ngx_int_t ngx_mesh_storage_docs_answer_reserve(
    ngx_mesh_storage_rest_t *rest, size_t size);
static int ngx_libc_cdecl ngx_mesh_storage_docs_answer_cmp(const void *one,
    const void *two);


/* A document in the order of the plan.  NGX_DONE: the page was full before
   it. */
ngx_int_t
ngx_mesh_storage_docs_answer_row(ngx_mesh_storage_rest_t *rest, bytes_t id,
    const store_row_t *row)
{
    ngx_int_t                      rc;
    json_scan_t                    document;
    ngx_mesh_storage_docs_scan_t  *scan;

    scan = rest->data;
    scan->bytes += row->value.len;

    if (json_scan_open(row->value, &document) != 0) {
        return NGX_ERROR;
    }

    if (!doc_filter_match(&scan->query.filter, &document)) {
        return NGX_OK;
    }

    if (scan->sorted) {
        scan->matched++;
        return ngx_mesh_storage_docs_answer_keep(rest, id, &document);
    }

    rc = scan->full ? NGX_DONE
                    : ngx_mesh_storage_docs_answer_emit(rest, id, row,
                                                      &document);

    if (rc == NGX_DONE && !scan->full) {
        scan->more = 1;
        scan->full = 1;
        ngx_mesh_storage_docs_scan_stay(&scan->last, scan->last_data,
                                        scan->after);
    }

    if (rc == NGX_DONE && scan->query.count) {
        rc = NGX_OK;
    }

    scan->matched += (rc == NGX_OK);

    return rc;
}


/* Its sort key, with the id so that no two are the same. */
static ngx_int_t
ngx_mesh_storage_docs_answer_keep(ngx_mesh_storage_rest_t *rest, bytes_t id,
    const json_scan_t *document)
{
    size_t                          i;
    u_char                         *from, buf[NGX_MESH_STORAGE_DOCS_BOUND_MAX
                                              + NGX_MESH_STORAGE_ID_MAX + 1];
    uint32_t                        found;
    json_scan_t                     values[DOC_PATH_SET_MAX];
    bytes_writer_t                  w;
    ngx_mesh_storage_docs_row_t    *row;
    ngx_mesh_storage_docs_scan_t   *scan;
    ngx_mesh_storage_docs_query_t  *query;

    scan = rest->data;
    query = &scan->query;

    if (scan->sort == NULL) {
        scan->sort = ngx_palloc(rest->r->pool,
                                (NGX_MESH_STORAGE_DOCS_SCAN_MAX + 1)
                                * sizeof(ngx_mesh_storage_docs_row_t));
        if (scan->sort == NULL) {
            return NGX_ERROR;
        }
    }

    found = doc_path_find(&query->sort, document, values);
    bytes_writer_open(&w, buf, sizeof(buf));

    for (i = 0; i < query->sort.count; i++) {
        from = w.pos;
        (void) sort_key_write(&w, (found >> i & 1) ? &values[i] : NULL);

        if (query->down[i]) {
            sort_key_turn(&w, from);
        }
    }

    from = w.pos;
    bytes_writer_bytes(&w, id);
    bytes_writer_byte(&w, '\0');

    if (i != 0 && query->down[i - 1]) {
        sort_key_turn(&w, from);
    }

    row = &scan->sort[scan->sort_count++];
    row->id = ngx_mesh_storage_rest_key(rest->r->pool, "", id,
                                        bytes_make(NULL, 0));
    row->key = ngx_mesh_storage_rest_key(rest->r->pool, "",
                                         bytes_writer_view(&w),
                                         bytes_make(NULL, 0));

    return (w.failed || row->id.len == 0 || row->key.len == 0) ? NGX_ERROR
                                                               : NGX_OK;
}


/* Writes it into the answer; NGX_DONE: there is no room left. */
static ngx_int_t
ngx_mesh_storage_docs_answer_emit(ngx_mesh_storage_rest_t *rest, bytes_t id,
    const store_row_t *row, const json_scan_t *document)
{
    size_t                         size;
    ngx_mesh_storage_docs_scan_t  *scan;

    scan = rest->data;
    size = row->value.len + json_write_string_max(id.len) + 256;

    if (scan->items == scan->query.limit
        || (scan->items != 0
            && (size_t) (scan->w.pos - scan->w.start) + size
               > NGX_MESH_STORAGE_DOCS_ANSWER_MAX))
    {
        return NGX_DONE;
    }

    /* and what closes the answer, a cursor included */

    if (ngx_mesh_storage_docs_answer_reserve(rest, size + 1024) != NGX_OK) {
        return NGX_ERROR;
    }

    scan->items++;

    json_write_object(&scan->j);
    json_write_member(&scan->j, "id", id);
    ngx_mesh_storage_rest_json_etag(&scan->j, row->seq);
    ngx_mesh_storage_rest_json_time(&scan->j, "expiresAt", row->expires_ms);
    json_write_key(&scan->j, "value");

    if (scan->query.fields.count == 0) {
        json_write_raw(&scan->j, document->raw);

    } else {

        /* a blank is where the value begins: the rest follows in place */

        json_write_raw(&scan->j, bytes_of(" "));
        doc_path_project(&scan->query.fields, document, &scan->w);
    }

    json_write_object_end(&scan->j);

    return scan->w.failed ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_docs_answer_reserve(ngx_mesh_storage_rest_t *rest,
    size_t size)
{
    size_t                         used;
    u_char                        *old;
    bytes_writer_t                 w;
    ngx_mesh_storage_docs_scan_t  *scan;

    scan = rest->data;

    if (bytes_writer_left(&scan->w) >= size) {
        return NGX_OK;
    }

    old = scan->w.start;
    used = scan->w.pos - scan->w.start;

    if (ngx_mesh_storage_rest_writer(rest, &w, 2 * used + size) != NGX_OK) {
        return NGX_ERROR;
    }

    bytes_writer_put(&w, old, used);
    scan->w = w;

    (void) ngx_pfree(rest->r->pool, old);

    return NGX_OK;
}


/* Ends. */

/* All was read: what had to be sorted is, and its page is read again. */
ngx_int_t
ngx_mesh_storage_docs_answer_sort(ngx_mesh_storage_rest_t *rest)
{
    ngx_mesh_storage_docs_scan_t  *scan;

    scan = rest->data;

    if (!scan->sorted || scan->sort == NULL) {
        return ngx_mesh_storage_docs_answer_send(rest);
    }

    ngx_qsort(scan->sort, scan->sort_count,
              sizeof(ngx_mesh_storage_docs_row_t),
              ngx_mesh_storage_docs_answer_cmp);

    scan->rows = scan->sort;
    scan->count = scan->sort_count;
    scan->at = 0;

    while (scan->at < scan->count
           && ngx_mesh_storage_docs_scan_compare(scan->rows[scan->at].key,
                                                 scan->start)
              <= 0)
    {
        scan->at++;
    }

    return ngx_mesh_storage_docs_scan_fetch(rest);
}


ngx_int_t
ngx_mesh_storage_docs_answer_sorted(ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_storage_docs_row_t *entry, const store_row_t *row)
{
    ngx_int_t                      rc;
    json_scan_t                    document;
    ngx_mesh_storage_docs_scan_t  *scan;

    scan = rest->data;

    if (row == NULL || entry->id.len == 0) {
        return NGX_OK;
    }

    if (json_scan_open(row->value, &document) != 0) {
        return NGX_ERROR;
    }

    if (!doc_filter_match(&scan->query.filter, &document)) {
        return NGX_OK;
    }

    rc = ngx_mesh_storage_docs_answer_emit(rest, entry->id, row, &document);

    if (rc == NGX_OK) {
        ngx_mesh_storage_docs_scan_stay(&scan->last, scan->last_data,
                                        entry->key);

    } else if (rc == NGX_DONE) {
        scan->more = 1;
    }

    return rc;
}


/* What one request may read was read. */
ngx_int_t
ngx_mesh_storage_docs_answer_bound(ngx_mesh_storage_rest_t *rest)
{
    problem_facts_t                facts;
    problem_member_t               members[2];
    ngx_mesh_storage_docs_scan_t  *scan;

    scan = rest->data;

    if (!scan->sorted
        && (scan->full || scan->plan.bounded
            || scan->query.filter.terms == 0))
    {
        scan->partial = 1;

        if (!scan->full) {
            scan->more = 1;
            ngx_mesh_storage_docs_scan_stay(&scan->last, scan->last_data,
                                            scan->after);
        }

        return ngx_mesh_storage_docs_answer_send(rest);
    }

    ngx_memzero(&facts, sizeof(problem_facts_t));
    ngx_memzero(members, sizeof(members));

    facts.detail = bytes_of("no index of the collection helps with this "
                            "field, and there are too many documents to look "
                            "at each: declare an index, or ask for less");

    members[0].name = "field";
    members[0].text = ngx_mesh_storage_docs_plan_missing(&scan->plan,
                                                         &scan->query);
    members[1].name = "limit";
    members[1].number = NGX_MESH_STORAGE_DOCS_SCAN_MAX;

    if (members[0].text.data == NULL) {
        members[0].text = scan->query.sort.paths[0].text;
    }

    facts.members = members;
    facts.member_count = 2;

    return ngx_mesh_reply_problem_facts(rest->r, PROBLEM_UNINDEXED_FILTER,
                                        &facts);
}


ngx_int_t
ngx_mesh_storage_docs_answer_send(ngx_mesh_storage_rest_t *rest)
{
    u_char                         text[CURSOR_TEXT_MAX];
    u_char                         place[CURSOR_PAYLOAD_MAX];
    bytes_t                        scope;
    bytes_writer_t                 w, c;
    ngx_mesh_storage_docs_scan_t  *scan;

    scan = rest->data;
    json_write_array_end(&scan->j);

    if (scan->query.count) {
        json_write_member_integer(&scan->j, "count", scan->matched);
        json_write_member_bool(&scan->j, "countComplete", !scan->partial);
    }

    if (scan->more) {
        bytes_writer_open(&w, place, sizeof(place));

        if (scan->sorted) {
            bytes_writer_byte(&w, 's');

        } else if (scan->plan.index) {
            bytes_writer_byte(&w, 'e');
            bytes_writer_bytes(&w, scan->plan.index->uid);

        } else {
            bytes_writer_byte(&w, 'd');
        }

        bytes_writer_bytes(&w, scan->last);
        bytes_writer_open(&c, text, sizeof(text));

        if (w.failed || ngx_mesh_storage_docs_scan_scope(rest, &scope)
                        != NGX_OK
            || cursor_encode(rest->mcf->cursor_key, scope,
                             bytes_writer_view(&w), &c)
               != 0)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        json_write_member(&scan->j, "next", bytes_writer_view(&c));

        if (rest->r->method != NGX_HTTP_POST
            && ngx_mesh_storage_rest_cursor_link(rest, bytes_writer_view(&c))
               != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    json_write_object_end(&scan->j);

    return ngx_mesh_storage_rest_reply(rest, NGX_HTTP_OK, &scan->w);
}


static int ngx_libc_cdecl
ngx_mesh_storage_docs_answer_cmp(const void *one, const void *two)
{
    const ngx_mesh_storage_docs_row_t  *a, *b;

    a = one;
    b = two;

    return ngx_mesh_storage_docs_scan_compare(a->key, b->key);
}
