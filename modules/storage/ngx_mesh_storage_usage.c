/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The ledger of model usage: POST /api/storage/usage appends records, each
 * once, and adds them to their sums in the same transaction (usage.h).
 *
 *     body -> namespace -> permit, parse -> once -> write <----+
 *                                                     |        |
 *                                                     v        |
 *                                        ids that were there --+
 *
 * Event loop only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "id.h"
#include "ngx_mesh_storage_once.h"
#include "ngx_mesh_storage_usage.h"


#define NGX_MESH_STORAGE_USAGE_AHEAD   300    /* seconds, clocks of others */
#define NGX_MESH_STORAGE_USAGE_TRIES   32
#define NGX_MESH_STORAGE_USAGE_RESULT  128    /* bytes of an answer's record */
#define NGX_MESH_STORAGE_USAGE_OPS                                            \
    (NGX_MESH_STORAGE_USAGE_RECORDS_MAX * (1 + USAGE_METRICS) + 1)


_Static_assert(NGX_MESH_STORAGE_USAGE_OPS <= STORE_OPS_MAX, "operations");
_Static_assert(NGX_MESH_STORAGE_USAGE_RECORDS_MAX <= STORE_READS_MAX,
               "reads");
_Static_assert(USAGE_NS_MAX == NGX_MESH_STORAGE_NS_MAX, "namespace");


typedef struct {
    usage_record_t             record;
    char                       made[ID_LEN];   /* id, when none was sent */
    size_t                     main;           /* its operation */
    uint64_t                   stored;         /* seq; 0: it is new */
} ngx_mesh_storage_usage_item_t;


typedef struct {
    ngx_mesh_storage_usage_item_t  *items;
    size_t                          count;
    ngx_uint_t                      tries;
    ngx_mesh_storage_answer_t       answer;
} ngx_mesh_storage_usage_t;


static ngx_int_t ngx_mesh_storage_usage_open(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_usage_route(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_usage_list(ngx_mesh_storage_rest_t *rest,
    json_scan_t *list);
static ngx_int_t ngx_mesh_storage_usage_parse(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_usage_t *usage, const json_scan_t *list);
static const char *ngx_mesh_storage_usage_parse_item(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_usage_t *usage,
    ngx_mesh_storage_usage_item_t *item, const json_scan_t *value);
static ngx_int_t ngx_mesh_storage_usage_bad(ngx_mesh_storage_rest_t *rest,
    const char *detail, size_t index);
static ngx_int_t ngx_mesh_storage_usage_write(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_usage_append(ngx_mesh_store_job_t *job,
    const usage_record_t *record);
static ngx_int_t ngx_mesh_storage_usage_add(ngx_mesh_store_job_t *job,
    size_t first, bytes_t ns, const usage_record_t *record);
static ngx_int_t ngx_mesh_storage_usage_answer(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_usage_t *usage, ngx_uint_t status);
static ngx_int_t ngx_mesh_storage_usage_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_usage_find(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_usage_t *usage);
static ngx_int_t ngx_mesh_storage_usage_found(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job);
static bytes_t ngx_mesh_storage_usage_text(ngx_pool_t *pool,
    const bytes_writer_t *w);


ngx_int_t
ngx_mesh_storage_usage(ngx_mesh_storage_rest_t *rest)
{
    if (rest->path.len != 0) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_NOT_FOUND, NULL);
    }

    switch (rest->r->method) {

    case NGX_HTTP_GET:
    case NGX_HTTP_HEAD:
        return ngx_mesh_storage_usage_open(rest);

    case NGX_HTTP_POST:
        return ngx_mesh_storage_rest_body(rest,
                                          (size_t) rest->lcf->body_size, NULL,
                                          ngx_mesh_storage_usage_open);

    default:
        return ngx_mesh_storage_rest_method(rest, "GET, HEAD, POST");
    }
}


/* Whose: "ns" of the query, or of whoever asks. */

static ngx_int_t
ngx_mesh_storage_usage_open(ngx_mesh_storage_rest_t *rest)
{
    bytes_t    ns;
    ngx_int_t  found, rc;

    found = ngx_mesh_storage_rest_query(rest, "ns", NGX_MESH_STORAGE_NS_MAX,
                                        &ns, &rc);
    if (found == NGX_ERROR) {
        return rc;
    }

    return ngx_mesh_storage_rest_namespace(rest, found == NGX_OK
                                                 ? ns : bytes_of("me"),
                                           ngx_mesh_storage_usage_route);
}


static ngx_int_t
ngx_mesh_storage_usage_route(ngx_mesh_storage_rest_t *rest)
{
    bytes_t                    none = bytes_make(NULL, 0);
    ngx_int_t                  rc;
    json_scan_t                list;
    ngx_mesh_storage_usage_t  *usage;

    if (rest->r->method != NGX_HTTP_POST) {
        return ngx_mesh_storage_usage_sums(rest);
    }

    if (ngx_mesh_storage_rest_allow(rest, "/storage/write", "usage", none,
                                    &rc)
        != NGX_OK)
    {
        return rc;
    }

    usage = ngx_pcalloc(rest->r->pool, sizeof(ngx_mesh_storage_usage_t));

    if (usage == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rest->data = usage;

    rc = ngx_mesh_storage_usage_list(rest, &list);

    if (rc == NGX_OK) {
        rc = ngx_mesh_storage_usage_parse(rest, usage, &list);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_mesh_storage_once_find(rest, ngx_mesh_storage_usage_write);
}


/* One record, or an array of them.  NGX_OK, or what finalizes the request. */

static ngx_int_t
ngx_mesh_storage_usage_list(ngx_mesh_storage_rest_t *rest, json_scan_t *list)
{
    if (json_scan_validate(rest->body, NULL) != JSON_SCAN_OK
        || json_scan_open(rest->body, list) != 0)
    {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_INVALID_JSON,
                                             "the body is not valid JSON");
    }

    if (list->type != JSON_SCAN_OBJECT && list->type != JSON_SCAN_ARRAY) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                   "the body is one record, or an array of up to 100");
    }

    return NGX_OK;
}


/* NGX_OK, or what finalizes the request. */

static ngx_int_t
ngx_mesh_storage_usage_parse(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_usage_t *usage, const json_scan_t *list)
{
    size_t        pos;
    json_scan_t   value;
    const char   *fault;

    usage->items = ngx_pcalloc(rest->r->pool,
                               NGX_MESH_STORAGE_USAGE_RECORDS_MAX
                               * sizeof(ngx_mesh_storage_usage_item_t));
    if (usage->items == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    pos = 0;
    value = *list;

    while (list->type == JSON_SCAN_OBJECT
           || json_scan_next(list, &pos, NULL, &value) == 0)
    {
        if (usage->count == NGX_MESH_STORAGE_USAGE_RECORDS_MAX) {
            return ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                       "an array has 1 to 100 records");
        }

        fault = ngx_mesh_storage_usage_parse_item(rest, usage,
                    &usage->items[usage->count], &value);
        if (fault) {
            return ngx_mesh_storage_usage_bad(rest, fault, usage->count);
        }

        usage->count++;

        if (list->type == JSON_SCAN_OBJECT) {
            return NGX_OK;
        }
    }

    if (usage->count == 0) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                                             "an array has 1 to 100 records");
    }

    return NGX_OK;
}


/* NULL, or why it is refused. */

static const char *
ngx_mesh_storage_usage_parse_item(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_usage_t *usage, ngx_mesh_storage_usage_item_t *item,
    const json_scan_t *value)
{
    size_t           i;
    int64_t          now_ms;
    ngx_time_t      *tp;
    const char      *fault;
    bytes_writer_t   scratch;
    usage_record_t  *record;

    if (ngx_mesh_storage_rest_writer(rest, &scratch, value->raw.len)
        != NGX_OK)
    {
        return "the record is too long";
    }

    record = &item->record;
    fault = usage_record_read(record, value, &scratch);

    if (fault) {
        return fault;
    }

    tp = ngx_timeofday();
    now_ms = (int64_t) tp->sec * 1000 + tp->msec;

    if (record->at_ms == 0) {
        record->at_ms = now_ms;
    }

    if (record->at_ms > now_ms + NGX_MESH_STORAGE_USAGE_AHEAD * 1000) {
        return "member \"at\" is in the future";
    }

    record->ns = rest->ns;
    record->by = bytes_make(rest->principal->did.data,
                            ngx_min(rest->principal->did.len,
                                    STORE_META_MAX));

    if (record->id.len == 0) {
        id_create(item->made, 'u', now_ms);
        record->id = bytes_make(item->made, ID_LEN);

        return NULL;
    }

    for (i = 0; i < usage->count; i++) {
        if (bytes_equal(usage->items[i].record.id, record->id)) {
            return "another record of the array has the same \"id\"";
        }
    }

    return NULL;
}


static ngx_int_t
ngx_mesh_storage_usage_bad(ngx_mesh_storage_rest_t *rest, const char *detail,
    size_t index)
{
    problem_facts_t   facts;
    problem_member_t  member;

    ngx_memzero(&facts, sizeof(problem_facts_t));
    ngx_memzero(&member, sizeof(problem_member_t));

    member.name = "index";
    member.number = (int64_t) index;

    facts.detail = bytes_of(detail);
    facts.members = &member;
    facts.member_count = 1;

    return ngx_mesh_reply_problem_facts(rest->r, PROBLEM_BAD_REQUEST, &facts);
}


static ngx_int_t
ngx_mesh_storage_usage_write(ngx_mesh_storage_rest_t *rest)
{
    u_char                          buf[NGX_MESH_STORAGE_NS_MAX + 8];
    size_t                          i, first;
    bytes_t                         sums;
    bytes_writer_t                  w;
    ngx_mesh_store_job_t           *job;
    ngx_mesh_storage_usage_t       *usage;
    ngx_mesh_storage_usage_item_t  *item;

    usage = rest->data;

    job = ngx_mesh_store_job_create(4096, rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_mesh_store_job_ops(job, NGX_MESH_STORAGE_USAGE_OPS) == NULL) {
        goto failed;
    }

    job->write.count = 0;

    for (i = 0; i < usage->count; i++) {
        item = &usage->items[i];

        if (item->stored != 0) {
            continue;
        }

        item->main = job->write.count;

        if (ngx_mesh_storage_usage_append(job, &item->record) != NGX_OK) {
            goto failed;
        }
    }

    first = job->write.count;

    if (first == 0) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);

        if (ngx_mesh_storage_usage_answer(rest, usage, NGX_HTTP_OK)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_mesh_storage_once_send(rest, NULL, &usage->answer);
    }

    bytes_writer_open(&w, buf, sizeof(buf));
    usage_sums_write(&w, rest->ns);
    sums = ngx_mesh_storage_usage_text(job->pool, &w);

    for (i = 0; i < usage->count; i++) {

        if (usage->items[i].stored == 0
            && ngx_mesh_storage_usage_add(job, first, sums,
                                          &usage->items[i].record)
               != NGX_OK)
        {
            goto failed;
        }
    }

    if (sums.len == 0
        || ngx_mesh_storage_usage_answer(rest, usage, NGX_HTTP_CREATED)
           != NGX_OK
        || ngx_mesh_storage_once_add(rest, job, &usage->answer) != NGX_OK)
    {
        goto failed;
    }

    return ngx_mesh_storage_rest_write(rest, job,
                                       ngx_mesh_storage_usage_done);

failed:

    ngx_mesh_store_job_destroy(&rest->mcf->store, job);

    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}


/* The entry of a record: an id that is taken fails. */

static ngx_int_t
ngx_mesh_storage_usage_append(ngx_mesh_store_job_t *job,
    const usage_record_t *record)
{
    u_char           key[USAGE_NS_MAX + USAGE_ID_MAX + 1];
    u_char           value[USAGE_RECORD_MAX];
    store_op_t      *op;
    bytes_writer_t   w;

    op = &job->write.ops[job->write.count++];

    op->kind = STORE_APPEND;
    op->ns = bytes_of(NGX_MESH_STORAGE_NS_USAGE);

    bytes_writer_open(&w, key, sizeof(key));
    usage_entry_write(&w, record);
    op->key = ngx_mesh_storage_usage_text(job->pool, &w);

    bytes_writer_open(&w, value, sizeof(value));
    usage_record_write(&w, record);
    op->value = ngx_mesh_storage_usage_text(job->pool, &w);

    return op->key.len != 0 && op->value.len != 0 ? NGX_OK : NGX_ERROR;
}


/* What a record adds to sums, of which those from "first" on are in the job:
   one operation a sum, whatever the number of records. */

static ngx_int_t
ngx_mesh_storage_usage_add(ngx_mesh_store_job_t *job, size_t first,
    bytes_t ns, const usage_record_t *record)
{
    size_t           i, n;
    u_char           buf[USAGE_KEY_MAX];
    bytes_t          key;
    store_op_t      *op;
    bytes_writer_t   w;

    for (i = 0; i < USAGE_METRICS; i++) {

        if (record->counts[i] == 0) {
            continue;
        }

        bytes_writer_open(&w, buf, sizeof(buf));
        usage_key_write(&w, record, (usage_metric_t) i);
        key = bytes_writer_view(&w);

        for (n = first; n < job->write.count; n++) {
            if (bytes_equal(job->write.ops[n].key, key)) {
                break;
            }
        }

        op = &job->write.ops[n];
        op->number += record->counts[i];

        if (n < job->write.count) {
            continue;
        }

        op->kind = STORE_INCR;
        op->ns = ns;
        op->key = ngx_mesh_storage_usage_text(job->pool, &w);

        if (op->key.len == 0) {
            return NGX_ERROR;
        }

        job->write.count++;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_usage_answer(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_usage_t *usage, ngx_uint_t status)
{
    size_t                          i;
    json_write_t                    j;
    bytes_writer_t                  w;
    ngx_mesh_storage_usage_item_t  *item;

    if (ngx_mesh_storage_rest_writer(rest, &w, 32 + usage->count
                                             * NGX_MESH_STORAGE_USAGE_RESULT)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_key(&j, "records");
    json_write_array(&j);

    for (i = 0; i < usage->count; i++) {
        item = &usage->items[i];

        json_write_object(&j);
        json_write_member(&j, "id", item->record.id);

        if (item->stored) {
            json_write_member_integer(&j, "seq", (int64_t) item->stored);
            json_write_member_bool(&j, "duplicate", 1);

        } else {
            json_write_key(&j, "seq");
            ngx_mesh_storage_once_seq(&j, item->main);
        }

        json_write_object_end(&j);
    }

    json_write_array_end(&j);
    json_write_object_end(&j);

    usage->answer.status = status;
    usage->answer.body = bytes_writer_view(&w);
    usage->answer.etag = -1;

    return w.failed ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_usage_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_int_t                  rc;
    const store_request_t     *write;
    ngx_mesh_storage_usage_t  *usage;

    usage = rest->data;
    write = &job->write;

    if (write->rc == STORE_OK) {
        return ngx_mesh_storage_once_send(rest, job, &usage->answer);
    }

    if (write->rc == STORE_CONDITION
        && write->ops[write->failed].kind == STORE_APPEND
        && ++usage->tries <= NGX_MESH_STORAGE_USAGE_TRIES)
    {
        return ngx_mesh_storage_usage_find(rest, usage);
    }

    rc = ngx_mesh_storage_once_failed(rest, job);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (write->rc == STORE_CONDITION) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BUSY, NULL);
    }

    return ngx_mesh_storage_rest_store_problem(rest, job);
}


/* Which of the records are there. */

static ngx_int_t
ngx_mesh_storage_usage_find(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_usage_t *usage)
{
    size_t                 i;
    u_char                 buf[USAGE_NS_MAX + USAGE_ID_MAX + 1];
    store_read_t          *reads;
    bytes_writer_t         w;
    ngx_mesh_store_job_t  *job;

    job = ngx_mesh_store_job_create(4096, rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    reads = ngx_mesh_store_job_reads(job, usage->count);

    for (i = 0; reads && i < usage->count; i++) {
        bytes_writer_open(&w, buf, sizeof(buf));
        usage_entry_write(&w, &usage->items[i].record);

        reads[i].kind = STORE_FEED;
        reads[i].ns = bytes_of(NGX_MESH_STORAGE_NS_USAGE);
        reads[i].key = ngx_mesh_storage_usage_text(job->pool, &w);
        reads[i].limit = 1;

        if (reads[i].key.len == 0) {
            reads = NULL;
        }
    }

    if (reads == NULL) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_rest_read(rest, job,
                                      ngx_mesh_storage_usage_found);
}


static ngx_int_t
ngx_mesh_storage_usage_found(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    size_t                     i;
    ngx_mesh_storage_usage_t  *usage;

    usage = rest->data;

    if (job->rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    for (i = 0; i < usage->count; i++) {
        if (job->rows[i].count != 0) {
            usage->items[i].stored = job->rows[i].rows[0].seq;
        }
    }

    return ngx_mesh_storage_usage_write(rest);
}


/* A copy in pool; empty: it had no room, or there is no memory. */

static bytes_t
ngx_mesh_storage_usage_text(ngx_pool_t *pool, const bytes_writer_t *w)
{
    if (w->failed) {
        return bytes_make(NULL, 0);
    }

    return ngx_mesh_storage_rest_key(pool, "", bytes_writer_view(w),
                                     bytes_make(NULL, 0));
}
