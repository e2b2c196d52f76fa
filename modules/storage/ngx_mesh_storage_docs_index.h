/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Indexes of a collection: what is declared, and the entries.  In namespace
 * "x/<ns>" of the store:
 *
 *     i/<collection>        JSON: all that is declared, so that one CHECK
 *                           tells whether any of it changed
 *     e/<uid>/<key>[<id>]   an entry; value: the document's id
 *     p/<uid>               how far an index that is being built is
 *     g/<uid>               an index that was dropped: entries to remove
 *
 * <key> is the sort keys of the fields.  Each document has one entry in each
 * index.  An entry without <id> is the only one with its values: those of a
 * unique index, unless a field is absent, null, an array or an object; behind
 * values that were cut there is a hash of the whole ones.  A <uid> is used
 * once: an index of the same name later has nothing to do with old entries.
 */


#ifndef _NGX_MESH_STORAGE_DOCS_INDEX_H_INCLUDED_
#define _NGX_MESH_STORAGE_DOCS_INDEX_H_INCLUDED_


#include "doc_path.h"
#include "ngx_mesh_storage_docs.h"
#include "sort_key.h"


#define NGX_MESH_STORAGE_DOCS_FIELDS_MAX  3      /* of an index, of a sort */
#define NGX_MESH_STORAGE_DOCS_NAME_MAX    64     /* bytes, of an index */
#define NGX_MESH_STORAGE_DOCS_UID_LEN     16     /* hex digits */
#define NGX_MESH_STORAGE_DOCS_DESCRIBE_MAX                                    \
    (256 + 2 * NGX_MESH_STORAGE_DOCS_NAME_MAX                                 \
     + NGX_MESH_STORAGE_DOCS_FIELDS_MAX                                       \
       * json_write_string_max(DOC_PATH_MAX))


_Static_assert(NGX_MESH_STORAGE_DOCS_INDEXES_MAX
               * NGX_MESH_STORAGE_DOCS_FIELDS_MAX <= DOC_PATH_SET_MAX,
               "one walk finds the fields of all indexes");

_Static_assert(2 + NGX_MESH_STORAGE_DOCS_UID_LEN + 1
               + NGX_MESH_STORAGE_DOCS_FIELDS_MAX * SORT_KEY_FIELD_MAX
               + NGX_MESH_STORAGE_ID_MAX <= STORE_KEY_MAX,
               "an entry is a key of the store");


typedef struct {
    bytes_t         name;
    bytes_t         uid;
    unsigned        unique:1;
    unsigned        ready:1;      /* queries may use it */
    size_t          count;        /* fields */
    size_t          fields[NGX_MESH_STORAGE_DOCS_FIELDS_MAX];
                                  /* of the paths below */
} ngx_mesh_storage_docs_index_t;


typedef struct {
    uint64_t                       seq;      /* of the item; 0: none */
    size_t                         count;
    ngx_mesh_storage_docs_index_t  indexes[
                                       NGX_MESH_STORAGE_DOCS_INDEXES_MAX];
    doc_path_set_t                 paths;
} ngx_mesh_storage_docs_indexes_t;


/* A document's entry. */
typedef struct {
    bytes_t         key;
    ngx_uint_t      sole;         /* nobody else may have it */
} ngx_mesh_storage_docs_entry_t;


/* What is declared, from the rows of a GET of "i/<collection>", copied to
   pool.  NULL: out of memory, or logged to be damaged. */
ngx_mesh_storage_docs_indexes_t *ngx_mesh_storage_docs_index_read(
    ngx_pool_t *pool, const store_rows_t *rows);

/* The same as JSON, the value of that item, in pool; empty: out of memory. */
bytes_t ngx_mesh_storage_docs_index_write(ngx_pool_t *pool,
    const ngx_mesh_storage_docs_indexes_t *indexes);

/* Writes a member for each fact of an index into an open object. */
void ngx_mesh_storage_docs_index_describe(json_write_t *j,
    const ngx_mesh_storage_docs_indexes_t *indexes,
    const ngx_mesh_storage_docs_index_t *index);

/* Adds a field to an index of those; text must live as long.  NULL, or what
   is wrong with it. */
const char *ngx_mesh_storage_docs_index_add(
    ngx_mesh_storage_docs_indexes_t *indexes,
    ngx_mesh_storage_docs_index_t *index, bytes_t text);

/* By its name; NULL. */
ngx_mesh_storage_docs_index_t *ngx_mesh_storage_docs_index_find(
    ngx_mesh_storage_docs_indexes_t *indexes, bytes_t name);

/* Entries of a document, checked JSON, one for each index, in pool.  NGX_OK,
   NGX_ERROR: out of memory. */
ngx_int_t ngx_mesh_storage_docs_index_entries(ngx_pool_t *pool,
    const ngx_mesh_storage_docs_indexes_t *indexes, bytes_t document,
    bytes_t id, ngx_mesh_storage_docs_entry_t *entries);

/* "e/<uid>/" in pool; empty: out of memory. */
bytes_t ngx_mesh_storage_docs_index_prefix(ngx_pool_t *pool, bytes_t uid);


/* Work that goes on in the background of this worker, page by page: indexes
   of a collection are built, entries of dropped ones removed.  It is taken up
   again by whoever next looks at the indexes or asks a query. */

typedef enum {
    NGX_MESH_STORAGE_DOCS_READY = 0,
    NGX_MESH_STORAGE_DOCS_BUILDING,    /* goes on without us */
    NGX_MESH_STORAGE_DOCS_DUPLICATE    /* two documents want one entry: the
                                          index was taken back */
} ngx_mesh_storage_docs_built_t;

typedef ngx_int_t (*ngx_mesh_storage_docs_built_pt)(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_docs_built_t built);

/* NGX_OK: it is under way, or was already; NGX_ERROR: out of memory. */
ngx_int_t ngx_mesh_storage_docs_build(ngx_http_mesh_storage_main_conf_t *mcf,
    bytes_t ns, bytes_t collection);

/* The same, and the request waits for that index, for some pages; then step
   answers.  From a step; returns as one. */
ngx_int_t ngx_mesh_storage_docs_build_wait(ngx_mesh_storage_rest_t *rest,
    bytes_t collection, bytes_t uid, ngx_mesh_storage_docs_built_pt step);


#endif /* _NGX_MESH_STORAGE_DOCS_INDEX_H_INCLUDED_ */
