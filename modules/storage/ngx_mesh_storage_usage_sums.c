/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * GET /api/storage/usage: what was used, by model, bot, day and provider.
 *
 * The ledger itself is not read: sums of each day are kept with it (usage.h),
 * and those of the days that are asked for are added up here, a thousand a
 * job, until all are seen; then the page that is asked for is cut out.  Sums
 * may grow while they are read.  Only those of namespaces that the caller may
 * read count.  Event loop only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_usage.h"
#include "timestamp.h"


#define NGX_MESH_STORAGE_USAGE_DAYS       30      /* unless "from" is sent */
#define NGX_MESH_STORAGE_USAGE_SLOTS      16384   /* of the table of groups */
#define NGX_MESH_STORAGE_USAGE_BY_MAX     64      /* bytes of "by" */
#define NGX_MESH_STORAGE_USAGE_PLACE_MAX  512     /* bytes of a group's key */
#define NGX_MESH_STORAGE_USAGE_ROW        320     /* bytes of an answer's row,
                                                     beside its texts */
#define NGX_MESH_STORAGE_USAGE_COST       48      /* of one currency of it */


_Static_assert(NGX_MESH_STORAGE_USAGE_SLOTS
               > NGX_MESH_STORAGE_USAGE_GROUPS_MAX, "table");


typedef enum {
    NGX_MESH_STORAGE_USAGE_BY_MODEL = 0,
    NGX_MESH_STORAGE_USAGE_BY_BOT,
    NGX_MESH_STORAGE_USAGE_BY_DAY,
    NGX_MESH_STORAGE_USAGE_BY_PROVIDER,
    NGX_MESH_STORAGE_USAGE_BY_COUNT
} ngx_mesh_storage_usage_by_t;


typedef struct ngx_mesh_storage_usage_cost_s  ngx_mesh_storage_usage_cost_t;

/* What was paid in one currency. */
struct ngx_mesh_storage_usage_cost_s {
    u_char                          currency[USAGE_CURRENCY_LEN];
    int64_t                         cost;
    ngx_mesh_storage_usage_cost_t  *next;
};


/* One row of the answer.  Its key is what it is grouped by, in that order,
   each ended by a byte 0x01, which none of them holds. */
typedef struct {
    bytes_t                         key;
    int64_t                         counts[USAGE_COST];
    ngx_mesh_storage_usage_cost_t  *costs;
} ngx_mesh_storage_usage_group_t;


typedef struct {
    ngx_mesh_storage_usage_by_t      by[NGX_MESH_STORAGE_USAGE_BY_COUNT];
    size_t                           by_count;
    bytes_t                          from;       /* days, both included */
    bytes_t                          to;
    uint64_t                         limit;
    bytes_t                          place;      /* of the page before; empty:
                                                    the first */
    bytes_t                          scope;      /* of the cursor */

    bytes_t                          after;      /* last key that was read */
    size_t                           seen;       /* sums */
    ngx_mesh_storage_usage_group_t **slots;
    ngx_mesh_storage_usage_group_t **groups;
    size_t                           count;
    bytes_t                          judged;     /* namespace last asked for */
    unsigned                         allowed:1;  /* and what the answer was */
} ngx_mesh_storage_usage_query_t;


static ngx_int_t ngx_mesh_storage_usage_sums_parse(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_usage_query_t *query,
    ngx_int_t *rc);
static ngx_int_t ngx_mesh_storage_usage_sums_by(
    ngx_mesh_storage_usage_query_t *query, bytes_t text);
static ngx_int_t ngx_mesh_storage_usage_sums_day(
    ngx_mesh_storage_rest_t *rest, const char *name, time_t otherwise,
    bytes_t *day, ngx_int_t *rc);
static ngx_int_t ngx_mesh_storage_usage_sums_scope(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_usage_query_t *query,
    bytes_t by);
static ngx_int_t ngx_mesh_storage_usage_sums_read(
    ngx_mesh_storage_rest_t *rest);
static bytes_t ngx_mesh_storage_usage_sums_bound(ngx_pool_t *pool,
    bytes_t day, u_char behind);
static ngx_int_t ngx_mesh_storage_usage_sums_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_usage_sums_row(
    ngx_mesh_storage_rest_t *rest, const store_row_t *row);
static ngx_uint_t ngx_mesh_storage_usage_sums_counts(
    ngx_mesh_storage_rest_t *rest, bytes_t ns);
static ngx_mesh_storage_usage_group_t *ngx_mesh_storage_usage_sums_group(
    ngx_mesh_storage_rest_t *rest, const usage_sum_t *sum);
static ngx_int_t ngx_mesh_storage_usage_sums_add(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_usage_group_t *group,
    const usage_sum_t *sum, int64_t n);
static void ngx_mesh_storage_usage_sums_grow(int64_t *sum, int64_t n);
static ngx_int_t ngx_mesh_storage_usage_sums_reply(
    ngx_mesh_storage_rest_t *rest);
static int ngx_libc_cdecl ngx_mesh_storage_usage_sums_cmp(const void *one,
    const void *two);
static int ngx_mesh_storage_usage_sums_order(bytes_t a, bytes_t b);
static void ngx_mesh_storage_usage_sums_write(
    const ngx_mesh_storage_usage_query_t *query,
    const ngx_mesh_storage_usage_group_t *group, json_write_t *j);
static void ngx_mesh_storage_usage_sums_write_costs(
    const ngx_mesh_storage_usage_group_t *group, json_write_t *j);
static ngx_int_t ngx_mesh_storage_usage_sums_many(
    ngx_mesh_storage_rest_t *rest);


static const char *const  ngx_mesh_storage_usage_sums_names[] = {
    [NGX_MESH_STORAGE_USAGE_BY_MODEL] = "model",
    [NGX_MESH_STORAGE_USAGE_BY_BOT] = "bot",
    [NGX_MESH_STORAGE_USAGE_BY_DAY] = "day",
    [NGX_MESH_STORAGE_USAGE_BY_PROVIDER] = "provider"
};


ngx_int_t
ngx_mesh_storage_usage_sums(ngx_mesh_storage_rest_t *rest)
{
    ngx_int_t                        rc;
    ngx_mesh_storage_usage_query_t  *query;

    if (ngx_mesh_storage_rest_allow(rest, "/storage/read", "usage",
                                    bytes_make(NULL, 0), &rc)
        != NGX_OK)
    {
        return rc;
    }

    query = ngx_pcalloc(rest->r->pool,
                        sizeof(ngx_mesh_storage_usage_query_t));
    if (query == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rest->data = query;

    query->slots = ngx_pcalloc(rest->r->pool, NGX_MESH_STORAGE_USAGE_SLOTS
                               * sizeof(ngx_mesh_storage_usage_group_t *));
    query->groups = ngx_palloc(rest->r->pool,
                               NGX_MESH_STORAGE_USAGE_GROUPS_MAX
                               * sizeof(ngx_mesh_storage_usage_group_t *));

    if (query->slots == NULL || query->groups == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_mesh_storage_usage_sums_parse(rest, query, &rc) != NGX_OK) {
        return rc;
    }

    return ngx_mesh_storage_usage_sums_read(rest);
}


/* NGX_OK, or NGX_ERROR: *rc finalizes the request. */

static ngx_int_t
ngx_mesh_storage_usage_sums_parse(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_usage_query_t *query, ngx_int_t *rc)
{
    time_t     now;
    bytes_t    by;

    static const ngx_mesh_storage_rest_number_t  limit = {
        "limit", 1, NGX_MESH_STORAGE_REST_LIMIT_MAX
    };

    query->limit = NGX_MESH_STORAGE_REST_LIMIT;
    now = ngx_time();

    if (ngx_mesh_storage_rest_number(rest, &limit, &query->limit, rc)
        == NGX_ERROR
        || ngx_mesh_storage_rest_query(rest, "by",
                                       NGX_MESH_STORAGE_USAGE_BY_MAX, &by, rc)
           == NGX_ERROR
        || ngx_mesh_storage_usage_sums_day(rest, "to", now, &query->to, rc)
           != NGX_OK
        || ngx_mesh_storage_usage_sums_day(rest, "from",
               now - (NGX_MESH_STORAGE_USAGE_DAYS - 1) * 86400, &query->from,
               rc)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_mesh_storage_usage_sums_by(query, by) != NGX_OK) {
        *rc = ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                  "\"by\" names model, bot, day and provider, each once, with "
                  "commas between");
        return NGX_ERROR;
    }

    if (ngx_mesh_storage_usage_sums_scope(rest, query, by) != NGX_OK) {
        *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return NGX_ERROR;
    }

    return ngx_mesh_storage_rest_cursor(rest, query->scope, &query->place,
                                        rc)
           == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_usage_sums_by(ngx_mesh_storage_usage_query_t *query,
    bytes_t text)
{
    size_t          i, n;
    bytes_t         word;
    const uint8_t  *comma;

    while (text.len != 0) {
        comma = memchr(text.data, ',', text.len);
        word = bytes_make(text.data, comma ? (size_t) (comma - text.data)
                                           : text.len);

        /* a comma at the end has nothing behind it */

        if (comma && word.len + 1 == text.len) {
            return NGX_ERROR;
        }

        text.data += comma ? word.len + 1 : word.len;
        text.len -= comma ? word.len + 1 : word.len;

        for (i = 0; i < NGX_MESH_STORAGE_USAGE_BY_COUNT; i++) {
            if (bytes_equal_text(word,
                                 ngx_mesh_storage_usage_sums_names[i]))
            {
                break;
            }
        }

        for (n = 0; n < query->by_count && query->by[n] != i; n++) {
            /* void */
        }

        if (i == NGX_MESH_STORAGE_USAGE_BY_COUNT || n < query->by_count) {
            return NGX_ERROR;
        }

        query->by[query->by_count++] = (ngx_mesh_storage_usage_by_t) i;
    }

    return NGX_OK;
}


/* A day of the query, or that of otherwise. */

static ngx_int_t
ngx_mesh_storage_usage_sums_day(ngx_mesh_storage_rest_t *rest,
    const char *name, time_t otherwise, bytes_t *day, ngx_int_t *rc)
{
    ngx_int_t       found;
    bytes_writer_t  w;

    found = ngx_mesh_storage_rest_query(rest, name, TIMESTAMP_LEN, day, rc);

    if (found == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (found == NGX_OK) {

        if (usage_day_valid(*day)) {
            return NGX_OK;
        }

        *rc = ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                  "\"from\" and \"to\" are days such as 2026-11-24");
        return NGX_ERROR;
    }

    if (ngx_mesh_storage_rest_writer(rest, &w, TIMESTAMP_LEN) != NGX_OK) {
        *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return NGX_ERROR;
    }

    timestamp_write(&w, (int64_t) otherwise * 1000);
    *day = bytes_make(w.start, USAGE_DAY_LEN);

    return NGX_OK;
}


/* Days that were not sent are left out: a page may be asked for tomorrow. */

static ngx_int_t
ngx_mesh_storage_usage_sums_scope(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_usage_query_t *query, bytes_t by)
{
    ngx_str_t       sent;
    bytes_writer_t  w;

    if (ngx_mesh_storage_rest_writer(rest, &w, by.len + 32) != NGX_OK) {
        return NGX_ERROR;
    }

    bytes_writer_bytes(&w, by);
    bytes_writer_byte(&w, '\n');

    if (ngx_mesh_route_query(rest->r, "from", &sent) == NGX_OK) {
        bytes_writer_bytes(&w, query->from);
    }

    bytes_writer_byte(&w, '\n');

    if (ngx_mesh_route_query(rest->r, "to", &sent) == NGX_OK) {
        bytes_writer_bytes(&w, query->to);
    }

    query->scope = bytes_writer_view(&w);

    return w.failed ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_usage_sums_read(ngx_mesh_storage_rest_t *rest)
{
    u_char                           buf[NGX_MESH_STORAGE_NS_MAX + 8];
    bytes_t                          none = bytes_make(NULL, 0);
    store_read_t                    *read;
    bytes_writer_t                   w;
    ngx_mesh_store_job_t            *job;
    ngx_mesh_storage_usage_query_t  *query;

    query = rest->data;

    job = ngx_mesh_store_job_create(2048, rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    read = ngx_mesh_store_job_reads(job, 1);

    if (read == NULL) {
        goto failed;
    }

    bytes_writer_open(&w, buf, sizeof(buf));
    usage_sums_write(&w, rest->ns);

    read->kind = STORE_RANGE;
    read->ns = ngx_mesh_storage_rest_key(job->pool, "", bytes_writer_view(&w),
                                         none);
    read->key = bytes_of("r/");
    read->from_key = ngx_mesh_storage_usage_sums_bound(job->pool, query->from,
                                                       '/');
    read->to_key = ngx_mesh_storage_usage_sums_bound(job->pool, query->to,
                                                     '/' + 1);
    read->limit = STORE_LIMIT_MAX;

    if (read->ns.len == 0 || read->from_key.len == 0
        || read->to_key.len == 0)
    {
        goto failed;
    }

    if (query->after.len != 0) {
        read->after_key = ngx_mesh_storage_rest_key(job->pool, "",
                                                    query->after, none);

        if (read->after_key.len == 0) {
            goto failed;
        }
    }

    return ngx_mesh_storage_rest_read(rest, job,
                                      ngx_mesh_storage_usage_sums_done);

failed:

    ngx_mesh_store_job_destroy(&rest->mcf->store, job);

    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}


/* "r/<day><behind>" */

static bytes_t
ngx_mesh_storage_usage_sums_bound(ngx_pool_t *pool, bytes_t day,
    u_char behind)
{
    return ngx_mesh_storage_rest_key(pool, "r/", day, bytes_make(&behind, 1));
}


static ngx_int_t
ngx_mesh_storage_usage_sums_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    size_t                           i;
    ngx_int_t                        rc;
    store_rows_t                    *rows;
    ngx_mesh_storage_usage_query_t  *query;

    query = rest->data;

    if (job->rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    rows = &job->rows[0];

    for (i = 0; i < rows->count; i++) {
        rc = ngx_mesh_storage_usage_sums_row(rest, &rows->rows[i]);

        if (rc == NGX_DECLINED) {
            return ngx_mesh_storage_usage_sums_many(rest);
        }

        if (rc != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    query->seen += rows->count;

    if (!rows->more || rows->count == 0) {
        return ngx_mesh_storage_usage_sums_reply(rest);
    }

    if (query->seen >= NGX_MESH_STORAGE_USAGE_ROWS_MAX) {
        return ngx_mesh_storage_usage_sums_many(rest);
    }

    query->after = ngx_mesh_storage_rest_key(rest->r->pool, "",
                                             rows->rows[rows->count - 1].key,
                                             bytes_make(NULL, 0));
    if (query->after.len == 0) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_usage_sums_read(rest);
}


/* NGX_OK; NGX_DECLINED: too many groups; NGX_ERROR: out of memory. */

static ngx_int_t
ngx_mesh_storage_usage_sums_row(ngx_mesh_storage_rest_t *rest,
    const store_row_t *row)
{
    off_t                            n;
    usage_sum_t                      sum;
    ngx_mesh_storage_usage_query_t  *query;
    ngx_mesh_storage_usage_group_t  *group;

    query = rest->data;
    n = ngx_atoof((u_char *) row->value.data, row->value.len);

    if (usage_key_read(&sum, row->key) != 0 || n == NGX_ERROR
        || !ngx_mesh_storage_usage_sums_counts(rest, sum.ns))
    {
        return NGX_OK;
    }

    group = ngx_mesh_storage_usage_sums_group(rest, &sum);

    if (group == NULL) {
        return query->count == NGX_MESH_STORAGE_USAGE_GROUPS_MAX
               ? NGX_DECLINED : NGX_ERROR;
    }

    return ngx_mesh_storage_usage_sums_add(rest, group, &sum, (int64_t) n);
}


/* Is it that of the request or below, and may the caller know?  Rows of one
   namespace follow each other. */

static ngx_uint_t
ngx_mesh_storage_usage_sums_counts(ngx_mesh_storage_rest_t *rest, bytes_t ns)
{
    bytes_t                          own;
    ngx_mesh_storage_usage_query_t  *query;

    query = rest->data;
    own = rest->ns;

    if (!bytes_start_with(ns, own)
        || (ns.len != own.len && ns.data[own.len] != '.'))
    {
        return 0;
    }

    if (bytes_equal(ns, query->judged)) {
        return query->allowed;
    }

    rest->ns = ngx_mesh_storage_rest_key(rest->r->pool, "", ns,
                                         bytes_make(NULL, 0));
    query->judged = rest->ns;

    query->allowed = rest->ns.len != 0
                     && ngx_mesh_storage_rest_may(rest, "/storage/read",
                            "usage", bytes_make(NULL, 0))
                        == UCAN_OK;
    rest->ns = own;

    return query->allowed;
}


/* That of a sum, made when it is the first; NULL: no memory, or too many. */

static ngx_mesh_storage_usage_group_t *
ngx_mesh_storage_usage_sums_group(ngx_mesh_storage_rest_t *rest,
    const usage_sum_t *sum)
{
    size_t                           i, slot;
    u_char                           buf[NGX_MESH_STORAGE_USAGE_PLACE_MAX];
    bytes_t                          key;
    bytes_writer_t                   w;
    ngx_mesh_storage_usage_query_t  *query;
    ngx_mesh_storage_usage_group_t  *group;

    const bytes_t  parts[] = {
        [NGX_MESH_STORAGE_USAGE_BY_MODEL] = sum->model,
        [NGX_MESH_STORAGE_USAGE_BY_BOT] = sum->ns,
        [NGX_MESH_STORAGE_USAGE_BY_DAY] = sum->day,
        [NGX_MESH_STORAGE_USAGE_BY_PROVIDER] = sum->provider
    };

    query = rest->data;
    bytes_writer_open(&w, buf, sizeof(buf));

    for (i = 0; i < query->by_count; i++) {
        bytes_writer_bytes(&w, parts[query->by[i]]);
        bytes_writer_byte(&w, 0x01);
    }

    key = bytes_writer_view(&w);
    slot = ngx_murmur_hash2((u_char *) key.data, key.len)
           % NGX_MESH_STORAGE_USAGE_SLOTS;

    for (group = query->slots[slot]; group; group = query->slots[slot]) {

        if (bytes_equal(group->key, key)) {
            return group;
        }

        slot = (slot + 1) % NGX_MESH_STORAGE_USAGE_SLOTS;
    }

    if (w.failed || query->count == NGX_MESH_STORAGE_USAGE_GROUPS_MAX) {
        return NULL;
    }

    group = ngx_pcalloc(rest->r->pool,
                        sizeof(ngx_mesh_storage_usage_group_t));
    if (group == NULL) {
        return NULL;
    }

    group->key = ngx_mesh_storage_rest_key(rest->r->pool, "", key,
                                           bytes_make(NULL, 0));

    if (group->key.data == NULL) {
        return NULL;
    }

    query->slots[slot] = group;
    query->groups[query->count++] = group;

    return group;
}


static ngx_int_t
ngx_mesh_storage_usage_sums_add(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_usage_group_t *group, const usage_sum_t *sum, int64_t n)
{
    ngx_mesh_storage_usage_cost_t  *cost;

    if (sum->metric != USAGE_COST) {
        ngx_mesh_storage_usage_sums_grow(&group->counts[sum->metric], n);
        return NGX_OK;
    }

    for (cost = group->costs; cost; cost = cost->next) {
        if (ngx_memcmp(cost->currency, sum->currency.data,
                       USAGE_CURRENCY_LEN)
            == 0)
        {
            ngx_mesh_storage_usage_sums_grow(&cost->cost, n);
            return NGX_OK;
        }
    }

    cost = ngx_palloc(rest->r->pool, sizeof(ngx_mesh_storage_usage_cost_t));

    if (cost == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(cost->currency, sum->currency.data, USAGE_CURRENCY_LEN);
    cost->cost = n;
    cost->next = group->costs;
    group->costs = cost;

    return NGX_OK;
}


/* Neither is negative. */

static void
ngx_mesh_storage_usage_sums_grow(int64_t *sum, int64_t n)
{
    *sum = (*sum > INT64_MAX - n) ? INT64_MAX : *sum + n;
}


static ngx_int_t
ngx_mesh_storage_usage_sums_reply(ngx_mesh_storage_rest_t *rest)
{
    size_t                           i, first, last, size;
    json_write_t                     j;
    bytes_writer_t                   w;
    ngx_mesh_storage_usage_cost_t   *cost;
    ngx_mesh_storage_usage_query_t  *query;

    query = rest->data;

    qsort(query->groups, query->count,
          sizeof(ngx_mesh_storage_usage_group_t *),
          ngx_mesh_storage_usage_sums_cmp);

    first = 0;

    while (query->place.len != 0 && first < query->count
           && ngx_mesh_storage_usage_sums_order(query->groups[first]->key,
                                                query->place)
              <= 0)
    {
        first++;
    }

    last = ngx_min(query->count, first + (size_t) query->limit);
    size = 1024 + NGX_MESH_STORAGE_NS_MAX;

    for (i = first; i < last; i++) {
        size += NGX_MESH_STORAGE_USAGE_ROW
                + json_write_string_max(query->groups[i]->key.len);

        for (cost = query->groups[i]->costs; cost; cost = cost->next) {
            size += NGX_MESH_STORAGE_USAGE_COST;
        }
    }

    if (ngx_mesh_storage_rest_writer(rest, &w, size) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member(&j, "namespace", rest->ns);
    json_write_member(&j, "from", query->from);
    json_write_member(&j, "to", query->to);
    json_write_key(&j, "rows");
    json_write_array(&j);

    for (i = first; i < last; i++) {
        ngx_mesh_storage_usage_sums_write(query, query->groups[i], &j);
    }

    json_write_array_end(&j);

    if (last < query->count
        && ngx_mesh_storage_rest_next(rest, query->scope,
                                      query->groups[last - 1]->key, &j)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_object_end(&j);

    return ngx_mesh_storage_rest_reply(rest, NGX_HTTP_OK, &w);
}


static int ngx_libc_cdecl
ngx_mesh_storage_usage_sums_cmp(const void *one, const void *two)
{
    const ngx_mesh_storage_usage_group_t  *a, *b;

    a = *(ngx_mesh_storage_usage_group_t *const *) one;
    b = *(ngx_mesh_storage_usage_group_t *const *) two;

    return ngx_mesh_storage_usage_sums_order(a->key, b->key);
}


static int
ngx_mesh_storage_usage_sums_order(bytes_t a, bytes_t b)
{
    int  rc;

    rc = ngx_memcmp(a.data, b.data, ngx_min(a.len, b.len));

    if (rc != 0) {
        return rc;
    }

    return (a.len > b.len) - (a.len < b.len);
}


static void
ngx_mesh_storage_usage_sums_write(const ngx_mesh_storage_usage_query_t *query,
    const ngx_mesh_storage_usage_group_t *group, json_write_t *j)
{
    size_t          i;
    bytes_t         rest;
    const uint8_t  *end;

    static const char *const  members[] = {
        [USAGE_REQUESTS] = "requests",
        [USAGE_PROMPT] = "promptTokens",
        [USAGE_COMPLETION] = "completionTokens",
        [USAGE_CACHED] = "cachedTokens"
    };

    json_write_object(j);
    rest = group->key;

    for (i = 0; i < query->by_count; i++) {
        end = memchr(rest.data, 0x01, rest.len);

        json_write_member(j, ngx_mesh_storage_usage_sums_names[query->by[i]],
                          bytes_make(rest.data, end - rest.data));

        rest.len -= end + 1 - rest.data;
        rest.data = end + 1;
    }

    for (i = 0; i < USAGE_COST; i++) {
        json_write_member_integer(j, members[i], group->counts[i]);
    }

    ngx_mesh_storage_usage_sums_write_costs(group, j);
    json_write_object_end(j);
}


static void
ngx_mesh_storage_usage_sums_write_costs(
    const ngx_mesh_storage_usage_group_t *group, json_write_t *j)
{
    char                                  name[USAGE_CURRENCY_LEN + 1];
    u_char                                buf[32];
    bytes_writer_t                        w;
    const ngx_mesh_storage_usage_cost_t  *cost;

    if (group->costs == NULL) {
        return;
    }

    json_write_key(j, "cost");
    json_write_object(j);

    for (cost = group->costs; cost; cost = cost->next) {
        ngx_memcpy(name, cost->currency, USAGE_CURRENCY_LEN);
        name[USAGE_CURRENCY_LEN] = '\0';

        bytes_writer_open(&w, buf, sizeof(buf));
        usage_cost_write(&w, cost->cost);
        json_write_member(j, name, bytes_writer_view(&w));
    }

    json_write_object_end(j);
}


static ngx_int_t
ngx_mesh_storage_usage_sums_many(ngx_mesh_storage_rest_t *rest)
{
    return ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
               "these are too many sums for one answer: ask for fewer days, "
               "or by less");
}
