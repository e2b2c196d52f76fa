/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * One REST request from the route to its answer, over any number of jobs.
 *
 *     /api/storage/<resource>/<namespace>/<path>
 *
 * A step returns what finalizes the request, or NGX_DONE when it left the
 * request waiting for a job whose completion is the next step.  Everything is
 * in r->pool; rows and results of a job die after the step that was given
 * them.  Event loop only.
 *
 * uploads, usage and admin have no namespace in their path.
 *
 * Namespace "me" is the participant who asks: of a person its id, of a bot
 * the namespace of its maker, a dot and its id.
 */


#ifndef _NGX_MESH_STORAGE_REST_H_INCLUDED_
#define _NGX_MESH_STORAGE_REST_H_INCLUDED_


#include "json_scan.h"
#include "json_write.h"
#include "ngx_mesh_body.h"
#include "ngx_mesh_job.h"
#include "ngx_mesh_reply.h"
#include "ngx_mesh_route.h"
#include "ngx_mesh_storage.h"


/* In namespace "x/<ns>": settings of a namespace, JSON; absent: none. */
#define NGX_MESH_STORAGE_REST_SETTINGS   "settings"

#define NGX_MESH_STORAGE_REST_LIMIT      100   /* items of a page */
#define NGX_MESH_STORAGE_REST_LIMIT_MAX  1000


typedef ngx_int_t (*ngx_mesh_storage_step_pt)(ngx_mesh_storage_rest_t *rest);

/* job's rows and results die when this returns. */
typedef ngx_int_t (*ngx_mesh_storage_done_pt)(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job);


/* A number of the query. */
typedef struct {
    const char                         *name;
    uint64_t                            low;
    uint64_t                            high;
} ngx_mesh_storage_rest_number_t;


struct ngx_mesh_storage_rest_s {
    ngx_http_request_t                 *r;
    ngx_http_mesh_storage_main_conf_t  *mcf;
    ngx_http_mesh_storage_loc_conf_t   *lcf;
    ngx_mesh_principal_t               *principal;

    /* from the path, decoded; UTF-8 without U+0000 */
    bytes_t                             resource;   /* "kv" */
    bytes_t                             ns;         /* REST; "me" resolved;
                                                       empty when the resource
                                                       has none in its path */
    bytes_t                             path;       /* behind it; may be
                                                       empty, no "/" first */
    bytes_t                             caller;     /* namespace of who asks,
                                                       when "me" was asked or
                                                       after caller_find() */
    bytes_t                             store_ns;   /* "s/<ns>" */

    /* of the body, after ngx_mesh_storage_rest_body() */
    bytes_t                             body;
    json_scan_t                         object;     /* when JSON was asked */

    /* conditions of a write: store_op_t's, of its main operation */
    store_condition_t                   condition;
    uint64_t                            if_seq;
    unsigned                            minimal:1;  /* Prefer: return= */
    unsigned                            representation:1;
    int64_t                             expires_ms; /* Expires-After; 0 */

    ngx_mesh_storage_done_pt            done;       /* of the job at work */
    ngx_mesh_storage_step_pt            step;       /* private to rest.c */
    const char                         *json;       /* the same: of the body */
    ngx_mesh_storage_step_pt            found;      /* private to caller.c */
    ngx_mesh_storage_step_pt            again;      /* private to change.c */
    ngx_mesh_storage_done_pt            changed;    /* the same */
    unsigned                            settled:1;  /* the same */
    ngx_mesh_storage_mark_place_t       place;      /* private to hot.c */
    ngx_mesh_storage_done_pt            fetched;    /* the same */
    unsigned                            placed:1;   /* the same */
    void                               *once;       /* private to once.c */
    void                               *data;       /* of the steps */
};


/* The handler of a location with "mesh_storage_api on": origin of writes,
   principal, path, conditions, "me"; then the handler of the resource, which
   looks at r->method itself. */
ngx_int_t ngx_mesh_storage_rest_handler(ngx_http_request_t *r);

/* Makes text, "me" or a name that was in a body or header, the namespace of
   the request (ns and store_ns), then step; 400 for what is no name. */
ngx_int_t ngx_mesh_storage_rest_namespace(ngx_mesh_storage_rest_t *rest,
    bytes_t text, ngx_mesh_storage_step_pt step);

/* 405 with that Allow ("GET, HEAD, PUT"), or the 204 of OPTIONS. */
ngx_int_t ngx_mesh_storage_rest_method(ngx_mesh_storage_rest_t *rest,
    const char *allow);

/* Reads a body of at most max bytes into rest->body; json: it is one JSON
   object in rest->object, of that media type when json is not NULL
   ("application/json"), NULL: any bytes.  Then step. */
ngx_int_t ngx_mesh_storage_rest_body(ngx_mesh_storage_rest_t *rest,
    size_t max, const char *json, ngx_mesh_storage_step_pt step);

/* May the caller use "/storage/read" ("write", "admin") on kind ("kv",
   "docs", "blobs") and key of rest->ns?  UCAN_OK or why not, nothing is
   sent.  Empty kind and key are left out of the args. */
ucan_verdict_t ngx_mesh_storage_rest_may(ngx_mesh_storage_rest_t *rest,
    const char *command, const char *kind, bytes_t key);

/* The same; NGX_OK, or NGX_DECLINED and *rc is the answer that was sent: what
   may not be read is a 404 as if it were not there, the rest a 403. */
ngx_int_t ngx_mesh_storage_rest_allow(ngx_mesh_storage_rest_t *rest,
    const char *command, const char *kind, bytes_t key, ngx_int_t *rc);

/* Submits a job of which reads or operations are set; its completion calls
   done.  Takes the job, also on failure.  A write gets the quota of the
   location. */
ngx_int_t ngx_mesh_storage_rest_read(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job, ngx_mesh_storage_done_pt done);
ngx_int_t ngx_mesh_storage_rest_write(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job, ngx_mesh_storage_done_pt done);

/* Reads one item, "<prefix><key>" of store_ns, for done: at once when it is
   in the memory of this worker, else by a job.  done may look at job->rc and
   job->rows[0] alone. */
ngx_int_t ngx_mesh_storage_rest_hot(ngx_mesh_storage_rest_t *rest,
    const char *prefix, bytes_t key, ngx_mesh_storage_done_pt done);

/* A job whose one read or operation is prepared: namespace store_ns, key
   "<prefix><key>" in the job's pool (prefix "k/"); of a write the condition,
   expiry, log and note (who) of the request.  There is room behind the "ops"
   operations for those of ngx_mesh_storage_once_add() and of
   ngx_mesh_storage_rest_change().  NULL: out of memory. */
ngx_mesh_store_job_t *ngx_mesh_storage_rest_get(ngx_mesh_storage_rest_t *rest,
    const char *prefix, bytes_t key);
ngx_mesh_store_job_t *ngx_mesh_storage_rest_put(ngx_mesh_storage_rest_t *rest,
    store_op_kind_t kind, const char *prefix, bytes_t key, size_t ops);

/* As rest_write, for a PUT, PATCH or DELETE of one item whose job rest_put
   made: 428 where the namespace wants a condition and the request has none.
   again is the step that made the job; it may be called once more. */
ngx_int_t ngx_mesh_storage_rest_change(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job, ngx_mesh_storage_done_pt done,
    ngx_mesh_storage_step_pt again);

/* "<prefix><a><b>" in pool; empty: out of memory. */
bytes_t ngx_mesh_storage_rest_key(ngx_pool_t *pool, const char *prefix,
    bytes_t a, bytes_t b);

/* Leaves the request waiting for what calls ngx_mesh_storage_rest_resume();
   *data becomes NULL when it is gone. */
ngx_int_t ngx_mesh_storage_rest_park(ngx_mesh_storage_rest_t *rest,
    void **data);
void ngx_mesh_storage_rest_resume(ngx_mesh_storage_rest_t *rest,
    ngx_int_t rc);

/* The answer to a failed read or write: 412 with currentEtag, 507 with used
   and limit, 503, 504 and the like. */
ngx_int_t ngx_mesh_storage_rest_store_problem(ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_store_job_t *job);

/* 412, with the seq that was met; 0: absent, or not known. */
ngx_int_t ngx_mesh_storage_rest_store_condition(
    ngx_mesh_storage_rest_t *rest, uint64_t seq);

/* The same to one outcome that has no facts. */
ngx_int_t ngx_mesh_storage_rest_store_rc(ngx_mesh_storage_rest_t *rest,
    store_rc_t rc);

/* Of a read: 1 when If-None-Match holds for that seq and a 304 is due. */
ngx_uint_t ngx_mesh_storage_rest_not_modified(ngx_mesh_storage_rest_t *rest,
    uint64_t seq);

/* Headers of an answer that is not a problem: ETag "<seq>" (and
   Preference-Applied, when there was one), Expires-At unless 0; Last-Modified
   is not sent.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_mesh_storage_rest_etag(ngx_mesh_storage_rest_t *rest,
    uint64_t seq);
ngx_int_t ngx_mesh_storage_rest_expires(ngx_mesh_storage_rest_t *rest,
    int64_t expires_ms);

/* Location: the path of the request.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_mesh_storage_rest_location(ngx_mesh_storage_rest_t *rest);

/* Members "etag" and "seq"; a time as a text, nothing when it is 0. */
void ngx_mesh_storage_rest_json_etag(json_write_t *j, uint64_t seq);
void ngx_mesh_storage_rest_json_time(json_write_t *j, const char *name,
    int64_t ms);

/* A writer over size bytes of r->pool, and the JSON answer written there. */
ngx_int_t ngx_mesh_storage_rest_writer(ngx_mesh_storage_rest_t *rest,
    bytes_writer_t *w, size_t size);
ngx_int_t ngx_mesh_storage_rest_reply(ngx_mesh_storage_rest_t *rest,
    ngx_uint_t status, bytes_writer_t *w);

/* A problem with a detail that is static or in r->pool.  What is absent, or
   may not be read, is PROBLEM_NOT_FOUND without a detail: they must look the
   same. */
ngx_int_t ngx_mesh_storage_rest_problem(ngx_mesh_storage_rest_t *rest,
    problem_t problem, const char *detail);

/* An argument of the query, decoded in r->pool, checked to be UTF-8 of at
   most max bytes.  NGX_OK; NGX_DECLINED: absent; NGX_ERROR: *rc is the 400
   that was sent.  A number: *n is left alone when absent. */
ngx_int_t ngx_mesh_storage_rest_query(ngx_mesh_storage_rest_t *rest,
    const char *name, size_t max, bytes_t *text, ngx_int_t *rc);
ngx_int_t ngx_mesh_storage_rest_number(ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_storage_rest_number_t *number, uint64_t *n,
    ngx_int_t *rc);

/* "cursor" of the query decoded into text (empty when absent): it is bound to
   the holder, the method's list ("kv", its namespace and arguments in scope).
   NGX_ERROR: *rc is the 400.  Then the "next" of an answer: the member, and
   the Link header with rel="next". */
ngx_int_t ngx_mesh_storage_rest_cursor(ngx_mesh_storage_rest_t *rest,
    bytes_t scope, bytes_t *text, ngx_int_t *rc);
ngx_int_t ngx_mesh_storage_rest_next(ngx_mesh_storage_rest_t *rest,
    bytes_t scope, bytes_t place, json_write_t *j);

/* The same cursor as a text, and the Link header.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_mesh_storage_rest_cursor_next(ngx_mesh_storage_rest_t *rest,
    bytes_t scope, bytes_t place, bytes_t *cursor);

/* The Link header alone, of a cursor that was made elsewhere. */
ngx_int_t ngx_mesh_storage_rest_cursor_link(ngx_mesh_storage_rest_t *rest,
    bytes_t cursor);


#endif /* _NGX_MESH_STORAGE_REST_H_INCLUDED_ */
