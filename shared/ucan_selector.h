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


/* 0 when text is a well-formed selector, else -1. */
int ucan_selector_validate(bytes_t text);

/* Resolves over root. */
ucan_selector_rc_t ucan_selector_resolve(bytes_t text,
    const cbor_item_t *root, ucan_selector_value_t *value);


#endif /* _UCAN_SELECTOR_H_INCLUDED_ */
