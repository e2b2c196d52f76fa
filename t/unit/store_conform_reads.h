/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Of the conformance suite: reads.
 */


#ifndef _STORE_CONFORM_READS_H_INCLUDED_
#define _STORE_CONFORM_READS_H_INCLUDED_


static inline void
conform_reads_range(conform_t *c)
{
    size_t         i;
    store_read_t  *read;

    static const char *const  keys[] = {
        "b/3", "a", "b/1", "c", "b/4", "b0", "b/2"
    };

    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        conform_put(c, "range", keys[i], "");
    }

    read = conform_read(c, STORE_RANGE, "range");

    tap_ok(strcmp(conform_keys(c), "a b/1 b/2 b/3 b/4 b0 c") == 0,
           "all keys, in order");
    read->limit = 7;
    tap_ok(strcmp(conform_keys(c), "a b/1 b/2 b/3 b/4 b0 c") == 0,
           "a limit that just holds them: no more");

    read->key = bytes_of("b/");
    read->limit = 3;
    tap_ok(strcmp(conform_keys(c), "b/1 b/2 b/3 +") == 0,
           "a prefix and a limit: there are more");
    read->after_key = bytes_of("b/3");
    tap_ok(strcmp(conform_keys(c), "b/4") == 0,
           "the next page ends with the prefix");
    read->after_key = bytes_of("b/4");
    tap_ok(strcmp(conform_keys(c), "") == 0, "past the last is nothing");
    read->after_key = bytes_of("a");
    tap_ok(strcmp(conform_keys(c), "b/1 b/2 b/3 +") == 0,
           "a start before the prefix is the prefix");

    read->after_key = bytes_make(NULL, 0);
    read->reverse = 1;
    tap_ok(strcmp(conform_keys(c), "b/4 b/3 b/2 +") == 0,
           "reverse begins at the end of the prefix");
    read->after_key = bytes_of("b/2");
    tap_ok(strcmp(conform_keys(c), "b/1") == 0,
           "reverse goes on below the key");
    read->after_key = bytes_of("z");
    tap_ok(strcmp(conform_keys(c), "b/4 b/3 b/2 +") == 0,
           "a start above the prefix is the prefix's end");

    read = conform_read(c, STORE_RANGE, "range");
    read->from_key = bytes_of("b/2");
    read->to_key = bytes_of("b0");
    tap_ok(strcmp(conform_keys(c), "b/2 b/3 b/4") == 0,
           "from a key on, below a key");
    read->reverse = 1;
    tap_ok(strcmp(conform_keys(c), "b/4 b/3 b/2") == 0, "the same reversed");
    read->after_key = bytes_of("b/4");
    read->limit = 1;
    tap_ok(strcmp(conform_keys(c), "b/3 +") == 0, "its next page");
    read->reverse = 0;
    read->after_key = bytes_of("b/2");
    tap_ok(strcmp(conform_keys(c), "b/3 +") == 0, "the page of the other way");
    read->after_key = bytes_of("a");
    tap_ok(strcmp(conform_keys(c), "b/2 +") == 0,
           "a page from before the range is its first");
    read->after_key = bytes_make(NULL, 0);
    read->limit = 10;
    read->key = bytes_of("b/");
    read->from_key = bytes_of("a");
    read->to_key = bytes_of("z");
    tap_ok(strcmp(conform_keys(c), "b/1 b/2 b/3 b/4") == 0,
           "a prefix narrows a wider range");
    read->key = bytes_make(NULL, 0);
    read->from_key = bytes_of("c");
    read->to_key = bytes_of("b");
    tap_ok(strcmp(conform_keys(c), "") == 0,
           "a range that ends before it begins is empty");
    read->from_key = bytes_of("b/2");
    read->to_key = bytes_of("b/2");
    tap_ok(strcmp(conform_keys(c), "") == 0,
           "so is one that ends where it begins");

    conform_read(c, STORE_RANGE, "no-such-ns");
    tap_ok(strcmp(conform_keys(c), "") == 0,
           "an unknown namespace is empty");
}


/* Keys are bytes: order, prefixes and the ends of the key space. */
static inline void
conform_reads_bytes(conform_t *c)
{
    size_t         i;
    uint8_t        longest[STORE_KEY_MAX];
    store_read_t  *read;

    static const bytes_t  keys[] = {
        bytes_literal("\x00"), bytes_literal("\x00\x00"),
        bytes_literal("a\x00"), bytes_literal("a\xff"),
        bytes_literal("a\xff\xff"), bytes_literal("b"),
        bytes_literal("\xff\xff")
    };

    memset(longest, 0xff, sizeof(longest));

    for (i = 0; i <= sizeof(keys) / sizeof(keys[0]); i++) {
        conform_begin(c);
        conform_op(c, STORE_PUT, "bytes", "")->key
            = (i < sizeof(keys) / sizeof(keys[0]))
              ? keys[i] : bytes_make(longest, sizeof(longest));
        conform_write(c);
    }

    read = conform_read(c, STORE_RANGE, "bytes");
    conform_rows(c);
    tap_ok(c->rows.count == 8 && bytes_equal(c->rows.rows[0].key, keys[0])
           && bytes_equal(c->rows.rows[2].key, keys[2])
           && c->rows.rows[7].key.len == STORE_KEY_MAX,
           "keys are bytes, from a zero to the longest of ff");
    conform_release(c);

    read->key = bytes_make("a\xff", 2);
    conform_rows(c);
    tap_ok(c->rows.count == 2, "a prefix that ends with ff");
    conform_release(c);

    read->key = bytes_make("\xff", 1);
    conform_rows(c);
    tap_ok(c->rows.count == 2, "a prefix of ff alone reaches the end");
    conform_release(c);

    read->after_key = bytes_make(longest, sizeof(longest));
    conform_rows(c);
    tap_ok(c->rows.count == 0, "nothing is past the longest key");
    conform_release(c);

    read->key = bytes_make(NULL, 0);
    read->after_key = keys[0];
    read->limit = 1;
    conform_rows(c);
    tap_ok(c->rows.count == 1 && bytes_equal(c->rows.rows[0].key, keys[1]),
           "the key after a zero is two of them");
    conform_release(c);

    read->after_key = bytes_make(NULL, 0);
    read->to_key = keys[1];
    read->limit = 9;
    conform_rows(c);
    tap_ok(c->rows.count == 1 && !c->rows.more,
           "below two zeroes there is one");
    conform_release(c);
}


static inline void
conform_reads_feed(conform_t *c)
{
    int            i;
    char           id[16];
    store_read_t  *read;

    for (i = 1; i <= 9; i++) {
        snprintf(id, sizeof(id), "m%d", i);
        conform_write_one(c, STORE_APPEND, "feed", id, id);
    }

    conform_write_one(c, STORE_APPEND, "feed-too", "other", "");

    read = conform_read(c, STORE_FEED, "feed");
    read->limit = 9;
    tap_ok(strcmp(conform_keys(c), "m1 m2 m3 m4 m5 m6 m7 m8 m9") == 0,
           "a feed is in the order of seq, and of its namespace only");
    read->limit = 2;
    read->after = 3;
    tap_ok(strcmp(conform_keys(c), "m4 m5 +") == 0, "after 3, two");
    read->before = 6;
    tap_ok(strcmp(conform_keys(c), "m4 m5") == 0,
           "after 3 and before 6: both, and no more");
    read->after = 0;
    read->before = 0;
    read->reverse = 1;
    tap_ok(strcmp(conform_keys(c), "m9 m8 +") == 0, "the newest two");
    read->before = 8;
    tap_ok(strcmp(conform_keys(c), "m7 m6 +") == 0, "the two before 8");
    read->before = 2;
    tap_ok(strcmp(conform_keys(c), "m1") == 0, "the last page");
    read->before = 1;
    tap_ok(strcmp(conform_keys(c), "") == 0, "before 1 is nothing");
    read->before = 0;
    read->after = 9;
    conform_rows(c);
    tap_ok(c->rows.count == 0 && c->rows.head == 9,
           "after the last is nothing, but the head is told");
    conform_release(c);
    read->after = UINT64_MAX;
    tap_ok(strcmp(conform_keys(c), "") == 0,
           "after the highest number is nothing");
}


static inline void
conform_reads_together(conform_t *c)
{
    int            i;
    size_t         n;
    char           key[16];
    uint8_t       *value;
    store_read_t   reads[5];
    store_rows_t   rows[5];

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
    reads[4].kind = STORE_USAGE;
    reads[4].ns = bytes_of("range");

    tap_ok(c->adapter->read(c->store, reads, rows, 5) == STORE_OK
           && rows[0].rc == STORE_ABSENT && rows[0].count == 0
           && rows[1].rc == STORE_OK && rows[1].count == 1
           && rows[2].rc == STORE_OK && rows[2].head == 9
           && rows[3].count == 1 && rows[3].head == 9 && rows[3].more
           && rows[4].rc == STORE_OK && rows[4].usage.items == 7
           && rows[4].head == 7,
           "five reads in one request, each with its own outcome");
    store_rows_release(rows, 5);

    value = calloc(1, STORE_VALUE_MAX);
    if (value == NULL) {
        tap_ok(0, "memory for a value");
        return;
    }

    for (i = 10; i < 22; i++) {
        snprintf(key, sizeof(key), "%d", i);
        conform_begin(c);
        conform_op(c, STORE_PUT, "large", key)->value
            = bytes_make(value, STORE_VALUE_MAX);
        conform_write(c);
    }

    free(value);

    memset(reads, 0, sizeof(reads));
    reads[0].kind = STORE_RANGE;
    reads[0].ns = bytes_of("large");
    reads[0].limit = 100;
    reads[1] = reads[0];
    reads[2] = reads[0];
    reads[2].keys_only = 1;

    if (!tap_ok(c->adapter->read(c->store, reads, rows, 2) == STORE_OK,
                "large values are read"))
    {
        return;
    }

    n = rows[0].count;
    tap_ok(n >= 7 && n < 12 && rows[0].more && rows[1].count == 1
           && rows[1].more,
           "of 12 MiB it gives 8, the next read of the request gives one "
           "row, both say that there is more");
    store_rows_release(rows, 2);

    tap_ok(c->adapter->read(c->store, &reads[2], rows, 1) == STORE_OK
           && rows[0].count == 12 && !rows[0].more
           && rows[0].rows[11].size == STORE_VALUE_MAX,
           "without their values they all fit");
    store_rows_release(rows, 1);

    conform_write_one(c, STORE_DROP, "large", "", "");
}


static inline void
conform_reads_names(conform_t *c)
{
    store_read_t  *read;

    conform_put(c, "names/b.x.y", "k", "");
    conform_put(c, "names/a", "k", "");
    conform_put(c, "names/a", "k", "");
    conform_write_one(c, STORE_APPEND, "names/a", "m_1", "");
    conform_write_one(c, STORE_APPEND, "names/c", "m_1", "");
    conform_put(c, "names/d", "k", "");
    conform_write_one(c, STORE_DROP, "names/d", "", "");
    conform_begin(c);
    conform_op(c, STORE_CHECK, "names/e", "k");
    conform_op(c, STORE_DELETE, "names/e", "k");
    conform_write(c);

    read = conform_read(c, STORE_NAMES, "");
    read->key = bytes_of("names/");
    tap_ok(strcmp(conform_keys(c), "names/a names/b names/b.x names/b.x.y "
                  "names/c names/d") == 0,
           "names of a prefix, with the accounts above and what was dropped, "
           "without what was never written");
    conform_rows(c);
    tap_ok(c->rows.count == 6 && c->rows.rows[0].seq == 2
           && c->rows.rows[0].entries == 1 && c->rows.rows[1].seq == 0
           && c->rows.rows[1].entries == 0 && c->rows.rows[4].seq == 0
           && c->rows.rows[4].entries == 1 && c->rows.rows[5].seq == 2,
           "with the last seqs of items and entries");
    conform_release(c);

    read->limit = 2;
    tap_ok(strcmp(conform_keys(c), "names/a names/b +") == 0, "a page");
    read->after_key = bytes_of("names/b.x");
    tap_ok(strcmp(conform_keys(c), "names/b.x.y names/c +") == 0,
           "the next page");
}


static inline void
conform_reads_limits(conform_t *c)
{
    size_t         i;
    store_read_t  *reads;
    store_rows_t  *rows;

    static const store_read_kind_t  kinds[] = {
        STORE_RANGE, STORE_FEED, STORE_CHANGES, STORE_NAMES
    };

    reads = calloc(STORE_READS_MAX + 1, sizeof(store_read_t));
    rows = calloc(STORE_READS_MAX + 1, sizeof(store_rows_t));

    if (reads == NULL || rows == NULL) {
        tap_ok(0, "memory");
        exit(1);
    }

    for (i = 0; i <= STORE_READS_MAX; i++) {
        reads[i].kind = STORE_HEAD;
        reads[i].ns = bytes_of("feed");
    }

    tap_ok(c->adapter->read(c->store, reads, rows, STORE_READS_MAX + 1)
           == STORE_INVALID, "reads too many");
    tap_ok(c->adapter->read(c->store, reads, rows, 0) == STORE_INVALID,
           "no read");
    tap_ok(c->adapter->read(c->store, reads, rows, STORE_READS_MAX)
           == STORE_OK && rows[STORE_READS_MAX - 1].head == 9,
           "the most reads");
    store_rows_release(rows, STORE_READS_MAX);

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        reads[0].kind = kinds[i];
        reads[0].limit = 0;
        tap_ok(c->adapter->read(c->store, reads, rows, 1) == STORE_INVALID,
               "a list without a limit");
        reads[0].limit = STORE_LIMIT_MAX + 1;
        tap_ok(c->adapter->read(c->store, reads, rows, 1) == STORE_INVALID,
               "a limit too high");
    }

    reads[0].kind = STORE_GET;
    tap_ok(c->adapter->read(c->store, reads, rows, 1) == STORE_INVALID,
           "a get without a key");
    reads[0].kind = (store_read_kind_t) 99;
    tap_ok(c->adapter->read(c->store, reads, rows, 1) == STORE_INVALID,
           "an unknown read");
    reads[0].kind = STORE_HEAD;
    reads[0].ns = bytes_make(NULL, 0);
    tap_ok(c->adapter->read(c->store, reads, rows, 1) == STORE_INVALID,
           "a read of no namespace");

    free(rows);
    free(reads);
}


static inline void
conform_reads(conform_t *c)
{
    conform_reads_range(c);
    conform_reads_bytes(c);
    conform_reads_feed(c);
    conform_reads_together(c);
    conform_reads_names(c);
    conform_reads_limits(c);
}


#endif /* _STORE_CONFORM_READS_H_INCLUDED_ */
