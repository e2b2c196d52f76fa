/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Requests that declare, look at and drop indexes.  A declared index is
 * maintained by every write from then on, and used by queries once the
 * builder has gone over what was there before.  Event loop only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <sodium.h>

#include "ngx_mesh_storage_docs_query.h"


#define NGX_MESH_STORAGE_DOCS_DECLARE_POOL  2048    /* bytes, of a job */
#define NGX_MESH_STORAGE_DOCS_DECLARE_BODY  8192    /* bytes, of a request */


typedef struct {
    bytes_t                           collection;
    bytes_t                           name;
    ngx_uint_t                        tries;
    ngx_uint_t                        drop;      /* DELETE */
    ngx_mesh_storage_docs_indexes_t  *wanted;    /* PUT: the one, alone */
    ngx_mesh_storage_docs_indexes_t  *indexes;   /* as read; then as they
                                                    shall be */
    bytes_t                           uid;       /* of the one at work */
} ngx_mesh_storage_docs_declare_t;


static const char *ngx_mesh_storage_docs_declare_name(bytes_t name);
static ngx_int_t ngx_mesh_storage_docs_declare_read(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_done_pt done);
static ngx_mesh_storage_docs_indexes_t *ngx_mesh_storage_docs_declare_take(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job, ngx_int_t *rc);
static ngx_int_t ngx_mesh_storage_docs_declare_list(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_docs_declare_get(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_docs_declare_body(
    ngx_mesh_storage_rest_t *rest);
static const char *ngx_mesh_storage_docs_declare_parse(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_docs_declare_t *declare);
static const char *ngx_mesh_storage_docs_declare_fields(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_docs_declare_t *declare,
    const json_scan_t *list);
static ngx_int_t ngx_mesh_storage_docs_declare_put(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_uint_t ngx_mesh_storage_docs_declare_same(
    const ngx_mesh_storage_docs_indexes_t *a,
    const ngx_mesh_storage_docs_index_t *x,
    const ngx_mesh_storage_docs_indexes_t *b,
    const ngx_mesh_storage_docs_index_t *y);
static ngx_int_t ngx_mesh_storage_docs_declare_add(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_docs_declare_t *declare);
static ngx_int_t ngx_mesh_storage_docs_declare_drop(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_docs_declare_write(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_docs_declare_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_docs_declare_built(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_docs_built_t built);
static ngx_int_t ngx_mesh_storage_docs_declare_send(
    ngx_mesh_storage_rest_t *rest, ngx_uint_t status,
    const ngx_mesh_storage_docs_index_t *index);
static void ngx_mesh_storage_docs_declare_describe(json_write_t *j,
    const ngx_mesh_storage_docs_indexes_t *indexes,
    const ngx_mesh_storage_docs_index_t *index);
static ngx_int_t ngx_mesh_storage_docs_declare_conflict(
    ngx_mesh_storage_rest_t *rest, const char *detail);


ngx_int_t
ngx_mesh_storage_docs_declare(ngx_mesh_storage_rest_t *rest,
    bytes_t collection, bytes_t name)
{
    ngx_int_t                         rc;
    ngx_uint_t                        method;
    const char                       *fault;
    ngx_mesh_storage_docs_declare_t  *declare;

    method = rest->r->method;
    method = (method == NGX_HTTP_HEAD) ? NGX_HTTP_GET : method;

    fault = ngx_mesh_storage_docs_name(collection, bytes_make(NULL, 0));

    if (fault == NULL && name.len != 0) {
        fault = ngx_mesh_storage_docs_declare_name(name);
    }

    if (fault) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                                             fault);
    }

    if (method != NGX_HTTP_GET
        && (name.len == 0
            || (method != NGX_HTTP_PUT && method != NGX_HTTP_DELETE)))
    {
        return ngx_mesh_storage_rest_method(rest, name.len
                                            ? "GET, HEAD, PUT, DELETE"
                                            : "GET, HEAD");
    }

    if (ngx_mesh_storage_rest_allow(rest, method == NGX_HTTP_GET
                                          ? "/storage/read"
                                          : "/storage/write",
                                    "docs", rest->path, &rc)
        != NGX_OK)
    {
        return rc;
    }

    declare = ngx_pcalloc(rest->r->pool,
                          sizeof(ngx_mesh_storage_docs_declare_t));

    if (declare == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    declare->collection = collection;
    declare->name = name;
    rest->data = declare;

    switch (method) {

    case NGX_HTTP_PUT:
        return ngx_mesh_storage_rest_body(rest,
                                          NGX_MESH_STORAGE_DOCS_DECLARE_BODY,
                                          "application/json",
                                         ngx_mesh_storage_docs_declare_body);

    case NGX_HTTP_DELETE:
        declare->drop = 1;
        return ngx_mesh_storage_docs_declare_read(rest,
                                         ngx_mesh_storage_docs_declare_drop);

    default:
        return ngx_mesh_storage_docs_declare_read(rest, name.len
                                        ? ngx_mesh_storage_docs_declare_get
                                        : ngx_mesh_storage_docs_declare_list);
    }
}


static const char *
ngx_mesh_storage_docs_declare_name(bytes_t name)
{
    size_t  i;
    u_char  c;

    if (name.len > NGX_MESH_STORAGE_DOCS_NAME_MAX) {
        return "the name of an index has 1 to 64 characters";
    }

    for (i = 0; i < name.len; i++) {
        c = name.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.'))
        {
            return "the name of an index is of letters, digits, \"_\", "
                   "\"-\" and \".\"";
        }
    }

    return NULL;
}


static ngx_int_t
ngx_mesh_storage_docs_declare_read(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_done_pt done)
{
    store_read_t                     *read;
    ngx_mesh_store_job_t             *job;
    ngx_mesh_storage_docs_declare_t  *declare;

    declare = rest->data;

    if (declare->tries++ == NGX_MESH_STORAGE_DOCS_TRIES) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BUSY, NULL);
    }

    job = ngx_mesh_storage_rest_get(rest, "i/", declare->collection);

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

    return ngx_mesh_storage_rest_read(rest, job, done);
}


/* What was read; NULL: *rc is the answer.  Work that is left is taken up. */
static ngx_mesh_storage_docs_indexes_t *
ngx_mesh_storage_docs_declare_take(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job, ngx_int_t *rc)
{
    ngx_mesh_storage_docs_declare_t  *declare;

    declare = rest->data;
    *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    if (job->rc != STORE_OK) {
        *rc = ngx_mesh_storage_rest_store_problem(rest, job);
        return NULL;
    }

    (void) ngx_mesh_storage_docs_build(rest->mcf, rest->ns,
                                       declare->collection);

    declare->indexes = ngx_mesh_storage_docs_index_read(rest->r->pool,
                                                        &job->rows[0]);

    return declare->indexes;
}


/* GET */

static ngx_int_t
ngx_mesh_storage_docs_declare_list(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    size_t                            i;
    ngx_int_t                         rc;
    json_write_t                      j;
    bytes_writer_t                    w;
    ngx_mesh_storage_docs_indexes_t  *indexes;

    indexes = ngx_mesh_storage_docs_declare_take(rest, job, &rc);

    if (indexes == NULL) {
        return rc;
    }

    if (ngx_mesh_storage_rest_writer(rest, &w, 64
                       + indexes->count * NGX_MESH_STORAGE_DOCS_DESCRIBE_MAX)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_key(&j, "items");
    json_write_array(&j);

    for (i = 0; i < indexes->count; i++) {
        ngx_mesh_storage_docs_declare_describe(&j, indexes,
                                               &indexes->indexes[i]);
    }

    json_write_array_end(&j);
    json_write_object_end(&j);

    return ngx_mesh_storage_rest_reply(rest, NGX_HTTP_OK, &w);
}


static ngx_int_t
ngx_mesh_storage_docs_declare_get(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_int_t                         rc;
    ngx_mesh_storage_docs_index_t    *index;
    ngx_mesh_storage_docs_declare_t  *declare;
    ngx_mesh_storage_docs_indexes_t  *indexes;

    declare = rest->data;
    indexes = ngx_mesh_storage_docs_declare_take(rest, job, &rc);

    if (indexes == NULL) {
        return rc;
    }

    index = ngx_mesh_storage_docs_index_find(indexes, declare->name);

    return index ? ngx_mesh_storage_docs_declare_send(rest, NGX_HTTP_OK,
                                                      index)
                 : ngx_mesh_storage_rest_problem(rest, PROBLEM_NOT_FOUND,
                                                 NULL);
}


/* PUT */

static ngx_int_t
ngx_mesh_storage_docs_declare_body(ngx_mesh_storage_rest_t *rest)
{
    const char                       *fault;
    ngx_mesh_storage_docs_declare_t  *declare;

    declare = rest->data;
    declare->wanted = ngx_pcalloc(rest->r->pool,
                                  sizeof(ngx_mesh_storage_docs_indexes_t));

    if (declare->wanted == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    fault = ngx_mesh_storage_docs_declare_parse(rest, declare);

    if (fault) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                                             fault);
    }

    return ngx_mesh_storage_docs_declare_read(rest,
                                          ngx_mesh_storage_docs_declare_put);
}


static const char *
ngx_mesh_storage_docs_declare_parse(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_docs_declare_t *declare)
{
    size_t                          pos;
    const char                     *fault;
    json_scan_t                     key, value;
    ngx_mesh_storage_docs_index_t  *index;

    pos = 0;
    fault = NULL;
    declare->wanted->count = 1;
    index = &declare->wanted->indexes[0];

    while (fault == NULL
           && json_scan_next(&rest->object, &pos, &key, &value) == 0)
    {
        if (json_scan_equal(&key, "fields")) {
            fault = ngx_mesh_storage_docs_declare_fields(rest, declare,
                                                         &value);

        } else if (json_scan_equal(&key, "unique")
                   && value.type == JSON_SCAN_BOOL)
        {
            index->unique = (value.truth != 0);

        } else {
            fault = "an index has members \"fields\", a list of paths, and "
                    "\"unique\", true or false";
        }
    }

    return (fault == NULL && index->count == 0)
           ? "an index has 1 to 3 fields" : fault;
}


static const char *
ngx_mesh_storage_docs_declare_fields(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_docs_declare_t *declare, const json_scan_t *list)
{
    size_t                          i, pos;
    const char                     *fault;
    json_scan_t                     field;
    bytes_writer_t                  w;
    ngx_mesh_storage_docs_index_t  *index;

    pos = 0;
    fault = (list->type == JSON_SCAN_ARRAY) ? NULL
                                            : "\"fields\" is a list of paths";
    index = &declare->wanted->indexes[0];

    while (fault == NULL && json_scan_next(list, &pos, NULL, &field) == 0) {

        if (ngx_mesh_storage_rest_writer(rest, &w, DOC_PATH_MAX) != NGX_OK
            || json_scan_string(&field, &w) != 0)
        {
            return "a path is a string of at most 128 bytes";
        }

        fault = ngx_mesh_storage_docs_index_add(declare->wanted, index,
                                                bytes_writer_view(&w));

        for (i = 0; fault == NULL && i + 1 < index->count; i++) {

            if (index->fields[i] == index->fields[index->count - 1]) {
                fault = "a field is named twice";
            }
        }
    }

    return fault;
}


static ngx_int_t
ngx_mesh_storage_docs_declare_put(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_int_t                         rc;
    ngx_mesh_storage_docs_index_t    *index;
    ngx_mesh_storage_docs_declare_t  *declare;
    ngx_mesh_storage_docs_indexes_t  *indexes;

    declare = rest->data;
    indexes = ngx_mesh_storage_docs_declare_take(rest, job, &rc);

    if (indexes == NULL) {
        return rc;
    }

    index = ngx_mesh_storage_docs_index_find(indexes, declare->name);

    if (index) {

        if (!ngx_mesh_storage_docs_declare_same(indexes, index,
                                                declare->wanted,
                                             &declare->wanted->indexes[0]))
        {
            return ngx_mesh_storage_docs_declare_conflict(rest,
                       "there is another index of that name: delete it "
                       "first");
        }

        return ngx_mesh_storage_docs_declare_send(rest, NGX_HTTP_OK, index);
    }

    if (indexes->count == NGX_MESH_STORAGE_DOCS_INDEXES_MAX) {
        return ngx_mesh_storage_docs_declare_conflict(rest,
                   "a collection has at most 10 indexes");
    }

    if (ngx_mesh_storage_docs_declare_add(rest, declare) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_docs_declare_write(rest);
}


static ngx_uint_t
ngx_mesh_storage_docs_declare_same(const ngx_mesh_storage_docs_indexes_t *a,
    const ngx_mesh_storage_docs_index_t *x,
    const ngx_mesh_storage_docs_indexes_t *b,
    const ngx_mesh_storage_docs_index_t *y)
{
    size_t  i;

    if (x->unique != y->unique || x->count != y->count) {
        return 0;
    }

    for (i = 0; i < x->count; i++) {

        if (!doc_path_equal(&a->paths.paths[x->fields[i]],
                            &b->paths.paths[y->fields[i]]))
        {
            return 0;
        }
    }

    return 1;
}


static ngx_int_t
ngx_mesh_storage_docs_declare_add(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_docs_declare_t *declare)
{
    size_t                                i;
    u_char                               *uid, random[8];
    const doc_path_t                     *path;
    ngx_mesh_storage_docs_index_t        *index;
    const ngx_mesh_storage_docs_index_t  *wanted;

    uid = ngx_pnalloc(rest->r->pool, NGX_MESH_STORAGE_DOCS_UID_LEN);

    if (uid == NULL) {
        return NGX_ERROR;
    }

    randombytes_buf(random, sizeof(random));
    ngx_hex_dump(uid, random, sizeof(random));

    index = &declare->indexes->indexes[declare->indexes->count++];
    wanted = &declare->wanted->indexes[0];

    index->name = declare->name;
    index->uid = bytes_make(uid, NGX_MESH_STORAGE_DOCS_UID_LEN);
    index->unique = wanted->unique;
    declare->uid = index->uid;

    for (i = 0; i < wanted->count; i++) {
        path = &declare->wanted->paths.paths[wanted->fields[i]];

        if (ngx_mesh_storage_docs_index_add(declare->indexes, index,
                                            path->text)
            != NULL)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* DELETE */

static ngx_int_t
ngx_mesh_storage_docs_declare_drop(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_int_t                         rc;
    ngx_mesh_storage_docs_index_t    *index, *last;
    ngx_mesh_storage_docs_declare_t  *declare;
    ngx_mesh_storage_docs_indexes_t  *indexes;

    declare = rest->data;
    indexes = ngx_mesh_storage_docs_declare_take(rest, job, &rc);

    if (indexes == NULL) {
        return rc;
    }

    index = ngx_mesh_storage_docs_index_find(indexes, declare->name);

    if (index == NULL) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_NOT_FOUND, NULL);
    }

    declare->uid = index->uid;
    last = &indexes->indexes[--indexes->count];
    ngx_memmove(index, index + 1, (u_char *) last - (u_char *) index);

    return ngx_mesh_storage_docs_declare_write(rest);
}


/* Both: what is declared, if it is still as it was read; and of one that was
   dropped the note that its entries must go. */
static ngx_int_t
ngx_mesh_storage_docs_declare_write(ngx_mesh_storage_rest_t *rest)
{
    bytes_t                           none = bytes_make(NULL, 0), ns;
    store_op_t                       *op;
    ngx_mesh_store_job_t             *job;
    ngx_mesh_storage_docs_declare_t  *declare;

    declare = rest->data;
    job = ngx_mesh_store_job_create(NGX_MESH_STORAGE_DOCS_DECLARE_POOL,
                                    rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    op = ngx_mesh_store_job_ops(job, 2);
    ns = ngx_mesh_storage_rest_key(job->pool, "x/", rest->ns, none);

    if (op == NULL || ns.len == 0) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    op[0].kind = STORE_PUT;
    op[0].condition = declare->indexes->seq ? STORE_IF_SEQ : STORE_IF_ABSENT;
    op[0].if_seq = declare->indexes->seq;
    op[0].ns = ns;
    op[0].key = ngx_mesh_storage_rest_key(job->pool, "i/",
                                          declare->collection, none);
    op[0].value = ngx_mesh_storage_docs_index_write(job->pool,
                                                    declare->indexes);

    op[1].kind = STORE_PUT;
    op[1].ns = ns;
    op[1].key = ngx_mesh_storage_rest_key(job->pool, "g/", declare->uid,
                                          none);

    job->write.count = declare->drop ? 2 : 1;

    if (op[0].key.len == 0 || op[0].value.len == 0 || op[1].key.len == 0) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_rest_write(rest, job,
                                       ngx_mesh_storage_docs_declare_done);
}


static ngx_int_t
ngx_mesh_storage_docs_declare_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_mesh_storage_docs_declare_t  *declare;

    declare = rest->data;

    if (job->write.rc == STORE_CONDITION) {
        return ngx_mesh_storage_docs_declare_read(rest, declare->drop
                                       ? ngx_mesh_storage_docs_declare_drop
                                       : ngx_mesh_storage_docs_declare_put);
    }

    if (job->write.rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    if (declare->drop) {
        (void) ngx_mesh_storage_docs_build(rest->mcf, rest->ns,
                                           declare->collection);

        return ngx_mesh_reply_empty(rest->r, NGX_HTTP_NO_CONTENT);
    }

    return ngx_mesh_storage_docs_build_wait(rest, declare->collection,
                                            declare->uid,
                                        ngx_mesh_storage_docs_declare_built);
}


static ngx_int_t
ngx_mesh_storage_docs_declare_built(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_docs_built_t built)
{
    ngx_mesh_storage_docs_index_t    *index;
    ngx_mesh_storage_docs_declare_t  *declare;

    declare = rest->data;

    if (built == NGX_MESH_STORAGE_DOCS_DUPLICATE) {
        return ngx_mesh_storage_docs_declare_conflict(rest,
                   "two documents have the same values: no unique index can "
                   "be made of them");
    }

    index = ngx_mesh_storage_docs_index_find(declare->indexes, declare->name);
    index->ready = (built == NGX_MESH_STORAGE_DOCS_READY);

    if (ngx_mesh_storage_rest_location(rest) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_docs_declare_send(rest, index->ready
                                                    ? NGX_HTTP_CREATED
                                                    : NGX_HTTP_ACCEPTED,
                                              index);
}


/* Answers. */

static ngx_int_t
ngx_mesh_storage_docs_declare_send(ngx_mesh_storage_rest_t *rest,
    ngx_uint_t status, const ngx_mesh_storage_docs_index_t *index)
{
    json_write_t                      j;
    bytes_writer_t                    w;
    ngx_mesh_storage_docs_declare_t  *declare;

    declare = rest->data;

    if (ngx_mesh_storage_rest_writer(rest, &w,
                                     NGX_MESH_STORAGE_DOCS_DESCRIBE_MAX)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&j, &w);
    ngx_mesh_storage_docs_declare_describe(&j, declare->indexes, index);

    return ngx_mesh_storage_rest_reply(rest, status, &w);
}


static void
ngx_mesh_storage_docs_declare_describe(json_write_t *j,
    const ngx_mesh_storage_docs_indexes_t *indexes,
    const ngx_mesh_storage_docs_index_t *index)
{
    json_write_object(j);
    ngx_mesh_storage_docs_index_describe(j, indexes, index);
    json_write_member_text(j, "state", index->ready ? "ready" : "building");
    json_write_object_end(j);
}


static ngx_int_t
ngx_mesh_storage_docs_declare_conflict(ngx_mesh_storage_rest_t *rest,
    const char *detail)
{
    problem_facts_t                   facts;
    problem_member_t                  member;
    ngx_mesh_storage_docs_declare_t  *declare;

    declare = rest->data;

    ngx_memzero(&facts, sizeof(problem_facts_t));
    ngx_memzero(&member, sizeof(problem_member_t));

    member.name = "index";
    member.text = declare->name;
    facts.detail = bytes_of(detail);
    facts.members = &member;
    facts.member_count = 1;

    return ngx_mesh_reply_problem_facts(rest->r, PROBLEM_CONFLICT, &facts);
}
