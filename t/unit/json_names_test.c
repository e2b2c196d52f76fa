/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * json_names.c: a duplicate is found wherever it is; keys made to collide
 * cost what sorting costs; the stack is bounded and shared by all depths.
 */


#include <stdlib.h>
#include <time.h>

#include "json_names.h"
#include "tap.h"


#define TEST_BIG     (1 << 20)    /* bytes of a text */
#define TEST_START   900          /* bytes that hostile keys share */
#define TEST_BLOCKS  10
#define TEST_BLOCK   8            /* bytes of a block, NUL included */
#define TEST_TRIES   (1 << 20)

/* passes over the keys, each as slow as hashing them, that a close may take */
#define TEST_PASSES_MAX  30


static uint8_t       text[TEST_BIG];
static json_names_t  names;


/* Puts one key behind the others in "text"; its offset. */
static size_t
write_key(bytes_writer_t *w, const char *key)
{
    size_t  at;

    bytes_writer_byte(w, '"');
    at = bytes_writer_view(w).len;
    bytes_writer_text(w, key);
    bytes_writer_byte(w, '"');

    return at;
}


static void
open_names(bytes_writer_t *w)
{
    bytes_writer_open(w, text, sizeof(text));
    json_names_open(&names, bytes_make(text, sizeof(text)));
}


static void
test_duplicates_anywhere(void)
{
    char            key[16];
    size_t          at, second, put;
    unsigned        n, i, j, k, wrong;
    bytes_writer_t  w;

    wrong = 0;

    for (n = 2; n < 40; n++) {

        for (j = 1; j < n; j++) {

            for (i = 0; i < j; i++) {
                open_names(&w);
                second = 0;

                for (k = 0; k < n; k++) {
                    (void) snprintf(key, sizeof(key), "k%u",
                                    (k == j) ? i : k);
                    put = write_key(&w, key);
                    second = (k == j) ? put : second;
                    wrong += json_names_add(&names, put) != 0;
                }

                wrong += json_names_close(&names, 0, &at) != -1
                         || at != second;
            }
        }
    }

    tap_ok(wrong == 0,
           "a duplicate is found wherever it is, and where it stands again");
}


static void
test_same_key_in_other_words(void)
{
    size_t          i, at;
    bytes_writer_t  w;

    static const struct {
        const char  *a;
        const char  *b;
        int          rc;
    } cases[] = {
        { "", "", -1 },
        { "a", "a", -1 },
        { "a", "\\u0061", -1 },
        { "\\u0061b", "a\\u0062", -1 },
        { "/", "\\/", -1 },
        { "\\n", "\\u000A", -1 },
        { "\xc3\xa9", "\\u00e9", -1 },
        { "\xf0\x9f\x98\x80", "\\ud83d\\ude00", -1 },
        { "x\xf0\x9f\x98\x80y", "x\\uD83D\\uDE00\\u0079", -1 },
        { "a", "A", 0 },
        { "a", "ab", 0 },
        { "", "a", 0 },
        { "\\\\n", "\\n", 0 },
        { "\\\"", "'", 0 },
        { "e\xcc\x81", "\xc3\xa9", 0 },
        { "costarring", "liquid", 0 },
        { "declinate", "macallums", 0 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        open_names(&w);
        (void) json_names_add(&names, write_key(&w, cases[i].a));
        (void) json_names_add(&names, write_key(&w, cases[i].b));

        tap_ok(json_names_close(&names, 0, &at) == cases[i].rc,
               "\"%s\" and \"%s\" are %s", cases[i].a, cases[i].b,
               cases[i].rc ? "the same" : "two keys");
    }
}


static void
test_depths(void)
{
    size_t          at, first;
    bytes_writer_t  w;

    open_names(&w);
    (void) json_names_add(&names, write_key(&w, "a"));
    (void) json_names_add(&names, write_key(&w, "b"));
    first = names.count;
    (void) json_names_add(&names, write_key(&w, "a"));
    (void) json_names_add(&names, write_key(&w, "b"));

    tap_ok(json_names_close(&names, first, &at) == 0 && names.count == 2,
           "an inner object may have the keys of the outer");

    (void) json_names_add(&names, write_key(&w, "a"));
    tap_ok(json_names_close(&names, 0, &at) == -1,
           "whose own are not forgotten meanwhile");

    open_names(&w);
    tap_ok(json_names_close(&names, 0, &at) == 0, "no keys are no fault");
}


static void
test_full(void)
{
    char            key[16];
    size_t          i, at;
    unsigned        wrong;
    bytes_writer_t  w;

    open_names(&w);
    wrong = 0;

    for (i = 0; i < JSON_NAMES_MAX; i++) {
        (void) snprintf(key, sizeof(key), "%zu", i);
        wrong += json_names_add(&names, write_key(&w, key)) != 0;
    }

    tap_ok(wrong == 0 && json_names_add(&names, write_key(&w, "x")) == -1,
           "the stack takes 4096 keys and no more");
    tap_ok(json_names_close(&names, 0, &at) == 0 && names.count == 0,
           "and gives them back");
}


static uint32_t
hash_more(uint32_t hash, const char *s)
{
    while (*s) {
        hash = (hash ^ (uint8_t) *s++) * 16777619U;
    }

    return hash;
}


static void
write_block(char *block, uint32_t n)
{
    unsigned  i;

    n *= 2654435761U;             /* odd: another text for every number */

    for (i = 0; i < TEST_BLOCK - 1; i++) {
        block[i] = (char) ('a' + n % 26);
        n /= 26;
    }

    block[i] = '\0';
}


/* Two different texts a and b, of seven letters and a NUL, that take the hash
   from one state to the same other: a birthday search.  The new state. */
static uint32_t
find_collision(uint32_t hash, char *a, char *b)
{
    char      block[TEST_BLOCK];
    uint32_t  i, h, slot;

    static uint32_t  seen[TEST_TRIES];        /* number of a text + 1 */

    memset(seen, 0, sizeof(seen));

    for (i = 0; i < TEST_TRIES / 2; i++) {
        write_block(b, i);
        h = hash_more(hash, b);

        for (slot = h % TEST_TRIES; seen[slot] != 0;
             slot = (slot + 1) % TEST_TRIES)
        {
            write_block(block, seen[slot] - 1);

            if (hash_more(hash, block) == h) {
                memcpy(a, block, TEST_BLOCK);
                return h;
            }
        }

        seen[slot] = i + 1;
    }

    abort();
}


/* Adds 1024 keys: a long beginning that all share and ten blocks of which
   each has two texts of equal hash. */
static void
add_colliding(bytes_writer_t *w)
{
    char      block[TEST_BLOCKS][2][TEST_BLOCK];
    char      key[TEST_START + TEST_BLOCKS * TEST_BLOCK], *p;
    uint32_t  hash;
    unsigned  i, n;

    memset(key, 'x', TEST_START);
    key[TEST_START] = '\0';
    hash = hash_more(2166136261U, key);

    for (n = 0; n < TEST_BLOCKS; n++) {
        hash = find_collision(hash, block[n][0], block[n][1]);
    }

    for (i = 0; i < 1U << TEST_BLOCKS; i++) {
        p = key + TEST_START;

        for (n = 0; n < TEST_BLOCKS; n++) {
            memcpy(p, block[n][i >> n & 1], TEST_BLOCK);
            p += TEST_BLOCK - 1;
        }

        (void) json_names_add(&names, write_key(w, key));
    }
}


static void
test_colliding_keys(void)
{
    int             rc;
    size_t          i, at, count;
    clock_t         start;
    double          close_ticks, add_ticks;
    unsigned        equal;
    bytes_writer_t  w;

    open_names(&w);
    add_colliding(&w);

    equal = 0;
    count = names.count;

    for (i = 1; i < count; i++) {
        equal += names.keys[i].hash == names.keys[0].hash;
    }

    tap_ok(equal == (1U << TEST_BLOCKS) - 1 && !w.failed,
           "1024 keys have one hash");

    /* adding them again walks each byte once: the measure of a pass */

    json_names_open(&names, bytes_make(text, sizeof(text)));
    start = clock();

    for (i = 0; i < count; i++) {
        (void) json_names_add(&names, names.keys[i].at);
    }

    add_ticks = (double) (clock() - start) + 1;

    start = clock();
    rc = json_names_close(&names, 0, &at);
    close_ticks = (double) (clock() - start);

    tap_ok(rc == 0, "and are told apart");

    /* each with each would be 512 passes, sorting has some 20 */

    tap_ok(close_ticks < add_ticks * TEST_PASSES_MAX,
           "which costs what sorting costs (%.0f against %.0f ticks)",
           close_ticks, add_ticks);
}


int
main(void)
{
    test_duplicates_anywhere();
    test_same_key_in_other_words();
    test_depths();
    test_full();
    test_colliding_keys();

    return tap_done();
}
