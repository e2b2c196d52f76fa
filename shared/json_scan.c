/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * JSON read in place: the strict pass, then readers that trust it as far as
 * its grammar goes, never as far as memory goes: they stop at the end of the
 * text whatever it holds.
 *
 * Pure: any thread, no heap, no recursion.
 */


#include <math.h>
#include <stdlib.h>

#include "json_letters.h"
#include "json_names.h"
#include "json_scan.h"
#include "utf8.h"


#define JSON_SCAN_INTEGER_MAX  9007199254740991LL    /* 2^53 - 1 */


_Static_assert(JSON_SCAN_DEPTH_MAX <= 64, "a bit of \"objects\" per level");


typedef struct {
    const uint8_t  *start;
    const uint8_t  *pos;          /* after an error: where it is */
    const uint8_t  *end;
    uint64_t        objects;      /* bit d - 1: depth d is an object */
    unsigned        depth;
    size_t          first[JSON_SCAN_DEPTH_MAX];      /* key of depth d + 1 */
    json_names_t    names;
} json_scan_state_t;


static json_scan_rc_t scan_text(json_scan_state_t *s);
static json_scan_rc_t open_level(json_scan_state_t *s, int object);
static json_scan_rc_t close_level(json_scan_state_t *s, int object);
static json_scan_rc_t scan_key(json_scan_state_t *s);
static json_scan_rc_t scan_scalar(json_scan_state_t *s);
static json_scan_rc_t scan_string(json_scan_state_t *s);
static json_scan_rc_t scan_escape(json_scan_state_t *s);
static json_scan_rc_t scan_high(json_scan_state_t *s);
static json_scan_rc_t scan_literal(json_scan_state_t *s, bytes_t literal);
static json_scan_rc_t scan_number(json_scan_state_t *s);
static size_t scan_digits(json_scan_state_t *s);
static int read_value(bytes_reader_t *r, json_scan_t *value);
static int read_string(bytes_reader_t *r, json_scan_t *value);
static int skip_string(bytes_reader_t *r, int *escaped);
static int skip_level(bytes_reader_t *r);
static int skip_scalar(bytes_reader_t *r);
static void skip_blanks(const uint8_t **pos, const uint8_t *end);


json_scan_rc_t
json_scan_validate(bytes_t text, size_t *at)
{
    json_scan_rc_t     rc;
    json_scan_state_t  s;

    s.start = text.data;
    s.pos = text.data;
    s.end = (text.len == 0) ? text.data : text.data + text.len;
    s.objects = 0;
    s.depth = 0;

    json_names_open(&s.names, text);

    rc = (text.len < UINT32_MAX) ? scan_text(&s) : JSON_SCAN_LIMIT;

    if (at != NULL) {
        *at = (size_t) (s.pos - s.start);
    }

    return rc;
}


int
json_scan_open(bytes_t text, json_scan_t *value)
{
    bytes_reader_t  r;

    bytes_reader_open(&r, text);

    skip_blanks(&r.pos, r.end);

    if (read_value(&r, value) != 0) {
        return -1;
    }

    skip_blanks(&r.pos, r.end);

    return (r.pos == r.end) ? 0 : -1;
}


int
json_scan_find(const json_scan_t *object, const char *key,
    json_scan_t *value)
{
    size_t       pos;
    json_scan_t  name;

    if (object->type != JSON_SCAN_OBJECT) {
        return -1;
    }

    pos = 0;

    while (json_scan_next(object, &pos, &name, value) == 0) {

        if (json_scan_equal(&name, key)) {
            return 0;
        }
    }

    return -1;
}


int
json_scan_next(const json_scan_t *parent, size_t *pos, json_scan_t *key,
    json_scan_t *value)
{
    json_scan_t     name;
    bytes_reader_t  r;

    if ((parent->type != JSON_SCAN_OBJECT && parent->type != JSON_SCAN_ARRAY)
        || *pos >= parent->raw.len)
    {
        return -1;
    }

    /* behind the opening bracket or the last value */

    bytes_reader_open(&r, parent->raw);
    r.pos += (*pos == 0) ? 1 : *pos;

    skip_blanks(&r.pos, r.end);

    if (*pos != 0 && r.pos < r.end && *r.pos == ',') {
        r.pos++;
        skip_blanks(&r.pos, r.end);
    }

    if (parent->type == JSON_SCAN_OBJECT) {

        if (key == NULL) {
            key = &name;
        }

        if (read_value(&r, key) != 0 || key->type != JSON_SCAN_STRING) {
            return -1;
        }

        skip_blanks(&r.pos, r.end);

        if (bytes_reader_byte(&r) != ':') {
            return -1;
        }

        skip_blanks(&r.pos, r.end);
    }

    if (read_value(&r, value) != 0) {
        return -1;
    }

    *pos = (size_t) (r.pos - parent->raw.data);

    return 0;
}


int
json_scan_string(const json_scan_t *value, bytes_writer_t *w)
{
    int             c;
    uint8_t        *start;
    json_letters_t  l;

    if (value->type != JSON_SCAN_STRING) {
        return -1;
    }

    start = w->pos;

    if (!value->escaped) {
        if (w->failed || bytes_writer_left(w) < value->text.len) {
            w->failed = 1;
            return -1;
        }

        if (value->text.len != 0) {
            memmove(w->pos, value->text.data, value->text.len);
            w->pos += value->text.len;
        }

        return 0;
    }

    json_letters_open(&l, value->text.data,
                      value->text.data + value->text.len);

    while ((c = json_letters_next(&l)) >= 0) {
        bytes_writer_byte(w, (uint8_t) c);
    }

    if (w->failed) {
        w->pos = start;
        return -1;
    }

    return 0;
}


int
json_scan_plain(const json_scan_t *value, bytes_t *text)
{
    if (value->type != JSON_SCAN_STRING || value->escaped) {
        return -1;
    }

    *text = value->text;

    return 0;
}


int
json_scan_equal(const json_scan_t *value, const char *s)
{
    int             c;
    bytes_t         want;
    json_letters_t  l;

    if (value->type != JSON_SCAN_STRING) {
        return 0;
    }

    want = bytes_of(s);

    if (!value->escaped) {
        return bytes_equal(value->text, want);
    }

    json_letters_open(&l, value->text.data,
                      value->text.data + value->text.len);

    while ((c = json_letters_next(&l)) >= 0) {

        if (want.len == 0 || *want.data != c) {
            return 0;
        }

        want.data++;
        want.len--;
    }

    return want.len == 0;
}


int
json_scan_integer(const json_scan_t *value, int64_t *n)
{
    int      negative;
    size_t   i;
    int64_t  sum;
    uint8_t  digit;

    if (value->type != JSON_SCAN_NUMBER || value->raw.len == 0) {
        return -1;
    }

    negative = (value->raw.data[0] == '-');

    if (value->raw.len == (size_t) negative) {
        return -1;
    }

    sum = 0;

    for (i = (size_t) negative; i < value->raw.len; i++) {
        digit = (uint8_t) (value->raw.data[i] - '0');

        if (digit > 9) {
            return -1;
        }

        sum = sum * 10 + digit;

        if (sum > JSON_SCAN_INTEGER_MAX) {
            return -1;
        }
    }

    *n = negative ? -sum : sum;

    return 0;
}


int
json_scan_number(const json_scan_t *value, double *n)
{
    char   *end, text[JSON_SCAN_NUMBER_MAX + 1];
    double  number;

    if (value->type != JSON_SCAN_NUMBER
        || value->raw.len == 0
        || value->raw.len > JSON_SCAN_NUMBER_MAX)
    {
        return -1;
    }

    memcpy(text, value->raw.data, value->raw.len);
    text[value->raw.len] = '\0';

    number = strtod(text, &end);

    if (end != text + value->raw.len || !isfinite(number)) {
        return -1;
    }

    *n = number;

    return 0;
}


/* long: one switch over what may come next. */
static json_scan_rc_t
scan_text(json_scan_state_t *s)
{
    uint8_t         c;
    json_scan_rc_t  rc;

    enum {
        sw_value = 0,
        sw_value_or_end,
        sw_key,
        sw_key_or_end,
        sw_after
    } state;

    state = sw_value;

    for ( ;; ) {
        skip_blanks(&s->pos, s->end);

        if (s->pos == s->end) {
            return (state == sw_after && s->depth == 0) ? JSON_SCAN_OK
                                                        : JSON_SCAN_SYNTAX;
        }

        c = *s->pos;
        rc = JSON_SCAN_OK;

        switch (state) {

        case sw_value_or_end:
            if (c == ']') {
                rc = close_level(s, 0);
                state = sw_after;
                break;
            }

            /* fall through */

        case sw_value:
            if (c == '{') {
                rc = open_level(s, 1);
                state = sw_key_or_end;

            } else if (c == '[') {
                rc = open_level(s, 0);
                state = sw_value_or_end;

            } else {
                rc = scan_scalar(s);
                state = sw_after;
            }

            break;

        case sw_key_or_end:
            if (c == '}') {
                rc = close_level(s, 1);
                state = sw_after;
                break;
            }

            /* fall through */

        case sw_key:
            rc = scan_key(s);
            state = sw_value;
            break;

        case sw_after:
            if (s->depth == 0) {
                return JSON_SCAN_SYNTAX;
            }

            if (c == ',') {
                s->pos++;
                state = (s->objects >> (s->depth - 1) & 1) ? sw_key
                                                           : sw_value;
                break;
            }

            if (c != ']' && c != '}') {
                return JSON_SCAN_SYNTAX;
            }

            rc = close_level(s, c == '}');
            break;
        }

        if (rc != JSON_SCAN_OK) {
            return rc;
        }
    }
}


static json_scan_rc_t
open_level(json_scan_state_t *s, int object)
{
    uint64_t  bit;

    if (s->depth == JSON_SCAN_DEPTH_MAX) {
        return JSON_SCAN_DEPTH;
    }

    bit = 1ULL << s->depth;
    s->objects = object ? s->objects | bit : s->objects & ~bit;
    s->first[s->depth] = s->names.count;
    s->depth++;
    s->pos++;

    return JSON_SCAN_OK;
}


static json_scan_rc_t
close_level(json_scan_state_t *s, int object)
{
    size_t  at;

    if ((int) (s->objects >> (s->depth - 1) & 1) != object) {
        return JSON_SCAN_SYNTAX;
    }

    s->depth--;

    if (object && json_names_close(&s->names, s->first[s->depth], &at) != 0) {
        s->pos = s->start + at;
        return JSON_SCAN_DUPLICATE;
    }

    s->pos++;

    return JSON_SCAN_OK;
}


/* A key and its colon. */
static json_scan_rc_t
scan_key(json_scan_state_t *s)
{
    const uint8_t  *start;
    json_scan_rc_t  rc;

    if (*s->pos != '"') {
        return JSON_SCAN_SYNTAX;
    }

    start = s->pos;
    rc = scan_string(s);

    if (rc != JSON_SCAN_OK) {
        return rc;
    }

    if (s->names.count - s->first[s->depth - 1] == JSON_SCAN_MEMBERS_MAX
        || json_names_add(&s->names, (size_t) (start + 1 - s->start)) != 0)
    {
        s->pos = start;
        return JSON_SCAN_LIMIT;
    }

    skip_blanks(&s->pos, s->end);

    if (s->pos == s->end || *s->pos != ':') {
        return JSON_SCAN_SYNTAX;
    }

    s->pos++;

    return JSON_SCAN_OK;
}


static json_scan_rc_t
scan_scalar(json_scan_state_t *s)
{
    static const bytes_t  literal_true = bytes_literal("true");
    static const bytes_t  literal_false = bytes_literal("false");
    static const bytes_t  literal_null = bytes_literal("null");

    switch (*s->pos) {

    case '"':
        return scan_string(s);

    case 't':
        return scan_literal(s, literal_true);

    case 'f':
        return scan_literal(s, literal_false);

    case 'n':
        return scan_literal(s, literal_null);

    default:
        return scan_number(s);
    }
}


static json_scan_rc_t
scan_string(json_scan_state_t *s)
{
    uint8_t         c;
    json_scan_rc_t  rc;

    s->pos++;

    while (s->pos < s->end) {
        c = *s->pos;

        if (c == '"') {
            s->pos++;
            return JSON_SCAN_OK;
        }

        if (c < 0x20) {
            return JSON_SCAN_SYNTAX;
        }

        if (c != '\\' && c < 0x80) {
            s->pos++;
            continue;
        }

        rc = (c == '\\') ? scan_escape(s) : scan_high(s);

        if (rc != JSON_SCAN_OK) {
            return rc;
        }
    }

    return JSON_SCAN_SYNTAX;
}


static json_scan_rc_t
scan_escape(json_scan_state_t *s)
{
    uint32_t  code;

    switch (json_letters_escape(&s->pos, s->end, &code)) {

    case JSON_LETTERS_OK:
        return JSON_SCAN_OK;

    case JSON_LETTERS_SURROGATE:
        return JSON_SCAN_UTF8;

    default:
        return JSON_SCAN_SYNTAX;
    }
}


/* A run of bytes over 0x7f: code points begin and end inside it. */
static json_scan_rc_t
scan_high(json_scan_state_t *s)
{
    const uint8_t  *p;

    for (p = s->pos; p < s->end && *p >= 0x80; p++) { /* void */ }

    if (!utf8_valid(bytes_make(s->pos, (size_t) (p - s->pos)))) {
        return JSON_SCAN_UTF8;
    }

    s->pos = p;

    return JSON_SCAN_OK;
}


static json_scan_rc_t
scan_literal(json_scan_state_t *s, bytes_t literal)
{
    bytes_t  rest;

    rest = bytes_make(s->pos, (size_t) (s->end - s->pos));

    if (!bytes_start_with(rest, literal)) {
        return JSON_SCAN_SYNTAX;
    }

    s->pos += literal.len;

    return JSON_SCAN_OK;
}


/* RFC 8259, section 6.  What follows the number is the caller's to judge. */
static json_scan_rc_t
scan_number(json_scan_state_t *s)
{
    size_t          n;
    const uint8_t  *first;

    if (*s->pos == '-') {
        s->pos++;
    }

    first = s->pos;
    n = scan_digits(s);

    if (n == 0) {
        return JSON_SCAN_SYNTAX;
    }

    if (n > 1 && *first == '0') {
        s->pos = first;
        return JSON_SCAN_SYNTAX;
    }

    if (s->pos < s->end && *s->pos == '.') {
        s->pos++;

        if (scan_digits(s) == 0) {
            return JSON_SCAN_SYNTAX;
        }
    }

    if (s->pos < s->end && (*s->pos == 'e' || *s->pos == 'E')) {
        s->pos++;

        if (s->pos < s->end && (*s->pos == '+' || *s->pos == '-')) {
            s->pos++;
        }

        if (scan_digits(s) == 0) {
            return JSON_SCAN_SYNTAX;
        }
    }

    return JSON_SCAN_OK;
}


static size_t
scan_digits(json_scan_state_t *s)
{
    const uint8_t  *start;

    start = s->pos;

    while (s->pos < s->end && *s->pos >= '0' && *s->pos <= '9') {
        s->pos++;
    }

    return (size_t) (s->pos - start);
}


/* Reads the value at the reader and moves behind it. */
static int
read_value(bytes_reader_t *r, json_scan_t *value)
{
    int             rc;
    const uint8_t  *start;

    memset(value, 0, sizeof(json_scan_t));

    if (r->pos == r->end) {
        return -1;
    }

    start = r->pos;

    switch (*start) {

    case '"':
        return read_string(r, value);

    case '{':
    case '[':
        value->type = (*start == '{') ? JSON_SCAN_OBJECT : JSON_SCAN_ARRAY;
        rc = skip_level(r);
        break;

    case 't':
    case 'f':
        value->type = JSON_SCAN_BOOL;
        value->truth = (*start == 't');
        rc = skip_scalar(r);
        break;

    case 'n':
        value->type = JSON_SCAN_NULL;
        rc = skip_scalar(r);
        break;

    default:
        value->type = JSON_SCAN_NUMBER;
        rc = skip_scalar(r);
        break;
    }

    value->raw = bytes_make(start, (size_t) (r->pos - start));

    return rc;
}


static int
read_string(bytes_reader_t *r, json_scan_t *value)
{
    const uint8_t  *start;

    start = r->pos;

    if (skip_string(r, &value->escaped) != 0) {
        return -1;
    }

    value->type = JSON_SCAN_STRING;
    value->raw = bytes_make(start, (size_t) (r->pos - start));
    value->text = bytes_make(start + 1, value->raw.len - 2);

    return 0;
}


static int
skip_string(bytes_reader_t *r, int *escaped)
{
    const uint8_t  *pos, *quote, *slash;

    pos = r->pos + 1;
    quote = NULL;

    /* most have no escape: then this is one look for its end */

    while (pos < r->end) {

        if (quote == NULL || quote < pos) {
            quote = memchr(pos, '"', (size_t) (r->end - pos));

            if (quote == NULL) {
                break;
            }
        }

        slash = memchr(pos, '\\', (size_t) (quote - pos));

        if (slash == NULL) {
            r->pos = quote + 1;
            return 0;
        }

        *escaped = 1;
        pos = slash + 2;
    }

    r->pos = r->end;

    return -1;
}


/* Moves behind an array or object: checked text, so its brackets match. */
static int
skip_level(bytes_reader_t *r)
{
    int     escaped;
    size_t  depth;

    depth = 0;

    while (r->pos < r->end) {

        switch (*r->pos) {

        case '"':
            if (skip_string(r, &escaped) != 0) {
                return -1;
            }

            continue;

        case '{':
        case '[':
            depth++;
            break;

        case '}':
        case ']':
            depth--;
            break;

        default:
            break;
        }

        r->pos++;

        if (depth == 0) {
            return 0;
        }
    }

    return -1;
}


/* Moves behind a number or a literal: up to what may follow one. */
static int
skip_scalar(bytes_reader_t *r)
{
    const uint8_t  *start;

    start = r->pos;

    while (r->pos < r->end
           && *r->pos > ' '
           && *r->pos != ','
           && *r->pos != ':'
           && *r->pos != ']'
           && *r->pos != '}')
    {
        r->pos++;
    }

    return (r->pos != start) ? 0 : -1;
}


static void
skip_blanks(const uint8_t **pos, const uint8_t *end)
{
    const uint8_t  *p;

    p = *pos;

    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) {
        p++;
    }

    *pos = p;
}
