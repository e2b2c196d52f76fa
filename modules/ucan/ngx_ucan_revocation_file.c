/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The operator's file of revocations: one a line, a CID with or without the
 * time at which its token ends, a signed record of 0.x, or a container with a
 * signed invocation of "/ucan/revoke".
 *
 * The master reads it with the configuration and fills the zone before a
 * worker starts.  Later the first worker looks at it twice a second; what has
 * changed is read in small pieces, so that signatures do not hold up the
 * loop, and goes into the zone, which all workers share, when every line was
 * understood.  A file that is bad or gone changes nothing and is named in the
 * log once.
 */


#include "ngx_mesh_compat.h"
#include "ngx_ucan_conf.h"
#include "ngx_ucan_revocation.h"
#include "ngx_ucan_revocation_file.h"
#include "timestamp.h"
#include "ucan_revocation.h"

#include <sodium.h>


#define NGX_UCAN_REVOCATION_FILE_WORK    256    /* in one go: a plain line is
                                                   1, a signed one is */
#define NGX_UCAN_REVOCATION_FILE_SIGNED  32     /* this */


/* One version of the file, in a pool of its own. */
typedef struct {
    ngx_pool_t       *pool;
    bytes_t           left;       /* text that was not looked at */
    ngx_uint_t        line;       /* number of the last one taken */
    ngx_array_t       items;      /* of ngx_ucan_revocation_item_t */
    ngx_uint_t        applied;    /* of those, in the zone */
    ngx_uint_t        round;
    const char       *fault;      /* of that line; static */
    ucan_memory_t     memory;
} ngx_ucan_revocation_reading_t;


struct ngx_ucan_revocation_file_s {
    ngx_str_t                       path;
    ngx_shm_zone_t                 *zone;
    ngx_event_t                     event;
    ngx_ucan_revocation_reading_t  *reading;    /* NULL: none is under way */
    ngx_uint_t                      absent;     /* was said in the log */

    /* of what was looked at last, good or bad */
    ngx_file_uniq_t                 uniq;
    off_t                           size;
    struct timespec                 mtime;
};


static ngx_ucan_revocation_reading_t *ngx_ucan_revocation_file_open(
    ngx_ucan_revocation_file_t *file, ngx_uint_t level, ngx_log_t *log);
static ngx_int_t ngx_ucan_revocation_file_read(
    ngx_ucan_revocation_file_t *file, ngx_fd_t fd, bytes_t *text,
    ngx_pool_t *pool);
static ngx_uint_t ngx_ucan_revocation_file_changed(
    ngx_ucan_revocation_file_t *file, ngx_file_info_t *fi);
static ngx_int_t ngx_ucan_revocation_file_parse(
    ngx_ucan_revocation_reading_t *reading, ngx_uint_t work);
static bytes_t ngx_ucan_revocation_file_line(
    ngx_ucan_revocation_reading_t *reading);
static const char *ngx_ucan_revocation_file_plain(
    ngx_ucan_revocation_item_t *item, bytes_t line);
static const char *ngx_ucan_revocation_file_time(time_t *until, bytes_t text);
static const char *ngx_ucan_revocation_file_signed(
    ngx_ucan_revocation_reading_t *reading, ngx_ucan_revocation_item_t *item,
    bytes_t line);
static bytes_t ngx_ucan_revocation_file_trim(bytes_t text);
static ngx_int_t ngx_ucan_revocation_file_apply(
    ngx_ucan_revocation_reading_t *reading, ngx_shm_zone_t *zone,
    ngx_uint_t work);
static void ngx_ucan_revocation_file_handler(ngx_event_t *ev);
static void ngx_ucan_revocation_file_look(ngx_ucan_revocation_file_t *file,
    ngx_log_t *log);
static ngx_int_t ngx_ucan_revocation_file_step(
    ngx_ucan_revocation_file_t *file, ngx_log_t *log);
static void *ngx_ucan_revocation_file_alloc(void *data, size_t size);


char *
ngx_ucan_revocation_file_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_ucan_main_conf_t *mcf = conf;

    ngx_int_t                       rc;
    ngx_str_t                      *value;
    ngx_ucan_revocation_file_t     *file;
    ngx_ucan_revocation_reading_t  *reading;

    if (mcf->revocation_file) {
        return "is duplicate";
    }

    if (sodium_init() < 0) {
        return "needs libsodium, which could not be initialized";
    }

    value = cf->args->elts;
    file = ngx_pcalloc(cf->pool, sizeof(ngx_ucan_revocation_file_t));

    if (file == NULL) {
        return NGX_CONF_ERROR;
    }

    file->path = value[1];

    if (ngx_conf_full_name(cf->cycle, &file->path, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    reading = ngx_ucan_revocation_file_open(file, NGX_LOG_EMERG, cf->log);

    if (reading == NULL) {
        return NGX_CONF_ERROR;
    }

    do {
        rc = ngx_ucan_revocation_file_parse(reading, NGX_MAX_INT32_VALUE);
    } while (rc == NGX_AGAIN);

    if (rc != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"ucan_revocation_file\": line %ui of \"%V\" %s",
                           reading->line, &file->path, reading->fault);

        ngx_destroy_pool(reading->pool);
        return NGX_CONF_ERROR;
    }

    file->reading = reading;
    mcf->revocation_file = file;

    return NGX_CONF_OK;
}


ngx_int_t
ngx_ucan_revocation_file_load(ngx_shm_zone_t *zone,
    ngx_ucan_revocation_file_t *file)
{
    ngx_int_t  rc;

    if (file == NULL) {
        ngx_ucan_revocation_sweep(zone, ngx_ucan_revocation_round(zone));
        return NGX_OK;
    }

    do {
        rc = ngx_ucan_revocation_file_apply(file->reading, zone,
                                            NGX_MAX_INT32_VALUE);
    } while (rc == NGX_AGAIN);

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                      "\"ucan_revocation_file\": \"%V\" does not fit zone "
                      "\"%V\"", &file->path, &zone->shm.name);
    }

    ngx_destroy_pool(file->reading->pool);
    file->reading = NULL;

    return rc;
}


void
ngx_ucan_revocation_file_watch(ngx_cycle_t *cycle, ngx_shm_zone_t *zone,
    ngx_ucan_revocation_file_t *file)
{
    if (file == NULL || ngx_worker != 0) {
        return;
    }

    file->zone = zone;
    file->event.handler = ngx_ucan_revocation_file_handler;
    file->event.data = file;
    file->event.log = cycle->log;
    file->event.cancelable = 1;

    ngx_add_timer(&file->event, NGX_UCAN_REVOCATION_FILE_LOOK);
}


/* Errors that the operator must see are logged, one line each. */

static ngx_ucan_revocation_reading_t *
ngx_ucan_revocation_file_open(ngx_ucan_revocation_file_t *file,
    ngx_uint_t level, ngx_log_t *log)
{
    ngx_fd_t                        fd;
    ngx_int_t                       rc;
    ngx_pool_t                     *pool;
    ngx_ucan_revocation_reading_t  *reading;

    /* a pipe would have no end, and no time to wait for it */

    fd = ngx_open_file(file->path.data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_log_error(level, log, ngx_errno,
                      "\"ucan_revocation_file\": cannot open \"%V\"; an empty "
                      "file revokes nothing", &file->path);
        return NULL;
    }

    /* a worker's log goes with its cycle, as this does */

    pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, ngx_cycle->log);

    if (pool == NULL) {
        (void) ngx_close_file(fd);
        return NULL;
    }

    reading = ngx_pcalloc(pool, sizeof(ngx_ucan_revocation_reading_t));
    rc = NGX_ERROR;

    if (reading
        && ngx_array_init(&reading->items, pool, 64,
                          sizeof(ngx_ucan_revocation_item_t))
           == NGX_OK)
    {
        reading->pool = pool;
        reading->memory.alloc = ngx_ucan_revocation_file_alloc;
        reading->memory.data = pool;

        rc = ngx_ucan_revocation_file_read(file, fd, &reading->left, pool);
    }

    (void) ngx_close_file(fd);

    if (rc != NGX_OK) {
        ngx_log_error(level, log, 0,
                      "\"ucan_revocation_file\": cannot read \"%V\": it must "
                      "be a file of at most %d MB", &file->path,
                      NGX_UCAN_REVOCATION_FILE_MAX / 1024 / 1024);

        ngx_destroy_pool(pool);
        return NULL;
    }

    return reading;
}


static ngx_int_t
ngx_ucan_revocation_file_read(ngx_ucan_revocation_file_t *file, ngx_fd_t fd,
    bytes_t *text, ngx_pool_t *pool)
{
    size_t           size, len;
    u_char          *buf;
    ssize_t          n;
    ngx_file_info_t  fi;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR
        || !ngx_is_file(&fi)
        || ngx_file_size(&fi) > NGX_UCAN_REVOCATION_FILE_MAX)
    {
        return NGX_ERROR;
    }

    (void) ngx_ucan_revocation_file_changed(file, &fi);

    size = (size_t) ngx_file_size(&fi);
    buf = ngx_palloc(pool, size + 1);

    if (buf == NULL) {
        return NGX_ERROR;
    }

    /* what is written behind it meanwhile shows in its time and size */

    for (len = 0; len < size; len += n) {

        n = read(fd, buf + len, size - len);

        if (n == -1) {
            return NGX_ERROR;
        }

        if (n == 0) {
            break;
        }
    }

    *text = bytes_make(buf, len);

    return NGX_OK;
}


/* Notes what is seen now. */

static ngx_uint_t
ngx_ucan_revocation_file_changed(ngx_ucan_revocation_file_t *file,
    ngx_file_info_t *fi)
{
    if (file->uniq == ngx_file_uniq(fi)
        && file->size == ngx_file_size(fi)
        && file->mtime.tv_sec == fi->st_mtim.tv_sec
        && file->mtime.tv_nsec == fi->st_mtim.tv_nsec)
    {
        return 0;
    }

    file->uniq = ngx_file_uniq(fi);
    file->size = ngx_file_size(fi);
    file->mtime = fi->st_mtim;

    return 1;
}


/* Lines for so much work.  NGX_OK: that was the last; NGX_AGAIN; NGX_ERROR:
   see fault and line. */

static ngx_int_t
ngx_ucan_revocation_file_parse(ngx_ucan_revocation_reading_t *reading,
    ngx_uint_t work)
{
    bytes_t                      line;
    ngx_uint_t                   cost;
    ngx_ucan_revocation_item_t  *item;

    while (reading->left.len != 0) {

        line = ngx_ucan_revocation_file_line(reading);

        if (line.len == 0 || line.data[0] == '#') {
            continue;
        }

        item = ngx_array_push(&reading->items);

        if (item == NULL) {
            reading->fault = "does not fit the memory";
            return NGX_ERROR;
        }

        ngx_memzero(item, sizeof(ngx_ucan_revocation_item_t));

        /* neither a record nor a container starts as a CID does */

        if (line.data[0] == 'b' || line.data[0] == 'z') {
            reading->fault = ngx_ucan_revocation_file_plain(item, line);
            cost = 1;

        } else {
            reading->fault = ngx_ucan_revocation_file_signed(reading, item,
                                                             line);
            cost = NGX_UCAN_REVOCATION_FILE_SIGNED;
        }

        if (reading->fault) {
            return NGX_ERROR;
        }

        if (work <= cost) {
            return NGX_AGAIN;
        }

        work -= cost;
    }

    return NGX_OK;
}


static bytes_t
ngx_ucan_revocation_file_line(ngx_ucan_revocation_reading_t *reading)
{
    size_t   len;
    bytes_t  line;

    for (len = 0; len < reading->left.len; len++) {
        if (reading->left.data[len] == '\n') {
            break;
        }
    }

    line = bytes_make(reading->left.data, len);
    len = ngx_min(len + 1, reading->left.len);

    reading->left = bytes_make(reading->left.data + len,
                               reading->left.len - len);
    reading->line++;

    return ngx_ucan_revocation_file_trim(line);
}


static bytes_t
ngx_ucan_revocation_file_trim(bytes_t text)
{
    while (text.len != 0 && text.data[0] <= ' ') {
        text = bytes_make(text.data + 1, text.len - 1);
    }

    while (text.len != 0 && text.data[text.len - 1] <= ' ') {
        text.len--;
    }

    return text;
}


/* "CID [TIME] [# ...]" */

static const char *
ngx_ucan_revocation_file_plain(ngx_ucan_revocation_item_t *item, bytes_t line)
{
    size_t   len;
    bytes_t  rest;

    for (len = 0; len < line.len; len++) {
        if (line.data[len] <= ' ' || line.data[len] == '#') {
            break;
        }
    }

    if (cid_parse(&item->cid, bytes_make(line.data, len)) != 0) {
        return "has no CID of a token: one starts with \"bafkrei\" or "
               "\"bafyrei\", \"mesh inspect\" shows it";
    }

    rest = bytes_make(line.data + len, line.len - len);

    for (len = 0; len < rest.len && rest.data[len] != '#'; len++) {
        /* void */
    }

    rest = ngx_ucan_revocation_file_trim(bytes_make(rest.data, len));

    return rest.len ? ngx_ucan_revocation_file_time(&item->until, rest)
                    : NULL;
}


static const char *
ngx_ucan_revocation_file_time(time_t *until, bytes_t text)
{
    int64_t  ms;

    if (timestamp_parse(text, &ms) == 0 && ms > 0) {
        *until = (time_t) (ms / 1000);
        return NULL;
    }

    *until = ngx_atotm((u_char *) text.data, text.len);

    if (*until == (time_t) NGX_ERROR || *until == 0) {
        return "has something behind its CID that is no time: give the end "
               "of the token in seconds since 1970 or as "
               "\"2027-01-31T00:00:00Z\"";
    }

    return NULL;
}


static const char *
ngx_ucan_revocation_file_signed(ngx_ucan_revocation_reading_t *reading,
    ngx_ucan_revocation_item_t *item, bytes_t line)
{
    ucan_bundle_t      witness;
    ucan_verdict_t     verdict;
    ucan_revocation_t  revocation;

    if (line.len > NGX_UCAN_REVOCATION_LINE_MAX) {
        return "is longer than 32 KB";
    }

    verdict = ucan_revocation_parse(&revocation, line, &witness,
                                    &reading->memory);

    switch (verdict) {

    case UCAN_OK:
        item->cid = revocation.cid;
        item->by = revocation.by;
        return NULL;

    case UCAN_BAD_SIGNATURE:
        return "has a revocation whose signature is not that of its issuer";

    case UCAN_UNSUPPORTED:
        return "has a revocation of a kind or by a key that is not known "
               "here";

    default:
        return "is no revocation: give a CID, a record {\"iss\", \"revoke\", "
               "\"challenge\"} in one line, or a container with an "
               "invocation of \"/ucan/revoke\"; \"#\" starts a comment";
    }
}


/* NGX_OK: all of it is in force, and nothing older; NGX_AGAIN; NGX_ERROR: the
   zone is full (logged), and more than it says may be in force. */

static ngx_int_t
ngx_ucan_revocation_file_apply(ngx_ucan_revocation_reading_t *reading,
    ngx_shm_zone_t *zone, ngx_uint_t work)
{
    time_t                       now;
    ngx_ucan_revocation_item_t  *items;

    if (reading->round == 0) {
        reading->round = ngx_ucan_revocation_round(zone);
    }

    items = reading->items.elts;
    now = ngx_time() - NGX_UCAN_REVOCATION_GRACE;

    for ( /* void */ ; reading->applied < reading->items.nelts;
         reading->applied++)
    {
        if (work-- == 0) {
            return NGX_AGAIN;
        }

        if (items[reading->applied].until != 0
            && items[reading->applied].until < now)
        {
            continue;
        }

        items[reading->applied].round = reading->round;

        if (ngx_ucan_revocation_add(zone, &items[reading->applied])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    ngx_ucan_revocation_sweep(zone, reading->round);

    return NGX_OK;
}


static void
ngx_ucan_revocation_file_handler(ngx_event_t *ev)
{
    ngx_int_t                    rc;
    ngx_ucan_revocation_file_t  *file;

    file = ev->data;
    rc = NGX_OK;

    /* a worker that leaves would undo what the next one reads */

    if (ngx_exiting || ngx_quit || ngx_terminate) {

        if (file->reading) {
            ngx_destroy_pool(file->reading->pool);
            file->reading = NULL;
        }

        return;
    }

    if (file->reading == NULL) {
        ngx_ucan_revocation_file_look(file, ev->log);
    }

    if (file->reading) {
        rc = ngx_ucan_revocation_file_step(file, ev->log);
    }

    ngx_add_timer(ev, rc == NGX_AGAIN ? 1 : NGX_UCAN_REVOCATION_FILE_LOOK);
}


static void
ngx_ucan_revocation_file_look(ngx_ucan_revocation_file_t *file,
    ngx_log_t *log)
{
    ngx_file_info_t  fi;

    if (ngx_file_info(file->path.data, &fi) == NGX_FILE_ERROR) {

        if (!file->absent) {
            ngx_log_error(NGX_LOG_ERR, log, ngx_errno,
                          "ucan: \"%V\" cannot be looked at; what it revoked "
                          "stays revoked, an empty file would lift it",
                          &file->path);
        }

        file->absent = 1;
        file->uniq = 0;
        return;
    }

    file->absent = 0;

    if (ngx_ucan_revocation_file_changed(file, &fi)) {
        file->reading = ngx_ucan_revocation_file_open(file, NGX_LOG_ERR, log);
    }
}


static ngx_int_t
ngx_ucan_revocation_file_step(ngx_ucan_revocation_file_t *file,
    ngx_log_t *log)
{
    ngx_int_t                       rc;
    ngx_ucan_revocation_reading_t  *reading;

    reading = file->reading;

    rc = ngx_ucan_revocation_file_parse(reading,
                                        NGX_UCAN_REVOCATION_FILE_WORK);
    if (rc == NGX_AGAIN) {
        return rc;
    }

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "ucan: line %ui of \"%V\" %s; what held before the "
                      "file changed holds on", reading->line, &file->path,
                      reading->fault);

    } else {
        rc = ngx_ucan_revocation_file_apply(reading, file->zone,
                                            NGX_UCAN_REVOCATION_FILE_WORK);
        if (rc == NGX_AGAIN) {
            return rc;
        }

        if (rc == NGX_OK) {
            ngx_log_error(NGX_LOG_NOTICE, log, 0,
                          "ucan: \"%V\" changed, %ui revocations of it are in "
                          "force", &file->path, reading->items.nelts);
        }
    }

    ngx_destroy_pool(reading->pool);
    file->reading = NULL;

    return rc;
}


static void *
ngx_ucan_revocation_file_alloc(void *data, size_t size)
{
    return ngx_palloc(data, size);
}
