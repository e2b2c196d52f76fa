/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Queries: reads what is asked, from arguments or from a body, and hands it
 * to the scan with the indexes that are declared.  Event loop only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <sodium.h>

#include "ngx_mesh_storage_docs_scan.h"


#define NGX_MESH_STORAGE_DOCS_TEXT_MAX    16384   /* bytes, of an argument */
#define NGX_MESH_STORAGE_DOCS_BODY_MAX    65536   /* bytes, of a query */


/* NGX_OK; NGX_DECLINED: query->problem says what is wrong; NGX_ERROR. */
typedef ngx_int_t (*ngx_mesh_storage_docs_query_pt)(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_docs_query_t *query,
    const json_scan_t *value);

typedef struct {
    const char                      *name;
    ngx_mesh_storage_docs_query_pt   read;
} ngx_mesh_storage_docs_query_row_t;


static ngx_mesh_storage_docs_scan_t *ngx_mesh_storage_docs_query_open(
    ngx_mesh_storage_rest_t *rest, bytes_t collection, ngx_int_t *rc);
static ngx_int_t ngx_mesh_storage_docs_query_args(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_docs_scan_t *scan,
    ngx_int_t *rc);
static ngx_int_t ngx_mesh_storage_docs_query_filter_arg(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_docs_query_t *query,
    bytes_t text, ngx_int_t *rc);
static const char *ngx_mesh_storage_docs_query_split(
    ngx_mesh_storage_docs_query_t *query, bytes_t text, ngx_uint_t sort);
static const char *ngx_mesh_storage_docs_query_field(
    ngx_mesh_storage_docs_query_t *query, bytes_t text, ngx_uint_t sort);
static ngx_int_t ngx_mesh_storage_docs_query_body(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_docs_query_filter(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_docs_query_t *query,
    const json_scan_t *value);
static ngx_int_t ngx_mesh_storage_docs_query_sort(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_docs_query_t *query,
    const json_scan_t *value);
static ngx_int_t ngx_mesh_storage_docs_query_fields(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_docs_query_t *query,
    const json_scan_t *value);
static ngx_int_t ngx_mesh_storage_docs_query_list(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_docs_query_t *query,
    const json_scan_t *value, ngx_uint_t sort);
static ngx_int_t ngx_mesh_storage_docs_query_limit(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_docs_query_t *query,
    const json_scan_t *value);
static ngx_int_t ngx_mesh_storage_docs_query_count(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_docs_query_t *query,
    const json_scan_t *value);
static ngx_int_t ngx_mesh_storage_docs_query_cursor(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_docs_query_t *query,
    const json_scan_t *value);
static ngx_int_t ngx_mesh_storage_docs_query_refuse(
    ngx_mesh_storage_docs_query_t *query, const char *detail,
    const char *pointer);
static ngx_int_t ngx_mesh_storage_docs_query_start(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_docs_query_bad(
    ngx_mesh_storage_rest_t *rest, problem_t problem, const char *detail,
    bytes_t pointer);
static ngx_int_t ngx_mesh_storage_docs_query_bad_filter(
    ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_storage_docs_query_t *query);


static const ngx_mesh_storage_docs_query_row_t
    ngx_mesh_storage_docs_query_rows[] =
{
    { "filter", ngx_mesh_storage_docs_query_filter },
    { "sort", ngx_mesh_storage_docs_query_sort },
    { "fields", ngx_mesh_storage_docs_query_fields },
    { "limit", ngx_mesh_storage_docs_query_limit },
    { "count", ngx_mesh_storage_docs_query_count },
    { "cursor", ngx_mesh_storage_docs_query_cursor },
    { NULL, NULL }
};


ngx_int_t
ngx_mesh_storage_docs_query(ngx_mesh_storage_rest_t *rest,
    bytes_t collection)
{
    ngx_int_t                      rc;
    ngx_mesh_storage_docs_scan_t  *scan;

    if (rest->r->method != NGX_HTTP_GET && rest->r->method != NGX_HTTP_HEAD) {
        return ngx_mesh_storage_rest_method(rest, "GET, HEAD, POST");
    }

    scan = ngx_mesh_storage_docs_query_open(rest, collection, &rc);

    if (scan == NULL
        || ngx_mesh_storage_docs_query_args(rest, scan, &rc) != NGX_OK)
    {
        return rc;
    }

    return ngx_mesh_storage_docs_query_start(rest);
}


ngx_int_t
ngx_mesh_storage_docs_query_post(ngx_mesh_storage_rest_t *rest,
    bytes_t collection)
{
    ngx_int_t  rc;

    if (rest->r->method != NGX_HTTP_POST) {
        return ngx_mesh_storage_rest_method(rest, "POST");
    }

    if (ngx_mesh_storage_docs_query_open(rest, collection, &rc) == NULL) {
        return rc;
    }

    return ngx_mesh_storage_rest_body(rest, NGX_MESH_STORAGE_DOCS_BODY_MAX,
                                      "application/json",
                                      ngx_mesh_storage_docs_query_body);
}


/* NULL: *rc is the answer. */
static ngx_mesh_storage_docs_scan_t *
ngx_mesh_storage_docs_query_open(ngx_mesh_storage_rest_t *rest,
    bytes_t collection, ngx_int_t *rc)
{
    bytes_t                        all;
    json_scan_t                    filter;
    const char                    *fault;
    ngx_mesh_storage_docs_scan_t  *scan;

    *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
    fault = ngx_mesh_storage_docs_name(collection, bytes_make(NULL, 0));

    if (fault) {
        *rc = ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST, fault);
        return NULL;
    }

    all = ngx_mesh_storage_rest_key(rest->r->pool, "", collection,
                                    bytes_of("/"));

    scan = ngx_pcalloc(rest->r->pool, sizeof(ngx_mesh_storage_docs_scan_t));

    if (scan == NULL || all.len == 0
        || ngx_mesh_storage_rest_allow(rest, "/storage/read", "docs", all, rc)
           != NGX_OK)
    {
        return NULL;
    }

    scan->query.collection = collection;
    scan->query.limit = NGX_MESH_STORAGE_REST_LIMIT;
    scan->prefix = all;
    rest->data = scan;

    (void) json_scan_open(bytes_of("{}"), &filter);
    (void) doc_filter_parse(&scan->query.filter, &filter, "");

    crypto_generichash_init(&scan->hash, NULL, 0,
                            NGX_MESH_STORAGE_DOCS_SCOPE_LEN / 2);
    crypto_generichash_update(&scan->hash, collection.data, collection.len);

    return scan;
}


/* From arguments. */

static ngx_int_t
ngx_mesh_storage_docs_query_args(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_docs_scan_t *scan, ngx_int_t *rc)
{
    size_t                          i;
    bytes_t                         text;
    uint64_t                        limit, count;
    ngx_int_t                       found;
    const char                     *fault;
    ngx_mesh_storage_docs_query_t  *query;

    static const char  *const  names[] = { "filter", "sort", "fields" };

    static const ngx_mesh_storage_rest_number_t  limits =
        { "limit", 1, NGX_MESH_STORAGE_REST_LIMIT_MAX };
    static const ngx_mesh_storage_rest_number_t  counts = { "count", 0, 1 };

    query = &scan->query;

    for (i = 0; i < 3; i++) {
        found = ngx_mesh_storage_rest_query(rest, names[i],
                                            NGX_MESH_STORAGE_DOCS_TEXT_MAX,
                                            &text, rc);
        if (found == NGX_ERROR) {
            return NGX_ERROR;
        }

        crypto_generichash_update(&scan->hash, (u_char *) "\0g", 2);
        crypto_generichash_update(&scan->hash, text.data, text.len);

        if (found == NGX_DECLINED) {
            continue;
        }

        if (i == 0) {

            if (ngx_mesh_storage_docs_query_filter_arg(rest, query, text, rc)
                != NGX_OK)
            {
                return NGX_ERROR;
            }

            continue;
        }

        fault = ngx_mesh_storage_docs_query_split(query, text, i == 1);

        if (fault) {
            *rc = ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                                                fault);
            return NGX_ERROR;
        }
    }

    limit = query->limit;
    count = 0;

    if (ngx_mesh_storage_rest_number(rest, &limits, &limit, rc) == NGX_ERROR
        || ngx_mesh_storage_rest_number(rest, &counts, &count, rc)
           == NGX_ERROR
        || ngx_mesh_storage_rest_query(rest, "cursor", CURSOR_TEXT_MAX,
                                       &query->cursor, rc)
           == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    query->limit = limit;
    query->count = (count != 0);

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_docs_query_filter_arg(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_docs_query_t *query, bytes_t text, ngx_int_t *rc)
{
    json_scan_t  value;

    if (json_scan_validate(text, NULL) != JSON_SCAN_OK
        || json_scan_open(text, &value) != 0)
    {
        *rc = ngx_mesh_storage_docs_query_bad(rest, PROBLEM_INVALID_FILTER,
                                              "\"filter\" is no JSON",
                                              bytes_of(""));
        return NGX_ERROR;
    }

    if (doc_filter_parse(&query->filter, &value, "") != 0) {
        *rc = ngx_mesh_storage_docs_query_bad_filter(rest, query);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* "a,-b.c".  NULL, or what is wrong. */
static const char *
ngx_mesh_storage_docs_query_split(ngx_mesh_storage_docs_query_t *query,
    bytes_t text, ngx_uint_t sort)
{
    bytes_t         field;
    const char     *fault;
    const uint8_t  *p, *last;

    p = text.data;
    last = text.data + text.len;

    for ( ;; ) {
        field.data = p;

        while (p < last && *p != ',') {
            p++;
        }

        field.len = p - field.data;
        fault = ngx_mesh_storage_docs_query_field(query, field, sort);

        if (fault) {
            return fault;
        }

        if (p == last) {
            return NULL;
        }

        p++;
    }
}


static const char *
ngx_mesh_storage_docs_query_field(ngx_mesh_storage_docs_query_t *query,
    bytes_t text, ngx_uint_t sort)
{
    ngx_uint_t       down;
    const char      *fault;
    doc_path_set_t  *set;

    down = 0;
    set = sort ? &query->sort : &query->fields;

    if (sort) {

        if (set->count == NGX_MESH_STORAGE_DOCS_FIELDS_MAX) {
            return "\"sort\" has more than 3 fields";
        }

        if (text.len != 0 && text.data[0] == '-') {
            down = 1;
            text.data++;
            text.len--;
        }

    } else if (set->count == DOC_PATH_SET_MAX) {
        return "\"fields\" has more than 32 fields";
    }

    fault = doc_path_parse(&set->paths[set->count], text);

    if (fault) {
        return fault;
    }

    if (sort) {
        query->down[set->count] = down;
    }

    set->count++;

    return NULL;
}


/* From a body. */

static ngx_int_t
ngx_mesh_storage_docs_query_body(ngx_mesh_storage_rest_t *rest)
{
    size_t                                    pos;
    ngx_int_t                                 rc;
    json_scan_t                               key, value;
    ngx_mesh_storage_docs_scan_t             *scan;
    const ngx_mesh_storage_docs_query_row_t  *row;

    pos = 0;
    scan = rest->data;

    while (json_scan_next(&rest->object, &pos, &key, &value) == 0) {

        for (row = ngx_mesh_storage_docs_query_rows; row->name; row++) {

            if (json_scan_equal(&key, row->name)) {
                break;
            }
        }

        if (row->name == NULL) {
            return ngx_mesh_storage_docs_query_bad(rest, PROBLEM_BAD_REQUEST,
                       "a query has members filter, sort, fields, limit, "
                       "count, cursor", bytes_of(""));
        }

        rc = row->read(rest, &scan->query, &value);

        if (rc == NGX_DECLINED) {
            return ngx_mesh_storage_docs_query_bad(rest, scan->query.problem,
                                                   scan->query.detail,
                                                   scan->query.pointer);
        }

        if (rc != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (row->read == ngx_mesh_storage_docs_query_filter
            || row->read == ngx_mesh_storage_docs_query_sort
            || row->read == ngx_mesh_storage_docs_query_fields)
        {
            crypto_generichash_update(&scan->hash, (u_char *) "\0p", 2);
            crypto_generichash_update(&scan->hash, (u_char *) row->name,
                                      ngx_strlen(row->name) + 1);
            crypto_generichash_update(&scan->hash, value.raw.data,
                                      value.raw.len);
        }
    }

    return ngx_mesh_storage_docs_query_start(rest);
}


static ngx_int_t
ngx_mesh_storage_docs_query_filter(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_docs_query_t *query, const json_scan_t *value)
{
    if (doc_filter_parse(&query->filter, value, "/filter") == 0) {
        return NGX_OK;
    }

    query->problem = PROBLEM_INVALID_FILTER;
    query->detail = query->filter.fault;
    query->pointer = bytes_make(query->filter.pointer,
                                query->filter.pointer_len);

    return NGX_DECLINED;
}


static ngx_int_t
ngx_mesh_storage_docs_query_sort(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_docs_query_t *query, const json_scan_t *value)
{
    return ngx_mesh_storage_docs_query_list(rest, query, value, 1);
}


static ngx_int_t
ngx_mesh_storage_docs_query_fields(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_docs_query_t *query, const json_scan_t *value)
{
    return ngx_mesh_storage_docs_query_list(rest, query, value, 0);
}


static ngx_int_t
ngx_mesh_storage_docs_query_list(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_docs_query_t *query, const json_scan_t *value,
    ngx_uint_t sort)
{
    size_t           pos;
    const char      *fault;
    json_scan_t      field;
    bytes_writer_t   w;

    pos = 0;
    fault = (value->type == JSON_SCAN_ARRAY) ? NULL : "a list of paths";

    while (fault == NULL && json_scan_next(value, &pos, NULL, &field) == 0) {

        if (ngx_mesh_storage_rest_writer(rest, &w, DOC_PATH_MAX + 1)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (json_scan_string(&field, &w) != 0) {
            fault = "a path is a string of at most 128 bytes";
            break;
        }

        fault = ngx_mesh_storage_docs_query_field(query,
                                                  bytes_writer_view(&w),
                                                  sort);
    }

    return fault ? ngx_mesh_storage_docs_query_refuse(query, fault,
                                                      sort ? "/sort"
                                                           : "/fields")
                 : NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_docs_query_limit(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_docs_query_t *query, const json_scan_t *value)
{
    int64_t  n;

    if (json_scan_integer(value, &n) != 0 || n < 1
        || n > NGX_MESH_STORAGE_REST_LIMIT_MAX)
    {
        return ngx_mesh_storage_docs_query_refuse(query,
                   "\"limit\" must be a number from 1 to 1000", "/limit");
    }

    query->limit = (size_t) n;

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_docs_query_count(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_docs_query_t *query, const json_scan_t *value)
{
    if (value->type != JSON_SCAN_BOOL) {
        return ngx_mesh_storage_docs_query_refuse(query,
                   "\"count\" must be true or false", "/count");
    }

    query->count = (value->truth != 0);

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_docs_query_cursor(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_docs_query_t *query, const json_scan_t *value)
{
    if (json_scan_plain(value, &query->cursor) != 0
        || query->cursor.len == 0 || query->cursor.len > CURSOR_TEXT_MAX)
    {
        (void) ngx_mesh_storage_docs_query_refuse(query, NULL, "/cursor");
        query->problem = PROBLEM_INVALID_CURSOR;

        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_docs_query_refuse(ngx_mesh_storage_docs_query_t *query,
    const char *detail, const char *pointer)
{
    query->problem = PROBLEM_BAD_REQUEST;
    query->detail = detail;
    query->pointer = bytes_of(pointer);

    return NGX_DECLINED;
}


/* The definitions are read, then the scan begins. */
static ngx_int_t
ngx_mesh_storage_docs_query_start(ngx_mesh_storage_rest_t *rest)
{
    u_char                         hash[NGX_MESH_STORAGE_DOCS_SCOPE_LEN / 2];
    store_read_t                  *read;
    ngx_mesh_store_job_t          *job;
    ngx_mesh_storage_docs_scan_t  *scan;

    scan = rest->data;

    if (scan->query.count && scan->query.cursor.len != 0) {
        return ngx_mesh_storage_docs_query_bad(rest, PROBLEM_BAD_REQUEST,
                   "\"count\" is for the first page", bytes_of("/count"));
    }

    crypto_generichash_final(&scan->hash, hash, sizeof(hash));
    ngx_hex_dump(scan->scope, hash, sizeof(hash));

    job = ngx_mesh_storage_rest_get(rest, "i/", scan->query.collection);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    read = (store_read_t *) job->reads;
    read->ns = ngx_mesh_storage_rest_key(job->pool, "x/", rest->ns,
                                         bytes_make(NULL, 0));

    if (read->ns.len == 0) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_rest_read(rest, job,
                                      ngx_mesh_storage_docs_scan_begin);
}


static ngx_int_t
ngx_mesh_storage_docs_query_bad(ngx_mesh_storage_rest_t *rest,
    problem_t problem, const char *detail, bytes_t pointer)
{
    problem_facts_t   facts;
    problem_member_t  member;

    ngx_memzero(&facts, sizeof(problem_facts_t));
    ngx_memzero(&member, sizeof(problem_member_t));

    if (detail) {
        facts.detail = bytes_of(detail);
    }

    member.name = "pointer";
    member.text = pointer;
    facts.members = &member;
    facts.member_count = 1;

    return ngx_mesh_reply_problem_facts(rest->r, problem, &facts);
}


static ngx_int_t
ngx_mesh_storage_docs_query_bad_filter(ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_storage_docs_query_t *query)
{
    return ngx_mesh_storage_docs_query_bad(rest, PROBLEM_INVALID_FILTER,
                                           query->filter.fault,
                                           bytes_make(query->filter.pointer,
                                                query->filter.pointer_len));
}
