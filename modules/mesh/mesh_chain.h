/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The chain to show for a verdict: the one that was accepted, or of all that
 * were presented the one that came closest.  The verdict itself is that of
 * ucan_chain.h; nothing here changes it.
 */


#ifndef _MESH_CHAIN_H_INCLUDED_
#define _MESH_CHAIN_H_INCLUDED_


#include "mesh.h"
#include "ucan_chain.h"


#define MESH_CHAIN_MAX  (UCAN_TOKEN_PROOFS_MAX + 1)     /* links, with top */


/* What was asked, and what came out.  All borrowed. */
typedef struct {
    ucan_bundle_t          *bundle;
    const ucan_trust_t     *trust;
    const ucan_chain_t     *chain;        /* as the question left it */
    const ucan_request_t   *request;      /* NULL: only whether it opens */
    const ucan_resource_t  *resource;     /* 0.x: asked for instead of the
                                             request's; NULL: none */
    bytes_t                 facts;        /* JSON object, for caveats */
    bytes_t                 args;         /* DAG-CBOR map, for policies */
    const ucan_http_t      *http;         /* or NULL */
    int64_t                 now;          /* seconds */
    int                     opened;       /* only then the rest was asked */
    ucan_verdict_t          verdict;
} mesh_ask_t;


/* One link.  Of a proof that was named but not given there is the CID
   alone. */
typedef struct {
    ucan_token_t  *token;         /* or NULL */
    cid_t          cid;
    uint8_t       *live;          /* 0.x: of each capability, whether it
                                     leads down to what is asked for */
} mesh_link_t;


typedef struct {
    const mesh_ask_t  *ask;
    mesh_link_t        links[MESH_CHAIN_MAX];     /* root first, top last */
    size_t             count;
    int                reversed;  /* an invocation named its proofs leaf
                                     first */
} mesh_chain_t;


/* Finds it.  The count is 0 when nothing was presented. */
void mesh_chain_find(mesh_chain_t *chain, const mesh_ask_t *ask);

/* 1 when a token of the bundle is a link. */
int mesh_chain_holds(const mesh_chain_t *chain, const ucan_token_t *token);

/* What a capability of the top is asked for: of the request the resource in
   the mesh of that anchor.  0 when nothing is asked. */
int mesh_chain_want(const mesh_ask_t *ask, size_t anchor,
    ucan_token_cap_t *want);


#endif /* _MESH_CHAIN_H_INCLUDED_ */
