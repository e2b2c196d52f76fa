/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Ends of authority: logout and removal of a participant.
 *
 * Revoking the delegations of a participant ends all that hangs below them:
 * its sessions, its bots and theirs.
 *
 * The name of a removed participant stays taken, so that nobody becomes who
 * somebody was; its DID may be registered anew.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_identity.h"


typedef struct {
    record_participant_t      target;
    ngx_mesh_identity_role_t  role;           /* the target's */
    uint64_t                  seq;            /* of its record */
    ngx_uint_t                tries;
} ngx_mesh_identity_removal_t;


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


/* Revoking. */

ngx_int_t
ngx_mesh_identity_removal_add(ngx_mesh_identity_call_t *call,
    bytes_t container, bytes_t did)
{
    size_t                           i, count;
    cid_t                           *cids;
    ucan_memory_t                    memory;
    ngx_mesh_identity_set_t         *set;
    ngx_mesh_identity_revocation_t   revocation;

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

    ngx_memzero(&revocation, sizeof(ngx_mesh_identity_revocation_t));

    for (i = 0; i < count; i++) {
        revocation.cid = cids[i];
        (void) ngx_mesh_identity_revocation_add(call, &revocation);
    }

    ngx_mesh_identity_revocation_publish(call);

    return NGX_OK;
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
    const ucan_token_t              *top;
    ngx_mesh_identity_revocation_t   revocation;

    if (call->principal == NULL) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_UNAUTHENTICATED,
                   "send a token as \"Authorization: Bearer <token>\"");
    }

    /* its own end: the principal's is that of one chain, and there may be
       others behind it */

    top = call->principal->chain->bundle->top;

    ngx_memzero(&revocation, sizeof(ngx_mesh_identity_revocation_t));
    revocation.cid = top->cid;
    revocation.until = top->has_exp ? (time_t) top->exp
                                      + NGX_MESH_IDENTITY_REVOKED_SLACK : 0;

    /* not published: nobody else is shown a session */

    (void) ngx_mesh_identity_revocation_add(call, &revocation);

    return ngx_mesh_identity_call_write(call,
                                        ngx_mesh_identity_removal_logout_done);
}


static ngx_int_t
ngx_mesh_identity_removal_logout_done(ngx_mesh_identity_call_t *call)
{
    if (call->rc != STORE_OK
        || ngx_mesh_identity_revocation_apply(call) != NGX_OK)
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

    if (ngx_mesh_identity_revocation_apply(call) != NGX_OK) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_BUSY,
                   "the participant is removed; its sessions end when this "
                   "node's zone of revocations has room");
    }

    return ngx_mesh_reply_empty(call->request, NGX_HTTP_NO_CONTENT);
}
