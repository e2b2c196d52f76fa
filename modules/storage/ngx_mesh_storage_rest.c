/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * REST: what every request of "mesh_storage_api on" goes through before and
 * after the concern of its resource: who asks, path, conditions, body, jobs,
 * refusals, lists.
 *
 * Runs on the event loop of one worker.  A request that waits for a job is
 * held by ngx_mesh_job_attach(); one that went away is only borrowed by its
 * job, which then finds data NULL and frees itself.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_caller.h"
#include "ngx_mesh_storage_condition.h"
#include "ngx_mesh_storage_path.h"
#include "timestamp.h"
#include "utf8.h"


#define NGX_MESH_STORAGE_REST_POOL  1024    /* bytes of a job, beside texts */


typedef struct {
    bytes_t                   name;
    ngx_uint_t                ns;          /* a namespace follows */
    ngx_mesh_storage_step_pt  handler;
} ngx_mesh_storage_rest_row_t;


static ngx_int_t ngx_mesh_storage_rest_open(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_rest_route(ngx_mesh_storage_rest_t *rest,
    bytes_t path);
static ngx_int_t ngx_mesh_storage_rest_me(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_rest_set_ns(ngx_mesh_storage_rest_t *rest,
    bytes_t ns);
static void ngx_mesh_storage_rest_body_handler(ngx_http_request_t *r,
    bytes_t body);
static ngx_int_t ngx_mesh_storage_rest_body_json(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_rest_submit(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job, ngx_mesh_storage_done_pt done,
    ngx_int_t (*submit)(ngx_mesh_store_job_t *job));
static void ngx_mesh_storage_rest_job_done(ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_rest_bad(ngx_mesh_storage_rest_t *rest,
    const char *name, const char *what);


/* One line for each resource whose handler is there. */
static const ngx_mesh_storage_rest_row_t  ngx_mesh_storage_rest_rows[] = {
    { bytes_literal(""), 0, ngx_mesh_storage_info },
    { bytes_literal("health"), 0, ngx_mesh_storage_info_health },
    { bytes_literal("kv"), 1, ngx_mesh_storage_kv },
    { bytes_literal("docs"), 1, ngx_mesh_storage_docs },
    { bytes_literal("blobs"), 1, ngx_mesh_storage_blobs },
    { bytes_literal("uploads"), 1, ngx_mesh_storage_uploads },
    { bytes_literal("changes"), 1, ngx_mesh_storage_changes },
    { bytes_literal("search"), 1, ngx_mesh_storage_search },
    { bytes_literal("batch"), 1, ngx_mesh_storage_batch },
    { bytes_literal("quota"), 1, ngx_mesh_storage_quota },
    { bytes_literal("usage"), 0, ngx_mesh_storage_usage },
    { bytes_literal("admin"), 1, ngx_mesh_storage_admin },
    { { NULL, 0 }, 0, NULL }
};


ngx_int_t
ngx_mesh_storage_rest_handler(ngx_http_request_t *r)
{
    problem_t                 problem;
    ngx_mesh_storage_rest_t  *rest;

    rest = ngx_pcalloc(r->pool, sizeof(ngx_mesh_storage_rest_t));

    if (rest == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rest->r = r;
    rest->mcf = ngx_http_get_module_main_conf(r,
                                              ngx_http_mesh_storage_module);
    rest->lcf = ngx_http_get_module_loc_conf(r, ngx_http_mesh_storage_module);

    ngx_http_set_ctx(r, rest, ngx_http_mesh_storage_module);

    /* conditions are ours: nginx's filter would compare them once more, with
       the ETag of the answer */

    r->disable_not_modified = 1;

    if (r->method != NGX_HTTP_GET && r->method != NGX_HTTP_HEAD
        && ngx_mesh_origin_check(r, &rest->lcf->origin, &problem) != NGX_OK)
    {
        return ngx_mesh_reply_problem(r, problem, NULL);
    }

    if (rest->mcf->principal == NULL || rest->mcf->callers == NULL) {
        return ngx_mesh_reply_problem(r, PROBLEM_STORE_DOWN, NULL);
    }

    rest->principal = rest->mcf->principal->get(r);

    if (rest->principal == NULL) {
        return ngx_mesh_reply_problem(r, PROBLEM_UNAUTHENTICATED,
                                      "this needs a bearer token");
    }

    return ngx_mesh_storage_rest_open(rest);
}


static ngx_int_t
ngx_mesh_storage_rest_open(ngx_mesh_storage_rest_t *rest)
{
    bytes_t      path;
    const char  *fault;

    fault = ngx_mesh_storage_path_parse(rest->r, &path);

    if (fault == NULL && rest->r->method != NGX_HTTP_GET
        && rest->r->method != NGX_HTTP_HEAD)
    {
        fault = ngx_mesh_storage_condition_parse(rest);
    }

    if (fault) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                                             fault);
    }

    return ngx_mesh_storage_rest_route(rest, path);
}


static ngx_int_t
ngx_mesh_storage_rest_route(ngx_mesh_storage_rest_t *rest, bytes_t path)
{
    bytes_t                             ns;
    const ngx_mesh_storage_rest_row_t  *row;

    rest->resource = ngx_mesh_storage_path_take(&path);

    for (row = ngx_mesh_storage_rest_rows; row->handler; row++) {

        if (!bytes_equal(row->name, rest->resource)) {
            continue;
        }

        if (!row->ns) {
            rest->path = path;
            return row->handler(rest);
        }

        ns = ngx_mesh_storage_path_take(&path);
        rest->path = path;

        return ngx_mesh_storage_rest_namespace(rest, ns, row->handler);
    }

    return ngx_mesh_storage_rest_problem(rest, PROBLEM_NOT_FOUND, NULL);
}


ngx_int_t
ngx_mesh_storage_rest_namespace(ngx_mesh_storage_rest_t *rest, bytes_t text,
    ngx_mesh_storage_step_pt step)
{
    if (bytes_equal_text(text, "me")) {
        rest->step = step;
        return ngx_mesh_storage_caller_find(rest, ngx_mesh_storage_rest_me);
    }

    if (!ngx_mesh_storage_path_ns_valid(text)) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                   "a namespace is \"me\" or at most 180 letters, digits, "
                   "\"_\" and \"-\", in names joined by single dots");
    }

    if (ngx_mesh_storage_rest_set_ns(rest, text) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return step(rest);
}


static ngx_int_t
ngx_mesh_storage_rest_me(ngx_mesh_storage_rest_t *rest)
{
    if (rest->caller.len == 0) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_NOT_FOUND,
                   "\"me\" is the namespace of a participant, and this DID is "
                   "not registered here");
    }

    if (ngx_mesh_storage_rest_set_ns(rest, rest->caller) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return rest->step(rest);
}


static ngx_int_t
ngx_mesh_storage_rest_set_ns(ngx_mesh_storage_rest_t *rest, bytes_t ns)
{
    rest->store_ns = ngx_mesh_storage_rest_key(rest->r->pool, "s/", ns,
                                               bytes_make(NULL, 0));

    if (rest->store_ns.len == 0) {
        return NGX_ERROR;
    }

    rest->ns = bytes_make(rest->store_ns.data + 2, ns.len);

    return NGX_OK;
}


ngx_int_t
ngx_mesh_storage_rest_method(ngx_mesh_storage_rest_t *rest,
    const char *allow)
{
    u_char     *p;
    ngx_str_t   value;

    value.len = ngx_strlen(allow) + sizeof(", OPTIONS") - 1;
    p = ngx_pnalloc(rest->r->pool, value.len);

    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    value.data = p;
    p = ngx_cpymem(p, allow, value.len - (sizeof(", OPTIONS") - 1));
    ngx_memcpy(p, ", OPTIONS", sizeof(", OPTIONS") - 1);

    if (ngx_mesh_reply_header(rest->r, "Allow", &value) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rest->r->method == NGX_HTTP_OPTIONS) {
        return ngx_mesh_reply_empty(rest->r, NGX_HTTP_NO_CONTENT);
    }

    return ngx_mesh_storage_rest_problem(rest, PROBLEM_METHOD_NOT_ALLOWED,
                                         "see Allow for what this path "
                                         "takes");
}


/* The body. */

ngx_int_t
ngx_mesh_storage_rest_body(ngx_mesh_storage_rest_t *rest, size_t max,
    const char *json, ngx_mesh_storage_step_pt step)
{
    int64_t              number;
    problem_facts_t      facts;
    problem_member_t     limit;
    ngx_http_request_t  *r;

    r = rest->r;
    rest->json = json;
    rest->step = step;

    if (r->headers_in.content_length_n > (off_t) max) {

        /* the rest of the body is unread: the connection lingers, and a
           client that waits for "100 Continue" must not be told to go on */

        r->expect_tested = 1;
        r->keepalive = 0;

        number = (int64_t) max;

        ngx_memzero(&facts, sizeof(problem_facts_t));
        ngx_memzero(&limit, sizeof(problem_member_t));

        limit.name = "limit";
        limit.number = number;
        facts.members = &limit;
        facts.member_count = 1;

        return ngx_mesh_reply_problem_facts(r, PROBLEM_TOO_LARGE, &facts);
    }

    return ngx_mesh_body_read(r, max, ngx_mesh_storage_rest_body_handler);
}


static void
ngx_mesh_storage_rest_body_handler(ngx_http_request_t *r, bytes_t body)
{
    ngx_int_t                 rc;
    ngx_mesh_storage_rest_t  *rest;

    rest = ngx_http_get_module_ctx(r, ngx_http_mesh_storage_module);
    rest->body = body;

    if (rest->json) {
        rc = ngx_mesh_storage_rest_body_json(rest);

        if (rc != NGX_OK) {
            ngx_http_finalize_request(r, rc);
            return;
        }

        if (ngx_mesh_body_object(r, body, &rest->object) != NGX_OK) {
            return;
        }
    }

    rc = rest->step(rest);

    if (rc != NGX_DONE) {
        ngx_http_finalize_request(r, rc);
    }
}


/* NGX_OK, or the 415: the media type must be the one that was asked for, or
   JSON of any kind when that is plain JSON. */
static ngx_int_t
ngx_mesh_storage_rest_body_json(ngx_mesh_storage_rest_t *rest)
{
    size_t            len;
    ngx_table_elt_t  *type;

    type = rest->r->headers_in.content_type;

    if (ngx_strcmp(rest->json, "application/json") == 0) {
        return NGX_OK;
    }

    if (type) {
        len = ngx_strlen(rest->json);

        if (type->value.len >= len
            && ngx_strncasecmp(type->value.data, (u_char *) rest->json, len)
               == 0
            && (type->value.len == len || type->value.data[len] == ';'
                || type->value.data[len] == ' '))
        {
            return NGX_OK;
        }
    }

    return ngx_mesh_storage_rest_problem(rest, PROBLEM_UNSUPPORTED_MEDIA,
                                         rest->json);
}


/* Capabilities. */

ucan_verdict_t
ngx_mesh_storage_rest_may(ngx_mesh_storage_rest_t *rest, const char *command,
    const char *kind, bytes_t key)
{
    ucan_request_t  request;

    request.command = bytes_of(command);
    request.arg_count = 0;

    if (rest->ns.len != 0) {
        request.args[request.arg_count].name = bytes_of("ns");
        request.args[request.arg_count++].value = rest->ns;
    }

    if (*kind) {
        request.args[request.arg_count].name = bytes_of("kind");
        request.args[request.arg_count++].value = bytes_of(kind);
    }

    if (key.len != 0) {
        request.args[request.arg_count].name = bytes_of("key");
        request.args[request.arg_count++].value = key;
    }

    return rest->mcf->principal->allow(rest->principal, &request);
}


ngx_int_t
ngx_mesh_storage_rest_allow(ngx_mesh_storage_rest_t *rest,
    const char *command, const char *kind, bytes_t key, ngx_int_t *rc)
{
    ucan_verdict_t  verdict;

    verdict = ngx_mesh_storage_rest_may(rest, command, kind, key);

    if (verdict == UCAN_OK) {
        return NGX_OK;
    }

    if (ngx_strcmp(command, "/storage/read") == 0
        && ngx_mesh_reply_verdict_problem(verdict, 1) == PROBLEM_FORBIDDEN)
    {
        rest->mcf->principal->refuse(rest->principal,
                                     rest->r->connection->log, verdict,
                                     bytes_of(command));

        *rc = ngx_mesh_storage_rest_problem(rest, PROBLEM_NOT_FOUND, NULL);

    } else {
        *rc = ngx_mesh_reply_verdict(rest->r, verdict, bytes_of(command));
    }

    return NGX_DECLINED;
}


/* Jobs. */

ngx_int_t
ngx_mesh_storage_rest_read(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job, ngx_mesh_storage_done_pt done)
{
    return ngx_mesh_storage_rest_submit(rest, job, done,
                                        rest->mcf->store.read);
}


ngx_int_t
ngx_mesh_storage_rest_write(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job, ngx_mesh_storage_done_pt done)
{
    /* what is derived, kept aside or counted elsewhere is not charged */

    job->write.limits = rest->lcf->quota;
    job->write.limited = bytes_of("s/");

    return ngx_mesh_storage_rest_submit(rest, job, done,
                                        rest->mcf->store.write);
}


static ngx_int_t
ngx_mesh_storage_rest_submit(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job, ngx_mesh_storage_done_pt done,
    ngx_int_t (*submit)(ngx_mesh_store_job_t *job))
{
    ngx_int_t  rc;

    job->data = rest;
    job->done = ngx_mesh_storage_rest_job_done;
    rest->done = done;

    rc = submit(job);

    if (rc != NGX_OK) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);

        return ngx_mesh_storage_rest_store_rc(rest, rc == NGX_BUSY
                                                      ? STORE_BUSY
                                                      : STORE_FAILED);
    }

    return ngx_mesh_storage_rest_park(rest, &job->data);
}


static void
ngx_mesh_storage_rest_job_done(ngx_mesh_store_job_t *job)
{
    ngx_int_t                 rc;
    ngx_mesh_store_t         *store;
    ngx_mesh_storage_rest_t  *rest;

    rest = job->data;

    if (rest == NULL) {
        store = ngx_mesh_store((ngx_cycle_t *) ngx_cycle);
        ngx_mesh_store_job_destroy(store, job);
        return;
    }

    store = &rest->mcf->store;
    rc = rest->done(rest, job);

    ngx_mesh_store_job_destroy(store, job);
    ngx_mesh_storage_rest_resume(rest, rc);
}


ngx_int_t
ngx_mesh_storage_rest_park(ngx_mesh_storage_rest_t *rest, void **data)
{
    if (ngx_mesh_job_attach(rest->r, data) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DONE;
}


void
ngx_mesh_storage_rest_resume(ngx_mesh_storage_rest_t *rest, ngx_int_t rc)
{
    if (rc == NGX_DONE) {
        return;
    }

    ngx_mesh_job_resume(rest->r, rc);
}


ngx_mesh_store_job_t *
ngx_mesh_storage_rest_get(ngx_mesh_storage_rest_t *rest, const char *prefix,
    bytes_t key)
{
    bytes_t                none = bytes_make(NULL, 0);
    store_read_t          *read;
    ngx_mesh_store_job_t  *job;

    job = ngx_mesh_store_job_create(NGX_MESH_STORAGE_REST_POOL,
                                    rest->r->connection->log);

    if (job == NULL) {
        return NULL;
    }

    read = ngx_mesh_store_job_reads(job, 1);

    if (read) {
        read->kind = STORE_GET;
        read->ns = ngx_mesh_storage_rest_key(job->pool, "", rest->store_ns,
                                             none);
        read->key = ngx_mesh_storage_rest_key(job->pool, prefix, key, none);
    }

    if (read == NULL || read->ns.len == 0 || read->key.len == 0) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NULL;
    }

    return job;
}


ngx_mesh_store_job_t *
ngx_mesh_storage_rest_put(ngx_mesh_storage_rest_t *rest,
    store_op_kind_t kind, const char *prefix, bytes_t key, size_t ops)
{
    bytes_t                none = bytes_make(NULL, 0);
    store_op_t            *op;
    ngx_mesh_store_job_t  *job;

    job = ngx_mesh_store_job_create(NGX_MESH_STORAGE_REST_POOL,
                                    rest->r->connection->log);

    if (job == NULL) {
        return NULL;
    }

    op = ngx_mesh_store_job_ops(job, ops + 2);

    if (op) {
        job->write.count = ops;

        op->kind = kind;
        op->condition = rest->condition;
        op->if_seq = rest->if_seq;
        op->expires_ms = rest->expires_ms;
        op->log = 1;
        op->ns = ngx_mesh_storage_rest_key(job->pool, "", rest->store_ns,
                                           none);
        op->key = ngx_mesh_storage_rest_key(job->pool, prefix, key, none);
        op->note = ngx_mesh_storage_rest_key(job->pool, "",
                                      bytes_make(rest->principal->did.data,
                                                 rest->principal->did.len),
                                      none);

        /* the DID of a long RSA key is said by its beginning */

        op->note.len = ngx_min(op->note.len, STORE_META_MAX);
    }

    if (op == NULL || op->ns.len == 0 || op->key.len == 0
        || op->note.len == 0)
    {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NULL;
    }

    return job;
}


bytes_t
ngx_mesh_storage_rest_key(ngx_pool_t *pool, const char *prefix, bytes_t a,
    bytes_t b)
{
    size_t          len;
    u_char         *p;
    bytes_writer_t  w;

    len = ngx_strlen(prefix);
    p = ngx_pnalloc(pool, len + a.len + b.len + 1);

    if (p == NULL) {
        return bytes_make(NULL, 0);
    }

    bytes_writer_open(&w, p, len + a.len + b.len);
    bytes_writer_put(&w, prefix, len);
    bytes_writer_bytes(&w, a);
    bytes_writer_bytes(&w, b);

    return bytes_writer_view(&w);
}


ngx_int_t
ngx_mesh_storage_rest_problem(ngx_mesh_storage_rest_t *rest,
    problem_t problem, const char *detail)
{
    return ngx_mesh_reply_problem(rest->r, problem, detail);
}


/* Answers. */

ngx_uint_t
ngx_mesh_storage_rest_not_modified(ngx_mesh_storage_rest_t *rest,
    uint64_t seq)
{
    ngx_table_elt_t  *h;

    h = rest->r->headers_in.if_none_match;

    return h && ngx_mesh_storage_condition_has(&h->value, seq);
}


ngx_int_t
ngx_mesh_storage_rest_etag(ngx_mesh_storage_rest_t *rest, uint64_t seq)
{
    ngx_str_t         value;
    static ngx_str_t  minimal = ngx_string("return=minimal");
    static ngx_str_t  representation = ngx_string("return=representation");

    value.data = ngx_pnalloc(rest->r->pool, NGX_INT64_LEN + 2);

    if (value.data == NULL) {
        return NGX_ERROR;
    }

    value.len = ngx_sprintf(value.data, "\"%uL\"", seq) - value.data;

    if (ngx_mesh_reply_header(rest->r, "ETag", &value) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!rest->minimal && !rest->representation) {
        return NGX_OK;
    }

    return ngx_mesh_reply_header(rest->r, "Preference-Applied",
                                 rest->minimal ? &minimal : &representation);
}


ngx_int_t
ngx_mesh_storage_rest_expires(ngx_mesh_storage_rest_t *rest,
    int64_t expires_ms)
{
    ngx_str_t       value;
    bytes_writer_t  w;

    if (expires_ms == 0) {
        return NGX_OK;
    }

    if (ngx_mesh_storage_rest_writer(rest, &w, TIMESTAMP_LEN) != NGX_OK) {
        return NGX_ERROR;
    }

    timestamp_write(&w, expires_ms);

    value.data = w.start;
    value.len = w.pos - w.start;

    return w.failed ? NGX_ERROR
                    : ngx_mesh_reply_header(rest->r, "Expires-At", &value);
}


ngx_int_t
ngx_mesh_storage_rest_location(ngx_mesh_storage_rest_t *rest)
{
    u_char     *p;
    ngx_str_t   value;

    value = rest->r->unparsed_uri;
    p = ngx_strlchr(value.data, value.data + value.len, '?');

    if (p) {
        value.len = p - value.data;
    }

    return ngx_mesh_reply_header(rest->r, "Location", &value);
}


ngx_int_t
ngx_mesh_storage_rest_writer(ngx_mesh_storage_rest_t *rest,
    bytes_writer_t *w, size_t size)
{
    u_char  *p;

    p = ngx_pnalloc(rest->r->pool, ngx_max(size, 1));

    if (p == NULL) {
        return NGX_ERROR;
    }

    bytes_writer_open(w, p, size);

    return NGX_OK;
}


ngx_int_t
ngx_mesh_storage_rest_reply(ngx_mesh_storage_rest_t *rest, ngx_uint_t status,
    bytes_writer_t *w)
{
    if (w->failed) {
        ngx_log_error(NGX_LOG_ERR, rest->r->connection->log, 0,
                      "storage: an answer was larger than its buffer");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_reply_json(rest->r, status, bytes_writer_view(w));
}


/* Arguments of the query. */

ngx_int_t
ngx_mesh_storage_rest_query(ngx_mesh_storage_rest_t *rest, const char *name,
    size_t max, bytes_t *text, ngx_int_t *rc)
{
    ngx_int_t  found;
    ngx_str_t  value;

    *text = bytes_make(NULL, 0);

    if (rest->r->args.len == 0) {
        return NGX_DECLINED;
    }

    found = ngx_mesh_route_query(rest->r, name, &value);

    if (found == NGX_DECLINED) {
        return NGX_DECLINED;
    }

    if (found == NGX_OK && value.len <= max
        && utf8_valid(bytes_make(value.data, value.len)))
    {
        *text = bytes_make(value.data, value.len);
        return NGX_OK;
    }

    *rc = ngx_mesh_storage_rest_bad(rest, name,
                                    "is not UTF-8, or too long");
    return NGX_ERROR;
}


ngx_int_t
ngx_mesh_storage_rest_number(ngx_mesh_storage_rest_t *rest,
    const ngx_mesh_storage_rest_number_t *number, uint64_t *n, ngx_int_t *rc)
{
    off_t      value;
    u_char    *what;
    bytes_t    text;
    ngx_int_t  found;

    found = ngx_mesh_storage_rest_query(rest, number->name, NGX_INT64_LEN,
                                        &text, rc);
    if (found != NGX_OK) {
        return found;
    }

    value = ngx_atoof((u_char *) text.data, text.len);

    if (value != NGX_ERROR && (uint64_t) value >= number->low
        && (uint64_t) value <= number->high)
    {
        *n = (uint64_t) value;
        return NGX_OK;
    }

    what = ngx_pnalloc(rest->r->pool, 96);

    if (what == NULL) {
        *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return NGX_ERROR;
    }

    (void) ngx_snprintf(what, 96, "must be a number from %uL to %uL%Z",
                        number->low, number->high);

    *rc = ngx_mesh_storage_rest_bad(rest, number->name, (char *) what);

    return NGX_ERROR;
}


/* 400: "<name>" <what> */
static ngx_int_t
ngx_mesh_storage_rest_bad(ngx_mesh_storage_rest_t *rest, const char *name,
    const char *what)
{
    u_char  *detail;
    size_t   size;

    size = ngx_strlen(name) + ngx_strlen(what) + sizeof("\"\" ");
    detail = ngx_pnalloc(rest->r->pool, size);

    if (detail == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    (void) ngx_snprintf(detail, size, "\"%s\" %s%Z", name, what);

    return ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                                         (char *) detail);
}


/* Lists. */

ngx_int_t
ngx_mesh_storage_rest_next(ngx_mesh_storage_rest_t *rest, bytes_t scope,
    bytes_t place, json_write_t *j)
{
    bytes_t  cursor;

    if (ngx_mesh_storage_rest_cursor_next(rest, scope, place, &cursor)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    json_write_member(j, "next", cursor);

    return NGX_OK;
}
