/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * "--http 'METHOD URL'": the request that an invocation is made for, or that
 * is asked about.
 */


#ifndef _MESH_HTTP_H_INCLUDED_
#define _MESH_HTTP_H_INCLUDED_


#include "mesh.h"
#include "ucan_http.h"


/* The facts that "--http", "--origin" and "--agent" state; *given is cleared
   when there is no "--http".  Host and scheme become lower case, a port that
   is the scheme's own is left out, as clients do.  MESH_OK, or MESH_USAGE
   after saying why. */
int mesh_http_read(const mesh_line_t *line, ucan_http_t *http, int *given);

/* The map that an invocation holds: method, host, path, query and scheme;
   with a hash, the multihash over those and the headers. */
int mesh_http_write(const ucan_http_t *http, int hash, bytes_writer_t *w);

/* Puts "http" into arguments (a DAG-CBOR map), in place of one that is
   there. */
bytes_t mesh_http_join(bytes_t args, bytes_t http);


#endif /* _MESH_HTTP_H_INCLUDED_ */
