/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Queries: what FTS5 is given for them, and which are refused.  Then the
 * words of values, and snippets.
 */


#include "store_text.h"
#include "tap.h"


typedef struct {
    const char             *query;
    store_text_query_rc_t   rc;
    const char             *match;
} case_t;


static const case_t  cases[] = {
    { "one", STORE_TEXT_QUERY_OK, "(\"one\" )" },
    { "  one\ttwo ", STORE_TEXT_QUERY_OK, "(\"one\" \"two\" )" },
    { "\"one two\" th*", STORE_TEXT_QUERY_OK, "(\"one two\" \"th\"* )" },
    { "one -two -\"three four\"", STORE_TEXT_QUERY_OK,
      "(\"one\" ) NOT (\"two\" OR \"three four\")" },
    { "one\"two\"", STORE_TEXT_QUERY_OK, "(\"one\" \"two\" )" },
    { "one OR (two) NEAR", STORE_TEXT_QUERY_OK,
      "(\"one\" \"OR\" \"(two)\" \"NEAR\" )" },
    { "one -", STORE_TEXT_QUERY_OK, "(\"one\" )" },
    { "one - *** ,", STORE_TEXT_QUERY_OK, "(\"one\" )" },
    { "a-b c:d 'e' ^f", STORE_TEXT_QUERY_OK,
      "(\"a-b\" \"c:d\" \"'e'\" \"^f\" )" },
    { "\xc3\xa9t\xc3\xa9", STORE_TEXT_QUERY_OK,
      "(\"\xc3\xa9t\xc3\xa9\" )" },
    { "", STORE_TEXT_QUERY_EMPTY, NULL },
    { " \t", STORE_TEXT_QUERY_EMPTY, NULL },
    { "* ** \"\" ()", STORE_TEXT_QUERY_EMPTY, NULL },
    { "-one", STORE_TEXT_QUERY_NEGATIVE, NULL },
    { "one \"two", STORE_TEXT_QUERY_QUOTE, NULL },
    { "\"", STORE_TEXT_QUERY_QUOTE, NULL },
    { "one\n", STORE_TEXT_QUERY_CODE, NULL },
    { "\xff", STORE_TEXT_QUERY_CODE, NULL },
    { "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17", STORE_TEXT_QUERY_TERMS,
      NULL }
};


static void
test_queries(void)
{
    size_t                 i;
    char                   buf[STORE_TEXT_MATCH_MAX + 1];
    bytes_writer_t         w;
    store_text_query_t     query;
    store_text_query_rc_t  rc;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rc = store_text_query_parse(bytes_of(cases[i].query), &query);

        buf[0] = '\0';

        if (rc == STORE_TEXT_QUERY_OK) {
            bytes_writer_open(&w, buf, STORE_TEXT_MATCH_MAX);
            store_text_query_write(&query, &w);
            *w.pos = '\0';
        }

        tap_ok(rc == cases[i].rc
               && (cases[i].match == NULL
                   || strcmp(buf, cases[i].match) == 0),
               "query %zu: %s", i, rc ? store_text_query_error(rc) : buf);
    }
}


/* The longest one that there is. */
static void
test_longest(void)
{
    int                    i;
    char                   text[STORE_TEXT_QUERY_MAX + 1];
    char                   buf[STORE_TEXT_MATCH_MAX];
    bytes_writer_t         w;
    store_text_query_t     query;

    memset(text, 'x', sizeof(text));

    for (i = 0; i < STORE_TEXT_TERMS_MAX - 1; i++) {
        memcpy(text + 3 * i, "-a ", 3);
    }

    bytes_writer_open(&w, buf, sizeof(buf));

    tap_ok(store_text_query_parse(bytes_make(text, STORE_TEXT_QUERY_MAX),
                                  &query)
           == STORE_TEXT_QUERY_OK && query.count == STORE_TEXT_TERMS_MAX,
           "a query may be as long as it may be");

    store_text_query_write(&query, &w);

    tap_ok(!w.failed, "and then has room");
    tap_ok(store_text_query_parse(bytes_make(text, sizeof(text)), &query)
           == STORE_TEXT_QUERY_LONG, "but not a byte longer");
}


static int
plain(const char *type, const char *value, const char *words)
{
    char            buf[512];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, 2 * strlen(value));
    store_text_plain(bytes_of(type), bytes_of(value), &w);

    return !w.failed && bytes_equal_text(bytes_writer_view(&w), words);
}


static void
test_plain(void)
{
    tap_ok(plain("text/plain", "a b", "a b")
           && plain("TEXT/HTML; charset=utf-8", "<a>", "<a>"),
           "texts are taken as they are");
    tap_ok(plain("text/plain", "\xff", ""), "when they are UTF-8");
    tap_ok(plain("application/json", "{\"a\" : \"b\",\"c\":[1,\"\",\"d\"]}",
                 "b\n\xee\x80\x80\nd"),
           "of JSON the strings are, without its keys");
    tap_ok(plain("application/json;v=1", "\"\\u00e9\\\"\\\\\"",
                 "\xc3\xa9\"\\"), "unescaped");
    tap_ok(plain("application/json", "[\"a\",", "")
           && plain("application/jsonp", "\"a\"", "")
           && plain("image/png", "a", "") && plain("", "a", ""),
           "of other things nothing is");
    tap_ok(plain("application/json", "[\"a\",\"b\",\"c\",\"d\",\"e\"]",
                 "a\n\xee\x80\x80\nb\n\xee\x80\x80\nc\n\xee\x80\x80\nd"
                 "\n\xee\x80\x80\ne"),
           "many short strings have room in twice their bytes");
}


static const char *
snippet(const char *query, const char *text)
{
    static char         buf[STORE_TEXT_SNIPPET_MAX + 1];

    bytes_writer_t      w;
    store_text_query_t  parsed;

    (void) store_text_query_parse(bytes_of(query), &parsed);

    bytes_writer_open(&w, buf, STORE_TEXT_SNIPPET_MAX);
    store_text_snippet(&parsed, bytes_of(text), &w);
    *w.pos = '\0';

    return w.failed ? "failed" : buf;
}


static void
test_snippets(void)
{
    char         text[4096];
    size_t       i;
    const char  *s;

    tap_ok(strcmp(snippet("b", "a b"), "a b") == 0, "a short text is shown");
    tap_ok(strcmp(snippet("b", "a\n\n\xee\x80\x80\n b\x01"), "a b ") == 0,
           "as one line");

    for (i = 0; i + 4 <= 2000; i += 4) {
        memcpy(text + i, "abc ", 4);
    }

    memcpy(text + 1000, "Needle behind ", 14);
    text[1014] = 'x';
    text[2000] = '\0';

    s = snippet("-abc needle", text);

    tap_ok(strlen(s) <= STORE_TEXT_SNIPPET_MAX
           && strstr(s, " Needle behind ") != NULL
           && strncmp(s, "\xe2\x80\xa6" "abc ", 7) == 0
           && strcmp(s + strlen(s) - 3, "\xe2\x80\xa6") == 0,
           "of a long one some words around it are");

    for (i = 0; i + 2 <= 2000; i += 2) {
        memcpy(text + i, "\xc3\xa9", 2);
    }

    s = snippet("zzz", text);

    tap_ok(strlen(s) == 2 * ((STORE_TEXT_SNIPPET_MAX - 3) / 2) + 3
           && strncmp(s, text, strlen(s) - 3) == 0,
           "characters are whole");
}


int
main(void)
{
    test_queries();
    test_longest();
    test_plain();
    test_snippets();

    return tap_done();
}
