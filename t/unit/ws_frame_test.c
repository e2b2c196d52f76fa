/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * ws_frame.c: a table of what clients send and what must come of it, each
 * case whole, byte by byte and in threes; limits; buffers; the writer.
 *
 * What comes of it is a line: T(text) B(binary) 8:code(reason) 9(ping)
 * A(pong) and !code for a refusal.  Buffers are exactly as large as asked
 * for, so that a sanitizer sees a byte too many.
 */


#include <stdlib.h>

#include "tap.h"
#include "ws_frame.h"


#define LINE_MAX_BYTES  512
#define MESSAGE_MAX     1000      /* of the table's parsers */

#define KEY   "\x37\xfa\x21\x3d"  /* of the examples in section 5.7 */
#define HELLO "\x7f\x9f\x4d\x51\x58"
#define NONE  "\x00\x00\x00\x00"  /* a mask that changes nothing */


typedef struct {
    const char  *name;
    bytes_t      input;
    const char  *line;
} frame_case_t;


static void test_table(void);
static void test_lengths(void);
static void test_length(uint64_t len, size_t message_max, uint16_t code);
static void test_head_asks_nothing(void);
static void test_buffer_grows_with_payload(void);
static void test_fragments(void);
static void test_masks(void);
static void test_close_codes(void);
static void test_heads(void);
static void test_close_write(void);
static void test_accept(void);
static void run(const frame_case_t *c, size_t step, char *line);
static void write_line(char *line, const ws_frame_parser_t *p,
    ws_frame_rc_t rc);
static void grow(ws_frame_parser_t *p);
static void write_frame(bytes_writer_t *w, uint8_t first, uint64_t len);


static const frame_case_t  cases[] = {

    /* what is right */

    { "the masked text of section 5.7", bytes_literal("\x81\x85" KEY HELLO),
      "T(Hello)" },
    { "two messages", bytes_literal("\x81\x81" NONE "a" "\x82\x81" NONE "b"),
      "T(a)B(b)" },
    { "an empty text", bytes_literal("\x81\x80" NONE), "T()" },
    { "an empty binary", bytes_literal("\x82\x80" KEY), "B()" },
    { "a text in two fragments",
      bytes_literal("\x01\x83" NONE "Hel" "\x80\x82" NONE "lo"), "T(Hello)" },
    { "fragments, empty first and last",
      bytes_literal("\x01\x80" NONE "\x00\x82" NONE "ab" "\x80\x80" NONE),
      "T(ab)" },
    { "an empty text in fragments",
      bytes_literal("\x01\x80" NONE "\x80\x80" NONE), "T()" },
    { "a ping between fragments",
      bytes_literal("\x01\x81" NONE "a" "\x89\x82" NONE "hi"
                    "\x80\x81" NONE "b"), "9(hi)T(ab)" },
    { "a ping, a pong, empty", bytes_literal("\x89\x80" KEY "\x8a\x80" KEY),
      "9()A()" },
    { "a code point over two fragments",
      bytes_literal("\x01\x82" NONE "\xe2\x82" "\x80\x81" NONE "\xac"),
      "T(\xe2\x82\xac)" },
    { "binary that is no UTF-8", bytes_literal("\x82\x82" NONE "\xff\xfe"),
      "B(\xff\xfe)" },
    { "a close without a code", bytes_literal("\x88\x80" NONE), "8:1005()" },
    { "a close with a code", bytes_literal("\x88\x82" NONE "\x03\xe8"),
      "8:1000()" },
    { "a close with a reason",
      bytes_literal("\x88\x85" NONE "\x03\xe9" "bye"), "8:1001(bye)" },
    { "a close inside a fragmented message",
      bytes_literal("\x01\x81" NONE "a" "\x88\x80" NONE), "8:1005()" },
    { "what follows a close is skipped",
      bytes_literal("\x88\x80" NONE "\xff\xff\xff"), "8:1005()" },
    { "126 bytes in the 16-bit form",
      bytes_literal("\x82\xfe\x00\x7e" NONE
                    "0123456789012345678901234567890123456789"
                    "0123456789012345678901234567890123456789"
                    "0123456789012345678901234567890123456789012345"),
      "B(0123456789012345678901234567890123456789"
      "0123456789012345678901234567890123456789"
      "0123456789012345678901234567890123456789012345)" },

    /* masking, reserved bits, opcodes */

    { "a text without a mask", bytes_literal("\x81\x05Hello"), "!1002" },
    { "a ping without a mask", bytes_literal("\x89\x00"), "!1002" },
    { "reserved bit 1", bytes_literal("\xc1\x80" NONE), "!1002" },
    { "reserved bit 2", bytes_literal("\xa1\x80" NONE), "!1002" },
    { "reserved bit 3", bytes_literal("\x91\x80" NONE), "!1002" },
    { "reserved bit on a ping", bytes_literal("\xc9\x80" NONE), "!1002" },
    { "opcode 3", bytes_literal("\x83\x80" NONE), "!1002" },
    { "opcode 7", bytes_literal("\x87\x80" NONE), "!1002" },
    { "opcode 11", bytes_literal("\x8b\x80" NONE), "!1002" },
    { "opcode 15", bytes_literal("\x8f\x80" NONE), "!1002" },
    { "a reserved opcode after a good message",
      bytes_literal("\x81\x81" NONE "a" "\x83\x80" NONE), "T(a)!1002" },
    { "the first byte is enough", bytes_literal("\x83"), "!1002" },
    { "the second byte is enough", bytes_literal("\x81\x05"), "!1002" },

    /* fragments */

    { "a continuation of nothing", bytes_literal("\x80\x81" NONE "a"),
      "!1002" },
    { "an open continuation of nothing", bytes_literal("\x00\x81" NONE "a"),
      "!1002" },
    { "a continuation after a whole message",
      bytes_literal("\x81\x81" NONE "a" "\x80\x81" NONE "b"), "T(a)!1002" },
    { "a text inside a fragmented text",
      bytes_literal("\x01\x81" NONE "a" "\x81\x81" NONE "b"), "!1002" },
    { "a binary inside a fragmented text",
      bytes_literal("\x01\x81" NONE "a" "\x02\x81" NONE "b"), "!1002" },

    /* control frames */

    { "a fragmented ping", bytes_literal("\x09\x81" NONE "a"), "!1002" },
    { "a fragmented close", bytes_literal("\x08\x80" NONE), "!1002" },
    { "a ping of 126 bytes", bytes_literal("\x89\xfe\x00\x7e" NONE),
      "!1002" },
    { "a ping in the 64-bit form", bytes_literal("\x89\xff"), "!1002" },
    { "a close with one byte", bytes_literal("\x88\x81" NONE "\x03"),
      "!1002" },
    { "a close 1005", bytes_literal("\x88\x82" NONE "\x03\xed"), "!1002" },
    { "a close 1006", bytes_literal("\x88\x82" NONE "\x03\xee"), "!1002" },
    { "a close 1015", bytes_literal("\x88\x82" NONE "\x03\xf7"), "!1002" },
    { "a close 999", bytes_literal("\x88\x82" NONE "\x03\xe7"), "!1002" },
    { "a close 0", bytes_literal("\x88\x82" NONE "\x00\x00"), "!1002" },
    { "a close 65535", bytes_literal("\x88\x82" NONE "\xff\xff"), "!1002" },
    { "a reason that is no UTF-8",
      bytes_literal("\x88\x84" NONE "\x03\xe8" "\xc3\x28"), "!1007" },
    { "a reason that ends inside a code point",
      bytes_literal("\x88\x84" NONE "\x03\xe8" "\xe2\x82"), "!1007" },

    /* lengths */

    { "125 in the 16-bit form", bytes_literal("\x82\xfe\x00\x7d" NONE),
      "!1002" },
    { "0 in the 16-bit form", bytes_literal("\x82\xfe\x00\x00"), "!1002" },
    { "65535 in the 64-bit form",
      bytes_literal("\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff" NONE),
      "!1002" },
    { "the top bit of 64",
      bytes_literal("\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00" NONE),
      "!1002" },
    { "2^64 - 1",
      bytes_literal("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff" NONE),
      "!1002" },
    { "2^63 - 1, before any payload",
      bytes_literal("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff"), "!1009" },
    { "one byte over the limit, before any payload",
      bytes_literal("\x82\xfe\x03\xe9"), "!1009" },
    { "over the limit in the second fragment",
      bytes_literal("\x02\x81" NONE "a" "\x80\xfe\x03\xe8"), "!1009" },

    /* UTF-8 */

    { "a bad byte", bytes_literal("\x81\x82" NONE "a\xff"), "!1007" },
    { "a bad byte, seen before the text is whole",
      bytes_literal("\x81\x85" NONE "a\xff"), "!1007" },
    { "a surrogate", bytes_literal("\x81\x83" NONE "\xed\xa0\x80"),
      "!1007" },
    { "a surrogate, refused at its second byte",
      bytes_literal("\x81\x83" NONE "\xed\xa0"), "!1007" },
    { "a text that ends inside a code point",
      bytes_literal("\x81\x82" NONE "\xe2\x82"), "!1007" },
    { "an overlong form", bytes_literal("\x81\x82" NONE "\xc0\xaf"),
      "!1007" },
    { "a bad second fragment",
      bytes_literal("\x01\x81" NONE "a" "\x80\x81" NONE "\x80"), "!1007" },
    { "a state is not carried into the next message",
      bytes_literal("\x81\x81" NONE "a" "\x81\x81" NONE "\x80"),
      "T(a)!1007" }
};


int
main(void)
{
    test_table();
    test_lengths();
    test_head_asks_nothing();
    test_buffer_grows_with_payload();
    test_fragments();
    test_masks();
    test_close_codes();
    test_heads();
    test_close_write();
    test_accept();

    return tap_done();
}


static void
test_table(void)
{
    char    line[LINE_MAX_BYTES];
    size_t  i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        run(&cases[i], SIZE_MAX, line);
        tap_ok(strcmp(line, cases[i].line) == 0, "%s: %s", cases[i].name,
               line);

        run(&cases[i], 1, line);
        tap_ok(strcmp(line, cases[i].line) == 0, "%s, byte by byte: %s",
               cases[i].name, line);

        run(&cases[i], 3, line);
        tap_ok(strcmp(line, cases[i].line) == 0, "%s, in threes: %s",
               cases[i].name, line);
    }
}


static void
test_lengths(void)
{
    test_length(125, 70000, 0);
    test_length(126, 70000, 0);
    test_length(65535, 70000, 0);
    test_length(65536, 70000, 0);
    test_length(70000, 70000, 0);
    test_length(70001, 70000, WS_CLOSE_TOO_BIG);
    test_length(0, 0, 0);
    test_length(1, 0, WS_CLOSE_TOO_BIG);
}


/* A frame of that length comes out whole and right, or is refused. */
static void
test_length(uint64_t len, size_t message_max, uint16_t code)
{
    size_t             i, bad;
    bytes_t            in;
    uint8_t           *frame;
    ws_frame_rc_t      rc;
    bytes_writer_t     w;
    ws_frame_parser_t  p;

    frame = malloc(len + WS_FRAME_HEAD_MAX);
    if (frame == NULL) {
        tap_ok(0, "memory for a frame");
        return;
    }

    bytes_writer_open(&w, frame, len + WS_FRAME_HEAD_MAX);
    write_frame(&w, 0x82, len);

    ws_frame_open(&p, message_max);
    in = bytes_writer_view(&w);

    do {
        rc = ws_frame_parse(&p, &in);

        if (p.need != 0) {
            grow(&p);
        }
    } while (rc == WS_FRAME_AGAIN && in.len != 0);

    bad = 0;

    for (i = 0; i < p.message.len; i++) {
        bad += p.message.data[i] != (uint8_t) (i * 7);
    }

    if (code == 0) {
        tap_ok(rc == WS_FRAME_MESSAGE && p.message.len == len && bad == 0,
               "%llu bytes under a limit of %zu come out",
               (unsigned long long) len, message_max);

    } else {
        tap_ok(rc == WS_FRAME_FAILED && p.close_code == code
               && p.buf == NULL,
               "%llu bytes over a limit of %zu are refused unbuffered",
               (unsigned long long) len, message_max);
    }

    free(p.buf);
    free(frame);
}


static void
test_head_asks_nothing(void)
{
    bytes_t            in = bytes_literal("\x81\xfe\x03\xe8" KEY);
    ws_frame_rc_t      rc;
    ws_frame_parser_t  p;

    ws_frame_open(&p, MESSAGE_MAX);
    rc = ws_frame_parse(&p, &in);

    tap_ok(rc == WS_FRAME_AGAIN && in.len == 0 && p.need == 0,
           "a head that announces 1000 bytes asks for no buffer");

    in = bytes_make("x", 1);
    rc = ws_frame_parse(&p, &in);

    tap_ok(rc == WS_FRAME_AGAIN && in.len == 1 && p.need == 1000,
           "its first byte does, and waits");

    rc = ws_frame_parse(&p, &in);

    tap_ok(rc == WS_FRAME_AGAIN && in.len == 1 && p.need == 1000,
           "asking again takes nothing");
}


static void
test_buffer_grows_with_payload(void)
{
    size_t             grown;
    bytes_t            in;
    ws_frame_rc_t      rc;
    ws_frame_parser_t  p;
    static uint8_t     frame[1048576 + WS_FRAME_HEAD_MAX];
    bytes_writer_t     w;

    bytes_writer_open(&w, frame, sizeof(frame));
    write_frame(&w, 0x82, 1048576);

    ws_frame_open(&p, 1048576);
    in = bytes_make(frame, WS_FRAME_HEAD_MAX + 10);

    while (ws_frame_parse(&p, &in) == WS_FRAME_AGAIN && p.need != 0) {
        grow(&p);
    }

    tap_ok(p.size == 4096, "ten bytes of a megabyte hold %zu bytes", p.size);

    grown = 0;
    in = bytes_make(frame + WS_FRAME_HEAD_MAX + 10,
                    sizeof(frame) - WS_FRAME_HEAD_MAX - 10);
    in.len = 1;

    for ( ;; ) {
        rc = ws_frame_parse(&p, &in);

        if (p.need != 0) {
            grow(&p);
            grown++;

        } else if (rc == WS_FRAME_AGAIN) {
            in.len = 1;

        } else {
            break;
        }
    }

    tap_ok(rc == WS_FRAME_MESSAGE && p.message.len == 1048576 && grown <= 9,
           "byte by byte the buffer grew %zu times more", grown);

    ws_frame_taken(&p);
    tap_ok(p.len == 0 && p.size == 1048576, "a taken message leaves the "
           "buffer");

    free(p.buf);
}


static void
test_fragments(void)
{
    unsigned           i;
    bytes_t            in;
    ws_frame_rc_t      rc;
    ws_frame_parser_t  p;

    ws_frame_open(&p, MESSAGE_MAX);

    in = bytes_make("\x01\x80" NONE, 6);
    rc = ws_frame_parse(&p, &in);

    for (i = 1; i < WS_FRAME_FRAGMENTS_MAX; i++) {
        in = bytes_make("\x00\x80" NONE, 6);
        rc = ws_frame_parse(&p, &in);
    }

    tap_ok(rc == WS_FRAME_AGAIN, "%u empty fragments are taken", i);

    in = bytes_make("\x89\x80" NONE, 6);
    tap_ok(ws_frame_parse(&p, &in) == WS_FRAME_CONTROL,
           "a ping does not count as one");

    in = bytes_make("\x80", 1);
    rc = ws_frame_parse(&p, &in);

    tap_ok(rc == WS_FRAME_FAILED && p.close_code == WS_CLOSE_POLICY,
           "one more is refused");

    in = bytes_make("\x81\x80" NONE, 6);
    rc = ws_frame_parse(&p, &in);

    tap_ok(rc == WS_FRAME_FAILED && in.len == 6
           && p.close_code == WS_CLOSE_POLICY,
           "a refusal is final, and takes no more input");
}


/* Each way to cut a payload over two reads, so that the mask is entered at
   each of its bytes. */
static void
test_masks(void)
{
    size_t             cut, bad;
    bytes_t            in;
    uint8_t            frame[64], buf[40];
    bytes_writer_t     w;
    ws_frame_parser_t  p;

    bytes_writer_open(&w, frame, sizeof(frame));
    write_frame(&w, 0x82, 40);

    bad = 0;

    for (cut = 0; cut <= 46; cut++) {
        ws_frame_open(&p, 40);
        ws_frame_buffer_set(&p, buf, sizeof(buf));
        memset(buf, 0xaa, sizeof(buf));

        in = bytes_make(frame, cut);

        if (cut < 46) {
            bad += ws_frame_parse(&p, &in) != WS_FRAME_AGAIN;
            in = bytes_make(frame + cut, 46 - cut);
        }

        bad += ws_frame_parse(&p, &in) != WS_FRAME_MESSAGE;
        bad += p.message.len != 40 || p.message.data[0] != 0
               || p.message.data[19] != (uint8_t) (19 * 7)
               || p.message.data[39] != (uint8_t) (39 * 7);
    }

    tap_ok(bad == 0, "a masked frame cut anywhere comes out the same");
}


static void
test_close_codes(void)
{
    int       bad;
    unsigned  code;

    bad = 0;

    for (code = 0; code <= 0xffff; code++) {
        bad += ws_frame_close_code_valid((uint16_t) code)
               != ((code >= 1000 && code <= 1014 && code != 1004
                    && code != 1005 && code != 1006)
                   || (code >= 3000 && code <= 4999));
    }

    tap_ok(bad == 0, "close codes that a client may send");
}


static void
test_heads(void)
{
    size_t          i, bad;
    uint8_t         out[16];
    bytes_writer_t  w;

    static const struct {
        uint64_t  len;
        bytes_t   head;
    } heads[] = {
        { 0, bytes_literal("\x81\x00") },
        { 125, bytes_literal("\x81\x7d") },
        { 126, bytes_literal("\x81\x7e\x00\x7e") },
        { 65535, bytes_literal("\x81\x7e\xff\xff") },
        { 65536, bytes_literal("\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00") },
        { 0x0102030405060708ULL,
          bytes_literal("\x81\x7f\x01\x02\x03\x04\x05\x06\x07\x08") }
    };

    bad = 0;

    for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        bytes_writer_open(&w, out, sizeof(out));
        ws_frame_head_write(&w, WS_FRAME_TEXT, heads[i].len);

        bad += !bytes_equal(bytes_writer_view(&w), heads[i].head);
        bad += ws_frame_head_len(heads[i].len) != heads[i].head.len;
    }

    tap_ok(bad == 0, "heads of servers, each of the three forms");
}


static void
test_close_write(void)
{
    char            reason[130];
    uint8_t         out[128];
    bytes_writer_t  w;

    bytes_writer_open(&w, out, sizeof(out));
    ws_frame_close_write(&w, WS_CLOSE_GOING_AWAY, bytes_of("bye"));
    tap_ok(bytes_equal(bytes_writer_view(&w),
                       bytes_make("\x88\x05\x03\xe9" "bye", 7)),
           "a close frame with a reason");

    bytes_writer_open(&w, out, sizeof(out));
    ws_frame_close_write(&w, WS_CLOSE_NONE, bytes_of("bye"));
    tap_ok(bytes_equal(bytes_writer_view(&w), bytes_make("\x88\x00", 2)),
           "a close frame without a code has no body");

    /* 61 code points of two bytes are 122 bytes, the next one is cut */

    memset(reason, 0, sizeof(reason));

    for (size_t i = 0; i + 2 < sizeof(reason); i += 2) {
        memcpy(reason + i, "\xc3\xa9", 2);
    }

    bytes_writer_open(&w, out, sizeof(out));
    ws_frame_close_write(&w, WS_CLOSE_POLICY, bytes_of(reason));
    tap_ok(bytes_writer_view(&w).len == 2 + 2 + 122 && out[1] == 124,
           "a long reason is cut between code points");

    bytes_writer_open(&w, out, 3);
    ws_frame_close_write(&w, WS_CLOSE_POLICY, bytes_of("no room"));
    tap_ok(w.failed, "a close frame that does not fit is refused");
}


/* The example of section 1.3. */
static void
test_accept(void)
{
    char            out[28];
    bytes_writer_t  w;

    bytes_writer_open(&w, out, sizeof(out));
    ws_frame_accept(&w, bytes_of("dGhlIHNhbXBsZSBub25jZQ=="));
    tap_ok(!w.failed && bytes_equal_text(bytes_writer_view(&w),
                                         "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
           "the handshake of the RFC");

    bytes_writer_open(&w, out, sizeof(out) - 1);
    ws_frame_accept(&w, bytes_of("dGhlIHNhbXBsZSBub25jZQ=="));
    tap_ok(w.failed, "a handshake that does not fit is refused");
}


/* Helpers. */

static void
run(const frame_case_t *c, size_t step, char *line)
{
    size_t             pos;
    bytes_t            in;
    ws_frame_rc_t      rc;
    ws_frame_parser_t  p;

    line[0] = '\0';
    ws_frame_open(&p, MESSAGE_MAX);

    pos = 0;
    rc = WS_FRAME_AGAIN;

    while (pos < c->input.len && rc != WS_FRAME_FAILED) {
        in = bytes_make(c->input.data + pos, c->input.len - pos);
        in.len = (in.len < step) ? in.len : step;
        pos += in.len;

        do {
            rc = ws_frame_parse(&p, &in);
            write_line(line, &p, rc);

            if (p.need != 0) {
                grow(&p);
            }
        } while (rc != WS_FRAME_FAILED && in.len != 0);
    }

    free(p.buf);
}


static void
write_line(char *line, const ws_frame_parser_t *p, ws_frame_rc_t rc)
{
    int     len;
    char   *end;
    char    kind[16];
    size_t  left;

    end = line + strlen(line);
    left = LINE_MAX_BYTES - strlen(line);
    len = (int) p->message.len;

    if (rc == WS_FRAME_FAILED) {
        snprintf(end, left, "!%u", p->close_code);
        return;
    }

    if (rc == WS_FRAME_AGAIN) {
        return;
    }

    switch (p->type) {

    case WS_FRAME_TEXT:
        strncpy(kind, "T", sizeof(kind));
        break;

    case WS_FRAME_BINARY:
        strncpy(kind, "B", sizeof(kind));
        break;

    case WS_FRAME_CLOSE:
        snprintf(kind, sizeof(kind), "8:%u", p->close_code);

        if (len != 0) {
            snprintf(end, left, "%s(%.*s)", kind, len - 2,
                     (const char *) p->message.data + 2);
            return;
        }

        break;

    default:
        snprintf(kind, sizeof(kind), "%X", (unsigned) p->type);
    }

    snprintf(end, left, "%s(%.*s)", kind, len,
             len ? (const char *) p->message.data : "");
}


/* A new block of exactly the bytes asked for. */
static void
grow(ws_frame_parser_t *p)
{
    uint8_t  *buf;

    buf = malloc(p->need);
    if (buf == NULL) {
        abort();
    }

    if (p->len != 0) {
        memcpy(buf, p->buf, p->len);
    }

    free(p->buf);
    ws_frame_buffer_set(p, buf, p->need);
}


/* A masked frame with bytes that count in sevens. */
static void
write_frame(bytes_writer_t *w, uint8_t first, uint64_t len)
{
    uint8_t   byte;
    uint64_t  i;

    ws_frame_head_write(w, WS_FRAME_TEXT, len);
    w->start[0] = first;
    w->start[1] |= 0x80;
    bytes_writer_text(w, KEY);

    for (i = 0; i < len; i++) {
        byte = (uint8_t) (i * 7) ^ (uint8_t) KEY[i & 3];
        bytes_writer_byte(w, byte);
    }
}
