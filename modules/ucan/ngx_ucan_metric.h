/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Counters of the ucan module for Prometheus: a row for each worker slot in
 * shared memory, which only its worker writes, so no lock is taken; a scrape
 * adds the rows up.  A row is never set back: the slot's next worker counts
 * on, and what a dead worker counted stays.
 */


#ifndef _NGX_UCAN_METRIC_H_INCLUDED_
#define _NGX_UCAN_METRIC_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ucan_token.h"


#define NGX_UCAN_METRIC_VERDICTS  (UCAN_REPLAY_FULL + 1)


typedef enum {
    /* outcomes of the access phase: one for each verdict, UCAN_OK first */
    NGX_UCAN_METRIC_ACCEPTED = 0,
    NGX_UCAN_METRIC_ABSENT = NGX_UCAN_METRIC_VERDICTS,    /* no token */
    NGX_UCAN_METRIC_WRONG_ORIGIN,         /* a cookie from another site */
    NGX_UCAN_METRIC_BUSY,                 /* the thread pool is full */

    NGX_UCAN_METRIC_SIGNATURE_GOOD,       /* signatures that were checked */
    NGX_UCAN_METRIC_SIGNATURE_BAD,
    NGX_UCAN_METRIC_WORKER_HIT,           /* sessions that were open */
    NGX_UCAN_METRIC_WORKER_MISS,
    NGX_UCAN_METRIC_ZONE_HIT,             /* signatures known as good */
    NGX_UCAN_METRIC_ZONE_MISS,
    NGX_UCAN_METRIC_PROOF_FOUND,          /* in the store of delegations */
    NGX_UCAN_METRIC_PROOF_MISSING,
    NGX_UCAN_METRIC_REPLAY_NEW,           /* invocations asked about */
    NGX_UCAN_METRIC_REPLAY_SEEN,
    NGX_UCAN_METRIC_REPLAY_FULL,
    NGX_UCAN_METRIC_THREAD_JOB,           /* walks handed to the threads */

    NGX_UCAN_METRIC_COUNT
} ngx_ucan_metric_t;


/* What is asked for at a scrape, not counted. */
typedef enum {
    NGX_UCAN_METRIC_REVOCATIONS = 0,      /* entries of the zone */
    NGX_UCAN_METRIC_SEALS,
    NGX_UCAN_METRIC_REPLAYS,
    NGX_UCAN_METRIC_GAUGES
} ngx_ucan_metric_gauge_t;


typedef ngx_uint_t (*ngx_ucan_metric_gauge_pt)(void *data);


typedef struct {
    ngx_ucan_metric_gauge_pt   handler;   /* NULL: there is none to show */
    void                      *data;
} ngx_ucan_metric_source_t;


/* Member of ngx_ucan_main_conf_t ("metric"); zeroed at first. */
typedef struct {
    ngx_shm_zone_t            *zone;
    ngx_ucan_metric_source_t   gauges[NGX_UCAN_METRIC_GAUGES];
} ngx_ucan_metric_conf_t;


/* Counts n more.  Event loop of a worker only: a thread hands its number to
   whoever completes it.  Without effect in other processes. */
void ngx_ucan_metric_add(ngx_ucan_metric_t metric, ngx_uint_t n);

/* The outcome of a request, by its verdict. */
void ngx_ucan_metric_outcome(ucan_verdict_t verdict);

/* Names who knows a gauge: called while the configuration is read, by the
   owner of what is counted.  handler is called at a scrape, data is its. */
void ngx_ucan_metric_gauge(ngx_ucan_metric_conf_t *conf,
    ngx_ucan_metric_gauge_t gauge, ngx_ucan_metric_gauge_pt handler,
    void *data);

/* Postconfiguration: adds the zone.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_ucan_metric_init(ngx_conf_t *cf, ngx_ucan_metric_conf_t *conf);

/* init_process and exit_process: claims a row, gives it up. */
void ngx_ucan_metric_open(ngx_cycle_t *cycle, ngx_ucan_metric_conf_t *conf);
void ngx_ucan_metric_close(ngx_ucan_metric_conf_t *conf);

/* "ucan_metrics": the content handler of a location. */
char *ngx_ucan_metric_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


#endif /* _NGX_UCAN_METRIC_H_INCLUDED_ */
