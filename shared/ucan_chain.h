/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The walk: who presents what, from which root, and what that allows.
 *
 * ucan_chain_open() authenticates (holder, time, audience, session rules,
 * one live chain from a trust anchor); ucan_chain_allow() then answers for
 * one command with its arguments, as often as asked.  Signatures are
 * checked when a token is first needed and at most once.  Time is always an
 * argument; nothing is cached but the signature memo.
 */


#ifndef _UCAN_CHAIN_H_INCLUDED_
#define _UCAN_CHAIN_H_INCLUDED_


#include "ucan_http.h"


#define UCAN_CHAIN_ARGS_MAX        8
#define UCAN_CHAIN_NAME_BYTES_MAX  64       /* of one argument's name */
#define UCAN_CHAIN_ARG_BYTES_MAX   1024     /* of one value */

#define UCAN_CHAIN_SESSION_OPEN    "/session/open"


/* One argument of a command: text only in this release. */
typedef struct {
    bytes_t  name;
    bytes_t  value;
} ucan_arg_t;


typedef struct {
    bytes_t         command;      /* "/room/send" */
    ucan_arg_t      args[UCAN_CHAIN_ARGS_MAX];
    size_t          arg_count;
} ucan_request_t;


typedef enum {
    UCAN_REVOKED_NOT = 0,
    UCAN_REVOKED_BY,              /* by somebody: ask revoked_by() */
    UCAN_REVOKED_ALL              /* whoever issued it */
} ucan_revoked_t;


typedef struct {
    const bytes_t  *audiences;    /* DIDs this node answers to */
    size_t          audience_count;
    const bytes_t  *anchors;      /* DIDs that may be the root (subject) */
    size_t          anchor_count;
    ucan_limits_t   limits;
    int64_t         leeway;       /* seconds, both ends */
    int64_t         session_max;  /* seconds from now a session may last;
                                     negative: for ever, only for tools that
                                     look at tokens that are no login */
    unsigned        prefix:1;     /* 0.x: links may narrow a resource to what
                                     lies below it, as ucan_resource_t; said
                                     where such resources are asked for */

    /* asked for every token of a path before it counts; may be NULL */
    ucan_revoked_t  (*revoked)(void *data, const cid_t *cid);

    /* asked after UCAN_REVOKED_BY: did that DID revoke it? */
    int             (*revoked_by)(void *data, const cid_t *cid, bytes_t did);

    /* Signatures that were checked for another bundle, by the CID that was
       computed over the very bytes; both may be NULL.  sealed: 1 when it is
       known as good.  seal: it is good (not told of an invocation that is
       used once). */
    int             (*sealed)(void *data, const cid_t *cid);
    void            (*seal)(void *data, const cid_t *cid);

    void            *data;        /* of all four */
} ucan_trust_t;


/* The resource of 0.x tokens at a place that is none of a mesh's: what is
   asked for instead of mesh://<root>/<kind>/<id>. */
typedef struct {
    bytes_t        with;          /* a URI, never empty */
    bytes_t        can;           /* empty: the command without its slash */
    unsigned       prefix:1;      /* a resource covers what lies below it: a
                                     byte prefix that ends at a "/" */
} ucan_resource_t;


typedef enum {
    UCAN_CHAIN_SESSION = 0,
    UCAN_CHAIN_INVOCATION
} ucan_chain_kind_t;


/* What is known after ucan_chain_open(); views borrow from the bundle. */
typedef struct {
    ucan_bundle_t       *bundle;
    const ucan_trust_t  *trust;
    ucan_chain_kind_t    kind;
    bytes_t              issuer;      /* the holder's DID */
    bytes_t              root;        /* anchor of the chain found */
    cid_t                cid;         /* of the top token */
    int64_t              expires;     /* seconds; least of top and path */
    const ucan_token_t  *path[UCAN_TOKEN_COUNT_MAX];    /* of the chain
                                         found, root first, top left out */
    size_t               path_count;

    /* facts of the HTTP request that is asked about: set by the caller before
       it asks, as each asks for another (ucan_chain_open() begins with none,
       ucan_chain_open_http() with those it is given); NULL: none are known,
       and policies on ".http" fail */
    const ucan_http_t   *http;

    size_t               depth;       /* tokens on the path, top included */
    cid_t                failed;      /* token that broke the first rule */
    int                  has_failed;
} ucan_chain_t;


/* Fills chain; UCAN_OK or the first rule that failed.  chain->http becomes
   NULL, so an invocation that is bound to a request does not open. */
ucan_verdict_t ucan_chain_open(ucan_chain_t *chain, ucan_bundle_t *bundle,
    const ucan_trust_t *trust, int64_t now);

/* The same about one HTTP request; http is borrowed as chain->http. */
ucan_verdict_t ucan_chain_open_http(ucan_chain_t *chain,
    ucan_bundle_t *bundle, const ucan_trust_t *trust,
    const ucan_http_t *http, int64_t now);

/* May the holder do this now?  UCAN_OK, or the closest reason why not. */
ucan_verdict_t ucan_chain_allow(ucan_chain_t *chain,
    const ucan_request_t *request, int64_t now);

/* The requirement of a location: a session is asked as by
   ucan_chain_allow(); an invocation passes when its own command is the
   required one or lies below it (whoever answers sees that command).
   resource: what 0.x tokens are asked for; NULL: that of a mesh.  A top of
   1.0 whose args have "http" must be about chain->http, here and in all other
   questions; UCAN_WRONG_REQUEST. */
ucan_verdict_t ucan_chain_require(ucan_chain_t *chain,
    const ucan_request_t *request, const ucan_resource_t *resource,
    int64_t now);

/* The CIDs that tokens of the bundle name as proofs and that are not in it,
   those first that the top leads to; each once, at most max. */
size_t ucan_chain_missing(const ucan_bundle_t *bundle, cid_t *list,
    size_t max);

/* What the signatures weigh (ucan_token_weight()) that were neither checked
   nor are known to trust->sealed(): the most that a walk can cost now. */
size_t ucan_chain_unchecked(const ucan_bundle_t *bundle,
    const ucan_trust_t *trust);

/* May the holder of a 0.x session do "ability" ("room/send") with any
   resource?  Resources cover what lies below them when trust->prefix is set.
   "facts" is a JSON object, checked by the caller, that caveats must agree
   with; empty: only the empty caveat passes. */
ucan_verdict_t ucan_chain_allow_resource(ucan_chain_t *chain,
    bytes_t resource, bytes_t ability, bytes_t facts, int64_t now);

/* Is the session still good (time, revocation of the top and of at least
   one path)?  Cheap: no signature is checked twice. */
ucan_verdict_t ucan_chain_alive(ucan_chain_t *chain, int64_t now);

/* Proves possession of a key: a container with one "/session/open"
   invocation, iss = sub, aud among the audiences, signed, alive.  No chain is
   asked for.  Sets *holder. */
ucan_verdict_t ucan_chain_holder(ucan_bundle_t *bundle,
    const ucan_trust_t *trust, int64_t now, bytes_t *holder);

/* 1 when command a covers b (segment-wise; "/" covers all). */
int ucan_chain_covers(bytes_t a, bytes_t b);

/* 1 when text is a well-formed command. */
int ucan_chain_command_valid(bytes_t text);

/* Writes the 0.x resource of a request: mesh://<did>/<kind>/<id>. */
void ucan_chain_resource(bytes_writer_t *w, bytes_t subject,
    const ucan_request_t *request);


#endif /* _UCAN_CHAIN_H_INCLUDED_ */
