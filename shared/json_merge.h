/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Merge patches (RFC 7396) from text to text: no tree, no heap.  Members of
 * the target keep their order and their bytes; new ones follow in the order
 * of the patch.
 */


#ifndef _JSON_MERGE_H_INCLUDED_
#define _JSON_MERGE_H_INCLUDED_


#include "bytes.h"


/* Bytes that a result may have. */
#define json_merge_max(target, patch)  ((target) + (patch) + 2)


/* Appends what target becomes by patch, each a text that passed
   json_scan_validate(); an empty target is none at all.  0; -1: no room, or
   one of them is no JSON.  Takes time in proportion to both texts, and some
   180 KB of stack.  An object of the result may have more members than
   json_scan_validate() lets pass. */
int json_merge_apply(bytes_t target, bytes_t patch, bytes_writer_t *w);


#endif /* _JSON_MERGE_H_INCLUDED_ */
