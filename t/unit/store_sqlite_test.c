/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The SQLite adapter: what operations and reads promise, as store.h says it.
 * Queue, commits and processes are in store_sqlite_writer_test.c.
 */


#include "store_fixture.h"


static void test_items(fixture_t *f);
static void test_conditions(fixture_t *f);
static void test_condition(fixture_t *f, const char *name,
    store_op_kind_t kind, store_condition_t condition, int present);
static void test_all_or_nothing(fixture_t *f);
static void test_several_operations(fixture_t *f);
static void test_entries(fixture_t *f);
static void test_dedupe(fixture_t *f);
static void test_dedupe_rolls_back(fixture_t *f);
static void test_range(fixture_t *f);
static void test_range_bytes(fixture_t *f);
static void test_feed(fixture_t *f);
static void test_reads_together(fixture_t *f);
static void test_rows_bytes(fixture_t *f);
static void test_drop(fixture_t *f);
static void test_expiry(fixture_t *f);
static void test_limits(fixture_t *f);
static void test_read_limits(fixture_t *f);
static void test_sweep(fixture_t *f);
static void test_reopen(fixture_t *f);


int
main(void)
{
    fixture_t  f;

    fixture_open(&f);

    if (!tap_ok(fixture_store_open(&f), "a store opens in an empty folder%s",
                f.error))
    {
        return tap_done();
    }

    test_items(&f);
    test_conditions(&f);
    test_all_or_nothing(&f);
    test_several_operations(&f);
    test_entries(&f);
    test_dedupe(&f);
    test_dedupe_rolls_back(&f);
    test_range(&f);
    test_range_bytes(&f);
    test_feed(&f);
    test_reads_together(&f);
    test_rows_bytes(&f);
    test_drop(&f);
    test_expiry(&f);
    test_limits(&f);
    test_read_limits(&f);
    test_sweep(&f);
    test_reopen(&f);

    tap_ok(fixture_intact(&f), "the file is intact");

    fixture_close(&f);

    return tap_done();
}


static void
test_items(fixture_t *f)
{
    uint64_t         first, second;
    fixture_write_t  w;

    tap_ok(fixture_has(f, "items", "a", NULL), "an item is absent at first");

    first = fixture_put(f, "items", "a", "one");
    tap_ok(first == 1, "the first item of a namespace has seq 1");
    tap_ok(fixture_has(f, "items", "a", "one"), "it is read back");

    second = fixture_put(f, "items", "a", "two");
    tap_ok(second == 2 && fixture_has(f, "items", "a", "two"),
           "putting it again replaces it and counts on");

    tap_ok(fixture_put(f, "items", "empty", "") == 3
           && fixture_has(f, "items", "empty", ""),
           "an empty value is a value");

    tap_ok(fixture_put(f, "other", "a", "else") == 1
           && fixture_has(f, "items", "a", "two"),
           "another namespace counts for itself and holds its own");

    w.request.count = 0;
    fixture_op(&w, STORE_DELETE, "items", "a");
    tap_ok(fixture_write(f, &w) == STORE_OK && w.results[0].seq == 4
           && fixture_has(f, "items", "a", NULL),
           "a delete takes it away and counts");

    w.request.count = 0;
    fixture_op(&w, STORE_DELETE, "items", "a");
    tap_ok(fixture_write(f, &w) == STORE_OK && w.results[0].seq == 0,
           "a delete of what is absent changes nothing");

    tap_ok(fixture_put(f, "items", "a", "three") == 5,
           "an item that comes back never has an old seq");
}


static void
test_conditions(fixture_t *f)
{
    fixture_write_t  w;

    test_condition(f, "a PUT", STORE_PUT, STORE_IF_ABSENT, 0);
    test_condition(f, "a PUT", STORE_PUT, STORE_IF_PRESENT, 1);
    test_condition(f, "a CHECK", STORE_CHECK, STORE_IF_ABSENT, 0);
    test_condition(f, "a CHECK", STORE_CHECK, STORE_IF_PRESENT, 1);
    test_condition(f, "a DELETE", STORE_DELETE, STORE_IF_ABSENT, 0);
    test_condition(f, "a DELETE", STORE_DELETE, STORE_IF_PRESENT, 1);

    fixture_put(f, "seq", "k", "one");

    w.request.count = 0;
    fixture_op(&w, STORE_PUT, "seq", "k")->condition = STORE_IF_SEQ;
    w.ops[0].if_seq = 1;
    w.ops[0].value = bytes_of("two");
    tap_ok(fixture_write(f, &w) == STORE_OK && w.results[0].seq == 2,
           "a PUT if seq is 1 holds when it is");

    tap_ok(fixture_write(f, &w) == STORE_CONDITION
           && w.results[0].rc == STORE_CONDITION
           && w.results[0].seq == 2 && w.request.failed == 0,
           "the same again does not, and says that seq is 2");

    w.ops[0].key = bytes_of("none");
    tap_ok(fixture_write(f, &w) == STORE_CONDITION && w.results[0].seq == 0,
           "what is absent has no seq");

    tap_ok(fixture_has(f, "seq", "k", "two"),
           "a condition that did not hold changed nothing");
}


/* The condition holds on an item that is there (or not), and only then. */
static void
test_condition(fixture_t *f, const char *name, store_op_kind_t kind,
    store_condition_t condition, int present)
{
    int              i;
    store_rc_t       rc;
    fixture_write_t  w;

    static const char *const  keys[] = { "gone", "there" };

    for (i = 0; i < 2; i++) {
        fixture_put(f, "conditions", "there", "x");

        w.request.count = 0;
        fixture_op(&w, STORE_DELETE, "conditions", "gone");
        fixture_write(f, &w);

        w.request.count = 0;
        fixture_op(&w, kind, "conditions", keys[i])->condition = condition;
        rc = fixture_write(f, &w);

        tap_ok(rc == ((i == present) ? STORE_OK : STORE_CONDITION),
               "%s if %s on what is %s: %s", name,
               present ? "present" : "absent", keys[i],
               (i == present) ? "holds" : "does not");
    }
}


static void
test_all_or_nothing(fixture_t *f)
{
    uint64_t         head;
    fixture_write_t  w;

    fixture_append(f, "whole", "m_1", "first");
    head = fixture_head(f, "whole");

    w.request.count = 0;
    fixture_op(&w, STORE_PUT, "whole", "a")->value = bytes_of("lost");
    fixture_op(&w, STORE_PUT, "whole-too", "a")->value = bytes_of("lost");
    fixture_op(&w, STORE_APPEND, "whole", "m_2")->value = bytes_of("lost");
    fixture_op(&w, STORE_CHECK, "whole", "none")->condition
        = STORE_IF_PRESENT;
    fixture_op(&w, STORE_PUT, "whole", "b")->value = bytes_of("never");

    tap_ok(fixture_write(f, &w) == STORE_CONDITION && w.request.failed == 3,
           "one condition of five operations fails the request, and it says "
           "which");
    tap_ok(w.results[0].rc == STORE_CONDITION && w.results[0].seq == 0
           && w.results[2].seq == 0,
           "no operation of it has a result");
    tap_ok(fixture_has(f, "whole", "a", NULL)
           && fixture_has(f, "whole-too", "a", NULL)
           && fixture_head(f, "whole") == head,
           "nothing of it is there, in no namespace");
    tap_ok(fixture_append(f, "whole", "m_3", "next") == head + 1,
           "the seq that it had is given to the next");
}


static void
test_several_operations(fixture_t *f)
{
    fixture_write_t  w;

    w.request.count = 0;
    fixture_op(&w, STORE_PUT, "several", "a")->value = bytes_of("1");
    fixture_op(&w, STORE_PUT, "several", "a")->value = bytes_of("2");
    fixture_op(&w, STORE_CHECK, "several", "a")->condition
        = STORE_IF_PRESENT;
    fixture_op(&w, STORE_APPEND, "several", "m_1")->value = bytes_of("x");
    fixture_op(&w, STORE_APPEND, "several", "m_2")->value = bytes_of("y");
    fixture_op(&w, STORE_DELETE, "several", "a");

    tap_ok(fixture_write(f, &w) == STORE_OK
           && w.results[0].seq == 1 && w.results[1].seq == 2
           && w.results[2].seq == 2 && w.results[5].seq == 3,
           "operations of a request see what those before them did");
    tap_ok(w.results[3].seq == 1 && w.results[4].seq == 2,
           "entries count apart from items");
}


static void
test_entries(fixture_t *f)
{
    int              i;
    char             id[16];
    store_read_t     read;
    store_rows_t     rows;
    fixture_write_t  w;

    tap_ok(fixture_head(f, "entries") == 0, "a new namespace ends at 0");

    for (i = 1; i <= 3; i++) {
        snprintf(id, sizeof(id), "m_%d", i);
        tap_ok(fixture_append(f, "entries", id, id) == (uint64_t) i,
               "entry %d has seq %d", i, i);
    }

    tap_ok(fixture_head(f, "entries") == 3, "the namespace ends at 3");

    w.request.count = 0;
    fixture_op(&w, STORE_APPEND, "entries", "m_2");
    tap_ok(fixture_write(f, &w) == STORE_CONDITION
           && fixture_head(f, "entries") == 3,
           "an id that is taken is refused");

    memset(&read, 0, sizeof(store_read_t));
    read.kind = STORE_FEED;
    read.key = bytes_of("m_2");

    tap_ok(fixture_read(f, &read, "entries", &rows) == STORE_OK
           && rows.count == 1 && rows.rows[0].seq == 2
           && bytes_equal_text(rows.rows[0].value, "m_2")
           && rows.rows[0].at_ms > store_sqlite_now_ms() - 60000
           && rows.rows[0].at_ms <= store_sqlite_now_ms(),
           "an entry is found by its id, with seq, value and time");
    store_rows_release(&rows, 1);

    read.key = bytes_of("m_9");
    tap_ok(fixture_read(f, &read, "entries", &rows) == STORE_OK
           && rows.count == 0 && rows.head == 3, "an unknown id finds none");
    store_rows_release(&rows, 1);
}


static void
test_dedupe(fixture_t *f)
{
    fixture_write_t  w;

    w.request.count = 0;
    fixture_op(&w, STORE_APPEND, "dedupe", "m_1")->value = bytes_of("one");
    w.ops[0].dedupe = bytes_of("p_ada/1");
    tap_ok(fixture_write(f, &w) == STORE_OK && w.results[0].seq == 1,
           "an entry with a dedupe key is appended");

    w.request.count = 0;
    fixture_op(&w, STORE_APPEND, "dedupe", "m_2")->value = bytes_of("two");
    w.ops[0].dedupe = bytes_of("p_ada/1");
    fixture_op(&w, STORE_PUT, "dedupe", "seen");

    tap_ok(fixture_write(f, &w) == STORE_OK
           && w.results[0].rc == STORE_EXISTS
           && w.results[0].seq == 1
           && bytes_equal_text(w.results[0].key, "m_1")
           && bytes_equal_text(w.results[0].value, "one"),
           "a repeat gives seq, id and value of the stored entry");
    tap_ok(w.results[1].rc == STORE_OK && fixture_has(f, "dedupe", "seen", ""),
           "the rest of its request is applied");
    store_request_release(&w.request);

    w.request.count = 1;
    w.ops[0].dedupe = bytes_of("p_ada/2");
    tap_ok(fixture_write(f, &w) == STORE_OK && w.results[0].rc == STORE_OK
           && w.results[0].seq == 2, "another key is another entry, no seq "
           "was lost");

    w.ops[0].ns = bytes_of("dedupe-too");
    tap_ok(fixture_write(f, &w) == STORE_OK && w.results[0].rc == STORE_OK,
           "the key counts in its namespace only");
}


static void
test_dedupe_rolls_back(fixture_t *f)
{
    fixture_write_t  w;

    w.request.count = 0;
    fixture_op(&w, STORE_APPEND, "dedupe", "m_7")->dedupe = bytes_of("back");
    fixture_op(&w, STORE_APPEND, "dedupe", "m_8")->dedupe = bytes_of("back");
    fixture_op(&w, STORE_CHECK, "dedupe", "none")->condition
        = STORE_IF_PRESENT;

    tap_ok(fixture_write(f, &w) == STORE_CONDITION
           && w.results[1].rc == STORE_CONDITION
           && w.results[1].value.data == NULL,
           "a failed request holds no stored value");

    w.request.count = 2;
    tap_ok(fixture_write(f, &w) == STORE_OK && w.results[0].rc == STORE_OK
           && w.results[1].rc == STORE_EXISTS
           && w.results[1].seq == w.results[0].seq,
           "a dedupe key of a failed request is free, and is known in its "
           "own request");
    store_request_release(&w.request);
}


static void
test_range(fixture_t *f)
{
    size_t        i;
    store_read_t  read;

    static const char *const  keys[] = {
        "a", "b/1", "b/2", "b/3", "b/4", "b0", "c"
    };

    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        fixture_put(f, "range", keys[i], "");
    }

    memset(&read, 0, sizeof(store_read_t));
    read.kind = STORE_RANGE;
    read.limit = 10;

    tap_ok(strcmp(fixture_list(f, &read, "range"),
                  "a b/1 b/2 b/3 b/4 b0 c") == 0, "all keys, in order");

    read.limit = 7;
    tap_ok(strcmp(fixture_list(f, &read, "range"),
                  "a b/1 b/2 b/3 b/4 b0 c") == 0,
           "a limit that just holds them: no more");

    read.key = bytes_of("b/");
    read.limit = 3;
    tap_ok(strcmp(fixture_list(f, &read, "range"), "b/1 b/2 b/3 +") == 0,
           "a prefix and a limit: there are more");

    read.after_key = bytes_of("b/3");
    tap_ok(strcmp(fixture_list(f, &read, "range"), "b/4") == 0,
           "the next page ends with the prefix");

    read.after_key = bytes_of("b/4");
    tap_ok(strcmp(fixture_list(f, &read, "range"), "") == 0,
           "past the last there is nothing");

    read.after_key = bytes_of("a");
    tap_ok(strcmp(fixture_list(f, &read, "range"), "b/1 b/2 b/3 +") == 0,
           "a start before the prefix is the prefix");

    read.after_key = bytes_make(NULL, 0);
    read.reverse = 1;
    tap_ok(strcmp(fixture_list(f, &read, "range"), "b/4 b/3 b/2 +") == 0,
           "reverse begins at the end of the prefix");

    read.after_key = bytes_of("b/2");
    tap_ok(strcmp(fixture_list(f, &read, "range"), "b/1") == 0,
           "reverse goes on below the key");

    read.after_key = bytes_of("z");
    tap_ok(strcmp(fixture_list(f, &read, "range"), "b/4 b/3 b/2 +") == 0,
           "a start above the prefix is the prefix's end");

    tap_ok(strcmp(fixture_list(f, &read, "no-such-ns"), "") == 0,
           "an unknown namespace is empty");
}


/* Keys are bytes: order, prefixes and the ends of the key space. */
static void
test_range_bytes(fixture_t *f)
{
    size_t           i;
    uint8_t          longest[STORE_KEY_MAX];
    store_read_t     read;
    store_rows_t     rows;
    fixture_write_t  w;

    static const bytes_t  keys[] = {
        bytes_literal("\x00"), bytes_literal("\x00\x00"),
        bytes_literal("a\x00"), bytes_literal("a\xff"),
        bytes_literal("a\xff\xff"), bytes_literal("b"),
        bytes_literal("\xff\xff")
    };

    memset(longest, 0xff, sizeof(longest));

    for (i = 0; i <= sizeof(keys) / sizeof(keys[0]); i++) {
        w.request.count = 0;
        fixture_op(&w, STORE_PUT, "bytes", "");
        w.ops[0].key = (i < sizeof(keys) / sizeof(keys[0]))
                       ? keys[i] : bytes_make(longest, sizeof(longest));
        fixture_write(f, &w);
    }

    memset(&read, 0, sizeof(store_read_t));
    read.kind = STORE_RANGE;
    read.limit = 100;

    fixture_read(f, &read, "bytes", &rows);
    tap_ok(rows.count == 8 && bytes_equal(rows.rows[0].key, keys[0])
           && rows.rows[7].key.len == STORE_KEY_MAX,
           "keys are bytes, from a zero to 512 of ff");
    store_rows_release(&rows, 1);

    read.key = bytes_make("a\xff", 2);
    fixture_read(f, &read, "bytes", &rows);
    tap_ok(rows.count == 2, "a prefix that ends with ff");
    store_rows_release(&rows, 1);

    read.key = bytes_make("\xff", 1);
    fixture_read(f, &read, "bytes", &rows);
    tap_ok(rows.count == 2, "a prefix of ff alone reaches the end");
    store_rows_release(&rows, 1);

    read.after_key = bytes_make(longest, sizeof(longest));
    fixture_read(f, &read, "bytes", &rows);
    tap_ok(rows.count == 0, "nothing is past the longest key");
    store_rows_release(&rows, 1);

    read.key = bytes_make(NULL, 0);
    read.after_key = keys[0];
    read.limit = 1;
    fixture_read(f, &read, "bytes", &rows);
    tap_ok(rows.count == 1 && bytes_equal(rows.rows[0].key, keys[1]),
           "the key after a zero is two of them");
    store_rows_release(&rows, 1);
}


static void
test_feed(fixture_t *f)
{
    int           i;
    char          id[16];
    store_read_t  read;
    store_rows_t  rows;

    for (i = 1; i <= 9; i++) {
        snprintf(id, sizeof(id), "m%d", i);
        fixture_append(f, "feed", id, id);
    }

    fixture_append(f, "feed-too", "other", "");

    memset(&read, 0, sizeof(store_read_t));
    read.kind = STORE_FEED;
    read.limit = 9;

    tap_ok(strcmp(fixture_list(f, &read, "feed"),
                  "m1 m2 m3 m4 m5 m6 m7 m8 m9") == 0,
           "a feed is in the order of seq, and of its namespace only");

    read.limit = 2;
    read.after = 3;
    tap_ok(strcmp(fixture_list(f, &read, "feed"), "m4 m5 +") == 0,
           "after 3, two");

    read.before = 6;
    tap_ok(strcmp(fixture_list(f, &read, "feed"), "m4 m5") == 0,
           "after 3 and before 6: both, and no more");

    read.after = 0;
    read.before = 0;
    read.reverse = 1;
    tap_ok(strcmp(fixture_list(f, &read, "feed"), "m9 m8 +") == 0,
           "the newest two");

    read.before = 8;
    tap_ok(strcmp(fixture_list(f, &read, "feed"), "m7 m6 +") == 0,
           "the two before 8");

    read.before = 2;
    tap_ok(strcmp(fixture_list(f, &read, "feed"), "m1") == 0,
           "the last page");

    read.before = 1;
    tap_ok(strcmp(fixture_list(f, &read, "feed"), "") == 0,
           "before 1 is nothing");

    read.before = 0;
    read.after = 9;
    tap_ok(fixture_read(f, &read, "feed", &rows) == STORE_OK
           && rows.count == 0 && rows.head == 9,
           "after the last is nothing, but the head is told");
    store_rows_release(&rows, 1);

    read.after = UINT64_MAX;
    tap_ok(strcmp(fixture_list(f, &read, "feed"), "") == 0,
           "after the highest number is nothing");
}


static void
test_reads_together(fixture_t *f)
{
    store_read_t  reads[4];
    store_rows_t  rows[4];

    memset(reads, 0, sizeof(reads));

    reads[0].kind = STORE_GET;
    reads[0].ns = bytes_of("items");
    reads[0].key = bytes_of("no such key");
    reads[1].kind = STORE_GET;
    reads[1].ns = bytes_of("range");
    reads[1].key = bytes_of("c");
    reads[2].kind = STORE_HEAD;
    reads[2].ns = bytes_of("feed");
    reads[3].kind = STORE_FEED;
    reads[3].ns = bytes_of("feed");
    reads[3].limit = 1;

    tap_ok(store_sqlite.read(f->store, reads, rows, 4) == STORE_OK
           && rows[0].rc == STORE_ABSENT && rows[0].count == 0
           && rows[1].rc == STORE_OK && rows[1].count == 1
           && rows[2].rc == STORE_OK && rows[2].head == 9
           && rows[3].count == 1 && rows[3].head == 9 && rows[3].more,
           "four reads in one request, each with its own outcome");
    store_rows_release(rows, 4);
}


/* Sixteen values of a mebibyte: a read stops at the bound and says so. */
static void
test_rows_bytes(fixture_t *f)
{
    int              i;
    char             key[16];
    size_t           n;
    uint8_t         *value;
    store_read_t     reads[2];
    store_rows_t     rows[2];
    fixture_write_t  w;

    value = calloc(1, STORE_VALUE_MAX);
    if (value == NULL) {
        tap_ok(0, "memory for a value");
        return;
    }

    for (i = 10; i < 26; i++) {
        snprintf(key, sizeof(key), "%d", i);
        w.request.count = 0;
        fixture_op(&w, STORE_PUT, "large", key)->value
            = bytes_make(value, STORE_VALUE_MAX);
        fixture_write(f, &w);
    }

    memset(reads, 0, sizeof(reads));
    reads[0].kind = STORE_RANGE;
    reads[0].ns = bytes_of("large");
    reads[0].limit = 100;
    reads[1] = reads[0];

    n = 0;

    if (store_sqlite.read(f->store, reads, rows, 2) == STORE_OK) {
        n = rows[0].count;
        tap_ok(n == 8 && rows[0].more && rows[1].count == 1 && rows[1].more,
               "a read of 16 MiB gives 8, the next one of the request gives "
               "one row, both say that there is more");
        store_rows_release(rows, 2);
    }

    free(value);
}


static void
test_drop(fixture_t *f)
{
    fixture_write_t  w;

    fixture_put(f, "drop", "k", "old");
    fixture_put(f, "drop", "l", "old");

    w.request.count = 0;
    fixture_op(&w, STORE_APPEND, "drop", "m_1")->dedupe = bytes_of("d");
    fixture_write(f, &w);

    w.request.count = 0;
    fixture_op(&w, STORE_DROP, "drop", "");
    tap_ok(fixture_write(f, &w) == STORE_OK, "a namespace is dropped");
    tap_ok(fixture_has(f, "drop", "k", NULL)
           && fixture_head(f, "drop") == 1,
           "its items are gone, its count is not");

    w.request.count = 0;
    fixture_op(&w, STORE_APPEND, "drop", "m_1")->dedupe = bytes_of("d");
    tap_ok(fixture_write(f, &w) == STORE_OK && w.results[0].rc == STORE_OK
           && w.results[0].seq == 2,
           "ids and dedupe keys of before are free, seq goes on");

    tap_ok(fixture_put(f, "drop", "k", "new") == 4
           && fixture_has(f, "drop", "k", "new"),
           "the seq of items goes on as well, past the drop's");

    w.request.count = 0;
    fixture_op(&w, STORE_DROP, "never-was", "");
    tap_ok(fixture_write(f, &w) == STORE_OK, "a drop of nothing is fine");
}


static void
test_expiry(fixture_t *f)
{
    int              gone;
    int64_t          now;
    store_read_t     read;
    fixture_write_t  w;

    now = store_sqlite_now_ms();

    w.request.count = 0;
    fixture_op(&w, STORE_PUT, "expiry", "past")->expires_ms = now - 1;
    fixture_op(&w, STORE_PUT, "expiry", "soon")->expires_ms = now + 100;
    fixture_op(&w, STORE_PUT, "expiry", "late")->expires_ms = now + 600000;
    fixture_op(&w, STORE_PUT, "expiry", "never");
    fixture_write(f, &w);

    tap_ok(fixture_has(f, "expiry", "past", NULL)
           && fixture_has(f, "expiry", "late", "")
           && fixture_has(f, "expiry", "never", ""),
           "what has expired is absent");

    gone = 0;

    while (!gone && store_sqlite_now_ms() < now + FIXTURE_WAIT_MS) {
        gone = fixture_has(f, "expiry", "soon", NULL);
    }

    tap_ok(gone && store_sqlite_now_ms() >= now + 100,
           "an item expires by itself, at its time");

    memset(&read, 0, sizeof(store_read_t));
    read.kind = STORE_RANGE;
    read.limit = 10;
    tap_ok(strcmp(fixture_list(f, &read, "expiry"), "late never") == 0,
           "a range does not show it");

    w.request.count = 0;
    fixture_op(&w, STORE_CHECK, "expiry", "soon")->condition
        = STORE_IF_PRESENT;
    tap_ok(fixture_write(f, &w) == STORE_CONDITION,
           "for a condition it is absent");

    w.request.count = 0;
    fixture_op(&w, STORE_PUT, "expiry", "past")->condition = STORE_IF_ABSENT;
    tap_ok(fixture_write(f, &w) == STORE_OK && w.results[0].seq == 5
           && fixture_has(f, "expiry", "past", ""),
           "it may be put anew");
}


static void
test_limits(fixture_t *f)
{
    size_t           i;
    uint8_t         *big;
    store_op_t       many[STORE_OPS_MAX + 1];
    store_result_t   results[STORE_OPS_MAX + 1];
    store_request_t  request;
    fixture_write_t  w;

    big = calloc(1, STORE_VALUE_MAX + 1);
    if (big == NULL) {
        tap_ok(0, "memory for a value");
        return;
    }

    w.request.count = 0;
    fixture_op(&w, STORE_PUT, "limits", "k");

    w.ops[0].value = bytes_make(big, STORE_VALUE_MAX + 1);
    tap_ok(fixture_write(f, &w) == STORE_INVALID, "a value too large");
    w.ops[0].value = bytes_make(NULL, 0);

    w.ops[0].key = bytes_make(big, STORE_KEY_MAX + 1);
    tap_ok(fixture_write(f, &w) == STORE_INVALID, "a key too long");
    w.ops[0].key = bytes_make(NULL, 0);
    tap_ok(fixture_write(f, &w) == STORE_INVALID, "no key");
    w.ops[0].key = bytes_make(big, STORE_KEY_MAX);
    tap_ok(fixture_write(f, &w) == STORE_OK, "the longest key");

    w.ops[0].ns = bytes_make(big, STORE_NS_MAX + 1);
    tap_ok(fixture_write(f, &w) == STORE_INVALID, "a namespace too long");
    w.ops[0].ns = bytes_make(NULL, 0);
    tap_ok(fixture_write(f, &w) == STORE_INVALID, "no namespace");
    w.ops[0].ns = bytes_of("limits");

    w.ops[0].expires_ms = -1;
    tap_ok(fixture_write(f, &w) == STORE_INVALID, "an expiry before time");
    w.ops[0].expires_ms = 0;

    w.ops[0].kind = STORE_APPEND;
    w.ops[0].condition = STORE_IF_ABSENT;
    tap_ok(fixture_write(f, &w) == STORE_INVALID, "an entry with a condition");

    w.ops[0].kind = (store_op_kind_t) 99;
    w.ops[0].condition = STORE_ANY;
    tap_ok(fixture_write(f, &w) == STORE_INVALID, "an unknown operation");

    w.request.count = 0;
    tap_ok(fixture_write(f, &w) == STORE_INVALID, "no operation");

    for (i = 0; i <= STORE_OPS_MAX; i++) {
        many[i] = w.ops[0];
        many[i].kind = STORE_PUT;
    }

    memset(&request, 0, sizeof(store_request_t));
    request.ops = many;
    request.results = results;
    request.count = STORE_OPS_MAX + 1;
    tap_ok(store_sqlite.submit(f->store, &request) == STORE_INVALID,
           "operations too many");

    request.count = STORE_OPS_MAX;
    tap_ok(store_sqlite.submit(f->store, &request) == STORE_OK
           && fixture_take(f, 1) == 1 && request.rc == STORE_OK,
           "the most operations");

    free(big);
}


static void
test_read_limits(fixture_t *f)
{
    size_t        i;
    store_read_t  reads[STORE_READS_MAX + 1];
    store_rows_t  rows[STORE_READS_MAX + 1];

    memset(reads, 0, sizeof(reads));

    for (i = 0; i <= STORE_READS_MAX; i++) {
        reads[i].kind = STORE_HEAD;
        reads[i].ns = bytes_of("feed");
    }

    tap_ok(store_sqlite.read(f->store, reads, rows, STORE_READS_MAX + 1)
           == STORE_INVALID, "reads too many");
    tap_ok(store_sqlite.read(f->store, reads, rows, 0) == STORE_INVALID,
           "no read");
    tap_ok(store_sqlite.read(f->store, reads, rows, STORE_READS_MAX)
           == STORE_OK && rows[STORE_READS_MAX - 1].head == 9,
           "the most reads");
    store_rows_release(rows, STORE_READS_MAX);

    reads[0].kind = STORE_FEED;
    tap_ok(store_sqlite.read(f->store, reads, rows, 1) == STORE_INVALID,
           "a feed without a limit");
    reads[0].limit = STORE_LIMIT_MAX + 1;
    tap_ok(store_sqlite.read(f->store, reads, rows, 1) == STORE_INVALID,
           "a limit too high");

    reads[0].kind = STORE_GET;
    tap_ok(store_sqlite.read(f->store, reads, rows, 1) == STORE_INVALID,
           "a get without a key");

    reads[0].kind = (store_read_kind_t) 99;
    tap_ok(store_sqlite.read(f->store, reads, rows, 1) == STORE_INVALID,
           "an unknown read");
}


/* What has expired and what was dropped leave the file while it is idle. */
static void
test_sweep(fixture_t *f)
{
    int              i, left;
    char             key[32];
    int64_t          until;
    fixture_write_t  w;

    for (i = 0; i < 300; i++) {
        snprintf(key, sizeof(key), "m_%d", i);
        w.request.count = 0;
        fixture_op(&w, STORE_APPEND, "swept", key);
        fixture_op(&w, STORE_PUT, "swept", key);
        fixture_op(&w, STORE_PUT, "swept-too", key)->expires_ms = 1;
        fixture_write(f, &w);
    }

    w.request.count = 0;
    fixture_op(&w, STORE_DROP, "swept", "");
    fixture_write(f, &w);

    until = store_sqlite_now_ms() + FIXTURE_WAIT_MS;

    do {
        left = (int) fixture_sql(f, "SELECT (SELECT count(*) FROM dropped)"
                                 " + (SELECT count(*) FROM item"
                                 "    WHERE expires_ms = 1)");
        usleep(20000);
    } while (left != 0 && store_sqlite_now_ms() < until);

    tap_ok(left == 0, "expired items and dropped namespaces are swept");
    tap_ok(fixture_sql(f, "SELECT (SELECT count(*) FROM item WHERE ns NOT IN"
                       " (SELECT id FROM namespace)) + (SELECT count(*)"
                       " FROM entry WHERE ns NOT IN"
                       " (SELECT id FROM namespace))") == 0,
           "no row of them is left");
    tap_ok(fixture_has(f, "range", "b/1", "")
           && fixture_has(f, "drop", "k", "new")
           && fixture_head(f, "feed") == 9,
           "the others are all there");
}


static void
test_reopen(fixture_t *f)
{
    store_health_t  health;

    fixture_store_close(f);
    tap_ok(fixture_store_open(f), "the store opens again%s", f->error);

    tap_ok(fixture_has(f, "items", "a", "three")
           && fixture_head(f, "entries") == 3
           && fixture_append(f, "entries", "m_4", "") == 4,
           "all is there, and seq goes on");

    store_sqlite.health(f->store, &health);
    tap_ok(strcmp(health.adapter, "sqlite") == 0 && health.commits == 1
           && health.writes == 1 && !health.failed && health.queue == 0,
           "health tells what was written since: %llu commits, SQLite %s",
           (unsigned long long) health.commits, health.version);
}
