/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * From a URL to the facts that nginx will see: nothing decoded, nothing
 * normalized but the case of scheme and host.
 */


#include <string.h>

#include "cbor.h"
#include "mesh_http.h"


static int split_url(ucan_http_t *http, const char *url);
static bytes_t fold(bytes_t text);
static bytes_t drop_port(bytes_t host, bytes_t scheme);
static int check_bytes(bytes_t text);


int
mesh_http_read(const mesh_line_t *line, ucan_http_t *http, int *given)
{
    size_t       i;
    const char  *value, *blank;

    memset(http, 0, sizeof(ucan_http_t));

    value = mesh_option_get(line, "http");
    *given = (value != NULL);

    if (value == NULL) {
        return (mesh_option_get(line, "origin") == NULL
                && mesh_option_get(line, "agent") == NULL)
               ? MESH_OK
               : mesh_refuse_usage("\"--origin\" and \"--agent\" go with "
                                   "\"--http\"");
    }

    blank = strchr(value, ' ');

    if (blank == NULL || blank == value || strchr(blank + 1, ' ') != NULL) {
        return mesh_refuse_usage("\"--http %s\": \"METHOD URL\" was "
                                 "expected, as \"GET "
                                 "http://localhost:4000/api/rooms\"", value);
    }

    http->method = bytes_make(value, (size_t) (blank - value));

    for (i = 0; i < http->method.len; i++) {
        if (http->method.data[i] < 'A' || http->method.data[i] > 'Z') {
            return mesh_refuse_usage("\"--http %s\": methods are upper case",
                                     value);
        }
    }

    if (split_url(http, blank + 1) != 0) {
        return mesh_refuse_usage("\"%s\" is no URL: \"http://host/path\" was "
                                 "expected", blank + 1);
    }

    value = mesh_option_get(line, "origin");
    http->origin = bytes_of(value != NULL ? value : "");

    value = mesh_option_get(line, "agent");
    http->agent = bytes_of(value != NULL ? value : "");

    return MESH_OK;
}


int
mesh_http_write(const ucan_http_t *http, int hash, bytes_writer_t *w)
{
    uint8_t  digest[UCAN_HTTP_HASH_LEN];

    if (hash) {

        if (ucan_http_hash_query(http, digest) != 0) {
            return mesh_fail("the request is too long");
        }

        cbor_write_bytes(w, bytes_make(digest, sizeof(digest)));

        return MESH_OK;
    }

    /* headers are left out: what client will send them is not known here */

    cbor_write_map(w, 5);
    cbor_write_text(w, bytes_of("host"));
    cbor_write_text(w, http->host);
    cbor_write_text(w, bytes_of("path"));
    cbor_write_text(w, http->path);
    cbor_write_text(w, bytes_of("query"));
    cbor_write_text(w, http->query);
    cbor_write_text(w, bytes_of("method"));
    cbor_write_text(w, http->method);
    cbor_write_text(w, bytes_of("scheme"));
    cbor_write_text(w, http->scheme);

    return w->failed ? mesh_fail("the request is too long") : MESH_OK;
}


bytes_t
mesh_http_join(bytes_t args, bytes_t http)
{
    int             done;
    bytes_t         name;
    cbor_item_t     map, key, value;
    bytes_reader_t  r;
    bytes_writer_t  w;

    name = bytes_of("http");
    done = 0;

    if (cbor_read(args, &map) != 0 || map.type != CBOR_MAP) {
        return args;
    }

    bytes_writer_open(&w, mesh_alloc(args.len + http.len + 32),
                      args.len + http.len + 32);

    cbor_write_map(&w, map.count
                       + (cbor_map_find(&map, name, &value) != 0));

    bytes_reader_open(&r, map.body);

    while (bytes_reader_left(&r) != 0
           && cbor_next(&r, &key) == 0
           && cbor_next(&r, &value) == 0)
    {
        if (!done && cbor_key_compare(name, key.bytes) <= 0) {
            cbor_write_text(&w, name);
            bytes_writer_bytes(&w, http);
            done = 1;
        }

        if (!bytes_equal(key.bytes, name)) {
            bytes_writer_bytes(&w, key.raw);
            bytes_writer_bytes(&w, value.raw);
        }
    }

    if (!done) {
        cbor_write_text(&w, name);
        bytes_writer_bytes(&w, http);
    }

    return bytes_writer_view(&w);
}


static int
split_url(ucan_http_t *http, const char *url)
{
    const char  *host, *path, *query;

    host = strstr(url, "://");

    if (host == NULL || host == url || strchr(url, '#') != NULL) {
        return -1;
    }

    http->scheme = fold(bytes_make(url, (size_t) (host - url)));
    host += 3;
    path = host + strcspn(host, "/?");
    query = strchr(path, '?');

    http->host = fold(bytes_make(host, (size_t) (path - host)));
    http->host = drop_port(http->host, http->scheme);

    http->path = (query != NULL) ? bytes_make(path, (size_t) (query - path))
                                 : bytes_of(path);

    if (http->path.len == 0) {
        http->path = bytes_of("/");
    }

    http->query = (query != NULL) ? bytes_of(query + 1) : bytes_of("");

    if (!bytes_equal_text(http->scheme, "http")
        && !bytes_equal_text(http->scheme, "https"))
    {
        return -1;
    }

    /* userinfo goes into a header of its own, which we have taken */

    if (http->host.len == 0
        || memchr(http->host.data, '@', http->host.len) != NULL)
    {
        return -1;
    }

    return (check_bytes(http->path) && check_bytes(http->query)) ? 0 : -1;
}


static bytes_t
fold(bytes_t text)
{
    size_t  i;
    char   *folded;

    folded = mesh_text(text);

    for (i = 0; i < text.len; i++) {
        if (folded[i] >= 'A' && folded[i] <= 'Z') {
            folded[i] |= 0x20;
        }
    }

    return bytes_make(folded, text.len);
}


/* Clients leave the scheme's own port out of the Host header. */
static bytes_t
drop_port(bytes_t host, bytes_t scheme)
{
    bytes_t  port;

    port = bytes_of(bytes_equal_text(scheme, "https") ? ":443" : ":80");

    if (host.len > port.len
        && memcmp(host.data + host.len - port.len, port.data, port.len) == 0)
    {
        host.len -= port.len;
    }

    return host;
}


/* Not every byte can stand in a request line; a client would encode the
   others, and the request would not be the one that was signed. */
static int
check_bytes(bytes_t text)
{
    size_t  i;

    for (i = 0; i < text.len; i++) {
        if (text.data[i] <= 0x20 || text.data[i] >= 0x7f) {
            return 0;
        }
    }

    return 1;
}
