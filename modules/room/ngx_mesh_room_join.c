/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Joining a room, what was missed before, and leaving.
 *
 *     _join --> read room, membership, members, head
 *                 |          no member of a public room: become one, again
 *                 v
 *               room_joined --> live                      nothing was missed
 *                 |
 *                 +--> page, page, ... --> live           "since": backfill
 *
 * The subscription is in the hub before the store is asked, so a message
 * that is committed in between is in the answer or in the notices or in
 * both, and the seqs tell which.  A page is read when the queue has room for
 * it: a client that reads slowly is backfilled slowly, not cut off.  When a
 * page brings a subscription up to what the others of the room have got, it
 * goes live: nothing doubled, nothing missing.
 *
 * Memberships and rooms may change while a subscription lasts: notices mark
 * it, and the store is asked again.  One job a subscription; it finds its
 * data NULL when the subscription has gone.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "json_write.h"
#include "ngx_mesh_room_live.h"


#define NGX_MESH_ROOM_JOIN_POOL     4096    /* bytes of a job */
#define NGX_MESH_ROOM_JOIN_FRAME    512     /* bytes of a small frame */
#define NGX_MESH_ROOM_JOIN_MEMBER   128     /* bytes beside id and name */

/* The reads of a join, and of a check, which needs the first two. */
#define NGX_MESH_ROOM_JOIN_ROOM     0
#define NGX_MESH_ROOM_JOIN_SELF     1
#define NGX_MESH_ROOM_JOIN_MEMBERS  2
#define NGX_MESH_ROOM_JOIN_HEAD     3
#define NGX_MESH_ROOM_JOIN_READS    4
#define NGX_MESH_ROOM_JOIN_CHECKS   2


/* What the store said of a room and of the one who joins; in the job. */
typedef struct {
    ngx_mesh_room_record_t      room;
    ngx_mesh_room_member_t      self;
    ngx_uint_t                  member;      /* self is set */
    bytes_t                     other;       /* of a direct room */
    uint64_t                    head;
} ngx_mesh_room_join_facts_t;


typedef struct {
    ngx_http_mesh_room_main_conf_t  *mcf;
    ngx_uint_t                       again;  /* membership was written */
    uint64_t                         head;
} ngx_mesh_room_join_context_t;


static ngx_mesh_store_job_t *ngx_mesh_room_join_job(
    ngx_mesh_room_subscription_t *sub, ngx_mesh_store_done_pt done);
static ngx_int_t ngx_mesh_room_join_read(ngx_mesh_room_subscription_t *sub,
    ngx_uint_t again);
static ngx_int_t ngx_mesh_room_join_set_reads(ngx_mesh_store_job_t *job,
    ngx_mesh_room_subscription_t *sub, ngx_uint_t count);
static void ngx_mesh_room_join_read_done(ngx_mesh_store_job_t *job);
static problem_t ngx_mesh_room_join_parse(ngx_mesh_store_job_t *job,
    ngx_mesh_room_subscription_t *sub, ngx_mesh_room_join_facts_t *facts);
static problem_t ngx_mesh_room_join_parse_other(ngx_mesh_store_job_t *job,
    ngx_mesh_room_join_facts_t *facts);
static ngx_int_t ngx_mesh_room_join_decide(ngx_mesh_room_subscription_t *sub,
    ngx_mesh_room_join_facts_t *facts, ngx_uint_t again);
static ngx_int_t ngx_mesh_room_join_write(ngx_mesh_room_subscription_t *sub,
    ngx_mesh_room_join_facts_t *facts);
static void ngx_mesh_room_join_write_done(ngx_mesh_store_job_t *job);
static void ngx_mesh_room_join_done(ngx_mesh_room_subscription_t *sub,
    ngx_mesh_store_job_t *job, ngx_mesh_room_join_facts_t *facts);
static ngx_int_t ngx_mesh_room_join_tell(ngx_mesh_room_subscription_t *sub,
    ngx_mesh_store_job_t *job, uint64_t head);
static ngx_uint_t ngx_mesh_room_join_tell_member(json_write_t *j,
    ngx_mesh_room_subscription_t *sub, bytes_t json, ngx_pool_t *pool);
static void ngx_mesh_room_join_tell_gap(ngx_mesh_room_subscription_t *sub,
    uint64_t from, uint64_t to);
static void ngx_mesh_room_join_present(ngx_mesh_room_subscription_t *sub,
    ngx_uint_t member);
static void ngx_mesh_room_join_failed(ngx_mesh_room_subscription_t *sub,
    problem_t problem);
static ngx_int_t ngx_mesh_room_join_page(ngx_mesh_room_subscription_t *sub);
static void ngx_mesh_room_join_page_done(void *data, store_rc_t rc,
    store_rows_t *rows);
static ngx_uint_t ngx_mesh_room_join_page_send(
    ngx_mesh_room_subscription_t *sub, store_row_t *row);
static void ngx_mesh_room_join_check_one(ngx_mesh_room_subscription_t *sub);
static void ngx_mesh_room_join_check_done(ngx_mesh_store_job_t *job);


void
ngx_mesh_room_join(ngx_mesh_room_connection_t *mc, bytes_t room,
    ngx_uint_t resume, uint64_t since)
{
    ngx_mesh_room_refusal_t        refusal;
    ngx_mesh_room_subscription_t  *sub;

    /* in a direct room it is "/dm/send", and its party is not known yet */

    if (!ngx_mesh_room_record_direct(room)
        && ngx_mesh_room_access_allow(mc->mcf, mc->principal, "/room/read",
                                      room, &refusal)
           != NGX_OK)
    {
        ngx_mesh_room_connection_refuse(mc, &refusal, room);
        return;
    }

    sub = ngx_mesh_room_hub_find(mc, room);

    if (sub != NULL && sub->job != NULL) {
        ngx_mesh_room_connection_error(mc, PROBLEM_CONFLICT,
                                       "this room is being joined", room,
                                       NULL);
        return;
    }

    if (sub == NULL) {

        if (mc->rooms >= mc->lcf->join_max) {
            ngx_mesh_room_connection_error(mc, PROBLEM_RATE_LIMITED,
                                           "too many rooms on a connection",
                                           room, NULL);
            return;
        }

        sub = ngx_mesh_room_hub_add(mc->hub, mc, room);
        if (sub == NULL) {
            ngx_mesh_room_connection_error(mc, PROBLEM_INTERNAL, NULL, room,
                                           NULL);
            return;
        }

        sub->direct = ngx_mesh_room_record_direct(room);
        mc->rooms++;
    }

    sub->live = 0;
    sub->joined = 0;
    sub->resume = resume;
    sub->since = since;

    if (ngx_mesh_room_join_read(sub, 0) != NGX_OK) {
        ngx_mesh_room_join_failed(sub, PROBLEM_BUSY);
    }
}


/* A job of the subscription with a context; NULL: no memory. */
static ngx_mesh_store_job_t *
ngx_mesh_room_join_job(ngx_mesh_room_subscription_t *sub,
    ngx_mesh_store_done_pt done)
{
    ngx_mesh_store_job_t          *job;
    ngx_mesh_room_hub_t           *hub;
    ngx_mesh_room_join_context_t  *context;

    hub = sub->room->hub;

    job = ngx_mesh_store_job_create(NGX_MESH_ROOM_JOIN_POOL, hub->log);
    if (job == NULL) {
        return NULL;
    }

    context = ngx_pcalloc(job->pool, sizeof(ngx_mesh_room_join_context_t));
    if (context == NULL) {
        ngx_mesh_store_job_destroy(hub->mcf->store, job);
        return NULL;
    }

    context->mcf = hub->mcf;

    job->context = context;
    job->data = sub;
    job->done = done;

    return job;
}


static ngx_int_t
ngx_mesh_room_join_read(ngx_mesh_room_subscription_t *sub, ngx_uint_t again)
{
    ngx_mesh_store_job_t          *job;
    ngx_mesh_room_join_context_t  *context;

    job = ngx_mesh_room_join_job(sub, ngx_mesh_room_join_read_done);
    if (job == NULL) {
        return NGX_ERROR;
    }

    context = job->context;
    context->again = again;

    if (ngx_mesh_room_join_set_reads(job, sub, NGX_MESH_ROOM_JOIN_READS)
        != NGX_OK
        || context->mcf->store->read(job) != NGX_OK)
    {
        ngx_mesh_store_job_destroy(context->mcf->store, job);
        return NGX_ERROR;
    }

    sub->job = job;

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_room_join_set_reads(ngx_mesh_store_job_t *job,
    ngx_mesh_room_subscription_t *sub, ngx_uint_t count)
{
    bytes_t                       none = bytes_make(NULL, 0), id, self;
    store_read_t                 *reads;
    ngx_mesh_room_participant_t  *participant;

    reads = ngx_mesh_store_job_reads(job, count);
    if (reads == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(reads, count * sizeof(store_read_t));

    participant = sub->connection->participant;
    self = bytes_make(participant->id.data, participant->id.len);
    id = ngx_mesh_room_record_copy(job->pool,
                                   bytes_make(sub->room->id, ID_LEN));

    reads[NGX_MESH_ROOM_JOIN_ROOM].kind = STORE_GET;
    reads[NGX_MESH_ROOM_JOIN_ROOM].ns = bytes_of(RECORD_NS_ROOMS);
    reads[NGX_MESH_ROOM_JOIN_ROOM].key = ngx_mesh_room_record_key(job->pool,
                                             "room", id, none);

    reads[NGX_MESH_ROOM_JOIN_SELF].kind = STORE_GET;
    reads[NGX_MESH_ROOM_JOIN_SELF].ns = id;
    reads[NGX_MESH_ROOM_JOIN_SELF].key = ngx_mesh_room_record_key(job->pool,
                                             "member", self, none);

    if (id.data == NULL
        || reads[NGX_MESH_ROOM_JOIN_ROOM].key.len == 0
        || reads[NGX_MESH_ROOM_JOIN_SELF].key.len == 0)
    {
        return NGX_ERROR;
    }

    if (count == NGX_MESH_ROOM_JOIN_CHECKS) {
        return NGX_OK;
    }

    reads[NGX_MESH_ROOM_JOIN_MEMBERS].kind = STORE_RANGE;
    reads[NGX_MESH_ROOM_JOIN_MEMBERS].ns = id;
    reads[NGX_MESH_ROOM_JOIN_MEMBERS].key = bytes_of("member/");
    reads[NGX_MESH_ROOM_JOIN_MEMBERS].limit = NGX_MESH_ROOM_MEMBERS_SHOWN;

    reads[NGX_MESH_ROOM_JOIN_HEAD].kind = STORE_HEAD;
    reads[NGX_MESH_ROOM_JOIN_HEAD].ns = id;

    return NGX_OK;
}


static void
ngx_mesh_room_join_read_done(ngx_mesh_store_job_t *job)
{
    ngx_int_t                      rc;
    problem_t                      problem;
    ngx_mesh_room_join_facts_t     facts;
    ngx_mesh_room_join_context_t  *context;
    ngx_mesh_room_subscription_t  *sub;

    context = job->context;
    sub = job->data;

    if (sub == NULL) {
        goto done;
    }

    sub->job = NULL;

    problem = ngx_mesh_room_join_parse(job, sub, &facts);

    if (problem != PROBLEM_COUNT) {
        ngx_mesh_room_join_failed(sub, problem);
        goto done;
    }

    rc = ngx_mesh_room_join_decide(sub, &facts, context->again);

    if (rc == NGX_OK) {
        ngx_mesh_room_join_done(sub, job, &facts);

    } else if (rc == NGX_AGAIN
               && ngx_mesh_room_join_write(sub, &facts) != NGX_OK)
    {
        ngx_mesh_room_join_failed(sub, PROBLEM_BUSY);
    }

done:

    ngx_mesh_store_job_destroy(context->mcf->store, job);
}


/* PROBLEM_COUNT and the facts, or what to say. */
static problem_t
ngx_mesh_room_join_parse(ngx_mesh_store_job_t *job,
    ngx_mesh_room_subscription_t *sub, ngx_mesh_room_join_facts_t *facts)
{
    u_char          *p;
    size_t           i, size;
    bytes_t          json;
    store_rc_t       rc;
    bytes_writer_t   scratch;

    ngx_memzero(facts, sizeof(ngx_mesh_room_join_facts_t));

    if (job->rc != STORE_OK) {
        return ngx_mesh_room_history_problem(job->rc);
    }

    size = 1;

    for (i = 0; i < job->read_count; i++) {
        rc = job->rows[i].rc;

        if (rc != STORE_OK && rc != STORE_ABSENT) {
            return ngx_mesh_room_history_problem(rc);
        }

        if (i < NGX_MESH_ROOM_JOIN_CHECKS && rc == STORE_OK) {
            size += job->rows[i].rows[0].value.len;
        }
    }

    if (job->rows[NGX_MESH_ROOM_JOIN_ROOM].rc == STORE_ABSENT) {
        return PROBLEM_NOT_FOUND;
    }

    p = ngx_pnalloc(job->pool, size);
    if (p == NULL) {
        return PROBLEM_INTERNAL;
    }

    bytes_writer_open(&scratch, p, size);

    json = job->rows[NGX_MESH_ROOM_JOIN_ROOM].rows[0].value;

    if (ngx_mesh_room_record_read(&facts->room, json, &scratch) != NGX_OK) {
        return PROBLEM_INTERNAL;
    }

    if (job->rows[NGX_MESH_ROOM_JOIN_SELF].rc == STORE_OK) {

        json = job->rows[NGX_MESH_ROOM_JOIN_SELF].rows[0].value;

        if (ngx_mesh_room_record_member_read(&facts->self, json, &scratch)
            != NGX_OK)
        {
            return PROBLEM_INTERNAL;
        }

        facts->member = 1;
    }

    if (job->read_count == NGX_MESH_ROOM_JOIN_CHECKS) {
        facts->other = facts->room.direct ? bytes_make(sub->other, ID_LEN)
                                          : bytes_make(NULL, 0);
        return PROBLEM_COUNT;
    }

    facts->head = job->rows[NGX_MESH_ROOM_JOIN_HEAD].head;

    return facts->room.direct ? ngx_mesh_room_join_parse_other(job, facts)
                              : PROBLEM_COUNT;
}


/* The other party of a direct room: of its two members the one who does not
   join. */
static problem_t
ngx_mesh_room_join_parse_other(ngx_mesh_store_job_t *job,
    ngx_mesh_room_join_facts_t *facts)
{
    size_t         i;
    bytes_t        id;
    store_rows_t  *rows;

    rows = &job->rows[NGX_MESH_ROOM_JOIN_MEMBERS];

    for (i = 0; i < rows->count; i++) {

        if (rows->rows[i].key.len != sizeof("member/") - 1 + ID_LEN) {
            continue;
        }

        id = bytes_make(rows->rows[i].key.data + sizeof("member/") - 1,
                        ID_LEN);

        if (!bytes_equal(id, facts->self.id)) {
            facts->other = id;
        }
    }

    return PROBLEM_COUNT;
}


/* NGX_OK: in; NGX_AGAIN: to be made a member first; NGX_DECLINED: refused,
   the subscription is gone. */
static ngx_int_t
ngx_mesh_room_join_decide(ngx_mesh_room_subscription_t *sub,
    ngx_mesh_room_join_facts_t *facts, ngx_uint_t again)
{
    bytes_t                          id;
    ngx_mesh_room_refusal_t          refusal;
    ngx_mesh_room_connection_t      *mc;
    ngx_http_mesh_room_main_conf_t  *mcf;

    mc = sub->connection;
    mcf = mc->mcf;
    id = bytes_make(sub->room->id, ID_LEN);

    if (ngx_mesh_room_access_read(mcf, mc->principal, &facts->room,
                                  facts->member ? &facts->self : NULL,
                                  facts->other, &refusal)
        != NGX_OK)
    {
        ngx_mesh_room_connection_refuse(mc, &refusal, id);
        ngx_mesh_room_join_drop(sub);
        return NGX_DECLINED;
    }

    if (facts->member || again) {
        return NGX_OK;
    }

    /* who may read a public room but not join it, reads it */

    return ngx_mesh_room_access_allow(mcf, mc->principal, "/room/join", id,
                                      &refusal)
           == NGX_OK ? NGX_AGAIN : NGX_OK;
}


static ngx_int_t
ngx_mesh_room_join_write(ngx_mesh_room_subscription_t *sub,
    ngx_mesh_room_join_facts_t *facts)
{
    ngx_time_t                    *tp;
    store_op_t                    *ops;
    ngx_mesh_store_job_t          *job;
    ngx_mesh_room_member_t         member;
    ngx_mesh_room_participant_t   *participant;
    ngx_mesh_room_join_context_t  *context;

    job = ngx_mesh_room_join_job(sub, ngx_mesh_room_join_write_done);
    if (job == NULL) {
        return NGX_ERROR;
    }

    context = job->context;
    participant = sub->connection->participant;
    tp = ngx_timeofday();

    member.id = bytes_make(participant->id.data, participant->id.len);
    member.name = bytes_make(participant->name.data, participant->name.len);
    member.id = ngx_mesh_room_record_copy(job->pool, member.id);
    member.owner = 0;
    member.joined_ms = (int64_t) tp->sec * 1000 + tp->msec;

    ops = ngx_mesh_store_job_ops(job, NGX_MESH_ROOM_JOIN_OPS);

    if (ops == NULL
        || ngx_mesh_room_record_join_ops(job->pool, ops,
                                         bytes_make(sub->room->id, ID_LEN),
                                         &member, facts->head)
           != NGX_OK
        || context->mcf->store->write(job) != NGX_OK)
    {
        ngx_mesh_store_job_destroy(context->mcf->store, job);
        return NGX_ERROR;
    }

    sub->job = job;

    return NGX_OK;
}


static void
ngx_mesh_room_join_write_done(ngx_mesh_store_job_t *job)
{
    store_rc_t                     rc;
    ngx_str_t                      room, participant;
    ngx_mesh_room_join_context_t  *context;
    ngx_mesh_room_subscription_t  *sub;

    context = job->context;
    sub = job->data;
    rc = job->write.rc;

    /* told also when the connection has gone: the membership has not */

    if (rc == STORE_OK) {
        room.data = (u_char *) job->write.ops[1].ns.data;
        room.len = job->write.ops[1].ns.len;
        participant.data = (u_char *) job->write.ops[1].key.data
                           + sizeof("member/") - 1;
        participant.len = job->write.ops[1].key.len - sizeof("member/") + 1;

        ngx_mesh_room_hub_tell_member(context->mcf, &room, &participant);
    }

    if (sub == NULL) {
        goto done;
    }

    sub->job = NULL;

    if (rc == STORE_CONDITION && job->write.failed == 0) {
        ngx_mesh_room_join_failed(sub, PROBLEM_NOT_FOUND);

    } else if (rc != STORE_OK && rc != STORE_CONDITION) {
        ngx_mesh_room_join_failed(sub, ngx_mesh_room_history_problem(rc));

    } else if (ngx_mesh_room_join_read(sub, 1) != NGX_OK) {
        ngx_mesh_room_join_failed(sub, PROBLEM_BUSY);
    }

done:

    ngx_mesh_store_job_destroy(context->mcf->store, job);
}


static void
ngx_mesh_room_join_done(ngx_mesh_room_subscription_t *sub,
    ngx_mesh_store_job_t *job, ngx_mesh_room_join_facts_t *facts)
{
    uint64_t  after, head;

    head = facts->head;

    if (facts->room.direct) {
        ngx_memcpy(sub->other, facts->other.data, ID_LEN);
    }

    if (ngx_mesh_room_join_tell(sub, job, head) != NGX_OK) {
        ngx_mesh_room_join_failed(sub, PROBLEM_INTERNAL);
        return;
    }

    sub->joined = 1;

    ngx_mesh_room_join_present(sub, facts->member);

    after = sub->resume ? sub->since : head;

    if (after > head) {

        /* another life of this history: what the client has is not in it */

        ngx_mesh_room_join_tell_gap(sub, head + 1, after);
        after = head;

    } else if (head - after > NGX_MESH_ROOM_BACKFILL_MAX) {
        ngx_mesh_room_join_tell_gap(sub, after + 1,
                                    head - NGX_MESH_ROOM_BACKFILL_MAX);
        after = head - NGX_MESH_ROOM_BACKFILL_MAX;
    }

    ngx_mesh_room_hub_start(sub, head, after);

    if (!sub->live) {
        ngx_mesh_room_join_backfill(sub->connection);
    }
}


static ngx_int_t
ngx_mesh_room_join_tell(ngx_mesh_room_subscription_t *sub,
    ngx_mesh_store_job_t *job, uint64_t head)
{
    size_t           i, size;
    u_char          *p;
    json_write_t     j;
    store_rows_t    *rows;
    bytes_writer_t   w;

    rows = &job->rows[NGX_MESH_ROOM_JOIN_MEMBERS];
    size = NGX_MESH_ROOM_JOIN_FRAME;

    for (i = 0; i < rows->count; i++) {
        size += NGX_MESH_ROOM_JOIN_MEMBER + rows->rows[i].value.len * 2;
    }

    p = ngx_pnalloc(job->pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    bytes_writer_open(&w, p, size);

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member_text(&j, "type", "room_joined");
    json_write_member(&j, "roomId", bytes_make(sub->room->id, ID_LEN));
    json_write_member_integer(&j, "seq", (int64_t) head);
    json_write_key(&j, "members");
    json_write_array(&j);

    for (i = 0; i < rows->count; i++) {

        if (!ngx_mesh_room_join_tell_member(&j, sub, rows->rows[i].value,
                                            job->pool))
        {
            return NGX_ERROR;
        }
    }

    json_write_array_end(&j);

    if (rows->more) {
        json_write_member_bool(&j, "more", 1);
    }

    json_write_object_end(&j);

    if (w.failed) {
        return NGX_ERROR;
    }

    ngx_mesh_room_connection_send(sub->connection, bytes_writer_view(&w));

    return NGX_OK;
}


static ngx_uint_t
ngx_mesh_room_join_tell_member(json_write_t *j,
    ngx_mesh_room_subscription_t *sub, bytes_t json, ngx_pool_t *pool)
{
    u_char                  *p;
    bytes_t                  self, room;
    ngx_uint_t               online;
    ngx_str_t               *id;
    bytes_writer_t           scratch;
    ngx_mesh_room_member_t   member;

    p = ngx_pnalloc(pool, json.len + 1);
    if (p == NULL) {
        return 0;
    }

    bytes_writer_open(&scratch, p, json.len);

    if (ngx_mesh_room_record_member_read(&member, json, &scratch) != NGX_OK) {
        return 0;
    }

    id = &sub->connection->participant->id;
    self = bytes_make(id->data, id->len);
    room = bytes_make(sub->room->id, ID_LEN);

    online = bytes_equal(member.id, self)
             || ngx_mesh_room_presence_online(sub->room->hub->mcf, room,
                                              member.id);

    json_write_object(j);
    json_write_member(j, "id", member.id);
    json_write_member(j, "name", member.name);
    json_write_member_bool(j, "online", (int) online);
    json_write_object_end(j);

    return 1;
}


static void
ngx_mesh_room_join_tell_gap(ngx_mesh_room_subscription_t *sub, uint64_t from,
    uint64_t to)
{
    uint8_t         buf[NGX_MESH_ROOM_JOIN_FRAME];
    json_write_t    j;
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member_text(&j, "type", "gap");
    json_write_member(&j, "roomId", bytes_make(sub->room->id, ID_LEN));
    json_write_member_integer(&j, "from", (int64_t) from);
    json_write_member_integer(&j, "to", (int64_t) to);
    json_write_object_end(&j);

    ngx_mesh_room_connection_send(sub->connection, bytes_writer_view(&w));
}


static void
ngx_mesh_room_join_present(ngx_mesh_room_subscription_t *sub,
    ngx_uint_t member)
{
    bytes_t     room, id;
    ngx_str_t  *self;

    self = &sub->connection->participant->id;
    room = bytes_make(sub->room->id, ID_LEN);
    id = bytes_make(self->data, self->len);

    sub->member = member ? 1 : 0;

    if (member && !sub->present) {
        sub->present = 1;
        ngx_mesh_room_presence_add(sub->room->hub, room, id);

    } else if (!member && sub->present) {
        sub->present = 0;
        ngx_mesh_room_presence_remove(sub->room->hub, room, id);
    }
}


static void
ngx_mesh_room_join_failed(ngx_mesh_room_subscription_t *sub,
    problem_t problem)
{
    ngx_mesh_room_connection_error(sub->connection, problem, NULL,
                                   bytes_make(sub->room->id, ID_LEN), NULL);
    ngx_mesh_room_join_drop(sub);
}


void
ngx_mesh_room_join_leave(ngx_mesh_room_subscription_t *sub,
    const char *reason)
{
    uint8_t         buf[NGX_MESH_ROOM_JOIN_FRAME];
    json_write_t    j;
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member_text(&j, "type", "room_left");
    json_write_member(&j, "roomId", bytes_make(sub->room->id, ID_LEN));

    if (reason != NULL) {
        json_write_member_text(&j, "reason", reason);
    }

    json_write_object_end(&j);

    ngx_mesh_room_connection_send(sub->connection, bytes_writer_view(&w));
    ngx_mesh_room_join_drop(sub);
}


void
ngx_mesh_room_join_drop(ngx_mesh_room_subscription_t *sub)
{
    ngx_mesh_room_connection_t  *mc;

    mc = sub->connection;

    if (sub == mc->inbox) {
        mc->inbox = NULL;

    } else {
        mc->rooms--;
        ngx_mesh_room_join_present(sub, 0);
    }

    ngx_mesh_room_hub_remove(sub);
}


/* What was missed. */

void
ngx_mesh_room_join_backfill(ngx_mesh_room_connection_t *mc)
{
    ngx_queue_t                   *q;
    ngx_mesh_room_subscription_t  *sub;

    for (q = ngx_queue_head(&mc->subscriptions);
         q != ngx_queue_sentinel(&mc->subscriptions);
         q = ngx_queue_next(q))
    {
        if (mc->queue.bytes > mc->lcf->queue_size / 4) {
            return;
        }

        sub = ngx_queue_data(q, ngx_mesh_room_subscription_t, queue);

        if (!sub->joined || sub->live || sub->job != NULL) {
            continue;
        }

        if (ngx_mesh_room_hub_live(sub) == NGX_AGAIN
            && ngx_mesh_room_join_page(sub) != NGX_OK)
        {
            ngx_mesh_room_connection_fail(mc, WS_CLOSE_TRY_LATER,
                                          "history cannot be read now");
            return;
        }
    }
}


static ngx_int_t
ngx_mesh_room_join_page(ngx_mesh_room_subscription_t *sub)
{
    ngx_mesh_store_job_t   *job;
    ngx_mesh_room_query_t   query;

    ngx_memzero(&query, sizeof(ngx_mesh_room_query_t));

    query.room = sub->room->sn.str;
    query.after = sub->delivered;
    query.limit = NGX_MESH_ROOM_HUB_PAGE;

    if (ngx_mesh_room_history_read(sub->connection->mcf, &query,
                                   ngx_mesh_room_join_page_done, sub, &job)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    sub->job = job;

    return NGX_OK;
}


static void
ngx_mesh_room_join_page_done(void *data, store_rc_t rc, store_rows_t *rows)
{
    size_t                         i;
    ngx_mesh_room_connection_t    *mc;
    ngx_mesh_room_subscription_t  *sub = data;

    mc = sub->connection;
    sub->job = NULL;

    if (rc != STORE_OK) {
        ngx_mesh_room_connection_fail(mc, WS_CLOSE_TRY_LATER,
                                      "history cannot be read now");
        return;
    }

    for (i = 0; i < rows->count; i++) {

        if (!ngx_mesh_room_join_page_send(sub, &rows->rows[i])) {
            return;
        }
    }

    if (rows->count == 0 && sub->delivered < sub->room->delivered) {

        /* what others got is not in the store any more: a room that was
           dropped, of which the check will tell */

        sub->delivered = sub->room->delivered;
    }

    (void) ngx_mesh_room_hub_live(sub);

    ngx_mesh_room_join_backfill(mc);
}


/* 1: sent; 0: the queue has no room for it now. */
static ngx_uint_t
ngx_mesh_room_join_page_send(ngx_mesh_room_subscription_t *sub,
    store_row_t *row)
{
    bytes_t                      text;
    ngx_pool_t                  *pool;
    ngx_mesh_room_connection_t  *mc;

    mc = sub->connection;

    if (row->seq <= sub->delivered) {
        return 1;
    }

    if (mc->queue.first != NULL
        && mc->queue.bytes + row->value.len > mc->lcf->queue_size / 2)
    {
        return 0;
    }

    pool = ngx_create_pool(row->value.len + NGX_MESH_ROOM_JOIN_FRAME,
                           mc->hub->log);
    if (pool == NULL) {
        return 0;
    }

    text = ngx_mesh_room_message_encode(pool, row->seq, row->value);

    if (text.data != NULL) {
        ngx_mesh_room_connection_send(mc, text);
        sub->delivered = row->seq;
    }

    ngx_destroy_pool(pool);

    return text.data != NULL;
}


/* What may have changed. */

void
ngx_mesh_room_join_check(ngx_mesh_room_connection_t *mc)
{
    ngx_queue_t                   *q;
    ngx_mesh_room_subscription_t  *sub;

    for (q = ngx_queue_head(&mc->subscriptions);
         q != ngx_queue_sentinel(&mc->subscriptions);
         q = ngx_queue_next(q))
    {
        sub = ngx_queue_data(q, ngx_mesh_room_subscription_t, queue);

        if (sub->check && sub->joined && sub->job == NULL
            && sub != mc->inbox)
        {
            ngx_mesh_room_join_check_one(sub);
        }
    }
}


/* A check that cannot be made now stays marked: the clock comes again. */
static void
ngx_mesh_room_join_check_one(ngx_mesh_room_subscription_t *sub)
{
    ngx_mesh_store_job_t          *job;
    ngx_mesh_room_join_context_t  *context;

    job = ngx_mesh_room_join_job(sub, ngx_mesh_room_join_check_done);
    if (job == NULL) {
        return;
    }

    context = job->context;

    if (ngx_mesh_room_join_set_reads(job, sub, NGX_MESH_ROOM_JOIN_CHECKS)
        != NGX_OK
        || context->mcf->store->read(job) != NGX_OK)
    {
        ngx_mesh_store_job_destroy(context->mcf->store, job);
        return;
    }

    sub->job = job;
    sub->check = 0;
}


static void
ngx_mesh_room_join_check_done(ngx_mesh_store_job_t *job)
{
    problem_t                      problem;
    ngx_mesh_room_join_facts_t     facts;
    ngx_mesh_room_connection_t    *mc;
    ngx_mesh_room_join_context_t  *context;
    ngx_mesh_room_subscription_t  *sub;

    context = job->context;
    sub = job->data;

    if (sub == NULL) {
        goto done;
    }

    sub->job = NULL;
    mc = sub->connection;

    problem = ngx_mesh_room_join_parse(job, sub, &facts);

    if (problem == PROBLEM_NOT_FOUND) {
        ngx_mesh_room_join_leave(sub, "deleted");

    } else if (problem != PROBLEM_COUNT) {
        sub->check = 1;

    } else if (!facts.member
               && (sub->member
                   || facts.room.visibility == NGX_MESH_ROOM_PRIVATE))
    {
        ngx_mesh_room_join_leave(sub, "removed");

    } else {
        ngx_mesh_room_join_present(sub, facts.member);
    }

    ngx_mesh_room_join_backfill(mc);

done:

    ngx_mesh_store_job_destroy(context->mcf->store, job);
}


void
ngx_mesh_room_join_allow(ngx_mesh_room_connection_t *mc)
{
    bytes_t                        id;
    ngx_int_t                      rc;
    ngx_queue_t                   *q, *next;
    ngx_mesh_room_refusal_t        refusal;
    ngx_mesh_room_subscription_t  *sub;

    for (q = ngx_queue_head(&mc->subscriptions);
         q != ngx_queue_sentinel(&mc->subscriptions);
         q = next)
    {
        next = ngx_queue_next(q);
        sub = ngx_queue_data(q, ngx_mesh_room_subscription_t, queue);

        if (sub == mc->inbox || !sub->joined) {
            continue;
        }

        id = bytes_make(sub->room->id, ID_LEN);

        rc = sub->direct
             ? ngx_mesh_room_access_allow(mc->mcf, mc->principal, "/dm/send",
                                          bytes_make(sub->other, ID_LEN),
                                          &refusal)
             : ngx_mesh_room_access_allow(mc->mcf, mc->principal,
                                          "/room/read", id, &refusal);

        if (rc != NGX_OK) {
            ngx_mesh_room_connection_refuse(mc, &refusal, id);
            ngx_mesh_room_join_leave(sub, "forbidden");
        }
    }
}
