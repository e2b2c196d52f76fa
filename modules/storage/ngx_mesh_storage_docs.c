/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The docs resource, by path; and a change of one document as reads and
 * operations: what was read is compared
 * with what is asked, entries that come and go are worked out, and conditions
 * make sure that nothing of it has moved when it is written.
 *
 * A unique entry is written only where there is none.  If there is one, it is
 * a suspect: it is read with its document, and is either a conflict, or left
 * over from what has expired, and taken.  Event loop only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "json_merge.h"
#include "ngx_mesh_storage_docs_query.h"
#include "ngx_mesh_storage_path.h"


/* What one call of ops() works on. */
typedef struct {
    ngx_mesh_storage_docs_change_t   *change;
    ngx_pool_t                       *pool;
    const store_rows_t               *rows;      /* as reads() asked */
    ngx_mesh_storage_docs_indexes_t  *indexes;
    const store_row_t                *old;       /* NULL: absent */
    store_op_t                       *ops;
    size_t                            count;
    ngx_mesh_storage_docs_entry_t
        before[NGX_MESH_STORAGE_DOCS_INDEXES_MAX];
    ngx_mesh_storage_docs_entry_t
        after[NGX_MESH_STORAGE_DOCS_INDEXES_MAX];
} ngx_mesh_storage_docs_work_t;


static void ngx_mesh_storage_docs_change_get(store_read_t *read, bytes_t ns,
    bytes_t key);
static ngx_int_t ngx_mesh_storage_docs_change_check(
    ngx_mesh_storage_docs_work_t *work);
static ngx_int_t ngx_mesh_storage_docs_change_document(
    ngx_mesh_storage_docs_work_t *work);
static ngx_int_t ngx_mesh_storage_docs_change_merge(
    ngx_mesh_storage_docs_work_t *work);
static ngx_int_t ngx_mesh_storage_docs_change_entries(
    ngx_mesh_storage_docs_work_t *work);
static ngx_int_t ngx_mesh_storage_docs_change_leave(
    ngx_mesh_storage_docs_work_t *work, size_t i);
static ngx_int_t ngx_mesh_storage_docs_change_enter(
    ngx_mesh_storage_docs_work_t *work, size_t i);
static ngx_int_t ngx_mesh_storage_docs_change_take(
    ngx_mesh_storage_docs_work_t *work, size_t i, size_t suspect);
static store_op_t *ngx_mesh_storage_docs_change_op(
    ngx_mesh_storage_docs_work_t *work, store_op_kind_t kind, bytes_t key);
static ngx_int_t ngx_mesh_storage_docs_change_suspect(
    ngx_mesh_storage_docs_change_t *change, bytes_t key);
static size_t ngx_mesh_storage_docs_change_find(
    const ngx_mesh_storage_docs_change_t *change, bytes_t key);
static bytes_t ngx_mesh_storage_docs_change_copy(ngx_pool_t *pool, bytes_t b);
static ngx_int_t ngx_mesh_storage_docs_change_refuse(
    ngx_mesh_storage_docs_change_t *change, problem_t problem,
    const char *detail);


/* <collection>[/query], <collection>/indexes[/<name>], <collection>/<id> */
ngx_int_t
ngx_mesh_storage_docs(ngx_mesh_storage_rest_t *rest)
{
    bytes_t  path, collection, word;

    path = rest->path;
    collection = ngx_mesh_storage_path_take(&path);

    if (collection.len == 0) {
        return ngx_mesh_storage_docs_list(rest);
    }

    if (path.len == 0) {
        return (rest->r->method == NGX_HTTP_POST)
               ? ngx_mesh_storage_docs_write_new(rest, collection)
               : ngx_mesh_storage_docs_query(rest, collection);
    }

    word = ngx_mesh_storage_path_take(&path);

    if (bytes_equal_text(word, "indexes")) {
        return ngx_mesh_storage_docs_declare(rest, collection, path);
    }

    if (bytes_equal_text(word, "query") && path.len == 0) {
        return ngx_mesh_storage_docs_query_post(rest, collection);
    }

    return ngx_mesh_storage_docs_write(rest, collection,
               bytes_make(word.data, rest->path.len - collection.len - 1));
}


const char *
ngx_mesh_storage_docs_name(bytes_t collection, bytes_t id)
{
    size_t  i;

    if (collection.len == 0
        || collection.len > NGX_MESH_STORAGE_COLLECTION_MAX)
    {
        return "the name of a collection has 1 to 64 bytes";
    }

    if (id.len > NGX_MESH_STORAGE_ID_MAX) {
        return "the id of a document has 1 to 128 bytes";
    }

    for (i = 0; i < collection.len; i++) {

        if (collection.data[i] < 0x20 || collection.data[i] == '/') {
            return "a collection's name holds no \"/\" and no controls";
        }
    }

    for (i = 0; i < id.len; i++) {

        if (id.data[i] < 0x20 || id.data[i] == '/') {
            return "a document's id holds no \"/\" and no controls";
        }
    }

    if (bytes_equal_text(id, "query") || bytes_equal_text(id, "indexes")) {
        return "\"query\" and \"indexes\" are no ids";
    }

    return NULL;
}


ngx_int_t
ngx_mesh_storage_docs_open(ngx_mesh_storage_docs_change_t *change,
    ngx_pool_t *pool)
{
    bytes_t  none, prefix;

    none = bytes_make(NULL, 0);

    change->pool = pool;
    change->suspects = 0;
    change->store_ns = ngx_mesh_storage_rest_key(pool, "s/", change->ns,
                                                 none);
    change->derived_ns = ngx_mesh_storage_rest_key(pool, "x/", change->ns,
                                                   none);
    change->indexes = ngx_mesh_storage_rest_key(pool, "i/",
                                                change->collection, none);

    prefix = ngx_mesh_storage_rest_key(pool, "d/", change->collection,
                                       bytes_of("/"));

    change->key = ngx_mesh_storage_rest_key(pool, "", prefix, change->id);

    return (change->store_ns.len != 0 && change->derived_ns.len != 0
            && change->indexes.len != 0 && prefix.len != 0
            && change->key.len != 0) ? NGX_OK : NGX_ERROR;
}


size_t
ngx_mesh_storage_docs_reads(ngx_mesh_storage_docs_change_t *change,
    ngx_pool_t *pool, store_read_t *reads)
{
    size_t                            i, n;
    bytes_t                           store_ns, derived_ns, key;
    ngx_mesh_storage_docs_suspect_t  *suspect;

    store_ns = ngx_mesh_storage_docs_change_copy(pool, change->store_ns);
    derived_ns = ngx_mesh_storage_docs_change_copy(pool, change->derived_ns);

    ngx_mesh_storage_docs_change_get(&reads[0], store_ns,
                        ngx_mesh_storage_docs_change_copy(pool, change->key));
    ngx_mesh_storage_docs_change_get(&reads[1], derived_ns,
                    ngx_mesh_storage_docs_change_copy(pool, change->indexes));

    n = 2;

    /* each suspect, and the document that it is of, or the entry again */

    for (i = 0; i < change->suspects; i++) {
        suspect = &change->suspect[i];
        key = ngx_mesh_storage_docs_change_copy(pool, suspect->key);

        ngx_mesh_storage_docs_change_get(&reads[n++], derived_ns, key);

        if (suspect->holder.len == 0) {
            ngx_mesh_storage_docs_change_get(&reads[n++], derived_ns, key);
            continue;
        }

        key = ngx_mesh_storage_rest_key(pool, "",
                  bytes_make(change->key.data,
                             change->key.len - change->id.len),
                  suspect->holder);

        ngx_mesh_storage_docs_change_get(&reads[n++], store_ns, key);
    }

    for (i = 0; i < n; i++) {

        if (reads[i].ns.len == 0 || reads[i].key.len == 0) {
            return 0;
        }
    }

    return n;
}


static void
ngx_mesh_storage_docs_change_get(store_read_t *read, bytes_t ns, bytes_t key)
{
    ngx_memzero(read, sizeof(store_read_t));

    read->kind = STORE_GET;
    read->ns = ns;
    read->key = key;
}


ngx_int_t
ngx_mesh_storage_docs_ops(ngx_mesh_storage_docs_change_t *change,
    ngx_pool_t *pool, const store_rows_t *rows, store_op_t *ops,
    size_t *count)
{
    ngx_int_t                     rc;
    ngx_mesh_storage_docs_work_t  work;

    ngx_memzero(&work, sizeof(ngx_mesh_storage_docs_work_t));

    work.change = change;
    work.pool = pool;
    work.rows = rows;
    work.ops = ops;
    work.count = *count;
    work.old = (rows[0].rc == STORE_OK && rows[0].count != 0)
               ? &rows[0].rows[0] : NULL;

    work.indexes = ngx_mesh_storage_docs_index_read(pool, &rows[1]);

    if (work.indexes == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_mesh_storage_docs_change_check(&work);

    if (rc == NGX_OK) {
        rc = ngx_mesh_storage_docs_change_document(&work);
    }

    if (rc == NGX_OK) {
        rc = ngx_mesh_storage_docs_change_entries(&work);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    change->first = *count;
    change->main = *count;
    change->count = work.count - *count;
    *count = work.count;

    return NGX_OK;
}


/* The client's condition, against what was read. */
static ngx_int_t
ngx_mesh_storage_docs_change_check(ngx_mesh_storage_docs_work_t *work)
{
    uint64_t                         seq;
    ngx_uint_t                       holds;
    ngx_mesh_storage_docs_change_t  *change;

    change = work->change;
    seq = work->old ? work->old->seq : 0;

    switch (change->condition) {

    case STORE_IF_ABSENT:
        holds = (seq == 0);
        break;

    case STORE_IF_PRESENT:
        holds = (seq != 0);
        break;

    case STORE_IF_SEQ:
        holds = (seq != 0 && seq == change->if_seq);
        break;

    default:
        holds = 1;
    }

    if (!holds) {
        change->current = seq;
        return ngx_mesh_storage_docs_change_refuse(change,
                                          PROBLEM_PRECONDITION_FAILED, NULL);
    }

    if (seq == 0 && change->kind != NGX_MESH_STORAGE_DOCS_PUT) {
        return ngx_mesh_storage_docs_change_refuse(change, PROBLEM_NOT_FOUND,
                                                  NULL);
    }

    return NGX_OK;
}


/* The operation on the document, and the check of the definitions. */
static ngx_int_t
ngx_mesh_storage_docs_change_document(ngx_mesh_storage_docs_work_t *work)
{
    ngx_int_t                        rc;
    store_op_t                      *op;
    ngx_mesh_storage_docs_change_t  *change;

    change = work->change;
    change->created = (work->old == NULL);
    change->until_ms = change->expires_ms;

    rc = NGX_OK;
    change->document = bytes_make(NULL, 0);

    if (change->kind == NGX_MESH_STORAGE_DOCS_PATCH) {

        if (change->until_ms == 0) {
            change->until_ms = work->old->expires_ms;
        }

        rc = ngx_mesh_storage_docs_change_merge(work);

    } else if (change->kind == NGX_MESH_STORAGE_DOCS_PUT) {

        if (change->body.len > change->value_max) {
            return ngx_mesh_storage_docs_change_refuse(change,
                                                      PROBLEM_TOO_LARGE,
                                                      NULL);
        }

        change->document = ngx_mesh_storage_docs_change_copy(work->pool,
                                                            change->body);
        rc = change->document.len ? NGX_OK : NGX_ERROR;
    }

    if (rc != NGX_OK) {
        return rc;
    }

    op = ngx_mesh_storage_docs_change_op(work,
                              change->kind == NGX_MESH_STORAGE_DOCS_DELETE
                              ? STORE_DELETE : STORE_PUT, change->key);

    op->ns = ngx_mesh_storage_docs_change_copy(work->pool, change->store_ns);
    op->value = change->document;
    op->note = ngx_mesh_storage_docs_change_copy(work->pool, change->note);
    op->expires_ms = change->until_ms;
    op->log = 1;
    op->condition = work->old ? STORE_IF_SEQ : STORE_IF_ABSENT;
    op->if_seq = work->old ? work->old->seq : 0;

    if (op->ns.len == 0 || op->key.len == 0) {
        return NGX_ERROR;
    }

    op = ngx_mesh_storage_docs_change_op(work, STORE_CHECK, change->indexes);
    op->condition = work->indexes->seq ? STORE_IF_SEQ : STORE_IF_ABSENT;
    op->if_seq = work->indexes->seq;

    return (op->ns.len != 0 && op->key.len != 0) ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_mesh_storage_docs_change_merge(ngx_mesh_storage_docs_work_t *work)
{
    size_t                           size;
    u_char                          *p;
    bytes_writer_t                   w;
    ngx_mesh_storage_docs_change_t  *change;

    change = work->change;
    size = json_merge_max(work->old->value.len, change->body.len);
    p = ngx_pnalloc(work->pool, size);

    if (p == NULL) {
        return NGX_ERROR;
    }

    bytes_writer_open(&w, p, size);

    if (json_merge_apply(work->old->value, change->body, &w) != 0) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "storage: a document could not be merged");
        return NGX_ERROR;
    }

    change->document = bytes_writer_view(&w);

    /* more members than an object may have, too */

    if (change->document.len > change->value_max
        || json_scan_validate(change->document, NULL) != JSON_SCAN_OK)
    {
        return ngx_mesh_storage_docs_change_refuse(change, PROBLEM_TOO_LARGE,
                             "the patch would make the document too large");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_docs_change_entries(ngx_mesh_storage_docs_work_t *work)
{
    size_t                           i;
    ngx_int_t                        rc;
    ngx_mesh_storage_docs_change_t  *change;

    change = work->change;

    if (work->indexes->count == 0) {
        return NGX_OK;
    }

    if (work->old
        && ngx_mesh_storage_docs_index_entries(work->pool, work->indexes,
                                               work->old->value, change->id,
                                               work->before)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (change->document.len != 0
        && ngx_mesh_storage_docs_index_entries(work->pool, work->indexes,
                                               change->document, change->id,
                                               work->after)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < work->indexes->count; i++) {

        if (work->old && bytes_equal(work->before[i].key, work->after[i].key)
            && work->old->expires_ms == change->until_ms
            && work->indexes->indexes[i].ready)
        {
            continue;
        }

        rc = NGX_OK;

        if (work->old
            && !bytes_equal(work->before[i].key, work->after[i].key))
        {
            rc = ngx_mesh_storage_docs_change_leave(work, i);
        }

        if (rc == NGX_OK && work->after[i].key.len != 0) {
            rc = ngx_mesh_storage_docs_change_enter(work, i);
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


/* Removes the entry that was.  While a unique index is built, two documents
   may want one entry: it is removed only from whoever has it. */
static ngx_int_t
ngx_mesh_storage_docs_change_leave(ngx_mesh_storage_docs_work_t *work,
    size_t i)
{
    size_t               k;
    store_op_t          *op;
    const store_rows_t  *rows;

    if (!work->before[i].sole || work->indexes->indexes[i].ready) {
        (void) ngx_mesh_storage_docs_change_op(work, STORE_DELETE,
                                              work->before[i].key);
        return NGX_OK;
    }

    k = ngx_mesh_storage_docs_change_find(work->change, work->before[i].key);

    if (k == work->change->suspects) {
        return ngx_mesh_storage_docs_change_suspect(work->change,
                                                   work->before[i].key);
    }

    rows = &work->rows[2 + 2 * k];

    if (rows->rc == STORE_OK && rows->count != 0
        && bytes_equal(rows->rows[0].value, work->change->id))
    {
        op = ngx_mesh_storage_docs_change_op(work, STORE_DELETE,
                                            work->before[i].key);
        op->condition = STORE_IF_SEQ;
        op->if_seq = rows->rows[0].seq;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_docs_change_enter(ngx_mesh_storage_docs_work_t *work,
    size_t i)
{
    size_t       k;
    ngx_int_t    rc;
    store_op_t  *op;

    k = work->change->suspects;

    if (work->after[i].sole) {
        k = ngx_mesh_storage_docs_change_find(work->change,
                                             work->after[i].key);
    }

    if (k != work->change->suspects) {
        rc = ngx_mesh_storage_docs_change_take(work, i, k);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    op = ngx_mesh_storage_docs_change_op(work, STORE_PUT, work->after[i].key);
    op->value = ngx_mesh_storage_docs_change_copy(work->pool,
                                                 work->change->id);
    op->expires_ms = work->change->until_ms;

    if (op->value.len == 0) {
        return NGX_ERROR;
    }

    if (work->after[i].sole) {
        op->condition = STORE_IF_ABSENT;

        if (k != work->change->suspects
            && work->rows[2 + 2 * k].rc == STORE_OK
            && work->rows[2 + 2 * k].count != 0)
        {
            op->condition = STORE_IF_SEQ;
            op->if_seq = work->rows[2 + 2 * k].rows[0].seq;
        }
    }

    return NGX_OK;
}


/* A unique entry that is there: ours, free, or somebody's. */
static ngx_int_t
ngx_mesh_storage_docs_change_take(ngx_mesh_storage_docs_work_t *work,
    size_t i, size_t suspect)
{
    bytes_t                           holder;
    store_op_t                       *op;
    const store_row_t                *row;
    const store_rows_t               *rows;
    ngx_mesh_storage_docs_entry_t     entries[
                                          NGX_MESH_STORAGE_DOCS_INDEXES_MAX];
    ngx_mesh_storage_docs_suspect_t  *s;

    rows = &work->rows[2 + 2 * suspect];
    s = &work->change->suspect[suspect];

    if (rows[0].rc != STORE_OK || rows[0].count == 0) {
        return NGX_OK;
    }

    holder = rows[0].rows[0].value;

    if (bytes_equal(holder, work->change->id)) {
        return NGX_OK;
    }

    if (!bytes_equal(holder, s->holder)) {
        s->holder = ngx_mesh_storage_docs_change_copy(work->change->pool,
                                                     holder);
        return s->holder.len ? NGX_AGAIN : NGX_ERROR;
    }

    row = (rows[1].rc == STORE_OK && rows[1].count != 0) ? &rows[1].rows[0]
                                                         : NULL;
    if (row) {

        if (ngx_mesh_storage_docs_index_entries(work->pool, work->indexes,
                                                row->value, holder, entries)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (bytes_equal(entries[i].key, s->key)) {
            work->change->index = ngx_mesh_storage_docs_change_copy(
                                      work->change->pool,
                                      work->indexes->indexes[i].name);

            return ngx_mesh_storage_docs_change_refuse(work->change,
                       PROBLEM_CONFLICT,
                       "another document has these values, and the index is "
                       "unique");
        }
    }

    /* a document that does not want it any more: it must stay so */

    op = ngx_mesh_storage_docs_change_op(work, STORE_CHECK,
                                        bytes_make(NULL, 0));

    op->ns = ngx_mesh_storage_docs_change_copy(work->pool,
                                              work->change->store_ns);
    op->key = ngx_mesh_storage_rest_key(work->pool, "",
                  bytes_make(work->change->key.data,
                             work->change->key.len - work->change->id.len),
                  holder);
    op->condition = row ? STORE_IF_SEQ : STORE_IF_ABSENT;
    op->if_seq = row ? row->seq : 0;

    return (op->ns.len != 0 && op->key.len != 0) ? NGX_OK : NGX_ERROR;
}


/* The next operation, on what is derived unless the caller says another
   namespace; without memory its key or namespace is empty, which the store
   refuses as well. */
static store_op_t *
ngx_mesh_storage_docs_change_op(ngx_mesh_storage_docs_work_t *work,
    store_op_kind_t kind, bytes_t key)
{
    store_op_t  *op;

    op = &work->ops[work->count++];
    ngx_memzero(op, sizeof(store_op_t));

    op->kind = kind;
    op->ns = ngx_mesh_storage_docs_change_copy(work->pool,
                                              work->change->derived_ns);

    if (key.len != 0) {
        op->key = ngx_mesh_storage_docs_change_copy(work->pool, key);
    }

    return op;
}


ngx_int_t
ngx_mesh_storage_docs_failed(ngx_mesh_storage_docs_change_t *change,
    const store_request_t *write)
{
    const store_op_t  *op;

    op = &write->ops[write->failed];

    if (write->failed == change->first || op->kind != STORE_PUT
        || ngx_mesh_storage_docs_change_find(change, op->key)
           != change->suspects)
    {
        return NGX_AGAIN;
    }

    return ngx_mesh_storage_docs_change_suspect(change, op->key);
}


/* NGX_AGAIN: it will be read. */
static ngx_int_t
ngx_mesh_storage_docs_change_suspect(ngx_mesh_storage_docs_change_t *change,
    bytes_t key)
{
    ngx_mesh_storage_docs_suspect_t  *suspect;

    /* too many at once: the oldest may be met again */

    if (change->suspects == NGX_MESH_STORAGE_DOCS_SUSPECTS_MAX) {
        change->suspects--;
        ngx_memmove(&change->suspect[0], &change->suspect[1],
                    change->suspects * sizeof(change->suspect[0]));
    }

    suspect = &change->suspect[change->suspects];

    suspect->holder = bytes_make(NULL, 0);
    suspect->key = ngx_mesh_storage_docs_change_copy(change->pool, key);

    if (suspect->key.len == 0) {
        return NGX_ERROR;
    }

    change->suspects++;

    return NGX_AGAIN;
}


/* Which suspect has that key; change->suspects: none. */
static size_t
ngx_mesh_storage_docs_change_find(const ngx_mesh_storage_docs_change_t *change,
    bytes_t key)
{
    size_t  i;

    for (i = 0; i < change->suspects; i++) {

        if (bytes_equal(change->suspect[i].key, key)) {
            break;
        }
    }

    return i;
}


static bytes_t
ngx_mesh_storage_docs_change_copy(ngx_pool_t *pool, bytes_t b)
{
    return ngx_mesh_storage_rest_key(pool, "", b, bytes_make(NULL, 0));
}


static ngx_int_t
ngx_mesh_storage_docs_change_refuse(ngx_mesh_storage_docs_change_t *change,
    problem_t problem, const char *detail)
{
    change->problem = problem;
    change->detail = detail;

    return NGX_DECLINED;
}


ngx_int_t
ngx_mesh_storage_docs_refuse(ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_storage_docs_change_t *change)
{
    u_char            etag[NGX_INT64_LEN + 2];
    problem_facts_t   facts;
    problem_member_t  member;

    ngx_memzero(&facts, sizeof(problem_facts_t));
    ngx_memzero(&member, sizeof(problem_member_t));

    if (change->detail) {
        facts.detail = bytes_of(change->detail);
    }

    facts.members = &member;

    switch (change->problem) {

    case PROBLEM_PRECONDITION_FAILED:
        if (change->current != 0) {
            member.name = "currentEtag";
            member.text = bytes_make(etag, ngx_sprintf(etag, "\"%uL\"",
                                                       change->current)
                                           - etag);
            facts.member_count = 1;
        }

        break;

    case PROBLEM_CONFLICT:
        member.name = "index";
        member.text = change->index;
        facts.member_count = 1;
        break;

    case PROBLEM_TOO_LARGE:
        member.name = "limit";
        member.number = (int64_t) change->value_max;
        facts.member_count = 1;
        break;

    default:
        break;
    }

    return ngx_mesh_reply_problem_facts(rest->r, change->problem, &facts);
}
