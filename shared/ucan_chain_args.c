/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Writes the args of a question as policies see them.  Pure; no heap.
 */


#include "cbor.h"
#include "ucan_chain_args.h"


#define UCAN_CHAIN_ARGS_NAMES  128    /* bytes of heads and names of facts */


static ucan_verdict_t write_request(bytes_writer_t *w,
    const ucan_request_t *request, const ucan_http_t *http);
static ucan_verdict_t write_invocation(bytes_writer_t *w, bytes_t args,
    const ucan_http_t *http);
static ucan_verdict_t write_facts(bytes_writer_t *w,
    const ucan_http_t *http);
static ucan_verdict_t sort_args(const ucan_request_t *request,
    const ucan_arg_t **sorted);


void
ucan_chain_args_open(ucan_chain_args_t *args, const ucan_request_t *request,
    const ucan_token_t *invocation, const ucan_http_t *http)
{
    args->request = request;
    args->invocation = invocation;
    args->http = http;
    args->written = 0;
}


ucan_verdict_t
ucan_chain_args_write(void *data, bytes_t *out)
{
    bytes_writer_t      w;
    ucan_chain_args_t  *args;

    args = data;

    if (!args->written) {
        bytes_writer_open(&w, args->buf, sizeof(args->buf));

        args->verdict = (args->request != NULL)
                        ? write_request(&w, args->request, args->http)
                        : write_invocation(&w, args->invocation->args,
                                           args->http);
        args->args = bytes_writer_view(&w);
        args->written = 1;
    }

    *out = args->args;

    return args->verdict;
}


/* A DAG-CBOR map: keys by length, then bytewise, each once. */
static ucan_verdict_t
write_request(bytes_writer_t *w, const ucan_request_t *request,
    const ucan_http_t *http)
{
    int                facts;
    size_t             i;
    bytes_t            key;
    ucan_verdict_t     rc;
    const ucan_arg_t  *sorted[UCAN_CHAIN_ARGS_MAX];

    rc = sort_args(request, sorted);
    if (rc != UCAN_OK) {
        return rc;
    }

    key = bytes_of(UCAN_HTTP_ARG);
    facts = (http != NULL);

    cbor_write_map(w, request->arg_count + (size_t) facts);

    for (i = 0; i < request->arg_count; i++) {

        if (facts && cbor_key_compare(key, sorted[i]->name) <= 0) {

            /* an argument of that name would be taken for the facts */

            if (bytes_equal(key, sorted[i]->name)) {
                return UCAN_MALFORMED;
            }

            rc = write_facts(w, http);
            if (rc != UCAN_OK) {
                return rc;
            }

            facts = 0;
        }

        cbor_write_text(w, sorted[i]->name);
        cbor_write_text(w, sorted[i]->value);
    }

    if (facts) {
        rc = write_facts(w, http);
        if (rc != UCAN_OK) {
            return rc;
        }
    }

    return w->failed ? UCAN_TOO_LARGE : UCAN_OK;
}


/* The invocation's own map, with the facts in the place of its "http". */
static ucan_verdict_t
write_invocation(bytes_writer_t *w, bytes_t args, const ucan_http_t *http)
{
    int             facts;
    bytes_t         key;
    cbor_item_t     map, name, value;
    bytes_reader_t  r;
    ucan_verdict_t  rc;

    if (cbor_read(args, &map) != 0 || map.type != CBOR_MAP) {
        return UCAN_POLICY;
    }

    key = bytes_of(UCAN_HTTP_ARG);
    facts = 1;

    cbor_write_map(w, map.count
                      + (cbor_map_find(&map, key, &value) != 0 ? 1 : 0));

    bytes_reader_open(&r, map.body);

    while (bytes_reader_left(&r) != 0) {

        if (cbor_next(&r, &name) != 0 || cbor_next(&r, &value) != 0) {
            return UCAN_POLICY;
        }

        if (facts && cbor_key_compare(key, name.bytes) <= 0) {
            rc = write_facts(w, http);
            if (rc != UCAN_OK) {
                return rc;
            }

            facts = 0;
        }

        if (!bytes_equal(key, name.bytes)) {
            bytes_writer_bytes(w, name.raw);
            bytes_writer_bytes(w, value.raw);
        }
    }

    if (facts) {
        rc = write_facts(w, http);
        if (rc != UCAN_OK) {
            return rc;
        }
    }

    return w->failed ? UCAN_TOO_LARGE : UCAN_OK;
}


/* A request that cannot be told in CBOR, as it is no UTF-8, meets no
   policy. */
static ucan_verdict_t
write_facts(bytes_writer_t *w, const ucan_http_t *http)
{
    size_t  len;

    len = http->scheme.len + http->method.len + http->host.len
          + http->path.len + http->query.len + http->origin.len
          + http->agent.len;

    if (len > UCAN_HTTP_CBOR_MAX - UCAN_CHAIN_ARGS_NAMES) {
        return UCAN_TOO_LARGE;
    }

    cbor_write_text(w, bytes_of(UCAN_HTTP_ARG));

    if (bytes_writer_left(w) < UCAN_HTTP_CBOR_MAX) {
        return UCAN_TOO_LARGE;
    }

    ucan_http_write(http, w);

    return w->failed ? UCAN_POLICY : UCAN_OK;
}


static ucan_verdict_t
sort_args(const ucan_request_t *request, const ucan_arg_t **sorted)
{
    size_t             i, j;
    const ucan_arg_t  *arg;

    for (i = 0; i < request->arg_count; i++) {
        arg = &request->args[i];

        if (arg->name.len > UCAN_CHAIN_NAME_BYTES_MAX
            || arg->value.len > UCAN_CHAIN_ARG_BYTES_MAX)
        {
            return UCAN_TOO_LARGE;
        }

        for (j = i;
             j > 0 && cbor_key_compare(sorted[j - 1]->name, arg->name) > 0;
             j--)
        {
            sorted[j] = sorted[j - 1];
        }

        if (j > 0 && bytes_equal(sorted[j - 1]->name, arg->name)) {
            return UCAN_MALFORMED;
        }

        sorted[j] = arg;
    }

    return UCAN_OK;
}
