/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Capabilities of a UCAN JWT, taken apart into resource, ability, caveat:
 *
 *     0.8, 0.9  "att": [{"with": resource, "can": ability, ...}], the caveat
 *               is an object of all that stands beside the two
 *     0.10      "cap": {resource: {ability: [caveat, ...]}}, one of the
 *               caveats has to hold
 *
 * Resources that speak of a token's proofs or of all that somebody owns (my:,
 * as:, prf:, ucan:) are left out, so that they neither cover nor are owned:
 * what they stand for is not worked out here, and so it is refused
 * (reference 4).  So are abilities of 0.10 with an empty list, "in no case".
 */


#include "ucan_jwt_part.h"


#define UCAN_JWT_PROOF  "prf:"      /* and the index of a proof, or "*" */


static ucan_verdict_t read_att(ucan_token_t *token,
    const ucan_jwt_members_t *members, ucan_memory_t *memory);
static ucan_verdict_t count_att(const json_scan_t *att, size_t *count);
static ucan_verdict_t read_item(ucan_token_t *token, const json_scan_t *item,
    size_t proofs, ucan_memory_t *memory);
static ucan_verdict_t copy_caveat(const json_scan_t *item, bytes_t *caveat,
    ucan_memory_t *memory);
static int match_item_name(const json_scan_t *key);
static ucan_verdict_t read_cap(ucan_token_t *token, const json_scan_t *cap,
    ucan_memory_t *memory);
static ucan_verdict_t count_cap(const json_scan_t *cap, size_t *count);
static ucan_verdict_t count_list(const json_scan_t *list, size_t *count);
static ucan_verdict_t read_abilities(ucan_token_t *token, bytes_t with,
    const json_scan_t *abilities, ucan_memory_t *memory);
static ucan_verdict_t reserve_caps(ucan_token_t *token, size_t count,
    ucan_memory_t *memory);
static void add_cap(ucan_token_t *token, bytes_t with, bytes_t can,
    bytes_t caveat);
static int match_resource(bytes_t text);
static int match_ability(bytes_t text);
static int match_reserved(bytes_t resource);
static int match_scheme(bytes_t resource, const char *scheme);
static int match_index(bytes_t text, size_t count);


ucan_verdict_t
ucan_jwt_caps_read(ucan_token_t *token, const ucan_jwt_members_t *members,
    ucan_memory_t *memory)
{
    if (token->version < UCAN_TOKEN_VERSION_10) {
        return read_att(token, members, memory);
    }

    return read_cap(token, &members->of[UCAN_JWT_CAP], memory);
}


static ucan_verdict_t
read_att(ucan_token_t *token, const ucan_jwt_members_t *members,
    ucan_memory_t *memory)
{
    size_t              pos, count;
    json_scan_t         item;
    ucan_verdict_t      rc;
    const json_scan_t  *att;

    att = &members->of[UCAN_JWT_ATT];

    if (att->raw.len == 0 || att->type != JSON_SCAN_ARRAY) {
        return UCAN_MALFORMED;
    }

    token->caps = att->raw;

    rc = count_att(att, &count);
    if (rc != UCAN_OK) {
        return rc;
    }

    rc = reserve_caps(token, count, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    pos = 0;

    while (json_scan_next(att, &pos, NULL, &item) == 0) {
        rc = read_item(token, &item, members->proofs, memory);
        if (rc != UCAN_OK) {
            return rc;
        }
    }

    return UCAN_OK;
}


static ucan_verdict_t
count_att(const json_scan_t *att, size_t *count)
{
    size_t       pos;
    json_scan_t  item;

    *count = 0;
    pos = 0;

    while (json_scan_next(att, &pos, NULL, &item) == 0) {

        if (item.type != JSON_SCAN_OBJECT) {
            return UCAN_MALFORMED;
        }

        (*count)++;
    }

    return UCAN_OK;
}


static ucan_verdict_t
read_item(ucan_token_t *token, const json_scan_t *item,
    size_t proofs, ucan_memory_t *memory)
{
    bytes_t         with, can, caveat;
    json_scan_t     value;
    ucan_verdict_t  rc;

    if (json_scan_find(item, "with", &value) != 0) {
        return UCAN_MALFORMED;
    }

    rc = ucan_jwt_payload_copy(&value, &with, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    if (json_scan_find(item, "can", &value) != 0) {
        return UCAN_MALFORMED;
    }

    rc = ucan_jwt_payload_copy(&value, &can, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    if (!match_resource(with) || !match_ability(can)) {
        return UCAN_MALFORMED;
    }

    if (match_scheme(with, UCAN_JWT_PROOF)
        && !match_index(bytes_make(with.data + strlen(UCAN_JWT_PROOF),
                                   with.len - strlen(UCAN_JWT_PROOF)),
                        proofs))
    {
        return UCAN_MALFORMED;
    }

    rc = copy_caveat(item, &caveat, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    add_cap(token, with, can, caveat);

    return UCAN_OK;
}


/* An object of the members that are neither "with" nor "can", as they are
   written. */
static ucan_verdict_t
copy_caveat(const json_scan_t *item, bytes_t *caveat, ucan_memory_t *memory)
{
    void            *buf;
    size_t           pos, size;
    json_scan_t      key, value;
    bytes_writer_t   w;

    size = 0;
    pos = 0;

    while (json_scan_next(item, &pos, &key, &value) == 0) {
        if (!match_item_name(&key)) {
            size += key.raw.len + value.raw.len + 2;
        }
    }

    if (size == 0) {
        *caveat = bytes_of("{}");
        return UCAN_OK;
    }

    buf = memory->alloc(memory->data, size + 1);
    if (buf == NULL) {
        return UCAN_NO_MEMORY;
    }

    bytes_writer_open(&w, buf, size + 1);
    pos = 0;

    while (json_scan_next(item, &pos, &key, &value) == 0) {

        if (match_item_name(&key)) {
            continue;
        }

        bytes_writer_byte(&w, (w.pos == w.start) ? '{' : ',');
        bytes_writer_bytes(&w, key.raw);
        bytes_writer_byte(&w, ':');
        bytes_writer_bytes(&w, value.raw);
    }

    bytes_writer_byte(&w, '}');

    *caveat = bytes_writer_view(&w);

    return w.failed ? UCAN_MALFORMED : UCAN_OK;
}


static int
match_item_name(const json_scan_t *key)
{
    return json_scan_equal(key, "with") || json_scan_equal(key, "can");
}


static ucan_verdict_t
read_cap(ucan_token_t *token, const json_scan_t *cap, ucan_memory_t *memory)
{
    size_t          pos, count;
    bytes_t         with;
    json_scan_t     key, abilities;
    ucan_verdict_t  rc;

    if (cap->raw.len == 0 || cap->type != JSON_SCAN_OBJECT) {
        return UCAN_MALFORMED;
    }

    token->caps = cap->raw;

    rc = count_cap(cap, &count);
    if (rc != UCAN_OK) {
        return rc;
    }

    rc = reserve_caps(token, count, memory);
    if (rc != UCAN_OK) {
        return rc;
    }

    pos = 0;

    while (json_scan_next(cap, &pos, &key, &abilities) == 0) {

        rc = ucan_jwt_payload_copy(&key, &with, memory);
        if (rc != UCAN_OK) {
            return rc;
        }

        rc = read_abilities(token, with, &abilities, memory);
        if (rc != UCAN_OK) {
            return rc;
        }
    }

    return UCAN_OK;
}


/* Checks the form of all and counts the caveats.  When every list is empty
   the token as a whole says "never": that is refused. */
static ucan_verdict_t
count_cap(const json_scan_t *cap, size_t *count)
{
    size_t          pos, inner, lists;
    json_scan_t     key, abilities, list;
    ucan_verdict_t  rc;

    *count = 0;
    lists = 0;
    pos = 0;

    while (json_scan_next(cap, &pos, &key, &abilities) == 0) {

        if (abilities.type != JSON_SCAN_OBJECT) {
            return UCAN_MALFORMED;
        }

        inner = 0;

        while (json_scan_next(&abilities, &inner, &key, &list) == 0) {

            rc = count_list(&list, count);
            if (rc != UCAN_OK) {
                return rc;
            }

            lists++;
        }
    }

    return (lists != 0 && *count == 0) ? UCAN_MALFORMED : UCAN_OK;
}


static ucan_verdict_t
count_list(const json_scan_t *list, size_t *count)
{
    size_t       pos;
    json_scan_t  caveat;

    if (list->type != JSON_SCAN_ARRAY) {
        return UCAN_MALFORMED;
    }

    pos = 0;

    while (json_scan_next(list, &pos, NULL, &caveat) == 0) {

        if (caveat.type != JSON_SCAN_OBJECT) {
            return UCAN_MALFORMED;
        }

        (*count)++;
    }

    return UCAN_OK;
}


static ucan_verdict_t
read_abilities(ucan_token_t *token, bytes_t with,
    const json_scan_t *abilities, ucan_memory_t *memory)
{
    size_t          pos, inner;
    bytes_t         can;
    json_scan_t     key, list, caveat;
    ucan_verdict_t  rc;

    pos = 0;

    while (json_scan_next(abilities, &pos, &key, &list) == 0) {

        rc = ucan_jwt_payload_copy(&key, &can, memory);
        if (rc != UCAN_OK) {
            return rc;
        }

        inner = 0;

        while (json_scan_next(&list, &inner, NULL, &caveat) == 0) {
            add_cap(token, with, can, caveat.raw);
        }
    }

    return UCAN_OK;
}


static ucan_verdict_t
reserve_caps(ucan_token_t *token, size_t count, ucan_memory_t *memory)
{
    if (count > UCAN_TOKEN_CAPS_MAX) {
        return UCAN_TOO_LARGE;
    }

    if (count == 0) {
        return UCAN_OK;
    }

    token->capabilities = memory->alloc(memory->data,
                                        count * sizeof(ucan_token_cap_t));

    return (token->capabilities != NULL) ? UCAN_OK : UCAN_NO_MEMORY;
}


static void
add_cap(ucan_token_t *token, bytes_t with, bytes_t can, bytes_t caveat)
{
    ucan_token_cap_t  *next;

    if (match_reserved(with)) {
        return;
    }

    next = &token->capabilities[token->capability_count++];
    next->with = with;
    next->can = can;
    next->caveat = caveat;
    next->wild = token->version >= UCAN_TOKEN_VERSION_09
                 && can.len > 2
                 && can.data[can.len - 1] == '*'
                 && can.data[can.len - 2] == '/';
}


/* A scheme (RFC 3986, 3.1) and a colon at least. */
static int
match_resource(bytes_t text)
{
    size_t   i;
    uint8_t  c;

    for (i = 0; i < text.len; i++) {
        c = text.data[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
            continue;
        }

        if (i == 0
            || !((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'))
        {
            return i != 0 && c == ':';
        }
    }

    return 0;
}


/* "*", or a name space, a slash and something. */
static int
match_ability(bytes_t text)
{
    const uint8_t  *slash;

    if (bytes_equal_text(text, "*")) {
        return 1;
    }

    slash = (text.len == 0) ? NULL : memchr(text.data, '/', text.len);

    return slash != NULL
           && slash != text.data
           && slash != text.data + text.len - 1;
}


static int
match_reserved(bytes_t resource)
{
    return match_scheme(resource, "my:")
           || match_scheme(resource, "as:")
           || match_scheme(resource, UCAN_JWT_PROOF)
           || match_scheme(resource, "ucan:");
}


/* The scheme is lower case and has its colon. */
static int
match_scheme(bytes_t resource, const char *scheme)
{
    size_t   i;
    uint8_t  c;

    for (i = 0; scheme[i] != '\0'; i++) {

        if (i == resource.len) {
            return 0;
        }

        c = resource.data[i];
        c = (c >= 'A' && c <= 'Z') ? c | 0x20 : c;

        if (c != (uint8_t) scheme[i]) {
            return 0;
        }
    }

    return 1;
}


/* "*", or an index below count in decimal. */
static int
match_index(bytes_t text, size_t count)
{
    size_t  i, n;

    if (bytes_equal_text(text, "*")) {
        return 1;
    }

    n = 0;

    for (i = 0; i < text.len; i++) {

        if (text.data[i] < '0' || text.data[i] > '9') {
            return 0;
        }

        n = n * 10 + (size_t) (text.data[i] - '0');

        if (n >= count) {
            return 0;
        }
    }

    return i != 0;
}
