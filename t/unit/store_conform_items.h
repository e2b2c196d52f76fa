/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Of the conformance suite: operations, one request at a time.
 */


#ifndef _STORE_CONFORM_ITEMS_H_INCLUDED_
#define _STORE_CONFORM_ITEMS_H_INCLUDED_


static inline void
conform_items_basics(conform_t *c)
{
    int64_t       now;
    store_row_t  *row;

    tap_ok(conform_has(c, "items", "a", NULL), "an item is absent at first");
    tap_ok(conform_put(c, "items", "a", "one") == 1
           && conform_has(c, "items", "a", "one"),
           "the first item of a namespace has seq 1 and is read back");
    tap_ok(conform_put(c, "items", "a", "two") == 2
           && conform_has(c, "items", "a", "two"),
           "putting it again replaces it and counts on");
    tap_ok(conform_put(c, "items", "empty", "") == 3
           && conform_has(c, "items", "empty", ""),
           "an empty value is a value");
    tap_ok(conform_put(c, "items-too", "a", "else") == 1
           && conform_has(c, "items", "a", "two"),
           "another namespace counts for itself and holds its own");
    tap_ok(conform_write_one(c, STORE_DELETE, "items", "a", "") == 4
           && conform_has(c, "items", "a", NULL),
           "a delete takes it away and counts");

    conform_begin(c);
    conform_op(c, STORE_DELETE, "items", "a");
    tap_ok(conform_write(c) == STORE_OK && c->results[0].rc == STORE_OK
           && c->results[0].seq == 0,
           "a delete of what is absent is fine, with seq 0");
    tap_ok(conform_put(c, "items", "a", "three") == 5,
           "an item that comes back never has an old seq");

    now = conform_now_ms();
    conform_begin(c);
    conform_op(c, STORE_PUT, "items", "facts")->value = bytes_of("value");
    c->ops[0].meta = bytes_of("meta");
    c->ops[0].weight = 1000;
    c->ops[0].expires_ms = now + 3600000;
    conform_write(c);

    conform_read(c, STORE_GET, "items")->key = bytes_of("facts");
    conform_rows(c);
    row = c->rows.rows;
    tap_ok(c->rows.count == 1 && bytes_equal_text(row->key, "facts")
           && bytes_equal_text(row->value, "value")
           && bytes_equal_text(row->meta, "meta") && row->seq == 6
           && row->size == 5 && row->weight == 1000
           && row->expires_ms == now + 3600000
           && row->at_ms >= now - 1000 && row->at_ms < now + 60000,
           "an item has key, value, meta, seq, size, weight and times");
    conform_release(c);

    c->read.keys_only = 1;
    conform_rows(c);
    tap_ok(c->rows.count == 1 && c->rows.rows->value.len == 0
           && c->rows.rows->size == 5
           && bytes_equal_text(c->rows.rows->meta, "meta"),
           "without its value the size is known");
    conform_release(c);

    conform_put(c, "items", "facts", "");
    tap_ok(c->results[0].number == 0
           && conform_put(c, "items", "created", "") == 8
           && c->results[0].number == 1,
           "a PUT tells whether something was there before");

    conform_read(c, STORE_GET, "items")->key = bytes_of("facts");
    conform_rows(c);
    tap_ok(c->rows.count == 1 && c->rows.rows->meta.len == 0
           && c->rows.rows->weight == 0 && c->rows.rows->expires_ms == 0
           && c->rows.rows->size == 0,
           "a PUT replaces all of that");
    conform_release(c);
}


/* The condition holds on what is there (or not), and only then. */
static inline void
conform_items_condition(conform_t *c, store_op_kind_t kind,
    store_condition_t condition, int present)
{
    int         i;
    uint64_t    seq;
    store_rc_t  rc;

    static const char *const  keys[] = { "gone", "there" };
    static const char *const  names[] = { "PUT", "DELETE", "CHECK", "", "",
                                          "INCR" };

    for (i = 0; i < 2; i++) {
        seq = conform_put(c, "conditions", "there", "1");
        conform_write_one(c, STORE_DELETE, "conditions", "gone", "");

        conform_begin(c);
        conform_op(c, kind, "conditions", keys[i])->condition = condition;
        rc = conform_write(c);

        tap_ok((i == present) ? rc == STORE_OK
                              : rc == STORE_CONDITION
                                && c->results[0].rc == STORE_CONDITION
                                && c->results[0].seq == (i ? seq : 0),
               "a %s if %s on what is %s: %s", names[kind],
               present ? "present" : "absent", keys[i],
               (i == present) ? "holds" : "does not, and tells the seq");
    }
}


static inline void
conform_items_conditions(conform_t *c)
{
    size_t    i;
    uint64_t  seq;

    static const store_op_kind_t  kinds[] = {
        STORE_PUT, STORE_DELETE, STORE_CHECK, STORE_INCR
    };

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        conform_items_condition(c, kinds[i], STORE_IF_ABSENT, 0);
        conform_items_condition(c, kinds[i], STORE_IF_PRESENT, 1);
    }

    seq = conform_put(c, "conditions", "k", "one");

    conform_begin(c);
    conform_op(c, STORE_PUT, "conditions", "k")->condition = STORE_IF_SEQ;
    c->ops[0].if_seq = seq;
    c->ops[0].value = bytes_of("two");
    tap_ok(conform_write(c) == STORE_OK && c->results[0].seq == seq + 1,
           "a PUT if seq is that holds when it is");
    tap_ok(conform_write(c) == STORE_CONDITION
           && c->results[0].seq == seq + 1 && c->request.failed == 0
           && conform_has(c, "conditions", "k", "two"),
           "the same again does not, tells the seq and changes nothing");

    c->ops[0].if_seq = 0;
    c->ops[0].key = bytes_of("none");
    tap_ok(conform_write(c) == STORE_OK,
           "what is absent has seq 0 for a condition");

    conform_begin(c);
    conform_op(c, STORE_CHECK, "conditions", "k");
    tap_ok(conform_write(c) == STORE_OK && c->results[0].seq == seq + 1,
           "a CHECK without a condition tells the seq");
}


static inline void
conform_items_whole(conform_t *c)
{
    uint64_t  head;

    conform_write_one(c, STORE_APPEND, "whole", "m_1", "first");
    head = conform_head(c, STORE_HEAD, "whole");

    conform_begin(c);
    conform_op(c, STORE_PUT, "whole", "a")->log = 1;
    conform_op(c, STORE_PUT, "whole-too.below", "a");
    conform_op(c, STORE_APPEND, "whole", "m_2");
    conform_op(c, STORE_INCR, "whole", "n")->number = 5;
    conform_op(c, STORE_CHECK, "whole", "none")->condition
        = STORE_IF_PRESENT;
    conform_op(c, STORE_PUT, "whole", "b");

    tap_ok(conform_write(c) == STORE_CONDITION && c->request.failed == 4
           && c->results[0].rc == STORE_CONDITION && c->results[0].seq == 0
           && c->results[2].seq == 0 && c->results[3].number == 0
           && c->results[5].rc == STORE_CONDITION,
           "one of six fails the request, says which, and none has a result");
    tap_ok(conform_has(c, "whole", "a", NULL)
           && conform_has(c, "whole", "n", NULL)
           && conform_has(c, "whole-too.below", "a", NULL)
           && conform_head(c, STORE_HEAD, "whole") == head
           && conform_holds(c, "whole-too", 0, 0)
           && conform_holds(c, "whole", 0, 0)
           && strcmp(conform_changes(c, "whole", 0, 9), "") == 0,
           "nothing of it is there: no item, entry, count or change");
    tap_ok(conform_write_one(c, STORE_APPEND, "whole", "m_3", "") == head + 1
           && conform_put(c, "whole", "a", "") == 1,
           "the seqs that it had are given to the next");

    conform_begin(c);
    conform_op(c, STORE_PUT, "several", "a")->value = bytes_of("1");
    conform_op(c, STORE_INCR, "several", "a")->number = 4;
    conform_op(c, STORE_CHECK, "several", "a")->condition = STORE_IF_SEQ;
    c->ops[2].if_seq = 2;
    conform_op(c, STORE_APPEND, "several", "m_1");
    conform_op(c, STORE_APPEND, "several", "m_2");
    conform_op(c, STORE_DELETE, "several", "a");
    conform_op(c, STORE_PUT, "several", "a")->condition = STORE_IF_ABSENT;

    tap_ok(conform_write(c) == STORE_OK && c->results[0].seq == 1
           && c->results[1].seq == 2 && c->results[1].number == 5
           && c->results[2].seq == 2 && c->results[5].seq == 3
           && c->results[6].seq == 4,
           "operations of a request see what those before them did");
    tap_ok(c->results[3].seq == 1 && c->results[4].seq == 2,
           "entries count apart from items");
}


static inline void
conform_items_entries(conform_t *c)
{
    int   i;
    char  id[16];

    tap_ok(conform_head(c, STORE_HEAD, "entries") == 0,
           "a new namespace ends at 0");

    for (i = 1; i <= 3; i++) {
        snprintf(id, sizeof(id), "m_%d", i);
        tap_ok(conform_write_one(c, STORE_APPEND, "entries", id, id)
               == (uint64_t) i, "entry %d has seq %d", i, i);
    }

    conform_begin(c);
    conform_op(c, STORE_APPEND, "entries", "m_2");
    tap_ok(conform_write(c) == STORE_CONDITION && c->results[0].seq == 0
           && conform_head(c, STORE_HEAD, "entries") == 3,
           "an id that is taken is refused");

    conform_read(c, STORE_FEED, "entries")->key = bytes_of("m_2");
    conform_rows(c);
    tap_ok(c->rows.count == 1 && c->rows.rows->seq == 2
           && bytes_equal_text(c->rows.rows->value, "m_2")
           && c->rows.rows->at_ms > conform_now_ms() - 60000
           && c->rows.head == 3,
           "an entry is found by its id, with seq, value, time and head");
    conform_release(c);

    c->read.key = bytes_of("m_9");
    tap_ok(strcmp(conform_keys(c), "") == 0, "an unknown id finds none");

    tap_ok(conform_holds(c, "entries", 0, 0),
           "entries are not charged to the account");
}


static inline void
conform_items_dedupe(conform_t *c)
{
    conform_begin(c);
    conform_op(c, STORE_APPEND, "dedupe", "m_1")->value = bytes_of("one");
    c->ops[0].dedupe = bytes_of("ada/1");
    tap_ok(conform_write(c) == STORE_OK && c->results[0].seq == 1,
           "an entry with a dedupe key is appended");

    conform_begin(c);
    conform_op(c, STORE_APPEND, "dedupe", "m_2")->value = bytes_of("two");
    c->ops[0].dedupe = bytes_of("ada/1");
    conform_op(c, STORE_PUT, "dedupe", "seen");
    tap_ok(conform_write(c) == STORE_OK && c->results[0].rc == STORE_EXISTS
           && c->results[0].seq == 1
           && bytes_equal_text(c->results[0].key, "m_1")
           && bytes_equal_text(c->results[0].value, "one")
           && c->results[1].rc == STORE_OK
           && conform_has(c, "dedupe", "seen", ""),
           "a repeat gives seq, id and value of the stored entry, and the "
           "rest of its request is applied");
    store_request_release(&c->request);

    conform_begin(c);
    conform_op(c, STORE_APPEND, "dedupe", "m_2")->dedupe
        = bytes_of("ada/2");
    tap_ok(conform_write(c) == STORE_OK && c->results[0].seq == 2,
           "another key is another entry, no seq was lost");

    c->ops[0].ns = bytes_of("dedupe-too");
    tap_ok(conform_write(c) == STORE_OK && c->results[0].rc == STORE_OK,
           "the key counts in its namespace only");

    conform_begin(c);
    conform_op(c, STORE_APPEND, "dedupe", "m_7")->dedupe = bytes_of("back");
    conform_op(c, STORE_APPEND, "dedupe", "m_8")->dedupe = bytes_of("back");
    conform_op(c, STORE_CHECK, "dedupe", "none")->condition
        = STORE_IF_PRESENT;
    tap_ok(conform_write(c) == STORE_CONDITION
           && c->results[1].rc == STORE_CONDITION
           && c->results[1].value.data == NULL,
           "a failed request holds no stored value");

    c->request.count = 2;
    tap_ok(conform_write(c) == STORE_OK && c->results[0].rc == STORE_OK
           && c->results[1].rc == STORE_EXISTS
           && c->results[1].seq == c->results[0].seq,
           "a dedupe key of a failed request is free, and is known in its "
           "own request");
    store_request_release(&c->request);
}


/* One INCR; its rc. */
static inline store_rc_t
conform_items_add(conform_t *c, const char *key, int64_t number)
{
    conform_begin(c);
    conform_op(c, STORE_INCR, "incr", key)->number = number;

    return conform_write(c);
}


static inline void
conform_items_incr(conform_t *c)
{
    size_t    i;
    int64_t   late;
    uint64_t  seq;

    static const char *const  bad[] = {
        "", "-", "x", "01", "+1", "-0", " 1", "1 ", "1.0", "0x1",
        "9223372036854775808", "-9223372036854775809",
        "99999999999999999999"
    };

    tap_ok(conform_items_add(c, "n", 7) == STORE_OK
           && c->results[0].number == 7 && c->results[0].seq == 1
           && conform_has(c, "incr", "n", "7"),
           "what is absent counts from 0");
    tap_ok(conform_items_add(c, "n", -10) == STORE_OK
           && c->results[0].number == -3 && c->results[0].seq == 2
           && conform_has(c, "incr", "n", "-3"), "down, below 0");
    tap_ok(conform_items_add(c, "n", 0) == STORE_OK
           && c->results[0].number == -3 && c->results[0].seq == 3,
           "adding 0 is a change as well");

    conform_put(c, "incr", "max", "9223372036854775806");
    tap_ok(conform_items_add(c, "max", 1) == STORE_OK
           && c->results[0].number == INT64_MAX, "up to the highest");
    seq = c->results[0].seq;
    tap_ok(conform_items_add(c, "max", 1) == STORE_TYPE
           && c->results[0].rc == STORE_TYPE && c->results[0].seq == seq
           && c->results[0].number == 0
           && conform_has(c, "incr", "max", "9223372036854775807"),
           "not past it: refused, with the seq it met, and unchanged");
    conform_put(c, "incr", "min", "-9223372036854775807");
    tap_ok(conform_items_add(c, "min", -1) == STORE_OK
           && c->results[0].number == INT64_MIN
           && conform_items_add(c, "min", -1) == STORE_TYPE,
           "the same at the lowest");

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        conform_put(c, "incr", "bad", bad[i]);
        tap_ok(conform_items_add(c, "bad", 1) == STORE_TYPE
               && conform_has(c, "incr", "bad", bad[i]),
               "\"%s\" is no number", bad[i]);
    }

    late = conform_now_ms() + 3600000;
    conform_begin(c);
    conform_op(c, STORE_INCR, "incr", "kept")->number = 99;
    c->ops[0].meta = bytes_of("meta");
    c->ops[0].expires_ms = late;
    conform_write(c);
    conform_begin(c);
    conform_op(c, STORE_INCR, "incr", "kept")->number = 1;
    c->ops[0].meta = bytes_of("other");
    conform_write(c);

    conform_read(c, STORE_GET, "incr")->key = bytes_of("kept");
    conform_rows(c);
    tap_ok(c->rows.count == 1
           && bytes_equal_text(c->rows.rows->value, "100")
           && bytes_equal_text(c->rows.rows->meta, "meta")
           && c->rows.rows->expires_ms == late,
           "meta and time are those of when it was absent");
    conform_release(c);
}


static inline void
conform_items_stamp(conform_t *c)
{
    uint8_t  value[60];
    uint8_t  kept[60];

    static const uint8_t  want[] =
        "\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1"
        "\0\0\0\0\0\0\0\2\377\377\377\377\377\377\377\376"
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

    memset(value, 'v', sizeof(value));
    memcpy(kept, value, sizeof(value));

    conform_begin(c);
    conform_op(c, STORE_PUT, "stamp", "a");
    conform_op(c, STORE_INCR, "stamp", "n")->number = -2;
    conform_op(c, STORE_DELETE, "stamp", "none");
    conform_op(c, STORE_PUT, "once", "key")->value
        = bytes_make(value, sizeof(value));
    c->ops[3].stamp = 1;

    tap_ok(conform_write(c) == STORE_OK
           && memcmp(value, kept, sizeof(value)) == 0,
           "a value is stamped, the submitter's bytes are not");

    conform_read(c, STORE_GET, "once")->key = bytes_of("key");
    conform_rows(c);
    tap_ok(c->rows.count == 1 && c->rows.rows->value.len == sizeof(value)
           && memcmp(c->rows.rows->value.data, want, 48) == 0
           && memcmp(c->rows.rows->value.data + 48, kept, 12) == 0,
           "it has seqs and numbers of the operations before it, then the "
           "rest");
    conform_release(c);

    c->ops[3].value.len = 47;
    tap_ok(conform_write(c) == STORE_INVALID, "a value without room for them");

    conform_begin(c);
    conform_op(c, STORE_PUT, "stamp", "first")->stamp = 1;
    tap_ok(conform_write(c) == STORE_OK
           && conform_has(c, "stamp", "first", ""),
           "the first operation has none before it");
}


/* What is refused at the door. */
static inline void
conform_items_limits(conform_t *c)
{
    size_t           i;
    uint8_t         *big;
    store_op_t      *many;
    store_request_t  request;
    store_result_t  *results;

    big = calloc(1, STORE_VALUE_MAX + 1);
    many = calloc(STORE_OPS_MAX + 1, sizeof(store_op_t));
    results = calloc(STORE_OPS_MAX + 1, sizeof(store_result_t));

    if (big == NULL || many == NULL || results == NULL) {
        tap_ok(0, "memory");
        exit(1);
    }

    conform_begin(c);
    conform_op(c, STORE_PUT, "limits", "k")->value
        = bytes_make(big, STORE_VALUE_MAX + 1);
    tap_ok(conform_write(c) == STORE_INVALID, "a value too large");
    c->ops[0].value.len = STORE_VALUE_MAX;
    tap_ok(conform_write(c) == STORE_OK
           && conform_holds(c, "limits", 1, STORE_VALUE_MAX + 1),
           "the largest value");
    c->ops[0].value.len = 0;
    c->ops[0].key = bytes_make(big, STORE_KEY_MAX + 1);
    tap_ok(conform_write(c) == STORE_INVALID, "a key too long");
    c->ops[0].key.len = 0;
    tap_ok(conform_write(c) == STORE_INVALID, "no key");
    c->ops[0].key.len = STORE_KEY_MAX;
    tap_ok(conform_write(c) == STORE_OK, "the longest key");
    c->ops[0].meta = bytes_make(big, STORE_META_MAX + 1);
    tap_ok(conform_write(c) == STORE_INVALID, "a meta too long");
    c->ops[0].meta.len = STORE_META_MAX;
    c->ops[0].note = c->ops[0].meta;
    tap_ok(conform_write(c) == STORE_OK, "the longest meta and note");
    c->ops[0].note.len++;
    tap_ok(conform_write(c) == STORE_INVALID, "a note too long");
    c->ops[0].note.len = 0;
    c->ops[0].weight = STORE_WEIGHT_MAX + 1;
    tap_ok(conform_write(c) == STORE_INVALID, "a weight too high");
    c->ops[0].weight = 0;
    c->ops[0].expires_ms = -1;
    tap_ok(conform_write(c) == STORE_INVALID, "a time before time");
    c->ops[0].expires_ms = 0;
    c->ops[0].ns = bytes_make(NULL, 0);
    tap_ok(conform_write(c) == STORE_INVALID, "no namespace");
    memset(big, 'n', STORE_NS_MAX + 1);
    c->ops[0].ns = bytes_make(big, STORE_NS_MAX + 1);
    tap_ok(conform_write(c) == STORE_INVALID, "a namespace too long");
    c->ops[0].ns.len = STORE_NS_MAX;
    tap_ok(conform_write(c) == STORE_OK, "the longest namespace");
    c->ops[0].ns = bytes_of("a.b.c.d.e.f.g.h.i.j");
    tap_ok(conform_write(c) == STORE_INVALID, "a namespace too deep");
    c->ops[0].ns = bytes_of("a.b.c.d.e.f.g.h.i");
    tap_ok(conform_write(c) == STORE_OK && conform_holds(c, "a", 1,
           STORE_KEY_MAX), "the deepest namespace");

    conform_begin(c);
    conform_op(c, STORE_APPEND, "limits", "m")->condition = STORE_IF_ABSENT;
    tap_ok(conform_write(c) == STORE_INVALID, "an entry with a condition");
    c->ops[0].kind = (store_op_kind_t) 99;
    tap_ok(conform_write(c) == STORE_INVALID, "an unknown operation");
    c->ops[0].kind = STORE_LIMITS;
    c->ops[0].condition = STORE_ANY;
    tap_ok(conform_write(c) == STORE_INVALID, "limits with a key");
    conform_begin(c);
    tap_ok(conform_write(c) == STORE_INVALID, "no operation");

    for (i = 0; i <= STORE_OPS_MAX; i++) {
        many[i].kind = STORE_PUT;
        many[i].ns = bytes_of("limits-many");
        many[i].key = bytes_make(&many[i].kind, 1 + i % 4);
    }

    memset(&request, 0, sizeof(store_request_t));
    request.ops = many;
    request.results = results;
    request.count = STORE_OPS_MAX + 1;
    tap_ok(c->adapter->submit(c->store, &request) == STORE_INVALID,
           "operations too many");

    free(results);
    free(many);
    free(big);
}


static inline void
conform_items(conform_t *c)
{
    conform_items_basics(c);
    conform_items_conditions(c);
    conform_items_whole(c);
    conform_items_entries(c);
    conform_items_dedupe(c);
    conform_items_incr(c);
    conform_items_stamp(c);
    conform_items_limits(c);
}


#endif /* _STORE_CONFORM_ITEMS_H_INCLUDED_ */
