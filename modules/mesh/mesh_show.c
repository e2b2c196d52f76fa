/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Parts of tokens as text for people.  Decides nothing.
 */


#include "did.h"
#include "mesh_json.h"
#include "mesh_show.h"
#include "timestamp.h"
#include "ucan_chain.h"


#define MESH_SHOW_DID_HEAD  16    /* characters of a DID before "..." */
#define MESH_SHOW_DID_TAIL  4
#define MESH_SHOW_RSA_REST  10    /* bytes of a PKCS#1 key beside its
                                     modulus, at least */


static void write_policy(bytes_writer_t *w, const cbor_item_t *list,
    const char *between);
static void write_statement(bytes_writer_t *w, const cbor_item_t *statement);
static void write_compared(bytes_writer_t *w, const cbor_item_t *op,
    bytes_reader_t *r);
static void write_quantified(bytes_writer_t *w, const char *word,
    bytes_reader_t *r);
static void write_value(bytes_writer_t *w, const cbor_item_t *item);
static void hide_controls(bytes_writer_t *w);
static const char *close_text(bytes_writer_t *w);


/* in the order of did_algorithm_t */

static const char *const  mesh_show_keys[DID_ALGORITHM_COUNT] = {
    "Ed25519", "P-256", "secp256k1", "RSA", "P-384", "P-521"
};


const char *
mesh_show_text(bytes_t text)
{
    size_t          size;
    bytes_t         quoted;
    json_write_t    j;
    bytes_writer_t  w;

    size = json_write_string_max(text.len);

    bytes_writer_open(&w, mesh_alloc(size), size);
    json_write_open(&j, &w);
    json_write_string(&j, text);

    quoted = bytes_writer_view(&w);

    if (w.failed || quoted.len < 2) {
        return "";
    }

    hide_controls(&w);

    return mesh_text(bytes_make(quoted.data + 1, quoted.len - 2));
}


const char *
mesh_show_json(bytes_t json)
{
    bytes_writer_t  w;

    bytes_writer_open(&w, mesh_alloc(json.len + 1), json.len + 1);
    bytes_writer_bytes(&w, json);

    return close_text(&w);
}


const char *
mesh_show_resource(bytes_t resource)
{
    char        *text, *did;
    size_t       len;
    const char  *rest;

    text = mesh_text(bytes_of(mesh_show_text(resource)));
    did = strstr(text, "did:key:");

    if (did == NULL) {
        return text;
    }

    len = 8 + strcspn(did + 8, "/?#:");

    if (len <= MESH_SHOW_DID_HEAD + MESH_SHOW_DID_TAIL + 3) {
        return text;
    }

    rest = did + len - MESH_SHOW_DID_TAIL;
    did[MESH_SHOW_DID_HEAD] = '\0';

    return mesh_format("%s...%s", text, rest);
}


const char *
mesh_show_capability(const ucan_token_cap_t *cap)
{
    const char  *text;

    text = mesh_format("%s of %s", mesh_show_text(cap->can),
                       mesh_show_resource(cap->with));

    if (cap->caveat.len == 0 || bytes_equal_text(cap->caveat, "{}")) {
        return text;
    }

    return mesh_format("%s if %s", text, mesh_show_json(cap->caveat));
}


const char *
mesh_show_cid(const cid_t *cid)
{
    uint8_t         buf[CID_TEXT_LEN];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));
    cid_write(cid, &w);

    return mesh_text(bytes_writer_view(&w));
}


const char *
mesh_show_key(bytes_t did)
{
    did_key_t  key;

    if (!bytes_start_with(did, bytes_of("did:key:"))) {
        return "no did:key";
    }

    if (did_parse(did, &key) != 0
        || (unsigned) key.algorithm >= DID_ALGORITHM_COUNT)
    {
        return "an unknown key";
    }

    if (key.algorithm == DID_RSA && key.len > MESH_SHOW_RSA_REST) {
        return mesh_format("RSA %zu", (key.len - MESH_SHOW_RSA_REST) / 8 * 64);
    }

    return mesh_show_keys[key.algorithm];
}


const char *
mesh_show_did(bytes_t did)
{
    if (did.len <= MESH_SHOW_DID_HEAD + MESH_SHOW_DID_TAIL + 3) {
        return mesh_format("%s (%s)", mesh_show_text(did),
                           mesh_show_key(did));
    }

    return mesh_format("%s...%s (%s)",
                       mesh_show_text(bytes_make(did.data,
                                                 MESH_SHOW_DID_HEAD)),
                       mesh_show_text(bytes_make(did.data + did.len
                                                 - MESH_SHOW_DID_TAIL,
                                                 MESH_SHOW_DID_TAIL)),
                       mesh_show_key(did));
}


/* Without the milliseconds, which no token has. */
const char *
mesh_show_time(int64_t seconds)
{
    uint8_t         buf[TIMESTAMP_LEN];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));

    if (seconds < INT64_MAX / 1000 && seconds > INT64_MIN / 1000) {
        timestamp_write(&w, seconds * 1000);
    }

    if (w.failed || w.pos == w.start) {
        return mesh_format("%lld seconds after 1970", (long long) seconds);
    }

    return mesh_format("%.*sZ", TIMESTAMP_LEN - 5, (const char *) buf);
}


const char *
mesh_show_span(int64_t seconds)
{
    int64_t      n;
    const char  *unit;

    n = (seconds < 0) ? -(seconds + 1) + 1 : seconds;

    if (n < 2 * 60) {
        unit = "second";

    } else if (n < 2 * 3600) {
        n = (n + 30) / 60;
        unit = "minute";

    } else if (n < 2 * 86400) {
        n = (n + 1800) / 3600;
        unit = "hour";

    } else {
        n = n / 86400 + (n % 86400 >= 43200);
        unit = "day";
    }

    return mesh_format("%lld %s%s", (long long) n, unit, n == 1 ? "" : "s");
}


const char *
mesh_show_when(int64_t seconds, int64_t now)
{
    if (seconds == now) {
        return "now";
    }

    if (seconds > now) {
        return mesh_format("in %s", mesh_show_span(seconds - now));
    }

    return mesh_format("%s ago", mesh_show_span(now - seconds));
}


const char *
mesh_show_version(const ucan_token_t *token)
{
    switch (token->version) {

    case UCAN_TOKEN_VERSION_08:
        return "0.8";

    case UCAN_TOKEN_VERSION_09:
        return "0.9";

    case UCAN_TOKEN_VERSION_V1:
        return "1.0";

    default:
        return (token->kind == UCAN_TOKEN_JWT) ? "0.10" : "1.0";
    }
}


const char *
mesh_show_kind(const ucan_token_t *token)
{
    switch (token->kind) {

    case UCAN_TOKEN_DELEGATION:
        return "delegation";

    case UCAN_TOKEN_INVOCATION:
        return bytes_equal_text(token->cmd, UCAN_CHAIN_SESSION_OPEN)
               ? "session" : "invocation";

    default:
        return "token";
    }
}


const char *
mesh_show_policy(bytes_t policy)
{
    cbor_item_t     list;
    bytes_writer_t  w;

    if (cbor_read(policy, &list) != 0
        || list.type != CBOR_LIST
        || list.count == 0)
    {
        return "none";
    }

    bytes_writer_open(&w, mesh_alloc(MESH_SHOW_POLICY_MAX),
                      MESH_SHOW_POLICY_MAX);
    write_policy(&w, &list, " and ");

    return close_text(&w);
}


const char *
mesh_show_statement(const cbor_item_t *statement)
{
    bytes_writer_t  w;

    bytes_writer_open(&w, mesh_alloc(MESH_SHOW_POLICY_MAX),
                      MESH_SHOW_POLICY_MAX);
    write_statement(&w, statement);

    return close_text(&w);
}


const char *
mesh_show_value(const cbor_item_t *item)
{
    bytes_writer_t  w;

    bytes_writer_open(&w, mesh_alloc(MESH_SHOW_POLICY_MAX),
                      MESH_SHOW_POLICY_MAX);
    write_value(&w, item);

    return close_text(&w);
}


static void
write_policy(bytes_writer_t *w, const cbor_item_t *list, const char *between)
{
    int             first;
    cbor_item_t     statement;
    bytes_reader_t  r;

    first = 1;

    bytes_reader_open(&r, list->body);

    while (bytes_reader_left(&r) != 0 && cbor_next(&r, &statement) == 0) {
        bytes_writer_text(w, first ? "" : between);
        write_statement(w, &statement);
        first = 0;
    }

    if (first) {
        bytes_writer_text(w, "anything");
    }
}


/* A statement is [operator, ...]; its depth was bounded when the token was
   decoded. */
static void
write_statement(bytes_writer_t *w, const cbor_item_t *statement)
{
    cbor_item_t     op, item;
    bytes_reader_t  r;

    bytes_reader_open(&r, statement->body);

    if (statement->type != CBOR_LIST || cbor_next(&r, &op) != 0) {
        return;
    }

    if (bytes_equal_text(op.bytes, "all")) {
        write_quantified(w, "all", &r);
        return;
    }

    if (bytes_equal_text(op.bytes, "any")) {
        write_quantified(w, "any", &r);
        return;
    }

    if (!bytes_equal_text(op.bytes, "and")
        && !bytes_equal_text(op.bytes, "or")
        && !bytes_equal_text(op.bytes, "not"))
    {
        write_compared(w, &op, &r);
        return;
    }

    if (cbor_next(&r, &item) != 0) {
        return;
    }

    if (bytes_equal_text(op.bytes, "not")) {
        bytes_writer_text(w, "not (");
        write_statement(w, &item);

    } else {
        bytes_writer_text(w, "(");
        write_policy(w, &item, bytes_equal_text(op.bytes, "or") ? " or "
                                                                : " and ");
    }

    bytes_writer_text(w, ")");
}


static void
write_compared(bytes_writer_t *w, const cbor_item_t *op, bytes_reader_t *r)
{
    cbor_item_t  selector, value;

    if (cbor_next(r, &selector) != 0 || cbor_next(r, &value) != 0) {
        return;
    }

    bytes_writer_text(w, mesh_show_text(selector.bytes));
    bytes_writer_byte(w, ' ');
    bytes_writer_text(w, mesh_show_text(op->bytes));
    bytes_writer_byte(w, ' ');
    write_value(w, &value);
}


static void
write_quantified(bytes_writer_t *w, const char *word, bytes_reader_t *r)
{
    cbor_item_t  selector, statement;

    if (cbor_next(r, &selector) != 0 || cbor_next(r, &statement) != 0) {
        return;
    }

    bytes_writer_text(w, word);
    bytes_writer_text(w, " of ");
    bytes_writer_text(w, mesh_show_text(selector.bytes));
    bytes_writer_text(w, " (");
    write_statement(w, &statement);
    bytes_writer_text(w, ")");
}


static void
write_value(bytes_writer_t *w, const cbor_item_t *item)
{
    json_write_t  j;

    json_write_open(&j, w);
    mesh_json_write(&j, item);
}


/* JSON lets DEL and the C1 controls pass, terminals obey them. */
static void
hide_controls(bytes_writer_t *w)
{
    uint8_t  *c;

    for (c = w->start; c < w->pos; c++) {

        if (*c == 0x7f) {
            *c = '?';

        } else if (*c == 0xc2 && c + 1 < w->pos && c[1] < 0xa0) {
            c[0] = '?';
            c[1] = '?';
        }
    }
}


/* The rest of what is too long is left out, and that is shown. */
static const char *
close_text(bytes_writer_t *w)
{
    bytes_t  text;

    hide_controls(w);

    text = bytes_writer_view(w);

    return w->failed ? mesh_format("%s...", mesh_text(text))
                     : mesh_text(text);
}
