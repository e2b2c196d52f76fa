/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The shared encoding of a message: the form that is stored, which has no
 * seq since the store gives it, and the form of the wire and the API.
 *
 *     stored   {"id":"m_...","roomId":"r_...","senderId":"p_...",...}
 *     wire     {"type":"message","seq":42,"id":"m_...","roomId":...}
 *
 * The second is the first with a longer beginning: nothing is parsed and
 * nothing is escaped twice.  Pure but for pools.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "json_scan.h"
#include "json_write.h"
#include "timestamp.h"
#include "ngx_mesh_room.h"


static ngx_uint_t ngx_mesh_room_message_find_name(bytes_t text,
    bytes_t name);
static ngx_uint_t ngx_mesh_room_message_word(u_char ch);


void
ngx_mesh_room_message_store_write(bytes_writer_t *w,
    const ngx_mesh_room_message_t *message)
{
    uint8_t         buf[TIMESTAMP_LEN];
    json_write_t    j;
    bytes_writer_t  time;

    bytes_writer_open(&time, buf, sizeof(buf));
    timestamp_write(&time, message->ms);

    json_write_open(&j, w);
    json_write_object(&j);
    json_write_member(&j, "id", message->id);
    json_write_member(&j, "roomId", message->room);
    json_write_member(&j, "senderId", message->sender);
    json_write_member(&j, "senderName", message->sender_name);

    if (message->to.len != 0) {
        json_write_member(&j, "to", message->to);
    }

    json_write_member(&j, "content", message->content);
    json_write_member(&j, "timestamp", bytes_writer_view(&time));

    if (message->reply_to.len != 0) {
        json_write_member(&j, "replyTo", message->reply_to);
    }

    json_write_object_end(&j);

    if (time.failed) {
        w->failed = 1;
    }
}


void
ngx_mesh_room_message_write(bytes_writer_t *w, uint64_t seq, bytes_t stored)
{
    if (stored.len < 2 || stored.data[0] != '{') {
        w->failed = 1;
        return;
    }

    bytes_writer_text(w, "{\"type\":\"message\",\"seq\":");
    ngx_mesh_room_record_seq_write(w, seq);
    bytes_writer_byte(w, ',');
    bytes_writer_bytes(w, bytes_make(stored.data + 1, stored.len - 1));
}


bytes_t
ngx_mesh_room_message_encode(ngx_pool_t *pool, uint64_t seq, bytes_t stored)
{
    size_t           size;
    u_char          *p;
    bytes_writer_t   w;

    size = stored.len + NGX_MESH_ROOM_MESSAGE_EXTRA;

    p = ngx_pnalloc(pool, size);
    if (p == NULL) {
        return bytes_make(NULL, 0);
    }

    bytes_writer_open(&w, p, size);
    ngx_mesh_room_message_write(&w, seq, stored);

    return w.failed ? bytes_make(NULL, 0) : bytes_writer_view(&w);
}


ngx_uint_t
ngx_mesh_room_message_mention(bytes_t stored, bytes_t name, bytes_t id,
    bytes_writer_t *scratch)
{
    bytes_t      sender, text;
    uint8_t     *start;
    json_scan_t  object, value;

    if (name.len == 0
        || json_scan_open(stored, &object) != 0
        || object.type != JSON_SCAN_OBJECT
        || json_scan_find(&object, "senderId", &value) != 0
        || json_scan_plain(&value, &sender) != 0
        || bytes_equal(sender, id)
        || json_scan_find(&object, "content", &value) != 0)
    {
        return 0;
    }

    if (json_scan_plain(&value, &text) == 0) {
        return ngx_mesh_room_message_find_name(text, name);
    }

    start = scratch->pos;

    if (json_scan_string(&value, scratch) != 0) {
        return 0;
    }

    text = bytes_make(start, (size_t) (scratch->pos - start));
    scratch->pos = start;

    return ngx_mesh_room_message_find_name(text, name);
}


static ngx_uint_t
ngx_mesh_room_message_find_name(bytes_t text, bytes_t name)
{
    size_t         i;
    const u_char  *p;

    for (i = 0; i + 1 + name.len <= text.len; i++) {

        p = text.data + i;

        if (p[0] != '@'
            || ngx_strncasecmp((u_char *) p + 1, (u_char *) name.data,
                               name.len)
               != 0)
        {
            continue;
        }

        /* "a@b.example" is an address, "@adam" is not "@ada" */

        if (i > 0 && ngx_mesh_room_message_word(p[-1])) {
            continue;
        }

        if (i + 1 + name.len == text.len
            || !ngx_mesh_room_message_word(p[1 + name.len]))
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_mesh_room_message_word(u_char ch)
{
    return (ch >= '0' && ch <= '9')
           || (ch >= 'A' && ch <= 'Z')
           || (ch >= 'a' && ch <= 'z')
           || ch == '_'
           || ch == '-'
           || ch >= 0x80;
}
