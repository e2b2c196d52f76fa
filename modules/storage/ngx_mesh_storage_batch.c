/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * POST /api/storage/batch/{ns}: up to 256 operations, all or nothing, in
 * their order, each with its own condition.
 *
 *     body -> parse -> permit -> once -> plan <--------------+
 *                                         |  read documents -+   as needed
 *                                         v                  |
 *                                        write --------------+   a document
 *                                         |                      was changed
 *                                         v                      meanwhile
 *                                       answer
 *
 * Every operation is read and permitted before anything is done.  Keys need
 * no reads; documents are read a few at a time, since with their indexes they
 * become operations that depend on what is there.
 *
 * What operations point to outlives the request when it goes while a job is
 * at work: it is in pools that are counted by whoever needs them.  Event loop
 * only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_batch.h"
#include "ngx_mesh_storage_once.h"


#define NGX_MESH_STORAGE_BATCH_ROOM    2      /* operations that are added: the
                                                 stored answer, and that of
                                                 required conditions */
#define NGX_MESH_STORAGE_BATCH_RESULT  192    /* bytes of an answer's, at
                                                 most */
#define NGX_MESH_STORAGE_BATCH_POOL    4096
#define NGX_MESH_STORAGE_BATCH_DOCS_OPS                                       \
    (STORE_OPS_MAX - NGX_MESH_STORAGE_BATCH_OPS_MAX                           \
     - NGX_MESH_STORAGE_BATCH_ROOM)


_Static_assert(NGX_MESH_STORAGE_BATCH_READ_MAX
               * NGX_MESH_STORAGE_DOCS_READS_MAX <= STORE_READS_MAX, "reads");


/* A pool that requests and jobs share: the last one destroys it. */
typedef struct {
    ngx_pool_t                   *pool;
    ngx_uint_t                    count;
} ngx_mesh_storage_batch_pool_t;


typedef struct {
    ngx_mesh_storage_batch_pool_t   *parsed;   /* operations as they came */
    ngx_mesh_storage_batch_pool_t   *planned;  /* as they go to the store */
    ngx_mesh_storage_batch_op_t     *ops;
    size_t                           count;

    size_t                           next;     /* to be planned */
    size_t                           reading;  /* documents being read */
    size_t                           offsets[NGX_MESH_STORAGE_BATCH_READ_MAX];
    store_op_t                      *list;     /* in planned */
    size_t                           made;     /* of them */
    size_t                           room;     /* for so many */
    size_t                           bytes;    /* of documents as they will
                                                  be */
    ngx_uint_t                       tries;
    ngx_mesh_storage_answer_t        answer;
    ngx_mesh_storage_batch_fault_t   fault;    /* of a write that failed */
} ngx_mesh_storage_batch_t;


static ngx_int_t ngx_mesh_storage_batch_body(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_batch_parse(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_batch_t *batch, ngx_mesh_storage_batch_fault_t *fault);
static ngx_int_t ngx_mesh_storage_batch_begin(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_batch_plan(ngx_mesh_storage_rest_t *rest);
static void ngx_mesh_storage_batch_key(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_batch_t *batch, ngx_mesh_storage_batch_op_t *op);
static ngx_int_t ngx_mesh_storage_batch_read(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_batch_t *batch);
static ngx_int_t ngx_mesh_storage_batch_read_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_batch_document(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_batch_t *batch,
    const store_rows_t *rows);
static ngx_int_t ngx_mesh_storage_batch_write(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_batch_t *batch);
static ngx_int_t ngx_mesh_storage_batch_require(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_batch_t *batch);
static ngx_int_t ngx_mesh_storage_batch_answer(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_batch_t *batch);
static ngx_int_t ngx_mesh_storage_batch_write_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_batch_failed(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_batch_refused(
    ngx_mesh_storage_rest_t *rest);
static ngx_mesh_storage_batch_op_t *ngx_mesh_storage_batch_bare(
    ngx_mesh_storage_batch_t *batch);
static ngx_mesh_storage_batch_op_t *ngx_mesh_storage_batch_find(
    ngx_mesh_storage_batch_t *batch, size_t failed);
static ngx_int_t ngx_mesh_storage_batch_again(ngx_mesh_storage_rest_t *rest);
static void ngx_mesh_storage_batch_change_fault(
    const ngx_mesh_storage_batch_t *batch,
    const ngx_mesh_storage_batch_op_t *op,
    ngx_mesh_storage_batch_fault_t *fault);
static ngx_mesh_storage_batch_pool_t *ngx_mesh_storage_batch_pool_create(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_batch_pool_hold(
    ngx_mesh_storage_batch_pool_t *pool, ngx_pool_t *holder);
static void ngx_mesh_storage_batch_pool_release(void *data);
static void ngx_mesh_storage_batch_cleanup(void *data);


ngx_int_t
ngx_mesh_storage_batch(ngx_mesh_storage_rest_t *rest)
{
    if (rest->path.len != 0) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_NOT_FOUND, NULL);
    }

    if (rest->r->method != NGX_HTTP_POST) {
        return ngx_mesh_storage_rest_method(rest, "POST");
    }

    if (rest->condition != STORE_ANY || rest->expires_ms != 0) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                   "each operation of a batch has its own condition and "
                   "expiry, send none for all");
    }

    return ngx_mesh_storage_rest_body(rest, (size_t) rest->lcf->body_size,
                                      "application/json",
                                      ngx_mesh_storage_batch_body);
}


static ngx_int_t
ngx_mesh_storage_batch_body(ngx_mesh_storage_rest_t *rest)
{
    ngx_int_t                        rc;
    ngx_pool_cleanup_t              *cln;
    ngx_mesh_storage_batch_t        *batch;
    ngx_mesh_storage_batch_fault_t   fault;

    cln = ngx_pool_cleanup_add(rest->r->pool,
                               sizeof(ngx_mesh_storage_batch_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    batch = cln->data;
    ngx_memzero(batch, sizeof(ngx_mesh_storage_batch_t));
    cln->handler = ngx_mesh_storage_batch_cleanup;
    rest->data = batch;

    batch->parsed = ngx_mesh_storage_batch_pool_create(rest);

    if (batch->parsed == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memzero(&fault, sizeof(ngx_mesh_storage_batch_fault_t));

    rc = ngx_mesh_storage_batch_parse(rest, batch, &fault);

    if (rc == NGX_OK) {
        rc = ngx_mesh_storage_batch_check_permit(rest, batch->ops,
                                                 batch->count, &fault);
    }

    switch (rc) {

    case NGX_OK:
        return ngx_mesh_storage_once_find(rest, ngx_mesh_storage_batch_begin);

    case NGX_DECLINED:
        return ngx_mesh_storage_batch_check_refuse(rest, &fault);

    case NGX_ERROR:
        return NGX_HTTP_INTERNAL_SERVER_ERROR;

    default:

        /* the answer, already sent */

        return rc;
    }
}


/* NGX_OK, NGX_DECLINED: see fault, NGX_ERROR, or what finalizes the
   request. */

static ngx_int_t
ngx_mesh_storage_batch_parse(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_batch_t *batch, ngx_mesh_storage_batch_fault_t *fault)
{
    size_t       i, pos;
    ngx_int_t    rc;
    json_scan_t  list, value;

    rc = ngx_mesh_storage_batch_check_list(rest, &list, &batch->count);

    if (rc != NGX_OK) {
        return rc;
    }

    batch->ops = ngx_pcalloc(batch->parsed->pool, batch->count
                             * sizeof(ngx_mesh_storage_batch_op_t));
    if (batch->ops == NULL) {
        return NGX_ERROR;
    }

    pos = 0;

    for (i = 0; i < batch->count; i++) {
        (void) json_scan_next(&list, &pos, NULL, &value);

        fault->index = i;
        rc = ngx_mesh_storage_batch_op_parse(rest, batch->parsed->pool,
                                             &value, &batch->ops[i], fault);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    return ngx_mesh_storage_batch_check_twice(batch->ops, batch->count,
                                              fault);
}


/* Room for all operations, in a fresh pool: what an earlier plan left there
   goes with its job. */

static ngx_int_t
ngx_mesh_storage_batch_begin(ngx_mesh_storage_rest_t *rest)
{
    size_t                     i, docs;
    ngx_mesh_storage_batch_t  *batch;

    batch = rest->data;
    docs = 0;

    for (i = 0; i < batch->count; i++) {
        docs += (batch->ops[i].change != NULL);
    }

    if (batch->planned) {
        ngx_mesh_storage_batch_pool_release(batch->planned);
    }

    batch->planned = ngx_mesh_storage_batch_pool_create(rest);

    if (batch->planned == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    batch->room = batch->count + ngx_min(docs
                                         * NGX_MESH_STORAGE_DOCS_OPS_MAX,
                                         NGX_MESH_STORAGE_BATCH_DOCS_OPS);
    batch->list = ngx_pcalloc(batch->planned->pool,
                              (batch->room + NGX_MESH_STORAGE_BATCH_ROOM)
                              * sizeof(store_op_t));
    if (batch->list == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    batch->next = 0;
    batch->made = 0;
    batch->bytes = 0;

    return ngx_mesh_storage_batch_plan(rest);
}


static ngx_int_t
ngx_mesh_storage_batch_plan(ngx_mesh_storage_rest_t *rest)
{
    ngx_mesh_storage_batch_t     *batch;
    ngx_mesh_storage_batch_op_t  *op;

    batch = rest->data;

    while (batch->next < batch->count) {
        op = &batch->ops[batch->next];

        if (op->change) {
            return ngx_mesh_storage_batch_read(rest, batch);
        }

        ngx_mesh_storage_batch_key(rest, batch, op);
        batch->next++;
    }

    return ngx_mesh_storage_batch_write(rest, batch);
}


/* An operation on a key, or a check of a document; there is room. */

static void
ngx_mesh_storage_batch_key(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_batch_t *batch, ngx_mesh_storage_batch_op_t *op)
{
    store_op_t  *made;

    static const store_op_kind_t  kinds[] = {
        [NGX_MESH_STORAGE_BATCH_PUT] = STORE_PUT,
        [NGX_MESH_STORAGE_BATCH_DELETE] = STORE_DELETE,
        [NGX_MESH_STORAGE_BATCH_CHECK] = STORE_CHECK,
        [NGX_MESH_STORAGE_BATCH_INCR] = STORE_INCR
    };

    op->main = batch->made;
    made = &batch->list[batch->made++];

    made->kind = kinds[op->verb];
    made->condition = op->condition;
    made->if_seq = op->if_seq;
    made->key = op->key;
    made->value = op->value;
    made->meta = op->type;
    made->number = op->number;
    made->expires_ms = op->expires_ms;
    made->log = (op->verb != NGX_MESH_STORAGE_BATCH_CHECK);

    /* of the request, copied when the plan is whole */

    made->ns = rest->store_ns;
    made->note = bytes_make(rest->principal->did.data,
                            ngx_min(rest->principal->did.len,
                                    STORE_META_MAX));
}


/* The next documents, a few of them. */

static ngx_int_t
ngx_mesh_storage_batch_read(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_batch_t *batch)
{
    size_t                 i, n, count;
    store_read_t          *reads;
    ngx_mesh_store_job_t  *job;

    job = ngx_mesh_store_job_create(NGX_MESH_STORAGE_BATCH_POOL,
                                    rest->r->connection->log);
    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    reads = ngx_mesh_store_job_reads(job, NGX_MESH_STORAGE_BATCH_READ_MAX
                                          * NGX_MESH_STORAGE_DOCS_READS_MAX);

    if (reads == NULL
        || ngx_mesh_storage_batch_pool_hold(batch->parsed, job->pool)
           != NGX_OK)
    {
        goto failed;
    }

    count = 0;
    batch->reading = 0;

    for (i = batch->next;
         i < batch->count
         && batch->reading < NGX_MESH_STORAGE_BATCH_READ_MAX;
         i++)
    {
        if (batch->ops[i].change == NULL) {
            continue;
        }

        n = ngx_mesh_storage_docs_reads(batch->ops[i].change, job->pool,
                                        reads + count);
        if (n == 0) {
            goto failed;
        }

        batch->offsets[batch->reading++] = count;
        count += n;
    }

    job->read_count = count;

    return ngx_mesh_storage_rest_read(rest, job,
                                      ngx_mesh_storage_batch_read_done);

failed:

    ngx_mesh_store_job_destroy(&rest->mcf->store, job);

    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static ngx_int_t
ngx_mesh_storage_batch_read_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    size_t                        n;
    ngx_int_t                     rc;
    ngx_mesh_storage_batch_t     *batch;
    ngx_mesh_storage_batch_op_t  *op;

    batch = rest->data;

    if (job->rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    n = 0;

    while (n < batch->reading) {
        op = &batch->ops[batch->next];

        if (op->change == NULL) {
            ngx_mesh_storage_batch_key(rest, batch, op);
            batch->next++;
            continue;
        }

        rc = ngx_mesh_storage_batch_document(rest, batch,
                                             job->rows + batch->offsets[n]);

        if (rc == NGX_AGAIN) {
            break;
        }

        if (rc != NGX_OK) {
            return rc;
        }

        batch->next++;
        n++;
    }

    return ngx_mesh_storage_batch_plan(rest);
}


/* NGX_OK; NGX_AGAIN: it must read more; else what finalizes the request. */

static ngx_int_t
ngx_mesh_storage_batch_document(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_batch_t *batch, const store_rows_t *rows)
{
    ngx_int_t                        rc;
    ngx_mesh_storage_batch_op_t     *op;
    ngx_mesh_storage_batch_fault_t   fault;

    op = &batch->ops[batch->next];

    ngx_memzero(&fault, sizeof(ngx_mesh_storage_batch_fault_t));
    fault.index = batch->next;

    /* what stands behind it needs a place each */

    if (batch->room - batch->made
        < NGX_MESH_STORAGE_DOCS_OPS_MAX + batch->count - batch->next)
    {
        fault.problem = PROBLEM_TOO_LARGE;
        fault.detail = "with their indexes these are too many documents for "
                       "one batch";
        return ngx_mesh_storage_batch_check_refuse(rest, &fault);
    }

    rc = ngx_mesh_storage_docs_ops(op->change, batch->planned->pool, rows,
                                   batch->list, &batch->made);
    switch (rc) {

    case NGX_OK:
        op->main = op->change->main;
        batch->bytes += op->change->document.len;

        if (batch->bytes <= NGX_MESH_STORAGE_BATCH_DOCS_MAX) {
            return NGX_OK;
        }

        fault.problem = PROBLEM_TOO_LARGE;
        fault.limit = NGX_MESH_STORAGE_BATCH_DOCS_MAX;
        return ngx_mesh_storage_batch_check_refuse(rest, &fault);

    case NGX_AGAIN:

        if (++batch->tries <= NGX_MESH_STORAGE_DOCS_TRIES) {
            return NGX_AGAIN;
        }

        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BUSY, NULL);

    case NGX_DECLINED:
        ngx_mesh_storage_batch_change_fault(batch, op, &fault);
        return ngx_mesh_storage_batch_check_refuse(rest, &fault);

    default:
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
}


static ngx_int_t
ngx_mesh_storage_batch_write(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_batch_t *batch)
{
    size_t                 i;
    bytes_t                ns, note, none = bytes_make(NULL, 0);
    ngx_mesh_store_job_t  *job;

    ns = ngx_mesh_storage_rest_key(batch->planned->pool, "", rest->store_ns,
                                   none);
    note = ngx_mesh_storage_rest_key(batch->planned->pool, "",
                                     bytes_make(rest->principal->did.data,
                                                rest->principal->did.len),
                                     none);

    if (ns.len == 0 || note.len == 0
        || ngx_mesh_storage_batch_require(rest, batch) != NGX_OK
        || ngx_mesh_storage_batch_answer(rest, batch) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    note.len = ngx_min(note.len, STORE_META_MAX);

    for (i = 0; i < batch->count; i++) {
        if (batch->ops[i].change == NULL) {
            batch->list[batch->ops[i].main].ns = ns;
            batch->list[batch->ops[i].main].note = note;
        }
    }

    job = ngx_mesh_store_job_create(NGX_MESH_STORAGE_BATCH_POOL,
                                    rest->r->connection->log);
    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    job->write.ops = batch->list;
    job->write.count = batch->made;
    job->write.results = ngx_pcalloc(job->pool,
                             (batch->made + NGX_MESH_STORAGE_BATCH_ROOM)
                             * sizeof(store_result_t));

    if (job->write.results == NULL
        || ngx_mesh_storage_batch_pool_hold(batch->parsed, job->pool)
           != NGX_OK
        || ngx_mesh_storage_batch_pool_hold(batch->planned, job->pool)
           != NGX_OK
        || ngx_mesh_storage_once_add(rest, job, &batch->answer) != NGX_OK)
    {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_rest_write(rest, job,
                                       ngx_mesh_storage_batch_write_done);
}


/* Where the namespace wants conditions, each operation wants its own. */

static ngx_int_t
ngx_mesh_storage_batch_require(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_batch_t *batch)
{
    if (ngx_mesh_storage_batch_bare(batch) == NULL) {
        return NGX_OK;
    }

    return ngx_mesh_storage_quota_require(batch->planned->pool, rest->ns,
                                          &batch->list[batch->made++]);
}


/* The first without a condition, or NULL; what is added to has nothing to
   lose. */

static ngx_mesh_storage_batch_op_t *
ngx_mesh_storage_batch_bare(ngx_mesh_storage_batch_t *batch)
{
    size_t                        i;
    ngx_mesh_storage_batch_op_t  *op;

    for (i = 0; i < batch->count; i++) {
        op = &batch->ops[i];

        if (op->condition == STORE_ANY
            && op->verb != NGX_MESH_STORAGE_BATCH_INCR)
        {
            return op;
        }
    }

    return NULL;
}


static ngx_int_t
ngx_mesh_storage_batch_answer(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_batch_t *batch)
{
    size_t           i, size;
    u_char          *p;
    json_write_t     j;
    bytes_writer_t   w;

    size = 32 + batch->count * NGX_MESH_STORAGE_BATCH_RESULT;
    p = ngx_pnalloc(batch->planned->pool, size);

    if (p == NULL) {
        return NGX_ERROR;
    }

    bytes_writer_open(&w, p, size);

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_key(&j, "results");
    json_write_array(&j);

    for (i = 0; i < batch->count; i++) {
        ngx_mesh_storage_batch_op_result(&j, &batch->ops[i]);
    }

    json_write_array_end(&j);
    json_write_object_end(&j);

    if (w.failed) {
        ngx_log_error(NGX_LOG_ERR, rest->r->connection->log, 0,
                      "storage: the answer to a batch has no room");
        return NGX_ERROR;
    }

    batch->answer.status = NGX_HTTP_OK;
    batch->answer.body = bytes_writer_view(&w);
    batch->answer.etag = -1;

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_batch_write_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_mesh_storage_batch_t  *batch;

    batch = rest->data;

    if (job->write.rc == STORE_OK) {
        return ngx_mesh_storage_once_send(rest, job, &batch->answer);
    }

    return ngx_mesh_storage_batch_failed(rest, job);
}


static ngx_int_t
ngx_mesh_storage_batch_failed(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_int_t                        rc;
    store_request_t                 *write;
    ngx_mesh_storage_batch_t        *batch;
    ngx_mesh_storage_batch_op_t     *op;
    ngx_mesh_storage_batch_fault_t  *fault;

    batch = rest->data;
    write = &job->write;
    op = NULL;

    if (write->rc == STORE_CONDITION || write->rc == STORE_TYPE) {
        op = ngx_mesh_storage_batch_find(batch, write->failed);
    }

    if (op && op->change && write->rc == STORE_CONDITION) {

        rc = ngx_mesh_storage_docs_failed(op->change, write);

        if (rc == NGX_AGAIN) {
            return ngx_mesh_storage_batch_again(rest);
        }

        if (rc == NGX_ERROR) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (op == NULL) {

        if (!ngx_mesh_storage_quota_required(write)) {
            rc = ngx_mesh_storage_once_failed(rest, job);

            return rc == NGX_DECLINED
                   ? ngx_mesh_storage_rest_store_problem(rest, job) : rc;
        }

        op = ngx_mesh_storage_batch_bare(batch);
    }

    fault = &batch->fault;
    fault->index = op - batch->ops;

    if (ngx_mesh_storage_quota_required(write)) {
        fault->problem = PROBLEM_PRECONDITION_REQUIRED;
        fault->detail = "operations here need ifMatch or ifNoneMatch";

    } else if (op->change) {
        ngx_mesh_storage_batch_change_fault(batch, op, fault);

    } else if (write->rc == STORE_TYPE) {
        fault->problem = PROBLEM_CONFLICT;
        fault->detail = "the value is not an integer of 64 bits, or would "
                        "become none";

    } else {
        fault->problem = PROBLEM_PRECONDITION_FAILED;
        fault->current = write->results[write->failed].seq;
    }

    /* or somebody with the same key was first: what failed had been done */

    return ngx_mesh_storage_once_find(rest, ngx_mesh_storage_batch_refused);
}


static ngx_int_t
ngx_mesh_storage_batch_refused(ngx_mesh_storage_rest_t *rest)
{
    ngx_mesh_storage_batch_t  *batch;

    batch = rest->data;

    return ngx_mesh_storage_batch_check_refuse(rest, &batch->fault);
}


/* Whose operation of the store failed; NULL: one that was added. */

static ngx_mesh_storage_batch_op_t *
ngx_mesh_storage_batch_find(ngx_mesh_storage_batch_t *batch, size_t failed)
{
    size_t                        i;
    ngx_mesh_storage_batch_op_t  *op;

    for (i = 0; i < batch->count; i++) {
        op = &batch->ops[i];

        if (op->change) {
            if (failed >= op->change->first
                && failed - op->change->first < op->change->count)
            {
                return op;
            }

        } else if (op->main == failed) {
            return op;
        }
    }

    return NULL;
}


static ngx_int_t
ngx_mesh_storage_batch_again(ngx_mesh_storage_rest_t *rest)
{
    ngx_mesh_storage_batch_t  *batch;

    batch = rest->data;

    if (++batch->tries > NGX_MESH_STORAGE_DOCS_TRIES) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BUSY,
                   "others change the same documents all the time");
    }

    return ngx_mesh_storage_batch_begin(rest);
}


static void
ngx_mesh_storage_batch_change_fault(const ngx_mesh_storage_batch_t *batch,
    const ngx_mesh_storage_batch_op_t *op,
    ngx_mesh_storage_batch_fault_t *fault)
{
    fault->index = op - batch->ops;
    fault->problem = op->change->problem;
    fault->detail = op->change->detail;
    fault->unique = op->change->index;

    if (fault->problem == PROBLEM_PRECONDITION_FAILED) {
        fault->current = op->change->current;
    }

    if (fault->problem == PROBLEM_TOO_LARGE) {
        fault->limit = (int64_t) op->change->value_max;
    }
}


/* Owned by whoever creates it, until it is released. */

static ngx_mesh_storage_batch_pool_t *
ngx_mesh_storage_batch_pool_create(ngx_mesh_storage_rest_t *rest)
{
    ngx_pool_t                     *pool;
    ngx_mesh_storage_batch_pool_t  *shared;

    /* it may outlive the connection, whose log must not be in it */

    pool = ngx_create_pool(NGX_MESH_STORAGE_BATCH_POOL, ngx_cycle->log);

    if (pool == NULL) {
        return NULL;
    }

    shared = ngx_pcalloc(pool, sizeof(ngx_mesh_storage_batch_pool_t));

    if (shared == NULL) {
        ngx_log_error(NGX_LOG_ALERT, rest->r->connection->log, 0,
                      "storage: no memory in a new pool");
        ngx_destroy_pool(pool);
        return NULL;
    }

    shared->pool = pool;
    shared->count = 1;

    return shared;
}


/* The pool stays until holder is destroyed. */

static ngx_int_t
ngx_mesh_storage_batch_pool_hold(ngx_mesh_storage_batch_pool_t *pool,
    ngx_pool_t *holder)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(holder, 0);

    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_mesh_storage_batch_pool_release;
    cln->data = pool;
    pool->count++;

    return NGX_OK;
}


static void
ngx_mesh_storage_batch_pool_release(void *data)
{
    ngx_mesh_storage_batch_pool_t *pool = data;

    if (--pool->count == 0) {
        ngx_destroy_pool(pool->pool);
    }
}


static void
ngx_mesh_storage_batch_cleanup(void *data)
{
    ngx_mesh_storage_batch_t *batch = data;

    if (batch->parsed) {
        ngx_mesh_storage_batch_pool_release(batch->parsed);
    }

    if (batch->planned) {
        ngx_mesh_storage_batch_pool_release(batch->planned);
    }
}
