/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The facts of an HTTP request in DAG-CBOR, and whether an invocation is about
 * them.  Maps are written in the order of DAG-CBOR: shorter names first.
 *
 *     "http": {"host", "path", "query", "method", "scheme",
 *              "headers": {"Origin", "User-Agent"}}
 *
 * What an invocation says is signed by the holder: facts that it names hold,
 * those it does not name are open, but for the query, which is part of what a
 * request is about.  The body and other headers are never bound.
 *
 * Pure: any thread, no heap.
 */


#include "cbor.h"
#include "digest.h"
#include "ucan_http.h"


#define UCAN_HTTP_METHOD_BIT  0x01
#define UCAN_HTTP_HOST_BIT    0x02
#define UCAN_HTTP_PATH_BIT    0x04
#define UCAN_HTTP_QUERY_BIT   0x08
#define UCAN_HTTP_NEEDED      (UCAN_HTTP_METHOD_BIT | UCAN_HTTP_HOST_BIT      \
                               | UCAN_HTTP_PATH_BIT)


typedef struct {
    const char  *name;
    size_t       offset;         /* of the fact in ucan_http_t */
    unsigned     bit;
} ucan_http_member_t;


static int write_hash(const ucan_http_t *http, int query, uint8_t *hash);
static void write_map(const ucan_http_t *http, int query, bytes_writer_t *w);
static void write_member(bytes_writer_t *w, const char *name, bytes_t value);
static int match_map(const cbor_item_t *map, const ucan_http_t *http);
static int match_headers(const cbor_item_t *value, const ucan_http_t *http);
static unsigned match_text(const ucan_http_member_t *list, bytes_t name,
    const cbor_item_t *value, const ucan_http_t *http);
static int match_hash(bytes_t value, const ucan_http_t *http);
static int decode_path(bytes_t path, bytes_writer_t *w);
static int match_plain(uint8_t c);
static int digit_of(uint8_t c);


static const ucan_http_member_t  ucan_http_members[] = {
    { "scheme", offsetof(ucan_http_t, scheme), 0x10 },
    { "method", offsetof(ucan_http_t, method), UCAN_HTTP_METHOD_BIT },
    { "host",   offsetof(ucan_http_t, host),   UCAN_HTTP_HOST_BIT },
    { "path",   offsetof(ucan_http_t, path),   UCAN_HTTP_PATH_BIT },
    { "query",  offsetof(ucan_http_t, query),  UCAN_HTTP_QUERY_BIT },
    { NULL, 0, 0 }
};

static const ucan_http_member_t  ucan_http_headers[] = {
    { "Origin",     offsetof(ucan_http_t, origin), 0x10 },
    { "User-Agent", offsetof(ucan_http_t, agent),  0x20 },
    { NULL, 0, 0 }
};


void
ucan_http_write(const ucan_http_t *http, bytes_writer_t *w)
{
    write_map(http, 1, w);
}


int
ucan_http_hash(const ucan_http_t *http, uint8_t *hash)
{
    uint8_t         buf[UCAN_HTTP_CBOR_MAX];
    ucan_http_t     decoded;
    bytes_writer_t  w;

    if (http->path.len == 0
        || memchr(http->path.data, '%', http->path.len) == NULL)
    {
        return write_hash(http, 0, hash);
    }

    bytes_writer_open(&w, buf, sizeof(buf));

    if (decode_path(http->path, &w) != 0) {
        return -1;
    }

    decoded = *http;
    decoded.path = bytes_writer_view(&w);

    return write_hash(&decoded, 0, hash);
}


int
ucan_http_hash_query(const ucan_http_t *http, uint8_t *hash)
{
    return write_hash(http, 1, hash);
}


ucan_verdict_t
ucan_http_match(bytes_t args, const ucan_http_t *http)
{
    int          holds;
    cbor_item_t  map, value;

    if (cbor_read(args, &map) != 0 || map.type != CBOR_MAP) {
        return UCAN_WRONG_REQUEST;
    }

    if (cbor_map_find(&map, bytes_of(UCAN_HTTP_ARG), &value) != 0) {
        return UCAN_NO_PROOF;
    }

    if (http == NULL) {
        return UCAN_WRONG_REQUEST;
    }

    switch (value.type) {

    case CBOR_MAP:
        holds = match_map(&value, http);
        break;

    case CBOR_BYTES:
        holds = match_hash(value.bytes, http);
        break;

    default:
        holds = 0;
        break;
    }

    return holds ? UCAN_OK : UCAN_WRONG_REQUEST;
}


static int
write_hash(const ucan_http_t *http, int query, uint8_t *hash)
{
    uint8_t         buf[UCAN_HTTP_CBOR_MAX];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));

    cbor_write_map(&w, 1);
    cbor_write_text(&w, bytes_of(UCAN_HTTP_ARG));
    write_map(http, query, &w);

    if (w.failed) {
        return -1;
    }

    /* multihash: sha2-256, 32 bytes */

    hash[0] = 0x12;
    hash[1] = 0x20;
    digest_sha256(bytes_writer_view(&w), hash + 2);

    return 0;
}


static void
write_map(const ucan_http_t *http, int query, bytes_writer_t *w)
{
    cbor_write_map(w, query ? 6 : 5);

    write_member(w, "host", http->host);
    write_member(w, "path", http->path);

    if (query) {
        write_member(w, "query", http->query);
    }

    write_member(w, "method", http->method);
    write_member(w, "scheme", http->scheme);

    cbor_write_text(w, bytes_of("headers"));
    cbor_write_map(w, 2);

    write_member(w, "Origin", http->origin);
    write_member(w, "User-Agent", http->agent);
}


static void
write_member(bytes_writer_t *w, const char *name, bytes_t value)
{
    cbor_write_text(w, bytes_of(name));
    cbor_write_text(w, value);
}


static int
match_map(const cbor_item_t *map, const ucan_http_t *http)
{
    unsigned        bit, seen, needed;
    cbor_item_t     name, value;
    bytes_reader_t  r;

    seen = 0;
    bytes_reader_open(&r, map->body);

    while (bytes_reader_left(&r) != 0) {

        if (cbor_next(&r, &name) != 0 || cbor_next(&r, &value) != 0) {
            return 0;
        }

        if (bytes_equal_text(name.bytes, "headers")) {

            if (!match_headers(&value, http)) {
                return 0;
            }

            continue;
        }

        bit = match_text(ucan_http_members, name.bytes, &value, http);

        if (bit == 0) {
            return 0;
        }

        seen |= bit;
    }

    needed = UCAN_HTTP_NEEDED;

    if (http->query.len != 0) {
        needed |= UCAN_HTTP_QUERY_BIT;
    }

    return (seen & needed) == needed;
}


static int
match_headers(const cbor_item_t *value, const ucan_http_t *http)
{
    cbor_item_t     name, text;
    bytes_reader_t  r;

    if (value->type != CBOR_MAP) {
        return 0;
    }

    bytes_reader_open(&r, value->body);

    while (bytes_reader_left(&r) != 0) {
        if (cbor_next(&r, &name) != 0
            || cbor_next(&r, &text) != 0
            || match_text(ucan_http_headers, name.bytes, &text, http) == 0)
        {
            return 0;
        }
    }

    return 1;
}


/* The bit of the member, or 0: unknown or another value. */
static unsigned
match_text(const ucan_http_member_t *list, bytes_t name,
    const cbor_item_t *value, const ucan_http_t *http)
{
    bytes_t  fact;

    for ( /* void */ ; list->name != NULL; list++) {

        if (!bytes_equal_text(name, list->name)) {
            continue;
        }

        memcpy(&fact, (const uint8_t *) http + list->offset, sizeof(fact));

        return (value->type == CBOR_TEXT && bytes_equal(value->bytes, fact))
               ? list->bit : 0;
    }

    return 0;
}


static int
match_hash(bytes_t value, const ucan_http_t *http)
{
    uint8_t  hash[UCAN_HTTP_HASH_LEN];

    if (ucan_http_hash(http, hash) == 0
        && bytes_equal(value, bytes_make(hash, sizeof(hash))))
    {
        return 1;
    }

    return ucan_http_hash_query(http, hash) == 0
           && bytes_equal(value, bytes_make(hash, sizeof(hash)));
}


/*
 * Go has the path of a request decoded.  Only the one spelling that Go gives
 * what comes out has a hash, or one signature would be about "/a/b" and
 * "/a%2Fb".  0, or -1.
 */

static int
decode_path(bytes_t path, bytes_writer_t *w)
{
    int             high, low;
    uint8_t         c;
    bytes_reader_t  r;

    bytes_reader_open(&r, path);

    while (bytes_reader_left(&r) != 0) {

        c = bytes_reader_byte(&r);

        if (c != '%') {

            if (!match_plain(c)) {
                return -1;
            }

            bytes_writer_byte(w, c);
            continue;
        }

        high = digit_of(bytes_reader_byte(&r));
        low = digit_of(bytes_reader_byte(&r));

        if (high < 0 || low < 0 || match_plain((uint8_t) (high * 16 + low))) {
            return -1;
        }

        bytes_writer_byte(w, (uint8_t) (high * 16 + low));
    }

    return w->failed ? -1 : 0;
}


/* What Go does not escape in a path. */
static int
match_plain(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9')
           || (c != '\0' && strchr("-_.~$&+,/:;=@", c) != NULL);
}


static int
digit_of(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    return (c >= 'A' && c <= 'F') ? c - 'A' + 10 : -1;
}
