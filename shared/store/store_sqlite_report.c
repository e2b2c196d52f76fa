/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What the operator hears of a writer that fails, and of one that works
 * again.  In the writer's thread.
 */


#include "store_sqlite.h"


/*
 * The first failure of a kind is logged, then at most one line every
 * STORE_SQLITE_REPORT_MS: a full disk fails thousands of commits a second.
 */

void
store_sqlite_report_failure(store_t *store, const char *what, int rc,
    size_t requests)
{
    int64_t                 now_us;
    store_sqlite_writer_t  *writer;

    writer = &store->writer;
    now_us = store_sqlite_now_us();

    writer->unreported += requests;

    if (writer->reported == rc
        && now_us - writer->reported_us
           < (int64_t) STORE_SQLITE_REPORT_MS * 1000)
    {
        return;
    }

    store_sqlite_log(store, writer->db.error,
                     "store: %s failed on \"%s\": %s (%d), %llu requests "
                     "failed", what, store->path, sqlite3_errstr(rc), rc,
                     (unsigned long long) writer->unreported);

    writer->reported = rc;
    writer->reported_us = now_us;
    writer->unreported = 0;
}


void
store_sqlite_report_healed(store_t *store)
{
    store_sqlite_writer_t  *writer;

    writer = &store->writer;

    if (writer->reported == SQLITE_OK) {
        return;
    }

    store_sqlite_log(store, 0, "store: writing to \"%s\" again, %llu more "
                     "requests failed before", store->path,
                     (unsigned long long) writer->unreported);

    writer->reported = SQLITE_OK;
    writer->unreported = 0;
}
