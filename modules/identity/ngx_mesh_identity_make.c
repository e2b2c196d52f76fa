/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Work that does not belong on the event loop: Argon2id, making a key pair,
 * signing what a new participant gets.  What a new bot gets is in
 * ngx_mesh_identity_chain.c.
 *
 * _create(), _set(), _submit() and _done() run on the event loop; _thread()
 * and what it calls run in a pool thread and touch the job's own memory,
 * the mesh's key (read only, lives as long as the worker) and nothing else.
 * How many Argon2id run at once in this worker is bounded, and so is how
 * many wait; whoever comes later is told to come back.
 *
 * Private keys live on the stack of the thread only, and are wiped there.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <sodium.h>

#include "ngx_mesh_identity.h"


static void *ngx_mesh_identity_make_alloc(void *data, size_t size);
static void ngx_mesh_identity_make_cleanup(void *data);
static ngx_int_t ngx_mesh_identity_make_start(
    ngx_mesh_identity_worker_t *worker, ngx_mesh_identity_make_t *make);
static void ngx_mesh_identity_make_next(ngx_mesh_identity_worker_t *worker);
static void ngx_mesh_identity_make_done(ngx_mesh_job_t *job);
static void ngx_mesh_identity_make_drop(ngx_mesh_job_t *job);
static void ngx_mesh_identity_make_thread(ngx_mesh_job_t *job);
static ngx_mesh_identity_made_t ngx_mesh_identity_make_login(
    ngx_mesh_identity_make_t *make);
static ngx_int_t ngx_mesh_identity_make_custodian(
    ngx_mesh_identity_make_t *make, signature_key_t *key);
static ngx_mesh_identity_made_t ngx_mesh_identity_make_person(
    ngx_mesh_identity_make_t *make);


/* nginx's pools cannot be shared with a thread; this memory can. */

static void *
ngx_mesh_identity_make_alloc(void *data, size_t size)
{
    ngx_mesh_identity_make_t *make = data;

    u_char  *p;

    p = ngx_align_ptr(make->pos, NGX_ALIGNMENT * 2);

    if (p > make->end || size > (size_t) (make->end - p)) {
        return NULL;
    }

    make->pos = p + size;

    return p;
}


ngx_mesh_identity_make_t *
ngx_mesh_identity_make_create(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_kind_t kind)
{
    ngx_mesh_job_t            *job;
    ngx_pool_cleanup_t        *cln;
    ngx_mesh_identity_make_t  *make;

    cln = ngx_pool_cleanup_add(call->request->pool, 0);

    if (cln == NULL) {
        return NULL;
    }

    job = ngx_mesh_job_create(4096, sizeof(ngx_mesh_identity_make_t),
                              call->request->connection->log);
    if (job == NULL) {
        return NULL;
    }

    make = job->context;
    make->pos = ngx_palloc(job->pool, NGX_MESH_IDENTITY_ARENA_SIZE);

    if (make->pos == NULL) {
        ngx_mesh_job_destroy(job);
        return NULL;
    }

    make->end = make->pos + NGX_MESH_IDENTITY_ARENA_SIZE;
    make->memory.alloc = ngx_mesh_identity_make_alloc;
    make->memory.data = make;
    make->job = job;
    make->cleanup = cln;
    make->worker = call->worker;
    make->kind = kind;
    make->mesh = call->mcf->key;
    make->now = call->now_ms / 1000;
    make->expires = make->now + call->mcf->session_time;

    /* until it is submitted, and again when it is done, the request owns it;
       in between it owns itself */

    job->data = call;
    cln->handler = ngx_mesh_identity_make_cleanup;
    cln->data = make;

    return make;
}


void
ngx_mesh_identity_make_set(ngx_mesh_identity_make_t *make, bytes_t *to,
    bytes_t b)
{
    u_char  *p;

    p = ngx_mesh_identity_make_alloc(make, b.len);

    if (p == NULL) {
        make->made = NGX_MESH_IDENTITY_FAILED;
        return;
    }

    if (b.len != 0) {
        ngx_memcpy(p, b.data, b.len);
    }

    *to = bytes_make(p, b.len);
}


ngx_int_t
ngx_mesh_identity_make_submit(ngx_mesh_identity_call_t *call,
    ngx_mesh_identity_make_t *make, ngx_mesh_identity_step_pt step)
{
    ngx_mesh_identity_worker_t  *worker;

    worker = call->worker;

    if (make->made != NGX_MESH_IDENTITY_MADE) {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_INTERNAL,
                                             "out of memory");
    }

    make->job->run = ngx_mesh_identity_make_thread;
    make->job->done = ngx_mesh_identity_make_done;
    make->hash = make->password.len != 0;

    if (make->hash && worker->hashing >= call->mcf->hash_max) {

        if (worker->waiting >= call->mcf->hash_queue) {
            ngx_log_error(NGX_LOG_WARN, call->request->connection->log, 0,
                          "identity: %ui passwords wait already, one more "
                          "was refused; see mesh_identity_hash_queue",
                          worker->waiting);

            return ngx_mesh_identity_call_refuse(call, PROBLEM_BUSY,
                       "too many passwords are being checked, try again");
        }

        ngx_queue_insert_tail(&worker->queue, &make->link);
        worker->waiting++;

    } else if ((!make->hash
                && worker->signing >= NGX_MESH_IDENTITY_SIGNING_MAX)
               || ngx_mesh_identity_make_start(worker, make) != NGX_OK)
    {
        return ngx_mesh_identity_call_refuse(call, PROBLEM_BUSY,
                   "too much work is waiting for a thread, try again");
    }

    call->step = step;

    if (ngx_mesh_job_attach(call->request, &make->job->data) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DONE;
}


static ngx_int_t
ngx_mesh_identity_make_start(ngx_mesh_identity_worker_t *worker,
    ngx_mesh_identity_make_t *make)
{
    if (ngx_mesh_job_submit(worker->mcf->pool, make->job) != NGX_OK) {
        return NGX_ERROR;
    }

    make->running = 1;

    if (make->hash) {
        worker->hashing++;

    } else {
        worker->signing++;
    }

    return NGX_OK;
}


/* Starts the next of those that wait; the ones whose client has gone were
   taken out by their cleanup. */

static void
ngx_mesh_identity_make_next(ngx_mesh_identity_worker_t *worker)
{
    ngx_queue_t               *q;
    ngx_mesh_identity_make_t  *make;

    while (worker->hashing < worker->mcf->hash_max
           && !ngx_queue_empty(&worker->queue))
    {
        q = ngx_queue_head(&worker->queue);
        make = ngx_queue_data(q, ngx_mesh_identity_make_t, link);

        ngx_queue_remove(q);
        make->link.next = NULL;
        worker->waiting--;

        if (ngx_mesh_identity_make_start(worker, make) != NGX_OK) {
            make->made = NGX_MESH_IDENTITY_FAILED;
            ngx_mesh_identity_make_drop(make->job);
        }
    }
}


static void
ngx_mesh_identity_make_done(ngx_mesh_job_t *job)
{
    ngx_mesh_identity_make_t    *make;
    ngx_mesh_identity_worker_t  *worker;

    make = job->context;
    make->running = 0;
    worker = make->worker;

    if (make->hash) {
        worker->hashing--;
        ngx_mesh_identity_make_next(worker);

    } else {
        worker->signing--;
    }

    ngx_mesh_identity_make_drop(job);
}


/* Gives the outcome to the request, or to nobody. */

static void
ngx_mesh_identity_make_drop(ngx_mesh_job_t *job)
{
    ngx_mesh_identity_make_t  *make;
    ngx_mesh_identity_call_t  *call;

    make = job->context;
    call = job->data;

    if (call == NULL) {
        sodium_memzero((void *) make->password.data, make->password.len);
        ngx_mesh_job_destroy(job);
        return;
    }

    ngx_mesh_identity_call_resume(call);
}


/* A request that tries again keeps one job, not all of them. */

void
ngx_mesh_identity_make_destroy(ngx_mesh_identity_make_t *make)
{
    make->cleanup->handler = NULL;
    ngx_mesh_identity_make_cleanup(make);
}


/* The request goes: so does a job that does not run. */

static void
ngx_mesh_identity_make_cleanup(void *data)
{
    ngx_mesh_identity_make_t *make = data;

    if (make->running) {
        make->job->data = NULL;
        return;
    }

    if (make->link.next) {
        ngx_queue_remove(&make->link);
        make->worker->waiting--;
    }

    if (make->password.len != 0) {
        sodium_memzero((void *) make->password.data, make->password.len);
    }

    ngx_mesh_job_destroy(make->job);
}


static void
ngx_mesh_identity_make_thread(ngx_mesh_job_t *job)
{
    ngx_mesh_identity_make_t  *make;

    make = job->context;

    switch (make->kind) {

    case NGX_MESH_IDENTITY_PERSON:
    case NGX_MESH_IDENTITY_GUEST:
        make->made = ngx_mesh_identity_make_person(make);
        break;

    case NGX_MESH_IDENTITY_BOT:
        make->made = ngx_mesh_identity_chain_create(make);
        break;

    case NGX_MESH_IDENTITY_LOGIN:
        make->made = ngx_mesh_identity_make_login(make);
        break;

    case NGX_MESH_IDENTITY_CHECK:
        make->check(make);
        break;
    }

    if (make->password.len != 0) {
        sodium_memzero((void *) make->password.data, make->password.len);
    }
}


/* The key of a login.  Without a record the work is the same and in vain:
   whether a name exists does not show in the time it takes. */

static ngx_mesh_identity_made_t
ngx_mesh_identity_make_login(ngx_mesh_identity_make_t *make)
{
    int                       rc;
    uint8_t                   seed[SEAL_SECRET_LEN];
    bytes_t                   id, mesh;
    signature_key_t           key;
    ngx_mesh_identity_made_t  made;

    id = bytes_make(make->id, ID_LEN);

    if (make->record.len == 0) {
        ngx_memzero(seed, sizeof(seed));
        rc = seal_close(make->sealed, seed, make->password, id);

        return rc == 0 ? NGX_MESH_IDENTITY_WRONG_PASSWORD
                       : NGX_MESH_IDENTITY_FAILED;
    }

    rc = seal_open(seed, make->record, make->password, id);

    if (rc != 0) {
        return rc == -1 ? NGX_MESH_IDENTITY_WRONG_PASSWORD
                        : NGX_MESH_IDENTITY_FAILED;
    }

    signature_key_open(&key, seed);
    sodium_memzero(seed, sizeof(seed));

    mesh = bytes_make(make->mesh->did, sizeof(make->mesh->did));
    made = NGX_MESH_IDENTITY_MADE;

    if (ngx_mesh_identity_token_session(&key, mesh, make->expires,
                                        &make->session, &make->memory)
        != NGX_OK)
    {
        made = NGX_MESH_IDENTITY_FAILED;
    }

    signature_key_destroy(&key);

    return made;
}


/* What a new holder has of its own: a fresh key, sealed under the password
   when there is one, and the session it opens.  Of a holder that keeps its
   key itself there is the DID and nothing to do. */

ngx_mesh_identity_made_t
ngx_mesh_identity_make_holder(ngx_mesh_identity_make_t *make)
{
    bytes_t                   mesh;
    uint8_t                   seed[SEAL_SECRET_LEN];
    signature_key_t           key;
    ngx_mesh_identity_made_t  made;

    if (make->did.len != 0) {
        make->made_did = make->did;
        return NGX_MESH_IDENTITY_MADE;
    }

    randombytes_buf(seed, sizeof(seed));
    signature_key_open(&key, seed);

    made = NGX_MESH_IDENTITY_MADE;
    mesh = bytes_make(make->mesh->did, sizeof(make->mesh->did));

    ngx_mesh_identity_make_set(make, &make->made_did,
                               bytes_make(key.did, sizeof(key.did)));

    if (make->made != NGX_MESH_IDENTITY_MADE
        || ngx_mesh_identity_token_session(&key, mesh, make->expires,
                                           &make->session, &make->memory)
           != NGX_OK
        || (make->kind != NGX_MESH_IDENTITY_GUEST
            && ngx_mesh_identity_make_custodian(make, &key) != NGX_OK)
        || (make->password.len != 0
            && seal_close(make->sealed, seed, make->password,
                          bytes_make(make->id, ID_LEN))
               != 0))
    {
        made = NGX_MESH_IDENTITY_FAILED;
    }

    sodium_memzero(seed, sizeof(seed));
    signature_key_destroy(&key);

    return made;
}


/*
 * The holder lets its custodian pass on what a bot may have at most, or, as a
 * bot, what it was made for.  These links say nothing about what the holder
 * itself has: a chain through them is as wide as its narrowest link.  So all
 * of them are signed now, when the key is at hand, and a later change of role
 * needs no password.
 */

static ngx_int_t
ngx_mesh_identity_make_custodian(ngx_mesh_identity_make_t *make,
    signature_key_t *key)
{
    size_t                     count;
    const grant_t             *grants;
    signature_key_t            custodian;
    ngx_mesh_identity_set_t    set;
    ngx_mesh_identity_issue_t  issue;

    ngx_mesh_identity_token_custodian(&custodian, make->mesh, make->made_did);
    signature_key_destroy(&custodian);

    ngx_memzero(&issue, sizeof(ngx_mesh_identity_issue_t));
    issue.key = key;
    issue.audience = bytes_make(custodian.did, sizeof(custodian.did));
    issue.mesh = bytes_make(make->mesh->did, sizeof(make->mesh->did));
    issue.expires = -1;
    issue.bare = 1;

    if (make->kind == NGX_MESH_IDENTITY_BOT) {
        grants = make->grants;
        count = make->grant_count;

    } else {
        grants = grant_role_list(grant_role_find(bytes_of("agent")), &count);
    }

    set.count = 0;

    if (ngx_mesh_identity_token_delegate(&set, &issue, grants, count,
                                         &make->memory)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_mesh_identity_token_pack(&set, 'C', &make->custodian,
                                        &make->memory);
}


static ngx_mesh_identity_made_t
ngx_mesh_identity_make_person(ngx_mesh_identity_make_t *make)
{
    ngx_mesh_identity_set_t    set;
    ngx_mesh_identity_made_t   made;
    ngx_mesh_identity_issue_t  issue;

    made = ngx_mesh_identity_make_holder(make);

    if (made != NGX_MESH_IDENTITY_MADE) {
        return made;
    }

    ngx_memzero(&issue, sizeof(ngx_mesh_identity_issue_t));
    issue.key = make->mesh;
    issue.audience = make->made_did;
    issue.mesh = bytes_make(make->mesh->did, sizeof(make->mesh->did));
    issue.ns = make->ns;
    issue.expires = -1;

    if (make->kind == NGX_MESH_IDENTITY_GUEST) {
        issue.expires = make->expires;
    }

    set.count = 0;

    if (ngx_mesh_identity_token_delegate(&set, &issue, make->grants,
                                         make->grant_count, &make->memory)
        != NGX_OK
        || ngx_mesh_identity_token_pack(&set, 'C', &make->delegation,
                                        &make->memory)
           != NGX_OK)
    {
        return NGX_MESH_IDENTITY_FAILED;
    }

    return ngx_mesh_identity_make_token(make, &set);
}


/* The text that the new participant gets: its chains, with its session when
   the mesh keeps the key. */

ngx_mesh_identity_made_t
ngx_mesh_identity_make_token(ngx_mesh_identity_make_t *make,
    ngx_mesh_identity_set_t *set)
{
    if (make->session.len != 0) {

        if (set->count == NGX_MESH_IDENTITY_SET_MAX) {
            return NGX_MESH_IDENTITY_TOO_LONG;
        }

        set->list[set->count++] = make->session;
    }

    if (set->count > UCAN_TOKEN_COUNT_MAX) {
        return NGX_MESH_IDENTITY_TOO_LONG;
    }

    if (ngx_mesh_identity_token_pack(set, 'P', &make->token, &make->memory)
        != NGX_OK)
    {
        return NGX_MESH_IDENTITY_FAILED;
    }

    if (make->token.len > NGX_MESH_IDENTITY_TOKEN_MAX) {
        return NGX_MESH_IDENTITY_TOO_LONG;
    }

    return NGX_MESH_IDENTITY_MADE;
}
