/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What all subcommands that sign have in common: the key, the version of what
 * is made, its proofs.
 */


#ifndef _MESH_MINT_H_INCLUDED_
#define _MESH_MINT_H_INCLUDED_


#include "mesh_source.h"
#include "ucan_envelope.h"
#include "ucan_jwt.h"


#define MESH_MINT_TEXT_MAX  (1024 * 1024)     /* bytes of output */


/* A key and what it makes.  The holder closes it, which wipes the key. */
typedef struct {
    signature_signer_t  signer;
    bytes_t             did;          /* a view into signer */
    unsigned            version;      /* UCAN_TOKEN_VERSION_... */
    int                 final;        /* 1.0: "--tag 1.0.0" */
} mesh_mint_t;


/* All functions return MESH_OK, or MESH_USAGE or MESH_REFUSED after saying
   why. */

/* The version from "--format" and "--tag"; before the key is read, so that
   a misuse touches no secret. */
int mesh_mint_format(mesh_mint_t *mint, const mesh_line_t *line);

/* The key of "--key". */
int mesh_mint_open(mesh_mint_t *mint, const mesh_line_t *line);
void mesh_mint_close(mesh_mint_t *mint);

/* Signs; *raw is what came out. */
int mesh_mint_envelope(const mesh_mint_t *mint,
    ucan_envelope_draft_t *draft, bytes_t *raw, cid_t *cid);
int mesh_mint_jwt(const mesh_mint_t *mint, ucan_jwt_draft_t *draft,
    bytes_t *raw, cid_t *cid);

/* The proofs of a JWT: those of the source that are for the key, embedded in
   0.8 and by CID in what came after.  The draft's window shrinks to theirs,
   which is said when "loud".  Those that are not embedded become *rest, to
   travel along. */
int mesh_mint_proofs(const mesh_mint_t *mint, ucan_jwt_draft_t *draft,
    const mesh_source_t *source, int loud, mesh_source_t *rest);

/* The container of "--form", or of the fallback letter. */
int mesh_mint_container(const mesh_line_t *line, const mesh_source_t *source,
    char fallback, bytes_t *text);


#endif /* _MESH_MINT_H_INCLUDED_ */
