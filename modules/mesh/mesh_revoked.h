/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Revocations from files, as an operator ships them to nginx: one a line, a
 * CID, a record of 0.x, or an invocation or container of 1.0.
 */


#ifndef _MESH_REVOKED_H_INCLUDED_
#define _MESH_REVOKED_H_INCLUDED_


#include "mesh.h"
#include "ucan_chain.h"


#define MESH_REVOKED_MAX  65536   /* revocations in all files */


typedef struct mesh_revoked_s  mesh_revoked_t;

struct mesh_revoked_s {
    mesh_revoked_t  *next;
    cid_t            cid;
    bytes_t          by;          /* DID; empty: whoever issued the token */
};


typedef struct {
    mesh_revoked_t  *first;
    size_t           count;
} mesh_revoked_set_t;


/* Adds what all values of "--revocations" hold, and has trust ask the set.
   MESH_OK, or MESH_REFUSED after saying which line is none. */
int mesh_revoked_read(mesh_revoked_set_t *set, const mesh_line_t *line,
    ucan_trust_t *trust);


#endif /* _MESH_REVOKED_H_INCLUDED_ */
