/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * POST /api/poll: for those who cannot keep a socket.
 *
 * Answers what others said in the caller's rooms since its place, and a
 * cursor.  Presenting the cursor acknowledges: the place moves, and only
 * then; whoever loses an answer hears it again.  With "wait" the answer comes
 * when there is something to say, or when the time is over.
 *
 *   begin -> places -> (acknowledge) -> register, walk -> answer
 *               ^                                  |
 *               +------- woken, or time over ------+
 *
 * The waiter is registered before the store is read, so that nothing falls
 * between; timer and waiter end in ngx_mesh_room_poll_cleanup().
 */


#include "varint.h"
#include "ngx_mesh_room_poll.h"


#define NGX_MESH_ROOM_POLL_WAIT_MAX   25      /* seconds */
#define NGX_MESH_ROOM_POLL_ROOMS_MAX  12      /* in one cursor */
#define NGX_MESH_ROOM_POLL_ROUND_MS   250     /* between two rounds */
#define NGX_MESH_ROOM_POLL_ALIVE_MS   1000    /* between looks at a session */
#define NGX_MESH_ROOM_POLL_SCOPE      "poll"


typedef struct {
    ngx_mesh_room_walk_t     walk;            /* first: see place.c */
    ngx_mesh_room_rest_t    *rest;
    ngx_mesh_room_waiter_t   waiter;
    ngx_event_t              timer;
    void                    *parked;          /* rest, while it waits */

    bytes_t                 *messages;        /* [limit], as on the wire */
    ngx_uint_t               message_count;
    ngx_uint_t               limit;
    ngx_uint_t               rooms;           /* with messages */
    bytes_t                  acknowledged;    /* payload of the cursor */

    ngx_msec_t               deadline;
    ngx_uint_t               rounds;          /* woken so often */
    unsigned                 mentions:1;
    unsigned                 woken:1;
    unsigned                 late:1;          /* time is over */
    unsigned                 more:1;
} ngx_mesh_room_poll_t;


static ngx_int_t ngx_mesh_room_poll_step(ngx_mesh_room_rest_t *rest);
static ngx_int_t ngx_mesh_room_poll_input(ngx_mesh_room_poll_t *poll,
    ngx_int_t *rc);
static ngx_int_t ngx_mesh_room_poll_number(ngx_mesh_room_poll_t *poll,
    const char *name, int64_t max, int64_t *n, ngx_int_t *rc);
static ngx_int_t ngx_mesh_room_poll_cursor(ngx_mesh_room_poll_t *poll,
    ngx_int_t *rc);
static ngx_int_t ngx_mesh_room_poll_scope(ngx_mesh_room_rest_t *rest,
    bytes_writer_t *w);
static ngx_int_t ngx_mesh_room_poll_loaded(ngx_mesh_room_rest_t *rest);
static ngx_int_t ngx_mesh_room_poll_acknowledge(ngx_mesh_room_poll_t *poll,
    ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_room_poll_acknowledged(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_room_poll_walk(ngx_mesh_room_rest_t *rest);
static ngx_int_t ngx_mesh_room_poll_register(ngx_mesh_room_poll_t *poll);
static ngx_int_t ngx_mesh_room_poll_room(ngx_mesh_room_rest_t *rest,
    ngx_mesh_room_place_t *place, const ngx_mesh_room_record_t *record,
    store_rows_t *rows);
static ngx_uint_t ngx_mesh_room_poll_wanted(ngx_mesh_room_rest_t *rest,
    const ngx_mesh_room_record_t *record, bytes_t stored);
static ngx_int_t ngx_mesh_room_poll_walked(ngx_mesh_room_rest_t *rest);
static void ngx_mesh_room_poll_wake(void *data);
static void ngx_mesh_room_poll_timer_handler(ngx_event_t *ev);
static void ngx_mesh_room_poll_again(ngx_mesh_room_poll_t *poll);
static ngx_int_t ngx_mesh_room_poll_answer(ngx_mesh_room_poll_t *poll);
static ngx_int_t ngx_mesh_room_poll_next(ngx_mesh_room_poll_t *poll,
    json_write_t *j);
static void ngx_mesh_room_poll_next_rooms(ngx_mesh_room_poll_t *poll,
    bytes_writer_t *w, ngx_uint_t told, ngx_uint_t max);
static void ngx_mesh_room_poll_cleanup(void *data);


ngx_int_t
ngx_mesh_room_poll_open(ngx_http_request_t *r, ngx_mesh_route_args_t *args)
{
    return ngx_mesh_room_rest_open(r, args, NGX_MESH_ROOM_REST_MAY_BODY,
                                   ngx_mesh_room_poll_step);
}


static ngx_int_t
ngx_mesh_room_poll_step(ngx_mesh_room_rest_t *rest)
{
    ngx_int_t              rc;
    ngx_http_cleanup_t    *cln;
    ngx_mesh_room_poll_t  *poll;

    poll = ngx_pcalloc(rest->r->pool, sizeof(ngx_mesh_room_poll_t));

    if (poll == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    poll->rest = rest;
    poll->walk.room = ngx_mesh_room_poll_room;
    poll->walk.end = ngx_mesh_room_poll_walked;
    poll->waiter.wake = ngx_mesh_room_poll_wake;
    poll->waiter.data = poll;
    poll->timer.handler = ngx_mesh_room_poll_timer_handler;
    poll->timer.data = poll;
    poll->timer.log = rest->r->connection->log;

    rest->data = poll;

    if (ngx_mesh_room_poll_input(poll, &rc) != NGX_OK) {
        return rc;
    }

    cln = ngx_http_cleanup_add(rest->r, 0);

    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_mesh_room_poll_cleanup;
    cln->data = poll;

    return ngx_mesh_room_place_load(rest, ngx_mesh_room_poll_loaded);
}


static ngx_int_t
ngx_mesh_room_poll_input(ngx_mesh_room_poll_t *poll, ngx_int_t *rc)
{
    int64_t                n;
    json_scan_t            value;
    ngx_mesh_room_rest_t  *rest;

    rest = poll->rest;
    n = 0;

    if (ngx_mesh_room_poll_number(poll, "wait", NGX_MESH_ROOM_POLL_WAIT_MAX,
                                  &n, rc)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    poll->late = (n == 0);
    poll->deadline = ngx_current_msec + (ngx_msec_t) n * 1000;

    n = NGX_MESH_ROOM_REST_LIMIT;

    if (ngx_mesh_room_poll_number(poll, "limit", NGX_MESH_ROOM_REST_LIMIT_MAX,
                                  &n, rc)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    poll->limit = (ngx_uint_t) ngx_max(n, 1);
    poll->walk.limit = poll->limit;

    if (rest->has_body
        && json_scan_find(&rest->body, "mentionsOnly", &value) == 0)
    {
        if (value.type != JSON_SCAN_BOOL) {
            *rc = ngx_mesh_reply_problem(rest->r, PROBLEM_BAD_REQUEST,
                                         "\"mentionsOnly\" must be true or "
                                         "false");
            return NGX_ERROR;
        }

        poll->mentions = value.truth;
    }

    poll->messages = ngx_palloc(rest->r->pool,
                                poll->limit * sizeof(bytes_t));

    if (poll->messages == NULL) {
        *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return NGX_ERROR;
    }

    return ngx_mesh_room_poll_cursor(poll, rc);
}


/* A number of the body from 0 to max; what is beyond is cut. */

static ngx_int_t
ngx_mesh_room_poll_number(ngx_mesh_room_poll_t *poll, const char *name,
    int64_t max, int64_t *n, ngx_int_t *rc)
{
    int64_t                number;
    json_scan_t            value;
    ngx_mesh_room_rest_t  *rest;

    rest = poll->rest;

    if (!rest->has_body || json_scan_find(&rest->body, name, &value) != 0) {
        return NGX_OK;
    }

    if (value.type != JSON_SCAN_NUMBER
        || json_scan_integer(&value, &number) != 0
        || number < 0)
    {
        *rc = ngx_mesh_reply_problem(rest->r, PROBLEM_BAD_REQUEST,
                                     "\"wait\" and \"limit\" must be whole "
                                     "numbers that are not negative");
        return NGX_ERROR;
    }

    *n = ngx_min(number, max);

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_room_poll_cursor(ngx_mesh_room_poll_t *poll, ngx_int_t *rc)
{
    ngx_int_t              found;
    ngx_str_t              text;
    bytes_writer_t         w, scope;
    ngx_mesh_room_rest_t  *rest;

    rest = poll->rest;
    found = ngx_mesh_room_rest_text(rest, "cursor", CURSOR_TEXT_MAX, &text,
                                    rc);

    if (found == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (text.len == 0) {
        return NGX_OK;
    }

    if (ngx_mesh_room_poll_scope(rest, &scope) != NGX_OK
        || ngx_mesh_room_rest_writer(rest, &w, CURSOR_PAYLOAD_MAX) != NGX_OK)
    {
        *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return NGX_ERROR;
    }

    if (cursor_decode(rest->mcf->cursor_key, bytes_writer_view(&scope),
                      ngx_mesh_room_rest_bytes(&text), &w)
        != 0)
    {
        *rc = ngx_mesh_reply_problem(rest->r, PROBLEM_INVALID_CURSOR,
                                     "take \"cursor\" from the answer "
                                     "before");
        return NGX_ERROR;
    }

    poll->acknowledged = bytes_writer_view(&w);

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_room_poll_scope(ngx_mesh_room_rest_t *rest, bytes_writer_t *w)
{
    if (ngx_mesh_room_rest_writer(rest, w, sizeof(NGX_MESH_ROOM_POLL_SCOPE)
                                           + rest->me->id.len)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    bytes_writer_text(w, NGX_MESH_ROOM_POLL_SCOPE ":");
    bytes_writer_put(w, rest->me->id.data, rest->me->id.len);

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_room_poll_loaded(ngx_mesh_room_rest_t *rest)
{
    ngx_int_t              rc;
    ngx_mesh_room_poll_t  *poll;
    ngx_mesh_store_job_t  *job;

    poll = rest->data;

    if (poll->acknowledged.len == 0) {
        return ngx_mesh_room_poll_walk(rest);
    }

    job = ngx_mesh_store_job_create(4096, rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_mesh_room_poll_acknowledge(poll, job);
    poll->acknowledged = bytes_make(NULL, 0);

    if (rc == NGX_OK) {
        return ngx_mesh_room_rest_write(rest, job,
                                        ngx_mesh_room_poll_acknowledged);
    }

    ngx_mesh_store_job_destroy(rest->mcf->store, job);

    if (rc == NGX_DECLINED) {
        return ngx_mesh_room_poll_walk(rest);
    }

    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}


/*
 * The payload of a cursor: for each room with news its id (without the kind)
 * and the seq up to which it was answered:
 *
 *   26 characters | varint | 26 characters | varint ...
 *
 * NGX_DECLINED: nothing moves.
 */

static ngx_int_t
ngx_mesh_room_poll_acknowledge(ngx_mesh_room_poll_t *poll,
    ngx_mesh_store_job_t *job)
{
    u_char                  id[ID_LEN];
    bytes_t                 body;
    uint64_t                seq;
    ngx_uint_t              n;
    store_op_t             *ops;
    bytes_reader_t          reader;
    ngx_mesh_room_place_t  *place, *moved[NGX_MESH_ROOM_POLL_ROOMS_MAX];

    n = 0;
    ngx_memcpy(id, "r_", 2);
    bytes_reader_open(&reader, poll->acknowledged);

    while (bytes_reader_left(&reader) != 0
           && n < NGX_MESH_ROOM_POLL_ROOMS_MAX)
    {
        body = bytes_reader_take(&reader, ID_LEN - 2);
        seq = varint_read(&reader);

        if (reader.failed) {
            return NGX_ERROR;
        }

        ngx_memcpy(id + 2, body.data, body.len);
        place = ngx_mesh_room_place_find(&poll->walk, bytes_make(id, ID_LEN));

        if (place && place->read < seq) {
            place->read = seq;
            place->seen = ngx_max(place->seen, seq);
            moved[n++] = place;
        }
    }

    if (n == 0) {
        return NGX_DECLINED;
    }

    ops = ngx_mesh_store_job_ops(job, n);

    if (ops == NULL) {
        return NGX_ERROR;
    }

    while (n--) {
        if (ngx_mesh_room_place_op(poll->rest, job->pool, moved[n], &ops[n])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_room_poll_acknowledged(ngx_mesh_room_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    if (job->write.rc != STORE_OK) {
        return ngx_mesh_room_rest_store_problem(rest, job->write.rc);
    }

    return ngx_mesh_room_poll_walk(rest);
}


static ngx_int_t
ngx_mesh_room_poll_walk(ngx_mesh_room_rest_t *rest)
{
    ngx_mesh_room_poll_t  *poll;

    poll = rest->data;
    poll->woken = 0;

    if (!poll->late && ngx_mesh_room_poll_register(poll) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_room_place_walk(rest);
}


static ngx_int_t
ngx_mesh_room_poll_register(ngx_mesh_room_poll_t *poll)
{
    ngx_str_t             *topics;
    ngx_uint_t             i;
    ngx_mesh_room_rest_t  *rest;

    rest = poll->rest;
    topics = ngx_palloc(rest->r->pool,
                        (poll->walk.count + 1) * sizeof(ngx_str_t));

    if (topics == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < poll->walk.count; i++) {
        topics[i] = ngx_mesh_room_rest_str(poll->walk.places[i].room);
    }

    topics[i] = rest->me->id;

    return ngx_mesh_room_wait_add(rest->mcf, &poll->waiter, rest->r->pool,
                                  topics, poll->walk.count + 1);
}


static ngx_int_t
ngx_mesh_room_poll_room(ngx_mesh_room_rest_t *rest,
    ngx_mesh_room_place_t *place, const ngx_mesh_room_record_t *record,
    store_rows_t *rows)
{
    size_t                    i;
    bytes_t                   message;
    store_row_t              *row;
    ngx_mesh_room_poll_t     *poll;
    ngx_mesh_room_refusal_t   refusal;

    poll = rest->data;

    if (rows->count == 0
        || (!record->direct
            && ngx_mesh_room_access_allow(rest->mcf, rest->principal,
                                          "/room/read", record->id, &refusal)
               != NGX_OK))
    {
        return NGX_OK;
    }

    if (poll->rooms == NGX_MESH_ROOM_POLL_ROOMS_MAX) {
        poll->more = 1;
        return NGX_DECLINED;
    }

    for (i = 0; i < rows->count; i++) {
        row = &rows->rows[i];

        if (poll->message_count == poll->limit) {
            poll->more = 1;
            break;
        }

        place->seen = row->seq;

        if (!ngx_mesh_room_poll_wanted(rest, record, row->value)) {
            continue;
        }

        message = ngx_mesh_room_message_encode(rest->r->pool, row->seq,
                                               row->value);
        if (message.data == NULL) {
            return NGX_ERROR;
        }

        poll->messages[poll->message_count++] = message;
        place->told++;
    }

    poll->rooms += (place->told != 0);
    poll->more |= rows->more;

    return poll->message_count == poll->limit ? NGX_DECLINED : NGX_OK;
}


static ngx_uint_t
ngx_mesh_room_poll_wanted(ngx_mesh_room_rest_t *rest,
    const ngx_mesh_room_record_t *record, bytes_t stored)
{
    bytes_t                   me, sender;
    bytes_writer_t            scratch;
    ngx_mesh_room_poll_t     *poll;
    ngx_mesh_room_refusal_t   refusal;

    poll = rest->data;
    me = ngx_mesh_room_rest_bytes(&rest->me->id);
    sender = ngx_mesh_room_place_sender(stored);

    if (bytes_equal(sender, me)) {
        return 0;
    }

    if (record->direct) {
        return ngx_mesh_room_access_allow(rest->mcf, rest->principal,
                                          "/dm/send", sender, &refusal)
               == NGX_OK;
    }

    if (!poll->mentions) {
        return 1;
    }

    if (ngx_mesh_room_rest_writer(rest, &scratch, stored.len) != NGX_OK) {
        return 0;
    }

    return ngx_mesh_room_message_mention(stored,
                                ngx_mesh_room_rest_bytes(&rest->me->name),
                                me, &scratch);
}


static ngx_int_t
ngx_mesh_room_poll_walked(ngx_mesh_room_rest_t *rest)
{
    ngx_int_t              rc;
    ngx_event_t           *rev;
    ngx_msec_int_t         left;
    ngx_mesh_room_poll_t  *poll;

    poll = rest->data;
    left = (ngx_msec_int_t) (poll->deadline - ngx_current_msec);

    if (rest->mcf->principal->alive(rest->principal) != UCAN_OK) {
        return ngx_mesh_reply_problem(rest->r, PROBLEM_UNAUTHENTICATED,
                                      "the session has ended");
    }

    /* "more" without a message: what was looked at is acknowledged, and what
       lies behind it must not be waited for */

    if (poll->message_count != 0 || poll->more || poll->late || left <= 0
        || ngx_exiting)
    {
        return ngx_mesh_room_poll_answer(poll);
    }

    if (poll->woken) {
        return ngx_mesh_room_place_load(rest, ngx_mesh_room_poll_loaded);
    }

    poll->parked = rest;
    ngx_add_timer(&poll->timer,
                  ngx_min((ngx_msec_t) left, NGX_MESH_ROOM_POLL_ALIVE_MS));

    rc = ngx_mesh_room_rest_park(rest, &poll->parked);

    /* the event of a client that left before somebody watched for it is
       past: look again */

    rev = rest->r->connection->read;

    if (rev->pending_eof) {
        ngx_post_event(rev, &ngx_posted_events);
    }

    return rc;
}


/* Called from the hub: the answer is not made on its stack. */

static void
ngx_mesh_room_poll_wake(void *data)
{
    ngx_mesh_room_poll_t  *poll = data;

    poll->woken = 1;

    if (!poll->timer.timer_set) {
        return;
    }

    ngx_del_timer(&poll->timer);

    /* rounds cost memory of the request: a busy room must not make many */

    if (poll->rounds++ == 0 || ngx_exiting) {
        ngx_post_event(&poll->timer, &ngx_posted_events);
        return;
    }

    ngx_add_timer(&poll->timer, NGX_MESH_ROOM_POLL_ROUND_MS);
}


static void
ngx_mesh_room_poll_timer_handler(ngx_event_t *ev)
{
    ngx_msec_int_t         left;
    ngx_mesh_room_rest_t  *rest;
    ngx_mesh_room_poll_t  *poll = ev->data;

    rest = poll->parked;

    if (rest == NULL) {
        return;
    }

    left = (ngx_msec_int_t) (poll->deadline - ngx_current_msec);

    if (!poll->woken && left > 0 && !ngx_exiting
        && rest->mcf->principal->alive(rest->principal) == UCAN_OK)
    {
        ngx_add_timer(&poll->timer,
                      ngx_min((ngx_msec_t) left, NGX_MESH_ROOM_POLL_ALIVE_MS));
        return;
    }

    poll->parked = NULL;
    ngx_mesh_room_poll_again(poll);
}


static void
ngx_mesh_room_poll_again(ngx_mesh_room_poll_t *poll)
{
    ngx_int_t  rc;

    ngx_mesh_room_wait_remove(&poll->waiter);

    if (!poll->woken || ngx_exiting) {
        poll->late = 1;
    }

    rc = ngx_mesh_room_place_load(poll->rest, ngx_mesh_room_poll_loaded);

    ngx_mesh_room_rest_resume(poll->rest, rc);
}


static ngx_int_t
ngx_mesh_room_poll_answer(ngx_mesh_room_poll_t *poll)
{
    size_t           size;
    ngx_uint_t       i;
    json_write_t     j;
    bytes_writer_t   w;

    size = 256 + CURSOR_TEXT_MAX;

    for (i = 0; i < poll->message_count; i++) {
        size += poll->messages[i].len + 1;
    }

    if (ngx_mesh_room_rest_writer(poll->rest, &w, size) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_key(&j, "messages");
    json_write_array(&j);

    for (i = 0; i < poll->message_count; i++) {
        json_write_raw(&j, poll->messages[i]);
    }

    json_write_array_end(&j);
    json_write_member_bool(&j, "more", poll->more);

    if (ngx_mesh_room_poll_next(poll, &j) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_object_end(&j);

    return ngx_mesh_room_rest_reply(poll->rest, NGX_HTTP_OK, &w);
}


static ngx_int_t
ngx_mesh_room_poll_next(ngx_mesh_room_poll_t *poll, json_write_t *j)
{
    u_char          payload[CURSOR_PAYLOAD_MAX];
    bytes_writer_t  w, text, scope;

    bytes_writer_open(&w, payload, sizeof(payload));

    /* rooms where nothing was said to the caller take what place is left */

    ngx_mesh_room_poll_next_rooms(poll, &w, 1, poll->rooms);
    ngx_mesh_room_poll_next_rooms(poll, &w, 0,
                               NGX_MESH_ROOM_POLL_ROOMS_MAX - poll->rooms);

    if (ngx_mesh_room_poll_scope(poll->rest, &scope) != NGX_OK
        || ngx_mesh_room_rest_writer(poll->rest, &text, CURSOR_TEXT_MAX)
           != NGX_OK
        || cursor_encode(poll->rest->mcf->cursor_key,
                         bytes_writer_view(&scope), bytes_writer_view(&w),
                         &text)
           != 0)
    {
        return NGX_ERROR;
    }

    json_write_member(j, "cursor", bytes_writer_view(&text));

    return NGX_OK;
}


/* At most max rooms that were seen further than they were read, of which
   messages are told or not. */

static void
ngx_mesh_room_poll_next_rooms(ngx_mesh_room_poll_t *poll, bytes_writer_t *w,
    ngx_uint_t told, ngx_uint_t max)
{
    ngx_uint_t              i;
    ngx_mesh_room_place_t  *place;

    for (i = 0; i < poll->walk.count && max != 0; i++) {
        place = &poll->walk.places[i];

        if (place->seen > place->read && (place->told != 0) == told) {
            bytes_writer_put(w, place->room.data + 2, place->room.len - 2);
            varint_write(w, place->seen);
            max--;
        }
    }
}


static void
ngx_mesh_room_poll_cleanup(void *data)
{
    ngx_mesh_room_poll_t  *poll = data;

    if (poll->timer.timer_set) {
        ngx_del_timer(&poll->timer);
    }

    if (poll->timer.posted) {
        ngx_delete_posted_event(&poll->timer);
    }

    ngx_mesh_room_wait_remove(&poll->waiter);
}
