/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Reads a room, a membership, the members and the last seq, and takes the
 * answers apart.  Decides nothing.  One event loop; a job finds its data
 * NULL when the subscription has gone.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_room_facts.h"


#define NGX_MESH_ROOM_FACTS_POOL  4096     /* bytes of a job */


static problem_t ngx_mesh_room_facts_parse_other(ngx_mesh_store_job_t *job,
    ngx_mesh_room_facts_t *facts);


ngx_mesh_store_job_t *
ngx_mesh_room_facts_job(ngx_mesh_room_subscription_t *sub,
    ngx_mesh_store_done_pt done)
{
    ngx_mesh_store_job_t          *job;
    ngx_mesh_room_hub_t           *hub;
    ngx_mesh_room_facts_context_t  *context;

    hub = sub->room->hub;

    job = ngx_mesh_store_job_create(NGX_MESH_ROOM_FACTS_POOL, hub->log);
    if (job == NULL) {
        return NULL;
    }

    context = ngx_pcalloc(job->pool, sizeof(ngx_mesh_room_facts_context_t));
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


ngx_int_t
ngx_mesh_room_facts_set_reads(ngx_mesh_store_job_t *job,
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

    reads[NGX_MESH_ROOM_FACTS_ROOM].kind = STORE_GET;
    reads[NGX_MESH_ROOM_FACTS_ROOM].ns = bytes_of(RECORD_NS_ROOMS);
    reads[NGX_MESH_ROOM_FACTS_ROOM].key = ngx_mesh_room_record_key(job->pool,
                                             "room", id, none);

    reads[NGX_MESH_ROOM_FACTS_SELF].kind = STORE_GET;
    reads[NGX_MESH_ROOM_FACTS_SELF].ns = id;
    reads[NGX_MESH_ROOM_FACTS_SELF].key = ngx_mesh_room_record_key(job->pool,
                                             "member", self, none);

    if (id.data == NULL
        || reads[NGX_MESH_ROOM_FACTS_ROOM].key.len == 0
        || reads[NGX_MESH_ROOM_FACTS_SELF].key.len == 0)
    {
        return NGX_ERROR;
    }

    if (count == NGX_MESH_ROOM_FACTS_CHECKS) {
        return NGX_OK;
    }

    reads[NGX_MESH_ROOM_FACTS_MEMBERS].kind = STORE_RANGE;
    reads[NGX_MESH_ROOM_FACTS_MEMBERS].ns = id;
    reads[NGX_MESH_ROOM_FACTS_MEMBERS].key = bytes_of("member/");
    reads[NGX_MESH_ROOM_FACTS_MEMBERS].limit = NGX_MESH_ROOM_MEMBERS_SHOWN;

    reads[NGX_MESH_ROOM_FACTS_HEAD].kind = STORE_HEAD;
    reads[NGX_MESH_ROOM_FACTS_HEAD].ns = id;

    return NGX_OK;
}


problem_t
ngx_mesh_room_facts_parse(ngx_mesh_store_job_t *job,
    ngx_mesh_room_subscription_t *sub, ngx_mesh_room_facts_t *facts)
{
    u_char          *p;
    size_t           i, size;
    bytes_t          json;
    store_rc_t       rc;
    bytes_writer_t   scratch;

    ngx_memzero(facts, sizeof(ngx_mesh_room_facts_t));

    if (job->rc != STORE_OK) {
        return ngx_mesh_room_history_problem(job->rc);
    }

    size = 1;

    for (i = 0; i < job->read_count; i++) {
        rc = job->rows[i].rc;

        if (rc != STORE_OK && rc != STORE_ABSENT) {
            return ngx_mesh_room_history_problem(rc);
        }

        if (i < NGX_MESH_ROOM_FACTS_CHECKS && rc == STORE_OK) {
            size += job->rows[i].rows[0].value.len;
        }
    }

    if (job->rows[NGX_MESH_ROOM_FACTS_ROOM].rc == STORE_ABSENT) {
        return PROBLEM_NOT_FOUND;
    }

    p = ngx_pnalloc(job->pool, size);
    if (p == NULL) {
        return PROBLEM_INTERNAL;
    }

    bytes_writer_open(&scratch, p, size);

    json = job->rows[NGX_MESH_ROOM_FACTS_ROOM].rows[0].value;

    if (ngx_mesh_room_record_read(&facts->room, json, &scratch) != NGX_OK) {
        return PROBLEM_INTERNAL;
    }

    if (job->rows[NGX_MESH_ROOM_FACTS_SELF].rc == STORE_OK) {

        json = job->rows[NGX_MESH_ROOM_FACTS_SELF].rows[0].value;

        if (ngx_mesh_room_record_member_read(&facts->self, json, &scratch)
            != NGX_OK)
        {
            return PROBLEM_INTERNAL;
        }

        facts->member = 1;
    }

    if (job->read_count == NGX_MESH_ROOM_FACTS_CHECKS) {
        facts->other = facts->room.direct ? bytes_make(sub->other, ID_LEN)
                                          : bytes_make(NULL, 0);
        return PROBLEM_COUNT;
    }

    facts->head = job->rows[NGX_MESH_ROOM_FACTS_HEAD].head;

    return facts->room.direct ? ngx_mesh_room_facts_parse_other(job, facts)
                              : PROBLEM_COUNT;
}


/* The other party of a direct room: of its two members the one who does not
   join. */
static problem_t
ngx_mesh_room_facts_parse_other(ngx_mesh_store_job_t *job,
    ngx_mesh_room_facts_t *facts)
{
    size_t         i;
    bytes_t        id;
    store_rows_t  *rows;

    rows = &job->rows[NGX_MESH_ROOM_FACTS_MEMBERS];

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
