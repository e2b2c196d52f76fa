/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The command line, sorted before anything is read or written: a mistyped
 * option never gets half of the work done.
 */


#include <string.h>

#include "mesh.h"
#include "timestamp.h"


#define MESH_OPTION_SPAN_MAX  (100LL * 366 * 86400)     /* seconds */


static int parse_option(mesh_line_t *line, const mesh_option_t *table,
    const char *text, const char *next);
static const mesh_option_t *find_option(const mesh_option_t *table,
    const char *name, size_t len);


/* options that every subcommand has */

static const mesh_option_t  mesh_option_common[] = {
    { "json", 0, 0 },
    { "help", 0, 0 },
    { NULL,   0, 0 }
};


int
mesh_option_parse(mesh_line_t *line, const mesh_option_t *table, int argc,
    char **argv)
{
    int  i, taken;

    memset(line, 0, sizeof(mesh_line_t));

    for (i = 0; i < argc; i++) {

        if (strcmp(argv[i], "--") == 0) {
            table = NULL;
            continue;
        }

        if (table != NULL && strncmp(argv[i], "--", 2) == 0) {

            taken = parse_option(line, table, argv[i] + 2,
                                 (i + 1 < argc) ? argv[i + 1] : NULL);
            if (taken < 0) {
                return MESH_USAGE;
            }

            i += taken;
            continue;
        }

        if (table != NULL && argv[i][0] == '-' && argv[i][1] != '\0') {
            return mesh_refuse_usage("there is no option \"%s\"; options "
                                     "are words, as --help", argv[i]);
        }

        if (line->word_count == MESH_OPTION_WORDS_MAX) {
            return mesh_refuse_usage("too many words");
        }

        line->words[line->word_count++] = argv[i];
    }

    return MESH_OK;
}


int
mesh_option_find(const mesh_line_t *line, const char *name)
{
    size_t  i;

    for (i = 0; i < line->given_count; i++) {
        if (strcmp(line->given[i].name, name) == 0) {
            return 1;
        }
    }

    return 0;
}


const char *
mesh_option_get(const mesh_line_t *line, const char *name)
{
    size_t  i;

    i = 0;

    return mesh_option_next(line, name, &i);
}


const char *
mesh_option_next(const mesh_line_t *line, const char *name, size_t *i)
{
    while (*i < line->given_count) {
        (*i)++;

        if (strcmp(line->given[*i - 1].name, name) == 0) {
            return line->given[*i - 1].value;
        }
    }

    return NULL;
}


int
mesh_option_time(const char *text, int64_t now, int64_t *seconds)
{
    char     full[TIMESTAMP_LEN + 1];
    int64_t  ms;

    if (strcmp(text, "never") == 0) {
        *seconds = MESH_OPTION_NEVER;
        return 0;
    }

    if (mesh_option_span(text, seconds) == 0) {
        *seconds += now;
        return 0;
    }

    if (strlen(text) == sizeof("2026-12-31") - 1) {
        snprintf(full, sizeof(full), "%sT00:00:00Z", text);
        text = full;
    }

    if (timestamp_parse(bytes_of(text), &ms) != 0 || ms < 0) {
        return -1;
    }

    *seconds = ms / 1000;

    return 0;
}


int
mesh_option_span(const char *text, int64_t *seconds)
{
    int64_t      n, unit;
    const char  *p;

    n = 0;

    for (p = text; *p >= '0' && *p <= '9'; p++) {
        n = n * 10 + (*p - '0');

        if (n > MESH_OPTION_SPAN_MAX) {
            return -1;
        }
    }

    if (p == text || *p == '\0' || p[1] != '\0') {
        return -1;
    }

    switch (*p) {

    case 's':
        unit = 1;
        break;

    case 'm':
        unit = 60;
        break;

    case 'h':
        unit = 3600;
        break;

    case 'd':
        unit = 86400;
        break;

    case 'w':
        unit = 7 * 86400;
        break;

    default:
        return -1;
    }

    if (n > MESH_OPTION_SPAN_MAX / unit) {
        return -1;
    }

    *seconds = n * unit;

    return 0;
}


/* The number of further words that were taken as its value; -1, said on
   stderr, when it is none of the table. */
static int
parse_option(mesh_line_t *line, const mesh_option_t *table, const char *text,
    const char *next)
{
    size_t                len;
    mesh_given_t         *given;
    const char           *equal;
    const mesh_option_t  *option;

    equal = strchr(text, '=');
    len = (equal != NULL) ? (size_t) (equal - text) : strlen(text);

    option = find_option(table, text, len);

    if (option == NULL) {
        option = find_option(mesh_option_common, text, len);
    }

    if (option == NULL) {
        mesh_refuse_usage("there is no option \"--%.*s\"", (int) len, text);
        return -1;
    }

    if (!option->many && mesh_option_find(line, option->name)) {
        mesh_refuse_usage("\"--%s\" is given twice", option->name);
        return -1;
    }

    if (line->given_count == MESH_OPTION_GIVEN_MAX) {
        mesh_refuse_usage("too many options");
        return -1;
    }

    given = &line->given[line->given_count++];
    given->name = option->name;
    given->value = NULL;

    if (!option->value) {

        if (equal != NULL) {
            mesh_refuse_usage("\"--%s\" takes no value", option->name);
            return -1;
        }

        return 0;
    }

    if (equal != NULL) {
        given->value = equal + 1;
        return 0;
    }

    if (next == NULL) {
        mesh_refuse_usage("\"--%s\" needs a value", option->name);
        return -1;
    }

    given->value = next;

    return 1;
}


static const mesh_option_t *
find_option(const mesh_option_t *table, const char *name, size_t len)
{
    for ( ; table->name != NULL; table++) {
        if (strlen(table->name) == len
            && strncmp(table->name, name, len) == 0)
        {
            return table;
        }
    }

    return NULL;
}
