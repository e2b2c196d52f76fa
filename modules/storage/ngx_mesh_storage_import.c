/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * POST /api/storage/admin/import: the lines of an export become what is
 * stored: one namespace, or a whole node that has nobody yet.
 *
 * The body goes to a file without a name.  A pool thread reads it once to its
 * end before anything is written, so that a line that is bad or missing
 * changes nothing; then it reads it again, and what it makes of some lines is
 * written in one request, and so on.  An import that was begun goes to its
 * end, whether or not who asked is still there; one that fails in the middle,
 * by a full disk for example, leaves what it wrote: replace it by another.
 *
 * Event loop, but for the functions with _thread in their names, and for
 * ngx_mesh_storage_import_read.c.
 */


#include "ngx_mesh_storage_import.h"
#include "ngx_mesh_storage_sink.h"


#define NGX_MESH_STORAGE_IMPORT_POOL   4096


typedef struct {
    char                                path[NGX_MAX_PATH];
    int                                 fd;        /* -1: not open, or the
                                                      import has it */
} ngx_mesh_storage_import_file_t;


/* In the request's pool: who has the import before it begins. */
typedef struct {
    ngx_mesh_storage_import_t          *import;    /* NULL: it has begun */
    ngx_uint_t                          replace;
} ngx_mesh_storage_import_owner_t;


static ngx_int_t ngx_mesh_storage_import_mode(ngx_mesh_storage_rest_t *rest,
    bytes_t ns, ngx_uint_t *replace, ngx_int_t *rc);
static ngx_mesh_storage_sink_rc_t ngx_mesh_storage_import_collect_thread(
    ngx_mesh_storage_sink_t *sink, bytes_t piece);
static void ngx_mesh_storage_import_abandon_thread(
    ngx_mesh_storage_sink_t *sink, bytes_t piece);
static ngx_int_t ngx_mesh_storage_import_collected(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_sink_t *sink);
static void ngx_mesh_storage_import_file_cleanup(void *data);
static void ngx_mesh_storage_import_owner_cleanup(void *data);
static void ngx_mesh_storage_import_cleanup(void *data);
static ngx_int_t ngx_mesh_storage_import_create(ngx_mesh_storage_rest_t *rest,
    int fd, ngx_mesh_storage_import_t **import);
static ngx_int_t ngx_mesh_storage_import_look(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_import_looked(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static void ngx_mesh_storage_import_done(ngx_mesh_job_t *job);
static ngx_int_t ngx_mesh_storage_import_write(
    ngx_mesh_storage_import_t *import);
static void ngx_mesh_storage_import_written(ngx_mesh_store_job_t *job);
static void ngx_mesh_storage_import_finish(ngx_mesh_storage_import_t *import,
    const store_request_t *failed);
static ngx_int_t ngx_mesh_storage_import_reply(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_import_t *import,
    const store_request_t *failed);
static ngx_int_t ngx_mesh_storage_import_fault(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_import_t *import);


static const ngx_mesh_storage_sink_target_t
    ngx_mesh_storage_import_target =
{
    ngx_mesh_storage_import_collect_thread,
    ngx_mesh_storage_import_collect_thread,
    ngx_mesh_storage_import_abandon_thread
};


ngx_int_t
ngx_mesh_storage_import(ngx_mesh_storage_rest_t *rest)
{
    bytes_t                           ns;
    ngx_int_t                         rc;
    ngx_uint_t                        replace;
    ngx_pool_cleanup_t               *cln, *sunk;
    ngx_mesh_storage_sink_t          *sink;
    ngx_mesh_storage_import_file_t   *file;
    ngx_mesh_storage_import_owner_t  *owner;

    if (rest->path.len != 0 || rest->r->method != NGX_HTTP_POST) {
        return ngx_mesh_storage_rest_method(rest, "POST");
    }

    if (ngx_mesh_storage_rest_query(rest, "ns", NGX_MESH_STORAGE_NS_MAX, &ns,
                                    &rc)
        == NGX_ERROR
        || ngx_mesh_storage_import_mode(rest, ns, &replace, &rc) != NGX_OK)
    {
        return rc;
    }

    rest->ns = ns;

    if (ngx_mesh_storage_rest_allow(rest, ns.len ? "/storage/admin"
                                                 : "/mesh/admin",
                                    "", bytes_make(NULL, 0), &rc)
        != NGX_OK)
    {
        return rc;
    }

    sink = ngx_mesh_storage_sink_create(rest, &ngx_mesh_storage_import_target,
                                    sizeof(ngx_mesh_storage_import_file_t));
    if (sink == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    file = sink->data;
    file->fd = -1;

    sunk = ngx_pool_cleanup_add(sink->pool, 0);
    cln = ngx_pool_cleanup_add(rest->r->pool,
                               sizeof(ngx_mesh_storage_import_owner_t));

    if (sunk == NULL || cln == NULL
        || rest->mcf->folder.len >= sizeof(file->path))
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    sunk->handler = ngx_mesh_storage_import_file_cleanup;
    sunk->data = file;

    owner = cln->data;
    owner->import = NULL;
    owner->replace = replace;
    cln->handler = ngx_mesh_storage_import_owner_cleanup;

    (void) ngx_cpystrn((u_char *) file->path, rest->mcf->folder.data,
                       rest->mcf->folder.len + 1);

    rest->data = owner;
    sink->max = rest->lcf->blob_size;

    return ngx_mesh_storage_sink_read(sink, ngx_mesh_storage_import_collected);
}


/* "mode" of the query: empty (the default) or replace. */
static ngx_int_t
ngx_mesh_storage_import_mode(ngx_mesh_storage_rest_t *rest, bytes_t ns,
    ngx_uint_t *replace, ngx_int_t *rc)
{
    bytes_t    mode;
    ngx_int_t  found;

    *replace = 0;

    found = ngx_mesh_storage_rest_query(rest, "mode", 16, &mode, rc);

    if (found == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (found == NGX_DECLINED || bytes_equal_text(mode, "empty")) {
        return NGX_OK;
    }

    if (bytes_equal_text(mode, "replace") && ns.len != 0) {
        *replace = 1;
        return NGX_OK;
    }

    *rc = ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
              "\"mode\" is \"empty\" or, with \"ns\", \"replace\"");

    return NGX_ERROR;
}


/* The file has no name: it is gone with the last descriptor, whatever
   happens. */

static ngx_mesh_storage_sink_rc_t
ngx_mesh_storage_import_collect_thread(ngx_mesh_storage_sink_t *sink,
    bytes_t piece)
{
    size_t                           done;
    ssize_t                          n;
    ngx_mesh_storage_import_file_t  *file;

    file = sink->data;

    if (file->fd == -1) {
        file->fd = open(file->path, O_TMPFILE|O_RDWR|O_CLOEXEC, 0600);

        if (file->fd == -1) {
            return ngx_mesh_storage_sink_fail(sink, "open()");
        }
    }

    for (done = 0; done < piece.len; done += n) {
        n = write(file->fd, piece.data + done, piece.len - done);

        if (n == -1) {
            if (ngx_errno != NGX_EINTR) {
                return ngx_mesh_storage_sink_fail(sink, "write()");
            }

            n = 0;
        }
    }

    return NGX_MESH_STORAGE_SINK_OK;
}


static void
ngx_mesh_storage_import_abandon_thread(ngx_mesh_storage_sink_t *sink,
    bytes_t piece)
{
    ngx_mesh_storage_import_file_t  *file;

    file = sink->data;

    if (file->fd != -1) {
        (void) close(file->fd);
        file->fd = -1;
    }
}


static ngx_int_t
ngx_mesh_storage_import_collected(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_sink_t *sink)
{
    ngx_int_t                         rc;
    ngx_mesh_storage_import_file_t   *file;
    ngx_mesh_storage_import_owner_t  *owner;

    if (sink->rc != NGX_MESH_STORAGE_SINK_OK) {
        return ngx_mesh_storage_sink_problem(sink);
    }

    file = sink->data;
    owner = rest->data;

    rc = ngx_mesh_storage_import_create(rest, file->fd, &owner->import);

    if (rc != NGX_OK) {
        return rc;
    }

    file->fd = -1;
    owner->import->replace = owner->replace;

    return ngx_mesh_storage_import_look(rest);
}


/* Of a body that was read for nobody. */
static void
ngx_mesh_storage_import_file_cleanup(void *data)
{
    ngx_mesh_storage_import_file_t  *file = data;

    if (file->fd != -1) {
        (void) close(file->fd);
    }
}


/* Of a request that ends, or is left, before its import begins. */
static void
ngx_mesh_storage_import_owner_cleanup(void *data)
{
    ngx_mesh_storage_import_owner_t  *owner = data;

    if (owner->import) {
        ngx_mesh_job_destroy(owner->import->job);
    }
}


static void
ngx_mesh_storage_import_cleanup(void *data)
{
    ngx_mesh_storage_import_t  *import = data;

    (void) close(import->fd);
}


/* Takes fd on NGX_OK. */
static ngx_int_t
ngx_mesh_storage_import_create(ngx_mesh_storage_rest_t *rest, int fd,
    ngx_mesh_storage_import_t **made)
{
    ngx_mesh_job_t             *job;
    ngx_pool_cleanup_t         *cln;
    ngx_mesh_storage_import_t  *import;

    job = ngx_mesh_job_create(NGX_MESH_STORAGE_IMPORT_POOL,
                              sizeof(ngx_mesh_storage_import_t),
                              rest->r->connection->log);
    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    import = job->context;
    import->mcf = rest->mcf;
    import->job = job;
    import->fd = fd;
    import->limits = rest->lcf->quota;

    import->chunk = ngx_palloc(job->pool, NGX_MESH_STORAGE_IMPORT_CHUNK);
    import->arena = ngx_palloc(job->pool, NGX_MESH_STORAGE_IMPORT_CHUNK);
    import->ns = ngx_mesh_storage_rest_key(job->pool, "", rest->ns,
                                           bytes_make(NULL, 0));
    import->who = ngx_mesh_storage_rest_key(job->pool, "",
                      bytes_make(rest->principal->did.data,
                                 rest->principal->did.len),
                      bytes_make(NULL, 0));

    cln = ngx_pool_cleanup_add(job->pool, 0);

    if (import->chunk == NULL || import->arena == NULL || cln == NULL
        || import->who.len == 0)
    {
        ngx_mesh_job_destroy(job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_mesh_storage_import_cleanup;
    cln->data = import;

    job->run = ngx_mesh_storage_import_read_job;
    job->done = ngx_mesh_storage_import_done;

    *made = import;

    return NGX_OK;
}


/* Is there nothing yet where it goes? */
static ngx_int_t
ngx_mesh_storage_import_look(ngx_mesh_storage_rest_t *rest)
{
    store_read_t          *read;
    ngx_mesh_store_job_t  *job;

    job = ngx_mesh_store_job_create(1024, rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    read = ngx_mesh_store_job_reads(job, 1);

    if (read == NULL) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    read->kind = STORE_RANGE;
    read->limit = 1;
    read->keys_only = 1;
    read->ns = rest->ns.len
               ? ngx_mesh_storage_rest_key(job->pool, "s/", rest->ns,
                                           bytes_make(NULL, 0))
               : bytes_of("identity");

    return ngx_mesh_storage_rest_read(rest, job,
                                      ngx_mesh_storage_import_looked);
}


static ngx_int_t
ngx_mesh_storage_import_looked(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_mesh_storage_import_t        *import;
    ngx_mesh_storage_import_owner_t  *owner;

    owner = rest->data;
    import = owner->import;

    if (job->rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    if (job->rows[0].count != 0 && !import->replace) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_CONFLICT,
                   import->ns.len ? "the namespace holds something: use "
                                    "\"mode=replace\" to have it replaced"
                                  : "the node has participants: a whole node "
                                    "is imported into a new one");
    }

    import->job->data = rest;

    if (ngx_mesh_job_submit(import->mcf->thread_pool, import->job) != NGX_OK)
    {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BUSY, NULL);
    }

    owner->import = NULL;

    return ngx_mesh_storage_rest_park(rest, &import->job->data);
}


static void
ngx_mesh_storage_import_done(ngx_mesh_job_t *job)
{
    ngx_mesh_storage_import_t  *import;

    import = job->context;

    if (import->err != 0) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, import->err,
                      "storage: reading the body of an import failed");
    }

    if (import->fault != NULL || import->err != 0) {
        ngx_mesh_storage_import_finish(import, NULL);
        return;
    }

    if (import->phase == NGX_MESH_STORAGE_IMPORT_CHECK) {
        import->phase = NGX_MESH_STORAGE_IMPORT_WRITE;
        import->offset = 0;
        import->line = 0;
        import->end = 0;

        if (!import->replace) {
            if (ngx_mesh_job_submit(import->mcf->thread_pool, job) != NGX_OK)
            {
                ngx_mesh_storage_import_finish(import, NULL);
            }

            return;
        }
    }

    if (ngx_mesh_storage_import_write(import) != NGX_OK) {
        import->err = NGX_EAGAIN;
        ngx_mesh_storage_import_finish(import, NULL);
    }
}


/* What the thread made of some lines; the namespaces are dropped before the
   first. */

static ngx_int_t
ngx_mesh_storage_import_write(ngx_mesh_storage_import_t *import)
{
    size_t                 n;
    store_op_t            *ops;
    ngx_mesh_store_job_t  *job;

    n = import->replace ? 2 : import->count;

    if (n == 0) {
        if (import->ns.len == 0 && import->end
            && ngx_mesh_storage_gate_close(&import->mcf->service.gate)
               == NGX_OK)
        {
            /* what workers know of the node was read before */

            ngx_mesh_storage_gate_open(&import->mcf->service.gate, 1);
        }

        ngx_mesh_storage_import_finish(import, NULL);
        return NGX_OK;
    }

    job = ngx_mesh_store_job_create(NGX_MESH_STORAGE_IMPORT_POOL,
                                    ngx_cycle->log);
    if (job == NULL) {
        return NGX_ERROR;
    }

    ops = ngx_mesh_store_job_ops(job, n);

    if (ops == NULL) {
        goto failed;
    }

    if (import->replace) {
        ops[0].kind = STORE_DROP;
        ops[0].ns = ngx_mesh_storage_rest_key(job->pool, "s/", import->ns,
                                              bytes_make(NULL, 0));
        ops[1].kind = STORE_DROP;
        ops[1].ns = ngx_mesh_storage_rest_key(job->pool, "x/", import->ns,
                                              bytes_make(NULL, 0));
        import->replace = 0;

    } else {
        ngx_memcpy(ops, import->ops, n * sizeof(store_op_t));
    }

    import->count = 0;

    job->data = import;
    job->done = ngx_mesh_storage_import_written;
    job->write.limits = import->limits;

    if (import->mcf->store.write(job) == NGX_OK) {
        return NGX_OK;
    }

failed:

    ngx_mesh_store_job_destroy(&import->mcf->store, job);

    return NGX_ERROR;
}


static void
ngx_mesh_storage_import_written(ngx_mesh_store_job_t *job)
{
    ngx_mesh_storage_import_t  *import;

    import = job->data;

    if (job->write.rc != STORE_OK) {
        ngx_mesh_storage_import_finish(import, &job->write);
        ngx_mesh_store_job_destroy(ngx_mesh_store((ngx_cycle_t *) ngx_cycle),
                                   job);
        return;
    }

    ngx_mesh_store_job_destroy(&import->mcf->store, job);

    if (ngx_mesh_job_submit(import->mcf->thread_pool, import->job) != NGX_OK)
    {
        import->err = NGX_EAGAIN;
        ngx_mesh_storage_import_finish(import, NULL);
    }
}


/* Answers, if somebody still waits, and frees all. */
static void
ngx_mesh_storage_import_finish(ngx_mesh_storage_import_t *import,
    const store_request_t *failed)
{
    ngx_int_t                 rc;
    ngx_mesh_job_t           *job;
    ngx_mesh_storage_rest_t  *rest;

    job = import->job;
    rest = job->data;

    if (rest == NULL) {
        ngx_mesh_job_destroy(job);
        return;
    }

    rc = ngx_mesh_storage_import_reply(rest, import, failed);

    ngx_mesh_job_destroy(job);
    ngx_mesh_storage_rest_resume(rest, rc);
}


static ngx_int_t
ngx_mesh_storage_import_reply(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_import_t *import, const store_request_t *failed)
{
    json_write_t          j;
    bytes_writer_t        w;
    ngx_mesh_store_job_t  job;

    if (failed != NULL) {
        ngx_memzero(&job, sizeof(ngx_mesh_store_job_t));
        job.write = *failed;

        return ngx_mesh_storage_rest_store_problem(rest, &job);
    }

    if (import->fault != NULL) {
        return ngx_mesh_storage_import_fault(rest, import);
    }

    if (import->err != 0 || !import->end) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BUSY,
                   "the import was cut off: replace it by another");
    }

    if (ngx_mesh_storage_rest_writer(rest, &w, 256) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member_integer(&j, "imported",
                              (int64_t) (import->items - import->skipped));
    json_write_member_integer(&j, "skipped", (int64_t) import->skipped);
    json_write_object_end(&j);

    return ngx_mesh_storage_rest_reply(rest, NGX_HTTP_OK, &w);
}


static ngx_int_t
ngx_mesh_storage_import_fault(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_import_t *import)
{
    problem_facts_t   facts;
    problem_member_t  member;

    ngx_memzero(&facts, sizeof(problem_facts_t));
    ngx_memzero(&member, sizeof(problem_member_t));

    member.name = "line";
    member.number = (int64_t) import->line;

    facts.detail = bytes_of(import->fault);
    facts.members = &member;
    facts.member_count = 1;

    return ngx_mesh_reply_problem_facts(rest->r, PROBLEM_BAD_REQUEST, &facts);
}
