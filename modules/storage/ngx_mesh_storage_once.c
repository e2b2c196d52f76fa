/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): answers of
 * POST requests in namespace "once" of the store, one item for each holder
 * and key, written in the transaction of what they answer.
 *
 *     meta     NGX_MESH_STORAGE_ONCE_META_LEN bytes: what the request was
 *              (SHA-256), then 2 bytes each, big endian: status, operation of
 *              the ETag (0xffff: none), operations stamped, bytes of Location
 *     value    the stamps, Location, the body with its marks
 *
 * A mark is 0x01, a letter, the number of the operation and 0x02: bytes that
 * no JSON text holds.  Event loop only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "digest.h"
#include "ngx_mesh_storage_once.h"


#define NGX_MESH_STORAGE_ONCE_META_LEN  (DIGEST_SHA256_LEN + 8)
#define NGX_MESH_STORAGE_ONCE_NO_ETAG   0xffff
#define NGX_MESH_STORAGE_ONCE_MARK_MAX  (NGX_INT64_LEN + 6)
#define NGX_MESH_STORAGE_ONCE_POOL      512     /* bytes of a job */

#define NGX_MESH_STORAGE_ONCE_SEQ       's'
#define NGX_MESH_STORAGE_ONCE_NUMBER    'n'
#define NGX_MESH_STORAGE_ONCE_ETAG      'e'


/* Where marks get their values from: results of the store, or stamps. */
typedef struct {
    const store_result_t       *results;
    bytes_t                     stamps;
    size_t                      count;
} ngx_mesh_storage_once_source_t;


/* Of a request with a key, in its pool. */
typedef struct {
    bytes_t                     key;       /* of the item */
    u_char                      print[DIGEST_SHA256_LEN];
    ngx_mesh_storage_step_pt    step;
    ngx_mesh_store_job_t       *failed;    /* facts of a write that failed */
} ngx_mesh_storage_once_t;


static const char *ngx_mesh_storage_once_parse(ngx_mesh_storage_rest_t *rest,
    ngx_str_t *key);
static ngx_int_t ngx_mesh_storage_once_create(ngx_mesh_storage_rest_t *rest,
    ngx_str_t *key, ngx_mesh_storage_once_t *once);
static ngx_int_t ngx_mesh_storage_once_digest(ngx_mesh_storage_rest_t *rest,
    u_char *print);
static ngx_int_t ngx_mesh_storage_once_read(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_once_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_once_repeat(ngx_mesh_storage_rest_t *rest,
    const store_row_t *row);
static ngx_int_t ngx_mesh_storage_once_answer(ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_storage_answer_t *answer,
    const ngx_mesh_storage_once_source_t *source);
static ngx_int_t ngx_mesh_storage_once_fill(ngx_mesh_storage_rest_t *rest,
    bytes_t body, const ngx_mesh_storage_once_source_t *source,
    bytes_writer_t *w);
static const uint8_t *ngx_mesh_storage_once_value(bytes_writer_t *w,
    const uint8_t *p, const uint8_t *last,
    const ngx_mesh_storage_once_source_t *source);
static void ngx_mesh_storage_once_take(
    const ngx_mesh_storage_once_source_t *source, size_t i, uint64_t *seq,
    int64_t *number);
static void ngx_mesh_storage_once_mark(json_write_t *j, char kind, size_t i);
static void ngx_mesh_storage_once_pair(bytes_writer_t *w, size_t n);
static size_t ngx_mesh_storage_once_unpair(const uint8_t *p);


ngx_int_t
ngx_mesh_storage_once_find(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_step_pt step)
{
    ngx_str_t                 key;
    const char               *fault;
    ngx_mesh_storage_once_t  *once;

    fault = ngx_mesh_storage_once_parse(rest, &key);

    if (fault) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                                             fault);
    }

    if (key.len == 0) {
        return step(rest);
    }

    once = ngx_pcalloc(rest->r->pool, sizeof(ngx_mesh_storage_once_t));

    if (once == NULL
        || ngx_mesh_storage_once_create(rest, &key, once) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    once->step = step;
    rest->once = once;

    return ngx_mesh_storage_once_read(rest);
}


/* The key; empty: no such header.  NULL, or why it is refused. */
static const char *
ngx_mesh_storage_once_parse(ngx_mesh_storage_rest_t *rest, ngx_str_t *key)
{
    size_t            n;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *found;

    found = NULL;
    ngx_str_null(key);

    for (part = &rest->r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len != sizeof("idempotency-key") - 1
                || ngx_strncmp(h[i].lowcase_key, "idempotency-key",
                               sizeof("idempotency-key") - 1)
                   != 0)
            {
                continue;
            }

            if (found) {
                return "Idempotency-Key must be sent once";
            }

            found = &h[i];
        }
    }

    if (found == NULL) {
        return NULL;
    }

    *key = found->value;

    /* a string of structured fields (RFC 9651), or the bare text */

    if (key->len >= 2 && key->data[0] == '"'
        && key->data[key->len - 1] == '"')
    {
        key->data++;
        key->len -= 2;
    }

    for (n = 0; n < key->len; n++) {
        if (key->data[n] < ' ' || key->data[n] > '~') {
            break;
        }
    }

    if (key->len == 0 || n != key->len
        || key->len > NGX_MESH_STORAGE_ONCE_KEY_MAX)
    {
        return "Idempotency-Key must be 1 to 255 printable characters";
    }

    return NULL;
}


/* Keys of one holder are nothing to another: the item is named by both. */
static ngx_int_t
ngx_mesh_storage_once_create(ngx_mesh_storage_rest_t *rest, ngx_str_t *key,
    ngx_mesh_storage_once_t *once)
{
    u_char          *p, hash[DIGEST_SHA256_LEN];
    ngx_str_t       *did;
    bytes_writer_t   w;

    did = &rest->principal->did;

    if (ngx_mesh_storage_rest_writer(rest, &w, did->len + 1 + key->len)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    bytes_writer_put(&w, did->data, did->len);
    bytes_writer_byte(&w, '\n');
    bytes_writer_put(&w, key->data, key->len);

    digest_sha256(bytes_writer_view(&w), hash);

    p = ngx_pnalloc(rest->r->pool, 2 * sizeof(hash));

    if (p == NULL) {
        return NGX_ERROR;
    }

    once->key = bytes_make(p, 2 * sizeof(hash));
    (void) ngx_hex_dump(p, hash, sizeof(hash));

    return ngx_mesh_storage_once_digest(rest, once->print);
}


/* What the request is: method, path and query, media type, body. */
static ngx_int_t
ngx_mesh_storage_once_digest(ngx_mesh_storage_rest_t *rest, u_char *print)
{
    u_char               body[DIGEST_SHA256_LEN];
    ngx_str_t            type;
    bytes_writer_t       w;
    ngx_http_request_t  *r;

    r = rest->r;
    ngx_str_null(&type);

    if (r->headers_in.content_type) {
        type = r->headers_in.content_type->value;
    }

    digest_sha256(rest->body, body);

    if (ngx_mesh_storage_rest_writer(rest, &w, r->method_name.len
                                               + r->unparsed_uri.len
                                               + type.len + sizeof(body) + 3)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    bytes_writer_put(&w, r->method_name.data, r->method_name.len);
    bytes_writer_byte(&w, '\n');
    bytes_writer_put(&w, r->unparsed_uri.data, r->unparsed_uri.len);
    bytes_writer_byte(&w, '\n');
    bytes_writer_put(&w, type.data, type.len);
    bytes_writer_byte(&w, '\n');
    bytes_writer_put(&w, body, sizeof(body));

    digest_sha256(bytes_writer_view(&w), print);

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_once_read(ngx_mesh_storage_rest_t *rest)
{
    store_read_t             *read;
    ngx_mesh_store_job_t     *job;
    ngx_mesh_storage_once_t  *once;

    once = rest->once;
    job = ngx_mesh_store_job_create(NGX_MESH_STORAGE_ONCE_POOL,
                                    rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    read = ngx_mesh_store_job_reads(job, 1);

    if (read) {
        read->kind = STORE_GET;
        read->ns = bytes_of(NGX_MESH_STORAGE_NS_ONCE);
        read->key = ngx_mesh_storage_rest_key(job->pool, "", once->key,
                                              bytes_make(NULL, 0));
    }

    if (read == NULL || read->key.len == 0) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_rest_read(rest, job, ngx_mesh_storage_once_done);
}


static ngx_int_t
ngx_mesh_storage_once_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_mesh_storage_once_t  *once;

    once = rest->once;

    if (job->rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    if (job->rows[0].count != 0) {
        return ngx_mesh_storage_once_repeat(rest, &job->rows[0].rows[0]);
    }

    if (once->failed) {
        return ngx_mesh_storage_rest_store_problem(rest, once->failed);
    }

    return once->step(rest);
}


/* The stored answer, or 422. */
static ngx_int_t
ngx_mesh_storage_once_repeat(ngx_mesh_storage_rest_t *rest,
    const store_row_t *row)
{
    size_t                           n, stamps;
    bytes_t                          value;
    const uint8_t                   *p;
    bytes_reader_t                   reader;
    ngx_mesh_storage_once_t         *once;
    ngx_mesh_storage_answer_t        answer;
    ngx_mesh_storage_once_source_t   source;
    static ngx_str_t                 yes = ngx_string("true");

    once = rest->once;

    if (row->meta.len != NGX_MESH_STORAGE_ONCE_META_LEN) {
        goto damaged;
    }

    if (ngx_memcmp(row->meta.data, once->print, DIGEST_SHA256_LEN) != 0) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_KEY_REUSED,
                   "this Idempotency-Key came with another method, path, "
                   "media type or body before");
    }

    /* the row dies with the job, the answer must not */

    value = ngx_mesh_storage_rest_key(rest->r->pool, "", row->value,
                                      bytes_make(NULL, 0));

    if (value.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = row->meta.data + DIGEST_SHA256_LEN;
    stamps = ngx_mesh_storage_once_unpair(p + 4);

    bytes_reader_open(&reader, value);

    source.results = NULL;
    source.count = stamps;
    source.stamps = bytes_reader_take(&reader, stamps * STORE_STAMP_LEN);

    n = ngx_mesh_storage_once_unpair(p + 2);

    answer.status = ngx_mesh_storage_once_unpair(p);
    answer.etag = (n == NGX_MESH_STORAGE_ONCE_NO_ETAG) ? -1 : (ngx_int_t) n;
    answer.location = bytes_reader_take(&reader,
                                        ngx_mesh_storage_once_unpair(p + 6));
    answer.body = bytes_reader_take(&reader, bytes_reader_left(&reader));

    if (reader.failed) {
        goto damaged;
    }

    if (ngx_mesh_reply_header(rest->r, "Idempotent-Replayed", &yes)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_once_answer(rest, &answer, &source);

damaged:

    ngx_log_error(NGX_LOG_ERR, rest->r->connection->log, 0,
                  "storage: a stored answer is damaged");

    return ngx_mesh_storage_rest_problem(rest, PROBLEM_INTERNAL, NULL);
}


ngx_int_t
ngx_mesh_storage_once_add(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job, const ngx_mesh_storage_answer_t *answer)
{
    size_t                    n, size;
    u_char                   *value, *meta;
    ngx_time_t               *tp;
    store_op_t               *op;
    bytes_writer_t            w;
    ngx_mesh_storage_once_t  *once;

    once = rest->once;

    if (once == NULL) {
        return NGX_OK;
    }

    n = job->write.count;
    op = &job->write.ops[n];
    ngx_memzero(op, sizeof(store_op_t));

    size = n * STORE_STAMP_LEN + answer->location.len + answer->body.len;
    value = ngx_pnalloc(job->pool, ngx_max(size, 1));
    meta = ngx_pnalloc(job->pool, NGX_MESH_STORAGE_ONCE_META_LEN);

    if (value == NULL || meta == NULL) {
        return NGX_ERROR;
    }

    bytes_writer_open(&w, meta, NGX_MESH_STORAGE_ONCE_META_LEN);
    bytes_writer_put(&w, once->print, DIGEST_SHA256_LEN);
    ngx_mesh_storage_once_pair(&w, answer->status);
    ngx_mesh_storage_once_pair(&w, answer->etag < 0
                                   ? NGX_MESH_STORAGE_ONCE_NO_ETAG
                                   : (size_t) answer->etag);
    ngx_mesh_storage_once_pair(&w, n);
    ngx_mesh_storage_once_pair(&w, answer->location.len);
    op->meta = bytes_writer_view(&w);

    bytes_writer_open(&w, value, size);
    ngx_memzero(value, n * STORE_STAMP_LEN);
    w.pos += n * STORE_STAMP_LEN;
    bytes_writer_bytes(&w, answer->location);

    if (answer->body.len <= NGX_MESH_STORAGE_ONCE_BODY_MAX) {
        bytes_writer_bytes(&w, answer->body);
    }

    op->kind = STORE_PUT;
    op->condition = STORE_IF_ABSENT;
    op->ns = bytes_of(NGX_MESH_STORAGE_NS_ONCE);
    op->key = ngx_mesh_storage_rest_key(job->pool, "", once->key,
                                        bytes_make(NULL, 0));
    op->value = bytes_writer_view(&w);
    op->stamp = 1;

    tp = ngx_timeofday();
    op->expires_ms = ((int64_t) tp->sec + rest->lcf->once_time) * 1000
                     + tp->msec;

    if (op->key.len == 0) {
        return NGX_ERROR;
    }

    job->write.count = n + 1;

    return NGX_OK;
}


ngx_int_t
ngx_mesh_storage_once_send(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job, const ngx_mesh_storage_answer_t *answer)
{
    ngx_mesh_storage_once_source_t  source;

    ngx_memzero(&source, sizeof(ngx_mesh_storage_once_source_t));

    if (job) {
        source.results = job->write.results;
        source.count = job->write.count;
    }

    return ngx_mesh_storage_once_answer(rest, answer, &source);
}


/* Whatever failed, another with the same key may have done it meanwhile: its
   answer is looked for, and the refusal kept for when there is none. */
ngx_int_t
ngx_mesh_storage_once_failed(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    store_result_t           *result;
    ngx_mesh_store_job_t     *failed;
    ngx_mesh_storage_once_t  *once;

    once = rest->once;

    if (once == NULL || job->write.rc == STORE_OK) {
        return NGX_DECLINED;
    }

    failed = ngx_pcalloc(rest->r->pool, sizeof(ngx_mesh_store_job_t));
    result = ngx_pcalloc(rest->r->pool, sizeof(store_result_t));

    if (failed == NULL || result == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    failed->write.rc = job->write.rc;
    failed->write.usage = job->write.usage;
    failed->write.count = job->write.count;
    failed->write.results = result;

    if (job->write.failed < job->write.count) {
        result->seq = job->write.results[job->write.failed].seq;
    }

    /* the other one's answer has gone since: to be asked again */

    if (job->write.rc == STORE_CONDITION
        && job->write.failed + 1 == job->write.count)
    {
        failed->write.rc = STORE_BUSY;
    }

    once->failed = failed;

    return ngx_mesh_storage_once_read(rest);
}


static ngx_int_t
ngx_mesh_storage_once_answer(ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_storage_answer_t *answer,
    const ngx_mesh_storage_once_source_t *source)
{
    int64_t         number;
    uint64_t        seq;
    ngx_str_t       value;
    bytes_writer_t  w;

    if (answer->etag >= 0) {
        ngx_mesh_storage_once_take(source, answer->etag, &seq, &number);

        if (ngx_mesh_storage_rest_etag(rest, seq) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (answer->location.len != 0) {
        value.data = (u_char *) answer->location.data;
        value.len = answer->location.len;

        if (ngx_mesh_reply_header(rest->r, "Location", &value) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (answer->body.len == 0) {
        return ngx_mesh_reply_empty(rest->r, answer->status);
    }

    if (ngx_mesh_storage_once_fill(rest, answer->body, source, &w)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_rest_reply(rest, answer->status, &w);
}


/* The body with its marks filled in. */
static ngx_int_t
ngx_mesh_storage_once_fill(ngx_mesh_storage_rest_t *rest, bytes_t body,
    const ngx_mesh_storage_once_source_t *source, bytes_writer_t *w)
{
    size_t          marks;
    const uint8_t  *p, *last, *start;

    last = body.data + body.len;

    for (marks = 0, p = body.data; p < last; p++) {
        marks += (*p == 0x01);
    }

    if (ngx_mesh_storage_rest_writer(rest, w, body.len + marks
                                              * NGX_MESH_STORAGE_ONCE_MARK_MAX)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (p = body.data; p < last; /* void */) {

        for (start = p; p < last && *p != 0x01; p++) { /* void */ }

        bytes_writer_put(w, start, p - start);

        if (p < last) {
            p = ngx_mesh_storage_once_value(w, p + 1, last, source);
        }
    }

    return NGX_OK;
}


/* Writes the value of a mark of which p is the letter; what comes after. */
static const uint8_t *
ngx_mesh_storage_once_value(bytes_writer_t *w, const uint8_t *p,
    const uint8_t *last, const ngx_mesh_storage_once_source_t *source)
{
    u_char    text[NGX_MESH_STORAGE_ONCE_MARK_MAX], *end, kind;
    size_t    i;
    int64_t   number;
    uint64_t  seq;

    kind = (p < last) ? *p++ : 0;

    for (i = 0; p < last && *p >= '0' && *p <= '9'; p++) {
        i = i * 10 + (*p - '0');
    }

    ngx_mesh_storage_once_take(source, i, &seq, &number);

    switch (kind) {

    case NGX_MESH_STORAGE_ONCE_NUMBER:
        end = ngx_sprintf(text, "%L", number);
        break;

    case NGX_MESH_STORAGE_ONCE_ETAG:
        end = ngx_sprintf(text, "\"\\\"%uL\\\"\"", seq);
        break;

    default:
        end = ngx_sprintf(text, "%uL", seq);
    }

    bytes_writer_put(w, text, end - text);

    return p < last ? p + 1 : p;
}


/* Zero of an operation that is not there. */
static void
ngx_mesh_storage_once_take(const ngx_mesh_storage_once_source_t *source,
    size_t i, uint64_t *seq, int64_t *number)
{
    size_t          k;
    uint64_t        n;
    const uint8_t  *p;

    *seq = 0;
    *number = 0;

    if (i >= source->count) {
        return;
    }

    if (source->results) {
        *seq = source->results[i].seq;
        *number = source->results[i].number;
        return;
    }

    p = source->stamps.data + i * STORE_STAMP_LEN;

    for (k = 0; k < 8; k++) {
        *seq = *seq << 8 | p[k];
    }

    for (n = 0; k < STORE_STAMP_LEN; k++) {
        n = n << 8 | p[k];
    }

    *number = (int64_t) n;
}


void
ngx_mesh_storage_once_seq(json_write_t *j, size_t i)
{
    ngx_mesh_storage_once_mark(j, NGX_MESH_STORAGE_ONCE_SEQ, i);
}


void
ngx_mesh_storage_once_number(json_write_t *j, size_t i)
{
    ngx_mesh_storage_once_mark(j, NGX_MESH_STORAGE_ONCE_NUMBER, i);
}


void
ngx_mesh_storage_once_etag(json_write_t *j, size_t i)
{
    ngx_mesh_storage_once_mark(j, NGX_MESH_STORAGE_ONCE_ETAG, i);
}


static void
ngx_mesh_storage_once_mark(json_write_t *j, char kind, size_t i)
{
    u_char  text[NGX_MESH_STORAGE_ONCE_MARK_MAX], *end;

    end = ngx_sprintf(text, "\x01%c%uz\x02", kind, i);

    json_write_raw(j, bytes_make(text, end - text));
}


static void
ngx_mesh_storage_once_pair(bytes_writer_t *w, size_t n)
{
    bytes_writer_byte(w, (uint8_t) (n >> 8));
    bytes_writer_byte(w, (uint8_t) n);
}


static size_t
ngx_mesh_storage_once_unpair(const uint8_t *p)
{
    return (size_t) p[0] << 8 | p[1];
}
