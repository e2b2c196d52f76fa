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


#include "ucan_token.h"


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

    /* asked for every token of a path before it counts; may be NULL */
    int           (*revoked)(void *data, const cid_t *cid);
    void           *data;
} ucan_trust_t;


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
    size_t               depth;       /* tokens on the path, top included */
    cid_t                failed;      /* token that broke the first rule */
    int                  has_failed;
} ucan_chain_t;


/* Fills chain; UCAN_OK or the first rule that failed. */
ucan_verdict_t ucan_chain_open(ucan_chain_t *chain, ucan_bundle_t *bundle,
    const ucan_trust_t *trust, int64_t now);

/* May the holder do this now?  UCAN_OK, or the closest reason why not. */
ucan_verdict_t ucan_chain_allow(ucan_chain_t *chain,
    const ucan_request_t *request, int64_t now);

/* The requirement of a location: a session is asked as by
   ucan_chain_allow(); an invocation passes when its own command is the
   required one or lies below it (whoever answers sees that command). */
ucan_verdict_t ucan_chain_require(ucan_chain_t *chain,
    const ucan_request_t *request, int64_t now);

/* May the holder of a 0.x session do "ability" ("room/send") with any
   resource?  "facts" is a JSON object, checked by the caller, that caveats
   must agree with; empty: only the empty caveat passes. */
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
