/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * An upload that has all of its bytes becomes a blob: digest and name of the
 * file in a pool thread, step by step, then one write to the store, in which
 * the blob is there and the upload done.
 *
 * Event loop, but for what the job runs.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_upload.h"


static void ngx_mesh_storage_upload_end_done(ngx_mesh_job_t *job);
static ngx_int_t ngx_mesh_storage_upload_end_found(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_upload_end_t *end);
static ngx_int_t ngx_mesh_storage_upload_end_write(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_upload_end_written(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);


/* The end. */

ngx_int_t
ngx_mesh_storage_upload_end(ngx_mesh_storage_rest_t *rest)
{
    ngx_mesh_job_t                 *job;
    ngx_mesh_storage_upload_t      *upload;
    ngx_mesh_storage_upload_end_t  *end;

    upload = rest->data;

    job = ngx_mesh_job_create(1024, sizeof(ngx_mesh_storage_upload_end_t),
                              rest->r->connection->log);
    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    end = job->context;
    end->folder = (char *) rest->mcf->blobs.data;
    end->length = upload->length;
    (void) ngx_cpystrn((u_char *) end->id, (u_char *) upload->id.data,
                       sizeof(end->id));

    if (upload->length <= NGX_MESH_STORAGE_BLOB_INLINE) {
        end->value = ngx_pnalloc(job->pool,
                                 ngx_max((size_t) upload->length, 1));

        if (end->value == NULL) {
            ngx_mesh_job_destroy(job);
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    job->data = rest;
    job->run = ngx_mesh_storage_upload_part_end_thread;
    job->done = ngx_mesh_storage_upload_end_done;

    if (ngx_mesh_job_submit(rest->mcf->thread_pool, job) != NGX_OK) {
        ngx_mesh_job_destroy(job);
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BUSY, NULL);
    }

    return ngx_mesh_storage_rest_park(rest, &job->data);
}


static void
ngx_mesh_storage_upload_end_done(ngx_mesh_job_t *job)
{
    ngx_int_t                       rc;
    ngx_mesh_storage_rest_t        *rest;
    ngx_mesh_storage_upload_end_t  *end;

    rest = job->data;
    end = job->context;

    if (rest == NULL) {
        ngx_mesh_storage_upload_part_end_close(end);
        ngx_mesh_job_destroy(job);
        return;
    }

    if (!end->done) {

        if (ngx_mesh_job_submit(rest->mcf->thread_pool, job) == NGX_OK) {
            return;
        }

        ngx_mesh_storage_upload_part_end_close(end);
        end->rc = NGX_MESH_STORAGE_SINK_BUSY;
    }

    rc = ngx_mesh_storage_upload_end_found(rest, end);

    ngx_mesh_job_destroy(job);
    ngx_mesh_storage_rest_resume(rest, rc);
}


static ngx_int_t
ngx_mesh_storage_upload_end_found(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_upload_end_t *end)
{
    ngx_mesh_storage_upload_t  *upload;

    upload = rest->data;

    switch (end->rc) {

    case NGX_MESH_STORAGE_SINK_OK:
        break;

    case NGX_MESH_STORAGE_SINK_BUSY:
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BUSY, NULL);

    case NGX_MESH_STORAGE_SINK_CONFLICT:
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_CONFLICT,
                   "another request is at work on this upload");

    default:
        ngx_log_error(NGX_LOG_ERR, rest->r->connection->log, end->err,
                      "storage: %s failed", end->what);

        return ngx_mesh_storage_rest_problem(rest,
                   end->rc == NGX_MESH_STORAGE_SINK_FULL
                   ? PROBLEM_STORAGE_FULL : PROBLEM_INTERNAL, NULL);
    }

    upload->blob.file = (end->value == NULL);
    upload->blob.size = upload->length;
    upload->blob.type = upload->type;
    ngx_memcpy(upload->blob.hash, end->hash, DIGEST_SHA256_LEN);
    ngx_memcpy(upload->hash, end->hash, DIGEST_SHA256_LEN);

    if (end->value) {
        upload->value = bytes_make(end->value, (size_t) upload->length);
    }

    return ngx_mesh_storage_upload_end_write(rest);
}


static ngx_int_t
ngx_mesh_storage_upload_end_write(ngx_mesh_storage_rest_t *rest)
{
    size_t                      count;
    ngx_mesh_store_job_t       *job;
    ngx_mesh_storage_upload_t  *upload;

    upload = rest->data;
    upload->flags |= NGX_MESH_STORAGE_UPLOAD_DONE;
    rest->expires_ms = (int64_t) upload->blob_ms;

    job = ngx_mesh_storage_rest_put(rest, STORE_PUT, "b/", upload->name, 4);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    count = ngx_mesh_storage_blob_file_ops(rest, job, &upload->blob,
                                       upload->value, upload->name);

    if (count == 0
        || ngx_mesh_storage_upload_item_ops(rest, job, &job->write.ops[count],
                                        STORE_PUT)
           != NGX_OK)
    {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* the blob is charged from now on */

    job->write.ops[count + 1].kind = STORE_DELETE;
    job->write.ops[count + 1].weight = 0;
    job->write.ops[count + 1].expires_ms = 0;
    job->write.count = count + 2;

    return ngx_mesh_storage_rest_write(rest, job,
                                       ngx_mesh_storage_upload_end_written);
}


/* The file has two names by now, or is not needed. */
static ngx_int_t
ngx_mesh_storage_upload_end_written(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_mesh_storage_upload_t  *upload;

    upload = rest->data;

    if (job->write.rc == STORE_CONDITION) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_CONFLICT,
                   "another request has ended this upload");
    }

    if (job->write.rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    ngx_mesh_storage_upload_part_remove(rest->mcf, (char *) upload->id.data);

    return ngx_mesh_storage_uploads_reply(rest);
}
