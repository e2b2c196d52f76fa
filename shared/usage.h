/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The ledger of model usage: what a record is, and what is stored of it.
 *
 *     namespace "usage"        entries, id "<ns>/<id>": the record as JSON.
 *                              An id that is there already is that record
 *                              once more
 *     namespace "usage/<top>"  sums, items that are added to (STORE_INCR) in
 *                              the transaction of the entry:
 *
 *         r/<day>/<ns>/<metric>/<provider>/<model>
 *
 *     top       first name of ns: a person, with all of its bots
 *     day       2026-11-24, UTC
 *     metric    requests prompt completion cached cost.EUR
 *
 * So a question of a person about its bots is one range of days.  Costs are
 * millionths of the currency's unit, never floating point.
 */


#ifndef _USAGE_H_INCLUDED_
#define _USAGE_H_INCLUDED_


#include "bytes.h"
#include "json_scan.h"


#define USAGE_NS            "usage"
#define USAGE_NS_MAX        180       /* bytes of a REST namespace */
#define USAGE_MODEL_MAX     128       /* bytes */
#define USAGE_PROVIDER_MAX  64        /* bytes */
#define USAGE_ID_MAX        64        /* bytes */
#define USAGE_CURRENCY_LEN  3
#define USAGE_DAY_LEN       10
#define USAGE_COUNT_MAX     1000000000000LL     /* of one record */
#define USAGE_COST_MAX      1000000000000000LL  /* millionths, of one record */
#define USAGE_KEY_MAX       448       /* bytes of the key of a sum */
#define USAGE_RECORD_MAX    2048      /* bytes of a stored record */


typedef enum {
    USAGE_REQUESTS = 0,
    USAGE_PROMPT,                 /* tokens */
    USAGE_COMPLETION,
    USAGE_CACHED,
    USAGE_COST,                   /* millionths */
    USAGE_METRICS
} usage_metric_t;


typedef struct {
    bytes_t   ns;                 /* whose: REST namespace */
    bytes_t   by;                 /* DID of who wrote it */
    bytes_t   id;                 /* unique in ns */
    bytes_t   model;
    bytes_t   provider;           /* may be empty */
    bytes_t   currency;           /* "EUR"; empty: no cost */
    int64_t   counts[USAGE_METRICS];
    int64_t   at_ms;
} usage_record_t;


/* The key of a sum, taken apart; borrowed from it. */
typedef struct {
    bytes_t         day;
    bytes_t         ns;
    bytes_t         provider;
    bytes_t         model;
    bytes_t         currency;     /* USAGE_COST */
    usage_metric_t  metric;
} usage_sum_t;


/* Reads what a client sends, an object that json_scan_validate() passed; ns
   and by are the caller's to set, id may stay empty and at_ms 0.  Texts that
   needed unescaping are unescaped into scratch, which is as long as the
   object.  NULL, or why it is refused, a static text. */
const char *usage_record_read(usage_record_t *record,
    const json_scan_t *object, bytes_writer_t *scratch);

/* Appends the stored form, at most USAGE_RECORD_MAX bytes with a "by" of 512;
   w->failed tells. */
void usage_record_write(bytes_writer_t *w, const usage_record_t *record);

/* Appends "usage/<top>", and the id of the entry. */
void usage_sums_write(bytes_writer_t *w, bytes_t ns);
void usage_entry_write(bytes_writer_t *w, const usage_record_t *record);

/* Appends the key of the sum to which counts[metric] is to be added. */
void usage_key_write(bytes_writer_t *w, const usage_record_t *record,
    usage_metric_t metric);

/* Takes a key apart.  0, or -1: it is no key of a sum. */
int usage_key_read(usage_sum_t *sum, bytes_t key);

/* A decimal of at most six places, "0.0125", to millionths and back; neither
   signs nor exponents.  0, or -1: it is none, or beyond USAGE_COST_MAX. */
int usage_cost_read(int64_t *cost, bytes_t text);
void usage_cost_write(bytes_writer_t *w, int64_t cost);

/* 1 when text is a day that there is. */
int usage_day_valid(bytes_t text);


#endif /* _USAGE_H_INCLUDED_ */
