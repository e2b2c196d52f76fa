/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Delegations that are handed in once and named by CID afterwards: the ucan
 * module looks a proof that was not presented up under "proof/<cid>".
 *
 * Only their issuer or their audience hands them in, sees them and takes them
 * out; to everybody else they are not there.  Both may hold the same one: the
 * proof goes with the last of the two.  What is kept of a participant is
 * bounded, and goes when it expires.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_identity.h"
#include "base64.h"
#include "cursor.h"
#include "ucan_container.h"


#define NGX_MESH_IDENTITY_DELEGATION_DID_MAX  400    /* bytes */


typedef struct {
    bytes_t         cid;
    bytes_t         raw;
    ucan_token_t   *token;
    uint64_t        seq;          /* of its proof */
    ngx_uint_t      tries;
} ngx_mesh_identity_delegation_t;


static ngx_int_t ngx_mesh_identity_delegation_list_step(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_delegation_list_read(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_delegation_list_reply(
    ngx_mesh_identity_call_t *call);
static void ngx_mesh_identity_delegation_write(
    ngx_mesh_identity_call_t *call, json_write_t *j, bytes_t cid,
    const json_scan_t *row);
static ngx_int_t ngx_mesh_identity_delegation_one(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_delegation_read(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_delegation_found(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_delegation_show(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_delegation_other(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_delegation_drop(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_delegation_dropped(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_delegation_absent(
    ngx_mesh_identity_call_t *call);


ngx_int_t
ngx_mesh_identity_delegation_unpack(bytes_t text, bytes_t *list, size_t max,
    size_t *count, ucan_memory_t *memory)
{
    size_t           n;
    u_char          *buf;
    bytes_t         *envelopes;
    ucan_limits_t    limits;
    bytes_writer_t   w;

    if (text.len == 0 || *count == max) {
        return NGX_ERROR;
    }

    /* a JWT and an envelope as they are stored, "eyJ" and array of two */

    if (text.data[0] == 'e' || text.data[0] == 0x82) {
        list[(*count)++] = text;
        return NGX_OK;
    }

    /* the same byte in base64url starts with a letter that no container has */

    if (text.data[0] == 'g') {

        buf = memory->alloc(memory->data, base64_decoded_max(text.len));

        if (buf == NULL) {
            return NGX_ERROR;
        }

        bytes_writer_open(&w, buf, base64_decoded_max(text.len));

        if (base64_decode(BASE64_URL, text, &w) != 0) {
            return NGX_ERROR;
        }

        list[(*count)++] = bytes_writer_view(&w);

        return NGX_OK;
    }

    ucan_limits_init(&limits);

    if (ucan_container_decode(text, &envelopes, &n, &limits, memory)
        != UCAN_OK
        || n > max - *count)
    {
        return NGX_ERROR;
    }

    ngx_memcpy(list + *count, envelopes, n * sizeof(bytes_t));
    *count += n;

    return NGX_OK;
}


ucan_token_t *
ngx_mesh_identity_delegation_parse(bytes_t raw, ucan_memory_t *memory)
{
    ucan_limits_t    limits;
    ucan_bundle_t   *bundle;
    ucan_verdict_t   verdict;

    bundle = memory->alloc(memory->data, sizeof(ucan_bundle_t));

    if (bundle == NULL || raw.len == 0) {
        return NULL;
    }

    ngx_memzero(bundle, sizeof(ucan_bundle_t));
    ucan_limits_init(&limits);

    if (raw.data[0] != 0x82) {
        verdict = ucan_bundle_parse(bundle, raw, bytes_make(NULL, 0), &limits,
                                    memory);

        return verdict == UCAN_OK ? bundle->top : NULL;
    }

    verdict = ucan_bundle_parse_envelopes(bundle, &raw, 1, &limits, memory);

    return (verdict == UCAN_OK && bundle->count == 1) ? &bundle->tokens[0]
                                                      : NULL;
}


/* GET /api/ucan/delegations */

ngx_int_t
ngx_mesh_identity_delegation_list(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_identity_call_begin(r, args,
               ngx_mesh_identity_delegation_list_step);
}


static ngx_int_t
ngx_mesh_identity_delegation_list_step(ngx_mesh_identity_call_t *call)
{
    return ngx_mesh_identity_call_caller(call,
               ngx_mesh_identity_delegation_list_read);
}


static ngx_int_t
ngx_mesh_identity_delegation_list_read(ngx_mesh_identity_call_t *call)
{
    size_t     i, limit;
    bytes_t    after;
    ngx_int_t  rc;

    limit = ngx_mesh_identity_revocation_limit(call);

    if (limit == 0) {
        return ngx_mesh_identity_call_bad(call);
    }

    if (ngx_mesh_identity_revocation_cursor(call, "delegations", &after, &rc)
        != NGX_OK)
    {
        return rc;
    }

    i = ngx_mesh_identity_call_range(call, "holding",
            ngx_mesh_identity_delegation_key(call, call->caller.id,
                                             bytes_make(NULL, 0)),
            limit);

    call->reads[i].after_key = after;

    return ngx_mesh_identity_call_read(call,
               ngx_mesh_identity_delegation_list_reply);
}


static ngx_int_t
ngx_mesh_identity_delegation_list_reply(ngx_mesh_identity_call_t *call)
{
    size_t               i, size;
    bytes_t              key;
    json_scan_t          row;
    json_write_t         j;
    bytes_writer_t       w;
    const store_rows_t  *rows;

    rows = &call->rows[0];
    size = 64 + CURSOR_TEXT_MAX;

    for (i = 0; i < rows->count; i++) {
        size += 256 + rows->rows[i].value.len;
    }

    ngx_mesh_identity_call_writer(call, &w, size);
    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_key(&j, "delegations");
    json_write_array(&j);

    for (i = 0; i < rows->count; i++) {

        key = rows->rows[i].key;

        if (key.len < CID_TEXT_LEN
            || json_scan_open(rows->rows[i].value, &row) != 0)
        {
            continue;
        }

        json_write_object(&j);
        ngx_mesh_identity_delegation_write(call, &j,
            bytes_make(key.data + key.len - CID_TEXT_LEN, CID_TEXT_LEN),
            &row);
        json_write_object_end(&j);
    }

    json_write_array_end(&j);

    if (rows->more && rows->count != 0
        && ngx_mesh_identity_revocation_next(call, "delegations",
               rows->rows[rows->count - 1].key, &j)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_object_end(&j);

    return ngx_mesh_identity_call_reply(call, NGX_HTTP_OK, &w);
}


static void
ngx_mesh_identity_delegation_write(ngx_mesh_identity_call_t *call,
    json_write_t *j, bytes_t cid, const json_scan_t *row)
{
    int64_t      exp;
    json_scan_t  value;

    json_write_member(j, "cid", cid);

    if (json_scan_find(row, "iss", &value) == 0) {
        json_write_member_raw(j, "issuer", value.raw);
    }

    if (json_scan_find(row, "aud", &value) == 0) {
        json_write_member_raw(j, "audience", value.raw);
    }

    if (json_scan_find(row, "at", &value) == 0) {
        json_write_member_raw(j, "createdAt", value.raw);
    }

    if (json_scan_find(row, "exp", &value) == 0
        && json_scan_integer(&value, &exp) == 0
        && exp != 0)
    {
        ngx_mesh_identity_call_time(j, "expiresAt", exp * 1000);
    }
}


/* GET and DELETE /api/ucan/delegations/:cid */

ngx_int_t
ngx_mesh_identity_delegation_find(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_identity_call_begin(r, args,
                                        ngx_mesh_identity_delegation_one);
}


ngx_int_t
ngx_mesh_identity_delegation_delete(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_identity_call_begin(r, args,
                                        ngx_mesh_identity_delegation_one);
}


static ngx_int_t
ngx_mesh_identity_delegation_one(ngx_mesh_identity_call_t *call)
{
    call->context = ngx_pcalloc(call->request->pool,
                                sizeof(ngx_mesh_identity_delegation_t));

    if (call->context == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_identity_call_caller(call,
                                         ngx_mesh_identity_delegation_read);
}


static ngx_int_t
ngx_mesh_identity_delegation_read(ngx_mesh_identity_call_t *call)
{
    cid_t                            cid;
    ngx_str_t                       *text;
    ngx_mesh_identity_delegation_t  *delegation;

    delegation = call->context;
    text = &call->args.value[0];

    if (cid_parse(&cid, bytes_make(text->data, text->len)) != 0) {
        return ngx_mesh_identity_delegation_absent(call);
    }

    delegation->cid = ngx_mesh_identity_delegation_cid(call, &cid);

    (void) ngx_mesh_identity_call_get(call, "proof", delegation->cid);
    (void) ngx_mesh_identity_call_get(call, "holding",
               ngx_mesh_identity_delegation_key(call, call->caller.id,
                                                delegation->cid));

    return ngx_mesh_identity_call_read(call,
                                       ngx_mesh_identity_delegation_found);
}


static ngx_int_t
ngx_mesh_identity_delegation_found(ngx_mesh_identity_call_t *call)
{
    bytes_t                          other;
    ucan_token_t                    *token;
    ucan_memory_t                    memory;
    ngx_mesh_identity_delegation_t  *delegation;

    delegation = call->context;
    delegation->raw = ngx_mesh_identity_call_value(call, 0);
    delegation->seq = ngx_mesh_identity_call_seq(call, 0);

    ngx_mesh_identity_call_memory(call, &memory);

    token = ngx_mesh_identity_delegation_parse(delegation->raw, &memory);

    if (token == NULL
        || (!bytes_equal(token->iss, call->caller.did)
            && !bytes_equal(token->aud, call->caller.did)))
    {
        return ngx_mesh_identity_delegation_absent(call);
    }

    delegation->token = token;

    if (call->request->method != NGX_HTTP_DELETE) {
        return ngx_mesh_identity_delegation_show(call);
    }

    if (!ngx_mesh_identity_call_found(call, 1)) {
        return ngx_mesh_identity_delegation_absent(call);
    }

    /* the other of the two may hold it as well */

    other = bytes_equal(token->iss, call->caller.did) ? token->aud
                                                      : token->iss;

    if (other.len > NGX_MESH_IDENTITY_DELEGATION_DID_MAX
        || bytes_equal(other, call->caller.did))
    {
        call->rows = NULL;
        return ngx_mesh_identity_delegation_drop(call);
    }

    (void) ngx_mesh_identity_call_get(call, "did", other);

    return ngx_mesh_identity_call_read(call,
                                       ngx_mesh_identity_delegation_other);
}


static ngx_int_t
ngx_mesh_identity_delegation_show(ngx_mesh_identity_call_t *call)
{
    json_write_t                     j;
    ucan_token_t                    *token;
    bytes_writer_t                   w, text;
    ngx_mesh_identity_delegation_t  *delegation;

    delegation = call->context;
    token = delegation->token;

    ngx_mesh_identity_call_writer(call, &text,
                                  base64_encoded_max(delegation->raw.len));

    if (delegation->raw.data[0] == 0x82) {
        (void) base64_encode(BASE64_URL, delegation->raw, &text);

    } else {
        bytes_writer_bytes(&text, delegation->raw);
    }

    ngx_mesh_identity_call_writer(call, &w,
        512 + token->iss.len + token->aud.len
        + base64_encoded_max(delegation->raw.len));

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member(&j, "cid", delegation->cid);
    json_write_member(&j, "issuer", token->iss);
    json_write_member(&j, "audience", token->aud);

    if (token->has_exp) {
        ngx_mesh_identity_call_time(&j, "expiresAt", token->exp * 1000);
    }

    json_write_member(&j, "delegation", bytes_writer_view(&text));
    json_write_object_end(&j);

    return ngx_mesh_identity_call_reply(call, NGX_HTTP_OK, &w);
}


static ngx_int_t
ngx_mesh_identity_delegation_other(ngx_mesh_identity_call_t *call)
{
    record_participant_t             other;
    ngx_mesh_identity_delegation_t  *delegation;

    delegation = call->context;

    if (!ngx_mesh_identity_call_found(call, 0)) {
        return ngx_mesh_identity_delegation_drop(call);
    }

    if (ngx_mesh_identity_call_participant(call,
            ngx_mesh_identity_call_value(call, 0), &other)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    (void) ngx_mesh_identity_call_get(call, "holding",
               ngx_mesh_identity_delegation_key(call, other.id,
                                                delegation->cid));

    return ngx_mesh_identity_call_read(call,
                                       ngx_mesh_identity_delegation_drop);
}


static ngx_int_t
ngx_mesh_identity_delegation_drop(ngx_mesh_identity_call_t *call)
{
    store_op_t                      *op;
    ngx_mesh_identity_delegation_t  *delegation;

    delegation = call->context;

    (void) ngx_mesh_identity_call_op(call, STORE_DELETE, "holding",
               ngx_mesh_identity_delegation_key(call, call->caller.id,
                                                delegation->cid));

    /* handed in again meanwhile: its number has changed */

    op = ngx_mesh_identity_call_op(call,
             (call->rows && ngx_mesh_identity_call_found(call, 0))
             ? STORE_CHECK : STORE_DELETE,
             "proof", delegation->cid);

    op->condition = STORE_IF_SEQ;
    op->if_seq = delegation->seq;

    return ngx_mesh_identity_call_write(call,
                                        ngx_mesh_identity_delegation_dropped);
}


static ngx_int_t
ngx_mesh_identity_delegation_dropped(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_delegation_t  *delegation;

    delegation = call->context;

    if (call->rc == STORE_CONDITION) {

        if (++delegation->tries < NGX_MESH_IDENTITY_TRIES_MAX) {
            return ngx_mesh_identity_delegation_read(call);
        }

        return ngx_mesh_identity_call_refuse(call, PROBLEM_CONFLICT,
                   "somebody else is changing this delegation");
    }

    return ngx_mesh_reply_empty(call->request, NGX_HTTP_NO_CONTENT);
}


bytes_t
ngx_mesh_identity_delegation_key(ngx_mesh_identity_call_t *call, bytes_t id,
    bytes_t cid)
{
    bytes_writer_t  w;

    ngx_mesh_identity_call_writer(call, &w, id.len + 1 + cid.len);
    bytes_writer_bytes(&w, id);
    bytes_writer_byte(&w, '/');
    bytes_writer_bytes(&w, cid);

    if (w.failed) {
        call->broken = 1;
    }

    return bytes_writer_view(&w);
}


bytes_t
ngx_mesh_identity_delegation_cid(ngx_mesh_identity_call_t *call,
    const cid_t *cid)
{
    bytes_writer_t  w;

    ngx_mesh_identity_call_writer(call, &w, CID_TEXT_LEN);
    cid_write(cid, &w);

    if (w.failed) {
        call->broken = 1;
    }

    return bytes_writer_view(&w);
}


static ngx_int_t
ngx_mesh_identity_delegation_absent(ngx_mesh_identity_call_t *call)
{
    return ngx_mesh_identity_call_refuse(call, PROBLEM_NOT_FOUND,
               "no delegation with that CID is kept for you here");
}
