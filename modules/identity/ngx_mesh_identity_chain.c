/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The chains of a new bot: mesh, maker, the maker's custodian, bot.
 *
 *     mesh ----> maker ----> custodian ----> bot
 *          held        given           made here
 *
 * A maker that keeps its own key may sign the link to the bot itself; then
 * there is no custodian in between.  Above a maker that is a bot stand its
 * own links.  The custodian is no root: what it signs is worth nothing
 * without the maker's link, so what the maker loses, the bot loses.
 *
 * Narrow by construction: a link that no chain of wider ones leads to is
 * left out.  And checked: the session is opened and asked, as any endpoint
 * would, before anybody gets it.  Runs in a thread, in the job's memory.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_identity.h"


/* What is being put together, in the job's memory. */
typedef struct {
    ngx_mesh_identity_set_t  above;      /* down to the maker */
    ngx_mesh_identity_set_t  links;      /* from the maker to the bot */
    ngx_mesh_identity_set_t  made;       /* custodian to bot, as grants */
    ngx_mesh_identity_set_t  set;        /* all that counts */
    u_char                   keep[GRANT_COMMANDS_MAX];
} ngx_mesh_identity_chain_t;


static ngx_mesh_identity_made_t ngx_mesh_identity_chain_own(
    ngx_mesh_identity_make_t *make);
static ngx_int_t ngx_mesh_identity_chain_collect(
    ngx_mesh_identity_make_t *make, ngx_mesh_identity_chain_t *chain);
static ngx_int_t ngx_mesh_identity_chain_join(ngx_mesh_identity_make_t *make,
    ngx_mesh_identity_chain_t *chain);
static ngx_mesh_identity_made_t ngx_mesh_identity_chain_judge(
    ngx_mesh_identity_make_t *make, ngx_mesh_identity_chain_t *chain);
static ngx_mesh_identity_made_t ngx_mesh_identity_chain_judge_grant(
    ngx_mesh_identity_make_t *make, ucan_chain_t *open, const grant_t *grant,
    u_char *keep);
static ngx_mesh_identity_made_t ngx_mesh_identity_chain_judge_foreign(
    ngx_mesh_identity_make_t *make, ngx_mesh_identity_chain_t *chain);
static ngx_mesh_identity_made_t ngx_mesh_identity_chain_store(
    ngx_mesh_identity_make_t *make, ngx_mesh_identity_chain_t *chain);
static ngx_uint_t ngx_mesh_identity_chain_is_room(bytes_t command);


ngx_mesh_identity_made_t
ngx_mesh_identity_chain_create(ngx_mesh_identity_make_t *make)
{
    size_t                      i, kept;
    ngx_mesh_identity_made_t    made;
    ngx_mesh_identity_chain_t  *chain;

    made = ngx_mesh_identity_chain_own(make);

    if (made == NGX_MESH_IDENTITY_MADE) {
        made = ngx_mesh_identity_make_holder(make);
    }

    if (made != NGX_MESH_IDENTITY_MADE) {
        return made;
    }

    chain = make->memory.alloc(make->memory.data,
                               sizeof(ngx_mesh_identity_chain_t));
    if (chain == NULL) {
        return NGX_MESH_IDENTITY_FAILED;
    }

    ngx_memzero(chain, sizeof(ngx_mesh_identity_chain_t));
    ngx_memset(chain->keep, 1, sizeof(chain->keep));

    if (ngx_mesh_identity_chain_collect(make, chain) != NGX_OK) {
        return NGX_MESH_IDENTITY_BAD_PROOF;
    }

    if (ngx_mesh_identity_chain_join(make, chain) != NGX_OK) {
        return NGX_MESH_IDENTITY_BAD_PROOF;
    }

    made = (make->session.len != 0)
           ? ngx_mesh_identity_chain_judge(make, chain)
           : ngx_mesh_identity_chain_judge_foreign(make, chain);

    if (made != NGX_MESH_IDENTITY_MADE) {
        return made;
    }

    kept = 0;

    for (i = 0; i < make->grant_count; i++) {
        kept += chain->keep[i];
        make->stores |= chain->keep[i] && make->grants[i].own_namespace;
    }

    if (kept == 0) {
        make->command = make->grants[0].command;
        return NGX_MESH_IDENTITY_NOT_HELD;
    }

    if (kept != make->grant_count
        && ngx_mesh_identity_chain_join(make, chain) != NGX_OK)
    {
        return NGX_MESH_IDENTITY_FAILED;
    }

    made = ngx_mesh_identity_chain_store(make, chain);

    if (made != NGX_MESH_IDENTITY_MADE) {
        return made;
    }

    return ngx_mesh_identity_make_token(make, &chain->set);
}


/* A bot without a namespace has nothing of what is for one's own alone. */

static ngx_mesh_identity_made_t
ngx_mesh_identity_chain_own(ngx_mesh_identity_make_t *make)
{
    size_t  i, n;

    if (make->ns.len != 0) {
        return NGX_MESH_IDENTITY_MADE;
    }

    n = 0;

    for (i = 0; i < make->grant_count; i++) {

        if (!make->grants[i].own_namespace) {
            make->grants[n++] = make->grants[i];
            continue;
        }

        if (make->exact) {
            make->command = make->grants[i].command;
            return NGX_MESH_IDENTITY_NOT_HELD;
        }
    }

    make->grant_count = n;

    return NGX_MESH_IDENTITY_MADE;
}


/* Unpacks what is there, and makes the custodian's links, one a grant. */

static ngx_int_t
ngx_mesh_identity_chain_collect(ngx_mesh_identity_make_t *make,
    ngx_mesh_identity_chain_t *chain)
{
    size_t                     i;
    bytes_t                    mesh;
    ngx_int_t                  rc;
    signature_key_t            custodian;
    ngx_mesh_identity_issue_t  issue;

    mesh = bytes_make(make->mesh->did, sizeof(make->mesh->did));

    for (i = 0; i < make->above_count; i++) {

        if (ngx_mesh_identity_token_unpack(&chain->above, make->above[i],
                                           &make->memory)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    /* what the maker gives may come with the chain it stands on; the roots
       that count are those of the maker's role, which a removal ends */

    if (ngx_mesh_identity_token_unpack(&chain->above, make->held,
                                       &make->memory)
        != NGX_OK
        || ngx_mesh_identity_token_unpack(&chain->links, make->given,
                                          &make->memory)
           != NGX_OK
        || ngx_mesh_identity_token_below(&chain->links, mesh, &make->memory)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_mesh_identity_token_custodian(&custodian, make->mesh, make->maker);

    ngx_memzero(&issue, sizeof(ngx_mesh_identity_issue_t));
    issue.key = &custodian;
    issue.audience = make->made_did;
    issue.mesh = mesh;
    issue.ns = make->ns;
    issue.rooms = make->rooms;
    issue.room_count = make->room_count;
    issue.expires = -1;

    rc = ngx_mesh_identity_token_delegate(&chain->made, &issue, make->grants,
                                          make->grant_count, &make->memory);

    signature_key_destroy(&custodian);

    return rc;
}


/* The set of all links that are kept and that a chain needs. */

static ngx_int_t
ngx_mesh_identity_chain_join(ngx_mesh_identity_make_t *make,
    ngx_mesh_identity_chain_t *chain)
{
    size_t                    i;
    bytes_t                   mesh;
    ngx_mesh_identity_set_t  *set;

    set = &chain->set;

    if (chain->above.count + chain->links.count + chain->made.count
        > NGX_MESH_IDENTITY_SET_MAX)
    {
        return NGX_ERROR;
    }

    *set = chain->above;

    for (i = 0; i < chain->links.count; i++) {
        set->list[set->count++] = chain->links.list[i];
    }

    for (i = 0; i < chain->made.count; i++) {
        if (chain->keep[i]) {
            set->list[set->count++] = chain->made.list[i];
        }
    }

    mesh = bytes_make(make->mesh->did, sizeof(make->mesh->did));

    return ngx_mesh_identity_token_select(set, mesh, make->made_did,
                                          &make->memory);
}


/* Opens the session that the bot will have, and asks it for each grant. */

static ngx_mesh_identity_made_t
ngx_mesh_identity_chain_judge(ngx_mesh_identity_make_t *make,
    ngx_mesh_identity_chain_t *chain)
{
    size_t                     i;
    bytes_t                    mesh;
    ucan_trust_t               trust;
    ucan_chain_t               open;
    ucan_bundle_t              bundle;
    ucan_verdict_t             verdict;
    ngx_mesh_identity_set_t   *set;
    ngx_mesh_identity_made_t   made;

    set = &chain->set;

    if (set->count == 0) {
        make->command = make->grants[0].command;
        return NGX_MESH_IDENTITY_NOT_HELD;
    }

    if (set->count >= UCAN_TOKEN_COUNT_MAX) {
        return NGX_MESH_IDENTITY_TOO_LONG;
    }

    mesh = bytes_make(make->mesh->did, sizeof(make->mesh->did));
    ngx_mesh_identity_token_trust(&trust, &mesh);

    set->list[set->count] = make->session;

    verdict = ucan_bundle_parse_envelopes(&bundle, set->list, set->count + 1,
                                          &trust.limits, &make->memory);

    if (verdict == UCAN_OK) {
        verdict = ucan_chain_open(&open, &bundle, &trust, make->now);
    }

    switch (verdict) {

    case UCAN_OK:
        break;

    case UCAN_TOO_DEEP:
    case UCAN_TOO_LARGE:
        return NGX_MESH_IDENTITY_TOO_LONG;

    case UCAN_NO_MEMORY:
        return NGX_MESH_IDENTITY_FAILED;

    default:
        return NGX_MESH_IDENTITY_BAD_PROOF;
    }

    make->expires = open.expires;

    for (i = 0; i < make->grant_count; i++) {
        made = ngx_mesh_identity_chain_judge_grant(make, &open,
                                                   &make->grants[i],
                                                   &chain->keep[i]);
        if (made != NGX_MESH_IDENTITY_MADE) {
            return made;
        }
    }

    return NGX_MESH_IDENTITY_MADE;
}


/*
 * What a narrower policy above refuses for want of a room is kept: the chain
 * itself holds the policy.  A room that was asked for by id and is refused,
 * or a command that was named, is an error; the rest of what a bot gets by
 * default is only as much as its maker has.
 */

static ngx_mesh_identity_made_t
ngx_mesh_identity_chain_judge_grant(ngx_mesh_identity_make_t *make,
    ucan_chain_t *open, const grant_t *grant, u_char *keep)
{
    size_t          i, rooms;
    ucan_verdict_t  verdict;
    ucan_request_t  request;

    ngx_memzero(&request, sizeof(ucan_request_t));
    request.command = grant->command;

    if (grant->own_namespace) {
        request.args[0].name = bytes_of("ns");
        request.args[0].value = make->ns;
        request.arg_count = 1;

    } else if (grant->local_only) {
        request.args[0].name = bytes_of("provider_class");
        request.args[0].value = bytes_of("local");
        request.arg_count = 1;
    }

    rooms = ngx_mesh_identity_chain_is_room(grant->command)
            ? make->room_count : 0;
    i = 0;

    do {
        if (rooms != 0) {
            request.args[0].name = bytes_of("room");
            request.args[0].value = make->rooms[i];
            request.arg_count = 1;
        }

        verdict = ucan_chain_allow(open, &request, make->now);

        if (verdict == UCAN_OK) {
            continue;
        }

        if (verdict == UCAN_TOO_DEEP) {
            return NGX_MESH_IDENTITY_TOO_LONG;
        }

        if (verdict == UCAN_POLICY
            && rooms == 0
            && ngx_mesh_identity_chain_is_room(grant->command))
        {
            continue;
        }

        *keep = 0;

        if (make->exact || (verdict == UCAN_POLICY && rooms != 0)) {
            make->command = grant->command;
            return NGX_MESH_IDENTITY_NOT_HELD;
        }

    } while (++i < rooms);

    return NGX_MESH_IDENTITY_MADE;
}


/* The bot keeps its own key, so its session cannot be opened here: links and
   signatures are looked at instead.  Every request of the bot is checked in
   full anyway. */

static ngx_mesh_identity_made_t
ngx_mesh_identity_chain_judge_foreign(ngx_mesh_identity_make_t *make,
    ngx_mesh_identity_chain_t *chain)
{
    size_t                     i, j;
    ucan_limits_t              limits;
    ucan_bundle_t              bundle;
    ucan_verdict_t             verdict;
    ngx_mesh_identity_set_t   *set;

    set = &chain->set;

    if (set->count == 0) {
        make->command = make->grants[0].command;
        return NGX_MESH_IDENTITY_NOT_HELD;
    }

    if (set->count >= UCAN_TOKEN_COUNT_MAX
        || 2 * (make->above_count + 1) >= UCAN_TOKEN_DEPTH_MAX)
    {
        return NGX_MESH_IDENTITY_TOO_LONG;
    }

    ucan_limits_init(&limits);

    verdict = ucan_bundle_parse_envelopes(&bundle, set->list, set->count,
                                          &limits, &make->memory);
    if (verdict != UCAN_OK) {
        return NGX_MESH_IDENTITY_BAD_PROOF;
    }

    for (i = 0; i < bundle.count; i++) {

        if (ucan_token_verify(&bundle.tokens[i]) != UCAN_OK) {
            return NGX_MESH_IDENTITY_BAD_PROOF;
        }
    }

    for (i = 0; i < make->grant_count; i++) {

        for (j = 0; j < bundle.count; j++) {

            if (bytes_equal(bundle.tokens[j].aud, make->made_did)
                && ucan_chain_covers(bundle.tokens[j].cmd,
                                     make->grants[i].command))
            {
                break;
            }
        }

        if (j < bundle.count) {
            continue;
        }

        chain->keep[i] = 0;

        if (make->exact) {
            make->command = make->grants[i].command;
            return NGX_MESH_IDENTITY_NOT_HELD;
        }
    }

    return NGX_MESH_IDENTITY_MADE;
}


/* What is stored with the bot: the links below the maker, since those above
   are stored with whoever holds them and may change. */

static ngx_mesh_identity_made_t
ngx_mesh_identity_chain_store(ngx_mesh_identity_make_t *make,
    ngx_mesh_identity_chain_t *chain)
{
    size_t                    i, j;
    ngx_mesh_identity_set_t  *own;

    own = make->memory.alloc(make->memory.data,
                             sizeof(ngx_mesh_identity_set_t));
    if (own == NULL) {
        return NGX_MESH_IDENTITY_FAILED;
    }

    own->count = 0;

    for (i = 0; i < chain->set.count; i++) {

        for (j = 0; j < chain->above.count; j++) {

            if (bytes_equal(chain->set.list[i], chain->above.list[j])) {
                break;
            }
        }

        if (j == chain->above.count) {
            own->list[own->count++] = chain->set.list[i];
        }
    }

    /* a removal revokes all of them in one commit */

    if (own->count > GRANT_COMMANDS_MAX) {
        return NGX_MESH_IDENTITY_TOO_LONG;
    }

    return ngx_mesh_identity_token_pack(own, 'C', &make->delegation,
                                        &make->memory)
           == NGX_OK
           ? NGX_MESH_IDENTITY_MADE : NGX_MESH_IDENTITY_FAILED;
}


static ngx_uint_t
ngx_mesh_identity_chain_is_room(bytes_t command)
{
    return bytes_equal_text(grant_subject_arg(command), "room");
}
