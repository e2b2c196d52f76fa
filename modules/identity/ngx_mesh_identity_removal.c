/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Ends of authority: logout, removal of a participant, and the revocations
 * behind them.
 *
 * A revocation is a row of the store first and an entry of the ucan module's
 * zone after its commit; every request and, once a second, every open
 * connection of every worker looks there.  A worker that starts loads the
 * rows before it serves.  Revoking the delegations of a participant ends all
 * that hangs below them: its sessions, its bots and theirs.
 *
 * The name of a removed participant stays taken, so that nobody becomes who
 * somebody was; its DID may be registered anew.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_identity.h"


#define NGX_MESH_IDENTITY_LOAD_ROWS    1000    /* in one read */
#define NGX_MESH_IDENTITY_LOAD_RETRY   1000    /* ms */
#define NGX_MESH_IDENTITY_LOGOUT_SLACK 3600    /* seconds: no ucan_leeway is
                                                  longer */


typedef struct {
    record_participant_t      target;
    ngx_mesh_identity_role_t  role;           /* the target's */
    uint64_t                  seq;            /* of its record */
    ngx_uint_t                tries;
} ngx_mesh_identity_removal_t;


static void ngx_mesh_identity_removal_retry_handler(ngx_event_t *ev);
static ngx_int_t ngx_mesh_identity_removal_load(
    ngx_mesh_identity_worker_t *worker, const store_rows_t *rows);
static ngx_int_t ngx_mesh_identity_removal_parse(const store_row_t *row,
    cid_t *cid, time_t *until);
static void ngx_mesh_identity_removal_read(store_read_t *read,
    ngx_mesh_identity_worker_t *worker);
static void ngx_mesh_identity_removal_retry_done(ngx_mesh_store_job_t *job);
static void ngx_mesh_identity_removal_op(ngx_mesh_identity_call_t *call,
    const cid_t *cid, time_t until);
static ngx_int_t ngx_mesh_identity_removal_logout_step(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_removal_logout_done(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_removal_caller(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_removal_find(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_removal_target(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_removal_judge(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_removal_write(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_removal_done(
    ngx_mesh_identity_call_t *call);


/* Loading. */

void
ngx_mesh_identity_removal_init(ngx_mesh_identity_worker_t *worker)
{
    ngx_int_t     rc;
    store_rc_t    status;
    store_read_t  read;
    store_rows_t  rows;

    worker->retry.handler = ngx_mesh_identity_removal_retry_handler;
    worker->retry.data = worker;
    worker->retry.log = worker->log;
    worker->retry.cancelable = 1;

    do {
        ngx_mesh_identity_removal_read(&read, worker);
        ngx_memzero(&rows, sizeof(store_rows_t));

        status = worker->store->read_now(&read, &rows, 1);

        if (status != STORE_OK) {
            ngx_log_error(NGX_LOG_ERR, worker->log, 0,
                          "identity: revocations cannot be read from the "
                          "store; nobody is served before they are");

            ngx_add_timer(&worker->retry, NGX_MESH_IDENTITY_LOAD_RETRY);
            return;
        }

        rc = ngx_mesh_identity_removal_load(worker, &rows);

        worker->store->rows_release(&rows, 1);

    } while (rc == NGX_AGAIN);

    if (rc != NGX_OK) {
        ngx_add_timer(&worker->retry, NGX_MESH_IDENTITY_LOAD_RETRY);
    }
}


static void
ngx_mesh_identity_removal_read(store_read_t *read,
    ngx_mesh_identity_worker_t *worker)
{
    ngx_memzero(read, sizeof(store_read_t));

    read->kind = STORE_RANGE;
    read->ns = bytes_of(RECORD_NS_IDENTITY);
    read->key = bytes_of("revocation/");
    read->after_key = bytes_make(worker->after, worker->after_len);
    read->limit = NGX_MESH_IDENTITY_LOAD_ROWS;
}


/* NGX_OK: these were the last; NGX_AGAIN: there are more; NGX_ERROR: the zone
   does not take them. */

static ngx_int_t
ngx_mesh_identity_removal_load(ngx_mesh_identity_worker_t *worker,
    const store_rows_t *rows)
{
    cid_t               cid;
    size_t              i;
    time_t              until;
    const store_row_t  *row;

    if (rows->rc != STORE_OK && rows->rc != STORE_ABSENT) {
        return NGX_ERROR;
    }

    for (i = 0; i < rows->count; i++) {

        row = &rows->rows[i];

        if (row->key.len > sizeof(worker->after)) {
            return NGX_ERROR;
        }

        if (ngx_mesh_identity_removal_parse(row, &cid, &until) != NGX_OK) {
            ngx_log_error(NGX_LOG_ERR, worker->log, 0,
                          "identity: a stored revocation cannot be read: "
                          "\"%*s\"", row->key.len, row->key.data);

        } else if (until == 0 || until > ngx_time()) {

            if (worker->principal->revoke((ngx_cycle_t *) ngx_cycle, &cid,
                                          until)
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }

        ngx_memcpy(worker->after, row->key.data, row->key.len);
        worker->after_len = row->key.len;
    }

    if (rows->more) {
        return NGX_AGAIN;
    }

    worker->ready = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_identity_removal_parse(const store_row_t *row, cid_t *cid,
    time_t *until)
{
    size_t       i;
    int64_t      seconds, codec;
    bytes_t      hex;
    ngx_int_t    byte;
    json_scan_t  object, value;

    hex = bytes_make(row->key.data + sizeof("revocation/") - 1,
                     row->key.len - (sizeof("revocation/") - 1));

    if (hex.len != 2 * CID_DIGEST_LEN
        || json_scan_validate(row->value, NULL) != JSON_SCAN_OK
        || json_scan_open(row->value, &object) != 0
        || json_scan_find(&object, "until", &value) != 0
        || json_scan_integer(&value, &seconds) != 0
        || json_scan_find(&object, "codec", &value) != 0
        || json_scan_integer(&value, &codec) != 0)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < CID_DIGEST_LEN; i++) {

        byte = ngx_hextoi((u_char *) hex.data + 2 * i, 2);

        if (byte == NGX_ERROR) {
            return NGX_ERROR;
        }

        cid->digest[i] = (uint8_t) byte;
    }

    cid->codec = (uint8_t) codec;
    *until = (time_t) seconds;

    return NGX_OK;
}


static void
ngx_mesh_identity_removal_retry_handler(ngx_event_t *ev)
{
    store_read_t                *read;
    ngx_mesh_store_job_t        *job;
    ngx_mesh_identity_worker_t  *worker;

    worker = ev->data;

    job = ngx_mesh_store_job_create(1024, worker->log);

    if (job == NULL) {
        ngx_add_timer(ev, NGX_MESH_IDENTITY_LOAD_RETRY);
        return;
    }

    read = ngx_mesh_store_job_reads(job, 1);

    if (read == NULL) {
        goto failed;
    }

    ngx_mesh_identity_removal_read(read, worker);

    job->data = worker;
    job->done = ngx_mesh_identity_removal_retry_done;

    if (worker->store->read(job) == NGX_OK) {
        return;
    }

failed:

    ngx_mesh_store_job_destroy(worker->store, job);
    ngx_add_timer(ev, NGX_MESH_IDENTITY_LOAD_RETRY);
}


static void
ngx_mesh_identity_removal_retry_done(ngx_mesh_store_job_t *job)
{
    ngx_int_t                    rc;
    ngx_mesh_identity_worker_t  *worker;

    worker = job->data;

    rc = (job->rc == STORE_OK)
         ? ngx_mesh_identity_removal_load(worker, &job->rows[0]) : NGX_ERROR;

    ngx_mesh_store_job_destroy(worker->store, job);

    if (rc != NGX_OK) {
        ngx_add_timer(&worker->retry,
                      rc == NGX_AGAIN ? 1 : NGX_MESH_IDENTITY_LOAD_RETRY);
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, worker->log, 0,
                  "identity: revocations are loaded");
}


/* Revoking. */

static void
ngx_mesh_identity_removal_op(ngx_mesh_identity_call_t *call,
    const cid_t *cid, time_t until)
{
    u_char           hex[2 * CID_DIGEST_LEN];
    store_op_t      *op;
    json_write_t     j;
    bytes_writer_t   w;

    if (call->revoked_count == GRANT_COMMANDS_MAX) {
        call->broken = 1;
        return;
    }

    call->revoked[call->revoked_count++] = *cid;

    ngx_hex_dump(hex, (u_char *) cid->digest, CID_DIGEST_LEN);

    ngx_mesh_identity_call_writer(call, &w, 256);
    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member_integer(&j, "codec", cid->codec);
    json_write_member_integer(&j, "until", until);
    ngx_mesh_identity_call_time(&j, "at", call->now_ms);
    json_write_object_end(&j);

    if (w.failed) {
        call->broken = 1;
        return;
    }

    op = ngx_mesh_identity_call_op(call, STORE_PUT, "revocation",
                                   bytes_make(hex, sizeof(hex)));
    op->value = bytes_writer_view(&w);
    op->expires_ms = (int64_t) until * 1000;
}


ngx_int_t
ngx_mesh_identity_removal_add(ngx_mesh_identity_call_t *call,
    bytes_t container, bytes_t did)
{
    size_t                    i, count;
    cid_t                    *cids;
    ucan_memory_t             memory;
    ngx_mesh_identity_set_t  *set;

    ngx_mesh_identity_call_memory(call, &memory);

    set = ngx_pcalloc(call->request->pool, sizeof(ngx_mesh_identity_set_t));

    if (set == NULL
        || ngx_mesh_identity_token_unpack(set, container, &memory) != NGX_OK)
    {
        return NGX_ERROR;
    }

    cids = ngx_palloc(call->request->pool, (set->count + 1) * sizeof(cid_t));

    if (cids == NULL
        || ngx_mesh_identity_token_cids(set, did, cids, &count, &memory)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    call->revoked_count = 0;

    for (i = 0; i < count; i++) {
        ngx_mesh_identity_removal_op(call, &cids[i], 0);
    }

    return NGX_OK;
}


ngx_int_t
ngx_mesh_identity_removal_apply(ngx_mesh_identity_call_t *call)
{
    size_t     i;
    ngx_int_t  rc;

    rc = NGX_OK;

    for (i = 0; i < call->revoked_count; i++) {

        if (call->worker->principal->revoke((ngx_cycle_t *) ngx_cycle,
                                            &call->revoked[i],
                                            call->revoked_until)
            != NGX_OK)
        {
            rc = NGX_ERROR;
        }
    }

    if (rc != NGX_OK) {

        /* the rows are stored: they are loaded anew until the zone takes
           them */

        ngx_log_error(NGX_LOG_ERR, call->request->connection->log, 0,
                      "identity: the zone of revocations is full, give "
                      "ucan_revocation_zone a larger size");

        if (!call->worker->retry.timer_set) {
            call->worker->after_len = 0;
            ngx_add_timer(&call->worker->retry, NGX_MESH_IDENTITY_LOAD_RETRY);
        }
    }

    return rc;
}


/* POST /api/auth/logout */

ngx_int_t
ngx_mesh_identity_removal_logout(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_identity_call_begin(r, args,
                                        ngx_mesh_identity_removal_logout_step);
}


static ngx_int_t
ngx_mesh_identity_removal_logout_step(ngx_mesh_identity_call_t *call)
{
    const ucan_token_t  *top;

    if (call->principal == NULL) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_UNAUTHENTICATED,
                   "send a token as \"Authorization: Bearer <token>\"");
    }

    /* its own end: the principal's is that of one chain, and there may be
       others behind it */

    top = call->principal->chain->bundle->top;

    call->revoked_until = top->has_exp
                          ? (time_t) top->exp + NGX_MESH_IDENTITY_LOGOUT_SLACK
                          : 0;

    ngx_mesh_identity_removal_op(call, &top->cid, call->revoked_until);

    return ngx_mesh_identity_call_write(call,
                                        ngx_mesh_identity_removal_logout_done);
}


static ngx_int_t
ngx_mesh_identity_removal_logout_done(ngx_mesh_identity_call_t *call)
{
    if (call->rc != STORE_OK
        || ngx_mesh_identity_removal_apply(call) != NGX_OK)
    {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_BUSY,
                   "the session could not be ended everywhere, try again");
    }

    ngx_log_error(NGX_LOG_NOTICE, call->request->connection->log, 0,
                  "identity: session %V of %V ended", &call->principal->cid,
                  &call->principal->did);

    return ngx_mesh_reply_empty(call->request, NGX_HTTP_NO_CONTENT);
}


/* DELETE /api/participants/:id */

ngx_int_t
ngx_mesh_identity_removal_delete(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_identity_call_begin(r, args,
                                        ngx_mesh_identity_removal_caller);
}


static ngx_int_t
ngx_mesh_identity_removal_caller(ngx_mesh_identity_call_t *call)
{
    call->context = ngx_pcalloc(call->request->pool,
                                sizeof(ngx_mesh_identity_removal_t));

    if (call->context == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_identity_call_caller(call,
                                         ngx_mesh_identity_removal_find);
}


static ngx_int_t
ngx_mesh_identity_removal_find(ngx_mesh_identity_call_t *call)
{
    bytes_t  id;

    id = bytes_make(call->args.value[0].data, call->args.value[0].len);

    if (!id_valid(id, 'p')) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_NOT_FOUND,
                                             "there is no such participant");
    }

    (void) ngx_mesh_identity_call_get(call, "participant", id);

    return ngx_mesh_identity_call_read(call,
                                       ngx_mesh_identity_removal_target);
}


static ngx_int_t
ngx_mesh_identity_removal_target(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_removal_t  *removal;

    removal = call->context;

    if (!ngx_mesh_identity_call_found(call, 0)) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_NOT_FOUND,
                                             "there is no such participant");
    }

    if (ngx_mesh_identity_call_participant(call,
            ngx_mesh_identity_call_value(call, 0), &removal->target)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (removal->target.removed_ms != 0) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_NOT_FOUND,
                   "this participant was removed already");
    }

    removal->seq = ngx_mesh_identity_call_seq(call, 0);

    (void) ngx_mesh_identity_call_get(call, "delegation", removal->target.id);
    (void) ngx_mesh_identity_call_get(call, "role", removal->target.role);

    return ngx_mesh_identity_call_read(call,
                                       ngx_mesh_identity_removal_judge);
}


/* Who may: oneself, the maker of a bot, and whoever manages members and is
   above. */

static ngx_int_t
ngx_mesh_identity_removal_judge(ngx_mesh_identity_call_t *call)
{
    ngx_uint_t                    own;
    record_participant_t         *target;
    ngx_mesh_identity_removal_t  *removal;

    removal = call->context;
    target = &removal->target;

    (void) ngx_mesh_identity_role_find(&removal->role, target->role,
               ngx_mesh_identity_call_value(call, 1));

    if (bytes_equal_text(target->role, "owner")) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_FORBIDDEN,
                   "the owner of the mesh cannot be removed");
    }

    own = bytes_equal(call->caller.id, target->id)
          || bytes_equal(call->caller.id, target->maker);

    if (!own || call->principal->invocation) {

        if (ngx_mesh_identity_call_allow(call, "/member/manage",
                                         "participant", target->id, NULL)
            != NGX_OK)
        {
            return ngx_mesh_identity_call_forbid(call,
                                                 bytes_of("/member/manage"));
        }
    }

    if (!own && removal->role.priority >= call->caller_role.priority) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_ROLE_TOO_HIGH,
                   "only who stands above a participant may remove it");
    }

    return ngx_mesh_identity_removal_write(call);
}


static ngx_int_t
ngx_mesh_identity_removal_write(ngx_mesh_identity_call_t *call)
{
    store_op_t                   *op;
    record_participant_t         *target;
    ngx_mesh_identity_removal_t  *removal;

    removal = call->context;
    target = &removal->target;

    op = ngx_mesh_identity_call_op(call, STORE_PUT, "participant",
                                   target->id);
    op->condition = STORE_IF_SEQ;
    op->if_seq = removal->seq;

    target->removed_ms = call->now_ms;
    op->value = ngx_mesh_identity_call_record(call, target);

    /* what changed the delegations since also changed the record */

    if (ngx_mesh_identity_removal_add(call,
            ngx_mesh_identity_call_value(call, 0), target->did)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    (void) ngx_mesh_identity_call_op(call, STORE_DELETE, "delegation",
                                     target->id);
    (void) ngx_mesh_identity_call_op(call, STORE_DELETE, "custodian",
                                     target->id);
    (void) ngx_mesh_identity_call_op(call, STORE_DELETE, "login", target->id);
    (void) ngx_mesh_identity_call_op(call, STORE_DELETE, "did", target->did);

    if (!removal->role.builtin) {
        (void) ngx_mesh_identity_call_op(call, STORE_DELETE, "holder",
                   ngx_mesh_identity_role_holder(call, target->role,
                                                 target->id));
    }

    return ngx_mesh_identity_call_write(call, ngx_mesh_identity_removal_done);
}


static ngx_int_t
ngx_mesh_identity_removal_done(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_removal_t  *removal;

    removal = call->context;

    if (call->rc == STORE_CONDITION) {

        if (++removal->tries < NGX_MESH_IDENTITY_TRIES_MAX) {
            return ngx_mesh_identity_removal_find(call);
        }

        return ngx_mesh_identity_call_refuse(call, PROBLEM_CONFLICT,
                   "somebody else is changing this participant");
    }

    ngx_log_error(NGX_LOG_NOTICE, call->request->connection->log, 0,
                  "identity: \"%*s\" removed by \"%*s\"",
                  removal->target.id.len, removal->target.id.data,
                  call->caller.id.len, call->caller.id.data);

    if (ngx_mesh_identity_removal_apply(call) != NGX_OK) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_BUSY,
                   "the participant is removed; its sessions end when this "
                   "node's zone of revocations has room");
    }

    return ngx_mesh_reply_empty(call->request, NGX_HTTP_NO_CONTENT);
}
