/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * RFC 6455 frames: a parser that may stop at any byte, and the writer.
 *
 * Server side: client frames must be masked; reserved bits, reserved
 * opcodes, fragmented or long control frames, and lengths that are not
 * minimal or over the limit are refused with the right close code.  Text is
 * checked as UTF-8 over the whole message, also across fragments.
 */


#ifndef _WS_FRAME_H_INCLUDED_
#define _WS_FRAME_H_INCLUDED_


#include "bytes.h"


#define WS_FRAME_CONTROL_MAX    125     /* bytes, section 5.5 */
#define WS_FRAME_HEAD_MAX       14      /* bytes of a client's head */
#define WS_FRAME_FRAGMENTS_MAX  1024    /* of one message */


typedef enum {
    WS_FRAME_CONTINUATION = 0x0,
    WS_FRAME_TEXT = 0x1,
    WS_FRAME_BINARY = 0x2,
    WS_FRAME_CLOSE = 0x8,
    WS_FRAME_PING = 0x9,
    WS_FRAME_PONG = 0xa
} ws_frame_opcode_t;


/* Close codes, section 7.4. */
#define WS_CLOSE_NORMAL       1000
#define WS_CLOSE_GOING_AWAY   1001
#define WS_CLOSE_PROTOCOL     1002
#define WS_CLOSE_UNSUPPORTED  1003
#define WS_CLOSE_NONE         1005    /* never on the wire: no code given */
#define WS_CLOSE_INVALID      1007
#define WS_CLOSE_POLICY       1008
#define WS_CLOSE_TOO_BIG      1009
#define WS_CLOSE_INTERNAL     1011
#define WS_CLOSE_RESTART      1012
#define WS_CLOSE_TRY_LATER    1013


typedef enum {
    WS_FRAME_AGAIN = 0,           /* all input taken, nothing whole yet */
    WS_FRAME_MESSAGE,             /* p->message is one whole message */
    WS_FRAME_CONTROL,             /* p->message is a control payload */
    WS_FRAME_FAILED               /* p->close_code says why; sticky */
} ws_frame_rc_t;


/* One parser a connection.  "buf" is the caller's, borrowed, for the message
   being assembled; grow through ws_frame_buffer_set(). */
typedef struct {
    uint8_t            *buf;
    size_t              size;         /* bytes of buf */
    size_t              len;          /* bytes of message held */
    size_t              message_max;  /* bytes of one message */
    uint32_t            utf8;         /* UTF-8 state of the message */
    unsigned            state;        /* private */
    unsigned            fragments;
    uint8_t             head[WS_FRAME_HEAD_MAX];
    uint8_t             head_len;
    uint8_t             mask[4];
    uint8_t             opcode;       /* of the frame in hand */
    uint8_t             message_opcode;   /* of the message in hand */
    uint8_t             fin;
    uint8_t             in_message;   /* a fragmented message is open */
    uint8_t             control[WS_FRAME_CONTROL_MAX];
    size_t              control_len;
    uint64_t            left;         /* payload bytes of this frame to come */
    uint64_t            offset;       /* payload bytes seen: mask phase */
    size_t              need;         /* after AGAIN: buf must hold this much
                                         before more is fed; 0: it does */
    ws_frame_opcode_t   type;         /* after MESSAGE or CONTROL */
    bytes_t             message;      /* view into buf or control */
    uint16_t            close_code;   /* after FAILED: ours to send; after a
                                         CLOSE control: the peer's (1005 when
                                         it sent none) */
} ws_frame_parser_t;


/* Opens a parser with no buffer yet. */
void ws_frame_open(ws_frame_parser_t *p, size_t message_max);

/* Gives a (larger) buffer; held bytes must have been copied by the caller
   (ws_frame_parser_t.len of them). */
void ws_frame_buffer_set(ws_frame_parser_t *p, uint8_t *buf, size_t size);

/* Feeds *in and advances it.  Returns after each whole message or control
   frame; call again while *in has bytes.  On AGAIN with p->need != 0 the
   caller gives a buffer of at least that size and calls again; it is asked
   for when payload is there, not by a head alone, and grows with what came.
   A text is complete and valid UTF-8 when it comes out.  After a CLOSE all
   further input is skipped. */
ws_frame_rc_t ws_frame_parse(ws_frame_parser_t *p, bytes_t *in);

/* The message was used; the parser may reuse the buffer, or is given another
   (the old one must not be gone before).  The next ws_frame_parse() implies
   it. */
void ws_frame_taken(ws_frame_parser_t *p);

/* Bytes of the head of an unmasked (server) frame of that payload length. */
size_t ws_frame_head_len(uint64_t payload_len);

/* Writes such a head (FIN set). */
void ws_frame_head_write(bytes_writer_t *w, ws_frame_opcode_t opcode,
    uint64_t payload_len);

/* Writes a whole close frame; reason is cut to fit and to valid UTF-8.  For
   WS_CLOSE_NONE a frame without a body. */
void ws_frame_close_write(bytes_writer_t *w, uint16_t code, bytes_t reason);

/* 1 when a client may send that close code (7.4.1, 7.4.2). */
int ws_frame_close_code_valid(uint16_t code);

/* The value of Sec-WebSocket-Accept for a key (28 characters). */
void ws_frame_accept(bytes_writer_t *w, bytes_t key);


#endif /* _WS_FRAME_H_INCLUDED_ */
