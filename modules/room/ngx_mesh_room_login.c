/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Authentication of a connection: a token becomes a principal, its DID a
 * participant, and the participant's inbox begins to be delivered.  Then,
 * and not before, the client is told that it is in: what is sent to it
 * directly after auth_ok reaches it.
 *
 * One token a connection.  No frame is run while this is under way.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "json_write.h"
#include "timestamp.h"
#include "ngx_mesh_room_input.h"
#include "ngx_mesh_room_login.h"


#define NGX_MESH_ROOM_LOGIN_POOL   1024    /* bytes of who it is: small, for
                                              little of it stays unused */
#define NGX_MESH_ROOM_LOGIN_READ   1024    /* bytes of a job */
#define NGX_MESH_ROOM_LOGIN_REPLY  4096    /* bytes of auth_ok */


static void ngx_mesh_room_login_opened(ngx_mesh_principal_open_t *open);
static void ngx_mesh_room_login_participant(void *data,
    const ngx_mesh_room_participant_t *participant, problem_t problem);
static ngx_int_t ngx_mesh_room_login_inbox(ngx_mesh_room_connection_t *mc);
static void ngx_mesh_room_login_inbox_done(ngx_mesh_store_job_t *job);
static void ngx_mesh_room_login_done(ngx_mesh_room_connection_t *mc);
static void ngx_mesh_room_login_failed(ngx_mesh_room_connection_t *mc,
    problem_t problem, const char *detail);


void
ngx_mesh_room_login(ngx_mesh_room_connection_t *mc, ngx_str_t *token,
    ngx_str_t *proofs)
{
    ngx_mesh_principal_open_t  *open;

    mc->pool = ngx_create_pool(NGX_MESH_ROOM_LOGIN_POOL, mc->hub->log);

    if (mc->pool == NULL) {
        ngx_mesh_room_login_failed(mc, PROBLEM_INTERNAL, NULL);
        return;
    }

    open = ngx_pcalloc(mc->pool, sizeof(ngx_mesh_principal_open_t));

    if (open == NULL) {
        ngx_mesh_room_login_failed(mc, PROBLEM_INTERNAL, NULL);
        return;
    }

    open->token = *token;
    open->proofs = *proofs;
    open->handler = ngx_mesh_room_login_opened;
    open->data = mc;

    /* a connection that is closed meanwhile destroys the pool */

    mc->opening = 1;

    if (mc->mcf->principal->open_later(mc->request, mc->pool, open)
        == NGX_OK)
    {
        ngx_mesh_room_login_opened(open);
    }
}


static void
ngx_mesh_room_login_opened(ngx_mesh_principal_open_t *open)
{
    ngx_int_t                    rc;
    ucan_verdict_t               verdict;
    ngx_mesh_store_job_t        *job;
    ngx_mesh_room_connection_t  *mc;

    mc = open->data;

    if (open->busy) {
        ngx_mesh_room_login_failed(mc, PROBLEM_BUSY, NULL);
        return;
    }

    verdict = open->verdict;

    if (verdict == UCAN_OK && open->principal->invocation) {
        verdict = UCAN_NO_SESSION;
    }

    if (verdict != UCAN_OK) {
        ngx_mesh_room_login_failed(mc, PROBLEM_UNAUTHENTICATED,
                                   ucan_verdict_text(verdict));
        return;
    }

    mc->principal = open->principal;

    rc = ngx_mesh_room_participant_get(mc->mcf, &mc->principal->did,
                                       ngx_mesh_room_login_participant, mc,
                                       &job);

    if (rc == NGX_AGAIN) {
        mc->job = job;

    } else if (rc != NGX_OK) {
        ngx_mesh_room_login_failed(mc, rc == NGX_BUSY ? PROBLEM_BUSY
                                                      : PROBLEM_STORE_DOWN,
                                   NULL);
    }
}


static void
ngx_mesh_room_login_participant(void *data,
    const ngx_mesh_room_participant_t *participant, problem_t problem)
{
    ngx_mesh_room_hub_room_t    *inbox;
    ngx_mesh_room_connection_t  *mc = data;

    mc->job = NULL;

    if (participant == NULL) {
        ngx_mesh_room_login_failed(mc, problem, NULL);
        return;
    }

    mc->participant = ngx_mesh_room_participant_copy(mc->pool, participant);

    if (mc->participant == NULL || participant->id.len != ID_LEN) {
        ngx_mesh_room_login_failed(mc, PROBLEM_INTERNAL, NULL);
        return;
    }

    inbox = ngx_mesh_room_hub_room(mc->hub,
                                   bytes_make(participant->id.data,
                                              participant->id.len));

    if (inbox != NULL && inbox->count >= mc->lcf->connections) {
        ngx_mesh_room_login_failed(mc, PROBLEM_RATE_LIMITED,
                                   "too many connections of one participant");
        return;
    }

    if (ngx_mesh_room_login_inbox(mc) != NGX_OK) {
        ngx_mesh_room_login_failed(mc, PROBLEM_BUSY, NULL);
    }
}


static ngx_int_t
ngx_mesh_room_login_inbox(ngx_mesh_room_connection_t *mc)
{
    store_read_t                  *read;
    ngx_mesh_store_job_t          *job;
    ngx_mesh_room_subscription_t  *sub;

    sub = ngx_mesh_room_hub_add(mc->hub, mc,
                                bytes_make(mc->participant->id.data, ID_LEN));
    if (sub == NULL) {
        return NGX_ERROR;
    }

    mc->inbox = sub;

    if (sub->room->ready) {
        ngx_mesh_room_hub_start(sub, sub->room->delivered,
                                sub->room->delivered);
        ngx_mesh_room_login_done(mc);
        return NGX_OK;
    }

    job = ngx_mesh_store_job_create(NGX_MESH_ROOM_LOGIN_READ, mc->hub->log);
    if (job == NULL) {
        return NGX_ERROR;
    }

    read = ngx_mesh_store_job_reads(job, 1);
    if (read == NULL) {
        goto failed;
    }

    ngx_memzero(read, sizeof(store_read_t));

    read->kind = STORE_HEAD;
    read->ns = ngx_mesh_room_record_copy(job->pool,
                                         bytes_make(sub->room->id, ID_LEN));
    if (read->ns.data == NULL) {
        goto failed;
    }

    job->data = sub;
    job->context = mc->mcf;
    job->done = ngx_mesh_room_login_inbox_done;

    if (mc->mcf->store->read(job) != NGX_OK) {
        goto failed;
    }

    sub->job = job;

    return NGX_OK;

failed:

    ngx_mesh_store_job_destroy(mc->mcf->store, job);

    return NGX_ERROR;
}


static void
ngx_mesh_room_login_inbox_done(ngx_mesh_store_job_t *job)
{
    uint64_t                         head;
    ngx_mesh_room_connection_t      *mc;
    ngx_mesh_room_subscription_t    *sub;
    ngx_http_mesh_room_main_conf_t  *mcf;

    mcf = job->context;
    sub = job->data;

    if (sub != NULL) {
        mc = sub->connection;
        sub->job = NULL;

        if (job->rc == STORE_OK && job->rows[0].rc == STORE_OK) {

            /* another connection may have opened the inbox meanwhile: what
               it has got since is not waited for */

            head = sub->room->ready ? sub->room->delivered
                                    : job->rows[0].head;

            ngx_mesh_room_hub_start(sub, head, head);
            ngx_mesh_room_login_done(mc);

        } else {
            ngx_mesh_room_login_failed(mc, PROBLEM_BUSY, NULL);
        }
    }

    ngx_mesh_store_job_destroy(mcf->store, job);
}


static void
ngx_mesh_room_login_done(ngx_mesh_room_connection_t *mc)
{
    uint8_t                       buf[TIMESTAMP_LEN];
    uint8_t                       reply[NGX_MESH_ROOM_LOGIN_REPLY];
    json_write_t                  j;
    bytes_writer_t                w, time;
    ngx_mesh_room_participant_t  *participant;

    participant = mc->participant;

    bytes_writer_open(&time, buf, sizeof(buf));
    timestamp_write(&time, (int64_t) mc->principal->expires * 1000);

    bytes_writer_open(&w, reply, sizeof(reply));

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member_text(&j, "type", "auth_ok");
    json_write_member(&j, "participantId",
                      bytes_make(participant->id.data, participant->id.len));
    json_write_member(&j, "name", bytes_make(participant->name.data,
                                             participant->name.len));
    json_write_member(&j, "role", bytes_make(participant->role.data,
                                             participant->role.len));
    json_write_member(&j, "did", bytes_make(participant->did.data,
                                            participant->did.len));
    json_write_member(&j, "expiresAt", bytes_writer_view(&time));
    json_write_object_end(&j);

    if (w.failed) {
        ngx_mesh_room_login_failed(mc, PROBLEM_INTERNAL, NULL);
        return;
    }

    mc->opening = 0;
    mc->open = 1;
    mc->inbox->joined = 1;

    ngx_mesh_room_connection_send(mc, bytes_writer_view(&w));
    ngx_mesh_room_connection_settle(mc);
    ngx_mesh_room_input_resume(mc);
}


static void
ngx_mesh_room_login_failed(ngx_mesh_room_connection_t *mc,
    problem_t problem, const char *detail)
{
    mc->opening = 0;

    ngx_mesh_room_connection_error(mc, problem, detail, bytes_make(NULL, 0),
                                   NULL);
    ngx_mesh_room_connection_fail(mc, (problem == PROBLEM_BUSY
                                       || problem == PROBLEM_STORE_DOWN)
                                      ? WS_CLOSE_TRY_LATER : WS_CLOSE_POLICY,
                                  problem_slug(problem));
}
