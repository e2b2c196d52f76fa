/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The `mesh` command: what its subcommands share.  One process, one thread,
 * short life; memory is kept until the end and freed there.
 */


#ifndef _MESH_H_INCLUDED_
#define _MESH_H_INCLUDED_


#include <stdio.h>
#include <time.h>

#include "bytes.h"
#include "mesh_option.h"
#include "ucan_token.h"


/* Exit codes. */
#define MESH_OK       0
#define MESH_REFUSED  1           /* a verdict that is no, or a failure */
#define MESH_USAGE    2           /* the command line makes no sense */

#define MESH_FORMAT_MAX  8192     /* bytes */


typedef struct {
    const char           *name;
    const char           *summary;      /* one line of "mesh help" */
    const char           *help;         /* the page of "mesh help name" */
    const mesh_option_t  *options;      /* ended by a NULL name */
    int                 (*run)(mesh_line_t *line);
} mesh_command_t;


extern const mesh_command_t  mesh_init_command;
extern const mesh_command_t  mesh_key_command;
extern const mesh_command_t  mesh_delegate_command;
extern const mesh_command_t  mesh_token_command;
extern const mesh_command_t  mesh_invoke_command;
extern const mesh_command_t  mesh_revoke_command;
extern const mesh_command_t  mesh_inspect_command;
extern const mesh_command_t  mesh_verify_command;


/* Memory until the end of the program; zeroed.  Never NULL: the program ends
   when there is none.  mesh_memory is the same for the decoders. */
void *mesh_alloc(size_t size);
extern ucan_memory_t  mesh_memory;

/* A copy with a NUL behind it. */
char *mesh_text(bytes_t b);

/* A text made by format, cut at MESH_FORMAT_MAX. */
char *mesh_format(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

/* Says on stderr, after "mesh: ", what went wrong.  Returns MESH_REFUSED, or
   MESH_USAGE. */
int mesh_fail(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));
int mesh_refuse_usage(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

/* A remark for people on stderr; it never changes the outcome. */
void mesh_remark(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

/* Writes a view to stdout, and a line feed when it has none. */
void mesh_print(bytes_t b);


#endif /* _MESH_H_INCLUDED_ */
