/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Lines of an export.  Any thread; borrows what it is given and allocates
 * nothing.  Does not know what may be imported: its caller does.
 */


#include "base64.h"
#include "export_line.h"
#include "json_scan.h"
#include "json_write.h"
#include "timestamp.h"
#include "utf8.h"


#define EXPORT_LINE_FIXED  512        /* bytes beside its texts */


/* "s/<ns>", "<letter>/<key>" in the store, <kind> in a line */
static const struct {
    char         letter;
    const char  *kind;
} export_line_kinds[] = {
    { 'k', "kv" },
    { 'd', "docs" },
    { 'b', "blobs" }
};


static void write_item(json_write_t *j, const export_line_t *line);
static void write_text(json_write_t *j, const char *name, const char *other,
    bytes_t text);
static void write_time(json_write_t *j, const char *name, int64_t ms);
static size_t find_letter(const export_line_t *line);
static const char *read_head(const json_scan_t *object, export_line_t *line,
    bytes_writer_t *arena);
static const char *read_body(const json_scan_t *object, const char *kind,
    export_line_t *line, bytes_writer_t *arena);
static int read_text(const json_scan_t *object, const char *name,
    const char *other, bytes_t *text, bytes_writer_t *arena);
static int read_number(const json_scan_t *object, const char *name,
    uint64_t *number);
static int read_time(const json_scan_t *object, const char *name,
    int64_t *ms);


size_t
export_line_size(const export_line_t *line)
{
    return EXPORT_LINE_FIXED
           + json_write_string_max(line->ns.len)
           + json_write_string_max(line->key.len)
           + json_write_string_max(line->meta.len)
           + json_write_string_max(line->value.len);
}


void
export_line_write(bytes_writer_t *w, const export_line_t *line)
{
    json_write_t  j;

    json_write_open(&j, w);
    json_write_object(&j);

    switch (line->kind) {

    case EXPORT_LINE_HEAD:
        json_write_member_text(&j, "mesh", "export");
        json_write_member_integer(&j, "version", 1);
        json_write_member_text(&j, "scope", line->ns.len ? "namespace"
                                                         : "node");
        if (line->ns.len != 0) {
            json_write_member(&j, "namespace", line->ns);
        }

        write_time(&j, "at", line->at_ms);
        break;

    case EXPORT_LINE_ITEM:
        write_item(&j, line);
        break;

    case EXPORT_LINE_ENTRY:
        json_write_member_text(&j, "kind", "entry");
        write_text(&j, "ns", "nsBase64", line->ns);
        write_text(&j, "key", "keyBase64", line->key);
        json_write_member_integer(&j, "seq", (int64_t) line->seq);
        write_time(&j, "at", line->at_ms);
        write_text(&j, "value", "base64", line->value);
        break;

    case EXPORT_LINE_END:
        json_write_member_bool(&j, "end", 1);
        json_write_member_integer(&j, "lines", (int64_t) line->seq);
        break;
    }

    json_write_object_end(&j);
    bytes_writer_byte(w, '\n');
}


static void
write_item(json_write_t *j, const export_line_t *line)
{
    size_t       i;
    bytes_t      ns, key;
    const char  *kind, *meta;

    ns = line->ns;
    key = line->key;
    kind = "store";
    meta = "meta";

    i = find_letter(line);

    if (i < sizeof(export_line_kinds) / sizeof(export_line_kinds[0])) {
        kind = export_line_kinds[i].kind;
        meta = (i == 0) ? "contentType" : "meta";

        ns = bytes_make(ns.data + 2, ns.len - 2);
        key = bytes_make(key.data + 2, key.len - 2);
    }

    json_write_member_text(j, "kind", kind);
    write_text(j, "ns", "nsBase64", ns);
    write_text(j, "key", "keyBase64", key);
    json_write_member_integer(j, "seq", (int64_t) line->seq);
    write_time(j, "at", line->at_ms);

    if (line->expires_ms != 0) {
        write_time(j, "expiresAt", line->expires_ms);
    }

    if (line->weight != 0) {
        json_write_member_integer(j, "weight", (int64_t) line->weight);
    }

    if (line->meta.len != 0) {
        write_text(j, meta, "metaBase64", line->meta);
    }

    write_text(j, "value", "base64", line->value);
}


static void
write_text(json_write_t *j, const char *name, const char *other,
    bytes_t text)
{
    if (utf8_valid(text)
        && (text.len == 0 || memchr(text.data, 0, text.len) == NULL))
    {
        json_write_member(j, name, text);
        return;
    }

    /* one value in three pieces: the text of base64 needs no escapes */

    json_write_key(j, other);
    json_write_raw(j, bytes_of("\""));

    if (base64_encode(BASE64_STD, text, j->out) != 0) {
        j->out->failed = 1;
    }

    bytes_writer_byte(j->out, '"');
}


static void
write_time(json_write_t *j, const char *name, int64_t ms)
{
    uint8_t         at[TIMESTAMP_LEN];
    bytes_writer_t  w;

    bytes_writer_open(&w, at, sizeof(at));
    timestamp_write(&w, ms);
    json_write_member(j, name, bytes_writer_view(&w));
}


/* Beyond the table when it is not of the storage API. */
static size_t
find_letter(const export_line_t *line)
{
    size_t  i, n;

    n = sizeof(export_line_kinds) / sizeof(export_line_kinds[0]);

    if (line->ns.len < 3 || memcmp(line->ns.data, "s/", 2) != 0
        || line->key.len < 3 || line->key.data[1] != '/')
    {
        return n;
    }

    for (i = 0; i < n; i++) {
        if (line->key.data[0] == (uint8_t) export_line_kinds[i].letter) {
            break;
        }
    }

    return i;
}


const char *
export_line_read(bytes_t text, export_line_t *line, bytes_writer_t *arena)
{
    size_t       i, n;
    const char  *kind;
    json_scan_t  object, value;

    memset(line, 0, sizeof(export_line_t));

    if (json_scan_validate(text, NULL) != JSON_SCAN_OK
        || json_scan_open(text, &object) != 0
        || object.type != JSON_SCAN_OBJECT)
    {
        return "a line is no JSON object";
    }

    if (json_scan_find(&object, "mesh", &value) == 0) {
        return read_head(&object, line, arena);
    }

    if (json_scan_find(&object, "end", &value) == 0) {
        line->kind = EXPORT_LINE_END;

        return read_number(&object, "lines", &line->seq) == 0
               ? NULL : "the last line has no \"lines\"";
    }

    if (json_scan_find(&object, "kind", &value) != 0) {
        return "a line has no \"kind\"";
    }

    if (json_scan_equal(&value, "entry")) {
        line->kind = EXPORT_LINE_ENTRY;
        return read_body(&object, "", line, arena);
    }

    line->kind = EXPORT_LINE_ITEM;

    if (json_scan_equal(&value, "store")) {
        return read_body(&object, "", line, arena);
    }

    n = sizeof(export_line_kinds) / sizeof(export_line_kinds[0]);

    for (i = 0; i < n; i++) {
        kind = export_line_kinds[i].kind;

        if (json_scan_equal(&value, kind)) {
            return read_body(&object, kind, line, arena);
        }
    }

    return "a line has an unknown \"kind\"";
}


static const char *
read_head(const json_scan_t *object, export_line_t *line,
    bytes_writer_t *arena)
{
    uint64_t     version;
    json_scan_t  value;

    line->kind = EXPORT_LINE_HEAD;

    if (json_scan_find(object, "mesh", &value) != 0
        || !json_scan_equal(&value, "export")
        || read_number(object, "version", &version) != 0
        || version != 1)
    {
        return "the first line is not that of an export, version 1";
    }

    if (json_scan_find(object, "scope", &value) != 0) {
        return "the first line has no \"scope\"";
    }

    if (json_scan_equal(&value, "node")) {
        return NULL;
    }

    if (!json_scan_equal(&value, "namespace")
        || read_text(object, "namespace", NULL, &line->ns, arena) != 0
        || line->ns.len == 0)
    {
        return "the first line has an unknown \"scope\"";
    }

    return NULL;
}


/* kind: of the storage API, or empty: names are those of the store. */
static const char *
read_body(const json_scan_t *object, const char *kind, export_line_t *line,
    bytes_writer_t *arena)
{
    uint8_t   prefix[3] = { 's', '/', 0 };
    uint8_t  *start;

    /* a prefix and the name behind it are one text */

    start = arena->pos;

    if (*kind) {
        bytes_writer_put(arena, prefix, 2);
    }

    if (read_text(object, "ns", "nsBase64", &line->ns, arena) != 0
        || line->ns.len == 0)
    {
        return "a line has no \"ns\"";
    }

    line->ns = bytes_make(start, (size_t) (arena->pos - start));
    start = arena->pos;

    if (*kind) {
        prefix[0] = (uint8_t) kind[0];
        bytes_writer_put(arena, prefix, 2);
    }

    if (read_text(object, "key", "keyBase64", &line->key, arena) != 0
        || line->key.len == 0)
    {
        return "a line has no \"key\"";
    }

    line->key = bytes_make(start, (size_t) (arena->pos - start));

    if (read_text(object, kind[0] == 'k' ? "contentType" : "meta",
                  "metaBase64", &line->meta, arena) == -1)
    {
        return "a line has a bad \"meta\" or \"contentType\"";
    }

    if (read_text(object, "value", "base64", &line->value, arena) != 0) {
        return "a line has no \"value\"";
    }

    if (read_number(object, "seq", &line->seq) == -1
        || read_number(object, "weight", &line->weight) == -1
        || read_time(object, "at", &line->at_ms) == -1
        || read_time(object, "expiresAt", &line->expires_ms) == -1)
    {
        return "a line has a bad number or time";
    }

    return NULL;
}


/* 0; 1: absent, text is empty; -1: malformed, or no room. */
static int
read_text(const json_scan_t *object, const char *name, const char *other,
    bytes_t *text, bytes_writer_t *arena)
{
    uint8_t      *start;
    bytes_t       plain;
    json_scan_t   value;

    start = arena->pos;
    *text = bytes_make(start, 0);

    if (json_scan_find(object, name, &value) == 0) {
        if (json_scan_string(&value, arena) != 0) {
            return -1;
        }

    } else if (other != NULL && json_scan_find(object, other, &value) == 0) {
        if (json_scan_plain(&value, &plain) != 0
            || base64_decode(BASE64_STD, plain, arena) != 0)
        {
            return -1;
        }

    } else {
        return 1;
    }

    *text = bytes_make(start, (size_t) (arena->pos - start));

    return arena->failed ? -1 : 0;
}


/* 0; 1: absent, the number is left alone; -1. */
static int
read_number(const json_scan_t *object, const char *name, uint64_t *number)
{
    int64_t      n;
    json_scan_t  value;

    if (json_scan_find(object, name, &value) != 0) {
        return 1;
    }

    if (json_scan_integer(&value, &n) != 0 || n < 0) {
        return -1;
    }

    *number = (uint64_t) n;

    return 0;
}


static int
read_time(const json_scan_t *object, const char *name, int64_t *ms)
{
    bytes_t      text;
    json_scan_t  value;

    if (json_scan_find(object, name, &value) != 0) {
        return 1;
    }

    if (json_scan_plain(&value, &text) != 0
        || timestamp_parse(text, ms) != 0 || *ms < 0)
    {
        return -1;
    }

    return 0;
}
