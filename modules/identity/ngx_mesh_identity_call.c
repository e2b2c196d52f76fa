/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * One request on its way through the store and the threads.
 *
 * A step adds reads or operations, submits them and returns NGX_DONE; when
 * they are done the next step runs, with what was read copied into the
 * request's pool.  A client that leaves meanwhile takes the call along: the
 * store's job finds nobody and ends, a write that was submitted still
 * commits.
 *
 * Lives on the event loop of one worker.  Decides nothing about accounts.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_identity.h"


#define NGX_MESH_IDENTITY_JOB_POOL  4096    /* bytes */


static void ngx_mesh_identity_call_body_handler(ngx_http_request_t *r,
    bytes_t body);
static bytes_t ngx_mesh_identity_call_key(ngx_mesh_identity_call_t *call,
    const char *kind, bytes_t a);
static ngx_int_t ngx_mesh_identity_call_submit(
    ngx_mesh_identity_call_t *call, ngx_mesh_store_job_t *job,
    ngx_int_t (*submit)(ngx_mesh_store_job_t *job));
static ngx_int_t ngx_mesh_identity_call_job_copy(ngx_pool_t *pool,
    bytes_t *b);
static void ngx_mesh_identity_call_read_done(ngx_mesh_store_job_t *job);
static void ngx_mesh_identity_call_write_done(ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_identity_call_keep(ngx_mesh_identity_call_t *call,
    ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_identity_call_fail(ngx_mesh_identity_call_t *call,
    store_rc_t rc);
static ngx_int_t ngx_mesh_identity_call_caller_read(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_call_caller_role(
    ngx_mesh_identity_call_t *call);
static void *ngx_mesh_identity_call_alloc(void *data, size_t size);


ngx_mesh_identity_call_t *
ngx_mesh_identity_call_create(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    ngx_mesh_identity_call_t  *call;

    call = ngx_pcalloc(r->pool, sizeof(ngx_mesh_identity_call_t));

    if (call == NULL) {
        return NULL;
    }

    call->request = r;
    call->mcf = ngx_http_get_module_main_conf(r,
                                              ngx_http_mesh_identity_module);
    call->worker = call->mcf->worker;
    call->principal = call->worker->principal->get(r);
    call->args = *args;
    call->now_ms = (int64_t) ngx_time() * 1000
                   + ngx_cached_time->msec;

    ngx_http_set_ctx(r, call, ngx_http_mesh_identity_module);

    return call;
}


ngx_int_t
ngx_mesh_identity_call_begin(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args, ngx_mesh_identity_step_pt step)
{
    ngx_int_t                  rc;
    ngx_mesh_identity_call_t  *call;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    call = ngx_mesh_identity_call_create(r, args);

    if (call == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return step(call);
}


ngx_int_t
ngx_mesh_identity_call_body(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args, ngx_mesh_identity_step_pt step)
{
    ngx_mesh_identity_call_t  *call;

    call = ngx_mesh_identity_call_create(r, args);

    if (call == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    call->step = step;

    return ngx_mesh_body_read(r, NGX_MESH_IDENTITY_BODY_MAX,
                              ngx_mesh_identity_call_body_handler);
}


static void
ngx_mesh_identity_call_body_handler(ngx_http_request_t *r, bytes_t body)
{
    ngx_int_t                  rc;
    ngx_mesh_identity_call_t  *call;

    call = ngx_http_get_module_ctx(r, ngx_http_mesh_identity_module);

    if (ngx_mesh_body_object(r, body, &call->body) != NGX_OK) {
        return;
    }

    rc = call->step(call);

    if (rc != NGX_DONE) {
        ngx_http_finalize_request(r, rc);
    }
}


/* Reads. */

static bytes_t
ngx_mesh_identity_call_key(ngx_mesh_identity_call_t *call, const char *kind,
    bytes_t a)
{
    size_t           size;
    u_char          *buf;
    bytes_writer_t   w;

    size = ngx_strlen(kind) + 1 + a.len;
    buf = ngx_pnalloc(call->request->pool, size);

    if (buf == NULL || size > RECORD_KEY_MAX) {
        call->broken = 1;
        return bytes_make(NULL, 0);
    }

    /* a key without a second part is one word */

    bytes_writer_open(&w, buf, size);

    if (a.data == NULL) {
        bytes_writer_text(&w, kind);

    } else {
        record_key(&w, kind, a, bytes_make(NULL, 0));
    }

    if (w.failed) {
        call->broken = 1;
    }

    return bytes_writer_view(&w);
}


size_t
ngx_mesh_identity_call_get(ngx_mesh_identity_call_t *call, const char *kind,
    bytes_t a)
{
    store_read_t  *read;

    if (call->read_count == NGX_MESH_IDENTITY_READS_MAX) {
        call->broken = 1;
        return 0;
    }

    read = &call->reads[call->read_count];
    ngx_memzero(read, sizeof(store_read_t));

    read->kind = STORE_GET;
    read->ns = bytes_of(RECORD_NS_IDENTITY);
    read->key = ngx_mesh_identity_call_key(call, kind, a);

    return call->read_count++;
}


size_t
ngx_mesh_identity_call_range(ngx_mesh_identity_call_t *call,
    const char *kind, bytes_t a, size_t limit)
{
    size_t  i;

    i = ngx_mesh_identity_call_get(call, kind, a);

    call->reads[i].kind = STORE_RANGE;
    call->reads[i].limit = limit;

    return i;
}


ngx_int_t
ngx_mesh_identity_call_read(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_step_pt step)
{
    size_t                 i;
    store_read_t          *reads;
    ngx_mesh_store_job_t  *job;

    if (call->broken) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    job = ngx_mesh_store_job_create(NGX_MESH_IDENTITY_JOB_POOL,
                                    call->request->connection->log);
    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    reads = ngx_mesh_store_job_reads(job, call->read_count);

    if (reads == NULL) {
        goto failed;
    }

    for (i = 0; i < call->read_count; i++) {

        reads[i] = call->reads[i];

        if (ngx_mesh_identity_call_job_copy(job->pool, &reads[i].key)
            != NGX_OK
            || ngx_mesh_identity_call_job_copy(job->pool, &reads[i].after_key)
               != NGX_OK)
        {
            goto failed;
        }
    }

    job->done = ngx_mesh_identity_call_read_done;

    call->step = step;
    call->read_count = 0;

    return ngx_mesh_identity_call_submit(call, job,
                                         call->worker->store->read);

failed:

    ngx_mesh_store_job_destroy(call->worker->store, job);

    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}


/* Takes the job, also on failure; the request waits for it from now on. */

static ngx_int_t
ngx_mesh_identity_call_submit(ngx_mesh_identity_call_t *call,
    ngx_mesh_store_job_t *job,
    ngx_int_t (*submit)(ngx_mesh_store_job_t *job))
{
    ngx_int_t  rc;

    job->data = call;
    job->context = call->worker->store;

    rc = submit(job);

    if (rc != NGX_OK) {
        ngx_mesh_store_job_destroy(call->worker->store, job);
        return ngx_mesh_identity_call_fail(call, rc == NGX_BUSY
                                                 ? STORE_BUSY : STORE_FAILED);
    }

    if (ngx_mesh_job_attach(call->request, &job->data) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DONE;
}


static ngx_int_t
ngx_mesh_identity_call_job_copy(ngx_pool_t *pool, bytes_t *b)
{
    u_char  *p;

    if (b->len == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(pool, b->len);

    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, b->data, b->len);
    b->data = p;

    return NGX_OK;
}


static void
ngx_mesh_identity_call_read_done(ngx_mesh_store_job_t *job)
{
    ngx_int_t                  rc;
    ngx_mesh_store_t          *store;
    ngx_mesh_identity_call_t  *call;

    call = job->data;
    store = job->context;

    if (call == NULL) {
        ngx_mesh_store_job_destroy(store, job);
        return;
    }

    call->rc = job->rc;
    rc = NGX_ERROR;

    if (job->rc == STORE_OK) {
        rc = ngx_mesh_identity_call_keep(call, job);
    }

    ngx_mesh_store_job_destroy(store, job);

    if (rc != NGX_OK) {
        ngx_mesh_job_resume(call->request,
                            ngx_mesh_identity_call_fail(call, STORE_FAILED));
        return;
    }

    ngx_mesh_identity_call_resume(call);
}


/* What was read goes with the job; a copy stays. */

static ngx_int_t
ngx_mesh_identity_call_keep(ngx_mesh_identity_call_t *call,
    ngx_mesh_store_job_t *job)
{
    size_t        i, j;
    ngx_pool_t   *pool;
    store_row_t  *rows;

    pool = call->request->pool;

    call->rows = ngx_pcalloc(pool, job->read_count * sizeof(store_rows_t));

    if (call->rows == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < job->read_count; i++) {

        call->rows[i] = job->rows[i];
        call->rows[i].rows = NULL;

        if (job->rows[i].rc != STORE_OK && job->rows[i].rc != STORE_ABSENT) {
            return NGX_ERROR;
        }

        if (job->rows[i].count == 0) {
            continue;
        }

        rows = ngx_palloc(pool, job->rows[i].count * sizeof(store_row_t));

        if (rows == NULL) {
            return NGX_ERROR;
        }

        for (j = 0; j < job->rows[i].count; j++) {

            rows[j] = job->rows[i].rows[j];

            if (ngx_mesh_identity_call_job_copy(pool, &rows[j].key) != NGX_OK
                || ngx_mesh_identity_call_job_copy(pool, &rows[j].value)
                   != NGX_OK)
            {
                return NGX_ERROR;
            }
        }

        call->rows[i].rows = rows;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_mesh_identity_call_found(ngx_mesh_identity_call_t *call, size_t i)
{
    return call->rows[i].rc == STORE_OK && call->rows[i].count != 0;
}


bytes_t
ngx_mesh_identity_call_value(ngx_mesh_identity_call_t *call, size_t i)
{
    if (!ngx_mesh_identity_call_found(call, i)) {
        return bytes_make(NULL, 0);
    }

    return call->rows[i].rows[0].value;
}


uint64_t
ngx_mesh_identity_call_seq(ngx_mesh_identity_call_t *call, size_t i)
{
    return ngx_mesh_identity_call_found(call, i)
           ? call->rows[i].rows[0].seq : 0;
}


/* Writes. */

store_op_t *
ngx_mesh_identity_call_op(ngx_mesh_identity_call_t *call,
    store_op_kind_t kind, const char *key, bytes_t a)
{
    store_op_t  *op;

    /* the last place takes what does not fit; nothing is submitted then */

    if (call->op_count == NGX_MESH_IDENTITY_OPS_MAX) {
        call->broken = 1;
        call->op_count--;
    }

    op = &call->ops[call->op_count++];
    ngx_memzero(op, sizeof(store_op_t));

    op->kind = kind;
    op->ns = bytes_of(RECORD_NS_IDENTITY);
    op->key = ngx_mesh_identity_call_key(call, key, a);

    return op;
}


ngx_int_t
ngx_mesh_identity_call_write(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_step_pt step)
{
    size_t                 i;
    store_op_t            *ops;
    ngx_mesh_store_job_t  *job;

    if (call->broken) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    job = ngx_mesh_store_job_create(NGX_MESH_IDENTITY_JOB_POOL,
                                    call->request->connection->log);
    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ops = ngx_mesh_store_job_ops(job, call->op_count);

    if (ops == NULL) {
        goto failed;
    }

    for (i = 0; i < call->op_count; i++) {

        ops[i] = call->ops[i];

        if (ngx_mesh_identity_call_job_copy(job->pool, &ops[i].key) != NGX_OK
            || ngx_mesh_identity_call_job_copy(job->pool, &ops[i].value)
               != NGX_OK)
        {
            goto failed;
        }
    }

    job->done = ngx_mesh_identity_call_write_done;

    call->step = step;
    call->op_count = 0;

    return ngx_mesh_identity_call_submit(call, job,
                                         call->worker->store->write);

failed:

    ngx_mesh_store_job_destroy(call->worker->store, job);

    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static void
ngx_mesh_identity_call_write_done(ngx_mesh_store_job_t *job)
{
    ngx_mesh_store_t          *store;
    ngx_mesh_identity_call_t  *call;

    call = job->data;
    store = job->context;

    if (call == NULL) {
        ngx_mesh_store_job_destroy(store, job);
        return;
    }

    call->rc = job->write.rc;
    call->failed = job->write.failed;

    ngx_mesh_store_job_destroy(store, job);

    if (call->rc != STORE_OK && call->rc != STORE_CONDITION) {
        ngx_mesh_job_resume(call->request,
                            ngx_mesh_identity_call_fail(call, call->rc));
        return;
    }

    ngx_mesh_identity_call_resume(call);
}


void
ngx_mesh_identity_call_resume(ngx_mesh_identity_call_t *call)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = call->request;
    rc = call->step(call);

    if (rc != NGX_DONE) {
        ngx_mesh_job_resume(r, rc);
    }
}


static ngx_int_t
ngx_mesh_identity_call_fail(ngx_mesh_identity_call_t *call, store_rc_t rc)
{
    switch (rc) {

    case STORE_BUSY:
        return ngx_mesh_identity_call_refuse(call, PROBLEM_BUSY,
                   "the store is busy, try again");

    case STORE_FULL:
        return ngx_mesh_identity_call_refuse(call, PROBLEM_STORAGE_FULL,
                   "the disk of this node is full");

    case STORE_INVALID:
        ngx_log_error(NGX_LOG_ERR, call->request->connection->log, 0,
                      "identity: the store refused a request as invalid");

        return ngx_mesh_identity_call_refuse(call, PROBLEM_INTERNAL,
                                             "the request cannot be stored");

    default:
        return ngx_mesh_identity_call_refuse(call, PROBLEM_STORE_DOWN,
                   "the store of this node does not answer, try again");
    }
}


/* Who asks. */

ngx_int_t
ngx_mesh_identity_call_caller(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_step_pt step)
{
    if (call->principal == NULL) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_UNAUTHENTICATED,
                   "send a token as \"Authorization: Bearer <token>\"");
    }

    call->then = step;

    (void) ngx_mesh_identity_call_get(call, "did",
               bytes_make(call->principal->did.data,
                          call->principal->did.len));

    return ngx_mesh_identity_call_read(call,
                                       ngx_mesh_identity_call_caller_read);
}


static ngx_int_t
ngx_mesh_identity_call_caller_read(ngx_mesh_identity_call_t *call)
{
    ngx_int_t  rc;

    if (!ngx_mesh_identity_call_found(call, 0)) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_NOT_A_PARTICIPANT,
                   "this DID is not registered here; register it with "
                   "POST /api/auth/register {name, did, proof}");
    }

    rc = ngx_mesh_identity_call_participant(call,
             ngx_mesh_identity_call_value(call, 0), &call->caller);

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_mesh_identity_role_find(&call->caller_role, call->caller.role,
                                     bytes_make(NULL, 0));
    if (rc == NGX_OK) {
        return call->then(call);
    }

    (void) ngx_mesh_identity_call_get(call, "role", call->caller.role);

    return ngx_mesh_identity_call_read(call,
                                       ngx_mesh_identity_call_caller_role);
}


static ngx_int_t
ngx_mesh_identity_call_caller_role(ngx_mesh_identity_call_t *call)
{
    /* a custom role that is gone leaves its holder without any priority */

    if (ngx_mesh_identity_role_find(&call->caller_role, call->caller.role,
            ngx_mesh_identity_call_value(call, 0))
        != NGX_OK)
    {
        ngx_memzero(&call->caller_role, sizeof(ngx_mesh_identity_role_t));
        call->caller_role.name = call->caller.role;
    }

    return call->then(call);
}


ngx_int_t
ngx_mesh_identity_call_allow(ngx_mesh_identity_call_t *call,
    const char *command, const char *arg, bytes_t value,
    ucan_verdict_t *verdict)
{
    ucan_verdict_t  rc;
    ucan_request_t  request;

    ngx_memzero(&request, sizeof(ucan_request_t));
    request.command = bytes_of(command);

    if (arg) {
        request.args[0].name = bytes_of(arg);
        request.args[0].value = value;
        request.arg_count = 1;
    }

    rc = call->worker->principal->allow(call->principal, &request);

    if (verdict) {
        *verdict = rc;
    }

    return rc == UCAN_OK ? NGX_OK : NGX_DECLINED;
}


/* Answers. */

ngx_int_t
ngx_mesh_identity_call_forbid(ngx_mesh_identity_call_t *call, bytes_t command)
{
    static ngx_str_t  nobody = ngx_string("nobody");

    ngx_log_error(NGX_LOG_NOTICE, call->request->connection->log, 0,
                  "identity: %V refused, no \"%*s\"",
                  call->principal ? &call->principal->did : &nobody,
                  command.len, command.data);

    return ngx_mesh_reply_verdict(call->request, UCAN_NOT_COVERED, command);
}


ngx_int_t
ngx_mesh_identity_call_refuse(ngx_mesh_identity_call_t *call,
    problem_t problem, const char *detail)
{
    return ngx_mesh_reply_problem(call->request, problem, detail);
}


ngx_int_t
ngx_mesh_identity_call_bad(ngx_mesh_identity_call_t *call)
{
    return ngx_mesh_identity_call_refuse(call, PROBLEM_BAD_REQUEST,
               call->detail ? call->detail : "the request is not valid");
}


ngx_int_t
ngx_mesh_identity_call_reply(ngx_mesh_identity_call_t *call,
    ngx_uint_t status, bytes_writer_t *w)
{
    if (w->failed) {
        ngx_log_error(NGX_LOG_ERR, call->request->connection->log, 0,
                      "identity: an answer did not fit its buffer");

        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_reply_json(call->request, status, bytes_writer_view(w));
}


void
ngx_mesh_identity_call_writer(ngx_mesh_identity_call_t *call,
    bytes_writer_t *w, size_t size)
{
    u_char  *buf;

    buf = ngx_pnalloc(call->request->pool, size);

    bytes_writer_open(w, buf, buf ? size : 0);

    if (buf == NULL) {
        w->failed = 1;
    }
}


bytes_t
ngx_mesh_identity_call_copy(ngx_mesh_identity_call_t *call, bytes_t b)
{
    u_char  *p;

    p = ngx_pnalloc(call->request->pool, b.len + 1);

    if (p == NULL) {
        call->broken = 1;
        return bytes_make(NULL, 0);
    }

    if (b.len != 0) {
        ngx_memcpy(p, b.data, b.len);
    }

    return bytes_make(p, b.len);
}


void
ngx_mesh_identity_call_memory(ngx_mesh_identity_call_t *call,
    ucan_memory_t *memory)
{
    memory->alloc = ngx_mesh_identity_call_alloc;
    memory->data = call->request->pool;
}


static void *
ngx_mesh_identity_call_alloc(void *data, size_t size)
{
    ngx_pool_t *pool = data;

    return ngx_palloc(pool, size);
}


ngx_int_t
ngx_mesh_identity_call_participant(ngx_mesh_identity_call_t *call,
    bytes_t json, record_participant_t *p)
{
    bytes_writer_t  scratch;

    ngx_mesh_identity_call_writer(call, &scratch, json.len + 1);

    if (scratch.failed
        || record_participant_read(p, json, &scratch) != 0)
    {
        ngx_log_error(NGX_LOG_ERR, call->request->connection->log, 0,
                      "identity: a stored participant cannot be read");
        return NGX_ERROR;
    }

    return NGX_OK;
}


bytes_t
ngx_mesh_identity_call_record(ngx_mesh_identity_call_t *call,
    const record_participant_t *p)
{
    bytes_writer_t  w;

    ngx_mesh_identity_call_writer(call, &w,
        512 + p->id.len + p->did.len + p->role.len + p->kind.len
        + p->maker.len + p->ns.len + json_write_string_max(p->name.len));

    record_participant_write(&w, p);

    if (w.failed) {
        call->broken = 1;
        return bytes_make(NULL, 0);
    }

    return bytes_writer_view(&w);
}


void
ngx_mesh_identity_call_time(json_write_t *j, const char *key, int64_t ms)
{
    u_char          buf[TIMESTAMP_LEN];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));
    timestamp_write(&w, ms);

    if (w.failed) {
        json_write_key(j, key);
        json_write_null(j);
        return;
    }

    json_write_member(j, key, bytes_writer_view(&w));
}


/* Of the configured origin, or of the one that the client came to. */

void
ngx_mesh_identity_call_url(ngx_mesh_identity_call_t *call, json_write_t *j,
    const char *key, const char *path)
{
    ngx_str_t            host;
    ngx_uint_t           secure, socket;
    bytes_writer_t       w;
    ngx_http_request_t  *r;

    r = call->request;
    socket = ngx_strcmp(path, "/ws") == 0;
    secure = 0;

#if (NGX_HTTP_SSL)
    secure = r->connection->ssl != NULL;
#endif

    if (r->headers_in.host) {
        host = r->headers_in.host->value;

    } else {
        ngx_str_set(&host, "localhost");
    }

    if (call->mcf->url.len != 0) {
        host = call->mcf->url;
        secure = ngx_strncmp(host.data, "https", 5) == 0;
        host.data += secure ? sizeof("https://") - 1 : sizeof("http://") - 1;
        host.len -= secure ? sizeof("https://") - 1 : sizeof("http://") - 1;
    }

    ngx_mesh_identity_call_writer(call, &w, host.len + 64);

    bytes_writer_text(&w, socket ? "ws" : "http");
    bytes_writer_text(&w, secure ? "s://" : "://");
    bytes_writer_bytes(&w, bytes_make(host.data, host.len));
    bytes_writer_text(&w, path);

    if (w.failed) {
        j->out->failed = 1;
        return;
    }

    json_write_member(j, key, bytes_writer_view(&w));
}
