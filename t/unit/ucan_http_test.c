/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The facts of an HTTP request in DAG-CBOR, the hash that clients of go-ucan
 * sign, and what args say about a request.  The digests were computed from
 * DAG-CBOR written by other code.
 */


#include <sodium.h>

#include "cbor.h"
#include "tap.h"
#include "ucan_http.h"


#define HASH_ALL                                                              \
    "12203739316a6ffbde6b1713710f635ec5"                                      \
    "2ac0f08bfe6a38126ca3058b440e06dfb1"

#define HASH_QUERY                                                            \
    "1220f2b862a7417ef2a535aa643eb515aa"                                      \
    "0d07065ba42916bc20406cbd6985ffd52d"

#define HASH_BARE                                                             \
    "1220765261823c3cb2bdf6046283c48ed7"                                      \
    "1b5452d925bb4c90f067fc6aa510987f6a"


static void
view(ucan_http_t *http)
{
    memset(http, 0, sizeof(ucan_http_t));

    http->scheme = bytes_of("http");
    http->method = bytes_of("GET");
    http->host = bytes_of("example.com");
    http->path = bytes_of("/foo");
    http->origin = bytes_of("dapps.com");
    http->agent = bytes_of("Chrome/51.0.2704.103 Safari/537.36");
}


static int
equal_hex(const uint8_t *hash, const char *hex)
{
    char  text[2 * UCAN_HTTP_HASH_LEN + 1];

    sodium_bin2hex(text, sizeof(text), hash, UCAN_HTTP_HASH_LEN);

    return strcmp(text, hex) == 0;
}


static void
test_hash_of_others(void)
{
    uint8_t      hash[UCAN_HTTP_HASH_LEN];
    ucan_http_t  http;

    view(&http);

    tap_ok(ucan_http_hash(&http, hash) == 0
           && equal_hex(hash, HASH_ALL),
           "the hash is that of go-ucan's map");

    http.query = bytes_of("a=1");

    tap_ok(ucan_http_hash(&http, hash) == 0 && equal_hex(hash, HASH_ALL),
           "which has no query in it");
    tap_ok(ucan_http_hash_query(&http, hash) == 0
           && equal_hex(hash, HASH_QUERY),
           "ours with a query has one");

    view(&http);
    http.origin = bytes_make(NULL, 0);
    http.agent = bytes_make(NULL, 0);

    tap_ok(ucan_http_hash(&http, hash) == 0 && equal_hex(hash, HASH_BARE),
           "headers that are absent are empty text");
}


static void
test_write(void)
{
    uint8_t         buf[1024];
    ucan_http_t     http;
    cbor_item_t     map, value, inner;
    bytes_writer_t  w;

    view(&http);
    http.query = bytes_of("a=1&b=%20");

    bytes_writer_open(&w, buf, sizeof(buf));
    ucan_http_write(&http, &w);

    tap_ok(!w.failed && cbor_validate(bytes_writer_view(&w)) == 0,
           "the facts are canonical DAG-CBOR");
    tap_ok(cbor_read(bytes_writer_view(&w), &map) == 0 && map.count == 6,
           "a map of six");
    tap_ok(cbor_map_find(&map, bytes_of("query"), &value) == 0
           && bytes_equal(value.bytes, http.query),
           "the query is in it as it was sent");
    tap_ok(cbor_map_find(&map, bytes_of("headers"), &value) == 0
           && cbor_map_find(&value, bytes_of("User-Agent"), &inner) == 0
           && bytes_equal(inner.bytes, http.agent),
           "and the headers");

    bytes_writer_open(&w, buf, 64);
    ucan_http_write(&http, &w);
    tap_ok(w.failed, "too little room fails");

    http.path = bytes_of("/\xff");
    bytes_writer_open(&w, buf, sizeof(buf));
    ucan_http_write(&http, &w);
    tap_ok(w.failed, "so does a path that is no UTF-8");
    tap_ok(ucan_http_hash(&http, buf) != 0, "which has no hash either");
}


static void
test_large(void)
{
    uint8_t      hash[UCAN_HTTP_HASH_LEN];
    ucan_http_t  http;

    static char  path[UCAN_HTTP_CBOR_MAX];

    view(&http);
    memset(path, 'a', sizeof(path));

    http.path = bytes_make(path, UCAN_HTTP_CBOR_MAX - 256);
    tap_ok(ucan_http_hash(&http, hash) == 0, "a long path has a hash");

    http.path = bytes_make(path, UCAN_HTTP_CBOR_MAX);
    tap_ok(ucan_http_hash(&http, hash) != 0, "one beyond the bound has not");
}


/* Args with a map of names and values as "http"; ends with NULL. */
static bytes_t
args_of(const char *const *list)
{
    size_t          n;
    bytes_writer_t  w;

    static uint8_t  buf[1024];

    for (n = 0; list[2 * n] != NULL; n++) { /* void */ }

    bytes_writer_open(&w, buf, sizeof(buf));
    cbor_write_map(&w, 1);
    cbor_write_text(&w, bytes_of("http"));
    cbor_write_map(&w, n);

    for (n = 0; list[n] != NULL; n++) {

        if (strcmp(list[n], "headers") == 0) {
            cbor_write_text(&w, bytes_of(list[n]));
            cbor_write_map(&w, 1);
            cbor_write_text(&w, bytes_of("Origin"));
            continue;
        }

        cbor_write_text(&w, bytes_of(list[n]));
    }

    return bytes_writer_view(&w);
}


static void
test_match_map(void)
{
    size_t       i;
    ucan_http_t  http;

    static const struct {
        const char  *name;
        const char  *list[12];
        int          holds;
        const char  *query;
    } cases[] = {
        { "method, host and path",
          { "host", "example.com", "path", "/foo", "method", "GET" }, 1, "" },
        { "the scheme too",
          { "host", "example.com", "path", "/foo", "method", "GET",
            "scheme", "http" }, 1, "" },
        { "a header too",
          { "host", "example.com", "path", "/foo", "method", "GET",
            "headers", "dapps.com" }, 1, "" },
        { "the query", { "host", "example.com", "path", "/foo",
                         "query", "a=1", "method", "GET" }, 1, "a=1" },
        { "no query where there is none",
          { "host", "example.com", "path", "/foo", "query", "",
            "method", "GET" }, 1, "" },
        { "another method",
          { "host", "example.com", "path", "/foo", "method", "POST" }, 0,
          "" },
        { "another host",
          { "host", "example.org", "path", "/foo", "method", "GET" }, 0, "" },
        { "another path",
          { "host", "example.com", "path", "/fo", "method", "GET" }, 0, "" },
        { "another scheme",
          { "host", "example.com", "path", "/foo", "method", "GET",
            "scheme", "https" }, 0, "" },
        { "another header",
          { "host", "example.com", "path", "/foo", "method", "GET",
            "headers", "evil.com" }, 0, "" },
        { "no method", { "host", "example.com", "path", "/foo" }, 0, "" },
        { "no host", { "path", "/foo", "method", "GET" }, 0, "" },
        { "no path", { "host", "example.com", "method", "GET" }, 0, "" },
        { "nothing", { NULL }, 0, "" },
        { "no word on a query that is there",
          { "host", "example.com", "path", "/foo", "method", "GET" }, 0,
          "a=1" },
        { "another query", { "host", "example.com", "path", "/foo",
                             "query", "a=2", "method", "GET" }, 0, "a=1" },
        { "a member that is not known",
          { "body", "x", "host", "example.com", "path", "/foo",
            "method", "GET" }, 0, "" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        view(&http);
        http.query = bytes_of(cases[i].query);

        tap_ok(ucan_http_match(args_of(cases[i].list), &http)
               == (cases[i].holds ? UCAN_OK : UCAN_WRONG_REQUEST),
               "%s: %s", cases[i].name, cases[i].holds ? "holds" : "does not");
    }
}


static ucan_verdict_t
match_bytes(const ucan_http_t *http, const uint8_t *hash, size_t len)
{
    uint8_t         buf[256];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));
    cbor_write_map(&w, 1);
    cbor_write_text(&w, bytes_of("http"));
    cbor_write_bytes(&w, bytes_make(hash, len));

    return ucan_http_match(bytes_writer_view(&w), http);
}


static void
test_match_hash(void)
{
    uint8_t      hash[UCAN_HTTP_HASH_LEN];
    ucan_http_t  http;

    view(&http);
    (void) ucan_http_hash(&http, hash);

    tap_ok(match_bytes(&http, hash, sizeof(hash)) == UCAN_OK,
           "the hash of the request holds");
    tap_ok(match_bytes(&http, hash, sizeof(hash) - 1) == UCAN_WRONG_REQUEST,
           "cut short it does not");

    http.method = bytes_of("POST");
    tap_ok(match_bytes(&http, hash, sizeof(hash)) == UCAN_WRONG_REQUEST,
           "nor for another request");

    view(&http);
    hash[0] = 0x1e;
    tap_ok(match_bytes(&http, hash, sizeof(hash)) == UCAN_WRONG_REQUEST,
           "nor under the name of another hash");

    (void) ucan_http_hash_query(&http, hash);
    tap_ok(match_bytes(&http, hash, sizeof(hash)) == UCAN_OK,
           "the hash with an empty query holds where there is none");

    http.query = bytes_of("a=1");
    tap_ok(match_bytes(&http, hash, sizeof(hash)) == UCAN_WRONG_REQUEST,
           "and not where there is one");
}


/* Go hashes "/a b" where "/a%20b" is sent; "written" has no escapes left. */
static void
test_match_decoded(void)
{
    size_t       i;
    uint8_t      hash[UCAN_HTTP_HASH_LEN];
    ucan_http_t  http;

    static const struct {
        const char  *written;
        const char  *sent;
        int          holds;
    } cases[] = {
        { "/a b", "/a%20b", 1 },
        { "/\xc3\xa9?", "/%C3%A9%3F", 1 },
        { "/a:b@c", "/a:b@c", 1 },
        { "/a(b)", "/a(b)", 1 },
        { "/a/b", "/a%2Fb", 0 },
        { "/ab", "/%61b", 0 },
        { "/\xc3\xa9", "/%c3%a9", 0 },
        { "/a b", "/a%2520b", 0 },
        { "/a b(c)", "/a%20b(c)", 0 },
        { "/a ", "/a%2", 0 },
        { "/a", "/a%", 0 },
        { "/a", "/a%GG", 0 },
        { "/\xff", "/%FF", 0 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        view(&http);
        memset(hash, 0, sizeof(hash));

        http.path = bytes_of(cases[i].written);
        (void) ucan_http_hash(&http, hash);
        http.path = bytes_of(cases[i].sent);

        tap_ok((match_bytes(&http, hash, sizeof(hash)) == UCAN_OK)
               == cases[i].holds, "signed for %s, sent to %s: %s",
               cases[i].written, cases[i].sent,
               cases[i].holds ? "holds" : "does not");
    }

    view(&http);
    http.path = bytes_of("/a%20b");
    (void) ucan_http_hash_query(&http, hash);
    tap_ok(match_bytes(&http, hash, sizeof(hash)) == UCAN_OK,
           "ours has the path as it was sent");

    http.path = bytes_of("/a%2520b");
    tap_ok(match_bytes(&http, hash, sizeof(hash)) == UCAN_WRONG_REQUEST,
           "and none is about two");
}


static void
test_match_rest(void)
{
    ucan_http_t  http;

    static const char *const  list[] = {
        "host", "example.com", "path", "/foo", "method", "GET", NULL
    };

    view(&http);

    tap_ok(ucan_http_match(bytes_of("\xa0"), &http) == UCAN_NO_PROOF,
           "args without http are about any request");
    tap_ok(ucan_http_match(bytes_of("\xa0"), NULL) == UCAN_NO_PROOF,
           "and about none");
    tap_ok(ucan_http_match(args_of(list), NULL) == UCAN_WRONG_REQUEST,
           "without facts no http is right");
    tap_ok(ucan_http_match(bytes_of("\xa1\x64http\xf5"), &http)
           == UCAN_WRONG_REQUEST, "http that is neither map nor bytes");
    tap_ok(ucan_http_match(bytes_of("\x80"), &http) == UCAN_WRONG_REQUEST,
           "args that are no map");
}


int
main(void)
{
    test_hash_of_others();
    test_write();
    test_large();
    test_match_map();
    test_match_hash();
    test_match_decoded();
    test_match_rest();

    return tap_done();
}
