/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Unescapes JSON strings one byte at a time.
 *
 * Pure: any thread, no heap.  Never looks past "end", so it may walk text
 * that nobody has checked.
 */


#include "json_letters.h"
#include "utf8.h"


static int decode_hex(const uint8_t *p, const uint8_t *end, uint32_t *code);


void
json_letters_open(json_letters_t *l, const uint8_t *pos, const uint8_t *end)
{
    l->pos = pos;
    l->end = end;
    l->used = 0;
    l->len = 0;
}


int
json_letters_next(json_letters_t *l)
{
    uint32_t        code;
    bytes_writer_t  w;

    if (l->used < l->len) {
        return l->code[l->used++];
    }

    if (l->pos == l->end || *l->pos == '"') {
        return -1;
    }

    if (*l->pos != '\\') {
        return *l->pos++;
    }

    if (json_letters_escape(&l->pos, l->end, &code) != JSON_LETTERS_OK) {
        return -1;
    }

    bytes_writer_open(&w, l->code, sizeof(l->code));
    utf8_write(&w, code);

    l->used = 1;
    l->len = (unsigned) bytes_writer_view(&w).len;

    return l->code[0];
}


json_letters_rc_t
json_letters_escape(const uint8_t **pos, const uint8_t *end, uint32_t *code)
{
    uint32_t        low;
    const char     *found;
    const uint8_t  *p;

    static const char  letters[] = "\"\\/bfnrt";
    static const char  meanings[] = "\"\\/\b\f\n\r\t";

    p = *pos + 1;

    if (p == end) {
        return JSON_LETTERS_SYNTAX;
    }

    if (*p != 'u') {
        found = memchr(letters, *p, sizeof(letters) - 1);

        if (found == NULL) {
            return JSON_LETTERS_SYNTAX;
        }

        *code = (uint8_t) meanings[found - letters];
        *pos = p + 1;

        return JSON_LETTERS_OK;
    }

    if (decode_hex(p + 1, end, code) != 0 || *code == 0) {
        return JSON_LETTERS_SYNTAX;
    }

    p += 5;

    if (*code >= 0xd800 && *code <= 0xdfff) {

        if (*code > 0xdbff
            || end - p < 6
            || p[0] != '\\'
            || p[1] != 'u'
            || decode_hex(p + 2, end, &low) != 0
            || low < 0xdc00
            || low > 0xdfff)
        {
            return JSON_LETTERS_SURROGATE;
        }

        *code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
        p += 6;
    }

    *pos = p;

    return JSON_LETTERS_OK;
}


static int
decode_hex(const uint8_t *p, const uint8_t *end, uint32_t *code)
{
    uint8_t   c;
    unsigned  i;

    if (end - p < 4) {
        return -1;
    }

    *code = 0;

    for (i = 0; i < 4; i++) {
        c = p[i];

        if (c >= '0' && c <= '9') {
            c = (uint8_t) (c - '0');

        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            c = (uint8_t) ((c | 0x20) - 'a' + 10);

        } else {
            return -1;
        }

        *code = *code << 4 | c;
    }

    return 0;
}
