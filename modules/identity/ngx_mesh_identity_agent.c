/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Bootstrap of a bot: an identity, a token and the addresses to use it at,
 * in one request.
 *
 * Every bot has a maker, and holds what its maker delegates to it and never
 * more: the caller; else whoever made the invite; else, where registration
 * is open, the owner, who agreed to that.  A caller passes on only what the
 * session that it shows carries.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_identity.h"


#define NGX_MESH_IDENTITY_AGENT_TYPE     64
#define NGX_MESH_IDENTITY_AGENT_GIVEN    32768
#define NGX_MESH_IDENTITY_AGENT_TRIES    64    /* for one invite */


typedef struct {
    bytes_t                      name;
    bytes_t                      folded;
    bytes_t                      type;
    bytes_t                      did;         /* empty: custodial */
    bytes_t                      secret;      /* wiped with the request */
    bytes_t                      sent;        /* "delegations", if any */
    bytes_t                      given;       /* those, or the maker's */
    bytes_t                      invite_key;
    bytes_t                      rooms[NGX_MESH_IDENTITY_ROOMS_MAX];
    size_t                       room_count;
    bytes_t                      commands[GRANT_COMMANDS_MAX];
    size_t                       command_count;
    bytes_t                      lineage;     /* of the maker */
    bytes_t                      held;
    ngx_uint_t                   tries;
    uint64_t                     maker_seq;
    record_participant_t         maker;
    record_participant_t         record;
    ngx_mesh_identity_invite_t   invite;
    ngx_mesh_identity_make_t    *make;
    size_t                       op_name;
    size_t                       op_did;
} ngx_mesh_identity_agent_t;


static ngx_int_t ngx_mesh_identity_agent_body(ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_agent_input(
    ngx_mesh_identity_call_t *call, ngx_mesh_identity_agent_t *agent);
static ngx_int_t ngx_mesh_identity_agent_input_lists(
    ngx_mesh_identity_call_t *call, ngx_mesh_identity_agent_t *agent);
static ngx_int_t ngx_mesh_identity_agent_open(ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_agent_caller(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_agent_stranger(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_agent_invited(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_agent_owner(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_agent_read(ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_agent_decide(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_agent_carry(
    ngx_mesh_identity_call_t *call, bytes_t *held);
static ngx_int_t ngx_mesh_identity_agent_make(ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_agent_namespace(
    ngx_mesh_identity_agent_t *agent, ngx_mesh_identity_make_t *make);
static ngx_int_t ngx_mesh_identity_agent_grants(
    ngx_mesh_identity_agent_t *agent, ngx_mesh_identity_make_t *make);
static ngx_int_t ngx_mesh_identity_agent_write(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_agent_refuse(
    ngx_mesh_identity_call_t *call);
static void ngx_mesh_identity_agent_ops(ngx_mesh_identity_call_t *call);
static bytes_t ngx_mesh_identity_agent_lineage(
    ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_agent_done(ngx_mesh_identity_call_t *call);
static ngx_int_t ngx_mesh_identity_agent_reply(
    ngx_mesh_identity_call_t *call);
static void ngx_mesh_identity_agent_reply_namespace(
    ngx_mesh_identity_make_t *make, json_write_t *j);


/* POST /api/agents/bootstrap
   {name, type?, invite?, did?, rooms?, commands?, delegations?} */

ngx_int_t
ngx_mesh_identity_agent_bootstrap(ngx_http_request_t *r,
    ngx_mesh_route_args_t *args)
{
    return ngx_mesh_identity_call_body(r, args, ngx_mesh_identity_agent_body);
}


static ngx_int_t
ngx_mesh_identity_agent_body(ngx_mesh_identity_call_t *call)
{
    bytes_t                     code;
    ngx_int_t                   rc;
    ngx_mesh_identity_agent_t  *agent;

    agent = ngx_pcalloc(call->request->pool,
                        sizeof(ngx_mesh_identity_agent_t));
    if (agent == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    call->context = agent;

    if (ngx_mesh_identity_agent_input(call, agent) != NGX_OK
        || ngx_mesh_identity_agent_input_lists(call, agent) != NGX_OK)
    {
        return ngx_mesh_identity_call_bad(call);
    }

    rc = ngx_mesh_identity_input_text(call, "invite", 64, &code);

    if (rc == NGX_ERROR) {
        return ngx_mesh_identity_call_bad(call);
    }

    if (call->principal) {
        return ngx_mesh_identity_call_caller(call,
                                             ngx_mesh_identity_agent_caller);
    }

    if (rc == NGX_OK
        && ngx_mesh_identity_invite_key(call, code, &agent->invite_key)
           != NGX_OK)
    {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_INVITE_INVALID,
                                             "this is no invite code");
    }

    return ngx_mesh_identity_agent_open(call);
}


/* Nobody asks: what the mesh allows, and the invite, are read. */

static ngx_int_t
ngx_mesh_identity_agent_open(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_agent_t  *agent;

    agent = call->context;

    ngx_memzero(&agent->invite, sizeof(ngx_mesh_identity_invite_t));

    (void) ngx_mesh_identity_call_get(call, "mesh", bytes_make(NULL, 0));
    (void) ngx_mesh_identity_call_get(call, "invite",
               agent->invite_key.len ? agent->invite_key : bytes_of("-"));

    return ngx_mesh_identity_call_read(call,
                                       ngx_mesh_identity_agent_stranger);
}


static ngx_int_t
ngx_mesh_identity_agent_input(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_agent_t *agent)
{
    ngx_int_t  rc;
    did_key_t  key;

    if (ngx_mesh_identity_input_name(call, &agent->name, &agent->folded)
        != NGX_OK
        || ngx_mesh_identity_input_text(call, "type",
                                        NGX_MESH_IDENTITY_AGENT_TYPE,
                                        &agent->type)
           == NGX_ERROR
        || ngx_mesh_identity_input_text(call, "delegations",
                                        NGX_MESH_IDENTITY_AGENT_GIVEN,
                                        &agent->sent)
           == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    rc = ngx_mesh_identity_input_text(call, "did", NGX_MESH_IDENTITY_DID_MAX,
                                      &agent->did);

    if (rc == NGX_OK && did_parse(agent->did, &key) != 0) {
        call->detail = "member \"did\" must be a did:key of at most 448 "
                       "bytes: an RSA key of 2048 bits, or any other type";
        return NGX_ERROR;
    }

    return rc == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_mesh_identity_agent_input_lists(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_agent_t *agent)
{
    size_t  i;

    if (ngx_mesh_identity_input_texts(call, "rooms", agent->rooms,
                                      NGX_MESH_IDENTITY_ROOMS_MAX,
                                      &agent->room_count)
        == NGX_ERROR
        || ngx_mesh_identity_input_texts(call, "commands", agent->commands,
                                         GRANT_COMMANDS_MAX,
                                         &agent->command_count)
           == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < agent->room_count; i++) {

        if (!id_valid(agent->rooms[i], 'r')) {
            call->detail = "member \"rooms\" must hold ids of rooms, r_...";
            return NGX_ERROR;
        }
    }

    for (i = 0; i < agent->command_count; i++) {

        if (!grant_command_known(agent->commands[i])) {
            call->detail = "member \"commands\" must hold commands such as "
                           "\"/room/read\"";
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* The maker is who asks. */

static ngx_int_t
ngx_mesh_identity_agent_caller(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_agent_t  *agent;

    agent = call->context;

    if (call->principal->invocation) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_FORBIDDEN,
                   "an invocation allows one command; a session is needed "
                   "to make a bot");
    }

    if (ngx_mesh_identity_call_allow(call, "/ucan/delegate", NULL,
                                     bytes_make(NULL, 0), NULL)
        != NGX_OK)
    {
        return ngx_mesh_identity_call_forbid(call,
                                             bytes_of("/ucan/delegate"));
    }

    agent->maker = call->caller;

    return ngx_mesh_identity_agent_read(call);
}


/* An invite or the owner must speak for the bot. */

static ngx_int_t
ngx_mesh_identity_agent_stranger(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_agent_t     *agent;
    ngx_mesh_identity_settings_t   settings;

    agent = call->context;

    ngx_mesh_identity_setup_read(call, ngx_mesh_identity_call_value(call, 0),
                                 &settings);

    if (!settings.initialized) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_CONFLICT,
                   "this mesh has no owner yet who could answer for a bot; "
                   "register first");
    }

    if (agent->invite_key.len != 0) {

        if (settings.registration == NGX_MESH_IDENTITY_CLOSED) {
            return ngx_mesh_identity_call_refuse(call,
                       PROBLEM_REGISTRATION_CLOSED,
                       "this mesh takes no new participants");
        }

        if (ngx_mesh_identity_invite_read(call, 1, &agent->invite)
            != NGX_OK)
        {
            return ngx_mesh_identity_call_refuse(call,
                       PROBLEM_INVITE_INVALID,
                       "this invite is unknown, used up or expired");
        }

        agent->invite.key = agent->invite_key;

        return ngx_mesh_identity_invite_verify(call, &agent->invite,
                                             ngx_mesh_identity_agent_invited);
    }

    if (settings.registration != NGX_MESH_IDENTITY_OPEN) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_UNAUTHENTICATED,
                   "a bot needs a maker: send its maker's token, or an "
                   "invite");
    }

    (void) ngx_mesh_identity_call_get(call, "participant", settings.owner);

    return ngx_mesh_identity_call_read(call, ngx_mesh_identity_agent_owner);
}


static ngx_int_t
ngx_mesh_identity_agent_invited(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_agent_t  *agent;

    agent = call->context;
    agent->maker = agent->invite.maker;

    return ngx_mesh_identity_agent_read(call);
}


static ngx_int_t
ngx_mesh_identity_agent_owner(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_agent_t  *agent;

    agent = call->context;

    if (ngx_mesh_identity_call_participant(call,
            ngx_mesh_identity_call_value(call, 0), &agent->maker)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!agent->maker.custodial) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_UNAUTHENTICATED,
                   "the owner of this mesh keeps their own key and has not "
                   "agreed to bots that nobody answers for: send a token or "
                   "an invite");
    }

    return ngx_mesh_identity_agent_read(call);
}


static ngx_int_t
ngx_mesh_identity_agent_read(ngx_mesh_identity_call_t *call)
{
    bytes_t                     id;
    ngx_mesh_identity_agent_t  *agent;

    agent = call->context;
    id = agent->maker.id;

    (void) ngx_mesh_identity_call_get(call, "name", agent->folded);
    (void) ngx_mesh_identity_call_get(call, "did",
               agent->did.len ? agent->did : bytes_of("-"));
    (void) ngx_mesh_identity_call_get(call, "participant", id);
    (void) ngx_mesh_identity_call_get(call, "delegation", id);
    (void) ngx_mesh_identity_call_get(call, "custodian", id);
    (void) ngx_mesh_identity_call_get(call, "lineage", id);

    return ngx_mesh_identity_call_read(call, ngx_mesh_identity_agent_decide);
}


static ngx_int_t
ngx_mesh_identity_agent_decide(ngx_mesh_identity_call_t *call)
{
    uint64_t                    seq;
    ngx_int_t                   n;
    ngx_uint_t                  made;
    ngx_mesh_identity_agent_t  *agent;

    agent = call->context;

    if (ngx_mesh_identity_call_found(call, 0)) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_NAME_TAKEN,
                   "somebody has this name, choose another");
    }

    if (ngx_mesh_identity_call_found(call, 1)) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_CONFLICT,
                                             "this DID is registered already");
    }

    if (agent->did.len != 0
        && ngx_mesh_identity_token_ours(call->mcf->key, agent->maker.did,
                                        agent->did))
    {
        call->detail = "member \"did\" must be of a key that the bot keeps";
        return ngx_mesh_identity_call_bad(call);
    }

    seq = ngx_mesh_identity_call_seq(call, 2);

    /* another try for the same maker: what cost a password hash is there */

    made = agent->make != NULL && seq == agent->maker_seq;

    agent->maker_seq = seq;
    agent->held = ngx_mesh_identity_call_value(call, 3);
    agent->lineage = ngx_mesh_identity_call_value(call, 5);

    if (made) {
        return ngx_mesh_identity_agent_write(call);
    }

    agent->given = agent->sent;

    if (agent->given.len == 0) {
        agent->given = agent->invite.delegations.len
                       ? agent->invite.delegations
                       : ngx_mesh_identity_call_value(call, 4);
    }

    if (agent->given.len == 0) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_FORBIDDEN,
                   "the maker keeps its own key: send \"delegations\", a "
                   "container of delegations from it to the bot's DID, or to "
                   "the \"custodian\" that GET /api/auth/me names");
    }

    if (call->principal
        && ngx_mesh_identity_agent_carry(call, &agent->held) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    call->rows = NULL;

    if (agent->lineage.len == 0) {
        return ngx_mesh_identity_agent_make(call);
    }

    n = ngx_mesh_identity_login_lineage(call, agent->lineage);

    if (n == NGX_ERROR || n >= NGX_MESH_IDENTITY_LINEAGE_MAX) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_FORBIDDEN,
                   "the chain of makers above this bot would be too long");
    }

    return ngx_mesh_identity_call_read(call, ngx_mesh_identity_agent_make);
}


/* Of what the maker holds, what the session that it shows carries. */

static ngx_int_t
ngx_mesh_identity_agent_carry(ngx_mesh_identity_call_t *call, bytes_t *held)
{
    bytes_t                   did;
    ucan_memory_t             memory;
    ngx_mesh_identity_set_t  *set;

    set = ngx_pcalloc(call->request->pool, sizeof(ngx_mesh_identity_set_t));

    if (set == NULL) {
        return NGX_ERROR;
    }

    ngx_mesh_identity_call_memory(call, &memory);

    did = bytes_make(call->principal->did.data, call->principal->did.len);

    if (ngx_mesh_identity_token_unpack(set, *held, &memory) != NGX_OK
        || ngx_mesh_identity_token_limit(set, did,
               call->principal->chain->bundle, &memory)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    *held = bytes_make(NULL, 0);

    if (set->count == 0) {
        return NGX_OK;
    }

    return ngx_mesh_identity_token_pack(set, 'C', held, &memory);
}


static ngx_int_t
ngx_mesh_identity_agent_make(ngx_mesh_identity_call_t *call)
{
    size_t                      i;
    ngx_int_t                   rc;
    ngx_mesh_identity_make_t   *make;
    ngx_mesh_identity_agent_t  *agent;

    agent = call->context;

    make = ngx_mesh_identity_make_create(call, NGX_MESH_IDENTITY_BOT);

    if (make == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    agent->make = make;

    id_create(make->id, 'p', call->now_ms);

    if (ngx_mesh_identity_agent_namespace(agent, make) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_mesh_identity_agent_grants(agent, make);

    if (rc != NGX_OK) {
        return ngx_mesh_identity_call_forbid(call, make->command);
    }

    if (agent->did.len == 0
        && ngx_mesh_identity_input_secret(call, &agent->secret) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_mesh_identity_make_set(make, &make->did, agent->did);
    ngx_mesh_identity_make_set(make, &make->password, agent->secret);
    ngx_mesh_identity_make_set(make, &make->maker, agent->maker.did);
    ngx_mesh_identity_make_set(make, &make->held, agent->held);
    ngx_mesh_identity_make_set(make, &make->given, agent->given);

    for (i = 0; i < agent->room_count; i++) {
        ngx_mesh_identity_make_set(make, &make->rooms[i], agent->rooms[i]);
    }

    make->room_count = agent->room_count;

    if (call->rows) {
        make->above_count = agent->lineage.len / ID_LEN;
    }

    for (i = 0; i < make->above_count; i++) {
        ngx_mesh_identity_make_set(make, &make->above[i],
                                   ngx_mesh_identity_call_value(call, i));
    }

    return ngx_mesh_identity_make_submit(call, make,
                                         ngx_mesh_identity_agent_write);
}


/* Below that of its maker, whose quota it uses and who sees it. */

static ngx_int_t
ngx_mesh_identity_agent_namespace(ngx_mesh_identity_agent_t *agent,
    ngx_mesh_identity_make_t *make)
{
    u_char          buf[RECORD_NS_MAX];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));

    if (record_ns_write(&w, agent->maker.ns, bytes_make(make->id, ID_LEN))
        != 0)
    {
        return NGX_ERROR;
    }

    ngx_mesh_identity_make_set(make, &make->ns, bytes_writer_view(&w));

    return NGX_OK;
}


/* What role "agent" has, or the part of it that was named.  NGX_OK, or
   NGX_DECLINED: make->command is no part of it. */

static ngx_int_t
ngx_mesh_identity_agent_grants(ngx_mesh_identity_agent_t *agent,
    ngx_mesh_identity_make_t *make)
{
    size_t          i, n, count;
    const grant_t  *grants;

    grants = grant_role_list(grant_role_find(bytes_of("agent")), &count);

    if (agent->command_count == 0) {
        ngx_memcpy(make->grants, grants, count * sizeof(grant_t));
        make->grant_count = count;

        return NGX_OK;
    }

    make->exact = 1;

    for (i = 0; i < agent->command_count; i++) {

        for (n = 0; n < count; n++) {
            if (ucan_chain_covers(grants[n].command, agent->commands[i])) {
                break;
            }
        }

        if (n == count) {
            make->command = agent->commands[i];
            return NGX_DECLINED;
        }

        make->grants[i] = grants[n];
        ngx_mesh_identity_make_set(make, &make->grants[i].command,
                                   agent->commands[i]);
    }

    make->grant_count = agent->command_count;

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_identity_agent_write(ngx_mesh_identity_call_t *call)
{
    record_participant_t       *record;
    ngx_mesh_identity_make_t   *make;
    ngx_mesh_identity_agent_t  *agent;

    agent = call->context;
    make = agent->make;

    if (make->made != NGX_MESH_IDENTITY_MADE) {
        return ngx_mesh_identity_agent_refuse(call);
    }

    record = &agent->record;
    record->id = bytes_make(make->id, ID_LEN);
    record->did = make->made_did;
    record->name = agent->name;
    record->role = bytes_of("agent");
    record->kind = bytes_of("bot");
    record->maker = agent->maker.id;
    record->ns = make->ns;
    record->custodial = agent->did.len == 0;
    record->created_ms = call->now_ms;

    ngx_mesh_identity_agent_ops(call);

    return ngx_mesh_identity_call_write(call, ngx_mesh_identity_agent_done);
}


static ngx_int_t
ngx_mesh_identity_agent_refuse(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_agent_t  *agent;

    agent = call->context;

    switch (agent->make->made) {

    case NGX_MESH_IDENTITY_NOT_HELD:
        return ngx_mesh_identity_call_forbid(call, agent->make->command);

    case NGX_MESH_IDENTITY_TOO_LONG:
        return ngx_mesh_identity_call_refuse(call, PROBLEM_FORBIDDEN,
                   "the chain of makers above this bot would be too long; "
                   "ask for fewer \"commands\", or let somebody higher up "
                   "make it");

    case NGX_MESH_IDENTITY_BAD_PROOF:
        return ngx_mesh_identity_call_refuse(call, PROBLEM_INVALID_TOKEN,
                   "member \"delegations\" must be a container of valid "
                   "delegations from the maker to the bot's DID or to the "
                   "maker's custodian");

    default:
        return ngx_mesh_identity_call_refuse(call, PROBLEM_BUSY,
                   "this node has no memory for another bot now");
    }
}


static void
ngx_mesh_identity_agent_ops(ngx_mesh_identity_call_t *call)
{
    bytes_t                     id, json;
    store_op_t                 *op;
    ngx_mesh_identity_make_t   *make;
    ngx_mesh_identity_agent_t  *agent;

    agent = call->context;
    make = agent->make;
    id = agent->record.id;
    json = ngx_mesh_identity_call_record(call, &agent->record);

    agent->op_name = call->op_count;
    op = ngx_mesh_identity_call_op(call, STORE_PUT, "name", agent->folded);
    op->value = id;
    op->condition = STORE_IF_ABSENT;

    agent->op_did = call->op_count;
    op = ngx_mesh_identity_call_op(call, STORE_PUT, "did", agent->record.did);
    op->value = json;
    op->condition = STORE_IF_ABSENT;

    /* a maker that is removed meanwhile makes no bot */

    op = ngx_mesh_identity_call_op(call, STORE_CHECK, "participant",
                                   agent->maker.id);
    op->condition = STORE_IF_SEQ;
    op->if_seq = agent->maker_seq;

    op = ngx_mesh_identity_call_op(call, STORE_PUT, "participant", id);
    op->value = json;

    op = ngx_mesh_identity_call_op(call, STORE_PUT, "delegation", id);
    op->value = make->delegation;

    op = ngx_mesh_identity_call_op(call, STORE_PUT, "lineage", id);
    op->value = ngx_mesh_identity_agent_lineage(call);

    if (agent->did.len == 0) {
        op = ngx_mesh_identity_call_op(call, STORE_PUT, "custodian", id);
        op->value = make->custodian;

        op = ngx_mesh_identity_call_op(call, STORE_PUT, "login", id);
        op->value = bytes_make(make->sealed, sizeof(make->sealed));
    }

    if (agent->invite.key.len != 0) {
        (void) ngx_mesh_identity_invite_take(call, &agent->invite);
    }
}


static bytes_t
ngx_mesh_identity_agent_lineage(ngx_mesh_identity_call_t *call)
{
    bytes_writer_t              w;
    ngx_mesh_identity_agent_t  *agent;

    agent = call->context;

    ngx_mesh_identity_call_writer(call, &w, agent->lineage.len + 1 + ID_LEN);

    if (agent->lineage.len != 0) {
        bytes_writer_bytes(&w, agent->lineage);
        bytes_writer_byte(&w, ' ');
    }

    bytes_writer_bytes(&w, agent->maker.id);

    if (w.failed) {
        call->broken = 1;
    }

    return bytes_writer_view(&w);
}


static ngx_int_t
ngx_mesh_identity_agent_done(ngx_mesh_identity_call_t *call)
{
    ngx_mesh_identity_agent_t  *agent;

    agent = call->context;

    if (call->rc == STORE_CONDITION) {

        if (call->failed == agent->op_name) {
            return ngx_mesh_identity_call_refuse(call, PROBLEM_NAME_TAKEN,
                       "somebody has this name, choose another");
        }

        if (call->failed == agent->op_did) {
            return ngx_mesh_identity_call_refuse(call, PROBLEM_CONFLICT,
                       "this DID is registered already");
        }

        if (call->principal) {
            return ngx_mesh_identity_call_refuse(call, PROBLEM_CONFLICT,
                       "the maker changed meanwhile, try again");
        }

        /* somebody else took the invite: what was decided is decided anew */

        if (++agent->tries < NGX_MESH_IDENTITY_AGENT_TRIES) {
            ngx_mesh_identity_make_destroy(agent->make);
            return ngx_mesh_identity_agent_open(call);
        }

        return ngx_mesh_identity_call_refuse(call, PROBLEM_BUSY,
                   "too many bots at once, try again");
    }

    ngx_log_error(NGX_LOG_NOTICE, call->request->connection->log, 0,
                  "identity: bot \"%*s\" made by \"%*s\", %*s",
                  agent->record.id.len, agent->record.id.data,
                  agent->maker.id.len, agent->maker.id.data,
                  agent->record.did.len, agent->record.did.data);

    return ngx_mesh_identity_agent_reply(call);
}


static ngx_int_t
ngx_mesh_identity_agent_reply(ngx_mesh_identity_call_t *call)
{
    json_write_t                j;
    bytes_writer_t              w;
    ngx_mesh_identity_make_t   *make;
    ngx_mesh_identity_agent_t  *agent;

    agent = call->context;
    make = agent->make;

    ngx_mesh_identity_call_writer(call, &w,
        8192 + make->token.len + json_write_string_max(agent->name.len));

    /* the answer holds the secret: it goes when the answer is gone */

    if (w.failed
        || ngx_mesh_identity_input_wiped(call,
               bytes_make(w.start, bytes_writer_left(&w)))
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member(&j, "agentId", agent->record.id);

    if (agent->did.len == 0) {
        json_write_member(&j, "token", make->token);
        json_write_member(&j, "secret", agent->secret);
        ngx_mesh_identity_call_time(&j, "expiresAt", make->expires * 1000);

    } else {
        json_write_member(&j, "delegations", make->token);
        ngx_mesh_identity_account_custodian(call, &j, agent->did);
    }

    ngx_mesh_identity_call_url(call, &j, "wsUrl", "/ws");
    ngx_mesh_identity_call_url(call, &j, "modelUrl", "/api/models/v1");
    ngx_mesh_identity_call_url(call, &j, "skillUrl", "/skill.md");

    json_write_member(&j, "name", agent->name);
    json_write_member(&j, "did", agent->record.did);
    json_write_member(&j, "role", agent->record.role);
    json_write_member(&j, "maker", agent->maker.id);
    ngx_mesh_identity_agent_reply_namespace(make, &j);
    json_write_object_end(&j);

    return ngx_mesh_identity_call_reply(call, NGX_HTTP_CREATED, &w);
}


static void
ngx_mesh_identity_agent_reply_namespace(ngx_mesh_identity_make_t *make,
    json_write_t *j)
{
    if (make->stores) {
        json_write_member(j, "namespace", make->ns);
        return;
    }

    json_write_key(j, "namespace");
    json_write_null(j);

    json_write_member(j, "namespaceDetail", bytes_of(make->ns.len != 0
        ? "nothing of \"/storage\" was passed on to it"
        : "the line of makers above it is too long for a namespace"));
}
