/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Sessions of those who are registered: login with a password, the
 * delegations of those who keep their own key, who am I, who is that.
 *
 * The container of a session is put together from what the participant and
 * those above it hold now, so that a bot whose maker lost something has less
 * at its next login, and one whose maker is gone has nothing.
 *
 * A name that does not exist and a wrong password look alike: the same
 * reads, the same Argon2id, the same answer.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_identity.h"


#define NGX_MESH_IDENTITY_NOBODY  "p_00000000000000000000000000"


typedef struct {
    bytes_t                    name;
    bytes_t                    folded;
    bytes_t                    password;      /* wiped with the request */
    bytes_t                    address;
    record_participant_t       record;
    bytes_t                    delegation;    /* stored container */
    bytes_t                    lineage;
    ngx_mesh_identity_make_t  *make;          /* NULL: no password */
    ngx_mesh_identity_set_t    set;
} ngx_mesh_identity_login_t;


static ngx_int_t ngx_mesh_identity_login_body(
    ngx_mesh_identity_call_t *call);
static time_t ngx_mesh_identity_login_wait(ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_login_proof(
    ngx_mesh_identity_call_t *call, bytes_t did);
static ngx_int_t ngx_mesh_identity_login_proof_read(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_login_named(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_login_hash(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_login_hashed(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_login_fail(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_login_above(
    ngx_mesh_identity_call_t *call, ngx_mesh_identity_step_pt step);
static ngx_int_t ngx_mesh_identity_login_compose(
    ngx_mesh_identity_call_t *call, bytes_t *text);
static ngx_int_t ngx_mesh_identity_login_reply(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_login_me_caller(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_login_me_read(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_login_me_reply(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_login_me_write(
    ngx_mesh_identity_call_t *call, bytes_t delegations);
static ngx_int_t ngx_mesh_identity_login_find_caller(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_login_find_read(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_login_find_reply(
    ngx_mesh_identity_call_t *call);


/* POST /api/auth/login {name, password} or {did, proof} */

ngx_int_t
ngx_mesh_identity_login_open(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_identity_call_body(r, args,
                                       ngx_mesh_identity_login_body);
}


static ngx_int_t
ngx_mesh_identity_login_body(ngx_mesh_identity_call_t *call)
{
    time_t                      wait;
    bytes_t                     did;
    ngx_int_t                   rc;
    ngx_mesh_identity_login_t  *login;

    login = ngx_pcalloc(call->request->pool,
                        sizeof(ngx_mesh_identity_login_t));
    if (login == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    call->context = login;

    rc = ngx_mesh_identity_account_proof(call, &did);

    if (rc == NGX_OK) {
        return ngx_mesh_identity_login_proof(call, did);
    }

    if (rc == NGX_ERROR
        || ngx_mesh_identity_input_name(call, &login->name, &login->folded)
           != NGX_OK
        || ngx_mesh_identity_input_password(call, 0, &login->password)
           != NGX_OK)
    {
        return ngx_mesh_identity_call_bad(call);
    }

    login->address = bytes_make(call->request->connection->addr_text.data,
                                call->request->connection->addr_text.len);

    wait = ngx_mesh_identity_login_wait(call);

    if (wait != 0) {
        return ngx_mesh_identity_throttle_refuse(call, wait);
    }

    (void) ngx_mesh_identity_call_get(call, "name", login->folded);

    return ngx_mesh_identity_call_read(call, ngx_mesh_identity_login_named);
}


/* Seconds until the name and the address are heard again, or 0. */

static time_t
ngx_mesh_identity_login_wait(ngx_mesh_identity_call_t *call)
{
    time_t                      wait;
    ngx_mesh_identity_login_t  *login;

    login = call->context;

    wait = ngx_mesh_identity_throttle_find(call,
               NGX_MESH_IDENTITY_THROTTLE_NAME, login->folded);

    if (wait == 0) {
        wait = ngx_mesh_identity_throttle_find(call,
                   NGX_MESH_IDENTITY_THROTTLE_ADDRESS, login->address);
    }

    return wait;
}


/* The key was proven: what its owner holds is no secret to it. */

static ngx_int_t
ngx_mesh_identity_login_proof(ngx_mesh_identity_call_t *call, bytes_t did)
{
    (void) ngx_mesh_identity_call_get(call, "did", did);

    return ngx_mesh_identity_call_read(call,
                                       ngx_mesh_identity_login_proof_read);
}


static ngx_int_t
ngx_mesh_identity_login_proof_read(ngx_mesh_identity_call_t *call)
{
    if (!ngx_mesh_identity_call_found(call, 0)) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_NOT_A_PARTICIPANT,
                   "this DID is not registered here; register it with "
                   "POST /api/auth/register {name, did, proof}");
    }

    if (ngx_mesh_identity_call_participant(call,
            ngx_mesh_identity_call_value(call, 0), &call->caller)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_identity_login_me_caller(call);
}


static ngx_int_t
ngx_mesh_identity_login_named(ngx_mesh_identity_call_t *call)
{
    bytes_t  id;

    id = ngx_mesh_identity_call_value(call, 0);

    if (id.len == 0) {
        id = bytes_of(NGX_MESH_IDENTITY_NOBODY);
    }

    (void) ngx_mesh_identity_call_get(call, "login", id);
    (void) ngx_mesh_identity_call_get(call, "participant", id);
    (void) ngx_mesh_identity_call_get(call, "delegation", id);
    (void) ngx_mesh_identity_call_get(call, "lineage", id);

    return ngx_mesh_identity_call_read(call, ngx_mesh_identity_login_hash);
}


static ngx_int_t
ngx_mesh_identity_login_hash(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_make_t   *make;
    ngx_mesh_identity_login_t  *login;

    login = call->context;

    make = ngx_mesh_identity_make_create(call, NGX_MESH_IDENTITY_LOGIN);

    if (make == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    login->make = make;

    ngx_memcpy(make->id, NGX_MESH_IDENTITY_NOBODY, ID_LEN);
    ngx_mesh_identity_make_set(make, &make->password, login->password);

    if (ngx_mesh_identity_call_found(call, 0)
        && ngx_mesh_identity_call_found(call, 1))
    {
        if (ngx_mesh_identity_call_participant(call,
                ngx_mesh_identity_call_value(call, 1), &login->record)
            != NGX_OK
            || login->record.id.len != ID_LEN)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ngx_memcpy(make->id, login->record.id.data, ID_LEN);
        ngx_mesh_identity_make_set(make, &make->record,
                                   ngx_mesh_identity_call_value(call, 0));

        login->delegation = ngx_mesh_identity_call_value(call, 2);
        login->lineage = ngx_mesh_identity_call_value(call, 3);
    }

    return ngx_mesh_identity_make_submit(call, make,
                                         ngx_mesh_identity_login_hashed);
}


static ngx_int_t
ngx_mesh_identity_login_hashed(ngx_mesh_identity_call_t *call)
{
    time_t                      wait;
    ngx_mesh_identity_login_t  *login;

    login = call->context;

    /* those that came all at once were let in before the first one failed */

    wait = ngx_mesh_identity_login_wait(call);

    if (wait != 0) {
        return ngx_mesh_identity_throttle_refuse(call, wait);
    }

    switch (login->make->made) {

    case NGX_MESH_IDENTITY_MADE:
        break;

    case NGX_MESH_IDENTITY_WRONG_PASSWORD:
        return ngx_mesh_identity_login_fail(call);

    default:
        return ngx_mesh_identity_call_refuse(call, PROBLEM_BUSY,
                   "this node has no memory for a login now");
    }

    return ngx_mesh_identity_login_above(call, ngx_mesh_identity_login_reply);
}


static ngx_int_t
ngx_mesh_identity_login_fail(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_login_t  *login;

    login = call->context;

    ngx_mesh_identity_throttle_add(call, NGX_MESH_IDENTITY_THROTTLE_NAME,
                                   login->folded);
    ngx_mesh_identity_throttle_add(call, NGX_MESH_IDENTITY_THROTTLE_ADDRESS,
                                   login->address);

    /* the name is what a client sent: it may be a password in the wrong
       field, so only one that exists is logged */

    if (login->record.id.len != 0) {
        ngx_log_error(NGX_LOG_NOTICE, call->request->connection->log, 0,
                      "identity: login of \"%*s\" failed",
                      login->record.id.len, login->record.id.data);

    } else {
        ngx_log_error(NGX_LOG_NOTICE, call->request->connection->log, 0,
                      "identity: login of nobody known failed");
    }

    return ngx_mesh_identity_call_refuse(call, PROBLEM_WRONG_PASSWORD,
               "the name or the password is wrong");
}


/* Reads what stands above a bot; a person has nobody above. */

static ngx_int_t
ngx_mesh_identity_login_above(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_step_pt step)
{
    ngx_int_t                   n;
    ngx_mesh_identity_login_t  *login;

    login = call->context;
    call->rows = NULL;

    if (login->lineage.len == 0) {
        return step(call);
    }

    n = ngx_mesh_identity_login_lineage(call, login->lineage);

    if (n == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_identity_call_read(call, step);
}


ngx_int_t
ngx_mesh_identity_login_lineage(ngx_mesh_identity_call_t *call,
    bytes_t lineage)
{
    size_t     pos;
    ngx_int_t  n;

    n = 0;

    for (pos = 0; pos + ID_LEN <= lineage.len; pos += ID_LEN + 1) {

        (void) ngx_mesh_identity_call_get(call, "delegation",
                   bytes_make(lineage.data + pos, ID_LEN));
        n++;
    }

    return n > NGX_MESH_IDENTITY_LINEAGE_MAX ? NGX_ERROR : n;
}


/* The container of the participant: the chains that end at it, and its
   session when it opened one.  NGX_OK; NGX_DECLINED: it holds nothing. */

static ngx_int_t
ngx_mesh_identity_login_compose(ngx_mesh_identity_call_t *call,
    bytes_t *text)
{
    size_t                      i, n;
    bytes_t                     mesh;
    ucan_memory_t               memory;
    ngx_mesh_identity_set_t    *set;
    ngx_mesh_identity_login_t  *login;

    login = call->context;
    set = &login->set;
    mesh = bytes_make(call->mcf->did.data, call->mcf->did.len);

    ngx_mesh_identity_call_memory(call, &memory);

    n = call->rows ? login->lineage.len / ID_LEN : 0;

    for (i = 0; i < n; i++) {

        if (ngx_mesh_identity_token_unpack(set,
                ngx_mesh_identity_call_value(call, i), &memory)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ngx_mesh_identity_token_unpack(set, login->delegation, &memory)
        != NGX_OK
        || ngx_mesh_identity_token_select(set, mesh, login->record.did,
                                          &memory)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (set->count == 0) {
        return NGX_DECLINED;
    }

    if (login->make) {

        if (set->count == NGX_MESH_IDENTITY_SET_MAX) {
            return NGX_ERROR;
        }

        set->list[set->count++] = login->make->session;
    }

    return ngx_mesh_identity_token_pack(set, 'P', text, &memory);
}


static ngx_int_t
ngx_mesh_identity_login_reply(ngx_mesh_identity_call_t *call)
{
    bytes_t                     token;
    ngx_int_t                   rc;
    json_write_t                j;
    bytes_writer_t              w;
    record_participant_t       *record;
    ngx_mesh_identity_login_t  *login;

    login = call->context;
    record = &login->record;

    rc = ngx_mesh_identity_login_compose(call, &token);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_NOTICE, call->request->connection->log, 0,
                      "identity: login of \"%*s\" refused, it holds nothing",
                      record->id.len, record->id.data);

        return ngx_mesh_identity_call_refuse(call, PROBLEM_FORBIDDEN,
                   "whoever made this participant does not hold anything "
                   "any more, so it does not either");
    }

    ngx_log_error(NGX_LOG_INFO, call->request->connection->log, 0,
                  "identity: \"%*s\" logged in", record->id.len,
                  record->id.data);

    ngx_mesh_identity_call_writer(call, &w,
        1024 + token.len + record->did.len
        + json_write_string_max(record->name.len));

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member(&j, "participantId", record->id);
    json_write_member(&j, "name", record->name);
    json_write_member(&j, "did", record->did);
    json_write_member(&j, "role", record->role);
    json_write_member(&j, "token", token);
    ngx_mesh_identity_call_time(&j, "expiresAt", login->make->expires * 1000);
    json_write_object_end(&j);

    return ngx_mesh_identity_call_reply(call, NGX_HTTP_OK, &w);
}


/* GET /api/auth/me[?delegations=1] */

ngx_int_t
ngx_mesh_identity_login_me(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    ngx_mesh_identity_call_t  *call;

    call = ngx_mesh_identity_call_create(r, args);

    if (call == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_identity_call_caller(call,
                                         ngx_mesh_identity_login_me_caller);
}


static ngx_int_t
ngx_mesh_identity_login_me_caller(ngx_mesh_identity_call_t *call)
{
    ngx_int_t                   rc;
    ngx_str_t                   value;
    ngx_mesh_identity_login_t  *login;

    if (call->context == NULL) {
        rc = ngx_mesh_route_query(call->request, "delegations", &value);

        if (rc == NGX_DECLINED || (rc == NGX_OK && value.len == 1
                                   && value.data[0] == '0'))
        {
            return ngx_mesh_identity_login_me_write(call,
                                                    bytes_make(NULL, 0));
        }

        call->context = ngx_pcalloc(call->request->pool,
                                    sizeof(ngx_mesh_identity_login_t));
    }

    login = call->context;

    if (login == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    login->record = call->caller;

    (void) ngx_mesh_identity_call_get(call, "delegation", call->caller.id);
    (void) ngx_mesh_identity_call_get(call, "lineage", call->caller.id);

    return ngx_mesh_identity_call_read(call, ngx_mesh_identity_login_me_read);
}


static ngx_int_t
ngx_mesh_identity_login_me_read(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_login_t  *login;

    login = call->context;
    login->delegation = ngx_mesh_identity_call_value(call, 0);
    login->lineage = ngx_mesh_identity_call_value(call, 1);

    return ngx_mesh_identity_login_above(call,
                                         ngx_mesh_identity_login_me_reply);
}


static ngx_int_t
ngx_mesh_identity_login_me_reply(ngx_mesh_identity_call_t *call)
{
    bytes_t    delegations;
    ngx_int_t  rc;

    rc = ngx_mesh_identity_login_compose(call, &delegations);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_DECLINED) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_FORBIDDEN,
                   "whoever made this participant does not hold anything "
                   "any more, so it does not either");
    }

    return ngx_mesh_identity_login_me_write(call, delegations);
}


static ngx_int_t
ngx_mesh_identity_login_me_write(ngx_mesh_identity_call_t *call,
    bytes_t delegations)
{
    json_write_t           j;
    bytes_writer_t         w;
    record_participant_t  *p;

    p = &call->caller;

    ngx_mesh_identity_call_writer(call, &w,
        2048 + delegations.len + p->did.len
        + json_write_string_max(p->name.len));

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member(&j, "participantId", p->id);
    json_write_member(&j, "id", p->id);
    json_write_member(&j, "name", p->name);
    json_write_member(&j, "did", p->did);
    json_write_member(&j, "role", p->role);
    json_write_member(&j, "kind", p->kind);

    if (p->maker.len != 0) {
        json_write_member(&j, "maker", p->maker);
    }

    if (p->ns.len != 0) {
        json_write_member(&j, "namespace", p->ns);
    }

    json_write_member_bool(&j, "custodial", p->custodial);
    ngx_mesh_identity_call_time(&j, "createdAt", p->created_ms);
    ngx_mesh_identity_account_custodian(call, &j, p->did);

    /* an invocation may have no end */

    if (call->principal
        && call->principal->expires < INT64_MAX / 1000)
    {
        ngx_mesh_identity_call_time(&j, "expiresAt",
                              (int64_t) call->principal->expires * 1000);
    }

    if (delegations.len != 0) {
        json_write_member(&j, "delegations", delegations);
    }

    json_write_object_end(&j);

    return ngx_mesh_identity_call_reply(call, NGX_HTTP_OK, &w);
}


/* GET /api/participants/:id */

ngx_int_t
ngx_mesh_identity_login_find(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_identity_call_begin(r, args,
                                        ngx_mesh_identity_login_find_caller);
}


static ngx_int_t
ngx_mesh_identity_login_find_caller(ngx_mesh_identity_call_t *call)
{
    return ngx_mesh_identity_call_caller(call,
                                         ngx_mesh_identity_login_find_read);
}


static ngx_int_t
ngx_mesh_identity_login_find_read(ngx_mesh_identity_call_t *call)
{
    bytes_t  id;

    id = bytes_make(call->args.value[0].data, call->args.value[0].len);

    if (!id_valid(id, 'p')) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_NOT_FOUND,
                                             "there is no such participant");
    }

    (void) ngx_mesh_identity_call_get(call, "participant", id);

    return ngx_mesh_identity_call_read(call,
                                       ngx_mesh_identity_login_find_reply);
}


static ngx_int_t
ngx_mesh_identity_login_find_reply(ngx_mesh_identity_call_t *call)
{
    bytes_t  json;

    json = ngx_mesh_identity_call_value(call, 0);

    if (json.len == 0) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_NOT_FOUND,
                                             "there is no such participant");
    }

    return ngx_mesh_reply_json(call->request, NGX_HTTP_OK, json);
}
