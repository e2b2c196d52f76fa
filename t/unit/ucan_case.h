/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * One case of a vector file as views, limits and callbacks: what the families
 * of ucan_vectors.c have in common.  Members that are missing get the default
 * of the README, unknown ones are not looked at.  One thread; views live until
 * make_reset().
 */


#ifndef _UCAN_CASE_H_INCLUDED_
#define _UCAN_CASE_H_INCLUDED_


#include <jansson.h>

#include "base64.h"
#include "tap.h"
#include "ucan_make.h"
#include "ucan_revocation.h"


#define CASE_NOW              1800000000
#define CASE_LIST_MAX         1024
#define CASE_REVOCATIONS_MAX  1024
#define CASE_CBOR_MAX         262144


static struct {
    ucan_revocation_t  list[CASE_REVOCATIONS_MAX];
    size_t             count;
} case_revocations;


static bytes_t
view_of(json_t *value)
{
    return json_is_string(value)
           ? bytes_make(json_string_value(value), json_string_length(value))
           : bytes_make(NULL, 0);
}


static bytes_t
text_of(json_t *object, const char *key)
{
    return view_of(json_object_get(object, key));
}


static int64_t
number_of(json_t *object, const char *key, int64_t fallback)
{
    json_t  *value;

    value = json_object_get(object, key);

    if (json_is_real(value)) {
        return (int64_t) json_real_value(value);
    }

    return json_is_integer(value) ? json_integer_value(value) : fallback;
}


/* A member that is one text or a list of them. */
static size_t
texts_of(json_t *object, const char *key, bytes_t *list, size_t max)
{
    size_t   i, n;
    json_t  *value, *item;

    value = json_object_get(object, key);

    if (json_is_string(value)) {
        list[0] = view_of(value);
        return 1;
    }

    n = 0;

    json_array_foreach(value, i, item) {
        if (n < max && json_is_string(item)) {
            list[n++] = view_of(item);
        }
    }

    return n;
}


/* Decodes into the arena; an empty view when it is not of that form. */
static bytes_t
decode_base64(base64_form_t form, bytes_t text)
{
    void            *buf;
    bytes_writer_t   w;

    buf = make_alloc(NULL, base64_decoded_max(text.len));

    if (buf == NULL) {
        return bytes_make(NULL, 0);
    }

    bytes_writer_open(&w, buf, base64_decoded_max(text.len));

    return (base64_decode(form, text, &w) == 0) ? bytes_writer_view(&w)
                                                : bytes_make(NULL, 0);
}


static bytes_t
copy_text(bytes_t text)
{
    void  *p;

    p = make_alloc(NULL, text.len + 1);

    if (p == NULL) {
        abort();
    }

    if (text.len != 0) {
        memcpy(p, text.data, text.len);
    }

    return bytes_make(p, text.len);
}


/* Any alphabet, padded or not. */
static bytes_t
decode_any(bytes_t text)
{
    bytes_t  b;

    while (text.len != 0 && text.data[text.len - 1] == '=') {
        text.len--;
    }

    b = decode_base64(BASE64_STD_RAW, text);

    return (b.len != 0) ? b : decode_base64(BASE64_URL, text);
}


static bytes_t
decode_hex(bytes_t text)
{
    size_t    len;
    uint8_t  *buf;

    buf = make_alloc(NULL, text.len / 2 + 1);

    if (buf == NULL
        || sodium_hex2bin(buf, text.len / 2, (const char *) text.data,
                          text.len, NULL, &len, NULL)
           != 0)
    {
        return bytes_make(NULL, 0);
    }

    return bytes_make(buf, len);
}


static int
compare_keys(const void *a, const void *b)
{
    return cbor_key_compare(bytes_of(*(const char *const *) a),
                            bytes_of(*(const char *const *) b));
}


/* DAG-JSON: {"/": {"bytes": base64}} and {"/": CID} are bytes and links. */
static int
write_special(bytes_writer_t *w, json_t *object)
{
    cid_t           cid;
    json_t         *slash;
    uint8_t         binary[1 + CID_BINARY_LEN];
    bytes_writer_t  b;

    slash = json_object_get(object, "/");

    if (json_object_size(object) != 1 || slash == NULL) {
        return 0;
    }

    if (json_is_string(slash)) {
        bytes_writer_open(&b, binary, sizeof(binary));

        if (cid_parse(&cid, view_of(slash)) != 0) {
            w->failed = 1;
            return 1;
        }

        cid_write_binary(&cid, &b);
        cbor_write_link(w, bytes_writer_view(&b));

        return 1;
    }

    if (!json_is_string(json_object_get(slash, "bytes"))) {
        return 0;
    }

    cbor_write_bytes(w, decode_any(text_of(slash, "bytes")));

    return 1;
}


static void
write_value(bytes_writer_t *w, json_t *value)
{
    size_t        i, n;
    json_t       *item;
    const char  **keys, *key;

    switch (json_typeof(value)) {

    case JSON_OBJECT:

        if (write_special(w, value)) {
            break;
        }

        n = 0;
        keys = make_alloc(NULL, (json_object_size(value) + 1)
                                * sizeof(char *));
        if (keys == NULL) {
            w->failed = 1;
            break;
        }

        json_object_foreach(value, key, item) {
            keys[n++] = key;
        }

        qsort(keys, n, sizeof(keys[0]), compare_keys);

        cbor_write_map(w, n);

        for (i = 0; i < n; i++) {
            cbor_write_text(w, bytes_of(keys[i]));
            write_value(w, json_object_get(value, keys[i]));
        }

        break;

    case JSON_ARRAY:
        cbor_write_list(w, json_array_size(value));

        json_array_foreach(value, i, item) {
            write_value(w, item);
        }

        break;

    case JSON_STRING:
        cbor_write_text(w, view_of(value));
        break;

    case JSON_INTEGER:
        cbor_write_integer(w, json_integer_value(value));
        break;

    case JSON_REAL:
        cbor_write_float(w, json_real_value(value));
        break;

    case JSON_NULL:
        cbor_write_null(w);
        break;

    default:
        cbor_write_bool(w, json_is_true(value));
        break;
    }
}


/* DAG-CBOR of DAG-JSON; an empty view when it is none. */
static bytes_t
encode_value(json_t *value)
{
    bytes_writer_t  w;

    static uint8_t  buf[CASE_CBOR_MAX];

    bytes_writer_open(&w, buf, sizeof(buf));

    if (value == NULL) {
        return bytes_make(NULL, 0);
    }

    write_value(&w, value);

    return w.failed ? bytes_make(NULL, 0) : make_copy(&w);
}


static size_t
limit_of(json_t *object, const char *name, size_t fallback)
{
    int64_t  n;

    n = number_of(json_object_get(object, "limits"), name,
                  (int64_t) fallback);

    return (n < 0) ? 0 : (size_t) n;
}


/* The vectors bound each token, what bundles bound is the sum. */
static ucan_limits_t
limits_of(json_t *object)
{
    ucan_limits_t  out;

    ucan_limits_init(&out);

    out.bytes_max = SIZE_MAX / 2;
    out.count_max = limit_of(object, "max_tokens", UCAN_TOKEN_COUNT_MAX);
    out.depth_max = limit_of(object, "max_depth", UCAN_TOKEN_DEPTH_MAX);
    out.inflated_max = limit_of(object, "max_inflated_bytes",
                                UCAN_TOKEN_INFLATED_MAX);

    return out;
}


/* What the case knows as revoked; those that do not verify count for
   nothing. */
static void
load_revocations(json_t *object)
{
    char               *text;
    size_t              i;
    json_t             *item;
    bytes_t             one;
    ucan_bundle_t       witness;
    ucan_revocation_t  *next;

    case_revocations.count = 0;

    json_array_foreach(json_object_get(object, "revocations"), i, item) {

        if (case_revocations.count == CASE_REVOCATIONS_MAX) {
            break;
        }

        text = NULL;
        one = view_of(item);

        if (json_is_object(item)) {
            text = json_dumps(item, 0);
            one = bytes_of(text != NULL ? text : "");
        }

        next = &case_revocations.list[case_revocations.count];

        /* views into the text, so it is copied */

        one = copy_text(one);
        free(text);

        if (ucan_revocation_parse(next, one, &witness, &make_memory)
            == UCAN_OK)
        {
            case_revocations.count++;
        }
    }
}


static ucan_revoked_t
match_revoked(void *data, const cid_t *cid)
{
    size_t  i;

    (void) data;

    for (i = 0; i < case_revocations.count; i++) {
        if (cid_equal(&case_revocations.list[i].cid, cid)) {
            return UCAN_REVOKED_BY;
        }
    }

    return UCAN_REVOKED_NOT;
}


static int
match_revoked_by(void *data, const cid_t *cid, bytes_t did)
{
    size_t  i;

    (void) data;

    for (i = 0; i < case_revocations.count; i++) {
        if (cid_equal(&case_revocations.list[i].cid, cid)
            && bytes_equal(case_revocations.list[i].by, did))
        {
            return 1;
        }
    }

    return 0;
}


/* 1 when the top was used before: its CID is among "seen". */
static int
match_seen(json_t *object, const ucan_bundle_t *bundle)
{
    size_t   i;
    cid_t    cid;
    json_t  *item;

    json_array_foreach(json_object_get(object, "seen"), i, item) {
        if (cid_parse(&cid, view_of(item)) == 0
            && cid_equal(&cid, &bundle->top->cid))
        {
            return 1;
        }
    }

    return 0;
}


static size_t
count_checked(const ucan_bundle_t *bundle)
{
    size_t  i, n;

    n = 0;

    for (i = 0; i < bundle->count; i++) {
        n += bundle->tokens[i].seal != UCAN_TOKEN_UNCHECKED;
    }

    return n;
}


/* The facts of a request, as {"method", "host", "path", ...}. */
static const ucan_http_t *
http_of(json_t *object)
{
    json_t              *value, *headers;
    static ucan_http_t   http;

    value = json_object_get(object, "http");

    if (!json_is_object(value)) {
        return NULL;
    }

    headers = json_object_get(value, "headers");

    http.scheme = text_of(value, "scheme");
    http.method = text_of(value, "method");
    http.host = text_of(value, "host");
    http.path = text_of(value, "path");
    http.query = text_of(value, "query");
    http.origin = text_of(headers, "Origin");
    http.agent = text_of(headers, "User-Agent");

    return &http;
}


static const char *
name_of(const char *file, json_t *object)
{
    const char   *id;
    static char   name[256];

    id = json_string_value(json_object_get(object, "id"));

    if (id == NULL) {
        id = json_string_value(json_object_get(object, "name"));
    }

    snprintf(name, sizeof(name), "%s: %s", file, id != NULL ? id : "?");

    return name;
}


/* "accept" or true, "reject" or false; -1 when it says neither. */
static int
expected_of(json_t *object)
{
    bytes_t  text;
    json_t  *expect;

    expect = json_object_get(object, "expect");
    text = view_of(expect);

    if (json_is_true(expect) || bytes_equal_text(text, "accept")) {
        return 1;
    }

    if (json_is_false(expect) || bytes_equal_text(text, "reject")) {
        return 0;
    }

    return -1;
}


/* States what came out against what the case expects. */
static void
report(const char *file, json_t *object, int accepted, const char *why)
{
    int          expected;
    const char  *name;

    name = name_of(file, object);
    expected = expected_of(object);

    if (expected < 0) {
        tap_ok(0, "%s says what it expects", name);
        return;
    }

    if (expected != accepted
        && json_is_true(json_object_get(object, "optional")))
    {
        tap_skip("a choice", name);
        return;
    }

    if (!tap_ok(expected == accepted, "%s is %s", name,
                expected ? "accepted" : "refused"))
    {
        printf("#   it was %s: %s\n", accepted ? "accepted" : "refused",
               why);
    }
}


#endif /* _UCAN_CASE_H_INCLUDED_ */
