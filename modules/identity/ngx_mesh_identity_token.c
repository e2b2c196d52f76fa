/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Issue of tokens: delegations of a role, the links from a maker to a bot,
 * the invocation that opens a session, and the container of what belongs
 * together.
 *
 * Touches no request, no configuration and no clock: the event loop and the
 * threads call it alike, with memory that the caller owns.  It does not ask
 * whether somebody may have what it signs; callers do.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <sodium.h>

#include "ngx_mesh_identity.h"
#include "base64.h"
#include "ucan_container.h"
#include "ucan_envelope.h"


#define NGX_MESH_IDENTITY_NONCE_LEN  12    /* bytes */
#define NGX_MESH_IDENTITY_LEEWAY     60    /* seconds, clocks of clients */


static ngx_int_t ngx_mesh_identity_token_sign(
    const ucan_envelope_draft_t *draft, const signature_key_t *key,
    bytes_t *envelope, ucan_memory_t *memory);
static ucan_token_t *ngx_mesh_identity_token_decode(
    const ngx_mesh_identity_set_t *set, ucan_memory_t *memory);
static ngx_uint_t ngx_mesh_identity_token_follows(const ucan_token_t *token,
    const ucan_token_t *before);
static void ngx_mesh_identity_token_reach(const ucan_token_t *tokens,
    size_t count, bytes_t mesh, u_char *reached);
static void ngx_mesh_identity_token_need(const ucan_token_t *tokens,
    size_t count, const u_char *reached, u_char *needed);


ngx_int_t
ngx_mesh_identity_token_delegate(ngx_mesh_identity_set_t *set,
    const ngx_mesh_identity_issue_t *issue, const grant_t *grants,
    size_t count, ucan_memory_t *memory)
{
    size_t                 i;
    u_char                *policy;
    u_char                 nonce[NGX_MESH_IDENTITY_NONCE_LEN];
    bytes_writer_t         w;
    ucan_envelope_draft_t  draft;

    policy = memory->alloc(memory->data, GRANT_POLICY_MAX);

    if (policy == NULL || count > NGX_MESH_IDENTITY_SET_MAX - set->count) {
        return NGX_ERROR;
    }

    for (i = 0; i < count; i++) {

        randombytes_buf(nonce, sizeof(nonce));

        ngx_memzero(&draft, sizeof(ucan_envelope_draft_t));
        draft.aud = issue->audience;
        draft.sub = issue->mesh;
        draft.cmd = grants[i].command;
        draft.nonce = bytes_make(nonce, sizeof(nonce));
        draft.exp = issue->expires;
        draft.nbf = -1;

        if (!issue->bare) {
            bytes_writer_open(&w, policy, GRANT_POLICY_MAX);

            if (grant_policy(&w, &grants[i], issue->ns, issue->rooms,
                             issue->room_count)
                != 0)
            {
                return NGX_ERROR;
            }

            draft.policy = bytes_writer_view(&w);
        }

        if (ngx_mesh_identity_token_sign(&draft, issue->key,
                                         &set->list[set->count], memory)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        set->count++;
    }

    return NGX_OK;
}


ngx_int_t
ngx_mesh_identity_token_session(const signature_key_t *key, bytes_t mesh,
    int64_t expires, bytes_t *envelope, ucan_memory_t *memory)
{
    u_char                 nonce[NGX_MESH_IDENTITY_NONCE_LEN];
    ucan_envelope_draft_t  draft;

    randombytes_buf(nonce, sizeof(nonce));

    ngx_memzero(&draft, sizeof(ucan_envelope_draft_t));
    draft.invocation = 1;
    draft.aud = mesh;
    draft.sub = bytes_make(key->did, sizeof(key->did));
    draft.cmd = bytes_of("/session/open");
    draft.nonce = bytes_make(nonce, sizeof(nonce));
    draft.exp = expires;
    draft.nbf = -1;

    return ngx_mesh_identity_token_sign(&draft, key, envelope, memory);
}


static ngx_int_t
ngx_mesh_identity_token_sign(const ucan_envelope_draft_t *draft,
    const signature_key_t *key, bytes_t *envelope, ucan_memory_t *memory)
{
    u_char          *copy;
    bytes_t          made;
    u_char           buf[UCAN_ENVELOPE_DRAFT_MAX];
    bytes_writer_t   w;

    bytes_writer_open(&w, buf, sizeof(buf));

    if (ucan_envelope_encode(draft, key, &w) != 0) {
        return NGX_ERROR;
    }

    made = bytes_writer_view(&w);
    copy = memory->alloc(memory->data, made.len);

    if (copy == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(copy, made.data, made.len);
    *envelope = bytes_make(copy, made.len);

    return NGX_OK;
}


void
ngx_mesh_identity_token_custodian(signature_key_t *custodian,
    const signature_key_t *mesh, bytes_t did)
{
    uint8_t                   seed[SIGNATURE_SEED_LEN];
    crypto_generichash_state  state;

    static const u_char       purpose[] = "mesh custodian 1";

    /* the secret starts with the seed of the mesh's key */

    crypto_generichash_init(&state, mesh->secret, SIGNATURE_SEED_LEN,
                            sizeof(seed));
    crypto_generichash_update(&state, purpose, sizeof(purpose));
    crypto_generichash_update(&state, did.data, did.len);
    crypto_generichash_final(&state, seed, sizeof(seed));

    signature_key_open(custodian, seed);

    sodium_memzero(seed, sizeof(seed));
    sodium_memzero(&state, sizeof(state));
}


ngx_uint_t
ngx_mesh_identity_token_ours(const signature_key_t *mesh, bytes_t maker,
    bytes_t did)
{
    signature_key_t  custodian;

    if (bytes_equal(did, bytes_make(mesh->did, sizeof(mesh->did)))) {
        return 1;
    }

    ngx_mesh_identity_token_custodian(&custodian, mesh, maker);
    signature_key_destroy(&custodian);

    return bytes_equal(did, bytes_make(custodian.did, sizeof(custodian.did)));
}


ngx_int_t
ngx_mesh_identity_token_unpack(ngx_mesh_identity_set_t *set, bytes_t text,
    ucan_memory_t *memory)
{
    size_t          count;
    bytes_t        *list;
    ucan_limits_t   limits;

    if (text.len == 0) {
        return NGX_OK;
    }

    ucan_limits_init(&limits);

    if (ucan_container_decode(text, &list, &count, &limits, memory)
        != UCAN_OK
        || count > NGX_MESH_IDENTITY_SET_MAX - set->count)
    {
        return NGX_ERROR;
    }

    ngx_memcpy(set->list + set->count, list, count * sizeof(bytes_t));
    set->count += count;

    return NGX_OK;
}


ngx_int_t
ngx_mesh_identity_token_pack(const ngx_mesh_identity_set_t *set, char form,
    bytes_t *text, ucan_memory_t *memory)
{
    size_t           i, size;
    u_char          *buf;
    bytes_writer_t   w;

    /* what does not compress grows by a head, and by base64 */

    size = 512;

    for (i = 0; i < set->count; i++) {
        size += set->list[i].len + 8;
    }

    size = base64_encoded_max(size + size / 64) + 1;
    buf = memory->alloc(memory->data, size);

    if (buf == NULL) {
        return NGX_ERROR;
    }

    bytes_writer_open(&w, buf, size);

    if (ucan_container_encode(form, set->list, set->count, &w, memory) != 0) {
        return NGX_ERROR;
    }

    *text = bytes_writer_view(&w);

    return NGX_OK;
}


ngx_int_t
ngx_mesh_identity_token_select(ngx_mesh_identity_set_t *set, bytes_t mesh,
    bytes_t holder, ucan_memory_t *memory)
{
    size_t         i, n;
    u_char         reached[NGX_MESH_IDENTITY_SET_MAX];
    u_char         needed[NGX_MESH_IDENTITY_SET_MAX];
    ucan_token_t  *tokens;

    tokens = ngx_mesh_identity_token_decode(set, memory);

    if (tokens == NULL) {
        return NGX_ERROR;
    }

    ngx_mesh_identity_token_reach(tokens, set->count, mesh, reached);

    for (i = 0; i < set->count; i++) {
        needed[i] = reached[i] && bytes_equal(tokens[i].aud, holder);
    }

    ngx_mesh_identity_token_need(tokens, set->count, reached, needed);

    n = 0;

    for (i = 0; i < set->count; i++) {
        if (needed[i]) {
            set->list[n++] = set->list[i];
        }
    }

    set->count = n;

    return NGX_OK;
}


ngx_int_t
ngx_mesh_identity_token_limit(ngx_mesh_identity_set_t *set, bytes_t holder,
    const ucan_bundle_t *presented, ucan_memory_t *memory)
{
    size_t         i, n;
    ucan_token_t  *tokens;

    tokens = ngx_mesh_identity_token_decode(set, memory);

    if (tokens == NULL) {
        return NGX_ERROR;
    }

    n = 0;

    for (i = 0; i < set->count; i++) {

        if (bytes_equal(tokens[i].aud, holder)
            && ucan_bundle_find(presented, &tokens[i].cid) == NULL)
        {
            continue;
        }

        set->list[n++] = set->list[i];
    }

    set->count = n;

    return NGX_OK;
}


ngx_int_t
ngx_mesh_identity_token_below(ngx_mesh_identity_set_t *set, bytes_t mesh,
    ucan_memory_t *memory)
{
    size_t         i, n;
    ucan_token_t  *tokens;

    tokens = ngx_mesh_identity_token_decode(set, memory);

    if (tokens == NULL) {
        return NGX_ERROR;
    }

    n = 0;

    for (i = 0; i < set->count; i++) {

        if (!bytes_equal(tokens[i].iss, mesh)) {
            set->list[n++] = set->list[i];
        }
    }

    set->count = n;

    return NGX_OK;
}


ngx_int_t
ngx_mesh_identity_token_cids(const ngx_mesh_identity_set_t *set,
    bytes_t holder, cid_t *cids, size_t *count, ucan_memory_t *memory)
{
    size_t         i;
    ucan_token_t  *tokens;

    *count = 0;
    tokens = ngx_mesh_identity_token_decode(set, memory);

    if (tokens == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < set->count; i++) {

        if (bytes_equal(tokens[i].aud, holder)) {
            cids[(*count)++] = tokens[i].cid;
        }
    }

    return NGX_OK;
}


void
ngx_mesh_identity_token_trust(ucan_trust_t *trust, const bytes_t *mesh)
{
    ngx_memzero(trust, sizeof(ucan_trust_t));

    trust->audiences = mesh;
    trust->audience_count = 1;
    trust->anchors = mesh;
    trust->anchor_count = 1;
    trust->leeway = NGX_MESH_IDENTITY_LEEWAY;
    trust->session_max = 24 * 60 * 60;

    ucan_limits_init(&trust->limits);
}


/* All of a set as tokens, in its order; NULL: malformed or no memory. */

static ucan_token_t *
ngx_mesh_identity_token_decode(const ngx_mesh_identity_set_t *set,
    ucan_memory_t *memory)
{
    size_t         i;
    ucan_token_t  *tokens;

    tokens = memory->alloc(memory->data,
                           (set->count + 1) * sizeof(ucan_token_t));

    if (tokens == NULL) {
        return NULL;
    }

    for (i = 0; i < set->count; i++) {
        ngx_memzero(&tokens[i], sizeof(ucan_token_t));

        if (ucan_envelope_decode(&tokens[i], set->list[i], memory)
            != UCAN_OK)
        {
            return NULL;
        }
    }

    return tokens;
}


/* May token stand behind "before" in a chain? */

static ngx_uint_t
ngx_mesh_identity_token_follows(const ucan_token_t *token,
    const ucan_token_t *before)
{
    return bytes_equal(before->aud, token->iss)
           && ucan_chain_covers(before->cmd, token->cmd);
}


/* Marks what a chain from the mesh comes to. */

static void
ngx_mesh_identity_token_reach(const ucan_token_t *tokens, size_t count,
    bytes_t mesh, u_char *reached)
{
    size_t      i, j;
    ngx_uint_t  moved;

    for (i = 0; i < count; i++) {
        reached[i] = tokens[i].kind == UCAN_TOKEN_DELEGATION
                     && bytes_equal(tokens[i].iss, mesh)
                     && bytes_equal(tokens[i].sub, mesh);
    }

    do {
        moved = 0;

        for (i = 0; i < count; i++) {

            if (reached[i]
                || tokens[i].kind != UCAN_TOKEN_DELEGATION
                || (tokens[i].sub.len != 0
                    && !bytes_equal(tokens[i].sub, mesh)))
            {
                continue;
            }

            for (j = 0; j < count; j++) {

                if (reached[j]
                    && ngx_mesh_identity_token_follows(&tokens[i],
                                                       &tokens[j]))
                {
                    reached[i] = 1;
                    moved = 1;
                    break;
                }
            }
        }

    } while (moved);
}


/* Marks what stands before what is needed already. */

static void
ngx_mesh_identity_token_need(const ucan_token_t *tokens, size_t count,
    const u_char *reached, u_char *needed)
{
    size_t      i, j;
    ngx_uint_t  moved;

    do {
        moved = 0;

        for (i = 0; i < count; i++) {

            for (j = 0; needed[i] && j < count; j++) {

                if (reached[j]
                    && !needed[j]
                    && ngx_mesh_identity_token_follows(&tokens[i],
                                                       &tokens[j]))
                {
                    needed[j] = 1;
                    moved = 1;
                }
            }
        }

    } while (moved);
}
