/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What only the MongoDB adapter has: several stores on one database that
 * write at once, one that sweeps for all, a restore that all of them see, and
 * servers that it refuses.
 */


#include "store_mongo_fixture.h"


#ifdef STORE_HAVE_MONGO

#define WRITERS   3
#define ROUNDS    40


typedef struct {
    fixture_t   *f;
    pthread_t    thread;
    int          index;
    unsigned     done;            /* requests that were committed */
    unsigned     refused;         /* by a condition */
} racer_t;


static fixture_t  stores[WRITERS];


static int64_t
read_counter(fixture_t *f, const char *ns, const char *key)
{
    int64_t       number;
    store_read_t  read;
    store_rows_t  rows;

    memset(&read, 0, sizeof(store_read_t));
    read.kind = STORE_GET;
    read.ns = bytes_of(ns);
    read.key = bytes_of(key);

    number = -1;

    if (store_mongo.read(f->store, &read, &rows, 1) != STORE_OK) {
        return -1;
    }

    if (rows.count == 0
        || store_number_parse(rows.rows[0].value, &number) != 0)
    {
        number = -1;
    }

    store_rows_release(&rows, 1);

    return number;
}


static void *
run_increments(void *data)
{
    racer_t *racer = data;

    unsigned         n;
    fixture_write_t  w;

    for (n = 0; n < ROUNDS; n++) {
        w.request.count = 0;
        fixture_op(&w, STORE_INCR, "race.all", "n")->number = 1;
        w.ops[0].log = 1;

        racer->done += (fixture_write(racer->f, &w) == STORE_OK);
    }

    return NULL;
}


static void
run_racers(racer_t *racers, void *(*run)(void *))
{
    int  i;

    memset(racers, 0, WRITERS * sizeof(racer_t));

    for (i = 0; i < WRITERS; i++) {
        racers[i].f = &stores[i];
        racers[i].index = i;
        (void) pthread_create(&racers[i].thread, NULL, run, &racers[i]);
    }

    for (i = 0; i < WRITERS; i++) {
        (void) pthread_join(racers[i].thread, NULL);
    }
}


static void
test_increments_of_several_stores(void)
{
    int           i;
    size_t        holes;
    racer_t       racers[WRITERS];
    uint64_t      done;
    store_read_t  read;
    store_rows_t  rows;

    run_racers(racers, run_increments);

    for (done = 0, i = 0; i < WRITERS; i++) {
        done += racers[i].done;
    }

    tap_ok(done == WRITERS * ROUNDS
           && read_counter(&stores[0], "race.all", "n") == (int64_t) done,
           "%d stores add to one number: none is lost", WRITERS);

    memset(&read, 0, sizeof(store_read_t));
    read.kind = STORE_CHANGES;
    read.ns = bytes_of("race.all");
    read.limit = STORE_LIMIT_MAX;

    holes = 1;

    if (store_mongo.read(stores[1].store, &read, &rows, 1) == STORE_OK) {
        for (holes = 0, i = 0; i < (int) rows.count; i++) {
            holes += (rows.rows[i].seq != (uint64_t) i + 1);
        }

        holes += (rows.count != done || rows.head != done);
        store_rows_release(&rows, 1);
    }

    tap_ok(holes == 0, "and each left one change, without holes");
}


/* Each writes where it looks at the other: serially at most one can. */
static void *
run_skews(void *data)
{
    racer_t *racer = data;

    char             key[16];
    unsigned         n;
    store_rc_t       rc;
    fixture_write_t  w;

    static const char *const  names[] = { "skew-a", "skew-b", "skew-c" };

    for (n = 0; n < ROUNDS; n++) {
        (void) snprintf(key, sizeof(key), "k%u", n);

        w.request.count = 0;
        fixture_op(&w, STORE_PUT, names[racer->index], key);
        fixture_op(&w, STORE_CHECK, names[(racer->index + 1) % WRITERS], key)
            ->condition = STORE_IF_ABSENT;
        fixture_op(&w, STORE_CHECK, names[(racer->index + 2) % WRITERS], key)
            ->condition = STORE_IF_ABSENT;

        rc = fixture_write(racer->f, &w);

        racer->done += (rc == STORE_OK);
        racer->refused += (rc == STORE_CONDITION);
    }

    return NULL;
}


static void
test_checks_of_several_stores(void)
{
    int       i;
    racer_t   racers[WRITERS];
    unsigned  done, refused;

    run_racers(racers, run_skews);

    for (done = refused = 0, i = 0; i < WRITERS; i++) {
        done += racers[i].done;
        refused += racers[i].refused;
    }

    tap_ok(done == ROUNDS && refused == (WRITERS - 1) * ROUNDS,
           "of %d that write unless another did, one does: %u of %u",
           WRITERS, done, ROUNDS);
}


static void *
run_quota(void *data)
{
    racer_t *racer = data;

    char             key[32], ns[16];
    unsigned         n;
    store_rc_t       rc;
    fixture_write_t  w;

    (void) snprintf(ns, sizeof(ns), "quota.%d", racer->index);

    for (n = 0; n < ROUNDS; n++) {
        (void) snprintf(key, sizeof(key), "k%u", n);

        w.request.count = 0;
        fixture_op(&w, STORE_PUT, ns, key);
        w.request.limits.items = ROUNDS;

        rc = fixture_write(racer->f, &w);

        racer->done += (rc == STORE_OK);
        racer->refused += (rc == STORE_QUOTA);
    }

    return NULL;
}


static void
test_quota_of_several_stores(void)
{
    int       i;
    racer_t   racers[WRITERS];
    unsigned  done, refused;

    run_racers(racers, run_quota);

    for (done = refused = 0, i = 0; i < WRITERS; i++) {
        done += racers[i].done;
        refused += racers[i].refused;
    }

    tap_ok(done == ROUNDS && refused == (WRITERS - 1) * ROUNDS,
           "an account above is full for all at once: %u of %u", done,
           ROUNDS);
}


static void
test_one_epoch(void)
{
    int           i, same;
    char          epochs[WRITERS][STORE_EPOCH_LEN + 1];
    store_read_t  read;
    store_rows_t  rows;

    memset(&read, 0, sizeof(store_read_t));
    read.kind = STORE_GET;
    read.ns = bytes_of(STORE_NS_STORE);
    read.key = bytes_of(STORE_KEY_EPOCH);

    memset(epochs, 0, sizeof(epochs));

    for (i = 0; i < WRITERS; i++) {
        if (store_mongo.read(stores[i].store, &read, &rows, 1) == STORE_OK) {
            if (rows.count == 1
                && rows.rows[0].value.len == STORE_EPOCH_LEN)
            {
                memcpy(epochs[i], rows.rows[0].value.data, STORE_EPOCH_LEN);
            }

            store_rows_release(&rows, 1);
        }
    }

    same = epochs[0][0] != '\0';

    for (i = 1; i < WRITERS; i++) {
        same &= (strcmp(epochs[0], epochs[i]) == 0);
    }

    tap_ok(same, "stores of one database have one epoch");
}


static void
test_restore_that_others_see(void)
{
    char         error[512], path[256];
    const char  *tmp;

    tmp = getenv("TMPDIR");
    (void) snprintf(path, sizeof(path), "%s/mongo-restore-%d.data",
                    tmp ? tmp : "/tmp", (int) getpid());

    (void) fixture_put(&stores[0], "seen", "a", "before");

    error[0] = '\0';
    tap_ok(store_mongo.backup(stores[0].store, path, error, sizeof(error))
           == 0, "a backup: %s", error);
    tap_ok(store_mongo.backup(stores[0].store, path, error, sizeof(error))
           == -1, "a file that is there stays: %s", error);

    (void) fixture_put(&stores[1], "seen", "a", "after");
    (void) fixture_put(&stores[1], "seen", "b", "after");

    error[0] = '\0';
    tap_ok(store_mongo.restore(stores[2].store, path, error, sizeof(error))
           == 0, "another store restores it: %s", error);
    tap_ok(fixture_has(&stores[0], "seen", "a", "before")
           && fixture_has(&stores[1], "seen", "b", NULL),
           "all of them see what it holds");
    tap_ok(fixture_put(&stores[1], "seen", "c", "new") == STORE_OK
           && fixture_has(&stores[0], "seen", "c", "new"),
           "and write to it");

    (void) unlink(path);
}


/* What is damaged is found before anything is changed. */
static void
test_damaged_backup(void)
{
    char         error[512], path[256];
    FILE        *file;
    long         size, at, wrong;
    const char  *tmp;

    tmp = getenv("TMPDIR");
    (void) snprintf(path, sizeof(path), "%s/mongo-damaged-%d.data",
                    tmp ? tmp : "/tmp", (int) getpid());

    (void) store_mongo.backup(stores[0].store, path, error, sizeof(error));

    file = fopen(path, "r+");

    if (file == NULL) {
        tap_ok(0, "a backup can be opened");
        return;
    }

    (void) fseek(file, 0, SEEK_END);
    size = ftell(file);

    for (wrong = 0, at = 0; at < size; at += size / 40 + 1) {
        (void) fseek(file, at, SEEK_SET);
        (void) fputc(fgetc(file) ^ 0x41, file);
        (void) fflush(file);

        wrong += store_mongo.restore(stores[0].store, path, error,
                                     sizeof(error)) == 0;
        (void) fseek(file, at, SEEK_SET);
        (void) fputc(fgetc(file) ^ 0x41, file);
        (void) fflush(file);
    }

    tap_ok(wrong == 0 && fixture_has(&stores[0], "seen", "c", "new"),
           "one byte that is wrong anywhere: refused, nothing changed: %s",
           error);

    (void) fclose(file);

    tap_ok(truncate(path, size - 1) == 0
           && store_mongo.restore(stores[0].store, path, error, sizeof(error))
           == -1, "nor one that is cut short: %s", error);

    (void) unlink(path);
}


static void
test_sweep_by_one(void)
{
    int              i;
    char             key[16];
    unsigned         swept;
    uint64_t         head;
    store_read_t     read;
    store_rows_t     rows;
    fixture_write_t  w;

    for (i = 0; i < 20; i++) {
        (void) snprintf(key, sizeof(key), "k%d", i);

        w.request.count = 0;
        fixture_op(&w, STORE_PUT, "times", key);
        w.ops[0].log = 1;
        w.ops[0].expires_ms = store_mongo_now_ms() + 50;
        (void) fixture_write(&stores[0], &w);
    }

    memset(&read, 0, sizeof(store_read_t));
    read.kind = STORE_CHANGES;
    read.ns = bytes_of("times");
    read.limit = 100;

    head = 0;

    for (i = 0; i < 300 && head < 40; i++) {
        if (store_mongo.read(stores[0].store, &read, &rows, 1) == STORE_OK) {
            head = rows.head;
            store_rows_release(&rows, 1);
        }

        usleep(50000);
    }

    for (swept = 0, i = 0; i < WRITERS; i++) {
        pthread_mutex_lock(&stores[i].mutex);
        swept += (stores[i].swept != 0);
        pthread_mutex_unlock(&stores[i].mutex);
    }

    usleep(300000);

    if (store_mongo.read(stores[0].store, &read, &rows, 1) == STORE_OK) {
        head = rows.head;
        store_rows_release(&rows, 1);
    }

    tap_ok(head == 40 && swept == 1,
           "20 items expire with a change each, by one of the stores: head "
           "%llu, %u swept", (unsigned long long) head, swept);
}


static void
test_secret(void)
{
    char            error[512];
    store_t        *store;
    store_config_t  config;

    config = stores[0].config;
    config.uri = "mongodb://ada:s3cret@127.0.0.1:1/mesh?authSource=%zz";
    store = store_mongo.open(&config, error, sizeof(error));

    tap_ok(store == NULL && strstr(error, "s3cret") == NULL
           && strstr(error, "127.0.0.1") == NULL && error[0] != '\0',
           "a URI that is wrong is not repeated: %s", error);

    if (store != NULL) {
        store_mongo.close(store);
    }

    config.uri = "mongodb://ada:s3cret@127.0.0.1:1/mesh";
    store = store_mongo.open(&config, error, sizeof(error));

    tap_ok(store != NULL && strstr(stores[0].text, "s3cret") == NULL
           && strstr(stores[0].text, "127.0.0.1") == NULL
           && stores[0].text[0] != '\0',
           "nor one of a server that is away: %s", stores[0].text);

    if (store != NULL) {
        store_mongo.close(store);
    }
}


static void
test_health(void)
{
    store_health_t  health;

    store_mongo.health(stores[0].store, &health);

    tap_ok(strcmp(health.adapter, "mongo") == 0 && health.commits > 0
           && health.writes >= health.commits && health.queue == 0
           && !health.failed, "health: %llu requests in %llu commits",
           (unsigned long long) health.writes,
           (unsigned long long) health.commits);
}


int
main(void)
{
    int  i, open;

    if (fixture_skip("several stores on one MongoDB")) {
        return tap_done();
    }

    for (open = 0, i = 0; i < WRITERS; i++) {
        fixture_open(&stores[i], "several");
        stores[i].config.changes_ms = 3600000;
        open += fixture_store_open(&stores[i]);
    }

    if (tap_ok(open == WRITERS, "%d stores open: %s", WRITERS,
               stores[0].error))
    {
        test_one_epoch();
        test_increments_of_several_stores();
        test_checks_of_several_stores();
        test_quota_of_several_stores();
        test_health();
        test_restore_that_others_see();
        test_damaged_backup();
        test_sweep_by_one();
        test_secret();
    }

    for (i = WRITERS - 1; i > 0; i--) {
        fixture_store_close(&stores[i]);
    }

    fixture_close(&stores[0]);

    return tap_done();
}

#else


int
main(void)
{
    tap_skip("libmongoc is not there", "several stores on one MongoDB");

    return tap_done();
}

#endif
