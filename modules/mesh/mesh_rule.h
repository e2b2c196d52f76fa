/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The rules of a chain one by one: which link breaks one, and how to say so.
 */


#ifndef _MESH_RULE_H_INCLUDED_
#define _MESH_RULE_H_INCLUDED_


#include "mesh_chain.h"


typedef struct {
    ucan_verdict_t  verdict;
    size_t          link;         /* index, or chain->count: none of them */
    const char     *reason;       /* a sentence without its stop */
    const char     *cure;         /* what would help; never NULL */
} mesh_rule_t;


/* How many rules the links of a chain break, all in all: what a chain that
   came closest is known by. */
size_t mesh_rule_count(const mesh_chain_t *chain);

/* Which link broke the rule that the verdict names, and why.  Of several the
   one that the walk stopped at. */
void mesh_rule_explain(mesh_rule_t *rule, const mesh_chain_t *chain);

/* What is wrong with one link by itself (signature, window, revocation):
   the first, or UCAN_OK. */
ucan_verdict_t mesh_rule_link(const mesh_chain_t *chain, size_t link);


#endif /* _MESH_RULE_H_INCLUDED_ */
