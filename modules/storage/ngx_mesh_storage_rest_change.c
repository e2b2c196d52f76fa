/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Changes of items where the namespace may want a condition (428).
 *
 * A change without one goes to the store together with the check that the
 * namespace has no settings, which most have not: so it costs no read, and no
 * other worker's setting is seen late.  Only when there are some are they
 * read, and the change is made again if they do not want a condition.  Event
 * loop only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_rest.h"


static ngx_int_t ngx_mesh_storage_rest_change_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_rest_change_read(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_rest_change_settings(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_uint_t ngx_mesh_storage_rest_change_wants(bytes_t settings);


ngx_int_t
ngx_mesh_storage_rest_change(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job, ngx_mesh_storage_done_pt done,
    ngx_mesh_storage_step_pt again)
{
    store_op_t  *op;

    if (rest->condition != STORE_ANY || rest->settled) {
        return ngx_mesh_storage_rest_write(rest, job, done);
    }

    op = &job->write.ops[job->write.count];

    op->kind = STORE_CHECK;
    op->condition = STORE_IF_ABSENT;
    op->key = bytes_of(NGX_MESH_STORAGE_REST_SETTINGS);
    op->ns = ngx_mesh_storage_rest_key(job->pool, "x/", rest->ns,
                                       bytes_make(NULL, 0));

    if (op->ns.len == 0) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    job->write.count++;

    rest->changed = done;
    rest->again = again;

    return ngx_mesh_storage_rest_write(rest, job,
                                       ngx_mesh_storage_rest_change_done);
}


static ngx_int_t
ngx_mesh_storage_rest_change_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    if (job->write.rc == STORE_CONDITION
        && job->write.failed + 1 == job->write.count)
    {
        return ngx_mesh_storage_rest_change_read(rest);
    }

    return rest->changed(rest, job);
}


static ngx_int_t
ngx_mesh_storage_rest_change_read(ngx_mesh_storage_rest_t *rest)
{
    store_read_t          *read;
    ngx_mesh_store_job_t  *job;

    job = ngx_mesh_storage_rest_get(rest, "",
                                    bytes_of(NGX_MESH_STORAGE_REST_SETTINGS));

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    read = (store_read_t *) job->reads;
    read->ns = ngx_mesh_storage_rest_key(job->pool, "x/", rest->ns,
                                         bytes_make(NULL, 0));

    if (read->ns.len == 0) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_rest_read(rest, job,
                                      ngx_mesh_storage_rest_change_settings);
}


static ngx_int_t
ngx_mesh_storage_rest_change_settings(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    if (job->rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    if (job->rows[0].count != 0
        && ngx_mesh_storage_rest_change_wants(job->rows[0].rows[0].value))
    {
        return ngx_mesh_storage_rest_problem(rest,
                   PROBLEM_PRECONDITION_REQUIRED,
                   "this namespace wants If-Match or If-None-Match");
    }

    rest->settled = 1;

    return rest->again(rest);
}


static ngx_uint_t
ngx_mesh_storage_rest_change_wants(bytes_t settings)
{
    json_scan_t  object, value;

    return json_scan_validate(settings, NULL) == JSON_SCAN_OK
           && json_scan_open(settings, &object) == 0
           && json_scan_find(&object, "requireCondition", &value) == 0
           && value.type == JSON_SCAN_BOOL && value.truth;
}
