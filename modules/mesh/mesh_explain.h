/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The explanation of a verdict: the chain link by link, the first rule that
 * fails, what would cure it, and what was presented for nothing.
 */


#ifndef _MESH_EXPLAIN_H_INCLUDED_
#define _MESH_EXPLAIN_H_INCLUDED_


#include "json_write.h"
#include "mesh_rule.h"
#include "mesh_source.h"


typedef struct {
    const mesh_ask_t     *ask;
    const mesh_source_t  *source;     /* what was presented, junk included */
    mesh_chain_t          chain;
    mesh_rule_t           rule;       /* when refused */
} mesh_explain_t;


/* Works it out; ask and source are borrowed. */
void mesh_explain_open(mesh_explain_t *explain, const mesh_ask_t *ask,
    const mesh_source_t *source);

/* For people, on stdout: chain, what is asked, verdict, what is unused. */
void mesh_explain_print(const mesh_explain_t *explain);

/* The same as members of an open object: "chain", "reason", "cure",
   "link" (its number), "unused". */
void mesh_explain_write(const mesh_explain_t *explain, json_write_t *j);


#endif /* _MESH_EXPLAIN_H_INCLUDED_ */
