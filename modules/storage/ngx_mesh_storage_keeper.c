/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Jobs on the folder of backups, and the clock of backups that are made by
 * themselves.
 *
 * Event loop, but for the functions with _thread in their names.  Workers do
 * not agree on who makes a backup: whoever gets the lock of the folder looks
 * again whether one is due.
 */


#include "ngx_mesh_storage_keeper.h"


#define NGX_MESH_STORAGE_KEEPER_POOL      8192     /* bytes */
#define NGX_MESH_STORAGE_KEEPER_FIRST_MS  5000     /* after the start */
#define NGX_MESH_STORAGE_KEEPER_TICK_MS   60000


static void ngx_mesh_storage_keeper_thread(ngx_mesh_job_t *job);
static int ngx_mesh_storage_keeper_due_thread(
    ngx_mesh_storage_keeper_task_t *task);
static void ngx_mesh_storage_keeper_timer(ngx_event_t *ev);
static void ngx_mesh_storage_keeper_done(ngx_mesh_job_t *job);


/* The one of this process. */
static ngx_event_t  ngx_mesh_storage_keeper_event;


ngx_mesh_job_t *
ngx_mesh_storage_keeper_job(ngx_http_mesh_storage_main_conf_t *mcf,
    ngx_mesh_storage_keeper_verb_t verb, bytes_t id)
{
    ngx_mesh_job_t                  *job;
    ngx_mesh_storage_keeper_task_t  *task;

    if (mcf->service.store == NULL || id.len > STORE_ARCHIVE_ID_LEN) {
        return NULL;
    }

    job = ngx_mesh_job_create(NGX_MESH_STORAGE_KEEPER_POOL,
                              sizeof(ngx_mesh_storage_keeper_task_t),
                              ngx_cycle->log);
    if (job == NULL) {
        return NULL;
    }

    task = job->context;
    task->mcf = mcf;
    task->verb = verb;

    ngx_memcpy(task->id, id.data, id.len);

    /* these outlive all pool threads */

    task->archive.folder = (const char *) mcf->backups.data;
    task->archive.blobs = (const char *) mcf->blobs.data;
    task->archive.keep = (uint64_t) mcf->backup_keep;
    task->archive.adapter = mcf->service.adapter;
    task->archive.store = mcf->service.store;

    job->run = ngx_mesh_storage_keeper_thread;

    return job;
}


void
ngx_mesh_storage_keeper_destroy(ngx_mesh_job_t *job)
{
    ngx_mesh_storage_keeper_task_t  *task;

    task = job->context;

    store_archive_release(task->list);
    ngx_mesh_job_destroy(job);
}


void
ngx_mesh_storage_keeper_open(ngx_http_mesh_storage_main_conf_t *mcf)
{
    ngx_event_t  *ev;

    if (mcf->backups.len == 0 || mcf->backup_every == 0
        || mcf->service.store == NULL)
    {
        return;
    }

    ev = &ngx_mesh_storage_keeper_event;
    ngx_memzero(ev, sizeof(ngx_event_t));

    ev->handler = ngx_mesh_storage_keeper_timer;
    ev->data = mcf;
    ev->log = ngx_cycle->log;
    ev->cancelable = 1;

    ngx_add_timer(ev, NGX_MESH_STORAGE_KEEPER_FIRST_MS);
}


static void
ngx_mesh_storage_keeper_thread(ngx_mesh_job_t *job)
{
    ngx_mesh_storage_keeper_task_t  *task;

    task = job->context;

    switch (task->verb) {

    case NGX_MESH_STORAGE_KEEPER_LIST:
        task->rc = store_archive_list(&task->archive, &task->list,
                                      &task->count);
        break;

    case NGX_MESH_STORAGE_KEEPER_MAKE:
        task->rc = store_archive_make(&task->archive, &task->fact);
        break;

    case NGX_MESH_STORAGE_KEEPER_MAKE_DUE:
        task->rc = ngx_mesh_storage_keeper_due_thread(task);
        break;

    case NGX_MESH_STORAGE_KEEPER_REMOVE:
        task->rc = store_archive_remove(&task->archive, task->id);
        break;

    case NGX_MESH_STORAGE_KEEPER_RESTORE:
        task->rc = store_archive_restore(&task->archive, task->id);
        break;
    }
}


/*
 * Looks before it makes one, not under the lock: of two workers that look at
 * once one gets the lock, and the other is told that it is taken.
 */

static int
ngx_mesh_storage_keeper_due_thread(ngx_mesh_storage_keeper_task_t *task)
{
    int64_t          age_ms;
    struct timespec  ts;

    if (store_archive_list(&task->archive, &task->list, &task->count) != 0) {
        return -1;
    }

    if (task->count != 0) {
        (void) clock_gettime(CLOCK_REALTIME, &ts);

        age_ms = (int64_t) ts.tv_sec * 1000
                 - task->list[task->count - 1].made_ms;

        if (age_ms < (int64_t) task->mcf->backup_every * 1000) {
            return 0;
        }
    }

    return store_archive_make(&task->archive, &task->fact);
}


static void
ngx_mesh_storage_keeper_timer(ngx_event_t *ev)
{
    ngx_mesh_job_t                     *job;
    ngx_http_mesh_storage_main_conf_t  *mcf;

    mcf = ev->data;

    ngx_add_timer(ev, NGX_MESH_STORAGE_KEEPER_TICK_MS);

    job = ngx_mesh_storage_keeper_job(mcf, NGX_MESH_STORAGE_KEEPER_MAKE_DUE,
                                      bytes_make(NULL, 0));
    if (job == NULL) {
        return;
    }

    job->done = ngx_mesh_storage_keeper_done;

    if (ngx_mesh_job_submit(mcf->thread_pool, job) != NGX_OK) {
        ngx_mesh_storage_keeper_destroy(job);
    }
}


static void
ngx_mesh_storage_keeper_done(ngx_mesh_job_t *job)
{
    ngx_mesh_storage_keeper_task_t  *task;

    task = job->context;

    if (task->rc == 0 && task->fact.id[0] != '\0') {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "storage: made the backup \"%s\", %uL bytes and %uL "
                      "blobs", task->fact.id, task->fact.bytes,
                      task->fact.blobs);

    } else if (task->rc != 0 && !task->archive.busy) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "storage: no backup was made in \"%s\": %s",
                      task->archive.folder, task->archive.error);
    }

    ngx_mesh_storage_keeper_destroy(job);
}
