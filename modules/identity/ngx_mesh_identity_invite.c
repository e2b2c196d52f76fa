/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Invites: a code of 128 random bits that lets somebody register, with a
 * role that is not above its creator's, a number of times, until it expires.
 * The store knows the hash of a code only.
 *
 * A code is worth what its creator may when it is used: after the creator
 * was removed or has a lower role than the invite gives, it is worth
 * nothing.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <sodium.h>

#include "ngx_mesh_identity.h"
#include "base32.h"


#define NGX_MESH_IDENTITY_INVITE_LEN      16      /* bytes of a code */
#define NGX_MESH_IDENTITY_INVITE_TEXT     26      /* characters of it */
#define NGX_MESH_IDENTITY_INVITE_HASH     32      /* bytes */
#define NGX_MESH_IDENTITY_INVITE_USES     1000
#define NGX_MESH_IDENTITY_INVITE_SECONDS  (7 * 24 * 60 * 60)
#define NGX_MESH_IDENTITY_INVITE_MAX      (90 * 24 * 60 * 60)


/* Being created: the code is known once. */
typedef struct {
    ngx_mesh_identity_invite_t  invite;
    bytes_t                     code;
    int64_t                     seconds;
} ngx_mesh_identity_invite_new_t;


static ngx_int_t ngx_mesh_identity_invite_body(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_invite_role(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_invite_write(
    ngx_mesh_identity_call_t *call);
static bytes_t ngx_mesh_identity_invite_code(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_invite_t *invite);
static bytes_t ngx_mesh_identity_invite_hash(ngx_mesh_identity_call_t *call,
    const u_char *code);
static bytes_t ngx_mesh_identity_invite_json(ngx_mesh_identity_call_t *call,
    const ngx_mesh_identity_invite_t *invite);
static ngx_int_t ngx_mesh_identity_invite_done(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_invite_verify_read(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_invite_verify_own(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_invite_verify_done(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_invite_refuse(
    ngx_mesh_identity_call_t *call, const char *reason);


/* POST /api/invites {role?, uses?, expiresIn?, delegations?} */

ngx_int_t
ngx_mesh_identity_invite_create(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_identity_call_body(r, args,
                                       ngx_mesh_identity_invite_body);
}


static ngx_int_t
ngx_mesh_identity_invite_body(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_invite_t      *invite;
    ngx_mesh_identity_invite_new_t  *made;

    made = ngx_pcalloc(call->request->pool,
                       sizeof(ngx_mesh_identity_invite_new_t));
    if (made == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    call->context = made;
    invite = &made->invite;
    invite->role = bytes_of("member");
    invite->uses = 1;
    made->seconds = NGX_MESH_IDENTITY_INVITE_SECONDS;

    if (ngx_mesh_identity_input_text(call, "role", NGX_MESH_IDENTITY_ROLE_MAX,
                                     &invite->role)
        == NGX_ERROR
        || ngx_mesh_identity_input_integer(call, "uses", 1,
               NGX_MESH_IDENTITY_INVITE_USES, &invite->uses)
           == NGX_ERROR
        || ngx_mesh_identity_input_integer(call, "expiresIn", 1,
               NGX_MESH_IDENTITY_INVITE_MAX, &made->seconds)
           == NGX_ERROR
        || ngx_mesh_identity_input_text(call, "delegations", 32768,
                                        &invite->delegations)
           == NGX_ERROR)
    {
        return ngx_mesh_identity_call_bad(call);
    }

    if (invite->role.len == 0) {
        invite->role = bytes_of("member");
    }

    return ngx_mesh_identity_call_caller(call,
                                         ngx_mesh_identity_invite_role);
}


static ngx_int_t
ngx_mesh_identity_invite_role(ngx_mesh_identity_call_t *call)
{
    ucan_memory_t                    memory;
    ngx_mesh_identity_set_t         *set;
    ngx_mesh_identity_invite_new_t  *made;

    made = call->context;

    if (ngx_mesh_identity_call_allow(call, "/member/invite", "role",
                                     made->invite.role, NULL)
        != NGX_OK)
    {
        return ngx_mesh_identity_call_forbid(call,
                                             bytes_of("/member/invite"));
    }

    if (made->invite.delegations.len != 0) {

        set = ngx_pcalloc(call->request->pool,
                          sizeof(ngx_mesh_identity_set_t));
        ngx_mesh_identity_call_memory(call, &memory);

        if (set == NULL
            || ngx_mesh_identity_token_unpack(set, made->invite.delegations,
                                              &memory)
               != NGX_OK)
        {
            call->detail = "member \"delegations\" must be a container of "
                           "delegations";
            return ngx_mesh_identity_call_bad(call);
        }
    }

    (void) ngx_mesh_identity_call_get(call, "role", made->invite.role);

    return ngx_mesh_identity_call_read(call, ngx_mesh_identity_invite_write);
}


static ngx_int_t
ngx_mesh_identity_invite_write(ngx_mesh_identity_call_t *call)
{
    store_op_t                      *op;
    ngx_mesh_identity_role_t         role;
    ngx_mesh_identity_invite_t      *invite;
    ngx_mesh_identity_invite_new_t  *made;

    made = call->context;
    invite = &made->invite;

    if (ngx_mesh_identity_role_find(&role, invite->role,
            ngx_mesh_identity_call_value(call, 0))
        != NGX_OK)
    {
        call->detail = "member \"role\" names no role of this mesh";
        return ngx_mesh_identity_call_bad(call);
    }

    if (role.priority > call->caller_role.priority
        || bytes_equal_text(role.name, "owner"))
    {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_ROLE_TOO_HIGH,
                   "nobody invites to a role above their own");
    }

    invite->creator = call->caller.id;
    invite->expires_ms = call->now_ms + made->seconds * 1000;
    made->code = ngx_mesh_identity_invite_code(call, invite);

    op = ngx_mesh_identity_call_op(call, STORE_PUT, "invite", invite->key);
    op->value = ngx_mesh_identity_invite_json(call, invite);
    op->condition = STORE_IF_ABSENT;
    op->expires_ms = invite->expires_ms;

    return ngx_mesh_identity_call_write(call, ngx_mesh_identity_invite_done);
}


/* A fresh code; invite->key is its hash. */

static bytes_t
ngx_mesh_identity_invite_code(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_invite_t *invite)
{
    u_char          code[NGX_MESH_IDENTITY_INVITE_LEN];
    bytes_writer_t  w;

    randombytes_buf(code, sizeof(code));

    ngx_mesh_identity_call_writer(call, &w, NGX_MESH_IDENTITY_INVITE_TEXT);

    if (base32_encode(bytes_make(code, sizeof(code)), &w) != 0) {
        call->broken = 1;
    }

    invite->key = ngx_mesh_identity_invite_hash(call, code);

    return bytes_writer_view(&w);
}


static bytes_t
ngx_mesh_identity_invite_hash(ngx_mesh_identity_call_t *call,
    const u_char *code)
{
    u_char  *hex;
    u_char   hash[NGX_MESH_IDENTITY_INVITE_HASH];

    hex = ngx_pnalloc(call->request->pool, 2 * sizeof(hash));

    if (hex == NULL) {
        call->broken = 1;
        return bytes_make(NULL, 0);
    }

    crypto_generichash(hash, sizeof(hash), code, NGX_MESH_IDENTITY_INVITE_LEN,
                       NULL, 0);
    ngx_hex_dump(hex, hash, sizeof(hash));

    return bytes_make(hex, 2 * sizeof(hash));
}


ngx_int_t
ngx_mesh_identity_invite_key(ngx_mesh_identity_call_t *call, bytes_t code,
    bytes_t *key)
{
    u_char          lower[NGX_MESH_IDENTITY_INVITE_TEXT];
    u_char          raw[NGX_MESH_IDENTITY_INVITE_LEN];
    bytes_writer_t  w;

    if (code.len != sizeof(lower)) {
        return NGX_DECLINED;
    }

    ngx_strlow(lower, (u_char *) code.data, code.len);
    bytes_writer_open(&w, raw, sizeof(raw));

    if (base32_decode(bytes_make(lower, sizeof(lower)), &w) != 0
        || bytes_writer_left(&w) != 0)
    {
        return NGX_DECLINED;
    }

    *key = ngx_mesh_identity_invite_hash(call, raw);

    return NGX_OK;
}


static bytes_t
ngx_mesh_identity_invite_json(ngx_mesh_identity_call_t *call,
    const ngx_mesh_identity_invite_t *invite)
{
    json_write_t    j;
    bytes_writer_t  w;

    ngx_mesh_identity_call_writer(call, &w, 512 + invite->delegations.len);

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member(&j, "role", invite->role);
    json_write_member(&j, "creator", invite->creator);
    json_write_member_integer(&j, "uses", invite->uses);
    json_write_member_integer(&j, "expires", invite->expires_ms);

    if (invite->delegations.len != 0) {
        json_write_member(&j, "delegations", invite->delegations);
    }

    json_write_object_end(&j);

    if (w.failed) {
        call->broken = 1;
        return bytes_make(NULL, 0);
    }

    return bytes_writer_view(&w);
}


static ngx_int_t
ngx_mesh_identity_invite_done(ngx_mesh_identity_call_t *call)
{
    json_write_t                     j;
    bytes_writer_t                   w;
    ngx_mesh_identity_invite_t      *invite;
    ngx_mesh_identity_invite_new_t  *made;

    made = call->context;
    invite = &made->invite;

    if (call->rc != STORE_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_log_error(NGX_LOG_NOTICE, call->request->connection->log, 0,
                  "identity: \"%*s\" made an invite to %*s",
                  call->caller.id.len, call->caller.id.data,
                  invite->role.len, invite->role.data);

    ngx_mesh_identity_call_writer(call, &w, 1024);
    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member(&j, "code", made->code);
    json_write_member(&j, "role", invite->role);
    json_write_member_integer(&j, "uses", invite->uses);
    ngx_mesh_identity_call_time(&j, "expiresAt", invite->expires_ms);
    json_write_member(&j, "createdBy", invite->creator);
    json_write_object_end(&j);

    return ngx_mesh_identity_call_reply(call, NGX_HTTP_CREATED, &w);
}


/* Use. */

ngx_int_t
ngx_mesh_identity_invite_read(ngx_mesh_identity_call_t *call, size_t i,
    ngx_mesh_identity_invite_t *invite)
{
    json_scan_t  object, value;

    ngx_memzero(invite, sizeof(ngx_mesh_identity_invite_t));

    if (json_scan_validate(ngx_mesh_identity_call_value(call, i), NULL)
        != JSON_SCAN_OK
        || json_scan_open(ngx_mesh_identity_call_value(call, i), &object) != 0
        || json_scan_find(&object, "role", &value) != 0
        || json_scan_plain(&value, &invite->role) != 0
        || json_scan_find(&object, "creator", &value) != 0
        || json_scan_plain(&value, &invite->creator) != 0
        || json_scan_find(&object, "uses", &value) != 0
        || json_scan_integer(&value, &invite->uses) != 0
        || json_scan_find(&object, "expires", &value) != 0
        || json_scan_integer(&value, &invite->expires_ms) != 0)
    {
        return NGX_DECLINED;
    }

    if (json_scan_find(&object, "delegations", &value) == 0
        && json_scan_plain(&value, &invite->delegations) != 0)
    {
        return NGX_DECLINED;
    }

    invite->seq = ngx_mesh_identity_call_seq(call, i);

    return (invite->uses > 0 && invite->expires_ms > call->now_ms)
           ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_mesh_identity_invite_verify(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_invite_t *invite, ngx_mesh_identity_step_pt step)
{
    call->invite = invite;
    call->then = step;

    (void) ngx_mesh_identity_call_get(call, "participant", invite->creator);
    (void) ngx_mesh_identity_call_get(call, "role", invite->role);

    return ngx_mesh_identity_call_read(call,
                                       ngx_mesh_identity_invite_verify_read);
}


static ngx_int_t
ngx_mesh_identity_invite_verify_read(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_invite_t  *invite;

    invite = call->invite;

    if (!ngx_mesh_identity_call_found(call, 0)
        || ngx_mesh_identity_call_participant(call,
               ngx_mesh_identity_call_value(call, 0), &invite->maker)
           != NGX_OK
        || invite->maker.removed_ms != 0)
    {
        return ngx_mesh_identity_invite_refuse(call, "its creator is gone");
    }

    if (ngx_mesh_identity_role_find(&invite->granted, invite->role,
            ngx_mesh_identity_call_value(call, 1))
        != NGX_OK)
    {
        return ngx_mesh_identity_invite_refuse(call, "its role is gone");
    }

    invite->granted.seq = ngx_mesh_identity_call_seq(call, 1);

    if (ngx_mesh_identity_role_find(&invite->own, invite->maker.role,
                                    bytes_make(NULL, 0))
        == NGX_OK)
    {
        return ngx_mesh_identity_invite_verify_done(call);
    }

    (void) ngx_mesh_identity_call_get(call, "role", invite->maker.role);

    return ngx_mesh_identity_call_read(call,
                                       ngx_mesh_identity_invite_verify_own);
}


static ngx_int_t
ngx_mesh_identity_invite_verify_own(ngx_mesh_identity_call_t *call)
{
    if (ngx_mesh_identity_role_find(&call->invite->own,
            call->invite->maker.role, ngx_mesh_identity_call_value(call, 0))
        != NGX_OK)
    {
        return ngx_mesh_identity_invite_refuse(call,
                                               "its creator's role is gone");
    }

    return ngx_mesh_identity_invite_verify_done(call);
}


static ngx_int_t
ngx_mesh_identity_invite_verify_done(ngx_mesh_identity_call_t *call)
{
    static const char  command[] = "/member/invite";
    size_t             i;

    if (call->invite->granted.priority > call->invite->own.priority) {
        return ngx_mesh_identity_invite_refuse(call,
                   "its creator's role is lower than what it gives");
    }

    for (i = 0; i < call->invite->own.grant_count; i++) {

        if (ucan_chain_covers(call->invite->own.grants[i].command,
                              bytes_of(command)))
        {
            return call->then(call);
        }
    }

    return ngx_mesh_identity_invite_refuse(call,
                                           "its creator may not invite now");
}


static ngx_int_t
ngx_mesh_identity_invite_refuse(ngx_mesh_identity_call_t *call,
    const char *reason)
{
    ngx_log_error(NGX_LOG_NOTICE, call->request->connection->log, 0,
                  "identity: invite of \"%*s\" refused: %s",
                  call->invite->creator.len, call->invite->creator.data,
                  reason);

    return ngx_mesh_identity_call_refuse(call, PROBLEM_INVITE_INVALID,
               "whoever made this invite may not give what it gives");
}


size_t
ngx_mesh_identity_invite_take(ngx_mesh_identity_call_t *call,
    const ngx_mesh_identity_invite_t *invite)
{
    size_t                       i;
    store_op_t                  *op;
    ngx_mesh_identity_invite_t   left;

    i = call->op_count;
    left = *invite;
    left.uses--;

    op = ngx_mesh_identity_call_op(call,
                                   left.uses ? STORE_PUT : STORE_DELETE,
                                   "invite", invite->key);
    op->condition = STORE_IF_SEQ;
    op->if_seq = invite->seq;

    if (left.uses) {
        op->value = ngx_mesh_identity_invite_json(call, &left);
        op->expires_ms = invite->expires_ms;
    }

    return i;
}
