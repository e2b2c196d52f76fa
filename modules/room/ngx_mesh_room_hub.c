/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The hub: which connections of this worker are in which room, and the one
 * walk that hands a committed message to them.
 *
 * Lives on the event loop of one worker; nothing here takes a lock.  Notices
 * come in from the ring, from this worker as from all others.  Order: members
 * see a room's messages by seq, without holes; what comes early waits here,
 * at most NGX_MESH_ROOM_HUB_EARLY_MAX messages of a room, and what does not
 * come is read from the store (ngx_mesh_room_resync.c).
 *
 * The inbox of a participant is a room too, with all its connections in it:
 * direct messages come through it, by its own seq.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "json_scan.h"
#include "ngx_mesh_room_check.h"
#include "ngx_mesh_room_clock.h"
#include "ngx_mesh_room_presence.h"
#include "ngx_mesh_room_resync.h"
#include "ngx_mesh_room_wait.h"


#define NGX_MESH_ROOM_HUB_SUBSCRIPTIONS  8     /* of a room, at first */


typedef struct {
    ngx_queue_t             queue;
    uint64_t                seq;
    ngx_mesh_room_frame_t  *frame;             /* shared: one reference */
} ngx_mesh_room_hub_early_t;


/* What a direct message says about itself; views into its frame. */
typedef struct {
    bytes_t                 room;
    bytes_t                 sender;
    bytes_t                 to;
} ngx_mesh_room_hub_direct_t;


static void ngx_mesh_room_hub_message_notice(void *data,
    ngx_mesh_wake_notice_t *notice);
static void ngx_mesh_room_hub_resync(ngx_mesh_room_hub_t *hub);
static void ngx_mesh_room_hub_presence_notice(void *data,
    ngx_mesh_wake_notice_t *notice);
static void ngx_mesh_room_hub_room_notice(void *data,
    ngx_mesh_wake_notice_t *notice);
static void ngx_mesh_room_hub_member_notice(void *data,
    ngx_mesh_wake_notice_t *notice);
static void ngx_mesh_room_hub_add_early(ngx_mesh_room_hub_room_t *room,
    uint64_t seq, ngx_mesh_room_frame_t *frame);
static void ngx_mesh_room_hub_drop_early(ngx_mesh_room_hub_room_t *room,
    ngx_mesh_room_hub_early_t *early);
static ngx_int_t ngx_mesh_room_hub_direct_parse(
    ngx_mesh_room_hub_direct_t *direct, ngx_mesh_room_frame_t *frame);
static ngx_uint_t ngx_mesh_room_hub_direct_allow(
    ngx_mesh_room_subscription_t *sub, ngx_mesh_room_hub_direct_t *direct);
static ngx_mesh_room_hub_room_t *ngx_mesh_room_hub_room_create(
    ngx_mesh_room_hub_t *hub, bytes_t topic);
static void ngx_mesh_room_hub_room_destroy(ngx_mesh_room_hub_room_t *room);
static ngx_int_t ngx_mesh_room_hub_room_grow(ngx_mesh_room_hub_room_t *room);
static void ngx_mesh_room_hub_publish(ngx_http_mesh_room_main_conf_t *mcf,
    ngx_mesh_wake_kind_t kind, ngx_str_t *topic, ngx_str_t *payload);


ngx_int_t
ngx_mesh_room_hub_init(ngx_cycle_t *cycle,
    ngx_http_mesh_room_main_conf_t *mcf)
{
    ngx_mesh_wake_t      *wake;
    ngx_mesh_room_hub_t  *hub;

    hub = ngx_pcalloc(cycle->pool, sizeof(ngx_mesh_room_hub_t));
    if (hub == NULL) {
        return NGX_ERROR;
    }

    hub->mcf = mcf;
    hub->log = cycle->log;
    hub->input = ngx_palloc(cycle->pool, NGX_MESH_ROOM_INPUT_SIZE);
    hub->message = ngx_palloc(cycle->pool, mcf->frame_size);
    hub->scratch = ngx_palloc(cycle->pool, NGX_MESH_ROOM_SCRATCH_SIZE(mcf));

    if (hub->input == NULL || hub->message == NULL || hub->scratch == NULL) {
        return NGX_ERROR;
    }

    ngx_rbtree_init(&hub->rooms, &hub->rooms_sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&hub->behind);
    ngx_queue_init(&hub->dirty);

    hub->hole.handler = ngx_mesh_room_resync_handler;
    hub->hole.data = hub;
    hub->hole.log = cycle->log;
    hub->hole.cancelable = 1;

    ngx_mesh_room_wait_init(hub);
    ngx_mesh_room_connection_init(hub);
    ngx_mesh_room_clock_init(hub);

    if (ngx_mesh_room_presence_init(hub) != NGX_OK) {
        return NGX_ERROR;
    }

    wake = mcf->store->wake;

    if (wake->listen(wake, NGX_MESH_WAKE_MESSAGE,
                     ngx_mesh_room_hub_message_notice, hub)
        != NGX_OK
        || wake->listen(wake, NGX_MESH_WAKE_PRESENCE,
                        ngx_mesh_room_hub_presence_notice, hub)
           != NGX_OK
        || wake->listen(wake, NGX_MESH_WAKE_ROOM,
                        ngx_mesh_room_hub_room_notice, hub)
           != NGX_OK
        || wake->listen(wake, NGX_MESH_WAKE_MEMBER,
                        ngx_mesh_room_hub_member_notice, hub)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    mcf->hub = hub;

    return NGX_OK;
}


static void
ngx_mesh_room_hub_message_notice(void *data, ngx_mesh_wake_notice_t *notice)
{
    bytes_t                    topic;
    ngx_mesh_room_hub_t       *hub = data;
    ngx_mesh_room_frame_t     *frame;
    ngx_mesh_room_hub_room_t  *room;

    if (notice->kind == NGX_MESH_WAKE_RESYNC) {
        ngx_mesh_room_hub_resync(hub);
        return;
    }

    topic = bytes_make(notice->topic.data, notice->topic.len);

    ngx_mesh_room_wait_wake(hub, topic);

    room = ngx_mesh_room_hub_room(hub, topic);

    if (room == NULL || (room->ready && notice->seq <= room->delivered)) {
        return;
    }

    frame = ngx_mesh_room_queue_frame(hub->log, WS_FRAME_TEXT,
                                      bytes_make(notice->payload.data,
                                                 notice->payload.len));
    if (frame == NULL) {
        room->resync = 1;
        ngx_mesh_room_resync_add(room);
        return;
    }

    if (room->ready && notice->seq == room->delivered + 1) {
        ngx_mesh_room_hub_deliver(room, notice->seq, frame);
        ngx_mesh_room_hub_drain(room);

    } else {
        ngx_mesh_room_hub_add_early(room, notice->seq, frame);
    }

    ngx_mesh_room_queue_release(frame);
}


/* Notices may have been missed, of any kind: the store knows. */
static void
ngx_mesh_room_hub_resync(ngx_mesh_room_hub_t *hub)
{
    ngx_uint_t                     i;
    ngx_rbtree_node_t             *node;
    ngx_mesh_room_hub_room_t      *room;
    ngx_mesh_room_subscription_t  *sub;

    ngx_log_error(NGX_LOG_NOTICE, hub->log, 0,
                  "room: notices may have been missed, reading the store");

    if (hub->rooms.root != hub->rooms.sentinel) {

        for (node = ngx_rbtree_min(hub->rooms.root, hub->rooms.sentinel);
             node != NULL;
             node = ngx_rbtree_next(&hub->rooms, node))
        {
            room = (ngx_mesh_room_hub_room_t *) node;

            room->resync = 1;
            ngx_mesh_room_resync_add(room);

            for (i = 0; i < room->count && !room->inbox; i++) {
                sub = room->subscriptions[i];
                sub->check = 1;
            }
        }
    }

    ngx_mesh_room_presence_sweep(hub);
    ngx_mesh_room_wait_wake(hub, bytes_make(NULL, 0));
}


/* topic: room; payload: the participant's id behind "+" or "-". */
static void
ngx_mesh_room_hub_presence_notice(void *data, ngx_mesh_wake_notice_t *notice)
{
    ngx_mesh_room_hub_t       *hub = data;
    ngx_mesh_room_hub_room_t  *room;

    if (notice->kind != NGX_MESH_WAKE_PRESENCE) {
        return;
    }

    room = ngx_mesh_room_hub_room(hub, bytes_make(notice->topic.data,
                                                  notice->topic.len));

    if (room != NULL) {
        ngx_mesh_room_presence_tell(room, bytes_make(notice->payload.data,
                                                     notice->payload.len));
    }
}


static void
ngx_mesh_room_hub_room_notice(void *data, ngx_mesh_wake_notice_t *notice)
{
    bytes_t                    topic;
    ngx_uint_t                 i;
    ngx_mesh_room_hub_t       *hub = data;
    ngx_mesh_room_hub_room_t  *room;

    if (notice->kind != NGX_MESH_WAKE_ROOM) {
        return;
    }

    topic = bytes_make(notice->topic.data, notice->topic.len);

    ngx_mesh_room_wait_wake(hub, topic);

    room = ngx_mesh_room_hub_room(hub, topic);

    if (room == NULL) {
        return;
    }

    for (i = 0; i < room->count; i++) {
        room->subscriptions[i]->check = 1;
        ngx_mesh_room_check_members(room->subscriptions[i]->connection);
    }
}


/* topic: room; payload: the participant, or nothing: anyone. */
static void
ngx_mesh_room_hub_member_notice(void *data, ngx_mesh_wake_notice_t *notice)
{
    bytes_t                        topic, id;
    ngx_uint_t                     i;
    ngx_str_t                     *who;
    ngx_mesh_room_hub_t           *hub = data;
    ngx_mesh_room_hub_room_t      *room;
    ngx_mesh_room_subscription_t  *sub;

    if (notice->kind != NGX_MESH_WAKE_MEMBER) {
        return;
    }

    topic = bytes_make(notice->topic.data, notice->topic.len);
    id = bytes_make(notice->payload.data, notice->payload.len);

    ngx_mesh_room_wait_wake(hub, topic);

    if (id.len != 0) {
        ngx_mesh_room_wait_wake(hub, id);
    }

    room = ngx_mesh_room_hub_room(hub, topic);

    if (room == NULL) {
        return;
    }

    for (i = 0; i < room->count; i++) {

        sub = room->subscriptions[i];
        who = &sub->connection->participant->id;

        if (id.len == 0
            || bytes_equal(id, bytes_make(who->data, who->len)))
        {
            sub->check = 1;
            ngx_mesh_room_check_members(sub->connection);
        }
    }
}


/* Order. */

static void
ngx_mesh_room_hub_add_early(ngx_mesh_room_hub_room_t *room, uint64_t seq,
    ngx_mesh_room_frame_t *frame)
{
    ngx_queue_t                *q;
    ngx_mesh_room_hub_early_t  *early, *other;

    if (room->ready) {
        ngx_mesh_room_resync_add(room);
    }

    for (q = ngx_queue_last(&room->early);
         q != ngx_queue_sentinel(&room->early);
         q = ngx_queue_prev(q))
    {
        other = ngx_queue_data(q, ngx_mesh_room_hub_early_t, queue);

        if (other->seq == seq) {
            return;
        }

        if (other->seq < seq) {
            break;
        }
    }

    early = NULL;

    if (room->early_count < NGX_MESH_ROOM_HUB_EARLY_MAX) {
        early = ngx_alloc(sizeof(ngx_mesh_room_hub_early_t), room->hub->log);
    }

    if (early == NULL) {
        room->lost = 1;
        return;
    }

    frame->refs++;

    early->seq = seq;
    early->frame = frame;

    ngx_queue_insert_after(q, &early->queue);
    room->early_count++;
}


static void
ngx_mesh_room_hub_drop_early(ngx_mesh_room_hub_room_t *room,
    ngx_mesh_room_hub_early_t *early)
{
    ngx_queue_remove(&early->queue);
    room->early_count--;

    ngx_mesh_room_queue_release(early->frame);
    ngx_free(early);
}


uint64_t
ngx_mesh_room_hub_early(ngx_mesh_room_hub_room_t *room)
{
    ngx_queue_t                *q;
    ngx_mesh_room_hub_early_t  *early;

    if (ngx_queue_empty(&room->early)) {
        return 0;
    }

    q = ngx_queue_head(&room->early);
    early = ngx_queue_data(q, ngx_mesh_room_hub_early_t, queue);

    return early->seq;
}


void
ngx_mesh_room_hub_drain(ngx_mesh_room_hub_room_t *room)
{
    ngx_queue_t                *q;
    ngx_mesh_room_hub_early_t  *early;

    while (!ngx_queue_empty(&room->early)) {

        q = ngx_queue_head(&room->early);
        early = ngx_queue_data(q, ngx_mesh_room_hub_early_t, queue);

        if (early->seq > room->delivered + 1) {
            break;
        }

        if (early->seq == room->delivered + 1) {
            ngx_mesh_room_hub_deliver(room, early->seq, early->frame);
        }

        ngx_mesh_room_hub_drop_early(room, early);
    }

    if (room->lost) {
        room->lost = 0;
        room->resync = 1;
    }

    if (room->resync || !ngx_queue_empty(&room->early)) {
        ngx_mesh_room_resync_add(room);
    }
}


void
ngx_mesh_room_hub_deliver(ngx_mesh_room_hub_room_t *room, uint64_t seq,
    ngx_mesh_room_frame_t *frame)
{
    ngx_uint_t                     i;
    ngx_mesh_room_hub_direct_t     direct;
    ngx_mesh_room_subscription_t  *sub;

    room->delivered = seq;

    if (room->inbox && ngx_mesh_room_hub_direct_parse(&direct, frame)
                       != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, room->hub->log, 0,
                      "room: message %uL of inbox \"%V\" is damaged",
                      seq, &room->sn.str);
        return;
    }

    for (i = 0; i < room->count; i++) {

        sub = room->subscriptions[i];

        if (!sub->live || sub->delivered >= seq) {
            continue;
        }

        sub->delivered = seq;

        if (room->inbox && !ngx_mesh_room_hub_direct_allow(sub, &direct)) {
            continue;
        }

        ngx_mesh_room_connection_send_frame(sub->connection, frame);
    }
}


static ngx_int_t
ngx_mesh_room_hub_direct_parse(ngx_mesh_room_hub_direct_t *direct,
    ngx_mesh_room_frame_t *frame)
{
    bytes_t      text;
    json_scan_t  object, value;

    text = bytes_make(frame->data + frame->head_len,
                      frame->len - frame->head_len);

    if (json_scan_open(text, &object) != 0
        || object.type != JSON_SCAN_OBJECT
        || json_scan_find(&object, "roomId", &value) != 0
        || json_scan_plain(&value, &direct->room) != 0
        || json_scan_find(&object, "senderId", &value) != 0
        || json_scan_plain(&value, &direct->sender) != 0
        || json_scan_find(&object, "to", &value) != 0
        || json_scan_plain(&value, &direct->to) != 0)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* A party reads what it could answer, and once. */
static ngx_uint_t
ngx_mesh_room_hub_direct_allow(ngx_mesh_room_subscription_t *sub,
    ngx_mesh_room_hub_direct_t *direct)
{
    bytes_t                          other, id;
    ngx_mesh_room_refusal_t          refusal;
    ngx_mesh_room_connection_t      *mc;
    ngx_http_mesh_room_main_conf_t  *mcf;

    mc = sub->connection;
    mcf = sub->room->hub->mcf;

    if (ngx_mesh_room_hub_find(mc, direct->room) != NULL) {
        return 0;
    }

    id = bytes_make(sub->room->id, ID_LEN);
    other = bytes_equal(direct->sender, id) ? direct->to : direct->sender;

    return ngx_mesh_room_access_allow(mcf, mc->principal, "/dm/send", other,
                                      &refusal)
           == NGX_OK;
}


void
ngx_mesh_room_hub_tell(ngx_mesh_room_hub_room_t *room, bytes_t payload,
    bytes_t except)
{
    bytes_t                        id;
    ngx_uint_t                     i;
    ngx_mesh_room_frame_t         *frame;
    ngx_mesh_room_subscription_t  *sub;

    frame = ngx_mesh_room_queue_frame(room->hub->log, WS_FRAME_TEXT, payload);
    if (frame == NULL) {
        return;
    }

    for (i = 0; i < room->count; i++) {

        sub = room->subscriptions[i];

        if (!sub->joined) {
            continue;
        }

        id = bytes_make(sub->connection->participant->id.data,
                        sub->connection->participant->id.len);

        if (except.len == 0 || !bytes_equal(id, except)) {
            ngx_mesh_room_connection_send_frame(sub->connection, frame);
        }
    }

    ngx_mesh_room_queue_release(frame);
}


/* Rooms and subscriptions. */

ngx_mesh_room_hub_room_t *
ngx_mesh_room_hub_room(ngx_mesh_room_hub_t *hub, bytes_t topic)
{
    ngx_str_t  name;

    name.data = (u_char *) topic.data;
    name.len = topic.len;

    return (ngx_mesh_room_hub_room_t *)
               ngx_str_rbtree_lookup(&hub->rooms, &name,
                                     ngx_crc32_short(name.data, name.len));
}


static ngx_mesh_room_hub_room_t *
ngx_mesh_room_hub_room_create(ngx_mesh_room_hub_t *hub, bytes_t topic)
{
    ngx_mesh_room_hub_room_t  *room;

    room = ngx_calloc(sizeof(ngx_mesh_room_hub_room_t), hub->log);
    if (room == NULL) {
        return NULL;
    }

    ngx_memcpy(room->id, topic.data, ID_LEN);

    room->hub = hub;
    room->inbox = (topic.data[0] == 'p');
    room->sn.str.data = room->id;
    room->sn.str.len = ID_LEN;
    room->sn.node.key = ngx_crc32_short(room->id, ID_LEN);

    ngx_queue_init(&room->early);
    ngx_rbtree_insert(&hub->rooms, &room->sn.node);

    return room;
}


static void
ngx_mesh_room_hub_room_destroy(ngx_mesh_room_hub_room_t *room)
{
    ngx_queue_t                *q;
    ngx_mesh_room_hub_early_t  *early;

    ngx_mesh_room_resync_remove(room);

    while (!ngx_queue_empty(&room->early)) {
        q = ngx_queue_head(&room->early);
        early = ngx_queue_data(q, ngx_mesh_room_hub_early_t, queue);

        ngx_mesh_room_hub_drop_early(room, early);
    }

    ngx_rbtree_delete(&room->hub->rooms, &room->sn.node);

    if (room->subscriptions != NULL) {
        ngx_free(room->subscriptions);
    }

    ngx_free(room);
}


static ngx_int_t
ngx_mesh_room_hub_room_grow(ngx_mesh_room_hub_room_t *room)
{
    ngx_uint_t                      size;
    ngx_mesh_room_subscription_t  **subscriptions;

    if (room->count < room->size) {
        return NGX_OK;
    }

    size = (room->size == 0) ? NGX_MESH_ROOM_HUB_SUBSCRIPTIONS
                             : room->size * 2;

    subscriptions = ngx_alloc(size * sizeof(ngx_mesh_room_subscription_t *),
                              room->hub->log);
    if (subscriptions == NULL) {
        return NGX_ERROR;
    }

    if (room->subscriptions != NULL) {
        ngx_memcpy(subscriptions, room->subscriptions,
                   room->count * sizeof(ngx_mesh_room_subscription_t *));
        ngx_free(room->subscriptions);
    }

    room->subscriptions = subscriptions;
    room->size = size;

    return NGX_OK;
}


ngx_mesh_room_subscription_t *
ngx_mesh_room_hub_add(ngx_mesh_room_hub_t *hub,
    ngx_mesh_room_connection_t *mc, bytes_t topic)
{
    ngx_mesh_room_hub_room_t      *room;
    ngx_mesh_room_subscription_t  *sub;

    room = ngx_mesh_room_hub_room(hub, topic);

    if (room == NULL) {
        room = ngx_mesh_room_hub_room_create(hub, topic);
        if (room == NULL) {
            return NULL;
        }
    }

    sub = ngx_calloc(sizeof(ngx_mesh_room_subscription_t), hub->log);

    if (sub == NULL || ngx_mesh_room_hub_room_grow(room) != NGX_OK) {

        if (sub != NULL) {
            ngx_free(sub);
        }

        if (room->count == 0) {
            ngx_mesh_room_hub_room_destroy(room);
        }

        return NULL;
    }

    sub->connection = mc;
    sub->room = room;
    sub->index = room->count;

    room->subscriptions[room->count++] = sub;
    ngx_queue_insert_tail(&mc->subscriptions, &sub->queue);

    return sub;
}


ngx_mesh_room_subscription_t *
ngx_mesh_room_hub_find(ngx_mesh_room_connection_t *mc, bytes_t topic)
{
    ngx_queue_t                   *q;
    ngx_mesh_room_subscription_t  *sub;

    if (topic.len != ID_LEN) {
        return NULL;
    }

    for (q = ngx_queue_head(&mc->subscriptions);
         q != ngx_queue_sentinel(&mc->subscriptions);
         q = ngx_queue_next(q))
    {
        sub = ngx_queue_data(q, ngx_mesh_room_subscription_t, queue);

        if (ngx_memcmp(sub->room->id, topic.data, ID_LEN) == 0) {
            return sub;
        }
    }

    return NULL;
}


void
ngx_mesh_room_hub_start(ngx_mesh_room_subscription_t *sub, uint64_t head,
    uint64_t after)
{
    ngx_mesh_room_hub_room_t  *room;

    room = sub->room;

    if (!room->ready) {
        room->ready = 1;
        room->delivered = head;
    }

    sub->delivered = after;

    (void) ngx_mesh_room_hub_live(sub);

    ngx_mesh_room_hub_drain(room);
}


ngx_int_t
ngx_mesh_room_hub_live(ngx_mesh_room_subscription_t *sub)
{
    if (sub->delivered < sub->room->delivered) {
        return NGX_AGAIN;
    }

    sub->live = 1;

    return NGX_OK;
}


void
ngx_mesh_room_hub_remove(ngx_mesh_room_subscription_t *sub)
{
    ngx_mesh_room_hub_room_t      *room;
    ngx_mesh_room_subscription_t  *last;

    room = sub->room;

    if (sub->job != NULL) {
        sub->job->data = NULL;
    }

    last = room->subscriptions[--room->count];

    room->subscriptions[sub->index] = last;
    last->index = sub->index;

    ngx_queue_remove(&sub->queue);
    ngx_free(sub);

    if (room->count == 0) {
        ngx_mesh_room_hub_room_destroy(room);
    }
}


/* Notices that say only that something changed. */

void
ngx_mesh_room_hub_tell_member(ngx_http_mesh_room_main_conf_t *mcf,
    ngx_str_t *room, ngx_str_t *participant)
{
    ngx_mesh_room_hub_publish(mcf, NGX_MESH_WAKE_MEMBER, room, participant);
}


void
ngx_mesh_room_hub_tell_room(ngx_http_mesh_room_main_conf_t *mcf,
    ngx_str_t *room)
{
    ngx_str_t  none = ngx_null_string;

    ngx_mesh_room_hub_publish(mcf, NGX_MESH_WAKE_ROOM, room, &none);
}


static void
ngx_mesh_room_hub_publish(ngx_http_mesh_room_main_conf_t *mcf,
    ngx_mesh_wake_kind_t kind, ngx_str_t *topic, ngx_str_t *payload)
{
    ngx_mesh_wake_t         *wake;
    ngx_mesh_wake_notice_t   notice;

    wake = mcf->store->wake;

    ngx_memzero(&notice, sizeof(ngx_mesh_wake_notice_t));

    notice.kind = kind;
    notice.topic = *topic;
    notice.payload = *payload;

    if (wake->publish(wake, &notice) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, mcf->log, 0,
                      "room: notice of a change in \"%V\" not published",
                      topic);
    }
}
