/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * REST: the routes of "mesh_room on", and what every one of them does before
 * and after its own concern: who asks, the body, the room, refusals, lists.
 *
 * Runs on the event loop of one worker.  A request that waits for a job is
 * held by ngx_mesh_job_attach(); one that went away is only borrowed by its
 * job, which then finds data NULL and frees itself.
 */


#include "ngx_mesh_origin.h"
#include "ngx_mesh_room_digest.h"
#include "ngx_mesh_room_poll.h"


static void ngx_mesh_room_rest_body_handler(ngx_http_request_t *r,
    bytes_t body);
static ngx_int_t ngx_mesh_room_rest_begin(ngx_mesh_room_rest_t *rest);
static void ngx_mesh_room_rest_participant_done(void *data,
    const ngx_mesh_room_participant_t *participant, problem_t problem);
static ngx_int_t ngx_mesh_room_rest_submit(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job, ngx_mesh_room_rest_done_pt done,
    ngx_int_t (*submit)(ngx_mesh_store_job_t *job));
static void ngx_mesh_room_rest_job_done(ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_room_rest_room_done(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_room_rest_room_take(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_room_rest_member_take(ngx_mesh_room_rest_t *rest,
    bytes_t json, ngx_mesh_room_member_t *member);
static ngx_int_t ngx_mesh_room_rest_scope(ngx_mesh_room_rest_t *rest,
    const char *list, bytes_writer_t *w);
static ngx_int_t ngx_mesh_room_rest_link(ngx_mesh_room_rest_t *rest,
    bytes_t cursor, ngx_str_t *link);


static const ngx_mesh_route_t  ngx_mesh_room_rest_routes[] = {

    { NGX_HTTP_GET, "/api/rooms", ngx_mesh_room_rest_room_list },
    { NGX_HTTP_POST, "/api/rooms", ngx_mesh_room_rest_room_create },
    { NGX_HTTP_GET, "/api/rooms/:", ngx_mesh_room_rest_room_get },
    { NGX_HTTP_DELETE, "/api/rooms/:", ngx_mesh_room_rest_room_remove },
    { NGX_HTTP_POST, "/api/rooms/:/join", ngx_mesh_room_rest_member_join },
    { NGX_HTTP_POST, "/api/rooms/:/leave", ngx_mesh_room_rest_member_leave },
    { NGX_HTTP_GET, "/api/rooms/:/members", ngx_mesh_room_rest_member_list },
    { NGX_HTTP_POST, "/api/rooms/:/members", ngx_mesh_room_rest_member_add },
    { NGX_HTTP_DELETE, "/api/rooms/:/members/:",
      ngx_mesh_room_rest_member_remove },
    { NGX_HTTP_GET, "/api/rooms/:/messages",
      ngx_mesh_room_rest_message_list },
    { NGX_HTTP_POST, "/api/rooms/:/messages",
      ngx_mesh_room_rest_message_send },
    { NGX_HTTP_GET, "/api/rooms/:/search", ngx_mesh_room_rest_search_list },
    { NGX_HTTP_GET, "/api/dms", ngx_mesh_room_rest_direct_list },
    { NGX_HTTP_POST, "/api/dms", ngx_mesh_room_rest_direct_send },
    { NGX_HTTP_POST, "/api/poll", ngx_mesh_room_poll_open },
    { NGX_HTTP_GET, "/api/status", ngx_mesh_room_digest_status },
    { NGX_HTTP_GET, "/api/state", ngx_mesh_room_digest_state },

    { 0, NULL, NULL }
};


ngx_int_t
ngx_mesh_room_rest_handler(ngx_http_request_t *r)
{
    return ngx_mesh_route(r, ngx_mesh_room_rest_routes);
}


ngx_int_t
ngx_mesh_room_rest_open(ngx_http_request_t *r, ngx_mesh_route_args_t *args,
    ngx_mesh_room_rest_body_t body, ngx_mesh_room_rest_step_pt step)
{
    problem_t              problem;
    ngx_mesh_room_rest_t  *rest;

    rest = ngx_pcalloc(r->pool, sizeof(ngx_mesh_room_rest_t));

    if (rest == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rest->r = r;
    rest->step = step;
    rest->has_body = (body == NGX_MESH_ROOM_REST_BODY);
    rest->mcf = ngx_http_get_module_main_conf(r, ngx_http_mesh_room_module);
    rest->lcf = ngx_http_get_module_loc_conf(r, ngx_http_mesh_room_module);

    if (r->method != NGX_HTTP_GET && r->method != NGX_HTTP_HEAD
        && ngx_mesh_origin_check(r, &rest->lcf->origin, &problem) != NGX_OK)
    {
        return ngx_mesh_reply_problem(r, problem, NULL);
    }

    if (rest->mcf->store == NULL || rest->mcf->principal == NULL) {
        return ngx_mesh_reply_problem(r, PROBLEM_STORE_DOWN, NULL);
    }

    rest->principal = rest->mcf->principal->get(r);

    if (rest->principal == NULL) {
        return ngx_mesh_reply_problem(r, PROBLEM_UNAUTHENTICATED,
                                      "this needs a bearer token");
    }

    if (args->count > 0) {
        rest->room_id = ngx_mesh_room_rest_bytes(&args->value[0]);
    }

    if (args->count > 1) {
        rest->member_id = ngx_mesh_room_rest_bytes(&args->value[1]);
    }

    ngx_http_set_ctx(r, rest, ngx_http_mesh_room_module);

    if (body == NGX_MESH_ROOM_REST_NO_BODY) {
        return ngx_mesh_room_rest_begin(rest);
    }

    return ngx_mesh_body_read(r, rest->lcf->message_size * 6
                                 + NGX_MESH_ROOM_REST_BODY_MAX,
                              ngx_mesh_room_rest_body_handler);
}


static void
ngx_mesh_room_rest_body_handler(ngx_http_request_t *r, bytes_t body)
{
    ngx_int_t              rc;
    ngx_mesh_room_rest_t  *rest;

    rest = ngx_http_get_module_ctx(r, ngx_http_mesh_room_module);

    if (rest->has_body || body.len != 0) {

        if (ngx_mesh_body_object(r, body, &rest->body) != NGX_OK) {
            return;
        }

        rest->has_body = 1;
    }

    rc = ngx_mesh_room_rest_begin(rest);

    if (rc != NGX_DONE) {
        ngx_http_finalize_request(r, rc);
    }
}


static ngx_int_t
ngx_mesh_room_rest_begin(ngx_mesh_room_rest_t *rest)
{
    ngx_int_t              rc;
    ngx_mesh_store_job_t  *job;

    job = NULL;
    rest->inside = 1;

    rc = ngx_mesh_room_participant_get(rest->mcf, &rest->principal->did,
                                       ngx_mesh_room_rest_participant_done,
                                       rest, &job);
    rest->inside = 0;

    switch (rc) {

    case NGX_OK:
        return rest->rc;

    case NGX_AGAIN:
        return ngx_mesh_room_rest_park(rest, &job->data);

    case NGX_BUSY:
        return ngx_mesh_room_rest_store_problem(rest, STORE_BUSY);

    default:
        return ngx_mesh_room_rest_store_problem(rest, STORE_FAILED);
    }
}


static void
ngx_mesh_room_rest_participant_done(void *data,
    const ngx_mesh_room_participant_t *participant, problem_t problem)
{
    ngx_int_t              rc;
    ngx_mesh_room_rest_t  *rest = data;

    if (participant == NULL) {
        rc = ngx_mesh_reply_problem(rest->r, problem,
                                    problem == PROBLEM_NOT_A_PARTICIPANT
                                    ? "this DID is not registered here: "
                                      "POST /api/auth/register with \"did\" "
                                      "and \"proof\""
                                    : NULL);
        goto done;
    }

    rest->me = ngx_mesh_room_participant_copy(rest->r->pool, participant);

    if (rest->me == NULL) {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        goto done;
    }

    rc = rest->step(rest);

done:

    if (rest->inside) {
        rest->rc = rc;
        return;
    }

    ngx_mesh_room_rest_resume(rest, rc);
}


ngx_int_t
ngx_mesh_room_rest_park(ngx_mesh_room_rest_t *rest, void **data)
{
    if (ngx_mesh_job_attach(rest->r, data) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DONE;
}


void
ngx_mesh_room_rest_resume(ngx_mesh_room_rest_t *rest, ngx_int_t rc)
{
    if (rc == NGX_DONE) {
        return;
    }

    ngx_mesh_job_resume(rest->r, rc);
}


ngx_int_t
ngx_mesh_room_rest_read(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job, ngx_mesh_room_rest_done_pt done)
{
    return ngx_mesh_room_rest_submit(rest, job, done,
                                     rest->mcf->store->read);
}


ngx_int_t
ngx_mesh_room_rest_write(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job, ngx_mesh_room_rest_done_pt done)
{
    return ngx_mesh_room_rest_submit(rest, job, done,
                                     rest->mcf->store->write);
}


static ngx_int_t
ngx_mesh_room_rest_submit(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job, ngx_mesh_room_rest_done_pt done,
    ngx_int_t (*submit)(ngx_mesh_store_job_t *job))
{
    ngx_int_t  rc;

    job->data = rest;
    job->done = ngx_mesh_room_rest_job_done;
    rest->done = done;

    rc = submit(job);

    if (rc != NGX_OK) {
        ngx_mesh_store_job_destroy(rest->mcf->store, job);

        return ngx_mesh_room_rest_store_problem(rest, rc == NGX_BUSY
                                                      ? STORE_BUSY
                                                      : STORE_FAILED);
    }

    return ngx_mesh_room_rest_park(rest, &job->data);
}


static void
ngx_mesh_room_rest_job_done(ngx_mesh_store_job_t *job)
{
    ngx_int_t              rc;
    ngx_mesh_store_t      *store;
    ngx_mesh_room_rest_t  *rest;

    rest = job->data;

    if (rest == NULL) {
        store = ngx_mesh_store((ngx_cycle_t *) ngx_cycle);
        ngx_mesh_store_job_destroy(store, job);
        return;
    }

    store = rest->mcf->store;
    rc = rest->done(rest, job);

    ngx_mesh_store_job_destroy(store, job);
    ngx_mesh_room_rest_resume(rest, rc);
}


/* The room of the path. */

ngx_int_t
ngx_mesh_room_rest_room(ngx_mesh_room_rest_t *rest,
    ngx_mesh_room_rest_step_pt next)
{
    bytes_t                ns;
    ngx_uint_t             n;
    store_read_t          *reads;
    ngx_mesh_store_job_t  *job;

    if (!id_valid(rest->room_id, 'r')) {
        return ngx_mesh_reply_problem(rest->r, PROBLEM_NOT_FOUND,
                                      "there is no such room");
    }

    n = ngx_mesh_room_record_direct(rest->room_id) ? 4 : 3;
    job = ngx_mesh_store_job_create(1024, rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    reads = ngx_mesh_store_job_reads(job, n);
    ns = ngx_mesh_room_record_copy(job->pool, rest->room_id);

    if (reads == NULL || ns.data == NULL) {
        ngx_mesh_store_job_destroy(rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    reads[0].kind = STORE_GET;
    reads[0].ns = bytes_of(RECORD_NS_ROOMS);
    reads[0].key = ngx_mesh_room_record_key(job->pool, "room", ns,
                                            bytes_make(NULL, 0));
    reads[1].kind = STORE_GET;
    reads[1].ns = ns;
    reads[1].key = ngx_mesh_room_record_key(job->pool, "member",
                                   ngx_mesh_room_rest_bytes(&rest->me->id),
                                   bytes_make(NULL, 0));
    reads[2].kind = STORE_HEAD;
    reads[2].ns = ns;

    if (n == 4) {
        reads[3].kind = STORE_RANGE;
        reads[3].ns = ns;
        reads[3].key = bytes_of("member/");
        reads[3].limit = 2;
    }

    rest->next = next;

    return ngx_mesh_room_rest_read(rest, job, ngx_mesh_room_rest_room_done);
}


static ngx_int_t
ngx_mesh_room_rest_room_done(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_mesh_room_sight_t    sight;
    ngx_mesh_room_refusal_t  refusal;

    if (job->rc != STORE_OK) {
        return ngx_mesh_room_rest_store_problem(rest, job->rc);
    }

    if (job->rows[0].count == 0) {
        return ngx_mesh_reply_problem(rest->r, PROBLEM_NOT_FOUND,
                                      "there is no such room");
    }

    if (ngx_mesh_room_rest_room_take(rest, job) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    sight.room = &rest->record;
    sight.member = rest->member;
    sight.other = rest->other;

    if (ngx_mesh_room_access_read(rest->mcf, rest->principal, &sight,
                                  &refusal)
        != NGX_OK)
    {
        return ngx_mesh_room_rest_refuse(rest, &refusal);
    }

    return rest->next(rest);
}


/* Copies what the rows hold, since they die with the job. */

static ngx_int_t
ngx_mesh_room_rest_room_take(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    size_t                  i;
    bytes_t                 json, me;
    bytes_writer_t          scratch;
    ngx_mesh_room_member_t  member;

    json = ngx_mesh_room_record_copy(rest->r->pool,
                                     job->rows[0].rows[0].value);

    if (json.data == NULL
        || ngx_mesh_room_rest_writer(rest, &scratch, json.len) != NGX_OK
        || ngx_mesh_room_record_read(&rest->record, json, &scratch) != NGX_OK)
    {
        return NGX_ERROR;
    }

    rest->member = NULL;
    rest->head = job->rows[2].head;

    if (job->rows[1].count != 0) {
        rest->member = ngx_palloc(rest->r->pool,
                                  sizeof(ngx_mesh_room_member_t));

        if (rest->member == NULL
            || ngx_mesh_room_rest_member_take(rest,
                                              job->rows[1].rows[0].value,
                                              rest->member)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (job->read_count < 4) {
        return NGX_OK;
    }

    me = ngx_mesh_room_rest_bytes(&rest->me->id);

    for (i = 0; i < job->rows[3].count; i++) {

        if (ngx_mesh_room_rest_member_take(rest, job->rows[3].rows[i].value,
                                           &member)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (!bytes_equal(member.id, me)) {
            rest->other = member.id;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_room_rest_member_take(ngx_mesh_room_rest_t *rest, bytes_t json,
    ngx_mesh_room_member_t *member)
{
    bytes_writer_t  scratch;

    json = ngx_mesh_room_record_copy(rest->r->pool, json);

    if (json.data == NULL
        || ngx_mesh_room_rest_writer(rest, &scratch, json.len) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_mesh_room_record_member_read(member, json, &scratch);
}


/* Access. */

ngx_int_t
ngx_mesh_room_rest_allow(ngx_mesh_room_rest_t *rest, const char *command,
    bytes_t id, ngx_int_t *rc)
{
    ngx_mesh_room_refusal_t  refusal;

    if (ngx_mesh_room_access_allow(rest->mcf, rest->principal, command, id,
                                   &refusal)
        == NGX_OK)
    {
        return NGX_OK;
    }

    *rc = ngx_mesh_room_rest_refuse(rest, &refusal);

    return NGX_DECLINED;
}


ngx_int_t
ngx_mesh_room_rest_manage(ngx_mesh_room_rest_t *rest, const char *command,
    ngx_int_t *rc)
{
    ngx_mesh_room_refusal_t  refusal;

    if (rest->member && rest->member->owner
        && ngx_mesh_room_access_allow(rest->mcf, rest->principal,
                                      "/room/create", rest->room_id,
                                      &refusal)
           == NGX_OK)
    {
        return NGX_OK;
    }

    if (command
        && ngx_mesh_room_access_allow(rest->mcf, rest->principal, command,
                                      rest->room_id, &refusal)
           == NGX_OK)
    {
        return NGX_OK;
    }

    return ngx_mesh_room_rest_allow(rest, "/room/manage", rest->room_id, rc);
}


/* Answers. */

ngx_int_t
ngx_mesh_room_rest_refuse(ngx_mesh_room_rest_t *rest,
    const ngx_mesh_room_refusal_t *refusal)
{
    bytes_t  command;

    if (refusal->verdict != UCAN_OK) {
        command = refusal->command ? bytes_of(refusal->command)
                                   : bytes_make(NULL, 0);

        return ngx_mesh_reply_verdict(rest->r, refusal->verdict, command);
    }

    return ngx_mesh_reply_problem(rest->r, refusal->problem,
                                  refusal->problem == PROBLEM_NOT_FOUND
                                  ? "there is no such room" : NULL);
}


ngx_int_t
ngx_mesh_room_rest_store_problem(ngx_mesh_room_rest_t *rest, store_rc_t rc)
{
    return ngx_mesh_reply_problem(rest->r,
                                  ngx_mesh_room_history_problem(rc), NULL);
}


ngx_int_t
ngx_mesh_room_rest_reply(ngx_mesh_room_rest_t *rest, ngx_uint_t status,
    bytes_writer_t *w)
{
    if (w->failed) {
        ngx_log_error(NGX_LOG_ERR, rest->r->connection->log, 0,
                      "room: an answer was larger than its buffer");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_reply_json(rest->r, status, bytes_writer_view(w));
}


ngx_int_t
ngx_mesh_room_rest_writer(ngx_mesh_room_rest_t *rest, bytes_writer_t *w,
    size_t size)
{
    u_char  *p;

    p = ngx_pnalloc(rest->r->pool, ngx_max(size, 1));

    if (p == NULL) {
        return NGX_ERROR;
    }

    bytes_writer_open(w, p, size);

    return NGX_OK;
}


/* Input. */

ngx_int_t
ngx_mesh_room_rest_text(ngx_mesh_room_rest_t *rest, const char *name,
    size_t max, ngx_str_t *text, ngx_int_t *rc)
{
    u_char          *detail;
    json_scan_t      value;
    bytes_writer_t   w;

    ngx_str_null(text);

    if (!rest->has_body || json_scan_find(&rest->body, name, &value) != 0
        || value.type == JSON_SCAN_NULL)
    {
        return NGX_DECLINED;
    }

    if (value.type == JSON_SCAN_STRING) {

        if (ngx_mesh_room_rest_writer(rest, &w, value.text.len) != NGX_OK) {
            *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
            return NGX_ERROR;
        }

        if (json_scan_string(&value, &w) == 0
            && (max == 0 || bytes_writer_view(&w).len <= max))
        {
            *text = ngx_mesh_room_rest_str(bytes_writer_view(&w));
            return NGX_OK;
        }
    }

    detail = ngx_pnalloc(rest->r->pool, 128);

    if (detail == NULL) {
        *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return NGX_ERROR;
    }

    (void) ngx_snprintf(detail, 128, max ? "\"%s\" must be a string of at "
                        "most %uz bytes%Z" : "\"%s\" must be a string%Z",
                        name, max);

    *rc = ngx_mesh_reply_problem(rest->r, PROBLEM_BAD_REQUEST,
                                 (char *) detail);

    return NGX_ERROR;
}


ngx_int_t
ngx_mesh_room_rest_query(ngx_mesh_room_rest_t *rest, const char *name,
    uint64_t *n, ngx_int_t *rc)
{
    off_t      value;
    u_char    *detail;
    ngx_int_t  found;
    ngx_str_t  text;

    found = ngx_mesh_route_query(rest->r, name, &text);

    if (found == NGX_DECLINED) {
        return NGX_DECLINED;
    }

    value = (found == NGX_OK) ? ngx_atoof(text.data, text.len) : NGX_ERROR;

    if (value != NGX_ERROR) {
        *n = (uint64_t) value;
        return NGX_OK;
    }

    detail = ngx_pnalloc(rest->r->pool, 64);

    if (detail == NULL) {
        *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return NGX_ERROR;
    }

    (void) ngx_snprintf(detail, 64, "\"%s\" must be a number%Z", name);

    *rc = ngx_mesh_reply_problem(rest->r, PROBLEM_BAD_REQUEST,
                                 (char *) detail);

    return NGX_ERROR;
}


/* Lists. */

static ngx_int_t
ngx_mesh_room_rest_scope(ngx_mesh_room_rest_t *rest, const char *list,
    bytes_writer_t *w)
{
    if (ngx_mesh_room_rest_writer(rest, w, ngx_strlen(list) + 2 * ID_LEN + 2)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    bytes_writer_text(w, list);
    bytes_writer_byte(w, ':');
    bytes_writer_put(w, rest->me->id.data, rest->me->id.len);
    bytes_writer_byte(w, ':');
    bytes_writer_bytes(w, rest->room_id);

    return w->failed ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_mesh_room_rest_cursor(ngx_mesh_room_rest_t *rest, const char *list,
    bytes_t *key, ngx_int_t *rc)
{
    ngx_int_t       found;
    ngx_str_t       text;
    bytes_writer_t  w, scope;

    *key = bytes_make(NULL, 0);
    found = ngx_mesh_route_query(rest->r, "cursor", &text);

    if (found == NGX_DECLINED) {
        return NGX_DECLINED;
    }

    if (ngx_mesh_room_rest_scope(rest, list, &scope) != NGX_OK
        || ngx_mesh_room_rest_writer(rest, &w, CURSOR_PAYLOAD_MAX) != NGX_OK)
    {
        *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return NGX_ERROR;
    }

    if (found != NGX_OK
        || cursor_decode(rest->mcf->cursor_key, bytes_writer_view(&scope),
                         ngx_mesh_room_rest_bytes(&text), &w)
           != 0)
    {
        *rc = ngx_mesh_reply_problem(rest->r, PROBLEM_INVALID_CURSOR,
                                     "take \"cursor\" from the \"next\" of "
                                     "the page before");
        return NGX_ERROR;
    }

    *key = bytes_writer_view(&w);

    return NGX_OK;
}


ngx_int_t
ngx_mesh_room_rest_next(ngx_mesh_room_rest_t *rest, const char *list,
    bytes_t key, json_write_t *j)
{
    ngx_str_t       link;
    bytes_t         text;
    bytes_writer_t  w, scope;

    if (ngx_mesh_room_rest_scope(rest, list, &scope) != NGX_OK
        || ngx_mesh_room_rest_writer(rest, &w, CURSOR_TEXT_MAX) != NGX_OK
        || cursor_encode(rest->mcf->cursor_key, bytes_writer_view(&scope),
                         key, &w)
           != 0)
    {
        return NGX_ERROR;
    }

    text = bytes_writer_view(&w);
    json_write_member(j, "next", text);

    if (ngx_mesh_room_rest_link(rest, text, &link) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_mesh_reply_header(rest->r, "Link", &link);
}


/* The same request with another cursor (RFC 8288). */
static ngx_int_t
ngx_mesh_room_rest_link(ngx_mesh_room_rest_t *rest, bytes_t cursor,
    ngx_str_t *link)
{
    u_char          *p, *last, *end;
    bytes_writer_t   w;

    if (ngx_mesh_room_rest_writer(rest, &w, rest->r->uri.len
                                            + rest->r->args.len + cursor.len
                                            + 32)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    bytes_writer_byte(&w, '<');
    bytes_writer_put(&w, rest->r->uri.data, rest->r->uri.len);
    bytes_writer_byte(&w, '?');

    p = rest->r->args.data;
    last = p + rest->r->args.len;

    for ( /* void */ ; p < last; p = end + 1) {
        end = ngx_strlchr(p, last, '&');
        end = end ? end : last;

        if (end == p || (end - p >= 7 && ngx_strncmp(p, "cursor=", 7) == 0)
            || ngx_strlchr(p, end, '>'))
        {
            continue;
        }

        bytes_writer_put(&w, p, end - p);
        bytes_writer_byte(&w, '&');
    }

    bytes_writer_text(&w, "cursor=");
    bytes_writer_bytes(&w, cursor);
    bytes_writer_text(&w, ">; rel=\"next\"");

    link->data = w.start;
    link->len = w.pos - w.start;

    return w.failed ? NGX_ERROR : NGX_OK;
}


bytes_t
ngx_mesh_room_rest_mine(ngx_mesh_room_rest_t *rest, ngx_pool_t *pool,
    const char *kind)
{
    bytes_writer_t  w;
    size_t          size;
    u_char         *p;

    size = ngx_strlen(kind) + rest->me->id.len + 2;
    p = ngx_pnalloc(pool, size);

    if (p == NULL) {
        return bytes_make(NULL, 0);
    }

    bytes_writer_open(&w, p, size);
    bytes_writer_text(&w, kind);
    bytes_writer_byte(&w, '/');
    bytes_writer_put(&w, rest->me->id.data, rest->me->id.len);
    bytes_writer_byte(&w, '/');

    return bytes_writer_view(&w);
}
