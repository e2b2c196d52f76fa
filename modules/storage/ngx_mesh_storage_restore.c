/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * POST /api/storage/admin/restore {"backup":"mesh-..."}: a running node
 * becomes what a backup holds.
 *
 * Event loop, but for the job.  The gate is closed before the job and opened
 * behind it, whether or not who asked is still there: in between no worker
 * begins work on the store, and those that knew the old data start again
 * before they do any on the new.
 */


#include "ngx_mesh_storage_keeper.h"
#include "ngx_mesh_storage_rest.h"


#define NGX_MESH_STORAGE_RESTORE_BODY     4096     /* bytes */
#define NGX_MESH_STORAGE_RESTORE_TICK_MS  10
#define NGX_MESH_STORAGE_RESTORE_WAIT_MS  10000    /* for writes under way */


/* In the job's pool. */
typedef struct {
    ngx_event_t      event;
    ngx_msec_t       end;
    ngx_mesh_job_t  *job;
} ngx_mesh_storage_restore_wait_t;


static ngx_int_t ngx_mesh_storage_restore_begin(
    ngx_mesh_storage_rest_t *rest);
static void ngx_mesh_storage_restore_wait(ngx_event_t *ev);
static void ngx_mesh_storage_restore_done(ngx_mesh_job_t *job);
static ngx_int_t ngx_mesh_storage_restore_reply(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_keeper_task_t *task);


ngx_int_t
ngx_mesh_storage_restore(ngx_mesh_storage_rest_t *rest)
{
    ngx_int_t  rc;

    if (rest->path.len != 0 || rest->r->method != NGX_HTTP_POST) {
        return ngx_mesh_storage_rest_method(rest, "POST");
    }

    if (ngx_mesh_storage_rest_allow(rest, "/mesh/admin", "",
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

    return ngx_mesh_storage_rest_body(rest, NGX_MESH_STORAGE_RESTORE_BODY,
                                      "application/json",
                                      ngx_mesh_storage_restore_begin);
}


static ngx_int_t
ngx_mesh_storage_restore_begin(ngx_mesh_storage_rest_t *rest)
{
    bytes_t                           id;
    ngx_int_t                         rc;
    json_scan_t                       value;
    ngx_mesh_job_t                   *job;
    ngx_mesh_storage_restore_wait_t  *wait;

    if (json_scan_find(&rest->object, "backup", &value) != 0
        || json_scan_plain(&value, &id) != 0
        || !store_archive_valid((const char *) id.data, id.len))
    {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                   "\"backup\" is the id of a backup, see GET "
                   "/api/storage/admin/backups");
    }

    job = ngx_mesh_storage_keeper_job(rest->mcf,
                                      NGX_MESH_STORAGE_KEEPER_RESTORE, id);
    if (job == NULL) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_STORE_DOWN, NULL);
    }

    wait = ngx_pcalloc(job->pool, sizeof(ngx_mesh_storage_restore_wait_t));
    if (wait == NULL) {
        ngx_mesh_storage_keeper_destroy(job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_mesh_storage_gate_close(&rest->mcf->service.gate);

    if (rc != NGX_OK) {
        ngx_mesh_storage_keeper_destroy(job);

        return (rc == NGX_BUSY)
               ? ngx_mesh_storage_rest_problem(rest, PROBLEM_CONFLICT,
                                               "another restore is at work")
               : ngx_mesh_storage_rest_problem(rest, PROBLEM_STORE_DOWN,
                                               NULL);
    }

    job->data = rest;
    job->done = ngx_mesh_storage_restore_done;

    wait->job = job;
    wait->end = ngx_current_msec + NGX_MESH_STORAGE_RESTORE_WAIT_MS;
    wait->event.handler = ngx_mesh_storage_restore_wait;
    wait->event.data = wait;
    wait->event.log = ngx_cycle->log;

    ngx_add_timer(&wait->event, NGX_MESH_STORAGE_RESTORE_TICK_MS);

    return ngx_mesh_storage_rest_park(rest, &job->data);
}


/* Until all that was accepted before is on disk: it was answered, or will be,
   and belongs to the old data. */

static void
ngx_mesh_storage_restore_wait(ngx_event_t *ev)
{
    ngx_mesh_job_t                   *job;
    ngx_mesh_storage_keeper_task_t   *task;
    ngx_mesh_storage_restore_wait_t  *wait;

    wait = ev->data;
    job = wait->job;
    task = job->context;

    if (!ngx_mesh_storage_gate_idle(&task->mcf->service.gate)) {

        if ((ngx_msec_int_t) (wait->end - ngx_current_msec) > 0
            && !ngx_terminate)
        {
            ngx_add_timer(ev, NGX_MESH_STORAGE_RESTORE_TICK_MS);
            return;
        }

        goto failed;
    }

    if (ngx_mesh_job_submit(task->mcf->thread_pool, job) == NGX_OK) {
        return;
    }

failed:

    task->rc = -1;
    task->archive.busy = 1;

    ngx_mesh_storage_restore_done(job);
}


static void
ngx_mesh_storage_restore_done(ngx_mesh_job_t *job)
{
    ngx_int_t                        rc;
    ngx_mesh_storage_rest_t         *rest;
    ngx_mesh_storage_keeper_task_t  *task;

    rest = job->data;
    task = job->context;

    if (task->rc == 0) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "storage: restored the backup \"%s\", all workers "
                      "start again", task->id);

    } else if (!task->archive.busy && !task->archive.absent) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "storage: the backup \"%s\" was not restored, nothing "
                      "has changed: %s", task->id, task->archive.error);
    }

    ngx_mesh_storage_gate_open(&task->mcf->service.gate, task->rc == 0);

    rc = rest ? ngx_mesh_storage_restore_reply(rest, task) : NGX_DONE;

    ngx_mesh_storage_keeper_destroy(job);

    if (rest) {
        ngx_mesh_storage_rest_resume(rest, rc);
    }
}


static ngx_int_t
ngx_mesh_storage_restore_reply(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_keeper_task_t *task)
{
    json_write_t    j;
    bytes_writer_t  w;

    if (task->rc == 0) {
        if (ngx_mesh_storage_rest_writer(rest, &w,
                                         NGX_MESH_STORAGE_RESTORE_BODY)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        json_write_open(&j, &w);
        json_write_object(&j);
        json_write_member_text(&j, "restored", task->id);
        json_write_object_end(&j);

        return ngx_mesh_storage_rest_reply(rest, NGX_HTTP_OK, &w);
    }

    if (task->archive.absent) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_NOT_FOUND,
                                             "there is no such backup");
    }

    if (task->archive.busy) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BUSY,
                   "the node is at work on its store or its backups");
    }

    return ngx_mesh_storage_rest_problem(rest, PROBLEM_INTERNAL,
               "nothing has changed; the log of the node says why");
}
