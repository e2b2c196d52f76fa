/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * POST /api/ucan/delegations: delegations that are handed in once and named
 * by CID afterwards.
 *
 * Form and signatures are checked in a thread, in the job's memory.  What is
 * kept of a participant is bounded in number and in bytes, also of requests
 * at once: each changes "held/<p_id>", and the second counts anew.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_identity.h"


#define NGX_MESH_IDENTITY_DEPOSIT_LIST_MAX   30        /* in a request */
#define NGX_MESH_IDENTITY_DEPOSIT_MAX        256       /* of one holder */
#define NGX_MESH_IDENTITY_DEPOSIT_BYTES_MAX  1048576   /* the same */


typedef struct {
    bytes_t         raw;
    cid_t           cid;
    bytes_t         iss;
    bytes_t         aud;
    int64_t         exp;          /* seconds; 0: never */
    ngx_uint_t      known;        /* held already */
} ngx_mesh_identity_deposit_item_t;


/* In the job's memory; the thread writes it. */
typedef struct {
    bytes_t                           texts[
                                          NGX_MESH_IDENTITY_DEPOSIT_LIST_MAX];
    size_t                            text_count;
    bytes_t                           did;       /* of the caller */
    ngx_mesh_identity_deposit_item_t  items[
                                          NGX_MESH_IDENTITY_DEPOSIT_LIST_MAX];
    size_t                            count;
    const char                       *fault;     /* static */
    problem_t                         problem;
} ngx_mesh_identity_deposit_check_t;


typedef struct {
    bytes_t                             texts[
                                          NGX_MESH_IDENTITY_DEPOSIT_LIST_MAX];
    size_t                              text_count;
    ngx_mesh_identity_deposit_check_t  *check;
    ngx_uint_t                          tries;
    ngx_uint_t                          fresh;   /* of the items */
} ngx_mesh_identity_deposit_t;


static ngx_int_t ngx_mesh_identity_deposit_body(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_deposit_submit(
    ngx_mesh_identity_call_t *call);
static void ngx_mesh_identity_deposit_check_thread(
    ngx_mesh_identity_make_t *make);
static const char *ngx_mesh_identity_deposit_check_one(
    ngx_mesh_identity_make_t *make, ngx_mesh_identity_deposit_check_t *check,
    bytes_t raw);
static ngx_int_t ngx_mesh_identity_deposit_checked(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_deposit_held(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_deposit_judge(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_deposit_sum(
    ngx_mesh_identity_call_t *call, size_t *bytes);
static void ngx_mesh_identity_deposit_store(
    ngx_mesh_identity_call_t *call,
    const ngx_mesh_identity_deposit_item_t *item);
static ngx_int_t ngx_mesh_identity_deposit_stored(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_deposit_reply(
    ngx_mesh_identity_call_t *call, ngx_uint_t status);
static ngx_int_t ngx_mesh_identity_deposit_expiry(
    ngx_mesh_identity_call_t *call, int64_t exp);


/* POST /api/ucan/delegations */

ngx_int_t
ngx_mesh_identity_deposit_create(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_identity_call_body(r, args,
                                       ngx_mesh_identity_deposit_body);
}


static ngx_int_t
ngx_mesh_identity_deposit_body(ngx_mesh_identity_call_t *call)
{
    ngx_int_t                        rc;
    json_scan_t                      value;
    ngx_mesh_identity_deposit_t  *deposit;

    deposit = ngx_pcalloc(call->request->pool,
                          sizeof(ngx_mesh_identity_deposit_t));

    if (deposit == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    call->context = deposit;

    if (json_scan_find(&call->body, "delegations", &value) == 0
        && value.type == JSON_SCAN_STRING)
    {
        deposit->text_count = 1;
        rc = ngx_mesh_identity_input_text(call, "delegations",
                                          NGX_MESH_IDENTITY_BODY_MAX,
                                          &deposit->texts[0]);

    } else {
        rc = ngx_mesh_identity_input_texts(call, "delegations",
                 deposit->texts, NGX_MESH_IDENTITY_DEPOSIT_LIST_MAX,
                 &deposit->text_count);
    }

    if (rc != NGX_OK) {
        return ngx_mesh_identity_call_bad(call);
    }

    return ngx_mesh_identity_call_caller(call,
                                         ngx_mesh_identity_deposit_submit);
}


static ngx_int_t
ngx_mesh_identity_deposit_submit(ngx_mesh_identity_call_t *call)
{
    size_t                                 i;
    ngx_mesh_identity_make_t              *make;
    ngx_mesh_identity_deposit_t        *deposit;
    ngx_mesh_identity_deposit_check_t  *check;

    deposit = call->context;

    if (ngx_mesh_identity_call_allow(call, "/ucan/delegate", NULL,
                                     bytes_make(NULL, 0), NULL)
        != NGX_OK)
    {
        return ngx_mesh_identity_call_forbid(call,
                                             bytes_of("/ucan/delegate"));
    }

    make = ngx_mesh_identity_make_create(call, NGX_MESH_IDENTITY_CHECK);

    if (make == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    check = make->memory.alloc(make->memory.data,
                sizeof(ngx_mesh_identity_deposit_check_t));

    if (check == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memzero(check, sizeof(ngx_mesh_identity_deposit_check_t));

    for (i = 0; i < deposit->text_count; i++) {
        ngx_mesh_identity_make_set(make, &check->texts[i],
                                   deposit->texts[i]);
    }

    check->text_count = deposit->text_count;
    ngx_mesh_identity_make_set(make, &check->did, call->caller.did);

    make->check = ngx_mesh_identity_deposit_check_thread;
    make->checked = check;
    deposit->check = check;

    return ngx_mesh_identity_make_submit(call, make,
               ngx_mesh_identity_deposit_checked);
}


static void
ngx_mesh_identity_deposit_check_thread(ngx_mesh_identity_make_t *make)
{
    size_t                                 i, count;
    bytes_t                                list[
                                       NGX_MESH_IDENTITY_DEPOSIT_LIST_MAX];
    ngx_mesh_identity_deposit_check_t  *check;

    check = make->checked;
    check->problem = PROBLEM_BAD_REQUEST;
    count = 0;

    for (i = 0; i < check->text_count; i++) {

        if (ngx_mesh_identity_delegation_unpack(check->texts[i], list,
                NGX_MESH_IDENTITY_DEPOSIT_LIST_MAX, &count, &make->memory)
            != NGX_OK)
        {
            check->fault = "member \"delegations\" must hold 1 to 30 "
                           "delegations: a container, or an array of "
                           "containers, envelopes in base64url and JWTs";
            return;
        }
    }

    for (i = 0; i < count && check->fault == NULL; i++) {
        check->fault = ngx_mesh_identity_deposit_check_one(make, check,
                                                              list[i]);
    }
}


/* NULL, or what is wrong. */

static const char *
ngx_mesh_identity_deposit_check_one(ngx_mesh_identity_make_t *make,
    ngx_mesh_identity_deposit_check_t *check, bytes_t raw)
{
    size_t                                i;
    ucan_token_t                         *token;
    ngx_mesh_identity_deposit_item_t  *item;

    token = ngx_mesh_identity_delegation_parse(raw, &make->memory);

    if (token == NULL) {
        return "one of \"delegations\" is no token";
    }

    if (token->kind == UCAN_TOKEN_INVOCATION) {
        return "one of \"delegations\" is an invocation, which proves "
               "nothing later";
    }

    if (token->has_exp && token->exp <= make->now) {
        return "one of \"delegations\" is expired";
    }

    check->problem = PROBLEM_FORBIDDEN;

    if (!bytes_equal(token->iss, check->did)
        && !bytes_equal(token->aud, check->did))
    {
        return "a delegation is kept for its issuer and its audience, and "
               "one of these is another's";
    }

    if (ucan_token_verify(token) != UCAN_OK) {
        return "the signature of one of \"delegations\" is not that of its "
               "issuer";
    }

    check->problem = PROBLEM_BAD_REQUEST;

    for (i = 0; i < check->count; i++) {
        if (cid_equal(&check->items[i].cid, &token->cid)) {
            return NULL;
        }
    }

    item = &check->items[check->count++];
    item->raw = raw;
    item->cid = token->cid;
    item->iss = token->iss;
    item->aud = token->aud;
    item->exp = token->has_exp ? token->exp : 0;

    return NULL;
}


static ngx_int_t
ngx_mesh_identity_deposit_checked(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_deposit_t  *deposit;

    deposit = call->context;

    if (deposit->check->fault) {
        return ngx_mesh_identity_call_refuse(call, deposit->check->problem,
                                             deposit->check->fault);
    }

    return ngx_mesh_identity_deposit_held(call);
}


static ngx_int_t
ngx_mesh_identity_deposit_held(ngx_mesh_identity_call_t *call)
{
    (void) ngx_mesh_identity_call_get(call, "held", call->caller.id);
    (void) ngx_mesh_identity_call_range(call, "holding",
               ngx_mesh_identity_delegation_key(call, call->caller.id,
                                                bytes_make(NULL, 0)),
               NGX_MESH_IDENTITY_DEPOSIT_MAX);

    return ngx_mesh_identity_call_read(call,
                                       ngx_mesh_identity_deposit_judge);
}


static ngx_int_t
ngx_mesh_identity_deposit_judge(ngx_mesh_identity_call_t *call)
{
    size_t                                 i, bytes;
    store_op_t                            *op;
    ngx_mesh_identity_deposit_t        *deposit;
    ngx_mesh_identity_deposit_check_t  *check;

    deposit = call->context;
    check = deposit->check;
    deposit->fresh = 0;

    if (ngx_mesh_identity_deposit_sum(call, &bytes) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    for (i = 0; i < check->count; i++) {

        if (check->items[i].known) {
            continue;
        }

        deposit->fresh++;
        bytes += check->items[i].raw.len;

        ngx_mesh_identity_deposit_store(call, &check->items[i]);
    }

    if (deposit->fresh == 0) {
        return ngx_mesh_identity_deposit_reply(call, NGX_HTTP_OK);
    }

    if (call->rows[1].count + deposit->fresh
        > NGX_MESH_IDENTITY_DEPOSIT_MAX
        || bytes > NGX_MESH_IDENTITY_DEPOSIT_BYTES_MAX)
    {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_CONFLICT,
                   "256 delegations of 1 MB in all are kept for one "
                   "participant; delete some that are not needed");
    }

    /* of two requests at once the second counts anew */

    op = ngx_mesh_identity_call_op(call, STORE_PUT, "held", call->caller.id);
    op->condition = ngx_mesh_identity_call_found(call, 0) ? STORE_IF_SEQ
                                                          : STORE_IF_ABSENT;
    op->if_seq = ngx_mesh_identity_call_seq(call, 0);
    op->value = bytes_of("1");

    return ngx_mesh_identity_call_write(call,
                                        ngx_mesh_identity_deposit_stored);
}


/* Bytes that are held, and which of the items are. */

static ngx_int_t
ngx_mesh_identity_deposit_sum(ngx_mesh_identity_call_t *call,
    size_t *bytes)
{
    size_t                           i, j;
    bytes_t                          key, cid;
    int64_t                          n;
    json_scan_t                      row, value;
    ngx_mesh_identity_deposit_t  *deposit;

    deposit = call->context;
    *bytes = 0;

    for (i = 0; i < deposit->check->count; i++) {
        deposit->check->items[i].known = 0;
    }

    for (j = 0; j < call->rows[1].count; j++) {

        key = call->rows[1].rows[j].key;

        if (key.len < CID_TEXT_LEN
            || json_scan_open(call->rows[1].rows[j].value, &row) != 0
            || json_scan_find(&row, "bytes", &value) != 0
            || json_scan_integer(&value, &n) != 0)
        {
            return NGX_ERROR;
        }

        *bytes += (size_t) n;

        for (i = 0; i < deposit->check->count; i++) {

            cid = ngx_mesh_identity_delegation_cid(call,
                      &deposit->check->items[i].cid);

            if (bytes_equal(cid, bytes_make(key.data + key.len - CID_TEXT_LEN,
                                            CID_TEXT_LEN)))
            {
                deposit->check->items[i].known = 1;
            }
        }
    }

    return NGX_OK;
}


static void
ngx_mesh_identity_deposit_store(ngx_mesh_identity_call_t *call,
    const ngx_mesh_identity_deposit_item_t *item)
{
    bytes_t         cid;
    store_op_t     *op;
    json_write_t    j;
    bytes_writer_t  w;

    cid = ngx_mesh_identity_delegation_cid(call, &item->cid);

    op = ngx_mesh_identity_call_op(call, STORE_PUT, "proof", cid);
    op->value = item->raw;
    op->expires_ms = item->exp * 1000;

    op = ngx_mesh_identity_call_op(call, STORE_PUT, "holding",
             ngx_mesh_identity_delegation_key(call, call->caller.id, cid));

    ngx_mesh_identity_call_writer(call, &w,
                                  256 + item->iss.len + item->aud.len);
    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member_integer(&j, "bytes", (int64_t) item->raw.len);
    json_write_member(&j, "iss", item->iss);
    json_write_member(&j, "aud", item->aud);
    json_write_member_integer(&j, "exp", item->exp);
    ngx_mesh_identity_call_time(&j, "at", call->now_ms);
    json_write_object_end(&j);

    if (w.failed) {
        call->broken = 1;
    }

    op->value = bytes_writer_view(&w);
    op->expires_ms = item->exp * 1000;
}


static ngx_int_t
ngx_mesh_identity_deposit_stored(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_deposit_t  *deposit;

    deposit = call->context;

    if (call->rc == STORE_CONDITION) {

        if (++deposit->tries < NGX_MESH_IDENTITY_TRIES_MAX) {
            return ngx_mesh_identity_deposit_held(call);
        }

        return ngx_mesh_identity_call_refuse(call, PROBLEM_CONFLICT,
                   "delegations of this participant are being changed by "
                   "others");
    }

    ngx_log_error(NGX_LOG_NOTICE, call->request->connection->log, 0,
                  "identity: %ui delegations handed in by \"%*s\"",
                  deposit->fresh, call->caller.id.len,
                  call->caller.id.data);

    return ngx_mesh_identity_deposit_reply(call, NGX_HTTP_CREATED);
}


static ngx_int_t
ngx_mesh_identity_deposit_reply(ngx_mesh_identity_call_t *call,
    ngx_uint_t status)
{
    size_t                                i, size;
    int64_t                               exp;
    json_write_t                          j;
    bytes_writer_t                        w;
    ngx_mesh_identity_deposit_t       *deposit;
    ngx_mesh_identity_deposit_item_t  *item;

    deposit = call->context;
    size = 64;
    exp = 0;

    for (i = 0; i < deposit->check->count; i++) {
        item = &deposit->check->items[i];
        size += 256 + item->iss.len + item->aud.len;

        if (item->exp != 0 && (exp == 0 || item->exp < exp)) {
            exp = item->exp;
        }
    }

    ngx_mesh_identity_call_writer(call, &w, size);
    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_key(&j, "delegations");
    json_write_array(&j);

    for (i = 0; i < deposit->check->count; i++) {
        item = &deposit->check->items[i];

        json_write_object(&j);
        json_write_member(&j, "cid",
                          ngx_mesh_identity_delegation_cid(call, &item->cid));
        json_write_member(&j, "issuer", item->iss);
        json_write_member(&j, "audience", item->aud);

        if (item->exp != 0) {
            ngx_mesh_identity_call_time(&j, "expiresAt", item->exp * 1000);
        }

        json_write_object_end(&j);
    }

    json_write_array_end(&j);
    json_write_object_end(&j);

    if (ngx_mesh_identity_deposit_expiry(call, exp) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_identity_call_reply(call, status, &w);
}


/* "ucan-cache-expiry" (reference 4.2): until when all of them are known. */

static ngx_int_t
ngx_mesh_identity_deposit_expiry(ngx_mesh_identity_call_t *call,
    int64_t exp)
{
    ngx_str_t  value;

    if (exp == 0) {
        return NGX_OK;
    }

    value.data = ngx_pnalloc(call->request->pool, NGX_INT64_LEN);

    if (value.data == NULL) {
        return NGX_ERROR;
    }

    value.len = ngx_sprintf(value.data, "%L", exp) - value.data;

    return ngx_mesh_reply_header(call->request, "ucan-cache-expiry", &value);
}
