/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What several subcommands read from their options: DIDs, commands, and
 * "--arg name=value" as arguments, as a policy, and as 0.x capabilities.
 */


#ifndef _MESH_REQUEST_H_INCLUDED_
#define _MESH_REQUEST_H_INCLUDED_


#include "mesh.h"
#include "ucan_chain.h"


#define MESH_REQUEST_ARGS_MAX  64
#define MESH_REQUEST_NONCE     12     /* random bytes of a nonce */


typedef struct {
    ucan_arg_t  args[MESH_REQUEST_ARGS_MAX];
    size_t      arg_count;
} mesh_args_t;


/* All functions return MESH_OK, or MESH_USAGE or MESH_REFUSED after saying
   why. */

/* The DID that an option names, as given or as the first line of a file; an
   empty view when the option is absent and not required. */
int mesh_request_did(const mesh_line_t *line, const char *name, int required,
    bytes_t *did);

/* The values of "--arg". */
int mesh_request_args(const mesh_line_t *line, mesh_args_t *args);

/* Checks a command; remarks when it is none that a mesh knows. */
int mesh_request_command(const char *text, bytes_t *command);

/* One request: a command and its arguments, each once. */
int mesh_request_open(ucan_request_t *request, const char *command,
    const mesh_args_t *args);

/* Arguments as DAG-CBOR: "--args JSON", or those of "--arg". */
int mesh_request_cbor(const mesh_line_t *line, const mesh_args_t *args,
    bytes_t *cbor);

/* The policy that "--arg" and "--policy" ask for: every name must have one of
   the values given for it, and every statement must hold. */
int mesh_request_policy(const mesh_line_t *line, const mesh_args_t *args,
    bytes_t *policy);

/* The time an option names, or the fallback.  seconds as in
   mesh_option_time(). */
int mesh_request_time(const mesh_line_t *line, const char *name,
    const char *fallback, int64_t *seconds);

/* A fresh nonce, as text: it fits both versions. */
bytes_t mesh_request_nonce(void);

/* The 1.0 form letter of "--form", or the fallback. */
int mesh_request_form(const mesh_line_t *line, char fallback, char *form);

/* UCAN_TOKEN_VERSION_... from "--format"; 1.0 when absent. */
int mesh_request_format(const mesh_line_t *line, unsigned *version);

/* The CID that a word of the command line is. */
int mesh_request_cid(const char *word, cid_t *cid);


#endif /* _MESH_REQUEST_H_INCLUDED_ */
