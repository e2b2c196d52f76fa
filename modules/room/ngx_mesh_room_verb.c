/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What clients may say: one table of verbs with their members and limits.
 *
 * A frame is checked as JSON in one pass, its members are unescaped into the
 * worker's scratch, and the verb's function runs.  Every verb asks for its
 * capability anew.  A frame that is no good gets an error and changes
 * nothing; "ref" is the client's clientId, or the room it spoke of.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "json_scan.h"
#include "json_write.h"
#include "ngx_mesh_room_input.h"
#include "ngx_mesh_room_join.h"
#include "ngx_mesh_room_login.h"
#include "ngx_mesh_room_verb.h"


#define NGX_MESH_ROOM_VERB_FIELDS  4


typedef enum {
    NGX_MESH_ROOM_VERB_TEXT = 0,   /* any string that is not empty */
    NGX_MESH_ROOM_VERB_CLIENT_ID,
    NGX_MESH_ROOM_VERB_ROOM,
    NGX_MESH_ROOM_VERB_PARTICIPANT,
    NGX_MESH_ROOM_VERB_MESSAGE,
    NGX_MESH_ROOM_VERB_SEQ
} ngx_mesh_room_verb_kind_t;


typedef struct {
    const char                  *name;
    ngx_mesh_room_verb_kind_t    kind;
    ngx_uint_t                   required;
} ngx_mesh_room_verb_field_t;


typedef struct {
    ngx_uint_t                   present;
    bytes_t                      text;
    uint64_t                     number;
} ngx_mesh_room_verb_value_t;


typedef void (*ngx_mesh_room_verb_pt)(ngx_mesh_room_connection_t *mc,
    ngx_mesh_room_verb_value_t *values, bytes_t ref);


typedef struct {
    const char                  *name;
    ngx_uint_t                   early;    /* before authentication too */
    ngx_mesh_room_verb_pt        run;
    ngx_mesh_room_verb_field_t   fields[NGX_MESH_ROOM_VERB_FIELDS];
} ngx_mesh_room_verb_t;


static const ngx_mesh_room_verb_t *ngx_mesh_room_verb_find(
    const json_scan_t *object);
static bytes_t ngx_mesh_room_verb_ref(const json_scan_t *object,
    bytes_writer_t *scratch);
static ngx_uint_t ngx_mesh_room_verb_rate(ngx_mesh_room_connection_t *mc);
static const char *ngx_mesh_room_verb_read(const ngx_mesh_room_verb_t *verb,
    const json_scan_t *object, ngx_mesh_room_verb_value_t *values,
    bytes_writer_t *scratch);
static ngx_int_t ngx_mesh_room_verb_read_value(
    const ngx_mesh_room_verb_field_t *field, const json_scan_t *value,
    ngx_mesh_room_verb_value_t *out, bytes_writer_t *scratch);
static void ngx_mesh_room_verb_authenticate(ngx_mesh_room_connection_t *mc,
    ngx_mesh_room_verb_value_t *values, bytes_t ref);
static void ngx_mesh_room_verb_join_room(ngx_mesh_room_connection_t *mc,
    ngx_mesh_room_verb_value_t *values, bytes_t ref);
static void ngx_mesh_room_verb_leave_room(ngx_mesh_room_connection_t *mc,
    ngx_mesh_room_verb_value_t *values, bytes_t ref);
static void ngx_mesh_room_verb_send_message(ngx_mesh_room_connection_t *mc,
    ngx_mesh_room_verb_value_t *values, bytes_t ref);
static void ngx_mesh_room_verb_send_direct(ngx_mesh_room_connection_t *mc,
    ngx_mesh_room_verb_value_t *values, bytes_t ref);
static void ngx_mesh_room_verb_ping(ngx_mesh_room_connection_t *mc,
    ngx_mesh_room_verb_value_t *values, bytes_t ref);
static void ngx_mesh_room_verb_append(ngx_mesh_room_connection_t *mc,
    ngx_mesh_room_draft_t *draft, bytes_t ref);
static void ngx_mesh_room_verb_sent(void *data, ngx_mesh_room_sent_t *sent);
static void ngx_mesh_room_verb_ack(ngx_mesh_room_connection_t *mc,
    ngx_str_t *client_id, ngx_mesh_room_sent_t *sent);
static ngx_str_t ngx_mesh_room_verb_str(bytes_t text);


static const ngx_mesh_room_verb_t  ngx_mesh_room_verbs[] = {

    { "authenticate", 1, ngx_mesh_room_verb_authenticate,
      { { "token",    NGX_MESH_ROOM_VERB_TEXT,        1 },
        { "proofs",   NGX_MESH_ROOM_VERB_TEXT,        0 } } },

    { "join_room", 0, ngx_mesh_room_verb_join_room,
      { { "roomId",   NGX_MESH_ROOM_VERB_ROOM,        1 },
        { "since",    NGX_MESH_ROOM_VERB_SEQ,         0 } } },

    { "leave_room", 0, ngx_mesh_room_verb_leave_room,
      { { "roomId",   NGX_MESH_ROOM_VERB_ROOM,        1 } } },

    { "send_message", 0, ngx_mesh_room_verb_send_message,
      { { "roomId",   NGX_MESH_ROOM_VERB_ROOM,        1 },
        { "content",  NGX_MESH_ROOM_VERB_TEXT,        1 },
        { "clientId", NGX_MESH_ROOM_VERB_CLIENT_ID,   0 },
        { "replyTo",  NGX_MESH_ROOM_VERB_MESSAGE,     0 } } },

    { "send_direct", 0, ngx_mesh_room_verb_send_direct,
      { { "to",       NGX_MESH_ROOM_VERB_PARTICIPANT, 1 },
        { "content",  NGX_MESH_ROOM_VERB_TEXT,        1 },
        { "clientId", NGX_MESH_ROOM_VERB_CLIENT_ID,   0 } } },

    { "ping", 0, ngx_mesh_room_verb_ping,
      { { NULL,       NGX_MESH_ROOM_VERB_TEXT,        0 } } }
};


#define NGX_MESH_ROOM_VERBS                                                  \
    (sizeof(ngx_mesh_room_verbs) / sizeof(ngx_mesh_room_verbs[0]))


void
ngx_mesh_room_verb_run(ngx_mesh_room_connection_t *mc, bytes_t text)
{
    bytes_t                      ref;
    const char                  *detail;
    json_scan_t                  object;
    bytes_writer_t               scratch;
    const ngx_mesh_room_verb_t  *verb;
    ngx_mesh_room_verb_value_t   values[NGX_MESH_ROOM_VERB_FIELDS];

    ref = bytes_make(NULL, 0);

    if (json_scan_validate(text, NULL) != JSON_SCAN_OK
        || json_scan_open(text, &object) != 0
        || object.type != JSON_SCAN_OBJECT)
    {
        ngx_mesh_room_connection_error(mc, PROBLEM_INVALID_JSON,
                                       "a frame is one JSON object", ref,
                                       NULL);
        return;
    }

    bytes_writer_open(&scratch, mc->hub->scratch,
                      NGX_MESH_ROOM_SCRATCH_SIZE(mc->mcf));

    ref = ngx_mesh_room_verb_ref(&object, &scratch);

    if (!ngx_mesh_room_verb_rate(mc)) {
        ngx_mesh_room_connection_error(mc, PROBLEM_RATE_LIMITED, NULL, ref,
                                       NULL);
        return;
    }

    verb = ngx_mesh_room_verb_find(&object);

    if (verb == NULL) {
        ngx_mesh_room_connection_error(mc, PROBLEM_BAD_REQUEST,
                                       "\"type\" is missing or unknown", ref,
                                       NULL);
        return;
    }

    if (!verb->early && !mc->open) {
        ngx_mesh_room_connection_error(mc, PROBLEM_UNAUTHENTICATED,
                                       "\"authenticate\" comes first", ref,
                                       NULL);
        return;
    }

    detail = ngx_mesh_room_verb_read(verb, &object, values, &scratch);

    if (detail != NULL) {
        ngx_mesh_room_connection_error(mc, PROBLEM_BAD_REQUEST, detail, ref,
                                       NULL);
        return;
    }

    verb->run(mc, values, ref);
}


static const ngx_mesh_room_verb_t *
ngx_mesh_room_verb_find(const json_scan_t *object)
{
    ngx_uint_t   i;
    json_scan_t  type;

    if (json_scan_find(object, "type", &type) != 0
        || type.type != JSON_SCAN_STRING)
    {
        return NULL;
    }

    for (i = 0; i < NGX_MESH_ROOM_VERBS; i++) {

        if (json_scan_equal(&type, ngx_mesh_room_verbs[i].name)) {
            return &ngx_mesh_room_verbs[i];
        }
    }

    return NULL;
}


/* What an error refers to: the first of these that is a short string. */
static bytes_t
ngx_mesh_room_verb_ref(const json_scan_t *object, bytes_writer_t *scratch)
{
    uint8_t             *start;
    ngx_uint_t           i;
    json_scan_t          value;
    static const char   *names[] = { "clientId", "roomId", "to" };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {

        if (json_scan_find(object, names[i], &value) != 0
            || value.type != JSON_SCAN_STRING
            || value.text.len > NGX_MESH_ROOM_CLIENT_ID_MAX)
        {
            continue;
        }

        start = scratch->pos;

        if (json_scan_string(&value, scratch) == 0) {
            return bytes_make(start, (size_t) (scratch->pos - start));
        }
    }

    return bytes_make(NULL, 0);
}


/* 1 when the connection may say one more thing in this second. */
static ngx_uint_t
ngx_mesh_room_verb_rate(ngx_mesh_room_connection_t *mc)
{
    if (mc->lcf->rate == 0) {
        return 1;
    }

    if (ngx_current_msec - mc->rate_time >= 1000) {
        mc->rate_time = ngx_current_msec;
        mc->rate_left = mc->lcf->rate;
    }

    if (mc->rate_left == 0) {
        return 0;
    }

    mc->rate_left--;

    return 1;
}


/* Fills values in the order of the verb's fields; NULL, or what is wrong. */
static const char *
ngx_mesh_room_verb_read(const ngx_mesh_room_verb_t *verb,
    const json_scan_t *object, ngx_mesh_room_verb_value_t *values,
    bytes_writer_t *scratch)
{
    ngx_uint_t                         i;
    json_scan_t                        value;
    const ngx_mesh_room_verb_field_t  *field;

    ngx_memzero(values, NGX_MESH_ROOM_VERB_FIELDS
                        * sizeof(ngx_mesh_room_verb_value_t));

    for (i = 0; i < NGX_MESH_ROOM_VERB_FIELDS; i++) {

        field = &verb->fields[i];

        if (field->name == NULL) {
            break;
        }

        if (json_scan_find(object, field->name, &value) != 0
            || value.type == JSON_SCAN_NULL)
        {
            if (field->required) {
                return "a member that this type needs is missing";
            }

            continue;
        }

        if (ngx_mesh_room_verb_read_value(field, &value, &values[i], scratch)
            != NGX_OK)
        {
            return "a member has the wrong type or form";
        }
    }

    return NULL;
}


static ngx_int_t
ngx_mesh_room_verb_read_value(const ngx_mesh_room_verb_field_t *field,
    const json_scan_t *value, ngx_mesh_room_verb_value_t *out,
    bytes_writer_t *scratch)
{
    int64_t   n;
    uint8_t  *start;

    out->present = 1;

    if (field->kind == NGX_MESH_ROOM_VERB_SEQ) {

        if (json_scan_integer(value, &n) != 0 || n < 0) {
            return NGX_ERROR;
        }

        out->number = (uint64_t) n;

        return NGX_OK;
    }

    if (value->type != JSON_SCAN_STRING || value->text.len == 0) {
        return NGX_ERROR;
    }

    start = scratch->pos;

    if (json_scan_string(value, scratch) != 0) {
        return NGX_ERROR;
    }

    out->text = bytes_make(start, (size_t) (scratch->pos - start));

    switch (field->kind) {

    case NGX_MESH_ROOM_VERB_CLIENT_ID:
        return (out->text.len <= NGX_MESH_ROOM_CLIENT_ID_MAX) ? NGX_OK
                                                              : NGX_ERROR;

    case NGX_MESH_ROOM_VERB_ROOM:
        return id_valid(out->text, 'r') ? NGX_OK : NGX_ERROR;

    case NGX_MESH_ROOM_VERB_PARTICIPANT:
        return id_valid(out->text, 'p') ? NGX_OK : NGX_ERROR;

    case NGX_MESH_ROOM_VERB_MESSAGE:
        return id_valid(out->text, 'm') ? NGX_OK : NGX_ERROR;

    default:
        return NGX_OK;
    }
}


/* The verbs. */

static void
ngx_mesh_room_verb_authenticate(ngx_mesh_room_connection_t *mc,
    ngx_mesh_room_verb_value_t *values, bytes_t ref)
{
    ngx_str_t  token, proofs;

    if (mc->principal != NULL) {
        ngx_mesh_room_connection_error(mc, PROBLEM_CONFLICT,
                                       "already authenticated", ref, NULL);
        return;
    }

    token = ngx_mesh_room_verb_str(values[0].text);
    proofs = ngx_mesh_room_verb_str(values[1].text);

    ngx_mesh_room_login(mc, &token, &proofs);
}


static void
ngx_mesh_room_verb_join_room(ngx_mesh_room_connection_t *mc,
    ngx_mesh_room_verb_value_t *values, bytes_t ref)
{
    ngx_mesh_room_join(mc, values[0].text, values[1].present,
                       values[1].number);
}


static void
ngx_mesh_room_verb_leave_room(ngx_mesh_room_connection_t *mc,
    ngx_mesh_room_verb_value_t *values, bytes_t ref)
{
    ngx_mesh_room_subscription_t  *sub;

    sub = ngx_mesh_room_hub_find(mc, values[0].text);

    if (sub == NULL) {
        ngx_mesh_room_connection_error(mc, PROBLEM_NOT_FOUND,
                                       "this connection is not in that room",
                                       ref, NULL);
        return;
    }

    ngx_mesh_room_join_leave(sub, NULL);
}


static void
ngx_mesh_room_verb_send_message(ngx_mesh_room_connection_t *mc,
    ngx_mesh_room_verb_value_t *values, bytes_t ref)
{
    ngx_mesh_room_draft_t    draft;
    ngx_mesh_room_refusal_t  refusal;

    if (ngx_mesh_room_record_direct(values[0].text)) {
        ngx_mesh_room_connection_error(mc, PROBLEM_BAD_REQUEST,
                                       "\"send_direct\" is for that room",
                                       ref, NULL);
        return;
    }

    if (ngx_mesh_room_access_allow(mc->mcf, mc->principal, "/room/send",
                                   values[0].text, &refusal)
        != NGX_OK)
    {
        ngx_mesh_room_connection_refuse(mc, &refusal, ref);
        return;
    }

    ngx_memzero(&draft, sizeof(ngx_mesh_room_draft_t));

    draft.room = ngx_mesh_room_verb_str(values[0].text);
    draft.content = ngx_mesh_room_verb_str(values[1].text);
    draft.client_id = ngx_mesh_room_verb_str(values[2].text);
    draft.reply_to = ngx_mesh_room_verb_str(values[3].text);

    ngx_mesh_room_verb_append(mc, &draft, ref);
}


static void
ngx_mesh_room_verb_send_direct(ngx_mesh_room_connection_t *mc,
    ngx_mesh_room_verb_value_t *values, bytes_t ref)
{
    bytes_t                  self;
    ngx_mesh_room_draft_t    draft;
    ngx_mesh_room_refusal_t  refusal;

    self = bytes_make(mc->participant->id.data, mc->participant->id.len);

    if (bytes_equal(values[0].text, self)) {
        ngx_mesh_room_connection_error(mc, PROBLEM_BAD_REQUEST,
                                       "\"to\" is the sender", ref, NULL);
        return;
    }

    if (ngx_mesh_room_access_allow(mc->mcf, mc->principal, "/dm/send",
                                   values[0].text, &refusal)
        != NGX_OK)
    {
        ngx_mesh_room_connection_refuse(mc, &refusal, ref);
        return;
    }

    ngx_memzero(&draft, sizeof(ngx_mesh_room_draft_t));

    draft.to = ngx_mesh_room_verb_str(values[0].text);
    draft.content = ngx_mesh_room_verb_str(values[1].text);
    draft.client_id = ngx_mesh_room_verb_str(values[2].text);

    ngx_mesh_room_verb_append(mc, &draft, ref);
}


static void
ngx_mesh_room_verb_ping(ngx_mesh_room_connection_t *mc,
    ngx_mesh_room_verb_value_t *values, bytes_t ref)
{
    bytes_t  pong = bytes_literal("{\"type\":\"pong\"}");

    ngx_mesh_room_connection_send(mc, pong);
}


static void
ngx_mesh_room_verb_append(ngx_mesh_room_connection_t *mc,
    ngx_mesh_room_draft_t *draft, bytes_t ref)
{
    bytes_t                copy;
    ngx_int_t              rc;
    ngx_mesh_room_call_t  *call;
    ngx_mesh_store_job_t  *job;

    if (draft->content.len > mc->lcf->message_size) {
        ngx_mesh_room_connection_error(mc, PROBLEM_TOO_LARGE, NULL, ref,
                                       NULL);
        return;
    }

    draft->sender = mc->participant->id;
    draft->sender_name = mc->participant->name;

    rc = ngx_mesh_room_history_append(mc->mcf, draft, ngx_mesh_room_verb_sent,
                                      NULL, &job);

    if (rc != NGX_OK) {
        ngx_mesh_room_connection_error(mc, rc == NGX_BUSY
                                           ? PROBLEM_BUSY
                                           : PROBLEM_STORE_DOWN,
                                       NULL, ref, NULL);
        return;
    }

    call = ngx_palloc(job->pool, sizeof(ngx_mesh_room_call_t));
    if (call == NULL) {
        return;
    }

    copy = ngx_mesh_room_record_copy(job->pool, ref);

    call->connection = mc;
    call->job = job;
    call->ref = ngx_mesh_room_verb_str(copy);
    call->client = (draft->client_id.len != 0);

    job->data = call;

    ngx_queue_insert_tail(&mc->sends, &call->queue);
    mc->send_count++;
}


static void
ngx_mesh_room_verb_sent(void *data, ngx_mesh_room_sent_t *sent)
{
    ngx_mesh_room_call_t        *call = data;
    ngx_mesh_room_connection_t  *mc;

    mc = call->connection;

    ngx_queue_remove(&call->queue);
    mc->send_count--;

    if (sent->problem == PROBLEM_COUNT) {
        ngx_mesh_room_verb_ack(mc, call->client ? &call->ref : NULL, sent);

    } else {
        ngx_mesh_room_connection_error(mc, sent->problem, NULL,
                                       bytes_make(call->ref.data,
                                                  call->ref.len),
                                       NULL);
    }

    ngx_mesh_room_input_resume(mc);
}


static void
ngx_mesh_room_verb_ack(ngx_mesh_room_connection_t *mc, ngx_str_t *client_id,
    ngx_mesh_room_sent_t *sent)
{
    uint8_t         buf[NGX_MESH_ROOM_CLIENT_ID_MAX * 6 + 256];
    json_write_t    j;
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_member_text(&j, "type", "ack");

    if (client_id != NULL) {
        json_write_member(&j, "clientId", bytes_make(client_id->data,
                                                     client_id->len));
    }

    json_write_member(&j, "id", bytes_make(sent->id.data, sent->id.len));
    json_write_member_integer(&j, "seq", (int64_t) sent->seq);
    json_write_member(&j, "roomId", bytes_make(sent->room.data,
                                               sent->room.len));
    json_write_object_end(&j);

    if (!w.failed) {
        ngx_mesh_room_connection_send(mc, bytes_writer_view(&w));
    }
}


static ngx_str_t
ngx_mesh_room_verb_str(bytes_t text)
{
    ngx_str_t  s;

    s.data = (u_char *) text.data;
    s.len = text.len;

    return s;
}
