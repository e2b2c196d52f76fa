/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Keys of a namespace in their order, page by page, and the removal of all
 * below a prefix.
 *
 * The caller must be allowed to read (write) the prefix; then each row is
 * asked for, so that a narrower policy hides what it must.  The ETag of a
 * namespace is the seq of its last change.  Event loop only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "base64.h"
#include "ngx_mesh_storage_kv.h"
#include "utf8.h"


#define NGX_MESH_STORAGE_KV_LIST_BYTES   (1024 * 1024)   /* of values */
#define NGX_MESH_STORAGE_KV_LIST_ANSWER  256     /* beside texts, a row */
#define NGX_MESH_STORAGE_KV_LIST_POOL    4096    /* bytes of a job */


/* What is asked for; in r->pool. */
typedef struct {
    bytes_t        prefix;
    bytes_t        start;         /* from this key on; empty: no bound */
    bytes_t        end;           /* below this one; the same */
    bytes_t        after;         /* place of the cursor */
    bytes_t        scope;         /* of the cursor */
    uint64_t       limit;
    uint64_t       values;
    ngx_uint_t     reverse;
} ngx_mesh_storage_kv_list_t;


static ngx_int_t ngx_mesh_storage_kv_list_parse(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_kv_list_t *list,
    ngx_int_t *rc);
static ngx_int_t ngx_mesh_storage_kv_list_scope(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_kv_list_t *list);
static ngx_int_t ngx_mesh_storage_kv_list_head(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_kv_list_read(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_kv_list_t *list, ngx_mesh_storage_done_pt done);
static ngx_int_t ngx_mesh_storage_kv_list_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job);
static size_t ngx_mesh_storage_kv_list_fit(const store_rows_t *rows,
    ngx_uint_t values, size_t *size);
static void ngx_mesh_storage_kv_list_row(json_write_t *j,
    const store_row_t *row, ngx_uint_t values);
static void ngx_mesh_storage_kv_list_value(json_write_t *j, bytes_t value);
static bytes_t ngx_mesh_storage_kv_list_key(const store_row_t *row);
static ngx_int_t ngx_mesh_storage_kv_list_drop(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_kv_list_drop_read(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_mesh_store_job_t *ngx_mesh_storage_kv_list_drop_job(
    ngx_mesh_storage_rest_t *rest, const store_rows_t *rows, size_t *left);
static ngx_int_t ngx_mesh_storage_kv_list_drop_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_kv_list_drop_answer(
    ngx_mesh_storage_rest_t *rest, size_t deleted, uint64_t seq);


/* What is left after a removal; rest->data. */
typedef struct {
    ngx_mesh_storage_kv_list_t  list;
    size_t                      left;
    ngx_uint_t                  more;      /* and further ones, not counted */
} ngx_mesh_storage_kv_list_drop_t;


ngx_int_t
ngx_mesh_storage_kv_list(ngx_mesh_storage_rest_t *rest)
{
    ngx_int_t                    rc;
    ngx_mesh_storage_kv_list_t  *list;

    switch (rest->r->method) {

    case NGX_HTTP_GET:
    case NGX_HTTP_HEAD:
        break;

    case NGX_HTTP_DELETE:
        return ngx_mesh_storage_kv_list_drop(rest);

    default:
        return ngx_mesh_storage_rest_method(rest, "GET, HEAD, DELETE");
    }

    list = ngx_pcalloc(rest->r->pool, sizeof(ngx_mesh_storage_kv_list_t));

    if (list == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_mesh_storage_kv_list_parse(rest, list, &rc) != NGX_OK
        || ngx_mesh_storage_rest_allow(rest, "/storage/read", "kv",
                                       list->prefix, &rc)
           != NGX_OK)
    {
        return rc;
    }

    if (rest->r->method == NGX_HTTP_HEAD) {
        return ngx_mesh_storage_kv_list_head(rest);
    }

    rest->data = list;

    return ngx_mesh_storage_kv_list_read(rest, list,
                                         ngx_mesh_storage_kv_list_done);
}


static ngx_int_t
ngx_mesh_storage_kv_list_parse(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_kv_list_t *list, ngx_int_t *rc)
{
    bytes_t                                      order;
    static const ngx_mesh_storage_rest_number_t  limit
        = { "limit", 1, NGX_MESH_STORAGE_REST_LIMIT_MAX };
    static const ngx_mesh_storage_rest_number_t  values = { "values", 0, 1 };

    list->limit = NGX_MESH_STORAGE_REST_LIMIT;

    if (ngx_mesh_storage_rest_query(rest, "prefix", NGX_MESH_STORAGE_KEY_MAX,
                                    &list->prefix, rc)
        == NGX_ERROR
        || ngx_mesh_storage_rest_query(rest, "start",
                                       NGX_MESH_STORAGE_KEY_MAX,
                                       &list->start, rc)
           == NGX_ERROR
        || ngx_mesh_storage_rest_query(rest, "end", NGX_MESH_STORAGE_KEY_MAX,
                                       &list->end, rc)
           == NGX_ERROR
        || ngx_mesh_storage_rest_query(rest, "order", 8, &order, rc)
           == NGX_ERROR
        || ngx_mesh_storage_rest_number(rest, &limit, &list->limit, rc)
           == NGX_ERROR
        || ngx_mesh_storage_rest_number(rest, &values, &list->values, rc)
           == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    list->reverse = bytes_equal_text(order, "desc");

    if (order.len != 0 && !list->reverse && !bytes_equal_text(order, "asc")) {
        *rc = ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                  "\"order\" must be \"asc\" or \"desc\"");
        return NGX_ERROR;
    }

    if (ngx_mesh_storage_kv_list_scope(rest, list) != NGX_OK) {
        *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return NGX_ERROR;
    }

    return ngx_mesh_storage_rest_cursor(rest, list->scope, &list->after, rc)
           == NGX_ERROR
           ? NGX_ERROR : NGX_OK;
}


/* A cursor is of this list: whatever it chooses and orders by. */
static ngx_int_t
ngx_mesh_storage_kv_list_scope(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_kv_list_t *list)
{
    u_char          text[3 * NGX_SIZE_T_LEN + 8], *end;
    bytes_writer_t  w;

    end = ngx_sprintf(text, "%ui,%uz,%uz,%uz,", list->reverse,
                      list->prefix.len, list->start.len, list->end.len);

    if (ngx_mesh_storage_rest_writer(rest, &w, (end - text)
                                               + list->prefix.len
                                               + list->start.len
                                               + list->end.len)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    bytes_writer_put(&w, text, end - text);
    bytes_writer_bytes(&w, list->prefix);
    bytes_writer_bytes(&w, list->start);
    bytes_writer_bytes(&w, list->end);

    list->scope = bytes_writer_view(&w);

    return NGX_OK;
}


/* HEAD: the ETag of the namespace, from the page that is not sent. */
static ngx_int_t
ngx_mesh_storage_kv_list_head(ngx_mesh_storage_rest_t *rest)
{
    ngx_mesh_storage_kv_list_t  *list;

    list = ngx_pcalloc(rest->r->pool, sizeof(ngx_mesh_storage_kv_list_t));

    if (list == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    list->limit = 1;
    rest->data = list;

    return ngx_mesh_storage_kv_list_read(rest, list,
                                         ngx_mesh_storage_kv_list_done);
}


/* A job of two reads: the rows, and what the account and its head are. */
static ngx_int_t
ngx_mesh_storage_kv_list_read(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_kv_list_t *list, ngx_mesh_storage_done_pt done)
{
    bytes_t                none = bytes_make(NULL, 0);
    const char            *k;
    store_read_t          *reads;
    ngx_mesh_store_job_t  *job;

    job = ngx_mesh_store_job_create(NGX_MESH_STORAGE_KV_LIST_POOL,
                                    rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    reads = ngx_mesh_store_job_reads(job, 2);

    if (reads == NULL) {
        goto failed;
    }

    k = NGX_MESH_STORAGE_KV_PREFIX;

    reads[0].kind = STORE_RANGE;
    reads[0].ns = ngx_mesh_storage_rest_key(job->pool, "", rest->store_ns,
                                            none);
    reads[0].key = ngx_mesh_storage_rest_key(job->pool, k, list->prefix,
                                             none);
    reads[0].limit = (size_t) list->limit;
    reads[0].reverse = (int) list->reverse;
    reads[0].keys_only = !list->values;

    if (list->start.len != 0) {
        reads[0].from_key = ngx_mesh_storage_rest_key(job->pool, k,
                                                      list->start, none);
    }

    if (list->end.len != 0) {
        reads[0].to_key = ngx_mesh_storage_rest_key(job->pool, k, list->end,
                                                    none);
    }

    if (list->after.len != 0) {
        reads[0].after_key = ngx_mesh_storage_rest_key(job->pool, k,
                                                       list->after, none);
    }

    reads[1].kind = STORE_USAGE;
    reads[1].ns = reads[0].ns;

    if (reads[0].ns.len == 0 || reads[0].key.len == 0
        || (list->start.len != 0 && reads[0].from_key.len == 0)
        || (list->end.len != 0 && reads[0].to_key.len == 0)
        || (list->after.len != 0 && reads[0].after_key.len == 0))
    {
        goto failed;
    }

    return ngx_mesh_storage_rest_read(rest, job, done);

failed:

    ngx_mesh_store_job_destroy(&rest->mcf->store, job);

    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static ngx_int_t
ngx_mesh_storage_kv_list_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    size_t                       i, count, size;
    bytes_t                      key;
    store_rows_t                *rows;
    json_write_t                 j;
    bytes_writer_t               w;
    ngx_mesh_storage_kv_list_t  *list;

    if (job->rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    list = rest->data;
    rows = &job->rows[0];
    count = ngx_mesh_storage_kv_list_fit(rows, list->values, &size);

    if (ngx_mesh_storage_rest_writer(rest, &w, size) != NGX_OK
        || ngx_mesh_storage_rest_etag(rest, job->rows[1].head) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_key(&j, "items");
    json_write_array(&j);

    for (i = 0; i < count; i++) {
        key = ngx_mesh_storage_kv_list_key(&rows->rows[i]);

        if (ngx_mesh_storage_rest_may(rest, "/storage/read", "kv", key)
            == UCAN_OK)
        {
            ngx_mesh_storage_kv_list_row(&j, &rows->rows[i], list->values);
        }
    }

    json_write_array_end(&j);

    if (count != 0 && (rows->more || count < rows->count)) {
        key = ngx_mesh_storage_kv_list_key(&rows->rows[count - 1]);

        if (ngx_mesh_storage_rest_next(rest, list->scope, key, &j) != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    json_write_object_end(&j);

    return ngx_mesh_storage_rest_reply(rest, NGX_HTTP_OK, &w);
}


/* Rows that go into an answer, one at least, and its bytes at most. */
static size_t
ngx_mesh_storage_kv_list_fit(const store_rows_t *rows, ngx_uint_t values,
    size_t *size)
{
    size_t              i, bytes;
    const store_row_t  *row;

    bytes = 0;
    *size = CURSOR_TEXT_MAX + 64;

    for (i = 0; i < rows->count; i++) {
        row = &rows->rows[i];
        bytes += values ? row->value.len : 0;

        if (i != 0 && bytes > NGX_MESH_STORAGE_KV_LIST_BYTES) {
            break;
        }

        *size += NGX_MESH_STORAGE_KV_LIST_ANSWER
                 + json_write_string_max(row->key.len)
                 + json_write_string_max(row->meta.len);

        if (values) {
            *size += utf8_valid(row->value)
                     ? json_write_string_max(row->value.len)
                     : base64_encoded_max(row->value.len) + 2;
        }
    }

    return i;
}


static void
ngx_mesh_storage_kv_list_row(json_write_t *j, const store_row_t *row,
    ngx_uint_t values)
{
    json_write_object(j);
    json_write_member(j, "key", ngx_mesh_storage_kv_list_key(row));
    ngx_mesh_storage_rest_json_etag(j, row->seq);
    json_write_member_integer(j, "size", (int64_t) row->size);
    json_write_member(j, "contentType", row->meta);
    ngx_mesh_storage_rest_json_time(j, "updatedAt", row->at_ms);
    ngx_mesh_storage_rest_json_time(j, "expiresAt", row->expires_ms);

    if (values) {
        ngx_mesh_storage_kv_list_value(j, row->value);
    }

    json_write_object_end(j);
}


/* Text as text, other bytes as base64. */
static void
ngx_mesh_storage_kv_list_value(json_write_t *j, bytes_t value)
{
    if (utf8_valid(value)) {
        json_write_member(j, "value", value);
        return;
    }

    json_write_key(j, "base64");
    json_write_raw(j, bytes_of("\""));

    if (base64_encode(BASE64_STD, value, j->out) != 0) {
        j->out->failed = 1;
    }

    bytes_writer_byte(j->out, '"');
}


/* Without "k/". */
static bytes_t
ngx_mesh_storage_kv_list_key(const store_row_t *row)
{
    size_t  len;

    len = sizeof(NGX_MESH_STORAGE_KV_PREFIX) - 1;

    return bytes_make(row->key.data + len, row->key.len - len);
}


/* DELETE ?prefix= with If-Match: the ETag of the namespace. */

static ngx_int_t
ngx_mesh_storage_kv_list_drop(ngx_mesh_storage_rest_t *rest)
{
    ngx_int_t                         rc, found;
    ngx_mesh_storage_kv_list_drop_t  *drop;

    drop = ngx_pcalloc(rest->r->pool,
                       sizeof(ngx_mesh_storage_kv_list_drop_t));

    if (drop == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    found = ngx_mesh_storage_rest_query(rest, "prefix",
                                        NGX_MESH_STORAGE_KEY_MAX,
                                        &drop->list.prefix, &rc);
    if (found == NGX_ERROR) {
        return rc;
    }

    if (found == NGX_DECLINED) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                   "DELETE of a namespace needs \"prefix\", which may be "
                   "empty");
    }

    if (ngx_mesh_storage_rest_allow(rest, "/storage/write", "kv",
                                    drop->list.prefix, &rc)
        != NGX_OK)
    {
        return rc;
    }

    if (rest->condition != STORE_IF_SEQ) {
        return ngx_mesh_storage_rest_problem(rest,
                   PROBLEM_PRECONDITION_REQUIRED,
                   "send If-Match with the ETag of the namespace, as GET and "
                   "HEAD give it");
    }

    drop->list.limit = NGX_MESH_STORAGE_REST_LIMIT_MAX;
    rest->data = drop;

    return ngx_mesh_storage_kv_list_read(rest, &drop->list,
                                         ngx_mesh_storage_kv_list_drop_read);
}


static ngx_int_t
ngx_mesh_storage_kv_list_drop_read(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_mesh_store_job_t             *write;
    ngx_mesh_storage_kv_list_drop_t  *drop;

    if (job->rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    if (job->rows[1].head != rest->if_seq) {
        return ngx_mesh_storage_rest_store_condition(rest,
                                                     job->rows[1].head);
    }

    drop = rest->data;
    drop->more = job->rows[0].more;

    write = ngx_mesh_storage_kv_list_drop_job(rest, &job->rows[0],
                                              &drop->left);

    if (write == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (write->write.count == 0) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, write);
        return ngx_mesh_storage_kv_list_drop_answer(rest, 0, rest->if_seq);
    }

    return ngx_mesh_storage_rest_write(rest, write,
                                       ngx_mesh_storage_kv_list_drop_done);
}


/* One operation for each row that the caller may write, as it was seen: what
   was written since is not removed. */
static ngx_mesh_store_job_t *
ngx_mesh_storage_kv_list_drop_job(ngx_mesh_storage_rest_t *rest,
    const store_rows_t *rows, size_t *left)
{
    size_t                 i, n;
    bytes_t                none = bytes_make(NULL, 0), key, ns, note;
    store_op_t            *ops;
    ngx_mesh_store_job_t  *job;

    /* the first operation makes the texts that all share */

    job = ngx_mesh_storage_rest_put(rest, STORE_DELETE,
                                    NGX_MESH_STORAGE_KV_PREFIX, none,
                                    NGX_MESH_STORAGE_KV_DROP_MAX);

    if (job == NULL) {
        return NULL;
    }

    ops = job->write.ops;
    ns = ops[0].ns;
    note = ops[0].note;
    *left = 0;

    for (i = 0, n = 0; i < rows->count; i++) {
        key = ngx_mesh_storage_kv_list_key(&rows->rows[i]);

        if (ngx_mesh_storage_rest_may(rest, "/storage/write", "kv", key)
            != UCAN_OK)
        {
            continue;
        }

        if (n == NGX_MESH_STORAGE_KV_DROP_MAX) {
            (*left)++;
            continue;
        }

        ops[n].kind = STORE_DELETE;
        ops[n].condition = STORE_IF_SEQ;
        ops[n].if_seq = rows->rows[i].seq;
        ops[n].log = 1;
        ops[n].ns = ns;
        ops[n].note = note;
        ops[n].key = ngx_mesh_storage_rest_key(job->pool, "",
                                               rows->rows[i].key, none);
        if (ops[n].key.len == 0) {
            ngx_mesh_store_job_destroy(&rest->mcf->store, job);
            return NULL;
        }

        n++;
    }

    job->write.count = n;

    return job;
}


static ngx_int_t
ngx_mesh_storage_kv_list_drop_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    if (job->write.rc == STORE_CONDITION) {
        return ngx_mesh_storage_rest_store_condition(rest, 0);
    }

    if (job->write.rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    return ngx_mesh_storage_kv_list_drop_answer(rest, job->write.count,
                              job->write.results[job->write.count - 1].seq);
}


static ngx_int_t
ngx_mesh_storage_kv_list_drop_answer(ngx_mesh_storage_rest_t *rest,
    size_t deleted, uint64_t seq)
{
    json_write_t                      j;
    bytes_writer_t                    w;
    ngx_mesh_storage_kv_list_drop_t  *drop;

    drop = rest->data;

    if (ngx_mesh_storage_rest_writer(rest, &w,
                                     NGX_MESH_STORAGE_KV_LIST_ANSWER)
        != NGX_OK
        || ngx_mesh_storage_rest_etag(rest, seq) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member_integer(&j, "deleted", (int64_t) deleted);
    json_write_member_integer(&j, "left", (int64_t) drop->left);
    json_write_member_bool(&j, "more", drop->more != 0);
    ngx_mesh_storage_rest_json_etag(&j, seq);
    json_write_object_end(&j);

    return ngx_mesh_storage_rest_reply(rest, NGX_HTTP_OK, &w);
}
