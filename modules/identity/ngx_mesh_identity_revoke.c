/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * POST /api/ucan/revocations, in two forms.
 *
 * A signed one, {"revocation": {...}} or {"token": "..."}, speaks for itself
 * and needs no login.  It counts only against what its issuer gave, so it can
 * do no harm; so that strangers do not fill the store, the issuer is a
 * participant, or shows by delegations beside it that it stands in a chain
 * from this mesh, and each may have so many.
 *
 * {"cid": "..."} is asked of the mesh, by the issuer or the audience of that
 * delegation, or by an admin; the mesh signs it, and it counts whoever issued
 * the token.  Nothing of either is ever taken back.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <sodium.h>

#include "ngx_mesh_identity.h"
#include "ucan_revocation.h"


#define NGX_MESH_IDENTITY_REVOKE_MAX       256    /* of one issuer */
#define NGX_MESH_IDENTITY_REVOKE_DID_MAX   400    /* bytes, of a participant */
#define NGX_MESH_IDENTITY_REVOKE_PRIORITY  900    /* an admin's */
#define NGX_MESH_IDENTITY_REVOKE_TEXT_MAX  65536  /* bytes */


/* In the job's memory; the thread writes it. */
typedef struct {
    bytes_t                     text;
    ucan_verdict_t              verdict;
    ucan_revocation_t           revocation;
    ngx_uint_t                  rooted;     /* witnessed from the mesh down */
    int64_t                     until;
    bytes_t                     token;      /* of an invocation */
} ngx_mesh_identity_revoke_check_t;


typedef struct {
    ngx_mesh_identity_revocation_t    revocation;
    bytes_t                           key;         /* of its row */
    bytes_t                           cid;         /* text */
    bytes_t                           given;       /* text of "delegation" */
    ngx_uint_t                        any;         /* may void all */
    ngx_mesh_identity_revoke_check_t  *check;      /* NULL: asked by CID */
} ngx_mesh_identity_revoke_t;


static ngx_int_t ngx_mesh_identity_revoke_body(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_revoke_submit(
    ngx_mesh_identity_call_t *call, bytes_t text);
static void ngx_mesh_identity_revoke_check_thread(
    ngx_mesh_identity_make_t *make);
static ngx_int_t ngx_mesh_identity_revoke_checked(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_revoke_issuer(
    ngx_mesh_identity_call_t *call);
static bytes_t ngx_mesh_identity_revoke_revoker(
    ngx_mesh_identity_call_t *call, bytes_t did, bytes_t key);
static ngx_int_t ngx_mesh_identity_revoke_caller(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_revoke_judge(
    ngx_mesh_identity_call_t *call);
static ucan_token_t *ngx_mesh_identity_revoke_find(
    ngx_mesh_identity_call_t *call, const cid_t *cid, bytes_t text);
static ngx_uint_t ngx_mesh_identity_revoke_own(
    ngx_mesh_identity_call_t *call, const ucan_token_t *token);
static ngx_int_t ngx_mesh_identity_revoke_owner(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_revoke_write(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_revoke_done(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_revoke_known(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_revoke_reply(
    ngx_mesh_identity_call_t *call, ngx_uint_t status, bytes_t row);


ngx_int_t
ngx_mesh_identity_revoke_create(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_identity_call_body(r, args, ngx_mesh_identity_revoke_body);
}


static ngx_int_t
ngx_mesh_identity_revoke_body(ngx_mesh_identity_call_t *call)
{
    bytes_t                      text;
    ngx_int_t                    rc;
    json_scan_t                  value;
    ngx_mesh_identity_revoke_t  *revoke;

    revoke = ngx_pcalloc(call->request->pool,
                         sizeof(ngx_mesh_identity_revoke_t));

    if (revoke == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    call->context = revoke;

    if (json_scan_find(&call->body, "revocation", &value) == 0
        && value.type == JSON_SCAN_OBJECT)
    {
        return ngx_mesh_identity_revoke_submit(call, value.raw);
    }

    rc = ngx_mesh_identity_input_text(call, "token",
                                      NGX_MESH_IDENTITY_REVOKE_TEXT_MAX,
                                      &text);
    if (rc == NGX_OK) {
        return ngx_mesh_identity_revoke_submit(call, text);
    }

    if (rc == NGX_ERROR) {
        return ngx_mesh_identity_call_bad(call);
    }

    rc = ngx_mesh_identity_input_text(call, "cid", 128, &revoke->cid);

    if (rc != NGX_OK
        || cid_parse(&revoke->revocation.cid, revoke->cid) != 0)
    {
        call->detail = "give \"cid\", the CID of a token, or one that is "
                       "signed: \"revocation\", a record, or \"token\", a "
                       "container with an invocation of \"/ucan/revoke\"";
        return ngx_mesh_identity_call_bad(call);
    }

    if (ngx_mesh_identity_input_text(call, "delegation",
            NGX_MESH_IDENTITY_REVOKE_TEXT_MAX, &revoke->given)
        == NGX_ERROR)
    {
        return ngx_mesh_identity_call_bad(call);
    }

    return ngx_mesh_identity_call_caller(call,
                                         ngx_mesh_identity_revoke_caller);
}


/* Signed ones. */

static ngx_int_t
ngx_mesh_identity_revoke_submit(ngx_mesh_identity_call_t *call, bytes_t text)
{
    ngx_mesh_identity_make_t    *make;
    ngx_mesh_identity_revoke_t  *revoke;

    revoke = call->context;
    make = ngx_mesh_identity_make_create(call, NGX_MESH_IDENTITY_CHECK);

    if (make == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    revoke->check = make->memory.alloc(make->memory.data,
                        sizeof(ngx_mesh_identity_revoke_check_t));

    if (revoke->check == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memzero(revoke->check, sizeof(ngx_mesh_identity_revoke_check_t));
    ngx_mesh_identity_make_set(make, &revoke->check->text, text);

    make->check = ngx_mesh_identity_revoke_check_thread;
    make->checked = revoke->check;

    return ngx_mesh_identity_make_submit(call, make,
                                         ngx_mesh_identity_revoke_checked);
}


static void
ngx_mesh_identity_revoke_check_thread(ngx_mesh_identity_make_t *make)
{
    bytes_t                            mesh;
    ucan_token_t                      *token;
    ucan_bundle_t                      witness;
    ngx_mesh_identity_set_t           *set;
    ngx_mesh_identity_revoke_check_t  *check;

    check = make->checked;

    ngx_memzero(&witness, sizeof(ucan_bundle_t));

    check->verdict = ucan_revocation_parse(&check->revocation, check->text,
                                           &witness, &make->memory);
    if (check->verdict != UCAN_OK) {
        return;
    }

    if (witness.count != 0) {
        mesh = bytes_make(make->mesh->did, sizeof(make->mesh->did));

        check->rooted = ucan_revocation_witnessed(&witness,
                            &check->revocation.cid, check->revocation.by)
                        && ucan_revocation_witnessed(&witness,
                               &check->revocation.cid, mesh);

        /* what has that CID are those very bytes */

        token = ucan_bundle_find(&witness, &check->revocation.cid);

        if (token && token->has_exp) {
            check->until = token->exp + NGX_MESH_IDENTITY_REVOKED_SLACK;
        }
    }

    if (check->revocation.self.codec != CID_DAG_CBOR) {
        return;
    }

    set = make->memory.alloc(make->memory.data,
                             sizeof(ngx_mesh_identity_set_t));

    if (set == NULL) {
        check->verdict = UCAN_NO_MEMORY;
        return;
    }

    set->count = 1;
    set->list[0] = check->revocation.raw;

    if (ngx_mesh_identity_token_pack(set, 'C', &check->token, &make->memory)
        != NGX_OK)
    {
        check->verdict = UCAN_NO_MEMORY;
    }
}


static ngx_int_t
ngx_mesh_identity_revoke_checked(ngx_mesh_identity_call_t *call)
{
    bytes_t                            by;
    ngx_mesh_identity_revoke_t        *revoke;
    ngx_mesh_identity_revocation_t    *revocation;
    ngx_mesh_identity_revoke_check_t  *check;

    revoke = call->context;
    check = revoke->check;
    revocation = &revoke->revocation;

    switch (check->verdict) {

    case UCAN_OK:
        break;

    case UCAN_NO_MEMORY:
        return NGX_HTTP_INTERNAL_SERVER_ERROR;

    case UCAN_BAD_SIGNATURE:
        return ngx_mesh_identity_call_refuse(call, PROBLEM_FORBIDDEN,
                   "the signature is not that of the issuer");

    default:
        call->detail = "this is no revocation: a record is {\"iss\", "
                       "\"revoke\", \"challenge\"}, an invocation is of "
                       "\"/ucan/revoke\" with a link \"revoke\" in its args";
        return ngx_mesh_identity_call_bad(call);
    }

    by = check->revocation.by;

    revocation->cid = check->revocation.cid;
    revocation->by = by;
    revocation->until = (time_t) check->until;
    revocation->token = check->token;

    if (check->token.len == 0) {
        revocation->record = check->revocation.raw;
    }

    revoke->cid = ngx_mesh_identity_delegation_cid(call,
                                                   &revocation->cid);
    revoke->key = ngx_mesh_identity_revocation_key(call, &revocation->cid,
                                                   by);

    (void) ngx_mesh_identity_call_get(call, "revocation", revoke->key);
    (void) ngx_mesh_identity_call_range(call, "revoker",
               ngx_mesh_identity_revoke_revoker(call, by,
                                                bytes_make(NULL, 0)),
               NGX_MESH_IDENTITY_REVOKE_MAX);

    /* a longer one is no key of the store, so nobody registered it */

    if (by.len <= NGX_MESH_IDENTITY_REVOKE_DID_MAX) {
        (void) ngx_mesh_identity_call_get(call, "did", by);
    }

    return ngx_mesh_identity_call_read(call, ngx_mesh_identity_revoke_issuer);
}


static ngx_int_t
ngx_mesh_identity_revoke_issuer(ngx_mesh_identity_call_t *call)
{
    bytes_t                      by;
    ngx_uint_t                   ours;
    ngx_mesh_identity_revoke_t  *revoke;

    revoke = call->context;
    by = revoke->revocation.by;

    if (ngx_mesh_identity_call_found(call, 0)) {
        return ngx_mesh_identity_revoke_known(call);
    }

    ours = bytes_equal(by, bytes_make(call->mcf->did.data,
                                      call->mcf->did.len));

    if (!ours
        && !revoke->check->rooted
        && (by.len > NGX_MESH_IDENTITY_REVOKE_DID_MAX
            || !ngx_mesh_identity_call_found(call, 2)))
    {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_FORBIDDEN,
                   "the issuer is no participant; put the delegations from "
                   "this mesh to the token into the container");
    }

    if (!ours && call->rows[1].count >= NGX_MESH_IDENTITY_REVOKE_MAX) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_RATE_LIMITED,
                   "256 revocations of this issuer are kept, and no more");
    }

    return ngx_mesh_identity_revoke_write(call);
}


/* "<hash of the DID>/<key>"; all of one issuer when key is empty. */

static bytes_t
ngx_mesh_identity_revoke_revoker(ngx_mesh_identity_call_t *call, bytes_t did,
    bytes_t key)
{
    u_char          hash[16], hex[2 * sizeof(hash)];
    bytes_writer_t  w;

    crypto_generichash(hash, sizeof(hash), did.data, did.len, NULL, 0);
    (void) ngx_hex_dump(hex, hash, sizeof(hash));

    ngx_mesh_identity_call_writer(call, &w, sizeof(hex) + 1 + key.len);
    bytes_writer_put(&w, hex, sizeof(hex));
    bytes_writer_byte(&w, '/');
    bytes_writer_bytes(&w, key);

    if (w.failed) {
        call->broken = 1;
    }

    return bytes_writer_view(&w);
}


/* By CID. */

static ngx_int_t
ngx_mesh_identity_revoke_caller(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_revoke_t  *revoke;

    revoke = call->context;
    revoke->cid = ngx_mesh_identity_delegation_cid(call,
                      &revoke->revocation.cid);

    if (ngx_mesh_identity_call_allow(call, "/ucan/revoke", "cid", revoke->cid,
                                     NULL)
        != NGX_OK)
    {
        return ngx_mesh_identity_call_forbid(call, bytes_of("/ucan/revoke"));
    }

    revoke->key = ngx_mesh_identity_revocation_key(call,
                      &revoke->revocation.cid, bytes_make(NULL, 0));

    (void) ngx_mesh_identity_call_get(call, "revocation", revoke->key);
    (void) ngx_mesh_identity_call_get(call, "proof", revoke->cid);
    (void) ngx_mesh_identity_call_get(call, "delegation", call->caller.id);
    (void) ngx_mesh_identity_call_get(call, "custodian", call->caller.id);
    (void) ngx_mesh_identity_call_get(call, "mesh", bytes_make(NULL, 0));

    return ngx_mesh_identity_call_read(call, ngx_mesh_identity_revoke_judge);
}


static ngx_int_t
ngx_mesh_identity_revoke_judge(ngx_mesh_identity_call_t *call)
{
    size_t                         i;
    ucan_token_t                  *token, *found;
    ngx_mesh_identity_revoke_t    *revoke;
    ngx_mesh_identity_settings_t   settings;

    revoke = call->context;
    revoke->any = call->caller_role.priority
                  >= NGX_MESH_IDENTITY_REVOKE_PRIORITY;

    token = ngx_mesh_identity_revoke_find(call, &revoke->revocation.cid,
                                          revoke->given);

    if (revoke->given.len != 0 && token == NULL) {
        call->detail = "member \"delegation\" does not hold the token with "
                       "that CID";
        return ngx_mesh_identity_call_bad(call);
    }

    for (i = 1; i <= 3 && token == NULL; i++) {

        found = ngx_mesh_identity_revoke_find(call, &revoke->revocation.cid,
                    ngx_mesh_identity_call_value(call, i));

        if (found
            && (revoke->any || ngx_mesh_identity_revoke_own(call, found)))
        {
            token = found;
        }
    }

    if (!revoke->any) {

        if (token == NULL) {
            return ngx_mesh_identity_call_refuse(call, PROBLEM_NOT_FOUND,
                       "no delegation with that CID is kept for you here; "
                       "send it along as \"delegation\"");
        }

        if (!ngx_mesh_identity_revoke_own(call, token)) {
            return ngx_mesh_identity_call_refuse(call, PROBLEM_FORBIDDEN,
                       "a delegation is revoked by its issuer or its "
                       "audience");
        }
    }

    if (ngx_mesh_identity_call_found(call, 0)) {
        return ngx_mesh_identity_revoke_known(call);
    }

    if (token && token->has_exp) {
        revoke->revocation.until = (time_t) token->exp
                                   + NGX_MESH_IDENTITY_REVOKED_SLACK;
    }

    ngx_mesh_identity_setup_read(call, ngx_mesh_identity_call_value(call, 4),
                                 &settings);

    (void) ngx_mesh_identity_call_get(call, "delegation", settings.owner);

    return ngx_mesh_identity_call_read(call, ngx_mesh_identity_revoke_owner);
}


/* The token with that CID in a text of one form or another. */

static ucan_token_t *
ngx_mesh_identity_revoke_find(ngx_mesh_identity_call_t *call,
    const cid_t *cid, bytes_t text)
{
    size_t          i, count;
    cid_t           own;
    bytes_t        *list;
    ucan_memory_t   memory;

    if (text.len == 0) {
        return NULL;
    }

    ngx_mesh_identity_call_memory(call, &memory);

    list = ngx_palloc(call->request->pool,
                      NGX_MESH_IDENTITY_SET_MAX * sizeof(bytes_t));
    count = 0;

    if (list == NULL
        || ngx_mesh_identity_delegation_unpack(text, list,
               NGX_MESH_IDENTITY_SET_MAX, &count, &memory)
           != NGX_OK)
    {
        return NULL;
    }

    for (i = 0; i < count; i++) {

        cid_of(&own, list[i].data[0] == 0x82 ? CID_DAG_CBOR : CID_RAW,
               list[i]);

        if (cid_equal(&own, cid)) {
            return ngx_mesh_identity_delegation_parse(list[i], &memory);
        }
    }

    return NULL;
}


/* A link that the caller's custodian signed is the caller's. */

static ngx_uint_t
ngx_mesh_identity_revoke_own(ngx_mesh_identity_call_t *call,
    const ucan_token_t *token)
{
    bytes_t  mesh;

    mesh = bytes_make(call->mcf->did.data, call->mcf->did.len);

    return bytes_equal(token->iss, call->caller.did)
           || bytes_equal(token->aud, call->caller.did)
           || (!bytes_equal(token->iss, mesh)
               && ngx_mesh_identity_token_ours(call->mcf->key,
                                               call->caller.did, token->iss));
}


/* The role of the owner is what nobody ends, not even by its CIDs. */

static ngx_int_t
ngx_mesh_identity_revoke_owner(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_revoke_t  *revoke;

    revoke = call->context;

    if (ngx_mesh_identity_revoke_find(call, &revoke->revocation.cid,
                                      ngx_mesh_identity_call_value(call, 0)))
    {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_ROLE_IMMUTABLE,
                   "this delegation is the role of the mesh's owner");
    }

    return ngx_mesh_identity_revoke_write(call);
}


/* Both. */

static ngx_int_t
ngx_mesh_identity_revoke_write(ngx_mesh_identity_call_t *call)
{
    store_op_t                  *op;
    ngx_mesh_identity_revoke_t  *revoke;

    revoke = call->context;

    op = ngx_mesh_identity_revocation_add(call, &revoke->revocation);
    op->condition = STORE_IF_ABSENT;

    ngx_mesh_identity_revocation_publish(call);

    if (revoke->check) {
        op = ngx_mesh_identity_call_op(call, STORE_PUT, "revoker",
                 ngx_mesh_identity_revoke_revoker(call,
                     revoke->revocation.by, revoke->key));

        op->value = bytes_of("1");
        op->expires_ms = (int64_t) revoke->revocation.until * 1000;
    }

    return ngx_mesh_identity_call_write(call, ngx_mesh_identity_revoke_done);
}


static ngx_int_t
ngx_mesh_identity_revoke_done(ngx_mesh_identity_call_t *call)
{
    bytes_t                      by;
    ngx_mesh_identity_revoke_t  *revoke;

    revoke = call->context;

    if (call->rc == STORE_CONDITION) {
        (void) ngx_mesh_identity_call_get(call, "revocation", revoke->key);

        return ngx_mesh_identity_call_read(call,
                                           ngx_mesh_identity_revoke_known);
    }

    by = revoke->check ? revoke->revocation.by : call->caller.id;

    ngx_log_error(NGX_LOG_NOTICE, call->request->connection->log, 0,
                  "identity: token \"%*s\" revoked by \"%*s\"",
                  revoke->cid.len, revoke->cid.data, by.len, by.data);

    if (ngx_mesh_identity_revocation_apply(call) != NGX_OK) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_BUSY,
                   "the revocation is stored; it counts when this node's "
                   "zone of revocations has room");
    }

    return ngx_mesh_identity_revoke_reply(call, NGX_HTTP_CREATED,
                                          call->revoked_rows[0]);
}


static ngx_int_t
ngx_mesh_identity_revoke_known(ngx_mesh_identity_call_t *call)
{
    return ngx_mesh_identity_revoke_reply(call, NGX_HTTP_OK,
               ngx_mesh_identity_call_value(call, 0));
}


static ngx_int_t
ngx_mesh_identity_revoke_reply(ngx_mesh_identity_call_t *call,
    ngx_uint_t status, bytes_t row)
{
    json_scan_t     object;
    json_write_t    j;
    bytes_writer_t  w;

    if (json_scan_validate(row, NULL) != JSON_SCAN_OK
        || json_scan_open(row, &object) != 0)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_mesh_identity_call_writer(call, &w, 2 * row.len + 512);
    json_write_open(&j, &w);
    ngx_mesh_identity_revocation_write(call, &j, &object);

    return ngx_mesh_identity_call_reply(call, status, &w);
}
