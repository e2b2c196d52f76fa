/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Tokens from the command line, files and stdin, in whatever form they come:
 * containers in text or bytes, single envelopes, JWTs (several by comma, blank
 * or line).
 */


#ifndef _MESH_SOURCE_H_INCLUDED_
#define _MESH_SOURCE_H_INCLUDED_


#include "mesh.h"


#define MESH_SOURCE_MAX  UCAN_TOKEN_COUNT_MAX     /* tokens of each kind */


typedef struct {
    bytes_t  envelopes[MESH_SOURCE_MAX];    /* 1.0, distinct */
    size_t   envelope_count;
    bytes_t  jwts[MESH_SOURCE_MAX];         /* 0.x, distinct, in order */
    size_t   jwt_count;
} mesh_source_t;


/* Reads what "word" names (mesh_file_input) and adds its tokens.  MESH_OK, or
   MESH_REFUSED after saying why. */
int mesh_source_add(mesh_source_t *source, const char *word);

/* Adds the tokens of a text that is there already; name is what the user calls
   it. */
int mesh_source_add_text(mesh_source_t *source, const char *name,
    bytes_t text);

/* The next line of a text, without the blanks around it; empty ones too. */
bytes_t mesh_source_line(bytes_reader_t *r);

/* Adds what all values of an option name. */
int mesh_source_add_option(mesh_source_t *source, const mesh_line_t *line,
    const char *name);

/* Adds one envelope or one JWT unless it is there already. */
int mesh_source_add_envelope(mesh_source_t *source, bytes_t raw);
int mesh_source_add_jwt(mesh_source_t *source, bytes_t text);

/* Takes everything apart into a bundle: of JWTs the first is the top, of
   envelopes the invocation.  MESH_OK, or MESH_REFUSED after saying why. */
int mesh_source_open(const mesh_source_t *source, ucan_bundle_t *bundle);

/* The same for whom a refusal is an answer: *verdict is what the decoders
   say, and *culprit (may be NULL) a text that names the token.  MESH_REFUSED,
   said, only when there is nothing to ask about. */
int mesh_source_parse(const mesh_source_t *source, ucan_bundle_t *bundle,
    ucan_verdict_t *verdict, const char **culprit);

/* The JWTs from the one at "first" on, joined as a "ucans" header. */
bytes_t mesh_source_join(const mesh_source_t *source, size_t first);

/* Removes invocations: a session that somebody signed for another occasion
   is no proof and must not travel on.  MESH_OK or MESH_REFUSED. */
int mesh_source_drop_invocations(mesh_source_t *source);


#endif /* _MESH_SOURCE_H_INCLUDED_ */
