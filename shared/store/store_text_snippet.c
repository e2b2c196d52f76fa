/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The place in a text that a hit shows: some words around the first one that
 * was asked for.
 *
 * A word is looked for letter by letter, ASCII in either case; where only the
 * tokenizer sees it (an accent that the query leaves out) the snippet is the
 * beginning of the text.  Plain text: whoever shows it escapes it.
 */


#include "store_text.h"


#define STORE_TEXT_SNIPPET_BEFORE  60        /* bytes before the word */
#define STORE_TEXT_SNIPPET_DOTS    3         /* bytes of an ellipsis */


static size_t find_words(const store_text_query_t *query, bytes_t text);
static int find_word(bytes_t text, bytes_t word, size_t *at);
static bytes_t cut_word(bytes_t term);
static int is_letter(uint8_t c);
static size_t find_start(bytes_t text, size_t at);
static size_t write_piece(bytes_t text, size_t at, bytes_writer_t *w);


void
store_text_snippet(const store_text_query_t *query, bytes_t text,
    bytes_writer_t *w)
{
    size_t          at;
    uint8_t         buf[STORE_TEXT_SNIPPET_MAX];
    bytes_writer_t  piece;

    at = find_start(text, find_words(query, text));

    /* room is kept for the ellipsis behind */

    bytes_writer_open(&piece, buf,
                      STORE_TEXT_SNIPPET_MAX - STORE_TEXT_SNIPPET_DOTS);

    if (at != 0) {
        bytes_writer_text(&piece, "\xe2\x80\xa6");
    }

    at = write_piece(text, at, &piece);

    bytes_writer_bytes(w, bytes_writer_view(&piece));

    if (at < text.len) {
        bytes_writer_text(w, "\xe2\x80\xa6");
    }
}


/* Where the first of the terms is that is found; 0: none is. */
static size_t
find_words(const store_text_query_t *query, bytes_t text)
{
    size_t   i, at;
    bytes_t  word;

    for (i = 0; i < query->count; i++) {
        if (query->terms[i].negative) {
            continue;
        }

        word = cut_word(query->terms[i].text);

        if (word.len != 0 && find_word(text, word, &at)) {
            return at;
        }
    }

    return 0;
}


/* The first letters of a term. */
static bytes_t
cut_word(bytes_t term)
{
    size_t  first, last;

    for (first = 0; first < term.len && !is_letter(term.data[first]); first++)
    { /* void */ }

    for (last = first; last < term.len && is_letter(term.data[last]); last++)
    { /* void */ }

    return bytes_make(term.data + first, last - first);
}


static int
is_letter(uint8_t c)
{
    return c >= 0x80 || (c >= '0' && c <= '9')
           || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}


static int
find_word(bytes_t text, bytes_t word, size_t *at)
{
    size_t   i, k;
    uint8_t  a, b;

    for (i = 0; i + word.len <= text.len; i++) {

        if (i != 0 && is_letter(text.data[i - 1])) {
            continue;
        }

        for (k = 0; k < word.len; k++) {
            a = text.data[i + k];
            b = word.data[k];

            if (a != b && !((a ^ b) == 0x20 && (a | 0x20) >= 'a'
                            && (a | 0x20) <= 'z'))
            {
                break;
            }
        }

        if (k == word.len) {
            *at = i;
            return 1;
        }
    }

    return 0;
}


/* Some bytes before the word, at the beginning of another one. */
static size_t
find_start(bytes_t text, size_t at)
{
    size_t  start;

    if (at <= STORE_TEXT_SNIPPET_BEFORE) {
        return 0;
    }

    for (start = at - STORE_TEXT_SNIPPET_BEFORE; start < at; start++) {
        if (text.data[start - 1] == ' ' || text.data[start - 1] == '\n') {
            return start;
        }
    }

    return at;
}


/* One line, whole characters; returns where it ended. */
static size_t
write_piece(bytes_t text, size_t at, bytes_writer_t *w)
{
    size_t   len;
    uint8_t  c;

    while (at < text.len) {
        c = text.data[at];

        len = (c < 0x80) ? 1 : (c < 0xe0) ? 2 : (c < 0xf0) ? 3 : 4;

        if (len > text.len - at) {
            return text.len;
        }

        if (c <= 0x20 || c == 0x7f
            || (c == 0xee && text.data[at + 1] == 0x80
                && text.data[at + 2] == 0x80))
        {
            if (w->pos != w->start && w->pos[-1] != ' ') {
                if (bytes_writer_left(w) == 0) {
                    return at;
                }

                bytes_writer_byte(w, ' ');
            }

        } else {
            if (bytes_writer_left(w) < len) {
                return at;
            }

            bytes_writer_put(w, text.data + at, len);
        }

        at += len;
    }

    return at;
}
