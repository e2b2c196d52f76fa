/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Caveats of UCAN 0.x capabilities: JSON objects whose every field is a
 * condition.  Compared in place; whatever is not understood denies.
 */


#ifndef _UCAN_CAVEAT_H_INCLUDED_
#define _UCAN_CAVEAT_H_INCLUDED_


#include "ucan_chain.h"


/* What a request states about itself: arguments (text), or for callers
   outside the mesh's own commands a JSON object; both may be empty. */
typedef struct {
    const ucan_arg_t  *args;
    size_t             arg_count;
    bytes_t            json;
} ucan_caveat_facts_t;


/* All functions take JSON objects that json_scan_validate() passed, and
   lessen *work by the bytes they looked at; at 0 the answer is no. */

/* 1 when child has every field of parent with an equal value. */
int ucan_caveat_covers(bytes_t parent, bytes_t child, size_t *work);

/* 1 when every field of the caveat is a fact with an equal value. */
int ucan_caveat_match(bytes_t caveat, const ucan_caveat_facts_t *facts,
    size_t *work);


#endif /* _UCAN_CAVEAT_H_INCLUDED_ */
