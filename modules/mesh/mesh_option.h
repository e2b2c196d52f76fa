/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The command line: long options, words, and the values that several
 * subcommands take (times, "name=value" arguments).
 */


#ifndef _MESH_OPTION_H_INCLUDED_
#define _MESH_OPTION_H_INCLUDED_


#include <stdint.h>

#include "bytes.h"


#define MESH_OPTION_GIVEN_MAX  128      /* options on one command line */
#define MESH_OPTION_WORDS_MAX  64
#define MESH_OPTION_NEVER      (-1)     /* a time that does not come */


typedef struct {
    const char  *name;            /* without the dashes */
    int          value;           /* takes one */
    int          many;            /* may be given again */
} mesh_option_t;


typedef struct {
    const char  *name;
    const char  *value;           /* NULL when it takes none */
} mesh_given_t;


typedef struct {
    mesh_given_t  given[MESH_OPTION_GIVEN_MAX];
    size_t        given_count;
    const char   *words[MESH_OPTION_WORDS_MAX];
    size_t        word_count;
} mesh_line_t;


/* Sorts argv into options of the table (and "json", "help", which all have)
   and words.  "--name value" and "--name=value"; behind "--" only words; a
   single dash is a word.  MESH_OK, or MESH_USAGE, said on stderr. */
int mesh_option_parse(mesh_line_t *line, const mesh_option_t *table,
    int argc, char **argv);

/* 1 when the option was given. */
int mesh_option_find(const mesh_line_t *line, const char *name);

/* Its value, or NULL. */
const char *mesh_option_get(const mesh_line_t *line, const char *name);

/* Walks the values of an option given many times: *i starts as 0.  NULL at
   the end. */
const char *mesh_option_next(const mesh_line_t *line, const char *name,
    size_t *i);

/* A time: "90s", "15m", "12h", "30d", "2w" from now, "2026-12-31",
   "2026-12-31T12:00:00Z", "never" (MESH_OPTION_NEVER).  Seconds since 1970.
   0, or -1 when it is none of them. */
int mesh_option_time(const char *text, int64_t now, int64_t *seconds);

/* A span: as above without the dates.  0, or -1. */
int mesh_option_span(const char *text, int64_t *seconds);


#endif /* _MESH_OPTION_H_INCLUDED_ */
