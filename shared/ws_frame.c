/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * RFC 6455 frames, server side: a parser that may stop at any byte, and the
 * writer of heads and close frames.
 *
 * Pure: any thread, no heap; a parser belongs to one connection.  Section 5.2:
 *
 *      0               1               2               3
 *     +-+-+-+-+-------+-+-------------+-------------------------------+
 *     |F|R|R|R| opcode|M| Payload len |  extended, 16 bits when 126   |
 *     |I|S|S|S|  (4)  |A|     (7)     |            64 bits when 127   |
 *     |N|V|V|V|       |S|             |                               |
 *     |1|1|2|3|       |K|             |                               |
 *     +-+-+-+-+-------+-+-------------+ - - - - - - - - - - - - - - - +
 *     |  masking key, 4 bytes, always there from a client             |
 *     +---------------------------------------------------------------+
 *     |  payload, masked                                              |
 *
 *     HEAD ---> DATA -----> HEAD               fragment
 *      | ^       +--------> READY ---> HEAD    message; taken
 *      | +--- CONTROL                          ping, pong
 *      |         +--------> CLOSED             close: the rest is skipped
 *      +--------------------> FAILED           any breach, from any state
 *
 * What breaks the protocol is refused at the first byte that shows it: no
 * buffer is asked for a length that is over the limit, and none before
 * payload arrives.
 */


#include "ws_frame.h"
#include "base64.h"
#include "sha1.h"
#include "utf8.h"


#define WS_FRAME_FIN          0x80
#define WS_FRAME_RSV          0x70
#define WS_FRAME_OPCODE       0x0f
#define WS_FRAME_MASK         0x80
#define WS_FRAME_LEN          0x7f
#define WS_FRAME_LEN_16       126
#define WS_FRAME_LEN_64       127

#define WS_FRAME_BUFFER_MIN   4096    /* bytes first asked for, if that many */

#define WS_FRAME_ACCEPT_GUID  "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


typedef enum {
    WS_FRAME_HEAD = 0,
    WS_FRAME_DATA,
    WS_FRAME_IN_CONTROL,
    WS_FRAME_READY,
    WS_FRAME_CLOSED,
    WS_FRAME_BROKEN
} ws_frame_state_t;


static ws_frame_rc_t parse_head(ws_frame_parser_t *p, bytes_t *in);
static int check_first(ws_frame_parser_t *p, uint8_t byte);
static int check_second(ws_frame_parser_t *p, uint8_t byte);
static int check_length(ws_frame_parser_t *p);
static ws_frame_rc_t open_payload(ws_frame_parser_t *p);
static ws_frame_rc_t parse_data(ws_frame_parser_t *p, bytes_t *in);
static size_t find_need(const ws_frame_parser_t *p, bytes_t in);
static ws_frame_rc_t parse_control(ws_frame_parser_t *p, bytes_t *in);
static bytes_t take_payload(ws_frame_parser_t *p, bytes_t *in, uint8_t *out,
    size_t room);
static void unmask(uint8_t *out, bytes_t in, const uint8_t *mask,
    uint64_t phase);
static ws_frame_rc_t close_data(ws_frame_parser_t *p);
static ws_frame_rc_t close_control(ws_frame_parser_t *p);
static int check_close(ws_frame_parser_t *p);
static int fail(ws_frame_parser_t *p, uint16_t code);
static size_t extended_len(uint8_t byte);


void
ws_frame_open(ws_frame_parser_t *p, size_t message_max)
{
    memset(p, 0, sizeof(ws_frame_parser_t));

    p->message_max = message_max;
    p->utf8 = UTF8_START;
    p->state = WS_FRAME_HEAD;
}


void
ws_frame_buffer_set(ws_frame_parser_t *p, uint8_t *buf, size_t size)
{
    p->buf = buf;
    p->size = size;

    if (size >= p->need) {
        p->need = 0;
    }
}


ws_frame_rc_t
ws_frame_parse(ws_frame_parser_t *p, bytes_t *in)
{
    ws_frame_rc_t  rc;

    if (p->state == WS_FRAME_READY) {
        ws_frame_taken(p);
    }

    p->need = 0;

    for ( ;; ) {

        switch (p->state) {

        case WS_FRAME_HEAD:
            rc = parse_head(p, in);
            break;

        case WS_FRAME_DATA:
            rc = parse_data(p, in);
            break;

        case WS_FRAME_IN_CONTROL:
            rc = parse_control(p, in);
            break;

        case WS_FRAME_CLOSED:

            /* section 5.5.1: nothing counts after a close frame */

            *in = bytes_make(in->data, 0);
            return WS_FRAME_AGAIN;

        default:
            return WS_FRAME_FAILED;
        }

        if (rc != WS_FRAME_AGAIN || in->len == 0 || p->need != 0) {
            return rc;
        }
    }
}


void
ws_frame_taken(ws_frame_parser_t *p)
{
    if (p->state != WS_FRAME_READY) {
        return;
    }

    p->len = 0;
    p->message = bytes_make(NULL, 0);
    p->state = WS_FRAME_HEAD;
}


/* The head. */

static ws_frame_rc_t
parse_head(ws_frame_parser_t *p, bytes_t *in)
{
    int      rc;
    size_t   extended;
    uint8_t  byte;

    while (in->len != 0) {

        byte = *in->data;
        in->data++;
        in->len--;

        p->head[p->head_len++] = byte;

        if (p->head_len == 1) {
            if (check_first(p, byte) != 0) {
                return WS_FRAME_FAILED;
            }

            continue;
        }

        extended = extended_len(p->head[1]);
        rc = 0;

        if (p->head_len == 2) {
            rc = check_second(p, byte);
        }

        if (rc == 0 && p->head_len == 2 + extended) {
            rc = check_length(p);
        }

        if (rc != 0) {
            return WS_FRAME_FAILED;
        }

        if (p->head_len == 2 + extended + sizeof(p->mask)) {
            memcpy(p->mask, p->head + 2 + extended, sizeof(p->mask));
            return open_payload(p);
        }
    }

    return WS_FRAME_AGAIN;
}


static int
check_first(ws_frame_parser_t *p, uint8_t byte)
{
    if (byte & WS_FRAME_RSV) {
        return fail(p, WS_CLOSE_PROTOCOL);
    }

    p->fin = (byte & WS_FRAME_FIN) != 0;
    p->opcode = byte & WS_FRAME_OPCODE;

    switch (p->opcode) {

    case WS_FRAME_CONTINUATION:
        if (!p->in_message) {
            return fail(p, WS_CLOSE_PROTOCOL);
        }

        break;

    case WS_FRAME_TEXT:
    case WS_FRAME_BINARY:
        if (p->in_message) {
            return fail(p, WS_CLOSE_PROTOCOL);
        }

        p->message_opcode = p->opcode;
        return 0;

    case WS_FRAME_CLOSE:
    case WS_FRAME_PING:
    case WS_FRAME_PONG:
        return p->fin ? 0 : fail(p, WS_CLOSE_PROTOCOL);

    default:
        return fail(p, WS_CLOSE_PROTOCOL);
    }

    /* empty fragments cost the sender nothing and would never end */

    if (p->fragments >= WS_FRAME_FRAGMENTS_MAX) {
        return fail(p, WS_CLOSE_POLICY);
    }

    return 0;
}


static int
check_second(ws_frame_parser_t *p, uint8_t byte)
{
    if (!(byte & WS_FRAME_MASK)) {
        return fail(p, WS_CLOSE_PROTOCOL);
    }

    if (p->opcode >= WS_FRAME_CLOSE
        && (byte & WS_FRAME_LEN) > WS_FRAME_CONTROL_MAX)
    {
        return fail(p, WS_CLOSE_PROTOCOL);
    }

    return 0;
}


/* Section 5.2: the shortest form that holds the length, below 2^63. */
static int
check_length(ws_frame_parser_t *p)
{
    size_t    i, extended;
    uint64_t  len;

    extended = extended_len(p->head[1]);
    len = p->head[1] & WS_FRAME_LEN;

    if (extended != 0) {
        len = 0;

        for (i = 0; i < extended; i++) {
            len = len << 8 | p->head[2 + i];
        }

        if (len >> 63
            || (extended == 2 && len < WS_FRAME_LEN_16)
            || (extended == 8 && len <= 0xffff))
        {
            return fail(p, WS_CLOSE_PROTOCOL);
        }
    }

    if (p->opcode < WS_FRAME_CLOSE && len > p->message_max - p->len) {
        return fail(p, WS_CLOSE_TOO_BIG);
    }

    p->left = len;

    return 0;
}


static ws_frame_rc_t
open_payload(ws_frame_parser_t *p)
{
    p->head_len = 0;
    p->offset = 0;

    if (p->opcode >= WS_FRAME_CLOSE) {
        p->control_len = 0;
        p->state = WS_FRAME_IN_CONTROL;

        return (p->left == 0) ? close_control(p) : WS_FRAME_AGAIN;
    }

    p->in_message = 1;
    p->fragments++;
    p->state = WS_FRAME_DATA;

    return (p->left == 0) ? close_data(p) : WS_FRAME_AGAIN;
}


/* Payloads. */

static ws_frame_rc_t
parse_data(ws_frame_parser_t *p, bytes_t *in)
{
    size_t   need;
    bytes_t  taken;

    if (in->len == 0) {
        return WS_FRAME_AGAIN;
    }

    need = find_need(p, *in);

    if (need > p->size) {
        p->need = need;
        return WS_FRAME_AGAIN;
    }

    taken = take_payload(p, in, p->buf + p->len, p->size - p->len);
    p->len += taken.len;

    if (p->message_opcode == WS_FRAME_TEXT) {
        p->utf8 = utf8_feed(p->utf8, taken);

        if (p->utf8 == UTF8_REJECT) {
            fail(p, WS_CLOSE_INVALID);
            return WS_FRAME_FAILED;
        }
    }

    return (p->left == 0) ? close_data(p) : WS_FRAME_AGAIN;
}


/*
 * The buffer that the payload at hand needs.  What is only announced does not
 * count but for a first small step, and doubling later, so that a head alone
 * costs nothing and a long message few copies.
 */

static size_t
find_need(const ws_frame_parser_t *p, bytes_t in)
{
    size_t  step;

    if (p->left <= in.len) {
        return p->len + (size_t) p->left;
    }

    if (p->len + in.len <= p->size) {
        return p->len + in.len;
    }

    step = (p->len > WS_FRAME_BUFFER_MIN) ? p->len : WS_FRAME_BUFFER_MIN;
    step = (step > in.len) ? step : in.len;

    return p->len + ((p->left < step) ? (size_t) p->left : step);
}


static ws_frame_rc_t
parse_control(ws_frame_parser_t *p, bytes_t *in)
{
    bytes_t  taken;

    taken = take_payload(p, in, p->control + p->control_len,
                         sizeof(p->control) - p->control_len);
    p->control_len += taken.len;

    return (p->left == 0) ? close_control(p) : WS_FRAME_AGAIN;
}


/* Unmasks what there is of this frame into "out"; a view of that. */
static bytes_t
take_payload(ws_frame_parser_t *p, bytes_t *in, uint8_t *out, size_t room)
{
    size_t  n;

    n = (in->len < room) ? in->len : room;
    n = (p->left < n) ? (size_t) p->left : n;

    unmask(out, bytes_make(in->data, n), p->mask, p->offset);

    p->left -= n;
    p->offset += n;
    in->data += n;
    in->len -= n;

    return bytes_make(out, n);
}


/* Section 5.3, eight bytes at a time. */
static void
unmask(uint8_t *out, bytes_t in, const uint8_t *mask, uint64_t phase)
{
    size_t    i;
    uint8_t   turned[8];
    uint64_t  word, key;

    for (i = 0; i < sizeof(turned); i++) {
        turned[i] = mask[(phase + i) & 3];
    }

    memcpy(&key, turned, sizeof(key));

    for (i = 0; i + sizeof(word) <= in.len; i += sizeof(word)) {
        memcpy(&word, in.data + i, sizeof(word));
        word ^= key;
        memcpy(out + i, &word, sizeof(word));
    }

    for ( /* void */ ; i < in.len; i++) {
        out[i] = in.data[i] ^ turned[i & 7];
    }
}


static ws_frame_rc_t
close_data(ws_frame_parser_t *p)
{
    p->state = WS_FRAME_HEAD;

    if (!p->fin) {
        return WS_FRAME_AGAIN;
    }

    if (p->message_opcode == WS_FRAME_TEXT && p->utf8 != UTF8_START) {
        fail(p, WS_CLOSE_INVALID);
        return WS_FRAME_FAILED;
    }

    p->in_message = 0;
    p->fragments = 0;
    p->utf8 = UTF8_START;
    p->type = (ws_frame_opcode_t) p->message_opcode;
    p->message = bytes_make(p->buf, p->len);
    p->state = WS_FRAME_READY;

    return WS_FRAME_MESSAGE;
}


static ws_frame_rc_t
close_control(ws_frame_parser_t *p)
{
    p->state = WS_FRAME_HEAD;

    if (p->opcode == WS_FRAME_CLOSE) {
        if (check_close(p) != 0) {
            return WS_FRAME_FAILED;
        }

        p->state = WS_FRAME_CLOSED;
    }

    p->type = (ws_frame_opcode_t) p->opcode;
    p->message = bytes_make(p->control, p->control_len);

    return WS_FRAME_CONTROL;
}


/* Section 5.5.1: nothing, or a code that may be sent and a reason in UTF-8. */
static int
check_close(ws_frame_parser_t *p)
{
    uint16_t  code;

    if (p->control_len == 0) {
        p->close_code = WS_CLOSE_NONE;
        return 0;
    }

    if (p->control_len == 1) {
        return fail(p, WS_CLOSE_PROTOCOL);
    }

    code = (uint16_t) (p->control[0] << 8 | p->control[1]);

    if (!ws_frame_close_code_valid(code)) {
        return fail(p, WS_CLOSE_PROTOCOL);
    }

    if (!utf8_valid(bytes_make(p->control + 2, p->control_len - 2))) {
        return fail(p, WS_CLOSE_INVALID);
    }

    p->close_code = code;

    return 0;
}


static int
fail(ws_frame_parser_t *p, uint16_t code)
{
    p->state = WS_FRAME_BROKEN;
    p->close_code = code;
    p->need = 0;

    return -1;
}


static size_t
extended_len(uint8_t byte)
{
    switch (byte & WS_FRAME_LEN) {

    case WS_FRAME_LEN_16:
        return 2;

    case WS_FRAME_LEN_64:
        return 8;

    default:
        return 0;
    }
}


/* The writer. */

size_t
ws_frame_head_len(uint64_t payload_len)
{
    if (payload_len < WS_FRAME_LEN_16) {
        return 2;
    }

    return (payload_len <= 0xffff) ? 4 : 10;
}


void
ws_frame_head_write(bytes_writer_t *w, ws_frame_opcode_t opcode,
    uint64_t payload_len)
{
    size_t   i, len;
    uint8_t  head[10];

    len = ws_frame_head_len(payload_len);

    head[0] = (uint8_t) (WS_FRAME_FIN | opcode);
    head[1] = (len == 2) ? (uint8_t) payload_len
                         : (len == 4) ? WS_FRAME_LEN_16 : WS_FRAME_LEN_64;

    for (i = 2; i < len; i++) {
        head[i] = (uint8_t) (payload_len >> (len - 1 - i) * 8);
    }

    bytes_writer_put(w, head, len);
}


void
ws_frame_close_write(bytes_writer_t *w, uint16_t code, bytes_t reason)
{
    uint8_t  big[2];

    if (code == WS_CLOSE_NONE) {
        ws_frame_head_write(w, WS_FRAME_CLOSE, 0);
        return;
    }

    if (reason.len > WS_FRAME_CONTROL_MAX - sizeof(big)) {
        reason.len = WS_FRAME_CONTROL_MAX - sizeof(big);
    }

    while (reason.len != 0 && !utf8_valid(reason)) {
        reason.len--;
    }

    big[0] = (uint8_t) (code >> 8);
    big[1] = (uint8_t) code;

    ws_frame_head_write(w, WS_FRAME_CLOSE, sizeof(big) + reason.len);
    bytes_writer_put(w, big, sizeof(big));
    bytes_writer_bytes(w, reason);
}


int
ws_frame_close_code_valid(uint16_t code)
{
    if (code >= 3000) {
        return code <= 4999;
    }

    /* 1012 to 1014 are in the registry of section 11.7 */

    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}


void
ws_frame_accept(bytes_writer_t *w, bytes_t key)
{
    sha1_t          sha1;
    uint8_t         digest[SHA1_SIZE];
    bytes_writer_t  out;

    sha1_open(&sha1);
    sha1_feed(&sha1, key);
    sha1_feed(&sha1, bytes_of(WS_FRAME_ACCEPT_GUID));

    bytes_writer_open(&out, digest, sizeof(digest));
    sha1_write(&sha1, &out);

    if (base64_encode(BASE64_STD, bytes_writer_view(&out), w) != 0) {
        w->failed = 1;
    }
}
