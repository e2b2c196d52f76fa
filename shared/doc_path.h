/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Paths into JSON documents: names joined by dots, down through objects; a
 * backslash takes the next character as it is.
 */


#ifndef _DOC_PATH_H_INCLUDED_
#define _DOC_PATH_H_INCLUDED_


#include "bytes.h"
#include "json_scan.h"


#define DOC_PATH_MAX        128   /* bytes */
#define DOC_PATH_NAMES_MAX  8     /* names of a path */
#define DOC_PATH_SET_MAX    32    /* paths looked for at once */


/* Points into itself: it stays where it was read. */
typedef struct {
    bytes_t          text;        /* as it was written */
    size_t           count;
    bytes_t          names[DOC_PATH_NAMES_MAX];
    uint8_t          bytes[DOC_PATH_MAX];   /* of names */
} doc_path_t;


/* Paths that a document is walked for at once. */
typedef struct {
    size_t           count;
    doc_path_t       paths[DOC_PATH_SET_MAX];
} doc_path_set_t;


/* Reads one path; text must live as long as it.  NULL, or what is wrong. */
const char *doc_path_parse(doc_path_t *path, bytes_t text);

/* 1 when both lead to the same place. */
int doc_path_equal(const doc_path_t *a, const doc_path_t *b);

/* Finds what each path leads to: values[i] of paths[i]; bit i of the result
   is set when there is something.  In one walk. */
uint32_t doc_path_find(const doc_path_set_t *paths,
    const json_scan_t *document, json_scan_t *values);

/* Appends the document with those members alone that paths lead to, and
   the objects on the way.  Never longer than the document. */
void doc_path_project(const doc_path_set_t *paths,
    const json_scan_t *document, bytes_writer_t *w);


#endif /* _DOC_PATH_H_INCLUDED_ */
