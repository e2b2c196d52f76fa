/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The one internal token, whatever the version, and the bundle that one
 * request presents: tokens in place over the received bytes.
 *
 * Memory comes from the caller through ucan_memory_t (a request pool, an
 * arena); nothing here frees.
 */


#ifndef _UCAN_TOKEN_H_INCLUDED_
#define _UCAN_TOKEN_H_INCLUDED_


#include "bytes.h"
#include "cid.h"


#define UCAN_TOKEN_BYTES_MAX      65536     /* of one token */
#define UCAN_TOKEN_COUNT_MAX      64        /* in a bundle */
#define UCAN_TOKEN_DEPTH_MAX      16        /* tokens on one path */
#define UCAN_TOKEN_PROOFS_MAX     64        /* links in one token */
#define UCAN_TOKEN_CAPS_MAX       1024      /* 0.x capabilities in a bundle */
#define UCAN_TOKEN_INFLATED_MAX   262144    /* bytes out of a gzip */
#define UCAN_TOKEN_WEIGHT_MAX     8         /* of one signature */


typedef enum {
    UCAN_TOKEN_JWT = 0,           /* 0.8, 0.9, 0.10 */
    UCAN_TOKEN_DELEGATION,        /* 1.0 */
    UCAN_TOKEN_INVOCATION         /* 1.0 */
} ucan_token_kind_t;


typedef enum {
    UCAN_TOKEN_UNCHECKED = 0,
    UCAN_TOKEN_SIGNED,
    UCAN_TOKEN_FORGED
} ucan_token_seal_t;              /* memo of the one signature check */


typedef struct {
    void  *(*alloc)(void *data, size_t size);   /* NULL when out of memory */
    void    *data;
} ucan_memory_t;


typedef struct {
    size_t  bytes_max;            /* of the presented text, in all */
    size_t  count_max;            /* tokens */
    size_t  depth_max;            /* tokens on one path, top included */
    size_t  inflated_max;         /* bytes */
} ucan_limits_t;


/* One capability of a 0.x token: one entry of the list of caveats. */
typedef struct {
    bytes_t  with;                /* resource, a URI */
    bytes_t  can;                 /* ability */
    bytes_t  caveat;              /* JSON object */
    int      wild;                /* can is "ns/" and a star, which in this
                                     version covers all of "ns/..." */
} ucan_token_cap_t;


/* What came first in time is less: a proof is never newer than what it
   proves (reference 4.1). */
#define UCAN_TOKEN_VERSION_08  8
#define UCAN_TOKEN_VERSION_09  9
#define UCAN_TOKEN_VERSION_10  10      /* 0.10 */
#define UCAN_TOKEN_VERSION_V1  100     /* 1.0.0-rc.1 and 1.0.0 */


typedef struct {
    ucan_token_kind_t  kind;
    ucan_token_seal_t  seal;
    unsigned           version;      /* UCAN_TOKEN_VERSION_... */
    cid_t              cid;          /* computed over raw, never claimed */
    bytes_t            raw;          /* what the CID is over */
    bytes_t            signed_part;  /* what the signature is over */
    bytes_t            signature;
    bytes_t            iss;          /* DID texts */
    bytes_t            aud;          /* 1.0 invocation: sub when absent */
    bytes_t            sub;          /* 1.0; empty: null (powerline) */
    bytes_t            cmd;          /* 1.0 */
    bytes_t            nonce;
    bytes_t            policy;       /* 1.0 delegation: DAG-CBOR list */
    bytes_t            args;         /* 1.0 invocation: DAG-CBOR map */
    bytes_t            caps;         /* 0.x: JSON text of "cap" or "att" */
    ucan_token_cap_t  *capabilities; /* 0.x: the same, taken apart; the
                                        caveat of "att" is what stands
                                        beside "with" and "can" */
    size_t             capability_count;
    cid_t             *proofs;       /* in the order of the token; of an
                                        embedded one its own CID */
    size_t             proof_count;
    int64_t            exp;          /* seconds; only when has_exp */
    int64_t            nbf;          /* seconds; only when has_nbf */
    cid_t              twin;         /* when has_twin */
    unsigned           asked_twin:1; /* by ucan_token_twin() */
    unsigned           has_twin:1;
    unsigned           has_exp:1;
    unsigned           has_nbf:1;
    unsigned           foreign:1;    /* it also names proofs by CIDs of other
                                        kinds, which nobody can present */
} ucan_token_t;


typedef enum {
    UCAN_OK = 0,
    UCAN_MALFORMED,               /* bytes are no token of ours */
    UCAN_UNSUPPORTED,             /* version or algorithm not accepted */
    UCAN_TOO_LARGE,               /* a limit was reached */
    UCAN_NO_MEMORY,
    UCAN_BAD_SIGNATURE,
    UCAN_EXPIRED,
    UCAN_NOT_YET,
    UCAN_WRONG_AUDIENCE,
    UCAN_WRONG_SUBJECT,           /* 1.0: subject not served here */
    UCAN_NO_SESSION,              /* bare delegation, or rules of a session
                                     broken (holder, nonce, proofs) */
    UCAN_SESSION_TOO_LONG,        /* no expiry, or beyond session_max */
    UCAN_NO_PROOF,                /* a named proof was not presented */
    UCAN_BROKEN_CHAIN,            /* audience of one is not issuer of next */
    UCAN_UNTRUSTED_ROOT,          /* no chain starts at a trust anchor */
    UCAN_TOO_DEEP,
    UCAN_WIDENED,                 /* a link widens its proof */
    UCAN_OUTLIVES,                /* 0.x: a link outlives its proof */
    UCAN_POLICY,                  /* a policy or caveat says no */
    UCAN_NOT_COVERED,             /* no capability for this command */
    UCAN_REVOKED,
    UCAN_REPLAYED,
    UCAN_WRONG_REQUEST,           /* args.http is about another request, or
                                     is demanded and absent */
    UCAN_REPLAY_FULL              /* no room to remember an invocation */
} ucan_verdict_t;


typedef struct {
    ucan_token_t  *tokens;        /* [count], distinct by CID */
    size_t         count;
    size_t         capacity;      /* of tokens */
    ucan_token_t  *top;           /* JWT: the bearer; 1.0: the invocation;
                                     NULL when a container holds none */
} ucan_bundle_t;


/* The bounds above, for whoever has no others. */
void ucan_limits_init(ucan_limits_t *limits);

/* Parses what a request presents.  "token" is the text after "Bearer "
   (a JWT, or a container of form B, C, O or P); "proofs" is the value of
   the "ucans" header or empty.  Views in the bundle borrow from token,
   proofs and memory.  Checks form and limits only; no signature, no time. */
ucan_verdict_t ucan_bundle_parse(ucan_bundle_t *bundle, bytes_t token,
    bytes_t proofs, const ucan_limits_t *limits, ucan_memory_t *memory);

/* The same from envelopes of 1.0, each a whole one (a decoded container). */
ucan_verdict_t ucan_bundle_parse_envelopes(ucan_bundle_t *bundle,
    const bytes_t *list, size_t count, const ucan_limits_t *limits,
    ucan_memory_t *memory);

/* Adds one more token, a JWT or an envelope as it was received, that was
   found elsewhere (a store of delegations): as a proof, never as the top.
   raw is borrowed.  Tokens may move: pointers into bundle->tokens other than
   bundle->top are stale after it.  UCAN_OK, also when it was there or is of a
   kind that proves nothing here; UCAN_TOO_LARGE, UCAN_NO_MEMORY,
   UCAN_MALFORMED. */
ucan_verdict_t ucan_bundle_add(ucan_bundle_t *bundle, bytes_t raw,
    const ucan_limits_t *limits, ucan_memory_t *memory);

/* The token with that CID, or NULL. */
ucan_token_t *ucan_bundle_find(const ucan_bundle_t *bundle,
    const cid_t *cid);

/* Checks the signature once and remembers.  UCAN_OK, UCAN_BAD_SIGNATURE or
   UCAN_UNSUPPORTED (issuer's key type). */
ucan_verdict_t ucan_token_verify(ucan_token_t *token);

/* What checking the signature costs, in checks of Ed25519: 1, also for P-256
   and RSA; UCAN_TOKEN_WEIGHT_MAX for the curves without fast code (secp256k1,
   P-384, P-521), which cost 6 to 10. */
unsigned ucan_token_weight(const ucan_token_t *token);

/* The CID that the same token has with the other signature (signature_twin()):
   anybody can make it, and what is said of one CID holds for both.  NULL when
   there is none, as of Ed25519 and RSA. */
const cid_t *ucan_token_twin(ucan_token_t *token);

/* 1 when text is a DID without path, query or fragment. */
int ucan_token_did_valid(bytes_t text);

/* 1 when text looks like a did:key of a type that can sign; that the key is
   one is known after ucan_token_verify(). */
int ucan_token_did_signs(bytes_t text);

/* Short stable text of a verdict for logs and problem details, and its slug
   ("token-expired"). */
const char *ucan_verdict_text(ucan_verdict_t verdict);
const char *ucan_verdict_slug(ucan_verdict_t verdict);


#endif /* _UCAN_TOKEN_H_INCLUDED_ */
