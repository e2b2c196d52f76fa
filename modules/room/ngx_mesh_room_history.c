/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * History: a message becomes one entry of its room's namespace, under the
 * next seq, with membership checked in the same transaction; when that is on
 * disk, and not before, its sender is told and one notice goes to all
 * workers.  What is between two parties goes on in ngx_mesh_room_direct.c.
 *
 * Runs on the event loop; the requester is only borrowed, through the data of
 * the first job, which lives until the end.  A requester that has gone
 * changes nothing: its message is stored and told.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_mesh_room_direct.h"
#include "ngx_mesh_room_history.h"


#define NGX_MESH_ROOM_HISTORY_POOL      4096    /* bytes of a job */
#define NGX_MESH_ROOM_HISTORY_ROOM_OPS  3       /* of a message */


typedef struct {
    ngx_http_mesh_room_main_conf_t  *mcf;
    ngx_mesh_room_rows_pt            then;
} ngx_mesh_room_history_read_t;


static ngx_int_t ngx_mesh_room_history_append_init(
    ngx_mesh_room_history_append_t *append, ngx_mesh_room_draft_t *draft);
static ngx_int_t ngx_mesh_room_history_append_encode(
    ngx_mesh_room_history_append_t *append, ngx_mesh_room_draft_t *draft);
static ngx_int_t ngx_mesh_room_history_room_ops(
    ngx_mesh_room_history_append_t *append);
static void ngx_mesh_room_history_append_done(ngx_mesh_store_job_t *job);
static void ngx_mesh_room_history_ask_visibility(
    ngx_mesh_room_history_append_t *append);
static void ngx_mesh_room_history_visibility_done(ngx_mesh_store_job_t *job);
static void ngx_mesh_room_history_publish(
    ngx_mesh_room_history_append_t *append, bytes_t topic, uint64_t seq,
    bytes_t message);
static void ngx_mesh_room_history_finish(
    ngx_mesh_room_history_append_t *append, ngx_mesh_room_sent_t *sent);
static void ngx_mesh_room_history_read_done(ngx_mesh_store_job_t *job);


ngx_int_t
ngx_mesh_room_history_append(ngx_http_mesh_room_main_conf_t *mcf,
    ngx_mesh_room_draft_t *draft, ngx_mesh_room_sent_pt then, void *data,
    ngx_mesh_store_job_t **job)
{
    ngx_int_t                        rc;
    ngx_uint_t                       direct;
    ngx_mesh_store_job_t            *first;
    ngx_mesh_room_history_append_t  *append;

    first = ngx_mesh_store_job_create(NGX_MESH_ROOM_HISTORY_POOL, mcf->log);
    if (first == NULL) {
        return NGX_ERROR;
    }

    append = ngx_pcalloc(first->pool, sizeof(ngx_mesh_room_history_append_t));
    if (append == NULL) {
        goto failed;
    }

    append->mcf = mcf;
    append->then = then;
    append->first = first;

    first->context = append;
    first->data = data;

    if (ngx_mesh_room_history_append_init(append, draft) != NGX_OK) {
        goto failed;
    }

    direct = (append->to.len != 0);

    rc = direct ? ngx_mesh_room_direct_reads(append)
                : ngx_mesh_room_history_room_ops(append);

    if (rc != NGX_OK) {
        goto failed;
    }

    rc = direct ? mcf->store->read(first) : mcf->store->write(first);

    if (rc != NGX_OK) {
        ngx_mesh_store_job_destroy(mcf->store, first);
        return rc;
    }

    if (job != NULL) {
        *job = first;
    }

    return NGX_OK;

failed:

    ngx_mesh_store_job_destroy(mcf->store, first);

    return NGX_ERROR;
}


static ngx_int_t
ngx_mesh_room_history_append_init(ngx_mesh_room_history_append_t *append,
    ngx_mesh_room_draft_t *draft)
{
    u_char          *p;
    ngx_pool_t      *pool;
    ngx_time_t      *tp;
    bytes_writer_t   w;

    pool = append->first->pool;

    append->sender = ngx_mesh_room_record_copy(pool,
                         bytes_make(draft->sender.data, draft->sender.len));
    append->sender_name = ngx_mesh_room_record_copy(pool,
                              bytes_make(draft->sender_name.data,
                                         draft->sender_name.len));
    append->to = ngx_mesh_room_record_copy(pool,
                     bytes_make(draft->to.data, draft->to.len));

    p = ngx_pnalloc(pool, 2 * ID_LEN);

    if (append->sender.data == NULL || append->sender_name.data == NULL
        || append->to.data == NULL || p == NULL)
    {
        return NGX_ERROR;
    }

    tp = ngx_timeofday();
    append->ms = (int64_t) tp->sec * 1000 + tp->msec;

    id_create((char *) p, 'm', append->ms);
    append->id = bytes_make(p, ID_LEN);

    p += ID_LEN;

    if (append->to.len != 0) {
        ngx_mesh_room_record_direct_id(p, append->sender, append->to);

    } else if (draft->room.len == ID_LEN) {
        ngx_memcpy(p, draft->room.data, ID_LEN);

    } else {
        return NGX_ERROR;
    }

    append->room = bytes_make(p, ID_LEN);

    if (draft->client_id.len != 0) {

        p = ngx_pnalloc(pool, draft->sender.len + 1 + draft->client_id.len);
        if (p == NULL) {
            return NGX_ERROR;
        }

        bytes_writer_open(&w, p,
                          draft->sender.len + 1 + draft->client_id.len);
        bytes_writer_bytes(&w, append->sender);
        bytes_writer_byte(&w, '/');
        bytes_writer_put(&w, draft->client_id.data, draft->client_id.len);

        append->dedupe = bytes_writer_view(&w);
    }

    return ngx_mesh_room_history_append_encode(append, draft);
}


static ngx_int_t
ngx_mesh_room_history_append_encode(ngx_mesh_room_history_append_t *append,
    ngx_mesh_room_draft_t *draft)
{
    size_t                    size;
    u_char                   *p;
    bytes_writer_t            w;
    ngx_mesh_room_message_t   message;

    message.id = append->id;
    message.room = append->room;
    message.sender = append->sender;
    message.sender_name = append->sender_name;
    message.to = append->to;
    message.content = bytes_make(draft->content.data, draft->content.len);
    message.reply_to = bytes_make(draft->reply_to.data, draft->reply_to.len);
    message.ms = append->ms;

    /* most texts hardly grow when they are escaped */

    size = draft->content.len + draft->content.len / 8
           + NGX_MESH_ROOM_MESSAGE_MORE;

    do {
        p = ngx_pnalloc(append->first->pool, size);
        if (p == NULL) {
            return NGX_ERROR;
        }

        bytes_writer_open(&w, p, size);
        ngx_mesh_room_message_store_write(&w, &message);

        if (!w.failed) {
            append->stored = bytes_writer_view(&w);
            return NGX_OK;
        }

        size *= 2;

    } while (size <= STORE_VALUE_MAX * 2);

    return NGX_ERROR;
}


static ngx_int_t
ngx_mesh_room_history_room_ops(ngx_mesh_room_history_append_t *append)
{
    bytes_t                none = bytes_make(NULL, 0);
    ngx_pool_t            *pool;
    store_op_t            *ops;
    ngx_mesh_store_job_t  *job;

    job = append->first;
    pool = job->pool;

    ops = ngx_mesh_store_job_ops(job, NGX_MESH_ROOM_HISTORY_ROOM_OPS);
    if (ops == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(ops, NGX_MESH_ROOM_HISTORY_ROOM_OPS * sizeof(store_op_t));

    ops[0].kind = STORE_CHECK;
    ops[0].condition = STORE_IF_PRESENT;
    ops[0].ns = bytes_of(RECORD_NS_ROOMS);
    ops[0].key = ngx_mesh_room_record_key(pool, "room", append->room, none);

    ops[1].kind = STORE_CHECK;
    ops[1].condition = STORE_IF_PRESENT;
    ops[1].ns = append->room;
    ops[1].key = ngx_mesh_room_record_key(pool, "member", append->sender,
                                          none);

    ngx_mesh_room_history_append_entry(append, &ops[2], append->room,
                                       append->stored);

    job->done = ngx_mesh_room_history_append_done;

    return (ops[0].key.len == 0 || ops[1].key.len == 0) ? NGX_ERROR : NGX_OK;
}


static void
ngx_mesh_room_history_append_done(ngx_mesh_store_job_t *job)
{
    ngx_mesh_room_history_append_t  *append;

    append = job->context;

    switch (job->write.rc) {

    case STORE_OK:
        ngx_mesh_room_history_stored(append, &job->write.results[2], NULL);
        return;

    case STORE_CONDITION:

        if (job->write.failed == 0) {
            ngx_mesh_room_history_refuse(append, PROBLEM_NOT_FOUND);
            return;
        }

        ngx_mesh_room_history_ask_visibility(append);
        return;

    default:
        ngx_mesh_room_history_refuse(append,
                           ngx_mesh_room_history_problem(job->write.rc));
    }
}


/* A sender who is no member must not learn that a private room exists. */
static void
ngx_mesh_room_history_ask_visibility(ngx_mesh_room_history_append_t *append)
{
    bytes_t                none = bytes_make(NULL, 0);
    store_read_t          *read;
    ngx_mesh_store_job_t  *job;

    job = ngx_mesh_store_job_create(NGX_MESH_ROOM_HISTORY_POOL,
                                    append->mcf->log);
    if (job == NULL) {
        ngx_mesh_room_history_refuse(append, PROBLEM_NOT_FOUND);
        return;
    }

    read = ngx_mesh_store_job_reads(job, 1);

    if (read != NULL) {
        ngx_memzero(read, sizeof(store_read_t));

        read->kind = STORE_GET;
        read->ns = bytes_of(RECORD_NS_ROOMS);
        read->key = ngx_mesh_room_record_key(job->pool, "room", append->room,
                                             none);

        job->context = append;
        job->done = ngx_mesh_room_history_visibility_done;

        if (read->key.len != 0 && append->mcf->store->read(job) == NGX_OK) {
            return;
        }
    }

    ngx_mesh_store_job_destroy(append->mcf->store, job);
    ngx_mesh_room_history_refuse(append, PROBLEM_NOT_FOUND);
}


static void
ngx_mesh_room_history_visibility_done(ngx_mesh_store_job_t *job)
{
    u_char                          *p;
    bytes_t                          value;
    problem_t                        problem;
    bytes_writer_t                   scratch;
    ngx_mesh_room_record_t           room;
    ngx_mesh_room_history_append_t  *append;

    append = job->context;
    problem = PROBLEM_NOT_FOUND;

    if (job->rc == STORE_OK && job->rows[0].rc == STORE_OK) {

        value = job->rows[0].rows[0].value;
        p = ngx_pnalloc(job->pool, value.len + 1);

        if (p != NULL) {
            bytes_writer_open(&scratch, p, value.len);

            if (ngx_mesh_room_record_read(&room, value, &scratch) == NGX_OK
                && room.visibility == NGX_MESH_ROOM_PUBLIC)
            {
                problem = PROBLEM_NOT_A_MEMBER;
            }
        }
    }

    ngx_mesh_store_job_destroy(append->mcf->store, job);
    ngx_mesh_room_history_refuse(append, problem);
}


void
ngx_mesh_room_history_append_entry(ngx_mesh_room_history_append_t *append,
    store_op_t *op, bytes_t ns, bytes_t value)
{
    op->kind = STORE_APPEND;
    op->ns = ns;
    op->key = append->id;
    op->value = value;
    op->dedupe = append->dedupe;
}


void
ngx_mesh_room_history_stored(ngx_mesh_room_history_append_t *append,
    store_result_t *result, store_result_t *inboxes)
{
    bytes_t               message;
    ngx_mesh_room_sent_t  sent;

    ngx_memzero(&sent, sizeof(ngx_mesh_room_sent_t));

    sent.problem = PROBLEM_COUNT;
    sent.repeat = (result->rc == STORE_EXISTS);
    sent.seq = result->seq;
    sent.room.data = (u_char *) append->room.data;
    sent.room.len = append->room.len;

    if (sent.repeat) {
        append->id = result->key;
        append->stored = result->value;
    }

    message = ngx_mesh_room_message_encode(append->first->pool, result->seq,
                                           append->stored);

    /* the workers that miss the notice find the hole by the next one */

    if (message.data != NULL && !sent.repeat) {
        ngx_mesh_room_history_publish(append, append->room, result->seq,
                                      message);

        if (inboxes != NULL) {
            ngx_mesh_room_history_publish(append, append->sender,
                                          inboxes[0].seq, message);
            ngx_mesh_room_history_publish(append, append->to,
                                          inboxes[1].seq, message);
        }
    }

    sent.id.data = (u_char *) append->id.data;
    sent.id.len = append->id.len;
    sent.message.data = (u_char *) message.data;
    sent.message.len = message.len;

    ngx_mesh_room_history_finish(append, &sent);
}


static void
ngx_mesh_room_history_publish(ngx_mesh_room_history_append_t *append,
    bytes_t topic, uint64_t seq, bytes_t message)
{
    ngx_mesh_wake_t         *wake;
    ngx_mesh_wake_notice_t   notice;

    wake = append->mcf->store->wake;

    ngx_memzero(&notice, sizeof(ngx_mesh_wake_notice_t));

    notice.kind = NGX_MESH_WAKE_MESSAGE;
    notice.slot = wake->slot;
    notice.seq = seq;
    notice.topic.data = (u_char *) topic.data;
    notice.topic.len = topic.len;
    notice.payload.data = (u_char *) message.data;
    notice.payload.len = message.len;

    if (wake->publish(wake, &notice) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, append->mcf->log, 0,
                      "room: notice of message %uL in \"%V\" not published",
                      seq, &notice.topic);
    }
}


void
ngx_mesh_room_history_refuse(ngx_mesh_room_history_append_t *append,
    problem_t problem)
{
    ngx_mesh_room_sent_t  sent;

    ngx_memzero(&sent, sizeof(ngx_mesh_room_sent_t));

    sent.problem = problem;
    sent.room.data = (u_char *) append->room.data;
    sent.room.len = append->room.len;

    ngx_mesh_room_history_finish(append, &sent);
}


static void
ngx_mesh_room_history_finish(ngx_mesh_room_history_append_t *append,
    ngx_mesh_room_sent_t *sent)
{
    ngx_mesh_store_job_t  *first;

    first = append->first;

    if (first->data != NULL) {
        append->then(first->data, sent);
    }

    ngx_mesh_store_job_destroy(append->mcf->store, first);
}


ngx_int_t
ngx_mesh_room_history_read(ngx_http_mesh_room_main_conf_t *mcf,
    ngx_mesh_room_query_t *query, ngx_mesh_room_rows_pt then, void *data,
    ngx_mesh_store_job_t **job)
{
    ngx_int_t                      rc;
    store_read_t                  *read;
    ngx_mesh_store_job_t          *j;
    ngx_mesh_room_history_read_t  *context;

    j = ngx_mesh_store_job_create(NGX_MESH_ROOM_HISTORY_POOL, mcf->log);
    if (j == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    context = ngx_palloc(j->pool, sizeof(ngx_mesh_room_history_read_t));
    read = ngx_mesh_store_job_reads(j, 1);

    if (context == NULL || read == NULL) {
        goto failed;
    }

    context->mcf = mcf;
    context->then = then;

    ngx_memzero(read, sizeof(store_read_t));

    read->kind = STORE_FEED;
    read->ns = ngx_mesh_room_record_copy(j->pool,
                               bytes_make(query->room.data, query->room.len));
    read->after = query->after;
    read->before = query->before;
    read->limit = query->limit;
    read->reverse = query->reverse;

    if (read->ns.data == NULL) {
        goto failed;
    }

    j->context = context;
    j->data = data;
    j->done = ngx_mesh_room_history_read_done;

    rc = mcf->store->read(j);

    if (rc == NGX_OK) {
        *job = j;
        return NGX_OK;
    }

failed:

    ngx_mesh_store_job_destroy(mcf->store, j);

    return rc;
}


static void
ngx_mesh_room_history_read_done(ngx_mesh_store_job_t *job)
{
    store_rc_t                     rc;
    ngx_mesh_room_history_read_t  *context;

    context = job->context;

    if (job->data != NULL) {
        rc = (job->rc != STORE_OK) ? job->rc : job->rows[0].rc;
        context->then(job->data, rc, rc == STORE_OK ? &job->rows[0] : NULL);
    }

    ngx_mesh_store_job_destroy(context->mcf->store, job);
}


problem_t
ngx_mesh_room_history_problem(store_rc_t rc)
{
    switch (rc) {

    case STORE_BUSY:
        return PROBLEM_BUSY;

    case STORE_FULL:
        return PROBLEM_STORAGE_FULL;

    case STORE_INVALID:
        return PROBLEM_TOO_LARGE;

    case STORE_ABSENT:
        return PROBLEM_NOT_FOUND;

    default:
        return PROBLEM_STORE_DOWN;
    }
}
