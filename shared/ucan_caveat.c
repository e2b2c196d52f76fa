/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Deep equality of JSON values and the two questions asked of caveats (UCAN
 * 0.10, "cap"): does a proof's caveat cover a token's, does a request meet
 * it.
 *
 * Pure: any thread, no heap.  Recursion is as deep as the JSON, which
 * json_scan_validate() bounds, and the caller's work counter bounds the time
 * whatever the shape of the objects.
 */


#include "json_letters.h"
#include "json_scan.h"
#include "ucan_caveat.h"


static int spend(size_t *work, size_t bytes);
static int find_field(const json_scan_t *object, const json_scan_t *key,
    json_scan_t *value, size_t *work);
static int equal_values(const json_scan_t *a, const json_scan_t *b,
    size_t *work);
static int equal_objects(const json_scan_t *a, const json_scan_t *b,
    size_t *work);
static int equal_arrays(const json_scan_t *a, const json_scan_t *b,
    size_t *work);
static int equal_strings(const json_scan_t *a, const json_scan_t *b);
static int equal_numbers(const json_scan_t *a, const json_scan_t *b);
static int equal_text(const json_scan_t *value, bytes_t text);
static void open_letters(json_letters_t *l, const json_scan_t *string);
static int match_arg(const json_scan_t *key, const json_scan_t *value,
    const ucan_caveat_facts_t *facts);


int
ucan_caveat_covers(bytes_t parent, bytes_t child, size_t *work)
{
    size_t       pos;
    json_scan_t  a, b, key, value, same;

    /* most are unrestricted, and then whatever the child has is narrower */

    if (bytes_equal_text(parent, "{}")) {
        return 1;
    }

    if (!spend(work, parent.len + child.len)
        || json_scan_open(parent, &a) != 0
        || json_scan_open(child, &b) != 0)
    {
        return 0;
    }

    pos = 0;

    while (json_scan_next(&a, &pos, &key, &value) == 0) {
        if (find_field(&b, &key, &same, work) != 0
            || !equal_values(&value, &same, work))
        {
            return 0;
        }
    }

    return 1;
}


int
ucan_caveat_match(bytes_t caveat, const ucan_caveat_facts_t *facts,
    size_t *work)
{
    size_t       pos;
    json_scan_t  object, key, value, known, fact;

    if (json_scan_open(caveat, &object) != 0) {
        return 0;
    }

    if (facts->json.len != 0 && json_scan_open(facts->json, &known) != 0) {
        return 0;
    }

    pos = 0;

    while (json_scan_next(&object, &pos, &key, &value) == 0) {

        if (!spend(work, value.raw.len + facts->arg_count)) {
            return 0;
        }

        if (match_arg(&key, &value, facts)) {
            continue;
        }

        if (facts->json.len == 0
            || find_field(&known, &key, &fact, work) != 0
            || !equal_values(&value, &fact, work))
        {
            return 0;
        }
    }

    return 1;
}


static int
spend(size_t *work, size_t bytes)
{
    bytes += 16;

    if (*work < bytes) {
        *work = 0;
        return 0;
    }

    *work -= bytes;

    return 1;
}


/* Keys are compared as the bytes that they mean, with their length: one with
   a U+0000 in it, which a validated text does not have, is equal to none. */
static int
find_field(const json_scan_t *object, const json_scan_t *key,
    json_scan_t *value, size_t *work)
{
    size_t       pos;
    json_scan_t  name;

    if (!spend(work, object->raw.len)) {
        return -1;
    }

    pos = 0;

    while (json_scan_next(object, &pos, &name, value) == 0) {
        if (equal_strings(&name, key)) {
            return 0;
        }
    }

    return -1;
}


static int
equal_values(const json_scan_t *a, const json_scan_t *b, size_t *work)
{
    if (a->type != b->type || !spend(work, a->raw.len + b->raw.len)) {
        return 0;
    }

    switch (a->type) {

    case JSON_SCAN_NULL:
        return 1;

    case JSON_SCAN_BOOL:
        return a->truth == b->truth;

    case JSON_SCAN_NUMBER:
        return equal_numbers(a, b);

    case JSON_SCAN_STRING:
        return equal_strings(a, b);

    case JSON_SCAN_ARRAY:
        return equal_arrays(a, b, work);

    default:
        return equal_objects(a, b, work);
    }
}


/* Keys are unique, so an equal count and one direction are enough. */
static int
equal_objects(const json_scan_t *a, const json_scan_t *b, size_t *work)
{
    size_t       pos, left;
    json_scan_t  key, value, same;

    left = 0;
    pos = 0;

    while (json_scan_next(b, &pos, &key, &value) == 0) {
        left++;
    }

    pos = 0;

    while (json_scan_next(a, &pos, &key, &value) == 0) {
        if (left-- == 0
            || find_field(b, &key, &same, work) != 0
            || !equal_values(&value, &same, work))
        {
            return 0;
        }
    }

    return left == 0;
}


static int
equal_arrays(const json_scan_t *a, const json_scan_t *b, size_t *work)
{
    int          more_a, more_b;
    size_t       i, j;
    json_scan_t  x, y;

    i = 0;
    j = 0;

    for ( ;; ) {
        more_a = json_scan_next(a, &i, NULL, &x) == 0;
        more_b = json_scan_next(b, &j, NULL, &y) == 0;

        if (!more_a || !more_b) {
            return more_a == more_b;
        }

        if (!equal_values(&x, &y, work)) {
            return 0;
        }
    }
}


static int
equal_strings(const json_scan_t *a, const json_scan_t *b)
{
    int             c, d;
    json_letters_t  x, y;

    if (!a->escaped) {
        return equal_text(b, a->text);
    }

    if (!b->escaped) {
        return equal_text(a, b->text);
    }

    open_letters(&x, a);
    open_letters(&y, b);

    do {
        c = json_letters_next(&x);
        d = json_letters_next(&y);

        if (c != d) {
            return 0;
        }
    } while (c >= 0);

    return x.pos == x.end && y.pos == y.end;
}


/* Exact: where doubles have gaps between integers only the same digits are
   equal. */
static int
equal_numbers(const json_scan_t *a, const json_scan_t *b)
{
    double  x, y;

    if (bytes_equal(a->raw, b->raw)) {
        return 1;
    }

    return json_scan_number(a, &x) == 0
           && json_scan_number(b, &y) == 0
           && x == y
           && x < 9007199254740992.0
           && x > -9007199254740992.0;
}


/* Letters also end at an escape that is none; then they are not at the end
   of the string. */
static int
equal_text(const json_scan_t *value, bytes_t text)
{
    size_t          i;
    json_letters_t  l;

    if (value->type != JSON_SCAN_STRING) {
        return 0;
    }

    if (!value->escaped) {
        return bytes_equal(value->text, text);
    }

    open_letters(&l, value);

    for (i = 0; i < text.len; i++) {
        if (json_letters_next(&l) != text.data[i]) {
            return 0;
        }
    }

    return json_letters_next(&l) < 0 && l.pos == l.end;
}


static void
open_letters(json_letters_t *l, const json_scan_t *string)
{
    json_letters_open(l, string->text.data,
                      string->text.data + string->text.len);
}


static int
match_arg(const json_scan_t *key, const json_scan_t *value,
    const ucan_caveat_facts_t *facts)
{
    size_t  i;

    for (i = 0; i < facts->arg_count; i++) {
        if (equal_text(key, facts->args[i].name)) {
            return value->type == JSON_SCAN_STRING
                   && equal_text(value, facts->args[i].value);
        }
    }

    return 0;
}
