/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The counters, and the page that shows them in Prometheus' text format.
 *
 * The names and labels of all series are fixed here; nothing that a client
 * sends becomes a label.  A worker that finds no free slot shares the last
 * row with its like, and adds to it atomically.
 */


#include "ngx_mesh_reply.h"
#include "ngx_mesh_zone.h"
#include "ngx_ucan_conf.h"
#include "ngx_ucan_metric.h"


#define NGX_UCAN_METRIC_VERSION    1
#define NGX_UCAN_METRIC_ZONE_SIZE  (256 * 1024)             /* bytes */
#define NGX_UCAN_METRIC_ROWS       (NGX_MESH_ZONE_SLOTS + 1)
#define NGX_UCAN_METRIC_WIDTH      64                       /* counters */
#define NGX_UCAN_METRIC_BUF        2048                     /* bytes */
#define NGX_UCAN_METRIC_LINE_MAX   256                      /* bytes */


/* A row fills whole cache lines: workers do not share one. */
typedef struct {
    ngx_atomic_t              counters[NGX_UCAN_METRIC_WIDTH];
} ngx_ucan_metric_row_t;


/* In shared memory; slots are changed under the zone's mutex. */
typedef struct {
    ngx_ucan_metric_row_t     rows[NGX_UCAN_METRIC_ROWS];
    ngx_uint_t                version;
    ngx_mesh_zone_t           slots;
} ngx_ucan_metric_table_t;


typedef struct {
    const char               *family;
    const char               *type;
    const char               *help;
} ngx_ucan_metric_family_t;


typedef struct {
    ngx_ucan_metric_family_t  family;
    ngx_uint_t                first;      /* counter of the first line */
    const char               *labels[4];  /* one line each; NULL: no more */
} ngx_ucan_metric_series_t;


/* Grows by buffers as lines come; in the request's pool. */
typedef struct {
    ngx_pool_t               *pool;
    ngx_chain_t              *head;
    ngx_chain_t              *tail;
    off_t                     bytes;
    unsigned                  failed:1;
} ngx_ucan_metric_page_t;


static ngx_int_t ngx_ucan_metric_zone_init(ngx_shm_zone_t *zone, void *data);
static ngx_int_t ngx_ucan_metric_handler(ngx_http_request_t *r);
static void ngx_ucan_metric_sum(const ngx_ucan_metric_table_t *table,
    uint64_t *sums);
static void ngx_ucan_metric_write_requests(ngx_ucan_metric_page_t *page,
    const uint64_t *sums);
static void ngx_ucan_metric_write_series(ngx_ucan_metric_page_t *page,
    const uint64_t *sums);
static void ngx_ucan_metric_write_gauges(ngx_ucan_metric_page_t *page,
    const ngx_ucan_metric_conf_t *conf);
static void ngx_ucan_metric_write_family(ngx_ucan_metric_page_t *page,
    const ngx_ucan_metric_family_t *family);
static void ngx_ucan_metric_write_line(ngx_ucan_metric_page_t *page,
    const char *name, const char *labels, uint64_t value);
static u_char *ngx_ucan_metric_room(ngx_ucan_metric_page_t *page);
static void ngx_ucan_metric_wrote(ngx_ucan_metric_page_t *page, u_char *last);
static ngx_int_t ngx_ucan_metric_send(ngx_http_request_t *r,
    ngx_ucan_metric_page_t *page);


/* Of this process; NULL: it counts nothing. */
static ngx_ucan_metric_row_t  *ngx_ucan_metric_row;
static ngx_int_t               ngx_ucan_metric_claimed = NGX_ERROR;


static const ngx_ucan_metric_family_t  ngx_ucan_metric_requests = {
    "mesh_ucan_requests_total", "counter",
    "Decisions of the access phase by outcome."
};


static const ngx_ucan_metric_series_t  ngx_ucan_metric_table[] = {

    { { "mesh_ucan_signatures_total", "counter",
        "Signatures that were checked." },
      NGX_UCAN_METRIC_SIGNATURE_GOOD,
      { "{result=\"good\"}", "{result=\"bad\"}" } },

    { { "mesh_ucan_cache_total", "counter",
        "Look-ups of open sessions in the worker, of good signatures in "
        "the zone." },
      NGX_UCAN_METRIC_WORKER_HIT,
      { "{cache=\"worker\",result=\"hit\"}",
        "{cache=\"worker\",result=\"miss\"}",
        "{cache=\"zone\",result=\"hit\"}",
        "{cache=\"zone\",result=\"miss\"}" } },

    { { "mesh_ucan_proofs_total", "counter",
        "Proofs that were looked for in the store." },
      NGX_UCAN_METRIC_PROOF_FOUND,
      { "{result=\"found\"}", "{result=\"missing\"}" } },

    { { "mesh_ucan_replays_total", "counter",
        "Invocations that were asked for in the replay zone." },
      NGX_UCAN_METRIC_REPLAY_NEW,
      { "{result=\"new\"}", "{result=\"seen\"}", "{result=\"full\"}" } },

    { { "mesh_ucan_thread_jobs_total", "counter",
        "Chains that were handed to the thread pool." },
      NGX_UCAN_METRIC_THREAD_JOB,
      { "" } }
};


static const ngx_ucan_metric_family_t  ngx_ucan_metric_gauges[] = {

    [NGX_UCAN_METRIC_REVOCATIONS] =
        { "mesh_ucan_revocations", "gauge", "Revocations in the zone." },

    [NGX_UCAN_METRIC_SEALS] =
        { "mesh_ucan_cache_entries", "gauge",
          "Good signatures that are remembered in the zone." },

    [NGX_UCAN_METRIC_REPLAYS] =
        { "mesh_ucan_replay_entries", "gauge",
          "Invocations that are remembered until they end." }
};


_Static_assert(NGX_UCAN_METRIC_COUNT <= NGX_UCAN_METRIC_WIDTH,
               "a row is too short");
_Static_assert(sizeof(ngx_ucan_metric_table_t)
               < NGX_UCAN_METRIC_ZONE_SIZE / 2, "the zone is too small");


void
ngx_ucan_metric_add(ngx_ucan_metric_t metric, ngx_uint_t n)
{
    if (ngx_ucan_metric_row == NULL) {
        return;
    }

    if (ngx_ucan_metric_claimed == NGX_ERROR) {
        (void) ngx_atomic_fetch_add(&ngx_ucan_metric_row->counters[metric],
                                    n);
        return;
    }

    ngx_ucan_metric_row->counters[metric] += n;
}


void
ngx_ucan_metric_outcome(ucan_verdict_t verdict)
{
    ngx_ucan_metric_add((ngx_ucan_metric_t) verdict, 1);
}


void
ngx_ucan_metric_gauge(ngx_ucan_metric_conf_t *conf,
    ngx_ucan_metric_gauge_t gauge, ngx_ucan_metric_gauge_pt handler,
    void *data)
{
    conf->gauges[gauge].handler = handler;
    conf->gauges[gauge].data = data;
}


ngx_int_t
ngx_ucan_metric_init(ngx_conf_t *cf, ngx_ucan_metric_conf_t *conf)
{
    static ngx_str_t  name = ngx_string("ucan_metrics");

    conf->zone = ngx_shared_memory_add(cf, &name, NGX_UCAN_METRIC_ZONE_SIZE,
                                       &ngx_http_ucan_module);

    if (conf->zone == NULL) {
        return NGX_ERROR;
    }

    conf->zone->init = ngx_ucan_metric_zone_init;

    return NGX_OK;
}


static ngx_int_t
ngx_ucan_metric_zone_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t          *pool;
    ngx_ucan_metric_table_t  *table;

    if (data) {
        zone->data = data;
        return NGX_OK;
    }

    pool = (ngx_slab_pool_t *) zone->shm.addr;

    if (zone->shm.exists) {
        table = pool->data;

        if (table->version != NGX_UCAN_METRIC_VERSION
            || ngx_mesh_zone_check(&table->slots) != NGX_OK)
        {
            ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                          "ucan: zone \"%V\" is of another version",
                          &zone->shm.name);
            return NGX_ERROR;
        }

        zone->data = table;
        return NGX_OK;
    }

    table = ngx_slab_calloc(pool, sizeof(ngx_ucan_metric_table_t));

    if (table == NULL) {
        return NGX_ERROR;
    }

    table->version = NGX_UCAN_METRIC_VERSION;
    ngx_mesh_zone_open(&table->slots, 0);

    pool->data = table;
    zone->data = table;

    return NGX_OK;
}


void
ngx_ucan_metric_open(ngx_cycle_t *cycle, ngx_ucan_metric_conf_t *conf)
{
    uint64_t                  died;
    ngx_slab_pool_t          *pool;
    ngx_ucan_metric_table_t  *table;

    ngx_ucan_metric_row = NULL;
    ngx_ucan_metric_claimed = NGX_ERROR;

    if (conf->zone == NULL
        || (ngx_process != NGX_PROCESS_WORKER
            && ngx_process != NGX_PROCESS_SINGLE))
    {
        return;
    }

    table = conf->zone->data;
    pool = (ngx_slab_pool_t *) conf->zone->shm.addr;

    ngx_ucan_metric_claimed = ngx_mesh_zone_claim(&table->slots, &pool->mutex,
                                                  &died);

    if (ngx_ucan_metric_claimed == NGX_ERROR) {
        ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0,
                      "ucan: more than %d workers, some count together",
                      NGX_MESH_ZONE_SLOTS);

        ngx_ucan_metric_row = &table->rows[NGX_MESH_ZONE_SLOTS];
        return;
    }

    ngx_ucan_metric_row = &table->rows[ngx_ucan_metric_claimed];
}


void
ngx_ucan_metric_close(ngx_ucan_metric_conf_t *conf)
{
    ngx_slab_pool_t          *pool;
    ngx_ucan_metric_table_t  *table;

    if (ngx_ucan_metric_claimed == NGX_ERROR) {
        return;
    }

    table = conf->zone->data;
    pool = (ngx_slab_pool_t *) conf->zone->shm.addr;

    ngx_mesh_zone_release(&table->slots, &pool->mutex,
                          ngx_ucan_metric_claimed);

    ngx_ucan_metric_row = NULL;
    ngx_ucan_metric_claimed = NGX_ERROR;
}


static ngx_int_t
ngx_ucan_metric_handler(ngx_http_request_t *r)
{
    uint64_t                 sums[NGX_UCAN_METRIC_COUNT];
    ngx_int_t                rc;
    ngx_ucan_metric_page_t   page;
    ngx_ucan_main_conf_t    *mcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ucan_module);

    ngx_memzero(&page, sizeof(ngx_ucan_metric_page_t));
    page.pool = r->pool;

    ngx_ucan_metric_sum(mcf->metric.zone->data, sums);

    ngx_ucan_metric_write_requests(&page, sums);
    ngx_ucan_metric_write_series(&page, sums);
    ngx_ucan_metric_write_gauges(&page, &mcf->metric);

    if (page.failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_ucan_metric_send(r, &page);
}


static void
ngx_ucan_metric_sum(const ngx_ucan_metric_table_t *table, uint64_t *sums)
{
    ngx_uint_t  row, i;

    ngx_memzero(sums, NGX_UCAN_METRIC_COUNT * sizeof(uint64_t));

    for (row = 0; row < NGX_UCAN_METRIC_ROWS; row++) {
        for (i = 0; i < NGX_UCAN_METRIC_COUNT; i++) {
            sums[i] += table->rows[row].counters[i];
        }
    }
}


static void
ngx_ucan_metric_write_requests(ngx_ucan_metric_page_t *page,
    const uint64_t *sums)
{
    u_char      *last, labels[NGX_UCAN_METRIC_LINE_MAX / 2];
    ngx_uint_t   i;
    const char  *outcome;

    ngx_ucan_metric_write_family(page, &ngx_ucan_metric_requests);

    for (i = NGX_UCAN_METRIC_ACCEPTED; i <= NGX_UCAN_METRIC_BUSY; i++) {

        switch (i) {

        case NGX_UCAN_METRIC_ACCEPTED:
            outcome = "accepted";
            break;

        case NGX_UCAN_METRIC_ABSENT:
            outcome = "absent";
            break;

        case NGX_UCAN_METRIC_WRONG_ORIGIN:
            outcome = "wrong-origin";
            break;

        case NGX_UCAN_METRIC_BUSY:
            outcome = "busy";
            break;

        default:
            outcome = ucan_verdict_slug((ucan_verdict_t) i);
        }

        last = ngx_snprintf(labels, sizeof(labels) - 1, "{outcome=\"%s\"}",
                            outcome);
        *last = '\0';

        ngx_ucan_metric_write_line(page, ngx_ucan_metric_requests.family,
                                   (char *) labels, sums[i]);
    }
}


static void
ngx_ucan_metric_write_series(ngx_ucan_metric_page_t *page,
    const uint64_t *sums)
{
    ngx_uint_t                       i, n;
    const ngx_ucan_metric_series_t  *series;

    for (i = 0; i < sizeof(ngx_ucan_metric_table)
                    / sizeof(ngx_ucan_metric_table[0]); i++)
    {
        series = &ngx_ucan_metric_table[i];

        ngx_ucan_metric_write_family(page, &series->family);

        for (n = 0; n < 4 && series->labels[n]; n++) {
            ngx_ucan_metric_write_line(page, series->family.family,
                                       series->labels[n],
                                       sums[series->first + n]);
        }
    }
}


static void
ngx_ucan_metric_write_gauges(ngx_ucan_metric_page_t *page,
    const ngx_ucan_metric_conf_t *conf)
{
    ngx_uint_t                       i;
    const ngx_ucan_metric_source_t  *gauge;

    for (i = 0; i < NGX_UCAN_METRIC_GAUGES; i++) {
        gauge = &conf->gauges[i];

        if (gauge->handler == NULL) {
            continue;
        }

        ngx_ucan_metric_write_family(page, &ngx_ucan_metric_gauges[i]);
        ngx_ucan_metric_write_line(page, ngx_ucan_metric_gauges[i].family,
                                   "", gauge->handler(gauge->data));
    }
}


static void
ngx_ucan_metric_write_family(ngx_ucan_metric_page_t *page,
    const ngx_ucan_metric_family_t *family)
{
    u_char  *p;

    p = ngx_ucan_metric_room(page);

    if (p) {
        p = ngx_snprintf(p, NGX_UCAN_METRIC_LINE_MAX, "# HELP %s %s\n",
                         family->family, family->help);
        ngx_ucan_metric_wrote(page, p);
    }

    p = ngx_ucan_metric_room(page);

    if (p) {
        p = ngx_snprintf(p, NGX_UCAN_METRIC_LINE_MAX, "# TYPE %s %s\n",
                         family->family, family->type);
        ngx_ucan_metric_wrote(page, p);
    }
}


static void
ngx_ucan_metric_write_line(ngx_ucan_metric_page_t *page, const char *name,
    const char *labels, uint64_t value)
{
    u_char  *p;

    p = ngx_ucan_metric_room(page);

    if (p) {
        p = ngx_snprintf(p, NGX_UCAN_METRIC_LINE_MAX, "%s%s %uL\n", name,
                         labels, value);
        ngx_ucan_metric_wrote(page, p);
    }
}


/* Where the next line goes; there are NGX_UCAN_METRIC_LINE_MAX bytes. */

static u_char *
ngx_ucan_metric_room(ngx_ucan_metric_page_t *page)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (page->failed) {
        return NULL;
    }

    if (page->tail
        && page->tail->buf->end - page->tail->buf->last
           >= NGX_UCAN_METRIC_LINE_MAX)
    {
        return page->tail->buf->last;
    }

    b = ngx_create_temp_buf(page->pool, NGX_UCAN_METRIC_BUF);
    cl = ngx_alloc_chain_link(page->pool);

    if (b == NULL || cl == NULL) {
        page->failed = 1;
        return NULL;
    }

    cl->buf = b;
    cl->next = NULL;

    if (page->tail) {
        page->tail->next = cl;

    } else {
        page->head = cl;
    }

    page->tail = cl;

    return b->last;
}


static void
ngx_ucan_metric_wrote(ngx_ucan_metric_page_t *page, u_char *last)
{
    page->bytes += last - page->tail->buf->last;
    page->tail->buf->last = last;
}


static ngx_int_t
ngx_ucan_metric_send(ngx_http_request_t *r, ngx_ucan_metric_page_t *page)
{
    ngx_int_t         rc;
    static ngx_str_t  no_store = ngx_string("no-store");

    ngx_str_set(&r->headers_out.content_type,
                "text/plain; version=0.0.4; charset=utf-8");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = page->bytes;

    if (ngx_mesh_reply_header(r, "Cache-Control", &no_store) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    page->tail->buf->last_buf = (r == r->main) ? 1 : 0;
    page->tail->buf->last_in_chain = 1;

    return ngx_http_output_filter(r, page->head);
}


char *
ngx_ucan_metric_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler) {
        return "is duplicate, or another handler serves this location";
    }

    clcf->handler = ngx_ucan_metric_handler;

    return NGX_CONF_OK;
}
