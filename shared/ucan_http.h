/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The facts of an HTTP request as arguments of a command: "args.http", which
 * policies can test, and by which a 1.0 invocation is made for exactly one
 * request (reference 5.7).
 */


#ifndef _UCAN_HTTP_H_INCLUDED_
#define _UCAN_HTTP_H_INCLUDED_


#include "ucan_token.h"


#define UCAN_HTTP_ARG       "http"   /* the argument's name */
#define UCAN_HTTP_CBOR_MAX  12288    /* bytes of the facts in DAG-CBOR */
#define UCAN_HTTP_HASH_LEN  34       /* bytes: 12 20 and a sha2-256 */


/* As the client sent them, nothing decoded or normalized but the case of
   scheme and host.  All borrowed. */
typedef struct {
    bytes_t  scheme;              /* "http", "https" */
    bytes_t  method;
    bytes_t  host;                /* lower case, with the port if there was */
    bytes_t  path;                /* of the request target */
    bytes_t  query;               /* without "?"; empty: none */
    bytes_t  origin;              /* of "Origin"; empty: absent */
    bytes_t  agent;               /* of "User-Agent"; empty: absent */
} ucan_http_t;


/* Appends the map {scheme, method, host, path, query, headers: {Origin,
   User-Agent}}.  All members are there, a header that is absent as empty
   text, as go-ucan has it.  Sets w->failed when there is no room, or when
   a member is no UTF-8. */
void ucan_http_write(const ucan_http_t *http, bytes_writer_t *w);

/* The multihash that a client of go-ucan (toolkit/server/extargs) signs
   instead of the facts: 12 20 and the SHA-256 of the DAG-CBOR of the whole
   map {"http": {host, path, method, scheme, headers: {Origin, User-Agent}}},
   headers that are absent as empty text.  It leaves the query open.  Go has
   the path decoded, so it is here; a path with escapes that Go would spell
   otherwise has no such hash.  Writes UCAN_HTTP_HASH_LEN bytes.  0, or -1:
   that, or beyond UCAN_HTTP_CBOR_MAX, or no UTF-8. */
int ucan_http_hash(const ucan_http_t *http, uint8_t *hash);

/* The same with a member "query" (it may be empty) between path and method,
   and the path as it is: ours, for who wants all of the target bound. */
int ucan_http_hash_query(const ucan_http_t *http, uint8_t *hash);

/* What an invocation's args (DAG-CBOR map) say about the request: UCAN_OK
   when "http" is a map whose every member equals the fact of that name
   (method, host and path are there at least, and query when the request has
   one), or is one of both multihashes; UCAN_NO_PROOF when there is no "http";
   UCAN_WRONG_REQUEST otherwise, also for members that are not known, and when
   http is NULL. */
ucan_verdict_t ucan_http_match(bytes_t args, const ucan_http_t *http);


#endif /* _UCAN_HTTP_H_INCLUDED_ */
