/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Which index answers a query: comparisons that must all hold are laid over
 * the fields of each, equalities first, then one range, prefix or "in"; what
 * is left is asked of the documents.  Bounds may be too wide, never too
 * narrow.  Computes only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_docs_query.h"


#define NGX_MESH_STORAGE_DOCS_KEY_NULL   0x10    /* of sort_key.h: the first */
#define NGX_MESH_STORAGE_DOCS_KEY_OTHER  0x50    /* behind the last scalar */


static ngx_uint_t ngx_mesh_storage_docs_plan_score(
    const ngx_mesh_storage_docs_plan_t *plan,
    const ngx_mesh_storage_docs_query_t *query);
static const doc_filter_node_t *ngx_mesh_storage_docs_plan_term(
    const doc_filter_t *filter, const doc_path_t *path, unsigned ops,
    size_t *from);
static size_t ngx_mesh_storage_docs_plan_equal(
    const ngx_mesh_storage_docs_query_t *query,
    const ngx_mesh_storage_docs_indexes_t *indexes,
    const ngx_mesh_storage_docs_index_t *index, bytes_writer_t *w);
static ngx_uint_t ngx_mesh_storage_docs_plan_list(
    ngx_mesh_storage_docs_plan_t *plan, const doc_filter_t *filter,
    const doc_path_t *path, bytes_t prefix);
static ngx_uint_t ngx_mesh_storage_docs_plan_range(
    ngx_mesh_storage_docs_plan_t *plan, const doc_filter_t *filter,
    const doc_path_t *path, bytes_t prefix);
static void ngx_mesh_storage_docs_plan_narrow(
    ngx_mesh_storage_docs_range_t *range, bytes_t prefix,
    const doc_filter_node_t *node);
static void ngx_mesh_storage_docs_plan_raise(
    ngx_mesh_storage_docs_range_t *range, bytes_t low);
static void ngx_mesh_storage_docs_plan_lower(
    ngx_mesh_storage_docs_range_t *range, bytes_t high);
static void ngx_mesh_storage_docs_plan_order(
    ngx_mesh_storage_docs_plan_t *plan,
    const ngx_mesh_storage_docs_query_t *query,
    const ngx_mesh_storage_docs_indexes_t *indexes, size_t equal);
static void ngx_mesh_storage_docs_plan_next(bytes_writer_t *w);
static int ngx_libc_cdecl ngx_mesh_storage_docs_plan_cmp(const void *one,
    const void *two);
static int ngx_mesh_storage_docs_plan_compare(bytes_t a, bytes_t b);


#define ngx_mesh_storage_docs_plan_bit(op)  (1U << (op))


void
ngx_mesh_storage_docs_plan(ngx_mesh_storage_docs_plan_t *plan,
    const ngx_mesh_storage_docs_query_t *query,
    const ngx_mesh_storage_docs_indexes_t *indexes)
{
    size_t      i, best;
    ngx_uint_t  score, top;

    top = 0;
    best = indexes->count;

    for (i = 0; i < indexes->count; i++) {

        if (!indexes->indexes[i].ready) {
            continue;
        }

        ngx_mesh_storage_docs_plan_with(plan, query, indexes,
                                        &indexes->indexes[i]);
        score = ngx_mesh_storage_docs_plan_score(plan, query);

        if (score > top) {
            top = score;
            best = i;
        }
    }

    ngx_mesh_storage_docs_plan_with(plan, query, indexes,
                                    (best != indexes->count)
                                    ? &indexes->indexes[best] : NULL);
}


/* More is better; 0: no use.  A sort that is not had costs everything. */
static ngx_uint_t
ngx_mesh_storage_docs_plan_score(const ngx_mesh_storage_docs_plan_t *plan,
    const ngx_mesh_storage_docs_query_t *query)
{
    ngx_uint_t  score;

    score = 0;

    if (plan->bounded) {
        score = 2 + 8 * plan->equal + 4 * plan->narrow;
    }

    if (query->sort.count != 0 && plan->ordered) {
        score += 7;
    }

    return score;
}


void
ngx_mesh_storage_docs_plan_with(ngx_mesh_storage_docs_plan_t *plan,
    const ngx_mesh_storage_docs_query_t *query,
    const ngx_mesh_storage_docs_indexes_t *indexes,
    const ngx_mesh_storage_docs_index_t *index)
{
    size_t                          equal;
    u_char                          buf[NGX_MESH_STORAGE_DOCS_BOUND_MAX];
    bytes_t                         prefix;
    bytes_writer_t                  w;
    const doc_path_t               *path;
    ngx_mesh_storage_docs_range_t  *range;

    plan->index = index;
    plan->reverse = 0;
    plan->bounded = 0;
    plan->narrow = 0;
    plan->equal = 0;
    plan->ordered = (query->sort.count == 0);
    plan->count = 1;

    range = &plan->ranges[0];
    range->low_len = 0;
    range->high_len = 0;

    if (index == NULL) {
        return;
    }

    bytes_writer_open(&w, buf, sizeof(buf));
    equal = ngx_mesh_storage_docs_plan_equal(query, indexes, index, &w);
    prefix = bytes_writer_view(&w);

    plan->equal = equal;
    plan->bounded = (equal != 0);

    if (prefix.len != 0) {
        ngx_mesh_storage_docs_plan_raise(range, prefix);
        ngx_mesh_storage_docs_plan_next(&w);
        ngx_mesh_storage_docs_plan_lower(range, bytes_writer_view(&w));
        w.pos = w.start + prefix.len;

        /* next() counted its last byte up */

        ngx_memcpy(w.start, range->low, prefix.len);
    }

    if (equal != index->count) {
        path = &indexes->paths.paths[index->fields[equal]];

        plan->narrow = ngx_mesh_storage_docs_plan_list(plan, &query->filter,
                                                       path, prefix)
                       || ngx_mesh_storage_docs_plan_range(plan,
                                                           &query->filter,
                                                           path, prefix);
        plan->bounded |= plan->narrow;
    }

    ngx_mesh_storage_docs_plan_order(plan, query, indexes, equal);
}


/* The next comparison of that path that must hold whatever else does; *from
   begins as 0. */
static const doc_filter_node_t *
ngx_mesh_storage_docs_plan_term(const doc_filter_t *filter,
    const doc_path_t *path, unsigned ops, size_t *from)
{
    size_t                    i;
    const doc_filter_node_t  *node;

    for (i = *from; i < filter->count; /* void */) {
        node = &filter->nodes[i];

        if (node->op == DOC_FILTER_AND) {
            i++;
            continue;
        }

        i = node->end;

        if (node->op > DOC_FILTER_NOT
            && (ops & ngx_mesh_storage_docs_plan_bit(node->op))
            && doc_path_equal(&filter->paths.paths[node->path], path))
        {
            *from = i;
            return node;
        }
    }

    return NULL;
}


/* Writes the keys of the fields that are fixed; how many. */
static size_t
ngx_mesh_storage_docs_plan_equal(const ngx_mesh_storage_docs_query_t *query,
    const ngx_mesh_storage_docs_indexes_t *indexes,
    const ngx_mesh_storage_docs_index_t *index, bytes_writer_t *w)
{
    size_t                    i, from;
    const doc_filter_node_t  *node;

    for (i = 0; i < index->count; i++) {
        from = 0;
        node = ngx_mesh_storage_docs_plan_term(&query->filter,
                   &indexes->paths.paths[index->fields[i]],
                   ngx_mesh_storage_docs_plan_bit(DOC_FILTER_EQ), &from);

        if (node == NULL) {
            break;
        }

        (void) sort_key_write(w, &node->value);
    }

    return i;
}


/* A range for each value of an "in", sorted, each once. */
static ngx_uint_t
ngx_mesh_storage_docs_plan_list(ngx_mesh_storage_docs_plan_t *plan,
    const doc_filter_t *filter, const doc_path_t *path, bytes_t prefix)
{
    size_t                          i, n, pos, from;
    json_scan_t                     value;
    bytes_writer_t                  w;
    const doc_filter_node_t        *node;
    ngx_mesh_storage_docs_range_t  *range;

    from = 0;
    node = ngx_mesh_storage_docs_plan_term(filter, path,
               ngx_mesh_storage_docs_plan_bit(DOC_FILTER_IN), &from);

    if (node == NULL) {
        return 0;
    }

    n = 0;
    pos = 0;

    while (n < NGX_MESH_STORAGE_DOCS_RANGES_MAX
           && json_scan_next(&node->value, &pos, NULL, &value) == 0)
    {
        range = &plan->ranges[n++];

        bytes_writer_open(&w, range->low, sizeof(range->low));
        bytes_writer_bytes(&w, prefix);
        (void) sort_key_write(&w, &value);
        range->low_len = w.pos - w.start;

        bytes_writer_open(&w, range->high, sizeof(range->high));
        bytes_writer_put(&w, range->low, range->low_len);
        ngx_mesh_storage_docs_plan_next(&w);
        range->high_len = w.pos - w.start;
    }

    ngx_qsort(plan->ranges, n, sizeof(ngx_mesh_storage_docs_range_t),
              ngx_mesh_storage_docs_plan_cmp);

    plan->count = (n != 0);

    for (i = 1; i < n; i++) {

        if (ngx_mesh_storage_docs_plan_cmp(&plan->ranges[plan->count - 1],
                                           &plan->ranges[i])
            != 0)
        {
            plan->ranges[plan->count++] = plan->ranges[i];
        }
    }

    return 1;
}


static ngx_uint_t
ngx_mesh_storage_docs_plan_range(ngx_mesh_storage_docs_plan_t *plan,
    const doc_filter_t *filter, const doc_path_t *path, bytes_t prefix)
{
    size_t                          from;
    u_char                          buf[NGX_MESH_STORAGE_DOCS_BOUND_MAX];
    unsigned                        ops;
    bytes_writer_t                  w;
    const doc_filter_node_t        *node;
    ngx_mesh_storage_docs_range_t  *range;

    ops = ngx_mesh_storage_docs_plan_bit(DOC_FILTER_LT)
          | ngx_mesh_storage_docs_plan_bit(DOC_FILTER_LTE)
          | ngx_mesh_storage_docs_plan_bit(DOC_FILTER_GT)
          | ngx_mesh_storage_docs_plan_bit(DOC_FILTER_GTE)
          | ngx_mesh_storage_docs_plan_bit(DOC_FILTER_PREFIX);

    from = 0;
    range = &plan->ranges[0];
    node = ngx_mesh_storage_docs_plan_term(filter, path, ops, &from);

    if (node == NULL) {
        return 0;
    }

    /* what compares at all is a scalar */

    bytes_writer_open(&w, buf, sizeof(buf));
    bytes_writer_bytes(&w, prefix);
    bytes_writer_byte(&w, NGX_MESH_STORAGE_DOCS_KEY_NULL);
    ngx_mesh_storage_docs_plan_raise(range, bytes_writer_view(&w));

    w.pos[-1] = NGX_MESH_STORAGE_DOCS_KEY_OTHER;
    ngx_mesh_storage_docs_plan_lower(range, bytes_writer_view(&w));

    while (node) {
        ngx_mesh_storage_docs_plan_narrow(range, prefix, node);
        node = ngx_mesh_storage_docs_plan_term(filter, path, ops, &from);
    }

    return 1;
}


static void
ngx_mesh_storage_docs_plan_narrow(ngx_mesh_storage_docs_range_t *range,
    bytes_t prefix, const doc_filter_node_t *node)
{
    int              cut;
    u_char           buf[NGX_MESH_STORAGE_DOCS_BOUND_MAX];
    bytes_writer_t   w;
    doc_filter_op_t  op;

    op = node->op;

    bytes_writer_open(&w, buf, sizeof(buf));
    bytes_writer_bytes(&w, prefix);

    if (op == DOC_FILTER_PREFIX) {
        (void) sort_key_write_prefix(&w, &node->value);
        ngx_mesh_storage_docs_plan_raise(range, bytes_writer_view(&w));
        ngx_mesh_storage_docs_plan_next(&w);
        ngx_mesh_storage_docs_plan_lower(range, bytes_writer_view(&w));
        return;
    }

    cut = sort_key_write(&w, &node->value);

    /* of what was cut both sides share the key */

    if (op == DOC_FILTER_LTE || (op == DOC_FILTER_LT && cut)
        || (op == DOC_FILTER_GT && !cut))
    {
        ngx_mesh_storage_docs_plan_next(&w);
    }

    if (op == DOC_FILTER_GT || op == DOC_FILTER_GTE) {
        ngx_mesh_storage_docs_plan_raise(range, bytes_writer_view(&w));

    } else {
        ngx_mesh_storage_docs_plan_lower(range, bytes_writer_view(&w));
    }
}


static void
ngx_mesh_storage_docs_plan_raise(ngx_mesh_storage_docs_range_t *range,
    bytes_t low)
{
    if (ngx_mesh_storage_docs_plan_compare(bytes_make(range->low,
                                                      range->low_len), low)
        < 0)
    {
        ngx_memcpy(range->low, low.data, low.len);
        range->low_len = low.len;
    }
}


static void
ngx_mesh_storage_docs_plan_lower(ngx_mesh_storage_docs_range_t *range,
    bytes_t high)
{
    if (range->high_len == 0
        || ngx_mesh_storage_docs_plan_compare(bytes_make(range->high,
                                                         range->high_len),
                                              high)
           > 0)
    {
        ngx_memcpy(range->high, high.data, high.len);
        range->high_len = high.len;
    }
}


/* Is the order of the index what is asked for?  Fields that are fixed do not
   matter; the others must follow them. */
static void
ngx_mesh_storage_docs_plan_order(ngx_mesh_storage_docs_plan_t *plan,
    const ngx_mesh_storage_docs_query_t *query,
    const ngx_mesh_storage_docs_indexes_t *indexes, size_t equal)
{
    size_t             i, k, at;
    ngx_uint_t         first;
    const size_t      *fields;
    const doc_path_t  *paths;

    at = equal;
    first = 1;
    paths = indexes->paths.paths;
    fields = plan->index->fields;

    for (i = 0; i < query->sort.count; i++) {

        for (k = 0; k < equal; k++) {

            if (doc_path_equal(&paths[fields[k]], &query->sort.paths[i])) {
                break;
            }
        }

        if (k != equal) {
            continue;
        }

        if (at == plan->index->count
            || !doc_path_equal(&paths[fields[at++]], &query->sort.paths[i])
            || (!first && query->down[i] != plan->reverse))
        {
            plan->ordered = 0;
            plan->reverse = 0;
            return;
        }

        plan->reverse = query->down[i];
        first = 0;
    }

    plan->ordered = 1;
}


bytes_t
ngx_mesh_storage_docs_plan_missing(const ngx_mesh_storage_docs_plan_t *plan,
    const ngx_mesh_storage_docs_query_t *query)
{
    if (!plan->bounded && query->filter.paths.count != 0) {
        return query->filter.paths.paths[0].text;
    }

    if (!plan->ordered) {
        return query->sort.paths[0].text;
    }

    return bytes_make(NULL, 0);
}


/* Makes of a key the first one that does not begin with it; none begins with
   ff only. */
static void
ngx_mesh_storage_docs_plan_next(bytes_writer_t *w)
{
    while (w->pos > w->start && w->pos[-1] == 0xff) {
        w->pos--;
    }

    if (w->pos > w->start) {
        w->pos[-1]++;
    }
}


static int ngx_libc_cdecl
ngx_mesh_storage_docs_plan_cmp(const void *one, const void *two)
{
    const ngx_mesh_storage_docs_range_t  *a, *b;

    a = one;
    b = two;

    return ngx_mesh_storage_docs_plan_compare(bytes_make(a->low, a->low_len),
                                              bytes_make(b->low, b->low_len));
}


static int
ngx_mesh_storage_docs_plan_compare(bytes_t a, bytes_t b)
{
    int  rc;

    rc = ngx_memcmp(a.data, b.data, ngx_min(a.len, b.len));

    return (rc != 0) ? rc : (a.len > b.len) - (a.len < b.len);
}
