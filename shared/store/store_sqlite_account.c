/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Namespaces inside a write transaction: their counters, and what the
 * accounts above them hold.
 *
 * Runs in the writer thread, under the host lock.  A namespace is read when
 * the transaction meets it first and written before the commit; in between it
 * is here alone, so nothing else may read or write those columns:
 *
 *     find -> make -> touch, now = ... -> keep (request holds)  -> flush
 *                                      -> undo (it does not)
 */


#include "store_sqlite.h"

#include <stdlib.h>


struct store_sqlite_chunk_s {
    store_sqlite_chunk_t    *next;
    store_sqlite_account_t   accounts[STORE_SQLITE_ACCOUNT_CHUNK];
};


static unsigned hash_name(bytes_t name);
static store_sqlite_account_t *add_account(store_sqlite_accounts_t *accounts);
static int read_row(store_sqlite_db_t *db, store_sqlite_account_t *account);
static int find_above(store_sqlite_writer_t *writer,
    store_sqlite_account_t *account);
static void set_limits(const store_sqlite_account_t *account,
    const store_request_t *request, store_limits_t *limits);
static int write_row(store_sqlite_db_t *db,
    const store_sqlite_account_t *account);


int
store_sqlite_account_find(store_sqlite_writer_t *writer, bytes_t name,
    store_sqlite_account_t **account)
{
    int                        rc;
    unsigned                   hash;
    store_sqlite_account_t    *found;
    store_sqlite_accounts_t   *accounts;

    accounts = &writer->accounts;
    hash = hash_name(name);

    for (found = accounts->hash[hash]; found != NULL; found = found->same) {
        if (bytes_equal(bytes_make(found->name, found->len), name)) {
            *account = found;
            return SQLITE_OK;
        }
    }

    *account = NULL;

    found = add_account(accounts);
    if (found == NULL) {
        return SQLITE_NOMEM;
    }

    memset(found, 0, offsetof(store_sqlite_account_t, name));
    memcpy(found->name, name.data, name.len);
    found->len = name.len;

    rc = read_row(&writer->db, found);

    if (rc != SQLITE_OK) {
        accounts->used--;
        return rc;
    }

    found->base = found->now;
    found->same = accounts->hash[hash];
    accounts->hash[hash] = found;
    *account = found;

    return SQLITE_OK;
}


int
store_sqlite_account_of(store_sqlite_writer_t *writer, int64_t id,
    store_sqlite_account_t **account)
{
    int            rc, found;
    uint8_t        name[STORE_NS_MAX];
    bytes_t        view;
    sqlite3_stmt  *statement;

    *account = NULL;

    statement = store_sqlite_statement(&writer->db, STORE_SQL_NS_NAME);
    if (statement == NULL) {
        return sqlite3_errcode(writer->db.handle);
    }

    sqlite3_bind_int64(statement, 1, id);
    rc = store_sqlite_run_row(&writer->db, statement, &found);
    view = bytes_make(NULL, 0);

    if (found) {
        view = store_sqlite_column(statement, 0);
        view.len = (view.len < sizeof(name)) ? view.len : sizeof(name);
        memcpy(name, view.data, view.len);
        view.data = name;
    }

    (void) sqlite3_reset(statement);

    if (!found || rc != SQLITE_OK) {
        return rc;
    }

    return store_sqlite_account_find(writer, view, account);
}


static unsigned
hash_name(bytes_t name)
{
    size_t    i;
    uint32_t  hash;

    hash = 2166136261u;

    for (i = 0; i < name.len; i++) {
        hash = (hash ^ name.data[i]) * 16777619u;
    }

    return (hash ^ hash >> 16) % STORE_SQLITE_ACCOUNT_HASH;
}


/* Room for one more, that stays where it is until all are forgotten. */
static store_sqlite_account_t *
add_account(store_sqlite_accounts_t *accounts)
{
    store_sqlite_chunk_t  *chunk, **next;

    if (accounts->chunk == NULL
        || accounts->used == STORE_SQLITE_ACCOUNT_CHUNK)
    {
        next = (accounts->chunk == NULL) ? &accounts->chunks
                                         : &accounts->chunk->next;

        if (*next == NULL) {
            chunk = malloc(sizeof(store_sqlite_chunk_t));
            if (chunk == NULL) {
                return NULL;
            }

            chunk->next = NULL;
            *next = chunk;
        }

        accounts->chunk = *next;
        accounts->used = 0;
    }

    return &accounts->chunk->accounts[accounts->used++];
}


static int
read_row(store_sqlite_db_t *db, store_sqlite_account_t *account)
{
    int                 rc, found;
    sqlite3_stmt       *statement;
    store_sqlite_ns_t  *ns;

    statement = store_sqlite_statement(db, STORE_SQL_NS_GET);
    if (statement == NULL) {
        return sqlite3_errcode(db->handle);
    }

    store_sqlite_bind(statement, 1, bytes_make(account->name, account->len));
    rc = store_sqlite_run_row(db, statement, &found);

    if (found) {
        ns = &account->now;

        ns->id = sqlite3_column_int64(statement, 0);
        ns->item_seq = (uint64_t) sqlite3_column_int64(statement, 1);
        ns->entry_seq = (uint64_t) sqlite3_column_int64(statement, 2);
        ns->oldest = (uint64_t) sqlite3_column_int64(statement, 3);
        ns->items = (uint64_t) sqlite3_column_int64(statement, 4);
        ns->bytes = (uint64_t) sqlite3_column_int64(statement, 5);
        ns->own_items = (uint64_t) sqlite3_column_int64(statement, 6);
        ns->own_bytes = (uint64_t) sqlite3_column_int64(statement, 7);
        ns->limits.items = (uint64_t) sqlite3_column_int64(statement, 8);
        ns->limits.bytes = (uint64_t) sqlite3_column_int64(statement, 9);
    }

    (void) sqlite3_reset(statement);

    return rc;
}


static int
find_above(store_sqlite_writer_t *writer, store_sqlite_account_t *account)
{
    bytes_t  name;

    name = store_account_above(bytes_make(account->name, account->len));

    if (account->above != NULL || name.len == 0) {
        return SQLITE_OK;
    }

    return store_sqlite_account_find(writer, name, &account->above);
}


int
store_sqlite_account_make(store_sqlite_writer_t *writer,
    store_sqlite_account_t *account)
{
    int            rc;
    sqlite3_stmt  *statement;

    /* at most STORE_DEPTH_MAX + 1 turns; the others are there when this is */

    for ( /* void */ ; account != NULL && account->now.id == 0;
          account = account->above)
    {
        rc = find_above(writer, account);

        if (rc != SQLITE_OK) {
            return rc;
        }

        statement = store_sqlite_statement(&writer->db, STORE_SQL_NS_ADD);
        if (statement == NULL) {
            return sqlite3_errcode(writer->db.handle);
        }

        store_sqlite_bind(statement, 1,
                          bytes_make(account->name, account->len));
        rc = store_sqlite_run_done(&writer->db, statement);

        if (rc != SQLITE_OK) {
            return rc;
        }

        store_sqlite_account_touch(writer, account);
        account->now.id = sqlite3_last_insert_rowid(writer->db.handle);
    }

    return SQLITE_OK;
}


void
store_sqlite_account_touch(store_sqlite_writer_t *writer,
    store_sqlite_account_t *account)
{
    store_sqlite_accounts_t  *accounts;

    if (account->in_touched) {
        return;
    }

    accounts = &writer->accounts;

    account->in_touched = 1;
    account->touched = NULL;
    account->base = account->now;

    *accounts->touched_tail = account;
    accounts->touched_tail = &account->touched;
}


int
store_sqlite_account_add(store_sqlite_writer_t *writer,
    store_sqlite_account_t *account, int64_t items, int64_t bytes)
{
    int  rc;

    store_sqlite_account_touch(writer, account);

    account->now.own_items += (uint64_t) items;
    account->now.own_bytes += (uint64_t) bytes;

    for ( ;; ) {
        account->now.items += (uint64_t) items;
        account->now.bytes += (uint64_t) bytes;

        rc = find_above(writer, account);

        if (rc != SQLITE_OK || account->above == NULL) {
            return rc;
        }

        account = account->above;
        store_sqlite_account_touch(writer, account);
    }
}


store_rc_t
store_sqlite_account_check(store_sqlite_writer_t *writer,
    store_request_t *request)
{
    store_limits_t           limits;
    store_sqlite_ns_t       *now, *base;
    store_sqlite_account_t  *account;

    for (account = writer->accounts.touched;
         account != NULL;
         account = account->touched)
    {
        now = &account->now;
        base = &account->base;

        set_limits(account, request, &limits);

        if ((limits.items == 0 || now->items <= limits.items
             || now->items <= base->items)
            && (limits.bytes == 0 || now->bytes <= limits.bytes
                || now->bytes <= base->bytes))
        {
            continue;
        }

        request->usage.items = base->items;
        request->usage.bytes = base->bytes;
        request->usage.limits = limits;

        return STORE_QUOTA;
    }

    return STORE_OK;
}


static void
set_limits(const store_sqlite_account_t *account,
    const store_request_t *request, store_limits_t *limits)
{
    bytes_t  name;

    *limits = account->now.limits;

    name = bytes_make(account->name, account->len);

    if (limits->items == 0 && limits->bytes == 0
        && store_account_above(name).len == 0
        && bytes_start_with(name, request->limited))
    {
        *limits = request->limits;
    }
}


void
store_sqlite_account_keep(store_sqlite_writer_t *writer)
{
    store_sqlite_account_t   *account;
    store_sqlite_accounts_t  *accounts;

    accounts = &writer->accounts;

    for (account = accounts->touched;
         account != NULL;
         account = account->touched)
    {
        account->in_touched = 0;

        if (!account->in_dirty) {
            account->in_dirty = 1;
            account->dirty = accounts->dirty;
            accounts->dirty = account;
        }
    }

    accounts->touched = NULL;
    accounts->touched_tail = &accounts->touched;
}


void
store_sqlite_account_undo(store_sqlite_writer_t *writer)
{
    store_sqlite_account_t   *account;
    store_sqlite_accounts_t  *accounts;

    accounts = &writer->accounts;

    for (account = accounts->touched;
         account != NULL;
         account = account->touched)
    {
        account->in_touched = 0;
        account->now = account->base;
    }

    accounts->touched = NULL;
    accounts->touched_tail = &accounts->touched;
}


int
store_sqlite_account_flush(store_sqlite_writer_t *writer)
{
    int                      rc;
    store_sqlite_account_t  *account;

    for (account = writer->accounts.dirty;
         account != NULL;
         account = account->dirty)
    {
        rc = write_row(&writer->db, account);

        if (rc != SQLITE_OK) {
            return rc;
        }

        account->in_dirty = 0;
    }

    writer->accounts.dirty = NULL;

    return SQLITE_OK;
}


static int
write_row(store_sqlite_db_t *db, const store_sqlite_account_t *account)
{
    sqlite3_stmt             *statement;
    const store_sqlite_ns_t  *ns;

    statement = store_sqlite_statement(db, STORE_SQL_NS_SET);
    if (statement == NULL) {
        return sqlite3_errcode(db->handle);
    }

    ns = &account->now;

    sqlite3_bind_int64(statement, 1, ns->id);
    sqlite3_bind_int64(statement, 2, (int64_t) ns->item_seq);
    sqlite3_bind_int64(statement, 3, (int64_t) ns->entry_seq);
    sqlite3_bind_int64(statement, 4, (int64_t) ns->oldest);
    sqlite3_bind_int64(statement, 5, (int64_t) ns->items);
    sqlite3_bind_int64(statement, 6, (int64_t) ns->bytes);
    sqlite3_bind_int64(statement, 7, (int64_t) ns->own_items);
    sqlite3_bind_int64(statement, 8, (int64_t) ns->own_bytes);
    sqlite3_bind_int64(statement, 9, (int64_t) ns->limits.items);
    sqlite3_bind_int64(statement, 10, (int64_t) ns->limits.bytes);

    return store_sqlite_run_done(db, statement);
}


void
store_sqlite_account_clear(store_sqlite_writer_t *writer)
{
    size_t                    n;
    store_sqlite_chunk_t     *chunk, *next;
    store_sqlite_accounts_t  *accounts;

    accounts = &writer->accounts;

    memset(accounts->hash, 0, sizeof(accounts->hash));

    accounts->touched = NULL;
    accounts->touched_tail = &accounts->touched;
    accounts->dirty = NULL;
    accounts->chunk = NULL;
    accounts->used = 0;

    /* a request of thousands of names is rare, its memory is not kept */

    n = 0;

    for (chunk = accounts->chunks; chunk != NULL; chunk = next) {
        next = chunk->next;
        n++;

        if (n == STORE_SQLITE_ACCOUNT_KEEP) {
            chunk->next = NULL;

        } else if (n > STORE_SQLITE_ACCOUNT_KEEP) {
            free(chunk);
        }
    }
}


void
store_sqlite_account_close(store_sqlite_writer_t *writer)
{
    store_sqlite_chunk_t  *chunk;

    while (writer->accounts.chunks != NULL) {
        chunk = writer->accounts.chunks;
        writer->accounts.chunks = chunk->next;
        free(chunk);
    }
}
