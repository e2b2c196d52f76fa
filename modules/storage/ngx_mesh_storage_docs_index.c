/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Indexes as they are declared, read and written, and the entries that a
 * document has in them.  Decides nothing about requests; event loop only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <sodium.h>

#include "ngx_mesh_storage_docs_index.h"
#include "doc_filter.h"
#include "json_letters.h"


#define NGX_MESH_STORAGE_DOCS_HASH_LEN  32


static ngx_int_t ngx_mesh_storage_docs_index_parse(
    ngx_mesh_storage_docs_indexes_t *indexes, ngx_pool_t *pool,
    const json_scan_t *object);
static ngx_int_t ngx_mesh_storage_docs_index_parse_fields(
    ngx_mesh_storage_docs_indexes_t *indexes,
    ngx_mesh_storage_docs_index_t *index, ngx_pool_t *pool,
    const json_scan_t *list);
static ngx_int_t ngx_mesh_storage_docs_index_text(const json_scan_t *object,
    const char *name, bytes_t *text);
static void ngx_mesh_storage_docs_index_key(bytes_writer_t *w,
    const ngx_mesh_storage_docs_index_t *index, uint32_t found,
    const json_scan_t *values, ngx_mesh_storage_docs_entry_t *entry);
static void ngx_mesh_storage_docs_index_hash(bytes_writer_t *w,
    const ngx_mesh_storage_docs_index_t *index, const json_scan_t *values);


ngx_mesh_storage_docs_indexes_t *
ngx_mesh_storage_docs_index_read(ngx_pool_t *pool, const store_rows_t *rows)
{
    size_t                            pos;
    bytes_t                           text;
    ngx_int_t                         rc;
    json_scan_t                       root, list, object;
    ngx_mesh_storage_docs_indexes_t  *indexes;

    indexes = ngx_pcalloc(pool, sizeof(ngx_mesh_storage_docs_indexes_t));

    if (indexes == NULL || rows->rc != STORE_OK || rows->count == 0) {
        return indexes;
    }

    indexes->seq = rows->rows[0].seq;

    text = ngx_mesh_storage_rest_key(pool, "", rows->rows[0].value,
                                     bytes_make(NULL, 0));

    rc = (text.len != 0
          && json_scan_validate(text, NULL) == JSON_SCAN_OK
          && json_scan_open(text, &root) == 0
          && json_scan_find(&root, "indexes", &list) == 0)
         ? NGX_OK : NGX_ERROR;

    pos = 0;

    while (rc == NGX_OK && json_scan_next(&list, &pos, NULL, &object) == 0) {
        rc = ngx_mesh_storage_docs_index_parse(indexes, pool, &object);
    }

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "storage: indexes \"%*s\" are damaged",
                      (size_t) ngx_min(text.len, 128), text.data);
        return NULL;
    }

    return indexes;
}


static ngx_int_t
ngx_mesh_storage_docs_index_parse(ngx_mesh_storage_docs_indexes_t *indexes,
    ngx_pool_t *pool, const json_scan_t *object)
{
    json_scan_t                     fields, unique, ready;
    ngx_mesh_storage_docs_index_t  *index;

    if (indexes->count == NGX_MESH_STORAGE_DOCS_INDEXES_MAX) {
        return NGX_ERROR;
    }

    index = &indexes->indexes[indexes->count];

    if (ngx_mesh_storage_docs_index_text(object, "name", &index->name)
        != NGX_OK
        || ngx_mesh_storage_docs_index_text(object, "uid", &index->uid)
           != NGX_OK
        || index->uid.len != NGX_MESH_STORAGE_DOCS_UID_LEN
        || json_scan_find(object, "fields", &fields) != 0
        || json_scan_find(object, "unique", &unique) != 0
        || json_scan_find(object, "ready", &ready) != 0
        || ngx_mesh_storage_docs_index_parse_fields(indexes, index, pool,
                                                    &fields)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    index->unique = (unique.truth != 0);
    index->ready = (ready.truth != 0);
    indexes->count++;

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_docs_index_parse_fields(
    ngx_mesh_storage_docs_indexes_t *indexes,
    ngx_mesh_storage_docs_index_t *index, ngx_pool_t *pool,
    const json_scan_t *list)
{
    size_t          pos;
    u_char         *p;
    const char     *fault;
    json_scan_t     field;
    bytes_writer_t  w;

    pos = 0;

    while (json_scan_next(list, &pos, NULL, &field) == 0) {
        p = ngx_pnalloc(pool, DOC_PATH_MAX);

        if (p == NULL || index->count == NGX_MESH_STORAGE_DOCS_FIELDS_MAX) {
            return NGX_ERROR;
        }

        bytes_writer_open(&w, p, DOC_PATH_MAX);

        if (json_scan_string(&field, &w) != 0) {
            return NGX_ERROR;
        }

        fault = ngx_mesh_storage_docs_index_add(indexes, index,
                                                bytes_writer_view(&w));
        if (fault) {
            return NGX_ERROR;
        }
    }

    return (index->count != 0) ? NGX_OK : NGX_ERROR;
}


const char *
ngx_mesh_storage_docs_index_add(ngx_mesh_storage_docs_indexes_t *indexes,
    ngx_mesh_storage_docs_index_t *index, bytes_t text)
{
    size_t       i;
    doc_path_t  *path;
    const char  *fault;

    if (index->count == NGX_MESH_STORAGE_DOCS_FIELDS_MAX) {
        return "an index has 1 to 3 fields";
    }

    path = &indexes->paths.paths[indexes->paths.count];
    fault = doc_path_parse(path, text);

    if (fault) {
        return fault;
    }

    for (i = 0; i < indexes->paths.count; i++) {

        if (doc_path_equal(&indexes->paths.paths[i], path)) {
            break;
        }
    }

    indexes->paths.count += (i == indexes->paths.count);
    index->fields[index->count++] = i;

    return NULL;
}


static ngx_int_t
ngx_mesh_storage_docs_index_text(const json_scan_t *object, const char *name,
    bytes_t *text)
{
    json_scan_t  value;

    return (json_scan_find(object, name, &value) == 0
            && json_scan_plain(&value, text) == 0) ? NGX_OK : NGX_ERROR;
}


bytes_t
ngx_mesh_storage_docs_index_write(ngx_pool_t *pool,
    const ngx_mesh_storage_docs_indexes_t *indexes)
{
    size_t                                i, size;
    u_char                               *p;
    json_write_t                          j;
    bytes_writer_t                        w;
    const ngx_mesh_storage_docs_index_t  *index;

    size = 64 + indexes->count * NGX_MESH_STORAGE_DOCS_DESCRIBE_MAX;
    p = ngx_pnalloc(pool, size);

    if (p == NULL) {
        return bytes_make(NULL, 0);
    }

    bytes_writer_open(&w, p, size);
    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_key(&j, "indexes");
    json_write_array(&j);

    for (i = 0; i < indexes->count; i++) {
        index = &indexes->indexes[i];

        json_write_object(&j);
        ngx_mesh_storage_docs_index_describe(&j, indexes, index);
        json_write_member(&j, "uid", index->uid);
        json_write_member_bool(&j, "ready", index->ready);
        json_write_object_end(&j);
    }

    json_write_array_end(&j);
    json_write_object_end(&j);

    return w.failed ? bytes_make(NULL, 0) : bytes_writer_view(&w);
}


void
ngx_mesh_storage_docs_index_describe(json_write_t *j,
    const ngx_mesh_storage_docs_indexes_t *indexes,
    const ngx_mesh_storage_docs_index_t *index)
{
    size_t  i;

    json_write_member(j, "name", index->name);
    json_write_key(j, "fields");
    json_write_array(j);

    for (i = 0; i < index->count; i++) {
        json_write_string(j, indexes->paths.paths[index->fields[i]].text);
    }

    json_write_array_end(j);
    json_write_member_bool(j, "unique", index->unique);
}


ngx_mesh_storage_docs_index_t *
ngx_mesh_storage_docs_index_find(ngx_mesh_storage_docs_indexes_t *indexes,
    bytes_t name)
{
    size_t  i;

    for (i = 0; i < indexes->count; i++) {

        if (bytes_equal(indexes->indexes[i].name, name)) {
            return &indexes->indexes[i];
        }
    }

    return NULL;
}


ngx_int_t
ngx_mesh_storage_docs_index_entries(ngx_pool_t *pool,
    const ngx_mesh_storage_docs_indexes_t *indexes, bytes_t document,
    bytes_t id, ngx_mesh_storage_docs_entry_t *entries)
{
    size_t                                i;
    u_char                               *p;
    uint32_t                              found;
    json_scan_t                           root, values[DOC_PATH_SET_MAX];
    bytes_writer_t                        w;
    const ngx_mesh_storage_docs_index_t  *index;

    if (json_scan_open(document, &root) != 0) {
        return NGX_ERROR;
    }

    found = doc_path_find(&indexes->paths, &root, values);

    for (i = 0; i < indexes->count; i++) {
        index = &indexes->indexes[i];
        p = ngx_pnalloc(pool, STORE_KEY_MAX);

        if (p == NULL) {
            return NGX_ERROR;
        }

        bytes_writer_open(&w, p, STORE_KEY_MAX);
        bytes_writer_text(&w, "e/");
        bytes_writer_bytes(&w, index->uid);
        bytes_writer_byte(&w, '/');

        ngx_mesh_storage_docs_index_key(&w, index, found, values,
                                        &entries[i]);

        if (!entries[i].sole) {
            bytes_writer_bytes(&w, id);
        }

        if (w.failed) {
            return NGX_ERROR;
        }

        entries[i].key = bytes_writer_view(&w);
    }

    return NGX_OK;
}


static void
ngx_mesh_storage_docs_index_key(bytes_writer_t *w,
    const ngx_mesh_storage_docs_index_t *index, uint32_t found,
    const json_scan_t *values, ngx_mesh_storage_docs_entry_t *entry)
{
    int                 cut;
    size_t              i, field;
    const json_scan_t  *value;

    cut = 0;
    entry->sole = index->unique;

    for (i = 0; i < index->count; i++) {
        field = index->fields[i];
        value = (found >> field & 1) ? &values[field] : NULL;

        cut |= sort_key_write(w, value);

        if (value == NULL || value->type == JSON_SCAN_NULL
            || !doc_filter_scalar(value))
        {
            entry->sole = 0;
        }
    }

    if (entry->sole && cut) {
        ngx_mesh_storage_docs_index_hash(w, index, values);
    }
}


/* All fields are there, and scalars. */
static void
ngx_mesh_storage_docs_index_hash(bytes_writer_t *w,
    const ngx_mesh_storage_docs_index_t *index, const json_scan_t *values)
{
    int                       c;
    u_char                    block[256], hash[NGX_MESH_STORAGE_DOCS_HASH_LEN];
    size_t                    i, n;
    json_letters_t            l;
    const json_scan_t        *value;
    crypto_generichash_state  state;

    crypto_generichash_init(&state, NULL, 0, sizeof(hash));

    for (i = 0; i < index->count; i++) {
        value = &values[index->fields[i]];

        if (value->type != JSON_SCAN_STRING) {
            continue;             /* is whole in the key */
        }

        json_letters_open(&l, value->text.data,
                          value->text.data + value->text.len);
        n = 0;

        while ((c = json_letters_next(&l)) >= 0) {
            block[n++] = (u_char) c;

            if (n == sizeof(block)) {
                crypto_generichash_update(&state, block, n);
                n = 0;
            }
        }

        /* no string holds U+0000 */

        block[n++] = '\0';
        crypto_generichash_update(&state, block, n);
    }

    crypto_generichash_final(&state, hash, sizeof(hash));
    bytes_writer_put(w, hash, sizeof(hash));
}


bytes_t
ngx_mesh_storage_docs_index_prefix(ngx_pool_t *pool, bytes_t uid)
{
    return ngx_mesh_storage_rest_key(pool, "e/", uid, bytes_of("/"));
}
