/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Of the conformance suite: what lasts and what passes.  Changes, drops,
 * expiry, the sweep, epochs, backups.
 */


#ifndef _STORE_CONFORM_TIMES_H_INCLUDED_
#define _STORE_CONFORM_TIMES_H_INCLUDED_


static inline void
conform_times_changes(conform_t *c)
{
    store_row_t  *row;

    tap_ok(strcmp(conform_changes(c, "log", 0, 9), "") == 0
           && conform_oldest(c, "log") == 0,
           "an unknown namespace has no changes, and none is missing");

    conform_log_put(c, "log", "a", "1");
    conform_put(c, "log", "silent", "1");
    conform_log_put(c, "log", "b", "1");

    conform_begin(c);
    conform_op(c, STORE_DELETE, "log", "a")->log = 1;
    conform_op(c, STORE_INCR, "log", "n")->log = 1;
    conform_op(c, STORE_INCR, "log", "n")->log = 1;
    conform_op(c, STORE_DELETE, "log", "none")->log = 1;
    conform_op(c, STORE_DELETE, "log", "silent");
    conform_op(c, STORE_APPEND, "log", "m_1")->log = 1;
    conform_write(c);

    tap_ok(strcmp(conform_changes(c, "log", 0, 9),
                  "1:put:a 3:put:b 4:delete:a 5:put:n 6:put:n") == 0,
           "operations that ask for it leave changes, at their seqs; a "
           "delete of nothing leaves none");
    tap_ok(strcmp(conform_changes(c, "log", 3, 2),
                  "4:delete:a 5:put:n +") == 0, "after 3, two");
    tap_ok(strcmp(conform_changes(c, "log", 6, 9), "") == 0
           && c->rows.head == 7 && c->rows.oldest == 0,
           "after the last none; the head is that of the items");
    tap_ok(strcmp(conform_changes(c, "log", UINT64_MAX, 9), "") == 0,
           "after the highest number none");

    conform_read(c, STORE_CHANGES, "log")->limit = 1;
    conform_rows(c);
    row = c->rows.rows;
    tap_ok(c->rows.count == 1 && c->rows.more && row->seq == 1
           && row->change == STORE_CHANGE_PUT
           && bytes_equal_text(row->key, "a")
           && bytes_equal_text(row->meta, "note") && row->value.len == 0
           && row->at_ms > conform_now_ms() - 60000
           && row->at_ms <= conform_now_ms() + 1000,
           "a change has key, note, seq, time and kind");
    conform_release(c);
}


/* A drop is a gap for those who follow. */
static inline void
conform_times_drop(conform_t *c)
{
    uint64_t  seq;

    conform_log_put(c, "drop", "a", "1");
    conform_log_put(c, "drop", "b", "1");
    conform_write_one(c, STORE_APPEND, "drop", "m_1", "");

    conform_begin(c);
    conform_op(c, STORE_DROP, "drop", "");
    tap_ok(conform_write(c) == STORE_OK && c->results[0].seq == 3,
           "a drop takes a seq");
    tap_ok(conform_has(c, "drop", "a", NULL)
           && conform_head(c, STORE_HEAD, "drop") == 1
           && strcmp(conform_changes(c, "drop", 0, 9), "") == 0
           && c->rows.head == 3 && c->rows.oldest == 3,
           "items, entries and changes are gone, the counts are not, and who "
           "was before the drop has missed something");

    seq = conform_log_put(c, "drop", "a", "new");
    tap_ok(seq == 4 && strcmp(conform_changes(c, "drop", 3, 9), "4:put:a")
           == 0 && c->rows.oldest == 3,
           "who comes after it follows on");

    conform_begin(c);
    conform_op(c, STORE_APPEND, "drop", "m_1");
    tap_ok(conform_write(c) == STORE_OK && c->results[0].seq == 2,
           "ids of before are free, seq goes on");

    conform_read(c, STORE_FEED, "drop");
    tap_ok(strcmp(conform_keys(c), "m_1") == 0, "the feed is the new one's");

    conform_begin(c);
    conform_op(c, STORE_PUT, "drop-two", "x")->log = 1;
    conform_op(c, STORE_DROP, "drop-two", "");
    conform_op(c, STORE_PUT, "drop-two", "y")->log = 1;
    conform_op(c, STORE_DROP, "drop-two", "");
    conform_op(c, STORE_PUT, "drop-two", "z")->log = 1;
    tap_ok(conform_write(c) == STORE_OK && c->results[4].seq == 5
           && conform_has(c, "drop-two", "x", NULL)
           && conform_has(c, "drop-two", "z", "")
           && strcmp(conform_changes(c, "drop-two", 4, 9), "5:put:z") == 0
           && conform_holds(c, "drop-two", 1, 1),
           "twice in one request");

    conform_begin(c);
    conform_op(c, STORE_DROP, "never-was", "");
    tap_ok(conform_write(c) == STORE_OK && c->results[0].seq == 0
           && conform_head(c, STORE_USAGE, "never-was") == 0,
           "a drop of nothing is fine, with seq 0");
}


static inline void
conform_times_expiry(conform_t *c)
{
    int64_t  now, until;

    now = conform_now_ms();

    conform_begin(c);
    conform_op(c, STORE_PUT, "ttl", "past")->expires_ms = 1;
    conform_op(c, STORE_PUT, "ttl", "soon")->expires_ms = now + 300;
    conform_op(c, STORE_PUT, "ttl", "late")->expires_ms = now + 3600000;
    conform_op(c, STORE_PUT, "ttl", "never");
    conform_op(c, STORE_INCR, "ttl", "n")->expires_ms = 1;
    conform_op(c, STORE_CHECK, "ttl", "past")->condition = STORE_IF_ABSENT;
    conform_op(c, STORE_INCR, "ttl", "n")->number = 3;
    tap_ok(conform_write(c) == STORE_OK && c->results[6].number == 3,
           "what has expired is absent at once, also for the next operation");
    tap_ok(conform_has(c, "ttl", "past", NULL)
           && conform_has(c, "ttl", "late", "")
           && conform_has(c, "ttl", "never", "")
           && conform_has(c, "ttl", "n", "3"), "and for reads");

    until = now + CONFORM_WAIT_MS;

    while (!conform_has(c, "ttl", "soon", NULL)
           && conform_now_ms() < until)
    {
        usleep(5000);
    }

    now = conform_now_ms() - now;
    tap_ok(now >= 300 && now < CONFORM_WAIT_MS,
           "an item expires by itself, at its time");

    conform_read(c, STORE_RANGE, "ttl");
    tap_ok(strcmp(conform_keys(c), "late n never") == 0,
           "a range does not show it");

    conform_begin(c);
    conform_op(c, STORE_DELETE, "ttl", "past");
    tap_ok(conform_write(c) == STORE_OK && c->results[0].seq == 0,
           "a delete of it is one of nothing");

    conform_begin(c);
    conform_op(c, STORE_PUT, "ttl", "past")->condition = STORE_IF_ABSENT;
    tap_ok(conform_write(c) == STORE_OK && conform_has(c, "ttl", "past", ""),
           "it may be put anew");
}


/* What has expired leaves, with a change when it was written with one. */
static inline void
conform_times_sweep(conform_t *c)
{
    int64_t   until;
    unsigned  swept;

    conform_begin(c);
    conform_op(c, STORE_PUT, "sweep.a", "kept")->log = 1;
    conform_op(c, STORE_PUT, "sweep.a", "gone")->log = 1;
    c->ops[1].expires_ms = 1;
    c->ops[1].weight = 100;
    conform_op(c, STORE_PUT, "sweep.a", "silent")->expires_ms = 1;
    conform_op(c, STORE_INCR, "sweep.a", "n")->expires_ms = 1;
    c->ops[3].log = 1;
    conform_write(c);

    until = conform_now_ms() + CONFORM_WAIT_MS;

    do {
        usleep(20000);
        conform_read(c, STORE_USAGE, "sweep");
        conform_rows(c);
        conform_release(c);
    } while (c->rows.usage.items != 1 && conform_now_ms() < until);

    tap_ok(conform_holds(c, "sweep", 1, 4)
           && conform_holds(c, "sweep.a", 1, 4),
           "expired items are swept, and no longer charged");

    conform_changes(c, "sweep.a", 4, 9);
    tap_ok(strcmp(c->line, "5:expire:gone 6:expire:n") == 0
           || strcmp(c->line, "5:expire:n 6:expire:gone") == 0,
           "those that were written with a change leave one: %s", c->line);

    pthread_mutex_lock(&c->mutex);
    swept = c->swept;
    pthread_mutex_unlock(&c->mutex);

    tap_ok(swept > 0 && conform_head(c, STORE_USAGE, "sweep.a") == 6,
           "which is told, and took their seqs alone");
}


/* Opens the store again with another time for changes. */
static inline int
conform_times_reopen(conform_t *c, int64_t changes_ms)
{
    conform_close(c);
    c->config.changes_ms = changes_ms;

    return conform_open(c);
}


static inline void
conform_times_trim(conform_t *c)
{
    int      i;
    char     key[16];
    int64_t  until;

    for (i = 0; i < 30; i++) {
        snprintf(key, sizeof(key), "%d", i);
        conform_log_put(c, (i % 2) ? "trim" : "trim-too", key, "");
    }

    tap_ok(conform_oldest(c, "trim") == 0, "all changes are there");

    if (!tap_ok(conform_times_reopen(c, 400), "it opens with a shorter time%s",
                c->error))
    {
        exit(1);
    }

    until = conform_now_ms() + CONFORM_WAIT_MS;

    while ((conform_oldest(c, "trim") != 15
            || conform_oldest(c, "trim-too") != 15)
           && conform_now_ms() < until)
    {
        usleep(20000);
    }

    tap_ok(strcmp(conform_changes(c, "trim", 0, 9), "") == 0
           && c->rows.oldest == 15 && c->rows.head == 15
           && conform_oldest(c, "trim-too") == 15,
           "old changes leave, and \"oldest\" says up to where");

    conform_times_reopen(c, 0);
    conform_log_put(c, "trim", "next", "");
    tap_ok(strcmp(conform_changes(c, "trim", 15, 9), "16:put:next") == 0
           && c->rows.oldest == 15 && conform_has(c, "trim", "1", ""),
           "those that come then are kept; items always are");
}


static inline void
conform_times_epoch(conform_t *c)
{
    char  epoch[STORE_EPOCH_LEN + 1];

    conform_epoch(c);
    tap_ok(strlen(c->line) == STORE_EPOCH_LEN
           && strspn(c->line, "0123456789abcdef") == STORE_EPOCH_LEN,
           "the store has an epoch: %s", c->line);

    snprintf(epoch, sizeof(epoch), "%.*s", STORE_EPOCH_LEN, c->line);
    conform_put(c, "again", "k", "v");
    conform_write_one(c, STORE_APPEND, "again", "m_1", "");
    conform_accounts_limit(c, "again", 7, 0);

    tap_ok(conform_times_reopen(c, 0), "it opens again%s", c->error);
    tap_ok(strcmp(conform_epoch(c), epoch) == 0, "under the same epoch");
    tap_ok(conform_has(c, "again", "k", "v")
           && conform_put(c, "again", "l", "") == 2
           && conform_write_one(c, STORE_APPEND, "again", "m_2", "") == 2
           && conform_holds(c, "again", 2, 3)
           && c->rows.usage.limits.items == 7,
           "all is there, counts go on, limits hold");
}


static inline void
conform_times_health(conform_t *c)
{
    store_health_t  health;

    c->adapter->health(c->store, &health);

    tap_ok(strcmp(health.adapter, c->adapter->name) == 0
           && health.version != NULL && health.queue == 0
           && health.writes > 0 && health.commits > 0 && !health.failed,
           "health: %s %s, %llu writes in %llu commits", health.adapter,
           health.version, (unsigned long long) health.writes,
           (unsigned long long) health.commits);
}


/* A file that is no backup, and one of it that is cut. */
static inline void
conform_times_refuse(conform_t *c, const char *backup)
{
    char   path[512];
    char   part[8192];
    FILE  *in, *out;

    snprintf(path, sizeof(path), "%s/bad", c->folder);

    c->error[0] = '\0';
    tap_ok(c->adapter->restore(c->store, path, c->error, sizeof(c->error))
           == -1 && c->error[0] != '\0', "what is not there is not restored: "
           "%s", c->error);

    in = fopen(backup, "rb");
    out = fopen(path, "wb");

    if (in == NULL || out == NULL || fread(part, 1, 5000, in) != 5000
        || fwrite(part, 1, 5000, out) != 5000)
    {
        tap_ok(0, "a cut file is made");
    }

    if (in != NULL) {
        fclose(in);
    }

    if (out != NULL) {
        fclose(out);
    }

    c->error[0] = '\0';
    tap_ok(c->adapter->restore(c->store, path, c->error, sizeof(c->error))
           == -1 && c->error[0] != '\0', "nor a file that is cut: %s",
           c->error);
    (void) unlink(path);

    tap_ok(conform_has(c, "backup", "k", "new")
           && conform_put(c, "backup", "still", "written") != 0,
           "nothing has changed then, and it works on");
}


static inline void
conform_times_backup(conform_t *c)
{
    char  path[512], epoch[STORE_EPOCH_LEN + 1];
    char  padding[6000];

    memset(padding, 'p', sizeof(padding));
    padding[sizeof(padding) - 1] = '\0';

    snprintf(path, sizeof(path), "%s/backup", c->folder);
    snprintf(epoch, sizeof(epoch), "%.*s", STORE_EPOCH_LEN,
             conform_epoch(c));

    conform_log_put(c, "backup", "k", "old");
    conform_log_put(c, "backup", "gone", padding);
    conform_write_one(c, STORE_APPEND, "backup", "m_1", "one");
    conform_accounts_limit(c, "backup", 9, 0);

    tap_ok(c->adapter->backup(c->store, path, c->error, sizeof(c->error))
           == 0, "a backup is made%s", c->error);
    tap_ok(c->adapter->backup(c->store, path, c->error, sizeof(c->error))
           == -1, "a second one of that name is not: %s", c->error);

    conform_log_put(c, "backup", "k", "new");
    conform_write_one(c, STORE_DELETE, "backup", "gone", "");
    conform_write_one(c, STORE_APPEND, "backup", "m_2", "two");
    conform_put(c, "backup-later.a", "k", "v");

    conform_times_refuse(c, path);

    c->error[0] = '\0';
    tap_ok(c->adapter->restore(c->store, path, c->error, sizeof(c->error))
           == 0, "it is restored%s", c->error);
    tap_ok(conform_has(c, "backup", "k", "old")
           && conform_has(c, "backup", "gone", padding)
           && conform_has(c, "backup", "still", NULL)
           && conform_has(c, "backup-later.a", "k", NULL)
           && conform_holds(c, "backup-later", 0, 0)
           && conform_holds(c, "backup", 2, 1 + 3 + 4 + 5999)
           && c->rows.usage.limits.items == 9
           && conform_head(c, STORE_HEAD, "backup") == 1
           && strcmp(conform_changes(c, "backup", 0, 9),
                     "1:put:k 2:put:gone") == 0,
           "items, entries, accounts, limits and changes are those of then");

    conform_epoch(c);
    tap_ok(strlen(c->line) == STORE_EPOCH_LEN && strcmp(c->line, epoch) != 0,
           "the epoch is another one");
    tap_ok(conform_put(c, "backup", "after", "") == 3
           && conform_write_one(c, STORE_APPEND, "backup", "m_2", "") == 2
           && conform_put(c, "fresh.x", "k", "") == 1,
           "it is written on from there");

    tap_ok(conform_times_reopen(c, 0)
           && conform_has(c, "backup", "after", "")
           && conform_holds(c, "backup", 3, 1 + 3 + 4 + 5999 + 5)
           && conform_holds(c, "fresh", 1, 1), "and opens again%s", c->error);

    (void) unlink(path);
}


static inline void
conform_times(conform_t *c)
{
    conform_times_changes(c);
    conform_times_drop(c);
    conform_times_expiry(c);
    conform_times_sweep(c);
    conform_times_health(c);
    conform_times_trim(c);
    conform_times_epoch(c);
    conform_times_backup(c);
}


#endif /* _STORE_CONFORM_TIMES_H_INCLUDED_ */
