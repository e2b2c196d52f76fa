/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What a namespace holds and may hold: GET and PUT /api/storage/quota/{ns}.
 *
 * What is stored in "a.b" counts in "a" as well, so a maker's limit is that
 * of all its bots together.  Nobody raises a limit that somebody else has
 * set: limits of "a.b" are for whoever administrates "a", those of a name
 * without a dot for whoever administrates all of storage.
 *
 * That writes need a condition is an item of the namespace "x/<ns>", there or
 * not, which each write without one checks in its own transaction.  Event
 * loop only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_rest.h"


#define NGX_MESH_STORAGE_QUOTA_BODY     1024    /* bytes */
#define NGX_MESH_STORAGE_QUOTA_ANSWER   4096    /* bytes */
#define NGX_MESH_STORAGE_QUOTA_PARENTS  (STORE_DEPTH_MAX)


typedef struct {
    bytes_t         parents[NGX_MESH_STORAGE_QUOTA_PARENTS];
    size_t          parent_count;  /* that the caller may read */
    store_limits_t  limits;
    unsigned        limited:1;     /* PUT: limits are to be set */
    unsigned        settled:1;     /* PUT: so is "require" */
    unsigned        require:1;
} ngx_mesh_storage_quota_t;


static ngx_int_t ngx_mesh_storage_quota_read(ngx_mesh_storage_rest_t *rest);
static void ngx_mesh_storage_quota_parents(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_quota_t *quota);
static ngx_int_t ngx_mesh_storage_quota_read_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static void ngx_mesh_storage_quota_write_account(
    ngx_mesh_storage_rest_t *rest, json_write_t *j, bytes_t ns,
    const store_usage_t *usage);
static void ngx_mesh_storage_quota_write_pair(json_write_t *j,
    const char *name, uint64_t used, uint64_t limit);
static ngx_int_t ngx_mesh_storage_quota_body(ngx_mesh_storage_rest_t *rest);
static const char *ngx_mesh_storage_quota_parse(
    ngx_mesh_storage_quota_t *quota, const json_scan_t *object);
static ngx_int_t ngx_mesh_storage_quota_parse_limit(
    const json_scan_t *object, const char *name, uint64_t *limit);
static ucan_verdict_t ngx_mesh_storage_quota_may(
    ngx_mesh_storage_rest_t *rest, const char *command, bytes_t ns);
static ngx_int_t ngx_mesh_storage_quota_write(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_quota_t *quota);
static ngx_int_t ngx_mesh_storage_quota_write_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static bytes_t ngx_mesh_storage_quota_above(bytes_t ns);


ngx_int_t
ngx_mesh_storage_quota(ngx_mesh_storage_rest_t *rest)
{
    ngx_int_t  rc;

    if (rest->path.len != 0) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_NOT_FOUND, NULL);
    }

    rest->data = ngx_pcalloc(rest->r->pool, sizeof(ngx_mesh_storage_quota_t));

    if (rest->data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    switch (rest->r->method) {

    case NGX_HTTP_GET:
    case NGX_HTTP_HEAD:
        break;

    case NGX_HTTP_PUT:
        return ngx_mesh_storage_rest_body(rest, NGX_MESH_STORAGE_QUOTA_BODY,
                                          "application/json",
                                          ngx_mesh_storage_quota_body);

    default:
        return ngx_mesh_storage_rest_method(rest, "GET, HEAD, PUT");
    }

    if (ngx_mesh_storage_rest_allow(rest, "/storage/read", "",
                                    bytes_make(NULL, 0), &rc)
        != NGX_OK)
    {
        return rc;
    }

    return ngx_mesh_storage_quota_read(rest);
}


/* GET, and what a PUT answers. */

static ngx_int_t
ngx_mesh_storage_quota_read(ngx_mesh_storage_rest_t *rest)
{
    size_t                     i;
    bytes_t                    ns, none = bytes_make(NULL, 0);
    store_read_t              *reads;
    ngx_mesh_store_job_t      *job;
    ngx_mesh_storage_quota_t  *quota;

    quota = rest->data;
    ngx_mesh_storage_quota_parents(rest, quota);

    job = ngx_mesh_store_job_create(4096, rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    reads = ngx_mesh_store_job_reads(job, quota->parent_count + 2);

    if (reads == NULL) {
        goto failed;
    }

    reads[0].kind = STORE_GET;
    reads[0].ns = ngx_mesh_storage_rest_key(job->pool, "x/", rest->ns, none);
    reads[0].key = bytes_of(NGX_MESH_STORAGE_REST_SETTINGS);

    if (reads[0].ns.len == 0) {
        goto failed;
    }

    for (i = 0; i <= quota->parent_count; i++) {
        ns = (i == 0) ? rest->ns : quota->parents[i - 1];

        reads[i + 1].kind = STORE_USAGE;
        reads[i + 1].ns = ngx_mesh_storage_rest_key(job->pool, "s/", ns,
                                                    none);

        if (reads[i + 1].ns.len == 0) {
            goto failed;
        }
    }

    return ngx_mesh_storage_rest_read(rest, job,
                                      ngx_mesh_storage_quota_read_done);

failed:

    ngx_mesh_store_job_destroy(&rest->mcf->store, job);

    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}


/* The accounts above that the caller may look into, the nearest first. */

static void
ngx_mesh_storage_quota_parents(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_quota_t *quota)
{
    bytes_t  ns;

    quota->parent_count = 0;

    for (ns = ngx_mesh_storage_quota_above(rest->ns);
         ns.len != 0
         && quota->parent_count < NGX_MESH_STORAGE_QUOTA_PARENTS;
         ns = ngx_mesh_storage_quota_above(ns))
    {
        if (ngx_mesh_storage_quota_may(rest, "/storage/read", ns)
            == UCAN_OK)
        {
            quota->parents[quota->parent_count++] = ns;
        }
    }
}


static ngx_int_t
ngx_mesh_storage_quota_read_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    size_t                     i;
    json_write_t               j;
    bytes_writer_t             w;
    ngx_mesh_storage_quota_t  *quota;

    quota = rest->data;

    if (job->rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    if (ngx_mesh_storage_rest_writer(rest, &w, NGX_MESH_STORAGE_QUOTA_ANSWER)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&j, &w);
    json_write_object(&j);

    ngx_mesh_storage_quota_write_account(rest, &j, rest->ns,
                                         &job->rows[1].usage);

    json_write_member_bool(&j, "requireCondition",
                           job->rows[0].rc == STORE_OK);
    json_write_key(&j, "parents");
    json_write_array(&j);

    for (i = 0; i < quota->parent_count; i++) {
        json_write_object(&j);
        ngx_mesh_storage_quota_write_account(rest, &j, quota->parents[i],
                                             &job->rows[i + 2].usage);
        json_write_object_end(&j);
    }

    json_write_array_end(&j);
    json_write_object_end(&j);

    return ngx_mesh_storage_rest_reply(rest, NGX_HTTP_OK, &w);
}


static void
ngx_mesh_storage_quota_write_account(ngx_mesh_storage_rest_t *rest,
    json_write_t *j, bytes_t ns, const store_usage_t *usage)
{
    store_limits_t  limits;

    limits = usage->limits;

    /* as the store does it: see store.h, "limits" of a request */

    if (limits.items == 0 && limits.bytes == 0
        && ngx_mesh_storage_quota_above(ns).len == 0)
    {
        limits = rest->lcf->quota;
    }

    json_write_member(j, "namespace", ns);
    ngx_mesh_storage_quota_write_pair(j, "items", usage->items,
                                      limits.items);
    ngx_mesh_storage_quota_write_pair(j, "bytes", usage->bytes,
                                      limits.bytes);
}


static void
ngx_mesh_storage_quota_write_pair(json_write_t *j, const char *name,
    uint64_t used, uint64_t limit)
{
    json_write_key(j, name);
    json_write_object(j);
    json_write_member_integer(j, "used", (int64_t) used);
    json_write_key(j, "limit");

    if (limit == 0) {
        json_write_null(j);

    } else {
        json_write_integer(j, (int64_t) limit);
    }

    json_write_object_end(j);
}


/* PUT {items, bytes, requireCondition} */

static ngx_int_t
ngx_mesh_storage_quota_body(ngx_mesh_storage_rest_t *rest)
{
    bytes_t                    ns;
    const char                *fault;
    ucan_verdict_t             verdict;
    ngx_mesh_storage_quota_t  *quota;

    quota = rest->data;
    fault = ngx_mesh_storage_quota_parse(quota, &rest->object);

    if (fault == NULL && rest->condition != STORE_ANY) {
        fault = "limits have no ETag: send no condition";
    }

    if (fault) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                                             fault);
    }

    ns = quota->limited ? ngx_mesh_storage_quota_above(rest->ns) : rest->ns;
    verdict = ngx_mesh_storage_quota_may(rest, "/storage/admin", ns);

    if (verdict == UCAN_OK && quota->settled && quota->limited) {
        verdict = ngx_mesh_storage_quota_may(rest, "/storage/admin",
                                             rest->ns);
    }

    if (verdict != UCAN_OK) {
        return ngx_mesh_reply_verdict(rest->r, verdict,
                                      bytes_of("/storage/admin"));
    }

    return ngx_mesh_storage_quota_write(rest, quota);
}


/* NULL, or why it is refused. */

static const char *
ngx_mesh_storage_quota_parse(ngx_mesh_storage_quota_t *quota,
    const json_scan_t *object)
{
    ngx_int_t    items, bytes;
    json_scan_t  value;

    items = ngx_mesh_storage_quota_parse_limit(object, "items",
                                               &quota->limits.items);
    bytes = ngx_mesh_storage_quota_parse_limit(object, "bytes",
                                               &quota->limits.bytes);

    if (items == NGX_ERROR || bytes == NGX_ERROR) {
        return "members \"items\" and \"bytes\" must be integers from 1 on, "
               "or null: no limit of its own";
    }

    if (items != bytes) {
        return "\"items\" and \"bytes\" are set together";
    }

    quota->limited = (items == NGX_OK);

    if (json_scan_find(object, "requireCondition", &value) == 0) {

        if (value.type != JSON_SCAN_BOOL) {
            return "member \"requireCondition\" must be true or false";
        }

        quota->settled = 1;
        quota->require = (value.truth != 0);
    }

    if (!quota->limited && !quota->settled) {
        return "nothing is to be set: send \"items\" and \"bytes\", or "
               "\"requireCondition\"";
    }

    return NULL;
}


/* NGX_OK, NGX_DECLINED: absent, NGX_ERROR. */

static ngx_int_t
ngx_mesh_storage_quota_parse_limit(const json_scan_t *object,
    const char *name, uint64_t *limit)
{
    int64_t      n;
    json_scan_t  value;

    *limit = 0;

    if (json_scan_find(object, name, &value) != 0) {
        return NGX_DECLINED;
    }

    if (value.type == JSON_SCAN_NULL) {
        return NGX_OK;
    }

    if (json_scan_integer(&value, &n) != 0 || n < 1) {
        return NGX_ERROR;
    }

    *limit = (uint64_t) n;

    return NGX_OK;
}


/* Of another namespace than that of the request; empty: of all there are. */

static ucan_verdict_t
ngx_mesh_storage_quota_may(ngx_mesh_storage_rest_t *rest,
    const char *command, bytes_t ns)
{
    bytes_t         own;
    ucan_verdict_t  verdict;

    own = rest->ns;
    rest->ns = ns;

    verdict = ngx_mesh_storage_rest_may(rest, command, "",
                                        bytes_make(NULL, 0));
    rest->ns = own;

    return verdict;
}


static ngx_int_t
ngx_mesh_storage_quota_write(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_quota_t *quota)
{
    bytes_t                derived, none = bytes_make(NULL, 0);
    store_op_t            *op;
    ngx_mesh_store_job_t  *job;

    job = ngx_mesh_store_job_create(1024, rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    op = ngx_mesh_store_job_ops(job, quota->limited + quota->settled);
    derived = ngx_mesh_storage_rest_key(job->pool, "x/", rest->ns, none);

    if (op == NULL || derived.len == 0) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (quota->limited) {
        op->kind = STORE_LIMITS;
        op->ns = ngx_mesh_storage_rest_key(job->pool, "s/", rest->ns, none);
        op->limits = quota->limits;

        if (op->ns.len == 0) {
            ngx_mesh_store_job_destroy(&rest->mcf->store, job);
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        op++;
    }

    if (quota->settled) {
        op->kind = quota->require ? STORE_PUT : STORE_DELETE;
        op->ns = derived;
        op->key = bytes_of(NGX_MESH_STORAGE_REST_SETTINGS);
        op->value = quota->require ? bytes_of("{\"requireCondition\":true}")
                                   : none;
    }

    return ngx_mesh_storage_rest_write(rest, job,
                                       ngx_mesh_storage_quota_write_done);
}


static ngx_int_t
ngx_mesh_storage_quota_write_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_mesh_storage_quota_t  *quota;

    quota = rest->data;

    if (job->write.rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    ngx_log_error(NGX_LOG_NOTICE, rest->r->connection->log, 0,
                  "storage: quota of \"%*s\" changed%s by \"%V\"",
                  rest->ns.len, rest->ns.data,
                  quota->limited ? "" : " (conditions only)",
                  &rest->principal->did);

    return ngx_mesh_storage_quota_read(rest);
}


ngx_int_t
ngx_mesh_storage_quota_require(ngx_pool_t *pool, bytes_t ns,
    store_op_t *op)
{
    op->kind = STORE_CHECK;
    op->condition = STORE_IF_ABSENT;
    op->ns = ngx_mesh_storage_rest_key(pool, "x/", ns, bytes_make(NULL, 0));
    op->key = bytes_of(NGX_MESH_STORAGE_REST_SETTINGS);

    return op->ns.len ? NGX_OK : NGX_ERROR;
}


ngx_uint_t
ngx_mesh_storage_quota_required(const store_request_t *write)
{
    const store_op_t  *op;

    if (write->rc != STORE_CONDITION || write->ops == NULL) {
        return 0;
    }

    op = &write->ops[write->failed];

    return op->kind == STORE_CHECK
           && bytes_start_with(op->ns, bytes_of("x/"))
           && bytes_equal_text(op->key, NGX_MESH_STORAGE_REST_SETTINGS);
}


/* The account above, or an empty view. */

static bytes_t
ngx_mesh_storage_quota_above(bytes_t ns)
{
    while (ns.len != 0 && ns.data[--ns.len] != '.') { /* void */ }

    return ns;
}
