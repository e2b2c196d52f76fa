/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What all adapters of the store share: the limits of requests and reads,
 * the release of what they gave, names of accounts, numbers as text.
 *
 * Any thread; touches nothing but its arguments.  Knows no engine.
 */


#include <stdlib.h>

#include "store.h"


static store_rc_t check_operation(const store_op_t *op, size_t before);
static store_rc_t check_name(bytes_t ns);
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
        if (check_operation(&request->ops[i], i) != STORE_OK) {
            return STORE_INVALID;
        }
    }

    return (request->limits.items <= INT64_MAX
            && request->limits.bytes <= INT64_MAX) ? STORE_OK
                                                   : STORE_INVALID;
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


bytes_t
store_account_above(bytes_t ns)
{
    size_t  len;

    for (len = ns.len; len != 0; len--) {
        if (ns.data[len - 1] == '.') {
            return bytes_make(ns.data, len - 1);
        }
    }

    return bytes_make(NULL, 0);
}


int
store_number_parse(bytes_t value, int64_t *number)
{
    size_t    i, sign;
    uint64_t  n, max;

    *number = 0;

    sign = (value.len != 0 && value.data[0] == '-');
    max = (uint64_t) INT64_MAX + sign;

    if (value.len == sign || value.len > STORE_NUMBER_MAX
        || (value.data[sign] == '0' && value.len != 1))
    {
        return -1;
    }

    n = 0;

    for (i = sign; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9'
            || n > (max - (value.data[i] - '0')) / 10)
        {
            return -1;
        }

        n = n * 10 + (value.data[i] - '0');
    }

    *number = sign ? (int64_t) (0 - n) : (int64_t) n;

    return 0;
}


size_t
store_number_write(int64_t number, uint8_t text[STORE_NUMBER_MAX])
{
    size_t    i, len;
    uint8_t   digits[STORE_NUMBER_MAX];
    uint64_t  n;

    n = (number < 0) ? 0 - (uint64_t) number : (uint64_t) number;
    len = 0;

    do {
        digits[len++] = (uint8_t) ('0' + n % 10);
        n /= 10;
    } while (n != 0);

    if (number < 0) {
        digits[len++] = '-';
    }

    for (i = 0; i < len; i++) {
        text[i] = digits[len - 1 - i];
    }

    return len;
}


/* "before" operations of the request come before it. */
static store_rc_t
check_operation(const store_op_t *op, size_t before)
{
    if (check_name(op->ns) != STORE_OK
        || op->key.len > STORE_KEY_MAX
        || op->dedupe.len > STORE_KEY_MAX
        || op->value.len > STORE_VALUE_MAX
        || op->meta.len > STORE_META_MAX
        || op->note.len > STORE_META_MAX
        || op->weight > STORE_WEIGHT_MAX
        || op->if_seq > INT64_MAX
        || op->expires_ms < 0
        || (op->stamp && (op->kind != STORE_PUT
                          || op->value.len < before * STORE_STAMP_LEN)))
    {
        return STORE_INVALID;
    }

    switch (op->kind) {

    case STORE_PUT:
    case STORE_DELETE:
    case STORE_CHECK:
    case STORE_INCR:
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

    case STORE_LIMITS:
        if (op->key.len != 0 || op->condition != STORE_ANY
            || op->limits.items > INT64_MAX || op->limits.bytes > INT64_MAX)
        {
            return STORE_INVALID;
        }

        return STORE_OK;

    default:
        return STORE_INVALID;
    }
}


static store_rc_t
check_name(bytes_t ns)
{
    unsigned  depth;
    bytes_t   above;

    if (ns.len == 0 || ns.len > STORE_NS_MAX) {
        return STORE_INVALID;
    }

    depth = 0;

    for (above = store_account_above(ns);
         above.len != 0;
         above = store_account_above(above))
    {
        depth++;
    }

    return (depth <= STORE_DEPTH_MAX) ? STORE_OK : STORE_INVALID;
}


static store_rc_t
check_read(const store_read_t *read)
{
    if (read->kind != STORE_NAMES && check_name(read->ns) != STORE_OK) {
        return STORE_INVALID;
    }

    if (read->key.len > STORE_KEY_MAX
        || read->after_key.len > STORE_KEY_MAX
        || read->from_key.len > STORE_KEY_MAX
        || read->to_key.len > STORE_KEY_MAX)
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
    case STORE_CHANGES:
    case STORE_NAMES:
        if (read->limit == 0 || read->limit > STORE_LIMIT_MAX) {
            return STORE_INVALID;
        }

        return STORE_OK;

    case STORE_HEAD:
    case STORE_USAGE:
        return STORE_OK;

    default:
        return STORE_INVALID;
    }
}
