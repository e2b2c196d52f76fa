/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Walks target and patch together, an object at a time.  The members of the
 * patch's objects that are open lie on one stack, found by hash, so that wide
 * objects cost no more than long ones.
 *
 * Pure: any thread, no heap.  Recursion goes as deep as the patch, at most
 * JSON_SCAN_DEPTH_MAX.
 */


#include "json_letters.h"
#include "json_merge.h"
#include "json_names.h"
#include "json_scan.h"


#define JSON_MERGE_BUCKETS  256   /* of an object; a power of two */
#define JSON_MERGE_NONE     0xffff


_Static_assert(JSON_NAMES_MAX < JSON_MERGE_NONE, "members have 16-bit names");


typedef struct {
    bytes_t         key;          /* with its quotes */
    bytes_t         value;
    uint32_t        hash;
    uint16_t        next;         /* in its bucket */
    uint16_t        used;         /* the target has it as well */
} json_merge_member_t;


typedef struct {
    bytes_writer_t       *out;    /* borrowed */
    size_t                count;  /* members on the stack */
    unsigned              depth;
    json_merge_member_t   members[JSON_NAMES_MAX];
} json_merge_state_t;


static int merge_value(json_merge_state_t *s, bytes_t target, bytes_t patch);
static int push_members(json_merge_state_t *s, const json_scan_t *patch,
    uint16_t *buckets);
static int merge_target(json_merge_state_t *s, const json_scan_t *target,
    const uint16_t *buckets, int *comma);
static json_merge_member_t *find_member(json_merge_state_t *s,
    const uint16_t *buckets, const json_scan_t *key);
static int merge_member(json_merge_state_t *s, bytes_t key, bytes_t target,
    bytes_t patch, int *comma);
static uint32_t hash_key(bytes_t key);
static int same_key(bytes_t a, bytes_t b);
static int is_null(bytes_t value);


int
json_merge_apply(bytes_t target, bytes_t patch, bytes_writer_t *w)
{
    json_merge_state_t  s;

    s.out = w;
    s.count = 0;
    s.depth = 0;

    return (merge_value(&s, target, patch) == 0 && !w->failed) ? 0 : -1;
}


static int
merge_value(json_merge_state_t *s, bytes_t target, bytes_t patch)
{
    int          comma;
    size_t       i, first;
    uint16_t     buckets[JSON_MERGE_BUCKETS];
    json_scan_t  t, p;

    if (json_scan_open(patch, &p) != 0) {
        return -1;
    }

    if (p.type != JSON_SCAN_OBJECT) {
        bytes_writer_bytes(s->out, p.raw);
        return 0;
    }

    if (s->depth == JSON_SCAN_DEPTH_MAX) {
        return -1;
    }

    s->depth++;
    first = s->count;
    comma = 0;

    if (push_members(s, &p, buckets) != 0) {
        return -1;
    }

    bytes_writer_byte(s->out, '{');

    if (target.len != 0) {

        if (json_scan_open(target, &t) != 0) {
            return -1;
        }

        if (t.type == JSON_SCAN_OBJECT
            && merge_target(s, &t, buckets, &comma) != 0)
        {
            return -1;
        }
    }

    /* deeper levels push behind "last" and take theirs away again */

    for (i = first; i < s->count; i++) {

        if (s->members[i].used || is_null(s->members[i].value)) {
            continue;
        }

        if (merge_member(s, s->members[i].key, bytes_make(NULL, 0),
                         s->members[i].value, &comma)
            != 0)
        {
            return -1;
        }
    }

    bytes_writer_byte(s->out, '}');

    s->count = first;
    s->depth--;

    return 0;
}


/* The members of an object of the patch, in its order and in buckets. */
static int
push_members(json_merge_state_t *s, const json_scan_t *patch,
    uint16_t *buckets)
{
    size_t                pos, bucket;
    json_scan_t           key, value;
    json_merge_member_t  *member;

    memset(buckets, 0xff, JSON_MERGE_BUCKETS * sizeof(uint16_t));
    pos = 0;

    while (json_scan_next(patch, &pos, &key, &value) == 0) {

        if (s->count == JSON_NAMES_MAX) {
            return -1;
        }

        member = &s->members[s->count];
        member->key = key.raw;
        member->value = value.raw;
        member->hash = hash_key(key.raw);
        member->used = 0;

        bucket = member->hash & (JSON_MERGE_BUCKETS - 1);
        member->next = buckets[bucket];
        buckets[bucket] = (uint16_t) s->count++;
    }

    return 0;
}


static int
merge_target(json_merge_state_t *s, const json_scan_t *target,
    const uint16_t *buckets, int *comma)
{
    int                   rc;
    size_t                pos;
    json_scan_t           key, value;
    json_merge_member_t  *member;

    pos = 0;

    while (json_scan_next(target, &pos, &key, &value) == 0) {
        member = find_member(s, buckets, &key);
        rc = 0;

        if (member == NULL) {

            if (*comma) {
                bytes_writer_byte(s->out, ',');
            }

            *comma = 1;
            bytes_writer_bytes(s->out, key.raw);
            bytes_writer_byte(s->out, ':');
            bytes_writer_bytes(s->out, value.raw);

        } else {
            member->used = 1;

            if (!is_null(member->value)) {
                rc = merge_member(s, key.raw, value.raw, member->value,
                                  comma);
            }
        }

        if (rc != 0) {
            return rc;
        }
    }

    return 0;
}


static json_merge_member_t *
find_member(json_merge_state_t *s, const uint16_t *buckets,
    const json_scan_t *key)
{
    uint16_t  i;
    uint32_t  hash;

    hash = hash_key(key->raw);

    for (i = buckets[hash & (JSON_MERGE_BUCKETS - 1)];
         i != JSON_MERGE_NONE;
         i = s->members[i].next)
    {
        if (s->members[i].hash == hash
            && same_key(s->members[i].key, key->raw))
        {
            return &s->members[i];
        }
    }

    return NULL;
}


static int
merge_member(json_merge_state_t *s, bytes_t key, bytes_t target,
    bytes_t patch, int *comma)
{
    int     rc;
    size_t  count;

    if (*comma) {
        bytes_writer_byte(s->out, ',');
    }

    *comma = 1;
    count = s->count;

    bytes_writer_bytes(s->out, key);
    bytes_writer_byte(s->out, ':');

    rc = merge_value(s, target, patch);
    s->count = count;

    return rc;
}


/* FNV-1a over the unescaped bytes. */
static uint32_t
hash_key(bytes_t key)
{
    int             c;
    uint32_t        hash;
    json_letters_t  l;

    hash = 2166136261U;
    json_letters_open(&l, key.data + 1, key.data + key.len);

    while ((c = json_letters_next(&l)) >= 0) {
        hash = (hash ^ (uint32_t) c) * 16777619U;
    }

    return hash;
}


static int
same_key(bytes_t a, bytes_t b)
{
    int             c, d;
    json_letters_t  l, m;

    json_letters_open(&l, a.data + 1, a.data + a.len);
    json_letters_open(&m, b.data + 1, b.data + b.len);

    do {
        c = json_letters_next(&l);
        d = json_letters_next(&m);

    } while (c == d && c >= 0);

    return c == d;
}


static int
is_null(bytes_t value)
{
    return value.len != 0 && value.data[0] == 'n';
}
