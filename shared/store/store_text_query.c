/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What people may ask of the text index.
 *
 *     query   blanks and terms
 *     term    [-] ( word[*] | "phrase" )
 *
 * Terms must all be there, those with a "-" must not.  The result goes to
 * FTS5 as quoted strings with operators of ours between them, so that nothing
 * of a query is ever read as its syntax:
 *
 *     ("one" "two three" "fou"*) NOT ("five" OR "six")
 *
 * Whether a term has any token is decided by FTS5's tokenizer; one of ASCII
 * punctuation alone is dropped here.  FTS5 leaves out a string without tokens
 * among others, and finds nothing when there are no others.
 */


#include "store_text.h"

#include "utf8.h"


static int read_term(bytes_reader_t *r, store_text_term_t *term);
static void skip_blanks(bytes_reader_t *r);
static int has_letter(bytes_t text);
static void write_term(const store_text_term_t *term, bytes_writer_t *w);


store_text_query_rc_t
store_text_query_parse(bytes_t text, store_text_query_t *query)
{
    size_t             i, positive;
    bytes_reader_t     r;
    store_text_term_t  term;

    query->count = 0;
    positive = 0;

    if (text.len > STORE_TEXT_QUERY_MAX) {
        return STORE_TEXT_QUERY_LONG;
    }

    if (!utf8_valid(text)) {
        return STORE_TEXT_QUERY_CODE;
    }

    for (i = 0; i < text.len; i++) {
        if ((text.data[i] < 0x20 && text.data[i] != '\t')
            || text.data[i] == 0x7f)
        {
            return STORE_TEXT_QUERY_CODE;
        }
    }

    bytes_reader_open(&r, text);

    for ( ;; ) {
        skip_blanks(&r);

        if (bytes_reader_left(&r) == 0) {
            break;
        }

        if (read_term(&r, &term) != 0) {
            return STORE_TEXT_QUERY_QUOTE;
        }

        if (!has_letter(term.text)) {
            continue;
        }

        if (query->count == STORE_TEXT_TERMS_MAX) {
            return STORE_TEXT_QUERY_TERMS;
        }

        query->terms[query->count++] = term;
        positive += !term.negative;
    }

    if (query->count == 0) {
        return STORE_TEXT_QUERY_EMPTY;
    }

    return positive ? STORE_TEXT_QUERY_OK : STORE_TEXT_QUERY_NEGATIVE;
}


/* At a byte that is no blank.  0, or -1: a phrase without its end. */
static int
read_term(bytes_reader_t *r, store_text_term_t *term)
{
    const uint8_t  *start;

    memset(term, 0, sizeof(store_text_term_t));

    if (*r->pos == '-') {
        term->negative = 1;
        r->pos++;
    }

    if (r->pos < r->end && *r->pos == '"') {
        start = ++r->pos;

        while (r->pos < r->end && *r->pos != '"') {
            r->pos++;
        }

        if (r->pos == r->end) {
            return -1;
        }

        term->text = bytes_make(start, (size_t) (r->pos - start));
        r->pos++;

        return 0;
    }

    start = r->pos;

    while (r->pos < r->end && *r->pos != ' ' && *r->pos != '\t'
           && *r->pos != '"')
    {
        r->pos++;
    }

    term->text = bytes_make(start, (size_t) (r->pos - start));

    while (term->text.len != 0 && start[term->text.len - 1] == '*') {
        term->text.len--;
        term->prefix = 1;
    }

    return 0;
}


static void
skip_blanks(bytes_reader_t *r)
{
    while (r->pos < r->end && (*r->pos == ' ' || *r->pos == '\t')) {
        r->pos++;
    }
}


/* What is not ASCII may be one. */
static int
has_letter(bytes_t text)
{
    size_t   i;
    uint8_t  c;

    for (i = 0; i < text.len; i++) {
        c = text.data[i];

        if (c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
            || (c >= 'A' && c <= 'Z'))
        {
            return 1;
        }
    }

    return 0;
}


void
store_text_query_write(const store_text_query_t *query, bytes_writer_t *w)
{
    size_t  i, written;

    bytes_writer_byte(w, '(');

    for (i = 0; i < query->count; i++) {
        if (!query->terms[i].negative) {
            write_term(&query->terms[i], w);
            bytes_writer_byte(w, ' ');
        }
    }

    bytes_writer_byte(w, ')');
    written = 0;

    for (i = 0; i < query->count; i++) {
        if (query->terms[i].negative) {
            bytes_writer_text(w, written++ ? " OR " : " NOT (");
            write_term(&query->terms[i], w);
        }
    }

    if (written != 0) {
        bytes_writer_byte(w, ')');
    }
}


/* A quote cannot be in a term; it would be doubled. */
static void
write_term(const store_text_term_t *term, bytes_writer_t *w)
{
    size_t  i;

    bytes_writer_byte(w, '"');

    for (i = 0; i < term->text.len; i++) {
        if (term->text.data[i] == '"') {
            bytes_writer_byte(w, '"');
        }

        bytes_writer_byte(w, term->text.data[i]);
    }

    bytes_writer_text(w, term->prefix ? "\"*" : "\"");
}


const char *
store_text_query_error(store_text_query_rc_t rc)
{
    switch (rc) {

    case STORE_TEXT_QUERY_EMPTY:
        return "\"q\" needs a word to look for";

    case STORE_TEXT_QUERY_LONG:
        return "\"q\" has at most 256 bytes";

    case STORE_TEXT_QUERY_TERMS:
        return "\"q\" has at most 16 words and phrases";

    case STORE_TEXT_QUERY_CODE:
        return "\"q\" must be UTF-8 without control characters";

    case STORE_TEXT_QUERY_QUOTE:
        return "\"q\" has a phrase whose closing quote is missing";

    case STORE_TEXT_QUERY_NEGATIVE:
        return "\"q\" needs a word that is to be there, beside -words";

    default:
        return "\"q\" is fine";
    }
}
