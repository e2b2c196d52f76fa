/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * A query at work: pages of documents, or of entries and then their
 * documents, are read and filtered until the answer is full, the end or the
 * bound of a request is met.
 *
 * A query whose order no index has keeps the sort keys of what matches, at
 * most one for each document it may read, and reads those of its page again.
 *
 * Places, which cursors hold:
 *
 *     d <id>           the last document, by id
 *     e <uid> <key>    the last entry of that index
 *     s <key> <id>     the last sort key
 */


#ifndef _NGX_MESH_STORAGE_DOCS_SCAN_H_INCLUDED_
#define _NGX_MESH_STORAGE_DOCS_SCAN_H_INCLUDED_


#include <sodium.h>

#include "ngx_mesh_storage_docs_query.h"


#define NGX_MESH_STORAGE_DOCS_SCOPE_LEN   32      /* hex digits of a hash */
#define NGX_MESH_STORAGE_DOCS_ANSWER_MAX  (4 * 1024 * 1024)    /* bytes, but
                                               one document always goes */
#define NGX_MESH_STORAGE_DOCS_FETCH_MIN   8       /* documents a read, when */
#define NGX_MESH_STORAGE_DOCS_FETCH_BYTES (4 * 1024 * 1024)    /* large */


/* What matches, with its place in the order. */
typedef struct {
    bytes_t                           key;      /* sort key, id, 00; or that
                                                   of an entry */
    bytes_t                           id;       /* empty: may not be read */
    uint64_t                          seq;      /* of an entry */
} ngx_mesh_storage_docs_row_t;


typedef struct {
    ngx_mesh_storage_docs_query_t     query;
    crypto_generichash_state          hash;     /* of what is asked */
    u_char                            scope[NGX_MESH_STORAGE_DOCS_SCOPE_LEN];
    bytes_t                           prefix;   /* "<collection>/" */

    ngx_mesh_storage_docs_indexes_t  *indexes;
    ngx_mesh_storage_docs_plan_t      plan;
    size_t                            range;    /* of the plan, at work */
    unsigned                          sorted:1; /* must be sorted */
    unsigned                          full:1;   /* only counted further on */
    unsigned                          partial:1;  /* not all were counted */
    unsigned                          more:1;   /* there is a next page */

    bytes_t                           after;    /* read behind this: an id,
                                                   or a key of an entry behind
                                                   its prefix */
    bytes_t                           last;     /* that of the page's end */
    bytes_t                           start;    /* sorted: the key before */
    size_t                            seen;     /* documents, entries */
    size_t                            bytes;    /* of documents */
    size_t                            matched;

    ngx_mesh_storage_docs_row_t      *rows;     /* whose documents are read:
                                                   entries, or "sort" */
    size_t                            count;
    size_t                            at;       /* the next to be read */
    size_t                            batch;    /* and so many are */
    ngx_uint_t                        rows_more;
    ngx_mesh_storage_docs_row_t      *sort;     /* sorted: all that match */
    size_t                            sort_count;

    size_t                            items;    /* in the answer */
    json_write_t                      j;
    bytes_writer_t                    w;
    u_char                            after_data[STORE_KEY_MAX];
    u_char                            last_data[STORE_KEY_MAX];
} ngx_mesh_storage_docs_scan_t;


/* A document in the order of the plan; NGX_OK; NGX_DONE: the page was full
   before it, and nothing is counted; NGX_ERROR. */
ngx_int_t ngx_mesh_storage_docs_answer_row(ngx_mesh_storage_rest_t *rest,
    bytes_t id, const store_row_t *row);

/* All was read: what must be sorted is, then its page is read again; each row
   comes back here, as above. */
ngx_int_t ngx_mesh_storage_docs_answer_sort(ngx_mesh_storage_rest_t *rest);
ngx_int_t ngx_mesh_storage_docs_answer_sorted(ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_storage_docs_row_t *entry, const store_row_t *row);

/* What one request may read was read: the answer, or 422. */
ngx_int_t ngx_mesh_storage_docs_answer_bound(ngx_mesh_storage_rest_t *rest);

/* The answer. */
ngx_int_t ngx_mesh_storage_docs_answer_send(ngx_mesh_storage_rest_t *rest);

/* Documents of the next rows. */
ngx_int_t ngx_mesh_storage_docs_scan_fetch(ngx_mesh_storage_rest_t *rest);

/* What a cursor is bound to, in r->pool: who asks what, where. */
ngx_int_t ngx_mesh_storage_docs_scan_scope(ngx_mesh_storage_rest_t *rest,
    bytes_t *scope);

/* Keeps a key in a buffer of the scan. */
void ngx_mesh_storage_docs_scan_stay(bytes_t *place, u_char *data,
    bytes_t key);

/* In the order of bytes. */
int ngx_mesh_storage_docs_scan_compare(bytes_t a, bytes_t b);

/* Removes an entry whose document has gone, in the background, unless there
   is one again. */
void ngx_mesh_storage_docs_build_stale(ngx_mesh_storage_rest_t *rest,
    bytes_t uid, bytes_t prefix, const ngx_mesh_storage_docs_row_t *entry);

/* The definitions are there (job read them): goes on to the answer. */
ngx_int_t ngx_mesh_storage_docs_scan_begin(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job);


#endif /* _NGX_MESH_STORAGE_DOCS_SCAN_H_INCLUDED_ */
