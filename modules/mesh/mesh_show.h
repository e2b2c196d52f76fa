/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Parts of tokens as text for people: DIDs, times, policies.  What a token
 * says may be anything at all, so none of it reaches a terminal unescaped.
 */


#ifndef _MESH_SHOW_H_INCLUDED_
#define _MESH_SHOW_H_INCLUDED_


#include "cbor.h"
#include "mesh.h"


#define MESH_SHOW_POLICY_MAX  16384     /* bytes, longer ones are cut */


/* All texts are NUL terminated and live until the end of the program. */

/* Text of a token: as it is but for controls and bad UTF-8. */
const char *mesh_show_text(bytes_t text);

/* JSON that json_scan_validate() passed, as it is. */
const char *mesh_show_json(bytes_t json);

/* A resource, the DIDs in it shortened; and a whole 0.x capability. */
const char *mesh_show_resource(bytes_t resource);
const char *mesh_show_capability(const ucan_token_cap_t *cap);

/* The CID, in base32. */
const char *mesh_show_cid(const cid_t *cid);

/* The type of a DID's key: "Ed25519", "P-256", "RSA 2048"; "no did:key" for
   other methods, "an unknown key" for what cannot sign here. */
const char *mesh_show_key(bytes_t did);

/* "did:key:z6MkhaXg...2doK (Ed25519)". */
const char *mesh_show_did(bytes_t did);

/* "2026-12-24T16:20:00Z", and the span between two times: "3 hours". */
const char *mesh_show_time(int64_t seconds);
const char *mesh_show_span(int64_t seconds);

/* "in 3 hours", "3 minutes ago", "now". */
const char *mesh_show_when(int64_t seconds, int64_t now);

/* "1.0", "0.10", "0.9", "0.8". */
const char *mesh_show_version(const ucan_token_t *token);

/* "delegation", "invocation", "session"; of 0.x "token". */
const char *mesh_show_kind(const ucan_token_t *token);

/* A policy, its statements joined by "and"; one statement; any value, as
   JSON.  Items that cbor_validate() passed. */
const char *mesh_show_policy(bytes_t policy);
const char *mesh_show_statement(const cbor_item_t *statement);
const char *mesh_show_value(const cbor_item_t *item);


#endif /* _MESH_SHOW_H_INCLUDED_ */
