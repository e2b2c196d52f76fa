/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Records of model usage, and the keys of their sums.  Pure: any thread,
 * no heap, no clock; the storage module and whoever meters models store what
 * comes out.
 */


#include "json_write.h"
#include "timestamp.h"
#include "usage.h"
#include "utf8.h"


#define USAGE_COST_UNIT    1000000
#define USAGE_COST_PLACES  6


static int read_text(const json_scan_t *object, const char *key,
    bytes_t *text, bytes_writer_t *scratch);
static const char *read_counts(usage_record_t *record,
    const json_scan_t *object);
static const char *read_cost(usage_record_t *record,
    const json_scan_t *object, bytes_writer_t *scratch);
static const char *read_time(usage_record_t *record,
    const json_scan_t *object, bytes_writer_t *scratch);
static int check_name(bytes_t text, size_t max);
static int check_model(bytes_t text);
static int check_currency(bytes_t text);
static bytes_t take_segment(bytes_t *rest);
static int read_metric(usage_sum_t *sum, bytes_t text);


/* of sums, and of records as they are sent and stored */

static const char *const  usage_metrics[USAGE_METRICS] = {
    [USAGE_REQUESTS] = "requests",
    [USAGE_PROMPT] = "prompt",
    [USAGE_COMPLETION] = "completion",
    [USAGE_CACHED] = "cached",
    [USAGE_COST] = "cost."
};

static const char *const  usage_members[USAGE_METRICS] = {
    [USAGE_REQUESTS] = "requests",
    [USAGE_PROMPT] = "promptTokens",
    [USAGE_COMPLETION] = "completionTokens",
    [USAGE_CACHED] = "cachedTokens"
};


const char *
usage_record_read(usage_record_t *record, const json_scan_t *object,
    bytes_writer_t *scratch)
{
    const char  *fault;

    memset(record, 0, sizeof(usage_record_t));

    if (object->type != JSON_SCAN_OBJECT) {
        return "a record must be a JSON object";
    }

    if (read_text(object, "model", &record->model, scratch) != 1
        || check_model(record->model) != 0)
    {
        return "member \"model\" must be a text of 1 to 128 bytes without "
               "control characters";
    }

    if (read_text(object, "provider", &record->provider, scratch) == -1
        || (record->provider.data != NULL
            && check_name(record->provider, USAGE_PROVIDER_MAX) != 0))
    {
        return "member \"provider\" must be 1 to 64 of letters, digits, "
               "\".\", \"_\" and \"-\"";
    }

    if (read_text(object, "id", &record->id, scratch) == -1
        || (record->id.data != NULL
            && check_name(record->id, USAGE_ID_MAX) != 0))
    {
        return "member \"id\" must be 1 to 64 of letters, digits, \".\", "
               "\"_\" and \"-\"";
    }

    fault = read_counts(record, object);

    if (fault == NULL) {
        fault = read_cost(record, object, scratch);
    }

    if (fault == NULL) {
        fault = read_time(record, object, scratch);
    }

    return fault;
}


void
usage_record_write(bytes_writer_t *w, const usage_record_t *record)
{
    size_t          i;
    uint8_t         buf[32];
    json_write_t    j;
    bytes_writer_t  text;

    json_write_open(&j, w);
    json_write_object(&j);
    json_write_member(&j, "ns", record->ns);
    json_write_member(&j, "by", record->by);
    json_write_member(&j, "model", record->model);

    if (record->provider.len != 0) {
        json_write_member(&j, "provider", record->provider);
    }

    for (i = 0; i < USAGE_COST; i++) {
        json_write_member_integer(&j, usage_members[i], record->counts[i]);
    }

    if (record->currency.len != 0) {
        bytes_writer_open(&text, buf, sizeof(buf));
        usage_cost_write(&text, record->counts[USAGE_COST]);
        json_write_member(&j, "cost", bytes_writer_view(&text));
        json_write_member(&j, "currency", record->currency);
    }

    bytes_writer_open(&text, buf, sizeof(buf));
    timestamp_write(&text, record->at_ms);
    json_write_member(&j, "at", bytes_writer_view(&text));
    json_write_object_end(&j);
}


void
usage_sums_write(bytes_writer_t *w, bytes_t ns)
{
    const uint8_t  *dot;

    dot = (ns.len != 0) ? memchr(ns.data, '.', ns.len) : NULL;

    bytes_writer_text(w, USAGE_NS "/");
    bytes_writer_put(w, ns.data, dot ? (size_t) (dot - ns.data) : ns.len);
}


void
usage_entry_write(bytes_writer_t *w, const usage_record_t *record)
{
    bytes_writer_bytes(w, record->ns);
    bytes_writer_byte(w, '/');
    bytes_writer_bytes(w, record->id);
}


void
usage_key_write(bytes_writer_t *w, const usage_record_t *record,
    usage_metric_t metric)
{
    uint8_t         buf[TIMESTAMP_LEN];
    bytes_writer_t  day;

    bytes_writer_open(&day, buf, sizeof(buf));
    timestamp_write(&day, record->at_ms);

    if (day.failed) {
        w->failed = 1;
        return;
    }

    bytes_writer_text(w, "r/");
    bytes_writer_put(w, buf, USAGE_DAY_LEN);
    bytes_writer_byte(w, '/');
    bytes_writer_bytes(w, record->ns);
    bytes_writer_byte(w, '/');
    bytes_writer_text(w, usage_metrics[metric]);

    if (metric == USAGE_COST) {
        bytes_writer_bytes(w, record->currency);
    }

    bytes_writer_byte(w, '/');
    bytes_writer_bytes(w, record->provider);
    bytes_writer_byte(w, '/');
    bytes_writer_bytes(w, record->model);
}


int
usage_key_read(usage_sum_t *sum, bytes_t key)
{
    bytes_t  metric;

    memset(sum, 0, sizeof(usage_sum_t));

    if (!bytes_equal_text(take_segment(&key), "r")) {
        return -1;
    }

    sum->day = take_segment(&key);
    sum->ns = take_segment(&key);
    metric = take_segment(&key);
    sum->provider = take_segment(&key);

    /* the name of a model may have slashes */

    sum->model = key;

    return usage_day_valid(sum->day)
           && sum->ns.len != 0
           && sum->model.len != 0
           ? read_metric(sum, metric) : -1;
}


int
usage_cost_read(int64_t *cost, bytes_t text)
{
    size_t   i, places;
    int64_t  n;

    n = 0;
    places = 0;

    for (i = 0; i < text.len; i++) {

        if (text.data[i] == '.' && places == 0 && i != 0
            && i + 1 < text.len)
        {
            places = 1;
            continue;
        }

        if (text.data[i] < '0' || text.data[i] > '9'
            || places > USAGE_COST_PLACES)
        {
            return -1;
        }

        n = n * 10 + (text.data[i] - '0');
        places += (places != 0);

        if (n > USAGE_COST_MAX) {
            return -1;
        }
    }

    if (text.len == 0) {
        return -1;
    }

    for (places = places ? places - 1 : 0; places < USAGE_COST_PLACES;
         places++)
    {
        n *= 10;

        if (n > USAGE_COST_MAX) {
            return -1;
        }
    }

    *cost = n;

    return 0;
}


void
usage_cost_write(bytes_writer_t *w, int64_t cost)
{
    size_t    i;
    uint8_t   buf[24];
    uint64_t  n;

    n = cost < 0 ? 0 - (uint64_t) cost : (uint64_t) cost;

    if (cost < 0) {
        bytes_writer_byte(w, '-');
    }

    i = sizeof(buf);

    do {
        if (sizeof(buf) - i == USAGE_COST_PLACES) {
            buf[--i] = '.';
        }

        buf[--i] = (uint8_t) ('0' + n % 10);
        n /= 10;

        /* six places, a point, and one digit before it at least */

    } while (n != 0 || sizeof(buf) - i < USAGE_COST_PLACES + 2);

    bytes_writer_put(w, buf + i, sizeof(buf) - i);
}


int
usage_day_valid(bytes_t text)
{
    int64_t         ms;
    uint8_t         buf[TIMESTAMP_LEN];
    bytes_writer_t  w;

    if (text.len != USAGE_DAY_LEN) {
        return 0;
    }

    bytes_writer_open(&w, buf, sizeof(buf));
    bytes_writer_bytes(&w, text);
    bytes_writer_text(&w, "T00:00:00.000Z");

    return !w.failed && timestamp_parse(bytes_writer_view(&w), &ms) == 0;
}


/* 1 and the text; 0: absent or null; -1: no text, or no room. */
static int
read_text(const json_scan_t *object, const char *key, bytes_t *text,
    bytes_writer_t *scratch)
{
    uint8_t      *start;
    json_scan_t   value;

    if (json_scan_find(object, key, &value) != 0
        || value.type == JSON_SCAN_NULL)
    {
        return 0;
    }

    if (json_scan_plain(&value, text) == 0) {
        return 1;
    }

    start = scratch->pos;

    if (json_scan_string(&value, scratch) != 0) {
        return -1;
    }

    *text = bytes_make(start, (size_t) (scratch->pos - start));

    return 1;
}


static const char *
read_counts(usage_record_t *record, const json_scan_t *object)
{
    size_t       i;
    json_scan_t  value;

    record->counts[USAGE_REQUESTS] = 1;

    for (i = 0; i < USAGE_COST; i++) {

        if (json_scan_find(object, usage_members[i], &value) != 0
            || value.type == JSON_SCAN_NULL)
        {
            if (i == USAGE_PROMPT || i == USAGE_COMPLETION) {
                return "a record needs \"promptTokens\" and "
                       "\"completionTokens\"";
            }

            continue;
        }

        if (json_scan_integer(&value, &record->counts[i]) != 0
            || record->counts[i] < 0
            || record->counts[i] > USAGE_COUNT_MAX)
        {
            return "counts of requests and tokens must be integers from 0 to "
                   "1000000000000";
        }
    }

    return NULL;
}


/* A text or a number, of which the digits count as they stand. */
static const char *
read_cost(usage_record_t *record, const json_scan_t *object,
    bytes_writer_t *scratch)
{
    int          found;
    bytes_t      text;
    json_scan_t  value;

    found = read_text(object, "currency", &record->currency, scratch);

    if (found == -1
        || (found == 1 && check_currency(record->currency) != 0))
    {
        return "member \"currency\" must be three capital letters";
    }

    if (json_scan_find(object, "cost", &value) != 0
        || value.type == JSON_SCAN_NULL)
    {
        record->currency = bytes_make(NULL, 0);
        return NULL;
    }

    if (found == 0) {
        return "a \"cost\" needs its \"currency\"";
    }

    text = value.raw;

    if (value.type != JSON_SCAN_NUMBER
        && json_scan_plain(&value, &text) != 0)
    {
        text.len = 0;
    }

    if (usage_cost_read(&record->counts[USAGE_COST], text) != 0) {
        return "member \"cost\" must be a decimal of at most six places, "
               "from 0 to 1000000000, without an exponent";
    }

    return NULL;
}


static const char *
read_time(usage_record_t *record, const json_scan_t *object,
    bytes_writer_t *scratch)
{
    int      found;
    bytes_t  text;

    found = read_text(object, "at", &text, scratch);

    if (found == 0) {
        return NULL;
    }

    if (found == -1
        || timestamp_parse(text, &record->at_ms) != 0
        || record->at_ms <= 0)
    {
        return "member \"at\" must be a time such as "
               "\"2026-11-24T13:05:09.042Z\"";
    }

    return NULL;
}


static int
check_name(bytes_t text, size_t max)
{
    size_t   i;
    uint8_t  c;

    if (text.len == 0 || text.len > max) {
        return -1;
    }

    for (i = 0; i < text.len; i++) {
        c = text.data[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
              || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' || c == '-'))
        {
            return -1;
        }
    }

    return 0;
}


static int
check_model(bytes_t text)
{
    size_t  i;

    if (text.len == 0 || text.len > USAGE_MODEL_MAX || !utf8_valid(text)) {
        return -1;
    }

    for (i = 0; i < text.len; i++) {
        if (text.data[i] < 0x20 || text.data[i] == 0x7f) {
            return -1;
        }
    }

    return 0;
}


static int
check_currency(bytes_t text)
{
    size_t  i;

    if (text.len != USAGE_CURRENCY_LEN) {
        return -1;
    }

    for (i = 0; i < text.len; i++) {
        if (text.data[i] < 'A' || text.data[i] > 'Z') {
            return -1;
        }
    }

    return 0;
}


/* What stands before the next slash, which is dropped; all when there is
   none. */
static bytes_t
take_segment(bytes_t *rest)
{
    bytes_t         segment;
    const uint8_t  *slash;

    segment = *rest;
    slash = (rest->len != 0) ? memchr(rest->data, '/', rest->len) : NULL;

    if (slash == NULL) {
        rest->len = 0;
        return segment;
    }

    segment.len = (size_t) (slash - segment.data);
    rest->data = slash + 1;
    rest->len -= segment.len + 1;

    return segment;
}


static int
read_metric(usage_sum_t *sum, bytes_t text)
{
    size_t  i, len;

    for (i = 0; i < USAGE_COST; i++) {
        if (bytes_equal_text(text, usage_metrics[i])) {
            sum->metric = (usage_metric_t) i;
            return 0;
        }
    }

    len = strlen(usage_metrics[USAGE_COST]);

    if (!bytes_start_with(text, bytes_of(usage_metrics[USAGE_COST]))) {
        return -1;
    }

    sum->metric = USAGE_COST;
    sum->currency = bytes_make(text.data + len, text.len - len);

    return check_currency(sum->currency);
}
