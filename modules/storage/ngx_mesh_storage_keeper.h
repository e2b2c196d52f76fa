/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Work on the folder of backups, in a pool thread: what the API asks for and
 * what is done by the clock.
 */


#ifndef _NGX_MESH_STORAGE_KEEPER_H_INCLUDED_
#define _NGX_MESH_STORAGE_KEEPER_H_INCLUDED_


#include "ngx_mesh_job.h"
#include "ngx_mesh_storage.h"
#include "store/store_archive.h"


typedef enum {
    NGX_MESH_STORAGE_KEEPER_LIST = 0,
    NGX_MESH_STORAGE_KEEPER_MAKE,
    NGX_MESH_STORAGE_KEEPER_MAKE_DUE,     /* when the newest is too old */
    NGX_MESH_STORAGE_KEEPER_REMOVE,
    NGX_MESH_STORAGE_KEEPER_RESTORE
} ngx_mesh_storage_keeper_verb_t;


/* The context of such a job. */
typedef struct {
    ngx_http_mesh_storage_main_conf_t  *mcf;
    ngx_mesh_storage_keeper_verb_t      verb;
    char                                id[STORE_ARCHIVE_ID_LEN + 1];

    store_archive_t                     archive;   /* error and why */
    store_archive_fact_t                fact;      /* MAKE; id empty: it was
                                                      not due */
    store_archive_fact_t               *list;      /* LIST */
    size_t                              count;
    int                                 rc;
} ngx_mesh_storage_keeper_task_t;


/* A job that the caller gives data and done, and submits to the pool of the
   reads.  id (borrowed) is one that store_archive_valid() passed, or empty.
   NULL: no memory, or this worker has no store. */
ngx_mesh_job_t *ngx_mesh_storage_keeper_job(
    ngx_http_mesh_storage_main_conf_t *mcf,
    ngx_mesh_storage_keeper_verb_t verb, bytes_t id);

/* Frees what such a job has, and the job. */
void ngx_mesh_storage_keeper_destroy(ngx_mesh_job_t *job);

/* In a worker: looks now and then whether a backup is due.  Of all workers
   the first makes it, the others find it made. */
void ngx_mesh_storage_keeper_open(ngx_http_mesh_storage_main_conf_t *mcf);


#endif /* _NGX_MESH_STORAGE_KEEPER_H_INCLUDED_ */
