/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The args that policies look at: what is asked about, or what an invocation
 * says, and the facts of the HTTP request as "http" among them.  For
 * ucan_chain.c.
 *
 * Written when the first policy asks, as most chains have none.  On the stack
 * of whoever asks, for one question.
 */


#ifndef _UCAN_CHAIN_ARGS_H_INCLUDED_
#define _UCAN_CHAIN_ARGS_H_INCLUDED_


#include "ucan_chain.h"


#define UCAN_CHAIN_ARGS_REQUEST_MAX                                           \
    (9 + UCAN_CHAIN_ARGS_MAX                                                  \
         * (UCAN_CHAIN_NAME_BYTES_MAX + UCAN_CHAIN_ARG_BYTES_MAX + 10))

/* bytes of DAG-CBOR; an invocation may have some more args of its own */
#define UCAN_CHAIN_ARGS_SIZE                                                  \
    (UCAN_CHAIN_ARGS_REQUEST_MAX + 8192 + UCAN_HTTP_CBOR_MAX)


/* All borrowed; buf is written before it is read. */
typedef struct {
    const ucan_request_t  *request;      /* of a session, or */
    const ucan_token_t    *invocation;
    const ucan_http_t     *http;         /* may be NULL for a session */
    int                    written;
    ucan_verdict_t         verdict;
    bytes_t                args;         /* a view of buf */
    uint8_t                buf[UCAN_CHAIN_ARGS_SIZE];
} ucan_chain_args_t;


/* One of request and invocation is NULL. */
void ucan_chain_args_open(ucan_chain_args_t *args,
    const ucan_request_t *request, const ucan_token_t *invocation,
    const ucan_http_t *http);

/* ucan_walk_t.write_args; data is a ucan_chain_args_t.  UCAN_OK and a
   DAG-CBOR map, UCAN_TOO_LARGE, UCAN_MALFORMED (an argument twice, or in the
   place of the facts), UCAN_POLICY (facts that are no UTF-8). */
ucan_verdict_t ucan_chain_args_write(void *data, bytes_t *out);


#endif /* _UCAN_CHAIN_ARGS_H_INCLUDED_ */
