/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Sentences about what is asked for; as mesh_why.h.
 */


#ifndef _MESH_WHY_ASK_H_INCLUDED_
#define _MESH_WHY_ASK_H_INCLUDED_


#include "mesh_rule.h"


/* Each sets reason and cure for link i, which breaks the rule. */
void mesh_why_ask_request(mesh_rule_t *rule, const mesh_chain_t *chain,
    size_t i);
void mesh_why_ask_width(mesh_rule_t *rule, const mesh_chain_t *chain,
    size_t i);
void mesh_why_ask_command(mesh_rule_t *rule, const mesh_chain_t *chain,
    size_t i);
void mesh_why_ask_policy(mesh_rule_t *rule, const mesh_chain_t *chain,
    size_t i);

/* What the policy, the caveats or the signed arguments of a link refuse, as
   half a sentence; NULL when nothing. */
const char *mesh_why_ask_arguments(const mesh_chain_t *chain, size_t i);

/* What args.http of an invocation and the request disagree about; NULL when
   in nothing. */
const char *mesh_why_http(const mesh_ask_t *ask, const ucan_token_t *top);

/* What a link gives: its command, or its capabilities (the live ones when
   there are any). */
const char *mesh_why_ask_given(const mesh_link_t *link);


#endif /* _MESH_WHY_ASK_H_INCLUDED_ */
