/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Idempotency-Key: the answer of a POST is stored with what it did, in one
 * transaction, and a repeat gets that answer.  What only the commit tells,
 * seqs and numbers, stands in the answer as a mark that is filled in from the
 * results, or later from the stamp that the store left.
 */


#ifndef _NGX_MESH_STORAGE_ONCE_H_INCLUDED_
#define _NGX_MESH_STORAGE_ONCE_H_INCLUDED_


#include "ngx_mesh_storage_rest.h"


#define NGX_MESH_STORAGE_ONCE_KEY_MAX   255           /* bytes */
#define NGX_MESH_STORAGE_ONCE_BODY_MAX  (1024 * 1024)  /* of an answer; of a
                                             longer one the status is kept */


typedef struct {
    ngx_uint_t    status;
    bytes_t       body;           /* JSON with marks; empty: none */
    bytes_t       location;       /* empty: no Location */
    ngx_int_t     etag;           /* operation whose seq is the ETag; -1 */
} ngx_mesh_storage_answer_t;


/* Step at once when there is no such header; else looks for the stored
   answer and sends it, or 422 when the key was used for another request, or
   goes on with step.  A request is the same when method, path, query,
   Content-Type and rest->body are: so after the body was read. */
ngx_int_t ngx_mesh_storage_once_find(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_step_pt step);

/* Adds the operation that stores the answer, behind all others of the job:
   there must be room for one more behind job->write.count operations, as
   ngx_mesh_storage_rest_put() leaves; nothing when no key was sent.  NGX_OK,
   NGX_ERROR: no memory. */
ngx_int_t ngx_mesh_storage_once_add(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job, const ngx_mesh_storage_answer_t *answer);

/* Answers from the results (job NULL: there are no marks): all that a
   completion does after success.  A write that failed, since another with the
   same key came first, gets that one's answer: call
   ngx_mesh_storage_once_failed() whenever job->write.rc is not STORE_OK;
   NGX_DECLINED: no key was sent, else what it returns is the answer, a
   refusal of the store included. */
ngx_int_t ngx_mesh_storage_once_send(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job, const ngx_mesh_storage_answer_t *answer);
ngx_int_t ngx_mesh_storage_once_failed(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job);

/* Writes the seq (number) of operation i as a JSON number, or the seq as an
   ETag, a string, once it is known. */
void ngx_mesh_storage_once_seq(json_write_t *j, size_t i);
void ngx_mesh_storage_once_number(json_write_t *j, size_t i);
void ngx_mesh_storage_once_etag(json_write_t *j, size_t i);


#endif /* _NGX_MESH_STORAGE_ONCE_H_INCLUDED_ */
