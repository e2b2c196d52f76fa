/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Of the conformance suite: accounts and their limits.
 */


#ifndef _STORE_CONFORM_ACCOUNTS_H_INCLUDED_
#define _STORE_CONFORM_ACCOUNTS_H_INCLUDED_


#define CONFORM_RACERS       8
#define CONFORM_RACE_WRITES  40      /* of each */
#define CONFORM_RACE_LIMIT   100     /* items */


typedef struct {
    const conform_t  *of;
    int               number;
    unsigned          written;
    unsigned          refused;
    unsigned          other;
    pthread_t         thread;
} conform_racer_t;


static inline void
conform_accounts_count(conform_t *c)
{
    tap_ok(conform_holds(c, "acc", 0, 0), "an unknown account holds nothing");

    conform_put(c, "acc.b.c", "key", "12345");
    tap_ok(conform_holds(c, "acc.b.c", 1, 8) && conform_holds(c, "acc.b", 1, 8)
           && conform_holds(c, "acc", 1, 8),
           "an item counts with key and value, in all accounts above");

    conform_put(c, "acc.b", "k", "1");
    conform_put(c, "acc.d", "k", "1");
    tap_ok(conform_holds(c, "acc.b.c", 1, 8)
           && conform_holds(c, "acc.b", 2, 10)
           && conform_holds(c, "acc.d", 1, 2)
           && conform_holds(c, "acc", 3, 12),
           "not below, and not beside");

    conform_put(c, "acc.b.c", "key", "1");
    tap_ok(conform_holds(c, "acc.b.c", 1, 4) && conform_holds(c, "acc", 3, 8),
           "a smaller value is fewer bytes");

    conform_begin(c);
    conform_op(c, STORE_PUT, "acc.b.c", "key")->value = bytes_of("1");
    c->ops[0].meta = bytes_of("not counted");
    c->ops[0].weight = 1000;
    conform_write(c);
    tap_ok(conform_holds(c, "acc.b.c", 1, 1004)
           && conform_holds(c, "acc", 3, 1008),
           "its weight counts, its meta does not");

    conform_begin(c);
    conform_op(c, STORE_INCR, "acc.b.c", "key")->number = 9;
    conform_write(c);
    tap_ok(conform_holds(c, "acc.b.c", 1, 1005),
           "a number that is longer is more bytes, the weight stays");

    conform_write_one(c, STORE_DELETE, "acc.b.c", "key", "");
    conform_write_one(c, STORE_DELETE, "acc.b.c", "key", "");
    tap_ok(conform_holds(c, "acc.b.c", 0, 0) && conform_holds(c, "acc.b", 1, 2)
           && conform_holds(c, "acc", 2, 4), "a delete takes it off, once");

    conform_put(c, "acc.b.c", "x", "");
    conform_put(c, "acc.b.c", "y", "");
    conform_write_one(c, STORE_DROP, "acc.b", "", "");
    tap_ok(conform_holds(c, "acc.b", 2, 2) && conform_holds(c, "acc", 3, 4)
           && conform_has(c, "acc.b", "k", NULL)
           && conform_has(c, "acc.b.c", "x", ""),
           "a drop takes off what was in that namespace, not what is below");

    conform_write_one(c, STORE_DROP, "acc.b.c", "", "");
    tap_ok(conform_holds(c, "acc.b.c", 0, 0) && conform_holds(c, "acc.b", 0, 0)
           && conform_holds(c, "acc", 1, 2), "a drop of the lowest");

    conform_begin(c);
    conform_op(c, STORE_PUT, "acc.m", "a")->value = bytes_of("12");
    conform_op(c, STORE_PUT, "acc.m", "b")->value = bytes_of("1234");
    conform_op(c, STORE_PUT, "acc.m", "a")->value = bytes_of("1");
    conform_op(c, STORE_DELETE, "acc.m", "b");
    conform_op(c, STORE_DROP, "acc.d", "");
    conform_op(c, STORE_PUT, "acc.d", "new");
    conform_write(c);
    tap_ok(conform_holds(c, "acc.m", 1, 2) && conform_holds(c, "acc.d", 1, 3)
           && conform_holds(c, "acc", 2, 5),
           "several operations of a request count together");

    conform_put(c, ".acc.e", "k", "");
    tap_ok(conform_holds(c, ".acc", 1, 1) && conform_holds(c, "acc", 2, 5),
           "a name that begins with a dot has no account above it");
}


#define at_most(items, bytes)  ((store_limits_t) { items, bytes })


/* A PUT with limits for accounts at the top; its rc. */
static inline store_rc_t
conform_accounts_put(conform_t *c, const char *ns, const char *key,
    const char *value, store_limits_t limits)
{
    conform_begin(c);
    conform_op(c, STORE_PUT, ns, key)->value = bytes_of(value);
    c->request.limits = limits;

    return conform_write(c);
}


/* Sets the limits of an account; the rc. */
static inline store_rc_t
conform_accounts_limit(conform_t *c, const char *ns, uint64_t items,
    uint64_t bytes)
{
    conform_begin(c);
    conform_op(c, STORE_LIMITS, ns, "")->limits.items = items;
    c->ops[0].limits.bytes = bytes;

    return conform_write(c);
}


static inline void
conform_accounts_quota(conform_t *c)
{
    tap_ok(conform_accounts_limit(c, "q", 3, 20) == STORE_OK
           && c->results[0].seq == 0, "limits are set, without a seq");

    conform_read(c, STORE_USAGE, "q");
    conform_rows(c);
    tap_ok(c->rows.usage.items == 0 && c->rows.usage.limits.items == 3
           && c->rows.usage.limits.bytes == 20 && c->rows.head == 0,
           "and are read with the usage");
    conform_release(c);

    conform_put(c, "q.a", "1", "x");
    conform_put(c, "q.a", "2", "x");
    tap_ok(conform_put(c, "q.b", "3", "x") == 1,
           "what reaches the limit is taken");

    conform_begin(c);
    conform_op(c, STORE_PUT, "q.a", "4");
    tap_ok(conform_write(c) == STORE_QUOTA
           && c->results[0].rc == STORE_QUOTA && c->results[0].seq == 0
           && c->request.failed == 0 && c->request.usage.items == 3
           && c->request.usage.bytes == 6 && c->request.usage.limits.items == 3
           && c->request.usage.limits.bytes == 20,
           "one item more is refused, with what the account holds and may");
    tap_ok(conform_has(c, "q.a", "4", NULL) && conform_holds(c, "q", 3, 6)
           && conform_holds(c, "q.a", 2, 4)
           && conform_put(c, "q.a", "1", "y") == 3,
           "nothing of it is there, and replacing is allowed");

    conform_begin(c);
    conform_op(c, STORE_PUT, "q.new", "k");
    tap_ok(conform_write(c) == STORE_QUOTA
           && conform_holds(c, "q.new", 0, 0),
           "also in a namespace that is new");

    conform_begin(c);
    conform_op(c, STORE_PUT, "q.a", "4");
    conform_op(c, STORE_DELETE, "q.b", "3");
    tap_ok(conform_write(c) == STORE_OK && conform_holds(c, "q", 3, 5),
           "what a request takes away makes room in it");

    conform_begin(c);
    conform_op(c, STORE_PUT, "q.a", "1")->value
        = bytes_of("17 bytes of text.");
    tap_ok(conform_write(c) == STORE_QUOTA
           && c->request.usage.bytes == 5, "bytes have their limit as well");

    conform_begin(c);
    conform_op(c, STORE_PUT, "q.a", "1")->weight = 100;
    tap_ok(conform_write(c) == STORE_QUOTA, "weight too");

    conform_begin(c);
    conform_op(c, STORE_INCR, "q.a", "n")->number = 1;
    tap_ok(conform_write(c) == STORE_QUOTA, "an INCR of what is absent too");

    conform_begin(c);
    conform_op(c, STORE_APPEND, "q.a", "m_1");
    tap_ok(conform_write(c) == STORE_OK, "entries are not limited");

    conform_accounts_limit(c, "q", 1, 1);
    conform_begin(c);
    conform_op(c, STORE_PUT, "q.a", "1")->value = bytes_of("");
    tap_ok(conform_write(c) == STORE_OK,
           "an account beyond its limit may shrink, or stay as it is");
    conform_begin(c);
    conform_op(c, STORE_PUT, "q.a", "1")->value = bytes_of("x");
    tap_ok(conform_write(c) == STORE_QUOTA, "but not grow");

    conform_accounts_limit(c, "q", 0, 0);
    tap_ok(conform_put(c, "q.a", "5", "") != 0, "limits of 0 are none");

    conform_accounts_limit(c, "q.a", 5, 0);
    tap_ok(conform_put(c, "q.a", "6", "") != 0, "a limit below the top");
    conform_begin(c);
    conform_op(c, STORE_PUT, "q.a", "7");
    tap_ok(conform_write(c) == STORE_QUOTA && c->request.usage.items == 5
           && conform_put(c, "q.b", "7", "") != 0,
           "holds for that account, not for its neighbour");

    conform_write_one(c, STORE_DROP, "q.a", "", "");
    conform_read(c, STORE_USAGE, "q.a");
    conform_rows(c);
    conform_release(c);
    tap_ok(c->rows.usage.limits.items == 5 && c->rows.usage.items == 0,
           "limits stay after a drop");
}


static inline void
conform_accounts_request(conform_t *c)
{
    tap_ok(conform_accounts_put(c, "top.a", "1", "", at_most(2, 0))
              == STORE_OK
           && conform_accounts_put(c, "top.a", "2", "", at_most(2, 0))
              == STORE_OK
           && conform_accounts_put(c, "top.b", "3", "", at_most(2, 0))
              == STORE_QUOTA
           && c->request.usage.items == 2
           && c->request.usage.limits.items == 2,
           "the request's limits are for the account at the top");
    tap_ok(conform_put(c, "top.b", "3", "") == 1,
           "a request without any has none");
    tap_ok(conform_accounts_put(c, "top.b", "4", "", at_most(9, 5))
              == STORE_OK
           && conform_accounts_put(c, "top.b", "5", "x", at_most(9, 5))
              == STORE_QUOTA, "bytes as well");

    conform_accounts_limit(c, "top", 100, 0);
    tap_ok(conform_accounts_put(c, "top.b", "5", "x", at_most(1, 1))
              == STORE_OK,
           "an account with limits of its own does not have them");

    conform_begin(c);
    conform_op(c, STORE_PUT, "lim/a", "1");
    conform_op(c, STORE_PUT, "lim/a", "2");
    conform_op(c, STORE_PUT, "free", "1");
    c->request.limits.items = 1;
    c->request.limited = bytes_of("lim/");
    tap_ok(conform_write(c) == STORE_QUOTA,
           "names that start so are limited");
    c->request.count = 1;
    tap_ok(conform_write(c) == STORE_OK, "up to the limit");
    c->ops[0].ns = bytes_of("free");
    tap_ok(conform_write(c) == STORE_OK, "a first in another");
    c->ops[0].key = bytes_of("2");
    tap_ok(conform_write(c) == STORE_OK, "and a second: it is not limited");
}


static inline uint64_t
conform_accounts_items(conform_t *c, const char *ns)
{
    conform_read(c, STORE_USAGE, ns);

    if (conform_rows(c) != STORE_OK) {
        return UINT64_MAX;
    }

    conform_release(c);

    return c->rows.usage.items;
}


/* One of those that write at once, with a store of its own. */
static inline void *
conform_accounts_racer(void *data)
{
    conform_racer_t *racer = data;

    int        i;
    char       key[32];
    conform_t  c;

    memset(&c, 0, sizeof(conform_t));
    c.adapter = racer->of->adapter;
    c.config = racer->of->config;

    if (!conform_open(&c)) {
        printf("# %s\n", c.error);
        racer->other++;
        return NULL;
    }

    for (i = 0; i < CONFORM_RACE_WRITES; i++) {
        snprintf(key, sizeof(key), "%d/%d", racer->number, i);

        switch (conform_accounts_put(&c, (racer->number % 2) ? "race.a"
                                                             : "race.b",
                                     key, "",
                                     at_most(CONFORM_RACE_LIMIT, 0)))
        {
        case STORE_OK:
            racer->written++;
            break;

        case STORE_QUOTA:
            racer->refused++;
            break;

        default:
            racer->other++;
        }
    }

    conform_close(&c);

    return NULL;
}


static inline void
conform_accounts_race(conform_t *c)
{
    int              i;
    unsigned         written, refused, other;
    conform_racer_t  racers[CONFORM_RACERS];

    memset(racers, 0, sizeof(racers));
    written = 0;
    refused = 0;
    other = 0;

    for (i = 0; i < CONFORM_RACERS; i++) {
        racers[i].of = c;
        racers[i].number = i;

        if (pthread_create(&racers[i].thread, NULL, conform_accounts_racer,
                           &racers[i]) != 0)
        {
            tap_ok(0, "a thread starts");
            return;
        }
    }

    for (i = 0; i < CONFORM_RACERS; i++) {
        pthread_join(racers[i].thread, NULL);
        written += racers[i].written;
        refused += racers[i].refused;
        other += racers[i].other;
    }

    tap_ok(written == CONFORM_RACE_LIMIT && other == 0
           && refused == CONFORM_RACERS * CONFORM_RACE_WRITES
                         - CONFORM_RACE_LIMIT
           && conform_accounts_items(c, "race") == CONFORM_RACE_LIMIT,
           "%d writers at once fill an account to its limit of %d and no "
           "further: %u written, %u refused, %u otherwise", CONFORM_RACERS,
           CONFORM_RACE_LIMIT, written, refused, other);
}


static inline void
conform_accounts(conform_t *c)
{
    conform_accounts_count(c);
    conform_accounts_quota(c);
    conform_accounts_request(c);
    conform_accounts_race(c);
}


#endif /* _STORE_CONFORM_ACCOUNTS_H_INCLUDED_ */
