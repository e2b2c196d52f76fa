/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Sessions: memory, the walk, and what is checked again.
 *
 * Nothing here decides by what was decided before.  What stays in a session
 * is that its tokens are well formed and that signatures were checked; time
 * and revocations are asked again, and every question about a command walks
 * the chain anew.
 */


#include "ngx_ucan_conf.h"
#include "ngx_ucan_revocation.h"
#include "ngx_ucan_seal.h"
#include "ngx_ucan_session.h"


#define NGX_UCAN_SESSION_POOL       4096    /* bytes of a block */
#define NGX_UCAN_SESSION_ARGS_NONE  1       /* bytes of an empty map,
                                               or of an empty list */


static void *ngx_ucan_session_alloc(void *data, size_t size);
static ngx_int_t ngx_ucan_session_copy(ngx_ucan_session_t *s, bytes_t text,
    bytes_t *copy);
static void ngx_ucan_session_memory(ngx_ucan_session_t *s,
    ucan_memory_t *memory);
static ngx_uint_t ngx_ucan_session_generation(const ucan_trust_t *trust);


static const size_t  ngx_ucan_session_fact[] = {
    offsetof(ucan_http_t, scheme),
    offsetof(ucan_http_t, method),
    offsetof(ucan_http_t, host),
    offsetof(ucan_http_t, path),
    offsetof(ucan_http_t, query),
    offsetof(ucan_http_t, origin),
    offsetof(ucan_http_t, agent)
};

#define NGX_UCAN_SESSION_FACTS                                                \
    (sizeof(ngx_ucan_session_fact) / sizeof(ngx_ucan_session_fact[0]))

_Static_assert(NGX_UCAN_SESSION_FACTS * sizeof(bytes_t)
               == sizeof(ucan_http_t), "all of them");


ngx_ucan_session_t *
ngx_ucan_session_create(const ucan_trust_t *trust, const bytes_t text[2])
{
    ngx_pool_t          *pool;
    ngx_ucan_session_t  *s;

    /* it outlives the connection that it came with, and its log */
    pool = ngx_create_pool(NGX_UCAN_SESSION_POOL, ngx_cycle->log);

    if (pool == NULL) {
        return NULL;
    }

    s = ngx_pcalloc(pool, sizeof(ngx_ucan_session_t));

    if (s == NULL) {
        goto failed;
    }

    s->pool = pool;
    s->references = 1;
    s->bytes = NGX_UCAN_SESSION_POOL;
    s->trust = trust;

    if (ngx_ucan_session_copy(s, text[0], &s->text[0]) != NGX_OK
        || ngx_ucan_session_copy(s, text[1], &s->text[1]) != NGX_OK)
    {
        goto failed;
    }

    return s;

failed:

    ngx_destroy_pool(pool);

    return NULL;
}


ucan_verdict_t
ngx_ucan_session_parse(ngx_ucan_session_t *s)
{
    ucan_memory_t  memory;

    ngx_ucan_session_memory(s, &memory);

    return ucan_bundle_parse(&s->bundle, s->text[0], s->text[1],
                             &s->trust->limits, &memory);
}


ucan_verdict_t
ngx_ucan_session_add(ngx_ucan_session_t *s, bytes_t raw)
{
    bytes_t        copy;
    ucan_memory_t  memory;

    if (raw.len > s->trust->limits.bytes_max) {
        return UCAN_TOO_LARGE;
    }

    if (ngx_ucan_session_copy(s, raw, &copy) != NGX_OK) {
        return UCAN_NO_MEMORY;
    }

    ngx_ucan_session_memory(s, &memory);

    return ucan_bundle_add(&s->bundle, copy, &s->trust->limits, &memory);
}


ngx_int_t
ngx_ucan_session_facts(ngx_ucan_session_t *s, const ucan_http_t *http)
{
    bytes_t     *fact;
    ngx_uint_t   i;

    s->http = ngx_ucan_session_alloc(s, sizeof(ucan_http_t));

    if (s->http == NULL) {
        return NGX_ERROR;
    }

    *s->http = *http;

    for (i = 0; i < NGX_UCAN_SESSION_FACTS; i++) {
        fact = (bytes_t *) ((u_char *) s->http + ngx_ucan_session_fact[i]);

        if (ngx_ucan_session_copy(s, *fact, fact) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* One that opens a session may be for one request too: by its arguments. */

ngx_uint_t
ngx_ucan_session_single(const ngx_ucan_session_t *s)
{
    const ucan_token_t  *top;

    top = s->bundle.top;

    return top != NULL
           && top->kind == UCAN_TOKEN_INVOCATION
           && (top->args.len > NGX_UCAN_SESSION_ARGS_NONE
               || !bytes_equal_text(top->cmd, UCAN_CHAIN_SESSION_OPEN));
}


ngx_uint_t
ngx_ucan_session_asks(const ngx_ucan_session_t *s)
{
    size_t  i;

    for (i = 0; i < s->bundle.count; i++) {
        if (s->bundle.tokens[i].policy.len > NGX_UCAN_SESSION_ARGS_NONE) {
            return 1;
        }
    }

    return 0;
}


ngx_uint_t
ngx_ucan_session_unchecked(ngx_ucan_session_t *s, ngx_shm_zone_t *zone)
{
    size_t         i;
    ngx_uint_t     n, single;
    ucan_token_t  *token;

    n = 0;
    single = ngx_ucan_session_single(s);

    for (i = 0; i < s->bundle.count; i++) {
        token = &s->bundle.tokens[i];

        if (token->seal != UCAN_TOKEN_UNCHECKED) {
            continue;
        }

        if (zone
            && !(single && token == s->bundle.top)
            && ngx_ucan_seal_find(zone, &token->cid))
        {
            token->seal = UCAN_TOKEN_SIGNED;
            continue;
        }

        n += ucan_token_weight(token);
    }

    s->known = ngx_ucan_session_count(s, UCAN_TOKEN_SIGNED);

    return n;
}


ngx_uint_t
ngx_ucan_session_count(const ngx_ucan_session_t *s, ucan_token_seal_t seal)
{
    size_t      i;
    ngx_uint_t  n;

    n = 0;

    for (i = 0; i < s->bundle.count; i++) {
        n += (s->bundle.tokens[i].seal == seal);
    }

    return n;
}


void
ngx_ucan_session_begin(ngx_ucan_session_t *s)
{
    /* read first: what is revoked during the walk shows at the next one */
    s->generation = ngx_ucan_session_generation(s->trust);
    s->checked = ngx_time();
}


ucan_verdict_t
ngx_ucan_session_walk(ngx_ucan_session_t *s, ngx_uint_t all)
{
    size_t          i;
    ucan_verdict_t  rc;

    rc = ucan_chain_open_http(&s->chain, &s->bundle, s->trust, s->http,
                              s->checked);

    s->chain.http = NULL;

    for (i = 0; rc == UCAN_OK && all && i < s->bundle.count; i++) {
        (void) ucan_token_verify(&s->bundle.tokens[i]);
    }

    return rc;
}


/* Only a bundle that proved authority is remembered: whoever has none cannot
   fill the zone. */

void
ngx_ucan_session_seal(ngx_ucan_session_t *s, ngx_shm_zone_t *zone)
{
    size_t           i;
    ngx_uint_t       single;
    ucan_token_t    *token;
    bytes_writer_t   w;

    bytes_writer_open(&w, s->cid, CID_TEXT_LEN);
    cid_write(&s->chain.cid, &w);

    if (zone == NULL) {
        return;
    }

    single = ngx_ucan_session_single(s);

    for (i = 0; i < s->bundle.count; i++) {
        token = &s->bundle.tokens[i];

        if (token->seal == UCAN_TOKEN_SIGNED
            && !(single && token == s->bundle.top))
        {
            ngx_ucan_seal_add(zone, &token->cid);
        }
    }
}


void
ngx_ucan_session_describe(const ngx_ucan_session_t *s,
    ngx_ucan_refusal_t *refusal)
{
    if (s->bundle.top) {
        refusal->issuer = s->bundle.top->iss;
        refusal->cid = s->bundle.top->cid;
        refusal->has_cid = 1;
    }

    if (s->chain.has_failed) {
        refusal->cid = s->chain.failed;
        refusal->has_cid = 1;
    }
}


ucan_verdict_t
ngx_ucan_session_alive(ngx_ucan_session_t *s)
{
    time_t          now;
    ngx_uint_t      generation;
    ucan_verdict_t  rc;

    now = ngx_time();
    generation = ngx_ucan_session_generation(s->trust);

    if (now <= s->chain.expires
        && now >= s->checked
        && generation == s->generation)
    {
        return UCAN_OK;
    }

    s->chain.http = s->http;

    rc = ucan_chain_alive(&s->chain, now);

    s->chain.http = NULL;

    if (rc == UCAN_OK) {
        s->generation = generation;
        s->checked = now;
    }

    return rc;
}


void
ngx_ucan_session_publish(ngx_ucan_session_t *s, ngx_mesh_principal_t *p)
{
    p->did.data = (u_char *) s->chain.issuer.data;
    p->did.len = s->chain.issuer.len;

    p->root.data = (u_char *) s->chain.root.data;
    p->root.len = s->chain.root.len;

    p->cid.data = s->cid;
    p->cid.len = CID_TEXT_LEN;

    p->expires = (time_t) s->chain.expires;
    p->depth = s->chain.depth;
    p->invocation = (s->chain.kind == UCAN_CHAIN_INVOCATION);
    p->chain = &s->chain;
    p->http = s->http;
}


ngx_ucan_session_t *
ngx_ucan_session_of(ucan_chain_t *chain)
{
    return (ngx_ucan_session_t *)
               ((u_char *) chain - offsetof(ngx_ucan_session_t, chain));
}


ngx_ucan_session_t *
ngx_ucan_session_take(ngx_ucan_session_t *s)
{
    s->references++;

    return s;
}


void
ngx_ucan_session_release(ngx_ucan_session_t *s)
{
    if (--s->references == 0) {
        ngx_destroy_pool(s->pool);
    }
}


static void *
ngx_ucan_session_alloc(void *data, size_t size)
{
    ngx_ucan_session_t  *s = data;

    s->bytes += size;

    return ngx_palloc(s->pool, size);
}


static ngx_int_t
ngx_ucan_session_copy(ngx_ucan_session_t *s, bytes_t text, bytes_t *copy)
{
    u_char  *data;

    /* one byte for who copies nothing: a view always points somewhere */
    data = ngx_pnalloc(s->pool, text.len + 1);

    if (data == NULL) {
        return NGX_ERROR;
    }

    if (text.len != 0) {
        ngx_memcpy(data, text.data, text.len);
    }

    s->bytes += text.len + 1;
    *copy = bytes_make(data, text.len);

    return NGX_OK;
}


static void
ngx_ucan_session_memory(ngx_ucan_session_t *s, ucan_memory_t *memory)
{
    memory->alloc = ngx_ucan_session_alloc;
    memory->data = s;
}


static ngx_uint_t
ngx_ucan_session_generation(const ucan_trust_t *trust)
{
    ngx_ucan_main_conf_t  *mcf;

    mcf = trust->data;

    return ngx_ucan_revocation_generation(mcf->revocation_zone);
}
