/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Change of somebody's role: the delegations of the old role are revoked and
 * those of the new one issued, in one commit.  What hangs below the old ones
 * ends within a second: sessions log in again, and find what the new role
 * holds.
 *
 * Nobody gives a role above their own, changes somebody at or above their
 * own, or touches the owner.  A bot has the role of a bot, from its maker.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_identity.h"


typedef struct {
    record_participant_t       target;
    ngx_mesh_identity_role_t   old;
    ngx_mesh_identity_role_t   role;
    bytes_t                    name;          /* of the new role */
    bytes_t                    delegation;    /* stored container */
    uint64_t                   seq;           /* of the participant */
    ngx_uint_t                 tries;
    ngx_mesh_identity_make_t  *make;
} ngx_mesh_identity_assign_t;


static ngx_int_t ngx_mesh_identity_assign_body(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_assign_find(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_assign_target(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_assign_judge(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_assign_make(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_assign_write(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_assign_done(
    ngx_mesh_identity_call_t *call);


/* PATCH /api/participants/:id {role} */

ngx_int_t
ngx_mesh_identity_assign_role(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_identity_call_body(r, args,
                                       ngx_mesh_identity_assign_body);
}


static ngx_int_t
ngx_mesh_identity_assign_body(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_assign_t  *assign;

    assign = ngx_pcalloc(call->request->pool,
                         sizeof(ngx_mesh_identity_assign_t));
    if (assign == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    call->context = assign;

    if (ngx_mesh_identity_input_text(call, "role", NGX_MESH_IDENTITY_ROLE_MAX,
                                     &assign->name)
        != NGX_OK)
    {
        return ngx_mesh_identity_call_bad(call);
    }

    return ngx_mesh_identity_call_caller(call, ngx_mesh_identity_assign_find);
}


static ngx_int_t
ngx_mesh_identity_assign_find(ngx_mesh_identity_call_t *call)
{
    bytes_t                      id;
    ngx_mesh_identity_assign_t  *assign;

    assign = call->context;
    id = bytes_make(call->args.value[0].data, call->args.value[0].len);

    if (!id_valid(id, 'p')) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_NOT_FOUND,
                                             "there is no such participant");
    }

    if (ngx_mesh_identity_call_allow(call, "/role/manage", "role",
                                     assign->name, NULL)
        != NGX_OK)
    {
        return ngx_mesh_identity_call_forbid(call, bytes_of("/role/manage"));
    }

    (void) ngx_mesh_identity_call_get(call, "participant", id);
    (void) ngx_mesh_identity_call_get(call, "delegation", id);
    (void) ngx_mesh_identity_call_get(call, "role", assign->name);

    return ngx_mesh_identity_call_read(call, ngx_mesh_identity_assign_target);
}


static ngx_int_t
ngx_mesh_identity_assign_target(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_assign_t  *assign;

    assign = call->context;

    if (!ngx_mesh_identity_call_found(call, 0)) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_NOT_FOUND,
                                             "there is no such participant");
    }

    if (ngx_mesh_identity_call_participant(call,
            ngx_mesh_identity_call_value(call, 0), &assign->target)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (assign->target.removed_ms != 0) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_NOT_FOUND,
                                             "this participant was removed");
    }

    if (!bytes_equal_text(assign->target.kind, "person")) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_CONFLICT,
                   "only people have a role of their own: a bot has what its "
                   "maker delegated, a guest goes when its session does");
    }

    assign->seq = ngx_mesh_identity_call_seq(call, 0);
    assign->delegation = ngx_mesh_identity_call_value(call, 1);

    if (ngx_mesh_identity_role_find(&assign->role, assign->name,
            ngx_mesh_identity_call_value(call, 2))
        != NGX_OK)
    {
        call->detail = "member \"role\" names no role of this mesh";
        return ngx_mesh_identity_call_bad(call);
    }

    assign->role.seq = ngx_mesh_identity_call_seq(call, 2);

    (void) ngx_mesh_identity_call_get(call, "role", assign->target.role);

    return ngx_mesh_identity_call_read(call, ngx_mesh_identity_assign_judge);
}


static ngx_int_t
ngx_mesh_identity_assign_judge(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_assign_t  *assign;

    assign = call->context;

    (void) ngx_mesh_identity_role_find(&assign->old, assign->target.role,
               ngx_mesh_identity_call_value(call, 0));

    if (bytes_equal_text(assign->target.role, "owner")) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_ROLE_IMMUTABLE,
                   "the role of the owner cannot be changed");
    }

    if (assign->role.priority > call->caller_role.priority
        || bytes_equal_text(assign->role.name, "owner"))
    {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_ROLE_TOO_HIGH,
                   "nobody gives a role above their own");
    }

    if (assign->old.priority >= call->caller_role.priority) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_ROLE_TOO_HIGH,
                   "only who stands above a participant may change its role");
    }

    return ngx_mesh_identity_assign_make(call);
}


static ngx_int_t
ngx_mesh_identity_assign_make(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_make_t    *make;
    ngx_mesh_identity_assign_t  *assign;

    assign = call->context;

    make = ngx_mesh_identity_make_create(call, NGX_MESH_IDENTITY_PERSON);

    if (make == NULL || assign->target.id.len != ID_LEN) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    assign->make = make;

    ngx_memcpy(make->id, assign->target.id.data, ID_LEN);
    ngx_memcpy(make->grants, assign->role.grants,
               assign->role.grant_count * sizeof(grant_t));
    make->grant_count = assign->role.grant_count;

    /* the DID is known and the key is not needed */

    ngx_mesh_identity_make_set(make, &make->did, assign->target.did);
    ngx_mesh_identity_make_set(make, &make->ns, assign->target.ns);

    return ngx_mesh_identity_make_submit(call, make,
                                         ngx_mesh_identity_assign_write);
}


static ngx_int_t
ngx_mesh_identity_assign_write(ngx_mesh_identity_call_t *call)
{
    bytes_t                      id, json;
    store_op_t                  *op;
    record_participant_t         record;
    ngx_mesh_identity_assign_t  *assign;

    assign = call->context;

    if (assign->make->made != NGX_MESH_IDENTITY_MADE) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    record = assign->target;
    record.role = assign->role.name;
    id = record.id;
    json = ngx_mesh_identity_call_record(call, &record);

    op = ngx_mesh_identity_call_op(call, STORE_PUT, "participant", id);
    op->value = json;
    op->condition = STORE_IF_SEQ;
    op->if_seq = assign->seq;

    op = ngx_mesh_identity_call_op(call, STORE_PUT, "did", record.did);
    op->value = json;

    op = ngx_mesh_identity_call_op(call, STORE_PUT, "delegation", id);
    op->value = assign->make->delegation;

    if (!assign->old.builtin) {
        (void) ngx_mesh_identity_call_op(call, STORE_DELETE, "holder",
                   ngx_mesh_identity_role_holder(call, assign->target.role,
                                                 id));
    }

    if (!assign->role.builtin) {
        op = ngx_mesh_identity_call_op(call, STORE_PUT, "holder",
                 ngx_mesh_identity_role_holder(call, assign->role.name, id));
        op->value = bytes_of("1");

        ngx_mesh_identity_role_touch(call, &assign->role);
    }

    if (ngx_mesh_identity_removal_add(call, assign->delegation, record.did)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_identity_call_write(call, ngx_mesh_identity_assign_done);
}


static ngx_int_t
ngx_mesh_identity_assign_done(ngx_mesh_identity_call_t *call)
{
    bytes_t                      json;
    record_participant_t         record;
    ngx_mesh_identity_assign_t  *assign;

    assign = call->context;

    if (call->rc == STORE_CONDITION) {

        if (++assign->tries < NGX_MESH_IDENTITY_TRIES_MAX) {
            return ngx_mesh_identity_assign_find(call);
        }

        return ngx_mesh_identity_call_refuse(call, PROBLEM_CONFLICT,
                   "somebody else is changing this participant");
    }

    ngx_log_error(NGX_LOG_NOTICE, call->request->connection->log, 0,
                  "identity: role of \"%*s\" changed from %*s to %*s by "
                  "\"%*s\"",
                  assign->target.id.len, assign->target.id.data,
                  assign->target.role.len, assign->target.role.data,
                  assign->role.name.len, assign->role.name.data,
                  call->caller.id.len, call->caller.id.data);

    if (ngx_mesh_identity_revocation_apply(call) != NGX_OK) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_BUSY,
                   "the role is changed; old sessions end when this node's "
                   "zone of revocations has room");
    }

    record = assign->target;
    record.role = assign->role.name;
    json = ngx_mesh_identity_call_record(call, &record);

    if (json.len == 0) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_reply_json(call->request, NGX_HTTP_OK, json);
}
