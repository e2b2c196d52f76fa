/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Keys and records that identity writes and room reads.  Pure: any thread;
 * views that come out borrow from the JSON that went in, or from scratch.
 */


#include "json_scan.h"
#include "json_write.h"
#include "record.h"
#include "timestamp.h"
#include "utf8.h"


static int read_point(bytes_reader_t *r, uint32_t *code);
static int check_point(uint32_t code);
static int match_blank(uint32_t code);
static void write_time(json_write_t *j, const char *key, int64_t ms);
static int read_text(const json_scan_t *object, const char *key,
    bytes_t *text, bytes_writer_t *scratch);
static int read_time(const json_scan_t *object, const char *key,
    int64_t *ms);


void
record_key(bytes_writer_t *w, const char *kind, bytes_t a, bytes_t b)
{
    bytes_writer_text(w, kind);
    bytes_writer_byte(w, '/');
    bytes_writer_bytes(w, a);

    if (b.len != 0) {
        bytes_writer_byte(w, '/');
        bytes_writer_bytes(w, b);
    }
}


void
record_proof_key(bytes_writer_t *w, const cid_t *cid)
{
    bytes_writer_text(w, "proof/");
    cid_write(cid, w);
}


int
record_name_fold(bytes_writer_t *w, bytes_t name)
{
    size_t          n;
    uint8_t        *start;
    uint32_t        code;
    bytes_reader_t  r;

    if (name.len == 0 || !utf8_valid(name)) {
        return -1;
    }

    start = w->pos;
    code = 0;

    bytes_reader_open(&r, name);

    for (n = 0; read_point(&r, &code) == 0; n++) {

        if (n == RECORD_NAME_MAX
            || check_point(code) != 0
            || (n == 0 && match_blank(code)))
        {
            w->pos = start;
            return -1;
        }

        utf8_write(w, (code >= 'A' && code <= 'Z') ? code | 0x20 : code);
    }

    if (match_blank(code) || w->failed) {
        w->pos = start;
        return -1;
    }

    return 0;
}


int
record_ns_write(bytes_writer_t *w, bytes_t maker_ns, bytes_t id)
{
    size_t  i, labels;

    labels = 2;

    for (i = 0; i < maker_ns.len; i++) {
        labels += (maker_ns.data[i] == '.');
    }

    if (maker_ns.len == 0
        || labels > RECORD_NS_LABELS
        || maker_ns.len + 1 + id.len > RECORD_NS_MAX)
    {
        return 0;
    }

    bytes_writer_bytes(w, maker_ns);
    bytes_writer_byte(w, '.');
    bytes_writer_bytes(w, id);

    return w->failed ? -1 : 0;
}


void
record_participant_write(bytes_writer_t *w, const record_participant_t *p)
{
    json_write_t  j;

    json_write_open(&j, w);
    json_write_object(&j);
    json_write_member(&j, "id", p->id);
    json_write_member(&j, "did", p->did);
    json_write_member(&j, "name", p->name);
    json_write_member(&j, "role", p->role);
    json_write_member(&j, "kind", p->kind);

    if (p->maker.len != 0) {
        json_write_member(&j, "maker", p->maker);
    }

    json_write_member(&j, "ns", p->ns);
    json_write_member_bool(&j, "custodial", p->custodial);
    write_time(&j, "createdAt", p->created_ms);

    if (p->removed_ms != 0) {
        write_time(&j, "removedAt", p->removed_ms);
    }

    json_write_object_end(&j);
}


int
record_participant_read(record_participant_t *p, bytes_t json,
    bytes_writer_t *scratch)
{
    json_scan_t  object, value;

    memset(p, 0, sizeof(record_participant_t));

    if (json_scan_validate(json, NULL) != JSON_SCAN_OK
        || json_scan_open(json, &object) != 0
        || object.type != JSON_SCAN_OBJECT)
    {
        return -1;
    }

    if (read_text(&object, "id", &p->id, scratch) != 0
        || read_text(&object, "did", &p->did, scratch) != 0
        || read_text(&object, "name", &p->name, scratch) != 0
        || read_text(&object, "role", &p->role, scratch) != 0
        || read_text(&object, "kind", &p->kind, scratch) != 0
        || read_time(&object, "createdAt", &p->created_ms) != 0)
    {
        return -1;
    }

    if (json_scan_find(&object, "custodial", &value) != 0
        || value.type != JSON_SCAN_BOOL)
    {
        return -1;
    }

    p->custodial = value.truth;

    if (json_scan_find(&object, "maker", &value) == 0
        && read_text(&object, "maker", &p->maker, scratch) != 0)
    {
        return -1;
    }

    p->ns = p->id;

    if (json_scan_find(&object, "ns", &value) == 0
        && read_text(&object, "ns", &p->ns, scratch) != 0)
    {
        return -1;
    }

    if (json_scan_find(&object, "removedAt", &value) == 0
        && read_time(&object, "removedAt", &p->removed_ms) != 0)
    {
        return -1;
    }

    return 0;
}


/* The next code point of text that utf8_valid() passed.  0, or -1 at the
   end. */
static int
read_point(bytes_reader_t *r, uint32_t *code)
{
    uint8_t   byte;
    unsigned  more;

    if (bytes_reader_left(r) == 0) {
        return -1;
    }

    byte = bytes_reader_byte(r);

    if (byte < 0x80) {
        *code = byte;
        return 0;
    }

    more = (byte >= 0xf0) ? 3 : (byte >= 0xe0) ? 2 : 1;
    *code = byte & (0x3f >> more);

    while (more--) {
        *code = *code << 6 | (bytes_reader_byte(r) & 0x3f);
    }

    return 0;
}


/*
 * Refuses controls and what changes or hides the text around it: zero width
 * space, direction marks and overrides, line and paragraph separators,
 * invisible operators, byte order mark.  The joiners stay: scripts and emoji
 * need them.
 */

static int
check_point(uint32_t code)
{
    if (code < 0x20
        || (code >= 0x7f && code <= 0x9f)
        || code == 0x200b
        || code == 0x200e
        || code == 0x200f
        || (code >= 0x2028 && code <= 0x202e)
        || (code >= 0x2060 && code <= 0x206f)
        || code == 0xfeff)
    {
        return -1;
    }

    return 0;
}


static int
match_blank(uint32_t code)
{
    return code == ' '
           || code == 0xa0
           || (code >= 0x2000 && code <= 0x200a)
           || code == 0x3000;
}


static void
write_time(json_write_t *j, const char *key, int64_t ms)
{
    uint8_t         buf[TIMESTAMP_LEN];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));
    timestamp_write(&w, ms);

    if (w.failed) {
        j->out->failed = 1;
        return;
    }

    json_write_member(j, key, bytes_writer_view(&w));
}


static int
read_text(const json_scan_t *object, const char *key, bytes_t *text,
    bytes_writer_t *scratch)
{
    uint8_t      *start;
    json_scan_t   value;

    if (json_scan_find(object, key, &value) != 0
        || value.type != JSON_SCAN_STRING)
    {
        return -1;
    }

    if (json_scan_plain(&value, text) == 0) {
        return 0;
    }

    start = scratch->pos;

    if (json_scan_string(&value, scratch) != 0) {
        return -1;
    }

    *text = bytes_make(start, (size_t) (scratch->pos - start));

    return 0;
}


static int
read_time(const json_scan_t *object, const char *key, int64_t *ms)
{
    bytes_t      text;
    json_scan_t  value;

    if (json_scan_find(object, key, &value) != 0
        || json_scan_plain(&value, &text) != 0)
    {
        return -1;
    }

    return timestamp_parse(text, ms);
}
