/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The adapter over libmongoc, the field's own driver: open, the threads that
 * write, the keeper, health, close.
 *
 * submit() is called by one thread and hands a request to the thread of its
 * first namespace, so that requests of a namespace stay in order; each of
 * those takes all that waits for it, up to a bound, as one transaction.  The
 * keeper prepares the server, probes it while the breaker is open, and sweeps.
 *
 * A server that cannot be reached is no reason not to open: until it is
 * there, requests and reads are STORE_BUSY.
 */


#include "store_mongo.h"


#ifdef STORE_HAVE_MONGO

#include <signal.h>
#include <sodium.h>
#include <stdlib.h>


static store_t *open_store(const store_config_t *config, char *error,
    size_t error_size);
static int set_config(store_t *store, const store_config_t *config,
    char *error, size_t error_size);
static int open_locks(store_t *store);
static void close_locks(store_t *store);
static int open_threads(store_t *store);
static int open_thread(pthread_t *thread, void *(*run)(void *), void *data,
    const char *name);
static int prepare_store(store_t *store, char *error, size_t error_size);
static int prepare_blocked(store_t *store, char *error, size_t error_size);
static store_mongo_rc_t make_epoch(store_t *store);
static store_rc_t submit_request(store_t *store, store_request_t *request);
static store_request_t *take_done(store_t *store);
static void get_health(store_t *store, store_health_t *health);
static void close_store(store_t *store);
static void free_store(store_t *store);
static void *run_writer(void *data);
static store_request_t *take_batch(store_mongo_writer_t *writer,
    int64_t *until_us);
static size_t count_bytes(const store_request_t *request);
static void finish_batch(store_t *store, store_request_t *list,
    size_t written);
static void *run_keeper(void *data);
static int64_t sweep_interval(const store_t *store);
static int is_ready(store_t *store);
static void probe_server(store_t *store);


const store_adapter_t  store_mongo = {
    .name = "mongo",
    .open = open_store,
    .submit = submit_request,
    .take = take_done,
    .read = store_mongo_reader_read,
    .health = get_health,
    .backup = store_mongo_backup_make,
    .restore = store_mongo_backup_restore,
    .close = close_store
};


static store_t *
open_store(const store_config_t *config, char *error, size_t error_size)
{
    store_t  *store;

    store = calloc(1, sizeof(store_t));

    if (store == NULL) {
        snprintf(error, error_size, "out of memory");
        return NULL;
    }

    if (set_config(store, config, error, error_size) != 0) {
        free(store);
        return NULL;
    }

    if (open_locks(store) != 0) {
        snprintf(error, error_size, "locks cannot be made");
        free(store);
        return NULL;
    }

    if (store_mongo_pool_open(store, error, error_size) != 0) {
        free_store(store);
        return NULL;
    }

    if (prepare_blocked(store, error, error_size) != 0) {
        free_store(store);
        return NULL;
    }

    if (open_threads(store) != 0) {
        snprintf(error, error_size, "the threads that write do not start");
        close_store(store);
        return NULL;
    }

    return store;
}


static int
set_config(store_t *store, const store_config_t *config, char *error,
    size_t error_size)
{
    if (config->uri == NULL || config->uri[0] == '\0') {
        snprintf(error, error_size, "there is no URI of a MongoDB server");
        return -1;
    }

    if (sodium_init() < 0) {
        snprintf(error, error_size, "there are no random numbers");
        return -1;
    }

    store->config = *config;
    store->done_tail = &store->done;

    store->threads = config->threads ? config->threads
                                     : STORE_MONGO_THREADS;

    if (store->threads > STORE_MONGO_THREADS_MAX) {
        store->threads = STORE_MONGO_THREADS_MAX;
    }

    if (store->config.readers_max == 0) {
        store->config.readers_max = 1;
    }

    if (store->config.readers_max > STORE_MONGO_READERS_MAX) {
        store->config.readers_max = STORE_MONGO_READERS_MAX;
    }

    if (store->config.queue_max == 0) {
        store->config.queue_max = STORE_MONGO_QUEUE_MAX;
    }

    store_mongo_random(store->holder);

    return 0;
}


static int
open_locks(store_t *store)
{
    int                 rc;
    pthread_condattr_t  attr;

    rc = pthread_condattr_init(&attr);

    if (rc != 0) {
        return rc;
    }

    rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);

    if (rc == 0) {
        rc = pthread_cond_init(&store->released, &attr);
    }

    (void) pthread_condattr_destroy(&attr);

    if (rc != 0) {
        return rc;
    }

    rc = pthread_mutex_init(&store->mutex, NULL);

    if (rc == 0) {
        rc = store_mongo_breaker_open(store);

        if (rc == 0) {
            return 0;
        }

        (void) pthread_mutex_destroy(&store->mutex);
    }

    (void) pthread_cond_destroy(&store->released);

    return rc;
}


static void
close_locks(store_t *store)
{
    store_mongo_breaker_close(store);
    (void) pthread_mutex_destroy(&store->mutex);
    (void) pthread_cond_destroy(&store->released);
}


/* Those that did start are counted, and ended by close_store(). */
static int
open_threads(store_t *store)
{
    int                    rc;
    size_t                 i, wanted;
    store_mongo_writer_t  *writer;

    wanted = store->threads;
    store->threads = 0;

    for (i = 0; i < wanted; i++) {
        writer = &store->writers[i];
        writer->store = store;
        writer->queue_tail = &writer->queue;

        rc = pthread_cond_init(&writer->wanted, NULL);

        if (rc != 0) {
            return rc;
        }

        rc = open_thread(&writer->thread, run_writer, writer, "mesh mongo");

        if (rc != 0) {
            (void) pthread_cond_destroy(&writer->wanted);
            return rc;
        }

        store->threads++;
    }

    rc = open_thread(&store->keeper, run_keeper, store, "mesh keeper");
    store->keeps = (rc == 0);

    return rc;
}


/* Threads of ours take no signals; faults of their own stay deadly. */
static int
open_thread(pthread_t *thread, void *(*run)(void *), void *data,
    const char *name)
{
    int       rc;
    sigset_t  all, old;

    sigfillset(&all);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);

    rc = pthread_sigmask(SIG_BLOCK, &all, &old);

    if (rc != 0) {
        return rc;
    }

    rc = pthread_create(thread, NULL, run, data);

    if (rc == 0) {
        (void) pthread_setname_np(*thread, name);
    }

    (void) pthread_sigmask(SIG_SETMASK, &old, NULL);

    return rc;
}


/*
 * Checks the server and makes the layout.  0, also when there is no server
 * now; -1 and a sentence: this one cannot serve.
 */

static int
prepare_store(store_t *store, char *error, size_t error_size)
{
    store_mongo_rc_t    rc;
    store_mongo_link_t  link;

    rc = store_mongo_pool_take(store, &link);

    if (rc == STORE_MONGO_DONE) {
        rc = store_mongo_pool_prepare(&link);
    }

    store_mongo_pool_release(&link);

    if (rc == STORE_MONGO_DONE) {
        rc = make_epoch(store);
    }

    if (rc == STORE_MONGO_DONE) {
        pthread_mutex_lock(&store->mutex);
        store->ready = 1;
        pthread_mutex_unlock(&store->mutex);
    }

    store_mongo_breaker_report(store, &link, rc);

    if (rc != STORE_MONGO_BROKEN) {
        return 0;
    }

    snprintf(error, error_size, "%s", link.error.message);

    return -1;
}


/* The driver starts threads of its own when it first looks for a server. */
static int
prepare_blocked(store_t *store, char *error, size_t error_size)
{
    int       rc;
    sigset_t  all, old;

    sigfillset(&all);

    if (pthread_sigmask(SIG_BLOCK, &all, &old) != 0) {
        snprintf(error, error_size, "signals cannot be blocked");
        return -1;
    }

    rc = prepare_store(store, error, error_size);

    (void) pthread_sigmask(SIG_SETMASK, &old, NULL);

    return rc;
}


static store_mongo_rc_t
make_epoch(store_t *store)
{
    char             epoch[STORE_EPOCH_LEN + 1];
    store_op_t       op;
    store_result_t   result;
    store_request_t  request;

    store_mongo_random(epoch);

    memset(&op, 0, sizeof(store_op_t));
    op.kind = STORE_PUT;
    op.condition = STORE_IF_ABSENT;
    op.ns = bytes_of(STORE_NS_STORE);
    op.key = bytes_of(STORE_KEY_EPOCH);
    op.value = bytes_make(epoch, STORE_EPOCH_LEN);

    memset(&request, 0, sizeof(store_request_t));
    request.ops = &op;
    request.results = &result;
    request.count = 1;

    (void) store_mongo_batch_run(store, &request, store_mongo_now_us()
                                 + (int64_t) STORE_MONGO_BATCH_MS * 1000);

    switch (request.rc) {

    case STORE_OK:
    case STORE_CONDITION:
        return STORE_MONGO_DONE;

    default:
        return STORE_MONGO_DOWN;
    }
}


/* Requests. */

static store_rc_t
submit_request(store_t *store, store_request_t *request)
{
    size_t                 i;
    bytes_t                ns;
    uint32_t               hash;
    store_rc_t             rc;
    store_mongo_writer_t  *writer;

    if (store_request_check(request) != STORE_OK) {
        return STORE_INVALID;
    }

    if (store_mongo_breaker_tripped(store)) {
        return STORE_BUSY;
    }

    hash = 2166136261u;
    ns = request->ops[0].ns;

    for (i = 0; i < ns.len; i++) {
        hash = (hash ^ ns.data[i]) * 16777619u;
    }

    writer = &store->writers[hash % store->threads];
    request->next = NULL;
    rc = STORE_BUSY;

    pthread_mutex_lock(&store->mutex);

    if (store->ready && !store->closing
        && store->waiting < store->config.queue_max)
    {
        *writer->queue_tail = request;
        writer->queue_tail = &request->next;
        store->waiting++;

        pthread_cond_signal(&writer->wanted);
        rc = STORE_OK;
    }

    pthread_mutex_unlock(&store->mutex);

    return rc;
}


static store_request_t *
take_done(store_t *store)
{
    store_request_t  *list;

    pthread_mutex_lock(&store->mutex);

    list = store->done;
    store->done = NULL;
    store->done_tail = &store->done;

    pthread_mutex_unlock(&store->mutex);

    return list;
}


static void
get_health(store_t *store, store_health_t *health)
{
    memset(health, 0, sizeof(store_health_t));

    health->adapter = store_mongo.name;
    health->version = MONGOC_VERSION_S;

    pthread_mutex_lock(&store->mutex);

    health->queue = store->waiting;
    health->commits = store->commits;
    health->writes = store->writes;
    health->failed = store->failed || !store->ready;

    pthread_mutex_unlock(&store->mutex);

    if (store_mongo_breaker_tripped(store)) {
        health->failed = 1;
    }
}


static void
close_store(store_t *store)
{
    size_t  i;

    pthread_mutex_lock(&store->mutex);

    store->closing = 1;
    store->closing_us = store_mongo_now_us()
                        + (int64_t) STORE_MONGO_CLOSE_MS * 1000;

    for (i = 0; i < store->threads; i++) {
        pthread_cond_signal(&store->writers[i].wanted);
    }

    pthread_mutex_unlock(&store->mutex);

    pthread_mutex_lock(&store->breaker.mutex);
    store->breaker.closing = 1;
    pthread_cond_broadcast(&store->breaker.wanted);
    pthread_mutex_unlock(&store->breaker.mutex);

    for (i = 0; i < store->threads; i++) {
        (void) pthread_join(store->writers[i].thread, NULL);
        (void) pthread_cond_destroy(&store->writers[i].wanted);
    }

    if (store->keeps) {
        (void) pthread_join(store->keeper, NULL);
    }

    free_store(store);
}


static void
free_store(store_t *store)
{
    store_mongo_pool_close(store);
    close_locks(store);
    free(store);
}


void
store_mongo_fail(store_request_t *request, store_rc_t rc)
{
    size_t    i;
    uint64_t  seq;

    store_request_release(request);

    request->rc = rc;

    for (i = 0; i < request->count; i++) {

        /* the seq that a condition met stays, for the caller's next try */

        seq = ((rc == STORE_CONDITION || rc == STORE_TYPE)
               && i == request->failed) ? request->results[i].seq : 0;

        memset(&request->results[i], 0, sizeof(store_result_t));

        request->results[i].rc = rc;
        request->results[i].seq = seq;
    }
}


/* The threads that write. */

static void *
run_writer(void *data)
{
    store_mongo_writer_t *writer = data;

    size_t            written;
    int64_t           until_us;
    store_t          *store;
    store_request_t  *list, *request;

    store = writer->store;

    for ( ;; ) {
        list = take_batch(writer, &until_us);

        if (list == NULL) {
            return NULL;
        }

        if (!store_mongo_breaker_tripped(store)
            && store_mongo_now_us() < until_us)
        {
            written = store_mongo_batch_run(store, list, until_us);
            finish_batch(store, list, written);
            continue;
        }

        for (request = list; request; request = request->next) {
            memset(request->results, 0,
                   request->count * sizeof(store_result_t));
            request->failed = 0;
            store_mongo_fail(request, STORE_BUSY);
        }

        finish_batch(store, list, 0);
    }
}


/* Waits; NULL when the store closes and nothing is left. */
static store_request_t *
take_batch(store_mongo_writer_t *writer, int64_t *until_us)
{
    size_t             ops, bytes;
    store_t           *store;
    store_request_t   *list, *request, **tail;

    store = writer->store;
    ops = bytes = 0;

    pthread_mutex_lock(&store->mutex);

    while (writer->queue == NULL && !store->closing) {
        pthread_cond_wait(&writer->wanted, &store->mutex);
    }

    list = writer->queue;
    tail = &writer->queue;

    for (request = list; request; request = request->next) {
        ops += request->count;
        bytes += count_bytes(request);

        if (request != list
            && (ops > STORE_MONGO_BATCH_OPS
                || bytes > STORE_MONGO_BATCH_BYTES))
        {
            break;
        }

        tail = &request->next;
    }

    /* what is left, and the end of what was taken */

    *tail = NULL;
    writer->queue = request;

    if (request == NULL) {
        writer->queue_tail = &writer->queue;
    }

    *until_us = store_mongo_now_us()
                + (int64_t) STORE_MONGO_BATCH_MS * 1000;

    if (store->closing && *until_us > store->closing_us) {
        *until_us = store->closing_us;
    }

    pthread_mutex_unlock(&store->mutex);

    return list;
}


static size_t
count_bytes(const store_request_t *request)
{
    size_t  i, bytes;

    bytes = 0;

    for (i = 0; i < request->count; i++) {
        bytes += request->ops[i].key.len + request->ops[i].value.len;
    }

    return bytes;
}


static void
finish_batch(store_t *store, store_request_t *list, size_t written)
{
    size_t             n;
    store_rc_t         rc;
    store_request_t  **tail;

    n = 0;
    rc = STORE_OK;

    pthread_mutex_lock(&store->mutex);

    *store->done_tail = list;

    for (tail = store->done_tail; *tail != NULL; tail = &(*tail)->next) {
        rc = (*tail)->rc;
        n++;
    }

    store->done_tail = tail;
    store->waiting -= n;

    if (written != 0) {
        store->commits++;
        store->writes += written;
    }

    store->failed = (rc == STORE_BUSY || rc == STORE_FULL
                     || rc == STORE_FAILED || rc == STORE_UNKNOWN);

    pthread_mutex_unlock(&store->mutex);

    if (store->config.notify != NULL) {
        store->config.notify(store->config.data);
    }
}


/* The keeper. */

static void *
run_keeper(void *data)
{
    store_t *store = data;

    int      more, left;
    int64_t  ms;

    ms = is_ready(store) ? sweep_interval(store) : STORE_MONGO_PROBE_MS;

    while (store_mongo_breaker_wait(store, ms)) {

        if (store_mongo_breaker_tripped(store) || !is_ready(store)) {
            probe_server(store);
            ms = STORE_MONGO_PROBE_MS;
            continue;
        }

        left = 0;
        more = store_mongo_sweep_step(store, &left);

        if (left && store->config.swept != NULL) {
            store->config.swept(store->config.data);
        }

        ms = more ? 1 : sweep_interval(store);
    }

    return NULL;
}


/* Changes that are kept shortly are looked for more often. */
static int64_t
sweep_interval(const store_t *store)
{
    int64_t  ms;

    ms = store->config.changes_ms / 4;

    if (store->config.changes_ms == 0 || ms > STORE_MONGO_SWEEP_MS) {
        return STORE_MONGO_SWEEP_MS;
    }

    return (ms > STORE_MONGO_SWEEP_MIN_MS) ? ms : STORE_MONGO_SWEEP_MIN_MS;
}


static int
is_ready(store_t *store)
{
    int  ready;

    pthread_mutex_lock(&store->mutex);
    ready = store->ready;
    pthread_mutex_unlock(&store->mutex);

    return ready;
}


/* Prepares a server that was not there at first, or asks for one that was. */
static void
probe_server(store_t *store)
{
    char                error[STORE_MONGO_TEXT_MAX];
    store_mongo_rc_t    rc;
    store_mongo_link_t  link;

    if (!is_ready(store)) {
        (void) prepare_store(store, error, sizeof(error));
        return;
    }

    rc = store_mongo_pool_take(store, &link);

    if (rc == STORE_MONGO_DONE) {
        rc = store_mongo_pool_generation(&link);
    }

    store_mongo_pool_release(&link);
    store_mongo_breaker_report(store, &link, rc);
}


/* Log, time, random. */

void
store_mongo_log(store_t *store, int error, const char *fmt, ...)
{
    char     text[STORE_MONGO_TEXT_MAX];
    va_list  args;

    if (store->config.log == NULL) {
        return;
    }

    va_start(args, fmt);
    (void) vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    store->config.log(store->config.data, error, text);
}


int64_t
store_mongo_now_us(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


int64_t
store_mongo_now_ms(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_REALTIME, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


void
store_mongo_time_after(struct timespec *ts, int64_t ms)
{
    clock_gettime(CLOCK_MONOTONIC, ts);

    ts->tv_sec += ms / 1000;
    ts->tv_nsec += (long) (ms % 1000) * 1000000;

    if (ts->tv_nsec >= 1000000000) {
        ts->tv_sec++;
        ts->tv_nsec -= 1000000000;
    }
}


void
store_mongo_random(char *text)
{
    uint8_t  bytes[STORE_MONGO_ID_LEN / 2];

    randombytes_buf(bytes, sizeof(bytes));

    (void) sodium_bin2hex(text, STORE_MONGO_ID_LEN + 1, bytes,
                          sizeof(bytes));
}


#endif /* STORE_HAVE_MONGO */
