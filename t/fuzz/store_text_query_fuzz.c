/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Queries of the text index: any bytes are refused, or become an expression
 * that FTS5 compiles and runs without an error, over a table that has some of
 * the same bytes; then a snippet of them.
 */


#include <stdlib.h>

#include "store_text.h"
#include "utf8.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static sqlite3       *handle;
static sqlite3_stmt  *search;


static void
must(int held)
{
    if (!held) {
        abort();
    }
}


static void
open_table(void)
{
    int  rc;

    rc = sqlite3_open(":memory:", &handle);
    must(rc == SQLITE_OK);

    rc = sqlite3_exec(handle, "CREATE VIRTUAL TABLE words USING fts5(text,"
                      " content = '', columnsize = 0, prefix = '1 2 3',"
                      " tokenize = 'unicode61 remove_diacritics 2');"
                      "INSERT INTO words (rowid, text) VALUES"
                      " (1, 'one two three'), (2, 'a b c OR NOT NEAR');",
                      NULL, NULL, NULL);
    must(rc == SQLITE_OK);

    rc = sqlite3_prepare_v2(handle, "SELECT rowid FROM words"
                            " WHERE words MATCH ?1 AND rowid BETWEEN 0 AND 9"
                            " ORDER BY rowid DESC", -1, &search, NULL);
    must(rc == SQLITE_OK);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int                 rc;
    uint8_t             match[STORE_TEXT_MATCH_MAX];
    uint8_t             piece[STORE_TEXT_SNIPPET_MAX];
    bytes_t             text;
    bytes_writer_t      w;
    store_text_query_t  query;

    text = bytes_make(data, size);

    if (store_text_query_parse(text, &query) != STORE_TEXT_QUERY_OK) {
        return 0;
    }

    must(query.count != 0 && query.count <= STORE_TEXT_TERMS_MAX);

    bytes_writer_open(&w, match, sizeof(match));
    store_text_query_write(&query, &w);
    must(!w.failed);

    if (handle == NULL) {
        open_table();
    }

    sqlite3_bind_text(search, 1, (const char *) match,
                      (int) (w.pos - w.start), SQLITE_STATIC);

    do {
        rc = sqlite3_step(search);
    } while (rc == SQLITE_ROW);

    must(rc == SQLITE_DONE);
    sqlite3_reset(search);

    bytes_writer_open(&w, piece, sizeof(piece));
    store_text_snippet(&query, text, &w);
    must(!w.failed && utf8_valid(bytes_writer_view(&w)));

    return 0;
}
