/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * JSON out: places commas, escapes, counts the nesting.  Whatever bytes come
 * in as a string, what goes out is valid UTF-8.
 *
 * Pure: any thread, no heap; all state is in the json_write_t of the caller.
 */


#include "json_write.h"
#include "utf8.h"


#define JSON_WRITE_INTEGER_MAX  20    /* characters of the longest int64 */


static void begin_value(json_write_t *j);
static void open_level(json_write_t *j, uint8_t bracket);
static void close_level(json_write_t *j, uint8_t bracket);
static void write_quoted(bytes_writer_t *w, bytes_t s);
static void write_escape(bytes_writer_t *w, uint8_t c);
static size_t find_code(const uint8_t *p, size_t left, int *valid);


void
json_write_open(json_write_t *j, bytes_writer_t *out)
{
    j->out = out;
    j->comma = 0;
    j->depth = 0;
}


void
json_write_object(json_write_t *j)
{
    open_level(j, '{');
}


void
json_write_object_end(json_write_t *j)
{
    close_level(j, '}');
}


void
json_write_array(json_write_t *j)
{
    open_level(j, '[');
}


void
json_write_array_end(json_write_t *j)
{
    close_level(j, ']');
}


void
json_write_key(json_write_t *j, const char *key)
{
    begin_value(j);
    write_quoted(j->out, bytes_of(key));
    bytes_writer_byte(j->out, ':');

    /* no comma before the value, which sets the bit again */

    if (j->depth != 0 && j->depth <= JSON_WRITE_DEPTH_MAX) {
        j->comma &= ~(1U << (j->depth - 1));
    }
}


void
json_write_string(json_write_t *j, bytes_t s)
{
    begin_value(j);
    write_quoted(j->out, s);
}


void
json_write_integer(json_write_t *j, int64_t n)
{
    uint8_t   text[JSON_WRITE_INTEGER_MAX], *p;
    uint64_t  left;

    begin_value(j);

    left = (n < 0) ? 0 - (uint64_t) n : (uint64_t) n;
    p = text + sizeof(text);

    do {
        *--p = (uint8_t) ('0' + left % 10);
        left /= 10;

    } while (left != 0);

    if (n < 0) {
        *--p = '-';
    }

    bytes_writer_put(j->out, p, (size_t) (text + sizeof(text) - p));
}


void
json_write_bool(json_write_t *j, int truth)
{
    begin_value(j);
    bytes_writer_text(j->out, truth ? "true" : "false");
}


void
json_write_null(json_write_t *j)
{
    begin_value(j);
    bytes_writer_text(j->out, "null");
}


void
json_write_raw(json_write_t *j, bytes_t raw)
{
    if (raw.len == 0) {
        j->out->failed = 1;
        return;
    }

    begin_value(j);
    bytes_writer_bytes(j->out, raw);
}


void
json_write_member(json_write_t *j, const char *key, bytes_t s)
{
    json_write_key(j, key);
    json_write_string(j, s);
}


void
json_write_member_text(json_write_t *j, const char *key, const char *s)
{
    json_write_key(j, key);
    json_write_string(j, bytes_of(s));
}


void
json_write_member_integer(json_write_t *j, const char *key, int64_t n)
{
    json_write_key(j, key);
    json_write_integer(j, n);
}


void
json_write_member_bool(json_write_t *j, const char *key, int truth)
{
    json_write_key(j, key);
    json_write_bool(j, truth);
}


void
json_write_member_raw(json_write_t *j, const char *key, bytes_t raw)
{
    json_write_key(j, key);
    json_write_raw(j, raw);
}


static void
begin_value(json_write_t *j)
{
    uint32_t  bit;

    if (j->depth == 0 || j->depth > JSON_WRITE_DEPTH_MAX) {
        return;
    }

    bit = 1U << (j->depth - 1);

    if (j->comma & bit) {
        bytes_writer_byte(j->out, ',');
    }

    j->comma |= bit;
}


static void
open_level(json_write_t *j, uint8_t bracket)
{
    begin_value(j);
    bytes_writer_byte(j->out, bracket);

    /* deeper than there are bits: counted on, so that the ends still match */

    if (++j->depth > JSON_WRITE_DEPTH_MAX) {
        j->out->failed = 1;
        return;
    }

    j->comma &= ~(1U << (j->depth - 1));
}


static void
close_level(json_write_t *j, uint8_t bracket)
{
    if (j->depth == 0) {
        j->out->failed = 1;
        return;
    }

    j->depth--;
    bytes_writer_byte(j->out, bracket);
}


static void
write_quoted(bytes_writer_t *w, bytes_t s)
{
    int      valid;
    size_t   i, n, run;
    uint8_t  c;

    bytes_writer_byte(w, '"');

    run = 0;

    for (i = 0; i < s.len; i += n) {
        c = s.data[i];
        n = 1;

        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            continue;
        }

        valid = 0;

        if (c >= 0x80) {
            n = find_code(s.data + i, s.len - i, &valid);
        }

        if (valid) {
            continue;
        }

        bytes_writer_put(w, s.data + run, i - run);
        run = i + n;

        if (c < 0x80) {
            write_escape(w, c);

        } else {
            bytes_writer_text(w, "\xef\xbf\xbd");
        }
    }

    if (run < s.len) {
        bytes_writer_put(w, s.data + run, s.len - run);
    }

    bytes_writer_byte(w, '"');
}


/* RFC 8259, section 7: a quote, a backslash or a control. */
static void
write_escape(bytes_writer_t *w, uint8_t c)
{
    uint8_t  out[6];

    static const char  hex[] = "0123456789abcdef";
    static const char  letters[0x20] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'
    };

    out[0] = '\\';
    out[1] = (c >= 0x20) ? c : (uint8_t) letters[c];

    if (out[1] != 0) {
        bytes_writer_put(w, out, 2);
        return;
    }

    out[1] = 'u';
    out[2] = '0';
    out[3] = '0';
    out[4] = (uint8_t) hex[c >> 4];
    out[5] = (uint8_t) hex[c & 0x0f];

    bytes_writer_put(w, out, 6);
}


/* Length of the code point at p, or of the bytes that one U+FFFD stands for:
   as many as began a code point (Unicode 15, section 3.9), at least one. */
static size_t
find_code(const uint8_t *p, size_t left, int *valid)
{
    size_t    n;
    uint32_t  state;

    *valid = 0;
    state = UTF8_START;

    for (n = 0; n < left; n++) {
        state = utf8_feed(state, bytes_make(p + n, 1));

        if (state == UTF8_REJECT) {
            return (n == 0) ? 1 : n;
        }

        if (state == UTF8_START) {
            *valid = 1;
            return n + 1;
        }
    }

    return n;
}
