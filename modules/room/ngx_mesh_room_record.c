/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What the store holds about rooms and their members, as JSON that is also
 * the JSON of the API, and the operations that change memberships.
 *
 *     rooms    room/<r_id>            a room
 *              of/<p_id>/<r_id>       the rooms of a participant
 *              read/<p_id>/<r_id>     up to which seq it has read
 *     <r_id>   member/<p_id>          a member; entries: the messages
 *     <p_id>   entries: where to find the direct messages it sent and got
 *
 * Pure but for pools: no clock, no store, no sockets.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <sodium.h>

#include "json_scan.h"
#include "json_write.h"
#include "timestamp.h"
#include "ngx_mesh_room.h"


/* A time that no room made by id_create() has: 48 bits of milliseconds. */
#define NGX_MESH_ROOM_RECORD_DIRECT_MS      0xffffffffffffLL
#define NGX_MESH_ROOM_RECORD_DIRECT_PREFIX  "r_7zzzzzzzzz"


static void ngx_mesh_room_record_write_time(json_write_t *j,
    const char *key, int64_t ms);
static ngx_int_t ngx_mesh_room_record_open(bytes_t json,
    json_scan_t *object);
static ngx_int_t ngx_mesh_room_record_read_text(const json_scan_t *object,
    const char *key, bytes_t *text, bytes_writer_t *scratch);
static ngx_int_t ngx_mesh_room_record_read_time(const json_scan_t *object,
    const char *key, int64_t *ms);
static void ngx_mesh_room_record_set_op(store_op_t *op,
    store_op_kind_t kind, store_condition_t condition, const char *ns);


void
ngx_mesh_room_record_write(bytes_writer_t *w,
    const ngx_mesh_room_record_t *room)
{
    json_write_t  j;

    json_write_open(&j, w);
    json_write_object(&j);
    json_write_member(&j, "id", room->id);
    json_write_member(&j, "name", room->name);
    json_write_member_text(&j, "kind", room->direct ? "dm" : "room");
    json_write_member_text(&j, "visibility",
                           room->visibility == NGX_MESH_ROOM_PRIVATE
                           ? "private" : "public");
    json_write_member(&j, "createdBy", room->created_by);
    ngx_mesh_room_record_write_time(&j, "createdAt", room->created_ms);

    if (room->topic.len != 0) {
        json_write_member(&j, "topic", room->topic);
    }

    json_write_object_end(&j);
}


void
ngx_mesh_room_record_member_write(bytes_writer_t *w,
    const ngx_mesh_room_member_t *member)
{
    json_write_t  j;

    json_write_open(&j, w);
    json_write_object(&j);
    json_write_member(&j, "id", member->id);
    json_write_member(&j, "name", member->name);
    json_write_member_text(&j, "role", member->owner ? "owner" : "member");
    ngx_mesh_room_record_write_time(&j, "joinedAt", member->joined_ms);
    json_write_object_end(&j);
}


static void
ngx_mesh_room_record_write_time(json_write_t *j, const char *key,
    int64_t ms)
{
    uint8_t         buf[TIMESTAMP_LEN];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));
    timestamp_write(&w, ms);

    if (w.failed) {
        j->out->failed = 1;
        return;
    }

    json_write_member(j, key, bytes_writer_view(&w));
}


ngx_int_t
ngx_mesh_room_record_read(ngx_mesh_room_record_t *room, bytes_t json,
    bytes_writer_t *scratch)
{
    bytes_t      kind, visibility;
    json_scan_t  object, value;

    ngx_memzero(room, sizeof(ngx_mesh_room_record_t));

    if (ngx_mesh_room_record_open(json, &object) != NGX_OK
        || ngx_mesh_room_record_read_text(&object, "id", &room->id, scratch)
           != NGX_OK
        || ngx_mesh_room_record_read_text(&object, "name", &room->name,
                                          scratch)
           != NGX_OK
        || ngx_mesh_room_record_read_text(&object, "kind", &kind, scratch)
           != NGX_OK
        || ngx_mesh_room_record_read_text(&object, "visibility", &visibility,
                                          scratch)
           != NGX_OK
        || ngx_mesh_room_record_read_text(&object, "createdBy",
                                          &room->created_by, scratch)
           != NGX_OK
        || ngx_mesh_room_record_read_time(&object, "createdAt",
                                          &room->created_ms)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    room->direct = bytes_equal_text(kind, "dm");

    /* what is not plainly public is private */

    room->visibility = bytes_equal_text(visibility, "public")
                       ? NGX_MESH_ROOM_PUBLIC : NGX_MESH_ROOM_PRIVATE;

    if (json_scan_find(&object, "topic", &value) == 0) {
        return ngx_mesh_room_record_read_text(&object, "topic", &room->topic,
                                              scratch);
    }

    return NGX_OK;
}


ngx_int_t
ngx_mesh_room_record_member_read(ngx_mesh_room_member_t *member,
    bytes_t json, bytes_writer_t *scratch)
{
    bytes_t      role;
    json_scan_t  object;

    ngx_memzero(member, sizeof(ngx_mesh_room_member_t));

    if (ngx_mesh_room_record_open(json, &object) != NGX_OK
        || ngx_mesh_room_record_read_text(&object, "id", &member->id,
                                          scratch)
           != NGX_OK
        || ngx_mesh_room_record_read_text(&object, "name", &member->name,
                                          scratch)
           != NGX_OK
        || ngx_mesh_room_record_read_text(&object, "role", &role, scratch)
           != NGX_OK
        || ngx_mesh_room_record_read_time(&object, "joinedAt",
                                          &member->joined_ms)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    member->owner = bytes_equal_text(role, "owner");

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_room_record_open(bytes_t json, json_scan_t *object)
{
    if (json_scan_validate(json, NULL) != JSON_SCAN_OK
        || json_scan_open(json, object) != 0
        || object->type != JSON_SCAN_OBJECT)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_room_record_read_text(const json_scan_t *object, const char *key,
    bytes_t *text, bytes_writer_t *scratch)
{
    uint8_t      *start;
    json_scan_t   value;

    if (json_scan_find(object, key, &value) != 0
        || value.type != JSON_SCAN_STRING)
    {
        return NGX_ERROR;
    }

    if (json_scan_plain(&value, text) == 0) {
        return NGX_OK;
    }

    start = scratch->pos;

    if (json_scan_string(&value, scratch) != 0) {
        return NGX_ERROR;
    }

    *text = bytes_make(start, (size_t) (scratch->pos - start));

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_room_record_read_time(const json_scan_t *object, const char *key,
    int64_t *ms)
{
    bytes_t      text;
    json_scan_t  value;

    if (json_scan_find(object, key, &value) != 0
        || json_scan_plain(&value, &text) != 0
        || timestamp_parse(text, ms) != 0)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_mesh_room_record_direct_id(u_char *out, bytes_t a, bytes_t b)
{
    bytes_t                   swap;
    uint8_t                   digest[crypto_generichash_BYTES_MIN];
    crypto_generichash_state  state;

    if (ngx_memn2cmp((u_char *) a.data, (u_char *) b.data, a.len, b.len)
        > 0)
    {
        swap = a;
        a = b;
        b = swap;
    }

    crypto_generichash_init(&state, NULL, 0, sizeof(digest));
    crypto_generichash_update(&state, a.data, a.len);
    crypto_generichash_update(&state, (const uint8_t *) "/", 1);
    crypto_generichash_update(&state, b.data, b.len);
    crypto_generichash_final(&state, digest, sizeof(digest));

    id_write((char *) out, 'r', NGX_MESH_ROOM_RECORD_DIRECT_MS, digest);
}


ngx_uint_t
ngx_mesh_room_record_direct(bytes_t id)
{
    bytes_t  prefix = bytes_literal(NGX_MESH_ROOM_RECORD_DIRECT_PREFIX);

    return id.len == ID_LEN && bytes_start_with(id, prefix);
}


bytes_t
ngx_mesh_room_record_key(ngx_pool_t *pool, const char *kind, bytes_t a,
    bytes_t b)
{
    size_t           size;
    u_char          *p;
    bytes_writer_t   w;

    size = ngx_strlen(kind) + 1 + a.len + 1 + b.len;

    p = ngx_pnalloc(pool, size);
    if (p == NULL) {
        return bytes_make(NULL, 0);
    }

    bytes_writer_open(&w, p, size);
    record_key(&w, kind, a, b);

    return bytes_writer_view(&w);
}


bytes_t
ngx_mesh_room_record_copy(ngx_pool_t *pool, bytes_t text)
{
    u_char  *p;

    p = ngx_pnalloc(pool, text.len + 1);
    if (p == NULL) {
        return bytes_make(NULL, 0);
    }

    if (text.len != 0) {
        ngx_memcpy(p, text.data, text.len);
    }

    return bytes_make(p, text.len);
}


ngx_int_t
ngx_mesh_room_record_join_ops(ngx_pool_t *pool, store_op_t *ops,
    bytes_t room, const ngx_mesh_room_member_t *member, uint64_t head)
{
    u_char          *p;
    size_t           size;
    bytes_t          none = bytes_make(NULL, 0);
    bytes_writer_t   w;

    size = NGX_MESH_ROOM_RECORD_MAX;

    p = ngx_pnalloc(pool, size + NGX_MESH_ROOM_SEQ_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_mesh_room_record_set_op(&ops[0], STORE_CHECK, STORE_IF_PRESENT,
                                RECORD_NS_ROOMS);
    ops[0].key = ngx_mesh_room_record_key(pool, "room", room, none);

    bytes_writer_open(&w, p, size);
    ngx_mesh_room_record_member_write(&w, member);

    ngx_mesh_room_record_set_op(&ops[1], STORE_PUT, STORE_IF_ABSENT, NULL);
    ops[1].ns = ngx_mesh_room_record_copy(pool, room);
    ops[1].key = ngx_mesh_room_record_key(pool, "member", member->id, none);
    ops[1].value = bytes_writer_view(&w);

    ngx_mesh_room_record_set_op(&ops[2], STORE_PUT, STORE_ANY,
                                RECORD_NS_ROOMS);
    ops[2].key = ngx_mesh_room_record_key(pool, "of", member->id, room);

    if (w.failed) {
        return NGX_ERROR;
    }

    bytes_writer_open(&w, p + size, NGX_MESH_ROOM_SEQ_LEN);
    ngx_mesh_room_record_seq_write(&w, head);

    ngx_mesh_room_record_set_op(&ops[3], STORE_PUT, STORE_ANY,
                                RECORD_NS_ROOMS);
    ops[3].key = ngx_mesh_room_record_key(pool, "read", member->id, room);
    ops[3].value = bytes_writer_view(&w);

    if (ops[0].key.len == 0 || ops[1].ns.len == 0 || ops[1].key.len == 0
        || ops[2].key.len == 0 || ops[3].key.len == 0)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_mesh_room_record_leave_ops(ngx_pool_t *pool, store_op_t *ops,
    bytes_t room, bytes_t participant)
{
    bytes_t  none = bytes_make(NULL, 0);

    ngx_mesh_room_record_set_op(&ops[0], STORE_DELETE, STORE_IF_PRESENT,
                                NULL);
    ops[0].ns = ngx_mesh_room_record_copy(pool, room);
    ops[0].key = ngx_mesh_room_record_key(pool, "member", participant, none);

    ngx_mesh_room_record_set_op(&ops[1], STORE_DELETE, STORE_ANY,
                                RECORD_NS_ROOMS);
    ops[1].key = ngx_mesh_room_record_key(pool, "of", participant, room);

    ngx_mesh_room_record_set_op(&ops[2], STORE_DELETE, STORE_ANY,
                                RECORD_NS_ROOMS);
    ops[2].key = ngx_mesh_room_record_key(pool, "read", participant, room);

    if (ops[0].ns.len == 0 || ops[0].key.len == 0 || ops[1].key.len == 0
        || ops[2].key.len == 0)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_mesh_room_record_set_op(store_op_t *op, store_op_kind_t kind,
    store_condition_t condition, const char *ns)
{
    ngx_memzero(op, sizeof(store_op_t));

    op->kind = kind;
    op->condition = condition;

    if (ns != NULL) {
        op->ns = bytes_of(ns);
    }
}


void
ngx_mesh_room_record_seq_write(bytes_writer_t *w, uint64_t seq)
{
    u_char   buf[NGX_MESH_ROOM_SEQ_LEN];
    u_char  *last;

    last = ngx_snprintf(buf, sizeof(buf), "%uL", seq);

    bytes_writer_put(w, buf, last - buf);
}


uint64_t
ngx_mesh_room_record_seq_read(bytes_t text)
{
    size_t    i;
    uint64_t  seq;

    if (text.len == 0 || text.len >= NGX_MESH_ROOM_SEQ_LEN) {
        return 0;
    }

    seq = 0;

    for (i = 0; i < text.len; i++) {

        if (text.data[i] < '0' || text.data[i] > '9') {
            return 0;
        }

        seq = seq * 10 + (text.data[i] - '0');
    }

    return seq;
}
