/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Revocations as they are stored, loaded and listed.
 *
 * A revocation is a row of the store first and an entry of the ucan module's
 * zone after its commit; every request and, once a second, every open
 * connection of every worker looks there.  A worker that starts loads the
 * rows before it serves.
 *
 * Each carries what makes others believe it: the record or the invocation
 * that somebody signed, or a record that this mesh signs, which stands above
 * every token of its own.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <sodium.h>

#include "ngx_mesh_identity.h"
#include "base64.h"
#include "cursor.h"
#include "ucan_revocation.h"


#define NGX_MESH_IDENTITY_LOAD_ROWS      1000    /* in one read */
#define NGX_MESH_IDENTITY_LOAD_RETRY     1000    /* ms */
#define NGX_MESH_IDENTITY_LIST_LIMIT     50
#define NGX_MESH_IDENTITY_LIST_MAX       100
#define NGX_MESH_IDENTITY_ROW_SIZE       1024    /* bytes beside texts */


static ngx_int_t ngx_mesh_identity_revocation_load(
    ngx_mesh_identity_worker_t *worker, const store_rows_t *rows);
static ngx_int_t ngx_mesh_identity_revocation_parse(const store_row_t *row,
    cid_t *cid, bytes_t *by, time_t *until);
static void ngx_mesh_identity_revocation_read(store_read_t *read,
    ngx_mesh_identity_worker_t *worker);
static void ngx_mesh_identity_revocation_retry_handler(ngx_event_t *ev);
static void ngx_mesh_identity_revocation_retry_done(
    ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_identity_revocation_revoke(
    ngx_mesh_identity_worker_t *worker, const cid_t *cid, bytes_t by,
    time_t until);
static bytes_t ngx_mesh_identity_revocation_row(
    ngx_mesh_identity_call_t *call,
    const ngx_mesh_identity_revocation_t *revocation);
static void ngx_mesh_identity_revocation_sign(json_write_t *j,
    const signature_key_t *key, bytes_t cid);
static ngx_int_t ngx_mesh_identity_revocation_list_step(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_revocation_list_found(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_revocation_list_reply(
    ngx_mesh_identity_call_t *call);
static void ngx_mesh_identity_revocation_write_row(
    ngx_mesh_identity_call_t *call, json_write_t *j, bytes_t value);
static size_t ngx_mesh_identity_revocation_size(const store_rows_t *rows);
static ngx_int_t ngx_mesh_identity_revocation_scope(
    ngx_mesh_identity_call_t *call, const char *list, bytes_t *scope,
    u_char *key);


/* Loading. */

void
ngx_mesh_identity_revocation_init(ngx_mesh_identity_worker_t *worker)
{
    ngx_int_t     rc;
    store_rc_t    status;
    store_read_t  read;
    store_rows_t  rows;

    worker->retry.handler = ngx_mesh_identity_revocation_retry_handler;
    worker->retry.data = worker;
    worker->retry.log = worker->log;
    worker->retry.cancelable = 1;

    do {
        ngx_mesh_identity_revocation_read(&read, worker);
        ngx_memzero(&rows, sizeof(store_rows_t));

        status = worker->store->read_now(&read, &rows, 1);

        if (status != STORE_OK) {
            ngx_log_error(NGX_LOG_ERR, worker->log, 0,
                          "identity: revocations cannot be read from the "
                          "store; nobody is served before they are");

            ngx_add_timer(&worker->retry, NGX_MESH_IDENTITY_LOAD_RETRY);
            return;
        }

        rc = ngx_mesh_identity_revocation_load(worker, &rows);

        worker->store->rows_release(&rows, 1);

    } while (rc == NGX_AGAIN);

    if (rc != NGX_OK) {
        ngx_add_timer(&worker->retry, NGX_MESH_IDENTITY_LOAD_RETRY);
    }
}


static void
ngx_mesh_identity_revocation_read(store_read_t *read,
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
ngx_mesh_identity_revocation_load(ngx_mesh_identity_worker_t *worker,
    const store_rows_t *rows)
{
    cid_t               cid;
    size_t              i;
    time_t              until;
    bytes_t             by;
    const store_row_t  *row;

    if (rows->rc != STORE_OK && rows->rc != STORE_ABSENT) {
        return NGX_ERROR;
    }

    for (i = 0; i < rows->count; i++) {

        row = &rows->rows[i];

        if (row->key.len > sizeof(worker->after)) {
            return NGX_ERROR;
        }

        if (ngx_mesh_identity_revocation_parse(row, &cid, &by, &until)
            != NGX_OK)
        {
            ngx_log_error(NGX_LOG_ERR, worker->log, 0,
                          "identity: a stored revocation cannot be read: "
                          "\"%*s\"", row->key.len, row->key.data);

        } else if (until == 0 || until > ngx_time()) {

            if (ngx_mesh_identity_revocation_revoke(worker, &cid, by, until)
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
ngx_mesh_identity_revocation_revoke(ngx_mesh_identity_worker_t *worker,
    const cid_t *cid, bytes_t by, time_t until)
{
    if (by.len == 0) {
        return worker->principal->revoke((ngx_cycle_t *) ngx_cycle, cid,
                                         until);
    }

    return worker->principal->revoke_by((ngx_cycle_t *) ngx_cycle, cid, by,
                                        until);
}


static ngx_int_t
ngx_mesh_identity_revocation_parse(const store_row_t *row, cid_t *cid,
    bytes_t *by, time_t *until)
{
    size_t       i;
    int64_t      seconds, codec;
    bytes_t      hex;
    ngx_int_t    byte;
    json_scan_t  object, value;

    hex = bytes_make(row->key.data + sizeof("revocation/") - 1,
                     row->key.len - (sizeof("revocation/") - 1));

    if (hex.len < 2 * CID_DIGEST_LEN
        || json_scan_validate(row->value, NULL) != JSON_SCAN_OK
        || json_scan_open(row->value, &object) != 0
        || json_scan_find(&object, "until", &value) != 0
        || json_scan_integer(&value, &seconds) != 0
        || json_scan_find(&object, "codec", &value) != 0
        || json_scan_integer(&value, &codec) != 0)
    {
        return NGX_ERROR;
    }

    *by = bytes_make(NULL, 0);

    if (json_scan_find(&object, "by", &value) == 0
        && json_scan_plain(&value, by) != 0)
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
ngx_mesh_identity_revocation_retry_handler(ngx_event_t *ev)
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

    ngx_mesh_identity_revocation_read(read, worker);

    job->data = worker;
    job->done = ngx_mesh_identity_revocation_retry_done;

    if (worker->store->read(job) == NGX_OK) {
        return;
    }

failed:

    ngx_mesh_store_job_destroy(worker->store, job);
    ngx_add_timer(ev, NGX_MESH_IDENTITY_LOAD_RETRY);
}


static void
ngx_mesh_identity_revocation_retry_done(ngx_mesh_store_job_t *job)
{
    ngx_int_t                    rc;
    ngx_mesh_identity_worker_t  *worker;

    worker = job->data;

    rc = (job->rc == STORE_OK)
         ? ngx_mesh_identity_revocation_load(worker, &job->rows[0])
         : NGX_ERROR;

    ngx_mesh_store_job_destroy(worker->store, job);

    if (rc != NGX_OK) {
        ngx_add_timer(&worker->retry,
                      rc == NGX_AGAIN ? 1 : NGX_MESH_IDENTITY_LOAD_RETRY);
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, worker->log, 0,
                  "identity: revocations are loaded");
}


/* Storing. */

bytes_t
ngx_mesh_identity_revocation_key(ngx_mesh_identity_call_t *call,
    const cid_t *cid, bytes_t by)
{
    u_char   *p, *last;
    uint8_t   key[UCAN_REVOCATION_KEY_LEN];

    p = ngx_pnalloc(call->request->pool,
                    2 * CID_DIGEST_LEN + 1 + 2 * UCAN_REVOCATION_KEY_LEN);

    if (p == NULL) {
        call->broken = 1;
        return bytes_make(NULL, 0);
    }

    last = ngx_hex_dump(p, (u_char *) cid->digest, CID_DIGEST_LEN);

    if (by.len != 0) {
        ucan_revocation_key(key, cid, by);

        *last++ = '/';
        last = ngx_hex_dump(last, key, UCAN_REVOCATION_KEY_LEN);
    }

    return bytes_make(p, last - p);
}


store_op_t *
ngx_mesh_identity_revocation_add(ngx_mesh_identity_call_t *call,
    const ngx_mesh_identity_revocation_t *revocation)
{
    bytes_t      row;
    store_op_t  *op;

    op = ngx_mesh_identity_call_op(call, STORE_PUT, "revocation",
             ngx_mesh_identity_revocation_key(call, &revocation->cid,
                                              revocation->by));

    row = ngx_mesh_identity_revocation_row(call, revocation);

    if (call->revoked_count == GRANT_COMMANDS_MAX || row.len == 0) {
        call->broken = 1;
        return op;
    }

    call->revoked[call->revoked_count] = revocation->cid;
    call->revoked_rows[call->revoked_count] = row;
    call->revoked_count++;
    call->revoked_by = revocation->by;
    call->revoked_until = revocation->until;

    op->value = row;
    op->expires_ms = (int64_t) revocation->until * 1000;

    return op;
}


/* Empty: no memory. */

static bytes_t
ngx_mesh_identity_revocation_row(ngx_mesh_identity_call_t *call,
    const ngx_mesh_identity_revocation_t *revocation)
{
    u_char          text[CID_TEXT_LEN];
    bytes_t         cid;
    json_write_t    j;
    bytes_writer_t  w;

    bytes_writer_open(&w, text, sizeof(text));
    cid_write(&revocation->cid, &w);
    cid = bytes_writer_view(&w);

    ngx_mesh_identity_call_writer(call, &w,
        NGX_MESH_IDENTITY_ROW_SIZE + revocation->by.len
        + revocation->record.len + revocation->token.len);

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member_integer(&j, "codec", revocation->cid.codec);
    json_write_member_integer(&j, "until", revocation->until);
    ngx_mesh_identity_call_time(&j, "at", call->now_ms);
    json_write_member(&j, "cid", cid);

    if (revocation->by.len != 0) {
        json_write_member(&j, "by", revocation->by);
    }

    if (revocation->record.len != 0) {
        json_write_member_raw(&j, "revocation", revocation->record);

    } else if (revocation->token.len != 0) {
        json_write_member(&j, "token", revocation->token);

    } else {
        ngx_mesh_identity_revocation_sign(&j, call->mcf->key, cid);
    }

    json_write_object_end(&j);

    return w.failed ? bytes_make(NULL, 0) : bytes_writer_view(&w);
}


/* The record of 0.x (reference 7), which is about tokens of 1.0 as well. */

static void
ngx_mesh_identity_revocation_sign(json_write_t *j, const signature_key_t *key,
    bytes_t cid)
{
    uint8_t         sig[SIGNATURE_ED25519_LEN];
    u_char          text[sizeof("REVOKE:") - 1 + CID_TEXT_LEN];
    u_char          challenge[base64_encoded_max(SIGNATURE_ED25519_LEN)];
    bytes_writer_t  w;

    bytes_writer_open(&w, text, sizeof(text));
    bytes_writer_text(&w, "REVOKE:");
    bytes_writer_bytes(&w, cid);

    signature_sign(key, bytes_writer_view(&w), sig);

    bytes_writer_open(&w, challenge, sizeof(challenge));
    (void) base64_encode(BASE64_URL, bytes_make(sig, sizeof(sig)), &w);

    json_write_key(j, "revocation");
    json_write_object(j);
    json_write_member(j, "iss", bytes_make(key->did, sizeof(key->did)));
    json_write_member(j, "revoke", cid);
    json_write_member(j, "challenge", bytes_writer_view(&w));
    json_write_object_end(j);
}


void
ngx_mesh_identity_revocation_publish(ngx_mesh_identity_call_t *call)
{
    char            id[ID_LEN];
    size_t          i, size;
    store_op_t     *op;
    json_write_t    j;
    bytes_writer_t  w;

    if (call->revoked_count == 0) {
        return;
    }

    size = 2;

    for (i = 0; i < call->revoked_count; i++) {
        size += call->revoked_rows[i].len + 1;
    }

    ngx_mesh_identity_call_writer(call, &w, size);

    json_write_open(&j, &w);
    json_write_array(&j);

    for (i = 0; i < call->revoked_count; i++) {
        json_write_raw(&j, call->revoked_rows[i]);
    }

    json_write_array_end(&j);

    if (w.failed) {
        call->broken = 1;
        return;
    }

    /* the time is in front: the order of these is that of the list */

    id_create(id, 'v', call->now_ms);

    op = ngx_mesh_identity_call_op(call, STORE_PUT, "revoked",
                                   bytes_make(id, sizeof(id)));
    op->value = bytes_writer_view(&w);
    op->expires_ms = (int64_t) call->revoked_until * 1000;
}


ngx_int_t
ngx_mesh_identity_revocation_apply(ngx_mesh_identity_call_t *call)
{
    size_t     i;
    ngx_int_t  rc;

    rc = NGX_OK;

    for (i = 0; i < call->revoked_count; i++) {

        if (ngx_mesh_identity_revocation_revoke(call->worker,
                &call->revoked[i], call->revoked_by, call->revoked_until)
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


/* GET /api/ucan/revocations */

ngx_int_t
ngx_mesh_identity_revocation_list(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_identity_call_begin(r, args,
               ngx_mesh_identity_revocation_list_step);
}


static ngx_int_t
ngx_mesh_identity_revocation_list_step(ngx_mesh_identity_call_t *call)
{
    cid_t      cid;
    size_t     i, limit;
    bytes_t    after;
    ngx_int_t  rc;
    ngx_str_t  text;

    rc = ngx_mesh_route_query(call->request, "cid", &text);

    if (rc != NGX_DECLINED) {

        if (rc != NGX_OK
            || cid_parse(&cid, bytes_make(text.data, text.len)) != 0)
        {
            call->detail = "\"cid\" must be the CID of a token";
            return ngx_mesh_identity_call_bad(call);
        }

        (void) ngx_mesh_identity_call_range(call, "revocation",
                   ngx_mesh_identity_revocation_key(call, &cid,
                                                    bytes_make(NULL, 0)),
                   STORE_LIMIT_MAX);

        return ngx_mesh_identity_call_read(call,
                   ngx_mesh_identity_revocation_list_found);
    }

    limit = ngx_mesh_identity_revocation_limit(call);

    if (limit == 0) {
        return ngx_mesh_identity_call_bad(call);
    }

    if (ngx_mesh_identity_revocation_cursor(call, "revocations", &after, &rc)
        != NGX_OK)
    {
        return rc;
    }

    i = ngx_mesh_identity_call_range(call, "revoked", bytes_of(""), limit);

    call->reads[i].reverse = 1;
    call->reads[i].after_key = after;

    return ngx_mesh_identity_call_read(call,
               ngx_mesh_identity_revocation_list_reply);
}


static ngx_int_t
ngx_mesh_identity_revocation_list_found(ngx_mesh_identity_call_t *call)
{
    size_t          i;
    json_write_t    j;
    bytes_writer_t  w;

    ngx_mesh_identity_call_writer(call, &w,
        ngx_mesh_identity_revocation_size(&call->rows[0]));

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_key(&j, "revocations");
    json_write_array(&j);

    for (i = 0; i < call->rows[0].count; i++) {
        ngx_mesh_identity_revocation_write_row(call, &j,
            call->rows[0].rows[i].value);
    }

    json_write_array_end(&j);
    json_write_object_end(&j);

    return ngx_mesh_identity_call_reply(call, NGX_HTTP_OK, &w);
}


static ngx_int_t
ngx_mesh_identity_revocation_list_reply(ngx_mesh_identity_call_t *call)
{
    size_t               i;
    json_write_t         j;
    bytes_writer_t       w;
    const store_rows_t  *rows;

    rows = &call->rows[0];

    ngx_mesh_identity_call_writer(call, &w,
        ngx_mesh_identity_revocation_size(rows));

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_key(&j, "revocations");
    json_write_array(&j);

    for (i = 0; i < rows->count; i++) {
        ngx_mesh_identity_revocation_write_row(call, &j, rows->rows[i].value);
    }

    json_write_array_end(&j);

    if (rows->more && rows->count != 0
        && ngx_mesh_identity_revocation_next(call, "revocations",
               rows->rows[rows->count - 1].key, &j)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_object_end(&j);

    return ngx_mesh_identity_call_reply(call, NGX_HTTP_OK, &w);
}


/* What is written is no more than what was stored and two names for each. */

static size_t
ngx_mesh_identity_revocation_size(const store_rows_t *rows)
{
    size_t  i, size;

    size = NGX_MESH_IDENTITY_ROW_SIZE + CURSOR_TEXT_MAX;

    for (i = 0; i < rows->count; i++) {
        size += 2 * rows->rows[i].value.len + NGX_MESH_IDENTITY_ROW_SIZE;
    }

    return size;
}


/* One stored row, or an array of them; older ones say less and are left
   out. */

static void
ngx_mesh_identity_revocation_write_row(ngx_mesh_identity_call_t *call,
    json_write_t *j, bytes_t value)
{
    size_t       pos;
    json_scan_t  root, row;

    if (json_scan_validate(value, NULL) != JSON_SCAN_OK
        || json_scan_open(value, &root) != 0)
    {
        return;
    }

    if (root.type == JSON_SCAN_OBJECT) {

        if (json_scan_find(&root, "cid", &row) == 0) {
            ngx_mesh_identity_revocation_write(call, j, &root);
        }

        return;
    }

    pos = 0;

    while (json_scan_next(&root, &pos, NULL, &row) == 0) {
        ngx_mesh_identity_revocation_write(call, j, &row);
    }
}


void
ngx_mesh_identity_revocation_write(ngx_mesh_identity_call_t *call,
    json_write_t *j, const json_scan_t *row)
{
    int64_t      until;
    json_scan_t  value;

    json_write_object(j);

    if (json_scan_find(row, "cid", &value) == 0) {
        json_write_member_raw(j, "cid", value.raw);
    }

    if (json_scan_find(row, "by", &value) == 0) {
        json_write_member_raw(j, "by", value.raw);

    } else {
        json_write_member(j, "by", bytes_make(call->mcf->did.data,
                                              call->mcf->did.len));
    }

    if (json_scan_find(row, "at", &value) == 0) {
        json_write_member_raw(j, "revokedAt", value.raw);
    }

    if (json_scan_find(row, "until", &value) == 0
        && json_scan_integer(&value, &until) == 0
        && until != 0)
    {
        ngx_mesh_identity_call_time(j, "keptUntil", until * 1000);
    }

    if (json_scan_find(row, "revocation", &value) == 0) {
        json_write_member_raw(j, "revocation", value.raw);

    } else if (json_scan_find(row, "token", &value) == 0) {
        json_write_member_raw(j, "token", value.raw);
    }

    json_write_object_end(j);
}


/* Pages. */

size_t
ngx_mesh_identity_revocation_limit(ngx_mesh_identity_call_t *call)
{
    ngx_int_t  rc, n;
    ngx_str_t  text;

    rc = ngx_mesh_route_query(call->request, "limit", &text);

    if (rc == NGX_DECLINED) {
        return NGX_MESH_IDENTITY_LIST_LIMIT;
    }

    n = (rc == NGX_OK) ? ngx_atoi(text.data, text.len) : NGX_ERROR;

    if (n < 1 || n > NGX_MESH_IDENTITY_LIST_MAX) {
        call->detail = "\"limit\" must be a number from 1 to 100";
        return 0;
    }

    return (size_t) n;
}


/* A cursor is good for this list of this caller; its key is made of that of
   the mesh. */

static ngx_int_t
ngx_mesh_identity_revocation_scope(ngx_mesh_identity_call_t *call,
    const char *list, bytes_t *scope, u_char *key)
{
    bytes_writer_t  w;

    static const u_char  purpose[] = "mesh identity cursor 1";

    ngx_mesh_identity_call_writer(call, &w,
                                  ngx_strlen(list) + 1 + call->caller.id.len);
    bytes_writer_text(&w, list);
    bytes_writer_byte(&w, ' ');
    bytes_writer_bytes(&w, call->caller.id);

    *scope = bytes_writer_view(&w);

    crypto_generichash(key, CURSOR_KEY_LEN, purpose, sizeof(purpose),
                       call->mcf->key->secret, SIGNATURE_SEED_LEN);

    return w.failed ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_mesh_identity_revocation_cursor(ngx_mesh_identity_call_t *call,
    const char *list, bytes_t *after, ngx_int_t *rc)
{
    u_char          key[CURSOR_KEY_LEN];
    bytes_t         scope;
    ngx_int_t       found;
    ngx_str_t       text;
    bytes_writer_t  w;

    *after = bytes_make(NULL, 0);
    found = ngx_mesh_route_query(call->request, "cursor", &text);

    if (found == NGX_DECLINED) {
        return NGX_OK;
    }

    ngx_mesh_identity_call_writer(call, &w, CURSOR_PAYLOAD_MAX);

    if (w.failed
        || ngx_mesh_identity_revocation_scope(call, list, &scope, key)
           != NGX_OK)
    {
        *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return NGX_DECLINED;
    }

    if (found == NGX_OK
        && cursor_decode(key, scope, bytes_make(text.data, text.len), &w)
           == 0)
    {
        found = NGX_OK;
        *after = bytes_writer_view(&w);

    } else {
        found = NGX_DECLINED;
        *rc = ngx_mesh_identity_call_refuse(call, PROBLEM_INVALID_CURSOR,
                  "take \"cursor\" from the \"next\" of the page before");
    }

    sodium_memzero(key, sizeof(key));

    return found;
}


ngx_int_t
ngx_mesh_identity_revocation_next(ngx_mesh_identity_call_t *call,
    const char *list, bytes_t after, json_write_t *j)
{
    int                  rc;
    u_char               key[CURSOR_KEY_LEN];
    bytes_t              scope, text;
    ngx_str_t            link, limit, empty;
    bytes_writer_t       w;
    ngx_http_request_t  *r;

    r = call->request;

    ngx_mesh_identity_call_writer(call, &w, CURSOR_TEXT_MAX);

    if (w.failed
        || ngx_mesh_identity_revocation_scope(call, list, &scope, key)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = cursor_encode(key, scope, after, &w);
    sodium_memzero(key, sizeof(key));

    if (rc != 0) {
        return NGX_ERROR;
    }

    text = bytes_writer_view(&w);
    json_write_member(j, "next", text);

    ngx_str_null(&empty);

    if (ngx_mesh_route_query(r, "limit", &limit) != NGX_OK) {
        limit = empty;
    }

    link.data = ngx_pnalloc(r->pool, sizeof("<?cursor=&limit=>; rel=\"next\"")
                                     + r->uri.len + text.len + limit.len);

    if (link.data == NULL) {
        return NGX_ERROR;
    }

    link.len = ngx_sprintf(link.data, "<%V?cursor=%*s%s%V>; rel=\"next\"",
                           &r->uri, text.len, text.data,
                           limit.len ? "&limit=" : "", &limit)
               - link.data;

    return ngx_mesh_reply_header(r, "Link", &link);
}
