/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Selectors of UCAN 1.0 policies (".a[0].b?"): checked once when a token is
 * decoded, resolved over DAG-CBOR arguments in place.
 */


#ifndef _UCAN_SELECTOR_H_INCLUDED_
#define _UCAN_SELECTOR_H_INCLUDED_


#include "cbor.h"


typedef enum {
    UCAN_SELECTOR_FOUND = 0,
    UCAN_SELECTOR_NULL,           /* absent or failed under "?" */
    UCAN_SELECTOR_FAILED
} ucan_selector_rc_t;


/* A resolved value.  Slices and "[]" over maps have no bytes of their own:
   the value is then "count" items of source from "first" on. */
typedef struct {
    cbor_item_t  item;
    int          sliced;          /* list or bytes slice, or map values */
    size_t       first;
    size_t       count;
} ucan_selector_value_t;


#define UCAN_SELECTOR_NAME_MAX  256       /* bytes of a name with escapes */


/* 0 when text is a well-formed selector, else -1. */
int ucan_selector_validate(bytes_t text);

/* 1 when a well-formed selector begins with the field of that name. */
int ucan_selector_begins(bytes_t text, const char *name);

/* Resolves over root.  With UCAN_SELECTOR_NULL the value is null. */
ucan_selector_rc_t ucan_selector_resolve(bytes_t text,
    const cbor_item_t *root, ucan_selector_value_t *value);

/* The same, lessening *work by the steps taken (about one for each byte that
   is walked); when it comes to 0 the resolution has failed. */
ucan_selector_rc_t ucan_selector_resolve_within(bytes_t text,
    const cbor_item_t *root, ucan_selector_value_t *value, size_t *work);

/* Elements of a value that is a collection (list, bytes, values of a map);
   -1 when it is none. */
int ucan_selector_count(const ucan_selector_value_t *value, size_t *count);

/* Walks a collection: "r" was opened by ucan_selector_walk(), then the next
   element, or -1 at the end. */
void ucan_selector_walk(const ucan_selector_value_t *value,
    bytes_reader_t *r);
int ucan_selector_next(const ucan_selector_value_t *value, bytes_reader_t *r,
    cbor_item_t *element);


#endif /* _UCAN_SELECTOR_H_INCLUDED_ */
