/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Sentences about args.http: which request an invocation was signed for, and
 * in what the one at hand differs.
 */


#include "cbor.h"
#include "mesh_show.h"
#include "mesh_why_ask.h"


static bytes_t fact_of(const ucan_http_t *http, bytes_t name);
static const char *find_difference(const cbor_item_t *map,
    const ucan_http_t *http);


const char *
mesh_why_http(const mesh_ask_t *ask, const ucan_token_t *top)
{
    cbor_item_t   args, http;
    const char   *text;

    if (top->kind != UCAN_TOKEN_INVOCATION
        || cbor_read(top->args, &args) != 0
        || cbor_map_find(&args, bytes_of("http"), &http) != 0)
    {
        return NULL;
    }

    if (ask->http == NULL) {
        return mesh_format("the invocation is signed for one request alone, "
                           "%s", http.type == CBOR_MAP
                                 ? mesh_show_value(&http)
                                 : "of which it holds the hash");
    }

    if (ucan_http_match(top->args, ask->http) == UCAN_OK) {
        return NULL;
    }

    text = (http.type == CBOR_MAP) ? find_difference(&http, ask->http)
                                   : NULL;

    return (text != NULL) ? text
                          : "the invocation is signed for another request: "
                            "its hash is not that of this one, with its "
                            "Origin and User-Agent";
}


static bytes_t
fact_of(const ucan_http_t *http, bytes_t name)
{
    size_t  i;

    const struct {
        const char  *name;
        bytes_t      value;
    } facts[] = {
        { "scheme", http->scheme },
        { "method", http->method },
        { "host",   http->host },
        { "path",   http->path },
        { "query",  http->query }
    };

    for (i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
        if (bytes_equal_text(name, facts[i].name)) {
            return facts[i].value;
        }
    }

    return bytes_make(NULL, 0);
}


static const char *
find_difference(const cbor_item_t *map, const ucan_http_t *http)
{
    bytes_t         fact;
    cbor_item_t     key, value;
    bytes_reader_t  r;

    bytes_reader_open(&r, map->body);

    while (bytes_reader_left(&r) != 0
           && cbor_next(&r, &key) == 0
           && cbor_next(&r, &value) == 0)
    {
        fact = fact_of(http, key.bytes);

        if (value.type != CBOR_TEXT || !bytes_equal(value.bytes, fact)) {
            return mesh_format("the invocation is signed for a request with "
                               "the %s %s, and this one has %s",
                               mesh_show_text(key.bytes),
                               mesh_show_value(&value),
                               fact.len != 0 ? mesh_show_text(fact)
                                             : "none");
        }
    }

    return "the invocation is signed for a request without method, host or "
           "path, which is for none";
}
