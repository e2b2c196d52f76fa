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
#include "ngx_mesh_room_backfill.h"
#include "ngx_mesh_room_facts.h"
#include "ngx_mesh_room_join.h"
#include "ngx_mesh_room_presence.h"


#define NGX_MESH_ROOM_JOIN_FRAME    512     /* bytes of a small frame */
#define NGX_MESH_ROOM_JOIN_MEMBER   128     /* bytes beside id and name */


static ngx_int_t ngx_mesh_room_join_read(ngx_mesh_room_subscription_t *sub,
    ngx_uint_t again);
static void ngx_mesh_room_join_read_done(ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_room_join_decide(ngx_mesh_room_subscription_t *sub,
    ngx_mesh_room_facts_t *facts, ngx_uint_t again);
static ngx_int_t ngx_mesh_room_join_write(ngx_mesh_room_subscription_t *sub,
    ngx_mesh_room_facts_t *facts);
static void ngx_mesh_room_join_write_done(ngx_mesh_store_job_t *job);
static void ngx_mesh_room_join_done(ngx_mesh_room_subscription_t *sub,
    ngx_mesh_store_job_t *job, ngx_mesh_room_facts_t *facts);
static ngx_int_t ngx_mesh_room_join_tell(ngx_mesh_room_subscription_t *sub,
    ngx_mesh_store_job_t *job, uint64_t head);
static ngx_uint_t ngx_mesh_room_join_tell_member(json_write_t *j,
    ngx_mesh_room_subscription_t *sub, bytes_t json, ngx_pool_t *pool);
static void ngx_mesh_room_join_tell_gap(ngx_mesh_room_subscription_t *sub,
    uint64_t from, uint64_t to);
static void ngx_mesh_room_join_failed(ngx_mesh_room_subscription_t *sub,
    problem_t problem);


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

    mc->resuming = 1;

    if (ngx_mesh_room_join_read(sub, 0) != NGX_OK) {
        ngx_mesh_room_join_failed(sub, PROBLEM_BUSY);
    }
}


static ngx_int_t
ngx_mesh_room_join_read(ngx_mesh_room_subscription_t *sub, ngx_uint_t again)
{
    ngx_mesh_store_job_t          *job;
    ngx_mesh_room_facts_context_t  *context;

    job = ngx_mesh_room_facts_job(sub, ngx_mesh_room_join_read_done);
    if (job == NULL) {
        return NGX_ERROR;
    }

    context = job->context;
    context->again = again;

    if (ngx_mesh_room_facts_set_reads(job, sub, NGX_MESH_ROOM_FACTS_READS)
        != NGX_OK
        || context->mcf->store->read(job) != NGX_OK)
    {
        ngx_mesh_store_job_destroy(context->mcf->store, job);
        return NGX_ERROR;
    }

    sub->job = job;

    return NGX_OK;
}


static void
ngx_mesh_room_join_read_done(ngx_mesh_store_job_t *job)
{
    ngx_int_t                      rc;
    problem_t                      problem;
    ngx_mesh_room_facts_t     facts;
    ngx_mesh_room_facts_context_t  *context;
    ngx_mesh_room_subscription_t  *sub;

    context = job->context;
    sub = job->data;

    if (sub == NULL) {
        goto done;
    }

    sub->job = NULL;

    problem = ngx_mesh_room_facts_parse(job, sub, &facts);

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


/* NGX_OK: in; NGX_AGAIN: to be made a member first; NGX_DECLINED: refused,
   the subscription is gone. */
static ngx_int_t
ngx_mesh_room_join_decide(ngx_mesh_room_subscription_t *sub,
    ngx_mesh_room_facts_t *facts, ngx_uint_t again)
{
    bytes_t                          id;
    ngx_mesh_room_sight_t            sight;
    ngx_mesh_room_refusal_t          refusal;
    ngx_mesh_room_connection_t      *mc;
    ngx_http_mesh_room_main_conf_t  *mcf;

    mc = sub->connection;
    mcf = mc->mcf;
    id = bytes_make(sub->room->id, ID_LEN);

    sight.room = &facts->room;
    sight.member = facts->member ? &facts->self : NULL;
    sight.other = facts->other;

    if (ngx_mesh_room_access_read(mcf, mc->principal, &sight, &refusal)
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
    ngx_mesh_room_facts_t *facts)
{
    ngx_time_t                    *tp;
    store_op_t                    *ops;
    ngx_mesh_store_job_t          *job;
    ngx_mesh_room_member_t         member;
    ngx_mesh_room_participant_t   *participant;
    ngx_mesh_room_facts_context_t  *context;

    job = ngx_mesh_room_facts_job(sub, ngx_mesh_room_join_write_done);
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
    ngx_mesh_room_facts_context_t  *context;
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
    ngx_mesh_store_job_t *job, ngx_mesh_room_facts_t *facts)
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
        ngx_mesh_room_backfill(sub->connection);
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

    rows = &job->rows[NGX_MESH_ROOM_FACTS_MEMBERS];
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


void
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
