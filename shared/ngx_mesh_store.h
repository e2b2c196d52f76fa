/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * How a module finds the store and submits work to it.
 *
 * The storage module publishes ngx_mesh_store_t as the first pointer of its
 * main configuration.  Both calls return at once; job->done runs later on
 * the event loop of this worker, exactly once for each accepted job, also
 * when the requester has gone: it then finds job->data NULL, and only
 * destroys the job's pool (ngx_mesh_store_job_destroy()).
 */


#ifndef _NGX_MESH_STORE_H_INCLUDED_
#define _NGX_MESH_STORE_H_INCLUDED_


#include "ngx_mesh_principal.h"
#include "store/store.h"


#define NGX_MESH_STORE_MAGIC    0x73746f72   /* "stor" */
#define NGX_MESH_STORE_VERSION  2
#define NGX_MESH_STORE_MODULE   "ngx_http_mesh_storage_module"


typedef struct ngx_mesh_store_job_s  ngx_mesh_store_job_t;
typedef struct ngx_mesh_wake_s       ngx_mesh_wake_t;

typedef void (*ngx_mesh_store_done_pt)(ngx_mesh_store_job_t *job);


/* A detached job: everything it points to lives in its own pool. */
struct ngx_mesh_store_job_s {
    ngx_pool_t              *pool;       /* owned by the job */
    void                    *data;       /* requester; NULL: it has gone */
    ngx_mesh_store_done_pt   done;
    void                    *context;    /* the requester's notes, in pool */

    store_request_t          write;      /* used by write */
    const store_read_t      *reads;      /* used by read; [read_count] */
    store_rows_t            *rows;       /* filled by read */
    size_t                   read_count;
    store_rc_t               rc;         /* of the read as a whole */
    void                    *private;    /* the storage module's */
};


typedef struct {
    ngx_uint_t        magic;
    ngx_uint_t        version;
    ngx_uint_t        configured;        /* 1: there is a mesh_storage */
    ngx_mesh_wake_t  *wake;              /* the ring; NULL: not configured */

    /* NGX_OK: done will be called.  NGX_BUSY: queue full, answer 503.
       NGX_ERROR: store not open, answer 503; or a request beyond a limit of
       store.h, which is the caller's fault and logged. */
    ngx_int_t       (*write)(ngx_mesh_store_job_t *job);
    ngx_int_t       (*read)(ngx_mesh_store_job_t *job);

    /* Blocking read for init_process only, never from a request; opens the
       store when the storage module comes later in the order of modules.
       The caller gives the rows to rows_release. */
    store_rc_t      (*read_now)(const store_read_t *reads,
        store_rows_t *rows, size_t count);
    void            (*rows_release)(store_rows_t *rows, size_t count);
    void            (*write_release)(store_request_t *request);

    /* NGX_OK and health, or NGX_ERROR when the store is not open. */
    ngx_int_t       (*health)(store_health_t *health);

    void             *private;           /* the storage module's */
} ngx_mesh_store_t;


/* The published store, or NULL.  At configuration time use it through
   ngx_mesh_store_require() in postconfiguration, which logs which
   load_module line is missing. */
static ngx_inline ngx_mesh_store_t *
ngx_mesh_store(ngx_cycle_t *cycle)
{
    ngx_mesh_store_t  *store;

    store = ngx_mesh_published(cycle, NGX_MESH_STORE_MODULE);

    if (store == NULL
        || store->magic != NGX_MESH_STORE_MAGIC
        || store->version != NGX_MESH_STORE_VERSION)
    {
        return NULL;
    }

    return store;
}


/* NGX_OK when module is among the loaded ones (and the store among them is
   configured), else NGX_ERROR with one [emerg] line that names the
   load_module or directive that is missing.  In postconfiguration; who is
   the directive that needs it.  For NGX_MESH_STORE_MODULE and
   NGX_MESH_PRINCIPAL_MODULE. */
ngx_int_t ngx_mesh_store_require(ngx_conf_t *cf, const char *who,
    const char *module);

/* A job with its own pool of that size.  NULL: out of memory. */
ngx_mesh_store_job_t *ngx_mesh_store_job_create(size_t pool_size,
    ngx_log_t *log);

/* Allocates the operations (and results) or the reads (and rows) of a job
   in its pool.  NULL: out of memory. */
store_op_t *ngx_mesh_store_job_ops(ngx_mesh_store_job_t *job, size_t count);
store_read_t *ngx_mesh_store_job_reads(ngx_mesh_store_job_t *job,
    size_t count);

/* Releases what the store gave, then the pool. */
void ngx_mesh_store_job_destroy(ngx_mesh_store_t *store,
    ngx_mesh_store_job_t *job);


#endif /* _NGX_MESH_STORE_H_INCLUDED_ */
