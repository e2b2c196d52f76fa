/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The SQLite adapter against the conformance suite of the store.
 */


#include "store_conform.h"
#include "store_fixture.h"


int
main(void)
{
    conform_t  c;
    fixture_t  f;

    fixture_open(&f);

    memset(&c, 0, sizeof(conform_t));
    c.adapter = &store_sqlite;
    c.folder = f.folder;
    c.config = f.config;

    if (tap_ok(conform_open(&c), "a store opens in an empty folder%s",
               c.error))
    {
        conform_run(&c);
        conform_close(&c);
    }

    tap_ok(fixture_intact(&f), "the file is intact");
    tap_ok(fixture_sql(&f, "SELECT count(*) FROM namespace AS a WHERE"
                       " own_items != (SELECT count(*) FROM item"
                       "    WHERE ns = a.id) OR own_bytes !="
                       " (SELECT coalesce(sum(length(key) + length(value)"
                       "    + weight), 0) FROM item WHERE ns = a.id)") == 0,
           "each namespace counts what it has");

    fixture_close(&f);

    return tap_done();
}
