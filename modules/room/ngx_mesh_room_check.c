/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Whether those who are in a room may still be there: memberships and rooms
 * may change while a subscription lasts.  Notices mark it, and the store is
 * asked again; capabilities are asked again by the clock.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_room_backfill.h"
#include "ngx_mesh_room_check.h"
#include "ngx_mesh_room_facts.h"
#include "ngx_mesh_room_join.h"


static void ngx_mesh_room_check_one(ngx_mesh_room_subscription_t *sub);
static void ngx_mesh_room_check_done(ngx_mesh_store_job_t *job);


void
ngx_mesh_room_check_members(ngx_mesh_room_connection_t *mc)
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
            ngx_mesh_room_check_one(sub);
        }
    }
}


/* A check that cannot be made now stays marked: the clock comes again. */
static void
ngx_mesh_room_check_one(ngx_mesh_room_subscription_t *sub)
{
    ngx_mesh_store_job_t          *job;
    ngx_mesh_room_facts_context_t  *context;

    job = ngx_mesh_room_facts_job(sub, ngx_mesh_room_check_done);
    if (job == NULL) {
        return;
    }

    context = job->context;

    if (ngx_mesh_room_facts_set_reads(job, sub, NGX_MESH_ROOM_FACTS_CHECKS)
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
ngx_mesh_room_check_done(ngx_mesh_store_job_t *job)
{
    problem_t                      problem;
    ngx_mesh_room_facts_t     facts;
    ngx_mesh_room_connection_t    *mc;
    ngx_mesh_room_facts_context_t  *context;
    ngx_mesh_room_subscription_t  *sub;

    context = job->context;
    sub = job->data;

    if (sub == NULL) {
        goto done;
    }

    sub->job = NULL;
    mc = sub->connection;

    problem = ngx_mesh_room_facts_parse(job, sub, &facts);

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

    ngx_mesh_room_backfill(mc);

done:

    ngx_mesh_store_job_destroy(context->mcf->store, job);
}


void
ngx_mesh_room_check_rights(ngx_mesh_room_connection_t *mc)
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
