/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The policy language of UCAN 1.0 over arguments; see reference at each
 * operator in ucan_policy.c.  A failed resolution makes a statement false.
 */


#ifndef _UCAN_POLICY_H_INCLUDED_
#define _UCAN_POLICY_H_INCLUDED_


#include "cbor.h"


#define UCAN_POLICY_DEPTH_MAX       64
#define UCAN_POLICY_STATEMENTS_MAX  1024
#define UCAN_POLICY_GLOB_MAX        4096    /* bytes */


/* 0 when the DAG-CBOR list is a well-formed policy, else -1. */
int ucan_policy_validate(bytes_t policy);

/* 1 when a validated policy holds for the DAG-CBOR value args, else 0.
   Lessens *work by the steps taken (about one for each byte compared or
   walked and 16 for each statement); when it comes to 0 the answer is 0,
   whatever stands around the statement. */
int ucan_policy_match(bytes_t policy, bytes_t args, size_t *work);

/* The same over args that cbor_read() has read, for who asks several. */
int ucan_policy_match_item(bytes_t policy, const cbor_item_t *args,
    size_t *work);

/* 1 when a statement of a validated policy looks at the argument of that
   name: where it is not known, such a policy cannot be answered, as a "not"
   over it would be a yes. */
int ucan_policy_asks(bytes_t policy, const char *name);


#endif /* _UCAN_POLICY_H_INCLUDED_ */
