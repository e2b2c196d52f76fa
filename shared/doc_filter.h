/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Filters of JSON documents, a closed set:
 *
 *     { "<path>": <scalar>                     the same as "eq"
 *       "<path>": { "eq": s, "ne": s, "lt": s, "lte": s, "gt": s, "gte": s,
 *                   "in": [s, ...], "exists": bool, "prefix": "..." },
 *       "and": [filter, ...], "or": [filter, ...], "not": filter }
 *
 * All members must hold.  A path is names joined by dots, down through
 * objects; a backslash takes the next character as it is, also the first one
 * of a member that is called "and".  Scalars compare type first, null < false
 * < true < numbers < strings; numbers as doubles, strings as bytes.  Where a
 * path leads to nothing, to an array or to an object no comparison holds, so
 * "ne", the opposite of "eq", does.
 *
 * A filter borrows the text it was read from; it stays where it was read.
 */


#ifndef _DOC_FILTER_H_INCLUDED_
#define _DOC_FILTER_H_INCLUDED_


#include "bytes.h"
#include "doc_path.h"


#define DOC_FILTER_TERMS_MAX     32
#define DOC_FILTER_DEPTH_MAX     4    /* of "and", "or", "not" */
#define DOC_FILTER_NODES_MAX     192
#define DOC_FILTER_VALUES_MAX    32   /* of an "in" */
#define DOC_FILTER_POINTER_MAX   256  /* bytes */


typedef enum {
    DOC_FILTER_AND = 0,
    DOC_FILTER_OR,
    DOC_FILTER_NOT,
    DOC_FILTER_EQ,
    DOC_FILTER_NE,
    DOC_FILTER_LT,
    DOC_FILTER_LTE,
    DOC_FILTER_GT,
    DOC_FILTER_GTE,
    DOC_FILTER_IN,
    DOC_FILTER_EXISTS,
    DOC_FILTER_PREFIX
} doc_filter_op_t;


/* In order of the text: a node stands before those below it. */
typedef struct {
    doc_filter_op_t    op;
    size_t             end;       /* the next node that is not below this */
    size_t             path;      /* of a term: of filter->paths */
    json_scan_t        value;     /* of a term */
} doc_filter_node_t;


typedef struct {
    size_t              count;
    size_t              terms;
    doc_filter_node_t   nodes[DOC_FILTER_NODES_MAX];   /* first: an AND */
    doc_path_set_t      paths;

    /* of a filter that was refused */
    const char         *fault;
    size_t              pointer_len;
    uint8_t             pointer[DOC_FILTER_POINTER_MAX];   /* RFC 6901 */
} doc_filter_t;


/* Reads a filter; "base" is the pointer to it ("" or "/filter").  0, or -1
   with fault and pointer. */
int doc_filter_parse(doc_filter_t *filter, const json_scan_t *value,
    const char *base);

/* 1 when a document, checked JSON, matches.  Walks it once. */
int doc_filter_match(const doc_filter_t *filter, const json_scan_t *document);

/* Below, equal or above 0 as a is to b, both scalars. */
int doc_filter_compare(const json_scan_t *a, const json_scan_t *b);

/* 1 when it can be compared. */
int doc_filter_scalar(const json_scan_t *value);


#endif /* _DOC_FILTER_H_INCLUDED_ */
