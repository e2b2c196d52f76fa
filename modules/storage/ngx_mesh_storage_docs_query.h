/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Queries of a collection: what is asked, the plan that answers it, and the
 * steps of the docs resource that live in several files.
 */


#ifndef _NGX_MESH_STORAGE_DOCS_QUERY_H_INCLUDED_
#define _NGX_MESH_STORAGE_DOCS_QUERY_H_INCLUDED_


#include "doc_filter.h"
#include "ngx_mesh_storage_docs_index.h"


#define NGX_MESH_STORAGE_DOCS_SCAN_MAX    1000  /* documents a request */
#define NGX_MESH_STORAGE_DOCS_SCAN_BYTES  (16 * 1024 * 1024)
#define NGX_MESH_STORAGE_DOCS_PAGE        100   /* documents a read */
#define NGX_MESH_STORAGE_DOCS_RANGES_MAX  DOC_FILTER_VALUES_MAX
#define NGX_MESH_STORAGE_DOCS_BOUND_MAX                                       \
    (NGX_MESH_STORAGE_DOCS_FIELDS_MAX * SORT_KEY_FIELD_MAX + 1)


/* What is asked.  All in r->pool; it stays where it was read. */
typedef struct {
    bytes_t          collection;
    doc_filter_t     filter;
    doc_path_set_t   sort;
    unsigned         down[NGX_MESH_STORAGE_DOCS_FIELDS_MAX];   /* "-field" */
    doc_path_set_t   fields;      /* none: the whole document */
    size_t           limit;
    unsigned         count:1;     /* how many there are in all */
    bytes_t          cursor;      /* place of the page before; empty: first */

    /* of one that is refused */
    problem_t        problem;
    const char      *detail;      /* may be NULL */
    bytes_t          pointer;
} ngx_mesh_storage_docs_query_t;


/* Keys of entries, behind "e/<uid>/", from low on and below high. */
typedef struct {
    size_t           low_len;
    size_t           high_len;    /* 0: to the end */
    u_char           low[NGX_MESH_STORAGE_DOCS_BOUND_MAX];
    u_char           high[NGX_MESH_STORAGE_DOCS_BOUND_MAX];
} ngx_mesh_storage_docs_range_t;


/* How it is answered. */
typedef struct {
    const ngx_mesh_storage_docs_index_t  *index;    /* NULL: all documents,
                                                       by id */
    unsigned         reverse:1;   /* from the end */
    unsigned         ordered:1;   /* as "sort" says, without sorting */
    unsigned         bounded:1;   /* the filter bounds what is read */
    unsigned         narrow:1;    /* by more than equalities */
    size_t           equal;       /* fields of the index that are fixed */
    size_t           count;
    ngx_mesh_storage_docs_range_t  ranges[NGX_MESH_STORAGE_DOCS_RANGES_MAX];
                                  /* in the order of keys */
} ngx_mesh_storage_docs_plan_t;


/* The best plan; indexes must outlive it. */
void ngx_mesh_storage_docs_plan(ngx_mesh_storage_docs_plan_t *plan,
    const ngx_mesh_storage_docs_query_t *query,
    const ngx_mesh_storage_docs_indexes_t *indexes);

/* The plan that uses this index (NULL: none), for a page that goes on. */
void ngx_mesh_storage_docs_plan_with(ngx_mesh_storage_docs_plan_t *plan,
    const ngx_mesh_storage_docs_query_t *query,
    const ngx_mesh_storage_docs_indexes_t *indexes,
    const ngx_mesh_storage_docs_index_t *index);

/* A path that the plan does not help with, for people: of the filter, or of
   the sort; empty: there is none. */
bytes_t ngx_mesh_storage_docs_plan_missing(
    const ngx_mesh_storage_docs_plan_t *plan,
    const ngx_mesh_storage_docs_query_t *query);


/* Steps. */

/* GET of the collections. */
ngx_int_t ngx_mesh_storage_docs_list(ngx_mesh_storage_rest_t *rest);

/* One document: GET, HEAD, PUT, PATCH, DELETE. */
ngx_int_t ngx_mesh_storage_docs_write(ngx_mesh_storage_rest_t *rest,
    bytes_t collection, bytes_t id);

/* POST to a collection: a new one under an id of ours. */
ngx_int_t ngx_mesh_storage_docs_write_new(ngx_mesh_storage_rest_t *rest,
    bytes_t collection);

/* ".../indexes" and, when name is not empty, ".../indexes/<name>". */
ngx_int_t ngx_mesh_storage_docs_declare(ngx_mesh_storage_rest_t *rest,
    bytes_t collection, bytes_t name);

/* GET of a collection, with the query in arguments. */
ngx_int_t ngx_mesh_storage_docs_query(ngx_mesh_storage_rest_t *rest,
    bytes_t collection);

/* POST of a query. */
ngx_int_t ngx_mesh_storage_docs_query_post(ngx_mesh_storage_rest_t *rest,
    bytes_t collection);


#endif /* _NGX_MESH_STORAGE_DOCS_QUERY_H_INCLUDED_ */
