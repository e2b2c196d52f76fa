/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What all adapters of the store share: the limits of requests and reads,
 * and the release of what they gave.
 *
 * Any thread; touches nothing but its arguments.  Knows no engine.
 */


#include <stdlib.h>

#include "store.h"


static store_rc_t check_operation(const store_op_t *op);
static store_rc_t check_read(const store_read_t *read);


store_rc_t
store_request_check(const store_request_t *request)
{
    size_t  i;

    if (request->ops == NULL || request->results == NULL
        || request->count == 0 || request->count > STORE_OPS_MAX)
    {
        return STORE_INVALID;
    }

    for (i = 0; i < request->count; i++) {
        if (check_operation(&request->ops[i]) != STORE_OK) {
            return STORE_INVALID;
        }
    }

    return STORE_OK;
}


store_rc_t
store_reads_check(const store_read_t *reads, size_t count)
{
    size_t  i;

    if (reads == NULL || count == 0 || count > STORE_READS_MAX) {
        return STORE_INVALID;
    }

    for (i = 0; i < count; i++) {
        if (check_read(&reads[i]) != STORE_OK) {
            return STORE_INVALID;
        }
    }

    return STORE_OK;
}


void
store_request_release(store_request_t *request)
{
    size_t           i;
    store_result_t  *result;

    for (i = 0; i < request->count; i++) {
        result = &request->results[i];

        if (result->rc == STORE_EXISTS) {
            free((void *) result->value.data);
        }

        result->value = bytes_make(NULL, 0);
        result->key = bytes_make(NULL, 0);
    }
}


void
store_rows_release(store_rows_t *rows, size_t count)
{
    size_t  i, n;

    for (i = 0; i < count; i++) {

        /* an adapter allocates key and value of a row in one block */

        for (n = 0; n < rows[i].count; n++) {
            free((void *) rows[i].rows[n].key.data);
        }

        free(rows[i].rows);

        rows[i].rows = NULL;
        rows[i].count = 0;
    }
}


static store_rc_t
check_operation(const store_op_t *op)
{
    if (op->ns.len == 0 || op->ns.len > STORE_NS_MAX
        || op->key.len > STORE_KEY_MAX
        || op->dedupe.len > STORE_KEY_MAX
        || op->value.len > STORE_VALUE_MAX
        || op->if_seq > INT64_MAX
        || op->expires_ms < 0)
    {
        return STORE_INVALID;
    }

    switch (op->kind) {

    case STORE_PUT:
    case STORE_DELETE:
    case STORE_CHECK:
        if (op->key.len == 0 || op->condition > STORE_IF_SEQ) {
            return STORE_INVALID;
        }

        return STORE_OK;

    case STORE_APPEND:
        if (op->key.len == 0 || op->condition != STORE_ANY) {
            return STORE_INVALID;
        }

        return STORE_OK;

    case STORE_DROP:
        return (op->condition == STORE_ANY) ? STORE_OK : STORE_INVALID;

    default:
        return STORE_INVALID;
    }
}


static store_rc_t
check_read(const store_read_t *read)
{
    if (read->ns.len == 0 || read->ns.len > STORE_NS_MAX
        || read->key.len > STORE_KEY_MAX
        || read->after_key.len > STORE_KEY_MAX)
    {
        return STORE_INVALID;
    }

    switch (read->kind) {

    case STORE_GET:
        return (read->key.len != 0) ? STORE_OK : STORE_INVALID;

    case STORE_FEED:
        if (read->key.len != 0) {
            return STORE_OK;
        }

        /* fall through */

    case STORE_RANGE:
        if (read->limit == 0 || read->limit > STORE_LIMIT_MAX) {
            return STORE_INVALID;
        }

        return STORE_OK;

    case STORE_HEAD:
        return STORE_OK;

    default:
        return STORE_INVALID;
    }
}
