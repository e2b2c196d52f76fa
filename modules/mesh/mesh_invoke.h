/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Invocations of 1.0: one command with its arguments, for one request if
 * asked for.
 */


#ifndef _MESH_INVOKE_H_INCLUDED_
#define _MESH_INVOKE_H_INCLUDED_


#include "mesh_request.h"


/* Makes and prints one for "mesh invoke" and "mesh token --invoke"; expires
   is the life of who does not say.  An exit code, after saying why. */
int mesh_invoke_make(const mesh_line_t *line, const char *command,
    const char *expires);


#endif /* _MESH_INVOKE_H_INCLUDED_ */
