/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * ucan_http.c: two bytes of length, facts of a request one a line (scheme,
 * method, host, path, query, Origin, User-Agent), args of an invocation.
 * What the facts are written as is canonical and about them, by members and
 * by both hashes, and about no other method.
 */


#include <stdlib.h>

#include "cbor.h"
#include "ucan_http.h"


#define FUZZ_SIZE_MAX  16384      /* bytes */


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bytes_t take_line(bytes_reader_t *r);
static void check_facts(ucan_http_t *http);
static void check_args(ucan_http_t *http, bytes_t args);
static bytes_t wrap(const ucan_http_t *http, const uint8_t *hash);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t          len;
    bytes_t         args;
    ucan_http_t     http;
    bytes_reader_t  r;

    if (size < 2 || size > FUZZ_SIZE_MAX) {
        return 0;
    }

    len = (size_t) data[0] << 8 | data[1];

    if (len > size - 2) {
        return 0;
    }

    bytes_reader_open(&r, bytes_make(data + 2, len));

    http.scheme = take_line(&r);
    http.method = take_line(&r);
    http.host = take_line(&r);
    http.path = take_line(&r);
    http.query = take_line(&r);
    http.origin = take_line(&r);
    http.agent = take_line(&r);

    args = bytes_make(data + 2 + len, size - 2 - len);

    check_facts(&http);

    if (cbor_validate(args) == 0) {
        check_args(&http, args);
    }

    return 0;
}


static bytes_t
take_line(bytes_reader_t *r)
{
    bytes_t         line;
    const uint8_t  *end;

    end = (bytes_reader_left(r) == 0)
          ? NULL : memchr(r->pos, '\n', bytes_reader_left(r));

    if (end == NULL) {
        return bytes_reader_take(r, bytes_reader_left(r));
    }

    line = bytes_reader_take(r, (size_t) (end - r->pos));
    (void) bytes_reader_byte(r);

    return line;
}


static void
check_facts(ucan_http_t *http)
{
    bytes_t  args, method;
    uint8_t  hash[UCAN_HTTP_HASH_LEN], other[UCAN_HTTP_HASH_LEN];

    args = wrap(http, NULL);

    if (args.len == 0) {
        return;
    }

    if (cbor_validate(args) != 0
        || ucan_http_match(args, http) != UCAN_OK)
    {
        abort();
    }

    if (ucan_http_hash(http, hash) == 0
        && ucan_http_match(wrap(http, hash), http) != UCAN_OK)
    {
        abort();
    }

    if (ucan_http_hash_query(http, other) == 0
        && ucan_http_match(wrap(http, other), http) != UCAN_OK)
    {
        abort();
    }

    args = wrap(http, NULL);
    method = http->method;
    http->method = bytes_equal_text(method, "GET") ? bytes_of("POST")
                                                   : bytes_of("GET");

    if (ucan_http_match(args, http) != UCAN_WRONG_REQUEST) {
        abort();
    }

    http->method = method;
}


/* One answer, always the same; without facts never a yes. */
static void
check_args(ucan_http_t *http, bytes_t args)
{
    ucan_verdict_t  rc;

    rc = ucan_http_match(args, http);

    if (rc != ucan_http_match(args, http)
        || (rc != UCAN_OK && rc != UCAN_NO_PROOF && rc != UCAN_WRONG_REQUEST)
        || ucan_http_match(args, NULL) == UCAN_OK)
    {
        abort();
    }
}


/* {"http": facts or hash}; an empty view when they cannot be written. */
static bytes_t
wrap(const ucan_http_t *http, const uint8_t *hash)
{
    bytes_writer_t  w;

    static uint8_t  out[2 * FUZZ_SIZE_MAX];

    bytes_writer_open(&w, out, sizeof(out));
    cbor_write_map(&w, 1);
    cbor_write_text(&w, bytes_of("http"));

    if (hash != NULL) {
        cbor_write_bytes(&w, bytes_make(hash, UCAN_HTTP_HASH_LEN));

    } else {
        ucan_http_write(http, &w);
    }

    return w.failed ? bytes_make(NULL, 0) : bytes_writer_view(&w);
}
