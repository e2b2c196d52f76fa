/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Capabilities of UCAN 0.x: from commands and arguments to resources,
 * abilities and caveats, and from a list of those to JSON.
 */


#ifndef _MESH_CAPS_H_INCLUDED_
#define _MESH_CAPS_H_INCLUDED_


#include "mesh_request.h"


#define MESH_CAPS_MAX  256


typedef struct {
    ucan_token_cap_t  list[MESH_CAPS_MAX];
    size_t            count;
    unsigned          version;    /* UCAN_TOKEN_VERSION_... to write them for,
                                     set by the caller first */
} mesh_caps_t;


/* Adds what "command" with these arguments is in 0.x, about subject: the
   argument that names the thing becomes the resource (all things when it is
   absent, each of several values), the others become caveats.  MESH_OK, or
   MESH_USAGE or MESH_REFUSED after saying why. */
int mesh_caps_add_command(mesh_caps_t *caps, bytes_t subject,
    const char *command, const mesh_args_t *args);

/* Adds one for each "--ability" with the "--resource", under the "--caveat",
   none when there is no resource. */
int mesh_caps_add_resource(mesh_caps_t *caps, const mesh_line_t *line);

/* Adds all capabilities of a token. */
int mesh_caps_add_token(mesh_caps_t *caps, const ucan_token_t *token);

/* The object "cap" of 0.10, or the list "att" of what was before.  MESH_OK,
   or MESH_REFUSED after saying why: "att" has no caveat named "with" or
   "can". */
int mesh_caps_write(const mesh_caps_t *caps, bytes_t *json);


#endif /* _MESH_CAPS_H_INCLUDED_ */
