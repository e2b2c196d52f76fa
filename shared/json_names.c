/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Finds duplicate keys: those of an object are sorted, by hash and then by
 * their unescaped bytes, and compared with their neighbours.  So a key is
 * compared O(log n) times, and keys made to collide cost no more than others.
 *
 * Pure: any thread, no heap, no recursion.
 */


#include "json_letters.h"
#include "json_names.h"


static void sift_key(const json_names_t *n, json_names_key_t *keys, size_t i,
    size_t count);
static int compare_keys(const json_names_t *n, const json_names_key_t *a,
    const json_names_key_t *b);


void
json_names_open(json_names_t *n, bytes_t text)
{
    n->text = text.data;
    n->end = (text.len == 0) ? text.data : text.data + text.len;
    n->count = 0;
}


int
json_names_add(json_names_t *n, size_t at)
{
    int             c;
    uint32_t        hash;
    json_letters_t  l;

    if (n->count == JSON_NAMES_MAX) {
        return -1;
    }

    /* FNV-1a: only to sort by, so it need not resist anybody */

    hash = 2166136261U;
    json_letters_open(&l, n->text + at, n->end);

    while ((c = json_letters_next(&l)) >= 0) {
        hash = (hash ^ (uint32_t) c) * 16777619U;
    }

    n->keys[n->count].hash = hash;
    n->keys[n->count].at = (uint32_t) at;
    n->count++;

    return 0;
}


/* Heap sort: in place and n log n at worst. */
int
json_names_close(json_names_t *n, size_t first, size_t *at)
{
    size_t             i, count;
    json_names_key_t  *keys, key;

    keys = &n->keys[first];
    count = n->count - first;
    n->count = first;

    for (i = count / 2; i != 0; i--) {
        sift_key(n, keys, i - 1, count);
    }

    for (i = count; i > 1; i--) {
        key = keys[0];
        keys[0] = keys[i - 1];
        keys[i - 1] = key;
        sift_key(n, keys, 0, i - 1);
    }

    for (i = 1; i < count; i++) {

        if (compare_keys(n, &keys[i - 1], &keys[i]) == 0) {
            *at = (keys[i].at > keys[i - 1].at) ? keys[i].at
                                                : keys[i - 1].at;
            return -1;
        }
    }

    return 0;
}


/* Lets the key at i sink to where it is no less than its children. */
static void
sift_key(const json_names_t *n, json_names_key_t *keys, size_t i, size_t count)
{
    size_t            child;
    json_names_key_t  key;

    key = keys[i];

    for (child = 2 * i + 1; child < count; child = 2 * i + 1) {

        if (child + 1 < count
            && compare_keys(n, &keys[child], &keys[child + 1]) < 0)
        {
            child++;
        }

        if (compare_keys(n, &key, &keys[child]) >= 0) {
            break;
        }

        keys[i] = keys[child];
        i = child;
    }

    keys[i] = key;
}


static int
compare_keys(const json_names_t *n, const json_names_key_t *a,
    const json_names_key_t *b)
{
    int             c, d;
    const uint8_t  *p, *q;
    json_letters_t  l, m;

    if (a->hash != b->hash) {
        return (a->hash < b->hash) ? -1 : 1;
    }

    /* both strings are closed: a quote ends this before the text does */

    p = n->text + a->at;
    q = n->text + b->at;

    while (*p == *q && *p != '"' && *p != '\\') {
        p++;
        q++;
    }

    json_letters_open(&l, p, n->end);
    json_letters_open(&m, q, n->end);

    do {
        c = json_letters_next(&l);
        d = json_letters_next(&m);

    } while (c == d && c >= 0);

    return c - d;
}
