/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * /api/storage/admin/backups: list, make, fetch and remove.
 *
 * Event loop; the work is in pool threads (ngx_mesh_storage_keeper.c).  A
 * backup goes on when who asked for it has left.
 */


#include "ngx_mesh_storage_keeper.h"
#include "ngx_mesh_storage_once.h"
#include "timestamp.h"


#define NGX_MESH_STORAGE_BACKUP_JSON  256      /* bytes of one in a list */
#define NGX_MESH_STORAGE_BACKUP_BODY  4096     /* bytes of a request */


static ngx_int_t ngx_mesh_storage_backup_body(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_backup_make(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_backup_submit(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_keeper_verb_t verb);
static void ngx_mesh_storage_backup_done(ngx_mesh_job_t *job);
static ngx_int_t ngx_mesh_storage_backup_reply(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_keeper_task_t *task);
static ngx_int_t ngx_mesh_storage_backup_problem(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_keeper_task_t *task);
static ngx_int_t ngx_mesh_storage_backup_made(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_keeper_task_t *task);
static ngx_int_t ngx_mesh_storage_backup_kept(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_backup_list(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_keeper_task_t *task);
static void ngx_mesh_storage_backup_write(json_write_t *j,
    const store_archive_fact_t *fact);
static ngx_int_t ngx_mesh_storage_backup_send(ngx_mesh_storage_rest_t *rest);


ngx_int_t
ngx_mesh_storage_backup(ngx_mesh_storage_rest_t *rest)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = rest->r;

    if (ngx_mesh_storage_rest_allow(rest, "/storage/admin", "",
                                    bytes_make(NULL, 0), &rc)
        != NGX_OK)
    {
        return rc;
    }

    if (rest->mcf->backups.len == 0) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_UNSUPPORTED,
                   "no folder for backups: the operator sets "
                   "\"mesh_storage_backups\"");
    }

    if (rest->path.len == 0) {
        switch (r->method) {

        case NGX_HTTP_GET:
        case NGX_HTTP_HEAD:
            return ngx_mesh_storage_backup_submit(rest,
                                              NGX_MESH_STORAGE_KEEPER_LIST);

        case NGX_HTTP_POST:
            return ngx_mesh_storage_rest_body(rest,
                                              NGX_MESH_STORAGE_BACKUP_BODY,
                                              NULL,
                                              ngx_mesh_storage_backup_body);

        default:
            return ngx_mesh_storage_rest_method(rest, "GET, HEAD, POST");
        }
    }

    if (!store_archive_valid((const char *) rest->path.data, rest->path.len))
    {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_NOT_FOUND,
                                             "there is no such backup");
    }

    switch (r->method) {

    case NGX_HTTP_GET:
    case NGX_HTTP_HEAD:

        /* it holds what identity keeps, sealed keys included */

        if (ngx_mesh_storage_rest_allow(rest, "/mesh/admin", "",
                                        bytes_make(NULL, 0), &rc)
            != NGX_OK)
        {
            return rc;
        }

        return ngx_mesh_storage_backup_send(rest);

    case NGX_HTTP_DELETE:
        return ngx_mesh_storage_backup_submit(rest,
                                            NGX_MESH_STORAGE_KEEPER_REMOVE);

    default:
        return ngx_mesh_storage_rest_method(rest, "GET, HEAD, DELETE");
    }
}


/* Nothing in it counts, but a key that comes with it does. */
static ngx_int_t
ngx_mesh_storage_backup_body(ngx_mesh_storage_rest_t *rest)
{
    return ngx_mesh_storage_once_find(rest, ngx_mesh_storage_backup_make);
}


static ngx_int_t
ngx_mesh_storage_backup_make(ngx_mesh_storage_rest_t *rest)
{
    return ngx_mesh_storage_backup_submit(rest, NGX_MESH_STORAGE_KEEPER_MAKE);
}


static ngx_int_t
ngx_mesh_storage_backup_submit(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_keeper_verb_t verb)
{
    ngx_mesh_job_t  *job;

    job = ngx_mesh_storage_keeper_job(rest->mcf, verb, rest->path);

    if (job == NULL) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_STORE_DOWN, NULL);
    }

    job->data = rest;
    job->done = ngx_mesh_storage_backup_done;

    if (ngx_mesh_job_submit(rest->mcf->thread_pool, job) != NGX_OK) {
        ngx_mesh_storage_keeper_destroy(job);
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BUSY, NULL);
    }

    return ngx_mesh_storage_rest_park(rest, &job->data);
}


static void
ngx_mesh_storage_backup_done(ngx_mesh_job_t *job)
{
    ngx_int_t                        rc;
    ngx_mesh_storage_rest_t         *rest;
    ngx_mesh_storage_keeper_task_t  *task;

    rest = job->data;
    task = job->context;

    if (task->rc != 0 && !task->archive.busy && !task->archive.absent) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "storage: work on the backups in \"%s\" failed: %s",
                      task->archive.folder, task->archive.error);
    }

    if (rest == NULL) {
        ngx_mesh_storage_keeper_destroy(job);
        return;
    }

    rc = (task->rc == 0) ? ngx_mesh_storage_backup_reply(rest, task)
                         : ngx_mesh_storage_backup_problem(rest, task);

    ngx_mesh_storage_keeper_destroy(job);
    ngx_mesh_storage_rest_resume(rest, rc);
}


static ngx_int_t
ngx_mesh_storage_backup_reply(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_keeper_task_t *task)
{
    switch (task->verb) {

    case NGX_MESH_STORAGE_KEEPER_LIST:
        return ngx_mesh_storage_backup_list(rest, task);

    case NGX_MESH_STORAGE_KEEPER_MAKE:
        return ngx_mesh_storage_backup_made(rest, task);

    default:
        return ngx_mesh_reply_empty(rest->r, NGX_HTTP_NO_CONTENT);
    }
}


/* What went wrong with files is for the log. */
static ngx_int_t
ngx_mesh_storage_backup_problem(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_keeper_task_t *task)
{
    if (task->archive.busy) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_CONFLICT,
                   "another backup or restore is at work");
    }

    if (task->archive.absent) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_NOT_FOUND,
                                             "there is no such backup");
    }

    return ngx_mesh_storage_rest_problem(rest, PROBLEM_INTERNAL,
               "the log of the node says what failed");
}


static ngx_int_t
ngx_mesh_storage_backup_made(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_keeper_task_t *task)
{
    u_char                     *place;
    json_write_t                j;
    bytes_writer_t              w;
    ngx_mesh_store_job_t       *job;
    ngx_mesh_storage_answer_t  *answer;

    static const char  base[] = "/api/storage/admin/backups/";

    answer = ngx_pcalloc(rest->r->pool, sizeof(ngx_mesh_storage_answer_t));
    place = ngx_pnalloc(rest->r->pool, sizeof(base) + STORE_ARCHIVE_ID_LEN);

    if (answer == NULL || place == NULL
        || ngx_mesh_storage_rest_writer(rest, &w,
                                        NGX_MESH_STORAGE_BACKUP_JSON)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&j, &w);
    ngx_mesh_storage_backup_write(&j, &task->fact);

    answer->status = NGX_HTTP_CREATED;
    answer->body = bytes_writer_view(&w);
    answer->etag = -1;
    answer->location.data = place;
    answer->location.len = ngx_sprintf(place, "%s%s", base, task->fact.id)
                           - place;

    rest->data = answer;

    if (rest->once == NULL) {
        return ngx_mesh_storage_once_send(rest, NULL, answer);
    }

    job = ngx_mesh_store_job_create(1024, rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_mesh_store_job_ops(job, 1) != NULL) {
        job->write.count = 0;
    }

    if (job->write.ops == NULL
        || ngx_mesh_storage_once_add(rest, job, answer) != NGX_OK)
    {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_rest_write(rest, job,
                                       ngx_mesh_storage_backup_kept);
}


static ngx_int_t
ngx_mesh_storage_backup_kept(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_int_t  rc;

    if (job->write.rc == STORE_OK) {
        return ngx_mesh_storage_once_send(rest, job, rest->data);
    }

    rc = ngx_mesh_storage_once_failed(rest, job);

    return (rc == NGX_DECLINED)
           ? ngx_mesh_storage_rest_store_problem(rest, job) : rc;
}


/* All of them, newest first: there are at most STORE_ARCHIVE_LIST_MAX. */
static ngx_int_t
ngx_mesh_storage_backup_list(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_keeper_task_t *task)
{
    size_t          i;
    json_write_t    j;
    bytes_writer_t  w;

    if (ngx_mesh_storage_rest_writer(rest, &w,
            (task->count + 1) * NGX_MESH_STORAGE_BACKUP_JSON)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_key(&j, "backups");
    json_write_array(&j);

    for (i = task->count; i != 0; i--) {
        ngx_mesh_storage_backup_write(&j, &task->list[i - 1]);
    }

    json_write_array_end(&j);
    json_write_object_end(&j);

    return ngx_mesh_storage_rest_reply(rest, NGX_HTTP_OK, &w);
}


static void
ngx_mesh_storage_backup_write(json_write_t *j,
    const store_archive_fact_t *fact)
{
    uint8_t         at[TIMESTAMP_LEN];
    bytes_writer_t  w;

    bytes_writer_open(&w, at, sizeof(at));
    timestamp_write(&w, fact->made_ms);

    json_write_object(j);
    json_write_member_text(j, "id", fact->id);
    json_write_member(j, "createdAt", bytes_writer_view(&w));
    json_write_member_text(j, "adapter", fact->adapter);
    json_write_member_integer(j, "bytes", (int64_t) fact->bytes);
    json_write_member_integer(j, "blobs", (int64_t) fact->blobs);
    json_write_object_end(j);
}


/*
 * The data of a backup as a download.  A file of a backup is never changed,
 * so that it may be sent while another is made; SQLite has no lock on it.
 */

static ngx_int_t
ngx_mesh_storage_backup_send(ngx_mesh_storage_rest_t *rest)
{
    u_char                    *p;
    ngx_int_t                  rc;
    ngx_buf_t                 *b;
    ngx_str_t                  path, value;
    ngx_chain_t                out;
    ngx_http_request_t        *r;
    ngx_open_file_info_t       of;
    ngx_http_core_loc_conf_t  *clcf;

    r = rest->r;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    path.len = rest->mcf->backups.len + rest->path.len + sizeof(".data") - 1;
    path.data = ngx_pnalloc(r->pool, path.len + 1);
    value.data = ngx_pnalloc(r->pool, rest->path.len + 64);
    b = ngx_calloc_buf(r->pool);

    if (path.data == NULL || value.data == NULL || b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = ngx_sprintf(path.data, "%V%*s.data", &rest->mcf->backups,
                    rest->path.len, rest->path.data);
    *p = '\0';

    ngx_memzero(&of, sizeof(ngx_open_file_info_t));
    of.read_ahead = clcf->read_ahead;
    of.directio = NGX_OPEN_FILE_DIRECTIO_OFF;
    of.events = clcf->open_file_cache_events;

    if (ngx_open_cached_file(NULL, &path, &of, r->pool) != NGX_OK
        || !of.is_file)
    {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_NOT_FOUND,
                                             "there is no such backup");
    }

    value.len = ngx_sprintf(value.data, "attachment; filename=\"%*s.data\"",
                            rest->path.len, rest->path.data)
                - value.data;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = of.size;
    r->headers_out.last_modified_time = of.mtime;
    r->allow_ranges = 1;

    ngx_str_set(&r->headers_out.content_type, "application/octet-stream");
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    if (ngx_mesh_reply_header(r, "Content-Disposition", &value) != NGX_OK
        || ngx_http_set_etag(r) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->file = ngx_pcalloc(r->pool, sizeof(ngx_file_t));
    if (b->file == NULL) {
        return NGX_ERROR;
    }

    b->file_pos = 0;
    b->file_last = of.size;
    b->in_file = b->file_last ? 1 : 0;
    b->last_buf = 1;
    b->last_in_chain = 1;
    b->file->fd = of.fd;
    b->file->name = path;
    b->file->log = r->connection->log;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}
