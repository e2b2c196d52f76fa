/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The MongoDB adapter beside the SQLite adapter: random requests go to both,
 * and every result, row, account and change has to be the same.  Nothing
 * expires here, since when the sweep comes is not promised.
 *
 * TWIN_SEED and TWIN_REQUESTS choose another run.
 */


#include "store_mongo_fixture.h"


#ifdef STORE_HAVE_MONGO

#include <dirent.h>

#define TWIN_REQUESTS  1500
#define TWIN_OPS       6
#define TWIN_GROUP     8          /* requests that wait for each other */
#define TWIN_LOOK      10         /* groups between two comparisons */


typedef struct {
    const store_adapter_t  *adapter;
    store_t                *store;
    store_request_t         requests[TWIN_GROUP];
    store_result_t          results[TWIN_GROUP][TWIN_OPS];
} twin_t;


static const char *const  twin_spaces[] = {
    "a", "a.b", "a.b.c", "a.d", "e", "f.g"
};

static const char *const  twin_keys[] = {
    "k", "k/", "k/1", "k/2", "l", "\x01", "\x7f", "\x80", "\xc3\xa9", "\xff",
    "\xff\xff", "number", "number/2"
};

static const char *const  twin_values[] = {
    "", "1", "-5", "9223372036854775807", "text", "a longer text than most"
};

static store_op_t  twin_ops[TWIN_GROUP][TWIN_OPS];
static size_t      twin_counts[TWIN_GROUP];


static void
twin_notify(void *data)
{
}


static void
twin_log(void *data, int error, const char *text)
{
    printf("# log: %s\n", text);
}


static size_t
random_below(size_t n)
{
    return (size_t) rand() % n;
}


#define random_of(list)                                                      \
    bytes_of(list[random_below(sizeof(list) / sizeof(list[0]))])


static void
make_operation(store_op_t *op, size_t i)
{
    static const store_op_kind_t  kinds[] = {
        STORE_PUT, STORE_PUT, STORE_PUT, STORE_PUT, STORE_DELETE,
        STORE_DELETE, STORE_CHECK, STORE_APPEND, STORE_APPEND, STORE_INCR,
        STORE_INCR, STORE_LIMITS, STORE_PUT, STORE_APPEND, STORE_INCR,
        STORE_DELETE, STORE_PUT, STORE_PUT, STORE_PUT, STORE_DROP
    };

    static uint8_t  stamped[TWIN_OPS][200];

    memset(op, 0, sizeof(store_op_t));

    op->kind = kinds[random_below(sizeof(kinds) / sizeof(kinds[0]))];
    op->ns = random_of(twin_spaces);
    op->log = random_below(2) != 0;

    if (op->kind == STORE_DROP && random_below(3) != 0) {
        op->kind = STORE_PUT;
    }

    if (op->kind == STORE_LIMITS) {
        op->limits.items = random_below(3) ? 0 : 4 + random_below(12);
        op->limits.bytes = random_below(3) ? 0 : 40 + random_below(200);
        return;
    }

    op->key = random_of(twin_keys);

    if (op->kind == STORE_DROP) {
        return;
    }

    op->value = random_of(twin_values);
    op->meta = random_below(3) ? bytes_of("meta") : bytes_make(NULL, 0);
    op->note = random_below(3) ? bytes_of("did:key:z6Mk") : bytes_of("");
    op->number = (int64_t) random_below(20) - 10;

    if (op->kind == STORE_APPEND) {
        op->dedupe = random_below(2) ? random_of(twin_keys) : bytes_of("");
        return;
    }

    op->condition = random_below(3) ? STORE_ANY
                                    : (store_condition_t) random_below(4);
    op->if_seq = random_below(30);

    if (op->kind == STORE_PUT) {
        op->weight = random_below(4) ? 0 : random_below(50);
        op->expires_ms = random_below(4) ? 0 : 4000000000000;

        if (random_below(6) == 0) {
            memset(stamped[i], 's', sizeof(stamped[i]));
            op->value = bytes_make(stamped[i], i * STORE_STAMP_LEN + 3);
            op->stamp = 1;
        }
    }
}


static void
make_group(size_t count)
{
    size_t  i, k;

    for (k = 0; k < count; k++) {
        twin_counts[k] = random_below(3) ? 1 : 1 + random_below(TWIN_OPS);

        for (i = 0; i < twin_counts[k]; i++) {
            make_operation(&twin_ops[k][i], i);
        }
    }
}


/* All at once, so that some of them are one commit. */
static void
run_group(twin_t *twin, size_t count)
{
    size_t            k, n;
    store_request_t  *request, *done;

    for (k = 0; k < count; k++) {
        request = &twin->requests[k];

        memset(request, 0, sizeof(store_request_t));

        request->ops = twin_ops[k];
        request->results = twin->results[k];
        request->count = twin_counts[k];
        request->limits.items = 30;
        request->limits.bytes = 600;
        request->limited = bytes_of("a");

        if (twin->adapter->submit(twin->store, request) != STORE_OK) {
            printf("Bail out! a request was not taken\n");
            exit(1);
        }
    }

    for (n = 0; n < count; /* void */ ) {

        for (done = twin->adapter->take(twin->store); done;
             done = done->next)
        {
            n++;
        }

        usleep(100);
    }
}


static int
compare_requests(const twin_t *x, const twin_t *y, size_t k)
{
    size_t                  i;
    const store_result_t   *a, *b;
    const store_request_t  *p, *q;

    p = &x->requests[k];
    q = &y->requests[k];

    if (p->rc != q->rc || p->failed != q->failed
        || (p->rc == STORE_QUOTA
            && memcmp(&p->usage, &q->usage, sizeof(store_usage_t)) != 0))
    {
        return 0;
    }

    for (i = 0; i < p->count; i++) {
        a = &p->results[i];
        b = &q->results[i];

        if (a->rc != b->rc || a->seq != b->seq || a->number != b->number
            || !bytes_equal(a->key, b->key)
            || !bytes_equal(a->value, b->value))
        {
            return 0;
        }
    }

    return 1;
}


static void
print_request(const twin_t *x, const twin_t *y, size_t k)
{
    size_t                 i;
    const store_op_t      *op;
    const store_result_t  *a, *b;

    printf("# rc %d and %d, failed %zu and %zu\n",
           (int) x->requests[k].rc, (int) y->requests[k].rc,
           x->requests[k].failed, y->requests[k].failed);

    for (i = 0; i < twin_counts[k]; i++) {
        op = &twin_ops[k][i];
        a = &x->results[k][i];
        b = &y->results[k][i];

        printf("# op %zu kind %d \"%.*s\" key %zu bytes, condition %d %llu: "
               "%d %llu %lld and %d %llu %lld\n", i, (int) op->kind,
               (int) op->ns.len, (const char *) op->ns.data, op->key.len,
               (int) op->condition, (unsigned long long) op->if_seq,
               (int) a->rc, (unsigned long long) a->seq,
               (long long) a->number, (int) b->rc,
               (unsigned long long) b->seq, (long long) b->number);
    }
}


static int
compare_rows(const store_rows_t *x, const store_rows_t *y)
{
    size_t              i;
    const store_row_t  *a, *b;

    if (x->rc != y->rc || x->count != y->count || x->head != y->head
        || x->oldest != y->oldest || x->more != y->more
        || memcmp(&x->usage, &y->usage, sizeof(store_usage_t)) != 0)
    {
        return 0;
    }

    for (i = 0; i < x->count; i++) {
        a = &x->rows[i];
        b = &y->rows[i];

        if (!bytes_equal(a->key, b->key) || !bytes_equal(a->value, b->value)
            || !bytes_equal(a->meta, b->meta) || a->seq != b->seq
            || a->entries != b->entries || a->size != b->size
            || a->weight != b->weight || a->expires_ms != b->expires_ms
            || a->change != b->change)
        {
            return 0;
        }
    }

    return 1;
}


/* A read of any kind, with any bound. */
static void
make_read(store_read_t *read)
{
    static const store_read_kind_t  kinds[] = {
        STORE_GET, STORE_RANGE, STORE_RANGE, STORE_RANGE, STORE_FEED,
        STORE_FEED, STORE_HEAD, STORE_CHANGES, STORE_USAGE, STORE_NAMES
    };

    memset(read, 0, sizeof(store_read_t));

    read->kind = kinds[random_below(sizeof(kinds) / sizeof(kinds[0]))];
    read->ns = random_of(twin_spaces);
    read->limit = 1 + random_below(12);

    if (read->kind == STORE_GET || random_below(3) == 0) {
        read->key = random_of(twin_keys);
    }

    if (read->kind == STORE_NAMES && read->key.len != 0) {
        read->key = random_of(twin_spaces);
    }

    if (random_below(3) == 0) {
        read->after_key = (read->kind == STORE_NAMES)
                          ? random_of(twin_spaces) : random_of(twin_keys);
    }

    if (read->kind == STORE_RANGE) {
        read->from_key = random_below(3) ? bytes_of("")
                                         : random_of(twin_keys);
        read->to_key = random_below(3) ? bytes_of("") : random_of(twin_keys);
    }

    read->after = random_below(2) ? 0 : random_below(40);
    read->before = random_below(2) ? 0 : random_below(40);
    read->reverse = random_below(2) != 0
                    && (read->kind == STORE_RANGE
                        || read->kind == STORE_FEED);
    read->keys_only = random_below(3) == 0
                      && (read->kind == STORE_RANGE
                          || read->kind == STORE_GET);
}


static int
compare_reads(twin_t *x, twin_t *y)
{
    int           same;
    size_t        i, n, count;
    store_read_t  reads[8];
    store_rows_t  a[8], b[8];

    same = 1;

    for (n = 0; n < 40 && same; n++) {
        count = 1 + random_below(8);

        for (i = 0; i < count; i++) {
            make_read(&reads[i]);
        }

        if (x->adapter->read(x->store, reads, a, count) != STORE_OK) {
            return 0;
        }

        if (y->adapter->read(y->store, reads, b, count) != STORE_OK) {
            store_rows_release(a, count);
            return 0;
        }

        for (i = 0; i < count; i++) {

            if (same && !compare_rows(&a[i], &b[i])) {
                same = 0;
                printf("# read %d of \"%.*s\": rc %d %d, rows %zu %zu, head "
                       "%llu %llu, oldest %llu %llu, more %d %d\n",
                       (int) reads[i].kind, (int) reads[i].ns.len,
                       (const char *) reads[i].ns.data, (int) a[i].rc,
                       (int) b[i].rc, a[i].count, b[i].count,
                       (unsigned long long) a[i].head,
                       (unsigned long long) b[i].head,
                       (unsigned long long) a[i].oldest,
                       (unsigned long long) b[i].oldest, a[i].more,
                       b[i].more);
            }
        }

        store_rows_release(a, count);
        store_rows_release(b, count);
    }

    return same;
}


static unsigned
read_number(const char *name, unsigned otherwise)
{
    const char  *text;

    text = getenv(name);

    return text ? (unsigned) strtoul(text, NULL, 10) : otherwise;
}


static void
test_same_answers(twin_t *x, twin_t *y)
{
    int       same, read;
    size_t    k, count;
    unsigned  n, group, requests, refused;

    requests = read_number("TWIN_REQUESTS", TWIN_REQUESTS);
    srand(read_number("TWIN_SEED", 4));

    same = read = 1;
    n = refused = 0;

    for (group = 0; n < requests && same && read; group++) {
        count = 1 + random_below(TWIN_GROUP);

        make_group(count);
        run_group(x, count);
        run_group(y, count);

        for (k = 0; k < count; k++) {

            if (same && !compare_requests(x, y, k)) {
                same = 0;
                print_request(x, y, k);
            }

            refused += (x->requests[k].rc != STORE_OK);
            n++;

            store_request_release(&x->requests[k]);
            store_request_release(&y->requests[k]);
        }

        if (group % TWIN_LOOK == 0) {
            read = compare_reads(x, y);
        }
    }

    tap_ok(same, "%u random requests have the same results, %u of them "
           "refused", n, refused);
    tap_ok(read, "and all reads between them the same rows");
}


static store_t *
open_sqlite(char *folder, size_t size, char *path, store_config_t *config)
{
    char         error[512];
    store_t     *store;
    const char  *tmp;

    tmp = getenv("TMPDIR");
    (void) snprintf(folder, size, "%s/twin-XXXXXX", tmp ? tmp : "/tmp");

    if (mkdtemp(folder) == NULL) {
        perror(folder);
        exit(1);
    }

    (void) snprintf(path, 300, "%s/mesh.db", folder);

    config->path = path;
    config->readers_max = 2;
    config->queue_max = 100;
    config->migrate = 1;
    config->log = twin_log;
    config->notify = twin_notify;

    store = store_sqlite.open(config, error, sizeof(error));

    if (store == NULL) {
        printf("Bail out! %s\n", error);
        exit(1);
    }

    return store;
}


static void
remove_folder(const char *folder)
{
    DIR            *dir;
    char            name[600];
    struct dirent  *entry;

    dir = opendir(folder);

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        (void) snprintf(name, sizeof(name), "%s/%s", folder, entry->d_name);
        (void) unlink(name);
    }

    if (dir != NULL) {
        closedir(dir);
    }

    (void) rmdir(folder);
}


int
main(void)
{
    char            folder[256], path[300];
    twin_t          x, y;
    fixture_t       f;
    store_config_t  config;

    if (fixture_skip("the MongoDB adapter beside that of SQLite")) {
        return tap_done();
    }

    memset(&config, 0, sizeof(store_config_t));

    x.adapter = &store_sqlite;
    x.store = open_sqlite(folder, sizeof(folder), path, &config);

    fixture_open(&f, "twin");
    f.config.log = twin_log;
    f.config.notify = twin_notify;
    f.config.threads = 1;               /* one order, as SQLite has it */

    y.adapter = &store_mongo;

    if (tap_ok(fixture_store_open(&f), "a store opens: %s", f.error)) {
        y.store = f.store;
        test_same_answers(&x, &y);
    }

    fixture_close(&f);
    store_sqlite.close(x.store);
    remove_folder(folder);

    return tap_done();
}

#else


int
main(void)
{
    tap_skip("libmongoc is not there",
             "the MongoDB adapter beside that of SQLite");

    return tap_done();
}

#endif
