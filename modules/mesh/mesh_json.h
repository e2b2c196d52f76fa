/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * DAG-JSON and DAG-CBOR, one into the other: people write and read policies
 * and arguments as JSON, tokens hold CBOR.
 */


#ifndef _MESH_JSON_H_INCLUDED_
#define _MESH_JSON_H_INCLUDED_


#include "cbor.h"
#include "cid.h"
#include "json_write.h"


/* Encodes JSON text as DAG-CBOR, memory from mesh_alloc().  {"/": cid} is a
   link, {"/": {"bytes": base64}} are bytes.  0, or -1 when it is no JSON or
   cannot be CBOR of ours. */
int mesh_json_encode(bytes_t json, bytes_t *cbor);

/* Writes seconds since 1970 as a time; null when negative. */
void mesh_json_write_time(json_write_t *j, const char *key, int64_t seconds);

/* Writes the text of a CID; key may be NULL inside a list. */
void mesh_json_write_cid(json_write_t *j, const char *key, const cid_t *cid);

/* Writes an item that cbor_validate() passed as DAG-JSON. */
void mesh_json_write(json_write_t *j, const cbor_item_t *item);


#endif /* _MESH_JSON_H_INCLUDED_ */
