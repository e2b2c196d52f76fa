/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The breaker: after failures in a row the server is not asked any more, so
 * that a dead one does not hold every thread for as long as the driver waits;
 * the keeper alone asks, and closes it when there is an answer.
 *
 *     closed   -- failures, or no primary found -->  open
 *     open     -- the keeper's probe is answered -->  closed
 *
 * Any thread.  Says what fails in one line, and then again only after
 * STORE_MONGO_REPORT_MS.
 */


#include "store_mongo.h"


#ifdef STORE_HAVE_MONGO

#include <errno.h>


int
store_mongo_breaker_open(store_t *store)
{
    int                     rc;
    pthread_condattr_t      attr;
    store_mongo_breaker_t  *breaker;

    breaker = &store->breaker;

    rc = pthread_condattr_init(&attr);

    if (rc != 0) {
        return rc;
    }

    rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);

    if (rc == 0) {
        rc = pthread_cond_init(&breaker->wanted, &attr);
    }

    (void) pthread_condattr_destroy(&attr);

    if (rc != 0) {
        return rc;
    }

    rc = pthread_mutex_init(&breaker->mutex, NULL);

    if (rc != 0) {
        (void) pthread_cond_destroy(&breaker->wanted);
    }

    return rc;
}


void
store_mongo_breaker_close(store_t *store)
{
    (void) pthread_cond_destroy(&store->breaker.wanted);
    (void) pthread_mutex_destroy(&store->breaker.mutex);
}


int
store_mongo_breaker_tripped(store_t *store)
{
    int  open;

    pthread_mutex_lock(&store->breaker.mutex);
    open = store->breaker.open;
    pthread_mutex_unlock(&store->breaker.mutex);

    return open;
}


void
store_mongo_breaker_report(store_t *store, store_mongo_link_t *link,
    store_mongo_rc_t rc)
{
    int                     tell, healed;
    int64_t                 now_us;
    uint64_t                more;
    store_mongo_breaker_t  *breaker;

    breaker = &store->breaker;
    now_us = store_mongo_now_us();
    tell = healed = 0;
    more = 0;

    pthread_mutex_lock(&breaker->mutex);

    if (rc == STORE_MONGO_DONE || rc == STORE_MONGO_AGAIN) {

        /* somebody answers */

        breaker->failures = 0;
        breaker->open = 0;

        if (rc == STORE_MONGO_DONE && breaker->reported) {
            breaker->reported = 0;
            healed = 1;
        }

    } else {

        if (rc == STORE_MONGO_DOWN || rc == STORE_MONGO_UNSURE) {
            breaker->failures++;

            /* a search for a primary has tried for long enough */

            if (breaker->failures >= STORE_MONGO_FAILURES_MAX
                || link->error.domain == MONGOC_ERROR_SERVER_SELECTION)
            {
                breaker->open = 1;
                pthread_cond_broadcast(&breaker->wanted);
            }
        }

        tell = !breaker->reported
               || now_us - breaker->reported_us
                  > (int64_t) STORE_MONGO_REPORT_MS * 1000;

        if (tell) {
            more = breaker->unreported;
            breaker->unreported = 0;
            breaker->reported = 1;
            breaker->reported_us = now_us;

        } else {
            breaker->unreported++;
        }
    }

    pthread_mutex_unlock(&breaker->mutex);

    if (tell) {
        store_mongo_log(store, (rc == STORE_MONGO_DOWN) ? ENOTCONN : EIO,
                        "store: MongoDB: %s failed: %s (%u)%s",
                        link->what ? link->what : "a call",
                        link->error.message, link->error.code,
                        more ? ", and others before" : "");
    }

    if (healed) {
        store_mongo_log(store, 0, "store: MongoDB answers again");
    }
}


int
store_mongo_breaker_wait(store_t *store, int64_t ms)
{
    int                     rc, closing;
    struct timespec         until;
    store_mongo_breaker_t  *breaker;

    breaker = &store->breaker;
    rc = 0;

    store_mongo_time_after(&until, ms);

    pthread_mutex_lock(&breaker->mutex);

    while (!breaker->closing && rc != ETIMEDOUT) {
        rc = pthread_cond_timedwait(&breaker->wanted, &breaker->mutex,
                                    &until);

        /* opened in the meantime: the next probe is soon */

        if (rc == 0 && breaker->open && ms > STORE_MONGO_PROBE_MS) {
            break;
        }
    }

    closing = breaker->closing;

    pthread_mutex_unlock(&breaker->mutex);

    return !closing;
}


#endif /* STORE_HAVE_MONGO */
