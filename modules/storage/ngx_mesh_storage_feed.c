/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The registry of this worker's followers, and the walk that tells them of
 * what a page holds.
 *
 * Invariants:
 *
 *     1. a follower is in one topic, and waits for one page at most;
 *     2. a page that it waits for begins at its position;
 *     3. "again" is set when the store may hold more than that page will
 *        show: a notice came after the page was asked for;
 *     4. a topic is here as long as it has followers or pages.
 *
 * A notice only marks; reads begin in the turn, which is posted once, so a
 * thousand followers of a namespace cost one read.  The clock looks at each
 * follower once a second, a tenth of them each time: does its session live?
 * It is also what notices that the worker is to quit.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_storage_feed.h"
#include "ngx_mesh_wake.h"


#define NGX_MESH_STORAGE_FEED_TICK     100     /* ms */
#define NGX_MESH_STORAGE_FEED_TICKS    10      /* look at all */
#define NGX_MESH_STORAGE_FEED_LEAVE    10      /* ticks that end all */
#define NGX_MESH_STORAGE_FEED_TOLD     128     /* followers of a turn */
#define NGX_MESH_STORAGE_FEED_LOOK     10000   /* ms; a read without notice */
#define NGX_MESH_STORAGE_FEED_REMOTE   1000    /* the same, of a store that
                                                  other nodes write to */
#define NGX_MESH_STORAGE_FEED_SIZE     64      /* of the array, first */
#define NGX_MESH_STORAGE_FEED_PAST     ((uint64_t) INT64_MAX)   /* no seq is
                                                  behind it */


/* Followers of one DID. */
typedef struct {
    ngx_str_node_t                       sn;        /* str: behind this */
    ngx_uint_t                           count;
} ngx_mesh_storage_holder_t;


typedef struct {
    ngx_http_mesh_storage_main_conf_t   *mcf;
    ngx_log_t                           *log;
    ngx_rbtree_t                         topics;
    ngx_rbtree_node_t                    topics_sentinel;
    ngx_rbtree_t                         holders;
    ngx_rbtree_node_t                    holders_sentinel;
    ngx_mesh_storage_follower_t        **followers;   /* dense */
    ngx_uint_t                           count;
    ngx_uint_t                           size;
    ngx_uint_t                           next;        /* to be looked at */
    ngx_uint_t                           leaving;     /* of a tick */
    ngx_msec_t                           look_ms;
    ngx_queue_t                          dirty;
    ngx_event_t                          turn;
    ngx_event_t                          tick;
} ngx_mesh_storage_feed_t;


static void ngx_mesh_storage_feed_notice(void *data,
    ngx_mesh_wake_notice_t *notice);
static void ngx_mesh_storage_feed_stir(ngx_mesh_storage_topic_t *topic,
    uint64_t seq);
static void ngx_mesh_storage_feed_stir_all(void);
static void ngx_mesh_storage_feed_mark(ngx_mesh_storage_follower_t *f);
static void ngx_mesh_storage_feed_turn_handler(ngx_event_t *ev);
static void ngx_mesh_storage_feed_read(ngx_mesh_storage_follower_t *f);
static void ngx_mesh_storage_feed_tell_handler(ngx_event_t *ev);
static void ngx_mesh_storage_feed_tell_one(ngx_mesh_storage_follower_t *f,
    ngx_mesh_storage_page_t *page);
static ngx_uint_t ngx_mesh_storage_feed_gone(ngx_mesh_storage_follower_t *f,
    const ngx_mesh_storage_page_t *page);
static ngx_uint_t ngx_mesh_storage_feed_walk(ngx_mesh_storage_follower_t *f,
    ngx_mesh_storage_page_t *page);
static ngx_uint_t ngx_mesh_storage_feed_match(ngx_mesh_storage_follower_t *f,
    const ngx_mesh_storage_change_t *change);
static void ngx_mesh_storage_feed_tick_handler(ngx_event_t *ev);
static void ngx_mesh_storage_feed_look_at(ngx_mesh_storage_follower_t *f);
static void ngx_mesh_storage_feed_quit(void);
static void ngx_mesh_storage_feed_cleanup(void *data);
static ngx_int_t ngx_mesh_storage_feed_enlist(ngx_mesh_storage_follower_t *f);
static ngx_mesh_storage_topic_t *ngx_mesh_storage_feed_topic_get(
    bytes_t name);
static void ngx_mesh_storage_feed_topic_put(ngx_mesh_storage_topic_t *topic);
static ngx_int_t ngx_mesh_storage_feed_count(ngx_mesh_storage_follower_t *f);
static void ngx_mesh_storage_feed_uncount(ngx_mesh_storage_follower_t *f);


/* The one of this process. */
static ngx_mesh_storage_feed_t  *ngx_mesh_storage_feed;


ngx_int_t
ngx_mesh_storage_feed_open(ngx_http_mesh_storage_main_conf_t *mcf,
    ngx_cycle_t *cycle)
{
    ngx_mesh_wake_t          *wake;
    ngx_mesh_storage_feed_t  *feed;

    feed = ngx_pcalloc(cycle->pool, sizeof(ngx_mesh_storage_feed_t));

    if (feed == NULL) {
        return NGX_ERROR;
    }

    feed->mcf = mcf;
    feed->log = cycle->log;
    feed->look_ms = mcf->mongo.len ? NGX_MESH_STORAGE_FEED_REMOTE
                                   : NGX_MESH_STORAGE_FEED_LOOK;

    ngx_rbtree_init(&feed->topics, &feed->topics_sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_rbtree_init(&feed->holders, &feed->holders_sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&feed->dirty);

    feed->turn.handler = ngx_mesh_storage_feed_turn_handler;
    feed->turn.data = feed;
    feed->turn.log = feed->log;

    feed->tick.handler = ngx_mesh_storage_feed_tick_handler;
    feed->tick.data = feed;
    feed->tick.log = feed->log;

    wake = mcf->store.wake;

    if (wake->listen(wake, NGX_MESH_WAKE_CHANGE,
                     ngx_mesh_storage_feed_notice, feed)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_mesh_storage_feed = feed;

    return NGX_OK;
}


/* In. */

ngx_int_t
ngx_mesh_storage_feed_follow(ngx_mesh_storage_follower_t *f)
{
    ngx_int_t                 rc;
    ngx_http_cleanup_t       *cln;
    ngx_mesh_storage_feed_t  *feed;

    feed = ngx_mesh_storage_feed;

    if (feed == NULL) {
        return NGX_ERROR;
    }

    cln = ngx_http_cleanup_add(f->rest->r, 0);

    if (cln == NULL) {
        return NGX_ERROR;
    }

    if (feed->count == NGX_MESH_STORAGE_FEED_MAX) {
        return NGX_BUSY;
    }

    if (f->counted) {
        rc = ngx_mesh_storage_feed_count(f);

        if (rc != NGX_OK) {
            f->counted = 0;
            return rc;
        }
    }

    f->topic = ngx_mesh_storage_feed_topic_get(f->rest->store_ns);

    if (f->topic == NULL || ngx_mesh_storage_feed_enlist(f) != NGX_OK) {

        if (f->topic != NULL) {
            ngx_mesh_storage_feed_topic_put(f->topic);
        }

        ngx_mesh_storage_feed_uncount(f);
        return NGX_ERROR;
    }

    ngx_queue_insert_tail(&f->topic->followers, &f->queue);
    f->followed = 1;

    cln->handler = ngx_mesh_storage_feed_cleanup;
    cln->data = f;

    /* not cancelable: an exiting worker stays until the last one is gone */

    if (!feed->tick.timer_set) {
        ngx_add_timer(&feed->tick, NGX_MESH_STORAGE_FEED_TICK);
    }

    ngx_mesh_storage_feed_mark(f);

    return NGX_OK;
}


ngx_int_t
ngx_mesh_storage_feed_begin(ngx_mesh_storage_follower_t *f)
{
    switch (ngx_mesh_storage_feed_follow(f)) {

    case NGX_OK:
        return NGX_OK;

    case NGX_BUSY:
        return ngx_mesh_storage_rest_problem(f->rest, PROBLEM_RATE_LIMITED,
                   "too many feeds are open: close one, or ask the operator "
                   "for a larger mesh_storage_feeds");

    default:
        return ngx_mesh_storage_rest_problem(f->rest, PROBLEM_STORE_DOWN,
                                             NULL);
    }
}


static ngx_int_t
ngx_mesh_storage_feed_enlist(ngx_mesh_storage_follower_t *f)
{
    ngx_uint_t                     size;
    ngx_mesh_storage_feed_t       *feed;
    ngx_mesh_storage_follower_t  **followers;

    feed = ngx_mesh_storage_feed;

    if (feed->count == feed->size) {

        size = (feed->size == 0) ? NGX_MESH_STORAGE_FEED_SIZE
                                 : feed->size * 2;

        followers = ngx_alloc(size * sizeof(ngx_mesh_storage_follower_t *),
                              feed->log);
        if (followers == NULL) {
            return NGX_ERROR;
        }

        if (feed->followers != NULL) {
            ngx_memcpy(followers, feed->followers,
                       feed->count * sizeof(ngx_mesh_storage_follower_t *));
            ngx_free(feed->followers);
        }

        feed->followers = followers;
        feed->size = size;
    }

    f->index = feed->count;
    feed->followers[feed->count++] = f;

    return NGX_OK;
}


/* The request ends, whoever ended it. */
static void
ngx_mesh_storage_feed_cleanup(void *data)
{
    ngx_mesh_storage_feed_t      *feed;
    ngx_mesh_storage_follower_t  *last, *f = data;

    feed = ngx_mesh_storage_feed;

    if (f->dirty || f->page != NULL) {
        ngx_queue_remove(&f->waiting);
        f->dirty = 0;
        f->page = NULL;
    }

    last = feed->followers[--feed->count];
    feed->followers[f->index] = last;
    last->index = f->index;

    f->followed = 0;
    ngx_queue_remove(&f->queue);
    ngx_mesh_storage_feed_topic_put(f->topic);
    ngx_mesh_storage_feed_uncount(f);
}


static ngx_mesh_storage_topic_t *
ngx_mesh_storage_feed_topic_get(bytes_t name)
{
    u_char                    *p;
    uint32_t                   hash;
    ngx_str_t                  str;
    ngx_mesh_storage_topic_t  *topic;

    str.data = (u_char *) name.data;
    str.len = name.len;
    hash = ngx_crc32_short(str.data, str.len);

    topic = (ngx_mesh_storage_topic_t *)
                ngx_str_rbtree_lookup(&ngx_mesh_storage_feed->topics, &str,
                                      hash);
    if (topic != NULL) {
        return topic;
    }

    topic = ngx_calloc(sizeof(ngx_mesh_storage_topic_t) + name.len,
                       ngx_mesh_storage_feed->log);
    if (topic == NULL) {
        return NULL;
    }

    p = (u_char *) topic + sizeof(ngx_mesh_storage_topic_t);
    ngx_memcpy(p, name.data, name.len);

    topic->sn.node.key = hash;
    topic->sn.str.data = p;
    topic->sn.str.len = name.len;

    ngx_queue_init(&topic->followers);
    ngx_queue_init(&topic->pages);

    ngx_rbtree_insert(&ngx_mesh_storage_feed->topics, &topic->sn.node);

    return topic;
}


/* Frees it when nobody has it any more. */
static void
ngx_mesh_storage_feed_topic_put(ngx_mesh_storage_topic_t *topic)
{
    if (ngx_queue_empty(&topic->followers) && ngx_queue_empty(&topic->pages))
    {
        ngx_rbtree_delete(&ngx_mesh_storage_feed->topics, &topic->sn.node);
        ngx_free(topic);
    }
}


/* One more of its DID.  NGX_OK, NGX_BUSY, NGX_ERROR. */
static ngx_int_t
ngx_mesh_storage_feed_count(ngx_mesh_storage_follower_t *f)
{
    u_char                     *p;
    uint32_t                    hash;
    ngx_str_t                  *did;
    ngx_mesh_storage_feed_t    *feed;
    ngx_mesh_storage_holder_t  *holder;

    feed = ngx_mesh_storage_feed;
    did = &f->rest->principal->did;
    hash = ngx_crc32_short(did->data, did->len);

    holder = (ngx_mesh_storage_holder_t *)
                 ngx_str_rbtree_lookup(&feed->holders, did, hash);

    if (holder == NULL) {
        holder = ngx_calloc(sizeof(ngx_mesh_storage_holder_t) + did->len,
                            feed->log);
        if (holder == NULL) {
            return NGX_ERROR;
        }

        p = (u_char *) holder + sizeof(ngx_mesh_storage_holder_t);
        ngx_memcpy(p, did->data, did->len);

        holder->sn.node.key = hash;
        holder->sn.str.data = p;
        holder->sn.str.len = did->len;

        ngx_rbtree_insert(&feed->holders, &holder->sn.node);
    }

    if (holder->count >= (ngx_uint_t) f->rest->lcf->feeds) {
        return NGX_BUSY;
    }

    holder->count++;

    return NGX_OK;
}


static void
ngx_mesh_storage_feed_uncount(ngx_mesh_storage_follower_t *f)
{
    ngx_str_t                  *did;
    ngx_mesh_storage_feed_t    *feed;
    ngx_mesh_storage_holder_t  *holder;

    if (!f->counted) {
        return;
    }

    f->counted = 0;

    feed = ngx_mesh_storage_feed;
    did = &f->rest->principal->did;

    holder = (ngx_mesh_storage_holder_t *)
                 ngx_str_rbtree_lookup(&feed->holders, did,
                                       ngx_crc32_short(did->data, did->len));

    if (holder != NULL && --holder->count == 0) {
        ngx_rbtree_delete(&feed->holders, &holder->sn.node);
        ngx_free(holder);
    }
}


/* Woken. */

static void
ngx_mesh_storage_feed_notice(void *data, ngx_mesh_wake_notice_t *notice)
{
    ngx_mesh_storage_feed_t   *feed = data;
    ngx_mesh_storage_topic_t  *topic;

    if (feed->count == 0) {
        return;
    }

    if (notice->kind == NGX_MESH_WAKE_RESYNC || notice->topic.len == 0) {
        ngx_mesh_storage_feed_stir_all();
        return;
    }

    topic = (ngx_mesh_storage_topic_t *)
                ngx_str_rbtree_lookup(&feed->topics, &notice->topic,
                                      ngx_crc32_short(notice->topic.data,
                                                      notice->topic.len));
    if (topic != NULL) {
        ngx_mesh_storage_feed_stir(topic, notice->seq);
    }
}


/* There may be changes up to seq. */
static void
ngx_mesh_storage_feed_stir(ngx_mesh_storage_topic_t *topic, uint64_t seq)
{
    ngx_queue_t                  *q;
    ngx_mesh_storage_follower_t  *f;

    topic->version++;

    for (q = ngx_queue_head(&topic->followers);
         q != ngx_queue_sentinel(&topic->followers);
         q = ngx_queue_next(q))
    {
        f = ngx_queue_data(q, ngx_mesh_storage_follower_t, queue);

        if (f->seq < seq) {
            ngx_mesh_storage_feed_mark(f);
        }
    }
}


static void
ngx_mesh_storage_feed_stir_all(void)
{
    ngx_uint_t                    i;
    ngx_mesh_storage_feed_t      *feed;
    ngx_mesh_storage_follower_t  *f;

    feed = ngx_mesh_storage_feed;

    for (i = 0; i < feed->count; i++) {
        f = feed->followers[i];

        f->topic->version++;
        ngx_mesh_storage_feed_mark(f);
    }
}


static void
ngx_mesh_storage_feed_mark(ngx_mesh_storage_follower_t *f)
{
    ngx_mesh_storage_feed_t  *feed;

    feed = ngx_mesh_storage_feed;

    f->again = 1;

    if (f->page != NULL || f->paused || f->dirty || f->ended) {
        return;
    }

    f->dirty = 1;
    ngx_queue_insert_tail(&feed->dirty, &f->waiting);

    if (!feed->turn.posted) {
        ngx_post_event(&feed->turn, &ngx_posted_events);
    }
}


static void
ngx_mesh_storage_feed_turn_handler(ngx_event_t *ev)
{
    ngx_queue_t                  *q;
    ngx_mesh_storage_feed_t      *feed = ev->data;
    ngx_mesh_storage_follower_t  *f;

    while (!ngx_queue_empty(&feed->dirty)) {

        q = ngx_queue_head(&feed->dirty);
        f = ngx_queue_data(q, ngx_mesh_storage_follower_t, waiting);

        ngx_queue_remove(q);
        f->dirty = 0;

        ngx_mesh_storage_feed_read(f);
    }
}


/* Joins the page that is read already, or has one read. */
static void
ngx_mesh_storage_feed_read(ngx_mesh_storage_follower_t *f)
{
    uint64_t                  after;
    ngx_queue_t              *q;
    ngx_mesh_storage_page_t  *page;

    after = (f->from == NGX_MESH_STORAGE_FEED_NOW)
            ? NGX_MESH_STORAGE_FEED_PAST : f->seq;

    page = NULL;

    for (q = ngx_queue_head(&f->topic->pages);
         q != ngx_queue_sentinel(&f->topic->pages);
         q = ngx_queue_next(q))
    {
        page = ngx_queue_data(q, ngx_mesh_storage_page_t, queue);

        if (page->after == after && page->values == f->values
            && !page->read)
        {
            break;
        }

        page = NULL;
    }

    if (page == NULL) {
        page = ngx_mesh_storage_feed_page_open(f->topic, after, f->values);
    }

    if (page == NULL) {

        /* "again" stands: the clock tries again within a second */

        (void) f->way->down(f, STORE_BUSY);
        return;
    }

    f->page = page;
    f->again = (page->version != f->topic->version);
    ngx_queue_insert_tail(&page->followers, &f->waiting);
}


/* Told. */

void
ngx_mesh_storage_feed_tell(ngx_mesh_storage_page_t *page)
{
    page->read = 1;

    page->turn.handler = ngx_mesh_storage_feed_tell_handler;
    page->turn.data = page;
    page->turn.log = ngx_mesh_storage_feed->log;

    ngx_mesh_storage_feed_tell_handler(&page->turn);
}


/* Many followers must not hold up what else the loop has to do. */
static void
ngx_mesh_storage_feed_tell_handler(ngx_event_t *ev)
{
    ngx_uint_t                    n;
    ngx_queue_t                  *q;
    ngx_mesh_storage_page_t      *page = ev->data;
    ngx_mesh_storage_topic_t     *topic;
    ngx_mesh_storage_follower_t  *f;

    for (n = 0; !ngx_queue_empty(&page->followers); n++) {

        if (n == NGX_MESH_STORAGE_FEED_TOLD) {
            ngx_post_event(ev, &ngx_posted_next_events);
            return;
        }

        q = ngx_queue_head(&page->followers);
        f = ngx_queue_data(q, ngx_mesh_storage_follower_t, waiting);

        ngx_queue_remove(q);
        f->page = NULL;

        ngx_mesh_storage_feed_tell_one(f, page);
    }

    topic = page->topic;

    ngx_mesh_storage_feed_page_close(page);
    ngx_mesh_storage_feed_topic_put(topic);
}


static void
ngx_mesh_storage_feed_tell_one(ngx_mesh_storage_follower_t *f,
    ngx_mesh_storage_page_t *page)
{
    ngx_int_t   rc;
    ngx_uint_t  more;

    if (f->ended) {
        return;
    }

    if (page->rc != STORE_OK) {

        if (f->way->down(f, page->rc) == NGX_OK) {
            f->again = 1;
        }

        return;
    }

    if (ngx_mesh_storage_feed_gone(f, page)) {
        f->way->gap(f, page);
        return;
    }

    more = ngx_mesh_storage_feed_walk(f, page);
    rc = f->way->paged(f, more);

    if (rc == NGX_DONE) {
        return;
    }

    f->paused = (rc == NGX_AGAIN);

    if (more || f->again) {
        ngx_mesh_storage_feed_mark(f);
    }
}


/* 1: it has missed what it cannot be told any more.  Begins followers that
   came without a position. */
static ngx_uint_t
ngx_mesh_storage_feed_gone(ngx_mesh_storage_follower_t *f,
    const ngx_mesh_storage_page_t *page)
{
    if (f->known
        && ngx_memcmp(f->epoch, page->epoch.data, STORE_EPOCH_LEN) != 0)
    {
        return 1;
    }

    ngx_memcpy(f->epoch, page->epoch.data, STORE_EPOCH_LEN);
    f->known = 1;

    if (f->from == NGX_MESH_STORAGE_FEED_NOW) {
        f->seq = page->rows->head;

    } else if (f->from == NGX_MESH_STORAGE_FEED_OLDEST
               && f->seq < page->rows->oldest)
    {
        f->seq = page->rows->oldest;
    }

    f->from = NGX_MESH_STORAGE_FEED_SEQ;

    return f->seq < page->rows->oldest || f->seq > page->rows->head;
}


/* 1: there is more behind where it is now. */
static ngx_uint_t
ngx_mesh_storage_feed_walk(ngx_mesh_storage_follower_t *f,
    ngx_mesh_storage_page_t *page)
{
    size_t                      i;
    bytes_t                     json;
    ngx_int_t                   rc;
    ngx_mesh_storage_change_t  *change;

    for (i = 0; i < page->rows->count; i++) {
        change = &page->changes[i];

        if (change->seq <= f->seq) {
            continue;
        }

        rc = NGX_OK;

        if (ngx_mesh_storage_feed_match(f, change)) {
            json = ngx_mesh_storage_feed_page_json(page, change);

            if (json.len == 0) {
                return 1;
            }

            f->seq = change->seq;
            rc = f->way->change(f, json);
        }

        f->seq = change->seq;

        if (rc != NGX_OK) {
            i++;
            break;
        }
    }

    return i < page->rows->count || page->rows->more;
}


static ngx_uint_t
ngx_mesh_storage_feed_match(ngx_mesh_storage_follower_t *f,
    const ngx_mesh_storage_change_t *change)
{
    if (change->kind == NULL
        || (f->kind != NULL && ngx_strcmp(f->kind, change->kind) != 0)
        || !bytes_start_with(change->key, f->prefix))
    {
        return 0;
    }

    return ngx_mesh_storage_rest_may(f->rest, "/storage/read", change->kind,
                                     change->key)
           == UCAN_OK;
}


void
ngx_mesh_storage_feed_resume(ngx_mesh_storage_follower_t *f)
{
    f->paused = 0;

    if (f->again) {
        ngx_mesh_storage_feed_mark(f);
    }
}


void
ngx_mesh_storage_feed_stop(ngx_mesh_storage_follower_t *f)
{
    f->ended = 1;
}


/* The clock. */

static void
ngx_mesh_storage_feed_tick_handler(ngx_event_t *ev)
{
    ngx_uint_t                n;
    ngx_mesh_storage_feed_t  *feed = ev->data;

    n = feed->count / NGX_MESH_STORAGE_FEED_TICKS + 1;

    while (n-- && feed->count != 0) {

        if (feed->next >= feed->count) {
            feed->next = 0;
        }

        ngx_mesh_storage_feed_look_at(feed->followers[feed->next++]);
    }

    if (ngx_exiting) {
        ngx_mesh_storage_feed_quit();
    }

    if (feed->count != 0) {
        ngx_add_timer(ev, NGX_MESH_STORAGE_FEED_TICK);
    }
}


static void
ngx_mesh_storage_feed_look_at(ngx_mesh_storage_follower_t *f)
{
    ucan_verdict_t             verdict;
    ngx_mesh_storage_topic_t  *topic;

    if (!f->ended) {
        verdict = f->rest->mcf->principal->alive(f->rest->principal);

        if (verdict != UCAN_OK) {
            f->rest->mcf->principal->refuse(f->rest->principal,
                                            f->rest->r->connection->log,
                                            verdict, bytes_make(NULL, 0));

            f->way->end(f, NGX_MESH_STORAGE_FEED_SESSION, verdict);
            return;
        }

        /* a notice may have been lost, or never been sent by another node */

        topic = f->topic;

        if (ngx_current_msec - topic->read_ms
            >= ngx_mesh_storage_feed->look_ms)
        {
            topic->read_ms = ngx_current_msec;
            ngx_mesh_storage_feed_stir(topic, NGX_MESH_WAKE_SEQ_ANY);

        } else if (f->again) {
            ngx_mesh_storage_feed_mark(f);
        }
    }

    f->way->look(f);
}


/* Over a second or so, from a random one on, so that they do not all come
   back at once. */
static void
ngx_mesh_storage_feed_quit(void)
{
    ngx_uint_t                    i, n;
    ngx_mesh_storage_feed_t      *feed;
    ngx_mesh_storage_follower_t  *f;

    feed = ngx_mesh_storage_feed;

    if (feed->leaving == 0 && feed->count != 0) {
        feed->leaving = feed->count / NGX_MESH_STORAGE_FEED_LEAVE + 1;
        feed->next = (ngx_uint_t) ngx_random() % feed->count;
    }

    n = feed->leaving;

    for (i = 0; i < feed->count && n != 0; /* void */ ) {

        f = feed->followers[(feed->next + i) % feed->count];

        if (f->ended) {
            i++;
            continue;
        }

        /* it ends at once or stays, marked; another takes its place then */

        f->way->end(f, NGX_MESH_STORAGE_FEED_RESTART, UCAN_OK);
        n--;
    }
}


/* What followers say. */

bytes_t
ngx_mesh_storage_feed_position(const ngx_mesh_storage_follower_t *f,
    u_char *buf)
{
    return ngx_mesh_storage_feed_page_place(bytes_make(f->epoch,
                                                       STORE_EPOCH_LEN),
                                            f->seq, buf);
}
