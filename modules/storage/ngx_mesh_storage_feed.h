/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The change feed in a worker: who follows which namespace, and from where.
 *
 *     idle --- notice ---> dirty --- turn ---> reading --- page ---> told
 *      ^                     ^                                        |
 *      |                     +---- more, or a notice meanwhile -------+
 *      +------------------------------- nothing more -----------------+
 *      +-- resumed --  paused: its output is full; nothing is read  <-+
 *
 * A follower has one position, all up to it was told, and reads pages of
 * changes behind it, one after the other: by seq, none twice, none left out.
 * Followers of one namespace at one position share a page: one read, and each
 * change is written as JSON once.  Event loop only.
 */


#ifndef _NGX_MESH_STORAGE_FEED_H_INCLUDED_
#define _NGX_MESH_STORAGE_FEED_H_INCLUDED_


#include "ngx_mesh_storage_rest.h"


#define NGX_MESH_STORAGE_FEED_ROWS      256     /* of a page */
#define NGX_MESH_STORAGE_FEED_VALUES    8       /* the same, with values: of
                                                   a megabyte each */
#define NGX_MESH_STORAGE_FEED_BYTES     65536   /* waiting for a client; one
                                                   change may be larger */
#define NGX_MESH_STORAGE_FEED_MAX       32768   /* followers of a worker */
#define NGX_MESH_STORAGE_FEED_POSITION  (STORE_EPOCH_LEN + 1 + 20)
#define NGX_MESH_STORAGE_FEED_TELL      15000   /* ms, an idle stream says
                                                   that it is there */


typedef struct ngx_mesh_storage_follower_s  ngx_mesh_storage_follower_t;
typedef struct ngx_mesh_storage_topic_s     ngx_mesh_storage_topic_t;
typedef struct ngx_mesh_storage_page_s      ngx_mesh_storage_page_t;


/* Why a follower is ended. */
typedef enum {
    NGX_MESH_STORAGE_FEED_SESSION = 0,    /* expired or revoked */
    NGX_MESH_STORAGE_FEED_RESTART         /* the worker leaves */
} ngx_mesh_storage_feed_end_t;


/* One transport.  Each function but change() may end the request. */
typedef struct {
    /* A change it may see; in json.  NGX_OK; NGX_AGAIN: taken, and no more
       of this page. */
    ngx_int_t  (*change)(ngx_mesh_storage_follower_t *f, bytes_t json);

    /* The page was told up to f->seq; more: there is more behind it.  NGX_OK;
       NGX_AGAIN: paused; NGX_DONE: it is over, f may be gone. */
    ngx_int_t  (*paged)(ngx_mesh_storage_follower_t *f, ngx_uint_t more);

    /* What is behind its position is not all kept, or of another epoch; it
       is over. */
    void       (*gap)(ngx_mesh_storage_follower_t *f,
                   const ngx_mesh_storage_page_t *page);

    /* The store did not answer.  NGX_OK: to be tried again; NGX_DONE. */
    ngx_int_t  (*down)(ngx_mesh_storage_follower_t *f, store_rc_t rc);

    /* Once a second, while the session lives. */
    void       (*look)(ngx_mesh_storage_follower_t *f);

    void       (*end)(ngx_mesh_storage_follower_t *f,
                   ngx_mesh_storage_feed_end_t why, ucan_verdict_t verdict);
} ngx_mesh_storage_follower_way_t;


/* Where a follower begins. */
typedef enum {
    NGX_MESH_STORAGE_FEED_SEQ = 0,        /* behind seq */
    NGX_MESH_STORAGE_FEED_NOW,            /* behind what there is */
    NGX_MESH_STORAGE_FEED_OLDEST          /* with the oldest that is kept */
} ngx_mesh_storage_feed_from_t;


/* In r->pool.  The first part is the requester's to fill. */
struct ngx_mesh_storage_follower_s {
    ngx_mesh_storage_rest_t                *rest;
    const ngx_mesh_storage_follower_way_t  *way;
    void                                   *data;      /* of the way */
    uint64_t                                seq;       /* told up to here */
    u_char                                  epoch[STORE_EPOCH_LEN];
    ngx_mesh_storage_feed_from_t            from;
    const char                             *kind;      /* only; NULL: any */
    bytes_t                                 prefix;    /* of keys; only */
    unsigned                                known:1;   /* epoch is */
    unsigned                                values:1;  /* with values */
    unsigned                                counted:1; /* against "feeds" */

    /* private */
    unsigned                                followed:1;
    unsigned                                again:1;   /* to read behind seq */
    unsigned                                dirty:1;   /* in feed->dirty */
    unsigned                                paused:1;
    unsigned                                ended:1;   /* reads no more */
    ngx_uint_t                              index;     /* in all of worker */
    ngx_queue_t                             queue;     /* in the topic's */
    ngx_queue_t                             waiting;   /* in the page's, or in
                                                          feed->dirty */
    ngx_mesh_storage_topic_t               *topic;
    ngx_mesh_storage_page_t                *page;      /* waited for */
};


/* A namespace that somebody follows. */
struct ngx_mesh_storage_topic_s {
    ngx_str_node_t                          sn;        /* str: behind this */
    ngx_queue_t                             followers;
    ngx_queue_t                             pages;     /* being read */
    ngx_uint_t                              version;   /* notices so far */
    ngx_msec_t                              read_ms;   /* last read */
};


/* A change, as in a page. */
typedef struct {
    uint64_t                                seq;
    const char                             *kind;      /* NULL: none of the
                                                          API's */
    bytes_t                                 key;       /* without its mark */
    bytes_t                                 json;      /* empty: not yet */
    const store_row_t                      *row;
    const store_rows_t                     *value;     /* NULL: none */
} ngx_mesh_storage_change_t;


/* In the pool of its job. */
struct ngx_mesh_storage_page_s {
    ngx_queue_t                             queue;     /* in topic->pages */
    ngx_queue_t                             followers; /* who wait for it */
    ngx_mesh_storage_topic_t               *topic;
    uint64_t                                after;
    ngx_uint_t                              version;   /* of the topic then */
    ngx_event_t                             turn;      /* to tell the rest */
    ngx_mesh_store_job_t                   *job;       /* owned */
    ngx_mesh_store_job_t                   *values_job;   /* owned, or NULL */
    const store_rows_t                     *rows;      /* of the changes */
    ngx_mesh_storage_change_t              *changes;   /* [rows->count] */
    bytes_t                                 epoch;     /* STORE_EPOCH_LEN */
    store_rc_t                              rc;
    unsigned                                values:1;
    unsigned                                read:1;    /* told now */
};


/* In init_process: hears notices.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_mesh_storage_feed_open(ngx_http_mesh_storage_main_conf_t *mcf,
    ngx_cycle_t *cycle);

/* Follows; the request must be parked, and is watched: it leaves in its
   cleanup.  NGX_OK; NGX_BUSY: too many, of the holder or in all; NGX_ERROR:
   out of memory, or there is no store. */
ngx_int_t ngx_mesh_storage_feed_follow(ngx_mesh_storage_follower_t *f);

/* The same of a stream, with its answer: NGX_OK, or what finalizes the
   request. */
ngx_int_t ngx_mesh_storage_feed_begin(ngx_mesh_storage_follower_t *f);

/* Its output is empty again. */
void ngx_mesh_storage_feed_resume(ngx_mesh_storage_follower_t *f);

/* It reads no more, but is looked at. */
void ngx_mesh_storage_feed_stop(ngx_mesh_storage_follower_t *f);

/* "<epoch>.<seq>" of where it is; buf has NGX_MESH_STORAGE_FEED_POSITION. */
bytes_t ngx_mesh_storage_feed_position(const ngx_mesh_storage_follower_t *f,
    u_char *buf);

/* Pages (ngx_mesh_storage_feed_page.c).  Reads what is behind after; the page
   is given to feed_told() when it is there.  NULL: cannot be read now. */
ngx_mesh_storage_page_t *ngx_mesh_storage_feed_page_open(
    ngx_mesh_storage_topic_t *topic, uint64_t after, ngx_uint_t values);
void ngx_mesh_storage_feed_page_close(ngx_mesh_storage_page_t *page);

/* The JSON of a change, written when it is first asked for.  Empty: out of
   memory. */
bytes_t ngx_mesh_storage_feed_page_json(ngx_mesh_storage_page_t *page,
    ngx_mesh_storage_change_t *change);

/* "<epoch>.<seq>"; buf has NGX_MESH_STORAGE_FEED_POSITION. */
bytes_t ngx_mesh_storage_feed_page_place(bytes_t epoch, uint64_t seq,
    u_char *buf);

/* Writes members of a gap: error, oldest, epoch, position. */
void ngx_mesh_storage_feed_page_gap(const ngx_mesh_storage_page_t *page,
    json_write_t *j);

/* A page was read, or not (page->rc). */
void ngx_mesh_storage_feed_tell(ngx_mesh_storage_page_t *page);


/* The two kinds of streams: from a request whose follower is filled in to its
   end. */
ngx_int_t ngx_mesh_storage_feed_sse(ngx_mesh_storage_follower_t *f);
ngx_int_t ngx_mesh_storage_feed_socket(ngx_mesh_storage_follower_t *f);


#endif /* _NGX_MESH_STORAGE_FEED_H_INCLUDED_ */
