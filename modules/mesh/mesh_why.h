/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Sentences: what a link that breaks a rule says, what was expected instead,
 * and what would help.  One for each rule of mesh_rule.c.
 */


#ifndef _MESH_WHY_H_INCLUDED_
#define _MESH_WHY_H_INCLUDED_


#include "mesh_rule.h"
#include "ucan_walk.h"


/* Each sets reason and cure for link i, which breaks the rule. */
void mesh_why_session(mesh_rule_t *rule, const mesh_chain_t *chain,
    size_t i);
void mesh_why_audience(mesh_rule_t *rule, const mesh_chain_t *chain,
    size_t i);
void mesh_why_lifetime(mesh_rule_t *rule, const mesh_chain_t *chain,
    size_t i);
void mesh_why_signature(mesh_rule_t *rule, const mesh_chain_t *chain,
    size_t i);
void mesh_why_version(mesh_rule_t *rule, const mesh_chain_t *chain,
    size_t i);
void mesh_why_expiry(mesh_rule_t *rule, const mesh_chain_t *chain, size_t i);
void mesh_why_beginning(mesh_rule_t *rule, const mesh_chain_t *chain,
    size_t i);
void mesh_why_revocation(mesh_rule_t *rule, const mesh_chain_t *chain,
    size_t i);
void mesh_why_proof(mesh_rule_t *rule, const mesh_chain_t *chain, size_t i);
void mesh_why_root(mesh_rule_t *rule, const mesh_chain_t *chain, size_t i);
void mesh_why_subject(mesh_rule_t *rule, const mesh_chain_t *chain,
    size_t i);
void mesh_why_link(mesh_rule_t *rule, const mesh_chain_t *chain, size_t i);
void mesh_why_depth(mesh_rule_t *rule, const mesh_chain_t *chain, size_t i);
void mesh_why_life(mesh_rule_t *rule, const mesh_chain_t *chain, size_t i);


#endif /* _MESH_WHY_H_INCLUDED_ */
