/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * RFC 9457 problems: one table of slugs with their status and title, and
 * the body.  "type" is "/problems/<slug>" relative to the node's origin.
 */


#ifndef _PROBLEM_H_INCLUDED_
#define _PROBLEM_H_INCLUDED_


#include "bytes.h"


typedef enum {
    PROBLEM_BAD_REQUEST = 0,      /* 400 bad-request */
    PROBLEM_INVALID_JSON,         /* 400 invalid-json */
    PROBLEM_INVALID_CURSOR,       /* 400 invalid-cursor */
    PROBLEM_INVALID_TOKEN,        /* 400 invalid-token: malformed token */
    PROBLEM_INVALID_FILTER,       /* 400 invalid-filter: says "pointer" */
    PROBLEM_DIGEST_MISMATCH,      /* 400 digest-mismatch */
    PROBLEM_UNAUTHENTICATED,      /* 401 unauthenticated */
    PROBLEM_WRONG_PASSWORD,       /* 401 wrong-password */
    PROBLEM_FORBIDDEN,            /* 403 forbidden: names the command */
    PROBLEM_NOT_A_PARTICIPANT,    /* 403 not-a-participant */
    PROBLEM_NOT_A_MEMBER,         /* 403 not-a-member */
    PROBLEM_REGISTRATION_CLOSED,  /* 403 registration-closed */
    PROBLEM_INVITE_REQUIRED,      /* 403 invite-required */
    PROBLEM_INVITE_INVALID,       /* 403 invite-invalid */
    PROBLEM_ROLE_TOO_HIGH,        /* 403 role-too-high */
    PROBLEM_ROLE_IMMUTABLE,       /* 403 role-immutable */
    PROBLEM_WRONG_ORIGIN,         /* 403 wrong-origin */
    PROBLEM_WRONG_HOST,           /* 421 wrong-host */
    PROBLEM_NOT_FOUND,            /* 404 not-found */
    PROBLEM_METHOD_NOT_ALLOWED,   /* 405 method-not-allowed */
    PROBLEM_CONFLICT,             /* 409 conflict */
    PROBLEM_NAME_TAKEN,           /* 409 name-taken */
    PROBLEM_ALREADY_INITIALIZED,  /* 409 already-initialized */
    PROBLEM_FEED_GAP,             /* 410 feed-gap: says "oldest", "epoch" */
    PROBLEM_PRECONDITION_FAILED,  /* 412: says "currentEtag" */
    PROBLEM_TOO_LARGE,            /* 413 too-large */
    PROBLEM_UNSUPPORTED_MEDIA,    /* 415 unsupported-media-type */
    PROBLEM_RANGE,                /* 416 range */
    PROBLEM_UNINDEXED_FILTER,     /* 422 unindexed-filter */
    PROBLEM_KEY_REUSED,           /* 422 key-reused: Idempotency-Key */
    PROBLEM_UPGRADE_REQUIRED,     /* 426 upgrade-required */
    PROBLEM_PRECONDITION_REQUIRED,    /* 428 precondition-required */
    PROBLEM_RATE_LIMITED,         /* 429 rate-limited */
    PROBLEM_INTERNAL,             /* 500 internal */
    PROBLEM_UNSUPPORTED,          /* 501 unsupported: says "capability" */
    PROBLEM_BUSY,                 /* 503 busy */
    PROBLEM_STORE_DOWN,           /* 503 store-down */
    PROBLEM_UNKNOWN_OUTCOME,      /* 504 unknown-outcome: ask again */
    PROBLEM_STORAGE_FULL,         /* 507 storage-full */
    PROBLEM_QUOTA_EXCEEDED,       /* 507 quota-exceeded: "used", "limit" */
    PROBLEM_PROOF_MISSING,        /* 510 proof-missing: names the CIDs */
    PROBLEM_COUNT
} problem_t;


/* A member that some problems have: a text, or a number when text.data is
   NULL. */
typedef struct {
    const char    *name;
    bytes_t        text;
    int64_t        number;
} problem_member_t;


#define PROBLEM_MEMBERS_MAX  8


/* What a problem may say beside its slug; all borrowed. */
typedef struct {
    bytes_t        detail;        /* for people; empty: the title */
    bytes_t        command;       /* "command", what a 403 lacked; empty: no
                                     member */
    const bytes_t *proofs;        /* "prf", the CIDs that a 510 misses */
    size_t         proof_count;   /* 0: no member */
    const problem_member_t *members;
    size_t         member_count;  /* at most PROBLEM_MEMBERS_MAX */
} problem_facts_t;


/* HTTP status of a problem. */
unsigned problem_status(problem_t problem);

/* The slug and the title, static. */
const char *problem_slug(problem_t problem);
const char *problem_title(problem_t problem);

/* Writes the JSON body: type, title, status, detail, error (the slug), and
   when it is not empty "command" (what a 403 lacked).  "detail" is text for
   people; it never holds anything internal; when empty, the title stands in.
   A value outside the table is PROBLEM_INTERNAL, here and above. */
void problem_write(bytes_writer_t *w, problem_t problem, bytes_t detail,
    bytes_t command);

/* The same with all that a problem can say. */
void problem_write_facts(bytes_writer_t *w, problem_t problem,
    const problem_facts_t *facts);


#endif /* _PROBLEM_H_INCLUDED_ */
