/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * New accounts: the first run, registration of people, guests.
 *
 * Everything of a new participant is in one commit, and the answer comes
 * after it.  Whoever commits the item "mesh" is the owner: two that race for
 * it cannot both; the one that lost starts again as an ordinary registrant,
 * or is told that there is an owner already.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <sodium.h>

#include "ngx_mesh_identity.h"


#define NGX_MESH_IDENTITY_PROOF_MAX   8192    /* bytes of a text */
#define NGX_MESH_IDENTITY_GUEST_NAME  14      /* "guest-" and 8 characters */


/* One registration. */
typedef struct {
    ngx_uint_t                     setup;     /* POST /api/setup/init */
    ngx_uint_t                     guest;
    ngx_uint_t                     first;     /* becomes the owner */
    ngx_uint_t                     tries;
    bytes_t                        name;
    bytes_t                        folded;
    bytes_t                        password;  /* wiped with the request */
    bytes_t                        did;       /* self-custody; else empty */
    bytes_t                        invite_key;
    ngx_mesh_identity_settings_t   settings;  /* wanted, or in force */
    ngx_mesh_identity_invite_t     invite;
    ngx_mesh_identity_role_t       role;
    record_participant_t           record;
    ngx_mesh_identity_make_t      *make;
    size_t                         op_mesh;   /* SIZE_MAX: none */
    size_t                         op_name;
    size_t                         op_did;
} ngx_mesh_identity_account_t;


static ngx_int_t ngx_mesh_identity_account_setup_body(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_account_create_body(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_account_guest_body(
    ngx_mesh_identity_call_t *call);
static ngx_mesh_identity_account_t *ngx_mesh_identity_account_open(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_account_input(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_account_read(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_account_decide(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_account_decide_role(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_account_invited(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_account_make(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_account_write(
    ngx_mesh_identity_call_t *call);
static void ngx_mesh_identity_account_ops(ngx_mesh_identity_call_t *call,
    int64_t expires_ms);
static ngx_int_t ngx_mesh_identity_account_done(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_account_reply(
    ngx_mesh_identity_call_t *call);


/* POST /api/setup/init */

ngx_int_t
ngx_mesh_identity_account_setup(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_identity_call_body(r, args,
                                       ngx_mesh_identity_account_setup_body);
}


static ngx_int_t
ngx_mesh_identity_account_setup_body(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_account_t  *account;

    account = ngx_mesh_identity_account_open(call);

    if (account == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    account->setup = 1;

    if (ngx_mesh_identity_account_input(call) != NGX_OK
        || ngx_mesh_identity_setup_input(call, &account->settings) != NGX_OK)
    {
        return ngx_mesh_identity_call_bad(call);
    }

    return ngx_mesh_identity_account_read(call);
}


/* POST /api/auth/register */

ngx_int_t
ngx_mesh_identity_account_create(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_identity_call_body(r, args,
                                       ngx_mesh_identity_account_create_body);
}


static ngx_int_t
ngx_mesh_identity_account_create_body(ngx_mesh_identity_call_t *call)
{
    bytes_t                       code;
    ngx_int_t                     rc;
    ngx_mesh_identity_account_t  *account;

    account = ngx_mesh_identity_account_open(call);

    if (account == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_mesh_identity_account_input(call) != NGX_OK) {
        return ngx_mesh_identity_call_bad(call);
    }

    rc = ngx_mesh_identity_input_text(call, "invite", 64, &code);

    if (rc == NGX_ERROR) {
        return ngx_mesh_identity_call_bad(call);
    }

    if (rc == NGX_OK
        && ngx_mesh_identity_invite_key(call, code, &account->invite_key)
           != NGX_OK)
    {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_INVITE_INVALID,
                                             "this is no invite code");
    }

    return ngx_mesh_identity_account_read(call);
}


/* POST /api/auth/guest */

ngx_int_t
ngx_mesh_identity_account_guest(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_identity_call_body(r, args,
                                       ngx_mesh_identity_account_guest_body);
}


static ngx_int_t
ngx_mesh_identity_account_guest_body(ngx_mesh_identity_call_t *call)
{
    u_char                       *p;
    time_t                        wait;
    bytes_t                       address;
    ngx_int_t                     rc;
    ngx_uint_t                    i;
    ngx_mesh_identity_account_t  *account;

    static const char             alphabet[] =
                                      "0123456789abcdefghjkmnpqrstvwxyz";

    account = ngx_mesh_identity_account_open(call);

    if (account == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    account->guest = 1;

    rc = ngx_mesh_identity_input_name(call, &account->name,
                                      &account->folded);
    if (rc == NGX_ERROR) {
        return ngx_mesh_identity_call_bad(call);
    }

    if (rc == NGX_DECLINED) {
        p = ngx_pnalloc(call->request->pool, NGX_MESH_IDENTITY_GUEST_NAME);

        if (p == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ngx_memcpy(p, "guest-", 6);

        for (i = 6; i < NGX_MESH_IDENTITY_GUEST_NAME; i++) {
            p[i] = alphabet[randombytes_uniform(32)];
        }

        account->name = bytes_make(p, NGX_MESH_IDENTITY_GUEST_NAME);
        account->folded = account->name;
    }

    address = bytes_make(call->request->connection->addr_text.data,
                         call->request->connection->addr_text.len);

    wait = ngx_mesh_identity_throttle_find(call,
               NGX_MESH_IDENTITY_THROTTLE_GUEST, address);
    if (wait != 0) {
        return ngx_mesh_identity_throttle_refuse(call, wait);
    }

    ngx_mesh_identity_throttle_add(call, NGX_MESH_IDENTITY_THROTTLE_GUEST,
                                   address);

    return ngx_mesh_identity_account_read(call);
}


static ngx_mesh_identity_account_t *
ngx_mesh_identity_account_open(ngx_mesh_identity_call_t *call)
{
    call->context = ngx_pcalloc(call->request->pool,
                                sizeof(ngx_mesh_identity_account_t));

    return call->context;
}


/* "name", and either "password" or "did" and "proof". */

static ngx_int_t
ngx_mesh_identity_account_input(ngx_mesh_identity_call_t *call)
{
    ngx_int_t                     rc;
    ngx_mesh_identity_account_t  *account;

    account = call->context;

    if (ngx_mesh_identity_input_name(call, &account->name, &account->folded)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = ngx_mesh_identity_account_proof(call, &account->did);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    rc = ngx_mesh_identity_input_password(call, 1, &account->password);

    if (rc == NGX_DECLINED) {
        call->detail = "member \"password\" is missing (or \"did\" and "
                       "\"proof\", for those who keep their own key)";
    }

    return rc == NGX_OK ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_mesh_identity_account_proof(ngx_mesh_identity_call_t *call, bytes_t *did)
{
    bytes_t         proof, mesh, holder;
    did_key_t       key;
    ngx_int_t       rc;
    ucan_trust_t    trust;
    ucan_bundle_t   bundle;
    ucan_memory_t   memory;
    ucan_verdict_t  verdict;

    rc = ngx_mesh_identity_input_text(call, "did", NGX_MESH_IDENTITY_DID_MAX,
                                      did);

    if (rc != NGX_OK) {
        return rc;
    }

    /* no other text comes into a key, or a log */

    if (did_parse(*did, &key) != 0) {
        call->detail = "member \"did\" must be a did:key of at most 448 "
                       "bytes: an RSA key of 2048 bits, or any other type";
        return NGX_ERROR;
    }

    if (ngx_mesh_identity_input_text(call, "proof",
                                     NGX_MESH_IDENTITY_PROOF_MAX, &proof)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    mesh = bytes_make(call->mcf->did.data, call->mcf->did.len);
    ngx_mesh_identity_token_trust(&trust, &mesh);
    ngx_mesh_identity_call_memory(call, &memory);

    verdict = ucan_bundle_parse(&bundle, proof, bytes_make(NULL, 0),
                                &trust.limits, &memory);
    if (verdict == UCAN_OK) {
        verdict = ucan_chain_holder(&bundle, &trust, call->now_ms / 1000,
                                    &holder);
    }

    if (verdict == UCAN_OK && !bytes_equal(holder, *did)) {
        verdict = UCAN_NO_SESSION;
    }

    if (verdict != UCAN_OK) {
        ngx_log_error(NGX_LOG_NOTICE, call->request->connection->log, 0,
                      "identity: proof of \"%*s\" refused: %s", did->len,
                      did->data, ucan_verdict_text(verdict));

        call->detail = "member \"proof\" must be a container with one "
                       "invocation of \"/session/open\" that the key of "
                       "\"did\" signed about itself for this mesh";
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_identity_account_read(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_account_t  *account;

    account = call->context;

    (void) ngx_mesh_identity_call_get(call, "mesh", bytes_make(NULL, 0));
    (void) ngx_mesh_identity_call_get(call, "name", account->folded);

    /* reads of what is not there keep the rows in their places */

    (void) ngx_mesh_identity_call_get(call, "did",
               account->did.len ? account->did : bytes_of("-"));
    (void) ngx_mesh_identity_call_get(call, "invite",
               account->invite_key.len ? account->invite_key
                                       : bytes_of("-"));

    return ngx_mesh_identity_call_read(call,
                                       ngx_mesh_identity_account_decide);
}


static ngx_int_t
ngx_mesh_identity_account_decide(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_account_t   *account;
    ngx_mesh_identity_settings_t   settings;

    account = call->context;

    ngx_mesh_identity_setup_read(call, ngx_mesh_identity_call_value(call, 0),
                                 &settings);

    account->first = !settings.initialized && !account->guest;

    if (account->setup && settings.initialized) {
        return ngx_mesh_identity_call_refuse(call,
                   PROBLEM_ALREADY_INITIALIZED,
                   "this mesh has an owner; register with "
                   "POST /api/auth/register");
    }

    if (!account->setup) {
        account->settings = settings;
    }

    if (ngx_mesh_identity_call_found(call, 1)) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_NAME_TAKEN,
                   "somebody has this name, choose another");
    }

    if (ngx_mesh_identity_call_found(call, 2)) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_CONFLICT,
                   "this DID is registered already; get its delegations "
                   "with POST /api/auth/login {did, proof}");
    }

    return ngx_mesh_identity_account_decide_role(call);
}


static ngx_int_t
ngx_mesh_identity_account_decide_role(ngx_mesh_identity_call_t *call)
{
    const char                   *role;
    ngx_mesh_identity_account_t  *account;

    account = call->context;

    if (account->guest) {

        if (account->settings.visibility != NGX_MESH_IDENTITY_PUBLIC) {
            return ngx_mesh_identity_call_refuse(call, PROBLEM_FORBIDDEN,
                       "this mesh is private: it takes no guests");
        }

        role = "spectator";

    } else if (account->first) {
        role = "owner";

    } else if (account->settings.registration == NGX_MESH_IDENTITY_CLOSED) {
        return ngx_mesh_identity_call_refuse(call,
                   PROBLEM_REGISTRATION_CLOSED,
                   "this mesh takes no new participants");

    } else if (account->invite_key.len != 0) {

        if (ngx_mesh_identity_invite_read(call, 3, &account->invite)
            != NGX_OK)
        {
            return ngx_mesh_identity_call_refuse(call,
                       PROBLEM_INVITE_INVALID,
                       "this invite is unknown, used up or expired");
        }

        account->invite.key = account->invite_key;

        return ngx_mesh_identity_invite_verify(call, &account->invite,
                   ngx_mesh_identity_account_invited);

    } else if (account->settings.registration == NGX_MESH_IDENTITY_INVITE) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_INVITE_REQUIRED,
                   "this mesh asks for an invite: send its code as "
                   "\"invite\"");

    } else {
        role = "member";
    }

    (void) ngx_mesh_identity_role_find(&account->role, bytes_of(role),
                                       bytes_make(NULL, 0));

    return ngx_mesh_identity_account_make(call);
}


static ngx_int_t
ngx_mesh_identity_account_invited(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_account_t  *account;

    account = call->context;
    account->role = account->invite.granted;

    return ngx_mesh_identity_account_make(call);
}


static ngx_int_t
ngx_mesh_identity_account_make(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_make_t     *make;
    ngx_mesh_identity_account_t  *account;

    account = call->context;

    make = ngx_mesh_identity_make_create(call,
               account->guest ? NGX_MESH_IDENTITY_GUEST
                              : NGX_MESH_IDENTITY_PERSON);
    if (make == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    account->make = make;

    id_create(make->id, 'p', call->now_ms);
    ngx_mesh_identity_make_set(make, &make->ns,
                               bytes_make(make->id, ID_LEN));
    ngx_memcpy(make->grants, account->role.grants,
               account->role.grant_count * sizeof(grant_t));
    make->grant_count = account->role.grant_count;

    ngx_mesh_identity_make_set(make, &make->did, account->did);
    ngx_mesh_identity_make_set(make, &make->password, account->password);

    return ngx_mesh_identity_make_submit(call, make,
                                         ngx_mesh_identity_account_write);
}


static ngx_int_t
ngx_mesh_identity_account_write(ngx_mesh_identity_call_t *call)
{
    int64_t                       expires_ms;
    record_participant_t         *record;
    ngx_mesh_identity_make_t     *make;
    ngx_mesh_identity_account_t  *account;

    account = call->context;
    make = account->make;

    if (make->made != NGX_MESH_IDENTITY_MADE) {
        ngx_log_error(NGX_LOG_ERR, call->request->connection->log, 0,
                      "identity: no memory to make an account");

        return ngx_mesh_identity_call_refuse(call, PROBLEM_BUSY,
                   "this node has no memory for another account now");
    }

    record = &account->record;
    record->id = bytes_make(make->id, ID_LEN);
    record->ns = make->ns;
    record->did = make->made_did;
    record->name = account->name;
    record->role = account->role.name;
    record->kind = bytes_of(account->guest ? "guest" : "person");
    record->custodial = account->did.len == 0;
    record->created_ms = call->now_ms;

    expires_ms = account->guest ? make->expires * 1000 : 0;

    ngx_mesh_identity_account_ops(call, expires_ms);

    return ngx_mesh_identity_call_write(call, ngx_mesh_identity_account_done);
}


static void
ngx_mesh_identity_account_ops(ngx_mesh_identity_call_t *call,
    int64_t expires_ms)
{
    size_t                        i;
    bytes_t                       id, json;
    store_op_t                   *op;
    ngx_mesh_identity_make_t     *make;
    ngx_mesh_identity_account_t  *account;

    account = call->context;
    make = account->make;
    id = account->record.id;
    json = ngx_mesh_identity_call_record(call, &account->record);

    account->op_name = call->op_count;
    op = ngx_mesh_identity_call_op(call, STORE_PUT, "name", account->folded);
    op->value = id;
    op->condition = STORE_IF_ABSENT;

    account->op_did = call->op_count;
    op = ngx_mesh_identity_call_op(call, STORE_PUT, "did",
                                   account->record.did);
    op->value = json;
    op->condition = STORE_IF_ABSENT;

    op = ngx_mesh_identity_call_op(call, STORE_PUT, "participant", id);
    op->value = json;

    op = ngx_mesh_identity_call_op(call, STORE_PUT, "delegation", id);
    op->value = make->delegation;

    if (make->custodian.len != 0) {
        op = ngx_mesh_identity_call_op(call, STORE_PUT, "custodian", id);
        op->value = make->custodian;
    }

    if (account->password.len != 0) {
        op = ngx_mesh_identity_call_op(call, STORE_PUT, "login", id);
        op->value = bytes_make(make->sealed, sizeof(make->sealed));
    }

    for (i = 0; i < call->op_count; i++) {
        call->ops[i].expires_ms = expires_ms;
    }

    account->op_mesh = SIZE_MAX;

    if (account->first) {
        account->settings.owner = id;
        account->op_mesh = call->op_count;

        op = ngx_mesh_identity_call_op(call, STORE_PUT, "mesh",
                                       bytes_make(NULL, 0));
        op->value = ngx_mesh_identity_setup_write(call, &account->settings);
        op->condition = STORE_IF_ABSENT;

    } else if (account->invite.key.len != 0) {
        (void) ngx_mesh_identity_invite_take(call, &account->invite);
    }

    if (!account->role.builtin) {
        op = ngx_mesh_identity_call_op(call, STORE_PUT, "holder",
                 ngx_mesh_identity_role_holder(call, account->role.name, id));
        op->value = bytes_of("1");

        ngx_mesh_identity_role_touch(call, &account->role);
    }
}


static ngx_int_t
ngx_mesh_identity_account_done(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_account_t  *account;

    account = call->context;

    if (call->rc == STORE_CONDITION) {

        if (call->failed == account->op_name) {
            return ngx_mesh_identity_call_refuse(call, PROBLEM_NAME_TAKEN,
                       "somebody has this name, choose another");
        }

        if (call->failed == account->op_did) {
            return ngx_mesh_identity_call_refuse(call, PROBLEM_CONFLICT,
                       "this DID is registered already");
        }

        /* somebody else became the owner, took the invite, or changed the
           role: what was decided is decided anew */

        if (++account->tries < NGX_MESH_IDENTITY_TRIES_MAX) {
            ngx_memzero(&account->invite,
                        sizeof(ngx_mesh_identity_invite_t));
            ngx_mesh_identity_make_destroy(account->make);
            return ngx_mesh_identity_account_read(call);
        }

        return ngx_mesh_identity_call_refuse(call, PROBLEM_BUSY,
                   "too many registrations at once, try again");
    }

    ngx_log_error(NGX_LOG_NOTICE, call->request->connection->log, 0,
                  "identity: \"%*s\" registered as %*s, %*s",
                  account->record.id.len, account->record.id.data,
                  account->record.role.len, account->record.role.data,
                  account->record.did.len, account->record.did.data);

    return ngx_mesh_identity_account_reply(call);
}


static ngx_int_t
ngx_mesh_identity_account_reply(ngx_mesh_identity_call_t *call)
{
    json_write_t                  j;
    bytes_writer_t                w;
    ngx_mesh_identity_make_t     *make;
    ngx_mesh_identity_account_t  *account;

    account = call->context;
    make = account->make;

    ngx_mesh_identity_call_writer(call, &w,
        1024 + make->token.len + account->record.did.len
        + json_write_string_max(account->name.len));

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member(&j, "participantId", account->record.id);
    json_write_member(&j, "name", account->name);
    json_write_member(&j, "did", account->record.did);
    json_write_member(&j, "role", account->record.role);

    if (account->did.len == 0) {
        json_write_member(&j, "token", make->token);
        ngx_mesh_identity_call_time(&j, "expiresAt", make->expires * 1000);

    } else {
        json_write_member(&j, "delegations", make->token);
        ngx_mesh_identity_account_custodian(call, &j, account->did);
    }

    json_write_object_end(&j);

    return ngx_mesh_identity_call_reply(call, NGX_HTTP_CREATED, &w);
}


void
ngx_mesh_identity_account_custodian(ngx_mesh_identity_call_t *call,
    json_write_t *j, bytes_t did)
{
    signature_key_t  custodian;

    ngx_mesh_identity_token_custodian(&custodian, call->mcf->key, did);
    signature_key_destroy(&custodian);

    json_write_member(j, "custodian",
                      bytes_make(custodian.did, sizeof(custodian.did)));
}
