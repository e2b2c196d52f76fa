/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * GET /api/storage/changes/{ns}: what has changed, in order.
 *
 *     ?since=    "<epoch>.<seq>", a seq, "now"; absent: all that is kept
 *     &limit= &wait=             of a poll
 *     &kind= &prefix=            only those
 *     &include=value             values too, as long as they are of the change
 *
 * Answered once, when there is something or the time is over (here), or as a
 * stream: server-sent events (ngx_mesh_storage_feed_sse.c), or a WebSocket
 * (ngx_mesh_storage_feed_socket.c).  All are followers of the feed; a poll is
 * one that goes after its first page with changes.  What the caller may not
 * read is left out.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_handshake.h"
#include "ngx_mesh_sse.h"
#include "ngx_mesh_storage_feed.h"


#define NGX_MESH_STORAGE_CHANGES_WAIT_MAX  55    /* seconds */
#define NGX_MESH_STORAGE_CHANGES_BYTES     (1024 * 1024)   /* of an answer, one
                                                    change may be larger */
#define NGX_MESH_STORAGE_CHANGES_PAGES     32    /* without a match, then the
                                                    position is answered */


typedef struct {
    ngx_mesh_storage_follower_t   f;
    ngx_event_t                   timer;       /* of "wait" */
    void                         *parked;      /* rest, while it waits */
    bytes_t                      *list;        /* [limit], JSON of changes */
    ngx_uint_t                    count;
    ngx_uint_t                    limit;
    size_t                        bytes;       /* of them */
    ngx_uint_t                    pages;
    uint64_t                      wait;        /* seconds */
    unsigned                      late:1;      /* time is over */
} ngx_mesh_storage_changes_t;


static ngx_int_t ngx_mesh_storage_changes_input(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_changes_t *changes,
    ngx_int_t *rc);
static ngx_int_t ngx_mesh_storage_changes_filter(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_storage_changes_t *changes,
    ngx_int_t *rc);
static ngx_int_t ngx_mesh_storage_changes_since(
    ngx_mesh_storage_follower_t *f, bytes_t text);
static ngx_int_t ngx_mesh_storage_changes_poll(
    ngx_mesh_storage_changes_t *changes);
static ngx_int_t ngx_mesh_storage_changes_change(
    ngx_mesh_storage_follower_t *f, bytes_t json);
static ngx_int_t ngx_mesh_storage_changes_paged(
    ngx_mesh_storage_follower_t *f, ngx_uint_t more);
static void ngx_mesh_storage_changes_gap(ngx_mesh_storage_follower_t *f,
    const ngx_mesh_storage_page_t *page);
static ngx_int_t ngx_mesh_storage_changes_down(
    ngx_mesh_storage_follower_t *f, store_rc_t rc);
static void ngx_mesh_storage_changes_look(ngx_mesh_storage_follower_t *f);
static void ngx_mesh_storage_changes_end(ngx_mesh_storage_follower_t *f,
    ngx_mesh_storage_feed_end_t why, ucan_verdict_t verdict);
static void ngx_mesh_storage_changes_timer_handler(ngx_event_t *ev);
static void ngx_mesh_storage_changes_answer(
    ngx_mesh_storage_changes_t *changes, ngx_uint_t more);
static ngx_int_t ngx_mesh_storage_changes_write(
    ngx_mesh_storage_changes_t *changes, ngx_uint_t more);
static void ngx_mesh_storage_changes_finish(
    ngx_mesh_storage_follower_t *f, ngx_int_t rc);
static void ngx_mesh_storage_changes_cleanup(void *data);


static const ngx_mesh_storage_follower_way_t  ngx_mesh_storage_changes_way = {
    ngx_mesh_storage_changes_change,
    ngx_mesh_storage_changes_paged,
    ngx_mesh_storage_changes_gap,
    ngx_mesh_storage_changes_down,
    ngx_mesh_storage_changes_look,
    ngx_mesh_storage_changes_end
};


ngx_int_t
ngx_mesh_storage_changes(ngx_mesh_storage_rest_t *rest)
{
    ngx_int_t                    rc;
    ngx_mesh_storage_changes_t  *changes;

    if (rest->path.len != 0) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_NOT_FOUND, NULL);
    }

    if (rest->r->method != NGX_HTTP_GET && rest->r->method != NGX_HTTP_HEAD)
    {
        return ngx_mesh_storage_rest_method(rest, "GET, HEAD");
    }

    changes = ngx_pcalloc(rest->r->pool, sizeof(ngx_mesh_storage_changes_t));

    if (changes == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    changes->f.rest = rest;

    if (ngx_mesh_storage_changes_input(rest, changes, &rc) != NGX_OK
        || ngx_mesh_storage_rest_allow(rest, "/storage/read",
                                       changes->f.kind ? changes->f.kind : "",
                                       changes->f.prefix, &rc)
           != NGX_OK)
    {
        return rc;
    }

    if (rest->r->method == NGX_HTTP_HEAD) {
        changes->wait = 0;

    } else if (ngx_mesh_handshake_asked(rest->r)) {
        return ngx_mesh_storage_feed_socket(&changes->f);

    } else if (ngx_mesh_sse_asked(rest->r)) {
        return ngx_mesh_storage_feed_sse(&changes->f);
    }

    return ngx_mesh_storage_changes_poll(changes);
}


/* NGX_OK; NGX_ERROR: *rc is the 400 that was sent. */
static ngx_int_t
ngx_mesh_storage_changes_input(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_changes_t *changes, ngx_int_t *rc)
{
    bytes_t                                since, last;
    uint64_t                               limit;
    ngx_int_t                              found;
    static ngx_mesh_storage_rest_number_t  limits = {
        "limit", 1, NGX_MESH_STORAGE_REST_LIMIT_MAX
    };
    static ngx_mesh_storage_rest_number_t  waits = {
        "wait", 0, NGX_MESH_STORAGE_CHANGES_WAIT_MAX
    };

    limit = NGX_MESH_STORAGE_REST_LIMIT;

    found = ngx_mesh_storage_rest_query(rest, "since",
                                        NGX_MESH_STORAGE_FEED_POSITION,
                                        &since, rc);

    if (found == NGX_ERROR
        || ngx_mesh_storage_rest_number(rest, &limits, &limit, rc)
           == NGX_ERROR
        || ngx_mesh_storage_rest_number(rest, &waits, &changes->wait, rc)
           == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    last = ngx_mesh_sse_last_id(rest->r);

    if (last.len != 0 && ngx_mesh_sse_asked(rest->r)) {
        since = last;
        found = NGX_OK;
    }

    changes->limit = (ngx_uint_t) limit;
    changes->f.from = NGX_MESH_STORAGE_FEED_OLDEST;

    if (found == NGX_OK
        && ngx_mesh_storage_changes_since(&changes->f, since) != NGX_OK)
    {
        *rc = ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                  "\"since\" is a position that was answered, a seq or "
                  "\"now\"");
        return NGX_ERROR;
    }

    return ngx_mesh_storage_changes_filter(rest, changes, rc);
}


static ngx_int_t
ngx_mesh_storage_changes_filter(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_changes_t *changes, ngx_int_t *rc)
{
    bytes_t             text;
    ngx_int_t           found;
    ngx_uint_t          i;
    static const char  *kinds[] = { "kv", "docs", "blobs" };

    found = ngx_mesh_storage_rest_query(rest, "kind", 16, &text, rc);

    for (i = 0; found == NGX_OK && i < 3; i++) {

        if (bytes_equal_text(text, kinds[i])) {
            changes->f.kind = kinds[i];
        }
    }

    if (found == NGX_OK && changes->f.kind == NULL) {
        *rc = ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                  "\"kind\" is \"kv\", \"docs\" or \"blobs\"");
        return NGX_ERROR;
    }

    if (found == NGX_ERROR
        || ngx_mesh_storage_rest_query(rest, "prefix",
                                       NGX_MESH_STORAGE_KEY_MAX,
                                       &changes->f.prefix, rc)
           == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    found = ngx_mesh_storage_rest_query(rest, "include", 16, &text, rc);

    if (found == NGX_OK) {

        if (!bytes_equal_text(text, "value")) {
            *rc = ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                                          "\"include\" can be \"value\"");
            return NGX_ERROR;
        }

        changes->f.values = 1;
    }

    return (found == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


/* Where to begin.  NGX_OK, NGX_ERROR. */
static ngx_int_t
ngx_mesh_storage_changes_since(ngx_mesh_storage_follower_t *f, bytes_t text)
{
    off_t       seq;
    ngx_uint_t  i;

    if (bytes_equal_text(text, "now")) {
        f->from = NGX_MESH_STORAGE_FEED_NOW;
        return NGX_OK;
    }

    if (text.len > STORE_EPOCH_LEN && text.data[STORE_EPOCH_LEN] == '.') {

        for (i = 0; i < STORE_EPOCH_LEN; i++) {

            if (!((text.data[i] >= '0' && text.data[i] <= '9')
                  || (text.data[i] >= 'a' && text.data[i] <= 'f')))
            {
                return NGX_ERROR;
            }
        }

        ngx_memcpy(f->epoch, text.data, STORE_EPOCH_LEN);
        f->known = 1;

        text = bytes_make(text.data + STORE_EPOCH_LEN + 1,
                          text.len - STORE_EPOCH_LEN - 1);
    }

    seq = ngx_atoof((u_char *) text.data, text.len);

    if (seq == NGX_ERROR) {
        return NGX_ERROR;
    }

    f->seq = (uint64_t) seq;
    f->from = NGX_MESH_STORAGE_FEED_SEQ;

    return NGX_OK;
}


/* One answer. */

static ngx_int_t
ngx_mesh_storage_changes_poll(ngx_mesh_storage_changes_t *changes)
{
    ngx_int_t            rc;
    ngx_http_cleanup_t  *cln;
    ngx_http_request_t  *r;

    r = changes->f.rest->r;

    changes->list = ngx_palloc(r->pool, changes->limit * sizeof(bytes_t));
    cln = ngx_http_cleanup_add(r, 0);

    if (changes->list == NULL || cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_mesh_storage_changes_cleanup;
    cln->data = changes;

    changes->late = (changes->wait == 0);
    changes->parked = changes->f.rest;
    changes->timer.handler = ngx_mesh_storage_changes_timer_handler;
    changes->timer.data = changes;
    changes->timer.log = r->connection->log;

    changes->f.way = &ngx_mesh_storage_changes_way;
    changes->f.data = changes;
    changes->f.counted = !changes->late;

    rc = ngx_mesh_storage_feed_begin(&changes->f);

    if (rc != NGX_OK) {
        return rc;
    }

    if (!changes->late) {
        ngx_add_timer(&changes->timer, (ngx_msec_t) changes->wait * 1000);
    }

    return ngx_mesh_storage_rest_park(changes->f.rest, &changes->parked);
}


static ngx_int_t
ngx_mesh_storage_changes_change(ngx_mesh_storage_follower_t *f, bytes_t json)
{
    u_char                      *p;
    ngx_mesh_storage_changes_t  *changes;

    changes = f->data;

    p = ngx_pnalloc(f->rest->r->pool, json.len);

    if (p == NULL) {
        changes->limit = 0;
        return NGX_AGAIN;
    }

    ngx_memcpy(p, json.data, json.len);

    changes->list[changes->count++] = bytes_make(p, json.len);
    changes->bytes += json.len + 1;

    return (changes->count < changes->limit
            && changes->bytes < NGX_MESH_STORAGE_CHANGES_BYTES)
           ? NGX_OK : NGX_AGAIN;
}


static ngx_int_t
ngx_mesh_storage_changes_paged(ngx_mesh_storage_follower_t *f,
    ngx_uint_t more)
{
    ngx_mesh_storage_changes_t  *changes;

    changes = f->data;
    changes->pages++;

    if (changes->limit == 0) {
        ngx_mesh_storage_changes_finish(f, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return NGX_DONE;
    }

    /* more with nothing to say: what is here was for others */

    if (changes->count == 0
        && (more ? changes->pages < NGX_MESH_STORAGE_CHANGES_PAGES
                 : !changes->late))
    {
        return NGX_OK;
    }

    ngx_mesh_storage_changes_answer(changes, more);

    return NGX_DONE;
}


static void
ngx_mesh_storage_changes_gap(ngx_mesh_storage_follower_t *f,
    const ngx_mesh_storage_page_t *page)
{
    u_char            position[NGX_MESH_STORAGE_FEED_POSITION];
    ngx_int_t         rc;
    problem_facts_t   facts;
    problem_member_t  members[3];

    ngx_memzero(&facts, sizeof(problem_facts_t));
    ngx_memzero(members, sizeof(members));

    members[0].name = "oldest";
    members[0].number = (int64_t) page->rows->oldest;
    members[1].name = "epoch";
    members[1].text = page->epoch;
    members[2].name = "position";
    members[2].text = ngx_mesh_storage_feed_page_place(page->epoch,
                                                       page->rows->head,
                                                       position);

    facts.detail = bytes_of("changes behind this position are not kept any "
                            "more: list afresh, then follow from "
                            "\"position\"");
    facts.members = members;
    facts.member_count = 3;

    rc = ngx_mesh_reply_problem_facts(f->rest->r, PROBLEM_FEED_GAP, &facts);

    ngx_mesh_storage_changes_finish(f, rc);
}


static ngx_int_t
ngx_mesh_storage_changes_down(ngx_mesh_storage_follower_t *f, store_rc_t rc)
{
    ngx_int_t  answer;

    answer = ngx_mesh_storage_rest_problem(f->rest, rc == STORE_BUSY
                                                    ? PROBLEM_BUSY
                                                    : PROBLEM_STORE_DOWN,
                                           NULL);
    ngx_mesh_storage_changes_finish(f, answer);

    return NGX_DONE;
}


static void
ngx_mesh_storage_changes_look(ngx_mesh_storage_follower_t *f)
{
    /* the timer looks */
}


static void
ngx_mesh_storage_changes_end(ngx_mesh_storage_follower_t *f,
    ngx_mesh_storage_feed_end_t why, ucan_verdict_t verdict)
{
    ngx_mesh_storage_changes_t  *changes;

    changes = f->data;

    if (why == NGX_MESH_STORAGE_FEED_SESSION) {
        ngx_mesh_storage_changes_finish(f,
                ngx_mesh_reply_refusal(f->rest->r, verdict,
                                       bytes_make(NULL, 0)));
        return;
    }

    if (!f->known || f->from != NGX_MESH_STORAGE_FEED_SEQ) {
        (void) ngx_mesh_storage_changes_down(f, STORE_BUSY);
        return;
    }

    ngx_mesh_storage_changes_answer(changes, 0);
}


static void
ngx_mesh_storage_changes_timer_handler(ngx_event_t *ev)
{
    ngx_mesh_storage_changes_t  *changes = ev->data;

    changes->late = 1;

    /* a page that is on its way has the last word */

    if (changes->f.page == NULL && !changes->f.dirty && changes->f.known) {
        ngx_mesh_storage_changes_answer(changes, 0);
    }
}


static void
ngx_mesh_storage_changes_answer(ngx_mesh_storage_changes_t *changes,
    ngx_uint_t more)
{
    ngx_int_t  rc;

    rc = ngx_mesh_storage_changes_write(changes, more);

    ngx_mesh_storage_changes_finish(&changes->f, rc);
}


static ngx_int_t
ngx_mesh_storage_changes_write(ngx_mesh_storage_changes_t *changes,
    ngx_uint_t more)
{
    u_char           position[NGX_MESH_STORAGE_FEED_POSITION];
    ngx_uint_t       i;
    json_write_t     j;
    bytes_writer_t   w;

    if (ngx_mesh_storage_rest_writer(changes->f.rest, &w,
                                     changes->bytes + 128)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_key(&j, "changes");
    json_write_array(&j);

    for (i = 0; i < changes->count; i++) {
        json_write_raw(&j, changes->list[i]);
    }

    json_write_array_end(&j);
    json_write_member(&j, "position",
                      ngx_mesh_storage_feed_position(&changes->f, position));
    json_write_member_bool(&j, "more", (int) more);
    json_write_object_end(&j);

    return ngx_mesh_storage_rest_reply(changes->f.rest, NGX_HTTP_OK, &w);
}


static void
ngx_mesh_storage_changes_finish(ngx_mesh_storage_follower_t *f, ngx_int_t rc)
{
    ngx_mesh_storage_changes_t  *changes;

    changes = f->data;

    ngx_mesh_storage_feed_stop(f);

    if (changes->timer.timer_set) {
        ngx_del_timer(&changes->timer);
    }

    ngx_mesh_storage_rest_resume(f->rest, rc);
}


static void
ngx_mesh_storage_changes_cleanup(void *data)
{
    ngx_mesh_storage_changes_t  *changes = data;

    if (changes->timer.timer_set) {
        ngx_del_timer(&changes->timer);
    }
}
