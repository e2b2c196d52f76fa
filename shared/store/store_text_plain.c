/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The words of a value: all of a text, the strings of JSON (not its keys).
 *
 * Between two strings goes a line with U+E000, which FTS5's tokenizer takes
 * for a word (Unicode's Co), so that no phrase goes from one string into the
 * next; snippets leave it out.
 */


#include "store_text.h"

#include "json_scan.h"
#include "utf8.h"


static const char  store_text_plain_break[] = "\n\xee\x80\x80\n";


static int match_type(bytes_t type, const char *name, int whole);
static void write_text(bytes_t text, bytes_writer_t *w);
static const uint8_t *find_quote(const uint8_t *p, const uint8_t *end,
    int *escaped);


void
store_text_plain(bytes_t type, bytes_t value, bytes_writer_t *w)
{
    if (match_type(type, "application/json", 1)) {
        if (json_scan_validate(value, NULL) == JSON_SCAN_OK) {
            store_text_plain_json(value, w);
        }

    } else if (match_type(type, "text/", 0)) {
        write_text(value, w);
    }
}


/* Parameters behind a ";" do not count. */
static int
match_type(bytes_t type, const char *name, int whole)
{
    size_t   i;
    uint8_t  c;

    for (i = 0; name[i] != '\0'; i++) {
        if (i == type.len) {
            return 0;
        }

        c = type.data[i];

        if (c >= 'A' && c <= 'Z') {
            c = (uint8_t) (c | 0x20);
        }

        if (c != (uint8_t) name[i]) {
            return 0;
        }
    }

    return !whole || i == type.len || type.data[i] == ';'
           || type.data[i] == ' ';
}


static void
write_text(bytes_t text, bytes_writer_t *w)
{
    uint8_t  *p;

    if (!utf8_valid(text)) {
        return;
    }

    p = w->pos;
    bytes_writer_bytes(w, text);

    for ( /* void */ ; p < w->pos; p++) {
        if (*p == '\0') {
            *p = ' ';
        }
    }
}


/*
 * JSON that was validated: of all strings, in the order of the text, those
 * are values that no colon follows.  No recursion, one walk.
 */

void
store_text_plain_json(bytes_t json, bytes_writer_t *w)
{
    int             escaped;
    json_scan_t     value;
    const uint8_t  *p, *end, *start, *next;

    p = json.data;
    end = p + json.len;

    while (p < end) {
        if (*p++ != '"') {
            continue;
        }

        start = p;
        p = find_quote(p, end, &escaped);

        if (p == end) {
            return;
        }

        for (next = p + 1; next < end && (*next == ' ' || *next == '\t'
                                          || *next == '\n' || *next == '\r');
             next++)
        { /* void */ }

        if ((next == end || *next != ':') && p != start) {

            memset(&value, 0, sizeof(json_scan_t));
            value.type = JSON_SCAN_STRING;
            value.text = bytes_make(start, (size_t) (p - start));
            value.escaped = escaped;

            if (w->pos != w->start) {
                bytes_writer_text(w, store_text_plain_break);
            }

            if (json_scan_string(&value, w) != 0) {
                w->failed = 1;
                return;
            }
        }

        p++;
    }
}


/* The quote that ends a string. */
static const uint8_t *
find_quote(const uint8_t *p, const uint8_t *end, int *escaped)
{
    *escaped = 0;

    while (p < end && *p != '"') {
        if (*p == '\\' && p + 1 < end) {
            *escaped = 1;
            p++;
        }

        p++;
    }

    return p;
}
