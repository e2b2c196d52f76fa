/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * ws_frame.c: whatever a client sends, the parser gives the same messages,
 * control frames and refusal whether it is fed whole, in sevens or byte by
 * byte; buffers are exactly as large as asked for, never over the limit, and
 * never more than twice what came plus the first step.
 *
 * The first byte of the input chooses the limit of a message.
 */


#include <stdlib.h>

#include "utf8.h"
#include "ws_frame.h"


#define FUZZ_SIZE_MAX  8192
#define FUZZ_BUF_STEP  4096


typedef struct {
    uint8_t         bytes[FUZZ_SIZE_MAX * 4];
    bytes_writer_t  w;            /* what came out, encoded */
} fuzz_record_t;


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(fuzz_record_t *record, bytes_t input, size_t step,
    size_t message_max);
static void write_record(fuzz_record_t *record, const ws_frame_parser_t *p,
    ws_frame_rc_t rc);
static void grow(ws_frame_parser_t *p, size_t fed);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t                message_max;
    bytes_t               input;
    static fuzz_record_t  whole, sevens, bytes;

    if (size < 1 || size > FUZZ_SIZE_MAX) {
        return 0;
    }

    message_max = (size_t) data[0] * 32;
    input = bytes_make(data + 1, size - 1);

    run(&whole, input, SIZE_MAX, message_max);
    run(&sevens, input, 7, message_max);
    run(&bytes, input, 1, message_max);

    if (!bytes_equal(bytes_writer_view(&whole.w),
                     bytes_writer_view(&sevens.w))
        || !bytes_equal(bytes_writer_view(&whole.w),
                        bytes_writer_view(&bytes.w)))
    {
        abort();
    }

    return 0;
}


static void
run(fuzz_record_t *record, bytes_t input, size_t step, size_t message_max)
{
    size_t             pos;
    bytes_t            in, before;
    ws_frame_rc_t      rc;
    ws_frame_parser_t  p;

    bytes_writer_open(&record->w, record->bytes, sizeof(record->bytes));
    ws_frame_open(&p, message_max);

    pos = 0;
    rc = WS_FRAME_AGAIN;

    while (pos < input.len && rc != WS_FRAME_FAILED) {
        in = bytes_make(input.data + pos, input.len - pos);
        in.len = (in.len < step) ? in.len : step;
        pos += in.len;

        do {
            before = in;
            rc = ws_frame_parse(&p, &in);
            write_record(record, &p, rc);

            if (p.need != 0) {
                grow(&p, pos);

            } else if (rc == WS_FRAME_AGAIN && in.len != 0) {
                abort();

            } else if (in.len == before.len && rc != WS_FRAME_FAILED) {
                abort();
            }
        } while (rc != WS_FRAME_FAILED && in.len != 0);
    }

    if (record->w.failed || p.len > message_max) {
        abort();
    }

    free(p.buf);
}


static void
write_record(fuzz_record_t *record, const ws_frame_parser_t *p,
    ws_frame_rc_t rc)
{
    if (rc == WS_FRAME_AGAIN) {
        return;
    }

    bytes_writer_byte(&record->w, (uint8_t) rc);

    if (rc == WS_FRAME_FAILED) {
        bytes_writer_byte(&record->w, (uint8_t) (p->close_code >> 8));
        bytes_writer_byte(&record->w, (uint8_t) p->close_code);
        return;
    }

    if (p->type == WS_FRAME_TEXT && !utf8_valid(p->message)) {
        abort();
    }

    bytes_writer_byte(&record->w, (uint8_t) p->type);
    bytes_writer_bytes(&record->w, p->message);
}


static void
grow(ws_frame_parser_t *p, size_t fed)
{
    uint8_t  *buf;

    if (p->need <= p->size || p->need > p->message_max
        || p->need > fed * 2 + FUZZ_BUF_STEP)
    {
        abort();
    }

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
